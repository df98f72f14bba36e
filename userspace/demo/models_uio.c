// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * UIO, measured on QEMU's "edu" PCI device bound to uio_pci_generic: its
 * register 0x60 raises the interrupt, 0x64 takes it back.
 */
#define _GNU_SOURCE
#include "models.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define UIO_NODE		"/dev/uio0"
#define UIO_SYSFS		"/sys/class/uio/uio0/"
#define EDU_RAISE		0x60
#define EDU_ACKNOWLEDGE		0x64
#define EDU_ISR			0x24
#define PCI_COMMAND		4
#define PCI_COMMAND_INTX_OFF	0x400

static volatile uint32_t *registers;

static bool attribute_is(const char *name, const char *value)
{
	char path[80], text[16] = "";
	FILE *file;
	bool same;

	snprintf(path, sizeof(path), UIO_SYSFS "device/%s", name);
	file = fopen(path, "r");
	if (!file)
		return false;
	same = fgets(text, sizeof(text), file) && !strncmp(text, value, strlen(value));
	fclose(file);
	return same;
}

static bool uio_present(void)
{
	return !access(UIO_NODE, R_OK | W_OK) && attribute_is("vendor", "0x1234") &&
	       attribute_is("device", "0x11e8");
}

static int map_registers(void)
{
	int fd = open(UIO_SYSFS "device/resource0", O_RDWR | O_SYNC);
	void *map;

	if (fd < 0)
		return -1;
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (map == MAP_FAILED)
		return -1;
	registers = map;
	return 0;
}

/* The handler masks the interrupt in the PCI command word; undone here. */
static int unmask_interrupt(void)
{
	int fd = open(UIO_SYSFS "device/config", O_RDWR);
	uint16_t command;
	int ret = -1;

	if (fd < 0)
		return -1;
	if (pread(fd, &command, sizeof(command), PCI_COMMAND) == sizeof(command)) {
		command &= (uint16_t)~PCI_COMMAND_INTX_OFF;
		if (pwrite(fd, &command, sizeof(command), PCI_COMMAND) == sizeof(command))
			ret = 0;
	}
	close(fd);
	return ret;
}

static long event_count(void)
{
	FILE *file = fopen(UIO_SYSFS "event", "r");
	long count = -1;

	if (!file)
		return -1;
	if (fscanf(file, "%ld", &count) != 1)
		count = -1;
	fclose(file);
	return count;
}

/* An interrupt comes when it comes: return only when UIO has counted it. */
static int uio_put(struct object *object, size_t length)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	long before = event_count();
	int i;

	(void)object;
	(void)length;
	registers[EDU_ACKNOWLEDGE / 4] = registers[EDU_ISR / 4];
	if (before < 0 || unmask_interrupt() < 0)
		return -1;
	registers[EDU_RAISE / 4] = 1;
	for (i = 0; i < 5000; i++) {
		nanosleep(&pause, NULL);
		if (event_count() != before)
			return 0;
	}
	errno = ETIME;
	return -1;
}

/* A file opened afresh has seen all interrupts so far: it is empty. */
static int uio_object_open(struct object *object, bool read_write)
{
	(void)read_write;
	if (map_registers() < 0)
		return -1;
	object->reader = open(UIO_NODE, O_RDWR);
	object->writer = object->reader;
	return object->reader < 0 ? -1 : 0;
}

static ssize_t uio_take(struct object *object, void *buffer, size_t size)
{
	(void)size;		/* UIO reads exactly the count, else -EINVAL */
	return read(object->reader, buffer, sizeof(int32_t));
}

/* What is read is the count of all interrupts: it numbers them. */
static int uio_sequence(struct object *object)
{
	int32_t first, second;

	if (uio_put(object, 0) < 0 || read(object->reader, &first, sizeof(first)) < 0 ||
	    uio_put(object, 0) < 0 || read(object->reader, &second, sizeof(second)) < 0)
		return -1;
	return second == first + 1 ? 0 : -1;
}

const struct object_type uio_type = {
	.name = "UIO",
	.unit = sizeof(int32_t),
	.open = uio_object_open,
	.put = uio_put,
	.take = uio_take,
	.sequence = uio_sequence,
	.present = uio_present,
};
