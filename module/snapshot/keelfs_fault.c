// SPDX-License-Identifier: GPL-2.0
/*
 * keelfs: faults.
 *
 * There is no ->page_mkwrite. Without a snapshot a shared writable mapping
 * gets writable entries at once, as on tmpfs, and long-term pins (VFIO) work.
 * When a snapshot is armed, every mapping has been taken away, and whoever
 * comes back first through ->fault saves the page before it is mapped. A read
 * saves too: its entry would be writable, and the page has to be copied once
 * anyway.
 *
 * What closes the race with the arm: ->fault returns with the folio locked,
 * and it stays locked until its entry stands. The state of the snapshot is
 * looked at under that lock. The arm first shuts the gate, then takes the
 * mappings away, then goes through all folios: one that is unlocked and
 * unmapped can only be mapped by a fault that will see the gate shut.
 */
#include <linux/file.h>
#include <linux/pagemap.h>

#include "snapshot/keelfs.h"
#include "snapshot/keelfs_sample.h"
#include "snapshot/snap.h"
#include "compat/compat.h"

static bool keelfs_huge_fits(struct inode *inode, pgoff_t pgoff,
			     struct vm_fault *vmf)
{
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	loff_t end = ((loff_t)round_down(pgoff, HPAGE_PMD_NR) + HPAGE_PMD_NR)
		     << PAGE_SHIFT;

	return vmf && KEELFS_SB(inode->i_sb)->huge &&
	       end <= i_size_read(inode) &&
	       keel_thp_vma_suitable(vmf->vma,
				     vmf->address & HPAGE_PMD_MASK);
#else
	return false;
#endif
}

static struct folio *keelfs_folio_alloc(struct inode *inode, pgoff_t pgoff,
					struct vm_fault *vmf, int order)
{
	gfp_t gfp = mapping_gfp_mask(inode->i_mapping);

	if (order)
		gfp = (GFP_TRANSHUGE_LIGHT | __GFP_NORETRY) & ~__GFP_RECLAIM;
	if (vmf)
		return keel_vma_alloc_folio(gfp | __GFP_ZERO, order, vmf->vma,
					    vmf->address);
	return keel_filemap_alloc_folio(gfp | __GFP_ZERO, order);
}

/* Put a new folio of zeroes into the page cache, locked. */
static struct folio *keelfs_folio_add(struct inode *inode, pgoff_t pgoff,
				      struct vm_fault *vmf, int order)
{
	gfp_t gfp = mapping_gfp_mask(inode->i_mapping);
	struct folio *folio;
	int err;

	lockdep_assert_held(&inode->i_mapping->invalidate_lock);
	folio = keelfs_folio_alloc(inode, pgoff, vmf, order);
	if (!folio)
		return ERR_PTR(-ENOMEM);

	folio_mark_uptodate(folio);
	/* Dirty before anybody can see it: a clean one could be dropped. */
	folio_set_dirty(folio);
	err = filemap_add_folio(inode->i_mapping, folio,
				round_down(pgoff, 1UL << order), gfp);
	if (err) {
		folio_clear_dirty(folio);
		folio_put(folio);
		return ERR_PTR(err);
	}
	return folio;
}

static struct folio *keelfs_folio_create(struct inode *inode, pgoff_t pgoff,
					 struct vm_fault *vmf)
{
	struct folio *folio = ERR_PTR(-ENOMEM);

	/* Against truncate: it changes the size before it takes this lock. */
	filemap_invalidate_lock_shared(inode->i_mapping);
	if (vmf && pgoff >= DIV_ROUND_UP(i_size_read(inode), PAGE_SIZE)) {
		folio = ERR_PTR(-EINVAL);
		goto unlock;
	}
	if (keelfs_huge_fits(inode, pgoff, vmf))
		folio = keelfs_folio_add(inode, pgoff, vmf, HPAGE_PMD_ORDER);
	if (IS_ERR(folio))
		folio = keelfs_folio_add(inode, pgoff, vmf, 0);
unlock:
	filemap_invalidate_unlock_shared(inode->i_mapping);
	return folio;
}

/*
 * A folio is locked. If one is being moved it may be this one, and who waits for
 * its lock with a reference to it keeps it from being moved. Return: true if the
 * wait was without it, which it took.
 */
static bool keelfs_move_wait(struct inode *inode, struct folio *folio)
{
	if (!READ_ONCE(KEELFS_I(inode)->moving))
		return false;
	folio_put(folio);
	filemap_invalidate_lock_shared(inode->i_mapping);
	filemap_invalidate_unlock_shared(inode->i_mapping);
	return true;
}

/**
 * keelfs_folio_lock - find or create the folio at an index, and lock it
 * @inode: keelfs file
 * @pgoff: page number in it
 * @vmf: the fault on whose behalf this is, NULL for none. Then the size of
 *	the file bounds the index and the VMA's policy places the memory.
 * @fresh: (out) the folio was created, and has not been unlocked since
 *
 * Context: may sleep. Without @vmf the caller holds the inode lock.
 * Return: the folio with a reference and locked; -EINVAL past the end of the
 *	file, -ENOMEM.
 */
struct folio *keelfs_folio_lock(struct inode *inode, pgoff_t pgoff,
				struct vm_fault *vmf, bool *fresh)
{
	struct address_space *mapping = inode->i_mapping;
	struct folio *folio;

	for (;;) {
		*fresh = false;
		folio = keel_filemap_get_folio(mapping, pgoff);
		if (!folio) {
			folio = keelfs_folio_create(inode, pgoff, vmf);
			if (folio == ERR_PTR(-EEXIST))
				continue;
			*fresh = true;
			return folio;
		}

		if (!folio_trylock(folio)) {
			if (keelfs_move_wait(inode, folio))
				continue;
			folio_lock(folio);
		}
		if (folio->mapping == mapping &&
		    folio_contains(folio, pgoff))
			break;
		folio_unlock(folio);
		folio_put(folio);
	}

	if (vmf && pgoff >= DIV_ROUND_UP(i_size_read(inode), PAGE_SIZE)) {
		folio_unlock(folio);
		folio_put(folio);
		return ERR_PTR(-EINVAL);
	}
	return folio;
}

/*
 * Wait until the gate opens or a buffer is free, without the mmap lock if the
 * fault may be retried, be it for the first time or not: the VMM must be able
 * to change its mappings meanwhile. Return: VM_FAULT_RETRY, or 0 to try again
 * at once.
 */
static vm_fault_t keelfs_fault_wait(struct vm_fault *vmf, struct inode *inode)
{
	enum keel_wait how = vmf->flags & FAULT_FLAG_INTERRUPTIBLE ?
			     KEEL_WAIT_INTERRUPTIBLE : KEEL_WAIT_KILLABLE;
	struct keel_snap_file *sf;
	struct file *file;
	int err;

	if (vmf->flags & FAULT_FLAG_RETRY_NOWAIT)
		return VM_FAULT_RETRY;

	sf = keel_snap_enter(inode);
	if (!sf)
		return 0;
	if (!(vmf->flags & FAULT_FLAG_ALLOW_RETRY)) {
		err = keel_snap_file_wait(sf, KEEL_WAIT_LOCKED);
		keel_snap_leave(sf);
		return err ? VM_FAULT_SIGBUS : 0; /* a fatal signal is pending */
	}

	/*
	 * Without the lock the VMA may go, and with it the last file that
	 * keeps this code loaded. fput() in a fault takes effect when the task
	 * is on its way back to user space.
	 */
	file = get_file(vmf->vma->vm_file);
	/* After this neither the fault nor its VMA may be looked at. */
	keel_release_fault_lock(vmf);
	keel_snap_file_wait(sf, how);
	keel_snap_leave(sf);
	fput(file);
	return VM_FAULT_RETRY;
}

/* A mapping is about to be made again: is somebody curious by whom? */
static void keelfs_sample_touch(struct inode *inode, pgoff_t pgoff)
{
	struct keelfs_sample *s;

	rcu_read_lock();
	s = rcu_dereference(KEELFS_I(inode)->sample);
	if (s)
		__keelfs_sample_touch(s, pgoff);
	rcu_read_unlock();
}

static vm_fault_t keelfs_fault(struct vm_fault *vmf)
{
	struct inode *inode = file_inode(vmf->vma->vm_file);
	/* A private or read-only mapping never leads to a write to the file. */
	bool writer = vmf->vma->vm_flags & VM_SHARED;
	struct folio *folio;
	vm_fault_t ret;
	bool fresh;

	do {
		folio = keelfs_folio_lock(inode, vmf->pgoff, vmf, &fresh);
		if (IS_ERR(folio))
			return folio == ERR_PTR(-ENOMEM) ? VM_FAULT_OOM :
							   VM_FAULT_SIGBUS;

		vmf->page = folio_file_page(folio, vmf->pgoff);
		ret = PageHWPoison(vmf->page) ? VM_FAULT_HWPOISON : 0;
		if (!ret &&
		    (!writer || !keel_snap_touch(inode, folio, fresh))) {
			keelfs_sample_touch(inode, vmf->pgoff);
			return VM_FAULT_LOCKED;
		}

		vmf->page = NULL;
		folio_unlock(folio);
		folio_put(folio);
		ret = ret ?: keelfs_fault_wait(vmf, inode);
	} while (!ret);

	return ret;
}

static vm_fault_t keelfs_map_pages(struct vm_fault *vmf, pgoff_t start,
				   pgoff_t end)
{
	struct inode *inode = file_inode(vmf->vma->vm_file);
	vm_fault_t ret = 0;

	/*
	 * One RCU section around the question and the mapping: a snapshot that
	 * is being prepared waits for it before it may be armed.
	 */
	rcu_read_lock();
	if (!(vmf->vma->vm_flags & VM_SHARED) ||
	    keel_snap_saved(inode, vmf->pgoff, &start, &end)) {
		keelfs_sample_touch(inode, vmf->pgoff);
		ret = filemap_map_pages(vmf, start, end);
	}
	rcu_read_unlock();
	return ret;
}

const struct vm_operations_struct keelfs_vm_ops = {
	.fault		= keelfs_fault,
	.map_pages	= keelfs_map_pages,
};
