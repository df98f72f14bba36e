/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The contexts of the kernel in which the probe pushes.
 */
#ifndef ACHAN_PROBE_CONTEXT_H
#define ACHAN_PROBE_CONTEXT_H

#include <linux/types.h>

enum context {
	CONTEXT_TASK,	 /* may sleep */
	CONTEXT_SPIN,	 /* a spinlock_t held, interrupts off where that does so */
	CONTEXT_RAW,	 /* a raw_spinlock_t held, interrupts off */
	CONTEXT_SOFTIRQ, /* of a timer */
	CONTEXT_HARDIRQ, /* of a timer, on PREEMPT_RT too */
	CONTEXT_IPI,	 /* an interrupt that the processor sends itself */
	CONTEXT_NMI,	 /* sent to another processor, where there is one */
	CONTEXTS
};

/* What each context does; the probe's. */
void probe_push(enum context context, u32 length);

int context_init(void);
void context_exit(void);

/* Return: 0, or -EINVAL for a name that is none. */
int context_find(const char *name, enum context *context);

bool context_there(enum context context);

/*
 * Calls probe_push() @times from @context, as fast as can be. Context: may sleep.
 * Return: 0 when all are over, or -EOPNOTSUPP.
 */
int context_run(enum context context, unsigned int times, u32 length);

#endif /* ACHAN_PROBE_CONTEXT_H */
