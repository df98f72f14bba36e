// SPDX-License-Identifier: LGPL-2.1-or-later
/* Finding a channel's node by name, and saying why one cannot be opened. */
#include "internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define CLASS_PATH	"/sys/class/achan"
#define NODE_PREFIX	"achan"

static bool is_node_name(const char *name)
{
	const char *digits = name + strlen(NODE_PREFIX);

	return !strncmp(name, NODE_PREFIX, strlen(NODE_PREFIX)) && *digits &&
	       !digits[strspn(digits, "0123456789")];
}

/* True if the channel of the class's entry @node has @name. */
static bool has_name(int class, const char *node, const char *name)
{
	char path[sizeof(((struct dirent *)0)->d_name) + sizeof("/name")];
	char found[ACHAN_NAME_MAX + 1];
	ssize_t length;
	int fd;

	snprintf(path, sizeof(path), "%s/name", node);
	fd = openat(class, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	length = read(fd, found, sizeof(found) - 1);
	close(fd);
	if (length <= 0)
		return false;
	found[length] = 0;
	found[strcspn(found, "\n")] = 0;
	return !strcmp(found, name);
}

static int find_in_class(const char *name, char *path, size_t size)
{
	DIR *class = opendir(CLASS_PATH);
	const struct dirent *entry;
	int ret = -ENOENT;

	if (!class)
		return ret;
	while (ret && (entry = readdir(class)))
		if (is_node_name(entry->d_name) &&
		    has_name(dirfd(class), entry->d_name, name)) {
			snprintf(path, size, "/dev/%s", entry->d_name);
			ret = 0;
		}
	closedir(class);
	return ret;
}

int achan_find_node(const char *name, char *path, size_t size)
{
	int saved = errno;
	int ret = 0;

	if (strlen(name) >= ACHAN_NAME_MAX)
		return -ENAMETOOLONG;
	if (!*name || *name == '.')
		return -ENOENT;
	if (is_node_name(name)) {
		snprintf(path, size, "/dev/%s", name);
		return 0;
	}
	/* The links are udev's, which a small system may not have. */
	snprintf(path, size, "/dev/achan/by-name/%s", name);
	if (access(path, F_OK))
		ret = find_in_class(name, path, size);
	errno = saved;
	return ret;
}

static bool is_regular(const char *name)
{
	char path[ACHAN_NODE_PATH_MAX];
	struct stat found;

	if (!strchr(name, '/')) {
		if (achan_find_node(name, path, sizeof(path)))
			return false;
		name = path;
	}
	return !stat(name, &found) && S_ISREG(found.st_mode);
}

static void explain(const char *name, int error, char *text, size_t size)
{
	bool loaded = !access(CLASS_PATH, F_OK);

	switch (error) {
	case ENOENT:
	case ENXIO:
	case ENODEV:
		if (loaded)
			snprintf(text, size, "there is no channel %s: "
				 "\"achanctl list\" shows those there are",
				 name);
		else
			snprintf(text, size, "cannot open %s: the module achan "
				 "is not loaded; load it with \"modprobe "
				 "achan\"", name);
		break;
	case ENOTTY:
		if (is_regular(name))
			snprintf(text, size, "%s is a regular file, not a "
				 "channel: remove it, then %s the module achan",
				 name, loaded ? "reload" : "load");
		else
			snprintf(text, size, "%s is not a channel: \"achanctl "
				 "list\" shows those there are", name);
		break;
	case EACCES:
	case EPERM:
		snprintf(text, size, "no permission to open %s: use sudo, or "
			 "join the group that its node belongs to", name);
		break;
	default:
		snprintf(text, size, "cannot open %s: %s", name,
			 achan_strerror(error));
	}
}

int achan_explain_open(const char *name, int error, char *text, size_t size)
{
	int saved = errno;

	if (!name || !text || !size)
		return -EINVAL;
	explain(name, error < 0 && error > -4096 ? -error : error, text, size);
	errno = saved;
	return 0;
}
