// SPDX-License-Identifier: GPL-2.0-only
/* Framed reads: many whole records in one call, each with its header. */
#include "vm.h"

#include <sys/ioctl.h>
#include <sys/uio.h>
#include <time.h>

#define HEADER	sizeof(struct achan_record)

static int open_framed(enum vm_channel channel)
{
	int fd = vm_open(channel, O_RDWR | O_NONBLOCK);

	vm_set_flags(fd, ACHAN_OPEN_FRAMED);
	return fd;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

/* Checks one frame at @at: payload is the pattern from @offset, padding 0. */
static struct achan_record check_frame(const void *at, size_t length,
				       uint64_t offset)
{
	const unsigned char *bytes = at;
	struct achan_record record;
	size_t i;

	memcpy(&record, at, HEADER);
	ck_assert_uint_eq(record.length, length);
	vm_assert_pattern(bytes + HEADER, length, offset);
	for (i = HEADER + length; i < ACHAN_RECORD_SIZE(length); i++)
		ck_assert_msg(!bytes[i], "padding of a record of %zu is %#x",
			      length, bytes[i]);
	return record;
}

static void write_pattern(int fd, size_t length, uint64_t offset)
{
	char *data = malloc(length);

	vm_pattern(data, length, offset);
	vm_write(fd, data, length);
	free(data);
}

/* Row: read, framed: a record with its header; number and time are right. */
START_TEST(frame_has_header_payload_and_zero_padding)
{
	int fd = open_framed(_i);
	unsigned char got[200];
	uint64_t before, sequence = vm_info(fd).sequence;
	struct achan_record record;
	size_t i;

	memset(got, 0xee, sizeof(got));
	before = now_ns();
	write_pattern(fd, 77, 0);
	ck_assert_int_eq(vm_errno(read(fd, got, sizeof(got))),
			 ACHAN_RECORD_SIZE(77));
	record = check_frame(got, 77, 0);
	ck_assert_uint_eq(record.flags, 0);
	ck_assert_uint_eq(record.sequence, sequence);
	ck_assert_uint_ge(record.timestamp, before);
	ck_assert_uint_le(record.timestamp, now_ns());
	for (i = ACHAN_RECORD_SIZE(77); i < sizeof(got); i++)
		ck_assert_int_eq(got[i], 0xee);
	ck_assert_int_eq(vm_errno(read(fd, got, sizeof(got))), -EAGAIN);
}
END_TEST

/* Row: as many whole records as fit, in one call, in order. */
START_TEST(one_read_returns_many_records)
{
	int fd = open_framed(_i);
	uint64_t first = vm_info(fd).sequence, before = 0;
	static unsigned char got[65536];
	struct achan_record record;
	size_t size = 0, at = 0, i;

	for (i = 0; i < 200; i++) {
		write_pattern(fd, 1 + i, i);
		size += ACHAN_RECORD_SIZE(1 + i);
	}
	ck_assert_int_eq(vm_errno(read(fd, got, sizeof(got))), size);
	for (i = 0; i < 200; i++) {
		record = check_frame(got + at, 1 + i, i);
		ck_assert_uint_eq(record.sequence, first + i);
		ck_assert_uint_ge(record.timestamp, before);
		before = record.timestamp;
		at += ACHAN_RECORD_SIZE(1 + i);
	}
}
END_TEST

/* A record that does not fit whole, padding included, waits for the next. */
START_TEST(read_returns_whole_records_only)
{
	int fd = open_framed(_i);
	const size_t size = ACHAN_RECORD_SIZE(10);
	unsigned char got[200];
	int i;

	for (i = 0; i < 5; i++)
		write_pattern(fd, 10, i);
	ck_assert_int_eq(vm_errno(read(fd, got, 3 * size - 1)), 2 * size);
	check_frame(got, 10, 0);
	check_frame(got + size, 10, 1);
	ck_assert_int_eq(vm_errno(read(fd, got, 2 * size)), 2 * size);
	check_frame(got, 10, 2);
	check_frame(got + size, 10, 3);
	ck_assert_int_eq(vm_errno(read(fd, got, sizeof(got))), size);
	check_frame(got, 10, 4);
}
END_TEST

/* Row: buffer too small for the first: -EMSGSIZE, the record stays. */
START_TEST(buffer_too_small_for_one_frame_is_emsgsize)
{
	int fd = open_framed(_i);
	unsigned char got[200];
	size_t length;

	write_pattern(fd, 50, 0);
	for (length = 1; length < ACHAN_RECORD_SIZE(50); length++)
		ck_assert_int_eq(vm_errno(read(fd, got, length)), -EMSGSIZE);
	ck_assert_int_eq(vm_info(fd).bytes, 50);
	vm_read(fd, got, ACHAN_RECORD_SIZE(50));
	check_frame(got, 50, 0);
}
END_TEST

START_TEST(read_of_zero_bytes_is_zero_and_takes_nothing)
{
	int fd = open_framed(_i);
	char got[8];

	ck_assert_int_eq(vm_errno(read(fd, got, 0)), 0);
	write_pattern(fd, 50, 0);
	ck_assert_int_eq(vm_errno(read(fd, got, 0)), 0);
	ck_assert_int_eq(vm_info(fd).bytes, 50);
}
END_TEST

START_TEST(framed_read_of_empty_channel_sleeps)
{
	int fd = vm_open(_i, O_RDWR);
	unsigned char got[200];
	struct vm_transfer transfer = { fd, got, sizeof(got) };
	struct vm_thread reader;

	vm_set_flags(fd, ACHAN_OPEN_FRAMED);
	vm_spawn(&reader, vm_read_thread, &transfer);
	vm_wait_sleeping(reader.tid);
	write_pattern(fd, 50, 0);
	ck_assert_int_eq(vm_join(&reader), ACHAN_RECORD_SIZE(50));
	check_frame(got, 50, 0);
}
END_TEST

/* Padding is zero also where the ring held other bytes before. */
START_TEST(padding_is_zero_in_a_used_ring)
{
	int fd = open_framed(_i);
	static unsigned char got[8192], ones[8192];
	size_t length;
	int round;

	memset(ones, 0xff, sizeof(ones));
	for (round = 0; round < 8; round++) {
		vm_write(fd, ones, VM_ATOMIC - round);
		vm_write(fd, ones, 3000);
		vm_drain(fd);
		memset(got, 0xee, sizeof(got));
		for (length = 1; length <= 40; length++) {
			write_pattern(fd, length, round);
			vm_read(fd, got, ACHAN_RECORD_SIZE(length));
			check_frame(got, length, round);
		}
	}
}
END_TEST

/* The flag is the open file's: another does not have it. */
START_TEST(framed_flag_is_per_open_file)
{
	int fd = open_framed(VM_MESSAGE);
	int other = vm_reopen(fd, O_RDWR | O_NONBLOCK);
	unsigned char got[100];
	__u32 flags = ~0u;

	ck_assert_int_eq(ioctl(other, ACHAN_IOC_GET_FLAGS, &flags), 0);
	ck_assert_uint_eq(flags, 0);
	write_pattern(fd, 10, 0);
	ck_assert_int_eq(vm_errno(read(other, got, sizeof(got))), 10);
	write_pattern(other, 10, 0);
	vm_read(fd, got, ACHAN_RECORD_SIZE(10));
}
END_TEST

/* And all descriptors of the open file share it. */
START_TEST(framed_flag_is_shared_by_dup)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR | O_NONBLOCK);
	int copy = dup(fd);
	unsigned char got[100];

	vm_set_flags(copy, ACHAN_OPEN_FRAMED);
	write_pattern(fd, 10, 0);
	ck_assert_int_eq(vm_errno(read(fd, got, sizeof(got))),
			 ACHAN_RECORD_SIZE(10));
	vm_set_flags(fd, 0);
	write_pattern(fd, 10, 0);
	ck_assert_int_eq(vm_errno(read(copy, got, sizeof(got))), 10);
}
END_TEST

/* A large stream write is split; its records follow each other. */
START_TEST(large_stream_write_comes_as_records_in_order)
{
	int fd = open_framed(VM_STREAM);
	static unsigned char got[65536];
	uint64_t sequence = vm_info(fd).sequence;
	size_t at = 0, bytes = 0;
	ssize_t n;

	write_pattern(fd, 30000, 0);
	n = vm_errno(read(fd, got, sizeof(got)));
	while ((ssize_t)at < n) {
		struct achan_record record;

		memcpy(&record, got + at, HEADER);
		ck_assert_uint_gt(record.length, 0);
		ck_assert_uint_le(at + ACHAN_RECORD_SIZE(record.length), n);
		check_frame(got + at, record.length, bytes);
		ck_assert_uint_eq(record.sequence, sequence++);
		bytes += record.length;
		at += ACHAN_RECORD_SIZE(record.length);
	}
	ck_assert_int_eq(at, n);
	ck_assert_int_eq(bytes, 30000);
	ck_assert_uint_eq(vm_info(fd).sequence, sequence);
}
END_TEST

/* A record partly taken unframed comes with its rest, and says so. */
START_TEST(rest_of_a_record_is_marked_continued)
{
	int fd = vm_open(VM_STREAM, O_RDWR | O_NONBLOCK);
	uint64_t sequence = vm_info(fd).sequence;
	struct achan_record first, second;
	unsigned char got[300];

	write_pattern(fd, 100, 0);
	write_pattern(fd, 20, 0);
	vm_read(fd, got, 13);
	vm_assert_pattern(got, 13, 0);
	vm_set_flags(fd, ACHAN_OPEN_FRAMED);
	/* The rest may be anywhere: it is the frame that is aligned. */
	ck_assert_int_eq(vm_errno(read(fd, got, ACHAN_RECORD_SIZE(87) - 1)),
			 -EMSGSIZE);
	ck_assert_int_eq(vm_errno(read(fd, got, sizeof(got))),
			 ACHAN_RECORD_SIZE(87) + ACHAN_RECORD_SIZE(20));
	first = check_frame(got, 87, 13);
	second = check_frame(got + ACHAN_RECORD_SIZE(87), 20, 0);
	ck_assert_uint_eq(first.flags, ACHAN_RECORD_CONTINUED);
	ck_assert_uint_eq(first.sequence, sequence);
	ck_assert_uint_eq(second.flags, 0);
	ck_assert_uint_eq(second.sequence, sequence + 1);
	ck_assert_uint_le(first.timestamp, second.timestamp);
}
END_TEST

/*
 * The rest of a record that needs no padding ends with the last of many segments: what
 * lies behind the array of segments is not looked at. KASAN says if it is.
 */
START_TEST(rest_of_a_record_ends_with_the_last_segment)
{
	int fd = vm_open(VM_STREAM, O_RDWR | O_NONBLOCK);
	size_t length = _i ? 1024 : 128, total = HEADER + length, each, at = 0;
	struct iovec segments[32];
	unsigned char got[2048];

	write_pattern(fd, length + 8, 0);
	vm_read(fd, got, 8);
	vm_set_flags(fd, ACHAN_OPEN_FRAMED);
	each = total / VM_ARRAY_SIZE(segments) / 8 * 8;
	for (size_t i = 0; i < VM_ARRAY_SIZE(segments); i++) {
		segments[i].iov_base = got + at;
		segments[i].iov_len = i + 1 < VM_ARRAY_SIZE(segments) ?
				      each : total - at;
		at += segments[i].iov_len;
	}
	ck_assert_int_eq(vm_errno(readv(fd, segments,
					VM_ARRAY_SIZE(segments))), total);
	check_frame(got, length, 8);
}
END_TEST

/* A record fully taken unframed leaves no empty frame behind. */
START_TEST(record_taken_whole_leaves_no_frame)
{
	int fd = vm_open(_i, O_RDWR | O_NONBLOCK);
	uint64_t sequence = vm_info(fd).sequence;
	struct achan_record record;
	unsigned char got[300];

	write_pattern(fd, 100, 0);
	write_pattern(fd, 20, 7);
	vm_read(fd, got, 100);
	vm_set_flags(fd, ACHAN_OPEN_FRAMED);
	vm_read(fd, got, ACHAN_RECORD_SIZE(20));
	record = check_frame(got, 20, 7);
	ck_assert_uint_eq(record.flags, 0);
	ck_assert_uint_eq(record.sequence, sequence + 1);
}
END_TEST

/* Numbers have no gap over many turns of the ring. */
START_TEST(sequence_has_no_gap_after_many_wraps)
{
	int fd = open_framed(_i);
	uint64_t sequence = vm_info(fd).sequence, before = 0;
	static unsigned char got[8192];
	uint64_t put = 0, taken = 0;

	while (taken < 5000) {
		ssize_t n;
		size_t at;

		write_pattern(fd, 1 + put % 1500, put);
		put++;
		if (put % 4)
			continue;
		n = vm_errno(read(fd, got, sizeof(got)));
		ck_assert_int_gt(n, 0);
		for (at = 0; (ssize_t)at < n; taken++) {
			struct achan_record record = check_frame(got + at,
				1 + taken % 1500, taken);

			ck_assert_uint_eq(record.sequence, sequence + taken);
			ck_assert_uint_ge(record.timestamp, before);
			before = record.timestamp;
			at += ACHAN_RECORD_SIZE(record.length);
		}
	}
	ck_assert_uint_eq(vm_info(fd).sequence, sequence + put);
}
END_TEST

static int write_many(void *argument)
{
	int fd = *(int *)argument;
	char data[30] = { 0 };
	int i;

	for (i = 0; i < 1000; i++)
		if (write(fd, data, 1 + i % 30) != 1 + i % 30)
			return 1;
	return 0;
}

/*
 * Nor with many writers; numbers and times have the order of the ring. A
 * writer that took its time before the lock had an earlier one than the record
 * before its own.
 */
START_TEST(sequence_and_time_grow_with_many_writers)
{
	int fd = vm_open(VM_MESSAGE_SMALL, O_RDWR);
	int reader = vm_reopen(fd, O_RDONLY);
	uint64_t sequence = vm_info(fd).sequence, before = 0;
	static unsigned char got[8192];
	pid_t writers[3];
	int taken = 0, i;

	vm_set_flags(reader, ACHAN_OPEN_FRAMED);
	for (i = 0; i < 3; i++)
		writers[i] = vm_fork(write_many, &fd);
	while (taken < 3000) {
		ssize_t n = vm_errno(read(reader, got, sizeof(got)));
		size_t at = 0;

		ck_assert_int_gt(n, 0);
		for (; (ssize_t)at < n; taken++) {
			struct achan_record record;

			memcpy(&record, got + at, HEADER);
			ck_assert_uint_eq(record.sequence, sequence + taken);
			ck_assert_uint_ge(record.timestamp, before);
			before = record.timestamp;
			at += ACHAN_RECORD_SIZE(record.length);
		}
	}
	for (i = 0; i < 3; i++)
		vm_wait_success(writers[i]);
}
END_TEST

/* A failed write leaves a gap only if it is counted as discarded. */
START_TEST(gap_in_the_sequence_is_counted_as_discarded)
{
	int fd = open_framed(VM_MESSAGE);
	char *end = (char *)vm_pages(1) + vm_page_size();
	struct achan_info before = vm_info(fd), after;
	unsigned char got[100];
	struct achan_record first, second;
	int i;

	write_pattern(fd, 10, 0);
	for (i = 0; i < 10; i++)
		ck_assert_int_eq(vm_errno(write(fd, end - 100, 200)), -EFAULT);
	write_pattern(fd, 10, 0);
	after = vm_info(fd);
	vm_read(fd, got, 2 * ACHAN_RECORD_SIZE(10));
	first = check_frame(got, 10, 0);
	second = check_frame(got + ACHAN_RECORD_SIZE(10), 10, 0);
	ck_assert_uint_eq(first.sequence, before.sequence);
	ck_assert_uint_eq(second.sequence - first.sequence - 1,
			  after.discarded - before.discarded);
	ck_assert_uint_eq(after.sequence, second.sequence + 1);
}
END_TEST

/* Frames may be scattered over segments of any size. */
START_TEST(readv_scatters_frames_over_segments)
{
	int fd = open_framed(_i);
	unsigned char got[7 * 40];
	struct iovec parts[40];
	int i;

	/* Padding has to be written too. */
	memset(got, 0xff, sizeof(got));
	for (i = 0; i < 40; i++)
		parts[i] = (struct iovec){ got + 7 * i, 7 };
	write_pattern(fd, 51, 0);
	write_pattern(fd, 100, 3);
	/* All but the last byte of the second. */
	ck_assert_int_eq(vm_errno(readv(fd, parts, 29)),
			 ACHAN_RECORD_SIZE(51));
	check_frame(got, 51, 0);
	ck_assert_int_eq(vm_errno(readv(fd, parts, 40)),
			 ACHAN_RECORD_SIZE(100));
	check_frame(got, 100, 3);
}
END_TEST

/*
 * Row: bad pointer: a frame is read whole or it stays. A read whose first
 * frame fitted before the bad page gave -EFAULT instead of that frame.
 */
START_TEST(frame_that_meets_a_bad_page_stays)
{
	int fd = open_framed(_i);
	char *end = (char *)vm_pages(1) + vm_page_size();
	const size_t size = ACHAN_RECORD_SIZE(100);
	uint64_t sequence = vm_info(fd).sequence;
	unsigned char got[300];
	size_t there;

	write_pattern(fd, 100, 0);
	write_pattern(fd, 100, 5);
	for (there = 1; there < size; there += 11)
		ck_assert_int_eq(vm_errno(read(fd, end - there, 2 * size)),
				 -EFAULT);
	/* The first fits, the second does not. */
	ck_assert_int_eq(vm_errno(read(fd, end - size - 30, 2 * size)), size);
	ck_assert_uint_eq(check_frame(end - size - 30, 100, 0).sequence,
			  sequence);
	vm_read(fd, got, size);
	ck_assert_uint_eq(check_frame(got, 100, 5).sequence, sequence + 1);
}
END_TEST

/* Writing is the same on a framed file: what is written is payload. */
START_TEST(framed_file_writes_plain_payload)
{
	int fd = open_framed(VM_MESSAGE);
	int other = vm_reopen(fd, O_RDONLY | O_NONBLOCK);
	char got[10];

	vm_write(fd, "plain", 5);
	ck_assert_int_eq(vm_errno(read(other, got, sizeof(got))), 5);
	ck_assert_mem_eq(got, "plain", 5);
}
END_TEST

/* The stream and the message channel, with the large and the small ring. */
static void add_for_both(TCase *tcase, const TTest *test)
{
	tcase_add_loop_test(tcase, test, VM_STREAM, VM_MESSAGE + 1);
}

static void add_for_small(TCase *tcase, const TTest *test)
{
	tcase_add_loop_test(tcase, test, VM_STREAM_SMALL, VM_MESSAGE_SMALL + 1);
}

int main(void)
{
	Suite *suite = suite_create("framed");
	TCase *tcase = vm_tcase(suite, "frame");

	add_for_both(tcase, frame_has_header_payload_and_zero_padding);
	add_for_both(tcase, one_read_returns_many_records);
	add_for_both(tcase, read_returns_whole_records_only);
	add_for_both(tcase, buffer_too_small_for_one_frame_is_emsgsize);
	add_for_both(tcase, read_of_zero_bytes_is_zero_and_takes_nothing);
	add_for_both(tcase, framed_read_of_empty_channel_sleeps);
	add_for_small(tcase, padding_is_zero_in_a_used_ring);
	add_for_both(tcase, readv_scatters_frames_over_segments);
	add_for_both(tcase, frame_that_meets_a_bad_page_stays);
	tcase_add_test(tcase, framed_file_writes_plain_payload);

	tcase = vm_tcase(suite, "flag");
	tcase_add_test(tcase, framed_flag_is_per_open_file);
	tcase_add_test(tcase, framed_flag_is_shared_by_dup);

	tcase = vm_tcase(suite, "sequence");
	tcase_add_test(tcase,
		       large_stream_write_comes_as_records_in_order);
	tcase_add_test(tcase, rest_of_a_record_is_marked_continued);
	tcase_add_loop_test(tcase, rest_of_a_record_ends_with_the_last_segment,
			    0, 2);
	add_for_both(tcase, record_taken_whole_leaves_no_frame);
	add_for_small(tcase, sequence_has_no_gap_after_many_wraps);
	tcase_add_test(tcase, sequence_and_time_grow_with_many_writers);
	tcase_add_test(tcase, gap_in_the_sequence_is_counted_as_discarded);
	return vm_main(suite);
}
