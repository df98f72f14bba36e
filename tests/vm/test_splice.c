// SPDX-License-Identifier: GPL-2.0-only
/*
 * splice(), sendfile() and their kin: no record is cut, none is lost, and who waits
 * keeps nobody from the pipe.
 */
#include "control.h"

#include <liburing.h>
#include <poll.h>
#include <sys/inotify.h>
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

/*
 * Each kind of splice, as often as there is nothing, less than is asked for, and
 * enough. A FIFO stands in the channel's place for comparison.
 */
enum place { PLACE_STREAM, PLACE_MESSAGE, PLACE_FIFO, PLACES };
enum manner { BLOCKING, FLAG, NONBLOCK_FILE, MANNERS };
enum amount { NOTHING, LESS, ENOUGH, AMOUNTS };
enum outcome { AGAIN, PART, ALL, WAITS };

#define CELLS		(PLACES * MANNERS * AMOUNTS)

struct cell {
	enum place place;
	enum manner manner;
	enum amount amount;
	int fd;			/* what is spliced, in the manner of the cell */
	int side;		/* the same without waiting, for the test */
	size_t before;		/* bytes in it before the splice */
};

static const char *const place_names[] = { "stream", "message", "FIFO" };
static const char *const manner_names[] = {
	"blocking", "SPLICE_F_NONBLOCK", "O_NONBLOCK"
};
static const char *const amount_names[] = { "nothing", "less", "enough" };

static struct cell make_cell(int index)
{
	struct cell cell = {
		.place = index % PLACES,
		.manner = index / PLACES % MANNERS,
		.amount = index / PLACES / MANNERS,
	};
	int flags = cell.manner == NONBLOCK_FILE ? O_NONBLOCK : 0, fds[2];

	if (cell.place == PLACE_FIFO) {
		make_pipe(fds, 8192);
		cell.side = vm_reopen(fds[0], O_RDWR | O_NONBLOCK);
		close(fds[0]);
		close(fds[1]);
	} else {
		cell.side = vm_open(cell.place == PLACE_STREAM ?
				    VM_STREAM_SMALL : VM_MESSAGE_SMALL,
				    O_RDWR | O_NONBLOCK);
	}
	cell.fd = vm_reopen(cell.side, O_RDWR | flags);
	return cell;
}

/* Writes the pattern in pieces until none of them fits. Returns where it ends. */
static size_t fill_with(int fd, size_t piece, size_t offset)
{
	char data[VM_ATOMIC];
	ssize_t n;

	for (;;) {
		vm_pattern(data, piece, offset);
		n = vm_errno(write(fd, data, piece));
		if (n == -EAGAIN)
			return offset;
		ck_assert_int_eq(n, piece);
		offset += n;
	}
}

static size_t fill_place(int fd)
{
	return fill_with(fd, 1, fill_with(fd, VM_ATOMIC, 0));
}

/* Reads the pattern until there is no more. Returns where it ends. */
static size_t take_all(int fd, size_t offset)
{
	static char data[LARGE];
	ssize_t n;

	while ((n = vm_errno(read(fd, data, sizeof(data)))) > 0) {
		vm_assert_pattern(data, n, offset);
		offset += n;
	}
	ck_assert_int_eq(n, -EAGAIN);
	return offset;
}

/* The same until it ends at @end. */
static void take_until(int fd, size_t offset, size_t end)
{
	while (offset < end) {
		ck_assert_int_ne(vm_poll_wait(fd, POLLIN), 0);
		offset = take_all(fd, offset);
	}
	ck_assert_uint_eq(offset, end);
}

struct splice_call {
	int from;
	int to;
	size_t length;
	unsigned int flags;
};

static long splice_thread(void *argument)
{
	struct splice_call *call = argument;

	return move(call->from, call->to, call->length, call->flags);
}

static void spawn_splice(struct vm_thread *thread, struct splice_call *call,
			 const struct cell *cell)
{
	call->flags = cell->manner == FLAG ? SPLICE_F_NONBLOCK : 0;
	vm_spawn(thread, splice_thread, call);
}

/* A write takes all where it may wait, and so does a splice; of a FIFO it does not. */
static enum outcome expect_from_pipe(const struct cell *cell)
{
	if (cell->amount == ENOUGH)
		return ALL;
	if (cell->manner == BLOCKING)
		return cell->amount == LESS && cell->place == PLACE_FIFO ?
		       PART : WAITS;
	return cell->amount == LESS && cell->place != PLACE_MESSAGE ?
	       PART : AGAIN;
}

/* Fills the place as the cell says. Returns how much the pipe is given. */
static size_t prepare_from_pipe(struct cell *cell)
{
	if (cell->amount == NOTHING) {
		cell->before = fill_place(cell->side);
	} else if (cell->amount == LESS && cell->place == PLACE_MESSAGE) {
		cell->before = 5000;
		write_pattern(cell->side, cell->before, 0);
	}
	/* More than the empty place holds is there where it is to be less. */
	return cell->amount == LESS && cell->place != PLACE_MESSAGE ?
	       12000 : 5000;
}

START_TEST(pipe_to_place_does_what_its_cell_says)
{
	struct cell cell = make_cell(_i);
	enum outcome expected = expect_from_pipe(&cell);
	size_t length = prepare_from_pipe(&cell), moved = length;
	struct splice_call call;
	struct vm_thread thread;
	long result;
	int fds[2];

	make_blocking_pipe(fds);
	write_pattern(fds[1], length, cell.before);
	call = (struct splice_call){ .from = fds[0], .to = cell.fd,
				     .length = LARGE };
	spawn_splice(&thread, &call, &cell);
	if (expected == WAITS) {
		vm_wait_sleeping(thread.tid);
		take_until(cell.side, 0, cell.before + length);
	}
	result = vm_join(&thread);
	if (expected == PART) {
		ck_assert_int_gt(result, 0);
		ck_assert_int_lt(result, length);
		moved = result;
	} else if (expected == AGAIN) {
		ck_assert_msg(result == -EAGAIN, "%s, %s, %s: %ld",
			      place_names[cell.place],
			      manner_names[cell.manner],
			      amount_names[cell.amount], result);
		moved = 0;
	} else {
		ck_assert_int_eq(result, length);
	}
	/* The place has what was moved, and the pipe the rest. */
	if (expected != WAITS)
		ck_assert_uint_eq(take_all(cell.side, 0), cell.before + moved);
	close(fds[1]);
	vm_set_nonblock(fds[0], true);
	if (moved < length)
		read_pattern(fds[0], length - moved, cell.before + moved);
	ck_assert_int_eq(vm_errno(read(fds[0], &result, 1)), 0);
}
END_TEST

static enum outcome expect_to_pipe(const struct cell *cell)
{
	if (cell->amount != NOTHING)
		return cell->amount == LESS ? PART : ALL;
	return cell->manner == BLOCKING ? WAITS : AGAIN;
}

START_TEST(place_to_pipe_does_what_its_cell_says)
{
	struct cell cell = make_cell(_i);
	enum outcome expected = expect_to_pipe(&cell);
	size_t length = cell.amount == ENOUGH ? 5000 : 1000;
	struct splice_call call;
	struct vm_thread thread;
	int fds[2];

	make_blocking_pipe(fds);
	if (cell.amount != NOTHING)
		write_pattern(cell.side, length, 0);
	call = (struct splice_call){ .from = cell.fd, .to = fds[1],
				     .length = 5000 };
	spawn_splice(&thread, &call, &cell);
	if (expected == WAITS) {
		vm_wait_sleeping(thread.tid);
		write_pattern(cell.side, length, 0);
	}
	if (expected == AGAIN) {
		ck_assert_int_eq(vm_join(&thread), -EAGAIN);
		return;
	}
	ck_assert_int_eq(vm_join(&thread), length);
	read_pattern(fds[0], length, 0);
	ck_assert_uint_eq(take_all(cell.side, 0), 0);
}
END_TEST

/* Row: nothing to read, blocking: sleeps. */
START_TEST(splice_of_empty_channel_sleeps_until_write)
{
	int fd = vm_open(_i, O_RDWR);
	struct splice_call call;
	struct vm_thread thread;
	int fds[2];

	make_blocking_pipe(fds);
	call = (struct splice_call){ fd, fds[1], LARGE, 0 };
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
	call = (struct splice_call){ fds[0], fd, 100, 0 };
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
	call = (struct splice_call){ fd, fds[1], LARGE, 0 };
	vm_spawn(&thread, splice_thread, &call);
	vm_wait_sleeping(thread.tid);
	vm_kill_thread(thread.tid, SIGUSR1);
	ck_assert_int_eq(vm_join(&thread), -EINTR);
	write_pattern(fd, 100, 0);
	read_pattern(fd, 100, 0);
}
END_TEST

/* A stream splice that a signal ends says how far it came; nothing is lost. */
START_TEST(signal_ends_a_splice_that_waits_for_room)
{
	bool full = _i;
	int fd = vm_open(VM_STREAM_SMALL, O_RDWR);
	int side = vm_reopen(fd, O_RDWR | O_NONBLOCK);
	size_t before = full ? fill_place(side) : 0;
	struct splice_call call;
	struct vm_thread thread;
	long result;
	int fds[2];

	make_blocking_pipe(fds);
	write_pattern(fds[1], 12000, before);
	vm_count_signal(SIGUSR1, 0);
	call = (struct splice_call){ fds[0], fd, LARGE, 0 };
	vm_spawn(&thread, splice_thread, &call);
	vm_wait_sleeping(thread.tid);
	vm_kill_thread(thread.tid, SIGUSR1);
	result = vm_join(&thread);
	if (full) {
		ck_assert_int_eq(result, -EINTR);
		result = 0;
	} else {
		ck_assert_int_gt(result, 0);
		ck_assert_int_lt(result, 12000);
	}
	ck_assert_uint_eq(take_all(side, 0), before + result);
	read_pattern(fds[0], 12000 - result, before + result);
}
END_TEST

/*
 * What follows once left the other users of the pipe in an uninterruptible sleep:
 * each of them is a thread here, so that the case fails, and does not hang.
 */
static void read_in_thread(int fd, size_t length, uint64_t offset)
{
	char *data = malloc(length);
	struct vm_transfer transfer = { fd, data, length };
	struct vm_thread thread;

	vm_spawn(&thread, vm_read_thread, &transfer);
	ck_assert_int_eq(vm_join(&thread), length);
	vm_assert_pattern(data, length, offset);
	free(data);
}

START_TEST(pipe_is_free_while_a_splice_waits_for_a_record)
{
	int fd = vm_open(_i, O_RDWR);
	struct splice_call call;
	struct vm_thread thread;
	int fds[2];

	make_blocking_pipe(fds);
	write_pattern(fds[1], 300, 0);
	call = (struct splice_call){ fd, fds[1], LARGE, 0 };
	vm_spawn(&thread, splice_thread, &call);
	vm_wait_sleeping(thread.tid);
	read_in_thread(fds[0], 300, 0);
	write_pattern(fds[1], 200, 300);
	vm_wait_sleeping(thread.tid);
	write_pattern(fd, 100, 500);
	ck_assert_int_eq(vm_join(&thread), 100);
	read_pattern(fds[0], 300, 300);
}
END_TEST

START_TEST(pipe_is_free_while_a_splice_waits_for_room)
{
	int fd = vm_open(_i, O_RDWR);
	struct splice_call call;
	struct vm_thread thread;
	size_t before;
	int fds[2];

	make_blocking_pipe(fds);
	before = vm_fill(fd);
	write_pattern(fds[1], 300, 0);
	call = (struct splice_call){ fds[0], fd, LARGE, 0 };
	vm_spawn(&thread, splice_thread, &call);
	vm_wait_sleeping(thread.tid);
	read_in_thread(fds[0], 300, 0);
	/* It waits for something to move now, or for room still. */
	write_pattern(fds[1], 200, before);
	take_until(vm_reopen(fd, O_RDONLY | O_NONBLOCK), 0, before + 200);
	ck_assert_int_eq(vm_join(&thread), 200);
}
END_TEST

/* What comes into the pipe during the wait is another message. */
START_TEST(message_does_not_grow_while_it_waits)
{
	int fd = vm_open(VM_MESSAGE_SMALL, O_RDWR);
	struct splice_call call;
	struct vm_thread thread;
	static char got[LARGE];
	int fds[2];
	ssize_t n;

	make_blocking_pipe(fds);
	vm_fill(fd);
	write_pattern(fds[1], 500, 0);
	call = (struct splice_call){ fds[0], fd, LARGE, 0 };
	vm_spawn(&thread, splice_thread, &call);
	vm_wait_sleeping(thread.tid);
	write_pattern(fds[1], 300, 500);
	/* vm_fill()'s have 1024 bytes, or one. */
	do {
		n = vm_errno(read(fd, got, sizeof(got)));
	} while (n == 1024 || n == 1);
	ck_assert_int_eq(n, 500);
	vm_assert_pattern(got, n, 0);
	ck_assert_int_eq(vm_join(&thread), 500);
	read_pattern(fds[0], 300, 500);
}
END_TEST

/*
 * A splice that was woken for a record cannot take it into a full pipe: another
 * reader gets it, and the splice the next one, once there is room.
 */
START_TEST(splice_with_a_full_pipe_leaves_the_record_to_others)
{
	int fd = vm_open(_i, O_RDWR);
	char got[100];
	struct vm_transfer transfer = { fd, got, sizeof(got) };
	struct vm_thread thread, reader;
	struct splice_call call;
	int fds[2];

	make_blocking_pipe(fds);
	ck_assert_int_eq(fcntl(fds[1], F_SETPIPE_SZ, 4096), 4096);
	call = (struct splice_call){ fd, fds[1], LARGE, 0 };
	vm_spawn(&thread, splice_thread, &call);
	vm_wait_sleeping(thread.tid);
	write_pattern(fds[1], 4096, 0);
	vm_spawn(&reader, vm_read_thread, &transfer);
	vm_wait_sleeping(reader.tid);
	write_pattern(fd, 100, 7);
	ck_assert_int_eq(vm_join(&reader), 100);
	vm_assert_pattern(got, 100, 7);
	read_pattern(fds[0], 4096, 0);
	write_pattern(fd, 50, 4096);
	ck_assert_int_eq(vm_join(&thread), 50);
	read_pattern(fds[0], 50, 4096);
}
END_TEST

/* Nobody will read the pipe any more: as a write to it, and the record stays. */
START_TEST(pipe_that_loses_its_reader_is_epipe_and_takes_nothing)
{
	int fd = vm_open(_i, O_RDWR);
	struct splice_call call;
	struct vm_thread thread;
	int fds[2];

	make_blocking_pipe(fds);
	vm_count_signal(SIGPIPE, 0);
	call = (struct splice_call){ fd, fds[1], LARGE, 0 };
	vm_spawn(&thread, splice_thread, &call);
	vm_wait_sleeping(thread.tid);
	close(fds[0]);
	write_pattern(fd, 100, 0);
	ck_assert_int_eq(vm_join(&thread), -EPIPE);
	ck_assert_int_eq(vm_signals, 1);
	read_pattern(fd, 100, 0);
}
END_TEST

/* Of two that wait, one record ends one. */
START_TEST(one_record_ends_one_splice)
{
	int fd = vm_open(_i, O_RDWR), fds[2], ended = 0, i;
	struct vm_thread threads[2];
	struct splice_call call;

	make_blocking_pipe(fds);
	call = (struct splice_call){ fd, fds[1], LARGE, 0 };
	for (i = 0; i < 2; i++) {
		vm_spawn(&threads[i], splice_thread, &call);
		vm_wait_sleeping(threads[i].tid);
	}
	for (i = 0; i < 2; i++) {
		write_pattern(fd, 100, i * 100);
		read_pattern(fds[0], 100, i * 100);
		ck_assert_int_eq(vm_poll(fds[0], POLLIN), 0);
		ck_assert_int_eq(vm_info(fd).bytes, 0);
	}
	for (i = 0; i < 2; i++)
		ended += vm_join(&threads[i]) == 100;
	ck_assert_int_eq(ended, 2);
}
END_TEST

/* A failed write to a pipe leaves a buffer without bytes in it. */
START_TEST(empty_buffers_in_the_pipe_are_nothing)
{
	int fd = vm_open(_i, O_RDWR);
	char *bad = (char *)vm_pages(1) + vm_page_size();
	int fds[2], i;

	make_pipe(fds, 8192);
	for (i = 0; i < 4; i++)
		vm_errno(write(fds[1], bad, 100));
	ck_assert_int_eq(move(fds[0], fd, LARGE, SPLICE_F_NONBLOCK), -EAGAIN);
	ck_assert_int_ne(vm_poll(fds[1], POLLOUT) & POLLOUT, 0);
	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(vm_errno(write(fds[1], bad, 1)), -EFAULT);
		write_pattern(fds[1], 1000, 0);
		ck_assert_int_eq(move(fds[0], fd, LARGE, 0), 1000);
		read_pattern(fd, 1000, 0);
	}
}
END_TEST

/* An empty pipe without writers is at its end. */
START_TEST(empty_pipe_without_writer_is_0)
{
	int fd = vm_open(_i, O_RDWR);
	struct splice_call call;
	struct vm_thread thread;
	int fds[2];

	make_blocking_pipe(fds);
	call = (struct splice_call){ fds[0], fd, LARGE, 0 };
	vm_spawn(&thread, splice_thread, &call);
	vm_wait_sleeping(thread.tid);
	close(fds[1]);
	ck_assert_int_eq(vm_join(&thread), 0);
	ck_assert_int_eq(move(fds[0], fd, LARGE, SPLICE_F_NONBLOCK), 0);
}
END_TEST

static const uint32_t modes[] = { ACHAN_MODE_STREAM, ACHAN_MODE_MESSAGE };

/* Row: removal: sleepers wake; what was in the pipe is there still. */
START_TEST(removal_ends_sleeping_splices)
{
	struct achan_create empty = control_loop("empty");
	struct achan_create full = control_loop("full");
	int in[2], out[2], to, from;
	struct vm_thread reader, writer;
	struct splice_call reads, writes;

	empty.config.mode = modes[_i];
	full.config.mode = modes[_i];
	from = control_make_open(&empty, O_RDWR);
	to = control_make_open(&full, O_RDWR);
	make_blocking_pipe(in);
	make_blocking_pipe(out);
	write_pattern(out[1], 100, 0);
	vm_fill(to);
	reads = (struct splice_call){ from, in[1], LARGE, 0 };
	writes = (struct splice_call){ out[0], to, LARGE, 0 };
	vm_spawn(&reader, splice_thread, &reads);
	vm_spawn(&writer, splice_thread, &writes);
	vm_wait_sleeping(reader.tid);
	vm_wait_sleeping(writer.tid);
	ck_assert_int_eq(control_remove("empty"), 0);
	ck_assert_int_eq(control_remove("full"), 0);
	ck_assert_int_eq(vm_join(&reader), -ENODEV);
	ck_assert_int_eq(vm_join(&writer), -ENODEV);
	read_pattern(out[0], 100, 0);
	ck_assert_int_eq(move(from, in[1], LARGE, SPLICE_F_NONBLOCK), -ENODEV);
	write_pattern(out[1], 100, 0);
	ck_assert_int_eq(move(out[0], to, LARGE, SPLICE_F_NONBLOCK), -ENODEV);
}
END_TEST

/* Row: pair, the peer's last close: read drains, then 0; write -EPIPE. */
START_TEST(hang_up_ends_sleeping_splices)
{
	struct achan_create pair = control_pair("pair");
	struct vm_thread reader, writer;
	struct splice_call reads, writes;
	int in[2], out[2], one, other;

	pair.config.mode = modes[_i];
	control_make(&pair);
	one = control_node(pair.minor, O_RDWR);
	other = control_node(pair.peer_minor, O_RDWR);
	make_blocking_pipe(in);
	make_blocking_pipe(out);
	write_pattern(out[1], 100, 0);
	fill_place(vm_reopen(one, O_WRONLY | O_NONBLOCK));
	signal(SIGPIPE, SIG_IGN);
	reads = (struct splice_call){ one, in[1], LARGE, 0 };
	writes = (struct splice_call){ out[0], one, LARGE, 0 };
	vm_spawn(&reader, splice_thread, &reads);
	vm_spawn(&writer, splice_thread, &writes);
	vm_wait_sleeping(reader.tid);
	vm_wait_sleeping(writer.tid);
	close(other);
	ck_assert_int_eq(vm_join(&reader), 0);
	ck_assert_int_eq(vm_join(&writer), -EPIPE);
	read_pattern(out[0], 100, 0);
}
END_TEST

/* One end of a chain of splices; @left bytes are to come. */
struct link {
	struct splice_call call;
	size_t left;
	struct vm_thread thread;
};

static long link_thread(void *argument)
{
	struct link *link = argument;

	while (link->left) {
		ssize_t n = splice_thread(&link->call);

		if (n == -EINTR)
			continue;
		if (n <= 0)
			return n ?: -EIO;
		link->left -= n;
	}
	return 0;
}

static long produce_thread(void *argument)
{
	unsigned int seed = 5;
	size_t left = 400000;
	char data[1000];
	int fd = *(int *)argument;

	while (left) {
		size_t length = 1 + rand_r(&seed) % sizeof(data);
		ssize_t n;

		if (length > left)
			length = left;
		vm_pattern(data, length, 400000 - left);
		n = write(fd, data, length);
		if (n != (ssize_t)length)
			return -EIO;
		left -= length;
	}
	return 0;
}

/* Channel, pipe, channel, all waiting for each other, and signals at any time. */
START_TEST(chain_of_blocking_splices_keeps_the_byte_sequence)
{
	int from = vm_open(_i, O_RDWR), to, fds[2];
	struct link links[2];
	static char got[3000];
	struct vm_thread producer;
	size_t done = 0;
	int round = 0;

	to = vm_open(_i == VM_STREAM ? VM_STREAM_SMALL : VM_MESSAGE_SMALL,
		     O_RDWR);
	make_blocking_pipe(fds);
	ck_assert_int_eq(fcntl(fds[1], F_SETPIPE_SZ, 16384), 16384);
	vm_count_signal(SIGUSR1, 0);
	links[0].call = (struct splice_call){ from, fds[1], 3000, 0 };
	links[1].call = (struct splice_call){ fds[0], to, 3000, 0 };
	links[0].left = 400000;
	links[1].left = 400000;
	vm_spawn(&links[0].thread, link_thread, &links[0]);
	vm_spawn(&links[1].thread, link_thread, &links[1]);
	vm_spawn(&producer, produce_thread, &from);
	while (done < 400000) {
		ssize_t n = vm_errno(read(to, got, sizeof(got)));

		ck_assert_int_gt(n, 0);
		vm_assert_pattern(got, n, done);
		done += n;
		/* Both run as long as more is to come than is on its way. */
		if (done < 250000 && ++round % 2 == 0)
			vm_kill_thread(links[round / 2 % 2].thread.tid, SIGUSR1);
	}
	ck_assert_int_eq(vm_join(&producer), 0);
	ck_assert_int_eq(vm_join(&links[0].thread), 0);
	ck_assert_int_eq(vm_join(&links[1].thread), 0);
}
END_TEST

static int uring_result(struct io_uring *ring, uint64_t number)
{
	struct __kernel_timespec limit = {
		.tv_sec = vm_timeout_ms(VM_HANG_MS) / 1000,
	};
	struct io_uring_cqe *cqe;
	int ret;

	ck_assert_int_eq(io_uring_wait_cqe_timeout(ring, &cqe, &limit), 0);
	ck_assert_uint_eq(cqe->user_data, number);
	ret = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return ret;
}

static void uring_splice(struct io_uring *ring, int from, int to,
			 unsigned int flags, uint64_t number)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_splice(sqe, from, -1, to, -1, LARGE, flags);
	io_uring_sqe_set_data64(sqe, number);
	ck_assert_int_eq(io_uring_submit(ring), 1);
}

/* io_uring splices in a thread of its own: as splice() does. */
START_TEST(io_uring_splices_as_splice_does)
{
	int fd = vm_open(_i, O_RDWR);
	struct io_uring ring;
	int fds[2];

	vm_allow_io_uring();
	ck_assert_int_eq(io_uring_queue_init(8, &ring, 0), 0);
	make_blocking_pipe(fds);
	uring_splice(&ring, fd, fds[1], SPLICE_F_NONBLOCK, 1);
	ck_assert_int_eq(uring_result(&ring, 1), -EAGAIN);
	uring_splice(&ring, fd, fds[1], 0, 2);
	write_pattern(fds[1], 300, 0);
	read_in_thread(fds[0], 300, 0);
	write_pattern(fd, 100, 0);
	ck_assert_int_eq(uring_result(&ring, 2), 100);
	uring_splice(&ring, fds[0], fd, 0, 3);
	ck_assert_int_eq(uring_result(&ring, 3), 100);
	vm_drain(fd);
	write_pattern(fds[1], 200, 0);
	vm_fill(fd);
	uring_splice(&ring, fds[0], fd, SPLICE_F_NONBLOCK, 4);
	ck_assert_int_eq(uring_result(&ring, 4), -EAGAIN);
	read_pattern(fds[0], 200, 0);
	io_uring_queue_exit(&ring);
}
END_TEST

START_TEST(io_uring_cancels_a_sleeping_splice)
{
	int fd = vm_open(_i, O_RDWR);
	struct io_uring_sqe *sqe;
	struct io_uring ring;
	int fds[2];

	vm_allow_io_uring();
	ck_assert_int_eq(io_uring_queue_init(8, &ring, 0), 0);
	make_blocking_pipe(fds);
	write_pattern(fds[1], 300, 0);
	uring_splice(&ring, fd, fds[1], 0, 1);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_cancel64(sqe, 1, 0);
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	io_uring_sqe_set_data64(sqe, 1);
	ck_assert_int_eq(io_uring_submit(&ring), 1);
	ck_assert_int_lt(uring_result(&ring, 1), 0);
	write_pattern(fd, 100, 0);
	read_pattern(fd, 100, 0);
	read_in_thread(fds[0], 300, 0);
	io_uring_queue_exit(&ring);
}
END_TEST

/* Who watches the node sees a splice as a write. */
START_TEST(inotify_sees_a_splice_into_a_channel)
{
	int fd = vm_open(_i, O_RDWR | O_NONBLOCK), fds[2];
	int watch = inotify_init1(IN_NONBLOCK);
	struct inotify_event event;

	make_pipe(fds, 0);
	write_pattern(fds[1], 100, 0);
	ck_assert_int_ge(inotify_add_watch(watch, vm_path(_i), IN_MODIFY), 0);
	ck_assert_int_eq(move(fds[0], fd, LARGE, 0), 100);
	ck_assert_int_eq(vm_errno(read(watch, &event, sizeof(event))),
			 sizeof(event));
	ck_assert_uint_eq(event.mask, IN_MODIFY);
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
	tcase_add_loop_test(tcase, signal_ends_a_splice_that_waits_for_room, 0,
			    2);
	tcase_add_loop_test(tcase, pipe_to_place_does_what_its_cell_says, 0,
			    CELLS);
	tcase_add_loop_test(tcase, place_to_pipe_does_what_its_cell_says, 0,
			    CELLS);
	add_for_both(tcase, one_record_ends_one_splice);
	add_for_both(tcase, empty_pipe_without_writer_is_0);
	add_for_both(tcase, io_uring_splices_as_splice_does);
	add_for_both(tcase, io_uring_cancels_a_sleeping_splice);
}

/* Who waits keeps nobody from the pipe. */
static void add_pipe(Suite *suite)
{
	TCase *tcase = vm_tcase(suite, "pipe");

	add_for_both(tcase, pipe_is_free_while_a_splice_waits_for_a_record);
	add_for_small(tcase, pipe_is_free_while_a_splice_waits_for_room);
	tcase_add_test(tcase, message_does_not_grow_while_it_waits);
	add_for_both(tcase, splice_with_a_full_pipe_leaves_the_record_to_others);
	add_for_both(tcase,
		     pipe_that_loses_its_reader_is_epipe_and_takes_nothing);
	add_for_both(tcase, empty_buffers_in_the_pipe_are_nothing);
	add_for_both(tcase, chain_of_blocking_splices_keeps_the_byte_sequence);
}

static void add_end(Suite *suite)
{
	TCase *tcase = control_tcase(suite, "end");

	tcase_add_loop_test(tcase, removal_ends_sleeping_splices, 0,
			    VM_ARRAY_SIZE(modes));
	tcase_add_loop_test(tcase, hang_up_ends_sleeping_splices, 0,
			    VM_ARRAY_SIZE(modes));
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
	add_for_both(tcase, inotify_sees_a_splice_into_a_channel);
}

int main(void)
{
	Suite *suite = suite_create("splice");

	add_splice(suite);
	add_wait(suite);
	add_pipe(suite);
	add_end(suite);
	add_kin(suite);
	return vm_main(suite);
}
