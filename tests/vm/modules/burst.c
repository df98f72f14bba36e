// SPDX-License-Identifier: GPL-2.0-only
/*
 * A provider that pushes a burst of records when it is told to, for the benchmark: a
 * channel named "burst".
 *
 *	push	"COUNT": so many records at once, from process context
 *
 * A record is eight 64-bit words: its number in the burst, from 0 on, and then 1, 2, 3
 * and so on.
 */
#include <linux/achan.h>
#include <linux/module.h>

#define COUNT_MAX	1024
#define WORDS		8

static struct achan *channel;

static int push_burst(unsigned int count)
{
	u64 record[WORDS];
	unsigned int i;
	int ret;

	for (i = 0; i < WORDS; i++)
		record[i] = i;
	for (i = 0; i < count; i++) {
		record[0] = i;
		ret = achan_push(channel, record, sizeof(record));
		if (ret)
			return ret;
	}
	return 0;
}

/* It can be given to insmod too, which is before there is a channel. */
static int set_push(const char *text, const struct kernel_param *parameter)
{
	unsigned int count;
	int ret = kstrtouint(text, 0, &count);

	if (ret)
		return ret;
	return count <= COUNT_MAX && channel ? push_burst(count) : -EINVAL;
}

static const struct kernel_param_ops push_ops = { .set = set_push };

module_param_cb(push, &push_ops, NULL, 0200);
MODULE_PARM_DESC(push, "how many records to push now");

static int __init burst_init(void)
{
	const struct achan_description description = {
		.name = "burst",
		.config.mode = ACHAN_MODE_MESSAGE,
		.config.ring_bytes =
			roundup_pow_of_two(COUNT_MAX *
				ACHAN_RECORD_SIZE(WORDS * sizeof(u64))),
	};

	channel = achan_create(&description);
	return PTR_ERR_OR_ZERO(channel);
}

static void __exit burst_exit(void)
{
	achan_destroy(channel);
}

module_init(burst_init);
module_exit(burst_exit);

MODULE_DESCRIPTION("A provider that pushes bursts, for achan's benchmark");
MODULE_AUTHOR("The achan developers");
MODULE_LICENSE("GPL");
MODULE_INFO(import_ns, "ACHAN");
