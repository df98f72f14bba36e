// SPDX-License-Identifier: LGPL-2.1-or-later
/* The models, and what all consumers share. */
#include "demo.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void describe_wakeups(const struct result *result, char *text, size_t size)
{
	snprintf(text, size, "%" PRIu64 " wake-ups", result->wakeups);
}

static void describe_signals(const struct result *result, char *text, size_t size)
{
	snprintf(text, size, "%" PRIu64 " signals, %" PRIu64 " overflows",
		 result->signals, result->overflows);
}

static void describe_completions(const struct result *result, char *text, size_t size)
{
	int n = snprintf(text, size, "%" PRIu64 " completions", result->completed);

	if (result->cancelled && n > 0 && (size_t)n < size)
		snprintf(text + n, size - (size_t)n, ", %" PRIu64 " cancelled",
			 result->cancelled);
}

static void describe_gaps(const struct result *result, char *text, size_t size)
{
	snprintf(text, size, "%" PRIu64 " sequence gaps", result->gaps);
}

const struct model models[] = {
	{ "blocking",   O_RDONLY, consume_blocking, NULL },
	{ "poll",       O_RDONLY | O_NONBLOCK, consume_poll, describe_wakeups },
	{ "epoll",      O_RDONLY | O_NONBLOCK, consume_epoll, describe_wakeups },
	{ "SIGIO",      O_RDONLY | O_NONBLOCK, consume_sigio, describe_signals },
	{ "libaio",     O_RDONLY, consume_aio, describe_completions },
	{ "io_uring",   O_RDONLY, consume_uring, describe_completions },
	{ "POSIX AIO",  O_RDONLY, consume_posix_aio, describe_completions },
	{ "splice",     O_RDONLY, consume_splice, NULL },
	{ "framed",     O_RDONLY, consume_framed, describe_gaps },
};

const size_t model_count = sizeof(models) / sizeof(models[0]);

/* @error is a positive errno value, or 0 when @what says it all. */
int consumer_fail(struct consumer *consumer, const char *what, int error)
{
	struct result *result = consumer->result;

	if (error)
		snprintf(result->error, sizeof(result->error), "%s on %s: %s",
			 what, consumer->path, strerror(error));
	else
		snprintf(result->error, sizeof(result->error), "%s on %s",
			 what, consumer->path);
	return -1;
}

/* The consumer waits from now on: starts its clock and the producer. */
int consumer_ready(struct consumer *consumer)
{
	uint64_t go = 1;

	consumer->started = monotonic_ns();
	if (write(consumer->ready_fd, &go, sizeof(go)) != sizeof(go))
		return consumer_fail(consumer, "starting the producer", errno);
	return 0;
}

/* Counts one piece. In message mode it must be one whole record. */
int consumer_count(struct consumer *consumer, uint64_t length)
{
	struct result *result = consumer->result;
	uint64_t left = consumer->expected - result->bytes;
	uint64_t record = left < DEMO_RECORD_BYTES ? left : DEMO_RECORD_BYTES;
	char what[100];

	if (length > left)
		return consumer_fail(consumer, "more bytes than were sent", 0);
	if (!length)
		return consumer_fail(consumer, "a read of 0 bytes: end of file", 0);
	if (consumer->message && length != record) {
		snprintf(what, sizeof(what),
			 "a record of %" PRIu64 " bytes came as %" PRIu64 " bytes",
			 record, length);
		return consumer_fail(consumer, what, 0);
	}
	result->bytes += length;
	return 0;
}

/* Takes bytes that came in one piece, be it a whole read or a part of one. */
int consumer_take(struct consumer *consumer, const void *data, uint64_t length)
{
	if (consumer_count(consumer, length) < 0)
		return -1;
	if (digest_add(consumer->digest, data, length) < 0)
		return consumer_fail(consumer, "SHA-256 of what was read", 0);
	return 0;
}

int consumer_take_read(struct consumer *consumer, const void *data, uint64_t length)
{
	consumer->result->reads++;
	return consumer_take(consumer, data, length);
}

uint64_t consumer_records(const struct consumer *consumer)
{
	return (consumer->expected + DEMO_RECORD_BYTES - 1) / DEMO_RECORD_BYTES;
}

bool consumer_done(const struct consumer *consumer)
{
	return consumer->result->bytes == consumer->expected;
}
