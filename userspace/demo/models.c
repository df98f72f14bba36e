// SPDX-License-Identifier: LGPL-2.1-or-later
/* achan-models: runs every check on every object and prints a Markdown table. */
#define _GNU_SOURCE
#include "models.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

/* A check that is not done after so many seconds answers "hangs". */
#define CHECK_LIMIT_SECONDS	20

static bool is_present(const struct object_type *type)
{
	return !type->present || type->present();
}

static void run_in_child(const struct check *check, const struct object_type *type,
			 struct answer *answer)
{
	struct object object = { .type = type, .reader = -1, .writer = -1 };

	alarm(CHECK_LIMIT_SECONDS);
	if (type->open(&object, check->read_write) < 0) {
		answer_errno(answer, errno);
		_exit(1);
	}
	check->run(&object, answer);
	_exit(0);
}

/* False when the object could not be opened or the check died. */
static bool run_check(const struct check *check, const struct object_type *type,
		      struct answer *answer)
{
	int status;
	pid_t pid;

	memset(answer, 0, sizeof(*answer));
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return false;
	if (!pid)
		run_in_child(check, type, answer);
	if (waitpid(pid, &status, 0) < 0)
		return false;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) {
		answer_no(answer, "hangs");
		return true;
	}
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return true;
	fprintf(stderr, "achan-models: %s, \"%s\": wait status %#x %s\n", type->name,
		check->name, (unsigned int)status, answer->why);
	return false;
}

static void print_answer(const struct answer *answer)
{
	if (answer->yes)
		printf(" yes |");
	else if (answer->why[0])
		printf(" no: %s |", answer->why);
	else
		printf(" no |");
}

static void print_head(void)
{
	size_t i;

	printf("|");
	for (i = 0; i < object_type_count; i++)
		printf(" | %s", object_types[i]->name);
	printf(" |\n|---|");
	for (i = 0; i < object_type_count; i++)
		printf("---|");
	printf("\n");
}

/* Returns how many answers could not be had. */
static unsigned int print_row(size_t row, struct answer *answer)
{
	unsigned int failed = 0;
	size_t i;

	printf("| %s |", checks[row].name);
	for (i = 0; i < object_type_count; i++) {
		const struct object_type *type = object_types[i];

		if (!is_present(type)) {
			printf(" - |");
		} else if (run_check(&checks[row], type, answer)) {
			print_answer(answer);
		} else {
			printf(" ? |");
			failed++;
		}
	}
	printf("\n");
	fflush(stdout);
	return failed;
}

static void print_absent(void)
{
	size_t i;

	for (i = 0; i < object_type_count; i++)
		if (!is_present(object_types[i]))
			printf("\n%s: not measured, this system has none.\n",
			       object_types[i]->name);
}

int main(void)
{
	struct answer *answer = mmap(NULL, sizeof(*answer), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct utsname kernel;
	unsigned int failed = 0;
	size_t row;

	if (answer == MAP_FAILED || uname(&kernel) < 0) {
		fprintf(stderr, "achan-models: cannot start: %s\n", strerror(errno));
		return 1;
	}
	printf("Measured on Linux %s, %s.\n\n", kernel.release, kernel.machine);
	print_head();
	for (row = 0; row < check_count; row++)
		failed += print_row(row, answer);
	print_absent();
	return failed ? 1 : 0;
}
