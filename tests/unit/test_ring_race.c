// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ring between threads: producers that fill and settle their records in any
 * order, consumers that walk without the lock. Every record is accounted for,
 * by its number. Worth most in the build with the thread sanitizer.
 */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ring.h"
#include "ring_memory.h"
#include "unit.h"

#ifndef __has_feature
#define __has_feature(feature)	0
#endif

#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define RECORDS		20000
#elif defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define RECORDS		50000
#else
#define RECORDS		200000
#endif

#define PRODUCERS_MAX	4
#define CONSUMERS_MAX	3
#define OPEN_MAX	4
#define WALK_MAX	16

/*
 * @length_max: payload at the most; @discard, @unclaim: how many of 100;
 * @stream: take parts of records
 */
struct race {
	int producers, consumers;
	uint32_t ring_bytes, length_max;
	uint32_t discard, unclaim;
	bool stream;
};

static const struct race races[] = {
	{ 1, 1, 8192, 100, 0, 0, false },
	{ 3, 2, 8192, 200, 10, 10, false },
	{ 3, 2, 8192, 200, 10, 30, true },
	{ 4, 1, 8192, 40, 60, 10, true },
	{ 2, 3, 8192, 5000, 30, 10, true },
	{ 4, 3, 65536, 300, 90, 50, false },
	{ 3, 2, 8192, 0, 50, 20, false },
};

#define RACES	((int)(sizeof(races) / sizeof(races[0])))

/*
 * What became of a number. A producer enters it under the lock before it
 * settles the record; the numbers of discards that left no trace come again.
 */
struct account {
	uint32_t length;
	uint16_t producer;
	bool committed;
	bool taken;
	uint32_t number;
	uint32_t bytes;
};

/*
 * @next_sequence, @number_of and the accounts' taken and bytes belong to whoever
 * holds the claim. @number_of: the least number still to come of each producer.
 */
static struct {
	const struct race *race;
	struct achan_ring ring;
	struct account *accounts;
	uint64_t seed;
	uint64_t next_sequence;
	uint32_t number_of[PRODUCERS_MAX];
	_Atomic uint64_t taken, unclaimed, refused, waited;
	_Atomic int producing;
} arena;

struct open_record {
	struct achan_record *record;
	uint32_t number;
};

struct producer {
	pthread_t thread;
	int id;
	uint64_t random;
	uint32_t number;
	uint64_t committed;
	struct open_record open[OPEN_MAX];
	int opened;
};

struct consumer {
	pthread_t thread;
	uint64_t random;
};

/* A record that was walked over but is not retired. */
struct step {
	uint64_t sequence;
	uint32_t bytes;
	bool whole;
};

static void lock(void)
{
	raw_spin_lock(&arena.ring.lock);
}

static void unlock(void)
{
	raw_spin_unlock(&arena.ring.lock);
}

static void sometimes_yield(uint64_t *random)
{
	if (ring_random_below(random, 64) == 0)
		sched_yield();
}

static bool producer_reserve(struct producer *producer)
{
	uint32_t max = arena.race->length_max;
	uint32_t length = ring_random_below(&producer->random, max + 1);
	struct achan_record *record;

	lock();
	record = achan_ring_reserve(&arena.ring, length, arena.ring.sequence);
	unlock();
	if (!record) {
		atomic_fetch_add(&arena.refused, 1);
		return false;
	}
	producer->open[producer->opened++] = (struct open_record){
		record, producer->number++
	};
	return true;
}

static void producer_fill(struct producer *producer,
			  struct achan_record *record)
{
	unsigned char *payload = achan_record_payload(record);

	for (uint32_t i = 0; i < record->length; i++) {
		payload[i] = ring_pattern(record->sequence, i);
		if (i % 32 == 0)
			sometimes_yield(&producer->random);
	}
}

/* Settles one of the open records, any of them. */
static void producer_settle(struct producer *producer)
{
	int pick = (int)ring_random_below(&producer->random,
					  (uint32_t)producer->opened);
	struct open_record open = producer->open[pick];
	struct achan_record *record = open.record;
	struct account *account;
	bool discard;

	producer->open[pick] = producer->open[--producer->opened];
	discard = ring_random_below(&producer->random, 100) <
		  arena.race->discard;
	/* A discarded record may be half filled. */
	if (!discard || ring_random_below(&producer->random, 2))
		producer_fill(producer, record);
	lock();
	if (discard) {
		achan_ring_discard(&arena.ring, record);
	} else {
		account = &arena.accounts[record->sequence];
		account->committed = true;
		account->producer = (uint16_t)producer->id;
		account->number = open.number;
		account->length = record->length;
		producer->committed++;
		achan_ring_commit(&arena.ring, record);
	}
	unlock();
}

static void *produce(void *argument)
{
	struct producer *producer = argument;
	uint32_t records = RECORDS / (uint32_t)arena.race->producers;

	while (producer->number < records || producer->opened) {
		bool more = producer->number < records &&
			    producer->opened < OPEN_MAX &&
			    ring_random_below(&producer->random, 3);

		if (more && producer_reserve(producer))
			continue;
		if (producer->opened)
			producer_settle(producer);
		else
			sched_yield();
	}
	atomic_fetch_sub(&arena.producing, 1);
	return NULL;
}

static void check_header(const struct achan_record *record, uint64_t sequence)
{
	const struct account *account = &arena.accounts[record->sequence];

	if (record->sequence < sequence || record->sequence >= RECORDS)
		ck_abort_msg("record %llu, %" PRIu64 " or later expected",
			     record->sequence, sequence);
	if (!account->committed || account->taken ||
	    account->length != record->length || record->flags ||
	    record->timestamp != record->sequence)
		ck_abort_msg("record %llu: committed %d taken %d length %u, %u expected, flags %#x",
			     record->sequence, account->committed,
			     account->taken, record->length, account->length,
			     record->flags);
}

/* Reads @bytes from @offset, and the padding behind the last one. */
static void check_payload(struct achan_record *record, uint32_t offset,
			  uint32_t bytes)
{
	const unsigned char *payload = achan_record_payload(record);
	uint32_t end = offset + bytes, i;

	for (i = offset; i < end; i++)
		if (payload[i] != ring_pattern(record->sequence, i))
			ck_abort_msg("record %llu: byte %u of %u",
				     record->sequence, i, record->length);
	if (end < record->length)
		return;
	for (; i < ACHAN_RECORD_SIZE(record->length) - sizeof(*record); i++)
		if (payload[i])
			ck_abort_msg("record %llu: padding %u behind %u",
				     record->sequence, i, record->length);
}

/* Walks from @cursor without the lock. Return: records seen. */
static int walk(struct consumer *consumer, struct achan_cursor *cursor,
		struct step *steps, int most)
{
	uint64_t sequence = arena.next_sequence;
	struct achan_record *record;
	int count = 0;

	while (count < most &&
	       (record = achan_ring_next(&arena.ring, cursor))) {
		uint32_t bytes = record->length - cursor->offset;
		struct step *step = &steps[count++];

		if (arena.race->stream && bytes &&
		    ring_random_below(&consumer->random, 3) == 0)
			bytes = ring_random_below(&consumer->random, bytes);
		check_header(record, sequence);
		sequence = record->sequence;
		check_payload(record, cursor->offset, bytes);
		*step = (struct step){ sequence, bytes, false };
		achan_ring_consume(cursor, record, bytes);
		if (!cursor->offset && (bytes || !record->length)) {
			step->whole = true;
			sequence++;
		}
		sometimes_yield(&consumer->random);
	}
	return count;
}

static void take_whole(uint64_t sequence)
{
	struct account *account = &arena.accounts[sequence];
	uint32_t *number = &arena.number_of[account->producer];

	if (account->bytes != account->length)
		ck_abort_msg("record %" PRIu64 ": %u bytes read of %u",
			     sequence, account->bytes, account->length);
	if (account->number < *number)
		ck_abort_msg("record %" PRIu64 ": producer %u's number %u after %u",
			     sequence, account->producer, account->number,
			     *number - 1);
	*number = account->number + 1;
	account->taken = true;
	arena.next_sequence = sequence + 1;
	atomic_fetch_add(&arena.taken, 1);
}

static void account_for(const struct step *steps, int count)
{
	for (int i = 0; i < count; i++) {
		arena.accounts[steps[i].sequence].bytes += steps[i].bytes;
		if (steps[i].whole)
			take_whole(steps[i].sequence);
	}
}

/* Context: lock held. Return: false if there is nothing to claim. */
static bool claim(struct achan_cursor *cursor)
{
	if (arena.ring.claimed) {
		atomic_fetch_add(&arena.waited, 1);
		return false;
	}
	if (!achan_ring_readable(&arena.ring))
		return false;
	achan_ring_claim(&arena.ring, cursor);
	return true;
}

/* One claim; now and then for several rounds, as parked reads do it. */
static void consume_claimed(struct consumer *consumer,
			    struct achan_cursor *cursor)
{
	struct step steps[WALK_MAX];
	bool more;

	do {
		int most = 1 + (int)ring_random_below(&consumer->random,
						      WALK_MAX);
		int count = walk(consumer, cursor, steps, most);

		more = false;
		lock();
		if (ring_random_below(&consumer->random, 100) <
		    arena.race->unclaim) {
			atomic_fetch_add(&arena.unclaimed, 1);
		} else {
			account_for(steps, count);
			achan_ring_retire(&arena.ring, cursor);
			more = achan_ring_readable(&arena.ring) &&
			       ring_random_below(&consumer->random, 2);
		}
		if (more)
			achan_ring_claim(&arena.ring, cursor);
		else
			achan_ring_release(&arena.ring);
		unlock();
	} while (more);
}

static void *consume(void *argument)
{
	struct consumer *consumer = argument;
	struct achan_cursor cursor;
	bool claimed, stop;

	do {
		lock();
		stop = !atomic_load(&arena.producing) &&
		       !arena.ring.claimed &&
		       arena.ring.head == arena.ring.tail;
		claimed = claim(&cursor);
		unlock();
		if (claimed)
			consume_claimed(consumer, &cursor);
		else
			sched_yield();
	} while (!stop);
	return NULL;
}

static void run_threads(struct producer *producers, struct consumer *consumers)
{
	const struct race *race = arena.race;

	for (int i = 0; i < race->producers; i++) {
		producers[i].id = i;
		producers[i].random = arena.seed + 101 * (uint64_t)i;
		ck_assert_int_eq(pthread_create(&producers[i].thread, NULL,
						produce, &producers[i]), 0);
	}
	for (int i = 0; i < race->consumers; i++) {
		consumers[i].random = arena.seed + 1009 * (uint64_t)(i + 1);
		ck_assert_int_eq(pthread_create(&consumers[i].thread, NULL,
						consume, &consumers[i]), 0);
	}
	for (int i = 0; i < race->producers; i++)
		pthread_join(producers[i].thread, NULL);
	for (int i = 0; i < race->consumers; i++)
		pthread_join(consumers[i].thread, NULL);
}

static void check_accounts(const struct producer *producers)
{
	uint64_t committed = 0, gaps = 0;

	for (int i = 0; i < arena.race->producers; i++)
		committed += producers[i].committed;
	ck_assert_uint_eq(arena.taken, committed);
	for (uint64_t i = 0; i < arena.ring.sequence; i++) {
		if (arena.accounts[i].committed != arena.accounts[i].taken)
			ck_abort_msg("record %" PRIu64 " was lost", i);
		gaps += !arena.accounts[i].committed;
	}
	ck_assert_uint_eq(arena.ring.discarded, gaps);
	ck_assert_uint_eq(arena.ring.sequence, committed + gaps);
	ck_assert_uint_eq(arena.ring.head, arena.ring.tail);
	ck_assert_uint_eq(arena.ring.offset, 0);
	ck_assert_uint_eq(arena.ring.bytes, 0);
	printf("# %d producers, %d consumers: %" PRIu64 " taken, %" PRIu64
	       " gaps, %" PRIu64 " times full, %" PRIu64 " unclaimed, %" PRIu64
	       " times claimed by another\n", arena.race->producers,
	       arena.race->consumers, arena.taken, gaps, arena.refused,
	       arena.unclaimed, arena.waited);
	ck_assert_uint_gt(committed, 0);
}

START_TEST(every_committed_record_is_read_once)
{
	struct producer producers[PRODUCERS_MAX] = { 0 };
	struct consumer consumers[CONSUMERS_MAX] = { 0 };
	const struct race *race = &races[_i];
	void *data = ring_memory_map(race->ring_bytes);

	arena.race = race;
	arena.seed = ring_seed("race") + (uint64_t)_i;
	arena.producing = race->producers;
	arena.accounts = calloc(RECORDS, sizeof(*arena.accounts));
	ck_assert_ptr_nonnull(arena.accounts);
	achan_ring_init(&arena.ring, data, race->ring_bytes);
	/* The positions pass the end of their type on the way. */
	arena.ring.head = 0U - 4 * race->ring_bytes;
	arena.ring.tail = arena.ring.head;
	run_threads(producers, consumers);
	check_accounts(producers);
	free(arena.accounts);
	ring_memory_unmap(data, race->ring_bytes);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ring race");
	TCase *tcase = tcase_create("race");

	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, every_committed_record_is_read_once, 0,
			    RACES);
	suite_add_tcase(suite, tcase);
	return unit_main(suite);
}
