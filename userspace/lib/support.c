// SPDX-License-Identifier: LGPL-2.1-or-later
/* Options, time and waiting: what all handles need. */
#include "internal.h"

#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifndef SYS_futex
#define SYS_futex	SYS_futex_time64	/* without a time-out the same */
#endif

void *achan_allocate(size_t count, size_t size)
{
	int saved = errno;
	void *memory = calloc(count, size);

	errno = saved;
	return memory;
}

void achan_close_fd(int fd)
{
	int saved = errno;

	close(fd);
	errno = saved;
}

int achan_options_read(void *to, size_t size, size_t oldest, const void *from)
{
	const unsigned char *bytes = from;
	size_t given;

	memset(to, 0, size);
	if (!from)
		return 0;
	memcpy(&given, from, sizeof(given));
	if (given < oldest)
		return -EINVAL;
	for (size_t i = size; i < given; i++)
		if (bytes[i])
			return -E2BIG;
	memcpy(to, from, given < size ? given : size);
	return 0;
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * ACHAN_NS_PER_SECOND + now.tv_nsec;
}

int64_t achan_deadline(int64_t timeout_ns)
{
	int64_t now;

	if (timeout_ns < 0)
		return ACHAN_DEADLINE_NEVER;
	if (!timeout_ns)
		return 0;
	now = now_ns();
	return timeout_ns < ACHAN_DEADLINE_NEVER - now ? now + timeout_ns
						       : ACHAN_DEADLINE_NEVER;
}

int achan_wait_fd(int fd, int events, int64_t deadline)
{
	struct pollfd pfd = { .fd = fd, .events = (short)events };
	struct timespec left = { 0 };
	int64_t ns;
	int ret;

	if (deadline && deadline != ACHAN_DEADLINE_NEVER) {
		ns = deadline - now_ns();
		if (ns > 0) {
			left.tv_sec = (time_t)(ns / ACHAN_NS_PER_SECOND);
			left.tv_nsec = (long)(ns % ACHAN_NS_PER_SECOND);
		}
	}
	ret = ACHAN_RESULT(ppoll(&pfd, 1, deadline == ACHAN_DEADLINE_NEVER ?
				 NULL : &left, NULL));
	if (ret > 0)
		return pfd.revents & POLLNVAL ? -EBADF : pfd.revents;
	return ret;
}

bool achan_events_valid(int events)
{
	return !(events & ~(POLLIN | POLLPRI | POLLOUT | POLLERR | POLLHUP |
			    POLLRDNORM | POLLRDBAND | POLLWRNORM | POLLWRBAND |
			    POLLRDHUP));
}

static void futex(_Atomic uint32_t *word, int operation, uint32_t value)
{
	int saved = errno;

	syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, NULL);
	errno = saved;
}

void achan_event_signal(struct achan_event *event)
{
	atomic_fetch_add(&event->sequence, 1);
	if (atomic_load(&event->waiters))
		futex(&event->sequence, FUTEX_WAKE, INT_MAX);
}

uint32_t achan_event_prepare(struct achan_event *event)
{
	atomic_fetch_add(&event->waiters, 1);
	return atomic_load(&event->sequence);
}

void achan_event_cancel(struct achan_event *event)
{
	atomic_fetch_sub(&event->waiters, 1);
}

/* Returns at once if the sequence moved since @key; may return early. */
void achan_event_wait(struct achan_event *event, uint32_t key)
{
	futex(&event->sequence, FUTEX_WAIT, key);
	atomic_fetch_sub(&event->waiters, 1);
}
