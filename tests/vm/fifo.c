// SPDX-License-Identifier: GPL-2.0-only
/* A FIFO and a channel that stands in for it. */
#include "fifo.h"

#include <sys/stat.h>

#include "control.h"

static char path[64];
static int made = -1;

void fifo_begin(int kind)
{
	struct achan_create create = control_loop("pipe");

	made = kind;
	/* A case that failed did not get to end(). */
	if (kind == FIFO) {
		snprintf(path, sizeof(path), "/tmp/fifo-%d", getpid());
		unlink(path);
		ck_assert_int_eq(vm_errno(mkfifo(path, 0600)), 0);
	} else {
		create.config.mode = ACHAN_MODE_STREAM;
		create.config.hangup = ACHAN_HANGUP_FIFO;
		create.config.ring_bytes = FIFO_CAPACITY;
		control_remove(create.name);
		control_make(&create);
		snprintf(path, sizeof(path), "/dev/achan%u", create.minor);
	}
	vm_count_signal(SIGPIPE, SA_RESTART);
}

static void end(void)
{
	if (made == FIFO)
		unlink(path);
	else if (made == CHANNEL)
		control_remove("pipe");
}

int fifo_try_open(int flags)
{
	return vm_errno(open(path, flags | O_CLOEXEC));
}

int fifo_open(int flags)
{
	int fd = fifo_try_open(flags);

	ck_assert_msg(fd >= 0, "open %s with flags %#x: %s", path, flags,
		      strerror(-fd));
	return fd;
}

void fifo_open_both(int *reader, int *writer)
{
	*reader = fifo_open(O_RDONLY | O_NONBLOCK);
	*writer = fifo_open(O_WRONLY);
	vm_set_nonblock(*reader, false);
}

ssize_t fifo_read_byte(int fd)
{
	char byte;

	return vm_errno(read(fd, &byte, 1));
}

int fifo_main(const char *name, const TTest *const *const cases[], size_t count)
{
	Suite *suite = suite_create(name);
	TCase *tcase = vm_tcase(suite, "both");
	int kinds = getenv("ACHAN_FIFO_ALONE") ? CHANNEL : KINDS;

	tcase_add_checked_fixture(tcase, NULL, end);
	for (size_t i = 0; i < count; i++)
		tcase_add_loop_test(tcase, *cases[i], 0, kinds);
	return vm_main(suite);
}
