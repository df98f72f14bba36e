// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A session of a named pipe: both ends are opened, a record is written, the writer
 * closes, the reader reads the record and closes. What was opened last is as new.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "bench_ends.h"

/* What is opened in each turn. */
static char directory[40];
static char path[sizeof(directory) + 8];

static bool life_fifo_open(struct bench *bench)
{
	(void)bench;
	snprintf(directory, sizeof(directory), "/tmp/achan-bench.XXXXXX");
	if (!mkdtemp(directory))
		return failed(directory, errno);
	snprintf(path, sizeof(path), "%s/fifo", directory);
	return !mkfifo(path, 0600) || failed(path, errno);
}

static void life_fifo_close(struct bench *bench)
{
	unlink(path);
	rmdir(directory);
	close_ends(bench);
}

static bool life_channel_open(struct bench *bench)
{
	const struct achan_config config = {
		.mode = ACHAN_MODE_STREAM, .hangup = ACHAN_HANGUP_FIFO,
	};
	int fd = open_channel(&config);
	struct stat status;

	(void)bench;
	if (fd < 0)
		return false;
	if (fstat(fd, &status)) {
		close(fd);
		return failed("fstat", errno);
	}
	snprintf(path, sizeof(path), "/dev/achan%u", minor(status.st_rdev));
	close(fd);
	return true;
}

static bool life_turn(struct bench *bench)
{
	int reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	int writer = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t written, got;

	if (reader < 0 || writer < 0)
		return failed(path, errno);
	written = write(writer, bench->data, bench->bytes);
	close(writer);
	got = read(reader, bench->got, bench->bytes);
	close(reader);
	return moved("write", written, bench->bytes) &&
	       moved("read", got, bench->bytes);
}

static const struct peer peers[] = {
	{ "achan", life_channel_open, life_turn, close_ends, NULL },
	{ "FIFO", life_fifo_open, life_turn, life_fifo_close, NULL },
};

static const unsigned int sizes[] = { 64, 0 };

const struct figure life_figure = {
	.name = "life",
	.x_is = "bytes of a record",
	.title = "both ends of a named pipe opened, a record, both closed",
	.xs = sizes,
	.peers = peers,
	.peer_count = COUNT(peers),
	.turns = 500,
	.x_is_bytes = true,
};
