// SPDX-License-Identifier: GPL-2.0-only
/*
 * A level-triggered interrupt line that nothing raises, and the device that has it,
 * for achan-irq to bind to: on any machine. The parameter "disable_at_once" says
 * whether IRQ_DISABLE_UNLAZY is set on the line.
 */
#include <linux/err.h>
#include <linux/irq.h>
#include <linux/irqdesc.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/property.h>

static char *label = "line";
module_param(label, charp, 0400);
MODULE_PARM_DESC(label, "the name that the device asks for");

static bool found_set;
module_param(found_set, bool, 0400);
MODULE_PARM_DESC(found_set, "set IRQ_DISABLE_UNLAZY before there is a driver");

static int line;
static struct platform_device *device;

static int get_disable_at_once(char *buffer, const struct kernel_param *parameter)
{
	return sysfs_emit(buffer, "%d\n",
			  irq_check_status_bit(line, IRQ_DISABLE_UNLAZY));
}

static const struct kernel_param_ops disable_at_once_ops = {
	.get = get_disable_at_once,
};

module_param_cb(disable_at_once, &disable_at_once_ops, NULL, 0400);
MODULE_PARM_DESC(disable_at_once, "whether the line is turned off at once");

static struct platform_device *register_device(void)
{
	struct resource resource = DEFINE_RES_IRQ(line);
	struct property_entry properties[] = {
		PROPERTY_ENTRY_STRING("label", label),
		{ }
	};
	struct platform_device_info info = {
		.name = "achan-irq",
		.id = PLATFORM_DEVID_NONE,
		.res = &resource,
		.num_res = 1,
		.properties = properties,
	};

	return platform_device_register_full(&info);
}

static int __init line_init(void)
{
	line = irq_alloc_desc(NUMA_NO_NODE);
	if (line < 0)
		return line;
	irq_set_chip_and_handler(line, &dummy_irq_chip, handle_level_irq);
	irq_set_status_flags(line, IRQ_LEVEL |
			     (found_set ? IRQ_DISABLE_UNLAZY : 0));
	device = register_device();
	if (!IS_ERR(device))
		return 0;
	irq_free_desc(line);
	return PTR_ERR(device);
}

static void __exit line_exit(void)
{
	platform_device_unregister(device);
	irq_free_desc(line);
}

module_init(line_init);
module_exit(line_exit);

MODULE_DESCRIPTION("An interrupt line for achan-irq");
MODULE_AUTHOR("The achan developers");
MODULE_LICENSE("GPL");
