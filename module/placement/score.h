/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KEEL_PLACEMENT_SCORE_H
#define KEEL_PLACEMENT_SCORE_H

/*
 * Where threads should run, decided from numbers alone: no kernel state, no
 * allocation, no floating point, and the same answer for the same numbers. The
 * module and user space compile this same file. Documentation/placement.rst has
 * the formula and where it comes from.
 */
#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stddef.h>
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;
typedef long s64;
#endif

#define PLACE_NODES_MAX		64
#define PLACE_SITES_MAX		256
#define PLACE_TASKS_MAX		32768
#define PLACE_ONE		1024	/* one CPU, or 1.0 */
#define PLACE_LATENCY_MAX	65535	/* tenths of ns */
#define PLACE_CACHE_KIB_MAX	(2U << 20)	/* 2 GiB */
#define PLACE_INERTIA_MAX	(PLACE_ONE << 10)
#define PLACE_EFFORT_MAX	10000
#define PLACE_HORIZON_MIN	1000000ULL	/* 1 ms */
#define PLACE_HORIZON_MAX	86400000000000ULL	/* a day */

/**
 * struct place_site - CPUs of one node that share a last level cache
 * @node: the node they are in.
 * @cores: physical cores; at least 1.
 * @cpus: logical CPUs; at least @cores.
 * @cache_kib: size of the cache they share, up to PLACE_CACHE_KIB_MAX.
 * @foreign: what threads that are not ours use of them, PLACE_ONE a CPU.
 */
struct place_site {
	u16 node;
	u16 cores;
	u16 cpus;
	u32 cache_kib;
	u32 foreign;
};

/**
 * struct place_host - a host as the decision sees it
 * @nr_nodes: up to PLACE_NODES_MAX.
 * @nr_sites: up to PLACE_SITES_MAX.
 * @latency: nr_nodes by nr_nodes, [node of the CPU][node of the memory], in
 *	tenths of ns, 1 to PLACE_LATENCY_MAX.
 * @hit: latency of the last level cache, in tenths of ns.
 * @site: the sites.
 */
struct place_host {
	u32 nr_nodes;
	u32 nr_sites;
	const u32 *latency;
	u32 hit;
	const struct place_site *site;
};

/**
 * struct place_task - a thread that can be placed: a vCPU, or a helper of its VM
 * @vm: which VM's, less than place_load.nr_vms.
 * @util: how busy it is, up to PLACE_ONE.
 * @site: where it is now.
 * @inertia: what part of its cost a move must save, 1.0 being PLACE_ONE; up to
 *	PLACE_INERTIA_MAX.
 * @allowed: the sites it may be on, a bit each; never none.
 */
struct place_task {
	u32 vm;
	u16 util;
	u16 site;
	u32 inertia;
	u64 allowed[PLACE_SITES_MAX / 64];
};

static inline bool place_allowed(const struct place_task *t, u32 site)
{
	return t->allowed[site / 64] >> (site % 64) & 1;
}

/**
 * struct place_load - the threads to be placed
 * @nr_tasks: up to PLACE_TASKS_MAX.
 * @nr_vms: up to PLACE_TASKS_MAX.
 * @task: the threads.
 * @touched: nr_tasks by nr_nodes: KiB of each node's memory in its working set.
 * @shared_kib: nr_vms: of the working set of each of a VM's tasks, the KiB that
 *	are also the others'. A cache holds those once.
 */
struct place_load {
	u32 nr_tasks;
	u32 nr_vms;
	const struct place_task *task;
	const u32 *touched;
	const u32 *shared_kib;
};

/**
 * struct place_params - how it is decided
 * @smt_gain: what the second thread of a core adds, up to PLACE_ONE.
 * @miss_floor: accesses that miss a cache that is large enough, likewise.
 * @parallel: cache lines fetched at the same time when a cache is refilled; at
 *	least 1.
 * @horizon_ns: for how long a placement is thought to last; from 1 ms to a day.
 * @move_ns: what the move itself takes.
 * @effort: how often a search is begun anew, up to PLACE_EFFORT_MAX; 0 for once.
 * @seed: for a search that is another each time.
 */
struct place_params {
	u32 smt_gain;
	u32 miss_floor;
	u32 parallel;
	u64 horizon_ns;
	u32 move_ns;
	u32 effort;
	u32 seed;
};

extern const struct place_params place_defaults;

/* Why a task is better off, or not, on a site. Latencies in tenths of ns. */
struct place_reason {
	u32 memory;		/* a miss, by where its memory lies */
	u32 miss;		/* part of its accesses that miss, PLACE_ONE */
	u32 slowdown;		/* by who else runs there, PLACE_ONE: none */
	u32 expected;		/* of an access, from all three */
	s64 others;		/* what its being there costs the others, as cost */
	s64 move;		/* what the move costs, likewise */
};

size_t place_workspace_size(const struct place_host *h,
			    const struct place_load *l);
int place_check(const struct place_host *h, const struct place_load *l,
		const struct place_params *p, const char **why);
u64 place_decide(const struct place_host *h, const struct place_load *l,
		 const struct place_params *p, void *workspace, u16 *plan);
u64 place_cost(const struct place_host *h, const struct place_load *l,
	       const struct place_params *p, void *workspace, const u16 *plan,
	       u64 *moves);
void place_expected(const struct place_host *h, const struct place_load *l,
		    const struct place_params *p, void *workspace,
		    const u16 *plan, u32 *latency);
void place_explain(const struct place_host *h, const struct place_load *l,
		   const struct place_params *p, void *workspace,
		   const u16 *plan, u32 task, u16 site,
		   struct place_reason *r);

#endif
