// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Queues of asynchronous requests on kernel AIO.
 *
 * A request is free, owned by the caller, prepared, or in flight. It is put in
 * flight before io_submit(), as its completion can be taken by another thread
 * before that returns, and only its completion, or its not being accepted,
 * ends that. The kernel's completion names the request by its iocb's address.
 *
 * Nobody sleeps in io_getevents(): waiting is for the eventfd, which each
 * completion counts up. Who takes completions reads the eventfd first and the
 * ring afterwards, so that a completion in between is seen by one or the
 * other; who has read it and leaves something behind counts it up again.
 */
#include "internal.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>

#define QUEUE_OPTS_OLDEST	sizeof(struct achan_queue_opts)
#define SUBMIT_BATCH		64
#define TAKE_BATCH		16
#define CLAIM_PAUSE_NS		INT64_C(1000000)
#define CLAIM_WAIT_NS		INT64_C(10000000)

#ifndef RWF_NOWAIT
#define RWF_NOWAIT		0x00000008
#endif

static int check(const struct achan_queue *queue)
{
	return queue ? achan_process_check(queue->stamp) : -EINVAL;
}

/* ------------------------------------------------------------- requests */

static void append_free(struct achan_queue *queue, struct achan_req *req)
{
	req->next_free = NULL;
	*queue->free_last = req;
	queue->free_last = &req->next_free;
}

/*
 * The one free for longest comes first: so requests are in flight in about the
 * order of their slots, in which achan_queue_free() cancels them and the kernel
 * finds them soonest.
 */
struct achan_req *achan_queue_get_req(struct achan_queue *queue)
{
	struct achan_req *req;

	if (check(queue) || atomic_load(&queue->closing))
		return NULL;
	pthread_mutex_lock(&queue->free_lock);
	req = queue->free_first;
	if (req) {
		queue->free_first = req->next_free;
		if (!queue->free_first)
			queue->free_last = &queue->free_first;
		req->fn = NULL;
		req->data = NULL;
		atomic_store(&req->state, ACHAN_REQ_OWNED);
	}
	pthread_mutex_unlock(&queue->free_lock);
	return req;
}

int achan_req_put(struct achan_req *req)
{
	struct achan_queue *queue;
	int ret = 0;

	if (!req)
		return 0;
	queue = req->queue;
	ret = check(queue);
	if (ret)
		return ret;
	pthread_mutex_lock(&queue->free_lock);
	switch (atomic_load(&req->state)) {
	case ACHAN_REQ_IN_FLIGHT:
		ret = -EBUSY;
		break;
	case ACHAN_REQ_FREE:
		ret = -EINVAL;
		break;
	default:
		atomic_store(&req->state, ACHAN_REQ_FREE);
		append_free(queue, req);
	}
	pthread_mutex_unlock(&queue->free_lock);
	return ret;
}

/* Returns the channel's descriptor if the request can be prepared for it. */
static int begin_prepare(struct achan_req *req, struct achan *channel)
{
	int ret;

	if (!req)
		return -EINVAL;
	ret = check(req->queue);
	if (!ret)
		ret = achan_check(channel);
	if (ret)
		return ret;
	switch (atomic_load(&req->state)) {
	case ACHAN_REQ_IN_FLIGHT:
		return -EBUSY;
	case ACHAN_REQ_FREE:
		return -EINVAL;
	}
	req->fn = NULL;
	req->data = NULL;
	return channel->fd;
}

/* After the io_prep functions of libaio, which clear the whole iocb. */
static int end_prepare(struct achan_req *req)
{
	io_set_eventfd(&req->iocb, req->queue->event_fd);
	atomic_store(&req->state, ACHAN_REQ_PREPARED);
	return 0;
}

int achan_req_prep_read(struct achan_req *req, struct achan *channel, void *buf,
			size_t len)
{
	int fd = begin_prepare(req, channel);

	if (fd < 0)
		return fd;
	io_prep_pread(&req->iocb, fd, buf, len, 0);
	return end_prepare(req);
}

int achan_req_prep_write(struct achan_req *req, struct achan *channel,
			 const void *buf, size_t len)
{
	int fd = begin_prepare(req, channel);

	if (fd < 0)
		return fd;
	io_prep_pwrite(&req->iocb, fd, (void *)(uintptr_t)buf, len, 0);
	return end_prepare(req);
}

int achan_req_prep_readv(struct achan_req *req, struct achan *channel,
			 const struct iovec *iov, int iovcnt)
{
	int fd = begin_prepare(req, channel);

	if (fd < 0)
		return fd;
	if (iovcnt < 0)
		return -EINVAL;
	io_prep_preadv(&req->iocb, fd, iov, iovcnt, 0);
	return end_prepare(req);
}

int achan_req_prep_writev(struct achan_req *req, struct achan *channel,
			  const struct iovec *iov, int iovcnt)
{
	int fd = begin_prepare(req, channel);

	if (fd < 0)
		return fd;
	if (iovcnt < 0)
		return -EINVAL;
	io_prep_pwritev(&req->iocb, fd, iov, iovcnt, 0);
	return end_prepare(req);
}

int achan_req_prep_poll(struct achan_req *req, struct achan *channel,
			int events)
{
	int fd = begin_prepare(req, channel);

	if (fd < 0)
		return fd;
	if (!achan_events_valid(events))
		return -EINVAL;
	io_prep_poll(&req->iocb, fd, events);
	return end_prepare(req);
}

static int check_prepared(const struct achan_req *req)
{
	int ret;

	if (!req)
		return -EINVAL;
	ret = check(req->queue);
	if (ret)
		return ret;
	return atomic_load(&req->state) == ACHAN_REQ_PREPARED ? 0 : -EINVAL;
}

int achan_req_set_flags(struct achan_req *req, uint32_t flags)
{
	int ret = check_prepared(req);

	if (ret)
		return ret;
	if (flags & ~ACHAN_REQ_NOWAIT || req->iocb.aio_lio_opcode == IO_CMD_POLL)
		return -EINVAL;
	req->iocb.aio_rw_flags = flags & ACHAN_REQ_NOWAIT ? RWF_NOWAIT : 0;
	return 0;
}

int achan_req_set_done(struct achan_req *req, achan_done_fn fn, void *data)
{
	int ret = check_prepared(req);

	if (ret)
		return ret;
	req->fn = fn;
	req->data = data;
	return 0;
}

/* ------------------------------------------------------ submit, cancel */

/* Puts requests in flight up to the first that cannot be. Returns how many. */
static unsigned int start(struct achan_queue *queue,
			  struct achan_req *const *reqs, unsigned int count,
			  struct iocb **iocbs)
{
	unsigned int started;

	for (started = 0; started < count; started++) {
		struct achan_req *req = reqs[started];
		uint32_t prepared = ACHAN_REQ_PREPARED;

		if (!req || req->queue != queue)
			break;
		if (!atomic_compare_exchange_strong(&req->state, &prepared,
						    ACHAN_REQ_IN_FLIGHT))
			break;
		iocbs[started] = &req->iocb;
	}
	atomic_fetch_add(&queue->in_flight, started);
	return started;
}

/* Takes back what start() did for requests that were not accepted. */
static void unstart(struct achan_queue *queue, struct achan_req *const *reqs,
		    unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		atomic_store(&reqs[i]->state, ACHAN_REQ_PREPARED);
	atomic_fetch_sub(&queue->in_flight, count);
}

/*
 * io_submit() accepts fewer than asked when one of them is bad or memory is
 * short, and says why only if that is the first: so go on until it says.
 */
int achan_queue_submit(struct achan_queue *queue, struct achan_req *const *reqs,
		       unsigned int count)
{
	struct iocb *iocbs[SUBMIT_BATCH];
	unsigned int batch, started;
	unsigned int done = 0;
	int ret = check(queue);

	if (ret)
		return ret;
	if (!reqs || count > INT_MAX)
		return -EINVAL;
	if (atomic_load(&queue->closing))
		return -ESHUTDOWN;
	while (done < count) {
		batch = count - done < SUBMIT_BATCH ? count - done
						    : SUBMIT_BATCH;
		started = start(queue, reqs + done, batch, iocbs);
		ret = started ? io_submit(queue->context, (long)started, iocbs)
			      : -EINVAL;
		if (ret <= 0) {
			unstart(queue, reqs + done, started);
			return done ? (int)done : ret;
		}
		unstart(queue, reqs + done + ret, started - (unsigned int)ret);
		done += (unsigned int)ret;
	}
	return (int)done;
}

/* The kernel says -EINPROGRESS when it has cancelled, and -EINVAL when not. */
static int cancel(struct achan_queue *queue, struct achan_req *req)
{
	struct io_event unused;
	int ret = io_cancel(queue->context, &req->iocb, &unused);

	return !ret || ret == -EINPROGRESS ? 0 : -EALREADY;
}

int achan_queue_cancel(struct achan_queue *queue, struct achan_req *req)
{
	int ret = check(queue);

	if (ret)
		return ret;
	if (!req || req->queue != queue)
		return -EINVAL;
	switch (atomic_load(&req->state)) {
	case ACHAN_REQ_IN_FLIGHT:
		return cancel(queue, req);
	case ACHAN_REQ_COMPLETED:
		return -EALREADY;
	default:
		return -EINVAL;
	}
}

/* ---------------------------------------------------------- completions */

/* io_getevents() without waiting. A zero time-out is the same in any width. */
static int take_by_call(const struct achan_queue *queue,
			struct io_event *events, unsigned int max)
{
	int64_t zero[2] = { 0 };

#ifdef SYS_io_getevents
	return ACHAN_RESULT((int)syscall(SYS_io_getevents, queue->context, 0L,
					 (long)max, events, zero));
#else
	return ACHAN_RESULT((int)syscall(SYS_io_pgetevents_time64,
					 queue->context, 0L, (long)max, events,
					 zero, NULL));
#endif
}

/*
 * The request that a completion is for; NULL for a completion that is for
 * none, as only somebody writing to the ring can cause.
 */
static struct achan_req *request_of(struct achan_queue *queue,
				    const struct io_event *event)
{
	uintptr_t first = (uintptr_t)&queue->reqs[0].iocb;
	uintptr_t offset = (uintptr_t)event->obj - first;
	struct achan_req *req;

	if (offset % sizeof(*req) || offset / sizeof(*req) >= queue->depth)
		return NULL;
	req = &queue->reqs[offset / sizeof(*req)];
	if (req->arrived || atomic_load(&req->state) != ACHAN_REQ_IN_FLIGHT)
		return NULL;
	return req;
}

/*
 * A poll that ends with no event was cancelled; the kernel says just 0. It
 * reports events beside those asked for, as poll(2) does not.
 */
static int64_t result_of(const struct achan_req *req,
			 const struct io_event *event)
{
	int64_t res = (long)event->res;

	if (req->iocb.aio_lio_opcode != IO_CMD_POLL || res < 0)
		return res;
	res &= req->iocb.u.poll.events | POLLERR | POLLHUP;
	return res ? res : -ECANCELED;
}

/* Takes events off the kernel. Returns how many, or a negative errno value. */
static int take_events(struct achan_queue *queue, struct io_event *events,
		       unsigned int max)
{
	int count = queue->ring_usable ?
		    achan_aio_ring_take(&queue->ring, events, max) : -EBADMSG;

	return count == -EBADMSG ? take_by_call(queue, events, max) : count;
}

static void put_ready(struct achan_queue *queue, struct achan_req *req)
{
	req->next_ready = NULL;
	*queue->ready_last = req;
	queue->ready_last = &req->next_ready;
}

static void remove_ready(struct achan_queue *queue, struct achan_req *req)
{
	struct achan_req **link = &queue->ready_first;

	while (*link && *link != req)
		link = &(*link)->next_ready;
	if (!*link)
		return;
	*link = req->next_ready;
	if (queue->ready_last == &req->next_ready)
		queue->ready_last = link;
}

/*
 * Moves at most @max completions from the kernel's ring to where they are
 * taken: a claimed request keeps its own, the others go to the ready list.
 * Returns how many the kernel gave, or a negative errno value. Lock held.
 */
static int collect(struct achan_queue *queue, unsigned int max)
{
	struct io_event events[TAKE_BATCH];
	int count = take_events(queue, events,
				max < TAKE_BATCH ? max : TAKE_BATCH);

	for (int i = 0; i < count; i++) {
		struct achan_req *req = request_of(queue, &events[i]);

		if (!req)
			continue;
		req->arrived = true;
		req->res = result_of(req, &events[i]);
		if (!req->claimed)
			put_ready(queue, req);
	}
	return count;
}

/* The request is the caller's again. Lock held. */
static void complete(struct achan_queue *queue, struct achan_req *req)
{
	req->arrived = false;
	req->claimed = false;
	atomic_store(&req->state, ACHAN_REQ_COMPLETED);
	atomic_fetch_sub(&queue->in_flight, 1);
}

static unsigned int take_ready(struct achan_queue *queue,
			       struct achan_cqe *cqes, unsigned int max)
{
	unsigned int taken;

	for (taken = 0; taken < max && queue->ready_first; taken++) {
		struct achan_req *req = queue->ready_first;

		remove_ready(queue, req);
		cqes[taken].req = req;
		cqes[taken].data = req->data;
		cqes[taken].res = req->res;
		complete(queue, req);
	}
	return taken;
}

/* Takes up to @max completions. @left: whether there may be more. */
static int take(struct achan_queue *queue, struct achan_cqe *cqes,
		unsigned int max, bool *left)
{
	unsigned int taken;
	int wanted = 0;
	int count = 0;

	pthread_mutex_lock(&queue->reap_lock);
	taken = take_ready(queue, cqes, max);
	while (taken < max && count == wanted) {
		wanted = max - taken < TAKE_BATCH ? (int)(max - taken)
						  : TAKE_BATCH;
		count = collect(queue, (unsigned int)wanted);
		taken += take_ready(queue, cqes + taken, max - taken);
	}
	*left = queue->ready_first ||
		(queue->ring_usable ? !achan_aio_ring_empty(&queue->ring)
				    : count == wanted);
	pthread_mutex_unlock(&queue->reap_lock);
	return count < 0 && !taken ? count : (int)taken;
}

/*
 * Takes one completion and runs its callback, which may take more itself:
 * that is why only one is taken at a time. Returns 1, 0 if there is none, or
 * a negative errno value.
 */
static int run_one(struct achan_queue *queue, bool *left)
{
	struct achan_cqe cqe;
	int ret = take(queue, &cqe, 1, left);

	if (ret != 1)
		return ret;
	if (cqe.req->fn) {
		cqe.req->fn(cqe.req, cqe.res, cqe.data);
		return 1;
	}
	if (cqe.res > 0)
		atomic_fetch_add(&queue->undelivered, 1);
	achan_req_put(cqe.req);
	return 1;
}

static int run(struct achan_queue *queue, unsigned int max, bool *left)
{
	unsigned int taken = 0;
	int ret = 0;

	*left = true;
	while (taken < max) {
		ret = run_one(queue, left);
		if (ret <= 0)
			break;
		taken++;
	}
	return ret < 0 && !taken ? ret : (int)taken;
}

/* Takes completions to an array or, if there is none, to their callbacks. */
static int take_or_run(struct achan_queue *queue, struct achan_cqe *cqes,
		       unsigned int max, bool *left)
{
	return cqes ? take(queue, cqes, max, left) : run(queue, max, left);
}

static void raise_event(const struct achan_queue *queue)
{
	uint64_t one = 1;

	/* Fails only if the counter is full, and then it is raised. */
	(void)ACHAN_RESULT(write(queue->event_fd, &one, sizeof(one)));
}

static void clear_event(const struct achan_queue *queue)
{
	uint64_t count;

	/* Fails only if it is clear already. */
	(void)ACHAN_RESULT(read(queue->event_fd, &count, sizeof(count)));
}

/* Uses one achan_queue_wake() up, if there was one. */
static bool use_wake(struct achan_queue *queue)
{
	unsigned int wakes = atomic_load(&queue->wakes);

	while (wakes)
		if (atomic_compare_exchange_weak(&queue->wakes, &wakes,
						 wakes - 1))
			return true;
	return false;
}

int achan_queue_peek(struct achan_queue *queue, struct achan_cqe *cqes,
		     unsigned int max)
{
	int ret = check(queue);
	bool left;

	if (ret)
		return ret;
	if (!cqes || !max || max > INT_MAX)
		return -EINVAL;
	return take(queue, cqes, max, &left);
}

int achan_queue_wait(struct achan_queue *queue, struct achan_cqe *cqes,
		     unsigned int min, unsigned int max, int64_t timeout_ns)
{
	unsigned int taken = 0;
	bool cleared = false;
	int64_t deadline;
	bool left;
	int ret = check(queue);

	if (ret)
		return ret;
	if (!max || min > max || max > INT_MAX)
		return -EINVAL;
	deadline = achan_deadline(timeout_ns);
	for (;;) {
		ret = take_or_run(queue, cqes ? cqes + taken : NULL,
				  max - taken, &left);
		if (ret < 0)
			break;
		taken += (unsigned int)ret;
		if (taken >= min || use_wake(queue))
			break;
		ret = achan_wait_fd(queue->event_fd, POLLIN, deadline);
		if (ret <= 0)
			break;
		clear_event(queue);
		cleared = true;
	}
	/* For others who wait: their turn may be what was cleared here. */
	if (cleared && (left || atomic_load(&queue->wakes)))
		raise_event(queue);
	return ret < 0 && !taken ? ret : (int)taken;
}

int achan_queue_dispatch(struct achan_queue *queue, unsigned int max)
{
	bool left;
	int ret = check(queue);

	if (ret)
		return ret;
	if (!max || max > INT_MAX)
		max = INT_MAX;
	clear_event(queue);
	atomic_store(&queue->wakes, 0);
	ret = run(queue, max, &left);
	if (left)
		raise_event(queue);
	return ret;
}

/* Makes the caller the only one who gets the completion of @req. */
static int claim(struct achan_queue *queue, struct achan_req *req)
{
	int ret = 0;

	pthread_mutex_lock(&queue->reap_lock);
	switch (atomic_load(&req->state)) {
	case ACHAN_REQ_IN_FLIGHT:
		if (req->claimed) {
			ret = -EBUSY;
			break;
		}
		req->claimed = true;
		if (req->arrived)
			remove_ready(queue, req);
		break;
	case ACHAN_REQ_COMPLETED:
		ret = -EALREADY;
		break;
	default:
		ret = -EINVAL;
	}
	pthread_mutex_unlock(&queue->reap_lock);
	return ret;
}

/* Returns 1 with the result of a claimed request, 0 while there is none. */
static int take_claimed(struct achan_queue *queue, struct achan_req *req,
			int64_t *res)
{
	int count, ret = 0;

	pthread_mutex_lock(&queue->reap_lock);
	do {
		count = collect(queue, TAKE_BATCH);
	} while (count == TAKE_BATCH);
	if (req->arrived) {
		*res = req->res;
		complete(queue, req);
		ret = 1;
	}
	pthread_mutex_unlock(&queue->reap_lock);
	return ret;
}

/*
 * Sleeps until there may be a completion. The eventfd is not cleared, as others
 * wait for it: if it is readable for something else, or another thread takes
 * the completion out of the ring, only the time ends the wait.
 */
static void wait_claimed(const struct achan_queue *queue)
{
	const struct timespec pause = { .tv_nsec = CLAIM_PAUSE_NS };
	int saved = errno;

	if (achan_wait_fd(queue->event_fd, POLLIN, 0) > 0)
		nanosleep(&pause, NULL);
	else
		achan_wait_fd(queue->event_fd, POLLIN,
			      achan_deadline(CLAIM_WAIT_NS));
	errno = saved;
}

int achan_queue_cancel_wait(struct achan_queue *queue, struct achan_req *req,
			    int64_t *res)
{
	int ret = check(queue);

	if (ret)
		return ret;
	if (!req || req->queue != queue || !res)
		return -EINVAL;
	ret = claim(queue, req);
	if (ret)
		return ret;
	if (take_claimed(queue, req, res))
		return 0;
	cancel(queue, req);
	while (!take_claimed(queue, req, res))
		wait_claimed(queue);
	return 0;
}

static int cancel_all(struct achan_queue *queue)
{
	int asked = 0;

	for (unsigned int i = 0; i < queue->depth; i++)
		if (atomic_load(&queue->reqs[i].state) == ACHAN_REQ_IN_FLIGHT) {
			cancel(queue, &queue->reqs[i]);
			asked++;
		}
	return asked;
}

int achan_queue_cancel_all(struct achan_queue *queue)
{
	int ret = check(queue);

	return ret ? ret : cancel_all(queue);
}

int achan_queue_wake(struct achan_queue *queue)
{
	int ret = check(queue);

	if (ret)
		return ret;
	atomic_fetch_add(&queue->wakes, 1);
	raise_event(queue);
	return 0;
}

int achan_queue_in_flight(const struct achan_queue *queue)
{
	int ret = check(queue);

	return ret ? ret : (int)atomic_load(&queue->in_flight);
}

int achan_queue_fd(const struct achan_queue *queue)
{
	int ret = check(queue);

	return ret ? ret : queue->event_fd;
}

/* -------------------------------------------------------- begin and end */

/*
 * A child that inherited the ring could take the parent's completions out of
 * it; without the mapping it cannot.
 */
static int attach_ring(struct achan_queue *queue)
{
	queue->ring_usable = achan_aio_ring_attach(&queue->ring,
						   queue->context);
	if (!queue->ring_usable)
		return 0;
	return ACHAN_RESULT(madvise(queue->ring.header, queue->ring.bytes,
				    MADV_DONTFORK));
}

static int set_up(struct achan_queue *queue)
{
	int ret;

	queue->event_fd = ACHAN_RESULT(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
	if (queue->event_fd < 0)
		return queue->event_fd;
	ret = io_setup((int)queue->depth, &queue->context);
	if (!ret) {
		ret = attach_ring(queue);
		if (!ret)
			return 0;
		io_destroy(queue->context);
	}
	close(queue->event_fd);
	return ret;
}

static struct achan_queue *allocate_queue(unsigned int depth)
{
	struct achan_queue *queue = achan_allocate(1, sizeof(*queue));

	if (!queue)
		return NULL;
	queue->reqs = achan_allocate(depth, sizeof(*queue->reqs));
	if (!queue->reqs) {
		free(queue);
		return NULL;
	}
	queue->depth = depth;
	queue->free_last = &queue->free_first;
	queue->ready_last = &queue->ready_first;
	for (unsigned int i = 0; i < depth; i++) {
		queue->reqs[i].queue = queue;
		append_free(queue, &queue->reqs[i]);
	}
	pthread_mutex_init(&queue->free_lock, NULL);
	pthread_mutex_init(&queue->reap_lock, NULL);
	return queue;
}

static void free_memory(struct achan_queue *queue)
{
	free(queue->reqs);
	free(queue);
}

int achan_queue_new(struct achan_queue **result, unsigned int depth,
		    const struct achan_queue_opts *given)
{
	struct achan_queue_opts opts;
	struct achan_process *process;
	struct achan_queue *queue;
	int ret;

	if (!result || !depth || depth > ACHAN_QUEUE_DEPTH_MAX)
		return -EINVAL;
	ret = achan_options_read(&opts, sizeof(opts), QUEUE_OPTS_OLDEST, given);
	if (!ret && (opts.flags || opts.reserved))
		ret = -EINVAL;
	if (!ret)
		ret = achan_process_get(&process);
	if (ret)
		return ret;
	queue = allocate_queue(depth);
	if (!queue)
		return -ENOMEM;
	queue->stamp = atomic_load(&process->stamp);
	ret = set_up(queue);
	if (ret) {
		free_memory(queue);
		return ret;
	}
	*result = queue;
	return 0;
}

/*
 * io_destroy() would cancel as well, but never deliver the completions: it
 * unmaps the ring first.
 */
static void end_requests(struct achan_queue *queue)
{
	bool left;

	atomic_store(&queue->closing, true);
	atomic_store(&queue->undelivered, 0);
	cancel_all(queue);
	while (atomic_load(&queue->in_flight)) {
		clear_event(queue);
		if (!run(queue, INT_MAX, &left))
			achan_wait_fd(queue->event_fd, POLLIN,
				      ACHAN_DEADLINE_NEVER);
	}
}

/* A child frees its copy of the memory; the context is its parent's. */
int achan_queue_free(struct achan_queue *queue)
{
	unsigned int undelivered = 0;
	int saved = errno;

	if (!queue)
		return 0;
	if (!check(queue)) {
		end_requests(queue);
		undelivered = atomic_load(&queue->undelivered);
		io_destroy(queue->context);
		pthread_mutex_destroy(&queue->free_lock);
		pthread_mutex_destroy(&queue->reap_lock);
	}
	close(queue->event_fd);
	free_memory(queue);
	errno = saved;
	return (int)undelivered;
}
