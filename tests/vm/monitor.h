/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What happens to the machine from outside, by QEMU's monitor: scripts/guest with
 * --monitor. As in vm.h, a helper that cannot do its work ends the running case as
 * failed.
 */
#ifndef ACHAN_TESTS_MONITOR_H
#define ACHAN_TESTS_MONITOR_H

#include "vm.h"

bool monitor_is_there(void);

/*
 * Has QEMU do @command, one of its human monitor: see "help" there. It is done when
 * this returns, as far as the monitor waits for it. An error fails the case.
 */
void monitor_command(const char *command);

#endif /* ACHAN_TESTS_MONITOR_H */
