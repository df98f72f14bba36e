// SPDX-License-Identifier: GPL-2.0-only
/*
 * achan: broadcast: each file that is open for reading sees every record.
 *
 *				    /--> lane of a reading file
 *	writers --> the channel's lane ----> lane of a reading file
 *				    \--> lane of a reading file
 *
 * The channel's lane has one consumer, the delivery, which takes a record at a
 * time and pushes it into the lane of each reader as a producer that cannot
 * wait: a reader that is too slow loses records of its own by the overflow
 * policy, and holds up neither the others nor a writer. Delivery is done by
 * whoever commits a record, as parked requests are served, or by the worker of
 * the channel's lane. The claim on that lane's ring makes it one at a time, so
 * every reader sees the same records in the same order with the same numbers.
 *
 * A writer that finds the channel's lane full waits as writers of any channel do,
 * but not for readers: for the delivery, which waits for nobody. A file that reads
 * and writes has its sleepers, pollers and signals at the reader's port, so room is
 * told there too.
 *
 * Readers are in a list that the delivery walks under SRCU, since it may run
 * anywhere. Nothing done in there sleeps.
 */
#include <linux/limits.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/srcu.h>

#include "achan.h"
#include "compat.h"
#include "lane.h"

DEFINE_STATIC_SRCU(readers_srcu);

/* Deliveries that the worker does in one go. */
#define ACHAN_DELIVERIES_MAX	4096

/**
 * struct achan_broadcast - the delivery of a channel's lane
 * @lock:    changes of what follows, so that no reader counts twice
 * @readers: struct reader, by @node
 * @writers: those of them whose file is open for writing too, by @writer_node
 * @gone:    what readers counted that have closed
 */
struct achan_broadcast {
	struct mutex lock; /* see above */
	struct list_head readers;
	struct list_head writers;
	struct achan_stats gone;
};

/**
 * struct reader - the lane of a reading file
 * @lane:      ...
 * @port:      where those wait who read it
 * @node:      among the readers of its channel
 * @writer_node: among those of them that write too, or empty
 * @from:      number of the first record that it sees
 * @rejected:  what the channel's lane had lost before that
 * @dropped:   ...
 * @overwritten: ...
 * @refs:      one for the file, one for each worker that makes a buffer present
 * @free_work: frees it, in a context that can wait for the delivery
 */
struct reader {
	struct achan_lane *lane;
	struct achan_port port;
	struct list_head node;
	struct list_head writer_node;
	u64 from;
	u64 rejected;
	u64 dropped;
	u64 overwritten;
	refcount_t refs;
	struct work_struct free_work;
};

/* The reader of a lane, or NULL for the lane of a channel. */
static struct reader *reader_of(const struct achan_lane *lane)
{
	if (lane->port == &lane->reader->port)
		return NULL;
	return container_of(lane->port, struct reader, port);
}

/**
 * achan_broadcast_alloc() - make the lane of a channel one of a broadcast
 * @lane: the lane
 *
 * Context: may sleep. Return: 0 or -ENOMEM.
 */
int achan_broadcast_alloc(struct achan_lane *lane)
{
	struct achan_broadcast *broadcast;

	broadcast = kzalloc(sizeof(*broadcast), GFP_KERNEL_ACCOUNT);
	if (!broadcast)
		return -ENOMEM;
	mutex_init(&broadcast->lock);
	INIT_LIST_HEAD(&broadcast->readers);
	INIT_LIST_HEAD(&broadcast->writers);
	lane->broadcast = broadcast;
	return 0;
}

void achan_broadcast_free(struct achan_lane *lane)
{
	kfree(lane->broadcast);
}

static void reader_free_work(struct work_struct *work)
{
	struct reader *reader = container_of(work, struct reader, free_work);
	struct device *dev = &reader->lane->reader->dev;

	/* A delivery may have found it before it left the list. */
	synchronize_srcu(&readers_srcu);
	achan_lane_free(reader->lane);
	kfree(reader);
	put_device(dev);
}

/**
 * achan_broadcast_lane() - make a lane for a file that reads a broadcast
 * @channel: the channel that the file is of
 *
 * Context: may sleep. Return: the lane, to be given to achan_lane_put(); NULL
 * without memory.
 */
struct achan_lane *achan_broadcast_lane(struct achan *channel)
{
	struct achan_lane *home = channel->rx, *lane;
	struct achan_policy policy = { };
	struct reader *reader;

	reader = kzalloc(sizeof(*reader), GFP_KERNEL_ACCOUNT);
	if (!reader)
		return NULL;
	lane = achan_lane_alloc(home->ring.size, &policy);
	if (!lane) {
		kfree(reader);
		return NULL;
	}
	achan_port_init(&reader->port);
	refcount_set(&reader->refs, 1);
	INIT_LIST_HEAD(&reader->writer_node);
	INIT_WORK(&reader->free_work, reader_free_work);
	reader->lane = lane;
	lane->reader = channel;
	lane->writer = home->writer;
	lane->port = &reader->port;
	get_device(&channel->dev);
	return lane;
}

/**
 * achan_lane_get() - keep a lane
 * @lane: the lane; that of a channel lives as long as the channel does
 */
void achan_lane_get(struct achan_lane *lane)
{
	struct reader *reader = reader_of(lane);

	if (reader)
		refcount_inc(&reader->refs);
	else
		get_device(&lane->reader->dev);
}

/**
 * achan_lane_put() - let a lane go
 * @lane: from achan_lane_get() or achan_broadcast_lane()
 */
void achan_lane_put(struct achan_lane *lane)
{
	struct reader *reader = reader_of(lane);

	if (!reader)
		put_device(&lane->reader->dev);
	else if (refcount_dec_and_test(&reader->refs))
		queue_work(achan_workqueue, &reader->free_work);
}

/**
 * achan_broadcast_join() - let a lane have all records from now on
 * @lane: from achan_broadcast_lane()
 *
 * Records that were written before and are not delivered yet are not for it.
 *
 * Context: unit->ends held.
 */
void achan_broadcast_join(struct achan_lane *lane, bool writes)
{
	struct achan_lane *home = lane->reader->rx;
	struct reader *reader = reader_of(lane);
	unsigned long flags;

	raw_spin_lock_irqsave(&home->ring.lock, flags);
	reader->from = achan_lane_sequence(home);
	reader->rejected = home->ring.rejected;
	reader->dropped = home->ring.dropped;
	reader->overwritten = home->ring.overwritten;
	lane->ring.sequence = reader->from;
	lane->policy = home->policy;
	lane->no_writer = home->no_writer;
	raw_spin_unlock_irqrestore(&home->ring.lock, flags);
	mutex_lock(&home->broadcast->lock);
	list_add_tail_rcu(&reader->node, &home->broadcast->readers);
	if (writes)
		list_add_tail_rcu(&reader->writer_node,
				  &home->broadcast->writers);
	mutex_unlock(&home->broadcast->lock);
}

/**
 * achan_broadcast_leave() - a reader has closed
 * @lane: its lane
 *
 * Context: unit->ends held.
 */
void achan_broadcast_leave(struct achan_lane *lane)
{
	struct achan_broadcast *broadcast = lane->reader->rx->broadcast;

	mutex_lock(&broadcast->lock);
	list_del_rcu(&reader_of(lane)->node);
	if (!list_empty(&reader_of(lane)->writer_node))
		list_del_rcu(&reader_of(lane)->writer_node);
	achan_add_reader_stats(lane, &broadcast->gone);
	mutex_unlock(&broadcast->lock);
}

/**
 * achan_broadcast_follow() - let readers behave as their channel does now
 * @home: the lane of their channel; nothing happens if it is no broadcast
 *
 * Context: unit->ends held.
 */
void achan_broadcast_follow(struct achan_lane *home)
{
	struct reader *reader;
	unsigned long flags;

	if (!home->broadcast)
		return;
	list_for_each_entry(reader, &home->broadcast->readers, node) {
		raw_spin_lock_irqsave(&reader->lane->ring.lock, flags);
		reader->lane->policy = home->policy;
		raw_spin_unlock_irqrestore(&reader->lane->ring.lock, flags);
	}
}

/**
 * achan_broadcast_each() - do something for the lane of each reader
 * @home:     the lane of their channel; nothing happens if it is no broadcast
 * @function: what; must not sleep
 *
 * Context: any.
 */
void achan_broadcast_each(struct achan_lane *home,
			  void (*function)(struct achan_lane *lane))
{
	struct reader *reader;
	int index;

	if (!home->broadcast)
		return;
	index = srcu_read_lock(&readers_srcu);
	list_for_each_entry_srcu(reader, &home->broadcast->readers, node,
				 srcu_read_lock_held(&readers_srcu))
		function(reader->lane);
	srcu_read_unlock(&readers_srcu, index);
}

/**
 * achan_broadcast_writers() - tell something to all who may write to a channel
 * @channel:  the channel, of any delivery
 * @function: how; called for each port where its writers wait; must not sleep
 *
 * Most writers wait at the channel's own port. In a broadcast a file that reads
 * and writes waits at the port of its reader, since it can have one queue only.
 *
 * Context: any but hard interrupts on PREEMPT_RT; no lock of ours held.
 */
void achan_broadcast_writers(struct achan *channel,
			     void (*function)(struct achan_port *port))
{
	struct achan_broadcast *broadcast = channel->rx->broadcast;
	struct reader *reader;
	int index;

	function(&channel->port);
	if (!broadcast)
		return;
	index = srcu_read_lock(&readers_srcu);
	list_for_each_entry_srcu(reader, &broadcast->writers, writer_node,
				 srcu_read_lock_held(&readers_srcu))
		function(&reader->port);
	srcu_read_unlock(&readers_srcu, index);
}

/**
 * achan_broadcast_stats() - sum up what all readers count, and have counted
 * @home:  the lane of their channel
 * @stats: what it is added to
 *
 * Context: may sleep.
 */
void achan_broadcast_stats(struct achan_lane *home, struct achan_stats *stats)
{
	const struct achan_stats *gone = &home->broadcast->gone;
	struct reader *reader;

	mutex_lock(&home->broadcast->lock);
	list_for_each_entry(reader, &home->broadcast->readers, node)
		achan_add_reader_stats(reader->lane, stats);
	stats->records_out += gone->records_out;
	stats->bytes_out += gone->bytes_out;
	stats->rejected += gone->rejected;
	stats->dropped += gone->dropped;
	stats->overwritten += gone->overwritten;
	stats->parked += gone->parked;
	stats->completed += gone->completed;
	stats->cancelled += gone->cancelled;
	stats->wakeups += gone->wakeups;
	stats->signals += gone->signals;
	stats->high_water = max(stats->high_water, gone->high_water);
	mutex_unlock(&home->broadcast->lock);
}

/**
 * achan_broadcast_add_lost() - add what was lost before it could be delivered
 * @lane:  of one reader, since whose open it counts
 * @stats: to what
 *
 * Only a provider can lose records there: who writes waits for the delivery.
 *
 * Context: any.
 */
void achan_broadcast_add_lost(struct achan_lane *lane,
			      struct achan_stats *stats)
{
	struct achan_lane *home = lane->reader->rx;
	struct reader *reader = reader_of(lane);
	unsigned long flags;

	raw_spin_lock_irqsave(&home->ring.lock, flags);
	achan_lane_count_missed(home);
	stats->rejected += home->ring.rejected - reader->rejected;
	stats->dropped += home->ring.dropped - reader->dropped;
	stats->overwritten += home->ring.overwritten - reader->overwritten;
	raw_spin_unlock_irqrestore(&home->ring.lock, flags);
}

/* Return: how many readers @record was for. */
static unsigned int deliver(struct achan_lane *home,
			    struct achan_record *record)
{
	int index = srcu_read_lock(&readers_srcu);
	struct reader *reader;
	unsigned int nr = 0;

	list_for_each_entry_srcu(reader, &home->broadcast->readers, node,
				 srcu_read_lock_held(&readers_srcu)) {
		if (record->sequence < reader->from)
			continue;
		achan_lane_push(reader->lane, achan_record_payload(record),
				record->length, &record->timestamp,
				&record->sequence, 0);
		nr++;
	}
	srcu_read_unlock(&readers_srcu, index);
	return nr;
}

/**
 * achan_broadcast_run() - deliver what there is
 * @home:  the lane of a channel
 * @steps: how many deliveries the caller may still do, NULL for its worker; the
 *	   worker does the rest
 *
 * Context: any but hard interrupts on PREEMPT_RT; no lock of ours held.
 * Return: whether it did anything.
 */
bool achan_broadcast_run(struct achan_lane *home, unsigned int *steps)
{
	unsigned int left = steps ? *steps : ACHAN_DELIVERIES_MAX;
	struct achan_ring *ring = &home->ring;
	struct achan_record *record;
	struct achan_cursor cursor;
	unsigned long flags;
	bool delivered = false;

	raw_spin_lock_irqsave(&ring->lock, flags);
	while (left && !ring->claimed && achan_ring_readable(ring)) {
		achan_ring_claim(ring, &cursor);
		raw_spin_unlock_irqrestore(&ring->lock, flags);

		record = achan_ring_next(ring, &cursor);
		left -= min(left, deliver(home, record) + 1);
		achan_ring_consume(&cursor, record, record->length);
		delivered = true;

		raw_spin_lock_irqsave(&ring->lock, flags);
		achan_ring_retire(ring, &cursor);
		achan_ring_release(ring);
	}
	if (!left && achan_ring_readable(ring))
		queue_work(achan_workqueue, &home->work);
	raw_spin_unlock_irqrestore(&ring->lock, flags);
	if (steps)
		*steps = left;
	if (delivered)
		achan_lane_released(home);
	return delivered && left;
}

static bool delivered(struct achan_lane *home, u64 until)
{
	struct achan_ring *ring = &home->ring;
	struct achan_record *record = NULL;
	struct achan_cursor cursor;
	unsigned long flags;
	bool ret;

	raw_spin_lock_irqsave(&ring->lock, flags);
	achan_ring_begin(ring, &cursor);
	record = achan_ring_next(ring, &cursor);
	ret = !record || record->sequence >= until;
	raw_spin_unlock_irqrestore(&ring->lock, flags);
	return ret;
}

/**
 * achan_broadcast_flush() - wait until readers have what was written so far
 * @home: the lane of a channel
 *
 * A record that is not committed yet may stay, and what is behind it. So may what is
 * left when a fatal signal ends the wait; it is delivered later.
 *
 * Context: sleeps, killably, for no longer than the delivery takes.
 */
void achan_broadcast_flush(struct achan_lane *home)
{
	unsigned long flags;
	u64 until;

	raw_spin_lock_irqsave(&home->ring.lock, flags);
	until = achan_lane_sequence(home);
	raw_spin_unlock_irqrestore(&home->ring.lock, flags);
	achan_lane_act(home, ACHAN_DUE_RUN);
	wait_event_killable(home->claim_wait, delivered(home, until));
}
