/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the programs that run in the booted guest share. Include it first: it
 * asks for the GNU extensions.
 *
 * A helper that cannot do its work ends the running case as failed; none of
 * them returns an error for the case to look at, unless it says so.
 */
#ifndef ACHAN_TESTS_VM_H
#define ACHAN_TESTS_VM_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include <linux/achan.h>

#define VM_ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

/* Linux's PIPE_BUF: a stream write up to this size is one record. */
#define VM_ATOMIC	4096

/* How long a test waits, in ms before scaling, until it calls it a hang. */
#define VM_HANG_MS	10000

enum vm_channel {
	VM_STREAM,		/* ring of 64 KiB */
	VM_MESSAGE,
	VM_STREAM_SMALL,	/* ring of 8 KiB */
	VM_MESSAGE_SMALL,
};

/* Runs @suite as the command line and environment ask; main()'s result. */
int vm_main(Suite *suite);

/* A TCase of @suite whose time-out is generous and scaled. */
TCase *vm_tcase(Suite *suite, const char *name);

/*
 * Ends the calling case as skipped, with the reason. Only from the function
 * that is the case.
 */
#define vm_skip(...)							\
	do {								\
		vm_skip_reason(__VA_ARGS__);				\
		return;							\
	} while (0)
void vm_skip_reason(const char *format, ...)
	__attribute__((format(printf, 1, 2)));

/* A system call's result with its errno folded in: -errno or what it gave. */
static inline ssize_t vm_errno(ssize_t result)
{
	return result < 0 ? -errno : result;
}

/* Channels. */
const char *vm_path(enum vm_channel channel);
/* A new open file of an emptied channel. */
int vm_open(enum vm_channel channel, int flags);
/* A new open file of the channel that @fd is of, left as it is. */
int vm_reopen(int fd, int flags);
/* Empties the channel of @fd, which may be open for writing only. */
void vm_drain(int fd);
/*
 * Fills the channel of @fd until not even one byte fits, by an open file of
 * its own: what poll() tells @fd is not touched. Returns the payload in it,
 * which is the pattern from offset 0 on.
 */
size_t vm_fill(int fd);
/* The same with records of @length bytes, until one of them does not fit. */
size_t vm_fill_records(int fd, size_t length);
struct achan_info vm_info(int fd);
/* Sets the ACHAN_OPEN_* of @fd. */
void vm_set_flags(int fd, uint32_t flags);
/* What poll(2) says at once. */
short vm_poll(int fd, short events);
/* The same, waiting up to vm_timeout_ms(VM_HANG_MS). */
short vm_poll_wait(int fd, short events);
void vm_set_nonblock(int fd, bool nonblock);

/* Whole transfers: a short one, or an error, fails the case. */
void vm_write(int fd, const void *data, size_t length);
void vm_read(int fd, void *data, size_t length);

/*
 * The pattern: an endless sequence of bytes, the same in every process, in
 * which a shifted, lost or repeated piece is seen.
 */
void vm_pattern(void *data, size_t length, uint64_t offset);
/* Index of the first byte that is not the pattern's, or -1. */
ssize_t vm_pattern_wrong(const void *data, size_t length, uint64_t offset);
#define vm_assert_pattern(data, length, offset)				\
	ck_assert_int_eq(vm_pattern_wrong((data), (length), (offset)), -1)

/* Time: CLOCK_MONOTONIC, and time-outs scaled for slow machines. */
int64_t vm_now_ms(void);
int vm_timeout_ms(int base);
void vm_sleep_ms(int milliseconds);

/*
 * How often to do what is done @times for chance's sake alone: less often on a
 * kernel that is slow because it checks each step.
 */
unsigned int vm_repeat(unsigned int times);
/*
 * The same of what has to be done @times where a run has several rounds: in all of
 * them together.
 */
unsigned int vm_share(unsigned int times);

/*
 * Threads. The thread runs function(argument); what that returns, errno folded
 * in by hand where wanted, is what vm_join() gives.
 */
struct vm_thread {
	pthread_t thread;
	pid_t tid;
	long (*function)(void *argument);
	void *argument;
	long result;
	int started;
};

/* Returns when the thread runs and @thread->tid is known. */
void vm_spawn(struct vm_thread *thread, long (*function)(void *argument),
	      void *argument);
/* Waits for the thread's end; one that hangs fails the case. */
long vm_join(struct vm_thread *thread);
/*
 * One read() or write() as a thread's function, its argument a struct
 * vm_transfer; the result is the count or -errno.
 */
struct vm_transfer {
	int fd;
	void *data;
	size_t length;
};

long vm_read_thread(void *transfer);
long vm_write_thread(void *transfer);

/* Waits until thread or process @tid sleeps interruptibly. */
void vm_wait_sleeping(pid_t tid);
/* True if thread or process @tid sleeps interruptibly now. */
bool vm_is_sleeping(pid_t tid);
/* Sends @signo to one thread of this process. */
void vm_kill_thread(pid_t tid, int signo);

/*
 * Processes. The child runs function(argument) and exits with its result,
 * 0 to 255, without running the parent's exit handlers.
 */
pid_t vm_fork(int (*function)(void *argument), void *argument);
/* Waits for the child's end: waitpid's status; a hang fails the case. */
int vm_wait(pid_t pid);
/* The same for a child that has to exit with 0. */
void vm_wait_success(pid_t pid);

/* Signals: a handler that counts, with @flags (SA_RESTART or 0). */
extern volatile sig_atomic_t vm_signals;
void vm_count_signal(int signo, int flags);

/* Takes CAP_@capability from the calling thread, for good. */
void vm_drop_capability(int capability);

/* Some kernels come with io_uring forbidden by sysctl. */
void vm_allow_io_uring(void);

/*
 * Memory of @pages pages, followed by one that cannot be touched. Freed at
 * the end of the process.
 */
void *vm_pages(size_t pages);
size_t vm_page_size(void);

/*
 * Kernel AIO by raw system calls, for programs that do not link libaio. They
 * give what the kernel gave, or -errno. Works with the types of both
 * <linux/aio_abi.h> and <libaio.h>.
 */
struct iocb;
struct io_event;
struct timespec;

unsigned long vm_aio_setup(unsigned int events);
long vm_aio_destroy(unsigned long context);
long vm_aio_submit(unsigned long context, long count, struct iocb **iocbs);
long vm_aio_cancel(unsigned long context, struct iocb *iocb);
/* Waits for @minimum events up to @timeout_ms, already scaled; 0: not at all. */
long vm_aio_events(unsigned long context, long minimum, long maximum,
		   struct io_event *events, int timeout_ms);

#endif /* ACHAN_TESTS_VM_H */
