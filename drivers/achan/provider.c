// SPDX-License-Identifier: GPL-2.0-only
/*
 * achan: channels of other modules.
 *
 *		 achan_push()	rx lane		read()
 *	provider ------------> [ records ] ------------> files
 *		 <------------ [ records ] <------------
 *		 achan_pull()	tx lane		write()
 *
 * A provider may act anywhere, in an NMI and with its own locks held; so no call to
 * it is made from within one of its own, but by a work item. What its records call
 * for, completions, wake-ups and signals, is done at once, or by an irq_work where
 * it cannot be done: see achan_lane_do().
 *
 * The provider's module may go while files are open: these are achan's own. Its calls
 * to a channel and the calls to it are sections of RCU, for whose end the removal
 * waits, after it has made sure that no new one finds anything.
 */
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include <linux/achan.h>

#include "achan.h"
#include "compat.h"
#include "lane.h"
#include "trace.h"

/* Calls that whoever asks makes, before it leaves those of others to the work. */
#define ACHAN_CALLS_MAX		64

enum achan_callback_state {
	ACHAN_CALLBACK_IDLE,
	ACHAN_CALLBACK_CALLING,
	ACHAN_CALLBACK_AGAIN,
};

/*
 * The state is AGAIN, and the caller the one who took it there from IDLE, or who
 * was handed that by them. It is CALLING from before a call: what happens during
 * the call makes it AGAIN.
 */
static void make_calls(struct achan_callback *callback)
{
	void (*function)(struct achan *channel);
	unsigned int left = ACHAN_CALLS_MAX;

	do {
		if (!left--) {
			atomic_set(&callback->state, ACHAN_CALLBACK_AGAIN);
			queue_work(achan_workqueue, &callback->work);
			return;
		}
		atomic_set(&callback->state, ACHAN_CALLBACK_CALLING);
		/* Before the call looks at what there is; pairs with the xchg. */
		smp_mb();
		rcu_read_lock();
		function = READ_ONCE(callback->function);
		if (function)
			function(callback->channel);
		rcu_read_unlock();
	} while (atomic_cmpxchg(&callback->state, ACHAN_CALLBACK_CALLING,
				ACHAN_CALLBACK_IDLE) != ACHAN_CALLBACK_CALLING);
}

static void callback_work(struct work_struct *work)
{
	make_calls(container_of(work, struct achan_callback, work));
}

/**
 * achan_callback_ask() - have a provider called
 * @callback: what for
 * @apart:    not from here: the provider may be the caller
 *
 * Context: any but NMI, and but hard interrupts on PREEMPT_RT; no lock of ours held.
 */
void achan_callback_ask(struct achan_callback *callback, bool apart)
{
	if (atomic_xchg(&callback->state, ACHAN_CALLBACK_AGAIN) !=
	    ACHAN_CALLBACK_IDLE)
		return;
	if (apart)
		queue_work(achan_workqueue, &callback->work);
	else
		make_calls(callback);
}

static void callback_init(struct achan_callback *callback,
			  struct achan *channel,
			  void (*function)(struct achan *channel))
{
	callback->channel = channel;
	callback->function = function;
	INIT_WORK(&callback->work, callback_work);
}

static struct achan_lane *written_lane(struct achan *channel)
{
	const struct achan_config *config = &channel->unit->config;
	struct achan_policy policy = {
		.overflow = config->overflow,
		.no_timestamps = config->flags & ACHAN_CONFIG_NO_TIMESTAMPS,
		.write_low = config->write_low,
	};
	struct achan_lane *lane;

	lane = achan_lane_alloc(config->ring_bytes, &policy);
	if (!lane)
		return NULL;
	lane->reader = channel;
	lane->writer = channel;
	lane->port = &channel->port;
	lane->puller = &channel->provider->written;
	return lane;
}

static const struct achan_operations no_operations;

/**
 * achan_provider_alloc() - make a channel a module's own
 * @channel:	 the channel, with its rx lane and its unit's configuration
 * @description: what the module wants
 *
 * Context: may sleep. Return: 0 or -ENOMEM, and then achan_provider_free() is to be
 * called all the same.
 */
int achan_provider_alloc(struct achan *channel,
			 const struct achan_description *description)
{
	const struct achan_operations *operations =
		description->operations ?: &no_operations;
	struct achan_provider *provider;

	provider = kzalloc(sizeof(*provider), GFP_KERNEL_ACCOUNT);
	if (!provider)
		return -ENOMEM;
	channel->provider = provider;
	provider->operations = operations;
	provider->private = description->private;
	provider->parent = description->parent;
	callback_init(&provider->written, channel, operations->written);
	callback_init(&provider->room, channel, operations->room);
	if (operations->room)
		channel->rx->pusher = &provider->room;
	channel->tx = operations->written ? written_lane(channel) : channel->rx;
	return channel->tx ? 0 : -ENOMEM;
}

/**
 * achan_provider_free() - free what achan_provider_alloc() made, but for the lane
 * @channel: the channel, a provider's or not
 *
 * Context: may sleep.
 */
void achan_provider_free(struct achan *channel)
{
	if (!channel->provider)
		return;
	cancel_work_sync(&channel->provider->written.work);
	cancel_work_sync(&channel->provider->room.work);
	kfree(channel->provider);
}

/* Context: unit->ends held. Return: 0, or why the channel cannot be opened. */
int achan_provider_opened(struct achan *channel)
{
	const struct achan_operations *operations =
		channel->provider->operations;

	return operations->opened ? operations->opened(channel) : 0;
}

/* Context: unit->ends held. */
void achan_provider_closed(struct achan *channel)
{
	const struct achan_operations *operations =
		channel->provider->operations;

	if (operations->closed)
		operations->closed(channel);
}

/**
 * achan_provider_detach() - begin no call to the provider any more
 * @channel: the channel, which is being removed
 *
 * Those under way are over after synchronize_rcu().
 *
 * Context: unit->ends held.
 */
void achan_provider_detach(struct achan *channel)
{
	struct achan_provider *provider = channel->provider;

	WRITE_ONCE(provider->written.function, NULL);
	WRITE_ONCE(provider->room.function, NULL);
	if (channel->files)
		achan_provider_closed(channel);
	provider->operations = &no_operations;
}

/**
 * achan_create() - make a channel
 * @description: what is wanted; copied, but for the operations
 *
 * It is there at once: @description's operations can be called before this
 * returns.
 *
 * Context: may sleep; not from a notifier of achan's, nor with a lock held that the
 * operations take. Return: the channel, to be given to achan_destroy();
 * ERR_PTR(-EINVAL) for a name or a value that cannot be, ERR_PTR(-EEXIST) for a name
 * that there is, ERR_PTR(-ENOSPC) if there are too many, ERR_PTR(-EINTR) for a fatal
 * signal, ERR_PTR(-ENOMEM).
 */
struct achan *achan_create(const struct achan_description *description)
{
	struct achan_config config = description->config;
	const char *const names[] = { description->name ?: "" };
	struct achan_unit *unit;
	u32 minors[1];
	int ret;

	if (config.kind)
		return ERR_PTR(-EINVAL);
	config.kind = ACHAN_KIND_PROVIDER;
	/* In whose context a driver's probe runs says nothing. */
	ret = achan_config_check(&config, &init_user_ns);
	if (ret)
		return ERR_PTR(ret);
	unit = achan_registry_create(&config, names, minors, description);
	return IS_ERR(unit) ? ERR_CAST(unit) : unit->channels;
}
EXPORT_SYMBOL_NS_GPL(achan_create, ACHAN_NAMESPACE);

/**
 * achan_destroy() - remove a channel: its device is gone, or its module goes
 * @channel: from achan_create(), not from devm_achan_create(); not to be used
 *	     afterwards
 *
 * Files that are open stay valid: they read what is left, then get -ENODEV. Parked
 * requests end with -ENODEV, sleepers wake up.
 *
 * Calls for the channel may be under way when this begins and come while it runs:
 * achan_push() says -ENODEV then. They must be over when it returns, and what
 * achan_reserve() gave must be committed or discarded: so free_irq() and the like
 * come before.
 *
 * Context: may sleep; not from an operation or a notifier of achan's, nor with a lock
 * held that the operations take.
 */
void achan_destroy(struct achan *channel)
{
	achan_registry_take(channel->unit);
	achan_unit_remove(channel->unit);
}
EXPORT_SYMBOL_NS_GPL(achan_destroy, ACHAN_NAMESPACE);

static void destroy(void *channel)
{
	achan_destroy(channel);
}

/**
 * devm_achan_create() - make a channel that goes with its device
 * @dev:	 the device; the channel's parent, where @description names none
 * @description: what is wanted
 *
 * What may call for the channel, an interrupt above all, is to be requested after
 * this, so that it goes before the channel does.
 *
 * Context and return: as achan_create().
 */
struct achan *devm_achan_create(struct device *dev,
				const struct achan_description *description)
{
	struct achan_description of_device = *description;
	struct achan *channel;
	int ret;

	if (!of_device.parent)
		of_device.parent = dev;
	channel = achan_create(&of_device);
	if (IS_ERR(channel))
		return channel;
	ret = devm_add_action_or_reset(dev, destroy, channel);
	return ret ? ERR_PTR(ret) : channel;
}
EXPORT_SYMBOL_NS_GPL(devm_achan_create, ACHAN_NAMESPACE);

/**
 * achan_private() - what the provider gave along
 * @channel: the channel
 *
 * Context: any. Return: @private of struct achan_description.
 */
void *achan_private(const struct achan *channel)
{
	return channel->provider->private;
}
EXPORT_SYMBOL_NS_GPL(achan_private, ACHAN_NAMESPACE);

/**
 * achan_name() - the channel's name
 * @channel: the channel
 *
 * Context: any. Return: the name it was given, or that of its node.
 */
const char *achan_name(const struct achan *channel)
{
	return channel->name;
}
EXPORT_SYMBOL_NS_GPL(achan_name, ACHAN_NAMESPACE);

static int push(struct achan *channel, const void *data, u32 length,
		const u64 *timestamp)
{
	int ret;

	if (!length)
		return -EINVAL;
	rcu_read_lock();
	ret = achan_lane_push(channel->rx, data, length, timestamp, NULL,
			      ACHAN_DUE_APART);
	rcu_read_unlock();
	return ret;
}

/**
 * achan_push_at() - put a record in, with a time of the caller's
 * @channel:   the channel
 * @data:      its payload
 * @length:    bytes of it, at least one
 * @timestamp: what its header shall say: CLOCK_MONOTONIC in nanoseconds
 *
 * As achan_push() otherwise.
 */
int achan_push_at(struct achan *channel, const void *data, u32 length,
		  u64 timestamp)
{
	return push(channel, data, length, &timestamp);
}
EXPORT_SYMBOL_NS_GPL(achan_push_at, ACHAN_NAMESPACE);

/**
 * achan_push() - put a record in
 * @channel: the channel
 * @data:    its payload
 * @length:  bytes of it, at least one
 *
 * Parked reads are completed, sleepers woken and signals sent before it returns, but
 * in an NMI, and on PREEMPT_RT where preemption or interrupts are off: then right
 * after that context, by an irq_work.
 *
 * A record that finds no room is lost as the channel's overflow policy says, and
 * counted; the next one's number shows the gap. So is one that an NMI pushes while
 * the channel's lock is held by what it has interrupted, or on another processor.
 *
 * Context: any: process, softirq, hard interrupt, NMI, on PREEMPT_RT too; with any
 * locks held but those that a wake-up takes (of the scheduler, of timers). Records
 * of several contexts get numbers and times in one order; the time of one that an
 * NMI pushes can be off by a little.
 *
 * Return: 0, also for a record that was dropped or made older ones go; -ENOSPC if it
 * was refused, see @room of struct achan_operations; -EBUSY if an NMI lost it;
 * -EMSGSIZE if the ring is too small for it; -EINVAL for no bytes; -ENODEV if the
 * channel is being destroyed.
 */
int achan_push(struct achan *channel, const void *data, u32 length)
{
	return push(channel, data, length, NULL);
}
EXPORT_SYMBOL_NS_GPL(achan_push, ACHAN_NAMESPACE);

/**
 * achan_reserve() - room for a record, to be filled in place
 * @channel: the channel
 * @length:  bytes of payload, at least one
 *
 * The record gets its number and time now. It, and all that come after it, can be
 * read once it is committed or discarded: soon, and from any context but NMI.
 *
 * Context: any but NMI. Return: where its payload goes, aligned to 8 bytes; NULL
 * where achan_push() would have lost the record, which is counted, or failed.
 */
void *achan_reserve(struct achan *channel, u32 length)
{
	struct achan_record *record;

	if (WARN_ON_ONCE(in_nmi()) || !length)
		return NULL;
	rcu_read_lock();
	record = achan_lane_reserve(channel->rx, length);
	rcu_read_unlock();
	return record ? achan_record_payload(record) : NULL;
}
EXPORT_SYMBOL_NS_GPL(achan_reserve, ACHAN_NAMESPACE);

static void settle(struct achan *channel, void *payload, bool commit)
{
	rcu_read_lock();
	achan_lane_finish(channel->rx, (struct achan_record *)payload - 1,
			  commit, ACHAN_DUE_APART);
	rcu_read_unlock();
}

/**
 * achan_commit() - let a reserved record be read
 * @channel: the channel
 * @payload: from achan_reserve(), all of it filled; not to be touched afterwards
 *
 * Context: as achan_push(), but NMI.
 */
void achan_commit(struct achan *channel, void *payload)
{
	settle(channel, payload, true);
}
EXPORT_SYMBOL_NS_GPL(achan_commit, ACHAN_NAMESPACE);

/**
 * achan_discard() - give a reserved record up
 * @channel: the channel
 * @payload: from achan_reserve(); not to be touched afterwards
 *
 * Where others were reserved after it, its number shows as a gap, and is counted as
 * discarded.
 *
 * Context: as achan_push(), but NMI.
 */
void achan_discard(struct achan *channel, void *payload)
{
	settle(channel, payload, false);
}
EXPORT_SYMBOL_NS_GPL(achan_discard, ACHAN_NAMESPACE);

/* Context: ring.lock held. Return: 0 with the claim, or an error. */
static int claim_written(struct achan_lane *lane, struct achan_cursor *cursor)
{
	if (lane->ring.claimed)
		return -EBUSY;
	if (!achan_ring_readable(&lane->ring))
		return lane->dead ? -ENODEV : -EAGAIN;
	achan_ring_claim(&lane->ring, cursor);
	return 0;
}

static ssize_t pull(struct achan_lane *lane, void *data, u32 size,
		    struct achan_record *header)
{
	struct achan_ring *ring = &lane->ring;
	struct achan_record *record;
	struct achan_cursor cursor;
	unsigned long flags;
	unsigned int due;
	ssize_t ret;

	raw_spin_lock_irqsave(&ring->lock, flags);
	ret = claim_written(lane, &cursor);
	raw_spin_unlock_irqrestore(&ring->lock, flags);
	if (ret)
		return ret;
	record = achan_ring_next(ring, &cursor);
	ret = -EMSGSIZE;
	if (!data || record->length <= size)
		ret = record->length;
	if (header)
		*header = *record;
	if (ret > 0) {
		if (data)
			memcpy(data, achan_record_payload(record), ret);
		trace_achan_consume(lane->reader, record, ret);
		achan_ring_consume(&cursor, record, ret);
	}
	raw_spin_lock_irqsave(&ring->lock, flags);
	if (ret > 0)
		achan_ring_retire(ring, &cursor);
	achan_ring_release(ring);
	due = achan_lane_due(lane, false) | ACHAN_DUE_APART;
	raw_spin_unlock_irqrestore(&ring->lock, flags);
	achan_lane_act(lane, due);
	return ret;
}

/**
 * achan_pull() - take a record that user space has written
 * @channel: the channel, whose provider has @written
 * @data:    where its payload goes; NULL drops the record
 * @size:    bytes there
 * @header:  filled in with its length, number and time, or NULL
 *
 * A message is one record. So is what a write() of PIPE_BUF bytes at the most puts
 * into a stream; a longer one is several. Writers who wait for room go on.
 *
 * Context: any but NMI, with locks held as for achan_push(). One call at a time.
 *
 * Return: bytes of payload; -EAGAIN if there is no record; -EMSGSIZE if @size is too
 * small, with the record left there and @header filled in; -EBUSY if another call is
 * under way; -ENODEV if the channel is being destroyed and all was pulled; -EINVAL.
 */
ssize_t achan_pull(struct achan *channel, void *data, u32 size,
		   struct achan_record *header)
{
	ssize_t ret;

	if (WARN_ON_ONCE(in_nmi()) || !channel->tx->puller)
		return -EINVAL;
	rcu_read_lock();
	ret = pull(channel->tx, data, size, header);
	rcu_read_unlock();
	return ret;
}
EXPORT_SYMBOL_NS_GPL(achan_pull, ACHAN_NAMESPACE);
