// SPDX-License-Identifier: LGPL-2.1-or-later
/* What peers read from and write to. */
#define _GNU_SOURCE
#include "bench_ends.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <achan.h>

#define NODE_BYTES	64
#define RING_BYTES	(1U << 18)

/* Loop channels made here have the names bench0, bench1 and so on. */
static struct achan_control *control;
static unsigned int channels;

bool write_one(struct bench *bench)
{
	return moved("write", write(bench->writer, bench->data, bench->bytes),
		     bench->bytes);
}

bool write_all(struct bench *bench)
{
	unsigned int i;

	for (i = 0; i < bench->x; i++) {
		if (!write_one(bench))
			return false;
	}
	return true;
}

bool read_one(struct bench *bench)
{
	return moved("read", read(bench->reader, bench->got, bench->bytes),
		     bench->bytes);
}

bool write_and_read(struct bench *bench)
{
	return write_one(bench) && read_one(bench);
}

static void close_end(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void close_ends(struct bench *bench)
{
	if (bench->writer == bench->reader)
		bench->writer = -1;
	close_end(&bench->writer);
	close_end(&bench->reader);
	remove_channels();
}

static bool use(struct bench *bench, const int fds[2])
{
	bench->reader = fds[0];
	bench->writer = fds[1];
	return true;
}

bool open_pipe(struct bench *bench)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return failed("pipe", errno);
	return use(bench, fds);
}

static bool open_socket(struct bench *bench, int type)
{
	int fds[2];

	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) < 0)
		return failed("socketpair", errno);
	return use(bench, fds);
}

bool open_seqpacket(struct bench *bench)
{
	return open_socket(bench, SOCK_SEQPACKET);
}

bool open_stream_socket(struct bench *bench)
{
	return open_socket(bench, SOCK_STREAM);
}

/* -------------------------------------------------------- channels */

/* Named after its number. */
static bool make_channel(struct achan_create *create)
{
	int ret = 0;

	if (!control)
		ret = achan_control_open(&control, NULL);
	if (ret < 0)
		return failed("cannot open " ACHAN_CONTROL_PATH ", is achan.ko loaded?",
			      -ret);
	if (!create->config.ring_bytes)
		create->config.ring_bytes = RING_BYTES;
	create->minor = ACHAN_MINOR_NONE;
	create->peer_minor = ACHAN_MINOR_NONE;
	snprintf(create->name, sizeof(create->name), "bench%u", channels);
	ret = achan_control_create(control, create);
	if (ret < 0)
		return failed("cannot create a channel", -ret);
	channels++;
	return true;
}

/* Its name is a link that udev makes, if it is there. */
int open_node(unsigned int minor, int flags)
{
	char node[NODE_BYTES];
	int fd;

	snprintf(node, sizeof(node), "/dev/achan%u", minor);
	fd = open(node, flags | O_CLOEXEC);
	if (fd < 0)
		failed(node, errno);
	return fd;
}

int open_again(int fd)
{
	char path[NODE_BYTES];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDWR | O_CLOEXEC);
	if (again < 0)
		failed(path, errno);
	return again;
}

int open_channel(const struct achan_config *config)
{
	struct achan_create create = { .config = *config };

	create.config.kind = ACHAN_KIND_LOOP;
	return make_channel(&create) ? open_node(create.minor, O_RDWR) : -1;
}

bool open_pair(struct bench *bench, int *other)
{
	struct achan_create create = {
		.config.kind = ACHAN_KIND_PAIR,
		.config.mode = ACHAN_MODE_MESSAGE,
		.peer_name = "bench-peer",
	};

	if (!make_channel(&create))
		return false;
	bench->reader = open_node(create.minor, O_RDWR);
	bench->writer = bench->reader;
	*other = open_node(create.peer_minor, O_RDWR);
	return bench->reader >= 0 && *other >= 0;
}

void remove_channels(void)
{
	char name[ACHAN_NAME_MAX];
	int ret;

	while (channels) {
		snprintf(name, sizeof(name), "bench%u", --channels);
		ret = achan_control_remove(control, name, ACHAN_MINOR_NONE);
		if (ret < 0)
			failed(name, -ret);
	}
	achan_control_close(control);
	control = NULL;
}

static bool open_loop(struct bench *bench, __u32 mode)
{
	const struct achan_config config = { .mode = mode };

	bench->reader = open_channel(&config);
	bench->writer = bench->reader;
	return bench->reader >= 0;
}

bool open_stream(struct bench *bench)
{
	return open_loop(bench, ACHAN_MODE_STREAM);
}

bool open_message(struct bench *bench)
{
	return open_loop(bench, ACHAN_MODE_MESSAGE);
}

bool read_framed(struct bench *bench)
{
	__u32 flags = ACHAN_OPEN_FRAMED;

	return !ioctl(bench->reader, ACHAN_IOC_SET_FLAGS, &flags) ||
	       failed("ACHAN_IOC_SET_FLAGS", errno);
}

bool open_framed(struct bench *bench)
{
	return open_message(bench) && read_framed(bench);
}
