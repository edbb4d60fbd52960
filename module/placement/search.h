/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KEEL_PLACEMENT_SEARCH_H
#define KEEL_PLACEMENT_SEARCH_H

/*
 * What the cost and the search for a low one share: sums over the tasks of each
 * site, by which a step is judged in constant time. Inline, because it is what a
 * search does all the time.
 */
#ifdef __KERNEL__
#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/string.h>
#define relax()		cond_resched()
#else
#include <string.h>
#define min(a, b)	((a) < (b) ? (a) : (b))
#define min_t(t, a, b)	min((t)(a), (t)(b))
#define max_t(t, a, b)	((t)(a) > (t)(b) ? (t)(a) : (t)(b))
#define relax()		((void)0)	/* nobody else waits for this CPU */
#endif

#include "score.h"

#define NOWHERE		0xffff
#define PEERS		4	/* of a pair of sites, looked at for an exchange */
#define LINES_PER_KIB	16	/* of 64 bytes */

/*
 * 1.0, of what is multiplied by all that a site costs: a step of 1/PLACE_ONE of
 * that would be more than a small task can gain or lose.
 */
#define FINE		((u64)PLACE_ONE << 10)
#define SLOWDOWN_MAX	(FINE << 10)

struct sums {
	u64 util;	/* of all that run there, foreign ones too */
	u64 ours;
	u64 memory;	/* sum of util * latency of a miss */
	u64 kib;	/* of cache that would hold all working sets */
	u64 cost;
	u32 since;	/* step of the search that changed it last */
};

/* A task that could be exchanged, and what it alone would gain. */
struct peer {
	s64 gain;
	u32 task;
};

struct search {
	const struct place_host *h;
	const struct place_load *l;
	const struct place_params *p;
	struct sums *sum;	/* by site */
	u32 *latency;		/* of a miss, by task and node */
	u64 *moved;		/* what a move costs, by task and node */
	u64 *all_kib;		/* a task's working set */
	u32 *own_kib;		/* of that, not shared */
	u32 *looked;		/* step at which a task was last looked at */
	u16 *at;		/* by task */
	u16 *best;
	u8 *goes;		/* is of the group that is being tried */
	u16 *shared_by;		/* how many of a VM's tasks are on a site */
	struct peer *peers;	/* by site and site, PEERS each, best first */
	u64 cost;		/* of all, with moves */
	u32 step;
	u32 exchanged;		/* step of the last look for exchanges */
	u32 grouped;		/* and for groups */
	s64 budget;		/* steps that may still be judged */
	u64 random;
};

/* @n times @by, which counts in @one. */
static inline u64 scaled(u64 n, u64 by, u64 one)
{
	return n / one * by + n % one * by / one;
}

/* How long it takes to fetch memory that is @latency away, tenths of ns. */
static inline u64 fetch_ns(const struct place_params *p, u64 kib, u64 latency)
{
	return kib * LINES_PER_KIB * latency / 10 / p->parallel;
}

/* How much longer everything takes on a site where @util wants to run. */
static inline u64 slowdown(const struct place_params *p,
			   const struct place_site *site, u64 util)
{
	u64 cores = site->cores * PLACE_ONE, cpus = site->cpus * PLACE_ONE;
	u64 done;

	if (util <= cores)
		return FINE;
	done = cores * PLACE_ONE + (min(util, cpus) - cores) * p->smt_gain;
	return min(util * PLACE_ONE * FINE / done, SLOWDOWN_MAX);
}

/*
 * The part of accesses that miss a cache of which @kib are in use, each as much
 * as any other: what does not fit.
 */
static inline u64 miss(const struct place_params *p,
		       const struct place_site *site, u64 kib)
{
	u64 floor = FINE / PLACE_ONE * p->miss_floor;

	if (kib <= site->cache_kib)
		return floor;
	return FINE - (FINE - floor) * site->cache_kib / kib;
}

static inline u64 site_cost(const struct search *s, u32 site,
			    const struct sums *n)
{
	const struct place_site *at = &s->h->site[site];
	u64 m = miss(s->p, at, n->kib);
	u64 all = ((FINE - m) * s->h->hit * n->ours + m * n->memory) / FINE;

	return scaled(all, slowdown(s->p, at, n->util), FINE);
}

static inline u32 latency_of(const struct search *s, u32 t, u32 site)
{
	return s->latency[t * s->h->nr_nodes + s->h->site[site].node];
}

static inline u16 *shared_by(const struct search *s, u32 t, u32 site)
{
	return &s->shared_by[s->l->task[t].vm * s->h->nr_sites + site];
}

/* @sign 1: the sums with @t as well; -1: without. @there: of its VM's tasks. */
static inline void add_task(const struct search *s, struct sums *n, u32 t,
			    u32 site, int sign, u32 there)
{
	const struct place_task *task = &s->l->task[t];
	bool alone = sign < 0 ? there == 1 : !there;
	u64 kib = s->own_kib[t];

	if (alone)
		kib += s->l->shared_kib[task->vm];
	n->util += sign * (s64)task->util;
	n->ours += sign * (s64)task->util;
	n->memory += sign * (s64)((u64)task->util * latency_of(s, t, site));
	n->kib += sign * (s64)kib;
}

/* What the site costs more, or less, with @t or without. */
static inline s64 changed(const struct search *s, u32 t, u32 site, int sign)
{
	struct sums n = s->sum[site];

	add_task(s, &n, t, site, sign, *shared_by(s, t, site));
	return site_cost(s, site, &n) - n.cost;
}

/* To be where it is not now. */
static inline u64 move_cost(const struct search *s, u32 t, u32 site)
{
	if (site == s->l->task[t].site)
		return 0;
	return s->moved[t * s->h->nr_nodes + s->h->site[site].node];
}

static inline void take_out(struct search *s, u32 t)
{
	u32 site = s->at[t];
	u16 *there = shared_by(s, t, site);

	add_task(s, &s->sum[site], t, site, -1, *there);
	--*there;
	s->cost -= s->sum[site].cost + move_cost(s, t, site);
	s->sum[site].cost = site_cost(s, site, &s->sum[site]);
	s->cost += s->sum[site].cost;
	s->sum[site].since = ++s->step;
	s->at[t] = NOWHERE;
}

static inline void put_in(struct search *s, u32 t, u32 site)
{
	u16 *there = shared_by(s, t, site);

	add_task(s, &s->sum[site], t, site, 1, *there);
	++*there;
	s->cost -= s->sum[site].cost;
	s->sum[site].cost = site_cost(s, site, &s->sum[site]);
	s->cost += s->sum[site].cost + move_cost(s, t, site);
	s->sum[site].since = ++s->step;
	s->at[t] = site;
}

static inline void move(struct search *s, u32 t, u32 site)
{
	take_out(s, t);
	put_in(s, t, site);
}

/* score.c */
u64 search_expected(const struct search *s, u32 t);
void search_begin(struct search *s, const struct place_host *h,
		  const struct place_load *l, const struct place_params *p,
		  void *workspace);
void search_start_from(struct search *s, const u16 *plan);
void search_weigh_moves(struct search *s, u32 ease);

#endif
