// SPDX-License-Identifier: GPL-2.0-only
/* ioctl(), for 64-bit and 32-bit callers, and what /proc says of a file. */
#include "control.h"

#include <setjmp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <termios.h>

/* Row: ioctl: channel info: what never changes. */
START_TEST(info_says_what_the_channel_is)
{
	static const uint32_t modes[] = {
		[VM_STREAM] = ACHAN_MODE_STREAM,
		[VM_MESSAGE] = ACHAN_MODE_MESSAGE,
		[VM_STREAM_SMALL] = ACHAN_MODE_STREAM,
		[VM_MESSAGE_SMALL] = ACHAN_MODE_MESSAGE,
	};
	struct achan_info info = vm_info(vm_open(_i, O_RDWR));
	size_t length = strnlen(info.name, sizeof(info.name)), i;
	const char *node = strrchr(vm_path(_i), '/') + 1;

	ck_assert_uint_eq(info.abi_version, ACHAN_ABI_VERSION);
	ck_assert_uint_eq(info.kind, ACHAN_KIND_LOOP);
	ck_assert_uint_eq(info.mode, modes[_i]);
	ck_assert_uint_eq(info.open_flags, 0);
	ck_assert_uint_lt(length, sizeof(info.name));
	ck_assert_str_eq(info.name, node);
	/* Nothing of the kernel's memory leaks out behind the name. */
	for (i = length; i < sizeof(info.name); i++)
		ck_assert_int_eq(info.name[i], 0);
	for (i = 0; i < VM_ARRAY_SIZE(info.reserved); i++)
		ck_assert_uint_eq(info.reserved[i], 0);
	ck_assert_uint_eq(info.parked_reads, 0);
	ck_assert_uint_eq(info.parked_writes, 0);
}
END_TEST

/* And what the channel holds. */
START_TEST(info_follows_writes_and_reads)
{
	int fd = vm_open(_i, O_RDWR);
	uint64_t sequence = vm_info(fd).sequence;
	uint64_t discarded = vm_info(fd).discarded;
	char data[100] = { 0 };

	ck_assert_uint_eq(vm_info(fd).bytes, 0);
	vm_write(fd, data, 100);
	vm_write(fd, data, 30);
	ck_assert_uint_eq(vm_info(fd).bytes, 130);
	ck_assert_uint_eq(vm_info(fd).sequence, sequence + 2);
	vm_read(fd, data, 100);
	ck_assert_uint_eq(vm_info(fd).bytes, 30);
	ck_assert_uint_eq(vm_info(fd).sequence, sequence + 2);
	ck_assert_uint_eq(vm_info(fd).discarded, discarded);
}
END_TEST

/* Every open file may ask, whatever it was opened for. */
START_TEST(info_works_in_every_access_mode)
{
	static const int modes[] = {
		O_RDONLY, O_WRONLY, O_RDWR, O_ACCMODE
	};
	int fd = vm_reopen(vm_open(VM_MESSAGE, O_RDWR), modes[_i]);

	ck_assert_uint_eq(vm_info(fd).kind, ACHAN_KIND_LOOP);
	if (modes[_i] == O_ACCMODE) {
		/* Open for nothing but ioctl. */
		ck_assert_int_eq(vm_errno(read(fd, NULL, 0)), -EBADF);
		ck_assert_int_eq(vm_errno(write(fd, NULL, 0)), -EBADF);
	}
}
END_TEST

START_TEST(flags_can_be_set_and_read_back)
{
	int fd = vm_open(VM_MESSAGE, O_RDONLY);
	__u32 flags = ~0u;

	ck_assert_int_eq(vm_errno(ioctl(fd, ACHAN_IOC_GET_FLAGS, &flags)), 0);
	ck_assert_uint_eq(flags, 0);
	vm_set_flags(fd, ACHAN_OPEN_FRAMED);
	ck_assert_int_eq(vm_errno(ioctl(fd, ACHAN_IOC_GET_FLAGS, &flags)), 0);
	ck_assert_uint_eq(flags, ACHAN_OPEN_FRAMED);
	ck_assert_uint_eq(vm_info(fd).open_flags, ACHAN_OPEN_FRAMED);
	vm_set_flags(fd, 0);
	ck_assert_uint_eq(vm_info(fd).open_flags, 0);
}
END_TEST

/* Row: bad argument: -EINVAL, and the flags stay as they are. */
START_TEST(unknown_flag_is_einval)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR);
	int bit;

	vm_set_flags(fd, ACHAN_OPEN_FRAMED);
	for (bit = 0; bit < 32; bit++) {
		__u32 flags = 1u << bit;

		if (flags == ACHAN_OPEN_FRAMED)
			continue;
		ck_assert_int_eq(vm_errno(ioctl(fd, ACHAN_IOC_SET_FLAGS,
						&flags)), -EINVAL);
		flags |= ACHAN_OPEN_FRAMED;
		ck_assert_int_eq(vm_errno(ioctl(fd, ACHAN_IOC_SET_FLAGS,
						&flags)), -EINVAL);
	}
	ck_assert_uint_eq(vm_info(fd).open_flags, ACHAN_OPEN_FRAMED);
}
END_TEST

/* Row: unknown ioctl: -ENOTTY; also a known one of another size. */
START_TEST(unknown_ioctl_is_enotty)
{
	static const unsigned long commands[] = {
		0, ~0ul, TCGETS, TIOCGWINSZ,
		_IO(ACHAN_IOC_MAGIC, 0x00),
		_IO(ACHAN_IOC_MAGIC, 0xff),
		_IOR(ACHAN_IOC_MAGIC, 0x7f, __u32),
		_IOR(ACHAN_IOC_MAGIC, 0x00, __u32),
		_IOR(ACHAN_IOC_MAGIC, 0x02, __u32),
		_IOW(ACHAN_IOC_MAGIC, 0x02, __u64),
		_IOR(ACHAN_IOC_MAGIC + 1, 0x00, struct achan_info),
	};
	int fd = vm_open(VM_MESSAGE, O_RDWR);
	char argument[1024] = { 0 };

	ck_assert_int_eq(vm_errno(ioctl(fd, commands[_i], argument)), -ENOTTY);
	ck_assert_int_eq(vm_errno(ioctl(fd, commands[_i], NULL)), -ENOTTY);
	ck_assert_int_eq(isatty(fd), 0);
}
END_TEST

#define UNKNOWN_COMMANDS	11

START_TEST(bad_pointer_is_efault)
{
	static const unsigned long commands[] = {
		ACHAN_IOC_INFO, ACHAN_IOC_GET_FLAGS, ACHAN_IOC_SET_FLAGS,
		FIONREAD
	};
	char *end = (char *)vm_pages(1) + vm_page_size();
	int fd = vm_open(VM_MESSAGE, O_RDWR);

	ck_assert_int_eq(vm_errno(ioctl(fd, commands[_i], NULL)), -EFAULT);
	ck_assert_int_eq(vm_errno(ioctl(fd, commands[_i], end - 2)), -EFAULT);
	ck_assert_int_eq(vm_errno(ioctl(fd, commands[_i],
					0xffff888000000000ul)), -EFAULT);
}
END_TEST

/* FIONREAD: in a stream the bytes that a read would give. */
START_TEST(fionread_of_a_stream_is_the_bytes_in_it)
{
	int fd = vm_open(VM_STREAM, O_RDWR | O_NONBLOCK);
	int available = -1;
	char data[100] = { 0 };

	ck_assert_int_eq(ioctl(fd, FIONREAD, &available), 0);
	ck_assert_int_eq(available, 0);
	vm_write(fd, data, 100);
	vm_write(fd, data, 50);
	ck_assert_int_eq(ioctl(fd, FIONREAD, &available), 0);
	ck_assert_int_eq(available, 150);
	vm_read(fd, data, 30);
	ck_assert_int_eq(ioctl(fd, FIONREAD, &available), 0);
	ck_assert_int_eq(available, 120);
	vm_read(fd, data, 80);
	ck_assert_int_eq(ioctl(fd, FIONREAD, &available), 0);
	ck_assert_int_eq(available, 40);
}
END_TEST

/* Of messages, the length of the one that is next. */
START_TEST(fionread_of_messages_is_the_length_of_the_next)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR | O_NONBLOCK);
	int available = -1;
	char data[100] = { 0 };

	ck_assert_int_eq(ioctl(fd, FIONREAD, &available), 0);
	ck_assert_int_eq(available, 0);
	vm_write(fd, data, 100);
	vm_write(fd, data, 50);
	ck_assert_int_eq(ioctl(fd, FIONREAD, &available), 0);
	ck_assert_int_eq(available, 100);
	vm_read(fd, data, 100);
	ck_assert_int_eq(ioctl(fd, FIONREAD, &available), 0);
	ck_assert_int_eq(available, 50);
}
END_TEST

/* The ioctls that the kernel does for any file. */
START_TEST(fionbio_and_fioclex_work)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR);
	int on = 1, off = 0;
	char got[8];

	ck_assert_int_eq(vm_errno(ioctl(fd, FIONBIO, &on)), 0);
	ck_assert_int_eq(vm_errno(read(fd, got, 8)), -EAGAIN);
	ck_assert_int_eq(vm_errno(ioctl(fd, FIONBIO, &off)), 0);
	ck_assert_int_eq(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	ck_assert_int_eq(vm_errno(ioctl(fd, FIOCLEX)), 0);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(vm_errno(ioctl(fd, FIONCLEX)), 0);
	ck_assert_int_eq(fcntl(fd, F_GETFD), 0);
}
END_TEST

START_TEST(fioasync_turns_sigio_on_and_off)
{
	int fd = vm_open(VM_MESSAGE, O_RDWR);
	int on = 1, off = 0;

	vm_count_signal(SIGIO, SA_RESTART);
	ck_assert_int_eq(fcntl(fd, F_SETOWN, getpid()), 0);
	ck_assert_int_eq(vm_errno(ioctl(fd, FIOASYNC, &on)), 0);
	ck_assert_int_ne(fcntl(fd, F_GETFL) & O_ASYNC, 0);
	vm_write(fd, "x", 1);
	while (!vm_signals)
		vm_sleep_ms(1);
	ck_assert_int_eq(vm_errno(ioctl(fd, FIOASYNC, &off)), 0);
	vm_signals = 0;
	vm_write(fd, "x", 1);
	ck_assert_int_eq(vm_signals, 0);
}
END_TEST

/* Value of line @key of the fdinfo of @fd, in @value. */
static void fdinfo_value(int fd, const char *key, char value[64])
{
	char path[64], line[256];
	size_t length = strlen(key);
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	value[0] = 0;
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, key, length) && line[length] == ':')
			sscanf(line + length + 1, "%63s", value);
	fclose(file);
	ck_assert_msg(value[0], "%s has no line %s:", path, key);
}

static void check_fdinfo(int fd, const char *key, uint64_t expected)
{
	char value[64], *end;

	fdinfo_value(fd, key, value);
	ck_assert_msg(strtoull(value, &end, 0) == expected && !*end,
		      "%s: %s, expected %llu", key, value,
		      (unsigned long long)expected);
}

START_TEST(fdinfo_tells_what_info_tells)
{
	int fd = vm_open(_i, O_RDWR);
	struct achan_info info;
	char value[64];

	vm_write(fd, "12345", 5);
	info = vm_info(fd);
	fdinfo_value(fd, "achan-name", value);
	ck_assert_str_eq(value, info.name);
	fdinfo_value(fd, "achan-kind", value);
	ck_assert_str_eq(value, "loop");
	fdinfo_value(fd, "achan-mode", value);
	ck_assert_str_eq(value, info.mode == ACHAN_MODE_STREAM ? "stream" :
			 "message");
	check_fdinfo(fd, "achan-ring-bytes", info.ring_bytes);
	check_fdinfo(fd, "achan-bytes", 5);
	check_fdinfo(fd, "achan-sequence", info.sequence);
	check_fdinfo(fd, "achan-parked-reads", 0);
	check_fdinfo(fd, "achan-parked-writes", 0);
	check_fdinfo(fd, "achan-flags", 0);
	vm_set_flags(fd, ACHAN_OPEN_FRAMED);
	fdinfo_value(fd, "achan-flags", value);
	ck_assert_str_ne(value, "0");
}
END_TEST

/*
 * A 32-bit caller on a 64-bit kernel: the i386 system calls are entered from
 * this program by int $0x80, with memory that a 32-bit pointer can name.
 */
#ifdef __x86_64__
#define I386_READ	3
#define I386_WRITE	4
#define I386_GETPID	20
#define I386_IOCTL	54
#define I386_READV	145
#define I386_WRITEV	146

static sigjmp_buf no_emulation;

static void jump_out(int signo)
{
	siglongjmp(no_emulation, signo);
}

static long i386_call(long number, long first, long second, long third)
{
	long result;

	asm volatile("int $0x80" : "=a" (result)
		     : "a" (number), "b" (first), "c" (second), "d" (third)
		     : "r8", "r9", "r10", "r11", "memory", "cc");
	return result;
}

static bool kernel_has_i386_calls(void)
{
	struct sigaction action = { .sa_handler = jump_out };

	sigaction(SIGSEGV, &action, NULL);
	if (sigsetjmp(no_emulation, 1))
		return false;
	i386_call(I386_GETPID, 0, 0, 0);
	signal(SIGSEGV, SIG_DFL);
	return true;
}

/* Memory below 4 GiB, or NULL where the kernel has no i386 calls. */
static void *i386_memory(void)
{
	void *memory = mmap(NULL, 65536, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	ck_assert_ptr_ne(memory, MAP_FAILED);
	return kernel_has_i386_calls() ? memory : NULL;
}

#define I386_ADDRESS(pointer)	((long)(uintptr_t)(pointer))

/* Row: 32-bit callers on a 64-bit kernel work. */
START_TEST(ioctls_of_a_32_bit_caller_work)
{
	struct achan_info *info = i386_memory(), expected;
	__u32 *flags = (void *)info;
	int fd = vm_open(VM_STREAM, O_RDWR);

	if (!info)
		vm_skip("this kernel runs no 32-bit x86 system calls");
	vm_write(fd, "12345", 5);
	ck_assert_int_eq(i386_call(I386_IOCTL, fd, FIONREAD,
				   I386_ADDRESS(flags)), 0);
	ck_assert_uint_eq(*flags, 5);
	*flags = ACHAN_OPEN_FRAMED;
	ck_assert_int_eq(i386_call(I386_IOCTL, fd, ACHAN_IOC_SET_FLAGS,
				   I386_ADDRESS(flags)), 0);
	*flags = 0;
	ck_assert_int_eq(i386_call(I386_IOCTL, fd, ACHAN_IOC_GET_FLAGS,
				   I386_ADDRESS(flags)), 0);
	ck_assert_uint_eq(*flags, ACHAN_OPEN_FRAMED);
	expected = vm_info(fd);
	ck_assert_int_eq(i386_call(I386_IOCTL, fd, ACHAN_IOC_INFO,
				   I386_ADDRESS(info)), 0);
	ck_assert_mem_eq(info, &expected, sizeof(expected));
}
END_TEST

START_TEST(control_of_a_32_bit_caller_works)
{
	struct achan_create *create = i386_memory();
	struct achan_handshake *handshake = (void *)create;
	struct achan_remove *remove = (void *)create;
	int fd = open("/dev/achan-control", O_RDWR);

	if (!create)
		vm_skip("this kernel runs no 32-bit x86 system calls");
	ck_assert_int_ge(fd, 0);
	*handshake = (struct achan_handshake){
		.abi_version = ACHAN_ABI_VERSION
	};
	ck_assert_int_eq(i386_call(I386_IOCTL, fd, ACHAN_CTL_VERSION,
				   I386_ADDRESS(handshake)), 0);
	*create = control_loop("of-32-bits");
	ck_assert_int_eq(i386_call(I386_IOCTL, fd, ACHAN_CTL_CREATE,
				   I386_ADDRESS(create)), 0);
	ck_assert_uint_eq(control_stats("of-32-bits").records_in, 0);
	*remove = (struct achan_remove){ .name = "of-32-bits" };
	ck_assert_int_eq(i386_call(I386_IOCTL, fd, ACHAN_CTL_REMOVE,
				   I386_ADDRESS(remove)), 0);
	ck_assert_int_eq(i386_call(I386_IOCTL, fd, ACHAN_CTL_REMOVE,
				   I386_ADDRESS(remove)), -ENOENT);
}
END_TEST

START_TEST(ioctl_errors_of_a_32_bit_caller_are_the_same)
{
	__u32 *flags = i386_memory();
	int fd = vm_open(VM_STREAM, O_RDWR);

	if (!flags)
		vm_skip("this kernel runs no 32-bit x86 system calls");
	*flags = 1u << 31;
	ck_assert_int_eq(i386_call(I386_IOCTL, fd, ACHAN_IOC_SET_FLAGS,
				   I386_ADDRESS(flags)), -EINVAL);
	ck_assert_int_eq(i386_call(I386_IOCTL, fd, ACHAN_IOC_INFO, 0),
			 -EFAULT);
	ck_assert_int_eq(i386_call(I386_IOCTL, fd, _IO(ACHAN_IOC_MAGIC, 99),
				   I386_ADDRESS(flags)), -ENOTTY);
}
END_TEST

struct i386_iovec {
	uint32_t base;
	uint32_t length;
};

START_TEST(transfers_of_a_32_bit_caller_work)
{
	struct i386_iovec *parts = i386_memory();
	int fd = vm_open(_i, O_RDWR | O_NONBLOCK);
	char *data;

	if (!parts)
		vm_skip("this kernel runs no 32-bit x86 system calls");
	data = (char *)(parts + 8);
	vm_pattern(data, 100, 0);
	ck_assert_int_eq(i386_call(I386_WRITE, fd, I386_ADDRESS(data), 100),
			 100);
	memset(data, 0, 100);
	ck_assert_int_eq(i386_call(I386_READ, fd, I386_ADDRESS(data), 100),
			 100);
	vm_assert_pattern(data, 100, 0);
	parts[0] = (struct i386_iovec){ I386_ADDRESS(data), 30 };
	parts[1] = (struct i386_iovec){ I386_ADDRESS(data + 30), 70 };
	ck_assert_int_eq(i386_call(I386_WRITEV, fd, I386_ADDRESS(parts), 2),
			 100);
	memset(data, 0, 100);
	ck_assert_int_eq(i386_call(I386_READV, fd, I386_ADDRESS(parts), 2),
			 100);
	vm_assert_pattern(data, 100, 0);
	ck_assert_int_eq(i386_call(I386_READ, fd, I386_ADDRESS(data), 100),
			 -EAGAIN);
}
END_TEST

static void add_compat(TCase *tcase)
{
	tcase_add_test(tcase, ioctls_of_a_32_bit_caller_work);
	tcase_add_test(tcase, control_of_a_32_bit_caller_works);
	tcase_add_test(tcase, ioctl_errors_of_a_32_bit_caller_are_the_same);
	tcase_add_loop_test(tcase, transfers_of_a_32_bit_caller_work,
			    VM_STREAM, VM_MESSAGE + 1);
}
#else
START_TEST(ioctls_of_a_32_bit_caller_work)
{
	vm_skip("written for x86-64, where one program can make both calls");
}
END_TEST

static void add_compat(TCase *tcase)
{
	tcase_add_test(tcase, ioctls_of_a_32_bit_caller_work);
}
#endif

int main(void)
{
	Suite *suite = suite_create("ioctl");
	TCase *tcase = vm_tcase(suite, "info");

	tcase_add_loop_test(tcase, info_says_what_the_channel_is, VM_STREAM,
			    VM_MESSAGE_SMALL + 1);
	tcase_add_loop_test(tcase, info_follows_writes_and_reads, VM_STREAM,
			    VM_MESSAGE + 1);
	tcase_add_loop_test(tcase, info_works_in_every_access_mode, 0, 4);
	tcase_add_loop_test(tcase, fdinfo_tells_what_info_tells, VM_STREAM,
			    VM_MESSAGE_SMALL + 1);

	tcase = vm_tcase(suite, "flags");
	tcase_add_test(tcase, flags_can_be_set_and_read_back);
	tcase_add_test(tcase, unknown_flag_is_einval);

	tcase = vm_tcase(suite, "error");
	tcase_add_loop_test(tcase, unknown_ioctl_is_enotty, 0,
			    UNKNOWN_COMMANDS);
	tcase_add_loop_test(tcase, bad_pointer_is_efault, 0, 4);

	tcase = vm_tcase(suite, "generic");
	tcase_add_test(tcase, fionread_of_a_stream_is_the_bytes_in_it);
	tcase_add_test(tcase, fionread_of_messages_is_the_length_of_the_next);
	tcase_add_test(tcase, fionbio_and_fioclex_work);
	tcase_add_test(tcase, fioasync_turns_sigio_on_and_off);

	add_compat(vm_tcase(suite, "compat"));
	return vm_main(suite);
}
