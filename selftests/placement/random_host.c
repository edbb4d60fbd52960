// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "random_host.h"

u32 random_below(struct random_host *r, u32 n)
{
	return sim_random(&r->random, n);
}

/* Local memory at 80 to 90 ns, remote at 120 to 300; every third site in use. */
void random_host(struct random_host *r, const struct random_shape *shape)
{
	u32 n = shape->nodes, i;

	r->host = (struct place_host){
		.nr_nodes = n,
		.nr_sites = n * shape->sites_per_node,
		.latency = r->latency,
		.hit = 120,
		.site = r->site,
	};
	for (i = 0; i < n * n; i++)
		r->latency[i] = i % (n + 1) ? 1200 + random_below(r, 1800) :
				800 + random_below(r, 100);
	for (i = 0; i < r->host.nr_sites; i++)
		r->site[i] = (struct place_site){
			.node = i / shape->sites_per_node,
			.cores = shape->cores,
			.cpus = shape->cores * shape->threads,
			.cache_kib = 1024 * (4 + random_below(r, 32)),
			.foreign = random_below(r, 3) ? 0 :
				   random_below(r, shape->cores * 512),
		};
}

static void random_task(struct random_host *r, const struct random_shape *shape,
			struct sim *s, u32 t)
{
	struct place_task *task = &s->tasks[t];
	u32 site, sites = r->host.nr_sites;

	task->util = random_below(r, 4) ? 256 + random_below(r, 769) :
		     random_below(r, 200);
	task->util = task->util * shape->busy / 100;
	if (!random_below(r, 20)) {
		memset(task->allowed, 0, sizeof(task->allowed));
		for (u32 i = 0; i <= sites / 2; i++) {
			site = random_below(r, sites);
			task->allowed[site / 64] |= 1ULL << (site % 64);
		}
	}
	do {
		task->site = random_below(r, sites);
	} while (!place_allowed(task, task->site));
}

/*
 * VMs of equal numbers of tasks, which have most of their memory on a node or
 * two of their VM's, and share much, little or none of it.
 */
int random_load(struct random_host *r, const struct random_shape *shape,
		struct sim *s)
{
	u32 nodes = shape->nodes, each = (shape->tasks + shape->vms - 1) /
					 shape->vms;
	u32 home = 0, second = 0, kib = 0;

	if (sim_init(s, &r->host, shape->tasks, shape->vms))
		return -1;
	for (u32 t = 0; t < shape->tasks; t++) {
		u32 vm = t / each, *touched = &s->touched[t * nodes];

		if (t % each == 0) {
			home = random_below(r, nodes);
			second = random_below(r, nodes);
			kib = 256 << random_below(r, 10);
			s->shared_kib[vm] = random_below(r, 2) ? 0 :
					    kib / (1 + random_below(r, 4));
		}
		s->tasks[t].vm = vm;
		random_task(r, shape, s, t);
		for (u32 n = 0; n < nodes; n++)
			touched[n] = random_below(r, 4) ? 0 :
				     random_below(r, kib / 4 + 1);
		touched[home] += kib * 3 / 4;
		touched[second] += kib / 4;
	}
	return 0;
}
