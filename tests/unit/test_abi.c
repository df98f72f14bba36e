// SPDX-License-Identifier: GPL-2.0-only
/*
 * Layouts that programs depend on: the driver's, alike for 64 and 32 bits, and
 * the library's. Nearly all is decided when this file compiles.
 */
#include <string.h>

#include "abi_layout.h"
#include "library.h"
#include "source_tree.h"
#include "unit.h"

#if __SIZEOF_POINTER__ == 8
SIZE(struct achan_open_opts, 24);
FIELD(struct achan_open_opts, sz, 0, 8);
FIELD(struct achan_open_opts, flags, 8, 4);
FIELD(struct achan_open_opts, channel_flags, 12, 4);
FIELD(struct achan_open_opts, interruptible, 16, 1);
FIELD(struct achan_open_opts, reserved, 17, 7);
SIZE(struct achan_control_opts, 32);
FIELD(struct achan_control_opts, sz, 0, 8);
FIELD(struct achan_control_opts, path, 8, 8);
FIELD(struct achan_control_opts, version, 16, 8);
FIELD(struct achan_control_opts, flags, 24, 4);
FIELD(struct achan_control_opts, reserved, 28, 4);
SIZE(struct achan_monitor_opts, 16);
FIELD(struct achan_monitor_opts, sz, 0, 8);
FIELD(struct achan_monitor_opts, flags, 8, 4);
FIELD(struct achan_monitor_opts, receive_bytes, 12, 4);
SIZE(struct achan_frame, 32);
FIELD(struct achan_frame, sequence, 0, 8);
FIELD(struct achan_frame, timestamp, 8, 8);
FIELD(struct achan_frame, length, 16, 4);
FIELD(struct achan_frame, flags, 20, 4);
FIELD(struct achan_frame, payload, 24, 8);
SIZE(struct achan_notifier_opts, 24);
FIELD(struct achan_notifier_opts, sz, 0, 8);
FIELD(struct achan_notifier_opts, mode, 8, 4);
FIELD(struct achan_notifier_opts, flags, 12, 4);
FIELD(struct achan_notifier_opts, signal_number, 16, 4);
FIELD(struct achan_notifier_opts, reserved, 20, 4);
SIZE(struct achan_queue_opts, 16);
FIELD(struct achan_queue_opts, sz, 0, 8);
FIELD(struct achan_queue_opts, flags, 8, 4);
FIELD(struct achan_queue_opts, reserved, 12, 4);
SIZE(struct achan_cqe, 24);
FIELD(struct achan_cqe, req, 0, 8);
FIELD(struct achan_cqe, data, 8, 8);
FIELD(struct achan_cqe, res, 16, 8);
#endif
SIZE(struct achan_monitor_event, 352);
FIELD(struct achan_monitor_event, event, 0, 4);
FIELD(struct achan_monitor_event, reserved, 4, 4);
FIELD(struct achan_monitor_event, sequence, 8, 8);
FIELD(struct achan_monitor_event, timestamp, 16, 8);
FIELD(struct achan_monitor_event, missed, 24, 8);
FIELD(struct achan_monitor_event, channel, 32, 320);
SIZE(struct achan_notify_event, 8);
FIELD(struct achan_notify_event, events, 0, 4);
FIELD(struct achan_notify_event, flags, 4, 4);
VALUE(ACHAN_NOTIFY_THREAD, 0);
VALUE(ACHAN_NOTIFY_FD, 1);
VALUE(ACHAN_NOTIFY_SIGNAL, 2);
VALUE(ACHAN_NF_OVERFLOW, 1U);
VALUE(ACHAN_NF_INITIAL, 2U);
VALUE(ACHAN_REQ_NOWAIT, 1U);
VALUE(ACHAN_QUEUE_DEPTH_MAX, 1U << 20);
VALUE(ACHAN_MONITOR_QUIET, 1U);
VALUE(ACHAN_MONITOR_RESYNC, 0x80000000U);
VALUE(ACHAN_MONITOR_CHANNEL, 0x80000001U);
VALUE(ACHAN_MONITOR_DUMPED, 0x80000002U);

/* The two agree: what the driver writes at its numbers is read there. */
START_TEST(record_is_laid_out_as_its_numbers_say)
{
	const unsigned char bytes[24] = {
		[0] = 1, [4] = 2, [8] = 3, [16] = 4,
	};
	struct achan_record record;

	memcpy(&record, bytes, sizeof(record));
	if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__) {
		ck_assert_uint_eq(record.length, 1);
		ck_assert_uint_eq(record.flags, 2);
		ck_assert_uint_eq(record.sequence, 3);
		ck_assert_uint_eq(record.timestamp, 4);
	} else {
		ck_assert_uint_eq(record.length, 1U << 24);
		ck_assert_uint_eq(record.flags, 2U << 24);
		ck_assert_uint_eq(record.sequence, 3ULL << 56);
		ck_assert_uint_eq(record.timestamp, 4ULL << 56);
	}
}
END_TEST

static const char *const compilers[] = { "gcc", "clang" };

/*
 * The architecture's own headers are named, so that no 32-bit packages are
 * needed; nothing in them is of another width.
 */
#define COMPILE	"cd \"$ROOT\"/tests/unit && echo '%s' | %s %s -x c -std=gnu11" \
		" -ffreestanding -fsyntax-only -Wall -Wextra -Werror -I." \
		" -I../../include/uapi" \
		" -idirafter /usr/include/$(gcc -print-multiarch) -"

START_TEST(layout_is_the_same_for_64_and_32_bits)
{
	const char *compiler = compilers[_i];

	if (!source_tree_has(compiler) || !source_tree_has("gcc")) {
		unit_skip("layout_is_the_same_for_64_and_32_bits",
			  "gcc or clang is not installed");
		return;
	}
	if (!source_tree_try(COMPILE, "int x;", compiler, "-m32")) {
		unit_skip("layout_is_the_same_for_64_and_32_bits",
			  "the compiler knows no -m32");
		return;
	}
	ck_assert(source_tree_run(COMPILE, "#include \"abi_layout.h\"",
				  compiler, "-m64"));
	ck_assert(source_tree_run(COMPILE, "#include \"abi_layout.h\"",
				  compiler, "-m32"));
	/* And a wrong number is found. */
	ck_assert(!source_tree_try(COMPILE, "#include \"abi_layout.h\"\n"
				   "SIZE(struct achan_info, 164);", compiler,
				   "-m32"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("abi");
	TCase *tcase = tcase_create("layout");

	tcase_add_test(tcase, record_is_laid_out_as_its_numbers_say);
	tcase_add_loop_test(tcase, layout_is_the_same_for_64_and_32_bits, 0,
			    sizeof(compilers) / sizeof(compilers[0]));
	suite_add_tcase(suite, tcase);
	return unit_main(suite);
}
