// SPDX-License-Identifier: GPL-2.0-only
/*
 * Removal with files open: what was committed stays readable, then -ENODEV;
 * parked requests end with -ENODEV; sleepers wake; nothing hangs.
 */
#include "control.h"
#include "kernel_aio.h"

#include <poll.h>
#include <sys/ioctl.h>

static struct achan_create create;

static int make(int flags)
{
	create = control_loop("doomed");
	return control_make_open(&create, flags);
}

static void remove_it(void)
{
	ck_assert_int_eq(control_remove("doomed"), 0);
}

START_TEST(committed_records_stay_readable)
{
	int fd = make(O_RDWR);
	char data[8];

	vm_write(fd, "one", 3);
	vm_write(fd, "two", 3);
	remove_it();
	ck_assert_int_eq(vm_poll(fd, POLLIN),
			 POLLIN | POLLHUP | POLLERR);
	ck_assert_int_eq(vm_errno(write(fd, "x", 1)), -ENODEV);
	vm_read(fd, data, 3);
	vm_read(fd, data, 3);
	ck_assert_mem_eq(data, "two", 3);
	ck_assert_int_eq(vm_errno(read(fd, data, 3)), -ENODEV);
	ck_assert_int_eq(vm_poll(fd, POLLIN),
			 POLLIN | POLLHUP | POLLERR);
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

static size_t fill(int fd)
{
	char data[1000] = { 0 };
	size_t records = 0;

	vm_set_nonblock(fd, true);
	while (vm_errno(write(fd, data, sizeof(data))) > 0)
		records++;
	vm_set_nonblock(fd, false);
	return records;
}

START_TEST(sleeping_reader_and_writer_wake)
{
	int empty = make(O_RDWR), full;
	struct achan_create second = control_loop("second");
	struct vm_thread reader, writer;
	char data[1000] = { 0 };
	struct vm_transfer in = { empty, data, 1000 }, out = { 0, data, 1000 };

	full = control_make_open(&second, O_RDWR);
	fill(full);
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
		fill(fd);
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

	tcase_add_test(tcase, committed_records_stay_readable);
	tcase_add_test(tcase, nothing_opens_any_more);
	tcase_add_test(tcase, sleeping_reader_and_writer_wake);
	tcase_add_loop_test(tcase, parked_requests_end_with_enodev, 0, 2);
	tcase_add_test(tcase, mixture_of_all_is_let_go);
	tcase_add_test(tcase, second_remover_gets_enoent);
	return vm_main(suite);
}
