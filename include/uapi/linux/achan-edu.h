/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * achan-edu: the records of the channels eduN and eduN-dma, which are messages.
 */
#ifndef _UAPI_LINUX_ACHAN_EDU_H
#define _UAPI_LINUX_ACHAN_EDU_H

#include <linux/types.h>

/* Bytes of the device's memory, and so of the largest block. */
#define ACHAN_EDU_BLOCK_MAX	4096

/* enum achan_edu_kind - what a record is about */
#define ACHAN_EDU_RESULT	1	/* an operand that was written to eduN */
#define ACHAN_EDU_RAISED	2	/* eduN: an interrupt that was raised by hand */
#define ACHAN_EDU_BLOCK		3	/* a block that was written to eduN-dma */

/**
 * struct achan_edu_record - what is read
 * @kind:	 ACHAN_EDU_*
 * @error:	 0 or a negative errno value. -EINVAL: what was written is not of
 *		 an operand's size. -EMSGSIZE: it is larger than a block.
 * @length:	 bytes that were written; 0 for what was raised
 * @operand:	 the operand, a __u32 in the machine's byte order
 * @value:	 its factorial, modulo 2^32; or the bits that were raised
 * @reserved:	 zero
 * @sequence:	 number of what was written, counted from 0 for each channel
 * @started:	 when it was given to the device
 * @interrupted: when the handler of its interrupt began, or, if it was at work
 *		 already for something else, @started. Both times are
 *		 CLOCK_MONOTONIC in nanoseconds, and 0 where nothing began.
 *
 * Of a block without an error, @length bytes follow: as they came back from the
 * device. What does not apply is zero.
 *
 * Each operand and each block has one record, in the order in which they were
 * written. Bits that are raised before the handler has seen the ones before come
 * together in one record.
 */
struct achan_edu_record {
	__u32 kind;
	__s32 error;
	__u32 length;
	__u32 operand;
	__u32 value;
	__u32 reserved;
	__u64 sequence;
	__u64 started;
	__u64 interrupted;
};

#endif /* _UAPI_LINUX_ACHAN_EDU_H */
