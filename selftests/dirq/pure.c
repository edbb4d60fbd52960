// SPDX-License-Identifier: GPL-2.0
/*
 * What a guest's interrupt message means, the word of a target, and where the signal
 * of an eventfd goes. With -b it is told how long a translation takes, from a message
 * to a CPU.
 *
 *	pure [-b | -n TRANSLATIONS]	(10000000)
 */
#include <pthread.h>
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dirq/pure.h"
#include "kselftest.h"

#define MAX		4096

static void result(bool good, const char *name)
{
	if (good)
		ksft_test_result_pass("%s\n", name);
	else
		ksft_test_result_fail("%s\n", name);
}

static bool words(void)
{
	u64 w = 0;
	u32 i, seq;

	for (i = 0; i < 100000; i++) {
		u32 cpu = i * 7919 & 0xffff, node = i * 31 & 0xfff, state = i % 5;

		seq = KEEL_IRQ_SEQ(w);
		w = irq_word(w, cpu, node, state);
		if (KEEL_IRQ_CPU(w) != cpu || KEEL_IRQ_NODE(w) != node ||
		    KEEL_IRQ_STATE(w) != state || KEEL_IRQ_SEQ(w) != seq + 1)
			return false;
	}
	/* The number goes round, and what is beside it does not notice. */
	w = irq_word(0xffffffffULL << 32, 0xffff, 0xfff, 15);
	return KEEL_IRQ_SEQ(w) == 0 && KEEL_IRQ_CPU(w) == 0xffff &&
	       KEEL_IRQ_NODE(w) == 0xfff && KEEL_IRQ_STATE(w) == 15;
}

/* As guests write them; who of the vCPUs 0 to 20 is meant. */
static const struct {
	const char *name;
	u32 lo, hi, data;
	bool wide, x2apic;
	u8 vector;
	bool fixed, lowest;
	u32 meant;
} messages[] = {
	{ "one, by its APIC ID", 0xfee01000, 0, 0x24, false, false, 0x24, true, false, 1 << 1 },
	{ "another", 0xfee14000, 0, 0x41, false, false, 0x41, true, false, 1 << 20 },
	{ "one that there is not", 0xfee7f000, 0, 0x41, false, false, 0x41, true, false, 0 },
	{ "all", 0xfeeff000, 0, 0x41, false, false, 0x41, true, false, 0x1fffff },
	{ "flat: one", 0xfee04004, 0, 0x51, false, false, 0x51, true, false, 1 << 2 },
	{ "flat: the least busy of two", 0xfee0600c, 0, 0x151, false, false, 0x51, true, true,
	  3 << 1 },
	{ "flat: two", 0xfee06004, 0, 0x51, false, false, 0x51, true, false, 3 << 1 },
	{ "lowest priority, by its APIC ID", 0xfee03000, 0, 0x130, false, false, 0x30, true,
	  true, 1 << 3 },
	{ "x2APIC: logical, in cluster 0", 0xfee09004, 0, 0x60, false, true, 0x60, true,
	  false, 1 << 0 | 1 << 3 },
	{ "x2APIC: logical, in cluster 1", 0xfee03004, 0x00010000, 0x60, true, true, 0x60,
	  true, false, 3 << 16 },
	{ "wide: APIC ID 255 is one", 0xfeeff000, 0, 0x61, true, true, 0x61, true, false, 0 },
	{ "wide: all", 0xfeeff000, 0xffffff00, 0x61, true, true, 0x61, true, false, 0x1fffff },
	{ "an NMI is none of ours", 0xfee01000, 0, 0x400, false, false, 0, false, false, 1 << 1 },
	{ "an SMI neither", 0xfee01000, 0, 0x200, false, false, 0, false, false, 1 << 1 },
	{ "nothing written", 0, 0, 0, false, false, 0, true, false, 1 << 0 },
};

static bool message(unsigned int k)
{
	struct irq_message m;
	u32 id, meant = 0;

	irq_message_parse(&m, messages[k].lo, messages[k].hi, messages[k].data,
			  messages[k].wide);
	for (id = 0; id <= 20; id++)
		if (irq_message_is_for(&m, id, messages[k].x2apic))
			meant |= 1U << id;
	if (meant != messages[k].meant)
		ksft_print_msg("it means %#x, not %#x\n", meant, messages[k].meant);
	return m.vector == messages[k].vector && m.fixed == messages[k].fixed &&
	       m.lowest == messages[k].lowest && meant == messages[k].meant;
}

/* Every logical destination in x2APIC mode is for those that it names, by hand. */
static bool logical(void)
{
	struct irq_message m;
	u32 cluster, bits, id;

	for (cluster = 0; cluster < 16; cluster++) {
		for (bits = 0; bits < 65536; bits += 257) {
			u32 dest = cluster << 16 | bits;

			irq_message_parse(&m, 0xfee00004 | (dest & 0xff) << 12,
					  dest & 0xffffff00, 0x31, true);
			for (id = 0; id < 256; id++)
				if (irq_message_is_for(&m, id, true) !=
				    (id / 16 == cluster && bits & 1U << id % 16))
					return false;
		}
	}
	return true;
}

static const struct {
	u32 state, fallback;
	enum irq_source_at at;
} sources[] = {
	{ KEEL_IRQ_STATE_RUNNING, KEEL_IRQ_FALLBACK_WAKE, IRQ_SOURCE_THERE },
	{ KEEL_IRQ_STATE_OFFLINE, KEEL_IRQ_FALLBACK_WAIT, IRQ_SOURCE_HERE },
	{ KEEL_IRQ_STATE_HALTED, KEEL_IRQ_FALLBACK_WAIT, IRQ_SOURCE_HERE },
	{ KEEL_IRQ_STATE_HALTED, KEEL_IRQ_FALLBACK_NODE, IRQ_SOURCE_NODE },
	{ KEEL_IRQ_STATE_PREEMPTED, KEEL_IRQ_FALLBACK_HOUSEKEEPING, IRQ_SOURCE_HOUSEKEEPING },
	{ KEEL_IRQ_STATE_PAUSED, KEEL_IRQ_FALLBACK_WAKE, IRQ_SOURCE_HERE },
	/* What a newer keel may have said. */
	{ 9, KEEL_IRQ_FALLBACK_WAIT, IRQ_SOURCE_HERE },
	{ KEEL_IRQ_STATE_HALTED, 99, IRQ_SOURCE_HERE },
};

static bool signals(void)
{
	unsigned int k;

	for (k = 0; k < sizeof(sources) / sizeof(*sources); k++)
		if (irq_source_choose(irq_word(0, 7, 1, sources[k].state),
				      sources[k].fallback) != sources[k].at)
			return false;
	return true;
}

/* Targets that move as fast as they can, each its own way, while they are looked up. */
#define NODE(cpu)	((cpu) / 8)

static struct {
	struct keel_irq_entry entry[MAX];
	bool stop;
} moving;

static void *move_all(void *arg)
{
	u32 i, cpu = 0;

	(void)arg;
	while (!*(volatile bool *)&moving.stop) {
		for (i = 0; i < MAX; i++) {
			volatile u64 *where = (volatile u64 *)&moving.entry[i].where;

			cpu = (cpu * 1664525 + 1013904223) & 0x1ff;
			*where = irq_word(*where, cpu, NODE(cpu), cpu % 5);
		}
	}
	return NULL;
}

/* No word may be of two writes, nor older than one that was seen before. */
static bool translations(u64 nr)
{
	static u32 seen[MAX];
	pthread_t thread;
	bool good = true;
	u32 at = 0;
	u64 i;

	pthread_create(&thread, NULL, move_all, NULL);
	for (i = 0; i < nr && good; i++) {
		u64 w = *(volatile u64 *)&moving.entry[at].where;
		u32 cpu = KEEL_IRQ_CPU(w);

		good = !w || (KEEL_IRQ_NODE(w) == NODE(cpu) && KEEL_IRQ_STATE(w) == cpu % 5 &&
			      (int32_t)(KEEL_IRQ_SEQ(w) - seen[at]) >= 0);
		seen[at] = KEEL_IRQ_SEQ(w);
		at = (at * 1664525 + 1013904223) & (MAX - 1);
	}
	moving.stop = true;
	pthread_join(thread, NULL);
	return good && seen[0];
}

static u64 now(void)
{
	struct timespec t;

	/* What others do on this CPU meanwhile is not what a translation costs. */
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* From a route's target to the CPU, as a handler does it: many targets, no order. */
static void bench(void)
{
	static struct keel_irq_entry entry[MAX];
	static const u32 sizes[] = { 1, 16, 256, 4096 };
	unsigned int k;

	for (k = 0; k < MAX; k++)
		entry[k].where = irq_word(0, k % 64, k % 4, KEEL_IRQ_STATE_RUNNING);
	for (k = 0; k < sizeof(sizes) / sizeof(*sizes); k++) {
		u64 begin, sum = 0, i, n = 100000000;
		u32 at = 0;

		begin = now();
		for (i = 0; i < n; i++) {
			u64 w = *(volatile u64 *)&entry[at].where;

			sum += KEEL_IRQ_STATE(w) == KEEL_IRQ_STATE_RUNNING ?
			       KEEL_IRQ_CPU(w) : 0;
			at = (at * 1664525 + 1013904223 + (w & 1)) & (sizes[k] - 1);
		}
		printf("%u targets: %.2f ns a translation (%llu)\n", sizes[k],
		       (double)(now() - begin) / n, (unsigned long long)sum);
	}
}

int main(int argc, char **argv)
{
	unsigned int k, nr = sizeof(messages) / sizeof(*messages);
	u64 nr_translations = 10000000;

	if (argc > 1 && !strcmp(argv[1], "-b")) {
		bench();
		return 0;
	}
	if (argc > 2 && !strcmp(argv[1], "-n"))
		nr_translations = strtoull(argv[2], NULL, 0);
	ksft_print_header();
	ksft_set_plan(nr + 4);
	result(words(), "a word holds what is put into it");
	for (k = 0; k < nr; k++)
		result(message(k), messages[k].name);
	result(logical(), "logical destinations in x2APIC mode");
	result(signals(), "where a signal goes by each fallback");
	ksft_print_msg("%llu translations\n", (unsigned long long)nr_translations);
	result(translations(nr_translations),
	       "translations while targets move: each is of one moment");
	ksft_finished();
}
