// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ring on one thread: every rule in a case of its own, then random
 * operations next to a plain queue that must always agree with the ring.
 */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ring.h"
#include "ring_memory.h"
#include "unit.h"

#ifndef __has_feature
#define __has_feature(feature)	0
#endif

#define RING_BYTES	ACHAN_RING_BYTES_MIN
#define HEADER		((uint32_t)sizeof(struct achan_record))
#define SIZE(length)	((uint32_t)ACHAN_RECORD_SIZE(length))
#define TIME(sequence)	((sequence) * 1000 + 7)

/* Check sends a message for every assertion that holds, which takes its time. */
#define AGREE(condition)						\
	do {								\
		if (!(condition))					\
			ck_abort_msg("not so: %s", #condition);		\
	} while (0)

static struct achan_ring ring;
static struct achan_cursor cursor;

/* Memory in which every multiple of 8 looks like a committed record. */
static void fill_with_stale_records(void *data, uint32_t bytes)
{
	const uint64_t looks_committed = 8;

	for (uint32_t at = 0; at < bytes; at += sizeof(looks_committed))
		memcpy((char *)data + at, &looks_committed,
		       sizeof(looks_committed));
}

static void make_ring_of(uint32_t bytes)
{
	void *data = ring_memory_map(bytes);

	fill_with_stale_records(data, bytes);
	achan_ring_init(&ring, data, bytes);
}

static void make_ring(void)
{
	make_ring_of(RING_BYTES);
}

static void free_ring(void)
{
	ring_memory_unmap(ring.data, ring.size);
}

static void start_at(uint32_t position)
{
	ring.head = position;
	ring.tail = position;
}

static struct achan_record *reserve(uint32_t length)
{
	struct achan_record *record;

	record = achan_ring_reserve(&ring, length, TIME(ring.sequence));
	if (record)
		ck_assert_uint_eq((uintptr_t)record % ACHAN_RECORD_ALIGN, 0);
	return record;
}

static void fill(struct achan_record *record, uint64_t tag)
{
	unsigned char *payload = achan_record_payload(record);

	for (uint32_t i = 0; i < record->length; i++)
		payload[i] = ring_pattern(tag, i);
}

static void check_filled(struct achan_record *record, uint64_t tag)
{
	unsigned char *payload = achan_record_payload(record);

	for (uint32_t i = 0; i < record->length; i++)
		if (payload[i] != ring_pattern(tag, i))
			ck_abort_msg("payload %" PRIu64 ": byte %u of %u", tag,
				     i, record->length);
}

static void check_padding(struct achan_record *record)
{
	unsigned char *payload = achan_record_payload(record);

	for (uint32_t i = record->length; i < SIZE(record->length) - HEADER; i++)
		AGREE(payload[i] == 0);
}

static void commit(struct achan_record *record)
{
	fill(record, record->sequence);
	achan_ring_commit(&ring, record);
}

static struct achan_record *put(uint32_t length)
{
	struct achan_record *record = reserve(length);

	ck_assert_ptr_nonnull(record);
	commit(record);
	return record;
}

/* The record at the cursor must be this one, whole. */
static struct achan_record *expect_next(uint64_t sequence, uint32_t length)
{
	struct achan_record *record = achan_ring_next(&ring, &cursor);

	ck_assert_ptr_nonnull(record);
	ck_assert_uint_eq(record->sequence, sequence);
	ck_assert_uint_eq(record->length, length);
	ck_assert_uint_eq(record->flags, 0);
	ck_assert_uint_eq(record->timestamp, TIME(sequence));
	check_filled(record, sequence);
	check_padding(record);
	return record;
}

static void expect_none(void)
{
	ck_assert_ptr_null(achan_ring_next(&ring, &cursor));
}

static void take(uint64_t sequence, uint32_t length)
{
	achan_ring_consume(&cursor, expect_next(sequence, length), length);
}

static void claim(void)
{
	achan_ring_claim(&ring, &cursor);
	AGREE(ring.claimed);
	AGREE(cursor.position == ring.tail);
	AGREE(cursor.offset == ring.offset);
	AGREE(cursor.bytes == 0);
}

static void release(void)
{
	achan_ring_release(&ring);
	ck_assert(!ring.claimed);
}

static void retire_and_release(void)
{
	achan_ring_retire(&ring, &cursor);
	release();
}

/* Takes one record under a claim of its own. */
static void get(uint64_t sequence, uint32_t length)
{
	ck_assert(achan_ring_readable(&ring));
	claim();
	take(sequence, length);
	retire_and_release();
}

static void expect_empty(void)
{
	ck_assert(!achan_ring_readable(&ring));
	ck_assert_uint_eq(ring.head, ring.tail);
	ck_assert_uint_eq(achan_ring_free(&ring), ring.size);
	ck_assert_uint_eq(ring.bytes, 0);
	ck_assert_uint_eq(ring.offset, 0);
	claim();
	expect_none();
	ck_assert_uint_eq(cursor.position, ring.tail);
	release();
}

START_TEST(new_ring_is_empty)
{
	expect_empty();
	ck_assert_uint_eq(ring.sequence, 0);
	ck_assert_uint_eq(ring.discarded, 0);
	ck_assert(!ring.claimed);
	ck_assert_uint_eq(achan_ring_record_max(&ring), RING_BYTES - 24);
}
END_TEST

START_TEST(records_come_out_as_they_went_in)
{
	for (uint64_t i = 0; i < 5; i++)
		put((uint32_t)i * 13);
	claim();
	for (uint64_t i = 0; i < 5; i++)
		take(i, (uint32_t)i * 13);
	expect_none();
	retire_and_release();
	expect_empty();
	ck_assert_uint_eq(ring.sequence, 5);
}
END_TEST

START_TEST(record_of_nothing_is_a_record)
{
	put(0);
	ck_assert_uint_eq(achan_ring_free(&ring), RING_BYTES - HEADER);
	ck_assert_uint_eq(ring.bytes, 0);
	get(0, 0);
	expect_empty();
}
END_TEST

/* The loop index is the length. */
START_TEST(record_wraps_at_every_alignment)
{
	uint32_t length = (uint32_t)_i;

	for (uint32_t before = 0; before <= SIZE(length); before += 8) {
		uint64_t sequence = ring.sequence;

		start_at(3 * RING_BYTES - before);
		put(length);
		put(length);
		get(sequence, length);
		get(sequence + 1, length);
		expect_empty();
		ck_assert_uint_eq(ring.tail,
				  3 * RING_BYTES - before + 2 * SIZE(length));
	}
}
END_TEST

START_TEST(record_fills_the_ring_exactly)
{
	uint32_t record_max = achan_ring_record_max(&ring);

	for (uint32_t start = 0; start <= RING_BYTES; start += 1000) {
		uint64_t sequence = ring.sequence;

		start_at(start);
		put(record_max);
		ck_assert_uint_eq(achan_ring_free(&ring), 0);
		ck_assert_ptr_null(reserve(0));
		ck_assert_uint_eq(ring.sequence, sequence + 1);
		get(sequence, record_max);
		expect_empty();
	}
}
END_TEST

START_TEST(record_of_one_byte_more_than_the_most_is_refused)
{
	struct achan_ring before = ring;

	ck_assert_ptr_null(reserve(achan_ring_record_max(&ring) + 1));
	ck_assert_ptr_null(reserve(RING_BYTES));
	ck_assert_mem_eq(&ring.data, &before.data,
			 sizeof(ring) - offsetof(struct achan_ring, data));
}
END_TEST

START_TEST(records_of_one_size_fill_the_ring_to_the_last)
{
	uint32_t length = (uint32_t)_i;
	uint32_t count = 0;

	start_at(RING_BYTES - 16);
	while (reserve(length))
		count++;
	ck_assert_uint_eq(count, RING_BYTES / SIZE(length));
	ck_assert_uint_eq(achan_ring_free(&ring), RING_BYTES % SIZE(length));
}
END_TEST

/* The loop index numbers the 24 orders in which four can be committed. */
START_TEST(nothing_is_visible_before_the_oldest_commits)
{
	struct achan_record *open[4];
	bool committed[4] = { false };
	uint32_t seen = 0;
	int rest = _i;

	for (int i = 0; i < 4; i++)
		open[i] = reserve(10 + (uint32_t)i);
	claim();
	for (int left = 4; left; left--) {
		int nth = rest % left, pick = 0;

		rest /= left;
		while (committed[pick] || nth--)
			pick++;
		commit(open[pick]);
		committed[pick] = true;
		ck_assert_int_eq(achan_ring_readable(&ring), committed[0]);
		for (; seen < 4 && committed[seen]; seen++)
			take(seen, 10 + seen);
		expect_none();
	}
	ck_assert_uint_eq(seen, 4);
	retire_and_release();
	expect_empty();
}
END_TEST

START_TEST(discard_of_the_last_leaves_no_trace)
{
	struct achan_record *record;
	struct achan_ring before;

	put(20);
	for (int claimed = 0; claimed < 2; claimed++) {
		if (claimed)
			claim();
		before = ring;
		record = reserve(100);
		achan_ring_discard(&ring, record);
		/* The room was taken all the same, and there was a newest one. */
		before.high_water = ring.high_water;
		before.last = ring.last;
		ck_assert_mem_eq(&ring.data, &before.data, sizeof(ring) -
				 offsetof(struct achan_ring, data));
	}
	release();
	put(30);
	get(0, 20);
	get(1, 30);
	expect_empty();
}
END_TEST

START_TEST(discards_from_the_last_to_the_first_leave_no_trace)
{
	struct achan_record *open[5];

	for (int i = 0; i < 5; i++)
		open[i] = reserve(40);
	for (int i = 4; i >= 0; i--)
		achan_ring_discard(&ring, open[i]);
	ck_assert_uint_eq(ring.sequence, 0);
	ck_assert_uint_eq(ring.discarded, 0);
	expect_empty();
}
END_TEST

START_TEST(discards_from_the_first_to_the_last_count_all_but_the_last)
{
	struct achan_record *open[5];

	for (int i = 0; i < 5; i++)
		open[i] = reserve(40);
	for (int i = 0; i < 5; i++)
		achan_ring_discard(&ring, open[i]);
	ck_assert_uint_eq(ring.sequence, 4);
	ck_assert_uint_eq(ring.discarded, 4);
	expect_empty();
}
END_TEST

START_TEST(discard_in_the_middle_is_passed_over_and_shows_as_a_gap)
{
	struct achan_record *middle;

	put(10);
	middle = reserve(11);
	put(12);
	achan_ring_discard(&ring, middle);
	ck_assert_uint_eq(ring.discarded, 1);
	ck_assert_uint_eq(ring.sequence, 3);
	ck_assert_uint_eq(ring.bytes, 22);
	ck_assert_uint_eq(ring.head - ring.tail,
			  SIZE(10) + SIZE(11) + SIZE(12));
	claim();
	take(0, 10);
	take(2, 12);
	expect_none();
	retire_and_release();
	expect_empty();
}
END_TEST

/* A number that is given up in the middle is not given again. */
START_TEST(discard_of_the_last_behind_a_discarded_one_goes_back_one_only)
{
	struct achan_record *middle, *last;
	uint32_t head;

	put(10);
	middle = reserve(11);
	head = ring.head;
	last = reserve(12);
	achan_ring_discard(&ring, middle);
	achan_ring_discard(&ring, last);
	ck_assert_uint_eq(ring.head, head);
	ck_assert_uint_eq(ring.sequence, 2);
	ck_assert_uint_eq(ring.discarded, 1);
	put(13);
	claim();
	take(0, 10);
	take(2, 13);
	retire_and_release();
	expect_empty();
}
END_TEST

START_TEST(discard_at_the_tail_frees_its_room_at_once)
{
	struct achan_record *first, *second;

	first = reserve(10);
	second = reserve(11);
	put(12);
	achan_ring_discard(&ring, second);
	ck_assert_uint_eq(achan_ring_free(&ring),
			  RING_BYTES - SIZE(10) - SIZE(11) - SIZE(12));
	achan_ring_discard(&ring, first);
	ck_assert_uint_eq(achan_ring_free(&ring), RING_BYTES - SIZE(12));
	ck_assert_uint_eq(ring.discarded, 2);
	get(2, 12);
	expect_empty();
}
END_TEST

/* The claimer may be reading the header of what is discarded. */
START_TEST(discard_at_the_tail_behind_a_claim_stays_until_the_release)
{
	struct achan_record *first;
	uint32_t tail = ring.tail;

	first = reserve(10);
	put(11);
	claim();
	expect_none();
	achan_ring_discard(&ring, first);
	ck_assert_uint_eq(ring.tail, tail);
	ck_assert_uint_eq(cursor.position, tail);
	expect_next(1, 11);
	ck_assert_uint_eq(cursor.position, tail + SIZE(10));
	release();
	ck_assert_uint_eq(ring.tail, tail + SIZE(10));
	get(1, 11);
	expect_empty();
}
END_TEST

/*
 * A record that was discarded while a consumer held the claim counted as
 * readable: the next parked read was tried on it and completed with -EAGAIN.
 */
START_TEST(discard_behind_a_retired_record_is_nothing_to_read)
{
	struct achan_record *middle, *last;

	put(10);
	middle = reserve(11);
	last = reserve(12);
	claim();
	take(0, 10);
	achan_ring_retire(&ring, &cursor);
	achan_ring_discard(&ring, middle);
	ck_assert(!achan_ring_readable(&ring));
	claim();
	expect_none();
	commit(last);
	ck_assert(achan_ring_readable(&ring));
	take(2, 12);
	retire_and_release();
	expect_empty();
}
END_TEST

/*
 * Where nothing but discarded records was left at the tail they counted as
 * readable too.
 */
START_TEST(discards_alone_behind_a_claim_are_nothing_to_read)
{
	struct achan_record *first, *second, *third;

	first = reserve(10);
	second = reserve(11);
	third = reserve(12);
	claim();
	achan_ring_discard(&ring, first);
	achan_ring_discard(&ring, second);
	ck_assert(!achan_ring_readable(&ring));
	achan_ring_discard(&ring, third);
	ck_assert(!achan_ring_readable(&ring));
	ck_assert_uint_eq(ring.head - ring.tail, SIZE(10) + SIZE(11));
	expect_none();
	release();
	expect_empty();
	ck_assert_uint_eq(ring.discarded, 2);
}
END_TEST

/* What was seen behind the old head must not be taken for a record. */
START_TEST(memory_behind_a_head_that_moved_back_is_no_record)
{
	struct achan_record *last;

	put(10);
	last = reserve(200);
	fill_with_stale_records(achan_record_payload(last), 200);
	claim();
	take(0, 10);
	expect_none();
	achan_ring_discard(&ring, last);
	expect_none();
	/* Shorter than what was there: its end is not at a new header. */
	put(30);
	take(1, 30);
	expect_none();
	ck_assert_uint_eq(cursor.position, ring.head);
	retire_and_release();
	expect_empty();
}
END_TEST

/* A consumer that read the head before it moved back looks at this flag. */
START_TEST(discard_of_the_last_leaves_it_busy)
{
	struct achan_record *last;

	put(10);
	last = reserve(50);
	ck_assert_uint_eq(last->flags, ACHAN_RECORD_BUSY);
	achan_ring_discard(&ring, last);
	ck_assert_uint_eq(last->flags, ACHAN_RECORD_BUSY);
}
END_TEST

START_TEST(padding_is_zero_for_every_length)
{
	for (uint32_t length = 0; length < 100; length++) {
		struct achan_record *record;

		fill_with_stale_records(ring.data, RING_BYTES);
		memset((char *)ring.data + SIZE(length), 0xa5, 8);
		start_at(0);
		record = reserve(length);
		check_padding(record);
		ck_assert_uint_eq(*((unsigned char *)ring.data + SIZE(length)),
				  0xa5);
	}
}
END_TEST

START_TEST(room_reserved_is_not_cleared)
{
	struct achan_record *record = reserve(16);

	ck_assert_uint_eq(*(uint64_t *)achan_record_payload(record), 8);
}
END_TEST

START_TEST(partial_take_is_kept_for_the_next_claim)
{
	struct achan_record *record;

	put(10);
	put(5);
	claim();
	record = expect_next(0, 10);
	achan_ring_consume(&cursor, record, 4);
	ck_assert_uint_eq(cursor.offset, 4);
	retire_and_release();
	ck_assert_uint_eq(ring.offset, 4);
	ck_assert_uint_eq(ring.bytes, 11);
	ck_assert_uint_eq(ring.head - ring.tail, SIZE(10) + SIZE(5));
	claim();
	ck_assert_uint_eq(cursor.offset, 4);
	ck_assert_ptr_eq(expect_next(0, 10), record);
	achan_ring_consume(&cursor, record, 6);
	ck_assert_uint_eq(cursor.offset, 0);
	achan_ring_consume(&cursor, expect_next(1, 5), 1);
	retire_and_release();
	ck_assert_uint_eq(ring.offset, 1);
	ck_assert_uint_eq(ring.bytes, 4);
	ck_assert_uint_eq(ring.head - ring.tail, SIZE(5));
}
END_TEST

START_TEST(release_without_retire_takes_nothing)
{
	put(10);
	put(20);
	claim();
	achan_ring_consume(&cursor, expect_next(0, 10), 3);
	retire_and_release();
	claim();
	achan_ring_consume(&cursor, expect_next(0, 10), 7);
	achan_ring_consume(&cursor, expect_next(1, 20), 5);
	release();
	ck_assert_uint_eq(ring.offset, 3);
	ck_assert_uint_eq(ring.bytes, 27);
	claim();
	achan_ring_consume(&cursor, expect_next(0, 10), 7);
	take(1, 20);
	retire_and_release();
	expect_empty();
}
END_TEST

START_TEST(retire_of_an_unmoved_cursor_changes_nothing)
{
	struct achan_ring before;

	put(10);
	claim();
	achan_ring_consume(&cursor, expect_next(0, 10), 3);
	retire_and_release();
	claim();
	before = ring;
	expect_next(0, 10);
	achan_ring_retire(&ring, &cursor);
	ck_assert_mem_eq(&ring.data, &before.data,
			 sizeof(ring) - offsetof(struct achan_ring, data));
	release();
	ck_assert_uint_eq(ring.offset, 3);
}
END_TEST

/* As for several parked reads: one claim after the other, no release. */
START_TEST(claim_can_be_kept_from_one_retire_to_the_next)
{
	put(10);
	put(11);
	claim();
	take(0, 10);
	achan_ring_retire(&ring, &cursor);
	ck_assert(ring.claimed);
	ck_assert_uint_eq(ring.bytes, 11);
	ck_assert_uint_eq(ring.head - ring.tail, SIZE(11));
	claim();
	take(1, 11);
	retire_and_release();
	expect_empty();
}
END_TEST

/* The loop index is a multiple of 8 bytes before the wrap. */
START_TEST(positions_wrap_at_the_end_of_their_type)
{
	struct achan_record *middle, *last;

	start_at(0U - 8 * (uint32_t)_i);
	put(10);
	middle = reserve(11);
	put(12);
	last = reserve(13);
	claim();
	take(0, 10);
	expect_none();
	achan_ring_discard(&ring, middle);
	take(2, 12);
	achan_ring_discard(&ring, last);
	put(14);
	take(3, 14);
	expect_none();
	ck_assert_uint_eq(achan_ring_free(&ring), RING_BYTES - SIZE(10) -
			  SIZE(11) - SIZE(12) - SIZE(14));
	retire_and_release();
	expect_empty();
}
END_TEST

START_TEST(full_ring_wraps_at_the_end_of_the_type)
{
	start_at(0U - 8 * (uint32_t)_i);
	put(achan_ring_record_max(&ring));
	ck_assert_uint_eq(achan_ring_free(&ring), 0);
	ck_assert_ptr_null(reserve(0));
	get(0, achan_ring_record_max(&ring));
	expect_empty();
}
END_TEST

START_TEST(bytes_count_payload_committed_and_not_retired)
{
	struct achan_record *open = reserve(100);

	ck_assert_uint_eq(ring.bytes, 0);
	put(7);
	ck_assert_uint_eq(ring.bytes, 7);
	commit(open);
	ck_assert_uint_eq(ring.bytes, 107);
	achan_ring_discard(&ring, reserve(50));
	ck_assert_uint_eq(ring.bytes, 107);
	claim();
	achan_ring_consume(&cursor, expect_next(0, 100), 30);
	ck_assert_uint_eq(ring.bytes, 107);
	achan_ring_retire(&ring, &cursor);
	ck_assert_uint_eq(ring.bytes, 77);
	release();
	ck_assert_uint_eq(ring.bytes, 77);
}
END_TEST

START_TEST(readable_says_whether_the_oldest_is_committed)
{
	struct achan_record *first, *second;

	ck_assert(!achan_ring_readable(&ring));
	first = reserve(10);
	ck_assert(!achan_ring_readable(&ring));
	second = reserve(11);
	commit(second);
	ck_assert(!achan_ring_readable(&ring));
	commit(first);
	ck_assert(achan_ring_readable(&ring));
	claim();
	ck_assert(achan_ring_readable(&ring));
	achan_ring_consume(&cursor, expect_next(0, 10), 9);
	achan_ring_retire(&ring, &cursor);
	ck_assert(achan_ring_readable(&ring));
	release();
	ck_assert(achan_ring_readable(&ring));
	first = reserve(12);
	ck_assert(achan_ring_readable(&ring));
	achan_ring_discard(&ring, first);
	claim();
	achan_ring_consume(&cursor, expect_next(0, 10), 1);
	take(1, 11);
	ck_assert(achan_ring_readable(&ring));
	achan_ring_retire(&ring, &cursor);
	ck_assert(!achan_ring_readable(&ring));
	release();
	ck_assert(!achan_ring_readable(&ring));
}
END_TEST

/*
 * The model: a queue of what the ring must hold.
 */
enum state { OPEN, COMMITTED, DISCARDED };

struct entry {
	enum state state;
	uint32_t position;
	uint32_t length;
	uint64_t sequence;
	uint64_t timestamp;
	uint64_t tag;
	struct achan_record *record;
};

#define MODEL_ENTRIES	(1U << 16)
#define MODEL_PHASE	4096

/*
 * @last is where the newest reservation was, given up or not. @at and @taken are the
 * cursor: entries from the front that it passed, and bytes of the next one that it took.
 * @reserved, @consumed and @rolled_back show at the end that the run was worth
 * something.
 */
static struct {
	struct entry entries[MODEL_ENTRIES];
	uint32_t front, count, open;
	uint32_t head, last, offset;
	uint64_t sequence, discarded, bytes;
	bool claimed;
	uint32_t at, taken;
	uint64_t taken_bytes;
	uint64_t random, tags, time;
	uint64_t reserved, refused, consumed, rolled_back, kept, extended;
} model;

static struct entry *entry(uint32_t i)
{
	return &model.entries[(model.front + i) % MODEL_ENTRIES];
}

static uint32_t below(uint32_t n)
{
	return ring_random_below(&model.random, n);
}

static uint32_t model_used(void)
{
	return model.count ? model.head - entry(0)->position : 0;
}

static void model_drop_discarded(void)
{
	while (model.count && entry(0)->state == DISCARDED) {
		model.front++;
		model.count--;
	}
}

static bool model_readable(void)
{
	uint32_t i = 0;

	while (i < model.count && entry(i)->state == DISCARDED)
		i++;
	return i < model.count && entry(i)->state == COMMITTED;
}

/* Mostly small, sometimes anything, sometimes just too much. */
static uint32_t random_length(void)
{
	switch (below(16)) {
	case 0:
		return below(achan_ring_record_max(&ring) + 16);
	case 1:
		return below(ring.size / 8);
	case 2:
		/* What is left, to the byte. */
		return achan_ring_free(&ring) - HEADER + 8 - below(16);
	default:
		return below(ring.size / 128);
	}
}

static void model_reserve(void)
{
	uint32_t length = random_length();
	struct achan_record *record;
	struct entry *new;

	/* Beyond what callers may ask for. */
	if (length > ring.size)
		length = 0;
	model.time += below(3);
	record = achan_ring_reserve(&ring, length, model.time);
	if (SIZE(length) > ring.size - model_used()) {
		AGREE(!record);
		model.refused++;
		return;
	}
	AGREE(record);
	AGREE((char *)record ==
	      (char *)ring.data + (model.head & (ring.size - 1)));
	new = entry(model.count++);
	*new = (struct entry){ OPEN, model.head, length, model.sequence++,
			       model.time, model.tags++, record };
	model.last = model.head;
	model.head += SIZE(length);
	model.open++;
	model.reserved++;
	check_padding(record);
}

static uint32_t random_open_entry(void)
{
	uint32_t nth = below(model.open), i = 0;

	while (entry(i)->state != OPEN || nth--)
		i++;
	return i;
}

static void model_commit(void)
{
	struct entry *open;

	if (!model.open)
		return;
	open = entry(random_open_entry());
	fill(open->record, open->tag);
	achan_ring_commit(&ring, open->record);
	open->state = COMMITTED;
	model.bytes += open->length;
	model.open--;
}

/* Whether the newest record can grow by so many bytes, up to so many in all. */
static bool model_can_extend(uint32_t length, uint32_t most)
{
	const struct entry *newest;

	if (model.claimed || !model.count)
		return false;
	newest = entry(model.count - 1);
	return newest->state == COMMITTED && newest->position == model.last &&
	       newest->length + length <= most &&
	       SIZE(newest->length + length) - SIZE(newest->length) <=
		       ring.size - model_used();
}

static void model_extend(void)
{
	uint32_t most = below(2) ? 4096 : 256, length = 1 + below(256);
	bool can = model_can_extend(length, most);
	unsigned char *to = achan_ring_extension(&ring, length, most);
	struct entry *newest;

	AGREE(!to == !can);
	if (!can)
		return;
	newest = entry(model.count - 1);
	AGREE(to == (unsigned char *)achan_record_payload(newest->record) +
		    newest->length);
	for (uint32_t i = 0; i < length; i++)
		to[i] = ring_pattern(newest->tag, newest->length + i);
	/* A copy that fell short leaves no trace. */
	if (below(4) == 0)
		length = 0;
	achan_ring_extend(&ring, length);
	model.head += SIZE(newest->length + length) - SIZE(newest->length);
	newest->length += length;
	model.bytes += length;
	model.extended++;
	check_filled(newest->record, newest->tag);
	check_padding(newest->record);
}

static void model_discard(void)
{
	struct entry *open;
	uint32_t i;

	if (!model.open)
		return;
	/* The newest reservation often enough to see the head move back. */
	i = random_open_entry();
	if (below(2) && entry(model.count - 1)->state == OPEN)
		i = model.count - 1;
	open = entry(i);
	achan_ring_discard(&ring, open->record);
	model.open--;
	if (i == model.count - 1) {
		model.head = open->position;
		model.count--;
		model.sequence--;
		model.rolled_back++;
		return;
	}
	open->state = DISCARDED;
	model.discarded++;
	if (!model.claimed)
		model_drop_discarded();
}

static void model_claim(void)
{
	if (model.claimed)
		return;
	claim();
	model.claimed = true;
	model.at = 0;
	model.taken = model.offset;
	model.taken_bytes = 0;
}

static void model_consume(void)
{
	struct achan_record *record;
	struct entry *next;
	uint32_t bytes;

	if (!model.claimed)
		return;
	while (model.at < model.count && entry(model.at)->state == DISCARDED)
		model.at++;
	next = entry(model.at);
	record = achan_ring_next(&ring, &cursor);
	if (model.at == model.count || next->state == OPEN) {
		AGREE(!record);
		return;
	}
	AGREE(record && record == next->record);
	AGREE(cursor.position == next->position);
	check_filled(record, next->tag);
	check_padding(record);
	bytes = next->length - model.taken;
	if (below(4) == 0)
		bytes = below(bytes + 1);
	achan_ring_consume(&cursor, record, bytes);
	model.taken += bytes;
	model.taken_bytes += bytes;
	if (model.taken == next->length) {
		model.at++;
		model.taken = 0;
		model.consumed++;
	}
	AGREE(cursor.offset == model.taken);
	AGREE(cursor.bytes == model.taken_bytes);
}

static void model_retire(void)
{
	if (!model.claimed)
		return;
	achan_ring_retire(&ring, &cursor);
	model.front += model.at;
	model.count -= model.at;
	model.offset = model.taken;
	model.bytes -= model.taken_bytes;
	/* The claim goes on, with a new cursor. */
	model.claimed = false;
	model_claim();
}

static void model_release(void)
{
	if (!model.claimed)
		return;
	if (below(4))
		model_retire();
	else
		model.kept++;
	achan_ring_release(&ring);
	model.claimed = false;
	model_drop_discarded();
}

static void check_entry(const struct entry *expected)
{
	static const uint32_t flags[] = {
		[OPEN] = ACHAN_RECORD_BUSY,
		[COMMITTED] = 0,
		[DISCARDED] = ACHAN_RECORD_DISCARD,
	};
	const struct achan_record *record = expected->record;

	if (record->length != expected->length ||
	    record->flags != flags[expected->state] ||
	    record->sequence != expected->sequence ||
	    record->timestamp != expected->timestamp)
		ck_abort_msg("the header of record %" PRIu64 " has changed",
			     expected->sequence);
}

static void check_entries(void)
{
	uint32_t position = model.count ? entry(0)->position : model.head;

	AGREE(ring.tail == position);
	for (uint32_t i = 0; i < model.count; i++) {
		if (entry(i)->position != position)
			ck_abort_msg("record %u of %u is at %u, not at %u", i,
				     model.count, entry(i)->position, position);
		if (i && (entry(i)->sequence <= entry(i - 1)->sequence ||
			  entry(i)->timestamp < entry(i - 1)->timestamp))
			ck_abort_msg("record %u of %u is out of order", i,
				     model.count);
		check_entry(entry(i));
		position += SIZE(entry(i)->length);
	}
	AGREE(ring.head == position);
}

static void check_model(void)
{
	check_entries();
	AGREE(ring.head - ring.tail <= ring.size);
	AGREE(achan_ring_free(&ring) == ring.size - model_used());
	AGREE(ring.offset == model.offset);
	AGREE(ring.sequence == model.sequence);
	AGREE(ring.discarded == model.discarded);
	AGREE(ring.bytes == model.bytes);
	AGREE(ring.claimed == model.claimed);
	AGREE(achan_ring_readable(&ring) == model_readable());
	if (!ring.claimed && model.count)
		AGREE(entry(0)->state != DISCARDED);
}

/* @weight, of 32: how often something goes in. The rest takes out. */
static void model_step(uint32_t weight)
{
	static void (*const in[])(void) = {
		model_reserve, model_reserve, model_commit, model_commit,
		model_commit, model_discard, model_extend,
	};
	static void (*const out[])(void) = {
		model_claim, model_claim, model_consume, model_consume,
		model_consume, model_consume, model_retire, model_release,
	};

	if (below(32) < weight)
		in[below(sizeof(in) / sizeof(in[0]))]();
	else
		out[below(sizeof(out) / sizeof(out[0]))]();
}

#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
/* There is one thread only. */
#define OPERATIONS(plain)	((plain) / 16)
#else
#define OPERATIONS(plain)	(plain)
#endif

static const struct {
	uint32_t bytes, operations;
} model_runs[] = {
	{ 8192, 500000 }, { 16384, 250000 }, { 65536, 150000 },
	{ 1U << 20, 100000 },
};

#define MODEL_RUNS	((int)(sizeof(model_runs) / sizeof(model_runs[0])))

START_TEST(random_operations_agree_with_a_plain_queue)
{
	uint32_t operations = OPERATIONS(model_runs[_i].operations);
	uint32_t weight = 16;

	make_ring_of(model_runs[_i].bytes);
	model.random = ring_seed("model") + (uint64_t)_i;
	/* Half of the runs pass the end of the position's type. */
	model.head = below(2) ? (uint32_t)ring_random(&model.random) & ~7U :
				0U - 8 * below(ring.size);
	start_at(model.head);
	for (uint32_t i = 0; i < operations; i++) {
		if (i % MODEL_PHASE == 0)
			weight = 8 + below(17);
		model_step(weight);
		check_model();
	}
	printf("# %u bytes: %" PRIu64 " reserved, %" PRIu64 " refused, %" PRIu64
	       " rolled back, %" PRIu64 " discarded, %" PRIu64 " consumed\n",
	       ring.size, model.reserved, model.refused, model.rolled_back,
	       model.discarded, model.consumed);
	ck_assert_uint_gt(model.consumed, operations / 50);
	ck_assert_uint_gt(model.rolled_back, operations / 500);
	ck_assert_uint_gt(model.discarded, operations / 500);
	ck_assert_uint_gt(model.refused, operations / 1000);
	ck_assert_uint_gt(model.kept, operations / 1000);
	ck_assert_uint_gt(model.extended, operations / 1000);
	free_ring();
}
END_TEST

static TCase *room_cases(void)
{
	TCase *tcase = tcase_create("room");

	tcase_add_checked_fixture(tcase, make_ring, free_ring);
	tcase_add_test(tcase, new_ring_is_empty);
	tcase_add_test(tcase, records_come_out_as_they_went_in);
	tcase_add_test(tcase, record_of_nothing_is_a_record);
	tcase_add_loop_test(tcase, record_wraps_at_every_alignment, 0, 18);
	tcase_add_test(tcase, record_fills_the_ring_exactly);
	tcase_add_test(tcase, record_of_one_byte_more_than_the_most_is_refused);
	tcase_add_loop_test(tcase,
			    records_of_one_size_fill_the_ring_to_the_last, 0,
			    18);
	tcase_add_test(tcase, padding_is_zero_for_every_length);
	tcase_add_test(tcase, room_reserved_is_not_cleared);
	tcase_add_loop_test(tcase, positions_wrap_at_the_end_of_their_type, 0,
			    24);
	tcase_add_loop_test(tcase, full_ring_wraps_at_the_end_of_the_type, 0,
			    24);
	return tcase;
}

static TCase *commit_cases(void)
{
	TCase *tcase = tcase_create("commit and discard");

	tcase_add_checked_fixture(tcase, make_ring, free_ring);
	tcase_add_loop_test(tcase, nothing_is_visible_before_the_oldest_commits,
			    0, 24);
	tcase_add_test(tcase, discard_of_the_last_leaves_no_trace);
	tcase_add_test(tcase, discard_of_the_last_leaves_it_busy);
	tcase_add_test(tcase,
		       discards_from_the_last_to_the_first_leave_no_trace);
	tcase_add_test(tcase,
		       discards_from_the_first_to_the_last_count_all_but_the_last);
	tcase_add_test(tcase,
		       discard_in_the_middle_is_passed_over_and_shows_as_a_gap);
	tcase_add_test(tcase,
		       discard_of_the_last_behind_a_discarded_one_goes_back_one_only);
	tcase_add_test(tcase, discard_at_the_tail_frees_its_room_at_once);
	tcase_add_test(tcase,
		       discard_at_the_tail_behind_a_claim_stays_until_the_release);
	tcase_add_test(tcase,
		       discard_behind_a_retired_record_is_nothing_to_read);
	tcase_add_test(tcase,
		       discards_alone_behind_a_claim_are_nothing_to_read);
	tcase_add_test(tcase,
		       memory_behind_a_head_that_moved_back_is_no_record);
	return tcase;
}

static TCase *take_cases(void)
{
	TCase *tcase = tcase_create("claim and retire");

	tcase_add_checked_fixture(tcase, make_ring, free_ring);
	tcase_add_test(tcase, partial_take_is_kept_for_the_next_claim);
	tcase_add_test(tcase, release_without_retire_takes_nothing);
	tcase_add_test(tcase, retire_of_an_unmoved_cursor_changes_nothing);
	tcase_add_test(tcase, claim_can_be_kept_from_one_retire_to_the_next);
	tcase_add_test(tcase, bytes_count_payload_committed_and_not_retired);
	tcase_add_test(tcase, readable_says_whether_the_oldest_is_committed);
	return tcase;
}

static TCase *model_cases(void)
{
	TCase *tcase = tcase_create("model");

	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, random_operations_agree_with_a_plain_queue,
			    0, MODEL_RUNS);
	return tcase;
}

/* Room for a record of 100 bytes in a ring of records of 100 bytes. */
START_TEST(oldest_records_make_room_for_a_newer_one)
{
	uint32_t held = 0;

	while (achan_ring_free(&ring) >= SIZE(100)) {
		put(100);
		held++;
	}
	ck_assert_uint_gt(held, 2);
	ck_assert(achan_ring_make_room(&ring, 100));
	ck_assert_uint_eq(ring.overwritten, 1);
	ck_assert_uint_eq(ring.bytes, (held - 1) * 100);
	put(100);
	/* A larger one takes as many as it needs. */
	ck_assert(achan_ring_make_room(&ring, 250));
	ck_assert_uint_gt(ring.overwritten, 2);
	put(250);
	claim();
	take(ring.overwritten, 100);
	retire_and_release();
}
END_TEST

START_TEST(whole_ring_makes_room_for_the_largest)
{
	for (int i = 0; i < 5; i++)
		put(100);
	ck_assert(achan_ring_make_room(&ring, achan_ring_record_max(&ring)));
	ck_assert_uint_eq(ring.overwritten, 5);
	ck_assert_uint_eq(ring.bytes, 0);
	expect_empty();
	put(achan_ring_record_max(&ring));
}
END_TEST

START_TEST(what_is_claimed_makes_no_room)
{
	while (achan_ring_free(&ring) >= SIZE(100))
		put(100);
	claim();
	ck_assert(!achan_ring_make_room(&ring, 100));
	ck_assert_uint_eq(ring.overwritten, 0);
	take(0, 100);
	retire_and_release();
	ck_assert(achan_ring_make_room(&ring, 100));
	ck_assert_uint_eq(ring.overwritten, 0);
}
END_TEST

START_TEST(what_is_not_committed_makes_no_room)
{
	struct achan_record *open;

	put(100);
	open = reserve(100);
	while (achan_ring_free(&ring) >= SIZE(100))
		put(100);
	/* The one before it does, and no more. */
	ck_assert(achan_ring_make_room(&ring, 100));
	put(100);
	ck_assert(!achan_ring_make_room(&ring, 100));
	ck_assert_uint_eq(ring.overwritten, 1);
	commit(open);
	ck_assert(achan_ring_make_room(&ring, 100));
	ck_assert_uint_eq(ring.overwritten, 2);
}
END_TEST

START_TEST(record_that_was_begun_goes_with_its_rest)
{
	put(100);
	put(60);
	claim();
	achan_ring_consume(&cursor, expect_next(0, 100), 30);
	retire_and_release();
	ck_assert_uint_eq(ring.offset, 30);
	ck_assert_uint_eq(ring.bytes, 130);
	ck_assert(achan_ring_make_room(&ring, ring.size - HEADER - SIZE(60)));
	ck_assert_uint_eq(ring.offset, 0);
	ck_assert_uint_eq(ring.bytes, 60);
	claim();
	take(1, 60);
	retire_and_release();
}
END_TEST

START_TEST(counters_say_what_passed)
{
	struct achan_record *rest;

	for (int i = 0; i < 4; i++)
		put(100);
	claim();
	take(0, 100);
	achan_ring_consume(&cursor, expect_next(1, 100), 40);
	retire_and_release();
	ck_assert_uint_eq(ring.records_in, 4);
	ck_assert_uint_eq(ring.bytes_in, 400);
	ck_assert_uint_eq(ring.records_out, 1);
	ck_assert_uint_eq(ring.bytes_out, 140);
	ck_assert_uint_eq(ring.high_water, 4 * SIZE(100));
	claim();
	rest = achan_ring_next(&ring, &cursor);
	ck_assert_ptr_nonnull(rest);
	achan_ring_consume(&cursor, rest, 60);
	retire_and_release();
	ck_assert_uint_eq(ring.records_out, 2);
	ck_assert_uint_eq(ring.bytes_out, 200);
	ck_assert_uint_eq(ring.high_water, 4 * SIZE(100));
}
END_TEST

/* The loop index is the length before; every length up to 64 is added to it. */
START_TEST(extension_is_part_of_the_record)
{
	uint32_t before = (uint32_t)_i;

	for (uint32_t length = 1; length <= 64; length++) {
		struct achan_record *record = put(before);
		uint32_t free = achan_ring_free(&ring);
		unsigned char *to = achan_ring_extension(&ring, length, 4096);

		ck_assert_ptr_nonnull(to);
		for (uint32_t i = 0; i < length; i++)
			to[i] = ring_pattern(record->sequence, before + i);
		achan_ring_extend(&ring, length);
		ck_assert_uint_eq(record->length, before + length);
		ck_assert_uint_eq(free - achan_ring_free(&ring),
				  SIZE(before + length) - SIZE(before));
		ck_assert_uint_eq(ring.bytes, before + length);
		get(record->sequence, before + length);
		expect_empty();
	}
}
END_TEST

/* A stream read has begun it: the rest has what was added. */
START_TEST(record_that_was_begun_grows)
{
	struct achan_record *record = put(20);
	unsigned char *to;

	claim();
	achan_ring_consume(&cursor, expect_next(0, 20), 15);
	retire_and_release();
	to = achan_ring_extension(&ring, 3, 4096);
	ck_assert_ptr_nonnull(to);
	for (uint32_t i = 0; i < 3; i++)
		to[i] = ring_pattern(record->sequence, 20 + i);
	achan_ring_extend(&ring, 3);
	claim();
	ck_assert_uint_eq(cursor.offset, 15);
	achan_ring_consume(&cursor, expect_next(0, 23), 8);
	retire_and_release();
	expect_empty();
}
END_TEST

START_TEST(what_must_not_change_is_not_extended)
{
	struct achan_record *open;

	ck_assert_ptr_null(achan_ring_extension(&ring, 1, 4096));
	put(10);
	ck_assert_ptr_null(achan_ring_extension(&ring, 11, 20));
	ck_assert_ptr_nonnull(achan_ring_extension(&ring, 10, 20));
	claim();
	ck_assert_ptr_null(achan_ring_extension(&ring, 1, 4096));
	release();
	open = reserve(10);
	ck_assert_ptr_null(achan_ring_extension(&ring, 1, 4096));
	/* What lies before a discarded one is not the newest reservation. */
	achan_ring_discard(&ring, open);
	ck_assert_ptr_null(achan_ring_extension(&ring, 1, 4096));
	while (achan_ring_free(&ring) >= SIZE(100))
		put(100);
	ck_assert_ptr_null(achan_ring_extension(&ring, ring.size, ring.size));
	achan_ring_clear(&ring);
	ck_assert_ptr_null(achan_ring_extension(&ring, 1, 4096));
}
END_TEST

START_TEST(cleared_ring_counts_what_it_threw_away)
{
	for (int i = 0; i < 5; i++)
		put(100);
	claim();
	take(0, 100);
	achan_ring_consume(&cursor, expect_next(1, 100), 40);
	retire_and_release();
	achan_ring_clear(&ring);
	expect_empty();
	ck_assert_uint_eq(ring.discarded, 4);
	put(7);
	get(5, 7);
}
END_TEST

static TCase *extension_cases(void)
{
	TCase *tcase = tcase_create("extension");

	tcase_add_checked_fixture(tcase, make_ring, free_ring);
	tcase_add_loop_test(tcase, extension_is_part_of_the_record, 0, 18);
	tcase_add_test(tcase, record_that_was_begun_grows);
	tcase_add_test(tcase, what_must_not_change_is_not_extended);
	tcase_add_test(tcase, cleared_ring_counts_what_it_threw_away);
	return tcase;
}

static TCase *count_cases(void)
{
	TCase *tcase = tcase_create("count");

	tcase_add_checked_fixture(tcase, make_ring, free_ring);
	tcase_add_test(tcase, oldest_records_make_room_for_a_newer_one);
	tcase_add_test(tcase, whole_ring_makes_room_for_the_largest);
	tcase_add_test(tcase, what_is_claimed_makes_no_room);
	tcase_add_test(tcase, what_is_not_committed_makes_no_room);
	tcase_add_test(tcase, record_that_was_begun_goes_with_its_rest);
	tcase_add_test(tcase, counters_say_what_passed);
	return tcase;
}

int main(void)
{
	Suite *suite = suite_create("ring model");

	suite_add_tcase(suite, room_cases());
	suite_add_tcase(suite, commit_cases());
	suite_add_tcase(suite, take_cases());
	suite_add_tcase(suite, count_cases());
	suite_add_tcase(suite, extension_cases());
	suite_add_tcase(suite, model_cases());
	return unit_main(suite);
}
