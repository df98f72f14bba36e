// SPDX-License-Identifier: GPL-2.0-only
/* Kernel AIO: reads that park and complete, and what io_submit() refuses. */
#include "kernel_aio.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>

#define MANY	10000

/* Cases for every channel loop over these. */
static const enum vm_channel both[] = { VM_STREAM, VM_MESSAGE };

/* Row "the same through io_submit": the request parks, io_submit returns. */
START_TEST(submit_on_an_empty_channel_returns_at_once)
{
	int fd = vm_open(both[_i], O_RDWR);
	io_context_t context = aio_context(1);
	char buffer[16] = "";
	struct iocb request;
	int64_t start;

	io_prep_pread(&request, fd, buffer, sizeof(buffer), 0);
	start = vm_now_ms();
	ck_assert_int_eq(aio_try_submit(context, &request), 1);
	aio_assert_quick(start, "io_submit");
	ck_assert(aio_idle(context));
	ck_assert_uint_eq(vm_info(fd).parked_reads, 1);

	vm_write(fd, "hello", 5);
	ck_assert_int_eq(aio_result(context, &request), 5);
	ck_assert_str_eq(buffer, "hello");
	ck_assert(aio_idle(context));
	aio_wait_unparked(fd);
}
END_TEST

START_TEST(completion_carries_the_submitters_data)
{
	int fd = vm_open(both[_i], O_RDWR);
	io_context_t context = aio_context(1);
	struct io_event event;
	struct iocb request;
	char buffer[16];
	int data;

	io_prep_pread(&request, fd, buffer, sizeof(buffer), 0);
	request.data = &data;
	aio_submit(context, &request);
	vm_write(fd, "x", 1);
	aio_wait(context, &event, 1);
	ck_assert_ptr_eq(event.data, &data);
	ck_assert_ptr_eq(event.obj, &request);
	ck_assert_int_eq(event.res, 1);
	ck_assert_int_eq(event.res2, 0);
}
END_TEST

START_TEST(read_with_data_there_completes_in_submit)
{
	int fd = vm_open(both[_i], O_RDWR);
	io_context_t context = aio_context(1);
	uint64_t parked = aio_pinned(fd) + aio_worker(fd);
	struct timespec now = { 0, 0 };
	struct io_event event;
	char buffer[16] = "";
	struct iocb request;

	vm_write(fd, "ready", 5);
	io_prep_pread(&request, fd, buffer, sizeof(buffer), 0);
	aio_submit(context, &request);
	ck_assert_int_eq(io_getevents(context, 1, 1, &event, &now), 1);
	ck_assert_int_eq(event.res, 5);
	ck_assert_str_eq(buffer, "ready");
	ck_assert_uint_eq(aio_pinned(fd) + aio_worker(fd), parked);
}
END_TEST

/* Row "order": parked reads are served first come, first served. */
START_TEST(ten_thousand_parked_reads_complete_in_order)
{
	struct io_event *events = calloc(MANY, sizeof(*events));
	struct iocb *requests = calloc(MANY, sizeof(*requests));
	uint64_t *buffers = calloc(MANY, sizeof(*buffers));
	int fd = vm_open(both[_i], O_RDWR);
	io_context_t context = aio_context(MANY);
	uint64_t i;

	for (i = 0; i < MANY; i++) {
		buffers[i] = UINT64_MAX;
		io_prep_pread(&requests[i], fd, &buffers[i], sizeof(*buffers),
			      0);
	}
	aio_submit_all(context, requests, MANY);
	ck_assert_uint_eq(vm_info(fd).parked_reads, MANY);
	ck_assert(aio_idle(context));

	for (i = 0; i < MANY; i++)
		vm_write(fd, &i, sizeof(i));
	aio_wait(context, events, MANY);
	for (i = 0; i < MANY; i++) {
		ck_assert_ptr_eq(events[i].obj, &requests[i]);
		ck_assert_int_eq(events[i].res, sizeof(i));
		ck_assert_uint_eq(buffers[i], i);
	}
	ck_assert(aio_idle(context));
	aio_wait_unparked(fd);
}
END_TEST

START_TEST(parked_reads_of_two_contexts_and_files_share_one_order)
{
	int fd = vm_open(both[_i], O_RDWR);
	int files[2] = { fd, vm_reopen(fd, O_RDONLY) };
	io_context_t contexts[2] = { aio_context(8), aio_context(8) };
	uint64_t buffers[16], i;
	struct iocb requests[16];

	for (i = 0; i < VM_ARRAY_SIZE(requests); i++)
		aio_park_read(contexts[i / 3 % 2], &requests[i], files[i % 2],
			      &buffers[i], sizeof(*buffers));
	for (i = 0; i < VM_ARRAY_SIZE(requests); i++) {
		vm_write(fd, &i, sizeof(i));
		ck_assert_int_eq(aio_result(contexts[i / 3 % 2], &requests[i]),
				 sizeof(i));
		ck_assert_uint_eq(buffers[i], i);
	}
}
END_TEST

static long read_blocking(void *argument)
{
	char buffer[16];
	int fd = *(int *)argument;
	ssize_t got = vm_errno(read(fd, buffer, sizeof(buffer)));

	return got == 1 ? buffer[0] : got;
}

/* A record goes to the parked read, not to who already sleeps in read(). */
START_TEST(parked_read_goes_before_a_sleeping_reader)
{
	int fd = vm_open(both[_i], O_RDWR);
	io_context_t context = aio_context(1);
	struct vm_thread reader;
	struct iocb request;
	char buffer[16];

	vm_spawn(&reader, read_blocking, &fd);
	vm_wait_sleeping(reader.tid);
	aio_park_read(context, &request, fd, buffer, sizeof(buffer));
	vm_write(fd, "1", 1);
	ck_assert_int_eq(aio_result(context, &request), 1);
	ck_assert_int_eq(buffer[0], '1');
	vm_wait_sleeping(reader.tid);
	vm_write(fd, "2", 1);
	ck_assert_int_eq(vm_join(&reader), '2');
}
END_TEST

START_TEST(record_that_a_parked_read_takes_is_not_seen_by_poll_or_read)
{
	int fd = vm_open(both[_i], O_RDWR | O_NONBLOCK);
	io_context_t context = aio_context(1);
	struct iocb request;
	char buffer[16];

	aio_park_read(context, &request, fd, buffer, sizeof(buffer));
	ck_assert_int_eq(vm_errno(read(fd, buffer, 1)), -EAGAIN);
	ck_assert_int_eq(vm_poll(fd, POLLIN | POLLRDNORM), 0);
	vm_write(fd, "x", 1);
	ck_assert_int_eq(aio_result(context, &request), 1);
	ck_assert_int_eq(vm_poll(fd, POLLIN | POLLRDNORM), 0);
	ck_assert_int_eq(vm_errno(read(fd, buffer, 1)), -EAGAIN);
}
END_TEST

START_TEST(message_parked_with_too_small_a_buffer_is_emsgsize_record_stays)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR | O_NONBLOCK);
	io_context_t context = aio_context(2);
	struct iocb small, large;
	char buffer[16] = "";
	char three[3] = "ab";

	aio_park_read(context, &small, fd, three, sizeof(three));
	vm_write(fd, "hello", 5);
	ck_assert_int_eq(aio_result(context, &small), -EMSGSIZE);
	ck_assert_str_eq(three, "ab");
	io_prep_pread(&large, fd, buffer, sizeof(buffer), 0);
	aio_submit(context, &large);
	ck_assert_int_eq(aio_result(context, &large), 5);
	ck_assert_str_eq(buffer, "hello");
}
END_TEST

/* The record that was too large for the first goes to the one behind it. */
START_TEST(message_too_large_for_a_parked_read_goes_to_the_next_parked)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR | O_NONBLOCK);
	io_context_t contexts[2] = { aio_context(1), aio_context(1) };
	struct iocb small, large;
	char buffer[16] = "";
	char three[3];

	aio_park_read(contexts[0], &small, fd, three, sizeof(three));
	aio_park_read(contexts[1], &large, fd, buffer, sizeof(buffer));
	vm_write(fd, "hello", 5);
	ck_assert_int_eq(aio_result(contexts[0], &small), -EMSGSIZE);
	ck_assert_int_eq(aio_result(contexts[1], &large), 5);
	ck_assert_str_eq(buffer, "hello");
	ck_assert_int_eq(vm_errno(read(fd, buffer, 16)), -EAGAIN);
}
END_TEST

START_TEST(stream_write_is_spread_over_parked_reads)
{
	int fd = vm_open(VM_STREAM, O_RDWR | O_NONBLOCK);
	unsigned char data[4096], buffers[5][1000];
	io_context_t context = aio_context(5);
	struct iocb requests[5];
	size_t i;

	for (i = 0; i < 5; i++)
		aio_park_read(context, &requests[i], fd, buffers[i], 1000);
	vm_pattern(data, sizeof(data), 0);
	vm_write(fd, data, sizeof(data));
	for (i = 0; i < 5; i++) {
		size_t expected = i < 4 ? 1000 : 96;

		ck_assert_int_eq(aio_result(context, &requests[i]), expected);
		vm_assert_pattern(buffers[i], expected, 1000 * i);
	}
}
END_TEST

START_TEST(framed_parked_read_gets_header_payload_and_padding)
{
	int fd = vm_open(both[_i], O_RDWR);
	uint64_t sequence = vm_info(fd).sequence;
	io_context_t context = aio_context(1);
	struct achan_record record;
	unsigned char buffer[256];
	struct iocb request;

	vm_set_flags(fd, ACHAN_OPEN_FRAMED);
	memset(buffer, 0xff, sizeof(buffer));
	aio_park_read(context, &request, fd, buffer, sizeof(buffer));
	vm_write(fd, "hello", 5);
	ck_assert_int_eq(aio_result(context, &request), ACHAN_RECORD_SIZE(5));
	memcpy(&record, buffer, sizeof(record));
	ck_assert_uint_eq(record.length, 5);
	ck_assert_uint_eq(record.flags, 0);
	ck_assert_uint_eq(record.sequence, sequence);
	ck_assert_mem_eq(buffer + sizeof(record), "hello\0\0\0", 8);
	ck_assert_uint_eq(buffer[ACHAN_RECORD_SIZE(5)], 0xff);
}
END_TEST

START_TEST(framed_parked_read_too_small_is_emsgsize_record_stays)
{
	int fd = vm_open(both[_i], O_RDWR | O_NONBLOCK);
	size_t size = ACHAN_RECORD_SIZE(5);
	io_context_t context = aio_context(1);
	unsigned char buffer[256];
	struct iocb request;

	vm_set_flags(fd, ACHAN_OPEN_FRAMED);
	aio_park_read(context, &request, fd, buffer, size - 1);
	vm_write(fd, "hello", 5);
	ck_assert_int_eq(aio_result(context, &request), -EMSGSIZE);
	ck_assert_int_eq(vm_errno(read(fd, buffer, sizeof(buffer))), size);
	ck_assert_mem_eq(buffer + sizeof(struct achan_record), "hello", 5);
}
END_TEST

/* Segments of odd sizes at odd places, several over page boundaries. */
static size_t odd_segments(unsigned char *memory, struct iovec *segments,
			   size_t count)
{
	size_t page = vm_page_size(), total = 0, i;

	for (i = 0; i < count; i++) {
		segments[i].iov_base = memory + (i + 1) * page - 7 - i;
		segments[i].iov_len = 13 + 2 * i;
		total += segments[i].iov_len;
	}
	return total;
}

/* Asserts that the segments hold the pattern, and nothing else was touched. */
static void assert_segments(const unsigned char *memory, size_t size,
			    const struct iovec *segments, size_t count)
{
	unsigned char *copy = malloc(size);
	size_t done = 0, i;

	memcpy(copy, memory, size);
	for (i = 0; i < count; i++) {
		vm_assert_pattern(segments[i].iov_base, segments[i].iov_len,
				  done);
		memset(copy + ((unsigned char *)segments[i].iov_base - memory),
		       0, segments[i].iov_len);
		done += segments[i].iov_len;
	}
	for (i = 0; i < size; i++)
		ck_assert_msg(!copy[i], "byte %zu was written", i);
	free(copy);
}

/* Also: the iovec array is the kernel's only until io_submit() returns. */
START_TEST(parked_preadv_fills_unaligned_segments_over_page_boundaries)
{
	int fd = vm_open(both[_i], O_RDWR);
	unsigned char *memory = vm_pages(6), data[256];
	struct iovec segments[5], *array = malloc(sizeof(segments));
	io_context_t context = aio_context(1);
	uint64_t pinned = aio_pinned(fd);
	struct iocb request;
	size_t total;

	total = odd_segments(memory, segments, 5);
	memcpy(array, segments, sizeof(segments));
	io_prep_preadv(&request, fd, array, 5, 0);
	aio_submit(context, &request);
	ck_assert(aio_idle(context));
	memset(array, 0x55, sizeof(segments));
	free(array);

	vm_pattern(data, total, 0);
	vm_write(fd, data, total);
	ck_assert_int_eq(aio_result(context, &request), total);
	assert_segments(memory, 6 * vm_page_size(), segments, 5);
	/* Ten pages by the segments: too many to be pinned. */
	ck_assert_uint_eq(aio_pinned(fd), pinned);
}
END_TEST

START_TEST(parked_pinned_preadv_fills_unaligned_segments)
{
	int fd = vm_open(both[_i], O_RDWR);
	unsigned char *memory = vm_pages(5), data[256];
	struct iovec segments[4], array[4];
	io_context_t context = aio_context(1);
	uint64_t pinned = aio_pinned(fd);
	struct iocb request;
	size_t total;

	total = odd_segments(memory, segments, 4);
	memcpy(array, segments, sizeof(segments));
	io_prep_preadv(&request, fd, array, 4, 0);
	aio_submit(context, &request);
	ck_assert(aio_idle(context));
	memset(array, 0, sizeof(array));
	ck_assert_uint_eq(aio_pinned(fd), pinned + 1);

	vm_pattern(data, total, 0);
	vm_write(fd, data, total);
	ck_assert_int_eq(aio_result(context, &request), total);
	assert_segments(memory, 5 * vm_page_size(), segments, 4);
}
END_TEST

START_TEST(parked_preadv_of_a_short_record_fills_the_first_segments)
{
	int fd = vm_open(both[_i], O_RDWR);
	io_context_t context = aio_context(1);
	char first[4] = "....", second[4] = "....", third[4] = "....";
	struct iovec segments[3] = {
		{ first, 4 }, { second, 4 }, { third, 4 },
	};
	struct iocb request;

	io_prep_preadv(&request, fd, segments, 3, 0);
	aio_submit(context, &request);
	ck_assert(aio_idle(context));
	vm_write(fd, "abcdef", 6);
	ck_assert_int_eq(aio_result(context, &request), 6);
	ck_assert_mem_eq(first, "abcd", 4);
	ck_assert_mem_eq(second, "ef..", 4);
	ck_assert_mem_eq(third, "....", 4);
}
END_TEST

START_TEST(pwrite_and_pwritev_with_room_complete_in_submit)
{
	int fd = vm_open(both[_i], O_RDWR | O_NONBLOCK);
	struct iovec segments[2] = { { "vec", 3 }, { "tor", 3 } };
	io_context_t context = aio_context(1);
	struct iocb request;
	char buffer[16];

	io_prep_pwrite(&request, fd, "plain", 5, 0);
	aio_submit(context, &request);
	ck_assert_int_eq(aio_result(context, &request), 5);
	vm_read(fd, buffer, 5);
	ck_assert_mem_eq(buffer, "plain", 5);
	io_prep_pwritev(&request, fd, segments, 2, 0);
	aio_submit(context, &request);
	ck_assert_int_eq(aio_result(context, &request), 6);
	ck_assert_int_eq(vm_errno(read(fd, buffer, 16)), 6);
	ck_assert_mem_eq(buffer, "vector", 6);
}
END_TEST

START_TEST(request_on_a_nonblocking_file_parks)
{
	int fd = vm_open(both[_i], O_RDWR | O_NONBLOCK);
	io_context_t context = aio_context(1);
	struct iocb request;
	char buffer[16];

	aio_park_read(context, &request, fd, buffer, sizeof(buffer));
	vm_write(fd, "late", 4);
	ck_assert_int_eq(aio_result(context, &request), 4);
}
END_TEST

/* Row "the same with O_NONBLOCK or IOCB_NOWAIT": -EAGAIN. */
START_TEST(rwf_nowait_on_an_empty_channel_completes_with_eagain)
{
	int fd = vm_open(both[_i], O_RDWR);
	io_context_t context = aio_context(1);
	char buffer[16] = "";
	struct iocb request;

	io_prep_pread(&request, fd, buffer, sizeof(buffer), 0);
	request.aio_rw_flags = RWF_NOWAIT;
	aio_submit(context, &request);
	ck_assert_int_eq(aio_result(context, &request), -EAGAIN);
	ck_assert_uint_eq(vm_info(fd).parked_reads, 0);
	vm_write(fd, "now", 3);
	aio_submit(context, &request);
	ck_assert_int_eq(aio_result(context, &request), 3);
	ck_assert_str_eq(buffer, "now");
}
END_TEST

START_TEST(poll_request_completes_when_a_record_comes)
{
	int fd = vm_open(both[_i], O_RDWR);
	io_context_t context = aio_context(1);
	struct iocb request;
	char buffer[1];
	long events;

	io_prep_poll(&request, fd, POLLIN);
	aio_submit(context, &request);
	ck_assert(aio_idle(context));
	vm_write(fd, "x", 1);
	events = aio_result(context, &request);
	ck_assert_int_eq(events & (POLLIN | POLLOUT | POLLERR | POLLHUP),
			 POLLIN);
	vm_read(fd, buffer, 1);
}
END_TEST

START_TEST(poll_request_with_a_record_there_completes_in_submit)
{
	int fd = vm_open(both[_i], O_RDWR);
	io_context_t context = aio_context(1);
	struct iocb request;

	vm_write(fd, "x", 1);
	io_prep_poll(&request, fd, POLLIN);
	aio_submit(context, &request);
	ck_assert_int_eq(aio_result(context, &request) & POLLIN, POLLIN);
	/* The poll took nothing. */
	ck_assert_uint_eq(vm_info(fd).bytes, 1);
}
END_TEST

START_TEST(poll_request_for_room_completes_when_there_is_room)
{
	int fd = vm_open(both[_i], O_RDWR | O_NONBLOCK);
	io_context_t context = aio_context(1);
	unsigned char buffer[1 << 16];
	struct iocb request;

	vm_fill(fd);
	io_prep_poll(&request, fd, POLLOUT);
	aio_submit(context, &request);
	ck_assert(aio_idle(context));
	while (vm_errno(read(fd, buffer, sizeof(buffer))) > 0)
		;
	ck_assert_int_eq(aio_result(context, &request) & POLLOUT, POLLOUT);
}
END_TEST

/* Both directions on an O_RDWR file: the driver may have one queue only. */
START_TEST(poll_request_for_both_directions_tells_which)
{
	int fd = vm_open(both[_i], O_RDWR | O_NONBLOCK);
	io_context_t context = aio_context(1);
	struct iocb request;

	io_prep_poll(&request, fd, POLLIN | POLLOUT);
	aio_submit(context, &request);
	ck_assert_int_eq(aio_result(context, &request) & (POLLIN | POLLOUT),
			 POLLOUT);
	vm_fill(fd);
	io_prep_poll(&request, fd, POLLIN | POLLOUT);
	aio_submit(context, &request);
	ck_assert_int_eq(aio_result(context, &request) & (POLLIN | POLLOUT),
			 POLLIN);
}
END_TEST

/* The wake-up is for who can read: a poller only of what parked reads left. */
START_TEST(poll_request_sleeps_on_when_a_parked_read_takes_the_record)
{
	int fd = vm_open(both[_i], O_RDWR);
	io_context_t reads = aio_context(1), polls = aio_context(1);
	struct iocb read_request, poll_request;
	char buffer[16];

	io_prep_poll(&poll_request, fd, POLLIN);
	aio_submit(polls, &poll_request);
	aio_park_read(reads, &read_request, fd, buffer, sizeof(buffer));
	vm_write(fd, "1", 1);
	ck_assert_int_eq(aio_result(reads, &read_request), 1);
	ck_assert(aio_idle(polls));
	vm_write(fd, "2", 1);
	ck_assert_int_eq(aio_result(polls, &poll_request) & POLLIN, POLLIN);
}
END_TEST

/* IOCB_FLAG_RESFD. */
START_TEST(eventfd_is_raised_once_by_each_completion)
{
	int fd = vm_open(both[_i], O_RDWR);
	int counter = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	io_context_t context = aio_context(3);
	struct iocb requests[3];
	struct io_event events[3];
	char buffers[3][8];
	uint64_t count;
	size_t i;

	for (i = 0; i < 3; i++) {
		io_prep_pread(&requests[i], fd, buffers[i], 8, 0);
		io_set_eventfd(&requests[i], counter);
		aio_submit(context, &requests[i]);
	}
	ck_assert_int_eq(vm_poll(counter, POLLIN), 0);
	vm_write(fd, "1", 1);
	ck_assert_int_eq(vm_poll_wait(counter, POLLIN), POLLIN);
	aio_wait(context, events, 1);
	ck_assert_int_eq(read(counter, &count, sizeof(count)), 8);
	ck_assert_uint_eq(count, 1);
	vm_write(fd, "2", 1);
	aio_wait(context, events, 1);
	ck_assert_int_eq(aio_cancel_result(context, &requests[2]), -ECANCELED);
	ck_assert_int_eq(read(counter, &count, sizeof(count)), 8);
	ck_assert_uint_eq(count, 2);
	ck_assert_int_eq(vm_errno(read(counter, &count, 8)), -EAGAIN);
}
END_TEST

START_TEST(eventfd_is_raised_once_by_a_completion_in_submit)
{
	int fd = vm_open(both[_i], O_RDWR);
	int counter = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	io_context_t context = aio_context(1);
	struct iocb request;
	uint64_t count;
	char buffer[8];

	vm_write(fd, "x", 1);
	io_prep_pread(&request, fd, buffer, sizeof(buffer), 0);
	io_set_eventfd(&request, counter);
	aio_submit(context, &request);
	ck_assert_int_eq(aio_result(context, &request), 1);
	ck_assert_int_eq(read(counter, &count, sizeof(count)), 8);
	ck_assert_uint_eq(count, 1);
}
END_TEST

/* Row "lseek, pread, pwrite": the AIO offset is ignored. */
START_TEST(offset_is_ignored)
{
	int fd = vm_open(both[_i], O_RDWR);
	io_context_t context = aio_context(1);
	struct iocb request;
	char buffer[8];

	io_prep_pwrite(&request, fd, "abc", 3, 123456789);
	aio_submit(context, &request);
	ck_assert_int_eq(aio_result(context, &request), 3);
	io_prep_pread(&request, fd, buffer, sizeof(buffer), 1LL << 40);
	aio_submit(context, &request);
	ck_assert_int_eq(aio_result(context, &request), 3);
	ck_assert_mem_eq(buffer, "abc", 3);
}
END_TEST

START_TEST(negative_offset_is_einval)
{
	int fd = vm_open(both[_i], O_RDWR);
	io_context_t context = aio_context(1);
	struct iocb request;
	char buffer[8] = "";

	io_prep_pread(&request, fd, buffer, sizeof(buffer), -1);
	ck_assert_int_eq(aio_try_submit(context, &request), -EINVAL);
	io_prep_pwrite(&request, fd, buffer, sizeof(buffer), -1);
	ck_assert_int_eq(aio_try_submit(context, &request), -EINVAL);
	ck_assert(aio_idle(context));
	ck_assert_uint_eq(vm_info(fd).bytes, 0);
}
END_TEST

START_TEST(fsync_and_fdsync_are_einval)
{
	int fd = vm_open(both[_i], O_RDWR);
	io_context_t context = aio_context(1);
	struct iocb request;

	io_prep_fsync(&request, fd);
	ck_assert_int_eq(aio_try_submit(context, &request), -EINVAL);
	io_prep_fdsync(&request, fd);
	ck_assert_int_eq(aio_try_submit(context, &request), -EINVAL);
}
END_TEST

START_TEST(read_of_a_write_only_file_and_the_reverse_are_ebadf)
{
	int writer = vm_open(both[_i], O_WRONLY);
	int reader = vm_reopen(writer, O_RDONLY);
	io_context_t context = aio_context(1);
	struct iocb request;
	char buffer[8] = "";

	io_prep_pread(&request, writer, buffer, sizeof(buffer), 0);
	ck_assert_int_eq(aio_try_submit(context, &request), -EBADF);
	io_prep_pwrite(&request, reader, buffer, sizeof(buffer), 0);
	ck_assert_int_eq(aio_try_submit(context, &request), -EBADF);
	ck_assert(aio_idle(context));
}
END_TEST

/* Row "page fault in the user's buffer": -EFAULT, no record lost. */
START_TEST(bad_buffer_with_data_there_is_efault_record_stays)
{
	int fd = vm_open(both[_i], O_RDWR | O_NONBLOCK);
	unsigned char *guard = (unsigned char *)vm_pages(1) + vm_page_size();
	io_context_t context = aio_context(1);
	struct iocb request;
	char buffer[8];

	vm_write(fd, "kept", 4);
	io_prep_pread(&request, fd, guard, 8, 0);
	aio_submit(context, &request);
	ck_assert_int_eq(aio_result(context, &request), -EFAULT);
	ck_assert_int_eq(vm_errno(read(fd, buffer, sizeof(buffer))), 4);
	ck_assert_mem_eq(buffer, "kept", 4);
}
END_TEST

START_TEST(parked_bad_buffer_is_efault_record_stays)
{
	int fd = vm_open(both[_i], O_RDWR | O_NONBLOCK);
	unsigned char *guard = (unsigned char *)vm_pages(1) + vm_page_size();
	io_context_t context = aio_context(1);
	struct iocb request;
	char buffer[8];

	io_prep_pread(&request, fd, guard, 8, 0);
	aio_submit(context, &request);
	vm_write(fd, "kept", 4);
	ck_assert_int_eq(aio_result(context, &request), -EFAULT);
	ck_assert_int_eq(vm_poll_wait(fd, POLLIN) & POLLIN, POLLIN);
	ck_assert_int_eq(vm_errno(read(fd, buffer, sizeof(buffer))), 4);
	ck_assert_mem_eq(buffer, "kept", 4);
}
END_TEST

/* The next parked read gets the record that a bad buffer could not take. */
START_TEST(record_of_a_parked_bad_buffer_goes_to_the_next_parked)
{
	int fd = vm_open(both[_i], O_RDWR | O_NONBLOCK);
	unsigned char *guard = (unsigned char *)vm_pages(1) + vm_page_size();
	io_context_t contexts[2] = { aio_context(1), aio_context(1) };
	struct iocb bad, good;
	char buffer[8];

	io_prep_pread(&bad, fd, guard, 8, 0);
	aio_submit(contexts[0], &bad);
	aio_park_read(contexts[1], &good, fd, buffer, sizeof(buffer));
	vm_write(fd, "kept", 4);
	ck_assert_int_eq(aio_result(contexts[0], &bad), -EFAULT);
	ck_assert_int_eq(aio_result(contexts[1], &good), 4);
	ck_assert_mem_eq(buffer, "kept", 4);
	ck_assert_int_eq(vm_errno(read(fd, buffer, sizeof(buffer))), -EAGAIN);
}
END_TEST

START_TEST(bad_iovec_array_is_refused_by_submit)
{
	int fd = vm_open(both[_i], O_RDWR | O_NONBLOCK);
	unsigned char *guard = (unsigned char *)vm_pages(1) + vm_page_size();
	io_context_t context = aio_context(1);
	struct iocb request;

	io_prep_preadv(&request, fd, (struct iovec *)guard, 2, 0);
	ck_assert_int_eq(aio_try_submit(context, &request), -EFAULT);
	ck_assert(aio_idle(context));
	ck_assert_uint_eq(vm_info(fd).parked_reads, 0);
}
END_TEST

START_TEST(zero_length_read_of_an_empty_channel_completes_with_0)
{
	int fd = vm_open(both[_i], O_RDWR);
	io_context_t context = aio_context(1);
	struct iocb request;
	char buffer[1];

	io_prep_pread(&request, fd, buffer, 0, 0);
	aio_submit(context, &request);
	ck_assert_int_eq(aio_result(context, &request), 0);
	ck_assert_uint_eq(vm_info(fd).parked_reads, 0);
	io_prep_preadv(&request, fd, NULL, 0, 0);
	aio_submit(context, &request);
	ck_assert_int_eq(aio_result(context, &request), 0);
}
END_TEST

START_TEST(close_does_not_end_a_parked_read)
{
	int fd = vm_open(both[_i], O_RDWR);
	int other = vm_reopen(fd, O_RDWR);
	io_context_t context = aio_context(1);
	struct iocb request;
	char buffer[8];

	aio_park_read(context, &request, fd, buffer, sizeof(buffer));
	close(fd);
	ck_assert(aio_idle(context));
	ck_assert_uint_eq(vm_info(other).parked_reads, 1);
	vm_write(other, "after", 5);
	ck_assert_int_eq(aio_result(context, &request), 5);
	ck_assert_mem_eq(buffer, "after", 5);
	aio_wait_unparked(other);
}
END_TEST

static long write_word(void *argument)
{
	int fd = *(int *)argument;

	return vm_errno(write(fd, "word", 4));
}

static int write_word_in_child(void *argument)
{
	return write_word(argument) == 4 ? 0 : 1;
}

START_TEST(record_from_another_thread_completes_a_parked_read)
{
	int fd = vm_open(both[_i], O_RDWR);
	io_context_t context = aio_context(1);
	struct vm_thread writer;
	struct iocb request;
	char buffer[8];

	aio_park_read(context, &request, fd, buffer, sizeof(buffer));
	vm_spawn(&writer, write_word, &fd);
	ck_assert_int_eq(aio_result(context, &request), 4);
	ck_assert_mem_eq(buffer, "word", 4);
	ck_assert_int_eq(vm_join(&writer), 4);
}
END_TEST

START_TEST(record_from_another_process_completes_a_parked_read)
{
	int fd = vm_open(both[_i], O_RDWR);
	io_context_t context = aio_context(1);
	struct iocb request;
	char buffer[8];
	pid_t child;

	aio_park_read(context, &request, fd, buffer, sizeof(buffer));
	child = vm_fork(write_word_in_child, &fd);
	ck_assert_int_eq(aio_result(context, &request), 4);
	ck_assert_mem_eq(buffer, "word", 4);
	vm_wait_success(child);
}
END_TEST

static long wait_for_event(void *argument)
{
	struct io_event event;
	int got;

	do {
		got = io_getevents(argument, 1, 1, &event, NULL);
	} while (got == -EINTR);
	return got == 1 ? (long)event.res : got;
}

START_TEST(thread_asleep_in_io_getevents_is_woken)
{
	int fd = vm_open(both[_i], O_RDWR);
	io_context_t context = aio_context(1);
	struct vm_thread waiter;
	struct iocb request;
	char buffer[8];

	aio_park_read(context, &request, fd, buffer, sizeof(buffer));
	vm_spawn(&waiter, wait_for_event, context);
	vm_wait_sleeping(waiter.tid);
	vm_write(fd, "abc", 3);
	ck_assert_int_eq(vm_join(&waiter), 3);
}
END_TEST

/* A context of few events takes requests in turn without end. */
START_TEST(context_is_reused_many_times)
{
	int fd = vm_open(both[_i], O_RDWR);
	io_context_t context = aio_context(4);
	struct iocb request;
	uint64_t buffer, i;

	for (i = 0; i < 2000; i++) {
		io_prep_pread(&request, fd, &buffer, sizeof(buffer), 0);
		aio_submit(context, &request);
		vm_write(fd, &i, sizeof(i));
		ck_assert_int_eq(aio_result(context, &request), sizeof(i));
		ck_assert_uint_eq(buffer, i);
	}
	aio_wait_unparked(fd);
}
END_TEST

/* Row "limits": parked requests are capped, -EAGAIN. */
START_TEST(read_beyond_parked_max_completes_with_eagain)
{
	FILE *file = fopen("/sys/module/achan/parameters/parked_max", "r");
	int fd = vm_open(VM_MESSAGE, O_RDWR);
	struct iocb *requests, over;
	io_context_t context;
	unsigned int limit, i;
	char byte;

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file, "%u", &limit), 1);
	fclose(file);
	requests = calloc(limit, sizeof(*requests));
	context = aio_context(limit + 1);
	for (i = 0; i < limit; i++)
		io_prep_pread(&requests[i], fd, &byte, 1, 0);
	aio_submit_all(context, requests, limit);
	ck_assert_uint_eq(vm_info(fd).parked_reads, limit);
	ck_assert(aio_idle(context));

	io_prep_pread(&over, fd, &byte, 1, 0);
	aio_submit(context, &over);
	ck_assert_int_eq(aio_result(context, &over), -EAGAIN);
	/* One gone makes room for one. */
	vm_write(fd, "x", 1);
	ck_assert_int_eq(aio_result(context, &requests[0]), 1);
	aio_park_read(context, &over, fd, &byte, 1);
	ck_assert_int_eq(io_destroy(context), 0);
	aio_wait_unparked(fd);
}
END_TEST

static void add_both(TCase *tcase, const TTest *test)
{
	tcase_add_loop_test(tcase, test, 0, VM_ARRAY_SIZE(both));
}

static void add_read_cases(Suite *suite)
{
	TCase *tcase = vm_tcase(suite, "read");

	add_both(tcase, submit_on_an_empty_channel_returns_at_once);
	add_both(tcase, completion_carries_the_submitters_data);
	add_both(tcase, read_with_data_there_completes_in_submit);
	add_both(tcase, ten_thousand_parked_reads_complete_in_order);
	add_both(tcase, parked_reads_of_two_contexts_and_files_share_one_order);
	add_both(tcase, parked_read_goes_before_a_sleeping_reader);
	add_both(tcase,
		 record_that_a_parked_read_takes_is_not_seen_by_poll_or_read);
	tcase_add_test(tcase, message_parked_with_too_small_a_buffer_is_emsgsize_record_stays);
	tcase_add_test(tcase, message_too_large_for_a_parked_read_goes_to_the_next_parked);
	tcase_add_test(tcase, stream_write_is_spread_over_parked_reads);
	add_both(tcase, framed_parked_read_gets_header_payload_and_padding);
	add_both(tcase, framed_parked_read_too_small_is_emsgsize_record_stays);
	add_both(tcase, record_from_another_thread_completes_a_parked_read);
	add_both(tcase, record_from_another_process_completes_a_parked_read);
	add_both(tcase, thread_asleep_in_io_getevents_is_woken);
	add_both(tcase, close_does_not_end_a_parked_read);
	add_both(tcase, context_is_reused_many_times);
	tcase_add_test(tcase, read_beyond_parked_max_completes_with_eagain);
}

static void add_vector_cases(Suite *suite)
{
	TCase *tcase = vm_tcase(suite, "vector");

	add_both(tcase,
		 parked_preadv_fills_unaligned_segments_over_page_boundaries);
	add_both(tcase, parked_pinned_preadv_fills_unaligned_segments);
	add_both(tcase,
		 parked_preadv_of_a_short_record_fills_the_first_segments);
	add_both(tcase, pwrite_and_pwritev_with_room_complete_in_submit);
}

static void add_poll_cases(Suite *suite)
{
	TCase *tcase = vm_tcase(suite, "poll");

	add_both(tcase, poll_request_completes_when_a_record_comes);
	add_both(tcase, poll_request_with_a_record_there_completes_in_submit);
	add_both(tcase, poll_request_for_room_completes_when_there_is_room);
	add_both(tcase, poll_request_for_both_directions_tells_which);
	add_both(tcase,
		 poll_request_sleeps_on_when_a_parked_read_takes_the_record);
	add_both(tcase, eventfd_is_raised_once_by_each_completion);
	add_both(tcase, eventfd_is_raised_once_by_a_completion_in_submit);
}

static void add_argument_cases(Suite *suite)
{
	TCase *tcase = vm_tcase(suite, "arguments");

	add_both(tcase, request_on_a_nonblocking_file_parks);
	add_both(tcase, rwf_nowait_on_an_empty_channel_completes_with_eagain);
	add_both(tcase, offset_is_ignored);
	add_both(tcase, negative_offset_is_einval);
	add_both(tcase, fsync_and_fdsync_are_einval);
	add_both(tcase, read_of_a_write_only_file_and_the_reverse_are_ebadf);
	add_both(tcase, bad_buffer_with_data_there_is_efault_record_stays);
	add_both(tcase, parked_bad_buffer_is_efault_record_stays);
	add_both(tcase, record_of_a_parked_bad_buffer_goes_to_the_next_parked);
	add_both(tcase, bad_iovec_array_is_refused_by_submit);
	add_both(tcase, zero_length_read_of_an_empty_channel_completes_with_0);
}

int main(void)
{
	Suite *suite = suite_create("aio");

	add_read_cases(suite);
	add_vector_cases(suite);
	add_poll_cases(suite);
	add_argument_cases(suite);
	return vm_main(suite);
}
