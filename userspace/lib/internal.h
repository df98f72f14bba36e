/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the library's files share; not installed. */
#ifndef ACHAN_INTERNAL_H
#define ACHAN_INTERNAL_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <libaio.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "achan.h"

#define ACHAN_NS_PER_SECOND	INT64_C(1000000000)

/*
 * Yields what @call returns, or -errno if that is -1, and leaves errno as it
 * was: the library reports errors by value only.
 */
#define ACHAN_RESULT(call) __extension__({				\
	int saved_errno = errno;					\
	__typeof__(call) call_result = (call);				\
	if (call_result == -1) {					\
		call_result = -errno;					\
		errno = saved_errno;					\
	}								\
	call_result; })

/* calloc() that leaves errno as it was. */
void *achan_allocate(size_t count, size_t size);

/* close() that leaves errno as it was. */
void achan_close_fd(int fd);

static inline pid_t achan_gettid(void)
{
	return (pid_t)syscall(SYS_gettid);
}

/* ------------------------------------------------------------- options */

/*
 * Copies the options at @from, which start with their size_t size, to @to of
 * @size bytes: what the caller's structure lacks becomes zero. The first
 * version of every options structure is its smallest, @oldest bytes. Returns
 * 0, -EINVAL if it is smaller, -E2BIG if it says more than @to can hold.
 */
int achan_options_read(void *to, size_t size, size_t oldest, const void *from);

/* ------------------------------------------------------------ deadline */

#define ACHAN_DEADLINE_NEVER	INT64_MAX

/*
 * The CLOCK_MONOTONIC time in ns that is @timeout_ns from now: 0 for a
 * time-out of 0, ACHAN_DEADLINE_NEVER for one below 0.
 */
int64_t achan_deadline(int64_t timeout_ns);

/*
 * Waits for POLL bits @events on @fd. Returns those there, 0 once @deadline has
 * passed, or a negative errno value, -EINTR among them.
 */
int achan_wait_fd(int fd, int events, int64_t deadline);

/* True if @events holds only bits that this version knows. */
bool achan_events_valid(int events);

/* --------------------------------------------------------------- event */

/*
 * Lets threads wait with ACHAN_EVENT_AWAIT() for a condition that other
 * threads, or a signal handler, make true. Who changes the condition calls
 * achan_event_signal() afterwards, which is async-signal-safe. All accesses,
 * those to the condition too, are sequentially consistent: either the waiter
 * sees the change or the other one sees a waiter.
 */
struct achan_event {
	_Atomic uint32_t sequence;
	_Atomic uint32_t waiters;
};

void achan_event_signal(struct achan_event *event);
uint32_t achan_event_prepare(struct achan_event *event);
void achan_event_cancel(struct achan_event *event);
void achan_event_wait(struct achan_event *event, uint32_t key);

#define ACHAN_EVENT_AWAIT(event, condition)				\
	do {								\
		for (;;) {						\
			uint32_t key = achan_event_prepare(event);	\
									\
			if (condition)					\
				break;					\
			achan_event_wait(event, key);			\
		}							\
		achan_event_cancel(event);				\
	} while (0)

/* ------------------------------------------------------------- process */

/*
 * What belongs to a process and must not pass to its children. It lies in
 * memory that the kernel clears in a forked child, however it was forked; all
 * zero is the state before first use, that of the lock too.
 */
struct achan_process {
	/* Tells the processes of a family apart; 0: not yet given. */
	_Atomic uint32_t stamp;
	/* Guards thread_notifiers and the installing of signal handlers. */
	pthread_mutex_t lock;
	/* Notifiers of FD and SIGNAL mode. */
	struct achan_notifier *thread_notifiers;
	/* The one of SIGNAL mode. */
	_Atomic(struct achan_notifier *) signal_notifier;
	/* Signal handlers using signal_notifier or a former action. */
	_Atomic unsigned int handlers;
	struct achan_event handlers_event;
};

/* Stores the process's state in @process. Returns 0 or -ENOMEM. */
int achan_process_get(struct achan_process **process);

/* The process's state, or NULL if it has none. Async-signal-safe. */
struct achan_process *achan_process_peek(void);

/*
 * 0 if the handle with @stamp was created in this process, -ECHILD if in an
 * ancestor. Async-signal-safe.
 */
int achan_process_check(uint32_t stamp);

/* ------------------------------------------------------------- channel */

struct achan {
	uint32_t stamp;
	int fd;
	/* The file knows no RWF_NOWAIT but has O_NONBLOCK. */
	_Atomic bool plain_nowait;
	/* A signal ends waits. */
	_Atomic bool interruptible;
	/* Set under that notifier's lock. */
	_Atomic(struct achan_notifier *) notifier;
};

/* Enough for what achan_find_node() stores. */
#define ACHAN_NODE_PATH_MAX	320

/*
 * Stores the path of the node of the channel called @name, or of node "achanN".
 * Returns 0, -ENOENT or -ENAMETOOLONG.
 */
int achan_find_node(const char *name, char *path, size_t size);

static inline int achan_check(const struct achan *channel)
{
	return channel ? achan_process_check(channel->stamp) : -EINVAL;
}

/* ------------------------------------------------------------ notifier */

#define ACHAN_NOTIFIER_BUCKETS	64

/*
 * A channel in a notifier. Linked entries are found without a lock, by a
 * signal handler too; an entry is freed only when it is unlinked, nobody looks
 * through the lists and no callback of it runs.
 */
struct achan_entry {
	_Atomic(struct achan_entry *) next;
	struct achan *channel;
	int fd;
	achan_notify_fn fn;
	void *data;
	/* Names the entry in its marker; never 0. */
	uint32_t generation;
	/*
	 * Owner only: the marker has come out of the signal queue. A signal
	 * for the descriptor that comes before was sent to an earlier user of
	 * its number.
	 */
	bool live;
	/* Owner only: last overflow in which it was polled. */
	uint32_t round;
	/* Callbacks running. */
	_Atomic unsigned int running;
	/* In achan_notifier.dead. */
	struct achan_entry *next_dead;
};

struct achan_notifier {
	uint32_t stamp;
	uint32_t mode;
	int signal_number;
	/* The real-time signal and SIGIO. */
	sigset_t signals;
	/* Those of them to unblock, or block, in the owner's mask at the end */
	sigset_t restore;
	pid_t process_id;
	/* Thread that gets the signals and calls back. */
	pid_t owner;
	/* signalfd of FD mode, else -1. */
	int fd;
	/* THREAD mode. */
	pthread_t thread;
	struct achan_event started;
	_Atomic bool ready;
	_Atomic bool stop;
	/* In achan_process.thread_notifiers. */
	struct achan_notifier *next;

	/* Serialises changes to the buckets and the channels' notifier. */
	pthread_mutex_t lock;
	_Atomic(struct achan_entry *) buckets[ACHAN_NOTIFIER_BUCKETS];
	/* Of the newest entry. Lock held. */
	uint32_t generation;
	/* Being freed: nothing is added any more. Lock held. */
	bool closing;
	/* Number of the newest overflow. Written by the owner only. */
	_Atomic uint32_t round;
	/* Walks through the buckets going on. */
	_Atomic unsigned int looking;
	/* Signalled when looking or an entry's running goes down. */
	struct achan_event idle;

	/* Owner only: dispatches going on, one inside the other. */
	unsigned int depth;
	/* Owner only: unlinked from within their callback. */
	struct achan_entry *dead;
	/* Owner only: freed from within a callback. */
	bool orphan;
};

static inline bool achan_notifier_on_owner(const struct achan_notifier *notifier)
{
	return achan_gettid() == notifier->owner;
}

/* Links an entry and gives it its generation. Lock held. */
void achan_entry_link(struct achan_notifier *notifier,
		      struct achan_entry *entry);

/* Lock held. Walks going on through the entry still find their way. */
void achan_entry_unlink(struct achan_notifier *notifier,
			struct achan_entry *entry);

/* Lock held. Return NULL if there is none. */
struct achan_entry *achan_entry_find_fd(struct achan_notifier *notifier,
					int fd);
struct achan_entry *achan_entry_find_any(struct achan_notifier *notifier);

/*
 * The same without the lock, for the owner; the entry stays until it is
 * released. achan_entry_hold_unvisited() finds one whose round is not @round.
 */
struct achan_entry *achan_entry_hold_fd(struct achan_notifier *notifier,
					int fd);
struct achan_entry *
achan_entry_hold_generation(struct achan_notifier *notifier,
			    uint32_t generation);
struct achan_entry *achan_entry_hold_unvisited(struct achan_notifier *notifier,
					       uint32_t round);
void achan_entry_release(struct achan_notifier *notifier,
			 struct achan_entry *entry);

/* Marks all linked entries live. Owner only. */
void achan_entry_all_live(struct achan_notifier *notifier);

/*
 * Frees an unlinked entry when nobody uses it any more: waits for that, except
 * on the owner, where it can only be a callback that the caller was called
 * from. There the entry waits for achan_entry_free_dead().
 */
void achan_entry_retire(struct achan_notifier *notifier,
			struct achan_entry *entry);
void achan_entry_free_dead(struct achan_notifier *notifier);

/* Whose a signal is. */
enum achan_signal_owner {
	/* the notifier's alone */
	ACHAN_SIGNAL_OURS,
	/* cannot be told: a handler of the application's must see it as well */
	ACHAN_SIGNAL_SHARED,
	/* not the notifier's: must have the effect it would have without us */
	ACHAN_SIGNAL_FOREIGN
};

/*
 * Acts on a signal that thread owner of the notifier has got, and adds the
 * callbacks run to @calls. Takes no lock: called from a signal handler in
 * SIGNAL mode. A NULL notifier only says whose the signal is.
 */
enum achan_signal_owner achan_notifier_signal(struct achan_notifier *notifier,
					      const siginfo_t *info,
					      unsigned int *calls);

/*
 * Puts the marker of @generation, 0 to just wake it, into the owner's signal
 * queue, or SIGIO if that is full. Returns 0, or -ESRCH if the thread has
 * ended.
 */
int achan_notifier_send_marker(const struct achan_notifier *notifier,
			       uint32_t generation);

/*
 * Waiting for a signal also takes those sent to the process as a whole. One
 * that is not the notifier's goes on to the main thread, to have its effect
 * there; one that may be the notifier's only if there is a handler, as the
 * default effect is death.
 */
void achan_notifier_pass_on(const struct achan_notifier *notifier,
			    siginfo_t *info, enum achan_signal_owner owner);

/*
 * Installs the library's handler for @number, or finds it installed. Call with
 * the process's lock held. Returns 0; -EBUSY if another handler has taken the
 * place of ours and may still call it.
 */
int achan_handler_install(struct achan_process *process, int number);

/* Waits until no handler uses what it found before the call. */
void achan_handlers_wait(struct achan_process *process);

/* Puts the former handler back if ours is the one installed. Lock held. */
void achan_handler_remove(int number);

/* ------------------------------------------------------------- netlink */

/* A generic-netlink request, large enough for all that the library asks. */
struct achan_netlink_request {
	struct nlmsghdr header;
	unsigned char payload[64];
};

/* A message received, without its header. */
struct achan_netlink_message {
	uint16_t type;
	uint16_t flags;
	uint32_t sequence;
	const unsigned char *payload;
	size_t length;
};

/* One attribute, or a row of them. */
struct achan_netlink_attribute {
	uint16_t type;
	const unsigned char *payload;
	size_t length;
};

void achan_netlink_begin(struct achan_netlink_request *request, uint16_t type,
			 uint16_t flags, uint8_t command, uint8_t version);
void achan_netlink_put_string(struct achan_netlink_request *request,
			      uint16_t type, const char *text);

/*
 * Take the next message of @size bytes, or the next attribute of @rest. Return
 * 1, 0 at the end, or -EBADMSG; they never look outside.
 */
int achan_netlink_next(const void *buf, size_t size, size_t *offset,
		       struct achan_netlink_message *message);
int achan_netlink_attribute(struct achan_netlink_attribute *rest,
			    struct achan_netlink_attribute *attribute);

/* The attributes of a generic-netlink message. Returns 0 or -EBADMSG. */
int achan_netlink_attributes(const struct achan_netlink_message *message,
			     uint8_t *command,
			     struct achan_netlink_attribute *attributes);

/* The error in a NLMSG_ERROR or NLMSG_DONE. Returns 0 or -EBADMSG. */
int achan_netlink_error(const struct achan_netlink_message *message,
			int *error);

/* The value of an attribute. Those that can fail return 0 or -EBADMSG. */
int achan_netlink_number(const struct achan_netlink_attribute *attribute,
			 void *value, size_t size);
int achan_netlink_string(const struct achan_netlink_attribute *attribute,
			 char *text, size_t size);
void achan_netlink_struct(const struct achan_netlink_attribute *attribute,
			  void *value, size_t size);

/* ---------------------------------------------------------------- ring */

/* Start of the memory that io_setup() maps; io_context_t is its address. */
struct achan_aio_header {
	uint32_t id;
	uint32_t slots;
	uint32_t head;
	uint32_t tail;
	uint32_t magic;
	uint32_t compatible_features;
	uint32_t incompatible_features;
	uint32_t header_length;
};

#define ACHAN_AIO_MAGIC		0xa10a10a1U

/* A completion ring, read in user space. Its owner serialises the takers. */
struct achan_aio_ring {
	struct achan_aio_header *header;
	const struct io_event *events;
	/* Read from the header once: what it says later is not trusted. */
	uint32_t slots;
	/* Of the mapping up to the last event. */
	size_t bytes;
};

/* Returns false if the memory is no ring of a kind known here. */
bool achan_aio_ring_attach(struct achan_aio_ring *ring, void *memory);

/*
 * Takes up to @max events. Returns how many, or -EBADMSG, with nothing taken,
 * if the header makes no sense.
 */
int achan_aio_ring_take(struct achan_aio_ring *ring, struct io_event *events,
			unsigned int max);

bool achan_aio_ring_empty(const struct achan_aio_ring *ring);

/* --------------------------------------------------------------- queue */

enum achan_req_state {
	ACHAN_REQ_FREE,
	ACHAN_REQ_OWNED,	/* got, nothing prepared: the caller's */
	ACHAN_REQ_PREPARED,
	ACHAN_REQ_IN_FLIGHT,
	ACHAN_REQ_COMPLETED,	/* the caller's again */
};

struct achan_req {
	struct iocb iocb;
	struct achan_queue *queue;
	achan_done_fn fn;
	void *data;
	_Atomic uint32_t state;
	/* In achan_queue.free_first. */
	struct achan_req *next_free;
	/* What follows is guarded by achan_queue.reap_lock. */
	/* Its completion is out of the kernel's ring, with this result. */
	bool arrived;
	int64_t res;
	/* achan_queue_cancel_wait() waits for it: nobody else takes it. */
	bool claimed;
	/* In achan_queue.ready_first: arrived and not claimed. */
	struct achan_req *next_ready;
};

struct achan_queue {
	uint32_t stamp;
	io_context_t context;
	int event_fd;
	unsigned int depth;
	struct achan_req *reqs;
	/* Guards the list of free requests, oldest first. */
	pthread_mutex_t free_lock;
	struct achan_req *free_first;
	struct achan_req **free_last;
	/* Guards the completion ring's head and the list of ready requests. */
	pthread_mutex_t reap_lock;
	/* Requests whose completion arrived and was not taken, oldest first. */
	struct achan_req *ready_first;
	struct achan_req **ready_last;
	struct achan_aio_ring ring;
	/* Else completions are taken by a system call. */
	bool ring_usable;
	_Atomic unsigned int in_flight;
	/* Calls of achan_queue_wake() that ended no wait yet. */
	_Atomic unsigned int wakes;
	/* Data moved by requests without a callback, dispatched; see free. */
	_Atomic unsigned int undelivered;
	_Atomic bool closing;
};

#endif /* ACHAN_INTERNAL_H */
