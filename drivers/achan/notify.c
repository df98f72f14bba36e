// SPDX-License-Identifier: GPL-2.0-only
/*
 * achan: who is told what: sleepers, pollers and SIGIO.
 *
 * Readers sleep exclusively, so that one record wakes one of them; writers do
 * not, since each may need another amount of room. All share one wait queue,
 * so each looks at the key of a wake-up, as pollers do.
 */
#include <linux/hrtimer.h>
#include <linux/sched/signal.h>

#include "achan.h"
#include "compat.h"
#include "lane.h"

void achan_port_init(struct achan_port *port)
{
	init_waitqueue_head(&port->wait);
}

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
 * @file: the open file
 *
 * The wake-up of an exclusive sleeper is a duty: whoever leaves by a signal
 * after having got one passes it on. A reader that was woken and leaves
 * records behind calls achan_pass_on() for the same reason.
 *
 * Context: sleeps. Return: 0 or -ERESTARTSYS.
 */
int achan_wait_readable(struct achan_file *file)
{
	struct achan_port *port = file->port;
	DEFINE_WAIT_FUNC(wait, wake_reader);
	int ret = 0;

	for (;;) {
		prepare_to_wait_exclusive(&port->wait, &wait,
					  TASK_INTERRUPTIBLE);
		if (achan_lane_readable(file->rx))
			break;
		if (signal_pending(current)) {
			ret = -ERESTARTSYS;
			break;
		}
		schedule();
	}
	finish_wait(&port->wait, &wait);
	if (ret)
		achan_pass_on(file->rx);
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
		wake_up_interruptible_poll(&lane->port->wait,
					   EPOLLIN | EPOLLRDNORM);
}

/**
 * achan_wait_room() - sleep until a write can make progress
 * @file: the open file
 * @need: bytes of ring that it needs
 *
 * Context: sleeps. Return: 0 or -ERESTARTSYS.
 */
int achan_wait_room(struct achan_file *file, u32 need)
{
	struct achan_port *port = file->port;
	DEFINE_WAIT_FUNC(wait, wake_writer);
	int ret = 0;

	for (;;) {
		prepare_to_wait(&port->wait, &wait, TASK_INTERRUPTIBLE);
		if (achan_lane_room(file->tx, need))
			break;
		if (signal_pending(current)) {
			ret = -ERESTARTSYS;
			break;
		}
		schedule();
	}
	finish_wait(&port->wait, &wait);
	return ret;
}

/*
 * wq_has_sleeper() has the full barrier that pairs with the one between
 * queueing up and looking at the ring, in prepare_to_wait() and achan_poll().
 */
static void notify(struct achan_port *port, __poll_t events)
{
	if (!wq_has_sleeper(&port->wait))
		return;
	atomic64_inc(&port->wakeups);
	wake_up_interruptible_sync_poll(&port->wait, events);
}

static void signal(struct achan_port *port, struct fasync_struct **list,
		   int band)
{
	if (!READ_ONCE(*list))
		return;
	atomic64_inc(&port->signals);
	kill_fasync(list, SIGIO, band);
}

/**
 * achan_notify_read() - there are records for readers
 * @port: where they wait
 *
 * Context: any but hard interrupts on PREEMPT_RT; no lock of ours held.
 */
void achan_notify_read(struct achan_port *port)
{
	notify(port, EPOLLIN | EPOLLRDNORM);
	signal(port, &port->fasync_read, POLL_IN);
}

/**
 * achan_notify_write() - there is room again where somebody found none
 * @port: where the writers wait
 *
 * Context: any but hard interrupts on PREEMPT_RT; no lock of ours held.
 */
void achan_notify_write(struct achan_port *port)
{
	notify(port, EPOLLOUT | EPOLLWRNORM);
	signal(port, &port->fasync_write, POLL_OUT);
}

/**
 * achan_notify_loss() - records are being lost
 * @port: where those wait who lose them
 *
 * Context: any but hard interrupts on PREEMPT_RT; no lock of ours held.
 */
void achan_notify_loss(struct achan_port *port)
{
	signal(port, &port->fasync_read, POLL_ERR);
}

/**
 * achan_notify_hangup() - the channel or its other end is gone
 * @port: where those wait who have to know
 *
 * Context: any but hard interrupts on PREEMPT_RT; no lock of ours held.
 */
void achan_notify_hangup(struct achan_port *port)
{
	/*
	 * 0: all of the exclusive sleepers too. NULL: each looks for itself, as
	 * IOCB_CMD_POLL, which returns what it is woken with, asked for or not.
	 */
	if (wq_has_sleeper(&port->wait)) {
		atomic64_inc(&port->wakeups);
		__wake_up(&port->wait, TASK_NORMAL, 0, NULL);
	}
	signal(port, &port->fasync_read, POLL_HUP);
	signal(port, &port->fasync_write, POLL_HUP);
}

/**
 * achan_moderate() - are readers to be told now, or later?
 * @lane: the lane, with moderation on and something for them
 *
 * Full or ending is nothing to wait with.
 *
 * Context: ring.lock held. Return: ACHAN_DUE_READ, ACHAN_DUE_TIMER, or 0 if a
 * timer is on its way.
 */
unsigned int achan_moderate(struct achan_lane *lane)
{
	u64 untold = lane->ring.records_in - lane->told;

	if (lane->room_wanted || lane->overflowing || lane->writes.nr ||
	    lane->no_writer || lane->dead || !untold ||
	    (lane->policy.records && untold >= lane->policy.records)) {
		lane->told = lane->ring.records_in;
		lane->pending_since = 0;
		return ACHAN_DUE_READ;
	}
	if (!lane->pending_since)
		lane->pending_since = achan_now();
	if (lane->pending)
		return 0;
	lane->pending = true;
	return ACHAN_DUE_TIMER;
}

/*
 * The records that it was started for may have been told of by their number
 * since; then it counts from the first one that was not.
 */
static enum hrtimer_restart moderate_timer(struct hrtimer *timer)
{
	struct achan_lane *lane = container_of(timer, struct achan_lane, timer);
	unsigned int due = 0;
	unsigned long flags;
	ktime_t until;

	raw_spin_lock_irqsave(&lane->ring.lock, flags);
	until = ktime_add_us(lane->pending_since, lane->policy.usecs);
	if (lane->pending_since && ktime_after(until, ktime_get())) {
		raw_spin_unlock_irqrestore(&lane->ring.lock, flags);
		hrtimer_set_expires(timer, until);
		return HRTIMER_RESTART;
	}
	lane->pending = false;
	if (lane->pending_since) {
		lane->pending_since = 0;
		/* What is due is due now. */
		lane->told = lane->ring.records_in;
		due = achan_lane_due(lane, true);
	}
	raw_spin_unlock_irqrestore(&lane->ring.lock, flags);
	achan_lane_act(lane, due);
	return HRTIMER_NORESTART;
}

/* Soft: what it does is not for a hard interrupt on PREEMPT_RT. */
void achan_moderate_init(struct achan_lane *lane)
{
	hrtimer_setup(&lane->timer, moderate_timer, CLOCK_MONOTONIC,
		      HRTIMER_MODE_ABS_SOFT);
}

/*
 * Whoever set @lane->pending starts it, and nobody else until it has run. A lane that
 * is dead may be on its way to be freed: its timer is not started any more. The lock
 * makes that certain for achan_lane_free(), which cancels the timer after @lane->dead
 * is set.
 */
void achan_moderate_start(struct achan_lane *lane)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&lane->ring.lock, flags);
	if (!lane->dead)
		hrtimer_start(&lane->timer,
			      ktime_add_us(ktime_get(), lane->policy.usecs),
			      HRTIMER_MODE_ABS_SOFT);
	raw_spin_unlock_irqrestore(&lane->ring.lock, flags);
}

/*
 * Two lists, as a pipe has them: a file that is open for writing only gets no
 * signal for each record it writes itself.
 */
int achan_fasync(int fd, struct file *filp, int on)
{
	struct achan_file *file = filp->private_data;
	struct achan_port *port = file->port;
	int ret = 0;

	if (filp->f_mode & FMODE_READ)
		ret = fasync_helper(fd, filp, on, &port->fasync_read);
	if (ret < 0 || !(filp->f_mode & FMODE_WRITE))
		return ret;
	ret = fasync_helper(fd, filp, on, &port->fasync_write);
	if (ret < 0 && (filp->f_mode & FMODE_READ))
		fasync_helper(-1, filp, 0, &port->fasync_read);
	return ret;
}
