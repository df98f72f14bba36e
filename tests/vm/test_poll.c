// SPDX-License-Identifier: GPL-2.0-only
/* poll(), select() and epoll: levels, edges, and who is woken. */
#include "vm.h"

#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/time.h>

#define IN	(POLLIN | POLLRDNORM)
#define OUT	(POLLOUT | POLLWRNORM)
#define ALL	(IN | OUT | POLLPRI | POLLRDHUP)

/* Row: poll: OUT/WRNORM with room, nothing else while empty. */
START_TEST(empty_channel_is_writable_only)
{
	int fd = vm_open(_i, O_RDWR);

	ck_assert_int_eq(vm_poll(fd, ALL), OUT);
}
END_TEST

/* Row: poll: IN/RDNORM with data; no ERR, no HUP on a living channel. */
START_TEST(channel_with_data_is_readable_and_writable)
{
	int fd = vm_open(_i, O_RDWR);

	vm_write(fd, "abc", 3);
	ck_assert_int_eq(vm_poll(fd, ALL), IN | OUT);
}
END_TEST

START_TEST(full_channel_is_readable_only)
{
	int fd = vm_open(_i, O_RDWR);

	vm_fill(fd);
	ck_assert_int_eq(vm_poll(fd, ALL), IN);
}
END_TEST

/* A level: the same however often it is asked, until the last byte is read. */
START_TEST(poll_is_a_level)
{
	int fd = vm_open(VM_STREAM, O_RDWR);
	char got[4];
	int i;

	vm_write(fd, "1234", 4);
	for (i = 0; i < 4; i++) {
		ck_assert_int_eq(vm_poll(fd, IN), IN);
		ck_assert_int_eq(vm_poll(fd, IN), IN);
		vm_read(fd, got, 1);
	}
	ck_assert_int_eq(vm_poll(fd, IN), 0);
}
END_TEST

/* An open file says what it itself can do. */
START_TEST(file_open_for_reading_is_never_writable)
{
	int fd = vm_open(_i, O_RDONLY);
	int writer = vm_reopen(fd, O_WRONLY);

	ck_assert_int_eq(vm_poll(fd, ALL), 0);
	vm_write(writer, "abc", 3);
	ck_assert_int_eq(vm_poll(fd, ALL), IN);
}
END_TEST

START_TEST(file_open_for_writing_is_never_readable)
{
	int fd = vm_open(_i, O_WRONLY);

	vm_write(fd, "abc", 3);
	ck_assert_int_eq(vm_poll(fd, ALL), OUT);
	vm_fill(fd);
	ck_assert_int_eq(vm_poll(fd, ALL), 0);
}
END_TEST

struct waiter {
	int fd;
	short events;
};

static long wait_poll(void *argument)
{
	struct waiter *waiter = argument;

	return vm_poll_wait(waiter->fd, waiter->events);
}

START_TEST(write_wakes_every_poll_for_reading)
{
	int fd = vm_open(_i, O_RDWR);
	struct waiter waiter = { fd, IN };
	struct vm_thread threads[3];
	int i;

	for (i = 0; i < 3; i++)
		vm_spawn(&threads[i], wait_poll, &waiter);
	for (i = 0; i < 3; i++)
		vm_wait_sleeping(threads[i].tid);
	vm_write(fd, "abc", 3);
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(vm_join(&threads[i]), IN);
}
END_TEST

START_TEST(read_wakes_every_poll_for_writing)
{
	int fd = vm_open(_i, O_RDWR);
	struct waiter waiter = { fd, OUT };
	struct vm_thread threads[3];
	int i;

	vm_fill(fd);
	for (i = 0; i < 3; i++)
		vm_spawn(&threads[i], wait_poll, &waiter);
	for (i = 0; i < 3; i++)
		vm_wait_sleeping(threads[i].tid);
	vm_drain(fd);
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(vm_join(&threads[i]), OUT);
}
END_TEST

/* What another took meanwhile is not reported: the level is looked at last. */
START_TEST(poll_does_not_report_what_another_took)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR);
	struct waiter waiter = { fd, IN };
	char got[4];
	struct vm_transfer transfer = { fd, got, 4 };
	struct vm_thread poller, reader;

	vm_spawn(&reader, vm_read_thread, &transfer);
	vm_wait_sleeping(reader.tid);
	vm_spawn(&poller, wait_poll, &waiter);
	vm_wait_sleeping(poller.tid);
	vm_write(fd, "1", 1);
	ck_assert_int_eq(vm_join(&reader), 1);
	/* Whatever it was told, now there is nothing. */
	ck_assert_int_eq(vm_poll(fd, IN), 0);
	vm_write(fd, "2", 1);
	ck_assert_int_eq(vm_join(&poller), IN);
}
END_TEST

START_TEST(poll_ends_at_its_time_out)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR);
	struct pollfd pollfd = { .fd = fd, .events = IN };
	int64_t start = vm_now_ms();

	ck_assert_int_eq(poll(&pollfd, 1, 50), 0);
	ck_assert_int_ge(vm_now_ms() - start, 49);
}
END_TEST

START_TEST(select_sees_readable_and_writable)
{
	int fd = vm_open(_i, O_RDWR);
	struct timeval now = { 0, 0 };
	fd_set in, out, except;

	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_ZERO(&except);
	FD_SET(fd, &in);
	FD_SET(fd, &out);
	FD_SET(fd, &except);
	ck_assert_int_eq(select(fd + 1, &in, &out, &except, &now), 1);
	ck_assert(!FD_ISSET(fd, &in) && FD_ISSET(fd, &out));
	vm_fill(fd);
	FD_SET(fd, &in);
	FD_SET(fd, &out);
	FD_SET(fd, &except);
	ck_assert_int_eq(select(fd + 1, &in, &out, &except, &now), 1);
	ck_assert(FD_ISSET(fd, &in) && !FD_ISSET(fd, &out));
	ck_assert(!FD_ISSET(fd, &except));
}
END_TEST

/* ppoll lets a blocked signal in for as long as it waits, no longer. */
START_TEST(ppoll_with_signal_mask_is_interrupted)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR);
	struct pollfd pollfd = { .fd = fd, .events = IN };
	sigset_t blocked, none;

	vm_count_signal(SIGUSR1, SA_RESTART);
	sigemptyset(&none);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	raise(SIGUSR1);
	ck_assert_int_eq(vm_signals, 0);
	ck_assert_int_eq(vm_errno(ppoll(&pollfd, 1, NULL, &none)), -EINTR);
	ck_assert_int_eq(vm_signals, 1);
	raise(SIGUSR1);
	vm_write(fd, "1", 1);
	ck_assert_int_eq(vm_errno(ppoll(&pollfd, 1, NULL, &blocked)), 1);
	ck_assert_int_eq(pollfd.revents, IN);
	ck_assert_int_eq(vm_signals, 1);
}
END_TEST

/* Row: OUT means that a PIPE_BUF record fits. */
START_TEST(writable_means_that_pipe_buf_bytes_fit)
{
	int fd = vm_open(_i, O_RDWR | O_NONBLOCK);
	size_t room = vm_info(fd).ring_bytes;
	static char data[VM_ATOMIC];

	while (room >= ACHAN_RECORD_SIZE(VM_ATOMIC)) {
		ck_assert_int_eq(vm_poll(fd, OUT), OUT);
		vm_write(fd, data, 100);
		room -= ACHAN_RECORD_SIZE(100);
	}
	ck_assert_int_eq(vm_poll(fd, OUT), 0);
	vm_read(fd, data, 100);
	ck_assert_int_eq(vm_poll(fd, OUT), OUT);
	vm_write(fd, data, VM_ATOMIC);
}
END_TEST

/*
 * A refused write makes OUT exact for this open file: no busy loop of poll
 * and -EAGAIN for a large message.
 */
START_TEST(after_refused_large_message_writable_means_that_it_fits)
{
	int fd = vm_open(VM_MESSAGE_SMALL, O_RDWR | O_NONBLOCK);
	int other = vm_reopen(fd, O_RDWR | O_NONBLOCK);
	size_t room = vm_info(fd).ring_bytes % ACHAN_RECORD_SIZE(500);
	const size_t length = 7000;
	static char data[7000];

	vm_fill_records(fd, 500);
	ck_assert_int_eq(vm_errno(write(fd, data, length)), -EAGAIN);
	while (room < ACHAN_RECORD_SIZE(length)) {
		ck_assert_int_eq(vm_poll(fd, OUT), 0);
		/* The rule is this open file's own. */
		ck_assert_int_eq(vm_poll(other, OUT),
				 room >= ACHAN_RECORD_SIZE(VM_ATOMIC) ?
				 OUT : 0);
		vm_read(fd, data, 500);
		room += ACHAN_RECORD_SIZE(500);
	}
	ck_assert_int_eq(vm_poll(fd, OUT), OUT);
	vm_write(fd, data, length);
}
END_TEST

/* And in the other direction: a small one waits for no more than it needs. */
START_TEST(after_refused_small_message_writable_means_that_it_fits)
{
	int fd = vm_open(VM_MESSAGE_SMALL, O_RDWR | O_NONBLOCK);
	char data[8];

	vm_fill_records(fd, 8);
	ck_assert_int_eq(vm_errno(write(fd, data, 8)), -EAGAIN);
	ck_assert_int_eq(vm_poll(fd, OUT), 0);
	vm_read(fd, data, 8);
	ck_assert_int_eq(vm_poll(fd, OUT), OUT);
	vm_write(fd, data, 8);
}
END_TEST

/* Once it went in, OUT has its usual meaning again. */
START_TEST(after_the_refused_write_went_in_writable_is_as_before)
{
	int fd = vm_open(VM_MESSAGE_SMALL, O_RDWR | O_NONBLOCK);
	static char data[8192];

	vm_write(fd, data, 1000);
	ck_assert_int_eq(vm_errno(write(fd, data, 8000)), -EAGAIN);
	ck_assert_int_eq(vm_poll(fd, OUT), 0);
	vm_drain(fd);
	ck_assert_int_eq(vm_poll(fd, OUT), OUT);
	vm_write(fd, data, 8000);
	vm_drain(fd);
	vm_write(fd, data, 1000);
	ck_assert_int_eq(vm_poll(fd, OUT), OUT);
}
END_TEST

/* poll() sleeps through reads that do not make enough room. */
START_TEST(poll_for_a_large_message_wakes_when_it_fits)
{
	int fd = vm_open(VM_MESSAGE_SMALL, O_RDWR | O_NONBLOCK);
	struct waiter waiter = { fd, OUT };
	static char data[8000];
	struct vm_thread poller;

	vm_fill_records(fd, 1000);
	ck_assert_int_eq(vm_errno(write(fd, data, 8000)), -EAGAIN);
	vm_spawn(&poller, wait_poll, &waiter);
	vm_wait_sleeping(poller.tid);
	while (vm_info(fd).bytes > 1000) {
		vm_read(fd, data, 1000);
		vm_wait_sleeping(poller.tid);
	}
	vm_read(fd, data, 1000);
	ck_assert_int_eq(vm_join(&poller), OUT);
	vm_write(fd, data, 8000);
}
END_TEST

/* Nor does the large one of another file keep it from waking for a small. */
START_TEST(poll_for_a_small_message_wakes_before_one_for_a_large)
{
	int small = vm_open(VM_MESSAGE_SMALL, O_RDWR | O_NONBLOCK);
	int large = vm_reopen(small, O_RDWR | O_NONBLOCK);
	struct waiter waiters[2] = { { small, OUT }, { large, OUT } };
	struct vm_thread pollers[2];
	static char data[8000];
	int i;

	vm_fill_records(small, 1000);
	vm_fill_records(small, 1);
	ck_assert_int_eq(vm_errno(write(small, data, 8)), -EAGAIN);
	ck_assert_int_eq(vm_errno(write(large, data, 8000)), -EAGAIN);
	for (i = 0; i < 2; i++) {
		vm_spawn(&pollers[i], wait_poll, &waiters[i]);
		vm_wait_sleeping(pollers[i].tid);
	}
	vm_read(small, data, 1000);
	ck_assert_int_eq(vm_join(&pollers[0]), OUT);
	vm_wait_sleeping(pollers[1].tid);
	vm_drain(small);
	ck_assert_int_eq(vm_join(&pollers[1]), OUT);
}
END_TEST

/* epoll. */
static int watch(int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	ck_assert_int_ge(epoll, 0);
	ck_assert_int_eq(vm_errno(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)),
			 0);
	return epoll;
}

/* The events that epoll has now; 0 for none. */
static uint32_t events_of(int epoll)
{
	struct epoll_event event = { .events = 0 };

	ck_assert_int_ge(vm_errno(epoll_wait(epoll, &event, 1, 0)), 0);
	return event.events;
}

START_TEST(epoll_level_triggered_repeats_until_drained)
{
	int fd = vm_open(_i, O_RDWR);
	int epoll = watch(fd, EPOLLIN);

	ck_assert_uint_eq(events_of(epoll), 0);
	vm_write(fd, "abc", 3);
	ck_assert_uint_eq(events_of(epoll), EPOLLIN);
	ck_assert_uint_eq(events_of(epoll), EPOLLIN);
	vm_drain(fd);
	ck_assert_uint_eq(events_of(epoll), 0);
}
END_TEST

/* Every commit that leaves data is an edge, also on top of old data. */
START_TEST(epoll_edge_triggered_has_one_event_a_commit)
{
	int fd = vm_open(_i, O_RDWR);
	int epoll = watch(fd, EPOLLIN | EPOLLET);
	char got[8];
	int i;

	ck_assert_uint_eq(events_of(epoll), 0);
	for (i = 0; i < 3; i++) {
		vm_write(fd, "abc", 3);
		ck_assert_uint_eq(events_of(epoll), EPOLLIN);
		ck_assert_uint_eq(events_of(epoll), 0);
	}
	vm_read(fd, got, 3);
	ck_assert_uint_eq(events_of(epoll), 0);
	vm_write(fd, "abc", 3);
	ck_assert_uint_eq(events_of(epoll), EPOLLIN);
}
END_TEST

/* Row: full to not full is the edge for writers. */
START_TEST(epoll_edge_triggered_tells_when_room_comes_back)
{
	int fd = vm_open(_i, O_RDWR | O_NONBLOCK);
	int epoll = watch(fd, EPOLLOUT | EPOLLET);
	int round;

	ck_assert_uint_eq(events_of(epoll), EPOLLOUT);
	ck_assert_uint_eq(events_of(epoll), 0);
	for (round = 0; round < 3; round++) {
		vm_fill(fd);
		ck_assert_int_eq(vm_errno(write(fd, "x", 1)), -EAGAIN);
		ck_assert_uint_eq(events_of(epoll), 0);
		vm_drain(fd);
		ck_assert_uint_eq(events_of(epoll), EPOLLOUT);
		ck_assert_uint_eq(events_of(epoll), 0);
	}
}
END_TEST

START_TEST(epoll_one_shot_tells_once_until_armed_again)
{
	int fd = vm_open(_i, O_RDWR);
	struct epoll_event event = { .events = EPOLLIN | EPOLLONESHOT };
	int epoll = watch(fd, event.events);

	vm_write(fd, "abc", 3);
	ck_assert_uint_eq(events_of(epoll), EPOLLIN);
	ck_assert_uint_eq(events_of(epoll), 0);
	vm_write(fd, "abc", 3);
	ck_assert_uint_eq(events_of(epoll), 0);
	ck_assert_int_eq(vm_errno(epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event)),
			 0);
	ck_assert_uint_eq(events_of(epoll), EPOLLIN);
}
END_TEST

static long wait_epoll(void *argument)
{
	struct epoll_event event = { .events = 0 };
	int epoll = *(int *)argument;

	epoll_wait(epoll, &event, 1, vm_timeout_ms(VM_HANG_MS));
	return event.events;
}

/* EPOLLEXCLUSIVE: one record wakes one of the waiters. */
START_TEST(epoll_exclusive_wakes_one_waiter_a_record)
{
	int fd = vm_open(_i, O_RDWR);
	struct vm_thread threads[2];
	int epolls[2], first;
	int i;

	for (i = 0; i < 2; i++) {
		epolls[i] = watch(fd, EPOLLIN | EPOLLEXCLUSIVE);
		vm_spawn(&threads[i], wait_epoll, &epolls[i]);
		vm_wait_sleeping(threads[i].tid);
	}
	vm_write(fd, "abc", 3);
	/* Which one is epoll's business. */
	for (first = 0; vm_is_sleeping(threads[first].tid); first = !first)
		sched_yield();
	ck_assert_int_eq(vm_join(&threads[first]), EPOLLIN);
	vm_wait_sleeping(threads[!first].tid);
	/* The one that waits no more does not swallow the next wake-up. */
	vm_write(fd, "abc", 3);
	ck_assert_int_eq(vm_join(&threads[!first]), EPOLLIN);
}
END_TEST

/* An edge-triggered consumer that reads until -EAGAIN is never left behind. */
static long put_numbers(void *argument)
{
	int fd = *(int *)argument;
	uint32_t number;

	for (number = 0; number < 4000; number++) {
		if (write(fd, &number, sizeof(number)) != sizeof(number))
			return -errno;
		if (number % 64 == 0)
			sched_yield();
	}
	return 0;
}

START_TEST(edge_triggered_reader_misses_nothing)
{
	int writer = vm_open(_i, O_WRONLY);
	int fd = vm_reopen(writer, O_RDONLY | O_NONBLOCK);
	int epoll = watch(fd, EPOLLIN | EPOLLET);
	uint32_t number, expected = 0;
	struct epoll_event event;
	struct vm_thread thread;
	ssize_t n;

	vm_spawn(&thread, put_numbers, &writer);
	while (expected < 4000) {
		ck_assert_int_eq(epoll_wait(epoll, &event, 1,
					    vm_timeout_ms(VM_HANG_MS)), 1);
		while ((n = vm_errno(read(fd, &number, 4))) == 4)
			ck_assert_int_eq(number, expected++);
		ck_assert_int_eq(n, -EAGAIN);
	}
	ck_assert_int_eq(vm_join(&thread), 0);
}
END_TEST

/* Nor is an edge-triggered producer that writes until -EAGAIN. */
static long take_slowly(void *argument)
{
	struct vm_transfer *transfer = argument;
	static char got[8192];
	size_t done = 0;

	while (done < transfer->length) {
		ssize_t n = vm_errno(read(transfer->fd, got, sizeof(got)));

		if (n <= 0 || vm_pattern_wrong(got, n, done) != -1)
			return n < 0 ? n : -EBADMSG;
		done += n;
	}
	return 0;
}

START_TEST(edge_triggered_writer_misses_no_room)
{
	int reader = vm_open(_i, O_RDONLY);
	int fd = vm_reopen(reader, O_WRONLY | O_NONBLOCK);
	int epoll = watch(fd, EPOLLOUT | EPOLLET);
	struct vm_transfer transfer = { .fd = reader, .length = 2000000 };
	static char data[7000];
	struct epoll_event event;
	struct vm_thread thread;
	size_t done = 0;
	ssize_t n = 0;

	vm_spawn(&thread, take_slowly, &transfer);
	while (done < transfer.length) {
		/* Of all sizes, from one byte to nearly the whole ring. */
		size_t length = 1 + done * 7919 % sizeof(data);

		if (length > transfer.length - done)
			length = transfer.length - done;
		vm_pattern(data, length, done);
		n = vm_errno(write(fd, data, length));
		if (n > 0) {
			done += n;
			continue;
		}
		ck_assert_int_eq(n, -EAGAIN);
		ck_assert_int_eq(epoll_wait(epoll, &event, 1,
					    vm_timeout_ms(VM_HANG_MS)), 1);
	}
	ck_assert_int_eq(vm_join(&thread), 0);
}
END_TEST

/* The same with poll, which must not return until it is worth it. */
START_TEST(polling_writer_never_sees_eagain_after_out)
{
	int reader = vm_open(VM_MESSAGE_SMALL, O_RDONLY);
	int fd = vm_reopen(reader, O_WRONLY | O_NONBLOCK);
	struct vm_transfer transfer = { .fd = reader, .length = 1000000 };
	static char data[7000];
	struct vm_thread thread;
	size_t done = 0;
	bool told = false;

	vm_spawn(&thread, take_slowly, &transfer);
	while (done < transfer.length) {
		size_t length = 1 + done * 7919 % sizeof(data);
		ssize_t n;

		if (length > transfer.length - done)
			length = transfer.length - done;
		vm_pattern(data, length, done);
		n = vm_errno(write(fd, data, length));
		if (n > 0) {
			done += n;
			told = false;
			continue;
		}
		ck_assert_int_eq(n, -EAGAIN);
		ck_assert_msg(!told, "poll said OUT, write said EAGAIN");
		ck_assert_int_eq(vm_poll_wait(fd, POLLOUT), POLLOUT);
		told = true;
	}
	ck_assert_int_eq(vm_join(&thread), 0);
}
END_TEST

/* All four channels. */
static void add_for_all(TCase *tcase, const TTest *test)
{
	tcase_add_loop_test(tcase, test, VM_STREAM, VM_MESSAGE_SMALL + 1);
}

/* The stream and the message channel with the large ring. */
static void add_for_both(TCase *tcase, const TTest *test)
{
	tcase_add_loop_test(tcase, test, VM_STREAM, VM_MESSAGE + 1);
}

/* Those with the small one. */
static void add_for_small(TCase *tcase, const TTest *test)
{
	tcase_add_loop_test(tcase, test, VM_STREAM_SMALL, VM_MESSAGE_SMALL + 1);
}

static void add_poll(Suite *suite)
{
	TCase *tcase = vm_tcase(suite, "poll");

	add_for_all(tcase, empty_channel_is_writable_only);
	add_for_all(tcase, channel_with_data_is_readable_and_writable);
	add_for_all(tcase, full_channel_is_readable_only);
	tcase_add_test(tcase, poll_is_a_level);
	add_for_both(tcase, file_open_for_reading_is_never_writable);
	add_for_both(tcase, file_open_for_writing_is_never_readable);
	add_for_both(tcase, write_wakes_every_poll_for_reading);
	add_for_small(tcase, read_wakes_every_poll_for_writing);
	tcase_add_test(tcase, poll_does_not_report_what_another_took);
	tcase_add_test(tcase, poll_ends_at_its_time_out);
	add_for_both(tcase, select_sees_readable_and_writable);
	tcase_add_test(tcase, ppoll_with_signal_mask_is_interrupted);
}

static void add_writable(Suite *suite)
{
	TCase *tcase = vm_tcase(suite, "writable");

	add_for_small(tcase, writable_means_that_pipe_buf_bytes_fit);
	tcase_add_test(tcase,
		       after_refused_large_message_writable_means_that_it_fits);
	tcase_add_test(tcase,
		       after_refused_small_message_writable_means_that_it_fits);
	tcase_add_test(tcase,
		       after_the_refused_write_went_in_writable_is_as_before);
	tcase_add_test(tcase, poll_for_a_large_message_wakes_when_it_fits);
	tcase_add_test(tcase,
		       poll_for_a_small_message_wakes_before_one_for_a_large);
	tcase_add_test(tcase, polling_writer_never_sees_eagain_after_out);
}

static void add_epoll(Suite *suite)
{
	TCase *tcase = vm_tcase(suite, "epoll");

	add_for_both(tcase, epoll_level_triggered_repeats_until_drained);
	add_for_both(tcase, epoll_edge_triggered_has_one_event_a_commit);
	add_for_small(tcase, epoll_edge_triggered_tells_when_room_comes_back);
	add_for_both(tcase, epoll_one_shot_tells_once_until_armed_again);
	add_for_both(tcase, epoll_exclusive_wakes_one_waiter_a_record);
	add_for_both(tcase, edge_triggered_reader_misses_nothing);
	add_for_small(tcase, edge_triggered_writer_misses_no_room);
}

int main(void)
{
	Suite *suite = suite_create("poll");

	add_poll(suite);
	add_writable(suite);
	add_epoll(suite);
	return vm_main(suite);
}
