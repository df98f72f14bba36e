// SPDX-License-Identifier: GPL-2.0-only
/* Consumers in every I/O model. */
#include "consumer.h"
#include "kernel_aio.h"

#include <liburing.h>
#include <poll.h>
#include <sys/epoll.h>
#include <time.h>

#define SIGNAL		(SIGRTMIN + 5)
#define BUFFER_BYTES	2048
#define REQUESTS	8

/* Takes the frames of one read: 0, -EBADMSG for one that is not as it was pushed. */
static long account(struct consumer *consumer, const void *data, size_t bytes)
{
	const char *at = data, *end = at + bytes;

	while (at < end) {
		const struct achan_record *record = (const void *)at;

		if (record->sequence < consumer->next)
			return -EBADMSG;
		consumer->gaps += record->sequence - consumer->next;
		consumer->next = record->sequence + 1;
		consumer->backwards += record->timestamp < consumer->time;
		consumer->time = record->timestamp;
		consumer->records++;
		if (record->length == CONSUMER_MARKER)
			consumer->marked = true;
		at += ACHAN_RECORD_SIZE(record->length);
	}
	return at == end ? 0 : -EBADMSG;
}

/* Reads until there is nothing left: -EAGAIN. */
static long take_all(struct consumer *consumer)
{
	char buffer[BUFFER_BYTES] __attribute__((aligned(8)));
	ssize_t got;
	long ret = 0;

	while (!ret && (got = vm_errno(read(consumer->fd, buffer,
					    sizeof(buffer)))) > 0)
		ret = account(consumer, buffer, got);
	return ret ?: got ?: -EPIPE;
}

static long consume_blocking(struct consumer *consumer)
{
	char buffer[BUFFER_BYTES] __attribute__((aligned(8)));
	long ret = 0;

	while (!ret && !consumer->marked) {
		ssize_t got = vm_errno(read(consumer->fd, buffer,
					    sizeof(buffer)));

		ret = got > 0 ? account(consumer, buffer, got) : got;
	}
	return ret;
}

static long consume_poll(struct consumer *consumer)
{
	struct pollfd pollfd = { .fd = consumer->fd, .events = POLLIN };
	long ret = -EAGAIN;

	while (ret == -EAGAIN && !consumer->marked) {
		if (poll(&pollfd, 1, vm_timeout_ms(VM_HANG_MS)) != 1)
			return -ETIMEDOUT;
		ret = take_all(consumer);
	}
	return ret;
}

static long consume_epoll(struct consumer *consumer)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int epoll = epoll_create1(0);
	long ret = -EAGAIN;

	epoll_ctl(epoll, EPOLL_CTL_ADD, consumer->fd, &event);
	while (ret == -EAGAIN && !consumer->marked) {
		if (epoll_wait(epoll, &event, 1,
			       vm_timeout_ms(VM_HANG_MS)) != 1)
			ret = -ETIMEDOUT;
		else
			ret = take_all(consumer);
	}
	close(epoll);
	return ret;
}

/* Signals go to this thread; one that found no place is SIGIO. */
static long consume_sigio(struct consumer *consumer)
{
	struct f_owner_ex owner = { F_OWNER_TID, consumer->thread.tid };
	struct timespec limit = { vm_timeout_ms(VM_HANG_MS) / 1000, 0 };
	long ret = -EAGAIN;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGNAL);
	sigaddset(&set, SIGIO);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (fcntl(consumer->fd, F_SETOWN_EX, &owner) ||
	    fcntl(consumer->fd, F_SETSIG, SIGNAL) ||
	    fcntl(consumer->fd, F_SETFL, O_ASYNC | O_NONBLOCK))
		return -errno;
	/* What came before there was anybody to signal. */
	ret = take_all(consumer);
	while (ret == -EAGAIN && !consumer->marked) {
		if (sigtimedwait(&set, NULL, &limit) < 0)
			ret = -ETIMEDOUT;
		else
			ret = take_all(consumer);
	}
	fcntl(consumer->fd, F_SETFL, O_NONBLOCK);
	return ret;
}

struct aio {
	unsigned long context;
	unsigned int under_way;
	struct iocb requests[REQUESTS];
	char buffers[REQUESTS][BUFFER_BYTES] __attribute__((aligned(8)));
};

static long aio_submit_read(struct aio *aio, struct iocb *request)
{
	if (vm_aio_submit(aio->context, 1, &request) != 1)
		return -EIO;
	aio->under_way++;
	return 0;
}

/* Takes what has come; @again: each request is submitted anew. */
static long aio_round(struct consumer *consumer, struct aio *aio, bool again)
{
	struct io_event events[REQUESTS];
	long i, ret = 0, count = vm_aio_events(aio->context, 1, REQUESTS, events,
					       vm_timeout_ms(VM_HANG_MS));

	if (count <= 0)
		return -ETIMEDOUT;
	aio->under_way -= count;
	for (i = 0; i < count; i++) {
		struct iocb *request = (struct iocb *)events[i].obj;
		long got = (long)events[i].res;

		got = got > 0 ? account(consumer, request->u.c.buf, got) : got;
		if (!got && again)
			got = aio_submit_read(aio, request);
		ret = ret ?: got;
	}
	return ret;
}

/* A request that is cancelled too late has taken records. */
static long aio_end(struct consumer *consumer, struct aio *aio)
{
	long ret = 0;
	size_t i;

	for (i = 0; i < REQUESTS; i++)
		vm_aio_cancel(aio->context, &aio->requests[i]);
	while (aio->under_way && ret != -ETIMEDOUT && ret != -EBADMSG)
		ret = aio_round(consumer, aio, false);
	vm_aio_destroy(aio->context);
	return ret == -ETIMEDOUT || ret == -EBADMSG ? ret : 0;
}

static long consume_aio(struct consumer *consumer)
{
	struct aio aio = { .context = vm_aio_setup(REQUESTS) };
	long ret = 0;
	size_t i;

	for (i = 0; i < REQUESTS && !ret; i++) {
		io_prep_pread(&aio.requests[i], consumer->fd, aio.buffers[i],
			      BUFFER_BYTES, 0);
		ret = aio_submit_read(&aio, &aio.requests[i]);
	}
	while (!ret && !consumer->marked)
		ret = aio_round(consumer, &aio, true);
	return aio_end(consumer, &aio) ?: ret;
}

static long uring_read(struct consumer *consumer, struct io_uring *ring,
		       void *buffer)
{
	struct __kernel_timespec limit = { vm_timeout_ms(VM_HANG_MS) / 1000, 0 };
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct io_uring_cqe *cqe;
	long ret;

	io_uring_prep_read(sqe, consumer->fd, buffer, BUFFER_BYTES, 0);
	io_uring_submit(ring);
	ret = io_uring_wait_cqe_timeout(ring, &cqe, &limit);
	if (ret)
		return ret;
	ret = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return ret;
}

static long consume_uring(struct consumer *consumer)
{
	char buffer[BUFFER_BYTES] __attribute__((aligned(8)));
	struct io_uring ring;
	long ret;

	vm_allow_io_uring();
	ret = io_uring_queue_init(4, &ring, 0);
	if (ret)
		return ret;
	while (!ret && !consumer->marked) {
		ret = uring_read(consumer, &ring, buffer);
		if (ret > 0)
			ret = account(consumer, buffer, ret);
	}
	io_uring_queue_exit(&ring);
	return ret;
}

const struct consumer_model consumer_models[] = {
	{ "blocking", O_RDONLY, consume_blocking },
	{ "poll", O_RDONLY | O_NONBLOCK, consume_poll },
	{ "epoll", O_RDONLY | O_NONBLOCK, consume_epoll },
	{ "SIGIO", O_RDONLY | O_NONBLOCK, consume_sigio },
	{ "AIO", O_RDONLY, consume_aio },
	{ "io_uring", O_RDONLY, consume_uring },
};
const size_t consumer_model_count = VM_ARRAY_SIZE(consumer_models);

static long consumer_thread(void *argument)
{
	struct consumer *consumer = argument;
	long ret = consumer->model->consume(consumer);

	__atomic_store_n(&consumer->done, true, __ATOMIC_RELEASE);
	/* It took the last of what there was before it knew. */
	return consumer->marked && ret == -EAGAIN ? 0 : ret;
}

void consumer_start(struct consumer *consumer, const struct consumer_model *model)
{
	memset(consumer, 0, sizeof(*consumer));
	consumer->model = model;
	consumer->fd = provider_open("probe", model->flags);
	vm_set_flags(consumer->fd, ACHAN_OPEN_FRAMED);
	vm_spawn(&consumer->thread, consumer_thread, consumer);
}

void consumer_join(struct consumer *consumer, long error)
{
	long ret = vm_join(&consumer->thread);

	ck_assert_msg(ret == error || (!error && consumer->marked),
		      "%s: %s after %llu records", consumer->model->name,
		      strerror(-ret), (unsigned long long)consumer->records);
	vm_set_nonblock(consumer->fd, true);
	ret = take_all(consumer);
	ck_assert_msg(ret == (error ?: -EAGAIN), "%s: %s at the end",
		      consumer->model->name, strerror(-ret));
}

bool consumer_running(const struct consumer *consumer)
{
	return !__atomic_load_n(&consumer->done, __ATOMIC_ACQUIRE);
}
