// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A notifier's entries: found by descriptor without a lock, freed only when
 * nobody can reach them.
 *
 * Changes are made under the notifier's lock. The owner walks the buckets
 * without it, because it may be a signal handler that interrupted a change. It
 * counts itself in "looking" while it walks and in the entry's "running" while
 * it calls back, and goes from the first to the second without a gap, so that
 * who has unlinked an entry waits for both to be 0.
 */
#include "internal.h"

#include <stdlib.h>

typedef bool (*match_fn)(const struct achan_entry *entry, uint32_t value);

static _Atomic(struct achan_entry *) *bucket_of(struct achan_notifier *notifier,
						int fd)
{
	return &notifier->buckets[(unsigned int)fd % ACHAN_NOTIFIER_BUCKETS];
}

void achan_entry_link(struct achan_notifier *notifier,
		      struct achan_entry *entry)
{
	_Atomic(struct achan_entry *) *bucket = bucket_of(notifier, entry->fd);

	/* 0 is the marker that belongs to no entry. */
	if (!++notifier->generation)
		notifier->generation++;
	entry->generation = notifier->generation;
	/*
	 * Not polled by an overflow going on, else a callback that adds its
	 * channel anew would keep it going.
	 */
	entry->round = atomic_load(&notifier->round);
	atomic_store(&entry->next, atomic_load(bucket));
	atomic_store(bucket, entry);
}

void achan_entry_unlink(struct achan_notifier *notifier,
			struct achan_entry *entry)
{
	_Atomic(struct achan_entry *) *link = bucket_of(notifier, entry->fd);

	while (atomic_load(link) != entry)
		link = &atomic_load(link)->next;
	atomic_store(link, atomic_load(&entry->next));
}

struct achan_entry *achan_entry_find_fd(struct achan_notifier *notifier, int fd)
{
	struct achan_entry *entry = atomic_load(bucket_of(notifier, fd));

	while (entry && entry->fd != fd)
		entry = atomic_load(&entry->next);
	return entry;
}

static struct achan_entry *find(struct achan_notifier *notifier,
				match_fn match, uint32_t value)
{
	for (int i = 0; i < ACHAN_NOTIFIER_BUCKETS; i++) {
		struct achan_entry *entry = atomic_load(&notifier->buckets[i]);

		for (; entry; entry = atomic_load(&entry->next))
			if (match(entry, value))
				return entry;
	}
	return NULL;
}

static bool match_any(const struct achan_entry *entry, uint32_t value)
{
	(void)entry;
	(void)value;
	return true;
}

static bool match_generation(const struct achan_entry *entry, uint32_t value)
{
	return entry->generation == value;
}

static bool match_unvisited(const struct achan_entry *entry, uint32_t value)
{
	return entry->round != value;
}

struct achan_entry *achan_entry_find_any(struct achan_notifier *notifier)
{
	return find(notifier, match_any, 0);
}

static void look(struct achan_notifier *notifier)
{
	atomic_fetch_add(&notifier->looking, 1);
}

/* Ends looking and keeps @entry, if there is one. */
static struct achan_entry *hold(struct achan_notifier *notifier,
				struct achan_entry *entry)
{
	if (entry)
		atomic_fetch_add(&entry->running, 1);
	atomic_fetch_sub(&notifier->looking, 1);
	achan_event_signal(&notifier->idle);
	return entry;
}

struct achan_entry *achan_entry_hold_fd(struct achan_notifier *notifier, int fd)
{
	look(notifier);
	return hold(notifier, achan_entry_find_fd(notifier, fd));
}

struct achan_entry *
achan_entry_hold_generation(struct achan_notifier *notifier,
			    uint32_t generation)
{
	look(notifier);
	return hold(notifier, find(notifier, match_generation, generation));
}

struct achan_entry *achan_entry_hold_unvisited(struct achan_notifier *notifier,
					       uint32_t round)
{
	look(notifier);
	return hold(notifier, find(notifier, match_unvisited, round));
}

void achan_entry_release(struct achan_notifier *notifier,
			 struct achan_entry *entry)
{
	atomic_fetch_sub(&entry->running, 1);
	achan_event_signal(&notifier->idle);
}

void achan_entry_all_live(struct achan_notifier *notifier)
{
	look(notifier);
	for (int i = 0; i < ACHAN_NOTIFIER_BUCKETS; i++) {
		struct achan_entry *entry = atomic_load(&notifier->buckets[i]);

		for (; entry; entry = atomic_load(&entry->next))
			entry->live = true;
	}
	hold(notifier, NULL);
}

static void wait_unused(struct achan_notifier *notifier,
			struct achan_entry *entry)
{
	ACHAN_EVENT_AWAIT(&notifier->idle,
			  !atomic_load(&notifier->looking) &&
			  !atomic_load(&entry->running));
}

void achan_entry_retire(struct achan_notifier *notifier,
			struct achan_entry *entry)
{
	if (!achan_notifier_on_owner(notifier)) {
		wait_unused(notifier, entry);
	} else if (atomic_load(&entry->running)) {
		entry->next_dead = notifier->dead;
		notifier->dead = entry;
		return;
	}
	free(entry);
}

void achan_entry_free_dead(struct achan_notifier *notifier)
{
	while (notifier->dead) {
		struct achan_entry *entry = notifier->dead;

		notifier->dead = entry->next_dead;
		free(entry);
	}
}
