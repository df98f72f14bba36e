// SPDX-License-Identifier: LGPL-2.1-or-later
/* Reads are submitted before there is anything to read, and complete later. */
#include <achan.h>

#include "example.h"

#define READS	4

static char texts[READS][256];

/* Called from achan_queue_wait() below, on this thread. */
static void on_read(struct achan_req *req, int64_t res, void *data)
{
	char *text = data;

	must_match(text, must(res, "read"));
	printf("aio: read %d done, %d bytes: %s\n",
	       (int)((text - texts[0]) / (long)sizeof(texts[0])), (int)res,
	       text);
	achan_req_put(req);
}

int main(int argc, char **argv)
{
	const char *device = example_device(argc, argv);
	struct achan_req *reqs[READS];
	struct achan_queue *queue;
	struct achan *channel;
	int done = 0;

	must_open(achan_open(&channel, device, NULL), device);
	must(achan_queue_new(&queue, READS, NULL), "create a queue");
	for (int i = 0; i < READS; i++) {
		reqs[i] = achan_queue_get_req(queue);
		achan_req_prep_read(reqs[i], channel, texts[i],
				    sizeof(EXAMPLE_TEXT));
		achan_req_set_done(reqs[i], on_read, texts[i]);
	}
	printf("aio: %ld reads wait\n",
	       must(achan_queue_submit(queue, reqs, READS), "submit"));

	for (int i = 0; i < READS; i++)
		must(achan_write(channel, EXAMPLE_TEXT, sizeof(EXAMPLE_TEXT),
				 -1), "write");
	while (done < READS)
		done += must(achan_queue_wait(queue, NULL, 1, READS, -1),
			     "wait");

	achan_queue_free(queue);
	achan_close(channel);
	return 0;
}
