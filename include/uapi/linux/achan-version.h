/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The release: of the driver, whose modules say it in /sys/module/MODULE/version, of the
 * library and of the tools. What programs and drivers have to agree on is
 * ACHAN_ABI_VERSION.
 */
#ifndef _UAPI_LINUX_ACHAN_VERSION_H
#define _UAPI_LINUX_ACHAN_VERSION_H

#define ACHAN_VERSION_MAJOR	0
#define ACHAN_VERSION_MINOR	1
#define ACHAN_VERSION_PATCH	0

#endif /* _UAPI_LINUX_ACHAN_VERSION_H */
