// SPDX-License-Identifier: LGPL-2.1-or-later
/* Which channels there are, and which one is meant. */
#include "achanctl.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* How long the kernel is waited for while it lists the channels. */
#define LIST_TIMEOUT_MS		10000

const char *channel_label(const struct achan_channel *channel, char *text)
{
	char node[TEXT_SIZE];

	snprintf(node, sizeof(node), "achan%" PRIu32, channel->minor);
	if (!strcmp(node, channel->name))
		snprintf(text, TEXT_SIZE, "%s", node);
	else
		snprintf(text, TEXT_SIZE, "%.31s (%.20s)", channel->name, node);
	return text;
}

/* Returns what achan_control_open() does, and says nothing. */
static int open_control(struct achan_control **control,
			struct achan_handshake *driver)
{
	struct achan_control_opts opts = {
		.sz = sizeof(opts), .path = control_path, .version = driver,
	};

	memset(driver, 0, sizeof(*driver));
	return achan_control_open(control, &opts);
}

static enum status fail_control(int error, const struct achan_handshake *driver)
{
	const char *path = control_path ? control_path : ACHAN_CONTROL_PATH;

	if (error == -EPROTONOSUPPORT)
		return fail_version(driver);
	if (error == -ENOTTY || (error == -ENOENT && control_path))
		return fail(STATUS_FAILURE, "%s is no control device of achan",
			    path);
	return fail_open(path, error);
}

enum status control_connect(struct achan_control **control)
{
	struct achan_handshake driver;
	int ret = open_control(control, &driver);

	return ret ? fail_control(ret, &driver) : STATUS_OK;
}

/* ---------------------------------------------------------------- list */

void channel_list_free(struct channel_list *list)
{
	free(list->channels);
	list->channels = NULL;
	list->count = 0;
}

bool channel_list_put(struct channel_list *list,
		      const struct achan_channel *channel)
{
	struct achan_channel *channels;
	size_t at = list->count;

	while (at && list->channels[at - 1].minor >= channel->minor)
		at--;
	if (at < list->count && list->channels[at].minor == channel->minor) {
		list->channels[at] = *channel;
		return true;
	}
	channels = reallocarray(list->channels, list->count + 1,
				sizeof(*channels));
	if (!channels)
		return false;
	memmove(channels + at + 1, channels + at,
		(list->count - at) * sizeof(*channels));
	channels[at] = *channel;
	list->channels = channels;
	list->count++;
	return true;
}

static int list_by_control(struct achan_control *control,
			   struct channel_list *list)
{
	struct achan_channel channel;
	uint32_t minor = 0;
	int ret;

	while ((ret = achan_control_next(control, &minor, &channel)) > 0)
		if (!channel_list_put(list, &channel))
			return -ENOMEM;
	return ret;
}

/* One step of a dump. Returns 1 at its end, 0 if there is more to come. */
static int take_event(struct achan_monitor *monitor, struct channel_list *list,
		      const struct achan_monitor_event *event)
{
	switch (event->event) {
	case ACHAN_MONITOR_CHANNEL:
		return channel_list_put(list, &event->channel) ? 0 : -ENOMEM;
	case ACHAN_MONITOR_RESYNC:
		channel_list_free(list);
		return achan_monitor_dump(monitor);
	case ACHAN_MONITOR_DUMPED:
		return 1;
	default:
		return 0;
	}
}

static int take_dump(struct achan_monitor *monitor, struct channel_list *list)
{
	struct pollfd wait = { .fd = achan_monitor_fd(monitor),
			       .events = POLLIN };
	struct achan_monitor_event event;
	int ret = achan_monitor_dump(monitor);

	while (!ret) {
		ret = achan_monitor_next(monitor, &event);
		if (ret > 0)
			ret = take_event(monitor, list, &event);
		else if (!ret && !poll(&wait, 1, LIST_TIMEOUT_MS))
			ret = -ETIMEDOUT;
	}
	return ret < 0 ? ret : 0;
}

static int list_by_monitor(struct channel_list *list)
{
	struct achan_monitor_opts opts = { .sz = sizeof(opts),
					   .flags = ACHAN_MONITOR_QUIET };
	struct achan_monitor *monitor;
	int ret = achan_monitor_new(&monitor, &opts);

	if (ret)
		return ret;
	ret = take_dump(monitor, list);
	achan_monitor_free(monitor);
	return ret;
}

/*
 * The control device tells, and is for root; netlink tells everybody. Where it
 * does not, the first answer is the one that helps.
 */
enum status channel_list_get(struct channel_list *list)
{
	struct achan_control *control;
	struct achan_handshake driver;
	int ret;

	memset(list, 0, sizeof(*list));
	ret = open_control(&control, &driver);
	if (!ret) {
		ret = list_by_control(control, list);
		achan_control_close(control);
		if (ret)
			channel_list_free(list);
		return ret ? fail_call(ret, "cannot list the channels") :
			     STATUS_OK;
	}
	if ((ret == -EACCES || ret == -EPERM) && !list_by_monitor(list))
		return STATUS_OK;
	channel_list_free(list);
	return fail_control(ret, &driver);
}

/* ----------------------------------------------------------- reference */

/* The node at @path is a channel's. */
static bool node_of_channel(const struct stat *found)
{
	char link[128], target[256];
	const char *class;
	ssize_t length;

	if (!S_ISCHR(found->st_mode))
		return false;
	snprintf(link, sizeof(link), "/sys/dev/char/%u:%u/subsystem",
		 major(found->st_rdev), minor(found->st_rdev));
	length = readlink(link, target, sizeof(target) - 1);
	if (length < 0)
		return false;
	target[length] = 0;
	class = strrchr(target, '/');
	return class && !strcmp(class, "/achan");
}

enum status reference_parse(const char *text, struct reference *reference)
{
	struct stat found;

	memset(reference, 0, sizeof(*reference));
	reference->text = text;
	if (!strchr(text, '/')) {
		if (!parse_node_name(text, &reference->minor))
			reference->name = text;
		return STATUS_OK;
	}
	if (stat(text, &found))
		return fail_open(text, -errno);
	if (!node_of_channel(&found))
		return fail(STATUS_NO_CHANNEL, "%s is no channel", text);
	reference->minor = minor(found.st_rdev);
	return STATUS_OK;
}

enum status fail_no_channel(const struct reference *reference)
{
	return fail(STATUS_NO_CHANNEL, "there is no channel %s: \"achanctl "
		    "list\" shows those there are", reference->text);
}

static bool refers_to(const struct reference *reference,
		      const struct achan_channel *channel)
{
	return reference->name ? !strcmp(reference->name, channel->name) :
				 reference->minor == channel->minor;
}

static const struct achan_channel *find(const struct channel_list *list,
					const struct reference *reference)
{
	for (size_t i = 0; i < list->count; i++)
		if (refers_to(reference, &list->channels[i]))
			return &list->channels[i];
	return NULL;
}

enum status channel_find(const struct reference *reference,
			 struct achan_channel *channel)
{
	const struct achan_channel *found;
	struct channel_list list;
	enum status status = channel_list_get(&list);

	if (status)
		return status;
	found = find(&list, reference);
	if (found)
		*channel = *found;
	else
		status = fail_no_channel(reference);
	channel_list_free(&list);
	return status;
}

enum status channel_list_select(struct channel_list *list, int argc,
				char **argv)
{
	enum status status, bad = STATUS_OK;
	struct channel_list all;
	struct reference reference;

	status = channel_list_get(&all);
	if (status || !argc) {
		*list = all;
		return status;
	}
	memset(list, 0, sizeof(*list));
	for (int i = 0; i < argc; i++) {
		const struct achan_channel *found;

		status = reference_parse(argv[i], &reference);
		found = status ? NULL : find(&all, &reference);
		if (!status && !found)
			status = fail_no_channel(&reference);
		if (found && !channel_list_put(list, found))
			status = fail_call(-ENOMEM, "cannot list the channels");
		if (status)
			bad = status;
	}
	channel_list_free(&all);
	return bad;
}

/* ---------------------------------------------------------------- open */

/* The node of the channel that @text names. */
static enum status find_path(const char *text, char *path, size_t size)
{
	struct achan_channel channel = { 0 };
	struct reference reference;
	enum status status;

	if (strchr(text, '/')) {
		snprintf(path, size, "%s", text);
		return STATUS_OK;
	}
	status = reference_parse(text, &reference);
	if (status)
		return status;
	if (reference.name) {
		snprintf(path, size, "/dev/achan/by-name/%s", text);
		if (!name_fault(text) && !access(path, F_OK))
			return STATUS_OK;
		status = channel_find(&reference, &channel);
		if (status)
			return status;
		reference.minor = channel.minor;
	}
	snprintf(path, size, "/dev/achan%" PRIu32, reference.minor);
	return STATUS_OK;
}

enum status channel_open(const char *text, int flags, uint32_t channel_flags,
			 struct achan **channel, struct achan_info *info)
{
	struct achan_open_opts opts = {
		.sz = sizeof(opts),
		.flags = flags,
		.channel_flags = channel_flags,
	};
	enum status status;
	char path[4096];
	int ret;

	status = find_path(text, path, sizeof(path));
	if (status)
		return status;
	ret = achan_open(channel, path, &opts);
	if (!ret) {
		ret = achan_get_info(*channel, info);
		if (ret)
			achan_close(*channel);
	}
	return ret ? fail_open(path, ret) : STATUS_OK;
}
