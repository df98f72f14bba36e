// SPDX-License-Identifier: GPL-2.0-only
/*
 * achan: who is told what: sleepers, pollers and SIGIO.
 *
 * Readers sleep exclusively, so that one record wakes one of them; writers do
 * not, since each may need another amount of room. All share one wait queue,
 * so each looks at the key of a wake-up, as pollers do.
 */
#include <linux/sched/signal.h>

#include "achan.h"

static int wake_reader(struct wait_queue_entry *wait, unsigned int mode,
		       int sync, void *key)
{
	if (key && !(key_to_poll(key) & (EPOLLIN | EPOLLHUP)))
		return 0;
	return autoremove_wake_function(wait, mode, sync, key);
}

static int wake_writer(struct wait_queue_entry *wait, unsigned int mode,
		       int sync, void *key)
{
	if (key && !(key_to_poll(key) & (EPOLLOUT | EPOLLHUP)))
		return 0;
	return autoremove_wake_function(wait, mode, sync, key);
}

/**
 * achan_wait_readable() - sleep until a read can make progress
 * @lane: the lane
 *
 * The wake-up of an exclusive sleeper is a duty: whoever leaves by a signal
 * after having got one passes it on. A reader that was woken and leaves
 * records behind calls achan_pass_on() for the same reason.
 *
 * Context: sleeps. Return: 0 or -ERESTARTSYS.
 */
int achan_wait_readable(struct achan_lane *lane)
{
	struct achan *channel = lane->reader;
	DEFINE_WAIT_FUNC(wait, wake_reader);
	int ret = 0;

	for (;;) {
		prepare_to_wait_exclusive(&channel->wait, &wait,
					  TASK_INTERRUPTIBLE);
		if (achan_lane_readable(lane))
			break;
		if (signal_pending(current)) {
			ret = -ERESTARTSYS;
			break;
		}
		schedule();
	}
	finish_wait(&channel->wait, &wait);
	if (ret)
		achan_pass_on(lane);
	return ret;
}

/**
 * achan_pass_on() - wake the next reader if there is something left for it
 * @lane: the lane
 *
 * Context: any but hard interrupts on PREEMPT_RT.
 */
void achan_pass_on(struct achan_lane *lane)
{
	if (achan_lane_readable(lane))
		wake_up_interruptible_poll(&lane->reader->wait,
					   EPOLLIN | EPOLLRDNORM);
}

/**
 * achan_wait_room() - sleep until a write can make progress
 * @lane: the lane
 * @need: bytes of ring that it needs
 *
 * Context: sleeps. Return: 0 or -ERESTARTSYS.
 */
int achan_wait_room(struct achan_lane *lane, u32 need)
{
	struct achan *channel = lane->writer;
	DEFINE_WAIT_FUNC(wait, wake_writer);
	int ret = 0;

	for (;;) {
		prepare_to_wait(&channel->wait, &wait, TASK_INTERRUPTIBLE);
		if (achan_lane_room(lane, need))
			break;
		if (signal_pending(current)) {
			ret = -ERESTARTSYS;
			break;
		}
		schedule();
	}
	finish_wait(&channel->wait, &wait);
	return ret;
}

/*
 * wq_has_sleeper() has the full barrier that pairs with the one between
 * queueing up and looking at the ring, in prepare_to_wait() and poll_wait().
 */
static void notify(struct achan *channel, __poll_t events)
{
	if (wq_has_sleeper(&channel->wait))
		wake_up_interruptible_sync_poll(&channel->wait, events);
}

/**
 * achan_notify_read() - there are records for readers
 * @channel: the channel they read
 *
 * Context: any but hard interrupts on PREEMPT_RT; no lock of ours held.
 */
void achan_notify_read(struct achan *channel)
{
	notify(channel, EPOLLIN | EPOLLRDNORM);
	kill_fasync(&channel->fasync_read, SIGIO, POLL_IN);
}

/**
 * achan_notify_write() - there is room again where somebody found none
 * @channel: the channel written to
 *
 * Context: any but hard interrupts on PREEMPT_RT; no lock of ours held.
 */
void achan_notify_write(struct achan *channel)
{
	notify(channel, EPOLLOUT | EPOLLWRNORM);
	kill_fasync(&channel->fasync_write, SIGIO, POLL_OUT);
}

/**
 * achan_notify_hangup() - the channel is gone
 * @channel: the channel
 *
 * EPOLLIN is among the events because some event loops look at nothing else;
 * the read that it leads to returns what is left, then -ENODEV.
 *
 * Context: any but hard interrupts on PREEMPT_RT; no lock of ours held.
 */
void achan_notify_hangup(struct achan *channel)
{
	/* 0: all of the exclusive sleepers too. */
	__wake_up(&channel->wait, TASK_NORMAL, 0,
		  poll_to_key(EPOLLIN | EPOLLRDNORM | EPOLLHUP | EPOLLERR));
	kill_fasync(&channel->fasync_read, SIGIO, POLL_HUP);
	kill_fasync(&channel->fasync_write, SIGIO, POLL_HUP);
}

/*
 * Two lists, as a pipe has them: a file that is open for writing only gets no
 * signal for each record it writes itself.
 */
int achan_fasync(int fd, struct file *filp, int on)
{
	struct achan_file *file = filp->private_data;
	struct achan *channel = file->channel;
	int ret = 0;

	if (filp->f_mode & FMODE_READ)
		ret = fasync_helper(fd, filp, on, &channel->fasync_read);
	if (ret < 0 || !(filp->f_mode & FMODE_WRITE))
		return ret;
	ret = fasync_helper(fd, filp, on, &channel->fasync_write);
	if (ret < 0 && (filp->f_mode & FMODE_READ))
		fasync_helper(-1, filp, 0, &channel->fasync_read);
	return ret;
}
