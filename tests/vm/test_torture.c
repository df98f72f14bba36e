// SPDX-License-Identifier: GPL-2.0-only
/*
 * Torture: random operations by many threads and processes on all channels,
 * with an account of every record; see torture/torture.h.
 *
 *	TORTURE_SECONDS=N	how long (6)
 *	TORTURE_SEED=N		what to repeat (random)
 *	TORTURE_THREADS=N	how many threads (6)
 *	TORTURE_CHANNELS=N	how many channels, of four
 *	TORTURE_OPERATIONS=N	of each thread in a round (as many as fit)
 *	TORTURE_ROUND=N		where to begin (0)
 *	TORTURE_TRACE=1		show each member's key, and its operations
 *
 * CK_RUN_CASE=run leaves out the oracle's own tests.
 */
#include "torture/torture.h"

#define SECONDS		6
/* Of a run that is to find what it did to itself. */
#define SECONDS_INJECTED	1

START_TEST(every_record_is_accounted_for_under_torture)
{
	ck_assert_msg(torture_run(SECONDS, vm_timeout_ms(VM_HANG_MS),
				  NO_INJECTION),
		      "%s", journal->failure);
}
END_TEST

/* The oracle sees nothing where there is nothing to see only if it can see. */
static void assert_found(enum injection injection, int hang_ms,
			 const char *verdict)
{
	ck_assert_msg(!torture_run(SECONDS_INJECTED, hang_ms, injection),
		      "what was injected was not found");
	ck_assert_msg(strstr(journal->failure, verdict),
		      "found as: %s; not as: %s", journal->failure, verdict);
}

START_TEST(injected_loss_is_found)
{
	assert_found(LOSS, vm_timeout_ms(VM_HANG_MS), "lost");
}
END_TEST

START_TEST(injected_duplicate_is_found)
{
	assert_found(DUPLICATE, vm_timeout_ms(VM_HANG_MS), "doubled");
}
END_TEST

START_TEST(injected_swap_is_found)
{
	assert_found(SWAP, vm_timeout_ms(VM_HANG_MS), "reordered");
}
END_TEST

START_TEST(injected_corruption_is_found)
{
	assert_found(CORRUPTION, vm_timeout_ms(VM_HANG_MS), "torn");
}
END_TEST

/*
 * A run that had found it waited 200 seconds for the end of a child with open
 * files; and a round that ended before any member began to hang had nothing to
 * find.
 */
START_TEST(injected_hang_is_found)
{
	assert_found(STUCK, vm_timeout_ms(1000), "hangs");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("torture");
	const char *seconds = getenv("TORTURE_SECONDS");
	TCase *oracle = vm_tcase(suite, "oracle");
	TCase *run = vm_tcase(suite, "run");

	tcase_add_test(oracle, injected_loss_is_found);
	tcase_add_test(oracle, injected_duplicate_is_found);
	tcase_add_test(oracle, injected_swap_is_found);
	tcase_add_test(oracle, injected_corruption_is_found);
	tcase_add_test(oracle, injected_hang_is_found);
	/* The rounds' ends take their time too. */
	if (seconds)
		tcase_set_timeout(run, 3 * atoi(seconds) +
				  vm_timeout_ms(20));
	tcase_add_test(run, every_record_is_accounted_for_under_torture);
	return vm_main(suite);
}
