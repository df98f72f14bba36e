// SPDX-License-Identifier: LGPL-2.1-or-later
/* "send": files, standard input or words into a channel. */
#include "achanctl.h"

#include <fcntl.h>
#include <getopt.h>
#include <sys/stat.h>
#include <unistd.h>

#define STREAM_SIZE	65536
#define MESSAGE_SIZE	4096

struct sender {
	struct achan *channel;
	struct achan_info info;
	const char *name;
	const char *text;	/* of --text */
	bool lines;
	bool whole;		/* fill each write up */
	uint64_t size;
	int64_t timeout_ns;
	char *buffer;
	struct progress progress;
};

static enum status fail_write(const struct sender *sender, size_t length,
			      ssize_t error)
{
	switch (-error) {
	case ENODEV:
		return fail(STATUS_NO_CHANNEL, "the channel %s was removed",
			    sender->name);
	case EPIPE:
		return fail(STATUS_FAILURE, "nobody reads from %s: its other "
			    "end is closed", sender->name);
	case EMSGSIZE:
		return fail(STATUS_FAILURE, "a record of %zu bytes cannot be "
			    "had by %s: it takes %" PRIu64 " at the most",
			    length, sender->name,
			    (uint64_t)sender->info.record_max);
	case ETIMEDOUT:
	case EAGAIN:
		return fail(STATUS_TIMEOUT, "%s had no room within the time",
			    sender->name);
	default:
		return fail_call((int)error, "cannot write to %s",
				 sender->name);
	}
}

static enum status put(struct sender *sender, const char *bytes, size_t length)
{
	ssize_t put = achan_write(sender->channel, bytes, length,
				  sender->timeout_ns);

	if (put < 0)
		return fail_write(sender, length, put);
	progress_add(&sender->progress, (uint64_t)put);
	/* On a stream the time can pass after a part. */
	return (size_t)put < length ? fail_write(sender, length, -ETIMEDOUT) :
				      STATUS_OK;
}

static enum status send_lines(struct sender *sender, FILE *file)
{
	enum status status = STATUS_OK;
	char *line = NULL;
	size_t size = 0;
	ssize_t length;

	while (!status && (length = getline(&line, &size, file)) > 0)
		status = put(sender, line, (size_t)length);
	free(line);
	return status;
}

/* As much as comes at once, or a full buffer. */
static ssize_t fill(struct sender *sender, FILE *file)
{
	size_t length = 0;
	ssize_t got;

	do {
		got = read(fileno(file), sender->buffer + length,
			   sender->size - length);
		if (got > 0)
			length += (size_t)got;
	} while ((got < 0 && errno == EINTR) ||
		 (got > 0 && sender->whole && length < sender->size));
	return got < 0 ? -1 : (ssize_t)length;
}

static enum status send_file(struct sender *sender, FILE *file,
			     const char *name)
{
	enum status status = STATUS_OK;
	ssize_t length = 0;

	if (sender->lines)
		status = send_lines(sender, file);
	else
		while (!status && (length = fill(sender, file)) > 0)
			status = put(sender, sender->buffer, (size_t)length);
	if (!status && (length < 0 || ferror(file)))
		status = fail(STATUS_FAILURE, "cannot read %s: %s", name,
			      strerror(errno));
	return status;
}

static enum status send_path(struct sender *sender, const char *path)
{
	enum status status;
	FILE *file;

	if (!strcmp(path, "-"))
		return send_file(sender, stdin, "standard input");
	file = fopen(path, "re");
	if (!file)
		return fail(STATUS_FAILURE, "cannot read %s: %s", path,
			    strerror(errno));
	status = send_file(sender, file, path);
	fclose(file);
	return status;
}

/* Bytes in all the files, or 0 if that cannot be told. */
static uint64_t total_of(int argc, char **argv)
{
	struct stat found;
	uint64_t total = 0;

	for (int i = 0; i < argc; i++) {
		if (stat(argv[i], &found) || !S_ISREG(found.st_mode))
			return 0;
		total += (uint64_t)found.st_size;
	}
	return total;
}

static enum status send_all(struct sender *sender, int argc, char **argv)
{
	enum status status = STATUS_OK;

	if (sender->text)
		return put(sender, sender->text, strlen(sender->text));
	if (!argc)
		return send_path(sender, "-");
	for (int i = 0; i < argc && !status; i++)
		status = send_path(sender, argv[i]);
	return status;
}

static enum status send_to(struct sender *sender, int argc, char **argv)
{
	enum status status;
	bool message;

	status = channel_open(argv[0], O_WRONLY, 0, &sender->channel,
			      &sender->info);
	if (status)
		return status;
	sender->name = argv[0];
	message = sender->info.mode == ACHAN_MODE_MESSAGE;
	sender->whole = message || sender->size;
	if (!sender->size)
		sender->size = message ? MESSAGE_SIZE : STREAM_SIZE;
	sender->buffer = malloc(sender->size);
	if (sender->buffer) {
		progress_begin(&sender->progress,
			       total_of(argc - 1, argv + 1), true);
		status = send_all(sender, argc - 1, argv + 1);
		progress_end(&sender->progress);
	} else {
		status = fail_call(-ENOMEM, "cannot send");
	}
	free(sender->buffer);
	achan_close(sender->channel);
	return status;
}

static const struct option options[] = {
	{ "text", required_argument, NULL, 'T' },
	{ "lines", no_argument, NULL, 'l' },
	{ "size", required_argument, NULL, 's' },
	{ "timeout", required_argument, NULL, 't' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static enum status take_option(struct sender *sender, int code)
{
	switch (code) {
	case 'T':
		sender->text = optarg;
		return STATUS_OK;
	case 'l':
		sender->lines = true;
		return STATUS_OK;
	case 's':
		if (!parse_size(optarg, 1U << 30, &sender->size) ||
		    !sender->size)
			return fail_usage(&command_send, "--size is bytes, such "
					  "as 512 or 4K, not '%s'", optarg);
		return STATUS_OK;
	case 't':
		if (!parse_seconds(optarg, &sender->timeout_ns))
			return fail_usage(&command_send, "--timeout takes "
					  "seconds, not '%s'", optarg);
		return STATUS_OK;
	default:
		return fail_option(&command_send);
	}
}

static enum status run(int argc, char **argv)
{
	struct sender sender = { .timeout_ns = -1 };
	enum status status;
	int code;

	optind = 0;
	while ((code = getopt_long(argc, argv, "T:ls:t:h", options, NULL)) >=
	       0) {
		if (code == 'h')
			return print_help(&command_send);
		status = take_option(&sender, code);
		if (status)
			return status;
	}
	if (optind == argc)
		return fail_usage(&command_send, "which channel?");
	if (sender.text && argc - optind > 1)
		return fail_usage(&command_send, "either --text or files");
	return send_to(&sender, argc - optind, argv + optind);
}

const struct command command_send = {
	.name = "send",
	.run = run,
	.help =
	"usage: achanctl send [OPTION...] CHANNEL [FILE...]\n"
	"\n"
	"Writes files, or standard input, to a channel.\n"
	"\n"
	"  -T, --text TEXT     this instead, in one write\n"
	"  -l, --lines         a write for each line, its newline with it\n"
	"  -s, --size SIZE     of a write: of a message [4K], of a stream [64K]\n"
	"  -t, --timeout SECS  give up when there is no room for so long\n",
};
