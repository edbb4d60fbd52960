// SPDX-License-Identifier: GPL-2.0
/*
 * The buffers of one snapshot.
 *
 * They are charged to the memory cgroup of whoever makes the pool, and live
 * until the snapshot is closed: user space may have them mapped, so a slot
 * keeps its page for good. Spilling is growth; it happens in the task that
 * faults, but it is not that task's memory.
 */
#include <linux/gfp.h>
#include <linux/jiffies.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include <uapi/linux/keel.h>

#include "snapshot/pool.h"

/* Pages that all pools hold, for host-get. */
static atomic_long_t keel_pool_total = ATOMIC_LONG_INIT(0);

/**
 * keel_pool_pages - how much memory all pools hold
 *
 * Return: 4 KiB pages.
 */
u64 keel_pool_pages(void)
{
	return atomic_long_read(&keel_pool_total);
}

/**
 * keel_pool_slot - find a slot by its number
 * @pool: the pool
 * @id: any number
 *
 * Return: the slot, or NULL if there is none of that number.
 */
struct keel_slot *keel_pool_slot(struct keel_pool *pool, u32 id)
{
	/* Pairs with the release in keel_pool_grow_one(). */
	if (id >= smp_load_acquire(&pool->nr))
		return NULL;
	return &pool->chunks[id / KEEL_POOL_CHUNK][id % KEEL_POOL_CHUNK];
}

static int keel_pool_grow_one(struct keel_pool *pool, gfp_t gfp)
{
	struct keel_slot **chunk = &pool->chunks[pool->nr / KEEL_POOL_CHUNK];
	struct keel_slot *slot;

	lockdep_assert_held(&pool->grow_lock);
	if (pool->nr == KEEL_POOL_SLOTS_MAX)
		return -ENOSPC;
	if (!*chunk) {
		*chunk = kvcalloc(KEEL_POOL_CHUNK, sizeof(**chunk), gfp);
		if (!*chunk)
			return -ENOMEM;
	}

	slot = &(*chunk)[pool->nr % KEEL_POOL_CHUNK];
	slot->id = pool->nr;
	/* User space may map a slot that nothing was saved in yet. */
	slot->page = alloc_page(gfp | __GFP_ZERO);
	if (!slot->page)
		return -ENOMEM;
	atomic_long_inc(&keel_pool_total);

	/* Pairs with the acquire in keel_pool_slot(). */
	smp_store_release(&pool->nr, pool->nr + 1);
	keel_pool_give(pool, slot);
	return 0;
}

/**
 * keel_pool_grow - add slots beyond what the pool was made with
 * @pool: the pool
 * @n: how many
 *
 * Context: may sleep; takes grow_lock. Does not reclaim hard: it is called in
 *	the path of a guest's write.
 * Return: 0, -ENOMEM or -ENOSPC; slots added by then stay.
 */
int keel_pool_grow(struct keel_pool *pool, u32 n)
{
	gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_NORETRY | __GFP_NOWARN;
	struct mem_cgroup *memcg;
	int err = 0;

	mutex_lock(&pool->grow_lock);
	memcg = set_active_memcg(pool->memcg);
	while (n-- && !err)
		err = keel_pool_grow_one(pool, gfp);
	set_active_memcg(memcg);
	mutex_unlock(&pool->grow_lock);
	return err;
}

/**
 * keel_pool_create - make a pool
 * @slots: how many buffers, at most KEEL_POOL_SLOTS_MAX
 *
 * Context: may sleep, for long if memory is short; a fatal signal ends it.
 * Return: the pool, or ERR_PTR(-ENOMEM), ERR_PTR(-EINTR).
 */
struct keel_pool *keel_pool_create(u32 slots)
{
	gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN;
	struct keel_pool *pool;
	int err = 0;

	pool = kvzalloc(struct_size(pool, chunks,
				    KEEL_POOL_SLOTS_MAX / KEEL_POOL_CHUNK),
			GFP_KERNEL_ACCOUNT);
	if (!pool)
		return ERR_PTR(-ENOMEM);

	spin_lock_init(&pool->lock);
	mutex_init(&pool->grow_lock);
	init_waitqueue_head(&pool->wq);
	pool->memcg = get_mem_cgroup_from_mm(current->mm);

	mutex_lock(&pool->grow_lock);
	while (pool->nr < slots && !err) {
		err = keel_pool_grow_one(pool, gfp);
		if (fatal_signal_pending(current))
			err = -EINTR;
		cond_resched();
	}
	mutex_unlock(&pool->grow_lock);
	if (err) {
		keel_pool_destroy(pool);
		return ERR_PTR(err);
	}

	pool->base = slots;
	pool->low = slots;
	return pool;
}

/**
 * keel_pool_destroy - free a pool
 * @pool: a pool of which nobody holds or waits for a slot
 *
 * User space may have buffers mapped still; those live on until it lets go.
 */
void keel_pool_destroy(struct keel_pool *pool)
{
	u32 id;

	for (id = 0; id < pool->nr; id++) {
		put_page(keel_pool_slot(pool, id)->page);
		if (!(id % KEEL_POOL_CHUNK))
			cond_resched();
	}
	atomic_long_sub(pool->nr, &keel_pool_total);

	for (id = 0; id < KEEL_POOL_SLOTS_MAX / KEEL_POOL_CHUNK; id++)
		kvfree(pool->chunks[id]);
	mem_cgroup_put(pool->memcg);
	kvfree(pool);
}

/**
 * keel_pool_take - take several slots, or none
 * @pool: the pool
 * @n: how many, at least 1
 * @keep: how many must be left free
 *
 * Context: any; takes pool->lock.
 * Return: a list by .next, or NULL if there are not enough.
 */
struct keel_slot *keel_pool_take(struct keel_pool *pool, u32 n, u32 keep)
{
	struct keel_slot *list = NULL, *slot;

	spin_lock(&pool->lock);
	if (pool->free < n + keep) {
		if (!keep && !pool->starved)
			pool->starved = jiffies | 1;
		goto unlock;
	}
	pool->free -= n;
	pool->low = min(pool->low, pool->free);

	list = pool->free_list;
	slot = list;
	while (--n)
		slot = slot->next;
	pool->free_list = slot->next;
	slot->next = NULL;
unlock:
	spin_unlock(&pool->lock);
	return list;
}

/**
 * keel_pool_give - give slots back
 * @pool: the pool
 * @list: by .next; NULL is none
 *
 * Context: any; takes pool->lock; wakes who waits.
 */
void keel_pool_give(struct keel_pool *pool, struct keel_slot *list)
{
	struct keel_slot *last = list;
	u32 n = 1;

	if (!list)
		return;
	for (; last->next; n++)
		last = last->next;

	spin_lock(&pool->lock);
	last->next = pool->free_list;
	pool->free_list = list;
	pool->free += n;
	if (pool->free >= KEEL_POOL_CHUNK)
		pool->starved = 0;
	spin_unlock(&pool->lock);

	/* The barrier is the waiter's: it looks again after it is queued. */
	if (wq_has_sleeper(&pool->wq))
		wake_up_all(&pool->wq);
}
