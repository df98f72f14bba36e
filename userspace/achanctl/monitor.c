// SPDX-License-Identifier: LGPL-2.1-or-later
/* "monitor": events about channels, as they happen. */
#include "achanctl.h"

#include <getopt.h>
#include <poll.h>

/* Of events that may wait while output is slow. */
#define RECEIVE_BYTES	(4U << 20)

struct view {
	bool json;
	bool list;		/* tell what is there at first */
	uint64_t count;
	int64_t timeout_ns;
	uint64_t shown;
};

static bool about_channel(const struct achan_monitor_event *event)
{
	return event->event != ACHAN_MONITOR_RESYNC &&
	       event->event != ACHAN_MONITOR_DUMPED;
}

static void print_json(const struct achan_monitor_event *event)
{
	struct json json = { .file = stdout };

	json_open(&json, NULL, '{');
	json_string(&json, "event", word_of(event_words, event->event));
	json_number(&json, "sequence", event->sequence);
	json_number(&json, "timestamp", event->timestamp);
	if (event->event == ACHAN_MONITOR_RESYNC)
		json_number(&json, "missed", event->missed);
	if (about_channel(event)) {
		json_open(&json, "channel", '{');
		json_channel(&json, &event->channel);
		json_close(&json, '}');
	}
	json_close(&json, '}');
	putchar('\n');
}

static void print_text(const struct achan_monitor_event *event)
{
	char time[TEXT_SIZE], label[TEXT_SIZE];
	const struct achan_stats *stats = &event->channel.stats;

	printf("%20s  ", event->timestamp ?
	       format_time(event->timestamp, time) : "-");
	if (about_channel(event))
		printf("%-8s  %s", word_of(event_words, event->event),
		       channel_label(&event->channel, label));
	else
		fputs(word_of(event_words, event->event), stdout);
	if (event->event == ACHAN_EVENT_OVERFLOW &&
	    channel_known(&event->channel))
		printf("  %" PRIu64 " records lost so far", (uint64_t)stats->lost);
	if (event->event == ACHAN_MONITOR_RESYNC && event->missed)
		printf("  %" PRIu64 " events were missed", event->missed);
	else if (event->event == ACHAN_MONITOR_RESYNC)
		printf("  events were missed");
	putchar('\n');
}

/* After a resync the channels there are get listed, as nothing else tells. */
static int take(struct achan_monitor *monitor, struct view *view,
		const struct achan_monitor_event *event)
{
	if (view->json)
		print_json(event);
	else
		print_text(event);
	fflush(stdout);
	view->shown++;
	return event->event == ACHAN_MONITOR_RESYNC ?
	       achan_monitor_dump(monitor) : 0;
}

static int wait_for_event(struct achan_monitor *monitor,
			  const struct view *view)
{
	struct pollfd wait = { .fd = achan_monitor_fd(monitor),
			       .events = POLLIN };
	const struct timespec timeout = {
		.tv_sec = (time_t)(view->timeout_ns / NS_PER_SECOND),
		.tv_nsec = (long)(view->timeout_ns % NS_PER_SECOND),
	};
	int ret = ppoll(&wait, 1, view->timeout_ns < 0 ? NULL : &timeout, NULL);

	if (!ret)
		return -ETIMEDOUT;
	return ret < 0 && errno != EINTR ? -errno : 0;
}

static enum status monitor_events(struct achan_monitor *monitor,
				  struct view *view)
{
	struct achan_monitor_event event;
	int ret = view->list ? achan_monitor_dump(monitor) : 0;

	while (!ret && !(view->count && view->shown >= view->count)) {
		ret = achan_monitor_next(monitor, &event);
		if (ret > 0)
			ret = take(monitor, view, &event);
		else if (!ret)
			ret = wait_for_event(monitor, view);
		if (ferror(stdout))
			return finish_output();
	}
	if (ret == -ETIMEDOUT)
		return fail(STATUS_TIMEOUT, "no event came within the time");
	if (ret == -ENODEV)
		return fail(STATUS_NO_MODULE, "the module achan was removed");
	return ret ? fail_call(ret, "cannot monitor") : finish_output();
}

/*
 * Without the control device it is not known whether the driver has events; all that
 * speak this version of the ABI have.
 */
static bool driver_has_events(void)
{
	struct achan_control_opts opts = { .sz = sizeof(opts),
					   .path = control_path };
	struct achan_handshake driver = { 0 };
	struct achan_control *control;

	opts.version = &driver;
	if (achan_control_open(&control, &opts))
		return !driver.abi_version;
	achan_control_close(control);
	return driver.features & ACHAN_FEATURE_EVENTS;
}

static enum status fail_monitor(int error)
{
	if (error == -ENOENT && !module_loaded())
		return fail_no_module();
	if (error == -ENOENT && driver_has_events())
		return fail_namespace("cannot monitor");
	if (error == -ENOENT || error == -EPROTONOSUPPORT)
		return fail(STATUS_VERSION, "the driver tells of no events that "
			    "achanctl knows: use module and achanctl of the "
			    "same release");
	if (error == -EAFNOSUPPORT)
		return fail(STATUS_FAILURE, "cannot monitor: netlink is "
			    "forbidden to this process, as systemd's "
			    "RestrictAddressFamilies= does");
	return fail_call(error, "cannot monitor");
}

static enum status run_monitor(struct view *view)
{
	struct achan_monitor_opts opts = { .sz = sizeof(opts),
					   .receive_bytes = RECEIVE_BYTES };
	struct achan_monitor *monitor;
	enum status status;
	int ret = achan_monitor_new(&monitor, &opts);

	if (ret)
		return fail_monitor(ret);
	status = monitor_events(monitor, view);
	achan_monitor_free(monitor);
	return status;
}

static const struct option options[] = {
	{ "list", no_argument, NULL, 'l' },
	{ "count", required_argument, NULL, 'c' },
	{ "timeout", required_argument, NULL, 't' },
	{ "json", no_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static enum status take_option(struct view *view, int code)
{
	switch (code) {
	case 'l':
		view->list = true;
		return STATUS_OK;
	case 'j':
		view->json = true;
		return STATUS_OK;
	case 'c':
		if (!parse_number(optarg, UINT64_MAX, &view->count) ||
		    !view->count)
			return fail_usage(&command_monitor, "--count takes a "
					  "number, not '%s'", optarg);
		return STATUS_OK;
	case 't':
		if (!parse_seconds(optarg, &view->timeout_ns))
			return fail_usage(&command_monitor, "--timeout takes "
					  "seconds, not '%s'", optarg);
		return STATUS_OK;
	default:
		return fail_option(&command_monitor);
	}
}

static enum status run(int argc, char **argv)
{
	struct view view = { .timeout_ns = -1 };
	enum status status;
	int code;

	optind = 0;
	while ((code = getopt_long(argc, argv, "lc:t:jh", options, NULL)) >=
	       0) {
		if (code == 'h')
			return print_help(&command_monitor);
		status = take_option(&view, code);
		if (status)
			return status;
	}
	if (optind < argc)
		return fail_usage(&command_monitor, "no channel can be named: "
				  "events of all of them are told");
	return run_monitor(&view);
}

const struct command command_monitor = {
	.name = "monitor",
	.run = run,
	.help =
	"usage: achanctl monitor [OPTION...]\n"
	"\n"
	"Tells of channels created, removed, opened (first) and closed (last),\n"
	"of records lost and of hangups, as it happens. When events were missed,\n"
	"it says so and lists the channels there are.\n"
	"\n"
	"  --list             list the channels there are at first\n"
	"  --count N          end after N lines\n"
	"  --timeout SECONDS  end when nothing comes for so long\n"
	"  --json             a line of JSON for each\n",
};
