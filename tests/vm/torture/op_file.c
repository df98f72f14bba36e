// SPDX-License-Identifier: GPL-2.0-only
/*
 * Torture: the open files that all members share. One is replaced by another
 * of the same channel in one act, or leaves a hole that only another of it
 * fills: no thread ever gets hold of a file that is not the one it means.
 */
#include "torture.h"

int random_file(struct random *random, unsigned int *channel)
{
	unsigned int index = random_below(random, FILES);

	*channel = index % journal->channels;
	return FILE_BASE + index;
}

long file_open(unsigned int index, int flags)
{
	int fd = open(vm_path(index % journal->channels), flags);
	long ret;

	if (fd < 0)
		return -errno;
	ret = vm_errno(dup3(fd, FILE_BASE + index, flags & O_CLOEXEC));
	close(fd);
	return ret;
}

OPERATION(op_open)
{
	static const int modes[] = { O_RDWR, O_RDWR, O_RDONLY, O_WRONLY };
	int flags = modes[random_below(random, 4)] |
		    random_below(random, 2) * O_NONBLOCK |
		    random_below(random, 2) * O_CLOEXEC;

	return file_open(random_below(random, FILES), flags);
}

OPERATION(op_close)
{
	unsigned int channel;

	return vm_errno(close(random_file(random, &channel)));
}

OPERATION(op_dup)
{
	unsigned int channel, times;
	int fd = random_file(random, &channel);
	int to = FILE_BASE + channel;

	times = random_below(random, FILES / journal->channels);
	to += times * journal->channels;
	if (to == fd)
		return SKIPPED;
	return vm_errno(dup3(fd, to, random_below(random, 2) * O_CLOEXEC));
}
