// SPDX-License-Identifier: GPL-2.0-only
/* What happens to the machine from outside, by QEMU's monitor. */
#include "monitor.h"

#include <poll.h>

/*
 * The monitor echoes what it is told, with a terminal's codes between. That it has
 * come to an end shows by an answer that cannot be an echo: the question is decimal,
 * the answer is not.
 */
#define END_QUESTION	"print 51966\n"
#define END_ANSWER	"\n0xcafe"

static const char *monitor_path(void)
{
	return getenv("ACHAN_MONITOR");
}

bool monitor_is_there(void)
{
	return monitor_path();
}

static void say(int fd, const char *command)
{
	vm_write(fd, command, strlen(command));
	vm_write(fd, "\n" END_QUESTION, strlen("\n" END_QUESTION));
}

/* All that comes until the end, zero-terminated; what does not fit is dropped. */
static void hear(int fd, char *answer, size_t size)
{
	size_t length = 0;
	ssize_t got;

	answer[0] = '\0';
	while (!strstr(answer, END_ANSWER)) {
		if (length + 1 == size) {
			memmove(answer, answer + size / 2, size - size / 2);
			length -= size / 2;
		}
		ck_assert_msg(vm_poll_wait(fd, POLLIN) & POLLIN,
			      "QEMU's monitor says no more than \"%s\"",
			      answer);
		got = vm_errno(read(fd, answer + length, size - length - 1));
		ck_assert_msg(got > 0, "read QEMU's monitor: %zd", got);
		length += got;
		answer[length] = '\0';
	}
}

void monitor_command(const char *command)
{
	int fd = open(monitor_path(), O_RDWR | O_NOCTTY | O_CLOEXEC);
	char answer[4096];

	ck_assert_msg(fd >= 0, "open %s: %s", monitor_path(), strerror(errno));
	/* Whatever the greeting made the port say, it is no part of @command. */
	say(fd, "");
	hear(fd, answer, sizeof(answer));
	say(fd, command);
	hear(fd, answer, sizeof(answer));
	ck_assert_msg(!strstr(answer, "Error:") &&
		      !strstr(answer, "unknown command"),
		      "QEMU's monitor, told to %s: %s", command, answer);
	close(fd);
}
