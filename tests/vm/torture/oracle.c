// SPDX-License-Identifier: GPL-2.0-only
/*
 * Torture: the oracle. It knows of each unit, that is a record of a message
 * channel and a word of 8 bytes of a stream, whether it was written and how
 * often it was read.
 *
 * A word says whose it is and which:
 *
 *	bit 63	  1: in a frame's header this is ACHAN_RECORD_BUSY, never set
 *	62 to 44  check, of the seed, the round and the rest
 *	43, 42	  first, last word of what goes into the ring as one record
 *	41 to 38  channel
 *	37 to 28  producer
 *	27 to 0	  number
 *
 * A message begins with such a word; then length and checksum, 32 bits each,
 * then the random payload, none of whose words has bit 63 set.
 *
 * Every transfer on a stream is a multiple of a word, so that none is taken in
 * two by readers whose order to each other nobody knows.
 */
#include "torture.h"

#include <limits.h>
#include <sys/mman.h>

#define WORD		sizeof(uint64_t)
#define MARK		(1ull << 63)
#define FIRST		(1ull << 43)
#define LAST		(1ull << 42)
#define CHECK_SHIFT	44
#define CHECK_BITS	((1ull << 19) - 1)

/* A unit: two bits of state, two that count reads, one of suspicion. */
#define UNIT_STATE	3
#define UNIT_ISSUED	1
#define UNIT_WRITTEN	2
#define UNIT_REFUSED	3
#define UNIT_READ	4
#define UNIT_READS	12
#define UNIT_SUSPECT	16

struct message {
	uint64_t word;
	uint32_t length;
	uint32_t sum;
};

bool channel_is_stream(unsigned int channel)
{
	return channel == VM_STREAM || channel == VM_STREAM_SMALL;
}

static uint64_t word_of(unsigned int channel, uint32_t producer,
			uint32_t number, uint64_t flags)
{
	uint64_t body = flags | (uint64_t)channel << 38 |
			(uint64_t)producer << 28 | number;
	struct random random = random_of(journal->seed, journal->round, body);

	return MARK | body |
	       (random_next(&random) & CHECK_BITS) << CHECK_SHIFT;
}

static uint32_t word_number(uint64_t word)
{
	return word & ((1u << 28) - 1);
}

static uint32_t word_producer(uint64_t word)
{
	return word >> 28 & 1023;
}

static bool word_good(uint64_t word, unsigned int channel)
{
	return word & MARK && (word >> 38 & 15) == channel &&
	       word_producer(word) < PRODUCERS && word_number(word) < UNITS &&
	       word == word_of(channel, word_producer(word), word_number(word),
			       word & (FIRST | LAST));
}

static uint8_t *unit_of(unsigned int channel, uint32_t producer,
			uint32_t number)
{
	return units + ((size_t)channel * PRODUCERS + producer) * UNITS +
	       number;
}

static uint32_t sum_of(const unsigned char *data, size_t length)
{
	uint32_t sum = 2166136261u;

	while (length--)
		sum = (sum ^ *data++) * 16777619u;
	return sum;
}

static void build_message(unsigned char *data, const struct slot *slot)
{
	struct message message = {
		.word = word_of(slot->channel, slot->producer, slot->first,
				FIRST | LAST),
		.length = slot->length,
	};
	struct random random = random_of(journal->seed, message.word, 0);
	size_t at;

	for (at = sizeof(message); at < slot->length; at += WORD) {
		uint64_t word = random_next(&random) & ~MARK;

		/* Up to 7 bytes too much, for which there is room. */
		memcpy(data + at, &word, WORD);
	}
	message.sum = sum_of(data + sizeof(message),
			     slot->length - sizeof(message));
	memcpy(data, &message, sizeof(message));
}

size_t oracle_build(unsigned char *data, const struct slot *slot)
{
	uint32_t i;

	if (!channel_is_stream(slot->channel)) {
		build_message(data, slot);
		return slot->length;
	}
	for (i = 0; i < slot->units; i++) {
		uint64_t flags = 0, word;

		if (!slot->atomic || !i)
			flags |= FIRST;
		if (!slot->atomic || i == slot->units - 1)
			flags |= LAST;
		word = word_of(slot->channel, slot->producer, slot->first + i,
			       flags);
		memcpy(data + i * WORD, &word, WORD);
	}
	return slot->length;
}

static void change_state(const struct slot *slot, uint32_t number,
			 uint8_t state)
{
	uint8_t *unit = unit_of(slot->channel, slot->producer, number);
	uint8_t old = __atomic_load_n(unit, __ATOMIC_RELAXED);

	while (!__atomic_compare_exchange_n(unit, &old,
					    (old & ~UNIT_STATE) | state, true,
					    __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED))
		;
	if (!state && old & UNIT_READS)
		journal_fail("channel %u: unit %u of producer %u was read, but its write failed",
			     slot->channel, number, slot->producer);
}

void oracle_issue(const struct slot *slot)
{
	uint32_t *highest =
		&journal->highest[slot->channel][slot->producer];
	uint32_t i, end = slot->first + slot->units;

	if (*highest < end)
		*highest = end;
	for (i = slot->first; i < end; i++)
		change_state(slot, i, UNIT_ISSUED);
}

static void settle(const struct slot *slot, uint32_t done, uint8_t rest)
{
	uint32_t i;

	for (i = 0; i < slot->units; i++)
		change_state(slot, slot->first + i,
			     i < done ? UNIT_WRITTEN : rest);
	__atomic_add_fetch(&journal->refused, slot->units - done,
			   __ATOMIC_RELAXED);
}

void oracle_settle_write(const struct slot *slot, uint32_t done)
{
	settle(slot, done, UNIT_REFUSED);
}

void oracle_withdraw(const struct slot *slot, uint32_t done)
{
	settle(slot, done, 0);
}

void oracle_unknown(const struct slot *slot)
{
	unsigned int i = __atomic_fetch_add(&journal->unknowns_used, 1,
					    __ATOMIC_RELAXED);

	if (i >= UNKNOWN - 2 * MEMBERS)
		journal_end_round();
	if (i >= UNKNOWN) {
		journal_fail("the journal has no room for another write of unknown outcome");
		return;
	}
	journal->unknowns[i] = (struct unknown){
		.channel = slot->channel,
		.producer = slot->producer,
		.first = slot->first,
		.units = slot->units,
		.atomic = slot->atomic,
	};
}

static void count_unit(struct consumer *consumer, unsigned int channel,
		       uint32_t producer, uint32_t number, const char *who)
{
	uint32_t *next = &consumer->next[channel][producer];
	uint8_t old = __atomic_fetch_add(unit_of(channel, producer, number),
					 UNIT_READ, __ATOMIC_RELAXED);

	if (!(old & UNIT_STATE))
		journal_fail("channel %u, %s: unit %u of producer %u was read, but never written",
			     channel, who, number, producer);
	else if (old & UNIT_READS)
		journal_fail("channel %u, %s: unit %u of producer %u was read a second time: doubled",
			     channel, who, number, producer);
	else if (number < *next)
		journal_fail("channel %u, %s: unit %u of producer %u came after %u: reordered",
			     channel, who, number, producer, *next - 1);
	*next = number + 1;
}

static bool injection_due(enum injection injection)
{
	return journal->injection == injection &&
	       !__atomic_sub_fetch(&journal->countdown, 1, __ATOMIC_RELAXED);
}

static void take_unit(struct consumer *consumer, unsigned int channel,
		      uint64_t word, const char *who)
{
	uint32_t producer = word_producer(word), number = word_number(word);

	if (injection_due(LOSS))
		return;
	if (injection_due(DUPLICATE))
		count_unit(consumer, channel, producer, number, who);
	count_unit(consumer, channel, producer, number, who);
}

static uint64_t load_word(const unsigned char *data)
{
	uint64_t word;

	memcpy(&word, data, WORD);
	return word;
}

static bool fail_torn(unsigned int channel, const char *who, size_t offset,
		      size_t length, const char *what)
{
	journal_fail("channel %u, %s: torn at byte %zu of %zu: %s", channel,
		     who, offset, length, what);
	return false;
}

/* The words of one record lie one behind the other. */
static bool words_fit(uint64_t before, uint64_t word)
{
	bool follows = word_producer(word) == word_producer(before) &&
		       word_number(word) == word_number(before) + 1;

	return (before & LAST && word & FIRST) ||
	       (follows && !(before & LAST) && !(word & FIRST));
}

/* Once, two words of one record change places. */
static void take_words(struct consumer *consumer, unsigned int channel,
		       const unsigned char *data, size_t length,
		       const char *who)
{
	size_t at;

	for (at = 0; at < length; at += WORD) {
		uint64_t word = load_word(data + at);

		if (!(word & LAST) && at + WORD < length &&
		    injection_due(SWAP)) {
			at += WORD;
			take_unit(consumer, channel, load_word(data + at), who);
		}
		take_unit(consumer, channel, word, who);
	}
}

static bool account_words(struct consumer *consumer, unsigned int channel,
			  const unsigned char *data, size_t length,
			  const char *who)
{
	uint64_t before = 0;
	size_t at;

	if (length % WORD)
		return fail_torn(channel, who, length, length,
				 "no multiple of a word");
	for (at = 0; at < length; at += WORD) {
		uint64_t word = load_word(data + at);

		if (!word_good(word, channel))
			return fail_torn(channel, who, at, length,
					 "not a word that was ever written");
		if (at && !words_fit(before, word))
			return fail_torn(channel, who, at, length,
					 "an atomic write is not in one piece");
		before = word;
	}
	take_words(consumer, channel, data, length, who);
	return true;
}

static bool account_message(struct consumer *consumer, unsigned int channel,
			    const unsigned char *data, size_t length,
			    const char *who)
{
	struct message message;

	if (length < sizeof(message))
		return fail_torn(channel, who, 0, length, "too short");
	memcpy(&message, data, sizeof(message));
	if (!word_good(message.word, channel))
		return fail_torn(channel, who, 0, length,
				 "not a record that was ever written");
	if (message.length != length)
		return fail_torn(channel, who, 0, length,
				 "another length than was written");
	if (message.sum != sum_of(data + sizeof(message),
				  length - sizeof(message)))
		return fail_torn(channel, who, 0, length,
				 "its checksum does not hold");
	take_unit(consumer, channel, message.word, who);
	return true;
}

static bool account_header(struct consumer *consumer, unsigned int channel,
			   const struct achan_record *record, const char *who)
{
	uint64_t *sequence = &consumer->sequence[channel];
	uint64_t *timestamp = &consumer->timestamp[channel];

	/* One more than the number, so that 0 says none yet. */
	if (record->sequence + 1 <= *sequence) {
		journal_fail("channel %u, %s: a frame has sequence %llu after %llu: reordered",
			     channel, who,
			     (unsigned long long)record->sequence,
			     (unsigned long long)*sequence - 1);
		return false;
	}
	if (record->timestamp < *timestamp) {
		journal_fail("channel %u, %s: the time of frame %llu lies before that of an older one",
			     channel, who,
			     (unsigned long long)record->sequence);
		return false;
	}
	*sequence = record->sequence + 1;
	*timestamp = record->timestamp;
	return true;
}

/* A frame holds a record of the ring from its first word, or its rest. */
static bool account_payload(struct consumer *consumer, unsigned int channel,
			    const struct achan_record *record,
			    const unsigned char *payload, const char *who)
{
	uint32_t length = record->length;
	bool whole = !(record->flags & ACHAN_RECORD_CONTINUED);

	if (!channel_is_stream(channel))
		return account_message(consumer, channel, payload, length, who);
	if (length < WORD || length % WORD)
		return fail_torn(channel, who, 0, length,
				 "a frame that is no multiple of a word");
	if ((whole && !(load_word(payload) & FIRST)) ||
	    !(load_word(payload + length - WORD) & LAST))
		return fail_torn(channel, who, 0, length,
				 "a frame that is not a whole record");
	return account_words(consumer, channel, payload, length, who);
}

static bool account_frame(struct consumer *consumer, unsigned int channel,
			  const unsigned char *data, size_t length,
			  size_t *used, const char *who)
{
	uint32_t flags = channel_is_stream(channel) ?
			 ACHAN_RECORD_CONTINUED : 0;
	struct achan_record record;
	size_t i;

	if (length < sizeof(record))
		return fail_torn(channel, who, 0, length, "part of a header");
	memcpy(&record, data, sizeof(record));
	*used = ACHAN_RECORD_SIZE(record.length);
	if (record.flags & ~flags || *used > length)
		return fail_torn(channel, who, 0, length,
				 "a header that cannot be");
	for (i = sizeof(record) + record.length; i < *used; i++)
		if (data[i])
			return fail_torn(channel, who, i, length,
					 "padding that is not zero");
	return account_header(consumer, channel, &record, who) &&
	       account_payload(consumer, channel, &record,
			       data + sizeof(record), who);
}

/* Whether the file was framed at the time only the content tells. */
void oracle_account(struct consumer *consumer, unsigned int channel,
		    unsigned char *data, size_t length, const char *who)
{
	size_t at, used;

	if (length >= WORD && load_word(data) & MARK) {
		if (injection_due(CORRUPTION))
			data[length / 2] ^= 1;
		if (channel_is_stream(channel))
			account_words(consumer, channel, data, length, who);
		else
			account_message(consumer, channel, data, length, who);
		return;
	}
	for (at = 0; at < length; at += used)
		if (!account_frame(consumer, channel, data + at, length - at,
				   &used, who))
			return;
}

void oracle_suspect(unsigned int channel, const unsigned char *data,
		    size_t length)
{
	size_t at;

	for (at = 0; at + WORD <= length; at += WORD) {
		uint64_t word = load_word(data + at);

		if (word_good(word, channel))
			__atomic_or_fetch(unit_of(channel, word_producer(word),
						  word_number(word)),
					  UNIT_SUSPECT, __ATOMIC_RELAXED);
	}
}

static bool unit_was_there(uint8_t unit)
{
	return unit & (UNIT_READS | UNIT_SUSPECT);
}

/* Of a write cut short, what comes first is there; or all, if it is atomic. */
static void compare_unknown(const struct unknown *unknown)
{
	const uint8_t *first = unit_of(unknown->channel, unknown->producer,
				       unknown->first);
	uint32_t i, there = 0;

	while (there < unknown->units && unit_was_there(first[there]))
		there++;
	for (i = there; i < unknown->units; i++)
		if (unit_was_there(first[i]))
			journal_fail("channel %u: of a killed write of producer %u unit %u is there, but %u is lost",
				     unknown->channel, unknown->producer,
				     unknown->first + i,
				     unknown->first + there);
	if (unknown->atomic && there && there < unknown->units)
		journal_fail("channel %u: of an atomic write of producer %u only %u of %u units came: torn",
			     unknown->channel, unknown->producer, there,
			     unknown->units);
}

static void compare_unit(unsigned int channel, uint32_t producer,
			 uint32_t number, uint8_t unit)
{
	unsigned int reads = (unit & UNIT_READS) / UNIT_READ;

	switch (unit & UNIT_STATE) {
	case UNIT_WRITTEN:
		journal->written++;
		if (reads)
			break;
		if (unit & UNIT_SUSPECT)
			journal->taken_by_dead++;
		else
			journal_fail("channel %u: unit %u of producer %u was written and never read: lost",
				     channel, number, producer);
		break;
	case UNIT_ISSUED:
		journal->unknown_total++;
		break;
	default:
		if (reads)
			journal_fail("channel %u: unit %u of producer %u was read, but its write failed",
				     channel, number, producer);
	}
	journal->read += reads;
	if (reads > 1)
		journal_fail("channel %u: unit %u of producer %u was read %u times: doubled",
			     channel, number, producer, reads);
}

void oracle_compare(void)
{
	unsigned int channel, i;
	uint32_t producer, number;

	for (channel = 0; channel < journal->channels; channel++)
		for (producer = 0; producer < journal->producers_used;
		     producer++)
			for (number = 0;
			     number < journal->highest[channel][producer];
			     number++)
				compare_unit(channel, producer, number,
					     *unit_of(channel, producer,
						      number));
	for (i = 0; i < journal->unknowns_used; i++)
		compare_unknown(&journal->unknowns[i]);
}

void oracle_records(unsigned int channel, uint64_t *least, uint64_t *most)
{
	uint32_t producer, number;

	*least = 0;
	*most = 0;
	for (producer = 0; producer < journal->producers_used; producer++)
		for (number = 0; number < journal->highest[channel][producer];
		     number++) {
			uint8_t unit = *unit_of(channel, producer, number);

			*least += (unit & UNIT_STATE) == UNIT_WRITTEN;
			*most += (unit & UNIT_STATE) == UNIT_WRITTEN ||
				 (unit & UNIT_STATE) == UNIT_ISSUED;
		}
}
