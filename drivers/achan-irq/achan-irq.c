// SPDX-License-Identifier: GPL-2.0-only
/*
 * achan-irq: any interrupt line of a board as a channel of timestamped records.
 *
 * The hard handler takes the time and counts. It makes the record too, unless that
 * is left to a thread, to which a small queue leads. A level-triggered line stays
 * active until the device behind it has been served, which only the application can
 * do: each of its interrupts turns the line off, and a write turns it on again.
 *
 * Documentation/achan-irq.rst is for users, with the device tree's node.
 */
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqdesc.h>
#include <linux/kfifo.h>
#include <linux/mod_devicetable.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/property.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include <linux/achan.h>
#include <uapi/linux/achan-irq.h>

/* Interrupts that the thread may be behind. A power of two. */
#define IRQ_BACKLOG	64

/* Bit of the line's state: turned off, by an interrupt or by a write. */
#define LINE_OFF	0

/**
 * struct achan_irq_line - an interrupt line
 * @channel:	 where its records go
 * @dev:	 the device that has it
 * @irq:	 its number
 * @level:	 it is level-triggered
 * @debounce_ns: an interrupt that comes so soon after one with a record has none; 0:
 *		 each has one
 * @state:	 LINE_OFF. Who sets it has disabled the line, who clears it enables it.
 * @work:	 obeys what is written: a controller on a slow bus must not be told so
 *		 from where the channel calls
 * @lock:	 one of the two at a time
 * @removed:	 the line is not ours any more; under @lock
 * @counts_lock: protects the counts
 * @count:	 interrupts
 * @debounced:	 of these, the ones that were debounced
 * @missed:	 of these, the ones that found @backlog full
 * @sequence:	 number of the next record
 * @last:	 time of the last interrupt that had a record; only if @sequence
 * @backlog:	 records that the thread is to push. The hard handler puts in, which
 *		 never runs twice at a time, the thread takes out: no lock.
 */
struct achan_irq_line {
	struct achan *channel;
	struct device *dev;
	int irq;
	bool level;
	u64 debounce_ns;
	unsigned long state;
	struct work_struct work;
	struct mutex lock; /* of @work and the removal */
	bool removed;
	raw_spinlock_t counts_lock;
	u64 count;
	u64 debounced;
	u64 missed;
	u64 sequence;
	u64 last;
	DECLARE_KFIFO(backlog, struct achan_irq_record, IRQ_BACKLOG);
};

/*
 * Counts an interrupt and makes its record. Return: whether it has one: it was not
 * debounced, and there is @room.
 */
static bool note(struct achan_irq_line *line, bool room,
		 struct achan_irq_record *record)
{
	u64 now = ktime_get_ns();
	bool debounced, noted;
	unsigned long flags;

	raw_spin_lock_irqsave(&line->counts_lock, flags);
	debounced = line->sequence && now - line->last < line->debounce_ns;
	noted = room && !debounced;
	line->count++;
	line->debounced += debounced;
	line->missed += !debounced && !room;
	*record = (struct achan_irq_record) {
		.sequence = line->sequence,
		.timestamp = now,
		.count = line->count,
		.debounced = line->debounced,
		.missed = line->missed,
		.flags = line->level ? ACHAN_IRQ_DISABLED : 0,
	};
	if (noted) {
		line->sequence++;
		line->last = now;
	}
	raw_spin_unlock_irqrestore(&line->counts_lock, flags);
	return noted;
}

/*
 * A line that is active still would interrupt again at once. Nobody enables it
 * before LINE_OFF is set.
 */
static void quiet(struct achan_irq_line *line)
{
	if (!line->level)
		return;
	disable_irq_nosync(line->irq);
	set_bit(LINE_OFF, &line->state);
}

/*
 * The oldest record makes room. A record that finds none all the same is lost, as
 * achan_push() says: the gap in the records' numbers shows it, and the attribute
 * "enabled" that a level-triggered line waits to be turned on.
 */
static void push(struct achan_irq_line *line,
		 const struct achan_irq_record *record)
{
	achan_push_at(line->channel, record, sizeof(*record),
		      record->timestamp);
}

static irqreturn_t handle_at_once(int irq, void *data)
{
	struct achan_irq_line *line = data;
	struct achan_irq_record record;

	quiet(line);
	if (note(line, true, &record))
		push(line, &record);
	return IRQ_HANDLED;
}

static irqreturn_t handle_for_thread(int irq, void *data)
{
	struct achan_irq_line *line = data;
	struct achan_irq_record record;

	quiet(line);
	if (!note(line, !kfifo_is_full(&line->backlog), &record))
		return IRQ_HANDLED;
	kfifo_put(&line->backlog, record);
	return IRQ_WAKE_THREAD;
}

static irqreturn_t handle_in_thread(int irq, void *data)
{
	struct achan_irq_line *line = data;
	struct achan_irq_record record;

	while (kfifo_get(&line->backlog, &record))
		push(line, &record);
	return IRQ_HANDLED;
}

static void turn_on(struct achan_irq_line *line)
{
	if (test_and_clear_bit(LINE_OFF, &line->state))
		enable_irq(line->irq);
}

/* When disable_irq() returns, a last interrupt may have turned the line off too. */
static void turn_off(struct achan_irq_line *line)
{
	if (test_bit(LINE_OFF, &line->state))
		return;
	disable_irq(line->irq);
	if (test_and_set_bit(LINE_OFF, &line->state))
		enable_irq(line->irq);
}

static void obey(struct achan_irq_line *line, u32 command)
{
	switch (command) {
	case ACHAN_IRQ_ENABLE:
		turn_on(line);
		break;
	case ACHAN_IRQ_DISABLE:
		turn_off(line);
		break;
	default:
		dev_warn_ratelimited(line->dev,
				     "%u was written, which is neither 0 nor 1: ignored\n",
				     command);
	}
}

/* Return: whether there may be more. */
static bool obey_one(struct achan_irq_line *line)
{
	ssize_t length;
	u32 command;

	length = achan_pull(line->channel, &command, sizeof(command), NULL);
	if (length == -EMSGSIZE)
		length = achan_pull(line->channel, NULL, 0, NULL);
	if (length < 0)
		return false;
	if (length == sizeof(command))
		obey(line, command);
	else
		dev_warn_ratelimited(line->dev,
				     "%zd bytes were written, not %zu: ignored\n",
				     length, sizeof(command));
	return true;
}

/* Whoever writes without a pause does not keep the removal from the lock. */
static void obey_what_is_written(struct work_struct *work)
{
	struct achan_irq_line *line =
		container_of(work, struct achan_irq_line, work);
	bool more;

	do {
		mutex_lock(&line->lock);
		more = !line->removed && obey_one(line);
		mutex_unlock(&line->lock);
		cond_resched();
	} while (more);
}

static void written(struct achan *channel)
{
	struct achan_irq_line *line = achan_private(channel);

	queue_work(system_highpri_wq, &line->work);
}

static const struct achan_operations operations = {
	.written = written,
};

/* A count is read whole on 32 bits as well. */
static ssize_t show_count(struct achan_irq_line *line, const u64 *count,
			  char *buffer)
{
	u64 value;

	raw_spin_lock_irq(&line->counts_lock);
	value = *count;
	raw_spin_unlock_irq(&line->counts_lock);
	return sysfs_emit(buffer, "%llu\n", value);
}

static ssize_t count_show(struct device *dev,
			  struct device_attribute *attribute, char *buffer)
{
	struct achan_irq_line *line = dev_get_drvdata(dev);

	return show_count(line, &line->count, buffer);
}
static DEVICE_ATTR_RO(count);

static ssize_t debounced_show(struct device *dev,
			      struct device_attribute *attribute, char *buffer)
{
	struct achan_irq_line *line = dev_get_drvdata(dev);

	return show_count(line, &line->debounced, buffer);
}
static DEVICE_ATTR_RO(debounced);

static ssize_t missed_show(struct device *dev,
			   struct device_attribute *attribute, char *buffer)
{
	struct achan_irq_line *line = dev_get_drvdata(dev);

	return show_count(line, &line->missed, buffer);
}
static DEVICE_ATTR_RO(missed);

static ssize_t enabled_show(struct device *dev,
			    struct device_attribute *attribute, char *buffer)
{
	struct achan_irq_line *line = dev_get_drvdata(dev);

	return sysfs_emit(buffer, "%d\n", !test_bit(LINE_OFF, &line->state));
}
static DEVICE_ATTR_RO(enabled);

static struct attribute *line_attrs[] = {
	&dev_attr_count.attr,
	&dev_attr_debounced.attr,
	&dev_attr_missed.attr,
	&dev_attr_enabled.attr,
	NULL
};
ATTRIBUTE_GROUPS(line);

static void disable_lazily(void *data)
{
	struct achan_irq_line *line = data;

	irq_clear_status_flags(line->irq, IRQ_DISABLE_UNLAZY);
}

/*
 * Or a line would be turned off only when it interrupts once more. free_irq() takes the
 * flag back; where the probe fails before there is a handler, nobody else does.
 */
static int disable_at_once(struct achan_irq_line *line)
{
	if (irq_check_status_bit(line->irq, IRQ_DISABLE_UNLAZY))
		return 0;
	irq_set_status_flags(line->irq, IRQ_DISABLE_UNLAZY);
	return devm_add_action_or_reset(line->dev, disable_lazily, line);
}

static int find_trigger(struct achan_irq_line *line)
{
	struct irq_data *data = irq_get_irq_data(line->irq);

	line->level = data && (irqd_is_level_type(data) ||
			       irqd_get_trigger_type(data) &
			       IRQ_TYPE_LEVEL_MASK);
	if (line->level && line->debounce_ns)
		return dev_err_probe(line->dev, -EINVAL,
				     "debounce-delay-ms is for an edge-triggered line: remove it\n");
	return line->level ? disable_at_once(line) : 0;
}

/*
 * IRQF_NO_THREAD: the time is that of the hard handler, also where the kernel makes
 * threads of handlers; achan_push() may be called there. It says nothing against a
 * thread that is asked for. A line whose controller is on a slow bus has no hard
 * handler, and a thread in any case.
 */
static int request_line(struct achan_irq_line *line)
{
	const char *name = achan_name(line->channel);
	int error;

	if (device_property_read_bool(line->dev, "achan,threaded") &&
	    !irq_check_status_bit(line->irq, IRQ_NESTED_THREAD))
		error = devm_request_threaded_irq(line->dev, line->irq,
						  handle_for_thread,
						  handle_in_thread,
						  IRQF_NO_THREAD, name, line);
	else
		error = devm_request_any_context_irq(line->dev, line->irq,
						     handle_at_once,
						     IRQF_NO_THREAD, name,
						     line);
	if (error < 0)
		return dev_err_probe(line->dev, error,
				     "cannot request interrupt %d\n",
				     line->irq);
	return 0;
}

static void cancel_work_of(void *line)
{
	cancel_work_sync(&((struct achan_irq_line *)line)->work);
}

/* Before the line is freed: who enabled it later would enable what is not ours. */
static void stop_obeying(void *data)
{
	struct achan_irq_line *line = data;

	mutex_lock(&line->lock);
	line->removed = true;
	mutex_unlock(&line->lock);
}

static int create_channel(struct achan_irq_line *line)
{
	struct achan_description description = {
		.parent = line->dev,
		.operations = &operations,
		.private = line,
		.config = {
			.mode = ACHAN_MODE_MESSAGE,
			.overflow = ACHAN_OVERFLOW_OVERWRITE,
		},
	};

	device_property_read_string(line->dev, "label", &description.name);
	line->channel = devm_achan_create(line->dev, &description);
	if (IS_ERR(line->channel))
		return dev_err_probe(line->dev, PTR_ERR(line->channel),
				     "cannot create the channel \"%s\"\n",
				     description.name ?: "");
	return 0;
}

static int read_properties(struct achan_irq_line *line)
{
	u32 delay_ms = 0;

	line->irq = platform_get_irq(to_platform_device(line->dev), 0);
	if (line->irq < 0)
		return line->irq;
	device_property_read_u32(line->dev, "debounce-delay-ms", &delay_ms);
	line->debounce_ns = (u64)delay_ms * NSEC_PER_MSEC;
	return find_trigger(line);
}

/*
 * What is done last is undone first: nothing is obeyed any more, the line goes,
 * the channel goes, and then nobody can queue the work.
 */
static int achan_irq_probe(struct platform_device *device)
{
	struct achan_irq_line *line;
	int error;

	line = devm_kzalloc(&device->dev, sizeof(*line), GFP_KERNEL);
	if (!line)
		return -ENOMEM;
	line->dev = &device->dev;
	INIT_WORK(&line->work, obey_what_is_written);
	mutex_init(&line->lock);
	raw_spin_lock_init(&line->counts_lock);
	INIT_KFIFO(line->backlog);
	platform_set_drvdata(device, line);
	error = read_properties(line);
	if (error)
		return error;
	error = devm_add_action(&device->dev, cancel_work_of, line);
	if (error)
		return error;
	error = create_channel(line);
	if (error)
		return error;
	error = request_line(line);
	if (error)
		return error;
	return devm_add_action_or_reset(&device->dev, stop_obeying, line);
}

static const struct of_device_id achan_irq_of_match[] = {
	{ .compatible = "achan,irq" },
	{ }
};
MODULE_DEVICE_TABLE(of, achan_irq_of_match);

static struct platform_driver achan_irq_driver = {
	.probe = achan_irq_probe,
	.driver = {
		.name = "achan-irq",
		.of_match_table = achan_irq_of_match,
		.dev_groups = line_groups,
	},
};
module_platform_driver(achan_irq_driver);

MODULE_INFO(import_ns, "ACHAN");
MODULE_DESCRIPTION("Interrupt lines as channels of timestamped records");
MODULE_AUTHOR("The achan developers");
MODULE_VERSION(ACHAN_RELEASE);
MODULE_LICENSE("GPL");
