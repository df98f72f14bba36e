// SPDX-License-Identifier: GPL-2.0-only
/* The table of all waits. */
#include "waits_table.h"

static const char *const kinds[] = { "loop", "pair", "provider" };
static const char *const deliveries[] = { "shared", "broadcast" };
static const char *const accesses[] = { "rdonly", "wronly", "rdwr" };
static const char *const events[] = {
	"record", "room", "end", "broken", "removal_reading", "removal_writing",
};
static const char *const ways[] = {
	"sleep", "poll", "epoll", "sigio", "aio", "uring", "uring_poll",
};

/* Takes the lowest digit, of base @base, from *@number. */
static int digit(int *number, int base)
{
	int value = *number % base;

	*number /= base;
	return value;
}

struct waits_cell waits_cell(int number)
{
	struct waits_cell cell;

	cell.way = digit(&number, WAITS_WAYS);
	cell.event = digit(&number, WAITS_EVENTS);
	cell.access = digit(&number, WAITS_ACCESSES);
	cell.delivery = digit(&number, WAITS_DELIVERIES);
	cell.kind = digit(&number, WAITS_KINDS);
	return cell;
}

void waits_group_name(const struct waits_cell *cell, char *name)
{
	snprintf(name, WAITS_NAME_MAX, "%s_%s_%s_%s", kinds[cell->kind],
		 deliveries[cell->delivery], accesses[cell->access],
		 events[cell->event]);
}

void waits_cell_name(const struct waits_cell *cell, char *name)
{
	char group[WAITS_NAME_MAX];

	waits_group_name(cell, group);
	snprintf(name, WAITS_NAME_MAX, "%.60s_%s", group, ways[cell->way]);
}

static bool is_hang_up(enum waits_event event)
{
	return event == WAITS_END || event == WAITS_BROKEN;
}

const char *waits_impossible(const struct waits_cell *cell)
{
	if (waits_writes(cell) && cell->access == O_RDONLY)
		return "a file that is open for reading only waits for no room";
	if (!waits_writes(cell) && cell->access == O_WRONLY)
		return "a file that is open for writing only waits for no record";
	if (!is_hang_up(cell->event))
		return NULL;
	if (cell->kind == WAITS_PROVIDER)
		return "a provider does not close its end: it removes the channel";
	if (cell->kind == WAITS_LOOP && cell->access == O_RDWR)
		return "a file that is open for both keeps both ends of its loop";
	return NULL;
}

bool waits_writes(const struct waits_cell *cell)
{
	return cell->event == WAITS_ROOM || cell->event == WAITS_BROKEN ||
	       cell->event == WAITS_REMOVAL_WRITING;
}

bool waits_is_fifo(const struct waits_cell *cell)
{
	return cell->kind == WAITS_LOOP && is_hang_up(cell->event);
}

bool waits_drains_itself(const struct waits_cell *cell)
{
	return cell->delivery == WAITS_BROADCAST &&
	       cell->kind != WAITS_PROVIDER;
}

/* A hang-up and a removal are told to those who ask for nothing, too. */
static bool needs_full_ring(const struct waits_cell *cell)
{
	return cell->event == WAITS_ROOM || cell->way == WAITS_SLEEP ||
	       cell->way == WAITS_AIO || cell->way == WAITS_URING;
}

bool waits_beside_writer(const struct waits_cell *cell)
{
	return waits_writes(cell) && waits_drains_itself(cell) &&
	       needs_full_ring(cell);
}
