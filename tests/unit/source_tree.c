// SPDX-License-Identifier: GPL-2.0-only
#include "source_tree.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

#define MARK	"include/uapi/linux/achan.h"

/* Cuts @path back to the directory that has the mark in it. */
static bool climb(char *path)
{
	char mark[PATH_MAX + sizeof(MARK) + 1];
	char *slash;

	for (;;) {
		snprintf(mark, sizeof(mark), "%s/%s", path, MARK);
		if (!access(mark, F_OK))
			return true;
		slash = strrchr(path, '/');
		if (!slash)
			return false;
		*slash = 0;
	}
}

static void find_root(void)
{
	char path[PATH_MAX];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (length > 0) {
		path[length] = 0;
		if (climb(path)) {
			setenv("ROOT", path, 1);
			return;
		}
	}
	ck_assert_ptr_nonnull(getcwd(path, sizeof(path)));
	ck_assert_msg(climb(path), "no source tree above program or directory");
	setenv("ROOT", path, 1);
}

static bool run(bool show, const char *format, va_list arguments)
{
	char command[8192], shell[sizeof(command) + 64];
	int length, status;

	find_root();
	length = vsnprintf(command, sizeof(command), format, arguments);
	ck_assert_int_lt(length, (int)sizeof(command));
	/* Standard output is the test protocol's. */
	snprintf(shell, sizeof(shell), "(%s\n) %s", command,
		 show ? "1>&2" : ">/dev/null 2>&1");
	status = system(shell);
	ck_assert(WIFEXITED(status));
	if (show && WEXITSTATUS(status))
		fprintf(stderr, "# exit status %d: %s\n", WEXITSTATUS(status),
			command);
	return !WEXITSTATUS(status);
}

bool source_tree_run(const char *format, ...)
{
	va_list arguments;
	bool ok;

	va_start(arguments, format);
	ok = run(true, format, arguments);
	va_end(arguments);
	return ok;
}

bool source_tree_try(const char *format, ...)
{
	va_list arguments;
	bool ok;

	va_start(arguments, format);
	ok = run(false, format, arguments);
	va_end(arguments);
	return ok;
}

bool source_tree_has(const char *program)
{
	return source_tree_try("command -v %s", program);
}
