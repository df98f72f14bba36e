// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupt storms: a provider that pushes as fast as it can, from each context of
 * the kernel and from all at once, against readers in every I/O model. A wake-up that
 * got lost leaves a reader asleep with records there; what does not add up is a record
 * lost without a word.
 */
#include "consumer.h"
#include "module.h"

#define PUSHES		5000
#define MODELS_MAX	8

static bool start_storm(const char *context, unsigned int count)
{
	long ret = probe_try("storm", "%s %u 64", context, count);

	if (ret == -EOPNOTSUPP)
		return false;
	ck_assert_msg(!ret, "storm %s: %s", context, strerror(-ret));
	return true;
}

static void wait_for_storms(void)
{
	int64_t until = vm_now_ms() + 3 * vm_timeout_ms(VM_HANG_MS);

	while (probe_figure("running")) {
		ck_assert_int_lt(vm_now_ms(), until);
		vm_sleep_ms(1);
	}
}

/* Ends the consumers of records that go to all: a marker may find no room, too. */
static void mark(struct consumer *consumers, size_t count)
{
	int64_t until = vm_now_ms() + vm_timeout_ms(VM_HANG_MS);
	size_t i;

	for (i = 0; i < count; i++)
		while (consumer_running(&consumers[i]) && vm_now_ms() < until) {
			probe_set("push", "task 1 %d", CONSUMER_MARKER);
			vm_sleep_ms(1);
		}
	for (i = 0; i < count; i++)
		consumer_join(&consumers[i], 0);
}

/* Every attempt was accepted, refused or missed, and counted so. */
static void assert_probe_counted(const struct achan_stats *stats)
{
	uint64_t lost = stats->rejected + stats->dropped;

	ck_assert_uint_eq(probe_figure("failed"), 0);
	ck_assert_uint_eq(probe_figure("attempts"), stats->sequence);
	/* What an overwriting ring gave up later was accepted first. */
	ck_assert_uint_eq(stats->records_in + lost, stats->sequence);
	if (stats->rejected)
		ck_assert_uint_eq(stats->rejected, probe_figure("refused") +
						   probe_figure("busy"));
}

/* @stats: of what it reads; @sequence: of the next record of the channel. */
static void assert_accounted(const struct consumer *consumer,
			     const struct achan_stats *stats, uint64_t sequence)
{
	ck_assert_uint_eq(consumer->records, stats->records_out);
	ck_assert_uint_eq(consumer->gaps + sequence - consumer->next,
			  stats->lost);
}

static void storm_one(const struct consumer_model *model, const char *context)
{
	struct consumer consumer;
	struct achan_stats stats;

	probe_load("");
	consumer_start(&consumer, model);
	if (start_storm(context, vm_repeat(PUSHES)))
		wait_for_storms();
	else
		printf("# no %s on this machine\n", context);
	mark(&consumer, 1);
	stats = control_stats("probe");
	assert_probe_counted(&stats);
	assert_accounted(&consumer, &stats, stats.sequence);
	/* In an NMI the clock may be a little off. */
	if (strcmp(context, "nmi"))
		ck_assert_uint_eq(consumer.backwards, 0);
	printf("# %s, %s: %llu records, %llu lost, %llu of these in an NMI\n",
	       context, model->name, (unsigned long long)consumer.records,
	       (unsigned long long)stats.lost,
	       (unsigned long long)probe_figure("busy"));
	close(consumer.fd);
	probe_unload();
}

/*
 * A push took its time before its number: that of an interrupt in between had
 * the earlier number and the later time.
 */
START_TEST(storm_from_each_context_against_each_model)
{
	size_t i;

	for (i = 0; i < consumer_model_count; i++)
		storm_one(&consumer_models[i], probe_contexts[_i]);
}
END_TEST

static void start_all(struct consumer *consumers)
{
	size_t i;

	ck_assert_uint_le(consumer_model_count, MODELS_MAX);
	for (i = 0; i < consumer_model_count; i++)
		consumer_start(&consumers[i], &consumer_models[i]);
	for (i = 0; i < probe_context_count; i++)
		start_storm(probe_contexts[i], vm_repeat(PUSHES));
}

/* Each record goes to one of them: the channel's removal ends them all. */
START_TEST(all_contexts_at_once_against_all_models_at_once)
{
	struct consumer consumers[MODELS_MAX];
	struct achan_stats stats;
	uint64_t records = 0;
	size_t i;

	probe_load("ring_bytes=65536");
	start_all(consumers);
	wait_for_storms();
	stats = control_stats("probe");
	assert_probe_counted(&stats);
	probe_unload();
	for (i = 0; i < consumer_model_count; i++) {
		consumer_join(&consumers[i], -ENODEV);
		records += consumers[i].records;
		close(consumers[i].fd);
	}
	ck_assert_uint_eq(records, stats.records_in);
	printf("# %llu records, %llu lost\n", (unsigned long long)records,
	       (unsigned long long)stats.lost);
}
END_TEST

/* Each of them sees each record, or its own counters say that it was lost. */
static void broadcast(const char *parameters)
{
	struct consumer consumers[MODELS_MAX];
	struct achan_stats stats;
	uint64_t sequence;
	size_t i;

	probe_load(parameters);
	start_all(consumers);
	wait_for_storms();
	mark(consumers, consumer_model_count);
	stats = control_stats("probe");
	sequence = stats.sequence;
	for (i = 0; i < consumer_model_count; i++) {
		/* Numbers count from the channel's creation: all were there. */
		stats = control_file_stats(consumers[i].fd);
		assert_accounted(&consumers[i], &stats, sequence);
		printf("# %s: %llu records, %llu lost\n",
		       consumer_models[i].name,
		       (unsigned long long)consumers[i].records,
		       (unsigned long long)stats.lost);
		close(consumers[i].fd);
	}
	probe_unload();
}

START_TEST(all_contexts_at_once_broadcast_to_all_models)
{
	broadcast("delivery=2");
}
END_TEST

START_TEST(broadcast_that_overwrites_accounts_for_every_record)
{
	broadcast("delivery=2 overflow=3");
}
END_TEST

START_TEST(overwriting_ring_accounts_for_every_record)
{
	struct consumer consumer;
	struct achan_stats stats;
	size_t i;

	probe_load("overflow=3");
	consumer_start(&consumer, &consumer_models[_i]);
	for (i = 0; i < probe_context_count; i++)
		start_storm(probe_contexts[i], vm_repeat(PUSHES));
	wait_for_storms();
	mark(&consumer, 1);
	stats = control_stats("probe");
	assert_probe_counted(&stats);
	assert_accounted(&consumer, &stats, stats.sequence);
	close(consumer.fd);
	probe_unload();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("storm");
	TCase *tcase = probe_tcase(suite, "storm");

	tcase_set_timeout(tcase, vm_timeout_ms(VM_HANG_MS) / 100.0);
	tcase_add_loop_test(tcase, storm_from_each_context_against_each_model,
			    0, probe_context_count);
	tcase_add_test(tcase, all_contexts_at_once_against_all_models_at_once);
	tcase_add_test(tcase, all_contexts_at_once_broadcast_to_all_models);
	tcase_add_test(tcase,
		       broadcast_that_overwrites_accounts_for_every_record);
	tcase_add_loop_test(tcase, overwriting_ring_accounts_for_every_record,
			    0, consumer_model_count);
	return vm_main(suite);
}
