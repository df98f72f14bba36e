/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Consumers of the probe's channel, each in an I/O model and a thread of its own,
 * who account for every record by its number. As in vm.h, what goes wrong ends the
 * running case as failed; in a thread it is what consumer_join() says.
 */
#ifndef ACHAN_TESTS_CONSUMER_H
#define ACHAN_TESTS_CONSUMER_H

#include "probe.h"

/* A record of so many bytes of payload ends a consumer; others have 64. */
#define CONSUMER_MARKER	16

struct consumer;

/* Waits for records in a model and takes them: 0 or -errno. */
struct consumer_model {
	const char *name;
	int flags;		/* for open() */
	long (*consume)(struct consumer *consumer);
};

extern const struct consumer_model consumer_models[];
extern const size_t consumer_model_count;

/*
 * next: number of the record that comes next; gaps: numbers that did not come;
 * backwards: times that were before that of the record before.
 */
struct consumer {
	const struct consumer_model *model;
	int fd;
	uint64_t next;
	uint64_t records;
	uint64_t gaps;
	uint64_t time;
	uint64_t backwards;
	bool marked;		/* the marker came */
	bool done;
	struct vm_thread thread;
};

/* Starts a consumer of the channel named "probe". */
void consumer_start(struct consumer *consumer, const struct consumer_model *model);

/* Waits until it has seen a marker, or @error, and takes what is left. */
void consumer_join(struct consumer *consumer, long error);
bool consumer_running(const struct consumer *consumer);

#endif /* ACHAN_TESTS_CONSUMER_H */
