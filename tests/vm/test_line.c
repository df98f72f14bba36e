// SPDX-License-Identifier: GPL-2.0-only
/*
 * achan-irq as a driver among others, on a line of no hardware's: what it does to the
 * line it takes back. What comes of interrupts, test_irq.c has.
 */
#include "control.h"
#include "module.h"

#define DRIVER		"/sys/bus/platform/drivers/achan-irq"
#define DEVICE		"achan-irq"

static void write_line(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	ck_assert_msg(fd >= 0, "open %s: %s", path, strerror(errno));
	ck_assert_int_eq(vm_errno(write(fd, text, strlen(text))), strlen(text));
	close(fd);
}

static bool bound(void)
{
	return !access(DRIVER "/" DEVICE, F_OK);
}

/* IRQ_DISABLE_UNLAZY of the line. */
static int disabled_at_once(void)
{
	FILE *file = fopen("/sys/module/achan_line/parameters/disable_at_once",
			   "re");
	int value = -1;

	ck_assert_msg(file, "the state of the line: %s", strerror(errno));
	ck_assert_int_eq(fscanf(file, "%d", &value), 1);
	fclose(file);
	return value;
}

static void load(const char *parameters)
{
	ck_assert_int_eq(module_load_other("achan-irq", ""), 0);
	ck_assert_int_eq(module_load_other("achan_line", parameters), 0);
}

static void unload(void)
{
	module_unload_other("achan_line");
	module_unload_other("achan_irq");
}

START_TEST(line_is_left_as_it_was_found)
{
	load("");
	for (int round = 0; round < 2; round++) {
		ck_assert(bound());
		ck_assert_int_eq(disabled_at_once(), 1);
		write_line(DRIVER "/unbind", DEVICE);
		ck_assert(!bound());
		ck_assert_int_eq(disabled_at_once(), 0);
		write_line(DRIVER "/bind", DEVICE);
	}
}
END_TEST

/*
 * A name that no channel can have: it is found out after the line was set. @_i: what
 * the line was set to before there was a driver.
 */
START_TEST(line_is_left_as_it_was_found_where_the_probe_fails)
{
	load(_i ? "found_set=1 label=a/b" : "found_set=0 label=a/b");
	ck_assert(!bound());
	ck_assert_int_eq(disabled_at_once(), _i);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("line");
	TCase *tcase = vm_tcase(suite, "line");

	tcase_add_checked_fixture(tcase, unload, unload);
	tcase_add_test(tcase, line_is_left_as_it_was_found);
	tcase_add_loop_test(tcase,
			    line_is_left_as_it_was_found_where_the_probe_fails,
			    0, 2);
	return vm_main(suite);
}
