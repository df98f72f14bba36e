// SPDX-License-Identifier: GPL-2.0-only
/* The channel of a cell, its files, and the event. */
#include "waits_stage.h"
#include "probe.h"

static uint32_t delivery(const struct waits_cell *cell)
{
	return cell->delivery == WAITS_BROADCAST ? ACHAN_DELIVERY_BROADCAST :
						   ACHAN_DELIVERY_SHARED;
}

static void make_provider(struct waits_stage *stage)
{
	char parameters[80];

	snprintf(parameters, sizeof(parameters), "mode=%u delivery=%u writable=1",
		 ACHAN_MODE_MESSAGE, delivery(&stage->cell));
	probe_load(parameters);
	stage->create.minor = provider_minor("probe");
}

static void make_channel(struct waits_stage *stage)
{
	if (stage->cell.kind == WAITS_PROVIDER) {
		make_provider(stage);
		return;
	}
	stage->create = stage->cell.kind == WAITS_PAIR ?
			control_pair(WAITS_NAME) : control_loop(WAITS_NAME);
	stage->create.config.delivery = delivery(&stage->cell);
	if (waits_is_fifo(&stage->cell))
		stage->create.config.hangup = ACHAN_HANGUP_FIFO;
	control_make(&stage->create);
}

static void open_waiting(struct waits_stage *stage)
{
	stage->fd = control_node(stage->create.minor,
				 stage->cell.access | O_NONBLOCK);
}

static void open_other(struct waits_stage *stage)
{
	uint32_t minor = stage->cell.kind == WAITS_PAIR ?
			 stage->create.peer_minor : stage->create.minor;
	int access = waits_writes(&stage->cell) ? O_RDONLY : O_WRONLY;

	stage->other = control_node(minor, access | O_NONBLOCK);
}

static bool has_other(const struct waits_cell *cell)
{
	return cell->kind != WAITS_PROVIDER &&
	       cell->event != WAITS_REMOVAL_READING &&
	       cell->event != WAITS_REMOVAL_WRITING;
}

/* Of a named pipe the end that reads comes first. */
static void open_files(struct waits_stage *stage)
{
	bool reader_is_other = waits_writes(&stage->cell);

	stage->other = -1;
	if (has_other(&stage->cell) && reader_is_other)
		open_other(stage);
	open_waiting(stage);
	if (has_other(&stage->cell) && !reader_is_other)
		open_other(stage);
}

void waits_set_up(struct waits_stage *stage, const struct waits_cell *cell)
{
	memset(stage, 0, sizeof(*stage));
	stage->cell = *cell;
	signal(SIGPIPE, SIG_IGN);
	make_channel(stage);
	open_files(stage);
	if (waits_writes(cell) && !waits_drains_itself(cell))
		vm_fill_records(stage->fd, WAITS_LENGTH);
}

int waits_open_writer(const struct waits_stage *stage)
{
	int fd = control_node(stage->create.minor, O_WRONLY | O_NONBLOCK);

	vm_set_nonblock(fd, false);
	return fd;
}

void waits_attempt(const struct waits_stage *stage)
{
	char data[WAITS_LENGTH] = { 0 };
	ssize_t ret;

	if (waits_writes(&stage->cell))
		ret = write(stage->fd, data, sizeof(data));
	else
		ret = read(stage->fd, data, sizeof(data));
	ck_assert_int_eq(vm_errno(ret), -EAGAIN);
}

static void send_record(const struct waits_stage *stage)
{
	char data[WAITS_LENGTH] = { 0 };

	if (stage->cell.kind == WAITS_PROVIDER)
		ck_assert(probe_push("task", 1, WAITS_LENGTH));
	else
		vm_write(stage->other, data, sizeof(data));
}

static void take_record(const struct waits_stage *stage)
{
	char data[WAITS_LENGTH];

	if (stage->cell.kind == WAITS_PROVIDER)
		probe_set("pull", "1 %u", WAITS_LENGTH);
	else
		vm_read(stage->other, data, sizeof(data));
}

static void remove_channel(const struct waits_stage *stage)
{
	if (stage->cell.kind == WAITS_PROVIDER)
		probe_unload();
	else
		ck_assert_int_eq(control_remove(WAITS_NAME), 0);
}

void waits_cause(const struct waits_stage *stage)
{
	switch (stage->cell.event) {
	case WAITS_RECORD:
		send_record(stage);
		break;
	case WAITS_ROOM:
		take_record(stage);
		break;
	case WAITS_END:
	case WAITS_BROKEN:
		ck_assert_int_eq(vm_errno(close(stage->other)), 0);
		break;
	default:
		remove_channel(stage);
	}
}
