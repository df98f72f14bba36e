// SPDX-License-Identifier: LGPL-2.1-or-later
/* The control device: channels made, changed, looked at and removed. */
#include "internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

/* Bytes of the first version of the options. */
#define CONTROL_OPTS_OLDEST	sizeof(struct achan_control_opts)

struct achan_control {
	uint32_t stamp;
	int fd;
	struct achan_handshake version;
};

static int check(const struct achan_control *control)
{
	return control ? achan_process_check(control->stamp) : -EINVAL;
}

/* The driver fills @version in also when it does not speak ours. */
static int shake_hands(int fd, struct achan_handshake *version)
{
	int ret;

	memset(version, 0, sizeof(*version));
	version->abi_version = ACHAN_ABI_VERSION;
	ret = ACHAN_RESULT(ioctl(fd, ACHAN_CTL_VERSION, version));
	if (ret < 0)
		return ret;
	return version->abi_version == ACHAN_ABI_VERSION ? 0 : -EPROTONOSUPPORT;
}

static int new_control(struct achan_control **result, int fd,
		       const struct achan_handshake *version)
{
	struct achan_process *process;
	struct achan_control *control;
	int ret;

	ret = achan_process_get(&process);
	if (ret)
		return ret;
	control = achan_allocate(1, sizeof(*control));
	if (!control)
		return -ENOMEM;
	control->stamp = atomic_load(&process->stamp);
	control->fd = fd;
	control->version = *version;
	*result = control;
	return 0;
}

int achan_control_open(struct achan_control **result,
		       const struct achan_control_opts *given)
{
	struct achan_control_opts opts;
	struct achan_handshake version;
	int fd, ret;

	if (!result)
		return -EINVAL;
	ret = achan_options_read(&opts, sizeof(opts), CONTROL_OPTS_OLDEST,
				 given);
	if (ret)
		return ret;
	if (opts.flags || opts.reserved)
		return -EINVAL;
	fd = ACHAN_RESULT(open(opts.path ? opts.path : ACHAN_CONTROL_PATH,
			       O_RDWR | O_CLOEXEC));
	if (fd < 0)
		return fd;
	ret = shake_hands(fd, &version);
	if (opts.version && (!ret || ret == -EPROTONOSUPPORT))
		*opts.version = version;
	if (!ret)
		ret = new_control(result, fd, &version);
	if (ret)
		achan_close_fd(fd);
	return ret;
}

void achan_control_close(struct achan_control *control)
{
	if (!control)
		return;
	achan_close_fd(control->fd);
	free(control);
}

int achan_control_version(const struct achan_control *control,
			  struct achan_handshake *version)
{
	int ret = check(control);

	if (ret)
		return ret;
	if (!version)
		return -EINVAL;
	*version = control->version;
	return 0;
}

static int call(const struct achan_control *control, unsigned long request,
		void *argument)
{
	int ret = ACHAN_RESULT(ioctl(control->fd, request, argument));

	return ret < 0 ? ret : 0;
}

/* An empty name would stand for the minor. */
static int put_name(char to[ACHAN_NAME_MAX], const char *name)
{
	size_t length;

	memset(to, 0, ACHAN_NAME_MAX);
	if (!name)
		return 0;
	length = strnlen(name, ACHAN_NAME_MAX);
	if (!length)
		return -ENOENT;
	if (length == ACHAN_NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(to, name, length);
	return 0;
}

int achan_control_create(struct achan_control *control,
			 struct achan_create *create)
{
	struct achan_create made;
	int ret = check(control);

	if (ret)
		return ret;
	if (!create)
		return -EINVAL;
	made = *create;
	ret = call(control, ACHAN_CTL_CREATE, &made);
	if (ret)
		return ret;
	create->minor = made.minor;
	create->peer_minor = made.peer_minor;
	return 0;
}

int achan_control_remove(struct achan_control *control, const char *name,
			 uint32_t minor)
{
	struct achan_remove removed = { .minor = name ? 0 : minor };
	int ret = check(control);

	if (!ret)
		ret = put_name(removed.name, name);
	if (ret)
		return ret;
	return call(control, ACHAN_CTL_REMOVE, &removed);
}

int achan_control_set(struct achan_control *control, const char *name,
		      uint32_t minor, uint32_t mask,
		      const struct achan_config *config)
{
	struct achan_set set = { .minor = name ? 0 : minor, .mask = mask };
	int ret = check(control);

	if (ret)
		return ret;
	if (!config)
		return -EINVAL;
	ret = put_name(set.name, name);
	if (ret)
		return ret;
	set.config = *config;
	return call(control, ACHAN_CTL_SET, &set);
}

int achan_control_get(struct achan_control *control, const char *name,
		      uint32_t minor, struct achan_channel *channel)
{
	struct achan_channel found = { .minor = name ? 0 : minor };
	int ret = check(control);

	if (ret)
		return ret;
	if (!channel)
		return -EINVAL;
	ret = put_name(found.name, name);
	if (ret)
		return ret;
	ret = call(control, ACHAN_CTL_GET, &found);
	if (ret)
		return ret;
	*channel = found;
	return 0;
}

int achan_control_next(struct achan_control *control, uint32_t *minor,
		       struct achan_channel *channel)
{
	struct achan_channel found = { 0 };
	int ret = check(control);

	if (ret)
		return ret;
	if (!minor || !channel)
		return -EINVAL;
	found.minor = *minor;
	ret = call(control, ACHAN_CTL_NEXT, &found);
	if (ret)
		return ret == -ENOENT ? 0 : ret;
	*minor = found.minor + 1;
	*channel = found;
	return 1;
}
