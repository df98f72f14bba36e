/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * QEMU's edu devices and achan-edu. As in vm.h, a helper that cannot do its work
 * ends the running case as failed, unless it says that it returns an answer.
 */
#ifndef ACHAN_TESTS_EDU_H
#define ACHAN_TESTS_EDU_H

#include "control.h"

#include <linux/achan-edu.h>

/* Devices that the guest has, all on one line of INTx. */
#define EDU_DEVICES	2

/* Room for an address on the PCI bus. */
#define EDU_ADDRESS	16

#define EDU_BUS		"/sys/bus/pci/"
#define EDU_DRIVER	EDU_BUS "drivers/achan-edu/"

/* A record of eduN-dma. */
struct edu_block {
	struct achan_edu_record record;
	unsigned char data[ACHAN_EDU_BLOCK_MAX];
};

/* Why the guest can run no case, or NULL. */
const char *edu_missing(void);

/* The driver anew, with message-signalled interrupts or with INTx. */
void edu_load(bool msi);
/* What rmmod says: 0 or -errno. */
long edu_unload(void);

/* True if there is channel @name. */
bool edu_exists(const char *name);
/* Waits until there is, or until there is none. */
void edu_wait_exists(const char *name, bool exists);
int edu_open(const char *name, int flags);
/* Where the device of channel @name is. */
void edu_address(const char *name, char address[EDU_ADDRESS]);
/* Whether it interrupts by messages. */
bool edu_has_msi(const char *address);
/* The number of its line. */
long edu_line(const char *address);

/* Its registers, which a program may use beside the driver. */
volatile uint32_t *edu_map(const char *address);
void edu_raise(volatile uint32_t *registers, uint32_t bits);

/* Writes @text to the file of sysfs. */
void edu_put(const char *path, const char *text);

uint32_t edu_factorial(uint32_t operand);
void edu_write(int fd, uint32_t operand);
/* The record of the operand, number @sequence of the channel. */
void edu_assert_result(const struct achan_edu_record *record, uint32_t operand,
		       uint64_t sequence);
/* Reads it, which has to be the next one. */
void edu_read_result(int fd, uint32_t operand, uint64_t sequence);
/* Reads what was raised. */
void edu_read_raised(int fd, uint32_t bits);

#endif /* ACHAN_TESTS_EDU_H */
