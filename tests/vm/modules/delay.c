// SPDX-License-Identifier: GPL-2.0-only
/*
 * A module that makes a function of the kernel, or of a module, begin late: so a test
 * has a race end as it rarely does. "symbol" is the function, "milliseconds" how late it
 * begins, "calls" how often it was called.
 */
#include <linux/delay.h>
#include <linux/kprobes.h>
#include <linux/module.h>

static char *symbol = "";
module_param(symbol, charp, 0444);
static unsigned int milliseconds;
module_param(milliseconds, uint, 0644);
static unsigned int calls;
module_param(calls, uint, 0444);

static int begin(struct kprobe *probe, struct pt_regs *registers)
{
	WRITE_ONCE(calls, READ_ONCE(calls) + 1);
	mdelay(READ_ONCE(milliseconds));
	return 0;
}

static struct kprobe probe = { .pre_handler = begin };

static int __init delay_init(void)
{
	probe.symbol_name = symbol;
	return register_kprobe(&probe);
}

static void __exit delay_exit(void)
{
	unregister_kprobe(&probe);
}

module_init(delay_init);
module_exit(delay_exit);

MODULE_DESCRIPTION("Delays a function for a test");
MODULE_AUTHOR("The achan developers");
MODULE_LICENSE("GPL");
