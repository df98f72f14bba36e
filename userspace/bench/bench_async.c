// SPDX-License-Identifier: LGPL-2.1-or-later
/* Reads are submitted while there is nothing, then records are written and reaped. */
#define _GNU_SOURCE
#include <aio.h>
#include <errno.h>
#include <libaio.h>
#include <liburing.h>
#include <string.h>
#include <unistd.h>

#include <achan.h>

#include "bench_ends.h"

#define REQUESTS_MAX	32

static unsigned int requests(const struct bench *bench)
{
	return bench->x;
}

static unsigned char *place(const struct bench *bench, unsigned int request)
{
	return bench->got + request * bench->bytes;
}

/* --------------------------------------------------------- libachan */

static struct achan *channel;
static struct achan_queue *queue;

static bool libachan_open(struct bench *bench)
{
	int ret;

	if (!open_message(bench))
		return false;
	ret = achan_open_fd(&channel, dup(bench->reader));
	if (!ret)
		ret = achan_queue_new(&queue, REQUESTS_MAX, NULL);
	return !ret || failed("libachan", -ret);
}

static bool libachan_turn(struct bench *bench)
{
	struct achan_req *reqs[REQUESTS_MAX];
	struct achan_cqe cqes[REQUESTS_MAX];
	unsigned int i;
	int ret;

	for (i = 0; i < bench->x; i++) {
		reqs[i] = achan_queue_get_req(queue);
		achan_req_prep_read(reqs[i], channel, place(bench, i), bench->bytes);
	}
	ret = achan_queue_submit(queue, reqs, bench->x);
	if (!moved("submit, in requests", ret, bench->x) || !write_all(bench))
		return false;
	ret = achan_queue_wait(queue, cqes, bench->x, bench->x, -1);
	if (!moved("wait, in requests", ret, bench->x))
		return false;
	for (i = 0; i < bench->x; i++) {
		achan_req_put(cqes[i].req);
		if (!moved("a read", cqes[i].res, bench->bytes))
			return false;
	}
	return true;
}

static void libachan_close(struct bench *bench)
{
	achan_queue_free(queue);
	achan_close(channel);
	queue = NULL;
	channel = NULL;
	close_ends(bench);
}

/* ----------------------------------------------------------- libaio */

static io_context_t context;

static bool libaio_open(struct bench *bench)
{
	int ret;

	if (!open_message(bench))
		return false;
	ret = io_setup(REQUESTS_MAX, &context);
	return !ret || failed("io_setup", -ret);
}

static bool libaio_turn(struct bench *bench)
{
	static struct iocb iocbs[REQUESTS_MAX];
	struct iocb *submitted[REQUESTS_MAX];
	struct io_event events[REQUESTS_MAX];
	unsigned int i;
	int ret;

	for (i = 0; i < bench->x; i++) {
		io_prep_pread(&iocbs[i], bench->reader, place(bench, i), bench->bytes, 0);
		submitted[i] = &iocbs[i];
	}
	ret = io_submit(context, bench->x, submitted);
	if (!moved("io_submit, in requests", ret, bench->x) || !write_all(bench))
		return false;
	ret = io_getevents(context, bench->x, bench->x, events, NULL);
	if (!moved("io_getevents, in requests", ret, bench->x))
		return false;
	for (i = 0; i < bench->x; i++) {
		if (!moved("a read", (long)events[i].res, bench->bytes))
			return false;
	}
	return true;
}

static void libaio_close(struct bench *bench)
{
	if (context)
		io_destroy(context);
	context = NULL;
	close_ends(bench);
}

/* --------------------------------------------------------- io_uring */

static struct io_uring uring;
static bool uring_is_there;

static bool uring_init(void)
{
	int ret = io_uring_queue_init(REQUESTS_MAX, &uring, 0);

	if (ret == -ENOSYS || ret == -EPERM)
		return does_not_fit("the kernel has no io_uring for us");
	if (ret < 0)
		return failed("io_uring_queue_init", -ret);
	uring_is_there = true;
	return true;
}

static bool uring_channel_open(struct bench *bench)
{
	return open_message(bench) && uring_init();
}

static bool uring_pipe_open(struct bench *bench)
{
	return open_pipe(bench) && uring_init();
}

static bool uring_seqpacket_open(struct bench *bench)
{
	return open_seqpacket(bench) && uring_init();
}

static void uring_close(struct bench *bench)
{
	if (uring_is_there)
		io_uring_queue_exit(&uring);
	uring_is_there = false;
	close_ends(bench);
}

static bool uring_reap(struct bench *bench)
{
	struct io_uring_cqe *cqe;
	unsigned int i;
	int ret, got;

	for (i = 0; i < bench->x; i++) {
		ret = io_uring_wait_cqe(&uring, &cqe);
		if (ret < 0)
			return failed("io_uring_wait_cqe", -ret);
		got = cqe->res;
		io_uring_cqe_seen(&uring, cqe);
		if (got < 0)
			return failed("a read", -got);
		if (!moved("a read", got, bench->bytes))
			return false;
	}
	return true;
}

static bool uring_turn(struct bench *bench)
{
	unsigned int i;

	for (i = 0; i < bench->x; i++)
		io_uring_prep_read(io_uring_get_sqe(&uring), bench->reader,
				   place(bench, i), (unsigned int)bench->bytes, 0);
	return moved("io_uring_submit, in requests", io_uring_submit(&uring),
		     bench->x) && write_all(bench) && uring_reap(bench);
}

/* ---------------------------------------------- glibc's POSIX AIO */

static bool posix_turn(struct bench *bench)
{
	static struct aiocb aiocbs[REQUESTS_MAX];
	unsigned int i;

	for (i = 0; i < bench->x; i++) {
		aiocbs[i] = (struct aiocb) {
			.aio_fildes = bench->reader,
			.aio_buf = place(bench, i),
			.aio_nbytes = bench->bytes,
		};
		if (aio_read(&aiocbs[i]) < 0)
			return failed("aio_read", errno);
	}
	if (!write_all(bench))
		return false;
	for (i = 0; i < bench->x; i++) {
		const struct aiocb *one[] = { &aiocbs[i] };

		while (aio_error(&aiocbs[i]) == EINPROGRESS)
			aio_suspend(one, 1, NULL);
		if (!moved("a read", aio_return(&aiocbs[i]), bench->bytes))
			return false;
	}
	return true;
}

static const struct peer peers[] = {
	{ "achan, libachan", libachan_open, libachan_turn, libachan_close, requests },
	{ "achan, libaio", libaio_open, libaio_turn, libaio_close, requests },
	{ "achan, io_uring", uring_channel_open, uring_turn, uring_close, requests },
	{ "pipe, io_uring", uring_pipe_open, uring_turn, uring_close, requests },
	{ "SEQPACKET, io_uring", uring_seqpacket_open, uring_turn, uring_close, requests },
	{ "pipe, POSIX AIO", open_pipe, posix_turn, close_ends, requests },
};

static const unsigned int counts[] = { 1, REQUESTS_MAX, 0 };

const struct figure async_figure = {
	.name = "async",
	.x_is = "reads a submit",
	.title = "reads submitted, records written, completions reaped; each",
	.xs = counts,
	.peers = peers,
	.peer_count = COUNT(peers),
	.turns = 200,
};
