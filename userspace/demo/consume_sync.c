// SPDX-License-Identifier: LGPL-2.1-or-later
/* Consumers that take data with a system call that returns it. */
#define _GNU_SOURCE
#include "demo.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/achan.h>

int consume_blocking(struct consumer *consumer)
{
	unsigned char buffer[DEMO_BUFFER_BYTES];

	if (consumer_ready(consumer) < 0)
		return -1;
	while (!consumer_done(consumer)) {
		ssize_t n = read(consumer->fd, buffer, sizeof(buffer));

		if (n < 0)
			return consumer_fail(consumer, "read", errno);
		if (consumer_take_read(consumer, buffer, (uint64_t)n) < 0)
			return -1;
	}
	return 0;
}

/* Reads until the channel is empty. 0: it is; the caller waits for more. */
static int take_until_empty(struct consumer *consumer)
{
	unsigned char buffer[DEMO_BUFFER_BYTES];

	while (!consumer_done(consumer)) {
		ssize_t n = read(consumer->fd, buffer, sizeof(buffer));

		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0)
			return consumer_fail(consumer, "non-blocking read", errno);
		if (consumer_take_read(consumer, buffer, (uint64_t)n) < 0)
			return -1;
	}
	return 0;
}

int consume_poll(struct consumer *consumer)
{
	struct pollfd pollfd = { .fd = consumer->fd, .events = POLLIN };

	if (consumer_ready(consumer) < 0)
		return -1;
	while (!consumer_done(consumer)) {
		if (poll(&pollfd, 1, -1) < 0)
			return consumer_fail(consumer, "poll", errno);
		if (pollfd.revents != POLLIN)
			return consumer_fail(consumer, "poll: not POLLIN alone", 0);
		consumer->result->wakeups++;
		if (take_until_empty(consumer) < 0)
			return -1;
	}
	return 0;
}

static int epoll_loop(struct consumer *consumer, int epoll_fd)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };

	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, consumer->fd, &event) < 0)
		return consumer_fail(consumer, "epoll_ctl", errno);
	if (consumer_ready(consumer) < 0)
		return -1;
	while (!consumer_done(consumer)) {
		if (epoll_wait(epoll_fd, &event, 1, -1) < 0)
			return consumer_fail(consumer, "epoll_wait", errno);
		consumer->result->wakeups++;
		if (take_until_empty(consumer) < 0)
			return -1;
	}
	return 0;
}

/* Edge-triggered: an event comes per commit, so every one is read to empty. */
int consume_epoll(struct consumer *consumer)
{
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	int ret;

	if (epoll_fd < 0)
		return consumer_fail(consumer, "epoll_create1", errno);
	ret = epoll_loop(consumer, epoll_fd);
	close(epoll_fd);
	return ret;
}

/* Takes the whole frames of one read; @next is the sequence number due. */
static int take_frames(struct consumer *consumer, const unsigned char *buffer,
		       size_t length, uint64_t *next)
{
	size_t at = 0;

	while (at < length) {
		struct achan_record record;

		if (length - at < sizeof(record))
			return consumer_fail(consumer, "a frame without its header", 0);
		memcpy(&record, buffer + at, sizeof(record));
		if (ACHAN_RECORD_SIZE((size_t)record.length) > length - at)
			return consumer_fail(consumer, "a frame that was cut", 0);
		if (*next != UINT64_MAX)
			consumer->result->gaps += record.sequence - *next;
		*next = record.sequence + 1;
		if (consumer_take(consumer, buffer + at + sizeof(record), record.length) < 0)
			return -1;
		at += ACHAN_RECORD_SIZE((size_t)record.length);
	}
	return 0;
}

/* Framed: one read brings many records, each with its number and time. */
int consume_framed(struct consumer *consumer)
{
	unsigned char buffer[4 * DEMO_BUFFER_BYTES];
	uint64_t next = UINT64_MAX;
	__u32 flags = ACHAN_OPEN_FRAMED;

	if (ioctl(consumer->fd, ACHAN_IOC_SET_FLAGS, &flags) < 0)
		return consumer_fail(consumer, "ACHAN_IOC_SET_FLAGS", errno);
	if (consumer_ready(consumer) < 0)
		return -1;
	while (!consumer_done(consumer)) {
		ssize_t n = read(consumer->fd, buffer, sizeof(buffer));

		if (n < 0)
			return consumer_fail(consumer, "framed read", errno);
		if (!n)
			return consumer_fail(consumer, "a read of 0 bytes: end of file", 0);
		consumer->result->reads++;
		if (take_frames(consumer, buffer, (size_t)n, &next) < 0)
			return -1;
	}
	return 0;
}

static int digest_file(struct consumer *consumer, int file)
{
	unsigned char buffer[DEMO_BUFFER_BYTES];
	uint64_t at = 0;

	while (at < consumer->expected) {
		ssize_t n = pread(file, buffer, sizeof(buffer), (off_t)at);

		if (n <= 0)
			return consumer_fail(consumer, "reading the spliced file", n ? errno : EIO);
		if (digest_add(consumer->digest, buffer, (size_t)n) < 0)
			return consumer_fail(consumer, "SHA-256 of what was read", 0);
		at += (uint64_t)n;
	}
	return 0;
}

static int splice_to_file(struct consumer *consumer, const int pipe_fds[2], int file)
{
	loff_t at = 0;

	while (!consumer_done(consumer)) {
		ssize_t in = splice(consumer->fd, NULL, pipe_fds[1], NULL,
				    DEMO_BUFFER_BYTES, SPLICE_F_MOVE);

		if (in < 0)
			return consumer_fail(consumer, "splice", errno);
		consumer->result->reads++;
		if (consumer_count(consumer, (uint64_t)in) < 0)
			return -1;
		while (in > 0) {
			ssize_t out = splice(pipe_fds[0], NULL, file, &at,
					     (size_t)in, SPLICE_F_MOVE);

			if (out <= 0)
				return consumer_fail(consumer, "splice to a file", errno);
			in -= out;
		}
	}
	return digest_file(consumer, file);
}

/* From the channel to a pipe to a file, without a buffer of this program. */
int consume_splice(struct consumer *consumer)
{
	int pipe_fds[2];
	int file, ret;

	file = memfd_create("achan-demo", MFD_CLOEXEC);
	if (file < 0)
		return consumer_fail(consumer, "memfd_create", errno);
	if (pipe2(pipe_fds, O_CLOEXEC) < 0) {
		ret = consumer_fail(consumer, "pipe2", errno);
		close(file);
		return ret;
	}
	ret = consumer_ready(consumer);
	if (!ret)
		ret = splice_to_file(consumer, pipe_fds, file);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	close(file);
	return ret;
}
