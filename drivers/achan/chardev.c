// SPDX-License-Identifier: GPL-2.0-only
/*
 * achan: the file operations of a channel's node.
 *
 * What a call does that finds nothing to read, or no room:
 *
 *	IOCB_NOWAIT			-EAGAIN (RWF_NOWAIT, io_uring's attempt)
 *	IOCB_AIO_RW			parks, on an O_NONBLOCK file too
 *	O_NONBLOCK			-EAGAIN
 *	anything else			sleeps, also io_uring's worker threads
 *
 * A kiocb that is not AIO's never parks, whatever its ki_complete says: only
 * fs/aio.c can cancel what is parked.
 */
#include <linux/compat.h>
#include <linux/fs.h>
#include <linux/limits.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/ioctls.h>

#include "achan.h"
#include "compat.h"
#include "trace.h"

static int achan_open(struct inode *inode, struct file *filp)
{
	struct achan *channel = container_of(inode->i_cdev, struct achan, cdev);
	struct achan_file *file;
	int ret;

	file = kzalloc(sizeof(*file), GFP_KERNEL_ACCOUNT);
	if (!file)
		return -ENOMEM;
	file->channel = channel;
	ret = achan_ends_open(file, filp->f_mode, filp->f_flags & O_NONBLOCK);
	if (ret) {
		kfree(file);
		return ret;
	}
	filp->private_data = file;
	/* io_uring attempts a read or write in place only where it sees this. */
	filp->f_mode |= FMODE_NOWAIT;
	return stream_open(inode, filp);
}

static int achan_release(struct inode *inode, struct file *filp)
{
	struct achan_file *file = filp->private_data;

	achan_ends_close(file, filp->f_mode);
	kfree(file);
	return 0;
}

static bool must_not_wait(const struct kiocb *iocb)
{
	return iocb->ki_flags & IOCB_NOWAIT;
}

static bool may_park(const struct kiocb *iocb)
{
	return iocb->ki_flags & IOCB_AIO_RW;
}

/* What a read may do for want of records. */
static enum achan_wait read_wait(const struct kiocb *iocb)
{
	if (must_not_wait(iocb))
		return ACHAN_WAIT_NOT;
	if (may_park(iocb))
		return ACHAN_WAIT_PARKED;
	return iocb->ki_filp->f_flags & O_NONBLOCK ? ACHAN_WAIT_NOT :
						     ACHAN_WAIT_ASLEEP;
}

/* Return: 0, -EFAULT, or -EINTR for one who is being killed. */
static int make_present(struct iov_iter *to, size_t want, bool *truncated)
{
	size_t left = fault_in_iov_iter_writeable(to, want);

	if (left == want)
		return -EFAULT;
	/* What lies before the bad address is good. */
	if (left) {
		iov_iter_truncate(to, want - left);
		*truncated = true;
	}
	if (fatal_signal_pending(current))
		return -EINTR;
	cond_resched();
	return 0;
}

/* @want bytes of the buffer were not present: makes them so, and reads again. */
static noinline ssize_t read_absent(struct achan_file *file,
				    struct iov_iter *to, bool framed,
				    enum achan_wait wait, size_t want)
{
	size_t count = iov_iter_count(to);
	unsigned int faults = 0;
	bool truncated = false;
	ssize_t ret = -EFAULT;

	while (ret == -EFAULT && user_backed_iter(to) &&
	       ++faults < ACHAN_FAULTS_MAX) {
		ret = make_present(to, want, &truncated);
		if (ret)
			break;
		ret = achan_read(file->rx, to, framed, wait, &want);
	}
	if (ret == -EMSGSIZE && truncated)
		ret = -EFAULT;
	/* Back to what the caller gave, which may be tried again. */
	if (ret < 0)
		iov_iter_reexpand(to, count);
	return ret;
}

/* Often there is nothing, which takes no lock to see. */
static bool may_be_readable(const struct achan_lane *lane)
{
	return !achan_ring_is_empty(&lane->ring) ||
	       READ_ONCE(lane->no_writer) || READ_ONCE(lane->dead);
}

/*
 * One attempt to read, with the buffer made present where it is not. @wait: see
 * achan_read().
 */
static __always_inline ssize_t read_now(struct achan_file *file,
					struct iov_iter *to,
					enum achan_wait wait)
{
	bool framed = READ_ONCE(file->flags) & ACHAN_OPEN_FRAMED;
	size_t want = 0;
	ssize_t ret;

	if (!may_be_readable(file->rx))
		return -EAGAIN;
	ret = achan_read(file->rx, to, framed, wait, &want);
	if (ret == -EFAULT)
		ret = read_absent(file, to, framed, wait, want);
	return ret == -EPIPE ? 0 : ret;
}

/* What follows an attempt that found nothing, where that need not be the end. */
static noinline ssize_t read_later(struct kiocb *iocb, struct iov_iter *to)
{
	struct achan_file *file = iocb->ki_filp->private_data;
	ssize_t ret;

	if (may_park(iocb))
		return achan_park_read(file, iocb, to);
	if (read_wait(iocb) == ACHAN_WAIT_NOT)
		return -EAGAIN;
	do {
		ret = achan_wait_readable(file);
		if (!ret)
			ret = read_now(file, to, ACHAN_WAIT_ASLEEP);
	} while (ret == -EAGAIN);
	achan_pass_on(file->rx);
	return ret;
}

static ssize_t achan_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct achan_file *file = iocb->ki_filp->private_data;
	ssize_t ret;

	if (!iov_iter_count(to))
		return 0;
	ret = read_now(file, to, read_wait(iocb));
	if (ret == -EAGAIN && !must_not_wait(iocb))
		ret = read_later(iocb, to);
	return ret;
}

/* Out of line: where the compiler clears what is on the stack, it clears the kiocb. */
static noinline ssize_t
with_kiocb(ssize_t (*transfer)(struct kiocb *iocb, struct iov_iter *iter),
	   struct file *filp, struct iov_iter *iter)
{
	struct kiocb iocb;

	init_sync_kiocb(&iocb, filp);
	return transfer(&iocb, iter);
}

/*
 * read() itself: with read_iter() alone the kernel would fill in a kiocb, and look up
 * an I/O priority, that only a read that finds nothing has a use for. /dev/zero has
 * both for the same reason.
 */
static ssize_t achan_read_plain(struct file *filp, char __user *buf,
				size_t count, loff_t *ppos)
{
	bool wait = !(filp->f_flags & O_NONBLOCK);
	struct iov_iter to;
	ssize_t ret;

	if (!count)
		return 0;
	iov_iter_ubuf(&to, ITER_DEST, buf, count);
	ret = read_now(filp->private_data, &to,
		       wait ? ACHAN_WAIT_ASLEEP : ACHAN_WAIT_NOT);
	if (ret == -EAGAIN && wait)
		ret = with_kiocb(read_later, filp, &to);
	return ret;
}

/*
 * Once more after a delivery, in a broadcast without room: what is in the way is
 * records that nobody has delivered yet. Where somebody else is delivering them, or a
 * record that is not committed keeps others back, this does not wait for it.
 */
static ssize_t put(struct achan_lane *lane, struct iov_iter *from, size_t total,
		   u32 *length, u32 *need)
{
	ssize_t ret = achan_put(lane, from, total, length, need);

	if (ret != -EAGAIN || !lane->broadcast)
		return ret;
	achan_lane_do(lane, ACHAN_DUE_RUN);
	return achan_put(lane, from, total, length, need);
}

/*
 * Puts one record in, with the buffer made present where it is not. Return:
 * payload bytes, or an error; for -EAGAIN @need says how much must be free.
 */
static ssize_t write_record(struct achan_file *file, struct iov_iter *from,
			    size_t total, u32 *need)
{
	bool divisible = file->channel->mode == ACHAN_MODE_STREAM &&
			 total > PIPE_BUF;
	unsigned int faults = 0;
	ssize_t copied;
	size_t left;
	u32 length;

	for (;;) {
		copied = put(file->tx, from, total, &length, need);
		if (copied < 0 || copied == length)
			return copied;

		iov_iter_revert(from, copied);
		left = fault_in_iov_iter_readable(from, length);
		if (left == length || (left && !divisible) ||
		    ++faults == ACHAN_FAULTS_MAX)
			return -EFAULT;
		/* What lies before the bad address is written. */
		if (left)
			iov_iter_truncate(from, length - left);
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
}

/* As fs/pipe.c, also where a part was written, and whoever submits the write. */
static void tell_broken_pipe(const struct kiocb *iocb)
{
	const struct achan_file *file = iocb->ki_filp->private_data;

	if (achan_is_fifo(file->channel) && !(iocb->ki_flags & IOCB_NOSIGNAL))
		send_sig(SIGPIPE, current, 0);
}

/*
 * Sleeps until the next record is in, or, where it must not park, until there may be
 * room for it. Return: bytes of it, 0 if there may be room, or an error.
 */
static ssize_t sleep_for_room(struct achan_file *file, struct iov_iter *from,
			      u32 need)
{
	size_t length = iov_iter_count(from);
	ssize_t ret;

	if (file->channel->mode == ACHAN_MODE_STREAM)
		length = min_t(size_t, length, PIPE_BUF);
	ret = achan_park_sleep(file, from, length);
	return ret == -EAGAIN ? achan_wait_room(file, need) : ret;
}

static noinline ssize_t write_records(struct kiocb *iocb, struct iov_iter *from)
{
	struct achan_file *file = iocb->ki_filp->private_data;
	size_t total = iov_iter_count(from), written = 0;
	u32 need = 0;
	ssize_t ret;

	do {
		ret = write_record(file, from, total, &need);
		if (ret > 0) {
			written += ret;
			continue;
		}
		if (ret != -EAGAIN || must_not_wait(iocb))
			break;
		if (may_park(iocb)) {
			ret = achan_park_write(file, iocb, from, written);
			break;
		}
		if (iocb->ki_filp->f_flags & O_NONBLOCK)
			break;
		ret = sleep_for_room(file, from, need);
		if (ret < 0)
			break;
		written += ret;
	} while (iov_iter_count(from));

	/* See achan_poll(). */
	WRITE_ONCE(file->write_need, ret == -EAGAIN ? need : 0);
	if (ret == -EPIPE)
		tell_broken_pipe(iocb);
	if (ret == -EIOCBQUEUED)
		return ret;
	return written ?: ret;
}

/* Most are, and present, and there is room. Return: false if it takes more. */
static bool write_short(struct achan_file *file, struct iov_iter *from)
{
	if (!achan_put_short(file->tx, from))
		return false;
	if (READ_ONCE(file->write_need))
		WRITE_ONCE(file->write_need, 0);
	return true;
}

/* What write_short() could not do. */
static ssize_t write_long(struct kiocb *iocb, struct iov_iter *from)
{
	struct achan_file *file = iocb->ki_filp->private_data;

	if (file->channel->mode == ACHAN_MODE_MESSAGE &&
	    iov_iter_count(from) > achan_ring_record_max(&file->tx->ring))
		return -EMSGSIZE;
	return write_records(iocb, from);
}

static ssize_t achan_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	size_t total = iov_iter_count(from);

	if (!total || write_short(iocb->ki_filp->private_data, from))
		return total;
	return write_long(iocb, from);
}

/* write() itself, as achan_read_plain(). */
static ssize_t achan_write_plain(struct file *filp, const char __user *buf,
				 size_t count, loff_t *ppos)
{
	struct iov_iter from;

	iov_iter_ubuf(&from, ITER_SOURCE, (void __user *)buf, count);
	if (!count || write_short(filp->private_data, &from))
		return count;
	return with_kiocb(write_long, filp, &from);
}

/*
 * Bytes of ring that must be free for a file to be called writable: what its
 * last write lacked, so that who waits for it does not spin; else a record
 * of PIPE_BUF bytes.
 */
static u32 write_need(const struct achan_file *file)
{
	return READ_ONCE(file->write_need) ?: ACHAN_RECORD_SIZE(PIPE_BUF);
}

/*
 * What the other end's hang-up is called at the ends of @filp. A file that was opened
 * when a named pipe had no writer does not see a hang-up before one has come.
 */
static __poll_t hang_up_events(struct file *filp)
{
	struct achan_file *file = filp->private_data;
	__poll_t events = 0;

	if ((filp->f_mode & FMODE_READ) && READ_ONCE(file->rx->no_writer) &&
	    file->writes_seen != READ_ONCE(file->channel->rx->writes_opened))
		events |= EPOLLHUP;
	if (!(filp->f_mode & FMODE_WRITE) || !READ_ONCE(file->tx->no_reader))
		return events;
	if (achan_is_fifo(file->channel))
		return events | EPOLLERR;
	/* A write does not wait either: it fails. */
	return events | EPOLLHUP | EPOLLOUT | EPOLLWRNORM;
}

static bool readable(struct achan_file *file)
{
	return achan_is_fifo(file->channel) ? achan_lane_filled(file->rx) :
					      achan_lane_readable(file->rx);
}

static bool writable(struct achan_file *file)
{
	return achan_is_fifo(file->channel) ?
	       achan_lane_open_room(file->tx, write_need(file)) :
	       achan_lane_room(file->tx, write_need(file));
}

static __poll_t achan_poll(struct file *filp, poll_table *wait)
{
	struct achan_file *file = filp->private_data;
	__poll_t wanted = poll_requested_events(wait);
	__poll_t events;

	poll_wait(filp, &file->port->wait, wait);
	/*
	 * Pairs with wq_has_sleeper() in notify.c: the queue is joined before the
	 * flags are looked at. Not every kernel's poll_wait() has a barrier.
	 */
	smp_mb();
	events = hang_up_events(filp);
	if (READ_ONCE(file->rx->dead))
		return EPOLLIN | EPOLLRDNORM | EPOLLHUP | EPOLLERR;
	if ((filp->f_mode & FMODE_READ) && readable(file))
		events |= EPOLLIN | EPOLLRDNORM;
	/* Asking for room asks for a wake-up: only for those who want one. */
	if ((filp->f_mode & FMODE_WRITE) &&
	    (wanted & (EPOLLOUT | EPOLLWRNORM)) && writable(file))
		events |= EPOLLOUT | EPOLLWRNORM;
	return events;
}

/* Bytes that a read gets: of the next message, or of the whole stream. */
static u64 readable_bytes(const struct achan_file *file)
{
	struct achan_ring *ring = &file->rx->ring;
	struct achan_cursor cursor;
	unsigned long flags;
	u64 bytes = 0;

	raw_spin_lock_irqsave(&ring->lock, flags);
	if (file->channel->mode == ACHAN_MODE_STREAM) {
		bytes = ring->bytes;
	} else if (achan_ring_readable(ring)) {
		achan_ring_begin(ring, &cursor);
		bytes = achan_ring_next(ring, &cursor)->length;
	}
	raw_spin_unlock_irqrestore(&ring->lock, flags);
	return bytes;
}

static void get_info(const struct achan_file *file, struct achan_info *info)
{
	struct achan *channel = file->channel;
	struct achan_lane *rx = file->rx, *tx = file->tx;
	unsigned long flags;

	memset(info, 0, sizeof(*info));
	info->abi_version = ACHAN_ABI_VERSION;
	info->kind = channel->kind;
	info->mode = channel->mode;
	info->open_flags = READ_ONCE(file->flags);
	info->ring_bytes = channel->unit->config.ring_bytes;
	info->record_max = tx->capacity ?: achan_ring_record_max(&tx->ring);
	strscpy(info->name, channel->name, sizeof(info->name));

	raw_spin_lock_irqsave(&rx->ring.lock, flags);
	info->bytes = rx->ring.bytes;
	info->sequence = achan_lane_sequence(rx);
	info->discarded = rx->ring.discarded;
	info->parked_reads = rx->reads.nr;
	info->pinned_reads = rx->pinned_reads;
	info->worker_reads = rx->reads.ever - rx->pinned_reads;
	info->cancelled = rx->reads.cancelled;
	raw_spin_unlock_irqrestore(&rx->ring.lock, flags);

	raw_spin_lock_irqsave(&tx->ring.lock, flags);
	info->parked_writes = tx->writes.nr;
	info->copied_writes = tx->writes.ever;
	info->cancelled += tx->writes.cancelled;
	raw_spin_unlock_irqrestore(&tx->ring.lock, flags);
}

static long set_flags(struct achan_file *file, u32 __user *argument)
{
	u32 flags;

	if (get_user(flags, argument))
		return -EFAULT;
	if (flags & ~ACHAN_OPEN_FRAMED)
		return -EINVAL;
	WRITE_ONCE(file->flags, flags);
	return 0;
}

static long answer_with(void __user *argument, const void *data, size_t bytes)
{
	return copy_to_user(argument, data, bytes) ? -EFAULT : 0;
}

static long achan_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	struct achan_file *file = filp->private_data;
	void __user *argument = (void __user *)arg;
	union {
		struct achan_info info;
		struct achan_stats stats;
		struct achan_config config;
	} answer;

	switch (cmd) {
	case FIONREAD:
		return put_user((int)min_t(u64, readable_bytes(file), INT_MAX),
				(int __user *)argument);
	case ACHAN_IOC_INFO:
		get_info(file, &answer.info);
		return answer_with(argument, &answer.info, sizeof(answer.info));
	case ACHAN_IOC_STATS:
		achan_get_file_stats(file, &answer.stats);
		return answer_with(argument, &answer.stats,
				   sizeof(answer.stats));
	case ACHAN_IOC_CONFIG:
		achan_get_config(file->channel, &answer.config);
		return answer_with(argument, &answer.config,
				   sizeof(answer.config));
	case ACHAN_IOC_GET_FLAGS:
		return put_user(READ_ONCE(file->flags), (u32 __user *)argument);
	case ACHAN_IOC_SET_FLAGS:
		return set_flags(file, argument);
	default:
		return -ENOTTY;
	}
}

const struct file_operations achan_fops = {
	.owner		= THIS_MODULE,
	.open		= achan_open,
	.release	= achan_release,
	.read		= achan_read_plain,
	.write		= achan_write_plain,
	.read_iter	= achan_read_iter,
	.write_iter	= achan_write_iter,
	.poll		= achan_poll,
	.fasync		= achan_fasync,
	.splice_read	= achan_splice_read,
	.splice_write	= achan_splice_write,
	.unlocked_ioctl	= achan_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
#ifdef CONFIG_PROC_FS
	.show_fdinfo	= achan_show_fdinfo,
#endif
};
