// SPDX-License-Identifier: GPL-2.0-only
/*
 * Faults on purpose: the kernel's fault injection, for the test programs.
 *
 * Who asked is told by fault injection's own filter on the call stack: with
 * fail-nth, only what passes the filter counts. Where each fault happened is
 * told by a return probe on should_fail_ex(), which leaves a stack in the trace
 * buffer: fault injection's own messages would put it into the kernel log, where
 * a stack means trouble.
 */
#include "fail_nth.h"

#include <inttypes.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define DEBUGFS		"/sys/kernel/debug/"
#define TRACEFS		"/sys/kernel/tracing/"
#define PROBE		"achan_fault"
#define PROBE_EVENT	TRACEFS "events/kprobes/" PROBE "/"
#define NTH		"/proc/thread-self/fail-nth"

#define SITES_MAX	256
#define PATHS_MAX	4096
#define SITE_LENGTH	128

/* Deepest that the filter looks: the kernel's own limit. */
#define STACK_DEPTH	32

struct symbol {
	uint64_t address;
	char type;
	bool achan;
	char name[64];
};

/* A memory range of the kernel; end is one behind. */
struct range {
	uint64_t start;
	uint64_t end;
};

/*
 * What failed. A site is a place in achan's code from which something is called
 * that fails; a path is one of the ways that lead through achan and from there
 * down to what failed.
 */
struct faults {
	unsigned int injected;
	unsigned int of_kind[3];
	unsigned int outside;	/* of these: not below a function of achan's */
	unsigned int site_count;
	unsigned int path_count;
	char sites[SITES_MAX][SITE_LENGTH];
	uint64_t paths[PATHS_MAX];
};

static const char * const kinds[] = {
	[FAULT_SLAB] = "failslab",
	[FAULT_PAGE] = "fail_page_alloc",
	[FAULT_COPY] = "fail_usercopy",
};

/* Functions of the kernel that anybody here asks for by name. */
static const char * const kernel_functions[] = {
	"__alloc_object", "___slab_alloc", "do_one_initcall",
};

/* Sorted by address; all of the kernel's, since one ends where the next is. */
static struct symbol *symbols;
static size_t symbol_count;
/* Where achan was when they were read. */
static uint64_t achan_text;

/* Shared by the processes of all cases. */
static struct faults *total;
/* Of the case's own process; the file is of its thread. */
static struct faults since_report;
static unsigned int armed_count;
static int nth_fd = -1;
static bool traced;

static bool exists(const char *path)
{
	struct stat status;

	return !stat(path, &status);
}

const char *fault_unsupported(void)
{
	if (!exists(NTH))
		return "no " NTH " (CONFIG_FAULT_INJECTION_DEBUG_FS)";
	if (!exists(DEBUGFS "failslab/require-start"))
		return "no failslab with a filter (CONFIG_FAILSLAB, _STACKTRACE_FILTER)";
	if (!exists(DEBUGFS "fail_page_alloc"))
		return "no fail_page_alloc (CONFIG_FAIL_PAGE_ALLOC)";
	if (!exists(DEBUGFS "fail_usercopy"))
		return "no fail_usercopy (CONFIG_FAULT_INJECTION_USERCOPY)";
	return NULL;
}

static bool try_set(const char *path, const char *value, int flags)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | flags);
	ssize_t put;

	if (fd < 0)
		return false;
	put = write(fd, value, strlen(value));
	close(fd);
	return put == (ssize_t)strlen(value);
}

static void set(enum fault_kind kind, const char *name, const char *value)
{
	char path[96];

	snprintf(path, sizeof(path), DEBUGFS "%s/%s", kinds[kind], name);
	ck_assert_msg(try_set(path, value, 0), "write \"%s\" to %s: %s", value,
		      path, strerror(errno));
}

static void set_number(enum fault_kind kind, const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%#" PRIx64, value);
	set(kind, name, text);
}

/* "times" and "space" are signed numbers. */
static void set_count(enum fault_kind kind, const char *name, int value)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", value);
	set(kind, name, text);
}

static int compare_symbols(const void *left, const void *right)
{
	const struct symbol *a = left, *b = right;

	return a->address < b->address ? -1 : a->address > b->address;
}

static bool is_kernel_function(const char *name)
{
	size_t i;

	for (i = 0; i < VM_ARRAY_SIZE(kernel_functions); i++)
		if (!strcmp(name, kernel_functions[i]))
			return true;
	return false;
}

/* "ADDRESS TYPE NAME" or "ADDRESS TYPE NAME\t[MODULE]" */
static bool parse_symbol(const char *line, struct symbol *symbol)
{
	char name[256], module[80] = "";

	if (sscanf(line, "%" SCNx64 " %c %255s %79s", &symbol->address,
		   &symbol->type, name, module) < 3)
		return false;
	symbol->achan = !strcmp(module, "[achan]");
	/* Of the others only the address is of use. */
	symbol->name[0] = 0;
	if (symbol->achan || is_kernel_function(name))
		snprintf(symbol->name, sizeof(symbol->name), "%.63s", name);
	return true;
}

/* Where achan is; 0 if it is not loaded. */
static uint64_t find_achan(void)
{
	FILE *file = fopen("/sys/module/achan/sections/.text", "re");
	uint64_t address = 0;

	if (file) {
		if (fscanf(file, "%" SCNx64, &address) != 1)
			address = 0;
		fclose(file);
	}
	return address;
}

static void read_symbols(void)
{
	FILE *file = fopen("/proc/kallsyms", "re");
	size_t size = 0, room = 0;
	char *line = NULL;

	ck_assert_msg(file, "open /proc/kallsyms: %s", strerror(errno));
	free(symbols);
	symbols = NULL;
	symbol_count = 0;
	achan_text = find_achan();
	while (getline(&line, &size, file) > 0) {
		if (symbol_count == room) {
			room = room ? 2 * room : 65536;
			symbols = reallocarray(symbols, room, sizeof(*symbols));
			ck_assert_ptr_nonnull(symbols);
		}
		symbol_count += parse_symbol(line, &symbols[symbol_count]);
	}
	free(line);
	fclose(file);
	ck_assert_msg(symbols, "/proc/kallsyms is empty");
	qsort(symbols, symbol_count, sizeof(*symbols), compare_symbols);
}

static bool is_text(const struct symbol *symbol)
{
	return strchr("tT", symbol->type);
}

/* From achan's first function to what follows the last one. */
static struct range achan_range(void)
{
	struct range range = { 0 };
	size_t i, last = 0;

	for (i = 0; i < symbol_count; i++) {
		if (!symbols[i].achan || !is_text(&symbols[i]))
			continue;
		if (!range.start)
			range.start = symbols[i].address;
		last = i;
	}
	ck_assert_msg(range.start, "/proc/kallsyms knows nothing of achan");
	if (last + 1 < symbol_count && symbols[last + 1].achan)
		range.end = symbols[last + 1].address;
	else
		range.end = symbols[last].address + 4096;
	return range;
}

/* Empty if there is no such function. */
static struct range function_range(const char *name)
{
	struct range range = { 0 };
	size_t i;

	for (i = 0; i < symbol_count; i++) {
		if (range.start && symbols[i].address > range.start) {
			range.end = symbols[i].address;
			break;
		}
		if (!range.start && is_text(&symbols[i]) &&
		    !strcmp(symbols[i].name, name))
			range.start = symbols[i].address;
	}
	return range;
}

void fault_within(const char *function)
{
	struct range range = { 0, UINT64_MAX };
	size_t i;

	if (achan_text != find_achan())
		read_symbols();
	if (function && !strcmp(function, FAULT_ACHAN))
		range = achan_range();
	else if (function)
		range = function_range(function);
	ck_assert_msg(range.end, "/proc/kallsyms has no function %s", function);
	for (i = 0; i < VM_ARRAY_SIZE(kinds); i++) {
		set_number(i, "require-start", range.start);
		set_number(i, "require-end", range.end);
	}
}

static void never_below(enum fault_kind kind, const char *function)
{
	struct range range = function_range(function);

	set_number(kind, "reject-start", range.start);
	set_number(kind, "reject-end", range.end);
}

/* Without tracing the faults are counted, but not where they were. */
static bool start_trace(void)
{
	try_set(TRACEFS "kprobe_events", "-:" PROBE, O_APPEND);
	return try_set(TRACEFS "kprobe_events",
		       "r:" PROBE " should_fail_ex failed=$retval:u8",
		       O_APPEND) &&
	       try_set(PROBE_EVENT "filter", "failed==1", 0) &&
	       try_set(PROBE_EVENT "trigger", "stacktrace if failed==1", 0) &&
	       try_set(TRACEFS "options/sym-offset", "1", 0) &&
	       try_set(TRACEFS "trace", "", O_TRUNC) &&
	       try_set(PROBE_EVENT "enable", "1", 0);
}

static void stop_trace(void)
{
	try_set(PROBE_EVENT "enable", "0", 0);
	try_set(PROBE_EVENT "trigger", "!stacktrace if failed==1", 0);
	try_set(TRACEFS "kprobe_events", "-:" PROBE, O_APPEND);
	try_set(TRACEFS "options/sym-offset", "0", 0);
	try_set(TRACEFS "trace", "", O_TRUNC);
}

void fault_setup(void)
{
	size_t i;

	if (fault_unsupported())
		return;
	total = mmap(NULL, sizeof(*total), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(total, MAP_FAILED);
	read_symbols();
	for (i = 0; i < VM_ARRAY_SIZE(kinds); i++) {
		set(i, "verbose", "0");
		set(i, "probability", "0");
		set_number(i, "stacktrace-depth", STACK_DEPTH);
	}
	/* Those that may sleep can fail too, of any size and for any use. */
	set(FAULT_SLAB, "ignore-gfp-wait", "N");
	set(FAULT_PAGE, "ignore-gfp-wait", "N");
	set(FAULT_PAGE, "ignore-gfp-highmem", "N");
	set(FAULT_PAGE, "min-order", "0");
	never_below(FAULT_SLAB, "__alloc_object");
	/* A slab that runs out of pages now and then would upset the count. */
	never_below(FAULT_PAGE, "___slab_alloc");
	traced = start_trace();
}

void fault_teardown(void)
{
	if (fault_unsupported())
		return;
	fault_reset();
	fault_within(FAULT_ANYWHERE);
	stop_trace();
	fault_summary();
}

void fault_trace(bool on)
{
	if (traced)
		ck_assert(try_set(PROBE_EVENT "enable", on ? "1" : "0", 0));
}

void fault_reset(void)
{
	size_t i;

	if (fault_unsupported())
		return;
	for (i = 0; i < VM_ARRAY_SIZE(kinds); i++)
		set(i, "probability", "0");
	if (!traced)
		return;
	ck_assert(try_set(TRACEFS "trace", "", O_TRUNC));
	fault_trace(true);
}

void fault_arm(unsigned int nth)
{
	char text[16];
	int length = snprintf(text, sizeof(text), "%u", nth);

	if (nth_fd < 0)
		nth_fd = open(NTH, O_RDWR | O_CLOEXEC);
	ck_assert_msg(nth_fd >= 0, "open " NTH ": %s", strerror(errno));
	ck_assert_int_eq(vm_errno(pwrite(nth_fd, text, length, 0)), length);
}

bool fault_disarm(void)
{
	char text[16] = "";
	/* If this copy is what fails, nothing before it did. */
	ssize_t got = pread(nth_fd, text, sizeof(text) - 1, 0);
	bool injected = got > 0 && !atoi(text);

	while (pwrite(nth_fd, "0", 1, 0) != 1)
		;
	armed_count += injected;
	return injected;
}

void fault_arm_all(enum fault_kind kind, unsigned int nth, int times)
{
	ck_assert_int_ne(kind, FAULT_SLAB);
	set_count(kind, "times", times);
	/* Each copy, and each page, takes one from it until one is left. */
	set_count(kind, "space", nth);
	set(kind, "probability", "100");
}

int fault_left(enum fault_kind kind)
{
	char path[96], text[16] = "";
	int fd;

	snprintf(path, sizeof(path), DEBUGFS "%s/times", kinds[kind]);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_msg(fd >= 0, "open %s: %s", path, strerror(errno));
	ck_assert_int_gt(vm_errno(read(fd, text, sizeof(text) - 1)), 0);
	close(fd);
	return atoi(text);
}

bool fault_disarm_all(enum fault_kind kind)
{
	bool injected;

	set(kind, "probability", "0");
	injected = !fault_left(kind);
	armed_count += injected;
	return injected;
}

static void add_site(struct faults *faults, const char *site)
{
	unsigned int i;

	for (i = 0; i < faults->site_count; i++)
		if (!strcmp(faults->sites[i], site))
			return;
	if (faults->site_count < SITES_MAX)
		snprintf(faults->sites[faults->site_count++], SITE_LENGTH, "%s",
			 site);
}

static void add_path(struct faults *faults, uint64_t path)
{
	unsigned int i;

	for (i = 0; i < faults->path_count; i++)
		if (faults->paths[i] == path)
			return;
	if (faults->path_count < PATHS_MAX)
		faults->paths[faults->path_count++] = path;
}

static uint64_t hash(uint64_t value, const char *text)
{
	for (; *text; text++)
		value = (value ^ (unsigned char)*text) * 0x100000001b3ull;
	return value;
}

/* The stack that is being read, from what failed towards the system call. */
struct stack {
	bool started;
	bool open;		/* the frames of the probe itself are over */
	enum fault_kind kind;
	char caller[64];
	char callee[64];	/* the frame before this one */
	char site[SITE_LENGTH];
	uint64_t hash;
	uint64_t path;		/* the hash down to the last of achan's frames */
};

static void end_stack(struct stack *stack)
{
	if (!stack->started)
		return;
	stack->started = false;
	since_report.injected++;
	since_report.of_kind[stack->kind]++;
	if (*stack->site) {
		add_site(&since_report, stack->site);
		add_path(&since_report, stack->path);
	} else {
		since_report.outside++;
	}
}

/* should_fail_ex() is the last thing that others call, so not all are seen. */
static enum fault_kind kind_of_caller(const char *caller)
{
	if (!strcmp(caller, "should_failslab"))
		return FAULT_SLAB;
	/* _copy_to_iter(), strncpy_from_user(), ... */
	if (strstr(caller, "copy") || strstr(caller, "cpy"))
		return FAULT_COPY;
	return FAULT_PAGE;
}

/* "... achan_fault: (CALLER+0x../0x.. <- should_fail_ex) failed=1" */
static void begin_stack(struct stack *stack, const char *line)
{
	const char *caller = strchr(line, '(');

	end_stack(stack);
	memset(stack, 0, sizeof(*stack));
	stack->hash = 0xcbf29ce484222325ull;
	if (!caller || sscanf(caller, "(%63[^+]", stack->caller) != 1)
		return;
	stack->kind = kind_of_caller(stack->caller);
	stack->started = true;
}

/* The probe's own frames end where its function was called. */
static bool is_caller(const struct stack *stack, const char *frame)
{
	size_t length = strlen(stack->caller);

	return !strncmp(frame, stack->caller, length) && frame[length] == '+';
}

/*
 * " => FUNCTION+0x../0x.. [MODULE]". A bare number is code of a module that has
 * gone again: of achan, which was not loaded for long. It lies at the same place
 * in its page however often it is loaded.
 */
static void add_frame(struct stack *stack, char *frame)
{
	bool gone = !strncmp(frame, "0x", 2);
	bool achan = gone || strstr(frame, "[achan]");

	stack->open |= is_caller(stack, frame);
	if (!stack->open)
		return;
	/* Where fault_disarm() asks, there is an end to it. */
	if (!strncmp(frame, "proc_fail_nth_", strlen("proc_fail_nth_")))
		stack->started = false;
	if (gone)
		memmove(frame + 2, frame + strlen(frame) - 3, 4);
	frame[strcspn(frame, "/")] = 0;
	stack->hash = hash(stack->hash, frame);
	if (achan)
		stack->path = stack->hash;
	if (achan && !*stack->site)
		snprintf(stack->site, sizeof(stack->site), "%s%.40s calls %s",
			 gone ? "(gone)+" : "", frame, stack->callee);
	frame[strcspn(frame, "+")] = 0;
	snprintf(stack->callee, sizeof(stack->callee), "%.40s", frame);
}

static void read_trace(void)
{
	struct stack stack = { 0 };
	size_t size = 0;
	char *line = NULL;
	FILE *file;

	file = fopen(TRACEFS "trace", "re");
	ck_assert_msg(file, "open " TRACEFS "trace: %s", strerror(errno));
	while (getline(&line, &size, file) > 0) {
		line[strcspn(line, "\n")] = 0;
		if (strstr(line, PROBE ": "))
			begin_stack(&stack, line);
		else if (!strncmp(line, " => ", 4) && stack.started)
			add_frame(&stack, line + 4);
	}
	end_stack(&stack);
	free(line);
	fclose(file);
	ck_assert(try_set(TRACEFS "trace", "", O_TRUNC));
}

static void print(const char *what, const struct faults *faults)
{
	if (!traced) {
		printf("# %s: %u faults; no kprobe events to tell where\n",
		       what, faults->injected);
		return;
	}
	printf("# %s: %u faults (slab %u, page %u, copy %u): ", what,
	       faults->injected, faults->of_kind[FAULT_SLAB],
	       faults->of_kind[FAULT_PAGE], faults->of_kind[FAULT_COPY]);
	printf("%u at %u sites of achan by %u paths, %u outside\n",
	       faults->injected - faults->outside, faults->site_count,
	       faults->path_count, faults->outside);
}

unsigned int fault_report(const char *operation)
{
	unsigned int i;

	memset(&since_report, 0, sizeof(since_report));
	if (traced)
		read_trace();
	else
		since_report.injected = armed_count;
	armed_count = 0;
	print(operation, &since_report);
	total->injected += since_report.injected;
	for (i = 0; i < VM_ARRAY_SIZE(kinds); i++)
		total->of_kind[i] += since_report.of_kind[i];
	total->outside += since_report.outside;
	for (i = 0; i < since_report.site_count; i++)
		add_site(total, since_report.sites[i]);
	for (i = 0; i < since_report.path_count; i++)
		add_path(total, since_report.paths[i]);
	return since_report.injected;
}

static int compare_sites(const void *left, const void *right)
{
	return strcmp(left, right);
}

void fault_summary(void)
{
	unsigned int i;

	qsort(total->sites, total->site_count, SITE_LENGTH, compare_sites);
	for (i = 0; i < total->site_count; i++)
		printf("# site %s\n", total->sites[i]);
	print("fault sweep", total);
}
