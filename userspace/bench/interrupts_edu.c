// SPDX-License-Identifier: LGPL-2.1-or-later
/* The device: where it is, who drives it, its registers. */
#define _GNU_SOURCE
#include "interrupts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/achan.h>

#define PCI		"/sys/bus/pci/"
#define MSI_PARAMETER	"/sys/module/achan_edu/parameters/msi"

static bool put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool good;

	if (fd < 0)
		return failed("open", path, errno);
	good = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	if (!good)
		failed(text, path, errno);
	close(fd);
	return good;
}

static bool attribute_is(const char *address, const char *name, const char *value)
{
	char path[PATH_MAX], text[16] = "";
	FILE *file;
	bool same;

	snprintf(path, sizeof(path), PCI "devices/%s/%s", address, name);
	file = fopen(path, "re");
	if (!file)
		return false;
	same = fgets(text, sizeof(text), file) && !strncmp(text, value, strlen(value));
	fclose(file);
	return same;
}

bool edu_find(struct edu *edu)
{
	DIR *bus = opendir(PCI "devices");
	const struct dirent *entry;
	bool found = false;

	if (!bus)
		return failed("open", PCI "devices", errno);
	while (!found && (entry = readdir(bus))) {
		found = attribute_is(entry->d_name, "vendor", "0x1234") &&
			attribute_is(entry->d_name, "device", "0x11e8");
		snprintf(edu->address, sizeof(edu->address), "%.*s",
			 EDU_ADDRESS_BYTES - 1, entry->d_name);
	}
	closedir(bus);
	return found || failed("no edu device (QEMU's -device edu)", PCI "devices", 0);
}

bool edu_map(struct edu *edu)
{
	char path[PATH_MAX];
	void *map;
	int fd;

	snprintf(path, sizeof(path), PCI "devices/%s/resource0", edu->address);
	fd = open(path, O_RDWR | O_SYNC | O_CLOEXEC);
	if (fd < 0)
		return failed("open", path, errno);
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (map == MAP_FAILED)
		return failed("mmap (is the kernel booted with iomem=relaxed?)", path,
			      errno);
	edu->registers = map;
	return true;
}

/* The channel of operands and interrupts, not that of DMA. */
static bool is_wanted(const char *node)
{
	struct achan_info info;
	bool wanted;
	int fd;

	if (strncmp(node, "/dev/achan", 10))
		return true;
	fd = open(node, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	wanted = !ioctl(fd, ACHAN_IOC_INFO, &info) && !strchr(info.name, '-');
	close(fd);
	return wanted;
}

static bool node_of(struct edu *edu, const char *class)
{
	char path[PATH_MAX];
	const struct dirent *entry;
	bool found = false;
	DIR *nodes;

	snprintf(path, sizeof(path), PCI "devices/%s/%s", edu->address, class);
	nodes = opendir(path);
	while (nodes && !found && (entry = readdir(nodes))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(edu->node, sizeof(edu->node), "/dev/%.*s", NODE_BYTES - 6,
			 entry->d_name);
		found = !access(edu->node, R_OK) && is_wanted(edu->node);
	}
	if (nodes)
		closedir(nodes);
	return found || failed("the driver has made no node", path, 0);
}

bool edu_bind(struct edu *edu, const struct setup *setup)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), PCI "devices/%s/driver/unbind", edu->address);
	if (!access(path, F_OK) && !put(path, edu->address))
		return false;
	if (!access(MSI_PARAMETER, F_OK) && !put(MSI_PARAMETER, setup->msi ? "1" : "0"))
		return false;
	snprintf(path, sizeof(path), PCI "devices/%s/driver_override", edu->address);
	if (!put(path, setup->driver) || !put(PCI "drivers_probe", edu->address))
		return false;
	return node_of(edu, strcmp(setup->driver, "achan-edu") ? "uio" : "achan");
}
