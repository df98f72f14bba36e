// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The BPF ring buffer: a program puts the records in, libbpf takes them out, and a
 * callback copies them to where a read would.
 */
#define _GNU_SOURCE
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bench_ends.h"
#include "bench_kernel.h"

/* As large as the channel's ring: room for 1024 records. */
#define RING_BYTES	(1U << 17)
#define INSTRUCTIONS_MAX 32

/* ---------------------------------------------------------- program */

/* A program while it is written. Of the codes, BPF_LD and BPF_K are 0 and left out. */
struct text {
	struct bpf_insn instructions[INSTRUCTIONS_MAX];
	unsigned int count;
};

static void add(struct text *text, unsigned int code, unsigned int destination,
		unsigned int source, int offset, int immediate)
{
	text->instructions[text->count++] = (struct bpf_insn){
		.code = code & 0xff,
		.dst_reg = destination & 0xf,
		.src_reg = source & 0xf,
		.off = (__s16)offset,
		.imm = immediate,
	};
}

static void set(struct text *text, unsigned int destination, int immediate)
{
	add(text, BPF_ALU64 | BPF_MOV, destination, 0, 0, immediate);
}

static void add_to(struct text *text, unsigned int destination, int immediate)
{
	add(text, BPF_ALU64 | BPF_ADD, destination, 0, 0, immediate);
}

/* bpf_ringbuf_output() of what lies at the end of the stack. */
static void output(struct text *text, int map, int flags)
{
	add(text, BPF_DW | BPF_IMM, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, map);
	add(text, 0, 0, 0, 0, 0);
	add(text, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_2, BPF_REG_10, 0, 0);
	add_to(text, BPF_REG_2, -BENCH_BYTES);
	set(text, BPF_REG_3, BENCH_BYTES);
	set(text, BPF_REG_4, flags);
	add(text, BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_ringbuf_output);
}

/* A jump of an instruction at @from counts from the next one. */
static int distance(unsigned int from, unsigned int to)
{
	return (int)to - (int)from - 1;
}

/*
 * @records records, or as many as find room; returns 0 or the error. R6 counts them.
 *
 *	words 1 to 7 of the stack's end = 1 to 7
 *	for (R0 = 0, R6 = 0; R6 < @records && !R0; R6++)
 *		word 0 = R6, R0 = bpf_ringbuf_output()
 */
static void write_program(struct text *text, int map, unsigned int records, int flags)
{
	unsigned int loop, leave;
	int word;

	for (word = 1; word < BENCH_BYTES / 8; word++)
		add(text, BPF_ST | BPF_MEM | BPF_DW, BPF_REG_10, 0,
		    word * 8 - BENCH_BYTES, word);
	set(text, BPF_REG_0, 0);
	set(text, BPF_REG_6, 0);
	loop = text->count;
	leave = text->count;
	add(text, BPF_JMP | BPF_JGE, BPF_REG_6, 0, 0, (int)records);
	add(text, BPF_STX | BPF_MEM | BPF_DW, BPF_REG_10, BPF_REG_6, -BENCH_BYTES, 0);
	output(text, map, flags);
	add_to(text, BPF_REG_6, 1);
	add(text, BPF_JMP | BPF_JEQ, BPF_REG_0, 0,
	    distance(text->count, loop), 0);
	text->instructions[leave].off = (__s16)distance(leave, text->count);
	add(text, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

/* What is interpreted says nothing of what a user would have. */
static void warn_without_jit(int program)
{
	struct bpf_prog_info info = { 0 };
	__u32 size = sizeof(info);
	static bool warned;

	if (warned || bpf_obj_get_info_by_fd(program, &info, &size) < 0 ||
	    info.jited_prog_len)
		return;
	warned = true;
	fprintf(stderr, "achan-bench: BPF programs are interpreted, not compiled:"
		" net.core.bpf_jit_enable is 0\n");
}

/* Whoever may not use BPF, or has none, has nothing to compare with. */
static bool cannot(const char *what, int error)
{
	if (error == EPERM)
		return does_not_fit("BPF is not permitted");
	if (error == ENOSYS)
		return does_not_fit("the kernel has no BPF");
	return failed(what, error);
}

static bool load(struct bench *bench, unsigned int records, int flags)
{
	struct text text = { .count = 0 };

	write_program(&text, bench->reader, records, flags);
	bench->writer = bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "burst", "GPL",
				      text.instructions, text.count, NULL);
	if (bench->writer < 0)
		return cannot("cannot load the BPF program", errno);
	warn_without_jit(bench->writer);
	return true;
}

/* --------------------------------------------------------- consumer */

/* Bytes that the callback has copied to bench->got. */
static size_t taken;

static int take_record(void *context, void *data, size_t size)
{
	struct bench *bench = context;

	memcpy(bench->got + taken, data, size);
	taken += size;
	return 0;
}

static bool consume(struct bench *bench)
{
	int ret;

	taken = 0;
	ret = ring_buffer__consume(bench->state);
	if (ret < 0)
		return failed("ring_buffer__consume", -ret);
	return moved("ring_buffer__consume", (ssize_t)taken, bench->x * BENCH_BYTES);
}

bool bpf_trigger_turn(struct bench *bench)
{
	LIBBPF_OPTS(bpf_test_run_opts, options);

	if (bpf_prog_test_run_opts(bench->writer, &options) < 0)
		return failed("BPF_PROG_TEST_RUN", errno);
	return !options.retval || failed("bpf_ringbuf_output", -(int)options.retval);
}

bool bpf_turn(struct bench *bench)
{
	return bpf_trigger_turn(bench) && consume(bench);
}

/* ------------------------------------------------------ open, close */

static bool open_ring(struct bench *bench)
{
	bench->reader = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "burst", 0, 0, RING_BYTES,
				       NULL);
	if (bench->reader < 0)
		return cannot("cannot make a BPF ring buffer", errno);
	bench->state = ring_buffer__new(bench->reader, take_record, bench, NULL);
	return bench->state || failed("ring_buffer__new", errno);
}

static bool open_burst(struct bench *bench, int flags)
{
	unsigned int i;

	if (!open_ring(bench) || !load(bench, bench->x, flags) || !bpf_turn(bench))
		return false;
	for (i = 0; i < bench->x; i++) {
		if (!is_of_burst(bench->got + (size_t)i * BENCH_BYTES, i))
			return false;
	}
	return true;
}

bool bpf_open(struct bench *bench)
{
	return open_burst(bench, 0);
}

bool bpf_open_without_wake_up(struct bench *bench)
{
	return open_burst(bench, BPF_RB_NO_WAKEUP);
}

bool bpf_open_trigger(struct bench *bench)
{
	return open_ring(bench) && load(bench, 0, 0);
}

void bpf_close(struct bench *bench)
{
	ring_buffer__free(bench->state);
	close_ends(bench);
}
