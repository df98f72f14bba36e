/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Faults on purpose: the kernel's fault injection, for the test programs. An
 * allocation or a copy from or to user memory fails: the n-th that the calling
 * thread makes, or the n-th of a kernel thread. As in vm.h, a helper that cannot
 * do its work ends the running case as failed.
 *
 * Which ones count is a matter of who asked: fault_within() tells. The memory
 * that kmemleak takes for itself never counts, nor do the pages of slabs.
 */
#ifndef ACHAN_TESTS_FAIL_NTH_H
#define ACHAN_TESTS_FAIL_NTH_H

#include "vm.h"

/* For fault_within(): all of achan, or whoever it is. */
#define FAULT_ACHAN	"achan"
#define FAULT_ANYWHERE	NULL

/* Why this kernel cannot fail on purpose, or NULL. */
const char *fault_unsupported(void);

/*
 * Unchecked fixtures: what the kernel is told once, and taken back. Where it
 * cannot fail on purpose they do nothing.
 */
void fault_setup(void);
void fault_teardown(void);
/* Checked fixture: what a case before, that did not reach its end, left. */
void fault_reset(void);

/* Ends the calling case as skipped where there are no faults to be had. */
#define fault_skip_unsupported()					\
	do {								\
		if (fault_unsupported())				\
			vm_skip("%s", fault_unsupported());		\
	} while (0)

/*
 * From now on only what was called, however deep below, from @function fails:
 * one of the kernel's or achan's functions, or FAULT_*.
 */
void fault_within(const char *function);

/* The @nth (from 1) that the calling thread makes fails, once. */
void fault_arm(unsigned int nth);
/* No longer. Returns true if it has failed. */
bool fault_disarm(void);

enum fault_kind {
	FAULT_SLAB,
	FAULT_PAGE,
	FAULT_COPY,
};

/*
 * The @nth page or copy (from 1) that any task asks for fails, and the @times - 1
 * after it; a @times of -1 is without end. Not for FAULT_SLAB. It is for kernel
 * threads: with fault_within() a function that only they call.
 */

void fault_arm_all(enum fault_kind kind, unsigned int nth, int times);
/* How many of the @times are left. */
int fault_left(enum fault_kind kind);
/* No longer. Returns true if none is left. */
bool fault_disarm_all(enum fault_kind kind);

/* Off: what fails now is not kept for fault_report(), since it is too much. */
void fault_trace(bool on);

/*
 * Prints what has failed since the last call, as @operation's, and adds it to
 * the sum. Returns how many faults there were, all told.
 */
unsigned int fault_report(const char *operation);
/* Prints the sum over all cases of the program: after vm_main(). */
void fault_summary(void);

#endif /* ACHAN_TESTS_FAIL_NTH_H */
