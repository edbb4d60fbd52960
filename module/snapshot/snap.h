/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Live snapshots: the objects, and what keelfs calls.
 *
 * A struct keel_snap is one snapshot; it belongs to one open of /dev/keel.
 * A struct keel_snap_file is one memory file's part in it. A struct keel_pool
 * is its supply of buffers.
 *
 * Phases, and who moves them:
 *
 *	NEW -> PREPARED -> SHUT -> ARMED -> COMPLETE
 *	  \________\_________\_______\----> ABORTED
 *
 * All moves are made under keel_snap.lock, but for ARMED -> ABORTED, which a
 * fault may make when no buffer is to be had (cmpxchg; everybody moves away
 * from ARMED that way). While SHUT, which lasts as long as the arm takes, no
 * fault on a shared mapping ends: it waits on gate_wq.
 *
 * Life of a page index in [0, nr) of a file, from SHUT on: its bit in .saved
 * is clear until the content of the instant is safe (queued, handed out, or
 * known to be zero), then set for good. The bit is only set under the lock of
 * the folio at that index. Because it is set after the copy was queued, a
 * sweep that finds all bits set, then the queue empty, has seen everything.
 */
#ifndef KEEL_SNAPSHOT_SNAP_H
#define KEEL_SNAPSHOT_SNAP_H

#include <linux/kref.h>
#include <linux/llist.h>
#include <linux/mutex.h>
#include <linux/pagemap.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <uapi/linux/keel.h>

#include "snapshot/keelfs.h"
#include "snapshot/pool.h"

/* Slots that the sweep leaves to faults: a 2 MiB folio's worth. */
#define KEEL_SNAP_RESERVE	512U

/* Pages that are hot or not together: as many. */
#define KEEL_SNAP_CHUNK		KEEL_SNAP_RESERVE

enum keel_snap_phase {
	KEEL_PHASE_NEW,
	KEEL_PHASE_PREPARED,
	KEEL_PHASE_SHUT,
	KEEL_PHASE_ARMED,
	KEEL_PHASE_COMPLETE,
	KEEL_PHASE_ABORTED,
};

/**
 * struct keel_snap_file - one memory file in a snapshot
 * @snap: the snapshot
 * @file: the open file, held
 * @index: its number in records
 * @bytes: its size at the instant; fixed just before SHUT
 * @nr: the same in pages
 * @saved: a bit a page, see above; @saved_nr of them are allocated
 * @saved_nr: how many bits @saved has room for
 * @hot: a bit for each KEEL_SNAP_CHUNK that was touched between PREPARE and the
 *	arm, set by faults; made by PREPARE and never cleared
 * @hot_nr: how many bits @hot has
 * @cursor: where the sweep goes on, under keel_snap.fetch_lock
 */
struct keel_snap_file {
	struct keel_snap *snap;
	struct file *file;
	unsigned int index;
	u64 bytes;
	pgoff_t nr;
	unsigned long *saved;
	pgoff_t saved_nr;
	unsigned long *hot;
	unsigned long hot_nr;
	pgoff_t cursor;
};

/* A page that something else held at the instant. */
struct keel_snap_held {
	struct keel_snap_file *sf;
	pgoff_t pgoff;
	pgoff_t nr;
};

/**
 * struct keel_snap - one snapshot
 * @ref: the open file, netlink look-ups and the abort work hold it
 * @users: who came to it through a file, between keel_snap_enter() and
 *	keel_snap_leave(); keel_snap_detach() waits until there are none
 * @id: its number, 0 until CREATE; fixed then
 * @node: in the list of all snapshots, under keel_snaps_lock
 * @lock: moves of @phase (but see above), @files, @nr_files
 * @fetch_lock: serializes FETCH: @cursor_file, @sweep_cold, cursors, @pending,
 *	slot states
 * @phase: enum keel_snap_phase
 * @reason: why ABORTED; written before @phase becomes so
 * @overflow: enum keel_overflow
 * @stall_ms: longest wait for a slot
 * @pinned_max: pages that may be saved while the gate is shut
 * @vm: registry id, for show
 * @pid: thread group that opened it, later the one that drains it
 * @files: the files
 * @nr_files: how many
 * @attached: the files point at their parts, under @lock
 * @pool: the buffers; exists from CREATE on
 * @gate_wq: faults that found the gate shut
 * @queue: slots saved by faults, newest first
 * @queued: how many
 * @pending: slots taken off @queue, oldest first
 * @cursor_file: file the sweep is in
 * @sweep_cold: the sweep has been through what was hot, and goes through all
 * @held: what the arm found held, @nr_held of at most @max_held
 * @nr_held: entries of @held
 * @max_held: room in @held
 * @abort_work: what is left to do after a fault aborted
 * @pages: present at the instant
 * @arm_ns: how long the gate was shut
 * @fault_pages: counters for the user, as in struct keel_snap_stat
 */
struct keel_snap {
	struct kref ref;
	atomic_t users;
	u32 id;
	struct list_head node;
	struct mutex lock;		/* moves of phase, the files */
	struct mutex fetch_lock;	/* FETCH, and what it goes through */

	int phase;
	int reason;
	u32 overflow;
	u32 stall_ms;
	u32 pinned_max;
	u32 vm;
	pid_t pid;

	struct keel_snap_file *files[KEEL_SNAP_FILES_MAX];
	unsigned int nr_files;
	bool attached;
	struct keel_pool *pool;
	wait_queue_head_t gate_wq;

	struct llist_head queue;
	atomic_long_t queued;
	struct llist_node *pending;
	unsigned int cursor_file;
	bool sweep_cold;

	struct keel_snap_held *held;
	size_t nr_held;
	size_t max_held;

	struct work_struct abort_work;

	u64 pages;
	u64 arm_ns;
	atomic64_t fault_pages;
	atomic64_t fault_ns;
	atomic64_t swept_pages;
	atomic64_t eager_pages;
	atomic64_t zero_pages;
	atomic64_t throttled;
	atomic64_t throttled_ns;
};

/* snap.c: life cycle */
struct keel_snap *keel_snap_alloc(void);
void keel_snap_put(struct keel_snap *snap);
int keel_snap_create(struct keel_snap *snap, struct keel_snap_create *arg);
int keel_snap_add_file(struct keel_snap *snap, struct keel_snap_add_file *arg);
struct keel_snap_file *keel_snap_enter(struct inode *inode);
void keel_snap_leave(struct keel_snap_file *sf);
int keel_snap_abort(struct keel_snap *snap, int reason);
void keel_snap_give_up(struct keel_snap *snap, int reason);
void keel_snap_complete(struct keel_snap *snap);
void keel_snap_close(struct keel_snap *snap);
void keel_snap_stat(struct keel_snap *snap, struct keel_snap_stat *stat);
struct keel_snap *keel_snap_lookup(u32 id);
struct keel_snap *keel_snap_next(u32 after);

static inline int keel_snap_phase(const struct keel_snap *snap)
{
	/* Pairs with the releases and full barriers that move it. */
	return smp_load_acquire(&snap->phase);
}

/* snap_arm.c */
int keel_snap_prepare(struct keel_snap *snap);
int keel_snap_arm(struct keel_snap *snap, struct keel_snap_arm *arg);

/* snap_save.c: from faults and file operations */
enum keel_wait {
	KEEL_WAIT_KILLABLE,
	KEEL_WAIT_INTERRUPTIBLE,	/* a vCPU's thread: VMMs kick it */
	KEEL_WAIT_LOCKED,		/* killable, and holds the mmap lock */
};

int keel_snap_save(struct keel_snap_file *sf, struct folio *folio, pgoff_t first,
		   pgoff_t end, atomic64_t *counter);
int __keel_snap_touch(struct inode *inode, struct folio *folio, bool fresh);
int keel_snap_file_wait(struct keel_snap_file *sf, enum keel_wait how);
int keel_snap_wait(struct inode *inode);
bool keel_snap_saved(struct inode *inode, pgoff_t pgoff, pgoff_t *start,
		     pgoff_t *end);

/* snap_drain.c */
int keel_snap_fetch(struct keel_snap *snap, struct keel_snap_fetch *arg);

/* snap_netlink.c */
void keel_snap_notify(struct keel_snap *snap);

/**
 * keel_snap_touch - a folio is about to be mapped by or changed for a writer
 * @inode: keelfs file
 * @folio: locked folio of it
 * @fresh: the caller has just created it, of zeroes
 *
 * Saves what a snapshot still needs of it. Without a snapshot, which is nearly
 * always, one load.
 *
 * Context: folio lock held. Does not sleep for long.
 * Return: 0: go on. -EAGAIN: unlock, keel_snap_wait() or
 *	keel_snap_file_wait(), start again.
 */
static inline int keel_snap_touch(struct inode *inode, struct folio *folio,
				  bool fresh)
{
	/*
	 * Store the folio's lock bit before loading the state; the arm stores
	 * the state before it loads the lock bit. One of the two sees. A full
	 * barrier, because a fresh folio was locked without an atomic.
	 */
	smp_mb();
	if (likely(!rcu_access_pointer(KEELFS_I(inode)->snap)))
		return 0;
	return __keel_snap_touch(inode, folio, fresh);
}

#endif /* KEEL_SNAPSHOT_SNAP_H */
