/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * achan-interrupts: from an interrupt to the program that has its datum, through UIO
 * and through achan, on the same device: QEMU's edu, whose register can raise it.
 *
 * One process raises interrupts, another one receives them. Both are on one processor,
 * and the receiver is a real-time task: so the raiser runs only while the receiver
 * sleeps, and the interrupt comes upon a receiver that waits. What is measured begins
 * right before the store that raises the interrupt, in user space.
 */
#ifndef ACHAN_INTERRUPTS_H
#define ACHAN_INTERRUPTS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/* Registers of the device, in words. */
#define EDU_INTERRUPTS		(0x24 / 4)
#define EDU_RAISE		(0x60 / 4)
#define EDU_ACKNOWLEDGE		(0x64 / 4)

#define EDU_ADDRESS_BYTES	32
#define NODE_BYTES		64

/* The device, and which node its present driver has made. */
struct edu {
	char address[EDU_ADDRESS_BYTES];	/* on the PCI bus */
	volatile uint32_t *registers;
	char node[NODE_BYTES];
};

struct model;

/* A program that waits for interrupts in one way. */
struct receiver {
	const struct model *model;
	struct edu *edu;
	int fd;			/* the node */
	int epoll;
	sigset_t asleep;	/* the mask that lets SIGIO in */
	void *private;
	uint64_t handled;	/* when the driver's handler began; 0: nobody says */
};

/*
 * A way to wait. Each function returns false after it has said what failed.
 *
 * open:  makes all ready; the first wait() may follow
 * wait:  sleeps until an interrupt has come, and gets its datum
 * rearm: what has to be done before the next interrupt can come; may be NULL
 */
struct model {
	const char *name;
	bool (*open)(struct receiver *receiver);
	bool (*wait)(struct receiver *receiver, uint32_t *datum);
	bool (*rearm)(struct receiver *receiver);
};

/* A driver, and the ways to wait that it has. */
struct setup {
	const char *name;
	const char *driver;	/* its name on the PCI bus */
	bool msi;		/* only asked for by achan-edu */
	const struct model *models;
};

/* interrupts_uio.c, interrupts_achan.c */
extern const struct model uio_models[];
extern const unsigned int uio_model_count;
extern const struct model achan_models[];
extern const unsigned int achan_model_count;

/* interrupts_edu.c */
bool edu_find(struct edu *edu);
/* Gives the device to the driver of @setup, and finds the node. */
bool edu_bind(struct edu *edu, const struct setup *setup);
bool edu_map(struct edu *edu);

/* interrupts_wait.c: what both kinds of nodes are waited for by */
bool wait_open(struct receiver *receiver);
bool wait_open_epoll(struct receiver *receiver);
bool wait_epoll(struct receiver *receiver);
bool wait_open_signal(struct receiver *receiver);
bool wait_signal(struct receiver *receiver);

/* interrupts.c */
bool failed(const char *what, const char *on, int error);

#endif /* ACHAN_INTERRUPTS_H */
