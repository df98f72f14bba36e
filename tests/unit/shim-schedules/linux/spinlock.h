/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * In place of shim/linux/spinlock.h, whose guard it takes, where ring.c is run
 * by the scheduler of test_ring_schedules.c: whatever one thread may see of
 * another is preceded by a point at which the scheduler may let others go on.
 */
#ifndef ACHAN_SHIM_LINUX_SPINLOCK_H
#define ACHAN_SHIM_LINUX_SPINLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint32_t u32;
typedef uint64_t u64;
typedef struct {
	bool held;
} raw_spinlock_t;

enum schedule_access { SCHEDULE_LOCK, SCHEDULE_LOAD, SCHEDULE_STORE };

/* The caller is about to access @bytes at @address. */
void schedule_point(enum schedule_access access, const void *address,
		    size_t bytes);
void schedule_lock(raw_spinlock_t *lock);
void schedule_unlock(raw_spinlock_t *lock);

/*
 * The newest value at @address is @newest. Return: that, or an older one that a
 * processor may still see there.
 */
u32 schedule_loaded(const void *address, size_t bytes, u32 newest,
		    bool acquire);

/* @value is about to be stored at @address. */
void schedule_storing(const void *address, size_t bytes, u32 value,
		      bool release);

#define SCHEDULE_LOAD_AS(p, order)					\
({									\
	schedule_point(SCHEDULE_LOAD, p, sizeof(*(p)));			\
	(__typeof__(*(p)))schedule_loaded(p, sizeof(*(p)),		\
					  __atomic_load_n(p, order),	\
					  (order) == __ATOMIC_ACQUIRE);	\
})

#define SCHEDULE_STORE_AS(p, v, order)					\
do {									\
	__typeof__(*(p)) stored = (v);					\
									\
	schedule_point(SCHEDULE_STORE, p, sizeof(*(p)));		\
	schedule_storing(p, sizeof(*(p)), stored,			\
			 (order) == __ATOMIC_RELEASE);			\
	__atomic_store_n(p, stored, order);				\
} while (0)

#define raw_spin_lock_init(lock)	((lock)->held = false)
#define raw_spin_lock(lock)		schedule_lock(lock)
#define raw_spin_unlock(lock)		schedule_unlock(lock)

#define READ_ONCE(x)		SCHEDULE_LOAD_AS(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v)	SCHEDULE_STORE_AS(&(x), v, __ATOMIC_RELAXED)
#define smp_load_acquire(p)	SCHEDULE_LOAD_AS(p, __ATOMIC_ACQUIRE)
#define smp_store_release(p, v)	SCHEDULE_STORE_AS(p, v, __ATOMIC_RELEASE)

static inline void *schedule_memset(void *to, int byte, size_t bytes)
{
	schedule_point(SCHEDULE_STORE, to, bytes);
	return memset(to, byte, bytes);
}

#define memset(to, byte, bytes)	schedule_memset(to, byte, bytes)

#endif /* ACHAN_SHIM_LINUX_SPINLOCK_H */
