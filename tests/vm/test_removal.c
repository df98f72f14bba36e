// SPDX-License-Identifier: GPL-2.0-only
/*
 * A channel that is removed while files of it are open: records already committed
 * stay readable, then -ENODEV; parked requests end, sleepers and pollers wake.
 *
 * rmmod is refused while a file is open, but an insmod that fails removes the channels
 * it has made by then, and one of those may be open. Each case has an insmod of two
 * channels that gets no memory for the second one. To have time for the first one, its
 * node in /dev is held up: a thread reads the directory, and is stuck in a page fault
 * with the directory locked. The channel can be opened by another node already.
 *
 * The module is loaded again, as it was, in the end.
 */
#include "fail_nth.h"
#include "kernel_aio.h"
#include "module.h"
#include "page_fault.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#define NODE	"/tmp/achan-removal"
#define SIGNAL	(SIGRTMIN + 3)

/* What poll() says of a channel that is gone. */
#define GONE	(POLLIN | POLLRDNORM | POLLHUP | POLLERR)

/* Several records fit into a ring of 8 KiB; and what is more than it takes. */
#define LENGTH	1000
#define MORE	20000

static const char * const both[] = { "stream", "message" };

/* An insmod that is stuck before its first channel has its node in /dev. */
struct removal {
	struct page_fault fault;
	struct vm_thread lister;
	char parameters[64];
	pid_t insmod;		/* a process: a thread would share the files */
	int fd;			/* the channel, open */
};

static long list_devices(void *argument)
{
	struct page_fault *fault = argument;
	int fd = open("/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return vm_errno(syscall(SYS_getdents64, fd, fault->memory,
				fault->length));
}

static int insmod_without_memory(void *parameters)
{
	long result = module_load(parameters);

	if (result == -ENOMEM)
		return 0;
	printf("# insmod gave %ld\n", result);
	return 1;
}

/* The channel can be opened as soon as it has its number, before its node. */
static void open_channel(struct removal *removal, int flags)
{
	int64_t until = vm_now_ms() + vm_timeout_ms(VM_HANG_MS);
	unsigned int major;

	while (!(major = module_major()) && vm_now_ms() < until)
		vm_sleep_ms(1);
	ck_assert_msg(major, "insmod has got no device number");
	unlink(NODE);
	ck_assert_int_eq(vm_errno(mknod(NODE, S_IFCHR | 0600,
					makedev(major, 0))), 0);
	while ((removal->fd = vm_errno(open(NODE, flags))) == -ENXIO &&
	       vm_now_ms() < until)
		vm_sleep_ms(1);
	ck_assert_msg(removal->fd >= 0, "open the first channel: %s",
		      strerror(-removal->fd));
}

/* Starts an insmod whose first channel is of @mode, and opens that with @flags. */
static void begin(struct removal *removal, const char *mode, int flags)
{
	module_make_unloaded();
	ck_assert_msg(page_fault_prepare(&removal->fault, vm_page_size()),
		      "userfaultfd: %s", strerror(errno));
	vm_spawn(&removal->lister, list_devices, &removal->fault);
	page_fault_wait(&removal->fault);
	snprintf(removal->parameters, sizeof(removal->parameters),
		 "channels=2 ring_bytes=8192 mode=%s", mode);
	removal->insmod = vm_fork(insmod_without_memory, removal->parameters);
	open_channel(removal, flags);
}

/* Lets the insmod go on, and fail; returns when its first channel is gone. */
static void remove_channel(struct removal *removal)
{
	fault_within("achan_pages_alloc");
	fault_arm_all(FAULT_PAGE, 1, -1);
	page_fault_end(&removal->fault, "");
	ck_assert_int_eq(vm_poll_wait(removal->fd, 0), POLLHUP | POLLERR);
}

/* The insmod ends when the last file is closed. */
static void end(struct removal *removal)
{
	ck_assert_int_eq(close(removal->fd), 0);
	vm_wait_success(removal->insmod);
	fault_disarm_all(FAULT_PAGE);
	fault_report("insmod");
	ck_assert_int_gt(vm_join(&removal->lister), 0);
	module_assert_gone();
	unlink(NODE);
}

START_TEST(sleeping_readers_wake_with_enodev)
{
	struct vm_thread readers[3];
	struct vm_transfer transfer;
	struct removal removal;
	char got[8];
	size_t i;

	fault_skip_unsupported();
	begin(&removal, both[_i], O_RDWR);
	transfer = (struct vm_transfer){ removal.fd, got, sizeof(got) };
	for (i = 0; i < VM_ARRAY_SIZE(readers); i++) {
		vm_spawn(&readers[i], vm_read_thread, &transfer);
		vm_wait_sleeping(readers[i].tid);
	}
	remove_channel(&removal);
	for (i = 0; i < VM_ARRAY_SIZE(readers); i++)
		ck_assert_int_eq(vm_join(&readers[i]), -ENODEV);
	end(&removal);
}
END_TEST

START_TEST(sleeping_writer_wakes_with_enodev)
{
	struct vm_transfer transfer;
	struct vm_thread writer;
	struct removal removal;
	char data[LENGTH] = "";

	fault_skip_unsupported();
	begin(&removal, both[_i], O_RDWR);
	transfer = (struct vm_transfer){ removal.fd, data, sizeof(data) };
	vm_fill_records(removal.fd, sizeof(data));
	vm_spawn(&writer, vm_write_thread, &transfer);
	vm_wait_sleeping(writer.tid);
	remove_channel(&removal);
	ck_assert_int_eq(vm_join(&writer), -ENODEV);
	end(&removal);
}
END_TEST

/* A count reached so far is returned. */
START_TEST(stream_write_that_sleeps_half_way_returns_what_went_in)
{
	static char data[MORE], got[MORE];
	struct vm_transfer transfer;
	struct vm_thread writer;
	struct removal removal;
	long written;

	fault_skip_unsupported();
	vm_pattern(data, sizeof(data), 0);
	begin(&removal, "stream", O_RDWR);
	transfer = (struct vm_transfer){ removal.fd, data, sizeof(data) };
	vm_spawn(&writer, vm_write_thread, &transfer);
	vm_wait_sleeping(writer.tid);
	remove_channel(&removal);
	written = vm_join(&writer);
	ck_assert_int_gt(written, 0);
	vm_read(removal.fd, got, written);
	vm_assert_pattern(got, written, 0);
	ck_assert_int_eq(vm_errno(read(removal.fd, got, 1)), -ENODEV);
	end(&removal);
}
END_TEST

START_TEST(records_stay_readable_then_enodev)
{
	struct removal removal;
	char got[8];
	int bytes;

	fault_skip_unsupported();
	begin(&removal, both[_i], O_RDWR | O_NONBLOCK);
	vm_write(removal.fd, "first", 5);
	vm_write(removal.fd, "second", 6);
	remove_channel(&removal);
	ck_assert_int_eq(vm_poll(removal.fd, POLLIN | POLLRDNORM | POLLOUT),
			 GONE);
	ck_assert_int_eq(vm_errno(write(removal.fd, "third", 5)), -ENODEV);
	vm_read(removal.fd, got, 5);
	ck_assert_mem_eq(got, "first", 5);
	vm_read(removal.fd, got, 6);
	ck_assert_mem_eq(got, "second", 6);
	ck_assert_int_eq(vm_errno(read(removal.fd, got, 1)), -ENODEV);
	ck_assert_int_eq(vm_poll(removal.fd, POLLIN | POLLRDNORM | POLLOUT),
			 GONE);
	ck_assert_int_eq(vm_errno(ioctl(removal.fd, FIONREAD, &bytes)), 0);
	ck_assert_int_eq(bytes, 0);
	ck_assert_uint_eq(vm_info(removal.fd).sequence, 2);
	end(&removal);
}
END_TEST

/* Its node can still be there, and lead to it as long as somebody has it open. */
START_TEST(open_of_a_channel_that_is_gone_is_enodev)
{
	struct removal removal;

	fault_skip_unsupported();
	begin(&removal, both[_i], O_RDWR);
	remove_channel(&removal);
	ck_assert_int_eq(vm_errno(open(NODE, O_RDWR)), -ENODEV);
	end(&removal);
}
END_TEST

static long poll_for_data(void *argument)
{
	return vm_poll_wait(*(int *)argument, POLLIN | POLLRDNORM);
}

START_TEST(pollers_wake_with_hangup)
{
	io_context_t context = aio_context(1);
	struct vm_thread poller;
	struct removal removal;
	struct iocb request;

	fault_skip_unsupported();
	begin(&removal, both[_i], O_RDWR);
	io_prep_poll(&request, removal.fd, POLLIN);
	aio_submit(context, &request);
	vm_spawn(&poller, poll_for_data, &removal.fd);
	vm_wait_sleeping(poller.tid);
	remove_channel(&removal);
	ck_assert_int_eq(vm_join(&poller), GONE);
	/* POLLRDNORM, which was not asked for, is in it or not. */
	ck_assert_int_eq(aio_result(context, &request) | POLLRDNORM, GONE);
	end(&removal);
}
END_TEST

START_TEST(sigio_tells_of_the_hangup)
{
	struct timespec limit = { .tv_sec = vm_timeout_ms(VM_HANG_MS) / 1000 };
	struct removal removal;
	siginfo_t info;
	sigset_t set;
	int fd;

	fault_skip_unsupported();
	sigemptyset(&set);
	sigaddset(&set, SIGNAL);
	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	/* One that is open for one direction only gets one signal. */
	begin(&removal, "message", _i ? O_WRONLY : O_RDONLY);
	fd = removal.fd;
	ck_assert_int_eq(vm_errno(fcntl(fd, F_SETOWN, getpid())), 0);
	ck_assert_int_eq(vm_errno(fcntl(fd, F_SETSIG, SIGNAL)), 0);
	ck_assert_int_eq(vm_errno(fcntl(fd, F_SETFL, O_ASYNC)), 0);
	remove_channel(&removal);
	ck_assert_int_eq(vm_errno(sigtimedwait(&set, &info, &limit)), SIGNAL);
	ck_assert_int_eq(info.si_code, POLL_HUP);
	ck_assert_int_eq(info.si_fd, fd);
	end(&removal);
}
END_TEST

START_TEST(parked_reads_end_with_enodev)
{
	static char buffers[2][AIO_WORKER_BYTES];
	io_context_t contexts[] = { aio_context(1), aio_context(2) };
	struct iocb pinned, worker, late;
	struct removal removal;

	fault_skip_unsupported();
	begin(&removal, both[_i], O_RDWR | O_NONBLOCK);
	aio_park_read(contexts[0], &pinned, removal.fd, buffers[0], 100);
	aio_park_read(contexts[1], &worker, removal.fd, buffers[1],
		      sizeof(buffers[1]));
	remove_channel(&removal);
	ck_assert_int_eq(aio_result(contexts[0], &pinned), -ENODEV);
	ck_assert_int_eq(aio_result(contexts[1], &worker), -ENODEV);
	aio_wait_unparked(removal.fd);
	io_prep_pread(&late, removal.fd, buffers[0], 100, 0);
	aio_submit(contexts[0], &late);
	ck_assert_int_eq(aio_result(contexts[0], &late), -ENODEV);
	end(&removal);
}
END_TEST

START_TEST(parked_writes_end_with_enodev_or_what_went_in)
{
	io_context_t contexts[] = { aio_context(1), aio_context(1) };
	static char data[MORE], got[MORE];
	struct iocb half, none;
	struct removal removal;
	size_t taken;

	fault_skip_unsupported();
	vm_pattern(data, sizeof(data), 0);
	begin(&removal, "stream", O_RDWR | O_NONBLOCK);
	aio_park_write(contexts[0], &half, removal.fd, data, sizeof(data));
	taken = vm_info(removal.fd).bytes;
	ck_assert_uint_gt(taken, 0);
	aio_park_write(contexts[1], &none, removal.fd, data, LENGTH);
	remove_channel(&removal);
	ck_assert_int_eq(aio_result(contexts[0], &half), taken);
	ck_assert_int_eq(aio_result(contexts[1], &none), -ENODEV);
	aio_wait_unparked(removal.fd);
	vm_read(removal.fd, got, taken);
	vm_assert_pattern(got, taken, 0);
	ck_assert_int_eq(vm_errno(read(removal.fd, got, 1)), -ENODEV);
	end(&removal);
}
END_TEST

/* It does not wait for a page fault; the record is there for another reader. */
START_TEST(parked_read_stuck_in_a_page_fault_ends_with_enodev)
{
	io_context_t context = aio_context(1);
	struct page_fault fault;
	struct removal removal;
	struct iocb request;
	char got[8];

	fault_skip_unsupported();
	ck_assert(page_fault_prepare(&fault, AIO_WORKER_BYTES));
	begin(&removal, both[_i], O_RDWR | O_NONBLOCK);
	aio_park_read(context, &request, removal.fd, fault.memory,
		      fault.length);
	vm_write(removal.fd, "record", 6);
	page_fault_wait(&fault);
	remove_channel(&removal);
	ck_assert_int_eq(aio_result(context, &request), -ENODEV);
	vm_read(removal.fd, got, 6);
	ck_assert_mem_eq(got, "record", 6);
	page_fault_end(&fault, "");
	end(&removal);
}
END_TEST

/* The very last one, whatever became of the others. */
START_TEST(module_is_loaded_again_as_it_was)
{
	fault_skip_unsupported();
	module_make_unloaded();
	ck_assert_int_eq(module_load(module_parameters()), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("removal");
	TCase *tcase = vm_tcase(suite, "removal");

	tcase_add_unchecked_fixture(tcase, fault_setup, fault_teardown);
	tcase_add_checked_fixture(tcase, fault_reset, NULL);
	tcase_add_loop_test(tcase, sleeping_readers_wake_with_enodev, 0, 2);
	tcase_add_loop_test(tcase, sleeping_writer_wakes_with_enodev, 0, 2);
	tcase_add_test(tcase, stream_write_that_sleeps_half_way_returns_what_went_in);
	tcase_add_loop_test(tcase, records_stay_readable_then_enodev, 0, 2);
	tcase_add_loop_test(tcase, open_of_a_channel_that_is_gone_is_enodev, 0, 2);
	tcase_add_loop_test(tcase, pollers_wake_with_hangup, 0, 2);
	tcase_add_loop_test(tcase, sigio_tells_of_the_hangup, 0, 2);
	tcase_add_loop_test(tcase, parked_reads_end_with_enodev, 0, 2);
	tcase_add_test(tcase, parked_writes_end_with_enodev_or_what_went_in);
	tcase_add_loop_test(tcase, parked_read_stuck_in_a_page_fault_ends_with_enodev,
			    0, 2);
	tcase_add_test(tcase, module_is_loaded_again_as_it_was);
	return vm_main(suite);
}
