// SPDX-License-Identifier: GPL-2.0
/*
 * The decision of placement against exhaustive search, against its own sums,
 * and against input that cannot be.
 *
 *	optimum [HOSTS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kselftest.h"
#include "random_host.h"

#define TASKS_MAX 8

static int hosts = 10000;

/* What @plan costs, with the moves that it takes. */
static u64 whole_cost(struct sim *s, const u16 *plan)
{
	u64 moves, cost = place_cost(&s->host, &s->load, &s->params,
				     s->workspace, plan, &moves);

	return cost + moves;
}

/* The least cost of all placements, by trying each. */
static u64 exhaustive(struct sim *s)
{
	u32 n = s->load.nr_tasks, sites = s->host.nr_sites, t;
	u16 plan[TASKS_MAX] = { 0 };
	u64 best = ~0ULL, cost;
	bool fits;

	do {
		fits = true;
		for (t = 0; t < n; t++)
			fits &= place_allowed(&s->tasks[t], plan[t]);
		if (fits) {
			cost = whole_cost(s, plan);
			best = cost < best ? cost : best;
		}
		for (t = 0; t < n && ++plan[t] == sites; t++)
			plan[t] = 0;
	} while (t < n);
	return best;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static struct random_shape small_shape(struct random_host *r)
{
	struct random_shape shape = {
		.nodes = 2 + random_below(r, 3),
		.sites_per_node = 1,
		.cores = 1 + random_below(r, 3),
		.threads = 1 + random_below(r, 2),
		.busy = 100,
	};

	/* So many that trying each stays quick. */
	shape.tasks = 3 + random_below(r, shape.nodes > 3 ? 3 : 5);
	shape.vms = 1 + random_below(r, shape.tasks);
	return shape;
}

static void small_hosts(void)
{
	struct random_host r = { .random = 88172645463325252ULL };
	double *excess = calloc(hosts, sizeof(*excess)), mean = 0;
	int wrong_cost = 0, not_allowed = 0, differs = 0, below = 0;
	u16 plan[TASKS_MAX], again[TASKS_MAX];

	for (int i = 0; i < hosts; i++) {
		struct random_shape shape = small_shape(&r);
		struct sim s;
		u64 cost, best;

		random_host(&r, &shape);
		if (random_load(&r, &shape, &s))
			ksft_exit_fail_msg("out of memory\n");
		for (u32 t = 0; t < shape.tasks; t++)
			s.tasks[t].inertia = 51;
		cost = place_decide(&s.host, &s.load, &s.params, s.workspace,
				    plan);
		place_decide(&s.host, &s.load, &s.params, s.workspace, again);
		differs += memcmp(plan, again, shape.tasks * sizeof(*plan)) != 0;
		wrong_cost += cost != whole_cost(&s, plan);
		for (u32 t = 0; t < shape.tasks; t++)
			not_allowed += !place_allowed(&s.tasks[t], plan[t]);
		best = exhaustive(&s);
		below += cost < best;
		excess[i] = best ? (double)cost / best - 1 : 0;
		mean += excess[i] / hosts;
		sim_free(&s);
	}
	qsort(excess, hosts, sizeof(*excess), by_value);
	ksft_print_msg("%d hosts: mean %.4f %% above the optimum, p99 %.4f %%, most %.2f %%\n",
		       hosts, mean * 100, excess[hosts * 99 / 100] * 100,
		       excess[hosts - 1] * 100);
	ksft_test_result(mean <= 0.01 && !below,
			 "on average within 1 %% of the optimum, never below it\n");
	ksft_test_result(excess[hosts * 99 / 100] <= 0.05,
			 "99 of 100 within 5 %% of it\n");
	ksft_test_result(!wrong_cost, "the sums of the search are exact\n");
	ksft_test_result(!not_allowed, "no task goes where it may not\n");
	ksft_test_result(!differs, "the same numbers give the same plan\n");
	free(excess);
}

/* What place_explain() says of two sites makes the difference in cost. */
static void explained(void)
{
	struct random_host r = { .random = 5 };
	const struct random_shape shape = { 4, 2, 4, 2, 60, 9, 70 };
	struct place_reason a, b;
	int wrong = 0, looked = 0;
	struct sim s;
	u16 plan[60];

	random_host(&r, &shape);
	if (random_load(&r, &shape, &s))
		ksft_exit_fail_msg("out of memory\n");
	place_decide(&s.host, &s.load, &s.params, s.workspace, plan);
	for (u32 t = 0; t < shape.tasks; t++) {
		u16 home = plan[t], other = (home + 1 + t % 7) % 8;
		s64 told, is;

		place_explain(&s.host, &s.load, &s.params, s.workspace, plan, t,
			      home, &a);
		place_explain(&s.host, &s.load, &s.params, s.workspace, plan, t,
			      other, &b);
		is = -whole_cost(&s, plan);
		plan[t] = other;
		is += whole_cost(&s, plan);
		plan[t] = home;
		told = (s64)s.tasks[t].util * ((s64)b.expected - a.expected) +
		       b.others - a.others + b.move - a.move;
		wrong += is != told;
		looked++;
	}
	ksft_test_result(looked && !wrong,
			 "the reasons given add up to the difference in cost\n");
	sim_free(&s);
}

/*
 * Two nodes, two VMs of two threads, each thread's memory on another node. One
 * VM's working set fits a cache, both do not.
 */
static void together(void)
{
	static const struct place_site sites[] = {
		{ .node = 0, .cores = 4, .cpus = 4, .cache_kib = 8192 },
		{ .node = 1, .cores = 4, .cpus = 4, .cache_kib = 8192 },
	};
	static const u32 latency[] = { 800, 1600, 1600, 800 };
	const struct place_host host = { 2, 2, latency, 120, sites };
	struct sim s;

	if (sim_init(&s, &host, 4, 2))
		ksft_exit_fail_msg("out of memory\n");
	for (u32 t = 0; t < 4; t++) {
		s.tasks[t].vm = t / 2;
		s.tasks[t].util = PLACE_ONE;
		s.tasks[t].site = t % 2;
		s.touched[t * 2 + t % 2] = 6144;
	}
	s.shared_kib[0] = s.shared_kib[1] = 6144;
	place_decide(&s.host, &s.load, &s.params, s.workspace, s.plan);
	ksft_test_result(s.plan[0] == s.plan[1] && s.plan[2] == s.plan[3] &&
			 s.plan[0] != s.plan[2],
			 "threads that share a working set share a cache\n");
	s.shared_kib[0] = s.shared_kib[1] = 0;
	place_decide(&s.host, &s.load, &s.params, s.workspace, s.plan);
	ksft_test_result(s.plan[0] == 0 && s.plan[1] == 1 && s.plan[2] == 0 &&
			 s.plan[3] == 1,
			 "those that do not go where their memory is\n");
	sim_free(&s);
}

static void overload(void)
{
	static const struct place_site sites[] = {
		{ .node = 0, .cores = 2, .cpus = 2, .cache_kib = 1024 },
		{ .node = 1, .cores = 2, .cpus = 2, .cache_kib = 1024 },
	};
	static const u32 latency[] = { 800, 1000, 1000, 800 };
	const struct place_host host = { 2, 2, latency, 120, sites };
	struct sim s;
	u32 there = 0;

	if (sim_init(&s, &host, 4, 4))
		ksft_exit_fail_msg("out of memory\n");
	for (u32 t = 0; t < 4; t++) {
		s.tasks[t].vm = t;
		s.tasks[t].util = PLACE_ONE;
		s.touched[t * 2] = 65536;
	}
	place_decide(&s.host, &s.load, &s.params, s.workspace, s.plan);
	for (u32 t = 0; t < 4; t++)
		there += s.plan[t] == 0;
	ksft_test_result(there == 2,
			 "memory a little nearer is not worth half a CPU\n");
	sim_free(&s);
}

/* All at the largest that place_check() lets through. */
static void extremes(void)
{
	static const struct place_site sites[] = {
		{ 0, 1, 1, PLACE_CACHE_KIB_MAX, ~0U },
		{ 1, 1, 1, PLACE_CACHE_KIB_MAX, ~0U },
	};
	static const u32 latency[] = { 65535, 65535, 65535, 65535 };
	static u16 there[PLACE_TASKS_MAX];
	const struct place_host host = { 2, 2, latency, 65535, sites };
	const u64 all = PLACE_TASKS_MAX * 1024ULL * 65535 * 1024;
	const u64 refill = ~0U + (2ULL << 20) * 16 * 65535 / 10;
	u64 here, gone, moves, decided;
	struct place_reason reason;
	const char *why;
	struct sim s;
	bool right;

	if (sim_init(&s, &host, PLACE_TASKS_MAX, PLACE_TASKS_MAX))
		ksft_exit_fail_msg("out of memory\n");
	s.params = (struct place_params){
		.parallel = 1, .horizon_ns = 1 << 20, .move_ns = ~0U,
		.effort = PLACE_EFFORT_MAX,
	};
	for (u32 t = 0; t < PLACE_TASKS_MAX; t++) {
		s.tasks[t].vm = t;
		s.tasks[t].util = PLACE_ONE;
		s.shared_kib[t] = s.touched[t * 2] = s.touched[t * 2 + 1] = ~0U;
		there[t] = 1;
	}
	here = whole_cost(&s, NULL);
	place_explain(&s.host, &s.load, &s.params, s.workspace, NULL, 0, 1,
		      &reason);
	ksft_test_result(here == all &&
			 reason.move == (s64)(1024ULL * 65535 * refill >> 20),
			 "the largest numbers have the cost that they should\n");

	s.params.horizon_ns = PLACE_HORIZON_MIN;
	for (u32 t = 0; t < PLACE_TASKS_MAX; t++)
		s.tasks[t].inertia = PLACE_INERTIA_MAX;
	right = !place_check(&s.host, &s.load, &s.params, &why);
	gone = place_cost(&s.host, &s.load, &s.params, s.workspace, there,
			  &moves);
	place_explain(&s.host, &s.load, &s.params, s.workspace, there, 0, 1,
		      &reason);
	ksft_test_result(right && gone == all && reason.move > 0 &&
			 moves == PLACE_TASKS_MAX * (u64)reason.move &&
			 (s64)(gone + moves) > 0,
			 "the moves of all of them add up\n");
	decided = place_decide(&s.host, &s.load, &s.params, s.workspace, there);
	ksft_test_result(decided <= here && decided == whole_cost(&s, there),
			 "and so does what is decided\n");
	sim_free(&s);
}

struct bad {
	u32 nodes, sites, hit, latency, node, cores, cpus, cache_kib;
	u32 vm, util, site, allowed, first_vm, inertia;
	u32 smt_gain, miss_floor, parallel, horizon_ns, effort;
};

static void bad_input(void)
{
	static const struct bad good = {
		.nodes = 2, .sites = 2, .hit = 120, .latency = 1600, .node = 1,
		.cores = 2, .cpus = 4, .cache_kib = PLACE_CACHE_KIB_MAX,
		.vm = 1, .util = 1024, .site = 1, .allowed = 3, .first_vm = 0,
		.inertia = PLACE_INERTIA_MAX, .smt_gain = PLACE_ONE,
		.miss_floor = PLACE_ONE, .parallel = 1,
		.horizon_ns = PLACE_HORIZON_MIN, .effort = PLACE_EFFORT_MAX,
	};
	static const struct {
		const char *what;
		size_t field;
		u32 value;
		const char *says;
	} cases[] = {
#define F(f) offsetof(struct bad, f)
		{ "no node", F(nodes), 0, "nodes" },
		{ "65 nodes", F(nodes), 65, "nodes" },
		{ "no site", F(sites), 0, "sites" },
		{ "257 sites", F(sites), 257, "sites" },
		{ "a cache without latency", F(hit), 0, "cache" },
		{ "a cache slower than can be said", F(hit), 65536, "cache" },
		{ "a latency of nothing", F(latency), 0, "latency" },
		{ "an absurd latency", F(latency), 65536, "latency" },
		{ "a site of no node", F(node), 2, "node" },
		{ "a site without a core", F(cores), 0, "CPU" },
		{ "fewer CPUs than cores", F(cpus), 1, "cores" },
		{ "an absurd cache", F(cache_kib), PLACE_CACHE_KIB_MAX + 1,
		  "2 GiB" },
		{ "a second thread that does more than the first", F(smt_gain),
		  1025, "smt_gain" },
		{ "more misses than accesses", F(miss_floor), 1025,
		  "miss_floor" },
		{ "no line at a time", F(parallel), 0, "parallel" },
		{ "a horizon of nothing", F(horizon_ns), 0, "horizon_ns" },
		{ "an absurd effort", F(effort), PLACE_EFFORT_MAX + 1,
		  "effort" },
		{ "absurd inertia", F(inertia), PLACE_INERTIA_MAX + 1,
		  "inertia" },
		{ "a task of no VM", F(vm), 2, "VM" },
		{ "VMs out of order", F(first_vm), 1, "order" },
		{ "more than one CPU", F(util), 1025, "more than one" },
		{ "a task on no site", F(site), 2, "site" },
		{ "a task allowed nowhere", F(allowed), 0, "nowhere" },
		{ "a task allowed on sites that are not there", F(allowed), 4,
		  "nowhere" },
	};
	const char *why;

	for (size_t i = 0; i <= ARRAY_SIZE(cases); i++) {
		struct bad b = good;

		if (i < ARRAY_SIZE(cases))
			*(u32 *)((char *)&b + cases[i].field) = cases[i].value;
		u32 latency[] = { 800, b.latency, 1600, 800 };
		struct place_site sites[] = {
			{ 0, 2, 2, 1024, 0 },
			{ b.node, b.cores, b.cpus, b.cache_kib, 0 },
		};
		struct place_host host = { b.nodes, b.sites, latency, b.hit,
					   sites };
		struct place_task tasks[] = {
			{ .vm = b.first_vm, .allowed = { 3 } },
			{ .vm = b.vm, .util = b.util, .site = b.site,
			  .inertia = b.inertia, .allowed = { b.allowed } },
		};
		struct place_params params = {
			.smt_gain = b.smt_gain, .miss_floor = b.miss_floor,
			.parallel = b.parallel, .horizon_ns = b.horizon_ns,
			.effort = b.effort,
		};
		u32 touched[4] = { 0 }, shared[2] = { 0 };
		struct place_load load = { 2, 2, tasks, touched, shared };

		if (b.first_vm)
			tasks[1].vm = 0;
		if (!place_check(&host, &load, &params, &why))
			why = "it is taken";
		if (i == ARRAY_SIZE(cases))
			ksft_test_result(!strcmp(why, "it is taken"),
					 "good input: %s\n", why);
		else
			ksft_test_result(strstr(why, cases[i].says),
					 "%s is refused: %s\n", cases[i].what,
					 why);
	}
}

int main(int argc, char **argv)
{
	if (argc > 1)
		hosts = atoi(argv[1]);
	ksft_print_header();
	ksft_set_plan(5 + 1 + 2 + 1 + 3 + 25);
	small_hosts();
	explained();
	together();
	overload();
	extremes();
	bad_input();
	ksft_finished();
}
