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
#include <linux/ktime.h>
#include <linux/limits.h>
#include <linux/module.h>
#include <linux/pipe_fs_i.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/splice.h>
#include <linux/uaccess.h>
#include <asm/ioctls.h>

#include "achan.h"
#include "compat.h"

static int achan_open(struct inode *inode, struct file *filp)
{
	struct achan *channel = container_of(inode->i_cdev, struct achan, cdev);
	struct achan_file *file;

	/*
	 * An inode remembers its cdev: a node of a container's /dev can lead
	 * here after removal, as long as somebody has the channel open.
	 */
	if (READ_ONCE(channel->rx->dead))
		return -ENODEV;
	file = kzalloc(sizeof(*file), GFP_KERNEL_ACCOUNT);
	if (!file)
		return -ENOMEM;
	file->channel = channel;
	file->rx = channel->rx;
	file->tx = channel->tx;
	filp->private_data = file;
	/* io_uring attempts a read or write in place only where it sees this. */
	filp->f_mode |= FMODE_NOWAIT;
	return stream_open(inode, filp);
}

static int achan_release(struct inode *inode, struct file *filp)
{
	kfree(filp->private_data);
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

/* One attempt to read, with the buffer made present where it is not. */
static ssize_t read_now(struct achan_file *file, struct iov_iter *to)
{
	bool framed = READ_ONCE(file->flags) & ACHAN_OPEN_FRAMED;
	struct achan_lane *lane = file->rx;
	unsigned int faults = 0;
	bool truncated = false;
	struct achan_cursor cursor;
	size_t left, want = 0;
	ssize_t ret;

	for (;;) {
		ret = achan_lane_claim(lane, &cursor);
		if (ret)
			return ret;
		ret = achan_take(lane, &cursor, to, framed, &want);
		achan_lane_release(lane, ret < 0 ? NULL : &cursor);
		if (ret == -EMSGSIZE && truncated)
			return -EFAULT;
		if (ret != -EFAULT || !user_backed_iter(to) ||
		    ++faults == ACHAN_FAULTS_MAX)
			return ret;

		left = fault_in_iov_iter_writeable(to, want);
		if (left == want)
			return -EFAULT;
		/* What lies before the bad address is good. */
		if (left) {
			iov_iter_truncate(to, want - left);
			truncated = true;
		}
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
}

static ssize_t achan_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct achan_file *file = iocb->ki_filp->private_data;
	size_t count = iov_iter_count(to);
	bool slept = false;
	ssize_t ret;

	if (!count)
		return 0;
	for (;;) {
		ret = read_now(file, to);
		if (ret >= 0)
			break;
		/* Back to what the caller gave, which may be tried again. */
		iov_iter_reexpand(to, count);
		if (ret != -EAGAIN || must_not_wait(iocb))
			break;
		if (may_park(iocb))
			return achan_park_read(file, iocb, to);
		if (iocb->ki_filp->f_flags & O_NONBLOCK)
			break;
		ret = achan_wait_readable(file->rx);
		if (ret)
			break;
		slept = true;
	}
	if (slept)
		achan_pass_on(file->rx);
	return ret;
}

/* Room for the next record of a write, or why there is none. */
static struct achan_record *reserve(struct achan_file *file, size_t total,
				    size_t left, u32 *need)
{
	struct achan_lane *lane = file->tx;
	struct achan_record *record = NULL;
	unsigned long flags;
	u32 length;

	raw_spin_lock_irqsave(&lane->ring.lock, flags);
	if (lane->dead) {
		raw_spin_unlock_irqrestore(&lane->ring.lock, flags);
		return ERR_PTR(-ENODEV);
	}
	length = achan_chunk(lane, total, left, need);
	if (length && list_empty(&lane->parked_writes))
		record = achan_ring_reserve(&lane->ring, length,
					    ktime_get_ns());
	else
		achan_lane_want_room(lane, *need);
	raw_spin_unlock_irqrestore(&lane->ring.lock, flags);
	return record ?: ERR_PTR(-EAGAIN);
}

static void settle(struct achan_lane *lane, struct achan_record *record,
		   bool commit)
{
	unsigned long flags;
	unsigned int due;

	raw_spin_lock_irqsave(&lane->ring.lock, flags);
	if (commit)
		achan_ring_commit(&lane->ring, record);
	else
		achan_ring_discard(&lane->ring, record);
	due = achan_lane_due(lane, true);
	raw_spin_unlock_irqrestore(&lane->ring.lock, flags);
	achan_lane_act(lane, due);
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
	size_t copied, left;
	u32 length;

	for (;;) {
		struct achan_record *record;

		record = reserve(file, total, iov_iter_count(from), need);
		if (IS_ERR(record))
			return PTR_ERR(record);
		length = record->length;
		pagefault_disable();
		copied = copy_from_iter(achan_record_payload(record), length,
					from);
		pagefault_enable();
		settle(file->tx, record, copied == length);
		if (copied == length)
			return length;

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

static ssize_t write_records(struct kiocb *iocb, struct iov_iter *from)
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
		ret = achan_wait_room(file->tx, need);
		if (ret)
			break;
	} while (iov_iter_count(from));

	/* See achan_poll(). */
	WRITE_ONCE(file->write_need, ret == -EAGAIN ? need : 0);
	if (ret == -EIOCBQUEUED)
		return ret;
	return written ?: ret;
}

static ssize_t achan_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct achan_file *file = iocb->ki_filp->private_data;

	if (!iov_iter_count(from))
		return 0;
	if (file->channel->mode == ACHAN_MODE_MESSAGE &&
	    iov_iter_count(from) > achan_ring_record_max(&file->tx->ring))
		return -EMSGSIZE;
	return write_records(iocb, from);
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

static __poll_t achan_poll(struct file *filp, poll_table *wait)
{
	struct achan_file *file = filp->private_data;
	__poll_t wanted = poll_requested_events(wait);
	__poll_t events = 0;

	poll_wait(filp, &file->channel->wait, wait);
	if (READ_ONCE(file->rx->dead))
		return EPOLLIN | EPOLLRDNORM | EPOLLHUP | EPOLLERR;
	if ((filp->f_mode & FMODE_READ) && achan_lane_readable(file->rx))
		events |= EPOLLIN | EPOLLRDNORM;
	/* Asking for room asks for a wake-up: only for those who want one. */
	if ((filp->f_mode & FMODE_WRITE) &&
	    (wanted & (EPOLLOUT | EPOLLWRNORM)) &&
	    achan_lane_room(file->tx, write_need(file)))
		events |= EPOLLOUT | EPOLLWRNORM;
	return events;
}

/*
 * The helpers call read_iter() and write_iter() without a word about
 * SPLICE_F_NONBLOCK, with the pipe locked. Between this look and theirs
 * another reader can take the record, and they wait, as they do on a socket.
 */
static ssize_t achan_splice_read(struct file *in, loff_t *ppos,
				 struct pipe_inode_info *pipe, size_t len,
				 unsigned int flags)
{
	struct achan_file *file = in->private_data;

	if ((flags & SPLICE_F_NONBLOCK) && !achan_lane_readable(file->rx))
		return -EAGAIN;
	return copy_splice_read(in, ppos, pipe, len, flags);
}

static ssize_t achan_splice_write(struct pipe_inode_info *pipe,
				  struct file *out, loff_t *ppos, size_t len,
				  unsigned int flags)
{
	struct achan_file *file = out->private_data;

	if ((flags & SPLICE_F_NONBLOCK) &&
	    !achan_lane_room(file->tx, write_need(file)))
		return -EAGAIN;
	return iter_file_splice_write(pipe, out, ppos, len, flags);
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
		cursor.position = ring->tail;
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
	info->ring_bytes = tx->ring.size;
	info->record_max = achan_ring_record_max(&tx->ring);
	strscpy(info->name, channel->name, sizeof(info->name));

	raw_spin_lock_irqsave(&rx->ring.lock, flags);
	info->bytes = rx->ring.bytes;
	info->sequence = rx->ring.sequence;
	info->discarded = rx->ring.discarded;
	info->parked_reads = rx->nr_reads;
	info->pinned_reads = rx->pinned_reads;
	info->worker_reads = rx->worker_reads;
	info->cancelled = rx->cancelled;
	raw_spin_unlock_irqrestore(&rx->ring.lock, flags);

	raw_spin_lock_irqsave(&tx->ring.lock, flags);
	info->parked_writes = tx->nr_writes;
	info->copied_writes = tx->copied_writes;
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

static long achan_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	struct achan_file *file = filp->private_data;
	void __user *argument = (void __user *)arg;
	struct achan_info info;

	switch (cmd) {
	case FIONREAD:
		return put_user((int)min_t(u64, readable_bytes(file), INT_MAX),
				(int __user *)argument);
	case ACHAN_IOC_INFO:
		get_info(file, &info);
		return copy_to_user(argument, &info, sizeof(info)) ? -EFAULT : 0;
	case ACHAN_IOC_GET_FLAGS:
		return put_user(READ_ONCE(file->flags), (u32 __user *)argument);
	case ACHAN_IOC_SET_FLAGS:
		return set_flags(file, argument);
	default:
		return -ENOTTY;
	}
}

#ifdef CONFIG_PROC_FS
static void achan_show_fdinfo(struct seq_file *m, struct file *filp)
{
	struct achan_info info;

	get_info(filp->private_data, &info);
	seq_printf(m, "achan-name:\t%s\n", info.name);
	seq_printf(m, "achan-kind:\t%s\n", "loop");
	seq_printf(m, "achan-mode:\t%s\n",
		   info.mode == ACHAN_MODE_STREAM ? "stream" : "message");
	seq_printf(m, "achan-flags:\t%#x\n", info.open_flags);
	seq_printf(m, "achan-ring-bytes:\t%llu\n", info.ring_bytes);
	seq_printf(m, "achan-bytes:\t%llu\n", info.bytes);
	seq_printf(m, "achan-sequence:\t%llu\n", info.sequence);
	seq_printf(m, "achan-parked-reads:\t%u\n", info.parked_reads);
	seq_printf(m, "achan-parked-writes:\t%u\n", info.parked_writes);
}
#endif

const struct file_operations achan_fops = {
	.owner		= THIS_MODULE,
	.open		= achan_open,
	.release	= achan_release,
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
