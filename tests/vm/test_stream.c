// SPDX-License-Identifier: GPL-2.0-only
/* Stream mode: bytes, across records. */
#include "vm.h"

#include <limits.h>
#include <sched.h>
#include <sys/uio.h>

/* Row: a read takes as many bytes as there are, across records. */
START_TEST(read_goes_across_records)
{
	int fd = vm_open(VM_STREAM, O_RDWR | O_NONBLOCK);
	char data[100], got[200];
	int i;

	vm_pattern(data, sizeof(data), 0);
	for (i = 0; i < 100; i += 10)
		vm_write(fd, data + i, 10);
	ck_assert_int_eq(vm_errno(read(fd, got, sizeof(got))), 100);
	vm_assert_pattern(got, 100, 0);
}
END_TEST

/* What a read leaves of a record is there for the next. */
START_TEST(read_of_a_part_leaves_the_rest)
{
	int fd = vm_open(VM_STREAM, O_RDWR | O_NONBLOCK);
	char data[1000], got[1000];
	size_t done, step = 1;

	vm_pattern(data, sizeof(data), 0);
	for (done = 0; done < sizeof(data); done += 50)
		vm_write(fd, data + done, 50);
	for (done = 0; done < sizeof(data); step += 3) {
		if (step > sizeof(data) - done)
			step = sizeof(data) - done;
		vm_read(fd, got + done, step);
		done += step;
		ck_assert_int_eq(vm_info(fd).bytes, sizeof(data) - done);
	}
	vm_assert_pattern(got, sizeof(got), 0);
	ck_assert_int_eq(vm_errno(read(fd, got, 1)), -EAGAIN);
}
END_TEST

/* Only a record read to its end gives its room back. */
START_TEST(room_comes_back_when_a_record_is_read_to_its_end)
{
	int fd = vm_open(VM_STREAM_SMALL, O_RDWR | O_NONBLOCK);
	static char data[VM_ATOMIC], got[VM_ATOMIC];

	vm_write(fd, data, VM_ATOMIC);
	vm_write(fd, data, VM_ATOMIC - 100);
	ck_assert_int_eq(vm_errno(write(fd, data, VM_ATOMIC)), -EAGAIN);
	vm_read(fd, got, VM_ATOMIC);
	vm_write(fd, data, VM_ATOMIC);
}
END_TEST

START_TEST(writev_and_readv_keep_the_order_of_segments)
{
	int fd = vm_open(VM_STREAM, O_RDWR | O_NONBLOCK);
	static char data[IOV_MAX * 7], got[IOV_MAX * 7];
	struct iovec parts[IOV_MAX];
	int i;

	vm_pattern(data, sizeof(data), 0);
	for (i = 0; i < IOV_MAX; i++)
		parts[i] = (struct iovec){ data + 7 * i, 7 };
	ck_assert_int_eq(vm_errno(writev(fd, parts, IOV_MAX)), sizeof(data));
	for (i = 0; i < IOV_MAX; i++)
		parts[i].iov_base = got + 7 * i;
	ck_assert_int_eq(vm_errno(readv(fd, parts, IOV_MAX)), sizeof(data));
	vm_assert_pattern(got, sizeof(got), 0);
}
END_TEST

/* A short readv fills the first segments and leaves the others alone. */
START_TEST(short_readv_leaves_later_segments_alone)
{
	int fd = vm_open(VM_STREAM, O_RDWR | O_NONBLOCK);
	char data[10], first[4], second[4], third[4] = "old";
	struct iovec parts[] = { { first, 4 }, { second, 4 }, { third, 4 } };

	vm_pattern(data, sizeof(data), 0);
	vm_write(fd, data, 6);
	ck_assert_int_eq(vm_errno(readv(fd, parts, 3)), 6);
	vm_assert_pattern(first, 4, 0);
	vm_assert_pattern(second, 2, 4);
	ck_assert_str_eq(third, "old");
}
END_TEST

/* Any length passes, and the ring wraps at every position. */
START_TEST(stream_wraps_at_every_position_of_the_ring)
{
	int fd = vm_open(VM_STREAM_SMALL, O_RDWR | O_NONBLOCK);
	size_t units = vm_info(fd).ring_bytes / ACHAN_RECORD_ALIGN;
	static char data[3003], got[3003];
	size_t round;

	ck_assert_int_eq(ACHAN_RECORD_SIZE(sizeof(data)) / 8 % 2, 1);
	for (round = 0; round < units; round++) {
		vm_pattern(data, sizeof(data), round);
		vm_write(fd, data, sizeof(data));
		/* In two parts: the copy starts inside the record, too. */
		vm_read(fd, got, round + 1);
		vm_read(fd, got + round + 1, sizeof(got) - round - 1);
		vm_assert_pattern(got, sizeof(got), round);
	}
}
END_TEST

/* Random writes and reads: no byte lost, repeated or moved. */
START_TEST(random_reads_and_writes_keep_the_byte_sequence)
{
	int fd = vm_open(VM_STREAM_SMALL, O_RDWR | O_NONBLOCK);
	static char data[16384];
	uint64_t put = 0, taken = 0;
	unsigned int seed = 2;
	int step;

	for (step = 0; step < 15000; step++) {
		size_t length = 1 + rand_r(&seed) % (1 << (rand_r(&seed) % 14));
		ssize_t n;

		if (rand_r(&seed) % 2) {
			vm_pattern(data, length, put);
			n = vm_errno(write(fd, data, length));
			if (n == -EAGAIN)
				continue;
			ck_assert_int_gt(n, 0);
			ck_assert_int_le(n, length);
			if (length <= VM_ATOMIC)
				ck_assert_int_eq(n, length);
			put += n;
		} else {
			size_t there = put - taken;

			n = vm_errno(read(fd, data, length));
			if (!there) {
				ck_assert_int_eq(n, -EAGAIN);
				continue;
			}
			ck_assert_int_eq(n, there < length ? there : length);
			vm_assert_pattern(data, n, taken);
			taken += n;
		}
	}
	ck_assert_int_eq(vm_info(fd).bytes, put - taken);
}
END_TEST

#define WRITERS	4
#define WRITES	300

/* One atomic write: says how long it is, whose, and which one. */
struct block {
	uint16_t length;
	uint16_t writer;
	uint32_t number;
	unsigned char fill[VM_ATOMIC - 8];
};

static int write_blocks(void *argument)
{
	int *writer_and_fd = argument;
	struct block block;
	unsigned int seed = writer_and_fd[0];
	uint32_t i;

	block.writer = writer_and_fd[0];
	for (i = 0; i < WRITES; i++) {
		block.number = i;
		/* Every eighth is a whole PIPE_BUF. */
		block.length = i % 8 ? 8 + rand_r(&seed) % (VM_ATOMIC - 7) :
			VM_ATOMIC;
		memset(block.fill, block.writer * 16 + i % 16,
		       sizeof(block.fill));
		if (write(writer_and_fd[1], &block, block.length) !=
		    block.length)
			return 1;
	}
	return 0;
}

static void read_exactly(int fd, void *data, size_t length)
{
	size_t done = 0;

	while (done < length) {
		ssize_t n = vm_errno(read(fd, (char *)data + done,
					  length - done));

		ck_assert_int_gt(n, 0);
		done += n;
	}
}

/* Row: a write of at most PIPE_BUF is atomic, with many writers at once. */
START_TEST(writes_up_to_pipe_buf_never_mix)
{
	int fd = vm_open(_i, O_RDWR);
	uint32_t next[WRITERS] = { 0 };
	int arguments[WRITERS][2];
	pid_t writers[WRITERS];
	struct block block;
	int i, j;

	for (i = 0; i < WRITERS; i++) {
		arguments[i][0] = i;
		arguments[i][1] = fd;
		writers[i] = vm_fork(write_blocks, arguments[i]);
	}
	for (i = 0; i < WRITERS * WRITES; i++) {
		read_exactly(fd, &block, 8);
		ck_assert_int_ge(block.length, 8);
		ck_assert_int_le(block.length, VM_ATOMIC);
		ck_assert_int_lt(block.writer, WRITERS);
		ck_assert_int_eq(block.number, next[block.writer]);
		next[block.writer]++;
		read_exactly(fd, block.fill, block.length - 8);
		for (j = 0; j < block.length - 8; j++)
			if (block.fill[j] != block.writer * 16 +
			    block.number % 16)
				ck_abort_msg("foreign byte at %d", j);
	}
	for (i = 0; i < WRITERS; i++)
		vm_wait_success(writers[i]);
	ck_assert_int_eq(vm_info(fd).bytes, 0);
}
END_TEST

struct share {
	int fd;
	int finished;
	uint64_t sum;
	size_t bytes;
};

static long read_share(void *argument)
{
	struct share *share = argument;
	unsigned char data[777];

	for (;;) {
		int last = __atomic_load_n(&share->finished, __ATOMIC_ACQUIRE);
		ssize_t n = vm_errno(read(share->fd, data, sizeof(data)));
		ssize_t i;

		for (i = 0; i < n; i++)
			share->sum += data[i];
		if (n > 0)
			share->bytes += n;
		else if (n == -EAGAIN && !last)
			sched_yield();
		else
			return n;
	}
}

/* Several readers of one stream share its bytes: each byte goes to one. */
START_TEST(readers_of_one_stream_share_its_bytes)
{
	int fd = vm_open(VM_STREAM_SMALL, O_RDWR);
	int reader = vm_reopen(fd, O_RDONLY | O_NONBLOCK);
	const size_t length = 1 << 20;
	unsigned char *data = malloc(length);
	uint64_t sum = 0, shared_sum = 0;
	size_t i, shared_bytes = 0;
	struct vm_thread threads[3];
	struct share shares[3];

	vm_pattern(data, length, 0);
	for (i = 0; i < length; i++)
		sum += data[i];
	for (i = 0; i < 3; i++) {
		shares[i] = (struct share){ .fd = reader };
		vm_spawn(&threads[i], read_share, &shares[i]);
	}
	vm_write(fd, data, length);
	for (i = 0; i < 3; i++)
		__atomic_store_n(&shares[i].finished, 1, __ATOMIC_RELEASE);
	for (i = 0; i < 3; i++) {
		ck_assert_int_eq(vm_join(&threads[i]), -EAGAIN);
		shared_bytes += shares[i].bytes;
		shared_sum += shares[i].sum;
	}
	ck_assert_int_eq(shared_bytes, length);
	ck_assert_int_eq(shared_sum, sum);
}
END_TEST

/* A large transfer in odd pieces, both sides blocking, arrives as it was. */
static long write_pieces(void *argument)
{
	struct vm_transfer *transfer = argument;
	size_t done = 0, step = 1;

	while (done < transfer->length) {
		if (step > transfer->length - done)
			step = transfer->length - done;
		if (write(transfer->fd, (char *)transfer->data + done, step) !=
		    (ssize_t)step)
			return -errno;
		done += step;
		step = step * 5 % 20011 + 1;
	}
	return 0;
}

START_TEST(large_transfer_arrives_unchanged)
{
	int fd = vm_open(_i, O_RDWR);
	const size_t length = 3000017;
	struct vm_transfer transfer = { fd, malloc(length), length };
	static char got[9973];
	struct vm_thread writer;
	size_t done = 0;

	vm_pattern(transfer.data, length, 0);
	vm_spawn(&writer, write_pieces, &transfer);
	while (done < length) {
		ssize_t n = vm_errno(read(fd, got, sizeof(got)));

		ck_assert_int_gt(n, 0);
		vm_assert_pattern(got, n, done);
		done += n;
	}
	ck_assert_int_eq(vm_join(&writer), 0);
}
END_TEST

/* A write's length may be beyond any ring: it takes what fits, no more. */
START_TEST(write_of_a_gigabyte_takes_what_fits)
{
	int fd = vm_open(VM_STREAM_SMALL, O_RDWR | O_NONBLOCK);
	size_t pages = vm_info(fd).ring_bytes / vm_page_size();
	char *data = vm_pages(pages);
	ssize_t n;

	vm_pattern(data, pages * vm_page_size(), 0);
	n = vm_errno(write(fd, data, 1ul << 30));
	ck_assert_int_gt(n, 0);
	ck_assert_int_eq(vm_info(fd).bytes, n);
	ck_assert_int_eq(vm_errno(read(fd, data, 1ul << 13)), n);
	vm_assert_pattern(data, n, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("stream");
	TCase *tcase = vm_tcase(suite, "stream");

	tcase_add_test(tcase, read_goes_across_records);
	tcase_add_test(tcase, read_of_a_part_leaves_the_rest);
	tcase_add_test(tcase, room_comes_back_when_a_record_is_read_to_its_end);
	tcase_add_test(tcase, writev_and_readv_keep_the_order_of_segments);
	tcase_add_test(tcase, short_readv_leaves_later_segments_alone);
	tcase_add_test(tcase, stream_wraps_at_every_position_of_the_ring);
	tcase_add_test(tcase, random_reads_and_writes_keep_the_byte_sequence);
	tcase_add_test(tcase, write_of_a_gigabyte_takes_what_fits);

	tcase = vm_tcase(suite, "many");
	tcase_add_loop_test(tcase, writes_up_to_pipe_buf_never_mix, VM_STREAM,
			    VM_STREAM + 1);
	tcase_add_loop_test(tcase, writes_up_to_pipe_buf_never_mix,
			    VM_STREAM_SMALL, VM_STREAM_SMALL + 1);
	tcase_add_test(tcase, readers_of_one_stream_share_its_bytes);
	tcase_add_loop_test(tcase, large_transfer_arrives_unchanged, VM_STREAM,
			    VM_STREAM + 1);
	tcase_add_loop_test(tcase, large_transfer_arrives_unchanged,
			    VM_STREAM_SMALL, VM_STREAM_SMALL + 1);
	return vm_main(suite);
}
