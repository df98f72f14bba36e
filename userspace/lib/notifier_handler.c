// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The signal handler of SIGNAL mode, and its place in the chain of handlers.
 *
 * Dispositions belong to the process, so this is the library's one piece of
 * global state besides struct achan_process. A handler that was removed can
 * still be called: by a handler that the application installed over it and
 * that calls what it found. It then calls the former one, and nothing else.
 */
#include "internal.h"

struct disposition {
	/* Our handler is installed, or one is that may call it. */
	bool installed;
	/* What it replaced. Read by handlers, so written only if none runs. */
	struct sigaction former;
	/* The former one had SA_RESETHAND and was called. */
	_Atomic bool spent;
};

static struct disposition dispositions[_NSIG];

static bool is_handler(const struct sigaction *action)
{
	return action->sa_flags & SA_SIGINFO ||
	       (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN);
}

static void default_action(int number)
{
	struct sigaction action = { .sa_handler = SIG_DFL };

	/* Blocked while its handler runs: acts once that returns. */
	sigaction(number, &action, NULL);
	(void)raise(number);
}

/*
 * Does what the former action would have done. @may_default: also its default
 * one, which ends the process.
 */
static void call_former(const struct sigaction *former, bool spent,
			bool may_default, int number, siginfo_t *info,
			void *context)
{
	if (!spent && former->sa_flags & SA_SIGINFO) {
		former->sa_sigaction(number, info, context);
	} else if (spent || former->sa_handler == SIG_DFL) {
		if (may_default)
			default_action(number);
	} else if (former->sa_handler != SIG_IGN) {
		former->sa_handler(number);
	}
}

static void handle_signal(int number, siginfo_t *info, void *context)
{
	struct disposition *disposition = &dispositions[number];
	struct achan_process *process = achan_process_peek();
	struct achan_notifier *notifier;
	enum achan_signal_owner owner;
	struct sigaction former;
	unsigned int calls = 0;
	bool spent = false;
	int saved = errno;

	/* Before anything is looked up: achan_handlers_wait() goes by it. */
	atomic_fetch_add(&process->handlers, 1);
	notifier = atomic_load(&process->signal_notifier);
	if (notifier && !achan_notifier_on_owner(notifier))
		notifier = NULL;
	owner = achan_notifier_signal(notifier, info, &calls);
	former = disposition->former;
	if (owner != ACHAN_SIGNAL_OURS && is_handler(&former) &&
	    former.sa_flags & SA_RESETHAND)
		spent = atomic_exchange(&disposition->spent, true);
	atomic_fetch_sub(&process->handlers, 1);
	achan_event_signal(&process->handlers_event);

	if (owner != ACHAN_SIGNAL_OURS)
		call_former(&former, spent, owner == ACHAN_SIGNAL_FOREIGN,
			    number, info, context);
	errno = saved;
}

void achan_handlers_wait(struct achan_process *process)
{
	ACHAN_EVENT_AWAIT(&process->handlers_event,
			  !atomic_load(&process->handlers));
}

static bool is_ours(const struct sigaction *action)
{
	return action->sa_flags & SA_SIGINFO &&
	       action->sa_sigaction == handle_signal;
}

/*
 * The former action is stored before ours is installed, so that the handler
 * finds it from its first call on.
 */
int achan_handler_install(struct achan_process *process, int number)
{
	struct disposition *disposition = &dispositions[number];
	struct sigaction action = {
		.sa_sigaction = handle_signal,
		.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK,
	};
	struct sigaction former;
	int ret;

	ret = ACHAN_RESULT(sigaction(number, NULL, &former));
	if (ret || is_ours(&former))
		return ret;
	/* Chaining to a handler that chains to ours would never end. */
	if (disposition->installed)
		return -EBUSY;
	achan_handlers_wait(process);
	disposition->former = former;
	atomic_store(&disposition->spent, false);
	sigfillset(&action.sa_mask);
	ret = ACHAN_RESULT(sigaction(number, &action, NULL));
	disposition->installed = !ret;
	return ret;
}

void achan_handler_remove(int number)
{
	struct disposition *disposition = &dispositions[number];
	struct sigaction unhandled = { .sa_handler = SIG_DFL };
	const struct sigaction *former = &disposition->former;
	struct sigaction current;

	if (sigaction(number, NULL, &current) || !is_ours(&current))
		return;
	if (atomic_load(&disposition->spent))
		former = &unhandled;
	if (!sigaction(number, former, NULL))
		disposition->installed = false;
}
