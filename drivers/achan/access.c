// SPDX-License-Identifier: GPL-2.0-only
/*
 * achan: who may know what a channel does.
 *
 * That there is a channel, its name, number and kind, everybody may know. How it is
 * configured and what it has counted is for who may open its node, since counters tell
 * when others read and write. What counts is the owner, the group and the mode that the
 * channel was created with: what root has done to the node since, the driver cannot see.
 * Who got the right to open the node in that way asks the node, by ACHAN_IOC_STATS and
 * ACHAN_IOC_CONFIG.
 */
#include <linux/cred.h>
#include <linux/stat.h>

#include "achan.h"

static bool is_in_group(const struct cred *cred, kgid_t gid)
{
	const struct group_info *groups = cred->group_info;
	int i;

	if (gid_eq(cred->fsgid, gid))
		return true;
	for (i = 0; i < groups->ngroups; i++)
		if (gid_eq(groups->gid[i], gid))
			return true;
	return false;
}

/**
 * achan_may_know() - may somebody know what a channel does?
 * @channel: the channel
 * @cred:    who asks
 *
 * The owner may in any case, as they may change the node's mode.
 *
 * Context: any. Return: whether @cred may; privileges are the caller's business.
 */
bool achan_may_know(const struct achan *channel, const struct cred *cred)
{
	const struct achan_unit *unit = channel->unit;
	umode_t mode = unit->config.node_mode;

	if (uid_eq(cred->fsuid, unit->uid))
		return true;
	if (is_in_group(cred, unit->gid))
		mode >>= 3;
	return mode & 0006;
}

/**
 * achan_attribute_mode() - the mode of what may not be known to everybody
 * @channel: the channel
 *
 * Context: any. Return: 0400, and reading for those who may open the node, be it to read
 * or to write.
 */
umode_t achan_attribute_mode(const struct achan *channel)
{
	umode_t mode = channel->unit->config.node_mode;

	return 0400 | ((mode | mode << 1) & 0444);
}
