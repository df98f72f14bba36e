// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The kernel makes many records, one call takes them: a provider's channel, whose module
 * is tests/vm/modules/burst.c, and the BPF ring buffer.
 *
 * What makes the kernel begin is a system call of another kind for each, which a
 * program that waits for a device does not make. It is measured alone too, with no
 * record, to be subtracted.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <achan.h>

#include "bench_ends.h"
#include "bench_kernel.h"

#define PARAMETER	"/sys/module/achan_burst/parameters/push"

/* How many records to push, as it is written to the module's parameter. */
static char count_text[12];

bool is_of_burst(const void *payload, unsigned int number)
{
	uint64_t words[BENCH_BYTES / sizeof(uint64_t)];
	unsigned int i;

	memcpy(words, payload, sizeof(words));
	for (i = 1; i < COUNT(words) && words[i] == i; i++)
		;
	return (i == COUNT(words) && words[0] == number) ||
	       failed("another record than was pushed", 0);
}

static bool trigger(struct bench *bench)
{
	size_t length = strlen(count_text);

	return moved(PARAMETER, write(bench->writer, count_text, length), length);
}

static bool open_trigger(struct bench *bench)
{
	strcpy(count_text, "0");
	bench->writer = open(PARAMETER, O_WRONLY | O_CLOEXEC);
	if (bench->writer < 0 && errno == ENOENT)
		return does_not_fit("achan_burst.ko is not loaded");
	return bench->writer >= 0 || failed(PARAMETER, errno);
}

/* The number of the provider's node, or -1 after the reason was said. */
static int find_minor(void)
{
	struct achan_control *control;
	struct achan_channel channel;
	int ret = achan_control_open(&control, NULL);

	if (ret < 0) {
		failed(ACHAN_CONTROL_PATH, -ret);
		return -1;
	}
	ret = achan_control_get(control, "burst", 0, &channel);
	achan_control_close(control);
	if (ret < 0) {
		failed("cannot find the channel named burst", -ret);
		return -1;
	}
	return (int)channel.minor;
}

static bool open_burst(struct bench *bench)
{
	int minor = find_minor();

	if (minor < 0)
		return false;
	bench->reader = open_node((unsigned int)minor, O_RDONLY | O_NONBLOCK);
	return bench->reader >= 0 && read_framed(bench);
}

static bool framed_turn(struct bench *bench)
{
	return trigger(bench) &&
	       moved("read", read(bench->reader, bench->got, BENCH_BYTES_MAX),
		     bench->x * ACHAN_RECORD_SIZE(BENCH_BYTES));
}

/* Whether the first burst that is read is what was pushed, without a gap. */
static bool framed_check(struct bench *bench)
{
	const unsigned char *frame = bench->got;
	struct achan_record header;
	__u64 sequence = 0;
	unsigned int i;

	for (i = 0; i < bench->x; i++) {
		memcpy(&header, frame, sizeof(header));
		if (header.length != BENCH_BYTES ||
		    (i && header.sequence != sequence + 1))
			return failed("a record's header is wrong", 0);
		sequence = header.sequence;
		if (!is_of_burst(frame + sizeof(header), i))
			return false;
		frame += ACHAN_RECORD_SIZE(BENCH_BYTES);
	}
	return true;
}

static bool framed_open(struct bench *bench)
{
	if (!open_trigger(bench) || !open_burst(bench))
		return false;
	snprintf(count_text, sizeof(count_text), "%u", bench->x);
	return framed_turn(bench) && framed_check(bench);
}

static unsigned int records(const struct bench *bench)
{
	return bench->x;
}

static const struct peer peers[] = {
	{ "achan, framed read", framed_open, framed_turn, close_ends, records },
	{ "BPF ring buffer", bpf_open, bpf_turn, bpf_close, records },
	{ "BPF ring buffer, no wake-up", bpf_open_without_wake_up, bpf_turn, bpf_close,
	  records },
	{ "achan, trigger alone", open_trigger, trigger, close_ends, records },
	{ "BPF, trigger alone", bpf_open_trigger, bpf_trigger_turn, bpf_close, records },
};

static const unsigned int counts[] = { 32, 0 };

const struct figure kernel_figure = {
	.name = "kernel",
	.x_is = "records a call",
	.title = "records of the kernel's: N pushed, then taken by one consumer call",
	.xs = counts,
	.peers = peers,
	.peer_count = COUNT(peers),
	.turns = 200,
};
