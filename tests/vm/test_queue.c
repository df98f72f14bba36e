// SPDX-License-Identifier: GPL-2.0-only
/* libachan's queue of asynchronous requests, on channels. */
#include "vm.h"

#include "achan.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#define SECOND		1000000000LL
#define MANY		10000
#define GIVEN_UP	20000
#define DEPTH		64
#define THREADS		4
#define TURNS		300

static const enum vm_channel both[] = { VM_STREAM, VM_MESSAGE };
static const enum vm_channel small[] = { VM_STREAM_SMALL, VM_MESSAGE_SMALL };

/* What a case works with. */
struct fixture {
	struct achan_queue *queue;
	struct achan *channel;
	int fd;
};

static int64_t hang_ns(void)
{
	return vm_timeout_ms(VM_HANG_MS) * 1000000LL;
}

static void open_fixture(struct fixture *fixture, enum vm_channel channel,
			 unsigned int depth)
{
	fixture->fd = vm_open(channel, O_RDWR);
	ck_assert_int_eq(achan_open_fd(&fixture->channel, fixture->fd), 0);
	ck_assert_int_eq(achan_queue_new(&fixture->queue, depth, NULL), 0);
}

static void close_fixture(struct fixture *fixture)
{
	achan_queue_free(fixture->queue);
	achan_close(fixture->channel);
}

static void submit(struct fixture *fixture, struct achan_req *req)
{
	ck_assert_int_eq(achan_queue_submit(fixture->queue, &req, 1), 1);
}

/* A submitted read; its completion carries @data. */
static struct achan_req *start_read(struct fixture *fixture, void *buffer,
				    size_t length, void *data)
{
	struct achan_req *req = achan_queue_get_req(fixture->queue);

	ck_assert_ptr_nonnull(req);
	ck_assert_int_eq(achan_req_prep_read(req, fixture->channel, buffer,
					     length), 0);
	ck_assert_int_eq(achan_req_set_done(req, NULL, data), 0);
	submit(fixture, req);
	return req;
}

/* The next completion's result; it has to be that of @req, which is put. */
static int64_t result(struct fixture *fixture, struct achan_req *req)
{
	struct achan_cqe cqe;

	ck_assert_int_eq(achan_queue_wait(fixture->queue, &cqe, 1, 1,
					  hang_ns()), 1);
	ck_assert_ptr_eq(cqe.req, req);
	ck_assert_int_eq(achan_req_put(req), 0);
	return cqe.res;
}

START_TEST(read_is_submitted_at_once_and_completes_with_the_record)
{
	struct fixture fixture;
	struct achan_cqe cqe;
	struct achan_req *req;
	int64_t start;
	char buffer[8];

	open_fixture(&fixture, both[_i], 4);
	start = vm_now_ms();
	req = start_read(&fixture, buffer, sizeof(buffer), &fixture);
	ck_assert_int_le(vm_now_ms() - start, vm_timeout_ms(1000));
	ck_assert_int_eq(achan_queue_peek(fixture.queue, &cqe, 1), 0);
	ck_assert_int_eq(achan_queue_in_flight(fixture.queue), 1);
	vm_write(fixture.fd, "record", 6);
	ck_assert_int_eq(achan_queue_wait(fixture.queue, &cqe, 1, 1,
					  hang_ns()), 1);
	ck_assert_ptr_eq(cqe.req, req);
	ck_assert_ptr_eq(cqe.data, &fixture);
	ck_assert_int_eq(cqe.res, 6);
	ck_assert_mem_eq(buffer, "record", 6);
	ck_assert_int_eq(achan_queue_in_flight(fixture.queue), 0);
	ck_assert_int_eq(achan_req_put(req), 0);
	close_fixture(&fixture);
}
END_TEST

START_TEST(write_readv_writev_and_poll_requests_complete)
{
	struct iovec out[2] = { { "vec", 3 }, { "tor", 3 } };
	char first[2], second[8];
	struct iovec in[2] = { { first, 2 }, { second, 8 } };
	struct fixture fixture;
	struct achan_req *req;

	open_fixture(&fixture, both[_i], 4);
	req = achan_queue_get_req(fixture.queue);
	ck_assert_int_eq(achan_req_prep_write(req, fixture.channel, "plain",
					      5), 0);
	submit(&fixture, req);
	ck_assert_int_eq(result(&fixture, req), 5);

	req = achan_queue_get_req(fixture.queue);
	ck_assert_int_eq(achan_req_prep_poll(req, fixture.channel, POLLIN), 0);
	submit(&fixture, req);
	ck_assert_int_eq(result(&fixture, req) & POLLIN, POLLIN);

	req = achan_queue_get_req(fixture.queue);
	ck_assert_int_eq(achan_req_prep_readv(req, fixture.channel, in, 2), 0);
	submit(&fixture, req);
	ck_assert_int_eq(result(&fixture, req), 5);
	ck_assert_mem_eq(first, "pl", 2);
	ck_assert_mem_eq(second, "ain", 3);

	req = achan_queue_get_req(fixture.queue);
	ck_assert_int_eq(achan_req_prep_writev(req, fixture.channel, out, 2),
			 0);
	submit(&fixture, req);
	ck_assert_int_eq(result(&fixture, req), 6);
	ck_assert_uint_eq(vm_info(fixture.fd).bytes, 6);
	close_fixture(&fixture);
}
END_TEST

START_TEST(write_to_a_full_channel_completes_when_there_is_room)
{
	unsigned char buffer[VM_ATOMIC];
	struct fixture fixture;
	struct achan_cqe cqe;
	struct achan_req *req;

	open_fixture(&fixture, small[_i], 4);
	vm_fill(fixture.fd);
	req = achan_queue_get_req(fixture.queue);
	ck_assert_int_eq(achan_req_prep_write(req, fixture.channel, "late", 4),
			 0);
	submit(&fixture, req);
	ck_assert_int_eq(achan_queue_peek(fixture.queue, &cqe, 1), 0);
	ck_assert_int_gt(read(fixture.fd, buffer, sizeof(buffer)), 0);
	ck_assert_int_eq(result(&fixture, req), 4);
	close_fixture(&fixture);
}
END_TEST

START_TEST(nowait_request_completes_with_eagain)
{
	struct fixture fixture;
	struct achan_req *req;
	char buffer[8];

	open_fixture(&fixture, both[_i], 4);
	req = achan_queue_get_req(fixture.queue);
	ck_assert_int_eq(achan_req_prep_read(req, fixture.channel, buffer, 8),
			 0);
	ck_assert_int_eq(achan_req_set_flags(req, ~0U), -EINVAL);
	ck_assert_int_eq(achan_req_set_flags(req, ACHAN_REQ_NOWAIT), 0);
	submit(&fixture, req);
	ck_assert_int_eq(result(&fixture, req), -EAGAIN);
	close_fixture(&fixture);
}
END_TEST

/* Counts, in the order of the calls. */
struct tally {
	unsigned int calls;
	int64_t last;
};

static void on_done(struct achan_req *req, int64_t res, void *data)
{
	struct tally *tally = data;

	tally->calls++;
	tally->last = res;
	if (achan_req_put(req))
		tally->calls += 1000;
}

static void start_read_with(struct fixture *fixture, void *buffer,
			    size_t length, achan_done_fn done, void *data)
{
	struct achan_req *req = achan_queue_get_req(fixture->queue);

	ck_assert_ptr_nonnull(req);
	ck_assert_int_eq(achan_req_prep_read(req, fixture->channel, buffer,
					     length), 0);
	ck_assert_int_eq(achan_req_set_done(req, done, data), 0);
	submit(fixture, req);
}

START_TEST(callbacks_run_when_dispatched_and_not_from_submit)
{
	struct fixture fixture;
	struct tally tally = { 0 };
	char buffers[3][8];

	open_fixture(&fixture, both[_i], 4);
	vm_write(fixture.fd, "x", 1);
	start_read_with(&fixture, buffers[0], 8, on_done, &tally);
	ck_assert_uint_eq(tally.calls, 0);
	ck_assert_int_eq(achan_queue_dispatch(fixture.queue, 0), 1);
	ck_assert_uint_eq(tally.calls, 1);
	ck_assert_int_eq(tally.last, 1);
	/* A wait without an array runs them as well. */
	start_read_with(&fixture, buffers[1], 8, on_done, &tally);
	ck_assert_int_eq(achan_queue_dispatch(fixture.queue, 0), 0);
	vm_write(fixture.fd, "xy", 2);
	ck_assert_uint_eq(tally.calls, 1);
	ck_assert_int_eq(achan_queue_wait(fixture.queue, NULL, 1, 1,
					  hang_ns()), 1);
	ck_assert_uint_eq(tally.calls, 2);
	ck_assert_int_eq(tally.last, 2);
	close_fixture(&fixture);
}
END_TEST

/* A stream of requests that its own callbacks keep going. */
struct chain {
	struct fixture *fixture;
	struct achan_req *req;
	uint64_t value;
	uint64_t *expected;	/* shared by all: the number to come */
	unsigned int *wrong;
};

static void on_link(struct achan_req *req, int64_t res, void *data)
{
	struct chain *chain = data;

	/* Left over when the last number had come: the queue is being freed. */
	if (res == -ECANCELED) {
		achan_req_put(req);
		return;
	}
	if (res != sizeof(chain->value) || chain->value != *chain->expected)
		++*chain->wrong;
	++*chain->expected;
	if (achan_req_prep_read(req, chain->fixture->channel, &chain->value,
				sizeof(chain->value)) ||
	    achan_req_set_done(req, on_link, chain) ||
	    achan_queue_submit(chain->fixture->queue, &req, 1) != 1)
		++*chain->wrong;
}

static int write_numbers(void *argument)
{
	int fd = *(int *)argument;
	uint64_t value;

	for (value = 0; value < MANY; value++)
		if (write(fd, &value, sizeof(value)) != sizeof(value))
			return 1;
	return 0;
}

START_TEST(ten_thousand_reads_submitted_from_callbacks_come_in_order)
{
	static struct chain chains[DEPTH];
	int64_t until = vm_now_ms() + 3 * vm_timeout_ms(VM_HANG_MS);
	struct fixture fixture;
	unsigned int wrong = 0;
	uint64_t expected = 0;
	pid_t pid;
	int i;

	open_fixture(&fixture, both[_i], DEPTH);
	for (i = 0; i < DEPTH; i++) {
		chains[i] = (struct chain){ &fixture, NULL, 0, &expected,
					    &wrong };
		start_read_with(&fixture, &chains[i].value, 8, on_link,
				&chains[i]);
	}
	pid = vm_fork(write_numbers, &fixture.fd);
	while (expected < MANY) {
		ck_assert_int_lt(vm_now_ms(), until);
		ck_assert_int_ge(achan_queue_wait(fixture.queue, NULL, 1,
						  DEPTH, hang_ns()), 1);
	}
	ck_assert_uint_eq(wrong, 0);
	vm_wait_success(pid);
	close_fixture(&fixture);
}
END_TEST

START_TEST(queue_fd_wakes_epoll)
{
	struct epoll_event event = { .events = EPOLLIN };
	int set = epoll_create1(EPOLL_CLOEXEC), i;
	struct fixture fixture;
	struct tally tally = { 0 };
	char buffers[3][8];

	open_fixture(&fixture, VM_MESSAGE, 4);
	ck_assert_int_eq(epoll_ctl(set, EPOLL_CTL_ADD,
				   achan_queue_fd(fixture.queue), &event), 0);
	for (i = 0; i < 3; i++)
		start_read_with(&fixture, buffers[i], 8, on_done, &tally);
	ck_assert_int_eq(epoll_wait(set, &event, 1, 0), 0);
	for (i = 0; i < 3; i++)
		vm_write(fixture.fd, "x", 1);
	ck_assert_int_eq(epoll_wait(set, &event, 1,
				    vm_timeout_ms(VM_HANG_MS)), 1);
	while (tally.calls < 1)
		ck_assert_int_ge(achan_queue_dispatch(fixture.queue, 1), 0);
	/* There is more: readable again, or still. */
	ck_assert_int_eq(epoll_wait(set, &event, 1,
				    vm_timeout_ms(VM_HANG_MS)), 1);
	while (tally.calls < 3)
		ck_assert_int_ge(achan_queue_dispatch(fixture.queue, 0), 0);
	ck_assert_int_eq(achan_queue_dispatch(fixture.queue, 0), 0);
	ck_assert_int_eq(epoll_wait(set, &event, 1, 0), 0);
	close_fixture(&fixture);
}
END_TEST

static long wait_for_ever(void *argument)
{
	struct achan_cqe cqe;

	return achan_queue_wait(argument, &cqe, 1, 1, -1);
}

START_TEST(wake_ends_a_wait_that_runs_or_the_next_one)
{
	struct achan_queue *queue;
	struct vm_thread waiter;

	ck_assert_int_eq(achan_queue_new(&queue, 4, NULL), 0);
	vm_spawn(&waiter, wait_for_ever, queue);
	vm_wait_sleeping(waiter.tid);
	ck_assert_int_eq(achan_queue_wake(queue), 0);
	ck_assert_int_eq(vm_join(&waiter), 0);
	ck_assert_int_eq(achan_queue_wake(queue), 0);
	ck_assert_int_eq(wait_for_ever(queue), 0);
	achan_queue_free(queue);
}
END_TEST

static long wait_for_two(void *argument)
{
	struct achan_cqe cqes[2];

	return achan_queue_wait(argument, cqes, 2, 2, hang_ns());
}

START_TEST(wait_waits_for_min_or_its_time)
{
	struct fixture fixture;
	struct vm_thread waiter;
	struct achan_cqe cqes[2];
	char buffers[2][8];

	open_fixture(&fixture, VM_MESSAGE, 4);
	ck_assert_int_eq(achan_queue_wait(fixture.queue, cqes, 0, 2, 0), 0);
	ck_assert_int_eq(achan_queue_wait(fixture.queue, cqes, 1, 0, 0),
			 -EINVAL);
	ck_assert_int_eq(achan_queue_wait(fixture.queue, cqes, 3, 2, 0),
			 -EINVAL);
	ck_assert_int_eq(achan_queue_wait(fixture.queue, cqes, 1, 2,
					  SECOND / 100), 0);
	start_read(&fixture, buffers[0], 8, NULL);
	start_read(&fixture, buffers[1], 8, NULL);
	vm_spawn(&waiter, wait_for_two, fixture.queue);
	vm_wait_sleeping(waiter.tid);
	vm_write(fixture.fd, "x", 1);
	vm_wait_sleeping(waiter.tid);
	vm_write(fixture.fd, "x", 1);
	ck_assert_int_eq(vm_join(&waiter), 2);
	close_fixture(&fixture);
}
END_TEST

START_TEST(wait_returns_eintr_on_a_signal)
{
	struct achan_queue *queue;
	struct vm_thread waiter;

	ck_assert_int_eq(achan_queue_new(&queue, 4, NULL), 0);
	vm_count_signal(SIGUSR1, SA_RESTART);
	vm_spawn(&waiter, wait_for_ever, queue);
	vm_wait_sleeping(waiter.tid);
	vm_kill_thread(waiter.tid, SIGUSR1);
	ck_assert_int_eq(vm_join(&waiter), -EINTR);
	achan_queue_free(queue);
}
END_TEST

/* Row "io_cancel of a parked request", through the library. */
START_TEST(cancel_of_a_parked_request_completes_it_with_ecanceled)
{
	struct fixture fixture;
	struct achan_req *req;
	struct achan_cqe cqe;
	char buffer[8];

	open_fixture(&fixture, both[_i], 4);
	req = start_read(&fixture, buffer, sizeof(buffer), NULL);
	ck_assert_int_eq(achan_queue_cancel(fixture.queue, req), 0);
	ck_assert_int_eq(result(&fixture, req), -ECANCELED);
	ck_assert_int_eq(achan_queue_peek(fixture.queue, &cqe, 1), 0);
	vm_write(fixture.fd, "free", 4);
	vm_read(fixture.fd, buffer, 4);
	close_fixture(&fixture);
}
END_TEST

static long write_given_up(void *argument)
{
	const struct fixture *fixture = argument;

	for (uint32_t i = 0; i < GIVEN_UP; i++)
		vm_write(fixture->fd, &i, sizeof(i));
	return 0;
}

/*
 * A reader that gives up again and again, beside a writer, gets every record:
 * those that came in the last moment are in the results.
 */
START_TEST(reads_given_up_lose_no_record)
{
	struct fixture fixture;
	struct vm_thread writer;
	uint32_t number, next = 0;

	open_fixture(&fixture, VM_MESSAGE, 2);
	vm_spawn(&writer, write_given_up, &fixture);
	while (next < GIVEN_UP) {
		struct achan_req *req = start_read(&fixture, &number,
						   sizeof(number), NULL);
		int64_t res = 0;

		if (next % 2)
			sched_yield();
		ck_assert_int_eq(achan_queue_cancel_wait(fixture.queue, req,
							 &res), 0);
		ck_assert_int_eq(achan_req_put(req), 0);
		if (res == -ECANCELED)
			continue;
		ck_assert_int_eq(res, sizeof(number));
		ck_assert_uint_eq(number, next);
		next++;
	}
	vm_join(&writer);
	ck_assert_uint_eq(vm_info(fixture.fd).bytes, 0);
	close_fixture(&fixture);
}
END_TEST

START_TEST(cancel_of_what_is_not_in_flight_is_refused)
{
	struct fixture fixture, other;
	struct achan_req *req;
	char buffer[8];

	open_fixture(&fixture, both[_i], 4);
	open_fixture(&other, both[_i], 4);
	req = achan_queue_get_req(fixture.queue);
	ck_assert_int_eq(achan_req_prep_read(req, fixture.channel, buffer, 8),
			 0);
	ck_assert_int_eq(achan_queue_cancel(fixture.queue, req), -EINVAL);
	submit(&fixture, req);
	ck_assert_int_eq(achan_queue_cancel(other.queue, req), -EINVAL);
	vm_write(fixture.fd, "x", 1);
	ck_assert_int_eq(achan_queue_cancel(fixture.queue, req), -EALREADY);
	ck_assert_int_eq(result(&fixture, req), 1);
	close_fixture(&other);
	close_fixture(&fixture);
}
END_TEST

START_TEST(free_cancels_what_is_in_flight_and_runs_the_callbacks)
{
	struct fixture fixture;
	struct tally tally = { 0 };
	static char buffers[DEPTH][8];
	int i;

	open_fixture(&fixture, both[_i], DEPTH);
	for (i = 0; i < DEPTH; i++)
		start_read_with(&fixture, buffers[i], 8, on_done, &tally);
	ck_assert_uint_eq(vm_info(fixture.fd).parked_reads, DEPTH);
	achan_queue_free(fixture.queue);
	ck_assert_uint_eq(tally.calls, DEPTH);
	ck_assert_int_eq(tally.last, -ECANCELED);
	ck_assert_uint_eq(vm_info(fixture.fd).parked_reads, 0);
	vm_write(fixture.fd, "free", 4);
	ck_assert_uint_eq(vm_info(fixture.fd).bytes, 4);
	achan_close(fixture.channel);
}
END_TEST

START_TEST(depth_bounds_the_requests_in_use)
{
	struct achan_req *reqs[4];
	struct fixture fixture;
	char buffer[8];
	int i;

	open_fixture(&fixture, both[_i], 4);
	for (i = 0; i < 4; i++) {
		reqs[i] = achan_queue_get_req(fixture.queue);
		ck_assert_ptr_nonnull(reqs[i]);
	}
	ck_assert_ptr_null(achan_queue_get_req(fixture.queue));
	ck_assert_int_eq(achan_req_prep_read(reqs[0], fixture.channel, buffer,
					     8), 0);
	submit(&fixture, reqs[0]);
	ck_assert_int_eq(achan_req_put(reqs[0]), -EBUSY);
	ck_assert_int_eq(achan_req_prep_read(reqs[0], fixture.channel, buffer,
					     8), -EBUSY);
	ck_assert_ptr_null(achan_queue_get_req(fixture.queue));
	ck_assert_int_eq(achan_req_put(reqs[1]), 0);
	reqs[1] = achan_queue_get_req(fixture.queue);
	ck_assert_ptr_nonnull(reqs[1]);
	close_fixture(&fixture);
}
END_TEST

START_TEST(depth_and_options_are_checked)
{
	struct achan_queue_opts opts = { .sz = sizeof(opts), .flags = 1 };
	struct achan_queue *queue;

	ck_assert_int_eq(achan_queue_new(&queue, 0, NULL), -EINVAL);
	ck_assert_int_eq(achan_queue_new(&queue, ACHAN_QUEUE_DEPTH_MAX + 1,
					 NULL), -EINVAL);
	ck_assert_int_eq(achan_queue_new(&queue, 1, &opts), -EINVAL);
	opts.flags = 0;
	ck_assert_int_eq(achan_queue_new(&queue, 1, &opts), 0);
	achan_queue_free(queue);
}
END_TEST

/* Writes @value; returns what was there before. */
static long exchange_limit(long value)
{
	FILE *file = fopen("/proc/sys/fs/aio-max-nr", "r+");
	long before;

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file, "%ld", &before), 1);
	rewind(file);
	fprintf(file, "%ld\n", value);
	ck_assert_int_eq(fclose(file), 0);
	return before;
}

START_TEST(limit_of_the_system_is_eagain)
{
	long before = exchange_limit(1);
	struct achan_queue *queue;
	int ret = achan_queue_new(&queue, 1000, NULL);

	exchange_limit(before);
	ck_assert_int_eq(ret, -EAGAIN);
	ck_assert_int_eq(achan_queue_new(&queue, 1000, NULL), 0);
	achan_queue_free(queue);
}
END_TEST

START_TEST(submit_stops_before_a_request_that_is_refused)
{
	struct achan_req *reqs[3];
	struct fixture fixture;
	struct achan *writer;
	char buffers[3][8];
	int i;

	open_fixture(&fixture, both[_i], 4);
	ck_assert_int_eq(achan_open_fd(&writer,
				       vm_reopen(fixture.fd, O_WRONLY)), 0);
	for (i = 0; i < 3; i++) {
		struct achan *from = i == 1 ? writer : fixture.channel;

		reqs[i] = achan_queue_get_req(fixture.queue);
		ck_assert_int_eq(achan_req_prep_read(reqs[i], from, buffers[i],
						     8), 0);
	}
	ck_assert_int_eq(achan_queue_submit(fixture.queue, reqs, 3), 1);
	ck_assert_int_eq(achan_queue_submit(fixture.queue, reqs + 1, 2),
			 -EBADF);
	ck_assert_int_eq(achan_queue_submit(fixture.queue, reqs + 2, 1), 1);
	ck_assert_int_eq(achan_queue_in_flight(fixture.queue), 2);
	ck_assert_uint_eq(vm_info(fixture.fd).parked_reads, 2);
	close_fixture(&fixture);
	achan_close(writer);
}
END_TEST

START_TEST(close_of_the_channel_does_not_end_a_request)
{
	struct fixture fixture;
	struct achan_req *req;
	char buffer[8];
	int other;

	open_fixture(&fixture, both[_i], 4);
	other = vm_reopen(fixture.fd, O_RDWR);
	req = start_read(&fixture, buffer, sizeof(buffer), NULL);
	achan_close(fixture.channel);
	vm_write(other, "after", 5);
	ck_assert_int_eq(result(&fixture, req), 5);
	achan_queue_free(fixture.queue);
}
END_TEST

static int use_in_child(void *argument)
{
	struct fixture *fixture = argument;
	struct achan_cqe cqe;

	if (achan_queue_get_req(fixture->queue))
		return 1;
	if (achan_queue_peek(fixture->queue, &cqe, 1) != -ECHILD)
		return 2;
	if (achan_queue_wait(fixture->queue, &cqe, 1, 1, 0) != -ECHILD)
		return 3;
	if (achan_queue_dispatch(fixture->queue, 0) != -ECHILD)
		return 4;
	if (achan_queue_wake(fixture->queue) != -ECHILD)
		return 5;
	if (achan_queue_fd(fixture->queue) != -ECHILD)
		return 6;
	if (achan_queue_in_flight(fixture->queue) != -ECHILD)
		return 7;
	achan_queue_free(fixture->queue);
	achan_close(fixture->channel);
	return 0;
}

/* A completion is there when the child runs: it must not take it away. */
START_TEST(child_process_gets_echild_and_takes_no_completion)
{
	struct fixture fixture;
	struct achan_req *reqs[2];
	char buffers[2][8];

	open_fixture(&fixture, VM_MESSAGE, 4);
	reqs[0] = start_read(&fixture, buffers[0], 8, NULL);
	reqs[1] = start_read(&fixture, buffers[1], 8, NULL);
	vm_write(fixture.fd, "x", 1);
	vm_wait_success(vm_fork(use_in_child, &fixture));
	ck_assert_int_eq(result(&fixture, reqs[0]), 1);
	ck_assert_uint_eq(vm_info(fixture.fd).parked_reads, 1);
	vm_write(fixture.fd, "y", 1);
	ck_assert_int_eq(result(&fixture, reqs[1]), 1);
	close_fixture(&fixture);
}
END_TEST

/* All threads use one queue: whoever reaps, each request completes once. */
static struct {
	struct fixture fixture;
	unsigned char seen[THREADS * TURNS];
	unsigned int reaped;
} crowd;

static void note_number(uint64_t *value)
{
	if (*value < sizeof(crowd.seen))
		__atomic_add_fetch(&crowd.seen[*value], 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&crowd.reaped, 1, __ATOMIC_RELAXED);
	free(value);
}

static long submit_and_reap(void *argument)
{
	struct fixture *fixture = &crowd.fixture;
	int submitted = 0;

	(void)argument;
	while (__atomic_load_n(&crowd.reaped, __ATOMIC_RELAXED) <
	       sizeof(crowd.seen)) {
		struct achan_cqe cqe;

		if (submitted < TURNS) {
			uint64_t *value = malloc(sizeof(*value));

			start_read(fixture, value, sizeof(*value), value);
			submitted++;
		}
		if (achan_queue_wait(fixture->queue, &cqe, 1, 1,
				     SECOND / 1000) != 1)
			continue;
		if (cqe.res != sizeof(uint64_t) || achan_req_put(cqe.req))
			return -EIO;
		note_number(cqe.data);
	}
	return submitted == TURNS ? 0 : -ENODATA;
}

START_TEST(many_threads_share_a_queue)
{
	struct vm_thread threads[THREADS];
	uint64_t value;
	int i;

	open_fixture(&crowd.fixture, both[_i], THREADS * TURNS);
	for (i = 0; i < THREADS; i++)
		vm_spawn(&threads[i], submit_and_reap, NULL);
	for (value = 0; value < sizeof(crowd.seen); value++)
		vm_write(crowd.fixture.fd, &value, sizeof(value));
	for (i = 0; i < THREADS; i++)
		ck_assert_int_eq(vm_join(&threads[i]), 0);
	for (value = 0; value < sizeof(crowd.seen); value++)
		ck_assert_uint_eq(crowd.seen[value], 1);
	close_fixture(&crowd.fixture);
}
END_TEST

static void add_both(TCase *tcase, const TTest *test)
{
	tcase_add_loop_test(tcase, test, 0, VM_ARRAY_SIZE(both));
}

static void add_request_cases(Suite *suite)
{
	TCase *tcase = vm_tcase(suite, "request");

	add_both(tcase, read_is_submitted_at_once_and_completes_with_the_record);
	add_both(tcase, write_readv_writev_and_poll_requests_complete);
	add_both(tcase, write_to_a_full_channel_completes_when_there_is_room);
	add_both(tcase, nowait_request_completes_with_eagain);
	add_both(tcase, submit_stops_before_a_request_that_is_refused);
	add_both(tcase, depth_bounds_the_requests_in_use);
	tcase_add_test(tcase, depth_and_options_are_checked);
	tcase_add_test(tcase, limit_of_the_system_is_eagain);
}

static void add_wait_cases(Suite *suite)
{
	TCase *tcase = vm_tcase(suite, "wait");

	add_both(tcase, callbacks_run_when_dispatched_and_not_from_submit);
	add_both(tcase,
		 ten_thousand_reads_submitted_from_callbacks_come_in_order);
	tcase_add_test(tcase, queue_fd_wakes_epoll);
	tcase_add_test(tcase, wake_ends_a_wait_that_runs_or_the_next_one);
	tcase_add_test(tcase, wait_waits_for_min_or_its_time);
	tcase_add_test(tcase, wait_returns_eintr_on_a_signal);
	add_both(tcase, many_threads_share_a_queue);
}

static void add_end_cases(Suite *suite)
{
	TCase *tcase = vm_tcase(suite, "end");

	add_both(tcase,
		 cancel_of_a_parked_request_completes_it_with_ecanceled);
	tcase_add_test(tcase, reads_given_up_lose_no_record);
	add_both(tcase, cancel_of_what_is_not_in_flight_is_refused);
	add_both(tcase, free_cancels_what_is_in_flight_and_runs_the_callbacks);
	add_both(tcase, close_of_the_channel_does_not_end_a_request);
	tcase_add_test(tcase,
		       child_process_gets_echild_and_takes_no_completion);
}

int main(void)
{
	Suite *suite = suite_create("queue");

	add_request_cases(suite);
	add_wait_cases(suite);
	add_end_cases(suite);
	return vm_main(suite);
}
