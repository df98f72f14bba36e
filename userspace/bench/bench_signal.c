// SPDX-License-Identifier: LGPL-2.1-or-later
/* A record is written, its signal comes, whose handler reads it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "bench_ends.h"

/* What the handler works on, and what has come of it. */
static struct bench *signalled;
static volatile sig_atomic_t handled;

static void on_signal(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	(void)context;
	if (signalled->reader >= 0 && !read_one(signalled))
		_exit(1);
	handled++;
}

static bool arm(struct bench *bench)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };

	signalled = bench;
	handled = 0;
	return !sigaction(SIGRTMIN, &action, NULL) || failed("sigaction", errno);
}

/* By a real-time signal, which says of which file it is. */
static bool arm_file(struct bench *bench)
{
	int fd = bench->reader;

	if (!arm(bench))
		return false;
	if (fcntl(fd, F_SETSIG, SIGRTMIN) < 0 || fcntl(fd, F_SETOWN, getpid()) < 0 ||
	    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC) < 0)
		return failed("arming the signal", errno);
	return true;
}

static bool channel_open(struct bench *bench)
{
	return open_stream(bench) && arm_file(bench);
}

static bool pipe_open(struct bench *bench)
{
	return open_pipe(bench) && arm_file(bench);
}

static bool socket_open(struct bench *bench)
{
	return open_stream_socket(bench) && arm_file(bench);
}

/* It is delivered when write() returns. */
static bool file_turn(struct bench *bench)
{
	sig_atomic_t before = handled;

	if (!write_one(bench))
		return false;
	return handled == before + 1 || failed("no signal came, or more than one", 0);
}

static bool kill_turn(struct bench *bench)
{
	sig_atomic_t before = handled;

	(void)bench;
	if (kill(getpid(), SIGRTMIN) < 0)
		return failed("kill", errno);
	return handled == before + 1 || failed("no signal came, or more than one", 0);
}

/* An end that closes signals too, when there is nothing to read. */
static void disarm(struct bench *bench)
{
	signal(SIGRTMIN, SIG_IGN);
	close_ends(bench);
}

static const struct peer peers[] = {
	{ "achan", channel_open, file_turn, disarm, NULL },
	{ "pipe", pipe_open, file_turn, disarm, NULL },
	{ "STREAM socket", socket_open, file_turn, disarm, NULL },
	{ "kill", arm, kill_turn, disarm, NULL },
};

static const unsigned int once[] = { 1, 0 };

const struct figure signal_figure = {
	.name = "signal",
	.x_is = "",
	.title = "a record written, its signal, the handler reads it",
	.xs = once,
	.peers = peers,
	.peer_count = COUNT(peers),
	.turns = 1000,
};
