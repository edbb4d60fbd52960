// SPDX-License-Identifier: GPL-2.0
/*
 * Live snapshots: copy before write. What runs in the faulting task.
 */
#include <linux/highmem.h>
#include <linux/ktime.h>
#include <linux/sched/signal.h>

#include "core/trace.h"
#include "snapshot/snap.h"
#include "compat/compat.h"

/* Count the pages of [first, end) that are not saved yet. */
static u32 keel_snap_unsaved(struct keel_snap_file *sf, pgoff_t first,
			     pgoff_t end)
{
	u32 n = 0;

	for (; first < end; first++)
		n += !test_bit(first, sf->saved);
	return n;
}

/*
 * No slot: as the user chose, get more memory, give the snapshot up, or wait.
 * Return: 0: look again; -EAGAIN: the caller has to wait; -ECANCELED.
 */
static int keel_snap_overflow(struct keel_snap *snap, u32 n)
{
	switch (snap->overflow) {
	case KEEL_OVERFLOW_SPILL:
		return keel_pool_grow(snap->pool, n) ? -EAGAIN : 0;
	case KEEL_OVERFLOW_ABORT:
		keel_snap_give_up(snap, KEEL_REASON_POOL);
		return -ECANCELED;
	default:
		return -EAGAIN;
	}
}

static void keel_snap_copy(struct keel_snap_file *sf, struct folio *folio,
			   pgoff_t pgoff, struct keel_slot *slot)
{
	copy_highpage(slot->page, folio_file_page(folio, pgoff));
	slot->sf = sf;
	slot->pgoff = pgoff;
	slot->next = NULL;
	llist_add(&slot->node, &sf->snap->queue);
	atomic_long_inc(&sf->snap->queued);
	/* After the queueing: who sees the bit set finds the copy queued. */
	smp_mb__before_atomic();
	set_bit(pgoff, sf->saved);
}

/**
 * keel_snap_save - save part of a folio
 * @sf: its file's part in an armed snapshot, or one whose gate is shut
 * @folio: locked, and not mapped writable anywhere at the unsaved indices
 * @first: first page index
 * @end: one past the last; both within the folio
 * @counter: counts the pages saved
 *
 * All or nothing: a folio may be mapped as a whole once this returns 0.
 *
 * Context: folio lock held; allocates only under the spill policy.
 * Return: 0; -EAGAIN if there are not enough slots; -ECANCELED if the
 *	snapshot was aborted, for want of slots or because the folio's memory
 *	is broken; which is as good as 0 to a writer.
 */
int keel_snap_save(struct keel_snap_file *sf, struct folio *folio, pgoff_t first,
		   pgoff_t end, atomic64_t *counter)
{
	struct keel_snap *snap = sf->snap;
	struct keel_slot *list, *slot;
	u32 n;
	int err;

	VM_WARN_ON_ONCE_FOLIO(!folio_test_locked(folio), folio);
	end = min(end, sf->nr);
	if (first >= end)
		return 0;
	n = keel_snap_unsaved(sf, first, end);
	if (!n)
		return 0;
	if (unlikely(keelfs_folio_poisoned(folio))) {
		keel_snap_give_up(snap, KEEL_REASON_POISON);
		return -ECANCELED;
	}

	while (!(list = keel_pool_take(snap->pool, n, 0))) {
		err = keel_snap_overflow(snap, n);
		if (err)
			return err;
	}

	for (; first < end; first++) {
		if (test_bit(first, sf->saved))
			continue;
		slot = list;
		list = slot->next;
		keel_snap_copy(sf, folio, first, slot);
	}
	atomic64_add(n, counter);
	return 0;
}

/* A folio that did not exist at the instant: it was zero, nothing to copy. */
static void keel_snap_mark_fresh(struct keel_snap_file *sf, struct folio *folio)
{
	pgoff_t end = min(folio->index + folio_nr_pages(folio), sf->nr);
	pgoff_t pgoff;

	for (pgoff = folio->index; pgoff < end; pgoff++)
		set_bit(pgoff, sf->saved);
}

static void keel_snap_note_hot(struct keel_snap_file *sf, struct folio *folio)
{
	unsigned long chunk = folio->index / KEEL_SNAP_CHUNK;

	/* The file may have grown since PREPARE. */
	if (chunk < sf->hot_nr)
		set_bit(chunk, sf->hot);
}

static int keel_snap_file_touch(struct keel_snap_file *sf, struct folio *folio,
				bool fresh)
{
	struct keel_snap *snap = sf->snap;
	u64 start;
	int err;

	switch (keel_snap_phase(snap)) {
	case KEEL_PHASE_PREPARED:
		keel_snap_note_hot(sf, folio);
		return 0;
	case KEEL_PHASE_SHUT:
		return -EAGAIN;
	case KEEL_PHASE_ARMED:
		break;
	default:
		return 0;
	}
	if (fresh) {
		keel_snap_mark_fresh(sf, folio);
		return 0;
	}

	start = ktime_get_ns();
	err = keel_snap_save(sf, folio, folio->index,
			     folio->index + folio_nr_pages(folio),
			     &snap->fault_pages);
	start = ktime_get_ns() - start;
	atomic64_add(start, &snap->fault_ns);
	trace_keel_snap_save(snap->id, sf->index, folio->index,
			     folio_nr_pages(folio), start, err);
	return err == -ECANCELED ? 0 : err;
}

/* keel_snap_touch(), when there is a snapshot. */
int __keel_snap_touch(struct inode *inode, struct folio *folio, bool fresh)
{
	struct keel_snap_file *sf;
	int ret;

	VM_WARN_ON_ONCE_FOLIO(!folio_test_locked(folio), folio);
	sf = keel_snap_enter(inode);
	if (!sf)
		return 0;
	ret = keel_snap_file_touch(sf, folio, fresh);
	keel_snap_leave(sf);
	return ret;
}

/*
 * Enough for the largest folio; a waiter that needs less gains by not being
 * woken for every single slot. The sweep leaves as many (keel_snap_sweep()),
 * and the smallest pool has twice as many, so a drain that goes on gets here.
 */
static bool keel_snap_has_slots(struct keel_snap *snap)
{
	return READ_ONCE(snap->pool->free) >= KEEL_SNAP_RESERVE ||
	       keel_snap_phase(snap) != KEEL_PHASE_ARMED;
}

static int keel_snap_wait_gate(struct keel_snap *snap, enum keel_wait how)
{
	if (how == KEEL_WAIT_INTERRUPTIBLE)
		return wait_event_interruptible(snap->gate_wq,
				keel_snap_phase(snap) != KEEL_PHASE_SHUT);
	return wait_event_killable(snap->gate_wq,
				   keel_snap_phase(snap) != KEEL_PHASE_SHUT);
}

/*
 * The clock runs from when the pool ran dry, however often a waiter was called
 * away. Return: jiffies left, 0 if time ran out, negative if a signal came.
 */
static long keel_snap_wait_slots(struct keel_snap *snap, enum keel_wait how)
{
	unsigned long starved = READ_ONCE(snap->pool->starved) ?: jiffies;
	long timeout = msecs_to_jiffies(snap->stall_ms) - (jiffies - starved);

	timeout = max(timeout, 1L);
	if (how == KEEL_WAIT_INTERRUPTIBLE)
		return wait_event_interruptible_timeout(snap->pool->wq,
						keel_snap_has_slots(snap),
						timeout);
	return wait_event_killable_timeout(snap->pool->wq,
					   keel_snap_has_slots(snap), timeout);
}

/**
 * keel_snap_file_wait - wait for what made keel_snap_touch() say -EAGAIN
 * @sf: the file's part in the snapshot
 * @how: what may end the wait, and whether the mmap lock is held
 *
 * For the gate, which opens when the arm is done; or for a free slot. That
 * wait is bounded: after stall_ms it is the snapshot that goes, not the guest.
 * Who cannot drop the mmap lock would keep the VMM from changing its mappings
 * meanwhile; few such faults exist (ptrace, /proc/PID/mem), so they are given
 * memory beyond the pool if there is any.
 *
 * Context: sleeps; after keel_snap_enter(), without the folio lock.
 * Return: 0 to try again, -EINTR if a signal is pending that @how heeds.
 */
int keel_snap_file_wait(struct keel_snap_file *sf, enum keel_wait how)
{
	struct keel_snap *snap = sf->snap;
	u64 start = ktime_get_ns();
	long left;

	/* The kernel itself may not heed the signal, and come again at once. */
	if (how == KEEL_WAIT_INTERRUPTIBLE && signal_pending(current))
		schedule_timeout_killable(1);
	if (keel_snap_phase(snap) == KEEL_PHASE_SHUT)
		return keel_snap_wait_gate(snap, how) ? -EINTR : 0;
	if (keel_snap_has_slots(snap))
		return 0;
	if (how == KEEL_WAIT_LOCKED &&
	    !keel_pool_grow(snap->pool, KEEL_SNAP_RESERVE))
		return 0;

	/*
	 * Others may be quicker to take what comes free, and this is called
	 * again; that is progress of the snapshot, so it ends.
	 */
	left = keel_snap_wait_slots(snap, how);
	atomic64_inc(&snap->throttled);
	atomic64_add(ktime_get_ns() - start, &snap->throttled_ns);
	if (left < 0)
		return -EINTR;
	if (!left)
		keel_snap_give_up(snap, KEEL_REASON_STALLED);
	return 0;
}

/**
 * keel_snap_wait - keel_snap_file_wait() for a file operation
 * @inode: keelfs file
 *
 * Context: sleeps, killable; the caller holds the file open.
 * Return: as keel_snap_file_wait().
 */
int keel_snap_wait(struct inode *inode)
{
	struct keel_snap_file *sf = keel_snap_enter(inode);
	int ret;

	if (!sf)
		return 0;
	ret = keel_snap_file_wait(sf, KEEL_WAIT_KILLABLE);
	keel_snap_leave(sf);
	return ret;
}

/* Narrow [*start, *end] to saved pages around @pgoff. Return: any left? */
static bool keel_snap_saved_run(struct keel_snap_file *sf, pgoff_t pgoff,
				pgoff_t *start, pgoff_t *end)
{
	pgoff_t first = pgoff, last = pgoff;

	if (pgoff >= sf->nr || !test_bit(pgoff, sf->saved))
		return false;
	while (first > *start && test_bit(first - 1, sf->saved))
		first--;
	while (last < *end && last + 1 < sf->nr && test_bit(last + 1, sf->saved))
		last++;
	*start = first;
	*end = last;
	return true;
}

/* filemap_map_pages() may map all of a 2 MiB folio, whatever was asked for. */
static bool keel_snap_saved_huge(struct keel_snap_file *sf, pgoff_t pgoff)
{
	pgoff_t first = round_down(pgoff, KEEL_SNAP_RESERVE);
	pgoff_t end = min_t(pgoff_t, first + KEEL_SNAP_RESERVE, sf->nr);

	return find_next_zero_bit(sf->saved, end, first) >= end;
}

/**
 * keel_snap_saved - which pages around a fault may be mapped without a look
 * @inode: keelfs file
 * @pgoff: page index of the fault, within [@start, @end]
 * @start: first page that might be mapped; moved up
 * @end: last page; moved down
 *
 * Context: RCU read side, which keel_snap_prepare() and keel_snap_detach()
 *	wait for. Never sleeps.
 * Return: whether there are any.
 */
bool keel_snap_saved(struct inode *inode, pgoff_t pgoff, pgoff_t *start,
		     pgoff_t *end)
{
	struct keel_snap_file *sf;
	bool ret;

	sf = rcu_dereference(KEELFS_I(inode)->snap);
	if (likely(!sf))
		return true;

	switch (keel_snap_phase(sf->snap)) {
	case KEEL_PHASE_ARMED:
		/* Bits are never cleared: what is seen saved stays so. */
		ret = keel_snap_saved_run(sf, pgoff, start, end);
		if (ret && KEELFS_SB(inode->i_sb)->huge)
			ret = keel_snap_saved_huge(sf, pgoff);
		return ret;
	case KEEL_PHASE_PREPARED:
	case KEEL_PHASE_SHUT:
		return false;
	default:
		return true;
	}
}
