// SPDX-License-Identifier: LGPL-2.1-or-later
/* What is said when something cannot be done: what, to what, and what to do. */
#include "achanctl.h"

#include <getopt.h>
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

/* What the options that take a number have to be like. */
static const char *wanted_by(int code)
{
	switch (code) {
	case 't':
		return "seconds, such as 2 or 0.5";
	case 'b':
	case 's':
		return "bytes, such as 512 or 64K";
	default:
		return "a number that is not 0 and not too large";
	}
}

enum status fail_value(const struct command *command,
		       const struct option *options, int code)
{
	while (options->val != code)
		options++;
	return fail_usage(command, "--%s takes %s, not '%s'", options->name,
			  wanted_by(code), optarg);
}

enum status fail_one_channel(const struct command *command, int given)
{
	return given ? fail_usage(command, "one channel is needed, not %d",
				  given) :
		       fail_usage(command, "no channel given");
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

/* --------------------------------------------------- what cannot be opened */

static enum status fail_absent(const char *path)
{
	if (!module_loaded())
		return fail_no_module();
	if (strncmp(path, "/dev/", 5))
		return fail(STATUS_NO_CHANNEL, "there is no file %s", path);
	if (!dev_is_kernels())
		return fail(STATUS_NO_CHANNEL, "the module achan is loaded, but "
			    "there is no %s: this /dev is not the kernel's, as "
			    "in a container; pass the device in, as docker's "
			    "option --device %s does", path, path);
	if (!strcmp(path, ACHAN_CONTROL_PATH))
		return fail(STATUS_NO_CHANNEL, "the module achan is loaded, but "
			    "there is no %s: somebody has removed it; load the "
			    "module anew", path);
	return fail(STATUS_NO_CHANNEL, "no channel at %s: \"achanctl list\" "
		    "shows those there are", path);
}

/* The node is there, and nothing behind it. */
static enum status fail_dead_node(const char *path)
{
	if (!module_loaded())
		return fail_no_module();
	return fail(STATUS_NO_CHANNEL, "no channel at %s: the one that the node "
		    "was made for was removed", path);
}

/* Permissions allow it, and the open is refused. */
static enum status fail_allowed(const char *path, const struct stat *found)
{
	char kind[16];

	if (sysfs_attribute(found, "kind", kind, sizeof(kind)) &&
	    !strcmp(kind, "provider"))
		return fail(STATUS_PERMISSION, "%s takes nothing: its kernel "
			    "module only sends", path);
	return fail(STATUS_PERMISSION, "%s cannot be opened, though its "
		    "permissions allow it: a security module forbids it, or "
		    "it lies on a mount that belongs to a user namespace", path);
}

static enum status fail_as_root(const char *path)
{
	if (in_user_namespace())
		return fail(STATUS_PERMISSION, "no permission to open %s: root "
			    "of this user namespace, as in a rootless "
			    "container, is not root of the system", path);
	return fail(STATUS_PERMISSION, "no permission to open %s: root without "
		    "the capability CAP_DAC_OVERRIDE is treated as any other "
		    "user", path);
}

static enum status fail_mode(const char *path, const struct stat *found)
{
	const struct group *group = NULL;

	if (found->st_gid && found->st_mode & 0060)
		group = getgrgid(found->st_gid);
	if (group)
		return fail(STATUS_PERMISSION, "no permission to open %s: it is "
			    "for the group %s; \"usermod -aG %s USER\" puts a "
			    "user in, from the next login on", path,
			    group->gr_name, group->gr_name);
	if (!geteuid())
		return fail_as_root(path);
	if (!strcmp(path, ACHAN_CONTROL_PATH))
		return fail(STATUS_PERMISSION, "no permission to open %s: it is "
			    "for root; use sudo", path);
	return fail(STATUS_PERMISSION, "no permission to open %s: use sudo, or "
		    "install achan's udev rule, which lets the group achan in",
		    path);
}

/* Permissions alone give EACCES, a device cgroup gives EPERM. */
static enum status fail_permission(const char *path, int error)
{
	struct stat found = { 0 };

	if (error == -EPERM)
		return fail(STATUS_PERMISSION, "the device cgroup of this "
			    "process, or a security module, forbids to open "
			    "%s: allow the device where the container or unit "
			    "is set up, as docker's option --device or "
			    "systemd's DeviceAllow= does", path);
	if (on_nodev_mount(path))
		return fail(STATUS_PERMISSION, "%s lies on a mount with the "
			    "option nodev, where no device can be opened: use "
			    "a node on another one, such as /dev", path);
	if (stat(path, &found))
		return fail(STATUS_PERMISSION, "no permission to look for %s in "
			    "its directory", path);
	return access(path, R_OK | W_OK) ? fail_mode(path, &found) :
					   fail_allowed(path, &found);
}

static const char *type_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "a regular file";
	case S_IFDIR:
		return "a directory";
	case S_IFIFO:
		return "a named pipe";
	case S_IFSOCK:
		return "a socket";
	case S_IFBLK:
		return "a block device";
	default:
		return "another device";
	}
}

enum status fail_other_file(const char *path)
{
	struct stat found;

	if (stat(path, &found))
		return fail_absent(path);
	/* A shell's ">" made it when the node was not there. */
	if (S_ISREG(found.st_mode) && !strncmp(path, "/dev/achan", 10))
		return fail(STATUS_NO_CHANNEL, "%s is a regular file, not a "
			    "channel: somebody wrote to it while the module "
			    "was not loaded; remove the file, unload the "
			    "module and load it again", path);
	return fail(STATUS_NO_CHANNEL, "%s is not a channel, but %s", path,
		    type_of(found.st_mode));
}

enum status fail_open(const char *path, int error)
{
	switch (-error) {
	case ENOENT:
		return fail_absent(path);
	case ENXIO:
	case ENODEV:
		return fail_dead_node(path);
	case EACCES:
	case EPERM:
		return fail_permission(path, error);
	case ENOTTY:
		return fail_other_file(path);
	case EPROTO:
		return fail(STATUS_VERSION, "the driver of %s speaks another "
			    "version of the ABI: use module and achanctl of "
			    "the same release", path);
	default:
		return fail_call(error, "cannot open %s", path);
	}
}

/* ------------------------------------------------------------- netlink */

enum status fail_namespace(const char *what)
{
	return fail(STATUS_FAILURE, "%s: netlink reaches the driver from the "
		    "network namespace of the host alone, and this is another "
		    "one, as in a container; run achanctl in the host's, as "
		    "docker's option --network host does", what);
}
