// SPDX-License-Identifier: GPL-2.0-only
/* libachan's notifier, in its three modes, on channels. */
#include "vm.h"

#include "achan.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* Well away from the one that the library would choose. */
#define SIGNAL		(SIGRTMIN + 5)
#define RECORDS		500
#define FILES		16

static const enum achan_notify_mode modes[] = {
	ACHAN_NOTIFY_THREAD, ACHAN_NOTIFY_FD, ACHAN_NOTIFY_SIGNAL,
};

static const enum vm_channel channels[] = {
	VM_STREAM, VM_MESSAGE, VM_STREAM_SMALL, VM_MESSAGE_SMALL,
};

/* What a callback has seen. Written by one thread, or its signal handler. */
struct sight {
	unsigned int calls;
	unsigned int flags;	/* all of them together */
	unsigned int events;
	uint64_t next;		/* number of the record to come */
	unsigned int wrong;
	struct achan_notifier *notifier;
	bool hold;		/* the callback is to wait while this is set */
	bool inside;
};

static unsigned int load(const unsigned int *counter)
{
	return __atomic_load_n(counter, __ATOMIC_ACQUIRE);
}

static void note(struct sight *sight, const struct achan_notify_event *event)
{
	sight->flags |= event->flags;
	sight->events |= event->events;
	__atomic_add_fetch(&sight->calls, 1, __ATOMIC_RELEASE);
}

static void on_event(struct achan *channel,
		     const struct achan_notify_event *event, void *data)
{
	(void)channel;
	note(data, event);
}

/* Takes the numbers out of the channel, as a callback should: all there are. */
static void drain_numbers(struct achan *channel, struct sight *sight)
{
	uint64_t value;

	while (achan_read(channel, &value, sizeof(value), 0) == sizeof(value))
		if (value == sight->next)
			__atomic_add_fetch(&sight->next, 1, __ATOMIC_RELEASE);
		else
			sight->wrong++;
}

static void on_numbers(struct achan *channel,
		       const struct achan_notify_event *event, void *data)
{
	note(data, event);
	drain_numbers(channel, data);
}

static struct achan *open_channel(enum vm_channel which)
{
	struct achan *channel;

	ck_assert_int_eq(achan_open_fd(&channel, vm_open(which, O_RDWR)), 0);
	return channel;
}

static struct achan_notifier *new_notifier(enum achan_notify_mode mode)
{
	struct achan_notifier_opts opts = {
		.sz = sizeof(opts),
		.mode = mode,
		.signal_number = SIGNAL,
	};
	struct achan_notifier *notifier;

	ck_assert_int_eq(achan_notifier_new(&notifier, &opts), 0);
	return notifier;
}

static void add(struct achan_notifier *notifier, struct achan *channel,
		achan_notify_fn function, void *data)
{
	ck_assert_int_eq(achan_notifier_add(notifier, channel, function, data),
			 0);
}

/* Lets callbacks run: one turn of what a program of this mode does. */
static void turn(struct achan_notifier *notifier, enum achan_notify_mode mode)
{
	struct pollfd pollfd = { .events = POLLIN };

	if (mode != ACHAN_NOTIFY_FD) {
		vm_sleep_ms(1);
		return;
	}
	pollfd.fd = achan_notifier_fd(notifier);
	if (poll(&pollfd, 1, 10) > 0)
		ck_assert_int_ge(achan_notifier_dispatch(notifier, 0), 0);
}

static void wait_calls(struct achan_notifier *notifier,
		       enum achan_notify_mode mode, struct sight *sight,
		       unsigned int calls)
{
	int64_t until = vm_now_ms() + vm_timeout_ms(VM_HANG_MS);

	while (load(&sight->calls) < calls) {
		ck_assert_msg(vm_now_ms() < until, "%u calls of %u came",
			      sight->calls, calls);
		turn(notifier, mode);
	}
}

static void wait_numbers(struct achan_notifier *notifier,
			 enum achan_notify_mode mode, struct sight *sight,
			 uint64_t numbers)
{
	int64_t until = vm_now_ms() + vm_timeout_ms(VM_HANG_MS);

	while (__atomic_load_n(&sight->next, __ATOMIC_ACQUIRE) < numbers) {
		ck_assert_msg(vm_now_ms() < until, "%llu records of %llu came",
			      (unsigned long long)sight->next,
			      (unsigned long long)numbers);
		turn(notifier, mode);
	}
}

static int write_numbers(void *argument)
{
	int fd = *(int *)argument;
	uint64_t value;

	for (value = 0; value < RECORDS; value++)
		if (write(fd, &value, sizeof(value)) != sizeof(value))
			return 1;
	return 0;
}

START_TEST(every_record_reaches_the_callback_in_order)
{
	struct achan_notifier *notifier = new_notifier(modes[_i]);
	struct achan *channel = open_channel(VM_STREAM_SMALL);
	struct sight sight = { 0 };
	int writer = vm_reopen(achan_fd(channel), O_WRONLY);
	pid_t pid;

	add(notifier, channel, on_numbers, &sight);
	pid = vm_fork(write_numbers, &writer);
	wait_numbers(notifier, modes[_i], &sight, RECORDS);
	vm_wait_success(pid);
	ck_assert_uint_eq(sight.wrong, 0);
	ck_assert_uint_ne(sight.events & POLLIN, 0);
	achan_notifier_free(notifier);
	achan_close(channel);
}
END_TEST

START_TEST(what_was_there_before_is_announced_as_initial)
{
	struct achan_notifier *notifier = new_notifier(modes[_i]);
	struct achan *channel = open_channel(VM_MESSAGE);
	struct sight sight = { 0 };
	uint64_t number = 0;

	vm_write(achan_fd(channel), &number, sizeof(number));
	add(notifier, channel, on_numbers, &sight);
	wait_numbers(notifier, modes[_i], &sight, 1);
	ck_assert_uint_eq(sight.flags, ACHAN_NF_INITIAL);
	achan_notifier_free(notifier);
	achan_close(channel);
}
END_TEST

START_TEST(room_after_full_is_announced)
{
	struct achan_notifier *notifier = new_notifier(modes[_i]);
	int fd = vm_open(VM_MESSAGE_SMALL, O_WRONLY);
	struct sight sight = { 0 };
	struct achan *channel;

	vm_fill(fd);
	ck_assert_int_eq(achan_open_fd(&channel, fd), 0);
	add(notifier, channel, on_event, &sight);
	vm_drain(fd);
	wait_calls(notifier, modes[_i], &sight, 1);
	ck_assert_uint_ne(sight.events & POLLOUT, 0);
	achan_notifier_free(notifier);
	achan_close(channel);
}
END_TEST

START_TEST(every_one_of_many_channels_is_called_back)
{
	struct achan_notifier *notifier = new_notifier(modes[_i]);
	struct achan *opened[4 * FILES];
	struct sight sights[4 * FILES] = { 0 };
	int i;

	for (i = 0; i < 4 * FILES; i++) {
		opened[i] = open_channel(channels[i % 4]);
		add(notifier, opened[i], on_event, &sights[i]);
	}
	for (i = 0; i < 4; i++)
		vm_write(achan_fd(opened[i]), "x", 1);
	for (i = 0; i < 4 * FILES; i++) {
		wait_calls(notifier, modes[_i], &sights[i], 1);
		ck_assert_uint_ne(sights[i].events & POLLIN, 0);
	}
	achan_notifier_free(notifier);
	for (i = 0; i < 4 * FILES; i++) {
		/* The look after adding may have seen the record as well. */
		ck_assert_uint_le(sights[i].calls, 2);
		achan_close(opened[i]);
	}
}
END_TEST

static void on_held(struct achan *channel,
		    const struct achan_notify_event *event, void *data)
{
	struct sight *sight = data;

	__atomic_store_n(&sight->inside, true, __ATOMIC_RELEASE);
	while (__atomic_load_n(&sight->hold, __ATOMIC_ACQUIRE))
		vm_sleep_ms(1);
	on_numbers(channel, event, data);
	__atomic_store_n(&sight->inside, false, __ATOMIC_RELEASE);
}

static void limit_queue(rlim_t limit)
{
	struct rlimit limits = { limit, limit };

	ck_assert_int_eq(vm_errno(setrlimit(RLIMIT_SIGPENDING, &limits)), 0);
}

/*
 * Signals come faster than callbacks run: the thread is kept in one, the
 * program of FD mode does not dispatch, that of SIGNAL mode blocks the signals.
 */
START_TEST(overflow_of_the_signal_queue_is_reported_and_nothing_lost)
{
	struct achan_notifier *notifier = new_notifier(modes[_i]);
	struct achan *channel = open_channel(VM_MESSAGE);
	struct sight sight = { .hold = modes[_i] == ACHAN_NOTIFY_THREAD };
	uint64_t number;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGNAL);
	sigaddset(&set, SIGIO);
	add(notifier, channel, on_held, &sight);
	limit_queue(8);
	if (modes[_i] == ACHAN_NOTIFY_SIGNAL)
		pthread_sigmask(SIG_BLOCK, &set, NULL);
	for (number = 0; number < RECORDS; number++)
		vm_write(achan_fd(channel), &number, sizeof(number));
	if (modes[_i] == ACHAN_NOTIFY_SIGNAL)
		pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	__atomic_store_n(&sight.hold, false, __ATOMIC_RELEASE);
	wait_numbers(notifier, modes[_i], &sight, RECORDS);
	ck_assert_uint_eq(sight.wrong, 0);
	while (!(__atomic_load_n(&sight.flags, __ATOMIC_ACQUIRE) &
		 ACHAN_NF_OVERFLOW))
		turn(notifier, modes[_i]);
	/* It works on afterwards. */
	vm_write(achan_fd(channel), &number, sizeof(number));
	wait_numbers(notifier, modes[_i], &sight, RECORDS + 1);
	achan_notifier_free(notifier);
	achan_close(channel);
}
END_TEST

START_TEST(channel_taken_out_is_not_called_back_any_more)
{
	struct achan_notifier *notifier = new_notifier(modes[_i]);
	struct achan *first = open_channel(VM_STREAM);
	struct achan *second = open_channel(VM_MESSAGE);
	struct sight sights[2] = { 0 };
	unsigned int calls;

	add(notifier, first, on_event, &sights[0]);
	add(notifier, second, on_event, &sights[1]);
	vm_write(achan_fd(first), "x", 1);
	wait_calls(notifier, modes[_i], &sights[0], 1);
	ck_assert_int_eq(achan_notifier_del(notifier, first), 0);
	ck_assert_int_eq(achan_notifier_del(notifier, first), -ENOENT);
	ck_assert_int_eq(fcntl(achan_fd(first), F_GETFL) & O_ASYNC, 0);
	calls = load(&sights[0].calls);
	vm_write(achan_fd(first), "x", 1);
	vm_write(achan_fd(second), "x", 1);
	wait_calls(notifier, modes[_i], &sights[1], 1);
	ck_assert_uint_eq(sights[0].calls, calls);
	/* It may come back. */
	vm_drain(achan_fd(first));
	add(notifier, first, on_event, &sights[0]);
	vm_write(achan_fd(first), "x", 1);
	wait_calls(notifier, modes[_i], &sights[0], calls + 1);
	achan_notifier_free(notifier);
	achan_close(first);
	achan_close(second);
}
END_TEST

/* Signals that are queued already when the channel goes are not delivered. */
START_TEST(queued_signals_are_dropped_with_the_channel)
{
	struct achan_notifier *notifier = new_notifier(ACHAN_NOTIFY_FD);
	struct achan *first = open_channel(VM_STREAM);
	struct achan *second = open_channel(VM_MESSAGE);
	struct sight sights[2] = { 0 };

	add(notifier, first, on_event, &sights[0]);
	add(notifier, second, on_event, &sights[1]);
	vm_write(achan_fd(first), "x", 1);
	vm_write(achan_fd(second), "x", 1);
	ck_assert_int_eq(achan_notifier_del(notifier, first), 0);
	achan_close(first);
	wait_calls(notifier, ACHAN_NOTIFY_FD, &sights[1], 1);
	ck_assert_uint_eq(sights[0].calls, 0);
	achan_notifier_free(notifier);
	achan_close(second);
}
END_TEST

static void on_event_del(struct achan *channel,
			 const struct achan_notify_event *event, void *data)
{
	struct sight *sight = data;

	if (achan_notifier_del(sight->notifier, channel))
		sight->wrong++;
	note(sight, event);
}

START_TEST(channel_can_be_taken_out_in_its_own_callback)
{
	struct achan_notifier *notifier = new_notifier(modes[_i]);
	struct achan *first = open_channel(VM_STREAM);
	struct achan *second = open_channel(VM_MESSAGE);
	struct sight sights[2] = { { .notifier = notifier }, { 0 } };
	int i;

	add(notifier, first, on_event_del, &sights[0]);
	add(notifier, second, on_event, &sights[1]);
	for (i = 0; i < 3; i++)
		vm_write(achan_fd(first), "x", 1);
	vm_write(achan_fd(second), "x", 1);
	wait_calls(notifier, modes[_i], &sights[0], 1);
	wait_calls(notifier, modes[_i], &sights[1], 1);
	ck_assert_uint_eq(sights[0].calls, 1);
	ck_assert_uint_eq(sights[0].wrong, 0);
	achan_notifier_free(notifier);
	achan_close(first);
	achan_close(second);
}
END_TEST

static void on_event_close(struct achan *channel,
			   const struct achan_notify_event *event, void *data)
{
	achan_close(channel);
	note(data, event);
}

START_TEST(channel_can_be_closed_in_its_own_callback)
{
	struct achan_notifier *notifier = new_notifier(modes[_i]);
	struct achan *channel = open_channel(VM_STREAM);
	int writer = vm_reopen(achan_fd(channel), O_WRONLY);
	struct sight sight = { 0 };

	add(notifier, channel, on_event_close, &sight);
	vm_write(writer, "x", 1);
	vm_write(writer, "x", 1);
	wait_calls(notifier, modes[_i], &sight, 1);
	vm_write(writer, "x", 1);
	turn(notifier, modes[_i]);
	ck_assert_uint_eq(load(&sight.calls), 1);
	achan_notifier_free(notifier);
}
END_TEST

struct deletion {
	struct achan_notifier *notifier;
	struct achan *channel;
};

static long delete_channel(void *argument)
{
	struct deletion *deletion = argument;

	return achan_notifier_del(deletion->notifier, deletion->channel);
}

static long free_notifier(void *argument)
{
	achan_notifier_free(argument);
	return 0;
}

/* Row "destroy waits": nothing fires after del or free has returned. */
START_TEST(del_and_free_wait_for_the_running_callback)
{
	struct achan_notifier *notifier = new_notifier(ACHAN_NOTIFY_THREAD);
	struct achan *channel = open_channel(VM_STREAM);
	struct deletion deletion = { notifier, channel };
	struct sight sight = { .hold = true };
	struct vm_thread thread;

	add(notifier, channel, on_held, &sight);
	vm_write(achan_fd(channel), "x", 1);
	while (!__atomic_load_n(&sight.inside, __ATOMIC_ACQUIRE))
		vm_sleep_ms(1);
	if (_i)
		vm_spawn(&thread, free_notifier, notifier);
	else
		vm_spawn(&thread, delete_channel, &deletion);
	vm_wait_sleeping(thread.tid);
	ck_assert(__atomic_load_n(&sight.inside, __ATOMIC_ACQUIRE));
	__atomic_store_n(&sight.hold, false, __ATOMIC_RELEASE);
	ck_assert_int_eq(vm_join(&thread), 0);
	ck_assert(!__atomic_load_n(&sight.inside, __ATOMIC_ACQUIRE));
	vm_write(achan_fd(channel), "x", 1);
	vm_sleep_ms(10);
	ck_assert_uint_eq(load(&sight.calls), 1);
	achan_close(channel);
	if (!_i)
		achan_notifier_free(notifier);
}
END_TEST

/* A producer that never ends. */
/* Writes without end, in bursts of @burst if that is not 0. */
struct flood {
	int fd;
	unsigned int burst;
};

static int flood(void *argument)
{
	const struct flood *flood = argument;
	unsigned int i;

	for (i = 1;; i++) {
		if (write(flood->fd, "flood", 5) < 0 && errno != EAGAIN)
			return 1;
		if (flood->burst && !(i % flood->burst))
			vm_sleep_ms(vm_timeout_ms(5));
	}
}

/*
 * A writer that never rests keeps a reader company for as long as it reads:
 * whoever reads until nothing is left may never return, and freeing a notifier
 * waits for its callbacks.
 */
static void on_flood(struct achan *channel,
		     const struct achan_notify_event *event, void *data)
{
	unsigned char buffer[VM_ATOMIC];
	int reads = 64;

	while (reads-- && achan_read(channel, buffer, sizeof(buffer), 0) > 0)
		;
	note(data, event);
}

/*
 * With a writer as fast as its reader this came to no end: a callback that
 * read until nothing was left did not return, and a handler that was called
 * again for the next queued signal kept its thread from going on.
 */
START_TEST(notifier_is_freed_while_signals_flood_in)
{
	struct achan *channel = open_channel(VM_MESSAGE);
	struct flood writer = { .fd = vm_reopen(achan_fd(channel), O_WRONLY) };
	struct sight sight = { 0 };
	unsigned int calls;
	int i, status;
	pid_t pid;

	/* The handler leaves this thread a turn only where signals pause. */
	if (modes[_i] == ACHAN_NOTIFY_SIGNAL)
		writer.burst = 200;
	pid = vm_fork(flood, &writer);
	for (i = 0; i < 20; i++) {
		struct achan_notifier *notifier = new_notifier(modes[_i]);

		calls = sight.calls;
		add(notifier, channel, on_flood, &sight);
		wait_calls(notifier, modes[_i], &sight, calls + 1);
		achan_notifier_free(notifier);
		/* Whatever comes now is nobody's. */
		calls = load(&sight.calls);
		vm_sleep_ms(2);
		ck_assert_uint_eq(load(&sight.calls), calls);
	}
	kill(pid, SIGKILL);
	status = vm_wait(pid);
	ck_assert(WIFSIGNALED(status));
	achan_close(channel);
}
END_TEST

/* Adds and takes out from several threads, while signals come. */
static long add_and_delete(void *argument)
{
	struct deletion *deletion = argument;
	struct sight sight = { 0 };
	int i, ret;

	for (i = 0; i < 50; i++) {
		ret = achan_notifier_add(deletion->notifier, deletion->channel,
					 on_flood, &sight);
		if (ret)
			return ret;
		ret = achan_notifier_del(deletion->notifier,
					 deletion->channel);
		if (ret)
			return ret;
	}
	return 0;
}

START_TEST(channels_come_and_go_from_many_threads)
{
	struct achan_notifier *notifier = new_notifier(ACHAN_NOTIFY_THREAD);
	struct deletion deletions[4];
	struct vm_thread threads[4];
	struct flood writer = { 0 };
	pid_t pid;
	int i;

	for (i = 0; i < 4; i++) {
		deletions[i].notifier = notifier;
		deletions[i].channel = open_channel(VM_STREAM);
	}
	writer.fd = vm_reopen(achan_fd(deletions[0].channel),
			      O_WRONLY | O_NONBLOCK);
	pid = vm_fork(flood, &writer);
	for (i = 0; i < 4; i++)
		vm_spawn(&threads[i], add_and_delete, &deletions[i]);
	for (i = 0; i < 4; i++)
		ck_assert_int_eq(vm_join(&threads[i]), 0);
	kill(pid, SIGKILL);
	vm_wait(pid);
	achan_notifier_free(notifier);
	for (i = 0; i < 4; i++)
		achan_close(deletions[i].channel);
}
END_TEST

START_TEST(notifier_fd_wakes_epoll_and_dispatch_takes_up_to_max)
{
	struct achan_notifier *notifier = new_notifier(ACHAN_NOTIFY_FD);
	struct epoll_event event = { .events = EPOLLIN };
	struct achan *channel = open_channel(VM_MESSAGE);
	int set = epoll_create1(EPOLL_CLOEXEC), i;
	struct sight sight = { 0 };

	add(notifier, channel, on_event, &sight);
	ck_assert_int_eq(epoll_ctl(set, EPOLL_CTL_ADD,
				   achan_notifier_fd(notifier), &event), 0);
	/* Adding may leave the notifier something to look after. */
	ck_assert_int_eq(achan_notifier_dispatch(notifier, 0), 0);
	ck_assert_int_eq(epoll_wait(set, &event, 1, 0), 0);
	for (i = 0; i < 3; i++)
		vm_write(achan_fd(channel), "x", 1);
	ck_assert_int_eq(epoll_wait(set, &event, 1,
				    vm_timeout_ms(VM_HANG_MS)), 1);
	ck_assert_uint_eq(sight.calls, 0);
	ck_assert_int_eq(achan_notifier_dispatch(notifier, 1), 1);
	ck_assert_uint_eq(sight.calls, 1);
	ck_assert_int_eq(epoll_wait(set, &event, 1, 0), 1);
	ck_assert_int_eq(achan_notifier_dispatch(notifier, 0), 2);
	ck_assert_int_eq(epoll_wait(set, &event, 1, 0), 0);
	ck_assert_int_eq(achan_notifier_dispatch(notifier, 0), 0);
	achan_notifier_free(notifier);
	achan_close(channel);
}
END_TEST

static long dispatch(void *argument)
{
	return achan_notifier_dispatch(argument, 0);
}

START_TEST(only_the_creating_thread_may_dispatch)
{
	struct achan_notifier *notifier = new_notifier(ACHAN_NOTIFY_FD);
	struct vm_thread thread;

	vm_spawn(&thread, dispatch, notifier);
	ck_assert_int_eq(vm_join(&thread), -EPERM);
	achan_notifier_free(notifier);
}
END_TEST

START_TEST(misuse_is_refused)
{
	struct achan_notifier *first = new_notifier(ACHAN_NOTIFY_THREAD);
	struct achan_notifier *second, *third;
	struct achan *channel = open_channel(VM_STREAM);
	struct achan_notifier_opts opts = { .sz = sizeof(opts), .mode = 9 };
	struct sight sight = { 0 };

	ck_assert_int_eq(achan_notifier_new(&second, NULL), 0);
	ck_assert_int_eq(achan_notifier_new(&third, &opts), -EINVAL);
	ck_assert_int_eq(achan_notifier_add(first, channel, NULL, NULL),
			 -EINVAL);
	add(first, channel, on_event, &sight);
	ck_assert_int_eq(achan_notifier_add(first, channel, on_event, &sight),
			 -EEXIST);
	ck_assert_int_eq(achan_notifier_add(second, channel, on_event, &sight),
			 -EBUSY);
	ck_assert_int_eq(achan_notifier_del(second, channel), -ENOENT);
	ck_assert_int_eq(achan_notifier_fd(first), -EOPNOTSUPP);
	ck_assert_int_eq(achan_notifier_dispatch(first, 0), -EOPNOTSUPP);
	achan_notifier_free(second);
	achan_notifier_free(first);
	achan_close(channel);
}
END_TEST

START_TEST(one_notifier_of_signal_mode_per_process)
{
	struct achan_notifier *first = new_notifier(ACHAN_NOTIFY_SIGNAL);
	struct achan_notifier_opts opts = {
		.sz = sizeof(opts),
		.mode = ACHAN_NOTIFY_SIGNAL,
	};
	struct achan_notifier *second;

	ck_assert_int_eq(achan_notifier_new(&second, &opts), -EBUSY);
	achan_notifier_free(first);
	ck_assert_int_eq(achan_notifier_new(&second, &opts), 0);
	achan_notifier_free(second);
}
END_TEST

static volatile sig_atomic_t foreign;

static void on_foreign(int signo)
{
	foreign = signo;
}

/* A signal that is not the notifier's goes to who had the handler before. */
START_TEST(foreign_signals_reach_the_former_handler)
{
	int signals[2] = { SIGNAL, SIGIO }, i;
	struct achan *channel = open_channel(VM_STREAM);
	struct achan_notifier *notifier;
	struct sight sight = { 0 };

	for (i = 0; i < 2; i++) {
		struct sigaction action = { .sa_handler = on_foreign };

		ck_assert_int_eq(sigaction(signals[i], &action, NULL), 0);
	}
	notifier = new_notifier(ACHAN_NOTIFY_SIGNAL);
	add(notifier, channel, on_event, &sight);
	for (i = 0; i < 2; i++) {
		foreign = 0;
		ck_assert_int_eq(raise(signals[i]), 0);
		ck_assert_int_eq(foreign, signals[i]);
	}
	foreign = 0;
	vm_write(achan_fd(channel), "x", 1);
	wait_calls(notifier, ACHAN_NOTIFY_SIGNAL, &sight, 1);
	ck_assert_int_eq(foreign, 0);
	achan_notifier_free(notifier);
	for (i = 0; i < 2; i++) {
		struct sigaction action;

		ck_assert_int_eq(sigaction(signals[i], NULL, &action), 0);
		ck_assert_ptr_eq(action.sa_handler, on_foreign);
	}
	achan_close(channel);
}
END_TEST

static long read_quiet(void *argument)
{
	char byte;

	return vm_errno(read(*(int *)argument, &byte, 1));
}

/* The application's threads see no signal: its system calls are let alone. */
START_TEST(thread_mode_interrupts_no_thread_and_changes_no_disposition)
{
	struct achan_notifier *notifier = new_notifier(ACHAN_NOTIFY_THREAD);
	struct achan *channel = open_channel(VM_MESSAGE);
	int quiet = vm_open(VM_STREAM, O_RDWR), i;
	struct sight sight = { 0 };
	struct sigaction action;
	struct vm_thread reader;
	uint64_t number;

	add(notifier, channel, on_numbers, &sight);
	vm_spawn(&reader, read_quiet, &quiet);
	vm_wait_sleeping(reader.tid);
	for (number = 0; number < 100; number++)
		vm_write(achan_fd(channel), &number, sizeof(number));
	wait_numbers(notifier, ACHAN_NOTIFY_THREAD, &sight, 100);
	ck_assert(vm_is_sleeping(reader.tid));
	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(sigaction(i ? SIGIO : SIGNAL, NULL, &action),
				 0);
		ck_assert_ptr_eq(action.sa_handler, SIG_DFL);
	}
	vm_write(quiet, "x", 1);
	ck_assert_int_eq(vm_join(&reader), 1);
	achan_notifier_free(notifier);
	achan_close(channel);
}
END_TEST

static int use_in_child(void *argument)
{
	struct deletion *deletion = argument;
	struct achan_notifier *notifier = deletion->notifier;
	struct achan *channel = deletion->channel;
	struct sight sight = { 0 };
	char byte;

	if (achan_notifier_add(notifier, channel, on_event, &sight) != -ECHILD)
		return 1;
	if (achan_notifier_del(notifier, channel) != -ECHILD)
		return 2;
	if (achan_notifier_fd(notifier) != -ECHILD)
		return 3;
	if (achan_notifier_dispatch(notifier, 0) != -ECHILD)
		return 4;
	if (achan_read(channel, &byte, 1, 0) != -ECHILD)
		return 5;
	if (achan_fd(channel) != -ECHILD)
		return 6;
	achan_notifier_free(notifier);
	achan_close(channel);
	return 0;
}

START_TEST(child_process_gets_echild_and_takes_nothing_from_the_parent)
{
	struct achan_notifier *notifier = new_notifier(modes[_i]);
	struct achan *channel = open_channel(VM_STREAM);
	struct deletion deletion = { notifier, channel };
	struct sight sight = { 0 };

	add(notifier, channel, on_numbers, &sight);
	vm_wait_success(vm_fork(use_in_child, &deletion));
	vm_write(achan_fd(channel), &sight.next, sizeof(sight.next));
	wait_numbers(notifier, modes[_i], &sight, 1);
	achan_notifier_free(notifier);
	achan_close(channel);
}
END_TEST

START_TEST(two_notifiers_serve_their_own_channels)
{
	struct achan_notifier *notifiers[2];
	struct achan *opened[2];
	struct sight sights[2] = { 0 };
	uint64_t number;
	int i;

	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(achan_notifier_new(&notifiers[i], NULL), 0);
		opened[i] = open_channel(channels[i]);
		add(notifiers[i], opened[i], on_numbers, &sights[i]);
	}
	for (number = 0; number < 100; number++)
		for (i = 0; i < 2; i++)
			vm_write(achan_fd(opened[i]), &number, sizeof(number));
	for (i = 0; i < 2; i++) {
		wait_numbers(notifiers[i], ACHAN_NOTIFY_THREAD, &sights[i],
			     100);
		ck_assert_uint_eq(sights[i].wrong, 0);
		achan_notifier_free(notifiers[i]);
		achan_close(opened[i]);
	}
}
END_TEST

/* All modes; those in which a callback may call everything. */
static void add_all(TCase *tcase, const TTest *test)
{
	tcase_add_loop_test(tcase, test, 0, 3);
}

static void add_callable(TCase *tcase, const TTest *test)
{
	tcase_add_loop_test(tcase, test, 0, 2);
}

static void add_callback_cases(Suite *suite)
{
	TCase *tcase = vm_tcase(suite, "callback");

	add_all(tcase, every_record_reaches_the_callback_in_order);
	add_all(tcase, what_was_there_before_is_announced_as_initial);
	add_all(tcase, room_after_full_is_announced);
	add_all(tcase, every_one_of_many_channels_is_called_back);
	add_all(tcase,
		overflow_of_the_signal_queue_is_reported_and_nothing_lost);
	tcase_add_test(tcase, two_notifiers_serve_their_own_channels);
	tcase_add_test(tcase,
		       notifier_fd_wakes_epoll_and_dispatch_takes_up_to_max);
}

static void add_end_cases(Suite *suite)
{
	TCase *tcase = vm_tcase(suite, "end");

	add_all(tcase, channel_taken_out_is_not_called_back_any_more);
	tcase_add_test(tcase, queued_signals_are_dropped_with_the_channel);
	add_callable(tcase, channel_can_be_taken_out_in_its_own_callback);
	add_callable(tcase, channel_can_be_closed_in_its_own_callback);
	tcase_add_loop_test(tcase, del_and_free_wait_for_the_running_callback,
			    0, 2);
	add_all(tcase, notifier_is_freed_while_signals_flood_in);
	tcase_add_test(tcase, channels_come_and_go_from_many_threads);
}

static void add_process_cases(Suite *suite)
{
	TCase *tcase = vm_tcase(suite, "process");

	tcase_add_test(tcase, misuse_is_refused);
	tcase_add_test(tcase, only_the_creating_thread_may_dispatch);
	tcase_add_test(tcase, one_notifier_of_signal_mode_per_process);
	tcase_add_test(tcase, foreign_signals_reach_the_former_handler);
	tcase_add_test(tcase, thread_mode_interrupts_no_thread_and_changes_no_disposition);
	add_all(tcase,
		child_process_gets_echild_and_takes_nothing_from_the_parent);
}

int main(void)
{
	Suite *suite = suite_create("notifier");

	add_callback_cases(suite);
	add_end_cases(suite);
	add_process_cases(suite);
	return vm_main(suite);
}
