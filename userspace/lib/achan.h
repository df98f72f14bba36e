/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libachan: channels, notification by signal, and asynchronous requests.
 *
 * Conventions that hold for every function:
 *
 * - An int or ssize_t result is a count, a descriptor or 0 on success and a
 *   negative errno value on failure. errno itself is left as it was.
 * - Handles are opaque. Whoever creates one ends it with the matching _close()
 *   or _free(), which accept NULL. A creating function stores the handle only
 *   when it succeeds.
 * - A descriptor returned by a function named _fd() is borrowed: wait on it
 *   with poll, select or epoll, but do not close it, and do not change its
 *   status flags, owner or signal.
 * - Times are nanoseconds: -1 waits for ever, 0 does not wait.
 * - Events are the POLL bits of <poll.h>.
 * - A flag or event bit that this version does not know is -EINVAL. An options
 *   structure starts with its own size; if it is larger than this version
 *   knows, the bytes beyond must be zero, or the call fails with -E2BIG. A
 *   NULL options pointer asks for the defaults.
 * - A handle belongs to the process that created it. In a child made by fork()
 *   every call on it fails with -ECHILD, except _close() and _free(), which
 *   release the child's copy and touch nothing that the parent sees.
 * - A NULL handle is -EINVAL.
 *
 * Threads and signals:
 *
 *   handle           threads                               in a signal handler
 *   achan            all calls but close, concurrently     achan_fd, achan_read
 *                                                          and achan_write with
 *                                                          time-out 0
 *   achan_notifier   add and del from any thread, also     none
 *                    from callbacks, but see SIGNAL mode
 *   achan_queue      all calls but free, concurrently      achan_queue_wake
 *   achan_req        one thread at a time                  none
 *   achan_control    all calls but close, concurrently     none
 *   achan_monitor    one thread at a time                  none
 *
 * achan_version(), achan_frame_next() and achan_strerror() may be called from
 * any thread; the first two also from a signal handler.
 *
 * <linux/achan.h>, installed next to this file, is the driver's ABI. Its
 * structures and values are used here as they are; their reserved members must
 * be zero.
 */
#ifndef ACHAN_H
#define ACHAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <linux/achan-version.h>
#include <linux/achan.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ACHAN_API	__attribute__((visibility("default")))

/* ------------------------------------------------------------- version */

/* A version as one number that grows with it. */
#define ACHAN_VERSION_OF(major, minor, patch)				\
	(((major) << 16) | ((minor) << 8) | (patch))

/* The version of this header; achan_version() is that of the library. */
#define ACHAN_VERSION							\
	ACHAN_VERSION_OF(ACHAN_VERSION_MAJOR, ACHAN_VERSION_MINOR,	\
			 ACHAN_VERSION_PATCH)

/* True if this header is of version major.minor or newer. */
#define ACHAN_VERSION_AT_LEAST(major, minor)				\
	(ACHAN_VERSION >= ACHAN_VERSION_OF(major, minor, 0))

/**
 * Version of the library that the program runs with.
 *
 * @return the version as ACHAN_VERSION_OF(major, minor, patch)
 */
ACHAN_API unsigned int achan_version(void);

/**
 * What an error of this library means, in English.
 *
 * @param error  an errno value, negative as the library returns it or positive
 * @return text valid until the same thread calls this function or strerror()
 *         again; never NULL
 */
ACHAN_API const char *achan_strerror(int error);

/* ------------------------------------------------------------- channel */

/** A channel: one open file of a channel device. */
struct achan;

/** Options of achan_open(). */
struct achan_open_opts {
	/** sizeof(struct achan_open_opts) */
	size_t sz;
	/**
	 * As for open(2): O_RDONLY, O_WRONLY or O_RDWR, and O_NONBLOCK.
	 * O_CLOEXEC is always set. O_ASYNC is -EINVAL, because a file opened
	 * with it can never signal; use a notifier. So is any other flag.
	 */
	int flags;
	/** ACHAN_OPEN_FRAMED or 0, see achan_set_framed() */
	uint32_t channel_flags;
	/** true: signals end waits, see achan_set_interruptible() */
	bool interruptible;
	/** zero */
	uint8_t reserved[7];
};

/**
 * Open a channel.
 *
 * @param channel  where to store the handle
 * @param name     path of the device node, such as "/dev/achan0"; or, without
 *                 a '/', the channel's name or that of its node, "achan0"
 * @param opts     options, or NULL for O_RDWR and unframed reads
 * @return 0; -EINVAL or -E2BIG for bad options; -ENOTTY if it is not a channel
 *         device, such as a regular file; -ENOENT if there is no such channel
 *         or node, or the module is not loaded; -ENAMETOOLONG; else what
 *         open(2) gives. achan_explain_open() tells the user which it is.
 */
ACHAN_API int achan_open(struct achan **channel, const char *name,
			 const struct achan_open_opts *opts);

/**
 * Say in English why achan_open() failed and what to do.
 *
 * It looks at the system to tell causes of the same error apart, such as a
 * module that is not loaded and a channel that does not exist.
 *
 * @param name   as given to achan_open()
 * @param error  what achan_open() returned
 * @param text   filled in with one line without a newline, cut to fit
 * @param size   size of @p text in bytes
 * @return 0; -EINVAL for NULL or no bytes
 */
ACHAN_API int achan_explain_open(const char *name, int error, char *text,
				 size_t size);

/**
 * Make a channel of a descriptor.
 *
 * The descriptor may be of any file that can be polled, such as a pipe, a
 * socket or a terminal; then achan_get_info() and achan_set_framed() give
 * -ENOTTY. On success the handle owns it and has set FD_CLOEXEC on it; on
 * failure it is untouched and stays the caller's.
 *
 * @param channel  where to store the handle
 * @param fd       the descriptor
 * @return 0; -EBADF; -EINVAL if O_ASYNC is set on the file; -ENOMEM
 */
ACHAN_API int achan_open_fd(struct achan **channel, int fd);

/**
 * Take the channel from its notifier, if it is in one, and close it.
 *
 * Requests in flight are not cancelled: they keep the file open and complete.
 * No other call on the channel may be running, but it may be called from the
 * channel's own callback in THREAD and FD mode.
 *
 * @param channel  the channel, or NULL
 */
ACHAN_API void achan_close(struct achan *channel);

/**
 * The channel's descriptor, borrowed and valid until achan_close().
 *
 * @return the descriptor, -EINVAL or -ECHILD
 */
ACHAN_API int achan_fd(const struct achan *channel);

/**
 * What the channel is and holds.
 *
 * @param channel  the channel
 * @param info     filled in on success
 * @return 0; -ENOTTY if it is no channel device; -EPROTO if the driver's
 *         abi_version is not ACHAN_ABI_VERSION; -ENODEV if it was removed
 */
ACHAN_API int achan_get_info(struct achan *channel, struct achan_info *info);

/**
 * How the channel behaves, also after it was removed.
 *
 * @param channel  the channel
 * @param config   filled in on success
 * @return 0; -ENOTTY if it is no channel device
 */
ACHAN_API int achan_get_config(struct achan *channel,
			       struct achan_config *config);

/**
 * What has passed through the channel and what is in it, also after it was
 * removed. Asked on a channel that reads a broadcast, it is about that reader
 * alone.
 *
 * @param channel  the channel
 * @param stats    filled in on success
 * @return 0; -ENOTTY if it is no channel device
 */
ACHAN_API int achan_get_stats(struct achan *channel, struct achan_stats *stats);

/**
 * Choose whether reads return frames: whole records, each with its struct
 * achan_record and padding, as achan_frame_next() takes them apart.
 *
 * The choice belongs to the open file: it holds for descriptors duplicated
 * from it and in other processes that inherited it.
 *
 * @param channel  the channel
 * @param framed   true for frames
 * @return 0; -ENOTTY if it is no channel device; -ENODEV if it was removed
 */
ACHAN_API int achan_set_framed(struct achan *channel, bool framed);

/**
 * Choose whether a signal ends achan_read() and achan_write() while they wait.
 *
 * By default they go on. If chosen, they return -EINTR when a signal handler
 * has run while they waited, SA_RESTART or not, so that the program can act on
 * the signal; nothing was read or written then. As usual with signals, one
 * whose handler ran before the wait began does not end it.
 *
 * The choice belongs to the handle. The other calls that wait need none:
 * achan_poll() and achan_queue_wait() always return -EINTR.
 *
 * @param channel        the channel
 * @param interruptible  true to return -EINTR
 * @return 0
 */
ACHAN_API int achan_set_interruptible(struct achan *channel,
				      bool interruptible);

/**
 * Read once there is something to read.
 *
 * Interruption by a signal is not reported, unless the channel is
 * interruptible: the call goes on until its time has passed.
 *
 * @param channel     the channel
 * @param buf         where to put the data
 * @param len         size of @p buf in bytes
 * @param timeout_ns  how long to wait for the first byte; below 0: for ever
 * @return bytes read, 0 only at the end of data or if @p len is 0;
 *         -EAGAIN with time-out 0 and nothing there;
 *         -ETIMEDOUT if nothing came in a longer time;
 *         -EINTR if a signal came and achan_set_interruptible() was chosen;
 *         -EMSGSIZE if the next record or frame is larger than @p len, it
 *         stays in the channel;
 *         -EOPNOTSUPP with time-out 0 or more on a file that has neither
 *         O_NONBLOCK set nor supports RWF_NOWAIT; channel devices support it;
 *         else what read(2) gives
 */
ACHAN_API ssize_t achan_read(struct achan *channel, void *buf, size_t len,
			     int64_t timeout_ns);

/**
 * Write all of a buffer.
 *
 * Interruption by a signal is not reported, unless the channel is
 * interruptible: the call goes on until its time has passed.
 *
 * @param channel     the channel
 * @param buf         the data
 * @param len         bytes in @p buf; 0 writes nothing
 * @param timeout_ns  how long to wait for room, for all of it together; below
 *                    0: for ever
 * @return bytes written, which on a stream can be fewer than @p len if the
 *         time passed, an error came or, on an interruptible channel, a signal
 *         came after a part was written;
 *         -EAGAIN with time-out 0 and no room;
 *         -ETIMEDOUT if no room came in a longer time;
 *         -EINTR as for achan_read(), with nothing written;
 *         -EMSGSIZE if a message is larger than the channel can ever hold;
 *         -EOPNOTSUPP as for achan_read(); else what write(2) gives
 */
ACHAN_API ssize_t achan_write(struct achan *channel, const void *buf,
			      size_t len, int64_t timeout_ns);

/**
 * Wait for events on one channel.
 *
 * @param channel     the channel
 * @param events      POLL bits to wait for; POLLERR and POLLHUP always count
 * @param timeout_ns  how long to wait; below 0: for ever
 * @return the events there, 0 if the time passed; -EINTR if a signal came;
 *         -EINVAL if @p events has an unknown bit
 */
ACHAN_API int achan_poll(struct achan *channel, int events, int64_t timeout_ns);

/* -------------------------------------------------------------- frames */

/** One record of a framed read. */
struct achan_frame {
	/** Number of the record in its ring; a gap means missed records. */
	uint64_t sequence;
	/** CLOCK_MONOTONIC in nanoseconds, when the record was written. */
	uint64_t timestamp;
	/** Payload in bytes. */
	uint32_t length;
	/** ACHAN_RECORD_CONTINUED and what later drivers add. */
	uint32_t flags;
	/** The payload, in the caller's buffer, without any alignment. */
	const void *payload;
};

/**
 * Take the next frame out of a buffer filled by a framed read.
 *
 * Trusts nothing in the buffer: never looks outside @p size bytes. Neither
 * the buffer nor @p offset must be aligned.
 *
 * @param buf     the buffer
 * @param size    bytes that the read returned
 * @param offset  where to look; set it to 0 before the first call. Moved to
 *                the next frame on success, else left alone.
 * @param frame   filled in if there is a frame
 * @return 1 if @p frame was filled in, 0 at the end of the buffer, -EBADMSG if
 *         the bytes at @p offset are no whole frame, -EINVAL if @p offset lies
 *         outside the buffer or a pointer is NULL
 */
ACHAN_API int achan_frame_next(const void *buf, size_t size, size_t *offset,
			       struct achan_frame *frame);

/* ------------------------------------------------------------ notifier */

/**
 * A notifier calls back when a channel signals that its state changed.
 *
 * It is edge-like: the driver signals once for every commit and once when a
 * full channel gets room, and does not repeat a signal for what is left
 * unread. achan_notify_fn says how a callback reads.
 *
 * A notifier uses two signals: a real-time signal and SIGIO, which the kernel
 * sends in its place when its queue of real-time signals is full. Signals are
 * then lost, and the notifier says so: each of its channels is polled and
 * called with ACHAN_NF_OVERFLOW.
 */
struct achan_notifier;

/** How a notifier calls; see achan_notifier_new(). */
enum achan_notify_mode {
	/**
	 * From a thread of the notifier's own, which has all signals blocked.
	 * Callbacks may call everything. The application's threads see no
	 * signal, no EINTR and no changed disposition. A signal sent to the
	 * process that the notifier's thread gets instead is passed on to the
	 * main thread; its siginfo survives only if a process queued it.
	 */
	ACHAN_NOTIFY_THREAD = 0,
	/**
	 * From achan_notifier_dispatch(), when achan_notifier_fd() is
	 * readable. Both signals are blocked in the thread that created the
	 * notifier, which alone may wait on the descriptor and dispatch. In
	 * that thread the two signals belong to the notifier.
	 */
	ACHAN_NOTIFY_FD = 1,
	/**
	 * From a signal handler, on the thread that created the notifier.
	 * Callbacks may call async-signal-safe functions only. The handlers
	 * that were there before are called for signals not meant for the
	 * notifier, and put back when it is freed. One per process. While
	 * signals come faster than callbacks return, that thread does nothing
	 * else: it is the kernel that calls the next one at once.
	 */
	ACHAN_NOTIFY_SIGNAL = 2
};

/** Options of achan_notifier_new(). */
struct achan_notifier_opts {
	/** sizeof(struct achan_notifier_opts) */
	size_t sz;
	/** enum achan_notify_mode */
	uint32_t mode;
	/** no flag is defined: 0 */
	uint32_t flags;
	/**
	 * Signal to use, SIGRTMIN to SIGRTMAX, or 0: the highest one whose
	 * disposition is the default.
	 */
	int32_t signal_number;
	/** 0 */
	uint32_t reserved;
};

/** Signals were lost; events are from poll and may be 0. */
#define ACHAN_NF_OVERFLOW	(1U << 0)
/**
 * The channel was just added and was polled, because what was there before
 * makes no signal. Only called so if there is something to read or an error.
 */
#define ACHAN_NF_INITIAL	(1U << 1)

/** What a callback is told. Later versions may add members at the end. */
struct achan_notify_event {
	/** POLL bits */
	uint32_t events;
	/** ACHAN_NF_ flags */
	uint32_t flags;
};

/**
 * A notifier's callback.
 *
 * The rule: read until -EAGAIN, but no more bytes than the channel holds at
 * once, ring_bytes of struct achan_info. One call may stand for many records,
 * and a signal is not repeated, so a callback that stops earlier can leave
 * records behind that nothing announces again. A callback that has read as
 * much as the ring holds has read all that was there when it was called: the
 * rest was committed later, and each later commit signals again. The bound
 * matters beside a writer that never rests, which would keep the callback, the
 * notifier's other channels and achan_notifier_free() waiting for ever.
 *
 * A callback may find nothing to read: an earlier call took it.
 *
 * @param channel  the channel that signalled
 * @param event    what happened; valid during the call
 * @param data     as given to achan_notifier_add()
 */
typedef void (*achan_notify_fn)(struct achan *channel,
				const struct achan_notify_event *event,
				void *data);

/**
 * Create a notifier.
 *
 * A notifier of FD or SIGNAL mode belongs to the calling thread, which can
 * have one. It works as long as that thread lives.
 *
 * @param notifier  where to store the handle
 * @param opts      options, or NULL for THREAD mode
 * @return 0; -EINVAL or -E2BIG for bad options; -EBUSY if the thread has a
 *         notifier of FD or SIGNAL mode, or the process one of SIGNAL mode
 *         and another is asked for, or somebody has replaced a handler of the
 *         library, or no real-time signal is free; -ENOMEM; -EAGAIN if no
 *         thread can be created; -EMFILE or -ENFILE
 */
ACHAN_API int achan_notifier_new(struct achan_notifier **notifier,
				 const struct achan_notifier_opts *opts);

/**
 * Call back for a channel from now on.
 *
 * Takes over the owner, the signal and O_ASYNC of the channel's open file, so
 * a channel can be in one notifier. The first call can come before this
 * function returns. The channel must not be closed other than by
 * achan_close().
 *
 * @param notifier  the notifier
 * @param channel   the channel; it must outlive its stay in the notifier
 * @param fn        what to call
 * @param data      passed to @p fn
 * @return 0; -EEXIST if the channel is in this notifier; -EBUSY if it is in
 *         another one or somebody else has set O_ASYNC; -EOPNOTSUPP if the
 *         file cannot signal; -EINVAL if @p fn is NULL; -ESRCH if the thread
 *         that created the notifier has ended; -ESHUTDOWN while the notifier
 *         is being freed; -ENOMEM
 */
ACHAN_API int achan_notifier_add(struct achan_notifier *notifier,
				 struct achan *channel, achan_notify_fn fn,
				 void *data);

/**
 * Stop calling back for a channel.
 *
 * Waits until a running callback of this channel has returned, unless called
 * from within it; afterwards none starts. Do not hold a lock that the
 * callback takes. Not from a callback of SIGNAL mode.
 *
 * @return 0; -ENOENT if the channel is not in this notifier
 */
ACHAN_API int achan_notifier_del(struct achan_notifier *notifier,
				 struct achan *channel);

/**
 * The descriptor of a notifier of FD mode, readable when there is something
 * to dispatch. Borrowed, valid until achan_notifier_free().
 *
 * @return the descriptor; -EOPNOTSUPP in another mode
 */
ACHAN_API int achan_notifier_fd(const struct achan_notifier *notifier);

/**
 * Run the callbacks for the signals that have come, without waiting.
 *
 * @param notifier  a notifier of FD mode
 * @param max       signals to take at most, 0 for a fair number. If some are
 *                  left, the descriptor is readable again.
 * @return callbacks run; -EOPNOTSUPP in another mode; -EPERM from a thread
 *         other than the one that created the notifier
 */
ACHAN_API int achan_notifier_dispatch(struct achan_notifier *notifier,
				      unsigned int max);

/**
 * Take all channels out and end the notifier.
 *
 * Waits until running callbacks have returned. Called from a callback of
 * THREAD or FD mode it takes effect when that callback returns; not to be
 * called from a callback of SIGNAL mode. In FD and SIGNAL mode call it from
 * the thread that created the notifier; called from another, both signals stay
 * blocked in that thread (FD), or the handlers stay and only call the former
 * ones (SIGNAL). A handler that the application has installed in place of the
 * library's is left alone.
 *
 * @param notifier  the notifier, or NULL
 */
ACHAN_API void achan_notifier_free(struct achan_notifier *notifier);

/* --------------------------------------------------------------- queue */

/** A queue of asynchronous requests: one kernel AIO context. */
struct achan_queue;

/**
 * One asynchronous request. The queue owns the memory; the caller has the use
 * of it from achan_queue_get_req() to achan_req_put().
 */
struct achan_req;

/** Largest depth of a queue; fs.aio-max-nr may allow less. */
#define ACHAN_QUEUE_DEPTH_MAX	(1U << 20)

/** Options of achan_queue_new(). */
struct achan_queue_opts {
	/** sizeof(struct achan_queue_opts) */
	size_t sz;
	/** no flag is defined: 0 */
	uint32_t flags;
	/** 0 */
	uint32_t reserved;
};

/** A completion: the end of one request. */
struct achan_cqe {
	/** the request; the caller ends its use with achan_req_put() */
	struct achan_req *req;
	/** as given to achan_req_set_done(), else NULL */
	void *data;
	/**
	 * Bytes moved, or events there for a poll request, or a negative
	 * errno value; -ECANCELED if it was cancelled before it did anything.
	 */
	int64_t res;
};

/**
 * A request's callback, called from achan_queue_dispatch(), from
 * achan_queue_wait() without an array, and from achan_queue_free(); never from
 * achan_queue_submit(). It may call everything but achan_queue_free().
 *
 * @param req   the request; the callback ends its use with achan_req_put(), or
 *              prepares and submits it again
 * @param res   as in struct achan_cqe
 * @param data  as given to achan_req_set_done()
 */
typedef void (*achan_done_fn)(struct achan_req *req, int64_t res, void *data);

/**
 * Create a queue.
 *
 * @param queue  where to store the handle
 * @param depth  requests that can be in use at once, 1 to
 *               ACHAN_QUEUE_DEPTH_MAX
 * @param opts   options, or NULL
 * @return 0; -EINVAL or -E2BIG for a bad depth or bad options; -EAGAIN if the
 *         system's sum of depths would exceed the sysctl fs.aio-max-nr;
 *         -ENOSYS if the kernel has no AIO; -ENOMEM, -EMFILE or -ENFILE
 */
ACHAN_API int achan_queue_new(struct achan_queue **queue, unsigned int depth,
			      const struct achan_queue_opts *opts);

/**
 * An eventfd that is readable when there may be completions, or after
 * achan_queue_wake(). Borrowed, valid until achan_queue_free(). Waiting and
 * dispatching clear it, achan_queue_peek() does not.
 *
 * @return the descriptor
 */
ACHAN_API int achan_queue_fd(const struct achan_queue *queue);

/**
 * Get a request to prepare.
 *
 * @return the request, or NULL if as many as the depth are in use (also in a
 *         child process and while the queue is being freed)
 */
ACHAN_API struct achan_req *achan_queue_get_req(struct achan_queue *queue);

/**
 * Prepare a request. Whatever was prepared before, callback and flags
 * included, is forgotten.
 *
 * The channel must stay open until the request is submitted. An array of
 * iovecs must stay until then, the buffers until the completion.
 *
 * @param req      the request
 * @param channel  the channel
 * @param buf      the buffer, @p len bytes; or
 * @param iov      an array of @p iovcnt buffers
 * @return 0; -EBUSY if the request is in flight; -EINVAL; -ECHILD
 */
ACHAN_API int achan_req_prep_read(struct achan_req *req, struct achan *channel,
				  void *buf, size_t len);
/** Prepare a write; see achan_req_prep_read(). */
ACHAN_API int achan_req_prep_write(struct achan_req *req,
				   struct achan *channel, const void *buf,
				   size_t len);
/** Prepare a scattered read; see achan_req_prep_read(). */
ACHAN_API int achan_req_prep_readv(struct achan_req *req,
				   struct achan *channel,
				   const struct iovec *iov, int iovcnt);
/** Prepare a gathered write; see achan_req_prep_read(). */
ACHAN_API int achan_req_prep_writev(struct achan_req *req,
				    struct achan *channel,
				    const struct iovec *iov, int iovcnt);
/**
 * Prepare to wait for POLL bits, once; see achan_req_prep_read(). Completes
 * with the events there.
 */
ACHAN_API int achan_req_prep_poll(struct achan_req *req, struct achan *channel,
				  int events);

/** Complete with -EAGAIN instead of waiting for a record or for room. */
#define ACHAN_REQ_NOWAIT	(1U << 0)

/**
 * Set flags of a prepared read or write.
 *
 * @param req    the request
 * @param flags  ACHAN_REQ_ flags
 * @return 0; -EINVAL for an unknown flag or a request that is not a prepared
 *         read or write
 */
ACHAN_API int achan_req_set_flags(struct achan_req *req, uint32_t flags);

/**
 * Set what to call, and with what, when a prepared request completes.
 *
 * @param req   the request
 * @param fn    callback. If NULL, dispatching puts the request back by itself.
 * @param data  passed to @p fn, and stored in struct achan_cqe
 * @return 0; -EINVAL if the request is not prepared
 */
ACHAN_API int achan_req_set_done(struct achan_req *req, achan_done_fn fn,
				 void *data);

/**
 * End the use of a request that is not in flight.
 *
 * @param req  the request, or NULL
 * @return 0; -EBUSY if it is in flight
 */
ACHAN_API int achan_req_put(struct achan_req *req);

/**
 * Submit prepared requests. Each one accepted completes exactly once.
 *
 * @param queue  the queue
 * @param reqs   array of @p count prepared requests of this queue
 * @param count  number of requests
 * @return how many were accepted, always the first ones of the array. If it is
 *         fewer than @p count, the next one could not be: submitting again
 *         from there tells why. If the first was not: -EAGAIN if the kernel is
 *         short of memory for now, -EBADF, -EINVAL (also: the file knows no
 *         such request, or a request is not prepared or of another queue),
 *         -EFAULT, -ESHUTDOWN while the queue is being freed. Requests not
 *         accepted stay prepared.
 */
ACHAN_API int achan_queue_submit(struct achan_queue *queue,
				 struct achan_req *const *reqs,
				 unsigned int count);

/**
 * Ask the kernel to cancel a request. The completion is the truth: it comes in
 * any case, once, and tells whether it was cancelled. The request must not be
 * put at the same time by another thread.
 *
 * @return 0 if a completion with -ECANCELED, or with what was moved so far,
 *         will come;
 *         -EALREADY if it is too late or the file cannot cancel: the
 *         completion comes, or has come, as if nothing was asked;
 *         -EINVAL if the request was not submitted or is of another queue
 */
ACHAN_API int achan_queue_cancel(struct achan_queue *queue,
				 struct achan_req *req);

/**
 * Give a request up: cancel it, wait for its completion and take it.
 *
 * A request can complete with data at the same moment. The data has then left
 * the channel, so the caller must use it: look at @p res.
 *
 * The callback is not run; afterwards end the use of the request with
 * achan_req_put(). Completions of other requests stay in the queue. The wait
 * lasts until the request ends, which on a channel is at once, and which no
 * signal shortens. It may be called from a callback.
 *
 * @param queue  the queue
 * @param req    a request in flight
 * @param res    the result, as in struct achan_cqe: -ECANCELED if nothing was
 *               moved; stored only on success
 * @return 0; -EALREADY if the completion was taken before: it has the result;
 *         -EBUSY if another thread gives the same request up; -EINVAL if the
 *         request was not submitted or is of another queue
 */
ACHAN_API int achan_queue_cancel_wait(struct achan_queue *queue,
				      struct achan_req *req, int64_t *res);

/**
 * Ask the kernel to cancel each request in flight. Take the completions
 * afterwards, until achan_queue_in_flight() is 0, and use their data.
 *
 * @param queue  the queue
 * @return how many requests were in flight
 */
ACHAN_API int achan_queue_cancel_all(struct achan_queue *queue);

/**
 * Take completions that are there, in most cases without a system call.
 *
 * @param queue  the queue
 * @param cqes   array to fill
 * @param max    size of the array
 * @return how many were stored, 0 if none is there
 */
ACHAN_API int achan_queue_peek(struct achan_queue *queue,
			       struct achan_cqe *cqes, unsigned int max);

/**
 * Wait for completions.
 *
 * @param queue       the queue
 * @param cqes        array to fill, or NULL to run the callbacks instead
 * @param min         how many to wait for, at most @p max
 * @param max         how many to take at most
 * @param timeout_ns  how long to wait; below 0: for ever
 * @return how many were taken: fewer than @p min if the time passed, or
 *         achan_queue_wake() was called, or a signal came after the first;
 *         -EINTR if a signal came before; -EINVAL if @p max is 0 or less than
 *         @p min
 */
ACHAN_API int achan_queue_wait(struct achan_queue *queue,
			       struct achan_cqe *cqes, unsigned int min,
			       unsigned int max, int64_t timeout_ns);

/**
 * Clear the eventfd and run the callbacks of the completions there, without
 * waiting. Consumes calls of achan_queue_wake() made before. If more than
 * @p max are there, the eventfd is readable again afterwards.
 *
 * @param queue  the queue
 * @param max    completions to take at most, 0 for all
 * @return how many were taken
 */
ACHAN_API int achan_queue_dispatch(struct achan_queue *queue, unsigned int max);

/**
 * End one achan_queue_wait() early: one that waits now, else the next one.
 *
 * Async-signal-safe.
 *
 * @return 0
 */
ACHAN_API int achan_queue_wake(struct achan_queue *queue);

/**
 * How many requests are in flight: accepted by the kernel, completion not yet
 * taken.
 *
 * @return the number
 */
ACHAN_API int achan_queue_in_flight(const struct achan_queue *queue);

/**
 * Cancel what is in flight, take the remaining completions, running their
 * callbacks, and end the queue.
 *
 * A request can complete with data instead of being cancelled. The result goes
 * to its callback; without a callback it is lost, and counted in what this
 * function returns. A program that cannot lose data and has no callbacks calls
 * achan_queue_cancel_all() and takes all completions first.
 *
 * Waits for every request; one on a file that cannot cancel is waited for
 * until it ends by itself. Afterwards the kernel touches none of the buffers.
 * No other call on the queue may be running.
 *
 * @param queue  the queue, or NULL
 * @return how many requests without a callback had moved data, or had events,
 *         and nobody got the result; 0 if nothing was lost, and in a child
 */
ACHAN_API int achan_queue_free(struct achan_queue *queue);

/* ------------------------------------------------------------- control */

/** Makes, changes and removes channels: an open file of the control device. */
struct achan_control;

/** Options of achan_control_open(). */
struct achan_control_opts {
	/** sizeof(struct achan_control_opts) */
	size_t sz;
	/** the control device, or NULL for ACHAN_CONTROL_PATH */
	const char *path;
	/**
	 * Filled in with what the driver speaks, when it could be asked: on
	 * success and with -EPROTONOSUPPORT. Or NULL.
	 */
	struct achan_handshake *version;
	/** no flag is defined: 0 */
	uint32_t flags;
	/** 0 */
	uint32_t reserved;
};

/**
 * Open the control device and agree with the driver on a version.
 *
 * @param control  where to store the handle
 * @param opts     options, or NULL
 * @return 0; -ENOENT, -ENODEV or -ENXIO if the module is not loaded; -EACCES;
 *         -EPROTONOSUPPORT if the driver does not speak ACHAN_ABI_VERSION;
 *         -ENOTTY if the path is of something else; -EINVAL or -E2BIG for bad
 *         options; else what open(2) gives
 */
ACHAN_API int achan_control_open(struct achan_control **control,
				 const struct achan_control_opts *opts);

/**
 * Close the control device. Channels stay. No other call on the handle may be
 * running.
 *
 * @param control  the handle, or NULL
 */
ACHAN_API void achan_control_close(struct achan_control *control);

/**
 * What the driver said when the handle was opened: its version and features.
 *
 * @param control  the handle
 * @param version  filled in on success
 * @return 0
 */
ACHAN_API int achan_control_version(const struct achan_control *control,
				    struct achan_handshake *version);

/**
 * Make a channel, or a pair of them.
 *
 * @param control  the handle
 * @param create   what to make; its minor and peer_minor are filled in on
 *                 success
 * @return 0; -EEXIST if there is a channel of that name; -EINVAL if a name or
 *         a value cannot be; -ENOSPC if there are too many channels; -ENOMEM
 */
ACHAN_API int achan_control_create(struct achan_control *control,
				   struct achan_create *create);

/**
 * Remove a channel, the other one of a pair with it. Files that have it open
 * read what is left and then get -ENODEV.
 *
 * @param control  the handle
 * @param name     the channel's name, or NULL to go by @p minor
 * @param minor    number of its node; not looked at if there is a name
 * @return 0; -ENOENT if there is none; -ENAMETOOLONG if no name is so long
 */
ACHAN_API int achan_control_remove(struct achan_control *control,
				   const char *name, uint32_t minor);

/**
 * Change how a channel behaves.
 *
 * @param control  the handle
 * @param name     as for achan_control_remove()
 * @param minor    as for achan_control_remove()
 * @param mask     ACHAN_SET_ flags: what of @p config to take
 * @param config   the values
 * @return 0; -ENOENT; -ENAMETOOLONG; -EINVAL if a value cannot be
 */
ACHAN_API int achan_control_set(struct achan_control *control, const char *name,
				uint32_t minor, uint32_t mask,
				const struct achan_config *config);

/**
 * All about a channel.
 *
 * @param control  the handle
 * @param name     as for achan_control_remove()
 * @param minor    as for achan_control_remove()
 * @param channel  filled in on success
 * @return 0; -ENOENT; -ENAMETOOLONG
 */
ACHAN_API int achan_control_get(struct achan_control *control, const char *name,
				uint32_t minor, struct achan_channel *channel);

/**
 * Go through all channels, in the order of their numbers.
 *
 * One that is made or removed meanwhile may be left out; none comes twice.
 *
 * @param control  the handle
 * @param minor    where to look; set it to 0 before the first call. Moved
 *                 behind the channel on success, else left alone.
 * @param channel  filled in if there is one
 * @return 1 if @p channel was filled in, 0 if there are no more
 */
ACHAN_API int achan_control_next(struct achan_control *control, uint32_t *minor,
				 struct achan_channel *channel);

/* ------------------------------------------------------------- monitor */

/**
 * Tells of events about channels: made, removed, opened, closed, overflow,
 * hangup. A netlink socket; it needs no permission.
 *
 * Whoever is too slow misses events, and is told by ACHAN_MONITOR_RESYNC.
 */
struct achan_monitor;

/** Ask for no events: the monitor is for achan_monitor_dump() alone. */
#define ACHAN_MONITOR_QUIET	(1U << 0)

/** Options of achan_monitor_new(). */
struct achan_monitor_opts {
	/** sizeof(struct achan_monitor_opts) */
	size_t sz;
	/** ACHAN_MONITOR_QUIET or 0 */
	uint32_t flags;
	/**
	 * Bytes of events that may wait to be taken, or 0 for the system's
	 * default. More than the sysctl net.core.rmem_max needs privilege;
	 * without, that is what it gets.
	 */
	uint32_t receive_bytes;
};

/**
 * Events were missed, or a dump was interrupted: what was known about channels
 * may be wrong. achan_monitor_dump() tells it anew.
 */
#define ACHAN_MONITOR_RESYNC	0x80000000U
/** A channel, as an answer to achan_monitor_dump(). */
#define ACHAN_MONITOR_CHANNEL	0x80000001U
/** That was the last channel. */
#define ACHAN_MONITOR_DUMPED	0x80000002U

/** One event. */
struct achan_monitor_event {
	/** ACHAN_EVENT_ or ACHAN_MONITOR_; later drivers may have more */
	uint32_t event;
	/** 0 */
	uint32_t reserved;
	/**
	 * Counts all events by one; for ACHAN_MONITOR_CHANNEL that of the
	 * newest event already seen in it.
	 */
	uint64_t sequence;
	/** CLOCK_MONOTONIC in nanoseconds, 0 if not the driver's event */
	uint64_t timestamp;
	/**
	 * For ACHAN_MONITOR_RESYNC: how many events were missed, or 0 if that
	 * cannot be told yet. If one follows, another RESYNC tells then.
	 */
	uint64_t missed;
	/**
	 * The channel. Zero but for the minors if there is none. Its configuration
	 * and counters are told to who may open its node, and to CAP_SYS_ADMIN;
	 * with an event, to CAP_SYS_ADMIN alone, unless everybody may open the node.
	 * For others they are zero, ring_bytes too, but for the kind.
	 */
	struct achan_channel channel;
};

/**
 * Create a monitor. What happens from now on is told.
 *
 * @param monitor  where to store the handle
 * @param opts     options, or NULL
 * @return 0; -ENOENT if the module is not loaded; -EPROTONOSUPPORT if the
 *         driver's events are of another version; -EINVAL or -E2BIG for bad
 *         options; -EMFILE, -ENFILE or -ENOMEM; -EAFNOSUPPORT or -ENOSYS
 *         without netlink
 */
ACHAN_API int achan_monitor_new(struct achan_monitor **monitor,
				const struct achan_monitor_opts *opts);

/**
 * A descriptor that is readable when there is an event. Borrowed, valid until
 * achan_monitor_free(). With an edge-triggered epoll take events until there
 * are none.
 *
 * @return the descriptor
 */
ACHAN_API int achan_monitor_fd(const struct achan_monitor *monitor);

/**
 * Take the next event, without waiting.
 *
 * One read of the socket can bring several: take them until there are none
 * before waiting for the descriptor.
 *
 * @param monitor  the monitor
 * @param event    filled in if there is one
 * @return 1 if @p event was filled in, 0 if none is there; -EBADMSG if what
 *         came was no event: it was skipped; -ENODEV, from then on, once the
 *         module has been removed; what ended a dump, such as -ENOMEM
 */
ACHAN_API int achan_monitor_next(struct achan_monitor *monitor,
				 struct achan_monitor_event *event);

/**
 * Ask for all channels: they come as ACHAN_MONITOR_CHANNEL events, between
 * others, and ACHAN_MONITOR_DUMPED ends them. If a dump is running, the rest
 * of it does not come and a new one follows.
 *
 * @param monitor  the monitor
 * @return 0; -ENOBUFS or -ENOMEM
 */
ACHAN_API int achan_monitor_dump(struct achan_monitor *monitor);

/**
 * End a monitor.
 *
 * @param monitor  the monitor, or NULL
 */
ACHAN_API void achan_monitor_free(struct achan_monitor *monitor);

#ifdef __cplusplus
}
#endif

#endif /* ACHAN_H */
