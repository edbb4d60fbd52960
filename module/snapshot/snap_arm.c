// SPDX-License-Identifier: GPL-2.0
/*
 * Live snapshots: the instant.
 *
 * prepare does what takes time while the guest runs; it takes the mappings away
 * a first time, so that arm finds only those that came back since. arm shuts
 * the gate, takes all mappings of all files away, and looks at every folio
 * once: those whose lock is held may be about to be mapped by a fault that
 * began before the gate shut, so their locks are waited for and the mappings
 * taken again. After the last file's walk no CPU can write to any of them.
 * Pages that something else than the page cache still holds (devices by DMA,
 * KVM for nested guests, a read(2) in flight) may change without a fault, so
 * they are saved before the gate opens. Many are only held in passing; a second
 * look drops those, which cannot be held anew by anybody who writes. After it
 * is the instant.
 */
#include <linux/delay.h>
#include <linux/ktime.h>
#include <linux/rcupdate_wait.h>
#include <linux/slab.h>

#include "core/trace.h"
#include "snapshot/snap.h"
#include "compat/compat.h"

/* Folios that a CPU may keep in its batches, of the LRU and of mlock. */
#define KEEL_ARM_BATCHED	64U

/*
 * For how long to look at held pages again before refusing. Who holds one in
 * passing may have to wait for a CPU first.
 */
#define KEEL_ARM_PATIENCE_MS	50

static int keel_snap_file_room(struct keel_snap_file *sf, pgoff_t nr)
{
	unsigned long *saved;

	lockdep_assert_held(&sf->snap->lock);
	if (nr <= sf->saved_nr)
		return 0;
	/* A bit for each page: 32 MiB for a file of 1 TiB. */
	if (nr > 1UL << 32)
		return -EFBIG;

	saved = kvcalloc(BITS_TO_LONGS(nr), sizeof(long), GFP_KERNEL_ACCOUNT);
	if (!saved)
		return -ENOMEM;
	kvfree(sf->saved);
	sf->saved = saved;
	sf->saved_nr = nr;
	return 0;
}

/* Once, before any fault can look: PREPARE does not come again after it worked. */
static int keel_snap_file_hot(struct keel_snap_file *sf, pgoff_t nr)
{
	unsigned long hot_nr = DIV_ROUND_UP(nr, KEEL_SNAP_CHUNK);

	lockdep_assert_held(&sf->snap->lock);
	kvfree(sf->hot);
	sf->hot_nr = 0;
	sf->hot = kvcalloc(BITS_TO_LONGS(hot_nr), sizeof(long),
			   GFP_KERNEL_ACCOUNT);
	if (!sf->hot)
		return -ENOMEM;
	sf->hot_nr = hot_nr;
	return 0;
}

static pgoff_t keel_snap_file_pages(struct keel_snap_file *sf)
{
	return DIV_ROUND_UP(i_size_read(file_inode(sf->file)), PAGE_SIZE);
}

/* Pages of a file that devices hold for good. A look ahead, not the count. */
static u64 keel_snap_file_pinned(struct keel_snap_file *sf)
{
	struct address_space *mapping = sf->file->f_mapping;
	struct folio_batch fbatch;
	pgoff_t next = 0;
	unsigned int i;
	u64 pinned = 0;

	folio_batch_init(&fbatch);
	while (filemap_get_folios(mapping, &next, ULONG_MAX, &fbatch)) {
		for (i = 0; i < folio_batch_count(&fbatch); i++)
			if (folio_maybe_dma_pinned(fbatch.folios[i]))
				pinned += folio_nr_pages(fbatch.folios[i]);
		folio_batch_release(&fbatch);
		cond_resched();
	}
	return pinned;
}

/**
 * keel_snap_prepare - KEEL_SNAP_PREPARE
 * @snap: a snapshot with its files
 *
 * From here on faults are not served around (->map_pages), so that every one
 * passes ->fault with its folio locked. What the guest needs is mapped again as
 * it touches it, as it would be after the arm; the rest, which is most of it,
 * does not lengthen the time that the gate is shut. And what it touches until then
 * it is likely to touch right after, so the sweep begins with that.
 *
 * Context: may sleep; waits for an RCU grace period.
 * Return: 0, or an errno of uapi/linux/keel.h.
 */
int keel_snap_prepare(struct keel_snap *snap)
{
	u64 pinned = 0, pages = 0;
	unsigned int i;
	int err;

	mutex_lock(&snap->lock);
	err = -EPROTO;
	if (!snap->id || snap->phase != KEEL_PHASE_NEW)
		goto unlock;

	for (i = 0; i < snap->nr_files; i++) {
		struct keel_snap_file *sf = snap->files[i];

		pages += keel_snap_file_pages(sf);
		err = keel_snap_file_room(sf, keel_snap_file_pages(sf)) ?:
		      keel_snap_file_hot(sf, keel_snap_file_pages(sf));
		if (err)
			goto unlock;
		pinned += keel_snap_file_pinned(sf);
	}
	err = -ENODATA;
	if (!pages)
		goto unlock;
	err = -ETOOMANYREFS;
	if (pinned > snap->pinned_max)
		goto unlock;

	snap->max_held = snap->pinned_max + KEEL_ARM_BATCHED * num_online_cpus();
	if (!snap->held)
		snap->held = kvcalloc(snap->max_held, sizeof(*snap->held),
				      GFP_KERNEL_ACCOUNT);
	err = -ENOMEM;
	if (!snap->held)
		goto unlock;

	/* Pairs with the acquire in keel_snap_phase(). */
	smp_store_release(&snap->phase, KEEL_PHASE_PREPARED);
	synchronize_rcu();
	for (i = 0; i < snap->nr_files; i++)
		unmap_mapping_range(snap->files[i]->file->f_mapping, 0, 0, 0);
	err = 0;
unlock:
	mutex_unlock(&snap->lock);
	if (!err)
		keel_snap_notify(snap);
	return err;
}

static void keel_snap_unlock_files(struct keel_snap *snap, unsigned int n)
{
	while (n--)
		inode_unlock(file_inode(snap->files[n]->file));
}

/*
 * Keep write(2), truncate and fallocate out. Others may hold these locks for
 * as long as their user's memory takes to fault in, hence the time limit;
 * trylock, because there is no order among files.
 */
static int keel_snap_lock_files(struct keel_snap *snap, u32 timeout_ms)
{
	ktime_t end = ktime_add_ms(ktime_get(), timeout_ms);
	unsigned int n = 0;

	lockdep_assert_held(&snap->lock);
	while (n < snap->nr_files) {
		if (inode_trylock(file_inode(snap->files[n]->file))) {
			n++;
			continue;
		}
		keel_snap_unlock_files(snap, n);
		n = 0;
		if (fatal_signal_pending(current))
			return -EINTR;
		if (ktime_after(ktime_get(), end))
			return -EBUSY;
		usleep_range(50, 100);
	}
	return 0;
}

/**
 * struct keel_arm_seen - what the walk saw
 * @pages: pages present
 * @lost: held pages that there was no room in keel_snap.held for
 * @poisoned: memory that cannot be read
 */
struct keel_arm_seen {
	u64 pages;
	u64 lost;
	bool poisoned;
};

/*
 * Close out one folio: wait for whoever is about to map it, take the mapping
 * away again, note if something else holds it. Return: false if the folio has
 * left the file and its index must be looked at again.
 */
static bool keel_snap_close_folio(struct keel_snap_file *sf,
				  struct folio *folio,
				  struct keel_arm_seen *seen)
{
	struct address_space *mapping = sf->file->f_mapping;
	long nr = folio_nr_pages(folio);
	struct keel_snap *snap = sf->snap;
	bool ours;

	lockdep_assert_held(&snap->lock);
	folio_lock(folio);
	ours = folio->mapping == mapping;
	if (!ours)
		goto unlock;
	if (folio_mapped(folio))
		unmap_mapping_pages(mapping, folio->index, nr, false);
	seen->pages += nr;
	seen->poisoned |= keelfs_folio_poisoned(folio);

	/* The page cache has a reference a page, the walk one. */
	if (folio_ref_count(folio) <= nr + 1)
		goto unlock;
	if (snap->nr_held == snap->max_held) {
		seen->lost += nr;
		goto unlock;
	}
	snap->held[snap->nr_held].sf = sf;
	snap->held[snap->nr_held].pgoff = folio->index;
	snap->held[snap->nr_held++].nr = nr;
unlock:
	folio_unlock(folio);
	return ours;
}

/*
 * Nobody maps it, is about to, or holds it, and it is sound. It may be of
 * another file by now.
 */
static bool keel_snap_folio_quiet(struct folio *folio)
{
	if (folio_test_locked(folio))
		return false;
	/* Its lock was dropped after it was mapped. */
	smp_rmb();
	return !folio_mapped(folio) && !keelfs_folio_poisoned(folio) &&
	       folio_ref_count(folio) <= folio_nr_pages(folio);
}

/* Look at every folio of a file once. */
static void keel_snap_walk_file(struct keel_snap_file *sf,
				struct keel_arm_seen *seen)
{
	XA_STATE(xas, &sf->file->f_mapping->i_pages, 0);
	unsigned int looks = 0;
	struct folio *folio;

	if (!sf->nr)
		return;

	rcu_read_lock();
	xas_for_each(&xas, folio, sf->nr - 1) {
		pgoff_t pgoff;
		bool done;

		if (xas_retry(&xas, folio) || xa_is_value(folio))
			continue;
		if (likely(keel_snap_folio_quiet(folio))) {
			/* If it was replaced meanwhile, that says nothing. */
			smp_rmb();
			if (unlikely(folio != xas_reload(&xas))) {
				xas_reset(&xas);
				continue;
			}
			seen->pages += folio_nr_pages(folio);
			if (!(++looks % 4096)) {
				xas_pause(&xas);
				cond_resched_rcu();
			}
			continue;
		}

		if (!folio_try_get(folio)) {
			xas_reset(&xas);
			continue;
		}
		if (unlikely(folio != xas_reload(&xas))) {
			folio_put(folio);
			xas_reset(&xas);
			continue;
		}
		pgoff = folio->index;
		xas_pause(&xas);
		rcu_read_unlock();

		done = keel_snap_close_folio(sf, folio, seen);
		folio_put(folio);

		rcu_read_lock();
		if (!done)
			xas_set(&xas, pgoff);
	}
	rcu_read_unlock();
}

enum keel_holder {
	KEEL_HOLDER_NONE,
	KEEL_HOLDER_BATCH,	/* a batch on its way to the LRU: never writes */
	KEEL_HOLDER_OTHER,
};

/* Who holds what the walk found held, as of now? */
static enum keel_holder keel_snap_holder(const struct keel_snap_held *held)
{
	struct folio *folio = keel_filemap_get_folio(held->sf->file->f_mapping,
						     held->pgoff);
	enum keel_holder holder = KEEL_HOLDER_OTHER;
	long others;
	bool same;

	/* Nothing removes folios with the inode locked. */
	if (!folio)
		return holder;
	/* The page cache has a reference a page, we have one. */
	others = folio_ref_count(folio) - folio_nr_pages(folio) - 1;
	/* One that was split or put together meanwhile is not worth the trouble. */
	same = folio->index == held->pgoff && folio_nr_pages(folio) == held->nr;
	if (same && others <= 0)
		holder = KEEL_HOLDER_NONE;
	else if (same && others == 1 && !folio_test_lru(folio))
		holder = KEEL_HOLDER_BATCH;
	folio_put(folio);
	return holder;
}

/*
 * Drop what is not held any more: by a fault that waited for the folio's lock
 * and met the gate, by a look-up, by a CPU's batch that has been emptied. All
 * that such a holder wrote was written before now, and now no mapping is left
 * to get hold of a page by. A page that seems to be in a batch is saved, for
 * that is a guess, but not counted. Return: pages that count as held; in
 * *saves those that have to be saved.
 */
static u64 keel_snap_recheck_held(struct keel_snap *snap, u64 *saves)
{
	size_t i, kept = 0;
	u64 held = 0;

	lockdep_assert_held(&snap->lock);
	*saves = 0;
	for (i = 0; i < snap->nr_held; i++) {
		enum keel_holder holder = keel_snap_holder(&snap->held[i]);

		if (!(i % 1024))
			cond_resched();
		if (holder == KEEL_HOLDER_NONE)
			continue;
		*saves += snap->held[i].nr;
		if (holder == KEEL_HOLDER_OTHER)
			held += snap->held[i].nr;
		snap->held[kept++] = snap->held[i];
	}
	snap->nr_held = kept;
	return held;
}

/*
 * Find out what is really held, and whether that is too much, also for the
 * buffers there are; or whether there is something that cannot be saved at all.
 * The gate is shut: be quick to accept, and not long about refusing.
 */
static int keel_snap_settle(struct keel_snap *snap,
			    const struct keel_arm_seen *seen, u64 *held)
{
	ktime_t end = ktime_add_ms(ktime_get(), KEEL_ARM_PATIENCE_MS);
	u64 saves;

	for (;;) {
		*held = seen->lost + keel_snap_recheck_held(snap, &saves);
		if (seen->poisoned)
			return -EHWPOISON;
		if (!seen->lost && *held <= snap->pinned_max &&
		    saves <= READ_ONCE(snap->pool->free))
			return 0;
		if (seen->lost || ktime_after(ktime_get(), end))
			return -ETOOMANYREFS;
		usleep_range(50, 200);
	}
}

/*
 * Save what is held. Nobody else can: the gate is shut. There are buffers
 * enough; a page that has broken since the walk is left to the sweep, which
 * gives up when it gets there.
 */
static void keel_snap_save_held(struct keel_snap *snap)
{
	size_t i;
	int err;

	lockdep_assert_held(&snap->lock);
	for (i = 0; i < snap->nr_held; i++) {
		struct keel_snap_held *held = &snap->held[i];
		struct address_space *mapping = held->sf->file->f_mapping;
		pgoff_t pgoff = held->pgoff, end = pgoff + held->nr;

		while (pgoff < end) {
			struct folio *folio = keel_filemap_get_folio(mapping, pgoff);

			if (!folio) {
				pgoff++;
				continue;
			}
			folio_lock(folio);
			/* It may have been migrated or split since the walk. */
			if (folio->mapping == mapping) {
				pgoff = folio->index + folio_nr_pages(folio);
				err = keel_snap_save(held->sf, folio,
						     folio->index, pgoff,
						     &snap->eager_pages);
				WARN_ON_ONCE(err == -EAGAIN);
			}
			folio_unlock(folio);
			folio_put(folio);
		}
	}
}

/* With the files locked: shut, unmap, walk, look again, save, open. */
static int keel_snap_arm_locked(struct keel_snap *snap, struct keel_snap_arm *arg)
{
	struct keel_arm_seen seen = {};
	u64 start, unmapped, walked, held;
	unsigned int i;
	int err;

	lockdep_assert_held(&snap->lock);
	snap->nr_held = 0;
	start = ktime_get_ns();
	/* Store the state, then load the folios' lock bits: see touch. */
	xchg(&snap->phase, KEEL_PHASE_SHUT);
	for (i = 0; i < snap->nr_files; i++)
		unmap_mapping_range(snap->files[i]->file->f_mapping, 0, 0, 0);
	unmapped = ktime_get_ns();
	for (i = 0; i < snap->nr_files; i++)
		keel_snap_walk_file(snap->files[i], &seen);
	walked = ktime_get_ns();
	err = keel_snap_settle(snap, &seen, &held);
	arg->time_ns = ktime_get_real_ns();

	if (!err) {
		snap->pages = seen.pages;
		keel_snap_save_held(snap);
	}
	/* Who sees the gate open sees what was saved before. */
	smp_store_release(&snap->phase,
			  err ? KEEL_PHASE_PREPARED : KEEL_PHASE_ARMED);
	wake_up_all(&snap->gate_wq);

	arg->gate_ns = ktime_get_ns() - start;
	arg->unmap_ns = unmapped - start;
	arg->walk_ns = walked - unmapped;
	arg->pages = seen.pages;
	arg->pinned = held;
	snap->arm_ns = arg->gate_ns;
	return err;
}

/**
 * keel_snap_arm - KEEL_SNAP_ARM
 * @snap: a prepared snapshot
 * @arg: from user space; the outputs are set, also with -ETOOMANYREFS
 *
 * Context: may sleep. Not while the gate is shut, but for folio locks.
 * Return: 0, or an errno of uapi/linux/keel.h. After an error the snapshot is
 *	prepared as before.
 */
int keel_snap_arm(struct keel_snap *snap, struct keel_snap_arm *arg)
{
	unsigned int i;
	int err;

	if (arg->reserved || arg->timeout_ms > KEEL_SNAP_STALL_MAX)
		return -EINVAL;

	mutex_lock(&snap->lock);
	err = -EPROTO;
	if (snap->phase != KEEL_PHASE_PREPARED) {
		if (snap->phase == KEEL_PHASE_ABORTED)
			err = -ECANCELED;
		goto unlock;
	}
	err = keel_snap_lock_files(snap, arg->timeout_ms ?: 1000);
	if (err)
		goto unlock;

	/* The sizes cannot change now. */
	for (i = 0; i < snap->nr_files && !err; i++) {
		struct keel_snap_file *sf = snap->files[i];

		sf->bytes = i_size_read(file_inode(sf->file));
		sf->nr = keel_snap_file_pages(sf);
		err = keel_snap_file_room(sf, sf->nr);
	}
	if (!err)
		err = keel_snap_arm_locked(snap, arg);
	keel_snap_unlock_files(snap, snap->nr_files);
unlock:
	mutex_unlock(&snap->lock);
	trace_keel_snap_arm(snap->id, arg->pages, arg->gate_ns, arg->unmap_ns,
			    arg->walk_ns, arg->pinned, err);
	if (!err)
		keel_snap_notify(snap);
	return err;
}
