// SPDX-License-Identifier: GPL-2.0-only
/*
 * Torture: the operations, how often each is chosen in relation to others, and
 * the errors that it may end with. Some of those need a reason besides: see
 * error_fits() in slot.c.
 */
#include "torture.h"

#define ERRORS(...)	((const short[]){ __VA_ARGS__, 0 })
#define NO_ERROR	((const short[]){ 0 })

/* Files are closed, opened and signalled under everybody at any time. */
#define FILE_ERRORS	EBADF, EINTR
#define TRANSFER	FILE_ERRORS, EAGAIN, EFAULT, EMSGSIZE
/* A bad address of an iovec's array, or one beyond all user space. */
#define BAD_POINTER	TRANSFER, EINVAL

const struct operation operations[] = {
	[IDLE] = { "idle", NULL, 0, NO_ERROR },
	[AIO_READ_EVENT] = { "aio read event", NULL, 0,
		ERRORS(EAGAIN, EFAULT, EMSGSIZE, ECANCELED) },
	[AIO_WRITE_EVENT] = { "aio write event", NULL, 0,
		ERRORS(EAGAIN, EFAULT, EMSGSIZE, ECANCELED) },
	[AIO_POLL_EVENT] = { "aio poll event", NULL, 0, ERRORS(ECANCELED) },
	[URING_READ_EVENT] = { "uring read event", NULL, 0,
		ERRORS(TRANSFER, ECANCELED) },
	[URING_WRITE_EVENT] = { "uring write event", NULL, 0,
		ERRORS(TRANSFER, ECANCELED) },
	[URING_POLL_EVENT] = { "uring poll event", NULL, 0,
		ERRORS(EBADF, ECANCELED) },
	[REST_AIO] = { "ending aio", NULL, 0, NO_ERROR },
	[REST_URING] = { "ending io_uring", NULL, 0, NO_ERROR },
	[REST_CHILD] = { "waiting for child", NULL, 0, NO_ERROR },
	[CHILD_END] = { "child's end", NULL, 0, NO_ERROR },
	[FIRST_CHOSEN] = { "read", op_read, 60, ERRORS(TRANSFER) },
	{ "readv", op_readv, 40, ERRORS(TRANSFER) },
	{ "preadv2 nowait", op_preadv2, 30, ERRORS(TRANSFER) },
	{ "write", op_write, 60, ERRORS(TRANSFER) },
	{ "writev", op_writev, 40, ERRORS(TRANSFER) },
	{ "pwritev2 nowait", op_pwritev2, 30, ERRORS(TRANSFER) },
	{ "bad pointer", op_bad_pointer, 10, ERRORS(BAD_POINTER) },
	{ "io_submit read", op_aio_read, 60, ERRORS(FILE_ERRORS, EFAULT) },
	{ "io_submit write", op_aio_write, 60, ERRORS(FILE_ERRORS, EFAULT) },
	{ "io_submit poll", op_aio_poll, 15, ERRORS(EBADF) },
	{ "io_submit bad", op_aio_invalid, 5,
		ERRORS(EBADF, EINVAL, EFAULT, EOPNOTSUPP) },
	{ "io_getevents", op_aio_reap, 100, ERRORS(EINTR) },
	{ "io_cancel", op_aio_cancel, 30, ERRORS(EINVAL, EINPROGRESS) },
	{ "io_cancel other", op_aio_cancel_other, 15,
		ERRORS(EINVAL, EINPROGRESS) },
	{ "io_destroy", op_aio_destroy, 3, NO_ERROR },
	{ "uring read", op_uring_read, 30, NO_ERROR },
	{ "uring write", op_uring_write, 30, NO_ERROR },
	{ "uring poll", op_uring_poll, 15, NO_ERROR },
	{ "uring reap", op_uring_reap, 40, ERRORS(ETIME, EINTR) },
	{ "uring cancel", op_uring_cancel, 15, NO_ERROR },
	{ "uring exit", op_uring_exit, 1, NO_ERROR },
	{ "splice read", op_splice_read, 30, ERRORS(TRANSFER) },
	{ "splice write", op_splice_write, 30, ERRORS(TRANSFER) },
	{ "sendfile to", op_sendfile, 20, ERRORS(TRANSFER) },
	{ "sendfile from", op_sendfile_from, 2, ERRORS(EBADF, EINVAL) },
	{ "poll", op_poll, 40, ERRORS(EINTR) },
	{ "epoll_ctl", op_epoll_control, 30, ERRORS(EBADF, EEXIST, ENOENT) },
	{ "epoll_wait", op_epoll_wait, 30, ERRORS(EINTR) },
	{ "O_ASYNC", op_set_async, 20, ERRORS(FILE_ERRORS) },
	{ "O_NONBLOCK", op_set_nonblock, 20, ERRORS(FILE_ERRORS) },
	{ "F_SETOWN", op_set_owner, 10, ERRORS(EBADF, ESRCH) },
	{ "F_SETOWN_EX", op_set_owner_ex, 10,
		ERRORS(EBADF, ESRCH, EINVAL, EFAULT) },
	{ "F_SETSIG", op_set_signal, 10, ERRORS(EBADF, EINVAL) },
	{ "framed", op_set_framed, 20, ERRORS(EBADF) },
	{ "ioctl", op_ioctl, 15, ERRORS(EBADF) },
	{ "ioctl bad", op_ioctl_invalid, 15,
		ERRORS(EBADF, EFAULT, EINVAL, ENOTTY) },
	{ "impossible", op_impossible, 10,
		ERRORS(EBADF, ESPIPE, EINVAL, ENODEV, EACCES) },
	{ "fdinfo", op_fdinfo, 3, ERRORS(ENOENT) },
	{ "open", op_open, 20, ERRORS(EINTR, EBUSY) },
	{ "close", op_close, 4, ERRORS(EBADF) },
	{ "dup", op_dup, 15, ERRORS(EBADF, EBUSY) },
	{ "munmap", op_unmap, 8, NO_ERROR },
	{ "mprotect", op_protect, 8, NO_ERROR },
	{ "MADV_DONTNEED", op_dontneed, 8, NO_ERROR },
	{ "mremap", op_remap, 8, NO_ERROR },
	{ "fork", op_fork, 12, NO_ERROR },
	{ "tend child", op_tend, 40, NO_ERROR },
};

unsigned int operations_count(void)
{
	return VM_ARRAY_SIZE(operations);
}

unsigned int operations_choose(struct random *random, bool child)
{
	unsigned int i, sum = 0, at;

	for (i = FIRST_CHOSEN; i < operations_count(); i++)
		sum += operations[i].weight;
	at = random_below(random, sum);
	for (i = FIRST_CHOSEN; at >= operations[i].weight; i++)
		at -= operations[i].weight;
	/* Children have none of their own. */
	if (child && (operations[i].run == op_fork ||
		      operations[i].run == op_tend))
		return FIRST_CHOSEN;
	return i;
}
