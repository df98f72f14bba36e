// SPDX-License-Identifier: LGPL-2.1-or-later
/* A channel and a queue of asynchronous requests in one epoll loop. */
#include <achan.h>
#include <sys/epoll.h>

#include "example.h"

static int answered;

static void on_written(struct achan_req *req, int64_t res, void *data)
{
	(void)data;
	printf("epoll: asynchronous write done, %ld bytes\n",
	       must(res, "write"));
	achan_req_put(req);
}

static void on_readable(struct achan *channel)
{
	char text[256];
	long length;

	while ((length = achan_read(channel, text, sizeof(text), 0)) > 0) {
		must_match(text, length);
		printf("epoll: readable, read %ld bytes: %s\n", length, text);
		answered = 1;
	}
	if (length != -EAGAIN)
		must(length, "read");
}

static void watch(int epoll, int fd, void *handle)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = handle };

	must_errno(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), "watch");
}

int main(int argc, char **argv)
{
	const char *device = example_device(argc, argv);
	int epoll = must_errno(epoll_create1(EPOLL_CLOEXEC), "create an epoll");
	struct epoll_event event;
	struct achan_queue *queue;
	struct achan_req *req;
	struct achan *channel;

	must_open(achan_open(&channel, device, NULL), device);
	must(achan_queue_new(&queue, 8, NULL), "create a queue");
	watch(epoll, achan_fd(channel), channel);
	watch(epoll, achan_queue_fd(queue), queue);

	req = achan_queue_get_req(queue);
	achan_req_prep_write(req, channel, EXAMPLE_TEXT, sizeof(EXAMPLE_TEXT));
	achan_req_set_done(req, on_written, NULL);
	must(achan_queue_submit(queue, &req, 1), "submit");

	while (!answered || achan_queue_in_flight(queue)) {
		if (must_errno(epoll_wait(epoll, &event, 1, 60000), "wait") < 1)
			must(-ETIMEDOUT, "wait");
		if (event.data.ptr == queue)
			achan_queue_dispatch(queue, 0);
		else
			on_readable(channel);
	}
	achan_queue_free(queue);
	achan_close(channel);
	return 0;
}
