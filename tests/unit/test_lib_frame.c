// SPDX-License-Identifier: GPL-2.0-only
/* Taking framed reads apart, down to buffers made to mislead. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "library.h"
#include "unit.h"

#define HEADER	sizeof(struct achan_record)

/* Appends a frame at @offset and returns the offset behind it. */
static size_t put_frame(unsigned char *buf, size_t offset, uint64_t sequence,
			const char *text, uint32_t flags)
{
	struct achan_record record = {
		.length = (uint32_t)strlen(text),
		.flags = flags,
		.sequence = sequence,
		.timestamp = sequence * 1000,
	};

	memset(buf + offset, 0, ACHAN_RECORD_SIZE(record.length));
	memcpy(buf + offset, &record, HEADER);
	memcpy(buf + offset + HEADER, text, record.length);
	return offset + ACHAN_RECORD_SIZE(record.length);
}

static const char *const texts[] = { "first", "", "exactly8", "the last one" };

#define TEXTS	((int)(sizeof(texts) / sizeof(texts[0])))

/* Fills @buf with all texts and returns the bytes used. */
static size_t put_texts(unsigned char *buf)
{
	size_t size = 0;

	for (int i = 0; i < TEXTS; i++)
		size = put_frame(buf, size, (uint64_t)i + 7, texts[i],
				 i ? 0 : ACHAN_RECORD_CONTINUED);
	return size;
}

/* The loop index shifts the buffer: no alignment is needed. */
START_TEST(frames_come_in_order_from_any_address)
{
	unsigned char buf[512];
	unsigned char *start = buf + _i;
	size_t size = put_texts(start);
	struct achan_frame frame;
	size_t offset = 0;

	for (int i = 0; i < TEXTS; i++) {
		ck_assert_int_eq(achan_frame_next(start, size, &offset,
						  &frame), 1);
		ck_assert_uint_eq(frame.sequence, (uint64_t)i + 7);
		ck_assert_uint_eq(frame.timestamp, ((uint64_t)i + 7) * 1000);
		ck_assert_uint_eq(frame.flags,
				  i ? 0 : ACHAN_RECORD_CONTINUED);
		ck_assert_uint_eq(frame.length, strlen(texts[i]));
		ck_assert_mem_eq(frame.payload, texts[i], frame.length);
	}
	ck_assert_uint_eq(offset, size);
	ck_assert_int_eq(achan_frame_next(start, size, &offset, &frame), 0);
	ck_assert_uint_eq(offset, size);
}
END_TEST

START_TEST(frame_of_an_empty_read_is_the_end)
{
	struct achan_frame frame;
	size_t offset = 0;
	char byte = 0;

	ck_assert_int_eq(achan_frame_next(&byte, 0, &offset, &frame), 0);
}
END_TEST

START_TEST(frame_next_refuses_null_and_an_offset_outside)
{
	unsigned char buf[64];
	size_t size = put_frame(buf, 0, 1, "x", 0);
	struct achan_frame frame;
	size_t offset = 0;

	ck_assert_int_eq(achan_frame_next(NULL, size, &offset, &frame),
			 -EINVAL);
	ck_assert_int_eq(achan_frame_next(buf, size, NULL, &frame), -EINVAL);
	ck_assert_int_eq(achan_frame_next(buf, size, &offset, NULL), -EINVAL);
	offset = size + 1;
	ck_assert_int_eq(achan_frame_next(buf, size, &offset, &frame),
			 -EINVAL);
	offset = SIZE_MAX;
	ck_assert_int_eq(achan_frame_next(buf, size, &offset, &frame),
			 -EINVAL);
}
END_TEST

/* Memory whose last byte is the last of a page, with nothing behind it. */
static unsigned char *guarded_end(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	unsigned char *memory = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(memory, MAP_FAILED);
	ck_assert_int_eq(mprotect(memory + page, page, PROT_NONE), 0);
	return memory + page;
}

START_TEST(frame_cut_anywhere_is_bad_and_nothing_is_read_behind)
{
	unsigned char *end = guarded_end();
	struct achan_frame frame;
	unsigned char whole[64];
	size_t size = put_frame(whole, 0, 1, "payload", 0);

	for (size_t cut = 1; cut < size; cut++) {
		size_t offset = 0;

		memcpy(end - cut, whole, cut);
		ck_assert_int_eq(achan_frame_next(end - cut, cut, &offset,
						  &frame), -EBADMSG);
		ck_assert_uint_eq(offset, 0);
	}
}
END_TEST

static const uint32_t hostile_lengths[] = {
	UINT32_MAX, UINT32_MAX - 7, UINT32_MAX - 24, UINT32_MAX - 31,
	1U << 31, 41, 4096,
};

START_TEST(frame_with_a_length_beyond_the_buffer_is_bad)
{
	unsigned char *end = guarded_end();
	struct achan_record record = { .length = hostile_lengths[_i] };
	struct achan_frame frame;
	size_t offset = 0;

	memset(end - 64, 0, 64);
	memcpy(end - 64, &record, sizeof(record));
	ck_assert_int_eq(achan_frame_next(end - 64, 64, &offset, &frame),
			 -EBADMSG);
	ck_assert_uint_eq(offset, 0);
	/* One byte less is a whole frame. */
	record.length = 40;
	memcpy(end - 64, &record, sizeof(record));
	ck_assert_int_eq(achan_frame_next(end - 64, 64, &offset, &frame), 1);
	ck_assert_uint_eq(offset, 64);
}
END_TEST

START_TEST(frame_that_no_read_returns_is_bad)
{
	struct achan_frame frame;
	unsigned char buf[64];
	size_t offset = 0;
	size_t size;

	size = put_frame(buf, 0, 1, "x", ACHAN_RECORD_BUSY);
	ck_assert_int_eq(achan_frame_next(buf, size, &offset, &frame),
			 -EBADMSG);
	size = put_frame(buf, 0, 1, "x", ACHAN_RECORD_DISCARD);
	ck_assert_int_eq(achan_frame_next(buf, size, &offset, &frame),
			 -EBADMSG);
	/* Flags of later drivers are the caller's to judge. */
	size = put_frame(buf, 0, 1, "x", 1U << 5);
	ck_assert_int_eq(achan_frame_next(buf, size, &offset, &frame), 1);
	ck_assert_uint_eq(frame.flags, 1U << 5);
}
END_TEST

/* xorshift: the same bytes in every run of a seed. */
static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static void check_inside(const struct achan_frame *frame,
			 const unsigned char *buf, size_t size)
{
	const unsigned char *payload = frame->payload;

	ck_assert(payload >= buf + HEADER);
	ck_assert(payload + frame->length <= buf + size);
}

START_TEST(frames_of_random_bytes_stay_inside_the_buffer)
{
	unsigned char *end = guarded_end();
	uint32_t state = 0x9e3779b9U + (uint32_t)_i;
	struct achan_frame frame;

	for (int round = 0; round < 20000; round++) {
		size_t size = next_random(&state) % 200;
		size_t offset = 0;

		for (size_t i = 1; i <= size; i++)
			end[-(ptrdiff_t)i] = (unsigned char)next_random(&state);
		/* Small lengths, else nearly no frame would pass. */
		for (size_t at = 0; at + HEADER <= size; at += 8)
			if (next_random(&state) & 1)
				memset(end - size + at + 1, 0, 7);
		while (achan_frame_next(end - size, size, &offset,
					&frame) == 1)
			check_inside(&frame, end - size, size);
		ck_assert_uint_le(offset, size);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("library frame");
	TCase *tcase = tcase_create("frame");
	int lengths = sizeof(hostile_lengths) / sizeof(hostile_lengths[0]);

	tcase_add_loop_test(tcase, frames_come_in_order_from_any_address, 0,
			    8);
	tcase_add_test(tcase, frame_of_an_empty_read_is_the_end);
	tcase_add_test(tcase, frame_next_refuses_null_and_an_offset_outside);
	tcase_add_test(tcase,
		       frame_cut_anywhere_is_bad_and_nothing_is_read_behind);
	tcase_add_loop_test(tcase, frame_with_a_length_beyond_the_buffer_is_bad,
			    0, lengths);
	tcase_add_test(tcase, frame_that_no_read_returns_is_bad);
	tcase_add_loop_test(tcase, frames_of_random_bytes_stay_inside_the_buffer,
			    0, 4);
	suite_add_tcase(suite, tcase);
	return unit_main(suite);
}
