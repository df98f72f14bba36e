// SPDX-License-Identifier: GPL-2.0-only
/* libachan's control, counters and configuration, on the real driver. */
#include "vm.h"

#include "achan.h"
#include <fcntl.h>
#include <sys/stat.h>

#define CHANNELS	200
#define THREADS		4

static struct achan_control *open_control(void)
{
	struct achan_control *control;

	ck_assert_int_eq(achan_control_open(&control, NULL), 0);
	return control;
}

static struct achan_create loop_named(const char *name)
{
	struct achan_create create = { .config.kind = ACHAN_KIND_LOOP };

	snprintf(create.name, sizeof(create.name), "%s", name);
	return create;
}

/* Makes a channel; the minor goes to @minor. */
static void make(struct achan_control *control, const char *name,
		 uint32_t *minor)
{
	struct achan_create create = loop_named(name);

	ck_assert_int_eq(achan_control_create(control, &create), 0);
	*minor = create.minor;
}

static struct achan *open_minor(uint32_t minor)
{
	struct achan *channel;
	char path[32];

	snprintf(path, sizeof(path), "/dev/achan%u", minor);
	ck_assert_int_eq(achan_open(&channel, path, NULL), 0);
	return channel;
}

START_TEST(driver_speaks_our_version_and_has_features)
{
	struct achan_control *control = open_control();
	struct achan_handshake version;

	ck_assert_int_eq(achan_control_version(control, &version), 0);
	ck_assert_uint_eq(version.abi_version, ACHAN_ABI_VERSION);
	ck_assert(version.features & ACHAN_FEATURE_PAIR);
	achan_control_close(control);
}
END_TEST

START_TEST(created_channel_has_its_node_and_what_was_asked)
{
	struct achan_control *control = open_control();
	struct achan_create create = loop_named("asked");
	struct achan_config config;
	struct achan_info info;
	struct achan *channel;
	struct stat found;
	char path[32];

	create.config.mode = ACHAN_MODE_MESSAGE;
	create.config.ring_bytes = 16384;
	create.config.node_mode = 0640;
	ck_assert_int_eq(achan_control_create(control, &create), 0);
	ck_assert_uint_eq(create.peer_minor, ACHAN_MINOR_NONE);
	snprintf(path, sizeof(path), "/dev/achan%u", create.minor);
	ck_assert_int_eq(stat(path, &found), 0);
	ck_assert_uint_eq(found.st_mode & 07777, 0640);
	channel = open_minor(create.minor);
	ck_assert_int_eq(achan_get_info(channel, &info), 0);
	ck_assert_str_eq(info.name, "asked");
	ck_assert_int_eq(achan_get_config(channel, &config), 0);
	ck_assert_uint_eq(config.mode, ACHAN_MODE_MESSAGE);
	ck_assert_uint_eq(config.ring_bytes, 16384);
	ck_assert_uint_eq(config.delivery, ACHAN_DELIVERY_SHARED);
	ck_assert_uint_eq(config.hangup, ACHAN_HANGUP_OFF);
	achan_close(channel);
	ck_assert_int_eq(achan_control_remove(control, "asked", 0), 0);
	ck_assert_int_eq(vm_errno(stat(path, &found)), -ENOENT);
	achan_control_close(control);
}
END_TEST

START_TEST(name_is_had_once)
{
	struct achan_control *control = open_control();
	struct achan_create create = loop_named("once");
	uint32_t minor;

	make(control, "once", &minor);
	ck_assert_int_eq(achan_control_create(control, &create), -EEXIST);
	ck_assert_int_eq(achan_control_remove(control, NULL, minor), 0);
	ck_assert_int_eq(achan_control_remove(control, NULL, minor), -ENOENT);
	ck_assert_int_eq(achan_control_create(control, &create), 0);
	ck_assert_int_eq(achan_control_remove(control, "once", 0), 0);
	achan_control_close(control);
}
END_TEST

static const char *const odd_names[] = {
	".", "-a", "a/b", "a b", "a\n", "achan1", "achan99", "\xff",
};

START_TEST(odd_name_is_einval_and_makes_nothing)
{
	struct achan_control *control = open_control();
	struct achan_create create = loop_named(odd_names[_i]);

	ck_assert_int_eq(achan_control_create(control, &create), -EINVAL);
	achan_control_close(control);
}
END_TEST

START_TEST(set_changes_what_the_mask_names_alone)
{
	struct achan_control *control = open_control();
	struct achan_config config = {
		.overflow = ACHAN_OVERFLOW_OVERWRITE, .read_low = 77,
		.write_low = 88,
	};
	struct achan_channel channel;
	uint32_t minor;

	make(control, "changed", &minor);
	ck_assert_int_eq(achan_control_set(control, "changed", 0,
					   ACHAN_SET_READ_LOW, &config), 0);
	ck_assert_int_eq(achan_control_get(control, NULL, minor, &channel), 0);
	ck_assert_str_eq(channel.name, "changed");
	ck_assert_uint_eq(channel.config.read_low, 77);
	ck_assert_uint_eq(channel.config.write_low, 0);
	ck_assert_uint_eq(channel.config.overflow, ACHAN_OVERFLOW_REJECT);
	ck_assert_int_eq(achan_control_set(control, "changed", 0, 1U << 31,
					   &config), -EINVAL);
	ck_assert_int_eq(achan_control_remove(control, "changed", 0), 0);
	ck_assert_int_eq(achan_control_set(control, "changed", 0,
					   ACHAN_SET_READ_LOW, &config),
			 -ENOENT);
	achan_control_close(control);
}
END_TEST

START_TEST(next_finds_all_in_order)
{
	struct achan_control *control = open_control();
	uint32_t minors[CHANNELS], minor = 0, found = 0, last = 0;
	struct achan_channel channel;
	char name[32];
	int ret;

	for (int i = 0; i < CHANNELS; i++) {
		snprintf(name, sizeof(name), "many-%d", i);
		make(control, name, &minors[i]);
	}
	while ((ret = achan_control_next(control, &minor, &channel)) > 0) {
		ck_assert(!last || channel.minor > last);
		last = channel.minor;
		found += !strncmp(channel.name, "many-", 5);
	}
	ck_assert_int_eq(ret, 0);
	ck_assert_uint_eq(found, CHANNELS);
	for (int i = 0; i < CHANNELS; i++)
		ck_assert_int_eq(achan_control_remove(control, NULL,
						      minors[i]), 0);
	achan_control_close(control);
}
END_TEST

START_TEST(stats_count_what_passes)
{
	struct achan_control *control = open_control();
	struct achan_channel by_control;
	struct achan_stats stats;
	struct achan *channel;
	uint32_t minor;
	char buf[64];

	make(control, "counted", &minor);
	channel = open_minor(minor);
	ck_assert_int_eq(achan_write(channel, "hello", 5, 0), 5);
	ck_assert_int_eq(achan_write(channel, "you", 3, 0), 3);
	ck_assert_int_eq(achan_read(channel, buf, 6, 0), 6);
	ck_assert_int_eq(achan_get_stats(channel, &stats), 0);
	ck_assert_uint_eq(stats.records_in, 2);
	ck_assert_uint_eq(stats.bytes_in, 8);
	ck_assert_uint_eq(stats.bytes_out, 6);
	ck_assert_uint_eq(stats.bytes, 2);
	ck_assert_uint_eq(stats.sequence, 2);
	ck_assert_uint_eq(stats.readers, 1);
	ck_assert_uint_eq(stats.writers, 1);
	ck_assert_uint_ge(stats.high_water, stats.used);
	ck_assert_int_eq(achan_control_get(control, "counted", 0, &by_control),
			 0);
	ck_assert_mem_eq(&by_control.stats, &stats, sizeof(stats));
	ck_assert_int_eq(achan_control_remove(control, "counted", 0), 0);
	/* What it counted can be asked for until its last file is closed. */
	ck_assert_int_eq(achan_get_stats(channel, &stats), 0);
	ck_assert_uint_eq(stats.records_in, 2);
	achan_close(channel);
	achan_control_close(control);
}
END_TEST

struct churn {
	struct achan_control *control;
	int number;
};

/* One handle, many threads. */
static void *churn(void *argument)
{
	struct churn *churn = argument;
	char name[32];
	uint32_t minor;

	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "churn-%d-%d", churn->number, i);
		make(churn->control, name, &minor);
		ck_assert_int_eq(achan_control_remove(churn->control, name, 0),
				 0);
	}
	return NULL;
}

START_TEST(threads_share_a_handle)
{
	struct churn churns[THREADS];
	pthread_t threads[THREADS];
	struct achan_control *control = open_control();

	for (int i = 0; i < THREADS; i++) {
		churns[i] = (struct churn){ control, i };
		ck_assert_int_eq(pthread_create(&threads[i], NULL, churn,
						&churns[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	achan_control_close(control);
}
END_TEST

START_TEST(channel_is_opened_by_path_name_and_node)
{
	struct achan_control *control = open_control();
	struct achan_open_opts opts = { .sz = sizeof(opts),
					.flags = O_RDONLY | O_NONBLOCK };
	struct achan *channel;
	struct achan_info info;
	char names[3][32];
	uint32_t minor;
	int flags;

	make(control, "opened", &minor);
	snprintf(names[0], sizeof(names[0]), "opened");
	snprintf(names[1], sizeof(names[1]), "achan%u", minor);
	snprintf(names[2], sizeof(names[2]), "/dev/achan%u", minor);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(achan_open(&channel, names[i], NULL), 0);
		ck_assert_int_eq(achan_get_info(channel, &info), 0);
		ck_assert_str_eq(info.name, "opened");
		flags = fcntl(achan_fd(channel), F_GETFL);
		ck_assert_int_eq(flags & (O_ACCMODE | O_NONBLOCK), O_RDWR);
		ck_assert_int_eq(fcntl(achan_fd(channel), F_GETFD), FD_CLOEXEC);
		achan_close(channel);
	}
	ck_assert_int_eq(achan_open(&channel, "opened", &opts), 0);
	flags = fcntl(achan_fd(channel), F_GETFL);
	ck_assert_int_eq(flags & (O_ACCMODE | O_NONBLOCK),
			 O_RDONLY | O_NONBLOCK);
	achan_close(channel);
	ck_assert_int_eq(achan_open(&channel, ACHAN_CONTROL_PATH, NULL),
			 -ENOTTY);
	ck_assert_int_eq(achan_control_remove(control, "opened", 0), 0);
	ck_assert_int_eq(achan_open(&channel, "opened", NULL), -ENOENT);
	achan_control_close(control);
}
END_TEST

START_TEST(control_device_is_for_root)
{
	struct achan_control *control;

	ck_assert_int_eq(setresgid(65534, 65534, 65534), 0);
	ck_assert_int_eq(setresuid(65534, 65534, 65534), 0);
	ck_assert_int_eq(achan_control_open(&control, NULL), -EACCES);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lib_control");
	TCase *tcase = vm_tcase(suite, "control");

	tcase_add_test(tcase, driver_speaks_our_version_and_has_features);
	tcase_add_test(tcase, created_channel_has_its_node_and_what_was_asked);
	tcase_add_test(tcase, name_is_had_once);
	tcase_add_loop_test(tcase, odd_name_is_einval_and_makes_nothing, 0,
			    VM_ARRAY_SIZE(odd_names));
	tcase_add_test(tcase, set_changes_what_the_mask_names_alone);
	tcase_add_test(tcase, next_finds_all_in_order);
	tcase_add_test(tcase, stats_count_what_passes);
	tcase_add_test(tcase, threads_share_a_handle);
	tcase_add_test(tcase, channel_is_opened_by_path_name_and_node);
	tcase_add_test(tcase, control_device_is_for_root);
	return vm_main(suite);
}
