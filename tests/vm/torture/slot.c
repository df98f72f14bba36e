// SPDX-License-Identifier: GPL-2.0-only
/*
 * Torture: transfers in progress, and their buffers.
 *
 * A buffer is a piece of a shared file, mapped twice: at a view of its own,
 * which the system calls get and which is unmapped and protected under them,
 * and in the arena, through which the member looks. So what was read is seen
 * whatever became of the view, or of the process. One slot of each thread has
 * private memory instead, for what fork() does to it.
 */
#include "torture.h"

#include <limits.h>
#include <sys/mman.h>

#define WORD	sizeof(uint64_t)
#define MESSAGE_LEAST	16

static unsigned int index_of(const struct slot *slot)
{
	return slot - journal->slots;
}

unsigned char *slot_data(const struct slot *slot)
{
	if (slot->anonymous)
		return slot->view;
	return arena + (size_t)index_of(slot) * REGION;
}

static void map_view(struct slot *slot, void *at)
{
	int flags = slot->anonymous ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	void *view = mmap(at, REGION, PROT_READ | PROT_WRITE,
			  flags | MAP_FIXED,
			  slot->anonymous ? -1 : arena_file,
			  slot->anonymous ? 0 : (off_t)index_of(slot) * REGION);

	if (view == MAP_FAILED)
		journal_fail("mmap of a buffer: %s", strerror(errno));
	slot->view = view;
}

/* A slot of this process; -1 if the round has used them up. */
static int new_slot(bool anonymous)
{
	unsigned int index = __atomic_fetch_add(&journal->slots_used, 1,
						__ATOMIC_RELAXED);
	struct slot *slot = &journal->slots[index];
	void *room;

	if (index >= POOL - THREADS_MAX * SLOTS)
		journal_end_round();
	if (index >= POOL)
		return -1;
	memset(slot, 0, sizeof(*slot));
	pthread_spin_init(&slot->lock, PTHREAD_PROCESS_SHARED);
	slot->process = getpid();
	slot->anonymous = anonymous;
	room = mmap(NULL, REGION + GUARD, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (room == MAP_FAILED) {
		journal_fail("mmap of room for a buffer: %s", strerror(errno));
		return -1;
	}
	map_view(slot, room);
	return index;
}

static struct slot *slot_at(const struct member *member, unsigned int i)
{
	return member->slots[i] < 0 ? NULL : &journal->slots[member->slots[i]];
}

static void heal(struct slot *slot)
{
	pthread_spin_lock(&slot->lock);
	if (slot->harmed)
		map_view(slot, slot->view);
	slot->harmed = false;
	pthread_spin_unlock(&slot->lock);
}

static struct slot *find_free(struct member *member)
{
	unsigned int i;

	for (i = 0; i < SLOTS; i++) {
		if (member->slots[i] < 0)
			member->slots[i] = new_slot(!i && !member->child);
		if (member->slots[i] >= 0 && slot_at(member, i)->state == FREE)
			return slot_at(member, i);
	}
	return NULL;
}

/* io_uring keeps no order: one of a kind at a time. */
static bool domain_taken(const struct member *member, enum slot_kind kind,
			 enum domain domain, unsigned int channel)
{
	unsigned int i;

	for (i = 0; domain == URING && kind != POLL && i < SLOTS; i++) {
		struct slot *slot = slot_at(member, i);

		if (slot && slot->state != FREE && slot->domain == domain &&
		    slot->kind == kind && slot->channel == channel)
			return true;
	}
	return false;
}

struct slot *slot_take(struct member *member, enum slot_kind kind,
		       enum domain domain, unsigned int channel,
		       unsigned int event)
{
	struct slot *slot = find_free(member);

	if (!slot || domain_taken(member, kind, domain, channel))
		return NULL;
	heal(slot);
	slot->kind = kind;
	slot->domain = domain;
	slot->channel = channel;
	slot->event = event;
	slot->aio = false;
	slot->bad = false;
	slot->atomic = false;
	slot->no_wait = false;
	slot->cancelled = false;
	slot->length = 0;
	slot->units = 0;
	slot->segments = 0;
	slot->order = member->orders++;
	return slot;
}

bool slot_room(const struct member *member)
{
	unsigned int i;

	for (i = 0; i < SLOTS; i++) {
		struct slot *slot = slot_at(member, i);

		if (!slot || slot->state == FREE)
			return true;
	}
	return false;
}

struct slot *slot_in_progress(struct member *member, struct random *random,
			      bool aio, enum domain domain)
{
	unsigned int i, at = random_below(random, SLOTS);

	for (i = 0; i < SLOTS; i++) {
		struct slot *slot = slot_at(member, (at + i) % SLOTS);

		if (slot && slot->state == BUSY && slot->aio == aio &&
		    slot->domain == domain)
			return slot;
	}
	return NULL;
}

/* Where the buffer lies: one piece, several, or over the end of its memory. */
static void lay_out(struct slot *slot, struct random *random, bool vector)
{
	size_t unit = channel_is_stream(slot->channel) ? WORD : 1;
	size_t left = slot->length, at, piece;

	slot->segments = 1;
	slot->iov[0].iov_len = left;
	if (slot->bad) {
		at = left ? random_below(random, left / unit) * unit : 0;
		slot->iov[0].iov_base = slot->view + REGION - at;
		return;
	}
	if (!vector || left + SEGMENTS * 64 > REGION) {
		at = random_below(random, (REGION - left) / unit + 1) * unit;
		slot->iov[0].iov_base = slot->view + at;
		return;
	}
	at = random_below(random, 8) * WORD;
	slot->segments = 1 + random_below(random, SEGMENTS);
	for (unsigned int i = 0; i < slot->segments; i++) {
		piece = left;
		if (i < slot->segments - 1)
			piece = random_below(random, left / unit + 1) * unit;
		slot->iov[i].iov_base = slot->view + at;
		slot->iov[i].iov_len = piece;
		at += piece + 56;
		left -= piece;
	}
}

/* Copies between @data and what of the buffer is there. */
static void copy_data(const struct slot *slot, unsigned char *data,
		      size_t length, bool to_slot)
{
	unsigned int i;

	for (i = 0; i < slot->segments && length; i++) {
		const struct iovec *iov = &slot->iov[i];
		size_t at = (unsigned char *)iov->iov_base - slot->view;
		size_t piece = iov->iov_len < length ? iov->iov_len : length;
		unsigned char *there = slot_data(slot) + at;

		if (piece > REGION - at)
			piece = REGION - at;
		if (to_slot)
			memcpy(there, data, piece);
		else
			memcpy(data, there, piece);
		data += piece;
		length -= piece;
	}
}

void slot_scribble(struct slot *slot)
{
	unsigned int i;

	for (i = 0; i < slot->segments; i++) {
		const struct iovec *iov = &slot->iov[i];
		size_t at = (unsigned char *)iov->iov_base - slot->view;
		size_t piece = iov->iov_len;

		if (piece > REGION - at)
			piece = REGION - at;
		memset(slot_data(slot) + at, 0x55, piece);
	}
}

static size_t read_length(struct random *random, unsigned int channel)
{
	size_t unit = channel_is_stream(channel) ? WORD : 1;

	switch (random_below(random, 16)) {
	case 0:
		return 0;
	case 1 ... 3:
		return (1 + random_below(random, 64)) * unit;
	case 4 ... 7:
		return (1 + random_below(random, 1000 / unit)) * unit;
	case 8 ... 11:
		return 4096;
	case 12 ... 13:
		return random_below(random, REGION / unit) * unit;
	default:
		return REGION;
	}
}

static size_t write_length(struct random *random, unsigned int channel)
{
	size_t unit = channel_is_stream(channel) ? WORD : 1;
	size_t least = channel_is_stream(channel) ? WORD : MESSAGE_LEAST;

	switch (random_below(random, 16)) {
	case 0:
		return 4096;
	case 1 ... 2:
		return least + random_below(random, 4096 / unit - 2) * unit;
	case 3:
		return least + random_below(random, 16384 / unit) * unit;
	default:
		return least + random_below(random, 320 / unit) * unit;
	}
}

void slot_aim_read(struct slot *slot, struct random *random, bool vector)
{
	slot->length = read_length(random, slot->channel);
	slot->bad = slot->length && random_once_in(random, 16);
	lay_out(slot, random, vector);
	slot_scribble(slot);
	__atomic_store_n(&slot->state, BUSY, __ATOMIC_RELEASE);
}

/* Numbers the units of a write. */
static bool number_units(struct member *member, struct slot *slot)
{
	uint32_t *next = &member->next_unit[slot->domain][slot->channel];

	slot->producer = member->producer[slot->domain];
	slot->first = *next;
	slot->units = channel_is_stream(slot->channel) ?
		      slot->length / WORD : 1;
	slot->atomic = !channel_is_stream(slot->channel) ||
		       slot->length <= PIPE_BUF;
	if (slot->producer >= PRODUCERS || slot->first + slot->units > UNITS) {
		journal_end_round();
		return false;
	}
	*next += slot->units;
	return true;
}

static void issue_write(struct member *member, struct slot *slot)
{
	oracle_build(member->local->scratch, slot);
	copy_data(slot, member->local->scratch, slot->length, true);
	oracle_issue(slot);
	__atomic_store_n(&slot->state, BUSY, __ATOMIC_RELEASE);
}

bool slot_aim_write(struct member *member, struct slot *slot,
		    struct random *random, bool vector)
{
	slot->length = write_length(random, slot->channel);
	slot->bad = random_once_in(random, 24);
	if (!number_units(member, slot))
		return false;
	lay_out(slot, random, vector);
	issue_write(member, slot);
	return true;
}

bool slot_fill_write(struct member *member, struct slot *slot,
		     struct random *random)
{
	slot->length = write_length(random, slot->channel);
	if (!number_units(member, slot))
		return false;
	slot->segments = 1;
	slot->iov[0].iov_base = slot->view;
	slot->iov[0].iov_len = slot->length;
	issue_write(member, slot);
	return true;
}

void slot_free(struct slot *slot)
{
	__atomic_store_n(&slot->state, FREE, __ATOMIC_RELEASE);
}

/* Whether @error can be the result of this transfer, at the time it was. */
static bool error_fits(struct slot *slot, long error)
{
	size_t ring = slot->channel < VM_STREAM_SMALL ? 65536 : 8192;
	bool harmed;

	pthread_spin_lock(&slot->lock);
	harmed = slot->harmed;
	pthread_spin_unlock(&slot->lock);

	switch (-error) {
	case EFAULT:
		return slot->bad || harmed;
	case ECANCELED:
		/*
		 * io_uring ends so too what it finds no thread for, as when
		 * a signal interrupts the making of one.
		 */
		return slot->cancelled || slot->domain == URING;
	case EMSGSIZE:
		if (slot->kind == WRITE)
			return !channel_is_stream(slot->channel) &&
			       slot->length + sizeof(struct achan_record) >
			       ring;
		return slot->length < ring || slot->bad || harmed;
	case EAGAIN:
		return !slot->aio || slot->no_wait;
	}
	return true;
}

static bool result_fits(const struct slot *slot, long result)
{
	if ((size_t)result > slot->length || (!result && slot->length))
		return false;
	if (slot->kind == WRITE && slot->atomic)
		return (size_t)result == slot->length;
	return !channel_is_stream(slot->channel) || !(result % WORD);
}

/* Accounts for reads in the order in which they were issued. */
static void account_in_order(struct member *member, enum domain domain,
			     unsigned int channel)
{
	for (;;) {
		struct slot *oldest = NULL;
		unsigned int i;

		for (i = 0; i < SLOTS; i++) {
			struct slot *slot = slot_at(member, i);

			if (slot && slot->state != FREE &&
			    slot->kind == READ && slot->domain == domain &&
			    slot->channel == channel &&
			    (!oldest || slot->order < oldest->order))
				oldest = slot;
		}
		if (!oldest || oldest->state != ARRIVED)
			return;
		copy_data(oldest, member->local->scratch, oldest->result,
			  false);
		oracle_account(&member->consumer[domain], channel,
			       member->local->scratch, oldest->result,
			       operations[oldest->event].name);
		slot_free(oldest);
	}
}

static void finish_read(struct member *member, struct slot *slot, long result)
{
	enum domain domain = slot->domain;
	unsigned int channel = slot->channel;

	if (result > 0) {
		slot->result = result;
		__atomic_store_n(&slot->state, ARRIVED, __ATOMIC_RELEASE);
	} else {
		slot_free(slot);
	}
	account_in_order(member, domain, channel);
}

static void finish_write(struct member *member, struct slot *slot, long result)
{
	uint32_t *next = &member->next_unit[slot->domain][slot->channel];
	uint32_t done = 0;

	if (result > 0)
		done = channel_is_stream(slot->channel) ? result / WORD : 1;
	/* The last that was numbered can give its numbers back. */
	if (slot->producer == member->producer[slot->domain] &&
	    *next == slot->first + slot->units) {
		*next = slot->first + done;
		oracle_withdraw(slot, done);
	} else {
		oracle_settle_write(slot, done);
	}
	slot_free(slot);
}

long slot_finish(struct member *member, struct slot *slot, long result)
{
	const char *name = operations[slot->event].name;

	if (result < 0 && !error_fits(slot, result))
		journal_fail("%s of %zu bytes on channel %u gave %s, for which there was no reason",
			     name, slot->length, slot->channel,
			     strerrorname_np(-result));
	else if (result >= 0 && slot->kind != POLL &&
		 !result_fits(slot, result))
		journal_fail("%s of %zu bytes on channel %u gave %ld", name,
			     slot->length, slot->channel, result);
	else if (slot->kind == READ)
		finish_read(member, slot, result);
	else if (slot->kind == WRITE)
		finish_write(member, slot, result);
	else
		slot_free(slot);
	return result;
}

static void suspect(const struct slot *slot)
{
	unsigned char *data = malloc(REGION);

	if (!data) {
		journal_fail("malloc: %s", strerror(errno));
		return;
	}
	memset(data, 0, REGION);
	copy_data(slot, data, slot->length, false);
	oracle_suspect(slot->channel, data, slot->length);
	free(data);
}

void slot_abandon(struct member *member, struct slot *slot, bool over)
{
	enum domain domain = slot->domain;
	unsigned int channel = slot->channel, i;

	if (slot->kind == WRITE) {
		oracle_unknown(slot);
		/* What may still be written keeps no order to what follows. */
		if (!over)
			member_new_producer(member, domain);
	} else if (slot->kind == READ && over) {
		suspect(slot);
	}
	if (over) {
		slot_free(slot);
	} else {
		__atomic_store_n(&slot->state, DEAD, __ATOMIC_RELEASE);
		for (i = 0; i < SLOTS; i++)
			if (slot_at(member, i) == slot)
				member->slots[i] = -1;
	}
	account_in_order(member, domain, channel);
}

void slot_bury(struct member *member)
{
	unsigned int i;

	for (i = 0; i < SLOTS; i++) {
		struct slot *slot = slot_at(member, i);

		if (!slot || slot->state == FREE)
			continue;
		if (slot->kind == WRITE)
			oracle_unknown(slot);
		slot->state = DEAD;
	}
}

void slot_suspect_dead(void)
{
	unsigned int i;

	for (i = 0; i < journal->slots_used && i < POOL; i++)
		if (journal->slots[i].state == DEAD &&
		    journal->slots[i].kind == READ)
			suspect(&journal->slots[i]);
}

void slot_unmap_all(void)
{
	unsigned int i;

	for (i = 0; i < journal->slots_used && i < POOL; i++)
		if (journal->slots[i].process == getpid())
			munmap(journal->slots[i].view, REGION + GUARD);
}
