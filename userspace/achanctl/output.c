// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What was received, as bytes, as records, as a hexdump.
 *
 * What is formatted lies in memory with the place where each record ends, so that
 * after a failed write it is known which records have gone out.
 */
#include "achanctl.h"

#include <poll.h>
#include <unistd.h>

/* After a stop, how long an output may take nothing before it is given up. */
#define GRACE_NS	NS_PER_SECOND

/* Text of one read, and its records. */
struct batch {
	FILE *file;
	char *text;
	size_t length;
	struct mark {
		size_t end;		/* in the text */
		uint64_t payload;
	} *marks;
	size_t count;
};

static void put_hexdump(FILE *file, uint64_t offset, const unsigned char *bytes,
			size_t length)
{
	char line[HEXDUMP_LINE];

	for (size_t at = 0; at < length; at += 16) {
		size_t part = length - at < 16 ? length - at : 16;

		fprintf(file, "%s\n",
			format_hexdump(offset + at, bytes + at, part, line));
	}
}

static void put_header(const struct output *output, FILE *file,
		       const struct achan_frame *frame)
{
	char time[TEXT_SIZE];

	fprintf(file, "record %" PRIu64, frame->sequence);
	if (output->timestamps)
		fprintf(file, ", time %s", frame->timestamp ?
			format_time(frame->timestamp, time) : "none");
	fprintf(file, ", %" PRIu32 " bytes%s\n", frame->length,
		frame->flags & ACHAN_RECORD_CONTINUED ? ", continued" : "");
}

static void put_json(FILE *file, const struct achan_frame *frame)
{
	struct json json = { .file = file };

	json_open(&json, NULL, '{');
	json_number(&json, "sequence", frame->sequence);
	json_number(&json, "time", frame->timestamp);
	json_number(&json, "length", frame->length);
	if (frame->flags & ACHAN_RECORD_CONTINUED)
		json_bool(&json, "continued", true);
	json_base64(&json, "data", frame->payload, frame->length);
	json_close(&json, '}');
	fputc('\n', file);
}

/* A record, and what tells it from the next one. */
static void put_record(enum separation separation, FILE *file,
		       const unsigned char *payload, size_t length)
{
	fwrite(payload, 1, length, file);
	if (separation == SEPARATE_NULL)
		fputc(0, file);
	else if (!length || payload[length - 1] != '\n')
		fputc('\n', file);
}

static void put_frame(const struct output *output, FILE *file,
		      const struct achan_frame *frame)
{
	const unsigned char *payload = frame->payload;

	if (output->separation == SEPARATE_JSON) {
		put_json(file, frame);
		return;
	}
	if (output->separation) {
		put_record(output->separation, file, payload, frame->length);
		return;
	}
	put_header(output, file, frame);
	if (output->hexdump) {
		put_hexdump(file, 0, payload, frame->length);
		return;
	}
	fwrite(payload, 1, frame->length, file);
	if (frame->length && payload[frame->length - 1] != '\n')
		fputc('\n', file);
}

/* ------------------------------------------------------------- writing */

static void wait_for_room(const struct output *output)
{
	struct pollfd wait = { .fd = output->fd, .events = POLLOUT };

	poll(&wait, 1, -1);
}

/*
 * Writes as much as the output takes. Returns how much that was; less than
 * @length says that the output has failed.
 */
static size_t write_out(struct output *output, const char *bytes, size_t length)
{
	int64_t waiting = 0;
	size_t done = 0;
	ssize_t put;

	while (done < length) {
		put = write(output->fd, bytes + done, length - done);
		if (put > 0) {
			done += (size_t)put;
			waiting = 0;
			continue;
		}
		if (!put || (errno != EINTR && errno != EAGAIN)) {
			output->error = put ? errno : EIO;
			break;
		}
		if (errno == EAGAIN)
			wait_for_room(output);
		if (!stopped())
			continue;
		if (!waiting)
			waiting = now_ns();
		if (now_ns() - waiting > GRACE_NS) {
			output->error = ETIMEDOUT;
			break;
		}
	}
	return done;
}

bool output_gone(const struct output *output)
{
	struct pollfd wait = { .fd = output->fd };

	return poll(&wait, 1, 0) > 0 &&
	       wait.revents & (POLLERR | POLLHUP | POLLNVAL);
}

static void count_lost(struct output *output, uint64_t records, uint64_t bytes)
{
	output->lost_records += records;
	output->lost_bytes += bytes;
}

/* After a failure nothing goes out any more, or there would be a hole in it. */
static size_t deliver(struct output *output, const char *bytes, size_t length)
{
	return output->error ? 0 : write_out(output, bytes, length);
}

static void deliver_plain(struct output *output, const char *bytes,
			  size_t length)
{
	size_t done = deliver(output, bytes, length);

	if (done < length)
		count_lost(output, 1, length - done);
}

/* The batch is empty afterwards. */
static void flush_batch(struct output *output, struct batch *batch)
{
	size_t done;

	fflush(batch->file);
	done = deliver(output, batch->text, batch->length);
	for (size_t i = 0; i < batch->count; i++)
		if (batch->marks[i].end > done)
			count_lost(output, 1, batch->marks[i].payload);
	batch->count = 0;
	rewind(batch->file);
}

/* ---------------------------------------------------------- one read's */

static bool mark(struct batch *batch, uint64_t payload)
{
	struct mark *marks = reallocarray(batch->marks, batch->count + 1,
					  sizeof(*marks));

	if (!marks)
		return false;
	batch->marks = marks;
	fflush(batch->file);
	marks[batch->count].end = batch->length;
	marks[batch->count++].payload = payload;
	return true;
}

/* What was missed is said where it is missing, and not among the data. */
static void look_for_gap(struct output *output, struct batch *batch,
			 const struct achan_frame *frame)
{
	if (output->next_known && frame->sequence > output->next_sequence) {
		flush_batch(output, batch);
		fprintf(stderr, "achanctl: %" PRIu64 " records before %" PRIu64
			" were missed\n",
			frame->sequence - output->next_sequence,
			frame->sequence);
	}
	output->next_sequence = frame->sequence + 1;
	output->next_known = true;
}

static int put_frames(struct output *output, struct batch *batch,
		      const void *bytes, size_t length)
{
	struct achan_frame frame;
	size_t offset = 0;
	int ret;

	while ((ret = achan_frame_next(bytes, length, &offset, &frame)) > 0) {
		look_for_gap(output, batch, &frame);
		put_frame(output, batch->file, &frame);
		output->records++;
		output->bytes += frame.length;
		if (!mark(batch, frame.length))
			ret = -ENOMEM;
		if (ret < 0)
			break;
	}
	if (ret)
		count_lost(output, 1, length - offset);
	return ret;
}

static int put_bytes(struct output *output, struct batch *batch,
		     const void *bytes, size_t length)
{
	if (output->separation)
		put_record(output->separation, batch->file, bytes, length);
	else
		put_hexdump(batch->file, output->offset, bytes, length);
	output->offset += length;
	return mark(batch, length) ? 0 : -ENOMEM;
}

static int output_formatted(struct output *output, const void *bytes,
			    size_t length)
{
	struct batch batch = { 0 };
	int ret;

	batch.file = open_memstream(&batch.text, &batch.length);
	if (!batch.file) {
		count_lost(output, 1, length);
		return -ENOMEM;
	}
	ret = output->framed ? put_frames(output, &batch, bytes, length) :
			       put_bytes(output, &batch, bytes, length);
	if (ferror(batch.file))
		ret = -ENOMEM;
	flush_batch(output, &batch);
	fclose(batch.file);
	free(batch.text);
	free(batch.marks);
	return ret;
}

int output_read(struct output *output, const void *bytes, size_t length)
{
	if (!output->framed) {
		output->records++;
		output->bytes += length;
	}
	if (output->framed || output->hexdump || output->separation)
		return output_formatted(output, bytes, length);
	deliver_plain(output, bytes, length);
	return 0;
}
