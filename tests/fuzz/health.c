// SPDX-License-Identifier: GPL-2.0-only
/*
 * After each program, its processes being gone, a channel has to be as good
 * as new: nothing parked, nothing claimed or reserved for ever, and what is
 * written comes out again.
 */
#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <linux/achan.h>

#define RECORD	4096
/* For workers that end what the program has left; the guest is slow. */
#define PATIENCE_MS	30000

static int fds[FUZZ_CHANNELS];
static unsigned char buffer[64 << 10];

bool fuzz_health_open(void)
{
	for (int i = 0; i < FUZZ_CHANNELS; i++) {
		char path[32];

		snprintf(path, sizeof(path), "/dev/achan%d", i);
		fds[i] = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		if (fds[i] < 0) {
			perror(path);
			return false;
		}
	}
	return true;
}

static bool round_trip(int fd, unsigned char mark)
{
	memset(buffer, mark, RECORD);
	if (write(fd, buffer, RECORD) != RECORD)
		return false;
	memset(buffer, 0, RECORD);
	if (read(fd, buffer, sizeof(buffer)) != RECORD)
		return false;
	for (int i = 0; i < RECORD; i++)
		if (buffer[i] != mark)
			return false;
	return true;
}

/* What is wrong with the channel, or NULL. */
static const char *trouble(int fd, unsigned char mark)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN | POLLOUT };
	struct achan_info info;
	ssize_t ret;

	do {
		ret = read(fd, buffer, sizeof(buffer));
	} while (ret > 0);
	if (!ret)
		return "read() gives 0";
	if (errno != EAGAIN)
		return "draining it fails";
	if (ioctl(fd, ACHAN_IOC_INFO, &info))
		return "ACHAN_IOC_INFO fails";
	if (info.parked_reads || info.parked_writes)
		return "requests stay parked";
	if (info.bytes)
		return "bytes are left that no read gets";
	if (!round_trip(fd, mark))
		return "a record does not come out as it went in";
	if (poll(&poller, 1, 0) != 1 || poller.revents != POLLOUT)
		return "poll() does not say empty and writable";
	return NULL;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

bool fuzz_health_check(void)
{
	static unsigned char mark;
	int64_t start = now_ms();

	mark++;
	for (int i = 0; i < FUZZ_CHANNELS; i++) {
		const char *what;

		while ((what = trouble(fds[i], mark))) {
			if (now_ms() - start > PATIENCE_MS) {
				fuzz_finding("/dev/achan%d afterwards: %s", i,
					     what);
				return false;
			}
			usleep(1000);
		}
	}
	return true;
}
