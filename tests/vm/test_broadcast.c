// SPDX-License-Identifier: GPL-2.0-only
/*
 * Broadcast: every file open for reading sees every record from its open on,
 * and loses only its own.
 */
#include "control.h"
#include "kernel_aio.h"

#include <poll.h>
#include <sys/ioctl.h>

#define READERS	64
#define RECORDS	2000

static struct achan_create create;

static void make(uint32_t overflow)
{
	create = control_loop("news");
	create.config.delivery = ACHAN_DELIVERY_BROADCAST;
	create.config.overflow = overflow;
	control_make(&create);
}

static int reader(int flags)
{
	return control_node(create.minor, O_RDONLY | flags);
}

static int writer(int flags)
{
	return control_node(create.minor, O_WRONLY | flags);
}

static void expect(int fd, const char *text)
{
	char data[64] = "";

	ck_assert_int_eq(vm_errno(read(fd, data, sizeof(data))),
			 (ssize_t)strlen(text));
	ck_assert_str_eq(data, text);
}

START_TEST(every_reader_sees_every_record)
{
	int fds[3], out;

	make(ACHAN_OVERFLOW_DROP);
	out = writer(0);
	for (int i = 0; i < 3; i++)
		fds[i] = reader(O_NONBLOCK);
	vm_write(out, "one", 3);
	vm_write(out, "two", 3);
	for (int i = 0; i < 3; i++) {
		expect(fds[i], "one");
		expect(fds[i], "two");
		ck_assert_int_eq(vm_errno(read(fds[i], &i, 0)), 0);
		ck_assert_int_eq(vm_poll(fds[i], POLLIN), 0);
	}
}
END_TEST

START_TEST(reader_sees_records_from_its_open_on)
{
	int first, second, out;

	make(ACHAN_OVERFLOW_DROP);
	out = writer(0);
	vm_write(out, "nobody", 6);
	first = reader(O_NONBLOCK);
	vm_write(out, "first", 5);
	second = reader(O_NONBLOCK);
	vm_write(out, "both", 4);
	expect(first, "first");
	expect(first, "both");
	expect(second, "both");
	ck_assert_int_eq(vm_poll(second, POLLIN), 0);
}
END_TEST

/* One who reads and writes hears itself, as in a loop. */
START_TEST(file_for_both_hears_itself)
{
	int fd;

	make(ACHAN_OVERFLOW_DROP);
	fd = control_node(create.minor, O_RDWR | O_NONBLOCK);
	ck_assert_int_eq(vm_poll(fd, POLLIN | POLLOUT), POLLOUT);
	vm_write(fd, "echo", 4);
	ck_assert_int_eq(vm_poll(fd, POLLIN | POLLOUT), POLLIN | POLLOUT);
	expect(fd, "echo");
}
END_TEST

START_TEST(numbers_are_the_same_for_all)
{
	struct achan_record headers[2] = { 0 };
	char frame[64];
	int fds[2], out;

	make(ACHAN_OVERFLOW_DROP);
	out = writer(0);
	fds[0] = reader(O_NONBLOCK);
	for (int i = 0; i < 5; i++) {
		vm_write(out, "x", 1);
		ck_assert_int_eq(vm_errno(read(fds[0], frame, 64)), 1);
	}
	fds[1] = reader(O_NONBLOCK);
	vm_write(out, "x", 1);
	for (int i = 0; i < 2; i++) {
		vm_set_flags(fds[i], ACHAN_OPEN_FRAMED);
		ck_assert_int_eq(vm_errno(read(fds[i], frame, 64)), 32);
		memcpy(&headers[i], frame, sizeof(headers[i]));
	}
	ck_assert_uint_eq(headers[0].sequence, 5);
	ck_assert_mem_eq(&headers[0], &headers[1], sizeof(headers[0]));
}
END_TEST

/* Reads frames until there is none: how many, and the first and last number. */
static size_t take_all(int fd, uint64_t *first, uint64_t *last)
{
	static char frames[65536] __attribute__((aligned(8)));
	size_t records = 0;
	ssize_t got;

	while ((got = vm_errno(read(fd, frames, sizeof(frames)))) > 0) {
		for (ssize_t at = 0; at < got;) {
			struct achan_record *header = (void *)(frames + at);

			if (!records++)
				*first = header->sequence;
			else
				ck_assert_uint_gt(header->sequence, *last);
			*last = header->sequence;
			at += ACHAN_RECORD_SIZE(header->length);
		}
	}
	ck_assert_int_eq(got, -EAGAIN);
	return records;
}

START_TEST(slow_reader_loses_only_its_own_and_is_told_how_many)
{
	uint64_t first = 0, last = 0;
	char data[1000] = { 0 };
	struct achan_stats stats;
	size_t kept;
	int slow, fast, out;

	make(_i);
	slow = reader(O_NONBLOCK);
	fast = reader(O_NONBLOCK);
	out = writer(0);
	vm_set_flags(slow, ACHAN_OPEN_FRAMED);
	for (int i = 0; i < 100; i++) {
		vm_write(out, data, sizeof(data));
		vm_read(fast, data, sizeof(data));
	}
	stats = control_file_stats(fast);
	ck_assert_uint_eq(stats.lost, 0);
	ck_assert_uint_eq(stats.records_out, 100);
	kept = take_all(slow, &first, &last);
	stats = control_file_stats(slow);
	ck_assert_uint_eq(kept, 8);
	ck_assert_uint_eq(stats.lost, 92);
	ck_assert_uint_eq(stats.records_out, 8);
	if (_i == ACHAN_OVERFLOW_DROP) {
		ck_assert_uint_eq(stats.dropped, 92);
		ck_assert_uint_eq(first, 0);
		ck_assert_uint_eq(last, 7);
	} else {
		ck_assert_uint_eq(stats.overwritten, 92);
		ck_assert_uint_eq(first, 92);
		ck_assert_uint_eq(last, 99);
	}
	/* And the gap is there for the next record. */
	vm_write(out, data, sizeof(data));
	ck_assert_uint_eq(take_all(slow, &first, &last), 1);
	ck_assert_uint_eq(first, 100);
	stats = control_stats("news");
	ck_assert_uint_eq(stats.lost, 92);
	ck_assert_uint_eq(stats.records_in, 101);
}
END_TEST

START_TEST(writer_is_never_held_by_a_reader)
{
	char data[1000] = { 0 };
	int out;

	make(_i);
	reader(0);
	out = writer(0);
	for (int i = 0; i < 1000; i++)
		vm_write(out, data, sizeof(data));
	vm_set_nonblock(out, true);
	for (int i = 0; i < 1000; i++)
		vm_write(out, data, sizeof(data));
	ck_assert_int_eq(vm_poll(out, POLLOUT), POLLOUT);
}
END_TEST

START_TEST(stream_is_broadcast_too)
{
	static char data[30000], got[30000];
	int one, other, out;

	create = control_loop("news");
	create.config.mode = ACHAN_MODE_STREAM;
	create.config.ring_bytes = 65536;
	create.config.delivery = ACHAN_DELIVERY_BROADCAST;
	control_make(&create);
	one = reader(O_NONBLOCK);
	other = reader(O_NONBLOCK);
	out = writer(0);
	vm_pattern(data, sizeof(data), 0);
	vm_write(out, data, sizeof(data));
	vm_read(one, got, sizeof(got));
	vm_assert_pattern(got, sizeof(got), 0);
	vm_read(other, got, 10000);
	vm_read(other, got + 10000, 20000);
	vm_assert_pattern(got, sizeof(got), 0);
}
END_TEST

START_TEST(each_sleeping_reader_wakes)
{
	struct vm_thread threads[8];
	struct vm_transfer transfers[8];
	char data[8][8];
	int out;

	make(ACHAN_OVERFLOW_DROP);
	out = writer(0);
	for (int i = 0; i < 8; i++) {
		transfers[i] = (struct vm_transfer){ reader(0), data[i], 8 };
		vm_spawn(&threads[i], vm_read_thread, &transfers[i]);
	}
	for (int i = 0; i < 8; i++)
		vm_wait_sleeping(threads[i].tid);
	vm_write(out, "wake", 4);
	for (int i = 0; i < 8; i++) {
		ck_assert_int_eq(vm_join(&threads[i]), 4);
		ck_assert_mem_eq(data[i], "wake", 4);
	}
}
END_TEST

START_TEST(parked_read_of_each_reader_is_served)
{
	io_context_t context = aio_context(8);
	struct iocb requests[8];
	struct io_event events[8];
	char data[8][8];
	int out;

	make(ACHAN_OVERFLOW_DROP);
	out = writer(0);
	for (int i = 0; i < 8; i++)
		aio_park_read(context, &requests[i], reader(0), data[i], 8);
	vm_write(out, "parked", 6);
	aio_wait(context, events, 8);
	for (int i = 0; i < 8; i++) {
		ck_assert_int_eq((long)events[i].res, 6);
		ck_assert_mem_eq(data[i], "parked", 6);
	}
	ck_assert_uint_eq(control_stats("news").completed, 8);
}
END_TEST

START_TEST(worker_read_closed_while_it_is_parked)
{
	io_context_t context = aio_context(1);
	struct iocb request;
	int in, out;

	make(ACHAN_OVERFLOW_DROP);
	out = writer(0);
	in = reader(0);
	aio_park_read(context, &request, in, malloc(AIO_WORKER_BYTES),
		      AIO_WORKER_BYTES);
	close(in);
	vm_write(out, "kept", 4);
	ck_assert_int_eq(aio_result(context, &request), 4);
	ck_assert(aio_idle(context));
}
END_TEST

START_TEST(last_writer_leaves_the_end_to_every_reader)
{
	int one, other, out;
	char byte;

	create = control_loop("news");
	create.config.delivery = ACHAN_DELIVERY_BROADCAST;
	create.config.hangup = ACHAN_HANGUP_FIFO;
	control_make(&create);
	signal(SIGPIPE, SIG_IGN);
	one = reader(O_NONBLOCK);
	out = writer(0);
	other = reader(O_NONBLOCK);
	vm_write(out, "last", 4);
	close(out);
	expect(one, "last");
	ck_assert_int_eq(vm_errno(read(one, &byte, 1)), 0);
	ck_assert_int_eq(vm_poll(other, POLLIN), POLLIN | POLLHUP);
	expect(other, "last");
	ck_assert_int_eq(vm_errno(read(other, &byte, 1)), 0);
	out = writer(0);
	ck_assert_int_eq(vm_errno(read(one, &byte, 1)), -EAGAIN);
	close(one);
	vm_write(out, "x", 1);
	close(other);
	ck_assert_int_eq(vm_errno(write(out, "y", 1)), -EPIPE);
}
END_TEST

START_TEST(removal_leaves_what_was_written_to_every_reader)
{
	int one, other, out;
	char byte;

	make(ACHAN_OVERFLOW_DROP);
	out = writer(0);
	one = reader(0);
	other = reader(0);
	vm_write(out, "rest", 4);
	ck_assert_int_eq(control_remove("news"), 0);
	ck_assert_int_eq(vm_errno(write(out, "x", 1)), -ENODEV);
	ck_assert_int_eq(vm_poll(one, POLLIN), POLLIN | POLLHUP | POLLERR);
	expect(one, "rest");
	ck_assert_int_eq(vm_errno(read(one, &byte, 1)), -ENODEV);
	expect(other, "rest");
	ck_assert_int_eq(vm_errno(read(other, &byte, 1)), -ENODEV);
}
END_TEST

struct reading {
	int fd;
	int number;
	uint64_t records;
	uint64_t gaps;
	uint64_t next;
};

/* Reads to the end, the slower the larger its number. */
static long read_at_own_speed(void *argument)
{
	struct reading *reading = argument;
	char frame[128] __attribute__((aligned(8)));
	struct achan_record *header = (void *)frame;
	ssize_t got;

	while ((got = read(reading->fd, frame, sizeof(frame))) > 0) {
		if (header->sequence < reading->next)
			return -EBADMSG;
		reading->gaps += header->sequence - reading->next;
		reading->next = header->sequence + 1;
		reading->records++;
		for (volatile int i = 0; i < reading->number * 100; i++)
			;
	}
	return vm_errno(got);
}

/* What came and what was lost is what was written, for each of them. */
START_TEST(sixty_four_readers_of_different_speed_account_for_every_record)
{
	struct vm_thread threads[READERS];
	struct reading readings[READERS];
	char data[72] = { 0 };
	uint64_t records = vm_repeat(RECORDS), lost = 0;
	int out;

	create = control_loop("news");
	create.config.delivery = ACHAN_DELIVERY_BROADCAST;
	create.config.overflow = _i;
	create.config.hangup = ACHAN_HANGUP_FIFO;
	control_make(&create);
	/* A named pipe's writer waits for a reader. */
	readings[0].fd = reader(O_NONBLOCK);
	out = writer(0);
	vm_set_nonblock(readings[0].fd, false);
	for (int i = 0; i < READERS; i++) {
		readings[i] = (struct reading){
			.fd = i ? reader(0) : readings[0].fd, .number = i };
		vm_set_flags(readings[i].fd, ACHAN_OPEN_FRAMED);
		vm_spawn(&threads[i], read_at_own_speed, &readings[i]);
	}
	for (uint64_t i = 0; i < records; i++)
		vm_write(out, data, sizeof(data));
	close(out);
	for (int i = 0; i < READERS; i++) {
		struct achan_stats stats;

		ck_assert_int_eq(pthread_join(threads[i].thread, NULL), 0);
		ck_assert_int_eq(threads[i].result, 0);
		stats = control_file_stats(readings[i].fd);
		ck_assert_uint_eq(readings[i].records + stats.lost, records);
		ck_assert_uint_eq(stats.records_out, readings[i].records);
		ck_assert_uint_eq(readings[i].gaps +
				  records - readings[i].next, stats.lost);
		lost += stats.lost;
	}
	ck_assert_uint_eq(control_stats("news").lost, lost);
	ck_assert_uint_eq(control_stats("news").records_in, records);
	/* What the readers counted stays when they go. */
	for (int i = 0; i < READERS; i++)
		close(readings[i].fd);
	ck_assert_uint_eq(control_stats("news").lost, lost);
	ck_assert_uint_eq(control_stats("news").records_out,
			  records * READERS - lost);
}
END_TEST

#define WRITERS	4

static long write_many(void *argument)
{
	char data[1000] = { 0 };
	int fd = *(int *)argument;
	ssize_t got = sizeof(data);

	for (int i = 0; i < 100 && got == sizeof(data); i++)
		got = write(fd, data, sizeof(data));
	return got == sizeof(data) ? 0 : vm_errno(got);
}

/* While one delivers to all, the others fill the ring, and wait for that. */
START_TEST(writers_wait_for_the_delivery_of_others)
{
	struct vm_thread threads[WRITERS];
	int out;

	make(ACHAN_OVERFLOW_DROP);
	for (int i = 0; i < READERS; i++)
		reader(0);
	out = writer(0);
	for (int i = 0; i < WRITERS; i++)
		vm_spawn(&threads[i], write_many, &out);
	for (int i = 0; i < WRITERS; i++) {
		ck_assert_int_eq(pthread_join(threads[i].thread, NULL), 0);
		ck_assert_int_eq(threads[i].result, 0);
	}
	ck_assert_uint_eq(control_stats("news").records_in, WRITERS * 100);
}
END_TEST

struct visitors {
	uint32_t minor;
	int running;
};

static long come_and_go(void *argument)
{
	struct visitors *visitors = argument;
	long ret = 0;

	for (int i = 0; i < 300 && !ret; i++) {
		int fd = control_node(visitors->minor, O_RDONLY | O_NONBLOCK);
		char data[8];
		ssize_t got = vm_errno(read(fd, data, sizeof(data)));

		if (got != -EAGAIN && got != 8)
			ret = got ?: -EPIPE;
		close(fd);
	}
	__atomic_fetch_sub(&visitors->running, 1, __ATOMIC_RELEASE);
	return ret;
}

START_TEST(readers_come_and_go_while_records_are_delivered)
{
	struct visitors visitors = { .running = 3 };
	struct vm_thread threads[3];
	uint64_t written = 0;
	int out;

	make(ACHAN_OVERFLOW_OVERWRITE);
	visitors.minor = create.minor;
	out = writer(0);
	for (int i = 0; i < 3; i++)
		vm_spawn(&threads[i], come_and_go, &visitors);
	while (__atomic_load_n(&visitors.running, __ATOMIC_ACQUIRE)) {
		vm_write(out, &written, sizeof(written));
		written++;
	}
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(vm_join(&threads[i]), 0);
	ck_assert_uint_eq(control_stats("news").readers, 0);
	ck_assert_uint_eq(control_stats("news").records_in, written);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("broadcast");
	TCase *tcase = control_tcase(suite, "delivery");

	tcase_add_test(tcase, every_reader_sees_every_record);
	tcase_add_test(tcase, reader_sees_records_from_its_open_on);
	tcase_add_test(tcase, file_for_both_hears_itself);
	tcase_add_test(tcase, numbers_are_the_same_for_all);
	tcase_add_test(tcase, stream_is_broadcast_too);
	tcase_add_test(tcase, each_sleeping_reader_wakes);
	tcase_add_test(tcase, parked_read_of_each_reader_is_served);
	tcase_add_test(tcase, worker_read_closed_while_it_is_parked);
	tcase_add_test(tcase, last_writer_leaves_the_end_to_every_reader);
	tcase_add_test(tcase, removal_leaves_what_was_written_to_every_reader);

	tcase = control_tcase(suite, "loss");
	tcase_add_loop_test(tcase,
			    slow_reader_loses_only_its_own_and_is_told_how_many,
			    ACHAN_OVERFLOW_DROP, ACHAN_OVERFLOW_OVERWRITE + 1);
	tcase_add_loop_test(tcase, writer_is_never_held_by_a_reader,
			    ACHAN_OVERFLOW_DROP, ACHAN_OVERFLOW_OVERWRITE + 1);

	tcase = control_tcase(suite, "many");
	tcase_set_timeout(tcase, vm_timeout_ms(120));
	tcase_add_loop_test(tcase,
			    sixty_four_readers_of_different_speed_account_for_every_record,
			    ACHAN_OVERFLOW_DROP, ACHAN_OVERFLOW_OVERWRITE + 1);
	tcase_add_test(tcase, writers_wait_for_the_delivery_of_others);
	tcase_add_test(tcase, readers_come_and_go_while_records_are_delivered);
	return vm_main(suite);
}
