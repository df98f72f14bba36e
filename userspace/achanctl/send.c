// SPDX-License-Identifier: LGPL-2.1-or-later
/* "send": files, standard input or words into a channel. */
#include "achanctl.h"

#include <fcntl.h>
#include <getopt.h>
#include <sys/stat.h>
#include <unistd.h>

#define STREAM_SIZE	65536
#define MESSAGE_SIZE	4096

/* What is read ahead of what was sent. */
struct source {
	const char *name;
	int fd;
	char *buffer;
	size_t size;
	size_t start;		/* of what is not sent */
	size_t end;
	bool ended;
};

struct sender {
	struct achan *channel;
	struct achan_info info;
	const char *name;
	const char *text;	/* of --text */
	bool lines;
	bool whole;		/* fill each write up */
	uint64_t size;
	int64_t timeout_ns;
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
		return fail(STATUS_FAILURE, "record of %zu bytes is too "
			    "large for %s (maximum %" PRIu64 ")", length,
			    sender->name, (uint64_t)sender->info.record_max);
	case ETIMEDOUT:
	case EAGAIN:
		return fail(STATUS_TIMEOUT, "%s had no room within the time",
			    sender->name);
	default:
		return fail_call((int)error, "cannot write to %s",
				 sender->name);
	}
}

/* Adds to @done what was written. */
static enum status put(struct sender *sender, const char *bytes, size_t length,
		       size_t *done)
{
	ssize_t put = write_waiting(sender->channel, bytes, length,
				    sender->timeout_ns);

	if (put < 0)
		return put == -EINTR ? STATUS_OK :
				       fail_write(sender, length, put);
	*done += (size_t)put;
	progress_add(&sender->progress, (uint64_t)put);
	/* On a stream the time can pass after a part. */
	if ((size_t)put == length || stopped())
		return STATUS_OK;
	return fail_write(sender, length, -ETIMEDOUT);
}

/* ------------------------------------------------------------- sources */

/* Makes room behind what is not sent yet. */
static bool make_room(struct source *source)
{
	size_t size = source->size ? source->size * 2 : STREAM_SIZE;
	char *buffer;

	if (source->start) {
		source->end -= source->start;
		memmove(source->buffer, source->buffer + source->start,
			source->end);
		source->start = 0;
	}
	if (source->end < source->size)
		return true;
	buffer = realloc(source->buffer, size);
	if (!buffer)
		return false;
	source->buffer = buffer;
	source->size = size;
	return true;
}

/* Reads some more, at most @wanted. Returns 0, or a negative errno value. */
static int read_more(struct source *source, size_t wanted)
{
	ssize_t got;

	if (source->start == source->end) {
		source->start = 0;
		source->end = 0;
	}
	if (source->end == source->size && !make_room(source))
		return -ENOMEM;
	if (wanted > source->size - source->end)
		wanted = source->size - source->end;
	got = read(source->fd, source->buffer + source->end, wanted);
	if (got < 0)
		return errno == EINTR ? 0 : -errno;
	source->end += (size_t)got;
	source->ended = !got;
	return 0;
}

/* Length of the next line, 0 if its end has not been read yet. */
static size_t next_line(const struct source *source, size_t searched)
{
	const char *start = source->buffer + source->start;
	size_t length = source->end - source->start;
	const char *end;

	if (!length)
		return 0;
	end = memchr(start + searched, '\n', length - searched);
	return end ? (size_t)(end - start) + 1 : source->ended ? length : 0;
}

/* Reads a whole line. Sets @length, to 0 at the end. */
static int fill_line(struct source *source, size_t *length)
{
	size_t searched = 0;
	int ret = 0;

	while (!(*length = next_line(source, searched)) && !source->ended &&
	       !ret && !stopped()) {
		searched = source->end - source->start;
		ret = read_more(source, SIZE_MAX);
	}
	return ret;
}

/* As much as comes at once, or a full write. Sets @length, to 0 at the end. */
static int fill_write(const struct sender *sender, struct source *source,
		      size_t *length)
{
	int ret = 0;

	do {
		*length = source->end - source->start;
		if (*length == sender->size || source->ended || stopped() ||
		    (*length && !sender->whole))
			break;
		ret = read_more(source, sender->size - *length);
	} while (!ret);
	return ret;
}

/*
 * Who feeds standard input, or a pipe, has no way to learn what of it was sent:
 * that is said. A file is still there.
 */
static enum status say_unsent(const struct sender *sender,
			      const struct source *source)
{
	size_t left = source->end - source->start;
	struct stat found;

	if (!left || (!fstat(source->fd, &found) && S_ISREG(found.st_mode)))
		return STATUS_OK;
	return fail(STATUS_FAILURE, "%zu bytes that were read from %s "
		    "were not sent; "
		    "%" PRIu64 " were", left, source->name,
		    sender->progress.done);
}

static enum status send_source(struct sender *sender, struct source *source)
{
	enum status status = STATUS_OK, unsent = STATUS_OK;
	size_t length;
	int ret;

	while (!status) {
		ret = sender->lines ? fill_line(source, &length) :
				      fill_write(sender, source, &length);
		if (ret)
			status = fail(STATUS_FAILURE, "cannot read %s: %s",
				      source->name, strerror(-ret));
		if (ret || !length || stopped())
			break;
		status = put(sender, source->buffer + source->start, length,
			     &source->start);
	}
	if (status || stopped())
		unsent = say_unsent(sender, source);
	return status ? status : unsent;
}

static enum status send_fd(struct sender *sender, int fd, const char *name)
{
	struct source source = { .name = name, .fd = fd, .size = sender->size };
	enum status status;

	source.buffer = malloc(source.size);
	if (!source.buffer)
		return fail_call(-ENOMEM, "cannot send %s", name);
	status = send_source(sender, &source);
	free(source.buffer);
	return status;
}

static enum status send_path(struct sender *sender, const char *path)
{
	enum status status;
	int fd;

	if (!strcmp(path, "-"))
		return send_fd(sender, STDIN_FILENO, "standard input");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return stopped() ? STATUS_OK :
		       fail(STATUS_FAILURE, "cannot read %s: %s", path,
			    strerror(errno));
	status = send_fd(sender, fd, path);
	close(fd);
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
	size_t done = 0;

	if (sender->text)
		return put(sender, sender->text, strlen(sender->text), &done);
	if (!argc)
		return send_path(sender, "-");
	for (int i = 0; i < argc && !status && !stopped(); i++)
		status = send_path(sender, argv[i]);
	return status;
}

static enum status send_to(struct sender *sender, int argc, char **argv)
{
	enum status status;
	bool message;

	status = channel_open(argv[0], O_WRONLY, sender->timeout_ns,
			      &sender->channel, &sender->info);
	if (!sender->channel)
		return status;
	sender->name = argv[0];
	message = sender->info.mode == ACHAN_MODE_MESSAGE;
	sender->whole = message || sender->size;
	if (!sender->size)
		sender->size = message ? MESSAGE_SIZE : STREAM_SIZE;
	progress_begin(&sender->progress, total_of(argc - 1, argv + 1), true);
	status = send_all(sender, argc - 1, argv + 1);
	progress_end(&sender->progress);
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
		return fail_usage(&command_send, "no channel given");
	if (sender.text && argc - optind > 1)
		return fail_usage(&command_send, "either --text or files");
	stop_begin();
	status = send_to(&sender, argc - optind, argv + optind);
	stop_end();
	return status;
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
