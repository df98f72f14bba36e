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

#define SHOW_WORD(name, words)	SHOW(name, "%s", (words)[config_of(dev).name])
#define SHOW_CONFIG(name)	SHOW(name, "%u", config_of(dev).name)
#define SHOW_STAT(name)		SHOW(name, "%llu", stats_of(dev).name)
#define SHOW_COUNT(name)	SHOW(name, "%u", stats_of(dev).name)

SHOW(name, "%s", to_channel(dev)->name);
SHOW(peer, "%s", to_channel(dev)->peer ?
		 dev_name(&to_channel(dev)->peer->dev) : "");
SHOW_WORD(kind, kinds);
SHOW_WORD(mode, modes);
SHOW_WORD(delivery, deliveries);
SHOW_WORD(hangup, hangups);
SHOW_WORD(overflow, overflows);
SHOW(timestamps, "%u", !(config_of(dev).flags & ACHAN_CONFIG_NO_TIMESTAMPS));
SHOW_CONFIG(ring_bytes);
SHOW_CONFIG(read_low);
SHOW_CONFIG(write_low);
SHOW_CONFIG(moderate_records);
SHOW_CONFIG(moderate_usecs);
SHOW_STAT(records_in);
SHOW_STAT(bytes_in);
SHOW_STAT(records_out);
SHOW_STAT(bytes_out);
SHOW_STAT(lost);
SHOW_STAT(rejected);
SHOW_STAT(dropped);
SHOW_STAT(overwritten);
SHOW_STAT(discarded);
SHOW_STAT(sequence);
SHOW_STAT(bytes);
SHOW_STAT(used);
SHOW_STAT(high_water);
SHOW_STAT(parked);
SHOW_STAT(completed);
SHOW_STAT(cancelled);
SHOW_STAT(wakeups);
SHOW_STAT(signals);
SHOW_COUNT(parked_reads);
SHOW_COUNT(parked_writes);
SHOW_COUNT(readers);
SHOW_COUNT(writers);

static struct attribute *channel_attrs[] = {
	&dev_attr_name.attr,
	&dev_attr_peer.attr,
	&dev_attr_kind.attr,
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
	NULL
};

static const struct attribute_group channel_group = {
	.attrs = channel_attrs,
};

const struct attribute_group *achan_groups[] = { &channel_group, NULL };

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
#undef SHOW_LINE
}
