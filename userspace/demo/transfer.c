// SPDX-License-Identifier: LGPL-2.1-or-later
/* One transfer: a producer process, a consumer process, and what came of it. */
#define _GNU_SOURCE
#include "demo.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/achan.h>

/* A loop channel keeps what nobody read: each transfer starts on an empty one. */
static bool drain(int fd)
{
	unsigned char buffer[DEMO_BUFFER_BYTES];
	ssize_t n;

	do {
		n = read(fd, buffer, sizeof(buffer));
	} while (n > 0);
	return n < 0 && errno == EAGAIN;
}

static bool channel_info(const char *path, bool empty, struct achan_info *info)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	bool ok;

	if (fd < 0) {
		fprintf(stderr, "achan-demo: cannot open %s: %s (is achan.ko loaded?)\n",
			path, strerror(errno));
		return false;
	}
	ok = !empty || drain(fd);
	if (!ok)
		fprintf(stderr, "achan-demo: cannot empty %s: %s\n", path, strerror(errno));
	if (ok && ioctl(fd, ACHAN_IOC_INFO, info) < 0) {
		fprintf(stderr, "achan-demo: %s is not a channel: %s\n", path, strerror(errno));
		ok = false;
	}
	close(fd);
	return ok;
}

bool channel_is(const char *path, uint32_t mode)
{
	struct achan_info info;

	if (!channel_info(path, false, &info))
		return false;
	if (info.mode == mode)
		return true;
	fprintf(stderr, "achan-demo: %s is not in %s mode: name another with -s, -m\n", path,
		mode == ACHAN_MODE_STREAM ? "stream" : "message");
	return false;
}

static int consume(struct consumer *consumer, const struct model *model)
{
	int ret;

	consumer->started = monotonic_ns();
	consumer->fd = open(consumer->path, model->open_flags | O_CLOEXEC);
	if (consumer->fd < 0)
		return consumer_fail(consumer, "open", errno);
	consumer->digest = digest_new();
	if (!consumer->digest)
		return consumer_fail(consumer, "making a SHA-256", 0);
	ret = model->consume(consumer);
	consumer->result->nanoseconds = monotonic_ns() - consumer->started;
	if (digest_end(consumer->digest, consumer->result->digest) < 0 && !ret)
		ret = consumer_fail(consumer, "SHA-256 of what was read", 0);
	digest_free(consumer->digest);
	close(consumer->fd);
	return ret;
}

static pid_t start_consumer(const struct transfer *transfer, struct result *result,
			    int ready_fd)
{
	struct consumer consumer = {
		.path = transfer->path,
		.message = transfer->message,
		.expected = transfer->payload->length,
		.ready_fd = ready_fd,
		.result = result,
	};
	pid_t pid = fork();

	if (pid)
		return pid;
	alarm(DEMO_LIMIT_SECONDS);
	_exit(consume(&consumer, transfer->model) < 0);
}

static pid_t start_producer(const struct transfer *transfer, int ready_fd)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	alarm(DEMO_LIMIT_SECONDS);
	_exit(produce(transfer->path, transfer->payload, ready_fd) < 0);
}

/* Waits for @pid. What is wrong goes to @result unless it says so already. */
static bool reap(pid_t pid, const char *who, struct result *result)
{
	int status;

	if (waitpid(pid, &status, 0) < 0)
		status = -1;
	else if (WIFEXITED(status) && !WEXITSTATUS(status))
		return true;
	if (result->error[0])
		return false;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		snprintf(result->error, sizeof(result->error),
			 "the %s was not done after %d seconds", who, DEMO_LIMIT_SECONDS);
	else
		snprintf(result->error, sizeof(result->error),
			 "the %s ended with wait status %#x", who, (unsigned int)status);
	return false;
}

static bool run_processes(struct transfer *transfer, struct result *result, int ready_fd)
{
	pid_t consumer, producer;
	bool consumed, produced;

	fflush(NULL);
	consumer = start_consumer(transfer, result, ready_fd);
	if (consumer < 0)
		return false;
	producer = start_producer(transfer, ready_fd);
	if (producer < 0) {
		kill(consumer, SIGKILL);
		reap(consumer, "consumer", result);
		return false;
	}
	consumed = reap(consumer, "consumer", result);
	if (!consumed)
		kill(producer, SIGKILL);
	produced = reap(producer, "producer", result);
	return consumed && produced;
}

/* What the channel itself says afterwards. */
static bool check_channel(struct transfer *transfer, const struct achan_info *before)
{
	uint64_t records = (transfer->payload->length + DEMO_RECORD_BYTES - 1) /
			   DEMO_RECORD_BYTES;
	struct result *result = &transfer->result;
	struct achan_info after;

	if (!channel_info(transfer->path, false, &after))
		return false;
	transfer->records = after.sequence - before->sequence;
	if (transfer->records != records)
		snprintf(result->error, sizeof(result->error),
			 "%s counted %llu records where %llu were sent", transfer->path,
			 (unsigned long long)transfer->records, (unsigned long long)records);
	else if (after.bytes || after.parked_reads || after.parked_writes)
		snprintf(result->error, sizeof(result->error),
			 "%s keeps %llu bytes, %u parked reads, %u parked writes",
			 transfer->path, (unsigned long long)after.bytes,
			 after.parked_reads, after.parked_writes);
	return !result->error[0];
}

static bool run_with(struct transfer *transfer, struct result *shared)
{
	struct achan_info before;
	int ready_fd;
	bool ok;

	if (!channel_info(transfer->path, true, &before))
		return false;
	transfer->message = before.mode == ACHAN_MODE_MESSAGE;
	ready_fd = eventfd(0, EFD_CLOEXEC);
	if (ready_fd < 0)
		return false;
	ok = run_processes(transfer, shared, ready_fd);
	close(ready_fd);
	transfer->result = *shared;
	return ok && check_channel(transfer, &before);
}

/* False when anything went wrong; result.error then says what, if it is known. */
bool transfer_run(struct transfer *transfer)
{
	struct result *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	bool ok;

	if (shared == MAP_FAILED) {
		fprintf(stderr, "achan-demo: no memory to share with the consumer: %s\n",
			strerror(errno));
		return false;
	}
	ok = run_with(transfer, shared);
	munmap(shared, sizeof(*shared));
	return ok;
}
