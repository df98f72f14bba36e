/* SPDX-License-Identifier: GPL-2.0-only */
/* For tests that compile: where the sources are, and how to run a command. */
#ifndef ACHAN_TESTS_UNIT_SOURCE_TREE_H
#define ACHAN_TESTS_UNIT_SOURCE_TREE_H

#include <stdbool.h>

/*
 * Runs a shell command made by the format, in which $ROOT is the top of the
 * source tree: the directory above the program, or above the working
 * directory, that has include/uapi/linux/achan.h. The command's output is
 * shown if it fails. Returns true if its exit status is 0; fails the case if
 * it could not be run or there is no source tree.
 */
bool source_tree_run(const char *format, ...)
	__attribute__((format(printf, 1, 2)));

/* The same, for a command that is expected to fail: shows nothing. */
bool source_tree_try(const char *format, ...)
	__attribute__((format(printf, 1, 2)));

/* True if there is a program of that name to run. */
bool source_tree_has(const char *program);

#endif /* ACHAN_TESTS_UNIT_SOURCE_TREE_H */
