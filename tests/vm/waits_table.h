/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The table of all waits: each combination of a kind of channel, a delivery, an
 * access, a way of waiting and an event. What cannot exist has a reason.
 */
#ifndef ACHAN_TESTS_WAITS_TABLE_H
#define ACHAN_TESTS_WAITS_TABLE_H

#include "vm.h"

enum waits_kind { WAITS_LOOP, WAITS_PAIR, WAITS_PROVIDER, WAITS_KINDS };

enum waits_delivery { WAITS_SHARED, WAITS_BROADCAST, WAITS_DELIVERIES };

/* O_RDONLY, O_WRONLY and O_RDWR are 0, 1 and 2. */
#define WAITS_ACCESSES	3

enum waits_way {
	WAITS_SLEEP,		/* in read() or write() */
	WAITS_POLL,
	WAITS_EPOLL,		/* edge-triggered */
	WAITS_SIGIO,
	WAITS_AIO,		/* io_submit() */
	WAITS_URING,		/* a read or write of io_uring */
	WAITS_URING_POLL,	/* IORING_OP_POLL_ADD */
	WAITS_WAYS,
};

enum waits_event {
	WAITS_RECORD,		/* a record comes to an empty ring */
	WAITS_ROOM,		/* a full ring gets room */
	WAITS_END,		/* the last writer closes; a reader waits */
	WAITS_BROKEN,		/* the last reader closes; a writer waits */
	WAITS_REMOVAL_READING,	/* the channel is removed; a reader waits */
	WAITS_REMOVAL_WRITING,
	WAITS_EVENTS,
};

#define WAITS_GROUPS	(WAITS_KINDS * WAITS_DELIVERIES * WAITS_ACCESSES * \
			 WAITS_EVENTS)
#define WAITS_CELLS	(WAITS_GROUPS * WAITS_WAYS)

struct waits_cell {
	enum waits_kind kind;
	enum waits_delivery delivery;
	int access;
	enum waits_event event;
	enum waits_way way;
};

/* The cell of a number below WAITS_CELLS. The way changes from one to the next. */
struct waits_cell waits_cell(int number);

/* Its name, without and with the way; @name has room for WAITS_NAME_MAX bytes. */
#define WAITS_NAME_MAX	96
void waits_group_name(const struct waits_cell *cell, char *name);
void waits_cell_name(const struct waits_cell *cell, char *name);

/* Why the cell cannot exist, whatever its way; NULL if it can. */
const char *waits_impossible(const struct waits_cell *cell);

/* The one who waits writes. */
bool waits_writes(const struct waits_cell *cell);

/* The channel is a loop that behaves as a named pipe. */
bool waits_is_fifo(const struct waits_cell *cell);

/*
 * A ring that delivers its records to many is emptied at once by whoever commits. Its
 * writers wait for other writers alone, while those copy. Those of a provider have a
 * ring of their own, which the provider empties.
 */
bool waits_drains_itself(const struct waits_cell *cell);

/* The wait is for room that another writer makes, in a ring that drains itself. */
bool waits_beside_writer(const struct waits_cell *cell);

#endif /* ACHAN_TESTS_WAITS_TABLE_H */
