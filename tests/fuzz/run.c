// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of one program: its memory, descriptors, time and threads. It runs
 * in a process of its own that does nothing else.
 *
 *	ARENA	64 pages of plain memory, the second half not present yet
 *		a page that must not be touched
 *		2 pages that can be read only
 *		4 pages of a shared file that has 2
 *		nothing
 */
#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define PAGE		4096UL
#define ARENA		0x100000000UL
#define ARENA_PAGES	64
#define READ_ONLY	(ARENA + (ARENA_PAGES + 1) * PAGE)
#define SHARED		(READ_ONLY + 2 * PAGE)
#define HOLE		(SHARED + 4 * PAGE)

/* Alarms after which the program has had its time. */
#define ALARMS_MAX	20

const struct fuzz_operation fuzz_operations[] = {
#define OPERATION(name, weight, ...) \
	{ #name, fuzz_##name, { __VA_ARGS__ }, weight }
	OPERATION(open, 4, FUZZ_TO, FUZZ_CHANNEL, FUZZ_FLAGS),
	OPERATION(close, 2, FUZZ_FD),
	OPERATION(dup, 2, FUZZ_FD, FUZZ_TO, FUZZ_COMMAND),
	OPERATION(read, 8, FUZZ_FD, FUZZ_BUFFER, FUZZ_LENGTH),
	OPERATION(write, 10, FUZZ_FD, FUZZ_BUFFER, FUZZ_LENGTH),
	OPERATION(readv, 6, FUZZ_FD, FUZZ_BUFFER, FUZZ_LENGTH, FUZZ_COUNT,
		  FUZZ_BUFFER2, FUZZ_LENGTH2, FUZZ_FLAGS),
	OPERATION(writev, 6, FUZZ_FD, FUZZ_BUFFER, FUZZ_LENGTH, FUZZ_COUNT,
		  FUZZ_BUFFER2, FUZZ_LENGTH2, FUZZ_FLAGS),
	OPERATION(pread, 1, FUZZ_FD, FUZZ_BUFFER, FUZZ_LENGTH, FUZZ_OFFSET),
	OPERATION(pwrite, 1, FUZZ_FD, FUZZ_BUFFER, FUZZ_LENGTH, FUZZ_OFFSET),
	OPERATION(ioctl, 6, FUZZ_FD, FUZZ_COMMAND, FUZZ_BUFFER, FUZZ_VALUE),
	OPERATION(poll, 4, FUZZ_FD, FUZZ_EVENTS, FUZZ_TIMEOUT, FUZZ_COMMAND),
	OPERATION(epoll, 4, FUZZ_FD, FUZZ_COMMAND, FUZZ_EVENTS, FUZZ_TIMEOUT),
	OPERATION(fcntl, 5, FUZZ_FD, FUZZ_COMMAND, FUZZ_VALUE),
	OPERATION(splice, 5, FUZZ_FD, FUZZ_TO, FUZZ_LENGTH, FUZZ_FLAGS),
	OPERATION(tee, 1, FUZZ_FD, FUZZ_TO, FUZZ_LENGTH, FUZZ_FLAGS),
	OPERATION(vmsplice, 2, FUZZ_FD, FUZZ_BUFFER, FUZZ_LENGTH, FUZZ_FLAGS),
	OPERATION(sendfile, 3, FUZZ_FD, FUZZ_TO, FUZZ_LENGTH),
	OPERATION(mmap, 1, FUZZ_FD, FUZZ_LENGTH, FUZZ_FLAGS),
	OPERATION(seek, 1, FUZZ_FD, FUZZ_OFFSET, FUZZ_COMMAND),
	OPERATION(file, 2, FUZZ_FD, FUZZ_COMMAND),
	OPERATION(memory, 4, FUZZ_BUFFER, FUZZ_LENGTH, FUZZ_COMMAND),
	OPERATION(aio_setup, 1, FUZZ_CONTEXT, FUZZ_COUNT),
	OPERATION(aio_submit, 16, FUZZ_CONTEXT, FUZZ_REQUEST, FUZZ_COMMAND,
		  FUZZ_FD, FUZZ_BUFFER, FUZZ_LENGTH, FUZZ_FLAGS),
	OPERATION(aio_cancel, 4, FUZZ_CONTEXT, FUZZ_REQUEST),
	OPERATION(aio_getevents, 3, FUZZ_CONTEXT, FUZZ_COUNT, FUZZ_TIMEOUT),
	OPERATION(aio_destroy, 1, FUZZ_CONTEXT),
	OPERATION(uring_submit, 6, FUZZ_COMMAND, FUZZ_FD, FUZZ_BUFFER,
		  FUZZ_LENGTH, FUZZ_FLAGS, FUZZ_REQUEST, FUZZ_EVENTS),
	OPERATION(uring_wait, 2, FUZZ_COUNT),
	OPERATION(fork, 1, FUZZ_COUNT),
	OPERATION(thread, 3, FUZZ_COUNT),
	OPERATION(exec, 1, FUZZ_NONE),
	OPERATION(signal, 1, FUZZ_COMMAND),
	OPERATION(limit, 2, FUZZ_COMMAND),
	OPERATION(fail, 5, FUZZ_VALUE),
	OPERATION(sleep, 2, FUZZ_TIMEOUT),
	OPERATION(userfault, 1, FUZZ_COMMAND),
};

const unsigned int fuzz_nr_operations = FUZZ_ARRAY_SIZE(fuzz_operations);

const uint64_t fuzz_values[16] = {
	0, 1, 2, 3, 4, 8, 16, 24, 255, 4096, 65536, 1U << 30, 0x7fffffff,
	0x80000000, 0xffffffff, ~0ULL,
};

static struct fuzz_report *report;
static const struct fuzz_program *program;
static bool tracing;
static int slots[16];
static bool path_only[16];
static int memory_file = -1;
static volatile sig_atomic_t alarms;
static unsigned int fail_at;
/* Another thread or process of the program may be at work. */
static bool together;
static pthread_t second;
static bool second_runs;

/* ------------------------------------------------------------- reports */

void fuzz_finding(const char *format, ...)
{
	va_list arguments;

	if (report->set)
		return;
	va_start(arguments, format);
	vsnprintf(report->text, sizeof(report->text), format, arguments);
	va_end(arguments);
	report->set = true;
}

bool fuzz_alone(void)
{
	return !together;
}

/* What the manual of read(), write() and this driver does not know is wrong. */
static bool known_error(long error)
{
	static const int errors[] = {
		EAGAIN, EBADF, EFAULT, EINTR, EINVAL, EMSGSIZE, ENOMEM,
		EOPNOTSUPP, ESPIPE, ECANCELED,
	};

	for (size_t i = 0; i < FUZZ_ARRAY_SIZE(errors); i++)
		if (error == -errors[i])
			return true;
	return false;
}

void fuzz_check_transfer(const char *name, size_t bytes, long result)
{
	if (!fuzz_alone())
		return;
	if (result < 0 && !known_error(result))
		fuzz_finding("%s of %zu bytes gives error %ld", name, bytes,
			     -result);
	if (!result && bytes)
		fuzz_finding("%s of %zu bytes gives 0", name, bytes);
	if (result > 0 && (size_t)result > bytes)
		fuzz_finding("%s of %zu bytes gives %ld", name, bytes, result);
}

/* ----------------------------------------------------------- arguments */

static int memfd(void)
{
	return syscall(SYS_memfd_create, "fuzz", 0);
}

static int open_slot(uint8_t slot)
{
	static const char *const path[FUZZ_CHANNELS] = {
		"/dev/achan0", "/dev/achan1", "/dev/achan2", "/dev/achan3",
	};

	switch (slot) {
	case 0 ... 3:
		return open(path[slot], O_RDWR | O_NONBLOCK);
	case 4 ... 7:
		return open(path[slot - 4], O_RDWR);
	case 8:
	case 9:
		if (pipe2(&slots[8], O_NONBLOCK))
			return -1;
		return slots[slot];
	case 10:
		return memory_file;
	case 11:
		return eventfd(0, EFD_NONBLOCK);
	case 12:
		return fuzz_epoll_fd();
	case 13:
		return fuzz_uring_fd();
	case 15:
		path_only[slot] = true;
		return open(path[0], O_PATH);
	}
	return -1;
}

int fuzz_fd(uint8_t slot)
{
	slot %= 16;
	if (slots[slot] < 0)
		slots[slot] = open_slot(slot);
	return slots[slot];
}

/* Slots other than these keep what they stand for. */
void fuzz_set_fd(uint8_t slot, int fd)
{
	slot %= 8;
	if (slots[slot] >= 0)
		close(slots[slot]);
	slots[slot] = fd;
	path_only[slot] = fd >= 0 && fcntl(fd, F_GETFL) & O_PATH;
}

bool fuzz_is_channel(uint8_t slot)
{
	return slot % 16 < 8 && !path_only[slot % 16];
}

void *fuzz_buffer(uint8_t selector)
{
	static const uint16_t offsets[16] = {
		0, 1, 3, 8, 24, 100, 2047, 4064, 4072, 4080, 4088, 4092, 4095,
		4096, 16, 512,
	};
	unsigned long offset = offsets[selector % 16];

	switch (selector / 16) {
	case 8:
		return (void *)(ARENA + ARENA_PAGES * PAGE - offset);
	case 9:
		return (void *)(READ_ONLY + offset);
	case 10:
		return (void *)(SHARED + offset);
	case 11:
		return (void *)(SHARED + 2 * PAGE - offset);
	case 12:
		return (void *)(HOLE + offset);
	case 13:
		return (void *)offset;
	case 14:
		return (void *)(0xffff888000000000UL + offset);
	case 15:
		return (void *)(offset - PAGE);
	}
	return (void *)(ARENA + selector / 16 * 8 * PAGE + offset);
}

size_t fuzz_length(uint8_t selector)
{
	static const size_t lengths[32] = {
		0, 1, 2, 7, 8, 16, 23, 24, 25, 32, 100, 1000, 4064, 4072, 4095,
		4096, 4097, 8168, 8169, 8192, 8193, 12288, 16384, 32768, 65512,
		65513, 65536, 131072, 262144, 1U << 20, 0x7ffff000, SIZE_MAX,
	};

	return lengths[selector % 32];
}

int fuzz_rw_flags(uint8_t selector)
{
	/* RWF_NOWAIT alone and often, the others as they come. */
	return selector & 0x80 ? 0x8 : selector & 0x3f;
}

/* By the kernel, which says -EFAULT where there is no such memory. */
void fuzz_poke(uint8_t buffer, uint8_t value)
{
	struct iovec from = { .iov_base = (void *)&fuzz_values[value % 16],
			      .iov_len = sizeof(fuzz_values[0]) };
	struct iovec to = { .iov_base = fuzz_buffer(buffer),
			    .iov_len = sizeof(fuzz_values[0]) };

	if (buffer / 16 < 12)
		syscall(SYS_process_vm_writev, getpid(), &from, 1, &to, 1, 0);
}

int fuzz_vector(struct iovec *iov, const uint8_t *argument, size_t *bytes)
{
	static const int counts[8] = { 1, 2, 3, 4, 0, 8, 16, -1 };
	int count = counts[argument[3] % 8];

	*bytes = 0;
	for (int i = 0; i < count; i++) {
		bool other = i & 1;

		iov[i].iov_base = fuzz_buffer(argument[other ? 4 : 1]);
		iov[i].iov_len = fuzz_length(argument[other ? 5 : 2]);
		*bytes += iov[i].iov_len;
	}
	return count;
}

/* ------------------------------------------------------------- process */

static void on_alarm(int signo)
{
	(void)signo;
	if (++alarms >= ALARMS_MAX)
		_exit(0);
}

static void on_signal(int signo)
{
	(void)signo;
}

static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	for (int signo = 1; signo <= SIGRTMAX; signo++)
		if (signo != SIGSEGV && signo != SIGBUS && signo != SIGABRT)
			sigaction(signo, &action, NULL);
	action.sa_handler = on_alarm;
	sigaction(SIGALRM, &action, NULL);
}

/* Calls that sleep come back with EINTR, and a program that lasts ends. */
static void start_alarms(void)
{
	struct itimerval timer = {
		.it_interval.tv_usec = FUZZ_ALARM_MS * 1000,
		.it_value.tv_usec = FUZZ_ALARM_MS * 1000,
	};

	alarms = 0;
	setitimer(ITIMER_REAL, &timer, NULL);
}

static void map(unsigned long address, unsigned long pages, int protection,
		int flags, int fd)
{
	void *got = mmap((void *)address, pages * PAGE, protection,
			 flags | MAP_FIXED_NOREPLACE, fd, 0);

	if (got != (void *)address) {
		fuzz_finding("the fuzzer itself: no memory at %#lx: %s",
			     address, strerror(errno));
		_exit(1);
	}
}

static void map_memory(void)
{
	memory_file = memfd();
	if (ftruncate(memory_file, 2 * PAGE))
		_exit(1);
	map(ARENA, ARENA_PAGES, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1);
	map(ARENA + ARENA_PAGES * PAGE, 1, PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1);
	map(READ_ONLY, 2, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	map(SHARED, 4, PROT_READ | PROT_WRITE, MAP_SHARED, memory_file);
	for (unsigned long page = 0; page < ARENA_PAGES / 2; page++)
		*(volatile unsigned char *)(ARENA + page * PAGE) = page;
}

/* --------------------------------------------------------------- calls */

/*
 * Opened once for each thread, since closing it after it was written would be
 * what fails. The file is that of the thread that opened it.
 */
static void write_fail_nth(unsigned int nth)
{
	static __thread int fd = -1;
	static __thread pid_t owner;
	pid_t self = syscall(SYS_gettid);
	char text[16];

	if (owner != self) {
		fd = open("/proc/thread-self/fail-nth", O_WRONLY | O_CLOEXEC);
		owner = self;
	}
	if (fd < 0)
		return;
	/* Where nothing has failed yet, this does: and once is enough. */
	snprintf(text, sizeof(text), "%u", nth);
	while (pwrite(fd, text, strlen(text), 0) < 0 && !nth && errno == EFAULT)
		;
}

void fuzz_fail_next(unsigned int nth)
{
	fail_at = nth;
}

static void run_call(const struct fuzz_call *call)
{
	const struct fuzz_operation *operation =
		&fuzz_operations[call->operation];
	unsigned int nth = fail_at;
	long result;

	fail_at = 0;
	/* What the slot stands for is opened without the failure. */
	for (int i = 0; i < FUZZ_ARGS; i++)
		if (operation->kind[i] == FUZZ_FD)
			fuzz_fd(call->argument[i]);
	if (nth)
		write_fail_nth(nth);
	result = operation->call(call->argument);
	if (nth)
		write_fail_nth(0);
	if (tracing) {
		printf("  %d %s %s", (int)syscall(SYS_gettid), operation->name,
		       nth ? "(one thing failing) " : "");
		for (int i = 0; i < FUZZ_ARGS && operation->kind[i]; i++)
			printf("%u ", call->argument[i]);
		printf("= %ld%s%s\n", result, result < 0 ? " " : "",
		       result < 0 ? strerror(-result) : "");
		fflush(stdout);
	}
}

static unsigned int position;

static void run_calls(unsigned int from, unsigned int to)
{
	while (from < to && from < program->count) {
		/* What a thread or process of its own runs, it skips. */
		position = from + 1;
		run_call(&program->call[from]);
		from = position > from ? position : from + 1;
	}
}

struct range {
	unsigned int from, to;
};

static struct range second_range;

static void *run_second(void *unused)
{
	struct range range = second_range;

	(void)unused;
	fuzz_coverage_start(FUZZ_SECOND);
	/* Plain calls only: it starts nothing itself, and skips nothing. */
	for (; range.from < range.to; range.from++)
		run_call(&program->call[range.from]);
	return NULL;
}

static struct range take_range(unsigned int count)
{
	struct range range = { position, position + count };

	if (range.to > program->count)
		range.to = program->count;
	return range;
}

long fuzz_thread_next(unsigned int count)
{
	struct range range = take_range(count);

	if (together)
		return -EBUSY;
	together = true;
	second_range = range;
	if (pthread_create(&second, NULL, run_second, NULL))
		return -EAGAIN;
	second_runs = true;
	position = range.to;
	return 0;
}

long fuzz_fork_next(unsigned int count)
{
	struct range range = take_range(count);
	pid_t pid;

	if (together)
		return -EBUSY;
	together = true;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid) {
		start_alarms();
		second_range = range;
		run_second(NULL);
		_exit(0);
	}
	position = range.to;
	return 0;
}

/* A thread that does not end dies with the process, which is a case as well. */
static void wait_second(void)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 2 * FUZZ_ALARM_MS * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	if (second_runs)
		pthread_timedjoin_np(second, NULL, &until);
}

/* Slabs and user copies fail when a program asks for it, and quietly. */
static void set(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY);

	/* A kernel without fault injection has no such file. */
	if (fd < 0)
		return;
	if (write(fd, value, strlen(value)) < 0)
		perror(path);
	close(fd);
}

void fuzz_run_prepare(struct fuzz_report *new_report)
{
	report = new_report;
	set("/sys/kernel/debug/failslab/ignore-gfp-wait", "N");
	set("/sys/kernel/debug/failslab/verbose", "0");
	set("/sys/kernel/debug/fail_page_alloc/verbose", "0");
	set("/sys/kernel/debug/fail_usercopy/verbose", "0");
	set("/sys/kernel/debug/fail_futex/verbose", "0");
}

void fuzz_run(const struct fuzz_program *new_program, bool trace)
{
	program = new_program;
	tracing = trace;
	for (size_t i = 0; i < FUZZ_ARRAY_SIZE(slots); i++)
		slots[i] = -1;
	/* Nothing of it outlives the fuzzer. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setsid();
	catch_signals();
	map_memory();
	start_alarms();
	fuzz_coverage_start(FUZZ_MAIN);
	run_calls(0, program->count);
	wait_second();
}
