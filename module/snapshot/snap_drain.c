// SPDX-License-Identifier: GPL-2.0
/*
 * Live snapshots: handing out what was saved.
 *
 * First the queue that faults fill, then a sweep over the files in order: over
 * what was in use just before the arm, which the guest will want next and should
 * find saved, and then over all. All of it runs in the process that drains; it
 * holds no lock that a fault needs, but for the lock of the folio it copies from,
 * a few pages at a time.
 */
#include <linux/highmem.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "snapshot/snap.h"
#include "compat/compat.h"

/* Pages copied under one hold of a folio's lock. */
#define KEEL_SWEEP_PIECE	32

/* Records on their way to user space. */
#define KEEL_FETCH_BUF		128

struct keel_fetch {
	struct keel_snap *snap;
	struct keel_snap_rec __user *dst;
	u32 room;
	u32 done;
	u32 nr_buf;
	struct keel_snap_rec buf[KEEL_FETCH_BUF];
};

static int keel_fetch_flush(struct keel_fetch *f)
{
	if (copy_to_user(f->dst + f->done, f->buf,
			 f->nr_buf * sizeof(f->buf[0])))
		return -EFAULT;
	f->done += f->nr_buf;
	f->nr_buf = 0;
	return 0;
}

static bool keel_fetch_full(struct keel_fetch *f)
{
	return f->done + f->nr_buf >= f->room;
}

/* Hand out a slot that holds a page. */
static int keel_fetch_add(struct keel_fetch *f, struct keel_slot *slot)
{
	struct keel_snap_rec *rec = &f->buf[f->nr_buf++];

	lockdep_assert_held(&f->snap->fetch_lock);
	slot->out = true;
	rec->pgoff = slot->pgoff;
	rec->file = slot->sf->index;
	rec->slot = slot->id;
	return f->nr_buf == KEEL_FETCH_BUF ? keel_fetch_flush(f) : 0;
}

static bool keel_page_is_zero(struct page *page)
{
	void *p = kmap_local_page(page);
	bool zero = !memchr_inv(p, 0, PAGE_SIZE);

	kunmap_local(p);
	return zero;
}

static bool keel_snap_has_queue(struct keel_snap *snap)
{
	lockdep_assert_held(&snap->fetch_lock);
	return snap->pending || !llist_empty(&snap->queue);
}

/* Faults fill the pool: the sweep should not go on. */
static bool keel_snap_queue_long(struct keel_snap *snap)
{
	return atomic_long_read(&snap->queued) > snap->pool->base / 4;
}

static int keel_fetch_queue(struct keel_fetch *f)
{
	struct keel_snap *snap = f->snap;
	struct keel_slot *zero = NULL;
	int err = 0;

	lockdep_assert_held(&snap->fetch_lock);
	while (!err && !keel_fetch_full(f)) {
		struct llist_node *node;
		struct keel_slot *slot;

		if (!snap->pending) {
			node = llist_del_all(&snap->queue);
			snap->pending = llist_reverse_order(node);
			if (!snap->pending)
				break;
		}
		slot = llist_entry(snap->pending, struct keel_slot, node);
		snap->pending = snap->pending->next;
		atomic_long_dec(&snap->queued);

		if (keel_page_is_zero(slot->page)) {
			slot->next = zero;
			zero = slot;
			atomic64_inc(&snap->zero_pages);
		} else {
			err = keel_fetch_add(f, slot);
		}
		cond_resched();
	}
	keel_pool_give(snap->pool, zero);
	return err;
}

/*
 * Save pages [first, end) of a locked folio straight into records. Return: the
 * index reached, short of @end if slots or records ran out or a page cannot be
 * read; *err for EFAULT.
 */
static pgoff_t keel_sweep_pages(struct keel_fetch *f, struct keel_snap_file *sf,
				struct folio *folio, pgoff_t first, pgoff_t end,
				int *err)
{
	struct keel_snap *snap = f->snap;

	lockdep_assert_held(&snap->fetch_lock);
	VM_WARN_ON_ONCE_FOLIO(!folio_test_locked(folio), folio);
	for (; first < end && !*err; first++) {
		struct page *page = folio_file_page(folio, first);
		struct keel_slot *slot;

		if (test_bit(first, sf->saved))
			continue;
		if (unlikely(PageHWPoison(page))) {
			keel_snap_give_up(snap, KEEL_REASON_POISON);
			break;
		}
		if (keel_page_is_zero(page)) {
			atomic64_inc(&snap->zero_pages);
			atomic64_inc(&snap->swept_pages);
			set_bit(first, sf->saved);
			continue;
		}
		if (keel_fetch_full(f))
			break;
		slot = keel_pool_take(snap->pool, 1, KEEL_SNAP_RESERVE);
		if (!slot)
			break;
		copy_highpage(slot->page, page);
		slot->sf = sf;
		slot->pgoff = first;
		atomic64_inc(&snap->swept_pages);
		set_bit(first, sf->saved);
		*err = keel_fetch_add(f, slot);
	}
	return first;
}

enum keel_sweep { KEEL_SWEEP_NEXT, KEEL_SWEEP_AGAIN, KEEL_SWEEP_STOP };

/*
 * One folio, from the file's cursor on. Return: go on with the next one; look
 * the folios up again, because this one was migrated, split or removed; or
 * stop, because records or slots ran out.
 */
static enum keel_sweep keel_sweep_folio(struct keel_fetch *f,
					struct keel_snap_file *sf,
					struct folio *folio, int *err)
{
	pgoff_t first = max(sf->cursor, folio->index);
	pgoff_t last = min(folio_next_index(folio), sf->nr);
	pgoff_t end;

	lockdep_assert_held(&f->snap->fetch_lock);
	while (first < last) {
		end = min(first + KEEL_SWEEP_PIECE, last);
		/* Saved by faults already: no need for the lock. */
		if (find_next_zero_bit(sf->saved, end, first) == end) {
			sf->cursor = first = end;
			continue;
		}

		folio_lock(folio);
		if (folio->mapping != sf->file->f_mapping ||
		    !folio_contains(folio, first)) {
			folio_unlock(folio);
			return KEEL_SWEEP_AGAIN;
		}
		end = min(end, folio_next_index(folio));
		sf->cursor = keel_sweep_pages(f, sf, folio, first, end, err);
		folio_unlock(folio);
		if (sf->cursor < end || *err)
			return KEEL_SWEEP_STOP;
		first = end;
		cond_resched();
	}
	return KEEL_SWEEP_NEXT;
}

/*
 * Move the cursor on to what there is to sweep, if need be to the end of the
 * file. Return: where that ends.
 */
static pgoff_t keel_sweep_range(struct keel_snap *snap,
				struct keel_snap_file *sf)
{
	unsigned long chunk;

	lockdep_assert_held(&snap->fetch_lock);
	if (snap->sweep_cold)
		return sf->nr;
	chunk = find_next_bit(sf->hot, sf->hot_nr, sf->cursor / KEEL_SNAP_CHUNK);
	if (chunk >= sf->hot_nr) {
		sf->cursor = sf->nr;
		return sf->nr;
	}
	sf->cursor = max(sf->cursor, chunk * KEEL_SNAP_CHUNK);
	return min((chunk + 1) * KEEL_SNAP_CHUNK, sf->nr);
}

/* Return: whether the file is done. */
static bool keel_sweep_file(struct keel_fetch *f, struct keel_snap_file *sf,
			    int *err)
{
	struct address_space *mapping = sf->file->f_mapping;
	enum keel_sweep go_on = KEEL_SWEEP_NEXT;
	struct folio_batch fbatch;
	unsigned int i;

	lockdep_assert_held(&f->snap->fetch_lock);
	folio_batch_init(&fbatch);
	while (go_on != KEEL_SWEEP_STOP) {
		pgoff_t end = keel_sweep_range(f->snap, sf), next = sf->cursor;

		if (next >= end)
			break;
		/*
		 * An index with no folio was zero at the instant: whatever was
		 * there and went away since was saved first.
		 */
		if (!filemap_get_folios(mapping, &next, end - 1, &fbatch))
			sf->cursor = end;
		go_on = KEEL_SWEEP_NEXT;
		for (i = 0; i < folio_batch_count(&fbatch); i++) {
			go_on = keel_sweep_folio(f, sf, fbatch.folios[i], err);
			if (go_on != KEEL_SWEEP_NEXT)
				break;
		}
		folio_batch_release(&fbatch);

		if (keel_fetch_full(f) || signal_pending(current) ||
		    keel_snap_queue_long(f->snap) ||
		    keel_snap_phase(f->snap) != KEEL_PHASE_ARMED)
			break;
		cond_resched();
	}
	return sf->cursor >= sf->nr;
}

static bool keel_sweep_done(struct keel_snap *snap)
{
	lockdep_assert_held(&snap->fetch_lock);
	return snap->cursor_file == snap->nr_files;
}

/* What was hot is saved: now all, of which that is passed over quickly. */
static void keel_sweep_restart(struct keel_snap *snap)
{
	unsigned int i;

	lockdep_assert_held(&snap->fetch_lock);
	snap->sweep_cold = true;
	snap->cursor_file = 0;
	for (i = 0; i < snap->nr_files; i++)
		snap->files[i]->cursor = 0;
}

static int keel_fetch_sweep(struct keel_fetch *f)
{
	struct keel_snap *snap = f->snap;
	int err = 0;

	lockdep_assert_held(&snap->fetch_lock);
	while (!err && !keel_sweep_done(snap)) {
		if (!keel_sweep_file(f, snap->files[snap->cursor_file], &err))
			break;
		snap->cursor_file++;
		if (snap->cursor_file == snap->nr_files && !snap->sweep_cold)
			keel_sweep_restart(snap);
	}
	return err;
}

static int keel_fetch_release(struct keel_snap *snap, u32 __user *src, u32 n)
{
	struct keel_slot *list = NULL, *slot;
	int err = 0;
	u32 id;

	lockdep_assert_held(&snap->fetch_lock);
	while (n-- && !err) {
		if (get_user(id, src++)) {
			err = -EFAULT;
			break;
		}
		slot = keel_pool_slot(snap->pool, id);
		if (!slot || !slot->out) {
			err = -EINVAL;
			break;
		}
		slot->out = false;
		slot->next = list;
		list = slot;
		if (!(n % 1024))
			cond_resched();
	}
	keel_pool_give(snap->pool, list);
	return err;
}

static int keel_fetch_records(struct keel_snap *snap,
			      struct keel_snap_fetch *arg)
{
	struct keel_fetch *f = kmalloc(sizeof(*f), GFP_KERNEL);
	int err;

	if (!f)
		return -ENOMEM;
	f->snap = snap;
	f->dst = u64_to_user_ptr(arg->recs);
	f->room = arg->nr_recs;
	f->done = 0;
	f->nr_buf = 0;

	err = keel_fetch_queue(f);
	if (!err && !keel_fetch_full(f))
		err = keel_fetch_sweep(f);
	if (!err && f->nr_buf)
		err = keel_fetch_flush(f);
	arg->nr_recs = f->done;
	kfree(f);
	return err;
}

/**
 * keel_snap_fetch - KEEL_SNAP_FETCH
 * @snap: an armed or complete snapshot
 * @arg: from user space; the outputs are set
 *
 * Context: may sleep.
 * Return: 0, or an errno of uapi/linux/keel.h. After -EFAULT records may be
 *	lost, and the snapshot should be given up.
 */
int keel_snap_fetch(struct keel_snap *snap, struct keel_snap_fetch *arg)
{
	bool complete;
	int phase, err;

	if (arg->nr_recs > KEEL_SNAP_FETCH_MAX ||
	    arg->nr_release > KEEL_POOL_SLOTS_MAX)
		return -EINVAL;

	err = mutex_lock_interruptible(&snap->fetch_lock);
	if (err)
		return err;
	phase = keel_snap_phase(snap);
	err = phase == KEEL_PHASE_ABORTED ? -ECANCELED : -EPROTO;
	if (phase != KEEL_PHASE_ARMED && phase != KEEL_PHASE_COMPLETE)
		goto unlock;

	WRITE_ONCE(snap->pid, task_tgid_nr(current));
	err = keel_fetch_release(snap, u64_to_user_ptr(arg->release),
				 arg->nr_release);
	if (err)
		goto unlock;
	err = keel_fetch_records(snap, arg);
	if (err)
		goto unlock;

	complete = keel_sweep_done(snap);
	/* A bit is set after its copy was queued: look at the queue last. */
	smp_rmb();
	complete = complete && !keel_snap_has_queue(snap);
	if (complete && !arg->nr_recs)
		keel_snap_complete(snap);

	phase = keel_snap_phase(snap);
	if (phase == KEEL_PHASE_ABORTED)
		err = -ECANCELED;
	arg->state = phase == KEEL_PHASE_COMPLETE ? KEEL_SNAP_COMPLETE :
						    KEEL_SNAP_ARMED;
	arg->queued = atomic_long_read(&snap->queued);
unlock:
	mutex_unlock(&snap->fetch_lock);
	return err;
}
