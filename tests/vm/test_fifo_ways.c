// SPDX-License-Identifier: GPL-2.0-only
/*
 * A loop with hangup=fifo is a named pipe also to those who wait otherwise than in
 * read() and write(), to those who inherit an end, and to many at once. Every case is
 * run on a real FIFO and on a channel, and asserts the same values of both, unless it
 * says what differs: @_i.
 */
#include "fifo.h"

#include <liburing.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <time.h>

#include "kernel_aio.h"

#define SLEEPERS	4
#define WRITERS		4
#define BLOCKS		150
#define SHORT_WRITES	3000
#define SIGNAL		(SIGRTMIN + 3)

/* The ends of a FIFO whose other end has closed. */
static int reader_alone(void)
{
	int reader, writer;

	fifo_open_both(&reader, &writer);
	close(writer);
	return reader;
}

static int writer_alone(int flags)
{
	int reader, writer;

	fifo_open_both(&reader, &writer);
	vm_set_nonblock(writer, flags & O_NONBLOCK);
	close(reader);
	return writer;
}

static void block_signal(int signo, int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signo);
	ck_assert_int_eq(pthread_sigmask(how, &set, NULL), 0);
}

/* The si_code of a pending @signo, which is taken, or 0. */
static int take_pending(int signo, siginfo_t *info)
{
	struct timespec now = { .tv_sec = 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, signo);
	return sigtimedwait(&set, info, &now) == signo ? info->si_code : 0;
}

static bool is_pending(int signo)
{
	sigset_t set;

	ck_assert_int_eq(sigpending(&set), 0);
	return sigismember(&set, signo);
}

/* What a way to write one byte gives: its result. */
typedef long (*write_one)(int fd);

static long write_plainly(int fd)
{
	return vm_errno(write(fd, "x", 1));
}

static long write_by_aio(int fd)
{
	io_context_t context = aio_context(1);
	struct iocb request;
	long result;

	io_prep_pwrite(&request, fd, "x", 1, 0);
	aio_submit(context, &request);
	result = aio_result(context, &request);
	io_destroy(context);
	return result;
}

static long by_uring(int fd, void *buffer, bool write)
{
	struct io_uring ring;
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	long result;
	int ret;

	vm_allow_io_uring();
	ck_assert_int_eq(io_uring_queue_init(1, &ring, 0), 0);
	sqe = io_uring_get_sqe(&ring);
	if (write)
		io_uring_prep_write(sqe, fd, buffer, 1, 0);
	else
		io_uring_prep_read(sqe, fd, buffer, 1, 0);
	ck_assert_int_eq(io_uring_submit(&ring), 1);
	do {
		ret = io_uring_wait_cqe(&ring, &cqe);
	} while (ret == -EINTR);
	ck_assert_int_eq(ret, 0);
	result = cqe->res;
	io_uring_queue_exit(&ring);
	return result;
}

static long write_by_uring(int fd)
{
	return by_uring(fd, "x", true);
}

/* A signal for the one who writes: taken, kept while it is blocked, or ignored. */
static void sigpipe_comes(write_one write_one, int flags)
{
	int writer = writer_alone(flags);
	siginfo_t info;

	vm_signals = 0;
	ck_assert_int_eq(write_one(writer), -EPIPE);
	ck_assert_int_eq(vm_signals, 1);

	block_signal(SIGPIPE, SIG_BLOCK);
	ck_assert_int_eq(write_one(writer), -EPIPE);
	ck_assert_int_eq(vm_signals, 1);
	ck_assert(is_pending(SIGPIPE));
	ck_assert_int_eq(take_pending(SIGPIPE, &info), SI_USER);
	ck_assert_int_eq(info.si_pid, getpid());
	ck_assert_int_eq(write_one(writer), -EPIPE);
	block_signal(SIGPIPE, SIG_UNBLOCK);
	ck_assert_int_eq(vm_signals, 2);

	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(write_one(writer), -EPIPE);
	ck_assert(!is_pending(SIGPIPE));
	ck_assert_int_eq(vm_signals, 2);
	vm_count_signal(SIGPIPE, SA_RESTART);
	close(writer);
}

START_TEST(sigpipe_blocked_and_ignored)
{
	fifo_begin(_i);
	sigpipe_comes(write_plainly, 0);
	sigpipe_comes(write_plainly, O_NONBLOCK);
}
END_TEST

START_TEST(aio_without_the_other_end)
{
	io_context_t context = aio_context(1);
	struct iocb request;
	char byte;
	int reader;

	fifo_begin(_i);
	sigpipe_comes(write_by_aio, 0);
	sigpipe_comes(write_by_aio, O_NONBLOCK);
	reader = reader_alone();
	io_prep_pread(&request, reader, &byte, 1, 0);
	aio_submit(context, &request);
	ck_assert_int_eq(aio_result(context, &request), 0);
}
END_TEST

/*
 * Of a FIFO's blocking file, Linux 6.1 leaves the write to a thread of io_uring, which
 * gets the signal. A channel's is done by the one who submits it, on each kernel.
 */
START_TEST(uring_without_the_other_end)
{
	int reader, writer;
	char byte;

	fifo_begin(_i);
	sigpipe_comes(write_by_uring, O_NONBLOCK);
	if (_i == CHANNEL)
		sigpipe_comes(write_by_uring, 0);
	writer = writer_alone(0);
	ck_assert_int_eq(write_by_uring(writer), -EPIPE);
	close(writer);
	reader = reader_alone();
	ck_assert_int_eq(by_uring(reader, &byte, false), 0);
	vm_set_nonblock(reader, true);
	ck_assert_int_eq(by_uring(reader, &byte, false), 0);
}
END_TEST

/* Bits: 1 readable, 2 writable, 4 exceptional. */
static int select_now(int fd)
{
	struct timeval now = { .tv_sec = 0 };
	fd_set in, out, except;
	int ready;

	FD_ZERO(&in);
	FD_SET(fd, &in);
	out = in;
	except = in;
	ready = vm_errno(select(fd + 1, &in, &out, &except, &now));
	ck_assert_int_ge(ready, 0);
	return (FD_ISSET(fd, &in) ? 1 : 0) | (FD_ISSET(fd, &out) ? 2 : 0) |
		(FD_ISSET(fd, &except) ? 4 : 0);
}

START_TEST(select_at_the_end)
{
	int reader, writer;

	fifo_begin(_i);
	reader = fifo_open(O_RDONLY | O_NONBLOCK);
	ck_assert_int_eq(select_now(reader), 0);
	writer = fifo_open(O_WRONLY);
	ck_assert_int_eq(select_now(reader), 0);
	ck_assert_int_eq(select_now(writer), 2);
	vm_write(writer, "x", 1);
	ck_assert_int_eq(select_now(reader), 1);
	close(writer);
	ck_assert_int_eq(select_now(reader), 1);
	ck_assert_int_eq(fifo_read_byte(reader), 1);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(select_now(reader), 1);
		ck_assert_int_eq(fifo_read_byte(reader), 0);
	}
	close(reader);
	/* select() calls POLLERR readable and writable. */
	writer = writer_alone(0);
	ck_assert_int_eq(select_now(writer), 3);
	close(writer);
}
END_TEST

/* What level-triggered epoll says now of its one file. */
static unsigned int level(int epoll)
{
	struct epoll_event event = { .events = 0 };

	ck_assert_int_ge(vm_errno(epoll_wait(epoll, &event, 1, 0)), 0);
	return event.events;
}

static int add_to_epoll(int fd, unsigned int events)
{
	struct epoll_event event = { .events = events };
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	ck_assert_int_eq(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), 0);
	return epoll;
}

START_TEST(levels_of_epoll)
{
	int in, out, reader, writer;

	fifo_begin(_i);
	fifo_open_both(&reader, &writer);
	in = add_to_epoll(reader, EPOLLIN);
	out = add_to_epoll(writer, EPOLLOUT);
	ck_assert_uint_eq(level(in), 0);
	vm_write(writer, "ab", 2);
	for (int i = 0; i < 2; i++) {
		ck_assert_uint_eq(level(in), EPOLLIN);
		ck_assert_uint_eq(level(in), EPOLLIN);
		ck_assert_uint_eq(level(out), EPOLLOUT);
		ck_assert_int_eq(fifo_read_byte(reader), 1);
	}
	ck_assert_uint_eq(level(in), 0);
	close(writer);
	ck_assert_uint_eq(level(in), EPOLLHUP);
	ck_assert_uint_eq(level(in), EPOLLHUP);
	writer = fifo_open(O_WRONLY);
	out = add_to_epoll(writer, EPOLLOUT);
	ck_assert_uint_eq(level(in), 0);
	close(reader);
	ck_assert_uint_eq(level(out), EPOLLOUT | EPOLLERR);
	ck_assert_uint_eq(level(out), EPOLLOUT | EPOLLERR);
	fifo_open(O_RDONLY);
	ck_assert_uint_eq(level(out), EPOLLOUT);
}
END_TEST

static long poll_in(void *fd)
{
	return vm_poll_wait(*(int *)fd, POLLIN);
}

static long poll_out(void *fd)
{
	return vm_poll_wait(*(int *)fd, POLLOUT);
}

static long epoll_thread(void *fd)
{
	struct epoll_event event = { .events = 0 };

	epoll_wait(*(int *)fd, &event, 1, vm_timeout_ms(VM_HANG_MS));
	return event.events;
}

/* Data wakes one of those who read; the close has to wake each of them. */
START_TEST(close_wakes_who_waits_to_read)
{
	struct vm_thread readers[SLEEPERS], poller, epoller;
	int reader, writer, epoll;
	char byte;
	struct vm_transfer transfer = { .data = &byte, .length = 1 };

	fifo_begin(_i);
	fifo_open_both(&reader, &writer);
	epoll = add_to_epoll(reader, EPOLLIN);
	transfer.fd = reader;
	for (int i = 0; i < SLEEPERS; i++)
		vm_spawn(&readers[i], vm_read_thread, &transfer);
	vm_spawn(&poller, poll_in, &reader);
	vm_spawn(&epoller, epoll_thread, &epoll);
	for (int i = 0; i < SLEEPERS; i++)
		vm_wait_sleeping(readers[i].tid);
	vm_wait_sleeping(poller.tid);
	vm_wait_sleeping(epoller.tid);
	close(writer);
	for (int i = 0; i < SLEEPERS; i++)
		ck_assert_int_eq(vm_join(&readers[i]), 0);
	ck_assert_int_eq(vm_join(&poller), POLLHUP);
	ck_assert_int_eq(vm_join(&epoller), EPOLLHUP);
}
END_TEST

START_TEST(close_wakes_who_waits_to_write)
{
	struct vm_thread writers[SLEEPERS], poller;
	static char data[FIFO_CAPACITY];
	struct vm_transfer transfer = { .data = data, .length = VM_ATOMIC };
	int reader, writer;

	fifo_begin(_i);
	fifo_open_both(&reader, &writer);
	vm_write(writer, data, sizeof(data));
	signal(SIGPIPE, SIG_IGN);
	transfer.fd = writer;
	for (int i = 0; i < SLEEPERS; i++)
		vm_spawn(&writers[i], vm_write_thread, &transfer);
	vm_spawn(&poller, poll_out, &writer);
	for (int i = 0; i < SLEEPERS; i++)
		vm_wait_sleeping(writers[i].tid);
	vm_wait_sleeping(poller.tid);
	close(reader);
	for (int i = 0; i < SLEEPERS; i++)
		ck_assert_int_eq(vm_join(&writers[i]), -EPIPE);
	ck_assert_int_eq(vm_join(&poller), POLLERR);
}
END_TEST

static void arm(int fd)
{
	block_signal(SIGNAL, SIG_BLOCK);
	ck_assert_int_eq(vm_errno(fcntl(fd, F_SETOWN, getpid())), 0);
	ck_assert_int_eq(vm_errno(fcntl(fd, F_SETSIG, SIGNAL)), 0);
	ck_assert_int_eq(vm_errno(fcntl(fd, F_SETFL,
					fcntl(fd, F_GETFL) | O_ASYNC)), 0);
}

/* The one signal that has come since the last look, of @fd: si_code, or 0. */
static int signalled(int fd)
{
	siginfo_t info, more;
	int code = take_pending(SIGNAL, &info);

	if (code) {
		ck_assert_int_eq(info.si_fd, fd);
		ck_assert_int_eq(take_pending(SIGNAL, &more), 0);
	}
	return code;
}

/* A channel names the hang-up, and says nothing of room where none was wanted. */
START_TEST(sigio_of_both)
{
	static char data[FIFO_CAPACITY];
	int reader, writer;

	fifo_begin(_i);
	fifo_open_both(&reader, &writer);
	arm(reader);
	vm_write(writer, "x", 1);
	ck_assert_int_eq(signalled(reader), POLL_IN);
	ck_assert_int_eq(fifo_read_byte(reader), 1);
	ck_assert_int_eq(signalled(reader), 0);
	close(writer);
	ck_assert_int_eq(signalled(reader), _i == FIFO ? POLL_IN : POLL_HUP);
	writer = fifo_open(O_WRONLY);
	ck_assert_int_eq(signalled(reader), 0);
	close(reader);

	reader = fifo_open(O_RDONLY);
	arm(writer);
	vm_write(writer, "x", 1);
	ck_assert_int_eq(signalled(writer), 0);
	ck_assert_int_eq(fifo_read_byte(reader), 1);
	ck_assert_int_eq(signalled(writer), _i == FIFO ? POLL_OUT : 0);
	vm_write(writer, data, sizeof(data));
	vm_set_nonblock(writer, true);
	ck_assert_int_eq(write_plainly(writer), -EAGAIN);
	ck_assert_int_eq(signalled(writer), 0);
	vm_read(reader, data, sizeof(data));
	ck_assert_int_eq(signalled(writer), POLL_OUT);
	close(reader);
	ck_assert_int_eq(signalled(writer), _i == FIFO ? POLL_OUT : POLL_HUP);
	reader = fifo_open(O_RDONLY);
	ck_assert_int_eq(signalled(writer), _i == FIFO ? 0 : POLL_OUT);
}
END_TEST

START_TEST(duplicate_keeps_the_end_open)
{
	int reader, writer, copy;

	fifo_begin(_i);
	fifo_open_both(&reader, &writer);
	copy = dup(writer);
	close(writer);
	vm_set_nonblock(reader, true);
	ck_assert_int_eq(fifo_read_byte(reader), -EAGAIN);
	ck_assert_int_eq(vm_poll(reader, POLLIN), 0);
	vm_write(copy, "x", 1);
	ck_assert_int_eq(fifo_read_byte(reader), 1);
	writer = fifo_open(O_WRONLY);
	close(copy);
	ck_assert_int_eq(fifo_read_byte(reader), -EAGAIN);
	copy = dup(reader);
	close(reader);
	ck_assert_int_eq(vm_poll(writer, POLLOUT), POLLOUT);
	vm_write(writer, "y", 1);
	close(copy);
	ck_assert_int_eq(vm_poll(writer, POLLOUT), POLLOUT | POLLERR);
	ck_assert_int_eq(write_plainly(writer), -EPIPE);
}
END_TEST

struct heir {
	int told[2];
	bool executes;
};

/* Says that it runs, by the close of the pipe, and stays. */
static int stay(void *argument)
{
	struct heir *heir = argument;

	close(heir->told[0]);
	if (heir->executes)
		execl("/bin/sleep", "sleep", "1000", NULL);
	else
		close(heir->told[1]);
	pause();
	return 1;
}

/* Returns when the child runs, and has executed another program where it does so. */
static pid_t leave_to_child(bool executes)
{
	struct heir heir = { .executes = executes };
	pid_t pid;

	ck_assert_int_eq(pipe2(heir.told, O_CLOEXEC), 0);
	pid = vm_fork(stay, &heir);
	close(heir.told[1]);
	ck_assert_int_eq(vm_poll_wait(heir.told[0], POLLIN), POLLHUP);
	close(heir.told[0]);
	return pid;
}

static void kill_child(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	status = vm_wait(pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void end_is_inherited(bool executes)
{
	int reader, writer;
	pid_t pid;

	fifo_open_both(&reader, &writer);
	vm_set_nonblock(reader, true);
	fcntl(writer, F_SETFD, 0);
	pid = leave_to_child(executes);
	close(writer);
	ck_assert_int_eq(fifo_read_byte(reader), -EAGAIN);
	ck_assert_int_eq(vm_poll(reader, POLLIN), 0);
	kill_child(pid);
	ck_assert_int_eq(vm_poll(reader, POLLIN), POLLHUP);
	ck_assert_int_eq(fifo_read_byte(reader), 0);

	writer = fifo_open(O_WRONLY);
	fcntl(reader, F_SETFD, 0);
	fcntl(writer, F_SETFD, FD_CLOEXEC);
	pid = leave_to_child(executes);
	close(reader);
	ck_assert_int_eq(write_plainly(writer), 1);
	kill_child(pid);
	ck_assert_int_eq(write_plainly(writer), -EPIPE);
	close(writer);
}

START_TEST(child_keeps_the_end_open)
{
	fifo_begin(_i);
	end_is_inherited(false);
}
END_TEST

START_TEST(executed_program_keeps_the_end_open)
{
	fifo_begin(_i);
	end_is_inherited(true);
}
END_TEST

START_TEST(exec_closes_what_is_close_on_exec)
{
	int reader, writer;
	pid_t pid;

	fifo_begin(_i);
	fifo_open_both(&reader, &writer);
	vm_set_nonblock(reader, true);
	pid = leave_to_child(true);
	close(writer);
	ck_assert_int_eq(fifo_read_byte(reader), 0);
	ck_assert_int_eq(vm_poll(reader, POLLIN), POLLHUP);
	kill_child(pid);
}
END_TEST

START_TEST(last_of_many_counts)
{
	int readers[8], writers[8];

	fifo_begin(_i);
	for (int i = 0; i < 8; i++)
		readers[i] = fifo_open(O_RDONLY | O_NONBLOCK);
	for (int i = 0; i < 8; i++)
		writers[i] = fifo_open(O_WRONLY);
	for (int i = 0; i < 8; i++) {
		ck_assert_int_eq(fifo_read_byte(readers[i]), -EAGAIN);
		close(writers[i]);
	}
	for (int i = 0; i < 8; i++) {
		ck_assert_int_eq(vm_poll(readers[i], POLLIN), POLLHUP);
		ck_assert_int_eq(fifo_read_byte(readers[i]), 0);
	}
	for (int i = 0; i < 8; i++)
		writers[i] = fifo_open(O_WRONLY);
	for (int i = 0; i < 8; i++) {
		ck_assert_int_eq(vm_poll(writers[i], POLLOUT), POLLOUT);
		close(readers[i]);
	}
	for (int i = 0; i < 8; i++) {
		ck_assert_int_eq(vm_poll(writers[i], POLLOUT),
				 POLLOUT | POLLERR);
		ck_assert_int_eq(write_plainly(writers[i]), -EPIPE);
	}
}
END_TEST

/* One atomic write: says how long it is, whose, and which one. */
struct block {
	uint16_t length;
	uint16_t writer;
	uint32_t number;
	unsigned char fill[VM_ATOMIC - 8];
};

struct share {
	int writer;		/* its number */
	int fd;
	unsigned int writes;
};

static unsigned char filling(const struct block *block)
{
	return block->writer * 16 + block->number % 16;
}

/* A third each: a whole PIPE_BUF, a few bytes, and any odd length. */
static int write_blocks(void *argument)
{
	const struct share *share = argument;
	unsigned int seed = share->writer + 1;
	struct block block = { .writer = share->writer };

	for (; block.number < share->writes; block.number++) {
		int any = rand_r(&seed);

		if (block.number % 3 == 0)
			block.length = VM_ATOMIC;
		else if (block.number % 3 == 1)
			block.length = 8 + any % 32;
		else
			block.length = (8 + any % (VM_ATOMIC - 8)) | 1;
		memset(block.fill, filling(&block), sizeof(block.fill));
		if (write(share->fd, &block, block.length) != block.length)
			return 1;
	}
	return 0;
}

static void read_exactly(int fd, void *data, size_t length)
{
	size_t done = 0;

	while (done < length) {
		ssize_t n = vm_errno(read(fd, (char *)data + done,
					  length - done));

		ck_assert_int_gt(n, 0);
		done += n;
	}
}

/* Starts the writers; the reader sees their end, for no other has that end open. */
static int start_writers(int (*function)(void *), pid_t *pids,
			 struct share *shares, unsigned int writes)
{
	int reader, writer;

	fifo_open_both(&reader, &writer);
	for (int i = 0; i < WRITERS; i++) {
		shares[i] = (struct share){ i, writer, writes };
		pids[i] = vm_fork(function, &shares[i]);
	}
	close(writer);
	return reader;
}

START_TEST(writes_up_to_pipe_buf_never_mix)
{
	unsigned int next[WRITERS] = { 0 }, writes = vm_repeat(BLOCKS);
	struct share shares[WRITERS];
	pid_t pids[WRITERS];
	struct block block;
	int reader;

	fifo_begin(_i);
	reader = start_writers(write_blocks, pids, shares, writes);
	for (unsigned int i = 0; i < WRITERS * writes; i++) {
		read_exactly(reader, &block, 8);
		ck_assert_int_ge(block.length, 8);
		ck_assert_int_le(block.length, VM_ATOMIC);
		ck_assert_int_lt(block.writer, WRITERS);
		ck_assert_uint_eq(block.number, next[block.writer]);
		next[block.writer]++;
		read_exactly(reader, block.fill, block.length - 8);
		for (int j = 0; j < block.length - 8; j++)
			if (block.fill[j] != filling(&block))
				ck_abort_msg("foreign byte at %d", j);
	}
	ck_assert_int_eq(fifo_read_byte(reader), 0);
	for (int i = 0; i < WRITERS; i++)
		vm_wait_success(pids[i]);
}
END_TEST

/* A byte says whose it is and, modulo 64, which one. */
static int write_short_ones(void *argument)
{
	const struct share *share = argument;
	unsigned int seed = share->writer + 1, number = 0;
	unsigned char data[16];

	for (unsigned int i = 0; i < share->writes; i++) {
		int length = 1 + rand_r(&seed) % sizeof(data);

		for (int j = 0; j < length; j++)
			data[j] = share->writer << 6 | (number++ & 63);
		if (write(share->fd, data, length) != length)
			return 1;
	}
	return 0;
}

/* The bytes that write_short_ones() of @writer writes. */
static unsigned int short_bytes(int writer, unsigned int writes)
{
	unsigned int seed = writer + 1, bytes = 0;

	while (writes--)
		bytes += 1 + rand_r(&seed) % 16;
	return bytes;
}

/* A read of few bytes, or one that a channel copies with its lock released. */
static ssize_t read_some(int fd, unsigned char *data, unsigned int *seed)
{
	int any = rand_r(seed);

	return vm_errno(read(fd, data, 1 + any % (any & 1024 ? 97 : VM_ATOMIC)));
}

/* What is written is added to the newest record while the reader is at that one. */
START_TEST(short_writes_are_neither_lost_nor_repeated)
{
	unsigned int next[WRITERS] = { 0 }, writes = vm_repeat(SHORT_WRITES);
	struct share shares[WRITERS];
	unsigned char data[VM_ATOMIC];
	unsigned int seed = 1;
	pid_t pids[WRITERS];
	ssize_t got;
	int reader;

	fifo_begin(_i);
	reader = start_writers(write_short_ones, pids, shares, writes);
	while ((got = read_some(reader, data, &seed)) > 0)
		for (int i = 0; i < got; i++)
			if ((next[data[i] >> 6]++ & 63) != (data[i] & 63))
				ck_abort_msg("byte %u of writer %d is not %#x",
					     next[data[i] >> 6] - 1,
					     data[i] >> 6, data[i]);
	ck_assert_int_eq(got, 0);
	for (int i = 0; i < WRITERS; i++) {
		vm_wait_success(pids[i]);
		ck_assert_uint_eq(next[i], short_bytes(i, writes));
	}
}
END_TEST

static ssize_t splice_some(int from, int to, size_t length, unsigned int flags)
{
	return vm_errno(splice(from, NULL, to, NULL, length, flags));
}

START_TEST(splice_in_and_out)
{
	unsigned char data[10000];
	int in[2], out[2], reader, writer;

	fifo_begin(_i);
	ck_assert_int_eq(pipe(in), 0);
	ck_assert_int_eq(pipe(out), 0);
	fifo_open_both(&reader, &writer);
	ck_assert_int_eq(splice_some(reader, out[1], 1, SPLICE_F_NONBLOCK),
			 -EAGAIN);
	vm_pattern(data, sizeof(data), 0);
	vm_write(in[1], data, sizeof(data));
	ck_assert_int_eq(splice_some(in[0], writer, sizeof(data), 0),
			 sizeof(data));
	memset(data, 0, sizeof(data));
	for (size_t done = 0; done < sizeof(data);) {
		ssize_t n = splice_some(reader, out[1], sizeof(data) - done, 0);

		ck_assert_int_gt(n, 0);
		done += n;
	}
	vm_read(out[0], data, sizeof(data));
	vm_assert_pattern(data, sizeof(data), 0);
	close(writer);
	ck_assert_int_eq(splice_some(reader, out[1], 1, 0), 0);
	writer = fifo_open(O_WRONLY);
	close(reader);
	vm_write(in[1], "x", 1);
	vm_signals = 0;
	ck_assert_int_eq(splice_some(in[0], writer, 1, 0), -EPIPE);
	ck_assert_int_eq(vm_signals, 1);
}
END_TEST

int main(void)
{
	static const TTest *const *cases[] = {
		&sigpipe_blocked_and_ignored, &aio_without_the_other_end,
		&uring_without_the_other_end, &select_at_the_end,
		&levels_of_epoll, &close_wakes_who_waits_to_read,
		&close_wakes_who_waits_to_write, &sigio_of_both,
		&duplicate_keeps_the_end_open, &child_keeps_the_end_open,
		&executed_program_keeps_the_end_open,
		&exec_closes_what_is_close_on_exec, &last_of_many_counts,
		&writes_up_to_pipe_buf_never_mix,
		&short_writes_are_neither_lost_nor_repeated,
		&splice_in_and_out,
	};

	return fifo_main("fifo_ways", cases, VM_ARRAY_SIZE(cases));
}
