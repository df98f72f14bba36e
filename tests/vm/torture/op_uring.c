// SPDX-License-Identifier: GPL-2.0-only
/* Torture: io_uring. */
#include "torture.h"

#include <poll.h>

#define ENTRIES	16
/* user_data of what is not a slot's */
#define CANCEL	(~0ull)

void uring_start(struct member *member)
{
	struct local *local = member->local;
	int ret = io_uring_queue_init(ENTRIES, &local->ring, 0);

	if (ret)
		journal_fail("io_uring_queue_init: %s", strerrorname_np(-ret));
	local->ring_open = !ret;
}

static void complete(struct member *member, struct io_uring_cqe *cqe)
{
	uint64_t data = cqe->user_data;
	int result = cqe->res;
	struct slot *slot = &journal->slots[data % POOL];
	unsigned int doing = slot->event, channel = slot->channel;

	io_uring_cqe_seen(&member->local->ring, cqe);
	if (data == CANCEL)
		return;
	if (data >= POOL || slot->state != BUSY || slot->aio) {
		journal_fail("io_uring completed request %llu, which is not in flight",
			     (unsigned long long)data);
		return;
	}
	journal_count(doing, channel, slot_finish(member, slot, result));
}

static long reap(struct member *member)
{
	struct io_uring_cqe *cqe;
	long count = 0;

	while (!io_uring_peek_cqe(&member->local->ring, &cqe)) {
		complete(member, cqe);
		count++;
	}
	return count;
}

static long submit(struct member *member)
{
	long ret;

	do {
		ret = io_uring_submit(&member->local->ring);
	} while (ret == -EINTR);
	reap(member);
	return ret;
}

static struct io_uring_sqe *get_sqe(struct member *member)
{
	if (!member->local->ring_open)
		return NULL;
	return io_uring_get_sqe(&member->local->ring);
}

static struct slot *take(struct member *member, struct random *random,
			 enum slot_kind kind, unsigned int event, int *fd)
{
	unsigned int channel;

	if (!member->local->ring_open)
		return NULL;
	*fd = random_file(random, &channel);
	return slot_take(member, kind, URING, channel, event);
}

static long start(struct member *member, struct random *random,
		  struct slot *slot, struct io_uring_sqe *sqe)
{
	io_uring_sqe_set_data64(sqe, slot - journal->slots);
	if (random_once_in(random, 4))
		sqe->flags |= IOSQE_ASYNC;
	return submit(member);
}

/* Neither parks: what finds nothing polls, or blocks a thread of io_uring. */
static long transfer(struct member *member, struct random *random,
		     enum slot_kind kind)
{
	bool vector = random_once_in(random, 2);
	struct io_uring_sqe *sqe;
	struct slot *slot;
	int fd;

	slot = take(member, random, kind,
		    kind == READ ? URING_READ_EVENT : URING_WRITE_EVENT, &fd);
	if (!slot)
		return SKIPPED;
	if (kind == READ)
		slot_aim_read(slot, random, vector);
	else if (!slot_aim_write(member, slot, random, vector))
		return SKIPPED;
	sqe = get_sqe(member);
	if (!sqe)
		return slot_finish(member, slot, -EBADF);
	if (kind == READ && vector)
		io_uring_prep_readv(sqe, fd, slot->iov, slot->segments, 0);
	else if (kind == READ)
		io_uring_prep_read(sqe, fd, slot->iov[0].iov_base,
				   slot->length, 0);
	else if (vector)
		io_uring_prep_writev(sqe, fd, slot->iov, slot->segments, 0);
	else
		io_uring_prep_write(sqe, fd, slot->iov[0].iov_base,
				    slot->length, 0);
	return start(member, random, slot, sqe);
}

OPERATION(op_uring_read)
{
	return transfer(member, random, READ);
}

OPERATION(op_uring_write)
{
	return transfer(member, random, WRITE);
}

OPERATION(op_uring_poll)
{
	struct io_uring_sqe *sqe;
	struct slot *slot;
	int fd;

	slot = take(member, random, POLL, URING_POLL_EVENT, &fd);
	if (!slot)
		return SKIPPED;
	sqe = get_sqe(member);
	if (!sqe)
		return SKIPPED;
	__atomic_store_n(&slot->state, BUSY, __ATOMIC_RELEASE);
	io_uring_prep_poll_add(sqe, fd, random_once_in(random, 2) ? POLLIN :
			       POLLOUT);
	return start(member, random, slot, sqe);
}

OPERATION(op_uring_reap)
{
	struct __kernel_timespec timeout = {
		.tv_nsec = random_below(random, 2000000),
	};
	struct io_uring_cqe *cqe;
	int ret;

	if (!member->local->ring_open)
		return SKIPPED;
	ret = io_uring_wait_cqe_timeout(&member->local->ring, &cqe, &timeout);
	return ret < 0 ? ret : reap(member);
}

static long cancel(struct member *member, struct slot *slot)
{
	struct io_uring_sqe *sqe = get_sqe(member);

	if (!sqe)
		return SKIPPED;
	slot->cancelled = true;
	io_uring_prep_cancel64(sqe, slot - journal->slots, 0);
	io_uring_sqe_set_data64(sqe, CANCEL);
	return submit(member);
}

OPERATION(op_uring_cancel)
{
	struct slot *slot = slot_in_progress(member, random, false, URING);

	return slot ? cancel(member, slot) : SKIPPED;
}

/* What is armed ends some time later, and may yet transfer. */
static void leave(struct member *member)
{
	unsigned int i;

	if (!member->local->ring_open)
		return;
	io_uring_queue_exit(&member->local->ring);
	member->local->ring_open = false;
	for (i = 0; i < SLOTS; i++) {
		struct slot *slot = member->slots[i] < 0 ? NULL :
				    &journal->slots[member->slots[i]];

		if (slot && slot->state == BUSY && slot->domain == URING)
			slot_abandon(member, slot, false);
	}
}

OPERATION(op_uring_exit)
{
	leave(member);
	uring_start(member);
	return 0;
}

void uring_rest(struct member *member)
{
	struct __kernel_timespec timeout = { .tv_nsec = 10000000 };
	struct random random = random_of(0, 0, 0);
	struct io_uring_cqe *cqe;
	struct slot *slot;

	while (member->local->ring_open && !journal->failed &&
	       (slot = slot_in_progress(member, &random, false, URING))) {
		/* Again and again: one on its way to a thread is not found. */
		cancel(member, slot);
		io_uring_wait_cqe_timeout(&member->local->ring, &cqe,
					  &timeout);
		reap(member);
	}
	leave(member);
}
