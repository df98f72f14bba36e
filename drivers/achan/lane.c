// SPDX-License-Identifier: GPL-2.0-only
/*
 * achan: a lane: one ring, and what a change to it calls for.
 *
 * Whoever changes a lane asks achan_lane_due() in the same section of the lock
 * what follows from it, and sees to that by achan_lane_act() without the lock.
 * So the common case, nobody parked, asleep or listening, costs a few tests.
 */
#include <linux/slab.h>

#include "achan.h"
#include "lane.h"
#include "trace.h"

static void do_deferred(struct irq_work *work);

/**
 * achan_lane_alloc() - make a lane
 * @ring_bytes: size of its ring
 * @policy:	how it behaves
 *
 * The caller sets @reader, @writer and @port before anybody can use it.
 *
 * Context: may sleep. Return: the lane or NULL.
 */
struct achan_lane *achan_lane_alloc(u32 ring_bytes,
				    const struct achan_policy *policy)
{
	struct achan_lane *lane = kzalloc(sizeof(*lane), GFP_KERNEL_ACCOUNT);

	if (!lane)
		return NULL;
	if (achan_pages_alloc(&lane->pages, ring_bytes)) {
		kfree(lane);
		return NULL;
	}
	achan_ring_init(&lane->ring, lane->pages.data, ring_bytes);
	lane->policy = *policy;
	INIT_LIST_HEAD(&lane->reads.requests);
	INIT_LIST_HEAD(&lane->writes.requests);
	INIT_LIST_HEAD(&lane->finished);
	init_waitqueue_head(&lane->claim_wait);
	init_irq_work(&lane->irq_work, do_deferred);
	INIT_WORK(&lane->work, achan_park_work);
	achan_moderate_init(lane);
	return lane;
}

static void set_dead(struct achan_lane *lane)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&lane->ring.lock, flags);
	WRITE_ONCE(lane->dead, true);
	raw_spin_unlock_irqrestore(&lane->ring.lock, flags);
}

/**
 * achan_lane_free() - free a lane that nobody can reach any more
 * @lane: the lane, or NULL
 *
 * Its work may still be on its way out: the last request it completed may have
 * held the last reference. The work arms the timer, the timer queues the irq_work,
 * and that queues the work. So the timer is forbidden first: achan_moderate_start()
 * does not start that of a dead lane. Behind that each of the three is cancelled
 * after those that could arm it.
 *
 * Context: may sleep; not from @lane->work.
 */
void achan_lane_free(struct achan_lane *lane)
{
	if (!lane)
		return;
	set_dead(lane);
	hrtimer_cancel(&lane->timer);
	irq_work_sync(&lane->irq_work);
	cancel_work_sync(&lane->work);
	achan_broadcast_free(lane);
	achan_park_free(lane);
	achan_pages_free(&lane->pages);
	kfree(lane);
}

/**
 * achan_lane_kill() - the channel goes: no record comes any more
 * @lane: the lane
 *
 * Parked requests end with -ENODEV, records already committed stay readable.
 * The caller wakes the sleepers.
 *
 * Context: any but hard interrupts on PREEMPT_RT.
 */
void achan_lane_kill(struct achan_lane *lane)
{
	set_dead(lane);
	achan_park_end(lane, &lane->reads, -ENODEV);
	achan_park_end(lane, &lane->writes, -ENODEV);
}

/* Context: ring.lock held. Parked writes come first. */
static bool room(const struct achan_lane *lane, u32 need)
{
	return achan_lane_may_pass(lane) &&
	       achan_lane_free_bytes(lane) >= need;
}

/**
 * achan_lane_readable() - would a read that may wait return at once?
 * @lane: the lane
 *
 * Context: any. Return: true if there are records that no parked read comes
 * before, enough of them, or none will come.
 */
bool achan_lane_readable(struct achan_lane *lane)
{
	unsigned long flags;
	bool ret;

	raw_spin_lock_irqsave(&lane->ring.lock, flags);
	ret = (achan_lane_has_record(lane) && achan_lane_at_mark(lane)) ||
	      achan_lane_at_end(lane) || lane->dead;
	raw_spin_unlock_irqrestore(&lane->ring.lock, flags);
	return ret;
}

/**
 * achan_lane_filled() - are there records for a read that may wait?
 * @lane: the lane
 *
 * Context: any. Return: as achan_lane_readable(), but false at the end of all records.
 */
bool achan_lane_filled(struct achan_lane *lane)
{
	unsigned long flags;
	bool ret;

	raw_spin_lock_irqsave(&lane->ring.lock, flags);
	ret = achan_lane_has_record(lane) && achan_lane_at_mark(lane);
	raw_spin_unlock_irqrestore(&lane->ring.lock, flags);
	return ret;
}

/**
 * achan_lane_want_room() - ask for a wake-up when there is room
 * @lane: the lane
 * @need: bytes of ring
 *
 * The least that anybody wants is what counts; who wants more asks again.
 *
 * Context: ring.lock held. Return: ACHAN_DUE_*: readers who wait for more than
 * there is have to know that no more comes.
 */
unsigned int achan_lane_want_room(struct achan_lane *lane, u32 need)
{
	bool first = !lane->room_wanted;

	need = max(need, lane->policy.write_low);
	lane->room_wanted = min_not_zero(lane->room_wanted, need);
	return first && lane->policy.read_low ? achan_lane_due(lane, true) : 0;
}

static bool look_for_room(struct achan_lane *lane, u32 need, bool or_error)
{
	unsigned int due = 0;
	unsigned long flags;
	bool ret;

	raw_spin_lock_irqsave(&lane->ring.lock, flags);
	ret = room(lane, max(need, lane->policy.write_low)) ||
	      (or_error && (lane->dead || lane->no_reader));
	if (!ret)
		due = achan_lane_want_room(lane, need);
	raw_spin_unlock_irqrestore(&lane->ring.lock, flags);
	achan_lane_act(lane, due);
	return ret;
}

/**
 * achan_lane_room() - would a write that may wait return at once?
 * @lane: the lane
 * @need: bytes of ring that it takes
 *
 * If the answer is no, the caller will be woken when it may have changed.
 *
 * Context: any but hard interrupts on PREEMPT_RT; no lock of ours held. Return:
 * true if so many bytes are free, and as many as the low-water mark asks for,
 * and no parked write comes first; or the write would be an error.
 */
bool achan_lane_room(struct achan_lane *lane, u32 need)
{
	return look_for_room(lane, need, true);
}

/**
 * achan_lane_open_room() - is there room, whether or not a write would be an error?
 * @lane: the lane
 * @need: bytes of ring
 *
 * Context and wake-up: as achan_lane_room().
 */
bool achan_lane_open_room(struct achan_lane *lane, u32 need)
{
	return look_for_room(lane, need, false);
}

/**
 * achan_lane_due_all() - achan_lane_due() where somebody may be parked, or waits
 * @lane:      the lane
 * @committed: see achan_lane_due()
 *
 * Context: ring.lock held. Return: ACHAN_DUE_*, for achan_lane_act().
 */
unsigned int achan_lane_due_all(struct achan_lane *lane, bool committed)
{
	unsigned int due = 0;

	if (achan_park_can_move(lane))
		due |= ACHAN_DUE_RUN;
	/* What is to be delivered is no reader's yet. */
	if (committed && achan_lane_has_record(lane) &&
	    achan_lane_at_mark(lane) && !lane->broadcast)
		due |= lane->policy.usecs ? achan_moderate(lane) :
					    ACHAN_DUE_READ;
	if (lane->room_wanted && room(lane, lane->room_wanted)) {
		lane->room_wanted = 0;
		due |= ACHAN_DUE_WRITE;
	}
	return due;
}

/*
 * Completions and wake-ups take locks that an NMI may have come upon, and that sleep
 * on PREEMPT_RT. Where lockdep looks for what would be wrong there, it is done as
 * there.
 */
static bool must_defer(void)
{
	bool as_realtime = IS_ENABLED(CONFIG_PREEMPT_RT) ||
			   IS_ENABLED(CONFIG_PROVE_RAW_LOCK_NESTING);

	return in_nmi() || (as_realtime && !preemptible());
}

/* The number of the next record, for a trace. */
static u64 traced_sequence(const struct achan_lane *lane)
{
	/* Others may push meanwhile: it is for information. */
	return data_race(lane->ring.sequence);
}

/* Context: any; no lock of ours held. A provider has no file to be woken. */
static void tell_reader(struct achan_lane *lane, bool apart)
{
	trace_achan_notify(achan_minor(lane->reader), ACHAN_DUE_READ,
			   traced_sequence(lane));
	if (lane->puller)
		achan_callback_ask(lane->puller, apart);
	else
		achan_notify_read(lane->port);
}

static void tell_writer(struct achan_lane *lane, bool apart)
{
	trace_achan_notify(achan_minor(lane->writer), ACHAN_DUE_WRITE,
			   traced_sequence(lane));
	if (lane->pusher)
		achan_callback_ask(lane->pusher, apart);
	else
		achan_broadcast_writers(lane->writer, achan_notify_write);
}

/* Context: any but where must_defer() says so; no lock of ours held. */
static void do_now(struct achan_lane *lane, unsigned int due)
{
	if (due & ACHAN_DUE_RUN)
		due |= achan_park_run(lane, due & ACHAN_DUE_READ);
	if (due & ACHAN_DUE_READ)
		tell_reader(lane, due & ACHAN_DUE_APART);
	if (due & ACHAN_DUE_WRITE)
		tell_writer(lane, due & ACHAN_DUE_APART);
	if (due & ACHAN_DUE_TIMER)
		achan_moderate_start(lane);
	if (due & ACHAN_DUE_LOSS) {
		achan_notify_loss(lane->port);
		achan_event_overflow(lane->reader);
	}
}

/* A hard interrupt that may do it all the same, on PREEMPT_RT a thread. */
static void do_deferred(struct irq_work *work)
{
	struct achan_lane *lane = container_of(work, struct achan_lane,
					       irq_work);

	do_now(lane, atomic_xchg(&lane->deferred, 0));
}

/**
 * achan_lane_do() - what is left of achan_lane_act() when there is something due
 * @lane: the lane
 * @due:  from achan_lane_due(), not 0
 *
 * Context: any; no lock of ours held.
 */
void achan_lane_do(struct achan_lane *lane, unsigned int due)
{
	if (!must_defer()) {
		do_now(lane, due);
		return;
	}
	atomic_or(due & ~ACHAN_DUE_APART, &lane->deferred);
	irq_work_queue(&lane->irq_work);
}

/**
 * achan_lane_touch() - look at a lane whose conditions have changed
 * @lane: the lane
 *
 * Context: any but hard interrupts on PREEMPT_RT; no lock of ours held.
 */
void achan_lane_touch(struct achan_lane *lane)
{
	unsigned long flags;
	unsigned int due;

	raw_spin_lock_irqsave(&lane->ring.lock, flags);
	due = achan_lane_due(lane, true);
	raw_spin_unlock_irqrestore(&lane->ring.lock, flags);
	achan_lane_act(lane, due);
}

/* Context: ring.lock held. */
static void count_lost(struct achan_lane *lane, unsigned int records)
{
	struct achan_ring *ring = &lane->ring;

	/* The numbers are spent: the reader sees the gap. */
	ring->sequence += records;
	if (lane->policy.overflow == ACHAN_OVERFLOW_REJECT)
		ring->rejected += records;
	else
		ring->dropped += records;
}

/**
 * achan_lane_count_missed() - count what was lost without the lock
 * @lane: the lane
 *
 * Context: ring.lock held.
 */
void achan_lane_count_missed(struct achan_lane *lane)
{
	if (atomic_read(&lane->missed))
		count_lost(lane, atomic_xchg(&lane->missed, 0));
}

/**
 * achan_lane_sequence() - the number of the next record
 * @lane: the lane
 *
 * What was lost without the lock is counted first, and has spent its numbers.
 *
 * Context: ring.lock held.
 */
u64 achan_lane_sequence(struct achan_lane *lane)
{
	achan_lane_count_missed(lane);
	return lane->ring.sequence;
}

/* Context: ring.lock held. Room for a record whose producer cannot wait. */
static struct achan_record *reserve_or_lose(struct achan_lane *lane, u32 length,
					    const u64 *given, unsigned int *due)
{
	struct achan_ring *ring = &lane->ring;
	u64 overwritten = ring->overwritten;
	struct achan_record *record;
	u64 timestamp;

	achan_lane_count_missed(lane);
	/* Under the lock, so that times ascend as numbers do. */
	timestamp = given && !lane->policy.no_timestamps ? *given :
		    achan_lane_time(lane);
	record = achan_ring_reserve(ring, length, timestamp);
	if (!record && lane->policy.overflow == ACHAN_OVERFLOW_OVERWRITE &&
	    achan_ring_make_room(ring, length))
		record = achan_ring_reserve(ring, length, timestamp);
	if (!record) {
		count_lost(lane, 1);
		if (lane->pusher)
			*due |= achan_lane_want_room(lane,
						     ACHAN_RECORD_SIZE(length));
	}
	if (!record || ring->overwritten != overwritten) {
		*due |= lane->overflowing ? 0 : ACHAN_DUE_LOSS;
		lane->overflowing = true;
	} else if (achan_ring_free(ring) >= ring->size / 2) {
		/* Not at each record that a slow reader takes. */
		lane->overflowing = false;
	}
	return record;
}

/**
 * achan_lane_reserve() - room for a record whose producer cannot wait
 * @lane:   the lane
 * @length: bytes of payload, at least one
 *
 * Context: any but NMI; no lock of ours held. Return: the record, for
 * achan_lane_finish(); NULL if it was lost, which is counted, or if it can never
 * fit, or if the lane is dead.
 */
struct achan_record *achan_lane_reserve(struct achan_lane *lane, u32 length)
{
	struct achan_record *record = NULL;
	unsigned int due = 0;
	unsigned long flags;

	if (length > achan_ring_record_max(&lane->ring))
		return NULL;
	raw_spin_lock_irqsave(&lane->ring.lock, flags);
	if (!lane->dead)
		record = reserve_or_lose(lane, length, NULL, &due);
	raw_spin_unlock_irqrestore(&lane->ring.lock, flags);
	if (record)
		trace_achan_reserve(lane->writer, record, length);
	achan_lane_act(lane, due | ACHAN_DUE_APART);
	return record;
}

/**
 * achan_lane_finish() - settle a record, and do what follows from it
 * @lane:   the lane
 * @record: from achan_lane_reserve(); not to be touched afterwards
 * @commit: or discard
 * @due:    ACHAN_DUE_* besides what follows from it
 *
 * Context: any but NMI; no lock of ours held.
 */
void achan_lane_finish(struct achan_lane *lane, struct achan_record *record,
		       bool commit, unsigned int due)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&lane->ring.lock, flags);
	due |= achan_lane_settle(lane, record, commit);
	raw_spin_unlock_irqrestore(&lane->ring.lock, flags);
	achan_lane_act(lane, due);
}

static int loss_error(const struct achan_lane *lane)
{
	return lane->policy.overflow == ACHAN_OVERFLOW_REJECT ? -ENOSPC : 0;
}

/* An NMI could not take the lock again once it had let it go. */
static bool copies_under_lock(u32 length)
{
	return length <= ACHAN_SHORT_BYTES || in_nmi();
}

/**
 * achan_lane_push() - put a record in for a producer who cannot wait
 * @lane:      the lane
 * @data:      its payload
 * @length:    bytes of it, at least one
 * @timestamp: what its header shall say, or NULL for the present time
 * @sequence:  its number, or NULL for the next one
 * @due:       ACHAN_DUE_* besides what follows from it
 *
 * Without room the lane's overflow policy says what is lost. The caller keeps
 * records of one lane in the order of their numbers, where it gives them.
 *
 * Context: any, NMI with @sequence NULL; no lock of ours held. Return: 0, also for
 * a record that was dropped; -ENOSPC if it was rejected; -EBUSY if it was lost in an
 * NMI; -EMSGSIZE if it can never fit; -ENODEV.
 */
int achan_lane_push(struct achan_lane *lane, const void *data, u32 length,
		    const u64 *timestamp, const u64 *sequence,
		    unsigned int due)
{
	struct achan_ring *ring = &lane->ring;
	struct achan_record *record;
	unsigned long flags;

	if (length > achan_ring_record_max(ring))
		return -EMSGSIZE;
	/*
	 * An NMI may have come upon the holder of the lock, on this processor, for whom
	 * it cannot wait. What is lost so is counted without the lock.
	 */
	if (!in_nmi()) {
		raw_spin_lock_irqsave(&ring->lock, flags);
	} else if (!raw_spin_trylock_irqsave(&ring->lock, flags)) {
		atomic_inc(&lane->missed);
		return -EBUSY;
	}
	if (lane->dead) {
		raw_spin_unlock_irqrestore(&ring->lock, flags);
		return -ENODEV;
	}
	if (sequence)
		ring->sequence = *sequence;
	record = reserve_or_lose(lane, length, timestamp, &due);
	if (record) {
		trace_achan_reserve(lane->writer, record, length);
		if (copies_under_lock(length)) {
			memcpy(achan_record_payload(record), data, length);
		} else {
			raw_spin_unlock_irqrestore(&ring->lock, flags);
			memcpy(achan_record_payload(record), data, length);
			raw_spin_lock_irqsave(&ring->lock, flags);
		}
		due |= achan_lane_settle(lane, record, true);
	} else {
		due |= achan_lane_due(lane, true);
	}
	raw_spin_unlock_irqrestore(&ring->lock, flags);
	achan_lane_act(lane, due);
	return record ? 0 : loss_error(lane);
}

/**
 * achan_lane_released() - let the next consumer have the claim
 * @lane: the lane, whose ring was released
 *
 * Context: any but hard interrupts on PREEMPT_RT; no lock of ours held.
 */
void achan_lane_released(struct achan_lane *lane)
{
	/* The barrier pairs with the one in prepare_to_wait_event(). */
	if (wq_has_sleeper(&lane->claim_wait))
		wake_up(&lane->claim_wait);
}
