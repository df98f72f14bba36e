/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * achan: what older kernels lack. The driver is written for the newest kernel;
 * this is the only file that knows a version. Each entry names the release
 * that brought the change, and why the stand-in is right.
 */
#ifndef _ACHAN_COMPAT_H
#define _ACHAN_COMPAT_H

#include <linux/export.h>
#include <linux/fsnotify.h>
#include <linux/hrtimer.h>
#include <linux/uio.h>
#include <linux/version.h>
#include <net/genetlink.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "achan needs Linux 6.1 or newer"
#endif

/*
 * 6.4 made splice() tell those who watch the file that is written. Before, that was
 * left to splice_write().
 */
static inline void achan_splice_modified(struct file *out)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
	fsnotify_modify(out);
#endif
}

/*
 * 6.4 brought iter_iov_addr() and iter_iov_len(), which see an ITER_UBUF as
 * one segment. Before, the two types keep their address in different fields.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
static inline void __user *iter_iov_addr(const struct iov_iter *iter)
{
	if (iter_is_ubuf(iter))
		return iter->ubuf + iter->iov_offset;
	return iter->iov->iov_base + iter->iov_offset;
}

static inline size_t iter_iov_len(const struct iov_iter *iter)
{
	if (iter_is_ubuf(iter))
		return iter->count;
	return iter->iov->iov_len - iter->iov_offset;
}
#endif

/*
 * 6.2 made the device const in device_type's devnode(), which looks only.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define achan_const_device	struct device
#else
#define achan_const_device	const struct device
#endif

/*
 * 6.7, and 6.1.68 and 6.6.7 of the older ones, brought groups for CAP_SYS_ADMIN. Before,
 * everybody could join such a group: there is none then.
 */
#ifdef GENL_MCAST_CAP_SYS_ADMIN
#define ACHAN_ADMIN_GROUP	{ .name = ACHAN_GENL_GROUP_ADMIN, \
				  .flags = GENL_MCAST_CAP_SYS_ADMIN },
#else
#define ACHAN_ADMIN_GROUP
#endif

/*
 * 6.13 brought hrtimer_setup(), which sets the function too, in one with the
 * clock; 6.15 took hrtimer_init() away.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
static inline void
hrtimer_setup(struct hrtimer *timer,
	      enum hrtimer_restart (*function)(struct hrtimer *),
	      clockid_t clock, enum hrtimer_mode mode)
{
	hrtimer_init(timer, clock, mode);
	timer->function = function;
}
#endif

/*
 * 6.13 made the namespace of a symbol a string. It was a word before, which became
 * one.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
#define ACHAN_NAMESPACE		ACHAN
#else
#define ACHAN_NAMESPACE		"ACHAN"
#endif

/*
 * 6.18 brought RWF_NOSIGNAL, for which a write without a reader sends no SIGPIPE.
 * Before, no write can ask for that.
 */
#ifndef IOCB_NOSIGNAL
#define IOCB_NOSIGNAL		0
#endif

#endif /* _ACHAN_COMPAT_H */
