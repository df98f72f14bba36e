/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the benchmarks take times by. */
#ifndef ACHAN_BENCH_CLOCK_H
#define ACHAN_BENCH_CLOCK_H

#include <stdint.h>
#include <time.h>

/* CLOCK_MONOTONIC in nanoseconds. In line, since it is within what is measured. */
static inline uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/*
 * How many instructions the machine does in a nanosecond of its clock; 0 on an
 * architecture that nobody has said it for.
 */
double instructions_in_ns(void);

#endif /* ACHAN_BENCH_CLOCK_H */
