// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Where achanctl runs: what of the system a container, a mount or a namespace hides
 * from it.
 */
#include "achanctl.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Calls @look for each line of a file until it returns true. */
static bool find_line(const char *path, bool (*look)(const char *line))
{
	FILE *file = fopen(path, "re");
	char line[4096];
	bool found = false;

	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file))
		found = look(line);
	fclose(file);
	return found;
}

static bool names_driver(const char *line)
{
	unsigned int major;
	char name[32];

	return sscanf(line, "%u %31s", &major, name) == 2 &&
	       !strcmp(name, "achan");
}

/* A container may be without sysfs; /proc/devices is the same everywhere. */
bool module_loaded(void)
{
	return !access("/sys/class/achan", F_OK) ||
	       find_line("/proc/devices", names_driver);
}

/*
 * A line of /proc/self/mountinfo is "... MOUNT-POINT OPTIONS ... - TYPE ...". Sets
 * @kernels if it is about /dev.
 */
static void look_at_mount(const char *line, bool *kernels)
{
	const char *type = strstr(line, " - ");
	char point[256];

	if (!type || sscanf(line, "%*s %*s %*s %*s %255s", point) != 1 ||
	    strcmp(point, "/dev"))
		return;
	*kernels = !strncmp(type, " - devtmpfs ", strlen(" - devtmpfs "));
}

/* The last one is what is seen. */
bool dev_is_kernels(void)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	bool kernels = false;
	char line[4096];

	if (!file)
		return false;
	while (fgets(line, sizeof(line), file))
		look_at_mount(line, &kernels);
	fclose(file);
	return kernels;
}

bool on_nodev_mount(const char *path)
{
	struct statvfs found;

	return !statvfs(path, &found) && found.f_flag & ST_NODEV;
}

static bool maps_all(const char *line)
{
	unsigned int inside, outside, count;

	return sscanf(line, "%u %u %u", &inside, &outside, &count) == 3 &&
	       !inside && !outside && count == UINT32_MAX;
}

bool in_user_namespace(void)
{
	return !access("/proc/self/uid_map", R_OK) &&
	       !find_line("/proc/self/uid_map", maps_all);
}

static bool shifts_monotonic(const char *line)
{
	long long seconds, ns;

	return sscanf(line, "monotonic %lld %lld", &seconds, &ns) == 2 &&
	       (seconds || ns);
}

/* The file is about the namespace of children to come, too. */
bool in_time_namespace(void)
{
	struct stat own, next;

	return !stat("/proc/self/ns/time", &own) &&
	       !stat("/proc/self/ns/time_for_children", &next) &&
	       own.st_ino == next.st_ino &&
	       find_line("/proc/self/timens_offsets", shifts_monotonic);
}

/* An attribute of the channel whose device @found is; false if there is none. */
bool sysfs_attribute(const struct stat *found, const char *name, char *text,
		     size_t size)
{
	char path[128];
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "/sys/dev/char/%u:%u/%s",
		 major(found->st_rdev), minor(found->st_rdev), name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	got = read(fd, text, size - 1);
	close(fd);
	if (got < 0)
		return false;
	text[got] = 0;
	text[strcspn(text, "\n")] = 0;
	return true;
}
