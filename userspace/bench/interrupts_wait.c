// SPDX-License-Identifier: LGPL-2.1-or-later
/* What every node is waited for by: sleep in read(), epoll, SIGIO. */
#define _GNU_SOURCE
#include "interrupts.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

static volatile sig_atomic_t signals;

static void on_signal(int number)
{
	(void)number;
	signals++;
}

bool wait_open(struct receiver *receiver)
{
	receiver->fd = open(receiver->edu->node, O_RDWR | O_CLOEXEC);
	return receiver->fd >= 0 || failed("open", receiver->edu->node, errno);
}

bool wait_open_epoll(struct receiver *receiver)
{
	struct epoll_event event = { .events = EPOLLIN };

	if (!wait_open(receiver))
		return false;
	receiver->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (receiver->epoll < 0 ||
	    epoll_ctl(receiver->epoll, EPOLL_CTL_ADD, receiver->fd, &event) < 0)
		return failed("epoll", receiver->edu->node, errno);
	return true;
}

bool wait_epoll(struct receiver *receiver)
{
	struct epoll_event event;

	return epoll_wait(receiver->epoll, &event, 1, -1) == 1 ||
	       failed("epoll_wait", receiver->edu->node, errno);
}

/* The signal stays blocked but in sigsuspend(): it can be neither early nor lost. */
bool wait_open_signal(struct receiver *receiver)
{
	struct sigaction action = { .sa_handler = on_signal };
	sigset_t blocked;

	if (!wait_open(receiver))
		return false;
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGIO);
	sigprocmask(SIG_BLOCK, &blocked, &receiver->asleep);
	sigdelset(&receiver->asleep, SIGIO);
	if (sigaction(SIGIO, &action, NULL) < 0 ||
	    fcntl(receiver->fd, F_SETOWN, getpid()) < 0 ||
	    fcntl(receiver->fd, F_SETFL, O_ASYNC) < 0)
		return failed("arming SIGIO", receiver->edu->node, errno);
	return true;
}

bool wait_signal(struct receiver *receiver)
{
	while (!signals)
		sigsuspend(&receiver->asleep);
	signals = 0;
	return true;
}
