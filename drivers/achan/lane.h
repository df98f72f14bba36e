/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * achan: what every record meets on its way through a lane: what its coming and going
 * calls for. In most lanes nobody is parked, asleep or listening, and that costs a few
 * tests; the rest is in lane.c.
 */
#ifndef _ACHAN_LANE_H
#define _ACHAN_LANE_H

#include <linux/minmax.h>
#include <linux/timekeeping.h>
#include <linux/wait.h>

#include "achan.h"
#include "trace.h"

/* In an NMI, which may have come upon an update of the clock, a fast one. */
static inline u64 achan_now(void)
{
	return in_nmi() ? ktime_get_mono_fast_ns() : ktime_get_ns();
}

/* What the header of a record that comes now shall say. */
static inline u64 achan_lane_time(const struct achan_lane *lane)
{
	return lane->policy.no_timestamps ? 0 : achan_now();
}

/**
 * achan_lane_free_bytes() - how much room there is
 * @lane: the lane
 *
 * Payload that is reserved and not committed yet does not count against @capacity: as
 * many writers as copy at the same time may go beyond it by what they copy. The
 * memory for that is there.
 *
 * Context: ring.lock held. Return: bytes of ring, headers and padding to be taken from
 * them.
 */
static inline u32 achan_lane_free_bytes(const struct achan_lane *lane)
{
	u32 free = achan_ring_free(&lane->ring);
	u64 left;

	if (!lane->capacity)
		return free;
	if (lane->ring.bytes >= lane->capacity)
		return 0;
	left = lane->capacity - lane->ring.bytes + sizeof(struct achan_record);
	return min_t(u64, free, left);
}

/**
 * achan_lane_may_pass() - may a write go in that has not parked?
 * @lane: the lane
 *
 * AIO writes keep their order with all that comes later. Writers that sleep let others
 * pass, but not more than fits into the ring before the first of them has its turn.
 *
 * Context: ring.lock held.
 */
static inline bool achan_lane_may_pass(const struct achan_lane *lane)
{
	return !lane->writes.nr ||
	       (!lane->parked_iocbs && lane->passed < lane->ring.size);
}

/**
 * achan_lane_at_mark() - is there enough for readers who wait for more?
 * @lane: the lane
 *
 * Whatever the mark is, it must not keep a reader from making room for those
 * who wait for it or lose records for want of it, nor outlast the records that
 * can still come.
 *
 * Context: ring.lock held.
 */
static inline bool achan_lane_at_mark(const struct achan_lane *lane)
{
	return lane->ring.bytes >= lane->policy.read_low ||
	       lane->room_wanted || lane->overflowing || lane->writes.nr ||
	       lane->no_writer || lane->dead;
}

/* Context: ring.lock held. Parked reads come first. */
static inline bool achan_lane_has_record(const struct achan_lane *lane)
{
	return !lane->reads.nr && achan_ring_readable(&lane->ring);
}

/* Context: ring.lock held. The end is read behind all records and requests. */
static inline bool achan_lane_at_end(const struct achan_lane *lane)
{
	return lane->no_writer && !lane->reads.nr;
}

/*
 * Context: ring.lock held. Nobody is parked or waits for room, and readers are told of
 * each record, at once.
 */
static inline bool achan_lane_is_plain(const struct achan_lane *lane)
{
	return !(lane->reads.nr | lane->writes.nr | lane->room_wanted |
		 lane->policy.read_low | lane->policy.usecs) &&
	       !lane->broadcast;
}

/* Context: ring.lock held. Is anybody to be told of records? */
static inline bool achan_lane_is_heard(const struct achan_lane *lane)
{
	/*
	 * Who queues up looks at the ring afterwards, with its lock: either sees the
	 * record, or is seen here.
	 */
	return lane->puller || waitqueue_active(&lane->port->wait) ||
	       READ_ONCE(lane->port->fasync_read) ||
	       trace_achan_notify_enabled();
}

/**
 * achan_lane_due() - what the state of a lane calls for
 * @lane:      the lane
 * @committed: a record may have become readable since readers were last told
 *
 * Context: ring.lock held. Return: ACHAN_DUE_*, for achan_lane_act().
 */
static inline unsigned int achan_lane_due(struct achan_lane *lane,
					  bool committed)
{
	if (!achan_lane_is_plain(lane))
		return achan_lane_due_all(lane, committed);
	if (!committed || !achan_lane_is_heard(lane))
		return 0;
	return achan_ring_readable(&lane->ring) ? ACHAN_DUE_READ : 0;
}

/**
 * achan_lane_settle() - commit or discard a record
 * @lane:   the lane
 * @record: reserved in it; not to be touched afterwards
 * @commit: which of the two
 *
 * Context: ring.lock held. Return: ACHAN_DUE_*, for achan_lane_act().
 */
static inline unsigned int achan_lane_settle(struct achan_lane *lane,
					     struct achan_record *record,
					     bool commit)
{
	/* Before it is visible, so that its consumption comes after. */
	if (commit) {
		trace_achan_commit(lane->writer, record, record->length);
		achan_ring_commit(&lane->ring, record);
	} else {
		achan_ring_discard(&lane->ring, record);
	}
	return achan_lane_due(lane, true);
}

/**
 * achan_lane_act() - do what is due
 * @lane: the lane
 * @due:  from achan_lane_due()
 *
 * Context: any; no lock of ours held.
 */
static inline void achan_lane_act(struct achan_lane *lane, unsigned int due)
{
	if (due & ~ACHAN_DUE_APART)
		achan_lane_do(lane, due);
}

#endif /* _ACHAN_LANE_H */
