/* SPDX-License-Identifier: GPL-2.0-only */
/* What the tests of libachan share: channels made of pipes, and children. */
#ifndef ACHAN_TESTS_UNIT_LIBRARY_H
#define ACHAN_TESTS_UNIT_LIBRARY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

/* By path: the driver has an achan.h as well. */
#include "../../userspace/lib/achan.h"

/* A channel that owns @fd; fails the case if there can be none. */
struct achan *library_channel(int fd);

/* A pipe as two channels: @ends[0] reads, @ends[1] writes. */
void library_pipe(struct achan *ends[2], int flags);

void library_close(struct achan *ends[2]);

/* Writes @count bytes, one at a time. */
void library_write_bytes(struct achan *channel, int count);

/* Reads until nothing is left. The file must be O_NONBLOCK or know NOWAIT. */
void library_drain(struct achan *channel);

void library_pause_ms(int ms);

/* Waits until *@value is at least @wanted, at most 10 s scaled. */
bool library_reaches(_Atomic int *value, int wanted);

/*
 * Forks; true in the child, which must end in library_child_done(). The parent
 * waits for it with library_child_ok().
 */
bool library_in_child(pid_t *child);
void library_child_done(bool ok) __attribute__((noreturn));
void library_child_ok(pid_t child);

/*
 * Built with ThreadSanitizer, which puts a handler of its own before the
 * program's and keeps one signal of a number at a time, and which lets a child
 * start no threads.
 */
bool library_under_tsan(void);

/* Descriptors that the process has open. */
int library_open_fds(void);

#endif /* ACHAN_TESTS_UNIT_LIBRARY_H */
