// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Who has channels open that were removed: they keep the module from being
 * unloaded, and no list of the driver's has them any more.
 */
#include "achanctl.h"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* One open file, as /proc has it. */
struct open_file {
	unsigned int process;
	const char *number;
	uint32_t minor;
};

static bool is_number(const char *text)
{
	return *text && !text[strspn(text, "0123456789")];
}

/* The first line of a file that begins with @key, without it. */
static bool read_line(const char *path, const char *key, char *text,
		      size_t size)
{
	FILE *file = fopen(path, "re");
	bool found = false;
	char line[256];

	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file))
		found = !strncmp(line, key, strlen(key));
	fclose(file);
	if (!found)
		return false;
	line[strcspn(line, "\n")] = 0;
	snprintf(text, size, "%s", line + strlen(key));
	return true;
}

static bool same_channel(const struct removed *one, const struct removed *other)
{
	return one->minor == other->minor && !strcmp(one->name, other->name);
}

bool removed_is_first(const struct removed_list *list, size_t index)
{
	for (size_t i = 0; i < index; i++)
		if (same_channel(&list->removed[i], &list->removed[index]))
			return false;
	return true;
}

const struct removed *removed_next(const struct removed_list *list,
				   const struct removed *removed)
{
	const struct removed *end = list->removed + list->count;

	for (const struct removed *next = removed + 1; next < end; next++)
		if (same_channel(removed, next))
			return next;
	return NULL;
}

/* A process counts once, however often it has the channel open. */
static bool add(struct removed_list *list, const struct removed *removed)
{
	struct removed *all;

	for (size_t i = 0; i < list->count; i++)
		if (list->removed[i].process == removed->process &&
		    same_channel(&list->removed[i], removed))
			return true;
	all = reallocarray(list->removed, list->count + 1, sizeof(*all));
	if (!all)
		return false;
	all[list->count++] = *removed;
	list->removed = all;
	return true;
}

static bool is_listed(const struct channel_list *there, uint32_t minor,
		      const char *name)
{
	for (size_t i = 0; i < there->count; i++)
		if (there->channels[i].minor == minor)
			return !strcmp(there->channels[i].name, name);
	return false;
}

/* Only the driver's files say a channel's name in fdinfo. */
static bool take_file(struct removed_list *list,
		      const struct channel_list *there,
		      const struct open_file *file)
{
	struct removed removed = { .minor = file->minor, .command = "?",
				   .process = file->process };
	char path[64];

	snprintf(path, sizeof(path), "/proc/%u/fdinfo/%.12s", file->process,
		 file->number);
	if (!read_line(path, "achan-name:\t", removed.name,
		       sizeof(removed.name)) ||
	    is_listed(there, removed.minor, removed.name))
		return true;
	snprintf(path, sizeof(path), "/proc/%u/comm", file->process);
	read_line(path, "", removed.command, sizeof(removed.command));
	return add(list, &removed);
}

/* False without memory. Other users' processes do not let anybody look. */
static bool take_process(struct removed_list *list,
			 const struct channel_list *there, unsigned int process)
{
	struct dirent *entry;
	struct stat found;
	char path[64];
	bool ok = true;
	DIR *files;

	snprintf(path, sizeof(path), "/proc/%u/fd", process);
	files = opendir(path);
	if (!files) {
		list->hidden = list->hidden || errno == EACCES;
		return true;
	}
	while (ok && (entry = readdir(files))) {
		if (!is_number(entry->d_name) ||
		    fstatat(dirfd(files), entry->d_name, &found, 0) ||
		    !S_ISCHR(found.st_mode))
			continue;
		ok = take_file(list, there, &(struct open_file){
			.process = process, .number = entry->d_name,
			.minor = minor(found.st_rdev) });
	}
	closedir(files);
	return ok;
}

bool removed_list_get(struct removed_list *list,
		      const struct channel_list *there)
{
	DIR *processes = opendir("/proc");
	struct dirent *entry;
	bool ok = true;

	memset(list, 0, sizeof(*list));
	if (!processes)
		return true;
	while (ok && (entry = readdir(processes)))
		if (is_number(entry->d_name))
			ok = take_process(list, there, (unsigned int)
					  strtoul(entry->d_name, NULL, 10));
	closedir(processes);
	return ok;
}

void removed_list_free(struct removed_list *list)
{
	free(list->removed);
}

unsigned long module_uses(void)
{
	char text[32];

	if (!read_line("/sys/module/achan/refcnt", "", text, sizeof(text)))
		return 0;
	return strtoul(text, NULL, 10);
}
