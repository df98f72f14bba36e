// SPDX-License-Identifier: LGPL-2.1-or-later
/* Two processes, each on a processor of its own, or both on one. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench_ends.h"

/* Records that make one turn of a flow. */
#define FLOW_RECORDS	256U

/* The other process, and its ends. It goes when this one does. */
static pid_t other;
static int other_reader = -1;
static int other_writer = -1;

static bool start(struct bench *bench, void (*run)(struct bench *bench))
{
	pid_t parent = getpid();

	other = fork();
	if (other < 0)
		return failed("fork", errno);
	if (other)
		return true;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == parent)
		run(bench);
	_exit(1);
}

static void close_both(struct bench *bench)
{
	if (other > 0) {
		kill(other, SIGKILL);
		waitpid(other, NULL, 0);
	}
	other = 0;
	if (other_reader >= 0)
		close(other_reader);
	if (other_writer >= 0 && other_writer != other_reader)
		close(other_writer);
	other_reader = -1;
	other_writer = -1;
	close_ends(bench);
}

/* -------------------------------------------------------- ping-pong */

static void answer(struct bench *bench)
{
	ssize_t bytes;

	while ((bytes = read(other_reader, bench->got, bench->bytes)) > 0) {
		if (write(other_writer, bench->got, (size_t)bytes) != bytes)
			break;
	}
}

static bool pair_channel_open(struct bench *bench)
{
	if (!open_pair(bench, &other_reader))
		return false;
	other_writer = other_reader;
	return start(bench, answer);
}

static bool pair_pipe_open(struct bench *bench)
{
	struct bench back;

	if (!open_pipe(bench))
		return false;
	other_reader = bench->reader;
	bench->reader = -1;
	if (!open_pipe(&back))
		return false;
	bench->reader = back.reader;
	other_writer = back.writer;
	return start(bench, answer);
}

static bool pair_socket_open(struct bench *bench)
{
	if (!open_seqpacket(bench))
		return false;
	other_reader = bench->writer;
	other_writer = other_reader;
	bench->writer = bench->reader;
	return start(bench, answer);
}

static const struct peer pair_peers[] = {
	{ "achan", pair_channel_open, write_and_read, close_both, NULL },
	{ "pipe", pair_pipe_open, write_and_read, close_both, NULL },
	{ "SEQPACKET", pair_socket_open, write_and_read, close_both, NULL },
};

static const unsigned int sizes[] = { 64, 4096, 0 };

const struct figure pair_figure = {
	.name = "pair",
	.x_is = "bytes of a record",
	.title = "ping-pong between two processes, there and back",
	.xs = sizes,
	.peers = pair_peers,
	.peer_count = COUNT(pair_peers),
	.turns = 500,
	.x_is_bytes = true,
	.processors = true,
};

/* On one processor it can be counted: each sleeps when the other runs. */
const struct figure switch_figure = {
	.name = "switch",
	.x_is = "bytes of a record",
	.title = "ping-pong between two processes on one processor, there and back",
	.xs = sizes,
	.peers = pair_peers,
	.peer_count = COUNT(pair_peers),
	.turns = 500,
	.x_is_bytes = true,
};

/* ------------------------------------------------------------- flow */

static unsigned int flow_records(const struct bench *bench)
{
	(void)bench;
	return FLOW_RECORDS;
}

static void produce(struct bench *bench)
{
	while (write(bench->writer, bench->data, bench->bytes) == (ssize_t)bench->bytes)
		;
}

/* Whatever there is, by large reads, until so many records' bytes have come. */
static bool flow_turn(struct bench *bench)
{
	size_t left = FLOW_RECORDS * bench->bytes;
	ssize_t bytes;

	while (left) {
		size_t most = left < BENCH_BYTES_MAX ? left : BENCH_BYTES_MAX;

		bytes = read(bench->reader, bench->got, most);
		if (bytes <= 0)
			return failed("read", bytes ? errno : 0);
		left -= (size_t)bytes;
	}
	return true;
}

static bool flow_channel_open(struct bench *bench)
{
	return open_stream(bench) && start(bench, produce);
}

static bool flow_pipe_open(struct bench *bench)
{
	return open_pipe(bench) && start(bench, produce);
}

static bool flow_socket_open(struct bench *bench)
{
	return open_stream_socket(bench) && start(bench, produce);
}

static const struct peer flow_peers[] = {
	{ "achan, stream", flow_channel_open, flow_turn, close_both, flow_records },
	{ "pipe", flow_pipe_open, flow_turn, close_both, flow_records },
	{ "STREAM socket", flow_socket_open, flow_turn, close_both, flow_records },
};

const struct figure flow_figure = {
	.name = "flow",
	.x_is = "bytes of a record",
	.title = "one process writes records, another one reads; each record",
	.xs = sizes,
	.peers = flow_peers,
	.peer_count = COUNT(flow_peers),
	.turns = 50,
	.x_is_bytes = true,
	.processors = true,
};
