// SPDX-License-Identifier: GPL-2.0-only
/*
 * achan: what a channel shows in /sys/class/achan/achanN and in fdinfo: its name,
 * its configuration and its counters, under the names that struct achan_config
 * and struct achan_stats have for them.
 */
#include <linux/device.h>
#include <linux/seq_file.h>
#include <linux/sysfs.h>

#include "achan.h"

static const char *const kinds[] = {
	[ACHAN_KIND_LOOP] = "loop",
	[ACHAN_KIND_PAIR] = "pair",
	[ACHAN_KIND_PROVIDER] = "provider",
};

static const char *const modes[] = {
	[ACHAN_MODE_STREAM] = "stream",
	[ACHAN_MODE_MESSAGE] = "message",
};

static const char *const deliveries[] = {
	[ACHAN_DELIVERY_SHARED] = "shared",
	[ACHAN_DELIVERY_BROADCAST] = "broadcast",
};

static const char *const hangups[] = {
	[ACHAN_HANGUP_OFF] = "off",
	[ACHAN_HANGUP_FIFO] = "fifo",
	[ACHAN_HANGUP_PEER] = "peer",
};

static const char *const overflows[] = {
	[ACHAN_OVERFLOW_REJECT] = "reject",
	[ACHAN_OVERFLOW_DROP] = "drop",
	[ACHAN_OVERFLOW_OVERWRITE] = "overwrite",
};

static struct achan *to_channel(struct device *dev)
{
	return container_of(dev, struct achan, dev);
}

static struct achan_config config_of(struct device *dev)
{
	struct achan_config config;

	achan_get_config(to_channel(dev), &config);
	return config;
}

static struct achan_stats stats_of(struct device *dev)
{
	struct achan_stats stats;

	achan_get_stats(to_channel(dev), &stats);
	return stats;
}

#define SHOW(name, format, value)					\
static ssize_t name##_show(struct device *dev,				\
			   struct device_attribute *attr, char *buf)	\
{									\
	return sysfs_emit(buf, format "\n", value);			\
}									\
static DEVICE_ATTR_RO(name)

SHOW(name, "%s", to_channel(dev)->name);
SHOW(peer, "%s", to_channel(dev)->peer ?
		 dev_name(&to_channel(dev)->peer->dev) : "");
SHOW(kind, "%s", kinds[config_of(dev).kind]);
SHOW(mode, "%s", modes[config_of(dev).mode]);
SHOW(delivery, "%s", deliveries[config_of(dev).delivery]);
SHOW(hangup, "%s", hangups[config_of(dev).hangup]);
SHOW(overflow, "%s", overflows[config_of(dev).overflow]);
SHOW(timestamps, "%u", !(config_of(dev).flags & ACHAN_CONFIG_NO_TIMESTAMPS));
SHOW(ring_bytes, "%u", config_of(dev).ring_bytes);
SHOW(read_low, "%u", config_of(dev).read_low);
SHOW(write_low, "%u", config_of(dev).write_low);
SHOW(moderate_records, "%u", config_of(dev).moderate_records);
SHOW(moderate_usecs, "%u", config_of(dev).moderate_usecs);
SHOW(records_in, "%llu", stats_of(dev).records_in);
SHOW(bytes_in, "%llu", stats_of(dev).bytes_in);
SHOW(records_out, "%llu", stats_of(dev).records_out);
SHOW(bytes_out, "%llu", stats_of(dev).bytes_out);
SHOW(lost, "%llu", stats_of(dev).lost);
SHOW(rejected, "%llu", stats_of(dev).rejected);
SHOW(dropped, "%llu", stats_of(dev).dropped);
SHOW(overwritten, "%llu", stats_of(dev).overwritten);
SHOW(discarded, "%llu", stats_of(dev).discarded);
SHOW(sequence, "%llu", stats_of(dev).sequence);
SHOW(bytes, "%llu", stats_of(dev).bytes);
SHOW(used, "%llu", stats_of(dev).used);
SHOW(high_water, "%llu", stats_of(dev).high_water);
SHOW(parked, "%llu", stats_of(dev).parked);
SHOW(completed, "%llu", stats_of(dev).completed);
SHOW(cancelled, "%llu", stats_of(dev).cancelled);
SHOW(wakeups, "%llu", stats_of(dev).wakeups);
SHOW(signals, "%llu", stats_of(dev).signals);
SHOW(parked_reads, "%u", stats_of(dev).parked_reads);
SHOW(parked_writes, "%u", stats_of(dev).parked_writes);
SHOW(readers, "%u", stats_of(dev).readers);
SHOW(writers, "%u", stats_of(dev).writers);
SHOW(written, "%llu", stats_of(dev).written);
SHOW(pulled, "%llu", stats_of(dev).pulled);

/* For everybody. */
static struct attribute *name_attrs[] = {
	&dev_attr_name.attr,
	&dev_attr_peer.attr,
	&dev_attr_kind.attr,
	NULL
};

static const struct attribute_group name_group = {
	.attrs = name_attrs,
};

/* See access.c. */
static struct attribute *channel_attrs[] = {
	&dev_attr_mode.attr,
	&dev_attr_delivery.attr,
	&dev_attr_hangup.attr,
	&dev_attr_overflow.attr,
	&dev_attr_timestamps.attr,
	&dev_attr_ring_bytes.attr,
	&dev_attr_read_low.attr,
	&dev_attr_write_low.attr,
	&dev_attr_moderate_records.attr,
	&dev_attr_moderate_usecs.attr,
	&dev_attr_records_in.attr,
	&dev_attr_bytes_in.attr,
	&dev_attr_records_out.attr,
	&dev_attr_bytes_out.attr,
	&dev_attr_lost.attr,
	&dev_attr_rejected.attr,
	&dev_attr_dropped.attr,
	&dev_attr_overwritten.attr,
	&dev_attr_discarded.attr,
	&dev_attr_sequence.attr,
	&dev_attr_bytes.attr,
	&dev_attr_used.attr,
	&dev_attr_high_water.attr,
	&dev_attr_parked.attr,
	&dev_attr_completed.attr,
	&dev_attr_cancelled.attr,
	&dev_attr_wakeups.attr,
	&dev_attr_signals.attr,
	&dev_attr_parked_reads.attr,
	&dev_attr_parked_writes.attr,
	&dev_attr_readers.attr,
	&dev_attr_writers.attr,
	&dev_attr_written.attr,
	&dev_attr_pulled.attr,
	NULL
};

static umode_t attribute_mode(struct kobject *kobj, struct attribute *attribute,
			      int index)
{
	return achan_attribute_mode(to_channel(kobj_to_dev(kobj)));
}

static const struct attribute_group channel_group = {
	.attrs = channel_attrs,
	.is_visible = attribute_mode,
};

const struct attribute_group *achan_groups[] = {
	&name_group, &channel_group, NULL
};

/**
 * achan_sysfs_own() - give a channel's attributes to the owner and group of its node
 * @channel: the channel, which has been added
 *
 * The attributes alone: with a class' get_ownership() the device's directory, "uevent"
 * and "power" would be the owner's as well, who could make udev do things.
 *
 * Context: may sleep. Return: 0 or -ENOMEM.
 */
int achan_sysfs_own(struct achan *channel)
{
	const struct achan_unit *unit = channel->unit;
	unsigned int i;
	int ret = 0;

	if (uid_eq(unit->uid, GLOBAL_ROOT_UID) &&
	    gid_eq(unit->gid, GLOBAL_ROOT_GID))
		return 0;
	for (i = 0; !ret && channel_attrs[i]; i++)
		ret = sysfs_file_change_owner(&channel->dev.kobj,
					      channel_attrs[i]->name, unit->uid,
					      unit->gid);
	return ret;
}

/* What ACHAN_IOC_STATS says, and what the channel is. */
void achan_show_fdinfo(struct seq_file *m, struct file *filp)
{
	struct achan_file *file = filp->private_data;
	struct achan *channel = file->channel;
	struct achan_config config;
	struct achan_stats stats;

	achan_get_config(channel, &config);
	achan_get_file_stats(file, &stats);
	seq_printf(m, "achan-name:\t%s\n", channel->name);
	seq_printf(m, "achan-kind:\t%s\n", kinds[config.kind]);
	seq_printf(m, "achan-mode:\t%s\n", modes[config.mode]);
	seq_printf(m, "achan-delivery:\t%s\n", deliveries[config.delivery]);
	seq_printf(m, "achan-hangup:\t%s\n", hangups[config.hangup]);
	seq_printf(m, "achan-overflow:\t%s\n", overflows[config.overflow]);
	seq_printf(m, "achan-flags:\t%#x\n", READ_ONCE(file->flags));
	seq_printf(m, "achan-ring-bytes:\t%u\n", config.ring_bytes);
#define SHOW_LINE(key, name)						\
	seq_printf(m, "achan-" key ":\t%llu\n", (u64)stats.name)
	SHOW_LINE("bytes", bytes);
	SHOW_LINE("sequence", sequence);
	SHOW_LINE("parked-reads", parked_reads);
	SHOW_LINE("parked-writes", parked_writes);
	SHOW_LINE("records-in", records_in);
	SHOW_LINE("bytes-in", bytes_in);
	SHOW_LINE("records-out", records_out);
	SHOW_LINE("bytes-out", bytes_out);
	SHOW_LINE("lost", lost);
	SHOW_LINE("rejected", rejected);
	SHOW_LINE("dropped", dropped);
	SHOW_LINE("overwritten", overwritten);
	SHOW_LINE("discarded", discarded);
	SHOW_LINE("used", used);
	SHOW_LINE("high-water", high_water);
	SHOW_LINE("parked", parked);
	SHOW_LINE("completed", completed);
	SHOW_LINE("cancelled", cancelled);
	SHOW_LINE("wakeups", wakeups);
	SHOW_LINE("signals", signals);
	SHOW_LINE("readers", readers);
	SHOW_LINE("writers", writers);
	SHOW_LINE("written", written);
	SHOW_LINE("pulled", pulled);
#undef SHOW_LINE
}
