/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A round trip, moment by moment. The writer is a process of its own; it
 * leaves its moments in memory shared with the reader.
 */
#ifndef ACHAN_TIMELINE_H
#define ACHAN_TIMELINE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/achan.h>

/* Bytes the writer sends. */
#define TIMELINE_BYTES		64

/* The last round is shown; the others warm caches and translations up. */
#define TIMELINE_ROUNDS		4

/* Moments are CLOCK_MONOTONIC in nanoseconds. */
struct writer_moments {
	uint64_t entered;
	uint64_t returned;
};

/* One record as a framed read returns it. */
struct frame {
	struct achan_record record;
	unsigned char payload[TIMELINE_BYTES];
};

enum side {
	WRITER,
	READER,
};

struct moment {
	uint64_t at;
	enum side side;
	char text[48];
};

/* Seven moments are the most a round trip has. */
struct timeline {
	struct moment moments[8];
	unsigned int count;
};

struct writer {
	const char *path;
	pid_t pid;
	int go_fd;
	struct writer_moments *moments;
};

/* timeline_writer.c */
bool writer_start(struct writer *writer, const char *path);
bool writer_go(const struct writer *writer);
bool writer_end(struct writer *writer);
bool frame_is_whole(const struct frame *frame, int64_t length);

/* timeline.c */
void timeline_add(struct timeline *timeline, enum side side, uint64_t at, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void timeline_add_writer(struct timeline *timeline, const struct writer *writer,
			 const struct achan_record *record);
void timeline_print(struct timeline *timeline, const char *title, const struct writer *writer);
/* In two columns, from @zero on; @left is the writer's. */
void timeline_print_moments(struct timeline *timeline, uint64_t zero, const char *left,
			    const char *right);
/* False, and said so, unless the three times are ascending. */
bool in_order(uint64_t first, uint64_t second, uint64_t third);
/* Opens @path to read whole frames; -1: said why. */
int open_framed(const char *path, int flags);
/* Says what went wrong; @error is a positive errno value or 0. Returns false. */
bool timeline_error(const char *what, int error);

#endif /* ACHAN_TIMELINE_H */
