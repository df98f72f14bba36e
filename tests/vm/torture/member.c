// SPDX-License-Identifier: GPL-2.0-only
/* Torture: a member: a thread of the first process, or a forked process. */
#include "torture.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

/* The operation at which a member hangs, where that is to be found. */
#define HANGS_AT	3

void member_new_producer(struct member *member, enum domain domain)
{
	uint32_t producer = __atomic_fetch_add(&journal->producers_used, 1,
					       __ATOMIC_RELAXED);

	if (producer >= PRODUCERS - THREADS_MAX) {
		journal_end_round();
		if (producer >= PRODUCERS) {
			__atomic_sub_fetch(&journal->producers_used, 1,
					   __ATOMIC_RELAXED);
			producer = PRODUCERS;
		}
	}
	member->producer[domain] = producer;
	memset(member->next_unit[domain], 0,
	       sizeof(member->next_unit[domain]));
}

void member_init(struct member *member, uint64_t key, bool child)
{
	unsigned int i;

	memset(member, 0, sizeof(*member));
	member->key = key;
	member->child = child;
	for (i = 0; i < DOMAINS; i++)
		member_new_producer(member, i);
	for (i = 0; i < SLOTS; i++)
		member->slots[i] = -1;
}

static int checked(int fd, const char *what)
{
	if (fd < 0)
		journal_fail("%s: %s", what, strerror(errno));
	return fd;
}

/* A child's pipe is its parent's, who looks into it afterwards. */
void member_local_init(struct member *member, struct local *local)
{
	member->local = local;
	local->self = member;
	if (!member->child)
		checked(pipe2(local->pipe, O_CLOEXEC), "pipe2");
	fcntl(local->pipe[0], F_SETFL, O_NONBLOCK);
	local->file = checked(memfd_create("sendfile", MFD_CLOEXEC),
			      "memfd_create");
	local->epoll = checked(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
	local->event = checked(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
			       "eventfd");
	aio_start(member);
	uring_start(member);
	member->process = getpid();
	member->thread = gettid();
	journal_end(member);
	__atomic_store_n(&member->live, true, __ATOMIC_RELEASE);
}

void member_local_free(struct local *local)
{
	close(local->pipe[0]);
	close(local->pipe[1]);
	close(local->file);
	close(local->epoll);
	close(local->event);
}

/* Not by stdio, whose lock another thread may have held at a fork. */
static void trace(const struct member *member, unsigned int doing, long ret)
{
	if (journal->trace)
		dprintf(STDERR_FILENO, "# trace %#llx %llu %s %ld\n",
			(unsigned long long)member->key,
			(unsigned long long)member->number,
			operations[doing].name, ret);
}

/* Early: on a slow kernel a round has but a few operations. */
static void hang_if_injected(const struct member *member)
{
	if (journal->injection != STUCK || member->number != HANGS_AT)
		return;
	__atomic_store_n(&journal->countdown, 0, __ATOMIC_RELAXED);
	while (!journal->failed)
		pause();
}

void member_run(struct member *member, uint64_t operations_wanted)
{
	while (!journal_stopped() &&
	       (!operations_wanted || member->number < operations_wanted)) {
		struct random random = random_of(journal->seed, member->key,
						 member->number);
		unsigned int doing = operations_choose(&random, member->child);
		long ret;

		journal_begin(member, doing, 0);
		hang_if_injected(member);
		ret = operations[doing].run(member, &random);
		trace(member, doing, ret);
		journal_count(doing, member->doing_channel, ret);
		journal_end(member);
		member->number++;
	}
}

void member_rest(struct member *member)
{
	journal_begin(member, REST_CHILD, 0);
	process_rest(member);
	journal_begin(member, REST_URING, 0);
	uring_rest(member);
	journal_begin(member, REST_AIO, 0);
	aio_rest(member);
	journal_end(member);
	__atomic_store_n(&member->live, false, __ATOMIC_RELEASE);
}
