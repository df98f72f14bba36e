// SPDX-License-Identifier: GPL-2.0-only
/* Two writers of a ring that drains itself. */
#include "waits_beside.h"

/* How often the waiting writer has to have waited. */
#define WAITS	3

/*
 * How often that was, as the channel counts it. Only the waiting file is ever told
 * of room, since the failing one takes any room that there is.
 */
static uint64_t count_waits(const struct waits_beside *beside)
{
	struct achan_stats stats = control_stats(WAITS_NAME);

	switch (beside->stage->cell.way) {
	case WAITS_SIGIO:
		return stats.signals;
	case WAITS_SLEEP:
	case WAITS_AIO:
		return stats.parked;
	default:
		return stats.wakeups;
	}
}

static bool must_stop(const struct waits_beside *beside)
{
	return __atomic_load_n(&beside->stop, __ATOMIC_ACQUIRE);
}

static long write_and_fail(void *argument)
{
	struct waits_beside *beside = argument;
	long ret;

	while (!must_stop(beside)) {
		ret = vm_errno(write(beside->fd, beside->bad, beside->length));
		if (ret != -EFAULT)
			return ret;
	}
	return 0;
}

static long write_and_wait(void *argument)
{
	struct waits_beside *beside = argument;
	long ret;

	while (!must_stop(beside)) {
		ret = waits_write(&beside->waiter);
		if (ret != WAITS_LENGTH && ret != -EAGAIN)
			return ret;
	}
	return 0;
}

/* A buffer as large as a record can be, the last bytes of which are not there. */
static void make_bad_buffer(struct waits_beside *beside)
{
	size_t pages;
	size_t present;

	beside->length = vm_info(beside->fd).record_max;
	present = beside->length - 8;
	pages = (present + vm_page_size() - 1) / vm_page_size();
	beside->bad = vm_pages(pages);
	memset(beside->bad, 1, pages * vm_page_size());
	beside->bad += pages * vm_page_size() - present;
}

void waits_beside_start(struct waits_beside *beside, struct waits_stage *stage)
{
	int64_t until = vm_now_ms() + vm_timeout_ms(VM_HANG_MS);
	uint64_t before;

	memset(beside, 0, sizeof(*beside));
	beside->stage = stage;
	beside->fd = waits_open_writer(stage);
	make_bad_buffer(beside);
	waits_prepare(&beside->waiter, stage);
	before = count_waits(beside);
	vm_spawn(&beside->failing, write_and_fail, beside);
	vm_spawn(&beside->waiting, write_and_wait, beside);
	while (beside->waits < WAITS) {
		ck_assert_msg(vm_now_ms() < until,
			      "of the waiting writer %llu waits have ended, not %d",
			      (unsigned long long)beside->waits, WAITS);
		vm_sleep_ms(1);
		beside->waits = count_waits(beside) - before;
	}
}

void waits_beside_stop(struct waits_beside *beside)
{
	__atomic_store_n(&beside->stop, true, __ATOMIC_RELEASE);
}

long waits_beside_join(struct waits_beside *beside)
{
	long ret = vm_join(&beside->waiting);

	/* The failing one ends with the same error, where it is the channel's. */
	waits_beside_stop(beside);
	vm_join(&beside->failing);
	return ret;
}
