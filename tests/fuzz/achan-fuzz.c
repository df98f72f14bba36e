// SPDX-License-Identifier: GPL-2.0-only
/*
 * A coverage-guided fuzzer of achan's system calls.
 *
 *	achan-fuzz --seed=S --seconds=T [--sites=N] CORPUS
 *	achan-fuzz --run CORPUS
 *	achan-fuzz --extract --log=LOG --output=DIR CORPUS
 *	achan-fuzz --batch=SEED --log=LOG --output=DIR CORPUS
 *
 * The first one fuzzes. It wants a kernel with KCOV and the module built with
 * KCOV_INSTRUMENT=y. Programs of the corpus, and those that reach code which
 * none before them has reached, are the stuff that new ones are made of. They
 * are made in batches, whose programs depend on nothing but the corpus and the
 * batch's seed. So the log is enough to have them again after a panic:
 *
 *	start S				the seed
 *	corpus NAME			a program of the corpus runs
 *	batch SEED			the programs of this batch run from here on
 *	new HEX				joins the corpus at the end of the batch
 *	keep HEX			is in the reduced corpus
 *	pc SECTION OFFSET		was reached
 *	finding TEXT			a promise was broken; "program HEX" follows
 *	"# ..."				for people
 *
 * --extract turns the log's "keep" programs, or if it ended before them its
 * "new" ones, into files, but for those that the corpus has. --batch writes
 * those of one batch, to be given to --run, which runs each once and shows
 * every call.
 */
#include "fuzz.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BATCH		64

/* A program that takes longer is killed: a page fault may never end. */
#define PROGRAM_MS	1500
/* What cannot be killed in this time hangs in the kernel. */
#define DEATH_MS	60000
/* Of the time there is, what is left for the reduction of the corpus. */
#define REDUCE_PERCENT	20

static struct {
	uint64_t seed;
	uint64_t batch;
	unsigned int seconds;
	unsigned int sites;
	const char *log;
	const char *output;
	const char *corpus;
	enum { FUZZ, RUN, EXTRACT, REMAKE } mode;
} options = { .seconds = 60 };

static struct fuzz_corpus corpus;
static struct fuzz_report *report;
static uint8_t *covered;
static uint8_t *scratch;
static unsigned int executions, timeouts;
static size_t pcs;
static int64_t began_ms, told_ms;

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* --------------------------------------------------------- one program */

static void give_up(const struct fuzz_program *program)
{
	printf("finding %s\nprogram ", report->text);
	fuzz_program_print_hex(program, stdout);
	printf("\n# which is\n");
	fuzz_program_print(program, stdout);
	exit(1);
}

/* Waits for the end of the program's processes, those it has left too. */
static void reap(const struct fuzz_program *program)
{
	int64_t start = now_ms();
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) >= 0 || errno == EINTR) {
		if (pid)
			continue;
		if (now_ms() - start > DEATH_MS) {
			fuzz_finding("a process does not die");
			give_up(program);
		}
		usleep(200);
	}
}

static void wait_for(pid_t pid)
{
	struct pollfd child = {
		.fd = syscall(SYS_pidfd_open, pid, 0),
		.events = POLLIN,
	};

	if (child.fd < 0) {
		perror("achan-fuzz: pidfd_open");
		exit(1);
	}
	if (!poll(&child, 1, PROGRAM_MS))
		timeouts++;
	/* The session's group and, if it has got no group yet, the process. */
	kill(-pid, SIGKILL);
	kill(pid, SIGKILL);
	close(child.fd);
}

/* The coverage is there afterwards, to be collected. */
static void execute(const struct fuzz_program *program, bool trace)
{
	pid_t pid;

	fuzz_coverage_reset();
	fflush(stdout);
	pid = fork();
	if (pid < 0) {
		perror("achan-fuzz: fork");
		exit(1);
	}
	if (!pid) {
		fuzz_run(program, trace);
		_exit(0);
	}
	wait_for(pid);
	reap(program);
	fuzz_health_check();
	executions++;
	if (report->set)
		give_up(program);
}

/* ------------------------------------------------------------- fuzzing */

static void tell(bool always)
{
	int64_t now = now_ms();

	if (!always && now - told_ms < 1000)
		return;
	told_ms = now;
	printf("# %d s: %u programs run, %zu of %u PCs, %zu in the corpus, %u killed\n",
	       (int)((now - began_ms) / 1000), executions, pcs, options.sites,
	       corpus.count, timeouts);
	fflush(stdout);
}

static bool time_is_over(unsigned int percent)
{
	return now_ms() - began_ms > options.seconds * 10LL * percent;
}

/* True if the program reaches all of @wanted. */
static bool reaches(const struct fuzz_program *program, const uint8_t *wanted)
{
	size_t size = fuzz_coverage_size();

	execute(program, false);
	memset(scratch, 0, size);
	fuzz_coverage_collect(scratch);
	for (size_t i = 0; i < size; i++)
		if (wanted[i] && !scratch[i])
			return false;
	return true;
}

/* Takes out the calls without which it reaches @wanted as well. */
static void trim(struct fuzz_program *program, const uint8_t *wanted)
{
	for (uint32_t i = program->count; i-- && program->count > 1;) {
		struct fuzz_program shorter = *program;

		shorter.count--;
		memmove(&shorter.call[i], &shorter.call[i + 1],
			(shorter.count - i) * sizeof(shorter.call[0]));
		if (reaches(&shorter, wanted))
			*program = shorter;
	}
}

static void try_program(struct fuzz_program *program,
			struct fuzz_corpus *found)
{
	size_t size = fuzz_coverage_size();
	uint8_t *before, *wanted;
	size_t new;

	execute(program, false);
	memset(scratch, 0, size);
	if (!fuzz_coverage_collect(scratch))
		return;
	before = malloc(size);
	wanted = malloc(size);
	if (!before || !wanted) {
		perror("achan-fuzz: memory");
		exit(1);
	}
	memcpy(before, covered, size);
	new = fuzz_coverage_collect(covered);
	if (new) {
		for (size_t i = 0; i < size; i++)
			wanted[i] = covered[i] && !before[i];
		pcs += new;
		trim(program, wanted);
		fuzz_corpus_add(found, program, "new");
		printf("new ");
		fuzz_program_print_hex(program, stdout);
		printf("\n");
	}
	free(before);
	free(wanted);
}

static void run_corpus(bool trace)
{
	for (size_t i = 0; i < corpus.count; i++) {
		printf("corpus %s\n", corpus.name[i]);
		execute(&corpus.program[i], trace);
		pcs += fuzz_coverage_collect(covered);
		tell(false);
	}
}

/* What a batch finds takes part from the next one on, see --batch. */
static void run_batch(uint64_t seed)
{
	struct fuzz_corpus found = { 0 };

	printf("batch %016" PRIx64 "\n", seed);
	for (int i = 0; i < BATCH && !time_is_over(100 - REDUCE_PERCENT); i++) {
		struct fuzz_program program;

		fuzz_mutate(&program, &corpus, &seed);
		try_program(&program, &found);
		tell(false);
	}
	for (size_t i = 0; i < found.count; i++)
		fuzz_corpus_add(&corpus, &found.program[i], "new");
	free(found.program);
	free(found.name);
}

static int by_length(const void *a, const void *b)
{
	const struct fuzz_program *one = a, *other = b;

	return (int)one->count - (int)other->count;
}

/*
 * The short ones first, each program stays that reaches something more. Those
 * that there is no time to run again stay too.
 */
static void reduce(void)
{
	uint8_t *reached = calloc(1, fuzz_coverage_size());
	size_t kept = 0;

	if (!reached) {
		perror("achan-fuzz: memory");
		exit(1);
	}
	qsort(corpus.program, corpus.count, sizeof(*corpus.program), by_length);
	for (size_t i = 0; i < corpus.count; i++) {
		if (!time_is_over(100)) {
			execute(&corpus.program[i], false);
			if (!fuzz_coverage_collect(reached))
				continue;
		}
		printf("keep ");
		fuzz_program_print_hex(&corpus.program[i], stdout);
		printf("\n");
		kept++;
	}
	printf("# %zu of %zu programs kept\n", kept, corpus.count);
	free(reached);
}

static int fuzz_for_a_time(void)
{
	uint64_t state = options.seed;
	size_t first;

	printf("start %" PRIu64 "\n", options.seed);
	run_corpus(false);
	first = corpus.count;
	if (!pcs) {
		fputs("no coverage of achan: build the module with KCOV_INSTRUMENT=y\n",
		      stderr);
		return 1;
	}
	tell(true);
	while (!time_is_over(100 - REDUCE_PERCENT))
		run_batch(fuzz_random(&state));
	tell(true);
	reduce();
	fuzz_coverage_print(covered);
	printf("done: %u programs run, %zu of %u PCs reached, %zu new programs, ",
	       executions, pcs, options.sites, corpus.count - first);
	printf("%u killed by time, seed %" PRIu64 "\n", timeouts,
	       options.seed);
	return 0;
}

/* ------------------------------------------------------------- the log */

/*
 * Calls @found with each line of the log that starts with @word and the rest of
 * it. Stops after the line "@last", if there is one.
 */
static void read_log(const char *word, const char *last,
		     void (*found)(const char *text))
{
	FILE *file = fopen(options.log, "r");
	size_t length = strlen(word);
	char line[8192];

	if (!file) {
		perror(options.log);
		exit(1);
	}
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\r\n")] = 0;
		if (last && !strcmp(line, last))
			break;
		if (!strncmp(line, word, length) && line[length] == ' ')
			found(line + length + 1);
	}
	fclose(file);
}

static void add_from_log(const char *text)
{
	struct fuzz_program program;

	if (!fuzz_program_parse_hex(&program, text)) {
		fprintf(stderr, "%s: this is no program: %s\n", options.log,
			text);
		exit(1);
	}
	fuzz_corpus_add(&corpus, &program, "new");
}

static void save(const struct fuzz_program *program, const char *name)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", options.output, name);
	fuzz_program_save(program, path);
}

static bool is_among(const struct fuzz_program *program, size_t first)
{
	for (size_t i = 0; i < first; i++)
		if (fuzz_program_hash(&corpus.program[i]) ==
		    fuzz_program_hash(program))
			return true;
	return false;
}

static int extract(void)
{
	size_t known = corpus.count, written = 0;
	char name[32];

	read_log("keep", NULL, add_from_log);
	if (corpus.count == known)
		read_log("new", NULL, add_from_log);
	for (size_t i = known; i < corpus.count; i++) {
		if (is_among(&corpus.program[i], known))
			continue;
		snprintf(name, sizeof(name), "%016" PRIx64,
			 fuzz_program_hash(&corpus.program[i]));
		save(&corpus.program[i], name);
		written++;
	}
	printf("%zu programs\n", written);
	return 0;
}

static int remake(void)
{
	uint64_t seed = options.batch;
	char last[32];

	snprintf(last, sizeof(last), "batch %016" PRIx64, seed);
	read_log("new", last, add_from_log);
	for (int i = 0; i < BATCH; i++) {
		struct fuzz_program program;
		char name[16];

		fuzz_mutate(&program, &corpus, &seed);
		snprintf(name, sizeof(name), "%02d", i);
		save(&program, name);
	}
	printf("%d programs\n", BATCH);
	return 0;
}

/* ---------------------------------------------------------------- main */

static void die_of_usage(void)
{
	static const char text[] =
		"usage: achan-fuzz --seed=S --seconds=T [--sites=N] CORPUS\n"
		"       achan-fuzz --run CORPUS\n"
		"       achan-fuzz --extract --log=LOG --output=DIR CORPUS\n"
		"       achan-fuzz --batch=SEED --log=LOG --output=DIR CORPUS\n";

	fputs(text, stderr);
	exit(2);
}

static void read_options(int argc, char **argv)
{
	static const struct option known[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "seconds", required_argument, NULL, 't' },
		{ "sites", required_argument, NULL, 'n' },
		{ "log", required_argument, NULL, 'l' },
		{ "output", required_argument, NULL, 'o' },
		{ "run", no_argument, NULL, 'r' },
		{ "extract", no_argument, NULL, 'e' },
		{ "batch", required_argument, NULL, 'b' },
		/* What a program that calls execve() becomes. */
		{ "nothing", no_argument, NULL, '0' },
		{ 0 }
	};
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (option) {
		case 's':
			options.seed = strtoull(optarg, NULL, 0);
			break;
		case 't':
			options.seconds = strtoul(optarg, NULL, 0);
			break;
		case 'n':
			options.sites = strtoul(optarg, NULL, 0);
			break;
		case 'l':
			options.log = optarg;
			break;
		case 'o':
			options.output = optarg;
			break;
		case 'r':
			options.mode = RUN;
			break;
		case 'e':
			options.mode = EXTRACT;
			break;
		case 'b':
			options.mode = REMAKE;
			options.batch = strtoull(optarg, NULL, 16);
			break;
		case '0':
			exit(0);
		default:
			die_of_usage();
		}
	}
	options.corpus = argv[optind];
	if (options.mode >= EXTRACT && (!options.log || !options.output))
		die_of_usage();
	if (!options.corpus)
		die_of_usage();
}

static bool prepare(void)
{
	size_t size = fuzz_coverage_size();

	covered = calloc(1, size);
	scratch = calloc(1, size);
	report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!covered || !scratch || report == MAP_FAILED) {
		perror("achan-fuzz: memory");
		return false;
	}
	/* What a program's processes leave behind is reaped here. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	began_ms = now_ms();
	fuzz_run_prepare(report);
	return fuzz_coverage_open() && fuzz_health_open();
}

int main(int argc, char **argv)
{
	read_options(argc, argv);
	if (!fuzz_corpus_load(&corpus, options.corpus))
		return 1;
	switch (options.mode) {
	case EXTRACT:
		return extract();
	case REMAKE:
		return remake();
	case RUN:
	case FUZZ:
		break;
	}
	if (!prepare())
		return 1;
	if (options.mode == FUZZ)
		return fuzz_for_a_time();
	run_corpus(true);
	printf("done: %u programs run, %zu PCs reached\n", executions, pcs);
	return 0;
}
