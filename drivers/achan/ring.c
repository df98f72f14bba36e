// SPDX-License-Identifier: GPL-2.0-only
/*
 * achan: the record ring: reserve and commit, claim and retire.
 */
#include "ring.h"

static struct achan_record *ring_record(const struct achan_ring *ring,
					u32 position)
{
	return ring->data + (position & (ring->size - 1));
}

static u32 record_size(const struct achan_record *record)
{
	return ACHAN_RECORD_SIZE(record->length);
}

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
	record = ring_record(ring, ring->head);
	record->length = length;
	WRITE_ONCE(record->flags, ACHAN_RECORD_BUSY);
	record->sequence = ring->sequence++;
	record->timestamp = timestamp;
	/* Framed reads copy the padding: no byte of an older record in it. */
	memset(achan_record_payload(record) + length, 0,
	       size - sizeof(*record) - length);
	/* Pairs with achan_ring_next(): who sees the head sees BUSY. */
	smp_store_release(&ring->head, ring->head + size);
	if (ring->high_water < ring->head - ring->tail)
		ring->high_water = ring->head - ring->tail;
	return record;
}

/**
 * achan_ring_commit() - make a reserved record visible
 * @ring:   the ring
 * @record: from achan_ring_reserve(), filled; not to be touched afterwards
 *
 * It can be read as soon as all records reserved before it are committed too.
 *
 * Context: @ring->lock held.
 */
void achan_ring_commit(struct achan_ring *ring, struct achan_record *record)
{
	ring->bytes += record->length;
	ring->bytes_in += record->length;
	ring->records_in++;
	/* Pairs with achan_ring_next(): who sees no BUSY sees the payload. */
	smp_store_release(&record->flags, 0);
}

/* The record at the tail is never a discarded one while nobody has a claim. */
static void ring_skip_discarded(struct achan_ring *ring)
{
	while (ring->tail != ring->head) {
		struct achan_record *record = ring_record(ring, ring->tail);

		if (record->flags != ACHAN_RECORD_DISCARD)
			break;
		WRITE_ONCE(ring->tail, ring->tail + record_size(record));
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
	u32 size = record_size(record);

	if (record == ring_record(ring, ring->head - size) &&
	    record->sequence + 1 == ring->sequence) {
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
		ring_skip_discarded(ring);
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
		struct achan_record *record = ring_record(ring, ring->tail);

		if (ring->claimed || record->flags & ACHAN_RECORD_BUSY)
			return false;
		ring->bytes -= record->length - ring->offset;
		ring->offset = 0;
		ring->overwritten++;
		WRITE_ONCE(ring->tail, ring->tail + record_size(record));
		ring_skip_discarded(ring);
	}
	return true;
}

/**
 * achan_ring_readable() - is there a committed record?
 * @ring: the ring
 *
 * While a consumer holds the claim the answer may be one that it is about to
 * retire. A record that is discarded meanwhile stays at the tail until the
 * release, and is passed over here: it is nothing to read.
 *
 * Context: @ring->lock held.
 */
bool achan_ring_readable(const struct achan_ring *ring)
{
	u32 position = ring->tail;

	while (position != ring->head) {
		struct achan_record *record = ring_record(ring, position);

		if (record->flags & ACHAN_RECORD_BUSY)
			return false;
		if (!(record->flags & ACHAN_RECORD_DISCARD))
			return true;
		position += record_size(record);
	}
	return false;
}

/**
 * achan_ring_claim() - become the one consumer
 * @ring:   the ring; @ring->claimed is false
 * @cursor: set to the oldest record
 *
 * Between claim and release the records belong to the claimer, who reads them
 * without the lock. Nothing is taken until achan_ring_retire().
 *
 * Context: @ring->lock held.
 */
void achan_ring_claim(struct achan_ring *ring, struct achan_cursor *cursor)
{
	WRITE_ONCE(ring->claimed, true);
	cursor->position = ring->tail;
	cursor->offset = ring->offset;
	cursor->bytes = 0;
	cursor->records = 0;
}

/**
 * achan_ring_next() - the committed record at the cursor
 * @ring:   the ring, claimed by the caller
 * @cursor: moved over discarded records
 *
 * The head is read anew for every record, and never remembered: when the last
 * reservation is discarded the head moves back, and what lies between the new
 * head and the old one is no record. Seeing a record without BUSY (acquire)
 * implies seeing the head that its reservation wrote, or a newer one.
 *
 * Context: no lock needed. Return: the record, or NULL if there is none yet.
 */
struct achan_record *achan_ring_next(const struct achan_ring *ring,
				     struct achan_cursor *cursor)
{
	/* Pairs with achan_ring_reserve(). */
	while (cursor->position != smp_load_acquire(&ring->head)) {
		struct achan_record *record;
		u32 flags;

		record = ring_record(ring, cursor->position);
		/* Pairs with achan_ring_commit() and _discard(). */
		flags = smp_load_acquire(&record->flags);
		if (flags & ACHAN_RECORD_BUSY)
			break;
		if (!(flags & ACHAN_RECORD_DISCARD))
			return record;
		cursor->position += record_size(record);
	}
	return NULL;
}

/**
 * achan_ring_consume() - move the cursor over payload
 * @cursor: the cursor
 * @record: what achan_ring_next() returned for it
 * @bytes:  payload bytes taken; with the last one goes the record
 */
void achan_ring_consume(struct achan_cursor *cursor,
			const struct achan_record *record, u32 bytes)
{
	cursor->bytes += bytes;
	cursor->offset += bytes;
	if (cursor->offset == record->length) {
		cursor->position += record_size(record);
		cursor->offset = 0;
		cursor->records++;
	}
}

/**
 * achan_ring_retire() - free what the cursor has passed
 * @ring:   the ring, claimed by the caller, who keeps the claim
 * @cursor: what was taken; where it has not moved, nothing is
 *
 * Context: @ring->lock held.
 */
void achan_ring_retire(struct achan_ring *ring,
		       const struct achan_cursor *cursor)
{
	ring->bytes -= cursor->bytes;
	ring->bytes_out += cursor->bytes;
	ring->records_out += cursor->records;
	ring->offset = cursor->offset;
	WRITE_ONCE(ring->tail, cursor->position);
}

/**
 * achan_ring_release() - give the claim back
 * @ring: the ring, claimed by the caller
 *
 * Context: @ring->lock held.
 */
void achan_ring_release(struct achan_ring *ring)
{
	WRITE_ONCE(ring->claimed, false);
	ring_skip_discarded(ring);
}
