/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * achan: protection keys of memory, where the processor has them.
 *
 * A key forbids or allows a thread, not a process, to touch the memory that has it. A
 * parked read is judged by the rights of the thread that submitted it, at that moment:
 * what is pinned then, by pin_user_pages_fast(); what a worker fills later, here. The
 * worker itself has no rights to any key but the first, so it takes all while it is in
 * the address space. So a read has the same result, whether its record was there or
 * comes later.
 *
 * Memory tags of arm64 are not looked at here: the kernel checks the tag of a pointer
 * as the submitting thread has asked for only where that thread copies itself. A read
 * that parks ignores them, as reads do that bypass the page cache.
 */
#ifndef _ACHAN_KEYS_H
#define _ACHAN_KEYS_H

#include <linux/mm.h>

#ifdef CONFIG_X86_INTEL_MEMORY_PROTECTION_KEYS

#include <asm/mmu_context.h>
#include <asm/pkru.h>

/* May the calling thread write to @vma, as far as keys are concerned? */
static inline bool achan_key_allows(struct vm_area_struct *vma)
{
	return arch_vma_access_permitted(vma, true, false, false);
}

/* All keys for a kernel thread. Return: what it had, for achan_keys_drop(). */
static inline u32 achan_keys_take(void)
{
	u32 rights = read_pkru();

	write_pkru(0);
	return rights;
}

static inline void achan_keys_drop(u32 rights)
{
	write_pkru(rights);
}

#else

static inline bool achan_key_allows(struct vm_area_struct *vma)
{
	return true;
}

static inline u32 achan_keys_take(void)
{
	return 0;
}

static inline void achan_keys_drop(u32 rights)
{
}

#endif

#endif /* _ACHAN_KEYS_H */
