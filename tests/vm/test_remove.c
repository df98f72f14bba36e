// SPDX-License-Identifier: GPL-2.0-only
/*
 * Removal with files open: what was committed stays readable, then -ENODEV;
 * parked requests end with -ENODEV; sleepers wake; nothing hangs. Each I/O model
 * is raced against it RACES times.
 */
#include "control.h"
#include "kernel_aio.h"

#include <liburing.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#define RACES	1000

static struct achan_create create;

static int make(int flags)
{
	create = control_loop("doomed");
	return control_make_open(&create, flags);
}

static void remove_it(void)
{
	ck_assert_int_eq(control_remove("doomed"), 0);
}

START_TEST(committed_records_stay_readable)
{
	int fd = make(O_RDWR);
	char data[8];

	vm_write(fd, "one", 3);
	vm_write(fd, "two", 3);
	remove_it();
	ck_assert_int_eq(vm_poll(fd, POLLIN),
			 POLLIN | POLLHUP | POLLERR);
	ck_assert_int_eq(vm_errno(write(fd, "x", 1)), -ENODEV);
	vm_read(fd, data, 3);
	vm_read(fd, data, 3);
	ck_assert_mem_eq(data, "two", 3);
	ck_assert_int_eq(vm_errno(read(fd, data, 3)), -ENODEV);
	ck_assert_int_eq(vm_poll(fd, POLLIN),
			 POLLIN | POLLHUP | POLLERR);
}
END_TEST

START_TEST(nothing_opens_any_more)
{
	int fd = make(O_RDWR);
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	remove_it();
	/* By way of the old inode too, which remembers the old device. */
	ck_assert_int_lt(open(path, O_RDWR), 0);
}
END_TEST

static size_t fill(int fd)
{
	char data[1000] = { 0 };
	size_t records = 0;

	vm_set_nonblock(fd, true);
	while (vm_errno(write(fd, data, sizeof(data))) > 0)
		records++;
	vm_set_nonblock(fd, false);
	return records;
}

START_TEST(sleeping_reader_and_writer_wake)
{
	int empty = make(O_RDWR), full;
	struct achan_create second = control_loop("second");
	struct vm_thread reader, writer;
	char data[1000] = { 0 };
	struct vm_transfer in = { empty, data, 1000 }, out = { 0, data, 1000 };

	full = control_make_open(&second, O_RDWR);
	fill(full);
	out.fd = full;
	vm_spawn(&reader, vm_read_thread, &in);
	vm_spawn(&writer, vm_write_thread, &out);
	vm_wait_sleeping(reader.tid);
	vm_wait_sleeping(writer.tid);
	remove_it();
	ck_assert_int_eq(control_remove("second"), 0);
	ck_assert_int_eq(vm_join(&reader), -ENODEV);
	ck_assert_int_eq(vm_join(&writer), -ENODEV);
}
END_TEST

START_TEST(parked_requests_end_with_enodev)
{
	io_context_t context = aio_context(64);
	struct iocb requests[64];
	struct io_event events[64];
	int fd = make(O_RDWR);
	char data[1000] = { 0 };

	if (_i)
		fill(fd);
	for (int i = 0; i < 64; i++) {
		if (_i)
			aio_park_write(context, &requests[i], fd, data, 1000);
		else
			aio_park_read(context, &requests[i], fd,
				      i % 2 ? data : malloc(AIO_WORKER_BYTES),
				      i % 2 ? 1000 : AIO_WORKER_BYTES);
	}
	remove_it();
	aio_wait(context, events, 64);
	for (int i = 0; i < 64; i++)
		ck_assert_int_eq((long)events[i].res, -ENODEV);
	ck_assert(aio_idle(context));
	io_prep_pread(&requests[0], fd, data, 1000, 0);
	if (_i)
		return;
	aio_submit(context, &requests[0]);
	ck_assert_int_eq(aio_result(context, &requests[0]), -ENODEV);
}
END_TEST

/* All at once: sleepers, pollers, parked requests, records. */
START_TEST(mixture_of_all_is_let_go)
{
	io_context_t context = aio_context(8);
	struct vm_thread readers[4], poller;
	struct vm_transfer transfer;
	struct iocb requests[8];
	struct io_event events[8];
	int fd = make(O_RDWR);
	char data[64];
	long wait_hup(void *argument);

	transfer = (struct vm_transfer){ fd, data, sizeof(data) };
	for (int i = 0; i < 8; i++)
		aio_park_read(context, &requests[i], fd, data, sizeof(data));
	for (int i = 0; i < 4; i++) {
		vm_spawn(&readers[i], vm_read_thread, &transfer);
		vm_wait_sleeping(readers[i].tid);
	}
	vm_spawn(&poller, wait_hup, &fd);
	vm_wait_sleeping(poller.tid);
	remove_it();
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(vm_join(&readers[i]), -ENODEV);
	ck_assert_int_eq(vm_join(&poller), POLLIN | POLLHUP | POLLERR);
	aio_wait(context, events, 8);
}
END_TEST

long wait_hup(void *argument)
{
	return vm_poll_wait(*(int *)argument, POLLIN);
}

START_TEST(second_remover_gets_enoent)
{
	for (int i = 0; i < 50; i++) {
		struct vm_thread threads[3];
		long try_remove(void *argument);
		int won = 0;

		make(O_RDWR);
		for (int t = 0; t < 3; t++)
			vm_spawn(&threads[t], try_remove, NULL);
		for (int t = 0; t < 3; t++) {
			long ret = vm_join(&threads[t]);

			ck_assert(!ret || ret == -ENOENT);
			won += !ret;
		}
		ck_assert_int_eq(won, 1);
	}
}
END_TEST

long try_remove(void *argument)
{
	struct achan_remove remove = { .name = "doomed" };
	int fd = control_open();
	long ret;

	(void)argument;
	ret = vm_errno(ioctl(fd, ACHAN_CTL_REMOVE, &remove));
	close(fd);
	return ret;
}

/*
 * The models. Each does its work on a channel until that is an error, which it
 * returns; it may have moved records before.
 */
static long model_read(void *argument)
{
	char data[64];
	ssize_t got;

	do {
		got = vm_errno(read(*(int *)argument, data, sizeof(data)));
	} while (got > 0);
	return got;
}

static long model_write(void *argument)
{
	char data[1000] = { 0 };
	ssize_t put;

	do {
		put = vm_errno(write(*(int *)argument, data, sizeof(data)));
	} while (put > 0);
	return put;
}

static long model_poll(void *argument)
{
	struct pollfd pollfd = { *(int *)argument, POLLIN | POLLOUT, 0 };
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
	int epoll = epoll_create1(0), fd = *(int *)argument;
	long ret = -ENODEV;
	char data[64];

	epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
	do {
		if (epoll_wait(epoll, &event, 1,
			       vm_timeout_ms(VM_HANG_MS)) != 1) {
			ret = -ETIMEDOUT;
			break;
		}
	} while (!(event.events & EPOLLHUP));
	close(epoll);
	(void)data;
	return ret;
}

static long aio_until_error(int fd, bool write, size_t length)
{
	struct iocb request, *list = &request;
	struct timespec limit = { vm_timeout_ms(VM_HANG_MS) / 1000, 0 };
	io_context_t context = NULL;
	struct io_event event;
	long ret;
	char *data = calloc(1, length);

	ret = io_setup(1, &context);
	while (ret >= 0) {
		if (write)
			io_prep_pwrite(&request, fd, data, length, 0);
		else
			io_prep_pread(&request, fd, data, length, 0);
		ret = io_submit(context, 1, &list);
		if (ret != 1)
			break;
		ret = io_getevents(context, 1, 1, &event, &limit) == 1 ?
		      (long)event.res : -ETIMEDOUT;
	}
	io_destroy(context);
	free(data);
	return ret;
}

static long model_aio_read(void *argument)
{
	return aio_until_error(*(int *)argument, false, 64);
}

static long model_aio_worker_read(void *argument)
{
	return aio_until_error(*(int *)argument, false, AIO_WORKER_BYTES);
}

static long model_aio_write(void *argument)
{
	return aio_until_error(*(int *)argument, true, 1000);
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
		io_uring_prep_read(io_uring_get_sqe(&ring), *(int *)argument,
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
	int fd = *(int *)argument, signo = SIGRTMIN + 4;
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

static const struct {
	const char *name;
	long (*function)(void *argument);
} models[] = {
	{ "read", model_read },
	{ "write", model_write },
	{ "poll", model_poll },
	{ "epoll", model_epoll },
	{ "sigio", model_sigio },
	{ "aio read", model_aio_read },
	{ "aio read by a worker", model_aio_worker_read },
	{ "aio write", model_aio_write },
	{ "io_uring", model_uring },
};

START_TEST(removal_raced_against_each_model)
{
	for (int round = 0; round < RACES; round++) {
		struct vm_thread thread;
		long ret;
		int fd = make(O_RDWR);

		if (round % 4 == 1)
			vm_write(fd, "record", 6);
		vm_spawn(&thread, models[_i].function, &fd);
		for (volatile int spin = 0; spin < round % 50 * 100; spin++)
			;
		remove_it();
		ret = vm_join(&thread);
		ck_assert_msg(ret == -ENODEV, "%s: round %d ended with %ld",
			      models[_i].name, round, ret);
		close(fd);
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
	for (int round = 0; round < RACES; round++) {
		struct vm_thread thread;
		long ret;
		int fd = make(O_RDWR);

		vm_spawn(&thread, open_until_gone, &create.minor);
		remove_it();
		ret = vm_join(&thread);
		ck_assert(ret == -ENODEV || ret == -ENOENT || ret == -ENXIO);
		close(fd);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("remove");
	TCase *tcase = control_tcase(suite, "removal");

	tcase_add_test(tcase, committed_records_stay_readable);
	tcase_add_test(tcase, nothing_opens_any_more);
	tcase_add_test(tcase, sleeping_reader_and_writer_wake);
	tcase_add_loop_test(tcase, parked_requests_end_with_enodev, 0, 2);
	tcase_add_test(tcase, mixture_of_all_is_let_go);
	tcase_add_test(tcase, second_remover_gets_enoent);

	tcase = control_tcase(suite, "race");
	tcase_set_timeout(tcase, vm_timeout_ms(180));
	tcase_add_loop_test(tcase, removal_raced_against_each_model, 0,
			    VM_ARRAY_SIZE(models));
	tcase_add_test(tcase, removal_raced_against_open_and_close);
	return vm_main(suite);
}
