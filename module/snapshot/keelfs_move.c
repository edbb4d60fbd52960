// SPDX-License-Identifier: GPL-2.0
/*
 * keelfs: memory to another node.
 *
 * The kernel's own migration is not exported, but what it does to a page cache
 * is: under the folio's lock, with all mappings taken away, its references are
 * frozen and the new folio takes its place (folio_migrate_mapping()). Whoever
 * holds the memory, a device or a system call, has a reference, and then nothing
 * is done. Faults wait, find another folio and try again, as they do when the
 * kernel compacts memory; they wait for the mapping's invalidate_lock, for a
 * wait with a reference would keep the folio.
 *
 * The new folio must be charged to who pays for the old one and be on a list of
 * the reclaim. Only filemap_add_folio() does both for a module: it is first put
 * into a file that nobody sees, and taken out again.
 */
#include <linux/highmem.h>
#include <linux/memcontrol.h>
#include <linux/migrate.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>

#include "snapshot/keelfs.h"
#include "snapshot/keelfs_move.h"
#include "compat/compat.h"

/* No trouble for the sake of a folio: neither reclaim nor the OOM killer. */
#define MOVE_GFP	((GFP_HIGHUSER_MOVABLE | __GFP_THISNODE | __GFP_NORETRY | \
			  __GFP_NOWARN) & ~__GFP_RECLAIM)

/**
 * keelfs_move_begin - folios of a file are to be moved
 * @inode: keelfs file, whose mount is held
 *
 * Context: may sleep.
 * Return: what keelfs_move_folio() wants, for keelfs_move_end(); NULL without
 * memory.
 */
struct inode *keelfs_move_begin(struct inode *inode)
{
	return keelfs_inode_create(inode->i_sb, NULL, S_IFREG);
}

/**
 * keelfs_move_end - the mirror of keelfs_move_begin()
 * @unseen: what that returned
 */
void keelfs_move_end(struct inode *unseen)
{
	iput(unseen);
}

/* Put @new into the unseen file, at the cost of who pays for @folio. */
static int keelfs_move_charge(struct inode *unseen, struct folio *folio,
			      struct folio *new)
{
	struct mem_cgroup *memcg, *old;
	int err;

	rcu_read_lock();
	memcg = folio_memcg(folio);
	if (memcg && !css_tryget(&memcg->css))
		memcg = NULL;
	rcu_read_unlock();
	old = set_active_memcg(memcg);
	err = filemap_add_folio(unseen->i_mapping, new, 0,
				GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN);
	set_active_memcg(old);
	mem_cgroup_put(memcg);
	return err;
}

/* A folio like @folio on @nid: charged, on a list, of no file; locked. */
static struct folio *keelfs_move_alloc(struct inode *unseen, struct folio *folio,
				       int nid)
{
	struct folio *new = __folio_alloc_node(MOVE_GFP, folio_order(folio), nid);

	if (!new)
		return NULL;
	folio_mark_uptodate(new);
	if (keelfs_move_charge(unseen, folio, new)) {
		folio_put(new);
		return NULL;
	}
	folio_unlock(new);
	truncate_inode_pages(unseen->i_mapping, 0);
	folio_lock(new);
	return new;
}

static void keelfs_folio_copy(struct folio *to, struct folio *from)
{
	long i, nr = folio_nr_pages(from);

	for (i = 0; i < nr; i++) {
		copy_highpage(folio_page(to, i), folio_page(from, i));
		cond_resched();
	}
}

/* Does anybody but the file and we hold it? Devices do, for long. */
static bool keelfs_folio_held(struct folio *folio)
{
	return folio_ref_count(folio) > folio_nr_pages(folio) + 1;
}

static int keelfs_move_locked(struct inode *inode, struct inode *unseen,
			      struct folio *folio, int nid)
{
	struct address_space *mapping = inode->i_mapping;
	struct folio *new;
	int err = -EAGAIN;

	/* A snapshot that begins now copes, as it does with compaction. */
	if (rcu_access_pointer(KEELFS_I(inode)->snap) ||
	    keelfs_folio_poisoned(folio) || folio_maybe_dma_pinned(folio))
		return -EBUSY;
	new = keelfs_move_alloc(unseen, folio, nid);
	if (!new)
		return -ENOMEM;
	unmap_mapping_range(mapping, folio_pos(folio), folio_size(folio), 0);
	if (!folio_mapped(folio) && !keelfs_folio_held(folio)) {
		keelfs_folio_copy(new, folio);
		err = folio_migrate_mapping(mapping, new, folio, 0);
	}
	/* It is the file's no more. Who has waited for the lock will see it. */
	if (!err)
		folio->mapping = NULL;
	folio_unlock(new);
	folio_put(new);
	return err;
}

/**
 * keelfs_move_folio - move the folio at an index to another node
 * @inode: keelfs file
 * @unseen: of keelfs_move_begin() for it
 * @pgoff: its index
 * @nid: the node
 *
 * Context: may sleep; takes invalidate_lock, the folio's and i_mmap_rwsem; the
 * file is held, so that it stays mounted.
 * Return: pages moved, 0 if there is none or it is there; -EBUSY if it is in a
 * snapshot, pinned or broken; -EAGAIN if somebody holds it; -ENOMEM if @nid
 * has no memory that is free.
 */
int keelfs_move_folio(struct inode *inode, struct inode *unseen, pgoff_t pgoff,
		      int nid)
{
	struct keelfs_inode *ki = KEELFS_I(inode);
	struct folio *folio;
	int ret = 0;

	filemap_invalidate_lock(inode->i_mapping);
	folio = keel_filemap_get_folio(inode->i_mapping, pgoff);
	if (!folio)
		goto unlock;
	folio_lock(folio);
	WRITE_ONCE(ki->moving, true);
	if (folio->mapping == inode->i_mapping && folio_nid(folio) != nid) {
		ret = folio_nr_pages(folio);
		ret = keelfs_move_locked(inode, unseen, folio, nid) ?: ret;
	}
	WRITE_ONCE(ki->moving, false);
	folio_unlock(folio);
	folio_put(folio);
unlock:
	filemap_invalidate_unlock(inode->i_mapping);
	return ret;
}
