// SPDX-License-Identifier: GPL-2.0-only
/*
 * achan-irq, on lines that are raised from outside: a push button, which QEMU's
 * monitor pushes, and the alarm of a real-time clock, level-triggered. The nodes are
 * those of arm64.dts.
 */
#include "control.h"
#include "kernel_aio.h"
#include "module.h"
#include "monitor.h"

#include <poll.h>
#include <sys/mman.h>
#include <time.h>

#include <linux/achan-irq.h>

#define DEVICES		"/sys/bus/platform/devices"
#define DRIVER		"/sys/bus/platform/drivers/achan-irq"

/* QEMU holds the button for 100 ms. */
#define PUSH_MS		300

/* The clock, a PL031: where its registers are, and which. */
#define CLOCK_BASE	0x9010000
#define CLOCK_DATA	0x00
#define CLOCK_MATCH	0x04
#define CLOCK_MASK	0x10
#define CLOCK_RAW	0x14
#define CLOCK_CLEAR	0x1c

static const char * const buttons[] = { "button", "button-threaded" };
static const char * const alarms[] = { "alarm", "alarm-threaded" };

static const char * const nodes[] = {
	"button", "button-threaded", "button-debounced", "button-brief",
	"alarm", "alarm-threaded", "alarm-debounced",
};

/* Why the cases cannot run here, or NULL. */
static const char *nothing_to_raise(void)
{
	if (!monitor_is_there())
		return "the guest has no way to QEMU's monitor";
	if (access(DEVICES "/button", F_OK))
		return "the machine's device tree has no line for it";
	return NULL;
}

#define skip_without_lines()						\
	do {								\
		if (nothing_to_raise())					\
			vm_skip("%s: make check-arm64 has all",		\
				nothing_to_raise());			\
	} while (0)

static ssize_t try_put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t put;

	ck_assert_msg(fd >= 0, "open %s: %s", path, strerror(errno));
	put = vm_errno(write(fd, text, strlen(text)));
	close(fd);
	return put;
}

static void put(const char *path, const char *text)
{
	ssize_t result = try_put(path, text);

	ck_assert_msg(result == (ssize_t)strlen(text), "write \"%s\" to %s: %zd",
		      text, path, result);
}

/* A driver called none is what no driver is called. */
static void let_bind(const char *node, bool may)
{
	char path[128];

	snprintf(path, sizeof(path), DEVICES "/%s/driver_override", node);
	put(path, may ? "\n" : "none");
}

static long unload(void)
{
	return module_unload_other("achan_irq");
}

static volatile uint32_t *clock_register(unsigned int offset)
{
	static volatile char *registers;
	int fd;

	if (!registers) {
		fd = open("/dev/mem", O_RDWR | O_SYNC | O_CLOEXEC);
		ck_assert_msg(fd >= 0, "open /dev/mem: %s", strerror(errno));
		registers = mmap(NULL, vm_page_size(), PROT_READ | PROT_WRITE,
				 MAP_SHARED, fd, CLOCK_BASE);
		ck_assert_msg(registers != MAP_FAILED, "map the clock: %s",
			      strerror(errno));
		close(fd);
	}
	return (volatile uint32_t *)(registers + offset);
}

static void quiet_alarm(void)
{
	*clock_register(CLOCK_CLEAR) = 1;
	ck_assert_uint_eq(*clock_register(CLOCK_RAW), 0);
}

/* The driver anew, on the one node, or on two, whatever a case before it left. */
static void load_on(const char *node, const char *other)
{
	long result;
	size_t i;

	unload();
	quiet_alarm();
	for (i = 0; i < VM_ARRAY_SIZE(nodes); i++)
		let_bind(nodes[i], !strcmp(nodes[i], node) ||
			 (other && !strcmp(nodes[i], other)));
	result = module_load_other("achan-irq", "");
	ck_assert_msg(!result, "insmod achan-irq: %s", strerror(-result));
}

static int open_line(const char *name, int flags)
{
	struct achan_channel channel;
	long result = control_get(name, &channel);

	ck_assert_msg(!result, "there is no channel %s: %s", name,
		      strerror(-result));
	return control_node(channel.minor, flags);
}

static int load_and_open(const char *node, int flags)
{
	load_on(node, NULL);
	return open_line(node, flags);
}

static unsigned long long attribute(const char *node, const char *name)
{
	unsigned long long value;
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), DEVICES "/%s/%s", node, name);
	file = fopen(path, "re");
	ck_assert_msg(file, "open %s: %s", path, strerror(errno));
	ck_assert_int_eq(fscanf(file, "%llu", &value), 1);
	fclose(file);
	return value;
}

static void wait_attribute(const char *node, const char *name,
			   unsigned long long value)
{
	int64_t until = vm_now_ms() + vm_timeout_ms(VM_HANG_MS);

	while (attribute(node, name) != value) {
		ck_assert_msg(vm_now_ms() < until, "%s of %s is %llu, not %llu",
			      name, node, attribute(node, name), value);
		vm_sleep_ms(1);
	}
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

/* A button that is held already cannot be pushed. */
static void push_button(void)
{
	vm_sleep_ms(PUSH_MS);
	monitor_command("system_powerdown");
}

/* The alarm is for this second: if that is over, for the next one. */
static void raise_alarm(void)
{
	*clock_register(CLOCK_MASK) = 1;
	while (!*clock_register(CLOCK_RAW))
		*clock_register(CLOCK_MATCH) = *clock_register(CLOCK_DATA);
}

static void command(int fd, uint32_t value)
{
	vm_write(fd, &value, sizeof(value));
}

static struct achan_irq_record read_record(int fd)
{
	struct achan_irq_record record;

	ck_assert_int_eq(vm_poll_wait(fd, POLLIN), POLLIN);
	vm_read(fd, &record, sizeof(record));
	ck_assert_uint_eq(record.reserved, 0);
	return record;
}

static void assert_nothing(int fd)
{
	struct achan_irq_record record;

	ck_assert_int_eq(vm_poll(fd, POLLIN), 0);
	vm_set_nonblock(fd, true);
	ck_assert_int_eq(vm_errno(read(fd, &record, sizeof(record))), -EAGAIN);
	vm_set_nonblock(fd, false);
}

static void assert_first(const struct achan_irq_record *record, uint64_t before)
{
	ck_assert_uint_eq(record->sequence, 0);
	ck_assert_uint_eq(record->count, 1);
	ck_assert_uint_eq(record->debounced, 0);
	ck_assert_uint_eq(record->missed, 0);
	ck_assert_uint_ge(record->timestamp, before);
	ck_assert_uint_le(record->timestamp, now_ns());
}

START_TEST(raised_line_is_polled_and_read)
{
	uint64_t before;
	struct achan_irq_record record;
	int fd;

	skip_without_lines();
	fd = load_and_open(buttons[_i], O_RDONLY);
	assert_nothing(fd);
	before = now_ns();
	push_button();
	record = read_record(fd);
	assert_first(&record, before);
	ck_assert_uint_eq(record.flags, 0);
	assert_nothing(fd);
	ck_assert_uint_eq(attribute(buttons[_i], "count"), 1);
}
END_TEST

START_TEST(raised_line_wakes_a_blocking_read)
{
	struct achan_irq_record record;
	struct vm_transfer transfer = {
		.data = &record,
		.length = sizeof(record),
	};
	struct vm_thread thread;
	uint64_t before;

	skip_without_lines();
	transfer.fd = load_and_open(buttons[_i], O_RDONLY);
	vm_spawn(&thread, vm_read_thread, &transfer);
	vm_wait_sleeping(thread.tid);
	before = now_ns();
	push_button();
	ck_assert_int_eq(vm_join(&thread), sizeof(record));
	assert_first(&record, before);
}
END_TEST

START_TEST(raised_line_sends_sigio)
{
	int signo = SIGRTMIN + 3, fd;
	struct timespec limit = { vm_timeout_ms(VM_HANG_MS) / 1000, 0 };
	struct achan_irq_record record;
	siginfo_t info;
	sigset_t set;

	skip_without_lines();
	fd = load_and_open(buttons[_i], O_RDONLY);
	sigemptyset(&set);
	sigaddset(&set, signo);
	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	ck_assert_int_eq(vm_errno(fcntl(fd, F_SETOWN, getpid())), 0);
	ck_assert_int_eq(vm_errno(fcntl(fd, F_SETSIG, signo)), 0);
	ck_assert_int_eq(vm_errno(fcntl(fd, F_SETFL, O_ASYNC)), 0);
	push_button();
	ck_assert_int_eq(vm_errno(sigtimedwait(&set, &info, &limit)), signo);
	ck_assert_int_eq(info.si_code, POLL_IN);
	ck_assert_int_eq(info.si_fd, fd);
	ck_assert_int_eq(info.si_band, POLLIN | POLLRDNORM);
	vm_read(fd, &record, sizeof(record));
	ck_assert_uint_eq(record.count, 1);
}
END_TEST

START_TEST(raised_line_completes_a_parked_read)
{
	struct achan_irq_record record;
	io_context_t context;
	struct iocb request;
	uint64_t before;
	int fd;

	skip_without_lines();
	fd = load_and_open(buttons[_i], O_RDONLY);
	context = aio_context(1);
	aio_park_read(context, &request, fd, &record, sizeof(record));
	before = now_ns();
	push_button();
	ck_assert_int_eq(aio_result(context, &request), sizeof(record));
	assert_first(&record, before);
	assert_nothing(fd);
}
END_TEST

/* A framed read: the header has number and time as well. */
START_TEST(records_ascend)
{
	struct framed {
		struct achan_record header;
		struct achan_irq_record record;
	} frames[4];
	uint64_t before;
	size_t i;
	int fd;

	skip_without_lines();
	fd = load_and_open(buttons[_i], O_RDONLY);
	vm_set_flags(fd, ACHAN_OPEN_FRAMED);
	before = now_ns();
	for (i = 0; i < 3; i++) {
		push_button();
		wait_attribute(buttons[_i], "count", i + 1);
	}
	while (vm_info(fd).sequence < 3)
		vm_sleep_ms(1);
	ck_assert_int_eq(vm_errno(read(fd, frames, sizeof(frames))),
			 3 * sizeof(frames[0]));
	for (i = 0; i < 3; i++) {
		ck_assert_uint_eq(frames[i].header.sequence, i);
		ck_assert_uint_eq(frames[i].record.sequence, i);
		ck_assert_uint_eq(frames[i].record.count, i + 1);
		ck_assert_uint_eq(frames[i].header.timestamp,
				  frames[i].record.timestamp);
		ck_assert_uint_gt(frames[i].record.timestamp, before);
		before = frames[i].record.timestamp;
	}
	ck_assert_uint_le(before, now_ns());
}
END_TEST

START_TEST(line_that_is_not_raised_has_no_record)
{
	int button, alarm;

	skip_without_lines();
	load_on("button", "alarm");
	button = open_line("button", O_RDONLY);
	alarm = open_line("alarm", O_RDONLY);
	raise_alarm();
	read_record(alarm);
	assert_nothing(button);
	ck_assert_uint_eq(attribute("button", "count"), 0);
	push_button();
	read_record(button);
	assert_nothing(alarm);
	ck_assert_uint_eq(attribute("alarm", "count"), 1);
	quiet_alarm();
}
END_TEST

START_TEST(debounced_interrupts_have_no_record_but_are_counted)
{
	struct achan_irq_record record;
	int fd, i;

	skip_without_lines();
	fd = load_and_open("button-debounced", O_RDONLY);
	for (i = 1; i <= 3; i++) {
		push_button();
		wait_attribute("button-debounced", "count", i);
	}
	record = read_record(fd);
	ck_assert_uint_eq(record.count, 1);
	assert_nothing(fd);
	ck_assert_uint_eq(attribute("button-debounced", "debounced"), 2);
	ck_assert_uint_eq(attribute("button-debounced", "missed"), 0);
}
END_TEST

START_TEST(interrupts_further_apart_than_the_debounce_time_have_records)
{
	struct achan_irq_record record;
	int fd, i;

	skip_without_lines();
	fd = load_and_open("button-brief", O_RDONLY);
	for (i = 0; i < 3; i++) {
		push_button();
		record = read_record(fd);
		ck_assert_uint_eq(record.sequence, i);
		ck_assert_uint_eq(record.count, i + 1);
		ck_assert_uint_eq(record.debounced, 0);
	}
}
END_TEST

/* An edge while the line is off is not lost: the controller keeps one. */
START_TEST(line_that_is_turned_off_interrupts_when_it_is_on)
{
	struct achan_irq_record record;
	uint64_t before;
	int fd;

	skip_without_lines();
	fd = load_and_open(buttons[_i], O_RDWR);
	ck_assert_uint_eq(attribute(buttons[_i], "enabled"), 1);
	command(fd, ACHAN_IRQ_DISABLE);
	wait_attribute(buttons[_i], "enabled", 0);
	command(fd, ACHAN_IRQ_DISABLE);
	push_button();
	vm_sleep_ms(PUSH_MS);
	assert_nothing(fd);
	before = now_ns();
	command(fd, ACHAN_IRQ_ENABLE);
	record = read_record(fd);
	assert_first(&record, before);
	ck_assert_uint_eq(attribute(buttons[_i], "enabled"), 1);
	push_button();
	ck_assert_uint_eq(read_record(fd).count, 2);
}
END_TEST

/* The device holds the line: without more it would interrupt for ever. */
START_TEST(level_line_interrupts_once_until_it_is_enabled)
{
	struct achan_irq_record record;
	uint64_t before;
	int fd;

	skip_without_lines();
	fd = load_and_open(alarms[_i], O_RDWR);
	before = now_ns();
	raise_alarm();
	record = read_record(fd);
	assert_first(&record, before);
	ck_assert_uint_eq(record.flags, ACHAN_IRQ_DISABLED);
	ck_assert_uint_eq(attribute(alarms[_i], "enabled"), 0);
	vm_sleep_ms(PUSH_MS);
	ck_assert_uint_eq(attribute(alarms[_i], "count"), 1);
	/* The device has not been served: there it is again. */
	command(fd, ACHAN_IRQ_ENABLE);
	record = read_record(fd);
	ck_assert_uint_eq(record.sequence, 1);
	ck_assert_uint_eq(record.count, 2);
	/* Now it has. */
	quiet_alarm();
	command(fd, ACHAN_IRQ_ENABLE);
	wait_attribute(alarms[_i], "enabled", 1);
	assert_nothing(fd);
	ck_assert_uint_eq(attribute(alarms[_i], "count"), 2);
	raise_alarm();
	ck_assert_uint_eq(read_record(fd).count, 3);
	quiet_alarm();
}
END_TEST

START_TEST(what_is_no_command_is_ignored)
{
	static const char text[] = "this is longer than any command";
	int fd;

	skip_without_lines();
	fd = load_and_open("alarm", O_RDWR);
	raise_alarm();
	read_record(fd);
	quiet_alarm();
	vm_write(fd, text, sizeof(text));
	vm_write(fd, text, 3);
	command(fd, 7);
	command(fd, ACHAN_IRQ_DISABLE);
	ck_assert_uint_eq(attribute("alarm", "enabled"), 0);
	command(fd, ACHAN_IRQ_ENABLE);
	wait_attribute("alarm", "enabled", 1);
	ck_assert_uint_eq(attribute("alarm", "count"), 1);
}
END_TEST

START_TEST(level_line_with_a_debounce_time_is_refused)
{
	skip_without_lines();
	load_on("alarm-debounced", NULL);
	ck_assert_int_ne(access(DRIVER "/alarm-debounced", F_OK), 0);
	let_bind("alarm", true);
	put(DRIVER "/bind", "alarm");
	ck_assert_int_eq(access(DRIVER "/alarm", F_OK), 0);
}
END_TEST

/* Whoever waits is told, and nothing of the old channel is in the way of a new one. */
START_TEST(unbinding_ends_parked_and_sleeping_readers)
{
	struct achan_irq_record record, parked;
	struct vm_transfer transfer = {
		.data = &record,
		.length = sizeof(record),
	};
	struct vm_thread thread;
	io_context_t context;
	struct iocb request;
	int fd;

	skip_without_lines();
	fd = load_and_open(buttons[_i], O_RDWR);
	context = aio_context(1);
	aio_park_read(context, &request, fd, &parked, sizeof(parked));
	transfer.fd = vm_reopen(fd, O_RDONLY);
	vm_spawn(&thread, vm_read_thread, &transfer);
	vm_wait_sleeping(thread.tid);
	put(DRIVER "/unbind", buttons[_i]);
	ck_assert_int_eq(aio_result(context, &request), -ENODEV);
	ck_assert_int_eq(vm_join(&thread), -ENODEV);
	ck_assert_int_eq(vm_poll(fd, POLLIN) & (POLLHUP | POLLERR),
			 POLLHUP | POLLERR);
	ck_assert_int_eq(vm_errno(write(fd, "1234", 4)), -ENODEV);

	put(DRIVER "/bind", buttons[_i]);
	fd = open_line(buttons[_i], O_RDONLY);
	push_button();
	ck_assert_uint_eq(read_record(fd).count, 1);
}
END_TEST

/* A line that is off, and raised, when the driver goes. */
START_TEST(unbinding_while_the_line_is_off_leaves_nothing_behind)
{
	int fd;

	skip_without_lines();
	fd = load_and_open(alarms[_i], O_RDWR);
	raise_alarm();
	read_record(fd);
	put(DRIVER "/unbind", alarms[_i]);
	ck_assert_int_eq(vm_errno(write(fd, "1234", 4)), -ENODEV);
	put(DRIVER "/bind", alarms[_i]);
	fd = open_line(alarms[_i], O_RDWR);
	/* The device still holds it. */
	ck_assert_uint_eq(read_record(fd).count, 1);
	quiet_alarm();
	command(fd, ACHAN_IRQ_ENABLE);
	wait_attribute(alarms[_i], "enabled", 1);
	ck_assert_uint_eq(attribute(alarms[_i], "count"), 1);
}
END_TEST

START_TEST(driver_can_be_unloaded_while_files_are_open)
{
	struct achan_irq_record record;
	int fd;

	skip_without_lines();
	fd = load_and_open(buttons[_i], O_RDWR);
	push_button();
	ck_assert_int_eq(vm_poll_wait(fd, POLLIN), POLLIN);
	ck_assert_int_eq(unload(), 0);
	vm_read(fd, &record, sizeof(record));
	ck_assert_uint_eq(record.count, 1);
	ck_assert_int_eq(vm_errno(read(fd, &record, sizeof(record))), -ENODEV);
	ck_assert_int_eq(vm_poll(fd, POLLIN) & POLLHUP, POLLHUP);
}
END_TEST

/* The application writes while the line goes: it is enabled before, or never. */
static long enable_until_gone(void *argument)
{
	uint32_t on = ACHAN_IRQ_ENABLE, off = ACHAN_IRQ_DISABLE;
	int fd = *(int *)argument;
	ssize_t result;

	do {
		result = vm_errno(write(fd, &off, sizeof(off)));
		if (result > 0)
			result = vm_errno(write(fd, &on, sizeof(on)));
	} while (result > 0);
	return result;
}

/*
 * A program that wrote without a pause kept the lock that the removal waits
 * for, for as long as it liked.
 */
START_TEST(unbinding_races_with_what_is_written)
{
	unsigned int i, times = vm_repeat(20);
	struct vm_thread thread;
	int fd;

	skip_without_lines();
	load_on("alarm", NULL);
	raise_alarm();
	for (i = 0; i < times; i++) {
		fd = open_line("alarm", O_RDWR);
		vm_spawn(&thread, enable_until_gone, &fd);
		vm_sleep_ms(i % 4);
		put(DRIVER "/unbind", "alarm");
		ck_assert_int_eq(vm_join(&thread), -ENODEV);
		close(fd);
		put(DRIVER "/bind", "alarm");
	}
	quiet_alarm();
}
END_TEST

static void teardown(void)
{
	if (!nothing_to_raise())
		unload();
}

static TCase *irq_tcase(Suite *suite, const char *name)
{
	TCase *tcase = vm_tcase(suite, name);

	tcase_add_checked_fixture(tcase, NULL, teardown);
	tcase_add_unchecked_fixture(tcase, NULL, teardown);
	return tcase;
}

static void add_both(TCase *tcase, const TTest *test)
{
	tcase_add_loop_test(tcase, test, 0, VM_ARRAY_SIZE(buttons));
}

static void add_edge_cases(Suite *suite)
{
	TCase *tcase = irq_tcase(suite, "edge");

	add_both(tcase, raised_line_is_polled_and_read);
	add_both(tcase, raised_line_wakes_a_blocking_read);
	add_both(tcase, raised_line_sends_sigio);
	add_both(tcase, raised_line_completes_a_parked_read);
	add_both(tcase, records_ascend);
	tcase_add_test(tcase, line_that_is_not_raised_has_no_record);
	tcase_add_test(tcase, debounced_interrupts_have_no_record_but_are_counted);
	tcase_add_test(tcase,
		       interrupts_further_apart_than_the_debounce_time_have_records);
	add_both(tcase, line_that_is_turned_off_interrupts_when_it_is_on);
}

static void add_level_cases(Suite *suite)
{
	TCase *tcase = irq_tcase(suite, "level");

	add_both(tcase, level_line_interrupts_once_until_it_is_enabled);
	tcase_add_test(tcase, what_is_no_command_is_ignored);
	tcase_add_test(tcase, level_line_with_a_debounce_time_is_refused);
}

static void add_removal_cases(Suite *suite)
{
	TCase *tcase = irq_tcase(suite, "removal");

	add_both(tcase, unbinding_ends_parked_and_sleeping_readers);
	add_both(tcase, unbinding_while_the_line_is_off_leaves_nothing_behind);
	add_both(tcase, driver_can_be_unloaded_while_files_are_open);
	tcase_add_test(tcase, unbinding_races_with_what_is_written);
}

int main(void)
{
	Suite *suite = suite_create("irq");

	add_edge_cases(suite);
	add_level_cases(suite);
	add_removal_cases(suite);
	return vm_main(suite);
}
