// SPDX-License-Identifier: LGPL-2.1-or-later
/* Consumers of completions: io_uring, and the POSIX AIO of the C library. */
#define _GNU_SOURCE
#include "demo.h"

#include <aio.h>
#include <errno.h>
#include <string.h>

#include <liburing.h>

/* One read after the other: the requests of several would not keep their order. */
static int uring_loop(struct consumer *consumer, struct io_uring *ring)
{
	unsigned char buffer[DEMO_BUFFER_BYTES];
	struct io_uring_cqe *cqe;
	struct io_uring_sqe *sqe;
	int ret;

	while (!consumer_done(consumer)) {
		sqe = io_uring_get_sqe(ring);
		if (!sqe)
			return consumer_fail(consumer, "io_uring_get_sqe: queue full", 0);
		io_uring_prep_read(sqe, consumer->fd, buffer, sizeof(buffer), 0);
		ret = io_uring_submit_and_wait(ring, 1);
		if (ret < 0)
			return consumer_fail(consumer, "io_uring_submit_and_wait", -ret);
		consumer->result->submitted++;
		ret = io_uring_wait_cqe(ring, &cqe);
		if (ret < 0)
			return consumer_fail(consumer, "io_uring_wait_cqe", -ret);
		ret = cqe->res;
		io_uring_cqe_seen(ring, cqe);
		if (ret < 0)
			return consumer_fail(consumer, "io_uring read", -ret);
		consumer->result->completed++;
		if (consumer_take_read(consumer, buffer, (uint64_t)ret) < 0)
			return -1;
	}
	return 0;
}

int consume_uring(struct consumer *consumer)
{
	struct io_uring ring;
	int ret;

	ret = io_uring_queue_init(8, &ring, 0);
	if (ret < 0)
		return consumer_fail(consumer, "io_uring_queue_init", -ret);
	ret = consumer_ready(consumer);
	if (!ret)
		ret = uring_loop(consumer, &ring);
	io_uring_queue_exit(&ring);
	return ret;
}

#define POSIX_AIO_DEPTH	4

struct posix_aio {
	struct aiocb requests[POSIX_AIO_DEPTH];
	unsigned char buffers[POSIX_AIO_DEPTH][DEMO_RECORD_BYTES];
	unsigned int oldest;
	unsigned int pending;
};

/*
 * Submits reads, but never one that may find nothing: glibc cannot cancel a
 * read that already waits in its thread.
 */
static int posix_aio_fill(struct consumer *consumer, struct posix_aio *aio)
{
	uint64_t left = consumer->expected - consumer->result->bytes;

	while (aio->pending < POSIX_AIO_DEPTH &&
	       left > (uint64_t)aio->pending * DEMO_RECORD_BYTES) {
		unsigned int i = (aio->oldest + aio->pending) % POSIX_AIO_DEPTH;
		struct aiocb *request = &aio->requests[i];

		memset(request, 0, sizeof(*request));
		request->aio_fildes = consumer->fd;
		request->aio_buf = aio->buffers[i];
		request->aio_nbytes = DEMO_RECORD_BYTES;
		request->aio_sigevent.sigev_notify = SIGEV_NONE;
		if (aio_read(request) < 0)
			return consumer_fail(consumer, "aio_read", errno);
		aio->pending++;
		consumer->result->submitted++;
	}
	return 0;
}

static int posix_aio_reap(struct consumer *consumer, struct posix_aio *aio)
{
	struct aiocb *request = &aio->requests[aio->oldest];
	const struct aiocb *list[] = { request };
	ssize_t n;

	while (aio_error(request) == EINPROGRESS)
		if (aio_suspend(list, 1, NULL) < 0 && errno != EINTR)
			return consumer_fail(consumer, "aio_suspend", errno);
	if (aio_error(request))
		return consumer_fail(consumer, "POSIX AIO read", aio_error(request));
	n = aio_return(request);
	consumer->result->completed++;
	if (consumer_take_read(consumer, aio->buffers[aio->oldest], (uint64_t)n) < 0)
		return -1;
	aio->oldest = (aio->oldest + 1) % POSIX_AIO_DEPTH;
	aio->pending--;
	return 0;
}

/*
 * glibc runs the reads of one file in one thread, in the order submitted. After a
 * failure one may still be running when this has returned: its buffer must stay.
 */
int consume_posix_aio(struct consumer *consumer)
{
	static struct posix_aio aio;
	int ret;

	ret = consumer_ready(consumer);
	while (!ret && !consumer_done(consumer)) {
		ret = posix_aio_fill(consumer, &aio);
		if (!ret)
			ret = posix_aio_reap(consumer, &aio);
	}
	return ret;
}
