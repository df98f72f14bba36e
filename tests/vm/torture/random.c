// SPDX-License-Identifier: GPL-2.0-only
/* Torture: numbers that follow from the seed (splitmix64). */
#include "torture.h"

static uint64_t mix(uint64_t value)
{
	value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9ull;
	value = (value ^ value >> 27) * 0x94d049bb133111ebull;
	return value ^ value >> 31;
}

struct random random_of(uint64_t seed, uint64_t stream, uint64_t number)
{
	return (struct random){ mix(mix(mix(seed) + stream) + number) };
}

uint64_t random_next(struct random *random)
{
	random->state += 0x9e3779b97f4a7c15ull;
	return mix(random->state);
}

uint32_t random_below(struct random *random, uint32_t limit)
{
	return (random_next(random) >> 32) * limit >> 32;
}

bool random_once_in(struct random *random, uint32_t times)
{
	return !random_below(random, times);
}
