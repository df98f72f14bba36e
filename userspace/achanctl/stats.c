// SPDX-License-Identifier: LGPL-2.1-or-later
/* "stats": the counters, and how fast they count. */
#include "achanctl.h"

#include <getopt.h>
#include <time.h>
#include <unistd.h>

#define BAR_WIDTH	40

struct view {
	bool json;
	bool watch;
	int64_t interval;
	uint64_t count;		/* of rounds, 0: no end */
};

/* Of a channel, from one round to the next. */
struct rates {
	bool known;
	double records_in;
	double bytes_in;
	double records_out;
	double bytes_out;
};

static double per_second(uint64_t now, uint64_t before, double seconds)
{
	/* A channel that was made anew under its number starts from 0. */
	return now >= before ? (double)(now - before) / seconds : 0;
}

static struct rates rates_of(const struct achan_channel *channel,
			     const struct channel_list *before, double seconds)
{
	const struct achan_stats *now = &channel->stats;
	struct rates rates = { 0 };

	for (size_t i = 0; i < before->count && seconds > 0; i++) {
		const struct achan_stats *then = &before->channels[i].stats;

		if (before->channels[i].minor != channel->minor)
			continue;
		rates.known = true;
		rates.records_in = per_second(now->records_in,
					      then->records_in, seconds);
		rates.bytes_in = per_second(now->bytes_in, then->bytes_in,
					    seconds);
		rates.records_out = per_second(now->records_out,
					       then->records_out, seconds);
		rates.bytes_out = per_second(now->bytes_out, then->bytes_out,
					     seconds);
	}
	return rates;
}

static void print_flow(const char *what, uint64_t records, uint64_t bytes,
		       bool known, double records_rate, double bytes_rate)
{
	char size[TEXT_SIZE], rate[TEXT_SIZE], speed[TEXT_SIZE];

	printf("  %-8s %12" PRIu64 " records  %10s", what, records,
	       format_size(bytes, size));
	if (known)
		printf("  %8s/s  %10s/s", format_count(records_rate, rate),
		       format_size((uint64_t)bytes_rate, speed));
	printf("\n");
}

static void print_channel(const struct achan_channel *channel,
			  const struct rates *rates)
{
	const struct achan_stats *stats = &channel->stats;
	uint64_t ring = channel->config.ring_bytes;
	uint64_t percent = ring ? stats->used * 100 / ring : 0;
	char label[TEXT_SIZE], bar[TEXT_SIZE], used[TEXT_SIZE];
	char size[TEXT_SIZE], high[TEXT_SIZE];

	printf("%s\n", channel_label(channel, label));
	if (!channel_known(channel)) {
		printf("  counters are for who may open the node\n");
		return;
	}
	printf("  ring     [%s] %" PRIu64 "%%  %s of %s, at most %s\n",
	       format_bar(stats->used, ring, BAR_WIDTH, bar), percent,
	       format_size(stats->used, used), format_size(ring, size),
	       format_size(stats->high_water, high));
	print_flow("in", stats->records_in, stats->bytes_in, rates->known,
		   rates->records_in, rates->bytes_in);
	print_flow("out", stats->records_out, stats->bytes_out, rates->known,
		   rates->records_out, rates->bytes_out);
	if (channel->config.kind == ACHAN_KIND_PROVIDER)
		printf("  written  %12" PRIu64 " records, of which the module "
		       "took %" PRIu64 "\n", (uint64_t)stats->written,
		       (uint64_t)stats->pulled);
	printf("  lost     %12" PRIu64 " records  (rejected %" PRIu64
	       ", dropped %" PRIu64 ", overwritten %" PRIu64 "), discarded %"
	       PRIu64 "\n", (uint64_t)stats->lost,
	       (uint64_t)stats->rejected, (uint64_t)stats->dropped,
	       (uint64_t)stats->overwritten, (uint64_t)stats->discarded);
	printf("  parked   %12" PRIu64 " ever     (completed %" PRIu64
	       ", cancelled %" PRIu64 "); now %" PRIu32 " reads, %" PRIu32
	       " writes\n", (uint64_t)stats->parked,
	       (uint64_t)stats->completed, (uint64_t)stats->cancelled,
	       stats->parked_reads, stats->parked_writes);
	printf("  notified %12" PRIu64 " wake-ups, %" PRIu64 " signals\n",
	       (uint64_t)stats->wakeups, (uint64_t)stats->signals);
	printf("  open     %12" PRIu32 " readers, %" PRIu32 " writers\n",
	       stats->readers, stats->writers);
}

static void json_one(struct json *json, const struct achan_channel *channel,
		     const struct rates *rates)
{
	json_open(json, NULL, '{');
	json_channel(json, channel);
	if (rates->known) {
		json_open(json, "rates", '{');
		json_real(json, "records_in", rates->records_in);
		json_real(json, "bytes_in", rates->bytes_in);
		json_real(json, "records_out", rates->records_out);
		json_real(json, "bytes_out", rates->bytes_out);
		json_close(json, '}');
	}
	json_close(json, '}');
}

/* One round: a line of JSON, or a screen. */
static void show(const struct view *view, const struct channel_list *now,
		 const struct channel_list *before, double seconds)
{
	struct json json = { .file = stdout };
	struct rates rates;

	if (view->json)
		json_open(&json, NULL, '[');
	else if (view->watch && isatty(STDOUT_FILENO))
		fputs("\033[H\033[J", stdout);
	for (size_t i = 0; i < now->count; i++) {
		rates = rates_of(&now->channels[i], before, seconds);
		if (view->json)
			json_one(&json, &now->channels[i], &rates);
		else
			print_channel(&now->channels[i], &rates);
	}
	if (view->json) {
		json_close(&json, ']');
		putchar('\n');
	}
}

static void wait_until(int64_t when)
{
	const struct timespec time = {
		.tv_sec = (time_t)(when / NS_PER_SECOND),
		.tv_nsec = (long)(when % NS_PER_SECOND),
	};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) ==
	       EINTR)
		;
}

static enum status watch(const struct view *view, int argc, char **argv)
{
	struct channel_list now, before = { 0 };
	int64_t next = now_ns(), last = 0, time;
	enum status status = STATUS_OK;

	for (uint64_t round = 0; !status; round++) {
		if (view->count && round == view->count)
			break;
		wait_until(next);
		next += view->interval;
		time = now_ns();
		status = channel_list_select(&now, argc, argv);
		if (status) {
			channel_list_free(&now);
			break;
		}
		show(view, &now, &before,
		     last ? (double)(time - last) / NS_PER_SECOND : 0);
		status = finish_output();
		last = time;
		channel_list_free(&before);
		before = now;
	}
	channel_list_free(&before);
	return status;
}

static enum status once(const struct view *view, int argc, char **argv)
{
	const struct channel_list none = { 0 };
	struct channel_list now;
	enum status status = channel_list_select(&now, argc, argv);

	if (!status || now.count)
		show(view, &now, &none, 0);
	channel_list_free(&now);
	return status ? status : finish_output();
}

static const struct option options[] = {
	{ "watch", optional_argument, NULL, 'w' },
	{ "count", required_argument, NULL, 'c' },
	{ "json", no_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static enum status take_option(struct view *view, int code)
{
	switch (code) {
	case 'w':
		view->watch = true;
		if (optarg && (!parse_seconds(optarg, &view->interval) ||
			       !view->interval))
			return fail_usage(&command_stats, "--watch takes "
					  "seconds, not '%s'", optarg);
		return STATUS_OK;
	case 'c':
		if (!parse_number(optarg, UINT64_MAX, &view->count) ||
		    !view->count)
			return fail_usage(&command_stats, "--count takes a "
					  "number, not '%s'", optarg);
		return STATUS_OK;
	case 'j':
		view->json = true;
		return STATUS_OK;
	default:
		return fail_option(&command_stats);
	}
}

static enum status run(int argc, char **argv)
{
	struct view view = { .interval = NS_PER_SECOND };
	enum status status;
	int code;

	optind = 0;
	while ((code = getopt_long(argc, argv, "w::c:jh", options, NULL)) >=
	       0) {
		if (code == 'h')
			return print_help(&command_stats);
		status = take_option(&view, code);
		if (status)
			return status;
	}
	if (view.count && !view.watch)
		return fail_usage(&command_stats, "--count needs --watch");
	argc -= optind;
	argv += optind;
	return view.watch ? watch(&view, argc, argv) : once(&view, argc, argv);
}

const struct command command_stats = {
	.name = "stats",
	.run = run,
	.help =
	"usage: achanctl stats [OPTION...] [CHANNEL...]\n"
	"\n"
	"Counters of all channels, or of those named.\n"
	"\n"
	"  --watch[=SECONDS]  again and again, with rates [1]\n"
	"  --count N          end after N rounds\n"
	"  --json             an array, for each round one line\n",
};
