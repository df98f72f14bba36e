// SPDX-License-Identifier: GPL-2.0-only
/* Torture: read(2), write(2) and their like. */
#include "torture.h"

#include <sys/syscall.h>

static struct slot *take(struct member *member, struct random *random,
			 enum slot_kind kind, int *fd)
{
	unsigned int channel;
	struct slot *slot;

	*fd = random_file(random, &channel);
	slot = slot_take(member, kind, IN_TURN, channel, member->doing);
	if (slot)
		member->doing_channel = channel;
	return slot;
}

OPERATION(op_read)
{
	struct slot *slot;
	int fd;

	slot = take(member, random, READ, &fd);
	if (!slot)
		return SKIPPED;
	slot_aim_read(slot, random, false);
	return slot_finish(member, slot,
			   vm_errno(read(fd, slot->iov[0].iov_base,
					 slot->length)));
}

OPERATION(op_readv)
{
	struct slot *slot;
	int fd;

	slot = take(member, random, READ, &fd);
	if (!slot)
		return SKIPPED;
	slot_aim_read(slot, random, true);
	return slot_finish(member, slot,
			   vm_errno(readv(fd, slot->iov, slot->segments)));
}

OPERATION(op_preadv2)
{
	struct slot *slot;
	int fd;

	slot = take(member, random, READ, &fd);
	if (!slot)
		return SKIPPED;
	slot->no_wait = true;
	slot_aim_read(slot, random, true);
	return slot_finish(member, slot,
			   vm_errno(preadv2(fd, slot->iov, slot->segments, -1,
					    RWF_NOWAIT)));
}

OPERATION(op_write)
{
	struct slot *slot;
	int fd;

	slot = take(member, random, WRITE, &fd);
	if (!slot || !slot_aim_write(member, slot, random, false))
		return SKIPPED;
	return slot_finish(member, slot,
			   vm_errno(write(fd, slot->iov[0].iov_base,
					  slot->length)));
}

OPERATION(op_writev)
{
	struct slot *slot;
	int fd;

	slot = take(member, random, WRITE, &fd);
	if (!slot || !slot_aim_write(member, slot, random, true))
		return SKIPPED;
	return slot_finish(member, slot,
			   vm_errno(writev(fd, slot->iov, slot->segments)));
}

OPERATION(op_pwritev2)
{
	struct slot *slot;
	int fd;

	slot = take(member, random, WRITE, &fd);
	if (!slot)
		return SKIPPED;
	slot->no_wait = true;
	if (!slot_aim_write(member, slot, random, true))
		return SKIPPED;
	return slot_finish(member, slot,
			   vm_errno(pwritev2(fd, slot->iov, slot->segments, -1,
					     RWF_NOWAIT)));
}

/* Memory that never was any: nothing may be taken, nothing put in. */
OPERATION(op_bad_pointer)
{
	void *nowhere = (void *)(random_once_in(random, 2) ? 16UL :
				 0x7fffffffe000UL);
	unsigned int channel;
	int fd = random_file(random, &channel);
	size_t length = 16 + random_below(random, 4000) / 8 * 8;
	struct iovec iov = { nowhere, length };
	long ret;

	switch (random_below(random, 5)) {
	case 0:
		ret = vm_errno(read(fd, nowhere, length));
		break;
	case 1:
		ret = vm_errno(write(fd, nowhere, length));
		break;
	case 2:
		ret = vm_errno(readv(fd, nowhere, 2));
		break;
	case 3:
		ret = vm_errno(preadv2(fd, &iov, 1, -1, RWF_NOWAIT));
		break;
	default:
		ret = vm_errno(syscall(SYS_writev, fd, &iov, -1L));
	}
	if (ret > 0)
		journal_fail("a transfer of memory that is none, on channel %u, gave %ld",
			     channel, ret);
	return ret;
}
