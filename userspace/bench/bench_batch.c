// SPDX-License-Identifier: LGPL-2.1-or-later
/* Many records are written, then read by as few calls as the peer needs for it. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench_ends.h"

#define RECORDS_MAX	128

static struct mmsghdr messages[RECORDS_MAX];
static struct iovec segments[RECORDS_MAX];

static unsigned int records(const struct bench *bench)
{
	return bench->x;
}

/* A call that may give as much as all records have. */
static bool read_all(struct bench *bench, size_t bytes)
{
	return moved("read", read(bench->reader, bench->got, bytes), bytes);
}

static bool framed_turn(struct bench *bench)
{
	return write_all(bench) &&
	       read_all(bench, bench->x * ACHAN_RECORD_SIZE(bench->bytes));
}

/* The records are of one size, or nobody knew where each begins. */
static bool stream_turn(struct bench *bench)
{
	return write_all(bench) && read_all(bench, bench->x * bench->bytes);
}

static bool mmsg_open(struct bench *bench)
{
	unsigned int i;

	memset(messages, 0, sizeof(messages));
	for (i = 0; i < bench->x; i++) {
		segments[i].iov_base = bench->got + i * bench->bytes;
		segments[i].iov_len = bench->bytes;
		messages[i].msg_hdr.msg_iov = &segments[i];
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	return open_seqpacket(bench);
}

static bool mmsg_turn(struct bench *bench)
{
	return write_all(bench) &&
	       moved("recvmmsg, in messages",
		     recvmmsg(bench->reader, messages, bench->x, 0, NULL), bench->x);
}

static const struct peer peers[] = {
	{ "achan, framed", open_framed, framed_turn, close_ends, records },
	{ "achan, stream", open_stream, stream_turn, close_ends, records },
	{ "pipe", open_pipe, stream_turn, close_ends, records },
	{ "SEQPACKET, recvmmsg", mmsg_open, mmsg_turn, close_ends, records },
};

static const unsigned int counts[] = { 1, 8, 32, RECORDS_MAX, 0 };

const struct figure batch_figure = {
	.name = "batch",
	.x_is = "records a read",
	.title = "records written one by one, read many at a time; each",
	.xs = counts,
	.peers = peers,
	.peer_count = COUNT(peers),
	.turns = 100,
};
