// SPDX-License-Identifier: GPL-2.0-only
/*
 * achanctl but for its main(): how it reads its words and writes its values, and
 * what it says to a driver that is made up here.
 */
#include "../../userspace/achanctl/achanctl.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "unit.h"

#define KIB	UINT64_C(1024)

/* ------------------------------------------------------------- parsing */

static const struct { const char *text; uint64_t value; } sizes[] = {
	{ "0", 0 }, { "1", 1 }, { "8192", 8192 }, { "8K", 8 * KIB },
	{ "64k", 64 * KIB }, { "64KiB", 64 * KIB }, { "3M", 3 * KIB * KIB },
	{ "2G", 2 * KIB * KIB * KIB },
	{ "18446744073709551615", UINT64_MAX },
};

START_TEST(size_is_parsed)
{
	uint64_t value = 7;

	ck_assert(parse_size(sizes[_i].text, UINT64_MAX, &value));
	ck_assert_uint_eq(value, sizes[_i].value);
}
END_TEST

static const char *const bad_sizes[] = {
	"", " 1", "1 ", "-1", "+1", "K", "1KB", "1Ki", "1T", "1.5K", "0x10",
	"18446744073709551616", "99999999999999999999", "17179869184G", "1KK",
};

START_TEST(size_that_is_none_is_refused)
{
	uint64_t value = 7;

	ck_assert(!parse_size(bad_sizes[_i], UINT64_MAX, &value));
	ck_assert_uint_eq(value, 7);
}
END_TEST

START_TEST(size_beyond_its_limit_is_refused)
{
	uint64_t value;

	ck_assert(parse_size("4G", 4 * KIB * KIB * KIB, &value));
	ck_assert(!parse_size("4G", UINT32_MAX, &value));
	ck_assert(!parse_size("4194304K", UINT32_MAX, &value));
	ck_assert(parse_number("4294967295", UINT32_MAX, &value));
	ck_assert(!parse_number("4294967296", UINT32_MAX, &value));
	ck_assert(!parse_number("1K", UINT32_MAX, &value));
	ck_assert(parse_octal("777", 0777, &value));
	ck_assert_uint_eq(value, 0777);
	ck_assert(!parse_octal("1000", 0777, &value));
	ck_assert(!parse_octal("8", 0777, &value));
}
END_TEST

START_TEST(seconds_are_parsed)
{
	int64_t ns;

	ck_assert(parse_seconds("0", &ns) && !ns);
	ck_assert(parse_seconds("2", &ns) && ns == 2 * NS_PER_SECOND);
	ck_assert(parse_seconds("0.5", &ns) && ns == NS_PER_SECOND / 2);
	ck_assert(parse_seconds("1.000000001", &ns) &&
		  ns == NS_PER_SECOND + 1);
	ck_assert(!parse_seconds("", &ns));
	ck_assert(parse_seconds(".5", &ns) && ns == NS_PER_SECOND / 2);
	ck_assert(!parse_seconds(".", &ns));
	ck_assert(!parse_seconds("1.", &ns));
	ck_assert(!parse_seconds("1.0000000001", &ns));
	ck_assert(!parse_seconds("-1", &ns));
	ck_assert(!parse_seconds("1s", &ns));
	ck_assert(!parse_seconds("99999999999", &ns));
}
END_TEST

static const char *const good_names[] = {
	"a", "sensors", "A-Z_0.9:+", "0", "achan", "achanx", "achan1a",
	"my-achan1", "0123456789012345678901234567890",
};

START_TEST(name_that_can_be_is_taken)
{
	ck_assert_ptr_null(name_fault(good_names[_i]));
}
END_TEST

static const char *const bad_names[] = {
	"", ".", "..", ".a", "-a", "a b", "a/b", "\xc3\xa4", "a\n", "achan1",
	"achan007", "a%", "a\\", "a\"", "01234567890123456789012345678901",
};

START_TEST(name_that_cannot_be_is_refused)
{
	ck_assert_ptr_nonnull(name_fault(bad_names[_i]));
}
END_TEST

START_TEST(node_names_are_the_drivers_own)
{
	uint32_t minor = 99;

	ck_assert(parse_node_name("achan0", &minor) && !minor);
	ck_assert(parse_node_name("achan4095", &minor) && minor == 4095);
	ck_assert(!parse_node_name("achan", &minor));
	ck_assert(!parse_node_name("achan01", &minor));
	ck_assert(!parse_node_name("achan-1", &minor));
	ck_assert(!parse_node_name("achan1x", &minor));
	ck_assert(!parse_node_name("achan4294967295", &minor));
	ck_assert(!parse_node_name("sensors", &minor));
	ck_assert_uint_eq(minor, 4095);
}
END_TEST

START_TEST(words_have_their_values_and_back)
{
	char text[64];
	uint32_t value;
	bool on;

	ck_assert(parse_word(kind_words, "pair", &value));
	ck_assert_uint_eq(value, ACHAN_KIND_PAIR);
	ck_assert(!parse_word(kind_words, "pai", &value));
	ck_assert(!parse_word(kind_words, "", &value));
	ck_assert_str_eq(word_of(overflow_words, ACHAN_OVERFLOW_DROP), "drop");
	ck_assert_str_eq(word_of(overflow_words, 77), "?");
	ck_assert_str_eq(words_listed(hangup_words, text, sizeof(text)),
			 "off, fifo or peer");
	ck_assert_str_eq(words_listed(kind_words, text, sizeof(text)),
			 "loop, pair or provider");
	ck_assert_str_eq(words_listed(made_kind_words, text, sizeof(text)),
			 "loop or pair");
	ck_assert(parse_on_off("on", &on) && on);
	ck_assert(parse_on_off("off", &on) && !on);
	ck_assert(!parse_on_off("yes", &on));
}
END_TEST

/* ---------------------------------------------------------- formatting */

START_TEST(sizes_are_readable)
{
	char text[TEXT_SIZE];

	ck_assert_str_eq(format_size(0, text), "0 B");
	ck_assert_str_eq(format_size(1023, text), "1023 B");
	ck_assert_str_eq(format_size(1024, text), "1 KiB");
	ck_assert_str_eq(format_size(1536, text), "1.5 KiB");
	ck_assert_str_eq(format_size(64 * KIB, text), "64 KiB");
	ck_assert_str_eq(format_size(3 * KIB * KIB, text), "3 MiB");
	ck_assert_uint_lt(strlen(format_size(UINT64_MAX, text)), TEXT_SIZE);
}
END_TEST

START_TEST(counts_and_times_are_readable)
{
	char text[TEXT_SIZE];

	ck_assert_str_eq(format_count(0, text), "0.0");
	ck_assert_str_eq(format_count(2.5, text), "2.5");
	ck_assert_str_eq(format_count(1234, text), "1234");
	ck_assert_str_eq(format_count(12340, text), "12.34k");
	ck_assert_str_eq(format_time(1500000000, text), "1.500000000");
	ck_assert_str_eq(format_duration(61 * NS_PER_SECOND, text), "1:01");
	ck_assert_str_eq(format_duration(3661 * NS_PER_SECOND, text),
			 "1:01:01");
	ck_assert_str_eq(format_duration(-1, text), "0:00");
}
END_TEST

START_TEST(bar_shows_a_little_and_nearly_all)
{
	char text[TEXT_SIZE];

	ck_assert_str_eq(format_bar(0, 100, 10, text), "..........");
	ck_assert_str_eq(format_bar(1, 1000, 10, text), "#.........");
	ck_assert_str_eq(format_bar(50, 100, 10, text), "#####.....");
	ck_assert_str_eq(format_bar(999, 1000, 10, text), "#########.");
	ck_assert_str_eq(format_bar(1000, 1000, 10, text), "##########");
	ck_assert_str_eq(format_bar(2000, 1000, 10, text), "##########");
	ck_assert_str_eq(format_bar(5, 0, 10, text), "#.........");
	ck_assert_uint_eq(strlen(format_bar(1, 2, 1000, text)), TEXT_SIZE - 1);
}
END_TEST

START_TEST(hexdump_is_that_of_hexdump)
{
	char text[HEXDUMP_LINE];

	ck_assert_str_eq(format_hexdump(16, "0123456789ABCDEF", 16, text),
			 "00000010  30 31 32 33 34 35 36 37  38 39 41 42 43 44"
			 " 45 46  |0123456789ABCDEF|");
	ck_assert_str_eq(format_hexdump(0, "\n\x7f\xff", 3, text),
			 "00000000  0a 7f ff                                  "
			 "        |...|");
}
END_TEST

/* What @print writes to a file, as a string. */
static char *written(void (*print)(FILE *file))
{
	char *text = NULL;
	size_t size;
	FILE *file = open_memstream(&text, &size);

	ck_assert_ptr_nonnull(file);
	print(file);
	fclose(file);
	return text;
}

static void print_some_json(FILE *file)
{
	struct json json = { .file = file };

	json_open(&json, NULL, '{');
	json_string(&json, "a\"b\\", "line\n\xff");
	json_open(&json, "list", '[');
	json_number(&json, NULL, UINT64_MAX);
	json_bool(&json, NULL, false);
	json_close(&json, ']');
	json_open(&json, "empty", '{');
	json_close(&json, '}');
	json_real(&json, "real", 1.5);
	json_close(&json, '}');
}

START_TEST(json_is_escaped_and_has_its_commas)
{
	char *text = written(print_some_json);

	ck_assert_str_eq(text, "{\"a\\\"b\\\\\": \"line\\u000a\\u00ff\", "
			 "\"list\": [18446744073709551615, false], "
			 "\"empty\": {}, \"real\": 1.500}");
	free(text);
}
END_TEST

START_TEST(progress_says_how_far_and_how_long)
{
	struct progress progress = { .total = 1000 * KIB, .done = 250 * KIB };
	char text[256];

	ck_assert_str_eq(progress_line(&progress, 10 * NS_PER_SECOND, 200, text,
				       sizeof(text)),
			 "[########......................]  25%  250 KiB  "
			 "25 KiB/s  0:30 left");
	ck_assert_uint_eq(strlen(progress_line(&progress, 10 * NS_PER_SECOND,
					       20, text, sizeof(text))), 20);
	progress.total = 0;
	ck_assert_str_eq(progress_line(&progress, 10 * NS_PER_SECOND, 200, text,
				       sizeof(text)),
			 "250 KiB  25 KiB/s  0:10");
	progress.done = 0;
	progress.total = 1;
	ck_assert_ptr_nonnull(strstr(progress_line(&progress, 0, 200, text,
						   sizeof(text)), "? left"));
}
END_TEST

/* -------------------------------------------------------------- output */

/* Two frames, as a read brings them. */
static const struct frame {
	struct achan_record record;
	char payload[8];
} two_frames[] = {
	{ { .length = 5, .sequence = 3, .timestamp = 1500000000 }, "hello" },
	{ { .length = 3, .sequence = 4, .flags = ACHAN_RECORD_CONTINUED },
	  "by\n" },
};

/* What the output puts out for a read. */
static const char *shown(struct output *output, const void *bytes,
			 size_t length, int wanted)
{
	static char text[4096];
	FILE *file = tmpfile();
	ssize_t got;

	output->fd = fileno(file);
	ck_assert_int_eq(output_read(output, bytes, length), wanted);
	got = pread(output->fd, text, sizeof(text) - 1, 0);
	ck_assert_int_ge(got, 0);
	text[got] = 0;
	fclose(file);
	return text;
}

START_TEST(frames_are_shown_with_number_time_and_length)
{
	struct output output = { .framed = true, .timestamps = true };

	ck_assert_str_eq(shown(&output, two_frames, sizeof(two_frames), 0),
			 "record 3, time 1.500000000, 5 bytes\nhello\n"
			 "record 4, time none, 3 bytes, continued\nby\n");
	ck_assert_uint_eq(output.records, 2);
	ck_assert_uint_eq(output.bytes, 8);
	ck_assert_uint_eq(output.lost_bytes, 0);
}
END_TEST

static const struct {
	enum separation separation;
	const char *text;
	size_t length;
} separations[] = {
	{ SEPARATE_LINES, "hello\nby\n", 9 },
	{ SEPARATE_NULL, "hello\0by\n\0", 10 },
	{ SEPARATE_JSON, "{\"sequence\": 3, \"time\": 1500000000, "
	  "\"length\": 5, \"data\": \"aGVsbG8=\"}\n"
	  "{\"sequence\": 4, \"time\": 0, \"length\": 3, "
	  "\"continued\": true, \"data\": \"YnkK\"}\n", 144 },
};

START_TEST(records_are_told_apart)
{
	struct output output = { .framed = true,
				 .separation = separations[_i].separation };
	const char *text = shown(&output, two_frames, sizeof(two_frames), 0);

	ck_assert_msg(!memcmp(text, separations[_i].text,
			      separations[_i].length + 1), "shown: %s", text);
	ck_assert_uint_eq(output.records, 2);
}
END_TEST

START_TEST(messages_are_told_apart_without_frames)
{
	struct output output = { .separation = SEPARATE_LINES };

	ck_assert_str_eq(shown(&output, "r1", 2, 0), "r1\n");
	ck_assert_str_eq(shown(&output, "r2\n", 3, 0), "r2\n");
	output.separation = SEPARATE_NULL;
	ck_assert_mem_eq(shown(&output, "r3\n", 3, 0), "r3\n\0", 5);
	ck_assert_uint_eq(output.records, 3);
}
END_TEST

static void print_base64(FILE *file)
{
	struct json json = { .file = file };

	json_base64(&json, "0", "", 0);
	json_base64(&json, "1", "f", 1);
	json_base64(&json, "2", "fo", 2);
	json_base64(&json, "3", "foo", 3);
	json_base64(&json, "4", "\xff\xfe\xfd\xfb", 4);
}

START_TEST(base64_is_that_of_rfc4648)
{
	char *text = written(print_base64);

	ck_assert_str_eq(text, "\"0\": \"\", \"1\": \"Zg==\", \"2\": \"Zm8=\", "
			 "\"3\": \"Zm9v\", \"4\": \"//79+w==\"");
	free(text);
}
END_TEST

START_TEST(what_is_no_frame_is_lost_and_counted)
{
	struct output output = { .framed = true };

	ck_assert_str_eq(shown(&output, two_frames, sizeof(two_frames) - 1,
			       -EBADMSG), "record 3, 5 bytes\nhello\n");
	ck_assert_uint_eq(output.lost_records, 1);
	ck_assert_uint_eq(output.lost_bytes, sizeof(*two_frames) - 1);
}
END_TEST

START_TEST(hexdump_of_a_stream_counts_on)
{
	struct output output = { .hexdump = true };

	ck_assert_ptr_nonnull(strstr(shown(&output, "0123456789abcdefg", 17, 0),
				     "\n00000010  67 "));
	ck_assert_ptr_nonnull(strstr(shown(&output, "h", 1, 0),
				     "00000011  68 "));
}
END_TEST

/* Shows what a read brought in a file that takes @room bytes and no more. */
static void show_short(struct output *output, rlim_t room, const void *bytes,
		       size_t length)
{
	struct rlimit before, limit;
	FILE *file = tmpfile();

	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = room;
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	output->fd = fileno(file);
	ck_assert_int_eq(output_read(output, bytes, length), 0);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
	ck_assert_int_eq(output->error, EFBIG);
	/* Nothing goes out behind a hole. */
	ck_assert_int_eq(output_read(output, bytes, length), 0);
	fclose(file);
}

START_TEST(what_did_not_go_out_is_counted)
{
	struct output plain = { 0 }, framed = { .framed = true };

	show_short(&plain, 10, "0123456789abcdef", 16);
	ck_assert_uint_eq(plain.lost_bytes, 6 + 16);
	ck_assert_uint_eq(plain.lost_records, 2);
	/* The first one is "record 3, 5 bytes" and "hello". */
	show_short(&framed, 24, two_frames, sizeof(two_frames));
	ck_assert_uint_eq(framed.lost_records, 1 + 2);
	ck_assert_uint_eq(framed.lost_bytes, 3 + 8);
	framed = (struct output){ .framed = true };
	show_short(&framed, 23, two_frames, sizeof(two_frames));
	ck_assert_uint_eq(framed.lost_records, 2 + 2);
}
END_TEST

START_TEST(output_that_takes_nothing_is_given_up_after_a_stop)
{
	struct output output = { 0 };
	char page[4096] = "";
	int ends[2];

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_gt(fcntl(ends[1], F_SETPIPE_SZ, sizeof(page)), 0);
	ck_assert_int_eq(write(ends[1], page, sizeof(page)), sizeof(page));
	output.fd = ends[1];
	stop_begin();
	raise(SIGTERM);
	ck_assert(stopped());
	ck_assert_int_eq(output_read(&output, "0123456789abcdef", 16), 0);
	ck_assert_int_eq(output.error, ETIMEDOUT);
	ck_assert_uint_eq(output.lost_bytes, 16);
	stop_end();
}
END_TEST

START_TEST(output_without_a_reader_is_gone)
{
	int ends[2];
	struct output output;

	ck_assert_int_eq(pipe(ends), 0);
	output.fd = ends[1];
	ck_assert(!output_gone(&output));
	close(ends[0]);
	ck_assert(output_gone(&output));
	output.fd = open("/dev/null", O_WRONLY);
	ck_assert(!output_gone(&output));
}
END_TEST

/* ------------------------------------------------------- configuration */

static struct achan_create good_create(void)
{
	return (struct achan_create){ .config.kind = ACHAN_KIND_LOOP };
}

START_TEST(config_without_fault_has_none)
{
	struct achan_create create = good_create();

	ck_assert_ptr_null(config_fault(&create));
	create.config.ring_bytes = 67108864;
	create.config.read_low = 67108864;
	create.config.moderate_usecs = ACHAN_MODERATE_USECS_MAX;
	create.config.moderate_records = ACHAN_MODERATE_RECORDS_MAX;
	create.config.hangup = ACHAN_HANGUP_FIFO;
	ck_assert_ptr_null(config_fault(&create));
}
END_TEST

static const struct {
	struct achan_create create;
	const char *says;
} faults[] = {
	{ { .config.ring_bytes = 5000 }, "power of two" },
	{ { .config.ring_bytes = 4096 }, "8K" },
	{ { .config.ring_bytes = 134217728 }, "64M" },
	{ { .config.read_low = 65537 }, "watermark" },
	{ { .config = { .ring_bytes = 8192, .write_low = 8193 } }, "watermark" },
	{ { .config.moderate_records = 5 }, "--moderate-usecs" },
	{ { .config = { .moderate_records = 65537, .moderate_usecs = 1 } },
	  "65536" },
	{ { .config.moderate_usecs = 1000001 }, "1000000" },
	{ { .config = { .delivery = ACHAN_DELIVERY_BROADCAST,
			.overflow = ACHAN_OVERFLOW_REJECT } }, "reject" },
	{ { .config = { .kind = ACHAN_KIND_PAIR,
			.delivery = ACHAN_DELIVERY_BROADCAST } }, "pair" },
	{ { .config = { .kind = ACHAN_KIND_PAIR,
			.hangup = ACHAN_HANGUP_FIFO } }, "peer" },
	{ { .config = { .kind = ACHAN_KIND_LOOP,
			.hangup = ACHAN_HANGUP_PEER } }, "fifo" },
	{ { .config.kind = ACHAN_KIND_LOOP, .peer_name = "b" }, "--peer" },
	{ { .config.kind = ACHAN_KIND_PAIR, .name = "b", .peer_name = "b" },
	  "one name" },
};

START_TEST(config_with_a_fault_says_which)
{
	const char *fault = config_fault(&faults[_i].create);

	ck_assert_ptr_nonnull(fault);
	ck_assert_msg(strstr(fault, faults[_i].says), "it says: %s", fault);
}
END_TEST

/* ---------------------------------------------- against a made-up driver */

static struct {
	uint32_t abi_version;
	uint32_t features;
	int error;		/* of anything but the handshake */
	struct achan_set set;
	struct achan_create create;
} driver = { .abi_version = ACHAN_ABI_VERSION, .features = 0x3f };

static int next_channel(struct achan_channel *channel)
{
	static const char *const names[] = { "achan0", "sensors" };

	if (channel->minor >= COUNT_OF(names)) {
		errno = ENOENT;
		return -1;
	}
	snprintf(channel->name, sizeof(channel->name), "%s",
		 names[channel->minor]);
	channel->peer_minor = ACHAN_MINOR_NONE;
	channel->config.kind = ACHAN_KIND_LOOP;
	channel->config.moderate_usecs = 50;
	return 0;
}

static int answer(unsigned long request, void *argument)
{
	struct achan_handshake *version = argument;
	bool same;

	if (request == ACHAN_CTL_VERSION) {
		same = version->abi_version == driver.abi_version;
		version->abi_version = driver.abi_version;
		version->features = driver.features;
		errno = EPROTONOSUPPORT;
		return same ? 0 : -1;
	}
	if (driver.error) {
		errno = driver.error;
		return -1;
	}
	if (request == ACHAN_CTL_SET)
		memcpy(&driver.set, argument, sizeof(driver.set));
	if (request == ACHAN_CTL_CREATE)
		memcpy(&driver.create, argument, sizeof(driver.create));
	return request == ACHAN_CTL_NEXT || request == ACHAN_CTL_GET ?
	       next_channel(argument) : 0;
}

/* Takes the place of the C library's. */
int ioctl(int fd, unsigned long request, ...)
{
	va_list arguments;
	void *argument;

	(void)fd;
	va_start(arguments, request);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	return answer(request, argument);
}

/* Runs "achanctl --control /dev/null" and the words of @line. */
static enum status run(const char *line, char *said, size_t size)
{
	char *argv[32] = { "achanctl", "--control", "/dev/null" };
	int saved[2] = { dup(1), dup(2) };
	char words[512], *word;
	enum status status;
	FILE *file = tmpfile();
	int argc = 3;

	snprintf(words, sizeof(words), "%s", line);
	for (word = strtok(words, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	fflush(stdout);
	dup2(fileno(file), 1);
	dup2(fileno(file), 2);
	status = achanctl_run(argc, argv);
	fflush(stdout);
	dup2(saved[0], 1);
	dup2(saved[1], 2);
	close(saved[0]);
	close(saved[1]);
	rewind(file);
	said[fread(said, 1, size - 1, file)] = 0;
	fclose(file);
	return status;
}

static void expect(const char *line, enum status wanted, const char *says)
{
	char said[8192];
	enum status status = run(line, said, sizeof(said));

	ck_assert_msg(status == wanted && strstr(said, says),
		      "\"%s\" ended with %d, not %d, and said: %s", line,
		      status, wanted, said);
}

START_TEST(older_driver_is_called_older)
{
	driver.abi_version = ACHAN_ABI_VERSION - 1;
	expect("list", STATUS_VERSION, "the driver is older");
	expect("create x", STATUS_VERSION, "load the module that came with");
	driver.abi_version = ACHAN_ABI_VERSION + 1;
	expect("list", STATUS_VERSION, "the achanctl is older");
	expect("remove x", STATUS_VERSION, "use the achanctl that came with");
	expect("--version", STATUS_OK, "driver: ABI 2");
}
END_TEST

START_TEST(driver_without_a_feature_is_named)
{
	driver.features = 0;
	driver.error = EINVAL;
	expect("create --kind pair x", STATUS_VERSION, "'pair'");
	expect("create --delivery broadcast x", STATUS_VERSION, "'broadcast'");
	expect("create --hangup fifo x", STATUS_VERSION, "'hangup'");
	expect("create --read-low 5 x", STATUS_VERSION, "'watermarks'");
	expect("create --moderate-usecs 5 x", STATUS_VERSION, "'moderation'");
}
END_TEST

static const struct {
	int error;
	const char *line;
	enum status status;
	const char *says;
} refusals[] = {
	{ EEXIST, "create x", STATUS_EXISTS, "named x already" },
	{ EEXIST, "create --peer y x", STATUS_EXISTS, "named x or y already" },
	{ ENOSPC, "create x", STATUS_LIMIT, "as many channels as there can" },
	{ ENOMEM, "create --ring-bytes 64M x", STATUS_LIMIT, "64 MiB" },
	{ EINVAL, "create --ring-bytes 5000 x", STATUS_USAGE, "power of two" },
	{ EINVAL, "create x", STATUS_USAGE, "the driver refused" },
	{ EPERM, "create x", STATUS_PERMISSION, "cannot create" },
	{ ENOENT, "remove x", STATUS_NO_CHANNEL, "no channel x" },
	{ ENOENT, "remove 0123456789012345678901234567890123", 6, "no channel" },
	{ ENOENT, "set --overflow drop x", STATUS_NO_CHANNEL, "no channel x" },
	{ 0, "info x", STATUS_NO_CHANNEL, "no channel x" },
	{ 0, "stats x", STATUS_NO_CHANNEL, "no channel x" },
	{ 0, "list achan7", STATUS_NO_CHANNEL, "no channel achan7" },
	{ 0, "info /dev/null", STATUS_NO_CHANNEL, "/dev/null is not a channel" },
	{ 0, "recv /dev/null", STATUS_NO_CHANNEL, "" },
};

START_TEST(refusal_says_what_to_do)
{
	driver.error = refusals[_i].error;
	/* What is not made up is not there either. */
	if (!strcmp(refusals[_i].line, "recv /dev/null"))
		driver.error = ENOTTY;
	expect(refusals[_i].line, refusals[_i].status, refusals[_i].says);
}
END_TEST

static const struct {
	const char *path;
	int error;
	enum status status;
	const char *says;
} unopened[] = {
	/* A device cgroup gives this to root, too. */
	{ "/dev/null", -EPERM, STATUS_PERMISSION, "device cgroup" },
	{ "/dev/null", -ENOTTY, STATUS_NO_CHANNEL, "but another device" },
	{ "/dev", -ENOTTY, STATUS_NO_CHANNEL, "but a directory" },
	{ "/proc/self/exe", -ENOTTY, STATUS_NO_CHANNEL, "but a regular file" },
	{ "/dev/null", -EPROTO, STATUS_VERSION, "another version" },
	{ "/dev/null", -EMFILE, STATUS_LIMIT, "cannot open /dev/null" },
};

START_TEST(what_cannot_be_opened_is_told_why)
{
	FILE *file = tmpfile();
	int saved = dup(STDERR_FILENO);
	enum status status;
	char said[1024];

	dup2(fileno(file), STDERR_FILENO);
	status = fail_open(unopened[_i].path, unopened[_i].error);
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(file);
	said[fread(said, 1, sizeof(said) - 1, file)] = 0;
	fclose(file);
	ck_assert_msg(status == unopened[_i].status &&
		      strstr(said, unopened[_i].says),
		      "status %d, it said: %s", status, said);
	ck_assert_ptr_null(strstr(said, "sudo"));
}
END_TEST

static const struct { const char *line; const char *says; } misuses[] = {
	{ "nonsense", "no command 'nonsense'" },
	{ "create a b", "one name, not 2" },
	{ "create a/b", "only A-Z" },
	{ "create achan7", "given by the driver alone" },
	{ "create --kind tree x", "invalid --kind 'tree': use loop or pair" },
	{ "create --mode x", "use stream or message" },
	{ "create --ring-bytes 1T x", "such as 8192 or 64K" },
	{ "create --node-mode 9 x", "octal" },
	{ "create --node-mode 0 x", "octal" },
	{ "create --owner no-such-user x", "no user 'no-such-user'" },
	{ "create --group no-such-group x", "groupadd" },
	{ "create --timestamps maybe x", "on or off" },
	{ "create --moderate-usecs x", "is a number" },
	{ "create --frobnicate x", "--help" },
	{ "set x", "nothing to change" },
	{ "set --overflow drop", "no channel given" },
	{ "set --overflow drop a b", "one channel is needed, not 2" },
	{ "set --mode stream x", "--mode is fixed when a channel is created" },
	{ "set --ring-bytes 64K x", "--ring-bytes is fixed" },
	{ "set --kind=pair x", "--kind is fixed" },
	{ "set --owner root x", "--owner cannot be set: change the node" },
	{ "create --peer a a", "the two of a pair cannot have one name" },
	{ "help nonsense", "no command 'nonsense'" },
	{ "remove", "no channel given" },
	{ "info", "no channel given" },
	{ "list --frobnicate", "--help" },
	{ "stats --count 3", "--count needs --watch" },
	{ "stats --watch=x", "takes seconds" },
	{ "stats --watch=0", "takes seconds" },
	{ "monitor x", "no channel can be named" },
	{ "monitor --count 0", "takes a number" },
	{ "send", "no channel given" },
	{ "send --size 0 x", "bytes" },
	{ "send --text a x b", "either --text or files" },
	{ "recv", "no channel given" },
	{ "recv --model tea x", "'tea': use blocking, poll, sigio, aio or uring" },
	{ "recv --depth 0 x", "--depth takes a number" },
	{ "recv --count abc x", "--count takes a number" },
	{ "recv -c 0 x", "--count takes a number" },
	{ "recv -s x x", "--size takes bytes, such as 512 or 64K, not 'x'" },
	{ "recv -t x x", "--timeout takes seconds, such as 2 or 0.5, not 'x'" },
	{ "recv --lines --json x", "only one of" },
	{ "recv --null --framed x", "do not go with" },
	{ "pipe -b x x y", "--bytes takes bytes" },
	{ "pipe x", "two channels are needed" },
};

START_TEST(misuse_says_what_is_wrong)
{
	expect(misuses[_i].line, STATUS_USAGE, misuses[_i].says);
}
END_TEST

START_TEST(set_changes_what_was_named_alone)
{
	expect("set --moderate-records 9 sensors", STATUS_OK, "");
	ck_assert_uint_eq(driver.set.mask, ACHAN_SET_MODERATION);
	ck_assert_uint_eq(driver.set.config.moderate_records, 9);
	/* They go together, so the other one is what it was. */
	ck_assert_uint_eq(driver.set.config.moderate_usecs, 50);
	expect("set --overflow drop --timestamps off achan0", STATUS_OK, "");
	ck_assert_uint_eq(driver.set.mask,
			  ACHAN_SET_OVERFLOW | ACHAN_SET_TIMESTAMPS);
	ck_assert_uint_eq(driver.set.config.flags, ACHAN_CONFIG_NO_TIMESTAMPS);
	ck_assert_uint_eq(driver.set.minor, 0);
}
END_TEST

START_TEST(create_asks_for_what_was_chosen)
{
	expect("create --peer b --mode message --ring-bytes 8K --node-mode 640 "
	       "--owner 12 --group 13 --overflow overwrite a", STATUS_OK,
	       "/dev/achan0\n/dev/achan0\n");
	ck_assert_str_eq(driver.create.name, "a");
	ck_assert_str_eq(driver.create.peer_name, "b");
	ck_assert_uint_eq(driver.create.config.kind, ACHAN_KIND_PAIR);
	ck_assert_uint_eq(driver.create.config.mode, ACHAN_MODE_MESSAGE);
	ck_assert_uint_eq(driver.create.config.ring_bytes, 8192);
	ck_assert_uint_eq(driver.create.config.node_mode, 0640);
	ck_assert_uint_eq(driver.create.config.uid, 12);
	ck_assert_uint_eq(driver.create.config.gid, 13);
	ck_assert_uint_eq(driver.create.config.overflow,
			  ACHAN_OVERFLOW_OVERWRITE);
}
END_TEST

START_TEST(list_is_ordered_and_each_command_has_help)
{
	static const char *const commands[] = {
		"list", "create", "remove", "info", "set", "stats", "monitor",
		"send", "recv", "pipe",
	};
	char line[64];

	expect("list", STATUS_OK, "NAME");
	expect("list sensors", STATUS_OK, "sensors  achan1");
	expect("info sensors", STATUS_OK, "/dev/achan1");
	expect("stats sensors", STATUS_OK, "sensors (achan1)");
	for (size_t i = 0; i < COUNT_OF(commands); i++) {
		snprintf(line, sizeof(line), "%s --help", commands[i]);
		expect(line, STATUS_OK, "usage: achanctl ");
		snprintf(line, sizeof(line), "help %s", commands[i]);
		expect(line, STATUS_OK, commands[i]);
	}
	expect("ls sensors", STATUS_OK, "sensors  achan1");
	expect("help", STATUS_OK, "usage: achanctl [--control PATH]");
	expect("version", STATUS_OK, "libachan");
	expect("--help", STATUS_OK, "usage: achanctl");
	expect("", STATUS_USAGE, "usage: achanctl");
}
END_TEST

#define ALL(tcase, test, array)						\
	tcase_add_loop_test(tcase, test, 0, (int)COUNT_OF(array))

int main(void)
{
	Suite *suite = suite_create("achanctl");
	TCase *tcase = tcase_create("achanctl");

	ALL(tcase, size_is_parsed, sizes);
	ALL(tcase, size_that_is_none_is_refused, bad_sizes);
	tcase_add_test(tcase, size_beyond_its_limit_is_refused);
	tcase_add_test(tcase, seconds_are_parsed);
	ALL(tcase, name_that_can_be_is_taken, good_names);
	ALL(tcase, name_that_cannot_be_is_refused, bad_names);
	tcase_add_test(tcase, node_names_are_the_drivers_own);
	tcase_add_test(tcase, words_have_their_values_and_back);
	tcase_add_test(tcase, sizes_are_readable);
	tcase_add_test(tcase, counts_and_times_are_readable);
	tcase_add_test(tcase, bar_shows_a_little_and_nearly_all);
	tcase_add_test(tcase, hexdump_is_that_of_hexdump);
	tcase_add_test(tcase, json_is_escaped_and_has_its_commas);
	tcase_add_test(tcase, progress_says_how_far_and_how_long);
	tcase_add_test(tcase, frames_are_shown_with_number_time_and_length);
	tcase_add_test(tcase, hexdump_of_a_stream_counts_on);
	ALL(tcase, records_are_told_apart, separations);
	tcase_add_test(tcase, messages_are_told_apart_without_frames);
	tcase_add_test(tcase, base64_is_that_of_rfc4648);
	tcase_add_test(tcase, what_is_no_frame_is_lost_and_counted);
	tcase_add_test(tcase, what_did_not_go_out_is_counted);
	tcase_add_test(tcase, output_that_takes_nothing_is_given_up_after_a_stop);
	tcase_add_test(tcase, output_without_a_reader_is_gone);
	tcase_add_test(tcase, config_without_fault_has_none);
	ALL(tcase, config_with_a_fault_says_which, faults);
	tcase_add_test(tcase, older_driver_is_called_older);
	tcase_add_test(tcase, driver_without_a_feature_is_named);
	ALL(tcase, refusal_says_what_to_do, refusals);
	ALL(tcase, what_cannot_be_opened_is_told_why, unopened);
	ALL(tcase, misuse_says_what_is_wrong, misuses);
	tcase_add_test(tcase, set_changes_what_was_named_alone);
	tcase_add_test(tcase, create_asks_for_what_was_chosen);
	tcase_add_test(tcase, list_is_ordered_and_each_command_has_help);
	suite_add_tcase(suite, tcase);
	return unit_main(suite);
}
