// SPDX-License-Identifier: GPL-2.0-only
/* Counters: by ioctl, in sysfs, in fdinfo and through the control node. */
#include "control.h"
#include "kernel_aio.h"

#include <sys/ioctl.h>

static struct achan_create create;

static int make(int flags)
{
	create = control_loop("counted");
	return control_make_open(&create, flags);
}

static const struct {
	const char *name;
	size_t offset;
	size_t bytes;
} fields[] = {
#define FIELD(name)	{ #name, offsetof(struct achan_stats, name),	\
			  sizeof(((struct achan_stats *)0)->name) }
	FIELD(records_in), FIELD(bytes_in), FIELD(records_out),
	FIELD(bytes_out), FIELD(lost), FIELD(rejected), FIELD(dropped),
	FIELD(overwritten), FIELD(discarded), FIELD(sequence), FIELD(bytes),
	FIELD(used), FIELD(high_water), FIELD(parked), FIELD(completed),
	FIELD(cancelled), FIELD(wakeups), FIELD(signals), FIELD(parked_reads),
	FIELD(parked_writes), FIELD(readers), FIELD(writers),
};

static unsigned long long field(const struct achan_stats *stats, int i)
{
	const char *at = (const char *)stats + fields[i].offset;

	return fields[i].bytes == 8 ? *(const __u64 *)at : *(const __u32 *)at;
}

static unsigned long long sysfs_number(const char *name)
{
	char path[96], text[32] = "";
	int fd;

	snprintf(path, sizeof(path), "/sys/class/achan/achan%u/%s",
		 create.minor, name);
	fd = open(path, O_RDONLY);
	ck_assert_msg(fd >= 0, "open %s: %s", path, strerror(errno));
	ck_assert_int_gt(read(fd, text, sizeof(text) - 1), 0);
	close(fd);
	return strtoull(text, NULL, 10);
}

static unsigned long long fdinfo_number(int fd, const char *name)
{
	char path[64], key[64], line[128];
	unsigned long long value = ~0ull;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	snprintf(key, sizeof(key), "achan-%s:", name);
	for (char *at = key; *at; at++)
		if (*at == '_')
			*at = '-';
	file = fopen(path, "r");
	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, key, strlen(key)))
			value = strtoull(line + strlen(key), NULL, 10);
	fclose(file);
	return value;
}

START_TEST(everything_that_passes_is_counted)
{
	int fd = make(O_RDWR | O_NONBLOCK);
	struct achan_stats stats;
	char data[100] = { 0 };

	for (int i = 0; i < 10; i++)
		vm_write(fd, data, 100);
	for (int i = 0; i < 4; i++)
		vm_read(fd, data, 100);
	stats = control_file_stats(fd);
	ck_assert_uint_eq(stats.records_in, 10);
	ck_assert_uint_eq(stats.bytes_in, 1000);
	ck_assert_uint_eq(stats.records_out, 4);
	ck_assert_uint_eq(stats.bytes_out, 400);
	ck_assert_uint_eq(stats.bytes, 600);
	ck_assert_uint_eq(stats.used, 6 * ACHAN_RECORD_SIZE(100));
	ck_assert_uint_eq(stats.high_water, 10 * ACHAN_RECORD_SIZE(100));
	ck_assert_uint_eq(stats.sequence, 10);
	ck_assert_uint_eq(stats.lost, 0);
	ck_assert_uint_eq(stats.readers, 1);
	ck_assert_uint_eq(stats.writers, 1);
	for (size_t i = 0; i < VM_ARRAY_SIZE(stats.reserved); i++)
		ck_assert_uint_eq(stats.reserved[i], 0);
}
END_TEST

/* A record is counted with its last byte. */
START_TEST(stream_counts_records_as_they_are_used_up)
{
	struct achan_stats stats;
	char data[100] = { 0 };
	int fd;

	create = control_loop("counted");
	create.config.mode = ACHAN_MODE_STREAM;
	fd = control_make_open(&create, O_RDWR | O_NONBLOCK);
	vm_write(fd, data, 100);
	vm_write(fd, data, 100);
	vm_read(fd, data, 60);
	stats = control_file_stats(fd);
	ck_assert_uint_eq(stats.records_out, 0);
	ck_assert_uint_eq(stats.bytes_out, 60);
	vm_read(fd, data, 60);
	stats = control_file_stats(fd);
	ck_assert_uint_eq(stats.records_out, 1);
	ck_assert_uint_eq(stats.bytes_out, 120);
	ck_assert_uint_eq(stats.bytes, 80);
}
END_TEST

START_TEST(write_that_is_refused_is_no_loss)
{
	int fd = make(O_RDWR | O_NONBLOCK);
	char data[1000] = { 0 };

	while (vm_errno(write(fd, data, sizeof(data))) > 0)
		;
	ck_assert_int_eq(vm_errno(write(fd, data, sizeof(data))), -EAGAIN);
	ck_assert_uint_eq(control_file_stats(fd).lost, 0);
	ck_assert_uint_eq(control_file_stats(fd).records_in, 8);
}
END_TEST

START_TEST(requests_are_counted_whatever_ends_them)
{
	io_context_t context = aio_context(3);
	int fd = make(O_RDWR | O_NONBLOCK);
	struct iocb requests[3];
	struct achan_stats stats;
	char data[8];

	for (int i = 0; i < 3; i++)
		aio_park_read(context, &requests[i], fd, data, 8);
	stats = control_file_stats(fd);
	ck_assert_uint_eq(stats.parked, 3);
	ck_assert_uint_eq(stats.parked_reads, 3);
	ck_assert_uint_eq(stats.completed, 0);
	vm_write(fd, "x", 1);
	ck_assert_int_eq(aio_result(context, &requests[0]), 1);
	ck_assert_int_eq(aio_cancel_result(context, &requests[1]), -ECANCELED);
	stats = control_file_stats(fd);
	ck_assert_uint_eq(stats.parked, 3);
	ck_assert_uint_eq(stats.parked_reads, 1);
	ck_assert_uint_eq(stats.completed, 2);
	ck_assert_uint_eq(stats.cancelled, 1);
	ck_assert_int_eq(control_remove("counted"), 0);
	ck_assert_int_eq(aio_result(context, &requests[2]), -ENODEV);
	stats = control_file_stats(fd);
	ck_assert_uint_eq(stats.completed, 3);
	ck_assert_uint_eq(stats.cancelled, 1);
}
END_TEST

START_TEST(wake_ups_are_those_that_met_somebody)
{
	int fd = make(O_RDWR);
	struct vm_thread thread;
	char data[8];
	struct vm_transfer transfer = { fd, data, sizeof(data) };

	vm_write(fd, "x", 1);
	vm_read(fd, data, 8 - 7);
	ck_assert_uint_eq(control_file_stats(fd).wakeups, 0);
	vm_spawn(&thread, vm_read_thread, &transfer);
	vm_wait_sleeping(thread.tid);
	vm_write(fd, "y", 1);
	ck_assert_int_eq(vm_join(&thread), 1);
	ck_assert_uint_eq(control_file_stats(fd).wakeups, 1);
}
END_TEST

/* Four ways to ask, one answer. */
START_TEST(all_ways_to_ask_agree)
{
	io_context_t context = aio_context(2);
	int fd = make(O_RDWR | O_NONBLOCK), other;
	struct achan_stats stats, by_name;
	struct iocb requests[2];
	char data[100] = { 0 };

	other = control_node(create.minor, O_WRONLY);
	vm_write(other, data, 100);
	vm_read(fd, data, 100);
	aio_park_read(context, &requests[0], fd, data, 8);
	aio_park_read(context, &requests[1], fd, data, 8);
	ck_assert_int_eq(aio_cancel_result(context, &requests[1]), -ECANCELED);
	stats = control_file_stats(fd);
	by_name = control_stats("counted");
	ck_assert_mem_eq(&stats, &by_name, sizeof(stats));
	for (size_t i = 0; i < VM_ARRAY_SIZE(fields); i++) {
		ck_assert_msg(sysfs_number(fields[i].name) == field(&stats, i),
			      "sysfs and ioctl do not agree on %s",
			      fields[i].name);
		ck_assert_msg(fdinfo_number(fd, fields[i].name) ==
			      field(&stats, i),
			      "fdinfo and ioctl do not agree on %s",
			      fields[i].name);
	}
	ck_assert_int_eq(aio_cancel_result(context, &requests[0]), -ECANCELED);
}
END_TEST

static void expect_word(const char *name, const char *word)
{
	char path[96], text[64] = "";
	int fd;

	snprintf(path, sizeof(path), "/sys/class/achan/achan%u/%s",
		 create.minor, name);
	fd = open(path, O_RDONLY);
	ck_assert_msg(fd >= 0, "open %s: %s", path, strerror(errno));
	ck_assert_int_gt(read(fd, text, sizeof(text) - 1), 0);
	text[strcspn(text, "\n")] = 0;
	ck_assert_str_eq(text, word);
	close(fd);
}

START_TEST(sysfs_shows_the_configuration)
{
	create = control_loop("shown");
	create.config.delivery = ACHAN_DELIVERY_BROADCAST;
	create.config.hangup = ACHAN_HANGUP_FIFO;
	create.config.overflow = ACHAN_OVERFLOW_OVERWRITE;
	create.config.read_low = 5;
	control_make(&create);
	expect_word("name", "shown");
	expect_word("kind", "loop");
	expect_word("mode", "message");
	expect_word("delivery", "broadcast");
	expect_word("hangup", "fifo");
	expect_word("overflow", "overwrite");
	expect_word("timestamps", "1");
	expect_word("ring_bytes", "8192");
	expect_word("read_low", "5");
	expect_word("write_low", "0");
	expect_word("moderate_records", "0");
	expect_word("moderate_usecs", "0");
}
END_TEST

/* What a file of sysfs still open says after removal is an error, no more. */
START_TEST(sysfs_file_outlives_its_channel)
{
	char path[96], text[64];
	int fd;

	make(O_RDWR);
	snprintf(path, sizeof(path), "/sys/class/achan/achan%u/lost",
		 create.minor);
	fd = open(path, O_RDONLY);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(control_remove("counted"), 0);
	ck_assert_int_eq(vm_errno(read(fd, text, sizeof(text))), -ENODEV);
}
END_TEST

START_TEST(bad_pointers_are_efault)
{
	int fd = make(O_RDWR);

	ck_assert_int_eq(vm_errno(ioctl(fd, ACHAN_IOC_STATS, 1)), -EFAULT);
	ck_assert_int_eq(vm_errno(ioctl(fd, ACHAN_IOC_CONFIG, 1)), -EFAULT);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stats");
	TCase *tcase = control_tcase(suite, "stats");

	tcase_add_test(tcase, everything_that_passes_is_counted);
	tcase_add_test(tcase, stream_counts_records_as_they_are_used_up);
	tcase_add_test(tcase, write_that_is_refused_is_no_loss);
	tcase_add_test(tcase, requests_are_counted_whatever_ends_them);
	tcase_add_test(tcase, wake_ups_are_those_that_met_somebody);
	tcase_add_test(tcase, all_ways_to_ask_agree);
	tcase_add_test(tcase, sysfs_shows_the_configuration);
	tcase_add_test(tcase, sysfs_file_outlives_its_channel);
	tcase_add_test(tcase, bad_pointers_are_efault);
	return vm_main(suite);
}
