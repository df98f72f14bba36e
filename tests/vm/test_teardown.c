// SPDX-License-Identifier: GPL-2.0-only
/*
 * A lane is freed while what it has armed is still on its way. A kernel that tracks
 * objects (CONFIG_DEBUG_OBJECTS) reports a timer that is armed when it is freed; on
 * others these cases only have to end.
 */
#include "control.h"
#include "kernel_aio.h"
#include "module.h"

#include <sys/wait.h>

#define ROUNDS	4

static struct achan_create create;

static void make_moderated_broadcast(void)
{
	create = control_loop("moderated");
	create.config.delivery = ACHAN_DELIVERY_BROADCAST;
	create.config.overflow = ACHAN_OVERFLOW_DROP;
	create.config.moderate_usecs = 1000000;
	create.config.read_low = 2;
	create.config.ring_bytes = 65536;
	control_make(&create);
}

/*
 * Its read is served by the worker, since it is too large to be pinned, once two bytes
 * are there; the request holds the last reference to the file. The record that is left
 * calls for the timer.
 */
static int read_and_leave(void *argument)
{
	io_context_t context = aio_context(1);
	int reader = control_node(create.minor, O_RDONLY);
	int writer = *(int *)argument;
	struct iocb request;

	aio_park_read(context, &request, reader, malloc(AIO_WORKER_BYTES),
		      AIO_WORKER_BYTES);
	close(reader);
	vm_write(writer, "a", 1);
	vm_write(writer, "bb", 2);
	return aio_result(context, &request) == 1 ? 0 : 1;
}

START_TEST(lane_is_freed_while_its_work_starts_its_timer)
{
	int writer;
	long ret;

	ret = module_load_other("achan_delay",
				"symbol=achan_moderate_start milliseconds=300");
	if (ret == -EOPNOTSUPP || ret == -ENOENT)
		vm_skip("no kprobes: %s", strerror((int)-ret));
	ck_assert_int_eq(ret, 0);
	make_moderated_broadcast();
	writer = control_node(create.minor, O_WRONLY);
	for (int i = 0; i < ROUNDS; i++)
		vm_wait_success(vm_fork(read_and_leave, &writer));
	/* A timer that was armed all the same would run now. */
	vm_sleep_ms(1500);
	close(writer);
	ck_assert_int_eq(module_unload_other("achan_delay"), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("teardown");
	TCase *tcase = control_tcase(suite, "timer");

	tcase_add_test(tcase, lane_is_freed_while_its_work_starts_its_timer);
	return vm_main(suite);
}
