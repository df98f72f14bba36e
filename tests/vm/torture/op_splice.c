// SPDX-License-Identifier: GPL-2.0-only
/* Torture: splice(2) both ways, sendfile(2). */
#include "torture.h"

#include <sys/sendfile.h>

static long to_pipe(struct random *random, int fd, int pipe, size_t length)
{
	unsigned int flags = random_below(random, 2) * SPLICE_F_NONBLOCK |
			     random_below(random, 2) * SPLICE_F_MOVE;

	if (random_once_in(random, 4))
		return vm_errno(sendfile(pipe, fd, NULL, length));
	return vm_errno(splice(fd, NULL, pipe, NULL, length, flags));
}

/* The pipe is empty before and after. */
OPERATION(op_splice_read)
{
	unsigned int channel;
	int fd = random_file(random, &channel);
	struct slot *slot = slot_take(member, READ, IN_TURN, channel,
				      member->doing);
	unsigned char *to;
	long ret, got, at = 0;

	if (!slot)
		return SKIPPED;
	slot_aim_read(slot, random, false);
	/* It comes by the pipe, so the memory is always good. */
	slot->iov[0].iov_base = slot->view;
	ret = to_pipe(random, fd, member->local->pipe[1], slot->length);
	to = slot_data(slot);
	while (at < ret) {
		got = vm_errno(read(member->local->pipe[0], to + at, ret - at));
		if (got <= 0 && got != -EINTR) {
			journal_fail("splice from channel %u said %ld bytes, of which the pipe had %ld",
				     channel, ret, at);
			break;
		}
		if (got > 0)
			at += got;
	}
	return slot_finish(member, slot, ret);
}

static void empty(int pipe, void *scratch)
{
	ssize_t got;

	do {
		got = read(pipe, scratch, REGION);
	} while (got > 0 || (got < 0 && errno == EINTR));
}

OPERATION(op_splice_write)
{
	unsigned int flags = random_below(random, 2) * SPLICE_F_NONBLOCK |
			     random_below(random, 2) * SPLICE_F_MOVE;
	unsigned int channel;
	int fd = random_file(random, &channel);
	struct slot *slot = slot_take(member, WRITE, IN_TURN, channel,
				      member->doing);
	long ret;

	if (!slot || !slot_fill_write(member, slot, random))
		return SKIPPED;
	ret = vm_errno(write(member->local->pipe[1], slot_data(slot),
			     slot->length));
	if (ret != (long)slot->length) {
		journal_fail("write to an empty pipe of %zu bytes gave %ld",
			     slot->length, ret);
		return SKIPPED;
	}
	ret = vm_errno(splice(member->local->pipe[0], NULL, fd, NULL,
			      slot->length, flags));
	if (ret != (long)slot->length)
		empty(member->local->pipe[0], member->local->scratch);
	return slot_finish(member, slot, ret);
}

OPERATION(op_sendfile)
{
	unsigned int channel;
	int fd = random_file(random, &channel);
	struct slot *slot = slot_take(member, WRITE, IN_TURN, channel,
				      member->doing);
	off_t offset = 0;

	if (!slot || !slot_fill_write(member, slot, random))
		return SKIPPED;
	if (pwrite(member->local->file, slot_data(slot), slot->length, 0) !=
	    (ssize_t)slot->length) {
		journal_fail("pwrite to a memory file: %s", strerror(errno));
		return SKIPPED;
	}
	return slot_finish(member, slot,
			   vm_errno(sendfile(fd, member->local->file, &offset,
					     slot->length)));
}

/* To what is no pipe, the kernel sends only from what can be sought. */
OPERATION(op_sendfile_from)
{
	unsigned int channel;
	int fd = random_file(random, &channel);

	return vm_errno(sendfile(member->local->file, fd, NULL, 4096));
}
