/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of achan-fuzz share.
 *
 * A program is a short sequence of calls. A call is an operation and up to
 * seven arguments of one byte each, which stand for a descriptor, a piece of
 * memory, a length and so on: so any bytes are a program, and what is written
 * to a file reads as text ("read fd=0 buffer=16 length=11").
 */
#ifndef ACHAN_FUZZ_H
#define ACHAN_FUZZ_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define FUZZ_ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

/* One of an array's elements, whatever the selector is. */
#define FUZZ_PICK(array, selector)					\
	((array)[(selector) % (sizeof(array) / sizeof((array)[0]))])

#define fallthrough	__attribute__((__fallthrough__))

#define FUZZ_CALLS_MAX	24
#define FUZZ_ARGS	7
#define FUZZ_CHANNELS	4

/* ------------------------------------------------------------ programs */

struct fuzz_call {
	uint8_t operation;
	uint8_t argument[FUZZ_ARGS];
};

struct fuzz_program {
	uint32_t count;
	struct fuzz_call call[FUZZ_CALLS_MAX];
};

/* What an argument is, and its name in the text form. */
enum fuzz_kind {
	FUZZ_NONE,
	FUZZ_FD,
	FUZZ_TO,
	FUZZ_CHANNEL,
	FUZZ_BUFFER,
	FUZZ_LENGTH,
	FUZZ_BUFFER2,
	FUZZ_LENGTH2,
	FUZZ_COUNT,
	FUZZ_OFFSET,
	FUZZ_FLAGS,
	FUZZ_EVENTS,
	FUZZ_TIMEOUT,
	FUZZ_COMMAND,
	FUZZ_VALUE,
	FUZZ_CONTEXT,
	FUZZ_REQUEST,
	FUZZ_KINDS
};

struct fuzz_operation {
	const char *name;
	long (*call)(const uint8_t *argument);
	uint8_t kind[FUZZ_ARGS];
	/* How often it is chosen, relative to the others. */
	uint8_t weight;
};

extern const struct fuzz_operation fuzz_operations[];
extern const unsigned int fuzz_nr_operations;

/* Random numbers that depend on nothing but *@state. */
uint64_t fuzz_random(uint64_t *state);

/* Return false with a message on standard error if the text is no program. */
bool fuzz_program_load(struct fuzz_program *program, const char *path);
bool fuzz_program_parse_hex(struct fuzz_program *program, const char *text);
void fuzz_program_save(const struct fuzz_program *program, const char *path);
void fuzz_program_print(const struct fuzz_program *program, FILE *file);
void fuzz_program_print_hex(const struct fuzz_program *program, FILE *file);
uint64_t fuzz_program_hash(const struct fuzz_program *program);

/* Programs, in the order in which they were found. */
struct fuzz_corpus {
	struct fuzz_program *program;
	char (*name)[64];
	size_t count;
	size_t room;
};

void fuzz_corpus_add(struct fuzz_corpus *corpus,
		     const struct fuzz_program *program, const char *name);
/* Adds the programs of a directory in the order of their names. */
bool fuzz_corpus_load(struct fuzz_corpus *corpus, const char *directory);

/* A new program, made from those of the corpus. */
void fuzz_mutate(struct fuzz_program *program, const struct fuzz_corpus *corpus,
		 uint64_t *random);

/* ------------------------------------------------------------ coverage */

/* Threads whose coverage is taken, the work queues' counted as one. */
enum fuzz_thread {
	FUZZ_MAIN,
	FUZZ_SECOND,
	FUZZ_WORKERS,
	FUZZ_THREADS
};

/* Return false, with a message, if the kernel does not tell coverage. */
bool fuzz_coverage_open(void);
void fuzz_coverage_reset(void);
/* The calling thread is @thread from now on. */
void fuzz_coverage_start(enum fuzz_thread thread);
/*
 * Adds to @set, of fuzz_coverage_size() bytes, one byte for each address of
 * the module's code. Returns how many were not in it.
 */
size_t fuzz_coverage_collect(uint8_t *set);
size_t fuzz_coverage_size(void);
/* One line for each address in @set: "pc SECTION OFFSET". */
void fuzz_coverage_print(const uint8_t *set);

/* ------------------------------------------------------------- running */

/* What the child tells the fuzzer, in memory that both have mapped. */
struct fuzz_report {
	volatile bool set;
	char text[240];
};

/* Says that the driver broke a promise; the first one counts. */
void fuzz_finding(const char *format, ...)
	__attribute__((format(printf, 1, 2)));

/* Runs the program in the calling process, which has no other use. */
void fuzz_run(const struct fuzz_program *program, bool trace);

/* Before the first program, in the parent of those that run them. */
void fuzz_run_prepare(struct fuzz_report *report);

/*
 * Empties the channels after a program whose processes are gone. Returns
 * false, with a finding, if one does not behave like new.
 */
bool fuzz_health_check(void);
bool fuzz_health_open(void);

/* --------------------------------------- for the files with operations */

/* The descriptor of a slot, opened when it is used first. */
int fuzz_fd(uint8_t slot);
void fuzz_set_fd(uint8_t slot, int fd);
/* True if the slot holds a channel that was not opened with O_PATH. */
bool fuzz_is_channel(uint8_t slot);
void *fuzz_buffer(uint8_t selector);
size_t fuzz_length(uint8_t selector);
int fuzz_rw_flags(uint8_t selector);
/* Writes a value to the buffer, where that is memory a program may change. */
void fuzz_poke(uint8_t buffer, uint8_t value);
extern const uint64_t fuzz_values[16];

struct iovec;
/* Returns how many elements @iov of 16 was given; @bytes: what they hold. */
int fuzz_vector(struct iovec *iov, const uint8_t *argument, size_t *bytes);

/* False while what is checked could come from another thread. */
bool fuzz_alone(void);
/* Checks what a read or write of @bytes gave: a count or -errno. */
void fuzz_check_transfer(const char *name, size_t bytes, long result);
/* Runs the next @count calls in a thread or process of their own. */
long fuzz_thread_next(unsigned int count);
long fuzz_fork_next(unsigned int count);
/* The call after this one gets a failure at its @nth place. */
void fuzz_fail_next(unsigned int nth);
/* The limit of a program's own time, in ms. */
#define FUZZ_ALARM_MS	20

int fuzz_epoll_fd(void);
int fuzz_uring_fd(void);

#define FUZZ_CALL(name)	long fuzz_##name(const uint8_t *argument)
FUZZ_CALL(open);
FUZZ_CALL(close);
FUZZ_CALL(dup);
FUZZ_CALL(read);
FUZZ_CALL(write);
FUZZ_CALL(readv);
FUZZ_CALL(writev);
FUZZ_CALL(pread);
FUZZ_CALL(pwrite);
FUZZ_CALL(ioctl);
FUZZ_CALL(poll);
FUZZ_CALL(epoll);
FUZZ_CALL(fcntl);
FUZZ_CALL(splice);
FUZZ_CALL(tee);
FUZZ_CALL(vmsplice);
FUZZ_CALL(sendfile);
FUZZ_CALL(mmap);
FUZZ_CALL(seek);
FUZZ_CALL(file);
FUZZ_CALL(memory);
FUZZ_CALL(aio_setup);
FUZZ_CALL(aio_submit);
FUZZ_CALL(aio_cancel);
FUZZ_CALL(aio_getevents);
FUZZ_CALL(aio_destroy);
FUZZ_CALL(uring_submit);
FUZZ_CALL(uring_wait);
FUZZ_CALL(fork);
FUZZ_CALL(thread);
FUZZ_CALL(exec);
FUZZ_CALL(signal);
FUZZ_CALL(limit);
FUZZ_CALL(fail);
FUZZ_CALL(sleep);
FUZZ_CALL(userfault);

#endif /* ACHAN_FUZZ_H */
