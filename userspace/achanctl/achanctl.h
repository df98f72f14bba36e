/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of achanctl share. */
#ifndef ACHANCTL_H
#define ACHANCTL_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <achan.h>

#define COUNT_OF(array)	(sizeof(array) / sizeof((array)[0]))
#define NS_PER_SECOND	INT64_C(1000000000)

/* The exit status; achanctl(8) lists them. */
enum status {
	STATUS_OK = 0,
	STATUS_FAILURE = 1,
	STATUS_USAGE = 2,
	STATUS_NO_MODULE = 3,
	STATUS_PERMISSION = 4,
	STATUS_VERSION = 5,
	STATUS_NO_CHANNEL = 6,
	STATUS_EXISTS = 7,
	STATUS_LIMIT = 8,
	STATUS_TIMEOUT = 9,
};

/* A word of the command line: argv[0] is "achanctl" for getopt's messages. */
struct command {
	const char *name;
	enum status (*run)(int argc, char **argv);
	const char *help;
};

extern const struct command command_list, command_create, command_remove,
	command_info, command_set, command_stats, command_monitor, command_send,
	command_recv, command_pipe;

/* Set by --control; NULL for the usual one. */
extern const char *control_path;

/* Runs the program of these words. */
enum status achanctl_run(int argc, char **argv);

/* ------------------------------------------------------------- messages */

/* Prints "achanctl: " and the text to standard error; returns @status. */
enum status fail(enum status status, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* The same for what is wrong with the command line of @command. */
enum status fail_usage(const struct command *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
struct option;
/* What getopt_long() has found to be the value of option @code cannot be. */
enum status fail_value(const struct command *command,
		       const struct option *options, int code);
/* The command takes one channel, and @given were. */
enum status fail_one_channel(const struct command *command, int given);
/* Only the hint: getopt_long() has said what is wrong. */
enum status fail_option(const struct command *command);
/* Prints the help of @command to standard output. */
enum status print_help(const struct command *command);
/* Standard output took all that was printed. */
enum status finish_output(void);

/* The driver does not do what was asked: what @error means when it is common. */
enum status fail_call(int error, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
enum status fail_no_module(void);
enum status fail_version(const struct achan_handshake *driver);
/* @path could not be opened. */
enum status fail_open(const char *path, int error);
/* @path is no channel's node. */
enum status fail_other_file(const char *path);
/* @what cannot be had from another network namespace than the host's. */
enum status fail_namespace(const char *what);

/* --------------------------------------------------------------- place */

bool module_loaded(void);
/* /dev is devtmpfs, where the kernel makes all nodes. */
bool dev_is_kernels(void);
bool on_nodev_mount(const char *path);
bool in_user_namespace(void);
/* CLOCK_MONOTONIC is not the host's here. */
bool in_time_namespace(void);

struct stat;
/* Text of an attribute of the channel whose node @found is about. */
bool sysfs_attribute(const struct stat *found, const char *name, char *text,
		     size_t size);

/* -------------------------------------------------------------- parsing */

/* Each returns true, and stores the value only then. */
bool parse_number(const char *text, uint64_t max, uint64_t *value);
/* Bytes: a number, and K, M or G for powers of 1024. */
bool parse_size(const char *text, uint64_t max, uint64_t *value);
/* Seconds, with a fraction perhaps, into nanoseconds. */
bool parse_seconds(const char *text, int64_t *ns);
bool parse_octal(const char *text, uint64_t max, uint64_t *value);
bool parse_on_off(const char *text, bool *value);

/* A value's name. Tables end with a NULL text. */
struct word {
	const char *text;
	uint32_t value;
};

extern const struct word kind_words[], made_kind_words[], mode_words[], delivery_words[],
	hangup_words[], overflow_words[], event_words[], feature_words[];

bool parse_word(const struct word *words, const char *text, uint32_t *value);
/* The value's name, or "?" for one that is not known here. */
const char *word_of(const struct word *words, uint32_t value);
/* Every name of a table, as "a, b or c". */
const char *words_listed(const struct word *words, char *text, size_t size);

/* Why @name can be no channel's, or NULL if it can. */
const char *name_fault(const char *name);
/* "achan7" is 7, the way the driver writes it. */
bool parse_node_name(const char *text, uint32_t *minor);

/* ----------------------------------------------------------- formatting */

#define TEXT_SIZE	64

/* Each fills @text, of TEXT_SIZE bytes, and returns it. */
const char *format_size(uint64_t bytes, char *text);
const char *format_count(double count, char *text);
const char *format_time(uint64_t ns, char *text);
const char *format_duration(int64_t ns, char *text);
/* @width characters, of which @part of @whole are filled. */
const char *format_bar(uint64_t part, uint64_t whole, int width, char *text);
/*
 * A line of up to 16 bytes as hexdump -C has it, without a newline. @text has
 * room for HEXDUMP_LINE bytes.
 */
#define HEXDUMP_LINE	96
const char *format_hexdump(uint64_t offset, const void *bytes, size_t length,
			   char *text);

/* JSON on one line; who writes it opens and closes in pairs. */
struct json {
	FILE *file;
	bool comma;
};

void json_open(struct json *json, const char *key, char bracket);
void json_close(struct json *json, char bracket);
void json_string(struct json *json, const char *key, const char *value);
void json_number(struct json *json, const char *key, uint64_t value);
void json_real(struct json *json, const char *key, double value);
/* @bytes in base64. */
void json_base64(struct json *json, const char *key, const void *bytes,
		 size_t length);
void json_bool(struct json *json, const char *key, bool value);
/* The members of an object about @channel. */
void json_channel(struct json *json, const struct achan_channel *channel);

/* ------------------------------------------------------------- channels */

/* "NAME (achanN)", or the node's name alone if it is the channel's. */
const char *channel_label(const struct achan_channel *channel, char *text);

/*
 * More is known of it than its name, number and kind: the driver tells the rest to who
 * may open its node.
 */
static inline bool channel_known(const struct achan_channel *channel)
{
	return channel->config.ring_bytes;
}

/* Opens the control device. Says what is wrong if it cannot. */
enum status control_connect(struct achan_control **control);

/* A channel as the command line names it: by name, node or path. */
struct reference {
	const char *text;
	/* NULL: by minor. */
	const char *name;
	uint32_t minor;
};

enum status reference_parse(const char *text, struct reference *reference);
/* There is none: says so. */
enum status fail_no_channel(const struct reference *reference);

/* All about a channel, from whomever will tell. */
enum status channel_find(const struct reference *reference,
			 struct achan_channel *channel);

struct channel_list {
	struct achan_channel *channels;
	size_t count;
};

/* All channels, ordered by their number. Ends with channel_list_free(). */
enum status channel_list_get(struct channel_list *list);
void channel_list_free(struct channel_list *list);
/* Puts in or replaces the channel of that number. Returns false without memory. */
bool channel_list_put(struct channel_list *list,
		      const struct achan_channel *channel);

/*
 * Those that the words name, or all for no words. What some of the words name
 * is not there: that is said, and the status returned; the others are in.
 */
enum status channel_list_select(struct channel_list *list, int argc,
				char **argv);

/* A channel that was removed, and a process that has it open. */
struct removed {
	uint32_t minor;
	char name[ACHAN_NAME_MAX];
	unsigned int process;
	char command[16];
};

struct removed_list {
	struct removed *removed;
	size_t count;
	/* There are processes that this user cannot look at. */
	bool hidden;
};

/*
 * The channels that processes have open and that are not @there. Returns false
 * without memory. Ends with removed_list_free().
 */
bool removed_list_get(struct removed_list *list,
		      const struct channel_list *there);
void removed_list_free(struct removed_list *list);
/* No entry before that one is about the same channel. */
bool removed_is_first(const struct removed_list *list, size_t index);
/* The next entry about the channel of @removed, or NULL. */
const struct removed *removed_next(const struct removed_list *list,
				   const struct removed *removed);
/* Open files and other uses of the module, as far as sysfs tells. */
unsigned long module_uses(void);

/*
 * Opens the channel that a word names, for reading and writing as @flags say,
 * between stop_begin() and stop_end(). At a stop there is no channel, NULL, though
 * nothing has failed.
 */
enum status channel_open(const char *text, int flags, int64_t timeout_ns,
			 struct achan **channel, struct achan_info *info);

/* -------------------------------------------------------- configuration */

/* Long options of "create" and "set"; their codes start here. */
enum config_code {
	CONFIG_FIRST = 256,
	CONFIG_KIND = CONFIG_FIRST,
	CONFIG_PEER,
	CONFIG_MODE,
	CONFIG_DELIVERY,
	CONFIG_HANGUP,
	CONFIG_RING_BYTES,
	CONFIG_NODE_MODE,
	CONFIG_OWNER,
	CONFIG_GROUP,
	CONFIG_OVERFLOW,
	CONFIG_TIMESTAMPS,
	CONFIG_READ_LOW,
	CONFIG_WRITE_LOW,
	CONFIG_MODERATE_RECORDS,
	CONFIG_MODERATE_USECS,
	CONFIG_LAST,
};

/* What was chosen: the values, and ACHAN_SET_ of those that can be set. */
struct config_choice {
	struct achan_create create;
	uint32_t mask;
	/* Which of the moderation's two were named. */
	bool moderate_records;
	bool moderate_usecs;
};

/* Takes one option. */
enum status config_option(const struct command *command, int code,
			  const char *argument, struct config_choice *choice);
/* What of @create a driver has to refuse, or NULL if nothing is seen. */
const char *config_fault(const struct achan_create *create);

/* ------------------------------------------------------------- transfer */

/* A line on standard error about a transfer that takes long, on a terminal. */
struct progress {
	bool usable;
	bool shown;
	uint64_t total;		/* 0: not known */
	uint64_t done;
	int64_t started;
	int64_t drawn;
};

void progress_begin(struct progress *progress, uint64_t total, bool usable);
void progress_add(struct progress *progress, uint64_t bytes);
void progress_end(struct progress *progress);
/* The line of that state at @now, of at most @width characters. */
const char *progress_line(const struct progress *progress, int64_t now,
			  int width, char *text, size_t size);

int64_t now_ns(void);

/* ------------------------------------------------------------- stopping */

/*
 * Between these two SIGTERM, SIGINT and SIGHUP interrupt what waits, and no
 * more: stopped() is true from then on. SIGPIPE is ignored.
 */
void stop_begin(void);
void stop_end(void);
bool stopped(void);
/* As if signal @number had come. */
void stop_because(int number);
/* Lets the signal that came have its effect. Returns 0 if none came. */
int stop_raise(void);
/* What waits is interrupted after the time, and again and again, unless it is < 0. */
void stop_alarm(int64_t timeout_ns);
void stop_alarm_off(void);

/*
 * Writes all of @bytes. Returns how many were written, fewer if the time has
 * passed, a stop came or an error after a part; else -ETIMEDOUT, -EINTR for a
 * stop, or what achan_write() gives.
 */
ssize_t write_waiting(struct achan *channel, const char *bytes, size_t length,
		      int64_t timeout_ns);

/* ------------------------------------------------------------ receiving */

/* What stands between records. */
enum separation {
	SEPARATE_NOT,
	SEPARATE_LINES,		/* a newline where there is none at the end */
	SEPARATE_NULL,		/* a zero byte behind each */
	SEPARATE_JSON,		/* an object on a line for each */
};

/* How "recv" shows what it got. */
struct output {
	int fd;
	bool framed;
	enum separation separation;
	bool timestamps;
	bool hexdump;
	/* Of the next byte in a hexdump of a stream of bytes. */
	uint64_t offset;
	/* Number of the record to come; known from the first one on. */
	uint64_t next_sequence;
	bool next_known;
	/* What was taken from the channel. */
	uint64_t records;
	uint64_t bytes;
	/* errno of a failed write, and what of the taken did not go out. */
	int error;
	uint64_t lost_records;
	uint64_t lost_bytes;
};

/*
 * Shows what one read brought. Returns 0, -EBADMSG if it is no row of frames, or
 * -ENOMEM; what a write did is in the output.
 */
int output_read(struct output *output, const void *bytes, size_t length);
/* Nobody takes what is written any more. */
bool output_gone(const struct output *output);

/* "recv": what all models do alike. */
struct receiver {
	struct achan *channel;
	struct achan_info info;
	const char *name;
	struct output output;
	struct progress progress;
	size_t size;		/* of a read */
	uint64_t count;		/* records to take, or reads; 0: no end */
	uint64_t bytes;		/* bytes to take, 0: no end */
	int64_t timeout_ns;
	int64_t last;		/* when something came, or the beginning */
	unsigned int depth;
	bool done;
	enum status status;
};

/*
 * How long the next read may be, 0 if no more is to be taken: then no read may be
 * left that could take something.
 */
size_t receiver_size(struct receiver *receiver);
/*
 * Waits for @events on @fd. Returns 1, 0 if the time has passed, or -EINTR when no
 * more is to be taken.
 */
int receiver_wait(struct receiver *receiver, int fd, int events);
/* Takes what a read returned, also after the end. Sets done when that was it. */
void receiver_take(struct receiver *receiver, const void *bytes,
		   int64_t result);
void receiver_timed_out(struct receiver *receiver);
/* Something other than a read failed: says what. */
void receiver_fail(struct receiver *receiver, const char *what, int error);

/* The I/O models. Each receives until done, and leaves nothing in flight. */
void receive_blocking(struct receiver *receiver);
void receive_poll(struct receiver *receiver);
void receive_sigio(struct receiver *receiver);
void receive_aio(struct receiver *receiver);
void receive_uring(struct receiver *receiver);

#endif /* ACHANCTL_H */
