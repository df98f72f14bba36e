// SPDX-License-Identifier: GPL-2.0-only
/* Message mode: a read is one record, a write is one record. */
#include "vm.h"

#include <limits.h>
#include <sys/uio.h>

/* Row: a read takes exactly one record. */
START_TEST(read_takes_exactly_one_record)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR | O_NONBLOCK);
	char got[64];

	vm_write(fd, "first", 5);
	vm_write(fd, "second!", 7);
	ck_assert_int_eq(vm_errno(read(fd, got, sizeof(got))), 5);
	ck_assert_mem_eq(got, "first", 5);
	ck_assert_int_eq(vm_errno(read(fd, got, sizeof(got))), 7);
	ck_assert_mem_eq(got, "second!", 7);
	ck_assert_int_eq(vm_errno(read(fd, got, sizeof(got))), -EAGAIN);
}
END_TEST

/* A larger buffer is left alone behind the record. */
START_TEST(read_touches_nothing_behind_the_record)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR | O_NONBLOCK);
	unsigned char got[64];
	size_t i;

	memset(got, 0xee, sizeof(got));
	vm_write(fd, "first", 5);
	ck_assert_int_eq(vm_errno(read(fd, got, sizeof(got))), 5);
	for (i = 5; i < sizeof(got); i++)
		ck_assert_int_eq(got[i], 0xee);
}
END_TEST

/* Up to 256 bytes are copied by words, those behind the last one by bytes. */
#define LENGTH_MAX	300
#define ALIGNMENTS	8

/* One segment, which is copied so, or two, which are not. */
static void split(struct iovec *parts, int count, void *data, size_t length)
{
	size_t first = length / (size_t)count;

	parts[0] = (struct iovec){ data, first };
	parts[1] = (struct iovec){ (char *)data + first, length - first };
}

START_TEST(message_of_each_length_passes_at_each_alignment)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR | O_NONBLOCK);
	char data[ALIGNMENTS + LENGTH_MAX], got[ALIGNMENTS + LENGTH_MAX + 8];
	struct iovec parts[2];

	for (size_t length = 1; length <= LENGTH_MAX; length++) {
		size_t from = length % ALIGNMENTS;
		size_t to = length * 3 / ALIGNMENTS % ALIGNMENTS;

		vm_pattern(data + from, length, length);
		memset(got, 0xee, sizeof(got));
		split(parts, _i, data + from, length);
		ck_assert_int_eq(vm_errno(writev(fd, parts, _i)), length);
		split(parts, _i, got + to, length);
		ck_assert_int_eq(vm_errno(readv(fd, parts, _i)), length);
		vm_assert_pattern(got + to, length, length);
		for (size_t i = 0; i < sizeof(got); i++)
			if ((i < to || i >= to + length) &&
			    (unsigned char)got[i] != 0xee)
				ck_abort_msg("byte %zu beside %zu at %zu", i,
					     length, to);
	}
}
END_TEST

/* Row: buffer too small: -EMSGSIZE, the record stays, whole. */
START_TEST(read_into_too_small_buffer_is_emsgsize_and_record_stays)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR | (_i ? O_NONBLOCK : 0));
	char data[1000], got[1000];
	struct achan_info info;
	size_t length;

	vm_pattern(data, sizeof(data), 3);
	vm_write(fd, data, sizeof(data));
	vm_write(fd, "next", 4);
	for (length = 1; length < sizeof(data); length += 37)
		ck_assert_int_eq(vm_errno(read(fd, got, length)), -EMSGSIZE);
	ck_assert_int_eq(vm_errno(read(fd, got, sizeof(got) - 1)), -EMSGSIZE);
	info = vm_info(fd);
	ck_assert_int_eq(info.bytes, sizeof(data) + 4);
	vm_read(fd, got, sizeof(got));
	vm_assert_pattern(got, sizeof(got), 3);
	vm_read(fd, got, 4);
}
END_TEST

/* Row: a write makes one record, whatever its segments. */
START_TEST(writev_of_many_segments_is_one_record)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR | O_NONBLOCK);
	static char data[IOV_MAX * 3], got[IOV_MAX * 3];
	struct iovec parts[IOV_MAX];
	int i;

	vm_pattern(data, sizeof(data), 0);
	for (i = 0; i < IOV_MAX; i++)
		parts[i] = (struct iovec){ data + 3 * i, 3 };
	ck_assert_int_eq(vm_errno(writev(fd, parts, IOV_MAX)), sizeof(data));
	ck_assert_int_eq(vm_errno(read(fd, got, sizeof(got))), sizeof(data));
	vm_assert_pattern(got, sizeof(got), 0);
}
END_TEST

START_TEST(readv_scatters_one_record_over_many_segments)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR | O_NONBLOCK);
	static char data[IOV_MAX * 3], got[IOV_MAX * 3];
	struct iovec parts[IOV_MAX];
	int i;

	vm_pattern(data, sizeof(data), 0);
	vm_write(fd, data, sizeof(data));
	vm_write(fd, "next", 4);
	for (i = 0; i < IOV_MAX; i++)
		parts[i] = (struct iovec){ got + 3 * i, 3 };
	/* All segments but the last: too small by three bytes. */
	ck_assert_int_eq(vm_errno(readv(fd, parts, IOV_MAX - 1)), -EMSGSIZE);
	ck_assert_int_eq(vm_errno(readv(fd, parts, IOV_MAX)), sizeof(data));
	vm_assert_pattern(got, sizeof(got), 0);
	ck_assert_int_eq(vm_info(fd).bytes, 4);
}
END_TEST

START_TEST(segments_of_no_bytes_are_skipped)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR | O_NONBLOCK);
	char got[8];
	struct iovec put_parts[] = {
		{ NULL, 0 }, { "ab", 2 }, { NULL, 0 }, { "c", 1 }, { NULL, 0 }
	};
	struct iovec got_parts[] = {
		{ NULL, 0 }, { got, 1 }, { NULL, 0 }, { got + 1, 7 }, { NULL, 0 }
	};

	ck_assert_int_eq(vm_errno(writev(fd, put_parts, 5)), 3);
	ck_assert_int_eq(vm_errno(readv(fd, got_parts, 5)), 3);
	ck_assert_mem_eq(got, "abc", 3);
}
END_TEST

/* Row: a write of no bytes puts nothing in: also when made of segments. */
START_TEST(writev_of_empty_segments_puts_nothing_in)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR | O_NONBLOCK);
	struct iovec parts[3] = { { NULL, 0 }, { "a", 0 }, { NULL, 0 } };
	uint64_t sequence = vm_info(fd).sequence;

	ck_assert_int_eq(vm_errno(writev(fd, parts, 3)), 0);
	ck_assert_int_eq(vm_errno(writev(fd, parts, 0)), 0);
	ck_assert_int_eq(vm_info(fd).sequence, sequence);
	ck_assert_int_eq(vm_errno(readv(fd, parts, 3)), 0);
	ck_assert_int_eq(vm_errno(readv(fd, parts, 0)), 0);
}
END_TEST

START_TEST(too_many_segments_are_einval)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR | O_NONBLOCK);
	struct iovec parts[IOV_MAX + 1];
	char byte = 1;
	int i;

	vm_write(fd, "stays", 5);
	for (i = 0; i <= IOV_MAX; i++)
		parts[i] = (struct iovec){ &byte, 1 };
	ck_assert_int_eq(vm_errno(writev(fd, parts, IOV_MAX + 1)), -EINVAL);
	ck_assert_int_eq(vm_errno(readv(fd, parts, IOV_MAX + 1)), -EINVAL);
	parts[0].iov_len = SIZE_MAX;
	ck_assert_int_eq(vm_errno(writev(fd, parts, 2)), -EINVAL);
	ck_assert_int_eq(vm_info(fd).bytes, 5);
}
END_TEST

/* Row: larger than the ring can ever hold: -EMSGSIZE, blocking or not. */
START_TEST(write_of_too_large_message_is_emsgsize)
{
	int fd = vm_open(VM_MESSAGE_SMALL, O_RDWR | (_i ? O_NONBLOCK : 0));
	size_t length = vm_info(fd).record_max + 1;
	uint64_t sequence = vm_info(fd).sequence;
	char *data = calloc(1, length);
	struct iovec halves[2] = {
		{ data, length / 2 }, { data, length - length / 2 }
	};

	ck_assert_int_eq(vm_errno(write(fd, data, length)), -EMSGSIZE);
	ck_assert_int_eq(vm_errno(writev(fd, halves, 2)), -EMSGSIZE);
	ck_assert_int_eq(vm_errno(write(fd, data, 1ul << 30)), -EMSGSIZE);
	/* A full channel does not turn it into a wait. */
	vm_fill(fd);
	ck_assert_int_eq(vm_errno(write(fd, data, length)), -EMSGSIZE);
	vm_drain(fd);
	ck_assert_int_ge(vm_info(fd).sequence, sequence);
	ck_assert_int_eq(vm_info(fd).bytes, 0);
}
END_TEST

START_TEST(message_of_exactly_record_max_passes)
{
	int fd = vm_open(_i, O_RDWR | O_NONBLOCK);
	size_t length = vm_info(fd).record_max;
	char *data = malloc(length), *got = malloc(length);
	int round;

	for (round = 0; round < 3; round++) {
		vm_pattern(data, length, round);
		vm_write(fd, data, length);
		/* Not one byte more: the ring is full. */
		ck_assert_int_eq(vm_errno(write(fd, data, 1)), -EAGAIN);
		vm_read(fd, got, length);
		vm_assert_pattern(got, length, round);
		/* Move the ring's start to somewhere else. */
		vm_write(fd, data, 1 + 1000 * round);
		vm_read(fd, got, 1 + 1000 * round);
	}
}
END_TEST

/*
 * Ring wrap-around at every alignment: a record of 5003 bytes takes an odd
 * number of units, so it starts at every one of the ring's 1024 units once.
 */
START_TEST(message_wraps_at_every_position_of_the_ring)
{
	int fd = vm_open(VM_MESSAGE_SMALL, O_RDWR | O_NONBLOCK);
	size_t units = vm_info(fd).ring_bytes / ACHAN_RECORD_ALIGN;
	static char data[5003], got[5003];
	size_t round;

	ck_assert_int_eq(ACHAN_RECORD_SIZE(sizeof(data)) / 8 % 2, 1);
	for (round = 0; round < units; round++) {
		vm_pattern(data, sizeof(data), round);
		vm_write(fd, data, sizeof(data));
		memset(got, 0, sizeof(got));
		vm_read(fd, got, sizeof(got));
		vm_assert_pattern(got, sizeof(got), round);
	}
}
END_TEST

/* Random writes and reads against the simplest queue there is. */
START_TEST(random_messages_come_out_as_a_queue_says)
{
	int fd = vm_open(VM_MESSAGE_SMALL, O_RDWR | O_NONBLOCK);
	size_t ring_bytes = vm_info(fd).ring_bytes;
	static uint32_t lengths[20000];
	static char data[8192];
	size_t head = 0, tail = 0, used = 0;
	unsigned int seed = 1;
	int step;

	for (step = 0; step < 20000; step++) {
		size_t length = 1 + rand_r(&seed) % (1 << (rand_r(&seed) % 12));
		size_t size = ACHAN_RECORD_SIZE(length);

		if (rand_r(&seed) % 2) {
			vm_pattern(data, length, head);
			ck_assert_int_eq(vm_errno(write(fd, data, length)),
					 used + size <= ring_bytes ?
					 (ssize_t)length : -EAGAIN);
			if (used + size > ring_bytes)
				continue;
			used += size;
			lengths[head++] = length;
		} else if (head == tail) {
			ck_assert_int_eq(vm_errno(read(fd, data, 8192)),
					 -EAGAIN);
		} else {
			length = lengths[tail];
			ck_assert_int_eq(vm_errno(read(fd, data, 8192)),
					 length);
			vm_assert_pattern(data, length, tail);
			used -= ACHAN_RECORD_SIZE(length);
			tail++;
		}
	}
}
END_TEST

#define PRODUCERS	4
#define CONSUMERS	3
#define RECORDS		400

struct exchange {
	int fd;
	/* A consumer adds up how often it got each record. */
	unsigned char (*seen)[RECORDS];
};

struct numbered {
	uint32_t producer;
	uint32_t number;
	char pattern[120];
};

static int produce(void *argument)
{
	int *producer_and_fd = argument;
	struct numbered record = { .producer = producer_and_fd[0] };
	uint32_t i;

	for (i = 0; i < RECORDS; i++) {
		size_t length = 8 + (i * 13 + record.producer) % 112;

		record.number = i;
		vm_pattern(record.pattern, sizeof(record.pattern), i);
		if (write(producer_and_fd[1], &record, length) !=
		    (ssize_t)length)
			return 1;
	}
	return 0;
}

static long consume(void *argument)
{
	struct exchange *exchange = argument;
	int64_t last[PRODUCERS] = { -1, -1, -1, -1 };
	struct numbered record;
	long count = 0;
	ssize_t got;

	for (;;) {
		got = vm_errno(read(exchange->fd, &record, sizeof(record)));
		if (got < 8 || record.producer > PRODUCERS)
			return -1;
		if (record.producer == PRODUCERS)
			return count;
		if (record.number >= RECORDS ||
		    (int64_t)record.number <= last[record.producer] ||
		    vm_pattern_wrong(record.pattern, got - 8,
				     record.number) != -1)
			return -2;
		last[record.producer] = record.number;
		exchange->seen[record.producer][record.number]++;
		count++;
	}
}

/*
 * Many writers and many readers: each record is read once and whole, and no
 * reader sees one producer's records out of order.
 */
START_TEST(every_record_of_many_writers_goes_to_one_of_many_readers)
{
	int fd = vm_open(VM_MESSAGE_SMALL, O_RDWR);
	static unsigned char seen[CONSUMERS][PRODUCERS][RECORDS];
	struct numbered end = { .producer = PRODUCERS };
	struct exchange exchanges[CONSUMERS];
	struct vm_thread consumers[CONSUMERS];
	int arguments[PRODUCERS][2];
	pid_t producers[PRODUCERS];
	long count = 0;
	int i, j, k;

	for (i = 0; i < CONSUMERS; i++) {
		exchanges[i] = (struct exchange){ fd, seen[i] };
		vm_spawn(&consumers[i], consume, &exchanges[i]);
	}
	for (i = 0; i < PRODUCERS; i++) {
		arguments[i][0] = i;
		arguments[i][1] = fd;
		producers[i] = vm_fork(produce, arguments[i]);
	}
	for (i = 0; i < PRODUCERS; i++)
		vm_wait_success(producers[i]);
	for (i = 0; i < CONSUMERS; i++)
		vm_write(fd, &end, 8);
	for (i = 0; i < CONSUMERS; i++) {
		long result = vm_join(&consumers[i]);

		ck_assert_int_ge(result, 0);
		count += result;
	}
	ck_assert_int_eq(count, PRODUCERS * RECORDS);
	for (i = 0; i < PRODUCERS; i++)
		for (j = 0; j < RECORDS; j++) {
			int times = 0;

			for (k = 0; k < CONSUMERS; k++)
				times += seen[k][i][j];
			ck_assert_int_eq(times, 1);
		}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("message");
	TCase *tcase = vm_tcase(suite, "message");

	tcase_add_test(tcase, read_takes_exactly_one_record);
	tcase_add_test(tcase, read_touches_nothing_behind_the_record);
	tcase_add_loop_test(tcase,
			    message_of_each_length_passes_at_each_alignment, 1, 3);
	tcase_add_loop_test(tcase,
			    read_into_too_small_buffer_is_emsgsize_and_record_stays,
			    0, 2);
	tcase_add_loop_test(tcase, write_of_too_large_message_is_emsgsize,
			    0, 2);
	tcase_add_test(tcase, random_messages_come_out_as_a_queue_says);
	tcase_add_test(tcase,
		       every_record_of_many_writers_goes_to_one_of_many_readers);
	tcase_add_test(tcase, message_wraps_at_every_position_of_the_ring);
	tcase_add_loop_test(tcase, message_of_exactly_record_max_passes,
			    VM_MESSAGE, VM_MESSAGE + 1);
	tcase_add_loop_test(tcase, message_of_exactly_record_max_passes,
			    VM_MESSAGE_SMALL, VM_MESSAGE_SMALL + 1);

	tcase = vm_tcase(suite, "segments");
	tcase_add_test(tcase, writev_of_many_segments_is_one_record);
	tcase_add_test(tcase, readv_scatters_one_record_over_many_segments);
	tcase_add_test(tcase, segments_of_no_bytes_are_skipped);
	tcase_add_test(tcase, writev_of_empty_segments_puts_nothing_in);
	tcase_add_test(tcase, too_many_segments_are_einval);
	return vm_main(suite);
}
