// SPDX-License-Identifier: LGPL-2.1-or-later
/* The I/O models of "recv". */
#include "achanctl.h"

#include <liburing.h>
#include <poll.h>
#include <unistd.h>

static void *new_buffer(struct receiver *receiver)
{
	void *buffer = malloc(receiver->size);

	if (!buffer)
		receiver_fail(receiver, "make room for what comes from",
			      -ENOMEM);
	return buffer;
}

/*
 * Without a time-out read(2) itself waits: achan_read() would go on after a
 * signal.
 */
static ssize_t read_waiting(struct receiver *receiver, void *buffer,
			    size_t size)
{
	int fd = achan_fd(receiver->channel);
	ssize_t got;
	int ret;

	if (receiver->timeout_ns < 0) {
		got = read(fd, buffer, size);
		return got < 0 ? -errno : got;
	}
	do {
		got = achan_read(receiver->channel, buffer, size, 0);
		if (got != -EAGAIN)
			return got;
		ret = receiver_wait(receiver, fd, POLLIN);
	} while (ret > 0);
	return ret ? ret : -ETIMEDOUT;
}

void receive_blocking(struct receiver *receiver)
{
	void *buffer = new_buffer(receiver);
	size_t size;

	while ((size = receiver_size(receiver)))
		receiver_take(receiver, buffer,
			      read_waiting(receiver, buffer, size));
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
	int fd = achan_fd(receiver->channel);
	int ret;

	while ((ret = receiver_wait(receiver, fd, POLLIN)) >= 0) {
		if (ret)
			drain(receiver, buffer);
		else
			receiver_timed_out(receiver);
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

static void dispatch(struct receiver *receiver, struct achan_notifier *notifier)
{
	int fd = achan_notifier_fd(notifier);
	int ret;

	while ((ret = receiver_wait(receiver, fd, POLLIN)) >= 0) {
		if (ret)
			achan_notifier_dispatch(notifier, 0);
		else
			receiver_timed_out(receiver);
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

/*
 * Shows what has completed, oldest first: that is the order of the records. Returns
 * true if there was something; a read that was cancelled is none.
 */
static bool take_completed(struct slots *slots)
{
	struct slot *slot = &slots->slots[slots->first];
	bool some = false;

	while (slots->used && slot->completed) {
		slots->first = (slots->first + 1) % slots->count;
		slots->used--;
		if (slot->res == -ECANCELED) {
			slots->issued--;
		} else {
			receiver_take(slots->receiver, slot->buffer, slot->res);
			some = true;
		}
		slot = &slots->slots[slots->first];
	}
	return some;
}

/*
 * Gives up the reads in flight. Each one's result is the truth: what it has taken
 * until then is used. Returns true if there was something.
 */
static bool give_up(struct slots *slots)
{
	for (unsigned int i = 0; i < slots->used; i++) {
		struct slot *slot = &slots->slots[(slots->first + i) %
						  slots->count];

		if (!slot->completed)
			achan_queue_cancel(slots->queue, slot->req);
	}
	while (achan_queue_in_flight(slots->queue) > 0)
		achan_queue_wait(slots->queue, NULL, 1, slots->count, -1);
	return take_completed(slots);
}

static void run_queue(struct slots *slots)
{
	struct receiver *receiver = slots->receiver;
	int fd = achan_queue_fd(slots->queue);
	int ret = 1;

	while (ret >= 0) {
		while (ret >= 0 && may_issue(slots))
			ret = issue(slots);
		if (ret < 0) {
			receiver_fail(receiver, "submit a read of", ret);
			break;
		}
		ret = receiver_wait(receiver, fd, POLLIN);
		if (ret > 0) {
			achan_queue_dispatch(slots->queue, 0);
			take_completed(slots);
		} else if (!ret && !give_up(slots)) {
			receiver_timed_out(receiver);
		}
	}
	give_up(slots);
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

/* Takes a completion. Returns false if it is not that of a read. */
static bool take_result(struct io_uring *ring, int *result)
{
	struct io_uring_cqe *cqe;
	bool read;

	while (io_uring_wait_cqe(ring, &cqe))
		;
	read = io_uring_cqe_get_data(cqe);
	if (read)
		*result = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return read;
}

/*
 * Gives up the read of @buffer. Its result is the truth: it may have taken
 * something. That of the cancelling says nothing, but comes as well.
 */
static int give_up_read(struct io_uring *ring, void *buffer)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	int result = -ECANCELED;

	io_uring_prep_cancel(sqe, buffer, 0);
	io_uring_sqe_set_data(sqe, NULL);
	while (io_uring_submit(ring) < 0)
		;
	for (int i = 0; i < 2; i++)
		take_result(ring, &result);
	return result;
}

/* Returns what the read did; -ETIMEDOUT, or -EINTR at the end, if it took nothing. */
static int read_once(struct io_uring *ring, struct receiver *receiver,
		     void *buffer)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	int result, ret;

	io_uring_prep_read(sqe, achan_fd(receiver->channel), buffer,
			   (unsigned int)receiver_size(receiver), 0);
	io_uring_sqe_set_data(sqe, buffer);
	ret = io_uring_submit(ring);
	if (ret < 0)
		return ret;
	ret = receiver_wait(receiver, ring->ring_fd, POLLIN);
	if (ret > 0) {
		take_result(ring, &result);
		return result;
	}
	result = give_up_read(ring, buffer);
	if (result != -ECANCELED && result != -EINTR)
		return result;
	return ret ? ret : -ETIMEDOUT;
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
	while (receiver_size(receiver))
		receiver_take(receiver, buffer,
			      read_once(&ring, receiver, buffer));
	io_uring_queue_exit(&ring);
	free(buffer);
}
