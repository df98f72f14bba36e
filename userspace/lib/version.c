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
		return "Not now: nothing to read, no room to write, or short of memory";
	case EACCES:
	case EPERM:
		return "No permission; use sudo, or join the group that owns the channel's node";
	case EBUSY:
		return "In use: request in flight, or taken by another notifier";
	case EEXIST:
		return "Exists already: a channel of that name, or its place in a notifier";
	case EINVAL:
		return "Invalid argument, flag or option; is sz set to the size of the structure?";
	case ENOENT:
		return "No such channel; if there is none at all, load the module: modprobe achan";
	case EPIPE:
		return "Nobody has the channel open for reading";
	case ESHUTDOWN:
		return "The queue or notifier is being freed";
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
		return "Timed out";
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
