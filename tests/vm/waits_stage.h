/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The channel of a cell, its files, and the event. As in vm.h, a helper that cannot do
 * its work ends the running case as failed.
 */
#ifndef ACHAN_TESTS_WAITS_STAGE_H
#define ACHAN_TESTS_WAITS_STAGE_H

#include "control.h"
#include "waits_table.h"

/* Bytes of each record: the most that the probe pushes from a task. */
#define WAITS_LENGTH	64

/* The name of the channel, for all but a provider's. */
#define WAITS_NAME	"waits"

struct waits_stage {
	struct waits_cell cell;
	struct achan_create create;
	int fd;		/* the file that waits, O_NONBLOCK */
	int other;	/* the file at the other end, or -1 */
};

/*
 * Makes the channel and opens its files. A ring in which a writer is to wait is full
 * afterwards, unless it drains itself.
 */
void waits_set_up(struct waits_stage *stage, const struct waits_cell *cell);

/* Another file that is open for writing where the waiting file writes; it blocks. */
int waits_open_writer(const struct waits_stage *stage);

/* One attempt of the waiting file, which has to find nothing, or no room. */
void waits_attempt(const struct waits_stage *stage);

/* Causes the event. */
void waits_cause(const struct waits_stage *stage);

#endif /* ACHAN_TESTS_WAITS_STAGE_H */
