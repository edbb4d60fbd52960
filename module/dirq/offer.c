// SPDX-License-Identifier: GPL-2.0
/*
 * Directed interrupts: what this host, if it is a guest itself, offers to its own host
 * about its guests. See uapi/linux/keel_irq_offer.h; nested.c is the other side.
 */
#include <linux/cc_platform.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <asm/hypervisor.h>
#include <asm/kvm_para.h>
#include <asm/smp.h>

#include "dirq/table.h"

/* All of it under keel_dirq.lock. */
static struct keel_offer_header *keel_offer;
static size_t keel_offer_bytes;

/* KVM is below, and can read what we write. */
static bool keel_offer_possible(void)
{
	return hypervisor_is_type(X86_HYPER_KVM) &&
	       !cc_platform_has(CC_ATTR_GUEST_MEM_ENCRYPT);
}

static void *keel_offer_part(u32 at)
{
	return (char *)keel_offer + at;
}

static void keel_offer_tell(u64 gpa)
{
	kvm_hypercall1(KEEL_OFFER_HYPERCALL, gpa);
}

static int keel_offer_alloc(void)
{
	struct keel_offer_header *h;
	u32 *apic_ids;
	u32 cpu;

	if (keel_offer)
		return 0;
	keel_offer_bytes = sizeof(*h) + ALIGN(nr_cpu_ids * sizeof(u32), 8) +
			   KEEL_OFFER_SLOTS_MAX * sizeof(struct keel_offer_slot);
	h = alloc_pages_exact(keel_offer_bytes, GFP_KERNEL | __GFP_ZERO);
	if (!h)
		return -ENOMEM;
	keel_offer = h;
	h->magic = KEEL_OFFER_MAGIC;
	h->version = KEEL_OFFER_VERSION;
	h->self = virt_to_phys(h);
	h->cpus = sizeof(*h);
	h->nr_cpus = min_t(u32, nr_cpu_ids, KEEL_OFFER_CPUS_MAX);
	h->slots = h->cpus + ALIGN(nr_cpu_ids * sizeof(u32), 8);
	apic_ids = keel_offer_part(h->cpus);
	for (cpu = 0; cpu < h->nr_cpus; cpu++)
		apic_ids[cpu] = cpu_present(cpu) ? cpu_physical_id(cpu) : KEEL_IRQ_NO_APIC;
	return 0;
}

static bool keel_offer_fill_slot(struct keel_offer_slot *slot, struct keel_route *r)
{
	struct keel_irq_entry *e;

	if (!r->line || r->target < 0 || keel_line_programmed(r->line, &slot->apic_id,
							      &slot->vector))
		return false;
	e = keel_irq_table_entry(r->table, r->target);
	slot->where = virt_to_phys(&e->where);
	return true;
}

/* Return: how many there are. */
static u32 keel_offer_fill(void)
{
	struct keel_offer_header *h = keel_offer;
	struct keel_offer_slot *slot = keel_offer_part(h->slots);
	struct keel_irq_table *table;
	struct keel_route *r;
	u32 nr = 0;

	WRITE_ONCE(h->seq, h->seq + 1);
	/* The host, on another CPU, sees that before it sees what changes. */
	smp_wmb();
	list_for_each_entry(table, &keel_dirq.tables, node) {
		if (!table->steered)
			continue;
		list_for_each_entry(r, &table->routes, node)
			if (nr < KEEL_OFFER_SLOTS_MAX &&
			    keel_offer_fill_slot(&slot[nr], r))
				nr++;
	}
	h->nr_slots = nr;
	/* And what has changed before this. */
	smp_wmb();
	WRITE_ONCE(h->seq, h->seq + 1);
	return nr;
}

/**
 * keel_offer_update - tell the host what there is now
 *
 * Context: may sleep; keel_dirq.lock is held.
 */
void keel_offer_update(void)
{
	lockdep_assert_held(&keel_dirq.lock);
	if (!keel_offer_possible() ||
	    (!keel_offer && (list_empty(&keel_dirq.lines) || keel_offer_alloc())))
		return;
	if (keel_offer_fill())
		keel_offer_tell(keel_offer->self);
	else
		keel_offer_withdraw();
}

/**
 * keel_offer_call - something of what is offered has changed: a target has moved
 *
 * Context: keel_dirq.lock is held.
 */
void keel_offer_call(void)
{
	lockdep_assert_held(&keel_dirq.lock);
	if (keel_offer)
		keel_offer_tell(keel_offer->self);
}

/**
 * keel_offer_withdraw - the host is to forget it
 *
 * Context: may sleep; keel_dirq.lock is held.
 */
void keel_offer_withdraw(void)
{
	lockdep_assert_held(&keel_dirq.lock);
	if (!keel_offer)
		return;
	/* Should it look once more, there is nothing. */
	keel_offer->magic = 0;
	keel_offer_tell(0);
	free_pages_exact(keel_offer, keel_offer_bytes);
	keel_offer = NULL;
}

/**
 * keel_offer_told - is something offered, and does the host listen?
 * @heard: (out) how often it has taken it
 *
 * Context: keel_dirq.lock is held.
 * Return: how many interrupts are offered.
 */
u32 keel_offer_told(u32 *heard)
{
	lockdep_assert_held(&keel_dirq.lock);
	*heard = keel_offer ? READ_ONCE(keel_offer->heard) : 0;
	return keel_offer ? keel_offer->nr_slots : 0;
}
