// SPDX-License-Identifier: GPL-2.0-only
/* O_NONBLOCK and RWF_NOWAIT: -EAGAIN for empty and full, and for them only. */
#include "vm.h"

#include <linux/fs.h>
#include <sched.h>
#include <sys/uio.h>

#define THREADS	3

/* Row: nothing to read with O_NONBLOCK: -EAGAIN. */
START_TEST(read_of_empty_channel_is_eagain)
{
	int fd = vm_open(_i, O_RDWR | O_NONBLOCK);
	char got[16] = "untouched";

	ck_assert_int_eq(vm_errno(read(fd, got, sizeof(got))), -EAGAIN);
	ck_assert_str_eq(got, "untouched");
	vm_write(fd, "abc", 3);
	vm_read(fd, got, 3);
	ck_assert_int_eq(vm_errno(read(fd, got, sizeof(got))), -EAGAIN);
}
END_TEST

/* Row: no room with O_NONBLOCK: -EAGAIN, and nothing of it went in. */
START_TEST(write_to_full_channel_is_eagain)
{
	int fd = vm_open(_i, O_RDWR | O_NONBLOCK);
	size_t bytes = vm_fill(fd);
	uint64_t sequence = vm_info(fd).sequence;

	ck_assert_int_eq(vm_errno(write(fd, "x", 1)), -EAGAIN);
	ck_assert_int_eq(vm_info(fd).bytes, bytes);
	ck_assert_int_eq(vm_info(fd).sequence, sequence);
}
END_TEST

/* Row: a write of at most PIPE_BUF to a stream is all or nothing. */
START_TEST(small_stream_write_is_all_or_nothing)
{
	int fd = vm_open(VM_STREAM_SMALL, O_RDWR | O_NONBLOCK);
	static char data[VM_ATOMIC], got[VM_ATOMIC];
	uint64_t sequence;

	vm_write(fd, data, VM_ATOMIC);
	vm_write(fd, data, 1000);
	sequence = vm_info(fd).sequence;
	/* Some of it would fit. */
	ck_assert_int_eq(vm_errno(write(fd, data, VM_ATOMIC)), -EAGAIN);
	ck_assert_int_eq(vm_info(fd).bytes, VM_ATOMIC + 1000);
	ck_assert_int_eq(vm_info(fd).sequence, sequence);
	vm_write(fd, data, 1000);
	vm_read(fd, got, VM_ATOMIC);
	vm_write(fd, data, VM_ATOMIC - 1000);
}
END_TEST

/* Row: a non-blocking stream write over PIPE_BUF takes what fits. */
START_TEST(large_stream_write_takes_what_fits)
{
	int fd = vm_open(VM_STREAM_SMALL, O_RDWR | O_NONBLOCK);
	static char data[50000], got[50000];
	size_t done = 0, taken = 0;
	ssize_t n;

	vm_pattern(data, sizeof(data), 0);
	while (done < sizeof(data)) {
		n = vm_errno(write(fd, data + done, sizeof(data) - done));
		ck_assert_int_gt(n, 0);
		done += n;
		ck_assert_int_eq(vm_info(fd).bytes, done - taken);
		n = vm_errno(read(fd, got + taken, sizeof(got) - taken));
		ck_assert_int_eq(n, done - taken);
		taken += n;
	}
	ck_assert_int_eq(taken, sizeof(data));
	vm_assert_pattern(got, sizeof(got), 0);
}
END_TEST

START_TEST(large_stream_write_to_full_channel_is_eagain)
{
	int fd = vm_open(VM_STREAM_SMALL, O_RDWR | O_NONBLOCK);
	static char data[50000];

	ck_assert_int_gt(vm_errno(write(fd, data, sizeof(data))), VM_ATOMIC);
	vm_fill(fd);
	ck_assert_int_eq(vm_errno(write(fd, data, sizeof(data))), -EAGAIN);
}
END_TEST

/* A refused large message keeps no smaller one out. */
START_TEST(small_message_fits_after_large_one_was_refused)
{
	int fd = vm_open(VM_MESSAGE_SMALL, O_RDWR | O_NONBLOCK);
	static char data[8000];

	vm_write(fd, data, 4000);
	ck_assert_int_eq(vm_errno(write(fd, data, 8000)), -EAGAIN);
	vm_write(fd, data, 4000);
	vm_read(fd, data, 4000);
	vm_read(fd, data, 4000);
	vm_write(fd, data, 8000);
}
END_TEST

/* A short count instead of waiting for the rest. */
START_TEST(stream_read_returns_what_there_is)
{
	int fd = vm_open(VM_STREAM, O_RDWR | O_NONBLOCK);
	char data[30], got[100];

	vm_pattern(data, sizeof(data), 0);
	vm_write(fd, data, 10);
	vm_write(fd, data + 10, 20);
	ck_assert_int_eq(vm_errno(read(fd, got, sizeof(got))), 30);
	vm_assert_pattern(got, 30, 0);
}
END_TEST

/* O_NONBLOCK is looked at in every call, not in open alone. */
START_TEST(nonblock_switched_on_by_fcntl_counts)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR);
	char got[8];
	struct vm_transfer transfer = { fd, got, sizeof(got) };
	struct vm_thread reader;

	vm_set_nonblock(fd, true);
	ck_assert_int_eq(vm_errno(read(fd, got, sizeof(got))), -EAGAIN);
	vm_set_nonblock(fd, false);
	vm_spawn(&reader, vm_read_thread, &transfer);
	vm_wait_sleeping(reader.tid);
	vm_write(fd, "abc", 3);
	ck_assert_int_eq(vm_join(&reader), 3);
}
END_TEST

/* O_NONBLOCK belongs to the open file, not to the channel. */
START_TEST(nonblock_of_one_file_does_not_count_for_another)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR | O_NONBLOCK);
	int other = vm_reopen(fd, O_RDWR);
	char got[8];
	struct vm_transfer transfer = { other, got, sizeof(got) };
	struct vm_thread reader;

	vm_spawn(&reader, vm_read_thread, &transfer);
	vm_wait_sleeping(reader.tid);
	vm_write(fd, "abc", 3);
	ck_assert_int_eq(vm_join(&reader), 3);
}
END_TEST

/* Row: IOCB_NOWAIT as O_NONBLOCK, on a blocking file, by RWF_NOWAIT. */
START_TEST(nowait_read_of_empty_channel_is_eagain)
{
	int fd = vm_open(_i, O_RDWR);
	char got[64];
	struct iovec part = { got, sizeof(got) };

	ck_assert_int_eq(vm_errno(preadv2(fd, &part, 1, -1, RWF_NOWAIT)),
			 -EAGAIN);
	vm_write(fd, "abc", 3);
	ck_assert_int_eq(vm_errno(preadv2(fd, &part, 1, -1, RWF_NOWAIT)), 3);
	ck_assert_mem_eq(got, "abc", 3);
}
END_TEST

START_TEST(nowait_write_to_full_channel_is_eagain)
{
	int fd = vm_open(_i, O_RDWR);
	struct iovec part = { "abc", 3 };

	vm_fill(fd);
	ck_assert_int_eq(vm_errno(pwritev2(fd, &part, 1, -1, RWF_NOWAIT)),
			 -EAGAIN);
	vm_drain(fd);
	ck_assert_int_eq(vm_errno(pwritev2(fd, &part, 1, -1, RWF_NOWAIT)), 3);
	ck_assert_int_eq(vm_info(fd).bytes, 3);
}
END_TEST

START_TEST(nowait_large_stream_write_takes_what_fits)
{
	int fd = vm_open(VM_STREAM_SMALL, O_RDWR);
	static char data[50000], got[50000];
	struct iovec part = { data, sizeof(data) };
	ssize_t n;

	vm_pattern(data, sizeof(data), 0);
	n = vm_errno(pwritev2(fd, &part, 1, -1, RWF_NOWAIT));
	ck_assert_int_gt(n, 0);
	ck_assert_int_lt(n, sizeof(data));
	ck_assert_int_eq(vm_errno(read(fd, got, sizeof(got))), n);
	vm_assert_pattern(got, n, 0);
}
END_TEST

/* Row: unknown RWF flags: -EOPNOTSUPP, and nothing moves. */
START_TEST(unknown_rwf_flag_is_eopnotsupp)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR | O_NONBLOCK);
	char got[8];
	struct iovec part = { got, sizeof(got) };

	vm_write(fd, "abc", 3);
	ck_assert_int_eq(vm_errno(preadv2(fd, &part, 1, -1, 1 << 30)),
			 -EOPNOTSUPP);
	ck_assert_int_eq(vm_errno(pwritev2(fd, &part, 1, -1, 1 << 30)),
			 -EOPNOTSUPP);
	ck_assert_int_eq(vm_info(fd).bytes, 3);
}
END_TEST

/* Flags that mean nothing to a channel are harmless. */
START_TEST(known_rwf_flags_are_taken)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR | O_NONBLOCK);
	char got[8] = "abc";
	struct iovec part = { got, 3 };
	int flags = RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_APPEND;

	ck_assert_int_eq(vm_errno(pwritev2(fd, &part, 1, -1, flags)), 3);
	ck_assert_int_eq(vm_errno(preadv2(fd, &part, 1, -1, RWF_HIPRI)), 3);
}
END_TEST

struct contest {
	int fd;
	size_t length;
	pthread_barrier_t barrier;
	long moved;
};

static long take_until_eagain(void *argument)
{
	struct contest *contest = argument;
	char got[64];

	pthread_barrier_wait(&contest->barrier);
	while (read(contest->fd, got, contest->length) > 0)
		__atomic_add_fetch(&contest->moved, 1, __ATOMIC_SEQ_CST);
	if (errno != EAGAIN)
		return -errno;
	return __atomic_load_n(&contest->moved, __ATOMIC_SEQ_CST);
}

static long put_until_eagain(void *argument)
{
	struct contest *contest = argument;
	char data[64] = { 0 };

	pthread_barrier_wait(&contest->barrier);
	while (write(contest->fd, data, contest->length) > 0)
		__atomic_add_fetch(&contest->moved, 1, __ATOMIC_SEQ_CST);
	if (errno != EAGAIN)
		return -errno;
	return __atomic_load_n(&contest->moved, __ATOMIC_SEQ_CST);
}

/*
 * Row: -EAGAIN only for "empty" or "full", never for lock contention. Threads
 * move records at once until each sees -EAGAIN; by then all records but those
 * that the others were just moving, one each, had to be counted.
 */
static void contest_ends_at_the_last_record(struct contest *contest, long all,
					    long (*function)(void *argument))
{
	struct vm_thread threads[THREADS];
	int i;

	contest->moved = 0;
	pthread_barrier_init(&contest->barrier, NULL, THREADS);
	for (i = 0; i < THREADS; i++)
		vm_spawn(&threads[i], function, contest);
	for (i = 0; i < THREADS; i++)
		ck_assert_int_ge(vm_join(&threads[i]), all - (THREADS - 1));
	ck_assert_int_eq(contest->moved, all);
	pthread_barrier_destroy(&contest->barrier);
}

START_TEST(contention_is_never_eagain)
{
	int fd = vm_open(VM_MESSAGE_SMALL, O_RDWR | O_NONBLOCK);
	struct contest contest = { .fd = fd, .length = 8 };
	long all = vm_info(fd).ring_bytes / ACHAN_RECORD_SIZE(8);
	int round;

	for (round = 0; round < 30; round++) {
		contest_ends_at_the_last_record(&contest, all,
						put_until_eagain);
		contest_ends_at_the_last_record(&contest, all,
						take_until_eagain);
	}
}
END_TEST

/* Opening never waits, be the channel full or empty. */
START_TEST(open_never_waits)
{
	int fd = vm_open(VM_STREAM_SMALL, O_RDONLY);
	int i;

	for (i = 0; i < 2; i++) {
		close(vm_reopen(fd, O_WRONLY));
		close(vm_reopen(fd, O_RDONLY));
		close(vm_reopen(fd, O_RDWR | O_NONBLOCK));
		vm_fill(fd);
	}
}
END_TEST

/* More than processors: all but one of them wait for the same claim at times. */
#define CROWD		6
#define CROWD_ROUNDS	100
/* A copy that takes long enough for others to come to wait for its end. */
#define CROWD_BYTES	60000

static struct {
	unsigned int reads[CROWD];
	unsigned int taken;
	bool stop;
} crowd;

static long read_in_a_crowd(void *argument)
{
	unsigned int *reads = argument;
	int fd = open(vm_path(VM_MESSAGE), O_RDONLY | O_NONBLOCK);
	char *data = malloc(CROWD_BYTES);
	ssize_t ret = 0;

	while (!__atomic_load_n(&crowd.stop, __ATOMIC_RELAXED)) {
		ret = vm_errno(read(fd, data, CROWD_BYTES));
		if (ret != CROWD_BYTES && ret != -EAGAIN)
			break;
		if (ret > 0)
			__atomic_add_fetch(&crowd.taken, 1, __ATOMIC_RELEASE);
		__atomic_add_fetch(reads, 1, __ATOMIC_RELEASE);
	}
	free(data);
	close(fd);
	return ret;
}

/* Waits until *@counter is no longer @from. */
static bool counts(const unsigned int *counter, unsigned int from)
{
	int64_t until = vm_now_ms() + vm_timeout_ms(VM_HANG_MS);

	while (__atomic_load_n(counter, __ATOMIC_ACQUIRE) == from) {
		if (vm_now_ms() > until)
			return false;
		sched_yield();
	}
	return true;
}

/*
 * Row: with O_NONBLOCK -EAGAIN when it is empty. Of several readers that wait
 * for the end of another one's copy, one was woken, found that nothing was left,
 * and went; the others slept until the next record.
 */
START_TEST(reader_in_a_crowd_does_not_wait_for_the_next_record)
{
	int fd = vm_open(VM_MESSAGE, O_WRONLY);
	struct vm_thread threads[CROWD];
	char *data = calloc(1, CROWD_BYTES);
	bool stuck = false;
	int rounds = vm_repeat(CROWD_ROUNDS), i, round;

	for (i = 0; i < CROWD; i++)
		vm_spawn(&threads[i], read_in_a_crowd, &crowd.reads[i]);
	for (round = 0; round < rounds && !stuck; round++) {
		vm_write(fd, data, CROWD_BYTES);
		stuck = !counts(&crowd.taken, round);
		for (i = 0; i < CROWD && !stuck; i++) {
			unsigned int reads = crowd.reads[i];

			stuck = !counts(&crowd.reads[i], reads);
		}
	}
	__atomic_store_n(&crowd.stop, true, __ATOMIC_RELAXED);
	/* Lets go who is stuck, so that the case can end. */
	for (i = 0; i < CROWD && stuck; i++)
		(void)vm_errno(write(fd, data, 1));
	for (i = 0; i < CROWD; i++)
		vm_join(&threads[i]);
	ck_assert_msg(!stuck, "a reader slept after record %d", round);
	free(data);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nonblock");
	TCase *tcase = vm_tcase(suite, "nonblock");

	tcase_add_loop_test(tcase, read_of_empty_channel_is_eagain, VM_STREAM,
			    VM_MESSAGE_SMALL + 1);
	tcase_add_loop_test(tcase, write_to_full_channel_is_eagain, VM_STREAM,
			    VM_MESSAGE_SMALL + 1);
	tcase_add_test(tcase, small_stream_write_is_all_or_nothing);
	tcase_add_test(tcase, large_stream_write_takes_what_fits);
	tcase_add_test(tcase, large_stream_write_to_full_channel_is_eagain);
	tcase_add_test(tcase, small_message_fits_after_large_one_was_refused);
	tcase_add_test(tcase, stream_read_returns_what_there_is);
	tcase_add_test(tcase, nonblock_switched_on_by_fcntl_counts);
	tcase_add_test(tcase, nonblock_of_one_file_does_not_count_for_another);
	tcase_add_test(tcase, contention_is_never_eagain);
	tcase_add_test(tcase, open_never_waits);
	tcase_add_test(tcase,
		       reader_in_a_crowd_does_not_wait_for_the_next_record);

	tcase = vm_tcase(suite, "nowait");
	tcase_add_loop_test(tcase, nowait_read_of_empty_channel_is_eagain,
			    VM_STREAM, VM_MESSAGE + 1);
	tcase_add_loop_test(tcase, nowait_write_to_full_channel_is_eagain,
			    VM_STREAM, VM_MESSAGE + 1);
	tcase_add_test(tcase, nowait_large_stream_write_takes_what_fits);
	tcase_add_test(tcase, unknown_rwf_flag_is_eopnotsupp);
	tcase_add_test(tcase, known_rwf_flags_are_taken);
	return vm_main(suite);
}
