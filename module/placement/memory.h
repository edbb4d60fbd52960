/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KEEL_PLACEMENT_MEMORY_H
#define KEEL_PLACEMENT_MEMORY_H

/* Memory that should follow its users: pure, like score.h. */
#include "score.h"

/**
 * struct place_memory - memory that would better be elsewhere
 * @from: the nodes it lies on, a bit each; 0: all is well.
 * @kib: how much it is.
 * @to: the node where it should be.
 * @saves: what that saves its users, as place_cost().
 * @copy: what copying it costs, likewise.
 */
struct place_memory {
	u64 from;
	u32 kib;
	u16 to;
	s64 saves;
	s64 copy;
};

/**
 * struct place_remote - what is to be known of memory besides who touches it
 * @shared_at: nr_vms by nr_nodes: KiB of each node's memory that a VM's tasks share.
 * @room: nr_nodes: KiB of each node's memory that may be taken.
 * @may: nr_tasks: the nodes that its memory may be moved to, a bit each.
 */
struct place_remote {
	const u32 *shared_at;
	const u32 *room;
	const u64 *may;
};

void place_memory(const struct place_host *h, const struct place_load *l,
		  const struct place_params *p, void *workspace, const u16 *plan,
		  const struct place_remote *r, struct place_memory *own,
		  struct place_memory *shared);

#endif
