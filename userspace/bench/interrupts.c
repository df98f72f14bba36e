// SPDX-License-Identifier: LGPL-2.1-or-later
/* achan-interrupts: the two processes, the rounds, and the table. */
#define _GNU_SOURCE
#include "clock.h"
#include "interrupts.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#define WARM_UP_ROUNDS	100
#define ROUNDS		501	/* odd: the median is one of them */

/* A model that is not done after so many seconds hangs. */
#define LIMIT_SECONDS	120

/* The two processes share it. Times are CLOCK_MONOTONIC in nanoseconds. */
struct shared {
	uint32_t datum;			/* to be raised */
	uint64_t raised;		/* right before the store */
	uint64_t handler[ROUNDS];	/* from there until the handler began */
	uint64_t has_datum[ROUNDS];	/* until the program has the datum */
	uint64_t ready[ROUNDS];		/* until the next interrupt can come */
	bool handler_known;
};

static struct shared *shared;
static int go_fd;

static const struct setup setups[] = {
	{ "UIO, INTx", "uio_pci_generic", false, uio_models },
	{ "achan, INTx", "achan-edu", false, achan_models },
	{ "achan, MSI", "achan-edu", true, achan_models },
};

bool failed(const char *what, const char *on, int error)
{
	fprintf(stderr, "achan-interrupts: %s: %s%s%s\n", on, what, error ? ": " : "",
		error ? strerror(error) : "");
	return false;
}

/* Never one of the bits by which the device tells of its own work. */
static uint32_t datum_of(unsigned int round)
{
	return (round % 1000 + 1) << 9;
}

static void raise_interrupts(const struct edu *edu)
{
	volatile uint32_t *raise = &edu->registers[EDU_RAISE];
	uint64_t go;

	while (read(go_fd, &go, sizeof(go)) == sizeof(go)) {
		uint32_t datum = shared->datum;

		shared->raised = now();
		*raise = datum;
	}
	_exit(1);
}

static bool stay_on_one_processor(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	return !sched_setaffinity(0, sizeof(set), &set) ||
	       failed("sched_setaffinity", "processor 0", errno);
}

/* What is written to go_fd wakes the raiser, who runs when this one sleeps. */
static bool receive(struct receiver *receiver, unsigned int round)
{
	const uint64_t go = 1;
	uint64_t has_datum;
	uint32_t datum;

	shared->datum = datum_of(round);
	if (write(go_fd, &go, sizeof(go)) != sizeof(go))
		return failed("write", "eventfd", errno);
	if (!receiver->model->wait(receiver, &datum))
		return false;
	has_datum = now();
	if (receiver->model->rearm && !receiver->model->rearm(receiver))
		return false;
	if (datum != shared->datum)
		return failed("another datum than was raised", receiver->model->name, 0);
	if (round < WARM_UP_ROUNDS)
		return true;
	round -= WARM_UP_ROUNDS;
	shared->ready[round] = now() - shared->raised;
	shared->has_datum[round] = has_datum - shared->raised;
	shared->handler[round] = receiver->handled - shared->raised;
	shared->handler_known = receiver->handled;
	return true;
}

static int run_receiver(const struct model *model, struct edu *edu)
{
	struct receiver receiver = { .model = model, .edu = edu };
	const struct sched_param priority = { .sched_priority = 1 };
	unsigned int round;

	alarm(LIMIT_SECONDS);
	if (!model->open(&receiver))
		return 1;
	if (sched_setscheduler(0, SCHED_FIFO, &priority) < 0)
		return !failed("sched_setscheduler", "SCHED_FIFO", errno);
	for (round = 0; round < WARM_UP_ROUNDS + ROUNDS; round++)
		if (!receive(&receiver, round))
			return 1;
	return 0;
}

/* Both are children: whatever one of them holds open goes with it. */
static bool run_model(const struct model *model, struct edu *edu)
{
	pid_t raiser, receiver;
	int status;

	fflush(NULL);
	raiser = fork();
	if (!raiser)
		raise_interrupts(edu);
	receiver = fork();
	if (!receiver)
		_exit(run_receiver(model, edu));
	if (raiser < 0 || receiver < 0)
		return failed("fork", model->name, errno);
	waitpid(receiver, &status, 0);
	kill(raiser, SIGKILL);
	waitpid(raiser, NULL, 0);
	if (WIFSIGNALED(status))
		return failed(strsignal(WTERMSIG(status)), model->name, 0);
	return !status;
}

static int by_value(const void *left, const void *right)
{
	const uint64_t *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

static unsigned long long median(uint64_t *values)
{
	qsort(values, ROUNDS, sizeof(*values), by_value);
	return values[ROUNDS / 2];
}

static void print_row(const struct setup *setup, const struct model *model)
{
	char handler[24] = "-";
	unsigned long long has_datum = median(shared->has_datum);

	if (shared->handler_known)
		snprintf(handler, sizeof(handler), "%llu", median(shared->handler));
	printf("| %s | %s | %s | %llu | %llu to %llu | %llu |\n", setup->name, model->name,
	       handler, has_datum, (unsigned long long)shared->has_datum[0],
	       (unsigned long long)shared->has_datum[ROUNDS - 1], median(shared->ready));
	fflush(stdout);
}

static bool run_setup(const struct setup *setup, unsigned int count, struct edu *edu)
{
	unsigned int i;
	bool good = true;

	if (!edu_bind(edu, setup))
		return false;
	for (i = 0; i < count; i++) {
		if (run_model(&setup->models[i], edu))
			print_row(setup, &setup->models[i]);
		else
			good = failed("no figure", setup->models[i].name, 0);
	}
	return good;
}

static void print_unit(void)
{
	double instructions = instructions_in_ns();

	printf("In nanoseconds");
	if (instructions > 0)
		printf("; %.2f instructions each", instructions);
	printf(".\n");
}

static void print_head(const struct utsname *kernel)
{
	printf("Linux %s, %s: from the store that raises the interrupt, median of %d.\n",
	       kernel->release, kernel->machine, ROUNDS);
	print_unit();
	printf("\n| | | driver's handler begins | program has the datum | spread |"
	       " next can come |\n");
	printf("|---|---|---|---|---|---|\n");
}

int main(void)
{
	struct utsname kernel;
	struct edu edu;
	unsigned int i;
	bool good;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	go_fd = eventfd(0, EFD_CLOEXEC);
	if (shared == MAP_FAILED || go_fd < 0 || uname(&kernel) < 0)
		return !failed("cannot start", "achan-interrupts", errno);
	if (!stay_on_one_processor() || !edu_find(&edu) || !edu_map(&edu))
		return 1;
	print_head(&kernel);
	good = run_setup(&setups[0], uio_model_count, &edu);
	for (i = 1; i < sizeof(setups) / sizeof(setups[0]); i++)
		good = run_setup(&setups[i], achan_model_count, &edu) && good;
	return !good;
}
