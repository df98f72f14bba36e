// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Notifiers: how they come and go, and how channels join and leave them. All
 * three modes direct the signals of their channels to one thread, the owner,
 * and differ in how that thread gets to see them:
 *
 *	THREAD	a thread of ours waits for them with sigwaitinfo()
 *	FD	the owner takes them with sigtimedwait() when the signalfd says so
 *	SIGNAL	a handler runs on the owner (notifier_handler.c)
 *
 * What the owner then does is in notifier_signal.c.
 */
#include "internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>

/*
 * Signals that one dispatch takes if the caller sets no limit: callbacks may
 * cause new ones, and the rest of the program wants its turn.
 */
#define DISPATCH_MAX		1024

#define NOTIFIER_OPTS_OLDEST	sizeof(struct achan_notifier_opts)

static int check(const struct achan_notifier *notifier)
{
	return notifier ? achan_process_check(notifier->stamp) : -EINVAL;
}

/* ------------------------------------------------------------ dispatch */

static void destroy(struct achan_notifier *notifier);

/* Acts on one signal that the owner has taken. Returns the callbacks run. */
static unsigned int dispatch_one(struct achan_notifier *notifier,
				 siginfo_t *info)
{
	enum achan_signal_owner owner;
	unsigned int calls = 0;

	notifier->depth++;
	owner = achan_notifier_signal(notifier, info, &calls);
	notifier->depth--;
	achan_notifier_pass_on(notifier, info, owner);
	if (!notifier->depth)
		achan_entry_free_dead(notifier);
	return calls;
}

int achan_notifier_dispatch(struct achan_notifier *notifier, unsigned int max)
{
	struct timespec zero = { 0 };
	unsigned int taken = 0;
	unsigned int calls = 0;
	siginfo_t info;
	int ret = check(notifier);

	if (ret)
		return ret;
	if (notifier->mode != ACHAN_NOTIFY_FD)
		return -EOPNOTSUPP;
	if (!achan_notifier_on_owner(notifier))
		return -EPERM;
	if (!max)
		max = DISPATCH_MAX;
	while (!notifier->orphan && taken++ < max) {
		ret = ACHAN_RESULT(sigtimedwait(&notifier->signals, &info,
						&zero));
		if (ret == -EINTR)
			continue;
		if (ret < 0)
			break;
		calls += dispatch_one(notifier, &info);
	}
	if (notifier->orphan && !notifier->depth)
		destroy(notifier);
	return (int)calls;
}

static void *run_thread(void *argument)
{
	struct achan_notifier *notifier = argument;
	siginfo_t info;

	prctl(PR_SET_NAME, "achan-notify");
	notifier->owner = achan_gettid();
	atomic_store(&notifier->ready, true);
	achan_event_signal(&notifier->started);
	while (!atomic_load(&notifier->stop))
		if (sigwaitinfo(&notifier->signals, &info) > 0)
			dispatch_one(notifier, &info);
	if (notifier->orphan) {
		pthread_detach(pthread_self());
		destroy(notifier);
	}
	return NULL;
}

/* -------------------------------------------------------- add and take */

/*
 * The descriptor in the signals is that of the F_SETFL which turns O_ASYNC on.
 * F_SETFL says nothing about files that cannot signal, F_GETFL does.
 */
static int arm(const struct achan_notifier *notifier, int fd)
{
	struct f_owner_ex owner = {
		.type = F_OWNER_TID,
		.pid = notifier->owner,
	};
	int flags, ret;

	flags = ACHAN_RESULT(fcntl(fd, F_GETFL));
	if (flags < 0)
		return flags;
	if (flags & O_ASYNC)
		return -EBUSY;
	ret = ACHAN_RESULT(fcntl(fd, F_SETSIG, notifier->signal_number));
	if (!ret)
		ret = ACHAN_RESULT(fcntl(fd, F_SETOWN_EX, &owner));
	if (!ret)
		ret = ACHAN_RESULT(fcntl(fd, F_SETFL, flags | O_ASYNC));
	if (ret)
		return ret;
	flags = ACHAN_RESULT(fcntl(fd, F_GETFL));
	if (flags < 0)
		return flags;
	return flags & O_ASYNC ? 0 : -EOPNOTSUPP;
}

/* Once this returns, no signal is sent any more. */
static void disarm(int fd)
{
	struct f_owner_ex nobody = { .type = F_OWNER_TID };
	int saved = errno;
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0) {
		fcntl(fd, F_SETFL, flags & ~O_ASYNC);
		fcntl(fd, F_SETOWN_EX, &nobody);
		fcntl(fd, F_SETSIG, 0);
	}
	errno = saved;
}

/* Lock held. Armed first, and polled at the marker: nothing falls between. */
static int put_in(struct achan_notifier *notifier, struct achan_entry *entry)
{
	int ret;

	ret = arm(notifier, entry->fd);
	if (ret == -EBUSY)
		return ret;
	if (!ret) {
		achan_entry_link(notifier, entry);
		ret = achan_notifier_send_marker(notifier, entry->generation);
		if (!ret)
			return 0;
		achan_entry_unlink(notifier, entry);
	}
	disarm(entry->fd);
	return ret;
}

int achan_notifier_add(struct achan_notifier *notifier, struct achan *channel,
		       achan_notify_fn fn, void *data)
{
	struct achan_notifier *none = NULL;
	struct achan_entry *entry;
	int ret;

	ret = check(notifier);
	if (!ret)
		ret = achan_check(channel);
	if (ret)
		return ret;
	if (!fn)
		return -EINVAL;
	entry = achan_allocate(1, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	entry->channel = channel;
	entry->fd = channel->fd;
	entry->fn = fn;
	entry->data = data;

	pthread_mutex_lock(&notifier->lock);
	if (notifier->closing) {
		ret = -ESHUTDOWN;
	} else if (!atomic_compare_exchange_strong(&channel->notifier, &none,
						   notifier)) {
		ret = none == notifier ? -EEXIST : -EBUSY;
	} else {
		ret = put_in(notifier, entry);
		if (ret)
			atomic_store(&channel->notifier, NULL);
	}
	pthread_mutex_unlock(&notifier->lock);
	if (ret)
		free(entry);
	return ret;
}

/* Lock held. */
static void take_out(struct achan_notifier *notifier,
		     struct achan_entry *entry)
{
	disarm(entry->fd);
	achan_entry_unlink(notifier, entry);
	atomic_store(&entry->channel->notifier, NULL);
}

int achan_notifier_del(struct achan_notifier *notifier, struct achan *channel)
{
	struct achan_entry *entry = NULL;
	int ret;

	ret = check(notifier);
	if (!ret)
		ret = achan_check(channel);
	if (ret)
		return ret;
	pthread_mutex_lock(&notifier->lock);
	if (atomic_load(&channel->notifier) == notifier) {
		entry = achan_entry_find_fd(notifier, channel->fd);
		take_out(notifier, entry);
	}
	pthread_mutex_unlock(&notifier->lock);
	if (!entry)
		return -ENOENT;
	achan_entry_retire(notifier, entry);
	return 0;
}

static void take_out_all(struct achan_notifier *notifier)
{
	struct achan_entry *entry;

	for (;;) {
		pthread_mutex_lock(&notifier->lock);
		notifier->closing = true;
		entry = achan_entry_find_any(notifier);
		if (entry)
			take_out(notifier, entry);
		pthread_mutex_unlock(&notifier->lock);
		if (!entry)
			return;
		achan_entry_retire(notifier, entry);
	}
}

/* ------------------------------------------------------- begin and end */

/* Changes the thread's mask for both signals; notes which were otherwise. */
static void change_mask(struct achan_notifier *notifier, int how)
{
	int wanted = how == SIG_BLOCK;
	sigset_t former;

	pthread_sigmask(how, &notifier->signals, &former);
	sigemptyset(&notifier->restore);
	for (int number = 1; number <= SIGRTMAX; number++)
		if (sigismember(&notifier->signals, number) == 1 &&
		    sigismember(&former, number) != wanted)
			sigaddset(&notifier->restore, number);
}

static int start_thread(struct achan_notifier *notifier)
{
	sigset_t all, former;
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &former);
	ret = pthread_create(&notifier->thread, NULL, run_thread, notifier);
	pthread_sigmask(SIG_SETMASK, &former, NULL);
	if (ret)
		return -ret;
	ACHAN_EVENT_AWAIT(&notifier->started, atomic_load(&notifier->ready));
	return 0;
}

static int start_fd(struct achan_notifier *notifier)
{
	notifier->fd = ACHAN_RESULT(signalfd(-1, &notifier->signals,
					     SFD_NONBLOCK | SFD_CLOEXEC));
	if (notifier->fd < 0)
		return notifier->fd;
	change_mask(notifier, SIG_BLOCK);
	return 0;
}

/* Process's lock held. */
static int start_handler(struct achan_notifier *notifier,
			 struct achan_process *process)
{
	int ret;

	if (atomic_load(&process->signal_notifier))
		return -EBUSY;
	ret = achan_handler_install(process, notifier->signal_number);
	if (ret)
		return ret;
	ret = achan_handler_install(process, SIGIO);
	if (ret) {
		achan_handler_remove(notifier->signal_number);
		return ret;
	}
	atomic_store(&process->signal_notifier, notifier);
	change_mask(notifier, SIG_UNBLOCK);
	return 0;
}

/* Starts a notifier whose owner is the calling thread. */
static int start_here(struct achan_notifier *notifier,
		      struct achan_process *process)
{
	struct achan_notifier *other;
	int ret = 0;

	notifier->owner = achan_gettid();
	pthread_mutex_lock(&process->lock);
	for (other = process->thread_notifiers; other; other = other->next)
		if (other->owner == notifier->owner)
			ret = -EBUSY;
	if (!ret)
		ret = notifier->mode == ACHAN_NOTIFY_FD ?
		      start_fd(notifier) : start_handler(notifier, process);
	if (!ret) {
		notifier->next = process->thread_notifiers;
		process->thread_notifiers = notifier;
	}
	pthread_mutex_unlock(&process->lock);
	return ret;
}

/* The highest real-time signal that nobody has claimed by handling it. */
static int choose_signal(void)
{
	struct sigaction action;

	for (int number = SIGRTMAX; number >= SIGRTMIN; number--)
		if (!sigaction(number, NULL, &action) &&
		    action.sa_handler == SIG_DFL)
			return number;
	return -EBUSY;
}

static int check_opts(const struct achan_notifier_opts *opts)
{
	if (opts->mode > ACHAN_NOTIFY_SIGNAL || opts->flags || opts->reserved)
		return -EINVAL;
	if (opts->signal_number && (opts->signal_number < SIGRTMIN ||
				    opts->signal_number > SIGRTMAX))
		return -EINVAL;
	return 0;
}

int achan_notifier_new(struct achan_notifier **result,
		       const struct achan_notifier_opts *given)
{
	struct achan_notifier_opts opts;
	struct achan_notifier *notifier;
	struct achan_process *process;
	int number, ret;

	if (!result)
		return -EINVAL;
	ret = achan_options_read(&opts, sizeof(opts), NOTIFIER_OPTS_OLDEST,
				 given);
	if (!ret)
		ret = check_opts(&opts);
	if (!ret)
		ret = achan_process_get(&process);
	if (ret)
		return ret;
	number = opts.signal_number ? opts.signal_number : choose_signal();
	if (number < 0)
		return number;
	notifier = achan_allocate(1, sizeof(*notifier));
	if (!notifier)
		return -ENOMEM;
	notifier->stamp = atomic_load(&process->stamp);
	notifier->mode = opts.mode;
	notifier->signal_number = number;
	notifier->process_id = getpid();
	notifier->fd = -1;
	sigemptyset(&notifier->signals);
	sigaddset(&notifier->signals, number);
	sigaddset(&notifier->signals, SIGIO);
	pthread_mutex_init(&notifier->lock, NULL);
	ret = opts.mode == ACHAN_NOTIFY_THREAD ? start_thread(notifier)
					       : start_here(notifier, process);
	if (ret) {
		pthread_mutex_destroy(&notifier->lock);
		free(notifier);
		return ret;
	}
	*result = notifier;
	return 0;
}

int achan_notifier_fd(const struct achan_notifier *notifier)
{
	int ret = check(notifier);

	if (ret)
		return ret;
	return notifier->mode == ACHAN_NOTIFY_FD ? notifier->fd : -EOPNOTSUPP;
}

/*
 * Signals left in the owner's queue would take their default action once they
 * are unblocked. The channels are out, so no more come.
 */
static void stop_fd(struct achan_notifier *notifier)
{
	struct timespec zero = { 0 };
	siginfo_t info;

	if (achan_notifier_on_owner(notifier)) {
		while (sigtimedwait(&notifier->signals, &info, &zero) > 0)
			dispatch_one(notifier, &info);
		pthread_sigmask(SIG_UNBLOCK, &notifier->restore, NULL);
	}
	close(notifier->fd);
}

/*
 * Unblocking delivers what is left in the owner's queue to our handler, before
 * the former one comes back. On another thread that cannot be known, so the
 * handlers stay there.
 */
static void stop_handler(struct achan_notifier *notifier,
			 struct achan_process *process)
{
	bool owner = achan_notifier_on_owner(notifier);

	if (owner)
		pthread_sigmask(SIG_UNBLOCK, &notifier->signals, NULL);
	atomic_store(&process->signal_notifier, NULL);
	achan_handlers_wait(process);
	if (owner) {
		achan_handler_remove(notifier->signal_number);
		achan_handler_remove(SIGIO);
		pthread_sigmask(SIG_BLOCK, &notifier->restore, NULL);
	}
}

static void stop_here(struct achan_notifier *notifier)
{
	struct achan_process *process = achan_process_peek();
	struct achan_notifier **link = &process->thread_notifiers;

	pthread_mutex_lock(&process->lock);
	while (*link != notifier)
		link = &(*link)->next;
	*link = notifier->next;
	if (notifier->mode == ACHAN_NOTIFY_SIGNAL)
		stop_handler(notifier, process);
	pthread_mutex_unlock(&process->lock);
	if (notifier->mode == ACHAN_NOTIFY_FD)
		stop_fd(notifier);
}

/* All channels are out and no callback runs. */
static void destroy(struct achan_notifier *notifier)
{
	if (notifier->mode != ACHAN_NOTIFY_THREAD)
		stop_here(notifier);
	achan_entry_free_dead(notifier);
	pthread_mutex_destroy(&notifier->lock);
	free(notifier);
}

/*
 * The parent's signals, handlers and locks are none of the child's business;
 * its memory and its copy of the descriptor are.
 */
static void forget(struct achan_notifier *notifier)
{
	for (int i = 0; i < ACHAN_NOTIFIER_BUCKETS; i++) {
		struct achan_entry *entry = atomic_load(&notifier->buckets[i]);

		while (entry) {
			struct achan_entry *next = atomic_load(&entry->next);

			free(entry);
			entry = next;
		}
	}
	achan_entry_free_dead(notifier);
	if (notifier->fd >= 0)
		close(notifier->fd);
	free(notifier);
}

static void end(struct achan_notifier *notifier)
{
	bool inside;

	if (check(notifier)) {
		forget(notifier);
		return;
	}
	inside = achan_notifier_on_owner(notifier) && notifier->depth;
	if (inside)
		notifier->orphan = true;
	take_out_all(notifier);
	if (notifier->mode == ACHAN_NOTIFY_THREAD) {
		atomic_store(&notifier->stop, true);
		if (inside)
			return;
		achan_notifier_send_marker(notifier, 0);
		pthread_join(notifier->thread, NULL);
	}
	if (!inside)
		destroy(notifier);
}

void achan_notifier_free(struct achan_notifier *notifier)
{
	int saved = errno;

	if (notifier)
		end(notifier);
	errno = saved;
}
