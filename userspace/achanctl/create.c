// SPDX-License-Identifier: LGPL-2.1-or-later
/* "create" and "set": a channel made, or changed. */
#include "achanctl.h"

#include <getopt.h>

#define SETTABLE							\
	{ "overflow", required_argument, NULL, CONFIG_OVERFLOW },	\
	{ "timestamps", required_argument, NULL, CONFIG_TIMESTAMPS },	\
	{ "read-low", required_argument, NULL, CONFIG_READ_LOW },	\
	{ "write-low", required_argument, NULL, CONFIG_WRITE_LOW },	\
	{ "moderate-records", required_argument, NULL,			\
	  CONFIG_MODERATE_RECORDS },					\
	{ "moderate-usecs", required_argument, NULL,			\
	  CONFIG_MODERATE_USECS },					\
	{ "help", no_argument, NULL, 'h' },				\
	{ NULL, 0, NULL, 0 }

static const struct option create_options[] = {
	{ "kind", required_argument, NULL, CONFIG_KIND },
	{ "peer", required_argument, NULL, CONFIG_PEER },
	{ "mode", required_argument, NULL, CONFIG_MODE },
	{ "delivery", required_argument, NULL, CONFIG_DELIVERY },
	{ "hangup", required_argument, NULL, CONFIG_HANGUP },
	{ "ring-bytes", required_argument, NULL, CONFIG_RING_BYTES },
	{ "node-mode", required_argument, NULL, CONFIG_NODE_MODE },
	{ "owner", required_argument, NULL, CONFIG_OWNER },
	{ "group", required_argument, NULL, CONFIG_GROUP },
	SETTABLE
};

/* What cannot be set is known here so that it can be said. */
static const struct option set_options[] = {
	{ "kind", optional_argument, NULL, CONFIG_KIND },
	{ "peer", optional_argument, NULL, CONFIG_PEER },
	{ "mode", optional_argument, NULL, CONFIG_MODE },
	{ "delivery", optional_argument, NULL, CONFIG_DELIVERY },
	{ "hangup", optional_argument, NULL, CONFIG_HANGUP },
	{ "ring-bytes", optional_argument, NULL, CONFIG_RING_BYTES },
	{ "node-mode", optional_argument, NULL, CONFIG_NODE_MODE },
	{ "owner", optional_argument, NULL, CONFIG_OWNER },
	{ "group", optional_argument, NULL, CONFIG_GROUP },
	SETTABLE
};

static enum status fail_fixed(int code)
{
	const char *name = set_options[code - CONFIG_KIND].name;

	if (code >= CONFIG_NODE_MODE)
		return fail(STATUS_USAGE, "--%s cannot be set: change the node "
			    "with chmod, chown or chgrp", name);
	return fail(STATUS_USAGE, "--%s is fixed when a channel is created: "
		    "remove the channel and create it again", name);
}

/* Takes all options. @help is set if it was asked for. */
static enum status take_options(const struct command *command,
				const struct option *options, int argc,
				char **argv, struct config_choice *choice,
				bool *help)
{
	enum status status = STATUS_OK;
	int code;

	optind = 0;
	while (!status &&
	       (code = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
		if (code == 'h')
			*help = true;
		else if (code == '?')
			status = fail_option(command);
		else if (options == set_options && code < CONFIG_OVERFLOW)
			status = fail_fixed(code);
		else
			status = config_option(command, code, optarg, choice);
	}
	return status;
}

/* What of the choice this driver has never heard of, or NULL. */
static const char *missing_feature(const struct achan_control *control,
				   const struct config_choice *choice)
{
	const struct achan_config *config = &choice->create.config;
	const struct { uint32_t feature; bool wanted; } features[] = {
		{ ACHAN_FEATURE_PAIR, config->kind == ACHAN_KIND_PAIR },
		{ ACHAN_FEATURE_BROADCAST,
		  config->delivery == ACHAN_DELIVERY_BROADCAST },
		{ ACHAN_FEATURE_HANGUP, config->hangup == ACHAN_HANGUP_FIFO },
		{ ACHAN_FEATURE_WATERMARKS,
		  config->read_low || config->write_low },
		{ ACHAN_FEATURE_MODERATION,
		  config->moderate_records || config->moderate_usecs },
	};
	struct achan_handshake driver;

	if (achan_control_version(control, &driver))
		return NULL;
	for (size_t i = 0; i < COUNT_OF(features); i++)
		if (features[i].wanted &&
		    !(driver.features & features[i].feature))
			return word_of(feature_words, features[i].feature);
	return NULL;
}

/* The driver has refused to create: why, as far as that can be seen. */
static enum status fail_create(struct achan_control *control,
			       const struct config_choice *choice, int error)
{
	const struct achan_create *create = &choice->create;
	const char *missing = missing_feature(control, choice);
	const char *fault = config_fault(create);
	char size[TEXT_SIZE];
	uint32_t ring = create->config.ring_bytes;

	if (error == -EEXIST)
		return fail(STATUS_EXISTS, "there is a channel named %s%s%s "
			    "already: choose another name, or remove it first",
			    create->name, *create->peer_name ? " or " : "",
			    create->peer_name);
	if (error == -ENOSPC)
		return fail(STATUS_LIMIT, "there are as many channels as there "
			    "can be: remove one first");
	if (error == -ENOMEM)
		return fail(STATUS_LIMIT, "there is not enough memory for a "
			    "ring of %s: free some, or choose a smaller "
			    "--ring-bytes", format_size(ring ? ring : 65536,
							size));
	if (missing && (error == -EINVAL || error == -EOPNOTSUPP))
		return fail(STATUS_VERSION, "this driver does not know '%s': "
			    "load a newer module", missing);
	if (error == -EINVAL && fault)
		return fail(STATUS_USAGE, "cannot create the channel: %s",
			    fault);
	if (error == -EINVAL)
		return fail(STATUS_USAGE, "the driver refused the channel: one "
			    "of the values is none it can have");
	return fail_call(error, "cannot create the channel");
}

static enum status create(struct config_choice *choice)
{
	struct achan_create *made = &choice->create;
	struct achan_control *control;
	enum status status = control_connect(&control);
	int ret;

	if (status)
		return status;
	ret = achan_control_create(control, made);
	if (ret)
		status = fail_create(control, choice, ret);
	else
		printf("/dev/achan%" PRIu32 "\n", made->minor);
	if (!ret && made->config.kind == ACHAN_KIND_PAIR)
		printf("/dev/achan%" PRIu32 "\n", made->peer_minor);
	achan_control_close(control);
	return status ? status : finish_output();
}

static enum status run_create(int argc, char **argv)
{
	struct config_choice choice = { 0 };
	bool help = false;
	const char *fault;
	enum status status;

	status = take_options(&command_create, create_options, argc, argv,
			      &choice, &help);
	if (status)
		return status;
	if (help)
		return print_help(&command_create);
	if (!choice.create.config.kind)
		choice.create.config.kind = *choice.create.peer_name ?
					    ACHAN_KIND_PAIR : ACHAN_KIND_LOOP;
	if (argc - optind > 1)
		return fail_usage(&command_create, "one name, not %d",
				  argc - optind);
	if (optind < argc) {
		fault = name_fault(argv[optind]);
		if (fault)
			return fail_usage(&command_create, "'%s' cannot be a "
					  "channel's name: %s", argv[optind],
					  fault);
		snprintf(choice.create.name, ACHAN_NAME_MAX, "%s",
			 argv[optind]);
	}
	if (*choice.create.name &&
	    !strcmp(choice.create.name, choice.create.peer_name))
		return fail_usage(&command_create, "the two of a pair cannot "
				  "have one name, '%s'", choice.create.name);
	return create(&choice);
}

const struct command command_create = {
	.name = "create",
	.run = run_create,
	.help =
	"usage: achanctl create [OPTION...] [NAME]\n"
	"\n"
	"Makes a channel and prints its node; for a pair, both nodes. Without a\n"
	"NAME it has that of its node.\n"
	"\n"
	"  --kind KIND           loop or pair [loop]\n"
	"  --peer NAME           name of the other one of a pair\n"
	"  --mode MODE           stream or message [stream]\n"
	"  --delivery DELIVERY   shared or broadcast [shared]\n"
	"  --hangup HANGUP       off or fifo for a loop, off or peer for a pair\n"
	"  --ring-bytes SIZE     of each ring, a power of two [64K]\n"
	"  --node-mode OCTAL     permissions of the node [600]\n"
	"  --owner USER          of the node [root]\n"
	"  --group GROUP         of the node [root]\n"
	"  --overflow POLICY     reject, drop or overwrite\n"
	"  --timestamps on|off   whether records have a time [on]\n"
	"  --read-low SIZE       payload that wakes readers up [any]\n"
	"  --write-low SIZE      room that wakes writers up [what they need]\n"
	"  --moderate-records N  wake readers up once for N records\n"
	"  --moderate-usecs N    ... or N microseconds after the first of them\n",
};

/* ----------------------------------------------------------------- set */

static enum status fail_set(const struct reference *reference,
			    const struct achan_config *config, int error)
{
	const struct achan_create wanted = { .config = *config };
	const char *fault = config_fault(&wanted);

	if (error == -ENOENT || error == -ENODEV)
		return fail_no_channel(reference);
	if (error == -EINVAL)
		return fail(STATUS_USAGE, "cannot change %s: %s",
			    reference->text, fault ? fault :
			    "one of the values is none it can have");
	return fail_call(error, "cannot change %s", reference->text);
}

/*
 * Puts the choice into the channel's values: of the moderation's two, which
 * are set together, one may not have been named.
 */
static void merge(struct achan_config *config,
		  const struct config_choice *choice)
{
	const struct achan_config *wanted = &choice->create.config;

	if (choice->mask & ACHAN_SET_OVERFLOW)
		config->overflow = wanted->overflow;
	if (choice->mask & ACHAN_SET_TIMESTAMPS)
		config->flags = wanted->flags;
	if (choice->mask & ACHAN_SET_READ_LOW)
		config->read_low = wanted->read_low;
	if (choice->mask & ACHAN_SET_WRITE_LOW)
		config->write_low = wanted->write_low;
	if (choice->moderate_records)
		config->moderate_records = wanted->moderate_records;
	if (choice->moderate_usecs)
		config->moderate_usecs = wanted->moderate_usecs;
}

static enum status set(const struct reference *reference,
		       const struct config_choice *choice)
{
	struct achan_channel channel = { 0 };
	struct achan_control *control;
	enum status status = control_connect(&control);
	int ret;

	if (status)
		return status;
	ret = achan_control_get(control, reference->name, reference->minor,
				&channel);
	if (!ret) {
		merge(&channel.config, choice);
		ret = achan_control_set(control, NULL, channel.minor,
					choice->mask, &channel.config);
	}
	if (ret)
		status = fail_set(reference, &channel.config, ret);
	achan_control_close(control);
	return status;
}

static enum status run_set(int argc, char **argv)
{
	struct config_choice choice = { 0 };
	struct reference reference;
	enum status status;
	bool help = false;

	status = take_options(&command_set, set_options, argc, argv, &choice,
			      &help);
	if (status)
		return status;
	if (help)
		return print_help(&command_set);
	if (argc - optind != 1)
		return fail_one_channel(&command_set, argc - optind);
	if (!choice.mask)
		return fail_usage(&command_set, "nothing to change was named");
	status = reference_parse(argv[optind], &reference);
	return status ? status : set(&reference, &choice);
}

const struct command command_set = {
	.name = "set",
	.run = run_set,
	.help =
	"usage: achanctl set CHANNEL OPTION...\n"
	"\n"
	"Changes how a channel behaves, from the next record on. What is not\n"
	"named stays; what is not listed here is fixed at creation.\n"
	"\n"
	"  --overflow POLICY     reject, drop or overwrite\n"
	"  --timestamps on|off   whether records have a time\n"
	"  --read-low SIZE       payload that wakes readers up, 0: any\n"
	"  --write-low SIZE      room that wakes writers up, 0: what they need\n"
	"  --moderate-records N  wake readers up once for N records, 0: off\n"
	"  --moderate-usecs N    ... or N microseconds after the first, 0: off\n",
};
