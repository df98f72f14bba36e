// SPDX-License-Identifier: GPL-2.0-only
/* Tracepoints: one record, and one request, followed through a channel. */
#include "control.h"
#include "kernel_aio.h"

#define TRACING	"/sys/kernel/tracing/"

static struct achan_create create;
static char trace[1 << 16];

static bool try_write(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY | O_TRUNC);
	bool good = fd >= 0 && write(fd, text, strlen(text)) > 0;

	if (fd >= 0)
		close(fd);
	return good;
}

/* Starts an empty trace; false where the kernel has no tracing. */
static bool trace_on(void)
{
	int fd = open(TRACING "trace", O_WRONLY | O_TRUNC);

	if (fd >= 0)
		close(fd);
	return try_write(TRACING "events/achan/enable", "1");
}

static void trace_off(void)
{
	size_t length = 0;
	ssize_t got;
	int fd;

	ck_assert(try_write(TRACING "events/achan/enable", "0"));
	fd = open(TRACING "trace", O_RDONLY);
	ck_assert_int_ge(fd, 0);
	while ((got = read(fd, trace + length, sizeof(trace) - 1 - length)) > 0)
		length += got;
	trace[length] = 0;
	close(fd);
}

/* Finds an event behind @from; the rest of the trace after it. */
static const char *expect_trace(const char *from, const char *event,
				const char *detail)
{
	char text[160];
	const char *at;

	snprintf(text, sizeof(text), "%s: minor=%u %s", event, create.minor,
		 detail);
	at = strstr(from, text);
	ck_assert_msg(at, "no \"%s\" in the trace, or not in order:\n%s", text,
		      trace);
	return at + strlen(text);
}

START_TEST(record_can_be_followed_by_minor_and_number)
{
	const char *at;
	char data[64];
	int fd;

	create = control_loop("traced");
	create.config.mode = _i;
	fd = control_make_open(&create, O_RDWR);
	if (!trace_on())
		vm_skip("this kernel has no tracing");
	vm_write(fd, "skip", 4);
	vm_write(fd, "hello", 5);
	vm_read(fd, data, 4);
	vm_read(fd, data, 5);
	trace_off();
	at = expect_trace(trace, "achan_reserve", "sequence=1 length=5");
	at = expect_trace(at, "achan_commit", "sequence=1 length=5");
	at = expect_trace(at, "achan_notify", "readers next=2");
	expect_trace(at, "achan_consume", "sequence=1 length=5");
}
END_TEST

START_TEST(framed_records_are_each_consumed)
{
	const char *at;
	char data[256];
	int fd;

	create = control_loop("traced");
	fd = control_make_open(&create, O_RDWR);
	vm_set_flags(fd, ACHAN_OPEN_FRAMED);
	if (!trace_on())
		vm_skip("this kernel has no tracing");
	for (int i = 0; i < 3; i++)
		vm_write(fd, "12345678", 8);
	ck_assert_int_eq(vm_errno(read(fd, data, sizeof(data))), 96);
	trace_off();
	at = expect_trace(trace, "achan_consume", "sequence=0 length=8");
	at = expect_trace(at, "achan_consume", "sequence=1 length=8");
	expect_trace(at, "achan_consume", "sequence=2 length=8");
}
END_TEST

START_TEST(request_can_be_followed)
{
	io_context_t context = aio_context(2);
	struct iocb served, cancelled;
	const char *at;
	char data[8];
	int fd;

	create = control_loop("traced");
	fd = control_make_open(&create, O_RDWR);
	if (!trace_on())
		vm_skip("this kernel has no tracing");
	aio_park_read(context, &served, fd, data, 8);
	aio_park_read(context, &cancelled, fd, data, 8);
	vm_write(fd, "abc", 3);
	ck_assert_int_eq(aio_result(context, &served), 3);
	ck_assert_int_eq(aio_cancel_result(context, &cancelled), -ECANCELED);
	trace_off();
	at = expect_trace(trace, "achan_park", "read");
	at = expect_trace(at, "achan_park", "read");
	at = expect_trace(at, "achan_commit", "sequence=0 length=3");
	at = expect_trace(at, "achan_consume", "sequence=0 length=3");
	at = expect_trace(at, "achan_complete", "read");
	at = expect_trace(at, "achan_cancel", "read");
	at = expect_trace(at, "achan_complete", "read");
	ck_assert_ptr_nonnull(strstr(at, "result=-125"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("trace");
	TCase *tcase = control_tcase(suite, "trace");

	tcase_add_loop_test(tcase, record_can_be_followed_by_minor_and_number,
			    ACHAN_MODE_STREAM, ACHAN_MODE_MESSAGE + 1);
	tcase_add_test(tcase, framed_records_are_each_consumed);
	tcase_add_test(tcase, request_can_be_followed);
	return vm_main(suite);
}
