// SPDX-License-Identifier: GPL-2.0-only
/* The module itself, for the test programs that load and unload it. */
#include "module.h"

#include <sys/syscall.h>

static long load(const char *name, const char *parameters)
{
	char path[64];
	long result;
	int fd;

	snprintf(path, sizeof(path), "/lib/%s.ko", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_msg(fd >= 0, "open %s: %s", path, strerror(errno));
	result = vm_errno(syscall(SYS_finit_module, fd, parameters, 0));
	close(fd);
	return result;
}

long module_load(const char *parameters)
{
	return load("achan", parameters);
}

long module_unload(void)
{
	return module_unload_other("achan");
}

long module_load_other(const char *name, const char *parameters)
{
	return load(name, parameters);
}

long module_unload_other(const char *name)
{
	return vm_errno(syscall(SYS_delete_module, name, O_NONBLOCK));
}

const char *module_parameters(void)
{
	const char *value = getenv("ACHAN_PARAMETERS");

	return value ? value : "";
}

void module_make_unloaded(void)
{
	int64_t until = vm_now_ms() + vm_timeout_ms(VM_HANG_MS);
	long result;

	while ((result = module_unload()) == -EAGAIN && vm_now_ms() < until)
		vm_sleep_ms(1);
	ck_assert_msg(!result || result == -ENOENT, "rmmod achan: %s",
		      strerror(-result));
}

/* Does the kernel know a device number of it? */
static bool has_number(void)
{
	FILE *file = fopen("/proc/devices", "re");
	char line[80], name[80];
	bool found = false;

	ck_assert_msg(file, "open /proc/devices: %s", strerror(errno));
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "%*u %79s", name) == 1 &&
		    !strcmp(name, "achan"))
			found = true;
	fclose(file);
	return found;
}

void module_assert_gone(void)
{
	static const char * const paths[] = {
		"/sys/module/achan", "/sys/class/achan", "/dev/achan0",
		"/dev/achan1",
	};
	size_t i;

	for (i = 0; i < VM_ARRAY_SIZE(paths); i++)
		ck_assert_msg(access(paths[i], F_OK), "%s is left", paths[i]);
	ck_assert_msg(!has_number(), "/proc/devices still has achan");
}
