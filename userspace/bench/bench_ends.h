/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What peers read from and write to. Each open_ function sets @reader and @writer of
 * the bench, or fails as a peer's open() does; close_ends() takes all of it back.
 */
#ifndef ACHAN_BENCH_ENDS_H
#define ACHAN_BENCH_ENDS_H

#include <linux/achan.h>

#include "bench.h"

bool open_pipe(struct bench *bench);
bool open_seqpacket(struct bench *bench);
bool open_stream_socket(struct bench *bench);

/* A loop channel of the mode; framed: of messages, whose reads give frames. */
bool open_stream(struct bench *bench);
bool open_message(struct bench *bench);
bool open_framed(struct bench *bench);

/* Has reads of the channel that @reader is of give frames. */
bool read_framed(struct bench *bench);

/* The node of a channel: a descriptor, or -1 after the reason was said. */
int open_node(unsigned int minor, int flags);

/* The channel of @fd opened once more: a descriptor, or -1 after the reason was said. */
int open_again(int fd);

/* A pair, with messages: @other gets the peer's descriptor, which the caller closes. */
bool open_pair(struct bench *bench, int *other);

/*
 * One more loop channel: its descriptor, or -1 after the reason was said. All that
 * were made are removed by close_ends(), or at once by remove_channels().
 */
int open_channel(const struct achan_config *config);
void remove_channels(void);

void close_ends(struct bench *bench);

/* One record, by write() and by read(). */
bool write_one(struct bench *bench);
bool read_one(struct bench *bench);
bool write_and_read(struct bench *bench);

/* As many as x says. */
bool write_all(struct bench *bench);

#endif /* ACHAN_BENCH_ENDS_H */
