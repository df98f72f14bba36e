// SPDX-License-Identifier: GPL-2.0-only
/* Programs as data: their text, and how new ones come from old ones. */
#include "fuzz.h"

#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_names[FUZZ_KINDS] = {
	[FUZZ_FD] = "fd",
	[FUZZ_TO] = "to",
	[FUZZ_CHANNEL] = "channel",
	[FUZZ_BUFFER] = "buffer",
	[FUZZ_LENGTH] = "length",
	[FUZZ_BUFFER2] = "buffer2",
	[FUZZ_LENGTH2] = "length2",
	[FUZZ_COUNT] = "count",
	[FUZZ_OFFSET] = "offset",
	[FUZZ_FLAGS] = "flags",
	[FUZZ_EVENTS] = "events",
	[FUZZ_TIMEOUT] = "timeout",
	[FUZZ_COMMAND] = "command",
	[FUZZ_VALUE] = "value",
	[FUZZ_CONTEXT] = "context",
	[FUZZ_REQUEST] = "request",
};

/* Values beyond mean the same again, so there is no use in trying them. */
static const unsigned int kind_bounds[FUZZ_KINDS] = {
	[FUZZ_FD] = 16,
	[FUZZ_TO] = 16,
	[FUZZ_CHANNEL] = FUZZ_CHANNELS,
	[FUZZ_BUFFER] = 256,
	[FUZZ_LENGTH] = 32,
	[FUZZ_BUFFER2] = 256,
	[FUZZ_LENGTH2] = 32,
	[FUZZ_COUNT] = 8,
	[FUZZ_OFFSET] = 8,
	[FUZZ_FLAGS] = 256,
	[FUZZ_EVENTS] = 16,
	[FUZZ_TIMEOUT] = 4,
	[FUZZ_COMMAND] = 32,
	[FUZZ_VALUE] = 16,
	[FUZZ_CONTEXT] = 2,
	[FUZZ_REQUEST] = 16,
};

uint64_t fuzz_random(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
	x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
	return x ^ (x >> 31);
}

static unsigned int below(uint64_t *random, unsigned int bound)
{
	return fuzz_random(random) % bound;
}

/* ---------------------------------------------------------------- text */

static int find_operation(const char *name)
{
	for (unsigned int i = 0; i < fuzz_nr_operations; i++)
		if (!strcmp(fuzz_operations[i].name, name))
			return i;
	return -1;
}

/* "name=number", for one of the operation's arguments. */
static bool parse_argument(struct fuzz_call *call, char *word)
{
	const uint8_t *kind = fuzz_operations[call->operation].kind;
	char *equals = strchr(word, '=');
	char *end;

	if (!equals)
		return false;
	*equals = 0;
	for (int i = 0; i < FUZZ_ARGS; i++) {
		if (!kind[i] || strcmp(kind_names[kind[i]], word))
			continue;
		call->argument[i] = strtoul(equals + 1, &end, 0);
		return end != equals + 1 && !*end;
	}
	return false;
}

static bool parse_line(struct fuzz_program *program, char *line)
{
	struct fuzz_call *call = &program->call[program->count];
	char *word = strtok(line, " \t\n");
	int operation;

	if (!word || *word == '#')
		return true;
	if (program->count == FUZZ_CALLS_MAX)
		return false;
	operation = find_operation(word);
	if (operation < 0)
		return false;
	memset(call, 0, sizeof(*call));
	call->operation = operation;
	while ((word = strtok(NULL, " \t\n")) && *word != '#')
		if (!parse_argument(call, word))
			return false;
	program->count++;
	return true;
}

bool fuzz_program_load(struct fuzz_program *program, const char *path)
{
	FILE *file = fopen(path, "r");
	char line[256];
	unsigned int number = 0;
	bool good = true;

	if (!file) {
		perror(path);
		return false;
	}
	program->count = 0;
	while (good && fgets(line, sizeof(line), file)) {
		number++;
		good = parse_line(program, line);
	}
	fclose(file);
	if (!good)
		fprintf(stderr, "%s:%u: no call that achan-fuzz knows\n", path,
			number);
	return good;
}

void fuzz_program_print(const struct fuzz_program *program, FILE *file)
{
	for (uint32_t i = 0; i < program->count; i++) {
		const struct fuzz_call *call = &program->call[i];
		const struct fuzz_operation *operation =
			&fuzz_operations[call->operation];

		fputs(operation->name, file);
		for (int j = 0; j < FUZZ_ARGS && operation->kind[j]; j++)
			fprintf(file, " %s=%u", kind_names[operation->kind[j]],
				call->argument[j]);
		fputc('\n', file);
	}
}

void fuzz_program_save(const struct fuzz_program *program, const char *path)
{
	FILE *file = fopen(path, "w");

	if (!file) {
		perror(path);
		exit(1);
	}
	/* As the other files of the corpus begin. */
	fprintf(file, "# %s: GPL-2.0-only\n", "SPDX-License-Identifier");
	fuzz_program_print(program, file);
	if (fclose(file)) {
		perror(path);
		exit(1);
	}
}

void fuzz_program_print_hex(const struct fuzz_program *program, FILE *file)
{
	const uint8_t *bytes = (const uint8_t *)program->call;

	for (size_t i = 0; i < program->count * sizeof(program->call[0]); i++)
		fprintf(file, "%02x", bytes[i]);
}

bool fuzz_program_parse_hex(struct fuzz_program *program, const char *text)
{
	uint8_t *bytes = (uint8_t *)program->call;
	size_t n = 0;
	unsigned int byte;

	memset(program, 0, sizeof(*program));
	while (isxdigit((unsigned char)*text) && n < sizeof(program->call)) {
		if (sscanf(text, "%2x", &byte) != 1)
			return false;
		bytes[n++] = byte;
		text += 2;
	}
	program->count = n / sizeof(program->call[0]);
	for (uint32_t i = 0; i < program->count; i++)
		if (program->call[i].operation >= fuzz_nr_operations)
			return false;
	return n && !(n % sizeof(program->call[0])) && *text <= ' ';
}

uint64_t fuzz_program_hash(const struct fuzz_program *program)
{
	const uint8_t *bytes = (const uint8_t *)program->call;
	uint64_t hash = 0xcbf29ce484222325;

	for (size_t i = 0; i < program->count * sizeof(program->call[0]); i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3;
	return hash;
}

/* -------------------------------------------------------------- corpus */

void fuzz_corpus_add(struct fuzz_corpus *corpus,
		     const struct fuzz_program *program, const char *name)
{
	if (corpus->count == corpus->room) {
		corpus->room = corpus->room ? 2 * corpus->room : 64;
		corpus->program = realloc(corpus->program, corpus->room *
					  sizeof(*corpus->program));
		corpus->name = realloc(corpus->name, corpus->room *
				       sizeof(*corpus->name));
		if (!corpus->program || !corpus->name) {
			perror("corpus");
			exit(1);
		}
	}
	corpus->program[corpus->count] = *program;
	snprintf(corpus->name[corpus->count], sizeof(*corpus->name), "%s",
		 name);
	corpus->count++;
}

static int is_program(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

bool fuzz_corpus_load(struct fuzz_corpus *corpus, const char *directory)
{
	struct dirent **names;
	int count = scandir(directory, &names, is_program, alphasort);
	bool good = true;

	if (count < 0) {
		perror(directory);
		return false;
	}
	for (int i = 0; i < count; i++) {
		struct fuzz_program program;
		char path[4096];

		snprintf(path, sizeof(path), "%s/%s", directory,
			 names[i]->d_name);
		if (!fuzz_program_load(&program, path))
			good = false;
		else if (program.count)
			fuzz_corpus_add(corpus, &program, names[i]->d_name);
		free(names[i]);
	}
	free(names);
	return good;
}

/* ------------------------------------------------------------ mutation */

/* Mostly the channels that do not block, then the others, then anything. */
static uint8_t random_fd(uint64_t *random)
{
	unsigned int which = below(random, 16);

	if (which < 10)
		return below(random, 4);
	if (which < 13)
		return 4 + below(random, 4);
	return below(random, 16);
}

static uint8_t random_argument(uint8_t kind, uint64_t *random)
{
	switch (kind) {
	case FUZZ_NONE:
		return 0;
	case FUZZ_FD:
		return random_fd(random);
	case FUZZ_BUFFER:
	case FUZZ_BUFFER2:
		/* Good memory in every other case. */
		return below(random, below(random, 2) ? 128 : 256);
	case FUZZ_FLAGS:
		/* None, one, or any. */
		switch (below(random, 3)) {
		case 0:
			return 0;
		case 1:
			return 1U << below(random, 8);
		}
		return below(random, 256);
	default:
		return below(random, kind_bounds[kind]);
	}
}

static struct fuzz_call random_call(uint64_t *random)
{
	struct fuzz_call call = { 0 };
	unsigned int total = fuzz_operations[0].weight, pick;
	const uint8_t *kind;

	for (unsigned int i = 1; i < fuzz_nr_operations; i++)
		total += fuzz_operations[i].weight;
	pick = below(random, total);
	while (pick >= fuzz_operations[call.operation].weight)
		pick -= fuzz_operations[call.operation++].weight;
	kind = fuzz_operations[call.operation].kind;
	for (int i = 0; i < FUZZ_ARGS; i++)
		call.argument[i] = random_argument(kind[i], random);
	return call;
}

static void insert(struct fuzz_program *program, struct fuzz_call call,
		   uint64_t *random)
{
	unsigned int at = below(random, program->count + 1);

	if (program->count == FUZZ_CALLS_MAX)
		return;
	memmove(&program->call[at + 1], &program->call[at],
		(program->count - at) * sizeof(call));
	program->call[at] = call;
	program->count++;
}

static void delete(struct fuzz_program *program, uint64_t *random)
{
	unsigned int at = below(random, program->count);

	program->count--;
	memmove(&program->call[at], &program->call[at + 1],
		(program->count - at) * sizeof(program->call[0]));
}

static void change(struct fuzz_program *program, uint64_t *random)
{
	struct fuzz_call *call = &program->call[below(random, program->count)];
	const uint8_t *kind = fuzz_operations[call->operation].kind;
	unsigned int at = below(random, FUZZ_ARGS);

	/* Unused ones are at the end. */
	while (at && !kind[at])
		at--;
	if (below(random, 4))
		call->argument[at] = random_argument(kind[at], random);
	else if (kind[at])
		call->argument[at] += below(random, 2) ? 1 : -1;
	if (kind[at])
		call->argument[at] %= kind_bounds[kind[at]];
}

/* The beginning of this one, then the end of another. */
static void splice(struct fuzz_program *program,
		   const struct fuzz_program *other, uint64_t *random)
{
	uint32_t at = below(random, program->count + 1);
	uint32_t from = below(random, other->count);

	while (from < other->count && at < FUZZ_CALLS_MAX)
		program->call[at++] = other->call[from++];
	program->count = at;
}

/* What was found last leads on in more cases than what has been there. */
static const struct fuzz_program *choose(const struct fuzz_corpus *corpus,
					 uint64_t *random)
{
	size_t recent = corpus->count / 4;
	size_t at = below(random, corpus->count);

	if (recent && below(random, 2))
		at = corpus->count - 1 - below(random, recent);
	return &corpus->program[at];
}

void fuzz_mutate(struct fuzz_program *program, const struct fuzz_corpus *corpus,
		 uint64_t *random)
{
	unsigned int times = 1 + below(random, 4);

	program->count = 0;
	if (corpus->count && below(random, 32))
		*program = *choose(corpus, random);
	while (times--) {
		unsigned int how = program->count ? below(random, 10) : 0;

		if (how < 3)
			insert(program, random_call(random), random);
		else if (how < 7)
			change(program, random);
		else if (how == 7)
			delete(program, random);
		else if (how == 8)
			insert(program, program->call[below(random,
							    program->count)],
			       random);
		else if (corpus->count)
			splice(program, choose(corpus, random), random);
	}
	if (!program->count)
		insert(program, random_call(random), random);
}
