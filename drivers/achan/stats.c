// SPDX-License-Identifier: GPL-2.0-only
/*
 * achan: what channels and their readers have counted.
 */
#include <linux/cred.h>

#include "achan.h"

/**
 * achan_get_config_for() - how a channel behaves now
 * @channel: the channel
 * @ns:	     in whose numbers owner and group are told
 * @config:  where it goes
 *
 * Context: may sleep.
 */
void achan_get_config_for(const struct achan *channel, struct user_namespace *ns,
			  struct achan_config *config)
{
	const struct achan_policy *in = &channel->rx->policy;
	const struct achan_policy *out = &channel->tx->policy;

	*config = channel->unit->config;
	config->overflow = channel->provider ? READ_ONCE(in->overflow) :
					       READ_ONCE(out->overflow);
	config->flags = READ_ONCE(out->no_timestamps) ?
			ACHAN_CONFIG_NO_TIMESTAMPS : 0;
	config->read_low = READ_ONCE(in->read_low);
	config->write_low = READ_ONCE(out->write_low);
	config->moderate_records = READ_ONCE(in->records);
	config->moderate_usecs = READ_ONCE(in->usecs);
	config->uid = from_kuid_munged(ns, channel->unit->uid);
	config->gid = from_kgid_munged(ns, channel->unit->gid);
}

/* The same, told to the calling process. */
void achan_get_config(const struct achan *channel, struct achan_config *config)
{
	achan_get_config_for(channel, current_user_ns(), config);
}

static void add_port(const struct achan_port *port, struct achan_stats *stats)
{
	stats->wakeups += atomic64_read(&port->wakeups);
	stats->signals += atomic64_read(&port->signals);
}

/* Context: ring.lock held. */
static void add_parked(const struct achan_parked *parked,
		       struct achan_stats *stats)
{
	stats->parked += parked->ever;
	stats->completed += parked->completed;
	stats->cancelled += parked->cancelled;
}

/* What has come into a lane. */
static void add_in(struct achan_lane *lane, struct achan_stats *stats)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&lane->ring.lock, flags);
	stats->sequence = achan_lane_sequence(lane);
	stats->records_in += lane->ring.records_in;
	stats->bytes_in += lane->ring.bytes_in;
	stats->discarded += lane->ring.discarded;
	stats->parked_writes += lane->writes.nr;
	add_parked(&lane->writes, stats);
	raw_spin_unlock_irqrestore(&lane->ring.lock, flags);
	stats->writers += READ_ONCE(lane->writers);
}

/* What was lost of it. */
static void add_lost(struct achan_lane *lane, struct achan_stats *stats)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&lane->ring.lock, flags);
	stats->rejected += lane->ring.rejected;
	stats->dropped += lane->ring.dropped;
	stats->overwritten += lane->ring.overwritten;
	raw_spin_unlock_irqrestore(&lane->ring.lock, flags);
}

/* What has come out of it, and what is in it. */
static void add_out(struct achan_lane *lane, struct achan_stats *stats)
{
	const struct achan_ring *ring = &lane->ring;
	unsigned long flags;
	u32 used;

	raw_spin_lock_irqsave(&lane->ring.lock, flags);
	used = ring->size - achan_ring_free(ring);
	stats->records_out += ring->records_out;
	stats->bytes_out += ring->bytes_out;
	stats->bytes += ring->bytes;
	stats->used += used;
	stats->high_water = max_t(u64, stats->high_water, ring->high_water);
	stats->parked_reads += lane->reads.nr;
	add_parked(&lane->reads, stats);
	raw_spin_unlock_irqrestore(&lane->ring.lock, flags);
}

/**
 * achan_add_reader_stats() - add what one reader of a broadcast has counted
 * @lane:  its lane
 * @stats: to what
 *
 * Context: any.
 */
void achan_add_reader_stats(struct achan_lane *lane, struct achan_stats *stats)
{
	add_lost(lane, stats);
	add_out(lane, stats);
	add_port(lane->port, stats);
}

/* What files write to a provider. */
static void add_provider(struct achan_lane *lane, struct achan_stats *stats)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&lane->ring.lock, flags);
	stats->written = lane->ring.records_in;
	stats->pulled = lane->ring.records_out;
	stats->parked_writes += lane->writes.nr;
	add_parked(&lane->writes, stats);
	raw_spin_unlock_irqrestore(&lane->ring.lock, flags);
	stats->writers = READ_ONCE(lane->writers);
}

static void sum_up(struct achan_stats *stats)
{
	stats->lost = stats->rejected + stats->dropped + stats->overwritten;
}

/**
 * achan_get_stats() - what a channel has counted
 * @channel: the channel
 * @stats:   where it goes
 *
 * Context: may sleep.
 */
void achan_get_stats(const struct achan *channel, struct achan_stats *stats)
{
	struct achan_lane *rx = channel->rx;

	memset(stats, 0, sizeof(*stats));
	add_in(channel->provider ? rx : channel->tx, stats);
	if (channel->provider && channel->tx != rx)
		add_provider(channel->tx, stats);
	add_port(&channel->port, stats);
	add_lost(rx, stats);
	/* What the delivery takes out of its ring reached nobody by that. */
	if (rx->broadcast)
		achan_broadcast_stats(rx, stats);
	else
		add_out(rx, stats);
	stats->readers = READ_ONCE(rx->readers);
	sum_up(stats);
}

/**
 * achan_get_file_stats() - what is counted where a file reads and writes
 * @file:  the open file
 * @stats: where it goes
 *
 * Context: may sleep.
 */
void achan_get_file_stats(const struct achan_file *file,
			  struct achan_stats *stats)
{
	if (file->rx == file->channel->rx) {
		achan_get_stats(file->channel, stats);
		return;
	}
	memset(stats, 0, sizeof(*stats));
	add_in(file->rx, stats);
	achan_add_reader_stats(file->rx, stats);
	achan_broadcast_add_lost(file->rx, stats);
	stats->readers = 1;
	stats->writers = READ_ONCE(file->channel->tx->writers);
	sum_up(stats);
}
