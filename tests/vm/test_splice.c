// SPDX-License-Identifier: GPL-2.0-only
/* splice(), sendfile() and their kin: no record is cut, none is lost. */
#include "vm.h"

#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define LARGE	65536

/* A pipe that never waits; @size 0 for the usual one of 16 pages. */
static void make_pipe(int fds[2], int size)
{
	ck_assert_int_eq(pipe2(fds, O_NONBLOCK), 0);
	if (size)
		ck_assert_int_eq(fcntl(fds[1], F_SETPIPE_SZ, size), size);
}

/* O_NONBLOCK of the pipe would count for the channel, too. */
static void make_blocking_pipe(int fds[2])
{
	ck_assert_int_eq(pipe(fds), 0);
}

static ssize_t move(int from, int to, size_t length, unsigned int flags)
{
	return vm_errno(splice(from, NULL, to, NULL, length, flags));
}

static void write_pattern(int fd, size_t length, uint64_t offset)
{
	char *data = malloc(length);

	vm_pattern(data, length, offset);
	vm_write(fd, data, length);
	free(data);
}

static void read_pattern(int fd, size_t length, uint64_t offset)
{
	char *data = malloc(length);

	vm_read(fd, data, length);
	vm_assert_pattern(data, length, offset);
	free(data);
}

/* Row: splice works: out of a stream, across its records. */
START_TEST(splice_moves_a_stream_to_a_pipe)
{
	int fd = vm_open(VM_STREAM, O_RDWR | O_NONBLOCK);
	int fds[2], i;

	make_pipe(fds, 0);
	for (i = 0; i < 10; i++)
		write_pattern(fd, 1000, i * 1000);
	ck_assert_int_eq(move(fd, fds[1], 2500, 0), 2500);
	ck_assert_int_eq(vm_info(fd).bytes, 7500);
	ck_assert_int_eq(move(fd, fds[1], LARGE, 0), 7500);
	read_pattern(fds[0], 10000, 0);
	ck_assert_int_eq(vm_info(fd).bytes, 0);
}
END_TEST

START_TEST(splice_moves_a_pipe_to_a_stream)
{
	int fd = vm_open(VM_STREAM, O_RDWR | O_NONBLOCK);
	int fds[2], i;

	make_pipe(fds, 0);
	for (i = 0; i < 10; i++)
		write_pattern(fds[1], 1000, i * 1000);
	ck_assert_int_eq(move(fds[0], fd, 2500, 0), 2500);
	read_pattern(fd, 2500, 0);
	ck_assert_int_eq(move(fds[0], fd, LARGE, 0), 7500);
	read_pattern(fd, 7500, 2500);
}
END_TEST

/* One splice of messages is one record, as one read is. */
START_TEST(splice_takes_one_message)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR | O_NONBLOCK);
	int fds[2];

	make_pipe(fds, 0);
	write_pattern(fd, 5000, 0);
	write_pattern(fd, 300, 5000);
	ck_assert_int_eq(move(fd, fds[1], LARGE, 0), 5000);
	ck_assert_int_eq(vm_info(fd).bytes, 300);
	ck_assert_int_eq(move(fd, fds[1], LARGE, 0), 300);
	read_pattern(fds[0], 5300, 0);
	ck_assert_int_eq(move(fd, fds[1], LARGE, 0), -EAGAIN);
}
END_TEST

/* What the pipe holds when it is asked becomes one message. */
START_TEST(splice_of_a_pipe_makes_one_message)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR | O_NONBLOCK);
	uint64_t sequence = vm_info(fd).sequence;
	int fds[2];

	make_pipe(fds, 0);
	write_pattern(fds[1], 9000, 0);
	ck_assert_int_eq(move(fds[0], fd, LARGE, 0), 9000);
	ck_assert_uint_eq(vm_info(fd).sequence, sequence + 1);
	read_pattern(fd, 9000, 0);
}
END_TEST

/* Row: a record is never cut: larger than asked for: it stays. */
START_TEST(message_larger_than_the_splice_is_emsgsize_and_stays)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR | O_NONBLOCK);
	char byte;
	int fds[2];

	make_pipe(fds, 0);
	write_pattern(fd, 5000, 0);
	ck_assert_int_eq(move(fd, fds[1], 4999, 0), -EMSGSIZE);
	ck_assert_int_eq(move(fd, fds[1], 1, 0), -EMSGSIZE);
	/* Nor is anything of it in the pipe. */
	ck_assert_int_eq(vm_errno(read(fds[0], &byte, 1)), -EAGAIN);
	ck_assert_int_eq(vm_info(fd).bytes, 5000);
	ck_assert_int_eq(move(fd, fds[1], 5000, 0), 5000);
	read_pattern(fds[0], 5000, 0);
}
END_TEST

/* Row: larger than the pipe: it stays too. */
START_TEST(message_larger_than_the_pipe_is_emsgsize_and_stays)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR | O_NONBLOCK);
	int fds[2];
	char byte;

	make_pipe(fds, 4096);
	write_pattern(fd, 6000, 0);
	ck_assert_int_eq(move(fd, fds[1], LARGE, 0), -EMSGSIZE);
	ck_assert_int_eq(vm_errno(read(fds[0], &byte, 1)), -EAGAIN);
	ck_assert_int_eq(vm_info(fd).bytes, 6000);
	ck_assert_int_eq(fcntl(fds[1], F_SETPIPE_SZ, 8192), 8192);
	ck_assert_int_eq(move(fd, fds[1], LARGE, 0), 6000);
	read_pattern(fds[0], 6000, 0);
}
END_TEST

/* Room in the pipe is counted, not its size. */
START_TEST(message_larger_than_the_room_in_the_pipe_stays)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR | O_NONBLOCK);
	int fds[2];

	make_pipe(fds, 8192);
	write_pattern(fds[1], 4096, 0);
	write_pattern(fd, 6000, 4096);
	ck_assert_int_eq(move(fd, fds[1], LARGE, 0), -EMSGSIZE);
	ck_assert_int_eq(vm_info(fd).bytes, 6000);
	read_pattern(fds[0], 4096, 0);
	ck_assert_int_eq(move(fd, fds[1], LARGE, 0), 6000);
	read_pattern(fds[0], 6000, 4096);
}
END_TEST

START_TEST(full_pipe_is_eagain_and_takes_nothing)
{
	int fd = vm_open(_i, O_RDWR | O_NONBLOCK);
	int fds[2];

	make_pipe(fds, 4096);
	write_pattern(fds[1], 4096, 0);
	write_pattern(fd, 100, 4096);
	ck_assert_int_eq(move(fd, fds[1], LARGE, SPLICE_F_NONBLOCK), -EAGAIN);
	ck_assert_int_eq(vm_info(fd).bytes, 100);
	read_pattern(fds[0], 4096, 0);
	ck_assert_int_eq(move(fd, fds[1], LARGE, SPLICE_F_NONBLOCK), 100);
	read_pattern(fds[0], 100, 4096);
}
END_TEST

/* Of a stream goes in what the pipe has room for; the rest stays. */
START_TEST(stream_larger_than_the_pipe_comes_in_parts)
{
	int fd = vm_open(VM_STREAM, O_RDWR | O_NONBLOCK);
	size_t done = 0;
	int fds[2];

	make_pipe(fds, 4096);
	write_pattern(fd, 30000, 0);
	while (done < 30000) {
		ssize_t n = move(fd, fds[1], LARGE, 0);

		ck_assert_int_gt(n, 0);
		ck_assert_int_le(n, 4096);
		read_pattern(fds[0], n, done);
		done += n;
		ck_assert_int_eq(vm_info(fd).bytes, 30000 - done);
	}
}
END_TEST

/* A message that the ring can never hold: the pipe keeps it. */
START_TEST(pipe_with_more_than_record_max_is_emsgsize_and_keeps_it)
{
	int fd = vm_open(VM_MESSAGE_SMALL, O_RDWR | O_NONBLOCK);
	int fds[2];

	make_pipe(fds, 0);
	write_pattern(fds[1], 12000, 0);
	ck_assert_int_eq(move(fds[0], fd, LARGE, 0), -EMSGSIZE);
	ck_assert_int_eq(vm_info(fd).bytes, 0);
	ck_assert_int_eq(move(fds[0], fd, 8000, 0), 8000);
	read_pattern(fd, 8000, 0);
	ck_assert_int_eq(move(fds[0], fd, LARGE, 0), 4000);
	read_pattern(fd, 4000, 8000);
}
END_TEST

/* A full channel: nothing is taken out of the pipe that does not fit. */
START_TEST(full_channel_leaves_the_rest_in_the_pipe)
{
	int fd = vm_open(VM_STREAM_SMALL, O_RDWR | O_NONBLOCK);
	size_t done = 0;
	int fds[2];

	make_pipe(fds, 0);
	write_pattern(fds[1], 60000, 0);
	while (done < 60000) {
		ssize_t n = move(fds[0], fd, LARGE, 0);

		ck_assert_int_gt(n, 0);
		ck_assert_int_eq(vm_info(fd).bytes, n);
		if (done + n < 60000)
			ck_assert_int_eq(move(fds[0], fd, LARGE, 0), -EAGAIN);
		read_pattern(fd, n, done);
		done += n;
	}
}
END_TEST

/* SPLICE_F_NONBLOCK counts on a blocking file as well. */
START_TEST(splice_nonblock_of_empty_channel_is_eagain)
{
	int fd = vm_open(_i, O_RDWR);
	int fds[2];

	make_blocking_pipe(fds);
	ck_assert_int_eq(move(fd, fds[1], LARGE, SPLICE_F_NONBLOCK), -EAGAIN);
	write_pattern(fd, 100, 0);
	ck_assert_int_eq(move(fd, fds[1], LARGE, SPLICE_F_NONBLOCK), 100);
	read_pattern(fds[0], 100, 0);
}
END_TEST

START_TEST(splice_nonblock_to_full_channel_is_eagain)
{
	int fd = vm_open(_i, O_RDWR);
	int fds[2];

	make_blocking_pipe(fds);
	write_pattern(fds[1], 100, 0);
	vm_fill(fd);
	ck_assert_int_eq(move(fds[0], fd, LARGE, SPLICE_F_NONBLOCK), -EAGAIN);
	vm_drain(fd);
	ck_assert_int_eq(move(fds[0], fd, LARGE, SPLICE_F_NONBLOCK), 100);
	read_pattern(fd, 100, 0);
}
END_TEST

struct splice_call {
	int from;
	int to;
	size_t length;
};

static long splice_thread(void *argument)
{
	struct splice_call *call = argument;

	return move(call->from, call->to, call->length, 0);
}

/* Row: nothing to read, blocking: sleeps. */
START_TEST(splice_of_empty_channel_sleeps_until_write)
{
	int fd = vm_open(_i, O_RDWR);
	struct splice_call call;
	struct vm_thread thread;
	int fds[2];

	make_blocking_pipe(fds);
	call = (struct splice_call){ fd, fds[1], LARGE };
	vm_spawn(&thread, splice_thread, &call);
	vm_wait_sleeping(thread.tid);
	write_pattern(fd, 100, 0);
	ck_assert_int_eq(vm_join(&thread), 100);
	read_pattern(fds[0], 100, 0);
}
END_TEST

START_TEST(splice_to_full_channel_sleeps_until_read)
{
	int fd = vm_open(_i, O_RDWR);
	struct splice_call call;
	struct vm_thread thread;
	int fds[2];

	make_blocking_pipe(fds);
	write_pattern(fds[1], 100, 0);
	vm_fill(fd);
	call = (struct splice_call){ fds[0], fd, 100 };
	vm_spawn(&thread, splice_thread, &call);
	vm_wait_sleeping(thread.tid);
	vm_drain(fd);
	ck_assert_int_eq(vm_join(&thread), 100);
	/* What the drain left to it is the pipe's. */
	if (vm_info(fd).bytes)
		read_pattern(fd, 100, 0);
}
END_TEST

START_TEST(signal_ends_a_sleeping_splice)
{
	int fd = vm_open(_i, O_RDWR);
	struct splice_call call;
	struct vm_thread thread;
	int fds[2];

	make_blocking_pipe(fds);
	vm_count_signal(SIGUSR1, 0);
	call = (struct splice_call){ fd, fds[1], LARGE };
	vm_spawn(&thread, splice_thread, &call);
	vm_wait_sleeping(thread.tid);
	vm_kill_thread(thread.tid, SIGUSR1);
	ck_assert_int_eq(vm_join(&thread), -EINTR);
	write_pattern(fd, 100, 0);
	read_pattern(fd, 100, 0);
}
END_TEST

/* Frames are records like others: whole ones, as many as fit. */
START_TEST(splice_of_framed_file_moves_whole_frames)
{
	int fd = vm_open(_i, O_RDWR | O_NONBLOCK);
	const size_t size = ACHAN_RECORD_SIZE(1001);
	struct achan_record record;
	char got[8192];
	int fds[2], i;

	make_pipe(fds, 4096);
	vm_set_flags(fd, ACHAN_OPEN_FRAMED);
	for (i = 0; i < 5; i++)
		write_pattern(fd, 1001, i * 1001);
	ck_assert_int_eq(move(fd, fds[1], LARGE, 0), 3 * size);
	vm_read(fds[0], got, 3 * size);
	for (i = 0; i < 3; i++) {
		memcpy(&record, got + i * size, sizeof(record));
		ck_assert_uint_eq(record.length, 1001);
		vm_assert_pattern(got + i * size + sizeof(record), 1001,
				  i * 1001);
	}
	ck_assert_int_eq(move(fd, fds[1], size - 1, 0), -EMSGSIZE);
	ck_assert_int_eq(move(fd, fds[1], LARGE, 0), 2 * size);
}
END_TEST

/* Neither end a pipe, wrong direction, an offset: the errors of splice(2). */
START_TEST(misuse_of_splice_is_an_error)
{
	int fd = vm_open(VM_STREAM, O_RDWR | O_NONBLOCK);
	int reader = vm_reopen(fd, O_RDONLY | O_NONBLOCK);
	int writer = vm_reopen(fd, O_WRONLY | O_NONBLOCK);
	loff_t offset = 0;
	int fds[2];

	make_pipe(fds, 0);
	write_pattern(fds[1], 10, 0);
	write_pattern(fd, 10, 0);
	ck_assert_int_eq(move(fd, fd, 10, 0), -EINVAL);
	ck_assert_int_eq(move(fds[0], reader, 10, 0), -EBADF);
	ck_assert_int_eq(move(writer, fds[1], 10, 0), -EBADF);
	ck_assert_int_eq(vm_errno(splice(fd, &offset, fds[1], NULL, 10, 0)),
			 -EINVAL);
	ck_assert_int_eq(vm_errno(splice(fds[0], NULL, fd, &offset, 10, 0)),
			 -EINVAL);
	ck_assert_int_eq(move(fd, fds[1], 10, 1u << 30), -EINVAL);
	ck_assert_int_eq(move(fd, fds[1], 0, 0), 0);
	ck_assert_int_eq(vm_errno(tee(fd, fds[1], 10, 0)), -EINVAL);
	ck_assert_int_eq(vm_info(fd).bytes, 10);
}
END_TEST

/* tee duplicates what is in a pipe: both copies go in. */
START_TEST(both_copies_of_a_tee_go_in)
{
	int fd = vm_open(_i, O_RDWR | O_NONBLOCK);
	int first[2], second[2];

	make_pipe(first, 0);
	make_pipe(second, 0);
	write_pattern(first[1], 5000, 0);
	ck_assert_int_eq(vm_errno(tee(first[0], second[1], LARGE, 0)), 5000);
	ck_assert_int_eq(move(first[0], fd, LARGE, 0), 5000);
	ck_assert_int_eq(move(second[0], fd, LARGE, 0), 5000);
	read_pattern(fd, 5000, 0);
	read_pattern(fd, 5000, 0);
}
END_TEST

/* A process's own pages, given to a pipe, are copied when they go in. */
START_TEST(vmspliced_pages_are_copied)
{
	int fd = vm_open(_i, O_RDWR | O_NONBLOCK);
	char *memory = vm_pages(3);
	struct iovec part = { memory + 100, 10000 };
	int fds[2];

	make_pipe(fds, 0);
	vm_pattern(part.iov_base, part.iov_len, 0);
	ck_assert_int_eq(vm_errno(vmsplice(fds[1], &part, 1, 0)), 10000);
	ck_assert_int_eq(move(fds[0], fd, LARGE, 0), 10000);
	memset(part.iov_base, 0, part.iov_len);
	read_pattern(fd, 10000, 0);
}
END_TEST

/* Out of the channel into a user's memory: vmsplice the other way. */
START_TEST(spliced_data_can_be_vmspliced_out)
{
	int fd = vm_open(_i, O_RDWR | O_NONBLOCK);
	char got[6000];
	struct iovec part = { got, sizeof(got) };
	int fds[2];

	make_pipe(fds, 0);
	write_pattern(fd, 6000, 0);
	ck_assert_int_eq(move(fd, fds[1], LARGE, 0), 6000);
	ck_assert_int_eq(vm_errno(vmsplice(fds[0], &part, 1, 0)), 6000);
	vm_assert_pattern(got, sizeof(got), 0);
}
END_TEST

/* Random lengths through a pipe and back: no byte lost or repeated. */
START_TEST(random_splices_keep_the_byte_sequence)
{
	int in = vm_open(VM_STREAM, O_RDWR | O_NONBLOCK);
	int out = vm_open(VM_STREAM_SMALL, O_RDWR | O_NONBLOCK);
	uint64_t put = 0, taken = 0;
	unsigned int seed = 3;
	static char data[8192];
	int fds[2], step;

	make_pipe(fds, 16384);
	for (step = 0; step < 6000; step++) {
		size_t length = 1 + rand_r(&seed) % sizeof(data);
		ssize_t n;

		switch (rand_r(&seed) % 4) {
		case 0:
			vm_pattern(data, length, put);
			n = vm_errno(write(in, data, length));
			put += n > 0 ? n : 0;
			break;
		case 1:
			n = move(in, fds[1], length, SPLICE_F_NONBLOCK);
			break;
		case 2:
			n = move(fds[0], out, length, SPLICE_F_NONBLOCK);
			break;
		default:
			n = vm_errno(read(out, data, length));
			vm_assert_pattern(data, n > 0 ? n : 0, taken);
			taken += n > 0 ? n : 0;
		}
		ck_assert(n > 0 || n == -EAGAIN);
	}
	ck_assert_uint_gt(taken, 100000);
}
END_TEST

/* A file with the pattern in it. */
static int make_file(size_t length)
{
	int file = memfd_create("achan", MFD_CLOEXEC);

	ck_assert_int_ge(file, 0);
	write_pattern(file, length, 0);
	return file;
}

struct sendfile_call {
	int out;
	int in;
	size_t length;
};

static long sendfile_thread(void *argument)
{
	struct sendfile_call *call = argument;

	return vm_errno(sendfile(call->out, call->in, NULL, call->length));
}

/* Row: sendfile works: a file larger than the ring, to a slow reader. */
START_TEST(sendfile_sends_a_whole_file_into_a_stream)
{
	int fd = vm_open(_i, O_RDWR);
	const size_t length = 300001;
	int file = make_file(length);
	struct sendfile_call call = { fd, file, length };
	static char got[5000];
	struct vm_thread thread;
	size_t done = 0;

	ck_assert_int_eq(lseek(file, 0, SEEK_SET), 0);
	vm_spawn(&thread, sendfile_thread, &call);
	while (done < length) {
		ssize_t n = vm_errno(read(fd, got, sizeof(got)));

		ck_assert_int_gt(n, 0);
		vm_assert_pattern(got, n, done);
		done += n;
	}
	ck_assert_int_eq(vm_join(&thread), length);
}
END_TEST

/* What does not fit is not taken from the file: its offset says so. */
START_TEST(sendfile_to_a_full_channel_says_how_far_it_came)
{
	int fd = vm_open(VM_STREAM_SMALL, O_RDWR | O_NONBLOCK);
	const size_t length = 100000;
	int file = make_file(length);
	loff_t offset = 0;

	while (offset < (loff_t)length) {
		loff_t before = offset;
		ssize_t n = vm_errno(sendfile(fd, file, &offset, length));

		ck_assert_int_gt(n, 0);
		ck_assert_int_eq(offset - before, n);
		ck_assert_int_eq(vm_info(fd).bytes, n);
		read_pattern(fd, n, before);
	}
	ck_assert_int_eq(vm_errno(sendfile(fd, file, &offset, length)), 0);
	vm_fill(fd);
	offset = 0;
	ck_assert_int_eq(vm_errno(sendfile(fd, file, &offset, length)),
			 -EAGAIN);
	ck_assert_int_eq(offset, 0);
}
END_TEST

START_TEST(sendfile_of_a_page_is_one_message)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR | O_NONBLOCK);
	uint64_t sequence = vm_info(fd).sequence;
	int file = make_file(3000);
	loff_t offset = 1000;

	ck_assert_int_eq(vm_errno(sendfile(fd, file, &offset, 9999)), 2000);
	ck_assert_uint_eq(vm_info(fd).sequence, sequence + 1);
	read_pattern(fd, 2000, 1000);
}
END_TEST

START_TEST(sendfile_of_a_channel_to_a_pipe_works)
{
	int fd = vm_open(_i, O_RDWR | O_NONBLOCK);
	int fds[2];

	make_pipe(fds, 0);
	ck_assert_int_eq(vm_errno(sendfile(fds[1], fd, NULL, LARGE)), -EAGAIN);
	write_pattern(fd, 6000, 0);
	ck_assert_int_eq(vm_errno(sendfile(fds[1], fd, NULL, LARGE)), 6000);
	read_pattern(fds[0], 6000, 0);
}
END_TEST

/*
 * To anything else, sendfile wants an input with a position; splice over a
 * pipe is the way, and -EINVAL must not cost a record.
 */
START_TEST(sendfile_of_a_channel_to_a_file_is_einval_and_takes_nothing)
{
	int fd = vm_open(_i, O_RDWR | O_NONBLOCK);
	int file = make_file(1);
	loff_t offset = 0;

	write_pattern(fd, 100, 0);
	ck_assert_int_eq(vm_errno(sendfile(file, fd, NULL, 100)), -EINVAL);
	ck_assert_int_eq(vm_errno(sendfile(file, fd, &offset, 100)), -ESPIPE);
	ck_assert_int_eq(vm_info(fd).bytes, 100);
	read_pattern(fd, 100, 0);
}
END_TEST

START_TEST(channel_goes_to_a_file_over_a_pipe)
{
	int fd = vm_open(_i, O_RDWR | O_NONBLOCK);
	int file = memfd_create("achan", MFD_CLOEXEC);
	int fds[2], i;

	make_pipe(fds, 0);
	for (i = 0; i < 5; i++) {
		write_pattern(fd, 7000, i * 7000);
		ck_assert_int_eq(move(fd, fds[1], LARGE, 0), 7000);
		ck_assert_int_eq(move(fds[0], file, LARGE, 0), 7000);
	}
	ck_assert_int_eq(lseek(file, 0, SEEK_SET), 0);
	read_pattern(file, 35000, 0);
}
END_TEST

START_TEST(channel_goes_to_a_socket_over_a_pipe)
{
	int fd = vm_open(_i, O_RDWR | O_NONBLOCK);
	int fds[2], sockets[2];

	make_pipe(fds, 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	write_pattern(fd, 7000, 0);
	ck_assert_int_eq(move(fd, fds[1], LARGE, 0), 7000);
	ck_assert_int_eq(move(fds[0], sockets[0], LARGE, 0), 7000);
	read_pattern(sockets[1], 7000, 0);
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

static void add_splice(Suite *suite)
{
	TCase *tcase = vm_tcase(suite, "splice");

	tcase_add_test(tcase, splice_moves_a_stream_to_a_pipe);
	tcase_add_test(tcase, splice_moves_a_pipe_to_a_stream);
	tcase_add_test(tcase, splice_takes_one_message);
	tcase_add_test(tcase, splice_of_a_pipe_makes_one_message);
	tcase_add_test(tcase,
		       message_larger_than_the_splice_is_emsgsize_and_stays);
	tcase_add_test(tcase,
		       message_larger_than_the_pipe_is_emsgsize_and_stays);
	tcase_add_test(tcase, message_larger_than_the_room_in_the_pipe_stays);
	add_for_both(tcase, full_pipe_is_eagain_and_takes_nothing);
	tcase_add_test(tcase, stream_larger_than_the_pipe_comes_in_parts);
	tcase_add_test(tcase,
		       pipe_with_more_than_record_max_is_emsgsize_and_keeps_it);
	tcase_add_test(tcase, full_channel_leaves_the_rest_in_the_pipe);
	add_for_both(tcase, splice_of_framed_file_moves_whole_frames);
	tcase_add_test(tcase, misuse_of_splice_is_an_error);
	tcase_add_test(tcase, random_splices_keep_the_byte_sequence);
}

static void add_wait(Suite *suite)
{
	TCase *tcase = vm_tcase(suite, "wait");

	add_for_both(tcase, splice_nonblock_of_empty_channel_is_eagain);
	add_for_small(tcase, splice_nonblock_to_full_channel_is_eagain);
	add_for_both(tcase, splice_of_empty_channel_sleeps_until_write);
	add_for_small(tcase, splice_to_full_channel_sleeps_until_read);
	add_for_both(tcase, signal_ends_a_sleeping_splice);
}

static void add_kin(Suite *suite)
{
	TCase *tcase = vm_tcase(suite, "kin");

	add_for_both(tcase, both_copies_of_a_tee_go_in);
	add_for_both(tcase, vmspliced_pages_are_copied);
	add_for_both(tcase, spliced_data_can_be_vmspliced_out);
	tcase_add_loop_test(tcase, sendfile_sends_a_whole_file_into_a_stream,
			    VM_STREAM, VM_STREAM + 1);
	tcase_add_loop_test(tcase, sendfile_sends_a_whole_file_into_a_stream,
			    VM_STREAM_SMALL, VM_STREAM_SMALL + 1);
	tcase_add_test(tcase, sendfile_to_a_full_channel_says_how_far_it_came);
	tcase_add_test(tcase, sendfile_of_a_page_is_one_message);
	add_for_both(tcase, sendfile_of_a_channel_to_a_pipe_works);
	add_for_both(tcase,
		     sendfile_of_a_channel_to_a_file_is_einval_and_takes_nothing);
	add_for_both(tcase, channel_goes_to_a_file_over_a_pipe);
	add_for_both(tcase, channel_goes_to_a_socket_over_a_pipe);
}

int main(void)
{
	Suite *suite = suite_create("splice");

	add_splice(suite);
	add_wait(suite);
	add_kin(suite);
	return vm_main(suite);
}
