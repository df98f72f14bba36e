// SPDX-License-Identifier: LGPL-2.1-or-later
/* A write to a channel that a stop ends; achan_write() would go on. */
#include "achanctl.h"

#include <poll.h>
#include <unistd.h>

/* Returns what could be written at once, or when there is room until @deadline. */
static ssize_t write_some(struct achan *channel, const char *bytes,
			  size_t length, int64_t deadline)
{
	ssize_t put;
	int64_t left;
	int ret;

	if (deadline < 0) {
		put = write(achan_fd(channel), bytes, length);
		return put < 0 ? -errno : put;
	}
	put = achan_write(channel, bytes, length, 0);
	if (put != -EAGAIN)
		return put;
	left = deadline - now_ns();
	ret = achan_poll(channel, POLLOUT, left > 0 ? left : 0);
	if (ret)
		return ret < 0 ? ret : -EAGAIN;
	return -ETIMEDOUT;
}

ssize_t write_waiting(struct achan *channel, const char *bytes, size_t length,
		      int64_t timeout_ns)
{
	int64_t deadline = timeout_ns < 0 ? -1 : now_ns() + timeout_ns;
	size_t done = 0;
	ssize_t put = 0;

	while (done < length) {
		if (stopped()) {
			put = -EINTR;
			break;
		}
		put = write_some(channel, bytes + done, length - done,
				 deadline);
		if (put > 0)
			done += (size_t)put;
		else if (put != -EINTR && put != -EAGAIN)
			break;
	}
	return done || !put ? (ssize_t)done : put;
}
