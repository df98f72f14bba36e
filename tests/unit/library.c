// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include "library.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "unit.h"

#define WAIT_SECONDS	10

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN	1
#elif defined(__has_feature)
#define UNDER_TSAN	__has_feature(thread_sanitizer)
#else
#define UNDER_TSAN	0
#endif

bool library_under_tsan(void)
{
	return UNDER_TSAN;
}

struct achan *library_channel(int fd)
{
	struct achan *channel;

	ck_assert_int_eq(achan_open_fd(&channel, fd), 0);
	return channel;
}

void library_pipe(struct achan *ends[2], int flags)
{
	int fds[2];

	ck_assert_int_eq(pipe2(fds, flags), 0);
	ends[0] = library_channel(fds[0]);
	ends[1] = library_channel(fds[1]);
}

void library_close(struct achan *ends[2])
{
	achan_close(ends[0]);
	achan_close(ends[1]);
}

void library_write_bytes(struct achan *channel, int count)
{
	for (int i = 0; i < count; i++)
		ck_assert_int_eq(write(achan_fd(channel), "x", 1), 1);
}

void library_drain(struct achan *channel)
{
	char buf[4096];

	while (achan_read(channel, buf, sizeof(buf), 0) > 0)
		;
}

void library_pause_ms(int ms)
{
	struct timespec pause = {
		.tv_sec = ms / 1000,
		.tv_nsec = ms % 1000 * UNIT_NS_PER_MS,
	};

	nanosleep(&pause, NULL);
}

bool library_reaches(_Atomic int *value, int wanted)
{
	int64_t deadline = unit_now_ns() + unit_timeout_ns(WAIT_SECONDS);

	while (atomic_load(value) < wanted) {
		if (unit_now_ns() > deadline)
			return false;
		library_pause_ms(1);
	}
	return true;
}

bool library_in_child(pid_t *child)
{
	*child = fork();
	ck_assert_int_ge(*child, 0);
	return !*child;
}

void library_child_done(bool ok)
{
	_exit(ok ? 0 : 1);
}

void library_child_ok(pid_t child)
{
	int status;

	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFEXITED(status) && !WEXITSTATUS(status),
		      "the child ended with status %#x", status);
}

int library_open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir))
		count++;
	closedir(dir);
	return count;
}
