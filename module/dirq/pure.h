/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Directed interrupts: the parts that know nothing of the kernel. Compiles in user
 * space, too, where they are tested.
 */
#ifndef KEEL_DIRQ_PURE_H
#define KEEL_DIRQ_PURE_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
#include <linux/types.h>
typedef __u8 u8;
typedef __u32 u32;
typedef __u64 u64;
#endif

#include <linux/keel_irq.h>
#include <linux/keel_irq_offer.h>

/* A target's word, one write after @before. */
static inline u64 irq_word(u64 before, u32 cpu, u32 node, u32 state)
{
	return (u64)(KEEL_IRQ_SEQ(before) + 1) << 32 | (state & 0xf) << 28 |
	       (node & 0xfff) << 16 | (cpu & 0xffff);
}

/**
 * struct irq_message - a message signalled interrupt, as a guest wrote it
 * @dest: whom it is for, in the APICs' words
 * @vector: in the guest
 * @logical: @dest is a logical destination, not an APIC ID
 * @lowest: for the least busy of them
 * @fixed: it is an interrupt with a vector, not an NMI or the like
 * @all: it is for everybody
 *
 * Intel SDM volume 3, "Message Signalled Interrupts"; the upper bits of a wide
 * destination are where KVM's KVM_X2APIC_API_USE_32BIT_IDS has them.
 */
struct irq_message {
	u32 dest;
	u8 vector;
	bool logical;
	bool lowest;
	bool fixed;
	bool all;
};

/**
 * irq_message_parse - take a message apart
 * @m: (out)
 * @address_lo: its address
 * @address_hi: and the upper half
 * @data: its data
 * @wide: destinations have 32 bits
 */
static inline void irq_message_parse(struct irq_message *m, u32 address_lo,
				     u32 address_hi, u32 data, bool wide)
{
	u32 mode = data >> 8 & 7;

	m->dest = address_lo >> 12 & 0xff;
	if (wide)
		m->dest |= address_hi & 0xffffff00;
	m->vector = data & 0xff;
	m->logical = address_lo & 4;
	/* With the redirection hint it is for one of those, too. */
	m->lowest = mode == 1 || (m->logical && address_lo & 8);
	m->fixed = mode < 2;
	m->all = !m->logical && (m->dest == 0xffffffff ||
				 (!wide && m->dest == 0xff));
}

/**
 * irq_message_is_for - is a vCPU one of those whom a message is for?
 * @m: the message
 * @apic_id: the vCPU's
 * @x2apic: its APIC is in that mode
 *
 * In x2APIC mode the logical destination follows from the ID; in xAPIC mode the
 * guest sets it, and this is what Linux and Windows set in flat mode.
 */
static inline bool irq_message_is_for(const struct irq_message *m, u32 apic_id,
				      bool x2apic)
{
	if (m->all)
		return true;
	if (!m->logical)
		return apic_id == m->dest;
	if (x2apic)
		return m->dest >> 16 == apic_id >> 4 &&
		       (m->dest >> (apic_id & 15) & 1);
	return apic_id < 8 && (m->dest >> apic_id & 1);
}

/* Where the signal of an eventfd is passed on. */
enum irq_source_at {
	IRQ_SOURCE_HERE,		/* on the CPU where it came */
	IRQ_SOURCE_THERE,		/* on the target's */
	IRQ_SOURCE_NODE,		/* on any of that one's node */
	IRQ_SOURCE_HOUSEKEEPING,	/* on any that is not isolated */
};

/**
 * irq_source_choose - where to pass a signal on
 * @where: the target's word
 * @fallback: enum keel_irq_fallback, if it does not run
 *
 * Wait and wake are the same to it: nobody has to be brought out of the guest, so no
 * other CPU is interrupted, and KVM wakes the target up from here.
 */
static inline enum irq_source_at irq_source_choose(u64 where, u32 fallback)
{
	if (KEEL_IRQ_STATE(where) == KEEL_IRQ_STATE_RUNNING)
		return IRQ_SOURCE_THERE;
	if (KEEL_IRQ_STATE(where) == KEEL_IRQ_STATE_OFFLINE)
		return IRQ_SOURCE_HERE;
	switch (fallback) {
	case KEEL_IRQ_FALLBACK_NODE:
		return IRQ_SOURCE_NODE;
	case KEEL_IRQ_FALLBACK_HOUSEKEEPING:
		return IRQ_SOURCE_HOUSEKEEPING;
	default:
		return IRQ_SOURCE_HERE;
	}
}

/**
 * irq_offer_is_sound - can a guest's offer be read?
 * @h: a copy of its header
 * @gpa: where that was
 *
 * What it leads to is bounded then, and no sum of these overflows.
 */
static inline bool irq_offer_is_sound(const struct keel_offer_header *h, u64 gpa)
{
	return h->magic == KEEL_OFFER_MAGIC && h->version == KEEL_OFFER_VERSION &&
	       !(h->seq & 1) && h->self == gpa && !(gpa & 4095) &&
	       h->nr_cpus <= KEEL_OFFER_CPUS_MAX && !(h->cpus & 3) &&
	       h->nr_slots <= KEEL_OFFER_SLOTS_MAX && !(h->slots & 7) &&
	       h->cpus < 1 << 20 && h->slots < 1 << 20;
}

/**
 * irq_offer_find - the slot of an interrupt
 * @h: a header that is sound
 * @slots: a copy of its slots
 * @apic_id: of the guest's CPU that it is programmed for
 * @vector: there
 *
 * Return: the slot, or NULL.
 */
static inline const struct keel_offer_slot *
irq_offer_find(const struct keel_offer_header *h, const struct keel_offer_slot *slots,
	       u32 apic_id, u32 vector)
{
	u32 i;

	for (i = 0; i < h->nr_slots; i++)
		if (slots[i].apic_id == apic_id && slots[i].vector == vector &&
		    slots[i].where && !(slots[i].where & 7))
			return &slots[i];
	return NULL;
}

/**
 * irq_offer_apic - on which of the guest's CPUs does a target run?
 * @h: a header that is sound
 * @apic_ids: a copy of the CPUs' APIC IDs
 * @where: the target's word, which is the guest's, too
 * @apic_id: (out) of the CPU
 *
 * Return: false: on none, or the guest does not know better.
 */
static inline bool irq_offer_apic(const struct keel_offer_header *h, const u32 *apic_ids,
				  u64 where, u32 *apic_id)
{
	u32 cpu = KEEL_IRQ_CPU(where);

	if (KEEL_IRQ_STATE(where) != KEEL_IRQ_STATE_RUNNING || cpu >= h->nr_cpus)
		return false;
	/* Whatever is guessed ahead of that comparison stays inside. */
	*apic_id = apic_ids[cpu % KEEL_OFFER_CPUS_MAX];
	return *apic_id != KEEL_IRQ_NO_APIC;
}

#endif /* KEEL_DIRQ_PURE_H */
