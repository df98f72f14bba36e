// SPDX-License-Identifier: GPL-2.0-only
/* The completion ring of libachan, on a page made up like the kernel's. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../userspace/lib/internal.h"
#include "unit.h"

#define SLOTS	8

struct mock {
	struct achan_aio_header header;
	struct io_event events[SLOTS];
};

static struct mock mock;
static struct achan_aio_ring ring;

static void make_mock(void)
{
	memset(&mock, 0, sizeof(mock));
	mock.header.magic = ACHAN_AIO_MAGIC;
	mock.header.slots = SLOTS;
	mock.header.header_length = sizeof(mock.header);
	ck_assert(achan_aio_ring_attach(&ring, &mock));
}

/* What the kernel does: the event first, the tail behind it. */
static void produce(unsigned long number)
{
	uint32_t tail = mock.header.tail;

	mock.events[tail].res = number;
	__atomic_store_n(&mock.header.tail, (tail + 1) % SLOTS,
			 __ATOMIC_RELEASE);
}

START_TEST(attach_knows_the_kernels_ring)
{
	ck_assert_ptr_eq(ring.header, &mock.header);
	ck_assert_ptr_eq(ring.events, mock.events);
	ck_assert_uint_eq(ring.slots, SLOTS);
	ck_assert_uint_eq(ring.bytes, sizeof(mock));
}
END_TEST

static void refuse(const char *what)
{
	ck_assert_msg(!achan_aio_ring_attach(&ring, &mock), "%s", what);
	make_mock();
}

START_TEST(attach_refuses_what_it_does_not_know)
{
	mock.header.magic++;
	refuse("another magic number");
	mock.header.incompatible_features = 1;
	refuse("an incompatible feature");
	mock.header.slots = 0;
	refuse("no slots");
	mock.header.slots = UINT32_MAX;
	refuse("more slots than there can be");
	mock.header.header_length = sizeof(mock.header) - 8;
	refuse("a header that is too short");
	mock.header.header_length = sizeof(mock.header) + 1;
	refuse("events at an odd address");
	mock.header.header_length = 1U << 20;
	refuse("a header that is too long");
	mock.header.compatible_features = UINT32_MAX;
	ck_assert(achan_aio_ring_attach(&ring, &mock));
}
END_TEST

START_TEST(events_come_in_order_across_the_wrap)
{
	struct io_event events[SLOTS];
	unsigned long produced = 0, taken = 0;

	for (int round = 0; round < 100; round++) {
		int count = round % SLOTS;

		for (int i = 0; i < count; i++)
			produce(produced++);
		ck_assert_int_eq(achan_aio_ring_empty(&ring), !count);
		ck_assert_int_eq(achan_aio_ring_take(&ring, events, SLOTS),
				 count);
		for (int i = 0; i < count; i++)
			ck_assert_uint_eq(events[i].res, taken++);
		ck_assert(achan_aio_ring_empty(&ring));
	}
}
END_TEST

START_TEST(no_more_than_asked_for_is_taken)
{
	struct io_event events[SLOTS + 1] = { 0 };

	events[2].res = 99;
	for (unsigned long i = 0; i < 5; i++)
		produce(i);
	ck_assert_int_eq(achan_aio_ring_take(&ring, events, 2), 2);
	ck_assert_uint_eq(events[2].res, 99);
	ck_assert_uint_eq(mock.header.head, 2);
	ck_assert_int_eq(achan_aio_ring_take(&ring, events, SLOTS + 1), 3);
	ck_assert_uint_eq(events[0].res, 2);
	ck_assert_int_eq(achan_aio_ring_take(&ring, events, SLOTS), 0);
}
END_TEST

static const uint32_t outside[] = { SLOTS, SLOTS + 1, 1U << 31, UINT32_MAX };

START_TEST(head_or_tail_outside_the_ring_is_refused)
{
	struct io_event events[SLOTS];

	mock.header.tail = outside[_i];
	ck_assert_int_eq(achan_aio_ring_take(&ring, events, SLOTS), -EBADMSG);
	ck_assert_uint_eq(mock.header.head, 0);
	mock.header.tail = 1;
	mock.header.head = outside[_i];
	ck_assert_int_eq(achan_aio_ring_take(&ring, events, SLOTS), -EBADMSG);
	ck_assert_uint_eq(mock.header.head, outside[_i]);
}
END_TEST

START_TEST(slots_changed_later_are_not_believed)
{
	struct io_event events[SLOTS];

	mock.header.slots = 1U << 20;
	mock.header.header_length = 4096;
	mock.header.tail = SLOTS;
	ck_assert_int_eq(achan_aio_ring_take(&ring, events, SLOTS), -EBADMSG);
	mock.header.tail = 3;
	mock.header.head = SLOTS - 1;
	ck_assert_int_eq(achan_aio_ring_take(&ring, events, SLOTS), 4);
	ck_assert_uint_eq(mock.header.head, 3);
}
END_TEST

static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* The ring ends where its memory does: an index outside would trap. */
START_TEST(random_headers_stay_inside_the_ring)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint32_t state = 0x2545f491U + (uint32_t)_i;
	struct io_event events[SLOTS + 4];
	struct mock *end;
	char *memory;

	memory = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(memory, MAP_FAILED);
	ck_assert_int_eq(mprotect(memory + page, page, PROT_NONE), 0);
	end = (struct mock *)(memory + page - sizeof(*end));
	*end = mock;
	ck_assert(achan_aio_ring_attach(&ring, end));
	for (int round = 0; round < 20000; round++) {
		uint32_t mask = next_random(&state) & 1 ? 15 : UINT32_MAX;
		int count;

		end->header.head = next_random(&state) & mask;
		end->header.tail = next_random(&state) & mask;
		end->header.slots = next_random(&state);
		count = achan_aio_ring_take(&ring, events, SLOTS + 4);
		ck_assert(count == -EBADMSG || (count >= 0 && count < SLOTS));
	}
}
END_TEST

#define EVENTS_RACED	50000

static void *produce_many(void *argument)
{
	unsigned long number = 0;

	(void)argument;
	while (number < EVENTS_RACED) {
		uint32_t head = __atomic_load_n(&mock.header.head,
						__ATOMIC_ACQUIRE);

		if ((mock.header.tail + 1) % SLOTS != head)
			produce(number++);
	}
	return NULL;
}

START_TEST(producer_and_taker_race_without_loss)
{
	struct io_event events[SLOTS];
	unsigned long expected = 0;
	pthread_t thread;

	pthread_create(&thread, NULL, produce_many, NULL);
	while (expected < EVENTS_RACED) {
		int count = achan_aio_ring_take(&ring, events, SLOTS);

		ck_assert_int_ge(count, 0);
		for (int i = 0; i < count; i++)
			ck_assert_uint_eq(events[i].res, expected++);
	}
	pthread_join(thread, NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("library ring");
	TCase *tcase = tcase_create("ring");

	tcase_add_checked_fixture(tcase, make_mock, NULL);
	tcase_add_test(tcase, attach_knows_the_kernels_ring);
	tcase_add_test(tcase, attach_refuses_what_it_does_not_know);
	tcase_add_test(tcase, events_come_in_order_across_the_wrap);
	tcase_add_test(tcase, no_more_than_asked_for_is_taken);
	tcase_add_loop_test(tcase, head_or_tail_outside_the_ring_is_refused, 0,
			    sizeof(outside) / sizeof(outside[0]));
	tcase_add_test(tcase, slots_changed_later_are_not_believed);
	tcase_add_loop_test(tcase, random_headers_stay_inside_the_ring, 0, 4);
	tcase_add_test(tcase, producer_and_taker_race_without_loss);
	suite_add_tcase(suite, tcase);
	return unit_main(suite);
}
