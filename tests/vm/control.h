/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Channels that a case makes for itself by /dev/achan-control. As in vm.h, a
 * helper that cannot do its work ends the running case as failed, unless it
 * says that it returns what the kernel said.
 */
#ifndef ACHAN_TESTS_CONTROL_H
#define ACHAN_TESTS_CONTROL_H

#include "vm.h"

/*
 * A TCase whose cases start and end without channels but those that the module
 * was loaded with.
 */
TCase *control_tcase(Suite *suite, const char *name);

/* A new open file of the control node, the handshake done. */
int control_open(void);
/* Any ioctl of it, on a file that the process keeps: -errno or 0. */
long control_call(unsigned long request, void *argument);

/* A loop of messages with a small ring that can be given to control_make(). */
struct achan_create control_loop(const char *name);
/* The same for a pair, named NAME and NAME-peer. */
struct achan_create control_pair(const char *name);
void control_make(struct achan_create *create);
/* Opens the node of a minor. */
int control_node(uint32_t minor, int flags);
/* Both: -errno or 0. */
long control_remove(const char *name);
long control_get(const char *name, struct achan_channel *channel);
/* Changes a loop or one side of a pair. */
void control_set(const char *name, uint32_t mask,
		 const struct achan_config *config);

/* Makes a channel and opens it. */
int control_make_open(struct achan_create *create, int flags);
struct achan_stats control_file_stats(int fd);
struct achan_stats control_stats(const char *name);

#endif /* ACHAN_TESTS_CONTROL_H */
