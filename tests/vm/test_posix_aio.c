// SPDX-License-Identifier: GPL-2.0-only
/*
 * POSIX AIO as the C library has it: threads that call pread() and, since a
 * channel cannot seek, read(). It works on channels like on any file.
 */
#include "vm.h"

#include <aio.h>
#include <poll.h>
#include <time.h>

#define SIGNAL	(SIGRTMIN + 4)

static const enum vm_channel both[] = { VM_STREAM, VM_MESSAGE };
static const enum vm_channel small[] = { VM_STREAM_SMALL, VM_MESSAGE_SMALL };

static struct aiocb control_block(int fd, void *buffer, size_t length)
{
	struct aiocb block;

	memset(&block, 0, sizeof(block));
	block.aio_fildes = fd;
	block.aio_buf = buffer;
	block.aio_nbytes = length;
	block.aio_sigevent.sigev_notify = SIGEV_NONE;
	return block;
}

/* Waits until the request has ended; its result, errors as -errno. */
static ssize_t finish(struct aiocb *block)
{
	const struct aiocb *list[1] = { block };
	int64_t until = vm_now_ms() + vm_timeout_ms(VM_HANG_MS);
	int error;

	while ((error = aio_error(block)) == EINPROGRESS) {
		struct timespec limit = { .tv_sec = 1 };

		ck_assert_msg(vm_now_ms() < until, "the request hangs");
		aio_suspend(list, 1, &limit);
	}
	return error ? -error : aio_return(block);
}

START_TEST(aio_read_waits_for_a_record_and_gets_it)
{
	int fd = vm_open(both[_i], O_RDWR);
	char buffer[8] = "";
	struct aiocb block = control_block(fd, buffer, sizeof(buffer));

	ck_assert_int_eq(vm_errno(aio_read(&block)), 0);
	ck_assert_int_eq(aio_error(&block), EINPROGRESS);
	vm_write(fd, "record", 6);
	ck_assert_int_eq(finish(&block), 6);
	ck_assert_mem_eq(buffer, "record", 6);
}
END_TEST

START_TEST(aio_write_puts_a_record_in)
{
	int fd = vm_open(both[_i], O_RDWR);
	char buffer[8] = "record";
	struct aiocb block = control_block(fd, buffer, 6);

	ck_assert_int_eq(vm_errno(aio_write(&block)), 0);
	ck_assert_int_eq(finish(&block), 6);
	memset(buffer, 0, sizeof(buffer));
	ck_assert_int_eq(vm_errno(read(fd, buffer, sizeof(buffer))), 6);
	ck_assert_mem_eq(buffer, "record", 6);
}
END_TEST

START_TEST(aio_write_to_a_full_channel_waits_for_room)
{
	int fd = vm_open(small[_i], O_RDWR);
	size_t filled = vm_fill(fd);
	unsigned char buffer[VM_ATOMIC];
	struct aiocb block = control_block(fd, "late", 4);
	ssize_t got;

	ck_assert_int_eq(vm_errno(aio_write(&block)), 0);
	ck_assert_int_eq(aio_error(&block), EINPROGRESS);
	got = vm_errno(read(fd, buffer, sizeof(buffer)));
	ck_assert_int_gt(got, 0);
	ck_assert_int_eq(finish(&block), 4);
	ck_assert_uint_eq(vm_info(fd).bytes, filled - got + 4);
}
END_TEST

START_TEST(aio_suspend_times_out_and_then_returns)
{
	int fd = vm_open(both[_i], O_RDWR);
	char buffer[8];
	struct aiocb block = control_block(fd, buffer, sizeof(buffer));
	const struct aiocb *list[1] = { &block };
	struct timespec brief = { .tv_nsec = 1000000 };

	ck_assert_int_eq(vm_errno(aio_read(&block)), 0);
	ck_assert_int_eq(vm_errno(aio_suspend(list, 1, &brief)), -EAGAIN);
	vm_write(fd, "x", 1);
	ck_assert_int_eq(vm_errno(aio_suspend(list, 1, NULL)), 0);
	ck_assert_int_eq(aio_error(&block), 0);
	ck_assert_int_eq(aio_return(&block), 1);
}
END_TEST

/* Two channels: the C library does one request of a file after the other. */
START_TEST(lio_listio_transfers_both_ways)
{
	int stream = vm_open(VM_STREAM, O_RDWR);
	int message = vm_open(VM_MESSAGE, O_RDWR);
	char first[8] = "", second[8] = "";
	struct aiocb blocks[4] = {
		control_block(stream, first, sizeof(first)),
		control_block(message, second, sizeof(second)),
		control_block(vm_reopen(stream, O_WRONLY), "one", 3),
		control_block(vm_reopen(message, O_WRONLY), "two", 3),
	};
	struct aiocb *list[4];
	int i;

	for (i = 0; i < 4; i++) {
		blocks[i].aio_lio_opcode = i < 2 ? LIO_READ : LIO_WRITE;
		list[i] = &blocks[i];
	}
	ck_assert_int_eq(vm_errno(lio_listio(LIO_WAIT, list, 4, NULL)), 0);
	for (i = 0; i < 4; i++)
		ck_assert_int_eq(finish(list[i]), 3);
	ck_assert_str_eq(first, "one");
	ck_assert_str_eq(second, "two");
}
END_TEST

START_TEST(sigev_signal_tells_which_request_ended)
{
	int ms = vm_timeout_ms(VM_HANG_MS);
	struct timespec limit = { .tv_sec = ms / 1000 };
	int fd = vm_open(both[_i], O_RDWR);
	char buffer[8];
	struct aiocb block = control_block(fd, buffer, sizeof(buffer));
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGNAL);
	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	block.aio_sigevent.sigev_notify = SIGEV_SIGNAL;
	block.aio_sigevent.sigev_signo = SIGNAL;
	block.aio_sigevent.sigev_value.sival_ptr = &block;
	ck_assert_int_eq(vm_errno(aio_read(&block)), 0);
	vm_write(fd, "x", 1);
	ck_assert_int_eq(sigtimedwait(&set, &info, &limit), SIGNAL);
	ck_assert_int_eq(info.si_code, SI_ASYNCIO);
	ck_assert_ptr_eq(info.si_value.sival_ptr, &block);
	ck_assert_int_eq(finish(&block), 1);
}
END_TEST

/* Passes what it was called with on through a pipe. */
static int notified[2];

static void notify(union sigval value)
{
	struct aiocb *block = value.sival_ptr;
	char result = aio_error(block) ? 'e' : '0' + aio_return(block);

	if (write(notified[1], &result, 1) != 1)
		abort();
}

START_TEST(sigev_thread_is_called_when_the_request_ends)
{
	int fd = vm_open(both[_i], O_RDWR);
	char buffer[8], result;
	struct aiocb block = control_block(fd, buffer, sizeof(buffer));

	ck_assert_int_eq(pipe(notified), 0);
	block.aio_sigevent.sigev_notify = SIGEV_THREAD;
	block.aio_sigevent.sigev_notify_function = notify;
	block.aio_sigevent.sigev_value.sival_ptr = &block;
	ck_assert_int_eq(vm_errno(aio_read(&block)), 0);
	ck_assert_int_eq(vm_poll(notified[0], POLLIN), 0);
	vm_write(fd, "xyz", 3);
	ck_assert_int_ne(vm_poll_wait(notified[0], POLLIN), 0);
	vm_read(notified[0], &result, 1);
	ck_assert_int_eq(result, '3');
}
END_TEST

START_TEST(aio_read_of_an_empty_nonblocking_channel_is_eagain)
{
	int fd = vm_open(both[_i], O_RDWR | O_NONBLOCK);
	char buffer[8];
	struct aiocb block = control_block(fd, buffer, sizeof(buffer));

	ck_assert_int_eq(vm_errno(aio_read(&block)), 0);
	ck_assert_int_eq(finish(&block), -EAGAIN);
}
END_TEST

/* Row "lseek, pread, pwrite": the C library falls back to read and write. */
START_TEST(aio_offset_does_not_matter)
{
	int fd = vm_open(both[_i], O_RDWR);
	char buffer[8];
	struct aiocb block = control_block(fd, "abc", 3);

	block.aio_offset = 1000;
	ck_assert_int_eq(vm_errno(aio_write(&block)), 0);
	ck_assert_int_eq(finish(&block), 3);
	block = control_block(fd, buffer, sizeof(buffer));
	block.aio_offset = 5000;
	ck_assert_int_eq(vm_errno(aio_read(&block)), 0);
	ck_assert_int_eq(finish(&block), 3);
	ck_assert_mem_eq(buffer, "abc", 3);
}
END_TEST

START_TEST(aio_fsync_fails)
{
	int fd = vm_open(both[_i], O_RDWR);
	struct aiocb block = control_block(fd, NULL, 0);

	ck_assert_int_eq(vm_errno(aio_fsync(O_SYNC, &block)), 0);
	ck_assert_int_eq(finish(&block), -EINVAL);
}
END_TEST

static void add_both(TCase *tcase, const TTest *test)
{
	tcase_add_loop_test(tcase, test, 0, VM_ARRAY_SIZE(both));
}

int main(void)
{
	Suite *suite = suite_create("posix_aio");
	TCase *tcase = vm_tcase(suite, "posix_aio");

	add_both(tcase, aio_read_waits_for_a_record_and_gets_it);
	add_both(tcase, aio_write_puts_a_record_in);
	add_both(tcase, aio_write_to_a_full_channel_waits_for_room);
	add_both(tcase, aio_suspend_times_out_and_then_returns);
	tcase_add_test(tcase, lio_listio_transfers_both_ways);
	add_both(tcase, sigev_signal_tells_which_request_ended);
	add_both(tcase, sigev_thread_is_called_when_the_request_ends);
	add_both(tcase, aio_read_of_an_empty_nonblocking_channel_is_eagain);
	add_both(tcase, aio_offset_does_not_matter);
	add_both(tcase, aio_fsync_fails);
	return vm_main(suite);
}
