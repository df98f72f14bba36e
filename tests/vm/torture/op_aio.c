// SPDX-License-Identifier: GPL-2.0-only
/* Torture: kernel AIO, by system calls. */
#include "torture.h"

#include <poll.h>
#include <sys/syscall.h>

#define BATCH	3
#define EVENTS	(2 * SLOTS)

static long submit(struct member *member, long count, struct iocb **iocbs)
{
	return vm_errno(syscall(SYS_io_submit, member->context, count, iocbs));
}

static void take_event(struct member *member, const struct io_event *event)
{
	struct slot *slot = &journal->slots[event->data];
	unsigned int doing = slot->event, channel = slot->channel;

	if (event->data >= POOL || slot->state != BUSY || !slot->aio) {
		journal_fail("io_getevents gave an event of request %llu, which is not in flight",
			     (unsigned long long)event->data);
		return;
	}
	journal_count(doing, channel, slot_finish(member, slot, event->res));
}

/* Return: how many events there were, or -errno. */
static long reap(struct member *member, long least, long timeout_ns)
{
	struct timespec timeout = { .tv_nsec = timeout_ns };
	struct io_event events[EVENTS];
	long i, got;

	got = vm_errno(syscall(SYS_io_getevents, member->context, least,
			       (long)EVENTS, events, &timeout));
	for (i = 0; i < got; i++)
		take_event(member, &events[i]);
	return got;
}

static void prepare(struct member *member, struct slot *slot,
		    struct random *random, int fd, bool vector)
{
	struct iocb *iocb = &slot->iocb;

	memset(iocb, 0, sizeof(*iocb));
	iocb->aio_data = slot - journal->slots;
	iocb->aio_fildes = fd;
	iocb->aio_buf = (uintptr_t)slot->iov[0].iov_base;
	iocb->aio_nbytes = slot->iov[0].iov_len;
	if (vector) {
		iocb->aio_buf = (uintptr_t)slot->iov;
		iocb->aio_nbytes = slot->segments;
	}
	if (slot->kind == READ)
		iocb->aio_lio_opcode = vector ? IOCB_CMD_PREADV :
				       IOCB_CMD_PREAD;
	else
		iocb->aio_lio_opcode = vector ? IOCB_CMD_PWRITEV :
				       IOCB_CMD_PWRITE;
	if (slot->no_wait)
		iocb->aio_rw_flags = RWF_NOWAIT;
	if (random_once_in(random, 4)) {
		iocb->aio_flags = IOCB_FLAG_RESFD;
		iocb->aio_resfd = member->local->event;
	}
}

/* One slot for a request like the others of its batch, ready to submit. */
static struct slot *one_of_batch(struct member *member, struct random *random,
				 enum slot_kind kind)
{
	bool vector = random_once_in(random, 2);
	unsigned int channel;
	int fd = random_file(random, &channel);
	struct slot *slot = slot_take(member, kind, IN_TURN, channel,
				      kind == READ ? AIO_READ_EVENT :
				      AIO_WRITE_EVENT);

	if (!slot)
		return NULL;
	slot->aio = true;
	slot->no_wait = random_once_in(random, 16);
	if (kind == READ)
		slot_aim_read(slot, random, vector);
	else if (!slot_aim_write(member, slot, random, vector))
		return NULL;
	prepare(member, slot, random, fd, vector);
	return slot;
}

/* What the kernel refused was never a request: nothing was transferred. */
static void refuse(struct member *member, struct slot **slots, long from,
		   long count)
{
	/* The last first, so that the numbers go back. */
	while (count-- > from)
		slot_finish(member, slots[count], -EBADF);
}

static long submit_batch(struct member *member, struct random *random,
			 enum slot_kind kind)
{
	struct slot *slots[BATCH];
	struct iocb *iocbs[BATCH];
	long i, count = 0, want = 1 + random_below(random, BATCH), ret;

	while (count < want) {
		slots[count] = one_of_batch(member, random, kind);
		if (!slots[count])
			break;
		iocbs[count] = &slots[count]->iocb;
		count++;
	}
	if (!count)
		return SKIPPED;
	ret = submit(member, count, iocbs);
	if (!ret || ret > count) {
		journal_fail("io_submit of %ld requests gave %ld", count, ret);
		return ret;
	}
	refuse(member, slots, ret < 0 ? 0 : ret, count);
	/* The kernel has a copy of what it could not write yet. */
	for (i = 0; kind == WRITE && i < ret; i++)
		slot_scribble(slots[i]);
	return ret;
}

OPERATION(op_aio_read)
{
	return submit_batch(member, random, READ);
}

OPERATION(op_aio_write)
{
	return submit_batch(member, random, WRITE);
}

OPERATION(op_aio_poll)
{
	unsigned int channel;
	int fd = random_file(random, &channel);
	struct slot *slot = slot_take(member, POLL, IN_TURN, channel,
				      AIO_POLL_EVENT);
	struct iocb *iocb;
	long ret;

	if (!slot)
		return SKIPPED;
	iocb = &slot->iocb;
	memset(iocb, 0, sizeof(*iocb));
	iocb->aio_data = slot - journal->slots;
	iocb->aio_fildes = fd;
	iocb->aio_lio_opcode = IOCB_CMD_POLL;
	iocb->aio_buf = random_once_in(random, 2) ? POLLIN : POLLOUT;
	slot->aio = true;
	__atomic_store_n(&slot->state, BUSY, __ATOMIC_RELEASE);
	ret = submit(member, 1, &iocb);
	if (ret != 1)
		slot_free(slot);
	return ret;
}

OPERATION(op_aio_invalid)
{
	unsigned int channel;
	struct iocb iocb = {
		.aio_fildes = random_file(random, &channel),
		.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_buf = (uintptr_t)&iocb,
		.aio_nbytes = 8,
	};
	struct iocb *iocbs = &iocb;

	switch (random_below(random, 6)) {
	case 0:
		iocb.aio_lio_opcode = IOCB_CMD_FSYNC;
		break;
	case 1:
		iocb.aio_lio_opcode = 77;
		break;
	case 2:
		iocb.aio_nbytes = -1;
		break;
	case 3:
		iocb.aio_lio_opcode = IOCB_CMD_PREADV;
		iocb.aio_nbytes = 4096;
		break;
	case 4:
		iocb.aio_rw_flags = 1 << 30;
		break;
	default:
		iocbs = (struct iocb *)16;
	}
	return submit(member, 1, &iocbs);
}

OPERATION(op_aio_reap)
{
	return reap(member, random_below(random, 2),
		    random_below(random, 2000000));
}

static long cancel(aio_context_t context, struct slot *slot)
{
	struct io_event nothing;

	__atomic_store_n(&slot->cancelled, true, __ATOMIC_SEQ_CST);
	return vm_errno(syscall(SYS_io_cancel, context, &slot->iocb,
				&nothing));
}

OPERATION(op_aio_cancel)
{
	struct slot *slot = slot_in_progress(member, random, true, IN_TURN);

	if (!slot)
		return SKIPPED;
	member->doing_channel = slot->channel;
	return cancel(member->context, slot);
}

/* Of another thread, at any time: its slot may be free, and taken again. */
OPERATION(op_aio_cancel_other)
{
	unsigned int i = random_below(random, journal->threads);
	struct member *other = &journal->members[i];
	int index = other->slots[random_below(random, SLOTS)];
	struct slot *slot = index < 0 ? NULL : &journal->slots[index];

	if (member->child || !slot || !slot->aio || slot->state != BUSY)
		return SKIPPED;
	return cancel(other->context, slot);
}

static void setup(struct member *member)
{
	long ret;

	member->context = 0;
	ret = vm_errno(syscall(SYS_io_setup, 4 * SLOTS, &member->context));
	if (ret)
		journal_fail("io_setup: %s", strerrorname_np(-ret));
}

/* Waits for all that is in flight; what became of it nobody says. */
static long destroy(struct member *member)
{
	aio_context_t context = member->context;
	unsigned int i;
	long ret;

	for (i = 0; i < SLOTS; i++)
		if (member->slots[i] >= 0)
			journal->slots[member->slots[i]].cancelled = true;
	ret = vm_errno(syscall(SYS_io_destroy, context));
	for (i = 0; i < SLOTS; i++) {
		struct slot *slot = member->slots[i] < 0 ? NULL :
				    &journal->slots[member->slots[i]];

		if (slot && slot->aio && slot->state == BUSY)
			slot_abandon(member, slot, true);
	}
	return ret;
}

OPERATION(op_aio_destroy)
{
	long ret;

	ret = destroy(member);
	setup(member);
	return ret;
}

static bool in_flight(const struct member *member)
{
	unsigned int i;

	for (i = 0; i < SLOTS; i++)
		if (member->slots[i] >= 0 &&
		    journal->slots[member->slots[i]].aio &&
		    journal->slots[member->slots[i]].state == BUSY)
			return true;
	return false;
}

void aio_rest(struct member *member)
{
	unsigned int i;
	long got;

	for (i = 0; i < SLOTS; i++) {
		struct slot *slot = member->slots[i] < 0 ? NULL :
				    &journal->slots[member->slots[i]];

		if (slot && slot->aio && slot->state == BUSY)
			cancel(member->context, slot);
	}
	while (in_flight(member) && !journal->failed) {
		got = reap(member, 1, 100000000);
		if (got < 0 && got != -EINTR) {
			journal_fail("io_getevents: %s",
				     strerrorname_np(-got));
			return;
		}
	}
	if (destroy(member))
		journal_fail("io_destroy failed");
}

void aio_start(struct member *member)
{
	setup(member);
}
