/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Included before every file of the module in the fuzzer's build of it: KCOV
 * takes the coverage of work items only between these two calls, which a
 * driver that is not being fuzzed has no business to make.
 */
#ifndef ACHAN_FUZZ_KCOV_WORK_H
#define ACHAN_FUZZ_KCOV_WORK_H

#include <linux/kcov.h>
#include <linux/workqueue.h>

/* The handle that coverage.c asks for. */
#define FUZZ_KCOV_HANDLE	1

static inline void fuzz_init_work(struct work_struct *work, work_func_t function)
{
	INIT_WORK(work, function);
}

/* A nested function that uses nothing of the outer one is a plain function. */
#undef INIT_WORK
#define INIT_WORK(work, function)					\
	do {								\
		void traced(struct work_struct *item)			\
		{							\
			kcov_remote_start_common(FUZZ_KCOV_HANDLE);	\
			(function)(item);				\
			kcov_remote_stop();				\
		}							\
		fuzz_init_work(work, traced);				\
	} while (0)

#endif /* ACHAN_FUZZ_KCOV_WORK_H */
