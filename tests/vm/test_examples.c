// SPDX-License-Identifier: GPL-2.0-only
/*
 * The programs of userspace/examples, as they come: each sends a text through
 * the channel it is given and ends with 0 if the same came back.
 */
#include "vm.h"

#include <poll.h>
#include <sys/wait.h>

#define PREFIX	"/usr/bin/achan-example-"

static const enum vm_channel both[] = { VM_STREAM, VM_MESSAGE };

static const struct {
	const char *name;
	const char *says;	/* somewhere in its output */
} examples[] = {
	{ "blocking", "hello through the channel" },
	{ "epoll", "hello through the channel" },
	{ "sigio", "hello through the channel" },
	{ "aio", "hello through the channel" },
	{ "io_uring", "read done, 26 bytes" },
	{ "raw", "it completed, 26 bytes" },
};

#define EXAMPLES	VM_ARRAY_SIZE(examples)

/* A run of a program: what it printed, to both of its outputs. */
struct run {
	int outputs[2];
	const char *path;
	const char *device;
	char text[4096];
	int status;
};

static int execute(void *argument)
{
	struct run *run = argument;

	dup2(run->outputs[1], STDOUT_FILENO);
	dup2(run->outputs[1], STDERR_FILENO);
	close(run->outputs[0]);
	close(run->outputs[1]);
	execl(run->path, run->path, run->device, NULL);
	printf("cannot run %s: %s\n", run->path, strerror(errno));
	fflush(stdout);
	return 127;
}

static void run_program(struct run *run)
{
	size_t length = 0;
	ssize_t got;
	pid_t pid;

	ck_assert_int_eq(pipe(run->outputs), 0);
	pid = vm_fork(execute, run);
	close(run->outputs[1]);
	do {
		ck_assert_int_ne(vm_poll_wait(run->outputs[0], POLLIN), 0);
		got = read(run->outputs[0], run->text + length,
			   sizeof(run->text) - 1 - length);
		ck_assert_int_ge(got, 0);
		length += got;
	} while (got);
	run->text[length] = 0;
	run->status = vm_wait(pid);
}

START_TEST(example_gets_its_text_through_the_channel)
{
	const char *name = examples[_i / 2].name;
	int fd = vm_open(both[_i % 2], O_RDWR);
	struct run run = { .device = vm_path(both[_i % 2]) };
	char path[80];

	snprintf(path, sizeof(path), "%s%s", PREFIX, name);
	run.path = path;
	run_program(&run);
	ck_assert_msg(WIFEXITED(run.status) && !WEXITSTATUS(run.status),
		      "%s ended with status %#x and said: %s", path,
		      run.status, run.text);
	ck_assert_msg(strstr(run.text, examples[_i / 2].says),
		      "%s said: %s", path, run.text);
	/* It leaves the channel as it found it. */
	ck_assert_uint_eq(vm_info(fd).bytes, 0);
	ck_assert_uint_eq(vm_info(fd).parked_reads, 0);
	ck_assert_uint_eq(vm_info(fd).parked_writes, 0);
}
END_TEST

START_TEST(example_says_what_failed_when_there_is_no_channel)
{
	struct run run = { .device = "/dev/achan-nowhere" };
	char path[80];

	snprintf(path, sizeof(path), "%s%s", PREFIX, examples[_i].name);
	run.path = path;
	run_program(&run);
	ck_assert_msg(WIFEXITED(run.status) && WEXITSTATUS(run.status) == 1,
		      "%s ended with status %#x and said: %s", path,
		      run.status, run.text);
	ck_assert_msg(strstr(run.text, "there is no channel /dev/achan-nowhere") &&
		      strstr(run.text, "achanctl list"),
		      "%s said: %s", path, run.text);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("examples");
	TCase *tcase = vm_tcase(suite, "examples");

	tcase_add_loop_test(tcase, example_gets_its_text_through_the_channel,
			    0, 2 * EXAMPLES);
	tcase_add_loop_test(tcase,
			    example_says_what_failed_when_there_is_no_channel,
			    0, EXAMPLES);
	return vm_main(suite);
}
