// SPDX-License-Identifier: GPL-2.0-only
/*
 * achan: what one read takes out of a ring, and what one write puts in.
 *
 * All copies run with page faults off, since they run while the consumer's
 * claim or a reservation is held: a fault that user space can delay must not
 * hold up others. Whoever calls gives the claim back when a copy falls short,
 * makes the buffer present, and tries again.
 */
#include <linux/fault-inject-usercopy.h>
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/uaccess.h>

#include "achan.h"
#include "lane.h"
#include "trace.h"
#include "words.h"

/*
 * Pinned pages do not fault. They are filled in interrupts too, where the count of
 * those who disabled faults is of whatever task was interrupted: it is left alone.
 *
 * The functions with a dash before their name do not look up what the bytes are of,
 * where user copies are hardened: that takes a lock which interrupts must not take, and
 * with faults off it says nothing of a ring.
 *
 * @bytes:  at least one: behind its last byte an iterator has no segment to look at.
 * @locked: the ring's lock is held, and achan_is_for_words() says yes.
 */
static __always_inline size_t copy_out(const void *data, size_t bytes,
				       struct iov_iter *to, bool locked)
{
	size_t copied = 0;

	if (!user_backed_iter(to))
		return _copy_to_iter(data, bytes, to);
	pagefault_disable();
	if (!achan_is_for_words(to, bytes)) {
		copied = _copy_to_iter(data, bytes, to);
	} else if ((locked || !should_fail_usercopy()) &&
		   achan_words_out(data, iter_iov_addr(to), bytes)) {
		copied = bytes;
		achan_pass_over(to, copied);
	}
	pagefault_enable();
	return copied;
}

/* Moves the cursor over @bytes that have been copied. */
static __always_inline void consume(struct achan_lane *lane,
				    struct achan_cursor *cursor,
				    struct achan_record *record, u32 bytes)
{
	trace_achan_consume(lane->reader, record, bytes);
	achan_ring_consume(cursor, record, bytes);
}

/* User memory that is not present can be made so; nothing else falls short. */
static ssize_t fell_short(struct iov_iter *to, size_t copied)
{
	iov_iter_revert(to, copied);
	return -EFAULT;
}

static __always_inline ssize_t take_message(struct achan_lane *lane,
					    struct achan_cursor *cursor,
					    struct iov_iter *to, size_t *want,
					    bool locked)
{
	struct achan_record *record = achan_ring_next(&lane->ring, cursor);
	size_t copied;

	if (!record)
		return -EAGAIN;
	*want = record->length;
	if (record->length > iov_iter_count(to))
		return -EMSGSIZE;
	copied = copy_out(achan_record_payload(record), record->length, to,
			  locked);
	if (copied < record->length)
		return fell_short(to, copied);
	consume(lane, cursor, record, record->length);
	return copied;
}

static __always_inline ssize_t take_stream(struct achan_lane *lane,
					   struct achan_cursor *cursor,
					   struct iov_iter *to, size_t *want,
					   bool locked)
{
	size_t count = iov_iter_count(to), taken = 0;
	struct achan_record *record;

	while (iov_iter_count(to) &&
	       (record = achan_ring_next(&lane->ring, cursor))) {
		size_t bytes = min_t(size_t, iov_iter_count(to),
				     record->length - cursor->offset);
		size_t copied;

		copied = copy_out(achan_record_payload(record) + cursor->offset,
				  bytes, to, locked);
		if (copied < bytes) {
			/* All that there may be for it, not a page a time. */
			*want = min_t(size_t, count, taken + lane->ring.size);
			return fell_short(to, taken + copied);
		}
		consume(lane, cursor, record, copied);
		taken += copied;
	}
	return taken ?: -EAGAIN;
}

/* A record whose beginning went to a stream read: the rest of it as a frame. */
static ssize_t take_continued(struct achan_lane *lane,
			      struct achan_cursor *cursor,
			      struct achan_record *record, struct iov_iter *to,
			      size_t *want, bool locked)
{
	static const u8 zeroes[ACHAN_RECORD_ALIGN];
	struct achan_record header = *record;
	size_t copied, bytes, padding;

	header.length -= cursor->offset;
	header.flags = ACHAN_RECORD_CONTINUED;
	bytes = ACHAN_RECORD_SIZE(header.length);
	padding = bytes - sizeof(header) - header.length;
	*want = bytes;
	if (bytes > iov_iter_count(to))
		return -EMSGSIZE;
	copied = copy_out(&header, sizeof(header), to, locked);
	copied += copy_out(achan_record_payload(record) + cursor->offset,
			   header.length, to, locked);
	if (padding)
		copied += copy_out(zeroes, padding, to, locked);
	if (copied < bytes)
		return fell_short(to, copied);
	consume(lane, cursor, record, header.length);
	return bytes;
}

static void trace_run(const struct achan_lane *lane, const void *data,
		      size_t bytes)
{
	const void *end = data + bytes;
	const struct achan_record *record;

	for (; data < end; data += ACHAN_RECORD_SIZE(record->length)) {
		record = data;
		trace_achan_consume(lane->reader, record, record->length);
	}
}

/* Records one after the other in the ring are one copy. */
static ssize_t take_run(struct achan_lane *lane, struct achan_cursor *cursor,
			struct achan_record *record, struct iov_iter *to,
			size_t *want, bool locked)
{
	struct achan_cursor end = *cursor;
	const void *data = record;
	size_t copied, bytes = 0;

	/* A position that is further on lies behind a discarded record. */
	while (record && end.position == cursor->position + (u32)bytes) {
		size_t size = ACHAN_RECORD_SIZE(record->length);

		if (bytes + size > iov_iter_count(to))
			break;
		bytes += size;
		achan_ring_consume(&end, record, record->length);
		record = achan_ring_next(&lane->ring, &end);
	}
	*want = bytes;
	if (!bytes)
		return -EMSGSIZE;
	copied = copy_out(data, bytes, to, locked);
	if (copied < bytes)
		return fell_short(to, copied);
	if (trace_achan_consume_enabled())
		trace_run(lane, data, bytes);
	*cursor = end;
	return bytes;
}

static noinline ssize_t take_frames(struct achan_lane *lane,
				    struct achan_cursor *cursor,
				    struct iov_iter *to, size_t *want,
				    bool locked)
{
	struct achan_record *record;
	ssize_t ret = -EAGAIN;
	size_t taken = 0;

	while ((record = achan_ring_next(&lane->ring, cursor))) {
		if (cursor->offset)
			ret = take_continued(lane, cursor, record, to, want,
					     locked);
		else
			ret = take_run(lane, cursor, record, to, want, locked);
		if (ret < 0)
			break;
		taken += ret;
	}
	return taken ?: ret;
}

static __always_inline ssize_t take(struct achan_lane *lane,
				    struct achan_cursor *cursor,
				    struct iov_iter *to, bool framed,
				    size_t *want, bool locked)
{
	if (framed)
		return take_frames(lane, cursor, to, want, locked);
	if (lane->reader->mode == ACHAN_MODE_MESSAGE)
		return take_message(lane, cursor, to, want, locked);
	return take_stream(lane, cursor, to, want, locked);
}

/**
 * achan_take() - copy out what one read call gets
 * @lane:   the lane, its ring claimed by the caller
 * @cursor: from achan_ring_claim(); moved over what was copied for certain
 * @to:	    where to; advanced by what is returned, untouched on an error
 * @framed: whole records with their headers
 * @want:   on -EFAULT and -EMSGSIZE: bytes of @to that it takes
 *
 * Context: any; does not fault user pages in, and does not sleep for them.
 * Return: bytes put into @to; -EAGAIN without a record; -EMSGSIZE if @to is
 * too small for the first one; -EFAULT if its memory is not present. On an
 * error @cursor must not be retired.
 */
ssize_t achan_take(struct achan_lane *lane, struct achan_cursor *cursor,
		   struct iov_iter *to, bool framed, size_t *want)
{
	return take(lane, cursor, to, framed, want, false);
}

/**
 * achan_chunk() - how much of a write goes into the next record
 * @lane:  the lane written to
 * @total: bytes of the whole write
 * @left:  bytes of it that are not in the ring yet, at least one
 * @need:  set to the bytes of ring to wait for when there is no room
 *
 * A message is one record; so is a stream write of PIPE_BUF bytes at the most,
 * which makes it atomic. A larger one is split so that a reader can start on
 * its beginning. It takes what room there is, but who waits for room, waits
 * for some that is worth a record.
 *
 * Context: @lane->ring.lock held. Return: payload bytes, 0 if there is no room.
 */
u32 achan_chunk(const struct achan_lane *lane, size_t total, size_t left,
		u32 *need)
{
	const struct achan_ring *ring = &lane->ring;
	u32 room = achan_lane_free_bytes(lane);

	if (lane->writer->mode == ACHAN_MODE_MESSAGE || total <= PIPE_BUF) {
		*need = ACHAN_RECORD_SIZE(left);
		return *need <= room ? left : 0;
	}
	*need = ACHAN_RECORD_SIZE(min_t(size_t, left, PIPE_BUF));
	if (room <= sizeof(struct achan_record))
		return 0;
	room -= sizeof(struct achan_record);
	return min3(left, (size_t)room,
		    (size_t)max_t(u32, PIPE_BUF, ring->size / 4));
}

/* Context: ring.lock held. Where @length bytes go that are added to a record. */
static void *extension(const struct achan_lane *lane, size_t length)
{
	if (!lane->merges || lane->ring.bytes + length > lane->capacity)
		return NULL;
	return achan_ring_extension(&lane->ring, length, PIPE_BUF);
}

/*
 * Context: ring.lock held. Return: where a short write goes, or NULL if there is no
 * room. @record: set to the record that is reserved for it, or to NULL if it is to be
 * added to the newest one.
 */
static __always_inline void *place_short(struct achan_lane *lane, size_t length,
					 struct achan_record **record)
{
	void *to = unlikely(lane->capacity) ? extension(lane, length) : NULL;

	*record = NULL;
	if (to)
		return to;
	if (ACHAN_RECORD_SIZE(length) > achan_lane_free_bytes(lane))
		return NULL;
	*record = achan_ring_reserve(&lane->ring, length,
				     achan_lane_time(lane));
	trace_achan_reserve(lane->writer, *record, length);
	return achan_record_payload(*record);
}

/*
 * Context: the section of ring.lock in which place_short() gave @record. @present: the
 * bytes are where they go. Return: ACHAN_DUE_*.
 */
static __always_inline unsigned int settle_short(struct achan_lane *lane,
						 struct achan_record *record,
						 size_t length, bool present)
{
	if (record)
		return achan_lane_settle(lane, record, present);
	achan_ring_extend(&lane->ring, present ? length : 0);
	return present ? achan_lane_due(lane, true) : 0;
}

/**
 * achan_put_short() - put a short record in
 * @lane: the lane written to
 * @from: its payload; advanced if it is put in
 *
 * Context: any; does not fault user pages in. Return: false if that takes achan_put(),
 * which says why: there is no room, it is not present, or not wanted.
 */
bool achan_put_short(struct achan_lane *lane, struct iov_iter *from)
{
	struct achan_ring *ring = &lane->ring;
	size_t length = iov_iter_count(from);
	struct achan_record *record;
	unsigned int due;
	unsigned long flags;
	bool present;
	void *to;

	/* To be asked before the lock is taken, since it takes others. */
	if (!achan_is_for_words(from, length) || should_fail_usercopy())
		return false;
	raw_spin_lock_irqsave(&ring->lock, flags);
	if (lane->dead || lane->no_reader || lane->writes.nr) {
		raw_spin_unlock_irqrestore(&ring->lock, flags);
		return false;
	}
	to = place_short(lane, length, &record);
	if (!to) {
		raw_spin_unlock_irqrestore(&ring->lock, flags);
		return false;
	}
	pagefault_disable();
	present = achan_words_in(to, iter_iov_addr(from), length);
	pagefault_enable();
	due = settle_short(lane, record, length, present);
	raw_spin_unlock_irqrestore(&ring->lock, flags);
	achan_lane_act(lane, due);
	if (present)
		achan_pass_over(from, length);
	return present;
}

/* Context: ring.lock held. A write that has not parked has put @length bytes in. */
static void count_passed(struct achan_lane *lane, size_t length)
{
	if (lane->writes.nr)
		lane->passed += ACHAN_RECORD_SIZE(length);
}

/* Context: ring.lock held. Return: 0, or why nothing can be written. */
static int may_put(const struct achan_lane *lane)
{
	return lane->dead ? -ENODEV : lane->no_reader ? -EPIPE : 0;
}

/*
 * A short write of which achan_put_short() could not copy the bytes, in a lane that
 * adds it to the newest record: that is done under the lock, after the bytes were
 * copied here. Return: as achan_put().
 */
static noinline ssize_t put_copied(struct achan_lane *lane,
				   struct iov_iter *from, u32 *need)
{
	size_t length = iov_iter_count(from), copied;
	struct achan_record *record;
	u8 bytes[ACHAN_SHORT_BYTES];
	unsigned long flags;
	unsigned int due;
	ssize_t ret;
	void *to;

	pagefault_disable();
	copied = _copy_from_iter(bytes, length, from);
	pagefault_enable();
	if (copied < length)
		return copied;
	*need = ACHAN_RECORD_SIZE(length);
	raw_spin_lock_irqsave(&lane->ring.lock, flags);
	ret = may_put(lane);
	to = ret || !achan_lane_may_pass(lane) ?
	     NULL : place_short(lane, length, &record);
	if (to) {
		memcpy(to, bytes, length);
		count_passed(lane, length);
		due = settle_short(lane, record, length, true);
		ret = length;
	} else if (!ret) {
		due = achan_lane_want_room(lane, *need);
		ret = -EAGAIN;
	} else {
		due = 0;
	}
	raw_spin_unlock_irqrestore(&lane->ring.lock, flags);
	achan_lane_act(lane, due);
	if (ret < 0)
		iov_iter_revert(from, copied);
	return ret;
}

/**
 * achan_put() - put the next record of a write in
 * @lane:   the lane written to
 * @from:   what is not in the ring yet; advanced by what is returned
 * @total:  bytes of the whole write
 * @length: set to the payload of the record; it is not there if fewer are returned
 * @need:   set to the bytes of ring that it takes, or that are to be waited for
 *
 * Context: any but hard interrupts on PREEMPT_RT; does not fault user pages in. Return:
 * bytes copied; -EAGAIN without room, with somebody to be told of it; -EPIPE, -ENODEV.
 */
ssize_t achan_put(struct achan_lane *lane, struct iov_iter *from, size_t total,
		  u32 *length, u32 *need)
{
	struct achan_ring *ring = &lane->ring;
	struct achan_record *record = NULL;
	unsigned int due = 0;
	unsigned long flags;
	size_t copied;
	int ret;

	if (lane->merges && total <= ACHAN_SHORT_BYTES) {
		*length = total;
		return put_copied(lane, from, need);
	}
	raw_spin_lock_irqsave(&ring->lock, flags);
	ret = may_put(lane);
	if (ret) {
		raw_spin_unlock_irqrestore(&ring->lock, flags);
		return ret;
	}
	*length = achan_chunk(lane, total, iov_iter_count(from), need);
	if (*length && achan_lane_may_pass(lane))
		record = achan_ring_reserve(ring, *length,
					    achan_lane_time(lane));
	if (record)
		count_passed(lane, *length);
	else
		due = achan_lane_want_room(lane, *need);
	raw_spin_unlock_irqrestore(&ring->lock, flags);
	if (!record) {
		achan_lane_act(lane, due);
		return -EAGAIN;
	}
	trace_achan_reserve(lane->writer, record, *length);
	pagefault_disable();
	copied = _copy_from_iter(achan_record_payload(record), *length, from);
	pagefault_enable();
	achan_lane_finish(lane, record, copied == *length, 0);
	return copied;
}

/*
 * Context: ring.lock held. Return: 0 if there is something for a read, an error of
 * achan_read(), or -EBUSY while somebody has the claim.
 */
static int may_take(const struct achan_lane *lane, enum achan_wait wait)
{
	if (!achan_lane_has_record(lane))
		return lane->dead ? -ENODEV :
		       achan_lane_at_end(lane) ? -EPIPE : -EAGAIN;
	if (wait != ACHAN_WAIT_NOT && !achan_lane_at_mark(lane))
		return -EAGAIN;
	return lane->ring.claimed ? -EBUSY : 0;
}

static __always_inline size_t take_max(const struct achan_lane *lane,
				       struct achan_cursor *cursor,
				       const struct iov_iter *to, bool framed)
{
	const struct achan_ring *ring = &lane->ring;
	const struct achan_record *record;

	if (lane->reader->mode != ACHAN_MODE_MESSAGE || framed)
		return min_t(size_t, iov_iter_count(to),
			     ring->head - ring->tail);
	record = achan_ring_next(ring, cursor);
	return record ? record->length : 0;
}

/**
 * achan_take_max() - what achan_take() copies at the most
 * @lane:   the lane
 * @cursor: from achan_ring_begin(); moved over discarded records
 * @to:	    where to
 * @framed: whole records with their headers
 *
 * Context: ring.lock held. Return: bytes.
 */
size_t achan_take_max(const struct achan_lane *lane,
		      struct achan_cursor *cursor, const struct iov_iter *to,
		      bool framed)
{
	return take_max(lane, cursor, to, framed);
}

/* Context: ring.lock held, @cursor at a record. May be copied with it held? */
static bool is_short(const struct achan_lane *lane,
		     struct achan_cursor *cursor, const struct iov_iter *to,
		     bool framed)
{
	size_t bytes = iov_iter_count(to);

	if (bytes > ACHAN_SHORT_BYTES)
		bytes = take_max(lane, cursor, to, framed);
	return achan_is_for_words(to, bytes);
}

/*
 * Takes what is short at once. Return: as achan_read(); -EBUSY while somebody has
 * the claim; -EINPROGRESS if the caller has it now, for more.
 */
static ssize_t take_or_claim(struct achan_lane *lane,
			     struct achan_cursor *cursor, struct iov_iter *to,
			     bool framed, enum achan_wait wait, size_t *want)
{
	struct achan_ring *ring = &lane->ring;
	unsigned int due = 0;
	unsigned long flags;
	ssize_t ret;

	raw_spin_lock_irqsave(&ring->lock, flags);
	ret = may_take(lane, wait);
	if (!ret) {
		achan_ring_begin(ring, cursor);
		if (is_short(lane, cursor, to, framed)) {
			ret = take(lane, cursor, to, framed, want, true);
			if (ret >= 0)
				achan_ring_retire(ring, cursor);
			achan_ring_release(ring);
			due = achan_lane_due(lane, false);
		} else {
			achan_ring_claim(ring, cursor);
			ret = -EINPROGRESS;
		}
	}
	raw_spin_unlock_irqrestore(&ring->lock, flags);
	achan_lane_act(lane, due);
	return ret;
}

/* Ends a claim. @cursor: what was taken, or NULL for nothing. */
static void release(struct achan_lane *lane, const struct achan_cursor *cursor)
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

/*
 * Waits until the consumer that has the claim releases it. That one copies with page
 * faults off, and may be preempted meanwhile. Only a fatal signal ends the wait of a
 * caller that may not sleep: io_uring makes other signals pending for its own use.
 */
static int wait_for_claim(struct achan_lane *lane, enum achan_wait wait)
{
	if (wait == ACHAN_WAIT_ASLEEP)
		return wait_event_interruptible_exclusive(lane->claim_wait,
						!READ_ONCE(lane->ring.claimed));
	return wait_event_killable_exclusive(lane->claim_wait,
					     !READ_ONCE(lane->ring.claimed));
}

/**
 * achan_read() - take what one read call gets
 * @lane:   the lane
 * @to:	    where to; see achan_take()
 * @framed: whole records with their headers
 * @wait:   what the caller may do for want of records: one that waits, waits for as
 *	    many as the low-water mark says
 * @want:   see achan_take()
 *
 * Where another consumer has the claim, this waits for its release, also for a
 * caller that must not block: to such a caller -EAGAIN would say that there is no
 * record, and an edge-triggered poller would then wait for ever.
 *
 * Context: may sleep. Return: bytes; -EAGAIN without a record, or while parked
 * reads come first; -EPIPE when there is no writer; -ENODEV when none will ever
 * come; -ERESTARTSYS for a signal; an error of achan_take().
 */
ssize_t achan_read(struct achan_lane *lane, struct iov_iter *to, bool framed,
		   enum achan_wait wait, size_t *want)
{
	struct achan_cursor cursor;
	bool waited = false;
	ssize_t ret;

	/* As if a copy fell short; within the ring's lock it cannot be asked. */
	if (user_backed_iter(to) && should_fail_usercopy()) {
		*want = min_t(size_t, iov_iter_count(to), lane->ring.size);
		return -EFAULT;
	}
	while ((ret = take_or_claim(lane, &cursor, to, framed, wait,
				    want)) == -EBUSY) {
		waited = true;
		ret = wait_for_claim(lane, wait);
		if (ret)
			break;
	}
	if (ret == -EINPROGRESS) {
		ret = achan_take(lane, &cursor, to, framed, want);
		release(lane, ret < 0 ? NULL : &cursor);
	} else if (waited) {
		/*
		 * A wake-up is a duty: each release wakes one reader. A reader that
		 * makes no claim of it, or that a signal ends, wakes the next one,
		 * which would otherwise sleep until some later release, and there
		 * may be none.
		 */
		achan_lane_released(lane);
	}
	return ret;
}
