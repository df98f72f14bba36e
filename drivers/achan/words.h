/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * achan: copies of a short record from and to user memory, by words: for some ten of
 * them that takes less time than to start the processor's copy of a string.
 *
 * Faults are off, so nothing sleeps between begin and end of the access. Nothing else
 * is called either, so they can be made with a raw lock held. Whoever calls sees to
 * fault injection, before that: it takes locks of its own.
 */
#ifndef _ACHAN_WORDS_H
#define _ACHAN_WORDS_H

#include <linux/uaccess.h>
#include <linux/uio.h>

#include "compat.h"

/*
 * Whether the next @bytes of it, which has as many, are a few, and one piece of user
 * memory, from iter_iov_addr() on. Neither side need be aligned.
 */
static __always_inline bool achan_is_for_words(const struct iov_iter *iter,
					       size_t bytes)
{
	return IS_ENABLED(CONFIG_HAVE_EFFICIENT_UNALIGNED_ACCESS) &&
	       bytes <= ACHAN_SHORT_BYTES &&
	       (iter_is_ubuf(iter) || (user_backed_iter(iter) &&
				       iter_iov_len(iter) >= bytes));
}

/* iov_iter_advance(), which for one piece is two sums. */
static inline void achan_pass_over(struct iov_iter *iter, size_t bytes)
{
	if (iter_is_ubuf(iter)) {
		iter->iov_offset += bytes;
		iter->count -= bytes;
	} else {
		iov_iter_advance(iter, bytes);
	}
}

/* Return: whether all @bytes could be read. */
static __always_inline bool achan_words_in(void *kernel,
					   const void __user *user,
					   size_t bytes)
{
	const unsigned long __user *from = user;
	unsigned long *to = kernel;
	size_t i;

	if (!user_read_access_begin(user, bytes))
		return false;
	/* Four at a time, so that the moves are most of the work. */
	for (; bytes >= 4 * sizeof(*to); bytes -= 4 * sizeof(*to)) {
		unsafe_get_user(to[0], from, fault);
		unsafe_get_user(to[1], from + 1, fault);
		unsafe_get_user(to[2], from + 2, fault);
		unsafe_get_user(to[3], from + 3, fault);
		from += 4;
		to += 4;
	}
	for (; bytes >= sizeof(*to); bytes -= sizeof(*to)) {
		unsafe_get_user(to[0], from, fault);
		from++;
		to++;
	}
	for (i = 0; i < bytes; i++)
		unsafe_get_user(((u8 *)to)[i], (const u8 __user *)from + i,
				fault);
	user_read_access_end();
	return true;
fault:
	user_read_access_end();
	return false;
}

/* Return: whether all @bytes could be written. */
static __always_inline bool achan_words_out(const void *kernel,
					    void __user *user, size_t bytes)
{
	const unsigned long *from = kernel;
	unsigned long __user *to = user;
	size_t i;

	if (!user_write_access_begin(user, bytes))
		return false;
	for (; bytes >= 4 * sizeof(*from); bytes -= 4 * sizeof(*from)) {
		unsafe_put_user(from[0], to, fault);
		unsafe_put_user(from[1], to + 1, fault);
		unsafe_put_user(from[2], to + 2, fault);
		unsafe_put_user(from[3], to + 3, fault);
		from += 4;
		to += 4;
	}
	for (; bytes >= sizeof(*from); bytes -= sizeof(*from)) {
		unsafe_put_user(from[0], to, fault);
		from++;
		to++;
	}
	for (i = 0; i < bytes; i++)
		unsafe_put_user(((const u8 *)from)[i], (u8 __user *)to + i,
				fault);
	user_write_access_end();
	return true;
fault:
	user_write_access_end();
	return false;
}

#endif /* _ACHAN_WORDS_H */
