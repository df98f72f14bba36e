// SPDX-License-Identifier: GPL-2.0-only
/*
 * What achanctl has taken from a channel it delivers, however it ends, or it says
 * how much is lost: every record is accounted for.
 */
#include "vm.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>

#define ACHANCTL	"/usr/bin/achanctl"
#define TIMED_OUT	9

static const char *const models[] = {
	"blocking", "poll", "sigio", "aio", "uring",
};

#define MODELS		VM_ARRAY_SIZE(models)

/* How a session ends: 0 by its own time-out. */
static const int enders[] = { 0, SIGTERM, SIGINT, SIGHUP };

#define ENDERS		VM_ARRAY_SIZE(enders)

/* --------------------------------------------------------- the program */

struct program {
	const char *words[12];
	int in;			/* -1: none */
	int out;
	int err;
	pid_t pid;
};

static int execute(void *argument)
{
	struct program *program = argument;

	sigset_t none;

	for (size_t i = 0; i < ENDERS; i++)
		if (enders[i])
			signal(enders[i], SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (program->in >= 0)
		dup2(program->in, STDIN_FILENO);
	dup2(program->out, STDOUT_FILENO);
	dup2(program->err, STDERR_FILENO);
	execv(ACHANCTL, (char *const *)program->words);
	return 127;
}

/* A pipe whose ends a program does not inherit. */
static void make_pipe(int ends[2])
{
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
}

static int silent(void)
{
	return open("/dev/null", O_RDWR | O_CLOEXEC);
}

/* Check's handlers, which end the whole test, are not to see what ends it. */
static void start(struct program *program)
{
	sigset_t all, saved;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &saved);
	program->pid = vm_fork(execute, program);
	sigprocmask(SIG_SETMASK, &saved, NULL);
}

/* All that comes until the end of @fd, which is closed. */
static char *read_all(int fd, size_t *length)
{
	size_t size = 65536;
	char *text = malloc(size + 1);
	ssize_t got;

	*length = 0;
	do {
		if (*length == size)
			text = realloc(text, (size *= 2) + 1);
		ck_assert_ptr_nonnull(text);
		ck_assert_int_ne(vm_poll_wait(fd, POLLIN), 0);
		got = read(fd, text + *length, size - *length);
		ck_assert_int_ge(got, 0);
		*length += (size_t)got;
	} while (got);
	text[*length] = 0;
	close(fd);
	return text;
}

static void sleep_us(long microseconds)
{
	const struct timespec time = {
		.tv_sec = microseconds / 1000000,
		.tv_nsec = microseconds % 1000000 * 1000,
	};

	nanosleep(&time, NULL);
}

/* One time in sixteen nothing happens for longer than any time-out here. */
static void rest(unsigned int count, bool pausing)
{
	if (pausing && count % 16 == 15)
		sleep_us(60000);
}

static long between(unsigned int *seed, long least, long most)
{
	return least + rand_r(seed) % (most - least + 1);
}

/* --------------------------------------------------------- the account */

/* Writes numbered records until told to stop. */
struct writer {
	struct vm_thread thread;
	int fd;
	long gap_least;		/* microseconds between two */
	long gap_most;
	int pad_most;		/* bytes behind the number */
	unsigned int seed;
	unsigned int sent;
	bool pausing;
	volatile bool stop;
};

static long write_records(void *argument)
{
	struct writer *writer = argument;
	char record[4096];
	int length;

	memset(record, 'x', sizeof(record));
	while (!writer->stop) {
		length = snprintf(record, sizeof(record), "%u", writer->sent);
		record[length] = 'x';
		length += between(&writer->seed, 0, writer->pad_most);
		record[length++] = '\n';
		if (write(writer->fd, record, (size_t)length) != length)
			return -errno;
		record[length - 1] = 'x';
		writer->sent++;
		sleep_us(between(&writer->seed, writer->gap_least,
				 writer->gap_most));
		rest(writer->sent, writer->pausing);
	}
	return 0;
}

static long stop_writer(struct writer *writer)
{
	writer->stop = true;
	return vm_join(&writer->thread);
}

/* Lines that have come, each with the number after that of the one before. */
struct account {
	unsigned int next;
	char part[8192];	/* of a line whose end has not come yet */
	size_t length;
};

static void take_bytes(struct account *account, const char *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		ck_assert_uint_lt(account->length, sizeof(account->part) - 1);
		account->part[account->length++] = bytes[i];
		if (bytes[i] != '\n')
			continue;
		account->part[account->length] = 0;
		ck_assert_msg(strtoul(account->part, NULL, 10) == account->next,
			      "%u is missing, this has come: %.20s",
			      account->next, account->part);
		account->next++;
		account->length = 0;
	}
}

/* What nobody has taken yet. */
static void take_rest(struct account *account, int fd)
{
	static char record[65536];
	ssize_t got;

	vm_set_nonblock(fd, true);
	while ((got = read(fd, record, sizeof(record))) > 0)
		take_bytes(account, record, (size_t)got);
	ck_assert_int_eq(errno, EAGAIN);
}

static void check_end(struct program *program, int ender, int timed_out)
{
	int status = vm_wait(program->pid);

	if (ender)
		ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == ender,
			      "status %#x, not signal %d", status, ender);
	else
		ck_assert_msg(WIFEXITED(status) &&
			      WEXITSTATUS(status) == timed_out,
			      "status %#x, not exit %d", status, timed_out);
}

/* ---------------------------------------------------------------- recv */

/* One run of "recv", ended in the middle of what comes. */
static void session(struct account *account, const char *model, int ender,
		    unsigned int *seed)
{
	struct program program = { .in = -1, .err = silent(), .words = {
		ACHANCTL, "recv", "--model", model, vm_path(VM_MESSAGE),
		ender ? NULL : "--timeout", "0.01",
	} };
	size_t length;
	int ends[2];
	char *text;

	make_pipe(ends);
	program.out = ends[1];
	start(&program);
	close(ends[1]);
	close(program.err);
	if (ender) {
		sleep_us(between(seed, 2000, 20000));
		kill(program.pid, ender);
	}
	text = read_all(ends[0], &length);
	take_bytes(account, text, length);
	ck_assert_uint_eq(account->length, 0);
	free(text);
	check_end(&program, ender, TIMED_OUT);
}

START_TEST(recv_loses_nothing)
{
	const char *model = models[(size_t)_i / ENDERS];
	int ender = enders[(size_t)_i % ENDERS];
	int fd = vm_open(VM_MESSAGE, O_RDWR);
	/* About as long as the time-out, or as often as can be. */
	struct writer writer = {
		.fd = fd, .gap_least = ender ? 100 : 5000,
		.gap_most = ender ? 1000 : 15000, .seed = 1 + (unsigned int)_i,
	};
	struct account account = { 0 };
	unsigned int seed = 1000 + (unsigned int)_i;

	vm_spawn(&writer.thread, write_records, &writer);
	for (unsigned int i = vm_repeat(40); i; i--)
		session(&account, model, ender, &seed);
	ck_assert_int_eq(stop_writer(&writer), 0);
	take_rest(&account, fd);
	ck_assert_uint_eq(account.next, writer.sent);
	ck_assert_uint_gt(writer.sent, 0);
	close(fd);
}
END_TEST

static uint64_t records_out(int fd)
{
	struct achan_stats stats;

	ck_assert_int_eq(ioctl(fd, ACHAN_IOC_STATS, &stats), 0);
	return stats.records_out;
}

/* The number before @words in what was said, 0 if that was not said. */
static unsigned long said(const char *text, const char *words)
{
	const char *at = strstr(text, words);

	if (!at)
		return 0;
	while (at > text && at[-1] >= '0' && at[-1] <= '9')
		at--;
	return strtoul(at, NULL, 10);
}

#define RECORD		"0123456789"

static void put_records(int fd, unsigned int count)
{
	while (count--)
		vm_write(fd, RECORD, strlen(RECORD));
}

static struct program receiver_of(const char *model, int out, int err)
{
	return (struct program){ .in = -1, .out = out, .err = err, .words = {
		ACHANCTL, "recv", "--model", model, "--framed",
		vm_path(VM_MESSAGE),
	} };
}

START_TEST(recv_says_what_a_full_disk_does_not_take)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR);
	int full = open("/dev/full", O_WRONLY | O_CLOEXEC), ends[2];
	struct program program;
	uint64_t before;
	size_t length;
	int status;
	char *text;

	put_records(fd, 20);
	before = records_out(fd);
	make_pipe(ends);
	program = receiver_of(models[_i], full, ends[1]);
	start(&program);
	close(ends[1]);
	text = read_all(ends[0], &length);
	status = vm_wait(program.pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 1,
		      "status %#x", status);
	ck_assert_ptr_nonnull(strstr(text, "No space left on device"));
	ck_assert_uint_eq(said(text, " records with "),
			  records_out(fd) - before);
	ck_assert_uint_eq(said(text, " bytes were taken"),
			  (records_out(fd) - before) * strlen(RECORD));
	free(text);
	close(full);
	close(fd);
}
END_TEST

/* Records that are whole in what has come. */
static unsigned int whole_records(const char *text)
{
	unsigned int count = 0;

	while ((text = strstr(text, RECORD "\n"))) {
		text += strlen(RECORD);
		count++;
	}
	return count;
}

/* Nobody takes the output, a signal comes: it ends, and says what is lost. */
START_TEST(recv_says_what_a_stuck_output_does_not_take)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR), ends[2], errors[2];
	struct program program;
	char *out, *err;
	uint64_t before;
	size_t length;
	int status;

	make_pipe(ends);
	ck_assert_int_gt(fcntl(ends[1], F_SETPIPE_SZ, 4096), 0);
	make_pipe(errors);
	put_records(fd, 1000);
	before = records_out(fd);
	program = receiver_of(models[_i], ends[1], errors[1]);
	start(&program);
	close(ends[1]);
	close(errors[1]);
	ck_assert_int_ne(vm_poll_wait(ends[0], POLLIN), 0);
	vm_wait_sleeping(program.pid);
	kill(program.pid, SIGTERM);
	status = vm_wait(program.pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 1,
		      "status %#x", status);
	out = read_all(ends[0], &length);
	err = read_all(errors[0], &length);
	ck_assert_ptr_nonnull(strstr(err, "the output takes nothing"));
	ck_assert_uint_eq(whole_records(out) + said(err, " records with "),
			  records_out(fd) - before);
	free(out);
	free(err);
	close(fd);
}
END_TEST

/* Nobody is there any more to take the output: what was taken is known. */
START_TEST(recv_ends_with_who_reads_it)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR), ends[2], errors[2];
	struct program program;
	uint64_t before, taken;
	char out[8192];
	size_t length;
	int status;
	char *err;

	make_pipe(ends);
	make_pipe(errors);
	before = records_out(fd);
	program = receiver_of(models[_i], ends[1], errors[1]);
	start(&program);
	close(ends[1]);
	close(errors[1]);
	put_records(fd, 1);
	ck_assert_int_ne(vm_poll_wait(ends[0], POLLIN), 0);
	ck_assert_int_gt(read(ends[0], out, sizeof(out)), 0);
	vm_wait_sleeping(program.pid);
	close(ends[0]);
	/* A read(2) that waits learns of it by the next record alone. */
	if (!strcmp(models[_i], "blocking"))
		put_records(fd, 5);
	status = vm_wait(program.pid);
	err = read_all(errors[0], &length);
	taken = records_out(fd) - before;
	ck_assert_uint_eq(1 + said(err, " records with "), taken);
	if (taken == 1)
		ck_assert_msg(WIFSIGNALED(status) &&
			      WTERMSIG(status) == SIGPIPE, "%#x", status);
	else
		ck_assert_int_eq(WEXITSTATUS(status), 1);
	if (strcmp(models[_i], "blocking"))
		ck_assert_uint_eq(taken, 1);
	free(err);
	close(fd);
}
END_TEST

/* ---------------------------------------------------------------- pipe */

/*
 * Reads what comes out at the other end, slowly. It only collects: Check's assertions
 * take locks, and a child that is forked meanwhile would wait for them for ever.
 */
struct reader {
	struct vm_thread thread;
	int fd;
	unsigned int seed;
	bool pausing;
	volatile bool stop;
	size_t length;
	char bytes[8 << 20];
};

static long read_records(void *argument)
{
	struct reader *reader = argument;
	unsigned int count = 0;
	ssize_t got;

	while (!reader->stop) {
		got = read(reader->fd, reader->bytes + reader->length,
			   sizeof(reader->bytes) - reader->length);
		if (got > 0)
			reader->length += (size_t)got;
		else if (got == 0 || errno != EAGAIN)
			return got ? -errno : -ENOSPC;
		sleep_us(between(&reader->seed, 100, 4000));
		rest(count++, reader->pausing);
	}
	return 0;
}

/* From the large ring to the small one, which is full most of the time. */
static const struct { enum vm_channel from, to; } ways[] = {
	{ VM_MESSAGE, VM_MESSAGE_SMALL }, { VM_STREAM, VM_STREAM_SMALL },
	{ VM_STREAM, VM_MESSAGE_SMALL }, { VM_MESSAGE, VM_STREAM_SMALL },
};

#define WAYS		VM_ARRAY_SIZE(ways)

static void pipe_session(enum vm_channel from, enum vm_channel to, int ender,
			 unsigned int *seed)
{
	struct program program = { .in = -1, .words = {
		ACHANCTL, "pipe", vm_path(from), vm_path(to),
		ender ? NULL : "--timeout", "0.02",
	} };
	size_t length;
	int ends[2];
	char *text;

	make_pipe(ends);
	program.out = ends[1];
	program.err = ends[1];
	start(&program);
	close(ends[1]);
	if (ender) {
		sleep_us(between(seed, 2000, 20000));
		kill(program.pid, ender);
	}
	text = read_all(ends[0], &length);
	ck_assert_msg(!strstr(text, "lost"), "it said: %s", text);
	free(text);
	check_end(&program, ender, TIMED_OUT);
}

START_TEST(pipe_loses_nothing)
{
	enum vm_channel from = ways[(size_t)_i / ENDERS].from;
	enum vm_channel to = ways[(size_t)_i / ENDERS].to;
	int ender = enders[(size_t)_i % ENDERS];
	int in = vm_open(from, O_RDWR), out = vm_open(to, O_RDWR);
	struct writer writer = {
		.fd = in, .gap_least = 100, .gap_most = 4000, .pad_most = 2000,
		.pausing = !ender, .seed = 1 + (unsigned int)_i,
	};
	struct account account = { 0 };
	static struct reader reader;
	unsigned int seed = 1000 + (unsigned int)_i;

	reader = (struct reader){ .pausing = !ender, .seed = 7 };
	reader.fd = vm_reopen(out, O_RDONLY | O_NONBLOCK);
	vm_spawn(&writer.thread, write_records, &writer);
	vm_spawn(&reader.thread, read_records, &reader);
	for (unsigned int i = vm_repeat(20); i; i--)
		pipe_session(from, to, ender, &seed);
	/* A writer that waits for room goes on when the rest is read. */
	writer.stop = true;
	reader.stop = true;
	ck_assert_int_eq(vm_join(&reader.thread), 0);
	take_bytes(&account, reader.bytes, reader.length);
	take_rest(&account, out);
	take_rest(&account, in);
	ck_assert_int_eq(stop_writer(&writer), 0);
	take_rest(&account, in);
	ck_assert_uint_eq(account.next, writer.sent);
	ck_assert_uint_gt(account.next, 0);
	close(reader.fd);
	close(in);
	close(out);
}
END_TEST

/* It once took a record that found no room, and threw it away. */
START_TEST(pipe_leaves_what_finds_no_room)
{
	int in = vm_open(VM_MESSAGE, O_RDWR);
	int out = vm_open(VM_MESSAGE_SMALL, O_RDWR);
	unsigned int seed = 1;

	vm_fill(out);
	put_records(in, 3);
	pipe_session(VM_MESSAGE, VM_MESSAGE_SMALL, 0, &seed);
	ck_assert_uint_eq(vm_info(in).bytes, 3 * strlen(RECORD));
	close(in);
	close(out);
}
END_TEST

/* One that fits into no ring of the other end stays as well. */
START_TEST(pipe_leaves_what_is_too_large)
{
	static const char large[20000];
	int in = vm_open(VM_MESSAGE, O_RDWR);
	int out = vm_open(VM_MESSAGE_SMALL, O_RDWR), ends[2];
	struct program program = { .in = -1, .words = {
		ACHANCTL, "pipe", vm_path(VM_MESSAGE),
		vm_path(VM_MESSAGE_SMALL),
	} };
	size_t length;
	char *text;

	vm_write(in, large, sizeof(large));
	make_pipe(ends);
	program.out = ends[1];
	program.err = ends[1];
	start(&program);
	close(ends[1]);
	text = read_all(ends[0], &length);
	check_end(&program, 0, 1);
	ck_assert_ptr_nonnull(strstr(text, "stays there"));
	ck_assert_uint_eq(vm_info(in).bytes, sizeof(large));
	free(text);
	close(in);
	close(out);
}
END_TEST

/* ---------------------------------------------------------------- send */

/* Of what it has read from a pipe it says how much was not sent. */
START_TEST(send_says_what_it_did_not_send)
{
	int ender = enders[_i];
	int fd = vm_open(VM_MESSAGE_SMALL, O_RDWR), input[2], errors[2];
	struct program program = { .out = silent(), .words = {
		ACHANCTL, "send", "--lines", vm_path(VM_MESSAGE_SMALL),
		ender ? NULL : "--timeout", "0.2",
	} };
	struct account account = { 0 };
	char line[16];
	size_t length, sent = 0;
	int status;
	char *text;

	make_pipe(input);
	make_pipe(errors);
	program.in = input[0];
	program.err = errors[1];
	for (unsigned int i = 0; i < 1000; i++) {
		length = (size_t)snprintf(line, sizeof(line), "%u\n", i);
		vm_write(input[1], line, length);
		sent += length;
	}
	start(&program);
	close(errors[1]);
	if (ender) {
		/* Two thirds of the lines have no room. */
		while (vm_poll(fd, POLLOUT) & POLLOUT)
			vm_sleep_ms(1);
		vm_wait_sleeping(program.pid);
		kill(program.pid, ender);
	}
	text = read_all(errors[0], &length);
	status = vm_wait(program.pid);
	ck_assert_msg(WIFEXITED(status) &&
		      WEXITSTATUS(status) == (ender ? 1 : TIMED_OUT),
		      "status %#x: %s", status, text);
	length = vm_info(fd).bytes;
	ck_assert_uint_eq(said(text, " bytes that were read") + length, sent);
	take_rest(&account, fd);
	ck_assert_uint_eq(account.length, 0);
	free(text);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("achanctl_loss");
	TCase *tcase = vm_tcase(suite, "recv");

	vm_allow_io_uring();
	tcase_add_loop_test(tcase, recv_loses_nothing, 0, MODELS * ENDERS);
	tcase_add_loop_test(tcase, recv_says_what_a_full_disk_does_not_take, 0,
			    MODELS);
	tcase_add_loop_test(tcase, recv_says_what_a_stuck_output_does_not_take,
			    0, MODELS);
	tcase_add_loop_test(tcase, recv_ends_with_who_reads_it, 0, MODELS);
	tcase = vm_tcase(suite, "pipe and send");
	tcase_add_loop_test(tcase, pipe_loses_nothing, 0, WAYS * ENDERS);
	tcase_add_test(tcase, pipe_leaves_what_finds_no_room);
	tcase_add_test(tcase, pipe_leaves_what_is_too_large);
	tcase_add_loop_test(tcase, send_says_what_it_did_not_send, 0, ENDERS);
	return vm_main(suite);
}
