// SPDX-License-Identifier: GPL-2.0-only
/* Kernel AIO: writes that find no room. They park with a copy of their data. */
#include "kernel_aio.h"

#include <poll.h>
#include <sys/uio.h>

/* Payload of which the small rings hold exactly FULL records. */
#define LENGTH	1000
#define FULL	8

#define LARGE	100000
#define MANY	1000
/* Records of 8 bytes that a small ring holds, a little less. */
#define FITTING	200

static const enum vm_channel both[] = { VM_STREAM_SMALL, VM_MESSAGE_SMALL };

/* An open file of a small channel that holds the pattern in FULL records. */
static int open_full(enum vm_channel channel, int flags)
{
	int fd = vm_open(channel, flags);

	ck_assert_uint_eq(vm_fill_records(fd, LENGTH), FULL);
	return fd;
}

/* Reads the next LENGTH bytes, the pattern's from record number @record on. */
static void read_record(int fd, size_t record)
{
	unsigned char buffer[LENGTH];

	vm_read(fd, buffer, LENGTH);
	vm_assert_pattern(buffer, LENGTH, record * LENGTH);
}

/* Fills in @data what belongs in record number @record. */
static void fill_record(unsigned char *data, size_t record)
{
	vm_pattern(data, LENGTH, record * LENGTH);
}

/* Row "no room", through io_submit: the request parks. */
START_TEST(write_without_room_parks_and_completes_when_there_is_room)
{
	int fd = open_full(both[_i], O_RDWR);
	uint64_t copied = vm_info(fd).copied_writes;
	io_context_t context = aio_context(1);
	unsigned char data[LENGTH];
	struct iocb request;
	int64_t start;
	size_t i;

	fill_record(data, FULL);
	start = vm_now_ms();
	aio_park_write(context, &request, fd, data, LENGTH);
	aio_assert_quick(start, "io_submit");
	ck_assert_uint_eq(vm_info(fd).copied_writes, copied + 1);
	read_record(fd, 0);
	ck_assert_int_eq(aio_result(context, &request), LENGTH);
	for (i = 1; i <= FULL; i++)
		read_record(fd, i);
	ck_assert_uint_eq(vm_info(fd).bytes, 0);
	aio_wait_unparked(fd);
}
END_TEST

START_TEST(write_on_a_nonblocking_file_parks)
{
	int fd = open_full(both[_i], O_RDWR | O_NONBLOCK);
	io_context_t context = aio_context(1);
	unsigned char data[LENGTH];
	struct iocb request;

	fill_record(data, FULL);
	aio_park_write(context, &request, fd, data, LENGTH);
	read_record(fd, 0);
	ck_assert_int_eq(aio_result(context, &request), LENGTH);
}
END_TEST

START_TEST(parked_writes_keep_their_order)
{
	int fd = open_full(both[_i], O_RDWR);
	io_context_t context = aio_context(5);
	unsigned char data[5][LENGTH];
	struct io_event events[5];
	struct iocb requests[5];
	size_t i;

	for (i = 0; i < 5; i++) {
		fill_record(data[i], FULL + i);
		aio_park_write(context, &requests[i], fd, data[i], LENGTH);
	}
	for (i = 0; i < FULL + 5; i++)
		read_record(fd, i);
	aio_wait(context, events, 5);
	for (i = 0; i < 5; i++) {
		ck_assert_ptr_eq(events[i].obj, &requests[i]);
		ck_assert_int_eq(events[i].res, LENGTH);
	}
}
END_TEST

START_TEST(thousand_parked_writes_arrive_in_order)
{
	struct iocb *requests = calloc(MANY, sizeof(*requests));
	struct io_event *events = calloc(MANY, sizeof(*events));
	uint64_t *values = calloc(MANY, sizeof(*values));
	int fd = open_full(both[_i], O_RDWR);
	io_context_t context = aio_context(MANY);
	uint64_t i, value;

	for (i = 0; i < MANY; i++) {
		values[i] = i;
		io_prep_pwrite(&requests[i], fd, &values[i], sizeof(value), 0);
	}
	aio_submit_all(context, requests, MANY);
	ck_assert_uint_eq(vm_info(fd).parked_writes, MANY);
	for (i = 0; i < FULL; i++)
		read_record(fd, i);
	for (i = 0; i < MANY; i++) {
		vm_read(fd, &value, sizeof(value));
		ck_assert_uint_eq(value, i);
	}
	aio_wait(context, events, MANY);
	for (i = 0; i < MANY; i++) {
		ck_assert_ptr_eq(events[i].obj, &requests[i]);
		ck_assert_int_eq(events[i].res, sizeof(value));
	}
	aio_wait_unparked(fd);
}
END_TEST

/* More of them have room at once than one reader moves: a worker does the rest. */
START_TEST(room_for_many_parked_writes_at_once_is_used_in_order)
{
	int fd = vm_open(VM_MESSAGE_SMALL, O_RDWR);
	io_context_t context = aio_context(FITTING);
	struct iocb requests[FITTING];
	struct io_event events[FITTING];
	uint64_t values[FITTING], value;
	unsigned char large[8000] = { 0 };
	/* What fills the ring up beside the large one. */
	size_t beside = 8192 - 2 * sizeof(struct achan_record) - sizeof(large);
	uint64_t i;

	vm_write(fd, large, sizeof(large));
	vm_write(fd, large, beside);
	for (i = 0; i < FITTING; i++) {
		values[i] = i;
		io_prep_pwrite(&requests[i], fd, &values[i], sizeof(value), 0);
	}
	aio_submit_all(context, requests, FITTING);
	ck_assert_uint_eq(vm_info(fd).parked_writes, FITTING);
	vm_read(fd, large, sizeof(large));
	aio_wait(context, events, FITTING);
	for (i = 0; i < FITTING; i++) {
		ck_assert_ptr_eq(events[i].obj, &requests[i]);
		ck_assert_int_eq(events[i].res, sizeof(value));
	}
	vm_read(fd, large, beside);
	for (i = 0; i < FITTING; i++) {
		vm_read(fd, &value, sizeof(value));
		ck_assert_uint_eq(value, i);
	}
	aio_wait_unparked(fd);
}
END_TEST

/* A parked write holds a copy: the buffer is the submitter's again. */
START_TEST(buffer_may_be_changed_after_submit)
{
	int fd = open_full(both[_i], O_RDWR);
	io_context_t context = aio_context(1);
	unsigned char data[LENGTH];
	struct iocb request;
	size_t i;

	fill_record(data, FULL);
	aio_park_write(context, &request, fd, data, LENGTH);
	memset(data, 0, sizeof(data));
	for (i = 0; i <= FULL; i++)
		read_record(fd, i);
	ck_assert_int_eq(aio_result(context, &request), LENGTH);
}
END_TEST

START_TEST(iovec_array_and_segments_may_be_changed_after_submit)
{
	int fd = open_full(both[_i], O_RDWR);
	io_context_t context = aio_context(1);
	unsigned char data[LENGTH];
	struct iovec segments[3] = {
		{ data, 1 }, { data + 1, 500 }, { data + 501, LENGTH - 501 },
	};
	struct iocb request;
	size_t i;

	fill_record(data, FULL);
	io_prep_pwritev(&request, fd, segments, 3, 0);
	aio_submit(context, &request);
	ck_assert(aio_idle(context));
	memset(segments, 0xff, sizeof(segments));
	memset(data, 0, sizeof(data));
	for (i = 0; i <= FULL; i++)
		read_record(fd, i);
	ck_assert_int_eq(aio_result(context, &request), LENGTH);
}
END_TEST

/* Row "order", for writers: who came later has to wait, however small. */
START_TEST(nonblocking_write_does_not_overtake_a_parked_one)
{
	int fd = open_full(VM_MESSAGE_SMALL, O_RDWR | O_NONBLOCK);
	unsigned char data[4 * LENGTH], buffer[4 * LENGTH];
	io_context_t context = aio_context(1);
	struct iocb request;
	size_t i;

	vm_pattern(data, sizeof(data), FULL * LENGTH);
	aio_park_write(context, &request, fd, data, sizeof(data));
	read_record(fd, 0);
	ck_assert(aio_idle(context));
	/* There is room for a small one, but it would overtake. */
	ck_assert_int_eq(vm_errno(write(fd, "small", 5)), -EAGAIN);
	ck_assert_int_eq(vm_poll(fd, POLLOUT | POLLWRNORM), 0);
	for (i = 1; i < FULL; i++)
		read_record(fd, i);
	ck_assert_int_eq(aio_result(context, &request), sizeof(data));
	ck_assert_int_eq(vm_poll_wait(fd, POLLOUT), POLLOUT);
	vm_write(fd, "small", 5);
	vm_read(fd, buffer, sizeof(buffer));
	vm_assert_pattern(buffer, sizeof(buffer), FULL * LENGTH);
	ck_assert_int_eq(vm_errno(read(fd, buffer, sizeof(buffer))), 5);
}
END_TEST

START_TEST(small_parked_write_does_not_overtake_a_large_one)
{
	int fd = open_full(VM_MESSAGE_SMALL, O_RDWR | O_NONBLOCK);
	unsigned char data[4 * LENGTH], buffer[4 * LENGTH];
	io_context_t contexts[2] = { aio_context(1), aio_context(1) };
	struct iocb large, small;
	size_t i;

	vm_pattern(data, sizeof(data), FULL * LENGTH);
	aio_park_write(contexts[0], &large, fd, data, sizeof(data));
	aio_park_write(contexts[1], &small, fd, "small", 5);
	read_record(fd, 0);
	ck_assert(aio_idle(contexts[0]));
	ck_assert(aio_idle(contexts[1]));
	for (i = 1; i < FULL; i++)
		read_record(fd, i);
	ck_assert_int_eq(aio_result(contexts[0], &large), sizeof(data));
	ck_assert_int_eq(aio_result(contexts[1], &small), 5);
	vm_read(fd, buffer, sizeof(buffer));
	vm_assert_pattern(buffer, sizeof(buffer), FULL * LENGTH);
	vm_read(fd, buffer, 5);
	ck_assert_mem_eq(buffer, "small", 5);
}
END_TEST

static long write_next_record(void *argument)
{
	unsigned char data[LENGTH];

	fill_record(data, FULL);
	return vm_errno(write(*(int *)argument, data, LENGTH));
}

START_TEST(sleeping_writer_and_parked_write_go_in_their_order)
{
	int fd = open_full(both[_i], O_RDWR);
	io_context_t context = aio_context(1);
	unsigned char data[LENGTH];
	struct vm_thread writer;
	struct iocb request;
	size_t i;

	vm_spawn(&writer, write_next_record, &fd);
	vm_wait_sleeping(writer.tid);
	fill_record(data, FULL + 1);
	aio_park_write(context, &request, fd, data, LENGTH);
	read_record(fd, 0);
	ck_assert_int_eq(vm_join(&writer), LENGTH);
	ck_assert(aio_idle(context));
	read_record(fd, 1);
	ck_assert_int_eq(aio_result(context, &request), LENGTH);
	for (i = 2; i < FULL + 2; i++)
		read_record(fd, i);
}
END_TEST

/* A parked stream write takes all, and completes once, with the whole count. */
START_TEST(stream_write_larger_than_the_ring_completes_whole)
{
	int fd = vm_open(VM_STREAM_SMALL, O_RDWR);
	unsigned char *data = malloc(LARGE);
	io_context_t context = aio_context(1);
	struct iocb request;
	size_t done = 0;

	vm_pattern(data, LARGE, 0);
	aio_park_write(context, &request, fd, data, LARGE);
	memset(data, 0, LARGE);
	while (done < LARGE) {
		ssize_t got = vm_errno(read(fd, data, 3000));

		ck_assert_int_gt(got, 0);
		vm_assert_pattern(data, got, done);
		done += got;
		/* A ring's worth before the end it cannot be through. */
		if (done + vm_info(fd).ring_bytes < LARGE)
			ck_assert(aio_idle(context));
	}
	ck_assert_uint_eq(done, LARGE);
	ck_assert_int_eq(aio_result(context, &request), LARGE);
	ck_assert_uint_eq(vm_info(fd).bytes, 0);
}
END_TEST

START_TEST(two_large_stream_writes_are_not_mixed)
{
	int fd = vm_open(VM_STREAM_SMALL, O_RDWR);
	unsigned char *data = malloc(2 * LARGE);
	io_context_t context = aio_context(2);
	struct iocb requests[2];
	struct io_event events[2];
	size_t done = 0;

	vm_pattern(data, 2 * LARGE, 0);
	aio_park_write(context, &requests[0], fd, data, LARGE);
	aio_park_write(context, &requests[1], fd, data + LARGE, LARGE);
	while (done < 2 * LARGE) {
		ssize_t got = vm_errno(read(fd, data, LARGE));

		ck_assert_int_gt(got, 0);
		vm_assert_pattern(data, got, done);
		done += got;
	}
	aio_wait(context, events, 2);
	ck_assert_ptr_eq(events[0].obj, &requests[0]);
	ck_assert_int_eq(events[0].res, LARGE);
	ck_assert_ptr_eq(events[1].obj, &requests[1]);
	ck_assert_int_eq(events[1].res, LARGE);
}
END_TEST

/* Row "write", message: larger than the ring can ever hold is -EMSGSIZE. */
START_TEST(message_larger_than_the_ring_is_emsgsize)
{
	int fd = vm_open(VM_MESSAGE_SMALL, O_RDWR);
	size_t length = vm_info(fd).record_max;
	unsigned char *data = calloc(1, length + 1);
	io_context_t context = aio_context(1);
	struct iocb request;

	io_prep_pwrite(&request, fd, data, length + 1, 0);
	aio_submit(context, &request);
	ck_assert_int_eq(aio_result(context, &request), -EMSGSIZE);
	ck_assert_uint_eq(vm_info(fd).bytes, 0);
	io_prep_pwrite(&request, fd, data, length, 0);
	aio_submit(context, &request);
	ck_assert_int_eq(aio_result(context, &request), length);
	/* Also when the ring is full. */
	io_prep_pwrite(&request, fd, data, length + 1, 0);
	aio_submit(context, &request);
	ck_assert_int_eq(aio_result(context, &request), -EMSGSIZE);
}
END_TEST

START_TEST(zero_length_write_to_a_full_channel_completes_with_0)
{
	int fd = open_full(both[_i], O_RDWR);
	uint64_t sequence = vm_info(fd).sequence;
	io_context_t context = aio_context(1);
	struct iocb request;

	io_prep_pwrite(&request, fd, "", 0, 0);
	aio_submit(context, &request);
	ck_assert_int_eq(aio_result(context, &request), 0);
	ck_assert_uint_eq(vm_info(fd).sequence, sequence);
}
END_TEST

START_TEST(rwf_nowait_write_without_room_completes_with_eagain)
{
	int fd = open_full(both[_i], O_RDWR);
	io_context_t context = aio_context(1);
	unsigned char data[LENGTH];
	struct iocb request;

	fill_record(data, FULL);
	io_prep_pwrite(&request, fd, data, LENGTH, 0);
	request.aio_rw_flags = RWF_NOWAIT;
	aio_submit(context, &request);
	ck_assert_int_eq(aio_result(context, &request), -EAGAIN);
	ck_assert_uint_eq(vm_info(fd).parked_writes, 0);
	read_record(fd, 0);
	aio_submit(context, &request);
	ck_assert_int_eq(aio_result(context, &request), LENGTH);
}
END_TEST

START_TEST(rwf_nowait_stream_write_takes_what_fits)
{
	int fd = vm_open(VM_STREAM_SMALL, O_RDWR | O_NONBLOCK);
	unsigned char *data = malloc(LARGE);
	io_context_t context = aio_context(1);
	struct iocb request;
	long taken;

	vm_pattern(data, LARGE, 0);
	io_prep_pwrite(&request, fd, data, LARGE, 0);
	request.aio_rw_flags = RWF_NOWAIT;
	aio_submit(context, &request);
	taken = aio_result(context, &request);
	ck_assert_int_gt(taken, 0);
	ck_assert_int_lt(taken, LARGE);
	ck_assert_uint_eq(vm_info(fd).bytes, taken);
	ck_assert_int_eq(vm_errno(read(fd, data, LARGE)), taken);
	vm_assert_pattern(data, taken, 0);
}
END_TEST

/* Row "page fault in the user's buffer": none half-written. */
START_TEST(write_of_a_bad_buffer_is_efault_and_puts_nothing_in)
{
	size_t page = vm_page_size();
	unsigned char *memory = vm_pages(1);
	int fd = vm_open(both[_i], O_RDWR | O_NONBLOCK);
	io_context_t context = aio_context(1);
	struct iocb request;
	char buffer[8];

	/* The first half can be read, the second cannot. */
	io_prep_pwrite(&request, fd, memory + page - LENGTH / 2, LENGTH, 0);
	aio_submit(context, &request);
	ck_assert_int_eq(aio_result(context, &request), -EFAULT);
	ck_assert_uint_eq(vm_info(fd).bytes, 0);
	ck_assert_uint_eq(vm_fill_records(fd, LENGTH), FULL);
	aio_submit(context, &request);
	ck_assert_int_eq(aio_result(context, &request), -EFAULT);
	ck_assert_uint_eq(vm_info(fd).parked_writes, 0);
	vm_drain(fd);
	vm_write(fd, "next", 4);
	ck_assert_int_eq(vm_errno(read(fd, buffer, sizeof(buffer))), 4);
	ck_assert_mem_eq(buffer, "next", 4);
}
END_TEST

START_TEST(close_does_not_end_a_parked_write)
{
	int fd = open_full(both[_i], O_RDWR);
	int other = vm_reopen(fd, O_RDWR);
	io_context_t context = aio_context(1);
	unsigned char data[LENGTH];
	struct iocb request;
	size_t i;

	fill_record(data, FULL);
	aio_park_write(context, &request, fd, data, LENGTH);
	close(fd);
	ck_assert(aio_idle(context));
	for (i = 0; i <= FULL; i++)
		read_record(other, i);
	ck_assert_int_eq(aio_result(context, &request), LENGTH);
	aio_wait_unparked(other);
}
END_TEST

static long read_all_records(void *argument)
{
	size_t i;

	for (i = 0; i <= FULL; i++)
		read_record(*(int *)argument, i);
	return i;
}

/* Also a record out of a parked write wakes who sleeps in read(). */
START_TEST(sleeping_reader_gets_what_a_parked_write_held)
{
	int fd = open_full(both[_i], O_RDWR);
	io_context_t context = aio_context(1);
	unsigned char data[LENGTH];
	struct vm_thread reader;
	struct iocb request;

	fill_record(data, FULL);
	aio_park_write(context, &request, fd, data, LENGTH);
	vm_spawn(&reader, read_all_records, &fd);
	ck_assert_int_eq(vm_join(&reader), FULL + 1);
	ck_assert_int_eq(aio_result(context, &request), LENGTH);
}
END_TEST

static size_t parameter(const char *name)
{
	char path[80];
	size_t value;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/module/achan/parameters/%s", name);
	file = fopen(path, "r");
	ck_assert_msg(file, "open %s: %s", path, strerror(errno));
	ck_assert_int_eq(fscanf(file, "%zu", &value), 1);
	fclose(file);
	return value;
}

/* Row "limits": the copies of parked writes are capped, -EAGAIN. */
START_TEST(writes_beyond_parked_bytes_complete_with_eagain)
{
	int fd = open_full(VM_STREAM_SMALL, O_RDWR);
	size_t limit = parameter("parked_bytes");
	size_t length = limit / 4 - 4096, parked = 0;
	io_context_t context = aio_context(8);
	unsigned char *data = calloc(1, length);
	struct iocb requests[8];

	for (; parked < 8; parked++) {
		io_prep_pwrite(&requests[parked], fd, data, length, 0);
		aio_submit(context, &requests[parked]);
		if (vm_info(fd).parked_writes == parked)
			break;
	}
	ck_assert_uint_eq(parked, 4);
	ck_assert_int_eq(aio_result(context, &requests[4]), -EAGAIN);
	/* What one of them held is free again once it is gone. */
	ck_assert_int_eq(aio_cancel_result(context, &requests[3]),
			 -ECANCELED);
	aio_park_write(context, &requests[4], fd, data, length);
	ck_assert_int_eq(io_destroy(context), 0);
	aio_wait_unparked(fd);
}
END_TEST

START_TEST(read_through_aio_makes_room_for_a_parked_write)
{
	int fd = open_full(both[_i], O_RDWR);
	io_context_t reads = aio_context(1), writes = aio_context(1);
	unsigned char data[LENGTH], buffer[LENGTH];
	struct iocb read_request, write_request;
	size_t i;

	fill_record(data, FULL);
	aio_park_write(writes, &write_request, fd, data, LENGTH);
	io_prep_pread(&read_request, fd, buffer, LENGTH, 0);
	aio_submit(reads, &read_request);
	ck_assert_int_eq(aio_result(reads, &read_request), LENGTH);
	vm_assert_pattern(buffer, LENGTH, 0);
	ck_assert_int_eq(aio_result(writes, &write_request), LENGTH);
	for (i = 1; i <= FULL; i++)
		read_record(fd, i);
}
END_TEST

static void add_both(TCase *tcase, const TTest *test)
{
	tcase_add_loop_test(tcase, test, 0, VM_ARRAY_SIZE(both));
}

static void add_parked_cases(Suite *suite)
{
	TCase *tcase = vm_tcase(suite, "parked");

	add_both(tcase,
		 write_without_room_parks_and_completes_when_there_is_room);
	add_both(tcase, write_on_a_nonblocking_file_parks);
	add_both(tcase, buffer_may_be_changed_after_submit);
	add_both(tcase, iovec_array_and_segments_may_be_changed_after_submit);
	tcase_add_test(tcase, stream_write_larger_than_the_ring_completes_whole);
	add_both(tcase, close_does_not_end_a_parked_write);
	add_both(tcase, sleeping_reader_gets_what_a_parked_write_held);
	add_both(tcase, read_through_aio_makes_room_for_a_parked_write);
	tcase_add_test(tcase, writes_beyond_parked_bytes_complete_with_eagain);
}

static void add_order_cases(Suite *suite)
{
	TCase *tcase = vm_tcase(suite, "order");

	add_both(tcase, parked_writes_keep_their_order);
	add_both(tcase, thousand_parked_writes_arrive_in_order);
	tcase_add_test(tcase,
		       room_for_many_parked_writes_at_once_is_used_in_order);
	tcase_add_test(tcase, nonblocking_write_does_not_overtake_a_parked_one);
	tcase_add_test(tcase, small_parked_write_does_not_overtake_a_large_one);
	add_both(tcase, sleeping_writer_and_parked_write_go_in_their_order);
	tcase_add_test(tcase, two_large_stream_writes_are_not_mixed);
}

static void add_argument_cases(Suite *suite)
{
	TCase *tcase = vm_tcase(suite, "arguments");

	tcase_add_test(tcase, message_larger_than_the_ring_is_emsgsize);
	add_both(tcase, zero_length_write_to_a_full_channel_completes_with_0);
	add_both(tcase, rwf_nowait_write_without_room_completes_with_eagain);
	tcase_add_test(tcase, rwf_nowait_stream_write_takes_what_fits);
	add_both(tcase, write_of_a_bad_buffer_is_efault_and_puts_nothing_in);
}

int main(void)
{
	Suite *suite = suite_create("aio_write");

	add_parked_cases(suite);
	add_order_cases(suite);
	add_argument_cases(suite);
	return vm_main(suite);
}
