// SPDX-License-Identifier: GPL-2.0-only
/*
 * All waits: whoever waits, in whatever way, with whatever file of whatever channel, is
 * told of the event, and what happened. Each cell of the table is a case with a name of
 * its own: KIND_DELIVERY_ACCESS_EVENT_WAY.
 */
#include "probe.h"
#include "waits_beside.h"

#include <poll.h>
#include <sys/wait.h>

/* Cells that can exist; the others are listed with their reasons. */
#define POSSIBLE	420

/* How often a process is killed that writes beside one whose copies fail. */
#define KILLS		20

static long expected_result(const struct waits_cell *cell)
{
	switch (cell->event) {
	case WAITS_RECORD:
	case WAITS_ROOM:
		return WAITS_LENGTH;
	case WAITS_END:
		return 0;
	case WAITS_BROKEN:
		return -EPIPE;
	default:
		return -ENODEV;
	}
}

/*
 * Of those that were asked for, and of POLLHUP and POLLERR. A named pipe says POLLHUP
 * alone where nothing is left, and no POLLOUT of a full ring that nobody reads.
 */
static short expected_events(const struct waits_cell *cell, short asked)
{
	short events = 0;

	switch (cell->event) {
	case WAITS_RECORD:
		events = POLLIN;
		break;
	case WAITS_ROOM:
		events = POLLOUT;
		break;
	case WAITS_END:
		events = POLLHUP | (waits_is_fifo(cell) ? 0 : POLLIN);
		break;
	case WAITS_BROKEN:
		events = waits_is_fifo(cell) ? POLLERR : POLLOUT | POLLHUP;
		break;
	default:
		events = POLLIN | POLLHUP | POLLERR;
	}
	return events & (asked | POLLHUP | POLLERR);
}

static long expected_code(const struct waits_cell *cell)
{
	switch (cell->event) {
	case WAITS_RECORD:
		return POLL_IN;
	case WAITS_ROOM:
		return POLL_OUT;
	default:
		return POLL_HUP;
	}
}

static long expected_band(const struct waits_cell *cell)
{
	switch (cell->event) {
	case WAITS_RECORD:
		return POLLIN | POLLRDNORM;
	case WAITS_ROOM:
		return POLLOUT | POLLWRNORM | POLLWRBAND;
	default:
		return POLLHUP | POLLERR;
	}
}

static void assert_events(const struct waits_waiter *waiter, long events)
{
	short expected = expected_events(&waiter->stage->cell, waiter->asked);

	ck_assert_msg(events == expected, "told of events %#lx, not of %#x",
		      events, expected);
}

static void assert_told(const struct waits_waiter *waiter,
			const struct waits_told *told)
{
	const struct waits_cell *cell = &waiter->stage->cell;

	switch (cell->way) {
	case WAITS_POLL:
	case WAITS_EPOLL:
	case WAITS_URING_POLL:
		assert_events(waiter, told->value);
		break;
	case WAITS_SIGIO:
		ck_assert_int_eq(told->value, expected_code(cell));
		ck_assert_int_eq(told->band, expected_band(cell));
		break;
	default:
		ck_assert_int_eq(told->value, expected_result(cell));
	}
}

START_TEST(waiter_is_told)
{
	struct waits_cell cell = waits_cell(_i);
	struct waits_waiter waiter;
	struct waits_stage stage;
	struct waits_told told;

	waits_set_up(&stage, &cell);
	waits_prepare(&waiter, &stage);
	waits_begin(&waiter);
	waits_cause(&stage);
	told = waits_end(&waiter);
	assert_told(&waiter, &told);
}
END_TEST

START_TEST(waiter_beside_a_writer_is_told)
{
	struct waits_cell cell = waits_cell(_i);
	struct waits_beside beside;
	struct waits_stage stage;

	waits_set_up(&stage, &cell);
	waits_beside_start(&beside, &stage);
	if (cell.event == WAITS_ROOM)
		waits_beside_stop(&beside);
	else
		waits_cause(&stage);
	ck_assert_int_eq(waits_beside_join(&beside),
			 cell.event == WAITS_ROOM ? 0 : expected_result(&cell));
}
END_TEST

/* One line for all ways, since none of them makes a difference. */
START_TEST(cells_that_cannot_exist_have_a_reason)
{
	int possible = 0, number;

	for (number = 0; number < WAITS_CELLS; number += WAITS_WAYS) {
		struct waits_cell cell = waits_cell(number);
		const char *reason = waits_impossible(&cell);
		char name[WAITS_NAME_MAX];

		if (!reason) {
			possible += WAITS_WAYS;
			continue;
		}
		waits_group_name(&cell, name);
		printf("# %s, %d ways: %s\n", name, WAITS_WAYS, reason);
	}
	ck_assert_int_eq(possible, POSSIBLE);
}
END_TEST

/* The cells of a writer that sleeps beside another one, by access and kind. */
static const struct waits_cell beside_cells[] = {
	{ WAITS_LOOP, WAITS_BROADCAST, O_WRONLY, WAITS_ROOM, WAITS_SLEEP },
	{ WAITS_LOOP, WAITS_BROADCAST, O_RDWR, WAITS_ROOM, WAITS_SLEEP },
	{ WAITS_PAIR, WAITS_BROADCAST, O_WRONLY, WAITS_ROOM, WAITS_SLEEP },
	{ WAITS_PAIR, WAITS_BROADCAST, O_RDWR, WAITS_ROOM, WAITS_SLEEP },
};

/*
 * A signal that comes while the writer does not wait interrupts nothing: it is sent
 * until one of them does.
 */
START_TEST(writer_beside_a_failing_one_is_interrupted_by_a_signal)
{
	int64_t until = vm_now_ms() + vm_timeout_ms(VM_HANG_MS);
	struct waits_beside beside;
	struct waits_stage stage;

	waits_set_up(&stage, &beside_cells[_i]);
	vm_count_signal(SIGUSR1, 0);
	waits_beside_start(&beside, &stage);
	while (pthread_tryjoin_np(beside.waiting.thread, NULL)) {
		ck_assert_msg(vm_now_ms() < until,
			      "%d signals interrupted no write", vm_signals);
		ck_assert_int_eq(pthread_kill(beside.waiting.thread, SIGUSR1),
				 0);
		vm_sleep_ms(1);
	}
	ck_assert_int_eq(beside.waiting.result, -EINTR);
	waits_beside_stop(&beside);
	ck_assert_int_eq(vm_join(&beside.failing), 0);
}
END_TEST

static int write_beside(void *stage)
{
	struct waits_beside beside;

	waits_beside_start(&beside, stage);
	waits_beside_join(&beside);
	return 1;
}

START_TEST(writer_beside_a_failing_one_can_be_killed)
{
	struct waits_stage stage;
	unsigned int i;

	waits_set_up(&stage, &beside_cells[_i]);
	for (i = 0; i < vm_repeat(KILLS); i++) {
		uint64_t before = control_stats(WAITS_NAME).parked;
		int64_t until = vm_now_ms() + vm_timeout_ms(VM_HANG_MS);
		pid_t pid = vm_fork(write_beside, &stage);
		int status;

		while (control_stats(WAITS_NAME).parked == before) {
			ck_assert_msg(vm_now_ms() < until, "nobody waits");
			sched_yield();
		}
		ck_assert_int_eq(vm_errno(kill(pid, SIGKILL)), 0);
		status = vm_wait(pid);
		ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
}
END_TEST

/* A case for each cell that can exist, named as the cell is. */
static void add_cells(TCase *alone, TCase *beside)
{
	static char names[WAITS_CELLS][WAITS_NAME_MAX];
	static TTest tests[WAITS_CELLS];
	int i;

	for (i = 0; i < WAITS_CELLS; i++) {
		struct waits_cell cell = waits_cell(i);
		bool is_beside = waits_beside_writer(&cell);

		if (waits_impossible(&cell))
			continue;
		waits_cell_name(&cell, names[i]);
		tests[i] = is_beside ? *waiter_beside_a_writer_is_told :
				       *waiter_is_told;
		tests[i].name = names[i];
		tcase_add_loop_test(is_beside ? beside : alone, &tests[i], i,
				    i + 1);
	}
}

int main(void)
{
	Suite *suite = suite_create("waits");
	TCase *alone, *beside;

	tcase_add_test(vm_tcase(suite, "list"),
		       cells_that_cannot_exist_have_a_reason);
	alone = probe_tcase(suite, "alone");
	beside = probe_tcase(suite, "beside");
	add_cells(alone, beside);
	tcase_add_loop_test(beside,
			    writer_beside_a_failing_one_is_interrupted_by_a_signal,
			    0, VM_ARRAY_SIZE(beside_cells));
	tcase_add_loop_test(beside, writer_beside_a_failing_one_can_be_killed,
			    0, VM_ARRAY_SIZE(beside_cells));
	return vm_main(suite);
}
