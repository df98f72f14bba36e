// SPDX-License-Identifier: LGPL-2.1-or-later
/* What was received, as bytes, as records, as a hexdump. */
#include "achanctl.h"

static void put_hexdump(struct output *output, uint64_t offset,
			const unsigned char *bytes, size_t length)
{
	char line[HEXDUMP_LINE];

	for (size_t at = 0; at < length; at += 16) {
		size_t part = length - at < 16 ? length - at : 16;

		fprintf(output->file, "%s\n",
			format_hexdump(offset + at, bytes + at, part, line));
	}
}

/* What was missed is said where it is missing, and not among the data. */
static void look_for_gap(struct output *output, const struct achan_frame *frame)
{
	if (output->next_known && frame->sequence > output->next_sequence) {
		fflush(output->file);
		fprintf(stderr, "achanctl: %" PRIu64 " records before %" PRIu64
			" were missed\n",
			frame->sequence - output->next_sequence,
			frame->sequence);
	}
	output->next_sequence = frame->sequence + 1;
	output->next_known = true;
}

static void put_header(struct output *output, const struct achan_frame *frame)
{
	char time[TEXT_SIZE];

	fprintf(output->file, "record %" PRIu64, frame->sequence);
	if (output->timestamps)
		fprintf(output->file, ", time %s", frame->timestamp ?
			format_time(frame->timestamp, time) : "none");
	fprintf(output->file, ", %" PRIu32 " bytes%s\n", frame->length,
		frame->flags & ACHAN_RECORD_CONTINUED ? ", continued" : "");
}

static void put_frame(struct output *output, const struct achan_frame *frame)
{
	const unsigned char *payload = frame->payload;

	look_for_gap(output, frame);
	put_header(output, frame);
	if (output->hexdump) {
		put_hexdump(output, 0, payload, frame->length);
	} else {
		fwrite(payload, 1, frame->length, output->file);
		if (frame->length && payload[frame->length - 1] != '\n')
			fputc('\n', output->file);
	}
	output->records++;
	output->bytes += frame->length;
}

bool output_read(struct output *output, const void *bytes, size_t length)
{
	struct achan_frame frame;
	size_t offset = 0;
	int ret = 0;

	if (output->framed) {
		while ((ret = achan_frame_next(bytes, length, &offset,
					       &frame)) > 0)
			put_frame(output, &frame);
	} else {
		if (output->hexdump)
			put_hexdump(output, output->offset, bytes, length);
		else
			fwrite(bytes, 1, length, output->file);
		output->offset += length;
		output->records++;
		output->bytes += length;
	}
	/* Who reads this waits for it. */
	fflush(output->file);
	return !ret;
}
