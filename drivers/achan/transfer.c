// SPDX-License-Identifier: GPL-2.0-only
/*
 * achan: what one read takes out of a ring, and what one write puts in.
 *
 * All copies run with page faults off, since they run while the consumer's
 * claim or a reservation is held: a fault that user space can delay must not
 * hold up others. Whoever calls gives the claim back when a copy falls short,
 * makes the buffer present, and tries again.
 */
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/uaccess.h>

#include "achan.h"
#include "trace.h"

/*
 * Pinned pages do not fault. They are filled in interrupts too, where the count of
 * those who disabled faults is of whatever task was interrupted: it is left alone.
 * Nor is the ring looked up there, as copy_to_iter() would do where user copies are
 * hardened, by a lock that interrupts must not take.
 */
static size_t copy_out(const void *data, size_t bytes, struct iov_iter *to)
{
	size_t copied;

	if (!user_backed_iter(to))
		return _copy_to_iter(data, bytes, to);
	pagefault_disable();
	copied = copy_to_iter(data, bytes, to);
	pagefault_enable();
	return copied;
}

/* Moves the cursor over @bytes that have been copied. */
static void consume(struct achan_lane *lane, struct achan_cursor *cursor,
		    struct achan_record *record, u32 bytes)
{
	trace_achan_consume(achan_minor(lane->reader), record->sequence, bytes);
	achan_ring_consume(cursor, record, bytes);
}

/*
 * User memory that is not present can be made so. Nothing else falls short but
 * the ITER_PIPE of an older kernel's splice, whose pipe is full.
 */
static ssize_t fell_short(struct iov_iter *to, size_t copied)
{
	iov_iter_revert(to, copied);
	return user_backed_iter(to) ? -EFAULT : -EMSGSIZE;
}

static ssize_t take_message(struct achan_lane *lane,
			    struct achan_cursor *cursor, struct iov_iter *to,
			    size_t *want)
{
	struct achan_record *record = achan_ring_next(&lane->ring, cursor);
	size_t copied;

	if (!record)
		return -EAGAIN;
	*want = record->length;
	if (record->length > iov_iter_count(to))
		return -EMSGSIZE;
	copied = copy_out(achan_record_payload(record), record->length, to);
	if (copied < record->length)
		return fell_short(to, copied);
	consume(lane, cursor, record, record->length);
	return copied;
}

static ssize_t take_stream(struct achan_lane *lane, struct achan_cursor *cursor,
			   struct iov_iter *to, size_t *want)
{
	size_t count = iov_iter_count(to), taken = 0;
	struct achan_record *record;

	while (iov_iter_count(to) &&
	       (record = achan_ring_next(&lane->ring, cursor))) {
		size_t bytes = min_t(size_t, iov_iter_count(to),
				     record->length - cursor->offset);
		size_t copied;

		copied = copy_out(achan_record_payload(record) + cursor->offset,
				  bytes, to);
		if (copied < bytes && user_backed_iter(to)) {
			/* All that there may be for it, not a page a time. */
			*want = min_t(size_t, count, taken + lane->ring.size);
			return fell_short(to, taken + copied);
		}
		consume(lane, cursor, record, copied);
		taken += copied;
		if (copied < bytes)
			return taken ?: -EFAULT;
	}
	return taken ?: -EAGAIN;
}

/* A record whose beginning went to a stream read: the rest of it as a frame. */
static ssize_t take_continued(struct achan_lane *lane,
			      struct achan_cursor *cursor,
			      struct achan_record *record, struct iov_iter *to,
			      size_t *want)
{
	static const u8 zeroes[ACHAN_RECORD_ALIGN];
	struct achan_record header = *record;
	size_t copied, bytes;

	header.length -= cursor->offset;
	header.flags = ACHAN_RECORD_CONTINUED;
	bytes = ACHAN_RECORD_SIZE(header.length);
	*want = bytes;
	if (bytes > iov_iter_count(to))
		return -EMSGSIZE;
	copied = copy_out(&header, sizeof(header), to);
	copied += copy_out(achan_record_payload(record) + cursor->offset,
			   header.length, to);
	copied += copy_out(zeroes, bytes - sizeof(header) - header.length, to);
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
		trace_achan_consume(achan_minor(lane->reader),
				    record->sequence, record->length);
	}
}

/* Records one after the other in the ring are one copy. */
static ssize_t take_run(struct achan_lane *lane, struct achan_cursor *cursor,
			struct achan_record *record, struct iov_iter *to,
			size_t *want)
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
	copied = copy_out(data, bytes, to);
	if (copied < bytes)
		return fell_short(to, copied);
	if (trace_achan_consume_enabled())
		trace_run(lane, data, bytes);
	*cursor = end;
	return bytes;
}

static ssize_t take_frames(struct achan_lane *lane, struct achan_cursor *cursor,
			   struct iov_iter *to, size_t *want)
{
	struct achan_record *record;
	ssize_t ret = -EAGAIN;
	size_t taken = 0;

	while ((record = achan_ring_next(&lane->ring, cursor))) {
		if (cursor->offset)
			ret = take_continued(lane, cursor, record, to, want);
		else
			ret = take_run(lane, cursor, record, to, want);
		if (ret < 0)
			break;
		taken += ret;
	}
	return taken ?: ret;
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
	if (framed)
		return take_frames(lane, cursor, to, want);
	if (lane->reader->mode == ACHAN_MODE_MESSAGE)
		return take_message(lane, cursor, to, want);
	return take_stream(lane, cursor, to, want);
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
	u32 room = achan_ring_free(ring);

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
