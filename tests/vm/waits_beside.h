/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Two writers of a ring that drains itself: one whose copies fail, each after it has had
 * the whole ring, and one who waits for the room that those failures make. As in vm.h,
 * a helper that cannot do its work ends the running case as failed.
 */
#ifndef ACHAN_TESTS_WAITS_BESIDE_H
#define ACHAN_TESTS_WAITS_BESIDE_H

#include "waits_way.h"

struct waits_beside {
	struct waits_stage *stage;
	struct waits_waiter waiter;
	struct vm_thread waiting;	/* writes by the cell's way, again and again */
	struct vm_thread failing;	/* writes from a buffer that is bad at its end */
	unsigned char *bad;
	size_t length;
	int fd;
	uint64_t waits;
	bool stop;
};

/* Starts both. Returns when the waiting one has really had to wait some times. */
void waits_beside_start(struct waits_beside *beside, struct waits_stage *stage);

/* Has both end after the write that they are in. */
void waits_beside_stop(struct waits_beside *beside);

/*
 * What ended the waiting one: 0 for waits_beside_stop(), else the error of its write.
 * The failing one has ended too.
 */
long waits_beside_join(struct waits_beside *beside);

#endif /* ACHAN_TESTS_WAITS_BESIDE_H */
