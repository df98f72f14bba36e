// SPDX-License-Identifier: LGPL-2.1-or-later
/* The I/O models of "recv". */
#include "achanctl.h"

#include <liburing.h>
#include <poll.h>
#include <time.h>

static void *new_buffer(struct receiver *receiver)
{
	void *buffer = malloc(receiver->size);

	if (!buffer)
		receiver_fail(receiver, "make room for what comes from",
			      -ENOMEM);
	return buffer;
}

void receive_blocking(struct receiver *receiver)
{
	void *buffer = new_buffer(receiver);
	size_t size;

	while ((size = receiver_size(receiver)))
		receiver_take(receiver, buffer,
			      achan_read(receiver->channel, buffer, size,
					 receiver->timeout_ns));
	free(buffer);
}

/* Reads what is there, and does not wait. */
static void drain(struct receiver *receiver, void *buffer)
{
	ssize_t got;
	size_t size;

	while ((size = receiver_size(receiver))) {
		got = achan_read(receiver->channel, buffer, size, 0);
		if (got == -EAGAIN)
			return;
		receiver_take(receiver, buffer, got);
	}
}

void receive_poll(struct receiver *receiver)
{
	void *buffer = new_buffer(receiver);
	int ret;

	while (!receiver->done) {
		ret = achan_poll(receiver->channel, POLLIN,
				 receiver->timeout_ns);
		if (!ret)
			receiver_timed_out(receiver);
		else if (ret > 0)
			drain(receiver, buffer);
		else if (ret != -EINTR)
			receiver_fail(receiver, "poll", ret);
	}
	free(buffer);
}

/* --------------------------------------------------------------- sigio */

struct signalled {
	struct receiver *receiver;
	void *buffer;
};

static void on_event(struct achan *channel,
		     const struct achan_notify_event *event, void *data)
{
	struct signalled *signalled = data;

	(void)channel;
	(void)event;
	drain(signalled->receiver, signalled->buffer);
}

static const struct timespec *timeout_of(const struct receiver *receiver,
					 struct timespec *timeout)
{
	if (receiver->timeout_ns < 0)
		return NULL;
	timeout->tv_sec = (time_t)(receiver->timeout_ns / NS_PER_SECOND);
	timeout->tv_nsec = (long)(receiver->timeout_ns % NS_PER_SECOND);
	return timeout;
}

static void dispatch(struct receiver *receiver, struct achan_notifier *notifier)
{
	struct pollfd wait = { .fd = achan_notifier_fd(notifier),
			       .events = POLLIN };
	struct timespec timeout;
	int ret;

	while (!receiver->done) {
		ret = ppoll(&wait, 1, timeout_of(receiver, &timeout), NULL);
		if (!ret)
			receiver_timed_out(receiver);
		else if (ret > 0)
			achan_notifier_dispatch(notifier, 0);
		else if (errno != EINTR)
			receiver_fail(receiver, "wait for", -errno);
	}
}

void receive_sigio(struct receiver *receiver)
{
	struct achan_notifier_opts opts = { .sz = sizeof(opts),
					    .mode = ACHAN_NOTIFY_FD };
	struct signalled signalled = { .receiver = receiver,
				       .buffer = new_buffer(receiver) };
	struct achan_notifier *notifier = NULL;
	int ret;

	if (receiver->done) {
		free(signalled.buffer);
		return;
	}
	ret = achan_notifier_new(&notifier, &opts);
	if (!ret)
		ret = achan_notifier_add(notifier, receiver->channel, on_event,
					 &signalled);
	if (ret)
		receiver_fail(receiver, "get signals of", ret);
	else
		dispatch(receiver, notifier);
	achan_notifier_free(notifier);
	free(signalled.buffer);
}

/* ----------------------------------------------------------------- aio */

/* One request and its buffer; they are served in the order of their use. */
struct slot {
	struct achan_req *req;
	char *buffer;
	bool in_flight;
	bool completed;
	int64_t res;
};

struct slots {
	struct receiver *receiver;
	struct achan_queue *queue;
	struct slot *slots;
	unsigned int count;
	unsigned int first;	/* oldest one in flight */
	unsigned int used;
	uint64_t issued;
};

static void on_done(struct achan_req *req, int64_t res, void *data)
{
	struct slot *slot = data;

	slot->completed = true;
	slot->res = res;
	achan_req_put(req);
	slot->req = NULL;
}

/* No more than is wanted: what a read takes cannot be put back. */
static bool may_issue(const struct slots *slots)
{
	const struct receiver *receiver = slots->receiver;

	if (receiver->done || slots->used == slots->count)
		return false;
	if (slots->used && (receiver->bytes ||
			    (receiver->count && receiver->output.framed)))
		return false;
	return !receiver->count || receiver->output.framed ||
	       slots->issued < receiver->count;
}

static int issue(struct slots *slots)
{
	struct slot *slot = &slots->slots[(slots->first + slots->used) %
					  slots->count];
	int ret;

	slot->req = achan_queue_get_req(slots->queue);
	if (!slot->req)
		return -EAGAIN;
	slot->completed = false;
	achan_req_prep_read(slot->req, slots->receiver->channel, slot->buffer,
			    receiver_size(slots->receiver));
	achan_req_set_done(slot->req, on_done, slot);
	ret = achan_queue_submit(slots->queue, &slot->req, 1);
	if (ret < 0)
		return ret;
	slots->used++;
	slots->issued++;
	return 0;
}

/* Shows what has completed, oldest first: that is the order of the records. */
static void take_completed(struct slots *slots)
{
	struct slot *slot = &slots->slots[slots->first];

	while (slots->used && slot->completed && !slots->receiver->done) {
		slots->first = (slots->first + 1) % slots->count;
		slots->used--;
		receiver_take(slots->receiver, slot->buffer, slot->res);
		slot = &slots->slots[slots->first];
	}
}

static void run_queue(struct slots *slots)
{
	struct receiver *receiver = slots->receiver;
	int ret = 0;

	while (!receiver->done) {
		while (!ret && may_issue(slots))
			ret = issue(slots);
		if (ret < 0) {
			receiver_fail(receiver, "submit a read of", ret);
			break;
		}
		ret = achan_queue_wait(slots->queue, NULL, 1, slots->count,
				       receiver->timeout_ns);
		if (!ret)
			receiver_timed_out(receiver);
		else if (ret < 0 && ret != -EINTR)
			receiver_fail(receiver, "wait for", ret);
		ret = 0;
		take_completed(slots);
	}
}

static bool make_buffers(struct slots *slots)
{
	slots->slots = calloc(slots->count, sizeof(*slots->slots));
	for (unsigned int i = 0; slots->slots && i < slots->count; i++) {
		slots->slots[i].buffer = malloc(slots->receiver->size);
		if (!slots->slots[i].buffer)
			return false;
	}
	return slots->slots;
}

static void free_buffers(struct slots *slots)
{
	for (unsigned int i = 0; slots->slots && i < slots->count; i++)
		free(slots->slots[i].buffer);
	free(slots->slots);
}

void receive_aio(struct receiver *receiver)
{
	struct slots slots = { .receiver = receiver, .count = receiver->depth };
	int ret = make_buffers(&slots) ? 0 : -ENOMEM;

	if (!ret)
		ret = achan_queue_new(&slots.queue, slots.count, NULL);
	if (ret)
		receiver_fail(receiver, "set up requests for", ret);
	else
		run_queue(&slots);
	/* Only afterwards does the kernel touch none of the buffers. */
	achan_queue_free(slots.queue);
	free_buffers(&slots);
}

/* ------------------------------------------------------------ io_uring */

/* Returns what the read did; -ETIMEDOUT if it did nothing in the time. */
static int read_once(struct io_uring *ring, struct receiver *receiver,
		     void *buffer)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct __kernel_timespec timeout = {
		.tv_sec = receiver->timeout_ns / NS_PER_SECOND,
		.tv_nsec = receiver->timeout_ns % NS_PER_SECOND,
	};
	struct io_uring_cqe *cqe;
	int ret;

	io_uring_prep_read(sqe, achan_fd(receiver->channel), buffer,
			   (unsigned int)receiver_size(receiver), 0);
	ret = io_uring_submit(ring);
	if (ret < 0)
		return ret;
	do {
		ret = receiver->timeout_ns < 0 ?
		      io_uring_wait_cqe(ring, &cqe) :
		      io_uring_wait_cqe_timeout(ring, &cqe, &timeout);
	} while (ret == -EINTR);
	if (ret)
		return ret == -ETIME ? -ETIMEDOUT : ret;
	ret = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return ret;
}

/* One read at a time: several would not be served in their order. */
void receive_uring(struct receiver *receiver)
{
	void *buffer = new_buffer(receiver);
	struct io_uring ring;
	int ret;

	if (receiver->done) {
		free(buffer);
		return;
	}
	ret = io_uring_queue_init(4, &ring, 0);
	if (ret) {
		receiver_fail(receiver, "set up io_uring for", ret);
		free(buffer);
		return;
	}
	while (!receiver->done)
		receiver_take(receiver, buffer,
			      read_once(&ring, receiver, buffer));
	/* Ends a read that is still waiting, before its buffer goes. */
	io_uring_queue_exit(&ring);
	free(buffer);
}
