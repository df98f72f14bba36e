// SPDX-License-Identifier: GPL-2.0-only
/*
 * achan: events about channels, and a dump of them: the generic-netlink family
 * in user space, a notifier chain in the kernel.
 *
 * All events come from process context: from creation, removal, open and close
 * themselves, and from a work item where records are being lost, since that can
 * happen anywhere. So the chain is a blocking one: who is called may sleep, and
 * unregistering waits for calls under way.
 *
 * event_lock puts all events into one order, in which both get them, and in
 * which they are numbered. An overflow is one event for as long as records are
 * being lost: the next one comes after a record has found room.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <net/genetlink.h>
#include <net/sock.h>

#include <linux/achan.h>

#include "achan.h"
#include "compat.h"

/* One order for all events; their number. */
static DEFINE_MUTEX(event_lock);
static u64 event_sequence;
static BLOCKING_NOTIFIER_HEAD(event_chain);
static struct genl_family family;

/* All about a channel fits with room to spare. */
#define MESSAGE_BYTES	NLMSG_DEFAULT_SIZE

/**
 * achan_notifier_register() - be told of events
 * @notifier: called with ACHAN_EVENT_* and a struct achan_event
 *
 * The call may sleep. It must neither create, remove, open nor close channels,
 * nor register or unregister: it is made in the middle of these. What it returns
 * is not looked at.
 *
 * Context: may sleep. Return: 0 or -EEXIST.
 */
int achan_notifier_register(struct notifier_block *notifier)
{
	return blocking_notifier_chain_register(&event_chain, notifier);
}
EXPORT_SYMBOL_NS_GPL(achan_notifier_register, ACHAN_NAMESPACE);

/**
 * achan_notifier_unregister() - be told no more
 * @notifier: from achan_notifier_register(); not called any more afterwards
 *
 * Context: may sleep. Return: 0 or -ENOENT.
 */
int achan_notifier_unregister(struct notifier_block *notifier)
{
	return blocking_notifier_chain_unregister(&event_chain, notifier);
}
EXPORT_SYMBOL_NS_GPL(achan_notifier_unregister, ACHAN_NAMESPACE);

/*
 * What not everybody may know of a channel, see access.c. Context: may sleep. Return: 0
 * or -EMSGSIZE.
 */
static int put_details(struct sk_buff *skb, const struct achan *channel,
		       struct user_namespace *ns)
{
	struct achan_config config;
	struct achan_stats stats;

	achan_get_config_for(channel, ns, &config);
	achan_get_stats(channel, &stats);
	if (nla_put(skb, ACHAN_ATTR_CONFIG, sizeof(config), &config) ||
	    nla_put_64bit(skb, ACHAN_ATTR_STATS, sizeof(stats), &stats,
			  ACHAN_ATTR_PAD))
		return -EMSGSIZE;
	return 0;
}

/* @ns: in whose numbers its owner is told; NULL: without the details. */
static int put_channel(struct sk_buff *skb, const struct achan *channel,
		       u64 sequence, struct user_namespace *ns)
{
	if (nla_put_u64_64bit(skb, ACHAN_ATTR_EVENT_SEQUENCE, sequence,
			      ACHAN_ATTR_PAD) ||
	    nla_put_string(skb, ACHAN_ATTR_NAME, channel->name) ||
	    nla_put_u32(skb, ACHAN_ATTR_MINOR, achan_minor(channel)) ||
	    nla_put_u32(skb, ACHAN_ATTR_KIND, channel->kind) ||
	    (channel->peer && nla_put_u32(skb, ACHAN_ATTR_PEER_MINOR,
					  achan_minor(channel->peer))))
		return -EMSGSIZE;
	return ns ? put_details(skb, channel, ns) : 0;
}

enum { GROUP_EVERYBODY, GROUP_ADMIN };

static const struct genl_multicast_group groups[] = {
	{ .name = ACHAN_GENL_GROUP },
	ACHAN_ADMIN_GROUP
};

/* Context: event_lock held. */
static void multicast(const struct achan *channel, u32 event,
		      const struct achan_event *details, unsigned int group)
{
	bool all = group == GROUP_ADMIN ||
		   achan_attribute_mode(channel) == 0444;
	struct sk_buff *skb;
	void *header;

	/* Numbers are spent all the same: who listens sees the gap. */
	if (!genl_has_listeners(&family, &init_net, group))
		return;
	skb = genlmsg_new(MESSAGE_BYTES, GFP_KERNEL);
	if (!skb)
		return;
	header = genlmsg_put(skb, 0, 0, &family, 0, ACHAN_CMD_EVENT);
	if (!header || nla_put_u32(skb, ACHAN_ATTR_EVENT, event) ||
	    nla_put_u64_64bit(skb, ACHAN_ATTR_TIMESTAMP, details->timestamp,
			      ACHAN_ATTR_PAD) ||
	    put_channel(skb, channel, details->sequence,
			all ? &init_user_ns : NULL)) {
		nlmsg_free(skb);
		return;
	}
	genlmsg_end(skb, header);
	genlmsg_multicast(&family, skb, 0, group, GFP_KERNEL);
}

/**
 * achan_event() - tell of an event
 * @channel: the channel
 * @event:   ACHAN_EVENT_*
 *
 * Context: may sleep; takes event_lock.
 */
void achan_event(struct achan *channel, u32 event)
{
	struct achan_event details = {
		.name = channel->name,
		.minor = achan_minor(channel),
		.peer_minor = achan_minor(channel->peer),
	};
	unsigned int i;

	mutex_lock(&event_lock);
	details.sequence = ++event_sequence;
	details.timestamp = ktime_get_ns();
	for (i = 0; i < ARRAY_SIZE(groups); i++)
		multicast(channel, event, &details, i);
	blocking_notifier_call_chain(&event_chain, event, &details);
	mutex_unlock(&event_lock);
}

static void overflow_work(struct work_struct *work)
{
	struct achan *channel = container_of(work, struct achan, event_work);

	achan_event(channel, ACHAN_EVENT_OVERFLOW);
	put_device(&channel->dev);
}

void achan_event_init(struct achan *channel)
{
	INIT_WORK(&channel->event_work, overflow_work);
}

/**
 * achan_event_overflow() - records are being lost
 * @channel: the channel whose readers lose them
 *
 * Context: any.
 */
void achan_event_overflow(struct achan *channel)
{
	get_device(&channel->dev);
	if (!queue_work(achan_workqueue, &channel->event_work))
		put_device(&channel->dev);
}

/* Of the latest event that a description from now on has in it. */
static u64 latest_event(void)
{
	u64 sequence;

	mutex_lock(&event_lock);
	sequence = event_sequence;
	mutex_unlock(&event_lock);
	return sequence;
}

/**
 * struct asker - who wants to know
 * @sender: who sent the request
 * @opener: who opened the socket. Both count: a program with more rights can be made to
 *	    write to a socket that it was given, and a socket can be handed on.
 * @admin:  both have CAP_SYS_ADMIN
 */
struct asker {
	const struct cred *sender;
	const struct cred *opener;
	bool admin;
};

/* Context: the sender's. Who has no right is not denied: nothing for the audit log. */
static void asker_get(struct asker *asker, struct sk_buff *request)
{
	const struct file *file = NETLINK_CB(request).sk->sk_socket->file;

	asker->sender = get_current_cred();
	asker->opener = get_cred(file ? file->f_cred : asker->sender);
	asker->admin = ns_capable_noaudit(&init_user_ns, CAP_SYS_ADMIN) &&
		       netlink_capable(request, CAP_SYS_ADMIN);
}

static void asker_put(struct asker *asker)
{
	put_cred(asker->opener);
	put_cred(asker->sender);
}

/* Return: whose numbers owners are told in, or NULL if the details are not theirs. */
static struct user_namespace *knows(const struct asker *asker,
				    const struct achan *channel)
{
	if (asker->admin || (achan_may_know(channel, asker->opener) &&
			     achan_may_know(channel, asker->sender)))
		return asker->opener->user_ns;
	return NULL;
}

static int fill(struct sk_buff *skb, const struct achan *channel,
		const struct asker *asker, u32 portid, u32 seq, int flags,
		struct netlink_callback *cb)
{
	void *header = genlmsg_put(skb, portid, seq, &family, flags,
				   ACHAN_CMD_GET);

	if (!header)
		return -EMSGSIZE;
	if (cb)
		genl_dump_check_consistent(cb, header);
	if (put_channel(skb, channel, latest_event(), knows(asker, channel))) {
		genlmsg_cancel(skb, header);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, header);
	return 0;
}

/* What is kept from one message of a dump to the next. */
struct dump {
	struct asker asker;
	u32 minor;
};

static struct dump *dump_of(struct netlink_callback *cb)
{
	return (struct dump *)cb->args[0];
}

/* The rest of a dump is made where the receiver reads: that is not who asked. */
static int dump_start(struct netlink_callback *cb)
{
	struct dump *dump = kzalloc(sizeof(*dump), GFP_KERNEL);

	if (!dump)
		return -ENOMEM;
	asker_get(&dump->asker, cb->skb);
	cb->args[0] = (long)dump;
	return 0;
}

static int dump_done(struct netlink_callback *cb)
{
	struct dump *dump = dump_of(cb);

	asker_put(&dump->asker);
	kfree(dump);
	return 0;
}

/*
 * The next channel's message. The lock is held for one, so that whoever creates or
 * removes a channel does not wait for all of a dump; generations show what came
 * between.
 *
 * Context: may sleep. Return: whether there is one, and it fits.
 */
static bool dump_next(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct dump *dump = dump_of(cb);
	struct achan *channel;
	bool filled = false;

	if (mutex_lock_killable(&achan_registry_lock))
		return false;
	cb->seq = achan_registry_generation();
	channel = achan_registry_next(dump->minor);
	if (channel)
		filled = !fill(skb, channel, &dump->asker,
			       NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
			       NLM_F_MULTI, cb);
	if (filled)
		dump->minor = achan_minor(channel) + 1;
	mutex_unlock(&achan_registry_lock);
	return filled;
}

/* Context: may sleep. One message for each channel, as many as fit. */
static int get_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	while (dump_next(skb, cb))
		;
	return skb->len;
}

static int get_one(struct sk_buff *request, struct genl_info *info)
{
	struct nlattr *name = info->attrs[ACHAN_ATTR_NAME];
	struct nlattr *minor = info->attrs[ACHAN_ATTR_MINOR];
	struct achan *channel;
	struct asker asker;
	struct sk_buff *skb;
	int ret = -ENOENT;

	if (!name && !minor)
		return -EINVAL;
	skb = genlmsg_new(MESSAGE_BYTES, GFP_KERNEL);
	if (!skb)
		return -ENOMEM;
	if (mutex_lock_killable(&achan_registry_lock)) {
		nlmsg_free(skb);
		return -EINTR;
	}
	asker_get(&asker, request);
	channel = achan_registry_get(name ? nla_data(name) : "",
				     minor ? nla_get_u32(minor) : 0);
	if (channel)
		ret = fill(skb, channel, &asker, info->snd_portid,
			   info->snd_seq, 0, NULL);
	mutex_unlock(&achan_registry_lock);
	asker_put(&asker);
	if (!ret)
		return genlmsg_reply(skb, info);
	nlmsg_free(skb);
	return ret;
}

static const struct nla_policy policy[ACHAN_ATTR_MAX + 1] = {
	[ACHAN_ATTR_NAME] = { .type = NLA_NUL_STRING,
			      .len = ACHAN_NAME_MAX - 1 },
	[ACHAN_ATTR_MINOR] = { .type = NLA_U32 },
};

static const struct genl_ops operations[] = {
	{
		.cmd	= ACHAN_CMD_GET,
		.doit	= get_one,
		.start	= dump_start,
		.dumpit	= get_dump,
		.done	= dump_done,
	},
};

/* Nodes know no namespace of the network's: the first one has the events. */
static struct genl_family family __ro_after_init = {
	.name		= ACHAN_GENL_NAME,
	.version	= ACHAN_GENL_VERSION,
	.maxattr	= ACHAN_ATTR_MAX,
	.policy		= policy,
	.module		= THIS_MODULE,
	.ops		= operations,
	.n_ops		= ARRAY_SIZE(operations),
	.resv_start_op	= ACHAN_CMD_EVENT + 1,
	.mcgrps		= groups,
	.n_mcgrps	= ARRAY_SIZE(groups),
};

int __init achan_events_init(void)
{
	return genl_register_family(&family);
}

/* Nothing has events any more. */
void achan_events_exit(void)
{
	genl_unregister_family(&family);
}
