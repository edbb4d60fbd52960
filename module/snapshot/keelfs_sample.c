// SPDX-License-Identifier: GPL-2.0
/*
 * keelfs: who uses which memory, by sampling.
 *
 * Some folios of a file, chosen at random, are taken out of all mappings, and the
 * first thread that comes back for one is noted: a vCPU's fault is served in its
 * own thread. A folio that nobody comes back for costs nothing more. What a
 * device holds pinned is left alone, and so is a file in a snapshot: its mappings
 * are the snapshot's business.
 */
#include <linux/pagemap.h>
#include <linux/prandom.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/sort.h>

#include "snapshot/keelfs.h"
#include "snapshot/keelfs_sample.h"
#include "compat/compat.h"

/* For each folio wanted so many places in the file are looked at. */
#define SAMPLE_TRIES	4

static int keelfs_sample_cmp(const void *a, const void *b)
{
	const struct keelfs_sampled *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* The folio at a place, if it may be sampled: with a reference. */
static struct folio *keelfs_sample_pick(struct inode *inode, pgoff_t pgoff)
{
	struct folio *folio = keel_filemap_get_folio(inode->i_mapping, pgoff);

	if (!folio)
		return NULL;
	if (!folio_maybe_dma_pinned(folio) && !keelfs_folio_poisoned(folio))
		return folio;
	folio_put(folio);
	return NULL;
}

static void keelfs_sample_choose(struct inode *inode, struct keelfs_sample *s,
				 u32 want, struct rnd_state *rnd)
{
	u64 pages = i_size_read(inode) >> PAGE_SHIFT;
	u32 tries = want * SAMPLE_TRIES;
	struct folio *folio;

	while (pages && s->nr < want && tries--) {
		pgoff_t at = ((u64)prandom_u32_state(rnd) << 32 |
			      prandom_u32_state(rnd)) % pages;

		s->looked++;
		folio = keelfs_sample_pick(inode, at);
		if (!folio)
			continue;
		s->page[s->nr++] = (struct keelfs_sampled){
			.first = folio->index,
			.nr = folio_nr_pages(folio),
			.nid = folio_nid(folio),
		};
		folio_put(folio);
		if (!(tries % 64))
			cond_resched();
	}
	sort(s->page, s->nr, sizeof(*s->page), keelfs_sample_cmp, NULL);
}

/* A folio that was chosen twice counts twice, and is noted once. */
static void keelfs_sample_unmap(struct inode *inode,
				const struct keelfs_sample *s)
{
	u32 i;

	for (i = 0; i < s->nr; i++) {
		const struct keelfs_sampled *p = &s->page[i];

		if (i && p->first == p[-1].first)
			continue;
		unmap_mapping_range(inode->i_mapping,
				    (loff_t)p->first << PAGE_SHIFT,
				    (loff_t)p->nr << PAGE_SHIFT, 0);
		cond_resched();
	}
}

/**
 * keelfs_sample_begin - see who comes back for some of a file's memory
 * @inode: keelfs file
 * @want: so many places
 * @seed: of the choice
 *
 * The sample is under way until keelfs_sample_end().
 *
 * Context: may sleep. One sample of a file at a time.
 * Return: 0; -ENOMEM; -EBUSY if the file is in a snapshot.
 */
int keelfs_sample_begin(struct inode *inode, u32 want, u32 seed)
{
	struct keelfs_inode *ki = KEELFS_I(inode);
	struct keelfs_sample *s;
	struct rnd_state rnd;

	if (rcu_access_pointer(ki->snap))
		return -EBUSY;
	s = kvzalloc(struct_size(s, page, want), GFP_KERNEL);
	if (!s)
		return -ENOMEM;
	prandom_seed_state(&rnd, seed);
	keelfs_sample_choose(inode, s, want, &rnd);
	rcu_assign_pointer(ki->sample, s);
	keelfs_sample_unmap(inode, s);
	return 0;
}

/**
 * keelfs_sample_end - what a sample has shown
 * @inode: keelfs file
 *
 * Context: may sleep.
 * Return: the sample, for keelfs_sample_free(); NULL if none was under way.
 */
struct keelfs_sample *keelfs_sample_end(struct inode *inode)
{
	struct keelfs_inode *ki = KEELFS_I(inode);
	struct keelfs_sample *s = rcu_dereference_protected(ki->sample, true);

	RCU_INIT_POINTER(ki->sample, NULL);
	return s;
}

/**
 * keelfs_sample_free - when it is no more needed
 * @s: the sample, or NULL
 *
 * Context: any; somebody may still be about to note a fault in it.
 */
void keelfs_sample_free(struct keelfs_sample *s)
{
	if (s)
		kvfree_rcu(s, rcu);
}

/**
 * __keelfs_sample_touch - this thread comes back for some memory
 * @s: the sample under way, under RCU
 * @pgoff: the page
 */
void __keelfs_sample_touch(struct keelfs_sample *s, pgoff_t pgoff)
{
	u32 low = 0, high = s->nr, mid;

	while (low < high) {
		mid = (low + high) / 2;
		if (s->page[mid].first + s->page[mid].nr <= pgoff)
			low = mid + 1;
		else
			high = mid;
	}
	/* It was chosen more than once, perhaps: these lie together. */
	for (; low < s->nr && s->page[low].first <= pgoff; low++)
		if (!READ_ONCE(s->page[low].tid))
			WRITE_ONCE(s->page[low].tid, current->pid);
}
