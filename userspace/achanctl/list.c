// SPDX-License-Identifier: LGPL-2.1-or-later
/* "list" and "info": what channels there are, and all about one. */
#include "achanctl.h"

#include <getopt.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>

static const struct option options[] = {
	{ "json", no_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

/* Returns true if the command goes on; else @status is what it ends with. */
static bool take_options(const struct command *command, int argc, char **argv,
			 bool *json, enum status *status)
{
	int code;

	optind = 0;
	while ((code = getopt_long(argc, argv, "jh", options, NULL)) >= 0)
		if (code == 'j') {
			*json = true;
		} else {
			*status = code == 'h' ? print_help(command) :
						fail_option(command);
			return false;
		}
	return true;
}

static void json_removed(struct json *json, const struct removed_list *list,
			 const struct removed *removed)
{
	char node[TEXT_SIZE];

	snprintf(node, sizeof(node), "/dev/achan%" PRIu32, removed->minor);
	json_open(json, NULL, '{');
	json_string(json, "name", removed->name);
	json_string(json, "node", node);
	json_number(json, "minor", removed->minor);
	json_bool(json, "removed", true);
	json_open(json, "holders", '[');
	for (; removed; removed = removed_next(list, removed)) {
		json_open(json, NULL, '{');
		json_number(json, "process", removed->process);
		json_string(json, "command", removed->command);
		json_close(json, '}');
	}
	json_close(json, ']');
	json_close(json, '}');
}

static void print_json(const struct channel_list *list,
		       const struct removed_list *removed)
{
	struct json json = { .file = stdout };

	json_open(&json, NULL, '[');
	for (size_t i = 0; i < list->count; i++) {
		fputs(i ? ",\n" : "\n", stdout);
		json.comma = false;
		json_open(&json, NULL, '{');
		json_channel(&json, &list->channels[i]);
		json_close(&json, '}');
	}
	for (size_t i = 0; i < removed->count; i++) {
		if (!removed_is_first(removed, i))
			continue;
		fputs(i || list->count ? ",\n" : "\n", stdout);
		json.comma = false;
		json_removed(&json, removed, &removed->removed[i]);
	}
	fputs("\n]\n", stdout);
}

static void print_row(const struct achan_channel *channel, int width)
{
	const struct achan_config *config = &channel->config;
	const struct achan_stats *stats = &channel->stats;
	char node[TEXT_SIZE], ring[TEXT_SIZE];
	uint64_t fill = config->ring_bytes ?
			stats->used * 100 / config->ring_bytes : 0;

	snprintf(node, sizeof(node), "achan%" PRIu32, channel->minor);
	if (!channel_known(channel)) {
		printf("%-*s  %-9s  %-8s  the rest is for users who may open the node\n",
		       width, channel->name, node, word_of(kind_words, config->kind));
		return;
	}
	printf("%-*s  %-9s  %-8s  %-7s  %-9s  %8s  %3" PRIu64 "%%  %7" PRIu32
	       "  %7" PRIu32 "  %10" PRIu64 "  %8" PRIu64 "\n", width,
	       channel->name, node, word_of(kind_words, config->kind),
	       word_of(mode_words, config->mode),
	       word_of(delivery_words, config->delivery),
	       format_size(config->ring_bytes, ring), fill, stats->readers,
	       stats->writers, (uint64_t)stats->records_in, (uint64_t)stats->lost);
}

static void print_table(const struct channel_list *list)
{
	int width = (int)strlen("NAME");

	for (size_t i = 0; i < list->count; i++) {
		int length = (int)strlen(list->channels[i].name);

		if (length > width)
			width = length;
	}
	printf("%-*s  %-9s  %-8s  %-7s  %-9s  %8s  %4s  %7s  %7s  %10s  %8s\n",
	       width, "NAME", "NODE", "KIND", "MODE", "DELIVERY", "RING",
	       "FILL", "READERS", "WRITERS", "RECORDS", "LOST");
	for (size_t i = 0; i < list->count; i++)
		print_row(&list->channels[i], width);
}

static void print_removed(const struct removed_list *list)
{
	const struct removed *removed;

	for (size_t i = 0; i < list->count; i++) {
		if (!removed_is_first(list, i))
			continue;
		removed = &list->removed[i];
		printf("%s (achan%" PRIu32 ") was removed, and is still open "
		       "in process %u (%s)", removed->name, removed->minor,
		       removed->process, removed->command);
		while ((removed = removed_next(list, removed)))
			printf(", %u (%s)", removed->process, removed->command);
		printf("\n");
	}
	if (list->count)
		printf("The module cannot be unloaded before these processes "
		       "close it.\n");
}

/* Something keeps the module loaded, and nothing that was listed does. */
static void say_hidden(const struct channel_list *list,
		       const struct removed_list *removed)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->channels[i].stats.readers ||
		    list->channels[i].stats.writers)
			return;
	if (removed->hidden && !removed->count && module_uses())
		fail(STATUS_OK, "the module is in use by a process that this "
		     "user cannot see; root can");
}

/* A file that a shell's ">" made while the module was not loaded. */
static void say_wrong_nodes(const struct channel_list *list)
{
	struct stat found;
	char path[64];

	for (size_t i = 0; i < list->count; i++) {
		snprintf(path, sizeof(path), "/dev/achan%" PRIu32,
			 list->channels[i].minor);
		if (!stat(path, &found) && !S_ISCHR(found.st_mode))
			fail_other_file(path);
	}
}

static enum status print_list(const struct channel_list *list, bool json,
			      bool all)
{
	struct removed_list removed = { 0 };

	if (all && !removed_list_get(&removed, list))
		return fail_call(-ENOMEM, "cannot look for removed channels");
	if (json) {
		print_json(list, &removed);
	} else {
		print_table(list);
		print_removed(&removed);
	}
	if (all)
		say_hidden(list, &removed);
	say_wrong_nodes(list);
	removed_list_free(&removed);
	return finish_output();
}

static enum status run_list(int argc, char **argv)
{
	struct channel_list list = { 0 };
	enum status printed = STATUS_OK;
	enum status status = STATUS_OK;
	bool json = false;

	if (!take_options(&command_list, argc, argv, &json, &status))
		return status;
	status = channel_list_select(&list, argc - optind, argv + optind);
	if (!status || list.count)
		printed = print_list(&list, json, optind == argc);
	channel_list_free(&list);
	return status ? status : printed;
}

const struct command command_list = {
	.name = "list",
	.run = run_list,
	.help =
	"usage: achanctl list [--json] [CHANNEL...]\n"
	"\n"
	"A line about each channel, or about those named; then the channels that\n"
	"were removed and are still open, and in which processes.\n"
	"\n"
	"  --json  all that is known about them\n",
};

/* ---------------------------------------------------------------- info */

static void print_moderation(const struct achan_config *config)
{
	if (!config->moderate_usecs)
		printf("moderation     off\n");
	else if (!config->moderate_records)
		printf("moderation     %" PRIu32 " us after the first record\n",
		       config->moderate_usecs);
	else
		printf("moderation     %" PRIu32 " records or %" PRIu32 " us\n",
		       config->moderate_records, config->moderate_usecs);
}

static void print_low(const char *what, uint32_t bytes, const char *none)
{
	char size[TEXT_SIZE];

	printf("%s  %s\n", what, bytes ? format_size(bytes, size) : none);
}

static void print_node(const struct achan_channel *channel)
{
	const struct achan_config *config = &channel->config;
	const struct passwd *user = getpwuid(config->uid);
	const struct group *group = getgrgid(config->gid);

	printf("node           /dev/achan%" PRIu32 ", made with mode %03" PRIo32
	       ", owner ", channel->minor, config->node_mode);
	if (user)
		printf("%s, group ", user->pw_name);
	else
		printf("%" PRIu32 ", group ", config->uid);
	if (group)
		printf("%s\n", group->gr_name);
	else
		printf("%" PRIu32 "\n", config->gid);
	if (channel->peer_minor != ACHAN_MINOR_NONE)
		printf("peer           /dev/achan%" PRIu32 "\n",
		       channel->peer_minor);
}

static void print_info(const struct achan_channel *channel)
{
	const struct achan_config *config = &channel->config;
	const struct achan_stats *stats = &channel->stats;
	char size[TEXT_SIZE], used[TEXT_SIZE];

	printf("name           %s\n", channel->name);
	if (!channel_known(channel)) {
		printf("node           /dev/achan%" PRIu32 "\n", channel->minor);
		printf("kind           %s\n", word_of(kind_words, config->kind));
		printf("the rest       for who may open the node\n");
		return;
	}
	print_node(channel);
	printf("kind           %s\n", word_of(kind_words, config->kind));
	printf("mode           %s\n", word_of(mode_words, config->mode));
	printf("delivery       %s\n", word_of(delivery_words, config->delivery));
	printf("hangup         %s\n", word_of(hangup_words, config->hangup));
	printf("overflow       %s\n", word_of(overflow_words, config->overflow));
	printf("timestamps     %s\n", config->flags &
	       ACHAN_CONFIG_NO_TIMESTAMPS ? "off" : "on");
	printf("ring           %s, %s of it taken\n",
	       format_size(config->ring_bytes, size),
	       format_size(stats->used, used));
	print_low("read low     ", config->read_low, "any byte");
	print_low("write low    ", config->write_low, "what a writer needs");
	print_moderation(config);
	printf("open files     %" PRIu32 " for reading, %" PRIu32
	       " for writing\n", stats->readers, stats->writers);
	printf("next record    %" PRIu64 "\n", (uint64_t)stats->sequence);
}

static enum status run_info(int argc, char **argv)
{
	struct achan_channel channel;
	struct reference reference;
	enum status status = STATUS_OK;
	struct json output = { .file = stdout };
	bool json = false;

	if (!take_options(&command_info, argc, argv, &json, &status))
		return status;
	if (argc - optind != 1)
		return fail_one_channel(&command_info, argc - optind);
	status = reference_parse(argv[optind], &reference);
	if (!status)
		status = channel_find(&reference, &channel);
	if (status)
		return status;
	if (json) {
		json_open(&output, NULL, '{');
		json_channel(&output, &channel);
		json_close(&output, '}');
		putchar('\n');
	} else {
		print_info(&channel);
	}
	return finish_output();
}

const struct command command_info = {
	.name = "info",
	.run = run_info,
	.help =
	"usage: achanctl info [--json] CHANNEL\n"
	"\n"
	"How a channel is made and how it behaves.\n"
	"\n"
	"  --json  with its counters\n",
};
