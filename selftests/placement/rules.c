// SPDX-License-Identifier: GPL-2.0
/*
 * numad (numad.c 0.5, pick_numa_nodes()): processes as a whole, the largest
 * first. A node is worth its free CPUs times its free memory, what the process
 * itself has there counting as free; the best nodes are taken until there is
 * enough, CPUs being used to 85 %.
 *
 * AutoNUMA (Linux 6.12, kernel/sched/fair.c, task_numa_migrate()): each thread by
 * itself. Its preferred node is the one with most of its hinting faults. It
 * goes there, or to a node that is better by faults than where it is, if that
 * leaves the loads no more uneven than they were; or changes places with a thread
 * there, if both together gain by their faults.
 *
 * Within a node the scheduler spreads threads evenly.
 */
#include <stdlib.h>
#include <string.h>

#include "rules.h"

#define TARGET	85	/* percent */

static u64 node_cpus(const struct sim *s, u32 node)
{
	u64 cpus = 0;

	for (u32 i = 0; i < s->host.nr_sites; i++)
		if (s->host.site[i].node == node)
			cpus += s->host.site[i].cpus;
	return cpus * PLACE_ONE;
}

static u32 node_of(const struct sim *s, u32 t)
{
	return s->host.site[s->tasks[t].site].node;
}

/* What each site carries, foreign threads with it. */
static void loads(const struct sim *s, u64 *site)
{
	for (u32 i = 0; i < s->host.nr_sites; i++)
		site[i] = s->host.site[i].foreign;
	for (u32 t = 0; t < s->load.nr_tasks; t++)
		site[s->tasks[t].site] += s->tasks[t].util;
}

/* Of the nodes in @nodes the least loaded site that @t may be on; -1: none. */
static int least_loaded(const struct sim *s, u32 t, u64 nodes, const u64 *site)
{
	int best = -1;

	for (u32 i = 0; i < s->host.nr_sites; i++) {
		const struct place_site *at = &s->host.site[i];

		if (!(nodes >> at->node & 1) || !place_allowed(&s->tasks[t], i))
			continue;
		if (best < 0 || site[i] * s->host.site[best].cpus <
				site[best] * at->cpus)
			best = i;
	}
	return best;
}

static void send(struct sim *s, u32 t, u32 to, u64 *site)
{
	site[s->tasks[t].site] -= s->tasks[t].util;
	s->tasks[t].site = to;
	site[to] += s->tasks[t].util;
}

struct process {
	u32 first, end;
	u64 util, kib;
};

static int by_size(const void *a, const void *b)
{
	const struct process *x = a, *y = b;
	u64 p = x->util / 16 * (x->kib / 16), q = y->util / 16 * (y->kib / 16);

	return p < q ? 1 : p > q ? -1 : 0;
}

static u32 processes(const struct sim *s, struct process *p)
{
	u32 nodes = s->host.nr_nodes, nr = 0;

	for (u32 t = 0; t < s->load.nr_tasks; t++) {
		if (!t || s->tasks[t].vm != s->tasks[t - 1].vm)
			p[nr++] = (struct process){ t, t, 0, 0 };
		p[nr - 1].end = t + 1;
		p[nr - 1].util += s->tasks[t].util;
		for (u32 n = 0; n < nodes; n++)
			p[nr - 1].kib += s->touched[t * nodes + n];
	}
	qsort(p, nr, sizeof(*p), by_size);
	return nr;
}

/* All nodes have as much memory, a quarter more than is used in all. */
static void memory(const struct sim *s, s64 *spare)
{
	u32 nodes = s->host.nr_nodes;
	u64 all = 0;

	memset(spare, 0, nodes * sizeof(*spare));
	for (u32 i = 0; i < s->load.nr_tasks * nodes; i++) {
		spare[i % nodes] -= s->touched[i];
		all += s->touched[i];
	}
	for (u32 n = 0; n < nodes; n++)
		spare[n] += all * 5 / 4 / nodes;
}

/* The nodes for a process, a bit each. */
static u64 pick_nodes(const struct sim *s, const struct process *p,
		      const u64 *site, const s64 *spare)
{
	u32 nodes = s->host.nr_nodes;
	s64 cpus[PLACE_NODES_MAX], kib[PLACE_NODES_MAX];
	s64 need_cpus = p->util, need_kib = p->kib;
	u64 picked = 0;

	for (u32 n = 0; n < nodes; n++) {
		cpus[n] = node_cpus(s, n) * TARGET / 100;
		kib[n] = spare[n];
	}
	for (u32 i = 0; i < s->host.nr_sites; i++)
		cpus[s->host.site[i].node] -= site[i];
	for (u32 t = p->first; t < p->end; t++) {
		cpus[node_of(s, t)] += s->tasks[t].util;
		for (u32 n = 0; n < nodes; n++)
			kib[n] += s->touched[t * nodes + n];
	}
	while (need_cpus > 0 || need_kib > 0) {
		double best = -1, worth;
		u32 found = nodes;

		for (u32 n = 0; n < nodes; n++) {
			worth = (cpus[n] > 0 ? cpus[n] : 1) *
				(double)(kib[n] > 0 ? kib[n] : 1);
			if (!(picked >> n & 1) && worth > best) {
				best = worth;
				found = n;
			}
		}
		if (found == nodes)
			break;
		picked |= 1ULL << found;
		need_cpus -= cpus[found] > 0 ? cpus[found] : 0;
		need_kib -= kib[found] > 0 ? kib[found] : 0;
	}
	return picked;
}

void rule_numad(struct sim *s)
{
	struct process *p = calloc(s->load.nr_vms + 1, sizeof(*p));
	u64 site[PLACE_SITES_MAX], nodes;
	s64 spare[PLACE_NODES_MAX];
	u32 nr = processes(s, p);
	int to;

	loads(s, site);
	memory(s, spare);
	for (u32 i = 0; i < nr; i++) {
		nodes = pick_nodes(s, &p[i], site, spare);
		for (u32 t = p[i].first; t < p[i].end; t++) {
			if (nodes >> node_of(s, t) & 1)
				continue;
			to = least_loaded(s, t, nodes, site);
			if (to >= 0)
				send(s, t, to, site);
		}
	}
	free(p);
}

static u32 faults(const struct sim *s, u32 t, u32 node)
{
	return s->touched[t * s->host.nr_nodes + node];
}

/* The part of its faults that a thread has on a node, of 1000. */
static s64 weight(const struct sim *s, u32 t, u32 node)
{
	u64 all = 0;

	for (u32 n = 0; n < s->host.nr_nodes; n++)
		all += faults(s, t, n);
	return all ? faults(s, t, node) * 1000ULL / all : 0;
}

static u64 node_load(const struct sim *s, u32 node, const u64 *site)
{
	u64 load = 0;

	for (u32 i = 0; i < s->host.nr_sites; i++)
		if (s->host.site[i].node == node)
			load += site[i];
	return load;
}

/* load_too_imbalanced(): more uneven than before? */
static bool uneven(const struct sim *s, u32 from, u32 to, s64 moved,
		   const u64 *site)
{
	double a = node_cpus(s, from), b = node_cpus(s, to);
	s64 x = node_load(s, from, site), y = node_load(s, to, site);
	double before = x * b - y * a, after = (x - moved) * b - (y + moved) * a;

	return (after < 0 ? -after : after) > (before < 0 ? -before : before);
}

/* A thread there with which an exchange helps most; -1: none. */
static int partner(const struct sim *s, u32 t, u32 to, const u64 *site)
{
	u32 from = node_of(s, t);
	s64 best = 0, gain, mine = weight(s, t, to) - weight(s, t, from);
	int found = -1;

	for (u32 o = 0; o < s->load.nr_tasks; o++) {
		if (node_of(s, o) != to ||
		    !place_allowed(&s->tasks[o], s->tasks[t].site) ||
		    !place_allowed(&s->tasks[t], s->tasks[o].site))
			continue;
		gain = mine + weight(s, o, from) - weight(s, o, to);
		if (gain > best &&
		    !uneven(s, from, to, (s64)s->tasks[t].util -
			    s->tasks[o].util, site)) {
			best = gain;
			found = o;
		}
	}
	return found;
}

/* To a node, if it is better by faults. Return: did it go? */
static bool go(struct sim *s, u32 t, u32 node, u64 *site)
{
	u32 from = node_of(s, t), here = s->tasks[t].site;
	int to, other;

	if (node == from || faults(s, t, node) <= faults(s, t, from))
		return false;
	to = least_loaded(s, t, 1ULL << node, site);
	if (to >= 0 && !uneven(s, from, node, s->tasks[t].util, site)) {
		send(s, t, to, site);
		return true;
	}
	other = partner(s, t, node, site);
	if (other < 0)
		return false;
	send(s, t, s->tasks[other].site, site);
	send(s, other, here, site);
	return true;
}

void rule_autonuma(struct sim *s)
{
	u64 site[PLACE_SITES_MAX];
	u32 preferred;

	loads(s, site);
	for (u32 t = 0; t < s->load.nr_tasks; t++) {
		preferred = 0;
		for (u32 n = 1; n < s->host.nr_nodes; n++)
			if (faults(s, t, n) > faults(s, t, preferred))
				preferred = n;
		if (node_of(s, t) == preferred || go(s, t, preferred, site))
			continue;
		for (u32 n = 0; n < s->host.nr_nodes; n++)
			if (go(s, t, n, site))
				break;
	}
}
