/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Torture: members (threads, and processes that they fork) do random valid and
 * invalid operations on a few channels, and an oracle accounts for every record.
 *
 *	run.c		rounds: start, watch, stop, drain, compare
 *	member.c	one member's loop, and how it comes to rest
 *	operations.c	the table: what can be done, how often, how it may fail
 *	op_*.c		the operations
 *	slot.c		a transfer in progress and its buffer
 *	oracle.c	what was written, what was read
 *	journal.c	the memory that all processes share, and that outlives them
 *	random.c	numbers
 *
 * A run is a sequence of rounds. At the end of each all members come to rest,
 * everything is closed, the channels are drained and the oracle compares.
 *
 * What an operation is, and its arguments, follows from the seed, the round,
 * the member and the number of the operation alone. So a seed replays every
 * member's sequence, if not how they interleave.
 */
#ifndef ACHAN_TESTS_TORTURE_H
#define ACHAN_TESTS_TORTURE_H

#include "vm.h"

#include <linux/aio_abi.h>
#include <liburing.h>
#include <sys/uio.h>

#define CHANNELS	4
/* Open files that all members share, by turns of the channels. */
#define FILES		16
/* Their numbers: so high that no other open() ever gets one of them. */
#define FILE_BASE	200
#define THREADS_MAX	32
#define MEMBERS		256
#define PRODUCERS	512
/* Of a producer in a channel in a round: what the oracle has room for. */
#define UNITS		(1U << 18)
/* Transfers that a member has in progress at a time, and all in a round. */
#define SLOTS		6
#define POOL		768
/* A slot's buffer; a parked read of all of it is filled by a worker. */
#define REGION		(64U << 10)
#define SEGMENTS	4
#define GUARD		4096U
#define UNKNOWN		4096
#define ERRNO_MAX	135
#define DOING_MAX	96

/* What an operation returns that found nothing to do. */
#define SKIPPED		(-1000000L)

struct random {
	uint64_t state;
};

/* Writes are numbered by the domain they are ordered in, and so are reads. */
enum domain {
	IN_TURN,	/* calls and AIO: in the order in which they are issued */
	URING,		/* io_uring: one read and one write at a time */
	DOMAINS,
};

enum slot_state { FREE, BUSY, ARRIVED, DEAD };
enum slot_kind { READ, WRITE, POLL };

/*
 * struct slot - one transfer, from before its system call until its result is
 * accounted for. It lies in the journal: if the process is killed, it tells
 * what may have happened.
 */
struct slot {
	unsigned int state;
	enum slot_kind kind;
	enum domain domain;
	unsigned int channel;
	unsigned int event;	/* the row that counts an asynchronous result */
	bool aio;
	bool bad;		/* its memory was chosen to be bad */
	bool atomic;		/* a write that goes in whole or not at all */
	bool no_wait;
	bool cancelled;		/* somebody tried to cancel it */
	bool anonymous;		/* memory of the process, not of the arena */
	uint64_t order;
	uint32_t producer;
	uint32_t first;
	uint32_t units;
	size_t length;
	long result;
	pid_t process;
	unsigned char *view;	/* the buffer as the system calls see it */
	unsigned int segments;
	struct iovec iov[SEGMENTS];
	struct iocb iocb;
	/* Guards @harmed and the mapping at @view. */
	pthread_spinlock_t lock;
	bool harmed;		/* the mapping at @view was changed */
};

/* What a reader saw last, for the order of what it sees next. */
struct consumer {
	uint32_t next[CHANNELS][PRODUCERS];
	uint64_t sequence[CHANNELS];
	uint64_t timestamp[CHANNELS];
};

struct local;

struct member {
	bool live;
	bool child;
	pid_t process;
	pid_t thread;
	uint64_t key;		/* of its sequence of operations */
	uint64_t number;	/* of the operation in progress */
	unsigned int doing;
	unsigned int doing_channel;
	int64_t since;		/* in ms */
	uint64_t orders;
	int slots[SLOTS];	/* indices, -1 where there is none */
	uint32_t producer[DOMAINS];
	uint32_t next_unit[DOMAINS][CHANNELS];
	struct consumer consumer[DOMAINS];
	aio_context_t context;
	struct local *local;
};

/* What a member has in its process alone. */
struct local {
	struct io_uring ring;
	bool ring_open;
	int pipe[2];
	int file;
	int epoll;
	int event;
	struct member *self;
	/* The child that it has forked, if any. */
	struct member *child;
	pid_t child_process;
	int child_pipe[2];
	int64_t child_until;
	unsigned int child_fate;
	unsigned char scratch[REGION];
};

enum injection {
	NO_INJECTION, LOSS, DUPLICATE, SWAP, CORRUPTION, STUCK,
};

/* A write of which nobody lived to tell how much of it happened. */
struct unknown {
	unsigned int channel;
	uint32_t producer;
	uint32_t first;
	uint32_t units;
	bool atomic;
};

struct journal {
	/* The run. */
	uint64_t seed;
	unsigned int seconds;
	unsigned int threads;
	unsigned int channels;
	int hang_ms;
	uint64_t operations;	/* per thread and round; 0: until the time is up */
	unsigned int round;
	bool trace;
	int files_before;
	/* Of all rounds. */
	uint64_t counts[DOING_MAX][ERRNO_MAX + 1];
	uint64_t written, read, unknown_total, taken_by_dead, refused;
	enum injection injection;
	int64_t countdown;
	bool failed;
	char failure[1024];
	/* Of this round. */
	bool stop;
	unsigned int members_used;
	unsigned int producers_used;
	unsigned int slots_used;
	unsigned int unknowns_used;
	/* Units that were ever issued. */
	uint32_t highest[CHANNELS][PRODUCERS];
	struct member members[MEMBERS];
	struct slot slots[POOL];
	struct unknown unknowns[UNKNOWN];
};

/* journal.c */
extern struct journal *journal;
extern unsigned char *arena;
extern int arena_file;
extern uint8_t *units;
void journal_create(void);
/* Clears what belongs to one round. */
void journal_new_round(void);
/* Remembers the first failure and stops the round. */
void journal_fail(const char *format, ...)
	__attribute__((format(printf, 1, 2)));
bool journal_stopped(void);
/* No room for something in this round: it ends, and the next one begins. */
void journal_end_round(void);
void journal_begin(struct member *member, unsigned int doing,
		   unsigned int channel);
void journal_end(struct member *member);
/* Counts a result, and fails the run on an errno that it may not have. */
void journal_count(unsigned int doing, unsigned int channel, long result);
void journal_print_members(void);
void journal_print_counts(void);
static inline int64_t journal_since(const struct member *member)
{
	return __atomic_load_n(&member->since, __ATOMIC_RELAXED);
}

/* random.c */
struct random random_of(uint64_t seed, uint64_t stream, uint64_t number);
uint64_t random_next(struct random *random);
/* 0 to @limit - 1 */
uint32_t random_below(struct random *random, uint32_t limit);
/* True once in @times. */
bool random_once_in(struct random *random, uint32_t times);

/* oracle.c */
size_t oracle_build(unsigned char *data, const struct slot *slot);
void oracle_issue(const struct slot *slot);
/* The first @done units were written, the others for certain not. */
void oracle_settle_write(const struct slot *slot, uint32_t done);
/* As if it had never been issued. */
void oracle_withdraw(const struct slot *slot, uint32_t done);
void oracle_unknown(const struct slot *slot);
bool channel_is_stream(unsigned int channel);
/* What a read gave, in the order in which it was taken. */
void oracle_account(struct consumer *consumer, unsigned int channel,
		    unsigned char *data, size_t length, const char *who);
/* What lies in a buffer whose reader did not live to tell. */
void oracle_suspect(unsigned int channel, const unsigned char *data,
		    size_t length);
void oracle_compare(void);
/* Records of @channel, at least and at most, that this round wrote. */
void oracle_records(unsigned int channel, uint64_t *least, uint64_t *most);

/* slot.c */
struct slot *slot_take(struct member *member, enum slot_kind kind,
		       enum domain domain, unsigned int channel,
		       unsigned int event);
/* Where in memory a read goes, random as its length. */
void slot_aim_read(struct slot *slot, struct random *random, bool vector);
/* What is written and from where; false if there is no room in the oracle. */
bool slot_aim_write(struct member *member, struct slot *slot,
		    struct random *random, bool vector);
/* The same as one piece, for who brings it to the channel by other means. */
bool slot_fill_write(struct member *member, struct slot *slot,
		     struct random *random);
/* Gives the buffer another content, where the kernel has its own copy. */
void slot_scribble(struct slot *slot);
unsigned char *slot_data(const struct slot *slot);
/* The result of a read or write is known. */
long slot_finish(struct member *member, struct slot *slot, long result);
void slot_free(struct slot *slot);
/* Its result will never be known. @over: nothing happens any more. */
void slot_abandon(struct member *member, struct slot *slot, bool over);
/* Takes all slots of a process that is no more. */
void slot_bury(struct member *member);
void slot_suspect_dead(void);
/* The views of this process. */
void slot_unmap_all(void);
bool slot_room(const struct member *member);
/* Random slot of @member in progress, NULL if it has none like that. */
struct slot *slot_in_progress(struct member *member, struct random *random,
			      bool aio, enum domain domain);

/* member.c */
void member_init(struct member *member, uint64_t key, bool child);
void member_local_init(struct member *member, struct local *local);
void member_local_free(struct local *local);
void member_run(struct member *member, uint64_t operations);
void member_rest(struct member *member);
/* Another number to write under: what is under way keeps no order to it. */
void member_new_producer(struct member *member, enum domain domain);
int random_file(struct random *random, unsigned int *channel);

/* operations.c */
enum { /* rows that no member chooses: they count asynchronous results */
	IDLE,
	AIO_READ_EVENT, AIO_WRITE_EVENT, AIO_POLL_EVENT,
	URING_READ_EVENT, URING_WRITE_EVENT, URING_POLL_EVENT,
	REST_AIO, REST_URING, REST_CHILD, CHILD_END, FIRST_CHOSEN,
};

struct operation {
	const char *name;
	long (*run)(struct member *member, struct random *random);
	unsigned int weight;
	const short *errors;
};

extern const struct operation operations[];
unsigned int operations_count(void);
unsigned int operations_choose(struct random *random, bool child);

/* op_*.c */
#define OPERATION(name)							\
	long name(struct member *member __attribute__((unused)),	\
		  struct random *random __attribute__((unused)))
OPERATION(op_read);
OPERATION(op_readv);
OPERATION(op_preadv2);
OPERATION(op_write);
OPERATION(op_writev);
OPERATION(op_pwritev2);
OPERATION(op_bad_pointer);
OPERATION(op_aio_read);
OPERATION(op_aio_write);
OPERATION(op_aio_poll);
OPERATION(op_aio_invalid);
OPERATION(op_aio_reap);
OPERATION(op_aio_cancel);
OPERATION(op_aio_cancel_other);
OPERATION(op_aio_destroy);
OPERATION(op_uring_read);
OPERATION(op_uring_write);
OPERATION(op_uring_poll);
OPERATION(op_uring_reap);
OPERATION(op_uring_cancel);
OPERATION(op_uring_exit);
OPERATION(op_splice_read);
OPERATION(op_splice_write);
OPERATION(op_sendfile);
OPERATION(op_sendfile_from);
OPERATION(op_poll);
OPERATION(op_epoll_control);
OPERATION(op_epoll_wait);
OPERATION(op_set_async);
OPERATION(op_set_nonblock);
OPERATION(op_set_owner);
OPERATION(op_set_owner_ex);
OPERATION(op_set_signal);
OPERATION(op_set_framed);
OPERATION(op_ioctl);
OPERATION(op_ioctl_invalid);
OPERATION(op_impossible);
OPERATION(op_fdinfo);
OPERATION(op_open);
OPERATION(op_close);
OPERATION(op_dup);
OPERATION(op_unmap);
OPERATION(op_protect);
OPERATION(op_dontneed);
OPERATION(op_remap);
OPERATION(op_fork);
OPERATION(op_tend);

void aio_start(struct member *member);
void uring_start(struct member *member);
void aio_rest(struct member *member);
void uring_rest(struct member *member);
void process_rest(struct member *member);
/* Opens shared file @index anew. */
long file_open(unsigned int index, int flags);

/* run.c */
/*
 * Runs for @seconds, as the environment says otherwise. Returns true if nothing
 * was found; journal->failure says what was. @hang_ms is how long one operation
 * may take, @injection what the run does to itself.
 */
bool torture_run(unsigned int seconds, int hang_ms, enum injection injection);

#endif /* ACHAN_TESTS_TORTURE_H */
