// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * achan-demo: streams real files through channels, receives them in every I/O
 * model, and says of each what came.
 */
#define _GNU_SOURCE
#include "demo.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <linux/achan.h>

#define DEFAULT_BYTES		(4 << 20)

struct options {
	const char *stream;	/* a channel in stream mode */
	const char *message;	/* one in message mode */
	size_t bytes;		/* of each file at most */
};

static void usage(FILE *to)
{
	fprintf(to,
		"usage: achan-demo [-s CHANNEL] [-m CHANNEL] [-n BYTES] FILE...\n"
		"Streams each FILE through a channel, once in every I/O model, and compares what\n"
		"came with what was sent.\n"
		"  -s CHANNEL  in stream mode, default $ACHAN_STREAM or /dev/achan0\n"
		"  -m CHANNEL  in message mode, default $ACHAN_MESSAGE or /dev/achan1\n"
		"  -n BYTES    at most so much of a file, default %d\n"
		"Exit status: 0 when all is equal, 1 when anything is not, 2 on wrong usage.\n",
		DEFAULT_BYTES);
}

static const char *from_environment(const char *name, const char *otherwise)
{
	const char *value = getenv(name);

	return value && *value ? value : otherwise;
}

static bool parse_bytes(const char *text, size_t *bytes)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || *end || end == text || !value)
		return false;
	*bytes = value;
	return true;
}

static void parse_options(int argc, char **argv, struct options *options)
{
	int option;

	while ((option = getopt(argc, argv, "s:m:n:h")) != -1) {
		switch (option) {
		case 's':
			options->stream = optarg;
			break;
		case 'm':
			options->message = optarg;
			break;
		case 'n':
			if (parse_bytes(optarg, &options->bytes))
				break;
			fprintf(stderr, "achan-demo: -n %s: not a number of bytes\n", optarg);
			exit(2);
		case 'h':
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			exit(2);
		}
	}
}

static bool digest_payload(struct payload *payload)
{
	struct digest *digest = digest_new();
	bool ok;

	if (!digest)
		return false;
	ok = !digest_add(digest, payload->data, payload->length) &&
	     !digest_end(digest, payload->digest);
	digest_free(digest);
	return ok;
}

static bool read_all(int fd, struct payload *payload)
{
	size_t have = 0;

	while (have < payload->length) {
		ssize_t n = read(fd, payload->data + have, payload->length - have);

		if (n <= 0)
			return false;
		have += (size_t)n;
	}
	return true;
}

static bool read_payload(int fd, struct payload *payload, size_t most)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return false;
	payload->length = (size_t)status.st_size;
	if (payload->length > most)
		payload->length = most;
	if (!payload->length) {
		errno = ENODATA;
		return false;
	}
	payload->data = malloc(payload->length);
	return payload->data && read_all(fd, payload) && digest_payload(payload);
}

static bool load_payload(struct payload *payload, const char *path, size_t most)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool ok;

	memset(payload, 0, sizeof(*payload));
	payload->path = path;
	ok = fd >= 0 && read_payload(fd, payload, most);
	if (!ok)
		fprintf(stderr, "achan-demo: cannot load the payload %s: %s\n",
			path, strerror(errno));
	if (fd >= 0)
		close(fd);
	return ok;
}

static void print_head(const struct payload *payload)
{
	int i;

	printf("\n%s, %zu bytes, SHA-256 ", payload->path, payload->length);
	for (i = 0; i < DEMO_DIGEST_BYTES; i++)
		printf("%02x", payload->digest[i]);
	printf("\n\n%-10s %-8s %8s %7s %9s  %-7s %5s %8s  %s\n", "model", "mode", "records",
	       "reads", "bytes", "SHA-256", "lost", "seconds", "events");
}

static void print_legend(void)
{
	printf("\nrecords: put into the channel, by its own count; reads: that brought data;\n"
	       "lost: bytes (stream) or records (message), and requests without completion;\n"
	       "SIGIO brings a signal for each record, libaio ends by cancelling what is parked\n");
}

/*
 * Lost: records in message mode, bytes in stream mode, and in either the
 * asynchronous requests that never completed.
 */
static uint64_t count_lost(const struct transfer *transfer)
{
	const struct result *result = &transfer->result;
	uint64_t lost = transfer->payload->length - result->bytes;

	if (transfer->message)
		lost = (lost + DEMO_RECORD_BYTES - 1) / DEMO_RECORD_BYTES;
	lost += result->submitted - result->completed - result->cancelled;
	return lost + result->gaps;
}

static bool print_row(const struct transfer *transfer, bool ok)
{
	const struct result *result = &transfer->result;
	bool equal = !memcmp(result->digest, transfer->payload->digest, DEMO_DIGEST_BYTES);
	uint64_t lost = count_lost(transfer);
	char events[80] = "";

	if (transfer->model->describe)
		transfer->model->describe(result, events, sizeof(events));
	printf("%-10s %-8s %8" PRIu64 " %7" PRIu64 " %9" PRIu64 "  %-7s %5" PRIu64 " %8.3f  %s\n",
	       transfer->model->name, transfer->message ? "message" : "stream",
	       transfer->records, result->reads, result->bytes,
	       equal ? "equal" : "DIFFERS", lost, (double)result->nanoseconds / 1e9, events);
	if (result->error[0])
		printf("  FAILED: %s\n", result->error);
	else if (!ok)
		printf("  FAILED\n");
	fflush(stdout);
	return ok && equal && !lost;
}

/* Every model over one channel. Returns how many rows are wrong. */
static unsigned int run_models(const char *channel, const struct payload *payload)
{
	unsigned int wrong = 0;
	size_t i;

	for (i = 0; i < model_count; i++) {
		struct transfer transfer = {
			.model = &models[i],
			.path = channel,
			.payload = payload,
		};
		bool ok = transfer_run(&transfer);

		if (!print_row(&transfer, ok))
			wrong++;
	}
	return wrong;
}

static unsigned int run_file(const struct options *options, const char *path)
{
	struct payload payload;
	unsigned int wrong;

	if (!load_payload(&payload, path, options->bytes))
		return 1;
	print_head(&payload);
	wrong = run_models(options->stream, &payload);
	wrong += run_models(options->message, &payload);
	print_legend();
	free(payload.data);
	return wrong;
}

static void on_alarm(int signal)
{
	static const char text[] = "achan-demo: FAILED: a round trip did not end\n";

	(void)signal;
	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	_exit(1);
}

static unsigned int run_timelines(const struct options *options)
{
	unsigned int wrong = 0;

	signal(SIGALRM, on_alarm);
	alarm(DEMO_LIMIT_SECONDS);
	if (!timeline_sigio(options->message))
		wrong++;
	if (!timeline_aio(options->message))
		wrong++;
	wrong += run_hardware();
	alarm(0);
	return wrong;
}

int main(int argc, char **argv)
{
	struct options options = {
		.stream = from_environment("ACHAN_STREAM", "/dev/achan0"),
		.message = from_environment("ACHAN_MESSAGE", "/dev/achan1"),
		.bytes = DEFAULT_BYTES,
	};
	struct utsname kernel;
	unsigned int wrong = 0;
	int i;

	parse_options(argc, argv, &options);
	if (optind == argc) {
		usage(stderr);
		return 2;
	}
	if (!uname(&kernel))
		printf("achan-demo on Linux %s, %s\n", kernel.release, kernel.machine);
	if (!channel_is(options.stream, ACHAN_MODE_STREAM) ||
	    !channel_is(options.message, ACHAN_MODE_MESSAGE))
		return 1;
	for (i = optind; i < argc; i++)
		wrong += run_file(&options, argv[i]);
	wrong += run_timelines(&options);
	if (wrong)
		printf("\nachan-demo: FAILED: %u of the above\n", wrong);
	else
		printf("\nachan-demo: all equal, nothing lost\n");
	return wrong ? 1 : 0;
}
