// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Taking completions out of the kernel's AIO ring without a system call.
 *
 *	header | event 0 | event 1 | ... | event slots - 1
 *
 * The kernel writes an event, then moves tail; user space reads events from
 * head to tail, then moves head, which gives the slots back. Both are slot
 * numbers. The ring is empty if they are equal.
 *
 * The memory can be written by the whole process, and by whoever shares it:
 * nothing in it is used as an index before it was checked, and the number of
 * slots is the one that was there when the ring was attached.
 */
#include "internal.h"

/* io_setup() accepts no more than this many events (in bytes: 2^28). */
#define SLOTS_MAX		((1U << 28) / sizeof(struct io_event))
#define HEADER_LENGTH_MAX	4096U

bool achan_aio_ring_attach(struct achan_aio_ring *ring, void *memory)
{
	struct achan_aio_header *header = memory;
	uint32_t length = header->header_length;
	uint32_t slots = header->slots;

	if (header->magic != ACHAN_AIO_MAGIC || header->incompatible_features)
		return false;
	if (length < sizeof(*header) || length > HEADER_LENGTH_MAX ||
	    length % _Alignof(struct io_event))
		return false;
	if (!slots || slots > SLOTS_MAX)
		return false;
	ring->header = header;
	ring->events = (const void *)((const char *)memory + length);
	ring->slots = slots;
	ring->bytes = length + slots * sizeof(struct io_event);
	return true;
}

int achan_aio_ring_take(struct achan_aio_ring *ring, struct io_event *events,
			unsigned int max)
{
	struct achan_aio_header *header = ring->header;
	/* Acquire: the events up to tail are written before it. */
	uint32_t tail = __atomic_load_n(&header->tail, __ATOMIC_ACQUIRE);
	uint32_t head = __atomic_load_n(&header->head, __ATOMIC_RELAXED);
	unsigned int taken = 0;

	if (head >= ring->slots || tail >= ring->slots)
		return -EBADMSG;
	while (head != tail && taken < max) {
		events[taken++] = ring->events[head];
		head = head + 1 < ring->slots ? head + 1 : 0;
	}
	/* Release: the slots are read before the kernel gets them back. */
	if (taken)
		__atomic_store_n(&header->head, head, __ATOMIC_RELEASE);
	return (int)taken;
}

bool achan_aio_ring_empty(const struct achan_aio_ring *ring)
{
	return __atomic_load_n(&ring->header->tail, __ATOMIC_RELAXED) ==
	       __atomic_load_n(&ring->header->head, __ATOMIC_RELAXED);
}
