// SPDX-License-Identifier: GPL-2.0-only
/*
 * The user's buffer: bad pointers, pages not there yet, pages of files, and
 * faults that somebody else has to answer. No record is lost, none is half
 * written, and nobody else waits for another's fault.
 */
#include "page_fault.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define KERNEL_ADDRESS	((void *)0xffff888000000000ul)

/* Addresses that no user may read or write. */
static void *bad_address(int number)
{
	switch (number) {
	case 0:
		return NULL;
	case 1:
		return KERNEL_ADDRESS;
	case 2:
		/* Behind the one page: PROT_NONE. */
		return (char *)vm_pages(1) + vm_page_size();
	default:
		/* Not canonical, so not even an address. */
		return (void *)0x4141414141414141ul;
	}
}

#define BAD_ADDRESSES	4

/* Row: bad pointer: -EFAULT, no record lost. */
START_TEST(read_to_bad_pointer_is_efault_and_loses_no_record)
{
	void *bad = bad_address(_i % BAD_ADDRESSES);
	int fd = vm_open(_i / BAD_ADDRESSES ? VM_MESSAGE : VM_STREAM,
			 O_RDWR | O_NONBLOCK);
	struct iovec part = { bad, 300 };
	char data[300], got[300];

	vm_pattern(data, sizeof(data), 0);
	vm_write(fd, data, sizeof(data));
	ck_assert_int_eq(vm_errno(read(fd, bad, 300)), -EFAULT);
	ck_assert_int_eq(vm_errno(readv(fd, &part, 1)), -EFAULT);
	ck_assert_int_eq(vm_info(fd).bytes, sizeof(data));
	vm_read(fd, got, sizeof(got));
	vm_assert_pattern(got, sizeof(got), 0);
	ck_assert_int_eq(vm_info(fd).bytes, 0);
}
END_TEST

/* Row: bad pointer: -EFAULT, no record half written. */
START_TEST(write_from_bad_pointer_is_efault_and_puts_nothing_in)
{
	void *bad = bad_address(_i % BAD_ADDRESSES);
	int fd = vm_open(_i / BAD_ADDRESSES ? VM_MESSAGE : VM_STREAM,
			 O_RDWR | O_NONBLOCK);
	struct iovec part = { bad, 300 };
	char got[16];

	ck_assert_int_eq(vm_errno(write(fd, bad, 300)), -EFAULT);
	ck_assert_int_eq(vm_errno(writev(fd, &part, 1)), -EFAULT);
	ck_assert_int_eq(vm_info(fd).bytes, 0);
	ck_assert_int_eq(vm_poll(fd, POLLIN), 0);
	ck_assert_int_eq(vm_errno(read(fd, got, sizeof(got))), -EAGAIN);
	/* The channel is as good as before. */
	vm_write(fd, "good", 4);
	vm_read(fd, got, 4);
	ck_assert_mem_eq(got, "good", 4);
}
END_TEST

/* The pointer to the segments itself. */
START_TEST(bad_pointer_to_segments_is_efault)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR | O_NONBLOCK);
	char *page = vm_pages(1);
	struct iovec *parts = (void *)(page + vm_page_size() -
				       sizeof(struct iovec));
	char got[8];

	parts->iov_base = got;
	parts->iov_len = 4;
	vm_write(fd, "stay", 4);
	ck_assert_int_eq(vm_errno(readv(fd, parts, 2)), -EFAULT);
	ck_assert_int_eq(vm_errno(writev(fd, parts, 2)), -EFAULT);
	ck_assert_int_eq(vm_info(fd).bytes, 4);
	ck_assert_int_eq(vm_errno(readv(fd, parts, 1)), 4);
}
END_TEST

/* A message that does not fit into what is mapped is not cut: it stays. */
START_TEST(message_read_into_unmapped_page_is_efault_and_record_stays)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR | O_NONBLOCK);
	char *end = (char *)vm_pages(2) + 2 * vm_page_size();
	static char data[6000], got[6000];
	size_t there;

	vm_pattern(data, sizeof(data), 0);
	vm_write(fd, data, sizeof(data));
	for (there = 1; there < sizeof(data); there += 857) {
		ck_assert_int_eq(vm_errno(read(fd, end - there,
					       sizeof(data))), -EFAULT);
		ck_assert_int_eq(vm_info(fd).bytes, sizeof(data));
	}
	vm_read(fd, got, sizeof(got));
	vm_assert_pattern(got, sizeof(got), 0);
}
END_TEST

/* Enough is mapped for the record: what is behind it does not matter. */
START_TEST(message_read_does_not_touch_pages_it_does_not_need)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR | O_NONBLOCK);
	char *end = (char *)vm_pages(1) + vm_page_size();
	char data[100];

	vm_pattern(data, sizeof(data), 0);
	vm_write(fd, data, sizeof(data));
	ck_assert_int_eq(vm_errno(read(fd, end - 100, 5000)), 100);
	vm_assert_pattern(end - 100, 100, 0);
}
END_TEST

START_TEST(message_write_from_unmapped_page_is_efault_and_puts_nothing_in)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR | O_NONBLOCK);
	char *end = (char *)vm_pages(2) + 2 * vm_page_size();
	struct iovec parts[2] = { { "start", 5 }, { end, 100 } };
	size_t there;
	char got[8];

	memset(end - 2 * vm_page_size(), 'x', 2 * vm_page_size());
	for (there = 1; there < 6000; there += 857)
		ck_assert_int_eq(vm_errno(write(fd, end - there, 6000)),
				 -EFAULT);
	ck_assert_int_eq(vm_errno(writev(fd, parts, 2)), -EFAULT);
	ck_assert_int_eq(vm_info(fd).bytes, 0);
	ck_assert_int_eq(vm_errno(read(fd, got, sizeof(got))), -EAGAIN);
}
END_TEST

/* Row: a partial count is returned, never lost: the stream read's fault. */
START_TEST(stream_read_into_unmapped_page_returns_what_it_copied)
{
	int fd = vm_open(VM_STREAM, O_RDWR | O_NONBLOCK);
	char *end = (char *)vm_pages(2) + 2 * vm_page_size();
	static char data[6000], rest[6000];
	size_t there;
	ssize_t n;

	vm_pattern(data, sizeof(data), 0);
	for (there = 1; there < sizeof(data); there += 857) {
		vm_write(fd, data, 3000);
		vm_write(fd, data + 3000, 3000);
		n = vm_errno(read(fd, end - there, sizeof(data)));
		/* All that is mapped, or less: then the rest comes again. */
		if (n == -EFAULT)
			n = 0;
		ck_assert_int_ge(n, 0);
		ck_assert_int_le(n, there);
		/* Whole records before the fault are never an error. */
		if (there >= 3000)
			ck_assert_int_ge(n, 3000);
		vm_assert_pattern(end - there, n, 0);
		ck_assert_int_eq(vm_info(fd).bytes, sizeof(data) - n);
		vm_read(fd, rest, sizeof(data) - n);
		vm_assert_pattern(rest, sizeof(data) - n, n);
	}
}
END_TEST

/* And the stream write's: whole records before the fault went in. */
START_TEST(stream_write_from_unmapped_page_returns_what_went_in)
{
	int fd = vm_open(VM_STREAM, O_RDWR | O_NONBLOCK);
	const size_t mapped = 5 * vm_page_size();
	char *data = vm_pages(5);
	static char got[65536];
	ssize_t n;

	vm_pattern(data, mapped, 0);
	n = vm_errno(write(fd, data, mapped + 10000));
	ck_assert_int_gt(n, 0);
	ck_assert_int_le(n, mapped);
	ck_assert_int_eq(vm_info(fd).bytes, n);
	vm_read(fd, got, n);
	vm_assert_pattern(got, n, 0);
	/* Atomic, so all or nothing. */
	ck_assert_int_eq(vm_errno(write(fd, data + mapped - 100, 200)),
			 -EFAULT);
	ck_assert_int_eq(vm_info(fd).bytes, 0);
}
END_TEST

/* The fault of one segment: a stream gives what came before it. */
START_TEST(bad_second_segment_ends_a_stream_read_there)
{
	int fd = vm_open(VM_STREAM, O_RDWR | O_NONBLOCK);
	char *bad = (char *)vm_pages(1) + vm_page_size();
	char data[100], got[100];
	struct iovec parts[2] = { { got, 60 }, { bad, 40 } };

	vm_pattern(data, sizeof(data), 0);
	vm_write(fd, data, 60);
	vm_write(fd, data + 60, 40);
	ck_assert_int_eq(vm_errno(readv(fd, parts, 2)), 60);
	vm_assert_pattern(got, 60, 0);
	vm_read(fd, got, 40);
	vm_assert_pattern(got, 40, 60);
}
END_TEST

START_TEST(bad_second_segment_leaves_the_message)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR | O_NONBLOCK);
	char *bad = (char *)vm_pages(1) + vm_page_size();
	char data[100], got[100];
	struct iovec parts[2] = { { got, 60 }, { bad, 40 } };

	vm_pattern(data, sizeof(data), 0);
	vm_write(fd, data, sizeof(data));
	ck_assert_int_eq(vm_errno(readv(fd, parts, 2)), -EFAULT);
	vm_read(fd, got, sizeof(got));
	vm_assert_pattern(got, sizeof(got), 0);
}
END_TEST

/* A buffer may go away while its reader sleeps. */
START_TEST(buffer_unmapped_during_the_sleep_is_efault_and_record_stays)
{
	int fd = vm_open(_i ? VM_MESSAGE : VM_STREAM, O_RDWR);
	char *page = vm_pages(1);
	struct vm_transfer transfer = { fd, page, 100 };
	struct vm_thread reader;
	char got[8];

	vm_spawn(&reader, vm_read_thread, &transfer);
	vm_wait_sleeping(reader.tid);
	ck_assert_int_eq(vm_errno(munmap(page, vm_page_size())), 0);
	vm_write(fd, "stays", 5);
	ck_assert_int_eq(vm_join(&reader), -EFAULT);
	vm_read(fd, got, 5);
	ck_assert_mem_eq(got, "stays", 5);
}
END_TEST

struct failing {
	int fd;
	bool writing;
	char *bad;
	int finished;
};

/* Calls that fail in the middle of their copy, until told to end. */
static long fail_often(void *argument)
{
	struct failing *failing = argument;

	while (!__atomic_load_n(&failing->finished, __ATOMIC_ACQUIRE)) {
		ssize_t n;

		if (failing->writing)
			n = vm_errno(write(failing->fd, failing->bad, 200));
		else
			n = vm_errno(read(failing->fd, failing->bad, 200));
		if (n != -EFAULT && n != -EAGAIN)
			return n ? n : 1;
	}
	return 0;
}

static int write_numbers(void *argument)
{
	int fd = *(int *)argument;
	uint32_t record[25];
	uint32_t number;

	for (number = 0; number < 3000; number++) {
		record[0] = number;
		vm_pattern(record + 1, sizeof(record) - 4, number);
		if (write(fd, record, sizeof(record)) != sizeof(record))
			return 1;
	}
	return 0;
}

/* Readers and writers that fail at the same time cost the others nothing. */
START_TEST(failing_calls_beside_good_ones_lose_nothing)
{
	int fd = vm_open(VM_MESSAGE_SMALL, O_RDWR);
	int other = vm_reopen(fd, O_RDWR | O_NONBLOCK);
	char *bad = (char *)vm_pages(1) + vm_page_size() - 40;
	struct failing failing[2] = {
		{ other, false, bad, 0 }, { other, true, bad, 0 }
	};
	struct vm_thread threads[2];
	uint32_t record[25], number;
	pid_t writer;
	int i;

	writer = vm_fork(write_numbers, &fd);
	for (i = 0; i < 2; i++)
		vm_spawn(&threads[i], fail_often, &failing[i]);
	for (number = 0; number < 3000; number++) {
		vm_read(fd, record, sizeof(record));
		ck_assert_uint_eq(record[0], number);
		vm_assert_pattern(record + 1, sizeof(record) - 4, number);
	}
	for (i = 0; i < 2; i++)
		__atomic_store_n(&failing[i].finished, 1, __ATOMIC_RELEASE);
	for (i = 0; i < 2; i++)
		ck_assert_int_eq(vm_join(&threads[i]), 0);
	vm_wait_success(writer);
	ck_assert_uint_eq(vm_info(fd).bytes, 0);
}
END_TEST

/* A page that may only be read is no place to read into. */
START_TEST(read_into_read_only_page_is_efault)
{
	int fd = vm_open(_i ? VM_MESSAGE : VM_STREAM, O_RDWR | O_NONBLOCK);
	char *page = vm_pages(1);
	char got[5];

	memcpy(page, "const", 5);
	vm_write(fd, page, 5);
	ck_assert_int_eq(vm_errno(mprotect(page, vm_page_size(), PROT_READ)),
			 0);
	ck_assert_int_eq(vm_errno(read(fd, page, 5)), -EFAULT);
	/* But good to write from. */
	vm_write(fd, page, 5);
	vm_read(fd, got, 5);
	ck_assert_mem_eq(got, "const", 5);
	vm_read(fd, got, 5);
}
END_TEST

/* A bad write that sleeps first must not leave its waiters asleep. */
START_TEST(failed_write_wakes_the_next_writer)
{
	int fd = vm_open(VM_MESSAGE_SMALL, O_RDWR);
	struct vm_transfer bad = { fd, NULL, 5000 };
	struct vm_transfer good = { fd, "12345678", 8 };
	size_t bytes = vm_fill_records(fd, 1000) * 1000;
	struct vm_thread threads[2];
	char got[1000];

	bytes += vm_fill_records(fd, 8) * 8;
	vm_spawn(&threads[0], vm_write_thread, &bad);
	vm_spawn(&threads[1], vm_write_thread, &good);
	/* The bad one may fail at once or when it comes to copying. */
	vm_wait_sleeping(threads[1].tid);
	while (bytes) {
		ssize_t n = vm_errno(read(fd, got, sizeof(got)));

		ck_assert_int_gt(n, 0);
		bytes -= n;
	}
	ck_assert_int_eq(vm_join(&threads[0]), -EFAULT);
	ck_assert_int_eq(vm_join(&threads[1]), 8);
	ck_assert_int_eq(vm_info(fd).bytes, 8);
}
END_TEST

/* A bad read leaves the record to a reader that sleeps. */
START_TEST(failed_read_leaves_the_record_to_another_reader)
{
	int fd = vm_open(_i ? VM_MESSAGE : VM_STREAM, O_RDWR);
	struct vm_transfer bad = { fd, NULL, 8 };
	struct vm_thread reader;
	struct vm_transfer good;
	struct vm_thread other;
	char got[8];

	good = (struct vm_transfer){ fd, got, sizeof(got) };
	vm_spawn(&reader, vm_read_thread, &bad);
	vm_wait_sleeping(reader.tid);
	vm_spawn(&other, vm_read_thread, &good);
	vm_wait_sleeping(other.tid);
	vm_write(fd, "record", 6);
	ck_assert_int_eq(vm_join(&reader), -EFAULT);
	ck_assert_int_eq(vm_join(&other), 6);
	ck_assert_mem_eq(got, "record", 6);
}
END_TEST

/* Kinds of memory that is not there, or not the process's alone. */
enum memory {
	NEVER_TOUCHED,
	DONTNEED,
	FILE_PRIVATE,
	FILE_SHARED,
	HUGE,
	MEMORIES
};

#define MEMORY_SIZE	(4ul << 20)

static void *map_memory(enum memory memory)
{
	char name[] = "/tmp/achan-fault-XXXXXX";
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	int fd = -1;
	char *data;

	if (memory == FILE_PRIVATE || memory == FILE_SHARED) {
		flags = memory == FILE_SHARED ? MAP_SHARED : MAP_PRIVATE;
		mkdir("/tmp", 01777);
		fd = mkstemp(name);
		ck_assert_msg(fd >= 0, "create %s: %s", name, strerror(errno));
		unlink(name);
		ck_assert_int_eq(vm_errno(ftruncate(fd, MEMORY_SIZE)), 0);
	}
	data = mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, flags, fd, 0);
	ck_assert_ptr_ne(data, MAP_FAILED);
	if (memory == HUGE)
		/* Refused where the kernel has no huge pages: then small. */
		madvise(data, MEMORY_SIZE, MADV_HUGEPAGE);
	if (memory == DONTNEED) {
		memset(data, 1, MEMORY_SIZE);
		ck_assert_int_eq(vm_errno(madvise(data, MEMORY_SIZE,
						  MADV_DONTNEED)), 0);
	}
	return data;
}

/* Row: the page fault is taken, and the copy done again. */
START_TEST(read_into_pages_not_there_yet_faults_them_in)
{
	int fd = vm_open(_i % 2 ? VM_MESSAGE : VM_STREAM, O_RDWR | O_NONBLOCK);
	char *memory = map_memory(_i / 2);
	static char data[30000];
	size_t offset;
	int round;

	for (round = 0; round < 20; round++) {
		offset = round * 101003 + 4000;
		vm_pattern(data, sizeof(data), round);
		ck_assert_int_eq(vm_errno(write(fd, data, sizeof(data))),
				 sizeof(data));
		vm_read(fd, memory + offset, sizeof(data));
		vm_assert_pattern(memory + offset, sizeof(data), round);
		ck_assert_int_eq(vm_info(fd).bytes, 0);
	}
}
END_TEST

/* Pages never touched are written as zeros. */
START_TEST(write_from_pages_not_there_yet_faults_them_in)
{
	int fd = vm_open(_i % 2 ? VM_MESSAGE : VM_STREAM, O_RDWR | O_NONBLOCK);
	char *memory = map_memory(_i / 2);
	static char got[30000], zeros[30000];
	int round;

	for (round = 0; round < 20; round++) {
		vm_write(fd, memory + round * 101003 + 4000, sizeof(got));
		memset(got, 1, sizeof(got));
		vm_read(fd, got, sizeof(got));
		ck_assert_mem_eq(got, zeros, sizeof(got));
	}
}
END_TEST

/* What was read into a shared file mapping is in the file. */
START_TEST(read_into_shared_mapping_changes_the_file)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR | O_NONBLOCK);
	int file = memfd_create("achan", MFD_CLOEXEC);
	char data[5000], got[5000];
	char *memory;

	ck_assert_int_ge(file, 0);
	ck_assert_int_eq(vm_errno(ftruncate(file, 8192)), 0);
	memory = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	ck_assert_ptr_ne(memory, MAP_FAILED);
	vm_pattern(data, sizeof(data), 0);
	vm_write(fd, data, sizeof(data));
	vm_read(fd, memory + 100, sizeof(data));
	ck_assert_int_eq(pread(file, got, sizeof(got), 100), sizeof(got));
	vm_assert_pattern(got, sizeof(got), 0);
}
END_TEST

/* Behind the end of a mapped file there is no page to fault in. */
START_TEST(mapping_behind_end_of_file_is_efault)
{
	int fd = vm_open(_i ? VM_MESSAGE : VM_STREAM, O_RDWR | O_NONBLOCK);
	int file = memfd_create("achan", MFD_CLOEXEC);
	char *memory, got[4];

	ck_assert_int_ge(file, 0);
	memory = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	ck_assert_ptr_ne(memory, MAP_FAILED);
	ck_assert_int_eq(vm_errno(write(fd, memory, 100)), -EFAULT);
	vm_write(fd, "stay", 4);
	ck_assert_int_eq(vm_errno(read(fd, memory, 100)), -EFAULT);
	vm_read(fd, got, 4);
	ck_assert_mem_eq(got, "stay", 4);
}
END_TEST

/* Row: the fault is taken with no consumer claim held: others go on. */
START_TEST(reader_stuck_in_a_fault_holds_up_nobody)
{
	int fd = vm_open(_i ? VM_MESSAGE : VM_STREAM, O_RDWR);
	int other = vm_reopen(fd, O_RDWR | O_NONBLOCK);
	char got[16];
	struct vm_transfer transfer;
	struct page_fault fault;
	struct vm_thread reader;

	if (!page_fault_prepare(&fault, vm_page_size()))
		vm_skip("userfaultfd: %s", strerror(errno));
	vm_write(fd, "first", 5);
	transfer = (struct vm_transfer){ fd, fault.memory, 100 };
	vm_spawn(&reader, vm_read_thread, &transfer);
	page_fault_wait(&fault);

	/* The record is still there, for whoever comes. */
	ck_assert_int_eq(vm_poll(other, POLLIN | POLLOUT), POLLIN | POLLOUT);
	vm_read(other, got, 5);
	ck_assert_mem_eq(got, "first", 5);
	vm_write(other, "second", 6);
	vm_read(other, got, 6);
	vm_write(other, "third", 5);
	page_fault_end(&fault, "");
	ck_assert_int_eq(vm_join(&reader), 5);
	ck_assert_mem_eq(fault.memory, "third", 5);
}
END_TEST

/* Row: nor with a reservation held: others write, and are read. */
START_TEST(writer_stuck_in_a_fault_holds_up_nobody)
{
	int fd = vm_open(_i ? VM_MESSAGE : VM_STREAM, O_RDWR);
	int other = vm_reopen(fd, O_RDWR | O_NONBLOCK);
	char got[16];
	struct vm_transfer transfer;
	struct page_fault fault;
	struct vm_thread writer;

	if (!page_fault_prepare(&fault, vm_page_size()))
		vm_skip("userfaultfd: %s", strerror(errno));
	transfer = (struct vm_transfer){ fd, fault.memory, 5 };
	vm_spawn(&writer, vm_write_thread, &transfer);
	page_fault_wait(&fault);
	ck_assert_int_eq(vm_errno(read(other, got, sizeof(got))), -EAGAIN);
	vm_write(other, "second", 6);
	ck_assert_int_eq(vm_errno(read(other, got, sizeof(got))), 6);
	ck_assert_mem_eq(got, "second", 6);
	page_fault_end(&fault, "first");
	ck_assert_int_eq(vm_join(&writer), 5);
	ck_assert_int_eq(vm_errno(read(other, got, sizeof(got))), 5);
	ck_assert_mem_eq(got, "first", 5);
}
END_TEST

/* One that is interrupted in the fault takes nothing with it either. */
START_TEST(reader_interrupted_in_a_fault_takes_no_record)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR);
	char got[8];
	struct vm_transfer transfer;
	struct page_fault fault;
	struct vm_thread reader;

	if (!page_fault_prepare(&fault, vm_page_size()))
		vm_skip("userfaultfd: %s", strerror(errno));
	vm_count_signal(SIGUSR1, 0);
	vm_write(fd, "stays", 5);
	transfer = (struct vm_transfer){ fd, fault.memory, 100 };
	vm_spawn(&reader, vm_read_thread, &transfer);
	page_fault_wait(&fault);
	vm_read(fd, got, 5);
	vm_kill_thread(reader.tid, SIGUSR1);
	page_fault_end(&fault, "");
	ck_assert_int_eq(vm_join(&reader), -EINTR);
	ck_assert_int_eq(vm_signals, 1);
	vm_write(fd, "again", 5);
	vm_read(fd, got, 5);
	ck_assert_mem_eq(got, "again", 5);
}
END_TEST

static void add_bad_pointer(Suite *suite)
{
	TCase *tcase = vm_tcase(suite, "bad_pointer");

	tcase_add_loop_test(tcase,
			    read_to_bad_pointer_is_efault_and_loses_no_record,
			    0, 2 * BAD_ADDRESSES);
	tcase_add_loop_test(tcase,
			    write_from_bad_pointer_is_efault_and_puts_nothing_in,
			    0, 2 * BAD_ADDRESSES);
	tcase_add_test(tcase, bad_pointer_to_segments_is_efault);
	tcase_add_test(tcase,
		       message_read_into_unmapped_page_is_efault_and_record_stays);
	tcase_add_test(tcase,
		       message_read_does_not_touch_pages_it_does_not_need);
	tcase_add_test(tcase,
		       message_write_from_unmapped_page_is_efault_and_puts_nothing_in);
	tcase_add_test(tcase,
		       stream_read_into_unmapped_page_returns_what_it_copied);
	tcase_add_test(tcase,
		       stream_write_from_unmapped_page_returns_what_went_in);
	tcase_add_test(tcase, bad_second_segment_ends_a_stream_read_there);
	tcase_add_test(tcase, bad_second_segment_leaves_the_message);
	tcase_add_loop_test(tcase,
			    buffer_unmapped_during_the_sleep_is_efault_and_record_stays,
			    0, 2);
	tcase_add_test(tcase, failing_calls_beside_good_ones_lose_nothing);
	tcase_add_loop_test(tcase, read_into_read_only_page_is_efault, 0, 2);
	tcase_add_test(tcase, failed_write_wakes_the_next_writer);
	tcase_add_loop_test(tcase,
			    failed_read_leaves_the_record_to_another_reader,
			    0, 2);
}

static void add_memory(Suite *suite)
{
	TCase *tcase = vm_tcase(suite, "memory");

	tcase_add_loop_test(tcase, read_into_pages_not_there_yet_faults_them_in,
			    0, 2 * MEMORIES);
	tcase_add_loop_test(tcase,
			    write_from_pages_not_there_yet_faults_them_in,
			    0, 2 * MEMORIES);
	tcase_add_test(tcase, read_into_shared_mapping_changes_the_file);
	tcase_add_loop_test(tcase, mapping_behind_end_of_file_is_efault, 0, 2);
}

static void add_held(Suite *suite)
{
	TCase *tcase = vm_tcase(suite, "held");

	tcase_add_loop_test(tcase, reader_stuck_in_a_fault_holds_up_nobody,
			    0, 2);
	tcase_add_loop_test(tcase, writer_stuck_in_a_fault_holds_up_nobody,
			    0, 2);
	tcase_add_test(tcase, reader_interrupted_in_a_fault_takes_no_record);
}

int main(void)
{
	Suite *suite = suite_create("fault");

	add_bad_pointer(suite);
	add_memory(suite);
	add_held(suite);
	return vm_main(suite);
}
