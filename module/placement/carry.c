// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that follows its users. What the decision wants moved for some periods in
 * a row, and the last sample has seen a thread use, is moved to that thread's
 * node, up to so much a second, and in one period no more than that: others wait
 * for the lock. Only memory on keelfs is moved here; for other memory the same
 * decision is told, and user space can move it.
 */
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/mm.h>

#include "placement/control.h"
#include "snapshot/keelfs_move.h"
#include "snapshot/keelfs_sample.h"

/* First the threads get their chance to go where the memory is. */
#define CARRY_AFTER	3	/* decisions */

#define KIB_PER_PAGE	(PAGE_SIZE >> 10)

/* Memory of a node that nobody would miss: twice the reserve stays free. */
static u64 keel_node_room(int nid)
{
	u64 pages = 0, here, keep;
	struct zone *zone;
	int i;

	for (i = 0; i <= gfp_zone(GFP_HIGHUSER_MOVABLE); i++) {
		zone = &NODE_DATA(nid)->node_zones[i];
		if (!populated_zone(zone))
			continue;
		here = zone_page_state(zone, NR_FREE_PAGES);
		keep = 2 * high_wmark_pages(zone);
		pages += here > keep ? here - keep : 0;
	}
	return pages * KIB_PER_PAGE;
}

/**
 * keel_carry_room - memory that may be moved to each node
 * @topo: the nodes
 * @room: set, KiB each
 *
 * Context: any.
 */
void keel_carry_room(const struct keel_topology *topo, u32 *room)
{
	u32 i;

	for (i = 0; i < topo->nr_nodes; i++)
		room[i] = min_t(u64, keel_node_room(topo->node[i]), U32_MAX);
}

static u32 keel_node_index(int nid)
{
	const struct keel_topology *topo = keel_place.topology;
	u32 i;

	for (i = 0; i < topo->nr_nodes && topo->node[i] != nid; i++)
		;
	return i;
}

/* Where a folio that was seen should be; NUMA_NO_NODE: where it is. */
static int keel_carry_to(struct keel_place_vm *pv,
			 const struct keelfs_sampled *p)
{
	const struct keel_thread *t = keel_thread_of(pv, READ_ONCE(p->tid));
	const struct keel_decision *d = &keel_place.last;
	const struct place_memory *m;
	u32 from;

	if (!t || t->slot == U32_MAX || !d->ours[t->slot] ||
	    t->far < CARRY_AFTER)
		return NUMA_NO_NODE;
	m = &d->own[t->slot];
	from = keel_node_index(p->nid);
	return from < d->host.nr_nodes && m->from >> from & 1 ?
	       keel_place.topology->node[m->to] : NUMA_NO_NODE;
}

/* What a file's sample has shown, as far as @kib go. Return: what is left of them. */
static u64 keel_carry_file(struct keel_place_vm *pv,
			   const struct keel_place_file *f, u64 kib)
{
	struct inode *inode = file_inode(f->file), *unseen;
	u32 i;
	int to, pages;

	unseen = keelfs_move_begin(inode);
	for (i = 0; unseen && i < f->sample->nr && kib; i++) {
		to = keel_carry_to(pv, &f->sample->page[i]);
		if (to == NUMA_NO_NODE)
			continue;
		pages = keelfs_move_folio(inode, unseen,
					  f->sample->page[i].first, to);
		if (pages < 0) {
			keel_place.counts.stuck++;
			continue;
		}
		keel_place.counts.carried_kib += pages * KIB_PER_PAGE;
		kib -= min_t(u64, kib, pages * KIB_PER_PAGE);
	}
	if (unseen)
		keelfs_move_end(unseen);
	return kib;
}

static void keel_carry_count(struct keel_thread *t)
{
	const struct keel_decision *d = &keel_place.last;

	if (t->slot == U32_MAX || !d->own[t->slot].from)
		t->far = 0;
	else if (t->far < U32_MAX)
		t->far++;
}

/**
 * keel_carry_memory - move memory as the last decision wants it
 *
 * Context: may sleep; keel_place.lock is held.
 */
void keel_carry_memory(void)
{
	const struct keel_place_options *o = &keel_place.options;
	u64 ms = min_t(u32, o->period_ms, MSEC_PER_SEC);
	u64 kib = ((u64)o->memory_mib << 10) * ms / MSEC_PER_SEC;
	struct keel_place_vm *pv;
	struct keel_thread *t;
	u32 i;

	lockdep_assert_held(&keel_place.lock);
	list_for_each_entry(pv, &keel_place.vms, node) {
		list_for_each_entry(t, &pv->threads, node)
			keel_carry_count(t);
		for (i = 0; i < pv->nr_files && kib; i++)
			if (pv->file[i].sample)
				kib = keel_carry_file(pv, &pv->file[i], kib);
	}
}
