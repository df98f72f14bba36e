// SPDX-License-Identifier: GPL-2.0-only
/* The generic-netlink family: events as they happen, and a dump of channels. */
#include "control.h"
#include "module.h"

#include <grp.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* Opens, and as many closes. The library's storm has 10,000 events in any case. */
#define STORM	5000

struct netlink {
	int fd;
	uint16_t family;
	uint32_t group;		/* for everybody */
	uint32_t admin_group;
	uint32_t sequence;
	size_t length;
	size_t at;
	char buffer[32768] __attribute__((aligned(NLMSG_ALIGNTO)));
};

struct event {
	int error;		/* NLMSG_ERROR's, or 1 for the end of a dump */
	uint32_t event;
	uint64_t sequence;
	char name[ACHAN_NAME_MAX];
	uint32_t minor;
	uint32_t peer_minor;
	uint32_t kind;
	bool known;		/* the next two came */
	struct achan_config config;
	struct achan_stats stats;
};

struct request {
	struct nlmsghdr header;
	struct genlmsghdr generic;
	char attributes[64];
};

static void add_attribute(struct request *request, uint16_t type,
			  const void *data, size_t length)
{
	struct nlattr *attribute = (void *)((char *)request +
					    NLMSG_ALIGN(request->header.nlmsg_len));

	attribute->nla_type = type;
	attribute->nla_len = NLA_HDRLEN + length;
	memcpy((char *)attribute + NLA_HDRLEN, data, length);
	request->header.nlmsg_len = NLMSG_ALIGN(request->header.nlmsg_len) +
				    NLA_ALIGN(attribute->nla_len);
}

static struct request request_for(struct netlink *netlink, uint16_t family,
				  uint8_t command, uint16_t flags)
{
	struct request request = {
		.header = {
			.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN),
			.nlmsg_type = family,
			.nlmsg_flags = NLM_F_REQUEST | flags,
			.nlmsg_seq = ++netlink->sequence,
		},
		.generic = { .cmd = command, .version = 1 },
	};

	return request;
}

static void send_request(struct netlink *netlink, struct request *request)
{
	ck_assert_int_eq(vm_errno(send(netlink->fd, request,
				       request->header.nlmsg_len, 0)),
			 request->header.nlmsg_len);
}

/* The next message, or NULL after @timeout_ms; *@error is what recv() said. */
static struct nlmsghdr *next_message(struct netlink *netlink, int timeout_ms,
				     int *error)
{
	struct timeval limit = { timeout_ms / 1000, timeout_ms % 1000 * 1000 };
	struct nlmsghdr *header;
	ssize_t got;

	*error = 0;
	if (netlink->at >= netlink->length) {
		setsockopt(netlink->fd, SOL_SOCKET, SO_RCVTIMEO, &limit,
			   sizeof(limit));
		got = vm_errno(recv(netlink->fd, netlink->buffer,
				    sizeof(netlink->buffer), 0));
		if (got < 0) {
			*error = got;
			return NULL;
		}
		netlink->length = got;
		netlink->at = 0;
	}
	header = (void *)(netlink->buffer + netlink->at);
	netlink->at += NLMSG_ALIGN(header->nlmsg_len);
	return header;
}

#define for_each_attribute(attribute, start, end)			\
	for ((attribute) = (void *)(start);				\
	     (char *)(attribute) < (char *)(end);			\
	     (attribute) = (void *)((char *)(attribute) +		\
				    NLA_ALIGN((attribute)->nla_len)))

static const void *data_of(const struct nlattr *attribute)
{
	return (const char *)attribute + NLA_HDRLEN;
}

static uint32_t group_id(struct nlattr *groups, const char *name)
{
	struct nlattr *group, *attribute;
	uint32_t id = 0;
	bool ours = false;

	for_each_attribute(group, data_of(groups),
			   (char *)groups + groups->nla_len) {
		for_each_attribute(attribute, data_of(group),
				   (char *)group + group->nla_len) {
			if (attribute->nla_type == CTRL_ATTR_MCAST_GRP_ID)
				memcpy(&id, data_of(attribute), 4);
			if (attribute->nla_type == CTRL_ATTR_MCAST_GRP_NAME)
				ours = !strcmp(data_of(attribute), name);
		}
		if (ours)
			return id;
	}
	return 0;
}

static long netlink_join(struct netlink *netlink, uint32_t group)
{
	return vm_errno(setsockopt(netlink->fd, SOL_NETLINK,
				   NETLINK_ADD_MEMBERSHIP, &group, 4));
}

/* A socket that knows the family, and hears all about its events if @listen. */
static struct netlink *netlink_open(bool listen, int receive_bytes)
{
	struct netlink *netlink = calloc(1, sizeof(*netlink));
	struct sockaddr_nl address = { .nl_family = AF_NETLINK };
	struct nlattr *attribute;
	struct nlmsghdr *header;
	struct request request;
	int error;

	netlink->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC,
			     NETLINK_GENERIC);
	ck_assert_int_ge(netlink->fd, 0);
	ck_assert_int_eq(vm_errno(bind(netlink->fd, (void *)&address,
				       sizeof(address))), 0);
	setsockopt(netlink->fd, SOL_SOCKET, SO_RCVBUFFORCE, &receive_bytes,
		   sizeof(receive_bytes));
	request = request_for(netlink, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 0);
	add_attribute(&request, CTRL_ATTR_FAMILY_NAME, ACHAN_GENL_NAME,
		      sizeof(ACHAN_GENL_NAME));
	send_request(netlink, &request);
	header = next_message(netlink, vm_timeout_ms(VM_HANG_MS), &error);
	ck_assert_ptr_nonnull(header);
	ck_assert_int_ne(header->nlmsg_type, NLMSG_ERROR);
	for_each_attribute(attribute,
			   (char *)NLMSG_DATA(header) + GENL_HDRLEN,
			   (char *)header + header->nlmsg_len) {
		int type = attribute->nla_type & NLA_TYPE_MASK;

		if (type == CTRL_ATTR_FAMILY_ID)
			memcpy(&netlink->family, data_of(attribute), 2);
		if (type == CTRL_ATTR_MCAST_GROUPS) {
			netlink->group = group_id(attribute, ACHAN_GENL_GROUP);
			netlink->admin_group =
				group_id(attribute, ACHAN_GENL_GROUP_ADMIN);
		}
	}
	ck_assert_uint_ne(netlink->family, 0);
	ck_assert_uint_ne(netlink->group, 0);
	ck_assert_uint_ne(netlink->admin_group, 0);
	if (listen)
		ck_assert_int_eq(netlink_join(netlink, netlink->admin_group), 0);
	return netlink;
}

static void take_attribute(struct event *event, const struct nlattr *attribute)
{
	const void *data = data_of(attribute);
	size_t length = attribute->nla_len - NLA_HDRLEN;

	switch (attribute->nla_type) {
	case ACHAN_ATTR_EVENT:
		memcpy(&event->event, data, 4);
		break;
	case ACHAN_ATTR_EVENT_SEQUENCE:
		memcpy(&event->sequence, data, 8);
		break;
	case ACHAN_ATTR_NAME:
		ck_assert_uint_le(length, sizeof(event->name));
		memcpy(event->name, data, length);
		break;
	case ACHAN_ATTR_MINOR:
		memcpy(&event->minor, data, 4);
		break;
	case ACHAN_ATTR_PEER_MINOR:
		memcpy(&event->peer_minor, data, 4);
		break;
	case ACHAN_ATTR_KIND:
		memcpy(&event->kind, data, 4);
		break;
	case ACHAN_ATTR_CONFIG:
		event->known = true;
		ck_assert_uint_eq(length, sizeof(event->config));
		memcpy(&event->config, data, length);
		break;
	case ACHAN_ATTR_STATS:
		ck_assert(event->known);
		ck_assert_uint_eq(length, sizeof(event->stats));
		memcpy(&event->stats, data, length);
		break;
	}
}

/* The next message taken apart; false if none came, with why in *@error. */
static bool next_event(struct netlink *netlink, struct event *event,
		       int timeout_ms, int *error)
{
	struct nlmsghdr *header = next_message(netlink, timeout_ms, error);
	struct nlattr *attribute;

	if (!header)
		return false;
	memset(event, 0, sizeof(*event));
	event->peer_minor = ACHAN_MINOR_NONE;
	if (header->nlmsg_type == NLMSG_ERROR) {
		event->error = ((struct nlmsgerr *)NLMSG_DATA(header))->error;
		return true;
	}
	if (header->nlmsg_type == NLMSG_DONE) {
		event->error = 1;
		return true;
	}
	ck_assert_uint_eq(header->nlmsg_type, netlink->family);
	for_each_attribute(attribute,
			   (char *)NLMSG_DATA(header) + GENL_HDRLEN,
			   (char *)header + header->nlmsg_len)
		take_attribute(event, attribute);
	return true;
}

/* The next event of a channel; those of others are passed over. */
static struct event expect_event(struct netlink *netlink, const char *name,
				 uint32_t kind)
{
	struct event event;
	int error;

	do {
		ck_assert_msg(next_event(netlink, &event,
					 vm_timeout_ms(VM_HANG_MS), &error),
			      "no event %u of %s came: %d", kind, name, error);
	} while (strcmp(event.name, name));
	ck_assert_uint_eq(event.event, kind);
	return event;
}

START_TEST(life_of_a_channel_is_told_in_order)
{
	struct netlink *netlink = netlink_open(true, 1 << 20);
	struct achan_create create = control_loop("lived");
	struct event event, next;
	int fd, second;

	control_make(&create);
	event = expect_event(netlink, "lived", ACHAN_EVENT_CREATED);
	ck_assert_uint_eq(event.minor, create.minor);
	ck_assert_uint_eq(event.peer_minor, ACHAN_MINOR_NONE);
	ck_assert_uint_eq(event.config.ring_bytes, 8192);
	fd = control_node(create.minor, O_RDWR);
	next = expect_event(netlink, "lived", ACHAN_EVENT_OPENED);
	ck_assert_uint_eq(next.sequence, event.sequence + 1);
	/* Only the first is one, and the last. */
	second = control_node(create.minor, O_RDWR);
	vm_write(fd, "x", 1);
	close(fd);
	close(second);
	next = expect_event(netlink, "lived", ACHAN_EVENT_CLOSED);
	ck_assert_uint_eq(next.sequence, event.sequence + 2);
	ck_assert_uint_eq(next.stats.records_in, 1);
	ck_assert_int_eq(control_remove("lived"), 0);
	next = expect_event(netlink, "lived", ACHAN_EVENT_REMOVED);
	ck_assert_uint_eq(next.sequence, event.sequence + 3);
}
END_TEST

START_TEST(hang_up_is_told_of_the_one_who_is_left)
{
	struct netlink *netlink = netlink_open(true, 1 << 20);
	struct achan_create create = control_pair("left");
	int one = control_make_open(&create, O_RDWR), other;

	other = control_node(create.peer_minor, O_RDWR);
	expect_event(netlink, "left", ACHAN_EVENT_CREATED);
	expect_event(netlink, "left", ACHAN_EVENT_OPENED);
	close(other);
	expect_event(netlink, "left", ACHAN_EVENT_HANGUP);
	close(one);
	expect_event(netlink, "left", ACHAN_EVENT_CLOSED);
}
END_TEST

START_TEST(overflow_is_told_once_until_there_is_room)
{
	struct netlink *netlink = netlink_open(true, 1 << 20);
	struct achan_create create = control_loop("flood");
	char data[1000] = { 0 };
	struct event event;
	int in, out;

	create.config.delivery = ACHAN_DELIVERY_BROADCAST;
	in = control_make_open(&create, O_RDONLY | O_NONBLOCK);
	out = control_node(create.minor, O_WRONLY);
	expect_event(netlink, "flood", ACHAN_EVENT_CREATED);
	expect_event(netlink, "flood", ACHAN_EVENT_OPENED);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 20; i++)
			vm_write(out, data, sizeof(data));
		event = expect_event(netlink, "flood", ACHAN_EVENT_OVERFLOW);
		ck_assert_uint_gt(event.stats.lost, 0);
		while (vm_errno(read(in, data, sizeof(data))) > 0)
			;
		vm_write(out, data, sizeof(data));
	}
	close(in);
	close(out);
	expect_event(netlink, "flood", ACHAN_EVENT_CLOSED);
}
END_TEST

START_TEST(dump_has_every_channel)
{
	struct netlink *netlink = netlink_open(false, 1 << 20);
	struct achan_create create;
	struct request request;
	unsigned int seen = 0;
	struct event event;
	char name[32];
	int error;

	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "dumped-%d", i);
		create = control_loop(name);
		vm_write(control_make_open(&create, O_RDWR), name, i + 1);
	}
	request = request_for(netlink, netlink->family, ACHAN_CMD_GET,
			      NLM_F_DUMP);
	send_request(netlink, &request);
	for (;;) {
		ck_assert(next_event(netlink, &event,
				     vm_timeout_ms(VM_HANG_MS), &error));
		if (event.error)
			break;
		if (strncmp(event.name, "dumped-", 7))
			continue;
		ck_assert_uint_eq(event.stats.bytes_in, atoi(event.name + 7) + 1);
		ck_assert_uint_eq(event.config.ring_bytes, 8192);
		seen++;
	}
	ck_assert_int_eq(event.error, 1);
	ck_assert_uint_eq(seen, 100);
}
END_TEST

START_TEST(one_channel_can_be_asked_for)
{
	struct netlink *netlink = netlink_open(false, 1 << 20);
	struct achan_create create = control_pair("asked");
	struct achan_channel channel;
	struct request request;
	struct event event;
	int error;

	control_make(&create);
	request = request_for(netlink, netlink->family, ACHAN_CMD_GET, 0);
	if (_i)
		add_attribute(&request, ACHAN_ATTR_MINOR, &create.minor, 4);
	else
		add_attribute(&request, ACHAN_ATTR_NAME, "asked", 6);
	send_request(netlink, &request);
	ck_assert(next_event(netlink, &event, vm_timeout_ms(VM_HANG_MS),
			     &error));
	ck_assert_int_eq(event.error, 0);
	ck_assert_int_eq(control_get("asked", &channel), 0);
	ck_assert_str_eq(event.name, "asked");
	ck_assert_uint_eq(event.minor, create.minor);
	ck_assert_uint_eq(event.peer_minor, create.peer_minor);
	ck_assert_mem_eq(&event.config, &channel.config, sizeof(event.config));
	ck_assert_mem_eq(&event.stats, &channel.stats, sizeof(event.stats));
}
END_TEST

START_TEST(question_without_an_answer_is_an_error)
{
	struct netlink *netlink = netlink_open(false, 1 << 20);
	struct request request;
	struct event event;
	int error;

	request = request_for(netlink, netlink->family, ACHAN_CMD_GET, 0);
	if (_i)
		add_attribute(&request, ACHAN_ATTR_NAME, "nobody", 7);
	send_request(netlink, &request);
	ck_assert(next_event(netlink, &event, vm_timeout_ms(VM_HANG_MS),
			     &error));
	ck_assert_int_eq(event.error, _i ? -ENOENT : -EINVAL);
}
END_TEST

/* Asks for a channel and takes the answer. */
static struct event ask(struct netlink *netlink, uint32_t minor)
{
	struct request request = request_for(netlink, netlink->family,
					     ACHAN_CMD_GET, 0);
	struct event event;
	int error;

	add_attribute(&request, ACHAN_ATTR_MINOR, &minor, 4);
	send_request(netlink, &request);
	ck_assert(next_event(netlink, &event, vm_timeout_ms(VM_HANG_MS), &error));
	ck_assert_int_eq(event.error, 0);
	ck_assert_uint_eq(event.minor, minor);
	ck_assert_uint_eq(event.kind, ACHAN_KIND_LOOP);
	return event;
}

static void begin_dump(struct netlink *netlink)
{
	struct request request = request_for(netlink, netlink->family,
					     ACHAN_CMD_GET, NLM_F_DUMP);

	send_request(netlink, &request);
}

/* The rest of a dump: of how many channels it has the details, and of how many not. */
static void take_dump(struct netlink *netlink, int *known, int *unknown)
{
	struct event event;
	int error;

	*known = 0;
	*unknown = 0;
	for (;;) {
		ck_assert(next_event(netlink, &event, vm_timeout_ms(VM_HANG_MS),
				     &error));
		if (event.error)
			break;
		ck_assert_str_ne(event.name, "");
		ck_assert_uint_ne(event.kind, 0);
		if (event.known)
			++*known;
		else
			++*unknown;
	}
	ck_assert_int_eq(event.error, 1);
}

#define OWNER	1001
#define GROUP	1002
#define NOBODY	65534

/* Who asks: the owner, who has the group, who has it besides, anybody. */
static const struct {
	uid_t uid;
	gid_t gid;
	gid_t other;
} askers[] = {
	{ OWNER, NOBODY, NOBODY },
	{ NOBODY, GROUP, NOBODY },
	{ NOBODY, NOBODY, GROUP },
	{ NOBODY, NOBODY, NOBODY },
};

struct question {
	uint32_t minor;
	unsigned int asker;
};

static bool can_read_attribute(uint32_t minor, const char *name)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "/sys/class/achan/achan%u/%s", minor, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		ck_assert_int_eq(errno, EACCES);
	close(fd);
	return fd >= 0;
}

static bool can_open_node(uint32_t minor, int flags)
{
	char path[40];
	int fd;

	snprintf(path, sizeof(path), "/dev/achan%u", minor);
	fd = open(path, flags | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		ck_assert_int_eq(errno, EACCES);
	close(fd);
	return fd >= 0;
}

/* All ways to know agree with what open() says to the same process. */
static int ask_as(void *argument)
{
	struct question *question = argument;
	unsigned int asker = question->asker;
	struct netlink *netlink;
	bool may;

	if (setgroups(1, &askers[asker].other) || setgid(askers[asker].gid) ||
	    setuid(askers[asker].uid))
		return 1;
	may = askers[asker].uid == OWNER ||
	      can_open_node(question->minor, O_RDONLY) ||
	      can_open_node(question->minor, O_WRONLY);
	netlink = netlink_open(false, 1 << 16);
	if (ask(netlink, question->minor).known != may)
		return 2;
	if (can_read_attribute(question->minor, "records_in") != may ||
	    can_read_attribute(question->minor, "ring_bytes") != may)
		return 3;
	if (!can_read_attribute(question->minor, "name") ||
	    !can_read_attribute(question->minor, "peer") ||
	    !can_read_attribute(question->minor, "kind"))
		return 4;
	return 0;
}

/* Nobody but root writes what makes udev act. */
static void check_owners(uint32_t minor)
{
	struct stat status;
	char path[96];

	snprintf(path, sizeof(path), "/sys/class/achan/achan%u/lost", minor);
	ck_assert_int_eq(vm_errno(stat(path, &status)), 0);
	ck_assert_int_eq(status.st_uid, OWNER);
	ck_assert_int_eq(status.st_gid, GROUP);
	snprintf(path, sizeof(path), "/sys/class/achan/achan%u/uevent", minor);
	ck_assert_int_eq(vm_errno(stat(path, &status)), 0);
	ck_assert_int_eq(status.st_uid, 0);
}

/* @_i: each mode of reading and writing for owner, group and others. */
START_TEST(channel_is_known_to_who_may_open_its_node)
{
	struct achan_create create = control_loop("asked");
	struct question question;

	create.config.node_mode = (_i & 3) << 1 | (_i >> 2 & 3) << 4 |
				  (_i >> 4 & 3) << 7;
	/* 0 would be the default. */
	if (!create.config.node_mode)
		create.config.node_mode = 0100;
	create.config.uid = OWNER;
	create.config.gid = GROUP;
	control_make(&create);
	check_owners(create.minor);
	question.minor = create.minor;
	for (question.asker = 0; question.asker < VM_ARRAY_SIZE(askers);
	     question.asker++) {
		int status = vm_wait(vm_fork(ask_as, &question));

		ck_assert_msg(WIFEXITED(status) && !WEXITSTATUS(status),
			      "mode %o, asker %u: %#x", create.config.node_mode,
			      question.asker, status);
	}
}
END_TEST

static void become(uid_t uid)
{
	ck_assert_int_eq(vm_errno(seteuid(uid)), 0);
}

/* A socket of root's in nobody's hands, and the other way round. */
START_TEST(who_opened_the_socket_and_who_asks_both_count)
{
	struct achan_create create = control_loop("private");
	struct netlink *of_root = netlink_open(false, 1 << 16), *of_nobody;

	control_make(&create);
	ck_assert(ask(of_root, create.minor).known);
	become(NOBODY);
	of_nobody = netlink_open(false, 1 << 16);
	ck_assert(!ask(of_root, create.minor).known);
	ck_assert(!ask(of_nobody, create.minor).known);
	become(0);
	ck_assert(!ask(of_nobody, create.minor).known);
	ck_assert(ask(of_root, create.minor).known);
}
END_TEST

/* More than go into one datagram. */
#define DUMPED	200

START_TEST(dump_is_answered_to_who_began_it)
{
	struct netlink *of_root = netlink_open(false, 1 << 20), *of_nobody;
	int known, unknown;
	char name[32];

	for (int i = 0; i < DUMPED; i++) {
		struct achan_create create;

		snprintf(name, sizeof(name), "dumped-%d", i);
		create = control_loop(name);
		control_make(&create);
	}
	begin_dump(of_root);
	become(NOBODY);
	take_dump(of_root, &known, &unknown);
	ck_assert_int_ge(known, DUMPED);
	ck_assert_int_eq(unknown, 0);
	of_nobody = netlink_open(false, 1 << 20);
	begin_dump(of_nobody);
	become(0);
	take_dump(of_nobody, &known, &unknown);
	ck_assert_int_eq(known, 0);
	ck_assert_int_ge(unknown, DUMPED);
	/* One that is not taken to its end. */
	begin_dump(of_root);
	close(of_root->fd);
}
END_TEST

/* @_i: the node is private, and is for everybody. */
START_TEST(event_tells_everybody_that_it_was_and_admins_all)
{
	struct netlink *admin = netlink_open(true, 1 << 20), *nobody;
	struct achan_create create = control_loop("told");
	struct event all, part;

	create.config.node_mode = _i ? 0666 : 0660;
	become(NOBODY);
	nobody = netlink_open(false, 1 << 20);
	ck_assert_int_eq(netlink_join(nobody, nobody->admin_group), -EPERM);
	ck_assert_int_eq(netlink_join(nobody, nobody->group), 0);
	become(0);
	control_make(&create);
	all = expect_event(admin, "told", ACHAN_EVENT_CREATED);
	part = expect_event(nobody, "told", ACHAN_EVENT_CREATED);
	ck_assert(all.known);
	ck_assert_uint_eq(all.config.ring_bytes, 8192);
	ck_assert_int_eq(part.known, _i);
	ck_assert_uint_eq(part.sequence, all.sequence);
	ck_assert_uint_eq(part.minor, create.minor);
	ck_assert_uint_eq(part.kind, ACHAN_KIND_LOOP);
}
END_TEST

static long open_and_close(void *argument)
{
	for (int i = vm_repeat(STORM); i > 0; i--)
		close(control_node(*(uint32_t *)argument, O_RDWR));
	return 0;
}

/*
 * Every event, or the word that some are missing: then the numbers say so too.
 * @_i: with room for all, and with too little.
 */
START_TEST(storm_is_seen_whole_or_known_to_be_not)
{
	struct netlink *netlink = netlink_open(true, _i ? 4096 : 64 << 20);
	struct achan_create create = control_loop("storm");
	uint64_t expected = 2 * vm_repeat(STORM), seen = 0, missed = 0, last;
	struct vm_thread thread;
	bool overrun = false;
	struct event event;
	int error;

	control_make(&create);
	last = expect_event(netlink, "storm", ACHAN_EVENT_CREATED).sequence;
	vm_spawn(&thread, open_and_close, &create.minor);
	if (_i)
		ck_assert_int_eq(pthread_join(thread.thread, NULL), 0);
	while (seen + missed < expected) {
		int limit = vm_timeout_ms(overrun ? 100 : VM_HANG_MS);

		if (!next_event(netlink, &event, limit, &error)) {
			if (error == -ENOBUFS) {
				overrun = true;
				continue;
			}
			/* What is missing at the end only a new event shows. */
			ck_assert(overrun);
			close(control_node(create.minor, O_RDWR));
			expected += 2;
			continue;
		}
		ck_assert_uint_gt(event.sequence, last);
		missed += event.sequence - last - 1;
		last = event.sequence;
		seen++;
	}
	ck_assert_uint_eq(seen + missed, expected);
	ck_assert_int_eq(overrun, missed != 0);
	if (_i)
		ck_assert(overrun);
	else
		ck_assert_int_eq(pthread_join(thread.thread, NULL), 0);
}
END_TEST

/* One line of what tests/vm/modules/achan_listener.c has heard. */
struct heard {
	unsigned long long sequence;
	unsigned long long timestamp;
	char event[16];
	char name[ACHAN_NAME_MAX];
	unsigned int minor;
	int peer_minor;
};

static FILE *open_heard(void)
{
	FILE *file = fopen("/sys/module/achan_listener/parameters/heard", "re");

	ck_assert_msg(file, "what the listener heard: %s", strerror(errno));
	return file;
}

static bool next_heard(FILE *file, struct heard *heard)
{
	return fscanf(file, "%llu %llu %15s %31s %u %d", &heard->sequence,
		      &heard->timestamp, heard->event, heard->name,
		      &heard->minor, &heard->peer_minor) == 6;
}

/* Some events come of a work item. */
static void wait_heard(const char *event)
{
	int64_t until = vm_now_ms() + vm_timeout_ms(VM_HANG_MS);
	struct heard heard = { 0 };

	while (strcmp(heard.event, event)) {
		FILE *file = open_heard();

		ck_assert_msg(vm_now_ms() < until, "%s is not heard", event);
		while (next_heard(file, &heard) && strcmp(heard.event, event))
			;
		fclose(file);
		vm_sleep_ms(1);
	}
}

START_TEST(modules_in_the_kernel_hear_the_same_events_in_order)
{
	static const char * const events[] = {
		"created", "opened", "overflow", "closed", "hangup", "removed",
	};
	struct achan_create create = control_loop("heard");
	struct heard heard, before = { 0 };
	char data[4096] = { 0 };
	size_t i;
	FILE *file;
	int fd;

	create.config.hangup = ACHAN_HANGUP_FIFO;
	create.config.delivery = ACHAN_DELIVERY_BROADCAST;
	create.config.ring_bytes = 8192;
	ck_assert_int_eq(module_load_other("achan_listener", ""), 0);
	/* Its text stays for as long as it may be called. */
	ck_assert_int_eq(module_unload(), -EWOULDBLOCK);
	fd = control_make_open(&create, O_RDWR);
	for (i = 0; i < 4; i++)
		vm_write(fd, data, sizeof(data));
	wait_heard("overflow");
	close(fd);
	ck_assert_int_eq(control_remove("heard"), 0);
	file = open_heard();
	for (i = 0; i < VM_ARRAY_SIZE(events); i++, before = heard) {
		ck_assert_msg(next_heard(file, &heard), "no %s", events[i]);
		ck_assert_str_eq(heard.event, events[i]);
		ck_assert_str_eq(heard.name, "heard");
		ck_assert_uint_eq(heard.minor, create.minor);
		ck_assert_int_eq(heard.peer_minor, (int)ACHAN_MINOR_NONE);
		ck_assert_uint_ge(heard.timestamp, before.timestamp);
		if (i)
			ck_assert_uint_eq(heard.sequence, before.sequence + 1);
	}
	ck_assert(!next_heard(file, &heard));
	fclose(file);
	ck_assert_int_eq(module_unload_other("achan_listener"), 0);
	/* Nobody calls what has gone. */
	create = control_loop("unheard");
	control_make(&create);
	ck_assert_int_eq(control_remove("unheard"), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("events");
	TCase *tcase = control_tcase(suite, "events");

	tcase_add_test(tcase, life_of_a_channel_is_told_in_order);
	tcase_add_test(tcase, hang_up_is_told_of_the_one_who_is_left);
	tcase_add_test(tcase, overflow_is_told_once_until_there_is_room);
	tcase_add_test(tcase,
		       modules_in_the_kernel_hear_the_same_events_in_order);

	tcase = control_tcase(suite, "access");
	tcase_add_loop_test(tcase, channel_is_known_to_who_may_open_its_node, 0,
			    64);
	tcase_add_test(tcase, who_opened_the_socket_and_who_asks_both_count);
	tcase_add_test(tcase, dump_is_answered_to_who_began_it);
	tcase_add_loop_test(tcase,
			    event_tells_everybody_that_it_was_and_admins_all, 0,
			    2);

	tcase = control_tcase(suite, "dump");
	tcase_add_test(tcase, dump_has_every_channel);
	tcase_add_loop_test(tcase, one_channel_can_be_asked_for, 0, 2);
	tcase_add_loop_test(tcase, question_without_an_answer_is_an_error, 0, 2);

	tcase = control_tcase(suite, "storm");
	tcase_set_timeout(tcase, vm_timeout_ms(120));
	tcase_add_loop_test(tcase, storm_is_seen_whole_or_known_to_be_not, 0, 2);
	return vm_main(suite);
}
