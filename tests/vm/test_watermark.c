// SPDX-License-Identifier: GPL-2.0-only
/*
 * Low-water marks and moderation: when those who wait are told. What never
 * waits is not held up by either.
 */
#include "control.h"
#include "kernel_aio.h"

#include <poll.h>
#include <sys/ioctl.h>

#define MARK	100

static int make(uint32_t read_low, uint32_t write_low, int flags)
{
	struct achan_create create = control_loop("marks");

	create.config.mode = ACHAN_MODE_STREAM;
	create.config.read_low = read_low;
	create.config.write_low = write_low;
	return control_make_open(&create, flags);
}

static void put(int fd, size_t bytes)
{
	char data[8192] = { 0 };

	vm_write(fd, data, bytes);
}

START_TEST(poll_says_in_at_the_mark)
{
	int fd = make(MARK, 0, O_RDWR);

	put(fd, MARK - 1);
	ck_assert_int_eq(vm_poll(fd, POLLIN), 0);
	put(fd, 1);
	ck_assert_int_eq(vm_poll(fd, POLLIN), POLLIN);
}
END_TEST

static long wait_in(void *argument)
{
	return vm_poll_wait(*(int *)argument, POLLIN);
}

START_TEST(poller_is_woken_at_the_mark_and_not_before)
{
	int fd = make(MARK, 0, O_RDWR);
	struct achan_stats before, after;
	struct vm_thread thread;

	vm_spawn(&thread, wait_in, &fd);
	vm_wait_sleeping(thread.tid);
	before = control_file_stats(fd);
	for (int i = 0; i < MARK - 1; i++)
		put(fd, 1);
	after = control_file_stats(fd);
	ck_assert_uint_eq(after.wakeups, before.wakeups);
	ck_assert(vm_is_sleeping(thread.tid));
	put(fd, 1);
	ck_assert_int_eq(vm_join(&thread), POLLIN);
	ck_assert_uint_eq(control_file_stats(fd).wakeups, before.wakeups + 1);
}
END_TEST

START_TEST(blocking_read_waits_for_the_mark)
{
	int fd = make(MARK, 0, O_RDWR);
	char data[200];
	struct vm_transfer transfer = { fd, data, sizeof(data) };
	struct vm_thread thread;

	put(fd, 10);
	vm_spawn(&thread, vm_read_thread, &transfer);
	vm_wait_sleeping(thread.tid);
	put(fd, MARK - 10);
	ck_assert_int_eq(vm_join(&thread), MARK);
}
END_TEST

START_TEST(read_that_never_waits_gets_what_there_is)
{
	int fd = make(MARK, 0, O_RDWR | O_NONBLOCK);
	char data[200];

	put(fd, 10);
	ck_assert_int_eq(vm_errno(read(fd, data, sizeof(data))), 10);
	ck_assert_int_eq(vm_errno(read(fd, data, sizeof(data))), -EAGAIN);
}
END_TEST

START_TEST(asynchronous_read_parks_below_the_mark)
{
	io_context_t context = aio_context(1);
	int fd = make(MARK, 0, O_RDWR | O_NONBLOCK);
	struct iocb request;
	char data[200];

	put(fd, 10);
	aio_park_read(context, &request, fd, data, sizeof(data));
	put(fd, MARK - 11);
	ck_assert(aio_idle(context));
	put(fd, 1);
	ck_assert_int_eq(aio_result(context, &request), MARK);
}
END_TEST

START_TEST(sigio_comes_at_the_mark)
{
	int fd = make(MARK, 0, O_RDWR);
	struct achan_stats stats;

	vm_count_signal(SIGIO, SA_RESTART);
	fcntl(fd, F_SETOWN, getpid());
	fcntl(fd, F_SETFL, O_ASYNC);
	for (int i = 0; i < MARK - 1; i++)
		put(fd, 1);
	ck_assert_int_eq(vm_signals, 0);
	ck_assert_uint_eq(control_file_stats(fd).signals, 0);
	put(fd, 1);
	for (int i = 0; i < 1000 && !vm_signals; i++)
		vm_sleep_ms(1);
	ck_assert_int_eq(vm_signals, 1);
	stats = control_file_stats(fd);
	ck_assert_uint_eq(stats.signals, 1);
}
END_TEST

/* A mark that the ring can never hold must not stop reader and writer both. */
START_TEST(full_ring_is_told_whatever_the_mark)
{
	int fd = make(8192, 0, O_RDWR);
	char data[8192];
	struct vm_transfer in = { fd, data, sizeof(data) };
	struct vm_transfer out = { fd, data, 1000 };
	struct vm_thread reader, writer;

	for (int i = 0; i < 7; i++)
		put(fd, 1000);
	vm_spawn(&reader, vm_read_thread, &in);
	vm_wait_sleeping(reader.tid);
	put(fd, 1000);
	vm_wait_sleeping(reader.tid);
	vm_spawn(&writer, vm_write_thread, &out);
	ck_assert_int_eq(vm_join(&writer), 1000);
	ck_assert_int_ge(vm_join(&reader), 8000);
}
END_TEST

START_TEST(full_ring_serves_parked_reads_whatever_the_mark)
{
	io_context_t context = aio_context(2);
	int fd = make(8192, 0, O_RDWR | O_NONBLOCK);
	struct iocb get, put_request;
	char data[8192] = { 0 };

	aio_park_read(context, &get, fd, data, sizeof(data));
	for (int i = 0; i < 8; i++)
		put(fd, 1000);
	ck_assert(aio_idle(context));
	io_prep_pwrite(&put_request, fd, data, 1000, 0);
	aio_submit(context, &put_request);
	struct io_event events[2];

	aio_wait(context, events, 2);
	for (int i = 0; i < 2; i++)
		ck_assert_int_ge((long)events[i].res, 1000);
}
END_TEST

START_TEST(hang_up_is_told_whatever_the_mark)
{
	struct achan_create create = control_pair("marks");
	int in, out;
	char data[8];

	create.config.read_low = MARK;
	in = control_make_open(&create, O_RDONLY);
	out = control_node(create.peer_minor, O_WRONLY);
	vm_write(out, "few", 3);
	ck_assert_int_eq(vm_poll(in, POLLIN), 0);
	close(out);
	ck_assert_int_eq(vm_poll(in, POLLIN), POLLIN | POLLHUP);
	ck_assert_int_eq(vm_errno(read(in, data, 8)), 3);
	ck_assert_int_eq(vm_errno(read(in, data, 8)), 0);
}
END_TEST

START_TEST(removal_is_told_whatever_the_mark)
{
	int fd = make(MARK, 0, O_RDWR);
	char data[200];
	struct vm_transfer transfer = { fd, data, sizeof(data) };
	struct vm_thread thread;

	put(fd, 10);
	vm_spawn(&thread, vm_read_thread, &transfer);
	vm_wait_sleeping(thread.tid);
	ck_assert_int_eq(control_remove("marks"), 0);
	ck_assert_int_eq(vm_join(&thread), 10);
}
END_TEST

START_TEST(lowering_the_mark_wakes_those_it_lets_through)
{
	int fd = make(MARK, 0, O_RDWR);
	struct achan_config config = { .read_low = 10 };
	io_context_t context = aio_context(1);
	struct vm_thread thread;
	struct iocb request;
	char data[200];

	put(fd, 10);
	vm_spawn(&thread, wait_in, &fd);
	vm_wait_sleeping(thread.tid);
	control_set("marks", ACHAN_SET_READ_LOW, &config);
	ck_assert_int_eq(vm_join(&thread), POLLIN);
	vm_read(fd, data, 10);
	put(fd, 5);
	aio_park_read(context, &request, fd, data, sizeof(data));
	config.read_low = 0;
	control_set("marks", ACHAN_SET_READ_LOW, &config);
	ck_assert_int_eq(aio_result(context, &request), 5);
}
END_TEST

START_TEST(poll_says_out_at_the_mark_for_writing)
{
	int fd = make(0, 8192, O_RDWR | O_NONBLOCK);
	char data[100];

	ck_assert_int_eq(vm_poll(fd, POLLOUT), POLLOUT);
	put(fd, 100);
	ck_assert_int_eq(vm_poll(fd, POLLOUT), 0);
	/* Who does not wait may write all the same. */
	put(fd, 100);
	vm_read(fd, data, 100);
	ck_assert_int_eq(vm_poll(fd, POLLOUT), 0);
	vm_read(fd, data, 100);
	ck_assert_int_eq(vm_poll(fd, POLLOUT), POLLOUT);
}
END_TEST

START_TEST(sleeping_writer_wakes_at_the_mark_for_writing)
{
	int fd = make(0, 8192, O_RDWR);
	char data[1000];
	struct vm_transfer transfer = { fd, data, 1000 };
	struct vm_thread thread;

	for (int i = 0; i < 8; i++)
		put(fd, 1000);
	vm_spawn(&thread, vm_write_thread, &transfer);
	vm_wait_sleeping(thread.tid);
	for (int i = 0; i < 7; i++)
		vm_read(fd, data, 1000);
	vm_wait_sleeping(thread.tid);
	vm_read(fd, data, 1000);
	ck_assert_int_eq(vm_join(&thread), 1000);
}
END_TEST

static int make_moderate(uint32_t records, uint32_t usecs, int flags)
{
	struct achan_create create = control_loop("moderate");

	create.config.moderate_records = records;
	create.config.moderate_usecs = usecs;
	return control_make_open(&create, flags);
}

START_TEST(signals_come_once_for_so_many_records)
{
	/* The time is one that does not pass. */
	int fd = make_moderate(10, 1000000, O_RDWR | O_NONBLOCK);

	vm_count_signal(SIGIO, SA_RESTART);
	fcntl(fd, F_SETOWN, getpid());
	fcntl(fd, F_SETFL, O_ASYNC | O_NONBLOCK);
	for (int i = 0; i < 50; i++)
		put(fd, 1);
	ck_assert_uint_ge(control_file_stats(fd).signals, 5);
	/* On a machine that is slow beyond measure, a second may have passed. */
	ck_assert_uint_le(control_file_stats(fd).signals, 10);
}
END_TEST

START_TEST(time_tells_of_the_records_that_are_too_few)
{
	int fd = make_moderate(_i * 2, 20000, O_RDWR);
	struct vm_thread thread;
	int64_t began;

	vm_spawn(&thread, wait_in, &fd);
	vm_wait_sleeping(thread.tid);
	began = vm_now_ms();
	put(fd, 1);
	ck_assert_int_eq(vm_join(&thread), POLLIN);
	ck_assert_int_ge(vm_now_ms() - began, 19);
}
END_TEST

START_TEST(what_is_there_can_be_read_before_it_is_told)
{
	int fd = make_moderate(1000, 1000000, O_RDWR);
	char byte;

	put(fd, 1);
	ck_assert_int_eq(vm_poll(fd, POLLIN), POLLIN);
	vm_read(fd, &byte, 1);
}
END_TEST

START_TEST(parked_reads_are_not_moderated)
{
	io_context_t context = aio_context(1);
	int fd = make_moderate(1000, 1000000, O_RDWR);
	struct iocb request;
	int64_t began;
	char byte;

	aio_park_read(context, &request, fd, &byte, 1);
	began = vm_now_ms();
	put(fd, 1);
	ck_assert_int_eq(aio_result(context, &request), 1);
	ck_assert_int_lt(vm_now_ms() - began, 1000);
}
END_TEST

START_TEST(channel_goes_with_its_timer_on_its_way)
{
	for (int i = 0; i < 100; i++) {
		int fd = make_moderate(0, 1 + i * 10, O_RDWR);

		put(fd, 1);
		ck_assert_int_eq(control_remove("moderate"), 0);
		close(fd);
	}
}
END_TEST

static long write_many(void *argument)
{
	for (uint64_t i = 0; i < 2000; i++)
		if (write(*(int *)argument, &i, sizeof(i)) != sizeof(i))
			return -errno;
	return 0;
}

START_TEST(every_record_arrives_however_it_is_moderated)
{
	int fd = make_moderate(1 + _i * 7, 100 + _i * 300, O_RDWR);
	struct vm_thread thread;

	vm_spawn(&thread, write_many, &fd);
	for (uint64_t i = 0; i < 2000; i++) {
		uint64_t got = ~i;

		ck_assert_int_eq(vm_poll_wait(fd, POLLIN), POLLIN);
		vm_read(fd, &got, sizeof(got));
		ck_assert_uint_eq(got, i);
	}
	ck_assert_int_eq(vm_join(&thread), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("watermark");
	TCase *tcase = control_tcase(suite, "read");

	tcase_add_test(tcase, poll_says_in_at_the_mark);
	tcase_add_test(tcase, poller_is_woken_at_the_mark_and_not_before);
	tcase_add_test(tcase, blocking_read_waits_for_the_mark);
	tcase_add_test(tcase, read_that_never_waits_gets_what_there_is);
	tcase_add_test(tcase, asynchronous_read_parks_below_the_mark);
	tcase_add_test(tcase, sigio_comes_at_the_mark);
	tcase_add_test(tcase, full_ring_is_told_whatever_the_mark);
	tcase_add_test(tcase, full_ring_serves_parked_reads_whatever_the_mark);
	tcase_add_test(tcase, hang_up_is_told_whatever_the_mark);
	tcase_add_test(tcase, removal_is_told_whatever_the_mark);
	tcase_add_test(tcase, lowering_the_mark_wakes_those_it_lets_through);

	tcase = control_tcase(suite, "write");
	tcase_add_test(tcase, poll_says_out_at_the_mark_for_writing);
	tcase_add_test(tcase, sleeping_writer_wakes_at_the_mark_for_writing);

	tcase = control_tcase(suite, "moderation");
	tcase_add_test(tcase, signals_come_once_for_so_many_records);
	tcase_add_loop_test(tcase, time_tells_of_the_records_that_are_too_few,
			    0, 3);
	tcase_add_test(tcase, what_is_there_can_be_read_before_it_is_told);
	tcase_add_test(tcase, parked_reads_are_not_moderated);
	tcase_add_test(tcase, channel_goes_with_its_timer_on_its_way);
	tcase_add_loop_test(tcase, every_record_arrives_however_it_is_moderated,
			    0, 3);
	return vm_main(suite);
}
