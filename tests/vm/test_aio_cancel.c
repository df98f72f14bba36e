// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kernel AIO: parked requests that end otherwise than by data. Whatever ends
 * them and whatever it races with, there is one completion for each, and every
 * record is either in a buffer or still in the channel.
 */
#include "kernel_aio.h"

#include <poll.h>
#include <sched.h>
#include <sys/wait.h>

#define RACES		10000
#define SLOW_RACES	2000
#define BATCH		500
#define PARKED		1000
#define THREADS		100

/* Payload of which the small rings hold exactly FULL records. */
#define LENGTH		1000
#define FULL		8

static const enum vm_channel both[] = { VM_STREAM, VM_MESSAGE };
static const enum vm_channel small[] = { VM_STREAM_SMALL, VM_MESSAGE_SMALL };

/* Row "io_cancel of a parked request". */
START_TEST(cancel_gives_einprogress_and_one_completion_with_ecanceled)
{
	int fd = vm_open(both[_i], O_RDWR | O_NONBLOCK);
	uint64_t cancelled = vm_info(fd).cancelled;
	io_context_t context = aio_context(1);
	struct iocb request;
	char buffer[8];

	aio_park_read(context, &request, fd, buffer, sizeof(buffer));
	ck_assert_int_eq(aio_cancel_request(context, &request), -EINPROGRESS);
	ck_assert_int_eq(aio_result(context, &request), -ECANCELED);
	ck_assert(aio_idle(context));
	ck_assert_uint_eq(vm_info(fd).cancelled, cancelled + 1);
	ck_assert_uint_eq(vm_info(fd).parked_reads, 0);
	/* The record after it is for others. */
	vm_write(fd, "free", 4);
	ck_assert_int_eq(vm_errno(read(fd, buffer, sizeof(buffer))), 4);
	ck_assert(aio_idle(context));
}
END_TEST

START_TEST(cancel_of_a_worker_read_completes_with_ecanceled)
{
	int fd = vm_open(both[_i], O_RDWR | O_NONBLOCK);
	io_context_t context = aio_context(1);
	uint64_t worker = aio_worker(fd);
	struct iocb request;

	aio_park_read(context, &request, fd, malloc(AIO_WORKER_BYTES),
		      AIO_WORKER_BYTES);
	ck_assert_uint_eq(aio_worker(fd), worker + 1);
	ck_assert_int_eq(aio_cancel_result(context, &request), -ECANCELED);
	ck_assert_uint_eq(vm_info(fd).parked_reads, 0);
}
END_TEST

START_TEST(cancel_of_a_completed_request_is_einval)
{
	int fd = vm_open(both[_i], O_RDWR);
	io_context_t context = aio_context(1);
	struct iocb request;
	char buffer[8];

	aio_park_read(context, &request, fd, buffer, sizeof(buffer));
	vm_write(fd, "x", 1);
	ck_assert_int_eq(aio_result(context, &request), 1);
	ck_assert_int_eq(aio_cancel_request(context, &request), -EINVAL);
	ck_assert(aio_idle(context));
}
END_TEST

START_TEST(second_cancel_is_einval)
{
	int fd = vm_open(both[_i], O_RDWR);
	io_context_t context = aio_context(1);
	struct iocb request;
	char buffer[8];

	aio_park_read(context, &request, fd, buffer, sizeof(buffer));
	ck_assert_int_eq(aio_cancel_result(context, &request), -ECANCELED);
	ck_assert_int_eq(aio_cancel_request(context, &request), -EINVAL);
	ck_assert(aio_idle(context));
}
END_TEST

static int cancel_in_child(void *argument)
{
	void **arguments = argument;

	return aio_cancel_request(arguments[0], arguments[1]) != -EINVAL;
}

START_TEST(cancel_by_another_context_or_process_changes_nothing)
{
	int fd = vm_open(both[_i], O_RDWR);
	io_context_t context = aio_context(1), other = aio_context(1);
	struct iocb request;
	void *arguments[2] = { context, &request };
	char buffer[8];

	aio_park_read(context, &request, fd, buffer, sizeof(buffer));
	ck_assert_int_eq(aio_cancel_request(other, &request), -EINVAL);
	vm_wait_success(vm_fork(cancel_in_child, arguments));
	ck_assert(aio_idle(context));
	ck_assert_uint_eq(vm_info(fd).parked_reads, 1);
	vm_write(fd, "x", 1);
	ck_assert_int_eq(aio_result(context, &request), 1);
}
END_TEST

START_TEST(cancel_in_the_middle_keeps_the_order_of_the_others)
{
	int fd = vm_open(both[_i], O_RDWR);
	io_context_t context = aio_context(5);
	struct iocb requests[5];
	uint64_t buffers[5], i;

	for (i = 0; i < 5; i++)
		aio_park_read(context, &requests[i], fd, &buffers[i], 8);
	for (i = 0; i < 5; i += 2)
		ck_assert_int_eq(aio_cancel_result(context, &requests[i]),
				 -ECANCELED);
	for (i = 1; i < 5; i += 2) {
		vm_write(fd, &i, 8);
		ck_assert_int_eq(aio_result(context, &requests[i]), 8);
		ck_assert_uint_eq(buffers[i], i);
	}
}
END_TEST

START_TEST(cancel_of_a_poll_request_completes_it_once)
{
	int fd = vm_open(both[_i], O_RDWR);
	io_context_t context = aio_context(1);
	struct iocb request;

	io_prep_poll(&request, fd, POLLIN);
	aio_submit(context, &request);
	/* A cancelled poll's result is the kernel's choice: no events. */
	ck_assert_int_eq(aio_cancel_result(context, &request), 0);
	vm_write(fd, "x", 1);
	ck_assert(aio_idle(context));
}
END_TEST

START_TEST(cancel_of_a_parked_write_puts_nothing_in)
{
	int fd = vm_open(small[_i], O_RDWR | O_NONBLOCK);
	io_context_t context = aio_context(1);
	unsigned char data[LENGTH] = "";
	struct iocb request;
	size_t i;

	ck_assert_uint_eq(vm_fill_records(fd, LENGTH), FULL);
	aio_park_write(context, &request, fd, data, LENGTH);
	ck_assert_int_eq(aio_cancel_result(context, &request), -ECANCELED);
	ck_assert_uint_eq(vm_info(fd).parked_writes, 0);
	for (i = 0; i < FULL; i++) {
		vm_read(fd, data, LENGTH);
		vm_assert_pattern(data, LENGTH, i * LENGTH);
	}
	ck_assert_int_eq(vm_errno(read(fd, data, LENGTH)), -EAGAIN);
}
END_TEST

START_TEST(cancel_of_a_stream_write_taken_in_part_gives_the_partial_count)
{
	int fd = vm_open(VM_STREAM_SMALL, O_RDWR | O_NONBLOCK);
	io_context_t context = aio_context(1);
	size_t size = 100000, taken;
	unsigned char *data = malloc(size);
	struct iocb request;

	vm_pattern(data, size, 0);
	aio_park_write(context, &request, fd, data, size);
	taken = vm_info(fd).bytes;
	ck_assert_uint_gt(taken, 0);
	ck_assert_int_eq(aio_cancel_result(context, &request), taken);
	vm_read(fd, data, taken);
	vm_assert_pattern(data, taken, 0);
	ck_assert_int_eq(vm_errno(read(fd, data, size)), -EAGAIN);
	vm_write(fd, "next", 4);
	ck_assert_int_eq(vm_errno(read(fd, data, size)), 4);
}
END_TEST

/*
 * Opens a full message channel with a large write parked and makes room for a
 * small record, which has to wait behind the large one.
 */
static int park_large(io_context_t context, struct iocb *request)
{
	static unsigned char data[4 * LENGTH];
	int fd = vm_open(VM_MESSAGE_SMALL, O_RDWR);

	ck_assert_uint_eq(vm_fill_records(fd, LENGTH), FULL);
	aio_park_write(context, request, fd, data, sizeof(data));
	vm_read(fd, data, LENGTH);
	ck_assert(aio_idle(context));
	return fd;
}

START_TEST(cancel_of_a_large_write_lets_the_next_parked_one_in)
{
	io_context_t contexts[2] = { aio_context(1), aio_context(1) };
	struct iocb large, next;
	int fd = park_large(contexts[0], &large);

	aio_park_write(contexts[1], &next, fd, "next", 4);
	ck_assert_int_eq(aio_cancel_result(contexts[0], &large), -ECANCELED);
	ck_assert_int_eq(aio_result(contexts[1], &next), 4);
}
END_TEST

static long write_word(void *argument)
{
	return vm_errno(write(*(int *)argument, "word", 4));
}

START_TEST(cancel_of_a_large_write_wakes_a_writer_asleep_behind_it)
{
	io_context_t context = aio_context(1);
	struct iocb large;
	int fd = park_large(context, &large);
	struct vm_thread writer;

	vm_spawn(&writer, write_word, &fd);
	vm_wait_sleeping(writer.tid);
	ck_assert_int_eq(aio_cancel_result(context, &large), -ECANCELED);
	ck_assert_int_eq(vm_join(&writer), 4);
}
END_TEST

static long poll_for_room(void *argument)
{
	return vm_poll_wait(*(int *)argument, POLLOUT);
}

START_TEST(cancel_of_a_large_write_wakes_who_polls_for_room)
{
	static unsigned char data[7 * LENGTH];
	int fd = vm_open(VM_MESSAGE_SMALL, O_RDWR);
	io_context_t context = aio_context(1);
	struct vm_thread poller;
	struct iocb large;

	/* There stays room for PIPE_BUF bytes, but not for the large one. */
	vm_write(fd, data, 2 * LENGTH);
	ck_assert_int_eq(vm_poll(fd, POLLOUT), POLLOUT);
	aio_park_write(context, &large, fd, data, sizeof(data));
	ck_assert_int_eq(vm_poll(fd, POLLOUT), 0);
	vm_spawn(&poller, poll_for_room, &fd);
	vm_wait_sleeping(poller.tid);
	ck_assert_int_eq(aio_cancel_result(context, &large), -ECANCELED);
	ck_assert_int_eq(vm_join(&poller), POLLOUT);
}
END_TEST

/* A thread that does its half of a race, round by round. */
struct racer {
	struct vm_thread thread;
	unsigned int round;	/* the last one started */
	unsigned int rounds;
	unsigned int done;	/* the last one done */
	unsigned int delay;	/* turns that a cancel waits for its record */
	int fd;
};

static void start_round(struct racer *racer)
{
	__atomic_add_fetch(&racer->round, 1, __ATOMIC_RELEASE);
}

static void wait_round(const unsigned int *word, unsigned int round)
{
	unsigned int spins = 0;

	/* Spin for a tight race, but live on a single processor as well. */
	while ((int)(__atomic_load_n(word, __ATOMIC_ACQUIRE) - round) < 0)
		if (++spins > 1000)
			sched_yield();
}

static void spin(unsigned int turns)
{
	for (; turns; turns--)
		__asm__ __volatile__("" : "+r" (turns));
}

/*
 * Sees to it that now the one, now the other wins the race, however far apart
 * they start on this machine: who has won gives the other one more time.
 */
static void balance(struct racer *racer, bool cancelled)
{
	if (cancelled)
		racer->delay += racer->delay / 8 + 1;
	else
		racer->delay -= racer->delay / 8 + !!racer->delay;
}

static long race_writes(void *argument)
{
	struct racer *racer = argument;
	unsigned int round;

	for (round = 1; round <= racer->rounds; round++) {
		uint64_t value = round;

		wait_round(&racer->round, round);
		if (write(racer->fd, &value, 8) != 8)
			return -errno;
		__atomic_store_n(&racer->done, round, __ATOMIC_RELEASE);
	}
	return 0;
}

static void assert_racer_ended(struct racer *racer)
{
	wait_round(&racer->done, racer->rounds);
	ck_assert_int_eq(vm_join(&racer->thread), 0);
}

/* One round: a read parks, a record comes, the read is cancelled. */
static bool race_one_read(io_context_t context, struct racer *racer,
			  uint64_t *buffer, size_t length)
{
	struct io_event event;
	struct iocb request;
	int cancelled;
	long result;

	*buffer = 0;
	io_prep_pread(&request, racer->fd, buffer, length, 0);
	aio_submit(context, &request);
	start_round(racer);
	spin(racer->delay);
	cancelled = aio_cancel_request(context, &request);
	aio_wait(context, &event, 1);
	result = event.res;
	ck_assert_ptr_eq(event.obj, &request);
	ck_assert(aio_idle(context));
	if (result == -ECANCELED) {
		ck_assert_int_eq(cancelled, -EINPROGRESS);
		ck_assert_uint_eq(*buffer, 0);
		vm_read(racer->fd, buffer, 8);
	} else {
		ck_assert_int_eq(result, 8);
		ck_assert_int_ne(cancelled, 0);
	}
	ck_assert_uint_eq(*buffer, racer->round);
	balance(racer, result == -ECANCELED);
	return result == -ECANCELED;
}

static void race_reads(enum vm_channel channel, unsigned int rounds,
		       size_t length)
{
	struct racer racer = { .rounds = rounds };
	unsigned int round, cancelled = 0;
	uint64_t *buffer = calloc(1, length);
	io_context_t context = aio_context(1);

	racer.fd = vm_open(channel, O_RDWR);
	vm_spawn(&racer.thread, race_writes, &racer);
	for (round = 0; round < rounds; round++)
		cancelled += race_one_read(context, &racer, buffer, length);
	assert_racer_ended(&racer);
	printf("# %u of %u reads of %zu bytes were cancelled\n", cancelled,
	       rounds, length);
	/* It was a race. */
	ck_assert_uint_gt(cancelled, 0);
	ck_assert_uint_lt(cancelled, rounds);
	ck_assert_uint_eq(vm_info(racer.fd).bytes, 0);
	aio_wait_unparked(racer.fd);
}

START_TEST(cancel_raced_against_completion_gives_one_completion_each)
{
	race_reads(both[_i], vm_repeat(RACES), 8);
}
END_TEST

START_TEST(cancel_raced_against_a_worker_gives_one_completion_each)
{
	race_reads(both[_i], vm_repeat(SLOW_RACES), AIO_WORKER_BYTES);
}
END_TEST

/* Cancels what another thread submits, as early as it can be found. */
struct hunter {
	io_context_t context;
	struct iocb request;
	bool stop;
};

static long hunt(void *argument)
{
	struct hunter *hunter = argument;

	while (!__atomic_load_n(&hunter->stop, __ATOMIC_RELAXED))
		aio_cancel_request(hunter->context, &hunter->request);
	return 0;
}

/*
 * io_cancel() finds a request before it is parked, which then must not park. The
 * driver counts only those as cancelled that had parked.
 */
START_TEST(cancel_raced_against_submission_gives_one_completion_each)
{
	struct hunter hunter = { .context = aio_context(1) };
	int fd = vm_open(both[_i], O_RDWR | O_NONBLOCK);
	uint64_t cancelled = vm_info(fd).cancelled;
	unsigned int rounds = vm_repeat(RACES), round, early = 0;
	struct vm_thread thread;
	char got[8];

	vm_spawn(&thread, hunt, &hunter);
	for (round = 1; round <= rounds && early < SLOW_RACES / 10; round++) {
		io_prep_pread(&hunter.request, fd, got, sizeof(got), 0);
		aio_submit(hunter.context, &hunter.request);
		ck_assert_int_eq(aio_result(hunter.context, &hunter.request),
				 -ECANCELED);
		ck_assert(aio_idle(hunter.context));
		early = round - (vm_info(fd).cancelled - cancelled);
	}
	__atomic_store_n(&hunter.stop, true, __ATOMIC_RELAXED);
	ck_assert_int_eq(vm_join(&thread), 0);
	printf("# %u of %u reads were cancelled before they parked\n", early,
	       round - 1);
	aio_wait_unparked(fd);
	vm_write(fd, "next", 4);
	ck_assert_int_eq(vm_errno(read(fd, got, sizeof(got))), 4);
	if (!early)
		vm_skip("no cancel came before the parking in %u rounds", round - 1);
}
END_TEST

static long race_batches(void *argument)
{
	struct racer *racer = argument;
	unsigned int round;
	uint64_t i;

	for (round = 1; round <= racer->rounds; round++) {
		wait_round(&racer->round, round);
		for (i = 0; i < BATCH; i++)
			if (write(racer->fd, &i, 8) != 8)
				return -errno;
		__atomic_store_n(&racer->done, round, __ATOMIC_RELEASE);
	}
	return 0;
}

/*
 * Of reads of which some got a record and the others none, the first must
 * have the records 0, 1, ... in their order; the rest be in the channel.
 */
static void assert_conserved(int fd, const uint64_t *buffers, size_t count)
{
	uint64_t next = 0, value;
	size_t i;

	for (i = 0; i < count; i++)
		if (buffers[i] != UINT64_MAX)
			ck_assert_uint_eq(buffers[i], next++);
	for (; next < count; next++) {
		vm_read(fd, &value, 8);
		ck_assert_uint_eq(value, next);
	}
	ck_assert_uint_eq(vm_info(fd).bytes, 0);
}

static void park_batch(io_context_t context, int fd, struct iocb *requests,
		       uint64_t *buffers)
{
	size_t i;

	for (i = 0; i < BATCH; i++) {
		buffers[i] = UINT64_MAX;
		io_prep_pread(&requests[i], fd, &buffers[i], 8, 0);
	}
	aio_submit_all(context, requests, BATCH);
}

/* Cancels go through the batch from its end, records from its beginning. */
static void race_batch(io_context_t context, struct racer *racer)
{
	static struct io_event events[BATCH];
	static struct iocb requests[BATCH];
	static uint64_t buffers[BATCH];
	size_t i;

	park_batch(context, racer->fd, requests, buffers);
	start_round(racer);
	for (i = BATCH; i-- > 0;)
		aio_cancel_request(context, &requests[i]);
	aio_wait(context, events, BATCH);
	ck_assert(aio_idle(context));
	for (i = 0; i < BATCH; i++) {
		size_t index = events[i].obj - requests;
		long result = events[i].res;

		/* That it was seen once is remembered in the request. */
		ck_assert_ptr_null(requests[index].data);
		requests[index].data = &requests[index];
		if (result == -ECANCELED)
			ck_assert_uint_eq(buffers[index], UINT64_MAX);
		else
			ck_assert_int_eq(result, 8);
	}
	wait_round(&racer->done, racer->round);
	assert_conserved(racer->fd, buffers, BATCH);
}

START_TEST(cancels_raced_against_a_flow_of_records_lose_nothing)
{
	struct racer racer = { .rounds = vm_repeat(RACES / BATCH) };
	io_context_t context = aio_context(BATCH);
	unsigned int round;

	racer.fd = vm_open(both[_i], O_RDWR);
	vm_spawn(&racer.thread, race_batches, &racer);
	for (round = 0; round < racer.rounds; round++)
		race_batch(context, &racer);
	assert_racer_ended(&racer);
	aio_wait_unparked(racer.fd);
}
END_TEST

START_TEST(io_destroy_raced_against_a_flow_of_records_loses_nothing)
{
	struct racer racer = { .rounds = vm_repeat(20) };
	static struct iocb requests[BATCH];
	static uint64_t buffers[BATCH];
	unsigned int round;

	racer.fd = vm_open(both[_i], O_RDWR);
	vm_spawn(&racer.thread, race_batches, &racer);
	for (round = 0; round < racer.rounds; round++) {
		io_context_t context = aio_context(BATCH);

		park_batch(context, racer.fd, requests, buffers);
		start_round(&racer);
		spin(round * 1000);
		ck_assert_int_eq(io_destroy(context), 0);
		ck_assert_uint_eq(vm_info(racer.fd).parked_reads, 0);
		wait_round(&racer.done, racer.round);
		assert_conserved(racer.fd, buffers, BATCH);
	}
	assert_racer_ended(&racer);
}
END_TEST

static long race_room(void *argument)
{
	struct racer *racer = argument;
	unsigned char data[LENGTH];
	unsigned int round;

	for (round = 1; round <= racer->rounds; round++) {
		wait_round(&racer->round, round);
		if (read(racer->fd, data, LENGTH) != LENGTH)
			return -EIO;
		/* Records come in the order of their numbers. */
		if (memcmp(data, &round, sizeof(round)))
			return -EBADMSG;
		__atomic_store_n(&racer->done, round, __ATOMIC_RELEASE);
	}
	return 0;
}

/* Puts in record number @number, which the channel has room for. */
static void put_numbered(int fd, unsigned int number)
{
	unsigned char data[LENGTH] = "";

	memcpy(data, &number, sizeof(number));
	vm_write(fd, data, LENGTH);
}

/* Cancelled or not, record number round + FULL is in when it returns. */
static bool race_one_write(io_context_t context, struct racer *racer)
{
	unsigned int number = racer->round + FULL + 1;
	unsigned char data[LENGTH] = "";
	struct iocb request;
	int cancelled;
	long result;

	memcpy(data, &number, sizeof(number));
	aio_park_write(context, &request, racer->fd, data, LENGTH);
	start_round(racer);
	spin(racer->delay);
	cancelled = aio_cancel_request(context, &request);
	result = aio_result(context, &request);
	ck_assert(aio_idle(context));
	wait_round(&racer->done, racer->round);
	if (result == -ECANCELED) {
		ck_assert_int_eq(cancelled, -EINPROGRESS);
		put_numbered(racer->fd, number);
	} else {
		ck_assert_int_eq(result, LENGTH);
	}
	ck_assert_uint_eq(vm_info(racer->fd).bytes, FULL * LENGTH);
	balance(racer, result == -ECANCELED);
	return result == -ECANCELED;
}

START_TEST(cancel_raced_against_room_gives_one_completion_each)
{
	struct racer racer = { .rounds = vm_repeat(SLOW_RACES) };
	io_context_t context = aio_context(1);
	unsigned int round, cancelled = 0;

	racer.fd = vm_open(VM_MESSAGE_SMALL, O_RDWR);
	for (round = 1; round <= FULL; round++)
		put_numbered(racer.fd, round);
	vm_spawn(&racer.thread, race_room, &racer);
	for (round = 0; round < racer.rounds; round++)
		cancelled += race_one_write(context, &racer);
	assert_racer_ended(&racer);
	printf("# %u of %u writes were cancelled\n", cancelled, racer.rounds);
	ck_assert_uint_gt(cancelled, 0);
	ck_assert_uint_lt(cancelled, racer.rounds);
	aio_wait_unparked(racer.fd);
}
END_TEST

/* PARKED reads, every other one of them left to a worker. */
static io_context_t park_thousand(int fd)
{
	struct iocb *requests = calloc(PARKED, sizeof(*requests));
	io_context_t context = aio_context(PARKED);
	void *buffer = malloc(AIO_WORKER_BYTES);
	size_t i;

	for (i = 0; i < PARKED; i++)
		io_prep_pread(&requests[i], fd, buffer,
			      i % 2 ? AIO_WORKER_BYTES : 8, 0);
	aio_submit_all(context, requests, PARKED);
	ck_assert_uint_eq(vm_info(fd).parked_reads, PARKED);
	return context;
}

/* The channel works, and nothing of what was parked takes part any more. */
static void assert_usable(int fd)
{
	char buffer[8];

	aio_wait_unparked(fd);
	vm_write(fd, "usable", 6);
	vm_read(fd, buffer, 6);
	ck_assert_mem_eq(buffer, "usable", 6);
}

START_TEST(io_destroy_ends_a_thousand_parked_reads_within_a_second)
{
	int fd = vm_open(both[_i], O_RDWR);
	uint64_t cancelled = vm_info(fd).cancelled;
	io_context_t context = park_thousand(fd);
	int64_t start = vm_now_ms();

	ck_assert_int_eq(io_destroy(context), 0);
	aio_assert_quick(start, "io_destroy");
	ck_assert_uint_eq(vm_info(fd).parked_reads, 0);
	ck_assert_uint_eq(vm_info(fd).cancelled, cancelled + PARKED);
	assert_usable(fd);
}
END_TEST

/* What a child does with its thousand parked reads once they are parked. */
struct ending {
	int fd;
	int ready[2];
	void (*end)(io_context_t context);
};

static int park_and_end(void *argument)
{
	struct ending *ending = argument;
	io_context_t context = park_thousand(ending->fd);

	if (write(ending->ready[1], "r", 1) != 1)
		return 2;
	ending->end(context);
	return 3;
}

/* Starts the child, and returns once its reads are parked. */
static pid_t start_child(struct ending *ending, enum vm_channel channel)
{
	char byte;
	pid_t pid;

	ending->fd = vm_open(channel, O_RDWR);
	ck_assert_int_eq(pipe(ending->ready), 0);
	pid = vm_fork(park_and_end, ending);
	ck_assert_int_eq(vm_poll_wait(ending->ready[0], POLLIN), POLLIN);
	vm_read(ending->ready[0], &byte, 1);
	return pid;
}

static void sleep_in_getevents(io_context_t context)
{
	struct io_event event;

	io_getevents(context, 1, 1, &event, NULL);
}

START_TEST(kill_9_ends_a_thousand_parked_reads_within_a_second)
{
	struct ending ending = { .end = sleep_in_getevents };
	pid_t pid = start_child(&ending, both[_i]);
	int64_t start;
	int status;

	vm_wait_sleeping(pid);
	start = vm_now_ms();
	kill(pid, SIGKILL);
	status = vm_wait(pid);
	aio_assert_quick(start, "the end of the killed process");
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_usable(ending.fd);
}
END_TEST

static void end_by_exit(io_context_t context)
{
	(void)context;
	_exit(0);
}

START_TEST(exit_ends_a_thousand_parked_reads_within_a_second)
{
	struct ending ending = { .end = end_by_exit };
	pid_t pid = start_child(&ending, both[_i]);
	int64_t start = vm_now_ms();

	vm_wait_success(pid);
	aio_assert_quick(start, "the end of the process");
	assert_usable(ending.fd);
}
END_TEST

/* main() returns at once when it is given this one argument. */
#define EXECUTED	"--executed"

static void end_by_exec(io_context_t context)
{
	(void)context;
	execl("/proc/self/exe", "test_aio_cancel", EXECUTED, NULL);
	_exit(4);
}

START_TEST(exec_ends_a_thousand_parked_reads_within_a_second)
{
	struct ending ending = { .end = end_by_exec };
	pid_t pid = start_child(&ending, both[_i]);
	int64_t start = vm_now_ms();

	vm_wait_success(pid);
	aio_assert_quick(start, "exec");
	assert_usable(ending.fd);
}
END_TEST

static int park_writes_and_wait(void *argument)
{
	struct iocb *requests = calloc(PARKED, sizeof(*requests));
	io_context_t context = aio_context(PARKED);
	struct ending *ending = argument;
	size_t i;

	for (i = 0; i < PARKED; i++)
		io_prep_pwrite(&requests[i], ending->fd, "ghost", 5, 0);
	aio_submit_all(context, requests, PARKED);
	if (write(ending->ready[1], "r", 1) != 1)
		return 2;
	pause();
	return 3;
}

START_TEST(kill_9_ends_a_thousand_parked_writes_and_puts_nothing_in)
{
	struct ending ending = { .fd = vm_open(small[_i], O_RDWR) };
	size_t bytes = vm_fill(ending.fd), done;
	unsigned char buffer[VM_ATOMIC];
	int64_t start;
	pid_t pid;

	ck_assert_int_eq(pipe(ending.ready), 0);
	pid = vm_fork(park_writes_and_wait, &ending);
	ck_assert_int_eq(vm_poll_wait(ending.ready[0], POLLIN), POLLIN);
	ck_assert_uint_eq(vm_info(ending.fd).parked_writes, PARKED);
	start = vm_now_ms();
	kill(pid, SIGKILL);
	vm_wait(pid);
	aio_assert_quick(start, "the end of the killed process");
	aio_wait_unparked(ending.fd);
	for (done = 0; done < bytes;) {
		ssize_t got = vm_errno(read(ending.fd, buffer, sizeof(buffer)));

		ck_assert_int_gt(got, 0);
		vm_assert_pattern(buffer, got, done);
		done += got;
	}
	ck_assert_uint_eq(vm_info(ending.fd).bytes, 0);
}
END_TEST

/* Writes until it is killed, whether anybody reads or not. */
static int flood(void *argument)
{
	int fd = *(int *)argument;
	uint64_t value;

	for (value = 0;; value++) {
		if (write(fd, &value, 8) == 8)
			continue;
		if (errno != EAGAIN)
			return 1;
		sched_yield();
	}
}

static int park_and_exit(void *argument)
{
	struct iocb *requests = calloc(PARKED, sizeof(*requests));
	io_context_t context = aio_context(PARKED);
	void *buffer = malloc(AIO_WORKER_BYTES);
	int fd = *(int *)argument;
	size_t i;

	for (i = 0; i < PARKED; i++)
		io_prep_pread(&requests[i], fd, buffer,
			      i % 2 ? AIO_WORKER_BYTES : 8, 0);
	aio_submit_all(context, requests, PARKED);
	return 0;
}

START_TEST(exit_with_parked_reads_while_records_flood_in)
{
	int fd = vm_open(both[_i], O_RDWR | O_NONBLOCK);
	pid_t producer = vm_fork(flood, &fd);
	int exits = vm_repeat(10), i, status;

	for (i = 0; i < exits; i++)
		vm_wait_success(vm_fork(park_and_exit, &fd));
	kill(producer, SIGKILL);
	status = vm_wait(producer);
	ck_assert(WIFSIGNALED(status));
	vm_drain(fd);
	assert_usable(fd);
}
END_TEST

/* A hundred readers of one channel, and how often each record was read. */
#define TURNS	20
static unsigned char seen[THREADS * TURNS];

static long read_by_own_context(void *argument)
{
	io_context_t context = aio_context(8);
	struct iocb requests[4], request;
	int fd = *(int *)argument, i;
	char unused[4];
	uint64_t value;

	for (i = 0; i < TURNS; i++) {
		io_prep_pread(&request, fd, &value, sizeof(value), 0);
		aio_submit(context, &request);
		if (aio_result(context, &request) != sizeof(value))
			return -EIO;
		if (value >= sizeof(seen))
			return -EBADMSG;
		__atomic_add_fetch(&seen[value], 1, __ATOMIC_RELAXED);
	}
	/* Ends with requests parked, on a channel where nothing comes. */
	fd = ((int *)argument)[1];
	for (i = 0; i < 4; i++) {
		io_prep_pread(&requests[i], fd, &unused[i], 1, 0);
		aio_submit(context, &requests[i]);
	}
	return io_destroy(context);
}

START_TEST(hundred_threads_with_a_context_each_share_the_records)
{
	static struct vm_thread threads[THREADS];
	int fds[2] = { vm_open(both[_i], O_RDWR),
		       vm_open(small[_i], O_RDWR) };
	uint64_t value;
	int i;

	for (i = 0; i < THREADS; i++)
		vm_spawn(&threads[i], read_by_own_context, fds);
	for (value = 0; value < sizeof(seen); value++)
		vm_write(fds[0], &value, sizeof(value));
	for (i = 0; i < THREADS; i++)
		ck_assert_int_eq(vm_join(&threads[i]), 0);
	for (value = 0; value < sizeof(seen); value++)
		ck_assert_uint_eq(seen[value], 1);
	ck_assert_uint_eq(vm_info(fds[0]).bytes, 0);
	aio_wait_unparked(fds[1]);
}
END_TEST

static void add_both(TCase *tcase, const TTest *test)
{
	tcase_add_loop_test(tcase, test, 0, VM_ARRAY_SIZE(both));
}

static void add_cancel_cases(Suite *suite)
{
	TCase *tcase = vm_tcase(suite, "cancel");

	add_both(tcase,
		 cancel_gives_einprogress_and_one_completion_with_ecanceled);
	add_both(tcase, cancel_of_a_worker_read_completes_with_ecanceled);
	add_both(tcase, cancel_of_a_completed_request_is_einval);
	add_both(tcase, second_cancel_is_einval);
	add_both(tcase, cancel_by_another_context_or_process_changes_nothing);
	add_both(tcase, cancel_in_the_middle_keeps_the_order_of_the_others);
	add_both(tcase, cancel_of_a_poll_request_completes_it_once);
	add_both(tcase, cancel_of_a_parked_write_puts_nothing_in);
	tcase_add_test(tcase, cancel_of_a_stream_write_taken_in_part_gives_the_partial_count);
	tcase_add_test(tcase,
		       cancel_of_a_large_write_lets_the_next_parked_one_in);
	tcase_add_test(tcase,
		       cancel_of_a_large_write_wakes_a_writer_asleep_behind_it);
	tcase_add_test(tcase, cancel_of_a_large_write_wakes_who_polls_for_room);
}

static void add_race_cases(Suite *suite)
{
	TCase *tcase = vm_tcase(suite, "race");

	add_both(tcase, cancel_raced_against_completion_gives_one_completion_each);
	add_both(tcase, cancel_raced_against_a_worker_gives_one_completion_each);
	add_both(tcase, cancel_raced_against_submission_gives_one_completion_each);
	add_both(tcase, cancels_raced_against_a_flow_of_records_lose_nothing);
	add_both(tcase,
		 io_destroy_raced_against_a_flow_of_records_loses_nothing);
	tcase_add_test(tcase,
		       cancel_raced_against_room_gives_one_completion_each);
	add_both(tcase, hundred_threads_with_a_context_each_share_the_records);
}

static void add_end_cases(Suite *suite)
{
	TCase *tcase = vm_tcase(suite, "end");

	add_both(tcase,
		 io_destroy_ends_a_thousand_parked_reads_within_a_second);
	add_both(tcase, kill_9_ends_a_thousand_parked_reads_within_a_second);
	add_both(tcase, exit_ends_a_thousand_parked_reads_within_a_second);
	add_both(tcase, exec_ends_a_thousand_parked_reads_within_a_second);
	add_both(tcase,
		 kill_9_ends_a_thousand_parked_writes_and_puts_nothing_in);
	add_both(tcase, exit_with_parked_reads_while_records_flood_in);
}

int main(int argc, char **argv)
{
	Suite *suite;

	if (argc == 2 && !strcmp(argv[1], EXECUTED))
		return 0;
	suite = suite_create("aio_cancel");
	add_cancel_cases(suite);
	add_race_cases(suite);
	add_end_cases(suite);
	return vm_main(suite);
}
