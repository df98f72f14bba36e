/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kernel AIO through libaio, for the test programs. As in vm.h, a helper that
 * cannot do its work ends the running case as failed; what a case is about is
 * returned.
 */
#ifndef ACHAN_TESTS_KERNEL_AIO_H
#define ACHAN_TESTS_KERNEL_AIO_H

#include "vm.h"

#include <libaio.h>

/* A buffer of more than eight pages: a read into it is left to a worker. */
#define AIO_WORKER_BYTES	(64U << 10)

/* A context for @requests in flight; raises fs.aio-max-nr where needed. */
io_context_t aio_context(int requests);

/* What io_submit() says of @request alone: 1, or -errno. */
int aio_try_submit(io_context_t context, struct iocb *request);

void aio_submit(io_context_t context, struct iocb *request);

/* Submits the @count requests of the array, whatever pieces that takes. */
void aio_submit_all(io_context_t context, struct iocb *requests, size_t count);

/* Takes @count events; they have vm_timeout_ms(VM_HANG_MS) for each pause. */
void aio_wait(io_context_t context, struct io_event *events, size_t count);

/* The result in the next event, which has to be that of @request. */
long aio_result(io_context_t context, const struct iocb *request);

/* True if there is no event. */
bool aio_idle(io_context_t context);

/* What io_cancel() says. */
int aio_cancel_request(io_context_t context, struct iocb *request);

/* Cancels parked @request: io_cancel() has to say so, one event to follow. */
long aio_cancel_result(io_context_t context, struct iocb *request);

/* Submits a read or write that has to park. */
void aio_park_read(io_context_t context, struct iocb *request, int fd,
		   void *buffer, size_t length);
void aio_park_write(io_context_t context, struct iocb *request, int fd,
		    const void *buffer, size_t length);

/*
 * Waits until nothing is parked in the channel of @fd, which may be a moment
 * after the end of the process or the context that had the requests.
 */
void aio_wait_unparked(int fd);

/*
 * Sets RLIMIT_MEMLOCK to @bytes and gives up CAP_IPC_LOCK, so that pinned
 * buffers are charged as those of any user are.
 */
void aio_limit_pinned(size_t bytes);

/* Fails the case if more than a second, scaled, has passed since @start. */
void aio_assert_quick(int64_t start, const char *what);

/* How often reads of the channel of @fd have parked pinned, or for a worker. */
uint64_t aio_pinned(int fd);
uint64_t aio_worker(int fd);

#endif /* ACHAN_TESTS_KERNEL_AIO_H */
