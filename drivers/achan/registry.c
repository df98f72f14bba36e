// SPDX-License-Identifier: GPL-2.0-only
/*
 * achan: the channels that there are, by name and by number.
 */
#include <linux/atomic.h>
#include <linux/ctype.h>
#include <linux/hashtable.h>
#include <linux/stringhash.h>
#include <linux/xarray.h>

#include "achan.h"

/* Channels that can exist at a time; those that are removed and still open count. */
#define ACHAN_CHANNELS_MAX	4096

/* What follows, and that a channel found there stays. */
DEFINE_MUTEX(achan_registry_lock);
static DEFINE_HASHTABLE(named, 10);
static unsigned int generation = 1;

/*
 * The channels by number, NULL for one that is not yet or no longer to be found and
 * has its number still; and the number to be tried next. A node can outlive its
 * channel, where neither devtmpfs nor udev sees it: in a container's /dev, as a bind
 * mount, made by mknod. It has the permissions of the channel that is gone, and would
 * open the next one with that number. So a number that is free again is the last one
 * to be given again, and there are as many as a device number has room for: such a node
 * leads nowhere (-ENXIO) until a million of channels have been made.
 *
 * There is no second guard, since nothing that open() sees tells such a node from a
 * good one. The permissions asked for at creation are not those of the real node once
 * root has changed these, as udev's rule does. The age of the inode tells nothing
 * either: a node of a static /dev is older than its channel too, and its owner can make
 * any node younger by chmod.
 */
static DEFINE_XARRAY_ALLOC(channels);
static u32 next_number;
static atomic_t nr_numbers = ATOMIC_INIT(0);

/* Names go into sysfs, messages, and links in /dev/achan/by-name. */
static bool name_good(const char *name)
{
	size_t length = strnlen(name, ACHAN_NAME_MAX), i;

	if (!length || length == ACHAN_NAME_MAX)
		return false;
	if (*name == '.' || *name == '-')
		return false;
	for (i = 0; i < length; i++)
		if (!isascii(name[i]) ||
		    (!isalnum(name[i]) && !strchr("_.:+-", name[i])))
			return false;
	/* The names of nodes, which are those of channels without a name. */
	if (strncmp(name, "achan", 5) || !name[5])
		return true;
	return strspn(name + 5, "0123456789") != length - 5;
}

/**
 * achan_registry_alloc() - give a channel its number
 *
 * Context: achan_registry_lock held; may sleep. Return: the number, to be given back by
 * achan_registry_free(); -ENOSPC if there are too many channels; -ENOMEM.
 */
int achan_registry_alloc(void)
{
	u32 minor;
	int ret;

	if (atomic_inc_return(&nr_numbers) > ACHAN_CHANNELS_MAX) {
		ret = -ENOSPC;
		goto err;
	}
	ret = xa_alloc_cyclic(&channels, &minor, NULL,
			      XA_LIMIT(0, ACHAN_NUMBERS - 1), &next_number,
			      GFP_KERNEL);
	if (ret < 0)
		goto err;
	return minor;
err:
	atomic_dec(&nr_numbers);
	return ret;
}

/**
 * achan_registry_free() - give a number back
 * @minor: the number; nobody has the channel open any more
 *
 * Context: may sleep.
 */
void achan_registry_free(u32 minor)
{
	xa_erase(&channels, minor);
	atomic_dec(&nr_numbers);
}

static u32 hash_of(const char *name)
{
	return full_name_hash(NULL, name, strlen(name));
}

static struct achan *find_name(const char *name)
{
	struct achan *channel;

	hash_for_each_possible(named, channel, by_name, hash_of(name))
		if (!strcmp(channel->name, name))
			return channel;
	return NULL;
}

/* Context: achan_registry_lock held. */
static struct achan *find(const char *name, u32 minor)
{
	return *name ? find_name(name) : xa_load(&channels, minor);
}

/* Context: achan_registry_lock held. Return: 0, -EINVAL or -EEXIST. */
static int check_names(const char *const names[], unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		if (!*names[i])
			continue;
		if (!name_good(names[i]))
			return -EINVAL;
		if (find_name(names[i]))
			return -EEXIST;
	}
	return nr == 2 && *names[0] && !strcmp(names[0], names[1]) ? -EEXIST : 0;
}

/* Context: achan_registry_lock held. */
static void put(struct achan_unit *unit)
{
	unsigned int i;

	for (i = 0; i < unit->nr; i++) {
		struct achan *channel = &unit->channels[i];

		hash_add(named, &channel->by_name, hash_of(channel->name));
		/* It has its place there: this takes no memory. */
		xa_store(&channels, achan_minor(channel), channel, GFP_KERNEL);
	}
	generation++;
}

/* Context: achan_registry_lock held. */
static void take(struct achan_unit *unit)
{
	unsigned int i;

	for (i = 0; i < unit->nr; i++) {
		struct achan *channel = &unit->channels[i];

		hash_del(&channel->by_name);
		xa_store(&channels, achan_minor(channel), NULL, GFP_KERNEL);
	}
	generation++;
}

/**
 * achan_registry_create() - make what a configuration asks for
 * @config:	 checked by achan_config_check()
 * @names:	 one for each channel; empty: that of its node
 * @minors:	 filled in: the numbers of the channels
 * @description: of a provider's channel, else NULL
 *
 * Context: may sleep. Return: the unit, which somebody may remove at any time,
 * unless it is a provider's; ERR_PTR(-EINVAL) for a name that cannot be,
 * ERR_PTR(-EEXIST) for one that there is, ERR_PTR(-EINTR) for a fatal signal, and what
 * achan_unit_create() says.
 */
struct achan_unit *
achan_registry_create(const struct achan_config *config,
		      const char *const names[], u32 minors[],
		      const struct achan_description *description)
{
	unsigned int i, nr = config->kind == ACHAN_KIND_PAIR ? 2 : 1;
	struct achan_unit *unit;
	int ret;

	if (mutex_lock_killable(&achan_registry_lock))
		return ERR_PTR(-EINTR);
	ret = check_names(names, nr);
	unit = ret ? ERR_PTR(ret) :
		     achan_unit_create(config, names, description);
	if (!IS_ERR(unit)) {
		put(unit);
		for (i = 0; i < nr; i++)
			minors[i] = achan_minor(&unit->channels[i]);
	}
	mutex_unlock(&achan_registry_lock);
	for (i = 0; !IS_ERR(unit) && i < nr; i++)
		achan_check_node(minors[i]);
	return unit;
}

/**
 * achan_registry_take() - let a channel be found no more
 * @unit: what it is of; the caller's to remove
 *
 * Context: may sleep.
 */
void achan_registry_take(struct achan_unit *unit)
{
	mutex_lock(&achan_registry_lock);
	take(unit);
	mutex_unlock(&achan_registry_lock);
}

/**
 * achan_registry_remove() - remove a channel, and the other one of a pair
 * @name:  its name, or empty
 * @minor: its number, where @name is empty
 *
 * The name is free again at once, the number when nobody has the channel open and all
 * others have been given.
 *
 * Context: may sleep. Return: 0; -ENOENT; -EPERM for a provider's, which is its own
 * to remove; -EINTR for a fatal signal.
 */
int achan_registry_remove(const char *name, u32 minor)
{
	struct achan *channel;
	int ret = 0;

	if (mutex_lock_killable(&achan_registry_lock))
		return -EINTR;
	channel = find(name, minor);
	if (!channel)
		ret = -ENOENT;
	else if (channel->provider)
		ret = -EPERM;
	else
		take(channel->unit);
	mutex_unlock(&achan_registry_lock);
	if (ret)
		return ret;
	/* Whoever took it out of the list is the one to do this. */
	achan_unit_remove(channel->unit);
	return 0;
}

/**
 * achan_registry_clear() - remove all channels
 *
 * Context: may sleep.
 */
void achan_registry_clear(void)
{
	struct achan *channel;

	for (;;) {
		mutex_lock(&achan_registry_lock);
		channel = achan_registry_next(0);
		if (channel)
			take(channel->unit);
		mutex_unlock(&achan_registry_lock);
		if (!channel)
			return;
		achan_unit_remove(channel->unit);
	}
}

/**
 * achan_registry_get() - find a channel
 * @name:  its name, or empty
 * @minor: its number, where @name is empty
 *
 * Context: achan_registry_lock held, for as long as the channel is used.
 * Return: the channel or NULL.
 */
struct achan *achan_registry_get(const char *name, u32 minor)
{
	return find(name, minor);
}

/* Changes when a channel comes or goes. Context: achan_registry_lock held. */
unsigned int achan_registry_generation(void)
{
	return generation;
}

/**
 * achan_registry_next() - find the channel with the next number
 * @minor: the least that it may have
 *
 * Context: achan_registry_lock held, for as long as the channel is used.
 * Return: the channel or NULL.
 */
struct achan *achan_registry_next(u32 minor)
{
	unsigned long index = minor;

	return xa_find(&channels, &index, ACHAN_NUMBERS - 1, XA_PRESENT);
}
