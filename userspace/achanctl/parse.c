// SPDX-License-Identifier: LGPL-2.1-or-later
/* Words of the command line into values. */
#include "achanctl.h"

#include <ctype.h>

/* What a user can make. */
const struct word made_kind_words[] = {
	{ "loop", ACHAN_KIND_LOOP },
	{ "pair", ACHAN_KIND_PAIR },
	{ NULL, 0 },
};

const struct word kind_words[] = {
	{ "loop", ACHAN_KIND_LOOP },
	{ "pair", ACHAN_KIND_PAIR },
	{ "provider", ACHAN_KIND_PROVIDER },
	{ NULL, 0 },
};

const struct word mode_words[] = {
	{ "stream", ACHAN_MODE_STREAM },
	{ "message", ACHAN_MODE_MESSAGE },
	{ NULL, 0 },
};

const struct word delivery_words[] = {
	{ "shared", ACHAN_DELIVERY_SHARED },
	{ "broadcast", ACHAN_DELIVERY_BROADCAST },
	{ NULL, 0 },
};

const struct word hangup_words[] = {
	{ "off", ACHAN_HANGUP_OFF },
	{ "fifo", ACHAN_HANGUP_FIFO },
	{ "peer", ACHAN_HANGUP_PEER },
	{ NULL, 0 },
};

const struct word overflow_words[] = {
	{ "reject", ACHAN_OVERFLOW_REJECT },
	{ "drop", ACHAN_OVERFLOW_DROP },
	{ "overwrite", ACHAN_OVERFLOW_OVERWRITE },
	{ NULL, 0 },
};

const struct word event_words[] = {
	{ "created", ACHAN_EVENT_CREATED },
	{ "removed", ACHAN_EVENT_REMOVED },
	{ "opened", ACHAN_EVENT_OPENED },
	{ "closed", ACHAN_EVENT_CLOSED },
	{ "overflow", ACHAN_EVENT_OVERFLOW },
	{ "hangup", ACHAN_EVENT_HANGUP },
	{ "resync", ACHAN_MONITOR_RESYNC },
	{ "channel", ACHAN_MONITOR_CHANNEL },
	{ "listed", ACHAN_MONITOR_DUMPED },
	{ NULL, 0 },
};

const struct word feature_words[] = {
	{ "pair", ACHAN_FEATURE_PAIR },
	{ "broadcast", ACHAN_FEATURE_BROADCAST },
	{ "hangup", ACHAN_FEATURE_HANGUP },
	{ "watermarks", ACHAN_FEATURE_WATERMARKS },
	{ "moderation", ACHAN_FEATURE_MODERATION },
	{ "events", ACHAN_FEATURE_EVENTS },
	{ NULL, 0 },
};

bool parse_word(const struct word *words, const char *text, uint32_t *value)
{
	for (; words->text; words++)
		if (!strcmp(words->text, text)) {
			*value = words->value;
			return true;
		}
	return false;
}

const char *word_of(const struct word *words, uint32_t value)
{
	for (; words->text; words++)
		if (words->value == value)
			return words->text;
	return "?";
}

const char *words_listed(const struct word *words, char *text, size_t size)
{
	size_t used = 0;

	*text = 0;
	for (const struct word *word = words; word->text; word++) {
		const char *before = word == words ? "" :
				     word[1].text ? ", " : " or ";
		int length = snprintf(text + used, size - used, "%s%s", before,
				      word->text);

		if (length < 0 || (size_t)length >= size - used)
			break;
		used += (size_t)length;
	}
	return text;
}

/* Digits of @base alone: strtoull() also takes signs and blanks. */
static bool parse_digits(const char *text, unsigned int base, const char **end,
			 uint64_t *value)
{
	const char *start = text;
	uint64_t sum = 0;

	for (; *text >= '0' && *text < '0' + (int)base; text++) {
		unsigned int digit = (unsigned int)(*text - '0');

		if (sum > (UINT64_MAX - digit) / base)
			return false;
		sum = sum * base + digit;
	}
	*end = text;
	*value = sum;
	return text != start;
}

static bool parse_base(const char *text, unsigned int base, uint64_t max,
		       uint64_t *value)
{
	const char *end;
	uint64_t found;

	if (!parse_digits(text, base, &end, &found) || *end || found > max)
		return false;
	*value = found;
	return true;
}

bool parse_number(const char *text, uint64_t max, uint64_t *value)
{
	return parse_base(text, 10, max, value);
}

bool parse_octal(const char *text, uint64_t max, uint64_t *value)
{
	return parse_base(text, 8, max, value);
}

bool parse_size(const char *text, uint64_t max, uint64_t *value)
{
	static const char units[] = "KMG";
	const char *end, *unit;
	unsigned int shift = 0;
	uint64_t found;

	if (!parse_digits(text, 10, &end, &found))
		return false;
	if (*end) {
		unit = strchr(units, toupper((unsigned char)*end));
		if (!unit || (end[1] && strcmp(end + 1, "iB")))
			return false;
		shift = 10 * (unsigned int)(unit - units + 1);
	}
	if (found > max >> shift)
		return false;
	*value = found << shift;
	return true;
}

bool parse_seconds(const char *text, int64_t *ns)
{
	uint64_t seconds = 0, fraction = 0;
	const char *end = text, *start;

	if ((*text != '.' && !parse_digits(text, 10, &end, &seconds)) ||
	    seconds > INT64_MAX / NS_PER_SECOND - 1)
		return false;
	if (*end == '.') {
		start = end + 1;
		if (!parse_digits(start, 10, &end, &fraction) ||
		    end - start > 9)
			return false;
		for (ptrdiff_t digits = end - start; digits < 9; digits++)
			fraction *= 10;
	}
	if (*end)
		return false;
	*ns = (int64_t)seconds * NS_PER_SECOND + (int64_t)fraction;
	return true;
}

bool parse_on_off(const char *text, bool *value)
{
	if (strcmp(text, "on") && strcmp(text, "off"))
		return false;
	*value = !strcmp(text, "on");
	return true;
}

bool parse_node_name(const char *text, uint32_t *minor)
{
	static const char prefix[] = "achan";
	const char *digits = text + strlen(prefix);
	uint64_t value;

	if (strncmp(text, prefix, strlen(prefix)) ||
	    !parse_number(digits, ACHAN_MINOR_NONE - 1, &value) ||
	    (*digits == '0' && digits[1]))
		return false;
	*minor = (uint32_t)value;
	return true;
}

const char *name_fault(const char *name)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_.:+-0123456789";
	const char *digits = name + strlen("achan");

	if (!*name)
		return "it is empty";
	if (strlen(name) >= ACHAN_NAME_MAX)
		return "it has more than 31 characters";
	if (name[strspn(name, allowed)])
		return "only A-Z, a-z, 0-9 and _ . : + - are allowed in it";
	if (*name == '.' || *name == '-')
		return "it must not begin with . or -";
	if (!strncmp(name, "achan", strlen("achan")) && *digits &&
	    !digits[strspn(digits, "0123456789")])
		return "names like those of nodes, achan and a number, are "
		       "given by the driver alone";
	return NULL;
}
