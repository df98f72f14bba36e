// SPDX-License-Identifier: LGPL-2.1-or-later
/* SIGIO, AIO and io_uring, by the bare calls. */
#define _GNU_SOURCE
#include "hardware.h"
#include "demo.h"
#include "timeline.h"

#include <errno.h>
#include <fcntl.h>
#include <libaio.h>
#include <liburing.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t runs;
static volatile uint64_t handled;

static void on_signal(int number)
{
	(void)number;
	handled = monotonic_ns();
	runs++;
}

/* The signal stays blocked but in sigsuspend(): it can be neither early nor lost. */
static bool signal_open(struct hardware *hardware)
{
	struct sigaction action = { .sa_handler = on_signal };
	sigset_t blocked;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGIO);
	sigprocmask(SIG_BLOCK, &blocked, &hardware->asleep);
	sigdelset(&hardware->asleep, SIGIO);
	if (sigaction(SIGIO, &action, NULL) < 0 ||
	    fcntl(hardware->fd, F_SETOWN, getpid()) < 0 ||
	    fcntl(hardware->fd, F_SETFL, O_ASYNC | O_NONBLOCK) < 0)
		return timeline_error("arming SIGIO", errno);
	return true;
}

static bool signal_wait(struct hardware *hardware)
{
	while (!runs)
		sigsuspend(&hardware->asleep);
	runs = 0;
	hardware->woke = handled;
	hardware->length = read(hardware->fd, &hardware->answer, sizeof(hardware->answer));
	hardware->has = monotonic_ns();
	return hardware->length >= 0 || timeline_error("read after the signal", errno);
}

static bool aio_open(struct hardware *hardware)
{
	io_context_t context = NULL;
	int ret = io_setup(1, &context);

	if (ret < 0)
		return timeline_error("io_setup (fs.aio-max-nr too small?)", -ret);
	hardware->private = context;
	return true;
}

static bool aio_prepare(struct hardware *hardware)
{
	static struct iocb request;
	struct iocb *requests[] = { &request };
	int ret;

	io_prep_pread(&request, hardware->fd, &hardware->answer, sizeof(hardware->answer), 0);
	ret = io_submit(hardware->private, 1, requests);
	return ret == 1 || timeline_error("io_submit", -ret);
}

static bool aio_wait(struct hardware *hardware)
{
	struct io_event event;
	int ret = io_getevents(hardware->private, 1, 1, &event, NULL);

	hardware->woke = monotonic_ns();
	hardware->has = hardware->woke;
	if (ret != 1)
		return timeline_error("io_getevents", -ret);
	hardware->length = (int64_t)event.res;
	return true;
}

static bool uring_open(struct hardware *hardware)
{
	static struct io_uring ring;
	int ret = io_uring_queue_init(1, &ring, 0);

	hardware->private = &ring;
	return !ret || timeline_error("io_uring_queue_init", -ret);
}

static bool uring_prepare(struct hardware *hardware)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(hardware->private);
	int ret;

	io_uring_prep_read(sqe, hardware->fd, &hardware->answer, sizeof(hardware->answer), 0);
	ret = io_uring_submit(hardware->private);
	return ret == 1 || timeline_error("io_uring_submit", -ret);
}

static bool uring_wait(struct hardware *hardware)
{
	struct io_uring_cqe *cqe;
	int ret = io_uring_wait_cqe(hardware->private, &cqe);

	hardware->woke = monotonic_ns();
	hardware->has = hardware->woke;
	if (ret < 0)
		return timeline_error("io_uring_wait_cqe", -ret);
	hardware->length = cqe->res;
	io_uring_cqe_seen(hardware->private, cqe);
	return true;
}

const struct hardware_wait hardware_waits[] = {
	{ "SIGIO", "sigsuspend", "handler of SIGIO runs", "read returned: the result",
	  signal_open, NULL, signal_wait },
	{ "An AIO completion", "io_getevents, a read is parked", NULL,
	  "io_getevents returned: the result", aio_open, aio_prepare, aio_wait },
	{ "An io_uring completion", "io_uring_wait_cqe", NULL,
	  "completion is there: the result", uring_open, uring_prepare, uring_wait },
};

const size_t hardware_wait_count = sizeof(hardware_waits) / sizeof(hardware_waits[0]);
