// SPDX-License-Identifier: GPL-2.0-only
/*
 * achan: splice(), between a channel and a pipe.
 *
 * The kernel's helpers, copy_splice_read() and iter_file_splice_write(), call
 * read_iter() and write_iter() without a word about SPLICE_F_NONBLOCK, and with the
 * pipe locked. A call that waited in there for a record, or for room, would keep all
 * others from the pipe, in a sleep that only SIGKILL or nothing ends. So the pages are
 * moved here: with the pipe locked the channel is read and written without waiting;
 * for the channel, and for the pipe, this file waits with the pipe unlocked.
 *
 * Lock order: the pipe's lock, then all of ours.
 */
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/minmax.h>
#include <linux/pipe_fs_i.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/splice.h>

#include "achan.h"
#include "compat.h"

/* SPLICE_F_NONBLOCK is for one call what O_NONBLOCK is for the file. */
static bool may_wait(const struct file *filp, unsigned int flags)
{
	return !(flags & SPLICE_F_NONBLOCK) && !(filp->f_flags & O_NONBLOCK);
}

static bool is_empty(const struct pipe_inode_info *pipe)
{
	return pipe_empty(READ_ONCE(pipe->head), READ_ONCE(pipe->tail));
}

static bool is_full(const struct pipe_inode_info *pipe)
{
	return pipe_full(READ_ONCE(pipe->head), READ_ONCE(pipe->tail),
			 READ_ONCE(pipe->max_usage));
}

/* The buffer that is number @index of those in @pipe. Context: @pipe locked. */
static struct pipe_buffer *buffer_at(const struct pipe_inode_info *pipe,
				     unsigned int index)
{
	return &pipe->bufs[(pipe->tail + index) & (pipe->ring_size - 1)];
}

/*
 * Bytes of a buffer that the next read may fill. It is a guess, for who has few bytes
 * to read shall not allocate many pages: another reader may be faster.
 */
static size_t guess_next_read(struct achan_file *file, size_t len)
{
	bool framed = READ_ONCE(file->flags) & ACHAN_OPEN_FRAMED;
	struct achan_ring *ring = &file->rx->ring;
	struct achan_cursor cursor;
	unsigned long flags;
	struct iov_iter to;
	size_t bytes;

	/* Only its length counts. */
	iov_iter_bvec(&to, ITER_DEST, NULL, 0, len);
	raw_spin_lock_irqsave(&ring->lock, flags);
	achan_ring_begin(ring, &cursor);
	bytes = achan_take_max(file->rx, &cursor, &to, framed);
	raw_spin_unlock_irqrestore(&ring->lock, flags);
	return min(len, PAGE_ALIGN(bytes ?: 1));
}

static void free_pages_of(struct bio_vec *segments, unsigned int nr)
{
	while (nr--)
		__free_page(segments[nr].bv_page);
}

/* Return: segments of @bytes in all, each a page of its own, or NULL. */
static struct bio_vec *alloc_segments(size_t bytes, unsigned int nr)
{
	struct bio_vec *segments;
	unsigned int i;

	segments = kvmalloc_array(nr, sizeof(*segments), GFP_KERNEL_ACCOUNT);
	if (!segments)
		return NULL;
	for (i = 0; i < nr; i++) {
		/* As pipe_write() allocates them. */
		struct page *page = alloc_page(GFP_HIGHUSER | __GFP_ACCOUNT);

		if (!page) {
			free_pages_of(segments, i);
			kvfree(segments);
			return NULL;
		}
		segments[i] = (struct bio_vec){
			.bv_page = page,
			.bv_len = min_t(size_t, bytes, PAGE_SIZE),
		};
		bytes -= segments[i].bv_len;
	}
	return segments;
}

/*
 * Gives the first @bytes of @segments to @pipe, and frees the pages behind them.
 * Context: @pipe locked, with a reader, and with room.
 */
static void give(struct pipe_inode_info *pipe, struct bio_vec *segments,
		 unsigned int nr, size_t bytes)
{
	unsigned int i;

	for (i = 0; bytes; i++) {
		struct pipe_buffer buffer = {
			.page = segments[i].bv_page,
			.len = min_t(size_t, bytes, PAGE_SIZE),
			/* The kernel's: the module may go before the buffer. */
			.ops = &nosteal_pipe_buf_ops,
		};

		bytes -= buffer.len;
		add_to_pipe(pipe, &buffer);
	}
	free_pages_of(segments + i, nr - i);
}

/* One read of @bytes at the most into @pipe. Context and return as fill(). */
static ssize_t read_into(struct pipe_inode_info *pipe, struct file *in,
			 size_t bytes)
{
	unsigned int nr = DIV_ROUND_UP(bytes, PAGE_SIZE);
	struct bio_vec *segments = alloc_segments(bytes, nr);
	struct iov_iter to;
	struct kiocb iocb;
	ssize_t ret;

	if (!segments)
		return -ENOMEM;
	iov_iter_bvec(&to, ITER_DEST, segments, nr, bytes);
	init_sync_kiocb(&iocb, in);
	iocb.ki_flags |= IOCB_NOWAIT;
	ret = in->f_op->read_iter(&iocb, &to);
	give(pipe, segments, nr, max_t(ssize_t, ret, 0));
	kvfree(segments);
	return ret;
}

/*
 * Moves what one read gets into @pipe, @len bytes at the most.
 *
 * Context: @pipe locked, with a reader, not full. Return: bytes, 0 at the end, -EAGAIN
 * for want of records, -EMSGSIZE for a record that is larger than @len, or than the
 * room in @pipe; -ENOMEM; another error of the read.
 */
static ssize_t fill(struct pipe_inode_info *pipe, struct file *in, size_t len)
{
	struct achan_file *file = in->private_data;
	size_t room = pipe->max_usage - pipe_occupancy(pipe->head, pipe->tail);
	size_t bytes;
	ssize_t ret;

	len = min3(len, room * PAGE_SIZE, (size_t)file->rx->ring.size);
	bytes = guess_next_read(file, len);
	ret = read_into(pipe, in, bytes);
	if (ret == -EMSGSIZE && bytes < len)
		ret = read_into(pipe, in, len);
	return ret;
}

/*
 * Waits until @pipe has room for a buffer.
 *
 * Context: @pipe locked, and unlocked meanwhile. Return: 0; -EPIPE, with a SIGPIPE,
 * where nobody reads @pipe any more; -ERESTARTSYS.
 */
static int wait_for_space(struct pipe_inode_info *pipe)
{
	int ret;

	while (pipe->readers && is_full(pipe)) {
		pipe_unlock(pipe);
		ret = wait_event_interruptible(pipe->wr_wait,
					       !is_full(pipe) ||
					       !READ_ONCE(pipe->readers));
		pipe_lock(pipe);
		if (ret)
			return ret;
	}
	if (pipe->readers)
		return 0;
	send_sig(SIGPIPE, current, 0);
	return -EPIPE;
}

/*
 * Waits until there is something to read, and room in @pipe. Context and return as
 * wait_for_space().
 */
static int wait_for_record(struct achan_file *file, struct pipe_inode_info *pipe)
{
	int ret;

	pipe_unlock(pipe);
	ret = achan_wait_readable(file);
	/*
	 * Whoever is woken for a record has to take it, or to wake the next reader.
	 * Others can keep this one from the pipe, or fill it, for any time: the next
	 * reader is woken at once.
	 */
	if (!ret)
		achan_pass_on(file->rx);
	pipe_lock(pipe);
	return ret ?: wait_for_space(pipe);
}

/**
 * achan_splice_read() - splice() out of a channel
 * @in:	   the channel's file
 * @ppos:  ignored, a channel has no position
 * @pipe:  the pipe
 * @len:   bytes, at the most; no more than @pipe had room for when the call began
 * @flags: SPLICE_F_*
 *
 * The kernel calls this for a pipe of user space only, which it has locked, found to
 * have a reader and room, and which it keeps. For sendfile() from a channel to
 * anything but a pipe the kernel does not call it: it wants an input with positions.
 *
 * Context: sleeps; @pipe is unlocked while it waits for a record. Return: bytes, 0 at
 * the end of file; -EAGAIN without a record where it must not wait; -EMSGSIZE for one
 * that does not fit, which stays; -EPIPE if @pipe lost its reader meanwhile; -ENODEV;
 * -ENOMEM; -ERESTARTSYS.
 */
ssize_t achan_splice_read(struct file *in, loff_t *ppos,
			  struct pipe_inode_info *pipe, size_t len,
			  unsigned int flags)
{
	ssize_t ret;

	for (;;) {
		ret = fill(pipe, in, len);
		if (ret != -EAGAIN || !may_wait(in, flags))
			return ret;
		ret = wait_for_record(in->private_data, pipe);
		if (ret)
			return ret;
	}
}

static void wake_pipe_writers(struct pipe_inode_info *pipe)
{
	if (wq_has_sleeper(&pipe->wr_wait))
		wake_up_interruptible(&pipe->wr_wait);
	kill_fasync(&pipe->fasync_writers, SIGIO, POLL_OUT);
}

/*
 * Frees the buffers at the front of @pipe that are empty. A write to the pipe whose
 * copy fails leaves such, too. Context: @pipe locked.
 */
static void free_empty_buffers(struct pipe_inode_info *pipe)
{
	bool freed = false;

	while (!is_empty(pipe) && !buffer_at(pipe, 0)->len) {
		pipe_buf_release(pipe, buffer_at(pipe, 0));
		pipe->tail++;
		freed = true;
	}
	if (freed)
		wake_pipe_writers(pipe);
}

/* Takes @bytes, which are there, out of @pipe. Context: @pipe locked. */
static void take_out(struct pipe_inode_info *pipe, size_t bytes)
{
	unsigned int i;

	for (i = 0; bytes; i++) {
		struct pipe_buffer *buffer = buffer_at(pipe, i);
		size_t part = min_t(size_t, bytes, buffer->len);

		buffer->offset += part;
		buffer->len -= part;
		bytes -= part;
	}
	free_empty_buffers(pipe);
}

/*
 * Describes the first bytes in @pipe, @len at the most. @nr: set to how many of
 * @segments there are. Context: @pipe locked. Return: bytes, or an error of whoever
 * put a page there; -ENODATA means that a file has become shorter.
 */
static ssize_t gather(struct pipe_inode_info *pipe, size_t len,
		      struct bio_vec *segments, unsigned int *nr)
{
	unsigned int i, used = pipe_occupancy(pipe->head, pipe->tail);
	size_t bytes = 0;
	int ret;

	*nr = 0;
	for (i = 0; i < used && bytes < len; i++) {
		struct pipe_buffer *buffer = buffer_at(pipe, i);
		struct bio_vec *segment = &segments[*nr];

		if (!buffer->len)
			continue;
		ret = pipe_buf_confirm(pipe, buffer);
		if (ret)
			return ret;
		segment->bv_page = buffer->page;
		segment->bv_offset = buffer->offset;
		segment->bv_len = min_t(size_t, buffer->len, len - bytes);
		bytes += segment->bv_len;
		++*nr;
	}
	return bytes;
}

/*
 * Writes what is in @pipe, which is not empty, as one write. @len: bytes at the most;
 * set to how many the write was of.
 *
 * Context: @pipe locked. Return: bytes that are written, and out of @pipe; -EAGAIN
 * without room; -ENOMEM; another error of the write, or of gather().
 */
static ssize_t drain(struct pipe_inode_info *pipe, struct file *out,
		     size_t *len)
{
	struct bio_vec *segments;
	struct iov_iter from;
	struct kiocb iocb;
	unsigned int nr;
	ssize_t ret;

	segments = kvmalloc_array(pipe_occupancy(pipe->head, pipe->tail),
				  sizeof(*segments), GFP_KERNEL);
	if (!segments)
		return -ENOMEM;
	ret = gather(pipe, *len, segments, &nr);
	if (ret > 0) {
		*len = ret;
		iov_iter_bvec(&from, ITER_SOURCE, segments, nr, ret);
		init_sync_kiocb(&iocb, out);
		iocb.ki_flags |= IOCB_NOWAIT;
		ret = out->f_op->write_iter(&iocb, &from);
	}
	kvfree(segments);
	if (ret > 0)
		take_out(pipe, ret);
	return ret == -ENODATA ? 0 : ret;
}

/*
 * Waits until there is something in @pipe.
 *
 * Context: @pipe locked, and unlocked meanwhile. Return: 1; 0 where nobody can put
 * anything in; -EAGAIN where it must not wait; -ERESTARTSYS.
 */
static int wait_for_data(struct pipe_inode_info *pipe, unsigned int flags)
{
	int ret;

	while (is_empty(pipe)) {
		if (!pipe->writers)
			return 0;
		if (flags & SPLICE_F_NONBLOCK)
			return -EAGAIN;
		pipe_unlock(pipe);
		ret = wait_event_interruptible(pipe->rd_wait,
					       !is_empty(pipe) ||
					       !READ_ONCE(pipe->writers));
		pipe_lock(pipe);
		if (ret)
			return ret;
		free_empty_buffers(pipe);
	}
	return 1;
}

/* Waits for room for a write of @bytes. Context and return as wait_for_space(). */
static int wait_for_room(struct achan_file *file, struct pipe_inode_info *pipe,
			 size_t bytes)
{
	struct achan_ring *ring = &file->tx->ring;
	unsigned long flags;
	u32 need;
	int ret;

	raw_spin_lock_irqsave(&ring->lock, flags);
	achan_chunk(file->tx, bytes, bytes, &need);
	raw_spin_unlock_irqrestore(&ring->lock, flags);
	pipe_unlock(pipe);
	ret = achan_wait_room(file, need);
	pipe_lock(pipe);
	return ret;
}

/*
 * What is in @pipe when this finds it not empty, @len bytes at the most, is what goes
 * in, at once or in parts. It gets no longer while this waits for room: what others
 * put behind a message is not of it.
 *
 * Context: @pipe locked, and unlocked while this waits. Return: as achan_splice_write().
 */
static ssize_t move_into(struct file *out, struct pipe_inode_info *pipe,
			 size_t len, unsigned int flags)
{
	size_t left = len, done = 0, tried;
	ssize_t ret;

	do {
		free_empty_buffers(pipe);
		if (is_empty(pipe)) {
			if (done)
				break;
			/* Others took what this waited with. */
			left = len;
			ret = wait_for_data(pipe, flags);
			if (ret <= 0)
				return ret;
		}
		tried = left;
		ret = drain(pipe, out, &tried);
		if (ret > 0) {
			done += ret;
			left = tried - ret;
		} else if (ret == -EAGAIN && may_wait(out, flags)) {
			left = tried;
			ret = wait_for_room(out->private_data, pipe, tried);
		} else {
			break;
		}
		cond_resched();
	} while (left && ret >= 0 && !fatal_signal_pending(current));
	return done ?: ret;
}

/**
 * achan_splice_write() - splice() and sendfile() into a channel
 * @pipe:  the pipe; for sendfile() one that nobody else knows
 * @out:   the channel's file
 * @ppos:  ignored, a channel has no position
 * @len:   bytes, at the most
 * @flags: SPLICE_F_*
 *
 * What is in @pipe is one write: in message mode one record. As a write does, this takes
 * all of that where it may wait for room, and what fits where it may not. It waits for
 * something to come into an empty @pipe on an O_NONBLOCK file too, as the kernel does.
 *
 * Context: sleeps, without the pipe's lock. Return: bytes; 0 if @pipe is empty and has
 * no writer; if nothing was moved an error of write_iter(), or -EAGAIN where it must not
 * wait, -ENOMEM, -ERESTARTSYS.
 */
ssize_t achan_splice_write(struct pipe_inode_info *pipe, struct file *out,
			   loff_t *ppos, size_t len, unsigned int flags)
{
	ssize_t ret;

	pipe_lock(pipe);
	ret = move_into(out, pipe, len, flags);
	pipe_unlock(pipe);
	if (ret > 0)
		achan_splice_modified(out);
	return ret;
}
