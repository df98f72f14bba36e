// SPDX-License-Identifier: GPL-2.0-only
/* Removal, raced RACES times against each I/O model, and against open(). */
#include "control.h"
#include "kernel_aio.h"

#include <liburing.h>
#include <poll.h>
#include <sys/epoll.h>

#define RACES	1000

static struct achan_create create;

/* What a model works with. Contexts are kept: io_destroy() takes long. */
struct work {
	int fd;
	io_context_t context;
};

/*
 * The models. Each does its work on a channel until that is an error, which it
 * returns; it may have moved records before.
 */
static long model_read(void *argument)
{
	char data[64];
	ssize_t got;

	do {
		got = vm_errno(read(((struct work *)argument)->fd, data, sizeof(data)));
	} while (got > 0);
	return got;
}

static long model_write(void *argument)
{
	char data[1000] = { 0 };
	ssize_t put;

	do {
		put = vm_errno(write(((struct work *)argument)->fd, data, sizeof(data)));
	} while (put > 0);
	return put;
}

static long model_poll(void *argument)
{
	struct pollfd pollfd = { ((struct work *)argument)->fd, POLLIN | POLLOUT, 0 };
	char data[64];

	do {
		if (poll(&pollfd, 1, vm_timeout_ms(VM_HANG_MS)) != 1)
			return -ETIMEDOUT;
		if (write(pollfd.fd, data, sizeof(data)) > 0)
			(void)!read(pollfd.fd, data, sizeof(data));
	} while (!(pollfd.revents & POLLHUP));
	return pollfd.revents & POLLERR ? -ENODEV : -EBADMSG;
}

static long model_epoll(void *argument)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int epoll = epoll_create1(0), fd = ((struct work *)argument)->fd;
	long ret = -ENODEV;

	epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
	do {
		if (epoll_wait(epoll, &event, 1,
			       vm_timeout_ms(VM_HANG_MS)) != 1) {
			ret = -ETIMEDOUT;
			break;
		}
	} while (!(event.events & EPOLLHUP));
	close(epoll);
	return ret;
}

static long aio_until_error(struct work *work, bool write, size_t length)
{
	struct timespec limit = { vm_timeout_ms(VM_HANG_MS) / 1000, 0 };
	struct iocb request, *list = &request;
	struct io_event event;
	char *data = calloc(1, length);
	long ret;

	do {
		if (write)
			io_prep_pwrite(&request, work->fd, data, length, 0);
		else
			io_prep_pread(&request, work->fd, data, length, 0);
		ret = io_submit(work->context, 1, &list);
		if (ret != 1)
			break;
		ret = -ETIMEDOUT;
		if (io_getevents(work->context, 1, 1, &event, &limit) == 1)
			ret = event.res;
	} while (ret >= 0);
	free(data);
	return ret;
}

static long model_aio_read(void *argument)
{
	return aio_until_error(argument, false, 64);
}

static long model_aio_worker_read(void *argument)
{
	return aio_until_error(argument, false, AIO_WORKER_BYTES);
}

static long model_aio_write(void *argument)
{
	return aio_until_error(argument, true, 1000);
}

static long model_uring(void *argument)
{
	struct __kernel_timespec limit = { vm_timeout_ms(VM_HANG_MS) / 1000, 0 };
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	char data[64];
	long ret;

	ret = io_uring_queue_init(2, &ring, 0);
	if (ret)
		return ret == -ENOSYS || ret == -EPERM ? -ENODEV : ret;
	do {
		io_uring_prep_read(io_uring_get_sqe(&ring), ((struct work *)argument)->fd,
				   data, sizeof(data), -1);
		io_uring_submit(&ring);
		ret = io_uring_wait_cqe_timeout(&ring, &cqe, &limit);
		if (ret)
			break;
		ret = cqe->res;
		io_uring_cqe_seen(&ring, cqe);
	} while (ret > 0);
	io_uring_queue_exit(&ring);
	return ret;
}

static long model_sigio(void *argument)
{
	struct timespec limit = { vm_timeout_ms(VM_HANG_MS) / 1000, 0 };
	int fd = ((struct work *)argument)->fd, signo = SIGRTMIN + 4;
	struct f_owner_ex owner = { F_OWNER_TID, gettid() };
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signo);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	fcntl(fd, F_SETSIG, signo);
	fcntl(fd, F_SETOWN_EX, &owner);
	fcntl(fd, F_SETFL, O_ASYNC);
	/* It may have gone before anybody asked for a signal. */
	while (!(vm_poll(fd, POLLIN) & POLLHUP))
		if (sigtimedwait(&set, &info, &limit) < 0)
			return -ETIMEDOUT;
	return -ENODEV;
}

#define TOGETHER	3

static const struct {
	const char *name;
	long (*function)(void *argument);
} models[][TOGETHER] = {
	{
		{ "read", model_read },
		{ "epoll", model_epoll },
		{ "aio read", model_aio_read },
	}, {
		{ "write", model_write },
		{ "sigio", model_sigio },
		{ "aio write", model_aio_write },
	}, {
		{ "poll", model_poll },
		{ "io_uring", model_uring },
		{ "aio read by a worker", model_aio_worker_read },
	},
};

/* Three models at a time, each with a file of its own. */
START_TEST(removal_raced_against_each_model)
{
	struct work works[TOGETHER];
	int rounds = vm_share(RACES), round, i;

	for (i = 0; i < TOGETHER; i++)
		works[i].context = aio_context(1);
	for (round = 0; round < rounds; round++) {
		struct vm_thread threads[TOGETHER];

		create = control_loop("doomed");
		control_make(&create);
		for (i = 0; i < TOGETHER; i++)
			works[i].fd = control_node(create.minor, O_RDWR);
		if (round % 4 == 1)
			vm_write(works[0].fd, "record", 6);
		for (i = 0; i < TOGETHER; i++)
			vm_spawn(&threads[i], models[_i][i].function,
				 &works[i]);
		for (volatile int spin = 0; spin < round % 50 * 100; spin++)
			;
		ck_assert_int_eq(control_remove("doomed"), 0);
		for (i = 0; i < TOGETHER; i++) {
			long ret = vm_join(&threads[i]);

			ck_assert_msg(ret == -ENODEV,
				      "%s: round %d ended with %ld",
				      models[_i][i].name, round, ret);
			close(works[i].fd);
		}
	}
}
END_TEST

static long open_until_gone(void *argument)
{
	char path[40];
	int fd;

	snprintf(path, sizeof(path), "/dev/achan%u", *(uint32_t *)argument);
	while ((fd = open(path, O_RDWR)) >= 0)
		close(fd);
	return -errno;
}

START_TEST(removal_raced_against_open_and_close)
{
	int rounds = vm_share(RACES);

	for (int round = 0; round < rounds; round++) {
		struct vm_thread thread;
		long ret;

		create = control_loop("doomed");
		control_make(&create);
		vm_spawn(&thread, open_until_gone, &create.minor);
		ck_assert_int_eq(control_remove("doomed"), 0);
		ret = vm_join(&thread);
		ck_assert(ret == -ENODEV || ret == -ENOENT || ret == -ENXIO);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("remove race");
	TCase *tcase = control_tcase(suite, "race");

	tcase_set_timeout(tcase, vm_timeout_ms(60));
	tcase_add_loop_test(tcase, removal_raced_against_each_model, 0,
			    VM_ARRAY_SIZE(models));
	tcase_add_test(tcase, removal_raced_against_open_and_close);
	return vm_main(suite);
}
