// SPDX-License-Identifier: GPL-2.0-only
/* The ways of waiting. */
#include "waits_way.h"

#include <poll.h>
#include <sys/epoll.h>
#include <time.h>

#define SIGNAL	(SIGRTMIN + 5)

static enum waits_way way(const struct waits_waiter *waiter)
{
	return waiter->stage->cell.way;
}

static struct timespec hang_time(void)
{
	int ms = vm_timeout_ms(VM_HANG_MS);

	return (struct timespec){ ms / 1000, ms % 1000 * 1000000L };
}

/* Preparation. */
static void own_signal(int fd)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGNAL);
	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	ck_assert_int_eq(vm_errno(fcntl(fd, F_SETOWN, getpid())), 0);
	ck_assert_int_eq(vm_errno(fcntl(fd, F_SETSIG, SIGNAL)), 0);
	ck_assert_int_eq(vm_errno(fcntl(fd, F_SETFL, O_NONBLOCK | O_ASYNC)), 0);
}

static int watch(const struct waits_waiter *waiter)
{
	struct epoll_event event = { .events = waiter->asked | EPOLLET };
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	ck_assert_int_ge(epoll, 0);
	ck_assert_int_eq(vm_errno(epoll_ctl(epoll, EPOLL_CTL_ADD,
					    waiter->stage->fd, &event)), 0);
	return epoll;
}

static void start_uring(struct waits_waiter *waiter)
{
	int ret;

	vm_allow_io_uring();
	ret = io_uring_queue_init(4, &waiter->uring, 0);
	ck_assert_msg(!ret, "io_uring_queue_init: %s", strerror(-ret));
}

/* Where the ring cannot be kept full, a poll asks for what is told unasked alone. */
static short asked_events(const struct waits_cell *cell)
{
	if (!waits_writes(cell))
		return POLLIN;
	if (waits_drains_itself(cell) && !waits_beside_writer(cell))
		return 0;
	return POLLOUT;
}

void waits_prepare(struct waits_waiter *waiter, const struct waits_stage *stage)
{
	memset(waiter, 0, sizeof(*waiter));
	waiter->stage = stage;
	waiter->writes = waits_writes(&stage->cell);
	waiter->asked = asked_events(&stage->cell);
	waiter->transfer = (struct vm_transfer){ stage->fd, waiter->data,
						 WAITS_LENGTH };
	switch (way(waiter)) {
	case WAITS_SLEEP:
		vm_set_nonblock(stage->fd, false);
		break;
	case WAITS_EPOLL:
		waiter->epoll = watch(waiter);
		break;
	case WAITS_SIGIO:
		own_signal(stage->fd);
		break;
	case WAITS_AIO:
		waiter->context = aio_context(1);
		break;
	case WAITS_URING:
	case WAITS_URING_POLL:
		start_uring(waiter);
		break;
	default:
		break;
	}
}

/* The single steps of the ways, for those that a thread does too. */
static long poll_until_told(void *argument)
{
	const struct waits_waiter *waiter = argument;

	return vm_poll_wait(waiter->stage->fd, waiter->asked);
}

static long epoll_until_told(void *argument)
{
	const struct waits_waiter *waiter = argument;
	struct epoll_event event = { .events = 0 };

	ck_assert_int_ge(vm_errno(epoll_wait(waiter->epoll, &event, 1,
					     vm_timeout_ms(VM_HANG_MS))), 0);
	return event.events;
}

/* The next signal; its si_signo is 0 if there is none in time. */
static siginfo_t take_signal(const struct timespec *limit)
{
	siginfo_t info;
	sigset_t set;
	int signo;

	sigemptyset(&set);
	sigaddset(&set, SIGNAL);
	do {
		signo = sigtimedwait(&set, &info, limit);
	} while (signo < 0 && errno == EINTR);
	if (signo < 0)
		memset(&info, 0, sizeof(info));
	return info;
}

static siginfo_t wait_signal(const struct waits_waiter *waiter)
{
	struct timespec limit = hang_time();
	siginfo_t info = take_signal(&limit);

	ck_assert_msg(info.si_signo == SIGNAL, "no signal came");
	ck_assert_int_eq(info.si_fd, waiter->stage->fd);
	return info;
}

static bool signal_pending(void)
{
	static const struct timespec now;

	return take_signal(&now).si_signo;
}

static void submit(struct waits_waiter *waiter, bool transfer)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&waiter->uring);
	int fd = waiter->stage->fd;

	ck_assert_ptr_nonnull(sqe);
	if (!transfer)
		io_uring_prep_poll_add(sqe, fd, waiter->asked);
	else if (waiter->writes)
		io_uring_prep_write(sqe, fd, waiter->data, WAITS_LENGTH, 0);
	else
		io_uring_prep_read(sqe, fd, waiter->data, WAITS_LENGTH, 0);
	ck_assert_int_eq(io_uring_submit(&waiter->uring), 1);
}

static long completion(struct waits_waiter *waiter)
{
	struct timespec limit = hang_time();
	struct __kernel_timespec wait = { limit.tv_sec, limit.tv_nsec };
	struct io_uring_cqe *cqe;
	long result;
	int ret;

	do {
		ret = io_uring_wait_cqe_timeout(&waiter->uring, &cqe, &wait);
	} while (ret == -EINTR);
	ck_assert_msg(!ret, "no completion came: %s", strerror(-ret));
	result = cqe->res;
	io_uring_cqe_seen(&waiter->uring, cqe);
	return result;
}

/* Enters the kernel, where some completions are made. */
static bool uring_idle(struct waits_waiter *waiter)
{
	struct io_uring_cqe *cqe;

	getppid();
	return io_uring_peek_cqe(&waiter->uring, &cqe) == -EAGAIN;
}

/* Beginning. */
static void sleep_in(struct waits_waiter *waiter, long (*function)(void *),
		     void *argument)
{
	vm_spawn(&waiter->thread, function, argument);
	vm_wait_sleeping(waiter->thread.tid);
}

static void begin_epoll(struct waits_waiter *waiter)
{
	struct epoll_event event;

	ck_assert_int_eq(vm_errno(epoll_wait(waiter->epoll, &event, 1, 0)), 0);
	sleep_in(waiter, epoll_until_told, waiter);
}

static void begin_aio(struct waits_waiter *waiter)
{
	int fd = waiter->stage->fd;

	if (waiter->writes)
		aio_park_write(waiter->context, &waiter->request, fd,
			       waiter->data, WAITS_LENGTH);
	else
		aio_park_read(waiter->context, &waiter->request, fd,
			      waiter->data, WAITS_LENGTH);
}

/* A write that was refused makes "writable" mean that as much has room. */
static void begin_nonblocking(struct waits_waiter *waiter)
{
	if (waiter->asked)
		waits_attempt(waiter->stage);
	ck_assert_int_eq(vm_poll(waiter->stage->fd, waiter->asked), 0);
}

void waits_begin(struct waits_waiter *waiter)
{
	if (way(waiter) == WAITS_SLEEP) {
		sleep_in(waiter, waiter->writes ? vm_write_thread :
						  vm_read_thread,
			 &waiter->transfer);
		return;
	}
	begin_nonblocking(waiter);
	switch (way(waiter)) {
	case WAITS_POLL:
		sleep_in(waiter, poll_until_told, waiter);
		break;
	case WAITS_EPOLL:
		begin_epoll(waiter);
		break;
	case WAITS_SIGIO:
		ck_assert(!signal_pending());
		break;
	case WAITS_AIO:
		begin_aio(waiter);
		break;
	default:
		submit(waiter, way(waiter) == WAITS_URING);
		ck_assert(uring_idle(waiter));
	}
}

/* End. */
struct waits_told waits_end(struct waits_waiter *waiter)
{
	struct waits_told told = { 0 };
	siginfo_t info;

	switch (way(waiter)) {
	case WAITS_SIGIO:
		info = wait_signal(waiter);
		told.value = info.si_code;
		told.band = info.si_band;
		break;
	case WAITS_AIO:
		told.value = aio_result(waiter->context, &waiter->request);
		break;
	case WAITS_URING:
	case WAITS_URING_POLL:
		told.value = completion(waiter);
		break;
	default:
		told.value = vm_join(&waiter->thread);
	}
	return told;
}

/* One write, beside others. */
static long write_by_aio(struct waits_waiter *waiter)
{
	io_prep_pwrite(&waiter->request, waiter->stage->fd, waiter->data,
		       WAITS_LENGTH, 0);
	aio_submit(waiter->context, &waiter->request);
	return aio_result(waiter->context, &waiter->request);
}

/* A file that reads too gets signals for records, its own among them. */
static void wait_signal_of_room(const struct waits_waiter *waiter)
{
	while (wait_signal(waiter).si_code != POLL_OUT)
		;
}

static void wait_room(struct waits_waiter *waiter)
{
	switch (way(waiter)) {
	case WAITS_POLL:
		ck_assert_int_ne(poll_until_told(waiter) & POLLOUT, 0);
		break;
	case WAITS_EPOLL:
		ck_assert_int_ne(epoll_until_told(waiter) & EPOLLOUT, 0);
		break;
	case WAITS_SIGIO:
		wait_signal_of_room(waiter);
		break;
	default:
		submit(waiter, false);
		ck_assert_int_ne(completion(waiter) & POLLOUT, 0);
	}
}

long waits_write(struct waits_waiter *waiter)
{
	long ret;

	if (way(waiter) == WAITS_AIO)
		return write_by_aio(waiter);
	if (way(waiter) == WAITS_URING) {
		submit(waiter, true);
		return completion(waiter);
	}
	if (way(waiter) == WAITS_SIGIO)
		while (signal_pending())
			;
	ret = vm_write_thread(&waiter->transfer);
	if (ret == -EAGAIN)
		wait_room(waiter);
	return ret;
}
