// SPDX-License-Identifier: GPL-2.0-only
/* Torture: rounds. */
#include "torture.h"

#include <poll.h>
#include <sys/random.h>
#include <sys/syscall.h>

#define ROUND_MS	2500
/* How long an operation may sleep before a signal wakes it. */
#define KICK_MS		20
#define TICK_MS		5

/* Where a channel stands before a round. */
static struct achan_info before[CHANNELS];

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
	const char *value = getenv(name);

	return value && *value ? strtoull(value, NULL, 0) : otherwise;
}

static uint64_t random_seed(void)
{
	uint64_t seed;

	ck_assert_int_eq(getrandom(&seed, sizeof(seed), 0), sizeof(seed));
	return seed;
}

static void on_signal(int signo)
{
	(void)signo;
}

static void handle_signals(void)
{
	int signals[] = {
		SIGUSR1, SIGIO, SIGRTMIN + 1, SIGRTMIN + 2,
	};
	unsigned int i;

	for (i = 0; i < VM_ARRAY_SIZE(signals); i++) {
		struct sigaction action = { .sa_handler = on_signal };

		/* The first one is to end what sleeps. */
		if (signals[i] == SIGIO || signals[i] == SIGRTMIN + 1)
			action.sa_flags = SA_RESTART;
		ck_assert_int_eq(sigaction(signals[i], &action, NULL), 0);
	}
}

/*
 * Open files, as the module counts them: also those that only a request still
 * holds, wherever it is.
 */
static int files_open(void)
{
	FILE *file = fopen("/sys/module/achan/refcnt", "r");
	int count = -1;

	ck_assert_msg(file && fscanf(file, "%d", &count) == 1,
		      "cannot read /sys/module/achan/refcnt: %s",
		      strerror(errno));
	fclose(file);
	return count;
}

static void configure(unsigned int seconds, int hang_ms,
		      enum injection injection)
{
	journal->seed = from_environment("TORTURE_SEED", random_seed());
	journal->seconds = from_environment("TORTURE_SECONDS", seconds);
	journal->threads = from_environment("TORTURE_THREADS", 6);
	journal->channels = from_environment("TORTURE_CHANNELS", CHANNELS);
	journal->operations = from_environment("TORTURE_OPERATIONS", 0);
	journal->round = from_environment("TORTURE_ROUND", 0);
	journal->trace = from_environment("TORTURE_TRACE", 0);
	if (injection)
		journal->seconds = seconds;
	journal->hang_ms = hang_ms;
	journal->injection = injection;
	/* Units, or whole reads; 0 when the hang has begun. */
	journal->countdown = injection == CORRUPTION ? 20 : 500;
	ck_assert_uint_ge(journal->threads, 1);
	ck_assert_uint_le(journal->threads, THREADS_MAX);
	ck_assert_uint_ge(journal->channels, 1);
	ck_assert_uint_le(journal->channels, CHANNELS);
	printf("# torture: TORTURE_SEED=%#llx TORTURE_THREADS=%u TORTURE_CHANNELS=%u TORTURE_SECONDS=%u\n",
	       (unsigned long long)journal->seed, journal->threads,
	       journal->channels, journal->seconds);
}

static void open_files(void)
{
	unsigned int i;

	for (i = 0; i < journal->channels; i++) {
		int fd = vm_open(i, O_RDWR | O_CLOEXEC);

		before[i] = vm_info(fd);
		close(fd);
	}
	for (i = 0; i < FILES; i++)
		ck_assert_int_ge(file_open(i, O_RDWR | O_CLOEXEC), 0);
}

static void *thread_main(void *argument)
{
	struct member *member = argument;
	struct local *local = calloc(1, sizeof(*local));

	if (local) {
		member_local_init(member, local);
		member_run(member, journal->operations);
		member_rest(member);
		member_local_free(local);
	} else {
		journal_fail("calloc: %s", strerror(errno));
	}
	free(local);
	return NULL;
}

/* A signal for who has been in one operation for long; no answer is a hang. */
static bool look_after(struct member *member)
{
	int64_t since = vm_now_ms() - journal_since(member);
	unsigned int doing = __atomic_load_n(&member->doing, __ATOMIC_RELAXED);

	if (!__atomic_load_n(&member->live, __ATOMIC_ACQUIRE) ||
	    doing == IDLE || since < KICK_MS)
		return true;
	syscall(SYS_tgkill, member->process, member->thread, SIGUSR1);
	if (since < journal->hang_ms)
		return true;
	if (!journal->failed)
		journal_print_members();
	journal_fail("%s on channel %u hangs: it has taken %lld ms",
		     operations[doing].name, member->doing_channel,
		     (long long)since);
	return false;
}

static bool any_thread_lives(void)
{
	unsigned int i;

	for (i = 0; i < journal->threads; i++)
		if (__atomic_load_n(&journal->members[i].live,
				    __ATOMIC_ACQUIRE))
			return true;
	return false;
}

/* Return: false if threads are left that cannot be joined. */
static bool watch(int64_t until)
{
	int64_t patience = 0;
	unsigned int i;

	do {
		vm_sleep_ms(TICK_MS);
		if (vm_now_ms() >= until)
			journal_end_round();
		for (i = 0; i < journal->members_used; i++)
			if (!look_after(&journal->members[i]) && !patience)
				patience = vm_now_ms() + 1000;
	} while (any_thread_lives() && (!patience || vm_now_ms() < patience));
	return !any_thread_lives();
}

static bool run_threads(int64_t until)
{
	unsigned int i, count = journal->threads;
	pthread_t threads[THREADS_MAX];
	bool ended;

	for (i = 0; i < count; i++) {
		struct member *member = &journal->members[i];

		journal->members_used++;
		member_init(member, ((uint64_t)journal->round << 32) + i,
			    false);
		member->live = true;
		member->since = vm_now_ms();
	}
	for (i = 0; i < count; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, thread_main,
						&journal->members[i]), 0);
	ended = watch(until);
	for (i = 0; ended && i < count; i++)
		pthread_join(threads[i], NULL);
	return ended;
}

/*
 * Everything is closed: what still holds a file is a request that leaked. Not so
 * where the run has failed: nobody has waited for the children then.
 */
static bool close_files(void)
{
	int64_t until = vm_now_ms() + journal->hang_ms;
	unsigned int i;
	int left;

	for (i = 0; i < FILES; i++)
		close(FILE_BASE + i);
	while (!journal->failed &&
	       (left = files_open() - journal->files_before) > 0) {
		if (vm_now_ms() >= until) {
			journal_fail("%d open files are left though everybody closed theirs: requests that never end hold them",
				     left);
			return false;
		}
		vm_sleep_ms(TICK_MS);
	}
	return true;
}

static void drain(unsigned int channel, int fd)
{
	static unsigned char data[REGION];
	struct consumer *consumer = calloc(1, sizeof(*consumer));
	ssize_t got;

	ck_assert_ptr_nonnull(consumer);
	if (journal->round % 2)
		vm_set_flags(fd, ACHAN_OPEN_FRAMED);
	while ((got = vm_errno(read(fd, data, sizeof(data)))) > 0)
		oracle_account(consumer, channel, data, got, "drain");
	if (got != -EAGAIN)
		journal_fail("draining channel %u ended with %zd", channel,
			     got);
	free(consumer);
}

/* Sequence numbers tell how many records there were. */
static void check_sequence(unsigned int channel, const struct achan_info *after)
{
	uint64_t least, most, records = after->sequence -
		before[channel].sequence -
		(after->discarded - before[channel].discarded);

	if (channel_is_stream(channel))
		return;
	oracle_records(channel, &least, &most);
	if (records < least || records > most)
		journal_fail("channel %u counts %llu records, but %llu to %llu were written",
			     channel, (unsigned long long)records,
			     (unsigned long long)least,
			     (unsigned long long)most);
}

static void end_channel(unsigned int channel)
{
	int fd = open(vm_path(channel), O_RDWR | O_NONBLOCK | O_CLOEXEC);
	struct achan_info info;

	ck_assert_int_ge(fd, 0);
	info = vm_info(fd);
	if (info.parked_reads || info.parked_writes)
		journal_fail("channel %u has %u parked reads and %u writes of nobody",
			     channel, info.parked_reads, info.parked_writes);
	drain(channel, fd);
	info = vm_info(fd);
	if (info.bytes || vm_poll(fd, POLLIN | POLLOUT) != POLLOUT)
		journal_fail("channel %u, drained, holds %llu bytes, and poll says %#x",
			     channel, (unsigned long long)info.bytes,
			     vm_poll(fd, POLLIN | POLLOUT));
	check_sequence(channel, &info);
	close(fd);
}

/* Return: false if the run cannot go on. */
static bool run_round(int64_t until)
{
	unsigned int i;

	journal_new_round();
	open_files();
	if (!run_threads(until) || !close_files())
		return false;
	for (i = 0; i < journal->channels && !journal->failed; i++)
		end_channel(i);
	slot_suspect_dead();
	if (!journal->failed)
		oracle_compare();
	slot_unmap_all();
	return !journal->failed;
}

static bool injected(void)
{
	return journal->countdown <= 0;
}

static void report(void)
{
	if (!journal->injection)
		journal_print_counts();
	if (journal->failed)
		printf("# torture: failed in round %u; again: TORTURE_SEED=%#llx TORTURE_ROUND=%u TORTURE_THREADS=%u TORTURE_CHANNELS=%u\n# torture: %s\n",
		       journal->round, (unsigned long long)journal->seed,
		       journal->round, journal->threads, journal->channels,
		       journal->failure);
	else
		printf("# torture: %u rounds\n", journal->round);
}

bool torture_run(unsigned int seconds, int hang_ms, enum injection injection)
{
	int64_t until;

	setpgid(0, 0);
	journal_create();
	configure(seconds, hang_ms, injection);
	handle_signals();
	journal->files_before = files_open();
	until = vm_now_ms() + (int64_t)journal->seconds * 1000;
	do {
		int64_t end = vm_now_ms() + ROUND_MS;

		if (!run_round(end < until || injection ? end : until))
			break;
		journal->round++;
	} while (vm_now_ms() < until || (injection && !injected()));
	report();
	return !journal->failed;
}
