// SPDX-License-Identifier: LGPL-2.1-or-later
/* "pipe": records carried from one channel to another. */
#include "achanctl.h"

#include <fcntl.h>
#include <getopt.h>
#include <poll.h>

#define STREAM_SIZE	65536

/* One direction. What was read and is not yet written is in the buffer. */
struct flow {
	const char *from_name;
	const char *to_name;
	struct achan *from;
	struct achan *to;
	char *buffer;
	size_t size;
	size_t length;
	size_t done;
	bool ended;
};

struct plan {
	bool both;
	uint64_t count;
	uint64_t bytes;
	int64_t timeout_ns;
	uint64_t moved_records;
	uint64_t moved_bytes;
	struct progress progress;
};

static bool reached(const struct plan *plan)
{
	return (plan->count && plan->moved_records >= plan->count) ||
	       (plan->bytes && plan->moved_bytes >= plan->bytes);
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
	if (error == -EMSGSIZE && writing)
		return fail(STATUS_FAILURE, "a record of %zu bytes from %s is "
			    "larger than %s can take", flow->length,
			    flow->from_name, name);
	return fail_call(error, "cannot %s %s", writing ? "write to" :
			 "read from", name);
}

/* Reads when the buffer is empty, else writes; as far as it goes at once. */
static enum status step(struct flow *flow, struct plan *plan)
{
	ssize_t moved;

	if (flow->done == flow->length) {
		moved = achan_read(flow->from, flow->buffer, flow->size, 0);
		if (moved == -EAGAIN)
			return STATUS_OK;
		if (moved < 0)
			return fail_flow(flow, false, (int)moved);
		flow->ended = !moved;
		flow->length = (size_t)moved;
		flow->done = 0;
	}
	if (flow->ended)
		return STATUS_OK;
	moved = achan_write(flow->to, flow->buffer + flow->done,
			    flow->length - flow->done, 0);
	if (moved == -EAGAIN)
		return STATUS_OK;
	if (moved < 0)
		return fail_flow(flow, true, (int)moved);
	flow->done += (size_t)moved;
	plan->moved_bytes += (uint64_t)moved;
	plan->moved_records += flow->done == flow->length;
	progress_add(&plan->progress, (uint64_t)moved);
	return STATUS_OK;
}

/* Waits for what each flow needs next. Returns what poll does. */
static int wait_for_flows(struct flow *flows, int count, int64_t timeout_ns)
{
	const struct timespec timeout = {
		.tv_sec = (time_t)(timeout_ns / NS_PER_SECOND),
		.tv_nsec = (long)(timeout_ns % NS_PER_SECOND),
	};
	struct pollfd waits[2];
	int used = 0;

	for (int i = 0; i < count; i++) {
		bool writing = flows[i].done < flows[i].length;

		if (flows[i].ended)
			continue;
		waits[used].fd = achan_fd(writing ? flows[i].to :
						    flows[i].from);
		waits[used].events = writing ? POLLOUT : POLLIN;
		waits[used++].revents = 0;
	}
	if (!used)
		return -ENODATA;
	if (ppoll(waits, (nfds_t)used, timeout_ns < 0 ? NULL : &timeout,
		  NULL) > 0)
		return 1;
	return errno == EINTR ? 1 : 0;
}

static enum status carry(struct flow *flows, struct plan *plan)
{
	int count = plan->both ? 2 : 1;
	enum status status;
	int ret;

	for (;;) {
		errno = 0;
		ret = wait_for_flows(flows, count, plan->timeout_ns);
		if (ret == -ENODATA)
			return STATUS_OK;
		if (!ret)
			return fail(STATUS_TIMEOUT, "nothing moved from %s to "
				    "%s within the time", flows->from_name,
				    flows->to_name);
		for (int i = 0; i < count; i++) {
			status = flows[i].ended ? STATUS_OK :
						  step(&flows[i], plan);
			if (status || reached(plan))
				return status;
		}
	}
}

/* What is read fits into one write, unless a record was larger. */
static size_t flow_size(const struct achan_info *from,
			const struct achan_info *to)
{
	if (from->mode == ACHAN_MODE_MESSAGE)
		return from->record_max;
	if (to->mode == ACHAN_MODE_MESSAGE && to->record_max < STREAM_SIZE)
		return to->record_max;
	return STREAM_SIZE;
}

static enum status carry_between(struct plan *plan, char **names,
				 struct achan *ends[2],
				 const struct achan_info infos[2])
{
	struct flow flows[2] = {
		{ .from_name = names[0], .to_name = names[1],
		  .from = ends[0], .to = ends[1],
		  .size = flow_size(&infos[0], &infos[1]) },
		{ .from_name = names[1], .to_name = names[0],
		  .from = ends[1], .to = ends[0],
		  .size = flow_size(&infos[1], &infos[0]) },
	};
	enum status status;

	flows[0].buffer = malloc(flows[0].size);
	flows[1].buffer = malloc(flows[1].size);
	if (flows[0].buffer && flows[1].buffer) {
		progress_begin(&plan->progress, plan->bytes, true);
		status = carry(flows, plan);
		progress_end(&plan->progress);
	} else {
		status = fail_call(-ENOMEM, "cannot carry");
	}
	free(flows[0].buffer);
	free(flows[1].buffer);
	return status;
}

static enum status connect_ends(struct plan *plan, char **names)
{
	struct achan_info infos[2];
	struct achan *ends[2];
	enum status status;

	status = channel_open(names[0], plan->both ? O_RDWR : O_RDONLY, 0,
			      &ends[0], &infos[0]);
	if (status)
		return status;
	status = channel_open(names[1], plan->both ? O_RDWR : O_WRONLY, 0,
			      &ends[1], &infos[1]);
	if (!status) {
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
	return fail_usage(&command_pipe, "'%s' cannot be the value of -%c",
			  optarg, code);
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
	return connect_ends(&plan, argv + optind);
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
