// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * UIO: uio_pci_generic turns INTx off in the configuration space and counts. A read
 * gives the count, and by it how many interrupts were missed; the datum is in the
 * device's register. The program acknowledges, and turns INTx on again.
 */
#define _GNU_SOURCE
#include "interrupts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PCI_COMMAND		4
#define PCI_COMMAND_INTX_OFF	0x400

/* What the program keeps, so that turning on is one write. */
struct uio {
	int config;
	uint16_t command;
};

static struct uio uio;

static bool uio_rearm(struct receiver *receiver)
{
	receiver->edu->registers[EDU_ACKNOWLEDGE] =
		receiver->edu->registers[EDU_INTERRUPTS];
	return pwrite(uio.config, &uio.command, sizeof(uio.command),
		      PCI_COMMAND) == sizeof(uio.command) ||
	       failed("turning INTx on", receiver->edu->address, errno);
}

static bool uio_prepare(struct receiver *receiver)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config",
		 receiver->edu->address);
	uio.config = open(path, O_RDWR | O_CLOEXEC);
	if (uio.config < 0 ||
	    pread(uio.config, &uio.command, sizeof(uio.command), PCI_COMMAND) !=
	    sizeof(uio.command))
		return failed("open", path, errno);
	uio.command &= (uint16_t)~PCI_COMMAND_INTX_OFF;
	return uio_rearm(receiver);
}

static bool uio_open(struct receiver *receiver)
{
	return wait_open(receiver) && uio_prepare(receiver);
}

static bool uio_open_epoll(struct receiver *receiver)
{
	return wait_open_epoll(receiver) && uio_prepare(receiver);
}

static bool uio_open_signal(struct receiver *receiver)
{
	return wait_open_signal(receiver) && uio_prepare(receiver);
}

static bool uio_read(struct receiver *receiver, uint32_t *datum)
{
	int32_t count;

	if (read(receiver->fd, &count, sizeof(count)) != sizeof(count))
		return failed("read", receiver->edu->node, errno);
	*datum = receiver->edu->registers[EDU_INTERRUPTS];
	return true;
}

static bool uio_epoll(struct receiver *receiver, uint32_t *datum)
{
	return wait_epoll(receiver) && uio_read(receiver, datum);
}

static bool uio_signal(struct receiver *receiver, uint32_t *datum)
{
	return wait_signal(receiver) && uio_read(receiver, datum);
}

const struct model uio_models[] = {
	{ "blocking read", uio_open, uio_read, uio_rearm },
	{ "epoll", uio_open_epoll, uio_epoll, uio_rearm },
	{ "SIGIO", uio_open_signal, uio_signal, uio_rearm },
};

const unsigned int uio_model_count = sizeof(uio_models) / sizeof(uio_models[0]);
