/* SPDX-License-Identifier: GPL-2.0-only */
/* The memory of a ring, as the driver maps it, and random numbers. */
#ifndef ACHAN_TESTS_UNIT_RING_MEMORY_H
#define ACHAN_TESTS_UNIT_RING_MEMORY_H

#include <stdint.h>

/*
 * Maps @bytes of zeroed memory, a multiple of the page size, twice in a row,
 * with a page that faults on either side. Fails the case if that cannot be.
 */
void *ring_memory_map(uint32_t bytes);
void ring_memory_unmap(void *data, uint32_t bytes);

/*
 * The seed of this run, from the environment's ACHAN_SEED or of the clock. It
 * is printed, so that a failed run can be had again.
 */
uint64_t ring_seed(const char *test);

/* xorshift: the same numbers for the same seed. *@state is never 0. */
static inline uint64_t ring_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* One of 0 .. @n - 1. */
static inline uint32_t ring_random_below(uint64_t *state, uint32_t n)
{
	return (uint32_t)((ring_random(state) >> 20) % n);
}

/* Byte number @i of the payload that goes with @tag. */
static inline unsigned char ring_pattern(uint64_t tag, uint32_t i)
{
	uint32_t mixed = ((uint32_t)tag * 2654435761U) ^ (i * 40503U);

	return (unsigned char)(mixed >> 11);
}

#endif /* ACHAN_TESTS_UNIT_RING_MEMORY_H */
