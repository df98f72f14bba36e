// SPDX-License-Identifier: GPL-2.0-only
/* The operations on files and memory. All give a result or -errno. */
#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <linux/achan.h>

static const int timeouts_ms[] = { 0, 1, 5, FUZZ_ALARM_MS + 10 };
static const int64_t offsets[] = {
	0, 1, 4096, -1, -4096, INT64_MAX, INT64_MIN, 1LL << 32,
};

static long result(long value)
{
	return value < 0 ? -errno : value;
}

FUZZ_CALL(open)
{
	static const int modes[] = { O_RDWR, O_RDONLY, O_WRONLY, 3 };
	static const int extra[] = {
		O_NONBLOCK, O_NONBLOCK, O_NONBLOCK, 0, O_NONBLOCK | O_ASYNC,
		O_NONBLOCK | O_APPEND, O_NONBLOCK | O_DIRECT,
		O_NONBLOCK | O_TRUNC, O_NONBLOCK | O_SYNC, O_PATH,
		O_NONBLOCK | O_CLOEXEC, O_DIRECTORY,
	};
	char path[] = "/dev/achan0";
	int fd;

	path[10] += argument[1] % FUZZ_CHANNELS;
	fd = open(path, modes[argument[2] % 4] | FUZZ_PICK(extra, argument[2] / 4));
	if (fd < 0)
		return -errno;
	fuzz_set_fd(argument[0], fd);
	return 0;
}

FUZZ_CALL(close)
{
	if (argument[0] % 16 < 8 && fuzz_fd(argument[0]) >= 0)
		fuzz_set_fd(argument[0], -1);
	return 0;
}

FUZZ_CALL(dup)
{
	int fd = fuzz_fd(argument[0]), copy;
	char path[32];

	/* A pipe in place of a channel would end what is checked. */
	if (argument[0] % 16 >= 8)
		return -EPERM;
	switch (argument[2] % 4) {
	case 0:
		copy = dup(fd);
		break;
	case 1:
		copy = fcntl(fd, F_DUPFD_CLOEXEC, 100);
		break;
	case 2:
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		copy = open(path, O_RDWR | O_NONBLOCK);
		break;
	default:
		copy = dup2(fd, 200 + argument[1] % 8);
	}
	if (copy < 0)
		return -errno;
	fuzz_set_fd(argument[1], copy);
	return 0;
}

static long check(const uint8_t *argument, const char *name, size_t bytes,
		  long value)
{
	if (fuzz_is_channel(argument[0]))
		fuzz_check_transfer(name, bytes, value);
	return value;
}

FUZZ_CALL(read)
{
	size_t length = fuzz_length(argument[2]);

	return check(argument, "read", length,
		     result(syscall(SYS_read, fuzz_fd(argument[0]),
				    fuzz_buffer(argument[1]), length)));
}

FUZZ_CALL(write)
{
	size_t length = fuzz_length(argument[2]);

	return check(argument, "write", length,
		     result(syscall(SYS_write, fuzz_fd(argument[0]),
				    fuzz_buffer(argument[1]), length)));
}

static long vector(const char *name, int plain, int with_flags,
		   const uint8_t *argument)
{
	struct iovec iov[16];
	size_t bytes;
	int fd = fuzz_fd(argument[0]);
	int count = fuzz_vector(iov, argument, &bytes);
	long ret;

	if (argument[6])
		ret = syscall(with_flags, fd, iov, count, -1L, -1L,
			      fuzz_rw_flags(argument[6]));
	else
		ret = syscall(plain, fd, iov, count);
	/* RWF_ flags that no device knows: whatever the kernel says. */
	if (argument[6] & 0x7f)
		return result(ret);
	return check(argument, name, bytes, result(ret));
}

FUZZ_CALL(readv)
{
	return vector("readv", SYS_readv, SYS_preadv2, argument);
}

FUZZ_CALL(writev)
{
	return vector("writev", SYS_writev, SYS_pwritev2, argument);
}

static long at_offset(int number, const uint8_t *argument)
{
	long ret = syscall(number, fuzz_fd(argument[0]),
			   fuzz_buffer(argument[1]), fuzz_length(argument[2]),
			   FUZZ_PICK(offsets, argument[3]));

	if (ret >= 0 && fuzz_is_channel(argument[0]))
		fuzz_finding("a channel has an offset");
	return result(ret);
}

FUZZ_CALL(pread)
{
	return at_offset(SYS_pread64, argument);
}

FUZZ_CALL(pwrite)
{
	return at_offset(SYS_pwrite64, argument);
}

FUZZ_CALL(ioctl)
{
	static const unsigned int requests[] = {
		FIONREAD, ACHAN_IOC_INFO, ACHAN_IOC_GET_FLAGS,
		ACHAN_IOC_SET_FLAGS, ACHAN_IOC_SET_FLAGS, ACHAN_IOC_SET_FLAGS,
		FIOASYNC, FIOASYNC, FIONBIO, FIOCLEX, FIONCLEX, FIOQSIZE,
		FIGETBSZ, FIBMAP, TIOCOUTQ, TCGETS, 0, 0xffffffff,
		_IO(ACHAN_IOC_MAGIC, 0x03),
		_IOW(ACHAN_IOC_MAGIC, 0x00, struct achan_info),
		_IOR(ACHAN_IOC_MAGIC, 0x02, __u64),
		_IOC(3, ACHAN_IOC_MAGIC, 0xff, 0x3fff), FIONREAD, FIONREAD,
		ACHAN_IOC_INFO, FS_IOC_GETFLAGS, FS_IOC_FSGETXATTR,
	};

	fuzz_poke(argument[2], argument[3]);
	return result(ioctl(fuzz_fd(argument[0]), FUZZ_PICK(requests, argument[1]),
			    fuzz_buffer(argument[2])));
}

static const short events[] = {
	POLLIN, POLLOUT, POLLIN | POLLOUT, POLLIN | POLLRDNORM,
	POLLOUT | POLLWRNORM, 0, POLLPRI, POLLERR | POLLHUP, -1,
	POLLRDNORM, POLLWRNORM, POLLRDHUP, POLLRDBAND, POLLIN | POLLPRI,
	POLLNVAL, POLLIN | POLLOUT | POLLRDHUP,
};

static long do_select(int fd, unsigned int selector, int milliseconds)
{
	struct timeval timeout = { .tv_usec = milliseconds * 1000 };
	fd_set in, out;

	FD_ZERO(&in);
	FD_ZERO(&out);
	if (fd < 0 || fd >= FD_SETSIZE)
		return -EBADF;
	FD_SET(fd, &in);
	FD_SET(fd, &out);
	return result(select(fd + 1, selector & 1 ? &in : NULL,
			     selector & 2 ? &out : NULL, NULL, &timeout));
}

FUZZ_CALL(poll)
{
	int timeout = FUZZ_PICK(timeouts_ms, argument[2]);
	struct timespec time = { .tv_nsec = timeout * 1000000L };
	struct pollfd poller[2] = {
		{ .fd = fuzz_fd(argument[0]),
		  .events = FUZZ_PICK(events, argument[1]) },
		{ .fd = fuzz_fd(argument[0] ^ 1), .events = POLLIN },
	};

	switch (argument[3] % 4) {
	case 0:
		return result(poll(poller, 1, timeout));
	case 1:
		return result(poll(poller, 2, timeout));
	case 2:
		return result(ppoll(poller, 1, &time, NULL));
	}
	return do_select(poller[0].fd, argument[1], timeout);
}

int fuzz_epoll_fd(void)
{
	return epoll_create1(0);
}

FUZZ_CALL(epoll)
{
	static const uint32_t flags[] = {
		0, EPOLLET, EPOLLONESHOT, EPOLLEXCLUSIVE,
		EPOLLET | EPOLLEXCLUSIVE, EPOLLWAKEUP, EPOLLET | EPOLLONESHOT,
		0,
	};
	int epoll = fuzz_fd(12), fd = fuzz_fd(argument[0]);
	struct epoll_event got[4], event = {
		.events = (uint16_t)FUZZ_PICK(events, argument[2]) |
			  FUZZ_PICK(flags, argument[1] / 4),
	};

	switch (argument[1] % 4) {
	case 0:
		return result(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	case 1:
		return result(epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event));
	case 2:
		return result(epoll_ctl(epoll, EPOLL_CTL_DEL, fd, &event));
	}
	return result(epoll_wait(epoll, got, 4,
				 FUZZ_PICK(timeouts_ms, argument[3])));
}

/* Never anybody outside of the program. */
static pid_t some_owner(unsigned int selector)
{
	switch (selector % 4) {
	case 0:
		return getpid();
	case 1:
		return -getpgrp();
	case 2:
		return syscall(SYS_gettid);
	}
	return selector & 4 ? 0 : 0x3ffffff0;
}

static long set_owner_ex(int fd, unsigned int selector)
{
	struct f_owner_ex owner = {
		.type = selector / 4 % 4,
		.pid = some_owner(selector),
	};

	if (owner.pid < 0)
		owner.pid = -owner.pid;
	return result(fcntl(fd, F_SETOWN_EX, &owner));
}

FUZZ_CALL(fcntl)
{
	static const int signals[] = { 0, SIGIO, 34, 35, SIGUSR1, 64, 65, -1 };
	static const int status[] = {
		O_ASYNC | O_NONBLOCK, O_NONBLOCK, O_ASYNC, 0,
		O_APPEND | O_NONBLOCK, O_DIRECT | O_NONBLOCK, O_NOATIME, -1,
	};
	static const int others[] = {
		F_GETFL, F_GETFD, F_GETOWN, F_GETSIG, F_GETLK, F_GETPIPE_SZ,
		F_NOTIFY, F_GETLEASE, F_SETPIPE_SZ, F_ADD_SEALS, F_SETLEASE,
		F_OFD_GETLK, 1036, 1037, -1, 999,
	};
	int fd = fuzz_fd(argument[0]);
	unsigned int value = argument[2];

	switch (argument[1] % 8) {
	case 0:
	case 1:
	case 2:
		return result(fcntl(fd, F_SETFL, FUZZ_PICK(status, value)));
	case 3:
		return result(fcntl(fd, F_SETOWN, some_owner(value)));
	case 4:
		return set_owner_ex(fd, value);
	case 5:
		return result(fcntl(fd, F_SETSIG, FUZZ_PICK(signals, value)));
	case 6:
		return result(fcntl(fd, F_SETFD, value & 1));
	}
	return result(syscall(SYS_fcntl, fd, FUZZ_PICK(others, value), 0));
}

FUZZ_CALL(splice)
{
	/* A channel and a pipe, where neither is one. */
	int from = fuzz_fd(argument[0]), to = fuzz_fd(argument[1]);
	int64_t zero = 0;

	if (argument[0] % 16 < 8 && argument[1] % 16 < 8)
		to = fuzz_fd(9);
	return result(splice(from, argument[3] & 0x40 ? &zero : NULL, to, NULL,
			     fuzz_length(argument[2]), argument[3] & 0x3f));
}

FUZZ_CALL(tee)
{
	return result(tee(fuzz_fd(argument[0]), fuzz_fd(argument[1]),
			  fuzz_length(argument[2]), argument[3] & 0x3f));
}

FUZZ_CALL(vmsplice)
{
	struct iovec iov = {
		.iov_base = fuzz_buffer(argument[1]),
		.iov_len = fuzz_length(argument[2]),
	};
	int fd = argument[0] & 1 ? fuzz_fd(argument[0]) : fuzz_fd(9);

	return result(vmsplice(fd, &iov, 1,
			       (argument[3] & 0x3f) | SPLICE_F_NONBLOCK));
}

FUZZ_CALL(sendfile)
{
	off_t zero = 0;
	bool file = argument[1] % 16 == 10;

	return result(sendfile(fuzz_fd(argument[0]), fuzz_fd(argument[1]),
			       file ? &zero : NULL, fuzz_length(argument[2])));
}

FUZZ_CALL(mmap)
{
	int protection = argument[2] & 7;
	void *got = mmap(NULL, fuzz_length(argument[1]), protection,
			 argument[2] & 8 ? MAP_PRIVATE : MAP_SHARED,
			 fuzz_fd(argument[0]), argument[2] & 16 ? 4096 : 0);

	if (got == MAP_FAILED)
		return -errno;
	if (fuzz_is_channel(argument[0]))
		fuzz_finding("mmap of a channel works");
	return 0;
}

FUZZ_CALL(seek)
{
	return result(syscall(SYS_lseek, fuzz_fd(argument[0]),
			      FUZZ_PICK(offsets, argument[1]), argument[2] % 8));
}

static long read_fdinfo(int fd)
{
	char path[64], text[4096];
	long ret;
	int info;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = open(path, O_RDONLY);
	if (info < 0)
		return -errno;
	ret = result(read(info, text, sizeof(text)));
	close(info);
	return ret;
}

FUZZ_CALL(file)
{
	int fd = fuzz_fd(argument[0]);
	struct stat status;

	switch (argument[1] % 12) {
	case 0:
		return read_fdinfo(fd);
	case 1:
		return result(fsync(fd));
	case 2:
		return result(fdatasync(fd));
	case 3:
		return result(fstat(fd, &status));
	case 4:
		return argument[0] % 16 == 10 ? 0 : result(ftruncate(fd, 4096));
	case 5:
		return result(fallocate(fd, argument[1] / 12, 0, 4096));
	case 6:
		return result(flock(fd, LOCK_SH | LOCK_NB));
	case 7:
		return result(posix_fadvise(fd, 0, 4096, argument[1] % 6));
	case 8:
		return result(readahead(fd, 0, 4096));
	case 9:
		return result(syncfs(fd));
	case 10:
		return result(copy_file_range(fd, NULL, fuzz_fd(10), NULL,
					      4096, 0));
	}
	return result(syscall(SYS_getdents64, fd, fuzz_buffer(0), 4096));
}

FUZZ_CALL(memory)
{
	static const int advice[] = {
		MADV_DONTNEED, MADV_FREE, MADV_COLD, MADV_PAGEOUT,
		MADV_DONTFORK, MADV_WILLNEED, MADV_HUGEPAGE, MADV_MERGEABLE,
		MADV_REMOVE, MADV_POPULATE_READ, MADV_POPULATE_WRITE,
	};
	/* Only pages of the arena, which are where they always are. */
	unsigned long start = (unsigned long)fuzz_buffer(argument[0] % 192);
	size_t length = fuzz_length(argument[1]);
	void *page = (void *)(start & ~4095UL);

	if (length > 1U << 17)
		length = 1U << 17;
	length = (length + 4095) & ~4095UL;
	switch (argument[2] % 8) {
	case 0:
		return result(munmap(page, length));
	case 1:
		return result(mprotect(page, length, PROT_NONE));
	case 2:
		return result(mprotect(page, length, PROT_READ));
	case 3:
		return result(mprotect(page, length, PROT_READ | PROT_WRITE));
	case 4:
		return mmap(page, length, PROT_READ | PROT_WRITE, MAP_FIXED |
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ?
		       -errno : 0;
	case 5:
		return result(ftruncate(fuzz_fd(10), length));
	}
	return result(madvise(page, length, FUZZ_PICK(advice, argument[2] / 8 * 4 +
						 argument[0])));
}

FUZZ_CALL(signal)
{
	struct timespec zero = { 0 };
	siginfo_t info;
	sigset_t set;

	sigfillset(&set);
	sigdelset(&set, SIGALRM);
	switch (argument[0] % 4) {
	case 0:
		return result(sigprocmask(SIG_BLOCK, &set, NULL));
	case 1:
		return result(sigprocmask(SIG_UNBLOCK, &set, NULL));
	case 2:
		return result(sigtimedwait(&set, &info, &zero));
	}
	return result(kill(getpid(), SIGIO));
}

/* The fuzzer itself keeps its capabilities. */
static long drop_ipc_lock(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data))
		return -errno;
	data[0].effective &= ~(1U << CAP_IPC_LOCK);
	return result(syscall(SYS_capset, &header, data));
}

FUZZ_CALL(limit)
{
	static const rlim_t pages[] = { 0, 4096, 8 * 4096, RLIM_INFINITY };
	struct rlimit limit = { .rlim_max = RLIM_INFINITY };
	int what = RLIMIT_MEMLOCK;

	switch (argument[0] / 4 % 4) {
	case 0:
	case 1:
		limit.rlim_cur = FUZZ_PICK(pages, argument[0]);
		drop_ipc_lock();
		break;
	case 2:
		what = RLIMIT_SIGPENDING;
		limit.rlim_cur = argument[0] & 3;
		break;
	case 3:
		what = RLIMIT_FSIZE;
		limit.rlim_cur = argument[0] & 3;
	}
	return result(setrlimit(what, &limit));
}

FUZZ_CALL(fail)
{
	fuzz_fail_next(1 + argument[0] % 16);
	return 0;
}

FUZZ_CALL(sleep)
{
	struct timespec time = {
		.tv_nsec = FUZZ_PICK(timeouts_ms, argument[0]) * 100000L,
	};

	return result(nanosleep(&time, NULL));
}

/* Pages 32 to 47 of the arena, whose faults wait until they are resolved. */
FUZZ_CALL(userfault)
{
	static int fd = -1;
	unsigned long start = (unsigned long)fuzz_buffer(4 * 16);
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register region = {
		.range = { .start = start, .len = 16 * 4096 },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	struct uffdio_zeropage zero = {
		.range = { .start = start + argument[0] / 4 * 4096,
			   .len = 4096 },
	};

	switch (argument[0] % 4) {
	case 0:
		if (fd >= 0)
			return -EBUSY;
		fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
		if (fd < 0 || ioctl(fd, UFFDIO_API, &api))
			return -errno;
		return result(ioctl(fd, UFFDIO_REGISTER, &region));
	case 1:
		return result(ioctl(fd, UFFDIO_ZEROPAGE, &zero));
	case 2:
		return result(ioctl(fd, UFFDIO_UNREGISTER, &region.range));
	}
	if (fd >= 0)
		close(fd);
	fd = -1;
	return 0;
}
