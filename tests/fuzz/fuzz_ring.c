// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * libFuzzer target: the library's reader of the kernel's AIO completion ring,
 * over memory that somebody else writes to.
 *
 *	input: the ring's header, then steps of 9 bytes: how many to take, and
 *	what head and tail become before
 *
 * The memory is exactly as long as the header says that the ring is.
 */
#include "internal.h"
#include "fuzz_target.h"

#include <stdlib.h>
#include <string.h>

#define RING_BYTES	1024
#define STEP_BYTES	9

/* The events that there are between head and tail, or -EBADMSG. */
static int expected(const struct achan_aio_ring *ring, uint32_t head,
		    uint32_t tail, unsigned int max)
{
	uint32_t ready;

	if (head >= ring->slots || tail >= ring->slots)
		return -EBADMSG;
	ready = head <= tail ? tail - head : ring->slots - head + tail;
	return ready < max ? ready : max;
}

static void take(struct achan_aio_ring *ring, unsigned int max)
{
	uint32_t head = ring->header->head, tail = ring->header->tail;
	struct io_event *events = malloc(max * sizeof(*events));
	int want = expected(ring, head, tail, max);
	int got;

	if (!events)
		return;
	require(achan_aio_ring_empty(ring) == (head == tail));
	got = achan_aio_ring_take(ring, events, max);
	require(got == want);
	require(ring->header->tail == tail);
	for (int i = 0; i < got; i++)
		require(!memcmp(&events[i],
				&ring->events[(head + i) % ring->slots],
				sizeof(events[i])));
	if (got > 0)
		require(ring->header->head == (head + got) % ring->slots);
	else
		require(ring->header->head == head);
	free(events);
}

static void step(struct achan_aio_ring *ring, const uint8_t *data)
{
	/* Whatever the header says now, the number of slots stays. */
	if (data[0] & 0x80)
		ring->header->slots = ~ring->header->slots;
	if (data[0] & 0x40) {
		memcpy(&ring->header->head, data + 1, 4);
		memcpy(&ring->header->tail, data + 5, 4);
	} else if (data[0] & 0x20) {
		ring->header->tail = data[5] % (ring->slots + 1);
	}
	take(ring, data[0] & 0x1f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t bytes = sizeof(struct achan_aio_header);
	struct achan_aio_ring ring;
	uint8_t *memory, *exact;

	if (size < bytes)
		return 0;
	memory = aligned_alloc(64, RING_BYTES);
	if (!memory)
		return 0;
	for (size_t i = 0; i < RING_BYTES; i++)
		memory[i] = i ^ i >> 3;
	memcpy(memory, data, bytes);
	/* Nearly no other input would be a ring. */
	((struct achan_aio_header *)memory)->magic ^= ACHAN_AIO_MAGIC;
	if (!achan_aio_ring_attach(&ring, memory) || ring.bytes > RING_BYTES) {
		free(memory);
		return 0;
	}
	require(ring.slots && (uint8_t *)(ring.events + ring.slots) ==
			      memory + ring.bytes);
	exact = malloc(ring.bytes);
	require(exact);
	memcpy(exact, memory, ring.bytes);
	free(memory);
	require(achan_aio_ring_attach(&ring, exact));
	for (data += bytes, size -= bytes; size >= STEP_BYTES;
	     data += STEP_BYTES, size -= STEP_BYTES)
		step(&ring, data);
	free(exact);
	return 0;
}
