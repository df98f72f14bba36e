// SPDX-License-Identifier: LGPL-2.1-or-later
/* The library's version, and its errors in words. */
#include "internal.h"

#include <locale.h>
#include <string.h>

unsigned int achan_version(void)
{
	return ACHAN_VERSION;
}

/* Errors that mean more here than the system's text says; NULL for the others. */
static const char *own_meaning(int error)
{
	switch (error) {
	case EAGAIN:
		return "Nothing there or no room; for a new queue: raise fs.aio-max-nr";
	case E2BIG:
		return "Option that this libachan does not know; use a newer one";
	case EALREADY:
		return "Too late to cancel, or the file cannot; the completion tells";
	case EBADMSG:
		return "Not a whole frame; is the channel read framed?";
	case ECANCELED:
		return "Request cancelled";
	case ECHILD:
		return "Handle belongs to the parent process; open one in this process";
	case EMSGSIZE:
		return "Record larger than the buffer or the channel";
	case ENODEV:
		return "Channel removed";
	case ENOTTY:
		return "Not a channel device";
	case EPROTO:
		return "Driver has another version of the achan ABI; build libachan for it";
	case EPROTONOSUPPORT:
		return "Driver and program speak different versions of achan";
	case ETIMEDOUT:
		return "Time passed";
	default:
		return NULL;
	}
}

/*
 * strerror() speaks the language of the program's locale, and not every libc has a
 * text for each thread. The locale "C" takes no memory: it is never missing.
 */
static const char *general_meaning(int error)
{
	locale_t english = newlocale(LC_ALL_MASK, "C", (locale_t)0);
	const char *text = strerror_l(error, english);

	freelocale(english);
	return text;
}

const char *achan_strerror(int error)
{
	const char *text;
	int saved = errno;

	/* INT_MIN has no positive counterpart. */
	if (error < 0)
		error = error < -4095 ? 4096 : -error;
	text = own_meaning(error);
	if (!text)
		text = general_meaning(error);
	errno = saved;
	return text;
}
