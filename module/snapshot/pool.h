/* SPDX-License-Identifier: GPL-2.0 */
/* The buffers of one snapshot: page-sized slots, allocated beforehand. */
#ifndef KEEL_SNAPSHOT_POOL_H
#define KEEL_SNAPSHOT_POOL_H

#include <linux/atomic.h>
#include <linux/llist.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>

struct keel_snap_file;
struct mem_cgroup;
struct page;

/**
 * struct keel_slot - one buffer
 * @node: in keel_snap.queue
 * @next: in the free list or in a list of taken slots
 * @page: the buffer
 * @sf: file of the page saved in it
 * @pgoff: its index
 * @id: number of the slot
 * @out: handed to user space, under keel_snap.fetch_lock
 */
struct keel_slot {
	struct llist_node node;
	struct keel_slot *next;
	struct page *page;
	struct keel_snap_file *sf;
	pgoff_t pgoff;
	u32 id;
	bool out;
};

/* Slots are kept in chunks, so that the pool can grow without moving them. */
#define KEEL_POOL_CHUNK		512U
#define KEEL_POOL_SLOTS_MAX	((u32)(KEEL_SNAP_POOL_MAX >> KEEL_PAGE_SHIFT))

/**
 * struct keel_pool - the buffers of one snapshot
 * @lock: @free_list, @free, @low, @starved
 * @free_list: free slots
 * @free: how many
 * @low: fewest that were free
 * @starved: since when takers go away empty, in jiffies, never 0; 0: they do
 *	not
 * @nr: slots that exist; grows under @grow_lock, read with acquire
 * @base: slots made by keel_pool_create()
 * @grow_lock: serializes growth
 * @wq: who waits for a free slot
 * @memcg: memory cgroup of who made it, held; all slots are charged to it
 * @chunks: table of slot chunks
 */
struct keel_pool {
	spinlock_t lock;		/* the free list and its counts */
	struct keel_slot *free_list;
	u32 free;
	u32 low;
	unsigned long starved;
	u32 nr;
	u32 base;
	struct mutex grow_lock;		/* growth */
	wait_queue_head_t wq;
	struct mem_cgroup *memcg;
	struct keel_slot *chunks[];
};

struct keel_pool *keel_pool_create(u32 slots);
void keel_pool_destroy(struct keel_pool *pool);
struct keel_slot *keel_pool_take(struct keel_pool *pool, u32 n, u32 keep);
void keel_pool_give(struct keel_pool *pool, struct keel_slot *list);
int keel_pool_grow(struct keel_pool *pool, u32 n);
struct keel_slot *keel_pool_slot(struct keel_pool *pool, u32 id);
u64 keel_pool_pages(void);

#endif /* KEEL_SNAPSHOT_POOL_H */
