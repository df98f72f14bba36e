// SPDX-License-Identifier: LGPL-2.1-or-later
/* Values as text. */
#include "achanctl.h"


const char *format_size(uint64_t bytes, char *text)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double value = (double)bytes;
	size_t unit = 0;

	while (value >= 1024 && unit + 1 < COUNT_OF(units)) {
		value /= 1024;
		unit++;
	}
	/* Whole numbers as they are: "64 KiB". */
	if (value == (double)(uint64_t)value)
		snprintf(text, TEXT_SIZE, "%.0f %s", value, units[unit]);
	else
		snprintf(text, TEXT_SIZE, "%.1f %s", value, units[unit]);
	return text;
}

const char *format_count(double count, char *text)
{
	static const char units[] = " kMGT";
	size_t unit = 0;

	while (count >= 9999.5 && units[unit + 1]) {
		count /= 1000;
		unit++;
	}
	if (unit)
		snprintf(text, TEXT_SIZE, "%.4g%c", count, units[unit]);
	else
		snprintf(text, TEXT_SIZE, "%.*f", count < 9.95 ? 1 : 0, count);
	return text;
}

const char *format_time(uint64_t ns, char *text)
{
	snprintf(text, TEXT_SIZE, "%" PRIu64 ".%09" PRIu64,
		 ns / (uint64_t)NS_PER_SECOND, ns % (uint64_t)NS_PER_SECOND);
	return text;
}

const char *format_duration(int64_t ns, char *text)
{
	uint64_t seconds = ns < 0 ? 0 : (uint64_t)(ns / NS_PER_SECOND);

	if (seconds < 3600)
		snprintf(text, TEXT_SIZE, "%" PRIu64 ":%02" PRIu64,
			 seconds / 60, seconds % 60);
	else
		snprintf(text, TEXT_SIZE,
			 "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, seconds / 3600,
			 seconds / 60 % 60, seconds % 60);
	return text;
}

const char *format_bar(uint64_t part, uint64_t whole, int width, char *text)
{
	double share = whole ? (double)part / (double)whole : 0;
	int filled;

	if (width > TEXT_SIZE - 1)
		width = TEXT_SIZE - 1;
	if (share > 1)
		share = 1;
	filled = (int)(share * width + 0.5);
	/* A little is not nothing, and nearly full is not full. */
	if (part && !filled)
		filled = 1;
	if (part < whole && filled == width && width > 1)
		filled = width - 1;
	memset(text, '#', (size_t)filled);
	memset(text + filled, '.', (size_t)(width - filled));
	text[width] = 0;
	return text;
}

const char *format_hexdump(uint64_t offset, const void *bytes, size_t length,
			   char *text)
{
	const unsigned char *byte = bytes;
	size_t used = (size_t)snprintf(text, HEXDUMP_LINE, "%08" PRIx64 " ",
				       offset);

	for (size_t i = 0; i < 16; i++) {
		if (i < length)
			used += (size_t)snprintf(text + used,
						 HEXDUMP_LINE - used,
						 i == 8 ? "  %02x" : " %02x",
						 byte[i]);
		else
			used += (size_t)snprintf(text + used,
						 HEXDUMP_LINE - used, "%*s",
						 i == 8 ? 4 : 3, "");
	}
	used += (size_t)snprintf(text + used, HEXDUMP_LINE - used, "  |");
	for (size_t i = 0; i < length; i++)
		text[used++] = byte[i] >= ' ' && byte[i] <= '~' ?
			       (char)byte[i] : '.';
	text[used++] = '|';
	text[used] = 0;
	return text;
}
