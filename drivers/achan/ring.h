/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * achan: the record ring.
 *
 * A ring knows no file, no task and no device. It compiles in user space too,
 * where the unit tests run it against a model and under race detectors.
 *
 *	     tail			     head
 *	      |				      |
 *   ---------+--------+--------+------+------+---------------
 *	free  | record | record | BUSY | BUSY |  free
 *   ---------+--------+--------+------+------+---------------
 *	       ^claimed by the one	^reserved by producers,
 *		consumer, then retired	 who fill them at the same time
 *					 and commit in any order
 *
 * The data area is mapped twice in a row, so that every record is contiguous
 * in virtual memory wherever it starts. Positions run freely and are masked
 * when they are used. The layout is the one that a framed read returns: whole
 * runs of records are copied out at once.
 *
 * Locking: @lock guards every field. Most sections under it take constant time.
 * Two do not: achan_ring_skip_discarded() takes a step per record that was discarded
 * behind a claim, and achan_ring_make_room() takes a step per record that it gives
 * up, which can be as many as the ring holds. Payload is copied outside of the lock,
 * into a reserved record or out of a claimed one; only short payload is copied with
 * the lock held, where letting the lock go would take longer. A function's "Context"
 * says whether the caller holds the lock.
 */
#ifndef _ACHAN_RING_H
#define _ACHAN_RING_H

#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/types.h>
#include <uapi/linux/achan.h>

/* An atomic stream write of PIPE_BUF bytes, with its header, must fit. */
#define ACHAN_RING_BYTES_MIN	8192U
#define ACHAN_RING_BYTES_MAX	(64U << 20)

/**
 * struct achan_ring - a bounded queue of records
 * @lock:      guards all that follows
 * @data:      the records; @size bytes, mapped twice in a row
 * @size:      a power of two
 * @head:      where the next record will be reserved
 * @last:      where the newest record was reserved
 * @tail:      the oldest record that is not retired
 * @offset:    payload bytes of that record which a stream read already took
 * @claimed:   a consumer is at work between @tail and @head
 * @sequence:  number of the next record
 * @discarded: records given up after they had got their number
 * @bytes:     payload committed and not yet retired
 * @high_water: the most bytes of ring that were ever taken
 * @records_in: see struct achan_stats; so all that follow
 * @bytes_in:	...
 * @records_out: ...
 * @bytes_out:	...
 * @rejected:	...
 * @dropped:	...
 * @overwritten: ...
 */
struct achan_ring {
	raw_spinlock_t lock;
	void *data;
	u32 size;
	u32 head;
	u32 last;
	u32 tail;
	u32 offset;
	bool claimed;
	u64 sequence;
	u64 discarded;
	u64 bytes;
	u32 high_water;
	u64 records_in;
	u64 bytes_in;
	u64 records_out;
	u64 bytes_out;
	u64 rejected;
	u64 dropped;
	u64 overwritten;
};

/**
 * struct achan_cursor - how far a consumer that holds the claim has got
 * @position: the record it is at
 * @offset:   payload bytes of that record it has taken
 * @bytes:    payload bytes it has taken in all
 * @records:  records it has taken, each counted with its last byte
 */
struct achan_cursor {
	u32 position;
	u32 offset;
	u64 bytes;
	u64 records;
};

void achan_ring_init(struct achan_ring *ring, void *data, u32 size);

struct achan_record *achan_ring_reserve(struct achan_ring *ring, u32 length,
					u64 timestamp);
void achan_ring_discard(struct achan_ring *ring, struct achan_record *record);
bool achan_ring_make_room(struct achan_ring *ring, u32 length);

void *achan_ring_extension(const struct achan_ring *ring, u32 length,
			   u32 most);
void achan_ring_extend(struct achan_ring *ring, u32 length);
void achan_ring_clear(struct achan_ring *ring);

bool achan_ring_readable_behind(const struct achan_ring *ring);
void achan_ring_skip_discarded(struct achan_ring *ring);

/* Largest payload that a ring of @size bytes can ever hold in one record. */
static inline u32 achan_ring_record_max(const struct achan_ring *ring)
{
	return ring->size - sizeof(struct achan_record);
}

/* Bytes free, headers and padding to be taken from them. Context: @lock. */
static inline u32 achan_ring_free(const struct achan_ring *ring)
{
	return ring->size - (ring->head - ring->tail);
}

static inline void *achan_record_payload(struct achan_record *record)
{
	return record + 1;
}

static inline struct achan_record *
achan_ring_record(const struct achan_ring *ring, u32 position)
{
	return ring->data + (position & (ring->size - 1));
}

static inline u32 achan_record_size(const struct achan_record *record)
{
	return ACHAN_RECORD_SIZE(record->length);
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
static inline void achan_ring_commit(struct achan_ring *ring,
				     struct achan_record *record)
{
	ring->bytes += record->length;
	ring->bytes_in += record->length;
	ring->records_in++;
	/* Pairs with achan_ring_next(): who sees no BUSY sees the payload. */
	smp_store_release(&record->flags, 0);
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
static inline bool achan_ring_readable(const struct achan_ring *ring)
{
	if (ring->tail == ring->head)
		return false;
	return !achan_ring_record(ring, ring->tail)->flags ||
	       achan_ring_readable_behind(ring);
}

/**
 * achan_ring_is_empty() - was there no record, not even a reserved one?
 * @ring: the ring
 *
 * The tail never passes the head: if it was, once, where the head is now, it still is.
 *
 * Context: no lock needed.
 */
static inline bool achan_ring_is_empty(const struct achan_ring *ring)
{
	/* Before the head is. */
	u32 tail = smp_load_acquire(&ring->tail);

	return tail == READ_ONCE(ring->head);
}

/**
 * achan_ring_begin() - start at the oldest record
 * @ring:   the ring
 * @cursor: set to it
 *
 * For a look at what there is, or for one who takes it before letting go of the lock:
 * where nobody has the claim, that needs none.
 *
 * Context: @ring->lock held.
 */
static inline void achan_ring_begin(const struct achan_ring *ring,
				    struct achan_cursor *cursor)
{
	cursor->position = ring->tail;
	cursor->offset = ring->offset;
	cursor->bytes = 0;
	cursor->records = 0;
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
static inline void achan_ring_claim(struct achan_ring *ring,
				    struct achan_cursor *cursor)
{
	WRITE_ONCE(ring->claimed, true);
	achan_ring_begin(ring, cursor);
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
static inline struct achan_record *
achan_ring_next(const struct achan_ring *ring, struct achan_cursor *cursor)
{
	/* Pairs with achan_ring_reserve(). */
	while (cursor->position != smp_load_acquire(&ring->head)) {
		struct achan_record *record;
		u32 flags;

		record = achan_ring_record(ring, cursor->position);
		/* Pairs with achan_ring_commit() and _discard(). */
		flags = smp_load_acquire(&record->flags);
		if (flags & ACHAN_RECORD_BUSY)
			break;
		if (!(flags & ACHAN_RECORD_DISCARD))
			return record;
		cursor->position += achan_record_size(record);
	}
	return NULL;
}

/**
 * achan_ring_consume() - move the cursor over payload
 * @cursor: the cursor
 * @record: what achan_ring_next() returned for it
 * @bytes:  payload bytes taken; with the last one goes the record
 */
static inline void achan_ring_consume(struct achan_cursor *cursor,
				      const struct achan_record *record,
				      u32 bytes)
{
	cursor->bytes += bytes;
	cursor->offset += bytes;
	if (cursor->offset == record->length) {
		cursor->position += achan_record_size(record);
		cursor->offset = 0;
		cursor->records++;
	}
}

/**
 * achan_ring_retire() - free what the cursor has passed
 * @ring:   the ring, claimed by the caller, who keeps the claim; or nobody has it
 * @cursor: what was taken; where it has not moved, nothing is
 *
 * Context: @ring->lock held.
 */
static inline void achan_ring_retire(struct achan_ring *ring,
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
 * @ring: the ring, claimed by the caller, or retired from without a claim
 *
 * Context: @ring->lock held.
 */
static inline void achan_ring_release(struct achan_ring *ring)
{
	WRITE_ONCE(ring->claimed, false);
	if (ring->tail != ring->head &&
	    achan_ring_record(ring, ring->tail)->flags)
		achan_ring_skip_discarded(ring);
}

#endif /* _ACHAN_RING_H */
