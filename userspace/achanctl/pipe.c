// SPDX-License-Identifier: LGPL-2.1-or-later
/* "pipe": records carried from one channel to another. */
#include "achanctl.h"

#include <fcntl.h>
#include <getopt.h>
#include <poll.h>

#define STREAM_SIZE	65536

/* While no event tells of enough room: how long until it is looked for again. */
#define LOOK_FIRST_NS	(NS_PER_SECOND / 1000)
#define LOOK_LAST_NS	(NS_PER_SECOND / 50)

/* One direction. What was read and is not yet written is in the buffer. */
struct flow {
	const char *from_name;
	const char *to_name;
	struct achan *from;
	struct achan *to;
	const struct achan_info *from_info;
	const struct achan_info *to_info;
	char *buffer;
	size_t size;
	size_t length;
	size_t done;
	bool room_known;
	/* Something is there to be read, but the other end has no room for it. */
	bool blocked;
	bool ended;
};

struct plan {
	bool both;
	uint64_t count;
	uint64_t bytes;
	int64_t timeout_ns;
	int64_t last;		/* when something moved, or the beginning */
	int64_t look;		/* next wait for room that no event tells of */
	uint64_t moved_records;
	uint64_t moved_bytes;
	struct progress progress;
};

static bool reached(const struct plan *plan)
{
	return (plan->count && plan->moved_records >= plan->count) ||
	       (plan->bytes && plan->moved_bytes >= plan->bytes);
}

static bool holds(const struct flow *flow)
{
	return flow->done < flow->length;
}

static enum status fail_flow(const struct flow *flow, bool writing, int error)
{
	const char *name = writing ? flow->to_name : flow->from_name;

	if (error == -ENODEV)
		return fail(STATUS_NO_CHANNEL, "the channel %s was removed",
			    name);
	if (error == -EPIPE)
		return fail(STATUS_FAILURE, "nobody reads from %s: its other "
			    "end is closed", name);
	if (error == -EMSGSIZE)
		return fail(STATUS_FAILURE, "the next record of %s is larger "
			    "than %s can take: it stays there",
			    flow->from_name, flow->to_name);
	return fail_call(error, "cannot %s %s", writing ? "write to" :
			 "read from", name);
}

/* ---------------------------------------------------------------- room */

static bool has_data(struct achan *channel)
{
	struct achan_info info;

	/* A channel that was removed still gives what is in it. */
	return achan_get_info(channel, &info) || info.bytes;
}

/* A write would fail: why. Returns STATUS_OK if it would not. */
static enum status check_end(const struct flow *flow)
{
	int events = achan_poll(flow->to, 0, 0);
	struct achan_info info;

	if (events <= 0 || !(events & (POLLERR | POLLHUP)))
		return STATUS_OK;
	return fail_flow(flow, true, achan_get_info(flow->to, &info) ?
			 -ENODEV : -EPIPE);
}

/*
 * Bytes of ring that are free at the end written to. Of a pair or a provider only
 * this is known: there is room for a record of PIPE_BUF bytes, or not.
 */
static uint64_t free_bytes(const struct flow *flow)
{
	uint64_t ring = flow->to_info->ring_bytes;
	struct achan_stats stats;

	if (flow->room_known && !achan_get_stats(flow->to, &stats))
		return stats.used < ring ? ring - stats.used : 0;
	return achan_poll(flow->to, POLLOUT, 0) > 0 ? ring : 0;
}

/* The longest write that finds room, or 0. */
static size_t room_for(const struct flow *flow)
{
	const size_t header = ACHAN_RECORD_SIZE(0) + ACHAN_RECORD_ALIGN;
	uint64_t ring = flow->to_info->ring_bytes;
	uint64_t room = free_bytes(flow);

	if (flow->to_info->mode == ACHAN_MODE_MESSAGE && room == ring)
		room = flow->to_info->record_max;
	else if (flow->to_info->mode == ACHAN_MODE_MESSAGE)
		room = room > header ? room - header : 0;
	else
		/* A write to a stream can become several records. */
		room = room - room / 16 > header ? room - room / 16 - header :
						   0;
	return room < flow->size ? (size_t)room : flow->size;
}

/*
 * The next record is longer than @room. A message that the other end can never
 * take stays where it is; a stream takes what is longer than its ring in parts.
 */
static enum status take_long(struct flow *flow, size_t room, ssize_t *got)
{
	bool stream = flow->to_info->mode == ACHAN_MODE_STREAM;

	if (!stream && room == flow->to_info->record_max)
		return fail_flow(flow, false, -EMSGSIZE);
	if (room == flow->size)
		return fail_call(-EMSGSIZE, "cannot read from %s",
				 flow->from_name);
	flow->blocked = true;
	if (!stream || free_bytes(flow) != flow->to_info->ring_bytes)
		return STATUS_OK;
	flow->blocked = false;
	*got = achan_read(flow->from, flow->buffer, flow->size, 0);
	return STATUS_OK;
}

/* -------------------------------------------------------------- moving */

/*
 * Reads no more than the other end has room for: what was read cannot be put back.
 * Another writer can still take the room in between.
 */
static enum status take(struct flow *flow)
{
	int events = achan_poll(flow->from, POLLIN, 0);
	enum status status = STATUS_OK;
	bool ending;
	size_t room;
	ssize_t got;

	if (events <= 0)
		return STATUS_OK;
	ending = events & POLLHUP && !has_data(flow->from);
	if (!ending)
		status = check_end(flow);
	if (status)
		return status;
	room = ending ? flow->size : room_for(flow);
	flow->blocked = !room;
	if (!room)
		return STATUS_OK;
	got = achan_read(flow->from, flow->buffer, room, 0);
	if (got == -EMSGSIZE)
		status = take_long(flow, room, &got);
	if (status || got == -EAGAIN || flow->blocked)
		return status;
	if (got < 0)
		return fail_flow(flow, false, (int)got);
	flow->ended = !got;
	flow->length = (size_t)got;
	flow->done = 0;
	return STATUS_OK;
}

/* Reads when the buffer is empty, and writes; as far as it goes at once. */
static enum status step(struct flow *flow, struct plan *plan)
{
	enum status status = STATUS_OK;
	ssize_t moved;

	if (!holds(flow) && !reached(plan))
		status = take(flow);
	if (status || !holds(flow))
		return status;
	moved = achan_write(flow->to, flow->buffer + flow->done,
			    flow->length - flow->done, 0);
	if (moved == -EAGAIN)
		return STATUS_OK;
	if (moved < 0)
		return fail_flow(flow, true, (int)moved);
	flow->done += (size_t)moved;
	plan->last = now_ns();
	plan->look = LOOK_FIRST_NS;
	plan->moved_bytes += (uint64_t)moved;
	plan->moved_records += !holds(flow);
	progress_add(&plan->progress, (uint64_t)moved);
	return STATUS_OK;
}

/* ------------------------------------------------------------- waiting */

/*
 * What a flow needs next. An end that has room, but not enough, would call itself
 * writable again and again.
 */
static struct pollfd need_of(const struct flow *flow)
{
	struct pollfd wait = { .fd = achan_fd(flow->from), .events = POLLIN };

	if (holds(flow) || flow->blocked) {
		wait.fd = achan_fd(flow->to);
		wait.events = POLLOUT;
	}
	if (!holds(flow) && flow->blocked &&
	    achan_poll(flow->to, POLLOUT, 0) > 0)
		wait.events = 0;
	return wait;
}

/* Time until somebody has to look again, < 0 for no end; 0: it has passed. */
static int64_t time_to_wait(const struct plan *plan, bool blocked)
{
	int64_t left = plan->last + plan->timeout_ns - now_ns();

	if (plan->timeout_ns < 0)
		return blocked ? plan->look : -1;
	if (left <= 0)
		return 0;
	return blocked && plan->look < left ? plan->look : left;
}

/* Waits for what each flow needs next, as long as there is time. */
static void wait_for_flows(struct flow *flows, int count, struct plan *plan)
{
	struct pollfd waits[2];
	struct timespec timeout;
	bool blocked = false;
	int used = 0;
	int64_t ns;

	for (int i = 0; i < count; i++) {
		if (flows[i].ended)
			continue;
		blocked = blocked || (flows[i].blocked && !holds(&flows[i]));
		waits[used++] = need_of(&flows[i]);
	}
	ns = time_to_wait(plan, blocked);
	timeout.tv_sec = (time_t)(ns / NS_PER_SECOND);
	timeout.tv_nsec = (long)(ns % NS_PER_SECOND);
	if (!ppoll(waits, (nfds_t)used, ns < 0 ? NULL : &timeout, NULL) &&
	    plan->look < LOOK_LAST_NS)
		plan->look *= 2;
}

static bool all_ended(const struct flow *flows, int count)
{
	for (int i = 0; i < count; i++)
		if (!flows[i].ended)
			return false;
	return true;
}

/* An end that is ready, and then is not, does not make the time longer. */
static enum status step_all(struct flow *flows, int count, struct plan *plan)
{
	int64_t before = plan->last;
	enum status status;

	for (int i = 0; i < count; i++) {
		status = flows[i].ended || stopped() ? STATUS_OK :
			 step(&flows[i], plan);
		if (status)
			return status;
	}
	if (plan->last != before || stopped() || all_ended(flows, count) ||
	    time_to_wait(plan, false))
		return STATUS_OK;
	return fail(STATUS_TIMEOUT, "nothing moved from %s to %s within the "
		    "time", flows->from_name, flows->to_name);
}

static enum status carry(struct flow *flows, struct plan *plan)
{
	int count = plan->both ? 2 : 1;
	enum status status = STATUS_OK;

	plan->last = now_ns();
	plan->look = LOOK_FIRST_NS;
	while (!status && !stopped() && !all_ended(flows, count)) {
		wait_for_flows(flows, count, plan);
		status = step_all(flows, count, plan);
		if (reached(plan) && !holds(&flows[0]) && !holds(&flows[1]))
			break;
	}
	return status;
}

/* What was read and could not be written is lost with the program. */
static enum status say_held(const struct flow *flow)
{
	if (!holds(flow))
		return STATUS_OK;
	return fail(STATUS_FAILURE, "%zu bytes that were taken from %s found no "
		    "room in %s, and are lost", flow->length - flow->done,
		    flow->from_name, flow->to_name);
}

static void look_at(struct flow *flow)
{
	struct achan_config config;

	flow->size = flow->from_info->mode == ACHAN_MODE_MESSAGE ?
		     flow->from_info->record_max : STREAM_SIZE;
	flow->room_known = flow->to_info->kind == ACHAN_KIND_LOOP &&
			   !achan_get_config(flow->to, &config) &&
			   config.delivery == ACHAN_DELIVERY_SHARED;
}

static enum status carry_between(struct plan *plan, char **names,
				 struct achan *ends[2],
				 const struct achan_info infos[2])
{
	struct flow flows[2] = {
		{ .from_name = names[0], .to_name = names[1],
		  .from = ends[0], .to = ends[1],
		  .from_info = &infos[0], .to_info = &infos[1] },
		{ .from_name = names[1], .to_name = names[0],
		  .from = ends[1], .to = ends[0],
		  .from_info = &infos[1], .to_info = &infos[0] },
	};
	enum status status, held;

	look_at(&flows[0]);
	look_at(&flows[1]);
	flows[0].buffer = malloc(flows[0].size);
	flows[1].buffer = malloc(flows[1].size);
	if (flows[0].buffer && flows[1].buffer) {
		progress_begin(&plan->progress, plan->bytes, true);
		status = carry(flows, plan);
		progress_end(&plan->progress);
	} else {
		status = fail_call(-ENOMEM, "cannot carry");
	}
	for (int i = 0; i < 2; i++) {
		held = say_held(&flows[i]);
		if (held)
			status = held;
		free(flows[i].buffer);
	}
	return status;
}

static enum status connect_ends(struct plan *plan, char **names)
{
	struct achan_info infos[2];
	struct achan *ends[2];
	enum status status;

	status = channel_open(names[0], plan->both ? O_RDWR : O_RDONLY,
			      plan->timeout_ns, &ends[0], &infos[0]);
	if (!ends[0])
		return status;
	status = channel_open(names[1], plan->both ? O_RDWR : O_WRONLY,
			      plan->timeout_ns, &ends[1], &infos[1]);
	if (ends[1]) {
		status = carry_between(plan, names, ends, infos);
		achan_close(ends[1]);
	}
	achan_close(ends[0]);
	return status;
}

static const struct option options[] = {
	{ "both", no_argument, NULL, '2' },
	{ "count", required_argument, NULL, 'c' },
	{ "bytes", required_argument, NULL, 'b' },
	{ "timeout", required_argument, NULL, 't' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static enum status take_option(struct plan *plan, int code)
{
	bool ok = true;

	switch (code) {
	case '2':
		plan->both = true;
		break;
	case 'c':
		ok = parse_number(optarg, UINT64_MAX, &plan->count) &&
		     plan->count;
		break;
	case 'b':
		ok = parse_size(optarg, UINT64_MAX, &plan->bytes) &&
		     plan->bytes;
		break;
	case 't':
		ok = parse_seconds(optarg, &plan->timeout_ns);
		break;
	default:
		return fail_option(&command_pipe);
	}
	if (ok)
		return STATUS_OK;
	return fail_value(&command_pipe, options, code);
}

static enum status run(int argc, char **argv)
{
	struct plan plan = { .timeout_ns = -1 };
	enum status status;
	int code;

	optind = 0;
	while ((code = getopt_long(argc, argv, "2c:b:t:h", options, NULL)) >=
	       0) {
		if (code == 'h')
			return print_help(&command_pipe);
		status = take_option(&plan, code);
		if (status)
			return status;
	}
	if (argc - optind != 2)
		return fail_usage(&command_pipe, "two channels are needed, not "
				  "%d", argc - optind);
	stop_begin();
	status = connect_ends(&plan, argv + optind);
	stop_end();
	return status;
}

const struct command command_pipe = {
	.name = "pipe",
	.run = run,
	.help =
	"usage: achanctl pipe [OPTION...] FROM TO\n"
	"\n"
	"Carries what comes out of one channel into another, until the end of\n"
	"the first. Records of message channels stay whole.\n"
	"\n"
	"  -2, --both          the other direction as well\n"
	"  -c, --count N       end after N writes\n"
	"  -b, --bytes SIZE    end when so many bytes were carried\n"
	"  -t, --timeout SECS  end when nothing moves for so long\n",
};
