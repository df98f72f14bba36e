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

SIZE(struct achan_config, 80);
FIELD(struct achan_config, kind, 0, 4);
FIELD(struct achan_config, mode, 4, 4);
FIELD(struct achan_config, delivery, 8, 4);
FIELD(struct achan_config, hangup, 12, 4);
FIELD(struct achan_config, overflow, 16, 4);
FIELD(struct achan_config, flags, 20, 4);
FIELD(struct achan_config, ring_bytes, 24, 4);
FIELD(struct achan_config, read_low, 28, 4);
FIELD(struct achan_config, write_low, 32, 4);
FIELD(struct achan_config, moderate_records, 36, 4);
FIELD(struct achan_config, moderate_usecs, 40, 4);
FIELD(struct achan_config, node_mode, 44, 4);
FIELD(struct achan_config, uid, 48, 4);
FIELD(struct achan_config, gid, 52, 4);
FIELD(struct achan_config, reserved, 56, 24);

SIZE(struct achan_stats, 192);
FIELD(struct achan_stats, records_in, 0, 8);
FIELD(struct achan_stats, bytes_in, 8, 8);
FIELD(struct achan_stats, records_out, 16, 8);
FIELD(struct achan_stats, bytes_out, 24, 8);
FIELD(struct achan_stats, lost, 32, 8);
FIELD(struct achan_stats, rejected, 40, 8);
FIELD(struct achan_stats, dropped, 48, 8);
FIELD(struct achan_stats, overwritten, 56, 8);
FIELD(struct achan_stats, discarded, 64, 8);
FIELD(struct achan_stats, sequence, 72, 8);
FIELD(struct achan_stats, bytes, 80, 8);
FIELD(struct achan_stats, used, 88, 8);
FIELD(struct achan_stats, high_water, 96, 8);
FIELD(struct achan_stats, parked, 104, 8);
FIELD(struct achan_stats, completed, 112, 8);
FIELD(struct achan_stats, cancelled, 120, 8);
FIELD(struct achan_stats, wakeups, 128, 8);
FIELD(struct achan_stats, signals, 136, 8);
FIELD(struct achan_stats, parked_reads, 144, 4);
FIELD(struct achan_stats, parked_writes, 148, 4);
FIELD(struct achan_stats, readers, 152, 4);
FIELD(struct achan_stats, writers, 156, 4);
FIELD(struct achan_stats, written, 160, 8);
FIELD(struct achan_stats, pulled, 168, 8);
FIELD(struct achan_stats, reserved, 176, 16);

SIZE(struct achan_handshake, 32);
FIELD(struct achan_handshake, abi_version, 0, 4);
FIELD(struct achan_handshake, features, 4, 4);
FIELD(struct achan_handshake, reserved, 8, 24);

SIZE(struct achan_create, 160);
FIELD(struct achan_create, config, 0, 80);
FIELD(struct achan_create, name, 80, 32);
FIELD(struct achan_create, peer_name, 112, 32);
FIELD(struct achan_create, minor, 144, 4);
FIELD(struct achan_create, peer_minor, 148, 4);
FIELD(struct achan_create, reserved, 152, 8);

SIZE(struct achan_remove, 48);
FIELD(struct achan_remove, name, 0, 32);
FIELD(struct achan_remove, minor, 32, 4);
FIELD(struct achan_remove, flags, 36, 4);
FIELD(struct achan_remove, reserved, 40, 8);

SIZE(struct achan_set, 128);
FIELD(struct achan_set, name, 0, 32);
FIELD(struct achan_set, minor, 32, 4);
FIELD(struct achan_set, mask, 36, 4);
FIELD(struct achan_set, config, 40, 80);
FIELD(struct achan_set, reserved, 120, 8);

SIZE(struct achan_channel, 320);
FIELD(struct achan_channel, name, 0, 32);
FIELD(struct achan_channel, minor, 32, 4);
FIELD(struct achan_channel, peer_minor, 36, 4);
FIELD(struct achan_channel, config, 40, 80);
FIELD(struct achan_channel, stats, 120, 192);
FIELD(struct achan_channel, reserved, 312, 8);

VALUE(ACHAN_ABI_VERSION, 1);
VALUE(ACHAN_NAME_MAX, 32);
VALUE(ACHAN_RECORD_ALIGN, 8);
VALUE(ACHAN_RECORD_BUSY, 0x80000000U);
VALUE(ACHAN_RECORD_DISCARD, 0x40000000U);
VALUE(ACHAN_RECORD_CONTINUED, 1U);
VALUE(ACHAN_KIND_LOOP, 1);
VALUE(ACHAN_KIND_PAIR, 2);
VALUE(ACHAN_KIND_PROVIDER, 3);
VALUE(ACHAN_DELIVERY_SHARED, 1);
VALUE(ACHAN_DELIVERY_BROADCAST, 2);
VALUE(ACHAN_HANGUP_OFF, 1);
VALUE(ACHAN_HANGUP_FIFO, 2);
VALUE(ACHAN_HANGUP_PEER, 3);
VALUE(ACHAN_OVERFLOW_REJECT, 1);
VALUE(ACHAN_OVERFLOW_DROP, 2);
VALUE(ACHAN_OVERFLOW_OVERWRITE, 3);
VALUE(ACHAN_CONFIG_NO_TIMESTAMPS, 1U);
VALUE(ACHAN_MINOR_NONE, 0xffffffffU);
VALUE(ACHAN_FEATURE_PAIR, 1U);
VALUE(ACHAN_FEATURE_BROADCAST, 2U);
VALUE(ACHAN_FEATURE_HANGUP, 4U);
VALUE(ACHAN_FEATURE_WATERMARKS, 8U);
VALUE(ACHAN_FEATURE_MODERATION, 16U);
VALUE(ACHAN_FEATURE_EVENTS, 32U);
VALUE(ACHAN_SET_OVERFLOW, 1U);
VALUE(ACHAN_SET_TIMESTAMPS, 2U);
VALUE(ACHAN_SET_READ_LOW, 4U);
VALUE(ACHAN_SET_WRITE_LOW, 8U);
VALUE(ACHAN_SET_MODERATION, 16U);
VALUE(ACHAN_CMD_GET, 1);
VALUE(ACHAN_CMD_EVENT, 2);
VALUE(ACHAN_ATTR_PAD, 1);
VALUE(ACHAN_ATTR_EVENT, 2);
VALUE(ACHAN_ATTR_EVENT_SEQUENCE, 3);
VALUE(ACHAN_ATTR_TIMESTAMP, 4);
VALUE(ACHAN_ATTR_NAME, 5);
VALUE(ACHAN_ATTR_MINOR, 6);
VALUE(ACHAN_ATTR_PEER_MINOR, 7);
VALUE(ACHAN_ATTR_CONFIG, 8);
VALUE(ACHAN_ATTR_STATS, 9);
VALUE(ACHAN_EVENT_CREATED, 1);
VALUE(ACHAN_EVENT_REMOVED, 2);
VALUE(ACHAN_EVENT_OPENED, 3);
VALUE(ACHAN_EVENT_CLOSED, 4);
VALUE(ACHAN_EVENT_OVERFLOW, 5);
VALUE(ACHAN_EVENT_HANGUP, 6);
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
VALUE(ACHAN_IOC_STATS, 0x80c0e603U);
VALUE(ACHAN_IOC_CONFIG, 0x8050e604U);
VALUE(ACHAN_CTL_VERSION, 0xc020e640U);
VALUE(ACHAN_CTL_CREATE, 0xc0a0e641U);
VALUE(ACHAN_CTL_REMOVE, 0x4030e642U);
VALUE(ACHAN_CTL_SET, 0x4080e643U);
VALUE(ACHAN_CTL_GET, 0xc140e644U);
VALUE(ACHAN_CTL_NEXT, 0xc140e645U);

#endif /* ACHAN_TESTS_UNIT_ABI_LAYOUT_H */
