// SPDX-License-Identifier: GPL-2.0-only
/* Kernel AIO through libaio, for the test programs. */
#include "kernel_aio.h"

#include <linux/capability.h>
#include <sys/resource.h>
#include <time.h>

#define AIO_MAX_NR	"/proc/sys/fs/aio-max-nr"

/* Requests that one io_submit() is given at most. */
#define BATCH		512

/* Makes room for @requests more; only the limit's own number is printed. */
static void raise_limit(int requests)
{
	FILE *file = fopen(AIO_MAX_NR, "r+");
	long limit;

	ck_assert_msg(file, "open %s: %s", AIO_MAX_NR, strerror(errno));
	ck_assert_int_eq(fscanf(file, "%ld", &limit), 1);
	rewind(file);
	fprintf(file, "%ld\n", limit + 8L * requests);
	ck_assert_msg(!fclose(file), "write %s: %s", AIO_MAX_NR,
		      strerror(errno));
}

io_context_t aio_context(int requests)
{
	io_context_t context = NULL;
	int ret = io_setup(requests, &context);

	if (ret == -EAGAIN) {
		raise_limit(requests);
		ret = io_setup(requests, &context);
	}
	ck_assert_msg(!ret, "io_setup for %d requests: %s", requests,
		      strerror(-ret));
	return context;
}

int aio_try_submit(io_context_t context, struct iocb *request)
{
	return io_submit(context, 1, &request);
}

void aio_submit(io_context_t context, struct iocb *request)
{
	int ret = aio_try_submit(context, request);

	ck_assert_msg(ret == 1, "io_submit gave %d", ret);
}

void aio_submit_all(io_context_t context, struct iocb *requests, size_t count)
{
	struct iocb *batch[BATCH];
	size_t done = 0, size, i;

	while (done < count) {
		int ret;

		size = count - done < BATCH ? count - done : BATCH;
		for (i = 0; i < size; i++)
			batch[i] = &requests[done + i];
		ret = io_submit(context, size, batch);
		ck_assert_msg(ret > 0, "io_submit gave %d after %zu of %zu",
			      ret, done, count);
		done += ret;
	}
}

void aio_wait(io_context_t context, struct io_event *events, size_t count)
{
	size_t done = 0;

	while (done < count) {
		int ms = vm_timeout_ms(VM_HANG_MS);
		struct timespec limit = {
			.tv_sec = ms / 1000,
			.tv_nsec = ms % 1000 * 1000000L,
		};
		int got = io_getevents(context, 1, count - done, events + done,
				       &limit);

		if (got == -EINTR)
			continue;
		ck_assert_msg(got > 0,
			      "io_getevents gave %d after %zu of %zu events",
			      got, done, count);
		done += got;
	}
}

long aio_result(io_context_t context, const struct iocb *request)
{
	struct io_event event;

	aio_wait(context, &event, 1);
	ck_assert_ptr_eq(event.obj, request);
	ck_assert_int_eq(event.res2, 0);
	return event.res;
}

bool aio_idle(io_context_t context)
{
	struct timespec now = { 0, 0 };
	struct io_event event;
	int got = io_getevents(context, 0, 1, &event, &now);

	ck_assert_int_ge(got, 0);
	return !got;
}

int aio_cancel_request(io_context_t context, struct iocb *request)
{
	struct io_event unused;

	return io_cancel(context, request, &unused);
}

long aio_cancel_result(io_context_t context, struct iocb *request)
{
	long result;

	ck_assert_int_eq(aio_cancel_request(context, request), -EINPROGRESS);
	result = aio_result(context, request);
	ck_assert(aio_idle(context));
	return result;
}

void aio_park_read(io_context_t context, struct iocb *request, int fd,
		   void *buffer, size_t length)
{
	uint32_t parked = vm_info(fd).parked_reads;

	io_prep_pread(request, fd, buffer, length, 0);
	aio_submit(context, request);
	ck_assert_uint_eq(vm_info(fd).parked_reads, parked + 1);
	ck_assert(aio_idle(context));
}

void aio_park_write(io_context_t context, struct iocb *request, int fd,
		    const void *buffer, size_t length)
{
	uint32_t parked = vm_info(fd).parked_writes;

	io_prep_pwrite(request, fd, (void *)buffer, length, 0);
	aio_submit(context, request);
	ck_assert_uint_eq(vm_info(fd).parked_writes, parked + 1);
	ck_assert(aio_idle(context));
}

void aio_wait_unparked(int fd)
{
	int64_t until = vm_now_ms() + vm_timeout_ms(VM_HANG_MS);

	for (;;) {
		struct achan_info info = vm_info(fd);

		if (!info.parked_reads && !info.parked_writes)
			return;
		ck_assert_msg(vm_now_ms() < until,
			      "%u reads and %u writes stay parked",
			      info.parked_reads, info.parked_writes);
		vm_sleep_ms(1);
	}
}

void aio_limit_pinned(size_t bytes)
{
	struct rlimit limit = { bytes, bytes };

	ck_assert_int_eq(vm_errno(setrlimit(RLIMIT_MEMLOCK, &limit)), 0);
	vm_drop_capability(CAP_IPC_LOCK);
}

void aio_assert_quick(int64_t start, const char *what)
{
	int64_t took = vm_now_ms() - start;

	ck_assert_msg(took <= vm_timeout_ms(1000), "%s took %lld ms", what,
		      (long long)took);
}

uint64_t aio_pinned(int fd)
{
	return vm_info(fd).pinned_reads;
}

uint64_t aio_worker(int fd)
{
	return vm_info(fd).worker_reads;
}
