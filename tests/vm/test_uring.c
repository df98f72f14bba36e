// SPDX-License-Identifier: GPL-2.0-only
/*
 * io_uring. A request that finds nothing is -EAGAIN to the kernel, which then
 * polls the channel: nothing parks in the driver, and no thread of io-wq sits
 * in a read.
 */
#include "kernel_aio.h"

#include <dirent.h>
#include <liburing.h>
#include <poll.h>
#include <sys/wait.h>

#define ARMED	64
#define MANY	1000

/* Newer than the liburing that this is built with. */
#define READ_MULTISHOT	49

static const enum vm_channel both[] = { VM_STREAM, VM_MESSAGE };
static const enum vm_channel small[] = { VM_STREAM_SMALL, VM_MESSAGE_SMALL };

static int try_ring(struct io_uring *ring, unsigned int entries,
		    unsigned int flags)
{
	vm_allow_io_uring();
	return io_uring_queue_init(entries, ring, flags);
}

static void start_ring(struct io_uring *ring, unsigned int entries)
{
	int ret = try_ring(ring, entries, 0);

	ck_assert_msg(!ret, "io_uring_queue_init: %s", strerror(-ret));
}

static struct io_uring_sqe *get_sqe(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	ck_assert_ptr_nonnull(sqe);
	return sqe;
}

/* Prepares a read; its completion carries @number. */
static struct io_uring_sqe *prepare_read(struct io_uring *ring, int fd,
					 void *buffer, size_t length,
					 uint64_t number)
{
	struct io_uring_sqe *sqe = get_sqe(ring);

	io_uring_prep_read(sqe, fd, buffer, length, 0);
	io_uring_sqe_set_data64(sqe, number);
	return sqe;
}

static void submit(struct io_uring *ring, int count)
{
	ck_assert_int_eq(io_uring_submit(ring), count);
}

/* A completion: struct io_uring_cqe cannot be copied in all its variants. */
struct completion {
	uint64_t user_data;
	int res;
	unsigned int flags;
};

/* Takes the next completion. */
static struct completion take(struct io_uring *ring)
{
	int ms = vm_timeout_ms(VM_HANG_MS);
	struct __kernel_timespec limit = {
		.tv_sec = ms / 1000,
		.tv_nsec = ms % 1000 * 1000000L,
	};
	struct completion copy;
	struct io_uring_cqe *cqe;
	int ret;

	do {
		ret = io_uring_wait_cqe_timeout(ring, &cqe, &limit);
	} while (ret == -EINTR);
	ck_assert_msg(!ret, "no completion came: %s", strerror(-ret));
	copy.user_data = cqe->user_data;
	copy.res = cqe->res;
	copy.flags = cqe->flags;
	io_uring_cqe_seen(ring, cqe);
	return copy;
}

/* The result of request @number, which has to be the next to complete. */
static int result(struct io_uring *ring, uint64_t number)
{
	struct completion cqe = take(ring);

	ck_assert_uint_eq(cqe.user_data, number);
	return cqe.res;
}

/* True if there is no completion. Enters the kernel, where some are made. */
static bool idle(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;

	getppid();
	return io_uring_peek_cqe(ring, &cqe) == -EAGAIN;
}

/* Threads of io-wq that this process has. */
static int worker_threads(void)
{
	DIR *tasks = opendir("/proc/self/task");
	char path[300], name[32];
	struct dirent *task;
	int count = 0;

	ck_assert_ptr_nonnull(tasks);
	while ((task = readdir(tasks))) {
		FILE *file;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm",
			 task->d_name);
		file = fopen(path, "r");
		if (!file)
			continue;
		if (fgets(name, sizeof(name), file))
			count += !strncmp(name, "iou-wrk-", 8);
		fclose(file);
	}
	closedir(tasks);
	return count;
}

/* A ring with one read armed on a channel. */
static void arm_read(struct io_uring *ring, int fd, void *buffer, size_t length)
{
	prepare_read(ring, fd, buffer, length, 1);
	submit(ring, 1);
	ck_assert(idle(ring));
	ck_assert_uint_eq(vm_info(fd).parked_reads, 0);
}

START_TEST(read_and_write_with_data_and_room_complete)
{
	int fd = vm_open(both[_i], O_RDWR);
	struct io_uring_sqe *sqe;
	struct io_uring ring;
	char buffer[8];

	start_ring(&ring, 4);
	sqe = get_sqe(&ring);
	/* The offset is ignored. */
	io_uring_prep_write(sqe, fd, "hello", 5, 12345);
	io_uring_sqe_set_data64(sqe, 1);
	submit(&ring, 1);
	ck_assert_int_eq(result(&ring, 1), 5);
	prepare_read(&ring, fd, buffer, sizeof(buffer), 2);
	submit(&ring, 1);
	ck_assert_int_eq(result(&ring, 2), 5);
	ck_assert_mem_eq(buffer, "hello", 5);
	ck_assert_int_eq(worker_threads(), 0);
}
END_TEST

START_TEST(readv_and_writev_complete)
{
	struct iovec out[2] = { { "hel", 3 }, { "lo", 2 } };
	int fd = vm_open(both[_i], O_RDWR);
	char first[1], second[8];
	struct iovec in[2] = { { first, 1 }, { second, 8 } };
	struct io_uring_sqe *sqe;
	struct io_uring ring;

	start_ring(&ring, 4);
	/* The read is armed first. */
	sqe = get_sqe(&ring);
	io_uring_prep_readv(sqe, fd, in, 2, 0);
	io_uring_sqe_set_data64(sqe, 1);
	submit(&ring, 1);
	ck_assert(idle(&ring));
	sqe = get_sqe(&ring);
	io_uring_prep_writev(sqe, fd, out, 2, 0);
	io_uring_sqe_set_data64(sqe, 2);
	submit(&ring, 1);
	ck_assert_int_eq(take(&ring).res, 5);
	ck_assert_int_eq(take(&ring).res, 5);
	ck_assert_int_eq(first[0], 'h');
	ck_assert_mem_eq(second, "ello", 4);
	ck_assert_int_eq(worker_threads(), 0);
}
END_TEST

START_TEST(fixed_buffers_are_read_and_written)
{
	int fd = vm_open(both[_i], O_RDWR);
	char *memory = vm_pages(2);
	struct iovec buffer = { memory, 2 * vm_page_size() };
	struct io_uring_sqe *sqe;
	struct io_uring ring;

	start_ring(&ring, 4);
	ck_assert_int_eq(io_uring_register_buffers(&ring, &buffer, 1), 0);
	sqe = get_sqe(&ring);
	io_uring_prep_read_fixed(sqe, fd, memory + vm_page_size() - 2, 8, 0, 0);
	io_uring_sqe_set_data64(sqe, 1);
	submit(&ring, 1);
	ck_assert(idle(&ring));
	memcpy(memory, "hello", 5);
	sqe = get_sqe(&ring);
	io_uring_prep_write_fixed(sqe, fd, memory, 5, 0, 0);
	io_uring_sqe_set_data64(sqe, 2);
	submit(&ring, 1);
	ck_assert_int_eq(take(&ring).res, 5);
	ck_assert_int_eq(take(&ring).res, 5);
	ck_assert_mem_eq(memory + vm_page_size() - 2, "hello", 5);
	ck_assert_int_eq(worker_threads(), 0);
}
END_TEST

START_TEST(registered_file_is_read)
{
	int fd = vm_open(both[_i], O_RDWR);
	struct io_uring_sqe *sqe;
	struct io_uring ring;
	char buffer[8];

	start_ring(&ring, 4);
	ck_assert_int_eq(io_uring_register_files(&ring, &fd, 1), 0);
	sqe = prepare_read(&ring, 0, buffer, sizeof(buffer), 1);
	sqe->flags |= IOSQE_FIXED_FILE;
	submit(&ring, 1);
	ck_assert(idle(&ring));
	vm_write(fd, "x", 1);
	ck_assert_int_eq(result(&ring, 1), 1);
	io_uring_queue_exit(&ring);
}
END_TEST

/* Row "the same through io_uring": poll is armed, nothing parks. */
START_TEST(read_of_an_empty_channel_is_armed_and_completes_later)
{
	int fd = vm_open(both[_i], O_RDWR);
	struct io_uring ring;
	char buffer[8];

	start_ring(&ring, 4);
	arm_read(&ring, fd, buffer, sizeof(buffer));
	ck_assert_int_eq(worker_threads(), 0);
	vm_write(fd, "late", 4);
	ck_assert_int_eq(result(&ring, 1), 4);
	ck_assert_mem_eq(buffer, "late", 4);
	ck_assert_int_eq(worker_threads(), 0);
}
END_TEST

/* O_NONBLOCK changes nothing, as the file supports IOCB_NOWAIT. */
START_TEST(read_on_a_nonblocking_file_is_armed_as_well)
{
	int fd = vm_open(both[_i], O_RDWR | O_NONBLOCK);
	struct io_uring ring;
	char buffer[8];

	start_ring(&ring, 4);
	arm_read(&ring, fd, buffer, sizeof(buffer));
	vm_write(fd, "late", 4);
	ck_assert_int_eq(result(&ring, 1), 4);
	ck_assert_int_eq(worker_threads(), 0);
}
END_TEST

START_TEST(rwf_nowait_completes_with_eagain)
{
	int fd = vm_open(both[_i], O_RDWR);
	struct io_uring ring;
	char buffer[8];

	start_ring(&ring, 4);
	prepare_read(&ring, fd, buffer, 8, 1)->rw_flags = RWF_NOWAIT;
	submit(&ring, 1);
	ck_assert_int_eq(result(&ring, 1), -EAGAIN);
}
END_TEST

START_TEST(write_to_a_full_channel_is_armed_and_completes_later)
{
	int fd = vm_open(small[_i], O_RDWR);
	size_t filled = vm_fill(fd);
	unsigned char buffer[VM_ATOMIC];
	struct io_uring_sqe *sqe;
	struct io_uring ring;
	ssize_t got;

	start_ring(&ring, 4);
	sqe = get_sqe(&ring);
	io_uring_prep_write(sqe, fd, "late", 4, 0);
	io_uring_sqe_set_data64(sqe, 1);
	submit(&ring, 1);
	ck_assert(idle(&ring));
	ck_assert_uint_eq(vm_info(fd).parked_writes, 0);
	ck_assert_int_eq(worker_threads(), 0);
	got = vm_errno(read(fd, buffer, sizeof(buffer)));
	ck_assert_int_gt(got, 0);
	ck_assert_int_eq(result(&ring, 1), 4);
	ck_assert_uint_eq(vm_info(fd).bytes, filled - got + 4);
	ck_assert_int_eq(worker_threads(), 0);
}
END_TEST

/* Every record is read once, whoever the kernel lets have it. */
START_TEST(sixty_four_armed_reads_need_no_thread_of_io_wq)
{
	int fd = vm_open(both[_i], O_RDWR);
	unsigned char seen[ARMED] = "";
	uint64_t buffers[ARMED], i;
	struct io_uring ring;

	start_ring(&ring, ARMED);
	for (i = 0; i < ARMED; i++)
		prepare_read(&ring, fd, &buffers[i], 8, i);
	submit(&ring, ARMED);
	ck_assert(idle(&ring));
	ck_assert_uint_eq(vm_info(fd).parked_reads, 0);
	ck_assert_int_eq(worker_threads(), 0);
	for (i = 0; i < ARMED; i++)
		vm_write(fd, &i, 8);
	for (i = 0; i < ARMED; i++) {
		struct completion cqe = take(&ring);

		ck_assert_int_eq(cqe.res, 8);
		ck_assert_uint_lt(buffers[cqe.user_data], ARMED);
		seen[buffers[cqe.user_data]]++;
	}
	for (i = 0; i < ARMED; i++)
		ck_assert_uint_eq(seen[i], 1);
	ck_assert(idle(&ring));
	ck_assert_int_eq(worker_threads(), 0);
}
END_TEST

START_TEST(parked_aio_read_goes_before_an_armed_one)
{
	int fd = vm_open(both[_i], O_RDWR);
	io_context_t context = aio_context(1);
	char armed[8], parked[8];
	struct io_uring ring;
	struct iocb request;

	start_ring(&ring, 4);
	arm_read(&ring, fd, armed, sizeof(armed));
	aio_park_read(context, &request, fd, parked, sizeof(parked));
	vm_write(fd, "1", 1);
	ck_assert_int_eq(aio_result(context, &request), 1);
	ck_assert(idle(&ring));
	vm_write(fd, "2", 1);
	ck_assert_int_eq(result(&ring, 1), 1);
	ck_assert_int_eq(armed[0], '2');
}
END_TEST

START_TEST(message_too_large_for_an_armed_read_is_emsgsize_record_stays)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR | O_NONBLOCK);
	struct io_uring ring;
	char buffer[8];

	start_ring(&ring, 4);
	arm_read(&ring, fd, buffer, 3);
	vm_write(fd, "hello", 5);
	ck_assert_int_eq(result(&ring, 1), -EMSGSIZE);
	ck_assert_int_eq(vm_errno(read(fd, buffer, sizeof(buffer))), 5);
}
END_TEST

START_TEST(bad_buffer_of_an_armed_read_is_efault_record_stays)
{
	int fd = vm_open(both[_i], O_RDWR | O_NONBLOCK);
	unsigned char *guard = (unsigned char *)vm_pages(1) + vm_page_size();
	struct io_uring ring;
	char buffer[8];

	start_ring(&ring, 4);
	arm_read(&ring, fd, guard, 8);
	vm_write(fd, "hello", 5);
	ck_assert_int_eq(result(&ring, 1), -EFAULT);
	ck_assert_int_eq(vm_errno(read(fd, buffer, sizeof(buffer))), 5);
}
END_TEST

START_TEST(zero_length_read_completes_with_0)
{
	int fd = vm_open(both[_i], O_RDWR);
	struct io_uring ring;
	char buffer[1];

	start_ring(&ring, 4);
	prepare_read(&ring, fd, buffer, 0, 1);
	submit(&ring, 1);
	ck_assert_int_eq(result(&ring, 1), 0);
}
END_TEST

START_TEST(fsync_is_einval)
{
	int fd = vm_open(both[_i], O_RDWR);
	struct io_uring_sqe *sqe;
	struct io_uring ring;

	start_ring(&ring, 4);
	sqe = get_sqe(&ring);
	io_uring_prep_fsync(sqe, fd, 0);
	io_uring_sqe_set_data64(sqe, 1);
	submit(&ring, 1);
	ck_assert_int_eq(result(&ring, 1), -EINVAL);
}
END_TEST

START_TEST(poll_completes_when_a_record_comes)
{
	int fd = vm_open(both[_i], O_RDWR);
	struct io_uring_sqe *sqe;
	struct io_uring ring;

	start_ring(&ring, 4);
	sqe = get_sqe(&ring);
	io_uring_prep_poll_add(sqe, fd, POLLIN);
	io_uring_sqe_set_data64(sqe, 1);
	submit(&ring, 1);
	ck_assert(idle(&ring));
	vm_write(fd, "x", 1);
	ck_assert_int_eq(result(&ring, 1) & POLLIN, POLLIN);
	ck_assert_uint_eq(vm_info(fd).bytes, 1);
}
END_TEST

START_TEST(multishot_poll_completes_for_every_record)
{
	int fd = vm_open(both[_i], O_RDWR), i;
	struct io_uring_sqe *sqe;
	struct io_uring ring;
	char buffer[8];

	start_ring(&ring, 8);
	sqe = get_sqe(&ring);
	io_uring_prep_poll_multishot(sqe, fd, POLLIN);
	io_uring_sqe_set_data64(sqe, 1);
	submit(&ring, 1);
	ck_assert(idle(&ring));
	for (i = 0; i < 5; i++) {
		struct completion cqe;

		vm_write(fd, "x", 1);
		cqe = take(&ring);
		ck_assert_int_eq(cqe.res & POLLIN, POLLIN);
		ck_assert_uint_ne(cqe.flags & IORING_CQE_F_MORE, 0);
		vm_read(fd, buffer, 1);
		ck_assert(idle(&ring));
	}
	ck_assert_int_eq(worker_threads(), 0);
}
END_TEST

/* Cancels request 1 by request 2; the result of the first. */
static int cancel(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = get_sqe(ring);
	int results[3] = { 0 }, i;

	io_uring_prep_cancel64(sqe, 1, 0);
	io_uring_sqe_set_data64(sqe, 2);
	/* A polling kernel thread may still have the first in its queue. */
	ck_assert_int_ge(io_uring_submit(ring), 1);
	for (i = 0; i < 2; i++) {
		struct completion cqe = take(ring);

		ck_assert_uint_ge(cqe.user_data, 1);
		ck_assert_uint_le(cqe.user_data, 2);
		results[cqe.user_data] = cqe.res;
	}
	/* In a thread of io-wq it is told, and not found, to be -EALREADY. */
	if (results[2] != -EALREADY)
		ck_assert_int_eq(results[2], 0);
	ck_assert(idle(ring));
	return results[1];
}

START_TEST(armed_read_is_cancelled)
{
	int fd = vm_open(both[_i], O_RDWR | O_NONBLOCK);
	struct io_uring ring;
	char buffer[8];

	start_ring(&ring, 4);
	arm_read(&ring, fd, buffer, sizeof(buffer));
	ck_assert_int_eq(cancel(&ring), -ECANCELED);
	vm_write(fd, "free", 4);
	ck_assert_int_eq(vm_errno(read(fd, buffer, sizeof(buffer))), 4);
	ck_assert(idle(&ring));
}
END_TEST

START_TEST(armed_write_is_cancelled_and_puts_nothing_in)
{
	int fd = vm_open(small[_i], O_RDWR | O_NONBLOCK);
	struct io_uring_sqe *sqe;
	struct io_uring ring;

	start_ring(&ring, 4);
	vm_fill(fd);
	sqe = get_sqe(&ring);
	io_uring_prep_write(sqe, fd, "ghost", 5, 0);
	io_uring_sqe_set_data64(sqe, 1);
	submit(&ring, 1);
	ck_assert(idle(&ring));
	ck_assert_int_eq(cancel(&ring), -ECANCELED);
	vm_drain(fd);
	ck_assert_uint_eq(vm_info(fd).bytes, 0);
	ck_assert(idle(&ring));
}
END_TEST

START_TEST(link_timeout_ends_an_armed_read)
{
	struct __kernel_timespec limit = { .tv_nsec = 20000000 };
	int fd = vm_open(both[_i], O_RDWR), results[3] = { 0 }, i;
	struct io_uring_sqe *sqe;
	struct io_uring ring;
	char buffer[8];

	start_ring(&ring, 4);
	prepare_read(&ring, fd, buffer, 8, 1)->flags |= IOSQE_IO_LINK;
	sqe = get_sqe(&ring);
	io_uring_prep_link_timeout(sqe, &limit, 0);
	io_uring_sqe_set_data64(sqe, 2);
	submit(&ring, 2);
	for (i = 0; i < 2; i++) {
		struct completion cqe = take(&ring);

		results[cqe.user_data] = cqe.res;
	}
	ck_assert_int_eq(results[1], -ECANCELED);
	ck_assert_int_eq(results[2], -ETIME);
}
END_TEST

/* A read of one channel, linked to a write of what it got into another. */
START_TEST(linked_write_follows_an_armed_read)
{
	int from = vm_open(VM_MESSAGE, O_RDWR), to = vm_open(VM_STREAM, O_RDWR);
	struct io_uring_sqe *sqe;
	struct io_uring ring;
	char buffer[5], copy[5];

	start_ring(&ring, 4);
	prepare_read(&ring, from, buffer, 5, 1)->flags |= IOSQE_IO_LINK;
	sqe = get_sqe(&ring);
	io_uring_prep_write(sqe, to, buffer, 5, 0);
	io_uring_sqe_set_data64(sqe, 2);
	submit(&ring, 2);
	ck_assert(idle(&ring));
	vm_write(from, "hello", 5);
	ck_assert_int_eq(result(&ring, 1), 5);
	ck_assert_int_eq(result(&ring, 2), 5);
	vm_read(to, copy, 5);
	ck_assert_mem_eq(copy, "hello", 5);
}
END_TEST

START_TEST(close_does_not_end_an_armed_read)
{
	int fd = vm_open(both[_i], O_RDWR);
	int other = vm_reopen(fd, O_RDWR);
	struct io_uring ring;
	char buffer[8];

	start_ring(&ring, 4);
	arm_read(&ring, fd, buffer, sizeof(buffer));
	close(fd);
	ck_assert(idle(&ring));
	vm_write(other, "x", 1);
	ck_assert_int_eq(result(&ring, 1), 1);
}
END_TEST

/*
 * A read that is to start in io-wq gets a record when one comes, wherever it
 * waits for it.
 */
START_TEST(read_with_iosqe_async_completes_when_a_record_comes)
{
	int fd = vm_open(both[_i], O_RDWR);
	struct io_uring ring;
	char buffer[8];

	start_ring(&ring, 4);
	prepare_read(&ring, fd, buffer, 8, 1)->flags |= IOSQE_ASYNC;
	submit(&ring, 1);
	ck_assert_uint_eq(vm_info(fd).parked_reads, 0);
	vm_write(fd, "x", 1);
	ck_assert_int_eq(result(&ring, 1), 1);
	ck_assert_int_eq(buffer[0], 'x');
}
END_TEST

START_TEST(read_with_iosqe_async_is_cancelled)
{
	int fd = vm_open(both[_i], O_RDWR | O_NONBLOCK);
	struct io_uring ring;
	char buffer[8];
	int res;

	start_ring(&ring, 4);
	prepare_read(&ring, fd, buffer, 8, 1)->flags |= IOSQE_ASYNC;
	submit(&ring, 1);
	res = cancel(&ring);
	/* -EINTR if it was interrupted in the read itself. */
	ck_assert(res == -ECANCELED || res == -EINTR);
	vm_write(fd, "free", 4);
	ck_assert_int_eq(vm_errno(read(fd, buffer, sizeof(buffer))), 4);
	io_uring_queue_exit(&ring);
}
END_TEST

START_TEST(submission_by_a_kernel_thread_works)
{
	int fd = vm_open(both[_i], O_RDWR);
	struct io_uring ring;
	char buffer[8];
	int ret = try_ring(&ring, 4, IORING_SETUP_SQPOLL);

	if (ret)
		vm_skip("no IORING_SETUP_SQPOLL: %s", strerror(-ret));
	prepare_read(&ring, fd, buffer, sizeof(buffer), 1);
	ck_assert_int_ge(io_uring_submit(&ring), 0);
	vm_write(fd, "x", 1);
	ck_assert_int_eq(result(&ring, 1), 1);
	prepare_read(&ring, fd, buffer, sizeof(buffer), 1);
	ck_assert_int_ge(io_uring_submit(&ring), 0);
	ck_assert_int_eq(cancel(&ring), -ECANCELED);
	ck_assert_int_eq(worker_threads(), 0);
	io_uring_queue_exit(&ring);
}
END_TEST

#define BUFFERS		8
#define BUFFER_BYTES	64
#define GROUP		7

/* One request, a completion for each record, each in a buffer of its own. */
static void use_multishot(struct io_uring *ring, int fd, const char *buffers)
{
	struct io_uring_sqe *sqe = get_sqe(ring);
	int i;

	io_uring_prep_rw(READ_MULTISHOT, sqe, fd, NULL, 0, 0);
	io_uring_sqe_set_data64(sqe, 1);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = GROUP;
	submit(ring, 1);
	ck_assert(idle(ring));
	for (i = 0; i < BUFFERS; i++) {
		struct completion cqe;
		char digit = '0' + i;

		vm_write(fd, &digit, 1);
		cqe = take(ring);
		ck_assert_uint_eq(cqe.user_data, 1);
		ck_assert_int_eq(cqe.res, 1);
		ck_assert_uint_ne(cqe.flags & IORING_CQE_F_BUFFER, 0);
		ck_assert_uint_ne(cqe.flags & IORING_CQE_F_MORE, 0);
		ck_assert_int_eq(buffers[BUFFER_BYTES * (cqe.flags >> 16)],
				 digit);
	}
	/* Out of buffers it ends, and the record stays. */
	vm_write(fd, "last", 4);
	ck_assert_int_eq(result(ring, 1), -ENOBUFS);
	ck_assert_uint_eq(vm_info(fd).bytes, 4);
}

START_TEST(multishot_read_completes_for_every_record)
{
	struct io_uring_probe *probe;
	struct io_uring_sqe *sqe;
	struct io_uring ring;
	bool supported;
	char *buffers;

	start_ring(&ring, 16);
	probe = io_uring_get_probe_ring(&ring);
	ck_assert_ptr_nonnull(probe);
	supported = io_uring_opcode_supported(probe, READ_MULTISHOT);
	io_uring_free_probe(probe);
	if (!supported)
		vm_skip("the kernel has no multishot read");
	buffers = calloc(BUFFERS, BUFFER_BYTES);
	sqe = get_sqe(&ring);
	io_uring_prep_provide_buffers(sqe, buffers, BUFFER_BYTES, BUFFERS,
				      GROUP, 0);
	io_uring_sqe_set_data64(sqe, 9);
	submit(&ring, 1);
	ck_assert_int_ge(result(&ring, 9), 0);
	use_multishot(&ring, vm_open(both[_i], O_RDWR), buffers);
	ck_assert_int_eq(worker_threads(), 0);
}
END_TEST

/* Arms MANY reads; the ring is the process's until it ends. */
static void arm_thousand(struct io_uring *ring, int fd)
{
	static char buffers[MANY][8];
	int i;

	start_ring(ring, MANY);
	for (i = 0; i < MANY; i++)
		prepare_read(ring, fd, buffers[i], 8, i);
	submit(ring, MANY);
	ck_assert(idle(ring));
}

static void assert_usable(int fd)
{
	int other = vm_reopen(fd, O_RDONLY | O_NONBLOCK);
	char byte;

	vm_write(fd, "x", 1);
	ck_assert_int_eq(vm_errno(read(other, &byte, 1)), 1);
}

START_TEST(exit_of_the_ring_ends_a_thousand_armed_reads)
{
	int fd = vm_open(both[_i], O_RDWR | O_NONBLOCK);
	int64_t until = vm_now_ms() + vm_timeout_ms(VM_HANG_MS);
	struct io_uring ring;
	int64_t start;
	char byte;

	arm_thousand(&ring, fd);
	start = vm_now_ms();
	io_uring_queue_exit(&ring);
	aio_assert_quick(start, "the exit of the ring");
	/*
	 * What ends them is a work item of the kernel's, some time later:
	 * until then they take records away.
	 */
	do {
		ck_assert_int_lt(vm_now_ms(), until);
		vm_write(fd, "x", 1);
		vm_sleep_ms(1);
	} while (vm_errno(read(fd, &byte, 1)) == -EAGAIN);
	ck_assert_int_eq(byte, 'x');
}
END_TEST

struct ending {
	int fd;
	int ready[2];
	bool executes;
};

/* main() returns at once when it is given this one argument. */
#define EXECUTED	"--executed"

static int arm_and_end(void *argument)
{
	struct ending *ending = argument;
	struct io_uring ring;

	arm_thousand(&ring, ending->fd);
	if (write(ending->ready[1], "r", 1) != 1)
		return 2;
	if (ending->executes)
		execl("/proc/self/exe", "test_uring", EXECUTED, NULL);
	else
		pause();
	return 3;
}

static pid_t start_child(struct ending *ending, enum vm_channel channel)
{
	pid_t pid;
	char byte;

	ending->fd = vm_open(channel, O_RDWR);
	ck_assert_int_eq(pipe(ending->ready), 0);
	pid = vm_fork(arm_and_end, ending);
	ck_assert_int_eq(vm_poll_wait(ending->ready[0], POLLIN), POLLIN);
	vm_read(ending->ready[0], &byte, 1);
	return pid;
}

START_TEST(kill_9_ends_a_thousand_armed_reads_within_a_second)
{
	struct ending ending = { .executes = false };
	pid_t pid = start_child(&ending, both[_i]);
	int64_t start = vm_now_ms();
	int status;

	kill(pid, SIGKILL);
	status = vm_wait(pid);
	aio_assert_quick(start, "the end of the killed process");
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_usable(ending.fd);
}
END_TEST

START_TEST(exec_ends_a_thousand_armed_reads_within_a_second)
{
	struct ending ending = { .executes = true };
	pid_t pid = start_child(&ending, both[_i]);
	int64_t start = vm_now_ms();

	vm_wait_success(pid);
	aio_assert_quick(start, "exec");
	assert_usable(ending.fd);
}
END_TEST

static void add_both(TCase *tcase, const TTest *test)
{
	tcase_add_loop_test(tcase, test, 0, VM_ARRAY_SIZE(both));
}

static void add_transfer_cases(Suite *suite)
{
	TCase *tcase = vm_tcase(suite, "transfer");

	add_both(tcase, read_and_write_with_data_and_room_complete);
	add_both(tcase, readv_and_writev_complete);
	add_both(tcase, fixed_buffers_are_read_and_written);
	add_both(tcase, registered_file_is_read);
	add_both(tcase, rwf_nowait_completes_with_eagain);
	add_both(tcase, zero_length_read_completes_with_0);
	add_both(tcase, fsync_is_einval);
	add_both(tcase, submission_by_a_kernel_thread_works);
	add_both(tcase, multishot_read_completes_for_every_record);
}

static void add_armed_cases(Suite *suite)
{
	TCase *tcase = vm_tcase(suite, "armed");

	add_both(tcase, read_of_an_empty_channel_is_armed_and_completes_later);
	add_both(tcase, read_on_a_nonblocking_file_is_armed_as_well);
	add_both(tcase, write_to_a_full_channel_is_armed_and_completes_later);
	add_both(tcase, sixty_four_armed_reads_need_no_thread_of_io_wq);
	add_both(tcase, parked_aio_read_goes_before_an_armed_one);
	tcase_add_test(tcase, message_too_large_for_an_armed_read_is_emsgsize_record_stays);
	add_both(tcase, bad_buffer_of_an_armed_read_is_efault_record_stays);
	add_both(tcase, poll_completes_when_a_record_comes);
	add_both(tcase, multishot_poll_completes_for_every_record);
	tcase_add_test(tcase, linked_write_follows_an_armed_read);
	add_both(tcase, read_with_iosqe_async_completes_when_a_record_comes);
}

static void add_end_cases(Suite *suite)
{
	TCase *tcase = vm_tcase(suite, "end");

	add_both(tcase, armed_read_is_cancelled);
	add_both(tcase, armed_write_is_cancelled_and_puts_nothing_in);
	add_both(tcase, link_timeout_ends_an_armed_read);
	add_both(tcase, read_with_iosqe_async_is_cancelled);
	add_both(tcase, close_does_not_end_an_armed_read);
	add_both(tcase, exit_of_the_ring_ends_a_thousand_armed_reads);
	add_both(tcase, kill_9_ends_a_thousand_armed_reads_within_a_second);
	add_both(tcase, exec_ends_a_thousand_armed_reads_within_a_second);
}

int main(int argc, char **argv)
{
	Suite *suite;

	if (argc == 2 && !strcmp(argv[1], EXECUTED))
		return 0;
	suite = suite_create("uring");
	add_transfer_cases(suite);
	add_armed_cases(suite);
	add_end_cases(suite);
	return vm_main(suite);
}
