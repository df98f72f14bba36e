// SPDX-License-Identifier: GPL-2.0-only
/* The main program and the few helpers that all test programs share. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DEFAULT_CASE_SECONDS	"30"
#define SLEEPING_SECONDS	10

static int timeout_scale(void)
{
	const char *text = getenv("ACHAN_TIMEOUT_SCALE");
	int scale = text ? atoi(text) : 1;

	return scale > 0 ? scale : 1;
}

/*
 * Check reads its limits when a TCase is created, which is before unit_main()
 * runs; hence a constructor. Values that the caller set win.
 */
static void __attribute__((constructor)) set_time_limits(void)
{
	char scale[16];

	snprintf(scale, sizeof(scale), "%d", timeout_scale());
	setenv("CK_DEFAULT_TIMEOUT", DEFAULT_CASE_SECONDS, 0);
	setenv("CK_TIMEOUT_MULTIPLIER", scale, 0);
}

int unit_main(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed, run;

	setvbuf(stdout, NULL, _IOLBF, 0);
	srunner_set_fork_status(runner, CK_FORK);
	if (!getenv("CK_TAP_LOG_FILE_NAME"))
		srunner_set_tap(runner, "-");
	srunner_run_all(runner, CK_SILENT);
	failed = srunner_ntests_failed(runner);
	run = srunner_ntests_run(runner);
	srunner_free(runner);
	return run > 0 && !failed ? EXIT_SUCCESS : EXIT_FAILURE;
}

int64_t unit_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * UNIT_NS_PER_SECOND + now.tv_nsec;
}

int64_t unit_timeout_ns(int seconds)
{
	return seconds * UNIT_NS_PER_SECOND * timeout_scale();
}

void unit_skip(const char *test, const char *reason)
{
	fprintf(stderr, "# SKIP %s: %s\n", test, reason);
}

/* The state letter follows the command name, which may hold ')' itself. */
static char thread_state(int tid)
{
	char path[64], line[512];
	const char *end;
	FILE *file;
	size_t n;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	n = fread(line, 1, sizeof(line) - 1, file);
	fclose(file);
	line[n] = 0;
	end = strrchr(line, ')');
	return end && end[1] == ' ' ? end[2] : 0;
}

bool unit_wait_sleeping(int tid)
{
	int64_t deadline = unit_now_ns() + unit_timeout_ns(SLEEPING_SECONDS);
	struct timespec pause = { .tv_nsec = UNIT_NS_PER_MS };

	while (unit_now_ns() < deadline) {
		if (thread_state(tid) == 'S')
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}
