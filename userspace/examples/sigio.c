// SPDX-License-Identifier: LGPL-2.1-or-later
/* A notifier calls back when something was written: signal-driven I/O. */
#include <achan.h>
#include <poll.h>
#include <semaphore.h>
#include <time.h>

#include "example.h"

static sem_t received;

/* Runs on the notifier's own thread, where every function may be called. */
static void on_event(struct achan *channel,
		     const struct achan_notify_event *event, void *data)
{
	const uint64_t *ring_bytes = data;
	uint64_t total = 0;
	long length = 0;
	char text[256];

	if (event->flags & ACHAN_NF_OVERFLOW)
		printf("sigio: signals were lost, the channel was polled\n");
	if (!(event->events & POLLIN))
		return;
	/*
	 * One call may stand for many records: read until there is none. After
	 * as much as the ring holds, what is left signals by itself.
	 */
	while (total < *ring_bytes &&
	       (length = achan_read(channel, text, sizeof(text), 0)) > 0) {
		total += (uint64_t)length;
		must_match(text, length);
		printf("sigio: signalled, read %ld bytes: %s\n", length, text);
		sem_post(&received);
	}
	if (length != -EAGAIN)
		must(length, "read from the channel");
}

int main(int argc, char **argv)
{
	const char *device = example_device(argc, argv);
	struct achan_notifier *notifier;
	struct achan *channel;
	struct timespec deadline;
	struct achan_info info;

	sem_init(&received, 0, 0);
	must_open(achan_open(&channel, device, NULL), device);
	must(achan_notifier_new(&notifier, NULL), "create a notifier");
	must(achan_get_info(channel, &info), "ask the channel for its size");
	must(achan_notifier_add(notifier, channel, on_event, &info.ring_bytes),
	     "add the channel to the notifier");

	must(achan_write(channel, EXAMPLE_TEXT, sizeof(EXAMPLE_TEXT), -1),
	     "write");
	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += 60;
	must_errno(sem_timedwait(&received, &deadline), "get a signal");

	achan_notifier_free(notifier);
	achan_close(channel);
	return 0;
}
