/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * achan: what the driver's own files share.
 *
 *	  struct achan_unit (what is created and removed as one)
 *		|
 *	  struct achan (a channel; two for a pair)
 *		|
 *	  struct achan_file --> rx --> struct achan_lane
 *			    \-> tx --> struct achan_lane
 *
 * A channel reads from its rx lane and writes into its tx lane. For a loop
 * channel both are the same; for a pair each one's tx is the other's rx. A
 * provider pushes into rx and pulls from tx; where it does not pull, nothing can
 * be written, and tx is rx. A lane is a ring and the requests parked at its two
 * ends. In a broadcast each file open for reading has a lane of its own, which is
 * filled from the channel's.
 *
 * Lock order: achan_registry_lock, unit->ends, event_lock, broadcast->lock;
 * then, apart from these, ioctx ctx_lock (fs/aio.c), then ring.lock, then the raw
 * locks inside of queue_work(), irq_work_queue() and hrtimer_start(). Nothing else
 * is called with ring.lock held that takes a lock: not kiocb_set_cancel_fn(),
 * ki_complete(), kill_fasync(), or a wake-up of a channel's wait queue. User memory
 * is copied with ring.lock held only in pieces of ACHAN_SHORT_BYTES at the most,
 * with page faults off, which takes no lock either. A provider's locks come before
 * ring.lock, and are never held by us.
 */
#ifndef _ACHAN_INTERNAL_H
#define _ACHAN_INTERNAL_H

#include <linux/bvec.h>
#include <linux/cdev.h>
#include <linux/cred.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/irq_work.h>
#include <linux/kdev_t.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/pid.h>
#include <linux/poll.h>
#include <linux/preempt.h>
#include <linux/refcount.h>
#include <linux/uio.h>
#include <linux/user_namespace.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <linux/achan.h>

#include "ring.h"

/**
 * struct achan_pages - the memory of a ring
 * @data:  where it is mapped, twice in a row
 * @pages: the pages, each once
 * @nr:	   how many
 */
struct achan_pages {
	void *data;
	struct page **pages;
	unsigned int nr;
};

/**
 * struct achan_port - those who wait at a channel, or at a file of a broadcast
 * @wait:	  sleepers and pollers of both directions. One queue, since
 *		  IOCB_CMD_POLL takes no file with two.
 * @fasync_read:  files open for reading with O_ASYNC
 * @fasync_write: files open for writing with O_ASYNC
 * @wakeups:	  see struct achan_stats. Atomic, since wake-ups happen without
 *		  the lock; counted only when there is somebody to wake.
 * @signals:	  ...
 */
struct achan_port {
	wait_queue_head_t wait;
	struct fasync_struct *fasync_read;
	struct fasync_struct *fasync_write;
	atomic64_t wakeups;
	atomic64_t signals;
};

/**
 * struct achan_parked - requests that parked at one end of a lane
 * @requests:  struct achan_request in the order of arrival
 * @nr:	       how many
 * @ever:      how many there have ever been
 * @completed: those of them that have ended
 * @cancelled: those that were cancelled
 */
struct achan_parked {
	struct list_head requests;
	unsigned int nr;
	u64 ever;
	u64 completed;
	u64 cancelled;
};

/**
 * struct achan_policy - the part of struct achan_config that a lane follows
 * @overflow:	   ACHAN_OVERFLOW_*
 * @no_timestamps: records have the time 0
 * @read_low:	   see struct achan_config; so the next three
 * @write_low:	   ...
 * @records:	   ...
 * @usecs:	   ...
 */
struct achan_policy {
	u32 overflow;
	bool no_timestamps;
	u32 read_low;
	u32 write_low;
	u32 records;
	u32 usecs;
};

/**
 * struct achan_lane - one direction of a channel
 * @ring:	   the records; its lock guards all that follows up to @no_reader
 * @pages:	   their memory
 * @policy:	   how it behaves
 * @reads:	   parked reads
 * @writes:	   parked writes
 * @finished:	   requests that @work completes with the result they hold
 * @spares:	   requests that are none, for those to come
 * @nr_spares:	   how many
 * @parked_bytes:  data that the parked writes hold
 * @parked_iocbs:  those of @writes that are AIO's: nothing passes these
 * @passed:	   bytes of ring that later writes have put in since the last parked
 *		   write was moved
 * @moving:	   somebody is moving parked writes into the ring
 * @room_wanted:   somebody saw the ring full: bytes of ring whose being free
 *		   calls for a wake-up, 0 if nobody did
 * @pinned_reads:  see struct achan_info
 * @told:	   moderation: ring.records_in when readers were last told
 * @pending_since: moderation: when the first record came that they were not
 *		   told of
 * @pending:	   moderation: @timer is on its way
 * @overflowing:   records are being lost, and that was said
 * @capacity:	   not 0: the payload that it takes at the most, as a pipe does
 * @merges:	   a short write is added to the newest record, as a pipe does
 * @dead:	   the channel is being removed: no record comes any more
 * @no_writer:	   the end that writes has closed: what is left, then the end
 * @no_reader:	   the end that reads has closed: nothing more goes in
 * @timer:	   moderation
 * @deferred:	   ACHAN_DUE_* that came up where it could not be done
 * @missed:	   records lost in an NMI that had come upon @ring's lock; they
 *		   get their numbers with the next record
 * @claim_wait:	   readers waiting for another consumer to release its claim;
 *		   the last close and the removal waiting for a delivery
 * @irq_work:	   does what is @deferred
 * @work:	   completes @finished and what only a thread can fill
 * @reader:	   the channel whose files read this lane
 * @writer:	   the channel whose files write into it
 * @port:	   where those wait who read it
 * @readers:	   files that read it; under unit->ends, so the next one
 * @writers:	   files that write to it
 * @reads_opened:  how often the end that reads was opened, as a named pipe counts it
 * @writes_opened: how often the end that writes was; never 0
 * @broadcast:	   not NULL: it is delivered to many
 * @puller:	   not NULL: a provider takes the records
 * @pusher:	   not NULL: a provider puts them in
 */
struct achan_lane {
	struct achan_ring ring;
	struct achan_pages pages;
	struct achan_policy policy;
	struct achan_parked reads;
	struct achan_parked writes;
	struct list_head finished;
	struct achan_request *spares;
	unsigned int nr_spares;
	size_t parked_bytes;
	unsigned int parked_iocbs;
	u32 passed;
	bool moving;
	u32 room_wanted;
	u64 pinned_reads;
	u64 told;
	ktime_t pending_since;
	bool pending;
	bool overflowing;
	bool merges;
	u32 capacity;
	bool dead;
	bool no_writer;
	bool no_reader;
	struct hrtimer timer;
	atomic_t deferred;
	atomic_t missed;
	wait_queue_head_t claim_wait;
	struct irq_work irq_work;
	struct work_struct work;
	struct achan *reader;
	struct achan *writer;
	struct achan_port *port;
	unsigned int readers;
	unsigned int writers;
	u32 reads_opened;
	u32 writes_opened;
	struct achan_broadcast *broadcast;
	struct achan_callback *puller;
	struct achan_callback *pusher;
};

/**
 * struct achan - a channel
 * @dev:	its device; counts the references to it
 * @cdev:	its node
 * @unit:	what it is part of
 * @peer:	the other one of a pair, or NULL
 * @name:	for people
 * @by_name:	in the registry
 * @kind:	ACHAN_KIND_*
 * @mode:	ACHAN_MODE_*
 * @rx:		what reads take from
 * @tx:		what writes go to
 * @port:	where its sleepers, pollers and SIGIO's receivers are, but for
 *		those who read a broadcast
 * @files:	open files that read or write; under unit->ends
 * @event_work:	tells of an overflow
 * @provider:	not NULL: a module's, which made it
 */
struct achan {
	struct device dev;
	struct cdev cdev;
	struct achan_unit *unit;
	struct achan *peer;
	char name[ACHAN_NAME_MAX];
	struct hlist_node by_name;
	u32 kind;
	u32 mode;
	struct achan_lane *rx;
	struct achan_lane *tx;
	struct achan_port port;
	unsigned int files;
	struct work_struct event_work;
	struct achan_provider *provider;
};

/**
 * struct achan_callback - a call to a provider, made one at a time
 * @channel:  what it is about
 * @function: NULL where there is none, or none any more; under RCU
 * @state:    whether somebody is making it, see achan_callback_ask()
 * @work:     makes it where the asker must not, or has made enough of them
 */
struct achan_callback {
	struct achan *channel;
	void (*function)(struct achan *channel);
	atomic_t state;
	struct work_struct work;
};

/**
 * struct achan_provider - what a channel has that a module made
 * @operations: what it is called for; under unit->ends
 * @private:	its own
 * @parent:	the device that the channel belongs to, or NULL
 * @written:	there is something to pull
 * @room:	there is room again where a record was refused
 */
struct achan_provider {
	const struct achan_operations *operations;
	void *private;
	struct device *parent;
	struct achan_callback written;
	struct achan_callback room;
};

/**
 * struct achan_unit - what is created and removed as one
 * @config:	as it was created; owner and group are those of init_user_ns
 * @uid:	owner of the nodes
 * @gid:	group of the nodes
 * @refs:	one for each of @channels
 * @ends:	opening and closing of files, and what follows from it
 * @open_wait:	opens of a named pipe's end that wait for the other end
 * @removed:	its removal has begun; under @ends
 * @free_work:	frees it: the last reference may go in atomic context
 * @nr:		channels
 * @channels:	...
 */
struct achan_unit {
	struct achan_config config;
	kuid_t uid;
	kgid_t gid;
	refcount_t refs;
	struct mutex ends; /* see above */
	wait_queue_head_t open_wait;
	bool removed;
	struct work_struct free_work;
	unsigned int nr;
	struct achan channels[];
};

/**
 * struct achan_file - an open file
 * @channel:	the channel, whose reference it holds through the cdev
 * @rx:		what it reads from
 * @tx:		what it writes to
 * @port:	where it waits
 * @flags:	ACHAN_OPEN_*
 * @writes_seen: @rx->writes_opened when it was opened without a writer: until one
 *		has come, poll() does not say that it has gone; 0 in all other cases
 * @write_need: bytes of ring that its last write lacked, 0 if that one had
 *		room: poll() says writable when as much is free
 */
struct achan_file {
	struct achan *channel;
	struct achan_lane *rx;
	struct achan_lane *tx;
	struct achan_port *port;
	u32 flags;
	u32 writes_seen;
	u32 write_need;
};

/* The number of a channel's node, or of no channel. */
static inline u32 achan_minor(const struct achan *channel)
{
	return channel ? MINOR(channel->dev.devt) : ACHAN_MINOR_NONE;
}

/* A loop whose two ends behave as those of a named pipe. */
static inline bool achan_is_fifo(const struct achan *channel)
{
	return channel->unit->config.hangup == ACHAN_HANGUP_FIFO;
}

/* Pages of a parked read's buffer up to which it is pinned. */
#define ACHAN_PIN_PAGES		8

/**
 * struct achan_buffer - the user memory that a parked read will fill
 * @iter:   the whole of it
 * @mm:	    whose it is. Good until the request's ki_complete(): fs/aio.c keeps
 *	    an address space until all of its requests are complete.
 * @owner:  the process that submitted the read, where a worker fills the buffer
 * @iov:    the segments, where @iter has some; ours
 * @truncated: what lies behind the end of @iter cannot be filled
 * @nr:	    pinned pages; 0: a worker fills the buffer from within @mm
 * @pages:  what is pinned, in the order of @iter; whoever has the buffer has them
 */
struct achan_buffer {
	struct iov_iter iter;
	struct mm_struct *mm;
	struct pid *owner;
	const void *iov;
	bool truncated;
	unsigned int nr;
	struct bio_vec *pages;
};

/**
 * struct achan_mm - the address space that a worker works in at the moment
 * @mm:   it, or NULL; holds a reference to its users
 * @keys: the worker's own rights to protection keys
 */
struct achan_mm {
	struct mm_struct *mm;
	u32 keys;
};

/*
 * Times that a buffer is made present for one transfer. One that is swapped out
 * again each time, or whose copies fail for another reason, is not worth more.
 */
#define ACHAN_FAULTS_MAX	64

/*
 * Bytes up to which a transfer is copied with the ring's lock held, faults off: to let
 * it go and take it again takes longer.
 */
#define ACHAN_SHORT_BYTES	256

/**
 * enum achan_wait - what a read may do until there is something for it
 * @ACHAN_WAIT_NOT:    nothing: it gets what there is now
 * @ACHAN_WAIT_PARKED: it parks
 * @ACHAN_WAIT_ASLEEP: it sleeps, and a signal ends that
 */
enum achan_wait {
	ACHAN_WAIT_NOT,
	ACHAN_WAIT_PARKED,
	ACHAN_WAIT_ASLEEP,
};

/* What a change to a lane calls for; derived under the lock, done without. */
#define ACHAN_DUE_RUN	BIT(0)	/* parked requests can move */
#define ACHAN_DUE_READ	BIT(1)	/* tell readers: there are records for them */
#define ACHAN_DUE_WRITE	BIT(2)	/* tell writers: there is room again */
#define ACHAN_DUE_TIMER	BIT(3)	/* tell readers later */
#define ACHAN_DUE_LOSS	BIT(4)	/* records are being lost */
#define ACHAN_DUE_APART	BIT(5)	/* a provider acts: call none from within */

/* core.c */
extern struct workqueue_struct *achan_workqueue;
extern struct workqueue_struct *achan_fault_workqueue;
int achan_config_check(struct achan_config *config, struct user_namespace *ns);
struct achan_unit *
achan_unit_create(const struct achan_config *config, const char *const names[],
		  const struct achan_description *description);
int achan_channel_set(struct achan *channel, u32 mask,
		      const struct achan_config *config);
void achan_check_node(u32 minor);
void achan_unit_remove(struct achan_unit *unit);

/* Numbers that nodes can have: all minors. */
#define ACHAN_NUMBERS		(MINORMASK + 1)

/* registry.c */
extern struct mutex achan_registry_lock;
int achan_registry_alloc(void);
void achan_registry_free(u32 minor);
struct achan_unit *
achan_registry_create(const struct achan_config *config,
		      const char *const names[], u32 minors[],
		      const struct achan_description *description);
int achan_registry_remove(const char *name, u32 minor);
void achan_registry_take(struct achan_unit *unit);
void achan_registry_clear(void);
struct achan *achan_registry_get(const char *name, u32 minor);
struct achan *achan_registry_next(u32 minor);
unsigned int achan_registry_generation(void);

/* control.c */
int achan_control_init(void);
void achan_control_exit(void);

/* chardev.c */
extern const struct file_operations achan_fops;

/* splice.c */
ssize_t achan_splice_read(struct file *in, loff_t *ppos,
			  struct pipe_inode_info *pipe, size_t len,
			  unsigned int flags);
ssize_t achan_splice_write(struct pipe_inode_info *pipe, struct file *out,
			   loff_t *ppos, size_t len, unsigned int flags);

/* access.c */
bool achan_may_know(const struct achan *channel, const struct cred *cred);
umode_t achan_attribute_mode(const struct achan *channel);

/* sysfs.c */
extern const struct attribute_group *achan_groups[];
int achan_sysfs_own(struct achan *channel);
void achan_show_fdinfo(struct seq_file *m, struct file *filp);

/* stats.c */
void achan_get_config_for(const struct achan *channel, struct user_namespace *ns,
			  struct achan_config *config);
void achan_get_config(const struct achan *channel, struct achan_config *config);
void achan_get_stats(const struct achan *channel, struct achan_stats *stats);
void achan_get_file_stats(const struct achan_file *file,
			  struct achan_stats *stats);
void achan_add_reader_stats(struct achan_lane *lane, struct achan_stats *stats);

/* ends.c */
void achan_ends_init(struct achan *channel);
int achan_ends_open(struct achan_file *file, fmode_t mode, bool nonblock);
void achan_ends_close(struct achan_file *file, fmode_t mode);

/* pages.c */
int achan_pages_alloc(struct achan_pages *pages, u32 size);
void achan_pages_free(struct achan_pages *pages);

/* lane.c */
struct achan_lane *achan_lane_alloc(u32 ring_bytes,
				    const struct achan_policy *policy);
void achan_lane_free(struct achan_lane *lane);
void achan_lane_kill(struct achan_lane *lane);
bool achan_lane_readable(struct achan_lane *lane);
bool achan_lane_filled(struct achan_lane *lane);
bool achan_lane_room(struct achan_lane *lane, u32 need);
bool achan_lane_open_room(struct achan_lane *lane, u32 need);
unsigned int achan_lane_want_room(struct achan_lane *lane, u32 need);
unsigned int achan_lane_due_all(struct achan_lane *lane, bool committed);
void achan_lane_do(struct achan_lane *lane, unsigned int due);
void achan_lane_touch(struct achan_lane *lane);
void achan_lane_count_missed(struct achan_lane *lane);
u64 achan_lane_sequence(struct achan_lane *lane);
struct achan_record *achan_lane_reserve(struct achan_lane *lane, u32 length);
void achan_lane_finish(struct achan_lane *lane, struct achan_record *record,
		       bool commit, unsigned int due);
int achan_lane_push(struct achan_lane *lane, const void *data, u32 length,
		    const u64 *timestamp, const u64 *sequence,
		    unsigned int due);
void achan_lane_released(struct achan_lane *lane);

/* broadcast.c */
int achan_broadcast_alloc(struct achan_lane *lane);
void achan_broadcast_free(struct achan_lane *lane);
struct achan_lane *achan_broadcast_lane(struct achan *channel);
void achan_broadcast_join(struct achan_lane *lane, bool writes);
void achan_broadcast_leave(struct achan_lane *lane);
void achan_broadcast_follow(struct achan_lane *home);
void achan_broadcast_each(struct achan_lane *home,
			  void (*function)(struct achan_lane *lane));
void achan_broadcast_stats(struct achan_lane *home, struct achan_stats *stats);
void achan_broadcast_add_lost(struct achan_lane *lane,
			      struct achan_stats *stats);
bool achan_broadcast_run(struct achan_lane *home, unsigned int *steps);
void achan_broadcast_flush(struct achan_lane *home);
void achan_broadcast_writers(struct achan *channel,
			     void (*function)(struct achan_port *port));
void achan_lane_get(struct achan_lane *lane);
void achan_lane_put(struct achan_lane *lane);

/* park.c */
extern unsigned int achan_parked_max;
extern unsigned int achan_parked_bytes;
ssize_t achan_park_read(struct achan_file *file, struct kiocb *iocb,
			struct iov_iter *to);
ssize_t achan_park_write(struct achan_file *file, struct kiocb *iocb,
			 struct iov_iter *from, size_t written);
ssize_t achan_park_sleep(struct achan_file *file, struct iov_iter *from,
			 size_t length);
bool achan_park_can_move(struct achan_lane *lane);
unsigned int achan_park_run(struct achan_lane *lane, bool committed);
void achan_park_work(struct work_struct *work);
void achan_park_free(struct achan_lane *lane);
void achan_park_end(struct achan_lane *lane, struct achan_parked *parked,
		    int error);

/* buffer.c */
unsigned int achan_buffer_pages(const struct iov_iter *to);
int achan_buffer_init(struct achan_buffer *buffer, struct iov_iter *to,
		      struct bio_vec *pages, unsigned int nr);
void achan_buffer_free(struct achan_buffer *buffer);
bool achan_buffer_has_owner(const struct achan_buffer *buffer);
bool achan_buffer_unpin(struct achan_buffer *buffer, bool may_sleep);
bool achan_mm_use(struct achan_mm *user, struct mm_struct *mm);
void achan_mm_drop(struct achan_mm *user);

/* transfer.c */
bool achan_put_short(struct achan_lane *lane, struct iov_iter *from);
ssize_t achan_put(struct achan_lane *lane, struct iov_iter *from, size_t total,
		  u32 *length, u32 *need);
ssize_t achan_read(struct achan_lane *lane, struct iov_iter *to, bool framed,
		   enum achan_wait wait, size_t *want);
ssize_t achan_take(struct achan_lane *lane, struct achan_cursor *cursor,
		   struct iov_iter *to, bool framed, size_t *want);
size_t achan_take_max(const struct achan_lane *lane,
		      struct achan_cursor *cursor, const struct iov_iter *to,
		      bool framed);
u32 achan_chunk(const struct achan_lane *lane, size_t total, size_t left,
		u32 *need);

/* notify.c */
void achan_port_init(struct achan_port *port);
int achan_wait_readable(struct achan_file *file);
int achan_wait_room(struct achan_file *file, u32 need);
void achan_pass_on(struct achan_lane *lane);
void achan_notify_read(struct achan_port *port);
void achan_notify_write(struct achan_port *port);
void achan_notify_loss(struct achan_port *port);
void achan_notify_hangup(struct achan_port *port);
int achan_fasync(int fd, struct file *filp, int on);
unsigned int achan_moderate(struct achan_lane *lane);
void achan_moderate_init(struct achan_lane *lane);
void achan_moderate_start(struct achan_lane *lane);

/* events.c */
int achan_events_init(void);
void achan_events_exit(void);
void achan_event(struct achan *channel, u32 event);
void achan_event_init(struct achan *channel);
void achan_event_overflow(struct achan *channel);

/* provider.c */
int achan_provider_alloc(struct achan *channel,
			 const struct achan_description *description);
void achan_provider_free(struct achan *channel);
int achan_provider_opened(struct achan *channel);
void achan_provider_closed(struct achan *channel);
void achan_provider_detach(struct achan *channel);
void achan_callback_ask(struct achan_callback *callback, bool apart);

/* loop.c */
int achan_loop_init(void);

#endif /* _ACHAN_INTERNAL_H */
