// SPDX-License-Identifier: GPL-2.0-only
/*
 * achan: the module, and a channel's life and death.
 *
 * A channel lives as long as its struct device: the node, each open file
 * (through the cdev) and each worker that makes a buffer present hold a
 * reference. Freeing is left to a work item, since the last reference may go
 * in atomic context, and the module waits for the last one to be freed before
 * its text goes.
 */
#include <linux/idr.h>
#include <linux/kdev_t.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "achan.h"

/* Minors, and so channels that can exist at a time. */
#define ACHAN_MINORS	4096

struct workqueue_struct *achan_workqueue;
struct workqueue_struct *achan_fault_workqueue;

static dev_t achan_devt;
static DEFINE_IDA(achan_minors);
static atomic_t achan_live = ATOMIC_INIT(0);
static DECLARE_WAIT_QUEUE_HEAD(achan_live_wait);

static struct class achan_class = {
	.name = "achan",
};

static void channel_free_work(struct work_struct *work)
{
	struct achan *channel = container_of(work, struct achan, free_work);

	achan_lane_free(channel->rx);
	ida_free(&achan_minors, MINOR(channel->dev.devt));
	kfree(channel);
	if (atomic_dec_and_test(&achan_live))
		wake_up(&achan_live_wait);
}

static void channel_release(struct device *dev)
{
	struct achan *channel = container_of(dev, struct achan, dev);

	queue_work(achan_workqueue, &channel->free_work);
}

/* Return: a channel with a name and a lane, or NULL. */
static struct achan *channel_alloc(u32 kind, u32 mode, u32 ring_bytes,
				   int minor)
{
	struct achan *channel = kzalloc(sizeof(*channel), GFP_KERNEL_ACCOUNT);
	struct achan_lane *lane;

	if (!channel)
		return NULL;
	lane = achan_lane_alloc(ring_bytes);
	if (!lane) {
		kfree(channel);
		return NULL;
	}
	lane->reader = channel;
	lane->writer = channel;
	channel->rx = lane;
	channel->tx = lane;
	channel->kind = kind;
	channel->mode = mode;
	snprintf(channel->name, sizeof(channel->name), "achan%d", minor);
	init_waitqueue_head(&channel->wait);
	INIT_WORK(&channel->free_work, channel_free_work);
	return channel;
}

/**
 * achan_create() - make a channel and its node
 * @kind:	ACHAN_KIND_*
 * @mode:	ACHAN_MODE_*
 * @ring_bytes: size of its ring, checked by the caller
 *
 * Context: may sleep. Return: the channel, to be given to achan_destroy();
 * ERR_PTR(-ENOSPC) if there are too many; ERR_PTR(-ENOMEM).
 */
struct achan *achan_create(u32 kind, u32 mode, u32 ring_bytes)
{
	struct achan *channel;
	int ret, minor;

	minor = ida_alloc_max(&achan_minors, ACHAN_MINORS - 1, GFP_KERNEL);
	if (minor < 0)
		return ERR_PTR(minor);
	channel = channel_alloc(kind, mode, ring_bytes, minor);
	if (!channel) {
		ida_free(&achan_minors, minor);
		return ERR_PTR(-ENOMEM);
	}
	/* From here on channel_release() undoes it all. */
	atomic_inc(&achan_live);
	device_initialize(&channel->dev);
	channel->dev.class = &achan_class;
	channel->dev.devt = MKDEV(MAJOR(achan_devt), minor);
	channel->dev.release = channel_release;
	cdev_init(&channel->cdev, &achan_fops);
	channel->cdev.owner = THIS_MODULE;
	ret = dev_set_name(&channel->dev, "%s", channel->name);
	if (!ret)
		ret = cdev_device_add(&channel->cdev, &channel->dev);
	if (ret) {
		put_device(&channel->dev);
		return ERR_PTR(ret);
	}
	return channel;
}

/**
 * achan_destroy() - remove a channel
 * @channel: from achan_create(); not to be used afterwards
 *
 * Files that are open stay valid: they read what is left, then get -ENODEV.
 * Parked requests end with -ENODEV, sleepers wake up.
 *
 * Context: may sleep.
 */
void achan_destroy(struct achan *channel)
{
	achan_lane_kill(channel->rx);
	cdev_device_del(&channel->cdev, &channel->dev);
	achan_notify_hangup(channel);
	put_device(&channel->dev);
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
	ret = class_register(&achan_class);
	if (ret)
		goto err_class;
	ret = alloc_chrdev_region(&achan_devt, 0, ACHAN_MINORS, "achan");
	if (ret)
		goto err_region;
	ret = achan_loop_init();
	if (ret)
		goto err_loop;
	return 0;

err_loop:
	unregister_chrdev_region(achan_devt, ACHAN_MINORS);
err_region:
	class_unregister(&achan_class);
err_class:
	achan_drain();
	return ret;
}

static void __exit achan_exit(void)
{
	achan_loop_exit();
	unregister_chrdev_region(achan_devt, ACHAN_MINORS);
	class_unregister(&achan_class);
	achan_drain();
}

module_init(achan_init);
module_exit(achan_exit);

MODULE_DESCRIPTION("Asynchronous channels: records between drivers and processes");
MODULE_AUTHOR("The achan developers");
MODULE_LICENSE("GPL");
