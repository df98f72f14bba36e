// SPDX-License-Identifier: GPL-2.0-only
/*
 * The end that others leave behind when they close: of a pair, and of a loop
 * that behaves as a named pipe. Nearly every case is run with both: @_i.
 */
#include "control.h"
#include "kernel_aio.h"

#include <poll.h>
#include <sys/ioctl.h>

#define RACES	1000

enum { PAIR, FIFO, KINDS };

static struct achan_create create;

/* Makes a channel of the kind; opens the end that reads and that writes. */
static void make(int kind, int *reader, int *writer, int flags)
{
	create = kind == PAIR ? control_pair("ends") : control_loop("ends");
	if (kind == FIFO)
		create.config.hangup = ACHAN_HANGUP_FIFO;
	control_make(&create);
	/* In a named pipe a reader that does not wait comes first. */
	if (reader)
		*reader = control_node(create.minor, O_RDONLY | O_NONBLOCK);
	if (writer)
		*writer = control_node(kind == PAIR ? create.peer_minor :
				       create.minor, O_WRONLY | flags);
	if (reader)
		vm_set_nonblock(*reader, flags & O_NONBLOCK);
}

/* Another file at the end that writes, or reads. */
static int open_writer(int kind)
{
	return control_node(kind == PAIR ? create.peer_minor : create.minor,
			    O_WRONLY | O_NONBLOCK);
}

static int open_reader(void)
{
	return control_node(create.minor, O_RDONLY | O_NONBLOCK);
}

START_TEST(end_that_was_never_opened_is_no_hang_up)
{
	int reader, writer;
	char byte;

	make(_i, &reader, NULL, O_NONBLOCK);
	ck_assert_int_eq(vm_errno(read(reader, &byte, 1)),
			 _i == PAIR ? -EAGAIN : 0);
	ck_assert_int_eq(vm_poll(reader, POLLIN), 0);
	close(reader);
	/* A named pipe is not opened for writing alone without a reader. */
	if (_i == FIFO)
		return;
	ck_assert_int_eq(control_remove("ends"), 0);
	make(_i, NULL, &writer, O_NONBLOCK);
	vm_write(writer, "x", 1);
	ck_assert_int_eq(vm_poll(writer, POLLOUT), POLLOUT);
}
END_TEST

START_TEST(reader_gets_what_is_left_and_then_the_end)
{
	int reader, writer;
	char data[8];

	make(_i, &reader, &writer, 0);
	vm_write(writer, "one", 3);
	vm_write(writer, "two", 3);
	close(writer);
	ck_assert_int_eq(vm_poll(reader, POLLIN), POLLIN | POLLHUP);
	vm_read(reader, data, 3);
	vm_read(reader, data, 3);
	ck_assert_mem_eq(data, "two", 3);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(vm_errno(read(reader, data, 8)), 0);
	ck_assert_int_eq(vm_poll(reader, POLLIN),
			 POLLHUP | (_i == PAIR ? POLLIN : 0));
}
END_TEST

START_TEST(end_comes_with_the_last_of_many_writers)
{
	int reader, writer, other;
	char byte;

	make(_i, &reader, &writer, O_NONBLOCK);
	other = open_writer(_i);
	close(writer);
	ck_assert_int_eq(vm_errno(read(reader, &byte, 1)), -EAGAIN);
	ck_assert_int_eq(vm_poll(reader, POLLIN), 0);
	close(other);
	ck_assert_int_eq(vm_errno(read(reader, &byte, 1)), 0);
}
END_TEST

START_TEST(write_without_a_reader_is_epipe)
{
	int reader, writer;

	make(_i, &reader, &writer, 0);
	vm_count_signal(SIGPIPE, 0);
	vm_write(writer, "x", 1);
	close(reader);
	ck_assert_int_eq(vm_errno(write(writer, "y", 1)), -EPIPE);
	ck_assert_int_eq(vm_signals, _i == FIFO);
	ck_assert_int_eq(vm_poll(writer, POLLOUT),
			 POLLOUT | (_i == PAIR ? POLLHUP : POLLERR));
}
END_TEST

START_TEST(reopening_the_writer_takes_the_end_back)
{
	int reader, writer;
	char byte;

	make(_i, &reader, &writer, O_NONBLOCK);
	close(writer);
	ck_assert_int_eq(vm_errno(read(reader, &byte, 1)), 0);
	writer = open_writer(_i);
	ck_assert_int_eq(vm_errno(read(reader, &byte, 1)), -EAGAIN);
	ck_assert_int_eq(vm_poll(reader, POLLIN), 0);
	vm_write(writer, "z", 1);
	vm_read(reader, &byte, 1);
	ck_assert_int_eq(byte, 'z');
}
END_TEST

/* With an edge for who waits for it, and what was not read still there. */
START_TEST(reopening_the_reader_takes_epipe_back)
{
	int reader, writer;
	char byte;

	make(_i, &reader, &writer, O_NONBLOCK);
	signal(SIGPIPE, SIG_IGN);
	vm_write(writer, "a", 1);
	close(reader);
	ck_assert_int_eq(vm_errno(write(writer, "b", 1)), -EPIPE);
	reader = open_reader();
	ck_assert_int_eq(vm_poll(writer, POLLOUT), POLLOUT);
	vm_write(writer, "c", 1);
	vm_read(reader, &byte, 1);
	ck_assert_int_eq(byte, 'a');
	vm_read(reader, &byte, 1);
	ck_assert_int_eq(byte, 'c');
}
END_TEST

START_TEST(sleeping_reader_wakes_at_the_end)
{
	struct vm_thread thread;
	int reader, writer;
	char byte;
	struct vm_transfer transfer = { .data = &byte, .length = 1 };

	make(_i, &reader, &writer, 0);
	transfer.fd = reader;
	vm_spawn(&thread, vm_read_thread, &transfer);
	vm_wait_sleeping(thread.tid);
	close(writer);
	ck_assert_int_eq(vm_join(&thread), 0);
}
END_TEST

START_TEST(every_sleeping_reader_wakes_at_the_end)
{
	struct vm_thread threads[8];
	int reader, writer;
	char byte;
	struct vm_transfer transfer = { .data = &byte, .length = 1 };

	make(_i, &reader, &writer, 0);
	transfer.fd = reader;
	for (int i = 0; i < 8; i++)
		vm_spawn(&threads[i], vm_read_thread, &transfer);
	for (int i = 0; i < 8; i++)
		vm_wait_sleeping(threads[i].tid);
	close(writer);
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(vm_join(&threads[i]), 0);
}
END_TEST

static size_t fill(int writer)
{
	char data[1000] = { 0 };
	size_t records = 0;

	vm_set_nonblock(writer, true);
	while (vm_errno(write(writer, data, sizeof(data))) > 0)
		records++;
	vm_set_nonblock(writer, false);
	return records;
}

START_TEST(sleeping_writer_wakes_with_epipe)
{
	struct vm_thread thread;
	int reader, writer;
	char data[1000] = { 0 };
	struct vm_transfer transfer = { .data = data, .length = sizeof(data) };

	make(_i, &reader, &writer, 0);
	signal(SIGPIPE, SIG_IGN);
	fill(writer);
	transfer.fd = writer;
	vm_spawn(&thread, vm_write_thread, &transfer);
	vm_wait_sleeping(thread.tid);
	close(reader);
	ck_assert_int_eq(vm_join(&thread), -EPIPE);
}
END_TEST

static long wait_for_end(void *argument)
{
	return vm_poll_wait(*(int *)argument, POLLIN);
}

START_TEST(poller_wakes_at_the_end)
{
	struct vm_thread thread;
	int reader, writer;

	make(_i, &reader, &writer, 0);
	vm_spawn(&thread, wait_for_end, &reader);
	vm_wait_sleeping(thread.tid);
	close(writer);
	ck_assert_int_eq(vm_join(&thread),
			 POLLHUP | (_i == PAIR ? POLLIN : 0));
}
END_TEST

START_TEST(parked_reads_end_with_0)
{
	io_context_t context = aio_context(8);
	struct iocb requests[8];
	struct io_event events[8];
	int reader, writer;
	char buffer[8];

	make(_i, &reader, &writer, 0);
	for (int i = 0; i < 8; i++)
		aio_park_read(context, &requests[i], reader, buffer, 8);
	close(writer);
	aio_wait(context, events, 8);
	for (int i = 0; i < 8; i++) {
		ck_assert_ptr_eq(events[i].obj, &requests[i]);
		ck_assert_int_eq((long)events[i].res, 0);
	}
	ck_assert(aio_idle(context));
}
END_TEST

START_TEST(parked_worker_read_ends_with_0)
{
	io_context_t context = aio_context(1);
	struct iocb request;
	int reader, writer;

	make(_i, &reader, &writer, 0);
	aio_park_read(context, &request, reader, malloc(AIO_WORKER_BYTES),
		      AIO_WORKER_BYTES);
	close(writer);
	ck_assert_int_eq(aio_result(context, &request), 0);
}
END_TEST

START_TEST(read_submitted_at_the_end_completes_with_0)
{
	io_context_t context = aio_context(1);
	struct iocb request;
	int reader, writer;
	char byte;

	make(_i, &reader, &writer, 0);
	close(writer);
	io_prep_pread(&request, reader, &byte, 1, 0);
	aio_submit(context, &request);
	ck_assert_int_eq(aio_result(context, &request), 0);
}
END_TEST

START_TEST(parked_writes_end_with_epipe)
{
	io_context_t context = aio_context(4);
	struct iocb requests[4];
	struct io_event events[4];
	int reader, writer;
	char data[1000] = { 0 };

	make(_i, &reader, &writer, 0);
	signal(SIGPIPE, SIG_IGN);
	fill(writer);
	for (int i = 0; i < 4; i++)
		aio_park_write(context, &requests[i], writer, data, 1000);
	close(reader);
	aio_wait(context, events, 4);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq((long)events[i].res, -EPIPE);
	ck_assert_int_eq(aio_try_submit(context, &requests[0]), 1);
	ck_assert_int_eq(aio_result(context, &requests[0]), -EPIPE);
}
END_TEST

static int last_band(int signo)
{
	struct timespec limit = { .tv_sec = vm_timeout_ms(10000) / 1000 };
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signo);
	if (sigtimedwait(&set, &info, &limit) != signo)
		return 0;
	return info.si_code;
}

START_TEST(sigio_says_hup)
{
	int reader, writer, signo = SIGRTMIN + 4;
	sigset_t set;

	make(_i, &reader, &writer, 0);
	sigemptyset(&set);
	sigaddset(&set, signo);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fcntl(reader, F_SETSIG, signo);
	fcntl(reader, F_SETOWN, getpid());
	fcntl(reader, F_SETFL, O_ASYNC);
	close(writer);
	ck_assert_int_eq(last_band(signo), POLL_HUP);
}
END_TEST

/* The close is before, amid or after the reader's way to sleep. */
START_TEST(close_raced_against_a_reader_that_goes_to_sleep)
{
	int reader, writer;
	char byte;
	struct vm_transfer transfer = { .data = &byte, .length = 1 };

	make(_i, &reader, NULL, 0);
	transfer.fd = reader;
	for (int i = 0; i < (int)vm_repeat(RACES); i++) {
		struct vm_thread thread;

		writer = open_writer(_i);
		vm_spawn(&thread, vm_read_thread, &transfer);
		for (volatile int spin = 0; spin < i % 100 * 50; spin++)
			;
		close(writer);
		ck_assert_int_eq(vm_join(&thread), 0);
	}
}
END_TEST

static long submit_read(void *argument)
{
	struct iocb *request = argument;

	return io_submit(request->data, 1, &request);
}

START_TEST(close_raced_against_a_request_that_parks)
{
	io_context_t context = aio_context(1);
	int reader, writer;
	char byte;

	make(_i, &reader, NULL, 0);
	for (int i = 0; i < (int)vm_repeat(RACES); i++) {
		struct vm_thread thread;
		struct iocb request;

		writer = open_writer(_i);
		io_prep_pread(&request, reader, &byte, 1, 0);
		request.data = context;
		vm_spawn(&thread, submit_read, &request);
		for (volatile int spin = 0; spin < i % 100 * 50; spin++)
			;
		close(writer);
		ck_assert_int_eq(vm_join(&thread), 1);
		ck_assert_int_eq(aio_result(context, &request), 0);
	}
}
END_TEST

static long open_and_close(void *argument)
{
	int kind = *(int *)argument;

	for (int i = 0; i < (int)vm_repeat(RACES); i++)
		close(open_writer(kind));
	return 0;
}

/* Whatever order they came in, at the end there is no writer. */
START_TEST(opens_and_closes_raced_against_each_other)
{
	struct vm_thread threads[3];
	int reader, kind = _i;
	char byte;

	make(_i, &reader, NULL, O_NONBLOCK);
	for (int i = 0; i < 3; i++)
		vm_spawn(&threads[i], open_and_close, &kind);
	for (int i = 0; i < 3; i++) {
		/* Longer than what vm_join() would call a hang. */
		ck_assert_int_eq(pthread_join(threads[i].thread, NULL), 0);
		ck_assert_int_eq(threads[i].result, 0);
	}
	ck_assert_int_eq(vm_errno(read(reader, &byte, 1)), 0);
	ck_assert_uint_eq(control_stats("ends").writers, 0);
}
END_TEST

/* What only asks is at no end. */
START_TEST(file_for_ioctl_alone_counts_at_no_end)
{
	int reader, writer, asker;
	char byte;

	make(_i, &reader, &writer, O_NONBLOCK);
	close(writer);
	asker = control_node(_i == PAIR ? create.peer_minor : create.minor,
			     O_ACCMODE);
	ck_assert_int_eq(vm_errno(read(reader, &byte, 1)), 0);
	close(asker);
	ck_assert_int_eq(vm_errno(read(reader, &byte, 1)), 0);
}
END_TEST

START_TEST(fifo_file_for_both_is_at_both_ends)
{
	int both, writer;
	char byte;

	make(FIFO, NULL, NULL, 0);
	both = control_node(create.minor, O_RDWR | O_NONBLOCK);
	writer = open_writer(FIFO);
	close(writer);
	ck_assert_int_eq(vm_errno(read(both, &byte, 1)), -EAGAIN);
	vm_write(both, "x", 1);
	vm_read(both, &byte, 1);
}
END_TEST

START_TEST(without_hangup_nobody_is_missed)
{
	struct achan_create loop = control_loop("off");
	int reader, writer;
	char byte;

	control_make(&loop);
	reader = control_node(loop.minor, O_RDONLY | O_NONBLOCK);
	writer = control_node(loop.minor, O_WRONLY | O_NONBLOCK);
	close(writer);
	ck_assert_int_eq(vm_errno(read(reader, &byte, 1)), -EAGAIN);
	writer = control_node(loop.minor, O_WRONLY | O_NONBLOCK);
	close(reader);
	vm_write(writer, "x", 1);
	ck_assert_int_eq(vm_poll(writer, POLLOUT), POLLOUT);
}
END_TEST

static void add(TCase *tcase, const TTest *test)
{
	tcase_add_loop_test(tcase, test, 0, KINDS);
}

int main(void)
{
	Suite *suite = suite_create("hangup");
	TCase *tcase = control_tcase(suite, "end");

	add(tcase, end_that_was_never_opened_is_no_hang_up);
	add(tcase, reader_gets_what_is_left_and_then_the_end);
	add(tcase, end_comes_with_the_last_of_many_writers);
	add(tcase, write_without_a_reader_is_epipe);
	add(tcase, reopening_the_writer_takes_the_end_back);
	add(tcase, reopening_the_reader_takes_epipe_back);
	add(tcase, file_for_ioctl_alone_counts_at_no_end);
	tcase_add_test(tcase, fifo_file_for_both_is_at_both_ends);
	tcase_add_test(tcase, without_hangup_nobody_is_missed);

	tcase = control_tcase(suite, "waiting");
	add(tcase, sleeping_reader_wakes_at_the_end);
	add(tcase, every_sleeping_reader_wakes_at_the_end);
	add(tcase, sleeping_writer_wakes_with_epipe);
	add(tcase, poller_wakes_at_the_end);
	add(tcase, parked_reads_end_with_0);
	add(tcase, parked_worker_read_ends_with_0);
	add(tcase, read_submitted_at_the_end_completes_with_0);
	add(tcase, parked_writes_end_with_epipe);
	add(tcase, sigio_says_hup);

	tcase = control_tcase(suite, "race");
	tcase_set_timeout(tcase, vm_timeout_ms(60));
	add(tcase, close_raced_against_a_reader_that_goes_to_sleep);
	add(tcase, close_raced_against_a_request_that_parks);
	add(tcase, opens_and_closes_raced_against_each_other);
	return vm_main(suite);
}
