// SPDX-License-Identifier: GPL-2.0-only
/*
 * achan: who has a channel open, and what follows when the last one closes.
 *
 * A lane has an end that writes and an end that reads. Where hang-ups are on, an end
 * without an open file is closed: behind what is left, reads find the end; writes
 * fail with -EPIPE.
 *
 *  - In a pair the two channels are the ends. A file that is open at all keeps both
 *    ends of its channel. An end that was never opened is not closed: whoever comes
 *    first waits for the other.
 *  - In a loop with hangup=fifo the files open for writing and for reading are the
 *    ends, as those of a named pipe, and all is as fs/pipe.c has it. An open for
 *    reading or for writing alone waits for the other end. A reader that did not wait
 *    (O_NONBLOCK) reads 0 while there is no writer, but poll() calls that a hang-up
 *    only when a writer has come since the reader's open. When the last file of both
 *    ends closes, what was not read is thrown away.
 *
 * Open and close are counted under unit->ends, and the flags that follow are
 * set under ring.lock, where everybody looks at them:
 *  - a reader about to sleep queues up, then looks; the flag is set, then the
 *    queue is woken. One of the two sees the other.
 *  - a request about to park looks at the flags in the section that queues it;
 *    a parked write is ended after the flag is set, in the same section of
 *    unit->ends, so that it is never one that came after a reopening.
 *  - a write under way when its reader closes may still put its record in. It
 *    stays there for the next reader, as do all that were not read.
 *  - a hang-up that a reopening took back before a sleeper looked is one that
 *    it did not see.
 * All wake-ups and completions are done without either lock. A provider is told
 * of first opens and last closes under unit->ends, so one after the other.
 *
 * An open waits for the other end without a lock, interruptibly, and counts as open
 * meanwhile. It waits for the other end's number of opens to change: so it goes on
 * also where the other end has closed again.
 */
#include <linux/wait.h>

#include "achan.h"

/* What a change calls for once unit->ends is released. */
struct change {
	struct achan_lane *hung;	/* reads find the end */
	struct achan_lane *broken;	/* writes fail */
	struct achan_lane *mended;	/* writes work again */
};

static bool may_hang_up(const struct achan *channel)
{
	return channel->unit->config.hangup != ACHAN_HANGUP_OFF;
}

static void set_no_writer(struct achan_lane *lane, bool value)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&lane->ring.lock, flags);
	WRITE_ONCE(lane->no_writer, value);
	raw_spin_unlock_irqrestore(&lane->ring.lock, flags);
}

static void set_end(struct achan_lane *lane)
{
	set_no_writer(lane, true);
}

static void clear_end(struct achan_lane *lane)
{
	set_no_writer(lane, false);
}

/* Context: unit->ends held, and nobody has the end that writes open. */
static void hang_up(struct achan_lane *lane, struct change *change)
{
	set_end(lane);
	achan_broadcast_each(lane, set_end);
	change->hung = lane;
}

/* Context: unit->ends held. */
static void break_off(struct achan_lane *lane, struct change *change)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&lane->ring.lock, flags);
	WRITE_ONCE(lane->no_reader, true);
	raw_spin_unlock_irqrestore(&lane->ring.lock, flags);
	achan_park_end(lane, &lane->writes, -EPIPE);
	change->broken = lane;
}

/* Context: unit->ends held. The end that writes has been opened. */
static void take_back_hang_up(struct achan_lane *lane)
{
	clear_end(lane);
	achan_broadcast_each(lane, clear_end);
}

/* Context: unit->ends held. The end that reads has been opened. */
static void mend(struct achan_lane *lane, struct change *change)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&lane->ring.lock, flags);
	if (lane->no_reader)
		change->mended = lane;
	WRITE_ONCE(lane->no_reader, false);
	raw_spin_unlock_irqrestore(&lane->ring.lock, flags);
}

static void tell_end(struct achan_lane *lane)
{
	achan_lane_touch(lane);
	achan_notify_hangup(lane->port);
}

/* Context: may sleep; no lock of ours held. */
static void act(const struct change *change)
{
	if (change->hung) {
		tell_end(change->hung);
		achan_broadcast_each(change->hung, tell_end);
	}
	if (change->broken)
		achan_broadcast_writers(change->broken->writer,
					achan_notify_hangup);
	if (change->mended)
		achan_broadcast_writers(change->mended->writer,
					achan_notify_write);
}

/* Context: unit->ends held. Is this the first file at the end that writes? */
static bool first_writer(const struct achan_file *file, fmode_t mode)
{
	if (file->channel->peer)
		return file->channel->files == 1;
	return (mode & FMODE_WRITE) && file->tx->writers == 1;
}

static bool first_reader(const struct achan_file *file, fmode_t mode)
{
	if (file->channel->peer)
		return file->channel->files == 1;
	return (mode & FMODE_READ) && file->channel->rx->readers == 1;
}

/* Context: unit->ends held. Was this the last file at the end that writes? */
static bool last_writer(const struct achan_file *file, fmode_t mode)
{
	if (file->channel->peer)
		return !file->channel->files;
	return (mode & FMODE_WRITE) && !file->tx->writers;
}

static bool last_reader(const struct achan_file *file, fmode_t mode)
{
	if (file->channel->peer)
		return !file->channel->files;
	return (mode & FMODE_READ) && !file->channel->rx->readers;
}

/* Context: unit->ends held. poll() looks at the number without it. */
static void count_writes_opened(struct achan_lane *lane)
{
	u32 next = lane->writes_opened + 1;

	WRITE_ONCE(lane->writes_opened, next ?: 1);
}

/**
 * achan_ends_init() - prepare the ends of a channel that nobody has opened yet
 * @channel: the channel, with its lanes
 *
 * Context: any.
 */
void achan_ends_init(struct achan *channel)
{
	struct achan_lane *lane = channel->rx;

	/* Not 0: that is what achan_file's writes_seen is where it does not count. */
	lane->writes_opened = 1;
	lane->no_writer = achan_is_fifo(channel);
	lane->no_reader = achan_is_fifo(channel);
}

/* Context: unit->ends held. */
static void opened(struct achan_file *file, fmode_t mode, struct change *change)
{
	struct achan *channel = file->channel;

	if (!channel->files++)
		achan_event(channel, ACHAN_EVENT_OPENED);
	if (mode & FMODE_READ) {
		channel->rx->readers++;
		WRITE_ONCE(channel->rx->reads_opened,
			   channel->rx->reads_opened + 1);
	}
	if (mode & FMODE_WRITE) {
		channel->tx->writers++;
		count_writes_opened(channel->tx);
	}
	if (file->rx != channel->rx)
		achan_broadcast_join(file->rx, mode & FMODE_WRITE);
	if (!may_hang_up(channel))
		return;
	if (first_writer(file, mode))
		take_back_hang_up(channel->tx);
	if (first_reader(file, mode))
		mend(channel->rx, change);
	/* Under unit->ends: whoever waits has seen the numbers before. */
	if (wq_has_sleeper(&channel->unit->open_wait))
		wake_up_all(&channel->unit->open_wait);
}

/*
 * Context: unit->ends held, and nobody has the channel open. A named pipe is as new
 * then, and there is nobody to be told. A context that completes the last parked
 * request may still have the claim, but takes nothing more: each record that it serves
 * is claimed anew. The records of a broadcast are the delivery's, not thrown away here:
 * there is no reader for whom it has one.
 */
static void renew(struct achan_lane *lane)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&lane->ring.lock, flags);
	WRITE_ONCE(lane->no_writer, true);
	WRITE_ONCE(lane->no_reader, true);
	if (!lane->broadcast) {
		achan_ring_clear(&lane->ring);
		lane->room_wanted = 0;
	}
	raw_spin_unlock_irqrestore(&lane->ring.lock, flags);
}

/* Context: unit->ends held. */
static void closed(struct achan_file *file, fmode_t mode, struct change *change)
{
	struct achan *channel = file->channel;

	channel->files--;
	if (mode & FMODE_READ)
		channel->rx->readers--;
	if (mode & FMODE_WRITE)
		channel->tx->writers--;
	if (file->rx != channel->rx)
		achan_broadcast_leave(file->rx);
	if (!channel->files) {
		achan_event(channel, ACHAN_EVENT_CLOSED);
		if (channel->provider)
			achan_provider_closed(channel);
	}
	if (!may_hang_up(channel) || channel->unit->removed)
		return;
	if (!channel->files && achan_is_fifo(channel)) {
		renew(channel->rx);
		achan_event(channel, ACHAN_EVENT_HANGUP);
		return;
	}
	if (last_writer(file, mode))
		hang_up(channel->tx, change);
	if (last_reader(file, mode))
		break_off(channel->rx, change);
	if (change->hung || change->broken)
		achan_event(channel->peer ?: channel, ACHAN_EVENT_HANGUP);
}

/* An open of one end of a named pipe alone, which waits for the other end. */
static bool waits_for_reader(const struct achan_file *file, fmode_t mode)
{
	return achan_is_fifo(file->channel) && (mode & FMODE_WRITE) &&
	       !(mode & FMODE_READ) && !file->tx->readers;
}

static bool waits_for_writer(const struct achan_file *file, fmode_t mode)
{
	return achan_is_fifo(file->channel) && (mode & FMODE_READ) &&
	       !(mode & FMODE_WRITE) && !file->channel->rx->writers;
}

/* Context: unit->ends held. Return: 0, or why the file may not be opened. */
static int may_open(const struct achan_file *file, fmode_t mode, bool nonblock)
{
	struct achan *channel = file->channel;

	if (channel->unit->removed)
		return -ENODEV;
	if (nonblock && waits_for_reader(file, mode))
		return -ENXIO;
	if (!channel->provider || channel->files ||
	    !(mode & (FMODE_READ | FMODE_WRITE)))
		return 0;
	return achan_provider_opened(channel);
}

/* Nobody would take what is written. */
static bool writes_in_vain(const struct achan *channel, fmode_t mode)
{
	return (mode & FMODE_WRITE) && channel->provider &&
	       channel->tx == channel->rx;
}

/*
 * Waits until the other end has been opened, which @opens counts: it was @seen when the
 * file was counted as open. Return: 0; -ENODEV for a removal; -ERESTARTSYS.
 */
static int wait_for_end(struct achan_unit *unit, const u32 *opens, u32 seen)
{
	int ret = wait_event_interruptible(unit->open_wait,
					   READ_ONCE(*opens) != seen ||
					   READ_ONCE(unit->removed));

	if (READ_ONCE(*opens) != seen)
		return 0;
	return ret ?: -ENODEV;
}

/* What an open waits for: the other end's number of opens, or NULL. */
struct partner {
	const u32 *opens;
	u32 seen;
};

/* Context: unit->ends held, before the file is counted. */
static struct partner partner_of(struct achan_file *file, fmode_t mode,
				 bool nonblock)
{
	struct achan_lane *lane = file->channel->rx;
	struct partner partner = { };

	if (waits_for_writer(file, mode) && nonblock)
		file->writes_seen = lane->writes_opened;
	else if (waits_for_writer(file, mode))
		partner.opens = &lane->writes_opened;
	else if (waits_for_reader(file, mode))
		partner.opens = &lane->reads_opened;
	if (partner.opens)
		partner.seen = *partner.opens;
	return partner;
}

/* Gives the file its lanes. Return: 0, -ENOMEM, -EACCES. */
static int connect(struct achan_file *file, fmode_t mode)
{
	struct achan *channel = file->channel;

	if (writes_in_vain(channel, mode))
		return -EACCES;
	file->rx = channel->rx;
	file->tx = channel->tx;
	file->port = &channel->port;
	if (!(mode & FMODE_READ) || !channel->rx->broadcast)
		return 0;
	file->rx = achan_broadcast_lane(channel);
	if (!file->rx)
		return -ENOMEM;
	file->port = file->rx->port;
	return 0;
}

static void disconnect(struct achan_file *file)
{
	if (file->rx != file->channel->rx)
		achan_lane_put(file->rx);
}

/**
 * achan_ends_open() - a file is being opened
 * @file:     the file, with its channel set; gets its lanes
 * @mode:     what it is opened for. One that neither reads nor writes is there for
 *	      ioctl() alone and does not count.
 * @nonblock: it was opened with O_NONBLOCK
 *
 * An inode remembers its cdev: a node of a container's /dev can lead here after
 * removal, as long as somebody has the channel open.
 *
 * Context: may sleep, killably; for the other end of a named pipe, interruptibly.
 * Return: 0, -ENODEV, -ENOMEM, -EACCES to write to a provider that takes nothing, -ENXIO
 * to write to a named pipe without a reader, -ERESTARTSYS, -EINTR, or what the provider
 * says.
 */
int achan_ends_open(struct achan_file *file, fmode_t mode, bool nonblock)
{
	struct achan_unit *unit = file->channel->unit;
	struct partner partner = { };
	struct change change = { };
	int ret;

	ret = connect(file, mode);
	if (ret)
		return ret;
	ret = mutex_lock_killable(&unit->ends);
	if (ret)
		goto err;
	ret = may_open(file, mode, nonblock);
	if (!ret && (mode & (FMODE_READ | FMODE_WRITE))) {
		partner = partner_of(file, mode, nonblock);
		opened(file, mode, &change);
	}
	mutex_unlock(&unit->ends);
	if (ret)
		goto err;
	act(&change);
	if (partner.opens) {
		ret = wait_for_end(unit, partner.opens, partner.seen);
		if (ret)
			achan_ends_close(file, mode);
	}
	return ret;
err:
	disconnect(file);
	return ret;
}

/**
 * achan_ends_close() - a file is being closed
 * @file: the file; nothing of it is parked, since what is parked holds it
 * @mode: what it was opened for
 *
 * Context: may sleep.
 */
void achan_ends_close(struct achan_file *file, fmode_t mode)
{
	struct achan *channel = file->channel;
	struct change change = { };

	if (!(mode & (FMODE_READ | FMODE_WRITE)))
		return;
	/* What a writer wrote comes before the end that its close may be. */
	if ((mode & FMODE_WRITE) && channel->tx->broadcast)
		achan_broadcast_flush(channel->tx);
	mutex_lock(&channel->unit->ends);
	closed(file, mode, &change);
	mutex_unlock(&channel->unit->ends);
	act(&change);
	disconnect(file);
}
