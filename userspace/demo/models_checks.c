// SPDX-License-Identifier: LGPL-2.1-or-later
/* The checks that need no AIO, and the list of all. */
#define _GNU_SOURCE
#include "models.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

size_t unit_of(const struct object *object, size_t length)
{
	return object->type->unit ? object->type->unit : length;
}

void answer_yes(struct answer *answer)
{
	answer->yes = true;
}

void answer_no(struct answer *answer, const char *why)
{
	answer->yes = false;
	snprintf(answer->why, sizeof(answer->why), "%s", why);
}

void answer_errno(struct answer *answer, int error)
{
	const char *name = strerrorname_np(error);

	answer_no(answer, name ? name : "unknown error");
}

static void answer_if(struct answer *answer, bool yes, const char *why)
{
	if (yes)
		answer_yes(answer);
	else
		answer_no(answer, why);
}

static bool put_one(struct object *object, struct answer *answer)
{
	if (object->type->put(object, 3) == 0)
		return true;
	answer_errno(answer, errno);
	return false;
}

static bool main_thread_sleeps(void)
{
	char line[256], path[64];
	const char *state;
	FILE *file;
	bool sleeps = false;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)getpid());
	file = fopen(path, "r");
	if (!file)
		return false;
	if (fgets(line, sizeof(line), file)) {
		state = strrchr(line, ')');
		sleeps = state && state[1] == ' ' && state[2] == 'S';
	}
	fclose(file);
	return sleeps;
}

struct feeder {
	struct object *object;
	bool reader_slept;
};

/* Feeds only a reader that sleeps; after 5 s without one it feeds anyway. */
static void *feed_sleeper(void *data)
{
	const struct timespec pause = { .tv_nsec = 10000000 };
	struct feeder *feeder = data;
	int i, asleep = 0;

	for (i = 0; i < 500 && asleep < 3; i++) {
		nanosleep(&pause, NULL);
		asleep = main_thread_sleeps() ? asleep + 1 : 0;
	}
	feeder->reader_slept = asleep == 3;
	feeder->object->type->put(feeder->object, 3);
	return NULL;
}

static void check_blocking(struct object *object, struct answer *answer)
{
	struct feeder feeder = { .object = object };
	pthread_t thread;
	char buffer[64];
	ssize_t n;

	if (pthread_create(&thread, NULL, feed_sleeper, &feeder)) {
		answer_no(answer, "no thread");
		return;
	}
	n = object->type->take(object, buffer, sizeof(buffer));
	pthread_join(thread, NULL);
	answer_if(answer, feeder.reader_slept && n == (ssize_t)unit_of(object, 3), "did not wait");
}

static bool set_nonblocking(struct object *object, struct answer *answer)
{
	int flags = fcntl(object->reader, F_GETFL);

	if (flags >= 0 && fcntl(object->reader, F_SETFL, flags | O_NONBLOCK) == 0)
		return true;
	answer_errno(answer, errno);
	return false;
}

static void check_nonblocking(struct object *object, struct answer *answer)
{
	char buffer[64];

	if (!set_nonblocking(object, answer))
		return;
	if (object->type->take(object, buffer, sizeof(buffer)) >= 0)
		answer_no(answer, "reads something");
	else if (errno == EAGAIN)
		answer_yes(answer);
	else
		answer_errno(answer, errno);
}

static void check_poll(struct object *object, struct answer *answer)
{
	struct pollfd pollfd = { .fd = object->reader, .events = POLLIN };

	if (poll(&pollfd, 1, 0) != 0) {
		answer_no(answer, "ready while empty");
		return;
	}
	if (!put_one(object, answer))
		return;
	answer_if(answer, poll(&pollfd, 1, 5000) == 1 && pollfd.revents == POLLIN, "not told");
}

/* Edge-triggered: one event for each of two puts, though nothing is read. */
static void check_epoll(struct object *object, struct answer *answer)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int fd = epoll_create1(0);

	if (fd < 0 || epoll_ctl(fd, EPOLL_CTL_ADD, object->reader, &event) < 0) {
		answer_errno(answer, errno);
		return;
	}
	if (epoll_wait(fd, &event, 1, 0) != 0) {
		answer_no(answer, "ready while empty");
		return;
	}
	if (!put_one(object, answer))
		return;
	if (epoll_wait(fd, &event, 1, 5000) != 1) {
		answer_no(answer, "not told");
		return;
	}
	if (!put_one(object, answer))
		return;
	answer_if(answer, epoll_wait(fd, &event, 1, 1000) == 1, "one edge for two");
}

static void check_sigio(struct object *object, struct answer *answer)
{
	const struct timespec limit = { .tv_sec = 2 };
	int number = SIGRTMIN + 1;
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, number);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (fcntl(object->reader, F_SETOWN, getpid()) < 0 ||
	    fcntl(object->reader, F_SETSIG, number) < 0 ||
	    fcntl(object->reader, F_SETFL, fcntl(object->reader, F_GETFL) | O_ASYNC) < 0) {
		answer_errno(answer, errno);
		return;
	}
	if (!put_one(object, answer))
		return;
	if (sigtimedwait(&set, &info, &limit) != number)
		answer_no(answer, "no signal");
	else
		answer_if(answer, info.si_fd == object->reader && info.si_code == POLL_IN,
			  "no si_fd");
}

static void check_splice(struct object *object, struct answer *answer)
{
	int fds[2];
	ssize_t n;

	if (pipe(fds) < 0 || !put_one(object, answer))
		return;
	n = splice(object->reader, NULL, fds[1], NULL, 4096, SPLICE_F_NONBLOCK);
	if (n < 0)
		answer_errno(answer, errno);
	else
		answer_if(answer, n == (ssize_t)unit_of(object, 3), "another length");
}

static void check_boundaries(struct object *object, struct answer *answer)
{
	char buffer[64];
	ssize_t first, second;

	if (!set_nonblocking(object, answer))
		return;
	if (object->type->put(object, 3) < 0 || object->type->put(object, 5) < 0) {
		answer_errno(answer, errno);
		return;
	}
	first = object->type->take(object, buffer, sizeof(buffer));
	second = object->type->take(object, buffer, sizeof(buffer));
	answer_if(answer, first == (ssize_t)unit_of(object, 3) &&
		  second == (ssize_t)unit_of(object, 5), "merged");
}

static void check_sequence(struct object *object, struct answer *answer)
{
	answer_if(answer, object->type->sequence && object->type->sequence(object) == 0, "");
}

static void check_timestamp(struct object *object, struct answer *answer)
{
	answer_if(answer, object->type->timestamp && object->type->timestamp(object) == 0, "");
}

const struct check checks[] = {
	{ "a blocking read sleeps, then gets the data", check_blocking, false },
	{ "O_NONBLOCK on the empty object: EAGAIN", check_nonblocking, false },
	{ "poll", check_poll, false },
	{ "epoll, edge-triggered: an event per write", check_epoll, false },
	{ "IOCB_CMD_POLL on a file open O_RDWR", check_aio_poll, true },
	{ "SIGIO with si_fd (F_SETSIG)", check_sigio, false },
	{ "io_submit of a read on the empty object returns at once and the read waits",
	  check_aio_read, false },
	{ "io_cancel of that read", check_aio_cancel, false },
	{ "an io_uring read waits without an io-wq thread", check_uring_read, false },
	{ "splice to a pipe", check_splice, false },
	{ "message boundaries", check_boundaries, false },
	{ "sequence number per record", check_sequence, false },
	{ "timestamp per record", check_timestamp, false },
};

const size_t check_count = sizeof(checks) / sizeof(checks[0]);
