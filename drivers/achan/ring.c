// SPDX-License-Identifier: GPL-2.0-only
/*
 * achan: the record ring: reserve and commit, claim and retire.
 *
 * Memory ordering. Producers and consumers meet under the lock, but for the one
 * walk in achan_ring_next(), by whoever holds the claim, and for payload. What
 * makes these right without the lock:
 *
 *  - A record is looked at only below a head that was seen (acquire, from the
 *    release in reserve): its length, and BUSY, were stored before that head.
 *  - Payload is looked at only after flags without BUSY were seen (acquire, from
 *    the release in commit): it was stored before. The same release orders the
 *    length that a reservation has written anew at a place where the head had
 *    moved back; while it was not seen BUSY is, the older reservation's or this
 *    one's, and ends the walk.
 *  - A reservation overwrites only what was retired. The consumer looked at it
 *    before it took the lock to retire, the producer has seen the new tail under
 *    the lock: the lock orders them. So it does one claim after another.
 *
 * tests/unit/test_ring_schedules.c goes through all orders of these accesses,
 * stale loads too, in small scenes; tests/unit/test_ring_race.c runs them on real
 * processors.
 */
#include "ring.h"

/**
 * achan_ring_init() - make a ring of a piece of memory
 * @ring: the ring
 * @data: 2 * @size bytes of address space, the second half showing the same
 *	  memory as the first; zeroed; stays the caller's
 * @size: bytes of memory, a power of two
 */
void achan_ring_init(struct achan_ring *ring, void *data, u32 size)
{
	raw_spin_lock_init(&ring->lock);
	ring->data = data;
	ring->size = size;
	ring->head = 0;
	ring->last = 0;
	ring->tail = 0;
	ring->offset = 0;
	ring->claimed = false;
	ring->sequence = 0;
	ring->discarded = 0;
	ring->bytes = 0;
	ring->high_water = 0;
	ring->records_in = 0;
	ring->bytes_in = 0;
	ring->records_out = 0;
	ring->bytes_out = 0;
	ring->rejected = 0;
	ring->dropped = 0;
	ring->overwritten = 0;
}

/**
 * achan_ring_reserve() - take room for one record
 * @ring:      the ring
 * @length:    payload in bytes, achan_ring_record_max() at the most
 * @timestamp: what the record's header shall say
 *
 * The caller fills the payload outside of the lock and then hands the record
 * to achan_ring_commit() or achan_ring_discard(), soon: later records become
 * visible only after this one.
 *
 * Context: @ring->lock held. Return: the record, or NULL without room.
 */
struct achan_record *achan_ring_reserve(struct achan_ring *ring, u32 length,
					u64 timestamp)
{
	u32 size = ACHAN_RECORD_SIZE(length);
	struct achan_record *record;

	if (size > achan_ring_free(ring))
		return NULL;
	record = achan_ring_record(ring, ring->head);
	/* Framed reads copy the padding: no byte of an older record in it. */
	memset((void *)record + size - ACHAN_RECORD_ALIGN, 0,
	       ACHAN_RECORD_ALIGN);
	record->length = length;
	WRITE_ONCE(record->flags, ACHAN_RECORD_BUSY);
	record->sequence = ring->sequence++;
	record->timestamp = timestamp;
	ring->last = ring->head;
	/* Pairs with achan_ring_next(): who sees the head sees BUSY. */
	smp_store_release(&ring->head, ring->head + size);
	if (ring->high_water < ring->head - ring->tail)
		ring->high_water = ring->head - ring->tail;
	return record;
}

/* Context: @ring->lock held. Bytes of ring that the newest record grows by. */
static u32 growth(const struct achan_record *record, u32 length)
{
	return ACHAN_RECORD_SIZE(record->length + length) -
	       achan_record_size(record);
}

/**
 * achan_ring_extension() - where payload goes that is added to the newest record
 * @ring:   the ring
 * @length: bytes to be added, at least one
 * @most:   payload that the record may have then
 *
 * Nobody but the claimer looks at a record without the lock, and a record grows only
 * while nobody has the claim: so whoever looks at it sees it before or after. The
 * caller settles it by achan_ring_extend() in any case: the first bytes go into the
 * record's padding.
 *
 * Context: @ring->lock held. Return: where to, for @length bytes; NULL if the newest
 * record is not committed, has been taken or claimed, or would be too large.
 */
void *achan_ring_extension(const struct achan_ring *ring, u32 length, u32 most)
{
	struct achan_record *record = achan_ring_record(ring, ring->last);

	if (ring->claimed || ring->tail == ring->head ||
	    ring->last + achan_record_size(record) != ring->head ||
	    record->flags || record->length + length > most ||
	    growth(record, length) > achan_ring_free(ring))
		return NULL;
	return achan_record_payload(record) + record->length;
}

/**
 * achan_ring_extend() - add to the newest record what was written behind it
 * @ring:   the ring
 * @length: as it was asked of achan_ring_extension(), in the same section; 0 if the
 *	    bytes could not all be written, and the record stays as it was
 *
 * Context: @ring->lock held.
 */
void achan_ring_extend(struct achan_ring *ring, u32 length)
{
	struct achan_record *record = achan_ring_record(ring, ring->last);
	u32 bytes = growth(record, length);

	record->length += length;
	/* Framed reads copy the padding: no byte of an older record in it. */
	memset(achan_record_payload(record) + record->length, 0,
	       achan_record_size(record) - sizeof(*record) - record->length);
	ring->bytes += length;
	ring->bytes_in += length;
	/* Pairs with achan_ring_is_empty(), which is what looks without the lock. */
	smp_store_release(&ring->head, ring->head + bytes);
	if (ring->high_water < ring->head - ring->tail)
		ring->high_water = ring->head - ring->tail;
}

/**
 * achan_ring_clear() - throw away all records
 * @ring: the ring, in which nothing is reserved
 *
 * They are counted as discarded, each with the number that it has.
 *
 * Context: @ring->lock held, by one who knows that no claimer looks at a record any
 * more.
 */
void achan_ring_clear(struct achan_ring *ring)
{
	ring->discarded += ring->records_in - ring->records_out -
			   ring->overwritten;
	ring->bytes = 0;
	ring->offset = 0;
	WRITE_ONCE(ring->tail, ring->head);
}

/**
 * achan_ring_skip_discarded() - pass over what was given up at the tail
 * @ring: the ring
 *
 * The record at the tail is never a discarded one while nobody has a claim.
 *
 * Context: @ring->lock held.
 */
void achan_ring_skip_discarded(struct achan_ring *ring)
{
	while (ring->tail != ring->head) {
		struct achan_record *record =
			achan_ring_record(ring, ring->tail);

		if (record->flags != ACHAN_RECORD_DISCARD)
			break;
		WRITE_ONCE(ring->tail, ring->tail + achan_record_size(record));
	}
}

/**
 * achan_ring_discard() - give a reserved record up
 * @ring:   the ring
 * @record: from achan_ring_reserve(); not to be touched afterwards
 *
 * The last reservation leaves no trace. One with others behind it keeps its
 * place until a consumer has passed it, and its number shows as a gap.
 *
 * Context: @ring->lock held.
 */
void achan_ring_discard(struct achan_ring *ring, struct achan_record *record)
{
	u32 size = achan_record_size(record);

	if (record->sequence + 1 == ring->sequence) {
		/*
		 * A consumer may have seen the old head already. It finds
		 * BUSY here, which stays, and goes no further.
		 */
		ring->sequence--;
		/* Pairs with achan_ring_next(), as the reservation's does. */
		smp_store_release(&ring->head, ring->head - size);
		return;
	}
	ring->discarded++;
	/* Pairs with achan_ring_next(): it passes over a length that stays. */
	smp_store_release(&record->flags, ACHAN_RECORD_DISCARD);
	if (!ring->claimed)
		achan_ring_skip_discarded(ring);
}

/**
 * achan_ring_make_room() - give up the oldest records for a newer one
 * @ring:   the ring
 * @length: payload of the one that is to have room, achan_ring_record_max() at
 *	    the most
 *
 * What a consumer has claimed stays, since it reads without the lock; so does
 * everything from a reservation on that is not committed yet. Numbers of records
 * given up show as a gap, and @ring->overwritten counts them. Of a record that a
 * stream read has begun the rest goes.
 *
 * Context: @ring->lock held. Return: whether there is room now.
 */
bool achan_ring_make_room(struct achan_ring *ring, u32 length)
{
	u32 size = ACHAN_RECORD_SIZE(length);

	while (size > achan_ring_free(ring)) {
		struct achan_record *record =
			achan_ring_record(ring, ring->tail);

		if (ring->claimed || record->flags & ACHAN_RECORD_BUSY)
			return false;
		ring->bytes -= record->length - ring->offset;
		ring->offset = 0;
		ring->overwritten++;
		WRITE_ONCE(ring->tail, ring->tail + achan_record_size(record));
		achan_ring_skip_discarded(ring);
	}
	return true;
}

/**
 * achan_ring_readable_behind() - is there a committed record behind discarded ones?
 * @ring: the ring
 *
 * Context: @ring->lock held.
 */
bool achan_ring_readable_behind(const struct achan_ring *ring)
{
	u32 position = ring->tail;

	while (position != ring->head) {
		struct achan_record *record =
			achan_ring_record(ring, position);

		if (record->flags & ACHAN_RECORD_BUSY)
			return false;
		if (!(record->flags & ACHAN_RECORD_DISCARD))
			return true;
		position += achan_record_size(record);
	}
	return false;
}
