// SPDX-License-Identifier: LGPL-2.1-or-later
/* The process's own state, and how a forked child is told from its parent. */
#include "internal.h"

#include <sys/mman.h>

static _Atomic(struct achan_process *) state;

/*
 * Inherited by children, unlike the stamp itself, so that a child's stamp is
 * none of its ancestors'.
 */
static _Atomic uint32_t last_stamp;

/* Maps the state. MADV_WIPEONFORK works on whole pages of private memory. */
static int map_state(void)
{
	struct achan_process *none = NULL;
	struct achan_process *process;
	void *page;
	int ret;

	page = mmap(NULL, sizeof(*process), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return -ENOMEM;
	ret = madvise(page, sizeof(*process), MADV_WIPEONFORK);
	process = page;
	if (ret || !atomic_compare_exchange_strong(&state, &none, process))
		munmap(page, sizeof(*process));
	return ret ? -ENOMEM : 0;
}

int achan_process_get(struct achan_process **process)
{
	uint32_t none = 0;
	int saved = errno;
	int ret;

	if (!atomic_load(&state)) {
		ret = map_state();
		errno = saved;
		if (ret)
			return ret;
	}
	*process = atomic_load(&state);
	if (!atomic_load(&(*process)->stamp))
		atomic_compare_exchange_strong(&(*process)->stamp, &none,
					       atomic_fetch_add(&last_stamp, 1)
					       + 1);
	return 0;
}

struct achan_process *achan_process_peek(void)
{
	return atomic_load(&state);
}

int achan_process_check(uint32_t stamp)
{
	const struct achan_process *process = atomic_load(&state);

	return atomic_load(&process->stamp) == stamp ? 0 : -ECHILD;
}
