// SPDX-License-Identifier: LGPL-2.1-or-later
/* Channels: open, read, write, poll and the ioctls. */
#include "internal.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

/* Bytes of the first version of the options. */
#define OPEN_OPTS_OLDEST	offsetof(struct achan_open_opts, interruptible)

static int new_channel(struct achan **result, int fd)
{
	struct achan_process *process;
	struct achan *channel;
	int ret;

	ret = achan_process_get(&process);
	if (ret)
		return ret;
	channel = achan_allocate(1, sizeof(*channel));
	if (!channel)
		return -ENOMEM;
	channel->stamp = atomic_load(&process->stamp);
	channel->fd = fd;
	*result = channel;
	return 0;
}

static int set_flags(int fd, uint32_t set, uint32_t clear)
{
	__u32 flags;
	int ret;

	ret = ACHAN_RESULT(ioctl(fd, ACHAN_IOC_GET_FLAGS, &flags));
	if (ret < 0)
		return ret;
	flags = (flags & ~clear) | set;
	ret = ACHAN_RESULT(ioctl(fd, ACHAN_IOC_SET_FLAGS, &flags));
	return ret < 0 ? ret : 0;
}

/*
 * O_ASYNC is refused because open(2) sets it without telling the driver, and
 * nothing can clear it afterwards: such a file never signals.
 */
static int check_open_opts(const struct achan_open_opts *opts)
{
	if (opts->flags & ~(O_ACCMODE | O_NONBLOCK | O_CLOEXEC) ||
	    (opts->flags & O_ACCMODE) == O_ACCMODE)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(opts->reserved); i++)
		if (opts->reserved[i])
			return -EINVAL;
	return opts->channel_flags & ~ACHAN_OPEN_FRAMED ? -EINVAL : 0;
}

/*
 * Opens what must be a channel. A file that is no device is not opened: that of
 * a FIFO could wait.
 */
static int open_node(const char *path, int flags)
{
	struct stat found;
	__u32 unused;
	int fd, ret;

	if (!ACHAN_RESULT(stat(path, &found)) && !S_ISCHR(found.st_mode))
		return -ENOTTY;
	fd = ACHAN_RESULT(open(path, flags | O_CLOEXEC));
	if (fd < 0)
		return fd;
	ret = ACHAN_RESULT(ioctl(fd, ACHAN_IOC_GET_FLAGS, &unused));
	if (ret >= 0)
		return fd;
	achan_close_fd(fd);
	return ret == -ENODEV ? ret : -ENOTTY;
}

static int open_named(const char *name, int flags)
{
	char path[ACHAN_NODE_PATH_MAX];
	int ret;

	if (strchr(name, '/'))
		return open_node(name, flags);
	ret = achan_find_node(name, path, sizeof(path));
	return ret ? ret : open_node(path, flags);
}

int achan_open(struct achan **result, const char *name,
	       const struct achan_open_opts *given)
{
	struct achan_open_opts opts;
	int fd, ret;

	if (!result || !name)
		return -EINVAL;
	ret = achan_options_read(&opts, sizeof(opts), OPEN_OPTS_OLDEST, given);
	if (ret)
		return ret;
	if (!given)
		opts.flags = O_RDWR;
	ret = check_open_opts(&opts);
	if (ret)
		return ret;
	fd = open_named(name, opts.flags);
	if (fd < 0)
		return fd;
	if (opts.channel_flags)
		ret = set_flags(fd, opts.channel_flags, 0);
	if (!ret)
		ret = new_channel(result, fd);
	if (ret)
		achan_close_fd(fd);
	else
		atomic_store(&(*result)->interruptible, opts.interruptible);
	return ret;
}

int achan_open_fd(struct achan **result, int fd)
{
	int flags, ret;

	if (!result)
		return -EINVAL;
	flags = ACHAN_RESULT(fcntl(fd, F_GETFL));
	if (flags < 0)
		return flags;
	if (flags & O_ASYNC)
		return -EINVAL;
	flags = ACHAN_RESULT(fcntl(fd, F_GETFD));
	if (flags < 0)
		return flags;
	ret = new_channel(result, fd);
	if (ret)
		return ret;
	fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
	return 0;
}

void achan_close(struct achan *channel)
{
	struct achan_notifier *notifier;

	if (!channel)
		return;
	if (!achan_check(channel)) {
		notifier = atomic_load(&channel->notifier);
		if (notifier)
			achan_notifier_del(notifier, channel);
	}
	achan_close_fd(channel->fd);
	free(channel);
}

int achan_fd(const struct achan *channel)
{
	int ret = achan_check(channel);

	return ret ? ret : channel->fd;
}

int achan_get_info(struct achan *channel, struct achan_info *info)
{
	struct achan_info found;
	int ret = achan_check(channel);

	if (ret)
		return ret;
	if (!info)
		return -EINVAL;
	ret = ACHAN_RESULT(ioctl(channel->fd, ACHAN_IOC_INFO, &found));
	if (ret < 0)
		return ret;
	if (found.abi_version != ACHAN_ABI_VERSION)
		return -EPROTO;
	*info = found;
	return 0;
}

int achan_get_config(struct achan *channel, struct achan_config *config)
{
	struct achan_config found;
	int ret = achan_check(channel);

	if (ret)
		return ret;
	if (!config)
		return -EINVAL;
	ret = ACHAN_RESULT(ioctl(channel->fd, ACHAN_IOC_CONFIG, &found));
	if (ret < 0)
		return ret;
	*config = found;
	return 0;
}

int achan_get_stats(struct achan *channel, struct achan_stats *stats)
{
	struct achan_stats found;
	int ret = achan_check(channel);

	if (ret)
		return ret;
	if (!stats)
		return -EINVAL;
	ret = ACHAN_RESULT(ioctl(channel->fd, ACHAN_IOC_STATS, &found));
	if (ret < 0)
		return ret;
	*stats = found;
	return 0;
}

int achan_set_framed(struct achan *channel, bool framed)
{
	int ret = achan_check(channel);

	if (ret)
		return ret;
	return framed ? set_flags(channel->fd, ACHAN_OPEN_FRAMED, 0)
		      : set_flags(channel->fd, 0, ACHAN_OPEN_FRAMED);
}

int achan_set_interruptible(struct achan *channel, bool interruptible)
{
	int ret = achan_check(channel);

	if (!ret)
		atomic_store(&channel->interruptible, interruptible);
	return ret;
}

/* One read or write of a channel. */
struct transfer {
	struct achan *channel;
	struct iovec iov;
	bool writing;
};

static ssize_t move_plain(const struct transfer *transfer)
{
	int fd = transfer->channel->fd;
	const struct iovec *iov = &transfer->iov;

	if (transfer->writing)
		return ACHAN_RESULT(write(fd, iov->iov_base, iov->iov_len));
	return ACHAN_RESULT(read(fd, iov->iov_base, iov->iov_len));
}

/*
 * RWF_NOWAIT does not wait whatever the file's O_NONBLOCK says. A file that
 * does not know it must have O_NONBLOCK: to poll first is no replacement, as
 * another reader may be faster.
 */
static ssize_t move_nowait(const struct transfer *transfer)
{
	struct achan *channel = transfer->channel;
	const struct iovec *iov = &transfer->iov;
	ssize_t moved;
	int flags;

	if (atomic_load(&channel->plain_nowait))
		return move_plain(transfer);
	if (transfer->writing)
		moved = ACHAN_RESULT(pwritev2(channel->fd, iov, 1, -1,
					      RWF_NOWAIT));
	else
		moved = ACHAN_RESULT(preadv2(channel->fd, iov, 1, -1,
					     RWF_NOWAIT));
	if (moved != -EOPNOTSUPP && moved != -ENOSYS)
		return moved;
	flags = ACHAN_RESULT(fcntl(channel->fd, F_GETFL));
	if (flags < 0)
		return flags;
	if (!(flags & O_NONBLOCK))
		return -EOPNOTSUPP;
	atomic_store(&channel->plain_nowait, true);
	return move_plain(transfer);
}

/*
 * Moves some bytes now or, if the file can do no better, waits in the file's
 * own read or write. An interruptible channel sleeps in ppoll() instead, which
 * the kernel does not restart after a handler with SA_RESTART.
 */
static ssize_t try_to_move(const struct transfer *transfer, int64_t deadline,
			   bool interruptible)
{
	ssize_t moved;

	if (deadline == ACHAN_DEADLINE_NEVER && !interruptible)
		return move_plain(transfer);
	moved = move_nowait(transfer);
	if (moved == -EOPNOTSUPP && deadline == ACHAN_DEADLINE_NEVER)
		return move_plain(transfer);
	return moved;
}

/* Moves some bytes, as soon as any can be moved until @deadline. */
static ssize_t move_some(const struct transfer *transfer, int64_t deadline)
{
	bool interruptible = atomic_load(&transfer->channel->interruptible);
	int events = transfer->writing ? POLLOUT : POLLIN;
	ssize_t moved;
	int ret;

	for (;;) {
		moved = try_to_move(transfer, deadline, interruptible);
		if (moved == -EINTR && !interruptible)
			continue;
		if (moved != -EAGAIN || !deadline)
			return moved;
		ret = achan_wait_fd(transfer->channel->fd, events, deadline);
		if (!ret)
			return -ETIMEDOUT;
		if (ret < 0 && (ret != -EINTR || interruptible))
			return ret;
	}
}

ssize_t achan_read(struct achan *channel, void *buf, size_t len,
		   int64_t timeout_ns)
{
	struct transfer transfer = {
		.channel = channel,
		.iov = { .iov_base = buf, .iov_len = len },
	};
	int ret = achan_check(channel);

	if (ret)
		return ret;
	return move_some(&transfer, achan_deadline(timeout_ns));
}

ssize_t achan_write(struct achan *channel, const void *buf, size_t len,
		    int64_t timeout_ns)
{
	struct transfer transfer = {
		.channel = channel,
		.iov = { .iov_base = (void *)(uintptr_t)buf, .iov_len = len },
		.writing = true,
	};
	int64_t deadline;
	size_t done = 0;
	ssize_t moved;
	int ret = achan_check(channel);

	if (ret)
		return ret;
	deadline = achan_deadline(timeout_ns);
	do {
		moved = move_some(&transfer, deadline);
		if (moved <= 0)
			return done ? (ssize_t)done : moved;
		done += (size_t)moved;
		transfer.iov.iov_base = (char *)transfer.iov.iov_base + moved;
		transfer.iov.iov_len -= (size_t)moved;
	} while (transfer.iov.iov_len && deadline);
	return (ssize_t)done;
}

int achan_poll(struct achan *channel, int events, int64_t timeout_ns)
{
	int ret = achan_check(channel);

	if (ret)
		return ret;
	if (!achan_events_valid(events))
		return -EINVAL;
	return achan_wait_fd(channel->fd, events, achan_deadline(timeout_ns));
}
