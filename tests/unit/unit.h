/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every test program on the host shares: one main, one clock, one way to
 * skip. A program builds its Suite and ends with "return unit_main(suite);".
 */
#ifndef ACHAN_TESTS_UNIT_H
#define ACHAN_TESTS_UNIT_H

#include <check.h>
#include <stdbool.h>
#include <stdint.h>

#define UNIT_NS_PER_SECOND	INT64_C(1000000000)
#define UNIT_NS_PER_MS		INT64_C(1000000)

/*
 * Runs @suite, each case in a process of its own, and frees it. TAP goes to
 * standard output, line by line, or to the file that the environment names in
 * CK_TAP_LOG_FILE_NAME. Returns the program's exit status: 0 only if there was
 * a case and every case passed.
 *
 * The time limit of a case is 30 s unless it sets its own; either is
 * multiplied by ACHAN_TIMEOUT_SCALE.
 */
int unit_main(Suite *suite);

/* CLOCK_MONOTONIC now, in nanoseconds. */
int64_t unit_now_ns(void);

/* @seconds in nanoseconds, multiplied by ACHAN_TIMEOUT_SCALE. */
int64_t unit_timeout_ns(int seconds);

/*
 * Prints that the running case is skipped and why, as a TAP comment on
 * standard error. The case must return at once afterwards.
 */
void unit_skip(const char *test, const char *reason);

/*
 * Waits until thread @tid of this process sleeps, at most 10 s scaled.
 * Returns false if it was never seen asleep.
 */
bool unit_wait_sleeping(int tid);

#endif /* ACHAN_TESTS_UNIT_H */
