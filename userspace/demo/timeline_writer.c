// SPDX-License-Identifier: LGPL-2.1-or-later
/* The writer of a round trip. */
#define _GNU_SOURCE
#include "demo.h"
#include "timeline.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void fill(unsigned char payload[TIMELINE_BYTES])
{
	int i;

	for (i = 0; i < TIMELINE_BYTES; i++)
		payload[i] = (unsigned char)(i * 7 + 1);
}

/* Time for the reader to fall asleep: the picture is of a reader that waits. */
static void let_reader_sleep(void)
{
	const struct timespec pause = { .tv_nsec = 5000000 };

	nanosleep(&pause, NULL);
}

static int write_rounds(const struct writer *writer)
{
	unsigned char payload[TIMELINE_BYTES];
	int fd = open(writer->path, O_WRONLY | O_CLOEXEC);
	int round;

	fill(payload);
	for (round = 0; fd >= 0 && round < TIMELINE_ROUNDS; round++) {
		uint64_t go;

		if (read(writer->go_fd, &go, sizeof(go)) != sizeof(go))
			return -1;
		let_reader_sleep();
		writer->moments->entered = monotonic_ns();
		if (write(fd, payload, sizeof(payload)) != sizeof(payload))
			return -1;
		writer->moments->returned = monotonic_ns();
	}
	return fd < 0 ? -1 : 0;
}

bool writer_start(struct writer *writer, const char *path)
{
	writer->path = path;
	writer->moments = mmap(NULL, sizeof(*writer->moments), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (writer->moments == MAP_FAILED)
		return timeline_error("no memory to share with the writer", errno);
	writer->go_fd = eventfd(0, EFD_CLOEXEC);
	if (writer->go_fd < 0)
		return timeline_error("eventfd", errno);
	fflush(NULL);
	writer->pid = fork();
	if (writer->pid < 0)
		return timeline_error("fork", errno);
	if (writer->pid)
		return true;
	alarm(DEMO_LIMIT_SECONDS);
	_exit(write_rounds(writer) < 0);
}

bool writer_go(const struct writer *writer)
{
	uint64_t go = 1;

	if (write(writer->go_fd, &go, sizeof(go)) != sizeof(go))
		return timeline_error("starting the writer", errno);
	return true;
}

/* Afterwards the writer's moments are complete and stay readable. */
bool writer_end(struct writer *writer)
{
	int status;

	close(writer->go_fd);
	if (waitpid(writer->pid, &status, 0) < 0)
		return timeline_error("waitpid", errno);
	if (status)
		return timeline_error("the writer failed", 0);
	return true;
}

bool frame_is_whole(const struct frame *frame, int64_t length)
{
	unsigned char payload[TIMELINE_BYTES];

	fill(payload);
	return length == (int64_t)sizeof(*frame) &&
	       frame->record.length == TIMELINE_BYTES &&
	       !memcmp(frame->payload, payload, TIMELINE_BYTES);
}
