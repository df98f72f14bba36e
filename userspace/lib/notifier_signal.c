// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What a notifier's owner does with a signal.
 *
 * Signals of one real-time number are queued in the order in which they were
 * sent. That is why a marker, a signal that the notifier sends to its owner
 * when a channel is added, tells the signals before it from those after.
 */
#include "internal.h"

#include <poll.h>
#include <string.h>
#include <time.h>

/* si_code of a marker; negative as of all signals sent by a process. */
#define MARKER_CODE		(-0x6163)

#define EVENTS_INITIAL		(POLLIN | POLLPRI)
#define EVENTS_OVERFLOW		(POLLIN | POLLPRI | POLLOUT)

static int events_now(int fd, int events)
{
	int ret = achan_wait_fd(fd, events, 0);

	return ret > 0 ? ret : 0;
}

static void deliver(const struct achan_entry *entry, int events,
		    uint32_t flags)
{
	struct achan_notify_event event = {
		.events = (uint32_t)events,
		.flags = flags,
	};

	entry->fn(entry->channel, &event, entry->data);
}

static bool is_marker(const siginfo_t *info, pid_t process_id)
{
	return info->si_code == MARKER_CODE && info->si_pid == process_id;
}

static uint32_t marker_generation(const siginfo_t *info)
{
	return (uint32_t)info->si_value.sival_int;
}

/*
 * A channel's marker: from here on its signals count. What was there before it
 * was armed, and what it signalled before the marker, shows in poll.
 */
static unsigned int handle_marker(struct achan_notifier *notifier,
				  uint32_t generation)
{
	struct achan_entry *entry;
	unsigned int calls = 0;
	int events;

	entry = achan_entry_hold_generation(notifier, generation);
	if (!entry)
		return 0;
	entry->live = true;
	events = events_now(entry->fd, EVENTS_INITIAL);
	if (events) {
		deliver(entry, events, ACHAN_NF_INITIAL);
		calls = 1;
	}
	achan_entry_release(notifier, entry);
	return calls;
}

static void discard_marker(struct achan_notifier *notifier,
			   uint32_t generation)
{
	struct achan_entry *entry;

	entry = achan_entry_hold_generation(notifier, generation);
	if (!entry)
		return;
	entry->live = true;
	achan_entry_release(notifier, entry);
}

/* Empties the queue of the owner, who calls. */
static void discard_queued(struct achan_notifier *notifier)
{
	struct timespec zero = { 0 };
	sigset_t set;
	siginfo_t info;

	sigemptyset(&set);
	sigaddset(&set, notifier->signal_number);
	while (ACHAN_RESULT(sigtimedwait(&set, &info, &zero)) > 0)
		if (is_marker(&info, notifier->process_id))
			discard_marker(notifier, marker_generation(&info));
}

/*
 * Signals were lost: what the queue still holds is worth no more than a poll
 * of every channel, which comes after it. An entry linked before the queue is
 * emptied has no stale signal left afterwards, so it is live even if its
 * marker was what found no room.
 */
static unsigned int handle_overflow(struct achan_notifier *notifier)
{
	uint32_t round = atomic_fetch_add(&notifier->round, 1) + 1;
	struct achan_entry *entry;
	unsigned int calls = 0;

	achan_entry_all_live(notifier);
	discard_queued(notifier);
	for (;;) {
		entry = achan_entry_hold_unvisited(notifier, round);
		if (!entry)
			return calls;
		entry->round = round;
		deliver(entry, events_now(entry->fd, EVENTS_OVERFLOW),
			ACHAN_NF_OVERFLOW);
		calls++;
		achan_entry_release(notifier, entry);
	}
}

static bool is_event(const siginfo_t *info)
{
	return info->si_code >= POLL_IN && info->si_code <= POLL_HUP;
}

/* A signal of a channel, or one sent to an earlier file of its number. */
static enum achan_signal_owner handle_event(struct achan_notifier *notifier,
					    const siginfo_t *info,
					    unsigned int *calls)
{
	struct achan_entry *entry;

	entry = achan_entry_hold_fd(notifier, info->si_fd);
	if (!entry)
		return ACHAN_SIGNAL_SHARED;
	if (entry->live) {
		deliver(entry, (int)info->si_band, 0);
		(*calls)++;
	}
	achan_entry_release(notifier, entry);
	return ACHAN_SIGNAL_OURS;
}

/*
 * SIGIO comes in place of a real-time signal that found the queue full: from
 * the kernel, or as a marker, which has lost its code if there was no room for
 * that either. A SIGIO of the kernel's can as well be for a file that the
 * application armed without F_SETSIG.
 */
static bool is_overflow(const siginfo_t *info, pid_t process_id)
{
	return info->si_signo == SIGIO &&
	       (info->si_code == SI_KERNEL || is_marker(info, process_id) ||
		(info->si_code == SI_USER && !info->si_pid));
}

enum achan_signal_owner achan_notifier_signal(struct achan_notifier *notifier,
					      const siginfo_t *info,
					      unsigned int *calls)
{
	pid_t process_id = getpid();

	if (is_overflow(info, process_id)) {
		if (notifier)
			*calls += handle_overflow(notifier);
		return ACHAN_SIGNAL_SHARED;
	}
	if (is_marker(info, process_id)) {
		if (notifier)
			*calls += handle_marker(notifier,
						marker_generation(info));
		return ACHAN_SIGNAL_OURS;
	}
	if (!is_event(info))
		return ACHAN_SIGNAL_FOREIGN;
	if (!notifier || info->si_signo != notifier->signal_number)
		return ACHAN_SIGNAL_SHARED;
	return handle_event(notifier, info, calls);
}

static int queue_signal(pid_t process_id, pid_t thread, siginfo_t *info)
{
	return ACHAN_RESULT((int)syscall(SYS_rt_tgsigqueueinfo, process_id,
					 thread, info->si_signo, info));
}

int achan_notifier_send_marker(const struct achan_notifier *notifier,
			       uint32_t generation)
{
	siginfo_t info;
	int ret;

	/* The kernel refuses an unknown code with anything else set. */
	memset(&info, 0, sizeof(info));
	info.si_signo = notifier->signal_number;
	info.si_code = MARKER_CODE;
	info.si_pid = notifier->process_id;
	info.si_uid = getuid();
	info.si_value.sival_int = (int)generation;
	ret = queue_signal(notifier->process_id, notifier->owner, &info);
	if (ret != -EAGAIN)
		return ret;
	/* Needs no room in the queue. */
	info.si_signo = SIGIO;
	return queue_signal(notifier->process_id, notifier->owner, &info);
}

static bool is_handled(int number)
{
	struct sigaction action;

	return !sigaction(number, NULL, &action) &&
	       action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN;
}

void achan_notifier_pass_on(const struct achan_notifier *notifier,
			    siginfo_t *info, enum achan_signal_owner owner)
{
	pid_t process_id = notifier->process_id;

	/* The main thread would only take it again. */
	if (notifier->owner == process_id)
		return;
	if (owner == ACHAN_SIGNAL_OURS ||
	    (owner == ACHAN_SIGNAL_SHARED && !is_handled(info->si_signo)))
		return;
	/*
	 * The kernel lets no thread send another one what looks like a signal
	 * of the kernel's or of kill(2): such a one loses its siginfo.
	 */
	if (queue_signal(process_id, process_id, info))
		(void)ACHAN_RESULT((int)syscall(SYS_tgkill, process_id,
						process_id, info->si_signo));
}
