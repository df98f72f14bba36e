// SPDX-License-Identifier: GPL-2.0-only
/*
 * achan: the module, and a channel's life and death.
 *
 * A channel lives as long as its struct device: the node, each open file
 * (through the cdev), each worker that makes a buffer present and each lane of a
 * broadcast's reader hold a reference. The two of a pair know each other, so
 * they are freed together. Freeing is left to a work item, since the last reference may go
 * in atomic context, and the module waits for the last one to be freed before
 * its text goes.
 */
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/namei.h>
#include <linux/path.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>

#include "achan.h"
#include "compat.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

struct workqueue_struct *achan_workqueue;
struct workqueue_struct *achan_fault_workqueue;

static dev_t achan_devt;
static atomic_t achan_live = ATOMIC_INIT(0);
static DECLARE_WAIT_QUEUE_HEAD(achan_live_wait);

static struct class achan_class = {
	.name = "achan",
	.dev_groups = achan_groups,
};

static void unit_free(struct achan_unit *unit)
{
	unsigned int i;

	/* What one reads another writes: each once. */
	for (i = 0; i < unit->nr; i++) {
		struct achan *channel = &unit->channels[i];

		if (channel->provider && channel->tx != channel->rx)
			achan_lane_free(channel->tx);
		achan_lane_free(channel->rx);
		achan_provider_free(channel);
	}
	kfree(unit);
}

static void unit_free_work(struct work_struct *work)
{
	struct achan_unit *unit = container_of(work, struct achan_unit,
					       free_work);
	unsigned int i;

	for (i = 0; i < unit->nr; i++)
		achan_registry_free(achan_minor(&unit->channels[i]));
	unit_free(unit);
	if (atomic_dec_and_test(&achan_live))
		wake_up(&achan_live_wait);
}

static void channel_release(struct device *dev)
{
	struct achan *channel = container_of(dev, struct achan, dev);

	/* Either of a pair can be the last one to be used. */
	if (refcount_dec_and_test(&channel->unit->refs))
		queue_work(achan_workqueue, &channel->unit->free_work);
}

static char *channel_devnode(achan_const_device *dev, umode_t *mode,
			     kuid_t *uid, kgid_t *gid)
{
	const struct achan_unit *unit =
		container_of(dev, const struct achan, dev)->unit;

	if (mode)
		*mode = unit->config.node_mode;
	if (uid)
		*uid = unit->uid;
	if (gid)
		*gid = unit->gid;
	return NULL;
}

static const struct device_type channel_type = {
	.name	 = "achan",
	.devnode = channel_devnode,
	.release = channel_release,
};

static int check_choices(const struct achan_config *config)
{
	bool pair = config->kind == ACHAN_KIND_PAIR;
	u32 hangup_max = config->kind == ACHAN_KIND_LOOP ? ACHAN_HANGUP_FIFO :
							   ACHAN_HANGUP_OFF;

	if (config->mode > ACHAN_MODE_MESSAGE ||
	    config->delivery > ACHAN_DELIVERY_BROADCAST ||
	    config->overflow > ACHAN_OVERFLOW_OVERWRITE)
		return -EINVAL;
	if (pair ? config->hangup != ACHAN_HANGUP_PEER && config->hangup :
		   config->hangup > hangup_max)
		return -EINVAL;
	/* There is nobody whom the delivery could tell. */
	if (config->delivery == ACHAN_DELIVERY_BROADCAST &&
	    config->overflow == ACHAN_OVERFLOW_REJECT)
		return -EINVAL;
	return config->flags & ~ACHAN_CONFIG_NO_TIMESTAMPS ? -EINVAL : 0;
}

static bool ring_bytes_good(u32 bytes)
{
	return is_power_of_2(bytes) && bytes >= ACHAN_RING_BYTES_MIN &&
	       bytes <= ACHAN_RING_BYTES_MAX && IS_ALIGNED(bytes, PAGE_SIZE) &&
	       IS_ALIGNED(bytes, SHMLBA);
}

static int check_marks(const struct achan_config *config, u32 ring_bytes)
{
	if (config->read_low > ring_bytes || config->write_low > ring_bytes ||
	    config->moderate_records > ACHAN_MODERATE_RECORDS_MAX ||
	    config->moderate_usecs > ACHAN_MODERATE_USECS_MAX)
		return -EINVAL;
	/* The last records of all would never be told of. */
	return config->moderate_records && !config->moderate_usecs ? -EINVAL : 0;
}

static void fill_in_defaults(struct achan_config *config)
{
	if (!config->mode)
		config->mode = ACHAN_MODE_STREAM;
	if (!config->delivery)
		config->delivery = ACHAN_DELIVERY_SHARED;
	if (!config->hangup)
		config->hangup = config->kind == ACHAN_KIND_PAIR ?
				 ACHAN_HANGUP_PEER : ACHAN_HANGUP_OFF;
	if (!config->overflow)
		config->overflow =
			config->delivery == ACHAN_DELIVERY_BROADCAST ?
			ACHAN_OVERFLOW_DROP : ACHAN_OVERFLOW_REJECT;
	if (!config->ring_bytes)
		config->ring_bytes = 65536;
	if (!config->node_mode)
		config->node_mode = 0600;
}

/**
 * achan_config_check() - check a configuration and fill in what is left out
 * @config: from user space, or from a provider; of which kind it may be is the
 *	    caller's business. Its owner and group are init_user_ns' afterwards.
 * @ns:	    whose numbers they are before: of who opened the control device
 *
 * Context: any. Return: 0 or -EINVAL.
 */
int achan_config_check(struct achan_config *config, struct user_namespace *ns)
{
	kuid_t uid = make_kuid(ns, config->uid);
	kgid_t gid = make_kgid(ns, config->gid);

	if (config->kind < ACHAN_KIND_LOOP ||
	    config->kind > ACHAN_KIND_PROVIDER)
		return -EINVAL;
	if (memchr_inv(config->reserved, 0, sizeof(config->reserved)) ||
	    check_choices(config))
		return -EINVAL;
	fill_in_defaults(config);
	if (!ring_bytes_good(config->ring_bytes) ||
	    config->node_mode & ~0777 || !uid_valid(uid) || !gid_valid(gid))
		return -EINVAL;
	config->uid = from_kuid(&init_user_ns, uid);
	config->gid = from_kgid(&init_user_ns, gid);
	return check_marks(config, config->ring_bytes);
}

static void policy_of(const struct achan_config *config,
		      struct achan_policy *policy)
{
	policy->overflow = config->overflow;
	policy->no_timestamps = config->flags & ACHAN_CONFIG_NO_TIMESTAMPS;
	policy->read_low = config->read_low;
	policy->write_low = config->write_low;
	policy->records = config->moderate_records;
	policy->usecs = config->moderate_usecs;
}

/*
 * A stream that behaves as a named pipe takes as many bytes as a pipe of its size
 * does, whatever the size of the writes: headers and padding come on top, for which
 * there is as much memory again. A broadcast has nothing in its own ring for long,
 * and shows each write to readers that have opened at different times.
 */
static bool is_pipe(const struct achan_config *config)
{
	return config->hangup == ACHAN_HANGUP_FIFO &&
	       config->mode == ACHAN_MODE_STREAM &&
	       config->delivery == ACHAN_DELIVERY_SHARED;
}

/* For what a channel's files read. */
static struct achan_lane *lane_for(const struct achan_config *config)
{
	bool pipe = is_pipe(config);
	struct achan_policy policy;
	struct achan_lane *lane;

	policy_of(config, &policy);
	lane = achan_lane_alloc(config->ring_bytes << pipe, &policy);
	if (lane && pipe) {
		lane->capacity = config->ring_bytes;
		lane->merges = true;
	}
	if (!lane || config->delivery != ACHAN_DELIVERY_BROADCAST)
		return lane;
	if (!achan_broadcast_alloc(lane))
		return lane;
	achan_lane_free(lane);
	return NULL;
}

/* Return: a unit of channels without names and nodes, or NULL. */
static struct achan_unit *
unit_alloc(const struct achan_config *config,
	   const struct achan_description *description)
{
	unsigned int i, nr = config->kind == ACHAN_KIND_PAIR ? 2 : 1;
	struct achan_unit *unit;

	unit = kzalloc(struct_size(unit, channels, nr), GFP_KERNEL_ACCOUNT);
	if (!unit)
		return NULL;
	unit->nr = nr;
	unit->config = *config;
	unit->uid = make_kuid(&init_user_ns, config->uid);
	unit->gid = make_kgid(&init_user_ns, config->gid);
	refcount_set(&unit->refs, nr);
	mutex_init(&unit->ends);
	init_waitqueue_head(&unit->open_wait);
	INIT_WORK(&unit->free_work, unit_free_work);
	for (i = 0; i < nr; i++) {
		unit->channels[i].unit = unit;
		unit->channels[i].rx = lane_for(config);
		if (!unit->channels[i].rx)
			goto err;
	}
	if (!description || !achan_provider_alloc(unit->channels, description))
		return unit;
err:
	unit_free(unit);
	return NULL;
}

/* Connects each channel with the other one, or with itself. */
static void unit_connect(struct achan_unit *unit)
{
	unsigned int i;

	for (i = 0; i < unit->nr; i++) {
		struct achan *channel = &unit->channels[i];
		struct achan *other = &unit->channels[unit->nr - 1 - i];

		channel->peer = other == channel ? NULL : other;
		channel->kind = unit->config.kind;
		channel->mode = unit->config.mode;
		if (!channel->provider)
			channel->tx = other->rx;
		channel->rx->reader = channel;
		channel->rx->writer = other;
		channel->rx->port = &channel->port;
		achan_port_init(&channel->port);
		achan_event_init(channel);
		achan_ends_init(channel);
		device_initialize(&channel->dev);
		channel->dev.class = &achan_class;
		channel->dev.type = &channel_type;
		if (channel->provider)
			channel->dev.parent = channel->provider->parent;
		cdev_init(&channel->cdev, &achan_fops);
		channel->cdev.owner = THIS_MODULE;
	}
}

/* Gives all channels their numbers, or none. */
static int unit_number(struct achan_unit *unit)
{
	unsigned int i;
	int minor;

	for (i = 0; i < unit->nr; i++) {
		minor = achan_registry_alloc();
		if (minor < 0)
			break;
		unit->channels[i].dev.devt = MKDEV(MAJOR(achan_devt), minor);
	}
	if (i == unit->nr)
		return 0;
	while (i--)
		achan_registry_free(achan_minor(&unit->channels[i]));
	return minor;
}

/* Return: 0 or -ENOMEM. */
static int channel_name(struct achan *channel, const char *name)
{
	int ret = dev_set_name(&channel->dev, "achan%u", achan_minor(channel));

	if (!ret)
		strscpy(channel->name, *name ? name : dev_name(&channel->dev),
			sizeof(channel->name));
	return ret;
}

/* Each shows the other one's name from the moment it can be seen. */
static int unit_name(struct achan_unit *unit, const char *const names[])
{
	unsigned int i;
	int ret = 0;

	for (i = 0; !ret && i < unit->nr; i++)
		ret = channel_name(&unit->channels[i], names[i]);
	return ret;
}

/* Return: 0; or an error, and none is there. */
static int unit_add(struct achan_unit *unit)
{
	struct achan *channel;
	unsigned int i;
	int ret;

	for (i = 0; i < unit->nr; i++) {
		channel = &unit->channels[i];
		/* Told by unit_announce(). */
		dev_set_uevent_suppress(&channel->dev, 1);
		ret = cdev_device_add(&channel->cdev, &channel->dev);
		if (ret)
			goto err;
		ret = achan_sysfs_own(channel);
		if (ret) {
			i++;
			goto err;
		}
	}
	return 0;
err:
	while (i--)
		cdev_device_del(&unit->channels[i].cdev,
				&unit->channels[i].dev);
	return ret;
}

/* Whoever is told of one of a pair finds the other one. */
static void unit_announce(struct achan_unit *unit)
{
	unsigned int i;

	for (i = 0; i < unit->nr; i++) {
		struct device *dev = &unit->channels[i].dev;

		dev_set_uevent_suppress(dev, 0);
		kobject_uevent(&dev->kobj, KOBJ_ADD);
	}
	for (i = 0; i < unit->nr; i++)
		achan_event(&unit->channels[i], ACHAN_EVENT_CREATED);
}

/**
 * achan_unit_create() - make channels and their nodes
 * @config:	 how they behave, checked
 * @names:	 a name for each, or empty
 * @description: of a provider's channel, else NULL
 *
 * Context: achan_registry_lock held. Return: the unit, to be given to
 * achan_unit_remove(); ERR_PTR(-ENOSPC) if there are too many; ERR_PTR(-ENOMEM).
 */
struct achan_unit *
achan_unit_create(const struct achan_config *config, const char *const names[],
		  const struct achan_description *description)
{
	struct achan_unit *unit = unit_alloc(config, description);
	unsigned int i;
	int ret;

	if (!unit)
		return ERR_PTR(-ENOMEM);
	ret = unit_number(unit);
	if (ret) {
		unit_free(unit);
		return ERR_PTR(ret);
	}
	/* From here on channel_release() undoes it all. */
	atomic_inc(&achan_live);
	unit_connect(unit);
	/* Nobody opens one before its event. */
	mutex_lock(&unit->ends);
	ret = unit_name(unit, names) ?: unit_add(unit);
	if (!ret)
		unit_announce(unit);
	unit->removed = ret;
	mutex_unlock(&unit->ends);
	if (!ret)
		return unit;
	for (i = 0; i < unit->nr; i++)
		put_device(&unit->channels[i].dev);
	return ERR_PTR(ret);
}

/**
 * achan_check_node() - say so if something else is where a channel's node belongs
 * @minor: the number of a channel that has been made
 *
 * devtmpfs makes no node where a file is, as root leaves one that writes to the node
 * before there is a module: then programs talk to the file. device_add() succeeds all
 * the same and tells nobody why, so that only a look at the path shows it. It is that
 * of the calling task: in a container that has another /dev this says what programs
 * there will find, and that the path does not exist says nothing, since udev or mdev
 * may make the node later.
 *
 * Context: may sleep; no lock held, since the file system can be anybody's.
 */
void achan_check_node(u32 minor)
{
	dev_t devt = MKDEV(MAJOR(achan_devt), minor);
	const struct inode *inode;
	struct path path;
	char name[24];

	snprintf(name, sizeof(name), "/dev/achan%u", minor);
	if (kern_path(name, 0, &path))
		return;
	inode = d_inode(path.dentry);
	if (!S_ISCHR(inode->i_mode) || inode->i_rdev != devt)
		pr_warn("achan: %s is not the node of channel %u but something that was there before: remove it, then remove the channel and create it again, or load the module again\n",
			name, minor);
	path_put(&path);
}

/* Context: ring.lock held. */
static void change_policy(struct achan_policy *policy, u32 mask,
			  const struct achan_policy *wanted)
{
	if (mask & ACHAN_SET_OVERFLOW)
		WRITE_ONCE(policy->overflow, wanted->overflow);
	if (mask & ACHAN_SET_TIMESTAMPS)
		WRITE_ONCE(policy->no_timestamps, wanted->no_timestamps);
	if (mask & ACHAN_SET_READ_LOW)
		WRITE_ONCE(policy->read_low, wanted->read_low);
	if (mask & ACHAN_SET_WRITE_LOW)
		WRITE_ONCE(policy->write_low, wanted->write_low);
	if (mask & ACHAN_SET_MODERATION) {
		WRITE_ONCE(policy->records, wanted->records);
		WRITE_ONCE(policy->usecs, wanted->usecs);
	}
}

static void set_lane(struct achan_lane *lane, u32 mask,
		     const struct achan_policy *wanted)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&lane->ring.lock, flags);
	change_policy(&lane->policy, mask, wanted);
	raw_spin_unlock_irqrestore(&lane->ring.lock, flags);
}

/* Which of ACHAN_SET_* concern readers; the others concern writers. */
#define ACHAN_SET_OF_READERS	(ACHAN_SET_READ_LOW | ACHAN_SET_MODERATION)
#define ACHAN_SET_ALL	(ACHAN_SET_OF_READERS | ACHAN_SET_OVERFLOW | \
			 ACHAN_SET_TIMESTAMPS | ACHAN_SET_WRITE_LOW)

static int check_set(const struct achan *channel, u32 mask,
		     const struct achan_config *config)
{
	const struct achan_config *now = &channel->unit->config;
	struct achan_config config_of_set = *now;

	if (!mask || mask & ~ACHAN_SET_ALL)
		return -EINVAL;
	if (mask & ACHAN_SET_OVERFLOW) {
		if (!config->overflow)
			return -EINVAL;
		config_of_set.overflow = config->overflow;
	}
	if (mask & ACHAN_SET_TIMESTAMPS)
		config_of_set.flags = config->flags;
	config_of_set.read_low = mask & ACHAN_SET_READ_LOW ?
				 config->read_low : 0;
	config_of_set.write_low = mask & ACHAN_SET_WRITE_LOW ?
				  config->write_low : 0;
	if (mask & ACHAN_SET_MODERATION) {
		config_of_set.moderate_records = config->moderate_records;
		config_of_set.moderate_usecs = config->moderate_usecs;
	}
	return check_choices(&config_of_set) ?:
	       check_marks(&config_of_set, now->ring_bytes);
}

/**
 * achan_channel_set() - change how a channel behaves
 * @channel: the channel
 * @mask:    ACHAN_SET_*: what of @config is to be taken
 * @config:  from user space
 *
 * Whoever waits is looked at anew, since a mark that is lower now may have been
 * reached.
 *
 * Context: may sleep. Return: 0; or -EINVAL, or -EINTR for a fatal signal, and nothing
 * is changed.
 */
int achan_channel_set(struct achan *channel, u32 mask,
		      const struct achan_config *config)
{
	struct achan_policy wanted;
	int ret = check_set(channel, mask, config);

	if (ret)
		return ret;
	policy_of(config, &wanted);
	if (mutex_lock_killable(&channel->unit->ends))
		return -EINTR;
	/* Its overflow is that of what it pushes. */
	set_lane(channel->rx, mask & (channel->provider ?
		 ~ACHAN_SET_WRITE_LOW : ACHAN_SET_OF_READERS), &wanted);
	set_lane(channel->tx, mask & ~ACHAN_SET_OF_READERS, &wanted);
	achan_broadcast_follow(channel->rx);
	achan_broadcast_follow(channel->tx);
	mutex_unlock(&channel->unit->ends);
	achan_lane_touch(channel->rx);
	achan_lane_touch(channel->tx);
	achan_broadcast_each(channel->rx, achan_lane_touch);
	achan_broadcast_each(channel->tx, achan_lane_touch);
	return 0;
}

/* From now on nothing opens, parks or comes. */
static void unit_kill(struct achan_unit *unit)
{
	unsigned int i;

	mutex_lock(&unit->ends);
	WRITE_ONCE(unit->removed, true);
	if (unit->channels->provider)
		achan_provider_detach(unit->channels);
	mutex_unlock(&unit->ends);
	wake_up_all(&unit->open_wait);
	for (i = 0; i < unit->nr; i++) {
		struct achan_lane *lane = unit->channels[i].rx;

		achan_lane_kill(lane);
		if (unit->channels[i].tx != lane)
			achan_lane_kill(unit->channels[i].tx);
		if (!lane->broadcast)
			continue;
		/* What was written stays readable, on its way or not. */
		achan_broadcast_flush(lane);
		achan_broadcast_each(lane, achan_lane_kill);
	}
}

static void tell_removal(struct achan_lane *lane)
{
	achan_notify_hangup(lane->port);
}

/**
 * achan_unit_remove() - remove what achan_unit_create() made
 * @unit: not to be used afterwards
 *
 * Files that are open stay valid: they read what is left, then get -ENODEV.
 * Parked requests end with -ENODEV, sleepers wake up.
 *
 * Context: may sleep.
 */
void achan_unit_remove(struct achan_unit *unit)
{
	unsigned int i, nr = unit->nr;

	unit_kill(unit);
	for (i = 0; i < nr; i++) {
		struct achan *channel = &unit->channels[i];

		achan_notify_hangup(&channel->port);
		achan_broadcast_each(channel->rx, tell_removal);
		cdev_device_del(&channel->cdev, &channel->dev);
		achan_event(channel, ACHAN_EVENT_REMOVED);
	}
	/* A provider's calls, and calls to it, that saw the channel before. */
	if (unit->channels->provider)
		synchronize_rcu();
	/* The last of these frees the unit. */
	for (i = 0; i < nr; i++)
		put_device(&unit->channels[i].dev);
}

static int __init achan_init_workqueues(void)
{
	achan_workqueue = alloc_workqueue("achan", WQ_UNBOUND, 0);
	if (!achan_workqueue)
		return -ENOMEM;
	/* Its items can wait for user space without bound: apart from others. */
	achan_fault_workqueue = alloc_workqueue("achan_fault", WQ_UNBOUND, 0);
	if (achan_fault_workqueue)
		return 0;
	destroy_workqueue(achan_workqueue);
	return -ENOMEM;
}

/*
 * The last free and the last ki_complete() may still be on their way out of
 * this module's text after the count has gone to zero: destroying the
 * workqueues waits for them.
 */
static void achan_drain(void)
{
	wait_event(achan_live_wait, !atomic_read(&achan_live));
	destroy_workqueue(achan_fault_workqueue);
	destroy_workqueue(achan_workqueue);
}

static int __init achan_init(void)
{
	int ret;

	ret = achan_init_workqueues();
	if (ret)
		return ret;
	ret = achan_events_init();
	if (ret)
		goto err_events;
	ret = class_register(&achan_class);
	if (ret)
		goto err_class;
	ret = alloc_chrdev_region(&achan_devt, 0, ACHAN_NUMBERS, "achan");
	if (ret)
		goto err_region;
	ret = achan_loop_init();
	if (ret)
		goto err_loop;
	ret = achan_control_init();
	if (ret)
		goto err_control;
	return 0;

err_control:
	achan_registry_clear();
err_loop:
	unregister_chrdev_region(achan_devt, ACHAN_NUMBERS);
err_region:
	class_unregister(&achan_class);
err_class:
	achan_drain();
	achan_events_exit();
	return ret;

err_events:
	achan_drain();
	return ret;
}

static void __exit achan_exit(void)
{
	achan_control_exit();
	achan_registry_clear();
	unregister_chrdev_region(achan_devt, ACHAN_NUMBERS);
	class_unregister(&achan_class);
	achan_drain();
	achan_events_exit();
}

module_init(achan_init);
module_exit(achan_exit);

MODULE_DESCRIPTION("Asynchronous channels: records between drivers and processes");
MODULE_AUTHOR("The achan developers");
MODULE_VERSION(ACHAN_RELEASE);
MODULE_LICENSE("GPL");
