// SPDX-License-Identifier: LGPL-2.1-or-later
/* A SIGIO round trip with the bare system calls. */
#define _GNU_SOURCE
#include "demo.h"
#include "timeline.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

static struct {
	volatile sig_atomic_t runs;
	volatile uint64_t at;
	volatile int fd;
	volatile int code;
} handled;

static void on_signal(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	handled.at = monotonic_ns();
	handled.fd = info->si_fd;
	handled.code = info->si_code;
	handled.runs++;
}

struct sigio_trip {
	int fd;
	int signal;
	sigset_t asleep;	/* the mask that lets the signal in */
	uint64_t sleeps;
	uint64_t read_enters;
	uint64_t read_returned;
	struct frame frame;
};

/* The signal stays blocked but in sigsuspend(): it can be neither early nor lost. */
static bool sigio_arm(struct sigio_trip *trip)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	sigset_t blocked;

	sigemptyset(&blocked);
	sigaddset(&blocked, trip->signal);
	sigprocmask(SIG_BLOCK, &blocked, &trip->asleep);
	sigdelset(&trip->asleep, trip->signal);
	if (sigaction(trip->signal, &action, NULL) < 0 ||
	    fcntl(trip->fd, F_SETOWN, getpid()) < 0 ||
	    fcntl(trip->fd, F_SETSIG, trip->signal) < 0 ||
	    fcntl(trip->fd, F_SETFL, O_ASYNC | O_NONBLOCK) < 0)
		return timeline_error("arming SIGIO", errno);
	return true;
}

static bool sigio_round(struct sigio_trip *trip, const struct writer *writer)
{
	ssize_t n;

	handled.runs = 0;
	if (!writer_go(writer))
		return false;
	trip->sleeps = monotonic_ns();
	while (!handled.runs)
		sigsuspend(&trip->asleep);
	trip->read_enters = monotonic_ns();
	n = read(trip->fd, &trip->frame, sizeof(trip->frame));
	trip->read_returned = monotonic_ns();
	if (n < 0)
		return timeline_error("read after the signal", errno);
	if (!frame_is_whole(&trip->frame, n))
		return timeline_error("the record read is not the one written", 0);
	if (handled.fd != trip->fd || handled.code != POLL_IN)
		return timeline_error("the signal names another file or event", 0);
	return true;
}

static bool sigio_show(const struct sigio_trip *trip, const struct writer *writer)
{
	struct timeline timeline = { .count = 0 };

	timeline_add_writer(&timeline, writer, &trip->frame.record);
	timeline_add(&timeline, READER, trip->sleeps, "sigsuspend, F_SETSIG is %d", trip->signal);
	timeline_add(&timeline, READER, handled.at, "handler runs: si_fd %d, POLL_IN", handled.fd);
	timeline_add(&timeline, READER, trip->read_enters, "read, framed");
	timeline_add(&timeline, READER, trip->read_returned, "read returned %zu",
		     sizeof(trip->frame));
	timeline_print(&timeline, "One SIGIO round trip", writer);
	return in_order(writer->moments->entered, trip->frame.record.timestamp, handled.at);
}

bool timeline_sigio(const char *path)
{
	struct sigio_trip trip = { .signal = SIGRTMIN + 1 };
	struct writer writer;
	int round;
	bool ok;

	trip.fd = open_framed(path, O_RDONLY | O_NONBLOCK);
	if (trip.fd < 0)
		return false;
	ok = sigio_arm(&trip) && writer_start(&writer, path);
	if (ok) {
		for (round = 0; ok && round < TIMELINE_ROUNDS; round++)
			ok = sigio_round(&trip, &writer);
		if (!ok)
			kill(writer.pid, SIGKILL);
		ok = writer_end(&writer) && ok && sigio_show(&trip, &writer);
	}
	close(trip.fd);
	return ok;
}
