// SPDX-License-Identifier: LGPL-2.1-or-later
/* What an operation costs when there is much else: it should not depend on that. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <libaio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench_ends.h"

#define PARKED_MAX	60000U
#define SUBMIT_MAX	1000U
#define CHANNELS_MAX	1000U
#define READERS_MAX	64U
#define SMALL_RING	8192U
#define FILLED_RING	65536U

/* ------------------------------------------------- parked requests */

static io_context_t context;
static struct iocb *iocbs;
static unsigned int next;	/* the oldest one parked: they complete in order */

/*
 * A parked read pins its page: beyond what may be locked, the kernel asks the security
 * modules about each.
 */
static bool raise_limits(void)
{
	static const char file[] = "/proc/sys/fs/aio-max-nr";
	const struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	static const char requests[] = "1048576\n";
	int fd = open(file, O_WRONLY | O_CLOEXEC);
	bool written;

	if (fd < 0)
		return failed(file, errno);
	written = write(fd, requests, sizeof(requests) - 1) > 0 ||
		  failed(file, errno);
	close(fd);
	if (!written)
		return false;
	return !setrlimit(RLIMIT_MEMLOCK, &unlimited) ||
	       failed("setrlimit, RLIMIT_MEMLOCK", errno);
}

static bool park(struct bench *bench, unsigned int first, unsigned int count)
{
	struct iocb *submitted[SUBMIT_MAX];
	unsigned int i;
	int ret;

	for (i = 0; i < count; i++) {
		submitted[i] = &iocbs[first + i];
		io_prep_pread(submitted[i], bench->reader, bench->got, bench->bytes, 0);
	}
	ret = io_submit(context, count, submitted);
	return moved("io_submit, in requests", ret, count);
}

static bool parked_open(struct bench *bench)
{
	unsigned int first, count;
	int ret;

	next = 0;
	iocbs = calloc(bench->x, sizeof(*iocbs));
	if (!iocbs)
		return failed("calloc", errno);
	if (!raise_limits() || !open_message(bench))
		return false;
	ret = io_setup((int)bench->x, &context);
	if (ret < 0)
		return failed("io_setup", -ret);
	for (first = 0; first < bench->x; first += count) {
		count = bench->x - first < SUBMIT_MAX ? bench->x - first : SUBMIT_MAX;
		if (!park(bench, first, count))
			return false;
	}
	return true;
}

static void parked_close(struct bench *bench)
{
	if (context)
		io_destroy(context);
	context = NULL;
	free(iocbs);
	iocbs = NULL;
	close_ends(bench);
}

/* The completion of the request that @which parked, which parks again. */
static bool reap(struct bench *bench, unsigned int which, long result)
{
	struct io_event event;

	if (!moved("io_getevents, in requests",
		   io_getevents(context, 1, 1, &event, NULL), 1))
		return false;
	if ((long)event.res != result)
		return failed("a request completed otherwise", (int)-(long)event.res);
	if (event.obj != &iocbs[which])
		return failed("another request completed", 0);
	return park(bench, which, 1);
}

static bool parked_turn(struct bench *bench)
{
	unsigned int which = next;

	next = (next + 1) % bench->x;
	return write_one(bench) && reap(bench, which, (long)bench->bytes);
}

static bool cancel(struct bench *bench, unsigned int which)
{
	struct io_event event;
	int ret = io_cancel(context, &iocbs[which], &event);

	if (ret != -EINPROGRESS)
		return failed("io_cancel", -ret);
	return reap(bench, which, -ECANCELED);
}

static bool cancel_oldest_turn(struct bench *bench)
{
	unsigned int which = next;

	next = (next + 1) % bench->x;
	return cancel(bench, which);
}

/* io_cancel() looks for it along all that were submitted before it. */
static bool cancel_newest_turn(struct bench *bench)
{
	return cancel(bench, (next + bench->x - 1) % bench->x);
}

static const struct peer parked_peers[] = {
	{ "achan, libaio", parked_open, parked_turn, parked_close, NULL },
};

static const struct peer cancel_peers[] = {
	{ "achan, oldest", parked_open, cancel_oldest_turn, parked_close, NULL },
	{ "achan, newest", parked_open, cancel_newest_turn, parked_close, NULL },
};

static const unsigned int parked_counts[] = { 1, 1000, PARKED_MAX, 0 };

const struct figure parked_figure = {
	.name = "parked",
	.x_is = "parked reads",
	.title = "a record written, the oldest read completes and is submitted again",
	.xs = parked_counts,
	.peers = parked_peers,
	.peer_count = COUNT(parked_peers),
	.turns = 200,
};

const struct figure cancel_figure = {
	.name = "cancel",
	.x_is = "parked reads",
	.title = "a parked read cancelled, reaped and submitted again",
	.xs = parked_counts,
	.peers = cancel_peers,
	.peer_count = COUNT(cancel_peers),
	.turns = 500,
};

/* -------------------------------------------------------- channels */

static int fds[CHANNELS_MAX];

static bool channels_open(struct bench *bench)
{
	const struct achan_config config = {
		.mode = ACHAN_MODE_STREAM, .ring_bytes = SMALL_RING,
	};
	unsigned int i;

	next = 0;
	memset(fds, -1, sizeof(fds));
	for (i = 0; i < bench->x; i++) {
		fds[i] = open_channel(&config);
		if (fds[i] < 0)
			return false;
	}
	return true;
}

static void channels_close(struct bench *bench)
{
	unsigned int i;

	for (i = 0; i < bench->x; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
	remove_channels();
}

static bool channels_turn(struct bench *bench)
{
	int fd = fds[next];

	next = (next + 1) % bench->x;
	return moved("write", write(fd, bench->data, bench->bytes), bench->bytes) &&
	       moved("read", read(fd, bench->got, bench->bytes), bench->bytes);
}

static const struct peer channels_peers[] = {
	{ "achan, stream", channels_open, channels_turn, channels_close, NULL },
};

static const unsigned int channel_counts[] = { 1, 10, 100, CHANNELS_MAX, 0 };

const struct figure channels_figure = {
	.name = "channels",
	.x_is = "channels",
	.title = "a record written and read, on one channel after the other",
	.xs = channel_counts,
	.peers = channels_peers,
	.peer_count = COUNT(channels_peers),
	.turns = 2000,
};

/* ----------------------------------------------------- filled rings */

static bool fill(struct bench *bench, size_t bytes)
{
	size_t at;

	for (at = 0; at + bench->bytes <= bytes; at += bench->bytes) {
		if (!write_one(bench))
			return false;
	}
	return true;
}

/* As full as it can be with @x percent, headers counted. */
static bool filled_open(struct bench *bench)
{
	const struct achan_config config = {
		.mode = ACHAN_MODE_STREAM, .ring_bytes = FILLED_RING,
	};
	size_t records = FILLED_RING / ACHAN_RECORD_SIZE(bench->bytes) * bench->x / 100;

	bench->reader = open_channel(&config);
	bench->writer = bench->reader;
	return bench->reader >= 0 && fill(bench, records * bench->bytes);
}

static bool filled_pipe_open(struct bench *bench)
{
	/* It frees whole pages only. */
	if (FILLED_RING / 100 * (100 - bench->x) < 4096)
		return does_not_fit("a pipe blocks on its last page");
	return open_pipe(bench) && fill(bench, FILLED_RING / 100 * bench->x);
}

static const struct peer filled_peers[] = {
	{ "achan, stream", filled_open, write_and_read, close_ends, NULL },
	{ "pipe", filled_pipe_open, write_and_read, close_ends, NULL },
};

static const unsigned int percents[] = { 1, 50, 99, 0 };

const struct figure filled_figure = {
	.name = "filled",
	.x_is = "percent of the ring",
	.title = "a record written and read, where others lie already",
	.xs = percents,
	.peers = filled_peers,
	.peer_count = COUNT(filled_peers),
	.turns = 2000,
};

/* -------------------------------------------------------- listeners */

static unsigned int readers(const struct bench *bench)
{
	return bench->x;
}

static bool broadcast_open(struct bench *bench)
{
	const struct achan_config config = {
		.mode = ACHAN_MODE_MESSAGE, .delivery = ACHAN_DELIVERY_BROADCAST,
	};
	unsigned int i;

	memset(fds, -1, sizeof(fds));
	fds[0] = open_channel(&config);
	for (i = 1; fds[0] >= 0 && i < bench->x; i++) {
		fds[i] = open_again(fds[0]);
		if (fds[i] < 0)
			return false;
	}
	return fds[0] >= 0;
}

static bool read_each(struct bench *bench)
{
	unsigned int i;

	for (i = 0; i < bench->x; i++) {
		if (!moved("read", read(fds[i], bench->got, bench->bytes), bench->bytes))
			return false;
	}
	return true;
}

static bool broadcast_turn(struct bench *bench)
{
	return moved("write", write(fds[0], bench->data, bench->bytes), bench->bytes) &&
	       read_each(bench);
}

/* What one does without: a pipe to each reader. */
static int pipe_writers[READERS_MAX];

static bool pipes_open(struct bench *bench)
{
	unsigned int i;
	int ends[2];

	memset(fds, -1, sizeof(fds));
	memset(pipe_writers, -1, sizeof(pipe_writers));
	for (i = 0; i < bench->x; i++) {
		if (pipe2(ends, O_CLOEXEC) < 0)
			return failed("pipe", errno);
		fds[i] = ends[0];
		pipe_writers[i] = ends[1];
	}
	return true;
}

static bool pipes_turn(struct bench *bench)
{
	unsigned int i;

	for (i = 0; i < bench->x; i++) {
		if (!moved("write", write(pipe_writers[i], bench->data, bench->bytes),
			   bench->bytes))
			return false;
	}
	return read_each(bench);
}

static void pipes_close(struct bench *bench)
{
	unsigned int i;

	for (i = 0; i < bench->x; i++) {
		if (pipe_writers[i] >= 0)
			close(pipe_writers[i]);
	}
	channels_close(bench);
}

static const struct peer listeners_peers[] = {
	{ "achan, broadcast", broadcast_open, broadcast_turn, channels_close, readers },
	{ "a pipe each", pipes_open, pipes_turn, pipes_close, readers },
};

static const unsigned int reader_counts[] = { 1, 8, READERS_MAX, 0 };

const struct figure listeners_figure = {
	.name = "listeners",
	.x_is = "readers",
	.title = "a record for all readers, each reads it; each reader's",
	.xs = reader_counts,
	.peers = listeners_peers,
	.peer_count = COUNT(listeners_peers),
	.turns = 100,
};
