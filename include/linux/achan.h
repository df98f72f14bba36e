/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * achan: asynchronous channels, for other kernel modules.
 *
 * A provider is a module that makes channels: it pushes records, which user space
 * reads from /dev/achanN in any I/O model, and pulls what user space writes there.
 * Documentation/provider.rst builds one step by step.
 *
 * The functions are in the symbol namespace ACHAN. A module that calls them says
 *
 *	MODULE_INFO(import_ns, "ACHAN");
 *
 * which is what MODULE_IMPORT_NS() is, with or without quotation marks, in every
 * release.
 */
#ifndef _LINUX_ACHAN_H
#define _LINUX_ACHAN_H

#include <linux/notifier.h>
#include <linux/stringify.h>
#include <linux/types.h>
#include <uapi/linux/achan-version.h>
#include <uapi/linux/achan.h>

/* The release, as in "1.2.3": what achan's own modules have as MODULE_VERSION(). */
#define ACHAN_RELEASE	__stringify(ACHAN_VERSION_MAJOR) "." \
			__stringify(ACHAN_VERSION_MINOR) "." \
			__stringify(ACHAN_VERSION_PATCH)

struct achan;
struct device;

/**
 * struct achan_operations - what a provider is called for
 * @opened:  the first file of the channel is being opened. An error is what open()
 *	     returns. Context: may sleep.
 * @closed:  the last file has been closed, after an @opened that returned 0.
 *	     Context: may sleep.
 * @written: user space has written: there is something for achan_pull(). One call
 *	     can stand for many records: pull until there are none. A channel
 *	     whose provider has no @written cannot be opened for writing.
 * @room:    a record that achan_push() or achan_reserve() refused for want of room
 *	     would fit now.
 *
 * All may be NULL. @opened and @closed come one after the other. So do the calls of
 * @written, and those of @room: what happens during a call makes another one
 * follow. These two are called with preemption off or from a softirq or a hard
 * interrupt, by whoever wrote or read; they must not sleep. On PREEMPT_RT they are
 * never called from a hard interrupt, and may take a spinlock_t.
 *
 * None is called any more when achan_destroy() has returned, and none may call it.
 * Until then @closed follows each @opened, by achan_destroy() itself if need be.
 */
struct achan_operations {
	int (*opened)(struct achan *channel);
	void (*closed)(struct achan *channel);
	void (*written)(struct achan *channel);
	void (*room)(struct achan *channel);
};

/**
 * struct achan_description - the channel that a provider wants
 * @name:	its name, as in struct achan_create; NULL: that of its node
 * @parent:	the device that it belongs to, or NULL
 * @operations: or NULL; stays the caller's, until achan_destroy() has returned
 * @private:	for achan_private()
 * @config:	how it behaves. @kind is left 0, and so may be all else: a stream with
 *		rings of 65536 bytes; what finds no room is refused.
 */
struct achan_description {
	const char *name;
	struct device *parent;
	const struct achan_operations *operations;
	void *private;
	struct achan_config config;
};

struct achan *achan_create(const struct achan_description *description);
struct achan *devm_achan_create(struct device *dev,
				const struct achan_description *description);
void achan_destroy(struct achan *channel);
void *achan_private(const struct achan *channel);
const char *achan_name(const struct achan *channel);

int achan_push(struct achan *channel, const void *data, u32 length);
int achan_push_at(struct achan *channel, const void *data, u32 length,
		  u64 timestamp);
void *achan_reserve(struct achan *channel, u32 length);
void achan_commit(struct achan *channel, void *payload);
void achan_discard(struct achan *channel, void *payload);
ssize_t achan_pull(struct achan *channel, void *data, u32 size,
		   struct achan_record *header);

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
