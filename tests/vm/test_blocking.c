// SPDX-License-Identifier: GPL-2.0-only
/* Blocking read() and write(): sleeping, waking, signals, death. */
#include "vm.h"

#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#define READERS		6
/* Of each kind of channel: 10,000 in all. */
#define ROUNDS		5000

/* Row: nothing to read, blocking: sleeps; a write wakes it. */
static void sleeping_read_gets_next_write(enum vm_channel channel)
{
	int fd = vm_open(channel, O_RDWR);
	unsigned char got[100] = { 0 }, data[100];
	struct vm_transfer transfer = { fd, got, sizeof(got) };
	struct vm_thread reader;

	vm_pattern(data, sizeof(data), 7);
	vm_spawn(&reader, vm_read_thread, &transfer);
	vm_wait_sleeping(reader.tid);
	vm_write(fd, data, sizeof(data));
	ck_assert_int_eq(vm_join(&reader), sizeof(data));
	vm_assert_pattern(got, sizeof(got), 7);
}

START_TEST(read_of_empty_stream_sleeps_until_write)
{
	sleeping_read_gets_next_write(VM_STREAM);
}
END_TEST

START_TEST(read_of_empty_message_channel_sleeps_until_write)
{
	sleeping_read_gets_next_write(VM_MESSAGE);
}
END_TEST

/* A blocking stream read waits for the first byte, not for a full buffer. */
START_TEST(stream_read_does_not_wait_for_a_full_buffer)
{
	int fd = vm_open(VM_STREAM, O_RDWR);
	char got[4096];
	struct vm_transfer transfer = { fd, got, sizeof(got) };
	struct vm_thread reader;

	vm_spawn(&reader, vm_read_thread, &transfer);
	vm_wait_sleeping(reader.tid);
	vm_write(fd, "abc", 3);
	ck_assert_int_eq(vm_join(&reader), 3);
	ck_assert_mem_eq(got, "abc", 3);
}
END_TEST

/* Row: no room, blocking: sleeps until a read makes room. */
START_TEST(write_to_full_message_channel_sleeps_until_read)
{
	int fd = vm_open(VM_MESSAGE_SMALL, O_RDWR);
	size_t records = vm_fill_records(fd, 1000);
	char data[1000], got[1000];
	struct vm_transfer transfer = { fd, data, sizeof(data) };
	struct vm_thread writer;
	size_t i;

	vm_pattern(data, sizeof(data), records * 1000);
	vm_spawn(&writer, vm_write_thread, &transfer);
	vm_wait_sleeping(writer.tid);
	vm_read(fd, got, sizeof(got));
	vm_assert_pattern(got, sizeof(got), 0);
	ck_assert_int_eq(vm_join(&writer), sizeof(data));
	for (i = 1; i <= records; i++) {
		vm_read(fd, got, sizeof(got));
		vm_assert_pattern(got, sizeof(got), i * 1000);
	}
	ck_assert_int_eq(vm_info(fd).bytes, 0);
}
END_TEST

/* A message goes in whole: it waits for all the room that it needs. */
START_TEST(large_message_waits_for_all_its_room)
{
	int fd = vm_open(VM_MESSAGE_SMALL, O_RDWR);
	size_t records = vm_fill_records(fd, 1000);
	static char data[6000], got[6000];
	struct vm_transfer transfer = { fd, data, sizeof(data) };
	size_t room = vm_info(fd).ring_bytes;
	struct vm_thread writer;
	size_t left = records;

	room -= records * ACHAN_RECORD_SIZE(1000);
	vm_pattern(data, sizeof(data), 1 << 20);
	vm_spawn(&writer, vm_write_thread, &transfer);
	vm_wait_sleeping(writer.tid);
	while (room + ACHAN_RECORD_SIZE(1000) <
	       ACHAN_RECORD_SIZE(sizeof(data))) {
		vm_read(fd, got, 1000);
		room += ACHAN_RECORD_SIZE(1000);
		left--;
		vm_wait_sleeping(writer.tid);
	}
	vm_read(fd, got, 1000);
	left--;
	ck_assert_int_eq(vm_join(&writer), sizeof(data));
	while (left--)
		vm_read(fd, got, 1000);
	vm_read(fd, got, sizeof(got));
	vm_assert_pattern(got, sizeof(got), 1 << 20);
}
END_TEST

/* Row: blocking stream write takes all, however much larger than the ring. */
START_TEST(blocking_stream_write_takes_all)
{
	int fd = vm_open(VM_STREAM_SMALL, O_RDWR);
	const size_t length = 100001;
	char *data = malloc(length), *got = malloc(length);
	struct vm_transfer transfer = { fd, data, length };
	struct vm_thread writer;
	size_t done = 0;

	vm_pattern(data, length, 0);
	vm_spawn(&writer, vm_write_thread, &transfer);
	while (done < length) {
		ssize_t n = vm_errno(read(fd, got + done, length - done));

		ck_assert_int_gt(n, 0);
		done += n;
	}
	ck_assert_int_eq(vm_join(&writer), length);
	vm_assert_pattern(got, length, 0);
	ck_assert_int_eq(vm_info(fd).bytes, 0);
}
END_TEST

/* Row: sleeps, interruptible: a signal ends it, nothing was moved. */
START_TEST(signal_without_restart_ends_read_with_eintr)
{
	static const enum vm_channel channels[] = { VM_STREAM, VM_MESSAGE };
	int fd = vm_open(channels[_i], O_RDWR);
	char got[16];
	struct vm_transfer transfer = { fd, got, sizeof(got) };
	struct vm_thread reader;

	vm_count_signal(SIGUSR1, 0);
	vm_spawn(&reader, vm_read_thread, &transfer);
	vm_wait_sleeping(reader.tid);
	vm_kill_thread(reader.tid, SIGUSR1);
	ck_assert_int_eq(vm_join(&reader), -EINTR);
	ck_assert_int_eq(vm_signals, 1);

	/* What comes after goes to the next reader. */
	vm_write(fd, "after", 5);
	vm_read(fd, got, 5);
	ck_assert_mem_eq(got, "after", 5);
}
END_TEST

/* Row: -ERESTARTSYS: with SA_RESTART the read goes on after the handler. */
START_TEST(signal_with_restart_lets_read_go_on)
{
	static const enum vm_channel channels[] = { VM_STREAM, VM_MESSAGE };
	int fd = vm_open(channels[_i], O_RDWR);
	char got[16];
	struct vm_transfer transfer = { fd, got, sizeof(got) };
	struct vm_thread reader;
	int i;

	vm_count_signal(SIGUSR1, SA_RESTART);
	vm_spawn(&reader, vm_read_thread, &transfer);
	for (i = 1; i <= 3; i++) {
		vm_wait_sleeping(reader.tid);
		vm_kill_thread(reader.tid, SIGUSR1);
		while (vm_signals < i)
			sched_yield();
	}
	vm_wait_sleeping(reader.tid);
	vm_write(fd, "after", 5);
	ck_assert_int_eq(vm_join(&reader), 5);
	ck_assert_mem_eq(got, "after", 5);
}
END_TEST

START_TEST(signal_without_restart_ends_write_with_eintr)
{
	static const enum vm_channel channels[] = {
		VM_STREAM_SMALL, VM_MESSAGE_SMALL
	};
	int fd = vm_open(channels[_i], O_RDWR);
	size_t bytes = vm_fill(fd);
	char data[16] = "not to be seen";
	struct vm_transfer transfer = { fd, data, sizeof(data) };
	struct vm_thread writer;
	uint64_t sequence = vm_info(fd).sequence;

	vm_count_signal(SIGUSR1, 0);
	vm_spawn(&writer, vm_write_thread, &transfer);
	vm_wait_sleeping(writer.tid);
	vm_kill_thread(writer.tid, SIGUSR1);
	ck_assert_int_eq(vm_join(&writer), -EINTR);
	ck_assert_int_eq(vm_info(fd).bytes, bytes);
	ck_assert_int_eq(vm_info(fd).sequence, sequence);
}
END_TEST

START_TEST(signal_with_restart_lets_write_go_on)
{
	static const enum vm_channel channels[] = {
		VM_STREAM_SMALL, VM_MESSAGE_SMALL
	};
	int fd = vm_open(channels[_i], O_RDWR);
	char data[16] = "goes in at last";
	struct vm_transfer transfer = { fd, data, sizeof(data) };
	struct vm_thread writer;

	vm_fill(fd);
	vm_count_signal(SIGUSR1, SA_RESTART);
	vm_spawn(&writer, vm_write_thread, &transfer);
	vm_wait_sleeping(writer.tid);
	vm_kill_thread(writer.tid, SIGUSR1);
	while (!vm_signals)
		sched_yield();
	vm_wait_sleeping(writer.tid);
	vm_drain(fd);
	ck_assert_int_eq(vm_join(&writer), sizeof(data));
}
END_TEST

/*
 * Row: a partial count is returned, never lost. Even with SA_RESTART: bytes
 * that went in must not go in again.
 */
START_TEST(interrupted_stream_write_returns_partial_count)
{
	int fd = vm_open(VM_STREAM_SMALL, O_RDWR);
	static char data[30000], got[30000];
	struct vm_transfer transfer = { fd, data, sizeof(data) };
	struct vm_thread writer;
	long put;

	vm_pattern(data, sizeof(data), 0);
	vm_count_signal(SIGUSR1, _i ? SA_RESTART : 0);
	vm_spawn(&writer, vm_write_thread, &transfer);
	vm_wait_sleeping(writer.tid);
	vm_kill_thread(writer.tid, SIGUSR1);
	put = vm_join(&writer);
	ck_assert_int_gt(put, 0);
	ck_assert_int_lt(put, sizeof(data));
	ck_assert_int_eq(vm_info(fd).bytes, put);
	vm_read(fd, got, put);
	vm_assert_pattern(got, put, 0);
	ck_assert_int_eq(vm_info(fd).bytes, 0);
}
END_TEST

struct stormy {
	int fd;
	size_t length;
	int interrupted;
};

/* Writes the pattern, whatever the signals make of the calls. */
static long write_in_storm(void *argument)
{
	struct stormy *stormy = argument;
	static char data[20000];
	size_t done = 0;

	while (done < stormy->length) {
		size_t length = sizeof(data);
		ssize_t n;

		if (length > stormy->length - done)
			length = stormy->length - done;
		vm_pattern(data, length, done);
		n = vm_errno(write(stormy->fd, data, length));
		if (n < 0 && n != -EINTR)
			return n;
		if (n != (ssize_t)length)
			stormy->interrupted++;
		done += n > 0 ? n : 0;
	}
	return 0;
}

/* Row: a partial count is returned, never lost: under a storm of signals. */
START_TEST(no_byte_is_lost_in_a_storm_of_signals)
{
	int fd = vm_open(VM_STREAM_SMALL, O_RDWR);
	struct stormy stormy = { .fd = fd, .length = 1 << 20 };
	struct vm_thread writer;
	static char got[3000];
	size_t done = 0;

	vm_count_signal(SIGUSR1, 0);
	vm_spawn(&writer, write_in_storm, &stormy);
	while (done < stormy.length) {
		ssize_t n = vm_errno(read(fd, got, sizeof(got)));

		ck_assert_int_gt(n, 0);
		vm_assert_pattern(got, n, done);
		done += n;
		pthread_kill(writer.thread, SIGUSR1);
	}
	ck_assert_int_eq(vm_join(&writer), 0);
	ck_assert_int_gt(stormy.interrupted, 0);
	ck_assert_uint_eq(vm_info(fd).bytes, 0);
}
END_TEST

/* A job-control stop is no signal to the program: the read just goes on. */
static int read_once(void *argument)
{
	int fd = *(int *)argument;
	char got[8];

	return read(fd, got, sizeof(got)) == 5 ? 0 : 1;
}

START_TEST(stop_and_continue_do_not_end_a_read)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR);
	pid_t pid = vm_fork(read_once, &fd);
	int status;

	vm_wait_sleeping(pid);
	kill(pid, SIGSTOP);
	ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
	ck_assert(WIFSTOPPED(status));
	kill(pid, SIGCONT);
	vm_wait_sleeping(pid);
	vm_write(fd, "12345", 5);
	vm_wait_success(pid);
}
END_TEST

/* Row: read and write of no bytes: 0, at once, and nothing moves. */
START_TEST(read_of_zero_bytes_returns_zero_and_takes_nothing)
{
	int fd = vm_open(_i, O_RDWR);
	char got[8];

	ck_assert_int_eq(vm_errno(read(fd, got, 0)), 0);
	vm_write(fd, "abc", 3);
	ck_assert_int_eq(vm_errno(read(fd, got, 0)), 0);
	ck_assert_int_eq(vm_info(fd).bytes, 3);
	vm_read(fd, got, 3);
}
END_TEST

START_TEST(write_of_zero_bytes_returns_zero_and_puts_nothing_in)
{
	int fd = vm_open(_i, O_RDWR | O_NONBLOCK);
	uint64_t sequence = vm_info(fd).sequence;
	char got[8];

	ck_assert_int_eq(vm_errno(write(fd, "abc", 0)), 0);
	ck_assert_int_eq(vm_info(fd).sequence, sequence);
	ck_assert_int_eq(vm_errno(read(fd, got, sizeof(got))), -EAGAIN);
	/* Not even a full channel makes it wait. */
	vm_fill(fd);
	ck_assert_int_eq(vm_errno(write(fd, "abc", 0)), 0);
}
END_TEST

static int read_forever(void *argument)
{
	int fd = *(int *)argument;
	char got[8];

	return read(fd, got, sizeof(got)) < 0;
}

/* A reader killed in its sleep takes nothing with it. */
START_TEST(killed_reader_takes_no_record)
{
	int fd = vm_open(_i, O_RDWR | O_NONBLOCK);
	int blocking = vm_reopen(fd, O_RDWR);
	pid_t pid = vm_fork(read_forever, &blocking);
	char got[8];
	int status;

	vm_wait_sleeping(pid);
	kill(pid, SIGKILL);
	status = vm_wait(pid);
	ck_assert(WIFSIGNALED(status));
	vm_write(fd, "stays", 5);
	vm_read(fd, got, 5);
	ck_assert_mem_eq(got, "stays", 5);
}
END_TEST

static int write_forever(void *argument)
{
	int fd = *(int *)argument;
	static char data[40000];

	vm_pattern(data, sizeof(data), 0);
	return write(fd, data, sizeof(data)) < 0;
}

/* A writer killed in mid-stream leaves whole what it put in. */
START_TEST(killed_writer_leaves_a_whole_prefix)
{
	int fd = vm_open(VM_STREAM_SMALL, O_RDWR);
	pid_t pid = vm_fork(write_forever, &fd);
	static char got[40000];
	size_t bytes;

	vm_wait_sleeping(pid);
	kill(pid, SIGKILL);
	ck_assert(WIFSIGNALED(vm_wait(pid)));
	bytes = vm_info(fd).bytes;
	ck_assert_int_gt(bytes, 0);
	vm_read(fd, got, bytes);
	vm_assert_pattern(got, bytes, 0);
	vm_write(fd, "next", 4);
	vm_read(fd, got, 4);
}
END_TEST

/* Closing one open file leaves a reader that sleeps on another alone. */
START_TEST(close_of_another_file_leaves_sleeping_reader_alone)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR);
	int other = vm_reopen(fd, O_RDWR);
	char got[8];
	struct vm_transfer transfer = { fd, got, sizeof(got) };
	struct vm_thread reader;

	vm_spawn(&reader, vm_read_thread, &transfer);
	vm_wait_sleeping(reader.tid);
	close(other);
	vm_wait_sleeping(reader.tid);
	vm_write(fd, "12345", 5);
	ck_assert_int_eq(vm_join(&reader), 5);
}
END_TEST

/* Even of its own descriptor: the read holds the open file. */
START_TEST(close_of_own_descriptor_leaves_sleeping_reader_alone)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR);
	int other = vm_reopen(fd, O_RDWR);
	char got[8];
	struct vm_transfer transfer = { fd, got, sizeof(got) };
	struct vm_thread reader;

	vm_spawn(&reader, vm_read_thread, &transfer);
	vm_wait_sleeping(reader.tid);
	close(fd);
	vm_wait_sleeping(reader.tid);
	vm_write(other, "12345", 5);
	ck_assert_int_eq(vm_join(&reader), 5);
}
END_TEST

/* read() is a cancellation point, and a cancelled one takes nothing. */
START_TEST(pthread_cancel_ends_a_sleeping_reader)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR);
	char got[8];
	struct vm_transfer transfer = { fd, got, sizeof(got) };
	struct vm_thread reader;

	vm_spawn(&reader, vm_read_thread, &transfer);
	vm_wait_sleeping(reader.tid);
	ck_assert_int_eq(pthread_cancel(reader.thread), 0);
	vm_join(&reader);
	vm_write(fd, "stays", 5);
	vm_read(fd, got, 5);
}
END_TEST

/* What is in a loop channel outlives the last open file. */
START_TEST(records_stay_when_nobody_has_the_channel_open)
{
	int fd = vm_open(_i, O_WRONLY);
	char got[8];

	vm_write(fd, "here", 4);
	close(fd);
	fd = open(vm_path(_i), O_RDONLY);
	ck_assert_int_ge(fd, 0);
	vm_read(fd, got, 4);
	ck_assert_mem_eq(got, "here", 4);
}
END_TEST

static long voluntary_switches(pid_t tid)
{
	char path[64], line[128];
	long switches = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", (int)tid);
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "voluntary_ctxt_switches: %ld", &switches) == 1)
			break;
	fclose(file);
	ck_assert_int_ge(switches, 0);
	return switches;
}

/* One record wakes one reader: the others do not even look. */
START_TEST(one_record_wakes_one_reader)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR);
	char got[READERS][8];
	struct vm_transfer transfers[READERS];
	struct vm_thread readers[READERS];
	long switches[READERS];
	int round, i;

	for (i = 0; i < READERS; i++) {
		transfers[i] = (struct vm_transfer){ fd, got[i], 8 };
		vm_spawn(&readers[i], vm_read_thread, &transfers[i]);
		vm_wait_sleeping(readers[i].tid);
	}
	for (i = 0; i < READERS; i++)
		switches[i] = voluntary_switches(readers[i].tid);
	/* Who sleeps first is served first, so it is known who is woken. */
	for (round = 0; round < READERS; round++) {
		vm_write(fd, "1234567", 7);
		ck_assert_int_eq(vm_join(&readers[round]), 7);
		for (i = round + 1; i < READERS; i++)
			ck_assert_int_eq(voluntary_switches(readers[i].tid),
					 switches[i]);
	}
}
END_TEST

/* A burst of records wakes as many readers as there are records. */
START_TEST(each_sleeping_reader_gets_one_of_many_records)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR);
	uint32_t got[READERS], seen = 0, record;
	struct vm_transfer transfers[READERS];
	struct vm_thread readers[READERS];
	int i;

	for (i = 0; i < READERS; i++) {
		transfers[i] = (struct vm_transfer){ fd, &got[i], 4 };
		vm_spawn(&readers[i], vm_read_thread, &transfers[i]);
	}
	for (i = 0; i < READERS; i++)
		vm_wait_sleeping(readers[i].tid);
	for (record = 0; record < READERS; record++)
		vm_write(fd, &record, sizeof(record));
	for (i = 0; i < READERS; i++) {
		ck_assert_int_eq(vm_join(&readers[i]), 4);
		ck_assert_int_lt(got[i], READERS);
		seen |= 1u << got[i];
	}
	ck_assert_int_eq(seen, (1 << READERS) - 1);
}
END_TEST

/* A reader that leaves bytes behind wakes the next: one write, all of them. */
START_TEST(bytes_left_by_a_woken_reader_wake_the_next)
{
	int fd = vm_open(VM_STREAM, O_RDWR);
	char data[4 * READERS], got[READERS][4];
	struct vm_transfer transfers[READERS];
	struct vm_thread readers[READERS];
	int i;

	for (i = 0; i < READERS; i++) {
		transfers[i] = (struct vm_transfer){ fd, got[i], 4 };
		vm_spawn(&readers[i], vm_read_thread, &transfers[i]);
		vm_wait_sleeping(readers[i].tid);
	}
	vm_pattern(data, sizeof(data), 0);
	vm_write(fd, data, sizeof(data));
	for (i = 0; i < READERS; i++)
		ck_assert_int_eq(vm_join(&readers[i]), 4);
	ck_assert_uint_eq(vm_info(fd).bytes, 0);
}
END_TEST

/* So does one whose buffer is too small for the message. */
START_TEST(message_left_by_a_woken_reader_wakes_the_next)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR);
	char small[4], got[100];
	struct vm_transfer too_small = { fd, small, sizeof(small) };
	struct vm_transfer enough = { fd, got, sizeof(got) };
	struct vm_thread first, second;

	vm_spawn(&first, vm_read_thread, &too_small);
	vm_wait_sleeping(first.tid);
	vm_spawn(&second, vm_read_thread, &enough);
	vm_wait_sleeping(second.tid);
	vm_write(fd, "a record", 8);
	ck_assert_int_eq(vm_join(&second), 8);
	ck_assert_mem_eq(got, "a record", 8);
	/* It came first or last, but never got a part. */
	vm_write(fd, "a record", 8);
	ck_assert_int_eq(vm_join(&first), -EMSGSIZE);
}
END_TEST

/* Room for one of two sleeping writers is enough for that one. */
START_TEST(room_for_the_smaller_write_wakes_its_writer)
{
	int fd = vm_open(VM_MESSAGE_SMALL, O_RDWR);
	static char data[6000], got[1000];
	struct vm_transfer transfers[2] = {
		{ fd, data, _i ? 6000 : 8 }, { fd, data, _i ? 8 : 6000 }
	};
	struct vm_thread writers[2];
	int i;

	vm_fill_records(fd, 1000);
	vm_fill_records(fd, 1);
	for (i = 0; i < 2; i++) {
		vm_spawn(&writers[i], vm_write_thread, &transfers[i]);
		vm_wait_sleeping(writers[i].tid);
	}
	vm_read(fd, got, sizeof(got));
	ck_assert_int_eq(vm_join(&writers[_i]), 8);
	vm_wait_sleeping(writers[!_i].tid);
	vm_drain(fd);
	ck_assert_int_eq(vm_join(&writers[!_i]), 6000);
}
END_TEST

/* One read of a stream that makes much room lets every writer go on. */
START_TEST(one_large_read_wakes_every_sleeping_writer)
{
	int fd = vm_open(VM_STREAM_SMALL, O_RDWR);
	static char got[8192];
	struct vm_transfer transfer = { fd, "12345678", 8 };
	struct vm_thread writers[READERS];
	size_t bytes = vm_fill(fd);
	int i;

	for (i = 0; i < READERS; i++)
		vm_spawn(&writers[i], vm_write_thread, &transfer);
	for (i = 0; i < READERS; i++)
		vm_wait_sleeping(writers[i].tid);
	ck_assert_int_eq(vm_errno(read(fd, got, sizeof(got))), bytes);
	for (i = 0; i < READERS; i++)
		ck_assert_int_eq(vm_join(&writers[i]), 8);
	ck_assert_int_eq(vm_info(fd).bytes, 8 * READERS);
}
END_TEST

/*
 * A reader that is woken for a record and for a signal at once leaves the
 * record to another: no wake-up is lost with it.
 */
START_TEST(wake_up_of_an_interrupted_reader_goes_to_the_next)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR);
	char got[2][8];
	struct vm_transfer transfers[2] = {
		{ fd, got[0], 8 }, { fd, got[1], 8 }
	};
	struct vm_thread readers[2];
	int rounds = vm_repeat(200), round, i, taken;

	vm_count_signal(SIGUSR1, 0);
	for (round = 0; round < rounds; round++) {
		for (i = 0; i < 2; i++) {
			vm_spawn(&readers[i], vm_read_thread, &transfers[i]);
			vm_wait_sleeping(readers[i].tid);
		}
		if (round & 1)
			vm_write(fd, "1", 1);
		/* Not an error if the record was quicker and it has ended. */
		pthread_kill(readers[0].thread, SIGUSR1);
		if (!(round & 1))
			vm_write(fd, "1", 1);
		taken = vm_join(&readers[0]) == 1;
		/* Interrupted: then the other one has to have the record. */
		if (taken)
			vm_write(fd, "2", 1);
		ck_assert_int_eq(vm_join(&readers[1]), 1);
		ck_assert_int_eq(vm_info(fd).bytes, 0);
	}
}
END_TEST

struct ping_pong {
	int in;
	int out;
};

static int answer(void *argument)
{
	struct ping_pong *channels = argument;
	uint32_t rounds = vm_repeat(ROUNDS), round, got;

	for (round = 0; round < rounds; round++) {
		if (read(channels->in, &got, sizeof(got)) != sizeof(got) ||
		    got != round)
			return 1;
		if (write(channels->out, &got, sizeof(got)) != sizeof(got))
			return 2;
	}
	return 0;
}

/* No wake-up is lost: one that is would leave both asleep. */
START_TEST(ping_pong_of_two_processes_never_stops)
{
	int there = vm_open(_i ? VM_MESSAGE : VM_STREAM, O_RDWR);
	int back = vm_open(_i ? VM_MESSAGE_SMALL : VM_STREAM_SMALL, O_RDWR);
	struct ping_pong channels = { there, back };
	pid_t pid = vm_fork(answer, &channels);
	uint32_t rounds = vm_repeat(ROUNDS), round, got;

	for (round = 0; round < rounds; round++) {
		vm_write(there, &round, sizeof(round));
		vm_read(back, &got, sizeof(got));
		ck_assert_int_eq(got, round);
	}
	vm_wait_success(pid);
}
END_TEST

/*
 * Writers of records of different sizes, and one reader that keeps up with none of
 * them: each writer has to get its share, however large its records are.
 */
#define CROWD		9
#define SHARE		20

struct crowd {
	enum vm_channel channel;
	bool polls;
	bool stop;
	size_t lengths[CROWD];
	unsigned int written[CROWD];
};

struct one_of_crowd {
	struct crowd *crowd;
	unsigned int number;
	int fd;
};

static long write_in_crowd(void *argument)
{
	struct one_of_crowd *one = argument;
	struct crowd *crowd = one->crowd;
	static char data[60000];

	while (!__atomic_load_n(&crowd->stop, __ATOMIC_RELAXED)) {
		ssize_t ret = vm_errno(write(one->fd, data,
					     crowd->lengths[one->number]));

		if (ret == -EAGAIN) {
			vm_poll_wait(one->fd, POLLOUT);
			continue;
		}
		if (ret != (ssize_t)crowd->lengths[one->number])
			return ret;
		__atomic_add_fetch(&crowd->written[one->number], 1,
				   __ATOMIC_RELAXED);
	}
	return 0;
}

static bool all_have_their_share(const struct crowd *crowd)
{
	for (int i = 0; i < CROWD; i++)
		if (__atomic_load_n(&crowd->written[i], __ATOMIC_RELAXED) <
		    SHARE)
			return false;
	return true;
}

static void read_for_crowd(struct crowd *crowd, int fd)
{
	int64_t limit = vm_now_ms() + vm_timeout_ms(2 * VM_HANG_MS);
	static char got[65536];

	while (!all_have_their_share(crowd)) {
		ck_assert_int_gt(vm_errno(read(fd, got, sizeof(got))), 0);
		if (vm_now_ms() > limit)
			break;
	}
	__atomic_store_n(&crowd->stop, true, __ATOMIC_RELAXED);
	for (int i = 0; i < CROWD; i++)
		ck_assert_msg(crowd->written[i] >= SHARE,
			      "writer %d of %zu bytes got %u records in", i,
			      crowd->lengths[i], crowd->written[i]);
}

static void run_crowd(struct crowd *crowd)
{
	struct one_of_crowd ones[CROWD];
	struct vm_thread threads[CROWD];
	int fd = vm_open(crowd->channel, O_RDWR);

	for (unsigned int i = 0; i < CROWD; i++) {
		ones[i] = (struct one_of_crowd){ crowd, i, vm_reopen(fd,
			O_WRONLY | (crowd->polls && i == CROWD - 2 ?
				    O_NONBLOCK : 0)) };
		vm_spawn(&threads[i], write_in_crowd, &ones[i]);
	}
	read_for_crowd(crowd, fd);
	/* Who still waits for room gets it. */
	vm_set_nonblock(fd, true);
	for (int i = 0; i < CROWD; i++) {
		while (pthread_tryjoin_np(threads[i].thread, NULL) == EBUSY)
			vm_drain(fd);
		ck_assert_int_eq(threads[i].result, 0);
	}
}

/* Loop: whether the last but one writer polls instead of sleeping. */
START_TEST(large_message_gets_its_turn_among_small_ones)
{
	struct crowd crowd = { .channel = VM_MESSAGE, .polls = _i };

	for (int i = 0; i < CROWD; i++)
		crowd.lengths[i] = i == CROWD - 1 ? 60000 : 100;
	run_crowd(&crowd);
}
END_TEST

START_TEST(atomic_write_gets_its_turn_among_single_bytes)
{
	struct crowd crowd = { .channel = VM_STREAM_SMALL, .polls = _i };

	for (int i = 0; i < CROWD; i++)
		crowd.lengths[i] = i == CROWD - 1 ? VM_ATOMIC : 1;
	run_crowd(&crowd);
}
END_TEST

/* A message of a writer that sleeps is in whole, or not at all. */
START_TEST(killed_writer_among_others_puts_in_all_or_nothing)
{
	int fd = vm_open(VM_MESSAGE_SMALL, O_RDWR | O_NONBLOCK);
	static char data[6000], got[6000];
	struct vm_transfer transfer = { vm_reopen(fd, O_WRONLY), data, 6000 };
	int rounds = vm_repeat(100);

	vm_count_signal(SIGUSR1, 0);
	for (int round = 0; round < rounds; round++) {
		struct vm_thread writer;
		long ret;

		vm_fill_records(fd, 1000);
		vm_spawn(&writer, vm_write_thread, &transfer);
		vm_wait_sleeping(writer.tid);
		ck_assert_uint_eq(vm_info(fd).parked_writes, 1);
		if (round & 1)
			vm_kill_thread(writer.tid, SIGUSR1);
		while (vm_errno(read(fd, got, 1000)) == 1000)
			;
		if (!(round & 1))
			pthread_kill(writer.thread, SIGUSR1);
		ret = vm_join(&writer);
		ck_assert(ret == 6000 || ret == -EINTR);
		ck_assert_int_eq(vm_info(fd).bytes, ret == 6000 ? 6000 : 0);
		ck_assert_uint_eq(vm_info(fd).parked_writes, 0);
		if (ret == 6000)
			vm_read(fd, got, 6000);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("blocking");
	TCase *tcase = vm_tcase(suite, "sleep");

	tcase_add_test(tcase, read_of_empty_stream_sleeps_until_write);
	tcase_add_test(tcase, read_of_empty_message_channel_sleeps_until_write);
	tcase_add_test(tcase, stream_read_does_not_wait_for_a_full_buffer);
	tcase_add_test(tcase, write_to_full_message_channel_sleeps_until_read);
	tcase_add_test(tcase, large_message_waits_for_all_its_room);
	tcase_add_test(tcase, blocking_stream_write_takes_all);
	tcase_add_loop_test(tcase,
			    read_of_zero_bytes_returns_zero_and_takes_nothing,
			    VM_STREAM, VM_MESSAGE + 1);
	tcase_add_loop_test(tcase,
			    write_of_zero_bytes_returns_zero_and_puts_nothing_in,
			    VM_STREAM, VM_MESSAGE + 1);
	tcase_add_loop_test(tcase,
			    records_stay_when_nobody_has_the_channel_open,
			    VM_STREAM, VM_MESSAGE + 1);

	tcase = vm_tcase(suite, "signal");
	tcase_add_loop_test(tcase, signal_without_restart_ends_read_with_eintr,
			    0, 2);
	tcase_add_loop_test(tcase, signal_with_restart_lets_read_go_on, 0, 2);
	tcase_add_loop_test(tcase, signal_without_restart_ends_write_with_eintr,
			    0, 2);
	tcase_add_loop_test(tcase, signal_with_restart_lets_write_go_on, 0, 2);
	tcase_add_loop_test(tcase,
			    interrupted_stream_write_returns_partial_count,
			    0, 2);
	tcase_add_test(tcase, no_byte_is_lost_in_a_storm_of_signals);
	tcase_add_test(tcase, stop_and_continue_do_not_end_a_read);
	tcase_add_loop_test(tcase, killed_reader_takes_no_record,
			    VM_STREAM, VM_MESSAGE + 1);
	tcase_add_test(tcase, killed_writer_leaves_a_whole_prefix);
	tcase_add_test(tcase, pthread_cancel_ends_a_sleeping_reader);

	tcase = vm_tcase(suite, "wake");
	tcase_add_test(tcase,
		       close_of_another_file_leaves_sleeping_reader_alone);
	tcase_add_test(tcase,
		       close_of_own_descriptor_leaves_sleeping_reader_alone);
	tcase_add_test(tcase, one_record_wakes_one_reader);
	tcase_add_test(tcase, each_sleeping_reader_gets_one_of_many_records);
	tcase_add_test(tcase, bytes_left_by_a_woken_reader_wake_the_next);
	tcase_add_test(tcase, message_left_by_a_woken_reader_wakes_the_next);
	tcase_add_loop_test(tcase, room_for_the_smaller_write_wakes_its_writer,
			    0, 2);
	tcase_add_test(tcase, one_large_read_wakes_every_sleeping_writer);
	tcase_add_test(tcase,
		       wake_up_of_an_interrupted_reader_goes_to_the_next);
	tcase_add_loop_test(tcase, ping_pong_of_two_processes_never_stops,
			    0, 2);

	tcase = vm_tcase(suite, "turn");
	tcase_add_loop_test(tcase, large_message_gets_its_turn_among_small_ones,
			    0, 2);
	tcase_add_loop_test(tcase, atomic_write_gets_its_turn_among_single_bytes,
			    0, 2);
	tcase_add_test(tcase,
		       killed_writer_among_others_puts_in_all_or_nothing);
	return vm_main(suite);
}
