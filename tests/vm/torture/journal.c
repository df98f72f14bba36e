// SPDX-License-Identifier: GPL-2.0-only
/*
 * Torture: the memory that all processes share. What a member is about to do
 * is written here before it does it, so that it is known of one that is killed.
 */
#include "torture.h"

#include <stdarg.h>
#include <sys/mman.h>

struct journal *journal;
unsigned char *arena;
int arena_file = -1;
uint8_t *units;

#define UNITS_BYTES	((size_t)CHANNELS * PRODUCERS * UNITS)

static void *shared_memory(size_t size, int file)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED |
			    MAP_NORESERVE | (file < 0 ? MAP_ANONYMOUS : 0),
			    file, 0);

	ck_assert_ptr_ne(memory, MAP_FAILED);
	return memory;
}

void journal_create(void)
{
	journal = shared_memory(sizeof(*journal), -1);
	units = shared_memory(UNITS_BYTES, -1);
	arena_file = memfd_create("torture", MFD_CLOEXEC);
	ck_assert_int_ge(arena_file, 0);
	ck_assert_int_eq(ftruncate(arena_file, (off_t)POOL * REGION), 0);
	arena = shared_memory((size_t)POOL * REGION, arena_file);
}

void journal_new_round(void)
{
	size_t offset = offsetof(struct journal, stop);

	memset((char *)journal + offset, 0, sizeof(*journal) - offset);
	/* Gives the pages back, and with them their content. */
	ck_assert_int_eq(madvise(units, UNITS_BYTES, MADV_REMOVE), 0);
	ck_assert_int_eq(madvise(arena, (size_t)POOL * REGION, MADV_REMOVE), 0);
}

void journal_end_round(void)
{
	__atomic_store_n(&journal->stop, true, __ATOMIC_RELAXED);
}

bool journal_stopped(void)
{
	return __atomic_load_n(&journal->stop, __ATOMIC_RELAXED);
}

void journal_fail(const char *format, ...)
{
	va_list arguments;

	journal_end_round();
	if (__atomic_exchange_n(&journal->failed, true, __ATOMIC_ACQ_REL))
		return;
	va_start(arguments, format);
	vsnprintf(journal->failure, sizeof(journal->failure), format,
		  arguments);
	va_end(arguments);
}

void journal_begin(struct member *member, unsigned int doing,
		   unsigned int channel)
{
	member->doing_channel = channel;
	__atomic_store_n(&member->doing, doing, __ATOMIC_RELAXED);
	__atomic_store_n(&member->since, vm_now_ms(), __ATOMIC_RELAXED);
}

void journal_end(struct member *member)
{
	journal_begin(member, IDLE, 0);
}

static bool allowed(const short *errors, int error)
{
	for (; *errors; errors++)
		if (*errors == error)
			return true;
	return false;
}

void journal_count(unsigned int doing, unsigned int channel, long result)
{
	int error = result < 0 ? -result : 0;

	if (result == SKIPPED)
		return;
	if (error > ERRNO_MAX - 1 ||
	    (error && !allowed(operations[doing].errors, error))) {
		journal_fail("%s on channel %u gave error %d, %s, which it must not give",
			     operations[doing].name, channel, error,
			     strerror(error));
		return;
	}
	__atomic_add_fetch(&journal->counts[doing][error], 1,
			   __ATOMIC_RELAXED);
}

static void print_file(const struct member *member, const char *name)
{
	char path[64], line[256];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/%s",
		 (int)member->process, (int)member->thread, name);
	file = fopen(path, "r");
	if (!file)
		return;
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = 0;
		printf("#     %s\n", line);
	}
	fclose(file);
}

void journal_print_members(void)
{
	unsigned int i;

	for (i = 0; i < journal->members_used; i++) {
		struct member *member = &journal->members[i];

		if (!member->live)
			continue;
		printf("# member %u, %s, process %d thread %d: operation %llu, %s on channel %u, for %lld ms\n",
		       i, member->child ? "child" : "thread",
		       (int)member->process, (int)member->thread,
		       (unsigned long long)member->number,
		       operations[member->doing].name, member->doing_channel,
		       (long long)(vm_now_ms() - journal_since(member)));
		print_file(member, "stack");
	}
}

static void print_row(unsigned int doing)
{
	const uint64_t *counts = journal->counts[doing];
	unsigned int error;

	printf("#   %-16s %8llu", operations[doing].name,
	       (unsigned long long)counts[0]);
	for (error = 1; error < ERRNO_MAX; error++)
		if (counts[error])
			printf("  %s %llu", strerrorname_np(error),
			       (unsigned long long)counts[error]);
	printf("\n");
}

void journal_print_counts(void)
{
	unsigned int i;

	printf("# operations done, and how they failed:\n");
	for (i = IDLE + 1; i < operations_count(); i++)
		print_row(i);
	printf("# written %llu, read %llu, refused %llu, with unknown outcome %llu, taken by the dead %llu\n",
	       (unsigned long long)journal->written,
	       (unsigned long long)journal->read,
	       (unsigned long long)journal->refused,
	       (unsigned long long)journal->unknown_total,
	       (unsigned long long)journal->taken_by_dead);
}
