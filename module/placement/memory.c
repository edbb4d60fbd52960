// SPDX-License-Identifier: GPL-2.0
/*
 * Whose memory would better be moved to where its users are: it lies far from a
 * thread that stays where it is, for want of CPUs or because others keep it there,
 * and copying it costs less than it saves within the horizon.
 *
 * What only one thread uses is its own. What a VM's threads share goes where all
 * of them together are best served.
 */
#include "memory.h"
#include "search.h"

#define SHARE_ONE	65536

/* The tasks, next to each other, that use some memory; all of a VM's or one. */
struct users {
	u32 first;
	u32 end;
	bool shared;	/* what they share, not what each has for itself */
	const u32 *shared_at;	/* KiB by node that are shared in this VM */
	u64 may;		/* nodes that this memory may be moved to */
};

/*
 * How much a ns more for each miss of a task weighs, PLACE_ONE times PLACE_ONE for
 * a CPU that is busy and always misses: 2^30 at most, by the slowdown.
 */
static u64 weight_of(const struct search *s, u32 t)
{
	u32 site = s->at[t];
	const struct place_site *at = &s->h->site[site];
	u64 w = s->l->task[t].util * miss(s->p, at, s->sum[site].kib);

	return w / PLACE_ONE * slowdown(s->p, at, s->sum[site].util) / FINE;
}

/* Of what @t touches of a node, the KiB that @g is about. */
static u32 kib_of(const struct search *s, const struct users *g, u32 t, u32 node)
{
	u32 kib = s->l->touched[t * s->h->nr_nodes + node];
	u32 part = min(kib, g->shared_at[node]);

	return g->shared ? part : kib - part;
}

/* What a step from @from to @to saves @t on each miss, tenths of ns; may be < 0. */
static s64 nearer(const struct search *s, u32 t, u32 from, u32 to)
{
	const u32 *row = &s->h->latency[s->h->site[s->at[t]].node *
					s->h->nr_nodes];

	return (s64)row[from] - row[to];
}

/* What moving all that @g has on @from to @to saves, as place_cost(). */
static s64 saved(const struct search *s, const struct users *g, u32 from, u32 to,
		 u32 *kib)
{
	s64 sum = 0;
	u64 share;
	u32 t, part;

	*kib = 0;
	for (t = g->first; t < g->end; t++) {
		part = kib_of(s, g, t, from);
		if (!part)
			continue;
		*kib = max_t(u32, *kib, part);
		share = (u64)part * SHARE_ONE / s->all_kib[t];
		sum += (s64)(weight_of(s, t) * share) * nearer(s, t, from, to) /
		       SHARE_ONE / PLACE_ONE;
	}
	return sum;
}

/*
 * One CPU copies, four lines at a time or so, and does nothing else meanwhile. All
 * the KiB that a u32 can hold take less than 2^49 ns, and times PLACE_ONE that is 2^59;
 * neither what the horizon leaves of it nor the horizon times a latency overflows.
 */
static u64 copy_cost(const struct search *s, u32 from, u32 to, u32 kib)
{
	u64 far = s->h->latency[to * s->h->nr_nodes + from];

	return scaled(fetch_ns(s->p, kib, far) * PLACE_ONE, far,
		      s->p->horizon_ns);
}

/* All that is worth it, to one node, as far as there is room. */
static struct place_memory gather(const struct search *s, const struct users *g,
				  u32 to, u32 room)
{
	struct place_memory m = { .to = to };
	u32 from, kib;
	s64 saves;
	u64 copy;

	for (from = 0; from < s->h->nr_nodes && room; from++) {
		if (from == to)
			continue;
		saves = saved(s, g, from, to, &kib);
		if (kib > room) {
			saves = saves / kib * room;
			kib = room;
		}
		copy = copy_cost(s, from, to, kib);
		if (!kib || saves <= (s64)copy)
			continue;
		m.from |= 1ULL << from;
		m.kib += kib;
		m.saves += saves;
		m.copy += copy;
		room -= kib;
	}
	return m;
}

/* What the users cost where they are, and the part that a move must save. */
static s64 least_saving(const struct search *s, const struct users *g)
{
	s64 least = 0;
	u32 t;

	for (t = g->first; t < g->end; t++)
		least += (u64)s->l->task[t].util * search_expected(s, t) *
			 s->l->task[t].inertia / PLACE_ONE;
	return least;
}

/* Those that are about to go elsewhere are not waited for. */
static bool all_stay(const struct search *s, const struct users *g)
{
	u32 t;

	for (t = g->first; t < g->end; t++)
		if (s->at[t] != s->l->task[t].site)
			return false;
	return true;
}

static void consider(const struct search *s, const struct users *g, u32 *room,
		     struct place_memory *best)
{
	struct place_memory m;
	u32 to, home = s->h->site[s->at[g->first]].node;

	*best = (struct place_memory){ .to = home };
	if (!all_stay(s, g))
		return;
	for (to = 0; to < s->h->nr_nodes; to++) {
		if (!(g->may >> to & 1))
			continue;
		m = gather(s, g, to, room[to]);
		if (m.saves - m.copy > best->saves - best->copy ||
		    (to == home && m.saves - m.copy == best->saves - best->copy))
			*best = m;
	}
	if (best->saves < best->copy + least_saving(s, g))
		*best = (struct place_memory){ .to = home };
	room[best->to] -= best->kib;
}

/**
 * place_memory - memory that would better be where it is used
 * @h: the host.
 * @l: the load; both have passed place_check().
 * @p: how.
 * @workspace: place_workspace_size() bytes.
 * @plan: the site of each task; NULL: where they are. Who is to go elsewhere is
 *	waited for.
 * @r: where memory may be moved, and what of it is shared.
 * @own: set, for each task: memory of its own.
 * @shared: set, for each VM: memory that its tasks share.
 *
 * Context: takes no locks; time grows with tasks times nodes squared.
 */
void place_memory(const struct place_host *h, const struct place_load *l,
		  const struct place_params *p, void *workspace, const u16 *plan,
		  const struct place_remote *r, struct place_memory *own,
		  struct place_memory *shared)
{
	struct users vm = { .shared = true, .may = ~0ULL };
	u32 left[PLACE_NODES_MAX], t;
	struct search s;

	memcpy(left, r->room, h->nr_nodes * sizeof(*left));
	search_begin(&s, h, l, p, workspace);
	search_start_from(&s, plan);
	memset(shared, 0, l->nr_vms * sizeof(*shared));
	for (t = 0; t < l->nr_tasks; t++) {
		u32 of = l->task[t].vm;
		struct users one = {
			.first = t, .end = t + 1,
			.shared_at = &r->shared_at[of * h->nr_nodes],
			.may = r->may[t],
		};

		consider(&s, &one, left, &own[t]);
		vm.end = t + 1;
		vm.may &= r->may[t];
		if (vm.end < l->nr_tasks && l->task[vm.end].vm == of)
			continue;
		vm.shared_at = one.shared_at;
		consider(&s, &vm, left, &shared[of]);
		vm.first = vm.end;
		vm.may = ~0ULL;
		relax();
	}
}
