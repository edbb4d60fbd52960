// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that should follow its threads: when, where to, and whether it saves
 * what was promised.
 *
 *	remote [HOSTS]
 */
#include <stdlib.h>
#include <string.h>

#include "kselftest.h"
#include "memory.h"
#include "random_host.h"

#define MIB	1024		/* KiB */
#define ROUNDS	8

static int hosts = 1000;

static const struct place_site sites[] = {
	{ .node = 0, .cores = 4, .cpus = 4, .cache_kib = 1024 },
	{ .node = 1, .cores = 4, .cpus = 4, .cache_kib = 1024 },
};

static const u32 far[] = { 800, 1600, 1600, 800 };
static const u32 hardly[] = { 800, 810, 810, 800 };

/* Three busy vCPUs of a VM, the first two on node 0 and the third on node 1. */
struct small {
	const u32 *latency;
	u32 util;
	u32 kib[3][2];
	u32 shared_kib;		/* of each, on node 1 */
	u32 room[2];
	u64 may;
	bool leaves;		/* the first is about to go to node 1 */
};

struct answer {
	struct place_memory own[3];
	struct place_memory shared;
};

static struct answer ask(const struct small *c)
{
	const struct place_host host = { 2, 2, c->latency, 120, sites };
	u16 plan[] = { c->leaves, 0, 1 };
	const u32 shared_at[] = { 0, c->shared_kib };
	const u64 may[] = { c->may, c->may, c->may };
	const struct place_remote remote = { shared_at, c->room, may };
	struct answer a;
	struct sim s;

	if (sim_init(&s, &host, 3, 1))
		ksft_exit_fail_msg("out of memory\n");
	for (u32 t = 0; t < 3; t++) {
		s.tasks[t].util = c->util;
		s.tasks[t].inertia = 31;
		s.tasks[t].site = t == 2;
		memcpy(&s.touched[t * 2], c->kib[t], sizeof(c->kib[t]));
	}
	s.shared_kib[0] = c->shared_kib;
	place_memory(&s.host, &s.load, &s.params, s.workspace, plan, &remote,
		     a.own, &a.shared);
	sim_free(&s);
	return a;
}

static bool nothing(const struct answer *a)
{
	for (int t = 0; t < 3; t++)
		if (a->own[t].from)
			return false;
	return !a->shared.from;
}

static void cases(void)
{
	const struct small usual = {
		.latency = far, .util = PLACE_ONE,
		.kib = { { 0, 100 * MIB }, { 100 * MIB, 0 }, { 0, 100 * MIB } },
		.room = { 200 * MIB, 200 * MIB }, .may = 3,
	};
	struct small c = usual;
	struct answer a = ask(&c);

	ksft_test_result(a.own[0].from == 2 && a.own[0].to == 0 &&
			 a.own[0].kib == 100 * MIB && !a.own[1].from &&
			 !a.own[2].from && a.own[0].saves > a.own[0].copy,
			 "far memory is to come near, and no other\n");
	c.leaves = true;
	a = ask(&c);
	ksft_test_result(nothing(&a), "nothing is brought to who leaves\n");
	c = usual;
	c.util = 5;
	a = ask(&c);
	ksft_test_result(nothing(&a), "nothing is brought to who is idle\n");
	c = usual;
	c.latency = hardly;
	a = ask(&c);
	ksft_test_result(nothing(&a), "nothing is moved for a little\n");
	c = usual;
	c.util = 100;
	c.kib[0][1] = 100 * 1024 * MIB;
	c.room[0] = c.kib[0][1];
	a = ask(&c);
	ksft_test_result(nothing(&a), "nor what takes longer to copy than it saves\n");
	c = usual;
	c.may = 2;
	a = ask(&c);
	ksft_test_result(nothing(&a), "nothing is moved to where it may not be\n");
	c = usual;
	c.room[0] = 0;
	a = ask(&c);
	ksft_test_result(nothing(&a), "nothing is moved to a full node\n");
	c.room[0] = 40 * MIB;
	a = ask(&c);
	ksft_test_result(a.own[0].kib == 40 * MIB, "as much is as there is room\n");
	c = usual;
	for (u32 t = 0; t < 3; t++) {
		c.kib[t][0] = 0;
		c.kib[t][1] = 100 * MIB;
	}
	c.shared_kib = 100 * MIB;
	a = ask(&c);
	ksft_test_result(a.shared.from == 2 && a.shared.to == 0 &&
			 !a.own[0].from,
			 "what all share goes to where most of them are\n");
}

static u32 shared_at[16 * PLACE_NODES_MAX];

/* What a VM shares lies on its second node, and all of its tasks touch it. */
static void share(struct sim *s)
{
	u32 nodes = s->host.nr_nodes;

	memset(shared_at, 0, sizeof(shared_at));
	for (u32 v = 0; v < s->load.nr_vms; v++)
		shared_at[v * nodes + v % nodes] = s->shared_kib[v];
	for (u32 t = 0; t < s->load.nr_tasks; t++)
		s->touched[t * nodes + s->tasks[t].vm % nodes] +=
			s->shared_kib[s->tasks[t].vm];
}

static void follow(u32 *kib, u32 nodes, const struct place_memory *m)
{
	for (u32 n = 0; n < nodes; n++) {
		if (!(m->from >> n & 1))
			continue;
		kib[m->to] += kib[n];
		kib[n] = 0;
	}
}

static void apply(struct sim *s, const struct place_memory *own,
		  const struct place_memory *shared)
{
	u32 nodes = s->host.nr_nodes, n, t;

	for (t = 0; t < s->load.nr_tasks; t++) {
		u32 *touched = &s->touched[t * nodes];

		for (n = 0; n < nodes; n++)
			touched[n] -= shared_at[s->tasks[t].vm * nodes + n];
		follow(touched, nodes, &own[t]);
	}
	for (u32 v = 0; v < s->load.nr_vms; v++)
		follow(&shared_at[v * nodes], nodes, &shared[v]);
	for (t = 0; t < s->load.nr_tasks; t++)
		for (n = 0; n < nodes; n++)
			s->touched[t * nodes + n] +=
				shared_at[s->tasks[t].vm * nodes + n];
}

struct sums {
	u64 promised;
	u64 saved;
	u32 over_room;
	u32 restless;
	u32 any;
};

static void one_host(struct random_host *r, struct sums *sums)
{
	struct random_shape shape = {
		2 + random_below(r, 6), 1 + random_below(r, 3), 8, 2, 60, 15, 100,
	};
	struct place_memory own[60], shared[16];
	u32 room[PLACE_NODES_MAX], round;
	u64 may[60];
	const struct place_remote remote = { shared_at, room, may };
	u64 before, after, used;
	struct sim s;

	random_host(r, &shape);
	if (random_load(r, &shape, &s))
		ksft_exit_fail_msg("out of memory\n");
	share(&s);
	for (u32 t = 0; t < shape.tasks; t++)
		may[t] = random_below(r, 8) ? ~0ULL :
			 1ULL << random_below(r, 8);
	for (u32 n = 0; n < shape.nodes; n++)
		room[n] = 1 << (10 + random_below(r, 6));
	place_memory(&s.host, &s.load, &s.params, s.workspace, NULL,
		     &remote, own, shared);
	for (u32 n = 0; n < shape.nodes; n++) {
		used = 0;
		for (u32 t = 0; t < shape.tasks; t++)
			used += own[t].to == n ? own[t].kib : 0;
		for (u32 v = 0; v < shape.vms; v++)
			used += shared[v].to == n ? shared[v].kib : 0;
		sums->over_room += used > room[n];
		room[n] = 1 << 30;
	}
	for (round = 0; round < ROUNDS; round++) {
		u64 promised = 0;

		place_memory(&s.host, &s.load, &s.params, s.workspace, NULL,
			     &remote, own, shared);
		for (u32 t = 0; t < shape.tasks; t++)
			promised += own[t].saves;
		for (u32 v = 0; v < shape.vms; v++)
			promised += shared[v].saves;
		if (!promised)
			break;
		sums->any++;
		before = place_cost(&s.host, &s.load, &s.params, s.workspace,
				    NULL, false);
		apply(&s, own, shared);
		after = place_cost(&s.host, &s.load, &s.params, s.workspace,
				   NULL, false);
		sums->promised += promised;
		sums->saved += before > after ? before - after : 0;
	}
	sums->restless += round == ROUNDS;
	sim_free(&s);
}

static void random_hosts(void)
{
	struct random_host r = { .random = 362436069ULL };
	struct sums sums = { 0 };
	double part;

	for (int i = 0; i < hosts; i++)
		one_host(&r, &sums);
	part = sums.promised ? (double)sums.saved / sums.promised : 0;
	ksft_test_result(sums.any && part > 0.98 && part < 1.02,
			 "what is saved is %.4f of what was promised\n", part);
	ksft_test_result(!sums.over_room, "no node is given more than it has room\n");
	ksft_test_result(!sums.restless, "what was moved stays\n");
}

int main(int argc, char **argv)
{
	if (argc > 1)
		hosts = atoi(argv[1]);
	ksft_print_header();
	ksft_set_plan(9 + 3);
	cases();
	random_hosts();
	ksft_finished();
}
