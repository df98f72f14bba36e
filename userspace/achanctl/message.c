// SPDX-License-Identifier: LGPL-2.1-or-later
/* What is said when something cannot be done: what, to what, and what to do. */
#include "achanctl.h"

#include <grp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

static void say(const char *format, va_list arguments)
{
	/* In order with what was printed before, if both go to one place. */
	fflush(stdout);
	fputs("achanctl: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
}

enum status fail(enum status status, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(format, arguments);
	va_end(arguments);
	return status;
}

enum status fail_option(const struct command *command)
{
	fprintf(stderr, "achanctl: \"achanctl %s --help\" tells more\n",
		command->name);
	return STATUS_USAGE;
}

enum status fail_usage(const struct command *command, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(format, arguments);
	va_end(arguments);
	return fail_option(command);
}

enum status print_help(const struct command *command)
{
	fputs(command->help, stdout);
	return finish_output();
}

enum status finish_output(void)
{
	if (!fflush(stdout) && !ferror(stdout))
		return STATUS_OK;
	return fail(STATUS_FAILURE, "cannot write the output: %s",
		    strerror(errno));
}

bool module_loaded(void)
{
	return !access("/sys/class/achan", F_OK);
}

static enum status status_of(int error)
{
	switch (-error) {
	case EACCES:
	case EPERM:
		return STATUS_PERMISSION;
	case EPROTO:
	case EPROTONOSUPPORT:
		return STATUS_VERSION;
	case ENODEV:
		return STATUS_NO_CHANNEL;
	case ENOSPC:
	case ENOMEM:
	case EMFILE:
	case ENFILE:
		return STATUS_LIMIT;
	case ETIMEDOUT:
		return STATUS_TIMEOUT;
	default:
		return STATUS_FAILURE;
	}
}

enum status fail_call(int error, const char *format, ...)
{
	va_list arguments;
	char what[512];

	va_start(arguments, format);
	vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	return fail(status_of(error), "%s: %s", what, achan_strerror(error));
}

enum status fail_no_module(void)
{
	return fail(STATUS_NO_MODULE, "the module achan is not loaded: load it "
		    "with \"modprobe achan\", or \"insmod achan.ko\" where it "
		    "is not installed");
}

enum status fail_version(const struct achan_handshake *driver)
{
	bool older = driver->abi_version < ACHAN_ABI_VERSION;

	return fail(STATUS_VERSION, "the driver speaks version %" PRIu32
		    " of the ABI, achanctl version %d: the %s is older; %s",
		    driver->abi_version, ACHAN_ABI_VERSION,
		    older ? "driver" : "achanctl", older ?
		    "load the module that came with this achanctl" :
		    "use the achanctl that came with the module");
}

static enum status fail_permission(const char *path)
{
	const struct group *group = NULL;
	struct stat found;

	/* Not the node's fault. */
	if (!access(path, R_OK | W_OK))
		return fail(STATUS_PERMISSION, "%s takes nothing: its kernel "
			    "module only sends", path);
	if (!stat(path, &found) && found.st_gid && found.st_mode & 0060)
		group = getgrgid(found.st_gid);
	if (group)
		return fail(STATUS_PERMISSION, "no permission to open %s: it is "
			    "for the group %s; \"usermod -aG %s USER\" puts a "
			    "user in, from the next login on", path,
			    group->gr_name, group->gr_name);
	if (!strcmp(path, ACHAN_CONTROL_PATH))
		return fail(STATUS_PERMISSION, "no permission to open %s: it is "
			    "for root; use sudo", path);
	return fail(STATUS_PERMISSION, "no permission to open %s: use sudo, or "
		    "install achan's udev rule, which lets the group achan in",
		    path);
}

enum status fail_open(const char *path, int error)
{
	switch (-error) {
	case ENOENT:
	case ENXIO:
	case ENODEV:
		if (!module_loaded())
			return fail_no_module();
		if (!strcmp(path, ACHAN_CONTROL_PATH))
			return fail(STATUS_NO_MODULE, "the module achan is "
				    "loaded, but there is no %s: is devtmpfs "
				    "mounted on /dev?", path);
		return fail(STATUS_NO_CHANNEL, "no channel at %s: \"achanctl "
			    "list\" shows those there are", path);
	case EACCES:
	case EPERM:
		return fail_permission(path);
	case ENOTTY:
		return fail(STATUS_NO_CHANNEL, "%s is no channel", path);
	case EPROTO:
		return fail(STATUS_VERSION, "the driver of %s speaks another "
			    "version of the ABI: use module and achanctl of "
			    "the same release", path);
	default:
		return fail_call(error, "cannot open %s", path);
	}
}
