// SPDX-License-Identifier: GPL-2.0-only
/*
 * A provider's module is loaded and unloaded under load: a channel whose provider has
 * gone is a removed channel, never a dangling one.
 */
#include "consumer.h"
#include "kernel_aio.h"
#include "module.h"

#include <sched.h>

#define LOADS		1000

/* Opens whatever is named probe, for as long as the case runs. */
struct opener {
	bool stop;
	uint64_t opens;
	uint64_t refused;
};

static long open_and_close(void *argument)
{
	struct opener *opener = argument;
	struct achan_channel channel;
	char path[40];

	while (!__atomic_load_n(&opener->stop, __ATOMIC_RELAXED)) {
		int fd;

		vm_sleep_ms(1);
		if (control_get("probe", &channel))
			continue;
		snprintf(path, sizeof(path), "/dev/achan%u", channel.minor);
		fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		if (fd < 0) {
			if (errno != ENOENT && errno != ENODEV && errno != ENXIO)
				return -errno;
			opener->refused++;
			continue;
		}
		opener->opens++;
		close(fd);
	}
	return 0;
}

/* One life of the module: it goes in the midst of a storm, with a reader at work. */
static uint64_t one_life(unsigned int round)
{
	const char *context = probe_contexts[round % probe_context_count];
	struct consumer consumer;
	uint64_t records;

	probe_load("");
	consumer_start(&consumer,
		       &consumer_models[round % consumer_model_count]);
	probe_try("storm", "%s 40 64", context);
	if (round % 3)
		sched_yield();
	probe_unload();
	consumer_join(&consumer, -ENODEV);
	records = consumer.records;
	close(consumer.fd);
	return records;
}

/* Each life waits for a few grace periods of RCU, which only take long. */
static void hurry_rcu(const char *on)
{
	int fd = open("/sys/kernel/rcu_expedited", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	ck_assert_int_eq(vm_errno(write(fd, on, 1)), 1);
	close(fd);
}

START_TEST(provider_comes_and_goes_under_load)
{
	struct opener opener = { false, 0, 0 };
	unsigned int i, loads = vm_repeat(LOADS);
	struct vm_thread thread;
	uint64_t records = 0;

	hurry_rcu("1");
	vm_spawn(&thread, open_and_close, &opener);
	for (i = 0; i < loads; i++) {
		records += one_life(i);
		if (i % 100 == 99)
			printf("# %u of %u loads\n", i + 1, loads);
	}
	__atomic_store_n(&opener.stop, true, __ATOMIC_RELAXED);
	ck_assert_int_eq(vm_join(&thread), 0);
	hurry_rcu("0");
	printf("# %u loads, %llu records, %llu opens, %llu came too late\n",
	       loads, (unsigned long long)records,
	       (unsigned long long)opener.opens,
	       (unsigned long long)opener.refused);
	ck_assert_uint_gt(records, 0);
	ck_assert_uint_gt(opener.opens, 0);
}
END_TEST

/* Files of providers that have gone are kept, and used, beside a new one. */
START_TEST(files_outlive_many_providers)
{
	enum { LIVES = 50 };
	io_context_t context = aio_context(LIVES);
	static struct iocb requests[LIVES];
	static uint64_t buffers[LIVES][8];
	int fds[LIVES], i;

	for (i = 0; i < LIVES; i++) {
		probe_load("");
		fds[i] = provider_open("probe", O_RDONLY);
		probe_set("push", "hardirq 1 64");
		aio_submit(context, (io_prep_pread(&requests[i], fds[i],
						   buffers[i], 64, 0),
				     &requests[i]));
		ck_assert_int_eq(aio_result(context, &requests[i]), 64);
		aio_park_read(context, &requests[i], fds[i], buffers[i], 64);
		probe_unload();
		ck_assert_int_eq(aio_result(context, &requests[i]), -ENODEV);
	}
	for (i = 0; i < LIVES; i++) {
		ck_assert_int_eq(vm_errno(read(fds[i], buffers[i], 64)), -ENODEV);
		close(fds[i]);
	}
	io_destroy(context);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lifetime");
	TCase *tcase = probe_tcase(suite, "lifetime");

	tcase_set_timeout(tcase, vm_timeout_ms(VM_HANG_MS) / 100.0);
	tcase_add_test(tcase, provider_comes_and_goes_under_load);
	tcase_add_test(tcase, files_outlive_many_providers);
	return vm_main(suite);
}
