/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the libFuzzer targets share. */
#ifndef ACHAN_FUZZ_TARGET_H
#define ACHAN_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* As assert(), in every build. */
#define require(condition)						\
	do {								\
		if (!(condition))					\
			abort();					\
	} while (0)

#define TARGET_ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

/* Called by libFuzzer. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#endif /* ACHAN_FUZZ_TARGET_H */
