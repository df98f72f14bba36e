// SPDX-License-Identifier: LGPL-2.1-or-later
/* The objects: how each is opened, fed and read in its own way. */
#define _GNU_SOURCE
#include "models.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/achan.h>

static const char bytes[64] = "0123456789";

static int put_by_write(struct object *object, size_t length)
{
	return write(object->writer, bytes, length) == (ssize_t)length ? 0 : -1;
}

static ssize_t take_by_read(struct object *object, void *buffer, size_t size)
{
	return read(object->reader, buffer, size);
}

/* Only a FIFO opened O_RDWR, or this way of opening a pipe again, reads and writes. */
static int pipe_open(struct object *object, bool read_write)
{
	char path[32];
	int fds[2];

	if (pipe(fds) < 0)
		return -1;
	object->reader = fds[0];
	object->writer = fds[1];
	if (!read_write)
		return 0;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[0]);
	object->reader = open(path, O_RDWR);
	return object->reader < 0 ? -1 : 0;
}

static const struct object_type pipe_type = {
	.name = "pipe",
	.open = pipe_open,
	.put = put_by_write,
	.take = take_by_read,
};

static int socket_open(struct object *object, bool read_write)
{
	int fds[2];

	(void)read_write;	/* a socket always does both */
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds) < 0)
		return -1;
	object->reader = fds[0];
	object->writer = fds[1];
	return 0;
}

static int socket_timestamp(struct object *object)
{
	char control[CMSG_SPACE(sizeof(struct timespec))], data[16];
	struct iovec vector = { .iov_base = data, .iov_len = sizeof(data) };
	struct msghdr message = {
		.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *header;
	int on = 1;

	if (setsockopt(object->reader, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) < 0 ||
	    put_by_write(object, 3) < 0 || recvmsg(object->reader, &message, 0) < 0)
		return -1;
	header = CMSG_FIRSTHDR(&message);
	return header && header->cmsg_type == SO_TIMESTAMPNS ? 0 : -1;
}

static const struct object_type socket_type = {
	.name = "AF_UNIX SEQPACKET",
	.open = socket_open,
	.put = put_by_write,
	.take = take_by_read,
	.timestamp = socket_timestamp,
};

static int mq_object_open(struct object *object, bool read_write)
{
	struct mq_attr attributes = { .mq_maxmsg = 8, .mq_msgsize = 64 };
	char name[40];

	(void)read_write;
	snprintf(name, sizeof(name), "/achan-models-%d", (int)getpid());
	object->reader = mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, &attributes);
	object->writer = object->reader;
	mq_unlink(name);
	return object->reader < 0 ? -1 : 0;
}

static int mq_object_put(struct object *object, size_t length)
{
	return mq_send(object->writer, bytes, length, 0);
}

static ssize_t mq_object_take(struct object *object, void *buffer, size_t size)
{
	return mq_receive(object->reader, buffer, size, NULL);
}

static const struct object_type mq_type = {
	.name = "POSIX mq",
	.open = mq_object_open,
	.put = mq_object_put,
	.take = mq_object_take,
};

static int eventfd_object_open(struct object *object, bool read_write)
{
	(void)read_write;
	object->reader = eventfd(0, 0);
	object->writer = object->reader;
	return object->reader < 0 ? -1 : 0;
}

static int eventfd_object_put(struct object *object, size_t length)
{
	uint64_t one = 1;

	(void)length;
	return write(object->writer, &one, sizeof(one)) == sizeof(one) ? 0 : -1;
}

static const struct object_type eventfd_type = {
	.name = "eventfd",
	.unit = sizeof(uint64_t),
	.open = eventfd_object_open,
	.put = eventfd_object_put,
	.take = take_by_read,
};

static const char *achan_path(void)
{
	const char *path = getenv("ACHAN_MESSAGE");

	return path && *path ? path : "/dev/achan1";
}

/* A loop channel keeps its records when nobody has it open: empty it first. */
static int achan_object_open(struct object *object, bool read_write)
{
	char data[4096];

	(void)read_write;
	object->reader = open(achan_path(), O_RDWR | O_NONBLOCK);
	object->writer = object->reader;
	if (object->reader < 0)
		return -1;
	while (read(object->reader, data, sizeof(data)) >= 0)
		;
	if (errno != EAGAIN)
		return -1;
	return fcntl(object->reader, F_SETFL, 0);
}

/* Two records, read with their headers. */
static int achan_read_headers(struct object *object, struct achan_record headers[2])
{
	__u32 flags = ACHAN_OPEN_FRAMED;
	char data[2 * ACHAN_RECORD_SIZE(3)];

	if (ioctl(object->reader, ACHAN_IOC_SET_FLAGS, &flags) < 0 ||
	    put_by_write(object, 3) < 0 || put_by_write(object, 3) < 0 ||
	    read(object->reader, data, sizeof(data)) != sizeof(data))
		return -1;
	memcpy(&headers[0], data, sizeof(headers[0]));
	memcpy(&headers[1], data + ACHAN_RECORD_SIZE(3), sizeof(headers[1]));
	return 0;
}

static int achan_sequence(struct object *object)
{
	struct achan_record headers[2];

	if (achan_read_headers(object, headers) < 0)
		return -1;
	return headers[1].sequence == headers[0].sequence + 1 ? 0 : -1;
}

static int achan_timestamp(struct object *object)
{
	struct achan_record headers[2];

	if (achan_read_headers(object, headers) < 0)
		return -1;
	return headers[0].timestamp && headers[0].timestamp < headers[1].timestamp ? 0 : -1;
}

const struct object_type achan_type = {
	.name = "achan",
	.open = achan_object_open,
	.put = put_by_write,
	.take = take_by_read,
	.sequence = achan_sequence,
	.timestamp = achan_timestamp,
};

const struct object_type *const object_types[] = {
	&pipe_type, &socket_type, &mq_type, &eventfd_type, &uio_type, &achan_type,
};

const size_t object_type_count = sizeof(object_types) / sizeof(object_types[0]);
