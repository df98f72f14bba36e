// SPDX-License-Identifier: GPL-2.0-only
/*
 * Torture: children. A child shares the open files, and does operations of its
 * own until it meets its fate, in most cases with requests in flight.
 */
#include "torture.h"

#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum fate { RESTS, LEAVES, EXECUTES, IS_KILLED, FATES };

/* Half of the children have no room for pins: a worker fills their reads. */
static void forbid_pins(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];
	struct rlimit limit = { 0, 0 };

	if (syscall(SYS_capget, &header, data))
		return;
	data[0].effective &= ~(1u << CAP_IPC_LOCK);
	data[0].permitted &= ~(1u << CAP_IPC_LOCK);
	data[0].inheritable &= ~(1u << CAP_IPC_LOCK);
	syscall(SYS_capset, &header, data);
	setrlimit(RLIMIT_MEMLOCK, &limit);
}

static void child_main(struct member *child, const int *pipe, enum fate fate,
		       struct random *random)
{
	static struct local local;
	char *arguments[] = { (char *)"true", NULL };
	uint64_t operations = 5 + random_below(random, 60);

	if (random_once_in(random, 2))
		forbid_pins();
	local.pipe[0] = pipe[0];
	local.pipe[1] = pipe[1];
	member_local_init(child, &local);
	member_run(child, operations);
	if (fate == RESTS)
		member_rest(child);
	/* Nobody hears of the rest. */
	if (fate == IS_KILLED)
		for (;;)
			pause();
	if (fate == EXECUTES)
		execv("/bin/true", arguments);
	_exit(0);
}

static struct member *new_child(struct member *member)
{
	unsigned int index = __atomic_fetch_add(&journal->members_used, 1,
						__ATOMIC_RELAXED);
	struct random random = random_of(member->key, member->number, 1);

	if (index >= MEMBERS) {
		__atomic_sub_fetch(&journal->members_used, 1,
				   __ATOMIC_RELAXED);
		return NULL;
	}
	member_init(&journal->members[index], random_next(&random), true);
	return &journal->members[index];
}

OPERATION(op_fork)
{
	struct local *local = member->local;
	enum fate fate = random_below(random, FATES);
	int after = random_below(random, 200);
	struct member *child;
	pid_t pid;

	if (local->child || journal_stopped() || !slot_room(member))
		return SKIPPED;
	child = new_child(member);
	if (!child)
		return SKIPPED;
	if (pipe2(local->child_pipe, O_CLOEXEC)) {
		journal_fail("pipe2: %s", strerror(errno));
		return SKIPPED;
	}
	pid = fork();
	if (!pid)
		child_main(child, local->child_pipe, fate, random);
	if (pid < 0) {
		journal_fail("fork: %s", strerror(errno));
		return SKIPPED;
	}
	local->child = child;
	local->child_process = pid;
	local->child_fate = fate;
	local->child_until = vm_now_ms() + after;
	return 0;
}

/* What a splice had put into its pipe and not yet taken out. */
static void suspect_pipe(struct member *member, struct member *child)
{
	int pipe = member->local->child_pipe[0];
	unsigned char *scratch = member->local->scratch;
	ssize_t got;

	fcntl(pipe, F_SETFL, O_NONBLOCK);
	while ((got = read(pipe, scratch, REGION)) > 0)
		oracle_suspect(child->doing_channel, scratch, got);
}

static void bury(struct member *member, int status)
{
	struct local *local = member->local;

	if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL &&
	    local->child_fate != EXECUTES)
		journal_fail("a child was killed by signal %d",
			     WTERMSIG(status));
	suspect_pipe(member, local->child);
	close(local->child_pipe[0]);
	close(local->child_pipe[1]);
	local->child->live = false;
	slot_bury(local->child);
	local->child = NULL;
	journal_count(CHILD_END, 0, 0);
}

/* Kills the child whose time has come, and sees to what is left of one. */
OPERATION(op_tend)
{
	struct local *local = member->local;
	int status;
	long ret;

	if (!local->child)
		return SKIPPED;
	if (local->child_fate == IS_KILLED &&
	    vm_now_ms() >= local->child_until)
		kill(local->child_process, SIGKILL);
	ret = vm_errno(waitpid(local->child_process, &status, WNOHANG));
	if (ret == local->child_process)
		bury(member, status);
	return ret;
}

void process_rest(struct member *member)
{
	struct random random = random_of(0, 0, 0);

	while (member->local->child && !journal->failed) {
		op_tend(member, &random);
		vm_sleep_ms(1);
	}
	/* A stuck one is the watchdog's. */
}
