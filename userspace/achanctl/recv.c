// SPDX-License-Identifier: LGPL-2.1-or-later
/* "recv": read from a channel, in any I/O model. */
#include "achanctl.h"

#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#define SIZE_DEFAULT	65536
#define DEPTH_DEFAULT	4
#define DEPTH_MAX	1024

static const struct model {
	const char *name;
	void (*run)(struct receiver *receiver);
} models[] = {
	{ "blocking", receive_blocking },
	{ "poll", receive_poll },
	{ "sigio", receive_sigio },
	{ "aio", receive_aio },
	{ "uring", receive_uring },
};

static void finish(struct receiver *receiver, enum status status)
{
	receiver->done = true;
	receiver->status = status;
}

/* A record is taken whole or not at all. */
static size_t next_size(const struct receiver *receiver)
{
	uint64_t left = receiver->bytes - receiver->output.bytes;

	if (!receiver->bytes || left > receiver->size ||
	    receiver->output.framed ||
	    receiver->info.mode != ACHAN_MODE_STREAM)
		return receiver->size;
	return (size_t)left;
}

size_t receiver_size(struct receiver *receiver)
{
	if (!receiver->done && stopped())
		finish(receiver, STATUS_OK);
	if (!receiver->done && output_gone(&receiver->output)) {
		receiver->output.error = EPIPE;
		finish(receiver, STATUS_OK);
	}
	return receiver->done ? 0 : next_size(receiver);
}

static const struct timespec *time_left(const struct receiver *receiver,
					struct timespec *left)
{
	int64_t ns = receiver->last + receiver->timeout_ns - now_ns();

	if (receiver->timeout_ns < 0)
		return NULL;
	if (ns < 0)
		ns = 0;
	left->tv_sec = (time_t)(ns / NS_PER_SECOND);
	left->tv_nsec = (long)(ns % NS_PER_SECOND);
	return left;
}

int receiver_wait(struct receiver *receiver, int fd, int events)
{
	struct pollfd waits[] = {
		{ .fd = fd, .events = (short)events },
		/* Tells when nobody takes the output any more. */
		{ .fd = receiver->output.fd },
	};
	struct timespec left;
	int ret;

	while (receiver_size(receiver)) {
		ret = ppoll(waits, COUNT_OF(waits), time_left(receiver, &left),
			    NULL);
		if (!ret || (ret > 0 && waits[0].revents))
			return ret ? 1 : 0;
		if (ret < 0 && errno != EINTR)
			receiver_fail(receiver, "wait for", -errno);
	}
	return -EINTR;
}

static void fail_read(struct receiver *receiver, int error)
{
	switch (-error) {
	case EINTR:
		return;
	case ETIMEDOUT:
		receiver_timed_out(receiver);
		return;
	case ENODEV:
		finish(receiver, fail(STATUS_NO_CHANNEL,
				      "the channel %s was removed",
				      receiver->name));
		return;
	case EMSGSIZE:
		finish(receiver, fail(STATUS_FAILURE, "the next record of %s "
				      "is larger than %zu bytes: it stays "
				      "there; choose a larger --size",
				      receiver->name, receiver->size));
		return;
	default:
		receiver_fail(receiver, "read", error);
	}
}

void receiver_fail(struct receiver *receiver, const char *what, int error)
{
	finish(receiver, fail_call(error, "cannot %s %s", what,
				   receiver->name));
}

void receiver_timed_out(struct receiver *receiver)
{
	finish(receiver, fail(STATUS_TIMEOUT, "nothing came from %s within the "
			      "time", receiver->name));
}

static bool enough(const struct receiver *receiver)
{
	const struct output *output = &receiver->output;

	return output->error ||
	       (receiver->count && output->records >= receiver->count) ||
	       (receiver->bytes && output->bytes >= receiver->bytes);
}

void receiver_take(struct receiver *receiver, const void *bytes,
		   int64_t result)
{
	struct output *output = &receiver->output;
	uint64_t before = output->bytes;
	int ret;

	/* After the end only what was taken still counts. */
	if (result <= 0 && receiver->done)
		return;
	if (result < 0) {
		fail_read(receiver, (int)result);
		return;
	}
	if (!result) {
		finish(receiver, STATUS_OK);
		return;
	}
	ret = output_read(output, bytes, (size_t)result);
	progress_add(&receiver->progress, output->bytes - before);
	receiver->last = now_ns();
	if (ret && !receiver->done)
		receiver_fail(receiver, "make records of what came from", ret);
	else if (!receiver->done && enough(receiver))
		finish(receiver, STATUS_OK);
}

/* What was taken and did not go out is said. */
static enum status receiver_end(const struct receiver *receiver)
{
	const struct output *output = &receiver->output;
	bool bytes_only = receiver->info.mode == ACHAN_MODE_STREAM &&
			  !output->framed;
	const char *why = output->error == ETIMEDOUT ?
			  "the output takes nothing" : strerror(output->error);

	if (!output->lost_bytes && output->error == EPIPE) {
		stop_because(SIGPIPE);
		return receiver->status;
	}
	if (output->error)
		fail(STATUS_FAILURE, "cannot write what came from %s: %s",
		     receiver->name, why);
	if (output->lost_records && bytes_only)
		fail(STATUS_FAILURE, "%" PRIu64 " bytes were taken from %s and "
		     "are lost", output->lost_bytes, receiver->name);
	else if (output->lost_records)
		fail(STATUS_FAILURE, "%" PRIu64 " records with %" PRIu64
		     " bytes were taken from %s and are lost",
		     output->lost_records, output->lost_bytes, receiver->name);
	return output->error || output->lost_records ? STATUS_FAILURE :
						       receiver->status;
}

/* ------------------------------------------------------------- options */

struct choice {
	const struct model *model;
	const char *file;
	uint64_t size;
	uint64_t depth;
	struct receiver receiver;
};

static const struct option options[] = {
	{ "model", required_argument, NULL, 'm' },
	{ "framed", no_argument, NULL, 'f' },
	{ "timestamps", no_argument, NULL, 'T' },
	{ "hexdump", no_argument, NULL, 'x' },
	{ "lines", no_argument, NULL, 'l' },
	{ "null", no_argument, NULL, '0' },
	{ "json", no_argument, NULL, 'j' },
	{ "output", required_argument, NULL, 'o' },
	{ "count", required_argument, NULL, 'c' },
	{ "bytes", required_argument, NULL, 'b' },
	{ "size", required_argument, NULL, 's' },
	{ "depth", required_argument, NULL, 'd' },
	{ "timeout", required_argument, NULL, 't' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static enum status take_model(struct choice *choice)
{
	for (size_t i = 0; i < COUNT_OF(models); i++)
		if (!strcmp(models[i].name, optarg)) {
			choice->model = &models[i];
			return STATUS_OK;
		}
	return fail_usage(&command_recv, "invalid --model '%s': use blocking, "
			  "poll, sigio, aio or uring", optarg);
}

static enum status take_number(struct choice *choice, int code)
{
	struct receiver *receiver = &choice->receiver;
	bool ok;

	switch (code) {
	case 'c':
		ok = parse_number(optarg, UINT64_MAX, &receiver->count) &&
		     receiver->count;
		break;
	case 'b':
		ok = parse_size(optarg, UINT64_MAX, &receiver->bytes) &&
		     receiver->bytes;
		break;
	case 's':
		ok = parse_size(optarg, 1U << 30, &choice->size) &&
		     choice->size;
		break;
	case 'd':
		ok = parse_number(optarg, DEPTH_MAX, &choice->depth) &&
		     choice->depth;
		break;
	default:
		ok = parse_seconds(optarg, &receiver->timeout_ns);
		break;
	}
	if (ok)
		return STATUS_OK;
	return fail_value(&command_recv, options, code);
}

static enum status take_separation(struct output *output,
				   enum separation separation)
{
	if (output->separation && output->separation != separation)
		return fail_usage(&command_recv, "only one of --lines, --null "
				  "and --json");
	output->separation = separation;
	return STATUS_OK;
}

static enum status take_option(struct choice *choice, int code)
{
	struct output *output = &choice->receiver.output;

	switch (code) {
	case 'm':
		return take_model(choice);
	case 'T':
		output->timestamps = true;
		output->framed = true;
		return STATUS_OK;
	case 'f':
		output->framed = true;
		return STATUS_OK;
	case 'x':
		output->hexdump = true;
		return STATUS_OK;
	case 'l':
		return take_separation(output, SEPARATE_LINES);
	case '0':
		return take_separation(output, SEPARATE_NULL);
	case 'j':
		return take_separation(output, SEPARATE_JSON);
	case 'o':
		choice->file = optarg;
		return STATUS_OK;
	case '?':
		return fail_option(&command_recv);
	default:
		return take_number(choice, code);
	}
}

/* ------------------------------------------------------------- running */

/* Large enough for any record of the channel, unless a size was chosen. */
static size_t read_size(const struct choice *choice)
{
	const struct receiver *receiver = &choice->receiver;
	uint64_t record = receiver->info.record_max;

	if (choice->size)
		return choice->size;
	if (receiver->output.framed)
		record = ACHAN_RECORD_SIZE(record);
	else if (receiver->info.mode == ACHAN_MODE_STREAM)
		record = 0;
	return record > SIZE_DEFAULT ? record : SIZE_DEFAULT;
}

/*
 * Which reads bring what is to be shown. A read of a message is a record without
 * its header; of a stream only frames have records.
 */
static int choose_frames(struct receiver *receiver)
{
	struct output *output = &receiver->output;

	if (output->separation == SEPARATE_JSON ||
	    (output->separation && receiver->info.mode == ACHAN_MODE_STREAM))
		output->framed = true;
	return output->framed ? achan_set_framed(receiver->channel, true) : 0;
}

static void run_model(struct choice *choice)
{
	struct receiver *receiver = &choice->receiver;
	int ret = choose_frames(receiver);

	receiver->size = read_size(choice);
	receiver->last = now_ns();
	progress_begin(&receiver->progress, receiver->bytes,
		       !isatty(receiver->output.fd));
	if (ret)
		receiver_fail(receiver, "read", ret);
	else
		choice->model->run(receiver);
	progress_end(&receiver->progress);
}

static enum status receive(struct choice *choice, const char *text)
{
	struct receiver *receiver = &choice->receiver;
	struct output *output = &receiver->output;
	enum status status;

	status = channel_open(text, O_RDONLY, receiver->timeout_ns,
			      &receiver->channel, &receiver->info);
	if (!receiver->channel)
		return status;
	if (output->timestamps && in_time_namespace())
		fprintf(stderr, "achanctl: the times are those of the host's "
			"CLOCK_MONOTONIC; the clock of this time namespace is "
			"another one\n");
	receiver->name = text;
	run_model(choice);
	achan_close(receiver->channel);
	return receiver_end(receiver);
}

static enum status receive_stoppable(struct choice *choice, const char *text)
{
	enum status status;

	stop_begin();
	status = receive(choice, text);
	stop_end();
	return status;
}

static enum status receive_to_file(struct choice *choice, const char *text)
{
	struct output *output = &choice->receiver.output;
	enum status status;

	fflush(stdout);
	output->fd = STDOUT_FILENO;
	if (!choice->file)
		return receive_stoppable(choice, text);
	output->fd = open(choice->file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
			  0666);
	if (output->fd < 0)
		return fail(STATUS_FAILURE, "cannot write %s: %s", choice->file,
			    strerror(errno));
	status = receive_stoppable(choice, text);
	if (close(output->fd) && !status)
		status = fail(STATUS_FAILURE, "cannot write %s: %s",
			      choice->file, strerror(errno));
	return status;
}

static enum status run(int argc, char **argv)
{
	struct choice choice = {
		.model = &models[0],
		.depth = DEPTH_DEFAULT,
		.receiver.timeout_ns = -1,
	};
	enum status status;
	int code;

	optind = 0;
	while ((code = getopt_long(argc, argv, "m:fTxl0jo:c:b:s:d:t:h", options,
				   NULL)) >= 0) {
		if (code == 'h')
			return print_help(&command_recv);
		status = take_option(&choice, code);
		if (status)
			return status;
	}
	if (argc - optind != 1)
		return fail_one_channel(&command_recv, argc - optind);
	if (choice.receiver.output.separation &&
	    (choice.receiver.output.framed || choice.receiver.output.hexdump))
		return fail_usage(&command_recv, "--lines, --null and --json do "
				  "not go with --framed, --timestamps and "
				  "--hexdump");
	choice.receiver.depth = (unsigned int)choice.depth;
	return receive_to_file(&choice, argv[optind]);
}

const struct command command_recv = {
	.name = "recv",
	.run = run,
	.help =
	"usage: achanctl recv [OPTION...] CHANNEL\n"
	"\n"
	"Reads from a channel until its end, which a loop without --hangup fifo\n"
	"does not have, or as far as an option says.\n"
	"\n"
	"  -m, --model MODEL     blocking, poll, sigio, aio or uring [blocking]\n"
	"  -f, --framed          by records, each with its number and length\n"
	"  -T, --timestamps      ... and its time; says --framed as well\n"
	"  -x, --hexdump         bytes in hexadecimal\n"
	"  -l, --lines           each record on a line of its own\n"
	"  -0, --null            each record with a zero byte behind it\n"
	"  -j, --json            each record as an object on a line, its data in base64\n"
	"  -o, --output FILE     write there, not to standard output\n"
	"  -c, --count N         end after N records, or reads of a stream\n"
	"  -b, --bytes SIZE      end after so many bytes of payload\n"
	"  -s, --size SIZE       of a read [the largest record, or 64K]\n"
	"  -d, --depth N         requests at a time, for aio [4]\n"
	"  -t, --timeout SECS    end when nothing comes for so long\n"
	"\n"
	"With --framed and --json one read can bring more records than --count and\n"
	"--bytes ask for; all it brought are shown. A stream has records too: with\n"
	"--lines and --null they are those that were written.\n",
};
