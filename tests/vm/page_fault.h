/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory whose page faults last until somebody ends them, for the test programs: by
 * userfaultfd(2). As in vm.h, a helper that cannot do its work ends the running case
 * as failed.
 */
#ifndef ACHAN_TESTS_PAGE_FAULT_H
#define ACHAN_TESTS_PAGE_FAULT_H

#include "vm.h"

/* Closing @uffd ends all faults, with pages of zeroes. */
struct page_fault {
	int uffd;
	unsigned char *memory;
	size_t length;
};

/*
 * Gets memory of @length bytes, whole pages. False, with the reason in errno, where
 * there is no userfaultfd.
 */
bool page_fault_prepare(struct page_fault *fault, size_t length);

/* Waits until somebody is in a fault. */
void page_fault_wait(struct page_fault *fault);

/* Gives all of the memory its pages, with the text @data in the beginning. */
void page_fault_end(struct page_fault *fault, const char *data);

#endif /* ACHAN_TESTS_PAGE_FAULT_H */
