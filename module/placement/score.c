// SPDX-License-Identifier: GPL-2.0
/*
 * What a placement costs: exact for the model of Documentation/placement.rst. The
 * cost of a site needs only sums over its tasks; what couples the tasks, load and
 * cache, goes through those.
 *
 * No sum overflows, whatever place_check() has let through. Tasks are 2^15, each
 * of 2^10 at most; latencies are below 2^16, slowdowns 2^30, which is 1024 times.
 * So with all at their largest an access is expected to take 2^26, and all tasks
 * together cost 2^51; before it is divided by FINE, the cost of a site is 2^61. Loads,
 * KiB of a task and move_ns may be all that a u32 can hold: a load times PLACE_ONE and
 * FINE is 2^62. To refill 2^21 KiB takes less than 2^38 ns, which times 2^26 is divided
 * by the horizon. What a move costs is cut off at MOVED_MAX, 2^47: all tasks' moves are
 * 2^62, and the sign of a difference is right.
 */
#include "search.h"

#define MOVED_MAX	((u64)PLACE_ONE << 37)

/* Two threads of a core do 1.3 times the work of one, as a rule of thumb. */
const struct place_params place_defaults = {
	.smt_gain = 307,
	.miss_floor = 20,
	.parallel = 4,
	.horizon_ns = 10000000000ULL,
	.move_ns = 50000,
	.effort = 4,
};

static u64 align8(u64 n)
{
	return (n + 7) & ~7ULL;
}

/* Lays the arrays out in @w, or tells how large it must be if it is NULL. */
static size_t lay_out(struct search *s, char *w)
{
	u64 tasks = s->l->nr_tasks, sites = s->h->nr_sites, at = 0;

	s->sum = (void *)(w + at);
	at += sites * sizeof(*s->sum);
	s->peers = (void *)(w + at);
	at += sites * sites * PEERS * sizeof(*s->peers);
	s->moved = (void *)(w + at);
	at += tasks * s->h->nr_nodes * sizeof(*s->moved);
	s->all_kib = (void *)(w + at);
	at += tasks * sizeof(*s->all_kib);
	s->latency = (void *)(w + at);
	at += align8(tasks * s->h->nr_nodes * sizeof(*s->latency));
	s->own_kib = (void *)(w + at);
	at += align8(tasks * sizeof(*s->own_kib));
	s->looked = (void *)(w + at);
	at += align8(tasks * sizeof(*s->looked));
	s->at = (void *)(w + at);
	at += align8(tasks * sizeof(*s->at));
	s->best = (void *)(w + at);
	at += align8(tasks * sizeof(*s->best));
	s->goes = (void *)(w + at);
	at += align8(tasks * sizeof(*s->goes));
	s->shared_by = (void *)(w + at);
	at += align8(s->l->nr_vms * sites * sizeof(*s->shared_by));
	return at;
}

/**
 * place_workspace_size - how much memory place_decide() and its like want
 * @h: the host; only its numbers of nodes and sites are looked at.
 * @l: the load, likewise.
 *
 * Return: bytes.
 */
size_t place_workspace_size(const struct place_host *h,
			    const struct place_load *l)
{
	struct search s = { .h = h, .l = l };

	return lay_out(&s, NULL);
}

static const char *check_host(const struct place_host *h)
{
	u32 i;

	if (!h->nr_nodes || h->nr_nodes > PLACE_NODES_MAX)
		return "the number of nodes is 0 or too large";
	if (!h->nr_sites || h->nr_sites > PLACE_SITES_MAX)
		return "the number of sites is 0 or too large";
	if (!h->hit || h->hit > PLACE_LATENCY_MAX)
		return "the latency of the cache is 0 or too large";
	for (i = 0; i < h->nr_nodes * h->nr_nodes; i++)
		if (!h->latency[i] || h->latency[i] > PLACE_LATENCY_MAX)
			return "a latency is 0 or too large";
	for (i = 0; i < h->nr_sites; i++) {
		if (h->site[i].node >= h->nr_nodes)
			return "a site is on a node that is not there";
		if (!h->site[i].cores || h->site[i].cpus < h->site[i].cores)
			return "a site has no CPU, or fewer CPUs than cores";
		if (h->site[i].cache_kib > PLACE_CACHE_KIB_MAX)
			return "a cache is larger than 2 GiB";
	}
	return NULL;
}

static const char *check_params(const struct place_params *p)
{
	if (p->smt_gain > PLACE_ONE)
		return "smt_gain is more than 1024";
	if (p->miss_floor > PLACE_ONE)
		return "miss_floor is more than 1024";
	if (!p->parallel)
		return "parallel is 0";
	if (p->horizon_ns < PLACE_HORIZON_MIN ||
	    p->horizon_ns > PLACE_HORIZON_MAX)
		return "horizon_ns is less than 1 ms or more than a day";
	if (p->effort > PLACE_EFFORT_MAX)
		return "effort is more than 10000";
	return NULL;
}

static const char *check_task(const struct place_host *h,
			      const struct place_load *l, u32 t)
{
	const struct place_task *task = &l->task[t];
	u32 i;

	if (task->vm >= l->nr_vms)
		return "a task is of a VM that is not there";
	if (task->util > PLACE_ONE)
		return "a task uses more than one CPU";
	if (task->site >= h->nr_sites)
		return "a task is on a site that is not there";
	if (task->inertia > PLACE_INERTIA_MAX)
		return "a task's inertia is more than 1048576";
	for (i = 0; i < h->nr_sites; i++)
		if (place_allowed(task, i))
			return NULL;
	return "a task is allowed nowhere";
}

/**
 * place_check - may these numbers be given to place_decide()?
 * @h: the host.
 * @l: the load.
 * @p: how.
 * @why: set to a sentence if not.
 *
 * Return: 0 or -1.
 */
int place_check(const struct place_host *h, const struct place_load *l,
		const struct place_params *p, const char **why)
{
	u32 t;

	*why = check_host(h);
	if (!*why)
		*why = check_params(p);
	if (!*why && (l->nr_tasks > PLACE_TASKS_MAX ||
		      l->nr_vms > PLACE_TASKS_MAX))
		*why = "there are too many tasks or VMs";
	for (t = 0; !*why && t < l->nr_tasks; t++) {
		*why = check_task(h, l, t);
		if (!*why && t && l->task[t].vm < l->task[t - 1].vm)
			*why = "the tasks are not in the order of their VMs";
	}
	return *why ? -1 : 0;
}

/* What a task's memory is away on average, from each node. */
static void expect_latency(struct search *s, u32 t)
{
	const u32 *touched = &s->l->touched[t * s->h->nr_nodes];
	u32 n = s->h->nr_nodes, *out = &s->latency[t * n];
	u64 all = 0, sum, kib;
	u32 from, to;

	for (to = 0; to < n; to++)
		all += touched[to];
	for (from = 0; from < n; from++) {
		const u32 *row = &s->h->latency[from * n];

		/* Of one that touched nothing all nodes are as good. */
		sum = 0;
		for (to = 0; to < n; to++)
			sum += (u64)touched[to] * row[to];
		out[from] = all ? sum / all : s->h->hit;
	}
	s->all_kib[t] = all;
	kib = s->l->shared_kib[s->l->task[t].vm];
	all = all > kib ? all - kib : 0;
	s->own_kib[t] = min_t(u64, all, 0xffffffff);
}

void search_start_from(struct search *s, const u16 *plan)
{
	u32 i;

	memset(s->sum, 0, s->h->nr_sites * sizeof(*s->sum));
	memset(s->looked, 0, s->l->nr_tasks * sizeof(*s->looked));
	s->exchanged = s->grouped = 0;
	memset(s->shared_by, 0, (size_t)s->l->nr_vms * s->h->nr_sites *
	       sizeof(*s->shared_by));
	s->cost = 0;
	for (i = 0; i < s->h->nr_sites; i++)
		s->sum[i].util = s->h->site[i].foreign;
	for (i = 0; i < s->l->nr_tasks; i++)
		put_in(s, i, plan ? plan[i] : s->l->task[i].site);
}

/* What an access of @t takes on average, where it is and as things are. */
u64 search_expected(const struct search *s, u32 t)
{
	u32 site = s->at[t];
	const struct place_site *at = &s->h->site[site];
	u64 m = miss(s->p, at, s->sum[site].kib);

	return ((FINE - m) * s->h->hit + m * latency_of(s, t, site)) / FINE *
	       slowdown(s->p, at, s->sum[site].util) / FINE;
}

/*
 * What the others on its site could save at most by the room in the cache that
 * @t takes: all of it where the cache is just full, and less the more it
 * overflows.
 */
static u64 spoils(const struct search *s, u32 t)
{
	const struct place_task *task = &s->l->task[t];
	const struct place_site *at = &s->h->site[task->site];
	const struct sums *n = &s->sum[task->site];
	u64 kib = s->own_kib[t] + s->l->shared_kib[task->vm] /
		  *shared_by(s, t, task->site);
	u64 all = max_t(u64, n->kib, at->cache_kib);

	if (!all)
		return 0;
	return n->memory * (kib * FINE / all * at->cache_kib / all) / FINE *
	       (slowdown(s->p, at, n->util) / PLACE_ONE) / (FINE / PLACE_ONE);
}

/*
 * Caches to refill, during which the thread makes no progress, and what a move
 * must save: a part of what it can be worth, to the thread or to the others. Not
 * of what the site costs: of many that run there each is a small part of that.
 * The others count twice, because what a cache that is just full makes of noise
 * is all or nothing. A node's caches are thought to be alike.
 */
static void expect_moves(struct search *s, u32 t, u32 ease)
{
	const struct place_task *task = &s->l->task[t];
	u64 kib = (u64)s->own_kib[t] + s->l->shared_kib[task->vm], k, ns, each;
	u64 stay = task->util * search_expected(s, t);
	u64 others = 2 * spoils(s, t);
	u32 site;

	if (stay < others)
		stay = others;
	stay = scaled(stay, task->inertia, PLACE_ONE) / ease;
	for (site = 0; site < s->h->nr_sites; site++) {
		const struct place_site *to = &s->h->site[site];

		each = latency_of(s, t, site);
		k = min_t(u64, kib, to->cache_kib);
		ns = s->p->move_ns + fetch_ns(s->p, k, each);
		s->moved[t * s->h->nr_nodes + to->node] = min_t(u64, stay +
			task->util * each * ns / s->p->horizon_ns, MOVED_MAX);
	}
}

/* What moves cost, from where all are now, and what they must save by @ease. */
void search_weigh_moves(struct search *s, u32 ease)
{
	u32 t;

	search_start_from(s, NULL);
	for (t = 0; t < s->l->nr_tasks; t++)
		expect_moves(s, t, ease);
}

void search_begin(struct search *s, const struct place_host *h,
		  const struct place_load *l, const struct place_params *p,
		  void *workspace)
{
	u32 t;

	*s = (struct search){ .h = h, .l = l, .p = p, .random = p->seed + 1ULL };
	lay_out(s, workspace);
	memset(s->goes, 0, l->nr_tasks * sizeof(*s->goes));
	for (t = 0; t < l->nr_tasks; t++)
		expect_latency(s, t);
	search_weigh_moves(s, 1);
}

/**
 * place_cost - what a placement costs
 * @h: the host.
 * @l: the load.
 * @p: as for place_decide().
 * @workspace: likewise.
 * @plan: the site of each task; NULL: where they are.
 * @moves: if not NULL, set to what it takes to get there, likewise.
 *
 * Return: the sum over all tasks of how busy they are, PLACE_ONE a CPU, times
 * the expected latency of one of their accesses in tenths of ns.
 */
u64 place_cost(const struct place_host *h, const struct place_load *l,
	       const struct place_params *p, void *workspace, const u16 *plan,
	       u64 *moves)
{
	struct search s;
	u64 cost = 0;
	u32 i;

	search_begin(&s, h, l, p, workspace);
	search_start_from(&s, plan);
	for (i = 0; i < h->nr_sites; i++)
		cost += s.sum[i].cost;
	if (moves)
		*moves = s.cost - cost;
	return cost;
}

/**
 * place_expected - what an access takes each task in a placement
 * @h: the host.
 * @l: the load.
 * @p: as for place_decide().
 * @workspace: likewise.
 * @plan: the site of each task; NULL: where they are.
 * @latency: set, for each task, in tenths of ns.
 */
void place_expected(const struct place_host *h, const struct place_load *l,
		    const struct place_params *p, void *workspace,
		    const u16 *plan, u32 *latency)
{
	struct search s;
	u32 t;

	search_begin(&s, h, l, p, workspace);
	search_start_from(&s, plan);
	for (t = 0; t < l->nr_tasks; t++)
		latency[t] = search_expected(&s, t);
}

/**
 * place_explain - the numbers behind a placement
 * @h: the host.
 * @l: the load.
 * @p: as for place_decide().
 * @workspace: likewise.
 * @plan: where all tasks are; NULL: where they are now.
 * @t: one of them.
 * @site: the site to be explained for it, instead of that of the plan.
 * @r: set.
 */
void place_explain(const struct place_host *h, const struct place_load *l,
		   const struct place_params *p, void *workspace,
		   const u16 *plan, u32 t, u16 site, struct place_reason *r)
{
	const struct place_site *at = &h->site[site];
	struct search s;
	u64 before;

	search_begin(&s, h, l, p, workspace);
	search_start_from(&s, plan);
	take_out(&s, t);
	before = s.sum[site].cost;
	put_in(&s, t, site);
	r->memory = latency_of(&s, t, site);
	r->miss = miss(p, at, s.sum[site].kib) / (FINE / PLACE_ONE);
	r->slowdown = slowdown(p, at, s.sum[site].util) / (FINE / PLACE_ONE);
	r->expected = search_expected(&s, t);
	r->others = s.sum[site].cost - before -
		    (u64)l->task[t].util * r->expected;
	r->move = move_cost(&s, t, site);
}
