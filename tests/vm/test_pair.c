// SPDX-License-Identifier: GPL-2.0-only
/* A pair: what one writes the other reads. Its hang-ups are test_hangup.c's. */
#include "control.h"
#include "kernel_aio.h"

#include <poll.h>

static struct achan_create create;

static void make(int mode, int *one, int *other, int flags)
{
	create = control_pair("pair");
	create.config.mode = mode;
	control_make(&create);
	*one = control_node(create.minor, O_RDWR | flags);
	*other = control_node(create.peer_minor, O_RDWR | flags);
}

START_TEST(both_know_each_other)
{
	struct achan_channel one, other;
	char path[64], text[32] = "";
	int a, b, fd;

	make(ACHAN_MODE_MESSAGE, &a, &b, 0);
	ck_assert_int_eq(control_get("pair", &one), 0);
	ck_assert_int_eq(control_get("pair-peer", &other), 0);
	ck_assert_uint_eq(one.minor, create.minor);
	ck_assert_uint_eq(one.peer_minor, create.peer_minor);
	ck_assert_uint_eq(other.minor, create.peer_minor);
	ck_assert_uint_eq(other.peer_minor, create.minor);
	ck_assert_uint_eq(one.config.kind, ACHAN_KIND_PAIR);
	ck_assert_uint_eq(one.config.hangup, ACHAN_HANGUP_PEER);
	ck_assert_uint_eq(vm_info(a).kind, ACHAN_KIND_PAIR);
	snprintf(path, sizeof(path), "/sys/class/achan/achan%u/peer",
		 create.minor);
	fd = open(path, O_RDONLY);
	ck_assert_int_gt(read(fd, text, sizeof(text) - 1), 0);
	snprintf(path, sizeof(path), "achan%u\n", create.peer_minor);
	ck_assert_str_eq(text, path);
}
END_TEST

START_TEST(records_cross_and_do_not_come_back)
{
	int one, other;
	char data[8];

	make(_i, &one, &other, O_NONBLOCK);
	vm_write(one, "there", 5);
	ck_assert_int_eq(vm_errno(read(one, data, 8)), -EAGAIN);
	vm_write(other, "back", 4);
	ck_assert_int_eq(vm_errno(read(other, data, 8)), 5);
	ck_assert_mem_eq(data, "there", 5);
	ck_assert_int_eq(vm_errno(read(one, data, 8)), 4);
	ck_assert_mem_eq(data, "back", 4);
}
END_TEST

START_TEST(directions_fill_up_apart)
{
	char data[1000] = { 0 };
	int one, other;

	make(_i, &one, &other, O_NONBLOCK);
	while (vm_errno(write(one, data, sizeof(data))) > 0)
		;
	ck_assert_int_eq(vm_poll(one, POLLIN | POLLOUT), 0);
	ck_assert_int_eq(vm_poll(other, POLLIN | POLLOUT), POLLIN | POLLOUT);
	vm_write(other, "x", 1);
	ck_assert_int_eq(vm_poll(one, POLLIN | POLLOUT), POLLIN);
	while (vm_errno(read(other, data, sizeof(data))) > 0)
		;
	ck_assert_int_eq(vm_poll(one, POLLIN | POLLOUT), POLLIN | POLLOUT);
}
END_TEST

START_TEST(parked_reads_and_writes_are_served_by_the_other_side)
{
	io_context_t context = aio_context(2);
	struct iocb get, put;
	char buffer[1000], data[1000] = { 0 };
	int one, other;

	make(ACHAN_MODE_MESSAGE, &one, &other, O_NONBLOCK);
	aio_park_read(context, &get, one, buffer, sizeof(buffer));
	vm_write(other, "hello", 5);
	ck_assert_int_eq(aio_result(context, &get), 5);
	while (vm_errno(write(one, data, sizeof(data))) > 0)
		;
	aio_park_write(context, &put, one, data, sizeof(data));
	ck_assert_int_eq(vm_errno(read(other, data, sizeof(data))), 1000);
	ck_assert_int_eq(aio_result(context, &put), 1000);
}
END_TEST

static long echo(void *argument)
{
	int fd = *(int *)argument;
	char data[64];
	ssize_t got;

	while ((got = read(fd, data, sizeof(data))) > 0)
		if (write(fd, data, got) != got)
			return -errno;
	return vm_errno(got);
}

START_TEST(thousands_of_round_trips)
{
	struct vm_thread thread;
	int one, other;

	make(ACHAN_MODE_MESSAGE, &one, &other, 0);
	vm_spawn(&thread, echo, &other);
	for (uint64_t i = 0; i < vm_repeat(10000); i++) {
		uint64_t back = ~i;

		vm_write(one, &i, sizeof(i));
		vm_read(one, &back, sizeof(back));
		ck_assert_uint_eq(back, i);
	}
	close(one);
	ck_assert_int_eq(vm_join(&thread), 0);
}
END_TEST

START_TEST(removing_one_removes_both)
{
	struct achan_channel channel;
	int one, other;
	char data[8];

	make(ACHAN_MODE_MESSAGE, &one, &other, O_NONBLOCK);
	vm_write(one, "last", 4);
	ck_assert_int_eq(control_remove(_i ? "pair-peer" : "pair"), 0);
	ck_assert_int_eq(control_get("pair", &channel), -ENOENT);
	ck_assert_int_eq(control_get("pair-peer", &channel), -ENOENT);
	ck_assert_int_eq(vm_errno(write(one, "x", 1)), -ENODEV);
	ck_assert_int_eq(vm_errno(write(other, "x", 1)), -ENODEV);
	ck_assert_int_eq(vm_errno(read(other, data, 8)), 4);
	ck_assert_int_eq(vm_errno(read(other, data, 8)), -ENODEV);
	ck_assert_int_eq(vm_errno(read(one, data, 8)), -ENODEV);
	/* One may outlive the other, and a fault of either. */
	close(one);
	ck_assert_int_eq(vm_poll(other, POLLIN),
			 POLLIN | POLLHUP | POLLERR);
}
END_TEST

START_TEST(each_side_counts_what_it_did)
{
	struct achan_stats one_stats, other_stats;
	int one, other;
	char data[8];

	make(ACHAN_MODE_MESSAGE, &one, &other, 0);
	vm_write(one, "abc", 3);
	vm_write(one, "de", 2);
	vm_write(other, "f", 1);
	ck_assert_int_eq(vm_errno(read(other, data, 8)), 3);
	one_stats = control_file_stats(one);
	other_stats = control_file_stats(other);
	ck_assert_uint_eq(one_stats.records_in, 2);
	ck_assert_uint_eq(one_stats.bytes_in, 5);
	ck_assert_uint_eq(one_stats.records_out, 0);
	ck_assert_uint_eq(one_stats.bytes, 1);
	ck_assert_uint_eq(other_stats.records_in, 1);
	ck_assert_uint_eq(other_stats.records_out, 1);
	ck_assert_uint_eq(other_stats.bytes_out, 3);
	ck_assert_uint_eq(other_stats.bytes, 2);
	ck_assert_uint_eq(other_stats.readers, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pair");
	TCase *tcase = control_tcase(suite, "pair");

	tcase_add_test(tcase, both_know_each_other);
	tcase_add_loop_test(tcase, records_cross_and_do_not_come_back,
			    ACHAN_MODE_STREAM, ACHAN_MODE_MESSAGE + 1);
	tcase_add_loop_test(tcase, directions_fill_up_apart,
			    ACHAN_MODE_STREAM, ACHAN_MODE_MESSAGE + 1);
	tcase_add_test(tcase,
		       parked_reads_and_writes_are_served_by_the_other_side);
	tcase_add_test(tcase, thousands_of_round_trips);
	tcase_add_loop_test(tcase, removing_one_removes_both, 0, 2);
	tcase_add_test(tcase, each_side_counts_what_it_did);
	return vm_main(suite);
}
