/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * achan: asynchronous channels, for other kernel modules.
 */
#ifndef _LINUX_ACHAN_H
#define _LINUX_ACHAN_H

#include <linux/notifier.h>
#include <uapi/linux/achan.h>

/**
 * struct achan_event - what a notifier is called with
 * @sequence:	number of the event
 * @timestamp:	CLOCK_MONOTONIC in nanoseconds
 * @name:	the channel's name
 * @minor:	its node's number
 * @peer_minor: that of the other one of a pair, or ACHAN_MINOR_NONE
 *
 * The notifier's action is ACHAN_EVENT_*. All of it is good during the call only.
 */
struct achan_event {
	u64 sequence;
	u64 timestamp;
	const char *name;
	u32 minor;
	u32 peer_minor;
};

int achan_notifier_register(struct notifier_block *notifier);
int achan_notifier_unregister(struct notifier_block *notifier);

#endif /* _LINUX_ACHAN_H */
