// SPDX-License-Identifier: GPL-2.0-only
/*
 * achan: parked requests: AIO reads that found no record, AIO writes that
 * found no room, and the data of writers that sleep for room.
 *
 *		     read found no record / write found no room
 *				       |
 *				      NEW ---- cancelled, dead, too many
 *				       |			\
 *	    fault resolved /----> QUEUED ---- cancel, removal ----> DONE
 *			  /	       |			 /   |
 *		   FAULTING <------- BUSY ---- served ----------/    |
 *			  \---------------- cancel, removal ---->    |
 *							    ki_complete()
 *
 * Requests are served strictly in the order of arrival: a stream may be read by
 * several at once. One whose buffer a worker makes present (FAULTING) keeps its
 * place, and the others wait: for as long as user space makes the fault last
 * (userfaultfd), or until the request is cancelled.
 *
 * Exactly one context takes a request to DONE, under ring.lock, and that one,
 * or the lane's worker for it, completes the kiocb without the lock.
 *
 * A writer that sleeps parks what it writes next, and waits for that. So whoever makes
 * room puts it in, in the order in which writers and requests came, and nobody waits
 * for the writer, which may not be running, to use its turn. Such a request has no
 * kiocb: only the writer itself gives it up, after a signal. Where no AIO write is
 * parked, a write that finds room goes in before those of sleepers, until as much has
 * passed them as the ring holds: neither does a large message starve among small ones,
 * nor a small non-blocking write among sleepers. See achan_lane_may_pass().
 *
 * Rules that fs/aio.c makes (io_cancel(), free_ioctx_users(),
 * aio_complete_rw()):
 *  - A cancel function runs with ctx_lock held, which ki_complete() takes. So
 *    it never completes, and ring.lock nests inside of ctx_lock.
 *  - The kiocb, and with it the file and the channel, stay until the cancel
 *    function has returned, since ki_complete() waits for ctx_lock. The
 *    request must stay as long: it is freed after ki_complete().
 *  - A request that refused to be cancelled cannot be cancelled any more, not
 *    even when its process exits. So a cancel never refuses: a request that is
 *    being served remembers it, in case it cannot be served after all.
 */
#include <linux/aio.h>
#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/refcount.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "achan.h"
#include "keys.h"
#include "lane.h"
#include "trace.h"

/*
 * Steps that whoever brings a record or makes room does for parked requests,
 * before it leaves the rest to the worker: a write() shall not pay for what
 * others keep submitting.
 */
#define ACHAN_STEPS_MAX		64

/*
 * The same with interrupts off: each step of a read may copy ACHAN_PIN_PAGES pages, each
 * step of a write ACHAN_MOVE_IRQ_BYTES.
 */
#define ACHAN_STEPS_IRQ_MAX	8
#define ACHAN_MOVE_IRQ_BYTES	32768

/*
 * Requests that a lane keeps for those to come: to allocate one takes as long as to
 * queue it. They stay charged to whom they were allocated for. KASAN shall tell when
 * one is used after its end, which it cannot if that was not the end.
 */
#define ACHAN_SPARES_MAX	(IS_ENABLED(CONFIG_KASAN) ? 0 : 32)

/* Parked writes that are looked at for one that may pass the first. */
#define ACHAN_PASS_MAX		16

/* Pages that a spare one has room for. */
#define ACHAN_SPARE_PAGES	1

unsigned int achan_parked_max = 65536;
unsigned int achan_parked_bytes = 4U << 20;

enum achan_request_state {
	ACHAN_REQUEST_NEW,
	ACHAN_REQUEST_QUEUED,
	ACHAN_REQUEST_BUSY,
	ACHAN_REQUEST_FAULTING,
	ACHAN_REQUEST_DONE,
};

/**
 * struct achan_request - a parked request
 * @node:	in one of the lane's lists
 * @next_spare:	of one that is none: the next
 * @iocb:	what is to be completed; NULL where a writer sleeps
 * @lane:	where it waits
 * @refs:	one for the completion, one for @fault_work while that is queued, one for
 *		a writer that sleeps
 * @state:	where it is in the picture above; under ring.lock
 * @cancelled:	cancelled while NEW or BUSY
 * @result:	what @iocb will be completed with; once DONE
 * @write:	direction; tells which of the following hold
 * @framed:	the read is one of frames
 * @faults:	times that the buffer was not present
 * @want:	bytes of the buffer that the record at hand takes
 * @buffer:	where to
 * @fault_work: makes the buffer present
 * @total:	bytes of the whole write
 * @moved:	bytes of it that are in the ring
 * @length:	bytes in @data
 * @data:	what was not in the ring when it parked
 * @done:	what a writer that sleeps waits for
 * @room:	how many there may be of
 * @pages:	what @buffer pins
 */
struct achan_request {
	union {
		struct list_head node;
		struct achan_request *next_spare;
	};
	struct kiocb *iocb;
	struct achan_lane *lane;
	refcount_t refs;
	enum achan_request_state state;
	bool cancelled;
	bool write;
	ssize_t result;
	union {
		struct {
			bool framed;
			unsigned int faults;
			size_t want;
			struct achan_buffer buffer;
			struct work_struct fault_work;
		};
		struct {
			size_t total;
			size_t moved;
			size_t length;
			void *data;
			struct completion done;
		};
	};
	unsigned int room;
	struct bio_vec pages[];
};

static struct achan_parked *request_parked(const struct achan_request *request)
{
	struct achan_lane *lane = request->lane;

	return request->write ? &lane->writes : &lane->reads;
}

static struct achan_request *first(struct list_head *list)
{
	return list_first_entry_or_null(list, struct achan_request, node);
}

/* The channel whose file it is of. */
static const struct achan *request_channel(const struct achan_request *request)
{
	const struct achan_lane *lane = request->lane;

	return request->write ? lane->writer : lane->reader;
}

/* Return: false if there are enough of them. */
static bool spare_put(struct achan_request *request)
{
	struct achan_lane *lane = request->lane;
	unsigned long flags;
	bool keep;

	raw_spin_lock_irqsave(&lane->ring.lock, flags);
	keep = request->room == ACHAN_SPARE_PAGES &&
	       lane->nr_spares < ACHAN_SPARES_MAX;
	if (keep) {
		request->next_spare = lane->spares;
		lane->spares = request;
		lane->nr_spares++;
	}
	raw_spin_unlock_irqrestore(&lane->ring.lock, flags);
	return keep;
}

static struct achan_request *spare_get(struct achan_lane *lane)
{
	struct achan_request *request;
	unsigned long flags;

	raw_spin_lock_irqsave(&lane->ring.lock, flags);
	request = lane->spares;
	if (request) {
		lane->spares = request->next_spare;
		lane->nr_spares--;
	}
	raw_spin_unlock_irqrestore(&lane->ring.lock, flags);
	return request;
}

/**
 * achan_park_free() - free what a lane keeps for requests to come
 * @lane: the lane, of which none is left
 *
 * Context: may sleep.
 */
void achan_park_free(struct achan_lane *lane)
{
	struct achan_request *request;

	while ((request = spare_get(lane)))
		kfree(request);
}

/* The caller sees to it that the lane stays. */
static void request_put(struct achan_request *request)
{
	if (!refcount_dec_and_test(&request->refs))
		return;
	if (request->write)
		kvfree(request->data);
	else
		achan_buffer_free(&request->buffer);
	if (!spare_put(request))
		kfree(request);
}

/* Context: ring.lock held. What a request that is given up ends with. */
static ssize_t partial(const struct achan_request *request, int error)
{
	return request->write && request->moved ? request->moved : error;
}

/* Context: ring.lock held. */
static void account_write(const struct achan_request *request)
{
	struct achan_lane *lane = request->lane;

	lane->parked_bytes += request->length;
	if (request->iocb)
		lane->parked_iocbs++;
}

/* Context: ring.lock held. What has passed the first one has not passed the next. */
static void forget_write(const struct achan_request *request)
{
	struct achan_lane *lane = request->lane;

	if (request == first(&lane->writes.requests))
		lane->passed = 0;
	lane->parked_bytes -= request->length;
	if (request->iocb)
		lane->parked_iocbs--;
}

/* Context: ring.lock held. It leaves the queue and the accounts. */
static void request_done(struct achan_request *request, ssize_t result)
{
	if (request->write)
		forget_write(request);
	list_del_init(&request->node);
	request->state = ACHAN_REQUEST_DONE;
	request->result = result;
	request_parked(request)->nr--;
	request_parked(request)->completed++;
}

/* Context: ring.lock held. For the worker to complete. */
static void request_finish_later(struct achan_request *request)
{
	list_add_tail(&request->node, &request->lane->finished);
}

/*
 * Completes a request that is DONE. Nothing of the kiocb, the file and the
 * process is touched afterwards. Where the pages need a page lock the lane's
 * worker completes it.
 */
static void request_complete(struct achan_request *request, bool may_sleep)
{
	struct achan_lane *lane = request->lane;
	unsigned long flags;

	if (!request->write &&
	    !achan_buffer_unpin(&request->buffer, may_sleep)) {
		raw_spin_lock_irqsave(&lane->ring.lock, flags);
		request_finish_later(request);
		raw_spin_unlock_irqrestore(&lane->ring.lock, flags);
		queue_work(achan_workqueue, &lane->work);
		return;
	}
	trace_achan_complete(request_channel(request), request->write, request,
			     request->result);
	if (request->iocb)
		request->iocb->ki_complete(request->iocb, request->result);
	else
		complete(&request->done);
	request_put(request);
}

/* See the rules at the top. Context: ctx_lock held, interrupts off on !RT. */
static int request_cancel(struct kiocb *iocb)
{
	struct achan_request *request = iocb->private;
	struct achan_lane *lane = request->lane;
	unsigned long flags;

	raw_spin_lock_irqsave(&lane->ring.lock, flags);
	switch (request->state) {
	case ACHAN_REQUEST_QUEUED:
	case ACHAN_REQUEST_FAULTING:
		request_done(request, partial(request, -ECANCELED));
		request_finish_later(request);
		request_parked(request)->cancelled++;
		trace_achan_cancel(request_channel(request), request->write,
				   request, request->result);
		raw_spin_unlock_irqrestore(&lane->ring.lock, flags);
		queue_work(achan_workqueue, &lane->work);
		return 0;
	case ACHAN_REQUEST_NEW:
	case ACHAN_REQUEST_BUSY:
		request->cancelled = true;
		break;
	case ACHAN_REQUEST_DONE:
		break;
	}
	raw_spin_unlock_irqrestore(&lane->ring.lock, flags);
	return 0;
}

/* Context: ring.lock held. Return: why the request cannot be queued, or 0. */
static int request_refused(const struct achan_request *request)
{
	const struct achan_lane *lane = request->lane;

	if (request->cancelled)
		return -ECANCELED;
	if (lane->dead)
		return -ENODEV;
	if (request->write && lane->no_reader)
		return -EPIPE;
	if (request_parked(request)->nr >= achan_parked_max)
		return -EAGAIN;
	/* One may always park, however large it is. */
	if (request->write && lane->parked_bytes &&
	    request->length + lane->parked_bytes > achan_parked_bytes)
		return -EAGAIN;
	return 0;
}

/* Context: ring.lock held. */
static void request_enqueue(struct achan_request *request)
{
	struct achan_parked *parked = request_parked(request);

	request->state = ACHAN_REQUEST_QUEUED;
	list_add_tail(&request->node, &parked->requests);
	parked->nr++;
	parked->ever++;
	if (request->write)
		account_write(request);
	else if (request->buffer.nr)
		request->lane->pinned_reads++;
}

/*
 * The cancel function is set before the request can be found by anybody who
 * completes it: once it is complete, setting it would put a dying kiocb into
 * the list of cancellable ones. From then on the one way out is ki_complete().
 */
static ssize_t request_park(struct achan_request *request)
{
	struct achan_lane *lane = request->lane;
	unsigned int due = 0;
	unsigned long flags;
	int refused;

	trace_achan_park(request_channel(request), request->write, request,
			 request->write ? request->moved : 0);
	request->iocb->private = request;
	kiocb_set_cancel_fn(request->iocb, request_cancel);

	raw_spin_lock_irqsave(&lane->ring.lock, flags);
	refused = request_refused(request);
	if (refused) {
		request->state = ACHAN_REQUEST_DONE;
		request->result = partial(request, refused);
	} else {
		request_enqueue(request);
		/* What made it park may have gone in the meantime. */
		due = achan_lane_due(lane, request->write &&
				     lane->policy.read_low);
	}
	raw_spin_unlock_irqrestore(&lane->ring.lock, flags);

	if (refused)
		request_complete(request, true);
	achan_lane_act(lane, due);
	return -EIOCBQUEUED;
}

static struct achan_request *request_alloc(struct achan_lane *lane,
					   struct kiocb *iocb, bool write,
					   unsigned int pages)
{
	unsigned int room = max_t(unsigned int, pages, ACHAN_SPARE_PAGES);
	struct achan_request *request = NULL;

	if (room == ACHAN_SPARE_PAGES)
		request = spare_get(lane);
	if (!request)
		request = kmalloc(struct_size(request, pages, room),
				  GFP_KERNEL_ACCOUNT);
	if (!request)
		return NULL;
	*request = (struct achan_request) {
		.refs = REFCOUNT_INIT(1),
		.iocb = iocb,
		.lane = lane,
		.write = write,
		.room = room,
	};
	INIT_LIST_HEAD(&request->node);
	return request;
}

/**
 * struct achan_runner - a context that moves parked requests
 * @mm:	     the address space it works in, used in a worker only
 * @worker:   it is the lane's worker: it may sleep, and fill from any process
 * @released: it has had the claim: the next consumer is to be told
 * @atomic:   interrupts are off, or it is one: it copies little at a time
 * @steps:    how many it may still do
 * @flags:    of ring.lock, which it holds but for copies and completions
 */
struct achan_runner {
	struct achan_mm mm;
	bool worker;
	bool released;
	bool atomic;
	unsigned int steps;
	unsigned long flags;
};

static void runner_lock(struct achan_runner *runner, struct achan_lane *lane)
	__acquires(&lane->ring.lock)
{
	raw_spin_lock_irqsave(&lane->ring.lock, runner->flags);
}

static void runner_unlock(struct achan_runner *runner, struct achan_lane *lane)
	__releases(&lane->ring.lock)
{
	raw_spin_unlock_irqrestore(&lane->ring.lock, runner->flags);
}

static void fault_work(struct work_struct *work);

/**
 * achan_park_read() - let an AIO read wait for a record
 * @file: the open file
 * @iocb: the read, one of AIO (IOCB_AIO_RW): no other can be cancelled
 * @to:	  its buffer
 *
 * Context: may sleep, in the submitting process. Return: -EIOCBQUEUED, the
 * request's fate is ki_complete()'s from then on; -ENOMEM.
 */
ssize_t achan_park_read(struct achan_file *file, struct kiocb *iocb,
			struct iov_iter *to)
{
	unsigned int pages = achan_buffer_pages(to);
	struct achan_request *request = request_alloc(file->rx, iocb, false,
						      pages);
	int ret;

	if (!request)
		return -ENOMEM;
	request->framed = READ_ONCE(file->flags) & ACHAN_OPEN_FRAMED;
	INIT_WORK(&request->fault_work, fault_work);
	ret = achan_buffer_init(&request->buffer, to, request->pages, pages);
	if (ret) {
		request_put(request);
		return ret;
	}
	return request_park(request);
}

/*
 * Return: a request for the next @length bytes of @from, which are copied; or
 * ERR_PTR(-ENOMEM), ERR_PTR(-EFAULT).
 */
static struct achan_request *write_request(struct achan_file *file,
					   struct kiocb *iocb,
					   struct iov_iter *from, size_t length)
{
	struct achan_request *request = request_alloc(file->tx, iocb, true, 0);
	size_t copied;

	if (!request)
		return ERR_PTR(-ENOMEM);
	request->length = length;
	request->total = length;
	request->data = kvmalloc(length, GFP_KERNEL_ACCOUNT);
	if (!request->data) {
		request_put(request);
		return ERR_PTR(-ENOMEM);
	}
	copied = copy_from_iter(request->data, length, from);
	if (copied == length)
		return request;
	iov_iter_revert(from, copied);
	request_put(request);
	return ERR_PTR(-EFAULT);
}

/**
 * achan_park_write() - let an AIO write wait for room
 * @file:    the open file
 * @iocb:    the write, one of AIO (IOCB_AIO_RW)
 * @from:    what of it is not in the ring yet
 * @written: bytes of it that are
 *
 * The data is copied: the caller may change its buffer as soon as the call
 * returns. A stream write that is larger than the cap on such copies ends
 * with a short count.
 *
 * Context: may sleep, in the submitting process. Return: -EIOCBQUEUED, the
 * request's fate is ki_complete()'s from then on; -ENOMEM, -EFAULT.
 */
ssize_t achan_park_write(struct achan_file *file, struct kiocb *iocb,
			 struct iov_iter *from, size_t written)
{
	size_t length = iov_iter_count(from);
	struct achan_request *request;

	if (file->channel->mode == ACHAN_MODE_STREAM)
		length = min_t(size_t, length, achan_parked_bytes);
	request = write_request(file, iocb, from, length);
	if (IS_ERR(request))
		return PTR_ERR(request);
	request->total += written;
	request->moved = written;
	return request_park(request);
}

/*
 * A signal has come to the writer of @request. What nobody has begun to put in, is given
 * up; what somebody is putting in at the moment, will be in. Return: as
 * achan_park_sleep(), or -EINPROGRESS if that is to be waited for.
 */
static ssize_t give_up(struct achan_request *request)
{
	struct achan_lane *lane = request->lane;
	bool given_up = false;
	unsigned long flags;
	ssize_t ret;

	raw_spin_lock_irqsave(&lane->ring.lock, flags);
	if (request->state == ACHAN_REQUEST_QUEUED) {
		request_done(request, -ERESTARTSYS);
		lane->writes.cancelled++;
		given_up = true;
	}
	ret = request->state == ACHAN_REQUEST_DONE ? request->result :
						     -EINPROGRESS;
	raw_spin_unlock_irqrestore(&lane->ring.lock, flags);
	if (given_up) {
		request_put(request);
		/* It may have been what kept others from being put in. */
		achan_lane_touch(lane);
	}
	return ret;
}

/* Waits until @request is DONE, or a signal comes. Return: as achan_park_sleep(). */
static ssize_t sleep_for(struct achan_request *request)
{
	ssize_t ret;

	if (!wait_for_completion_interruptible(&request->done))
		return request->result;
	ret = give_up(request);
	if (ret != -EINPROGRESS)
		return ret;
	if (wait_for_completion_killable(&request->done))
		return -EINTR;
	return request->result;
}

/**
 * achan_park_sleep() - let a write sleep until it is its turn and there is room
 * @file:   the open file
 * @from:   what of the write is not in the ring yet; advanced by what is returned
 * @length: bytes of it that are one record
 *
 * Context: sleeps, interruptibly; killably while somebody is putting the record in.
 * Return: @length; -EAGAIN if so much must not park: the caller sleeps until there is
 * room, without a turn; -ERESTARTSYS or -EINTR for a signal, and then the record is not
 * in, but for one who is being killed; -EPIPE, -ENODEV, -EFAULT.
 */
ssize_t achan_park_sleep(struct achan_file *file, struct iov_iter *from,
			 size_t length)
{
	struct achan_request *request = write_request(file, NULL, from, length);
	struct achan_lane *lane = file->tx;
	unsigned int due = 0;
	unsigned long flags;
	ssize_t ret;

	if (IS_ERR(request))
		return PTR_ERR(request) == -ENOMEM ? -EAGAIN : PTR_ERR(request);
	init_completion(&request->done);
	trace_achan_park(request_channel(request), true, request, 0);
	raw_spin_lock_irqsave(&lane->ring.lock, flags);
	ret = request_refused(request);
	if (!ret) {
		refcount_inc(&request->refs);
		request_enqueue(request);
		due = achan_lane_due(lane, lane->policy.read_low);
	}
	raw_spin_unlock_irqrestore(&lane->ring.lock, flags);
	achan_lane_act(lane, due);
	if (!ret)
		ret = sleep_for(request);
	if (ret < 0)
		iov_iter_revert(from, length);
	request_put(request);
	return ret;
}

/*
 * Context: ring.lock held. @bytes: what the step copies of a parked write, else 0.
 * Return: false if the worker has to do the rest.
 */
static bool runner_step(struct achan_runner *runner, struct achan_lane *lane,
			u32 bytes)
{
	if (runner->worker)
		return true;
	if (runner->steps &&
	    !(runner->atomic && bytes > ACHAN_MOVE_IRQ_BYTES)) {
		runner->steps--;
		return true;
	}
	queue_work(achan_workqueue, &lane->work);
	return false;
}

/*
 * Context: ring.lock held. Payload of the request that can move now, 0 if none. The
 * low-water mark is for those who sleep, as it is for those who poll.
 */
static u32 chunk_of(const struct achan_request *request)
{
	struct achan_lane *lane = request->lane;
	u32 length, need;

	length = achan_chunk(lane, request->total,
			     request->total - request->moved, &need);
	if (!request->iocb)
		need = max(need, lane->policy.write_low);
	return need <= achan_lane_free_bytes(lane) ? length : 0;
}

/*
 * Context: ring.lock held. Return: the parked write that moves next, with @length set
 * to what of it does, or NULL. That is the first one; while that finds no room, one of
 * the next few that may pass it.
 */
static struct achan_request *next_write(struct achan_lane *lane, u32 *length)
{
	unsigned int left = ACHAN_PASS_MAX;
	struct achan_request *request;

	list_for_each_entry(request, &lane->writes.requests, node) {
		*length = chunk_of(request);
		if (*length)
			return request;
		if (!achan_lane_may_pass(lane) || !left--)
			break;
	}
	return NULL;
}

/* Context: ring.lock held. There is what a read waits for, or no more comes. */
static bool worth_reading(const struct achan_lane *lane)
{
	if (achan_ring_readable(&lane->ring))
		return achan_lane_at_mark(lane);
	return lane->no_writer;
}

/* Context: ring.lock held. @claimed: the caller has the claim. */
static bool next_read(struct achan_lane *lane, bool claimed)
{
	struct achan_request *request = first(&lane->reads.requests);

	return request && request->state != ACHAN_REQUEST_FAULTING &&
	       lane->ring.claimed == claimed && worth_reading(lane);
}

/**
 * achan_park_can_move() - can a parked request make progress?
 * @lane: the lane
 *
 * False while somebody else holds the claim or moves writes already: that one
 * looks again before it stops.
 *
 * Context: ring.lock held.
 */
bool achan_park_can_move(struct achan_lane *lane)
{
	bool out = lane->broadcast ? !lane->ring.claimed &&
				     achan_ring_readable(&lane->ring) :
				     next_read(lane, false);
	u32 length;

	return out || (!lane->moving && next_write(lane, &length));
}

/*
 * Puts parked writes into the ring while there is room. One context at a time,
 * so that records get there, and requests complete, in the order of arrival.
 *
 * Context: ring.lock held. Return: whether it did anything.
 */
static bool move_writes(struct achan_lane *lane, struct achan_runner *runner)
	__must_hold(&lane->ring.lock)
{
	struct achan_ring *ring = &lane->ring;
	struct achan_request *request;
	bool moved = false;
	u32 length;

	if (lane->moving)
		return false;
	lane->moving = true;
	while ((request = next_write(lane, &length)) &&
	       runner_step(runner, lane, length)) {
		size_t at = request->length - (request->total - request->moved);
		struct achan_record *record;

		if (request != first(&lane->writes.requests))
			lane->passed += ACHAN_RECORD_SIZE(length);
		record = achan_ring_reserve(ring, length,
					    achan_lane_time(lane));
		request->state = ACHAN_REQUEST_BUSY;
		runner_unlock(runner, lane);

		trace_achan_reserve(request_channel(request), record, length);
		memcpy(achan_record_payload(record), request->data + at,
		       length);
		trace_achan_commit(request_channel(request), record, length);

		runner_lock(runner, lane);
		achan_ring_commit(ring, record);
		moved = true;
		request->moved += length;
		request->state = ACHAN_REQUEST_QUEUED;
		if (request->moved < request->total && !request->cancelled &&
		    !lane->dead && !lane->no_reader)
			continue;
		request_done(request, request->moved);
		runner_unlock(runner, lane);
		request_complete(request, runner->worker);
		runner_lock(runner, lane);
	}
	lane->moving = false;
	return moved;
}

static ssize_t fill_read(struct achan_request *request,
			 struct achan_cursor *cursor,
			 struct achan_runner *runner)
{
	struct achan_buffer *buffer = &request->buffer;
	struct iov_iter to;

	if (buffer->nr) {
		iov_iter_bvec(&to, ITER_DEST, buffer->pages, buffer->nr,
			      iov_iter_count(&buffer->iter));
	} else {
		if (!achan_mm_use(&runner->mm, buffer->mm))
			return -ECANCELED;
		to = buffer->iter;
	}
	return achan_take(request->lane, cursor, &to, request->framed,
			  &request->want);
}

/*
 * Context: ring.lock held, @cursor at a record. Pages that are pinned are filled with
 * the lock held, where that does not take long.
 */
static bool is_short(const struct achan_request *request,
		     struct achan_cursor *cursor)
{
	return request->buffer.nr &&
	       achan_take_max(request->lane, cursor, &request->buffer.iter,
			      request->framed) <= ACHAN_SHORT_BYTES;
}

/*
 * Context: ring.lock held; the request is BUSY and its buffer is not present.
 * Return: -EINPROGRESS if it is worth a fault, or what the request ends with.
 */
static int fault_verdict(const struct achan_request *request)
{
	if (request->cancelled)
		return -ECANCELED;
	if (request->lane->dead)
		return -ENODEV;
	return request->faults < ACHAN_FAULTS_MAX ? -EINPROGRESS : -EFAULT;
}

/* Context: ring.lock held; the request is BUSY. The record stays. */
static void start_fault(struct achan_request *request)
{
	request->faults++;
	request->state = ACHAN_REQUEST_FAULTING;
	/*
	 * For the worker: it goes on with the address space and the lane even
	 * if the request is cancelled meanwhile.
	 */
	refcount_inc(&request->refs);
	mmget(request->buffer.mm);
	achan_lane_get(request->lane);
	queue_work(achan_fault_workqueue, &request->fault_work);
}

/*
 * Fills parked reads while there are records. The claim is kept over
 * ki_complete(), so that requests complete in the order in which they are
 * served.
 *
 * Context: ring.lock held. Return: whether it did anything.
 */
static bool fill_reads(struct achan_lane *lane, struct achan_runner *runner)
	__must_hold(&lane->ring.lock)
{
	struct achan_ring *ring = &lane->ring;
	bool claimed = false, filled = false;

	while (next_read(lane, claimed) && runner_step(runner, lane, 0)) {
		struct achan_request *request = first(&lane->reads.requests);
		struct achan_cursor cursor;
		ssize_t ret;

		if (!request->buffer.nr && !runner->worker) {
			queue_work(achan_workqueue, &lane->work);
			break;
		}
		achan_ring_claim(ring, &cursor);
		claimed = true;
		request->state = ACHAN_REQUEST_BUSY;
		if (is_short(request, &cursor)) {
			ret = fill_read(request, &cursor, runner);
		} else {
			runner_unlock(runner, lane);
			ret = fill_read(request, &cursor, runner);
			runner_lock(runner, lane);
		}
		if (ret >= 0)
			achan_ring_retire(ring, &cursor);
		if (ret == -EAGAIN)
			ret = 0; /* It was for the end that it was called. */
		if (ret == -EFAULT)
			ret = fault_verdict(request);
		if (ret == -EINPROGRESS) {
			start_fault(request);
			break;
		}
		if (ret == -EMSGSIZE && request->buffer.truncated)
			ret = -EFAULT;
		filled = true;
		request_done(request, ret);
		runner_unlock(runner, lane);
		request_complete(request, runner->worker);
		if (runner->worker)
			cond_resched();
		runner_lock(runner, lane);
	}
	if (claimed)
		achan_ring_release(ring);
	runner->released |= claimed;
	return filled;
}

/* Context: ring.lock held. Return: whether it did anything. */
static bool deliver(struct achan_lane *lane, struct achan_runner *runner)
	__must_hold(&lane->ring.lock)
{
	bool delivered;

	runner_unlock(runner, lane);
	delivered = achan_broadcast_run(lane, runner->worker ? NULL :
						&runner->steps);
	runner_lock(runner, lane);
	return delivered;
}

static unsigned int park_run(struct achan_lane *lane, bool committed,
			     struct achan_runner *runner)
{
	unsigned int due;
	bool moved, filled;

	runner_lock(runner, lane);
	do {
		moved = lane->writes.nr && move_writes(lane, runner);
		filled = lane->broadcast ? deliver(lane, runner) :
			 lane->reads.nr && fill_reads(lane, runner);
		committed |= moved || filled;
	} while (moved || filled);
	due = achan_lane_due(lane, committed);
	runner_unlock(runner, lane);
	if (runner->released)
		achan_lane_released(lane);
	return due & ~ACHAN_DUE_RUN;
}

/**
 * achan_park_run() - let parked requests move as far as they can
 * @lane:      the lane
 * @committed: as for achan_lane_due()
 *
 * What needs a thread of its own is left to the lane's worker.
 *
 * Context: any but hard interrupts on PREEMPT_RT; no lock of ours held.
 * Return: what is due after it.
 */
unsigned int achan_park_run(struct achan_lane *lane, bool committed)
{
	bool atomic = in_hardirq() || irqs_disabled();
	struct achan_runner runner = {
		.atomic = atomic,
		.steps = atomic ? ACHAN_STEPS_IRQ_MAX : ACHAN_STEPS_MAX,
	};

	return park_run(lane, committed, &runner);
}

/* Completes what others left to it, and fills what only a thread can. */
void achan_park_work(struct work_struct *work)
{
	struct achan_lane *lane = container_of(work, struct achan_lane, work);
	struct achan_runner runner = { .worker = true };
	struct achan_request *request;
	unsigned long flags;

	raw_spin_lock_irqsave(&lane->ring.lock, flags);
	while ((request = first(&lane->finished))) {
		list_del_init(&request->node);
		raw_spin_unlock_irqrestore(&lane->ring.lock, flags);
		request_complete(request, true);
		cond_resched();
		raw_spin_lock_irqsave(&lane->ring.lock, flags);
	}
	raw_spin_unlock_irqrestore(&lane->ring.lock, flags);
	/* A request that went may have been what kept records from readers. */
	achan_lane_act(lane, park_run(lane, true, &runner));
	achan_mm_drop(&runner.mm);
}

/* Bytes of @iter's first @want that cannot be made present. */
static size_t fault_in(struct mm_struct *mm, struct iov_iter *iter, size_t want)
{
	size_t left;
	u32 keys;

	kthread_use_mm(mm);
	keys = achan_keys_take();
	left = fault_in_iov_iter_writeable(iter, want);
	achan_keys_drop(keys);
	kthread_unuse_mm(mm);
	return left;
}

/*
 * Context: ring.lock held; the request is FAULTING, @present bytes of what it
 * wants are there. A process that has ended meanwhile may have ended the fault
 * by that, when it closed its userfaultfd: exit_aio() has to wait for the last
 * reference to the address space, which may be this worker's, and the record is not
 * for a process that cannot see it any more. Return: whether the request is DONE.
 */
static bool fault_done(struct achan_request *request, size_t present,
		       bool has_owner)
{
	struct achan_buffer *buffer = &request->buffer;

	if (!has_owner) {
		request_done(request, -ECANCELED);
		return true;
	}
	if (!present) {
		request_done(request, -EFAULT);
		return true;
	}
	request->state = ACHAN_REQUEST_QUEUED;
	/* What lies before the bad address is good. */
	if (present < request->want) {
		request->buffer.truncated = true;
		iov_iter_truncate(&buffer->iter, present);
	}
	return false;
}

static void fault_work(struct work_struct *work)
{
	struct achan_request *request = container_of(work, struct achan_request,
						     fault_work);
	struct achan_lane *lane = request->lane;
	struct mm_struct *mm = request->buffer.mm;
	size_t left, want = request->want;
	bool complete = false, has_owner;
	unsigned int due;
	unsigned long flags;

	left = fault_in(mm, &request->buffer.iter, want);
	has_owner = achan_buffer_has_owner(&request->buffer);

	raw_spin_lock_irqsave(&lane->ring.lock, flags);
	if (request->state == ACHAN_REQUEST_FAULTING)
		complete = fault_done(request, want - left, has_owner);
	due = achan_lane_due(lane, true);
	raw_spin_unlock_irqrestore(&lane->ring.lock, flags);

	if (complete)
		request_complete(request, true);
	request_put(request);
	achan_lane_act(lane, due);
	mmput_async(mm);
	achan_lane_put(lane);
}

/* Context: ring.lock held. A request that nobody is serving, or NULL. */
static struct achan_request *next_idle(struct achan_parked *parked)
{
	struct achan_request *request;

	/* One of a list at the most is BUSY. */
	list_for_each_entry(request, &parked->requests, node)
		if (request->state != ACHAN_REQUEST_BUSY)
			return request;
	return NULL;
}

/**
 * achan_park_end() - end all requests parked at one end of a lane
 * @lane:   the lane, which is dead or has no reader: no new ones can come
 * @parked: its reads or its writes
 * @error:  with what, where nothing was transferred yet
 *
 * Those that are being served end by themselves. The lock is let go after each,
 * since there can be many.
 *
 * Context: any; no lock of ours held.
 */
void achan_park_end(struct achan_lane *lane, struct achan_parked *parked,
		    int error)
{
	struct achan_request *request;
	unsigned long flags;
	bool ended = false;

	do {
		raw_spin_lock_irqsave(&lane->ring.lock, flags);
		request = next_idle(parked);
		if (request) {
			request_done(request, partial(request, error));
			request_finish_later(request);
			ended = true;
		}
		raw_spin_unlock_irqrestore(&lane->ring.lock, flags);
	} while (request);
	if (ended)
		queue_work(achan_workqueue, &lane->work);
}
