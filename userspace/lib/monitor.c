// SPDX-License-Identifier: LGPL-2.1-or-later
/* Events about channels, by generic netlink. */
#include "internal.h"

#include <linux/genetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Bytes of the first version of the options. */
#define MONITOR_OPTS_OLDEST	sizeof(struct achan_monitor_opts)

/* The kernel puts at most this much of a dump into one datagram. */
#define RECEIVE_BYTES		32768

struct achan_monitor {
	uint32_t stamp;
	int fd;
	/* What the kernel calls the family and its groups; 0: it has no such group. */
	uint16_t family;
	uint32_t group;
	uint32_t admin_group;
	/* Number of the event to come; known from the first one on. */
	uint64_t next_event;
	bool next_known;
	/* A dump is running, its messages have this number. */
	bool dumping;
	uint32_t dump_sequence;
	/* It was interrupted. */
	bool dump_torn;
	/* Another one is wanted; what is left of this one is not. */
	bool dump_again;
	uint32_t last_sequence;
	/* The module has been removed: nothing comes any more. */
	bool gone;
	/* The datagram being taken apart. */
	size_t length;
	size_t offset;
	unsigned char buf[RECEIVE_BYTES];
};

static int check(const struct achan_monitor *monitor)
{
	return monitor ? achan_process_check(monitor->stamp) : -EINVAL;
}

/*
 * Receives a datagram of the kernel's. Returns 1, 0 if there is none, or a
 * negative errno value; -ENOBUFS also for one that was cut.
 */
static int receive(struct achan_monitor *monitor)
{
	struct sockaddr_nl from = { 0 };
	struct iovec iov = {
		.iov_base = monitor->buf, .iov_len = sizeof(monitor->buf),
	};
	struct msghdr message = {
		.msg_name = &from, .msg_namelen = sizeof(from),
		.msg_iov = &iov, .msg_iovlen = 1,
	};
	ssize_t got;

	do {
		message.msg_namelen = sizeof(from);
		got = ACHAN_RESULT(recvmsg(monitor->fd, &message, MSG_DONTWAIT));
		if (got == -EAGAIN)
			return 0;
		if (got < 0 && got != -EINTR)
			return (int)got;
		/* Any process can send to the socket: only the kernel counts. */
	} while (got < 0 || from.nl_pid);
	if (message.msg_flags & MSG_TRUNC)
		return -ENOBUFS;
	monitor->length = (size_t)got;
	monitor->offset = 0;
	return 1;
}

static int transmit(struct achan_monitor *monitor,
		    struct achan_netlink_request *request)
{
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	ssize_t sent;

	request->header.nlmsg_seq = ++monitor->last_sequence;
	do {
		sent = ACHAN_RESULT(sendto(monitor->fd, request,
					   request->header.nlmsg_len, 0,
					   (const struct sockaddr *)&kernel,
					   sizeof(kernel)));
	} while (sent == -EINTR);
	return sent < 0 ? (int)sent : 0;
}

/* -------------------------------------------------- finding the family */

/* What the kernel says of a family. */
struct family {
	uint16_t id;
	uint32_t version;
	uint32_t group;
	uint32_t admin_group;
};

static int take_group(struct achan_netlink_attribute group,
		      struct family *family)
{
	struct achan_netlink_attribute attribute;
	char name[GENL_NAMSIZ] = "";
	uint32_t number = 0;
	int ret;

	while ((ret = achan_netlink_attribute(&group, &attribute)) > 0) {
		if (attribute.type == CTRL_ATTR_MCAST_GRP_NAME)
			ret = achan_netlink_string(&attribute, name,
						   sizeof(name));
		else if (attribute.type == CTRL_ATTR_MCAST_GRP_ID)
			ret = achan_netlink_number(&attribute, &number,
						   sizeof(number));
		if (ret < 0)
			return ret;
	}
	if (!ret && !strcmp(name, ACHAN_GENL_GROUP))
		family->group = number;
	if (!ret && !strcmp(name, ACHAN_GENL_GROUP_ADMIN))
		family->admin_group = number;
	return ret;
}

static int take_family(struct achan_netlink_attribute attributes,
		       struct family *family)
{
	struct achan_netlink_attribute attribute, group;
	int ret;

	while ((ret = achan_netlink_attribute(&attributes, &attribute)) > 0) {
		switch (attribute.type) {
		case CTRL_ATTR_FAMILY_ID:
			ret = achan_netlink_number(&attribute, &family->id,
						   sizeof(family->id));
			break;
		case CTRL_ATTR_VERSION:
			ret = achan_netlink_number(&attribute, &family->version,
						   sizeof(family->version));
			break;
		case CTRL_ATTR_MCAST_GROUPS:
			while ((ret = achan_netlink_attribute(&attribute,
							      &group)) > 0) {
				ret = take_group(group, family);
				if (ret)
					break;
			}
			break;
		}
		if (ret < 0)
			return ret;
	}
	return ret;
}

/* The answer is there when the request has been sent. */
static int answer(struct achan_monitor *monitor, struct family *family)
{
	struct achan_netlink_attribute attributes;
	struct achan_netlink_message message;
	uint8_t command;
	int error, ret;

	do {
		ret = receive(monitor);
		if (ret <= 0)
			return ret ? ret : -EPROTO;
		ret = achan_netlink_next(monitor->buf, monitor->length,
					 &monitor->offset, &message);
		if (ret <= 0)
			return -EBADMSG;
	} while (message.sequence != monitor->last_sequence);
	if (message.type == NLMSG_ERROR) {
		ret = achan_netlink_error(&message, &error);
		return ret ? ret : error ? error : -EPROTO;
	}
	ret = achan_netlink_attributes(&message, &command, &attributes);
	if (!ret)
		ret = take_family(attributes, family);
	if (!ret && (!family->id || !family->group))
		ret = -EPROTO;
	return ret;
}

static int find_family(struct achan_monitor *monitor)
{
	struct achan_netlink_request request;
	struct family family = { 0 };
	int ret;

	achan_netlink_begin(&request, GENL_ID_CTRL, 0, CTRL_CMD_GETFAMILY, 1);
	achan_netlink_put_string(&request, CTRL_ATTR_FAMILY_NAME,
				 ACHAN_GENL_NAME);
	ret = transmit(monitor, &request);
	if (!ret)
		ret = answer(monitor, &family);
	monitor->length = 0;
	monitor->offset = 0;
	if (ret)
		return ret;
	if (family.version != ACHAN_GENL_VERSION)
		return -EPROTONOSUPPORT;
	monitor->family = family.id;
	monitor->group = family.group;
	monitor->admin_group = family.admin_group;
	return 0;
}

/* ---------------------------------------------------------------- life */

static int set_option(int fd, int level, int option, int value)
{
	int ret = ACHAN_RESULT(setsockopt(fd, level, option, &value,
					  sizeof(value)));

	return ret < 0 ? ret : 0;
}

static int join(struct achan_monitor *monitor, uint32_t group)
{
	return set_option(monitor->fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP,
			  (int)group);
}

/* Both groups have the same events: the one that says more, where it may be had. */
static int join_events(struct achan_monitor *monitor)
{
	if (monitor->admin_group && !join(monitor, monitor->admin_group))
		return 0;
	return join(monitor, monitor->group);
}

static int connect_monitor(struct achan_monitor *monitor,
			   const struct achan_monitor_opts *opts)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK };
	int bytes = opts->receive_bytes > INT32_MAX ? INT32_MAX :
		    (int)opts->receive_bytes;
	int ret;

	ret = ACHAN_RESULT(bind(monitor->fd, (const struct sockaddr *)&address,
				sizeof(address)));
	if (ret < 0)
		return ret;
	if (bytes && set_option(monitor->fd, SOL_SOCKET, SO_RCVBUFFORCE, bytes))
		ret = set_option(monitor->fd, SOL_SOCKET, SO_RCVBUF, bytes);
	if (!ret)
		ret = find_family(monitor);
	if (ret || opts->flags & ACHAN_MONITOR_QUIET)
		return ret;
	/* The group of families that come and go has the number of its own. */
	ret = join(monitor, GENL_ID_CTRL);
	return ret ? ret : join_events(monitor);
}

int achan_monitor_new(struct achan_monitor **result,
		      const struct achan_monitor_opts *given)
{
	struct achan_monitor_opts opts;
	struct achan_monitor *monitor;
	struct achan_process *process;
	int ret;

	if (!result)
		return -EINVAL;
	ret = achan_options_read(&opts, sizeof(opts), MONITOR_OPTS_OLDEST,
				 given);
	if (ret)
		return ret;
	if (opts.flags & ~ACHAN_MONITOR_QUIET)
		return -EINVAL;
	ret = achan_process_get(&process);
	if (ret)
		return ret;
	monitor = achan_allocate(1, sizeof(*monitor));
	if (!monitor)
		return -ENOMEM;
	monitor->stamp = atomic_load(&process->stamp);
	monitor->fd = ACHAN_RESULT(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC |
					  SOCK_NONBLOCK, NETLINK_GENERIC));
	ret = monitor->fd < 0 ? monitor->fd : connect_monitor(monitor, &opts);
	if (ret) {
		achan_monitor_free(monitor);
		return ret;
	}
	*result = monitor;
	return 0;
}

void achan_monitor_free(struct achan_monitor *monitor)
{
	if (!monitor)
		return;
	if (monitor->fd >= 0)
		achan_close_fd(monitor->fd);
	free(monitor);
}

int achan_monitor_fd(const struct achan_monitor *monitor)
{
	int ret = check(monitor);

	return ret ? ret : monitor->fd;
}

/* -------------------------------------------------------------- events */

static int take_attribute(const struct achan_netlink_attribute *attribute,
			  struct achan_monitor_event *event)
{
	struct achan_channel *channel = &event->channel;

	switch (attribute->type) {
	case ACHAN_ATTR_EVENT:
		return achan_netlink_number(attribute, &event->event,
					    sizeof(event->event));
	case ACHAN_ATTR_EVENT_SEQUENCE:
		return achan_netlink_number(attribute, &event->sequence,
					    sizeof(event->sequence));
	case ACHAN_ATTR_TIMESTAMP:
		return achan_netlink_number(attribute, &event->timestamp,
					    sizeof(event->timestamp));
	case ACHAN_ATTR_NAME:
		return achan_netlink_string(attribute, channel->name,
					    sizeof(channel->name));
	case ACHAN_ATTR_MINOR:
		return achan_netlink_number(attribute, &channel->minor,
					    sizeof(channel->minor));
	case ACHAN_ATTR_PEER_MINOR:
		return achan_netlink_number(attribute, &channel->peer_minor,
					    sizeof(channel->peer_minor));
	case ACHAN_ATTR_KIND:
		return achan_netlink_number(attribute, &channel->config.kind,
					    sizeof(channel->config.kind));
	case ACHAN_ATTR_CONFIG:
		achan_netlink_struct(attribute, &channel->config,
				     sizeof(channel->config));
		return 0;
	case ACHAN_ATTR_STATS:
		achan_netlink_struct(attribute, &channel->stats,
				     sizeof(channel->stats));
		return 0;
	default:
		return 0;
	}
}

static void clear_event(struct achan_monitor_event *event, uint32_t what)
{
	memset(event, 0, sizeof(*event));
	event->event = what;
	event->channel.minor = ACHAN_MINOR_NONE;
	event->channel.peer_minor = ACHAN_MINOR_NONE;
}

static int resync(struct achan_monitor_event *event, uint64_t missed)
{
	clear_event(event, ACHAN_MONITOR_RESYNC);
	event->missed = missed;
	return 1;
}

/* Fills @event in from a message of the family. Returns 0 or -EBADMSG. */
static int take_message(const struct achan_netlink_message *message,
			uint8_t *command, struct achan_monitor_event *event)
{
	struct achan_netlink_attribute attributes, attribute;
	int ret;

	clear_event(event, 0);
	ret = achan_netlink_attributes(message, command, &attributes);
	if (ret)
		return ret;
	while ((ret = achan_netlink_attribute(&attributes, &attribute)) > 0) {
		ret = take_attribute(&attribute, event);
		if (ret)
			return ret;
	}
	return ret;
}

/*
 * Returns 1, or 0 if it is to be looked at again after what is now in @event:
 * some came between the one before and this one.
 */
static bool in_order(struct achan_monitor *monitor,
		     struct achan_monitor_event *event)
{
	uint64_t sequence = event->sequence;
	uint64_t missed = sequence - monitor->next_event;

	if (monitor->next_known && missed) {
		monitor->next_event = sequence;
		resync(event, missed > INT64_MAX ? 0 : missed);
		return false;
	}
	monitor->next_event = sequence + 1;
	monitor->next_known = true;
	return true;
}

static int send_dump(struct achan_monitor *monitor)
{
	struct achan_netlink_request request;
	int ret;

	achan_netlink_begin(&request, monitor->family, NLM_F_DUMP,
			    ACHAN_CMD_GET, ACHAN_GENL_VERSION);
	ret = transmit(monitor, &request);
	if (ret)
		return ret;
	monitor->dumping = true;
	monitor->dump_torn = false;
	monitor->dump_again = false;
	monitor->dump_sequence = monitor->last_sequence;
	return 0;
}

int achan_monitor_dump(struct achan_monitor *monitor)
{
	int ret = check(monitor);

	if (ret)
		return ret;
	/* The kernel runs one dump at a time for a socket. */
	if (monitor->dumping) {
		monitor->dump_again = true;
		return 0;
	}
	return send_dump(monitor);
}

/* The dump has ended, with an error or not. */
static int end_dump(struct achan_monitor *monitor,
		    const struct achan_netlink_message *message,
		    struct achan_monitor_event *event)
{
	int error = 0;
	int ret = achan_netlink_error(message, &error);

	monitor->dumping = false;
	if (monitor->dump_again)
		return send_dump(monitor);
	if (ret || error)
		return ret ? ret : error;
	if (monitor->dump_torn)
		return resync(event, 0);
	clear_event(event, ACHAN_MONITOR_DUMPED);
	return 1;
}

/* Returns -ENODEV if what @message tells is the end of the family, else 0. */
static int take_family_event(struct achan_monitor *monitor,
			     const struct achan_netlink_message *message)
{
	struct achan_netlink_attribute attributes;
	struct family family = { 0 };
	uint8_t command;

	if (achan_netlink_attributes(message, &command, &attributes) ||
	    command != CTRL_CMD_DELFAMILY || take_family(attributes, &family) ||
	    family.id != monitor->family)
		return 0;
	monitor->gone = true;
	return -ENODEV;
}

/*
 * Acts on one message. Returns 1 if @event is filled in, 0 if there is nothing
 * to tell, or a negative errno value. Clears @done if the message is to be
 * looked at again.
 */
static int act(struct achan_monitor *monitor,
	       const struct achan_netlink_message *message,
	       struct achan_monitor_event *event, bool *done)
{
	bool of_dump = monitor->dumping && message->sequence &&
		       message->sequence == monitor->dump_sequence;
	uint8_t command;
	int ret;

	if (of_dump && message->flags & NLM_F_DUMP_INTR)
		monitor->dump_torn = true;
	if (message->type == NLMSG_DONE || message->type == NLMSG_ERROR)
		return of_dump ? end_dump(monitor, message, event) : 0;
	if (message->type == GENL_ID_CTRL)
		return take_family_event(monitor, message);
	if (message->type != monitor->family)
		return 0;
	ret = take_message(message, &command, event);
	if (ret)
		return ret;
	if (command == ACHAN_CMD_EVENT) {
		*done = in_order(monitor, event);
		return 1;
	}
	if (!of_dump || monitor->dump_again)
		return 0;
	event->event = ACHAN_MONITOR_CHANNEL;
	return 1;
}

/* The same for the datagram at hand; 0 at its end. */
static int take_datagram(struct achan_monitor *monitor,
			 struct achan_monitor_event *event)
{
	struct achan_netlink_message message;
	size_t offset;
	bool done;
	int ret;

	for (;;) {
		offset = monitor->offset;
		ret = achan_netlink_next(monitor->buf, monitor->length, &offset,
					 &message);
		if (ret < 0)
			monitor->length = monitor->offset;
		if (ret <= 0)
			return ret;
		done = true;
		ret = act(monitor, &message, event, &done);
		if (done)
			monitor->offset = offset;
		if (ret)
			return ret;
	}
}

int achan_monitor_next(struct achan_monitor *monitor,
		       struct achan_monitor_event *event)
{
	struct achan_monitor_event found;
	int ret = check(monitor);

	if (ret)
		return ret;
	if (!event)
		return -EINVAL;
	if (monitor->gone)
		return -ENODEV;
	do {
		ret = take_datagram(monitor, &found);
		if (ret)
			break;
		ret = receive(monitor);
		if (!ret)
			return 0;
		if (ret == -ENOBUFS) {
			ret = resync(&found, 0);
			break;
		}
	} while (ret > 0);
	if (ret == 1)
		*event = found;
	return ret;
}
