// SPDX-License-Identifier: LGPL-2.1-or-later
/* Consumers through libachan: the notifier (SIGIO) and the queue (kernel AIO). */
#define _GNU_SOURCE
#include "demo.h"

#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "achan.h"

/*
 * A handle for the consumer's file, which stays the consumer's as well; NULL after
 * a failure, which has been reported.
 */
static struct achan *open_handle(struct consumer *consumer)
{
	struct achan *channel;
	int fd = dup(consumer->fd);
	int ret;

	if (fd < 0) {
		consumer_fail(consumer, "dup", errno);
		return NULL;
	}
	ret = achan_open_fd(&channel, fd);
	if (ret < 0) {
		close(fd);
		consumer_fail(consumer, "achan_open_fd", -ret);
		return NULL;
	}
	return channel;
}

struct sigio {
	struct consumer *consumer;
	sem_t end;		/* posted when all has come, or an error */
	bool ended;
	int ret;
};

static int sigio_drain(struct sigio *sigio, struct achan *channel)
{
	struct consumer *consumer = sigio->consumer;
	unsigned char buffer[DEMO_BUFFER_BYTES];

	while (!consumer_done(consumer)) {
		ssize_t n = achan_read(channel, buffer, sizeof(buffer), 0);

		if (n == -EAGAIN)
			return 0;
		if (n < 0)
			return consumer_fail(consumer, "achan_read", (int)-n);
		if (consumer_take_read(consumer, buffer, (uint64_t)n) < 0)
			return -1;
	}
	return 0;
}

/*
 * The driver signals every record put in, and this one reader cannot take a
 * record before its signal is due: none may be missing at the end, unless the
 * queue of signals ran over.
 */
static bool sigio_complete(const struct consumer *consumer)
{
	const struct result *result = consumer->result;

	return consumer_done(consumer) &&
	       (result->overflows || result->signals == consumer_records(consumer));
}

/* Edge-like: reads all there is, and may find nothing where an earlier call took it. */
static void on_notify(struct achan *channel, const struct achan_notify_event *event, void *data)
{
	struct sigio *sigio = data;
	struct consumer *consumer = sigio->consumer;

	if (sigio->ended)
		return;
	if (event->flags & ACHAN_NF_OVERFLOW)
		consumer->result->overflows++;
	else if (!(event->flags & ACHAN_NF_INITIAL))
		consumer->result->signals++;
	if (event->events & (POLLERR | POLLHUP))
		sigio->ret = consumer_fail(consumer, "POLLERR or POLLHUP", 0);
	else
		sigio->ret = sigio_drain(sigio, channel);
	if (sigio->ret || sigio_complete(consumer)) {
		sigio->ended = true;
		sem_post(&sigio->end);
	}
}

static int sigio_run(struct consumer *consumer, struct achan *channel)
{
	struct sigio sigio = { .consumer = consumer };
	struct achan_notifier *notifier;
	int ret;

	ret = achan_notifier_new(&notifier, NULL);
	if (ret < 0)
		return consumer_fail(consumer, "achan_notifier_new", -ret);
	sem_init(&sigio.end, 0, 0);
	ret = achan_notifier_add(notifier, channel, on_notify, &sigio);
	if (ret < 0)
		ret = consumer_fail(consumer, "achan_notifier_add", -ret);
	else
		ret = consumer_ready(consumer);
	if (!ret) {
		while (sem_wait(&sigio.end) < 0)
			;
		ret = sigio.ret;
	}
	achan_notifier_free(notifier);
	sem_destroy(&sigio.end);
	return ret;
}

int consume_sigio(struct consumer *consumer)
{
	struct achan *channel = open_handle(consumer);
	int ret;

	if (!channel)
		return -1;
	ret = sigio_run(consumer, channel);
	achan_close(channel);
	return ret;
}

#define QUEUE_DEPTH	64

/* Reads complete in the order submitted; the buffers are taken in that order. */
struct slot {
	struct achan_req *request;
	bool in_flight;
	int64_t result;
	unsigned char buffer[DEMO_RECORD_BYTES];
};

struct reader {
	struct consumer *consumer;
	struct achan *channel;
	struct achan_queue *queue;
	struct slot *slots;
	unsigned int oldest;
};

/* Submits @count reads, the first of them into slot @first. */
static int submit_reads(struct reader *reader, unsigned int first, unsigned int count)
{
	struct achan_req *requests[QUEUE_DEPTH];
	unsigned int i;
	int ret;

	if (!count)
		return 0;
	for (i = 0; i < count; i++) {
		struct slot *slot = &reader->slots[(first + i) % QUEUE_DEPTH];

		ret = achan_req_prep_read(slot->request, reader->channel, slot->buffer,
					  sizeof(slot->buffer));
		if (!ret)
			ret = achan_req_set_done(slot->request, NULL, slot);
		if (ret)
			return consumer_fail(reader->consumer, "preparing a read", -ret);
		slot->in_flight = true;
		requests[i] = slot->request;
	}
	ret = achan_queue_submit(reader->queue, requests, count);
	if (ret != (int)count)
		return consumer_fail(reader->consumer, "achan_queue_submit", ret < 0 ? -ret : 0);
	reader->consumer->result->submitted += count;
	return 0;
}

static int wait_for_slots(struct reader *reader)
{
	struct achan_cqe completions[QUEUE_DEPTH];
	int i, n;

	n = achan_queue_wait(reader->queue, completions, 1, QUEUE_DEPTH, -1);
	if (n < 0)
		return consumer_fail(reader->consumer, "achan_queue_wait", -n);
	for (i = 0; i < n; i++) {
		struct slot *slot = completions[i].data;

		slot->in_flight = false;
		slot->result = completions[i].res;
		if (slot->result == -ECANCELED)
			reader->consumer->result->cancelled++;
		else
			reader->consumer->result->completed++;
	}
	return 0;
}

/* Takes the slots that are complete, oldest first, and submits them again. */
static int take_slots(struct reader *reader)
{
	struct consumer *consumer = reader->consumer;
	unsigned int first = reader->oldest, taken = 0;

	while (taken < QUEUE_DEPTH && !consumer_done(consumer)) {
		struct slot *slot = &reader->slots[reader->oldest];

		if (slot->in_flight)
			break;
		if (slot->result < 0)
			return consumer_fail(consumer, "asynchronous read", (int)-slot->result);
		if (consumer_take_read(consumer, slot->buffer, (uint64_t)slot->result) < 0)
			return -1;
		reader->oldest = (reader->oldest + 1) % QUEUE_DEPTH;
		taken++;
	}
	return submit_reads(reader, first, taken);
}

/* All has come, and every slot is parked again: one completion each. */
static int cancel_rest(struct reader *reader)
{
	unsigned int i;
	int ret;

	for (i = 0; i < QUEUE_DEPTH; i++) {
		if (!reader->slots[i].in_flight)
			continue;
		ret = achan_queue_cancel(reader->queue, reader->slots[i].request);
		if (ret < 0)
			return consumer_fail(reader->consumer, "achan_queue_cancel", -ret);
	}
	while (achan_queue_in_flight(reader->queue) > 0)
		if (wait_for_slots(reader) < 0)
			return -1;
	return 0;
}

static int read_all(struct reader *reader)
{
	unsigned int i;
	int ret;

	for (i = 0; i < QUEUE_DEPTH; i++) {
		reader->slots[i].request = achan_queue_get_req(reader->queue);
		if (!reader->slots[i].request)
			return consumer_fail(reader->consumer, "achan_queue_get_req: none left", 0);
	}
	ret = submit_reads(reader, 0, QUEUE_DEPTH);
	if (!ret)
		ret = consumer_ready(reader->consumer);
	while (!ret && !consumer_done(reader->consumer)) {
		ret = wait_for_slots(reader);
		if (!ret)
			ret = take_slots(reader);
	}
	return ret ? ret : cancel_rest(reader);
}

static int aio_run(struct reader *reader)
{
	struct consumer *consumer = reader->consumer;
	int ret;

	reader->slots = calloc(QUEUE_DEPTH, sizeof(*reader->slots));
	if (!reader->slots)
		return consumer_fail(consumer, "memory for the reads", ENOMEM);
	ret = achan_queue_new(&reader->queue, QUEUE_DEPTH, NULL);
	if (ret < 0) {
		ret = consumer_fail(consumer, "achan_queue_new", -ret);
	} else {
		ret = read_all(reader);
		achan_queue_free(reader->queue);
	}
	free(reader->slots);
	return ret;
}

/* Many reads parked at once: the producer completes them as it writes. */
int consume_aio(struct consumer *consumer)
{
	struct reader reader = {
		.consumer = consumer,
		.channel = open_handle(consumer),
	};
	int ret;

	if (!reader.channel)
		return -1;
	ret = aio_run(&reader);
	achan_close(reader.channel);
	return ret;
}
