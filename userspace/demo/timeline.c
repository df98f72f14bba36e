// SPDX-License-Identifier: LGPL-2.1-or-later
/* What both round trips share: the list of moments and its picture. */
#define _GNU_SOURCE
#include "demo.h"
#include "timeline.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define WRITER_COLUMN	32

void timeline_add(struct timeline *timeline, enum side side, uint64_t at, const char *format, ...)
{
	struct moment *moment = &timeline->moments[timeline->count++];
	va_list arguments;

	moment->at = at;
	moment->side = side;
	va_start(arguments, format);
	vsnprintf(moment->text, sizeof(moment->text), format, arguments);
	va_end(arguments);
}

void timeline_add_writer(struct timeline *timeline, const struct writer *writer,
			 const struct achan_record *record)
{
	timeline_add(timeline, WRITER, writer->moments->entered,
		     "write of %d bytes", TIMELINE_BYTES);
	timeline_add(timeline, WRITER, record->timestamp, "  record %llu gets room and time",
		     (unsigned long long)record->sequence);
	timeline_add(timeline, WRITER, writer->moments->returned,
		     "write returned %d", TIMELINE_BYTES);
}

static int by_time(const void *left, const void *right)
{
	const struct moment *a = left, *b = right;

	return (a->at > b->at) - (a->at < b->at);
}

void timeline_print_moments(struct timeline *timeline, uint64_t zero, const char *left,
			    const char *right)
{
	struct moment *moment = timeline->moments;
	unsigned int i;

	qsort(moment, timeline->count, sizeof(*moment), by_time);
	printf("%10s  %-*s %s\n", "us", WRITER_COLUMN, left, right);
	for (i = 0; i < timeline->count; i++, moment++) {
		double at = ((double)moment->at - (double)zero) / 1e3;

		if (moment->side == WRITER)
			printf("%10.1f  %s\n", at, moment->text);
		else
			printf("%10.1f  %*s %s\n", at, WRITER_COLUMN, "", moment->text);
	}
	fflush(stdout);
}

/* 0 is the writer's call. */
void timeline_print(struct timeline *timeline, const char *title, const struct writer *writer)
{
	char left[WRITER_COLUMN], right[WRITER_COLUMN];

	snprintf(left, sizeof(left), "writer, process %d", (int)writer->pid);
	snprintf(right, sizeof(right), "reader, process %d", (int)getpid());
	printf("\n%s on %s, round %d of %d; 0 is where the writer called write\n\n",
	       title, writer->path, TIMELINE_ROUNDS, TIMELINE_ROUNDS);
	timeline_print_moments(timeline, writer->moments->entered, left, right);
}

bool in_order(uint64_t first, uint64_t second, uint64_t third)
{
	if (first <= second && second <= third)
		return true;
	return timeline_error("the moments are not in order", 0);
}

bool timeline_error(const char *what, int error)
{
	printf("  FAILED: %s%s%s\n", what, error ? ": " : "", error ? strerror(error) : "");
	return false;
}

int open_framed(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);
	__u32 framed = ACHAN_OPEN_FRAMED;

	if (fd < 0) {
		timeline_error(path, errno);
		return -1;
	}
	if (ioctl(fd, ACHAN_IOC_SET_FLAGS, &framed) < 0) {
		timeline_error("ACHAN_IOC_SET_FLAGS", errno);
		close(fd);
		return -1;
	}
	return fd;
}
