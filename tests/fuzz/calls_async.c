// SPDX-License-Identifier: GPL-2.0-only
/* The operations that go on while the program does: AIO, io_uring, threads. */
#include "fuzz.h"

#include <errno.h>
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define REQUESTS	16

static long result(long value)
{
	return value < 0 ? -errno : value;
}

/* ----------------------------------------------------------------- AIO */

/* A request as it was submitted; what its event says is checked against it. */
static struct request {
	struct iocb iocb;
	struct iovec iov[2];
	size_t bytes;
	unsigned int context;
	/* A read or write of a channel, not complete yet. */
	bool checked;
	bool in_flight;
	bool cancelled;
} requests[REQUESTS];

static aio_context_t contexts[2];

static aio_context_t get_context(uint8_t selector)
{
	aio_context_t *context = &contexts[selector % 2];

	if (!*context)
		syscall(SYS_io_setup, 64, context);
	return *context;
}

FUZZ_CALL(aio_setup)
{
	static const unsigned int sizes[] = {
		1, 8, 64, 128, 1000, 0, 0x7fffffff, 2,
	};

	return result(syscall(SYS_io_setup, FUZZ_PICK(sizes, argument[1]),
			      &contexts[argument[0] % 2]));
}

static bool is_vector(unsigned int command)
{
	return command == IOCB_CMD_PREADV || command == IOCB_CMD_PWRITEV;
}

static bool is_write(unsigned int command)
{
	return command == IOCB_CMD_PWRITE || command == IOCB_CMD_PWRITEV;
}

static bool is_transfer(unsigned int command)
{
	return command == IOCB_CMD_PREAD || is_vector(command) ||
	       is_write(command);
}

static void fill_iocb(struct request *request, const uint8_t *argument)
{
	static const uint16_t commands[32] = {
		IOCB_CMD_PREAD, IOCB_CMD_PREAD, IOCB_CMD_PREAD, IOCB_CMD_PREAD,
		IOCB_CMD_PREAD, IOCB_CMD_PREAD, IOCB_CMD_PREAD, IOCB_CMD_PREAD,
		IOCB_CMD_PWRITE, IOCB_CMD_PWRITE, IOCB_CMD_PWRITE,
		IOCB_CMD_PWRITE, IOCB_CMD_PWRITE, IOCB_CMD_PWRITE,
		IOCB_CMD_PREADV, IOCB_CMD_PREADV, IOCB_CMD_PREADV,
		IOCB_CMD_PREADV, IOCB_CMD_PWRITEV, IOCB_CMD_PWRITEV,
		IOCB_CMD_PWRITEV, IOCB_CMD_POLL, IOCB_CMD_POLL, IOCB_CMD_FSYNC,
		IOCB_CMD_FDSYNC, IOCB_CMD_NOOP, 0xff, IOCB_CMD_PREAD,
		IOCB_CMD_PREAD, IOCB_CMD_PREAD, IOCB_CMD_PWRITE, 4,
	};
	struct iocb *iocb = &request->iocb;
	uint8_t flags = argument[6];

	memset(iocb, 0, sizeof(*iocb));
	iocb->aio_lio_opcode = commands[argument[2] % 32];
	iocb->aio_fildes = fuzz_fd(argument[3]);
	iocb->aio_buf = (uintptr_t)fuzz_buffer(argument[4]);
	iocb->aio_nbytes = fuzz_length(argument[5]);
	request->bytes = iocb->aio_nbytes;
	if (is_vector(iocb->aio_lio_opcode)) {
		for (int i = 0; i < 2; i++) {
			request->iov[i].iov_base = fuzz_buffer(argument[4] ^
							       i << 4);
			request->iov[i].iov_len = iocb->aio_nbytes;
		}
		iocb->aio_buf = (uintptr_t)request->iov;
		iocb->aio_nbytes = 2;
		request->bytes *= 2;
	} else if (iocb->aio_lio_opcode == IOCB_CMD_POLL) {
		iocb->aio_buf = (uint16_t)(argument[4] ?: POLLIN);
		iocb->aio_nbytes = 0;
	}
	if (flags & 0x40) {
		iocb->aio_flags = IOCB_FLAG_RESFD;
		iocb->aio_resfd = fuzz_fd(11);
	}
	if (flags & 0x20)
		iocb->aio_offset = -1;
	iocb->aio_rw_flags = fuzz_rw_flags(flags & 0x9f);
}

FUZZ_CALL(aio_submit)
{
	struct request *request = &requests[argument[1] % REQUESTS];
	struct iocb *iocb = &request->iocb;
	long ret;

	/* The kernel would not mind, but what completes could not be told. */
	if (request->in_flight)
		return -EBUSY;
	fill_iocb(request, argument);
	request->context = argument[0] % 2;
	request->cancelled = false;
	request->checked = is_transfer(iocb->aio_lio_opcode) &&
			   fuzz_is_channel(argument[3]) &&
			   !(argument[6] & 0x1f);
	ret = result(syscall(SYS_io_submit, get_context(argument[0]), 1,
			     &iocb));
	request->in_flight = ret == 1;
	return ret;
}

FUZZ_CALL(aio_cancel)
{
	struct request *request = &requests[argument[1] % REQUESTS];
	struct io_event event;

	/* Refused or not, it may end so. */
	request->cancelled = true;
	return result(syscall(SYS_io_cancel, get_context(argument[0]),
			      &request->iocb, &event));
}

static void check_event(const struct io_event *event)
{
	struct request *request = (struct request *)(uintptr_t)event->obj;
	bool nowait = request->iocb.aio_rw_flags & 0x8;
	long res = event->res;

	if (request < requests || request >= requests + REQUESTS) {
		fuzz_finding("an event of no request");
		return;
	}
	if (!request->in_flight && fuzz_alone())
		fuzz_finding("a request completes twice");
	request->in_flight = false;
	if (!request->checked || !fuzz_alone())
		return;
	fuzz_check_transfer("an AIO request", request->bytes, res);
	if (res == -EAGAIN && !nowait &&
	    !is_write(request->iocb.aio_lio_opcode))
		fuzz_finding("a parked read ends with -EAGAIN");
	if (res == -ECANCELED && !request->cancelled)
		fuzz_finding("-ECANCELED of a request nobody cancelled");
}

FUZZ_CALL(aio_getevents)
{
	static const long times_ms[] = { 0, 1, 5, FUZZ_ALARM_MS + 10 };
	struct timespec time = {
		.tv_nsec = FUZZ_PICK(times_ms, argument[2]) * 1000000L,
	};
	struct io_event events[8];
	long ret = result(syscall(SYS_io_getevents, get_context(argument[0]),
				  argument[1] % 4, 8, events, &time));

	for (long i = 0; i < ret; i++)
		check_event(&events[i]);
	return ret;
}

FUZZ_CALL(aio_destroy)
{
	unsigned int context = argument[0] % 2;
	long ret = result(syscall(SYS_io_destroy, contexts[context]));

	contexts[context] = 0;
	for (int i = 0; i < REQUESTS; i++)
		if (requests[i].context == context)
			requests[i].in_flight = false;
	return ret;
}

/* ------------------------------------------------------------ io_uring */

static struct {
	int fd;
	uint32_t *sq_tail, *sq_mask, *sq_array;
	uint32_t *cq_head, *cq_tail;
	struct io_uring_sqe *sqes;
} uring;

int fuzz_uring_fd(void)
{
	struct io_uring_params params = { 0 };
	char *rings;

	uring.fd = syscall(SYS_io_uring_setup, 16, &params);
	if (uring.fd < 0)
		return -1;
	rings = mmap(NULL, params.cq_off.cqes + params.cq_entries *
		     sizeof(struct io_uring_cqe) + params.sq_entries * 4,
		     PROT_READ | PROT_WRITE, MAP_SHARED, uring.fd,
		     IORING_OFF_SQ_RING);
	uring.sqes = mmap(NULL, params.sq_entries * sizeof(*uring.sqes),
			  PROT_READ | PROT_WRITE, MAP_SHARED, uring.fd,
			  IORING_OFF_SQES);
	if (rings == MAP_FAILED || uring.sqes == MAP_FAILED) {
		close(uring.fd);
		return -1;
	}
	uring.sq_tail = (uint32_t *)(rings + params.sq_off.tail);
	uring.sq_mask = (uint32_t *)(rings + params.sq_off.ring_mask);
	uring.sq_array = (uint32_t *)(rings + params.sq_off.array);
	uring.cq_head = (uint32_t *)(rings + params.cq_off.head);
	uring.cq_tail = (uint32_t *)(rings + params.cq_off.tail);
	return uring.fd;
}

static void fill_sqe(struct io_uring_sqe *sqe, const uint8_t *argument)
{
	static const uint8_t commands[] = {
		IORING_OP_READ, IORING_OP_WRITE, IORING_OP_READV,
		IORING_OP_WRITEV, IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL,
		IORING_OP_POLL_REMOVE, IORING_OP_SPLICE, IORING_OP_TEE,
		IORING_OP_FSYNC, IORING_OP_NOP, 46 /* URING_CMD */,
		49 /* READ_MULTISHOT */, IORING_OP_READ, IORING_OP_WRITE,
		IORING_OP_FALLOCATE,
	};
	static const uint8_t flags[] = {
		0, IOSQE_ASYNC, IOSQE_IO_LINK, IOSQE_IO_DRAIN, 0,
		IOSQE_ASYNC | IOSQE_IO_LINK, IOSQE_FIXED_FILE, 0,
	};
	static struct iovec iov[2];

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = FUZZ_PICK(commands, argument[0]);
	sqe->fd = fuzz_fd(argument[1]);
	sqe->addr = (uintptr_t)fuzz_buffer(argument[2]);
	sqe->len = fuzz_length(argument[3]);
	sqe->flags = FUZZ_PICK(flags, argument[4]);
	sqe->user_data = 1 + argument[5] % REQUESTS;
	sqe->off = -1;
	switch (sqe->opcode) {
	case IORING_OP_READV:
	case IORING_OP_WRITEV:
		iov[0].iov_base = fuzz_buffer(argument[2]);
		iov[1].iov_base = fuzz_buffer(argument[2] ^ 0x10);
		iov[0].iov_len = sqe->len;
		iov[1].iov_len = sqe->len;
		sqe->addr = (uintptr_t)iov;
		sqe->len = 2;
		fallthrough;
	case IORING_OP_READ:
	case IORING_OP_WRITE:
		sqe->rw_flags = argument[6] & 1 ? 0x8 : 0;
		break;
	case IORING_OP_POLL_ADD:
		sqe->addr = 0;
		sqe->len = argument[6] & 8 ? IORING_POLL_ADD_MULTI : 0;
		sqe->off = 0;
		sqe->poll32_events = argument[6] ?: POLLIN;
		break;
	case IORING_OP_ASYNC_CANCEL:
	case IORING_OP_POLL_REMOVE:
		sqe->addr = 1 + argument[6] % REQUESTS;
		sqe->fd = -1;
		sqe->len = 0;
		sqe->off = 0;
		break;
	case IORING_OP_SPLICE:
	case IORING_OP_TEE:
		sqe->splice_fd_in = fuzz_fd(8);
		sqe->splice_off_in = -1;
	}
}

static long enter(unsigned int submit, unsigned int wait)
{
	return result(syscall(SYS_io_uring_enter, uring.fd, submit, wait,
			      wait ? IORING_ENTER_GETEVENTS : 0, NULL, 0));
}

FUZZ_CALL(uring_submit)
{
	uint32_t tail, index;

	if (fuzz_fd(13) < 0)
		return -EBADF;
	tail = *uring.sq_tail;
	index = tail & *uring.sq_mask;
	fill_sqe(&uring.sqes[index], argument);
	uring.sq_array[index] = index;
	__atomic_store_n(uring.sq_tail, tail + 1, __ATOMIC_RELEASE);
	return enter(1, 0);
}

/* The alarm ends the wait for what does not come. */
FUZZ_CALL(uring_wait)
{
	long ret;

	if (fuzz_fd(13) < 0)
		return -EBADF;
	ret = enter(0, argument[0] % 4);
	__atomic_store_n(uring.cq_head,
			 __atomic_load_n(uring.cq_tail, __ATOMIC_ACQUIRE),
			 __ATOMIC_RELEASE);
	return ret;
}

/* -------------------------------------------------- threads, processes */

FUZZ_CALL(fork)
{
	return fuzz_fork_next(1 + argument[0] % 8);
}

FUZZ_CALL(thread)
{
	return fuzz_thread_next(1 + argument[0] % 8);
}

/* The new program does nothing: its memory is what is gone. */
FUZZ_CALL(exec)
{
	char *const arguments[] = { "achan-fuzz", "--nothing", NULL };

	(void)argument;
	return result(execv("/proc/self/exe", arguments));
}
