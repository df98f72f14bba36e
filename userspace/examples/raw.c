// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What libachan does for you, as bare system calls: a signal for every commit,
 * and an asynchronous read that waits in the driver.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "example.h"

static volatile sig_atomic_t signals, signal_fd = -1;

static void on_signal(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	if (info->si_code == POLL_IN) {
		signals++;
		signal_fd = info->si_fd;
	}
}

static void write_text(int fd)
{
	must_errno(write(fd, EXAMPLE_TEXT, sizeof(EXAMPLE_TEXT)), "write");
}

static void round_trip_by_signal(int fd)
{
	struct sigaction action = { .sa_sigaction = on_signal,
				    .sa_flags = SA_SIGINFO | SA_RESTART };
	sigset_t set, former;
	char text[256];
	long length;
	int flags;

	/* Blocked until sigsuspend(), so that none comes before it waits. */
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, &former);
	must_errno(sigaction(SIGRTMIN, &action, NULL), "handle the signal");
	must_errno(fcntl(fd, F_SETSIG, SIGRTMIN), "choose the signal");
	must_errno(fcntl(fd, F_SETOWN, getpid()), "choose who gets it");
	flags = must_errno(fcntl(fd, F_GETFL), "get the flags");
	must_errno(fcntl(fd, F_SETFL, flags | O_ASYNC), "ask for signals");
	/* A file that cannot signal does not say so, but leaves it off. */
	if (!(must_errno(fcntl(fd, F_GETFL), "get the flags") & O_ASYNC))
		must(-EOPNOTSUPP, "ask for signals");

	write_text(fd);
	while (!signals)
		sigsuspend(&former);
	length = must_errno(read(fd, text, sizeof(text)), "read");
	must_match(text, length);
	printf("raw: %d signal for descriptor %d, read %ld bytes\n",
	       (int)signals, (int)signal_fd, length);
	must_errno(fcntl(fd, F_SETFL, flags), "end signals");
	sigprocmask(SIG_SETMASK, &former, NULL);
}

static void round_trip_by_aio(int fd)
{
	char text[256];
	struct iocb iocb = {
		.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_fildes = fd,
		.aio_buf = (uintptr_t)text,
		.aio_nbytes = sizeof(text),
	};
	struct iocb *iocbs[] = { &iocb };
	aio_context_t context = 0;
	struct io_event event;

	must_errno(syscall(SYS_io_setup, 1, &context), "set up AIO");
	must_errno(syscall(SYS_io_submit, context, 1L, iocbs), "submit");
	printf("raw: asynchronous read submitted, waits\n");
	write_text(fd);
	must_errno(syscall(SYS_io_getevents, context, 1L, 1L, &event, NULL),
		   "wait for the completion");
	must_match(text, must(event.res, "read"));
	printf("raw: it completed, %d bytes\n", (int)event.res);
	must_errno(syscall(SYS_io_destroy, context), "end AIO");
}

int main(int argc, char **argv)
{
	const char *device = example_device(argc, argv);
	int fd = open(device, O_RDWR | O_CLOEXEC);

	must_open(fd < 0 ? -errno : fd, device);

	round_trip_by_signal(fd);
	round_trip_by_aio(fd);
	close(fd);
	return 0;
}
