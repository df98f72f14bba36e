// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The producer: sends the payload in records of DEMO_RECORD_BYTES, with
 * blocking writes. A full ring puts it to sleep until the consumer has read.
 * Now and then it pauses, so that the consumer runs dry and has to wait.
 */
#include "demo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Four rings of 64 KiB. */
#define BURST_BYTES	(1 << 18)
#define PAUSE_NS	1000000

static int send_records(int fd, const char *path, const struct payload *payload)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	size_t sent = 0;

	while (sent < payload->length) {
		size_t left = payload->length - sent;
		size_t length = left < DEMO_RECORD_BYTES ? left : DEMO_RECORD_BYTES;
		ssize_t n = write(fd, payload->data + sent, length);

		if (n != (ssize_t)length) {
			fprintf(stderr, "achan-demo: write of %zu bytes to %s: %s\n",
				length, path, n < 0 ? strerror(errno) : "taken in part");
			return -1;
		}
		sent += length;
		if (!(sent % BURST_BYTES))
			nanosleep(&pause, NULL);
	}
	return 0;
}

int produce(const char *path, const struct payload *payload, int ready_fd)
{
	uint64_t go;
	int fd, ret;

	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0) {
		fprintf(stderr, "achan-demo: cannot open %s to write: %s\n",
			path, strerror(errno));
		return -1;
	}
	if (read(ready_fd, &go, sizeof(go)) != sizeof(go)) {
		fprintf(stderr, "achan-demo: cannot wait for the consumer: %s\n",
			strerror(errno));
		close(fd);
		return -1;
	}
	ret = send_records(fd, path, payload);
	close(fd);
	return ret;
}
