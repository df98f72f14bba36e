// SPDX-License-Identifier: GPL-2.0-only
/*
 * AIO reads into memory with a protection key: what a read ends with depends on the
 * rights of the thread that submits it, and on nothing else. All cells of {whether the
 * thread has the key} x {buffer that is pinned, too large for that, past RLIMIT_MEMLOCK}
 * x {the record is there, comes later} x {stream, message} x {the first page has the
 * key, only the second one}.
 */
#include "kernel_aio.h"

#include <sys/mman.h>

#define LENGTH		100
#define DENY_ALL	(PKEY_DISABLE_ACCESS | PKEY_DISABLE_WRITE)

enum size { PINNED, LARGE, PAST_LIMIT, SIZES };

struct cell {
	bool allowed;
	enum size size;
	bool later;
	enum vm_channel channel;
	bool second_page;
};

#define CELLS	(2 * SIZES * 2 * 2 * 2)

static struct cell cell_of(int i)
{
	struct cell cell;

	cell.allowed = i % 2;
	i /= 2;
	cell.size = i % SIZES;
	i /= SIZES;
	cell.later = i % 2;
	i /= 2;
	cell.channel = i % 2 ? VM_MESSAGE : VM_STREAM;
	cell.second_page = i / 2 % 2;
	return cell;
}

/*
 * The thread has no right to the key from here on, where the cell says so. Where only
 * the second page has the key, the buffer begins so that the record needs a byte of
 * it.
 */
static unsigned char *make_buffer(const struct cell *cell, int key)
{
	size_t page = vm_page_size();
	size_t bytes = AIO_WORKER_BYTES + 2 * page;
	unsigned char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
				     -1, 0);
	unsigned char *keyed = memory + (cell->second_page ? page : 0);

	ck_assert_ptr_ne(memory, MAP_FAILED);
	ck_assert_int_eq(vm_errno(pkey_mprotect(keyed, bytes -
		(size_t)(keyed - memory), PROT_READ | PROT_WRITE, key)), 0);
	ck_assert_int_eq(pkey_set(key, cell->allowed ? 0 : DENY_ALL), 0);
	return cell->second_page ? keyed - LENGTH + 1 : memory;
}

START_TEST(rights_of_the_submitter_decide)
{
	struct cell cell = cell_of(_i);
	io_context_t context = aio_context(1);
	int fd = vm_open(cell.channel, O_RDWR | O_NONBLOCK);
	int key = pkey_alloc(0, 0);
	unsigned char data[LENGTH], *buffer;
	struct iocb request;
	long result;

	if (key < 0)
		vm_skip("no protection keys: %s", strerror(errno));
	if (cell.size == PAST_LIMIT)
		aio_limit_pinned(0);
	vm_pattern(data, LENGTH, 0);
	buffer = make_buffer(&cell, key);
	if (!cell.later)
		vm_write(fd, data, LENGTH);
	io_prep_pread(&request, fd, buffer, cell.size == LARGE ?
		      AIO_WORKER_BYTES : 2 * LENGTH, 0);
	aio_submit(context, &request);
	if (cell.later)
		vm_write(fd, data, LENGTH);
	result = aio_result(context, &request);
	ck_assert_int_eq(pkey_set(key, 0), 0);
	if (cell.allowed) {
		ck_assert_int_eq(result, LENGTH);
		vm_assert_pattern(buffer, LENGTH, 0);
	} else if (cell.second_page && cell.channel == VM_STREAM) {
		/* What lies before the page is good. */
		ck_assert_int_eq(result, LENGTH - 1);
		vm_assert_pattern(buffer, LENGTH - 1, 0);
	} else {
		ck_assert_int_eq(result, -EFAULT);
		ck_assert_uint_eq(vm_info(fd).bytes, LENGTH);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("aio_keys");
	TCase *tcase = vm_tcase(suite, "keys");

	tcase_add_loop_test(tcase, rights_of_the_submitter_decide, 0, CELLS);
	return vm_main(suite);
}
