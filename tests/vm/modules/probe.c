// SPDX-License-Identifier: GPL-2.0-only
/*
 * A provider that does in every context of the kernel what a test writes to its
 * parameters, and counts what comes of it: a channel named "probe".
 *
 *	push	"CONTEXT COUNT LENGTH": COUNT records, then returns
 *	storm	"CONTEXT COUNT LENGTH": the same, as fast as can be, in the background
 *	hold	"LENGTH": reserves a record and keeps it
 *	settle	"commit" or "discard": the oldest record that is kept
 *	pull	"COUNT SIZE": takes so many records at the most, from process context
 *	figures	read: a line for each counter, NAME VALUE
 *
 * The first bytes of a record are a 64-bit count of the attempts to push one, from 0
 * on; the rest repeats its lowest byte.
 */
#include <linux/achan.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/slab.h>

#include "context.h"

#define LENGTH_MAX	4096
#define HELD_MAX	16

static unsigned int mode = ACHAN_MODE_MESSAGE;
module_param(mode, uint, 0444);
static unsigned int ring_bytes = 8192;
module_param(ring_bytes, uint, 0444);
static unsigned int overflow;
module_param(overflow, uint, 0444);
static unsigned int delivery;
module_param(delivery, uint, 0444);
static unsigned int read_low;
module_param(read_low, uint, 0444);
static unsigned int moderate_usecs;
module_param(moderate_usecs, uint, 0444);
static bool writable;
module_param(writable, bool, 0444);
MODULE_PARM_DESC(writable, "files may write; what they write is pulled by hand");
static bool echo;
module_param(echo, bool, 0444);
MODULE_PARM_DESC(echo, "what is written comes back, from within the call");
static int refuse;
module_param(refuse, int, 0644);
MODULE_PARM_DESC(refuse, "what opening the channel says");

static struct achan *channel;

/* Atomic: contexts meet. What a record says is drawn before it is pushed. */
static atomic64_t attempts, accepted, refused, busy, failed;
static atomic_t opened, closed, written, room, at_once, overlaps, own_calls;
static atomic64_t pulled;
static atomic_t running;

static void *held[HELD_MAX];
static unsigned int held_nr;
static DEFINE_MUTEX(held_lock);

/* True on a processor that is within a call of the provider's own. */
static DEFINE_PER_CPU(int, within);

static void count(int ret)
{
	if (!ret)
		atomic64_inc(&accepted);
	else if (ret == -ENOSPC)
		atomic64_inc(&refused);
	else if (ret == -EBUSY)
		atomic64_inc(&busy);
	else
		atomic64_inc(&failed);
}

static void fill(void *payload, u32 length, u64 number)
{
	memset(payload, (u8)number, length);
	memcpy(payload, &number, min_t(u32, length, sizeof(number)));
}

/*
 * A record of LENGTH_MAX bytes is too much for an interrupt's stack: each context of
 * each processor has memory for one.
 */
static u8 (*payloads)[CONTEXTS][LENGTH_MAX];

void probe_push(enum context context, u32 length)
{
	u64 number = atomic64_inc_return(&attempts) - 1;
	bool stays = !preemptible();
	u8 small[64], *payload = small;

	/* Only who stays on a processor has the memory of one for itself. */
	if (length > sizeof(small) && stays)
		payload = payloads[smp_processor_id()][context];
	else
		length = min_t(u32, length, sizeof(small));
	fill(payload, length, number);
	if (stays)
		this_cpu_inc(within);
	count(achan_push(channel, payload, length));
	if (stays)
		this_cpu_dec(within);
}

static int probe_opened(struct achan *of)
{
	if (refuse)
		return refuse;
	atomic_inc(&opened);
	return 0;
}

static void probe_closed(struct achan *of)
{
	atomic_inc(&closed);
}

/* Every call is to come alone, and from outside of the provider's own calls. */
static void enter_call(atomic_t *calls)
{
	atomic_inc(calls);
	if (atomic_inc_return(&at_once) != 1)
		atomic_inc(&overlaps);
	if (!preemptible() && raw_cpu_read(within))
		atomic_inc(&own_calls);
}

static void leave_call(void)
{
	atomic_dec(&at_once);
}

static void echo_all(void)
{
	u8 data[256];
	ssize_t length;

	while ((length = achan_pull(channel, data, sizeof(data), NULL)) > 0) {
		atomic64_inc(&pulled);
		count(achan_push(channel, data, length));
	}
}

static void probe_written(struct achan *of)
{
	enter_call(&written);
	if (echo)
		echo_all();
	leave_call();
}

static void probe_room(struct achan *of)
{
	atomic_inc(&room);
}

static const struct achan_operations operations = {
	.opened = probe_opened,
	.closed = probe_closed,
	.room = probe_room,
};

static const struct achan_operations operations_written = {
	.opened = probe_opened,
	.closed = probe_closed,
	.written = probe_written,
	.room = probe_room,
};

static int parse(const char *text, enum context *context, unsigned int *times,
		 u32 *length)
{
	char name[16];

	if (sscanf(text, "%15s %u %u", name, times, length) != 3 ||
	    *length < 1 || *length > LENGTH_MAX)
		return -EINVAL;
	return context_find(name, context);
}

static int set_push(const char *text, const struct kernel_param *parameter)
{
	enum context context;
	unsigned int times;
	u32 length;

	return parse(text, &context, &times, &length) ?:
	       context_run(context, times, length);
}

/* One storm of a context at a time. */
static struct storm {
	struct task_struct *task;
	enum context context;
	unsigned int times;
	u32 length;
} storms[CONTEXTS];

static int storm_thread(void *data)
{
	struct storm *storm = data;

	context_run(storm->context, storm->times, storm->length);
	atomic_dec(&running);
	while (!kthread_should_stop())
		msleep(1);
	return 0;
}

static void storm_end(struct storm *storm)
{
	if (storm->task)
		kthread_stop(storm->task);
	storm->task = NULL;
}

static int set_storm(const char *text, const struct kernel_param *parameter)
{
	struct task_struct *task;
	enum context context;
	struct storm *storm;
	unsigned int times;
	u32 length;
	int ret;

	ret = parse(text, &context, &times, &length);
	if (ret)
		return ret;
	if (!context_there(context))
		return -EOPNOTSUPP;
	storm = &storms[context];
	storm_end(storm);
	storm->context = context;
	storm->times = times;
	storm->length = length;
	atomic_inc(&running);
	task = kthread_run(storm_thread, storm, "achan_storm");
	if (IS_ERR(task)) {
		atomic_dec(&running);
		return PTR_ERR(task);
	}
	storm->task = task;
	return 0;
}

static int set_hold(const char *text, const struct kernel_param *parameter)
{
	u32 length;
	void *payload;
	int ret = kstrtou32(text, 0, &length);

	if (ret)
		return ret;
	mutex_lock(&held_lock);
	payload = held_nr < HELD_MAX ? achan_reserve(channel, length) : NULL;
	if (payload) {
		fill(payload, length, atomic64_inc_return(&attempts) - 1);
		held[held_nr++] = payload;
	}
	mutex_unlock(&held_lock);
	return payload ? 0 : -ENOSPC;
}

static int settle_oldest(bool commit)
{
	if (!held_nr)
		return -ENOENT;
	if (commit)
		achan_commit(channel, held[0]);
	else
		achan_discard(channel, held[0]);
	memmove(held, held + 1, --held_nr * sizeof(*held));
	return 0;
}

static int set_settle(const char *text, const struct kernel_param *parameter)
{
	int ret;

	mutex_lock(&held_lock);
	ret = settle_oldest(sysfs_streq(text, "commit"));
	mutex_unlock(&held_lock);
	return ret;
}

static int set_pull(const char *text, const struct kernel_param *parameter)
{
	struct achan_record header;
	unsigned int times;
	u8 data[256];
	ssize_t ret;
	u32 size;

	if (sscanf(text, "%u %u", &times, &size) != 2 || size > sizeof(data))
		return -EINVAL;
	while (times--) {
		ret = achan_pull(channel, data, size, &header);
		if (ret < 0)
			return ret;
		if (ret != header.length)
			return -EIO;
		atomic64_inc(&pulled);
	}
	return 0;
}

static int get_figures(char *buffer, const struct kernel_param *parameter)
{
	return sysfs_emit(buffer,
			  "attempts %lld\naccepted %lld\nrefused %lld\n"
			  "busy %lld\nfailed %lld\nopened %d\nclosed %d\n"
			  "written %d\nroom %d\noverlaps %d\nown_calls %d\n"
			  "pulled %lld\nrunning %d\n",
			  atomic64_read(&attempts), atomic64_read(&accepted),
			  atomic64_read(&refused), atomic64_read(&busy),
			  atomic64_read(&failed), atomic_read(&opened),
			  atomic_read(&closed), atomic_read(&written),
			  atomic_read(&room), atomic_read(&overlaps),
			  atomic_read(&own_calls), atomic64_read(&pulled),
			  atomic_read(&running));
}

static const struct kernel_param_ops push_ops = { .set = set_push };
module_param_cb(push, &push_ops, NULL, 0200);
static const struct kernel_param_ops storm_ops = { .set = set_storm };
module_param_cb(storm, &storm_ops, NULL, 0200);
static const struct kernel_param_ops hold_ops = { .set = set_hold };
module_param_cb(hold, &hold_ops, NULL, 0200);
static const struct kernel_param_ops settle_ops = { .set = set_settle };
module_param_cb(settle, &settle_ops, NULL, 0200);
static const struct kernel_param_ops pull_ops = { .set = set_pull };
module_param_cb(pull, &pull_ops, NULL, 0200);
static const struct kernel_param_ops figures_ops = { .get = get_figures };
module_param_cb(figures, &figures_ops, NULL, 0400);

static int __init probe_init(void)
{
	struct achan_description description = {
		.name = "probe",
		.operations = writable || echo ? &operations_written :
						 &operations,
		.config = {
			.mode = mode,
			.ring_bytes = ring_bytes,
			.overflow = overflow,
			.delivery = delivery,
			.read_low = read_low,
			.moderate_usecs = moderate_usecs,
		},
	};
	int ret;

	payloads = kvcalloc(nr_cpu_ids, sizeof(*payloads), GFP_KERNEL);
	if (!payloads)
		return -ENOMEM;
	ret = context_init();
	if (ret)
		goto err_context;
	channel = achan_create(&description);
	if (!IS_ERR(channel))
		return 0;
	ret = PTR_ERR(channel);
	context_exit();
err_context:
	kvfree(payloads);
	return ret;
}

static void __exit probe_exit(void)
{
	unsigned int i;

	for (i = 0; i < CONTEXTS; i++)
		storm_end(&storms[i]);
	while (!settle_oldest(false))
		;
	achan_destroy(channel);
	context_exit();
	kvfree(payloads);
}

module_init(probe_init);
module_exit(probe_exit);

MODULE_DESCRIPTION("A provider that pushes from every context, for achan's tests");
MODULE_AUTHOR("The achan developers");
MODULE_LICENSE("GPL");
MODULE_INFO(import_ns, "ACHAN");
