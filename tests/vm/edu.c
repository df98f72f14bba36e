// SPDX-License-Identifier: GPL-2.0-only
/* QEMU's edu devices and achan-edu. */
#include "edu.h"
#include "module.h"

#include <dirent.h>
#include <sys/mman.h>

#define MODULE		"achan-edu"
#define MODULE_FILE	"/lib/" MODULE ".ko"
#define RAISE		0x60

static bool attribute_is(const char *address, const char *name, const char *value)
{
	char path[128], text[16] = "";
	FILE *file;
	bool same;

	snprintf(path, sizeof(path), EDU_BUS "devices/%s/%s", address, name);
	file = fopen(path, "re");
	if (!file)
		return false;
	same = fgets(text, sizeof(text), file) &&
	       !strncmp(text, value, strlen(value));
	fclose(file);
	return same;
}

static unsigned int count_devices(void)
{
	DIR *bus = opendir(EDU_BUS "devices");
	const struct dirent *entry;
	unsigned int count = 0;

	if (!bus)
		return 0;
	while ((entry = readdir(bus)))
		if (attribute_is(entry->d_name, "vendor", "0x1234") &&
		    attribute_is(entry->d_name, "device", "0x11e8"))
			count++;
	closedir(bus);
	return count;
}

const char *edu_missing(void)
{
	if (access(EDU_BUS, F_OK))
		return "this kernel has no PCI";
	if (access(MODULE_FILE, F_OK))
		return "the guest has no achan-edu.ko";
	if (count_devices() < EDU_DEVICES)
		return "the guest has no two edu devices";
	return NULL;
}

long edu_unload(void)
{
	return module_unload_other("achan_edu");
}

void edu_load(bool msi)
{
	long result = edu_unload();

	ck_assert_msg(!result || result == -ENOENT, "rmmod achan-edu: %s",
		      strerror(-result));
	result = module_load_other(MODULE, msi ? "msi=1" : "msi=0");
	ck_assert_msg(!result, "insmod achan-edu: %s", strerror(-result));
}

bool edu_exists(const char *name)
{
	struct achan_channel channel;

	return !control_get(name, &channel);
}

void edu_wait_exists(const char *name, bool exists)
{
	int64_t until = vm_now_ms() + vm_timeout_ms(VM_HANG_MS);

	while (edu_exists(name) != exists && vm_now_ms() < until)
		vm_sleep_ms(5);
	ck_assert_msg(edu_exists(name) == exists, "channel %s is %s", name,
		      exists ? "not there" : "still there");
}

static uint32_t minor_of(const char *name)
{
	struct achan_channel channel;
	long result = control_get(name, &channel);

	ck_assert_msg(!result, "there is no channel %s: %s", name,
		      strerror(-result));
	return channel.minor;
}

int edu_open(const char *name, int flags)
{
	return control_node(minor_of(name), flags);
}

void edu_address(const char *name, char address[EDU_ADDRESS])
{
	char path[64], target[256];
	const char *last;
	ssize_t length;

	snprintf(path, sizeof(path), "/sys/class/achan/achan%u/device",
		 minor_of(name));
	length = vm_errno(readlink(path, target, sizeof(target) - 1));
	ck_assert_msg(length > 0, "readlink %s: %s", path, strerror(-length));
	target[length] = '\0';
	last = strrchr(target, '/');
	ck_assert_ptr_nonnull(last);
	snprintf(address, EDU_ADDRESS, "%s", last + 1);
}

bool edu_has_msi(const char *address)
{
	char path[64];

	snprintf(path, sizeof(path), EDU_BUS "devices/%s/msi_irqs", address);
	return !access(path, F_OK);
}

long edu_line(const char *address)
{
	char path[64], text[16] = "";
	FILE *file;

	snprintf(path, sizeof(path), EDU_BUS "devices/%s/irq", address);
	file = fopen(path, "re");
	ck_assert_msg(file && fgets(text, sizeof(text), file), "read %s: %s",
		      path, strerror(errno));
	fclose(file);
	return strtol(text, NULL, 10);
}

volatile uint32_t *edu_map(const char *address)
{
	char path[64];
	void *map;
	int fd;

	snprintf(path, sizeof(path), EDU_BUS "devices/%s/resource0", address);
	fd = open(path, O_RDWR | O_SYNC | O_CLOEXEC);
	ck_assert_msg(fd >= 0, "open %s: %s", path, strerror(errno));
	map = mmap(NULL, vm_page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_msg(map != MAP_FAILED, "mmap %s: %s (booted with iomem=relaxed?)",
		      path, strerror(errno));
	close(fd);
	return map;
}

void edu_raise(volatile uint32_t *registers, uint32_t bits)
{
	registers[RAISE / sizeof(*registers)] = bits;
}

void edu_put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t put;

	ck_assert_msg(fd >= 0, "open %s: %s", path, strerror(errno));
	put = vm_errno(write(fd, text, strlen(text)));
	ck_assert_msg(put == (ssize_t)strlen(text), "write \"%s\" to %s: %s", text,
		      path, strerror(-put));
	close(fd);
}

uint32_t edu_factorial(uint32_t operand)
{
	uint32_t product = 1;

	while (operand && product)
		product *= operand--;
	return product;
}

void edu_write(int fd, uint32_t operand)
{
	vm_write(fd, &operand, sizeof(operand));
}

void edu_assert_result(const struct achan_edu_record *record, uint32_t operand,
		       uint64_t sequence)
{
	ck_assert_uint_eq(record->kind, ACHAN_EDU_RESULT);
	ck_assert_int_eq(record->error, 0);
	ck_assert_uint_eq(record->length, sizeof(operand));
	ck_assert_uint_eq(record->operand, operand);
	ck_assert_uint_eq(record->value, edu_factorial(operand));
	ck_assert_uint_eq(record->reserved, 0);
	ck_assert_uint_eq(record->sequence, sequence);
	ck_assert_uint_gt(record->started, 0);
	ck_assert_uint_le(record->started, record->interrupted);
}

void edu_read_result(int fd, uint32_t operand, uint64_t sequence)
{
	struct achan_edu_record record;

	vm_read(fd, &record, sizeof(record));
	edu_assert_result(&record, operand, sequence);
}

void edu_read_raised(int fd, uint32_t bits)
{
	struct achan_edu_record record;

	vm_read(fd, &record, sizeof(record));
	ck_assert_uint_eq(record.kind, ACHAN_EDU_RAISED);
	ck_assert_uint_eq(record.value, bits);
	ck_assert_int_eq(record.error, 0);
	ck_assert_uint_gt(record.interrupted, 0);
}
