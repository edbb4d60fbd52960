// SPDX-License-Identifier: GPL-2.0
/*
 * Offers as a hostile guest may make them, and the module's own code that reads them,
 * with a sanitizer: what is copied has just the room that the header allows, so that
 * a byte too far is told.
 *
 *	hostile_offer [-n OFFERS]	(1000000)
 */
#include <getopt.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dirq/pure.h"
#include "kselftest.h"

#define GPA	0x123000ULL
#define CPUS	4

static u64 seed = 1;
static int offers = 1000000;

/* The same numbers each time: Knuth's MMIX generator, its upper half. */
static u32 rnd(void)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return seed >> 32;
}

/* One that is good, of few CPUs. */
static struct keel_offer_header good(void)
{
	return (struct keel_offer_header){
		.magic = KEEL_OFFER_MAGIC,
		.version = KEEL_OFFER_VERSION,
		.seq = 2,
		.self = GPA,
		.cpus = sizeof(struct keel_offer_header),
		.nr_cpus = CPUS,
		.slots = 1024,
		.nr_slots = 3,
	};
}

/* A number that somebody may have forgotten to think of. */
static u32 odd_number(void)
{
	static const u32 numbers[] = {
		0, 1, 3, 4095, 4096, 4097, 255, 256, 257, 0x7fffffff, 0x80000000, 0xffffffff,
		0xfffffff8, 1 << 20, (1 << 20) - 8,
	};

	return rnd() % 2 ? numbers[rnd() % ARRAY_SIZE(numbers)] : rnd();
}

static void put_word(struct keel_offer_header *h, size_t word, u32 value)
{
	memcpy((char *)h + word * sizeof(value), &value, sizeof(value));
}

static void spoil(struct keel_offer_header *h)
{
	int n;

	for (n = rnd() % 4; n; n--)
		put_word(h, rnd() % (sizeof(*h) / sizeof(u32)), odd_number());
}

/* Read one as nested.c does. Return: was it sound? */
static bool read_one(const struct keel_offer_header *h)
{
	struct keel_offer_slot *slots;
	u32 *apic_ids, apic_id, i;
	bool sound = irq_offer_is_sound(h, GPA);

	if (!sound)
		return false;
	apic_ids = malloc(h->nr_cpus * sizeof(*apic_ids) + !h->nr_cpus);
	slots = malloc(h->nr_slots * sizeof(*slots) + !h->nr_slots);
	for (i = 0; i < h->nr_cpus; i++)
		apic_ids[i] = rnd() % 8 ? i : odd_number();
	for (i = 0; i < h->nr_slots; i++)
		slots[i] = (struct keel_offer_slot){ (u64)rnd() << 32 | rnd(), rnd() % 8,
						     rnd() % 256 };
	for (i = 0; i < 8; i++) {
		const struct keel_offer_slot *s = irq_offer_find(h, slots, i,
								 rnd() % 256);
		u64 where = (u64)odd_number() << 32 | odd_number();

		if (s && (s < slots || s >= slots + h->nr_slots || s->where & 7 || !s->where))
			abort();
		if (irq_offer_apic(h, apic_ids, where, &apic_id) &&
		    (KEEL_IRQ_CPU(where) >= h->nr_cpus ||
		     apic_id != apic_ids[KEEL_IRQ_CPU(where)]))
			abort();
	}
	free(apic_ids);
	free(slots);
	return true;
}

static bool bounded(const struct keel_offer_header *h)
{
	return h->cpus + (u64)h->nr_cpus * 4 < 2 << 20 &&
	       h->slots + (u64)h->nr_slots * sizeof(struct keel_offer_slot) < 2 << 20;
}

static bool many(void)
{
	int i, sound = 0;

	for (i = 0; i < offers; i++) {
		struct keel_offer_header h = good();

		spoil(&h);
		if (!read_one(&h))
			continue;
		sound++;
		if (!bounded(&h))
			return false;
	}
	ksft_print_msg("%d offers, %d of them sound\n", offers, sound);
	/* Both happen, or nothing was tried. */
	return sound > offers / 10 && sound < offers;
}

/* What is wrong with each of these is one thing: a word of the header is that. */
#define WORD(field)	(offsetof(struct keel_offer_header, field) / sizeof(u32))

static const struct {
	size_t word;
	u32 value;
} faults[] = {
	{ WORD(magic), 1 },
	{ WORD(version), KEEL_OFFER_VERSION + 1 },
	{ WORD(seq), 3 },
	{ WORD(self), GPA + 4096 },
	{ WORD(nr_cpus), KEEL_OFFER_CPUS_MAX + 1 },
	{ WORD(nr_cpus), 0xffffffff },
	{ WORD(nr_slots), KEEL_OFFER_SLOTS_MAX + 1 },
	{ WORD(cpus), sizeof(struct keel_offer_header) + 2 },
	{ WORD(cpus), 1 << 20 },
	{ WORD(slots), 1024 + 4 },
	{ WORD(slots), 1 << 20 },
	{ WORD(slots), 0xfffffff8 },
};

static bool each_refused(void)
{
	struct keel_offer_header h = good();
	size_t k;

	if (!irq_offer_is_sound(&h, GPA) || irq_offer_is_sound(&h, GPA + 8))
		return false;
	for (k = 0; k < ARRAY_SIZE(faults); k++) {
		h = good();
		put_word(&h, faults[k].word, faults[k].value);
		if (irq_offer_is_sound(&h, GPA)) {
			ksft_print_msg("number %zu was taken\n", k);
			return false;
		}
	}
	return true;
}

static bool said(void)
{
	static const u32 apic_ids[CPUS] = { 0, 2, KEEL_IRQ_NO_APIC, 6 };
	static const struct keel_offer_slot slots[] = {
		{ 0x1000, 2, 0x31 }, { 0x1003, 2, 0x32 }, { 0, 2, 0x33 },
	};
	struct keel_offer_header h = good();
	u32 apic_id = 0;

	return irq_offer_find(&h, slots, 2, 0x31) == &slots[0] &&
	       !irq_offer_find(&h, slots, 3, 0x31) && !irq_offer_find(&h, slots, 2, 0x32) &&
	       !irq_offer_find(&h, slots, 2, 0x33) &&
	       irq_offer_apic(&h, apic_ids, irq_word(0, 3, 0, KEEL_IRQ_STATE_RUNNING),
			      &apic_id) && apic_id == 6 &&
	       !irq_offer_apic(&h, apic_ids, irq_word(0, 2, 0, KEEL_IRQ_STATE_RUNNING),
			       &apic_id) &&
	       !irq_offer_apic(&h, apic_ids, irq_word(0, 4, 0, KEEL_IRQ_STATE_RUNNING),
			       &apic_id) &&
	       !irq_offer_apic(&h, apic_ids, irq_word(0, 1, 0, KEEL_IRQ_STATE_HALTED),
			       &apic_id);
}

static void result(bool good, const char *name)
{
	if (good)
		ksft_test_result_pass("%s\n", name);
	else
		ksft_test_result_fail("%s\n", name);
}

int main(int argc, char **argv)
{
	int opt;

	while ((opt = getopt(argc, argv, "n:")) != -1)
		offers = atoi(optarg);
	ksft_print_header();
	ksft_set_plan(3);
	result(said(), "what a guest says is found");
	result(each_refused(), "each fault of a header is refused");
	result(many(), "whatever it says, nothing beyond it is read");
	ksft_finished();
}
