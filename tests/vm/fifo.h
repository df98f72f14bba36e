/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A FIFO and a channel that stands in for it: a loop with hangup=fifo. Each case is run
 * on both. As in vm.h, a helper that cannot do its work ends the running case as failed,
 * unless it says that it returns what the kernel said.
 */
#ifndef ACHAN_TESTS_FIFO_H
#define ACHAN_TESTS_FIFO_H

#include "vm.h"

/* The kinds, which are the _i of each case. */
enum { FIFO, CHANNEL, KINDS };

/* Bytes that either takes in one write. */
#define FIFO_CAPACITY	65536

/* Makes the node, and has SIGPIPE counted in vm_signals. */
void fifo_begin(int kind);

/* Opens the node: a descriptor that exec() closes, or -errno. */
int fifo_try_open(int flags);
/* The same, where it has to succeed. */
int fifo_open(int flags);
/* Opens both ends, blocking. */
void fifo_open_both(int *reader, int *writer);

/* Reads one byte: what read() gave, or -errno. */
ssize_t fifo_read_byte(int fd);

/*
 * main() of a program whose @count @cases run on both kinds; with ACHAN_FIFO_ALONE in
 * the environment on a FIFO alone, which takes no driver.
 */
int fifo_main(const char *name, const TTest *const *const cases[], size_t count);

#endif /* ACHAN_TESTS_FIFO_H */
