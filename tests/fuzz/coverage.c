// SPDX-License-Identifier: GPL-2.0-only
/*
 * Coverage by KCOV. No other code of the kernel is instrumented, but what is
 * taken is limited to the module anyway. A thread in a program reports to the
 * areas that the fuzzer has mapped before; work items report to one more, by
 * the calls that kcov_work.h puts around them.
 *
 * An address is named by its section, since that is what objdump shows.
 */
#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcov.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define AREA_WORDS	(256U << 10)
/* As in kcov_work.h. */
#define WORK_HANDLE	1
/* Nothing is taken of what lies further on; the module is a quarter of it. */
#define SECTION_BYTES	(256U << 10)

static struct section {
	const char *name;
	uint64_t start;
} sections[] = {
	{ ".text", 0 },
	{ ".text.unlikely", 0 },
};

static struct area {
	int fd;
	uint64_t *words;
} areas[FUZZ_THREADS];

static bool find_sections(void)
{
	for (size_t i = 0; i < FUZZ_ARRAY_SIZE(sections); i++) {
		char path[128];
		FILE *file;

		snprintf(path, sizeof(path), "/sys/module/achan/sections/%s",
			 sections[i].name);
		file = fopen(path, "r");
		if (!file)
			continue;
		if (fscanf(file, "%lx", &sections[i].start) != 1)
			sections[i].start = 0;
		fclose(file);
	}
	if (!sections[0].start)
		fputs("achan-fuzz: no code of achan in the kernel: load the module\n",
		      stderr);
	return sections[0].start;
}

static bool open_area(struct area *area)
{
	area->fd = open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC);
	if (area->fd < 0 || ioctl(area->fd, KCOV_INIT_TRACE, AREA_WORDS)) {
		perror("achan-fuzz: /sys/kernel/debug/kcov (CONFIG_KCOV)");
		return false;
	}
	area->words = mmap(NULL, AREA_WORDS * sizeof(uint64_t),
			   PROT_READ | PROT_WRITE, MAP_SHARED, area->fd, 0);
	if (area->words == MAP_FAILED) {
		perror("achan-fuzz: memory for the coverage");
		return false;
	}
	return true;
}

/* The caller's own coverage is not taken by this one, only that of workers. */
static bool start_workers(void)
{
	struct kcov_remote_arg remote = {
		.trace_mode = KCOV_TRACE_PC,
		.area_size = AREA_WORDS,
		.common_handle = WORK_HANDLE,
	};

	if (!ioctl(areas[FUZZ_WORKERS].fd, KCOV_REMOTE_ENABLE, &remote))
		return true;
	perror("achan-fuzz: coverage of work items");
	return false;
}

bool fuzz_coverage_open(void)
{
	if (!find_sections())
		return false;
	for (int i = 0; i < FUZZ_THREADS; i++)
		if (!open_area(&areas[i]))
			return false;
	return start_workers();
}

void fuzz_coverage_reset(void)
{
	for (int i = 0; i < FUZZ_THREADS; i++)
		__atomic_store_n(&areas[i].words[0], 0, __ATOMIC_RELAXED);
}

void fuzz_coverage_start(enum fuzz_thread thread)
{
	/* -EBUSY: the program has a second thread already. */
	if (areas[thread].words &&
	    ioctl(areas[thread].fd, KCOV_ENABLE, KCOV_TRACE_PC) &&
	    errno != EBUSY)
		perror("achan-fuzz: KCOV_ENABLE");
}

size_t fuzz_coverage_size(void)
{
	return FUZZ_ARRAY_SIZE(sections) * SECTION_BYTES;
}

static uint8_t *place(uint8_t *set, uint64_t pc)
{
	struct section *found = NULL;

	for (size_t i = 0; i < FUZZ_ARRAY_SIZE(sections); i++)
		if (sections[i].start && pc >= sections[i].start &&
		    pc - sections[i].start < SECTION_BYTES &&
		    (!found || sections[i].start > found->start))
			found = &sections[i];
	if (!found)
		return NULL;
	return set + (found - sections) * SECTION_BYTES + (pc - found->start);
}

size_t fuzz_coverage_collect(uint8_t *set)
{
	size_t new = 0;

	for (int i = 0; i < FUZZ_THREADS; i++) {
		uint64_t count = __atomic_load_n(&areas[i].words[0],
						 __ATOMIC_ACQUIRE);

		for (uint64_t j = 1; j <= count && j < AREA_WORDS; j++) {
			uint8_t *at = place(set, areas[i].words[j]);

			if (at && !*at) {
				*at = 1;
				new++;
			}
		}
	}
	return new;
}

void fuzz_coverage_print(const uint8_t *set)
{
	for (size_t i = 0; i < fuzz_coverage_size(); i++)
		if (set[i])
			printf("pc %s %zx\n",
			       sections[i / SECTION_BYTES].name,
			       i % SECTION_BYTES);
}
