// SPDX-License-Identifier: GPL-2.0-only
/* Torture: flags of open files, owners of signals, ioctls. */
#include "torture.h"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/*
 * Reading the flags and setting them is not one act: another thread's flip can
 * get lost, which is as good as another flip.
 */
static long flip(struct random *random, int flag, bool on)
{
	unsigned int channel;
	int fd = random_file(random, &channel);
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	return vm_errno(fcntl(fd, F_SETFL, on ? flags | flag : flags & ~flag));
}

OPERATION(op_set_async)
{
	int on = random_once_in(random, 3);
	unsigned int channel;

	if (random_once_in(random, 4))
		return vm_errno(ioctl(random_file(random, &channel), FIOASYNC,
				      &on));
	return flip(random, O_ASYNC, on);
}

OPERATION(op_set_nonblock)
{
	return flip(random, O_NONBLOCK, random_once_in(random, 2));
}

static pid_t somebody(struct random *random, bool thread)
{
	unsigned int i = random_below(random, journal->members_used);
	struct member *member = &journal->members[i];

	return thread ? member->thread : member->process;
}

OPERATION(op_set_owner)
{
	unsigned int channel;
	int fd = random_file(random, &channel);
	long owner;

	switch (random_below(random, 5)) {
	case 0:
		owner = 0;
		break;
	case 1:
		owner = -getpgrp();
		break;
	case 2:
		owner = 0x7ffffff0;
		break;
	default:
		owner = somebody(random, false);
	}
	return vm_errno(fcntl(fd, F_SETOWN, owner));
}

OPERATION(op_set_owner_ex)
{
	unsigned int channel;
	int fd = random_file(random, &channel);
	struct f_owner_ex owner;

	switch (random_below(random, 8)) {
	case 0:
		owner = (struct f_owner_ex){ F_OWNER_PGRP, getpgrp() };
		break;
	case 1:
		owner = (struct f_owner_ex){ F_OWNER_PID,
					     somebody(random, false) };
		break;
	case 2:
		owner = (struct f_owner_ex){ 17, 0 };
		break;
	case 3:
		return vm_errno(fcntl(fd, F_SETOWN_EX, NULL));
	case 4:
		return vm_errno(fcntl(fd, F_GETOWN_EX, &owner));
	default:
		owner = (struct f_owner_ex){ F_OWNER_TID,
					     somebody(random, true) };
	}
	return vm_errno(fcntl(fd, F_SETOWN_EX, &owner));
}

OPERATION(op_set_signal)
{
	unsigned int channel;
	int fd = random_file(random, &channel);
	int signals[] = {
		0, SIGIO, SIGRTMIN + 1, SIGRTMIN + 2, 65, -1,
	};

	return vm_errno(fcntl(fd, F_SETSIG,
			      signals[random_below(random,
						   VM_ARRAY_SIZE(signals))]));
}

OPERATION(op_set_framed)
{
	__u32 flags = random_below(random, 2) * ACHAN_OPEN_FRAMED;
	unsigned int channel;

	return vm_errno(ioctl(random_file(random, &channel),
			      ACHAN_IOC_SET_FLAGS, &flags));
}

static void check_info(unsigned int channel, const struct achan_info *info)
{
	struct achan_info zero = { 0 };

	if (info->abi_version != ACHAN_ABI_VERSION ||
	    info->mode != (channel_is_stream(channel) ? ACHAN_MODE_STREAM :
			   ACHAN_MODE_MESSAGE) ||
	    info->bytes > info->ring_bytes ||
	    info->open_flags & ~ACHAN_OPEN_FRAMED ||
	    memcmp(info->reserved, zero.reserved, sizeof(zero.reserved)))
		journal_fail("ACHAN_IOC_INFO of channel %u is not possible",
			     channel);
}

OPERATION(op_ioctl)
{
	size_t ring;
	unsigned int channel;
	int fd = random_file(random, &channel);
	struct achan_info info;
	int bytes = -1;
	__u32 flags;
	long ret;

	ring = channel < VM_STREAM_SMALL ? 65536 : 8192;
	switch (random_below(random, 3)) {
	case 0:
		ret = vm_errno(ioctl(fd, ACHAN_IOC_INFO, &info));
		if (!ret)
			check_info(channel, &info);
		return ret;
	case 1:
		return vm_errno(ioctl(fd, ACHAN_IOC_GET_FLAGS, &flags));
	default:
		ret = vm_errno(ioctl(fd, FIONREAD, &bytes));
		if (!ret && (bytes < 0 || (size_t)bytes > ring))
			journal_fail("FIONREAD of channel %u gave %d", channel,
				     bytes);
		return ret;
	}
}

OPERATION(op_ioctl_invalid)
{
	unsigned int channel;
	int fd = random_file(random, &channel);
	void *nowhere = (void *)(random_next(random) | 1ul << 63);
	__u32 flags = 2u << random_below(random, 31);
	long ret;

	switch (random_below(random, 6)) {
	case 0:
		ret = ioctl(fd, ACHAN_IOC_INFO, nowhere);
		break;
	case 1:
		ret = ioctl(fd, ACHAN_IOC_GET_FLAGS, 16ul);
		break;
	case 2:
		ret = ioctl(fd, ACHAN_IOC_SET_FLAGS, nowhere);
		break;
	case 3:
		ret = ioctl(fd, ACHAN_IOC_SET_FLAGS, &flags);
		break;
	case 4:
		ret = ioctl(fd, FIONREAD, nowhere);
		break;
	default:
		/* None of the generic ones, of which some do things. */
		ret = ioctl(fd, _IOWR(ACHAN_IOC_MAGIC,
				      3 + random_below(random, 250), __u32),
			    nowhere);
	}
	if (ret >= 0)
		journal_fail("an ioctl with a bad argument on channel %u gave %ld",
			     channel, ret);
	return vm_errno(ret);
}

/* What a channel cannot do. */
OPERATION(op_impossible)
{
	unsigned int channel;
	int fd = random_file(random, &channel);
	char byte = 0;
	void *memory;

	switch (random_below(random, 6)) {
	case 0:
		return vm_errno(lseek(fd, 0, SEEK_CUR));
	case 1:
		return vm_errno(pread(fd, &byte, 1, 0));
	case 2:
		return vm_errno(pwrite(fd, &byte, 1, 0));
	case 3:
		return vm_errno(fsync(fd));
	case 4:
		return vm_errno(ftruncate(fd, 0));
	default:
		memory = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
		if (memory == MAP_FAILED)
			return -errno;
		journal_fail("mmap of channel %u succeeded", channel);
		return 0;
	}
}

OPERATION(op_fdinfo)
{
	unsigned int channel;
	char path[40], text[1024];
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d",
		 random_file(random, &channel));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	got = vm_errno(read(fd, text, sizeof(text)));
	close(fd);
	return got;
}
