// SPDX-License-Identifier: GPL-2.0-only
/*
 * achan-edu on QEMU's edu devices: records that a real interrupt's handler pushes, in
 * every I/O model; and devices that go while files are open.
 */
#include "edu.h"
#include "kernel_aio.h"
#include "monitor.h"

#include <liburing.h>
#include <poll.h>
#include <sys/epoll.h>

#define SIGNAL		(SIGRTMIN + 3)

/* The device computes this for seconds. */
#define LONG_OPERAND	0xc0000000U

/* More operands of 4 bytes than a ring of 64 KiB holds: the last ones park. */
#define MANY		2200

#define GONE		(POLLIN | POLLHUP | POLLERR)

#define TRACING		"/sys/kernel/tracing/"

#define skip_without_edu()						\
	do {								\
		if (edu_missing())					\
			vm_skip("%s", edu_missing());			\
	} while (0)

/* Cases of both are looped over these. */
static const bool msi_or_not[] = { true, false };

static void *zeroed(size_t length)
{
	void *memory = calloc(1, length);

	ck_assert_ptr_nonnull(memory);
	return memory;
}

/* ---- every I/O model */

START_TEST(operand_is_answered_by_interrupt)
{
	char address[EDU_ADDRESS];
	int fd;

	skip_without_edu();
	edu_load(msi_or_not[_i]);
	fd = edu_open("edu0", O_RDWR);
	edu_address("edu0", address);
	ck_assert_int_eq(edu_has_msi(address), msi_or_not[_i]);
	ck_assert_uint_eq(vm_info(fd).kind, ACHAN_KIND_PROVIDER);
	for (uint32_t operand = 0; operand < 40; operand++) {
		edu_write(fd, operand);
		edu_read_result(fd, operand, operand);
	}
}
END_TEST

static long read_record(void *argument)
{
	struct vm_transfer *transfer = argument;

	return vm_errno(read(transfer->fd, transfer->data, transfer->length));
}

START_TEST(blocked_reader_wakes)
{
	struct achan_edu_record record;
	struct vm_transfer transfer = { .data = &record, .length = sizeof(record) };
	struct vm_thread reader;

	skip_without_edu();
	edu_load(msi_or_not[_i]);
	transfer.fd = edu_open("edu0", O_RDWR);
	vm_spawn(&reader, read_record, &transfer);
	vm_wait_sleeping(reader.tid);
	edu_write(transfer.fd, 6);
	ck_assert_int_eq(vm_join(&reader), sizeof(record));
	edu_assert_result(&record, 6, 0);
}
END_TEST

START_TEST(poll_and_epoll_tell_of_the_answer)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int poller, fd;

	skip_without_edu();
	edu_load(msi_or_not[_i]);
	fd = edu_open("edu0", O_RDWR | O_NONBLOCK);
	poller = epoll_create1(EPOLL_CLOEXEC);
	ck_assert_int_ge(poller, 0);
	ck_assert_int_eq(vm_errno(epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event)), 0);
	ck_assert_int_eq(vm_poll(fd, POLLIN | POLLOUT), POLLOUT);
	for (uint32_t i = 0; i < 5; i++) {
		edu_write(fd, i);
		ck_assert_int_eq(vm_poll_wait(fd, POLLIN), POLLIN);
		ck_assert_int_eq(epoll_wait(poller, &event, 1,
					    vm_timeout_ms(VM_HANG_MS)), 1);
		edu_read_result(fd, i, i);
		ck_assert_int_eq(epoll_wait(poller, &event, 1, 0), 0);
	}
}
END_TEST

START_TEST(sigio_tells_of_each_answer)
{
	struct timespec limit = { .tv_sec = vm_timeout_ms(VM_HANG_MS) / 1000 };
	siginfo_t info;
	sigset_t set;
	int fd;

	skip_without_edu();
	edu_load(msi_or_not[_i]);
	sigemptyset(&set);
	sigaddset(&set, SIGNAL);
	ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	fd = edu_open("edu0", O_RDWR | O_NONBLOCK);
	ck_assert_int_eq(vm_errno(fcntl(fd, F_SETOWN, getpid())), 0);
	ck_assert_int_eq(vm_errno(fcntl(fd, F_SETSIG, SIGNAL)), 0);
	ck_assert_int_eq(vm_errno(fcntl(fd, F_SETFL, O_ASYNC | O_NONBLOCK)), 0);
	for (uint32_t i = 0; i < 5; i++) {
		edu_write(fd, i);
		ck_assert_int_eq(vm_errno(sigtimedwait(&set, &info, &limit)), SIGNAL);
		ck_assert_int_eq(info.si_fd, fd);
		ck_assert_int_eq(info.si_code, POLL_IN);
		edu_read_result(fd, i, i);
	}
}
END_TEST

/* Parked on an empty channel; each interrupt completes one, first come, first served. */
START_TEST(parked_aio_reads_complete)
{
	enum { READS = 16 };
	struct achan_edu_record records[READS];
	io_context_t context = aio_context(READS);
	struct iocb requests[READS];
	struct achan_stats before;
	int fd;

	skip_without_edu();
	edu_load(msi_or_not[_i]);
	fd = edu_open("edu0", O_RDWR);
	for (int i = 0; i < READS; i++)
		aio_park_read(context, &requests[i], fd, &records[i],
			      sizeof(records[i]));
	before = control_file_stats(fd);
	ck_assert_uint_eq(before.parked_reads, READS);
	for (uint32_t i = 0; i < READS; i++)
		edu_write(fd, i);
	for (uint32_t i = 0; i < READS; i++) {
		ck_assert_int_eq(aio_result(context, &requests[i]),
				 sizeof(records[i]));
		edu_assert_result(&records[i], i, i);
	}
	aio_wait_unparked(fd);
	ck_assert_uint_eq(control_file_stats(fd).completed - before.completed, READS);
}
END_TEST

START_TEST(io_uring_reads_complete)
{
	enum { READS = 8 };
	struct achan_edu_record records[READS];
	struct __kernel_timespec limit = { .tv_sec = vm_timeout_ms(VM_HANG_MS) / 1000 };
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	int fd, ret;

	skip_without_edu();
	edu_load(msi_or_not[_i]);
	ret = io_uring_queue_init(READS, &ring, 0);
	if (ret == -ENOSYS || ret == -EPERM)
		vm_skip("no io_uring: %s", strerror(-ret));
	ck_assert_int_eq(ret, 0);
	fd = edu_open("edu0", O_RDWR);
	for (int i = 0; i < READS; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

		io_uring_prep_read(sqe, fd, &records[i], sizeof(records[i]), 0);
		io_uring_sqe_set_data64(sqe, i);
		ck_assert_int_eq(io_uring_submit(&ring), 1);
		edu_write(fd, i);
		ret = io_uring_wait_cqe_timeout(&ring, &cqe, &limit);
		ck_assert_msg(!ret, "no completion: %s", strerror(-ret));
		ck_assert_uint_eq(io_uring_cqe_get_data64(cqe), i);
		ck_assert_int_eq(cqe->res, sizeof(records[i]));
		io_uring_cqe_seen(&ring, cqe);
		edu_assert_result(&records[i], i, i);
	}
	io_uring_queue_exit(&ring);
}
END_TEST

/* ---- in which context */

static bool trace(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY | O_TRUNC);
	bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return good;
}

/* The line of the trace that has @event, or NULL. */
static const char *traced(const char *event, char *line, size_t size)
{
	FILE *file = fopen(TRACING "trace", "re");
	bool found = false;

	ck_assert_ptr_nonnull(file);
	while (!found && fgets(line, size, file))
		found = line[0] != '#' && strstr(line, event);
	fclose(file);
	return found ? line : NULL;
}

/* "d.h1.": the third one says that it is in a hard interrupt. */
static bool in_hard_interrupt(const char *line)
{
	const char *flags = strchr(line, ']');

	ck_assert_msg(flags && strlen(flags) > 4, "the trace says %s", line);
	return flags[4] == 'h' || flags[4] == 'H';
}

/* Where handlers are threads by the kernel's configuration, that is right too. */
START_TEST(hard_interrupt_pushes_and_completes)
{
	io_context_t context = aio_context(1);
	struct achan_edu_record record;
	struct iocb request;
	char line[512];
	int fd;

	skip_without_edu();
	if (!access("/sys/kernel/realtime", F_OK))
		vm_skip("handlers are threads on PREEMPT_RT");
	edu_load(msi_or_not[_i]);
	fd = edu_open("edu0", O_RDWR);
	aio_park_read(context, &request, fd, &record, sizeof(record));
	trace(TRACING "trace", " ");
	if (!trace(TRACING "events/achan/achan_complete/enable", "1"))
		vm_skip("this kernel has no tracing");
	edu_write(fd, 7);
	ck_assert_int_eq(aio_result(context, &request), sizeof(record));
	ck_assert(trace(TRACING "events/achan/achan_complete/enable", "0"));
	ck_assert_msg(traced("achan_complete", line, sizeof(line)),
		      "no completion in the trace");
	ck_assert_msg(in_hard_interrupt(line), "not in a hard interrupt: %s", line);
	edu_assert_result(&record, 7, 0);
}
END_TEST

/* ---- operands */

/*
 * The device is at work on the first one. The channel fills, the rest of the writes
 * parks; each answer lets one in.
 */
START_TEST(operands_in_flight_are_all_answered_in_order)
{
	io_context_t context = aio_context(2 * MANY);
	struct achan_edu_record *records;
	struct io_event *events;
	struct iocb *requests;
	uint32_t *operands;
	int fd;

	skip_without_edu();
	records = zeroed(MANY * sizeof(*records));
	requests = zeroed(2 * MANY * sizeof(*requests));
	events = zeroed(2 * MANY * sizeof(*events));
	operands = zeroed(MANY * sizeof(*operands));
	edu_load(msi_or_not[_i]);
	fd = edu_open("edu0", O_RDWR);
	for (int i = 0; i < MANY; i++) {
		operands[i] = i ? (uint32_t)i % 34 : LONG_OPERAND;
		io_prep_pread(&requests[i], fd, &records[i], sizeof(records[i]), 0);
		io_prep_pwrite(&requests[MANY + i], fd, &operands[i],
			       sizeof(operands[i]), 0);
	}
	aio_submit_all(context, requests, 2 * MANY);
	ck_assert_uint_gt(vm_info(fd).parked_writes, 0);
	aio_wait(context, events, 2 * MANY);
	for (int i = 0; i < 2 * MANY; i++)
		ck_assert_uint_eq(events[i].res, events[i].obj < &requests[MANY] ?
				  sizeof(records[0]) : sizeof(operands[0]));
	for (int i = 0; i < MANY; i++)
		edu_assert_result(&records[i], operands[i], i);
	ck_assert_uint_eq(control_file_stats(fd).lost, 0);
	ck_assert_uint_eq(control_file_stats(fd).pulled, MANY);
}
END_TEST

static void assert_refused(int fd, uint32_t kind, int error, uint32_t length,
			   uint64_t sequence)
{
	struct achan_edu_record record;

	vm_read(fd, &record, sizeof(record));
	ck_assert_uint_eq(record.kind, kind);
	ck_assert_int_eq(record.error, error);
	ck_assert_uint_eq(record.length, length);
	ck_assert_uint_eq(record.sequence, sequence);
	ck_assert_uint_eq(record.operand, 0);
	ck_assert_uint_eq(record.value, 0);
	ck_assert_uint_eq(record.started, 0);
	ck_assert_uint_eq(record.interrupted, 0);
}

/* What is no operand has its record in its place, between those of operands. */
START_TEST(wrong_operand_is_einval_in_a_record)
{
	static const uint32_t lengths[] = { 1, 3, 5, 8, 4096, 60000 };
	static char data[60000];
	uint64_t sequence = 0;
	int fd;

	skip_without_edu();
	edu_load(true);
	fd = edu_open("edu0", O_RDWR);
	for (size_t i = 0; i < VM_ARRAY_SIZE(lengths); i++) {
		edu_write(fd, 5);
		vm_write(fd, data, lengths[i]);
		edu_write(fd, 6);
		edu_read_result(fd, 5, sequence++);
		assert_refused(fd, ACHAN_EDU_RESULT, -EINVAL, lengths[i], sequence++);
		edu_read_result(fd, 6, sequence++);
	}
}
END_TEST

/* ---- raised by hand */

START_TEST(raised_by_hand_is_a_record)
{
	char address[EDU_ADDRESS];
	volatile uint32_t *registers;
	int fd;

	skip_without_edu();
	edu_load(msi_or_not[_i]);
	fd = edu_open("edu0", O_RDWR);
	edu_address("edu0", address);
	registers = edu_map(address);
	for (uint32_t bits = 2; bits; bits <<= 1) {
		if (bits == 0x100)
			continue;
		edu_raise(registers, bits);
		edu_read_raised(fd, bits);
	}
	/* All of them is what a device that is gone would read. */
	edu_raise(registers, 0xffffffff);
	edu_read_raised(fd, 0xfffffefe);
	/* The bits of the device itself do not pass for its work. */
	edu_raise(registers, 0x101);
	edu_write(fd, 9);
	edu_read_result(fd, 9, 0);
}
END_TEST

/* Nor do they while there is work. */
START_TEST(raised_while_computing_is_no_answer)
{
	char address[EDU_ADDRESS];
	volatile uint32_t *registers;
	int fd;

	skip_without_edu();
	edu_load(msi_or_not[_i]);
	fd = edu_open("edu0", O_RDWR);
	edu_address("edu0", address);
	registers = edu_map(address);
	edu_write(fd, LONG_OPERAND);
	edu_write(fd, 5);
	edu_raise(registers, 0x01);
	edu_raise(registers, 0x40);
	edu_read_raised(fd, 0x40);
	edu_read_result(fd, LONG_OPERAND, 0);
	edu_read_result(fd, 5, 1);
}
END_TEST

/* ---- DMA */

static bool has_dma(void)
{
	return edu_exists("edu0-dma");
}

static void read_block(int fd, uint32_t length, uint64_t sequence)
{
	struct edu_block block;

	memset(&block, 0xa5, sizeof(block));
	vm_read(fd, &block, sizeof(block.record) + length);
	ck_assert_uint_eq(block.record.kind, ACHAN_EDU_BLOCK);
	ck_assert_int_eq(block.record.error, 0);
	ck_assert_uint_eq(block.record.length, length);
	ck_assert_uint_eq(block.record.sequence, sequence);
	ck_assert_uint_lt(block.record.started, block.record.interrupted);
	vm_assert_pattern(block.data, length, sequence * ACHAN_EDU_BLOCK_MAX);
}

static void write_block(int fd, uint32_t length, uint64_t sequence)
{
	unsigned char data[ACHAN_EDU_BLOCK_MAX];

	vm_pattern(data, length, sequence * ACHAN_EDU_BLOCK_MAX);
	vm_write(fd, data, length);
}

/*
 * QEMU aborted where a transfer took the last byte of the device's memory, as
 * one of 4096 bytes does. A block longer than the driver's buffer was copied
 * over its stack and far beyond.
 */
START_TEST(blocks_come_back_by_dma)
{
	static const uint32_t lengths[] = { 4096, 1, 7, 4095, 8, 4096 };
	static char large[60000];
	size_t count = VM_ARRAY_SIZE(lengths);
	int fd;

	skip_without_edu();
	edu_load(msi_or_not[_i]);
	if (!has_dma())
		vm_skip("this kernel has no memory for the device's DMA");
	fd = edu_open("edu0-dma", O_RDWR);
	for (size_t i = 0; i < count; i++)
		write_block(fd, lengths[i], i);
	vm_write(fd, large, 4097);
	vm_write(fd, large, sizeof(large));
	for (size_t i = 0; i < count; i++)
		read_block(fd, lengths[i], i);
	assert_refused(fd, ACHAN_EDU_BLOCK, -EMSGSIZE, 4097, count);
	assert_refused(fd, ACHAN_EDU_BLOCK, -EMSGSIZE, sizeof(large), count + 1);
}
END_TEST

START_TEST(parked_aio_reads_take_blocks)
{
	enum { BLOCKS = 3 };
	io_context_t context = aio_context(BLOCKS);
	struct iocb requests[BLOCKS];
	struct edu_block *blocks;
	int fd;

	skip_without_edu();
	edu_load(msi_or_not[_i]);
	if (!has_dma())
		vm_skip("this kernel has no memory for the device's DMA");
	blocks = zeroed(BLOCKS * sizeof(*blocks));
	fd = edu_open("edu0-dma", O_RDWR);
	for (int i = 0; i < BLOCKS; i++)
		aio_park_read(context, &requests[i], fd, &blocks[i],
			      sizeof(blocks[i]));
	for (int i = 0; i < BLOCKS; i++)
		write_block(fd, ACHAN_EDU_BLOCK_MAX, i);
	for (int i = 0; i < BLOCKS; i++) {
		ck_assert_int_eq(aio_result(context, &requests[i]), sizeof(blocks[i]));
		vm_assert_pattern(blocks[i].data, ACHAN_EDU_BLOCK_MAX,
				  (uint64_t)i * ACHAN_EDU_BLOCK_MAX);
	}
}
END_TEST

/* Both of a device's channels at once. */
START_TEST(operands_and_blocks_do_not_wait_for_each_other)
{
	int operands, blocks;

	skip_without_edu();
	edu_load(msi_or_not[_i]);
	if (!has_dma())
		vm_skip("this kernel has no memory for the device's DMA");
	operands = edu_open("edu0", O_RDWR);
	blocks = edu_open("edu0-dma", O_RDWR);
	write_block(blocks, 100, 0);
	for (uint32_t i = 0; i < 20; i++) {
		edu_write(operands, i);
		edu_read_result(operands, i, i);
	}
	read_block(blocks, 100, 0);
}
END_TEST

/* ---- two devices */

START_TEST(two_devices_work_at_once)
{
	char addresses[EDU_DEVICES][EDU_ADDRESS];
	volatile uint32_t *registers;
	int first, second;

	skip_without_edu();
	edu_load(msi_or_not[_i]);
	first = edu_open("edu0", O_RDWR);
	second = edu_open("edu1", O_RDWR);
	edu_address("edu0", addresses[0]);
	edu_address("edu1", addresses[1]);
	ck_assert_str_ne(addresses[0], addresses[1]);
	/* With INTx each handler is called for the other one's interrupts too. */
	if (!msi_or_not[_i])
		ck_assert_int_eq(edu_line(addresses[0]), edu_line(addresses[1]));
	for (uint32_t i = 0; i < 200; i++) {
		edu_write(first, i % 34);
		edu_write(second, (i + 1) % 34);
	}
	for (uint32_t i = 0; i < 200; i++) {
		edu_read_result(first, i % 34, i);
		edu_read_result(second, (i + 1) % 34, i);
	}
	registers = edu_map(addresses[1]);
	edu_raise(registers, 0x1000);
	edu_read_raised(second, 0x1000);
	ck_assert_int_eq(vm_poll(first, POLLIN), 0);
}
END_TEST

struct flood {
	volatile uint32_t *registers;
	bool stop;
};

static long raise_and_raise(void *data)
{
	struct flood *flood = data;

	while (!__atomic_load_n(&flood->stop, __ATOMIC_RELAXED))
		edu_raise(flood->registers, 0x1000);
	return 0;
}

/*
 * A handler that the other device has called is at work already when the operand is
 * written, and finds its answer: it said when it had begun, which was before that.
 */
START_TEST(no_interrupt_comes_before_its_operand)
{
	struct flood flood = { .stop = false };
	unsigned int i, times = vm_repeat(2000);
	char address[EDU_ADDRESS];
	struct vm_thread thread;
	int fd;

	skip_without_edu();
	edu_load(false);
	fd = edu_open("edu0", O_RDWR);
	edu_address("edu1", address);
	flood.registers = edu_map(address);
	vm_spawn(&thread, raise_and_raise, &flood);
	for (i = 0; i < times; i++) {
		edu_write(fd, i % 34);
		edu_read_result(fd, i % 34, i);
	}
	__atomic_store_n(&flood.stop, true, __ATOMIC_RELAXED);
	ck_assert_int_eq(vm_join(&thread), 0);
}
END_TEST

/* ---- devices that go */

static char address[EDU_ADDRESS];

static void remove_by_sysfs(void)
{
	char path[64];

	snprintf(path, sizeof(path), EDU_BUS "devices/%s/remove", address);
	edu_put(path, "1");
}

static void back_by_rescan(void)
{
	edu_put(EDU_BUS "rescan", "1");
}

static void unbind(void)
{
	edu_put(EDU_DRIVER "unbind", address);
}

static void rebind(void)
{
	edu_put(EDU_DRIVER "bind", address);
}

static void unload(void)
{
	ck_assert_int_eq(edu_unload(), 0);
}

static void load(void)
{
	edu_load(true);
}

/* How a device goes, and how it comes back. */
static const struct way {
	void (*go)(void);
	void (*come_back)(void);
} ways[] = {
	{ remove_by_sysfs, back_by_rescan },
	{ unbind, rebind },
	{ unload, load },
};

static long poll_for_data(void *argument)
{
	return vm_poll_wait(*(int *)argument, POLLIN);
}

/* Whoever waits for a device, in each way; and what they wait with. */
struct waiting {
	int fd;
	io_context_t context;
	struct iocb requests[3];
	struct achan_edu_record records[4];
	struct vm_transfer transfer;
	struct vm_thread reader;
	struct vm_thread poller;
};

static void start_waiting(struct waiting *waiting, int fd)
{
	waiting->fd = fd;
	waiting->context = aio_context(4);
	for (int i = 0; i < 2; i++)
		aio_park_read(waiting->context, &waiting->requests[i], fd,
			      &waiting->records[i], sizeof(waiting->records[i]));
	io_prep_poll(&waiting->requests[2], fd, POLLIN);
	aio_submit(waiting->context, &waiting->requests[2]);
	waiting->transfer = (struct vm_transfer){
		fd, &waiting->records[3], sizeof(waiting->records[3])
	};
	vm_spawn(&waiting->reader, read_record, &waiting->transfer);
	vm_spawn(&waiting->poller, poll_for_data, &waiting->fd);
	vm_wait_sleeping(waiting->reader.tid);
	vm_wait_sleeping(waiting->poller.tid);
}

static void assert_let_go(struct waiting *waiting)
{
	struct io_event events[3];

	ck_assert_int_eq(vm_join(&waiting->reader), -ENODEV);
	ck_assert_int_eq(vm_join(&waiting->poller), GONE);
	aio_wait(waiting->context, events, 3);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq((long)events[i].res,
				 events[i].obj == &waiting->requests[2] ?
				 GONE : -ENODEV);
	ck_assert_int_eq(vm_poll(waiting->fd, POLLIN), GONE);
	ck_assert_int_eq(vm_errno(read(waiting->fd, &waiting->records[0],
				       sizeof(waiting->records[0]))), -ENODEV);
	ck_assert_int_eq(vm_errno(write(waiting->fd, "1234", 4)), -ENODEV);
}

static void assert_works(const char *name)
{
	int fd = edu_open(name, O_RDWR);
	uint64_t sequence = control_file_stats(fd).written;

	edu_write(fd, 5);
	edu_read_result(fd, 5, sequence);
	close(fd);
}

START_TEST(device_goes_while_all_wait_and_comes_back)
{
	const struct way *way = &ways[_i / 2];
	struct waiting *waiting;

	skip_without_edu();
	edu_load(_i % 2);
	waiting = zeroed(sizeof(*waiting));
	edu_address("edu0", address);
	start_waiting(waiting, edu_open("edu0", O_RDWR));
	way->go();
	assert_let_go(waiting);
	ck_assert(!edu_exists("edu0"));
	ck_assert(!edu_exists("edu0-dma"));
	if (way->go != unload)
		assert_works("edu1");
	way->come_back();
	edu_wait_exists("edu0", true);
	assert_works("edu0");
}
END_TEST

/* Answers that came before stay readable. */
START_TEST(answers_outlive_the_device)
{
	struct achan_edu_record record;
	int fd;

	skip_without_edu();
	edu_load(true);
	edu_address("edu0", address);
	fd = edu_open("edu0", O_RDWR);
	edu_write(fd, 4);
	ck_assert_int_eq(vm_poll_wait(fd, POLLIN), POLLIN);
	ways[_i].go();
	edu_read_result(fd, 4, 0);
	ck_assert_int_eq(vm_errno(read(fd, &record, sizeof(record))), -ENODEV);
	ways[_i].come_back();
}
END_TEST

/* What was done in time, and then that the device is gone. */
static void assert_ends(int fd)
{
	struct edu_block block;
	ssize_t got;

	do {
		got = vm_errno(read(fd, &block, sizeof(block)));
	} while (got > 0);
	ck_assert_int_eq(got, -ENODEV);
}

/*
 * The device is busy with both, and has more to do. A computation that ended
 * just after the handler was freed raised INTx, and the line, which another
 * device shares, was disabled as nobody's.
 */
START_TEST(device_goes_while_at_work)
{
	int operands, blocks = -1;

	skip_without_edu();
	edu_load(_i % 2);
	edu_address("edu0", address);
	operands = edu_open("edu0", O_RDWR);
	if (has_dma()) {
		blocks = edu_open("edu0-dma", O_RDWR);
		write_block(blocks, 4096, 0);
		write_block(blocks, 4096, 1);
	}
	for (int i = 0; i < 5; i++)
		edu_write(operands, i ? i : 0x10000000);
	ways[_i / 2].go();
	assert_ends(operands);
	if (blocks >= 0)
		assert_ends(blocks);
	ways[_i / 2].come_back();
	edu_wait_exists("edu0", true);
	assert_works("edu0");
}
END_TEST

static long write_operands(void *argument)
{
	int fd = *(int *)argument;
	uint32_t operand = 3;
	ssize_t written;

	do {
		written = vm_errno(write(fd, &operand, sizeof(operand)));
	} while (written > 0);
	return written;
}

static long read_answers(void *argument)
{
	int fd = *(int *)argument;
	struct achan_edu_record record;
	uint64_t next = 0;
	ssize_t got;

	/* Where the writers are faster than this, the channel counts what is lost. */
	while ((got = vm_errno(read(fd, &record, sizeof(record)))) > 0) {
		if (record.value != 6 || record.sequence < next)
			return -EBADMSG;
		next = record.sequence + 1;
	}
	return got;
}

/* Writers start the device while its interrupt does, and while it goes. */
START_TEST(writers_race_with_interrupts_and_removal)
{
	skip_without_edu();
	edu_load(_i % 2);
	edu_address("edu0", address);
	for (unsigned int round = 0; round < vm_repeat(20); round++) {
		struct vm_thread writers[2], reader;
		int fd = edu_open("edu0", O_RDWR);

		vm_spawn(&reader, read_answers, &fd);
		vm_spawn(&writers[0], write_operands, &fd);
		vm_spawn(&writers[1], write_operands, &fd);
		vm_sleep_ms(20);
		unbind();
		ck_assert_int_eq(vm_join(&writers[0]), -ENODEV);
		ck_assert_int_eq(vm_join(&writers[1]), -ENODEV);
		ck_assert_int_eq(vm_join(&reader), -ENODEV);
		close(fd);
		rebind();
	}
	assert_works("edu0");
}
END_TEST

static bool has_slots(void)
{
	return !system("ls /sys/bus/pci/slots 2>/dev/null | grep -q .");
}

/*
 * A third card, so that the two of the guest stay for the other cases; under a name
 * that QEMU has not had, for it lets go of one a moment after the guest has.
 */
static void plug(int round)
{
	char command[64];

	snprintf(command, sizeof(command), "device_add edu,id=card%d-%d", getpid(),
		 round);
	monitor_command(command);
	edu_wait_exists("edu2", true);
}

static void unplug(int round)
{
	char command[64];

	snprintf(command, sizeof(command), "device_del card%d-%d", getpid(), round);
	monitor_command(command);
}

START_TEST(card_is_pulled_while_all_wait)
{
	skip_without_edu();
	if (!monitor_is_there())
		vm_skip("the guest has no way to QEMU's monitor");
	if (!has_slots())
		vm_skip("this kernel has no slots: CONFIG_HOTPLUG_PCI_ACPI is off");
	edu_load(msi_or_not[_i]);
	for (int round = 0; round < 3; round++) {
		struct waiting *waiting = zeroed(sizeof(*waiting));

		plug(round);
		assert_works("edu2");
		start_waiting(waiting, edu_open("edu2", O_RDWR));
		unplug(round);
		assert_let_go(waiting);
		edu_wait_exists("edu2", false);
		assert_works("edu0");
	}
}
END_TEST

static void add_models(TCase *tcase)
{
	tcase_add_loop_test(tcase, operand_is_answered_by_interrupt, 0, 2);
	tcase_add_loop_test(tcase, blocked_reader_wakes, 0, 2);
	tcase_add_loop_test(tcase, poll_and_epoll_tell_of_the_answer, 0, 2);
	tcase_add_loop_test(tcase, sigio_tells_of_each_answer, 0, 2);
	tcase_add_loop_test(tcase, parked_aio_reads_complete, 0, 2);
	tcase_add_loop_test(tcase, io_uring_reads_complete, 0, 2);
	tcase_add_loop_test(tcase, hard_interrupt_pushes_and_completes, 0, 2);
}

static void add_work(TCase *tcase)
{
	tcase_add_loop_test(tcase, operands_in_flight_are_all_answered_in_order, 0, 2);
	tcase_add_test(tcase, wrong_operand_is_einval_in_a_record);
	tcase_add_loop_test(tcase, raised_by_hand_is_a_record, 0, 2);
	tcase_add_loop_test(tcase, raised_while_computing_is_no_answer, 0, 2);
	tcase_add_loop_test(tcase, blocks_come_back_by_dma, 0, 2);
	tcase_add_loop_test(tcase, parked_aio_reads_take_blocks, 0, 2);
	tcase_add_loop_test(tcase, operands_and_blocks_do_not_wait_for_each_other, 0,
			    2);
	tcase_add_loop_test(tcase, two_devices_work_at_once, 0, 2);
	tcase_add_test(tcase, no_interrupt_comes_before_its_operand);
}

static void add_removal(TCase *tcase)
{
	tcase_add_loop_test(tcase, device_goes_while_all_wait_and_comes_back, 0, 6);
	tcase_add_loop_test(tcase, answers_outlive_the_device, 0, 3);
	tcase_add_loop_test(tcase, device_goes_while_at_work, 0, 6);
	tcase_add_loop_test(tcase, writers_race_with_interrupts_and_removal, 0, 2);
	tcase_add_loop_test(tcase, card_is_pulled_while_all_wait, 0, 2);
}

int main(void)
{
	Suite *suite = suite_create("edu");
	TCase *models = vm_tcase(suite, "models");
	TCase *work = vm_tcase(suite, "work");
	TCase *removal = vm_tcase(suite, "removal");
	int status;

	add_models(models);
	add_work(work);
	add_removal(removal);
	status = vm_main(suite);
	/* Even what a failed case has left: the other programs want no edu's channel. */
	if (!edu_missing())
		edu_unload();
	return status;
}
