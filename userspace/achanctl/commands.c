// SPDX-License-Identifier: LGPL-2.1-or-later
/* Which command is meant. */
#include "achanctl.h"

const char *control_path;

static const struct command *const commands[] = {
	&command_list, &command_create, &command_remove, &command_info,
	&command_set, &command_stats, &command_monitor, &command_send,
	&command_recv, &command_pipe,
};

static const char usage[] =
	"usage: achanctl [--control PATH] COMMAND [OPTION...] [ARGUMENT...]\n"
	"\n"
	"  list     all channels, in a table\n"
	"  create   make a channel, or a pair of them\n"
	"  remove   remove channels\n"
	"  info     all about a channel\n"
	"  set      change how a channel behaves\n"
	"  stats    counters of channels, once or again and again\n"
	"  monitor  events about channels, as they happen\n"
	"  send     write files or standard input to a channel\n"
	"  recv     read from a channel, in any I/O model\n"
	"  pipe     carry records from one channel to another\n"
	"\n"
	"  --control PATH  the control device [" ACHAN_CONTROL_PATH "]\n"
	"  --version       versions of achanctl, its library and the driver\n"
	"  --help          this; \"achanctl help COMMAND\" for a command\n"
	"\n"
	"A CHANNEL is a name, a node such as achan3, or a path.\n";

static enum status print_version(void)
{
	struct achan_control_opts opts = { .sz = sizeof(opts),
					   .path = control_path };
	struct achan_handshake driver = { 0 };
	unsigned int library = achan_version();
	struct achan_control *control;
	int ret;

	printf("achanctl %d.%d.%d, libachan %u.%u.%u, ABI %d\n",
	       ACHAN_VERSION_MAJOR, ACHAN_VERSION_MINOR, ACHAN_VERSION_PATCH,
	       library >> 16, library >> 8 & 255, library & 255,
	       ACHAN_ABI_VERSION);
	opts.version = &driver;
	ret = achan_control_open(&control, &opts);
	if (!ret)
		achan_control_close(control);
	if (ret && ret != -EPROTONOSUPPORT && !module_loaded()) {
		printf("driver: the module achan is not loaded\n");
		return finish_output();
	}
	if (ret && ret != -EPROTONOSUPPORT) {
		printf("driver: not asked: cannot open %s: %s\n", control_path ?
		       control_path : ACHAN_CONTROL_PATH, strerror(-ret));
		return finish_output();
	}
	printf("driver: ABI %" PRIu32, driver.abi_version);
	for (const struct word *word = feature_words; word->text; word++)
		if (driver.features & word->value)
			printf(" %s", word->text);
	printf("\n");
	return finish_output();
}

/* Returns NULL, and has said so, if there is no such command. */
static const struct command *find(const char *name)
{
	if (!strcmp(name, "ls"))
		name = "list";
	for (size_t i = 0; i < COUNT_OF(commands); i++)
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	fail(STATUS_USAGE, "no command '%s': \"achanctl --help\" lists them",
	     name);
	return NULL;
}

static bool is_word(const char *word, const char *plain, const char *letter)
{
	return !strcmp(word, plain) || !strcmp(word, letter) ||
	       (!strncmp(word, "--", 2) && !strcmp(word + 2, plain));
}

/* "help", or "help COMMAND" */
static enum status help(int argc, char **argv)
{
	const struct command *command;

	if (!argc) {
		fputs(usage, stdout);
		return finish_output();
	}
	command = find(argv[0]);
	return command ? print_help(command) : STATUS_USAGE;
}

/* Takes the options before the command. Returns how many words they are. */
static int global_options(int argc, char **argv)
{
	static const char control[] = "--control";
	size_t length = strlen(control);
	int used = 1;

	for (; used < argc; used++) {
		if (strncmp(argv[used], control, length))
			break;
		if (argv[used][length] == '=')
			control_path = argv[used] + length + 1;
		else if (!argv[used][length] && used + 1 < argc)
			control_path = argv[++used];
		else
			break;
	}
	return used;
}

enum status achanctl_run(int argc, char **argv)
{
	static char program[] = "achanctl";
	const struct command *command;
	int used = global_options(argc, argv);

	if (used == argc) {
		fputs(usage, stderr);
		return STATUS_USAGE;
	}
	if (is_word(argv[used], "help", "-h"))
		return help(argc - used - 1, argv + used + 1);
	if (is_word(argv[used], "version", "-V"))
		return print_version();
	command = find(argv[used]);
	if (!command)
		return STATUS_USAGE;
	argv[used] = program;
	return command->run(argc - used, argv + used);
}
