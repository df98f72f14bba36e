// SPDX-License-Identifier: LGPL-2.1-or-later
/* One record goes in and comes out again, in one process: what a record costs. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench_ends.h"

#define MQ_NAME		"/achan-bench"
#define MQ_BYTES_MAX	8192

/* ----------------------------------------------------------- framed */

static bool framed_turn(struct bench *bench)
{
	size_t size = ACHAN_RECORD_SIZE(bench->bytes);

	return write_one(bench) &&
	       moved("read", read(bench->reader, bench->got, BENCH_BYTES_MAX), size);
}

/* ------------------------------------------------------------- FIFO */

/* Its name is gone as soon as both ends are open. */
static bool fifo_open(struct bench *bench)
{
	char directory[] = "/tmp/achan-bench.XXXXXX";
	char name[sizeof(directory) + 8];
	bool good;

	if (!mkdtemp(directory))
		return failed(directory, errno);
	stpcpy(stpcpy(name, directory), "/fifo");
	good = !mkfifo(name, 0600);
	if (good) {
		bench->reader = open(name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		bench->writer = open(name, O_WRONLY | O_CLOEXEC);
		good = bench->reader >= 0 && bench->writer >= 0 &&
		       !fcntl(bench->reader, F_SETFL, 0);
	}
	if (!good)
		failed(name, errno);
	unlink(name);
	rmdir(directory);
	return good;
}

/* --------------------------------------------------------- POSIX mq */

static bool mq_open_peer(struct bench *bench)
{
	struct mq_attr attributes = {
		.mq_maxmsg = 8, .mq_msgsize = (long)bench->bytes,
	};

	if (bench->bytes > MQ_BYTES_MAX)
		return does_not_fit("more than fs.mqueue.msgsize_max is by default");
	bench->reader = mq_open(MQ_NAME, O_RDWR | O_CREAT | O_CLOEXEC, 0600,
				&attributes);
	if (bench->reader < 0)
		return failed("mq_open", errno);
	mq_unlink(MQ_NAME);
	return true;
}

static bool mq_turn(struct bench *bench)
{
	if (mq_send(bench->reader, (const char *)bench->data, bench->bytes, 0))
		return failed("mq_send", errno);
	return moved("mq_receive", mq_receive(bench->reader, (char *)bench->got,
					      bench->bytes, NULL), bench->bytes);
}

/* ---------------------------------------------------------- eventfd */

static bool eventfd_open(struct bench *bench)
{
	if (bench->bytes != sizeof(eventfd_t))
		return does_not_fit("it has 8 bytes, a count");
	bench->reader = eventfd(0, EFD_CLOEXEC);
	bench->writer = bench->reader;
	return bench->reader >= 0 || failed("eventfd", errno);
}

/* ----------------------------------------------------------- floors */

static bool nothing_to_open(struct bench *bench)
{
	(void)bench;
	return true;
}

static void nothing_to_close(struct bench *bench)
{
	(void)bench;
}

/* As many system calls as the others have: two. */
static bool getppid_turn(struct bench *bench)
{
	(void)bench;
	syscall(SYS_getppid);
	syscall(SYS_getppid);
	return true;
}

/* As many copies as the others have, in the way in which the kernel makes them. */
static void copy(void *to, const void *from, size_t bytes)
{
#ifdef __x86_64__
	asm volatile("rep movsb" : "+D" (to), "+S" (from), "+c" (bytes) :: "memory");
#else
	memcpy(to, from, bytes);
	asm volatile("" :: "r" (to) : "memory");
#endif
}

static bool memcpy_turn(struct bench *bench)
{
	copy(bench->got, bench->data, bench->bytes);
	copy(bench->got, bench->data, bench->bytes);
	return true;
}

static const struct peer peers[] = {
	{ "achan, stream", open_stream, write_and_read, close_ends, NULL },
	{ "achan, message", open_message, write_and_read, close_ends, NULL },
	{ "achan, framed", open_framed, framed_turn, close_ends, NULL },
	{ "pipe", open_pipe, write_and_read, close_ends, NULL },
	{ "FIFO", fifo_open, write_and_read, close_ends, NULL },
	{ "SEQPACKET", open_seqpacket, write_and_read, close_ends, NULL },
	{ "STREAM socket", open_stream_socket, write_and_read, close_ends, NULL },
	{ "POSIX mq", mq_open_peer, mq_turn, close_ends, NULL },
	{ "eventfd", eventfd_open, write_and_read, close_ends, NULL },
	{ "memcpy", nothing_to_open, memcpy_turn, nothing_to_close, NULL },
	{ "getppid", nothing_to_open, getppid_turn, nothing_to_close, NULL },
};

static const unsigned int sizes[] = { 8, 64, 512, 4096, 16384, 0 };

const struct figure record_figure = {
	.name = "record",
	.x_is = "bytes of a record",
	.title = "one record written and read, in one process",
	.xs = sizes,
	.peers = peers,
	.peer_count = COUNT(peers),
	.turns = 1000,
	.x_is_bytes = true,
};
