// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * libFuzzer target: options structures of every size and content, into the
 * functions that create something. What they return has to be documented, a
 * handle that was stored must work and go away, and neither descriptor,
 * thread nor signal handler may stay behind.
 *
 *	input: which function, an argument of it, how the size is chosen, then
 *	the bytes of the options behind their size; two bytes: no options
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "achan.h"
#include "fuzz_target.h"

/* Of an input, and of a size that is no lie. */
#define OPTIONS_MAX	256

static char fifo[PATH_MAX];
static const char *paths[6];

static void remove_fifo(void)
{
	unlink(fifo);
	*strrchr(fifo, '/') = 0;
	rmdir(fifo);
}

/* libFuzzer's prototype. NOLINTNEXTLINE(readability-non-const-parameter) */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *parent = getenv("TMPDIR");
	char directory[PATH_MAX - sizeof("/fifo")];

	(void)argc;
	(void)argv;
	snprintf(directory, sizeof(directory), "%s/achan-fuzz-XXXXXX",
		 parent ? parent : "/tmp");
	require(mkdtemp(directory));
	snprintf(fifo, sizeof(fifo), "%s/fifo", directory);
	require(!mkfifo(fifo, 0600));
	/* Kept open at both ends, it never makes open() wait. */
	require(open(fifo, O_RDWR | O_CLOEXEC) >= 0);
	atexit(remove_fifo);
	paths[0] = fifo;
	paths[1] = "/dev/null";
	paths[2] = "/nonexistent/achan";
	paths[3] = "/";
	paths[4] = "";
	paths[5] = NULL;
	return 0;
}

static int count_entries(const char *path)
{
	DIR *directory = opendir(path);
	int count = 0;

	require(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

/* A thread that was joined can be seen for a moment longer. */
static void require_threads(int count)
{
	for (int i = 0; count_entries("/proc/self/task") != count; i++) {
		require(i < 5000);
		usleep(1000);
	}
}

/* What is stored in the place of a handle that must not be touched. */
static void *untouched(void)
{
	return (void *)(uintptr_t)0x5a5a5a5a;
}

static bool is_one_of(int ret, const int *errors)
{
	for (; *errors; errors++)
		if (ret == -*errors)
			return true;
	return false;
}

static void use_channel(struct achan *channel)
{
	char buffer[16];
	int fd = achan_fd(channel);

	require(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
	achan_read(channel, buffer, sizeof(buffer), 0);
	achan_write(channel, "x", 1, 0);
	achan_poll(channel, POLLIN, 0);
	achan_set_framed(channel, true);
	achan_read(channel, buffer, sizeof(buffer), 0);
}

static void try_open(uint8_t argument, const void *options)
{
	static const int errors[] = {
		EINVAL, E2BIG, ENOTTY, ENOENT, EISDIR, EFAULT, EACCES, ENXIO,
		EPERM, 0
	};
	struct achan *channel = untouched();
	int ret = achan_open(&channel, paths[argument % 6], options);

	if (ret) {
		require(is_one_of(ret, errors));
		require(channel == untouched());
		return;
	}
	use_channel(channel);
	achan_close(channel);
}

static void on_event(struct achan *channel,
		     const struct achan_notify_event *event, void *data)
{
	(void)channel;
	(void)event;
	++*(_Atomic int *)data;
}

static void use_notifier(struct achan_notifier *notifier)
{
	static _Atomic int calls;
	struct achan *channel;
	int fd = achan_notifier_fd(notifier);

	require(fd >= 0 || fd == -EOPNOTSUPP);
	require(!achan_open_fd(&channel, open(fifo, O_RDWR)));
	require(!achan_notifier_add(notifier, channel, on_event, &calls));
	require(achan_notifier_add(notifier, channel, on_event, &calls) ==
		-EEXIST);
	achan_write(channel, "x", 1, 0);
	if (fd >= 0)
		require(achan_notifier_dispatch(notifier, 0) >= 0);
	require(!achan_notifier_del(notifier, channel));
	achan_close(channel);
}

static void try_notifier(const void *options)
{
	static const int errors[] = { EINVAL, E2BIG, EBUSY, 0 };
	struct achan_notifier *notifier = untouched();
	int ret = achan_notifier_new(&notifier, options);

	if (ret) {
		require(is_one_of(ret, errors));
		require(notifier == untouched());
		return;
	}
	use_notifier(notifier);
	achan_notifier_free(notifier);
}

static void try_queue(uint8_t argument, const void *options)
{
	static const unsigned int depths[] = {
		1, 2, 3, 7, 64, 127, 0, ACHAN_QUEUE_DEPTH_MAX + 1, UINT_MAX,
	};
	static const int errors[] = { EINVAL, E2BIG, EAGAIN, 0 };
	struct achan_queue *queue = untouched();
	unsigned int depth = depths[argument %
				    TARGET_ARRAY_SIZE(depths)];
	int ret = achan_queue_new(&queue, depth, options);

	if (ret) {
		require(is_one_of(ret, errors));
		require(queue == untouched());
		return;
	}
	for (unsigned int i = 0; i < depth; i++)
		require(achan_queue_get_req(queue));
	require(!achan_queue_get_req(queue));
	require(achan_queue_dispatch(queue, 0) == 0);
	achan_queue_free(queue);
}

static size_t choose_size(const uint8_t *data, size_t size)
{
	static const size_t sizes[] = {
		0, 1, 7, 8, 12, sizeof(struct achan_open_opts),
		sizeof(struct achan_notifier_opts),
		sizeof(struct achan_queue_opts), OPTIONS_MAX, SIZE_MAX,
		SIZE_MAX / 2, INT_MAX,
	};

	/* The true one, a byte more or less, or one of these. */
	if (*data < 128)
		return size;
	if (*data < 160)
		return size - 1 + *data % 3;
	return sizes[*data % TARGET_ARRAY_SIZE(sizes)];
}

/*
 * The options as a caller could have them, to be freed: what is read of them
 * is there. A size that is a lie is told only with a byte that ends the
 * search for zeroes behind the largest structure.
 */
static void *make_options(const uint8_t *data, size_t size)
{
	size_t bytes = sizeof(size_t) + size - 1;
	size_t given = choose_size(data, bytes);
	size_t room = given > bytes && given <= OPTIONS_MAX ? given : bytes;
	bool ends = false;
	uint8_t *options = calloc(1, room);

	require(options);
	memcpy(options + sizeof(size_t), data + 1, size - 1);
	for (size_t i = sizeof(struct achan_notifier_opts); i < room; i++)
		ends |= options[i];
	if (given > room && !ends)
		given = room;
	memcpy(options, &given, sizeof(given));
	return options;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fds = count_entries("/proc/self/fd");
	int threads = count_entries("/proc/self/task");
	void *options = NULL;
	/* The kernel fills in the beginning only. */
	sigset_t before = { 0 }, after = { 0 };

	if (size < 2 || size > OPTIONS_MAX)
		return 0;
	sigprocmask(SIG_SETMASK, NULL, &before);
	if (size > 2)
		options = make_options(data + 2, size - 2);
	switch (data[0] % 3) {
	case 0:
		try_open(data[1], options);
		break;
	case 1:
		try_notifier(options);
		break;
	case 2:
		try_queue(data[1], options);
	}
	free(options);
	require(count_entries("/proc/self/fd") == fds);
	require_threads(threads);
	sigprocmask(SIG_SETMASK, NULL, &after);
	require(!memcmp(&before, &after, sizeof(before)));
	return 0;
}
