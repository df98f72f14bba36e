// SPDX-License-Identifier: GPL-2.0-only
/*
 * The fault sweep: for every allocation, user copy and page pin that achan makes
 * on behalf of a system call, a run in which that one fails, and no other.
 *
 * The number of the fault counts up until the call makes no more. In each run the
 * result is the documented one, the channel holds what it held (a failed read
 * took nothing, a failed write put nothing in), nothing stays parked or pinned,
 * and the same call works right afterwards. In a second sweep what else the
 * kernel does in the call fails, too: then any error will do, and the rest holds
 * all the same. That no memory is lost is asked by the guest, after all programs.
 */
#include "fail_nth.h"
#include "kernel_aio.h"
#include "module.h"

#include <limits.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>

/*
 * Payload of the records that the helpers put in. A ring of 8 or 64 KiB that is
 * full of them has some bytes left: too few for one more, enough for the
 * beginning of a large stream write.
 */
#define RECORD		150

/* More files than poll(2) has room for without an allocation. */
#define FILES		40

/* A sweep that finds no end, as if each call made another allocation. */
#define FAULTS_MAX	3000

/* What an asynchronous request gave that is parked: no result can be it. */
#define PARKED		LONG_MAX

/* Aligned so, a new mapping needs page tables of its own. */
#define TABLE_BYTES	(2UL << 20)

struct run;

/*
 * struct operation - a system call that is swept
 * @name:    for the report
 * @channel: what it is done on
 * @flags:   how that is opened
 * @once:    what it needs, made once a run
 * @load:    brings channel and buffer where it needs them, before each call
 * @call:    the one system call; its result or -errno
 * @settle:  makes of that the operation's result, where they differ
 * @done:    looks at a success, and accounts for what went in or out
 * @failed:  looks at a failure
 * @finish:  undoes @once
 * @errors:  what it may end with when a call of achan's fails
 * @fails:   so many faults of achan's have to make it fail, at least
 * @survives: and so many have to leave it as it is
 */
struct operation {
	const char *name;
	enum vm_channel channel;
	int flags;
	void (*once)(struct run *run);
	void (*load)(struct run *run);
	long (*call)(struct run *run);
	long (*settle)(struct run *run, long result);
	void (*done)(struct run *run, long result);
	void (*failed)(struct run *run);
	void (*finish)(struct run *run);
	int errors[2];
	unsigned int fails;
	unsigned int survives;
	size_t length;
};

/*
 * struct run - one channel, and one fault
 * @fd:	     what the operation is done on
 * @writer:  the same channel, for the helpers
 * @whole:   the fault may be anywhere in the kernel
 * @first:   the channel holds the pattern from here
 * @last:    to here
 * @length:  bytes that the operation moves
 */
struct run {
	const struct operation *operation;
	int fd;
	int writer;
	bool whole;
	uint64_t first;
	uint64_t last;
	size_t length;
	char *buffer;
	size_t buffer_size;
	struct iovec parts[3];
	io_context_t context;
	struct iocb request;
	struct iocb *requests[1];
	struct achan_info before;
	struct achan_info info;
	struct pollfd files[FILES];
	int extra[2];
};

static size_t minimum(size_t a, size_t b)
{
	return a < b ? a : b;
}

static bool is_message(const struct run *run)
{
	return run->before.mode == ACHAN_MODE_MESSAGE;
}

/*
 * The channel. It always holds the pattern's bytes from run->first to run->last.
 */
static bool put_record(struct run *run)
{
	char data[RECORD];
	ssize_t put;

	vm_pattern(data, sizeof(data), run->last);
	put = vm_errno(write(run->writer, data, sizeof(data)));
	if (put == -EAGAIN)
		return false;
	ck_assert_int_eq(put, RECORD);
	run->last += RECORD;
	return true;
}

static void open_channel(struct run *run, enum vm_channel channel, int flags)
{
	run->fd = vm_open(channel, flags | O_CLOEXEC);
	run->writer = vm_reopen(run->fd, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	run->before = vm_info(run->fd);
}

static void close_channel(struct run *run)
{
	close(run->writer);
	close(run->fd);
}

static void load_three_records(struct run *run)
{
	while (run->last - run->first < 3 * RECORD)
		ck_assert(put_record(run));
}

static void fill_up(struct run *run)
{
	while (put_record(run))
		;
}

static size_t frame_bytes(uint32_t length)
{
	return ACHAN_RECORD_SIZE(length);
}

/* Frames hold the channel's next bytes, and no number is left out. */
static void take_frames(struct run *run, const char *data, size_t size)
{
	struct achan_record record, before;
	size_t at;

	for (at = 0; at < size; at += frame_bytes(record.length)) {
		ck_assert_uint_le(at + sizeof(record), size);
		memcpy(&record, data + at, sizeof(record));
		ck_assert_uint_le(at + frame_bytes(record.length), size);
		if (at)
			ck_assert_uint_eq(record.sequence, before.sequence + 1);
		before = record;
		vm_assert_pattern(data + at + sizeof(record), record.length,
				  run->first);
		run->first += record.length;
	}
	ck_assert_uint_le(run->first, run->last);
}

/* Takes all that is in the channel, and all that should be. */
static void take_all(struct run *run)
{
	int reader = vm_reopen(run->fd, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	size_t size = 2 * run->before.ring_bytes;
	char *data = malloc(size);
	ssize_t got;

	ck_assert_ptr_nonnull(data);
	vm_set_flags(reader, ACHAN_OPEN_FRAMED);
	while (run->first < run->last) {
		ck_assert_int_eq(vm_poll_wait(reader, POLLIN), POLLIN);
		got = vm_errno(read(reader, data, size));
		ck_assert_int_gt(got, 0);
		take_frames(run, data, got);
	}
	ck_assert_int_eq(vm_errno(read(reader, data, size)), -EAGAIN);
	free(data);
	close(reader);
}

/* Pages that this process has pinned, in KiB. */
static long pinned_kib(void)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[128];
	long kib = -1;

	ck_assert_msg(file, "open /proc/self/status: %s", strerror(errno));
	while (kib < 0 && fgets(line, sizeof(line), file))
		sscanf(line, "VmPin: %ld", &kib);
	fclose(file);
	ck_assert_int_ge(kib, 0);
	return kib;
}

/* Between two calls: the channel is as it should be, and nobody waits. */
static void check_channel(struct run *run)
{
	struct achan_info info = vm_info(run->fd);

	ck_assert_uint_eq(info.bytes, run->last - run->first);
	ck_assert_uint_eq(info.parked_reads, 0);
	ck_assert_uint_eq(info.parked_writes, 0);
	ck_assert_uint_eq(info.discarded, run->before.discarded);
	ck_assert_int_eq(pinned_kib(), 0);
}

static bool is_documented(const struct operation *operation, long result)
{
	size_t i;

	for (i = 0; i < VM_ARRAY_SIZE(operation->errors); i++)
		if (result == operation->errors[i])
			return true;
	return false;
}

/* Returns the operation's result, after having looked at it. */
static long call_once(struct run *run, unsigned int nth, bool *injected)
{
	const struct operation *operation = run->operation;
	long result;

	if (operation->load)
		operation->load(run);
	fault_arm(nth);
	result = operation->call(run);
	*injected = fault_disarm();
	if (operation->settle)
		result = operation->settle(run, result);
	if (result < 0) {
		ck_assert_msg(*injected, "%s without a fault: %ld",
			      operation->name, result);
		ck_assert_msg(run->whole || is_documented(operation, result),
			      "%s, fault %u: %ld is not documented",
			      operation->name, nth, result);
		if (operation->failed)
			operation->failed(run);
	} else if (operation->done) {
		operation->done(run, result);
	}
	check_channel(run);
	return result;
}

/* One fault, in a channel of its own. Returns false if it did not happen. */
static bool run_once(const struct operation *operation, unsigned int nth,
		     bool whole, unsigned int *failed)
{
	struct run run = {
		.operation = operation,
		.whole = whole,
		.length = operation->length,
	};
	bool injected, again;

	open_channel(&run, operation->channel, operation->flags);
	if (operation->once)
		operation->once(&run);
	*failed += call_once(&run, nth, &injected) < 0;
	/* Without a fault, what came before has to be forgotten. */
	ck_assert_int_ge(call_once(&run, FAULTS_MAX, &again), 0);
	ck_assert(!again);
	take_all(&run);
	if (operation->finish)
		operation->finish(&run);
	close_channel(&run);
	return injected;
}

static unsigned int sweep_within(const struct operation *operation, bool whole,
				 unsigned int *failed)
{
	unsigned int nth = 1;

	*failed = 0;
	fault_within(whole ? FAULT_ANYWHERE : FAULT_ACHAN);
	while (run_once(operation, nth, whole, failed)) {
		nth++;
		ck_assert_uint_lt(nth, FAULTS_MAX);
	}
	return nth - 1;
}

static void sweep(const struct operation *operation)
{
	unsigned int injected, failed;
	char name[80];

	injected = sweep_within(operation, false, &failed);
	ck_assert_uint_eq(fault_report(operation->name), injected);
	ck_assert_msg(failed >= operation->fails,
		      "%s: %u of %u faults made it fail, and %u should",
		      operation->name, failed, injected, operation->fails);
	ck_assert_msg(injected - failed >= operation->survives,
		      "%s: it survived %u of %u faults, and should %u",
		      operation->name, injected - failed, injected,
		      operation->survives);
	injected = sweep_within(operation, true, &failed);
	ck_assert_uint_gt(injected, 0);
	snprintf(name, sizeof(name), "%s, all of the call", operation->name);
	ck_assert_uint_eq(fault_report(name), injected);
}

/* Buffers. */

/* Memory for @run, as large as asked for, in which no page is present yet. */
static void map_buffer(struct run *run, size_t size)
{
	run->buffer_size = size;
	run->buffer = mmap(NULL, size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(run->buffer, MAP_FAILED);
}

static void make_absent(struct run *run)
{
	ck_assert_int_eq(vm_errno(madvise(run->buffer, run->buffer_size,
					  MADV_DONTNEED)), 0);
}

static void unmap_buffer(struct run *run)
{
	munmap(run->buffer, run->buffer_size);
}

static void map_present(struct run *run)
{
	map_buffer(run, 128 << 10);
	memset(run->buffer, 0xa5, run->buffer_size);
}

/* Three pieces of the buffer, not in order. */
static void cut_buffer(struct run *run)
{
	size_t third = run->length / 3;

	run->parts[0] = (struct iovec){ run->buffer + 70000, third };
	run->parts[1] = (struct iovec){ run->buffer + 100, third };
	run->parts[2] = (struct iovec){ run->buffer + 40001,
					run->length - 2 * third };
}

static void map_present_in_pieces(struct run *run)
{
	map_present(run);
	cut_buffer(run);
}

/* Puts the pattern of what is written next into the pieces. */
static void pattern_to_pieces(struct run *run)
{
	uint64_t at = run->last;
	size_t i;

	for (i = 0; i < VM_ARRAY_SIZE(run->parts); i++) {
		vm_pattern(run->parts[i].iov_base, run->parts[i].iov_len, at);
		at += run->parts[i].iov_len;
	}
}

static void check_pieces(struct run *run, size_t size)
{
	size_t i;

	for (i = 0; i < VM_ARRAY_SIZE(run->parts) && size; i++) {
		size_t part = minimum(size, run->parts[i].iov_len);

		vm_assert_pattern(run->parts[i].iov_base, part, run->first);
		run->first += part;
		size -= part;
	}
}

/* open */

static long call_open(struct run *run)
{
	return vm_errno(open(vm_path(run->operation->channel),
			     O_RDWR | O_NONBLOCK | O_CLOEXEC));
}

static void done_open(struct run *run, long fd)
{
	char got[RECORD];

	vm_read(fd, got, sizeof(got));
	vm_assert_pattern(got, sizeof(got), run->first);
	run->first += sizeof(got);
	close(fd);
}

static const struct operation op_open = {
	.name = "open",
	.channel = VM_STREAM,
	.flags = O_RDWR,
	.load = load_three_records,
	.call = call_open,
	.done = done_open,
	.errors = { -ENOMEM },
	.fails = 1,
};

START_TEST(open_without_memory_is_enomem)
{
	fault_skip_unsupported();
	sweep(&op_open);
}
END_TEST

/* read: a copy that falls short is tried again. */

static long call_read(struct run *run)
{
	return vm_errno(read(run->fd, run->buffer, run->length));
}

static long call_readv(struct run *run)
{
	return vm_errno(readv(run->fd, run->parts,
			      VM_ARRAY_SIZE(run->parts)));
}

/* What a read gets if nothing is in its way. */
static size_t expected_read(const struct run *run)
{
	return minimum(run->length,
		       is_message(run) ? RECORD : run->last - run->first);
}

static void done_read(struct run *run, long result)
{
	ck_assert_uint_eq(result, expected_read(run));
	vm_assert_pattern(run->buffer, result, run->first);
	run->first += result;
}

static void done_readv(struct run *run, long result)
{
	ck_assert_uint_eq(result, expected_read(run));
	check_pieces(run, result);
}

static const struct operation op_read_stream = {
	.name = "read of a stream",
	.channel = VM_STREAM,
	.flags = O_RDWR | O_NONBLOCK,
	.once = map_present,
	.load = load_three_records,
	.call = call_read,
	.done = done_read,
	.finish = unmap_buffer,
	.length = 3 * RECORD - 7,
	.survives = 3,
};

START_TEST(stream_read_tries_a_copy_again)
{
	fault_skip_unsupported();
	sweep(&op_read_stream);
}
END_TEST

static const struct operation op_read_message = {
	.name = "read of a message",
	.channel = VM_MESSAGE,
	.flags = O_RDWR,
	.once = map_present,
	.load = load_three_records,
	.call = call_read,
	.done = done_read,
	.finish = unmap_buffer,
	.length = RECORD,
	.survives = 1,
};

START_TEST(message_read_tries_a_copy_again)
{
	fault_skip_unsupported();
	sweep(&op_read_message);
}
END_TEST

static const struct operation op_readv_stream = {
	.name = "readv of a stream",
	.channel = VM_STREAM,
	.flags = O_RDWR,
	.once = map_present_in_pieces,
	.load = load_three_records,
	.call = call_readv,
	.done = done_readv,
	.finish = unmap_buffer,
	.length = 3 * RECORD - 7,
	/* Each piece of each record. */
	.survives = 5,
};

START_TEST(stream_readv_tries_a_copy_again)
{
	fault_skip_unsupported();
	sweep(&op_readv_stream);
}
END_TEST

/* Framed reads. */

static void once_framed(struct run *run)
{
	map_present(run);
	vm_set_flags(run->fd, ACHAN_OPEN_FRAMED);
}

static void done_framed(struct run *run, long result)
{
	take_frames(run, run->buffer, result);
}

static const struct operation op_read_framed = {
	.name = "framed read",
	.channel = VM_MESSAGE,
	.flags = O_RDWR | O_NONBLOCK,
	.once = once_framed,
	.load = load_three_records,
	.call = call_read,
	.done = done_framed,
	.finish = unmap_buffer,
	.length = 2 * ACHAN_RECORD_SIZE(RECORD) + 8,
	.survives = 1,
};

START_TEST(framed_read_tries_a_copy_again)
{
	fault_skip_unsupported();
	sweep(&op_read_framed);
}
END_TEST

/* The first record has lost its beginning to a read without frames. */
static void load_continued(struct run *run)
{
	int reader = vm_reopen(run->fd, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char byte;

	load_three_records(run);
	vm_read(reader, &byte, 1);
	vm_assert_pattern(&byte, 1, run->first);
	run->first++;
	close(reader);
}

/* The rest of the record, and those behind it, are copies of their own. */
static const struct operation op_read_continued = {
	.name = "framed read of the rest of a record",
	.channel = VM_STREAM,
	.flags = O_RDWR | O_NONBLOCK,
	.once = once_framed,
	.load = load_continued,
	.call = call_read,
	.done = done_framed,
	.finish = unmap_buffer,
	.length = 4096,
	/* Header, payload, padding; the whole records behind. */
	.survives = 4,
};

START_TEST(framed_read_of_the_rest_of_a_record_tries_a_copy_again)
{
	fault_skip_unsupported();
	sweep(&op_read_continued);
}
END_TEST

/* read into pages that are not there, and cannot be had. */

static void once_absent(struct run *run)
{
	map_buffer(run, 32 << 10);
}

static void load_absent(struct run *run)
{
	char *data;

	make_absent(run);
	/* One record of three pages, where it is the first. */
	if (run->first < run->last)
		return;
	data = malloc(run->length);
	ck_assert_ptr_nonnull(data);
	vm_pattern(data, run->length, run->last);
	vm_write(run->fd, data, run->length);
	run->last += run->length;
	free(data);
}

static void done_absent_stream(struct run *run, long result)
{
	ck_assert_int_gt(result, 0);
	ck_assert_uint_le(result, run->last - run->first);
	vm_assert_pattern(run->buffer, result, run->first);
	run->first += result;
}

static void done_absent_message(struct run *run, long result)
{
	ck_assert_uint_eq(result, run->length);
	done_absent_stream(run, result);
}

static const struct operation op_absent_message = {
	.name = "read of a message into pages not present",
	.channel = VM_MESSAGE,
	.flags = O_RDWR,
	.once = once_absent,
	.load = load_absent,
	.call = call_read,
	.done = done_absent_message,
	.finish = unmap_buffer,
	.length = 9000,
	.errors = { -EFAULT },
	.fails = 3,
};

START_TEST(message_read_into_pages_that_cannot_be_had_is_efault)
{
	fault_skip_unsupported();
	sweep(&op_absent_message);
}
END_TEST

static const struct operation op_absent_stream = {
	.name = "read of a stream into pages not present",
	.channel = VM_STREAM,
	.flags = O_RDWR,
	.once = once_absent,
	.load = load_absent,
	.call = call_read,
	.done = done_absent_stream,
	.finish = unmap_buffer,
	.length = 9000,
	.errors = { -EFAULT },
	.fails = 1,
	/* What lies before the page is returned. */
	.survives = 2,
};

START_TEST(stream_read_into_pages_that_cannot_be_had_is_short_or_efault)
{
	fault_skip_unsupported();
	sweep(&op_absent_stream);
}
END_TEST

/* write */

static void load_pattern(struct run *run)
{
	vm_pattern(run->buffer, run->length, run->last);
}

static long call_write(struct run *run)
{
	return vm_errno(write(run->fd, run->buffer, run->length));
}

static long call_writev(struct run *run)
{
	return vm_errno(writev(run->fd, run->parts,
			       VM_ARRAY_SIZE(run->parts)));
}

static void done_write(struct run *run, long result)
{
	ck_assert_uint_eq(result, run->length);
	run->last += result;
}

static const struct operation op_write_stream = {
	.name = "write to a stream",
	.channel = VM_STREAM,
	.flags = O_RDWR | O_NONBLOCK,
	.once = map_present,
	.load = load_pattern,
	.call = call_write,
	.done = done_write,
	.finish = unmap_buffer,
	.length = 1000,
	.survives = 1,
};

START_TEST(stream_write_tries_a_copy_again)
{
	fault_skip_unsupported();
	sweep(&op_write_stream);
}
END_TEST

static const struct operation op_write_large = {
	.name = "write of several records to a stream",
	.channel = VM_STREAM,
	.flags = O_RDWR,
	.once = map_present,
	.load = load_pattern,
	.call = call_write,
	.done = done_write,
	.finish = unmap_buffer,
	.length = 20000,
	.survives = 2,
};

START_TEST(large_stream_write_tries_a_copy_again)
{
	fault_skip_unsupported();
	sweep(&op_write_large);
}
END_TEST

static const struct operation op_write_message = {
	.name = "write of a message",
	.channel = VM_MESSAGE,
	.flags = O_RDWR,
	.once = map_present,
	.load = load_pattern,
	.call = call_write,
	.done = done_write,
	.finish = unmap_buffer,
	.length = 20000,
	.survives = 1,
};

START_TEST(message_write_tries_a_copy_again)
{
	fault_skip_unsupported();
	sweep(&op_write_message);
}
END_TEST

static const struct operation op_writev_message = {
	.name = "writev of a message",
	.channel = VM_MESSAGE,
	.flags = O_RDWR,
	.once = map_present_in_pieces,
	.load = pattern_to_pieces,
	.call = call_writev,
	.done = done_write,
	.finish = unmap_buffer,
	.length = 10000,
	.survives = 3,
};

START_TEST(message_writev_tries_a_copy_again)
{
	fault_skip_unsupported();
	sweep(&op_writev_message);
}
END_TEST

/* write from pages that are not there: of a file, in page tables not there. */

static void once_absent_file(struct run *run)
{
	int fd = memfd_create("pattern", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(vm_errno(ftruncate(fd, TABLE_BYTES)), 0);
	run->extra[0] = fd;
	run->buffer_size = 2 * TABLE_BYTES;
}

static void load_absent_file(struct run *run)
{
	char *data = malloc(run->length), *area;
	uintptr_t start;

	ck_assert_ptr_nonnull(data);
	vm_pattern(data, run->length, run->last);
	ck_assert_int_eq(pwrite(run->extra[0], data, run->length, 0),
			 (ssize_t)run->length);
	free(data);
	if (run->buffer)
		munmap(run->buffer, TABLE_BYTES);
	area = mmap(NULL, 2 * TABLE_BYTES, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ck_assert_ptr_ne(area, MAP_FAILED);
	start = ((uintptr_t)area + TABLE_BYTES - 1) & ~(TABLE_BYTES - 1);
	munmap(area, 2 * TABLE_BYTES);
	run->buffer = mmap((void *)start, TABLE_BYTES, PROT_READ,
			   MAP_SHARED | MAP_FIXED_NOREPLACE, run->extra[0], 0);
	ck_assert_ptr_ne(run->buffer, MAP_FAILED);
}

static void finish_absent_file(struct run *run)
{
	munmap(run->buffer, TABLE_BYTES);
	close(run->extra[0]);
}

static const struct operation op_write_absent = {
	.name = "write of a message from pages not present",
	.channel = VM_MESSAGE,
	.flags = O_RDWR,
	.once = once_absent_file,
	.load = load_absent_file,
	.call = call_write,
	.done = done_write,
	.finish = finish_absent_file,
	.length = 9000,
	.errors = { -EFAULT },
	.fails = 1,
};

START_TEST(message_write_from_pages_that_cannot_be_had_is_efault)
{
	fault_skip_unsupported();
	sweep(&op_write_absent);
}
END_TEST

/* Parked reads. */

static long call_submit(struct run *run)
{
	return io_submit(run->context, 1, run->requests);
}

static long settle_submit(struct run *run, long result)
{
	if (result != 1)
		return result < 0 ? result : -EIO;
	run->info = vm_info(run->fd);
	if (run->info.parked_reads || run->info.parked_writes)
		return PARKED;
	return aio_result(run->context, &run->request);
}

static void once_context(struct run *run)
{
	run->context = aio_context(4);
	run->requests[0] = &run->request;
}

static void finish_context(struct run *run)
{
	ck_assert(aio_idle(run->context));
	ck_assert_int_eq(io_destroy(run->context), 0);
	unmap_buffer(run);
}

static void once_park_read(struct run *run)
{
	once_context(run);
	map_buffer(run, 128 << 10);
	cut_buffer(run);
}

/* Pages that are not there have to be made, to be pinned. */
static void load_park_read(struct run *run)
{
	take_all(run);
	make_absent(run);
	io_prep_pread(&run->request, run->fd, run->buffer + 100, run->length,
		      0);
	run->info = vm_info(run->fd);
}

static void load_park_readv(struct run *run)
{
	take_all(run);
	make_absent(run);
	io_prep_preadv(&run->request, run->fd, run->parts,
		       VM_ARRAY_SIZE(run->parts), 0);
}

static void serve_parked_read(struct run *run, long result)
{
	ck_assert_int_eq(result, PARKED);
	ck_assert(put_record(run));
	ck_assert_int_eq(aio_result(run->context, &run->request), RECORD);
	/* It may be complete a little before it is gone. */
	aio_wait_unparked(run->fd);
}

static void done_park_read(struct run *run, long result)
{
	serve_parked_read(run, result);
	vm_assert_pattern(run->buffer + 100, RECORD, run->first);
	run->first += RECORD;
}

static void done_park_readv(struct run *run, long result)
{
	serve_parked_read(run, result);
	check_pieces(run, RECORD);
}

static const struct operation op_park_pinned = {
	.name = "park of a read, pinned",
	.channel = VM_MESSAGE,
	.flags = O_RDWR,
	.once = once_park_read,
	.load = load_park_read,
	.call = call_submit,
	.settle = settle_submit,
	.done = done_park_read,
	.finish = finish_context,
	.length = 3 * 4096,
	.errors = { -ENOMEM },
	.fails = 1,
	/* Each of its four pages: what cannot be pinned is left to a worker. */
	.survives = 4,
};

START_TEST(parked_read_without_memory_is_enomem_and_without_pins_a_workers)
{
	struct achan_info before, after;
	int fd;

	fault_skip_unsupported();
	fd = vm_open(VM_MESSAGE, O_RDWR);
	before = vm_info(fd);
	sweep(&op_park_pinned);
	after = vm_info(fd);
	ck_assert_uint_ge(after.worker_reads - before.worker_reads, 4);
	ck_assert_uint_gt(after.pinned_reads, before.pinned_reads);
}
END_TEST

/* The same in three pieces, of which the worker needs a list of its own. */
static const struct operation op_park_pieces = {
	.name = "park of a read, pinned in pieces",
	.channel = VM_STREAM,
	.flags = O_RDWR | O_NONBLOCK,
	.once = once_park_read,
	.load = load_park_readv,
	.call = call_submit,
	.settle = settle_submit,
	.done = done_park_readv,
	.finish = finish_context,
	.length = 3 * 200,
	.errors = { -ENOMEM },
	.fails = 1,
	.survives = 3,
};

START_TEST(parked_readv_without_pins_is_a_workers)
{
	fault_skip_unsupported();
	sweep(&op_park_pieces);
}
END_TEST

static const struct operation op_park_worker = {
	.name = "park of a read, for a worker",
	.channel = VM_STREAM,
	.flags = O_RDWR,
	.once = once_park_read,
	.load = load_park_readv,
	.call = call_submit,
	.settle = settle_submit,
	.done = done_park_readv,
	.finish = finish_context,
	/* Over eight pages. */
	.length = 3 * 13000,
	.errors = { -ENOMEM },
	/* The request, and the list of the pieces. */
	.fails = 2,
};

START_TEST(parked_read_for_a_worker_without_memory_is_enomem)
{
	fault_skip_unsupported();
	sweep(&op_park_worker);
}
END_TEST

/* The write that a parked read waits for. */

static void once_serve(struct run *run)
{
	once_context(run);
	map_present(run);
}

static void load_serve(struct run *run)
{
	/* What failed left the read parked. */
	if (!vm_info(run->fd).parked_reads)
		aio_park_read(run->context, &run->request, run->fd,
			      run->buffer + 4096, 4096);
	vm_pattern(run->buffer, run->length, run->last);
}

static void done_serve(struct run *run, long result)
{
	done_write(run, result);
	ck_assert_int_eq(aio_result(run->context, &run->request), result);
	aio_wait_unparked(run->fd);
	vm_assert_pattern(run->buffer + 4096, result, run->first);
	run->first += result;
}

static void failed_serve(struct run *run)
{
	ck_assert_uint_eq(vm_info(run->fd).parked_reads, 1);
	ck_assert(aio_idle(run->context));
	ck_assert_int_eq(aio_cancel_result(run->context, &run->request),
			 -ECANCELED);
	aio_wait_unparked(run->fd);
}

static const struct operation op_serve = {
	.name = "write that a parked read waits for",
	.channel = VM_MESSAGE,
	.flags = O_RDWR,
	.once = once_serve,
	.load = load_serve,
	.call = call_write,
	.done = done_serve,
	.failed = failed_serve,
	.finish = finish_context,
	.length = 700,
	.survives = 1,
};

START_TEST(write_that_serves_a_parked_read_tries_a_copy_again)
{
	fault_skip_unsupported();
	sweep(&op_serve);
}
END_TEST

/* Parked writes. */

static void once_park_write(struct run *run)
{
	once_context(run);
	map_present(run);
}

static void load_park_write(struct run *run)
{
	fill_up(run);
	vm_pattern(run->buffer, run->length, run->last);
	io_prep_pwrite(&run->request, run->fd, run->buffer, run->length, 0);
}

static void done_park_write(struct run *run, long result)
{
	ck_assert_int_eq(result, PARKED);
	run->last += run->length;
	/* The kernel has a copy. */
	memset(run->buffer, 0, run->length);
	take_all(run);
	ck_assert_int_eq(aio_result(run->context, &run->request), run->length);
	aio_wait_unparked(run->fd);
}

static const struct operation op_park_write = {
	.name = "park of a write",
	.channel = VM_MESSAGE_SMALL,
	.flags = O_RDWR,
	.once = once_park_write,
	.load = load_park_write,
	.call = call_submit,
	.settle = settle_submit,
	.done = done_park_write,
	.finish = finish_context,
	.length = 1000,
	.errors = { -ENOMEM, -EFAULT },
	/* The request, its data, their copy. */
	.fails = 3,
};

START_TEST(parked_write_without_memory_is_enomem_without_its_copy_efault)
{
	fault_skip_unsupported();
	sweep(&op_park_write);
}
END_TEST

static const struct operation op_park_write_large = {
	.name = "park of a large write",
	.channel = VM_STREAM_SMALL,
	.flags = O_RDWR,
	.once = once_park_write,
	.load = load_park_write,
	.call = call_submit,
	.settle = settle_submit,
	.done = done_park_write,
	.finish = finish_context,
	/* Atomic, so that none of it fits, and just one page. */
	.length = 4096,
	.errors = { -ENOMEM, -EFAULT },
	.fails = 2,
};

START_TEST(parked_write_of_pipe_buf_without_memory_is_enomem)
{
	fault_skip_unsupported();
	sweep(&op_park_write_large);
}
END_TEST

/* More than a page: where there are no pages in a row, others are used. */
static const struct operation op_park_write_message = {
	.name = "park of a write of a large message",
	.channel = VM_MESSAGE_SMALL,
	.flags = O_RDWR | O_NONBLOCK,
	.once = once_park_write,
	.load = load_park_write,
	.call = call_submit,
	.settle = settle_submit,
	.done = done_park_write,
	.finish = finish_context,
	.length = 6000,
	.errors = { -ENOMEM, -EFAULT },
	.fails = 2,
	.survives = 1,
};

START_TEST(parked_write_of_a_large_message_needs_no_pages_in_a_row)
{
	fault_skip_unsupported();
	sweep(&op_park_write_message);
}
END_TEST

/*
 * A stream write of which a part fits: that part is in, and counts, whatever
 * happens to the rest.
 */
static void done_park_rest(struct run *run, long result)
{
	if (result == PARKED) {
		done_park_write(run, result);
		return;
	}
	ck_assert_int_gt(result, 0);
	ck_assert_uint_lt(result, run->length);
	run->last += result;
}

static const struct operation op_park_rest = {
	.name = "park of the rest of a stream write",
	.channel = VM_STREAM_SMALL,
	.flags = O_RDWR,
	.once = once_park_write,
	.load = load_park_write,
	.call = call_submit,
	.settle = settle_submit,
	.done = done_park_rest,
	.finish = finish_context,
	.length = 20000,
	/* The first copy, the request, its data, its copy. */
	.survives = 4,
};

START_TEST(stream_write_whose_rest_cannot_park_is_short)
{
	fault_skip_unsupported();
	sweep(&op_park_rest);
}
END_TEST

/* ioctl */

static long call_info(struct run *run)
{
	return vm_errno(ioctl(run->fd, ACHAN_IOC_INFO, &run->info));
}

static void done_info(struct run *run, long result)
{
	ck_assert_int_eq(result, 0);
	ck_assert_uint_eq(run->info.bytes, run->last - run->first);
}

static const struct operation op_info = {
	.name = "ioctl ACHAN_IOC_INFO",
	.channel = VM_STREAM,
	.flags = O_RDWR,
	.load = load_three_records,
	.call = call_info,
	.done = done_info,
	.errors = { -EFAULT },
	.fails = 1,
};

START_TEST(ioctl_info_without_its_copy_is_efault)
{
	fault_skip_unsupported();
	sweep(&op_info);
}
END_TEST

/*
 * get_user() and put_user() know no injected faults, so here the pointer is bad.
 */
START_TEST(ioctl_of_a_number_without_its_copy_is_efault_and_changes_nothing)
{
	int fd = vm_open(VM_STREAM, O_RDWR);
	char *bad = (char *)vm_pages(1) + vm_page_size();
	__u32 flags = ~0;

	vm_set_flags(fd, ACHAN_OPEN_FRAMED);
	ck_assert_int_eq(vm_errno(ioctl(fd, FIONREAD, bad)), -EFAULT);
	ck_assert_int_eq(vm_errno(ioctl(fd, ACHAN_IOC_GET_FLAGS, bad)),
			 -EFAULT);
	ck_assert_int_eq(vm_errno(ioctl(fd, ACHAN_IOC_SET_FLAGS, bad)),
			 -EFAULT);
	ck_assert_int_eq(vm_errno(ioctl(fd, ACHAN_IOC_GET_FLAGS, &flags)), 0);
	ck_assert_uint_eq(flags, ACHAN_OPEN_FRAMED);
}
END_TEST

/* fasync */

static long call_fasync(struct run *run)
{
	return vm_errno(fcntl(run->fd, F_SETFL, O_RDWR | O_ASYNC));
}

/* Returns how many signals one record brings. */
static int signals_of_a_record(struct run *run)
{
	vm_count_signal(SIGIO, SA_RESTART);
	ck_assert(put_record(run));
	return vm_signals;
}

static void done_fasync(struct run *run, long result)
{
	ck_assert_int_eq(result, 0);
	ck_assert_int_eq(vm_errno(fcntl(run->fd, F_SETOWN, getpid())), 0);
	ck_assert_int_ge(signals_of_a_record(run), 1);
	ck_assert_int_eq(vm_errno(fcntl(run->fd, F_SETFL, O_RDWR)), 0);
	ck_assert_int_eq(signals_of_a_record(run), 0);
}

/* Not even half of it: not on one of the two lists. */
static void failed_fasync(struct run *run)
{
	ck_assert_int_eq(vm_errno(fcntl(run->fd, F_SETOWN, getpid())), 0);
	ck_assert_int_eq(fcntl(run->fd, F_GETFL) & O_ASYNC, 0);
	ck_assert_int_eq(signals_of_a_record(run), 0);
	/* From full to not full tells the writers. */
	fill_up(run);
	ck_assert_int_eq(vm_poll(run->fd, POLLOUT), 0);
	vm_count_signal(SIGIO, SA_RESTART);
	take_all(run);
	ck_assert_int_eq(vm_signals, 0);
}

static const struct operation op_fasync = {
	.name = "fcntl O_ASYNC",
	.channel = VM_STREAM_SMALL,
	.flags = O_RDWR,
	.call = call_fasync,
	.done = done_fasync,
	.failed = failed_fasync,
	.errors = { -ENOMEM },
	/* An entry for readers, one for writers. */
	.fails = 2,
};

START_TEST(o_async_without_memory_is_enomem_and_off)
{
	fault_skip_unsupported();
	sweep(&op_fasync);
}
END_TEST

/* poll and epoll: what the kernel keeps for a file is had from in achan_poll(). */

static void once_poll(struct run *run)
{
	int i;

	for (i = 0; i < FILES; i++) {
		run->files[i].fd = vm_reopen(run->fd, O_RDONLY | O_CLOEXEC);
		run->files[i].events = POLLIN;
	}
}

static long call_poll(struct run *run)
{
	return vm_errno(poll(run->files, FILES, 1));
}

static void done_poll(struct run *run, long result)
{
	int i;

	ck_assert_int_eq(result, 0);
	ck_assert(put_record(run));
	ck_assert_int_eq(vm_errno(poll(run->files, FILES, 0)), FILES);
	for (i = 0; i < FILES; i++)
		ck_assert_int_eq(run->files[i].revents, POLLIN);
}

static void finish_poll(struct run *run)
{
	int i;

	for (i = 0; i < FILES; i++)
		close(run->files[i].fd);
}

static const struct operation op_poll = {
	.name = "poll of many files",
	.channel = VM_MESSAGE,
	.flags = O_RDWR,
	.once = once_poll,
	.load = take_all,
	.call = call_poll,
	.done = done_poll,
	.finish = finish_poll,
	.errors = { -ENOMEM },
	.fails = 1,
};

START_TEST(poll_without_memory_is_enomem)
{
	fault_skip_unsupported();
	sweep(&op_poll);
}
END_TEST

static void once_epoll(struct run *run)
{
	run->extra[0] = epoll_create1(EPOLL_CLOEXEC);
	ck_assert_int_ge(run->extra[0], 0);
}

static long call_epoll(struct run *run)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };

	return vm_errno(epoll_ctl(run->extra[0], EPOLL_CTL_ADD, run->fd,
				  &event));
}

static void done_epoll(struct run *run, long result)
{
	struct epoll_event event;

	ck_assert_int_eq(result, 0);
	ck_assert_int_eq(vm_errno(epoll_wait(run->extra[0], &event, 1, 0)), 0);
	ck_assert(put_record(run));
	ck_assert_int_eq(vm_errno(epoll_wait(run->extra[0], &event, 1, 0)), 1);
	ck_assert_uint_eq(event.events, EPOLLIN);
	ck_assert_int_eq(vm_errno(epoll_ctl(run->extra[0], EPOLL_CTL_DEL,
					    run->fd, NULL)), 0);
}

static void finish_epoll(struct run *run)
{
	close(run->extra[0]);
}

static const struct operation op_epoll = {
	.name = "epoll_ctl",
	.channel = VM_MESSAGE,
	.flags = O_RDWR,
	.once = once_epoll,
	.load = take_all,
	.call = call_epoll,
	.done = done_epoll,
	.finish = finish_epoll,
	.errors = { -ENOMEM },
	.fails = 1,
};

START_TEST(epoll_ctl_without_memory_is_enomem)
{
	fault_skip_unsupported();
	sweep(&op_epoll);
}
END_TEST

/* splice: extra[0] is read from, extra[1] written to. */

static void once_splice(struct run *run)
{
	ck_assert_int_eq(vm_errno(pipe2(run->extra, O_NONBLOCK | O_CLOEXEC)),
			 0);
	map_present(run);
}

static void finish_splice(struct run *run)
{
	close(run->extra[0]);
	close(run->extra[1]);
	unmap_buffer(run);
}

static long call_splice_from(struct run *run)
{
	return vm_errno(splice(run->fd, NULL, run->extra[1], NULL, run->length,
			       SPLICE_F_NONBLOCK));
}

static void done_splice_from(struct run *run, long result)
{
	ck_assert_int_gt(result, 0);
	ck_assert_uint_le(result, expected_read(run));
	vm_read(run->extra[0], run->buffer, result);
	vm_assert_pattern(run->buffer, result, run->first);
	run->first += result;
}

/* What did not come out of the channel is not in the pipe. */
static void failed_splice_from(struct run *run)
{
	ck_assert_int_eq(vm_errno(read(run->extra[0], run->buffer, 1)),
			 -EAGAIN);
}

static const struct operation op_splice_from = {
	.name = "splice from a stream",
	.channel = VM_STREAM,
	.flags = O_RDWR,
	.once = once_splice,
	.load = load_three_records,
	.call = call_splice_from,
	.done = done_splice_from,
	.failed = failed_splice_from,
	.finish = finish_splice,
	.length = 3 * RECORD,
	.errors = { -ENOMEM },
};

START_TEST(splice_from_a_stream_without_memory_takes_nothing)
{
	fault_skip_unsupported();
	sweep(&op_splice_from);
}
END_TEST

static const struct operation op_splice_from_message = {
	.name = "splice of a message",
	.channel = VM_MESSAGE,
	.flags = O_RDWR,
	.once = once_splice,
	.load = load_three_records,
	.call = call_splice_from,
	.done = done_splice_from,
	.failed = failed_splice_from,
	.finish = finish_splice,
	.length = 16384,
	.errors = { -ENOMEM },
};

START_TEST(splice_of_a_message_without_memory_takes_nothing)
{
	fault_skip_unsupported();
	sweep(&op_splice_from_message);
}
END_TEST

/* What a splice leaves in the pipe is what was there for the next one. */
static void load_pipe(struct run *run)
{
	int there;

	ck_assert_int_eq(vm_errno(ioctl(run->extra[0], FIONREAD, &there)), 0);
	if (there) {
		ck_assert_uint_eq(there, run->length);
		return;
	}
	vm_pattern(run->buffer, run->length, run->last);
	vm_write(run->extra[1], run->buffer, run->length);
}

static long call_splice_to(struct run *run)
{
	return vm_errno(splice(run->extra[0], NULL, run->fd, NULL, run->length,
			       SPLICE_F_NONBLOCK));
}

static const struct operation op_splice_to = {
	.name = "splice to a channel",
	.channel = VM_MESSAGE,
	.flags = O_RDWR,
	.once = once_splice,
	.load = load_pipe,
	.call = call_splice_to,
	.done = done_write,
	.finish = finish_splice,
	.length = 700,
	.errors = { -ENOMEM },
};

START_TEST(splice_to_a_channel_without_memory_leaves_the_pipe_as_it_is)
{
	fault_skip_unsupported();
	sweep(&op_splice_to);
}
END_TEST

/*
 * Kernel threads, to which fail-nth does not reach: faults for everybody, in
 * functions that only achan's workers call.
 */
struct worker {
	struct run run;
	long result;
};

/*
 * Parks a read that only a worker can fill, and writes @length bytes with the
 * @nth fault of @kind on, @times of them. Returns whether there was one; with
 * @times of -1 there always is.
 */
static bool serve_by_worker(struct worker *worker, enum vm_channel channel,
			    size_t length, enum fault_kind kind,
			    unsigned int nth, int times)
{
	struct run *run = &worker->run;
	bool injected;

	memset(run, 0, sizeof(*run));
	run->length = length;
	open_channel(run, channel, O_RDWR);
	once_context(run);
	map_buffer(run, AIO_WORKER_BYTES);
	if (kind == FAULT_COPY)
		memset(run->buffer, 0, run->buffer_size);
	aio_park_read(run->context, &run->request, run->fd, run->buffer,
		      run->buffer_size);
	ck_assert_uint_eq(vm_info(run->fd).worker_reads,
			  run->before.worker_reads + 1);

	fault_arm_all(kind, nth, times);
	while (run->last < length)
		ck_assert(put_record(run));
	worker->result = aio_result(run->context, &run->request);
	aio_wait_unparked(run->fd);
	injected = fault_disarm_all(kind);
	return injected || times < 0;
}

/* The record that met the fault stays, or was read; never neither, nor both. */
static void end_worker(struct worker *worker)
{
	struct run *run = &worker->run;

	if (worker->result >= 0) {
		vm_assert_pattern(run->buffer, worker->result, run->first);
		run->first += worker->result;
	}
	check_channel(run);
	take_all(run);
	/* A read that follows parks, and is filled, as if nothing had been. */
	load_park_read(run);
	ck_assert_int_eq(call_submit(run), 1);
	done_park_read(run, settle_submit(run, 1));
	check_channel(run);
	finish_context(run);
	close_channel(run);
}

START_TEST(worker_tries_a_copy_again)
{
	enum vm_channel channel = _i ? VM_MESSAGE : VM_STREAM;
	struct worker worker;
	unsigned int nth = 0;
	bool injected;

	fault_skip_unsupported();
	fault_within("achan_park_work");
	do {
		nth++;
		injected = serve_by_worker(&worker, channel, RECORD,
					   FAULT_COPY, nth, 1);
		ck_assert_int_eq(worker.result, RECORD);
		end_worker(&worker);
	} while (injected && nth < FAULTS_MAX);
	ck_assert_uint_ge(nth, 2);
	ck_assert(!injected);
	fault_report(_i ? "copy of a message by a worker" :
		     "copy of a stream by a worker");
}
END_TEST

/* It is not tried for ever. */
START_TEST(worker_whose_copies_all_fail_ends_with_efault_and_record_stays)
{
	enum vm_channel channel = _i ? VM_MESSAGE : VM_STREAM;
	struct worker worker;

	fault_skip_unsupported();
	fault_within("achan_park_work");
	serve_by_worker(&worker, channel, RECORD, FAULT_COPY, 1, -1);
	ck_assert_int_eq(worker.result, -EFAULT);
	ck_assert_uint_eq(vm_info(worker.run.fd).bytes, RECORD);
	end_worker(&worker);
	fault_report("copies by a worker that all fail");
}
END_TEST

/* Pages that the worker cannot have for a buffer in which they are not present. */
START_TEST(worker_without_pages_for_the_buffer_ends_with_efault)
{
	enum vm_channel channel = _i ? VM_MESSAGE : VM_STREAM;
	unsigned int nth = 0, failed = 0;
	struct worker worker;
	bool injected;

	fault_skip_unsupported();
	fault_within("fault_work");
	do {
		nth++;
		injected = serve_by_worker(&worker, channel, RECORD,
					   FAULT_PAGE, nth, 1);
		if (worker.result == -EFAULT)
			failed++;
		else
			ck_assert_int_eq(worker.result, RECORD);
		ck_assert(injected || worker.result == RECORD);
		end_worker(&worker);
	} while (injected && nth < FAULTS_MAX);
	ck_assert_uint_ge(failed, 1);
	ck_assert(!injected);
	fault_report("pages for the buffer of a worker's read");
}
END_TEST

/*
 * A call whose copies all fail although its buffer is present gives up after
 * ACHAN_FAULTS_MAX attempts, and no record is lost.
 */
#define ENOUGH_FAULTS	1000000000
#define ATTEMPTS	64

static int call_in_child(void *argument)
{
	struct run *run = argument;

	return run->operation->call(run) == -EFAULT ? 0 : 1;
}

static void give_up(const struct operation *operation, const char *function)
{
	struct run run = { .operation = operation, .length = operation->length };
	pid_t pid;

	open_channel(&run, operation->channel, operation->flags);
	operation->once(&run);
	operation->load(&run);
	fault_within(function);
	fault_trace(false);
	fault_arm_all(FAULT_COPY, 1, ENOUGH_FAULTS);
	pid = vm_fork(call_in_child, &run);
	vm_wait_success(pid);
	ck_assert_int_le(fault_left(FAULT_COPY), ENOUGH_FAULTS - ATTEMPTS);
	fault_disarm_all(FAULT_COPY);
	fault_trace(true);
	check_channel(&run);
	operation->done(&run, operation->call(&run));
	take_all(&run);
	check_channel(&run);
}

/* With its buffer present a read was tried until the process was killed. */
START_TEST(read_whose_copies_all_fail_gives_up_with_efault)
{
	fault_skip_unsupported();
	give_up(_i ? &op_read_message : &op_read_stream, "achan_read_plain");
}
END_TEST

/* With its buffer present a write was tried until the process was killed. */
START_TEST(write_whose_copies_all_fail_gives_up_with_efault)
{
	fault_skip_unsupported();
	give_up(_i ? &op_write_message : &op_write_stream, "achan_write_plain");
}
END_TEST

/* insmod and rmmod. */

/* Two channels, so that the first one is undone for the second. */
#define TWO_CHANNELS	"channels=2 ring_bytes=8192 mode=stream,message"

static void use_channel(void)
{
	int fd = open("/dev/achan1", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	char got[8];

	ck_assert_msg(fd >= 0, "open /dev/achan1: %s", strerror(errno));
	vm_write(fd, "works", 5);
	ck_assert_int_eq(vm_errno(read(fd, got, sizeof(got))), 5);
	close(fd);
}

/*
 * Each insmod that gets further than the one before shows that what that one left
 * is in nobody's way.
 */
START_TEST(insmod_without_memory_is_enomem_and_leaves_nothing)
{
	unsigned int nth = 0, failed = 0;
	bool injected;
	long result;

	fault_skip_unsupported();
	module_make_unloaded();
	fault_within("do_one_initcall");
	do {
		nth++;
		fault_arm(nth);
		result = module_load(TWO_CHANNELS);
		injected = fault_disarm();
		if (result) {
			ck_assert(injected);
			ck_assert_int_eq(result, -ENOMEM);
			failed++;
		} else {
			use_channel();
			ck_assert_int_eq(module_unload(), 0);
		}
		module_assert_gone();
	} while (injected && nth < FAULTS_MAX);
	ck_assert(!injected);
	/* Workqueues, class, region; two channels with ring and device. */
	ck_assert_uint_ge(failed, 20);
	fault_report("insmod");
}
END_TEST

/* There is nothing that rmmod could not do for want of memory. */
START_TEST(rmmod_without_memory_leaves_nothing)
{
	unsigned int nth = 0;
	bool injected;

	fault_skip_unsupported();
	module_make_unloaded();
	do {
		nth++;
		ck_assert_int_eq(module_load(TWO_CHANNELS), 0);
		use_channel();
		fault_within(FAULT_ACHAN);
		fault_arm(nth);
		ck_assert_int_eq(module_unload(), 0);
		injected = fault_disarm();
		module_assert_gone();
	} while (injected && nth < FAULTS_MAX);
	ck_assert(!injected);
	/* At least what tells udev of each device. */
	ck_assert_uint_ge(fault_report("rmmod"), 2);
}
END_TEST

START_TEST(module_is_loaded_again_as_it_was)
{
	fault_skip_unsupported();
	module_make_unloaded();
	ck_assert_int_eq(module_load(module_parameters()), 0);
	use_channel();
}
END_TEST

static void add_transfers(TCase *tcase)
{
	tcase_add_test(tcase, open_without_memory_is_enomem);
	tcase_add_test(tcase, stream_read_tries_a_copy_again);
	tcase_add_test(tcase, message_read_tries_a_copy_again);
	tcase_add_test(tcase, stream_readv_tries_a_copy_again);
	tcase_add_test(tcase, framed_read_tries_a_copy_again);
	tcase_add_test(tcase,
		       framed_read_of_the_rest_of_a_record_tries_a_copy_again);
	tcase_add_test(tcase,
		       message_read_into_pages_that_cannot_be_had_is_efault);
	tcase_add_test(tcase,
		       stream_read_into_pages_that_cannot_be_had_is_short_or_efault);
	tcase_add_test(tcase, stream_write_tries_a_copy_again);
	tcase_add_test(tcase, large_stream_write_tries_a_copy_again);
	tcase_add_test(tcase, message_write_tries_a_copy_again);
	tcase_add_test(tcase, message_writev_tries_a_copy_again);
	tcase_add_test(tcase,
		       message_write_from_pages_that_cannot_be_had_is_efault);
	tcase_add_loop_test(tcase, read_whose_copies_all_fail_gives_up_with_efault, 0, 2);
	tcase_add_loop_test(tcase, write_whose_copies_all_fail_gives_up_with_efault, 0, 2);
}

static void add_parked(TCase *tcase)
{
	tcase_add_test(tcase,
		       parked_read_without_memory_is_enomem_and_without_pins_a_workers);
	tcase_add_test(tcase, parked_readv_without_pins_is_a_workers);
	tcase_add_test(tcase,
		       parked_read_for_a_worker_without_memory_is_enomem);
	tcase_add_test(tcase,
		       write_that_serves_a_parked_read_tries_a_copy_again);
	tcase_add_test(tcase,
		       parked_write_without_memory_is_enomem_without_its_copy_efault);
	tcase_add_test(tcase,
		       parked_write_of_pipe_buf_without_memory_is_enomem);
	tcase_add_test(tcase,
		       parked_write_of_a_large_message_needs_no_pages_in_a_row);
	tcase_add_test(tcase, stream_write_whose_rest_cannot_park_is_short);
	tcase_add_loop_test(tcase, worker_tries_a_copy_again, 0, 2);
	tcase_add_loop_test(tcase,
			    worker_whose_copies_all_fail_ends_with_efault_and_record_stays,
			    0, 2);
	tcase_add_loop_test(tcase,
			    worker_without_pages_for_the_buffer_ends_with_efault,
			    0, 2);
}

static void add_others(TCase *tcase)
{
	tcase_add_test(tcase, ioctl_info_without_its_copy_is_efault);
	tcase_add_test(tcase,
		       ioctl_of_a_number_without_its_copy_is_efault_and_changes_nothing);
	tcase_add_test(tcase, o_async_without_memory_is_enomem_and_off);
	tcase_add_test(tcase, poll_without_memory_is_enomem);
	tcase_add_test(tcase, epoll_ctl_without_memory_is_enomem);
	tcase_add_test(tcase,
		       splice_from_a_stream_without_memory_takes_nothing);
	tcase_add_test(tcase, splice_of_a_message_without_memory_takes_nothing);
	tcase_add_test(tcase,
		       splice_to_a_channel_without_memory_leaves_the_pipe_as_it_is);
}

/* Last of all, and the very last one whatever became of the others. */
static void add_module(TCase *tcase)
{
	tcase_add_test(tcase,
		       insmod_without_memory_is_enomem_and_leaves_nothing);
	tcase_add_test(tcase, rmmod_without_memory_leaves_nothing);
	tcase_add_test(tcase, module_is_loaded_again_as_it_was);
}

int main(void)
{
	Suite *suite = suite_create("fail_nth");
	TCase *tcase = vm_tcase(suite, "faults");

	/* Some need hundreds of runs. */
	tcase_set_timeout(tcase, vm_timeout_ms(60 * 1000) / 1000.0);
	tcase_add_unchecked_fixture(tcase, fault_setup, fault_teardown);
	tcase_add_checked_fixture(tcase, fault_reset, NULL);
	add_transfers(tcase);
	add_parked(tcase);
	add_others(tcase);
	add_module(tcase);
	return vm_main(suite);
}
