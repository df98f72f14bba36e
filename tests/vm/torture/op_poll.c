// SPDX-License-Identifier: GPL-2.0-only
/* Torture: poll(2), epoll. */
#include "torture.h"

#include <poll.h>
#include <sys/epoll.h>

#define POLLED	4

OPERATION(op_poll)
{
	struct pollfd fds[POLLED];
	int timeout = random_below(random, 3);
	unsigned int i, channel;
	long ret;

	for (i = 0; i < POLLED; i++) {
		fds[i].fd = random_file(random, &channel);
		fds[i].events = random_below(random, 2) * POLLIN |
				random_below(random, 2) * POLLOUT;
	}
	ret = vm_errno(poll(fds, POLLED, timeout));
	for (i = 0; ret > 0 && i < POLLED; i++)
		if (fds[i].revents & ~(fds[i].events | POLLNVAL))
			journal_fail("poll for %#x gave %#x", fds[i].events,
				     fds[i].revents);
	return ret;
}

OPERATION(op_epoll_control)
{
	static const int operations[] = {
		EPOLL_CTL_ADD, EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL,
	};
	unsigned int channel;
	int fd = random_file(random, &channel);
	int operation = operations[random_below(random, 4)];
	struct epoll_event event = {
		.events = random_below(random, 2) * EPOLLIN |
			  random_below(random, 2) * EPOLLOUT |
			  random_below(random, 2) * EPOLLET |
			  random_below(random, 2) * EPOLLONESHOT,
	};

	return vm_errno(epoll_ctl(member->local->epoll, operation, fd,
				  &event));
}

OPERATION(op_epoll_wait)
{
	struct epoll_event events[POLLED];
	long i, ret;

	ret = vm_errno(epoll_wait(member->local->epoll, events, POLLED,
				  random_below(random, 3)));
	for (i = 0; i < ret; i++)
		if (events[i].events & ~(EPOLLIN | EPOLLOUT))
			journal_fail("epoll_wait gave %#x", events[i].events);
	return ret;
}
