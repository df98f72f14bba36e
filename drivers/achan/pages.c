// SPDX-License-Identifier: GPL-2.0-only
/*
 * achan: the memory of a ring.
 *
 * Single pages, mapped twice in a row: a record that wraps around the end of
 * the ring is contiguous all the same, and each page can be mapped into a
 * process on its own. The model is kernel/bpf/ringbuf.c.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "achan.h"

/* A ring that is too large is refused; nobody shall be killed to make room. */
#define ACHAN_PAGES_GFP	(GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL |	\
			 __GFP_NOWARN)

static void pages_put(struct achan_pages *pages)
{
	while (pages->nr)
		__free_page(pages->pages[--pages->nr]);
	kvfree(pages->pages);
}

/**
 * achan_pages_alloc() - memory for a ring
 * @pages: filled in
 * @size:  bytes, a multiple of PAGE_SIZE
 *
 * The memory is zeroed and charged to the caller's memory cgroup. At
 * @pages->data are 2 * @size bytes of address space, of which the second half
 * shows the same pages as the first.
 *
 * Context: may sleep. Return: 0 or -ENOMEM.
 */
int achan_pages_alloc(struct achan_pages *pages, u32 size)
{
	unsigned int i, nr = size >> PAGE_SHIFT;

	pages->nr = 0;
	pages->pages = kvcalloc(2 * nr, sizeof(*pages->pages),
				ACHAN_PAGES_GFP);
	if (!pages->pages)
		return -ENOMEM;
	for (i = 0; i < nr; i++) {
		struct page *page = alloc_page(ACHAN_PAGES_GFP | __GFP_ZERO);

		if (!page)
			goto err;
		pages->pages[i] = page;
		pages->pages[nr + i] = page;
		pages->nr++;
	}
	pages->data = vmap(pages->pages, 2 * nr, VM_MAP, PAGE_KERNEL);
	if (pages->data)
		return 0;
err:
	pages_put(pages);
	return -ENOMEM;
}

/**
 * achan_pages_free() - give the memory of a ring back
 * @pages: from achan_pages_alloc()
 *
 * Context: may sleep.
 */
void achan_pages_free(struct achan_pages *pages)
{
	vunmap(pages->data);
	pages_put(pages);
}
