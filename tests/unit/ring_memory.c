// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "ring_memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "unit.h"

static size_t page_bytes(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

void *ring_memory_map(uint32_t bytes)
{
	int fd = memfd_create("achan-ring", MFD_CLOEXEC);
	size_t guard = page_bytes();
	char *data;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, bytes), 0);
	data = mmap(NULL, 2 * (size_t)bytes + 2 * guard, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(data, MAP_FAILED);
	data += guard;
	for (int half = 0; half < 2; half++)
		ck_assert_ptr_ne(mmap(data + half * (size_t)bytes, bytes,
				      PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_FIXED, fd, 0),
				 MAP_FAILED);
	close(fd);
	return data;
}

void ring_memory_unmap(void *data, uint32_t bytes)
{
	size_t guard = page_bytes();

	ck_assert_int_eq(munmap((char *)data - guard,
				2 * (size_t)bytes + 2 * guard), 0);
}

uint64_t ring_seed(const char *test)
{
	const char *text = getenv("ACHAN_SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) :
			       (uint64_t)unit_now_ns();

	if (!seed)
		seed = 1;
	printf("# %s: ACHAN_SEED=%" PRIu64 "\n", test, seed);
	fflush(stdout);
	return seed;
}
