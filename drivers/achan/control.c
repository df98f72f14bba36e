// SPDX-License-Identifier: GPL-2.0-only
/*
 * achan: /dev/achan-control: make, change, remove and list channels.
 *
 * Who may open the node may do it all: it belongs to root with mode 0600. Each
 * open file begins with the handshake, so that a tool of another age is told so
 * before it has done something.
 */
#include <linux/compat.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/uaccess.h>

#include "achan.h"

#define ACHAN_FEATURES	(ACHAN_FEATURE_PAIR | ACHAN_FEATURE_BROADCAST | \
			 ACHAN_FEATURE_HANGUP | ACHAN_FEATURE_WATERMARKS | \
			 ACHAN_FEATURE_MODERATION | ACHAN_FEATURE_EVENTS)

/* The versions agreed on a file: its private_data is NULL before. */
static char agreed;

static bool all_zero(const void *memory, size_t bytes)
{
	return !memchr_inv(memory, 0, bytes);
}

static long control_version(struct file *filp, void __user *argument)
{
	struct achan_handshake version;
	u32 wanted;

	if (copy_from_user(&version, argument, sizeof(version)))
		return -EFAULT;
	if (!all_zero(version.reserved, sizeof(version.reserved)))
		return -EINVAL;
	wanted = version.abi_version;
	version.abi_version = ACHAN_ABI_VERSION;
	version.features = ACHAN_FEATURES;
	if (copy_to_user(argument, &version, sizeof(version)))
		return -EFAULT;
	if (wanted != ACHAN_ABI_VERSION)
		return -EPROTONOSUPPORT;
	WRITE_ONCE(filp->private_data, &agreed);
	return 0;
}

static bool terminated(const char *name)
{
	return strnlen(name, ACHAN_NAME_MAX) < ACHAN_NAME_MAX;
}

/*
 * Who opened the node is whom it let do all this: a file that was handed on says
 * users and groups in the opener's numbers, whoever calls.
 */
static struct user_namespace *opener_ns(const struct file *filp)
{
	return filp->f_cred->user_ns;
}

static long control_create(struct file *filp, void __user *argument)
{
	struct achan_create create;
	const char *const names[] = { create.name, create.peer_name };
	u32 minors[] = { ACHAN_MINOR_NONE, ACHAN_MINOR_NONE };
	struct achan_unit *unit;
	int ret;

	if (copy_from_user(&create, argument, sizeof(create)))
		return -EFAULT;
	if (!all_zero(create.reserved, sizeof(create.reserved)) ||
	    !terminated(create.name) || !terminated(create.peer_name) ||
	    (*create.peer_name && create.config.kind != ACHAN_KIND_PAIR) ||
	    create.config.kind == ACHAN_KIND_PROVIDER)
		return -EINVAL;
	ret = achan_config_check(&create.config, opener_ns(filp));
	if (ret)
		return ret;
	unit = achan_registry_create(&create.config, names, minors, NULL);
	if (IS_ERR(unit))
		return PTR_ERR(unit);
	create.minor = minors[0];
	create.peer_minor = minors[1];
	/* It is there: a caller who cannot be told finds it by its name. */
	return copy_to_user(argument, &create, sizeof(create)) ? -EFAULT : 0;
}

static long control_remove(void __user *argument)
{
	struct achan_remove remove;

	if (copy_from_user(&remove, argument, sizeof(remove)))
		return -EFAULT;
	if (!all_zero(remove.reserved, sizeof(remove.reserved)) ||
	    remove.flags || !terminated(remove.name))
		return -EINVAL;
	return achan_registry_remove(remove.name, remove.minor);
}

static long control_set(void __user *argument)
{
	struct achan *channel;
	struct achan_set set;
	long ret = -ENOENT;

	if (copy_from_user(&set, argument, sizeof(set)))
		return -EFAULT;
	if (!all_zero(set.reserved, sizeof(set.reserved)) ||
	    !terminated(set.name))
		return -EINVAL;
	if (mutex_lock_killable(&achan_registry_lock))
		return -EINTR;
	channel = achan_registry_get(set.name, set.minor);
	if (channel)
		ret = achan_channel_set(channel, set.mask, &set.config);
	mutex_unlock(&achan_registry_lock);
	return ret;
}

static void describe(struct achan *channel, struct user_namespace *ns,
		     struct achan_channel *description)
{
	memset(description, 0, sizeof(*description));
	strscpy(description->name, channel->name, sizeof(description->name));
	description->minor = achan_minor(channel);
	description->peer_minor = achan_minor(channel->peer);
	achan_get_config_for(channel, ns, &description->config);
	achan_get_stats(channel, &description->stats);
}

static long control_describe(struct file *filp, void __user *argument,
			     bool next)
{
	struct achan_channel description;
	struct achan *channel;

	if (copy_from_user(&description, argument, sizeof(description)))
		return -EFAULT;
	if (!terminated(description.name) || (next && *description.name))
		return -EINVAL;
	if (mutex_lock_killable(&achan_registry_lock))
		return -EINTR;
	channel = next ? achan_registry_next(description.minor) :
			 achan_registry_get(description.name,
					    description.minor);
	if (channel)
		describe(channel, opener_ns(filp), &description);
	mutex_unlock(&achan_registry_lock);
	if (!channel)
		return -ENOENT;
	return copy_to_user(argument, &description, sizeof(description)) ?
	       -EFAULT : 0;
}

static long control_ioctl(struct file *filp, unsigned int command,
			  unsigned long value)
{
	void __user *argument = (void __user *)value;

	if (_IOC_TYPE(command) != ACHAN_IOC_MAGIC)
		return -ENOTTY;
	if (command == ACHAN_CTL_VERSION)
		return control_version(filp, argument);
	if (!READ_ONCE(filp->private_data))
		return -EPROTO;
	switch (command) {
	case ACHAN_CTL_CREATE:
		return control_create(filp, argument);
	case ACHAN_CTL_REMOVE:
		return control_remove(argument);
	case ACHAN_CTL_SET:
		return control_set(argument);
	case ACHAN_CTL_GET:
		return control_describe(filp, argument, false);
	case ACHAN_CTL_NEXT:
		return control_describe(filp, argument, true);
	default:
		return -ENOTTY;
	}
}

/* misc_open() leaves the device there. */
static int control_open(struct inode *inode, struct file *filp)
{
	filp->private_data = NULL;
	return nonseekable_open(inode, filp);
}

static const struct file_operations control_fops = {
	.owner		= THIS_MODULE,
	.open		= control_open,
	.unlocked_ioctl	= control_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
};

static struct miscdevice control = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "achan-control",
	.fops	= &control_fops,
	.mode	= 0600,
};

int achan_control_init(void)
{
	return misc_register(&control);
}

void achan_control_exit(void)
{
	misc_deregister(&control);
}
