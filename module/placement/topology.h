/* SPDX-License-Identifier: GPL-2.0 */
/* The host's CPUs as the decision sees them: sites, see struct place_site. */
#ifndef KEEL_PLACEMENT_TOPOLOGY_H
#define KEEL_PLACEMENT_TOPOLOGY_H

#include <linux/cpumask.h>

#include "placement/score.h"

/**
 * struct keel_topology - the CPUs that are online
 * @nr: sites
 * @site: as for the decision; node counts in @node, not by its id
 * @cpus: the CPUs of each site
 * @site_of: by CPU; KEEL_NO_SITE for one that is offline
 * @nr_nodes: nodes that are online
 * @node: their ids, ascending
 */
struct keel_topology {
	u32 nr;
	u32 nr_nodes;
	struct place_site site[PLACE_SITES_MAX];
	cpumask_var_t cpus[PLACE_SITES_MAX];
	u16 *site_of;
	int node[PLACE_NODES_MAX];
};

#define KEEL_NO_SITE	0xffff

struct keel_topology *keel_topology_create(void);
bool keel_topology_has_nodes(const struct keel_topology *t);
void keel_topology_destroy(struct keel_topology *t);

#endif /* KEEL_PLACEMENT_TOPOLOGY_H */
