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
	if (error == -ENOENT && control_path)
		return fail(STATUS_FAILURE, "there is no %s, which --control "
			    "names", path);
	if (error == -ENOTTY)
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

/* Why the channels cannot be listed. */
struct list_failure {
	int control;
	int monitor;
	/* The control device was there, and then failed. */
	bool opened;
	struct achan_handshake driver;
};

/*
 * The control device tells, and is for root; netlink tells everybody, in the host's
 * network namespace.
 */
static int list_all(struct channel_list *list, struct list_failure *failure)
{
	struct achan_control *control;
	int ret;

	memset(list, 0, sizeof(*list));
	memset(failure, 0, sizeof(*failure));
	ret = open_control(&control, &failure->driver);
	failure->control = ret;
	if (!ret) {
		ret = list_by_control(control, list);
		achan_control_close(control);
		failure->control = ret;
		failure->opened = true;
	} else if (!control_path && ret != -EPROTONOSUPPORT) {
		ret = list_by_monitor(list);
		failure->monitor = ret;
	}
	if (ret)
		channel_list_free(list);
	return ret;
}

static enum status fail_list(const struct list_failure *failure)
{
	enum status status;

	if (failure->opened)
		return fail_call(failure->control, "cannot list the channels");
	status = fail_control(failure->control, &failure->driver);
	if (failure->monitor == -ENOENT && status != STATUS_NO_MODULE)
		fail_namespace("cannot list the channels without it");
	else if (failure->monitor && status != STATUS_NO_MODULE)
		fail_call(failure->monitor, "cannot list the channels by "
			  "netlink");
	return status;
}

enum status channel_list_get(struct channel_list *list)
{
	struct list_failure failure;

	return list_all(list, &failure) ? fail_list(&failure) : STATUS_OK;
}

/* ----------------------------------------------------------- reference */

/*
 * The node can be a channel's. Where there is no sysfs, only the driver can tell
 * more.
 */
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
		return access("/sys/dev/char", F_OK) != 0;
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
		return fail_other_file(text);
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

/* ------------------------------------------------------------ the node */

/* Number of the other one of a pair, as sysfs knows it. */
static uint32_t peer_of(const struct stat *found)
{
	uint32_t minor = ACHAN_MINOR_NONE;
	char text[32];

	if (sysfs_attribute(found, "peer", text, sizeof(text)))
		parse_node_name(text, &minor);
	return minor;
}

/* All that the node itself tells. Returns 0 or a negative errno value. */
static int ask_open(struct achan *node, struct achan_channel *channel)
{
	struct achan_info info;
	struct stat found;
	int ret = achan_get_info(node, &info);

	if (!ret)
		ret = achan_get_config(node, &channel->config);
	if (!ret)
		ret = achan_get_stats(node, &channel->stats);
	if (!ret && fstat(achan_fd(node), &found))
		ret = -errno;
	if (ret)
		return ret;
	memcpy(channel->name, info.name, sizeof(channel->name));
	channel->minor = minor(found.st_rdev);
	channel->peer_minor = peer_of(&found);
	return 0;
}

/* A file that neither reads nor writes counts as no end of the channel. */
static int ask_node(const char *path, struct achan_channel *channel)
{
	struct achan *node;
	int ret, fd = open(path, O_ACCMODE | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	memset(channel, 0, sizeof(*channel));
	ret = achan_open_fd(&node, fd);
	if (ret) {
		close(fd);
		return ret;
	}
	ret = ask_open(node, channel);
	achan_close(node);
	return ret;
}

/* Where the node of a channel is, or would be. */
static void usual_path(const struct reference *reference, char *path,
		       size_t size)
{
	if (strchr(reference->text, '/'))
		snprintf(path, size, "%s", reference->text);
	else if (reference->name)
		snprintf(path, size, "/dev/achan/by-name/%.31s",
			 reference->name);
	else
		snprintf(path, size, "/dev/achan%" PRIu32, reference->minor);
}

/*
 * Where the channels cannot be listed, their nodes can still be asked. Of a path
 * the node's own failure says more than why they cannot be listed.
 */
static enum status find_node(const struct reference *reference,
			     const struct list_failure *failure,
			     struct achan_channel *channel)
{
	char path[4096];
	int ret;

	usual_path(reference, path, sizeof(path));
	ret = ask_node(path, channel);
	if (!ret)
		return STATUS_OK;
	if (strchr(reference->text, '/'))
		return fail_open(path, ret);
	return fail_list(failure);
}

enum status channel_find(const struct reference *reference,
			 struct achan_channel *channel)
{
	const struct achan_channel *found;
	struct list_failure failure;
	struct channel_list list;
	enum status status = STATUS_OK;

	if (list_all(&list, &failure))
		return find_node(reference, &failure, channel);
	found = find(&list, reference);
	if (found)
		*channel = *found;
	else
		status = fail_no_channel(reference);
	channel_list_free(&list);
	return status;
}

/* Puts into @list what @text names; @all are those there are, or there is none. */
static enum status select_one(struct channel_list *list, const char *text,
			      const struct channel_list *all,
			      const struct list_failure *failure)
{
	const struct achan_channel *found;
	struct achan_channel asked = { 0 };
	struct reference reference;
	enum status status = reference_parse(text, &reference);

	if (status)
		return status;
	if (all) {
		found = find(all, &reference);
		status = found ? STATUS_OK : fail_no_channel(&reference);
	} else {
		found = &asked;
		status = find_node(&reference, failure, &asked);
	}
	if (!status && !channel_list_put(list, found))
		status = fail_call(-ENOMEM, "cannot list the channels");
	return status;
}

enum status channel_list_select(struct channel_list *list, int argc,
				char **argv)
{
	enum status status, bad = STATUS_OK;
	struct list_failure failure;
	struct channel_list all;
	bool listed = !list_all(&all, &failure);

	memset(list, 0, sizeof(*list));
	if (!argc && listed)
		*list = all;
	if (!argc)
		return listed ? STATUS_OK : fail_list(&failure);
	for (int i = 0; i < argc; i++) {
		status = select_one(list, argv[i], listed ? &all : NULL,
				    &failure);
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

/* Other files are not even opened: a named pipe would wait for a writer. */
static enum status check_node(const char *path)
{
	struct stat found;

	if (stat(path, &found))
		return fail_open(path, -errno);
	return node_of_channel(&found) ? STATUS_OK : fail_other_file(path);
}

enum status channel_open(const char *text, int flags, int64_t timeout_ns,
			 struct achan **channel, struct achan_info *info)
{
	struct achan_open_opts opts = {
		.sz = sizeof(opts),
		.flags = flags,
	};
	enum status status;
	char path[4096];
	int ret;

	*channel = NULL;
	status = find_path(text, path, sizeof(path));
	if (!status)
		status = check_node(path);
	if (status)
		return status;
	/* Such an open can wait for the other end, as that of a named pipe. */
	stop_alarm(timeout_ns);
	do {
		ret = achan_open(channel, path, &opts);
	} while (ret == -EINTR && !stopped() && timeout_ns < 0);
	stop_alarm_off();
	if (ret == -EINTR)
		return stopped() ? STATUS_OK :
		       fail(STATUS_TIMEOUT, "nobody opened the other end of %s "
			    "within the time", text);
	if (!ret)
		ret = achan_get_info(*channel, info);
	if (!ret)
		return STATUS_OK;
	achan_close(*channel);
	*channel = NULL;
	return fail_open(path, ret);
}
