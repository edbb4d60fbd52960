// SPDX-License-Identifier: GPL-2.0
/*
 * What the threads of a VM touch, and where it lies.
 *
 * Memory on keelfs is sampled (snapshot/keelfs_sample.c): each thread that comes
 * back for a folio is known. For other memory nobody is known but, where the
 * kernel's NUMA balancing is on, by its hinting faults; otherwise all of it that
 * is there counts for every thread. Where that is, some pages tell, which are
 * looked up in the host's page tables and not faulted in.
 */
#include <linux/kthread.h>
#include <linux/kvm_host.h>
#include <linux/mm.h>
#include <linux/prandom.h>
#include <linux/sched/mm.h>
#include <linux/sched/numa_balancing.h>
#include <linux/slab.h>

#include "core/vm.h"
#include "placement/control.h"
#include "snapshot/keelfs_sample.h"
#include "snapshot/snapshot.h"
#include "compat/compat.h"

#define KIB(bytes)	((u32)min_t(u64, (bytes) >> 10, U32_MAX))
#define FILES_MAX	32	/* keelfs files of a VM */

static void keel_kib_add(u32 *to, u64 kib)
{
	*to = min_t(u64, *to + kib, U32_MAX);
}

static u32 keel_seed(void)
{
	return (u32)keel_place.counts.periods * 2654435761u + 1;
}

/* The keelfs files of some slots, each once and held; the bytes of the rest. */
struct keel_vm_files {
	struct file *file[FILES_MAX];
	unsigned int nr;
	u64 other;
};

static void keel_vm_files_add(struct keel_vm_files *f, struct file *file)
{
	unsigned int i;

	for (i = 0; i < f->nr; i++)
		if (file_inode(f->file[i]) == file_inode(file))
			return;
	if (f->nr < FILES_MAX)
		f->file[f->nr++] = get_file(file);
}

static void keel_vm_files_get(struct keel_vm_files *f, struct mm_struct *mm,
			      struct keel_slot_info *slot, size_t nr)
{
	struct vm_area_struct *vma;
	u64 other = 0;
	size_t i;

	memset(f, 0, sizeof(*f));
	mmap_read_lock(mm);
	for (i = 0; i < nr; i++) {
		vma = find_vma(mm, slot[i].hva);
		if (vma && vma->vm_start > slot[i].hva)
			vma = NULL;
		if (vma && vma->vm_file &&
		    keelfs_is_inode(file_inode(vma->vm_file)))
			keel_vm_files_add(f, vma->vm_file);
		else if (vma)
			f->other += slot[i].size;
		if (!vma || f->other == other)
			slot[i].size = 0;	/* of no interest any more */
		other = f->other;
	}
	mmap_read_unlock(mm);
}

static void keel_vm_files_put(struct keel_vm_files *f)
{
	while (f->nr)
		fput(f->file[--f->nr]);
}

static struct keel_thread *keel_thread_of(struct keel_place_vm *pv, pid_t tid)
{
	struct keel_thread *t;

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
	keel_kib_add(&t->touched[p->nid],
		     div64_u64(pages * p->nr, s->pages) << (PAGE_SHIFT - 10));
	t->samples++;
}

static void keel_observe_sample(struct keel_place_vm *pv, struct inode *inode)
{
	struct keelfs_sample *s = keelfs_sample_end(inode);
	struct keel_thread *t;
	u32 i;

	if (s && s->nr) {
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
	keelfs_sample_free(s);
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

/**
 * keel_observe_vm - what the threads of a VM have touched since the last time
 * @pv: the VM, whose threads have been looked at
 * @kvm: the same
 * @samples: how many places of its memory to look at until the next time
 *
 * Context: a kernel thread without an address space; may sleep; keel_place.lock
 * is held.
 */
void keel_observe_vm(struct keel_place_vm *pv, struct kvm *kvm, u32 samples)
{
	struct mm_struct *mm = kvm->mm;
	struct keel_slot_info *slot;
	struct keel_vm_files files;
	unsigned int i;
	size_t nr;

	lockdep_assert_held(&keel_place.lock);
	memset(pv->common, 0, nr_node_ids * sizeof(u32));
	pv->shared_kib = 0;
	slot = keel_vm_slots(kvm, &nr);
	if (!slot)
		return;
	if (mmget_not_zero(mm)) {
		keel_vm_files_get(&files, mm, slot, nr);
		for (i = 0; i < files.nr; i++) {
			keel_observe_sample(pv, file_inode(files.file[i]));
			keelfs_sample_begin(file_inode(files.file[i]),
					    samples / files.nr, keel_seed() + i);
		}
		if (files.other)
			keel_observe_residency(pv, mm, slot, nr, files.other,
					       samples);
		keel_vm_files_put(&files);
		mmput(mm);
	}
	kvfree(slot);
	keel_observe_common(pv);
}

/**
 * keel_observe_end - sample a VM no more
 * @kvm: the VM
 *
 * Context: may sleep; keel_place.lock is held.
 */
void keel_observe_end(struct kvm *kvm)
{
	struct keel_slot_info *slot;
	struct keel_vm_files files;
	unsigned int i;
	size_t nr;

	lockdep_assert_held(&keel_place.lock);
	slot = keel_vm_slots(kvm, &nr);
	if (!slot)
		return;
	if (mmget_not_zero(kvm->mm)) {
		keel_vm_files_get(&files, kvm->mm, slot, nr);
		for (i = 0; i < files.nr; i++)
			keelfs_sample_free(keelfs_sample_end(file_inode(files.file[i])));
		keel_vm_files_put(&files);
		mmput(kvm->mm);
	}
	kvfree(slot);
}
