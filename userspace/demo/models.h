/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * achan-models: which kernel objects keep their word in which I/O model.
 *
 * Every check runs in a process of its own, on an object opened afresh.
 */
#ifndef ACHAN_MODELS_H
#define ACHAN_MODELS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define ANSWER_TEXT_BYTES	32

/* What one check found; lives in memory shared with the parent. */
struct answer {
	bool yes;
	char why[ANSWER_TEXT_BYTES];	/* after a no, and may be empty */
};

struct object;

/*
 * An object under test. open() leaves it empty, for blocking use, with reader
 * and writer set; with @read_write the reader is open for both, if it can be.
 * All return 0 or a length, or -1 with errno set.
 */
struct object_type {
	const char *name;
	size_t unit;	/* bytes every read brings; 0: as many as were put */
	int (*open)(struct object *object, bool read_write);
	int (*put)(struct object *object, size_t length);
	ssize_t (*take)(struct object *object, void *buffer, size_t size);
	/* NULL: the object has no such thing. 0: two records were told apart by it. */
	int (*sequence)(struct object *object);
	int (*timestamp)(struct object *object);
	/* NULL: every system has it. */
	bool (*present)(void);
};

struct object {
	const struct object_type *type;
	int reader;
	int writer;
};

struct check {
	const char *name;
	void (*run)(struct object *object, struct answer *answer);
	bool read_write;	/* wants the reader open for reading and writing */
};

/* models_objects.c, models_uio.c */
extern const struct object_type *const object_types[];
extern const size_t object_type_count;
extern const struct object_type uio_type;
extern const struct object_type achan_type;

/* models_checks.c, models_aio.c */
extern const struct check checks[];
extern const size_t check_count;

void check_aio_poll(struct object *object, struct answer *answer);
void check_aio_read(struct object *object, struct answer *answer);
void check_aio_cancel(struct object *object, struct answer *answer);
void check_uring_read(struct object *object, struct answer *answer);

/* The length a read is to bring after put(@length). */
size_t unit_of(const struct object *object, size_t length);
void answer_yes(struct answer *answer);
void answer_no(struct answer *answer, const char *why);
/* @error is a positive errno value. */
void answer_errno(struct answer *answer, int error);

#endif /* ACHAN_MODELS_H */
