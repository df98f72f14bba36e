/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The module achan_probe, a provider that pushes from every context of the kernel:
 * its channel is named "probe". As in vm.h, a helper that cannot do its work ends
 * the running case as failed, unless it says that it returns what the kernel said.
 */
#ifndef ACHAN_TESTS_PROBE_H
#define ACHAN_TESTS_PROBE_H

#include "control.h"

/* The contexts, by the names that the module knows them by. */
extern const char *const probe_contexts[];
extern const size_t probe_context_count;

/* A TCase whose cases begin and end without the modules of providers. */
TCase *probe_tcase(Suite *suite, const char *name);

void probe_load(const char *parameters);
void probe_unload(void);

/* Writes one of the module's parameters: 0 or -errno. */
long probe_try(const char *parameter, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void probe_set(const char *parameter, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Pushes @count records; false: this machine does not have the context. */
bool probe_push(const char *context, unsigned int count, unsigned int length);

/* One of its counters. */
uint64_t probe_figure(const char *name);

/* The number of the node of channel @name, and a new open file of it. */
uint32_t provider_minor(const char *name);
int provider_open(const char *name, int flags);

/* A record as a framed read returns it; its payload begins with @count. */
struct probe_frame {
	struct achan_record record;
	uint64_t count;
	unsigned char rest[4096 - sizeof(uint64_t)];
};

/* The rest of its payload is what @count makes it. */
void probe_assert_whole(const struct probe_frame *frame);

#endif /* ACHAN_TESTS_PROBE_H */
