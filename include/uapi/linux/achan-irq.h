/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * achan-irq: interrupts as records. What is read from a channel of the driver, and
 * what is written to it.
 */
#ifndef _UAPI_LINUX_ACHAN_IRQ_H
#define _UAPI_LINUX_ACHAN_IRQ_H

#include <linux/types.h>

/**
 * struct achan_irq_record - one interrupt
 * @sequence:  number of the record since the driver was bound, counted from 0. A
 *	       reader that sees a gap has missed the records between.
 * @timestamp: CLOCK_MONOTONIC in nanoseconds, taken by the hard interrupt handler;
 *	       of a line that has none, as those of controllers on I2C, by its thread
 * @count:     interrupts since the driver was bound, this one included
 * @debounced: of these, those without a record because they came within the debounce
 *	       time of one that has
 * @missed:    of these, those without a record because the handler's thread was too
 *	       far behind
 * @flags:     ACHAN_IRQ_*
 * @reserved:  zero
 *
 * A read takes one record, a framed read as many as there is room for. @sequence is
 * @count - @debounced - @missed - 1.
 */
struct achan_irq_record {
	__u64 sequence;
	__u64 timestamp;
	__u64 count;
	__u64 debounced;
	__u64 missed;
	__u32 flags;
	__u32 reserved;
};

/* The line is level-triggered and off until ACHAN_IRQ_ENABLE is written. */
#define ACHAN_IRQ_DISABLED	(1U << 0)

/*
 * What a write says, a __u32 as UIO has it. Saying again what is so already does
 * nothing. What is no such value is ignored, and the kernel's log says so.
 */
#define ACHAN_IRQ_DISABLE	0
#define ACHAN_IRQ_ENABLE	1

#endif /* _UAPI_LINUX_ACHAN_IRQ_H */
