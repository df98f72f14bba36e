// SPDX-License-Identifier: GPL-2.0-only
/*
 * SIGIO: POLL_IN on every commit that leaves data for a reader, POLL_OUT when
 * a full channel gets room. The signals are blocked and taken one by one.
 */
#include "kernel_aio.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>

#define SIGNAL		(SIGRTMIN + 3)
#define RECORDS		1000

static const enum vm_channel both[] = { VM_STREAM, VM_MESSAGE };
static const enum vm_channel small[] = { VM_STREAM_SMALL, VM_MESSAGE_SMALL };

/* SIGNAL, and what the kernel sends where it cannot queue another one. */
static sigset_t both_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGNAL);
	sigaddset(&set, SIGIO);
	return set;
}

static void block_signals(void)
{
	sigset_t set = both_signals();

	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
}

static int take_signal(siginfo_t *info, int timeout_ms)
{
	struct timespec limit = {
		.tv_sec = timeout_ms / 1000,
		.tv_nsec = timeout_ms % 1000 * 1000000L,
	};
	sigset_t set = both_signals();
	int signo;

	do {
		signo = sigtimedwait(&set, info, &limit);
	} while (signo < 0 && errno == EINTR);
	return signo < 0 ? 0 : signo;
}

/* The number of the next signal; a wait in vain fails the case. */
static int wait_signal(siginfo_t *info)
{
	int signo = take_signal(info, vm_timeout_ms(VM_HANG_MS));

	ck_assert_msg(signo, "no signal came");
	return signo;
}

/* The number of the signal that is pending now, or 0. */
static int pending_signal(void)
{
	siginfo_t info;

	return take_signal(&info, 0);
}

static void set_async(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	ck_assert_int_ge(flags, 0);
	flags = on ? flags | O_ASYNC : flags & ~O_ASYNC;
	ck_assert_int_eq(vm_errno(fcntl(fd, F_SETFL, flags)), 0);
	ck_assert_int_eq(fcntl(fd, F_GETFL), flags);
}

/* Has @fd send @signo, or SIGIO for 0, to this process. */
static void arm(int fd, int signo)
{
	block_signals();
	ck_assert_int_eq(vm_errno(fcntl(fd, F_SETOWN, getpid())), 0);
	ck_assert_int_eq(vm_errno(fcntl(fd, F_SETSIG, signo)), 0);
	set_async(fd, true);
}

/* Takes the next signal, which has to be SIGNAL for @fd with @code. */
static void assert_signal(int fd, int code)
{
	siginfo_t info;

	ck_assert_int_eq(wait_signal(&info), SIGNAL);
	ck_assert_int_eq(info.si_code, code);
	ck_assert_int_eq(info.si_fd, fd);
	if (code == POLL_IN)
		ck_assert_int_eq(info.si_band, POLLIN | POLLRDNORM);
	else
		ck_assert_int_eq(info.si_band,
				 POLLOUT | POLLWRNORM | POLLWRBAND);
}

/* Row "SIGIO": POLL_IN. */
START_TEST(write_raises_a_signal_with_fd_band_and_code)
{
	int fd = vm_open(both[_i], O_RDWR);

	arm(fd, SIGNAL);
	ck_assert_int_eq(pending_signal(), 0);
	vm_write(fd, "x", 1);
	assert_signal(fd, POLL_IN);
	ck_assert_int_eq(pending_signal(), 0);
}
END_TEST

START_TEST(every_commit_raises_one_signal)
{
	int fd = vm_open(both[_i], O_RDWR), i;
	char buffer[8];

	arm(fd, SIGNAL);
	for (i = 0; i < 5; i++)
		vm_write(fd, "x", 1);
	for (i = 0; i < 5; i++)
		assert_signal(fd, POLL_IN);
	ck_assert_int_eq(pending_signal(), 0);
	/* Reading raises none, and neither does what puts nothing in. */
	vm_read(fd, buffer, 1);
	ck_assert_int_eq(vm_errno(write(fd, "", 0)), 0);
	ck_assert_int_eq(pending_signal(), 0);
	vm_write(fd, "x", 1);
	assert_signal(fd, POLL_IN);
	ck_assert_int_eq(pending_signal(), 0);
}
END_TEST

/* A file that only writes is told of room, and one that only reads of data. */
START_TEST(direction_of_the_file_decides_which_signals_it_gets)
{
	int writer = vm_open(small[_i], O_WRONLY);
	int reader = vm_reopen(writer, O_RDONLY);

	arm(writer, SIGNAL);
	vm_write(writer, "x", 1);
	ck_assert_int_eq(pending_signal(), 0);
	vm_fill(writer);
	ck_assert_int_eq(pending_signal(), 0);
	vm_drain(writer);
	assert_signal(writer, POLL_OUT);
	ck_assert_int_eq(pending_signal(), 0);
	set_async(writer, false);

	arm(reader, SIGNAL);
	vm_write(writer, "x", 1);
	assert_signal(reader, POLL_IN);
	vm_fill(writer);
	while (pending_signal())
		;
	vm_drain(writer);
	ck_assert_int_eq(pending_signal(), 0);
	vm_write(writer, "x", 1);
	assert_signal(reader, POLL_IN);
	ck_assert_int_eq(pending_signal(), 0);
}
END_TEST

/* Row "SIGIO": POLL_OUT on full to not-full. */
START_TEST(room_raises_a_signal_only_after_the_channel_was_full)
{
	int fd = vm_open(small[_i], O_WRONLY), i;

	arm(fd, SIGNAL);
	for (i = 0; i < 3; i++) {
		vm_write(fd, "not full", 8);
		vm_drain(fd);
		ck_assert_int_eq(pending_signal(), 0);
		vm_fill(fd);
		vm_drain(fd);
		assert_signal(fd, POLL_OUT);
		ck_assert_int_eq(pending_signal(), 0);
	}
}
END_TEST

START_TEST(file_open_for_both_gets_both_signals)
{
	int fd = vm_open(small[_i], O_RDWR), in = 0;
	siginfo_t info;

	arm(fd, SIGNAL);
	vm_fill(fd);
	while (pending_signal())
		in++;
	ck_assert_int_gt(in, 0);
	vm_drain(fd);
	assert_signal(fd, POLL_OUT);
	vm_write(fd, "x", 1);
	ck_assert_int_eq(wait_signal(&info), SIGNAL);
	ck_assert_int_eq(info.si_code, POLL_IN);
}
END_TEST

START_TEST(without_setsig_plain_sigio_comes_and_coalesces)
{
	int fd = vm_open(both[_i], O_RDWR), i;
	siginfo_t info;

	arm(fd, 0);
	for (i = 0; i < 3; i++)
		vm_write(fd, "x", 1);
	ck_assert_int_eq(wait_signal(&info), SIGIO);
	ck_assert_int_eq(info.si_code, SI_KERNEL);
	ck_assert_int_eq(pending_signal(), 0);
	vm_write(fd, "x", 1);
	ck_assert_int_eq(wait_signal(&info), SIGIO);
}
END_TEST

START_TEST(clearing_o_async_stops_the_signals)
{
	int fd = vm_open(both[_i], O_RDWR);

	arm(fd, SIGNAL);
	vm_write(fd, "x", 1);
	assert_signal(fd, POLL_IN);
	set_async(fd, false);
	vm_write(fd, "x", 1);
	ck_assert_int_eq(pending_signal(), 0);
	set_async(fd, true);
	vm_write(fd, "x", 1);
	assert_signal(fd, POLL_IN);
	ck_assert_int_eq(pending_signal(), 0);
}
END_TEST

START_TEST(fioasync_turns_the_signals_on_and_off)
{
	int fd = vm_open(both[_i], O_RDWR), on = 1, off = 0;

	arm(fd, SIGNAL);
	ck_assert_int_eq(vm_errno(ioctl(fd, FIOASYNC, &off)), 0);
	ck_assert_int_eq(fcntl(fd, F_GETFL) & O_ASYNC, 0);
	vm_write(fd, "x", 1);
	ck_assert_int_eq(pending_signal(), 0);
	ck_assert_int_eq(vm_errno(ioctl(fd, FIOASYNC, &on)), 0);
	ck_assert_int_ne(fcntl(fd, F_GETFL) & O_ASYNC, 0);
	vm_write(fd, "x", 1);
	assert_signal(fd, POLL_IN);
	ck_assert_int_eq(pending_signal(), 0);
}
END_TEST

START_TEST(without_an_owner_nobody_is_signalled)
{
	int fd = vm_open(both[_i], O_RDWR);

	block_signals();
	set_async(fd, true);
	vm_write(fd, "x", 1);
	ck_assert_int_eq(pending_signal(), 0);
}
END_TEST

/* What is there already is no event: arm first, then look. */
START_TEST(arming_with_data_there_raises_nothing)
{
	int fd = vm_open(both[_i], O_RDWR);

	vm_write(fd, "x", 1);
	arm(fd, SIGNAL);
	ck_assert_int_eq(pending_signal(), 0);
	ck_assert_int_eq(vm_poll(fd, POLLIN), POLLIN);
}
END_TEST

START_TEST(two_files_are_signalled_each_with_its_own_fd)
{
	int fd = vm_open(both[_i], O_RDONLY), seen = 0, i;
	int other = vm_reopen(fd, O_RDONLY);
	int writer = vm_reopen(fd, O_WRONLY);
	siginfo_t info;

	arm(fd, SIGNAL);
	arm(other, SIGNAL);
	vm_write(writer, "x", 1);
	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(wait_signal(&info), SIGNAL);
		ck_assert(info.si_fd == fd || info.si_fd == other);
		seen |= info.si_fd == fd ? 1 : 2;
	}
	ck_assert_int_eq(seen, 3);
	ck_assert_int_eq(pending_signal(), 0);
	close(other);
	vm_write(writer, "x", 1);
	assert_signal(fd, POLL_IN);
	ck_assert_int_eq(pending_signal(), 0);
}
END_TEST

START_TEST(channels_do_not_signal_for_each_other)
{
	int stream = vm_open(VM_STREAM, O_RDWR);
	int message = vm_open(VM_MESSAGE, O_RDWR);

	arm(stream, SIGNAL);
	vm_write(message, "x", 1);
	ck_assert_int_eq(pending_signal(), 0);
	vm_write(stream, "x", 1);
	assert_signal(stream, POLL_IN);
}
END_TEST

START_TEST(close_ends_the_signals_and_a_duplicate_keeps_them)
{
	int fd = vm_open(both[_i], O_RDWR);
	int writer = vm_reopen(fd, O_WRONLY);
	int copy = dup(fd);

	arm(fd, SIGNAL);
	close(fd);
	/* The file is open still; the number is that of when it was armed. */
	vm_write(writer, "x", 1);
	assert_signal(fd, POLL_IN);
	close(copy);
	vm_write(writer, "x", 1);
	ck_assert_int_eq(pending_signal(), 0);
}
END_TEST

/* Takes a signal in a thread or process that @fd's signals go to. */
static long take_one(void *argument)
{
	siginfo_t info;

	if (take_signal(&info, vm_timeout_ms(VM_HANG_MS)) != SIGNAL)
		return -ETIME;
	return info.si_fd == *(int *)argument ? 0 : -EBADF;
}

static void set_owner(int fd, int type, pid_t pid)
{
	struct f_owner_ex owner = { .type = type, .pid = pid }, now;

	ck_assert_int_eq(vm_errno(fcntl(fd, F_SETOWN_EX, &owner)), 0);
	ck_assert_int_eq(vm_errno(fcntl(fd, F_GETOWN_EX, &now)), 0);
	ck_assert_int_eq(now.type, type);
	ck_assert_int_eq(now.pid, pid);
}

START_TEST(owner_thread_alone_gets_the_signal)
{
	int fd = vm_open(both[_i], O_RDWR);
	struct vm_thread thread;

	arm(fd, SIGNAL);
	vm_spawn(&thread, take_one, &fd);
	set_owner(fd, F_OWNER_TID, thread.tid);
	vm_wait_sleeping(thread.tid);
	vm_write(fd, "x", 1);
	ck_assert_int_eq(vm_join(&thread), 0);
	ck_assert_int_eq(pending_signal(), 0);
	/* The thread is gone: a signal for it is for nobody. */
	vm_write(fd, "x", 1);
	ck_assert_int_eq(pending_signal(), 0);
	/* Back to the whole process, that is this thread. */
	set_owner(fd, F_OWNER_PID, getpid());
	vm_write(fd, "x", 1);
	assert_signal(fd, POLL_IN);
}
END_TEST

/* A process that waits for one signal about the file it shares. */
struct waiter {
	int fd;
	int ready[2];
};

static int wait_in_child(void *argument)
{
	struct waiter *waiter = argument;
	int result;

	if (write(waiter->ready[1], "r", 1) != 1)
		return 2;
	result = take_one(&waiter->fd);
	return result ? 1 : 0;
}

static pid_t start_waiter(struct waiter *waiter)
{
	pid_t pid;
	char byte;

	ck_assert_int_eq(pipe(waiter->ready), 0);
	pid = vm_fork(wait_in_child, waiter);
	ck_assert_int_eq(vm_poll_wait(waiter->ready[0], POLLIN), POLLIN);
	vm_read(waiter->ready[0], &byte, 1);
	return pid;
}

START_TEST(other_process_as_owner_gets_the_signal)
{
	struct waiter waiter = { .fd = vm_open(both[_i], O_RDWR) };
	pid_t pid;

	arm(waiter.fd, SIGNAL);
	pid = start_waiter(&waiter);
	set_owner(waiter.fd, F_OWNER_PID, pid);
	vm_write(waiter.fd, "x", 1);
	vm_wait_success(pid);
	ck_assert_int_eq(pending_signal(), 0);
}
END_TEST

/* F_SETOWN with a negative number, and F_OWNER_PGRP, name a process group. */
START_TEST(process_group_as_owner_gets_the_signal_everywhere)
{
	struct waiter waiter = { .fd = vm_open(both[_i % 2], O_RDWR) };
	pid_t pid;

	arm(waiter.fd, SIGNAL);
	if (getpgrp() != getpid())
		ck_assert_int_eq(vm_errno(setpgid(0, 0)), 0);
	pid = start_waiter(&waiter);
	if (_i < 2)
		set_owner(waiter.fd, F_OWNER_PGRP, getpgrp());
	else
		ck_assert_int_eq(vm_errno(fcntl(waiter.fd, F_SETOWN,
						-getpgrp())), 0);
	vm_write(waiter.fd, "x", 1);
	vm_wait_success(pid);
	assert_signal(waiter.fd, POLL_IN);
	ck_assert_int_eq(pending_signal(), 0);
}
END_TEST

static int write_in_child(void *argument)
{
	return write(*(int *)argument, "x", 1) == 1 ? 0 : 1;
}

/* Owner and signal belong to the open file, that fork() does not copy. */
START_TEST(write_by_a_child_signals_the_owner_not_the_child)
{
	int fd = vm_open(both[_i], O_RDWR);

	arm(fd, SIGNAL);
	vm_wait_success(vm_fork(write_in_child, &fd));
	assert_signal(fd, POLL_IN);
	ck_assert_int_eq(pending_signal(), 0);
}
END_TEST

START_TEST(no_signal_for_a_record_that_a_parked_read_takes)
{
	int fd = vm_open(both[_i], O_RDWR);
	io_context_t context = aio_context(1);
	struct iocb request;
	char buffer[8];

	arm(fd, SIGNAL);
	aio_park_read(context, &request, fd, buffer, sizeof(buffer));
	vm_write(fd, "1", 1);
	ck_assert_int_eq(aio_result(context, &request), 1);
	ck_assert_int_eq(pending_signal(), 0);
	vm_write(fd, "2", 1);
	assert_signal(fd, POLL_IN);
	ck_assert_int_eq(pending_signal(), 0);
}
END_TEST

START_TEST(aio_write_raises_a_signal_at_once_and_when_it_was_parked)
{
	int fd = vm_open(small[_i], O_RDONLY);
	int writer = vm_reopen(fd, O_WRONLY);
	io_context_t context = aio_context(1);
	unsigned char buffer[VM_ATOMIC];
	struct iocb request;

	arm(fd, SIGNAL);
	io_prep_pwrite(&request, writer, "x", 1, 0);
	aio_submit(context, &request);
	ck_assert_int_eq(aio_result(context, &request), 1);
	assert_signal(fd, POLL_IN);

	set_async(fd, false);
	vm_fill(fd);
	aio_park_write(context, &request, writer, "parked", 6);
	set_async(fd, true);
	ck_assert_int_eq(pending_signal(), 0);
	/* What makes the room raises none itself, what goes in there does. */
	ck_assert_int_gt(vm_errno(read(fd, buffer, sizeof(buffer))), 0);
	ck_assert_int_eq(aio_result(context, &request), 6);
	assert_signal(fd, POLL_IN);
	ck_assert_int_eq(pending_signal(), 0);
}
END_TEST

/* Limits how many signals the kernel queues for this user. */
static void limit_queue(rlim_t limit)
{
	struct rlimit both_limits = { limit, limit };

	ck_assert_int_eq(vm_errno(setrlimit(RLIMIT_SIGPENDING, &both_limits)),
			 0);
}

/* The queue overflows to one plain SIGIO; who then drains all loses nothing. */
START_TEST(overflow_of_the_signal_queue_is_recovered_from)
{
	int fd = vm_open(both[_i], O_RDWR | O_NONBLOCK);
	int records = 0, queued = 0, plain = 0, signo;
	char byte;

	arm(fd, SIGNAL);
	limit_queue(8);
	for (records = 0; records < 100; records++)
		vm_write(fd, "x", 1);
	while ((signo = pending_signal()) != 0) {
		queued += signo == SIGNAL;
		plain += signo == SIGIO;
	}
	ck_assert_int_ge(queued, 1);
	ck_assert_int_lt(queued, 100);
	ck_assert_int_eq(plain, 1);
	while (vm_errno(read(fd, &byte, 1)) == 1)
		records--;
	ck_assert_int_eq(records, 0);
	/* With the queue empty there is a signal for each commit again. */
	vm_write(fd, "x", 1);
	assert_signal(fd, POLL_IN);
	ck_assert_int_eq(pending_signal(), 0);
}
END_TEST

START_TEST(signalfd_shows_fd_band_and_code)
{
	int fd = vm_open(both[_i], O_RDWR);
	struct signalfd_siginfo info;
	sigset_t set = both_signals();
	int signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);

	arm(fd, SIGNAL);
	ck_assert_int_eq(vm_poll(signals, POLLIN), 0);
	vm_write(fd, "x", 1);
	ck_assert_int_eq(vm_poll_wait(signals, POLLIN), POLLIN);
	vm_read(signals, &info, sizeof(info));
	ck_assert_int_eq(info.ssi_signo, SIGNAL);
	ck_assert_int_eq(info.ssi_code, POLL_IN);
	ck_assert_int_eq(info.ssi_fd, fd);
	ck_assert_int_eq(info.ssi_band, POLLIN | POLLRDNORM);
	ck_assert_int_eq(vm_errno(read(signals, &info, sizeof(info))),
			 -EAGAIN);
}
END_TEST

/* The textbook use: the handler drains the channel. */
static struct {
	int fd;
	uint64_t next;
	int wrong;
} handled;

static void drain_in_handler(int signo, siginfo_t *info, void *context)
{
	int saved = errno;
	uint64_t value;

	(void)signo;
	(void)context;
	if (info->si_code == POLL_IN && info->si_fd != handled.fd)
		handled.wrong++;
	while (read(handled.fd, &value, sizeof(value)) == sizeof(value))
		if (value != handled.next++)
			handled.wrong++;
	errno = saved;
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

START_TEST(handler_that_drains_gets_every_record_in_order)
{
	struct sigaction action = {
		.sa_sigaction = drain_in_handler,
		.sa_flags = SA_SIGINFO | SA_RESTART,
	};
	int64_t until = vm_now_ms() + vm_timeout_ms(VM_HANG_MS);
	sigset_t set = both_signals();
	int writer;
	pid_t pid;

	handled.fd = vm_open(both[_i], O_RDONLY | O_NONBLOCK);
	writer = vm_reopen(handled.fd, O_WRONLY);
	arm(handled.fd, SIGNAL);
	action.sa_mask = set;
	ck_assert_int_eq(sigaction(SIGNAL, &action, NULL), 0);
	ck_assert_int_eq(sigaction(SIGIO, &action, NULL), 0);
	ck_assert_int_eq(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
	pid = vm_fork(write_numbers, &writer);
	while (__atomic_load_n(&handled.next, __ATOMIC_RELAXED) < RECORDS) {
		ck_assert_msg(vm_now_ms() < until, "%llu of %d records came",
			      (unsigned long long)handled.next, RECORDS);
		vm_sleep_ms(1);
	}
	vm_wait_success(pid);
	ck_assert_int_eq(handled.wrong, 0);
	ck_assert_uint_eq(vm_info(writer).bytes, 0);
}
END_TEST

static long read_unblocked(void *argument)
{
	sigset_t set = both_signals();
	char byte;

	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	return vm_errno(read(*(int *)argument, &byte, 1));
}

START_TEST(signal_interrupts_a_read_that_sleeps_on_another_channel)
{
	int fd = vm_open(both[_i], O_RDWR);
	int quiet = vm_open(small[_i], O_RDWR);
	struct vm_thread thread;

	arm(fd, SIGNAL);
	vm_count_signal(SIGNAL, 0);
	vm_spawn(&thread, read_unblocked, &quiet);
	set_owner(fd, F_OWNER_TID, thread.tid);
	vm_wait_sleeping(thread.tid);
	vm_write(fd, "x", 1);
	ck_assert_int_eq(vm_join(&thread), -EINTR);
	ck_assert_int_eq(vm_signals, 1);
}
END_TEST

static void add_both(TCase *tcase, const TTest *test)
{
	tcase_add_loop_test(tcase, test, 0, VM_ARRAY_SIZE(both));
}

static void add_signal_cases(Suite *suite)
{
	TCase *tcase = vm_tcase(suite, "signal");

	add_both(tcase, write_raises_a_signal_with_fd_band_and_code);
	add_both(tcase, every_commit_raises_one_signal);
	add_both(tcase, direction_of_the_file_decides_which_signals_it_gets);
	add_both(tcase, room_raises_a_signal_only_after_the_channel_was_full);
	add_both(tcase, file_open_for_both_gets_both_signals);
	add_both(tcase, without_setsig_plain_sigio_comes_and_coalesces);
	add_both(tcase, no_signal_for_a_record_that_a_parked_read_takes);
	add_both(tcase,
		 aio_write_raises_a_signal_at_once_and_when_it_was_parked);
	add_both(tcase, overflow_of_the_signal_queue_is_recovered_from);
	add_both(tcase, signalfd_shows_fd_band_and_code);
	add_both(tcase, handler_that_drains_gets_every_record_in_order);
	add_both(tcase, signal_interrupts_a_read_that_sleeps_on_another_channel);
}

static void add_file_cases(Suite *suite)
{
	TCase *tcase = vm_tcase(suite, "file");

	add_both(tcase, clearing_o_async_stops_the_signals);
	add_both(tcase, fioasync_turns_the_signals_on_and_off);
	add_both(tcase, without_an_owner_nobody_is_signalled);
	add_both(tcase, arming_with_data_there_raises_nothing);
	add_both(tcase, two_files_are_signalled_each_with_its_own_fd);
	tcase_add_test(tcase, channels_do_not_signal_for_each_other);
	add_both(tcase, close_ends_the_signals_and_a_duplicate_keeps_them);
}

static void add_owner_cases(Suite *suite)
{
	TCase *tcase = vm_tcase(suite, "owner");

	add_both(tcase, owner_thread_alone_gets_the_signal);
	add_both(tcase, other_process_as_owner_gets_the_signal);
	tcase_add_loop_test(tcase, process_group_as_owner_gets_the_signal_everywhere, 0, 4);
	add_both(tcase, write_by_a_child_signals_the_owner_not_the_child);
}

int main(void)
{
	Suite *suite = suite_create("sigio");

	add_signal_cases(suite);
	add_file_cases(suite);
	add_owner_cases(suite);
	return vm_main(suite);
}
