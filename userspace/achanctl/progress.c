// SPDX-License-Identifier: LGPL-2.1-or-later
/* How far a transfer is, for whoever waits for it at a terminal. */
#include "achanctl.h"

#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

/* A transfer is long when it takes longer than this. */
#define SHOW_AFTER	NS_PER_SECOND
#define DRAW_EVERY	(NS_PER_SECOND / 5)
#define BAR_WIDTH	30

int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

static int terminal_width(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || !size.ws_col)
		return 80;
	return size.ws_col;
}

const char *progress_line(const struct progress *progress, int64_t now,
			  int width, char *text, size_t size)
{
	double seconds = (double)(now - progress->started) / NS_PER_SECOND;
	double rate = seconds > 0 ? (double)progress->done / seconds : 0;
	char done[TEXT_SIZE], speed[TEXT_SIZE], time[TEXT_SIZE], bar[TEXT_SIZE];
	uint64_t left = progress->total > progress->done ?
			progress->total - progress->done : 0;

	format_size(progress->done, done);
	format_size((uint64_t)rate, speed);
	if (!progress->total)
		snprintf(text, size, "%s  %s/s  %s", done, speed,
			 format_duration(now - progress->started, time));
	else
		snprintf(text, size, "[%s] %3.0f%%  %s  %s/s  %s left",
			 format_bar(progress->done, progress->total, BAR_WIDTH,
				    bar),
			 100.0 * (double)(progress->total - left) /
			 (double)progress->total, done, speed, rate > 0 ?
			 format_duration((int64_t)((double)left / rate *
						   NS_PER_SECOND), time) :
			 "?");
	if (width > 0 && (size_t)width < size)
		text[width] = 0;
	return text;
}

static void draw(struct progress *progress, int64_t now)
{
	char text[256];

	fprintf(stderr, "\r\033[K%s",
		progress_line(progress, now, terminal_width() - 1, text,
			      sizeof(text)));
	fflush(stderr);
	progress->drawn = now;
	progress->shown = true;
}

void progress_begin(struct progress *progress, uint64_t total, bool usable)
{
	memset(progress, 0, sizeof(*progress));
	progress->usable = usable && isatty(STDERR_FILENO);
	progress->total = total;
	progress->started = now_ns();
}

void progress_add(struct progress *progress, uint64_t bytes)
{
	int64_t now;

	progress->done += bytes;
	if (!progress->usable)
		return;
	now = now_ns();
	if (now - progress->started > SHOW_AFTER &&
	    now - progress->drawn > DRAW_EVERY)
		draw(progress, now);
}

void progress_end(struct progress *progress)
{
	if (!progress->shown)
		return;
	draw(progress, now_ns());
	fputc('\n', stderr);
}
