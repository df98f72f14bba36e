// SPDX-License-Identifier: LGPL-2.1-or-later
/* The options by which a channel's behaviour is chosen. */
#include "achanctl.h"

#include <grp.h>
#include <pwd.h>

/* What the driver can do, for telling why it did not. */
#define RING_BYTES_MIN	UINT32_C(8192)
#define RING_BYTES_MAX	UINT32_C(67108864)

static enum status take_word(const struct command *command, const char *what,
			     const struct word *words, const char *argument,
			     uint32_t *value)
{
	char listed[128];

	if (parse_word(words, argument, value))
		return STATUS_OK;
	return fail_usage(command, "invalid %s '%s': use %s", what, argument,
			  words_listed(words, listed, sizeof(listed)));
}

static enum status take_size(const struct command *command, const char *what,
			     const char *argument, uint32_t *value)
{
	uint64_t found;

	if (!parse_size(argument, UINT32_MAX, &found))
		return fail_usage(command, "%s is bytes, such as 8192 or 64K, "
				  "not '%s'", what, argument);
	*value = (uint32_t)found;
	return STATUS_OK;
}

static enum status take_number(const struct command *command, const char *what,
			       const char *argument, uint32_t *value)
{
	uint64_t found;

	if (!parse_number(argument, UINT32_MAX, &found))
		return fail_usage(command, "%s is a number, not '%s'", what,
				  argument);
	*value = (uint32_t)found;
	return STATUS_OK;
}

static enum status take_name(const struct command *command,
			     const char *argument, char name[ACHAN_NAME_MAX])
{
	const char *fault = name_fault(argument);

	if (fault)
		return fail_usage(command, "'%s' cannot be a channel's name: %s",
				  argument, fault);
	snprintf(name, ACHAN_NAME_MAX, "%s", argument);
	return STATUS_OK;
}

static enum status take_node_mode(const struct command *command,
				  const char *argument, uint32_t *mode)
{
	uint64_t found;

	/* 0 would stand for the default. */
	if (!parse_octal(argument, 0777, &found) || !found)
		return fail_usage(command, "--node-mode is octal, 1 to 777, not "
				  "'%s'", argument);
	*mode = (uint32_t)found;
	return STATUS_OK;
}

static enum status take_owner(const struct command *command,
			      const char *argument, uint32_t *uid)
{
	const struct passwd *user = getpwnam(argument);
	uint64_t number;

	if (user)
		*uid = user->pw_uid;
	else if (parse_number(argument, UINT32_MAX - 1, &number))
		*uid = (uint32_t)number;
	else
		return fail_usage(command, "there is no user '%s'", argument);
	return STATUS_OK;
}

static enum status take_group(const struct command *command,
			      const char *argument, uint32_t *gid)
{
	const struct group *group = getgrnam(argument);
	uint64_t number;

	if (group)
		*gid = group->gr_gid;
	else if (parse_number(argument, UINT32_MAX - 1, &number))
		*gid = (uint32_t)number;
	else
		return fail_usage(command, "there is no group '%s'; \"groupadd "
				  "--system %s\" makes it", argument, argument);
	return STATUS_OK;
}

static enum status take_timestamps(const struct command *command,
				   const char *argument, uint32_t *flags)
{
	bool on;

	if (!parse_on_off(argument, &on))
		return fail_usage(command, "--timestamps is on or off, not '%s'",
				  argument);
	*flags &= ~ACHAN_CONFIG_NO_TIMESTAMPS;
	if (!on)
		*flags |= ACHAN_CONFIG_NO_TIMESTAMPS;
	return STATUS_OK;
}

static const uint32_t masks[] = {
	[CONFIG_OVERFLOW - CONFIG_FIRST] = ACHAN_SET_OVERFLOW,
	[CONFIG_TIMESTAMPS - CONFIG_FIRST] = ACHAN_SET_TIMESTAMPS,
	[CONFIG_READ_LOW - CONFIG_FIRST] = ACHAN_SET_READ_LOW,
	[CONFIG_WRITE_LOW - CONFIG_FIRST] = ACHAN_SET_WRITE_LOW,
	[CONFIG_MODERATE_RECORDS - CONFIG_FIRST] = ACHAN_SET_MODERATION,
	[CONFIG_MODERATE_USECS - CONFIG_FIRST] = ACHAN_SET_MODERATION,
};

enum status config_option(const struct command *command, int code,
			  const char *argument, struct config_choice *choice)
{
	struct achan_config *config = &choice->create.config;

	choice->mask |= masks[code - CONFIG_FIRST];
	switch (code) {
	case CONFIG_KIND:
		return take_word(command, "--kind", made_kind_words,
				 argument, &config->kind);
	case CONFIG_PEER:
		return take_name(command, argument, choice->create.peer_name);
	case CONFIG_MODE:
		return take_word(command, "--mode", mode_words, argument,
				 &config->mode);
	case CONFIG_DELIVERY:
		return take_word(command, "--delivery", delivery_words,
				 argument, &config->delivery);
	case CONFIG_HANGUP:
		return take_word(command, "--hangup", hangup_words, argument,
				 &config->hangup);
	case CONFIG_RING_BYTES:
		return take_size(command, "--ring-bytes", argument,
				 &config->ring_bytes);
	case CONFIG_NODE_MODE:
		return take_node_mode(command, argument, &config->node_mode);
	case CONFIG_OWNER:
		return take_owner(command, argument, &config->uid);
	case CONFIG_GROUP:
		return take_group(command, argument, &config->gid);
	case CONFIG_OVERFLOW:
		return take_word(command, "--overflow", overflow_words,
				 argument, &config->overflow);
	case CONFIG_TIMESTAMPS:
		return take_timestamps(command, argument, &config->flags);
	case CONFIG_READ_LOW:
		return take_size(command, "--read-low", argument,
				 &config->read_low);
	case CONFIG_WRITE_LOW:
		return take_size(command, "--write-low", argument,
				 &config->write_low);
	case CONFIG_MODERATE_RECORDS:
		choice->moderate_records = true;
		return take_number(command, "--moderate-records", argument,
				   &config->moderate_records);
	default:
		choice->moderate_usecs = true;
		return take_number(command, "--moderate-usecs", argument,
				   &config->moderate_usecs);
	}
}

static const char *ring_fault(uint32_t bytes)
{
	if (!bytes)
		return NULL;
	if (bytes & (bytes - 1) || bytes < RING_BYTES_MIN ||
	    bytes > RING_BYTES_MAX)
		return "ring size must be a power of two from 8K to 64M";
	return NULL;
}

static const char *moderation_fault(const struct achan_config *config)
{
	if (config->moderate_records > ACHAN_MODERATE_RECORDS_MAX)
		return "--moderate-records is 65536 at the most";
	if (config->moderate_usecs > ACHAN_MODERATE_USECS_MAX)
		return "--moderate-usecs is 1000000 at the most";
	if (config->moderate_records && !config->moderate_usecs)
		return "--moderate-records needs --moderate-usecs: the last "
		       "records of a burst would wait for ever";
	return NULL;
}

static const char *combination_fault(const struct achan_config *config)
{
	bool broadcast = config->delivery == ACHAN_DELIVERY_BROADCAST;
	bool pair = config->kind == ACHAN_KIND_PAIR;

	if (broadcast && pair)
		return "a pair cannot be a broadcast";
	if (broadcast && config->overflow == ACHAN_OVERFLOW_REJECT)
		return "a broadcast cannot reject: there is no one producer "
		       "to be told; use --overflow drop or overwrite";
	if (pair && config->hangup == ACHAN_HANGUP_FIFO)
		return "--hangup fifo is for a loop; a pair has --hangup peer";
	if (!pair && config->hangup == ACHAN_HANGUP_PEER)
		return "--hangup peer is for a pair; a loop has --hangup fifo";
	return NULL;
}

const char *config_fault(const struct achan_create *create)
{
	const struct achan_config *config = &create->config;
	uint32_t ring = config->ring_bytes ? config->ring_bytes : 65536;
	const char *fault = ring_fault(config->ring_bytes);

	if (!fault)
		fault = moderation_fault(config);
	if (!fault)
		fault = combination_fault(config);
	if (!fault && (config->read_low > ring || config->write_low > ring))
		fault = "a watermark cannot be more than the ring has bytes";
	if (!fault && *create->peer_name && config->kind != ACHAN_KIND_PAIR)
		fault = "--peer is for --kind pair";
	if (!fault && *create->name &&
	    !strcmp(create->name, create->peer_name))
		fault = "the two of a pair cannot have one name";
	return fault;
}
