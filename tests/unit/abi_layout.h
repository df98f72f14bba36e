/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The layout of everything that crosses the border between driver and program,
 * in numbers: compiled for 64 and for 32 bits, and no number may differ.
 */
#ifndef ACHAN_TESTS_UNIT_ABI_LAYOUT_H
#define ACHAN_TESTS_UNIT_ABI_LAYOUT_H

#include <linux/achan.h>

#define SIZE(type, bytes)						\
	_Static_assert(sizeof(type) == (bytes), "size of " #type)
#define FIELD(type, member, offset, bytes)				\
	_Static_assert(__builtin_offsetof(type, member) == (offset) &&	\
		       sizeof(__typeof__(((type *)0)->member)) ==	\
		       (bytes), #type "." #member)
#define VALUE(name, value)						\
	_Static_assert((name) == (value), #name)

SIZE(struct achan_record, 24);
FIELD(struct achan_record, length, 0, 4);
FIELD(struct achan_record, flags, 4, 4);
FIELD(struct achan_record, sequence, 8, 8);
FIELD(struct achan_record, timestamp, 16, 8);

SIZE(struct achan_info, 160);
FIELD(struct achan_info, abi_version, 0, 4);
FIELD(struct achan_info, kind, 4, 4);
FIELD(struct achan_info, mode, 8, 4);
FIELD(struct achan_info, open_flags, 12, 4);
FIELD(struct achan_info, ring_bytes, 16, 8);
FIELD(struct achan_info, record_max, 24, 8);
FIELD(struct achan_info, bytes, 32, 8);
FIELD(struct achan_info, sequence, 40, 8);
FIELD(struct achan_info, discarded, 48, 8);
FIELD(struct achan_info, parked_reads, 56, 4);
FIELD(struct achan_info, parked_writes, 60, 4);
FIELD(struct achan_info, pinned_reads, 64, 8);
FIELD(struct achan_info, worker_reads, 72, 8);
FIELD(struct achan_info, copied_writes, 80, 8);
FIELD(struct achan_info, cancelled, 88, 8);
FIELD(struct achan_info, name, 96, 32);
FIELD(struct achan_info, reserved, 128, 32);

VALUE(ACHAN_ABI_VERSION, 1);
VALUE(ACHAN_NAME_MAX, 32);
VALUE(ACHAN_RECORD_ALIGN, 8);
VALUE(ACHAN_RECORD_BUSY, 0x80000000U);
VALUE(ACHAN_RECORD_DISCARD, 0x40000000U);
VALUE(ACHAN_RECORD_CONTINUED, 1U);
VALUE(ACHAN_KIND_LOOP, 1);
VALUE(ACHAN_MODE_STREAM, 1);
VALUE(ACHAN_MODE_MESSAGE, 2);
VALUE(ACHAN_OPEN_FRAMED, 1U);
VALUE(ACHAN_RECORD_SIZE(0), 24);
VALUE(ACHAN_RECORD_SIZE(1), 32);
VALUE(ACHAN_RECORD_SIZE(8), 32);
VALUE(ACHAN_RECORD_SIZE(9), 40);

/* Direction, size of the argument, 0xE6, number. */
VALUE(ACHAN_IOC_INFO, 0x80a0e600U);
VALUE(ACHAN_IOC_GET_FLAGS, 0x8004e601U);
VALUE(ACHAN_IOC_SET_FLAGS, 0x4004e602U);

#endif /* ACHAN_TESTS_UNIT_ABI_LAYOUT_H */
