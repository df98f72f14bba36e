// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * libFuzzer target: achan_frame_next() over a hostile buffer.
 *
 * The first byte of the input says how far the buffer is from being aligned.
 * The buffer is exactly as long as it says, so the sanitizer sees every byte
 * looked at beyond it.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "achan.h"
#include "fuzz_target.h"

/* Reads the whole payload: it has to be there. */
static void check_frame(const struct achan_frame *frame, const uint8_t *start,
			size_t size, size_t before, size_t after)
{
	const uint8_t *payload = frame->payload;
	volatile uint8_t byte;

	require(after > before && after <= size);
	require(after - before == ACHAN_RECORD_SIZE((size_t)frame->length));
	require(payload == start + before + sizeof(struct achan_record));
	require(!(frame->flags & (ACHAN_RECORD_BUSY | ACHAN_RECORD_DISCARD)));
	for (uint32_t i = 0; i < frame->length; i++)
		byte = payload[i];
	(void)byte;
}

static void walk(const uint8_t *start, size_t size)
{
	struct achan_frame frame;
	size_t offset = 0;

	for (;;) {
		size_t before = offset;
		int ret = achan_frame_next(start, size, &offset, &frame);

		if (ret != 1) {
			require(ret == 0 || ret == -EBADMSG);
			require(offset == before);
			require(ret || offset == size);
			return;
		}
		check_frame(&frame, start, size, before, offset);
	}
}

/* Any offset is answered, and one outside of the buffer never taken. */
static void jump(const uint8_t *start, size_t size, size_t offset)
{
	struct achan_frame frame;
	size_t next = offset;
	int ret = achan_frame_next(start, size, &next, &frame);

	require((ret == -EINVAL) == (offset > size));
	if (ret == 1)
		check_frame(&frame, start, size, offset, next);
	else
		require(next == offset);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t shift, offset = 0;
	uint8_t *memory;

	if (!size)
		return 0;
	shift = data[0] % 16;
	data++;
	size--;
	memory = malloc(shift + size);
	if (!memory)
		return 0;
	memcpy(memory + shift, data, size);
	walk(memory + shift, size);
	memcpy(&offset, data, size < sizeof(offset) ? size : sizeof(offset));
	jump(memory + shift, size, offset);
	jump(memory + shift, size, offset % (size + 2));
	free(memory);
	return 0;
}
