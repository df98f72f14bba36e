// SPDX-License-Identifier: GPL-2.0-only
/* The module achan_probe. */
#include "probe.h"
#include "module.h"

#include <stdarg.h>

#define PARAMETERS	"/sys/module/achan_probe/parameters/"

const char *const probe_contexts[] = {
	"task", "spin", "raw", "softirq", "hardirq", "ipi", "nmi",
};
const size_t probe_context_count = VM_ARRAY_SIZE(probe_contexts);

static void unload_all(void)
{
	static const char *const names[] = {
		"achan_probe", "achan_clock", "achan_adder",
	};
	size_t i;

	for (i = 0; i < VM_ARRAY_SIZE(names); i++)
		module_unload_other(names[i]);
}

TCase *probe_tcase(Suite *suite, const char *name)
{
	TCase *tcase = control_tcase(suite, name);

	tcase_add_checked_fixture(tcase, unload_all, unload_all);
	return tcase;
}

void probe_load(const char *parameters)
{
	ck_assert_int_eq(module_load_other("achan_probe", parameters), 0);
}

void probe_unload(void)
{
	ck_assert_int_eq(module_unload_other("achan_probe"), 0);
}

static long write_parameter(const char *parameter, const char *format,
			    va_list arguments)
{
	char path[80], text[80];
	int length = vsnprintf(text, sizeof(text), format, arguments);
	long result;
	int fd;

	snprintf(path, sizeof(path), PARAMETERS "%s", parameter);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ck_assert_msg(fd >= 0, "open %s: %s", path, strerror(errno));
	result = vm_errno(write(fd, text, length));
	close(fd);
	return result < 0 ? result : 0;
}

long probe_try(const char *parameter, const char *format, ...)
{
	va_list arguments;
	long result;

	va_start(arguments, format);
	result = write_parameter(parameter, format, arguments);
	va_end(arguments);
	return result;
}

void probe_set(const char *parameter, const char *format, ...)
{
	va_list arguments;
	long result;

	va_start(arguments, format);
	result = write_parameter(parameter, format, arguments);
	va_end(arguments);
	ck_assert_msg(!result, "%s: %s", parameter, strerror(-result));
}

bool probe_push(const char *context, unsigned int count, unsigned int length)
{
	long result = probe_try("push", "%s %u %u", context, count, length);

	if (result == -EOPNOTSUPP) {
		printf("# no %s on this machine\n", context);
		return false;
	}
	ck_assert_msg(!result, "push %s: %s", context, strerror(-result));
	return true;
}

uint64_t probe_figure(const char *name)
{
	unsigned long long value;
	char found[32];
	FILE *file = fopen(PARAMETERS "figures", "r");

	ck_assert_msg(file, "open figures: %s", strerror(errno));
	while (fscanf(file, "%31s %llu", found, &value) == 2) {
		if (strcmp(found, name))
			continue;
		fclose(file);
		return value;
	}
	ck_abort_msg("the module has no figure named %s", name);
}

uint32_t provider_minor(const char *name)
{
	struct achan_channel channel;

	ck_assert_int_eq(control_get(name, &channel), 0);
	ck_assert_uint_eq(channel.config.kind, ACHAN_KIND_PROVIDER);
	return channel.minor;
}

int provider_open(const char *name, int flags)
{
	return control_node(provider_minor(name), flags);
}

void probe_assert_whole(const struct probe_frame *frame)
{
	size_t i, length = frame->record.length - sizeof(frame->count);

	ck_assert_uint_ge(frame->record.length, sizeof(frame->count));
	for (i = 0; i < length; i++)
		ck_assert_uint_eq(frame->rest[i], frame->count & 0xff);
}
