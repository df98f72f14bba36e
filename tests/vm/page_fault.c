// SPDX-License-Identifier: GPL-2.0-only
/* Memory whose page faults last until somebody ends them, for the test programs. */
#include "page_fault.h"

#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

bool page_fault_prepare(struct page_fault *fault, size_t length)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	fault->length = length;
	fault->memory = vm_pages(length / vm_page_size());
	fault->uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (fault->uffd < 0)
		return false;
	ck_assert_int_eq(vm_errno(ioctl(fault->uffd, UFFDIO_API, &api)), 0);
	range.range.start = (uintptr_t)fault->memory;
	range.range.len = length;
	ck_assert_int_eq(vm_errno(ioctl(fault->uffd, UFFDIO_REGISTER, &range)),
			 0);
	return true;
}

void page_fault_wait(struct page_fault *fault)
{
	struct uffd_msg message;

	ck_assert_int_eq(vm_poll_wait(fault->uffd, POLLIN), POLLIN);
	ck_assert_int_eq(vm_errno(read(fault->uffd, &message,
				       sizeof(message))), sizeof(message));
	ck_assert_int_eq(message.event, UFFD_EVENT_PAGEFAULT);
}

void page_fault_end(struct page_fault *fault, const char *data)
{
	void *source = vm_pages(fault->length / vm_page_size());
	struct uffdio_copy copy = {
		.dst = (uintptr_t)fault->memory,
		.src = (uintptr_t)source,
		.len = fault->length,
	};

	memcpy(source, data, strlen(data));
	ck_assert_int_eq(vm_errno(ioctl(fault->uffd, UFFDIO_COPY, &copy)), 0);
}
