// SPDX-License-Identifier: LGPL-2.1-or-later
/* An AIO round trip with libaio's bare calls. */
#define _GNU_SOURCE
#include "demo.h"
#include "timeline.h"

#include <errno.h>
#include <fcntl.h>
#include <libaio.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct aio_trip {
	int fd;
	io_context_t context;
	unsigned int parked;	/* what the driver says after the submit */
	uint64_t submits;
	uint64_t submitted;
	uint64_t reaped;
	int64_t result;
	struct frame frame;
};

static bool aio_round(struct aio_trip *trip, const struct writer *writer)
{
	struct iocb request, *requests[] = { &request };
	struct achan_info info;
	struct io_event event;
	int ret;

	io_prep_pread(&request, trip->fd, &trip->frame, sizeof(trip->frame), 0);
	trip->submits = monotonic_ns();
	ret = io_submit(trip->context, 1, requests);
	trip->submitted = monotonic_ns();
	if (ret != 1)
		return timeline_error("io_submit", ret < 0 ? -ret : 0);
	if (ioctl(trip->fd, ACHAN_IOC_INFO, &info) < 0)
		return timeline_error("ACHAN_IOC_INFO", errno);
	trip->parked = info.parked_reads;
	if (!writer_go(writer))
		return false;
	ret = io_getevents(trip->context, 1, 1, &event, NULL);
	trip->reaped = monotonic_ns();
	if (ret != 1)
		return timeline_error("io_getevents", ret < 0 ? -ret : 0);
	trip->result = (int64_t)event.res;
	if (trip->parked != 1)
		return timeline_error("the read was not parked", 0);
	if (!frame_is_whole(&trip->frame, trip->result))
		return timeline_error("the record read is not the one written", 0);
	return true;
}

static bool aio_show(const struct aio_trip *trip, const struct writer *writer)
{
	struct timeline timeline = { .count = 0 };
	uint64_t stamped = trip->frame.record.timestamp;

	timeline_add_writer(&timeline, writer, &trip->frame.record);
	timeline_add(&timeline, READER, trip->submits, "io_submit of a read, channel empty");
	timeline_add(&timeline, READER, trip->submitted, "io_submit returned 1, parked reads: %u",
		     trip->parked);
	timeline_add(&timeline, READER, trip->reaped, "io_getevents returned, res %lld",
		     (long long)trip->result);
	timeline_print(&timeline, "One AIO round trip", writer);
	return in_order(trip->submitted, writer->moments->entered, stamped) &&
	       in_order(writer->moments->entered, stamped, trip->reaped);
}

static bool aio_rounds(struct aio_trip *trip, const char *path)
{
	struct writer writer;
	int round;
	bool ok = true;

	if (!writer_start(&writer, path))
		return false;
	for (round = 0; ok && round < TIMELINE_ROUNDS; round++)
		ok = aio_round(trip, &writer);
	if (!ok)
		kill(writer.pid, SIGKILL);
	return writer_end(&writer) && ok && aio_show(trip, &writer);
}

bool timeline_aio(const char *path)
{
	struct aio_trip trip = { .context = NULL };
	int ret;
	bool ok;

	trip.fd = open_framed(path, O_RDONLY);
	if (trip.fd < 0)
		return false;
	ret = io_setup(1, &trip.context);
	if (ret < 0) {
		close(trip.fd);
		return timeline_error("io_setup (fs.aio-max-nr too small?)", -ret);
	}
	ok = aio_rounds(&trip, path);
	io_destroy(trip.context);
	close(trip.fd);
	return ok;
}
