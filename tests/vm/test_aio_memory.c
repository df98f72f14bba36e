// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kernel AIO: what may happen to the buffer of a parked read. A small buffer
 * is pinned, a large one is filled by a worker in the submitter's memory; the
 * channel's info tells which was done.
 */
#include "kernel_aio.h"
#include "page_fault.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define MANY		1000
#define HUGE_BYTES	(2U << 20)

static const enum vm_channel both[] = { VM_STREAM, VM_MESSAGE };
static const enum vm_channel both_small[] = {
	VM_STREAM_SMALL, VM_MESSAGE_SMALL
};

/* Cases loop over both modes and both paths. */
#define VARIANTS	4

static enum vm_channel channel_of(int variant)
{
	return both[variant & 1];
}

static bool is_pinned(int variant)
{
	return !(variant & 2);
}

static size_t length_of(int variant)
{
	return is_pinned(variant) ? vm_page_size() : AIO_WORKER_BYTES;
}

/* A parked read, on a non-blocking file. */
struct parked {
	int fd;
	io_context_t context;
	struct iocb request;
	unsigned char *buffer;
	size_t length;
};

/* Parks a read into @buffer, on the path that @variant says. */
static void park(struct parked *parked, int variant, void *buffer)
{
	uint64_t pinned, worker;

	parked->fd = vm_open(channel_of(variant), O_RDWR | O_NONBLOCK);
	parked->context = aio_context(1);
	parked->buffer = buffer;
	parked->length = length_of(variant);
	pinned = aio_pinned(parked->fd);
	worker = aio_worker(parked->fd);
	aio_park_read(parked->context, &parked->request, parked->fd, buffer,
		      parked->length);
	ck_assert_uint_eq(aio_pinned(parked->fd),
			  pinned + is_pinned(variant));
	ck_assert_uint_eq(aio_worker(parked->fd),
			  worker + !is_pinned(variant));
}

/* Writes "record"; what the parked read made of it. */
static long deliver(struct parked *parked)
{
	vm_write(parked->fd, "record", 6);
	return aio_result(parked->context, &parked->request);
}

/* "record" is in the channel, for whoever comes next. */
static void assert_record_stays(struct parked *parked)
{
	char buffer[8];

	ck_assert_int_eq(vm_poll_wait(parked->fd, POLLIN), POLLIN);
	ck_assert_int_eq(vm_errno(read(parked->fd, buffer, 8)), 6);
	ck_assert_mem_eq(buffer, "record", 6);
}

static void *map(size_t length, int flags, int fd)
{
	void *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, flags, fd, 0);

	ck_assert_msg(memory != MAP_FAILED, "mmap: %s", strerror(errno));
	return memory;
}

/* Memory for the variant's buffer that holds the letter o. */
static unsigned char *old_buffer(int variant)
{
	unsigned char *buffer = map(length_of(variant),
				    MAP_PRIVATE | MAP_ANONYMOUS, -1);

	memset(buffer, 'o', length_of(variant));
	return buffer;
}

static void protect(struct parked *parked, int protection)
{
	ck_assert_int_eq(vm_errno(mprotect(parked->buffer, parked->length,
					   protection)), 0);
}

/* True if a parked read into @length bytes at @buffer is pinned. */
static bool is_pinned_at(int fd, void *buffer, size_t length)
{
	io_context_t context = aio_context(1);
	uint64_t pinned = aio_pinned(fd);
	struct iocb request;

	aio_park_read(context, &request, fd, buffer, length);
	ck_assert_int_eq(aio_cancel_result(context, &request), -ECANCELED);
	ck_assert_int_eq(io_destroy(context), 0);
	return aio_pinned(fd) != pinned;
}

START_TEST(buffer_of_eight_pages_is_pinned_and_of_nine_is_not)
{
	int fd = vm_open(both[_i], O_RDWR);
	size_t page = vm_page_size();
	unsigned char *memory = vm_pages(10);

	ck_assert(is_pinned_at(fd, memory, 8 * page));
	ck_assert(!is_pinned_at(fd, memory, 9 * page));
	ck_assert(!is_pinned_at(fd, memory, 8 * page + 1));
	/* Eight pages' bytes that lie in nine pages. */
	ck_assert(!is_pinned_at(fd, memory + 1, 8 * page));
	ck_assert(is_pinned_at(fd, memory + page - 1, 7 * page + 1));
}
END_TEST

START_TEST(pinned_buffer_is_filled_to_its_last_byte)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR);
	size_t page = vm_page_size(), length = 7 * page + 2;
	unsigned char *memory = vm_pages(9), *data = malloc(length);
	io_context_t context = aio_context(1);
	uint64_t pinned = aio_pinned(fd);
	struct iocb request;

	vm_pattern(data, length, 0);
	aio_park_read(context, &request, fd, memory + page - 1, length);
	ck_assert_uint_eq(aio_pinned(fd), pinned);
	ck_assert_int_eq(aio_cancel_result(context, &request), -ECANCELED);
	length -= 1;
	aio_park_read(context, &request, fd, memory + page - 1, length);
	ck_assert_uint_eq(aio_pinned(fd), pinned + 1);
	vm_write(fd, data, length);
	ck_assert_int_eq(aio_result(context, &request), length);
	vm_assert_pattern(memory + page - 1, length, 0);
	ck_assert_uint_eq(memory[page - 2], 0);
	ck_assert_uint_eq(memory[8 * page], 0);
}
END_TEST

START_TEST(worker_fills_a_large_record_whole)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR);
	size_t length = vm_info(fd).record_max;
	unsigned char *data = malloc(length), *buffer = malloc(length);
	io_context_t context = aio_context(1);
	uint64_t worker = aio_worker(fd);
	struct iocb request;

	vm_pattern(data, length, 0);
	aio_park_read(context, &request, fd, buffer, length);
	ck_assert_uint_eq(aio_worker(fd), worker + 1);
	vm_write(fd, data, length);
	ck_assert_int_eq(aio_result(context, &request), length);
	vm_assert_pattern(buffer, length, 0);
}
END_TEST

START_TEST(pinned_and_worker_reads_share_one_order)
{
	struct iocb *requests = calloc(MANY, sizeof(*requests));
	struct io_event *events = calloc(MANY, sizeof(*events));
	int fd = vm_open(VM_MESSAGE, O_RDWR);
	io_context_t context = aio_context(MANY);
	unsigned char *buffers[MANY];
	uint64_t i, value;

	for (i = 0; i < MANY; i++) {
		size_t length = i % 2 ? AIO_WORKER_BYTES : 8;

		/* Touched: a page fault would give up the turn. */
		buffers[i] = malloc(length);
		memset(buffers[i], 0xff, 8);
		io_prep_pread(&requests[i], fd, buffers[i], length, 0);
	}
	aio_submit_all(context, requests, MANY);
	for (i = 0; i < MANY; i++)
		vm_write(fd, &i, 8);
	aio_wait(context, events, MANY);
	for (i = 0; i < MANY; i++) {
		memcpy(&value, buffers[i], 8);
		ck_assert_uint_eq(value, i);
		ck_assert_int_eq(events[i].res, 8);
	}
	aio_wait_unparked(fd);
}
END_TEST

START_TEST(munmap_of_a_pinned_buffer_completes_normally)
{
	unsigned char *buffer = old_buffer(_i), *again;
	struct parked parked;

	park(&parked, _i, buffer);
	ck_assert_int_eq(munmap(buffer, parked.length), 0);
	again = mmap(buffer, parked.length, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	ck_assert_ptr_eq(again, buffer);
	ck_assert_uint_eq(*again, 0);
	ck_assert_int_eq(deliver(&parked), 6);
	/* The data went to the old pages, not to what is there now. */
	ck_assert_uint_eq(*again, 0);
}
END_TEST

START_TEST(munmap_of_a_worker_buffer_is_efault_record_stays)
{
	struct parked parked;

	park(&parked, _i, old_buffer(_i));
	ck_assert_int_eq(munmap(parked.buffer, parked.length), 0);
	ck_assert_int_eq(deliver(&parked), -EFAULT);
	assert_record_stays(&parked);
}
END_TEST

START_TEST(mprotect_of_a_pinned_buffer_does_not_keep_the_data_out)
{
	struct parked parked;

	park(&parked, _i, old_buffer(_i));
	protect(&parked, PROT_READ);
	ck_assert_int_eq(deliver(&parked), 6);
	ck_assert_mem_eq(parked.buffer, "recordo", 7);
}
END_TEST

START_TEST(mprotect_of_a_worker_buffer_is_efault_record_stays)
{
	struct parked parked;

	park(&parked, _i, old_buffer(_i));
	protect(&parked, PROT_READ);
	ck_assert_int_eq(deliver(&parked), -EFAULT);
	assert_record_stays(&parked);
	ck_assert_mem_eq(parked.buffer, "ooooooo", 7);
}
END_TEST

START_TEST(mprotect_taken_back_before_the_record_comes_changes_nothing)
{
	struct parked parked;

	park(&parked, _i, old_buffer(_i));
	protect(&parked, PROT_NONE);
	protect(&parked, PROT_READ | PROT_WRITE);
	ck_assert_int_eq(deliver(&parked), 6);
	ck_assert_mem_eq(parked.buffer, "recordo", 7);
}
END_TEST

START_TEST(read_only_buffer_is_efault_record_stays)
{
	io_context_t context = aio_context(1);
	struct parked parked = {
		.fd = vm_open(channel_of(_i), O_RDWR | O_NONBLOCK),
		.context = context,
		.buffer = old_buffer(_i),
		.length = length_of(_i),
	};

	protect(&parked, PROT_READ);
	io_prep_pread(&parked.request, parked.fd, parked.buffer,
		      parked.length, 0);
	aio_submit(context, &parked.request);
	ck_assert_int_eq(deliver(&parked), -EFAULT);
	assert_record_stays(&parked);
	ck_assert_mem_eq(parked.buffer, "ooooooo", 7);
}
END_TEST

START_TEST(mremap_moves_a_pinned_buffer_with_its_data)
{
	unsigned char *place = map(length_of(_i), MAP_PRIVATE | MAP_ANONYMOUS,
				   -1);
	struct parked parked;

	park(&parked, _i, old_buffer(_i));
	ck_assert_ptr_eq(mremap(parked.buffer, parked.length, parked.length,
				MREMAP_MAYMOVE | MREMAP_FIXED, place), place);
	ck_assert_int_eq(deliver(&parked), 6);
	ck_assert_mem_eq(place, "recordo", 7);
}
END_TEST

START_TEST(dontneed_of_a_worker_buffer_gives_fresh_pages_with_the_data)
{
	struct parked parked;

	park(&parked, _i, old_buffer(_i));
	ck_assert_int_eq(madvise(parked.buffer, parked.length, MADV_DONTNEED),
			 0);
	ck_assert_int_eq(deliver(&parked), 6);
	ck_assert_mem_eq(parked.buffer, "record\0", 7);
}
END_TEST

/* A child that looks at memory it shares or has a copy of, when told to. */
struct onlooker {
	const unsigned char *buffer;
	const char *expected;	/* seven bytes */
	int told[2];
	pid_t pid;
};

static int look(void *argument)
{
	struct onlooker *onlooker = argument;
	char byte;

	if (read(onlooker->told[0], &byte, 1) != 1)
		return 2;
	return memcmp(onlooker->buffer, onlooker->expected, 7) ? 1 : 0;
}

static void start_onlooker(struct onlooker *onlooker)
{
	ck_assert_int_eq(pipe(onlooker->told), 0);
	onlooker->pid = vm_fork(look, onlooker);
}

static void assert_onlooker_saw(struct onlooker *onlooker)
{
	vm_write(onlooker->told[1], "", 1);
	vm_wait_success(onlooker->pid);
}

START_TEST(fork_while_parked_gives_the_data_to_the_parent_only)
{
	struct onlooker onlooker = { .expected = "ooooooo" };
	struct parked parked;

	park(&parked, _i, old_buffer(_i));
	onlooker.buffer = parked.buffer;
	start_onlooker(&onlooker);
	ck_assert_int_eq(deliver(&parked), 6);
	ck_assert_mem_eq(parked.buffer, "recordo", 7);
	assert_onlooker_saw(&onlooker);
}
END_TEST

/* Copy-on-write by the parent must not take it away from the pinned page. */
START_TEST(parent_that_writes_after_fork_still_gets_the_data)
{
	struct onlooker onlooker = { .expected = "ooooooo" };
	struct parked parked;

	park(&parked, _i, old_buffer(_i));
	onlooker.buffer = parked.buffer;
	start_onlooker(&onlooker);
	parked.buffer[6] = 'p';
	ck_assert_int_eq(deliver(&parked), 6);
	ck_assert_mem_eq(parked.buffer, "recordp", 7);
	assert_onlooker_saw(&onlooker);
}
END_TEST

static int scribble(void *argument)
{
	memset(argument, 'c', 7);
	return 0;
}

START_TEST(child_that_writes_and_exits_leaves_the_parents_request_alone)
{
	struct parked parked;

	park(&parked, _i, old_buffer(_i));
	vm_wait_success(vm_fork(scribble, parked.buffer));
	ck_assert(aio_idle(parked.context));
	ck_assert_int_eq(deliver(&parked), 6);
	ck_assert_mem_eq(parked.buffer, "recordo", 7);
}
END_TEST

START_TEST(buffer_shared_with_a_child_shows_it_the_data)
{
	struct onlooker onlooker = { .expected = "record\0" };
	struct parked parked;

	park(&parked, _i, map(length_of(_i), MAP_SHARED | MAP_ANONYMOUS, -1));
	onlooker.buffer = parked.buffer;
	start_onlooker(&onlooker);
	ck_assert_int_eq(deliver(&parked), 6);
	assert_onlooker_saw(&onlooker);
}
END_TEST

/* A new file of @length bytes, without a name. */
static int open_file(size_t length)
{
	char path[] = "/tmp/achan-XXXXXX";
	int file = mkstemp(path);

	ck_assert_msg(file >= 0, "mkstemp %s: %s", path, strerror(errno));
	unlink(path);
	ck_assert_int_eq(vm_errno(ftruncate(file, length)), 0);
	return file;
}

/* Pages of a file may refuse to be pinned: the worker is always right. */
static long read_into_file(int variant, int file, int flags)
{
	int fd = vm_open(channel_of(variant), O_RDWR | O_NONBLOCK);
	struct parked parked = {
		.fd = fd,
		.context = aio_context(1),
		.length = length_of(variant),
	};

	parked.buffer = map(parked.length, flags, file);
	aio_park_read(parked.context, &parked.request, fd, parked.buffer,
		      parked.length);
	ck_assert_int_eq(deliver(&parked), 6);
	ck_assert_mem_eq(parked.buffer, "record\0", 7);
	return munmap(parked.buffer, parked.length);
}

START_TEST(data_in_a_shared_file_mapping_reaches_the_file)
{
	int files[2] = { open_file(length_of(_i)), memfd_create("buffer", 0) };
	char buffer[8];
	int i;

	ck_assert_int_eq(vm_errno(ftruncate(files[1], length_of(_i))), 0);
	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(read_into_file(_i, files[i], MAP_SHARED), 0);
		ck_assert_int_eq(vm_errno(fsync(files[i])), 0);
		ck_assert_int_eq(vm_errno(pread(files[i], buffer, 7, 0)), 7);
		ck_assert_mem_eq(buffer, "record\0", 7);
	}
}
END_TEST

START_TEST(data_in_a_private_file_mapping_stays_out_of_the_file)
{
	int file = open_file(length_of(_i));
	char buffer[8];

	ck_assert_int_eq(read_into_file(_i, file, MAP_PRIVATE), 0);
	ck_assert_int_eq(vm_errno(pread(file, buffer, 7, 0)), 7);
	ck_assert_mem_eq(buffer, "\0\0\0\0\0\0", 7);
}
END_TEST

/* KiB of @memory's mapping that are huge pages, by /proc/self/smaps. */
static unsigned long huge_kib(const void *memory)
{
	FILE *file = fopen("/proc/self/smaps", "r");
	unsigned long start, end, kib = 0;
	char line[512];
	bool here = false;

	ck_assert_ptr_nonnull(file);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = start <= (uintptr_t)memory &&
			       end > (uintptr_t)memory;
		else if (here)
			sscanf(line, "AnonHugePages: %lu", &kib);
	}
	fclose(file);
	return kib;
}

/* Reads into the middle of a huge page, before and after a fork. */
static void use_huge_page(int variant, unsigned char *huge)
{
	struct onlooker onlooker = { .expected = "ooooooo" };
	struct parked parked;

	memset(huge, 'o', HUGE_BYTES);
	park(&parked, variant, huge + HUGE_BYTES / 2);
	onlooker.buffer = parked.buffer;
	start_onlooker(&onlooker);
	ck_assert_int_eq(deliver(&parked), 6);
	ck_assert_mem_eq(parked.buffer, "recordo", 7);
	ck_assert_uint_eq(parked.buffer[-1], 'o');
	assert_onlooker_saw(&onlooker);
}

/* The kernel turns them off by itself where there is little memory. */
static void allow_huge_pages(void)
{
	FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "w");

	if (!file)
		return;
	fputs("madvise\n", file);
	fclose(file);
}

START_TEST(buffer_in_a_transparent_huge_page)
{
	uintptr_t memory = (uintptr_t)map(2 * HUGE_BYTES,
					  MAP_PRIVATE | MAP_ANONYMOUS, -1);
	unsigned char *huge;

	allow_huge_pages();
	huge = (unsigned char *)((memory + HUGE_BYTES - 1) &
				 ~(uintptr_t)(HUGE_BYTES - 1));
	if (madvise(huge, HUGE_BYTES, MADV_HUGEPAGE))
		vm_skip("no transparent huge pages: %s", strerror(errno));
	*huge = 1;
	if (!huge_kib(huge))
		vm_skip("the kernel gave no transparent huge page");
	use_huge_page(_i, huge);
}
END_TEST

static void set_huge_pages(int count)
{
	FILE *file = fopen("/proc/sys/vm/nr_hugepages", "w");

	if (!file)
		return;
	fprintf(file, "%d\n", count);
	fclose(file);
}

START_TEST(buffer_in_a_page_of_hugetlb)
{
	unsigned char *huge;

	/* One for the mapping, one for the child's copy. */
	set_huge_pages(2);
	huge = mmap(NULL, HUGE_BYTES, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (huge == MAP_FAILED)
		vm_skip("no huge page to map: %s", strerror(errno));
	use_huge_page(_i, huge);
	ck_assert_int_eq(munmap(huge, HUGE_BYTES), 0);
	set_huge_pages(0);
}
END_TEST

static long submit_in_thread(void *argument)
{
	park(argument, 0, old_buffer(0));
	return 0;
}

START_TEST(request_outlives_the_thread_that_submitted_it)
{
	struct vm_thread thread;
	struct parked parked;

	vm_spawn(&thread, submit_in_thread, &parked);
	ck_assert_int_eq(vm_join(&thread), 0);
	ck_assert_int_eq(deliver(&parked), 6);
	ck_assert_mem_eq(parked.buffer, "recordo", 7);
}
END_TEST

/* Row "limits": pinned bytes are charged to RLIMIT_MEMLOCK. */
START_TEST(read_over_the_limit_of_locked_memory_goes_to_a_worker)
{
	size_t page = vm_page_size();
	unsigned char *first = vm_pages(3), *second = vm_pages(2);
	int fd = vm_open(both[_i], O_RDWR | O_NONBLOCK);
	io_context_t context = aio_context(2);
	uint64_t pinned = aio_pinned(fd), worker = aio_worker(fd);
	struct iocb requests[2];

	aio_limit_pinned(4 * page);
	aio_park_read(context, &requests[0], fd, first, 3 * page);
	aio_park_read(context, &requests[1], fd, second, 2 * page);
	ck_assert_uint_eq(aio_pinned(fd), pinned + 1);
	ck_assert_uint_eq(aio_worker(fd), worker + 1);
	vm_write(fd, "one", 3);
	ck_assert_int_eq(aio_result(context, &requests[0]), 3);
	vm_write(fd, "two", 3);
	ck_assert_int_eq(aio_result(context, &requests[1]), 3);
	ck_assert_mem_eq(first, "one", 4);
	ck_assert_mem_eq(second, "two", 4);
	aio_wait_unparked(fd);
}
END_TEST

START_TEST(locked_memory_is_given_back_by_completion_and_cancel)
{
	size_t page = vm_page_size();
	unsigned char *memory = vm_pages(4);
	int fd = vm_open(both[_i], O_RDWR | O_NONBLOCK);
	io_context_t context = aio_context(1);
	uint64_t pinned = aio_pinned(fd);
	struct iocb request;
	int i;

	aio_limit_pinned(4 * page);
	for (i = 0; i < 3; i++) {
		aio_park_read(context, &request, fd, memory, 4 * page);
		ck_assert_uint_eq(aio_pinned(fd), ++pinned);
		vm_write(fd, "x", 1);
		ck_assert_int_eq(aio_result(context, &request), 1);
		aio_wait_unparked(fd);
		ck_assert(is_pinned_at(fd, memory, 4 * page));
		pinned++;
		aio_wait_unparked(fd);
	}
}
END_TEST

START_TEST(without_any_locked_memory_every_read_goes_to_a_worker)
{
	int fd = vm_open(both[_i], O_RDWR | O_NONBLOCK);
	io_context_t context = aio_context(1);
	uint64_t pinned = aio_pinned(fd);
	struct iocb request;
	char buffer[8];
	int i;

	aio_limit_pinned(0);
	for (i = 0; i < 100; i++) {
		aio_park_read(context, &request, fd, buffer, sizeof(buffer));
		vm_write(fd, &i, sizeof(i));
		ck_assert_int_eq(aio_result(context, &request), sizeof(i));
		ck_assert_mem_eq(buffer, &i, sizeof(i));
	}
	ck_assert_uint_eq(aio_pinned(fd), pinned);
}
END_TEST

/*
 * A stream read of which a part of the buffer cannot be written may end short
 * or with -EFAULT, but what it did not give is in the channel.
 */
static void assert_nothing_lost(int fd, const unsigned char *buffer,
				long result, size_t written)
{
	unsigned char rest[1 << 16];
	size_t done = 0;

	if (result != -EFAULT) {
		ck_assert_int_gt(result, 0);
		vm_assert_pattern(buffer, result, 0);
		done = result;
	}
	while (done < written) {
		ssize_t got;

		ck_assert_int_eq(vm_poll_wait(fd, POLLIN), POLLIN);
		got = vm_errno(read(fd, rest, sizeof(rest)));
		ck_assert_int_gt(got, 0);
		vm_assert_pattern(rest, got, done);
		done += got;
	}
	ck_assert_uint_eq(done, written);
	ck_assert_uint_eq(vm_info(fd).bytes, 0);
}

START_TEST(stream_read_into_half_a_buffer_loses_nothing)
{
	int fd = vm_open(VM_STREAM, O_RDWR | O_NONBLOCK);
	unsigned char *end = (unsigned char *)vm_pages(1) + vm_page_size();
	unsigned char data[3000];
	io_context_t context = aio_context(1);
	struct iocb request;
	long result;
	int i;

	/* A thousand bytes can be written, then comes the guard page. */
	io_prep_pread(&request, fd, end - 1000, _i ? AIO_WORKER_BYTES : 4000,
		      0);
	aio_submit(context, &request);
	for (i = 0; i < 3; i++) {
		vm_pattern(data, sizeof(data), sizeof(data) * i);
		vm_write(fd, data, sizeof(data));
	}
	result = aio_result(context, &request);
	assert_nothing_lost(fd, end - 1000, result, 3 * sizeof(data));
	/* The same with data there, and as a plain read. */
	for (i = 0; i < 3; i++) {
		vm_pattern(data, sizeof(data), sizeof(data) * i);
		vm_write(fd, data, sizeof(data));
	}
	result = vm_errno(read(fd, end - 1000, 4000));
	assert_nothing_lost(fd, end - 1000, result, 3 * sizeof(data));
}
END_TEST

/* A message that does not fit before the bad address: as a plain read says. */
START_TEST(message_into_half_a_buffer_is_efault_and_stays)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR | O_NONBLOCK);
	unsigned char *end = (unsigned char *)vm_pages(1) + vm_page_size();
	unsigned char data[3000], rest[sizeof(data)];
	io_context_t context = aio_context(1);
	struct iocb request;

	io_prep_pread(&request, fd, end - 1000, 4000, 0);
	aio_submit(context, &request);
	vm_pattern(data, sizeof(data), 0);
	vm_write(fd, data, sizeof(data));
	ck_assert_int_eq(aio_result(context, &request), -EFAULT);
	ck_assert_int_eq(vm_errno(read(fd, end - 1000, 4000)), -EFAULT);
	vm_read(fd, rest, sizeof(rest));
	vm_assert_pattern(rest, sizeof(rest), 0);
}
END_TEST

START_TEST(worker_read_waits_for_its_page_fault)
{
	int fd = vm_open(both[_i], O_RDWR | O_NONBLOCK);
	io_context_t context = aio_context(1);
	struct iocb request;
	struct page_fault fault;

	if (!page_fault_prepare(&fault, AIO_WORKER_BYTES))
		vm_skip("no userfaultfd: %s", strerror(errno));
	aio_park_read(context, &request, fd, fault.memory, fault.length);
	vm_write(fd, "record", 6);
	page_fault_wait(&fault);
	ck_assert(aio_idle(context));
	page_fault_end(&fault, "");
	ck_assert_int_eq(aio_result(context, &request), 6);
	ck_assert_mem_eq(fault.memory, "record\0", 7);
	aio_wait_unparked(fd);
}
END_TEST

/*
 * Row "order": who waits for a page keeps its place. Row "io_cancel": it can be
 * cancelled all the same, and then the others go on.
 */
START_TEST(worker_read_stuck_in_a_page_fault_keeps_its_place_until_cancelled)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR | O_NONBLOCK);
	io_context_t stuck = aio_context(1), others[2];
	struct iocb stuck_request, requests[2];
	struct page_fault fault;
	char buffers[2], last;
	unsigned int i;

	if (!page_fault_prepare(&fault, AIO_WORKER_BYTES))
		vm_skip("no userfaultfd: %s", strerror(errno));
	aio_park_read(stuck, &stuck_request, fd, fault.memory, fault.length);
	for (i = 0; i < 2; i++) {
		others[i] = aio_context(1);
		aio_park_read(others[i], &requests[i], fd, &buffers[i], 1);
	}
	vm_write(fd, "1", 1);
	page_fault_wait(&fault);
	vm_write(fd, "2", 1);
	vm_write(fd, "3", 1);
	ck_assert(aio_idle(stuck));
	for (i = 0; i < 2; i++)
		ck_assert(aio_idle(others[i]));
	ck_assert_int_eq(vm_errno(read(fd, &last, 1)), -EAGAIN);
	ck_assert_int_eq(aio_cancel_result(stuck, &stuck_request), -ECANCELED);
	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(aio_result(others[i], &requests[i]), 1);
		ck_assert_int_eq(buffers[i], '1' + i);
	}
	ck_assert_int_eq(vm_poll_wait(fd, POLLIN), POLLIN);
	vm_read(fd, &last, 1);
	ck_assert_int_eq(last, '3');
	/* The worker itself may still be there; it must not hold up an end. */
	close(fault.uffd);
	ck_assert_int_eq(io_destroy(stuck), 0);
	aio_wait_unparked(fd);
	ck_assert_uint_eq(vm_info(fd).bytes, 0);
}
END_TEST

/*
 * Row "order". Reads whose memory was never touched were overtaken by others
 * once, which swapped the pieces of a stream.
 */
START_TEST(reads_into_untouched_memory_are_served_in_order)
{
	enum { READS = 16, BYTES = 65536 };
	int fd = vm_open(both[_i], O_RDWR);
	io_context_t context = aio_context(READS);
	struct iocb requests[READS];
	char *memory = mmap(NULL, READS * BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int i, next = 0;

	ck_assert_ptr_ne(memory, MAP_FAILED);
	for (i = 0; i < READS; i++) {
		if (i & 1)
			memory[i * BYTES] = 'x';
		aio_park_read(context, &requests[i], fd, memory + i * BYTES,
			      BYTES);
	}
	for (i = 0; i < READS; i++) {
		char value = i;

		vm_write(fd, &value, 1);
	}
	/* A stream may give more than one byte to a read. */
	for (i = 0; next < READS; i++) {
		ssize_t j, bytes = aio_result(context, &requests[i]);

		ck_assert_int_ge(bytes, 1);
		for (j = 0; j < bytes; j++)
			ck_assert_int_eq(memory[i * BYTES + j], next++);
	}
	/* What is left of the requests ends with the context. */
	ck_assert_int_eq(io_destroy(context), 0);
	munmap(memory, READS * BYTES);
}
END_TEST

START_TEST(io_destroy_does_not_wait_for_a_page_fault)
{
	int fd = vm_open(both[_i], O_RDWR | O_NONBLOCK);
	io_context_t context = aio_context(1);
	struct iocb request;
	struct page_fault fault;
	int64_t start;
	char byte;

	if (!page_fault_prepare(&fault, AIO_WORKER_BYTES))
		vm_skip("no userfaultfd: %s", strerror(errno));
	aio_park_read(context, &request, fd, fault.memory, fault.length);
	vm_write(fd, "1", 1);
	page_fault_wait(&fault);
	start = vm_now_ms();
	ck_assert_int_eq(io_destroy(context), 0);
	aio_assert_quick(start, "io_destroy");
	ck_assert_int_eq(vm_poll_wait(fd, POLLIN), POLLIN);
	vm_read(fd, &byte, 1);
	ck_assert_int_eq(byte, '1');
	close(fault.uffd);
	aio_wait_unparked(fd);
}
END_TEST

/* Handed from the child, that is going to be killed, to its parent. */
struct victim {
	int fds[2];
	int count;
	int ready[2];
};

static int get_stuck(void *argument)
{
	io_context_t context = aio_context(2);
	struct victim *victim = argument;
	struct iocb requests[2];
	struct page_fault faults[2];

	for (int i = 0; i < victim->count; i++) {
		if (!page_fault_prepare(&faults[i], AIO_WORKER_BYTES))
			return errno == ENOSYS || errno == EPERM ? 77 : 2;
		aio_park_read(context, &requests[i], victim->fds[i],
			      faults[i].memory, faults[i].length);
		vm_write(victim->fds[i], "1", 1);
		page_fault_wait(&faults[i]);
	}
	vm_write(victim->ready[1], "r", 1);
	pause();
	return 3;
}

/*
 * The end of the process closed its userfaultfd and so ended the page fault:
 * the read went on, and took the record into memory that nobody sees any more. So it
 * did with two reads in faults: each took the other one's reference to the address
 * space for the process.
 */
START_TEST(process_killed_with_reads_in_page_faults_ends_at_once)
{
	struct victim victim = {
		.fds = {
			vm_open(both[_i % 2], O_RDWR | O_NONBLOCK),
			vm_open(both_small[_i % 2], O_RDWR | O_NONBLOCK),
		},
		.count = 1 + _i / 2,
	};
	int64_t start;
	int status;
	pid_t pid;
	char byte;

	ck_assert_int_eq(pipe(victim.ready), 0);
	pid = vm_fork(get_stuck, &victim);
	close(victim.ready[1]);
	ck_assert_int_ne(vm_poll_wait(victim.ready[0], POLLIN), 0);
	if (read(victim.ready[0], &byte, 1) != 1) {
		status = vm_wait(pid);
		ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 77);
		vm_skip("no userfaultfd");
	}
	start = vm_now_ms();
	kill(pid, SIGKILL);
	status = vm_wait(pid);
	aio_assert_quick(start, "the end of the killed process");
	ck_assert(WIFSIGNALED(status));
	for (int i = 0; i < victim.count; i++) {
		aio_wait_unparked(victim.fds[i]);
		ck_assert_int_eq(vm_poll_wait(victim.fds[i], POLLIN), POLLIN);
		vm_read(victim.fds[i], &byte, 1);
		ck_assert_int_eq(byte, '1');
	}
}
END_TEST

struct stuck_call {
	int fd;
	unsigned char *buffer;
};

static long read_stuck(void *argument)
{
	struct stuck_call *call = argument;

	return vm_errno(read(call->fd, call->buffer, 8));
}

static long write_stuck(void *argument)
{
	struct stuck_call *call = argument;

	return vm_errno(write(call->fd, call->buffer, 8));
}

START_TEST(plain_read_in_a_page_fault_holds_no_record)
{
	int fd = vm_open(both[_i], O_RDWR);
	int other = vm_reopen(fd, O_RDWR | O_NONBLOCK);
	struct vm_thread reader;
	struct stuck_call call;
	struct page_fault fault;
	char byte;

	if (!page_fault_prepare(&fault, AIO_WORKER_BYTES))
		vm_skip("no userfaultfd: %s", strerror(errno));
	call.fd = fd;
	call.buffer = fault.memory;
	vm_write(fd, "1", 1);
	vm_spawn(&reader, read_stuck, &call);
	page_fault_wait(&fault);
	vm_read(other, &byte, 1);
	ck_assert_int_eq(byte, '1');
	page_fault_end(&fault, "");
	vm_write(other, "2", 1);
	ck_assert_int_eq(vm_join(&reader), 1);
	ck_assert_int_eq(fault.memory[0], '2');
}
END_TEST

START_TEST(plain_write_in_a_page_fault_holds_no_reservation)
{
	int fd = vm_open(both[_i], O_RDWR);
	int other = vm_reopen(fd, O_RDWR | O_NONBLOCK);
	struct vm_thread writer;
	struct stuck_call call;
	struct page_fault fault;
	char buffer[8];

	if (!page_fault_prepare(&fault, AIO_WORKER_BYTES))
		vm_skip("no userfaultfd: %s", strerror(errno));
	call.fd = fd;
	call.buffer = fault.memory;
	vm_spawn(&writer, write_stuck, &call);
	page_fault_wait(&fault);
	vm_write(other, "before", 6);
	ck_assert_int_eq(vm_errno(read(other, buffer, 8)), 6);
	ck_assert_mem_eq(buffer, "before", 6);
	page_fault_end(&fault, "stuck..");
	ck_assert_int_eq(vm_join(&writer), 8);
	ck_assert_int_eq(vm_errno(read(other, buffer, 8)), 8);
	ck_assert_mem_eq(buffer, "stuck..", 8);
}
END_TEST

static void add_both(TCase *tcase, const TTest *test)
{
	tcase_add_loop_test(tcase, test, 0, VM_ARRAY_SIZE(both));
}

/* The variants with a pinned buffer, those with a worker, and all of them. */
static void add_pinned(TCase *tcase, const TTest *test)
{
	tcase_add_loop_test(tcase, test, 0, 2);
}

static void add_worker(TCase *tcase, const TTest *test)
{
	tcase_add_loop_test(tcase, test, 2, 4);
}

static void add_all(TCase *tcase, const TTest *test)
{
	tcase_add_loop_test(tcase, test, 0, VARIANTS);
}

static void add_path_cases(Suite *suite)
{
	TCase *tcase = vm_tcase(suite, "path");

	add_both(tcase, buffer_of_eight_pages_is_pinned_and_of_nine_is_not);
	tcase_add_test(tcase, pinned_buffer_is_filled_to_its_last_byte);
	tcase_add_test(tcase, worker_fills_a_large_record_whole);
	tcase_add_test(tcase, pinned_and_worker_reads_share_one_order);
	add_both(tcase, read_over_the_limit_of_locked_memory_goes_to_a_worker);
	add_both(tcase, locked_memory_is_given_back_by_completion_and_cancel);
	add_both(tcase, without_any_locked_memory_every_read_goes_to_a_worker);
	tcase_add_test(tcase, request_outlives_the_thread_that_submitted_it);
}

static void add_mapping_cases(Suite *suite)
{
	TCase *tcase = vm_tcase(suite, "mapping");

	add_pinned(tcase, munmap_of_a_pinned_buffer_completes_normally);
	add_worker(tcase, munmap_of_a_worker_buffer_is_efault_record_stays);
	add_pinned(tcase, mprotect_of_a_pinned_buffer_does_not_keep_the_data_out);
	add_worker(tcase, mprotect_of_a_worker_buffer_is_efault_record_stays);
	add_all(tcase,
		mprotect_taken_back_before_the_record_comes_changes_nothing);
	add_all(tcase, read_only_buffer_is_efault_record_stays);
	add_pinned(tcase, mremap_moves_a_pinned_buffer_with_its_data);
	add_worker(tcase,
		   dontneed_of_a_worker_buffer_gives_fresh_pages_with_the_data);
	add_all(tcase, data_in_a_shared_file_mapping_reaches_the_file);
	add_all(tcase, data_in_a_private_file_mapping_stays_out_of_the_file);
	add_all(tcase, buffer_in_a_transparent_huge_page);
	add_all(tcase, buffer_in_a_page_of_hugetlb);
}

static void add_fork_cases(Suite *suite)
{
	TCase *tcase = vm_tcase(suite, "fork");

	add_all(tcase, fork_while_parked_gives_the_data_to_the_parent_only);
	add_all(tcase, parent_that_writes_after_fork_still_gets_the_data);
	add_all(tcase,
		child_that_writes_and_exits_leaves_the_parents_request_alone);
	add_all(tcase, buffer_shared_with_a_child_shows_it_the_data);
}

static void add_fault_cases(Suite *suite)
{
	TCase *tcase = vm_tcase(suite, "fault");

	tcase_add_test(tcase, message_into_half_a_buffer_is_efault_and_stays);
	tcase_add_loop_test(tcase, stream_read_into_half_a_buffer_loses_nothing,
			    0, 2);
	add_both(tcase, worker_read_waits_for_its_page_fault);
	tcase_add_test(tcase, worker_read_stuck_in_a_page_fault_keeps_its_place_until_cancelled);
	add_both(tcase, reads_into_untouched_memory_are_served_in_order);
	add_both(tcase, io_destroy_does_not_wait_for_a_page_fault);
	tcase_add_loop_test(tcase,
			    process_killed_with_reads_in_page_faults_ends_at_once,
			    0, 4);
	add_both(tcase, plain_read_in_a_page_fault_holds_no_record);
	add_both(tcase, plain_write_in_a_page_fault_holds_no_reservation);
}

int main(void)
{
	Suite *suite = suite_create("aio_memory");

	add_path_cases(suite);
	add_mapping_cases(suite);
	add_fork_cases(suite);
	add_fault_cases(suite);
	return vm_main(suite);
}
