// SPDX-License-Identifier: GPL-2.0-only
/* Limits: what a ring holds, what a process may, what a channel is not. */
#include "vm.h"

#include <linux/aio_abi.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

static void set_limit(int resource, rlim_t value)
{
	struct rlimit limit = { value, value };

	ck_assert_int_eq(vm_errno(setrlimit(resource, &limit)), 0);
}

/* Row: limits: what a ring of a size holds is what the ABI says. */
START_TEST(ring_holds_as_many_records_as_its_size_says)
{
	static const size_t lengths[] = {
		1, 7, 8, 9, 16, 100, 1000, 1024, 4000, 4095, 4096
	};
	int fd = vm_open(_i, O_RDWR);
	size_t ring_bytes = vm_info(fd).ring_bytes;
	size_t i;

	for (i = 0; i < VM_ARRAY_SIZE(lengths); i++) {
		size_t length = lengths[i];

		ck_assert_uint_eq(vm_fill_records(fd, length),
				  ring_bytes / ACHAN_RECORD_SIZE(length));
		vm_drain(fd);
	}
}
END_TEST

START_TEST(record_max_is_the_ring_less_one_header)
{
	struct achan_info info = vm_info(vm_open(_i, O_RDWR));

	ck_assert_uint_eq(info.record_max,
			  info.ring_bytes - sizeof(struct achan_record));
	ck_assert_uint_eq(info.ring_bytes & (info.ring_bytes - 1), 0);
	ck_assert_uint_ge(info.ring_bytes, 8192);
	ck_assert_uint_le(info.ring_bytes, 64 << 20);
}
END_TEST

/* What goes into one channel comes out of no other. */
START_TEST(channels_do_not_mix)
{
	int fds[4], channel;
	char got[8];

	for (channel = VM_STREAM; channel <= VM_MESSAGE_SMALL; channel++)
		fds[channel] = vm_open(channel, O_RDWR | O_NONBLOCK);
	for (channel = VM_STREAM; channel <= VM_MESSAGE_SMALL; channel++)
		vm_write(fds[channel], &"abcd"[channel], 1);
	for (channel = VM_STREAM; channel <= VM_MESSAGE_SMALL; channel++) {
		ck_assert_int_eq(vm_errno(read(fds[channel], got, 8)), 1);
		ck_assert_int_eq(got[0], "abcd"[channel]);
	}
}
END_TEST

/* Many open files of one channel are as good as one. */
START_TEST(hundreds_of_open_files_work)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR | O_NONBLOCK);
	int files[500], i, got;

	set_limit(RLIMIT_NOFILE, 600);
	for (i = 0; i < 500; i++)
		files[i] = vm_reopen(fd, O_RDWR | O_NONBLOCK);
	for (i = 0; i < 500; i++)
		vm_write(files[i], &i, sizeof(i));
	for (i = 0; i < 500; i++) {
		vm_read(files[499 - i], &got, sizeof(got));
		ck_assert_int_eq(got, i);
		close(files[499 - i]);
	}
}
END_TEST

/* Out of descriptors: open fails, and later works again. */
START_TEST(open_beyond_rlimit_nofile_is_emfile)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR);
	int highest = dup(fd);

	set_limit(RLIMIT_NOFILE, highest + 1);
	ck_assert_int_eq(vm_errno(open(vm_path(VM_MESSAGE), O_RDWR)), -EMFILE);
	close(highest);
	ck_assert_int_eq(open(vm_path(VM_MESSAGE), O_RDWR), highest);
}
END_TEST

/*
 * A channel is no regular file: its size is not limited by RLIMIT_FSIZE. In a
 * process of its own, since the case itself has to write its result.
 */
static int transfer_beyond_limit(void *argument)
{
	struct rlimit limit = { 10, 10 };
	int fd = *(int *)argument;
	char data[100] = { 0 };

	if (setrlimit(RLIMIT_FSIZE, &limit))
		return 1;
	if (write(fd, data, sizeof(data)) != sizeof(data))
		return 2;
	return read(fd, data, sizeof(data)) != sizeof(data);
}

START_TEST(rlimit_fsize_does_not_count)
{
	int fd = vm_open(_i, O_RDWR | O_NONBLOCK);

	vm_wait_success(vm_fork(transfer_beyond_limit, &fd));
}
END_TEST

/* Synchronous calls pin nothing: RLIMIT_MEMLOCK is not their business. */
START_TEST(rlimit_memlock_does_not_count_for_synchronous_calls)
{
	int fd = vm_open(_i, O_RDWR);
	static char data[6000], got[6000];
	struct vm_transfer transfer = { fd, got, sizeof(got) };
	struct vm_thread reader;

	set_limit(RLIMIT_MEMLOCK, 0);
	vm_drop_capability(CAP_IPC_LOCK);
	vm_pattern(data, sizeof(data), 0);
	vm_spawn(&reader, vm_read_thread, &transfer);
	vm_wait_sleeping(reader.tid);
	vm_write(fd, data, 4000);
	ck_assert_int_eq(vm_join(&reader), 4000);
	vm_assert_pattern(got, 4000, 0);
}
END_TEST

#define TRACING	"/sys/kernel/tracing/"

static bool try_write(const char *file, int flags, const char *text)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC | flags);
	bool good = fd >= 0 && write(fd, text, strlen(text)) > 0;

	if (fd >= 0)
		close(fd);
	return good;
}

/* Every question whether somebody has a capability, and how it is put. */
static bool watch_capabilities(void)
{
	try_write(TRACING "kprobe_events", O_TRUNC, "\n");
	return try_write(TRACING "kprobe_events", O_APPEND,
			 "p:achan_capable cap_capable cap=$arg3:s32 how=$arg4:u32") &&
	       try_write(TRACING "trace", O_TRUNC, "\n") &&
	       try_write(TRACING "events/kprobes/achan_capable/enable", 0, "1");
}

/* How often a thread was asked for CAP_IPC_LOCK, and how often for the audit log. */
static void asked_of(pid_t tid, int *asked, int *audited)
{
	char line[512], who[32];
	const char *at;
	FILE *trace;

	ck_assert(try_write(TRACING "events/kprobes/achan_capable/enable", 0, "0"));
	trace = fopen(TRACING "trace", "re");
	ck_assert_ptr_nonnull(trace);
	snprintf(who, sizeof(who), "-%d ", tid);
	*asked = 0;
	*audited = 0;
	while (fgets(line, sizeof(line), trace)) {
		at = strstr(line, "cap=14 how=");
		if (!at || !strstr(line, who))
			continue;
		/* The second bit is CAP_OPT_NOAUDIT. */
		++*asked;
		*audited += !(strtoul(at + 11, NULL, 0) & 2);
	}
	fclose(trace);
	try_write(TRACING "kprobe_events", O_TRUNC, "\n");
}

/* An ordinary user's reads past the limit go another way: that is no denial. */
START_TEST(read_past_rlimit_memlock_is_not_for_the_audit_log)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR), asked, audited;
	unsigned long context = vm_aio_setup(1);
	char data[64];
	struct iocb request = {
		.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_fildes = fd,
		.aio_buf = (uintptr_t)data,
		.aio_nbytes = sizeof(data),
	}, *requests = &request;

	ck_assert_int_eq(CAP_IPC_LOCK, 14);
	if (!watch_capabilities())
		vm_skip("this kernel has no kprobe events");
	set_limit(RLIMIT_MEMLOCK, 0);
	vm_drop_capability(CAP_IPC_LOCK);
	ck_assert_int_eq(vm_aio_submit(context, 1, &requests), 1);
	asked_of(gettid(), &asked, &audited);
	ck_assert_int_eq(vm_aio_destroy(context), 0);
	ck_assert_int_gt(asked, 0);
	ck_assert_int_eq(audited, 0);
}
END_TEST

/* Row: lseek, pread, pwrite: -ESPIPE. */
START_TEST(channel_has_no_position)
{
	int fd = vm_open(_i, O_RDWR | O_NONBLOCK);
	char got[8];
	struct iovec part = { got, sizeof(got) };

	vm_write(fd, "stays", 5);
	ck_assert_int_eq(vm_errno(lseek(fd, 0, SEEK_SET)), -ESPIPE);
	ck_assert_int_eq(vm_errno(lseek(fd, 0, SEEK_CUR)), -ESPIPE);
	ck_assert_int_eq(vm_errno(lseek(fd, 0, SEEK_END)), -ESPIPE);
	ck_assert_int_eq(vm_errno(pread(fd, got, 8, 0)), -ESPIPE);
	ck_assert_int_eq(vm_errno(pwrite(fd, got, 8, 0)), -ESPIPE);
	ck_assert_int_eq(vm_errno(preadv(fd, &part, 1, 0)), -ESPIPE);
	ck_assert_int_eq(vm_errno(pwritev(fd, &part, 1, 0)), -ESPIPE);
	ck_assert_int_eq(vm_errno(preadv2(fd, &part, 1, 4096, 0)), -ESPIPE);
	ck_assert_int_eq(vm_info(fd).bytes, 5);
	/* Offset -1 stands for the position that it has not. */
	ck_assert_int_eq(vm_errno(preadv2(fd, &part, 1, -1, 0)), 5);
}
END_TEST

/* What a channel is not. */
START_TEST(mmap_is_enodev)
{
	int fd = vm_open(_i, O_RDWR);

	ck_assert_ptr_eq(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0),
			 MAP_FAILED);
	ck_assert_int_eq(errno, ENODEV);
	ck_assert_ptr_eq(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0),
			 MAP_FAILED);
	ck_assert_int_eq(errno, ENODEV);
}
END_TEST

START_TEST(fsync_and_ftruncate_are_einval)
{
	int fd = vm_open(_i, O_RDWR);

	ck_assert_int_eq(vm_errno(fsync(fd)), -EINVAL);
	ck_assert_int_eq(vm_errno(fdatasync(fd)), -EINVAL);
	ck_assert_int_eq(vm_errno(ftruncate(fd, 0)), -EINVAL);
}
END_TEST

/* The access mode of open counts. */
START_TEST(write_to_file_open_for_reading_is_ebadf)
{
	int fd = vm_open(_i, O_RDONLY | O_NONBLOCK);
	struct iovec part = { "abc", 3 };

	ck_assert_int_eq(vm_errno(write(fd, "abc", 3)), -EBADF);
	ck_assert_int_eq(vm_errno(writev(fd, &part, 1)), -EBADF);
	ck_assert_int_eq(vm_errno(write(fd, "abc", 0)), -EBADF);
	ck_assert_int_eq(vm_info(fd).bytes, 0);
}
END_TEST

START_TEST(read_of_file_open_for_writing_is_ebadf)
{
	int fd = vm_open(_i, O_WRONLY | O_NONBLOCK);
	char got[8];
	struct iovec part = { got, sizeof(got) };

	vm_write(fd, "stays", 5);
	ck_assert_int_eq(vm_errno(read(fd, got, 8)), -EBADF);
	ck_assert_int_eq(vm_errno(readv(fd, &part, 1)), -EBADF);
	ck_assert_int_eq(vm_info(fd).bytes, 5);
}
END_TEST

/* O_PATH names the node only. */
START_TEST(path_only_file_is_ebadf)
{
	int fd = open(vm_path(VM_MESSAGE), O_PATH);
	char got[8];

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(vm_errno(read(fd, got, 8)), -EBADF);
	ck_assert_int_eq(vm_errno(write(fd, got, 8)), -EBADF);
}
END_TEST

/* Flags of open that mean something to regular files only. */
START_TEST(append_truncate_create_and_sync_change_nothing)
{
	int fd = vm_open(_i, O_RDWR | O_NONBLOCK);
	int other;
	char got[8];

	vm_write(fd, "one", 3);
	other = open(vm_path(_i), O_RDWR | O_NONBLOCK | O_APPEND | O_TRUNC |
		     O_CREAT | O_SYNC | O_NOCTTY, 0600);
	ck_assert_int_ge(other, 0);
	ck_assert_int_eq(vm_info(fd).bytes, 3);
	vm_write(other, "two", 3);
	vm_read(other, got, 3);
	ck_assert_mem_eq(got, "one", 3);
	vm_read(other, got, 3);
	ck_assert_mem_eq(got, "two", 3);
}
END_TEST

/* There is no page cache to go around. */
START_TEST(open_with_o_direct_is_einval)
{
	ck_assert_int_eq(vm_errno(open(vm_path(_i), O_RDWR | O_DIRECT)),
			 -EINVAL);
}
END_TEST

/* A node is for root until somebody says otherwise. */
START_TEST(node_is_a_character_device_for_root_only)
{
	struct stat status;

	ck_assert_int_eq(vm_errno(stat(vm_path(_i), &status)), 0);
	ck_assert(S_ISCHR(status.st_mode));
	ck_assert_int_eq(status.st_mode & 07777, 0600);
	ck_assert_int_eq(status.st_uid, 0);
	ck_assert_int_eq(status.st_size, 0);
}
END_TEST

/* The module stays as long as a file is open. */
START_TEST(module_with_an_open_file_cannot_be_removed)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR | O_NONBLOCK);
	char got[8];
	long result;

	result = vm_errno(syscall(SYS_delete_module, "achan", O_NONBLOCK));
	ck_assert_int_eq(result, -EWOULDBLOCK);
	vm_write(fd, "alive", 5);
	vm_read(fd, got, 5);
}
END_TEST

static long open_and_close(void *argument)
{
	int i, fd, failures = 0;

	for (i = 0; i < 1000; i++) {
		fd = open(argument, O_RDWR);
		if (fd < 0 || write(fd, "x", 1) != 1)
			failures++;
		close(fd);
	}
	return failures;
}

/* Opening and closing at once from many threads leaves nothing behind. */
START_TEST(open_and_close_race_is_harmless)
{
	int fd = vm_open(VM_MESSAGE, O_RDONLY);
	struct vm_thread threads[3];
	char got[8];
	int i;

	for (i = 0; i < 3; i++)
		vm_spawn(&threads[i], open_and_close,
			 (void *)vm_path(VM_MESSAGE));
	for (i = 0; i < 3 * 1000; i++)
		vm_read(fd, got, 1);
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(vm_join(&threads[i]), 0);
}
END_TEST

/* The stream and the message channel. */
static void add_for_both(TCase *tcase, const TTest *test)
{
	tcase_add_loop_test(tcase, test, VM_STREAM, VM_MESSAGE + 1);
}

int main(void)
{
	Suite *suite = suite_create("limits");
	TCase *tcase = vm_tcase(suite, "limits");

	tcase_add_loop_test(tcase, ring_holds_as_many_records_as_its_size_says,
			    VM_STREAM, VM_MESSAGE_SMALL + 1);
	tcase_add_loop_test(tcase, record_max_is_the_ring_less_one_header,
			    VM_STREAM, VM_MESSAGE_SMALL + 1);
	tcase_add_test(tcase, channels_do_not_mix);
	tcase_add_test(tcase, hundreds_of_open_files_work);
	tcase_add_test(tcase, open_beyond_rlimit_nofile_is_emfile);
	add_for_both(tcase, rlimit_fsize_does_not_count);
	add_for_both(tcase,
		     rlimit_memlock_does_not_count_for_synchronous_calls);
	tcase_add_test(tcase, read_past_rlimit_memlock_is_not_for_the_audit_log);
	tcase_add_test(tcase, module_with_an_open_file_cannot_be_removed);
	tcase_add_test(tcase, open_and_close_race_is_harmless);

	tcase = vm_tcase(suite, "nature");
	add_for_both(tcase, channel_has_no_position);
	add_for_both(tcase, mmap_is_enodev);
	add_for_both(tcase, fsync_and_ftruncate_are_einval);
	add_for_both(tcase, write_to_file_open_for_reading_is_ebadf);
	add_for_both(tcase, read_of_file_open_for_writing_is_ebadf);
	tcase_add_test(tcase, path_only_file_is_ebadf);
	add_for_both(tcase, append_truncate_create_and_sync_change_nothing);
	add_for_both(tcase, open_with_o_direct_is_einval);
	add_for_both(tcase, node_is_a_character_device_for_root_only);
	return vm_main(suite);
}
