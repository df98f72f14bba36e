// SPDX-License-Identifier: LGPL-2.1-or-later
/* "remove": channels removed. */
#include "achanctl.h"

#include <getopt.h>

static enum status remove_one(struct achan_control *control, const char *text)
{
	struct reference reference;
	enum status status = reference_parse(text, &reference);
	int ret;

	if (status)
		return status;
	ret = achan_control_remove(control, reference.name, reference.minor);
	if (ret == -ENOENT || ret == -ENODEV || ret == -ENAMETOOLONG ||
	    (ret == -EINVAL && reference.name && name_fault(reference.name)))
		return fail_no_channel(&reference);
	if (ret == -EPERM)
		return fail(STATUS_PERMISSION, "cannot remove %s: it is a kernel "
			    "module's, and goes when its device or the module "
			    "does", text);
	return ret ? fail_call(ret, "cannot remove %s", text) : STATUS_OK;
}

static enum status run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct achan_control *control;
	enum status status, bad = STATUS_OK;
	int code;

	optind = 0;
	code = getopt_long(argc, argv, "h", options, NULL);
	if (code >= 0)
		return code == 'h' ? print_help(&command_remove) :
				     fail_option(&command_remove);
	if (optind == argc)
		return fail_usage(&command_remove, "no channel given");
	status = control_connect(&control);
	if (status)
		return status;
	for (; optind < argc; optind++) {
		status = remove_one(control, argv[optind]);
		if (status)
			bad = status;
	}
	achan_control_close(control);
	return bad;
}

const struct command command_remove = {
	.name = "remove",
	.run = run,
	.help =
	"usage: achanctl remove CHANNEL...\n"
	"\n"
	"Removes channels; of a pair both. Processes that have one open read the\n"
	"remaining records, then get ENODEV. A channel of kind provider is removed\n"
	"by its kernel module alone.\n",
};
