// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * How a transfer ends by a signal: it takes nothing more, delivers what it has
 * taken, or says what is lost, and only then does the signal have its effect.
 *
 * A signal that comes just before a system call would not end its waiting: from
 * the first one on a timer interrupts, again and again, whatever waits.
 */
#include "achanctl.h"

#include <signal.h>
#include <sys/time.h>

#define TICK_NS		(NS_PER_SECOND / 20)

static const int stop_signals[] = { SIGTERM, SIGINT, SIGHUP };

static struct sigaction saved_stops[COUNT_OF(stop_signals)];
static struct sigaction saved_pipe, saved_alarm;
static volatile sig_atomic_t stop_number;

static void set_timer(int64_t first_ns)
{
	const struct itimerval timer = {
		.it_value.tv_sec = (time_t)(first_ns / NS_PER_SECOND),
		.it_value.tv_usec = (suseconds_t)(first_ns % NS_PER_SECOND /
						  1000),
		.it_interval.tv_usec = first_ns ? TICK_NS / 1000 : 0,
	};

	setitimer(ITIMER_REAL, &timer, NULL);
}

static void on_stop(int number)
{
	int saved = errno;

	stop_number = number;
	set_timer(TICK_NS);
	errno = saved;
}

/* Its coming is all that it is for. */
static void on_alarm(int number)
{
	(void)number;
}

static void catch_signal(int number, void (*handler)(int),
			 struct sigaction *saved)
{
	struct sigaction action = { .sa_handler = handler };

	sigemptyset(&action.sa_mask);
	sigaction(number, &action, saved);
}

void stop_begin(void)
{
	sigset_t alarm_only;

	sigemptyset(&alarm_only);
	sigaddset(&alarm_only, SIGALRM);
	catch_signal(SIGALRM, on_alarm, &saved_alarm);
	sigprocmask(SIG_UNBLOCK, &alarm_only, NULL);
	catch_signal(SIGPIPE, SIG_IGN, &saved_pipe);
	for (size_t i = 0; i < COUNT_OF(stop_signals); i++) {
		catch_signal(stop_signals[i], on_stop, &saved_stops[i]);
		/* As nohup(1) and a shell's "&" have it. */
		if (saved_stops[i].sa_handler == SIG_IGN)
			sigaction(stop_signals[i], &saved_stops[i], NULL);
	}
}

void stop_end(void)
{
	set_timer(0);
	for (size_t i = 0; i < COUNT_OF(stop_signals); i++)
		sigaction(stop_signals[i], &saved_stops[i], NULL);
	sigaction(SIGPIPE, &saved_pipe, NULL);
	sigaction(SIGALRM, &saved_alarm, NULL);
}

bool stopped(void)
{
	return stop_number;
}

void stop_because(int number)
{
	stop_number = number;
}

int stop_raise(void)
{
	if (!stop_number)
		return 0;
	raise(stop_number);
	/* The program was started with the signal ignored or blocked. */
	return 128 + stop_number;
}

/* A stop that came in between has its timer back. */
static void set_alarm(int64_t first_ns)
{
	set_timer(first_ns);
	if (stopped())
		set_timer(TICK_NS);
}

void stop_alarm(int64_t timeout_ns)
{
	if (timeout_ns >= 0)
		set_alarm(timeout_ns < 1000 ? 1000 : timeout_ns);
}

void stop_alarm_off(void)
{
	set_alarm(0);
}
