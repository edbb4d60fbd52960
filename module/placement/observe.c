// SPDX-License-Identifier: GPL-2.0
/*
 * What the threads of a VM touch, and where it lies.
 *
 * Memory on keelfs is sampled (snapshot/keelfs_sample.c): each thread that comes
 * back for a folio is known. A sample lasts a period. While a VM does the same
 * most periods go by without one; whoever does something new is looked at again
 * at once. For other memory nobody is known but, where the
 * kernel's NUMA balancing is on, by its hinting faults; otherwise all of it that
 * is there counts for every thread. Where that is, some pages tell, which are
 * looked up in the host's page tables and not faulted in.
 */
#include <linux/kthread.h>
#include <linux/kvm_host.h>
#include <linux/mempolicy.h>
#include <linux/mm.h>
#include <linux/prandom.h>
#include <linux/sched/mm.h>
#include <linux/sched/numa_balancing.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

#include "core/vm.h"
#include "placement/control.h"
#include "snapshot/keelfs_sample.h"
#include "snapshot/snapshot.h"
#include "compat/compat.h"

#define IDLE		(PLACE_ONE / 100)
#define BUSY		(PLACE_ONE / 16)

#define KIB(bytes)	((u32)min_t(u64, (bytes) >> 10, U32_MAX))

static void keel_kib_add(u32 *to, u64 kib)
{
	*to = min_t(u64, *to + kib, U32_MAX);
}

static u32 keel_seed(void)
{
	return (u32)keel_place.counts.periods * 2654435761u + 1;
}

#ifdef CONFIG_NUMA
/* Leave of @nodes those that a policy lets memory be moved to. */
static void keel_policy_limit(nodemask_t *nodes, const struct mempolicy *pol)
{
	switch (pol ? pol->mode : MPOL_DEFAULT) {
	case MPOL_DEFAULT:
	case MPOL_LOCAL:
		break;
	case MPOL_BIND:
	case MPOL_PREFERRED:
	case MPOL_PREFERRED_MANY:
		nodes_and(*nodes, *nodes, pol->nodes);
		break;
	default:	/* it is spread on purpose */
		nodes_clear(*nodes);
	}
}

static void keel_vma_limit(nodemask_t *nodes, const struct vm_area_struct *vma)
{
	keel_policy_limit(nodes, vma->vm_policy);
}

static void keel_task_limit(nodemask_t *nodes, struct task_struct *task)
{
	task_lock(task);
	keel_policy_limit(nodes, task->mempolicy);
	nodes_and(*nodes, *nodes, task->mems_allowed);
	task_unlock(task);
}
#else
static void keel_vma_limit(nodemask_t *nodes, const struct vm_area_struct *vma)
{
}

static void keel_task_limit(nodemask_t *nodes, struct task_struct *task)
{
}
#endif

static void keel_file_add(struct keel_place_vm *pv, struct file *file)
{
	u32 i;

	for (i = 0; i < pv->nr_files; i++)
		if (file_inode(pv->file[i].file) == file_inode(file))
			return;
	if (pv->nr_files < KEEL_PLACE_FILES_MAX)
		pv->file[pv->nr_files++].file = get_file(file);
}

/*
 * The keelfs files of a VM's slots, each once and held. Return: the bytes of the
 * other slots; those that have none are made empty.
 */
static u64 keel_files_get(struct keel_place_vm *pv, struct mm_struct *mm,
			  struct keel_slot_info *slot, size_t nr)
{
	struct vm_area_struct *vma;
	u64 other = 0;
	size_t i;

	mmap_read_lock(mm);
	for (i = 0; i < nr; i++) {
		vma = find_vma(mm, slot[i].hva);
		if (!vma || vma->vm_start > slot[i].hva) {
			slot[i].size = 0;
			continue;
		}
		keel_vma_limit(&pv->mems, vma);
		if (vma->vm_file && keelfs_is_inode(file_inode(vma->vm_file))) {
			keel_file_add(pv, vma->vm_file);
			slot[i].size = 0;
		}
		other += slot[i].size;
	}
	mmap_read_unlock(mm);
	return other;
}

static void keel_files_put(struct keel_place_vm *pv)
{
	struct keel_place_file *f;

	while (pv->nr_files) {
		f = &pv->file[--pv->nr_files];
		keelfs_sample_free(f->sample);
		fput(f->file);
		*f = (struct keel_place_file){};
	}
}

/**
 * keel_thread_of - the thread of a VM that has come back for some memory
 * @pv: the VM
 * @tid: of keelfs_sampled; 0 is nobody
 *
 * Context: any; keel_place.lock is held.
 * Return: the thread, NULL if it is none of those that are placed.
 */
struct keel_thread *keel_thread_of(struct keel_place_vm *pv, pid_t tid)
{
	struct keel_thread *t;

	lockdep_assert_held(&keel_place.lock);
	list_for_each_entry(t, &pv->threads, node)
		if (t->task->pid == tid)
			return t;
	return NULL;
}

/*
 * A folio that was sampled stands for as much of the file as it is of the sample.
 * How sure that is depends on how many runs there were, for what is near each
 * other is used alike.
 */
static void keel_observe_folio(struct keel_place_vm *pv, struct inode *inode,
			       const struct keelfs_sample *s, u32 i)
{
	const struct keelfs_sampled *p = &s->page[i];
	pid_t tid = READ_ONCE(p->tid);
	struct keel_thread *t = tid ? keel_thread_of(pv, tid) : NULL;
	u64 pages = inode->i_mapping->nrpages;

	if (!t)
		return;
	keel_kib_add(&t->kept[p->nid],
		     div64_u64(pages * p->nr, s->pages) << (PAGE_SHIFT - 10));
	t->samples++;
}

static void keel_observe_sample(struct keel_place_vm *pv, struct inode *inode,
				const struct keelfs_sample *s)
{
	struct keel_thread *t;
	u32 i;

	if (!s->nr)
		return;
	keel_place.counts.sampled += s->nr;
	keel_place.counts.unmapped += s->unmapped;
	for (i = 0; i < s->nr; i++)
		keel_observe_folio(pv, inode, s, i);
	list_for_each_entry(t, &pv->threads, node) {
		t->runs += s->whole ? 0 :
			   DIV_ROUND_UP(t->samples * s->unmapped, s->nr);
		t->samples = 0;
	}
}

/* Has none of the VM's threads done anything in the last period? */
static bool keel_vm_idle(const struct keel_place_vm *pv)
{
	const struct keel_thread *t;

	list_for_each_entry(t, &pv->threads, node)
		if (t->util > IDLE)
			return false;
	return true;
}

/* What was known of memory on keelfs goes for what the samples have shown. */
static void keel_observe_samples(struct keel_place_vm *pv)
{
	bool any = false, idle = keel_vm_idle(pv);
	struct keel_thread *t;
	u32 i;

	for (i = 0; i < pv->nr_files; i++)
		any |= !!pv->file[i].sample;
	pv->fresh = any || idle || !pv->nr_files;
	list_for_each_entry(t, &pv->threads, node) {
		if (any)
			t->runs = 0;
		for (i = 0; any && i < nr_node_ids; i++)
			t->kept[i] = 0;
		/* Nobody looks at who does nothing: it is forgotten slowly. */
		for (i = 0; !any && idle && i < nr_node_ids; i++)
			t->kept[i] -= t->kept[i] / 8;
	}
	for (i = 0; i < pv->nr_files; i++)
		if (pv->file[i].sample)
			keel_observe_sample(pv, file_inode(pv->file[i].file),
					    pv->file[i].sample);
}

/* Where pages of the slots that are not on keelfs lie. */
static void keel_observe_residency(struct keel_place_vm *pv,
				   struct mm_struct *mm,
				   const struct keel_slot_info *slot, size_t nr,
				   u64 bytes, u32 samples)
{
	struct rnd_state rnd;
	struct page *page;
	u32 i, kib = KIB(bytes / samples);
	size_t k;
	u64 at;

	prandom_seed_state(&rnd, keel_seed());
	kthread_use_mm(mm);
	for (i = 0; i < samples; i++) {
		at = ((u64)prandom_u32_state(&rnd) << 32 |
		      prandom_u32_state(&rnd)) % bytes;
		for (k = 0; k < nr && at >= slot[k].size; k++)
			at -= slot[k].size;
		if (k == nr ||
		    get_user_pages_fast_only((slot[k].hva + at) & PAGE_MASK, 1,
					     0, &page) != 1)
			continue;
		keel_kib_add(&pv->common[page_to_nid(page)], kib);
		put_page(page);
	}
	kthread_unuse_mm(mm);
}

#ifdef CONFIG_NUMA_BALANCING
/* As task_faults_idx() of kernel/sched/fair.c has it: memory, by node, twice. */
static u64 keel_numa_faults(const struct task_struct *task, int nid)
{
	return task->numa_faults[2 * nid] + task->numa_faults[2 * nid + 1];
}

/* The part of @kib that a thread, which has such, has on @nid by its faults. */
static u32 keel_numa_part(const struct task_struct *task, int nid, u32 kib)
{
	u64 all = 0, here;
	int n;

	for_each_online_node(n)
		all += keel_numa_faults(task, n);
	here = keel_numa_faults(task, nid);
	return all ? min_t(u64, div64_u64(here * kib, all), U32_MAX) : kib;
}
#endif

/* What is there counts for all threads; by hinting faults, where there are any. */
static void keel_observe_common(struct keel_place_vm *pv)
{
	u32 all = 0, here;
	struct keel_thread *t;
	int nid;

	for_each_online_node(nid)
		keel_kib_add(&all, pv->common[nid]);
	pv->shared_kib = all;
	list_for_each_entry(t, &pv->threads, node) {
		t->mems = pv->mems;
		keel_task_limit(&t->mems, t->task);
		memcpy(t->touched, t->kept, nr_node_ids * sizeof(u32));
		for_each_online_node(nid) {
			here = pv->common[nid];
#ifdef CONFIG_NUMA_BALANCING
			if (READ_ONCE(t->task->numa_faults))
				here = keel_numa_part(t->task, nid, all);
#endif
			keel_kib_add(&t->touched[nid], here);
		}
	}
}

/*
 * The samples of a VM's files end, and are its own until keel_files_put(). By
 * residency of the rest, if @samples is not 0.
 */
static void keel_observe_slots(struct keel_place_vm *pv, struct kvm *kvm,
			       u32 samples)
{
	struct keel_slot_info *slot;
	u64 other;
	size_t nr;
	u32 i;

	slot = keel_vm_slots(kvm, &nr);
	if (!slot)
		return;
	if (mmget_not_zero(kvm->mm)) {
		other = keel_files_get(pv, kvm->mm, slot, nr);
		for (i = 0; i < pv->nr_files; i++)
			pv->file[i].sample =
				keelfs_sample_end(file_inode(pv->file[i].file));
		if (other && samples)
			keel_observe_residency(pv, kvm->mm, slot, nr, other,
					       samples);
		mmput_async(kvm->mm);
	}
	kvfree(slot);
}

/**
 * keel_observe_vm - what the threads of a VM have touched since the last time
 * @pv: the VM, whose threads have been looked at
 * @kvm: the same
 * @samples: how many places of its memory that is not on keelfs to look at
 *
 * If memory is moved, what was seen of its keelfs files is in @pv->file until
 * keel_observe_next(). Otherwise they are let go of: they keep a file system from
 * being unmounted.
 *
 * Context: a kernel thread without an address space; may sleep; keel_place.lock
 * is held.
 */
void keel_observe_vm(struct keel_place_vm *pv, struct kvm *kvm, u32 samples)
{
	lockdep_assert_held(&keel_place.lock);
	memset(pv->common, 0, nr_node_ids * sizeof(u32));
	pv->shared_kib = 0;
	pv->mems = node_states[N_MEMORY];
	keel_files_put(pv);
	keel_observe_slots(pv, kvm, samples);
	keel_observe_samples(pv);
	keel_observe_common(pv);
	if (!keel_place.options.memory_mib)
		keel_files_put(pv);
}

/*
 * Is something new, or not sure, about a thread of the VM that does something? Not
 * what a sample has just shown: another would show the same.
 */
static bool keel_vm_news(const struct keel_place_vm *pv)
{
	const struct keel_thread *t;

	list_for_each_entry(t, &pv->threads, node)
		if ((t->track.stirred || t->track.unsure) && t->util > BUSY)
			return true;
	return false;
}

/* Is its memory on its way? It is moved as samples show it. */
static bool keel_vm_carried(const struct keel_place_vm *pv)
{
	const struct keel_thread *t;

	list_for_each_entry(t, &pv->threads, node)
		if (t->far && keel_place.options.memory_mib)
			return true;
	return false;
}

/*
 * Is it time for another sample of the VM? It is when the credit is full, and half
 * of it is left for what is new then: who has slept is looked at when he wakes up.
 */
static bool keel_observe_due(struct keel_place_vm *pv)
{
	pv->credit = min_t(u32, pv->credit + 1, KEEL_SAMPLE_CREDIT);
	if (keel_vm_idle(pv))
		return false;
	if (keel_vm_carried(pv))
		return true;
	if (pv->credit < (keel_vm_news(pv) ? KEEL_SAMPLE_COST : KEEL_SAMPLE_CREDIT))
		return false;
	pv->credit -= KEEL_SAMPLE_COST;
	return true;
}

/**
 * keel_observe_next - what was seen is done with; see anew, if it is time
 * @pv: the VM, of which the decision has been made
 * @samples: how many places of its memory on keelfs to look at
 *
 * Context: may sleep; keel_place.lock is held.
 */
void keel_observe_next(struct keel_place_vm *pv, u32 samples)
{
	struct file *file;
	struct kvm *kvm;
	u32 i;

	lockdep_assert_held(&keel_place.lock);
	if (pv->mode != KEEL_PLACE_MODE_OFF && keel_observe_due(pv)) {
		/* If memory is moved they are still at hand. */
		file = pv->nr_files ? NULL : keel_vm_open(pv->vm, &kvm);
		if (file) {
			keel_observe_slots(pv, kvm, 0);
			fput(file);
		}
		for (i = 0; i < pv->nr_files; i++)
			keelfs_sample_begin(file_inode(pv->file[i].file),
					    samples / pv->nr_files,
					    keel_seed() + i);
	}
	keel_files_put(pv);
}

/**
 * keel_observe_end - sample a VM no more
 * @pv: the VM
 * @kvm: the same, NULL if it has gone
 *
 * Context: may sleep; keel_place.lock is held.
 */
void keel_observe_end(struct keel_place_vm *pv, struct kvm *kvm)
{
	lockdep_assert_held(&keel_place.lock);
	keel_files_put(pv);
	if (kvm)
		keel_observe_slots(pv, kvm, 0);
	keel_files_put(pv);
}
