// SPDX-License-Identifier: LGPL-2.1-or-later
/* achan-bench: goes through the figures, and takes the times. */
#define _GNU_SOURCE
#include "bench.h"
#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <termios.h>
#include <unistd.h>

#define REPEATS			3
/* What cannot be counted wanders: its peers take turns, so many times. */
#define ROUNDS			9
#define WARM_UP_TURNS_MIN	16
#define TRACED_TURNS		32U
/* A peer that is not done after so many seconds hangs. */
#define LIMIT_SECONDS		300

static const struct figure *const figures[] = {
	&record_figure,	  &batch_figure,     &kernel_figure, &signal_figure,
	&async_figure,	  &parked_figure,    &cancel_figure, &channels_figure,
	&filled_figure,	  &listeners_figure, &life_figure, &switch_figure, &pair_figure,
	&flow_figure,
};

static unsigned char data[BENCH_BYTES_MAX];
static unsigned char got[BENCH_BYTES_MAX];

/*
 * A module that was built without listeners has its peer in the same figure as the
 * other one, under a name of its own.
 */
static const char bare_name[] = "achan without listeners";
static bool bare;

/* What is measured, for messages; and whether it was found not to fit. */
static const struct figure *figure;
static const struct peer *peer;
static unsigned int at_x;
static bool unfit;

bool failed(const char *what, int error)
{
	fprintf(stderr, "achan-bench: %s: %s, %u: %s%s%s\n", figure->name,
		peer ? peer->name : "before any of its peers", at_x, what,
		error ? ": " : "", error ? strerror(error) : "");
	return false;
}

bool does_not_fit(const char *reason)
{
	printf("skip\t%s\t%s\t%u\t%s\n", figure->name, peer->name, at_x, reason);
	unfit = true;
	return false;
}

bool moved(const char *what, ssize_t got_bytes, size_t wanted)
{
	if (got_bytes == (ssize_t)wanted)
		return true;
	fprintf(stderr, "achan-bench: %s: %s, %u: %s: %zd of %zu bytes%s%s\n",
		figure->name, peer->name, at_x, what, got_bytes, wanted,
		got_bytes < 0 ? ": " : "", got_bytes < 0 ? strerror(errno) : "");
	return false;
}

static bool take_turns(struct bench *bench, unsigned int turns)
{
	while (turns--) {
		if (!peer->turn(bench))
			return false;
	}
	return true;
}

static unsigned int operations(const struct bench *bench, unsigned int turns)
{
	return turns * (peer->at_a_time ? peer->at_a_time(bench) : 1);
}

static bool time_turns(struct bench *bench, unsigned int repeat)
{
	unsigned int warm_up = figure->turns / 10 > WARM_UP_TURNS_MIN ?
			       figure->turns / 10 : WARM_UP_TURNS_MIN;
	uint64_t began;

	if (!take_turns(bench, warm_up))
		return false;
	began = now();
	if (!take_turns(bench, figure->turns))
		return false;
	printf("cost\t%s\t%s\t%u\t%u\t%.2f\n", figure->name,
	       bare ? bare_name : peer->name, at_x, repeat,
	       (double)(now() - began) / operations(bench, figure->turns));
	return true;
}

static struct bench fresh_bench(void)
{
	return (struct bench) {
		.x = at_x,
		.bytes = figure->x_is_bytes ? at_x : BENCH_BYTES,
		.reader = -1,
		.writer = -1,
		.data = data,
		.got = got,
	};
}

static bool measure(unsigned int repeat)
{
	struct bench bench = fresh_bench();
	bool good;

	alarm(LIMIT_SECONDS);
	good = peer->open(&bench) && time_turns(&bench, repeat);
	peer->close(&bench);
	alarm(0);
	return good;
}

/* Its repeats from @first on. */
static bool measure_peer(unsigned int first, unsigned int repeats)
{
	unsigned int repeat;

	unfit = false;
	for (repeat = first; repeat < first + repeats; repeat++) {
		if (!measure(repeat))
			return unfit;
	}
	return true;
}

/*
 * Where peers take turns, none of them alone has the time in which the machine is slow.
 * Counted ones do not: some leave threads behind, which end a second later.
 */
static bool measure_peers(void)
{
	unsigned int rounds = figure->processors ? ROUNDS : 1, round, i;
	unsigned int repeats = figure->processors ? 1 : REPEATS;
	bool good = true;

	for (round = 0; round < rounds; round++) {
		for (i = 0; i < (bare ? 1 : figure->peer_count); i++) {
			peer = &figure->peers[i];
			good = measure_peer(round * repeats, repeats) && good;
		}
	}
	return good;
}

static bool set_processors(bool all)
{
	cpu_set_t set;
	int cpu, cpus = all ? (int)sysconf(_SC_NPROCESSORS_CONF) : 1;

	CPU_ZERO(&set);
	for (cpu = 0; cpu < cpus; cpu++)
		CPU_SET(cpu, &set);
	return !sched_setaffinity(0, sizeof(set), &set);
}

static bool run(void)
{
	const unsigned int *x;
	bool good = true;

	printf("figure\t%s\t%s\t%s\n", figure->name, figure->x_is, figure->title);
	peer = NULL;
	if (!set_processors(figure->processors))
		return failed("sched_setaffinity", errno);
	for (x = figure->xs; *x; x++) {
		at_x = *x;
		good = measure_peers() && good;
	}
	return good;
}

static bool wanted(const char *name, int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], name))
			return true;
	}
	return argc < 2;
}

static int usage(void)
{
	unsigned int i;

	fprintf(stderr, "usage: achan-bench [FIGURE...]\n"
		"       achan-bench --without-listeners, on a module built so\n"
		"       achan-bench --trace MONITOR FIGURE PEER X, for scripts/profile\n"
		"figures:\n");
	for (i = 0; i < COUNT(figures); i++)
		fprintf(stderr, "\t%-10s %s\n", figures[i]->name, figures[i]->title);
	return 2;
}

static bool known(const char *name)
{
	unsigned int i;

	for (i = 0; i < COUNT(figures); i++) {
		if (!strcmp(figures[i]->name, name))
			return true;
	}
	return false;
}

/*
 * Has QEMU's monitor, at @port, carry @command out: when it has, it does the sum behind
 * it.
 */
static bool tell_monitor(int port, const char *command)
{
	char answer[4096] = "";
	size_t length = 0;

	if (dprintf(port, "%s\nprint /d 4000+711\n", command) < 0)
		return failed("QEMU's monitor", errno);
	while (length < sizeof(answer) - 1 && !strstr(answer, "4711")) {
		ssize_t bytes = read(port, answer + length, sizeof(answer) - 1 - length);

		if (bytes <= 0)
			return failed("QEMU's monitor", errno);
		length += (size_t)bytes;
		answer[length] = 0;
	}
	return strstr(answer, "4711") || failed("QEMU's monitor gives no answer", 0);
}

/* What scripts/profile finds the turns by: nothing else makes this call. */
static void mark(void)
{
	syscall(SYS_getppid);
}

/* Some turns, while QEMU logs what it executes. */
static bool trace(const char *name)
{
	struct bench bench = fresh_bench();
	int port = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct termios raw;
	bool good;

	if (port < 0 || tcgetattr(port, &raw) < 0)
		return failed(name, errno);
	cfmakeraw(&raw);
	tcsetattr(port, TCSANOW, &raw);
	set_processors(figure->processors);
	good = peer->open(&bench) && take_turns(&bench, WARM_UP_TURNS_MIN) &&
	       tell_monitor(port, "log exec,nochain");
	if (good) {
		mark();
		good = take_turns(&bench, TRACED_TURNS);
		mark();
		tell_monitor(port, "log none");
	}
	printf("traced\t%u\n", operations(&bench, TRACED_TURNS));
	peer->close(&bench);
	close(port);
	return good;
}

static const struct peer *find_peer(const char *name)
{
	unsigned int i;

	for (i = 0; i < figure->peer_count; i++) {
		if (!strcmp(figure->peers[i].name, name))
			return &figure->peers[i];
	}
	return NULL;
}

static bool find(const char *figure_name, const char *peer_name, const char *x)
{
	unsigned int i;

	for (i = 0; i < COUNT(figures); i++) {
		figure = figures[i];
		if (strcmp(figure->name, figure_name))
			continue;
		peer = find_peer(peer_name);
		at_x = (unsigned int)strtoul(x, NULL, 10);
		return peer && at_x;
	}
	return false;
}

int main(int argc, char **argv)
{
	struct utsname kernel;
	bool good = true;
	unsigned int i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)i;
	if (argc == 6 && !strcmp(argv[1], "--trace")) {
		if (!find(argv[3], argv[4], argv[5]))
			return usage();
		return !trace(argv[2]);
	}
	if (argc == 2 && !strcmp(argv[1], "--without-listeners")) {
		static char record[] = "record", *bare_argv[] = { NULL, record };

		bare = true;
		argv = bare_argv;
	}
	for (i = 1; i < (unsigned int)argc; i++) {
		if (!known(argv[i]))
			return usage();
	}
	uname(&kernel);
	printf("kernel\t%s\t%s\n", kernel.release, kernel.machine);
	printf("unit\t%.2f\n", instructions_in_ns());
	for (i = 0; i < COUNT(figures); i++) {
		figure = figures[i];
		if (wanted(figure->name, argc, argv))
			good = run() && good;
	}
	return !good;
}
