// SPDX-License-Identifier: GPL-2.0
/*
 * The search for a placement of low cost goes downhill by three kinds of step: one
 * task moves, two tasks of different sites change places, what a VM has on a site
 * moves as a whole. When none helps, a few tasks are taken out and put back one by
 * one, or a VM is put elsewhere, and the search goes on from there if that was
 * better.
 */
#include "search.h"

#define EASE		16	/* by so much less, moves are easy */
#define PASSES_MAX	64

/*
 * Steps that are judged in a decision, so that its time grows with the threads
 * and not with how far from good they are: what is left undone the next period
 * does. A small host takes little time whatever is tried, and gets more.
 */
#define BUDGET_CELL	10	/* for each thread and site */
#define BUDGET_SMALL	1500000
#define CELLS_SMALL	2048

/* Steps that gain less than this cost more time than they are worth. */
static s64 least_gain(const struct search *s)
{
	return s->cost >> 16;
}

/*
 * The best site for @t, other than where it is, of those that have changed after
 * step @since; NOWHERE if there is none.
 */
static u32 best_site(struct search *s, u32 t, u32 since, s64 *cost)
{
	u32 site, found = NOWHERE;
	s64 c;

	s->budget -= s->h->nr_sites;
	for (site = 0; site < s->h->nr_sites; site++) {
		if (site == s->at[t] || s->sum[site].since < since ||
		    !place_allowed(&s->l->task[t], site))
			continue;
		c = changed(s, t, site, 1) + move_cost(s, t, site);
		if (found == NOWHERE || c < *cost) {
			*cost = c;
			found = site;
		}
	}
	return found;
}

static bool try_move(struct search *s, u32 t)
{
	u32 from = s->at[t], to, since = s->looked[t];
	s64 gain = -changed(s, t, from, -1) + move_cost(s, t, from), cost;

	/* What has not changed was no better then, and is not now. */
	to = best_site(s, t, s->sum[from].since < since ? since : 0, &cost);
	s->looked[t] = s->step + 1;
	if (to == NOWHERE || cost + least_gain(s) >= gain)
		return false;
	move(s, t, to);
	return true;
}

static bool moves(struct search *s)
{
	bool any = false;
	u32 t;

	for (t = 0; t < s->l->nr_tasks && s->budget > 0; t++) {
		any |= try_move(s, t);
		if (!(t % 64))
			relax();
	}
	return any;
}

static struct peer *peers(const struct search *s, u32 from, u32 to)
{
	return &s->peers[(from * s->h->nr_sites + to) * PEERS];
}

/* For each pair of sites those that would gain most if all else were equal. */
static void find_peers(struct search *s)
{
	const struct place_task *task;
	u32 t, to, i, pairs = s->h->nr_sites * s->h->nr_sites * PEERS;
	struct peer *p;
	s64 gain;

	for (i = 0; i < pairs; i++)
		s->peers[i].task = NOWHERE;
	for (t = 0; t < s->l->nr_tasks; t++) {
		task = &s->l->task[t];
		for (to = 0; to < s->h->nr_sites; to++) {
			if (to == s->at[t] || !place_allowed(task, to))
				continue;
			gain = (s64)task->util *
			       ((s64)latency_of(s, t, s->at[t]) -
				latency_of(s, t, to)) +
			       (s64)move_cost(s, t, s->at[t]) -
			       (s64)move_cost(s, t, to);
			p = peers(s, s->at[t], to);
			if (p[PEERS - 1].task != NOWHERE &&
			    p[PEERS - 1].gain >= gain)
				continue;
			for (i = PEERS - 1; i > 0 && (p[i - 1].task == NOWHERE ||
						      p[i - 1].gain < gain); i--)
				p[i] = p[i - 1];
			p[i] = (struct peer){ gain, t };
		}
	}
}

static bool try_exchange(struct search *s, u32 a, u32 b)
{
	u32 from = s->at[a], to = s->at[b];
	u32 since[2] = { s->sum[from].since, s->sum[to].since };
	u64 before = s->cost;

	s->budget -= 4;
	take_out(s, a);
	take_out(s, b);
	put_in(s, a, to);
	put_in(s, b, from);
	if (s->cost + least_gain(s) < before)
		return true;
	move(s, a, from);
	move(s, b, to);
	s->sum[from].since = since[0];
	s->sum[to].since = since[1];
	return false;
}

static bool exchange_between(struct search *s, u32 x, u32 y)
{
	struct peer *there = peers(s, x, y), *back = peers(s, y, x);
	bool any = false;
	u32 i, k;

	for (i = 0; i < PEERS && there[i].task != NOWHERE; i++) {
		for (k = 0; k < PEERS && back[k].task != NOWHERE; k++) {
			u32 a = there[i].task, b = back[k].task;

			/* Who has gone since the lists were made. */
			if (s->at[a] != x || s->at[b] != y)
				continue;
			any |= try_exchange(s, a, b);
		}
	}
	return any;
}

static bool changed_since(const struct search *s, u32 x, u32 y, u32 step)
{
	return s->sum[x].since >= step || s->sum[y].since >= step;
}

static bool exchanges(struct search *s)
{
	bool any = false;
	u32 x, y, since;

	if (s->budget <= 0)
		return false;
	s->budget -= s->l->nr_tasks * s->h->nr_sites / 4;
	find_peers(s);
	since = s->exchanged;
	s->exchanged = s->step + 1;
	for (x = 0; x < s->h->nr_sites && s->budget > 0; x++) {
		for (y = 0; y < x; y++)
			any |= changed_since(s, x, y, since) &&
			       exchange_between(s, x, y);
		relax();
	}
	return any;
}

/*
 * Of the tasks from @first to @end those on @from go to @to, if that is better.
 * What they share lies in one cache only as long as they are together.
 */
static bool try_group(struct search *s, u32 first, u32 end, u32 from, u32 to)
{
	u32 since[2] = { s->sum[from].since, s->sum[to].since }, t;
	u64 before = s->cost;
	bool better;

	for (t = first; t < end; t++)
		if (s->at[t] == from && !place_allowed(&s->l->task[t], to))
			return false;
	s->budget -= 2 * (end - first);
	for (t = first; t < end; t++) {
		s->goes[t] = s->at[t] == from;
		if (s->goes[t])
			move(s, t, to);
	}
	better = s->cost + least_gain(s) < before;
	for (t = first; t < end; t++) {
		if (s->goes[t] && !better)
			move(s, t, from);
		s->goes[t] = 0;
	}
	if (!better) {
		s->sum[from].since = since[0];
		s->sum[to].since = since[1];
	}
	return better;
}

static bool vm_groups(struct search *s, u32 first, u32 end, u32 since)
{
	const u16 *on = shared_by(s, first, 0);
	bool any = false;
	u32 from, to;

	for (from = 0; from < s->h->nr_sites; from++)
		for (to = 0; to < s->h->nr_sites && on[from] > 1; to++)
			any |= to != from && changed_since(s, from, to, since) &&
			       try_group(s, first, end, from, to);
	return any;
}

static bool groups(struct search *s)
{
	const struct place_task *task = s->l->task;
	u32 first, end, nr = s->l->nr_tasks, since = s->grouped;
	bool any = false;

	s->grouped = s->step + 1;
	for (first = 0; first < nr && s->budget > 0; first = end) {
		for (end = first; end < nr && task[end].vm == task[first].vm;)
			end++;
		any |= vm_groups(s, first, end, since);
		relax();
	}
	return any;
}

static void downhill(struct search *s)
{
	int pass;

	for (pass = 0; pass < PASSES_MAX; pass++)
		if (!moves(s) && !exchanges(s) && !groups(s))
			break;
}

/* So many that all of them take about as long on any host. */
static u32 rounds_for(const struct search *s)
{
	return s->p->effort * 2048 / (s->l->nr_tasks * s->h->nr_sites + 64);
}

/* After single moves only: is the rest worth the time? */
static bool promising(struct search *s, u64 best)
{
	int pass;

	for (pass = 0; pass < PASSES_MAX && moves(s); pass++)
		;
	return s->cost < best + best / 64;
}

static u32 random_below(struct search *s, u32 n)
{
	/* xorshift64*: Vigna, ACM TOMS 42(4), 2016. */
	s->random ^= s->random >> 12;
	s->random ^= s->random << 25;
	s->random ^= s->random >> 27;
	return ((s->random * 0x2545f4914f6cdd1dULL) >> 32) * n >> 32;
}

/* Take some out, neighbours or not, and put them back where each is best. */
static void shake_tasks(struct search *s, bool neighbours)
{
	u32 out[8], nr = 2 + random_below(s, 7), i, t;
	s64 cost;

	if (nr > s->l->nr_tasks)
		nr = s->l->nr_tasks;
	t = random_below(s, s->l->nr_tasks);
	for (i = 0; i < nr; i++) {
		if (!neighbours)
			t = random_below(s, s->l->nr_tasks);
		while (s->at[t] == NOWHERE)
			t = t + 1 < s->l->nr_tasks ? t + 1 : 0;
		take_out(s, t);
		out[i] = t;
	}
	for (i = 0; i < nr; i++)
		put_in(s, out[i], best_site(s, out[i], 0, &cost));
}

/*
 * Put a whole VM somewhere, and let those who are there find another place. So
 * those that spoil any cache come to spoil the same one.
 */
static void shake_vm(struct search *s)
{
	const struct place_task *task = s->l->task;
	u32 t = random_below(s, s->l->nr_tasks), vm = task[t].vm;
	u32 site = random_below(s, s->h->nr_sites);

	while (t && task[t - 1].vm == vm)
		t--;
	for (; t < s->l->nr_tasks && task[t].vm == vm; t++)
		if (s->at[t] != site && place_allowed(&task[t], site))
			move(s, t, site);
}

static void shake(struct search *s)
{
	u32 kind = random_below(s, 4);

	if (kind < 2)
		shake_tasks(s, kind);
	else
		shake_vm(s);
}

/* Those that are where they may not be any more. */
static void bring_home(struct search *s)
{
	s64 cost;
	u32 t;

	for (t = 0; t < s->l->nr_tasks; t++) {
		if (place_allowed(&s->l->task[t], s->at[t]))
			continue;
		take_out(s, t);
		put_in(s, t, best_site(s, t, 0, &cost));
	}
}

static void give_budget(struct search *s)
{
	s64 cells = (s64)s->l->nr_tasks * s->h->nr_sites;

	s->budget = (cells * BUDGET_CELL +
		     BUDGET_SMALL / (1 + cells / CELLS_SMALL)) / 3;
}

/* Downhill from where we are, and again from near there: to s->best. */
static u64 search(struct search *s)
{
	size_t bytes = s->l->nr_tasks * sizeof(*s->best);
	u32 i, rounds = s->l->nr_tasks > 1 ? rounds_for(s) : 0;
	u64 best;

	give_budget(s);
	downhill(s);
	best = s->cost;
	memcpy(s->best, s->at, bytes);
	for (i = 0; i < rounds && s->budget > 0; i++) {
		shake(s);
		if (promising(s, best))
			downhill(s);
		if (s->cost + least_gain(s) < best) {
			best = s->cost;
			memcpy(s->best, s->at, bytes);
		} else {
			search_start_from(s, s->best);
		}
	}
	return best;
}

/**
 * place_decide - the best placement that can be found
 * @h: the host.
 * @l: the load.
 * @p: how; all three have passed place_check().
 * @workspace: place_workspace_size() bytes, aligned to 8.
 * @plan: set to the site of each task.
 *
 * The same numbers give the same plan. Time grows with tasks times sites.
 * Context: may sleep; takes no locks.
 *
 * Return: the cost of the plan and of its moves, as place_cost() counts them.
 */
u64 place_decide(const struct place_host *h, const struct place_load *l,
		 const struct place_params *p, void *workspace, u16 *plan)
{
	struct search s;
	u64 best;

	search_begin(&s, h, l, p, workspace);
	bring_home(&s);
	best = search(&s);
	memcpy(plan, s.best, l->nr_tasks * sizeof(*plan));
	/*
	 * Where each step must save much, one that is only on the way to
	 * something better is not taken. So once more with easy moves, and then
	 * back those that were not worth it.
	 */
	search_weigh_moves(&s, EASE);
	bring_home(&s);
	search(&s);
	search_weigh_moves(&s, 1);
	search_start_from(&s, s.best);
	give_budget(&s);
	downhill(&s);
	if (s.cost + least_gain(&s) < best) {
		best = s.cost;
		memcpy(plan, s.at, l->nr_tasks * sizeof(*plan));
	}
	return best;
}
