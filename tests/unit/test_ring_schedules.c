// SPDX-License-Identifier: GPL-2.0-only
/*
 * The walk without the lock, against producers, in every order of events there
 * can be in a few small scenes: see scenes[].
 *
 * The threads of a scene are coroutines on one real thread. Before each access
 * that others can see they stop at a point, where the scheduler chooses who
 * goes on. It runs the scene again and again and goes through all choices,
 * depth first. Orders that differ only in neighbouring accesses of different
 * memory, or two loads, are one: "sleep sets" (Godefroid 1996) skip the others.
 * There is no point before an unlock, as everybody who does not wait for the
 * lock could as well have gone on at the point before.
 *
 * A load is a choice too: it may return what was stored before, as long as the
 * thread does not know of anything newer. It gets to know by its own accesses,
 * by an acquire of what was released, and by the lock. That is the release and
 * acquire of C11, and of the kernel's model that a store under a lock brings
 * with it what was known when the lock was taken (po-unlock-lock-po), for the
 * head and the flags. All else must be accessed in order: in the build with the
 * thread sanitizer, where each coroutine is a fiber, it says so if it is not.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

#include "shim-schedules/linux/spinlock.h"

/* The ring.c that is linked in for the other programs has these names too. */
#define achan_ring_init		scheduled_ring_init
#define achan_ring_reserve	scheduled_ring_reserve
#define achan_ring_discard	scheduled_ring_discard
#define achan_ring_make_room	scheduled_ring_make_room
#define achan_ring_skip_discarded	scheduled_ring_skip_discarded
#define achan_ring_readable_behind	scheduled_ring_readable_behind
#define achan_ring_extension	scheduled_ring_extension
#define achan_ring_extend	scheduled_ring_extend
#define achan_ring_clear	scheduled_ring_clear
#include "ring.c"

#include "ring_memory.h"
#include "unit.h"

#ifndef __has_feature
#define __has_feature(feature)	0
#endif

#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#include <sanitizer/tsan_interface.h>
/* Moving from one fiber to another orders nothing. */
#define FIBER_CREATE()		__tsan_create_fiber(0)
#define FIBER_CURRENT()		__tsan_get_current_fiber()
#define FIBER_SWITCH(fiber)						\
	__tsan_switch_to_fiber(fiber, __tsan_switch_to_fiber_no_sync)
/* For the scheduler, which is no part of the program it schedules. */
#define UNSEEN	__attribute__((no_sanitize("thread")))
#else
#define FIBER_CREATE()		NULL
#define FIBER_CURRENT()		NULL
#define FIBER_SWITCH(fiber)	((void)(fiber))
#define UNSEEN
#endif

#define THREADS		3
#define NOBODY		THREADS
#define POINTS_MAX	256
#define LOCATIONS	32
#define VALUES		24
#define STACK_BYTES	(256 * 1024)
#define MEMORY_BYTES	4096U
#define TAGS		8

/* What a thread will do when it goes on. */
struct access {
	enum schedule_access kind;
	const char *address;
	size_t bytes;
};

/*
 * A choice: @enabled could go on; @tried were chosen in earlier runs; @asleep
 * need not be, since a run has shown what comes of it. All are bit masks.
 * @of_value: among values that a load may return, newest first. Then nobody is
 * asleep, but for @still_asleep at the next choice among threads.
 */
struct choice {
	unsigned int chosen, enabled, tried, asleep, still_asleep;
	bool of_value;
	struct access next[THREADS];
};

struct coroutine {
	ucontext_t context;
	void *fiber;
	struct access next;
	bool finished;
};

/*
 * @replayed: choices that this run takes over; @depth: choices made so far;
 * @redundant: the rest of this run is known.
 */
static struct {
	struct coroutine threads[THREADS + 1];
	unsigned int current;
	bool starting, redundant;
	struct choice choices[POINTS_MAX];
	unsigned int replayed, depth;
	uint64_t schedules, redundant_runs;
} scheduler;

/* For every location, which of its values is the oldest that can be loaded. */
struct view {
	unsigned char oldest[LOCATIONS];
};

/* A value that was stored, and what there is to know by an acquire of it. */
struct value {
	u32 value;
	struct view released;
};

struct location {
	const void *address;
	unsigned int values;
	struct value value[VALUES];
};

static struct {
	struct location locations[LOCATIONS];
	unsigned int count;
	struct view of_thread[THREADS], at_lock[THREADS], of_lock;
} views;

/* One run of a scene. */
struct scene {
	const char *name;
	void (*threads[THREADS])(void);
	u32 ring_bytes, start;
};

static const struct scene *scene;
static struct achan_ring ring;
static void *memory;
static int begun, ended;

/* What happened to the record with a tag; taken[] is the claimer's. */
static bool committed[TAGS], taken[TAGS];
static u64 sequence_of[TAGS];
static u64 next_sequence;
static bool took_by_thread;

/*
 * The schedule: the number of the thread that went on at each point, a letter
 * for a value loaded: 'a' is the newest, if there was a choice.
 */
UNSEEN static const char *schedule_text(void)
{
	static char text[POINTS_MAX + 1];
	unsigned int i;

	for (i = 0; i < scheduler.depth; i++)
		text[i] = (char)((scheduler.choices[i].of_value ? 'a' : '0') +
				 (int)scheduler.choices[i].chosen);
	text[i] = 0;
	return text;
}

#define MUST(condition)							\
	do {								\
		if (!(condition))					\
			ck_abort_msg("%s, schedule %s: not so: %s",	\
				     scene->name, schedule_text(),	\
				     #condition);			\
	} while (0)

UNSEEN static bool independent(const struct access *a, const struct access *b)
{
	if (a->kind == SCHEDULE_LOAD && b->kind == SCHEDULE_LOAD)
		return true;
	return a->address + a->bytes <= b->address ||
	       b->address + b->bytes <= a->address;
}

UNSEEN static bool can_go_on(const struct coroutine *thread)
{
	const raw_spinlock_t *lock = (const void *)thread->next.address;

	if (thread->finished)
		return false;
	return thread->next.kind != SCHEDULE_LOCK || !lock->held;
}

UNSEEN static unsigned int asleep_after(const struct choice *choice)
{
	unsigned int before = choice->asleep | choice->tried, after = 0;

	if (choice->of_value)
		return choice->still_asleep;
	for (unsigned int i = 0; i < THREADS; i++)
		if ((before & 1U << i) && i != choice->chosen &&
		    independent(&choice->next[i],
				&choice->next[choice->chosen]))
			after |= 1U << i;
	return after;
}

UNSEEN static unsigned int lowest(unsigned int mask)
{
	return (unsigned int)__builtin_ctz(mask);
}

/* A choice that no earlier run came to. */
UNSEEN static struct choice *new_choice(unsigned int enabled)
{
	struct choice *choice = &scheduler.choices[scheduler.depth];

	if (scheduler.depth == POINTS_MAX)
		ck_abort_msg("%s: more than %u points", scene->name,
			     POINTS_MAX);
	choice->enabled = enabled;
	choice->tried = 0;
	choice->asleep = 0;
	choice->still_asleep = 0;
	choice->of_value = false;
	if (scheduler.depth)
		choice->still_asleep = asleep_after(choice - 1);
	scheduler.depth++;
	return choice;
}

UNSEEN static unsigned int choose_thread(unsigned int enabled)
{
	struct choice *choice = new_choice(enabled);

	choice->asleep = choice->still_asleep;
	if (!(enabled & ~choice->asleep)) {
		scheduler.depth--;
		scheduler.redundant = true;
		return lowest(enabled);
	}
	choice->chosen = lowest(enabled & ~choice->asleep);
	for (unsigned int i = 0; i < THREADS; i++)
		choice->next[i] = scheduler.threads[i].next;
	return choice->chosen;
}

/* One of @count, which 0 is the newest of. */
UNSEEN static unsigned int choose_value(unsigned int count)
{
	struct choice *choice;

	if (count == 1 || scheduler.redundant)
		return 0;
	if (scheduler.depth < scheduler.replayed)
		return scheduler.choices[scheduler.depth++].chosen;
	choice = new_choice((1U << count) - 1);
	choice->of_value = true;
	choice->chosen = 0;
	return 0;
}

UNSEEN static unsigned int choose(void)
{
	unsigned int enabled = 0, unfinished = 0;

	for (unsigned int i = 0; i < THREADS; i++) {
		if (can_go_on(&scheduler.threads[i]))
			enabled |= 1U << i;
		unfinished += !scheduler.threads[i].finished;
	}
	if (!unfinished)
		return NOBODY;
	if (!enabled)
		ck_abort_msg("%s, schedule %s: all wait", scene->name,
			     schedule_text());
	if (scheduler.redundant)
		return lowest(enabled);
	if (scheduler.depth < scheduler.replayed) {
		if (scheduler.choices[scheduler.depth].enabled != enabled)
			ck_abort_msg("%s: does not replay", scene->name);
		return scheduler.choices[scheduler.depth++].chosen;
	}
	return choose_thread(enabled);
}

UNSEEN static void switch_to(unsigned int next)
{
	struct coroutine *from = &scheduler.threads[scheduler.current];
	struct coroutine *to = &scheduler.threads[next];

	if (from == to)
		return;
	scheduler.current = next;
	FIBER_SWITCH(to->fiber);
	swapcontext(&from->context, &to->context);
}

UNSEEN void schedule_point(enum schedule_access access, const void *address,
			   size_t bytes)
{
	if (scheduler.current == NOBODY)
		return;
	scheduler.threads[scheduler.current].next = (struct access){
		access, address, bytes
	};
	/* At its first point each one waits until all have come to theirs. */
	switch_to(scheduler.starting ? NOBODY : choose());
}

UNSEEN static void learn(struct view *view, const struct view *from)
{
	for (unsigned int i = 0; i < views.count; i++)
		if (view->oldest[i] < from->oldest[i])
			view->oldest[i] = from->oldest[i];
}

/* @newest: what is there now, for a location not seen yet. */
UNSEEN static unsigned int location_of(const void *address, u32 newest)
{
	struct location *location;
	unsigned int i;

	for (i = 0; i < views.count; i++)
		if (views.locations[i].address == address)
			return i;
	if (i == LOCATIONS)
		ck_abort_msg("%s: more than %u locations", scene->name,
			     LOCATIONS);
	location = &views.locations[views.count++];
	location->address = address;
	location->values = 1;
	location->value[0] = (struct value){ .value = newest };
	return i;
}

UNSEEN static void forget_values(void)
{
	views.count = 0;
	views.of_lock = (struct view){ { 0 } };
	for (unsigned int i = 0; i < THREADS; i++) {
		views.of_thread[i] = (struct view){ { 0 } };
		views.at_lock[i] = (struct view){ { 0 } };
	}
}

UNSEEN u32 schedule_loaded(const void *address, size_t bytes, u32 newest,
			   bool acquire)
{
	struct location *location;
	unsigned int i, pick;
	struct view *view;

	if (scheduler.current == NOBODY || bytes != sizeof(newest))
		return newest;
	view = &views.of_thread[scheduler.current];
	i = location_of(address, newest);
	location = &views.locations[i];
	pick = choose_value(location->values - view->oldest[i]);
	pick = location->values - 1 - pick;
	view->oldest[i] = (unsigned char)pick;
	if (acquire)
		learn(view, &location->value[pick].released);
	return location->value[pick].value;
}

UNSEEN void schedule_storing(const void *address, size_t bytes, u32 value,
			     bool release)
{
	struct location *location;
	struct value *new;
	struct view *view;
	unsigned int i;

	if (scheduler.current == NOBODY || bytes != sizeof(value))
		return;
	view = &views.of_thread[scheduler.current];
	i = location_of(address, *(const u32 *)address);
	location = &views.locations[i];
	if (location->values == VALUES)
		ck_abort_msg("%s: more than %u values", scene->name, VALUES);
	view->oldest[i] = (unsigned char)location->values;
	new = &location->value[location->values++];
	new->value = value;
	new->released = release ? *view : views.at_lock[scheduler.current];
}

UNSEEN static void learn_from_lock(void)
{
	unsigned int thread = scheduler.current;

	if (thread == NOBODY)
		return;
	learn(&views.of_thread[thread], &views.of_lock);
	views.at_lock[thread] = views.of_thread[thread];
}

UNSEEN static void tell_lock(void)
{
	if (scheduler.current != NOBODY)
		learn(&views.of_lock, &views.of_thread[scheduler.current]);
}

void schedule_lock(raw_spinlock_t *lock)
{
	schedule_point(SCHEDULE_LOCK, lock, sizeof(*lock));
	if (__atomic_exchange_n(&lock->held, true, __ATOMIC_ACQUIRE))
		ck_abort_msg("%s: the lock is held", scene->name);
	learn_from_lock();
}

void schedule_unlock(raw_spinlock_t *lock)
{
	tell_lock();
	__atomic_store_n(&lock->held, false, __ATOMIC_RELEASE);
}

UNSEEN static void finish(void)
{
	scheduler.threads[scheduler.current].finished = true;
	switch_to(scheduler.starting ? NOBODY : choose());
}

UNSEEN static unsigned int current_thread(void)
{
	return scheduler.current;
}

/* What a run does happens after all of the run before, whoever did it. */
static void coroutine(void)
{
	for (;;) {
		__atomic_load_n(&begun, __ATOMIC_ACQUIRE);
		scene->threads[current_thread()]();
		__atomic_fetch_add(&ended, 1, __ATOMIC_ACQ_REL);
		finish();
	}
}

UNSEEN static void make_coroutine(struct coroutine *thread)
{
	ck_assert_int_eq(getcontext(&thread->context), 0);
	thread->context.uc_stack.ss_sp = malloc(STACK_BYTES);
	ck_assert_ptr_nonnull(thread->context.uc_stack.ss_sp);
	thread->context.uc_stack.ss_size = STACK_BYTES;
	thread->context.uc_link = NULL;
	thread->fiber = FIBER_CREATE();
	makecontext(&thread->context, coroutine, 0);
}

UNSEEN static void make_coroutines(void)
{
	scheduler.current = NOBODY;
	scheduler.threads[NOBODY].fiber = FIBER_CURRENT();
	for (unsigned int i = 0; i < THREADS; i++)
		make_coroutine(&scheduler.threads[i]);
}

UNSEEN static void run_coroutines(void)
{
	forget_values();
	scheduler.depth = 0;
	scheduler.redundant = false;
	scheduler.starting = true;
	for (unsigned int i = 0; i < THREADS; i++) {
		scheduler.threads[i].finished = false;
		switch_to(i);
	}
	scheduler.starting = false;
	switch_to(choose());
	if (scheduler.redundant)
		scheduler.redundant_runs++;
	else
		scheduler.schedules++;
}

/* Return: false when all schedules have been run. */
UNSEEN static bool next_schedule(void)
{
	while (scheduler.depth) {
		struct choice *choice;
		unsigned int left;

		choice = &scheduler.choices[scheduler.depth - 1];
		choice->tried |= 1U << choice->chosen;
		left = choice->enabled & ~choice->asleep & ~choice->tried;
		if (left) {
			choice->chosen = lowest(left);
			scheduler.replayed = scheduler.depth;
			return true;
		}
		scheduler.depth--;
	}
	return false;
}

/*
 * What the threads do. A record's payload is its tag, over and over.
 */
static void lock(void)
{
	raw_spin_lock(&ring.lock);
}

static void unlock(void)
{
	raw_spin_unlock(&ring.lock);
}

static struct achan_record *reserve(u32 length)
{
	struct achan_record *record;

	lock();
	record = achan_ring_reserve(&ring, length, ring.sequence + 1000);
	unlock();
	return record;
}

/* The first word and the others at different times. */
static void fill(struct achan_record *record, u32 tag)
{
	u32 *payload = achan_record_payload(record);
	u32 words = record->length / sizeof(*payload);

	schedule_point(SCHEDULE_STORE, payload, sizeof(*payload));
	payload[0] = tag;
	schedule_point(SCHEDULE_STORE, payload + 1,
		       (words - 1) * sizeof(*payload));
	for (u32 i = 1; i < words; i++)
		payload[i] = tag;
}

static void commit(struct achan_record *record, u32 tag)
{
	lock();
	committed[tag] = true;
	sequence_of[tag] = record->sequence;
	achan_ring_commit(&ring, record);
	unlock();
}

static void discard(struct achan_record *record)
{
	lock();
	achan_ring_discard(&ring, record);
	unlock();
}

static void push(u32 tag, u32 length)
{
	struct achan_record *record = reserve(length);

	if (!record)
		return;
	fill(record, tag);
	commit(record, tag);
}

/* As a write whose buffer cannot be read to its end. */
static void drop(u32 length)
{
	struct achan_record *record = reserve(length);
	u32 *payload;

	if (!record)
		return;
	payload = achan_record_payload(record);
	schedule_point(SCHEDULE_STORE, payload, sizeof(*payload));
	payload[0] = TAGS;
	discard(record);
}

static void check_words(struct achan_record *record, u32 offset, u32 end)
{
	u32 *payload = achan_record_payload(record);
	u32 size = ACHAN_RECORD_SIZE(record->length) - sizeof(*record);

	schedule_point(SCHEDULE_LOAD, payload, size);
	for (u32 i = offset; i < end; i += sizeof(*payload))
		MUST(payload[i / sizeof(*payload)] == payload[0]);
	for (u32 i = record->length; i < size; i += sizeof(*payload))
		MUST(payload[i / sizeof(*payload)] == 0);
	MUST(payload[0] < TAGS);
	MUST(committed[payload[0]]);
	MUST(!taken[payload[0]]);
	MUST(sequence_of[payload[0]] == record->sequence);
}

/*
 * Under the claim, without the lock: at most @most records, and of the last
 * one @less bytes less. Then the tags of the whole ones are in @tags.
 */
static int walk(struct achan_cursor *cursor, int most, u32 less, u32 *tags)
{
	u64 sequence = next_sequence;
	struct achan_record *record;
	int count = 0;

	while (most-- && (record = achan_ring_next(&ring, cursor))) {
		u32 bytes = record->length - cursor->offset;

		if (!most)
			bytes -= bytes > less ? less : 0;
		MUST(record->sequence >= sequence);
		MUST(record->timestamp == record->sequence + 1000);
		sequence = record->sequence + 1;
		check_words(record, cursor->offset, cursor->offset + bytes);
		tags[count] = *(u32 *)achan_record_payload(record);
		achan_ring_consume(cursor, record, bytes);
		count += !cursor->offset;
	}
	return count;
}

/* Context: lock held. */
static void retire(const struct achan_cursor *cursor, const u32 *tags,
		   int count)
{
	for (int i = 0; i < count; i++)
		taken[tags[i]] = true;
	took_by_thread |= count > 0;
	achan_ring_retire(&ring, cursor);
	if (count)
		next_sequence = sequence_of[tags[count - 1]] + 1;
}

/* Under the lock: false if another has the claim. */
static bool claim(struct achan_cursor *cursor)
{
	bool free;

	lock();
	free = !ring.claimed;
	if (free)
		achan_ring_claim(&ring, cursor);
	unlock();
	return free;
}

static void take(int most, u32 less)
{
	struct achan_cursor cursor;
	u32 tags[TAGS];
	int count;

	if (!claim(&cursor))
		return;
	count = walk(&cursor, most, less, tags);
	lock();
	retire(&cursor, tags, count);
	achan_ring_release(&ring);
	unlock();
}

static void look(void)
{
	struct achan_cursor cursor;
	u32 tags[TAGS];

	if (!claim(&cursor))
		return;
	walk(&cursor, TAGS, 0, tags);
	lock();
	achan_ring_release(&ring);
	unlock();
}

/*
 * As parked reads are filled: one claim, a record each, while there is one.
 * Whoever holds the claim gets what achan_ring_readable() promises.
 */
static void take_readable(void)
{
	struct achan_cursor cursor;
	u32 tags[TAGS];
	bool mine = false;

	lock();
	while (ring.claimed == mine && achan_ring_readable(&ring)) {
		int count;

		achan_ring_claim(&ring, &cursor);
		mine = true;
		unlock();
		count = walk(&cursor, 1, 0, tags);
		MUST(count == 1);
		lock();
		retire(&cursor, tags, count);
	}
	if (mine)
		achan_ring_release(&ring);
	unlock();
}

static void push_1(void)
{
	push(1, 8);
}

static void push_2_odd(void)
{
	push(2, 12);
}

static void push_1_push_3(void)
{
	push(1, 8);
	push(3, 8);
}

static void push_2_push_4(void)
{
	push(2, 8);
	push(4, 8);
}

static void push_1_push_3_backwards(void)
{
	struct achan_record *first = reserve(8);
	struct achan_record *second = reserve(12);

	fill(second, 3);
	commit(second, 3);
	fill(first, 1);
	commit(first, 1);
}

static void drop_long(void)
{
	drop(40);
}

static void drop_short(void)
{
	drop(8);
}

static void drop_long_push_1(void)
{
	drop(40);
	push(1, 8);
}

static void drop_short_push_2(void)
{
	drop(8);
	push(2, 16);
}

static void take_twice(void)
{
	take(TAGS, 0);
	take(TAGS, 0);
}

static void take_once(void)
{
	take(TAGS, 0);
}

static void look_then_take(void)
{
	look();
	take(TAGS, 0);
}

static void take_in_parts(void)
{
	take(1, 4);
	take(2, 4);
}

/* Of the rings, one is full with two records, one passes the positions' end. */
static const struct scene scenes[] = {
	{ "two commit", { push_1, push_2_odd, take_twice }, 4096, 0 },
	{ "one commits backwards",
	  { push_1_push_3_backwards, push_2_odd, take_once }, 4096, 0 },
	{ "head moves back", { drop_long, push_2_odd, take_twice }, 4096, 0 },
	{ "head moves back and on", { drop_long_push_1, drop_short, take_once },
	  4096, 0 },
	{ "head moves back twice",
	  { drop_long_push_1, drop_short_push_2, take_once }, 4096, 0 },
	{ "full ring", { push_1_push_3, push_2_push_4, take_twice }, 64, 0 },
	{ "full ring, head moves back",
	  { drop_short_push_2, push_1, take_twice }, 64, 0 },
	{ "claim given back", { drop_short_push_2, push_1, look_then_take },
	  4096, 0 },
	{ "taken in parts", { push_1, drop_short_push_2, take_in_parts },
	  4096, 0 },
	{ "as parked reads", { push_1_push_3, drop_short, take_readable },
	  4096, 0 },
	{ "as parked reads, two drop",
	  { drop_short_push_2, drop_long, take_readable }, 4096, 0 },
	{ "two consumers", { drop_long_push_1, take_once, take_readable },
	  4096, 0 },
	{ "positions wrap", { drop_long_push_1, push_2_odd, take_once },
	  4096, 0U - 48 },
};

#define SCENES	((int)(sizeof(scenes) / sizeof(scenes[0])))

/* Whatever is not written looks like a committed record. */
static void set_scene(void)
{
	u64 *words = memory;

	for (u32 i = 0; i < MEMORY_BYTES / sizeof(*words); i++)
		words[i] = 8;
	achan_ring_init(&ring, memory, scene->ring_bytes);
	ring.head = scene->start;
	ring.tail = scene->start;
	for (int i = 0; i < TAGS; i++) {
		committed[i] = false;
		taken[i] = false;
	}
	next_sequence = 0;
	took_by_thread = false;
	__atomic_store_n(&begun, 1, __ATOMIC_RELEASE);
}

/*
 * What the threads left is taken here; then nothing may be missing. Return:
 * whether they had taken something.
 */
static bool check_scene(void)
{
	bool took;

	__atomic_load_n(&ended, __ATOMIC_ACQUIRE);
	took = took_by_thread;
	MUST(!ring.claimed);
	take(TAGS, 0);
	for (int i = 0; i < TAGS; i++)
		MUST(taken[i] == committed[i]);
	MUST(ring.head == ring.tail);
	MUST(ring.bytes == 0);
	MUST(ring.offset == 0);
	return took;
}

START_TEST(no_schedule_shows_a_consumer_garbage)
{
	uint64_t took = 0, runs = 0;

	scene = &scenes[_i];
	memory = ring_memory_map(MEMORY_BYTES);
	make_coroutines();
	do {
		set_scene();
		run_coroutines();
		took += check_scene();
		runs++;
	} while (next_schedule());
	printf("# %s: %" PRIu64 " schedules; %" PRIu64
	       " were redundant; something was taken in %" PRIu64 " of %" PRIu64
	       "\n", scene->name, scheduler.schedules,
	       scheduler.redundant_runs, took, runs);
	ck_assert_uint_gt(scheduler.schedules, 100);
	ck_assert_uint_gt(took, 0);
	ck_assert_uint_lt(took, runs);
	for (unsigned int i = 0; i < THREADS; i++)
		free(scheduler.threads[i].context.uc_stack.ss_sp);
	ring_memory_unmap(memory, MEMORY_BYTES);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ring schedules");
	TCase *tcase = tcase_create("schedules");

	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, no_schedule_shows_a_consumer_garbage, 0,
			    SCENES);
	suite_add_tcase(suite, tcase);
	return unit_main(suite);
}
