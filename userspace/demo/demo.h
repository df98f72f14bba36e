/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * achan-demo: one real file through a channel, received in every I/O model.
 *
 * For each model a producer process and a consumer process are started. The
 * consumer reports through a struct result in memory shared with its parent.
 */
#ifndef ACHAN_DEMO_H
#define ACHAN_DEMO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of one record, the last one of a payload excepted. */
#define DEMO_RECORD_BYTES	4096

/* Bytes of a consumer's buffer: room for several records of a stream. */
#define DEMO_BUFFER_BYTES	16384

/* Bytes of a SHA-256. */
#define DEMO_DIGEST_BYTES	32

/* A consumer or producer that is not done after so many seconds is killed. */
#define DEMO_LIMIT_SECONDS	60

/* What the producer sends. The digest is that of the bytes as read from the file. */
struct payload {
	const char *path;
	unsigned char *data;
	size_t length;
	unsigned char digest[DEMO_DIGEST_BYTES];
};

/* What a consumer saw, written by the consumer alone. */
struct result {
	uint64_t bytes;
	uint64_t reads;		/* reads that brought data, whichever way */
	uint64_t signals;	/* signals, where the model has them */
	uint64_t overflows;	/* times the signal queue ran over and was recovered */
	uint64_t wakeups;	/* returns of poll or epoll_wait with an event */
	uint64_t submitted;	/* asynchronous requests handed in */
	uint64_t completed;	/* of these, completed with data */
	uint64_t cancelled;	/* of these, completed with -ECANCELED */
	uint64_t gaps;		/* records missed, by their sequence numbers */
	uint64_t nanoseconds;	/* from ready to the last byte hashed */
	unsigned char digest[DEMO_DIGEST_BYTES];
	char error[200];	/* empty: no error */
};

struct digest;

/* A consumer at work. */
struct consumer {
	const char *path;	/* the channel */
	int fd;			/* opened with the model's open_flags */
	bool message;		/* the channel is in message mode */
	uint64_t expected;	/* bytes to come */
	int ready_fd;		/* eventfd that lets the producer go */
	uint64_t started;	/* when it did, CLOCK_MONOTONIC in nanoseconds */
	struct digest *digest;
	struct result *result;
};

/*
 * A model: how a consumer waits for data and takes it. consume() returns 0
 * when all expected bytes came, or -1 with result->error filled in.
 */
struct model {
	const char *name;
	int open_flags;
	int (*consume)(struct consumer *consumer);
	/* What to say of the events in the table; may be NULL. */
	void (*describe)(const struct result *result, char *text, size_t size);
};

/* consume.c */
extern const struct model models[];
extern const size_t model_count;

/* consume_sync.c */
int consume_blocking(struct consumer *consumer);
int consume_poll(struct consumer *consumer);
int consume_epoll(struct consumer *consumer);
int consume_framed(struct consumer *consumer);
int consume_splice(struct consumer *consumer);

/* consume_achan.c */
int consume_sigio(struct consumer *consumer);
int consume_aio(struct consumer *consumer);

/* consume_async.c */
int consume_uring(struct consumer *consumer);
int consume_posix_aio(struct consumer *consumer);

/* consume.c: shared by the consumers. All of these return 0 or -1. */
int consumer_fail(struct consumer *consumer, const char *what, int error);
int consumer_ready(struct consumer *consumer);
int consumer_count(struct consumer *consumer, uint64_t length);
int consumer_take(struct consumer *consumer, const void *data, uint64_t length);
int consumer_take_read(struct consumer *consumer, const void *data, uint64_t length);
/* How many records the expected bytes come in. */
uint64_t consumer_records(const struct consumer *consumer);
bool consumer_done(const struct consumer *consumer);

/* producer.c */
int produce(const char *path, const struct payload *payload, int ready_fd);

/* transfer.c */
struct transfer {
	const struct model *model;
	const char *path;	/* the channel */
	const struct payload *payload;
	uint64_t records;	/* put into the channel, by its own count */
	bool message;
	struct result result;
};

bool transfer_run(struct transfer *transfer);
/* False, and said why, unless @path is a channel in @mode (ACHAN_MODE_*). */
bool channel_is(const char *path, uint32_t mode);

/* digest.c */
struct digest *digest_new(void);
int digest_add(struct digest *digest, const void *data, size_t length);
int digest_end(struct digest *digest, unsigned char out[DEMO_DIGEST_BYTES]);
void digest_free(struct digest *digest);

/* timeline.c */
bool timeline_sigio(const char *path);
bool timeline_aio(const char *path);

/* hardware.c: returns how many are wrong; says so where there is no hardware */
unsigned int run_hardware(void);

/* clock.c: CLOCK_MONOTONIC in nanoseconds; async-signal-safe */
uint64_t monotonic_ns(void);

#endif /* ACHAN_DEMO_H */
