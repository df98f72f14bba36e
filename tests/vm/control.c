// SPDX-License-Identifier: GPL-2.0-only
/* Channels that a case makes for itself. */
#include "control.h"

#include <sys/ioctl.h>

/* How many the module was loaded with: tests/vm/init. */
#define LOADED	4

static int control_fd = -1;

int control_open(void)
{
	struct achan_handshake version = { .abi_version = ACHAN_ABI_VERSION };
	int fd = open(ACHAN_CONTROL_PATH, O_RDWR | O_CLOEXEC);

	ck_assert_msg(fd >= 0, "open %s: %s", ACHAN_CONTROL_PATH,
		      strerror(errno));
	ck_assert_int_eq(vm_errno(ioctl(fd, ACHAN_CTL_VERSION, &version)), 0);
	return fd;
}

long control_call(unsigned long request, void *argument)
{
	if (control_fd < 0)
		control_fd = control_open();
	return vm_errno(ioctl(control_fd, request, argument));
}

static void remove_all(void)
{
	struct achan_remove remove = { .minor = 0 };
	struct achan_channel channel = { .minor = LOADED };

	while (!control_call(ACHAN_CTL_NEXT, &channel)) {
		remove.minor = channel.minor;
		control_call(ACHAN_CTL_REMOVE, &remove);
		/* A provider's stays. */
		memset(&channel, 0, sizeof(channel));
		channel.minor = remove.minor + 1;
	}
}

TCase *control_tcase(Suite *suite, const char *name)
{
	TCase *tcase = vm_tcase(suite, name);

	tcase_add_checked_fixture(tcase, remove_all, remove_all);
	return tcase;
}

struct achan_create control_loop(const char *name)
{
	struct achan_create create = {
		.config = {
			.kind = ACHAN_KIND_LOOP,
			.mode = ACHAN_MODE_MESSAGE,
			.ring_bytes = 8192,
		},
	};

	snprintf(create.name, sizeof(create.name), "%s", name);
	return create;
}

struct achan_create control_pair(const char *name)
{
	struct achan_create create = control_loop(name);

	create.config.kind = ACHAN_KIND_PAIR;
	snprintf(create.peer_name, sizeof(create.peer_name), "%s-peer", name);
	return create;
}

void control_make(struct achan_create *create)
{
	long ret = control_call(ACHAN_CTL_CREATE, create);

	ck_assert_msg(!ret, "create %s: %s", create->name, strerror(-ret));
}

int control_node(uint32_t minor, int flags)
{
	char path[40];
	int fd;

	snprintf(path, sizeof(path), "/dev/achan%u", minor);
	fd = open(path, flags | O_CLOEXEC);
	ck_assert_msg(fd >= 0, "open %s with flags %#x: %s", path, flags,
		      strerror(errno));
	return fd;
}

int control_make_open(struct achan_create *create, int flags)
{
	control_make(create);
	return control_node(create->minor, flags);
}

long control_remove(const char *name)
{
	struct achan_remove remove = { .minor = ACHAN_MINOR_NONE };

	snprintf(remove.name, sizeof(remove.name), "%s", name);
	return control_call(ACHAN_CTL_REMOVE, &remove);
}

long control_get(const char *name, struct achan_channel *channel)
{
	memset(channel, 0, sizeof(*channel));
	snprintf(channel->name, sizeof(channel->name), "%s", name);
	return control_call(ACHAN_CTL_GET, channel);
}

void control_set(const char *name, uint32_t mask,
		 const struct achan_config *config)
{
	struct achan_set set = { .mask = mask, .config = *config };

	snprintf(set.name, sizeof(set.name), "%s", name);
	ck_assert_int_eq(control_call(ACHAN_CTL_SET, &set), 0);
}

struct achan_stats control_file_stats(int fd)
{
	struct achan_stats stats;

	memset(&stats, 0xa5, sizeof(stats));
	ck_assert_int_eq(vm_errno(ioctl(fd, ACHAN_IOC_STATS, &stats)), 0);
	return stats;
}

struct achan_stats control_stats(const char *name)
{
	struct achan_channel channel;

	ck_assert_int_eq(control_get(name, &channel), 0);
	return channel.stats;
}
