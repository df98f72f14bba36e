/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * achan: what the driver's own files share.
 *
 *		       struct achan (the channel)
 *	  struct file --> struct achan_file --> rx --> struct achan_lane
 *					    \-> tx --> struct achan_lane
 *
 * A channel reads from its rx lane and writes into its tx lane; for a loop
 * channel both are the same. A lane is a ring and the requests parked at its
 * two ends.
 *
 * Lock order: ioctx ctx_lock (fs/aio.c), then ring.lock, then the raw locks
 * inside of queue_work(). Nothing else is called with ring.lock held that takes
 * a lock: not kiocb_set_cancel_fn(), ki_complete(), kill_fasync(), a wake-up of
 * a channel's wait queue, or a copy from or to user memory.
 */
#ifndef _ACHAN_INTERNAL_H
#define _ACHAN_INTERNAL_H

#include <linux/bvec.h>
#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/poll.h>
#include <linux/uio.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "ring.h"

struct achan;

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
 * struct achan_lane - one direction of a channel
 * @ring:	   the records; its lock guards all that follows up to @dead
 * @pages:	   their memory
 * @parked_reads:  struct achan_request in the order of arrival
 * @parked_writes: the same for writes
 * @finished:	   requests that @work completes with the result they hold
 * @nr_reads:	   parked reads
 * @nr_writes:	   parked writes
 * @parked_bytes:  data that the parked writes hold
 * @moving:	   somebody is moving parked writes into the ring
 * @room_wanted:   somebody saw the ring full: bytes of ring whose being free
 *		   calls for a wake-up, 0 if nobody did
 * @pinned_reads:  see struct achan_info; so the next three
 * @worker_reads:  ...
 * @copied_writes: ...
 * @cancelled:	   ...
 * @dead:	   the channel is being removed: no record comes any more
 * @claim_wait:	   readers waiting for another consumer to release its claim
 * @work:	   completes @finished and what only a thread can fill
 * @reader:	   the channel whose files read this lane
 * @writer:	   the channel whose files write into it
 */
struct achan_lane {
	struct achan_ring ring;
	struct achan_pages pages;
	struct list_head parked_reads;
	struct list_head parked_writes;
	struct list_head finished;
	unsigned int nr_reads;
	unsigned int nr_writes;
	size_t parked_bytes;
	bool moving;
	u32 room_wanted;
	u64 pinned_reads;
	u64 worker_reads;
	u64 copied_writes;
	u64 cancelled;
	bool dead;
	wait_queue_head_t claim_wait;
	struct work_struct work;
	struct achan *reader;
	struct achan *writer;
};

/**
 * struct achan - a channel
 * @dev:	  its device; counts the references to it
 * @cdev:	  its node
 * @name:	  for people
 * @kind:	  ACHAN_KIND_*
 * @mode:	  ACHAN_MODE_*
 * @rx:		  what reads take from
 * @tx:		  what writes go to
 * @wait:	  sleepers and pollers of both directions. One queue, since
 *		  IOCB_CMD_POLL takes no file with two.
 * @fasync_read:  files open for reading with O_ASYNC
 * @fasync_write: files open for writing with O_ASYNC
 * @free_work:	  frees it: the last reference may go in atomic context
 * @node:	  in the list of channels
 */
struct achan {
	struct device dev;
	struct cdev cdev;
	char name[ACHAN_NAME_MAX];
	u32 kind;
	u32 mode;
	struct achan_lane *rx;
	struct achan_lane *tx;
	wait_queue_head_t wait;
	struct fasync_struct *fasync_read;
	struct fasync_struct *fasync_write;
	struct work_struct free_work;
	struct list_head node;
};

/**
 * struct achan_file - an open file
 * @channel:	the channel, whose reference it holds through the cdev
 * @rx:		what it reads from
 * @tx:		what it writes to
 * @flags:	ACHAN_OPEN_*
 * @write_need: bytes of ring that its last write lacked, 0 if that one had
 *		room: poll() says writable when as much is free
 */
struct achan_file {
	struct achan *channel;
	struct achan_lane *rx;
	struct achan_lane *tx;
	u32 flags;
	u32 write_need;
};

/* Pages of a parked read's buffer up to which it is pinned. */
#define ACHAN_PIN_PAGES		8

/**
 * struct achan_buffer - the user memory that a parked read will fill
 * @iter:   the whole of it
 * @mm:	    whose it is. Good until the request's ki_complete(): fs/aio.c keeps
 *	    an address space until all of its requests are complete.
 * @iov:    the segments, where @iter has some; ours
 * @nr:	    pinned pages; 0: a worker fills the buffer from within @mm
 * @pages:  what is pinned, in the order of @iter
 */
struct achan_buffer {
	struct iov_iter iter;
	struct mm_struct *mm;
	const void *iov;
	unsigned int nr;
	struct bio_vec pages[ACHAN_PIN_PAGES];
};

/**
 * struct achan_mm - the address space that a worker works in at the moment
 * @mm: it, or NULL; holds a reference to its users
 */
struct achan_mm {
	struct mm_struct *mm;
};

/*
 * Times that a buffer is made present for one transfer. One that is swapped out
 * again each time, or whose copies fail for another reason, is not worth more.
 */
#define ACHAN_FAULTS_MAX	64

/* What a change to a lane calls for; derived under the lock, done without. */
#define ACHAN_DUE_RUN	BIT(0)	/* parked requests can move */
#define ACHAN_DUE_READ	BIT(1)	/* tell readers: there are records for them */
#define ACHAN_DUE_WRITE	BIT(2)	/* tell writers: there is room again */

/* core.c */
extern struct workqueue_struct *achan_workqueue;
extern struct workqueue_struct *achan_fault_workqueue;
struct achan *achan_create(u32 kind, u32 mode, u32 ring_bytes);
void achan_destroy(struct achan *channel);

/* chardev.c */
extern const struct file_operations achan_fops;

/* pages.c */
int achan_pages_alloc(struct achan_pages *pages, u32 size);
void achan_pages_free(struct achan_pages *pages);

/* lane.c */
struct achan_lane *achan_lane_alloc(u32 ring_bytes);
void achan_lane_free(struct achan_lane *lane);
void achan_lane_kill(struct achan_lane *lane);
bool achan_lane_readable(struct achan_lane *lane);
bool achan_lane_room(struct achan_lane *lane, u32 need);
void achan_lane_want_room(struct achan_lane *lane, u32 need);
unsigned int achan_lane_due(struct achan_lane *lane, bool committed);
void achan_lane_act(struct achan_lane *lane, unsigned int due);
int achan_lane_claim(struct achan_lane *lane, struct achan_cursor *cursor);
void achan_lane_release(struct achan_lane *lane,
			const struct achan_cursor *cursor);
void achan_lane_released(struct achan_lane *lane);

/* park.c */
extern unsigned int achan_parked_max;
extern unsigned int achan_parked_bytes;
ssize_t achan_park_read(struct achan_file *file, struct kiocb *iocb,
			struct iov_iter *to);
ssize_t achan_park_write(struct achan_file *file, struct kiocb *iocb,
			 struct iov_iter *from, size_t written);
bool achan_park_can_move(struct achan_lane *lane);
unsigned int achan_park_run(struct achan_lane *lane, bool committed);
void achan_park_work(struct work_struct *work);
void achan_park_end(struct achan_lane *lane, int error);

/* buffer.c */
int achan_buffer_init(struct achan_buffer *buffer, struct iov_iter *to);
void achan_buffer_free(struct achan_buffer *buffer);
bool achan_buffer_unpin(struct achan_buffer *buffer, bool may_sleep);
bool achan_mm_use(struct achan_mm *user, struct mm_struct *mm);
void achan_mm_drop(struct achan_mm *user);

/* transfer.c */
ssize_t achan_take(struct achan_lane *lane, struct achan_cursor *cursor,
		   struct iov_iter *to, bool framed, size_t *want);
u32 achan_chunk(const struct achan_lane *lane, size_t total, size_t left,
		u32 *need);

/* notify.c */
int achan_wait_readable(struct achan_lane *lane);
int achan_wait_room(struct achan_lane *lane, u32 need);
void achan_pass_on(struct achan_lane *lane);
void achan_notify_read(struct achan *channel);
void achan_notify_write(struct achan *channel);
void achan_notify_hangup(struct achan *channel);
int achan_fasync(int fd, struct file *filp, int on);

/* loop.c */
int achan_loop_init(void);
void achan_loop_exit(void);

#endif /* _ACHAN_INTERNAL_H */
