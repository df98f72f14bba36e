// SPDX-License-Identifier: LGPL-2.1-or-later
/* A child process writes to a channel, its parent waits in a blocking read. */
#include <achan.h>
#include <sys/wait.h>
#include <unistd.h>

#include "example.h"

static void write_from_child(const char *device)
{
	struct achan *channel;

	/* A handle cannot be used in a child: it opens one of its own. */
	must_open(achan_open(&channel, device, NULL), device);
	must(achan_write(channel, EXAMPLE_TEXT, sizeof(EXAMPLE_TEXT), -1),
	     "write");
	achan_close(channel);
	_exit(0);
}

int main(int argc, char **argv)
{
	const char *device = example_device(argc, argv);
	struct achan *channel;
	char text[256];
	long length;
	pid_t child;
	int status;

	must_open(achan_open(&channel, device, NULL), device);
	child = must_errno(fork(), "fork");
	if (!child)
		write_from_child(device);

	length = must(achan_read(channel, text, sizeof(text), -1), "read");
	must_match(text, length);
	printf("blocking: read %ld bytes: %s\n", length, text);

	achan_close(channel);
	must_errno(waitpid(child, &status, 0), "wait for the child");
	return status ? 1 : 0;
}
