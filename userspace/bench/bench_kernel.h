/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bursts of records that the kernel makes: bench->x of them, of BENCH_BYTES, which are
 * eight 64-bit words: the record's number in the burst, from 0 on, and then 1, 2, 3 and
 * so on.
 */
#ifndef ACHAN_BENCH_KERNEL_H
#define ACHAN_BENCH_KERNEL_H

#include "bench.h"

/* bench_kernel.c */
/* Whether a payload is that of the burst's record of this number; else it fails. */
bool is_of_burst(const void *payload, unsigned int number);

/*
 * bench_bpf.c: peers of kernel_figure. @reader and @writer are the ring's descriptor and
 * the program's.
 */
bool bpf_open(struct bench *bench);
bool bpf_open_without_wake_up(struct bench *bench);
bool bpf_open_trigger(struct bench *bench);
bool bpf_turn(struct bench *bench);
bool bpf_trigger_turn(struct bench *bench);
void bpf_close(struct bench *bench);

#endif /* ACHAN_BENCH_KERNEL_H */
