/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What drivers/achan/ring.c uses of the kernel, for its build in user space:
 * the raw spin lock is a mutex, which the race detectors know.
 */
#ifndef ACHAN_SHIM_LINUX_SPINLOCK_H
#define ACHAN_SHIM_LINUX_SPINLOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

typedef uint32_t u32;
typedef uint64_t u64;
typedef pthread_mutex_t raw_spinlock_t;

#define raw_spin_lock_init(lock)	pthread_mutex_init(lock, NULL)
#define raw_spin_lock(lock)		pthread_mutex_lock(lock)
#define raw_spin_unlock(lock)		pthread_mutex_unlock(lock)

#define READ_ONCE(x)		__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v)	__atomic_store_n(&(x), v, __ATOMIC_RELAXED)
#define smp_load_acquire(p)	__atomic_load_n(p, __ATOMIC_ACQUIRE)
#define smp_store_release(p, v)	__atomic_store_n(p, v, __ATOMIC_RELEASE)

#endif /* ACHAN_SHIM_LINUX_SPINLOCK_H */
