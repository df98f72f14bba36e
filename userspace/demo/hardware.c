// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Interrupts of a device: QEMU's edu, which achan-edu makes a channel of. An operand
 * goes in, the device computes, its interrupt's handler puts the result into the
 * channel; each way to wait for that is shown moment by moment.
 */
#define _GNU_SOURCE
#include "hardware.h"
#include "demo.h"
#include "timeline.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define CHANNEL		"edu0"
#define OPERAND		10
#define FACTORIAL	3628800

static bool is_hardware(const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct achan_info info;
	bool is;

	if (fd < 0)
		return false;
	is = !ioctl(fd, ACHAN_IOC_INFO, &info) && !strcmp(info.name, CHANNEL);
	close(fd);
	return is;
}

static bool find_hardware(char *path, size_t size)
{
	bool found = false;
	glob_t nodes;
	size_t i;

	if (glob("/dev/achan[0-9]*", 0, NULL, &nodes))
		return false;
	for (i = 0; !found && i < nodes.gl_pathc; i++) {
		found = is_hardware(nodes.gl_pathv[i]);
		if (found)
			snprintf(path, size, "%s", nodes.gl_pathv[i]);
	}
	globfree(&nodes);
	return found;
}

static bool hardware_round(struct hardware *hardware, const struct hardware_wait *wait)
{
	const uint32_t operand = OPERAND;

	hardware->length = 0;
	if (wait->prepare && !wait->prepare(hardware))
		return false;
	hardware->writes = monotonic_ns();
	if (write(hardware->fd, &operand, sizeof(operand)) != sizeof(operand))
		return timeline_error("write of the operand", errno);
	hardware->waits = monotonic_ns();
	if (!wait->wait(hardware))
		return false;
	if (hardware->length != (int64_t)sizeof(hardware->answer) ||
	    hardware->answer.result.value != FACTORIAL)
		return timeline_error("the record read is not that of the operand", 0);
	return true;
}

static bool hardware_show(const struct hardware *hardware, const struct hardware_wait *wait)
{
	const struct achan_edu_record *result = &hardware->answer.result;
	struct timeline timeline = { .count = 0 };

	timeline_add(&timeline, WRITER, result->started, "the device has the operand");
	timeline_add(&timeline, WRITER, result->interrupted, "interrupt: the handler begins");
	timeline_add(&timeline, WRITER, hardware->answer.header.timestamp,
		     "  record %llu gets room, time",
		     (unsigned long long)hardware->answer.header.sequence);
	timeline_add(&timeline, READER, hardware->writes, "write of the operand %d", OPERAND);
	timeline_add(&timeline, READER, hardware->waits, "%s", wait->waits);
	if (hardware->woke != hardware->has)
		timeline_add(&timeline, READER, hardware->woke, "%s", wait->woke);
	timeline_add(&timeline, READER, hardware->has, "%s, %u", wait->has, result->value);
	printf("\n%s from a hard interrupt on %s, round %d of %d; 0 is the write\n\n", wait->name,
	       hardware->path, TIMELINE_ROUNDS, TIMELINE_ROUNDS);
	timeline_print_moments(&timeline, hardware->writes, "driver and device", "application");
	return in_order(hardware->writes, result->started, result->interrupted) &&
	       in_order(result->interrupted, hardware->answer.header.timestamp,
			hardware->has);
}

static bool hardware_trip(const char *path, const struct hardware_wait *wait)
{
	struct hardware hardware = { .path = path };
	bool ok;
	int i;

	hardware.fd = open_framed(path, O_RDWR);
	if (hardware.fd < 0)
		return false;
	ok = wait->open(&hardware);
	for (i = 0; ok && i < TIMELINE_ROUNDS; i++)
		ok = hardware_round(&hardware, wait);
	ok = ok && hardware_show(&hardware, wait);
	close(hardware.fd);
	return ok;
}

unsigned int run_hardware(void)
{
	unsigned int wrong = 0;
	char path[64];
	size_t i;

	if (!find_hardware(path, sizeof(path))) {
		printf("\nNo channel %s (module achan-edu, device edu of QEMU): no hardware here.\n",
		       CHANNEL);
		return 0;
	}
	for (i = 0; i < hardware_wait_count; i++)
		if (!hardware_trip(path, &hardware_waits[i]))
			wrong++;
	return wrong;
}
