// SPDX-License-Identifier: GPL-2.0
/*
 * Live snapshots: life cycle. snap.h has the data model.
 *
 * Ending one goes in three acts: the phase says so, and waiters wake; the
 * files forget their parts, and who came through them is waited for; the last
 * reference frees. The second needs a sleeping context, so a fault that gives
 * up leaves it to abort_work; faults that meet the snapshot meanwhile see its
 * phase.
 *
 * A fault may stay inside for as long as stall_ms. It is counted in the
 * snapshot it stays in, so that the end of one waits for nobody in another; it
 * holds no reference, so that it never has to free.
 */
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/list.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "core/keel.h"
#include "core/trace.h"
#include "snapshot/snap.h"
#include "snapshot/snapshot.h"
#include "compat/compat.h"

/* Protects the list and the numbering. */
static DEFINE_MUTEX(keel_snaps_lock);
static LIST_HEAD(keel_snaps);
static u32 keel_snaps_last_id;

static void keel_snap_abort_work(struct work_struct *work);

/**
 * keel_snap_alloc - make an empty snapshot, for an open of /dev/keel
 *
 * Context: may sleep.
 * Return: it, with one reference, or NULL.
 */
struct keel_snap *keel_snap_alloc(void)
{
	struct keel_snap *snap = kzalloc(sizeof(*snap), GFP_KERNEL_ACCOUNT);

	if (!snap)
		return NULL;
	kref_init(&snap->ref);
	INIT_LIST_HEAD(&snap->node);
	mutex_init(&snap->lock);
	mutex_init(&snap->fetch_lock);
	init_waitqueue_head(&snap->gate_wq);
	init_llist_head(&snap->queue);
	INIT_WORK(&snap->abort_work, keel_snap_abort_work);
	snap->pid = task_tgid_nr(current);
	return snap;
}

static void keel_snap_free(struct kref *ref)
{
	struct keel_snap *snap = container_of(ref, struct keel_snap, ref);
	unsigned int i;

	WARN_ON_ONCE(snap->attached);
	for (i = 0; i < snap->nr_files; i++) {
		fput(snap->files[i]->file);
		kvfree(snap->files[i]->saved);
		kvfree(snap->files[i]->hot);
		kfree(snap->files[i]);
	}
	if (snap->pool)
		keel_pool_destroy(snap->pool);
	kvfree(snap->held);
	kfree(snap);
}

/**
 * keel_snap_put - drop a reference
 * @snap: the snapshot
 *
 * Context: may sleep.
 */
void keel_snap_put(struct keel_snap *snap)
{
	kref_put(&snap->ref, keel_snap_free);
}

/**
 * keel_snap_create - KEEL_SNAP_CREATE
 * @snap: an empty snapshot
 * @arg: parameters, from user space; @arg->id is set
 *
 * Context: may sleep, for as long as the pool's memory takes.
 * Return: 0, or an errno of uapi/linux/keel.h.
 */
int keel_snap_create(struct keel_snap *snap, struct keel_snap_create *arg)
{
	u64 bytes = arg->pool_bytes ?: 64ULL << 20;
	u32 stall_ms = arg->stall_ms ?: 10000;
	struct keel_pool *pool;
	u32 slots;
	int err = 0;

	if (arg->overflow > KEEL_OVERFLOW_ABORT ||
	    bytes < KEEL_SNAP_POOL_MIN || bytes > KEEL_SNAP_POOL_MAX ||
	    stall_ms < KEEL_SNAP_STALL_MIN || stall_ms > KEEL_SNAP_STALL_MAX)
		return -EINVAL;
	slots = DIV_ROUND_UP_ULL(bytes, PAGE_SIZE);

	mutex_lock(&snap->lock);
	if (snap->id || snap->phase != KEEL_PHASE_NEW) {
		err = -EPROTO;
		goto unlock;
	}
	pool = keel_pool_create(slots);
	if (IS_ERR(pool)) {
		err = PTR_ERR(pool);
		goto unlock;
	}

	snap->overflow = arg->overflow;
	snap->stall_ms = stall_ms;
	snap->pinned_max = min(arg->pinned_max ?: slots / 2, slots);
	snap->vm = arg->vm;
	/* For readers without the lock: stat, and faults on the mapping. */
	smp_store_release(&snap->pool, pool);

	mutex_lock(&keel_snaps_lock);
	snap->id = ++keel_snaps_last_id;
	list_add_tail(&snap->node, &keel_snaps);
	mutex_unlock(&keel_snaps_lock);
	arg->id = snap->id;
unlock:
	mutex_unlock(&snap->lock);
	if (!err)
		keel_snap_notify(snap);
	return err;
}

static int keel_snap_attach(struct keel_snap *snap, struct file *file)
{
	struct keelfs_inode *ki = KEELFS_I(file_inode(file));
	struct keel_snap_file *sf;
	unsigned int i;

	lockdep_assert_held(&snap->lock);
	for (i = 0; i < snap->nr_files; i++)
		if (file_inode(snap->files[i]->file) == &ki->vfs_inode)
			return -EEXIST;
	if (snap->nr_files == KEEL_SNAP_FILES_MAX)
		return -ENOSPC;

	sf = kzalloc(sizeof(*sf), GFP_KERNEL_ACCOUNT);
	if (!sf)
		return -ENOMEM;
	sf->snap = snap;
	sf->file = get_file(file);
	sf->index = snap->nr_files;

	if (cmpxchg((struct keel_snap_file **)&ki->snap, NULL, sf)) {
		fput(sf->file);
		kfree(sf);
		return -EBUSY;
	}
	snap->attached = true;
	snap->files[snap->nr_files++] = sf;
	return sf->index;
}

/**
 * keel_snap_add_file - KEEL_SNAP_ADD_FILE
 * @snap: a created snapshot
 * @arg: from user space; @arg->index and @arg->bytes are set
 *
 * Context: may sleep.
 * Return: 0, or an errno of uapi/linux/keel.h.
 */
int keel_snap_add_file(struct keel_snap *snap, struct keel_snap_add_file *arg)
{
	struct file *file;
	int ret;

	if (arg->reserved)
		return -EINVAL;
	file = fget(arg->fd);
	if (!file)
		return -EBADF;

	ret = -EMEDIUMTYPE;
	if (!keelfs_is_file(file))
		goto put;
	ret = -EACCES;
	if ((file->f_mode & (FMODE_READ | FMODE_WRITE)) !=
	    (FMODE_READ | FMODE_WRITE))
		goto put;

	mutex_lock(&snap->lock);
	if (!snap->id || snap->phase != KEEL_PHASE_NEW)
		ret = -EPROTO;
	else
		ret = keel_snap_attach(snap, file);
	mutex_unlock(&snap->lock);
	if (ret >= 0) {
		arg->index = ret;
		arg->bytes = i_size_read(file_inode(file));
		ret = 0;
	}
put:
	fput(file);
	return ret;
}

/**
 * keel_snap_enter - come to the snapshot that a file is in
 * @inode: keelfs file
 *
 * Until keel_snap_leave() the file's part stays, and with it the snapshot, its
 * pool, and the file. Who is inside may sleep, but not for keel_snap.lock.
 *
 * Context: any.
 * Return: the file's part, or NULL if the file is in no snapshot.
 */
struct keel_snap_file *keel_snap_enter(struct inode *inode)
{
	struct keel_snap_file *sf;

	/* keel_snap_detach() waits for this section, then for the count. */
	rcu_read_lock();
	sf = rcu_dereference(KEELFS_I(inode)->snap);
	if (sf)
		atomic_inc(&sf->snap->users);
	rcu_read_unlock();
	return sf;
}

/**
 * keel_snap_leave - the mirror of keel_snap_enter()
 * @sf: what it returned
 *
 * Context: any.
 */
void keel_snap_leave(struct keel_snap_file *sf)
{
	atomic_t *users = &sf->snap->users;

	/* Below 1 it may be freed at once: only the address is used then. */
	if (atomic_dec_and_test(users))
		wake_up_var(users);
}

static void keel_snap_wake(struct keel_snap *snap)
{
	wake_up_all(&snap->gate_wq);
	if (snap->pool)
		wake_up_all(&snap->pool->wq);
}

/* The phase is one that nobody waits in: who does is woken, and goes. */
static void keel_snap_detach(struct keel_snap *snap)
{
	unsigned int i;

	lockdep_assert_held(&snap->lock);
	if (!snap->attached)
		return;
	keel_snap_wake(snap);
	for (i = 0; i < snap->nr_files; i++) {
		struct inode *inode = file_inode(snap->files[i]->file);

		rcu_assign_pointer(KEELFS_I(inode)->snap, NULL);
	}
	synchronize_rcu();
	wait_var_event(&snap->users, !atomic_read_acquire(&snap->users));
	snap->attached = false;
}

/**
 * keel_snap_give_up - abort an armed snapshot from the path of a write
 * @snap: the snapshot
 * @reason: enum keel_snap_reason
 *
 * Context: any that may not sleep; between keel_snap_enter() and
 *	keel_snap_leave(), or with a reference.
 */
void keel_snap_give_up(struct keel_snap *snap, int reason)
{
	cmpxchg(&snap->reason, KEEL_REASON_NONE, reason);
	if (cmpxchg(&snap->phase, KEEL_PHASE_ARMED, KEEL_PHASE_ABORTED) !=
	    KEEL_PHASE_ARMED)
		return;

	keel_snap_wake(snap);
	/* Who detaches has a reference, and waits for us: it can be copied. */
	kref_get(&snap->ref);
	if (!queue_work(keel_wq, &snap->abort_work))
		keel_snap_put(snap);
}

static void keel_snap_abort_work(struct work_struct *work)
{
	struct keel_snap *snap = container_of(work, struct keel_snap, abort_work);

	mutex_lock(&snap->lock);
	keel_snap_detach(snap);
	mutex_unlock(&snap->lock);
	keel_snap_notify(snap);
	keel_snap_put(snap);
}

/**
 * keel_snap_abort - end a snapshot that is not complete
 * @snap: the snapshot
 * @reason: enum keel_snap_reason
 *
 * When this returns no guest meets the snapshot any more, and none is inside.
 *
 * Context: may sleep; waits for an arm under way.
 * Return: 0, -EALREADY if it is complete or aborted, -EPROTO if it was not
 *	created.
 */
int keel_snap_abort(struct keel_snap *snap, int reason)
{
	int phase, err = 0;

	mutex_lock(&snap->lock);
	if (!snap->id) {
		mutex_unlock(&snap->lock);
		return -EPROTO;
	}
	do {
		phase = keel_snap_phase(snap);
		if (phase == KEEL_PHASE_COMPLETE || phase == KEEL_PHASE_ABORTED) {
			err = -EALREADY;
			break;
		}
		cmpxchg(&snap->reason, KEEL_REASON_NONE, reason);
	} while (cmpxchg(&snap->phase, phase, KEEL_PHASE_ABORTED) != phase);
	keel_snap_detach(snap);
	mutex_unlock(&snap->lock);

	if (!err)
		keel_snap_notify(snap);
	return err;
}

/**
 * keel_snap_complete - every page has been handed out
 * @snap: an armed snapshot with all bits set and nothing queued
 *
 * Context: may sleep.
 */
void keel_snap_complete(struct keel_snap *snap)
{
	bool moved;

	mutex_lock(&snap->lock);
	moved = cmpxchg(&snap->phase, KEEL_PHASE_ARMED, KEEL_PHASE_COMPLETE) ==
		KEEL_PHASE_ARMED;
	keel_snap_detach(snap);
	mutex_unlock(&snap->lock);
	if (moved)
		keel_snap_notify(snap);
}

/**
 * keel_snap_close - /dev/keel was closed
 * @snap: the snapshot; the caller's reference goes
 *
 * Context: may sleep.
 */
void keel_snap_close(struct keel_snap *snap)
{
	if (snap->id) {
		keel_snap_abort(snap, KEEL_REASON_CLOSED);
		mutex_lock(&keel_snaps_lock);
		list_del_init(&snap->node);
		mutex_unlock(&keel_snaps_lock);
	}
	keel_snap_put(snap);
}

static u32 keel_snap_user_state(struct keel_snap *snap)
{
	switch (keel_snap_phase(snap)) {
	case KEEL_PHASE_NEW:
		return KEEL_SNAP_NEW;
	case KEEL_PHASE_PREPARED:
	case KEEL_PHASE_SHUT:
		return KEEL_SNAP_PREPARED;
	case KEEL_PHASE_ARMED:
		return KEEL_SNAP_ARMED;
	case KEEL_PHASE_COMPLETE:
		return KEEL_SNAP_COMPLETE;
	default:
		return KEEL_SNAP_ABORTED;
	}
}

/**
 * keel_snap_stat - KEEL_SNAP_STAT
 * @snap: the snapshot
 * @stat: (out) all but .size
 *
 * Each figure is right at some moment, not all at the same one.
 *
 * Context: any.
 */
void keel_snap_stat(struct keel_snap *snap, struct keel_snap_stat *stat)
{
	/* Pairs with the release in keel_snap_create(). */
	struct keel_pool *pool = smp_load_acquire(&snap->pool);

	stat->state = keel_snap_user_state(snap);
	if (stat->state == KEEL_SNAP_ABORTED)
		stat->reason = READ_ONCE(snap->reason);
	stat->files = READ_ONCE(snap->nr_files);
	stat->pages = READ_ONCE(snap->pages);
	stat->fault_pages = atomic64_read(&snap->fault_pages);
	stat->swept_pages = atomic64_read(&snap->swept_pages);
	stat->eager_pages = atomic64_read(&snap->eager_pages);
	stat->zero_pages = atomic64_read(&snap->zero_pages);
	stat->throttled = atomic64_read(&snap->throttled);
	stat->throttled_ns = atomic64_read(&snap->throttled_ns);
	stat->fault_ns = atomic64_read(&snap->fault_ns);
	if (pool) {
		stat->pool_pages = pool->base;
		stat->pool_free = READ_ONCE(pool->free);
		stat->pool_low = READ_ONCE(pool->low);
		stat->spilled_pages = READ_ONCE(pool->nr) - pool->base;
	}
}

/**
 * keel_snap_next - walk the snapshots in order of their numbers
 * @after: number of the last one seen, 0 to start
 *
 * Context: may sleep.
 * Return: the next one with a reference, or NULL.
 */
struct keel_snap *keel_snap_next(u32 after)
{
	struct keel_snap *snap, *found = NULL;

	mutex_lock(&keel_snaps_lock);
	list_for_each_entry(snap, &keel_snaps, node) {
		if (snap->id > after) {
			kref_get(&snap->ref);
			found = snap;
			break;
		}
	}
	mutex_unlock(&keel_snaps_lock);
	return found;
}

/**
 * keel_snap_lookup - find a snapshot by its number
 * @id: the number
 *
 * Context: may sleep.
 * Return: it with a reference, or NULL.
 */
struct keel_snap *keel_snap_lookup(u32 id)
{
	struct keel_snap *snap = id ? keel_snap_next(id - 1) : NULL;

	if (snap && snap->id != id) {
		keel_snap_put(snap);
		snap = NULL;
	}
	return snap;
}

/**
 * keel_snapshot_of_vm - the snapshot under way that was said to be of a VM
 * @vm: registry id
 *
 * Context: may sleep.
 * Return: its number, 0 if there is none.
 */
u32 keel_snapshot_of_vm(u32 vm)
{
	struct keel_snap *snap;
	u32 id = 0;

	mutex_lock(&keel_snaps_lock);
	list_for_each_entry(snap, &keel_snaps, node)
		if (snap->vm == vm &&
		    keel_snap_phase(snap) < KEEL_PHASE_COMPLETE)
			id = snap->id;
	mutex_unlock(&keel_snaps_lock);
	return id;
}

/**
 * keel_snapshot_count - snapshots that exist, in any state
 *
 * Context: may sleep.
 */
u32 keel_snapshot_count(void)
{
	struct keel_snap *snap;
	u32 n = 0;

	mutex_lock(&keel_snaps_lock);
	list_for_each_entry(snap, &keel_snaps, node)
		n++;
	mutex_unlock(&keel_snaps_lock);
	return n;
}
