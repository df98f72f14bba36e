/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is written to a device, and the ways to wait for its answer. */
#ifndef ACHAN_HARDWARE_H
#define ACHAN_HARDWARE_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/achan.h>
#include <linux/achan-edu.h>

/* A record of the device's channel as a framed read returns it. */
struct answer_frame {
	struct achan_record header;
	struct achan_edu_record result;
};

/* One at a time. Moments are CLOCK_MONOTONIC in nanoseconds. */
struct hardware {
	const char *path;
	int fd;
	void *private;		/* the way to wait keeps its own there */
	sigset_t asleep;	/* the mask that lets the signal in */
	uint64_t writes;	/* write() of the operand is called */
	uint64_t waits;		/* it has returned */
	uint64_t woke;
	uint64_t has;		/* the result */
	int64_t length;		/* what the read gave */
	struct answer_frame answer;
};

/*
 * A way to wait. Each function returns false after it has said what failed.
 * prepare() comes before the operand is written, wait() after it.
 */
struct hardware_wait {
	const char *name;
	const char *waits;
	const char *woke;	/* where something is left to do then */
	const char *has;
	bool (*open)(struct hardware *hardware);
	bool (*prepare)(struct hardware *hardware);
	bool (*wait)(struct hardware *hardware);
};

/* hardware_waits.c */
extern const struct hardware_wait hardware_waits[];
extern const size_t hardware_wait_count;

#endif /* ACHAN_HARDWARE_H */
