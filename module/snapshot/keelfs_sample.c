// SPDX-License-Identifier: GPL-2.0
/*
 * keelfs: who uses which memory, by sampling.
 *
 * Some folios of a file are taken out of all mappings, and the first thread that
 * comes back for one is noted: a vCPU's fault is served in its own thread. A folio
 * that nobody comes back for costs nothing more. What a device holds pinned is
 * left alone, and so is a file in a snapshot: its mappings are the snapshot's
 * business.
 *
 * Each time that something is unmapped KVM has to stop its vCPUs, whatever its
 * size. So it is all of the file at once, if it has no more folios than may be
 * sampled, and otherwise some runs of them that begin at random.
 */
#include <linux/pagemap.h>
#include <linux/prandom.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/sort.h>

#include "snapshot/keelfs.h"
#include "snapshot/keelfs_sample.h"
#include "compat/compat.h"

/* Runs of folios in a file that is too large to be sampled as a whole. */
#define SAMPLE_RUNS	16
/* For each folio wanted so many are looked at: all may be pinned. */
#define SAMPLE_LOOKS	4

/* May it be taken out of the mappings? */
static bool keelfs_sample_may(struct folio *folio)
{
	return !folio_maybe_dma_pinned(folio) && !keelfs_folio_poisoned(folio);
}

static void keelfs_sample_add(struct keelfs_sample *s, struct folio *folio,
			      bool *apart)
{
	if (!keelfs_sample_may(folio)) {
		*apart = true;
		return;
	}
	s->page[s->nr++] = (struct keelfs_sampled){
		.first = folio->index,
		.nr = folio_nr_pages(folio),
		.nid = folio_nid(folio),
		.apart = *apart,
	};
	s->pages += folio_nr_pages(folio);
	*apart = false;
}

/* Up to @want folios from @start on. Return: is that all there is? */
static bool keelfs_sample_run(struct inode *inode, struct keelfs_sample *s,
			      pgoff_t start, u32 want)
{
	struct folio_batch batch;
	bool apart = true;
	u32 end = s->nr + want, looks = want * SAMPLE_LOOKS;
	unsigned int i;

	folio_batch_init(&batch);
	while (filemap_get_folios(inode->i_mapping, &start, ULONG_MAX, &batch)) {
		for (i = 0; i < folio_batch_count(&batch) && s->nr < end && looks;
		     i++, looks--)
			keelfs_sample_add(s, batch.folios[i], &apart);
		i = folio_batch_count(&batch) - i;
		folio_batch_release(&batch);
		if (i)
			return false;
		cond_resched();
	}
	return true;
}

static int keelfs_sample_cmp(const void *a, const void *b)
{
	const struct keelfs_sampled *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

static void keelfs_sample_choose(struct inode *inode, struct keelfs_sample *s,
				 u32 want, struct rnd_state *rnd)
{
	u64 pages = i_size_read(inode) >> PAGE_SHIFT;
	u32 i;

	s->whole = keelfs_sample_run(inode, s, 0, want);
	if (s->whole || !pages)
		return;
	s->nr = 0;
	s->pages = 0;
	for (i = 0; i < SAMPLE_RUNS; i++)
		keelfs_sample_run(inode, s,
				  ((u64)prandom_u32_state(rnd) << 32 |
				   prandom_u32_state(rnd)) % pages,
				  want / SAMPLE_RUNS ?: 1);
	sort(s->page, s->nr, sizeof(*s->page), keelfs_sample_cmp, NULL);
}

/* Between two folios that are not apart nothing is mapped that should stay. */
static void keelfs_sample_unmap(struct inode *inode, struct keelfs_sample *s)
{
	u32 i, k;

	for (i = 0; i < s->nr; i = k) {
		pgoff_t first = s->page[i].first, end = first;

		for (k = i; k < s->nr && (k == i || !s->page[k].apart); k++)
			end = s->page[k].first + s->page[k].nr;
		unmap_mapping_range(inode->i_mapping,
				    (loff_t)first << PAGE_SHIFT,
				    (loff_t)(end - first) << PAGE_SHIFT, 0);
		s->unmapped++;
		cond_resched();
	}
}

/**
 * keelfs_sample_begin - see who comes back for some of a file's memory
 * @inode: keelfs file
 * @want: so many folios at most, but 16 at least
 * @seed: of the choice
 *
 * The sample is under way until keelfs_sample_end().
 *
 * Context: may sleep. One sample of a file at a time.
 * Return: 0; -ENOMEM; -EBUSY if the file is in a snapshot, or being sampled for
 * another VM.
 */
int keelfs_sample_begin(struct inode *inode, u32 want, u32 seed)
{
	struct keelfs_inode *ki = KEELFS_I(inode);
	struct keelfs_sample *s;
	struct rnd_state rnd;

	if (rcu_access_pointer(ki->snap) || rcu_access_pointer(ki->sample))
		return -EBUSY;
	want = max_t(u32, want, SAMPLE_RUNS);
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
