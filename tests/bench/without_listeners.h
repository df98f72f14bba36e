/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * In place of drivers/achan/lane.h, whose guard it takes, in the module that "make
 * bench" compares achan with. There are those who sleep and poll, as in every character
 * device, broadcasts and providers; no tracepoints, no SIGIO, nobody parks, no mark
 * counts, nothing is moderated, no netlink.
 */
#ifndef _ACHAN_LANE_H
#define _ACHAN_LANE_H

#define NOTRACE

#include "achan.h"
#include "trace.h"

static inline u64 achan_now(void)
{
	return ktime_get_ns();
}

static inline u64 achan_lane_time(const struct achan_lane *lane)
{
	return lane->policy.no_timestamps ? 0 : achan_now();
}

static inline u32 achan_lane_free_bytes(const struct achan_lane *lane)
{
	return achan_ring_free(&lane->ring);
}

static inline bool achan_lane_may_pass(const struct achan_lane *lane)
{
	return true;
}

static inline bool achan_lane_at_mark(const struct achan_lane *lane)
{
	return true;
}

static inline bool achan_lane_has_record(const struct achan_lane *lane)
{
	return achan_ring_readable(&lane->ring);
}

static inline bool achan_lane_at_end(const struct achan_lane *lane)
{
	return lane->no_writer;
}

static inline bool achan_lane_is_plain(const struct achan_lane *lane)
{
	return !lane->room_wanted && !lane->broadcast;
}

static inline bool achan_lane_is_heard(const struct achan_lane *lane)
{
	/* As in drivers/achan/lane.h. */
	return lane->puller || waitqueue_active(&lane->port->wait);
}

static inline unsigned int achan_lane_due(struct achan_lane *lane,
					  bool committed)
{
	if (!achan_lane_is_plain(lane))
		return achan_lane_due_all(lane, committed);
	if (!committed || !achan_lane_is_heard(lane))
		return 0;
	return achan_ring_readable(&lane->ring) ? ACHAN_DUE_READ : 0;
}

static inline unsigned int achan_lane_settle(struct achan_lane *lane,
					     struct achan_record *record,
					     bool commit)
{
	if (commit)
		achan_ring_commit(&lane->ring, record);
	else
		achan_ring_discard(&lane->ring, record);
	return achan_lane_due(lane, true);
}

static inline void achan_lane_act(struct achan_lane *lane, unsigned int due)
{
	if (due & ~ACHAN_DUE_APART)
		achan_lane_do(lane, due);
}

#endif /* _ACHAN_LANE_H */
