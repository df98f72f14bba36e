/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What every example does alike: find its device, give up with a message. */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include <achan.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXAMPLE_TEXT	"hello through the channel"
#define EXAMPLE_SECOND	1000000000LL

static inline const char *example_device(int argc, char **argv)
{
	return argc > 1 ? argv[1] : "/dev/achan0";
}

/* Passes on a result that is not negative; ends the program with another. */
static inline long must(long result, const char *what)
{
	if (result < 0) {
		fprintf(stderr, "cannot %s: %s\n", what,
			achan_strerror((int)result));
		exit(1);
	}
	return result;
}

/* Ends the program with what to do if the channel could not be opened. */
static inline void must_open(long result, const char *device)
{
	if (result < 0) {
		char text[512];

		achan_explain_open(device, (int)result, text, sizeof(text));
		fprintf(stderr, "%s\n", text);
		exit(1);
	}
}

/* The same as must() for calls that return -1 and set errno. */
static inline long must_errno(long result, const char *what)
{
	return must(result == -1 ? -errno : result, what);
}

/* Ends the program unless the text that was sent is what came back. */
static inline void must_match(const char *text, long length)
{
	if (length != sizeof(EXAMPLE_TEXT) || strcmp(text, EXAMPLE_TEXT)) {
		fprintf(stderr, "got something else: %ld bytes\n", length);
		exit(1);
	}
}

#endif /* EXAMPLE_H */
