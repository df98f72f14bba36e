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
#define ACHAN_KIND_PAIR		2	/* what one writes the other one reads */
#define ACHAN_KIND_PROVIDER	3	/* a kernel module's; only it makes them */

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

/* enum achan_delivery - who gets a record */
#define ACHAN_DELIVERY_SHARED	1	/* one of the readers */
#define ACHAN_DELIVERY_BROADCAST 2	/* each file open for reading */

/* enum achan_hangup - when the end of a ring counts as closed */
#define ACHAN_HANGUP_OFF	1	/* loop: never */
#define ACHAN_HANGUP_FIFO	2	/* loop: as a named pipe's ends */
#define ACHAN_HANGUP_PEER	3	/* pair: when the peer has no open file */

/*
 * enum achan_overflow - what becomes of a record that finds no room, where its
 * producer cannot wait: one in the kernel, or the delivery of a broadcast
 */
#define ACHAN_OVERFLOW_REJECT	1	/* its producer gets -ENOSPC */
#define ACHAN_OVERFLOW_DROP	2	/* it is dropped, the newest */
#define ACHAN_OVERFLOW_OVERWRITE 3	/* the oldest ones make room */

/* What struct achan_config's @flags can hold. */
#define ACHAN_CONFIG_NO_TIMESTAMPS (1U << 0) /* records have the time 0 */

/**
 * struct achan_config - how a channel behaves
 * @kind:	      ACHAN_KIND_*
 * @mode:	      ACHAN_MODE_*; 0: stream
 * @delivery:	      ACHAN_DELIVERY_*; 0: shared
 * @hangup:	      ACHAN_HANGUP_*; 0: off for a loop, peer for a pair. A
 *		      provider's channel has off.
 * @overflow:	      ACHAN_OVERFLOW_*; 0: reject, or drop for a broadcast, which
 *		      has nobody to whom it could be said
 * @flags:	      ACHAN_CONFIG_*
 * @ring_bytes:	      size of each ring, a power of two; 0: 65536
 * @read_low:	      payload bytes that must be there before waiting readers
 *		      are told; 0: any. A full ring, a hangup and the removal
 *		      are told whatever it says.
 * @write_low:	      bytes of ring that must be free before waiting writers are
 *		      told; 0: what they need
 * @moderate_records: waiting readers are told when so many records have come,
 * @moderate_usecs:   or so many microseconds after the first of them. Both 0:
 *		      at once. Records without a time are refused, a time
 *		      without records stands alone.
 * @node_mode:	      permissions of the node, 0777 at the most; 0: 0600
 * @uid:	      owner of the node
 * @gid:	      its group
 * @reserved:	      zero
 *
 * The zeros above are for whoever creates a channel; whoever asks gets values.
 */
struct achan_config {
	__u32 kind;
	__u32 mode;
	__u32 delivery;
	__u32 hangup;
	__u32 overflow;
	__u32 flags;
	__u32 ring_bytes;
	__u32 read_low;
	__u32 write_low;
	__u32 moderate_records;
	__u32 moderate_usecs;
	__u32 node_mode;
	__u32 uid;
	__u32 gid;
	__u32 reserved[6];
};

/* Largest values of @moderate_records and @moderate_usecs. */
#define ACHAN_MODERATE_RECORDS_MAX	65536
#define ACHAN_MODERATE_USECS_MAX	1000000

/**
 * struct achan_stats - what has passed through a channel, and what is in it
 * @records_in:	   records that came, written or pushed
 * @bytes_in:	   their payload
 * @records_out:   records taken, each once per reader of a broadcast
 * @bytes_out:	   payload taken
 * @lost:	   records that did not reach a reader: the sum of the next three
 * @rejected:	   refused with -ENOSPC
 * @dropped:	   dropped when they came
 * @overwritten:   given up for newer ones
 * @discarded:	   numbers without a record: a write failed after it had got one, or
 *		   the last file of a named-pipe loop closed before it was read
 * @sequence:	   number of the next record
 * @bytes:	   payload that can be read now
 * @used:	   bytes of ring taken now, headers and padding included
 * @high_water:	   the most that @used ever was
 * @parked:	   requests ever parked
 * @completed:	   parked requests ever ended, the cancelled ones too
 * @cancelled:	   parked requests ever ended by io_cancel() or io_destroy()
 * @wakeups:	   wake-ups of sleepers and pollers
 * @signals:	   times that SIGIO was sent to all who asked for it
 * @parked_reads:  reads parked now
 * @parked_writes: writes parked now
 * @readers:	   open files that read what these counters count, at most
 *		   one in the counters of a broadcast's reader
 * @writers:	   open files that write to it
 * @written:	   records that files have written to a provider
 * @pulled:	   of these, those that it has taken
 * @reserved:	   zero
 *
 * What comes in is counted where the channel's files write to, what goes out
 * where they read from; in a loop that is the same ring. Of a provider all but the
 * last two count what it pushes for its readers. All count from the
 * channel's creation. ACHAN_IOC_STATS on a file that reads a broadcast counts
 * from its open, and what came out of, was lost for and is in that file's own
 * ring; everywhere else the counters are the sums over all readers, those that
 * have closed included.
 */
struct achan_stats {
	__u64 records_in;
	__u64 bytes_in;
	__u64 records_out;
	__u64 bytes_out;
	__u64 lost;
	__u64 rejected;
	__u64 dropped;
	__u64 overwritten;
	__u64 discarded;
	__u64 sequence;
	__u64 bytes;
	__u64 used;
	__u64 high_water;
	__u64 parked;
	__u64 completed;
	__u64 cancelled;
	__u64 wakeups;
	__u64 signals;
	__u32 parked_reads;
	__u32 parked_writes;
	__u32 readers;
	__u32 writers;
	__u64 written;
	__u64 pulled;
	__u64 reserved[2];
};

#define ACHAN_IOC_MAGIC		0xE6
#define ACHAN_IOC_INFO		_IOR(ACHAN_IOC_MAGIC, 0x00, struct achan_info)
#define ACHAN_IOC_GET_FLAGS	_IOR(ACHAN_IOC_MAGIC, 0x01, __u32)
#define ACHAN_IOC_SET_FLAGS	_IOW(ACHAN_IOC_MAGIC, 0x02, __u32)
#define ACHAN_IOC_STATS		_IOR(ACHAN_IOC_MAGIC, 0x03, struct achan_stats)
#define ACHAN_IOC_CONFIG	_IOR(ACHAN_IOC_MAGIC, 0x04, struct achan_config)

/*
 * /dev/achan-control. The first call on an open file is ACHAN_CTL_VERSION;
 * before it has succeeded every other one is -EPROTO. Reserved fields and
 * unknown flags must be zero, or the call is -EINVAL and does nothing.
 *
 * A channel is named by @name or, where that is empty, by @minor. One that does
 * not exist is -ENOENT.
 */
#define ACHAN_CONTROL_PATH	"/dev/achan-control"

/* Value of a minor that stands for no channel. */
#define ACHAN_MINOR_NONE	0xffffffffU

/**
 * struct achan_handshake - what tool and driver agree on first
 * @abi_version: the caller's ACHAN_ABI_VERSION; the driver puts in its own
 * @features:	 ACHAN_FEATURE_* of the driver
 * @reserved:	 zero
 *
 * -EPROTONOSUPPORT if the driver does not speak the caller's version; what it
 * speaks is filled in then too.
 */
struct achan_handshake {
	__u32 abi_version;
	__u32 features;
	__u64 reserved[3];
};

#define ACHAN_FEATURE_PAIR	(1U << 0)
#define ACHAN_FEATURE_BROADCAST	(1U << 1)
#define ACHAN_FEATURE_HANGUP	(1U << 2)
#define ACHAN_FEATURE_WATERMARKS (1U << 3)
#define ACHAN_FEATURE_MODERATION (1U << 4)
#define ACHAN_FEATURE_EVENTS	(1U << 5)

/**
 * struct achan_create - make a channel, or a pair of them
 * @config:	how it behaves
 * @name:	its name, or empty for that of its node: 1 to 31 characters of
 *		A-Z a-z 0-9 _ . : + -, the first one neither . nor -. Names like
 *		those of nodes, achan and a number, are not to be had.
 * @peer_name:	the same for the other one of a pair; else empty
 * @minor:	filled in: the node is /dev/achan and this number
 * @peer_minor: filled in: the same for the other one, or ACHAN_MINOR_NONE
 * @reserved:	zero
 *
 * -EEXIST: there is a channel of that name. -EINVAL: a name or a value that
 * cannot be. -ENOSPC: too many channels.
 */
struct achan_create {
	struct achan_config config;
	char  name[ACHAN_NAME_MAX];
	char  peer_name[ACHAN_NAME_MAX];
	__u32 minor;
	__u32 peer_minor;
	__u32 reserved[2];
};

/**
 * struct achan_remove - remove a channel, the other one of a pair with it
 * @name:     which one
 * @minor:    which one, if @name is empty
 * @flags:    zero
 * @reserved: zero
 *
 * -EPERM: it is a provider's, and goes when its device or its module does.
 */
struct achan_remove {
	char  name[ACHAN_NAME_MAX];
	__u32 minor;
	__u32 flags;
	__u32 reserved[2];
};

/**
 * struct achan_set - change how a channel behaves
 * @name:     which one
 * @minor:    which one, if @name is empty
 * @mask:     ACHAN_SET_*: what of @config is to be taken
 * @config:   the values; the others are not looked at
 * @reserved: zero
 *
 * Of a pair it changes the rings that the files of the named one use: what
 * they read from for @read_low and the moderation, what they write to for the
 * rest. Of a provider's channel ACHAN_SET_OVERFLOW is about what the provider
 * pushes.
 */
struct achan_set {
	char  name[ACHAN_NAME_MAX];
	__u32 minor;
	__u32 mask;
	struct achan_config config;
	__u32 reserved[2];
};

#define ACHAN_SET_OVERFLOW	(1U << 0)
#define ACHAN_SET_TIMESTAMPS	(1U << 1)	/* of @flags */
#define ACHAN_SET_READ_LOW	(1U << 2)
#define ACHAN_SET_WRITE_LOW	(1U << 3)
#define ACHAN_SET_MODERATION	(1U << 4)	/* both of its values */

/**
 * struct achan_channel - all about a channel
 * @name:	its name
 * @minor:	its node's number
 * @peer_minor: that of the other one of a pair, or ACHAN_MINOR_NONE
 * @config:	how it behaves
 * @stats:	what passed through it
 * @reserved:	zero
 *
 * For ACHAN_CTL_GET @name, or @minor where that is empty, says which one. For
 * ACHAN_CTL_NEXT it is the first one whose number is not less than @minor, and
 * @name is empty; -ENOENT ends the list. What else the caller put in is not
 * looked at.
 */
struct achan_channel {
	char  name[ACHAN_NAME_MAX];
	__u32 minor;
	__u32 peer_minor;
	struct achan_config config;
	struct achan_stats stats;
	__u32 reserved[2];
};

#define ACHAN_CTL_VERSION	_IOWR(ACHAN_IOC_MAGIC, 0x40, struct achan_handshake)
#define ACHAN_CTL_CREATE	_IOWR(ACHAN_IOC_MAGIC, 0x41, struct achan_create)
#define ACHAN_CTL_REMOVE	_IOW(ACHAN_IOC_MAGIC, 0x42, struct achan_remove)
#define ACHAN_CTL_SET		_IOW(ACHAN_IOC_MAGIC, 0x43, struct achan_set)
#define ACHAN_CTL_GET		_IOWR(ACHAN_IOC_MAGIC, 0x44, struct achan_channel)
#define ACHAN_CTL_NEXT		_IOWR(ACHAN_IOC_MAGIC, 0x45, struct achan_channel)

/*
 * The generic-netlink family: events about channels, and a dump of them.
 *
 * ACHAN_CMD_EVENT is what the groups send: EVENT, EVENT_SEQUENCE, TIMESTAMP,
 * NAME, MINOR, PEER_MINOR, KIND, CONFIG, STATS. EVENT_SEQUENCE counts all events by
 * one: a gap, as ENOBUFS does, says that the receiver was too slow and has to
 * look at all channels anew.
 *
 * Anybody may join the first group: CONFIG and STATS are left out there but for
 * channels whose node everybody may open. The second one is for CAP_SYS_ADMIN, -EPERM
 * for others, and has them always. Both have the same events with the same numbers.
 *
 * ACHAN_CMD_GET as a dump answers with a message for each channel: the same but
 * for EVENT and TIMESTAMP; EVENT_SEQUENCE is that of the latest event already
 * in it. Without NLM_F_DUMP it takes NAME or MINOR and answers with that one. CONFIG
 * and STATS are there where both who opened the socket and who sent the request may
 * open the channel's node, by the owner, group and mode that it was created with, or
 * have CAP_SYS_ADMIN.
 */
#define ACHAN_GENL_NAME		"achan"
#define ACHAN_GENL_VERSION	1
#define ACHAN_GENL_GROUP	"events"
#define ACHAN_GENL_GROUP_ADMIN	"events-admin"

/* enum achan_command */
#define ACHAN_CMD_GET		1
#define ACHAN_CMD_EVENT		2

/* enum achan_attribute */
#define ACHAN_ATTR_PAD		1
#define ACHAN_ATTR_EVENT	2	/* u32, ACHAN_EVENT_* */
#define ACHAN_ATTR_EVENT_SEQUENCE 3	/* u64 */
#define ACHAN_ATTR_TIMESTAMP	4	/* u64, CLOCK_MONOTONIC in ns */
#define ACHAN_ATTR_NAME		5	/* string */
#define ACHAN_ATTR_MINOR	6	/* u32 */
#define ACHAN_ATTR_PEER_MINOR	7	/* u32, left out for no pair */
#define ACHAN_ATTR_CONFIG	8	/* struct achan_config; see above */
#define ACHAN_ATTR_STATS	9	/* struct achan_stats, may grow; see above */
#define ACHAN_ATTR_KIND		10	/* u32, ACHAN_KIND_* */
#define ACHAN_ATTR_MAX		10

/* enum achan_event */
#define ACHAN_EVENT_CREATED	1
#define ACHAN_EVENT_REMOVED	2
#define ACHAN_EVENT_OPENED	3	/* the first of its files */
#define ACHAN_EVENT_CLOSED	4	/* the last of its files */
#define ACHAN_EVENT_OVERFLOW	5	/* records are being lost */
#define ACHAN_EVENT_HANGUP	6	/* the other end has closed */

#endif /* _UAPI_LINUX_ACHAN_H */
