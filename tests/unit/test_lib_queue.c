// SPDX-License-Identifier: GPL-2.0-only
/*
 * Queues of libachan. Requests that wait are polls on pipes, as no other file
 * but a channel device has any; reads and writes are of memory files and of
 * pipes that are ready. The white-box parts take the completion ring away.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../../userspace/lib/internal.h"
#include "library.h"
#include "unit.h"

#define DEPTH	8

static struct achan_queue *queue;
static struct achan *ends[2];

static struct achan_queue *new_queue(unsigned int depth)
{
	struct achan_queue *made;

	ck_assert_int_eq(achan_queue_new(&made, depth, NULL), 0);
	ck_assert(made->ring_usable);
	return made;
}

static void set_up(void)
{
	queue = new_queue(DEPTH);
	library_pipe(ends, O_NONBLOCK);
}

static void tear_down(void)
{
	achan_queue_free(queue);
	library_close(ends);
}

/* A loop index of 1 takes completions by system call. */
static void choose_way(int by_call)
{
	if (by_call)
		queue->ring_usable = false;
}

static struct achan_req *get(void)
{
	struct achan_req *req = achan_queue_get_req(queue);

	ck_assert_ptr_nonnull(req);
	return req;
}

static struct achan_req *prepare_poll(void *data)
{
	struct achan_req *req = get();

	ck_assert_int_eq(achan_req_prep_poll(req, ends[0], POLLIN), 0);
	ck_assert_int_eq(achan_req_set_done(req, NULL, data), 0);
	return req;
}

static struct achan_req *submit_poll(void *data)
{
	struct achan_req *req = prepare_poll(data);

	ck_assert_int_eq(achan_queue_submit(queue, &req, 1), 1);
	return req;
}

static void wait_one(struct achan_cqe *cqe)
{
	ck_assert_int_eq(achan_queue_wait(queue, cqe, 1, 1,
					  unit_timeout_ns(10)), 1);
}

static void expect(struct achan_req *req, int64_t res)
{
	struct achan_cqe cqe;

	ck_assert_int_eq(achan_queue_submit(queue, &req, 1), 1);
	wait_one(&cqe);
	ck_assert_ptr_eq(cqe.req, req);
	ck_assert_int_eq(cqe.res, res);
	ck_assert_int_eq(achan_queue_in_flight(queue), 0);
}

static bool is_readable(void)
{
	struct pollfd pfd = { .fd = achan_queue_fd(queue), .events = POLLIN };

	return poll(&pfd, 1, 0) == 1;
}

/*
 * Waits until @count completions are in the ring: some kernels put those of
 * polls there from a worker.
 */
static void arrive(uint32_t count)
{
	const struct achan_aio_header *header = queue->ring.header;
	int64_t deadline = unit_now_ns() + unit_timeout_ns(10);
	uint32_t there;

	do {
		ck_assert_int_lt(unit_now_ns(), deadline);
		there = __atomic_load_n(&header->tail, __ATOMIC_ACQUIRE) +
			queue->ring.slots -
			__atomic_load_n(&header->head, __ATOMIC_ACQUIRE);
	} while (there % queue->ring.slots < count);
	/* The eventfd is counted up after the tail is moved. */
	while (!is_readable())
		ck_assert_int_lt(unit_now_ns(), deadline);
}

/* ----------------------------------------------------------- begin, end */

START_TEST(bad_queue_options_are_refused)
{
	struct {
		struct achan_queue_opts opts;
		uint64_t later;
	} large = { .opts = { .sz = sizeof(large) } };
	struct achan_queue_opts *opts = &large.opts;
	struct achan_queue *none = NULL;
	int fds = library_open_fds();

	ck_assert_int_eq(achan_queue_new(&none, 0, NULL), -EINVAL);
	ck_assert_int_eq(achan_queue_new(&none, ACHAN_QUEUE_DEPTH_MAX + 1,
					 NULL), -EINVAL);
	ck_assert_int_eq(achan_queue_new(NULL, 1, NULL), -EINVAL);
	large.later = 1;
	ck_assert_int_eq(achan_queue_new(&none, 1, opts), -E2BIG);
	opts->sz = sizeof(*opts) - 1;
	ck_assert_int_eq(achan_queue_new(&none, 1, opts), -EINVAL);
	opts->sz = sizeof(*opts);
	opts->flags = 1;
	ck_assert_int_eq(achan_queue_new(&none, 1, opts), -EINVAL);
	opts->flags = 0;
	opts->reserved = 1;
	ck_assert_int_eq(achan_queue_new(&none, 1, opts), -EINVAL);
	ck_assert_ptr_null(none);
	ck_assert_int_eq(library_open_fds(), fds);
}
END_TEST

START_TEST(depth_over_the_systems_limit_is_eagain)
{
	struct achan_queue *none = NULL;
	int fds = library_open_fds();
	FILE *file = fopen("/proc/sys/fs/aio-max-nr", "re");
	unsigned long limit;

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file, "%lu", &limit), 1);
	fclose(file);
	if (limit >= ACHAN_QUEUE_DEPTH_MAX) {
		unit_skip(__func__, "fs.aio-max-nr is above the largest depth");
		return;
	}
	ck_assert_int_eq(achan_queue_new(&none, ACHAN_QUEUE_DEPTH_MAX, NULL),
			 -EAGAIN);
	ck_assert_ptr_null(none);
	ck_assert_int_eq(library_open_fds(), fds);
}
END_TEST

START_TEST(null_queues_and_requests_are_refused)
{
	struct achan_req *req = get();
	struct achan_cqe cqe;

	achan_queue_free(NULL);
	ck_assert_ptr_null(achan_queue_get_req(NULL));
	ck_assert_int_eq(achan_queue_fd(NULL), -EINVAL);
	ck_assert_int_eq(achan_queue_submit(NULL, &req, 1), -EINVAL);
	ck_assert_int_eq(achan_queue_submit(queue, NULL, 1), -EINVAL);
	ck_assert_int_eq(achan_queue_cancel(NULL, req), -EINVAL);
	ck_assert_int_eq(achan_queue_cancel(queue, NULL), -EINVAL);
	ck_assert_int_eq(achan_queue_peek(NULL, &cqe, 1), -EINVAL);
	ck_assert_int_eq(achan_queue_peek(queue, NULL, 1), -EINVAL);
	ck_assert_int_eq(achan_queue_peek(queue, &cqe, 0), -EINVAL);
	ck_assert_int_eq(achan_queue_wait(NULL, &cqe, 1, 1, 0), -EINVAL);
	ck_assert_int_eq(achan_queue_wait(queue, &cqe, 0, 0, 0), -EINVAL);
	ck_assert_int_eq(achan_queue_wait(queue, &cqe, 2, 1, 0), -EINVAL);
	ck_assert_int_eq(achan_queue_dispatch(NULL, 0), -EINVAL);
	ck_assert_int_eq(achan_queue_wake(NULL), -EINVAL);
	ck_assert_int_eq(achan_queue_in_flight(NULL), -EINVAL);
	ck_assert_int_eq(achan_req_put(NULL), 0);
	ck_assert_int_eq(achan_req_prep_read(NULL, ends[0], &cqe, 1), -EINVAL);
	ck_assert_int_eq(achan_req_prep_read(req, NULL, &cqe, 1), -EINVAL);
	ck_assert_int_eq(achan_req_set_flags(NULL, 0), -EINVAL);
	ck_assert_int_eq(achan_req_set_done(NULL, NULL, NULL), -EINVAL);
}
END_TEST

START_TEST(queues_come_and_go_without_leaks)
{
	int fds = library_open_fds();

	for (int i = 0; i < 20; i++) {
		struct achan_queue *made = new_queue(4);
		struct achan_req *req = achan_queue_get_req(made);

		ck_assert_int_eq(achan_req_prep_poll(req, ends[0], POLLIN), 0);
		ck_assert_int_eq(achan_queue_submit(made, &req, 1), 1);
		achan_queue_free(made);
	}
	ck_assert_int_eq(library_open_fds(), fds);
}
END_TEST

/* ------------------------------------------------------------ requests */

START_TEST(requests_are_as_many_as_the_depth)
{
	struct achan_req *reqs[DEPTH];

	for (int i = 0; i < DEPTH; i++)
		reqs[i] = get();
	ck_assert_ptr_null(achan_queue_get_req(queue));
	ck_assert_int_eq(achan_req_put(reqs[3]), 0);
	ck_assert_ptr_eq(achan_queue_get_req(queue), reqs[3]);
	ck_assert_ptr_null(achan_queue_get_req(queue));
}
END_TEST

START_TEST(request_in_flight_can_be_neither_put_nor_prepared)
{
	struct achan_req *req = submit_poll(NULL);
	char byte;

	ck_assert_int_eq(achan_req_put(req), -EBUSY);
	ck_assert_int_eq(achan_req_prep_read(req, ends[0], &byte, 1), -EBUSY);
	ck_assert_int_eq(achan_req_set_done(req, NULL, NULL), -EINVAL);
	ck_assert_int_eq(achan_queue_submit(queue, &req, 1), -EINVAL);
	ck_assert_int_eq(achan_queue_in_flight(queue), 1);
}
END_TEST

START_TEST(request_put_back_is_nobodys)
{
	struct achan_req *req = get();
	char byte;

	ck_assert_int_eq(achan_req_put(req), 0);
	ck_assert_int_eq(achan_req_put(req), -EINVAL);
	ck_assert_int_eq(achan_req_prep_read(req, ends[0], &byte, 1), -EINVAL);
	ck_assert_int_eq(achan_queue_submit(queue, &req, 1), -EINVAL);
	ck_assert_int_eq(achan_queue_cancel(queue, req), -EINVAL);
	/* The list of free ones is whole. */
	for (int i = 0; i < DEPTH; i++)
		get();
	ck_assert_ptr_null(achan_queue_get_req(queue));
}
END_TEST

START_TEST(unknown_request_flags_and_events_are_refused)
{
	struct achan_req *req = get();
	char byte;

	ck_assert_int_eq(achan_req_set_flags(req, 0), -EINVAL);
	ck_assert_int_eq(achan_req_prep_poll(req, ends[0], 1 << 14), -EINVAL);
	ck_assert_int_eq(achan_req_prep_readv(req, ends[0], NULL, -1),
			 -EINVAL);
	ck_assert_int_eq(achan_req_prep_poll(req, ends[0], POLLIN), 0);
	ck_assert_int_eq(achan_req_set_flags(req, ACHAN_REQ_NOWAIT), -EINVAL);
	ck_assert_int_eq(achan_req_prep_read(req, ends[0], &byte, 1), 0);
	ck_assert_int_eq(achan_req_set_flags(req, 2), -EINVAL);
	ck_assert_int_eq(achan_req_set_flags(req, ACHAN_REQ_NOWAIT), 0);
}
END_TEST

/* -------------------------------------------------------------- results */

START_TEST(read_and_write_move_data)
{
	struct achan_req *req;
	char buf[16] = "";

	choose_way(_i);
	req = get();
	achan_req_prep_write(req, ends[1], "hello", 5);
	expect(req, 5);
	achan_req_prep_read(req, ends[0], buf, sizeof(buf));
	expect(req, 5);
	ck_assert_str_eq(buf, "hello");
}
END_TEST

START_TEST(readv_and_writev_move_data)
{
	char one[4] = "", two[16] = "";
	struct iovec out[] = { { "ab", 2 }, { "cdefg", 5 } };
	struct iovec in[] = { { one, 3 }, { two, sizeof(two) } };
	struct achan_req *req;

	choose_way(_i);
	req = get();
	achan_req_prep_writev(req, ends[1], out, 2);
	expect(req, 7);
	achan_req_prep_readv(req, ends[0], in, 2);
	expect(req, 7);
	ck_assert_str_eq(one, "abc");
	ck_assert_str_eq(two, "defg");
}
END_TEST

START_TEST(poll_completes_with_the_events_there)
{
	struct achan_cqe cqe;
	struct achan_req *req;
	int mark;

	choose_way(_i);
	req = submit_poll(&mark);
	ck_assert_int_eq(achan_queue_peek(queue, &cqe, 1), 0);
	library_write_bytes(ends[1], 1);
	wait_one(&cqe);
	ck_assert_ptr_eq(cqe.req, req);
	ck_assert_ptr_eq(cqe.data, &mark);
	ck_assert_int_eq(cqe.res, POLLIN);
	ck_assert_int_eq(achan_queue_peek(queue, &cqe, 1), 0);
}
END_TEST

START_TEST(nowait_completes_with_eagain)
{
	/* Of an eventfd every kernel can read without waiting. */
	struct achan *channel = library_channel(eventfd(0, EFD_CLOEXEC));
	struct achan_req *req = get();
	uint64_t value;

	achan_req_prep_read(req, channel, &value, sizeof(value));
	ck_assert_int_eq(achan_req_set_flags(req, ACHAN_REQ_NOWAIT), 0);
	expect(req, -EAGAIN);
	/* Preparing anew forgets it. */
	achan_req_prep_write(req, ends[1], "x", 1);
	ck_assert_int_eq(req->iocb.aio_rw_flags, 0);
	expect(req, 1);
	achan_close(channel);
}
END_TEST

START_TEST(errors_are_results)
{
	struct achan_req *req = get();

	achan_req_prep_read(req, ends[0], (void *)1, 1);
	library_write_bytes(ends[1], 1);
	expect(req, -EFAULT);
}
END_TEST

/* --------------------------------------------------------------- submit */

START_TEST(submit_accepts_up_to_the_first_bad_one)
{
	struct achan *closed[2];
	struct achan_req *reqs[3];
	struct achan_cqe cqe;

	library_pipe(closed, O_NONBLOCK);
	reqs[0] = prepare_poll(NULL);
	reqs[1] = get();
	achan_req_prep_poll(reqs[1], closed[0], POLLIN);
	library_close(closed);
	reqs[2] = prepare_poll(NULL);

	ck_assert_int_eq(achan_queue_submit(queue, reqs, 3), 1);
	ck_assert_int_eq(achan_queue_in_flight(queue), 1);
	ck_assert_int_eq(achan_queue_submit(queue, reqs + 1, 2), -EBADF);
	ck_assert_int_eq(achan_queue_in_flight(queue), 1);
	ck_assert_int_eq(achan_req_put(reqs[1]), 0);
	ck_assert_int_eq(achan_queue_submit(queue, reqs + 2, 1), 1);
	library_write_bytes(ends[1], 1);
	wait_one(&cqe);
	wait_one(&cqe);
	ck_assert_int_eq(achan_queue_in_flight(queue), 0);
}
END_TEST

START_TEST(submit_refuses_what_is_not_prepared_here)
{
	struct achan_queue *other = new_queue(1);
	struct achan_req *foreign = achan_queue_get_req(other);
	struct achan_req *reqs[3] = { prepare_poll(NULL), get(), NULL };

	ck_assert_int_eq(achan_queue_submit(queue, reqs + 1, 1), -EINVAL);
	ck_assert_int_eq(achan_queue_submit(queue, reqs + 2, 1), -EINVAL);
	achan_req_prep_poll(foreign, ends[0], POLLIN);
	ck_assert_int_eq(achan_queue_submit(queue, &foreign, 1), -EINVAL);
	ck_assert_int_eq(achan_queue_cancel(queue, foreign), -EINVAL);
	/* The same one twice is there once. */
	reqs[1] = reqs[0];
	ck_assert_int_eq(achan_queue_submit(queue, reqs, 2), 1);
	ck_assert_int_eq(achan_queue_submit(queue, reqs, 0), 0);
	achan_queue_free(other);
}
END_TEST

/* More than the library hands to the kernel at once. */
START_TEST(submit_takes_hundreds_at_once)
{
	struct achan_queue *large = new_queue(300);
	struct achan_req *reqs[300];
	struct achan_cqe cqes[300];
	struct achan *closed[2];
	int seen[300] = { 0 };

	library_pipe(closed, O_NONBLOCK);
	for (int i = 0; i < 300; i++) {
		reqs[i] = achan_queue_get_req(large);
		achan_req_prep_poll(reqs[i], i == 200 ? closed[0] : ends[0],
				    POLLIN);
		achan_req_set_done(reqs[i], NULL, &seen[i]);
	}
	library_close(closed);
	ck_assert_int_eq(achan_queue_submit(large, reqs, 300), 200);
	ck_assert_int_eq(achan_queue_submit(large, reqs + 200, 100), -EBADF);
	ck_assert_int_eq(achan_queue_submit(large, reqs + 201, 99), 99);
	library_write_bytes(ends[1], 1);
	ck_assert_int_eq(achan_queue_wait(large, cqes, 299, 300,
					  unit_timeout_ns(10)), 299);
	for (int i = 0; i < 299; i++)
		(*(int *)cqes[i].data)++;
	for (int i = 0; i < 300; i++)
		ck_assert_int_eq(seen[i], i != 200);
	achan_queue_free(large);
}
END_TEST

/* Also takes the ring round many times. */
START_TEST(requests_are_used_again_and_again)
{
	struct achan_req *req;
	int slots = (int)queue->ring.slots;

	choose_way(_i);
	for (int i = 0; i < 3 * slots; i++) {
		req = get();
		achan_req_prep_write(req, ends[1], "x", 1);
		expect(req, 1);
		ck_assert_int_eq(achan_req_put(req), 0);
		library_drain(ends[0]);
	}
}
END_TEST

/* --------------------------------------------------------------- cancel */

START_TEST(cancelled_poll_completes_once_with_ecanceled)
{
	struct achan_cqe cqe;
	struct achan_req *req;

	choose_way(_i);
	req = submit_poll(NULL);
	ck_assert_int_eq(achan_queue_cancel(queue, req), 0);
	wait_one(&cqe);
	ck_assert_ptr_eq(cqe.req, req);
	ck_assert_int_eq(cqe.res, -ECANCELED);
	ck_assert_int_eq(achan_queue_cancel(queue, req), -EALREADY);
	library_write_bytes(ends[1], 1);
	ck_assert_int_eq(achan_queue_peek(queue, &cqe, 1), 0);
	ck_assert_int_eq(achan_req_put(req), 0);
}
END_TEST

START_TEST(cancel_tells_too_early_from_too_late)
{
	struct achan_cqe cqe;
	struct achan_req *req = get();

	ck_assert_int_eq(achan_queue_cancel(queue, req), -EINVAL);
	achan_req_prep_poll(req, ends[0], POLLIN);
	ck_assert_int_eq(achan_queue_cancel(queue, req), -EINVAL);
	ck_assert_int_eq(achan_queue_submit(queue, &req, 1), 1);
	library_write_bytes(ends[1], 1);
	arrive(1);
	/* Completed, but not taken yet. */
	ck_assert_int_eq(achan_queue_cancel(queue, req), -EALREADY);
	wait_one(&cqe);
	ck_assert_int_eq(cqe.res, POLLIN);
}
END_TEST

static void *write_when_told(void *argument)
{
	_Atomic int *turn = argument;

	for (int i = 1; i <= 2000; i++) {
		while (atomic_load(turn) < i)
			sched_yield();
		library_write_bytes(ends[1], 1);
	}
	return NULL;
}

START_TEST(cancel_raced_with_completion_gives_one_completion)
{
	struct achan_cqe cqes[2];
	_Atomic int turn = 0;
	pthread_t thread;

	pthread_create(&thread, NULL, write_when_told, &turn);
	for (int i = 1; i <= 2000; i++) {
		struct achan_req *req = submit_poll(NULL);
		int cancelled;

		atomic_store(&turn, i);
		cancelled = achan_queue_cancel(queue, req);
		ck_assert(!cancelled || cancelled == -EALREADY);
		ck_assert_int_eq(achan_queue_wait(queue, cqes, 1, 2,
						  unit_timeout_ns(10)), 1);
		ck_assert(cqes[0].res == POLLIN ||
			  (cqes[0].res == -ECANCELED && !cancelled));
		achan_req_put(req);
		ck_assert_int_eq(achan_poll(ends[0], POLLIN, -1), POLLIN);
		library_drain(ends[0]);
	}
	pthread_join(thread, NULL);
	ck_assert_int_eq(achan_queue_peek(queue, cqes, 2), 0);
}
END_TEST

/* -------------------------------------------------------------- give up */

START_TEST(request_given_up_is_cancelled_and_the_callers_again)
{
	struct achan_cqe cqe;
	struct achan_req *req;
	int64_t res = 0;

	choose_way(_i);
	req = submit_poll(NULL);
	ck_assert_int_eq(achan_queue_cancel_wait(queue, req, &res), 0);
	ck_assert_int_eq(res, -ECANCELED);
	ck_assert_int_eq(achan_queue_in_flight(queue), 0);
	ck_assert_int_eq(achan_queue_peek(queue, &cqe, 1), 0);
	ck_assert_int_eq(achan_queue_cancel_wait(queue, req, &res), -EALREADY);
	ck_assert_int_eq(achan_req_put(req), 0);
}
END_TEST

START_TEST(request_given_up_too_late_gives_its_result)
{
	struct achan_cqe cqe;
	struct achan_req *req;
	int64_t res = 0;

	choose_way(_i);
	req = submit_poll(NULL);
	library_write_bytes(ends[1], 1);
	arrive(1);
	ck_assert_int_eq(achan_queue_cancel_wait(queue, req, &res), 0);
	ck_assert_int_eq(res, POLLIN);
	ck_assert_int_eq(achan_queue_peek(queue, &cqe, 1), 0);
	ck_assert_int_eq(achan_req_put(req), 0);
}
END_TEST

START_TEST(giving_up_what_is_not_in_flight_is_refused)
{
	struct achan_queue *other = new_queue(1);
	struct achan_req *req = prepare_poll(NULL);
	struct achan_cqe cqe;
	int64_t res = 7;

	ck_assert_int_eq(achan_queue_cancel_wait(queue, req, &res), -EINVAL);
	ck_assert_int_eq(achan_queue_submit(queue, &req, 1), 1);
	ck_assert_int_eq(achan_queue_cancel_wait(other, req, &res), -EINVAL);
	ck_assert_int_eq(achan_queue_cancel_wait(queue, NULL, &res), -EINVAL);
	ck_assert_int_eq(achan_queue_cancel_wait(queue, req, NULL), -EINVAL);
	ck_assert_int_eq(achan_queue_cancel_wait(NULL, req, &res), -EINVAL);
	ck_assert_int_eq(achan_queue_cancel_all(NULL), -EINVAL);
	library_write_bytes(ends[1], 1);
	wait_one(&cqe);
	ck_assert_int_eq(achan_queue_cancel_wait(queue, req, &res), -EALREADY);
	ck_assert_int_eq(res, 7);
	achan_queue_free(other);
}
END_TEST

/* Each way to take completions finds those that were set aside. */
START_TEST(giving_one_up_leaves_the_other_completions)
{
	struct achan_req *reqs[4];
	struct achan_cqe cqes[DEPTH];
	int64_t res = 0;

	choose_way(_i);
	for (int i = 0; i < 4; i++)
		reqs[i] = submit_poll(&reqs[i]);
	library_write_bytes(ends[1], 1);
	arrive(4);
	ck_assert_int_eq(achan_queue_cancel_wait(queue, reqs[2], &res), 0);
	ck_assert_int_eq(res, POLLIN);
	ck_assert(is_readable());
	ck_assert_int_eq(achan_queue_in_flight(queue), 3);
	ck_assert_int_eq(achan_req_put(reqs[1]), -EBUSY);
	/* One that was set aside can be given up as well. */
	ck_assert_int_eq(achan_queue_cancel_wait(queue, reqs[1], &res), 0);
	ck_assert_int_eq(res, POLLIN);
	ck_assert_int_eq(achan_queue_wait(queue, cqes, 1, 1, -1), 1);
	ck_assert(is_readable());
	ck_assert_int_eq(achan_queue_peek(queue, cqes + 1, 2), 1);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(cqes[i].res, POLLIN);
		ck_assert_ptr_eq(cqes[i].data, (void *)&reqs[3 * (cqes[i].req ==
								  reqs[3])]);
	}
	ck_assert_ptr_ne(cqes[0].req, cqes[1].req);
	ck_assert_int_eq(achan_queue_in_flight(queue), 0);
}
END_TEST

START_TEST(giving_up_raced_with_completion_gives_one_result)
{
	struct achan_cqe cqe;
	_Atomic int turn = 0;
	pthread_t thread;

	pthread_create(&thread, NULL, write_when_told, &turn);
	for (int i = 1; i <= 2000; i++) {
		struct achan_req *req = submit_poll(NULL);
		int64_t res = 0;

		atomic_store(&turn, i);
		ck_assert_int_eq(achan_queue_cancel_wait(queue, req, &res), 0);
		ck_assert(res == POLLIN || res == -ECANCELED);
		achan_req_put(req);
		ck_assert_int_eq(achan_poll(ends[0], POLLIN, -1), POLLIN);
		library_drain(ends[0]);
	}
	pthread_join(thread, NULL);
	ck_assert_int_eq(achan_queue_peek(queue, &cqe, 1), 0);
}
END_TEST

static _Atomic int taker_ends, taken_by_taker;

static void *take_until_told(void *argument)
{
	struct achan_cqe cqe;

	while (!atomic_load(&taker_ends))
		if (achan_queue_wait(queue, &cqe, 1, 1, -1) == 1) {
			atomic_fetch_add(&taken_by_taker, 1);
			achan_req_put(cqe.req);
		}
	return argument;
}

/* The taker clears the eventfd and takes from the ring what is not its own. */
START_TEST(giving_up_beside_a_thread_that_takes_gives_one_result)
{
	int given_up = 0;
	pthread_t thread;

	choose_way(_i);
	pthread_create(&thread, NULL, take_until_told, NULL);
	for (int i = 0; i < 500; i++) {
		struct achan_req *req = submit_poll(NULL);
		struct achan_req *other = submit_poll(NULL);
		int64_t res;

		ck_assert_int_eq(achan_queue_cancel(queue, other), 0);
		ck_assert_int_eq(achan_queue_cancel_wait(queue, req, &res), 0);
		ck_assert_int_eq(res, -ECANCELED);
		given_up++;
		achan_req_put(req);
		while (achan_queue_in_flight(queue))
			sched_yield();
	}
	atomic_store(&taker_ends, 1);
	achan_queue_wake(queue);
	pthread_join(thread, NULL);
	ck_assert_int_eq(given_up, 500);
	ck_assert_int_eq(taken_by_taker, 500);
}
END_TEST

START_TEST(all_are_cancelled_and_their_completions_taken)
{
	struct achan_cqe cqes[DEPTH];

	choose_way(_i);
	for (int i = 0; i < DEPTH; i++)
		submit_poll(NULL);
	ck_assert_int_eq(achan_queue_cancel_all(queue), DEPTH);
	ck_assert_int_eq(achan_queue_wait(queue, cqes, DEPTH, DEPTH,
					  unit_timeout_ns(10)), DEPTH);
	for (int i = 0; i < DEPTH; i++)
		ck_assert_int_eq(cqes[i].res, -ECANCELED);
	ck_assert_int_eq(achan_queue_cancel_all(queue), 0);
}
END_TEST

/* ----------------------------------------------------------------- wait */

START_TEST(wait_returns_what_is_there_when_its_time_has_passed)
{
	int64_t started = unit_now_ns();
	struct achan_cqe cqes[4];

	choose_way(_i);
	ck_assert_int_eq(achan_queue_wait(queue, cqes, 1, 4, 0), 0);
	submit_poll(NULL);
	library_write_bytes(ends[1], 1);
	ck_assert_int_eq(achan_queue_wait(queue, cqes, 2, 4,
					  20 * UNIT_NS_PER_MS), 1);
	ck_assert_int_ge(unit_now_ns() - started, 20 * UNIT_NS_PER_MS);
	ck_assert_int_eq(achan_queue_wait(queue, cqes, 0, 4, -1), 0);
}
END_TEST

/* A wait in a thread of its own. */
struct waiter {
	_Atomic int tid;
	_Atomic int done;
	unsigned int min;
	int result;
};

static void *run_waiter(void *argument)
{
	struct waiter *waiter = argument;
	struct achan_cqe cqes[DEPTH];

	atomic_store(&waiter->tid, (int)syscall(SYS_gettid));
	waiter->result = achan_queue_wait(queue, cqes, waiter->min, DEPTH,
					  -1);
	atomic_store(&waiter->done, 1);
	return NULL;
}

static pthread_t start_waiter(struct waiter *waiter)
{
	pthread_t thread;

	pthread_create(&thread, NULL, run_waiter, waiter);
	ck_assert(library_reaches(&waiter->tid, 1));
	ck_assert(unit_wait_sleeping(waiter->tid));
	return thread;
}

START_TEST(wait_sleeps_until_min_are_there)
{
	struct waiter waiter = { .min = 3 };
	pthread_t thread = start_waiter(&waiter);

	for (int i = 0; i < 3; i++) {
		struct achan_req *req = get();

		ck_assert(unit_wait_sleeping(waiter.tid));
		ck_assert(!atomic_load(&waiter.done));
		achan_req_prep_write(req, ends[1], "x", 1);
		ck_assert_int_eq(achan_queue_submit(queue, &req, 1), 1);
	}
	pthread_join(thread, NULL);
	ck_assert_int_eq(waiter.result, 3);
}
END_TEST

static void ignore_signal(int number)
{
	(void)number;
}

START_TEST(wait_is_interrupted_by_a_signal)
{
	struct sigaction action = { .sa_handler = ignore_signal };
	struct waiter waiter = { .min = 1 };
	pthread_t thread;

	sigaction(SIGUSR1, &action, NULL);
	thread = start_waiter(&waiter);
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, NULL);
	ck_assert_int_eq(waiter.result, -EINTR);

	/* With a completion in hand that comes first. */
	waiter = (struct waiter){ .min = 2 };
	submit_poll(NULL);
	library_write_bytes(ends[1], 1);
	arrive(1);
	thread = start_waiter(&waiter);
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, NULL);
	ck_assert_int_eq(waiter.result, 1);
}
END_TEST

START_TEST(wake_ends_the_wait_that_sleeps)
{
	struct waiter waiter = { .min = 1 };
	pthread_t thread = start_waiter(&waiter);

	ck_assert_int_eq(achan_queue_wake(queue), 0);
	pthread_join(thread, NULL);
	ck_assert_int_eq(waiter.result, 0);
}
END_TEST

START_TEST(wake_ends_the_next_wait_if_none_sleeps)
{
	struct achan_cqe cqe;

	achan_queue_wake(queue);
	achan_queue_wake(queue);
	ck_assert_int_eq(achan_queue_wait(queue, &cqe, 1, 1, -1), 0);
	ck_assert_int_eq(achan_queue_wait(queue, &cqe, 1, 1, -1), 0);
	ck_assert_int_eq(achan_queue_wait(queue, &cqe, 1, 1,
					  UNIT_NS_PER_MS), 0);
}
END_TEST

START_TEST(as_many_wakes_as_waits_end_them_all)
{
	struct waiter waiters[4] = { 0 };
	pthread_t threads[4];

	for (int i = 0; i < 4; i++) {
		waiters[i].min = 1;
		threads[i] = start_waiter(&waiters[i]);
	}
	for (int i = 0; i < 4; i++)
		achan_queue_wake(queue);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		ck_assert_int_eq(waiters[i].result, 0);
	}
}
END_TEST

START_TEST(wake_that_ended_no_wait_yet_stays_announced)
{
	struct waiter waiter = { .min = 1 };
	pthread_t thread = start_waiter(&waiter);

	/* Two wakes, but so close together that the first clears the event. */
	atomic_fetch_add(&queue->wakes, 1);
	achan_queue_wake(queue);
	pthread_join(thread, NULL);
	ck_assert_int_eq(waiter.result, 0);
	ck_assert(is_readable());
}
END_TEST

static void wake_from_handler(int number)
{
	(void)number;
	achan_queue_wake(queue);
}

START_TEST(wake_may_be_called_from_a_signal_handler)
{
	struct sigaction action = {
		.sa_handler = wake_from_handler,
		.sa_flags = SA_RESTART,
	};
	struct waiter waiter = { .min = 1 };
	pthread_t thread;

	sigaction(SIGUSR1, &action, NULL);
	thread = start_waiter(&waiter);
	ck_assert_int_eq(kill(getpid(), SIGUSR1), 0);
	pthread_join(thread, NULL);
	ck_assert(!waiter.result || waiter.result == -EINTR);
}
END_TEST

/* --------------------------------------------------- peek and callbacks */

START_TEST(peek_takes_but_leaves_the_descriptor_readable)
{
	struct achan_cqe cqes[4];

	choose_way(_i);
	ck_assert(!is_readable());
	for (int i = 0; i < 3; i++)
		submit_poll(NULL);
	library_write_bytes(ends[1], 1);
	arrive(3);
	ck_assert_int_eq(achan_queue_peek(queue, cqes, 2), 2);
	ck_assert_int_eq(achan_queue_peek(queue, cqes, 4), 1);
	ck_assert_int_eq(achan_queue_peek(queue, cqes, 4), 0);
	ck_assert(is_readable());
	ck_assert_int_eq(achan_queue_dispatch(queue, 0), 0);
	ck_assert(!is_readable());
}
END_TEST

static int done_calls;
static int64_t done_res;

static void count_done(struct achan_req *req, int64_t res, void *data)
{
	if (data != &done_calls)
		return;
	done_calls++;
	done_res = res;
	achan_req_put(req);
}

static struct achan_req *submit_with_callback(achan_done_fn fn)
{
	struct achan_req *req = get();

	achan_req_prep_poll(req, ends[0], POLLIN);
	ck_assert_int_eq(achan_req_set_done(req, fn, &done_calls), 0);
	ck_assert_int_eq(achan_queue_submit(queue, &req, 1), 1);
	return req;
}

START_TEST(dispatch_runs_callbacks_and_keeps_the_rest_announced)
{
	choose_way(_i);
	for (int i = 0; i < 3; i++)
		submit_with_callback(count_done);
	library_write_bytes(ends[1], 1);
	arrive(3);
	ck_assert_int_eq(done_calls, 0);
	ck_assert_int_eq(achan_queue_dispatch(queue, 2), 2);
	ck_assert_int_eq(done_calls, 2);
	ck_assert(is_readable());
	ck_assert_int_eq(achan_queue_dispatch(queue, 0), 1);
	ck_assert_int_eq(done_calls, 3);
	ck_assert_int_eq(done_res, POLLIN);
	ck_assert(!is_readable());
	ck_assert_int_eq(achan_queue_dispatch(queue, 0), 0);
}
END_TEST

START_TEST(dispatch_without_a_callback_puts_the_request_back)
{
	for (int i = 0; i < 3 * DEPTH; i++) {
		submit_poll(NULL);
		library_write_bytes(ends[1], 1);
		arrive(1);
		ck_assert_int_eq(achan_queue_dispatch(queue, 0), 1);
		library_drain(ends[0]);
	}
}
END_TEST

START_TEST(wait_without_an_array_runs_callbacks)
{
	submit_with_callback(count_done);
	submit_with_callback(count_done);
	library_write_bytes(ends[1], 1);
	ck_assert_int_eq(achan_queue_wait(queue, NULL, 2, DEPTH,
					  unit_timeout_ns(10)), 2);
	ck_assert_int_eq(done_calls, 2);
}
END_TEST

START_TEST(submit_never_runs_callbacks)
{
	struct achan_req *req;

	library_write_bytes(ends[1], 1);
	for (int i = 0; i < DEPTH; i++)
		submit_with_callback(count_done);
	arrive(DEPTH);
	ck_assert_int_eq(done_calls, 0);
	ck_assert_ptr_null(achan_queue_get_req(queue));
	ck_assert_int_eq(achan_queue_dispatch(queue, 0), DEPTH);
	req = get();
	achan_req_put(req);
}
END_TEST

static void dispatch_inside(struct achan_req *req, int64_t res, void *data)
{
	achan_queue_dispatch(queue, 0);
	count_done(req, res, data);
}

static int nested;

static void wait_inside(struct achan_req *req, int64_t res, void *data)
{
	if (nested++ < 2)
		achan_queue_wait(queue, NULL, 1, 1, unit_timeout_ns(10));
	count_done(req, res, data);
}

/* A callback that waits for another one must find it in the queue. */
START_TEST(callbacks_may_dispatch_and_wait)
{
	achan_done_fn fn = _i ? wait_inside : dispatch_inside;

	for (int i = 0; i < 4; i++)
		submit_with_callback(fn);
	library_write_bytes(ends[1], 1);
	arrive(4);
	while (done_calls < 4)
		ck_assert_int_ge(achan_queue_dispatch(queue, 0), 1);
	ck_assert_int_eq(done_calls, 4);
	ck_assert_int_eq(achan_queue_in_flight(queue), 0);
}
END_TEST

static void submit_again(struct achan_req *req, int64_t res, void *data)
{
	if (++done_calls >= 50) {
		achan_req_put(req);
		return;
	}
	done_res = res;
	achan_req_prep_poll(req, ends[0], POLLIN);
	achan_req_set_done(req, submit_again, data);
	if (achan_queue_submit(queue, &req, 1) != 1)
		done_res = -1;
}

START_TEST(callback_may_submit_its_request_again)
{
	library_write_bytes(ends[1], 1);
	submit_with_callback(submit_again);
	while (done_calls < 50)
		ck_assert_int_ge(achan_queue_wait(queue, NULL, 1, DEPTH,
						  unit_timeout_ns(10)), 1);
	ck_assert_int_eq(done_res, POLLIN);
	ck_assert_int_eq(achan_queue_in_flight(queue), 0);
}
END_TEST

START_TEST(queue_works_in_epoll)
{
	struct epoll_event event = { .events = EPOLLIN };
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	ck_assert_int_eq(epoll_ctl(epoll, EPOLL_CTL_ADD, achan_queue_fd(queue),
				   &event), 0);
	ck_assert_int_eq(epoll_wait(epoll, &event, 1, 0), 0);
	submit_with_callback(count_done);
	library_write_bytes(ends[1], 1);
	ck_assert_int_eq(epoll_wait(epoll, &event, 1, 10000), 1);
	ck_assert_int_eq(achan_queue_dispatch(queue, 0), 1);
	ck_assert_int_eq(epoll_wait(epoll, &event, 1, 0), 0);
	achan_queue_wake(queue);
	ck_assert_int_eq(epoll_wait(epoll, &event, 1, 10000), 1);
	ck_assert_int_eq(achan_queue_dispatch(queue, 0), 0);
	ck_assert_int_eq(epoll_wait(epoll, &event, 1, 0), 0);
	ck_assert_int_ne(fcntl(achan_queue_fd(queue), F_GETFL) & O_NONBLOCK,
			 0);
	ck_assert_int_eq(fcntl(achan_queue_fd(queue), F_GETFD), FD_CLOEXEC);
	close(epoll);
}
END_TEST

/* ----------------------------------------------------------------- free */

static int shut_down;

static void try_while_freed(struct achan_req *req, int64_t res, void *data)
{
	achan_req_prep_poll(req, ends[0], POLLIN);
	if (achan_queue_submit(queue, &req, 1) == -ESHUTDOWN &&
	    !achan_queue_get_req(queue))
		shut_down++;
	count_done(req, res, data);
}

START_TEST(free_completes_each_request_once_as_cancelled)
{
	choose_way(_i);
	for (int i = 0; i < DEPTH; i++)
		submit_with_callback(try_while_freed);
	achan_queue_free(queue);
	ck_assert_int_eq(done_calls, DEPTH);
	ck_assert_int_eq(shut_down, DEPTH);
	ck_assert_int_eq(done_res, -ECANCELED);
	library_write_bytes(ends[1], 1);
	queue = new_queue(DEPTH);
}
END_TEST

START_TEST(free_delivers_completions_that_were_not_taken)
{
	submit_with_callback(count_done);
	submit_poll(NULL);
	library_write_bytes(ends[1], 1);
	arrive(2);
	ck_assert_int_eq(achan_queue_free(queue), 1);
	ck_assert_int_eq(done_calls, 1);
	ck_assert_int_eq(done_res, POLLIN);
	queue = new_queue(DEPTH);
}
END_TEST

/* One set aside by giving another one up is delivered, too. */
START_TEST(free_says_how_many_results_nobody_got)
{
	struct achan_req *req;
	int64_t res;

	ck_assert_int_eq(achan_queue_free(NULL), 0);
	submit_poll(NULL);
	ck_assert_int_eq(achan_queue_free(queue), 0);
	queue = new_queue(DEPTH);
	/* What is dispatched before does not count. */
	submit_poll(NULL);
	library_write_bytes(ends[1], 1);
	arrive(1);
	ck_assert_int_eq(achan_queue_dispatch(queue, 0), 1);
	submit_with_callback(count_done);
	submit_poll(NULL);
	submit_poll(NULL);
	req = submit_poll(NULL);
	arrive(4);
	ck_assert_int_eq(achan_queue_cancel_wait(queue, req, &res), 0);
	ck_assert_int_eq(res, POLLIN);
	ck_assert_int_eq(achan_queue_free(queue), 2);
	ck_assert_int_eq(done_calls, 1);
	queue = new_queue(DEPTH);
}
END_TEST

START_TEST(free_cancels_thousands)
{
	unsigned int depth = 5000;
	struct achan_req *req;

	achan_queue_free(queue);
	queue = new_queue(depth);
	for (unsigned int i = 0; i < depth; i++) {
		req = get();
		achan_req_prep_poll(req, ends[0], POLLIN);
		achan_req_set_done(req, count_done, &done_calls);
		ck_assert_int_eq(achan_queue_submit(queue, &req, 1), 1);
	}
	ck_assert_int_eq(achan_queue_in_flight(queue), (int)depth);
	achan_queue_free(queue);
	ck_assert_int_eq(done_calls, (int)depth);
	queue = new_queue(DEPTH);
}
END_TEST

START_TEST(closing_a_channel_leaves_its_requests)
{
	struct achan *pipe_ends[2];
	struct achan_req *req = get();
	struct achan_cqe cqe;

	library_pipe(pipe_ends, O_NONBLOCK);
	achan_req_prep_poll(req, pipe_ends[0], POLLIN);
	ck_assert_int_eq(achan_queue_submit(queue, &req, 1), 1);
	achan_close(pipe_ends[0]);
	ck_assert_int_eq(achan_queue_in_flight(queue), 1);
	library_write_bytes(pipe_ends[1], 1);
	wait_one(&cqe);
	ck_assert_int_eq(cqe.res, POLLIN);
	achan_close(pipe_ends[1]);
}
END_TEST

/* ------------------------------------------------------------- children */

static bool every_call_is_echild(struct achan_req *req)
{
	struct achan_cqe cqe;
	char byte;

	return !achan_queue_get_req(queue) &&
	       achan_queue_submit(queue, &req, 1) == -ECHILD &&
	       achan_queue_cancel(queue, req) == -ECHILD &&
	       achan_queue_peek(queue, &cqe, 1) == -ECHILD &&
	       achan_queue_wait(queue, &cqe, 1, 1, 0) == -ECHILD &&
	       achan_queue_dispatch(queue, 0) == -ECHILD &&
	       achan_queue_wake(queue) == -ECHILD &&
	       achan_queue_in_flight(queue) == -ECHILD &&
	       achan_queue_fd(queue) == -ECHILD &&
	       achan_req_put(req) == -ECHILD &&
	       achan_req_prep_read(req, ends[0], &byte, 1) == -ECHILD &&
	       achan_req_set_done(req, NULL, NULL) == -ECHILD;
}

/* mincore() knows only what is mapped. */
static bool ring_is_mapped(void)
{
	unsigned char present;

	return !mincore(queue->ring.header, 1, &present);
}

START_TEST(child_cannot_touch_its_parents_queue)
{
	struct achan_cqe cqe;
	struct achan_req *req = submit_poll(NULL);
	pid_t child;

	library_write_bytes(ends[1], 1);
	ck_assert(ring_is_mapped());
	if (library_in_child(&child)) {
		bool ok = every_call_is_echild(req) && !ring_is_mapped();

		achan_queue_free(queue);
		ok = ok && !achan_queue_new(&queue, 2, NULL);
		achan_queue_free(queue);
		library_close(ends);
		library_child_done(ok);
	}
	library_child_ok(child);
	arrive(1);
	ck_assert_int_eq(achan_queue_peek(queue, &cqe, 1), 1);
	ck_assert_ptr_eq(cqe.req, req);
	ck_assert_int_eq(cqe.res, POLLIN);
}
END_TEST

/* -------------------------------------------------------------- hostile */

START_TEST(completions_for_no_request_are_passed_over)
{
	struct {
		struct achan_aio_header header;
		struct io_event events[8];
	} mock = {
		.header = {
			.magic = ACHAN_AIO_MAGIC,
			.slots = 8,
			.tail = 6,
			.header_length = sizeof(mock.header),
		},
	};
	struct achan_aio_ring real = queue->ring;
	struct achan_req *req = submit_poll(NULL);
	struct achan_cqe cqes[8];

	mock.events[0].obj = NULL;
	mock.events[1].obj = (struct iocb *)((char *)&req->iocb + 8);
	mock.events[2].obj = &queue->reqs[DEPTH].iocb;
	mock.events[3].obj = &queue->reqs[DEPTH - 1].iocb;
	mock.events[4].obj = &req->iocb;
	mock.events[4].res = POLLIN;
	mock.events[5].obj = &req->iocb;
	ck_assert(achan_aio_ring_attach(&queue->ring, &mock));
	ck_assert_int_eq(achan_queue_peek(queue, cqes, 8), 1);
	ck_assert_ptr_eq(cqes[0].req, req);
	ck_assert_int_eq(cqes[0].res, POLLIN);
	ck_assert_int_eq(achan_queue_in_flight(queue), 0);

	/* A header that makes no sense: the system call is asked instead. */
	mock.header.tail = 99;
	library_write_bytes(ends[1], 1);
	ck_assert_int_eq(achan_queue_peek(queue, cqes, 8), 0);
	queue->ring = real;
}
END_TEST

START_TEST(errno_is_left_as_it_was)
{
	struct achan_queue *none;
	struct achan_cqe cqe;
	struct achan_req *req;

	choose_way(_i);
	errno = 4711;
	req = submit_poll(NULL);
	achan_queue_wait(queue, &cqe, 1, 1, 1000);
	achan_queue_dispatch(queue, 0);
	achan_queue_cancel(queue, req);
	achan_queue_cancel(queue, req);
	achan_queue_wake(queue);
	achan_queue_wait(queue, &cqe, 1, 1, 1000);
	achan_queue_new(&none, 0, NULL);
	achan_queue_free(new_queue(1));
	ck_assert_int_eq(errno, 4711);
}
END_TEST

/* -------------------------------------------------------------- threads */

#define THREADS		2
#define PER_THREAD	3000

static _Atomic int completed, wrong_results;

static void *submit_many(void *argument)
{
	(void)argument;
	for (int i = 0; i < PER_THREAD; i++) {
		struct achan_req *req = achan_queue_get_req(queue);

		if (!req) {
			sched_yield();
			i--;
			continue;
		}
		achan_req_prep_poll(req, ends[1], POLLOUT);
		achan_req_set_done(req, NULL, req);
		while (achan_queue_submit(queue, &req, 1) != 1)
			sched_yield();
	}
	return NULL;
}

static void *take_many(void *argument)
{
	struct achan_cqe cqes[3];

	(void)argument;
	while (atomic_load(&completed) < THREADS * PER_THREAD) {
		int count = achan_queue_wait(queue, cqes, 1, 3, -1);

		for (int i = 0; i < count; i++) {
			if (cqes[i].res != POLLOUT ||
			    cqes[i].data != cqes[i].req ||
			    achan_req_put(cqes[i].req))
				atomic_fetch_add(&wrong_results, 1);
			atomic_fetch_add(&completed, 1);
		}
	}
	/* The others may sleep. */
	achan_queue_wake(queue);
	return NULL;
}

START_TEST(many_threads_submit_and_take)
{
	pthread_t submitters[THREADS], takers[THREADS];

	choose_way(_i);
	for (int i = 0; i < THREADS; i++) {
		pthread_create(&takers[i], NULL, take_many, NULL);
		pthread_create(&submitters[i], NULL, submit_many, NULL);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(submitters[i], NULL);
		pthread_join(takers[i], NULL);
	}
	ck_assert_int_eq(completed, THREADS * PER_THREAD);
	ck_assert_int_eq(wrong_results, 0);
	ck_assert_int_eq(achan_queue_in_flight(queue), 0);
}
END_TEST

/* ---------------------------------------------------------------------- */

static TCase *new_case(const char *name)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	return tcase;
}

static TCase *request_case(void)
{
	TCase *tcase = new_case("request");

	tcase_add_test(tcase, bad_queue_options_are_refused);
	tcase_add_test(tcase, depth_over_the_systems_limit_is_eagain);
	tcase_add_test(tcase, null_queues_and_requests_are_refused);
	tcase_add_test(tcase, queues_come_and_go_without_leaks);
	tcase_add_test(tcase, requests_are_as_many_as_the_depth);
	tcase_add_test(tcase,
		       request_in_flight_can_be_neither_put_nor_prepared);
	tcase_add_test(tcase, request_put_back_is_nobodys);
	tcase_add_test(tcase, unknown_request_flags_and_events_are_refused);
	tcase_add_loop_test(tcase, read_and_write_move_data, 0, 2);
	tcase_add_loop_test(tcase, readv_and_writev_move_data, 0, 2);
	tcase_add_loop_test(tcase, poll_completes_with_the_events_there, 0, 2);
	tcase_add_test(tcase, nowait_completes_with_eagain);
	tcase_add_test(tcase, errors_are_results);
	tcase_add_loop_test(tcase, errno_is_left_as_it_was, 0, 2);
	return tcase;
}

static TCase *submit_case(void)
{
	TCase *tcase = new_case("submit and cancel");

	tcase_add_test(tcase, submit_accepts_up_to_the_first_bad_one);
	tcase_add_test(tcase, submit_refuses_what_is_not_prepared_here);
	tcase_add_test(tcase, submit_takes_hundreds_at_once);
	tcase_add_loop_test(tcase, requests_are_used_again_and_again, 0, 2);
	tcase_add_loop_test(tcase, cancelled_poll_completes_once_with_ecanceled,
			    0, 2);
	tcase_add_test(tcase, cancel_tells_too_early_from_too_late);
	tcase_add_test(tcase,
		       cancel_raced_with_completion_gives_one_completion);
	tcase_add_loop_test(tcase, many_threads_submit_and_take, 0, 2);
	return tcase;
}

static TCase *give_up_case(void)
{
	TCase *tcase = new_case("give up");

	tcase_add_loop_test(tcase,
			    request_given_up_is_cancelled_and_the_callers_again,
			    0, 2);
	tcase_add_loop_test(tcase, request_given_up_too_late_gives_its_result,
			    0, 2);
	tcase_add_test(tcase, giving_up_what_is_not_in_flight_is_refused);
	tcase_add_loop_test(tcase, giving_one_up_leaves_the_other_completions,
			    0, 2);
	tcase_add_test(tcase, giving_up_raced_with_completion_gives_one_result);
	tcase_add_loop_test(tcase,
			    giving_up_beside_a_thread_that_takes_gives_one_result,
			    0, 2);
	tcase_add_loop_test(tcase, all_are_cancelled_and_their_completions_taken,
			    0, 2);
	return tcase;
}

static TCase *wait_case(void)
{
	TCase *tcase = new_case("wait");

	tcase_add_loop_test(tcase,
			    wait_returns_what_is_there_when_its_time_has_passed,
			    0, 2);
	tcase_add_test(tcase, wait_sleeps_until_min_are_there);
	tcase_add_test(tcase, wait_is_interrupted_by_a_signal);
	tcase_add_test(tcase, wake_ends_the_wait_that_sleeps);
	tcase_add_test(tcase, wake_ends_the_next_wait_if_none_sleeps);
	tcase_add_test(tcase, as_many_wakes_as_waits_end_them_all);
	tcase_add_test(tcase, wake_that_ended_no_wait_yet_stays_announced);
	tcase_add_test(tcase, wake_may_be_called_from_a_signal_handler);
	tcase_add_loop_test(tcase,
			    peek_takes_but_leaves_the_descriptor_readable, 0,
			    2);
	return tcase;
}

static TCase *callback_case(void)
{
	TCase *tcase = new_case("callback");

	tcase_add_loop_test(tcase,
			    dispatch_runs_callbacks_and_keeps_the_rest_announced,
			    0, 2);
	tcase_add_test(tcase,
		       dispatch_without_a_callback_puts_the_request_back);
	tcase_add_test(tcase, wait_without_an_array_runs_callbacks);
	tcase_add_test(tcase, submit_never_runs_callbacks);
	tcase_add_loop_test(tcase, callbacks_may_dispatch_and_wait, 0, 2);
	tcase_add_test(tcase, callback_may_submit_its_request_again);
	tcase_add_test(tcase, queue_works_in_epoll);
	return tcase;
}

static TCase *free_case(void)
{
	TCase *tcase = new_case("free");

	tcase_add_loop_test(tcase,
			    free_completes_each_request_once_as_cancelled, 0,
			    2);
	tcase_add_test(tcase, free_delivers_completions_that_were_not_taken);
	tcase_add_test(tcase, free_says_how_many_results_nobody_got);
	tcase_add_test(tcase, free_cancels_thousands);
	tcase_add_test(tcase, closing_a_channel_leaves_its_requests);
	tcase_add_test(tcase, child_cannot_touch_its_parents_queue);
	tcase_add_test(tcase, completions_for_no_request_are_passed_over);
	return tcase;
}

int main(void)
{
	Suite *suite = suite_create("library queue");

	suite_add_tcase(suite, request_case());
	suite_add_tcase(suite, submit_case());
	suite_add_tcase(suite, give_up_case());
	suite_add_tcase(suite, wait_case());
	suite_add_tcase(suite, callback_case());
	suite_add_tcase(suite, free_case());
	return unit_main(suite);
}
