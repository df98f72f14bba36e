/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The module itself, for the test programs that load and unload it. They take it
 * away from the others, so they run last, and leave it loaded as it was. As in vm.h,
 * a helper that cannot do its work ends the running case as failed.
 */
#ifndef ACHAN_TESTS_MODULE_H
#define ACHAN_TESTS_MODULE_H

#include "vm.h"

/* What insmod and rmmod say: 0 or -errno. */
long module_load(const char *parameters);
long module_unload(void);
/* The same of another module, whose file is in /lib. */
long module_load_other(const char *name, const char *parameters);
long module_unload_other(const char *name);

/* The parameters that the other programs expect. */
const char *module_parameters(void);

/* Unloads it; waits for what other cases had open. */
void module_make_unloaded(void);

/* Nothing of it is left. */
void module_assert_gone(void);

#endif /* ACHAN_TESTS_MODULE_H */
