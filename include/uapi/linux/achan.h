/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * achan: asynchronous channels, the ABI between the driver and user space.
 *
 * Every structure has the same layout for 32-bit and 64-bit programs, holds
 * no implicit padding, and only grows by using up its reserved fields.
 */
#ifndef _UAPI_LINUX_ACHAN_H
#define _UAPI_LINUX_ACHAN_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Raised when a structure or a meaning below changes incompatibly. */
#define ACHAN_ABI_VERSION	1

/* Length of a channel's name, the terminating zero included. */
#define ACHAN_NAME_MAX		32

/* Every record starts at a multiple of this many bytes. */
#define ACHAN_RECORD_ALIGN	8

/**
 * struct achan_record - header of a record, in the ring and in a framed read
 * @length:    payload in bytes; header and padding are not counted
 * @flags:     ACHAN_RECORD_*
 * @sequence:  number of the record in its ring, counted from 0. A reader that
 *	       sees a gap has missed the records between.
 * @timestamp: CLOCK_MONOTONIC in nanoseconds, when room for it was reserved
 *
 * The payload follows at once; zero bytes pad it to ACHAN_RECORD_ALIGN.
 */
struct achan_record {
	__u32 length;
	__u32 flags;
	__u64 sequence;
	__u64 timestamp;
};

/* In a ring: reserved, not yet committed. Never seen in a framed read. */
#define ACHAN_RECORD_BUSY	(1U << 31)
/* In a ring: to be skipped. Never seen in a framed read. */
#define ACHAN_RECORD_DISCARD	(1U << 30)
/* The first bytes of this record went to an earlier, unframed stream read. */
#define ACHAN_RECORD_CONTINUED	(1U << 0)

/* Bytes that a record with a payload of @length takes, in ring and frame. */
#define ACHAN_RECORD_SIZE(length)					\
	((sizeof(struct achan_record) + (length) +			\
	  (ACHAN_RECORD_ALIGN - 1)) & ~((__typeof__(sizeof(0)))		\
	  (ACHAN_RECORD_ALIGN - 1)))

/* enum achan_kind - where a channel's records go and come from */
#define ACHAN_KIND_LOOP		1	/* what is written is read again */

/* enum achan_mode - how read() and write() see the ring */
#define ACHAN_MODE_STREAM	1	/* bytes, as a pipe */
#define ACHAN_MODE_MESSAGE	2	/* one record a call, as SOCK_SEQPACKET */

/**
 * struct achan_info - what a channel is and holds, for ACHAN_IOC_INFO
 * @abi_version:    ACHAN_ABI_VERSION of the driver
 * @kind:	    ACHAN_KIND_*
 * @mode:	    ACHAN_MODE_*
 * @open_flags:	    ACHAN_OPEN_* of the open file that asked
 * @ring_bytes:	    size of the ring that writes go to, headers included
 * @record_max:	    largest payload of one record, in bytes
 * @bytes:	    payload in the ring that reads come from, not yet read
 * @sequence:	    number that the next record put into that ring will get
 * @discarded:	    records of that ring given up after their number was
 *		    taken, as a write does whose buffer cannot be read
 * @parked_reads:   asynchronous reads waiting for a record now
 * @parked_writes:  asynchronous writes waiting for room now
 * @pinned_reads:   reads ever parked whose buffer was pinned
 * @worker_reads:   reads ever parked to be filled by a worker thread
 * @copied_writes:  writes ever parked with a copy of their data
 * @cancelled:	    parked requests ever ended by io_cancel() or io_destroy()
 * @name:	    the channel's name, zero-terminated
 * @reserved:	    zero
 */
struct achan_info {
	__u32 abi_version;
	__u32 kind;
	__u32 mode;
	__u32 open_flags;
	__u64 ring_bytes;
	__u64 record_max;
	__u64 bytes;
	__u64 sequence;
	__u64 discarded;
	__u32 parked_reads;
	__u32 parked_writes;
	__u64 pinned_reads;
	__u64 worker_reads;
	__u64 copied_writes;
	__u64 cancelled;
	char  name[ACHAN_NAME_MAX];
	__u64 reserved[4];
};

/*
 * Per-open flags. ACHAN_OPEN_FRAMED: a read returns as many whole records as
 * fit, each as struct achan_record, payload and padding; the first one not
 * fitting is -EMSGSIZE.
 */
#define ACHAN_OPEN_FRAMED	(1U << 0)

#define ACHAN_IOC_MAGIC		0xE6
#define ACHAN_IOC_INFO		_IOR(ACHAN_IOC_MAGIC, 0x00, struct achan_info)
#define ACHAN_IOC_GET_FLAGS	_IOR(ACHAN_IOC_MAGIC, 0x01, __u32)
#define ACHAN_IOC_SET_FLAGS	_IOW(ACHAN_IOC_MAGIC, 0x02, __u32)

#endif /* _UAPI_LINUX_ACHAN_H */
