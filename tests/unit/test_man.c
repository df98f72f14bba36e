// SPDX-License-Identifier: GPL-2.0-only
/*
 * The manual pages: every example compiles, every function has a page, and the
 * tools that show pages find nothing wrong with them.
 */
#include "source_tree.h"
#include "unit.h"

static const char *const pages[] = {
	"achan_channel.3", "achan_control.3", "achan_frames.3",
	"achan_monitor.3", "achan_notifier.3", "achan_queue.3", "achan.4",
	"achan.7", "achanctl.8",
};

#define PAGES	((int)(sizeof(pages) / sizeof(pages[0])))
#define PROGRAMS	(PAGES - 1)	/* the last one's are commands */

#define CD	"cd \"$ROOT\"/Documentation/man && "

/* The display of the EXAMPLES, without what only roff needs. */
#define EXAMPLE	"sed -n '/^\\.Sh EXAMPLES/,/^\\.Sh SEE/{" \
		"/^\\.Bd -literal/,/^\\.Ed/{/^\\.[BE]d/d;s/\\\\e/\\\\/g;p}}' %s"

static const char *const compilers[] = { "gcc", "clang" };

START_TEST(example_compiles)
{
	const char *page = pages[_i / 2];
	const char *compiler = compilers[_i % 2];

	if (!source_tree_has(compiler)) {
		unit_skip("example_compiles", compiler);
		return;
	}
	/* An empty program would compile as well. */
	ck_assert(source_tree_run(CD EXAMPLE " | grep -q 'int main(void)'",
				  page));
	ck_assert(source_tree_run(CD EXAMPLE " | %s -x c -std=gnu11 -Wall"
				  " -Wextra -Werror -fsyntax-only"
				  " -I../../userspace/lib"
				  " -I../../include/uapi -", page, compiler));
	/* And one with a mistake in it does not. */
	ck_assert(!source_tree_try(CD EXAMPLE " | sed 's/return 0;/return x;/;"
				   "s/return n < 0;/return x;/;"
				   "s/return 1;/return x;/' |"
				   " %s -x c -std=gnu11 -fsyntax-only"
				   " -I../../userspace/lib"
				   " -I../../include/uapi -", page, compiler));
}
END_TEST

START_TEST(every_page_is_tested)
{
	ck_assert(source_tree_run(CD "[ \"$(ls | grep -c '\\.[1-9]$')\" = %d ]",
				  PAGES));
}
END_TEST

START_TEST(page_has_what_every_page_has)
{
	static const char *const sections[] = {
		"NAME", "SYNOPSIS", "DESCRIPTION", "RETURN VALUES", "EXAMPLES",
		"ERRORS", "THREADS AND SIGNALS", "SEE ALSO",
	};

	for (unsigned int i = 0; i < sizeof(sections) / sizeof(sections[0]);
	     i++)
		ck_assert(source_tree_run(CD "grep -qx '.Sh %s' %s",
					  sections[i], pages[_i]));
}
END_TEST

START_TEST(mandoc_finds_nothing_wrong)
{
	if (!source_tree_has("mandoc")) {
		unit_skip("mandoc_finds_nothing_wrong",
			  "mandoc is not installed");
		return;
	}
	ck_assert(source_tree_run(CD "mandoc -Tlint -W warning %s",
				  pages[_i]));
}
END_TEST

START_TEST(man_finds_nothing_wrong)
{
	if (!source_tree_has("man")) {
		unit_skip("man_finds_nothing_wrong", "man is not installed");
		return;
	}
	ck_assert(source_tree_run(CD "said=$(LC_ALL=C.UTF-8 man --warnings"
				  " -E UTF-8 -l -Tutf8 -Z ./%s 2>&1"
				  " >/dev/null); echo \"$said\"; [ -z \"$said\" ]",
				  pages[_i]));
}
END_TEST

/* What a program can call, it can look up. */
START_TEST(every_function_has_a_page)
{
	ck_assert(source_tree_run(CD "cat *.3 >/dev/null && for name in $(sed -n"
				  " 's/^\t\t\\(achan_[a-z_]*\\);/\\1/p'"
				  " ../../userspace/lib/libachan.map); do"
				  " grep -q \"^\\.Nm $name\\( ,\\)*$\" *.3 &&"
				  " grep -q \"^\\.Fn $name \" *.3 ||"
				  " { echo \"$name has no page\"; bad=1; };"
				  " done; [ -z \"$bad\" ]"));
}
END_TEST

/* And no page tells of a function that is not there. */
START_TEST(every_page_tells_of_functions_that_are)
{
	ck_assert(source_tree_run(CD "for name in $(sed -n"
				  " 's/^\\.Fn \\(achan_[a-z_]*\\) .*/\\1/p' *.3);"
				  " do grep -q \"\t$name;\""
				  " ../../userspace/lib/libachan.map ||"
				  " { echo \"$name is not there\"; bad=1; };"
				  " done; [ -z \"$bad\" ]"));
}
END_TEST

/* The page and the program agree on the options and commands. */
START_TEST(achanctl_page_has_every_option)
{
	ck_assert(source_tree_run("cd \"$ROOT\" && for option in $(sed -n"
				  " 's/^\t{ \"\\([a-z-]*\\)\", [a-z]*_argument.*/\\1/p'"
				  " userspace/achanctl/*.c); do"
				  " [ \"$option\" = help ] ||"
				  " grep -q \"Fl -$option\""
				  " Documentation/man/achanctl.8 ||"
				  " { echo \"--$option is not there\"; bad=1; };"
				  " grep -q -e \"--$option\""
				  " packaging/bash-completion/achanctl ||"
				  " { echo \"--$option is not completed\"; bad=1; };"
				  " done; [ -z \"$bad\" ]"));
	ck_assert(source_tree_run("cd \"$ROOT\" && for command in $(sed -n"
				  " 's/^\t\\.name = \"\\(.*\\)\",/\\1/p'"
				  " userspace/achanctl/*.c); do"
				  " grep -q \"^\\.Ss $command\""
				  " Documentation/man/achanctl.8 ||"
				  " { echo \"$command is not there\"; bad=1; };"
				  " done; [ -z \"$bad\" ]"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("man");
	TCase *tcase = tcase_create("man");

	tcase_add_loop_test(tcase, example_compiles, 0, 2 * PROGRAMS);
	tcase_add_test(tcase, every_page_is_tested);
	tcase_add_loop_test(tcase, page_has_what_every_page_has, 0, PAGES - 3);
	tcase_add_loop_test(tcase, mandoc_finds_nothing_wrong, 0, PAGES);
	tcase_add_loop_test(tcase, man_finds_nothing_wrong, 0, PAGES);
	tcase_add_test(tcase, every_function_has_a_page);
	tcase_add_test(tcase, every_page_tells_of_functions_that_are);
	tcase_add_test(tcase, achanctl_page_has_every_option);
	suite_add_tcase(suite, tcase);
	return unit_main(suite);
}
