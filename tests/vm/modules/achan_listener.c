// SPDX-License-Identifier: GPL-2.0-only
/*
 * A module that listens to achan's events. What it has heard is the parameter
 * "heard": a line for each event, with number, time, what it was, the channel's
 * name, its minor and that of the other one of a pair.
 */
#include <linux/achan.h>
#include <linux/module.h>
#include <linux/mutex.h>

static char heard[PAGE_SIZE - 1];
static size_t used;
static DEFINE_MUTEX(heard_lock);

static const char * const names[] = {
	[ACHAN_EVENT_CREATED]  = "created",
	[ACHAN_EVENT_REMOVED]  = "removed",
	[ACHAN_EVENT_OPENED]   = "opened",
	[ACHAN_EVENT_CLOSED]   = "closed",
	[ACHAN_EVENT_OVERFLOW] = "overflow",
	[ACHAN_EVENT_HANGUP]   = "hangup",
};

static int hear(struct notifier_block *notifier, unsigned long event,
		void *data)
{
	const struct achan_event *details = data;
	const char *name = "unknown";

	if (event < ARRAY_SIZE(names) && names[event])
		name = names[event];
	mutex_lock(&heard_lock);
	used += scnprintf(heard + used, sizeof(heard) - used,
			  "%llu %llu %s %s %u %d\n", details->sequence,
			  details->timestamp, name, details->name,
			  details->minor, (int)details->peer_minor);
	mutex_unlock(&heard_lock);
	return NOTIFY_OK;
}

static struct notifier_block notifier = { .notifier_call = hear };

static int get_heard(char *buffer, const struct kernel_param *parameter)
{
	size_t length;

	mutex_lock(&heard_lock);
	length = used;
	memcpy(buffer, heard, length);
	mutex_unlock(&heard_lock);
	return length;
}

static const struct kernel_param_ops heard_ops = { .get = get_heard };

module_param_cb(heard, &heard_ops, NULL, 0400);
MODULE_PARM_DESC(heard, "the events so far, a line each");

static int __init listener_init(void)
{
	return achan_notifier_register(&notifier);
}

static void __exit listener_exit(void)
{
	achan_notifier_unregister(&notifier);
}

module_init(listener_init);
module_exit(listener_exit);

MODULE_DESCRIPTION("Listens to achan's events, for its tests");
MODULE_AUTHOR("The achan developers");
MODULE_LICENSE("GPL");
MODULE_INFO(import_ns, "ACHAN");
