// SPDX-License-Identifier: GPL-2.0-only
/* What the programs that run in the booted guest share. */
#include "vm.h"

#include <linux/capability.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

/* A case's time-out in seconds, before scaling. */
#define CASE_TIMEOUT	20

volatile sig_atomic_t vm_signals;

static int factor(const char *name)
{
	const char *value = getenv(name);
	int factor = value ? atoi(value) : 1;

	return factor > 0 ? factor : 1;
}

static int timeout_scale(void)
{
	return factor("ACHAN_TIMEOUT_SCALE");
}

unsigned int vm_repeat(unsigned int times)
{
	times /= factor("ACHAN_SLOW");
	return times ? times : 1;
}

unsigned int vm_share(unsigned int times)
{
	unsigned int rounds = factor("achan_rounds");

	return rounds > 1 ? (times + rounds - 1) / rounds : vm_repeat(times);
}

static int run_suite(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int failed;

	/* A dead guest shall have shown every line printed before. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	srunner_set_fork_status(runner, CK_FORK);
	if (!getenv("CK_TAP_LOG_FILE_NAME"))
		srunner_set_tap(runner, "-");
	srunner_run_all(runner, CK_SILENT);
	failed = srunner_ntests_failed(runner);
	if (!srunner_ntests_run(runner))
		failed = 1;
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* What vm_skip() prints, before Check's line for the case. */
#define SKIP_MARK	"# skip: "

/*
 * Check's TAP has no word for a skipped case: it calls it passed. The reason,
 * which came just before, is repeated behind the result, as TAP wants it.
 */
static void pass_on_results(FILE *results)
{
	char reason[256] = "";
	char *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, results) > 0) {
		line[strcspn(line, "\n")] = 0;
		if (*reason && !strncmp(line, "ok ", 3)) {
			printf("%s # SKIP %s\n", line, reason);
			*reason = 0;
			continue;
		}
		puts(line);
		if (!strncmp(line, SKIP_MARK, strlen(SKIP_MARK)))
			snprintf(reason, sizeof(reason), "%s",
				 line + strlen(SKIP_MARK));
		/* The plan is last: do not wait for what a case left behind. */
		if (!strncmp(line, "1..", 3))
			break;
	}
	free(line);
}

int vm_main(Suite *suite)
{
	int fds[2], status;
	FILE *results;
	pid_t pid;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (pipe2(fds, O_CLOEXEC)) {
		perror("pipe for the results of the suite");
		return EXIT_FAILURE;
	}
	pid = fork();
	if (!pid) {
		dup2(fds[1], STDOUT_FILENO);
		exit(run_suite(suite));
	}
	close(fds[1]);
	if (pid < 0) {
		perror("process for the suite");
		return EXIT_FAILURE;
	}
	results = fdopen(fds[0], "r");
	if (!results) {
		perror("stream of the suite's results");
		return EXIT_FAILURE;
	}
	pass_on_results(results);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return EXIT_FAILURE;
	return WEXITSTATUS(status);
}

TCase *vm_tcase(Suite *suite, const char *name)
{
	TCase *tcase = tcase_create(name);

	tcase_set_timeout(tcase, CASE_TIMEOUT * timeout_scale());
	suite_add_tcase(suite, tcase);
	return tcase;
}

void vm_skip_reason(const char *format, ...)
{
	va_list arguments;
	char reason[256];

	va_start(arguments, format);
	vsnprintf(reason, sizeof(reason), format, arguments);
	va_end(arguments);
	printf(SKIP_MARK "%s\n", reason);
}

const char *vm_path(enum vm_channel channel)
{
	static const struct {
		const char *variable;
		const char *path;
	} nodes[] = {
		[VM_STREAM] = { "ACHAN_STREAM", "/dev/achan0" },
		[VM_MESSAGE] = { "ACHAN_MESSAGE", "/dev/achan1" },
		[VM_STREAM_SMALL] = { "ACHAN_STREAM_SMALL", "/dev/achan2" },
		[VM_MESSAGE_SMALL] = { "ACHAN_MESSAGE_SMALL", "/dev/achan3" },
	};
	const char *path = getenv(nodes[channel].variable);

	return path ? path : nodes[channel].path;
}

int vm_open(enum vm_channel channel, int flags)
{
	const char *path = vm_path(channel);
	int fd = open(path, flags);

	ck_assert_msg(fd >= 0, "open %s with flags %#x: %s", path, flags,
		      strerror(errno));
	vm_drain(fd);
	return fd;
}

int vm_reopen(int fd, int flags)
{
	char path[40];
	int copy;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	copy = open(path, flags);
	ck_assert_msg(copy >= 0, "open %s with flags %#x: %s", path, flags,
		      strerror(errno));
	return copy;
}

void vm_drain(int fd)
{
	int reader = vm_reopen(fd, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	size_t size = vm_info(fd).ring_bytes;
	void *buffer = malloc(size);
	ssize_t got;

	ck_assert_ptr_nonnull(buffer);
	do {
		got = vm_errno(read(reader, buffer, size));
	} while (got >= 0);
	ck_assert_int_eq(got, -EAGAIN);
	free(buffer);
	close(reader);
}

/* Puts in records of @length until one is refused; returns how many. */
static size_t put_records(int writer, size_t length, uint64_t offset)
{
	void *buffer = malloc(length);
	size_t records = 0;
	ssize_t put;

	ck_assert_ptr_nonnull(buffer);
	for (;;) {
		vm_pattern(buffer, length, offset + records * length);
		put = vm_errno(write(writer, buffer, length));
		if (put != (ssize_t)length)
			break;
		records++;
	}
	ck_assert_int_eq(put, -EAGAIN);
	free(buffer);
	return records;
}

size_t vm_fill(int fd)
{
	int writer = vm_reopen(fd, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	size_t bytes = 1024 * put_records(writer, 1024, 0);

	bytes += put_records(writer, 1, bytes);
	close(writer);
	return bytes;
}

size_t vm_fill_records(int fd, size_t length)
{
	int writer = vm_reopen(fd, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	size_t records = put_records(writer, length, 0);

	close(writer);
	return records;
}

struct achan_info vm_info(int fd)
{
	struct achan_info info;

	memset(&info, 0xa5, sizeof(info));
	ck_assert_int_eq(vm_errno(ioctl(fd, ACHAN_IOC_INFO, &info)), 0);
	return info;
}

void vm_set_flags(int fd, uint32_t flags)
{
	__u32 value = flags;

	ck_assert_int_eq(vm_errno(ioctl(fd, ACHAN_IOC_SET_FLAGS, &value)), 0);
}

static short poll_for(int fd, short events, int timeout_ms)
{
	struct pollfd pollfd = { .fd = fd, .events = events };

	ck_assert_int_ge(vm_errno(poll(&pollfd, 1, timeout_ms)), 0);
	return pollfd.revents;
}

short vm_poll(int fd, short events)
{
	return poll_for(fd, events, 0);
}

short vm_poll_wait(int fd, short events)
{
	return poll_for(fd, events, vm_timeout_ms(VM_HANG_MS));
}

void vm_set_nonblock(int fd, bool nonblock)
{
	int flags = fcntl(fd, F_GETFL);

	ck_assert_int_ge(flags, 0);
	if (nonblock)
		flags |= O_NONBLOCK;
	else
		flags &= ~O_NONBLOCK;
	ck_assert_int_eq(vm_errno(fcntl(fd, F_SETFL, flags)), 0);
}

void vm_write(int fd, const void *data, size_t length)
{
	ck_assert_int_eq(vm_errno(write(fd, data, length)), (ssize_t)length);
}

void vm_read(int fd, void *data, size_t length)
{
	ck_assert_int_eq(vm_errno(read(fd, data, length)), (ssize_t)length);
}

/* A multiplicative hash of the position: no short period, no plateau. */
static unsigned char pattern_byte(uint64_t position)
{
	return (position + 1) * 0x9e3779b97f4a7c15ull >> 56;
}

void vm_pattern(void *data, size_t length, uint64_t offset)
{
	unsigned char *bytes = data;
	size_t i;

	for (i = 0; i < length; i++)
		bytes[i] = pattern_byte(offset + i);
}

ssize_t vm_pattern_wrong(const void *data, size_t length, uint64_t offset)
{
	const unsigned char *bytes = data;
	size_t i;

	for (i = 0; i < length; i++)
		if (bytes[i] != pattern_byte(offset + i))
			return i;
	return -1;
}

int64_t vm_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int vm_timeout_ms(int base)
{
	return base * timeout_scale();
}

void vm_sleep_ms(int milliseconds)
{
	struct timespec rest = {
		.tv_sec = milliseconds / 1000,
		.tv_nsec = milliseconds % 1000 * 1000000L,
	};

	while (nanosleep(&rest, &rest) && errno == EINTR)
		;
}

static void *thread_main(void *argument)
{
	struct vm_thread *thread = argument;

	thread->tid = gettid();
	__atomic_store_n(&thread->started, 1, __ATOMIC_RELEASE);
	thread->result = thread->function(thread->argument);
	return NULL;
}

void vm_spawn(struct vm_thread *thread, long (*function)(void *argument),
	      void *argument)
{
	int error;

	thread->function = function;
	thread->argument = argument;
	thread->started = 0;
	thread->result = 0;
	error = pthread_create(&thread->thread, NULL, thread_main, thread);
	ck_assert_msg(!error, "pthread_create: %s", strerror(error));
	while (!__atomic_load_n(&thread->started, __ATOMIC_ACQUIRE))
		sched_yield();
}

long vm_join(struct vm_thread *thread)
{
	int limit = vm_timeout_ms(VM_HANG_MS);
	struct timespec until;
	int error;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += limit / 1000;
	error = pthread_timedjoin_np(thread->thread, NULL, &until);
	ck_assert_msg(!error, "thread %d did not end within %d ms: %s",
		      (int)thread->tid, limit, strerror(error));
	return thread->result;
}

long vm_read_thread(void *transfer)
{
	struct vm_transfer *t = transfer;

	return vm_errno(read(t->fd, t->data, t->length));
}

long vm_write_thread(void *transfer)
{
	struct vm_transfer *t = transfer;

	return vm_errno(write(t->fd, t->data, t->length));
}

/* State letter of /proc/TID/task/TID/stat; 0 once the task is gone. */
static char task_state(pid_t tid)
{
	char text[256], *end;
	char path[64];
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int)tid,
		 (int)tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	got = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (got <= 0)
		return 0;
	text[got] = 0;
	/* The name, in parentheses, may itself hold any character. */
	end = strrchr(text, ')');
	return end && end[1] ? end[2] : 0;
}

bool vm_is_sleeping(pid_t tid)
{
	return task_state(tid) == 'S';
}

void vm_wait_sleeping(pid_t tid)
{
	int64_t until = vm_now_ms() + vm_timeout_ms(VM_HANG_MS);
	int seen = 0;

	/* Twice: not a short wait on the way to the long one. */
	while (seen < 2) {
		char state = task_state(tid);

		ck_assert_msg(state && state != 'Z',
			      "task %d ended instead of sleeping", (int)tid);
		ck_assert_msg(vm_now_ms() < until,
			      "task %d does not sleep, its state is %c",
			      (int)tid, state);
		seen = state == 'S' ? seen + 1 : 0;
		vm_sleep_ms(1);
	}
}

void vm_kill_thread(pid_t tid, int signo)
{
	ck_assert_int_eq(vm_errno(syscall(SYS_tgkill, getpid(), tid, signo)),
			 0);
}

pid_t vm_fork(int (*function)(void *argument), void *argument)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	ck_assert_msg(pid >= 0, "fork: %s", strerror(errno));
	if (!pid)
		_exit(function(argument));
	return pid;
}

int vm_wait(pid_t pid)
{
	int limit = vm_timeout_ms(VM_HANG_MS);
	int64_t until = vm_now_ms() + limit;
	int status;
	pid_t got;

	for (;;) {
		got = waitpid(pid, &status, WNOHANG);
		if (got == pid)
			return status;
		ck_assert_msg(!got || errno == EINTR, "waitpid %d: %s",
			      (int)pid, strerror(errno));
		ck_assert_msg(vm_now_ms() < until,
			      "process %d did not end within %d ms", (int)pid,
			      limit);
		vm_sleep_ms(1);
	}
}

void vm_wait_success(pid_t pid)
{
	int status = vm_wait(pid);

	ck_assert_msg(WIFEXITED(status) && !WEXITSTATUS(status),
		      "process %d ended with status %#x", (int)pid, status);
}

static void count_signal(int signo)
{
	(void)signo;
	vm_signals++;
}

void vm_count_signal(int signo, int flags)
{
	struct sigaction action = {
		.sa_handler = count_signal,
		.sa_flags = flags,
	};

	vm_signals = 0;
	sigemptyset(&action.sa_mask);
	ck_assert_int_eq(vm_errno(sigaction(signo, &action, NULL)), 0);
}

void vm_drop_capability(int capability)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];
	uint32_t bit = ~(1U << (capability % 32));
	int word = capability / 32;

	ck_assert_int_eq(vm_errno(syscall(SYS_capget, &header, data)), 0);
	data[word].effective &= bit;
	data[word].permitted &= bit;
	data[word].inheritable &= bit;
	ck_assert_int_eq(vm_errno(syscall(SYS_capset, &header, data)), 0);
}

size_t vm_page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

void vm_allow_io_uring(void)
{
	FILE *file = fopen("/proc/sys/kernel/io_uring_disabled", "w");

	if (!file)
		return;
	fputs("0\n", file);
	fclose(file);
}

void *vm_pages(size_t pages)
{
	size_t size = pages * vm_page_size();
	char *memory = mmap(NULL, size + vm_page_size(),
			    PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(memory, MAP_FAILED);
	ck_assert_int_eq(vm_errno(mprotect(memory + size, vm_page_size(),
					   PROT_NONE)), 0);
	return memory;
}

unsigned long vm_aio_setup(unsigned int events)
{
	unsigned long context = 0;

	ck_assert_int_eq(vm_errno(syscall(SYS_io_setup, events, &context)), 0);
	return context;
}

long vm_aio_destroy(unsigned long context)
{
	return vm_errno(syscall(SYS_io_destroy, context));
}

long vm_aio_submit(unsigned long context, long count, struct iocb **iocbs)
{
	return vm_errno(syscall(SYS_io_submit, context, count, iocbs));
}

long vm_aio_cancel(unsigned long context, struct iocb *iocb)
{
	/* The kernel fills no event in here since 2.6.37, but wants one. */
	uint64_t event[4];

	return vm_errno(syscall(SYS_io_cancel, context, iocb, event));
}

long vm_aio_events(unsigned long context, long minimum, long maximum,
		   struct io_event *events, int timeout_ms)
{
	int64_t until = vm_now_ms() + timeout_ms;
	struct timespec rest;
	long got;

	do {
		int64_t left = until - vm_now_ms();

		if (left < 0)
			left = 0;
		rest.tv_sec = left / 1000;
		rest.tv_nsec = left % 1000 * 1000000L;
		got = vm_errno(syscall(SYS_io_getevents, context, minimum,
				       maximum, events, &rest));
	} while (got == -EINTR);
	return got;
}
