/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * achan-bench: what achan costs, beside what a user would pick instead, in one run.
 *
 * A figure varies one thing, x: bytes of a record, parked requests, channels. Its peers
 * do the same, each in its way. A turn of a peer is timed, many in a row, and gives the
 * cost of one operation. Under QEMU's -icount, with one processor, a nanosecond is an
 * instruction.
 *
 * What is printed is for scripts/bench: lines of words with tabs between,
 *
 *	kernel	RELEASE	MACHINE
 *	unit	INSTRUCTIONS		in a nanosecond
 *	figure	NAME	WHAT-X-IS	TITLE
 *	cost	FIGURE	PEER	X	REPEAT	NANOSECONDS	of one operation
 *	skip	FIGURE	PEER	X	REASON
 *
 * and on standard error whatever fails.
 */
#ifndef ACHAN_BENCH_H
#define ACHAN_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Payload of a record, where the figure does not vary it. */
#define BENCH_BYTES	64
#define BENCH_BYTES_MAX	65536

/* What a peer works on. It is zeroed before open(). */
struct bench {
	unsigned int x;			/* what the figure varies */
	size_t bytes;			/* payload of a record */
	int reader;			/* descriptors; close_ends() closes them */
	int writer;
	unsigned char *data;		/* BENCH_BYTES_MAX to write, */
	unsigned char *got;		/* and as many for what is read */
	void *state;			/* the peer's own */
};

/*
 * A way to do what the figure is about. Each function returns false after it has
 * said, by failed(), what failed.
 *
 * open:  makes all ready for the first turn. May say, by does_not_fit(), that x is
 *	  nothing for this peer: then it returns false, and nothing has failed.
 * turn:  does what is measured, with @at_a_time operations
 * close: takes back what open() made, also of an open() that failed halfway
 */
struct peer {
	const char *name;
	bool (*open)(struct bench *bench);
	bool (*turn)(struct bench *bench);
	void (*close)(struct bench *bench);
	/* Operations in a turn; NULL: one. */
	unsigned int (*at_a_time)(const struct bench *bench);
};

/*
 * @xs ends with 0. @turns is how many are timed, before which a tenth of them, at
 * least 16, warm up. Where @x_is_bytes, a record has so many; else BENCH_BYTES.
 */
struct figure {
	const char *name;
	const char *x_is;
	const char *title;
	const unsigned int *xs;
	const struct peer *peers;
	unsigned int peer_count;
	unsigned int turns;
	bool x_is_bytes;
	bool processors;	/* two at least; else all is done on one */
};

/* The figures, in the order in which they are printed. */
extern const struct figure record_figure;
extern const struct figure batch_figure;
extern const struct figure kernel_figure;
extern const struct figure signal_figure;
extern const struct figure async_figure;
extern const struct figure parked_figure;
extern const struct figure cancel_figure;
extern const struct figure channels_figure;
extern const struct figure filled_figure;
extern const struct figure listeners_figure;
extern const struct figure life_figure;
extern const struct figure switch_figure;
extern const struct figure pair_figure;
extern const struct figure flow_figure;

#define COUNT(array)	((unsigned int)(sizeof(array) / sizeof((array)[0])))

/* bench.c */
/* Both say it on standard error and return false. @error: a value of errno, or 0. */
bool failed(const char *what, int error);
bool does_not_fit(const char *reason);
/* Whether a call moved all of what it was to move. */
bool moved(const char *what, ssize_t got, size_t wanted);

#endif /* ACHAN_BENCH_H */
