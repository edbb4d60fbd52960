/* SPDX-License-Identifier: GPL-2.0 */
#ifndef RANDOM_HOST_H
#define RANDOM_HOST_H

#include "sim.h"

/*
 * Hosts and guests drawn at random, the same ones for the same seed.
 */
struct random_host {
	struct place_host host;
	u32 latency[PLACE_NODES_MAX * PLACE_NODES_MAX];
	struct place_site site[PLACE_SITES_MAX];
	u64 random;
};

/* What is to be drawn. */
struct random_shape {
	u32 nodes, sites_per_node, cores, threads;
	u32 tasks, vms;
	u32 busy;		/* percent: utils are scaled by it */
};

u32 random_below(struct random_host *r, u32 n);
void random_host(struct random_host *r, const struct random_shape *shape);
int random_load(struct random_host *r, const struct random_shape *shape,
		struct sim *s);

#endif
