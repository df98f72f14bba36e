// SPDX-License-Identifier: GPL-2.0-only
/*
 * achan: loop channels, made when the module is loaded: what is written is
 * read again.
 */
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

#include "achan.h"

#define ACHAN_LOOP_MAX	1024

static unsigned int channels = 1;
module_param(channels, uint, 0444);
MODULE_PARM_DESC(channels, "loop channels to make, 1 to 1024 (default 1)");

static unsigned int ring_bytes[ACHAN_LOOP_MAX] = { 65536 };
static unsigned int ring_bytes_count = 1;
module_param_array(ring_bytes, uint, &ring_bytes_count, 0444);
MODULE_PARM_DESC(ring_bytes, "size of their rings, a power of two, 8192 to 67108864 (default 65536); a comma list gives each channel its own, the last value holds for the rest");

static char *mode[ACHAN_LOOP_MAX] = { "stream" };
static unsigned int mode_count = 1;
module_param_array(mode, charp, &mode_count, 0444);
MODULE_PARM_DESC(mode, "stream or message (default stream); a comma list gives each channel its own, the last value holds for the rest");

module_param_named(parked_max, achan_parked_max, uint, 0444);
MODULE_PARM_DESC(parked_max, "requests that may be parked on a ring in each direction (default 65536)");

module_param_named(parked_bytes, achan_parked_bytes, uint, 0444);
MODULE_PARM_DESC(parked_bytes, "data that parked writes of a ring may hold (default 4194304)");

/* Return: ACHAN_MODE_*, or 0 for a name that is none. */
static u32 mode_of(const char *name)
{
	if (!strcmp(name, "stream"))
		return ACHAN_MODE_STREAM;
	if (!strcmp(name, "message"))
		return ACHAN_MODE_MESSAGE;
	return 0;
}

/* What the parameters say of channel @i. */
static struct achan_config loop_config(unsigned int i)
{
	struct achan_config config = {
		.kind = ACHAN_KIND_LOOP,
		.mode = mode_of(mode[min(i, mode_count - 1)]),
		.ring_bytes = ring_bytes[min(i, ring_bytes_count - 1)],
	};

	return config;
}

static int check_lists(void)
{
	unsigned int i;

	if (ring_bytes_count > channels || mode_count > channels) {
		pr_err("achan: %s has %u values for channels=%u: give one value a channel at the most\n",
		       mode_count > channels ? "mode" : "ring_bytes",
		       max(ring_bytes_count, mode_count), channels);
		return -EINVAL;
	}
	for (i = 0; i < ring_bytes_count; i++) {
		struct achan_config config = loop_config(i);

		if (ring_bytes[i] && !achan_config_check(&config, &init_user_ns))
			continue;
		pr_err("achan: ring_bytes=%u: must be a power of two from %lu to %u\n",
		       ring_bytes[i],
		       max3((unsigned long)ACHAN_RING_BYTES_MIN, PAGE_SIZE,
			    (unsigned long)SHMLBA), ACHAN_RING_BYTES_MAX);
		return -EINVAL;
	}
	for (i = 0; i < mode_count; i++) {
		if (mode_of(mode[i]))
			continue;
		pr_err("achan: mode=%s: must be stream or message\n", mode[i]);
		return -EINVAL;
	}
	return 0;
}

static int check_parameters(void)
{
	if (channels < 1 || channels > ACHAN_LOOP_MAX) {
		pr_err("achan: channels=%u: must be 1 to %u\n", channels,
		       ACHAN_LOOP_MAX);
		return -EINVAL;
	}
	if (!achan_parked_max || !achan_parked_bytes) {
		pr_err("achan: %s=0: must be at least 1\n",
		       achan_parked_max ? "parked_bytes" : "parked_max");
		return -EINVAL;
	}
	return check_lists();
}

/**
 * achan_loop_init() - check the parameters and make the channels they ask for
 *
 * Context: may sleep. Return: 0, or an error, and then there is no channel.
 */
int achan_loop_init(void)
{
	unsigned int i;
	int ret;

	ret = check_parameters();
	if (ret)
		return ret;
	for (i = 0; i < channels; i++) {
		struct achan_config config = loop_config(i);
		static const char *const names[] = { "" };
		u32 minors[1];

		ret = achan_config_check(&config, &init_user_ns) ?:
		      PTR_ERR_OR_ZERO(achan_registry_create(&config, names,
							    minors, NULL));
		if (!ret)
			continue;
		pr_err("achan: cannot make channel %u of %u with ring_bytes=%u: error %d\n",
		       i, channels, config.ring_bytes, ret);
		achan_registry_clear();
		return ret;
	}
	return 0;
}
