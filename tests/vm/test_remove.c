// SPDX-License-Identifier: GPL-2.0-only
/*
 * Removal with files open: what was committed stays readable, then -ENODEV;
 * parked requests end with -ENODEV; sleepers wake; nothing hangs.
 */
#include "control.h"
#include "kernel_aio.h"
#include "page_fault.h"

#include <poll.h>
#include <sys/ioctl.h>

#define SIGNAL	(SIGRTMIN + 3)

/* What poll() says of a channel that is gone. */
#define GONE	(POLLIN | POLLRDNORM | POLLHUP | POLLERR)

/* Several records fit into the ring; and what is more than it takes. */
#define LENGTH	1000
#define MORE	20000

static const uint32_t both[] = { ACHAN_MODE_STREAM, ACHAN_MODE_MESSAGE };

static struct achan_create create;

static int make_of(uint32_t mode, int flags)
{
	create = control_loop("doomed");
	create.config.mode = mode;
	return control_make_open(&create, flags);
}

static int make(int flags)
{
	return make_of(ACHAN_MODE_MESSAGE, flags);
}

static void remove_it(void)
{
	ck_assert_int_eq(control_remove("doomed"), 0);
}

START_TEST(records_stay_readable_then_enodev)
{
	char got[8];
	int bytes;
	int fd = make_of(both[_i], O_RDWR | O_NONBLOCK);

	vm_write(fd, "first", 5);
	vm_write(fd, "second", 6);
	remove_it();
	ck_assert_int_eq(vm_poll(fd, POLLIN | POLLRDNORM | POLLOUT), GONE);
	ck_assert_int_eq(vm_errno(write(fd, "third", 5)), -ENODEV);
	vm_read(fd, got, 5);
	ck_assert_mem_eq(got, "first", 5);
	vm_read(fd, got, 6);
	ck_assert_mem_eq(got, "second", 6);
	ck_assert_int_eq(vm_errno(read(fd, got, 1)), -ENODEV);
	ck_assert_int_eq(vm_poll(fd, POLLIN | POLLRDNORM | POLLOUT), GONE);
	ck_assert_int_eq(vm_errno(ioctl(fd, FIONREAD, &bytes)), 0);
	ck_assert_int_eq(bytes, 0);
	ck_assert_uint_eq(vm_info(fd).sequence, 2);
}
END_TEST

START_TEST(nothing_opens_any_more)
{
	int fd = make(O_RDWR);
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	remove_it();
	/* By way of the old inode too, which remembers the old device. */
	ck_assert_int_lt(open(path, O_RDWR), 0);
}
END_TEST

START_TEST(sleeping_reader_and_writer_wake)
{
	int empty = make(O_RDWR), full;
	struct achan_create second = control_loop("second");
	struct vm_thread reader, writer;
	char data[1000] = { 0 };
	struct vm_transfer in = { empty, data, 1000 }, out = { 0, data, 1000 };

	full = control_make_open(&second, O_RDWR);
	vm_fill_records(full, LENGTH);
	out.fd = full;
	vm_spawn(&reader, vm_read_thread, &in);
	vm_spawn(&writer, vm_write_thread, &out);
	vm_wait_sleeping(reader.tid);
	vm_wait_sleeping(writer.tid);
	remove_it();
	ck_assert_int_eq(control_remove("second"), 0);
	ck_assert_int_eq(vm_join(&reader), -ENODEV);
	ck_assert_int_eq(vm_join(&writer), -ENODEV);
}
END_TEST

START_TEST(parked_requests_end_with_enodev)
{
	io_context_t context = aio_context(64);
	struct iocb requests[64];
	struct io_event events[64];
	int fd = make(O_RDWR);
	char data[1000] = { 0 };

	if (_i)
		vm_fill_records(fd, LENGTH);
	for (int i = 0; i < 64; i++) {
		if (_i)
			aio_park_write(context, &requests[i], fd, data, 1000);
		else
			aio_park_read(context, &requests[i], fd,
				      i % 2 ? data : malloc(AIO_WORKER_BYTES),
				      i % 2 ? 1000 : AIO_WORKER_BYTES);
	}
	remove_it();
	aio_wait(context, events, 64);
	for (int i = 0; i < 64; i++)
		ck_assert_int_eq((long)events[i].res, -ENODEV);
	ck_assert(aio_idle(context));
	io_prep_pread(&requests[0], fd, data, 1000, 0);
	if (_i)
		return;
	aio_submit(context, &requests[0]);
	ck_assert_int_eq(aio_result(context, &requests[0]), -ENODEV);
}
END_TEST

static long wait_hup(void *argument)
{
	return vm_poll_wait(*(int *)argument, POLLIN);
}

/* A count reached so far is returned. */
START_TEST(stream_write_that_sleeps_half_way_returns_what_went_in)
{
	static char data[MORE], got[MORE];
	struct vm_transfer transfer;
	struct vm_thread writer;
	long written;
	int fd = make_of(ACHAN_MODE_STREAM, O_RDWR);

	vm_pattern(data, sizeof(data), 0);
	transfer = (struct vm_transfer){ fd, data, sizeof(data) };
	vm_spawn(&writer, vm_write_thread, &transfer);
	vm_wait_sleeping(writer.tid);
	remove_it();
	written = vm_join(&writer);
	ck_assert_int_gt(written, 0);
	vm_read(fd, got, written);
	vm_assert_pattern(got, written, 0);
	ck_assert_int_eq(vm_errno(read(fd, got, 1)), -ENODEV);
}
END_TEST

static long poll_for_data(void *argument)
{
	return vm_poll_wait(*(int *)argument, POLLIN | POLLRDNORM);
}

/*
 * An IOCB_CMD_POLL request completes with the events that it is woken with:
 * one that had asked for POLLIN was told of POLLOUT as well.
 */
START_TEST(pollers_wake_with_hangup)
{
	io_context_t context = aio_context(1);
	struct vm_thread poller;
	struct iocb request;
	int fd = make_of(both[_i], O_RDWR);

	io_prep_poll(&request, fd, POLLIN);
	aio_submit(context, &request);
	vm_spawn(&poller, poll_for_data, &fd);
	vm_wait_sleeping(poller.tid);
	remove_it();
	ck_assert_int_eq(vm_join(&poller), GONE);
	/* Only what was asked for. */
	ck_assert_int_eq(aio_result(context, &request),
			 POLLIN | POLLHUP | POLLERR);
}
END_TEST

START_TEST(sigio_tells_of_the_hangup)
{
	struct timespec limit = { .tv_sec = vm_timeout_ms(VM_HANG_MS) / 1000 };
	siginfo_t info;
	sigset_t set;
	int fd = make_of(ACHAN_MODE_MESSAGE, _i ? O_WRONLY : O_RDONLY);

	sigemptyset(&set);
	sigaddset(&set, SIGNAL);
	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	/* One that is open for one direction only gets one signal. */
	ck_assert_int_eq(vm_errno(fcntl(fd, F_SETOWN, getpid())), 0);
	ck_assert_int_eq(vm_errno(fcntl(fd, F_SETSIG, SIGNAL)), 0);
	ck_assert_int_eq(vm_errno(fcntl(fd, F_SETFL, O_ASYNC)), 0);
	remove_it();
	ck_assert_int_eq(vm_errno(sigtimedwait(&set, &info, &limit)), SIGNAL);
	ck_assert_int_eq(info.si_code, POLL_HUP);
	ck_assert_int_eq(info.si_fd, fd);
}
END_TEST

START_TEST(parked_reads_end_with_enodev)
{
	static char buffers[2][AIO_WORKER_BYTES];
	io_context_t contexts[] = { aio_context(1), aio_context(2) };
	struct iocb pinned, worker, late;
	int fd = make_of(both[_i], O_RDWR | O_NONBLOCK);

	aio_park_read(contexts[0], &pinned, fd, buffers[0], 100);
	aio_park_read(contexts[1], &worker, fd, buffers[1], sizeof(buffers[1]));
	remove_it();
	ck_assert_int_eq(aio_result(contexts[0], &pinned), -ENODEV);
	ck_assert_int_eq(aio_result(contexts[1], &worker), -ENODEV);
	aio_wait_unparked(fd);
	io_prep_pread(&late, fd, buffers[0], 100, 0);
	aio_submit(contexts[0], &late);
	ck_assert_int_eq(aio_result(contexts[0], &late), -ENODEV);
}
END_TEST

START_TEST(parked_writes_end_with_enodev_or_what_went_in)
{
	io_context_t contexts[] = { aio_context(1), aio_context(1) };
	static char data[MORE], got[MORE];
	struct iocb half, none;
	size_t taken;
	int fd = make_of(ACHAN_MODE_STREAM, O_RDWR | O_NONBLOCK);

	vm_pattern(data, sizeof(data), 0);
	aio_park_write(contexts[0], &half, fd, data, sizeof(data));
	taken = vm_info(fd).bytes;
	ck_assert_uint_gt(taken, 0);
	aio_park_write(contexts[1], &none, fd, data, LENGTH);
	remove_it();
	ck_assert_int_eq(aio_result(contexts[0], &half), taken);
	ck_assert_int_eq(aio_result(contexts[1], &none), -ENODEV);
	aio_wait_unparked(fd);
	vm_read(fd, got, taken);
	vm_assert_pattern(got, taken, 0);
	ck_assert_int_eq(vm_errno(read(fd, got, 1)), -ENODEV);
}
END_TEST

/* It does not wait for a page fault; the record is there for another reader. */
START_TEST(parked_read_stuck_in_a_page_fault_ends_with_enodev)
{
	io_context_t context = aio_context(1);
	struct page_fault fault;
	struct iocb request;
	char got[8];
	int fd = make_of(both[_i], O_RDWR | O_NONBLOCK);

	ck_assert(page_fault_prepare(&fault, AIO_WORKER_BYTES));
	aio_park_read(context, &request, fd, fault.memory, fault.length);
	vm_write(fd, "record", 6);
	page_fault_wait(&fault);
	remove_it();
	ck_assert_int_eq(aio_result(context, &request), -ENODEV);
	vm_read(fd, got, 6);
	ck_assert_mem_eq(got, "record", 6);
	page_fault_end(&fault, "");
}
END_TEST

/* All at once: sleepers, pollers, parked requests, records. */
START_TEST(mixture_of_all_is_let_go)
{
	io_context_t context = aio_context(8);
	struct vm_thread readers[4], poller;
	struct vm_transfer transfer;
	struct iocb requests[8];
	struct io_event events[8];
	int fd = make(O_RDWR);
	char data[64];

	transfer = (struct vm_transfer){ fd, data, sizeof(data) };
	for (int i = 0; i < 8; i++)
		aio_park_read(context, &requests[i], fd, data, sizeof(data));
	for (int i = 0; i < 4; i++) {
		vm_spawn(&readers[i], vm_read_thread, &transfer);
		vm_wait_sleeping(readers[i].tid);
	}
	vm_spawn(&poller, wait_hup, &fd);
	vm_wait_sleeping(poller.tid);
	remove_it();
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(vm_join(&readers[i]), -ENODEV);
	ck_assert_int_eq(vm_join(&poller), POLLIN | POLLHUP | POLLERR);
	aio_wait(context, events, 8);
}
END_TEST

static long try_remove(void *argument)
{
	struct achan_remove remove = { .name = "doomed" };
	int fd = control_open();
	long ret;

	(void)argument;
	ret = vm_errno(ioctl(fd, ACHAN_CTL_REMOVE, &remove));
	close(fd);
	return ret;
}

START_TEST(second_remover_gets_enoent)
{
	for (int i = 0; i < 50; i++) {
		struct vm_thread threads[3];
			int won = 0;

		make(O_RDWR);
		for (int t = 0; t < 3; t++)
			vm_spawn(&threads[t], try_remove, NULL);
		for (int t = 0; t < 3; t++) {
			long ret = vm_join(&threads[t]);

			ck_assert(!ret || ret == -ENOENT);
			won += !ret;
		}
		ck_assert_int_eq(won, 1);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("remove");
	TCase *tcase = control_tcase(suite, "removal");

	tcase_add_loop_test(tcase, records_stay_readable_then_enodev, 0, 2);
	tcase_add_test(tcase, nothing_opens_any_more);
	tcase_add_test(tcase, sleeping_reader_and_writer_wake);
	tcase_add_loop_test(tcase, parked_requests_end_with_enodev, 0, 2);
	tcase_add_test(tcase, stream_write_that_sleeps_half_way_returns_what_went_in);
	tcase_add_loop_test(tcase, pollers_wake_with_hangup, 0, 2);
	tcase_add_loop_test(tcase, sigio_tells_of_the_hangup, 0, 2);
	tcase_add_loop_test(tcase, parked_reads_end_with_enodev, 0, 2);
	tcase_add_test(tcase, parked_writes_end_with_enodev_or_what_went_in);
	tcase_add_loop_test(tcase, parked_read_stuck_in_a_page_fault_ends_with_enodev,
			    0, 2);
	tcase_add_test(tcase, mixture_of_all_is_let_go);
	tcase_add_test(tcase, second_remover_gets_enoent);
	return vm_main(suite);
}
