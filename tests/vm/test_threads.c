// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many threads on one channel, each with an I/O model of its own. Whatever
 * they do to each other, every record is read once and whole, and the records
 * of one producer come in their order.
 */
#include "kernel_aio.h"

#include <liburing.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <time.h>

#define RECORDS		800
#define LONGEST		200
#define SIGNAL		(SIGRTMIN + 6)
#define DEPTH		4

/* Of the pseudo-random lengths: the same work in every run. */
#define SEED		20250601u

/* A record: who wrote it, the how-manieth of his it is, and the pattern. */
struct head {
	uint32_t producer;
	uint32_t number;
};

/* Producer of the record that ends one consumer. */
#define END	UINT32_MAX

struct member;
typedef void (*produce_fn)(struct member *member);

static void produce_blocking(struct member *member);
static void produce_polling(struct member *member);
static void produce_aio(struct member *member);
static void produce_uring(struct member *member);
static void produce_absent(struct member *member);
static void consume_blocking(struct member *member);
static void consume_epoll(struct member *member);
static void consume_aio(struct member *member);
static void consume_worker(struct member *member);
static void consume_absent(struct member *member);
static void consume_uring(struct member *member);
static void consume_sigio(struct member *member);

static const produce_fn producers[] = {
	produce_blocking, produce_polling, produce_aio, produce_uring,
	produce_absent,
};

static const produce_fn consumers[] = {
	consume_blocking, consume_epoll, consume_aio, consume_worker,
	consume_absent, consume_uring, consume_sigio,
};

#define PRODUCERS	VM_ARRAY_SIZE(producers)
#define CONSUMERS	VM_ARRAY_SIZE(consumers)

/* One thread. */
struct member {
	struct vm_thread thread;
	produce_fn run;
	uint32_t index;
	int fd;
	/* Consumers only: */
	bool framed;
	bool alone;		/* nobody else reads: no record is missed */
	unsigned int ends;
	uint32_t next[PRODUCERS];
	uint64_t sequence;	/* the least that the frame to come can have */
};

/* How many each producer writes. */
static uint32_t records;

/* How often each record was read. */
static unsigned char seen[PRODUCERS][RECORDS];
static unsigned int ends_written;

static size_t length_of(const struct head *head)
{
	uint32_t mix = SEED + head->producer * 7919 + head->number * 104729;

	mix ^= mix >> 15;
	mix *= 2654435761u;
	return sizeof(*head) + (mix >> 16) % (LONGEST - sizeof(*head));
}

/* Makes the record; returns its length. */
static size_t make_record(unsigned char *data, uint32_t producer,
			  uint32_t number)
{
	struct head head = { producer, number };
	size_t length = length_of(&head);

	memcpy(data, &head, sizeof(head));
	vm_pattern(data + sizeof(head), length - sizeof(head),
		   producer + number);
	return length;
}

static void account_record(struct member *member, const unsigned char *data,
			   size_t length)
{
	struct head head;

	ck_assert_uint_ge(length, sizeof(head));
	memcpy(&head, data, sizeof(head));
	if (head.producer == END) {
		member->ends++;
		return;
	}
	ck_assert_uint_lt(head.producer, PRODUCERS);
	ck_assert_uint_lt(head.number, records);
	ck_assert_uint_eq(length, length_of(&head));
	vm_assert_pattern(data + sizeof(head), length - sizeof(head),
			  head.producer + head.number);
	__atomic_add_fetch(&seen[head.producer][head.number], 1,
			   __ATOMIC_RELAXED);
	/* What one consumer gets of one producer comes in its order. */
	if (member->alone)
		ck_assert_uint_eq(head.number, member->next[head.producer]);
	else
		ck_assert_uint_ge(head.number, member->next[head.producer]);
	member->next[head.producer] = head.number + 1;
}

static void account_frames(struct member *member, const unsigned char *data,
			   size_t length)
{
	size_t offset = 0;

	while (offset < length) {
		struct achan_record record;

		ck_assert_uint_ge(length - offset, sizeof(record));
		memcpy(&record, data + offset, sizeof(record));
		ck_assert_uint_eq(record.flags, 0);
		ck_assert_uint_le(ACHAN_RECORD_SIZE(record.length),
				  length - offset);
		ck_assert_uint_ge(record.sequence, member->sequence);
		member->sequence = record.sequence + 1;
		account_record(member, data + offset + sizeof(record),
			       record.length);
		offset += ACHAN_RECORD_SIZE(record.length);
	}
}

/* Accounts for what a read gave. Returns false once the end has come. */
static bool account(struct member *member, const unsigned char *data,
		    ssize_t got)
{
	ck_assert_int_gt(got, 0);
	if (member->framed)
		account_frames(member, data, got);
	else
		account_record(member, data, got);
	return !member->ends;
}

static void write_end(int fd)
{
	struct head head = { END, 0 };

	vm_write(fd, &head, sizeof(head));
	__atomic_add_fetch(&ends_written, 1, __ATOMIC_RELAXED);
}

static void produce_blocking(struct member *member)
{
	unsigned char data[LONGEST];
	uint32_t number;

	for (number = 0; number < records; number++) {
		size_t length = make_record(data, member->index, number);

		ck_assert_int_eq(vm_errno(write(member->fd, data, length)),
				 length);
	}
}

static void produce_polling(struct member *member)
{
	unsigned char data[LONGEST];
	uint32_t number = 0;

	vm_set_nonblock(member->fd, true);
	while (number < records) {
		size_t length = make_record(data, member->index, number);
		ssize_t put = vm_errno(write(member->fd, data, length));

		if (put == -EAGAIN) {
			ck_assert_int_eq(vm_poll_wait(member->fd, POLLOUT),
					 POLLOUT);
			continue;
		}
		ck_assert_int_eq(put, length);
		number++;
	}
}

/*
 * Requests of one context, used in turn. The oldest gets the oldest record, or
 * puts in the first, but their events can come in another order: one thread
 * may complete a parked request while another has the next one's in submit.
 */
struct slots {
	io_context_t context;
	unsigned int count;
	size_t length;
	bool absent;		/* the buffers, whenever a read parks */
	struct iocb requests[DEPTH];
	unsigned char *buffers[DEPTH];
	bool done[DEPTH];
	long results[DEPTH];
};

static void wait_slot(struct slots *slots, unsigned int slot)
{
	struct io_event event;

	while (!slots->done[slot]) {
		unsigned int other;

		aio_wait(slots->context, &event, 1);
		other = event.obj - slots->requests;
		slots->done[other] = true;
		slots->results[other] = event.res;
	}
}

/* Keeps several writes in flight, that park when there is no room. */
static void produce_aio(struct member *member)
{
	struct slots slots = { .context = aio_context(DEPTH) };
	unsigned char data[LONGEST];
	uint32_t number;

	for (number = 0; number < records + DEPTH; number++) {
		unsigned int slot = number % DEPTH;
		struct iocb *request = &slots.requests[slot];
		size_t length;

		if (number >= DEPTH) {
			wait_slot(&slots, slot);
			ck_assert_uint_eq(slots.results[slot],
					  request->u.c.nbytes);
		}
		if (number >= records)
			continue;
		length = make_record(data, member->index, number);
		slots.done[slot] = false;
		io_prep_pwrite(request, member->fd, data, length, 0);
		aio_submit(slots.context, request);
	}
	ck_assert_int_eq(io_destroy(slots.context), 0);
}

/*
 * Writes what is in memory, but not present there: each write begins with a
 * page fault, and the room it had reserved is given up.
 */
static void produce_absent(struct member *member)
{
	int file = memfd_create("record", MFD_CLOEXEC);
	unsigned char data[LONGEST], *mapped;
	uint32_t number;

	ck_assert_int_eq(vm_errno(ftruncate(file, vm_page_size())), 0);
	mapped = mmap(NULL, vm_page_size(), PROT_READ, MAP_SHARED, file, 0);
	ck_assert_ptr_ne(mapped, MAP_FAILED);
	for (number = 0; number < records; number++) {
		size_t length = make_record(data, member->index, number);

		ck_assert_int_eq(pwrite(file, data, length, 0), length);
		ck_assert_int_eq(madvise(mapped, vm_page_size(),
					 MADV_DONTNEED), 0);
		ck_assert_int_eq(vm_errno(write(member->fd, mapped, length)),
				 length);
	}
	munmap(mapped, vm_page_size());
	close(file);
}

static void start_ring(struct io_uring *ring)
{
	int ret;

	vm_allow_io_uring();
	ret = io_uring_queue_init(4, ring, 0);
	ck_assert_msg(!ret, "io_uring_queue_init: %s", strerror(-ret));
}

/* Submits what was prepared, and waits for its result. */
static int ring_result(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	int ret, res;

	do {
		ret = io_uring_submit_and_wait(ring, 1);
	} while (ret == -EINTR);
	ck_assert_int_ge(ret, 0);
	do {
		ret = io_uring_wait_cqe(ring, &cqe);
	} while (ret == -EINTR);
	ck_assert_int_eq(ret, 0);
	res = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return res;
}

static void produce_uring(struct member *member)
{
	unsigned char data[LONGEST];
	struct io_uring ring;
	uint32_t number;

	start_ring(&ring);
	for (number = 0; number < records; number++) {
		size_t length = make_record(data, member->index, number);

		io_uring_prep_write(io_uring_get_sqe(&ring), member->fd, data,
				    length, 0);
		ck_assert_int_eq(ring_result(&ring), length);
	}
	io_uring_queue_exit(&ring);
}

static void consume_blocking(struct member *member)
{
	unsigned char data[1024];

	while (account(member, data,
		       vm_errno(read(member->fd, data, sizeof(data)))))
		;
}

/* Reads until the channel is empty. Returns false once the end has come. */
static bool consume_all_there(struct member *member)
{
	unsigned char data[1024];
	ssize_t got;

	while ((got = vm_errno(read(member->fd, data, sizeof(data)))) !=
	       -EAGAIN)
		if (!account(member, data, got))
			return false;
	return true;
}

/* Edge-triggered: an edge that does not come is a hang. */
static void consume_epoll(struct member *member)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int set = epoll_create1(EPOLL_CLOEXEC);

	vm_set_nonblock(member->fd, true);
	ck_assert_int_eq(epoll_ctl(set, EPOLL_CTL_ADD, member->fd, &event), 0);
	while (consume_all_there(member))
		ck_assert_int_eq(epoll_wait(set, &event, 1,
					    vm_timeout_ms(VM_HANG_MS)), 1);
	close(set);
}

static void submit_slot(struct member *member, struct slots *slots,
			unsigned int slot)
{
	slots->done[slot] = false;
	if (slots->absent)
		ck_assert_int_eq(madvise(slots->buffers[slot], slots->length,
					 MADV_DONTNEED), 0);
	io_prep_pread(&slots->requests[slot], member->fd, slots->buffers[slot],
		      slots->length, 0);
	aio_submit(slots->context, &slots->requests[slot]);
}

/* Ends what was submitted after @last: with a record, or cancelled. */
static void end_slots(struct member *member, struct slots *slots,
		      unsigned int last)
{
	unsigned int i;

	for (i = 1; i < slots->count; i++) {
		unsigned int slot = (last + i) % slots->count;

		if (!slots->done[slot])
			aio_cancel_request(slots->context,
					   &slots->requests[slot]);
		wait_slot(slots, slot);
		if (slots->results[slot] != -ECANCELED)
			account(member, slots->buffers[slot],
				slots->results[slot]);
	}
	ck_assert_int_eq(io_destroy(slots->context), 0);
}

static void consume_by_slots(struct member *member, unsigned int count,
			     size_t length, bool absent)
{
	struct slots slots = {
		.context = aio_context(DEPTH),
		.count = count,
		.length = length,
		.absent = absent,
	};
	unsigned int slot;

	for (slot = 0; slot < count; slot++) {
		slots.buffers[slot] = vm_pages(length / vm_page_size());
		memset(slots.buffers[slot], 0, length);
		submit_slot(member, &slots, slot);
	}
	for (slot = 0;; slot = (slot + 1) % count) {
		wait_slot(&slots, slot);
		if (!account(member, slots.buffers[slot], slots.results[slot]))
			break;
		submit_slot(member, &slots, slot);
	}
	end_slots(member, &slots, slot);
}

static void consume_aio(struct member *member)
{
	consume_by_slots(member, DEPTH, vm_page_size(), false);
}

static void consume_worker(struct member *member)
{
	consume_by_slots(member, 1, AIO_WORKER_BYTES, false);
}

static void consume_absent(struct member *member)
{
	consume_by_slots(member, 1, AIO_WORKER_BYTES, true);
}

static void consume_uring(struct member *member)
{
	unsigned char data[1024];
	struct io_uring ring;

	start_ring(&ring);
	do {
		io_uring_prep_read(io_uring_get_sqe(&ring), member->fd, data,
				   sizeof(data), 0);
	} while (account(member, data, ring_result(&ring)));
	io_uring_queue_exit(&ring);
}

static sigset_t io_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGNAL);
	sigaddset(&set, SIGIO);
	return set;
}

static void consume_sigio(struct member *member)
{
	struct f_owner_ex owner = { F_OWNER_TID, gettid() };
	struct timespec limit = { vm_timeout_ms(VM_HANG_MS) / 1000, 0 };
	sigset_t set = io_signals();
	int flags = fcntl(member->fd, F_GETFL);

	ck_assert_int_eq(fcntl(member->fd, F_SETOWN_EX, &owner), 0);
	ck_assert_int_eq(fcntl(member->fd, F_SETSIG, SIGNAL), 0);
	ck_assert_int_eq(fcntl(member->fd, F_SETFL,
			       flags | O_NONBLOCK | O_ASYNC), 0);
	while (consume_all_there(member))
		ck_assert_int_gt(vm_errno(sigtimedwait(&set, NULL, &limit)),
				 0);
	ck_assert_int_eq(fcntl(member->fd, F_SETFL, flags), 0);
}

static long run_member(void *argument)
{
	struct member *member = argument;

	member->run(member);
	/* An end too many was another's. */
	while (member->ends > 1) {
		write_end(member->fd);
		member->ends--;
	}
	close(member->fd);
	return 0;
}

static void start_member(struct member *member, produce_fn run, uint32_t index,
			 int fd)
{
	member->run = run;
	member->index = index;
	member->fd = vm_reopen(fd, O_RDWR);
	if (member->framed)
		vm_set_flags(member->fd, ACHAN_OPEN_FRAMED);
	vm_spawn(&member->thread, run_member, member);
}

static void assert_all_seen(int fd, const struct achan_info *before)
{
	struct achan_info after = vm_info(fd);
	size_t producer, number;

	for (producer = 0; producer < PRODUCERS; producer++)
		for (number = 0; number < records; number++)
			ck_assert_msg(seen[producer][number] == 1,
				      "record %zu of %zu was read %u times",
				      number, producer,
				      seen[producer][number]);
	ck_assert_uint_eq(after.bytes, 0);
	ck_assert_uint_eq(after.sequence - before->sequence,
			  PRODUCERS * records + ends_written +
			  after.discarded - before->discarded);
	aio_wait_unparked(fd);
}

/*
 * All producers, or as many of the one kind @produce, and the @count consumers
 * from number @first on.
 */
static void stress(enum vm_channel channel, size_t first, size_t count,
		   produce_fn produce)
{
	static struct member makers[PRODUCERS], takers[CONSUMERS];
	int fd = vm_open(channel, O_RDWR);
	struct achan_info before = vm_info(fd);
	bool framed = before.mode == ACHAN_MODE_STREAM;
	sigset_t set = io_signals();
	size_t i;

	pthread_sigmask(SIG_BLOCK, &set, NULL);
	for (i = 0; i < count; i++) {
		takers[i].framed = framed;
		takers[i].alone = count == 1;
		start_member(&takers[i], consumers[first + i], i, fd);
	}
	for (i = 0; i < PRODUCERS; i++)
		start_member(&makers[i], produce ? produce : producers[i], i,
			     fd);
	for (i = 0; i < PRODUCERS; i++)
		ck_assert_int_eq(vm_join(&makers[i].thread), 0);
	for (i = 0; i < count; i++)
		write_end(fd);
	for (i = 0; i < count; i++)
		ck_assert_int_eq(vm_join(&takers[i].thread), 0);
	assert_all_seen(fd, &before);
}

START_TEST(all_models_together_read_every_record_once)
{
	records = vm_repeat(RECORDS);
	stress(_i, 0, CONSUMERS, NULL);
}
END_TEST

/* Two loops in one: all consumers, on a stream and on messages. */
static const enum vm_channel small[] = { VM_STREAM_SMALL, VM_MESSAGE_SMALL };

START_TEST(one_consumer_reads_every_record_in_order)
{
	records = vm_repeat(RECORDS);
	stress(small[_i % 2], _i / 2, 1, NULL);
}
END_TEST

/*
 * Records that are given up in front of others, behind others, among others. A
 * parked read was tried on one of them and completed with -EAGAIN.
 */
START_TEST(one_consumer_reads_every_record_around_those_given_up)
{
	/* Emulated processors take their time over each change of a mapping. */
	records = vm_repeat(RECORDS / 8);
	stress(small[_i % 2], _i / 2, 1, produce_absent);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("threads");
	TCase *tcase = vm_tcase(suite, "together");

	tcase_add_loop_test(tcase, all_models_together_read_every_record_once,
			    VM_STREAM, VM_MESSAGE_SMALL + 1);
	tcase = vm_tcase(suite, "alone");
	tcase_add_loop_test(tcase, one_consumer_reads_every_record_in_order, 0, 2 * CONSUMERS);
	tcase = vm_tcase(suite, "given_up");
	tcase_add_loop_test(tcase, one_consumer_reads_every_record_around_those_given_up, 0,
			    2 * CONSUMERS);
	return vm_main(suite);
}
