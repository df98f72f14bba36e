// SPDX-License-Identifier: LGPL-2.1-or-later
/* Taking the buffer of a framed read apart. */
#include "internal.h"

#include <string.h>

int achan_frame_next(const void *buf, size_t size, size_t *offset,
		     struct achan_frame *frame)
{
	struct achan_record record;
	const unsigned char *start;
	size_t left;

	if (!buf || !offset || !frame || *offset > size)
		return -EINVAL;
	left = size - *offset;
	if (!left)
		return 0;
	if (left < sizeof(record))
		return -EBADMSG;
	start = (const unsigned char *)buf + *offset;
	/* A copy, because the frame may lie at any address. */
	memcpy(&record, start, sizeof(record));
	if (record.flags & (ACHAN_RECORD_BUSY | ACHAN_RECORD_DISCARD))
		return -EBADMSG;
	/* The first test keeps the second's rounding from wrapping. */
	if (record.length > left - sizeof(record) ||
	    ACHAN_RECORD_SIZE(record.length) > left)
		return -EBADMSG;
	frame->sequence = record.sequence;
	frame->timestamp = record.timestamp;
	frame->length = record.length;
	frame->flags = record.flags;
	frame->payload = start + sizeof(record);
	*offset += ACHAN_RECORD_SIZE(record.length);
	return 1;
}
