// SPDX-License-Identifier: GPL-2.0
/*
 * Directed interrupts: what guests that are hypervisors offer about their own guests.
 * See uapi/linux/keel_irq_offer.h; offer.c is the other side.
 *
 * The hypercall comes in the thread of one of the guest's vCPUs, as a tracepoint of
 * KVM's: the thread's own notifier leads to the table. It only leaves the address
 * there; a work looks at the VM then, once a jiffy at most.
 *
 * All that is read is the guest's, and may change at any time and be anything: it is
 * copied, then checked, and what is checked is the copy. It is read through the VMM's
 * mapping and without faults, so that nobody can keep the room waiting (by userfaultfd,
 * say): what is not there now is read another time.
 */
#include <linux/highmem.h>
#include <linux/kthread.h>
#include <linux/kvm_host.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/tracepoint.h>
#include <linux/uaccess.h>

#include "dirq/table.h"
#include "compat/compat.h"

/* After so long without a call there is no offer. */
#define KEEL_OFFER_LASTS	(2 * HZ)

/* A copy of one, under keel_dirq.lock. */
static struct {
	struct keel_offer_header header;
	u32 apic_ids[KEEL_OFFER_CPUS_MAX];
	struct keel_offer_slot slots[KEEL_OFFER_SLOTS_MAX];
} keel_copy;

/* KVM's tracepoint, while it is loaded and we are registered with it. */
static struct tracepoint *keel_nested_tp;
static bool keel_nested_started;

/* In the thread of a vCPU, on its way out of the guest. */
static void keel_nested_probe(void *data, unsigned long nr, unsigned long gpa,
			      unsigned long a1, unsigned long a2, unsigned long a3)
{
	struct keel_irq_table *table;

	if (likely(nr != KEEL_OFFER_HYPERCALL))
		return;
	table = keel_target_current();
	if (!table)
		return;
	WRITE_ONCE(table->offer, gpa);
	WRITE_ONCE(table->offered, jiffies);
	WRITE_ONCE(table->called, true);
	keel_aim_soon();
}

/* Where the VMM has a byte of the guest's; the rest of its page follows. 0: nowhere. */
static unsigned long keel_guest_at(struct kvm *kvm, u64 gpa, bool write)
{
	struct kvm_memory_slot *slot;
	gfn_t gfn = gpa >> PAGE_SHIFT;

	slot = __gfn_to_memslot(kvm_memslots(kvm), gfn);
	if (!slot || slot->flags & KVM_MEMSLOT_INVALID ||
	    (write && slot->flags & KVM_MEM_READONLY))
		return 0;
	return __gfn_to_hva_memslot(slot, gfn) + offset_in_page(gpa);
}

/*
 * Page by page, with the lock of the VMM's memory held. What a copy from user space
 * would not see is there, too: pages that are marked for NUMA balancing. Return: false
 * if some of it is not there now.
 */
static bool keel_guest_read(struct kvm *kvm, u64 gpa, void *to, size_t len)
{
	size_t part;

	for (; len; gpa += part, to += part, len -= part) {
		unsigned long from = keel_guest_at(kvm, gpa, false);
		struct page *page;

		part = min_t(size_t, len, PAGE_SIZE - offset_in_page(gpa));
		if (!from || keel_page_mapped(kvm->mm, from, &page) != 1)
			return false;
		memcpy_from_page(to, page, offset_in_page(gpa), part);
		put_page(page);
	}
	return true;
}

/* The copy is of one moment. */
static bool keel_offer_copy(struct kvm *kvm, u64 gpa)
{
	struct keel_offer_header *h = &keel_copy.header;
	u32 seq;

	if (!keel_guest_read(kvm, gpa, h, sizeof(*h)) || !irq_offer_is_sound(h, gpa))
		return false;
	return keel_guest_read(kvm, gpa + h->cpus, keel_copy.apic_ids,
			       h->nr_cpus * sizeof(u32)) &&
	       keel_guest_read(kvm, gpa + h->slots, keel_copy.slots,
			       h->nr_slots * sizeof(struct keel_offer_slot)) &&
	       keel_guest_read(kvm, gpa + offsetof(struct keel_offer_header, seq), &seq,
			       sizeof(seq)) && seq == h->seq;
}

/* The guest is told that it was heard; KVM logs no write, as it would change nothing. */
static void keel_offer_answer(struct kvm *kvm, struct keel_irq_table *table)
{
	u64 gpa = table->offer + offsetof(struct keel_offer_header, heard);
	unsigned long to = keel_guest_at(kvm, gpa, true);

	table->heard++;
	if (to)
		copy_to_user_nofault((void __user *)to, &table->heard,
				     sizeof(table->heard));
}

/*
 * Where the route's interrupt should go by what the guest says. Return: the guest's vCPU
 * on which the target runs that it is for, -1: the guest does not say.
 */
static int keel_nested_target(struct kvm *kvm, const struct keel_route *r)
{
	const struct keel_irq_table *table = r->table;
	const struct keel_offer_slot *slot;
	u32 apic_id;
	u64 where;

	if (r->programmed < 0)
		return -1;
	slot = irq_offer_find(&keel_copy.header, keel_copy.slots,
			      keel_irq_table_entry(table, r->programmed)->apic_id,
			      r->message.vector);
	if (!slot || !keel_guest_read(kvm, slot->where, &where, sizeof(where)))
		return -1;
	if (!irq_offer_apic(&keel_copy.header, keel_copy.apic_ids, where, &apic_id))
		return -1;
	/* KVM gave its vCPUs these numbers; no other is anybody's. */
	return keel_irq_table_find(table, apic_id);
}

static void keel_nested_apply(struct keel_route *r, int target)
{
	r->nested = target >= 0;
	if (target < 0)
		target = r->programmed;
	if (r->target != target) {
		WRITE_ONCE(r->table->moved, true);
		WRITE_ONCE(r->target, target);
	}
}

/* Once it can be read. Return: it was. */
static bool keel_nested_take(struct keel_irq_table *table, struct kvm *kvm)
{
	struct keel_route *r;
	bool taken;

	/* Who changes the mappings may take long. */
	if (!mmap_read_trylock(kvm->mm))
		return false;
	taken = keel_offer_copy(kvm, table->offer);
	if (taken)
		list_for_each_entry(r, &table->routes, node)
			keel_nested_apply(r, keel_nested_target(kvm, r));
	mmap_read_unlock(kvm->mm);
	return taken;
}

static bool keel_offer_is_due(struct keel_irq_table *table)
{
	if (!READ_ONCE(table->offer))
		return false;
	if (time_before(jiffies, READ_ONCE(table->offered) + KEEL_OFFER_LASTS))
		return true;
	WRITE_ONCE(table->offer, 0);
	return false;
}

/**
 * keel_nested_look - let a guest say where its own guests are
 * @table: its table, whose routes are up to date
 * @kvm: the VM
 *
 * Does nothing in a thread that has memory of its own; there will be a look in one that
 * has not.
 *
 * Context: may sleep; keel_dirq.lock is held.
 */
void keel_nested_look(struct keel_irq_table *table, struct kvm *kvm)
{
	struct mm_struct *mm = kvm->mm;
	bool due = keel_offer_is_due(table);
	struct keel_route *r;
	int srcu;

	lockdep_assert_held(&keel_dirq.lock);
	if (!due) {
		list_for_each_entry(r, &table->routes, node)
			keel_nested_apply(r, -1);
		return;
	}
	if (!(current->flags & PF_KTHREAD) || !mmget_not_zero(mm))
		return;
	kthread_use_mm(mm);
	/* As long as it is held, slots keep their memory. */
	srcu = srcu_read_lock(&kvm->srcu);
	if (keel_nested_take(table, kvm))
		keel_offer_answer(kvm, table);
	srcu_read_unlock(&kvm->srcu, srcu);
	kthread_unuse_mm(mm);
	mmput(mm);
}

static void keel_nested_tp_unregister(void)
{
	if (!keel_nested_tp)
		return;
	tracepoint_probe_unregister(keel_nested_tp, keel_nested_probe, NULL);
	tracepoint_synchronize_unregister();
	keel_nested_tp = NULL;
}

/* KVM comes, is there, or goes; under the kernel's lock for that. */
static int keel_nested_module(struct notifier_block *nb, unsigned long event, void *data)
{
	struct tp_module *tpm = data;
	struct tracepoint *tp;
	unsigned int i;

	for (i = 0; i < tpm->mod->num_tracepoints; i++) {
		tp = tracepoint_ptr_deref(&tpm->mod->tracepoints_ptrs[i]);
		if (strcmp(tp->name, "kvm_hypercall"))
			continue;
		if (event == MODULE_STATE_COMING &&
		    !tracepoint_probe_register(tp, keel_nested_probe, NULL))
			keel_nested_tp = tp;
		else if (event == MODULE_STATE_GOING)
			keel_nested_tp_unregister();
	}
	return NOTIFY_DONE;
}

static struct notifier_block keel_nested_nb = {
	.notifier_call = keel_nested_module,
};

/**
 * keel_nested_start - hear of offers
 *
 * Context: may sleep; keel_dirq.lock is held. Does nothing the second time.
 */
void keel_nested_start(void)
{
	lockdep_assert_held(&keel_dirq.lock);
	if (!keel_nested_started)
		keel_nested_started = !register_tracepoint_module_notifier(&keel_nested_nb);
}

/**
 * keel_nested_stop - and no more
 *
 * Context: may sleep; keel_dirq.lock is held.
 */
void keel_nested_stop(void)
{
	lockdep_assert_held(&keel_dirq.lock);
	if (!keel_nested_started)
		return;
	unregister_tracepoint_module_notifier(&keel_nested_nb);
	/* The notifier was told that KVM goes, or that it is there still. */
	keel_nested_tp_unregister();
	keel_nested_started = false;
}
