// SPDX-License-Identifier: GPL-2.0
#include <stdlib.h>
#include <string.h>

#include "sim.h"

/**
 * sim_init - a host with nothing on it
 * @s: filled in; to be freed with sim_free().
 * @host: what it points to must last.
 * @tasks: how many threads there will be; all are idle, on site 0, allowed
 *	everywhere and of VM 0.
 * @vms: how many VMs.
 *
 * Return: 0, or -1 without memory.
 */
int sim_init(struct sim *s, const struct place_host *host, u32 tasks, u32 vms)
{
	size_t cells = (size_t)tasks * host->nr_nodes;

	*s = (struct sim){
		.host = *host,
		.params = place_defaults,
		.track_params = track_defaults,
		.period_ns = 1000000000,
		.random = 88172645463325252ULL,
		.tasks = calloc(tasks + 1, sizeof(*s->tasks)),
		.touched = calloc(cells + 1, sizeof(*s->touched)),
		.shared_kib = calloc(vms + 1, sizeof(*s->shared_kib)),
		.track = calloc(tasks + 1, sizeof(*s->track)),
		.average = calloc(cells + 1, sizeof(*s->average)),
		.news = calloc(cells + 1, sizeof(*s->news)),
		.seen = calloc(tasks + 1, sizeof(*s->seen)),
		.glance = calloc(host->nr_nodes, sizeof(*s->glance)),
		.plan = calloc(tasks + 1, sizeof(*s->plan)),
		.expected = calloc(tasks + 1, sizeof(*s->expected)),
	};
	s->load = (struct place_load){ tasks, vms, s->tasks, s->touched,
				       s->shared_kib };
	s->workspace = malloc(place_workspace_size(&s->host, &s->load));
	if (!s->tasks || !s->touched || !s->shared_kib || !s->track ||
	    !s->average || !s->news || !s->seen || !s->glance || !s->plan ||
	    !s->expected || !s->workspace) {
		sim_free(s);
		return -1;
	}
	for (u32 t = 0; t < tasks; t++)
		memset(s->tasks[t].allowed, 0xff, sizeof(s->tasks[t].allowed));
	return 0;
}

void sim_free(struct sim *s)
{
	free(s->tasks);
	free(s->touched);
	free(s->shared_kib);
	free(s->track);
	free(s->average);
	free(s->news);
	free(s->seen);
	free(s->glance);
	free(s->plan);
	free(s->expected);
	free(s->workspace);
	*s = (struct sim){ 0 };
}

/* xorshift64: Marsaglia, Journal of Statistical Software 8(14), 2003. */
u32 sim_random(u64 *state, u32 below)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (*state >> 16) % below;
}

/* @n give or take the noise. */
static u32 noisy(struct sim *s, u32 n)
{
	u64 part = PLACE_ONE;

	if (s->noise)
		part += sim_random(&s->random, 2 * s->noise + 1) - (s64)s->noise;
	return n * part / PLACE_ONE;
}

/* Weighted by how busy the threads are, in ns. */
double sim_latency_at(struct sim *s, const u16 *plan)
{
	u64 busy = 0, cost = place_cost(&s->host, &s->load, &s->params,
					s->workspace, plan, NULL);

	for (u32 t = 0; t < s->load.nr_tasks; t++)
		busy += s->tasks[t].util;
	return busy ? cost / 10.0 / busy : 0;
}

double sim_latency(struct sim *s)
{
	return sim_latency_at(s, NULL);
}

/* Look at all threads, with noise. */
static void observe(struct sim *s)
{
	u32 nodes = s->host.nr_nodes, util;

	for (u32 t = 0; t < s->load.nr_tasks; t++) {
		util = noisy(s, s->tasks[t].util);
		for (u32 n = 0; n < nodes; n++)
			s->glance[n] = noisy(s, s->touched[t * nodes + n]);
		track_observe(&s->track[t], &s->average[t * nodes],
			      &s->news[t * nodes], &s->track_params,
			      util < PLACE_ONE ? util : PLACE_ONE, s->glance,
			      nodes, 0);
	}
}

/*
 * Decide by what was seen, and do it. Return: what the moves cost, in ns by
 * which each access of the period took longer.
 */
static double decide(struct sim *s)
{
	struct place_load seen = s->load;
	struct place_params p = s->params;
	u64 busy = 0, moves;
	u32 settled = ~0U, t;

	p.seed = s->params.seed++;
	for (t = 0; t < s->load.nr_tasks; t++)
		if (s->track[t].settled < settled)
			settled = s->track[t].settled;
	for (t = 0; t < s->load.nr_tasks; t++) {
		s->seen[t] = s->tasks[t];
		track_task(&s->track[t], &s->track_params, settled, &s->seen[t]);
	}
	p.effort = track_effort(settled, p.effort);
	seen.task = s->seen;
	seen.touched = s->average;
	place_decide(&s->host, &seen, &p, s->workspace, s->plan);
	/* All that a move costs it costs in this period. */
	p.horizon_ns = s->period_ns;
	place_cost(&s->host, &s->load, &p, s->workspace, s->plan, &moves);
	s->moves = 0;
	for (t = 0; t < s->load.nr_tasks; t++) {
		busy += s->tasks[t].util;
		if (s->plan[t] == s->tasks[t].site)
			continue;
		s->tasks[t].site = s->plan[t];
		track_moved(&s->track[t], &s->track_params);
		s->moves++;
	}
	return busy ? moves / 10.0 / busy : 0;
}

/* A period of placement. Return: what its moves cost, in ns as above. */
double sim_period(struct sim *s)
{
	observe(s);
	return decide(s);
}

/* The best fixed placement for the load as it is now. */
void sim_best(struct sim *s, u16 *plan)
{
	struct place_params p = s->params;

	p.horizon_ns = ~0ULL;
	p.effort = 100;
	place_decide(&s->host, &s->load, &p, s->workspace, plan);
}
