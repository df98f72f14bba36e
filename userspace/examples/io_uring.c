// SPDX-License-Identifier: LGPL-2.1-or-later
/* A read waits in io_uring until a write, through the same ring, serves it. */
#include <fcntl.h>
#include <liburing.h>
#include <unistd.h>

#include "example.h"

enum { TAG_READ = 1, TAG_WRITE };

static void take_completion(struct io_uring *ring, const char *text)
{
	struct io_uring_cqe *cqe;

	must(io_uring_wait_cqe(ring, &cqe), "wait for a completion");
	must(cqe->res, cqe->user_data == TAG_READ ? "read" : "write");
	if (cqe->user_data == TAG_READ)
		must_match(text, cqe->res);
	printf("io_uring: %s done, %d bytes\n",
	       cqe->user_data == TAG_READ ? "read" : "write", cqe->res);
	io_uring_cqe_seen(ring, cqe);
}

int main(int argc, char **argv)
{
	const char *device = example_device(argc, argv);
	struct io_uring_sqe *sqe;
	struct io_uring ring;
	char text[256];
	int fd;

	fd = open(device, O_RDWR | O_CLOEXEC);
	must_open(fd < 0 ? -errno : fd, device);
	must(io_uring_queue_init(8, &ring, 0), "set up io_uring");

	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_read(sqe, fd, text, sizeof(text), 0);
	sqe->user_data = TAG_READ;
	must(io_uring_submit(&ring), "submit the read");
	printf("io_uring: read submitted, waits\n");

	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_write(sqe, fd, EXAMPLE_TEXT, sizeof(EXAMPLE_TEXT), 0);
	sqe->user_data = TAG_WRITE;
	must(io_uring_submit(&ring), "submit the write");

	take_completion(&ring, text);
	take_completion(&ring, text);
	io_uring_queue_exit(&ring);
	close(fd);
	return 0;
}
