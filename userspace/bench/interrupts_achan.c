// SPDX-License-Identifier: LGPL-2.1-or-later
/* achan: the handler has read the datum and acknowledged; it comes in a record. */
#define _GNU_SOURCE
#include "interrupts.h"

#include <errno.h>
#include <libaio.h>
#include <liburing.h>
#include <unistd.h>

#include <linux/achan-edu.h>

static struct achan_edu_record record;

static bool take(struct receiver *receiver, long length, uint32_t *datum)
{
	if (length != sizeof(record))
		return failed("a read gave no record", receiver->edu->node,
			      length < 0 ? (int)-length : 0);
	*datum = record.value;
	receiver->handled = record.interrupted;
	return true;
}

static bool achan_read(struct receiver *receiver, uint32_t *datum)
{
	ssize_t length = read(receiver->fd, &record, sizeof(record));

	return take(receiver, length < 0 ? -errno : length, datum);
}

static bool achan_epoll(struct receiver *receiver, uint32_t *datum)
{
	return wait_epoll(receiver) && achan_read(receiver, datum);
}

static bool achan_signal(struct receiver *receiver, uint32_t *datum)
{
	return wait_signal(receiver) && achan_read(receiver, datum);
}

static bool aio_park(struct receiver *receiver)
{
	static struct iocb request;
	struct iocb *requests[] = { &request };
	int ret;

	io_prep_pread(&request, receiver->fd, &record, sizeof(record), 0);
	ret = io_submit(receiver->private, 1, requests);
	return ret == 1 || failed("io_submit", receiver->edu->node, -ret);
}

static bool aio_open(struct receiver *receiver)
{
	io_context_t context = NULL;
	int ret = io_setup(1, &context);

	if (ret < 0)
		return failed("io_setup", receiver->edu->node, -ret);
	receiver->private = context;
	return wait_open(receiver) && aio_park(receiver);
}

static bool aio_wait(struct receiver *receiver, uint32_t *datum)
{
	struct io_event event;
	int ret = io_getevents(receiver->private, 1, 1, &event, NULL);

	if (ret != 1)
		return failed("io_getevents", receiver->edu->node, -ret);
	return take(receiver, (long)event.res, datum);
}

static bool uring_open(struct receiver *receiver)
{
	static struct io_uring ring;
	int ret = io_uring_queue_init(1, &ring, 0);

	if (ret < 0)
		return failed("io_uring_queue_init", receiver->edu->node, -ret);
	receiver->private = &ring;
	return wait_open(receiver);
}

static bool uring_wait(struct receiver *receiver, uint32_t *datum)
{
	struct io_uring *ring = receiver->private;
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct io_uring_cqe *cqe;
	int ret;

	io_uring_prep_read(sqe, receiver->fd, &record, sizeof(record), 0);
	ret = io_uring_submit_and_wait(ring, 1);
	if (ret >= 0)
		ret = io_uring_peek_cqe(ring, &cqe);
	if (ret < 0)
		return failed("io_uring", receiver->edu->node, -ret);
	ret = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return take(receiver, ret, datum);
}

const struct model achan_models[] = {
	{ "blocking read", wait_open, achan_read, NULL },
	{ "epoll", wait_open_epoll, achan_epoll, NULL },
	{ "SIGIO", wait_open_signal, achan_signal, NULL },
	{ "AIO, parked", aio_open, aio_wait, aio_park },
	{ "io_uring", uring_open, uring_wait, NULL },
};

const unsigned int achan_model_count = sizeof(achan_models) / sizeof(achan_models[0]);
