// SPDX-License-Identifier: LGPL-2.1-or-later
/* JSON. */
#include "achanctl.h"

static void put_text(FILE *file, const char *text)
{
	fputc('"', file);
	for (; *text; text++) {
		unsigned char byte = (unsigned char)*text;

		/* Bytes that are no ASCII need not be UTF-8: told as numbers. */
		if (byte == '"' || byte == '\\')
			fprintf(file, "\\%c", byte);
		else if (byte < ' ' || byte > '~')
			fprintf(file, "\\u%04x", byte);
		else
			fputc(byte, file);
	}
	fputc('"', file);
}

static void put_key(struct json *json, const char *key)
{
	if (json->comma)
		fputs(", ", json->file);
	json->comma = true;
	if (!key)
		return;
	put_text(json->file, key);
	fputs(": ", json->file);
}

void json_open(struct json *json, const char *key, char bracket)
{
	put_key(json, key);
	fputc(bracket, json->file);
	json->comma = false;
}

void json_close(struct json *json, char bracket)
{
	fputc(bracket, json->file);
	json->comma = true;
}

void json_string(struct json *json, const char *key, const char *value)
{
	put_key(json, key);
	put_text(json->file, value);
}

void json_number(struct json *json, const char *key, uint64_t value)
{
	put_key(json, key);
	fprintf(json->file, "%" PRIu64, value);
}

void json_real(struct json *json, const char *key, double value)
{
	put_key(json, key);
	fprintf(json->file, "%.3f", value);
}

void json_bool(struct json *json, const char *key, bool value)
{
	put_key(json, key);
	fputs(value ? "true" : "false", json->file);
}

static void put_base64(FILE *file, const unsigned char *bytes, size_t length)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t at = 0; at < length; at += 3) {
		size_t left = length - at;
		uint32_t three = (uint32_t)bytes[at] << 16 |
				 (left > 1 ? (uint32_t)bytes[at + 1] << 8 : 0) |
				 (left > 2 ? bytes[at + 2] : 0);

		fputc(digits[three >> 18], file);
		fputc(digits[three >> 12 & 63], file);
		fputc(left > 1 ? digits[three >> 6 & 63] : '=', file);
		fputc(left > 2 ? digits[three & 63] : '=', file);
	}
}

void json_base64(struct json *json, const char *key, const void *bytes,
		 size_t length)
{
	put_key(json, key);
	fputc('"', json->file);
	put_base64(json->file, bytes, length);
	fputc('"', json->file);
}

static void put_config(struct json *json, const struct achan_config *config)
{
	char mode[16];

	snprintf(mode, sizeof(mode), "%04" PRIo32, config->node_mode);
	json_open(json, "config", '{');
	json_string(json, "kind", word_of(kind_words, config->kind));
	json_string(json, "mode", word_of(mode_words, config->mode));
	json_string(json, "delivery", word_of(delivery_words, config->delivery));
	json_string(json, "hangup", word_of(hangup_words, config->hangup));
	json_string(json, "overflow", word_of(overflow_words, config->overflow));
	json_bool(json, "timestamps",
		  !(config->flags & ACHAN_CONFIG_NO_TIMESTAMPS));
	json_number(json, "ring_bytes", config->ring_bytes);
	json_number(json, "read_low", config->read_low);
	json_number(json, "write_low", config->write_low);
	json_number(json, "moderate_records", config->moderate_records);
	json_number(json, "moderate_usecs", config->moderate_usecs);
	json_string(json, "node_mode", mode);
	json_number(json, "uid", config->uid);
	json_number(json, "gid", config->gid);
	json_close(json, '}');
}

static void put_stats(struct json *json, const struct achan_stats *stats)
{
	const struct { const char *key; uint64_t value; } members[] = {
		{ "records_in", stats->records_in },
		{ "bytes_in", stats->bytes_in },
		{ "records_out", stats->records_out },
		{ "bytes_out", stats->bytes_out },
		{ "lost", stats->lost },
		{ "rejected", stats->rejected },
		{ "dropped", stats->dropped },
		{ "overwritten", stats->overwritten },
		{ "discarded", stats->discarded },
		{ "sequence", stats->sequence },
		{ "bytes", stats->bytes },
		{ "used", stats->used },
		{ "high_water", stats->high_water },
		{ "parked", stats->parked },
		{ "completed", stats->completed },
		{ "cancelled", stats->cancelled },
		{ "wakeups", stats->wakeups },
		{ "signals", stats->signals },
		{ "parked_reads", stats->parked_reads },
		{ "parked_writes", stats->parked_writes },
		{ "readers", stats->readers },
		{ "writers", stats->writers },
		{ "written", stats->written },
		{ "pulled", stats->pulled },
	};

	json_open(json, "stats", '{');
	for (size_t i = 0; i < COUNT_OF(members); i++)
		json_number(json, members[i].key, members[i].value);
	json_close(json, '}');
}

void json_channel(struct json *json, const struct achan_channel *channel)
{
	char node[TEXT_SIZE];

	snprintf(node, sizeof(node), "/dev/achan%" PRIu32, channel->minor);
	json_string(json, "name", channel->name);
	json_string(json, "node", node);
	json_number(json, "minor", channel->minor);
	if (channel->peer_minor != ACHAN_MINOR_NONE)
		json_number(json, "peer_minor", channel->peer_minor);
	if (!channel_known(channel)) {
		json_string(json, "kind",
			    word_of(kind_words, channel->config.kind));
		return;
	}
	put_config(json, &channel->config);
	put_stats(json, &channel->stats);
}
