// SPDX-License-Identifier: GPL-2.0-only
/*
 * A loop with hangup=fifo is a named pipe. Every case is run on a real FIFO and on
 * a channel, and asserts the same values of both: @_i.
 */
#include "fifo.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define RACES		300

static long open_thread(void *flags)
{
	return fifo_try_open(*(int *)flags);
}

START_TEST(nonblocking_opens)
{
	int reader, writer;

	fifo_begin(_i);
	ck_assert_int_eq(fifo_try_open(O_WRONLY | O_NONBLOCK), -ENXIO);
	reader = fifo_open(O_RDONLY | O_NONBLOCK);
	writer = fifo_open(O_WRONLY | O_NONBLOCK);
	close(reader);
	ck_assert_int_eq(fifo_try_open(O_WRONLY | O_NONBLOCK), -ENXIO);
	reader = fifo_open(O_RDONLY);
	close(writer);
	close(fifo_open(O_WRONLY));
	close(reader);
	ck_assert_int_eq(fifo_try_open(O_WRONLY | O_NONBLOCK), -ENXIO);
	close(fifo_open(O_RDWR | O_NONBLOCK));
	close(fifo_open(O_RDWR));
	ck_assert_int_eq(fifo_try_open(O_WRONLY | O_NONBLOCK), -ENXIO);
}
END_TEST

static void opens_wait(int waiting, int partner, int signal_flags, long result)
{
	struct vm_thread thread;
	int fd;

	vm_count_signal(SIGUSR1, signal_flags);
	vm_spawn(&thread, open_thread, &waiting);
	vm_wait_sleeping(thread.tid);
	vm_signals = 0;
	vm_kill_thread(thread.tid, SIGUSR1);
	if (result) {
		ck_assert_int_eq(vm_join(&thread), result);
		return;
	}
	while (!vm_signals)
		vm_sleep_ms(1);
	vm_wait_sleeping(thread.tid);
	/* A partner that has gone again is enough. */
	fd = fifo_open(partner);
	close(fd);
	fd = vm_join(&thread);
	ck_assert_int_ge(fd, 0);
	close(fd);
}

START_TEST(blocking_open_waits_for_the_other_end)
{
	fifo_begin(_i);
	for (int i = 0; i < 3; i++) {
		opens_wait(O_RDONLY, O_WRONLY, 0, -EINTR);
		opens_wait(O_RDONLY, O_WRONLY, SA_RESTART, 0);
		opens_wait(O_RDONLY, O_RDWR, SA_RESTART, 0);
		opens_wait(O_WRONLY, O_RDONLY, 0, -EINTR);
		opens_wait(O_WRONLY, O_RDONLY, SA_RESTART, 0);
		opens_wait(O_WRONLY, O_RDONLY | O_NONBLOCK, SA_RESTART, 0);
		opens_wait(O_WRONLY, O_RDWR, SA_RESTART, 0);
	}
}
END_TEST

static int open_in_child(void *flags)
{
	return fifo_try_open(*(int *)flags) < 0;
}

START_TEST(waiting_open_can_be_killed)
{
	int flags[] = { O_RDONLY, O_WRONLY }, status;

	fifo_begin(_i);
	for (int i = 0; i < 2; i++) {
		pid_t pid = vm_fork(open_in_child, &flags[i]);

		vm_wait_sleeping(pid);
		kill(pid, SIGKILL);
		status = vm_wait(pid);
		ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
	/* The one that has gone is no end that is open. */
	ck_assert_int_eq(fifo_try_open(O_WRONLY | O_NONBLOCK), -ENXIO);
}
END_TEST

START_TEST(reader_without_a_writer)
{
	int reader, writer;

	fifo_begin(_i);
	reader = fifo_open(O_RDONLY | O_NONBLOCK);
	ck_assert_int_eq(fifo_read_byte(reader), 0);
	ck_assert_int_eq(vm_poll(reader, POLLIN), 0);
	writer = fifo_open(O_WRONLY);
	ck_assert_int_eq(fifo_read_byte(reader), -EAGAIN);
	ck_assert_int_eq(vm_poll(reader, POLLIN), 0);
	vm_write(writer, "ab", 2);
	close(writer);
	ck_assert_int_eq(vm_poll(reader, POLLIN), POLLIN | POLLHUP);
	ck_assert_int_eq(fifo_read_byte(reader), 1);
	ck_assert_int_eq(vm_poll(reader, POLLIN), POLLIN | POLLHUP);
	ck_assert_int_eq(fifo_read_byte(reader), 1);
	ck_assert_int_eq(vm_poll(reader, POLLIN), POLLHUP);
	ck_assert_int_eq(fifo_read_byte(reader), 0);
	writer = fifo_open(O_RDONLY | O_NONBLOCK);
	ck_assert_int_eq(vm_poll(writer, POLLIN), 0);
	ck_assert_int_eq(vm_poll(reader, POLLIN), POLLHUP);
	close(fifo_open(O_WRONLY));
	ck_assert_int_eq(vm_poll(writer, POLLIN), POLLHUP);
}
END_TEST

START_TEST(writer_without_a_reader)
{
	int reader, writer;
	struct iovec iov = { .iov_base = "x", .iov_len = 1 };

	fifo_begin(_i);
	fifo_open_both(&reader, &writer);
	ck_assert_int_eq(vm_poll(writer, POLLOUT), POLLOUT);
	close(reader);
	ck_assert_int_eq(vm_poll(writer, POLLOUT), POLLOUT | POLLERR);
	vm_signals = 0;
	ck_assert_int_eq(vm_errno(write(writer, "x", 1)), -EPIPE);
	ck_assert_int_eq(vm_signals, 1);
	ck_assert_int_eq(vm_errno(writev(writer, &iov, 1)), -EPIPE);
	ck_assert_int_eq(vm_signals, 2);
	ck_assert_int_eq(vm_errno(pwritev2(writer, &iov, 1, -1, 0)), -EPIPE);
	ck_assert_int_eq(vm_signals, 3);
	ck_assert_int_eq(vm_errno(write(writer, "", 0)), 0);
	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(vm_errno(write(writer, "x", 1)), -EPIPE);
	ck_assert_int_eq(vm_signals, 3);
	reader = fifo_open(O_RDONLY);
	ck_assert_int_eq(vm_poll(writer, POLLOUT), POLLOUT);
	vm_write(writer, "x", 1);
	ck_assert_int_eq(fifo_read_byte(reader), 1);
}
END_TEST

START_TEST(partial_write_before_the_reader_closes)
{
	struct vm_thread thread;
	static char data[4 * FIFO_CAPACITY];
	struct vm_transfer transfer = { .data = data, .length = sizeof(data) };
	int reader, writer;

	fifo_begin(_i);
	fifo_open_both(&reader, &writer);
	transfer.fd = writer;
	vm_spawn(&thread, vm_write_thread, &transfer);
	vm_wait_sleeping(thread.tid);
	vm_signals = 0;
	close(reader);
	ck_assert_int_eq(vm_join(&thread), FIFO_CAPACITY);
	ck_assert_int_eq(vm_signals, 1);
	ck_assert_int_eq(vm_poll(writer, POLLOUT), POLLERR);
}
END_TEST

START_TEST(what_was_not_read_goes_with_the_last_file)
{
	int reader, writer, left;

	fifo_begin(_i);
	for (int i = 0; i < 3; i++) {
		fifo_open_both(&reader, &writer);
		ck_assert_int_eq(ioctl(reader, FIONREAD, &left), 0);
		ck_assert_int_eq(left, 0);
		vm_write(writer, "left", 4);
		ck_assert_int_eq(ioctl(writer, FIONREAD, &left), 0);
		ck_assert_int_eq(left, 4);
		close(reader);
		/* A writer keeps it. */
		reader = fifo_open(O_RDONLY);
		ck_assert_int_eq(fifo_read_byte(reader), 1);
		close(reader);
		close(writer);
	}
}
END_TEST

static size_t fits(int writer, size_t length)
{
	static char data[1 << 20];
	struct iovec two[] = { { data, 1 }, { data, 1 } };
	size_t all = 0;
	ssize_t put;

	do {
		put = vm_errno(length == 2 ? writev(writer, two, 2) :
				write(writer, data, length));
		all += put > 0 ? put : 0;
	} while (put > 0);
	ck_assert_int_eq(put, -EAGAIN);
	return all;
}

START_TEST(as_much_fits)
{
	static const size_t lengths[] = { 1 << 20, 4096, 1, 2, 100, 257, 3000,
					  4095 };
	int reader, writer;

	fifo_begin(_i);
	for (size_t i = 0; i < VM_ARRAY_SIZE(lengths); i++) {
		size_t per_page = 4096 / lengths[i] * lengths[i], all;

		fifo_open_both(&reader, &writer);
		vm_set_nonblock(writer, true);
		all = fits(writer, lengths[i]);
		printf("# %s: in writes of %zu: %zu\n",
		       _i ? "channel" : "FIFO", lengths[i], all);
		ck_assert_uint_le(all, FIFO_CAPACITY);
		ck_assert_uint_ge(all, per_page ? 16 * per_page : FIFO_CAPACITY);
		ck_assert_int_eq(vm_poll(writer, POLLOUT), 0);
		close(reader);
		close(writer);
	}
}
END_TEST

START_TEST(edges_of_epoll)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC), reader, writer;
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };

	fifo_begin(_i);
	fifo_open_both(&reader, &writer);
	ck_assert_int_eq(epoll_ctl(epoll, EPOLL_CTL_ADD, reader, &event), 0);
	ck_assert_int_eq(epoll_wait(epoll, &event, 1, 0), 0);
	for (int i = 0; i < 2; i++) {
		vm_write(writer, "x", 1);
		ck_assert_int_eq(epoll_wait(epoll, &event, 1, 0), 1);
		ck_assert_uint_eq(event.events, EPOLLIN);
		ck_assert_int_eq(epoll_wait(epoll, &event, 1, 0), 0);
	}
	close(writer);
	ck_assert_int_eq(epoll_wait(epoll, &event, 1, 0), 1);
	ck_assert_uint_eq(event.events, EPOLLIN | EPOLLHUP);
}
END_TEST

START_TEST(offsets_are_espipe)
{
	int fd;
	char byte = 0;

	fifo_begin(_i);
	fd = fifo_open(O_RDWR);
	ck_assert_int_eq(vm_errno(lseek(fd, 0, SEEK_CUR)), -ESPIPE);
	ck_assert_int_eq(vm_errno(pread(fd, &byte, 1, 0)), -ESPIPE);
	ck_assert_int_eq(vm_errno(pwrite(fd, &byte, 1, 0)), -ESPIPE);
}
END_TEST

START_TEST(what_a_character_device_cannot)
{
	struct stat stat;
	int fd, ends[2];

	fifo_begin(_i);
	fd = fifo_open(O_RDWR);
	ck_assert_int_eq(pipe(ends), 0);
	vm_write(fd, "x", 1);
	ck_assert_int_eq(vm_errno(tee(fd, ends[1], 1, 0)),
			 _i == FIFO ? 1 : -EINVAL);
	ck_assert_int_eq(fstat(fd, &stat), 0);
	ck_assert_int_eq(!!S_ISFIFO(stat.st_mode), _i == FIFO);
	ck_assert_int_eq(vm_errno(fcntl(fd, F_GETPIPE_SZ)),
			 _i == FIFO ? FIFO_CAPACITY : -EBADF);
	ck_assert_int_eq(vm_errno(fcntl(fd, F_SETPIPE_SZ, FIFO_CAPACITY)),
			 _i == FIFO ? FIFO_CAPACITY : -EBADF);
}
END_TEST

static long open_and_close(void *flags)
{
	for (int i = 0; i < (int)vm_repeat(RACES); i++) {
		int fd = fifo_try_open(*(int *)flags);

		if (fd >= 0)
			close(fd);
		else if (fd != -ENXIO)
			return fd;
	}
	return 0;
}

/* One that waits is woken by a partner that does not stay. */
START_TEST(raced_opens_and_closes)
{
	int flags[] = { O_RDONLY | O_NONBLOCK, O_WRONLY | O_NONBLOCK, O_RDWR };
	int waiting[] = { O_RDONLY, O_WRONLY };
	struct vm_thread threads[5];

	fifo_begin(_i);
	for (int i = 0; i < 2; i++)
		vm_spawn(&threads[3 + i], open_and_close, &waiting[i]);
	for (int i = 0; i < 3; i++)
		vm_spawn(&threads[i], open_and_close, &flags[i]);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(vm_join(&threads[i]), 0);
	/* Whoever is left has somebody to meet until both have done. */
	for (int i = 3; i < 5; i++) {
		while (pthread_tryjoin_np(threads[i].thread, NULL))
			close(fifo_open(O_RDWR));
		ck_assert_int_eq(threads[i].result, 0);
	}
	ck_assert_int_eq(fifo_try_open(O_WRONLY | O_NONBLOCK), -ENXIO);
}
END_TEST

int main(void)
{
	static const TTest *const *cases[] = {
		&nonblocking_opens, &blocking_open_waits_for_the_other_end,
		&waiting_open_can_be_killed, &reader_without_a_writer,
		&writer_without_a_reader,
		&partial_write_before_the_reader_closes,
		&what_was_not_read_goes_with_the_last_file, &as_much_fits,
		&edges_of_epoll, &offsets_are_espipe,
		&what_a_character_device_cannot, &raced_opens_and_closes,
	};

	return fifo_main("fifo", cases, VM_ARRAY_SIZE(cases));
}
