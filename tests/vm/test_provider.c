// SPDX-License-Identifier: GPL-2.0-only
/*
 * The in-kernel API: channels of other modules. The first two providers are the code
 * that Documentation/provider.rst shows.
 */
#include "kernel_aio.h"
#include "module.h"
#include "probe.h"

#include <limits.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <time.h>

#define SIGNAL		(SIGRTMIN + 4)
#define RECORDS		100

/* A framed read of so much takes one record of 64 bytes. */
#define FRAME_BYTES	ACHAN_RECORD_SIZE(64)

/* As in Documentation/provider.rst. */
struct question {
	uint32_t summands[2];
};

struct answer {
	struct question question;
	uint32_t sum;
	int32_t error;
};

static long load_documented(const char *name)
{
	return module_load_other(name, "");
}

static uint64_t realtime_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

START_TEST(clock_of_the_page_says_what_time_it_is)
{
	uint64_t before = realtime_ns(), first, second;
	int fd;

	ck_assert_int_eq(load_documented("achan_clock"), 0);
	fd = provider_open("clock", O_RDONLY);
	vm_read(fd, &first, sizeof(first));
	vm_read(fd, &second, sizeof(second));
	ck_assert_uint_ge(first, before);
	ck_assert_uint_gt(second, first);
	ck_assert_uint_le(second, realtime_ns());
	ck_assert_int_eq(module_unload_other("achan_clock"), 0);
	while (read(fd, &first, sizeof(first)) > 0)
		;
	ck_assert_int_eq(errno, ENODEV);
	close(fd);
}
END_TEST

static void ask(int fd, uint32_t one, uint32_t other)
{
	struct question question = { { one, other } };

	vm_write(fd, &question, sizeof(question));
}

static void assert_answer(int fd, uint32_t one, uint32_t other)
{
	struct answer answer;

	vm_read(fd, &answer, sizeof(answer));
	ck_assert_int_eq(answer.error, 0);
	ck_assert_uint_eq(answer.question.summands[0], one);
	ck_assert_uint_eq(answer.question.summands[1], other);
	ck_assert_uint_eq(answer.sum, one + other);
}

START_TEST(adder_of_the_page_adds)
{
	int fd;

	ck_assert_int_eq(load_documented("achan_adder"), 0);
	fd = provider_open("adder", O_RDWR);
	ask(fd, 2, 3);
	assert_answer(fd, 2, 3);
	ask(fd, UINT_MAX, 1);
	assert_answer(fd, UINT_MAX, 1);
	close(fd);
	ck_assert_int_eq(module_unload_other("achan_adder"), 0);
}
END_TEST

START_TEST(adder_of_the_page_says_what_is_no_question)
{
	char data[64] = "";
	struct answer answer;
	int fd;

	ck_assert_int_eq(load_documented("achan_adder"), 0);
	fd = provider_open("adder", O_RDWR);
	vm_write(fd, data, 3);
	vm_write(fd, data, sizeof(data));
	ask(fd, 4, 5);
	vm_read(fd, &answer, sizeof(answer));
	ck_assert_int_eq(answer.error, -EINVAL);
	vm_read(fd, &answer, sizeof(answer));
	ck_assert_int_eq(answer.error, -EINVAL);
	assert_answer(fd, 4, 5);
	close(fd);
	ck_assert_int_eq(module_unload_other("achan_adder"), 0);
}
END_TEST

START_TEST(questions_asked_by_aio_are_answered)
{
	enum { QUESTIONS = 5000 };
	static struct question questions[QUESTIONS];
	static struct iocb requests[QUESTIONS];
	static struct io_event events[QUESTIONS];
	io_context_t context = aio_context(QUESTIONS);
	unsigned int i, questions_asked = vm_repeat(QUESTIONS);
	int fd, reader;

	ck_assert_int_eq(load_documented("achan_adder"), 0);
	fd = provider_open("adder", O_WRONLY);
	reader = provider_open("adder", O_RDONLY);
	for (i = 0; i < questions_asked; i++) {
		questions[i] = (struct question){ { i, 7 } };
		io_prep_pwrite(&requests[i], fd, &questions[i],
			       sizeof(questions[i]), 0);
		aio_submit(context, &requests[i]);
		assert_answer(reader, i, 7);
	}
	aio_wait(context, events, questions_asked);
	io_destroy(context);
	close(fd);
	close(reader);
	ck_assert_int_eq(module_unload_other("achan_adder"), 0);
}
END_TEST

static void bind_adder(const char *what)
{
	char path[80];
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/platform/drivers/achan_adder/%s",
		 what);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ck_assert_msg(fd >= 0, "open %s: %s", path, strerror(errno));
	ck_assert_int_eq(vm_errno(write(fd, "achan_adder", 11)), 11);
	close(fd);
}

START_TEST(unbinding_ends_readers_and_binding_brings_the_channel_back)
{
	struct answer answer;
	struct vm_transfer transfer;
	struct vm_thread thread;
	int fd;

	ck_assert_int_eq(load_documented("achan_adder"), 0);
	fd = provider_open("adder", O_RDWR);
	transfer = (struct vm_transfer){ fd, &answer, sizeof(answer) };
	vm_spawn(&thread, vm_read_thread, &transfer);
	vm_wait_sleeping(thread.tid);
	bind_adder("unbind");
	ck_assert_int_eq(vm_join(&thread), -ENODEV);
	ck_assert_int_eq(vm_errno(write(fd, &answer, 8)), -ENODEV);
	close(fd);
	bind_adder("bind");
	fd = provider_open("adder", O_RDWR);
	ask(fd, 20, 22);
	assert_answer(fd, 20, 22);
	close(fd);
	ck_assert_int_eq(module_unload_other("achan_adder"), 0);
}
END_TEST

START_TEST(channel_is_a_child_of_its_device)
{
	char link[80], target[PATH_MAX];
	ssize_t length;

	ck_assert_int_eq(load_documented("achan_adder"), 0);
	snprintf(link, sizeof(link), "/sys/class/achan/achan%u/device",
		 provider_minor("adder"));
	length = vm_errno(readlink(link, target, sizeof(target) - 1));
	ck_assert_int_gt(length, 0);
	target[length] = 0;
	ck_assert_ptr_nonnull(strstr(target, "achan_adder"));
	ck_assert_int_eq(module_unload_other("achan_adder"), 0);
}
END_TEST

static const char *context_of(int i)
{
	return probe_contexts[i];
}

/* Numbers, times and contents of @count frames that are there, from @number on. */
static void assert_frames(int fd, unsigned int count, uint64_t number)
{
	struct probe_frame frame;
	uint64_t before = 0;

	for (; count--; number++) {
		ssize_t got = vm_errno(read(fd, &frame, FRAME_BYTES));

		ck_assert_int_gt(got, (ssize_t)sizeof(frame.record));
		ck_assert_uint_eq(frame.record.sequence, number);
		ck_assert_uint_eq(frame.count, number);
		ck_assert_uint_ge(frame.record.timestamp, before);
		ck_assert_uint_le(frame.record.timestamp,
				  (uint64_t)(vm_now_ms() + 1) * 1000000);
		probe_assert_whole(&frame);
		before = frame.record.timestamp;
	}
}

/*
 * Has @count records accepted: an NMI that comes upon the lock loses its own. Returns
 * false where the machine does not have the context.
 */
static bool push_all(const char *context, unsigned int count)
{
	uint64_t wanted = probe_figure("accepted") + count, accepted;

	if (!probe_push(context, count, 64))
		return false;
	while ((accepted = probe_figure("accepted")) < wanted)
		probe_push(context, wanted - accepted, 64);
	ck_assert_uint_eq(probe_figure("refused"), 0);
	return true;
}

START_TEST(records_come_from_every_context)
{
	int fd;

	probe_load("ring_bytes=65536");
	fd = provider_open("probe", O_RDONLY | O_NONBLOCK);
	vm_set_flags(fd, ACHAN_OPEN_FRAMED);
	if (probe_push(context_of(_i), RECORDS, 64)) {
		/* On PREEMPT_RT it may follow, but the records are there. */
		ck_assert_uint_eq(probe_figure("accepted"), RECORDS);
		assert_frames(fd, RECORDS, 0);
	}
	ck_assert_int_eq(vm_errno(read(fd, &fd, 1)), -EAGAIN);
	close(fd);
	probe_unload();
}
END_TEST

/*
 * A hard interrupt that filled pinned pages changed the count by which the
 * interrupted task disables page faults; and it looked up the ring's mapping
 * under a lock that is not for interrupts.
 */
START_TEST(every_context_completes_parked_reads)
{
	struct iocb requests[RECORDS];
	static char buffers[RECORDS][64];
	io_context_t context = aio_context(RECORDS);
	uint64_t next = 0;
	unsigned int i;
	int fd;

	/* Room for all: on PREEMPT_RT they are taken when the context is left. */
	probe_load("ring_bytes=65536");
	fd = provider_open("probe", O_RDONLY);
	for (i = 0; i < RECORDS; i++)
		aio_park_read(context, &requests[i], fd, buffers[i], 64);
	if (push_all(context_of(_i), RECORDS)) {
		for (i = 0; i < RECORDS; i++) {
			uint64_t *data = (uint64_t *)buffers[i];

			ck_assert_int_eq(aio_result(context, &requests[i]), 64);
			ck_assert_uint_ge(*data, next);
			next = *data + 1;
		}
		ck_assert_uint_eq(next, probe_figure("attempts"));
	}
	io_destroy(context);
	close(fd);
	probe_unload();
}
END_TEST

/* Too large to be pinned: a worker fills it, whoever brings the record. */
START_TEST(every_context_has_the_worker_fill_large_buffers)
{
	static char buffer[AIO_WORKER_BYTES];
	io_context_t context = aio_context(1);
	struct iocb request;
	int fd;

	probe_load("");
	fd = provider_open("probe", O_RDONLY);
	aio_park_read(context, &request, fd, buffer, sizeof(buffer));
	if (push_all(context_of(_i), 1))
		ck_assert_int_eq(aio_result(context, &request), 64);
	io_destroy(context);
	close(fd);
	probe_unload();
}
END_TEST

START_TEST(every_context_wakes_sleepers)
{
	struct vm_transfer transfer;
	struct vm_thread thread;
	uint64_t data[8];
	int fd;

	probe_load("");
	fd = provider_open("probe", O_RDONLY);
	transfer = (struct vm_transfer){ fd, data, sizeof(data) };
	vm_spawn(&thread, vm_read_thread, &transfer);
	vm_wait_sleeping(thread.tid);
	if (!push_all(context_of(_i), 1))
		probe_set("push", "task 1 64");
	ck_assert_int_eq(vm_join(&thread), 64);
	ck_assert_uint_eq(data[0], 0);
	close(fd);
	probe_unload();
}
END_TEST

static long poll_thread(void *fd)
{
	return vm_poll_wait(*(int *)fd, POLLIN);
}

START_TEST(every_context_wakes_pollers)
{
	struct vm_thread thread;
	int fd;

	probe_load("");
	fd = provider_open("probe", O_RDONLY);
	vm_spawn(&thread, poll_thread, &fd);
	vm_wait_sleeping(thread.tid);
	if (!push_all(context_of(_i), 1))
		probe_set("push", "task 1 64");
	ck_assert_int_eq(vm_join(&thread), POLLIN);
	close(fd);
	probe_unload();
}
END_TEST

/*
 * A push from a hard interrupt took locks that sleep on PREEMPT_RT, which a
 * kernel that checks the nesting of raw locks complains of.
 */
START_TEST(every_context_sends_sigio)
{
	struct timespec limit = { vm_timeout_ms(VM_HANG_MS) / 1000, 0 };
	int i;
	sigset_t set;
	siginfo_t info;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGNAL);
	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	probe_load("");
	fd = provider_open("probe", O_RDONLY);
	ck_assert_int_eq(fcntl(fd, F_SETOWN, getpid()), 0);
	ck_assert_int_eq(fcntl(fd, F_SETSIG, SIGNAL), 0);
	ck_assert_int_eq(fcntl(fd, F_SETFL, O_ASYNC), 0);
	/* Where it is deferred, one signal can stand for several records. */
	if (push_all(context_of(_i), 10))
		for (i = 0; i < (_i ? 1 : 10); i++) {
			ck_assert_int_eq(vm_errno(sigtimedwait(&set, &info,
							       &limit)), SIGNAL);
			ck_assert_int_eq(info.si_fd, fd);
			ck_assert_int_eq(info.si_code, POLL_IN);
			ck_assert_int_eq(info.si_band, POLLIN | POLLRDNORM);
		}
	close(fd);
	probe_unload();
}
END_TEST

/* Puts in more than there is room for, from @context; what got lost. */
static uint64_t overrun(const char *context, unsigned int count)
{
	struct achan_stats before = control_stats("probe");

	probe_push(context, count, 64);
	return control_stats("probe").lost - before.lost;
}

/* Reads all there is: its records, and the sum of the gaps before them. */
static uint64_t gaps(int fd, uint64_t *next, uint64_t *records)
{
	struct probe_frame frame;
	uint64_t missed = 0;
	ssize_t got;

	while ((got = vm_errno(read(fd, &frame, FRAME_BYTES))) > 0) {
		ck_assert_uint_ge(frame.record.sequence, *next);
		/* Numbers and attempts go together. */
		ck_assert_uint_eq(frame.record.sequence, frame.count);
		missed += frame.record.sequence - *next;
		*next = frame.record.sequence + 1;
		(*records)++;
	}
	ck_assert_int_eq(got, -EAGAIN);
	return missed;
}

static const struct {
	const char *parameters;
	uint32_t overflow;
} policies[] = {
	{ "overflow=1", ACHAN_OVERFLOW_REJECT },
	{ "overflow=2", ACHAN_OVERFLOW_DROP },
	{ "overflow=3", ACHAN_OVERFLOW_OVERWRITE },
};

static void assert_counted(uint32_t overflow, uint64_t lost)
{
	struct achan_stats stats = control_stats("probe");

	ck_assert_uint_eq(stats.lost, lost);
	ck_assert_uint_eq(stats.rejected,
			  overflow == ACHAN_OVERFLOW_REJECT ? lost : 0);
	ck_assert_uint_eq(stats.dropped,
			  overflow == ACHAN_OVERFLOW_DROP ? lost : 0);
	ck_assert_uint_eq(stats.overwritten,
			  overflow == ACHAN_OVERFLOW_OVERWRITE ? lost : 0);
	ck_assert_uint_eq(probe_figure("refused"), stats.rejected);
}

START_TEST(loss_is_counted_and_the_gaps_are_the_count)
{
	uint64_t next = 0, records = 0, lost = 0, missed = 0;
	size_t i;
	int fd;

	probe_load(policies[_i].parameters);
	fd = provider_open("probe", O_RDONLY | O_NONBLOCK);
	vm_set_flags(fd, ACHAN_OPEN_FRAMED);
	for (i = 0; i < probe_context_count; i++) {
		lost += overrun(probe_contexts[i], 200);
		missed += gaps(fd, &next, &records);
	}
	/* What was lost last shows with the next record. */
	probe_set("push", "task 1 64");
	missed += gaps(fd, &next, &records);
	ck_assert_uint_gt(lost, 0);
	ck_assert_uint_eq(missed, lost);
	ck_assert_uint_eq(records + lost, probe_figure("attempts"));
	assert_counted(policies[_i].overflow, lost);
	close(fd);
	probe_unload();
}
END_TEST

struct asker {
	int fd;
	bool stop;
};

/* Each question holds the ring's lock for a while. */
static long ask_for_info(void *data)
{
	struct asker *asker = data;
	struct achan_info info;

	while (!__atomic_load_n(&asker->stop, __ATOMIC_RELAXED))
		if (ioctl(asker->fd, ACHAN_IOC_INFO, &info))
			return -errno;
	return 0;
}

/* What it could not count under the lock, who asks next counts. */
START_TEST(record_lost_to_the_lock_in_an_nmi_shows_in_the_number_of_the_next)
{
	struct asker asker = { .stop = false };
	unsigned int tries = 5000;
	struct vm_thread thread;

	probe_load("");
	asker.fd = provider_open("probe", O_RDONLY);
	vm_spawn(&thread, ask_for_info, &asker);
	while (tries-- && !probe_figure("busy"))
		if (!probe_push("nmi", 1, 64))
			break;
	__atomic_store_n(&asker.stop, true, __ATOMIC_RELAXED);
	ck_assert_int_eq(vm_join(&thread), 0);
	if (!probe_figure("busy"))
		vm_skip("no NMI came upon the lock");
	ck_assert_uint_eq(vm_info(asker.fd).sequence,
			  probe_figure("attempts"));
	close(asker.fd);
	probe_unload();
}
END_TEST

START_TEST(provider_is_told_of_room_once_a_record_was_refused)
{
	uint64_t data[8];
	int fd, i;

	probe_load("");
	fd = provider_open("probe", O_RDONLY);
	probe_set("push", "task 10 64");
	vm_read(fd, data, sizeof(data));
	ck_assert_uint_eq(probe_figure("room"), 0);
	probe_set("push", "task 200 64");
	ck_assert_uint_gt(probe_figure("refused"), 0);
	ck_assert_uint_eq(probe_figure("room"), 0);
	for (i = 0; i < 10; i++)
		vm_read(fd, data, sizeof(data));
	ck_assert_uint_eq(probe_figure("room"), 1);
	close(fd);
	probe_unload();
}
END_TEST

START_TEST(overflow_can_be_changed)
{
	struct achan_config config = { .overflow = ACHAN_OVERFLOW_OVERWRITE };
	struct achan_channel channel;

	probe_load("");
	control_set("probe", ACHAN_SET_OVERFLOW, &config);
	ck_assert_int_eq(control_get("probe", &channel), 0);
	ck_assert_uint_eq(channel.config.overflow, ACHAN_OVERFLOW_OVERWRITE);
	probe_set("push", "task 200 64");
	ck_assert_uint_eq(probe_figure("refused"), 0);
	ck_assert_uint_gt(control_stats("probe").overwritten, 0);
	probe_unload();
}
END_TEST

START_TEST(first_open_and_last_close_are_told)
{
	int first, second;

	probe_load("");
	first = provider_open("probe", O_RDONLY);
	second = provider_open("probe", O_RDONLY);
	ck_assert_uint_eq(probe_figure("opened"), 1);
	close(first);
	ck_assert_uint_eq(probe_figure("closed"), 0);
	close(second);
	ck_assert_uint_eq(probe_figure("closed"), 1);
	first = provider_open("probe", O_RDONLY);
	ck_assert_uint_eq(probe_figure("opened"), 2);
	close(first);
	probe_unload();
}
END_TEST

START_TEST(provider_may_refuse_an_open)
{
	char path[40];
	int fd;

	probe_load("");
	snprintf(path, sizeof(path), "/dev/achan%u", provider_minor("probe"));
	probe_set("refuse", "%d", -EHOSTDOWN);
	ck_assert_int_eq(vm_errno(open(path, O_RDONLY)), -EHOSTDOWN);
	ck_assert_uint_eq(control_stats("probe").readers, 0);
	probe_set("refuse", "0");
	fd = provider_open("probe", O_RDONLY);
	close(fd);
	ck_assert_uint_eq(probe_figure("opened"), 1);
	ck_assert_uint_eq(probe_figure("closed"), 1);
	probe_unload();
}
END_TEST

START_TEST(what_takes_nothing_cannot_be_opened_for_writing)
{
	char path[40];

	probe_load("");
	snprintf(path, sizeof(path), "/dev/achan%u", provider_minor("probe"));
	ck_assert_int_eq(vm_errno(open(path, O_WRONLY)), -EACCES);
	ck_assert_int_eq(vm_errno(open(path, O_RDWR)), -EACCES);
	probe_unload();
}
END_TEST

START_TEST(records_come_in_the_order_of_their_reservation)
{
	struct probe_frame frame;
	int fd;

	probe_load("");
	fd = provider_open("probe", O_RDONLY | O_NONBLOCK);
	vm_set_flags(fd, ACHAN_OPEN_FRAMED);
	probe_set("hold", "64");
	probe_set("hold", "64");
	probe_set("hold", "64");
	probe_set("push", "task 1 64");
	ck_assert_int_eq(vm_poll(fd, POLLIN), 0);
	ck_assert_int_eq(vm_errno(read(fd, &frame, FRAME_BYTES)), -EAGAIN);
	probe_set("settle", "commit");
	ck_assert_int_eq(vm_poll(fd, POLLIN), POLLIN);
	ck_assert_int_gt(vm_errno(read(fd, &frame, FRAME_BYTES)), 0);
	ck_assert_uint_eq(frame.count, 0);
	probe_set("settle", "discard");
	ck_assert_int_eq(vm_poll(fd, POLLIN), 0);
	probe_set("settle", "commit");
	ck_assert_int_gt(vm_errno(read(fd, &frame, FRAME_BYTES)), 0);
	ck_assert_uint_eq(frame.record.sequence, 2);
	ck_assert_int_gt(vm_errno(read(fd, &frame, FRAME_BYTES)), 0);
	ck_assert_uint_eq(frame.record.sequence, 3);
	ck_assert_uint_eq(control_stats("probe").discarded, 1);
	close(fd);
	probe_unload();
}
END_TEST

START_TEST(commit_completes_a_parked_read)
{
	io_context_t context = aio_context(1);
	struct iocb request;
	char buffer[64];
	int fd;

	probe_load("");
	fd = provider_open("probe", O_RDONLY);
	aio_park_read(context, &request, fd, buffer, sizeof(buffer));
	probe_set("hold", "64");
	ck_assert(aio_idle(context));
	probe_set("settle", "commit");
	ck_assert_int_eq(aio_result(context, &request), 64);
	io_destroy(context);
	close(fd);
	probe_unload();
}
END_TEST

/*
 * -EMSGSIZE became a large length: a record longer than the provider's buffer
 * was copied over what lies behind that.
 */
START_TEST(what_is_written_is_pulled_as_it_was_written)
{
	struct achan_stats stats;
	char data[300] = "written";
	int fd;

	probe_load("writable=1");
	fd = provider_open("probe", O_RDWR);
	ck_assert_int_eq(probe_try("pull", "1 256"), -EAGAIN);
	vm_write(fd, data, 100);
	vm_write(fd, data, sizeof(data));
	ck_assert_uint_eq(probe_figure("written"), 2);
	ck_assert_int_eq(probe_try("pull", "1 99"), -EMSGSIZE);
	ck_assert_int_eq(probe_try("pull", "1 100"), 0);
	ck_assert_int_eq(probe_try("pull", "1 256"), -EMSGSIZE);
	stats = control_stats("probe");
	ck_assert_uint_eq(stats.written, 2);
	ck_assert_uint_eq(stats.pulled, 1);
	ck_assert_uint_eq(stats.records_in, 0);
	close(fd);
	probe_unload();
}
END_TEST

START_TEST(pulling_lets_writers_go_on)
{
	static char data[4000];
	struct vm_transfer transfer;
	struct vm_thread thread;
	io_context_t context = aio_context(1);
	struct iocb request;
	int fd, i;

	probe_load("writable=1");
	fd = provider_open("probe", O_RDWR);
	for (i = 0; i < 40; i++)
		vm_write(fd, data, 176);
	aio_park_write(context, &request, fd, data, 200);
	transfer = (struct vm_transfer){ fd, data, 201 };
	vm_spawn(&thread, vm_write_thread, &transfer);
	vm_wait_sleeping(thread.tid);
	probe_set("pull", "40 256");
	ck_assert_int_eq(aio_result(context, &request), 200);
	ck_assert_int_eq(vm_join(&thread), 201);
	probe_set("pull", "2 256");
	ck_assert_int_eq(probe_try("pull", "1 256"), -EAGAIN);
	io_destroy(context);
	close(fd);
	probe_unload();
}
END_TEST

struct writer {
	int fd;
	unsigned int records;
};

static long write_records(void *argument)
{
	struct writer *writer = argument;
	uint64_t data[4] = { 0 };
	unsigned int i;

	for (i = 0; i < writer->records; i++)
		if (write(writer->fd, data, sizeof(data)) != sizeof(data))
			return -errno;
	return 0;
}

/*
 * Calls to the provider that came at the same time, or from within its own calls,
 * where a lock of its own would be held, would be found here.
 */
START_TEST(calls_to_the_provider_come_one_at_a_time)
{
	enum { WRITERS = 4 };
	struct writer writers[WRITERS];
	struct vm_thread threads[WRITERS];
	unsigned int i, records = vm_repeat(4000);
	uint64_t data[4];
	int fd;

	probe_load("echo=1 overflow=3 ring_bytes=8192");
	fd = provider_open("probe", O_RDWR);
	for (i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){ vm_reopen(fd, O_WRONLY), records };
		vm_spawn(&threads[i], write_records, &writers[i]);
	}
	for (i = 0; i < WRITERS; i++) {
		ck_assert_int_eq(vm_join(&threads[i]), 0);
		close(writers[i].fd);
	}
	while (probe_figure("pulled") < WRITERS * records)
		vm_sleep_ms(1);
	ck_assert_uint_eq(probe_figure("overlaps"), 0);
	ck_assert_uint_eq(probe_figure("own_calls"), 0);
	ck_assert_uint_eq(probe_figure("failed"), 0);
	vm_read(fd, data, sizeof(data));
	close(fd);
	probe_unload();
}
END_TEST

START_TEST(channel_of_a_provider_is_its_own_to_remove)
{
	struct achan_create create = control_loop("other");

	probe_load("");
	ck_assert_int_eq(control_remove("probe"), -EPERM);
	create.config.kind = ACHAN_KIND_PROVIDER;
	ck_assert_int_eq(control_call(ACHAN_CTL_CREATE, &create), -EINVAL);
	probe_unload();
	ck_assert_int_eq(control_remove("probe"), -ENOENT);
}
END_TEST

START_TEST(name_that_there_is_makes_loading_fail)
{
	struct achan_create create = control_loop("probe");
	int ret;

	control_make(&create);
	ret = module_load_other("achan_probe", "");
	/* A newer kernel keeps EEXIST for a module that is loaded already. */
	ck_assert(ret == -EEXIST || ret == -EBUSY);
	ck_assert_int_eq(control_remove("probe"), 0);
	probe_load("");
	probe_unload();
	ck_assert_int_eq(module_load_other("achan_probe", "mode=3"), -EINVAL);
	ck_assert_int_eq(module_load_other("achan_probe", "ring_bytes=1"),
			 -EINVAL);
}
END_TEST

START_TEST(achan_stays_loaded_as_long_as_a_provider_is)
{
	probe_load("");
	ck_assert_int_eq(module_unload(), -EAGAIN);
	probe_unload();
}
END_TEST

/* The module goes while its channel is read in four ways. */
START_TEST(rmmod_with_open_files_makes_it_a_removed_channel)
{
	io_context_t context = aio_context(1);
	struct vm_transfer transfer;
	struct vm_thread sleeper, poller;
	char buffer[64], data[64];
	struct iocb request;
	uint64_t left;
	int fd, other;

	probe_load("");
	fd = provider_open("probe", O_RDONLY);
	other = vm_reopen(fd, O_RDONLY);
	aio_park_read(context, &request, fd, buffer, sizeof(buffer));
	transfer = (struct vm_transfer){ fd, data, sizeof(data) };
	vm_spawn(&sleeper, vm_read_thread, &transfer);
	vm_spawn(&poller, poll_thread, &other);
	vm_wait_sleeping(sleeper.tid);
	vm_wait_sleeping(poller.tid);
	probe_unload();
	ck_assert_int_eq(aio_result(context, &request), -ENODEV);
	ck_assert_int_eq(vm_join(&sleeper), -ENODEV);
	ck_assert_int_eq(vm_join(&poller), POLLIN | POLLHUP | POLLERR);
	ck_assert_int_eq(vm_errno(read(other, &left, 8)), -ENODEV);
	/* Another one of the same name is another channel. */
	probe_load("");
	ck_assert_int_eq(vm_errno(read(other, &left, 8)), -ENODEV);
	probe_unload();
	io_destroy(context);
	close(fd);
	close(other);
}
END_TEST

START_TEST(records_left_by_a_provider_that_has_gone_are_read)
{
	uint64_t data[8];
	int fd, i;

	probe_load("");
	fd = provider_open("probe", O_RDONLY);
	probe_set("push", "hardirq 5 64");
	probe_unload();
	for (i = 0; i < 5; i++) {
		vm_read(fd, data, sizeof(data));
		ck_assert_uint_eq(data[0], i);
	}
	ck_assert_int_eq(vm_errno(read(fd, data, sizeof(data))), -ENODEV);
	close(fd);
}
END_TEST

START_TEST(each_reader_of_a_broadcast_sees_every_record)
{
	uint64_t next[2] = { 0 }, records[2] = { 0 };
	int fd[2], i;

	probe_load("delivery=2 ring_bytes=65536");
	for (i = 0; i < 2; i++) {
		fd[i] = provider_open("probe", O_RDONLY | O_NONBLOCK);
		vm_set_flags(fd[i], ACHAN_OPEN_FRAMED);
	}
	if (push_all(context_of(_i), RECORDS)) {
		for (i = 0; i < 2; i++) {
			ck_assert_int_eq(vm_poll_wait(fd[i], POLLIN), POLLIN);
			while (records[i] < RECORDS)
				gaps(fd[i], &next[i], &records[i]);
			ck_assert_uint_eq(control_file_stats(fd[i]).lost,
					  probe_figure("busy"));
		}
	}
	close(fd[0]);
	close(fd[1]);
	probe_unload();
}
END_TEST

START_TEST(marks_and_moderation_hold_for_every_context)
{
	uint64_t data[8];
	int fd;

	probe_load("read_low=256 moderate_usecs=1000");
	fd = provider_open("probe", O_RDONLY);
	if (push_all(context_of(_i), 3)) {
		ck_assert_int_eq(vm_poll(fd, POLLIN), 0);
		push_all(context_of(_i), 1);
		ck_assert_int_eq(vm_poll_wait(fd, POLLIN), POLLIN);
		vm_read(fd, data, sizeof(data));
	}
	close(fd);
	probe_unload();
}
END_TEST

START_TEST(info_and_sysfs_tell_a_provider)
{
	char path[80], text[32] = "";
	struct achan_info info;
	FILE *file;
	int fd;

	probe_load("");
	fd = provider_open("probe", O_RDONLY);
	info = vm_info(fd);
	ck_assert_uint_eq(info.kind, ACHAN_KIND_PROVIDER);
	ck_assert_str_eq(info.name, "probe");
	snprintf(path, sizeof(path), "/sys/class/achan/achan%u/kind",
		 provider_minor("probe"));
	file = fopen(path, "r");
	ck_assert_ptr_nonnull(file);
	ck_assert_ptr_nonnull(fgets(text, sizeof(text), file));
	fclose(file);
	ck_assert_str_eq(text, "provider\n");
	close(fd);
	probe_unload();
}
END_TEST

static void add_contexts(Suite *suite)
{
	TCase *tcase = probe_tcase(suite, "contexts");
	int count = probe_context_count;

	tcase_add_loop_test(tcase, records_come_from_every_context, 0, count);
	tcase_add_loop_test(tcase, every_context_completes_parked_reads, 0,
			    count);
	tcase_add_loop_test(tcase,
			    every_context_has_the_worker_fill_large_buffers, 0,
			    count);
	tcase_add_loop_test(tcase, every_context_wakes_sleepers, 0, count);
	tcase_add_loop_test(tcase, every_context_wakes_pollers, 0, count);
	tcase_add_loop_test(tcase, every_context_sends_sigio, 0, count);
	tcase_add_loop_test(tcase, each_reader_of_a_broadcast_sees_every_record,
			    0, count);
	tcase_add_loop_test(tcase, marks_and_moderation_hold_for_every_context,
			    0, count);
}

int main(void)
{
	Suite *suite = suite_create("provider");
	TCase *tcase;

	tcase = probe_tcase(suite, "documented");
	tcase_add_test(tcase, clock_of_the_page_says_what_time_it_is);
	tcase_add_test(tcase, adder_of_the_page_adds);
	tcase_add_test(tcase, adder_of_the_page_says_what_is_no_question);
	tcase_add_test(tcase, questions_asked_by_aio_are_answered);
	tcase_add_test(tcase,
		       unbinding_ends_readers_and_binding_brings_the_channel_back);
	tcase_add_test(tcase, channel_is_a_child_of_its_device);
	add_contexts(suite);
	tcase = probe_tcase(suite, "loss");
	tcase_add_loop_test(tcase, loss_is_counted_and_the_gaps_are_the_count,
			    0, VM_ARRAY_SIZE(policies));
	tcase_add_test(tcase,
		       record_lost_to_the_lock_in_an_nmi_shows_in_the_number_of_the_next);
	tcase_add_test(tcase,
		       provider_is_told_of_room_once_a_record_was_refused);
	tcase_add_test(tcase, overflow_can_be_changed);
	tcase = probe_tcase(suite, "calls");
	tcase_add_test(tcase, first_open_and_last_close_are_told);
	tcase_add_test(tcase, provider_may_refuse_an_open);
	tcase_add_test(tcase, what_takes_nothing_cannot_be_opened_for_writing);
	tcase_add_test(tcase, records_come_in_the_order_of_their_reservation);
	tcase_add_test(tcase, commit_completes_a_parked_read);
	tcase_add_test(tcase, what_is_written_is_pulled_as_it_was_written);
	tcase_add_test(tcase, pulling_lets_writers_go_on);
	tcase_add_test(tcase, calls_to_the_provider_come_one_at_a_time);
	tcase_add_test(tcase, info_and_sysfs_tell_a_provider);
	tcase = probe_tcase(suite, "removal");
	tcase_add_test(tcase, channel_of_a_provider_is_its_own_to_remove);
	tcase_add_test(tcase, name_that_there_is_makes_loading_fail);
	tcase_add_test(tcase, achan_stays_loaded_as_long_as_a_provider_is);
	tcase_add_test(tcase, rmmod_with_open_files_makes_it_a_removed_channel);
	tcase_add_test(tcase,
		       records_left_by_a_provider_that_has_gone_are_read);
	return vm_main(suite);
}
