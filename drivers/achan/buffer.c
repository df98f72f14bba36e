// SPDX-License-Identifier: GPL-2.0-only
/*
 * achan: the user memory of a parked read.
 *
 * A small buffer is pinned, so that whoever brings the record can fill it,
 * from any context. FOLL_PIN, not FOLL_GET: after a fork() the parent would
 * get a copy of the page on its next store, and the record would go to the
 * page it no longer has. FOLL_LONGTERM, since a record may never come.
 *
 * What is large, or cannot be pinned (RLIMIT_MEMLOCK, file mappings that
 * refuse FOLL_LONGTERM), is filled by a worker from within the address space.
 */
#include <linux/capability.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>

#include "achan.h"
#include "compat.h"
#include "keys.h"

/*
 * As drivers/infiniband/core/umem.c; the charge goes with the pins. Who lacks the
 * capability is denied nothing, as the buffer is filled in another way: that is not for
 * the audit log, which every such read of an ordinary user would come into.
 */
static bool charge(struct mm_struct *mm, unsigned int nr)
{
	unsigned long limit = rlimit(RLIMIT_MEMLOCK) >> PAGE_SHIFT;

	if (atomic64_add_return(nr, &mm->pinned_vm) <= limit ||
	    ns_capable_noaudit(&init_user_ns, CAP_IPC_LOCK))
		return true;
	atomic64_sub(nr, &mm->pinned_vm);
	return false;
}

static void unpin(struct achan_buffer *buffer)
{
	unsigned int i;

	for (i = 0; i < buffer->nr; i++)
		unpin_user_page(buffer->pages[i].bv_page);
	buffer->nr = 0;
}

static int pin_segment(struct achan_buffer *buffer, unsigned long address,
		       size_t bytes, unsigned int room)
{
	struct page *pages[ACHAN_PIN_PAGES];
	unsigned int offset = offset_in_page(address);
	int i, got, nr = DIV_ROUND_UP(offset + bytes, PAGE_SIZE);

	if (nr > room - buffer->nr)
		return -E2BIG;
	got = pin_user_pages_fast(address & PAGE_MASK, nr,
				  FOLL_WRITE | FOLL_LONGTERM, pages);
	for (i = 0; i < got; i++) {
		struct bio_vec *bvec = &buffer->pages[buffer->nr++];

		bvec->bv_page = pages[i];
		bvec->bv_offset = offset;
		bvec->bv_len = min_t(size_t, bytes, PAGE_SIZE - offset);
		bytes -= bvec->bv_len;
		offset = 0;
		/* See achan_buffer_unpin(). */
		if (!PageDirty(pages[i]))
			set_page_dirty_lock(pages[i]);
	}
	return got == nr ? 0 : -EFAULT;
}

/* Empty segments are passed over by advancing by nothing. */
static int pin_segments(struct achan_buffer *buffer, unsigned int room)
{
	struct iov_iter iter = buffer->iter;
	size_t bytes;
	int ret;

	for (;;) {
		bytes = min(iter_iov_len(&iter), iov_iter_count(&iter));
		if (bytes) {
			ret = pin_segment(buffer,
					  (unsigned long)iter_iov_addr(&iter),
					  bytes, room);
			if (ret || bytes == iov_iter_count(&iter))
				return ret;
		}
		iov_iter_advance(&iter, bytes);
	}
}

static int pin(struct achan_buffer *buffer, unsigned int nr)
{
	int ret;

	if (!nr)
		return -E2BIG;
	if (!charge(buffer->mm, nr))
		return -ENOMEM;
	ret = pin_segments(buffer, nr);
	if (!ret && buffer->nr == nr)
		return 0;
	unpin(buffer);
	atomic64_sub(nr, &buffer->mm->pinned_vm);
	return ret ?: -EFAULT;
}

/*
 * Context: mmap_lock held. Return: bytes from @address on that no protection key keeps
 * from the calling thread, @bytes at the most. What is not mapped at all is found out
 * when it is filled.
 */
static size_t bytes_allowed(unsigned long address, size_t bytes)
{
	unsigned long end = address + bytes;
	struct vm_area_struct *vma;

	for (vma = find_vma(current->mm, address); vma && vma->vm_start < end;
	     vma = find_vma(current->mm, vma->vm_end))
		if (!achan_key_allows(vma))
			return max(vma->vm_start, address) - address;
	return bytes;
}

/* Return: bytes of the buffer before the first that a key keeps from the caller. */
static size_t count_allowed(const struct achan_buffer *buffer)
{
	size_t bytes, allowed, total = 0;
	struct iov_iter iter = buffer->iter;

	mmap_read_lock(buffer->mm);
	while (iov_iter_count(&iter)) {
		bytes = min(iter_iov_len(&iter), iov_iter_count(&iter));
		allowed = bytes_allowed((unsigned long)iter_iov_addr(&iter),
					bytes);
		total += allowed;
		if (allowed < bytes)
			break;
		iov_iter_advance(&iter, bytes);
	}
	mmap_read_unlock(buffer->mm);
	return total;
}

/*
 * A buffer that is to be filled later by a worker, which has all keys: it ends where
 * the caller's keys end. Return: 0, or -EFAULT if that is its beginning.
 */
static int apply_keys(struct achan_buffer *buffer)
{
	size_t allowed;

	if (!IS_ENABLED(CONFIG_ARCH_HAS_PKEYS))
		return 0;
	allowed = count_allowed(buffer);
	buffer->truncated = allowed < iov_iter_count(&buffer->iter);
	iov_iter_truncate(&buffer->iter, allowed);
	return allowed ? 0 : -EFAULT;
}

/**
 * achan_buffer_pages() - how many pages of a read's buffer are to be pinned
 * @to: the buffer, in the memory of the calling process
 *
 * Return: their number; 0 if there are too many.
 */
unsigned int achan_buffer_pages(const struct iov_iter *to)
{
	int nr = iov_iter_npages(to, ACHAN_PIN_PAGES + 1);

	return nr > ACHAN_PIN_PAGES ? 0 : nr;
}

/**
 * achan_buffer_init() - keep a read's buffer for later
 * @buffer: filled in
 * @to:	    the buffer, in the memory of the calling process; not changed
 * @pages:  room for what is pinned, as long as @buffer is there
 * @nr:	    for how much: what achan_buffer_pages() said
 *
 * Context: may sleep. Return: 0; -ENOMEM; -EFAULT if the caller has not the key to any
 * of it. Whether the buffer was pinned, @buffer->nr tells.
 */
int achan_buffer_init(struct achan_buffer *buffer, struct iov_iter *to,
		      struct bio_vec *pages, unsigned int nr)
{
	buffer->iter = *to;
	buffer->iov = NULL;
	buffer->nr = 0;
	buffer->pages = pages;
	buffer->mm = current->mm;
	buffer->truncated = false;
	buffer->owner = NULL;
	if (!pin(buffer, nr))
		return 0;
	buffer->owner = get_pid(task_tgid(current));
	if (!iter_is_ubuf(to)) {
		/* The caller's array of segments is gone when the call returns. */
		buffer->iov = dup_iter(&buffer->iter, to, GFP_KERNEL_ACCOUNT);
		if (!buffer->iov)
			return -ENOMEM;
	}
	return apply_keys(buffer);
}

/**
 * achan_buffer_has_owner() - is the process still there that submitted the read?
 * @buffer: the buffer, which a worker fills
 *
 * Others may hold references to the users of the address space for a while, this
 * module's workers among them, so their number does not tell. Any thread of the
 * process that has the address space does: not one that is past exit_mm(), or past
 * exec().
 *
 * Context: any. Return: whether there is such a thread.
 */
bool achan_buffer_has_owner(const struct achan_buffer *buffer)
{
	struct task_struct *leader, *thread;
	bool found = false;

	rcu_read_lock();
	leader = pid_task(buffer->owner, PIDTYPE_TGID);
	if (leader)
		for_each_thread(leader, thread)
			found |= READ_ONCE(thread->mm) == buffer->mm;
	rcu_read_unlock();
	return found;
}

/**
 * achan_buffer_unpin() - let go of the pinned pages
 * @buffer:    the buffer
 * @may_sleep: whether the caller may
 *
 * The pages were marked dirty when they were pinned, which takes a page lock.
 * If one has been written back since, it must be marked again, as it holds the
 * record now: block direct I/O does the same.
 *
 * To be called before ki_complete(), after which the charged mm may be gone.
 *
 * Return: false if that needs a caller who may sleep; nothing is done then.
 */
bool achan_buffer_unpin(struct achan_buffer *buffer, bool may_sleep)
{
	unsigned int i, nr = buffer->nr;

	for (i = 0; i < nr; i++) {
		if (PageDirty(buffer->pages[i].bv_page))
			continue;
		if (!may_sleep)
			return false;
		set_page_dirty_lock(buffer->pages[i].bv_page);
	}
	unpin(buffer);
	atomic64_sub(nr, &buffer->mm->pinned_vm);
	return true;
}

/**
 * achan_buffer_free() - free what the buffer holds, its pins being gone
 * @buffer: the buffer
 *
 * Context: any but hard interrupts on PREEMPT_RT.
 */
void achan_buffer_free(struct achan_buffer *buffer)
{
	put_pid(buffer->owner);
	kfree(buffer->iov);
}

/**
 * achan_mm_drop() - leave the address space a worker is in
 * @user: the worker's
 *
 * mmput_async(), since the last mmput() waits for all AIO requests to be
 * completed, which may be the caller's own business.
 */
void achan_mm_drop(struct achan_mm *user)
{
	if (!user->mm)
		return;
	achan_keys_drop(user->keys);
	kthread_unuse_mm(user->mm);
	mmput_async(user->mm);
	user->mm = NULL;
}

/**
 * achan_mm_use() - work in an address space
 * @user: the worker's; { } at first, to be dropped by achan_mm_drop()
 * @mm:	  the address space, whose struct the caller knows to be there
 *
 * Context: a kernel thread. Return: false if it has no users any more.
 */
bool achan_mm_use(struct achan_mm *user, struct mm_struct *mm)
{
	if (user->mm == mm)
		return true;
	achan_mm_drop(user);
	if (!mmget_not_zero(mm))
		return false;
	kthread_use_mm(mm);
	user->keys = achan_keys_take();
	user->mm = mm;
	return true;
}
