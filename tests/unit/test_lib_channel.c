// SPDX-License-Identifier: GPL-2.0-only
/* Channels of libachan on pipes, FIFOs and terminals; version and errors. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <libintl.h>
#include <limits.h>
#include <locale.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "library.h"
#include "source_tree.h"
#include "unit.h"

#define SENTINEL	((struct achan *)0x5a)

static char fifo[] = "/tmp/achan-unit-XXXXXX";

/* A FIFO opened O_RDWR is its own other end, as a loop channel is. */
static void make_fifo(void)
{
	int fd = mkstemp(fifo);

	ck_assert_int_ge(fd, 0);
	close(fd);
	unlink(fifo);
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
}

static void remove_fifo(void)
{
	unlink(fifo);
}

START_TEST(version_of_library_is_that_of_header)
{
	ck_assert_uint_eq(achan_version(), ACHAN_VERSION);
	ck_assert_uint_eq(achan_version(), ACHAN_VERSION_OF(0, 1, 0));
}
END_TEST

START_TEST(version_macro_accepts_older_and_refuses_newer)
{
	ck_assert(ACHAN_VERSION_AT_LEAST(0, 0));
	ck_assert(ACHAN_VERSION_AT_LEAST(ACHAN_VERSION_MAJOR,
					 ACHAN_VERSION_MINOR));
	ck_assert(!ACHAN_VERSION_AT_LEAST(ACHAN_VERSION_MAJOR,
					  ACHAN_VERSION_MINOR + 1));
	ck_assert(!ACHAN_VERSION_AT_LEAST(ACHAN_VERSION_MAJOR + 1, 0));
	ck_assert_uint_lt(ACHAN_VERSION_OF(1, 255, 255),
			  ACHAN_VERSION_OF(2, 0, 0));
}
END_TEST

START_TEST(strerror_knows_both_signs_and_any_number)
{
	errno = 4711;
	ck_assert_str_eq(achan_strerror(-ECHILD), achan_strerror(ECHILD));
	ck_assert_ptr_null(strstr(achan_strerror(-EAGAIN), "aio"));
	ck_assert_str_eq(achan_strerror(-ETIMEDOUT), "Timed out");
	ck_assert_ptr_nonnull(strstr(achan_strerror(-ENOENT),
				     "modprobe achan"));
	ck_assert_str_eq(achan_strerror(-EBADF), strerror(EBADF));
	ck_assert_ptr_nonnull(achan_strerror(0));
	ck_assert_ptr_nonnull(achan_strerror(INT_MIN));
	ck_assert_ptr_nonnull(achan_strerror(INT_MAX));
	ck_assert_int_eq(errno, 4711);
}
END_TEST

/* libc speaks a language of which the one text is @translation of @text. */
static void translate(const char *text, const char *translation)
{
	/* GNU's catalog: number, version, texts, two tables, no hash table. */
	struct {
		uint32_t head[7], from[2], to[2];
		char texts[2][32];
	} catalog = {
		.head = { 0x950412de, 0, 1, 28, 36, 0, 44 },
		.from = { (uint32_t)strlen(text), 44 },
		.to = { (uint32_t)strlen(translation), 76 },
	};
	char tree[] = "/tmp/achan-locale-XXXXXX", path[64];
	FILE *file;

	snprintf(catalog.texts[0], sizeof(catalog.texts[0]), "%s", text);
	snprintf(catalog.texts[1], sizeof(catalog.texts[1]), "%s", translation);
	ck_assert_ptr_nonnull(mkdtemp(tree));
	snprintf(path, sizeof(path), "%s/xx/LC_MESSAGES/libc.mo", tree);
	ck_assert(source_tree_run("mkdir -p %s/xx/LC_MESSAGES", tree));
	file = fopen(path, "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(&catalog, sizeof(catalog), 1, file), 1);
	ck_assert_int_eq(fclose(file), 0);
	/* Any locale but "C" looks at LANGUAGE. */
	ck_assert_ptr_nonnull(setlocale(LC_ALL, "C.UTF-8"));
	setenv("LANGUAGE", "xx", 1);
	ck_assert_ptr_nonnull(bindtextdomain("libc", tree));
	ck_assert_str_eq(strerror(EBADF), translation);
	ck_assert(source_tree_run("rm -r %s", tree));
}

/*
 * Errors that the library has no text of its own for came in the language of
 * the program's locale.
 */
START_TEST(strerror_is_english_whatever_the_locale)
{
	translate("Bad file descriptor", "Falscher Deskriptor");
	ck_assert_str_eq(achan_strerror(EBADF), "Bad file descriptor");
	ck_assert_str_eq(strerror(EBADF), "Falscher Deskriptor");
}
END_TEST

static struct achan *open_fifo(int flags)
{
	return library_channel(open(fifo, flags));
}

/* To open the FIFO for reading would wait. What is a channel, tests/vm has. */
START_TEST(open_refuses_what_is_no_channel)
{
	static const char *const paths[] = {
		fifo, "/dev/null", "/", "/proc/self/exe",
	};
	struct achan_open_opts opts = { .sz = sizeof(opts) };
	struct achan *channel = SENTINEL;
	int fds = library_open_fds();

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		ck_assert_int_eq(achan_open(&channel, paths[i], &opts),
				 -ENOTTY);
	ck_assert_ptr_eq(channel, SENTINEL);
	ck_assert_int_eq(library_open_fds(), fds);
}
END_TEST

START_TEST(open_refuses_names_that_cannot_be)
{
	struct achan *channel = SENTINEL;
	char name[ACHAN_NAME_MAX + 1];

	memset(name, 'a', sizeof(name));
	name[ACHAN_NAME_MAX] = 0;
	ck_assert_int_eq(achan_open(&channel, name, NULL), -ENAMETOOLONG);
	name[ACHAN_NAME_MAX - 1] = 0;
	ck_assert_int_eq(achan_open(&channel, name, NULL), -ENOENT);
	ck_assert_int_eq(achan_open(&channel, "", NULL), -ENOENT);
	ck_assert_int_eq(achan_open(&channel, ".", NULL), -ENOENT);
	ck_assert_int_eq(achan_open(&channel, "..", NULL), -ENOENT);
	ck_assert_ptr_eq(channel, SENTINEL);
}
END_TEST

START_TEST(explanation_of_a_failed_open_says_what_to_do)
{
	char text[200] = "";

	errno = 4711;
	achan_explain_open("/proc/self/exe", -ENOTTY, text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, "/proc/self/exe is a regular file"));
	achan_explain_open("/dev/null", -ENOTTY, text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, "/dev/null is not a channel"));
	if (access("/sys/class/achan", F_OK)) {
		errno = 4711;
		achan_explain_open("sensors", -ENOENT, text, sizeof(text));
		ck_assert_ptr_nonnull(strstr(text, "sensors"));
		ck_assert_ptr_nonnull(strstr(text, "modprobe achan"));
		ck_assert_int_eq(errno, 4711);
	}
	achan_explain_open("x", -EMFILE, text, sizeof(text));
	ck_assert_str_eq(text, "cannot open x: Too many open files");
	ck_assert_int_eq(achan_explain_open("x", -EMFILE, text, 5), 0);
	ck_assert_str_eq(text, "cann");
	ck_assert_int_eq(achan_explain_open(NULL, 0, text, 5), -EINVAL);
	ck_assert_int_eq(achan_explain_open("x", 0, NULL, 5), -EINVAL);
	ck_assert_int_eq(achan_explain_open("x", 0, text, 0), -EINVAL);
}
END_TEST

static const int refused_flags[] = {
	O_RDWR | O_ASYNC, O_RDWR | O_CREAT, O_RDWR | O_TRUNC,
	O_RDWR | O_APPEND, O_RDWR | O_DIRECT, O_ACCMODE,
};

START_TEST(open_refuses_o_async_and_unknown_flags)
{
	struct achan_open_opts opts = {
		.sz = sizeof(opts),
		.flags = refused_flags[_i],
	};
	struct achan *channel = SENTINEL;

	ck_assert_int_eq(achan_open(&channel, fifo, &opts), -EINVAL);
	opts.flags = O_RDWR;
	opts.channel_flags = ACHAN_OPEN_FRAMED << 1;
	ck_assert_int_eq(achan_open(&channel, fifo, &opts), -EINVAL);
	ck_assert_ptr_eq(channel, SENTINEL);
}
END_TEST

START_TEST(open_options_of_a_later_version_pass_only_if_zero)
{
	struct {
		struct achan_open_opts opts;
		char later[8];
	} large = { .opts = { .sz = sizeof(large), .flags = O_RDWR } };
	struct achan *channel = SENTINEL;

	large.later[7] = 1;
	ck_assert_int_eq(achan_open(&channel, fifo, &large.opts), -E2BIG);
	ck_assert_ptr_eq(channel, SENTINEL);
	large.later[7] = 0;
	ck_assert_int_eq(achan_open(&channel, fifo, &large.opts), -ENOTTY);
	large.opts.reserved[6] = 1;
	ck_assert_int_eq(achan_open(&channel, fifo, &large.opts), -EINVAL);
	large.opts.reserved[6] = 0;
	large.opts.sz = offsetof(struct achan_open_opts, interruptible) - 1;
	ck_assert_int_eq(achan_open(&channel, fifo, &large.opts), -EINVAL);
	large.opts.sz = 0;
	ck_assert_int_eq(achan_open(&channel, fifo, &large.opts), -EINVAL);
}
END_TEST

START_TEST(open_fails_with_the_systems_error_and_leaks_nothing)
{
	struct achan_open_opts framed = {
		.sz = sizeof(framed),
		.flags = O_RDWR,
		.channel_flags = ACHAN_OPEN_FRAMED,
	};
	struct achan *channel = SENTINEL;
	int fds = library_open_fds();

	ck_assert_int_eq(achan_open(&channel, "/nowhere/achan0", NULL),
			 -ENOENT);
	ck_assert_int_eq(achan_open(&channel, NULL, NULL), -EINVAL);
	ck_assert_int_eq(achan_open(NULL, fifo, NULL), -EINVAL);
	/* A FIFO has no framed reads. */
	ck_assert_int_eq(achan_open(&channel, fifo, &framed), -ENOTTY);
	ck_assert_ptr_eq(channel, SENTINEL);
	ck_assert_int_eq(library_open_fds(), fds);
}
END_TEST

START_TEST(open_fd_takes_the_descriptor_only_on_success)
{
	struct achan *channel = SENTINEL;
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	ck_assert_int_eq(fcntl(fds[0], F_SETFL, O_ASYNC), 0);
	ck_assert_int_eq(achan_open_fd(&channel, fds[0]), -EINVAL);
	ck_assert_int_eq(fcntl(fds[0], F_GETFD), 0);
	ck_assert_int_eq(achan_open_fd(NULL, fds[1]), -EINVAL);
	ck_assert_int_eq(achan_open_fd(&channel, -1), -EBADF);
	ck_assert_ptr_eq(channel, SENTINEL);

	ck_assert_int_eq(fcntl(fds[0], F_SETFL, 0), 0);
	ck_assert_int_eq(achan_open_fd(&channel, fds[0]), 0);
	ck_assert_int_eq(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(achan_fd(channel), fds[0]);
	achan_close(channel);
	ck_assert_int_eq(fcntl(fds[0], F_GETFD), -1);
	close(fds[1]);
}
END_TEST

START_TEST(null_handles_are_refused)
{
	struct achan_info info;
	char byte;

	ck_assert_int_eq(achan_fd(NULL), -EINVAL);
	ck_assert_int_eq(achan_read(NULL, &byte, 1, 0), -EINVAL);
	ck_assert_int_eq(achan_write(NULL, &byte, 1, 0), -EINVAL);
	ck_assert_int_eq(achan_poll(NULL, POLLIN, 0), -EINVAL);
	ck_assert_int_eq(achan_get_info(NULL, &info), -EINVAL);
	ck_assert_int_eq(achan_set_framed(NULL, true), -EINVAL);
	achan_close(NULL);
}
END_TEST

START_TEST(info_and_framed_need_a_channel_device)
{
	struct achan_info info;
	struct achan *ends[2];

	library_pipe(ends, 0);
	ck_assert_int_eq(achan_get_info(ends[0], &info), -ENOTTY);
	ck_assert_int_eq(achan_get_info(ends[0], NULL), -EINVAL);
	ck_assert_int_eq(achan_set_framed(ends[0], true), -ENOTTY);
	library_close(ends);
}
END_TEST

static const int pipe_flags[] = { 0, O_NONBLOCK };

/* Not to wait on a pipe without O_NONBLOCK takes RWF_NOWAIT: Linux 6.4. */
static bool can_decline_to_wait(const char *test, int flags)
{
	struct achan *ends[2];
	char byte;
	bool can;

	library_pipe(ends, flags);
	can = achan_read(ends[0], &byte, 1, 0) == -EAGAIN;
	library_close(ends);
	if (!can)
		unit_skip(test, "this kernel's pipes know no RWF_NOWAIT");
	return can;
}

START_TEST(read_with_time_out_0_does_not_wait)
{
	struct achan *ends[2];
	char buf[8];

	if (!can_decline_to_wait(__func__, pipe_flags[_i]))
		return;
	library_pipe(ends, pipe_flags[_i]);
	ck_assert_int_eq(achan_read(ends[0], buf, sizeof(buf), 0), -EAGAIN);
	library_write_bytes(ends[1], 3);
	ck_assert_int_eq(achan_read(ends[0], buf, sizeof(buf), 0), 3);
	ck_assert_int_eq(achan_read(ends[0], buf, sizeof(buf), 0), -EAGAIN);
	library_close(ends);
}
END_TEST

/* An eventfd knows it in every kernel. */
START_TEST(read_without_o_nonblock_uses_rwf_nowait)
{
	struct achan *channel = library_channel(eventfd(0, 0));
	uint64_t value = 1;

	ck_assert_int_eq(achan_read(channel, &value, sizeof(value), 0),
			 -EAGAIN);
	ck_assert_int_eq(achan_read(channel, &value, sizeof(value),
				    10 * UNIT_NS_PER_MS), -ETIMEDOUT);
	ck_assert_int_eq(achan_write(channel, &value, sizeof(value), -1), 8);
	ck_assert_int_eq(achan_read(channel, &value, sizeof(value), 0), 8);
	achan_close(channel);
}
END_TEST

/* A FIFO knows no RWF_NOWAIT. */
START_TEST(read_falls_back_to_o_nonblock)
{
	struct achan *channel = open_fifo(O_RDWR | O_NONBLOCK);
	char buf[8];

	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(achan_read(channel, buf, sizeof(buf), 0),
				 -EAGAIN);
		ck_assert_int_eq(achan_write(channel, "ab", 2, 0), 2);
		ck_assert_int_eq(achan_read(channel, buf, sizeof(buf), 0), 2);
	}
	ck_assert_int_eq(achan_read(channel, buf, sizeof(buf),
				    UNIT_NS_PER_MS), -ETIMEDOUT);
	achan_close(channel);
}
END_TEST

START_TEST(read_without_a_way_not_to_wait_is_eopnotsupp)
{
	struct achan *channel = open_fifo(O_RDWR);
	char buf[8];

	ck_assert_int_eq(achan_read(channel, buf, sizeof(buf), 0),
			 -EOPNOTSUPP);
	ck_assert_int_eq(achan_read(channel, buf, sizeof(buf), 1000),
			 -EOPNOTSUPP);
	ck_assert_int_eq(achan_write(channel, buf, 1, 0), -EOPNOTSUPP);
	/* For ever needs no such way. */
	ck_assert_int_eq(achan_write(channel, "ab", 2, -1), 2);
	ck_assert_int_eq(achan_read(channel, buf, sizeof(buf), -1), 2);
	achan_close(channel);
}
END_TEST

START_TEST(read_times_out_after_its_time_and_not_before)
{
	int64_t started = unit_now_ns();
	struct achan *ends[2];
	char buf[8];

	if (!can_decline_to_wait(__func__, pipe_flags[_i]))
		return;
	library_pipe(ends, pipe_flags[_i]);
	ck_assert_int_eq(achan_read(ends[0], buf, sizeof(buf),
				    20 * UNIT_NS_PER_MS), -ETIMEDOUT);
	ck_assert_int_ge(unit_now_ns() - started, 20 * UNIT_NS_PER_MS);
	library_close(ends);
}
END_TEST

/* Reads in a thread, so that the case can act while it waits. */
struct reader {
	struct achan *channel;
	int64_t timeout_ns;
	ssize_t result;
	_Atomic int tid;
};

static void *run_reader(void *argument)
{
	struct reader *reader = argument;
	char buf[8];

	atomic_store(&reader->tid, (int)syscall(SYS_gettid));
	reader->result = achan_read(reader->channel, buf, sizeof(buf),
				    reader->timeout_ns);
	return NULL;
}

static pthread_t start_reader(struct reader *reader)
{
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, run_reader, reader), 0);
	ck_assert(library_reaches(&reader->tid, 1));
	ck_assert(unit_wait_sleeping(reader->tid));
	return thread;
}

static _Atomic int interruptions;

static void count_interruption(int number)
{
	(void)number;
	atomic_fetch_add(&interruptions, 1);
}

static void interrupt_without_restart(void)
{
	struct sigaction action = { .sa_handler = count_interruption };

	ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
}

/* Bit 0: O_NONBLOCK; bit 1: with a time-out. */
START_TEST(read_waits_for_a_writer_through_signals)
{
	struct achan *ends[2];
	struct reader reader = {
		.timeout_ns = _i & 2 ? unit_timeout_ns(20) : -1,
	};
	pthread_t thread;

	if (_i & 2 && !can_decline_to_wait(__func__, _i & 1 ? O_NONBLOCK : 0))
		return;
	interrupt_without_restart();
	library_pipe(ends, _i & 1 ? O_NONBLOCK : 0);
	reader.channel = ends[0];
	thread = start_reader(&reader);
	for (int i = 0; i < 3; i++) {
		pthread_kill(thread, SIGUSR1);
		ck_assert(library_reaches(&interruptions, i + 1));
		ck_assert(unit_wait_sleeping(reader.tid));
	}
	library_write_bytes(ends[1], 1);
	pthread_join(thread, NULL);
	ck_assert_int_eq(reader.result, 1);
	library_close(ends);
}
END_TEST

static void interrupt_with_restart(void)
{
	struct sigaction action = { .sa_handler = count_interruption,
				    .sa_flags = SA_RESTART };

	sigaction(SIGUSR1, &action, NULL);
}

/* Bit 0: O_NONBLOCK; bit 1: with a time-out. */
START_TEST(interruptible_read_ends_with_eintr)
{
	struct achan *ends[2];
	struct reader reader = {
		.timeout_ns = _i & 2 ? unit_timeout_ns(20) : -1,
	};
	pthread_t thread;

	if (!can_decline_to_wait(__func__, _i & 1 ? O_NONBLOCK : 0))
		return;
	interrupt_with_restart();
	library_pipe(ends, _i & 1 ? O_NONBLOCK : 0);
	ck_assert_int_eq(achan_set_interruptible(NULL, true), -EINVAL);
	ck_assert_int_eq(achan_set_interruptible(ends[0], true), 0);
	reader.channel = ends[0];
	thread = start_reader(&reader);
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, NULL);
	ck_assert_int_eq(reader.result, -EINTR);
	/* What is there is read all the same. */
	library_write_bytes(ends[1], 1);
	run_reader(&reader);
	ck_assert_int_eq(reader.result, 1);
	library_close(ends);
}
END_TEST

static void *fill_pipe(void *argument)
{
	static char large[1 << 20];
	struct reader *writer = argument;

	atomic_store(&writer->tid, (int)syscall(SYS_gettid));
	writer->result = achan_write(writer->channel, large, sizeof(large), -1);
	return NULL;
}

START_TEST(interruptible_write_returns_the_part_or_eintr)
{
	struct achan *ends[2];
	struct reader writer = { 0 };
	pthread_t thread;
	ssize_t part = 0;

	interrupt_with_restart();
	library_pipe(ends, O_NONBLOCK);
	writer.channel = ends[1];
	ck_assert_int_eq(achan_set_interruptible(ends[1], true), 0);
	for (int i = 0; i < 2; i++) {
		atomic_store(&writer.tid, 0);
		ck_assert_int_eq(pthread_create(&thread, NULL, fill_pipe,
						&writer), 0);
		ck_assert(library_reaches(&writer.tid, 1));
		ck_assert(unit_wait_sleeping(writer.tid));
		pthread_kill(thread, SIGUSR1);
		pthread_join(thread, NULL);
		if (!i)
			part = writer.result;
	}
	ck_assert_int_gt(part, 0);
	ck_assert_int_lt(part, 1 << 20);
	ck_assert_int_eq(writer.result, -EINTR);
	library_close(ends);
}
END_TEST

START_TEST(read_returns_0_at_the_end_of_data)
{
	struct achan *ends[2];
	char buf[8];

	library_pipe(ends, O_NONBLOCK);
	achan_close(ends[1]);
	ck_assert_int_eq(achan_read(ends[0], buf, sizeof(buf), -1), 0);
	ck_assert_int_eq(achan_read(ends[0], buf, sizeof(buf), 0), 0);
	achan_close(ends[0]);
}
END_TEST

START_TEST(read_and_write_of_the_wrong_end_are_ebadf)
{
	struct achan *ends[2];
	char buf[8] = "";

	library_pipe(ends, 0);
	ck_assert_int_eq(achan_read(ends[1], buf, sizeof(buf), -1), -EBADF);
	ck_assert_int_eq(achan_write(ends[0], buf, sizeof(buf), -1), -EBADF);
	ck_assert_int_eq(achan_read(ends[1], buf, sizeof(buf), 0), -EBADF);
	library_close(ends);
}
END_TEST

static void *drain_slowly(void *argument)
{
	struct achan *channel = argument;
	uintptr_t total = 0;
	char buf[5000];
	ssize_t count;

	while ((count = achan_read(channel, buf, sizeof(buf), -1)) > 0)
		total += (uintptr_t)count;
	return (void *)total;
}

/* Bit 0: O_NONBLOCK; bit 1: with a time-out. */
START_TEST(write_takes_all_as_room_comes)
{
	size_t size = 1000001;
	struct achan *ends[2];
	pthread_t thread;
	void *total;
	char *data;

	if (_i & 2 && !can_decline_to_wait(__func__, _i & 1 ? O_NONBLOCK : 0))
		return;
	data = calloc(1, size);
	library_pipe(ends, _i & 1 ? O_NONBLOCK : 0);
	pthread_create(&thread, NULL, drain_slowly, ends[0]);
	ck_assert_int_eq(achan_write(ends[1], data, size,
				     _i & 2 ? unit_timeout_ns(20) : -1),
			 (int)size);
	achan_close(ends[1]);
	pthread_join(thread, &total);
	ck_assert_uint_eq((uintptr_t)total, size);
	achan_close(ends[0]);
	free(data);
}
END_TEST

START_TEST(write_returns_the_part_that_fitted)
{
	size_t size = 1000000;
	struct achan *ends[2];
	ssize_t part;
	char *data;
	int room;

	if (!can_decline_to_wait(__func__, pipe_flags[_i]))
		return;
	data = calloc(1, size);
	library_pipe(ends, pipe_flags[_i]);
	room = fcntl(achan_fd(ends[1]), F_GETPIPE_SZ);
	part = achan_write(ends[1], data, size, 20 * UNIT_NS_PER_MS);
	ck_assert_int_eq(part, room);
	ck_assert_int_eq(achan_write(ends[1], data, size, 0), -EAGAIN);
	ck_assert_int_eq(achan_write(ends[1], data, size, UNIT_NS_PER_MS),
			 -ETIMEDOUT);
	library_close(ends);
	free(data);
}
END_TEST

START_TEST(write_of_nothing_writes_nothing)
{
	struct achan *ends[2];
	char buf[8];

	library_pipe(ends, O_NONBLOCK);
	ck_assert_int_eq(achan_write(ends[1], "", 0, -1), 0);
	ck_assert_int_eq(achan_write(ends[1], "", 0, 0), 0);
	ck_assert_int_eq(achan_read(ends[0], buf, sizeof(buf), 0), -EAGAIN);
	ck_assert_int_eq(achan_read(ends[0], buf, 0, 0), 0);
	library_close(ends);
}
END_TEST

START_TEST(write_without_a_reader_is_epipe)
{
	struct achan *ends[2];

	signal(SIGPIPE, SIG_IGN);
	library_pipe(ends, O_NONBLOCK);
	achan_close(ends[0]);
	ck_assert_int_eq(achan_write(ends[1], "x", 1, -1), -EPIPE);
	ck_assert_int_eq(achan_write(ends[1], "x", 1, 0), -EPIPE);
	achan_close(ends[1]);
}
END_TEST

START_TEST(poll_tells_what_is_there)
{
	int64_t started = unit_now_ns();
	struct achan *ends[2];

	library_pipe(ends, 0);
	ck_assert_int_eq(achan_poll(ends[0], POLLIN, 0), 0);
	ck_assert_int_eq(achan_poll(ends[0], POLLIN, 10 * UNIT_NS_PER_MS), 0);
	ck_assert_int_ge(unit_now_ns() - started, 10 * UNIT_NS_PER_MS);
	ck_assert_int_eq(achan_poll(ends[1], POLLIN | POLLOUT, -1), POLLOUT);
	library_write_bytes(ends[1], 1);
	ck_assert_int_eq(achan_poll(ends[0], POLLIN | POLLRDNORM, -1),
			 POLLIN | POLLRDNORM);
	achan_close(ends[1]);
	ck_assert_int_eq(achan_poll(ends[0], POLLIN, INT64_MAX),
			 POLLIN | POLLHUP);
	achan_close(ends[0]);
}
END_TEST

START_TEST(poll_refuses_unknown_events)
{
	struct achan *ends[2];

	library_pipe(ends, 0);
	ck_assert_int_eq(achan_poll(ends[0], 1 << 14, 0), -EINVAL);
	ck_assert_int_eq(achan_poll(ends[0], POLLNVAL, 0), -EINVAL);
	ck_assert_int_eq(achan_poll(ends[0], 1 << 30, 0), -EINVAL);
	library_close(ends);
}
END_TEST

static void *run_poll(void *argument)
{
	struct reader *reader = argument;

	atomic_store(&reader->tid, (int)syscall(SYS_gettid));
	reader->result = achan_poll(reader->channel, POLLIN,
				    reader->timeout_ns);
	return NULL;
}

START_TEST(poll_is_interrupted_by_a_signal)
{
	struct reader reader = { .timeout_ns = -1 };
	struct achan *ends[2];
	pthread_t thread;

	interrupt_without_restart();
	library_pipe(ends, 0);
	reader.channel = ends[0];
	pthread_create(&thread, NULL, run_poll, &reader);
	ck_assert(library_reaches(&reader.tid, 1));
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, NULL);
	ck_assert_int_eq(reader.result, -EINTR);
	library_close(ends);
}
END_TEST

START_TEST(errno_is_left_as_it_was)
{
	struct achan_info info;
	struct achan *ends[2];
	struct achan *none;
	char buf[8];

	errno = 4711;
	library_pipe(ends, 0);
	achan_read(ends[0], buf, sizeof(buf), 0);
	achan_read(ends[0], buf, sizeof(buf), 1000);
	achan_read(ends[1], buf, sizeof(buf), -1);
	achan_write(ends[1], buf, sizeof(buf), -1);
	achan_read(ends[0], buf, sizeof(buf), -1);
	achan_poll(ends[0], POLLIN, 1000);
	achan_get_info(ends[0], &info);
	achan_set_framed(ends[0], false);
	achan_open(&none, "/nowhere", NULL);
	achan_open_fd(&none, -1);
	close(achan_fd(ends[0]));
	achan_close(ends[0]);
	ck_assert_int_eq(errno, 4711);
	achan_close(ends[1]);
	ck_assert_int_eq(errno, 4711);
}
END_TEST

static bool every_call_is_echild(struct achan *channel)
{
	struct achan_info info;
	char buf[8];

	return achan_fd(channel) == -ECHILD &&
	       achan_read(channel, buf, sizeof(buf), 0) == -ECHILD &&
	       achan_write(channel, buf, sizeof(buf), 0) == -ECHILD &&
	       achan_poll(channel, POLLIN, 0) == -ECHILD &&
	       achan_get_info(channel, &info) == -ECHILD &&
	       achan_set_framed(channel, true) == -ECHILD;
}

static bool child_opens_its_own(void)
{
	struct achan *channel;
	bool ok;

	if (achan_open_fd(&channel, open(fifo, O_RDWR)))
		return false;
	ok = achan_write(channel, "y", 1, -1) == 1;
	achan_close(channel);
	return ok;
}

START_TEST(child_is_told_that_handles_are_its_parents)
{
	struct achan *ends[2];
	pid_t child, grandchild;
	bool ok;

	library_pipe(ends, 0);
	if (library_in_child(&child)) {
		ok = every_call_is_echild(ends[0]) && child_opens_its_own() &&
		     every_call_is_echild(ends[0]);
		grandchild = fork();
		if (!grandchild)
			library_child_done(every_call_is_echild(ends[1]) &&
					   child_opens_its_own());
		library_child_ok(grandchild);
		library_close(ends);
		library_child_done(ok);
	}
	library_child_ok(child);
	/* The child's closing is its own affair. */
	library_write_bytes(ends[1], 1);
	ck_assert_int_eq(achan_poll(ends[0], POLLIN, -1), POLLIN);
	library_close(ends);
}
END_TEST

/* Such a child runs no pthread_atfork() handlers. */
START_TEST(child_of_a_bare_clone_is_told_too)
{
	struct achan *ends[2];
	pid_t child;
	int status;

	library_pipe(ends, 0);
	child = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
	ck_assert_int_ge(child, 0);
	if (!child)
		_exit(achan_fd(ends[0]) == -ECHILD ? 0 : 1);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_int_ge(achan_fd(ends[0]), 0);
	library_close(ends);
}
END_TEST

static void *write_many(void *argument)
{
	struct achan *channel = argument;
	uintptr_t wrong = 0;

	for (int i = 0; i < 2000; i++)
		wrong += achan_write(channel, "0123456789", 10, -1) != 10;
	return (void *)wrong;
}

START_TEST(channel_is_used_by_many_threads_at_once)
{
	pthread_t writers[3], readers[2];
	uintptr_t read_bytes = 0;
	struct achan *ends[2];
	void *result;

	library_pipe(ends, 0);
	for (int i = 0; i < 3; i++)
		pthread_create(&writers[i], NULL, write_many, ends[1]);
	for (int i = 0; i < 2; i++)
		pthread_create(&readers[i], NULL, drain_slowly, ends[0]);
	for (int i = 0; i < 3; i++) {
		pthread_join(writers[i], &result);
		ck_assert_ptr_null(result);
	}
	achan_close(ends[1]);
	for (int i = 0; i < 2; i++) {
		pthread_join(readers[i], &result);
		read_bytes += (uintptr_t)result;
	}
	ck_assert_uint_eq(read_bytes, 3 * 2000 * 10);
	achan_close(ends[0]);
}
END_TEST

static TCase *open_case(void)
{
	TCase *tcase = tcase_create("open");
	int flags = sizeof(refused_flags) / sizeof(refused_flags[0]);

	tcase_add_checked_fixture(tcase, make_fifo, remove_fifo);
	tcase_add_test(tcase, version_of_library_is_that_of_header);
	tcase_add_test(tcase, version_macro_accepts_older_and_refuses_newer);
	tcase_add_test(tcase, strerror_knows_both_signs_and_any_number);
	tcase_add_test(tcase, strerror_is_english_whatever_the_locale);
	tcase_add_test(tcase, open_refuses_what_is_no_channel);
	tcase_add_test(tcase, open_refuses_names_that_cannot_be);
	tcase_add_test(tcase, explanation_of_a_failed_open_says_what_to_do);
	tcase_add_loop_test(tcase, open_refuses_o_async_and_unknown_flags, 0,
			    flags);
	tcase_add_test(tcase,
		       open_options_of_a_later_version_pass_only_if_zero);
	tcase_add_test(tcase,
		       open_fails_with_the_systems_error_and_leaks_nothing);
	tcase_add_test(tcase, open_fd_takes_the_descriptor_only_on_success);
	tcase_add_test(tcase, null_handles_are_refused);
	tcase_add_test(tcase, info_and_framed_need_a_channel_device);
	tcase_add_test(tcase, errno_is_left_as_it_was);
	tcase_add_test(tcase, child_is_told_that_handles_are_its_parents);
	tcase_add_test(tcase, child_of_a_bare_clone_is_told_too);
	return tcase;
}

static TCase *transfer_case(void)
{
	TCase *tcase = tcase_create("transfer");

	tcase_add_checked_fixture(tcase, make_fifo, remove_fifo);
	tcase_add_loop_test(tcase, read_with_time_out_0_does_not_wait, 0, 2);
	tcase_add_test(tcase, read_without_o_nonblock_uses_rwf_nowait);
	tcase_add_test(tcase, read_falls_back_to_o_nonblock);
	tcase_add_test(tcase, read_without_a_way_not_to_wait_is_eopnotsupp);
	tcase_add_loop_test(tcase, read_times_out_after_its_time_and_not_before,
			    0, 2);
	tcase_add_loop_test(tcase, read_waits_for_a_writer_through_signals, 0,
			    4);
	tcase_add_loop_test(tcase, interruptible_read_ends_with_eintr, 0, 4);
	tcase_add_test(tcase, interruptible_write_returns_the_part_or_eintr);
	tcase_add_test(tcase, read_returns_0_at_the_end_of_data);
	tcase_add_test(tcase, read_and_write_of_the_wrong_end_are_ebadf);
	tcase_add_loop_test(tcase, write_takes_all_as_room_comes, 0, 4);
	tcase_add_loop_test(tcase, write_returns_the_part_that_fitted, 0, 2);
	tcase_add_test(tcase, write_of_nothing_writes_nothing);
	tcase_add_test(tcase, write_without_a_reader_is_epipe);
	tcase_add_test(tcase, poll_tells_what_is_there);
	tcase_add_test(tcase, poll_refuses_unknown_events);
	tcase_add_test(tcase, poll_is_interrupted_by_a_signal);
	tcase_add_test(tcase, channel_is_used_by_many_threads_at_once);
	return tcase;
}

int main(void)
{
	Suite *suite = suite_create("library channel");

	suite_add_tcase(suite, open_case());
	suite_add_tcase(suite, transfer_case());
	return unit_main(suite);
}
