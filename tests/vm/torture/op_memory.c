// SPDX-License-Identifier: GPL-2.0-only
/*
 * Torture: what can happen to a buffer while a transfer into it, or out of it,
 * is in progress. The address space at the view is never given up where there
 * are other threads, whose mappings could come to lie there.
 */
#include "torture.h"

#include <sys/mman.h>

/*
 * A buffer of this process, of any thread, that nothing has happened to yet,
 * with its lock held.
 */
static struct slot *victim(struct random *random)
{
	unsigned int count = journal->slots_used, i, at;

	if (count > POOL)
		count = POOL;
	if (!count)
		return NULL;
	at = random_below(random, count);
	for (i = 0; i < count; i++) {
		struct slot *slot = &journal->slots[(at + i) % count];

		if (__atomic_load_n(&slot->state, __ATOMIC_ACQUIRE) != BUSY ||
		    slot->process != getpid() || slot->anonymous ||
		    slot->kind == POLL ||
		    pthread_spin_trylock(&slot->lock))
			continue;
		if (!slot->harmed) {
			slot->harmed = true;
			return slot;
		}
		pthread_spin_unlock(&slot->lock);
	}
	return NULL;
}

static long release(struct slot *slot, long ret)
{
	pthread_spin_unlock(&slot->lock);
	return ret;
}

/* Nothing is there any more, and nothing else gets there. */
static long keep_away(struct slot *slot)
{
	void *memory = mmap(slot->view, REGION, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	return memory == MAP_FAILED ? -errno : 0;
}

OPERATION(op_unmap)
{
	struct slot *slot = victim(random);

	if (!slot)
		return SKIPPED;
	/* A child is alone. */
	if (member->child)
		munmap(slot->view, REGION);
	return release(slot, keep_away(slot));
}

OPERATION(op_protect)
{
	size_t from = random_below(random, REGION / 4096) * 4096;
	struct slot *slot = victim(random);
	int protection = random_once_in(random, 2) ? PROT_NONE : PROT_READ;

	if (!slot)
		return SKIPPED;
	return release(slot, vm_errno(mprotect(slot->view + from,
					       REGION - from, protection)));
}

OPERATION(op_dontneed)
{
	struct slot *slot = victim(random);

	if (!slot)
		return SKIPPED;
	return release(slot, vm_errno(madvise(slot->view, REGION,
					      MADV_DONTNEED)));
}

OPERATION(op_remap)
{
	struct slot *slot = victim(random);
	void *room, *moved;

	if (!slot)
		return SKIPPED;
	room = mmap(NULL, REGION, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0);
	if (room == MAP_FAILED)
		return release(slot, -errno);
	moved = mremap(slot->view, REGION, REGION, MREMAP_MAYMOVE |
		       MREMAP_FIXED |
		       (member->child ? 0 : MREMAP_DONTUNMAP), room);
	if (moved == MAP_FAILED)
		return release(slot, -errno);
	munmap(room, REGION);
	return release(slot, member->child ? keep_away(slot) : 0);
}
