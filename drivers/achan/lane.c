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

/**
 * achan_lane_alloc() - make a lane
 * @ring_bytes: size of its ring
 *
 * The caller sets @reader and @writer before anybody can use it.
 *
 * Context: may sleep. Return: the lane or NULL.
 */
struct achan_lane *achan_lane_alloc(u32 ring_bytes)
{
	struct achan_lane *lane = kzalloc(sizeof(*lane), GFP_KERNEL_ACCOUNT);

	if (!lane)
		return NULL;
	if (achan_pages_alloc(&lane->pages, ring_bytes)) {
		kfree(lane);
		return NULL;
	}
	achan_ring_init(&lane->ring, lane->pages.data, ring_bytes);
	INIT_LIST_HEAD(&lane->parked_reads);
	INIT_LIST_HEAD(&lane->parked_writes);
	INIT_LIST_HEAD(&lane->finished);
	init_waitqueue_head(&lane->claim_wait);
	INIT_WORK(&lane->work, achan_park_work);
	return lane;
}

/**
 * achan_lane_free() - free a lane that nobody can reach any more
 * @lane: the lane
 *
 * Its work may still be on its way out: the last request it completed may have
 * held the last reference.
 *
 * Context: may sleep; not from @lane->work.
 */
void achan_lane_free(struct achan_lane *lane)
{
	cancel_work_sync(&lane->work);
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
	unsigned long flags;

	raw_spin_lock_irqsave(&lane->ring.lock, flags);
	WRITE_ONCE(lane->dead, true);
	raw_spin_unlock_irqrestore(&lane->ring.lock, flags);
	achan_park_end(lane, -ENODEV);
}

/* Context: ring.lock held. Parked reads come first. */
static bool readable(const struct achan_lane *lane)
{
	return list_empty(&lane->parked_reads) &&
	       achan_ring_readable(&lane->ring);
}

/* Context: ring.lock held. Parked writes come first. */
static bool room(const struct achan_lane *lane, u32 need)
{
	return list_empty(&lane->parked_writes) &&
	       achan_ring_free(&lane->ring) >= need;
}

/**
 * achan_lane_readable() - would a read return at once?
 * @lane: the lane
 *
 * Context: any. Return: true if there is a record that no parked read comes
 * before, or none will ever come.
 */
bool achan_lane_readable(struct achan_lane *lane)
{
	unsigned long flags;
	bool ret;

	raw_spin_lock_irqsave(&lane->ring.lock, flags);
	ret = readable(lane) || lane->dead;
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
 * Context: ring.lock held.
 */
void achan_lane_want_room(struct achan_lane *lane, u32 need)
{
	lane->room_wanted = min_not_zero(lane->room_wanted, need);
}

/**
 * achan_lane_room() - would a write return at once?
 * @lane: the lane
 * @need: bytes of ring that it takes
 *
 * If the answer is no, the caller will be woken when it may have changed.
 *
 * Context: any. Return: true if so many bytes are free and no parked write
 * comes first, or the lane is dead.
 */
bool achan_lane_room(struct achan_lane *lane, u32 need)
{
	unsigned long flags;
	bool ret;

	raw_spin_lock_irqsave(&lane->ring.lock, flags);
	ret = room(lane, need) || lane->dead;
	if (!ret)
		achan_lane_want_room(lane, need);
	raw_spin_unlock_irqrestore(&lane->ring.lock, flags);
	return ret;
}

/**
 * achan_lane_due() - what the state of a lane calls for
 * @lane:      the lane
 * @committed: a record may have become readable since readers were last told
 *
 * Context: ring.lock held. Return: ACHAN_DUE_*, for achan_lane_act().
 */
unsigned int achan_lane_due(struct achan_lane *lane, bool committed)
{
	unsigned int due = 0;

	if (achan_park_can_move(lane))
		due |= ACHAN_DUE_RUN;
	if (committed && readable(lane))
		due |= ACHAN_DUE_READ;
	if (lane->room_wanted && room(lane, lane->room_wanted)) {
		lane->room_wanted = 0;
		due |= ACHAN_DUE_WRITE;
	}
	return due;
}

/**
 * achan_lane_act() - do what is due
 * @lane: the lane
 * @due:  from achan_lane_due()
 *
 * Context: any but hard interrupts on PREEMPT_RT; no lock of ours held.
 */
void achan_lane_act(struct achan_lane *lane, unsigned int due)
{
	if (due & ACHAN_DUE_RUN)
		due |= achan_park_run(lane, due & ACHAN_DUE_READ);
	if (due & ACHAN_DUE_READ)
		achan_notify_read(lane->reader);
	if (due & ACHAN_DUE_WRITE)
		achan_notify_write(lane->writer);
}

/* Return: as achan_lane_claim(), or -EBUSY while somebody else has the claim. */
static int try_claim(struct achan_lane *lane, struct achan_cursor *cursor)
{
	unsigned long flags;
	int ret = 0;

	raw_spin_lock_irqsave(&lane->ring.lock, flags);
	if (!readable(lane))
		ret = lane->dead ? -ENODEV : -EAGAIN;
	else if (lane->ring.claimed)
		ret = -EBUSY;
	else
		achan_ring_claim(&lane->ring, cursor);
	raw_spin_unlock_irqrestore(&lane->ring.lock, flags);
	return ret;
}

/**
 * achan_lane_claim() - become the one consumer of a lane's ring
 * @lane:   the lane
 * @cursor: set to the oldest record
 *
 * Waits for another consumer to finish, which does not take long: it copies
 * with page faults off. That holds for a caller who must not block, too; the
 * alternative would be to say -EAGAIN while there are records, after which an
 * edge-triggered poller would wait for ever.
 *
 * Context: may sleep. Return: 0; -EAGAIN without a record, or while parked
 * reads come first; -ENODEV when none will ever come.
 */
int achan_lane_claim(struct achan_lane *lane, struct achan_cursor *cursor)
{
	bool waited = false;
	int ret;

	while ((ret = try_claim(lane, cursor)) == -EBUSY) {
		wait_event_idle_exclusive(lane->claim_wait,
					  !READ_ONCE(lane->ring.claimed));
		waited = true;
	}
	/*
	 * Being woken is a duty: one is woken for each claim that ends. Who
	 * makes no claim of it lets the next one look, who would sleep until
	 * somebody else's claim ends, and there may be none.
	 */
	if (ret && waited)
		achan_lane_released(lane);
	return ret;
}

/**
 * achan_lane_release() - end what achan_lane_claim() began
 * @lane:   the lane
 * @cursor: what was taken, or NULL for nothing
 *
 * Context: may sleep.
 */
void achan_lane_release(struct achan_lane *lane,
			const struct achan_cursor *cursor)
{
	unsigned long flags;
	unsigned int due;

	raw_spin_lock_irqsave(&lane->ring.lock, flags);
	if (cursor)
		achan_ring_retire(&lane->ring, cursor);
	achan_ring_release(&lane->ring);
	due = achan_lane_due(lane, false);
	raw_spin_unlock_irqrestore(&lane->ring.lock, flags);
	achan_lane_released(lane);
	achan_lane_act(lane, due);
}

/**
 * achan_lane_released() - let the next consumer have the claim
 * @lane: the lane, whose ring was released
 *
 * Context: any but hard interrupts on PREEMPT_RT; no lock of ours held.
 */
void achan_lane_released(struct achan_lane *lane)
{
	/* The barrier pairs with the one in wait_event_idle_exclusive(). */
	if (wq_has_sleeper(&lane->claim_wait))
		wake_up(&lane->claim_wait);
}
