/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ways of waiting. As in vm.h, a helper that cannot do its work ends the running
 * case as failed; so does who is not told in time.
 */
#ifndef ACHAN_TESTS_WAITS_WAY_H
#define ACHAN_TESTS_WAITS_WAY_H

#include "kernel_aio.h"
#include "waits_stage.h"

#include <liburing.h>

/* Who waits with a file, for what its cell says. */
struct waits_waiter {
	const struct waits_stage *stage;
	bool writes;
	short asked;		/* events of poll() */
	char data[WAITS_LENGTH];
	struct vm_thread thread;
	struct vm_transfer transfer;
	io_context_t context;
	struct iocb request;
	struct io_uring uring;
	int epoll;
};

/*
 * What one is told. @value: of a transfer its result, of a poll its events, of a
 * signal its si_code. @band: the signal's si_band, else 0.
 */
struct waits_told {
	long value;
	long band;
};

/*
 * Gets what the way needs: contexts, instances, the signal's owner. Nothing is asked
 * for yet. A file that is not the signal's owner gets no signal before this.
 */
void waits_prepare(struct waits_waiter *waiter, const struct waits_stage *stage);

/* Begins to wait, and sees that the waiting is real: asleep, parked, armed. */
void waits_begin(struct waits_waiter *waiter);

/* What the waiter is told; one that is not told in time fails the case. */
struct waits_told waits_end(struct waits_waiter *waiter);

/*
 * One write in the way of the cell, which may find room at once or have to wait. Its
 * result, or -EAGAIN where the file was told of room and has to try again.
 */
long waits_write(struct waits_waiter *waiter);

#endif /* ACHAN_TESTS_WAITS_WAY_H */
