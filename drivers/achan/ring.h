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
 * Locking: @lock guards every field; each section under it takes constant
 * time, but for a step per record that was discarded behind a claim, or that is
 * given up to make room for a larger one. Payload is
 * copied outside of it, into a reserved record or out of a claimed one. A
 * function's "Context" says whether the caller holds the lock.
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
void achan_ring_commit(struct achan_ring *ring, struct achan_record *record);
void achan_ring_discard(struct achan_ring *ring, struct achan_record *record);
bool achan_ring_make_room(struct achan_ring *ring, u32 length);

bool achan_ring_readable(const struct achan_ring *ring);
void achan_ring_claim(struct achan_ring *ring, struct achan_cursor *cursor);
struct achan_record *achan_ring_next(const struct achan_ring *ring,
				     struct achan_cursor *cursor);
void achan_ring_consume(struct achan_cursor *cursor,
			const struct achan_record *record, u32 bytes);
void achan_ring_retire(struct achan_ring *ring,
		       const struct achan_cursor *cursor);
void achan_ring_release(struct achan_ring *ring);

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

#endif /* _ACHAN_RING_H */
