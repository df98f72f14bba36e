// SPDX-License-Identifier: GPL-2.0-only
/* Notifiers of libachan in all modes, on pipes, sockets and terminals. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "../../userspace/lib/internal.h"
#include "library.h"
#include "unit.h"

#define MODES	3

/* What a channel's callbacks saw. */
struct probe {
	_Atomic int calls;
	_Atomic int overflows;
	_Atomic int initials;
	_Atomic int events;	/* of all calls together */
	_Atomic int thread;	/* of the last call */
	_Atomic int entered;
	/* Callbacks wait while this is set. */
	_Atomic bool *gate;
	/* What a callback does besides; THREAD and FD mode. */
	void (*act)(struct probe *probe, struct achan *channel);
	struct achan_notifier *notifier;
};

static void on_event(struct achan *channel,
		     const struct achan_notify_event *event, void *data)
{
	struct probe *probe = data;

	atomic_fetch_add(&probe->entered, 1);
	while (probe->gate && atomic_load(probe->gate))
		library_pause_ms(1);
	atomic_fetch_or(&probe->events, (int)event->events);
	atomic_store(&probe->thread, (int)syscall(SYS_gettid));
	if (event->flags & ACHAN_NF_OVERFLOW)
		atomic_fetch_add(&probe->overflows, 1);
	if (event->flags & ACHAN_NF_INITIAL)
		atomic_fetch_add(&probe->initials, 1);
	if (probe->act)
		probe->act(probe, channel);
	atomic_fetch_add(&probe->calls, 1);
}

static struct achan_notifier *new_notifier(uint32_t mode)
{
	struct achan_notifier_opts opts = { .sz = sizeof(opts), .mode = mode };
	struct achan_notifier *notifier;

	ck_assert_int_eq(achan_notifier_new(&notifier, &opts), 0);
	return notifier;
}

static int try_mode(struct achan_notifier **notifier, uint32_t mode)
{
	struct achan_notifier_opts opts = { .sz = sizeof(opts), .mode = mode };

	return achan_notifier_new(notifier, &opts);
}

static void add(struct achan_notifier *notifier, struct achan *channel,
		struct probe *probe)
{
	ck_assert_int_eq(achan_notifier_add(notifier, channel, on_event,
					    probe), 0);
}

/* Gives a notifier of any mode the time to get @value to @wanted. */
static bool reaches(struct achan_notifier *notifier, _Atomic int *value,
		    int wanted)
{
	int64_t deadline = unit_now_ns() + unit_timeout_ns(10);

	while (atomic_load(value) < wanted) {
		struct pollfd pfd = { .events = POLLIN };

		if (unit_now_ns() > deadline)
			return false;
		pfd.fd = achan_notifier_fd(notifier);
		if (pfd.fd < 0)
			library_pause_ms(1);
		else if (poll(&pfd, 1, 10) == 1)
			achan_notifier_dispatch(notifier, 0);
	}
	return true;
}

/*
 * Returns when the notifier has acted on everything sent to it before: a
 * channel added now is announced after that.
 */
static void settle(struct achan_notifier *notifier)
{
	struct probe probe = { 0 };
	struct achan *ends[2];

	library_pipe(ends, O_NONBLOCK);
	library_write_bytes(ends[1], 1);
	add(notifier, ends[0], &probe);
	ck_assert(reaches(notifier, &probe.calls, 1));
	ck_assert_int_eq(achan_notifier_del(notifier, ends[0]), 0);
	library_close(ends);
}

static bool is_async(const struct achan *channel)
{
	return fcntl(achan_fd(channel), F_GETFL) & O_ASYNC;
}

/* ------------------------------------------------------ in every mode */

START_TEST(signal_calls_back_with_its_events)
{
	struct achan_notifier *notifier = new_notifier(_i);
	struct probe probe = { 0 };
	struct achan *ends[2];

	library_pipe(ends, O_NONBLOCK);
	add(notifier, ends[0], &probe);
	settle(notifier);
	ck_assert_int_eq(probe.calls, 0);
	library_write_bytes(ends[1], 1);
	ck_assert(reaches(notifier, &probe.calls, 1));
	ck_assert_int_eq(probe.events, POLLIN | POLLRDNORM);
	ck_assert_int_eq(probe.overflows + probe.initials, 0);
	ck_assert_int_eq(probe.thread == getpid(),
			 _i != ACHAN_NOTIFY_THREAD);
	achan_notifier_free(notifier);
	library_close(ends);
}
END_TEST

START_TEST(every_commit_calls_back_once)
{
	struct achan_notifier *notifier = new_notifier(_i);
	struct probe probe = { 0 };
	struct achan *ends[2];

	library_pipe(ends, O_NONBLOCK);
	add(notifier, ends[0], &probe);
	settle(notifier);
	library_write_bytes(ends[1], 100);
	settle(notifier);
	ck_assert_int_eq(probe.calls, 100);
	ck_assert_int_eq(probe.overflows, 0);
	achan_notifier_free(notifier);
	library_close(ends);
}
END_TEST

START_TEST(data_from_before_the_add_is_announced)
{
	struct achan_notifier *notifier = new_notifier(_i);
	struct probe probe = { 0 };
	struct achan *ends[2];

	library_pipe(ends, O_NONBLOCK);
	library_write_bytes(ends[1], 1);
	add(notifier, ends[0], &probe);
	ck_assert(reaches(notifier, &probe.calls, 1));
	ck_assert_int_eq(probe.initials, 1);
	ck_assert_int_ne(probe.events & POLLIN, 0);
	settle(notifier);
	ck_assert_int_eq(probe.calls, 1);
	achan_notifier_free(notifier);
	library_close(ends);
}
END_TEST

START_TEST(room_calls_back_a_writer)
{
	struct achan_notifier *notifier = new_notifier(_i);
	struct probe probe = { 0 };
	struct achan *ends[2];
	static char page[4096];

	library_pipe(ends, O_NONBLOCK);
	while (achan_write(ends[1], page, sizeof(page), 0) > 0)
		;
	add(notifier, ends[1], &probe);
	settle(notifier);
	ck_assert_int_eq(probe.calls, 0);
	library_drain(ends[0]);
	ck_assert(reaches(notifier, &probe.calls, 1));
	ck_assert_int_ne(probe.events & POLLOUT, 0);
	achan_notifier_free(notifier);
	library_close(ends);
}
END_TEST

static int open_socket(int *other)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	*other = fds[1];
	return fds[0];
}

static int open_terminal(int *other)
{
	struct termios raw;
	int fd;

	*other = posix_openpt(O_RDWR | O_NOCTTY);
	ck_assert_int_ge(*other, 0);
	ck_assert_int_eq(grantpt(*other), 0);
	ck_assert_int_eq(unlockpt(*other), 0);
	fd = open(ptsname(*other), O_RDWR | O_NOCTTY);
	ck_assert_int_ge(fd, 0);
	tcgetattr(fd, &raw);
	cfmakeraw(&raw);
	tcsetattr(fd, TCSANOW, &raw);
	return fd;
}

static int (*const openers[])(int *other) = { open_socket, open_terminal };

/* The index counts modes and, above them, kinds of file. */
START_TEST(sockets_and_terminals_call_back_too)
{
	struct achan_notifier *notifier = new_notifier(_i % MODES);
	struct probe probe = { 0 };
	struct achan *channel;
	int other;

	channel = library_channel(openers[_i / MODES](&other));
	add(notifier, channel, &probe);
	settle(notifier);
	ck_assert_int_eq(write(other, "x", 1), 1);
	ck_assert(reaches(notifier, &probe.calls, 1));
	ck_assert_int_ne(probe.events & POLLIN, 0);
	achan_notifier_free(notifier);
	achan_close(channel);
	close(other);
}
END_TEST

START_TEST(del_ends_the_signals_and_gives_the_file_back)
{
	struct achan_notifier *notifier = new_notifier(_i);
	struct probe probe = { 0 };
	struct f_owner_ex owner;
	struct achan *ends[2];

	library_pipe(ends, O_NONBLOCK);
	add(notifier, ends[0], &probe);
	ck_assert(is_async(ends[0]));
	ck_assert_int_eq(achan_notifier_del(notifier, ends[0]), 0);
	ck_assert(!is_async(ends[0]));
	ck_assert_int_eq(fcntl(achan_fd(ends[0]), F_GETSIG), 0);
	ck_assert_int_eq(fcntl(achan_fd(ends[0]), F_GETOWN_EX, &owner), 0);
	ck_assert_int_eq(owner.pid, 0);
	library_write_bytes(ends[1], 5);
	settle(notifier);
	ck_assert_int_eq(probe.calls, 0);
	ck_assert_int_eq(achan_notifier_del(notifier, ends[0]), -ENOENT);

	/* It can be added again, and finds what was written. */
	add(notifier, ends[0], &probe);
	ck_assert(reaches(notifier, &probe.initials, 1));
	achan_notifier_free(notifier);
	library_close(ends);
}
END_TEST

START_TEST(channel_is_in_one_notifier_at_a_time)
{
	struct achan_notifier *notifier = new_notifier(_i);
	struct achan_notifier *other = new_notifier(ACHAN_NOTIFY_THREAD);
	struct probe probe = { 0 };
	struct achan *ends[2];

	library_pipe(ends, O_NONBLOCK);
	add(notifier, ends[0], &probe);
	ck_assert_int_eq(achan_notifier_add(notifier, ends[0], on_event,
					    &probe), -EEXIST);
	ck_assert_int_eq(achan_notifier_add(other, ends[0], on_event, &probe),
			 -EBUSY);
	ck_assert_int_eq(achan_notifier_del(other, ends[0]), -ENOENT);
	ck_assert(is_async(ends[0]));
	achan_notifier_free(notifier);
	ck_assert(!is_async(ends[0]));
	add(other, ends[0], &probe);
	achan_notifier_free(other);
	library_close(ends);
}
END_TEST

START_TEST(file_that_cannot_signal_is_refused)
{
	struct achan_notifier *notifier = new_notifier(_i);
	struct probe probe = { 0 };
	struct achan *channel;

	channel = library_channel(memfd_create("plain", 0));
	ck_assert_int_eq(achan_notifier_add(notifier, channel, on_event,
					    &probe), -EOPNOTSUPP);
	ck_assert_int_eq(achan_notifier_del(notifier, channel), -ENOENT);
	ck_assert_int_eq(fcntl(achan_fd(channel), F_GETSIG), 0);
	achan_notifier_free(notifier);
	achan_close(channel);
}
END_TEST

START_TEST(file_that_signals_somebody_else_is_left_alone)
{
	struct achan_notifier *notifier = new_notifier(_i);
	struct probe probe = { 0 };
	struct achan *ends[2];
	int fd;

	library_pipe(ends, O_NONBLOCK);
	fd = achan_fd(ends[0]);
	ck_assert_int_eq(fcntl(fd, F_SETSIG, SIGUSR1), 0);
	ck_assert_int_eq(fcntl(fd, F_SETFL, O_ASYNC), 0);
	ck_assert_int_eq(achan_notifier_add(notifier, ends[0], on_event,
					    &probe), -EBUSY);
	ck_assert(is_async(ends[0]));
	ck_assert_int_eq(fcntl(fd, F_GETSIG), SIGUSR1);
	achan_notifier_free(notifier);
	library_close(ends);
}
END_TEST

START_TEST(add_refuses_null)
{
	struct achan_notifier *notifier = new_notifier(_i);
	struct achan *ends[2];

	library_pipe(ends, O_NONBLOCK);
	ck_assert_int_eq(achan_notifier_add(notifier, ends[0], NULL, NULL),
			 -EINVAL);
	ck_assert_int_eq(achan_notifier_add(notifier, NULL, on_event, NULL),
			 -EINVAL);
	ck_assert_int_eq(achan_notifier_add(NULL, ends[0], on_event, NULL),
			 -EINVAL);
	ck_assert_int_eq(achan_notifier_del(NULL, ends[0]), -EINVAL);
	ck_assert_int_eq(achan_notifier_del(notifier, NULL), -EINVAL);
	ck_assert_int_eq(achan_notifier_fd(NULL), -EINVAL);
	ck_assert_int_eq(achan_notifier_dispatch(NULL, 0), -EINVAL);
	achan_notifier_free(NULL);
	achan_notifier_free(notifier);
	library_close(ends);
}
END_TEST

START_TEST(close_takes_a_channel_out)
{
	struct achan_notifier *notifier = new_notifier(_i);
	struct probe probe = { 0 };
	struct achan *ends[2];
	int copy;

	library_pipe(ends, O_NONBLOCK);
	add(notifier, ends[0], &probe);
	copy = dup(achan_fd(ends[0]));
	achan_close(ends[0]);
	/* The open file lives on in the copy, without signals. */
	ck_assert_int_eq(fcntl(copy, F_GETFL) & O_ASYNC, 0);
	library_write_bytes(ends[1], 1);
	settle(notifier);
	ck_assert_int_eq(probe.calls, 0);
	achan_notifier_free(notifier);
	achan_close(ends[1]);
	close(copy);
}
END_TEST

/* More than there are lists, so that some share one. */
START_TEST(many_channels_are_told_apart)
{
	struct achan_notifier *notifier = new_notifier(_i);
	static struct probe probes[200];
	static struct achan *ends[200][2];

	for (int i = 0; i < 200; i++) {
		library_pipe(ends[i], O_NONBLOCK);
		add(notifier, ends[i][0], &probes[i]);
	}
	for (int i = 0; i < 200; i += 3)
		ck_assert_int_eq(achan_notifier_del(notifier, ends[i][0]), 0);
	settle(notifier);
	for (int i = 0; i < 200; i++)
		library_write_bytes(ends[i][1], 1 + i % 2);
	settle(notifier);
	for (int i = 0; i < 200; i++)
		ck_assert_int_eq(probes[i].calls, i % 3 ? 1 + i % 2 : 0);
	achan_notifier_free(notifier);
	for (int i = 0; i < 200; i++)
		library_close(ends[i]);
}
END_TEST

static void limit_queue(rlim_t signals)
{
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_SIGPENDING, &limit), 0);
	limit.rlim_cur = signals;
	ck_assert_int_eq(setrlimit(RLIMIT_SIGPENDING, &limit), 0);
}

static rlim_t queue_limit(void)
{
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_SIGPENDING, &limit), 0);
	return limit.rlim_cur;
}

START_TEST(overflow_polls_every_channel_and_says_so)
{
	struct achan_notifier *notifier = new_notifier(_i);
	struct probe probes[3] = { 0 };
	rlim_t limit = queue_limit();
	struct achan *ends[3][2];

	for (int i = 0; i < 3; i++) {
		library_pipe(ends[i], O_NONBLOCK);
		add(notifier, ends[i][0], &probes[i]);
	}
	settle(notifier);
	limit_queue(0);
	library_write_bytes(ends[1][1], 1);
	for (int i = 0; i < 3; i++) {
		ck_assert(reaches(notifier, &probes[i].overflows, 1));
		ck_assert_int_eq(probes[i].calls, probes[i].overflows);
	}
	ck_assert_int_ne(probes[1].events & POLLIN, 0);
	ck_assert_int_eq(probes[0].events, 0);
	ck_assert_int_eq(probes[2].events, 0);

	/* Once there is room again, signals are as before. */
	limit_queue(limit);
	settle(notifier);
	for (int i = 0; i < 3; i++) {
		probes[i].calls = 0;
		probes[i].overflows = 0;
	}
	library_write_bytes(ends[2][1], 1);
	settle(notifier);
	ck_assert_int_eq(probes[2].calls, 1);
	ck_assert_int_eq(probes[2].overflows, 0);
	achan_notifier_free(notifier);
	for (int i = 0; i < 3; i++)
		library_close(ends[i]);
}
END_TEST

/* The marker that makes a new channel's signals count finds no room either. */
START_TEST(channel_added_during_overflow_works)
{
	struct achan_notifier *notifier = new_notifier(_i);
	struct probe probe = { 0 };
	rlim_t limit = queue_limit();
	struct achan *ends[2];

	library_pipe(ends, O_NONBLOCK);
	limit_queue(0);
	library_write_bytes(ends[1], 1);
	add(notifier, ends[0], &probe);
	ck_assert(reaches(notifier, &probe.overflows, 1));
	ck_assert_int_ne(probe.events & POLLIN, 0);
	limit_queue(limit);
	probe.calls = 0;
	library_write_bytes(ends[1], 1);
	settle(notifier);
	ck_assert_int_eq(probe.calls, 1);
	achan_notifier_free(notifier);
	library_close(ends);
}
END_TEST

/*
 * A marker that found no room is sent as SIGIO; if there is room again by then
 * it arrives whole, and must not be taken for somebody else's.
 */
START_TEST(marker_sent_as_sigio_is_an_overflow)
{
	struct achan_notifier *notifier = new_notifier(_i);
	/* All that sending looks at. */
	struct achan_notifier sender = {
		.signal_number = SIGIO,
		.process_id = notifier->process_id,
		.owner = notifier->owner,
	};
	struct probe probe = { 0 };
	struct achan *ends[2];

	library_pipe(ends, O_NONBLOCK);
	add(notifier, ends[0], &probe);
	settle(notifier);
	ck_assert_int_eq(achan_notifier_send_marker(&sender, 0), 0);
	ck_assert(reaches(notifier, &probe.overflows, 1));
	achan_notifier_free(notifier);
	library_close(ends);
}
END_TEST

/* Whether a case that needs signals to queue up can run in @mode. */
static bool signals_queue_up(const char *test, int mode)
{
	if (mode != ACHAN_NOTIFY_SIGNAL || !library_under_tsan())
		return true;
	unit_skip(test, "ThreadSanitizer loses signals that come together");
	return false;
}

/*
 * A notifier whose owner does not get to its signals: in THREAD mode because a
 * callback of another channel does not return.
 */
struct stall {
	struct achan_notifier *notifier;
	struct achan *ends[2];
	struct probe probe;
	_Atomic bool gate;
	sigset_t former;
};

static void stall(struct stall *stall, int mode)
{
	sigset_t all;

	sigfillset(&all);
	stall->notifier = new_notifier(mode);
	library_pipe(stall->ends, O_NONBLOCK);
	stall->probe.gate = &stall->gate;
	add(stall->notifier, stall->ends[0], &stall->probe);
	settle(stall->notifier);
	if (mode == ACHAN_NOTIFY_THREAD) {
		atomic_store(&stall->gate, true);
		library_write_bytes(stall->ends[1], 1);
		ck_assert(library_reaches(&stall->probe.entered, 1));
	} else if (mode == ACHAN_NOTIFY_SIGNAL) {
		pthread_sigmask(SIG_BLOCK, &all, &stall->former);
	}
}

static void unstall(struct stall *stall, int mode)
{
	atomic_store(&stall->gate, false);
	if (mode == ACHAN_NOTIFY_SIGNAL)
		pthread_sigmask(SIG_SETMASK, &stall->former, NULL);
}

static void end_stall(struct stall *stall)
{
	achan_notifier_free(stall->notifier);
	library_close(stall->ends);
}

START_TEST(queued_signals_of_a_closed_file_do_not_reach_its_successor)
{
	struct probe old = { 0 }, new = { 0 };
	struct stall stalled = { 0 };
	struct achan *ends[2], *successor[2];
	int fd, fds[2];

	if (!signals_queue_up(__func__, _i))
		return;
	stall(&stalled, _i);
	library_pipe(ends, O_NONBLOCK);
	fd = achan_fd(ends[0]);
	add(stalled.notifier, ends[0], &old);
	library_write_bytes(ends[1], 5);
	achan_close(ends[0]);

	ck_assert_int_eq(pipe(fds), 0);
	if (fds[0] != fd) {
		ck_assert_int_eq(dup2(fds[0], fd), fd);
		close(fds[0]);
	}
	successor[0] = library_channel(fd);
	successor[1] = library_channel(fds[1]);
	add(stalled.notifier, successor[0], &new);
	unstall(&stalled, _i);
	settle(stalled.notifier);
	ck_assert_int_eq(old.calls, 0);
	ck_assert_int_eq(new.calls, 0);

	library_write_bytes(successor[1], 1);
	settle(stalled.notifier);
	ck_assert_int_eq(new.calls, 1);
	end_stall(&stalled);
	library_close(successor);
	achan_close(ends[1]);
}
END_TEST

/* Some signals are queued before the queue is full: they are not lost. */
START_TEST(burst_over_the_limit_ends_in_one_overflow_for_each)
{
	struct probe probes[2] = { 0 };
	struct stall stalled = { 0 };
	rlim_t limit = queue_limit();
	struct achan *ends[2][2];

	if (!signals_queue_up(__func__, _i))
		return;
	stall(&stalled, _i);
	for (int i = 0; i < 2; i++) {
		library_pipe(ends[i], O_NONBLOCK);
		add(stalled.notifier, ends[i][0], &probes[i]);
	}
	library_write_bytes(ends[0][1], 10);
	limit_queue(1);
	library_write_bytes(ends[0][1], 50);
	library_write_bytes(ends[1][1], 50);
	unstall(&stalled, _i);
	for (int i = 0; i < 2; i++) {
		ck_assert(reaches(stalled.notifier, &probes[i].overflows, 1));
		ck_assert_int_ne(probes[i].events & POLLIN, 0);
	}
	limit_queue(limit);
	settle(stalled.notifier);
	/* The queue was emptied: what it held is in the poll. */
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(probes[i].overflows, 1);
		ck_assert_int_eq(probes[i].calls, 1);
	}
	end_stall(&stalled);
	for (int i = 0; i < 2; i++)
		library_close(ends[i]);
}
END_TEST

START_TEST(free_with_signals_queued_calls_nothing_and_survives)
{
	struct stall stalled = { 0 };
	struct achan *ends[2];
	struct probe probe = { 0 };

	stall(&stalled, _i);
	library_pipe(ends, O_NONBLOCK);
	add(stalled.notifier, ends[0], &probe);
	library_write_bytes(ends[1], 20);
	if (_i == ACHAN_NOTIFY_THREAD)
		unstall(&stalled, _i);
	end_stall(&stalled);
	if (_i != ACHAN_NOTIFY_THREAD) {
		ck_assert_int_eq(probe.calls, 0);
		unstall(&stalled, _i);
	}
	library_write_bytes(ends[1], 20);
	library_close(ends);
}
END_TEST

START_TEST(free_takes_all_channels_out)
{
	struct achan_notifier *notifier = new_notifier(_i);
	struct probe probe = { 0 };
	struct achan *ends[2], *more[2];

	library_pipe(ends, O_NONBLOCK);
	library_pipe(more, O_NONBLOCK);
	add(notifier, ends[0], &probe);
	add(notifier, more[0], &probe);
	achan_notifier_free(notifier);
	ck_assert(!is_async(ends[0]));
	ck_assert(!is_async(more[0]));
	library_write_bytes(ends[1], 1);
	notifier = new_notifier(_i);
	add(notifier, ends[0], &probe);
	ck_assert(reaches(notifier, &probe.initials, 1));
	achan_notifier_free(notifier);
	library_close(ends);
	library_close(more);
}
END_TEST

START_TEST(notifiers_come_and_go_without_leaks)
{
	struct probe probe = { 0 };
	struct achan *ends[2];
	sigset_t before, after;
	int fds;

	library_pipe(ends, O_NONBLOCK);
	pthread_sigmask(SIG_BLOCK, NULL, &before);
	achan_notifier_free(new_notifier(_i));
	fds = library_open_fds();
	for (int i = 0; i < 50; i++) {
		struct achan_notifier *notifier = new_notifier(_i);

		add(notifier, ends[0], &probe);
		library_write_bytes(ends[1], 1);
		achan_notifier_free(notifier);
	}
	ck_assert_int_eq(library_open_fds(), fds);
	pthread_sigmask(SIG_BLOCK, NULL, &after);
	ck_assert_int_eq(sigismember(&before, SIGRTMAX),
			 sigismember(&after, SIGRTMAX));
	ck_assert_int_eq(sigismember(&before, SIGIO),
			 sigismember(&after, SIGIO));
	library_close(ends);
}
END_TEST

START_TEST(signal_number_can_be_chosen)
{
	struct achan_notifier_opts opts = {
		.sz = sizeof(opts),
		.mode = (uint32_t)_i,
		.signal_number = SIGRTMIN + 3,
	};
	struct achan_notifier *notifier;
	struct probe probe = { 0 };
	struct achan *ends[2];

	library_pipe(ends, O_NONBLOCK);
	ck_assert_int_eq(achan_notifier_new(&notifier, &opts), 0);
	add(notifier, ends[0], &probe);
	ck_assert_int_eq(fcntl(achan_fd(ends[0]), F_GETSIG), SIGRTMIN + 3);
	library_write_bytes(ends[1], 1);
	ck_assert(reaches(notifier, &probe.calls, 1));
	achan_notifier_free(notifier);
	library_close(ends);
}
END_TEST

static void ignore_signal(int number)
{
	(void)number;
}

START_TEST(signal_that_is_handled_already_is_not_chosen)
{
	struct achan_notifier *notifier;
	struct probe probe = { 0 };
	struct achan *ends[2];

	signal(SIGRTMAX, ignore_signal);
	signal(SIGRTMAX - 1, SIG_IGN);
	library_pipe(ends, O_NONBLOCK);
	notifier = new_notifier(_i);
	add(notifier, ends[0], &probe);
	ck_assert_int_eq(fcntl(achan_fd(ends[0]), F_GETSIG), SIGRTMAX - 2);
	achan_notifier_free(notifier);
	library_close(ends);
}
END_TEST

START_TEST(bad_notifier_options_are_refused)
{
	struct {
		struct achan_notifier_opts opts;
		uint64_t later;
	} large = { .opts = { .sz = sizeof(large), .mode = (uint32_t)_i } };
	struct achan_notifier_opts *opts = &large.opts;
	struct achan_notifier *notifier = NULL;

	large.later = 1;
	ck_assert_int_eq(achan_notifier_new(&notifier, opts), -E2BIG);
	opts->sz = sizeof(*opts) - 1;
	ck_assert_int_eq(achan_notifier_new(&notifier, opts), -EINVAL);
	opts->sz = sizeof(*opts);
	opts->flags = 1;
	ck_assert_int_eq(achan_notifier_new(&notifier, opts), -EINVAL);
	opts->flags = 0;
	opts->reserved = 1;
	ck_assert_int_eq(achan_notifier_new(&notifier, opts), -EINVAL);
	opts->reserved = 0;
	opts->signal_number = SIGUSR1;
	ck_assert_int_eq(achan_notifier_new(&notifier, opts), -EINVAL);
	opts->signal_number = SIGRTMAX + 1;
	ck_assert_int_eq(achan_notifier_new(&notifier, opts), -EINVAL);
	opts->signal_number = 0;
	opts->mode = MODES;
	ck_assert_int_eq(achan_notifier_new(&notifier, opts), -EINVAL);
	ck_assert_int_eq(achan_notifier_new(NULL, NULL), -EINVAL);
	ck_assert_ptr_null(notifier);
}
END_TEST

static bool every_call_is_echild(struct achan_notifier *notifier,
				 struct achan *channel)
{
	return achan_notifier_add(notifier, channel, on_event, NULL) ==
		       -ECHILD &&
	       achan_notifier_del(notifier, channel) == -ECHILD &&
	       achan_notifier_fd(notifier) == -ECHILD &&
	       achan_notifier_dispatch(notifier, 0) == -ECHILD;
}

static bool child_uses_its_own(uint32_t mode)
{
	struct achan_notifier *notifier;
	struct probe probe = { 0 };
	struct achan *ends[2];
	bool ok;

	if (mode == ACHAN_NOTIFY_THREAD && library_under_tsan()) {
		unit_skip(__func__, "ThreadSanitizer allows a child no thread");
		return true;
	}
	if (try_mode(&notifier, mode))
		return false;
	library_pipe(ends, O_NONBLOCK);
	library_write_bytes(ends[1], 1);
	ok = !achan_notifier_add(notifier, ends[0], on_event, &probe) &&
	     reaches(notifier, &probe.calls, 1);
	achan_notifier_free(notifier);
	library_close(ends);
	return ok;
}

START_TEST(child_cannot_touch_its_parents_notifier)
{
	struct achan_notifier *notifier = new_notifier(_i);
	struct probe probe = { 0 };
	struct achan *ends[2];
	pid_t child;

	library_pipe(ends, O_NONBLOCK);
	add(notifier, ends[0], &probe);
	settle(notifier);
	if (library_in_child(&child)) {
		bool ok = every_call_is_echild(notifier, ends[0]);

		achan_close(ends[0]);
		achan_notifier_free(notifier);
		achan_close(ends[1]);
		library_child_done(ok && child_uses_its_own((uint32_t)_i));
	}
	library_child_ok(child);
	ck_assert(is_async(ends[0]));
	library_write_bytes(ends[1], 1);
	settle(notifier);
	ck_assert_int_eq(probe.calls, 1);
	achan_notifier_free(notifier);
	library_close(ends);
}
END_TEST

/* A thread that takes a channel out while its callback runs. */
struct taker {
	struct achan_notifier *notifier;
	struct achan *channel;
	_Atomic int tid;
	_Atomic int done;
	int result;
};

static void *run_taker(void *argument)
{
	struct taker *taker = argument;

	atomic_store(&taker->tid, (int)syscall(SYS_gettid));
	taker->result = achan_notifier_del(taker->notifier, taker->channel);
	atomic_store(&taker->done, 1);
	return NULL;
}

/*
 * In FD and SIGNAL mode the callback runs on this thread, so the gate must be
 * opened by another one, once the taker sleeps.
 */
struct gate_opener {
	struct taker *taker;
	struct probe *probe;
	_Atomic bool gate;
	pthread_t takers_thread;
	bool slept;
};

static void *open_gate(void *argument)
{
	struct gate_opener *opener = argument;

	library_reaches(&opener->probe->entered, 1);
	pthread_create(&opener->takers_thread, NULL, run_taker, opener->taker);
	opener->slept = library_reaches(&opener->taker->tid, 1) &&
			unit_wait_sleeping(opener->taker->tid) &&
			!atomic_load(&opener->taker->done);
	atomic_store(&opener->gate, false);
	pthread_join(opener->takers_thread, NULL);
	return NULL;
}

START_TEST(del_waits_for_a_running_callback)
{
	struct achan_notifier *notifier = new_notifier(_i);
	struct gate_opener opener = { .gate = true };
	struct probe probe = { .gate = &opener.gate };
	struct taker taker = { .notifier = notifier };
	struct achan *ends[2];
	sigset_t all, former;
	pthread_t thread;

	library_pipe(ends, O_NONBLOCK);
	taker.channel = ends[0];
	opener.taker = &taker;
	opener.probe = &probe;
	add(notifier, ends[0], &probe);
	settle(notifier);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &former);
	pthread_create(&thread, NULL, open_gate, &opener);
	pthread_sigmask(SIG_SETMASK, &former, NULL);
	library_write_bytes(ends[1], 1);
	ck_assert(reaches(notifier, &taker.done, 1));
	pthread_join(thread, NULL);
	ck_assert(opener.slept);
	ck_assert_int_eq(taker.result, 0);
	ck_assert_int_eq(probe.calls, 1);
	achan_notifier_free(notifier);
	library_close(ends);
}
END_TEST

START_TEST(errno_is_left_as_it_was)
{
	struct achan_notifier *notifier, *none;
	struct probe probe = { 0 };
	struct achan *ends[2];
	struct achan *plain;

	library_pipe(ends, O_NONBLOCK);
	plain = library_channel(memfd_create("plain", 0));
	errno = 4711;
	notifier = new_notifier(_i);
	try_mode(&none, MODES);
	achan_notifier_add(notifier, plain, on_event, &probe);
	achan_notifier_add(notifier, ends[0], on_event, &probe);
	ck_assert_int_eq(write(achan_fd(ends[1]), "x", 1), 1);
	achan_notifier_dispatch(notifier, 0);
	achan_notifier_dispatch(notifier, 1);
	achan_notifier_del(notifier, ends[0]);
	achan_notifier_free(notifier);
	ck_assert_int_eq(errno, 4711);
	achan_close(plain);
	library_close(ends);
}
END_TEST

/* --------------------------------------------------- THREAD and FD mode */

static void delete_itself(struct probe *probe, struct achan *channel)
{
	if (achan_notifier_del(probe->notifier, channel))
		atomic_store(&probe->events, -1);
}

static void close_itself(struct probe *probe, struct achan *channel)
{
	(void)probe;
	achan_close(channel);
}

static void free_notifier(struct probe *probe, struct achan *channel)
{
	(void)channel;
	achan_notifier_free(probe->notifier);
}

static void add_while_freed(struct probe *probe, struct achan *channel)
{
	achan_notifier_free(probe->notifier);
	atomic_store(&probe->entered,
		     achan_notifier_add(probe->notifier, channel, on_event,
					probe));
}

static void add_itself_anew(struct probe *probe, struct achan *channel)
{
	if (achan_notifier_del(probe->notifier, channel) ||
	    achan_notifier_add(probe->notifier, channel, on_event, probe))
		atomic_store(&probe->events, -1);
}

START_TEST(callback_takes_its_own_channel_out)
{
	struct achan_notifier *notifier = new_notifier(_i);
	struct probe probe = { .act = delete_itself, .notifier = notifier };
	struct achan *ends[2];

	library_pipe(ends, O_NONBLOCK);
	add(notifier, ends[0], &probe);
	library_write_bytes(ends[1], 10);
	ck_assert(reaches(notifier, &probe.calls, 1));
	settle(notifier);
	ck_assert_int_eq(probe.calls, 1);
	ck_assert_int_ne(probe.events, -1);
	achan_notifier_free(notifier);
	library_close(ends);
}
END_TEST

START_TEST(callback_closes_its_own_channel)
{
	struct achan_notifier *notifier = new_notifier(_i);
	struct probe probe = { .act = close_itself };
	struct achan *ends[2];

	library_pipe(ends, O_NONBLOCK);
	library_write_bytes(ends[1], 1);
	add(notifier, ends[0], &probe);
	ck_assert(reaches(notifier, &probe.calls, 1));
	settle(notifier);
	ck_assert_int_eq(probe.calls, 1);
	achan_notifier_free(notifier);
	achan_close(ends[1]);
}
END_TEST

START_TEST(callback_frees_the_notifier)
{
	struct achan_notifier *notifier = new_notifier(_i);
	struct probe probe = { .act = free_notifier, .notifier = notifier };
	struct achan *ends[2];

	library_pipe(ends, O_NONBLOCK);
	add(notifier, ends[0], &probe);
	library_write_bytes(ends[1], 3);
	if (_i == ACHAN_NOTIFY_FD)
		achan_notifier_dispatch(notifier, 0);
	ck_assert(library_reaches(&probe.calls, 1));
	ck_assert(!is_async(ends[0]));
	ck_assert_int_eq(probe.calls, 1);
	/* The thread has a notifier of this mode no more. */
	achan_notifier_free(new_notifier(_i));
	library_close(ends);
}
END_TEST

START_TEST(nothing_is_added_to_a_notifier_that_ends)
{
	struct achan_notifier *notifier = new_notifier(_i);
	struct probe probe = { .act = add_while_freed, .notifier = notifier };
	struct achan *ends[2];

	library_pipe(ends, O_NONBLOCK);
	library_write_bytes(ends[1], 1);
	add(notifier, ends[0], &probe);
	if (_i == ACHAN_NOTIFY_FD)
		achan_notifier_dispatch(notifier, 0);
	ck_assert(library_reaches(&probe.calls, 1));
	ck_assert_int_eq(probe.entered, -ESHUTDOWN);
	ck_assert(!is_async(ends[0]));
	library_close(ends);
}
END_TEST

START_TEST(callback_that_adds_its_channel_anew_is_called_again)
{
	struct achan_notifier *notifier = new_notifier(_i);
	struct probe probe = { .act = add_itself_anew, .notifier = notifier };
	struct achan *ends[2];

	library_pipe(ends, O_NONBLOCK);
	library_write_bytes(ends[1], 1);
	add(notifier, ends[0], &probe);
	/* Each addition finds the byte and announces it. */
	ck_assert(reaches(notifier, &probe.initials, 20));
	ck_assert_int_ne(probe.events, -1);
	/* It goes on doing so while the notifier ends. */
	achan_notifier_free(notifier);
	ck_assert(!is_async(ends[0]));
	library_close(ends);
}
END_TEST

START_TEST(overflow_ends_though_callbacks_add_channels_anew)
{
	struct achan_notifier *notifier = new_notifier(_i);
	struct probe probe = { .act = add_itself_anew, .notifier = notifier };
	rlim_t limit = queue_limit();
	struct achan *ends[2];

	library_pipe(ends, O_NONBLOCK);
	add(notifier, ends[0], &probe);
	settle(notifier);
	limit_queue(0);
	library_write_bytes(ends[1], 1);
	ck_assert(reaches(notifier, &probe.overflows, 1));
	limit_queue(limit);
	ck_assert_int_ne(probe.events, -1);
	achan_notifier_free(notifier);
	ck_assert(!is_async(ends[0]));
	library_close(ends);
}
END_TEST

/* ------------------------------------------------------------ FD mode */

START_TEST(fd_works_in_epoll_and_is_quiet_after_dispatch)
{
	struct achan_notifier *notifier = new_notifier(ACHAN_NOTIFY_FD);
	struct epoll_event event = { .events = EPOLLIN };
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	int fd = achan_notifier_fd(notifier);
	struct probe probe = { 0 };
	struct achan *ends[2];

	ck_assert_int_eq(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), 0);
	ck_assert_int_eq(epoll_wait(epoll, &event, 1, 0), 0);
	library_pipe(ends, O_NONBLOCK);
	add(notifier, ends[0], &probe);
	ck_assert_int_eq(epoll_wait(epoll, &event, 1, 10000), 1);
	ck_assert_int_eq(achan_notifier_dispatch(notifier, 0), 0);
	ck_assert_int_eq(epoll_wait(epoll, &event, 1, 0), 0);
	library_write_bytes(ends[1], 3);
	ck_assert_int_eq(epoll_wait(epoll, &event, 1, 10000), 1);
	ck_assert_int_eq(achan_notifier_dispatch(notifier, 2), 2);
	ck_assert_int_eq(epoll_wait(epoll, &event, 1, 0), 1);
	ck_assert_int_eq(achan_notifier_dispatch(notifier, 0), 1);
	ck_assert_int_eq(achan_notifier_dispatch(notifier, 0), 0);
	ck_assert_int_eq(epoll_wait(epoll, &event, 1, 0), 0);
	achan_notifier_free(notifier);
	library_close(ends);
	close(epoll);
}
END_TEST

static void *dispatch_elsewhere(void *argument)
{
	return (void *)(intptr_t)achan_notifier_dispatch(argument, 0);
}

START_TEST(fd_mode_is_for_its_own_thread)
{
	struct achan_notifier *notifier = new_notifier(ACHAN_NOTIFY_FD);
	struct achan_notifier *other;
	pthread_t thread;
	void *result;

	pthread_create(&thread, NULL, dispatch_elsewhere, notifier);
	pthread_join(thread, &result);
	ck_assert_int_eq((intptr_t)result, -EPERM);
	ck_assert_int_eq(try_mode(&other, ACHAN_NOTIFY_FD), -EBUSY);
	ck_assert_int_eq(try_mode(&other, ACHAN_NOTIFY_SIGNAL), -EBUSY);
	achan_notifier_free(notifier);
	achan_notifier_free(new_notifier(ACHAN_NOTIFY_FD));
}
END_TEST

static const uint32_t modes_without_fd[] = {
	ACHAN_NOTIFY_THREAD, ACHAN_NOTIFY_SIGNAL,
};

START_TEST(other_modes_have_no_fd)
{
	struct achan_notifier *notifier = new_notifier(modes_without_fd[_i]);

	ck_assert_int_eq(achan_notifier_fd(notifier), -EOPNOTSUPP);
	ck_assert_int_eq(achan_notifier_dispatch(notifier, 0), -EOPNOTSUPP);
	achan_notifier_free(notifier);
}
END_TEST

START_TEST(fd_mode_blocks_both_signals_while_it_lives)
{
	struct achan_notifier *notifier;
	sigset_t mask;

	notifier = new_notifier(ACHAN_NOTIFY_FD);
	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	ck_assert(sigismember(&mask, SIGRTMAX));
	ck_assert(sigismember(&mask, SIGIO));
	achan_notifier_free(notifier);
	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	ck_assert(!sigismember(&mask, SIGRTMAX));
	ck_assert(!sigismember(&mask, SIGIO));

	/* What was blocked before stays so. */
	sigemptyset(&mask);
	sigaddset(&mask, SIGIO);
	pthread_sigmask(SIG_BLOCK, &mask, NULL);
	achan_notifier_free(new_notifier(ACHAN_NOTIFY_FD));
	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	ck_assert(sigismember(&mask, SIGIO));
	ck_assert(!sigismember(&mask, SIGRTMAX));
}
END_TEST

static void *make_notifier(void *argument)
{
	*(pid_t *)argument = (pid_t)syscall(SYS_gettid);
	return new_notifier(ACHAN_NOTIFY_FD);
}

/* A thread that was joined may still be on its last way. */
static bool thread_ends(pid_t tid)
{
	int64_t deadline = unit_now_ns() + unit_timeout_ns(10);

	while (!syscall(SYS_tgkill, getpid(), tid, 0)) {
		if (unit_now_ns() > deadline)
			return false;
		library_pause_ms(1);
	}
	return true;
}

START_TEST(add_after_the_owners_end_is_esrch)
{
	struct probe probe = { 0 };
	struct achan *ends[2];
	pthread_t thread;
	void *notifier;
	pid_t tid;

	library_pipe(ends, O_NONBLOCK);
	pthread_create(&thread, NULL, make_notifier, &tid);
	pthread_join(thread, &notifier);
	ck_assert(thread_ends(tid));
	ck_assert_int_eq(achan_notifier_add(notifier, ends[0], on_event,
					    &probe), -ESRCH);
	ck_assert(!is_async(ends[0]));
	achan_notifier_free(notifier);
	library_close(ends);
}
END_TEST

static struct achan_notifier *nested;

static void dispatch_inside(struct probe *probe, struct achan *channel)
{
	(void)probe;
	(void)channel;
	achan_notifier_dispatch(nested, 0);
}

START_TEST(dispatch_may_be_called_from_a_callback)
{
	struct probe probe = { .act = dispatch_inside };
	struct achan *ends[2];

	nested = new_notifier(ACHAN_NOTIFY_FD);
	library_pipe(ends, O_NONBLOCK);
	add(nested, ends[0], &probe);
	library_write_bytes(ends[1], 5);
	achan_notifier_dispatch(nested, 0);
	ck_assert_int_eq(probe.calls, 1 + 5);
	achan_notifier_free(nested);
	library_close(ends);
}
END_TEST

/* -------------------------------------------------------- THREAD mode */

static _Atomic int handled;

static void count_handled(int number)
{
	(void)number;
	atomic_fetch_add(&handled, 1);
}

/* The thread waits for SIGIO as well, and may be the one that gets it. */
START_TEST(signal_to_the_process_still_reaches_its_handler)
{
	struct achan_notifier *notifier;
	struct probe probe = { 0 };
	struct achan *ends[2];

	signal(SIGIO, count_handled);
	notifier = new_notifier(ACHAN_NOTIFY_THREAD);
	library_pipe(ends, O_NONBLOCK);
	add(notifier, ends[0], &probe);
	for (int i = 0; i < 200; i++) {
		ck_assert_int_eq(kill(getpid(), SIGIO), 0);
		ck_assert(library_reaches(&handled, i + 1));
	}
	ck_assert_int_eq(probe.calls, 0);
	achan_notifier_free(notifier);
	library_close(ends);
}
END_TEST

/* The main thread sleeps; only the notifier's thread can take this SIGIO. */
START_TEST(signal_of_the_applications_own_file_reaches_its_handler)
{
	struct achan_notifier *notifier;
	struct probe probe = { 0 };
	struct achan *ends[2];
	int fds[2];

	signal(SIGIO, count_handled);
	notifier = new_notifier(ACHAN_NOTIFY_THREAD);
	library_pipe(ends, O_NONBLOCK);
	add(notifier, ends[0], &probe);
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(fcntl(fds[0], F_SETOWN, getpid()), 0);
	ck_assert_int_eq(fcntl(fds[0], F_SETFL, O_ASYNC), 0);
	for (int i = 0; i < 200; i++) {
		ck_assert_int_eq(write(fds[1], "x", 1), 1);
		ck_assert(library_reaches(&handled, i + 1));
	}
	achan_notifier_free(notifier);
	library_close(ends);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

/* Takes a signal sent to the process: by dispatching, or while it ends. */
static void *take_foreign_signal(void *argument)
{
	struct achan_notifier *notifier = new_notifier(ACHAN_NOTIFY_FD);

	kill(getpid(), SIGIO);
	if (argument)
		achan_notifier_dispatch(notifier, 0);
	achan_notifier_free(notifier);
	return NULL;
}

/* All other threads block it, so that the notifier's is sure to get it. */
START_TEST(foreign_signal_taken_in_another_thread_is_passed_on)
{
	pthread_t thread;
	sigset_t set;

	signal(SIGIO, count_handled);
	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	pthread_create(&thread, NULL, take_foreign_signal,
		       _i ? &thread : NULL);
	pthread_join(thread, NULL);
	ck_assert_int_eq(handled, 0);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	ck_assert(library_reaches(&handled, 1));
}
END_TEST

START_TEST(thread_mode_leaves_the_applications_threads_alone)
{
	struct achan_notifier *notifier = new_notifier(ACHAN_NOTIFY_THREAD);
	struct sigaction action;
	struct probe probe = { 0 };
	struct achan *ends[2];
	sigset_t mask;

	library_pipe(ends, O_NONBLOCK);
	add(notifier, ends[0], &probe);
	library_write_bytes(ends[1], 1);
	ck_assert(library_reaches(&probe.calls, 1));
	ck_assert_int_ne(probe.thread, getpid());
	ck_assert_int_eq(sigaction(SIGIO, NULL, &action), 0);
	ck_assert(action.sa_handler == SIG_DFL);
	ck_assert_int_eq(sigaction(SIGRTMAX, NULL, &action), 0);
	ck_assert(action.sa_handler == SIG_DFL);
	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	ck_assert(!sigismember(&mask, SIGIO));
	ck_assert(!sigismember(&mask, SIGRTMAX));
	achan_notifier_free(notifier);
	library_close(ends);
}
END_TEST

/* Adds and takes out the same few channels as fast as it can. */
struct churn {
	struct achan_notifier *notifier;
	struct achan *ends[2];
	struct probe probe;
	int wrong;
};

static void *run_churn(void *argument)
{
	struct churn *churn = argument;

	for (int i = 0; i < 300; i++) {
		churn->wrong += achan_notifier_add(churn->notifier,
						   churn->ends[0], on_event,
						   &churn->probe) != 0;
		churn->wrong += write(achan_fd(churn->ends[1]), "x", 1) != 1;
		churn->wrong += achan_notifier_del(churn->notifier,
						   churn->ends[0]) != 0;
		library_drain(churn->ends[0]);
	}
	return NULL;
}

START_TEST(threads_add_and_take_out_while_signals_come)
{
	struct achan_notifier *notifier = new_notifier(ACHAN_NOTIFY_THREAD);
	struct churn churns[4] = { 0 };
	pthread_t threads[4];

	for (int i = 0; i < 4; i++) {
		churns[i].notifier = notifier;
		library_pipe(churns[i].ends, O_NONBLOCK);
		pthread_create(&threads[i], NULL, run_churn, &churns[i]);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		ck_assert_int_eq(churns[i].wrong, 0);
	}
	achan_notifier_free(notifier);
	for (int i = 0; i < 4; i++)
		library_close(churns[i].ends);
}
END_TEST

START_TEST(several_thread_notifiers_live_side_by_side)
{
	struct achan_notifier *notifiers[3];
	struct probe probes[3] = { 0 };
	struct achan *ends[3][2];

	for (int i = 0; i < 3; i++) {
		notifiers[i] = new_notifier(ACHAN_NOTIFY_THREAD);
		library_pipe(ends[i], O_NONBLOCK);
		add(notifiers[i], ends[i][0], &probes[i]);
		settle(notifiers[i]);
	}
	for (int i = 0; i < 3; i++) {
		library_write_bytes(ends[i][1], 1);
		settle(notifiers[i]);
		ck_assert_int_eq(probes[i].calls, 1);
	}
	for (int i = 0; i < 3; i++) {
		achan_notifier_free(notifiers[i]);
		library_close(ends[i]);
	}
}
END_TEST

/* -------------------------------------------------------- SIGNAL mode */

static _Atomic int former_calls, former_value, former_number;

static void former_with_info(int number, siginfo_t *info, void *context)
{
	if (context)
		atomic_fetch_add(&former_calls, 1);
	atomic_store(&former_value, info->si_value.sival_int);
	atomic_store(&former_number, number);
}

static void former_plain(int number)
{
	atomic_fetch_add(&former_calls, 1);
	atomic_store(&former_number, number);
}

static void install_former(int number, int flags)
{
	struct sigaction action = { .sa_flags = flags };

	if (flags & SA_SIGINFO)
		action.sa_sigaction = former_with_info;
	else
		action.sa_handler = former_plain;
	ck_assert_int_eq(sigaction(number, &action, NULL), 0);
}

static struct achan_notifier *new_signal_notifier(int number)
{
	struct achan_notifier_opts opts = {
		.sz = sizeof(opts),
		.mode = ACHAN_NOTIFY_SIGNAL,
		.signal_number = number,
	};
	struct achan_notifier *notifier;

	ck_assert_int_eq(achan_notifier_new(&notifier, &opts), 0);
	return notifier;
}

static void queue_value(int number, int value)
{
	union sigval sigval = { .sival_int = value };

	ck_assert_int_eq(sigqueue(getpid(), number, sigval), 0);
}

START_TEST(former_handler_gets_foreign_signals)
{
	struct achan_notifier *notifier;
	struct probe probe = { 0 };
	struct achan *ends[2];

	install_former(SIGRTMIN, SA_SIGINFO);
	install_former(SIGIO, 0);
	library_pipe(ends, O_NONBLOCK);
	notifier = new_signal_notifier(SIGRTMIN);
	add(notifier, ends[0], &probe);
	queue_value(SIGRTMIN, 1234);
	ck_assert(library_reaches(&former_calls, 1));
	ck_assert_int_eq(former_value, 1234);
	ck_assert_int_eq(kill(getpid(), SIGIO), 0);
	ck_assert(library_reaches(&former_calls, 2));
	ck_assert_int_eq(former_number, SIGIO);

	library_write_bytes(ends[1], 1);
	ck_assert(library_reaches(&probe.calls, 1));
	ck_assert_int_eq(probe.calls, 1);
	ck_assert_int_eq(former_calls, 2);
	achan_notifier_free(notifier);
	library_close(ends);
}
END_TEST

/* A file armed without F_SETSIG looks like an overflow: both must see it. */
START_TEST(former_handler_gets_the_sigio_of_its_own_file)
{
	struct achan_notifier *notifier;
	struct probe probe = { 0 };
	struct achan *ends[2];
	int fds[2];

	install_former(SIGIO, SA_SIGINFO);
	library_pipe(ends, O_NONBLOCK);
	notifier = new_signal_notifier(SIGRTMIN);
	add(notifier, ends[0], &probe);
	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(fcntl(fds[0], F_SETOWN, getpid()), 0);
	ck_assert_int_eq(fcntl(fds[0], F_SETFL, O_ASYNC), 0);
	ck_assert_int_eq(write(fds[1], "x", 1), 1);
	ck_assert(library_reaches(&former_calls, 1));
	ck_assert(library_reaches(&probe.overflows, 1));
	achan_notifier_free(notifier);
	library_close(ends);
}
END_TEST

START_TEST(former_handler_comes_back)
{
	struct sigaction action;

	install_former(SIGRTMIN, SA_SIGINFO | SA_NODEFER);
	signal(SIGIO, SIG_IGN);
	achan_notifier_free(new_signal_notifier(SIGRTMIN));
	ck_assert_int_eq(sigaction(SIGRTMIN, NULL, &action), 0);
	ck_assert(action.sa_sigaction == former_with_info);
	ck_assert_int_ne(action.sa_flags & SA_NODEFER, 0);
	ck_assert_int_eq(sigaction(SIGIO, NULL, &action), 0);
	ck_assert(action.sa_handler == SIG_IGN);
}
END_TEST

START_TEST(former_handler_with_resethand_is_called_once)
{
	struct achan_notifier *notifier;
	struct sigaction action;

	install_former(SIGRTMIN, SA_RESETHAND);
	notifier = new_signal_notifier(SIGRTMIN);
	queue_value(SIGRTMIN, 1);
	ck_assert(library_reaches(&former_calls, 1));
	achan_notifier_free(notifier);
	ck_assert_int_eq(sigaction(SIGRTMIN, NULL, &action), 0);
	ck_assert(action.sa_handler == SIG_DFL);
}
END_TEST

START_TEST(ignored_foreign_signal_stays_ignored)
{
	struct achan_notifier *notifier;
	struct probe probe = { 0 };
	struct achan *ends[2];

	signal(SIGRTMIN, SIG_IGN);
	library_pipe(ends, O_NONBLOCK);
	notifier = new_signal_notifier(SIGRTMIN);
	add(notifier, ends[0], &probe);
	queue_value(SIGRTMIN, 1);
	library_write_bytes(ends[1], 1);
	ck_assert(library_reaches(&probe.calls, 1));
	achan_notifier_free(notifier);
	library_close(ends);
}
END_TEST

/* Bit 0: the signal; bit 1: after a SA_RESETHAND handler was called. */
START_TEST(foreign_signal_without_a_handler_ends_the_process)
{
	int number = _i & 1 ? SIGIO : SIGRTMIN;
	pid_t child;
	int status;

	if (library_in_child(&child)) {
		if (_i & 2)
			install_former(number, SA_RESETHAND);
		new_signal_notifier(SIGRTMIN);
		if (_i & 2) {
			kill(getpid(), number);
			library_reaches(&former_calls, 1);
		}
		kill(getpid(), number);
		library_pause_ms(10000);
		library_child_done(false);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFSIGNALED(status));
	ck_assert_int_eq(WTERMSIG(status), number);
}
END_TEST

START_TEST(handler_put_over_ours_is_left_alone)
{
	struct achan_notifier *notifier = new_signal_notifier(SIGRTMIN);
	struct achan_notifier *another = NULL;
	struct sigaction ours, action;
	struct achan_notifier_opts opts = {
		.sz = sizeof(opts),
		.mode = ACHAN_NOTIFY_SIGNAL,
		.signal_number = SIGRTMIN,
	};

	ck_assert_int_eq(sigaction(SIGRTMIN, NULL, &ours), 0);
	install_former(SIGRTMIN, SA_SIGINFO);
	achan_notifier_free(notifier);
	ck_assert_int_eq(sigaction(SIGRTMIN, NULL, &action), 0);
	ck_assert(action.sa_sigaction == former_with_info);

	/* It may call ours, and ours it: that must not become a circle. */
	ck_assert_int_eq(achan_notifier_new(&another, &opts), -EBUSY);
	ck_assert_ptr_null(another);
	ck_assert_int_eq(sigaction(SIGIO, NULL, &action), 0);
	ck_assert(action.sa_handler == SIG_DFL);

	/* Once ours is back, all is well. */
	ck_assert_int_eq(sigaction(SIGRTMIN, &ours, NULL), 0);
	achan_notifier_free(new_signal_notifier(SIGRTMIN));
	ck_assert_int_eq(sigaction(SIGRTMIN, NULL, &action), 0);
	ck_assert(action.sa_handler == SIG_DFL);
}
END_TEST

static void *try_signal_mode(void *argument)
{
	struct achan_notifier *notifier;

	(void)argument;
	return (void *)(intptr_t)try_mode(&notifier, ACHAN_NOTIFY_SIGNAL);
}

START_TEST(signal_mode_is_one_to_a_process)
{
	struct achan_notifier *notifier = new_signal_notifier(0);
	struct achan_notifier *other;
	pthread_t thread;
	void *result;

	pthread_create(&thread, NULL, try_signal_mode, NULL);
	pthread_join(thread, &result);
	ck_assert_int_eq((intptr_t)result, -EBUSY);
	ck_assert_int_eq(try_mode(&other, ACHAN_NOTIFY_FD), -EBUSY);
	ck_assert_int_eq(try_mode(&other, ACHAN_NOTIFY_THREAD), 0);
	achan_notifier_free(other);
	achan_notifier_free(notifier);
}
END_TEST

static void spoil_errno(struct achan *channel,
			const struct achan_notify_event *event, void *data)
{
	struct probe *probe = data;

	(void)channel;
	(void)event;
	errno = ENOSPC;
	atomic_fetch_add(&probe->calls, 1);
}

START_TEST(handler_leaves_errno_as_it_was)
{
	struct achan_notifier *notifier = new_signal_notifier(0);
	struct probe probe = { 0 };
	struct achan *ends[2];

	library_pipe(ends, O_NONBLOCK);
	ck_assert_int_eq(achan_notifier_add(notifier, ends[0], spoil_errno,
					    &probe), 0);
	errno = 4711;
	library_write_bytes(ends[1], 1);
	while (!atomic_load(&probe.calls))
		;
	ck_assert_int_eq(errno, 4711);
	achan_notifier_free(notifier);
	library_close(ends);
}
END_TEST

static void *free_elsewhere(void *argument)
{
	achan_notifier_free(argument);
	return NULL;
}

/*
 * Signals may be under way to the owner then, whose default is death: so the
 * handlers stay.
 */
START_TEST(free_from_another_thread_keeps_the_owner_alive)
{
	struct achan_notifier *notifier = new_notifier(_i);
	struct probe probe = { 0 };
	struct achan *ends[2];
	sigset_t all, former;
	pthread_t thread;

	library_pipe(ends, O_NONBLOCK);
	add(notifier, ends[0], &probe);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &former);
	library_write_bytes(ends[1], 5);
	pthread_create(&thread, NULL, free_elsewhere, notifier);
	pthread_join(thread, NULL);
	pthread_sigmask(_i == ACHAN_NOTIFY_SIGNAL ? SIG_SETMASK : SIG_BLOCK,
			&former, NULL);
	ck_assert(!is_async(ends[0]));
	achan_notifier_free(new_notifier(_i));
	library_close(ends);
}
END_TEST

/* ---------------------------------------------------------------------- */

static TCase *every_mode_case(void)
{
	TCase *tcase = tcase_create("every mode");

	tcase_add_loop_test(tcase, signal_calls_back_with_its_events, 0, MODES);
	tcase_add_loop_test(tcase, every_commit_calls_back_once, 0, MODES);
	tcase_add_loop_test(tcase, data_from_before_the_add_is_announced, 0,
			    MODES);
	tcase_add_loop_test(tcase, room_calls_back_a_writer, 0, MODES);
	tcase_add_loop_test(tcase, sockets_and_terminals_call_back_too, 0,
			    2 * MODES);
	tcase_add_loop_test(tcase, del_ends_the_signals_and_gives_the_file_back,
			    0, MODES);
	tcase_add_loop_test(tcase, channel_is_in_one_notifier_at_a_time, 0,
			    MODES);
	tcase_add_loop_test(tcase, file_that_cannot_signal_is_refused, 0,
			    MODES);
	tcase_add_loop_test(tcase,
			    file_that_signals_somebody_else_is_left_alone, 0,
			    MODES);
	tcase_add_loop_test(tcase, add_refuses_null, 0, MODES);
	tcase_add_loop_test(tcase, close_takes_a_channel_out, 0, MODES);
	tcase_add_loop_test(tcase, many_channels_are_told_apart, 0, MODES);
	tcase_add_loop_test(tcase, free_takes_all_channels_out, 0, MODES);
	tcase_add_loop_test(tcase, notifiers_come_and_go_without_leaks, 0,
			    MODES);
	tcase_add_loop_test(tcase, signal_number_can_be_chosen, 0, MODES);
	tcase_add_loop_test(tcase, signal_that_is_handled_already_is_not_chosen,
			    0, MODES);
	tcase_add_loop_test(tcase, bad_notifier_options_are_refused, 0, MODES);
	tcase_add_loop_test(tcase, child_cannot_touch_its_parents_notifier, 0,
			    MODES);
	tcase_add_loop_test(tcase, errno_is_left_as_it_was, 0, MODES);
	tcase_add_loop_test(tcase, del_waits_for_a_running_callback, 0, MODES);
	return tcase;
}

static TCase *queue_of_signals_case(void)
{
	TCase *tcase = tcase_create("queue of signals");

	tcase_add_loop_test(tcase, overflow_polls_every_channel_and_says_so, 0, MODES);
	tcase_add_loop_test(tcase, channel_added_during_overflow_works, 0,
			    MODES);
	tcase_add_loop_test(tcase, marker_sent_as_sigio_is_an_overflow, 0,
			    MODES);
	tcase_add_loop_test(tcase, queued_signals_of_a_closed_file_do_not_reach_its_successor, 0,
			    MODES);
	tcase_add_loop_test(tcase,
			    burst_over_the_limit_ends_in_one_overflow_for_each,
			    0, MODES);
	tcase_add_loop_test(tcase,
			    free_with_signals_queued_calls_nothing_and_survives,
			    0, MODES);
	return tcase;
}

static TCase *thread_and_fd_case(void)
{
	TCase *tcase = tcase_create("thread and fd");

	tcase_add_loop_test(tcase, callback_takes_its_own_channel_out, 0, 2);
	tcase_add_loop_test(tcase, callback_closes_its_own_channel, 0, 2);
	tcase_add_loop_test(tcase, callback_frees_the_notifier, 0, 2);
	tcase_add_loop_test(tcase, nothing_is_added_to_a_notifier_that_ends, 0,
			    2);
	tcase_add_loop_test(tcase,
			    callback_that_adds_its_channel_anew_is_called_again,
			    0, 2);
	tcase_add_loop_test(tcase,
			    overflow_ends_though_callbacks_add_channels_anew,
			    0, 2);
	tcase_add_test(tcase, fd_works_in_epoll_and_is_quiet_after_dispatch);
	tcase_add_test(tcase, fd_mode_is_for_its_own_thread);
	tcase_add_loop_test(tcase, other_modes_have_no_fd, 0, 2);
	tcase_add_test(tcase, fd_mode_blocks_both_signals_while_it_lives);
	tcase_add_test(tcase, add_after_the_owners_end_is_esrch);
	tcase_add_test(tcase, dispatch_may_be_called_from_a_callback);
	tcase_add_test(tcase, signal_to_the_process_still_reaches_its_handler);
	tcase_add_test(tcase,
		       signal_of_the_applications_own_file_reaches_its_handler);
	tcase_add_loop_test(tcase,
			    foreign_signal_taken_in_another_thread_is_passed_on,
			    0, 2);
	tcase_add_test(tcase,
		       thread_mode_leaves_the_applications_threads_alone);
	tcase_add_test(tcase, threads_add_and_take_out_while_signals_come);
	tcase_add_test(tcase, several_thread_notifiers_live_side_by_side);
	return tcase;
}

static TCase *signal_case(void)
{
	TCase *tcase = tcase_create("signal");

	tcase_add_test(tcase, former_handler_gets_foreign_signals);
	tcase_add_test(tcase, former_handler_gets_the_sigio_of_its_own_file);
	tcase_add_test(tcase, former_handler_comes_back);
	tcase_add_test(tcase, former_handler_with_resethand_is_called_once);
	tcase_add_test(tcase, ignored_foreign_signal_stays_ignored);
	tcase_add_loop_test(tcase,
			    foreign_signal_without_a_handler_ends_the_process,
			    0, 4);
	tcase_add_test(tcase, handler_put_over_ours_is_left_alone);
	tcase_add_test(tcase, signal_mode_is_one_to_a_process);
	tcase_add_test(tcase, handler_leaves_errno_as_it_was);
	tcase_add_loop_test(tcase,
			    free_from_another_thread_keeps_the_owner_alive,
			    ACHAN_NOTIFY_FD, MODES);
	return tcase;
}

int main(void)
{
	Suite *suite = suite_create("library notifier");

	suite_add_tcase(suite, every_mode_case());
	suite_add_tcase(suite, queue_of_signals_case());
	suite_add_tcase(suite, thread_and_fd_case());
	suite_add_tcase(suite, signal_case());
	return unit_main(suite);
}
