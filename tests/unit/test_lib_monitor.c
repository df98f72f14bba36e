// SPDX-License-Identifier: GPL-2.0-only
/* libachan's monitor, on a kernel made up here that says what a case wants. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "library.h"
#include "unit.h"

#define FAMILY	0x21
#define GROUP	7
#define DATAGRAMS	64
#define BYTES	2048

/* What the kernel will say; length 0 is an error instead. */
struct datagram {
	unsigned char bytes[BYTES];
	size_t length;
	int error;
	int flags;
	uint32_t sender;
};

static struct {
	struct datagram datagrams[DATAGRAMS];
	unsigned int first;
	unsigned int last;
	/* The family, as the case wants it. */
	bool absent;
	uint32_t version;
	/* What was asked. */
	unsigned int dumps;
	uint32_t dump_sequence;
	int joined[4];
	unsigned int joins;
	int receive_bytes;
	bool forceless;
} kernel = { .version = ACHAN_GENL_VERSION };

static struct datagram *next_datagram(void)
{
	ck_assert_uint_lt(kernel.last, DATAGRAMS);
	return &kernel.datagrams[kernel.last++];
}

/* ------------------------------------------------- putting together */

static struct nlmsghdr *begin(struct datagram *datagram, uint16_t type,
			      uint32_t sequence, uint16_t flags)
{
	struct nlmsghdr *header = (void *)(datagram->bytes + datagram->length);

	header->nlmsg_type = type;
	header->nlmsg_seq = sequence;
	header->nlmsg_flags = flags;
	header->nlmsg_len = NLMSG_HDRLEN;
	return header;
}

static void end(struct datagram *datagram, const struct nlmsghdr *header)
{
	datagram->length += NLMSG_ALIGN(header->nlmsg_len);
}

static void put(struct nlmsghdr *header, const void *bytes, size_t length)
{
	memcpy((char *)header + header->nlmsg_len, bytes, length);
	header->nlmsg_len += NLMSG_ALIGN(length);
}

static void put_attribute(struct nlmsghdr *header, uint16_t type,
			  const void *bytes, size_t length)
{
	struct nlattr attribute = {
		.nla_len = (uint16_t)(NLA_HDRLEN + length), .nla_type = type,
	};

	put(header, &attribute, sizeof(attribute));
	put(header, bytes, length);
}

static void put_u32(struct nlmsghdr *header, uint16_t type, uint32_t value)
{
	put_attribute(header, type, &value, sizeof(value));
}

static void put_u64(struct nlmsghdr *header, uint16_t type, uint64_t value)
{
	put_attribute(header, type, &value, sizeof(value));
}

static struct nlmsghdr *begin_generic(struct datagram *datagram, uint16_t type,
				      uint32_t sequence, uint16_t flags,
				      uint8_t command)
{
	struct genlmsghdr generic = { .cmd = command, .version = 1 };
	struct nlmsghdr *header = begin(datagram, type, sequence, flags);

	put(header, &generic, sizeof(generic));
	return header;
}

static void put_error(uint16_t type, uint32_t sequence, uint16_t flags,
		      int error)
{
	struct datagram *datagram = next_datagram();
	struct nlmsghdr *header = begin(datagram, type, sequence, flags);

	put(header, &error, sizeof(error));
	end(datagram, header);
}

static void put_family(uint32_t sequence, uint8_t command)
{
	struct datagram *datagram = next_datagram();
	struct nlmsghdr *header = begin_generic(datagram, GENL_ID_CTRL,
						sequence, 0, command);
	struct {
		struct nlattr group;
		struct nlattr name;
		char text[8];
		struct nlattr id;
		uint32_t value;
	} group = {
		{ sizeof(group), 1 },
		{ NLA_HDRLEN + sizeof("events"), CTRL_ATTR_MCAST_GRP_NAME },
		"events",
		{ NLA_HDRLEN + 4, CTRL_ATTR_MCAST_GRP_ID }, GROUP,
	};
	uint16_t id = FAMILY;

	put_attribute(header, CTRL_ATTR_FAMILY_ID, &id, sizeof(id));
	put_attribute(header, CTRL_ATTR_FAMILY_NAME, "achan", 6);
	put_u32(header, CTRL_ATTR_VERSION, kernel.version);
	put_attribute(header, CTRL_ATTR_MCAST_GROUPS, &group, sizeof(group));
	end(datagram, header);
}

static void put_channel(struct nlmsghdr *header, uint64_t sequence,
			const char *name, uint32_t minor)
{
	struct achan_config config = { .ring_bytes = 8192 };
	struct achan_stats stats = { .records_in = sequence };

	put_u64(header, ACHAN_ATTR_EVENT_SEQUENCE, sequence);
	put_attribute(header, ACHAN_ATTR_NAME, name, strlen(name) + 1);
	put_u32(header, ACHAN_ATTR_MINOR, minor);
	put_attribute(header, ACHAN_ATTR_CONFIG, &config, sizeof(config));
	put_attribute(header, ACHAN_ATTR_STATS, &stats, sizeof(stats));
}

static void put_event_into(struct datagram *datagram, uint32_t event,
			   uint64_t sequence)
{
	struct nlmsghdr *header = begin_generic(datagram, FAMILY, 0, 0,
						ACHAN_CMD_EVENT);

	put_u32(header, ACHAN_ATTR_EVENT, event);
	put_u64(header, ACHAN_ATTR_TIMESTAMP, sequence * 1000);
	put_channel(header, sequence, "somebody", 5);
	end(datagram, header);
}

static void put_event(uint32_t event, uint64_t sequence)
{
	put_event_into(next_datagram(), event, sequence);
}

static void put_dumped(const char *name, uint32_t minor, uint16_t flags)
{
	struct datagram *datagram = next_datagram();
	struct nlmsghdr *header = begin_generic(datagram, FAMILY,
						kernel.dump_sequence,
						NLM_F_MULTI | flags,
						ACHAN_CMD_GET);

	put_channel(header, 3, name, minor);
	end(datagram, header);
}

static void put_done(int error, uint16_t flags)
{
	put_error(NLMSG_DONE, kernel.dump_sequence, NLM_F_MULTI | flags, error);
}

static void put_errno(int error)
{
	next_datagram()->error = error;
}

/* ------------------------- in the places of the C library's functions */

int socket(int domain, int type, int protocol)
{
	ck_assert_int_eq(domain, AF_NETLINK);
	ck_assert_int_eq(protocol, NETLINK_GENERIC);
	ck_assert(type & SOCK_CLOEXEC);
	return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

int bind(int fd, const struct sockaddr *addr, socklen_t len)
{
	(void)fd;
	(void)addr;
	(void)len;
	return 0;
}

int setsockopt(int fd, int level, int optname, const void *optval,
	       socklen_t optlen)
{
	int number;

	(void)fd;
	ck_assert_uint_eq(optlen, sizeof(number));
	memcpy(&number, optval, sizeof(number));
	if (level == SOL_NETLINK && optname == NETLINK_ADD_MEMBERSHIP) {
		kernel.joined[kernel.joins++] = number;
		return 0;
	}
	if (level == SOL_SOCKET && optname == SO_RCVBUFFORCE &&
	    kernel.forceless) {
		errno = EPERM;
		return -1;
	}
	kernel.receive_bytes = number;
	return 0;
}

ssize_t sendto(int fd, const void *buf, size_t n, int flags,
	       const struct sockaddr *addr, socklen_t addr_len)
{
	struct nlmsghdr header;
	struct genlmsghdr generic;

	(void)fd;
	(void)flags;
	(void)addr;
	(void)addr_len;
	ck_assert_uint_ge(n, sizeof(header) + sizeof(generic));
	memcpy(&header, buf, sizeof(header));
	memcpy(&generic, (const char *)buf + NLMSG_HDRLEN, sizeof(generic));
	ck_assert_uint_eq(header.nlmsg_len, n);
	if (header.nlmsg_type == GENL_ID_CTRL) {
		ck_assert_uint_eq(generic.cmd, CTRL_CMD_GETFAMILY);
		ck_assert_str_eq((const char *)buf + NLMSG_HDRLEN +
				 GENL_HDRLEN + NLA_HDRLEN, "achan");
		if (kernel.absent)
			put_error(NLMSG_ERROR, header.nlmsg_seq, 0, -ENOENT);
		else
			put_family(header.nlmsg_seq, CTRL_CMD_NEWFAMILY);
	} else {
		ck_assert_uint_eq(header.nlmsg_type, FAMILY);
		ck_assert_uint_eq(generic.cmd, ACHAN_CMD_GET);
		ck_assert(header.nlmsg_flags & NLM_F_DUMP);
		kernel.dumps++;
		kernel.dump_sequence = header.nlmsg_seq;
	}
	return (ssize_t)n;
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	const struct datagram *datagram = &kernel.datagrams[kernel.first];
	struct sockaddr_nl *from = message->msg_name;

	(void)fd;
	(void)flags;
	if (kernel.first == kernel.last) {
		errno = EAGAIN;
		return -1;
	}
	kernel.first++;
	if (datagram->error) {
		errno = datagram->error;
		return -1;
	}
	memset(from, 0, sizeof(*from));
	from->nl_pid = datagram->sender;
	message->msg_flags = datagram->flags;
	ck_assert_uint_le(datagram->length, message->msg_iov->iov_len);
	memcpy(message->msg_iov->iov_base, datagram->bytes, datagram->length);
	return (ssize_t)datagram->length;
}

/* --------------------------------------------------------------- cases */

static struct achan_monitor *new_monitor(void)
{
	struct achan_monitor *monitor;

	ck_assert_int_eq(achan_monitor_new(&monitor, NULL), 0);
	return monitor;
}

/* The next event is of that kind. */
static struct achan_monitor_event expect(struct achan_monitor *monitor,
					 uint32_t kind)
{
	struct achan_monitor_event event;

	ck_assert_int_eq(achan_monitor_next(monitor, &event), 1);
	ck_assert_uint_eq(event.event, kind);
	return event;
}

static void expect_nothing(struct achan_monitor *monitor)
{
	struct achan_monitor_event event;

	ck_assert_int_eq(achan_monitor_next(monitor, &event), 0);
}

START_TEST(monitor_joins_the_groups_of_events_and_families)
{
	struct achan_monitor *monitor = new_monitor();

	ck_assert_uint_eq(kernel.joins, 2);
	ck_assert_int_eq(kernel.joined[0], GENL_ID_CTRL);
	ck_assert_int_eq(kernel.joined[1], GROUP);
	ck_assert_int_ge(achan_monitor_fd(monitor), 0);
	expect_nothing(monitor);
	achan_monitor_free(monitor);
}
END_TEST

START_TEST(monitor_that_is_quiet_joins_nothing)
{
	struct achan_monitor_opts opts = { .sz = sizeof(opts),
					   .flags = ACHAN_MONITOR_QUIET };
	struct achan_monitor *monitor;

	ck_assert_int_eq(achan_monitor_new(&monitor, &opts), 0);
	ck_assert_uint_eq(kernel.joins, 0);
	achan_monitor_free(monitor);
}
END_TEST

START_TEST(monitor_asks_for_the_buffer_with_and_without_privilege)
{
	struct achan_monitor_opts opts = { .sz = sizeof(opts),
					   .receive_bytes = 1U << 20 };
	struct achan_monitor *monitor;

	kernel.forceless = _i;
	ck_assert_int_eq(achan_monitor_new(&monitor, &opts), 0);
	ck_assert_int_eq(kernel.receive_bytes, 1 << 20);
	achan_monitor_free(monitor);
}
END_TEST

START_TEST(monitor_without_the_module_is_enoent)
{
	struct achan_monitor *monitor = NULL;
	int fds = library_open_fds();

	kernel.absent = true;
	ck_assert_int_eq(achan_monitor_new(&monitor, NULL), -ENOENT);
	ck_assert_ptr_null(monitor);
	ck_assert_int_eq(library_open_fds(), fds);
}
END_TEST

START_TEST(monitor_of_another_version_is_eprotonosupport)
{
	struct achan_monitor *monitor = NULL;

	kernel.version = ACHAN_GENL_VERSION + 1;
	ck_assert_int_eq(achan_monitor_new(&monitor, NULL), -EPROTONOSUPPORT);
	ck_assert_ptr_null(monitor);
	ck_assert_uint_eq(kernel.joins, 0);
}
END_TEST

START_TEST(monitor_refuses_bad_options_and_null)
{
	struct achan_monitor_opts opts = { .sz = sizeof(opts), .flags = 2 };
	struct achan_monitor_event event;
	struct achan_monitor *monitor;

	ck_assert_int_eq(achan_monitor_new(&monitor, &opts), -EINVAL);
	opts = (struct achan_monitor_opts){ .sz = 1 };
	ck_assert_int_eq(achan_monitor_new(&monitor, &opts), -EINVAL);
	ck_assert_int_eq(achan_monitor_new(NULL, NULL), -EINVAL);
	ck_assert_int_eq(achan_monitor_fd(NULL), -EINVAL);
	ck_assert_int_eq(achan_monitor_next(NULL, &event), -EINVAL);
	ck_assert_int_eq(achan_monitor_dump(NULL), -EINVAL);
	achan_monitor_free(NULL);
	monitor = new_monitor();
	ck_assert_int_eq(achan_monitor_next(monitor, NULL), -EINVAL);
	achan_monitor_free(monitor);
}
END_TEST

START_TEST(event_has_all_that_came_with_it)
{
	struct achan_monitor *monitor = new_monitor();
	struct achan_monitor_event event;

	put_event(ACHAN_EVENT_OVERFLOW, 41);
	event = expect(monitor, ACHAN_EVENT_OVERFLOW);
	ck_assert_uint_eq(event.sequence, 41);
	ck_assert_uint_eq(event.timestamp, 41000);
	ck_assert_uint_eq(event.missed, 0);
	ck_assert_str_eq(event.channel.name, "somebody");
	ck_assert_uint_eq(event.channel.minor, 5);
	ck_assert_uint_eq(event.channel.peer_minor, ACHAN_MINOR_NONE);
	ck_assert_uint_eq(event.channel.config.ring_bytes, 8192);
	ck_assert_uint_eq(event.channel.stats.records_in, 41);
	expect_nothing(monitor);
	achan_monitor_free(monitor);
}
END_TEST

START_TEST(events_of_one_datagram_come_one_by_one)
{
	struct achan_monitor *monitor = new_monitor();
	struct datagram *datagram = next_datagram();

	for (uint64_t i = 0; i < 5; i++)
		put_event_into(datagram, ACHAN_EVENT_OPENED, i);
	for (uint64_t i = 0; i < 5; i++)
		ck_assert_uint_eq(expect(monitor, ACHAN_EVENT_OPENED).sequence,
				  i);
	expect_nothing(monitor);
	achan_monitor_free(monitor);
}
END_TEST

START_TEST(gap_is_a_resync_that_says_how_many_and_the_event_follows)
{
	struct achan_monitor *monitor = new_monitor();

	put_event(ACHAN_EVENT_CREATED, 10);
	put_event(ACHAN_EVENT_REMOVED, 14);
	expect(monitor, ACHAN_EVENT_CREATED);
	ck_assert_uint_eq(expect(monitor, ACHAN_MONITOR_RESYNC).missed, 3);
	ck_assert_uint_eq(expect(monitor, ACHAN_EVENT_REMOVED).sequence, 14);
	put_event(ACHAN_EVENT_CREATED, 15);
	expect(monitor, ACHAN_EVENT_CREATED);
	expect_nothing(monitor);
	achan_monitor_free(monitor);
}
END_TEST

START_TEST(overrun_is_a_resync)
{
	struct achan_monitor *monitor = new_monitor();

	put_event(ACHAN_EVENT_CREATED, 1);
	put_errno(ENOBUFS);
	put_event(ACHAN_EVENT_CREATED, 2);
	expect(monitor, ACHAN_EVENT_CREATED);
	ck_assert_uint_eq(expect(monitor, ACHAN_MONITOR_RESYNC).missed, 0);
	expect(monitor, ACHAN_EVENT_CREATED);
	achan_monitor_free(monitor);
}
END_TEST

START_TEST(overrun_is_told_once_more_with_the_number)
{
	struct achan_monitor *monitor = new_monitor();

	put_event(ACHAN_EVENT_CREATED, 1);
	put_errno(ENOBUFS);
	put_event(ACHAN_EVENT_CREATED, 102);
	expect(monitor, ACHAN_EVENT_CREATED);
	ck_assert_uint_eq(expect(monitor, ACHAN_MONITOR_RESYNC).missed, 0);
	ck_assert_uint_eq(expect(monitor, ACHAN_MONITOR_RESYNC).missed, 100);
	expect(monitor, ACHAN_EVENT_CREATED);
	achan_monitor_free(monitor);
}
END_TEST

START_TEST(datagram_that_was_cut_is_a_resync)
{
	struct achan_monitor *monitor = new_monitor();

	put_event(ACHAN_EVENT_CREATED, 1);
	kernel.datagrams[kernel.last - 1].flags = MSG_TRUNC;
	expect(monitor, ACHAN_MONITOR_RESYNC);
	expect_nothing(monitor);
	achan_monitor_free(monitor);
}
END_TEST

/* The driver's count starts anew when its module does. */
START_TEST(number_that_goes_back_is_a_resync)
{
	struct achan_monitor *monitor = new_monitor();

	put_event(ACHAN_EVENT_CREATED, 100);
	put_event(ACHAN_EVENT_CREATED, 0);
	expect(monitor, ACHAN_EVENT_CREATED);
	ck_assert_uint_eq(expect(monitor, ACHAN_MONITOR_RESYNC).missed, 0);
	expect(monitor, ACHAN_EVENT_CREATED);
	achan_monitor_free(monitor);
}
END_TEST

START_TEST(messages_of_other_processes_are_not_heard)
{
	struct achan_monitor *monitor = new_monitor();

	put_event(ACHAN_EVENT_CREATED, 1);
	kernel.datagrams[kernel.last - 1].sender = 1234;
	put_event(ACHAN_EVENT_REMOVED, 2);
	expect(monitor, ACHAN_EVENT_REMOVED);
	expect_nothing(monitor);
	achan_monitor_free(monitor);
}
END_TEST

START_TEST(end_of_the_family_is_enodev_from_then_on)
{
	struct achan_monitor *monitor = new_monitor();
	struct achan_monitor_event event;

	put_family(0, CTRL_CMD_NEWFAMILY);
	put_family(0, CTRL_CMD_DELFAMILY);
	put_event(ACHAN_EVENT_CREATED, 1);
	ck_assert_int_eq(achan_monitor_next(monitor, &event), -ENODEV);
	ck_assert_int_eq(achan_monitor_next(monitor, &event), -ENODEV);
	achan_monitor_free(monitor);
}
END_TEST

START_TEST(dump_lists_channels_between_events)
{
	struct achan_monitor *monitor = new_monitor();

	ck_assert_int_eq(achan_monitor_dump(monitor), 0);
	ck_assert_uint_eq(kernel.dumps, 1);
	put_dumped("one", 1, 0);
	put_event(ACHAN_EVENT_OPENED, 4);
	put_dumped("two", 2, 0);
	put_done(0, 0);
	ck_assert_str_eq(expect(monitor, ACHAN_MONITOR_CHANNEL).channel.name,
			 "one");
	expect(monitor, ACHAN_EVENT_OPENED);
	ck_assert_str_eq(expect(monitor, ACHAN_MONITOR_CHANNEL).channel.name,
			 "two");
	expect(monitor, ACHAN_MONITOR_DUMPED);
	expect_nothing(monitor);
	achan_monitor_free(monitor);
}
END_TEST

START_TEST(dump_that_was_interrupted_ends_in_a_resync)
{
	struct achan_monitor *monitor = new_monitor();

	ck_assert_int_eq(achan_monitor_dump(monitor), 0);
	put_dumped("one", 1, _i ? NLM_F_DUMP_INTR : 0);
	put_done(0, _i ? 0 : NLM_F_DUMP_INTR);
	expect(monitor, ACHAN_MONITOR_CHANNEL);
	expect(monitor, ACHAN_MONITOR_RESYNC);
	ck_assert_int_eq(achan_monitor_dump(monitor), 0);
	put_done(0, 0);
	expect(monitor, ACHAN_MONITOR_DUMPED);
	achan_monitor_free(monitor);
}
END_TEST

START_TEST(dump_asked_for_during_a_dump_replaces_it)
{
	struct achan_monitor *monitor = new_monitor();

	ck_assert_int_eq(achan_monitor_dump(monitor), 0);
	put_dumped("old", 1, 0);
	put_dumped("old", 2, 0);
	put_done(0, 0);
	expect(monitor, ACHAN_MONITOR_CHANNEL);
	ck_assert_int_eq(achan_monitor_dump(monitor), 0);
	ck_assert_int_eq(achan_monitor_dump(monitor), 0);
	ck_assert_uint_eq(kernel.dumps, 1);
	expect_nothing(monitor);
	ck_assert_uint_eq(kernel.dumps, 2);
	put_dumped("new", 1, 0);
	put_done(0, 0);
	ck_assert_str_eq(expect(monitor, ACHAN_MONITOR_CHANNEL).channel.name,
			 "new");
	expect(monitor, ACHAN_MONITOR_DUMPED);
	achan_monitor_free(monitor);
}
END_TEST

START_TEST(dump_that_fails_says_why_and_another_can_follow)
{
	struct achan_monitor *monitor = new_monitor();
	struct achan_monitor_event event;

	ck_assert_int_eq(achan_monitor_dump(monitor), 0);
	if (_i)
		put_error(NLMSG_ERROR, kernel.dump_sequence, 0, -ENOMEM);
	else
		put_done(-ENOMEM, 0);
	ck_assert_int_eq(achan_monitor_next(monitor, &event), -ENOMEM);
	ck_assert_int_eq(achan_monitor_dump(monitor), 0);
	ck_assert_uint_eq(kernel.dumps, 2);
	achan_monitor_free(monitor);
}
END_TEST

/* Every length of an event that was cut: an error or an event, and no crash. */
START_TEST(event_cut_anywhere_is_skipped)
{
	struct achan_monitor *monitor = new_monitor();
	struct achan_monitor_event event;
	struct datagram whole = { 0 };
	int good = 0;

	put_event_into(&whole, ACHAN_EVENT_CREATED, 1);
	for (size_t cut = 1; cut < whole.length; cut++) {
		kernel.first = 0;
		kernel.last = 1;
		kernel.datagrams[0] = whole;
		kernel.datagrams[0].length = cut;
		if (achan_monitor_next(monitor, &event) != -EBADMSG)
			good++;
		expect_nothing(monitor);
	}
	ck_assert_int_eq(good, 0);
	kernel.first = 0;
	kernel.last = 0;
	memset(kernel.datagrams, 0, sizeof(kernel.datagrams));
	put_event(ACHAN_EVENT_CREATED, 1);
	expect(monitor, ACHAN_EVENT_CREATED);
	achan_monitor_free(monitor);
}
END_TEST

/* Any byte of an event changed to any of some values: no crash, an answer. */
START_TEST(event_with_a_wrong_byte_is_answered)
{
	static const unsigned char values[] = { 0, 1, 3, 4, 0x7f, 0x80, 0xff };
	struct achan_monitor *monitor = new_monitor();
	struct achan_monitor_event event;
	struct datagram whole = { 0 };
	int ret;

	put_event_into(&whole, ACHAN_EVENT_CREATED, 1);
	for (size_t at = 0; at < whole.length; at++) {
		for (size_t i = 0; i < sizeof(values); i++) {
			kernel.first = 0;
			kernel.last = 1;
			kernel.datagrams[0] = whole;
			kernel.datagrams[0].bytes[at] = values[i];
			do {
				ret = achan_monitor_next(monitor, &event);
				ck_assert(ret >= 0 || ret == -EBADMSG);
			} while (ret);
		}
	}
	achan_monitor_free(monitor);
}
END_TEST

/*
 * A newer driver's structures are longer, an older one's shorter. The case looked
 * behind the end of a structure whose reserved words had become fewer.
 */
START_TEST(structures_of_other_lengths_are_taken)
{
	unsigned char stats[sizeof(struct achan_stats) + 64];
	struct achan_monitor *monitor = new_monitor();
	struct datagram *datagram = next_datagram();
	struct nlmsghdr *header = begin_generic(datagram, FAMILY, 0, 0,
						ACHAN_CMD_EVENT);
	struct achan_monitor_event event;
	const unsigned char *end_of_stats;

	memset(stats, 1, sizeof(stats));
	put_u32(header, ACHAN_ATTR_EVENT, ACHAN_EVENT_CREATED);
	put_attribute(header, ACHAN_ATTR_STATS, stats, sizeof(stats));
	put_attribute(header, ACHAN_ATTR_CONFIG, stats, 8);
	put_attribute(header, ACHAN_ATTR_MAX + 1, stats, 8);
	end(datagram, header);
	event = expect(monitor, ACHAN_EVENT_CREATED);
	end_of_stats = (const unsigned char *)(&event.channel.stats + 1);
	ck_assert_uint_eq(end_of_stats[-1], 1);
	ck_assert_uint_eq(event.channel.config.mode, 0x01010101);
	ck_assert_uint_eq(event.channel.config.delivery, 0);
	achan_monitor_free(monitor);
}
END_TEST

START_TEST(monitor_of_the_parent_is_echild)
{
	struct achan_monitor *monitor = new_monitor();
	struct achan_monitor_event event;
	pid_t child;

	if (library_in_child(&child)) {
		bool ok = achan_monitor_next(monitor, &event) == -ECHILD &&
			  achan_monitor_dump(monitor) == -ECHILD &&
			  achan_monitor_fd(monitor) == -ECHILD;

		achan_monitor_free(monitor);
		library_child_done(ok);
	}
	library_child_ok(child);
	put_event(ACHAN_EVENT_CREATED, 1);
	expect(monitor, ACHAN_EVENT_CREATED);
	achan_monitor_free(monitor);
}
END_TEST

static void add_life(TCase *tcase)
{
	tcase_add_test(tcase,
		       monitor_joins_the_groups_of_events_and_families);
	tcase_add_test(tcase, monitor_that_is_quiet_joins_nothing);
	tcase_add_loop_test(tcase,
			    monitor_asks_for_the_buffer_with_and_without_privilege,
			    0, 2);
	tcase_add_test(tcase, monitor_without_the_module_is_enoent);
	tcase_add_test(tcase, monitor_of_another_version_is_eprotonosupport);
	tcase_add_test(tcase, monitor_refuses_bad_options_and_null);
	tcase_add_test(tcase, monitor_of_the_parent_is_echild);
}

static void add_events(TCase *tcase)
{
	tcase_add_test(tcase, event_has_all_that_came_with_it);
	tcase_add_test(tcase, events_of_one_datagram_come_one_by_one);
	tcase_add_test(tcase,
		       gap_is_a_resync_that_says_how_many_and_the_event_follows);
	tcase_add_test(tcase, overrun_is_a_resync);
	tcase_add_test(tcase, overrun_is_told_once_more_with_the_number);
	tcase_add_test(tcase, datagram_that_was_cut_is_a_resync);
	tcase_add_test(tcase, number_that_goes_back_is_a_resync);
	tcase_add_test(tcase, messages_of_other_processes_are_not_heard);
	tcase_add_test(tcase, end_of_the_family_is_enodev_from_then_on);
	tcase_add_test(tcase, event_cut_anywhere_is_skipped);
	tcase_add_test(tcase, event_with_a_wrong_byte_is_answered);
	tcase_add_test(tcase, structures_of_other_lengths_are_taken);
}

static void add_dumps(TCase *tcase)
{
	tcase_add_test(tcase, dump_lists_channels_between_events);
	tcase_add_loop_test(tcase, dump_that_was_interrupted_ends_in_a_resync,
			    0, 2);
	tcase_add_test(tcase, dump_asked_for_during_a_dump_replaces_it);
	tcase_add_loop_test(tcase,
			    dump_that_fails_says_why_and_another_can_follow, 0,
			    2);
}

int main(void)
{
	Suite *suite = suite_create("lib_monitor");
	TCase *tcase = tcase_create("monitor");

	add_life(tcase);
	add_events(tcase);
	add_dumps(tcase);
	suite_add_tcase(suite, tcase);
	return unit_main(suite);
}
