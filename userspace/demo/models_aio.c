// SPDX-License-Identifier: LGPL-2.1-or-later
/* The checks of requests that complete later: kernel AIO and io_uring. */
#define _GNU_SOURCE
#include "models.h"

#include <dirent.h>
#include <errno.h>
#include <libaio.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <liburing.h>

#define EVENT_LIMIT_SECONDS	5

static volatile sig_atomic_t interrupted;

/* The second alarm ends the process: the parent then says "hangs". */
static void on_alarm(int number)
{
	interrupted = 1;
	signal(number, SIG_DFL);
	alarm(EVENT_LIMIT_SECONDS);
}

/* A system call that sleeps is interrupted after a second, not restarted. */
static void interrupt_in_a_second(void)
{
	struct sigaction action = { .sa_handler = on_alarm };

	sigaction(SIGALRM, &action, NULL);
	alarm(1);
}

struct request {
	io_context_t context;
	struct iocb iocb;
	char buffer[64];
};

/* The number of events (0 or 1) within @seconds, or a negative errno value. */
static int get_event(struct request *request, struct io_event *event, int seconds)
{
	struct timespec limit = { .tv_sec = seconds };

	return io_getevents(request->context, 1, 1, event, &limit);
}

/* True when the request was taken at once and waits; else @answer says why not. */
static bool submit_and_wait(struct request *request, struct answer *answer)
{
	struct iocb *list[] = { &request->iocb };
	struct io_event event;
	int ret;

	ret = io_setup(1, &request->context);
	if (ret < 0) {
		answer_errno(answer, -ret);
		return false;
	}
	interrupt_in_a_second();
	ret = io_submit(request->context, 1, list);
	if (interrupted) {
		answer_no(answer, "blocks");
		return false;
	}
	alarm(2 * EVENT_LIMIT_SECONDS);
	if (ret != 1) {
		answer_errno(answer, -ret);
		return false;
	}
	if (get_event(request, &event, 0) == 0)
		return true;
	if ((long)event.res < 0)
		answer_errno(answer, (int)-(long)event.res);
	else
		answer_no(answer, "completes while empty");
	return false;
}

static void prepare_read(struct object *object, struct request *request)
{
	size_t size = object->type->unit ? object->type->unit : sizeof(request->buffer);

	memset(request, 0, sizeof(*request));
	io_prep_pread(&request->iocb, object->reader, request->buffer, size, 0);
}

static bool is_whole(const struct object *object, long result)
{
	return result == (long)unit_of(object, 3);
}

/* Some objects report POLLRDNORM as well. */
static bool is_readable(const struct object *object, long result)
{
	(void)object;
	return result > 0 && (result & POLLIN);
}

/* Feeds the object; the waiting request is to complete with a result as wanted. */
static void expect_completion(struct object *object, struct request *request,
			      struct answer *answer,
			      bool (*wanted)(const struct object *object, long result))
{
	struct io_event event;

	if (object->type->put(object, 3) < 0)
		answer_errno(answer, errno);
	else if (get_event(request, &event, EVENT_LIMIT_SECONDS) != 1)
		answer_no(answer, "never completes");
	else if (wanted(object, (long)event.res))
		answer_yes(answer);
	else
		answer_no(answer, "wrong result");
}

void check_aio_poll(struct object *object, struct answer *answer)
{
	struct request request;

	memset(&request, 0, sizeof(request));
	io_prep_poll(&request.iocb, object->reader, POLLIN);
	if (submit_and_wait(&request, answer))
		expect_completion(object, &request, answer, is_readable);
}

void check_aio_read(struct object *object, struct answer *answer)
{
	struct request request;

	prepare_read(object, &request);
	if (submit_and_wait(&request, answer))
		expect_completion(object, &request, answer, is_whole);
}

void check_aio_cancel(struct object *object, struct answer *answer)
{
	struct request request;
	struct io_event event;
	int ret;

	prepare_read(object, &request);
	if (!submit_and_wait(&request, answer))
		return;
	ret = io_cancel(request.context, &request.iocb, &event);
	if (ret != -EINPROGRESS)
		answer_errno(answer, -ret);
	else if (get_event(&request, &event, EVENT_LIMIT_SECONDS) != 1)
		answer_no(answer, "never completes");
	else if ((long)event.res == -ECANCELED)
		answer_yes(answer);
	else
		answer_no(answer, "wrong result");
}

/* Threads of this process that io_uring made to run requests that block. */
static unsigned int uring_workers(void)
{
	DIR *tasks = opendir("/proc/self/task");
	unsigned int workers = 0;
	struct dirent *task;

	while (tasks && (task = readdir(tasks))) {
		char path[300], name[32] = "";
		FILE *file;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", task->d_name);
		file = fopen(path, "r");
		if (!file)
			continue;
		if (fgets(name, sizeof(name), file) && !strncmp(name, "iou-wrk", 7))
			workers++;
		fclose(file);
	}
	if (tasks)
		closedir(tasks);
	return workers;
}

static void finish_uring_read(struct object *object, struct io_uring *ring,
			      struct answer *answer)
{
	struct __kernel_timespec limit = { .tv_sec = EVENT_LIMIT_SECONDS };
	struct io_uring_cqe *cqe;

	if (object->type->put(object, 3) < 0)
		answer_errno(answer, errno);
	else if (io_uring_wait_cqe_timeout(ring, &cqe, &limit) < 0)
		answer_no(answer, "never completes");
	else if (cqe->res < 0)
		answer_errno(answer, -cqe->res);
	else if (uring_workers())
		answer_no(answer, "io-wq reads");
	else if (cqe->res != (int)unit_of(object, 3))
		answer_no(answer, "wrong result");
	else
		answer_yes(answer);
}

void check_uring_read(struct object *object, struct answer *answer)
{
	size_t size = object->type->unit ? object->type->unit : 64;
	struct io_uring_cqe *cqe;
	struct io_uring_sqe *sqe;
	struct io_uring ring;
	char buffer[64];
	int ret;

	ret = io_uring_queue_init(2, &ring, 0);
	if (ret < 0) {
		answer_errno(answer, -ret);
		return;
	}
	interrupt_in_a_second();
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_read(sqe, object->reader, buffer, (unsigned int)size, 0);
	ret = io_uring_submit(&ring);
	if (interrupted || ret != 1) {
		answer_no(answer, interrupted ? "blocks" : "not submitted");
		return;
	}
	alarm(2 * EVENT_LIMIT_SECONDS);
	if (uring_workers())
		answer_no(answer, "io-wq waits");
	else if (io_uring_peek_cqe(&ring, &cqe) == 0)
		answer_no(answer, "completes while empty");
	else
		finish_uring_read(object, &ring, answer);
}
