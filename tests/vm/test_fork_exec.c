// SPDX-License-Identifier: GPL-2.0-only
/* Open files that other processes get: by fork, exec, and over a socket. */
#include "vm.h"

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

/* What a process started by exec of this program is told to do. */
#define ROLE_COPY	"copy"		/* standard input to standard output */
#define ROLE_IS_OPEN	"is-open"	/* exit 0 if descriptor is open */
#define ROLE_READ_FIVE	"read-five"	/* exit 0 if it gives "12345" */

static int copy_input(void)
{
	char data[4096];
	ssize_t n;

	/* One empty line ends it: a channel has no end of file. */
	while ((n = read(STDIN_FILENO, data, sizeof(data))) > 0) {
		if (n == 1 && data[0] == '\n')
			return 0;
		if (write(STDOUT_FILENO, data, n) != n)
			return 1;
	}
	return 2;
}

static int play_role(const char *role, int fd)
{
	char got[8];

	if (!strcmp(role, ROLE_COPY))
		return copy_input();
	if (!strcmp(role, ROLE_IS_OPEN))
		return fcntl(fd, F_GETFD) < 0;
	if (!strcmp(role, ROLE_READ_FIVE))
		return read(fd, got, sizeof(got)) != 5 ||
		       memcmp(got, "12345", 5);
	return 99;
}

static void exec_role(const char *role, int fd)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", fd);
	execl("/proc/self/exe", "test_fork_exec", role, number, NULL);
	_exit(98);
}

/* The child has the very open file of its parent. */
static int set_flags_and_write(void *argument)
{
	int fd = *(int *)argument;
	__u32 flags = ACHAN_OPEN_FRAMED;

	if (ioctl(fd, ACHAN_IOC_SET_FLAGS, &flags) ||
	    fcntl(fd, F_SETFL, O_NONBLOCK) || write(fd, "child", 5) != 5)
		return 1;
	return 0;
}

START_TEST(child_shares_the_open_file)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR);
	char got[64];

	vm_wait_success(vm_fork(set_flags_and_write, &fd));
	ck_assert_int_ne(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	ck_assert_uint_eq(vm_info(fd).open_flags, ACHAN_OPEN_FRAMED);
	vm_read(fd, got, ACHAN_RECORD_SIZE(5));
	ck_assert_mem_eq(got + sizeof(struct achan_record), "child", 5);
	ck_assert_int_eq(vm_errno(read(fd, got, sizeof(got))), -EAGAIN);
}
END_TEST

/* A child that closes or dies leaves its parent's open file alone. */
static int close_and_die(void *argument)
{
	close(*(int *)argument);
	kill(getpid(), SIGKILL);
	return 1;
}

START_TEST(end_of_a_child_leaves_the_open_file_alone)
{
	int fd = vm_open(_i, O_RDWR);
	char got[8];
	struct vm_transfer transfer = { fd, got, sizeof(got) };
	struct vm_thread reader;

	vm_spawn(&reader, vm_read_thread, &transfer);
	vm_wait_sleeping(reader.tid);
	ck_assert(WIFSIGNALED(vm_wait(vm_fork(close_and_die, &fd))));
	vm_wait_sleeping(reader.tid);
	vm_write(fd, "12345", 5);
	ck_assert_int_eq(vm_join(&reader), 5);
}
END_TEST

/* Data goes from child to parent in the order it was written. */
static int write_numbers(void *argument)
{
	int fd = *(int *)argument;
	uint32_t number;

	for (number = 0; number < 2000; number++)
		if (write(fd, &number, sizeof(number)) != sizeof(number))
			return 1;
	return 0;
}

START_TEST(child_writes_and_parent_reads)
{
	int fd = vm_open(_i, O_RDWR);
	pid_t pid = vm_fork(write_numbers, &fd);
	uint32_t number, got;

	for (number = 0; number < 2000; number++) {
		vm_read(fd, &got, sizeof(got));
		ck_assert_uint_eq(got, number);
	}
	vm_wait_success(pid);
}
END_TEST

/*
 * The copy of the parent's memory that a fork makes during a read must not
 * get the parent's data, nor the parent the copy.
 */
struct onlooker {
	int fds[2];
	const char *memory;
};

static int look_when_told(void *argument)
{
	struct onlooker *onlooker = argument;
	char byte;

	if (read(onlooker->fds[0], &byte, 1) != 1)
		return 1;
	return strcmp(onlooker->memory, "before");
}

START_TEST(fork_during_a_read_keeps_the_memories_apart)
{
	int fd = vm_open(_i, O_RDWR);
	char *got = vm_pages(1);
	struct vm_transfer transfer = { fd, got, 64 };
	struct onlooker onlooker = { .memory = got };
	struct vm_thread reader;
	pid_t pid;

	ck_assert_int_eq(pipe(onlooker.fds), 0);
	memcpy(got, "before", sizeof("before"));
	vm_spawn(&reader, vm_read_thread, &transfer);
	vm_wait_sleeping(reader.tid);
	pid = vm_fork(look_when_told, &onlooker);
	vm_write(fd, "after!", 6);
	ck_assert_int_eq(vm_join(&reader), 6);
	ck_assert_mem_eq(got, "after!", 6);
	vm_write(onlooker.fds[1], "x", 1);
	vm_wait_success(pid);
}
END_TEST

/* Without FD_CLOEXEC the program started has the descriptor. */
static int exec_reader(void *argument)
{
	exec_role(ROLE_READ_FIVE, *(int *)argument);
	return 1;
}

START_TEST(exec_keeps_the_descriptor)
{
	int fd = vm_open(_i, O_RDWR);
	pid_t pid = vm_fork(exec_reader, &fd);

	vm_write(fd, "12345", 5);
	vm_wait_success(pid);
}
END_TEST

static int exec_is_open(void *argument)
{
	exec_role(ROLE_IS_OPEN, *(int *)argument);
	return 99;
}

/* With it, not. */
START_TEST(exec_closes_a_close_on_exec_descriptor)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR | O_CLOEXEC);
	int status = vm_wait(vm_fork(exec_is_open, &fd));

	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 1);
	ck_assert_int_eq(fcntl(fd, F_SETFD, 0), 0);
	vm_wait_success(vm_fork(exec_is_open, &fd));
}
END_TEST

/* exec ends the other threads, be they asleep in the channel or not. */
static int exec_with_sleeping_threads(void *argument)
{
	struct vm_transfer transfers[4];
	struct vm_thread threads[4];
	static char got[4][8];
	int i, fd = *(int *)argument;

	for (i = 0; i < 4; i++) {
		transfers[i] = (struct vm_transfer){ fd, got[i], 8 };
		vm_spawn(&threads[i], vm_read_thread, &transfers[i]);
		vm_wait_sleeping(threads[i].tid);
	}
	exec_role(ROLE_READ_FIVE, fd);
	return 1;
}

START_TEST(exec_ends_threads_that_sleep_in_the_channel)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR);
	pid_t pid = vm_fork(exec_with_sleeping_threads, &fd);
	char link[256] = { 0 }, path[64];
	FILE *file;

	/* The program started has one argument more, its role. */
	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	do {
		vm_sleep_ms(1);
		file = fopen(path, "re");
		ck_assert_ptr_nonnull(file);
		link[fread(link, 1, sizeof(link) - 1, file)] = 0;
		fclose(file);
	} while (strcmp(link, "test_fork_exec") ||
		 strcmp(link + strlen(link) + 1, ROLE_READ_FIVE));
	vm_wait_sleeping(pid);
	/* None of the threads that are gone has it. */
	vm_write(fd, "12345", 5);
	vm_wait_success(pid);
}
END_TEST

/* exit likewise. */
static int exit_with_sleeping_threads(void *argument)
{
	struct vm_transfer transfers[4];
	struct vm_thread threads[4];
	static char got[4][8];
	int i, fd = *(int *)argument;

	for (i = 0; i < 4; i++) {
		transfers[i] = (struct vm_transfer){ fd, got[i], 8 };
		vm_spawn(&threads[i], vm_read_thread, &transfers[i]);
		vm_wait_sleeping(threads[i].tid);
	}
	return 0;
}

START_TEST(exit_ends_threads_that_sleep_in_the_channel)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR);
	char got[8];

	vm_wait_success(vm_fork(exit_with_sleeping_threads, &fd));
	vm_write(fd, "12345", 5);
	vm_read(fd, got, 5);
}
END_TEST

/* Standard input and output of a program that knows nothing of channels. */
static int exec_copy(void *argument)
{
	int *fds = argument;

	if (dup2(fds[0], STDIN_FILENO) < 0 || dup2(fds[1], STDOUT_FILENO) < 0)
		return 1;
	exec_role(ROLE_COPY, 0);
	return 1;
}

START_TEST(standard_input_and_output_can_be_channels)
{
	int in = vm_open(VM_STREAM, O_RDWR);
	int out = vm_open(VM_MESSAGE, O_RDWR);
	int fds[2] = { in, out };
	pid_t pid = vm_fork(exec_copy, fds);
	char got[64];

	vm_write(in, "first", 5);
	vm_read(out, got, 5);
	vm_write(in, "second", 6);
	vm_read(out, got, 6);
	ck_assert_mem_eq(got, "second", 6);
	vm_write(in, "\n", 1);
	vm_wait_success(pid);
}
END_TEST

static void send_descriptor(int socket, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec part = { "x", 1 };
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(int));
	ck_assert_int_eq(vm_errno(sendmsg(socket, &message, 0)), 1);
}

static int receive_descriptor(int socket)
{
	char control[CMSG_SPACE(sizeof(int))], byte;
	struct iovec part = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	int fd;

	if (recvmsg(socket, &message, 0) != 1 || !CMSG_FIRSTHDR(&message))
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	return fd;
}

/* The child had no descriptor of the channel when it was made. */
static int use_received_descriptor(void *argument)
{
	int fd = receive_descriptor(*(int *)argument);
	char got[8];

	if (fd < 0 || read(fd, got, sizeof(got)) != 5)
		return 1;
	return write(fd, "answer", 6) != 6;
}

START_TEST(descriptor_passes_over_a_unix_socket)
{
	int sockets[2], fd, other;
	char got[8];
	pid_t pid;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	pid = vm_fork(use_received_descriptor, &sockets[1]);
	fd = vm_open(VM_MESSAGE, O_RDWR);
	other = vm_reopen(fd, O_RDWR);
	vm_write(fd, "12345", 5);
	send_descriptor(sockets[0], fd);
	close(fd);
	vm_wait_success(pid);
	vm_read(other, got, 6);
	ck_assert_mem_eq(got, "answer", 6);
}
END_TEST

/* One in flight, whose socket is thrown away, is closed with it. */
START_TEST(descriptor_in_flight_is_closed_with_its_socket)
{
	int sockets[2], fd = vm_open(VM_MESSAGE, O_RDWR);
	int other = vm_reopen(fd, O_RDWR);
	char got[8];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	send_descriptor(sockets[0], fd);
	close(fd);
	close(sockets[0]);
	close(sockets[1]);
	vm_write(other, "12345", 5);
	vm_read(other, got, 5);
}
END_TEST

/* Rights are asked for in open: an open file keeps working without them. */
static int use_as_nobody(void *argument)
{
	int fd = *(int *)argument;
	char got[8];

	if (syscall(SYS_setresgid, 65534, 65534, 65534) ||
	    syscall(SYS_setresuid, 65534, 65534, 65534))
		return 1;
	if (write(fd, "12345", 5) != 5 || read(fd, got, sizeof(got)) != 5)
		return 2;
	if (open(vm_path(VM_MESSAGE), O_RDWR) >= 0 || errno != EACCES)
		return 3;
	return 0;
}

START_TEST(open_file_outlives_the_rights_to_open_it)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR);

	vm_wait_success(vm_fork(use_as_nobody, &fd));
}
END_TEST

int main(int argc, char **argv)
{
	Suite *suite;
	TCase *tcase;

	if (argc == 3)
		return play_role(argv[1], atoi(argv[2]));

	suite = suite_create("fork_exec");
	tcase = vm_tcase(suite, "fork");
	tcase_add_test(tcase, child_shares_the_open_file);
	tcase_add_loop_test(tcase, end_of_a_child_leaves_the_open_file_alone,
			    VM_STREAM, VM_MESSAGE + 1);
	tcase_add_loop_test(tcase, child_writes_and_parent_reads, VM_STREAM,
			    VM_MESSAGE + 1);
	tcase_add_loop_test(tcase, fork_during_a_read_keeps_the_memories_apart,
			    VM_STREAM, VM_MESSAGE + 1);
	tcase_add_test(tcase, exit_ends_threads_that_sleep_in_the_channel);
	tcase_add_test(tcase, open_file_outlives_the_rights_to_open_it);

	tcase = vm_tcase(suite, "exec");
	tcase_add_loop_test(tcase, exec_keeps_the_descriptor, VM_STREAM,
			    VM_MESSAGE + 1);
	tcase_add_test(tcase, exec_closes_a_close_on_exec_descriptor);
	tcase_add_test(tcase, exec_ends_threads_that_sleep_in_the_channel);
	tcase_add_test(tcase, standard_input_and_output_can_be_channels);

	tcase = vm_tcase(suite, "socket");
	tcase_add_test(tcase, descriptor_passes_over_a_unix_socket);
	tcase_add_test(tcase, descriptor_in_flight_is_closed_with_its_socket);
	return vm_main(suite);
}
