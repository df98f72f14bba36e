// SPDX-License-Identifier: GPL-2.0-only
/* libachan's control and its counters of a channel, on a driver made up here. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "library.h"
#include "unit.h"

/* What the driver got last, and what it does. */
static struct {
	unsigned long request;
	unsigned int calls;
	int error;
	uint32_t abi_version;
	union {
		struct achan_handshake version;
		struct achan_create create;
		struct achan_remove remove;
		struct achan_set set;
		struct achan_channel channel;
	} argument;
} driver = { .abi_version = ACHAN_ABI_VERSION };

/* Numbers of the channels there are. */
static const uint32_t minors[] = { 0, 3, 4095 };

static int shake_hands(struct achan_handshake *version)
{
	bool same = version->abi_version == driver.abi_version;

	version->abi_version = driver.abi_version;
	version->features = ACHAN_FEATURE_PAIR;
	if (same)
		return 0;
	errno = EPROTONOSUPPORT;
	return -1;
}

static int next_channel(struct achan_channel *channel)
{
	for (unsigned int i = 0; i < sizeof(minors) / sizeof(minors[0]); i++)
		if (minors[i] >= channel->minor) {
			channel->minor = minors[i];
			strcpy(channel->name, "somebody");
			return 0;
		}
	errno = ENOENT;
	return -1;
}

static int act(unsigned long request, void *argument)
{
	struct achan_create *create = argument;

	switch (request) {
	case ACHAN_CTL_VERSION:
		return shake_hands(argument);
	case ACHAN_CTL_CREATE:
		create->minor = 7;
		create->peer_minor = 8;
		return 0;
	case ACHAN_CTL_NEXT:
		return next_channel(argument);
	case ACHAN_IOC_STATS:
		((struct achan_stats *)argument)->records_in = 11;
		return 0;
	case ACHAN_IOC_CONFIG:
		((struct achan_config *)argument)->ring_bytes = 8192;
		return 0;
	default:
		return 0;
	}
}

/* Takes the place of the C library's. */
int ioctl(int fd, unsigned long request, ...)
{
	va_list arguments;
	void *argument;

	(void)fd;
	va_start(arguments, request);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	driver.request = request;
	driver.calls++;
	memcpy(&driver.argument, argument, _IOC_SIZE(request));
	if (driver.error) {
		errno = driver.error;
		return -1;
	}
	return act(request, argument);
}

static struct achan_control *open_control(void)
{
	struct achan_control_opts opts = { .sz = sizeof(opts),
					   .path = "/dev/null" };
	struct achan_control *control;

	ck_assert_int_eq(achan_control_open(&control, &opts), 0);
	return control;
}

START_TEST(control_agrees_on_a_version_before_anything_else)
{
	struct achan_handshake version = { 0 };
	struct achan_control *control = open_control();

	ck_assert_uint_eq(driver.calls, 1);
	ck_assert_uint_eq(driver.request, ACHAN_CTL_VERSION);
	ck_assert_uint_eq(driver.argument.version.abi_version,
			  ACHAN_ABI_VERSION);
	ck_assert_uint_eq(driver.argument.version.features, 0);
	ck_assert_int_eq(achan_control_version(control, &version), 0);
	ck_assert_uint_eq(version.abi_version, ACHAN_ABI_VERSION);
	ck_assert_uint_eq(version.features, ACHAN_FEATURE_PAIR);
	ck_assert_uint_eq(driver.calls, 1);
	achan_control_close(control);
}
END_TEST

static const uint32_t other_versions[] = {
	ACHAN_ABI_VERSION - 1, ACHAN_ABI_VERSION + 1, UINT32_MAX,
};

START_TEST(control_refuses_another_version_and_says_which)
{
	struct achan_handshake version = { 0 };
	struct achan_control_opts opts = { .sz = sizeof(opts),
					   .path = "/dev/null",
					   .version = &version };
	struct achan_control *control = NULL;
	int fds = library_open_fds();

	driver.abi_version = other_versions[_i];
	ck_assert_int_eq(achan_control_open(&control, &opts), -EPROTONOSUPPORT);
	ck_assert_ptr_null(control);
	ck_assert_uint_eq(version.abi_version, driver.abi_version);
	ck_assert_int_eq(library_open_fds(), fds);
}
END_TEST

START_TEST(control_of_something_else_is_enotty)
{
	struct achan_control_opts opts = { .sz = sizeof(opts),
					   .path = "/dev/null" };
	struct achan_control *control = NULL;

	driver.error = ENOTTY;
	ck_assert_int_eq(achan_control_open(&control, &opts), -ENOTTY);
	ck_assert_ptr_null(control);
}
END_TEST

START_TEST(control_open_without_a_driver_is_enoent)
{
	struct achan_control_opts opts = { .sz = sizeof(opts),
					   .path = "/nowhere/achan-control" };
	struct achan_control *control = NULL;

	ck_assert_int_eq(achan_control_open(&control, &opts), -ENOENT);
	ck_assert_ptr_null(control);
	ck_assert_uint_eq(driver.calls, 0);
}
END_TEST

START_TEST(control_open_refuses_bad_options)
{
	struct {
		struct achan_control_opts opts;
		char more;
	} larger = { .opts.sz = sizeof(larger), .more = 1 };
	struct achan_control_opts opts = { .sz = sizeof(opts), .flags = 1 };
	struct achan_control *control;

	ck_assert_int_eq(achan_control_open(&control, &opts), -EINVAL);
	opts = (struct achan_control_opts){ .sz = sizeof(opts), .reserved = 1 };
	ck_assert_int_eq(achan_control_open(&control, &opts), -EINVAL);
	opts = (struct achan_control_opts){ .sz = sizeof(opts) - 1 };
	ck_assert_int_eq(achan_control_open(&control, &opts), -EINVAL);
	ck_assert_int_eq(achan_control_open(&control, &larger.opts), -E2BIG);
	ck_assert_int_eq(achan_control_open(NULL, NULL), -EINVAL);
	ck_assert_uint_eq(driver.calls, 0);
}
END_TEST

START_TEST(control_create_hands_over_all_and_fills_in_the_minors)
{
	struct achan_control *control = open_control();
	struct achan_create create = {
		.config = { .kind = ACHAN_KIND_PAIR, .ring_bytes = 8192 },
		.name = "one", .peer_name = "other",
	};
	struct achan_create given = create;

	ck_assert_int_eq(achan_control_create(control, &create), 0);
	ck_assert_mem_eq(&driver.argument.create, &given, sizeof(given));
	ck_assert_uint_eq(create.minor, 7);
	ck_assert_uint_eq(create.peer_minor, 8);
	achan_control_close(control);
}
END_TEST

START_TEST(control_create_that_fails_changes_nothing)
{
	struct achan_control *control = open_control();
	struct achan_create create = { .name = "one", .minor = 99 };

	driver.error = EEXIST;
	errno = 12345;
	ck_assert_int_eq(achan_control_create(control, &create), -EEXIST);
	ck_assert_uint_eq(create.minor, 99);
	ck_assert_int_eq(errno, 12345);
	achan_control_close(control);
}
END_TEST

START_TEST(control_remove_goes_by_name_or_by_minor)
{
	struct achan_control *control = open_control();
	const struct achan_remove by_name = { .name = "one" };
	const struct achan_remove by_minor = { .minor = 5 };

	ck_assert_int_eq(achan_control_remove(control, "one", 5), 0);
	ck_assert_uint_eq(driver.request, ACHAN_CTL_REMOVE);
	ck_assert_mem_eq(&driver.argument.remove, &by_name, sizeof(by_name));
	ck_assert_int_eq(achan_control_remove(control, NULL, 5), 0);
	ck_assert_mem_eq(&driver.argument.remove, &by_minor, sizeof(by_minor));
	achan_control_close(control);
}
END_TEST

START_TEST(control_never_takes_an_empty_name_for_minor_0)
{
	struct achan_control *control = open_control();
	struct achan_config config = { 0 };
	struct achan_channel channel;

	ck_assert_int_eq(achan_control_remove(control, "", 0), -ENOENT);
	ck_assert_int_eq(achan_control_set(control, "", 0, 1, &config), -ENOENT);
	ck_assert_int_eq(achan_control_get(control, "", 0, &channel), -ENOENT);
	ck_assert_uint_eq(driver.calls, 1);
	achan_control_close(control);
}
END_TEST

START_TEST(control_refuses_a_name_that_does_not_fit)
{
	static const char fits[] = "0123456789012345678901234567890";
	static const char too_long[] = "01234567890123456789012345678901";
	struct achan_control *control = open_control();
	struct achan_config config = { 0 };
	struct achan_channel channel;

	ck_assert_int_eq(achan_control_remove(control, fits, 0), 0);
	ck_assert_str_eq(driver.argument.remove.name, fits);
	ck_assert_int_eq(achan_control_remove(control, too_long, 0),
			 -ENAMETOOLONG);
	ck_assert_int_eq(achan_control_get(control, too_long, 0, &channel),
			 -ENAMETOOLONG);
	ck_assert_int_eq(achan_control_set(control, too_long, 0, 1, &config),
			 -ENAMETOOLONG);
	ck_assert_uint_eq(driver.calls, 2);
	achan_control_close(control);
}
END_TEST

START_TEST(control_set_hands_over_mask_and_values)
{
	struct achan_control *control = open_control();
	struct achan_config config = { .overflow = ACHAN_OVERFLOW_DROP,
				       .read_low = 100 };
	const struct achan_set wanted = {
		.minor = 2,
		.mask = ACHAN_SET_OVERFLOW | ACHAN_SET_READ_LOW,
		.config = config,
	};

	ck_assert_int_eq(achan_control_set(control, NULL, 2, wanted.mask,
					   &config), 0);
	ck_assert_mem_eq(&driver.argument.set, &wanted, sizeof(wanted));
	ck_assert_int_eq(achan_control_set(control, NULL, 2, 1, NULL), -EINVAL);
	achan_control_close(control);
}
END_TEST

START_TEST(control_next_finds_every_channel_once)
{
	struct achan_control *control = open_control();
	struct achan_channel channel;
	uint32_t minor = 0;

	for (unsigned int i = 0; i < sizeof(minors) / sizeof(minors[0]); i++) {
		ck_assert_int_eq(achan_control_next(control, &minor, &channel),
				 1);
		ck_assert_uint_eq(channel.minor, minors[i]);
		ck_assert_str_eq(driver.argument.channel.name, "");
	}
	ck_assert_int_eq(achan_control_next(control, &minor, &channel), 0);
	ck_assert_uint_eq(minor, 4096);
	driver.error = EIO;
	ck_assert_int_eq(achan_control_next(control, &minor, &channel), -EIO);
	ck_assert_uint_eq(minor, 4096);
	achan_control_close(control);
}
END_TEST

START_TEST(control_get_fills_in_nothing_when_it_fails)
{
	struct achan_control *control = open_control();
	struct achan_channel channel = { .minor = 99 };

	driver.error = ENOENT;
	ck_assert_int_eq(achan_control_get(control, "one", 0, &channel),
			 -ENOENT);
	ck_assert_uint_eq(channel.minor, 99);
	achan_control_close(control);
}
END_TEST

START_TEST(control_refuses_null)
{
	struct achan_control *control = open_control();
	struct achan_channel channel;
	uint32_t minor = 0;

	ck_assert_int_eq(achan_control_create(control, NULL), -EINVAL);
	ck_assert_int_eq(achan_control_create(NULL, NULL), -EINVAL);
	ck_assert_int_eq(achan_control_remove(NULL, "one", 0), -EINVAL);
	ck_assert_int_eq(achan_control_set(NULL, "one", 0, 0, NULL), -EINVAL);
	ck_assert_int_eq(achan_control_get(control, "one", 0, NULL), -EINVAL);
	ck_assert_int_eq(achan_control_get(NULL, "one", 0, &channel), -EINVAL);
	ck_assert_int_eq(achan_control_next(control, NULL, &channel), -EINVAL);
	ck_assert_int_eq(achan_control_next(control, &minor, NULL), -EINVAL);
	ck_assert_int_eq(achan_control_version(control, NULL), -EINVAL);
	achan_control_close(NULL);
	achan_control_close(control);
}
END_TEST

START_TEST(control_of_the_parent_is_echild)
{
	struct achan_control *control = open_control();
	struct achan_channel channel;
	struct achan_handshake version;
	uint32_t minor = 0;
	pid_t child;

	if (library_in_child(&child)) {
		bool ok = achan_control_remove(control, "one", 0) == -ECHILD &&
			  achan_control_next(control, &minor, &channel) ==
			  -ECHILD &&
			  achan_control_version(control, &version) == -ECHILD;

		achan_control_close(control);
		library_child_done(ok && driver.calls == 1);
	}
	library_child_ok(child);
	ck_assert_int_eq(achan_control_remove(control, "one", 0), 0);
	achan_control_close(control);
}
END_TEST

START_TEST(stats_and_config_of_a_channel)
{
	struct achan_config config = { 0 };
	struct achan_stats stats = { 0 };
	struct achan *ends[2];

	library_pipe(ends, 0);
	ck_assert_int_eq(achan_get_stats(ends[0], &stats), 0);
	ck_assert_uint_eq(stats.records_in, 11);
	ck_assert_int_eq(achan_get_config(ends[0], &config), 0);
	ck_assert_uint_eq(config.ring_bytes, 8192);
	ck_assert_int_eq(achan_get_stats(ends[0], NULL), -EINVAL);
	ck_assert_int_eq(achan_get_config(ends[0], NULL), -EINVAL);
	driver.error = ENODEV;
	stats.records_in = 1;
	ck_assert_int_eq(achan_get_stats(ends[0], &stats), -ENODEV);
	ck_assert_uint_eq(stats.records_in, 1);
	ck_assert_int_eq(achan_get_config(ends[0], &config), -ENODEV);
	library_close(ends);
	ck_assert_int_eq(achan_get_stats(NULL, &stats), -EINVAL);
	ck_assert_int_eq(achan_get_config(NULL, &config), -EINVAL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lib_control");
	TCase *tcase = tcase_create("control");

	tcase_add_test(tcase, control_agrees_on_a_version_before_anything_else);
	tcase_add_loop_test(tcase,
			    control_refuses_another_version_and_says_which,
			    0, 3);
	tcase_add_test(tcase, control_of_something_else_is_enotty);
	tcase_add_test(tcase, control_open_without_a_driver_is_enoent);
	tcase_add_test(tcase, control_open_refuses_bad_options);
	tcase_add_test(tcase,
		       control_create_hands_over_all_and_fills_in_the_minors);
	tcase_add_test(tcase, control_create_that_fails_changes_nothing);
	tcase_add_test(tcase, control_remove_goes_by_name_or_by_minor);
	tcase_add_test(tcase, control_never_takes_an_empty_name_for_minor_0);
	tcase_add_test(tcase, control_refuses_a_name_that_does_not_fit);
	tcase_add_test(tcase, control_set_hands_over_mask_and_values);
	tcase_add_test(tcase, control_next_finds_every_channel_once);
	tcase_add_test(tcase, control_get_fills_in_nothing_when_it_fails);
	tcase_add_test(tcase, control_refuses_null);
	tcase_add_test(tcase, control_of_the_parent_is_echild);
	tcase_add_test(tcase, stats_and_config_of_a_channel);
	suite_add_tcase(suite, tcase);
	return unit_main(suite);
}
