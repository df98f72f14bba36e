// SPDX-License-Identifier: GPL-2.0-only
#include <linux/completion.h>
#include <linux/hrtimer.h>
#include <linux/irq_work.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#ifdef CONFIG_X86_64
#include <asm/apic.h>
#include <asm/nmi.h>
#endif

#include "compat.h"
#include "context.h"

/* Between two interrupts of a timer. */
#define PERIOD_NS	20000

static const char *const names[] = {
	[CONTEXT_TASK]	  = "task",
	[CONTEXT_SPIN]	  = "spin",
	[CONTEXT_RAW]	  = "raw",
	[CONTEXT_SOFTIRQ] = "softirq",
	[CONTEXT_HARDIRQ] = "hardirq",
	[CONTEXT_IPI]	  = "ipi",
	[CONTEXT_NMI]	  = "nmi",
};

/* What an interrupt has to do still. */
struct job {
	enum context context;
	unsigned int left;
	u32 length;
	struct hrtimer timer;
	struct irq_work work;
	struct completion done;
};

static DEFINE_SPINLOCK(spin);
static DEFINE_RAW_SPINLOCK(raw);

/* Return: whether there is more to do. */
static bool job_step(struct job *job)
{
	probe_push(job->context, job->length);
	if (--job->left)
		return true;
	complete(&job->done);
	return false;
}

static enum hrtimer_restart job_timer(struct hrtimer *timer)
{
	struct job *job = container_of(timer, struct job, timer);

	if (!job_step(job))
		return HRTIMER_NORESTART;
	hrtimer_forward_now(timer, ns_to_ktime(PERIOD_NS));
	return HRTIMER_RESTART;
}

static void job_ipi(struct irq_work *work)
{
	struct job *job = container_of(work, struct job, work);

	if (job_step(job))
		irq_work_queue(work);
}

/* The waiter may go when it is told: what told it is waited for. */
static void run_timer(struct job *job, enum hrtimer_mode mode)
{
	hrtimer_setup(&job->timer, job_timer, CLOCK_MONOTONIC, mode);
	hrtimer_start(&job->timer, ns_to_ktime(PERIOD_NS), mode);
	wait_for_completion(&job->done);
	hrtimer_cancel(&job->timer);
}

static void run_ipi(struct job *job)
{
	job->work = IRQ_WORK_INIT_HARD(job_ipi);
	irq_work_queue(&job->work);
	wait_for_completion(&job->done);
	irq_work_sync(&job->work);
}

static void run_locked(struct job *job)
{
	unsigned long flags;

	for (; job->left; job->left--) {
		if (job->context == CONTEXT_SPIN) {
			spin_lock_irqsave(&spin, flags);
			probe_push(job->context, job->length);
			spin_unlock_irqrestore(&spin, flags);
		} else {
			raw_spin_lock_irqsave(&raw, flags);
			probe_push(job->context, job->length);
			raw_spin_unlock_irqrestore(&raw, flags);
		}
		cond_resched();
	}
}

static void run_task(struct job *job)
{
	for (; job->left; job->left--) {
		probe_push(job->context, job->length);
		cond_resched();
	}
}

#ifdef CONFIG_X86_64
/* The job that NMIs are sent for, and how many of them have come. */
static struct job *nmi_job;
static atomic_t nmi_came;
static DEFINE_MUTEX(nmi_lock);

static int nmi_handler(unsigned int type, struct pt_regs *regs)
{
	struct job *job = READ_ONCE(nmi_job);

	if (!job)
		return NMI_DONE;
	probe_push(CONTEXT_NMI, job->length);
	atomic_inc(&nmi_came);
	return NMI_HANDLED;
}

/*
 * To another processor, so that it comes upon whatever that one does. Each is waited
 * for: two that are on their way are one.
 */
static void run_nmi(struct job *job)
{
	mutex_lock(&nmi_lock);
	WRITE_ONCE(nmi_job, job);
	for (; job->left; job->left--) {
		int before = atomic_read(&nmi_came), cpu, other;

		cpu = get_cpu();
		other = cpumask_any_but(cpu_online_mask, cpu);
		apic->send_IPI(other < nr_cpu_ids ? other : cpu, NMI_VECTOR);
		put_cpu();
		while (atomic_read(&nmi_came) == before)
			cond_resched();
	}
	WRITE_ONCE(nmi_job, NULL);
	mutex_unlock(&nmi_lock);
}

int context_init(void)
{
	return register_nmi_handler(NMI_LOCAL, nmi_handler, 0, "achan_probe");
}

void context_exit(void)
{
	unregister_nmi_handler(NMI_LOCAL, "achan_probe");
}

bool context_there(enum context context)
{
	return true;
}
#else
static void run_nmi(struct job *job)
{
}

int context_init(void)
{
	return 0;
}

void context_exit(void)
{
}

bool context_there(enum context context)
{
	return context != CONTEXT_NMI;
}
#endif

int context_find(const char *name, enum context *context)
{
	int found = match_string(names, CONTEXTS, name);

	*context = found;
	return found < 0 ? found : 0;
}

static void run(struct job *job)
{
	switch (job->context) {
	case CONTEXT_SOFTIRQ:
		run_timer(job, HRTIMER_MODE_REL_SOFT);
		break;
	case CONTEXT_HARDIRQ:
		run_timer(job, HRTIMER_MODE_REL_HARD);
		break;
	case CONTEXT_IPI:
		run_ipi(job);
		break;
	case CONTEXT_NMI:
		run_nmi(job);
		break;
	case CONTEXT_TASK:
		run_task(job);
		break;
	default:
		run_locked(job);
	}
}

int context_run(enum context context, unsigned int times, u32 length)
{
	struct job *job;

	if (!context_there(context))
		return -EOPNOTSUPP;
	if (!times)
		return 0;
	job = kzalloc(sizeof(*job), GFP_KERNEL);
	if (!job)
		return -ENOMEM;
	job->context = context;
	job->left = times;
	job->length = length;
	init_completion(&job->done);
	run(job);
	kfree(job);
	return 0;
}
