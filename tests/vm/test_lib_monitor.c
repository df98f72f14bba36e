// SPDX-License-Identifier: GPL-2.0-only
/* libachan's monitor, on the real driver: events, dumps, a storm. */
#include "vm.h"

#include "achan.h"
#include <poll.h>

#define STORM	10000

static struct achan_control *open_control(void)
{
	struct achan_control *control;

	ck_assert_int_eq(achan_control_open(&control, NULL), 0);
	return control;
}

static struct achan_monitor *open_monitor(uint32_t receive_bytes)
{
	struct achan_monitor_opts opts = { .sz = sizeof(opts),
					   .receive_bytes = receive_bytes };
	struct achan_monitor *monitor;

	ck_assert_int_eq(achan_monitor_new(&monitor, &opts), 0);
	return monitor;
}

static uint32_t make(struct achan_control *control, const char *name)
{
	struct achan_create create = { .config.kind = ACHAN_KIND_LOOP };

	snprintf(create.name, sizeof(create.name), "%s", name);
	ck_assert_int_eq(achan_control_create(control, &create), 0);
	return create.minor;
}

/* The next event, which must come. */
static struct achan_monitor_event next(struct achan_monitor *monitor)
{
	struct achan_monitor_event event;
	int ret;

	while (!(ret = achan_monitor_next(monitor, &event)))
		ck_assert_int_ne(vm_poll_wait(achan_monitor_fd(monitor),
					      POLLIN), 0);
	ck_assert_int_eq(ret, 1);
	return event;
}

static void expect(struct achan_monitor *monitor, uint32_t kind,
		   uint32_t minor)
{
	const struct achan_monitor_event event = next(monitor);

	ck_assert_uint_eq(event.event, kind);
	ck_assert_uint_eq(event.channel.minor, minor);
}

static int open_node(uint32_t minor)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/dev/achan%u", minor);
	fd = open(path, O_RDWR);
	ck_assert_int_ge(fd, 0);
	return fd;
}

START_TEST(life_of_a_channel_is_told_in_order)
{
	struct achan_monitor *monitor = open_monitor(0);
	struct achan_control *control = open_control();
	struct achan_monitor_event event;
	uint32_t minor = make(control, "told");
	int first, second;

	event = next(monitor);
	ck_assert_uint_eq(event.event, ACHAN_EVENT_CREATED);
	ck_assert_str_eq(event.channel.name, "told");
	ck_assert_uint_eq(event.channel.config.ring_bytes, 65536);
	ck_assert_uint_gt(event.timestamp, 0);
	first = open_node(minor);
	second = open_node(minor);
	close(first);
	close(second);
	/* One for the first, one for the last. */
	expect(monitor, ACHAN_EVENT_OPENED, minor);
	expect(monitor, ACHAN_EVENT_CLOSED, minor);
	ck_assert_int_eq(achan_control_remove(control, "told", 0), 0);
	expect(monitor, ACHAN_EVENT_REMOVED, minor);
	ck_assert_int_eq(achan_monitor_next(monitor, &event), 0);
	achan_control_close(control);
	achan_monitor_free(monitor);
}
END_TEST

START_TEST(overflow_is_told)
{
	struct achan_monitor *monitor = open_monitor(0);
	struct achan_control *control = open_control();
	struct achan_create create = {
		.config = { .kind = ACHAN_KIND_LOOP, .ring_bytes = 8192,
			    .mode = ACHAN_MODE_MESSAGE,
			    .delivery = ACHAN_DELIVERY_BROADCAST },
		.name = "flowing-over",
	};
	struct achan_monitor_event event;
	char bytes[1000] = "";
	int fd;

	ck_assert_int_eq(achan_control_create(control, &create), 0);
	fd = open_node(create.minor);
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(write(fd, bytes, sizeof(bytes)), 1000);
	expect(monitor, ACHAN_EVENT_CREATED, create.minor);
	expect(monitor, ACHAN_EVENT_OPENED, create.minor);
	event = next(monitor);
	ck_assert_uint_eq(event.event, ACHAN_EVENT_OVERFLOW);
	ck_assert_uint_gt(event.channel.stats.lost, 0);
	close(fd);
	ck_assert_int_eq(achan_control_remove(control, "flowing-over", 0), 0);
	achan_control_close(control);
	achan_monitor_free(monitor);
}
END_TEST

START_TEST(dump_lists_every_channel)
{
	struct achan_monitor *monitor = open_monitor(0);
	struct achan_control *control = open_control();
	struct achan_monitor_event event;
	unsigned int found = 0, channels = vm_repeat(300), i;
	char name[32];

	/* More than one datagram of them. */
	for (i = 0; i < channels; i++) {
		snprintf(name, sizeof(name), "dumped-%d", i);
		expect(monitor, ACHAN_EVENT_CREATED, make(control, name));
	}
	ck_assert_int_eq(achan_monitor_dump(monitor), 0);
	while ((event = next(monitor)).event != ACHAN_MONITOR_DUMPED) {
		ck_assert_uint_eq(event.event, ACHAN_MONITOR_CHANNEL);
		found += !strncmp(event.channel.name, "dumped-", 7);
	}
	ck_assert_uint_eq(found, channels);
	for (i = 0; i < channels; i++) {
		snprintf(name, sizeof(name), "dumped-%d", i);
		ck_assert_int_eq(achan_control_remove(control, name, 0), 0);
	}
	achan_control_close(control);
	achan_monitor_free(monitor);
}
END_TEST

/* What a slow or a fast monitor has seen. */
struct count {
	uint64_t events;
	uint64_t missed;
	unsigned int resyncs;
	uint64_t last;
};

static void count_event(struct count *count,
			const struct achan_monitor_event *event)
{
	if (event->event == ACHAN_MONITOR_RESYNC) {
		count->resyncs++;
		count->missed += event->missed;
		return;
	}
	count->events++;
	count->last = event->sequence;
}

static void take_all(struct achan_monitor *monitor, struct count *count)
{
	struct achan_monitor_event event;
	int ret;

	while ((ret = achan_monitor_next(monitor, &event)) > 0)
		count_event(count, &event);
	ck_assert_int_eq(ret, 0);
}

/*
 * The loop index is whether the monitor keeps up. Seen and missed events are
 * all that there were, whether or not it does.
 */
START_TEST(storm_is_seen_whole_or_the_missing_are_counted)
{
	struct achan_monitor *monitor = open_monitor(_i ? 1 << 20 : 4096);
	struct achan_control *control = open_control();
	uint32_t minor = make(control, "storm");
	unsigned int storm = _i ? vm_share(STORM) : vm_repeat(STORM);
	struct count count = { 0 };
	int fd;

	/* Of opens, and of as many closes: of an odd number one never came. */
	storm &= ~1U;
	take_all(monitor, &count);
	ck_assert_uint_eq(count.events, 1);
	for (unsigned int i = 0; i < storm / 2; i++) {
		fd = open_node(minor);
		close(fd);
		if (_i)
			take_all(monitor, &count);
	}
	take_all(monitor, &count);
	/* The one that shows how many are missing before it. */
	ck_assert_int_eq(achan_control_remove(control, "storm", 0), 0);
	take_all(monitor, &count);
	ck_assert_uint_eq(count.events + count.missed, storm + 2);
	if (_i)
		ck_assert_uint_eq(count.resyncs, 0);
	else
		ck_assert_uint_ge(count.resyncs, 1);
	achan_control_close(control);
	achan_monitor_free(monitor);
}
END_TEST

START_TEST(monitor_needs_no_privilege)
{
	struct achan_monitor_event event;
	struct achan_monitor *monitor;

	ck_assert_int_eq(setresgid(65534, 65534, 65534), 0);
	ck_assert_int_eq(setresuid(65534, 65534, 65534), 0);
	monitor = open_monitor(0);
	ck_assert_int_eq(achan_monitor_dump(monitor), 0);
	do {
		event = next(monitor);
	} while (event.event == ACHAN_MONITOR_CHANNEL);
	ck_assert_uint_eq(event.event, ACHAN_MONITOR_DUMPED);
	achan_monitor_free(monitor);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lib_monitor");
	TCase *tcase = vm_tcase(suite, "monitor");

	tcase_add_test(tcase, life_of_a_channel_is_told_in_order);
	tcase_add_test(tcase, overflow_is_told);
	tcase_add_test(tcase, dump_lists_every_channel);
	tcase_add_loop_test(tcase,
			    storm_is_seen_whole_or_the_missing_are_counted, 0,
			    2);
	tcase_add_test(tcase, monitor_needs_no_privilege);
	return vm_main(suite);
}
