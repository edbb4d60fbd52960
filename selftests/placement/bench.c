// SPDX-License-Identifier: GPL-2.0
/*
 * What a decision costs, and what it is worth next to the rules of others.
 *
 *	bench time		one period, by threads and sites
 *	bench rules [HOSTS]	against the rules of numad and AutoNUMA
 *	bench day		a day of steady load
 *
 * Prints tables in Markdown; make bench-placement puts them into
 * Documentation/benchmarks/placement.md.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "random_host.h"
#include "rules.h"

#define NOISE	(PLACE_ONE * 5 / 100)

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e3 + ts.tv_nsec / 1e6;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void host_make(struct random_host *r, struct sim *s, u32 seed,
		      const struct random_shape *shape)
{
	r->random = 88172645463325252ULL * (2 * seed + 1);
	random_host(r, shape);
	if (random_load(r, shape, s)) {
		fprintf(stderr, "bench: out of memory\n");
		exit(1);
	}
}

/* The memory of every @nth VM goes elsewhere. */
static void change(struct sim *s, u32 nth)
{
	u32 nodes = s->host.nr_nodes;

	for (u32 t = 0; t < s->load.nr_tasks; t++) {
		u32 *touched = &s->touched[t * nodes], first = *touched;

		if (s->tasks[t].vm % nth)
			continue;
		memmove(touched, touched + 1, (nodes - 1) * sizeof(u32));
		touched[nodes - 1] = first;
	}
}

struct times {
	double first, median, worst;
};

#define PERIODS	40

/* Periods of a host to which something happens each time, or nothing. */
static struct times periods(struct sim *s, u32 nth)
{
	double ms[PERIODS], begin;
	struct times t;

	for (int i = 0; i < PERIODS; i++) {
		if (nth)
			change(s, nth);
		begin = now_ms();
		sim_period(s);
		ms[i] = now_ms() - begin;
	}
	t.first = ms[0];
	qsort(ms, PERIODS, sizeof(*ms), by_size);
	t.median = ms[PERIODS / 2];
	t.worst = ms[PERIODS - 1];
	return t;
}

static void one_time(u32 tasks, u32 sites_per_node)
{
	const struct random_shape shape = {
		8, sites_per_node, 16 / sites_per_node, 2, tasks, tasks / 4, 20,
	};
	struct random_host r;
	struct times first, steady, news;
	struct sim s;

	host_make(&r, &s, 1, &shape);
	s.noise = NOISE;
	first = periods(&s, 0);
	for (int i = 0; i < 100; i++)
		sim_period(&s);
	steady = periods(&s, 0);
	news = periods(&s, 20);
	printf("| %u | %u | %.1f | %.1f | %.1f | %.1f | %.1f |\n", tasks,
	       8 * sites_per_node, first.first, steady.median, steady.worst,
	       news.median, news.worst);
	fflush(stdout);
	sim_free(&s);
}

static void time_all(void)
{
	static const u32 tasks[] = { 1000, 2000, 5000, 10000 };

	printf("| threads | sites | first period, ms | steady, median | worst of %d | 5 %% of VMs new each period, median | worst |\n|---|---|---|---|---|---|---|\n",
	       PERIODS);
	for (u32 sites = 1; sites <= 4; sites *= 4)
		for (size_t i = 0; i < 4; i++)
			one_time(tasks[i], sites);
}

#define STEPS	20

/* What is left of a rule's threads after some steps, from where they are. */
static double after(struct random_host *r, u32 seed,
		    const struct random_shape *shape, void (*rule)(struct sim *))
{
	double ns;
	struct sim s;

	host_make(r, &s, seed, shape);
	for (int i = 0; i < STEPS; i++) {
		if (rule)
			rule(&s);
		else
			sim_period(&s);
	}
	ns = sim_latency(&s);
	sim_free(&s);
	return ns;
}

static void large_shape(struct random_host *r, struct random_shape *shape)
{
	u32 cpus;

	shape->nodes = 4 << random_below(r, 3);
	shape->sites_per_node = 1 + random_below(r, 4);
	shape->cores = 4 + random_below(r, 5);
	shape->threads = 2;
	cpus = shape->nodes * shape->sites_per_node * shape->cores * 2;
	shape->tasks = cpus + random_below(r, 9 * cpus);
	if (shape->tasks > 10000)
		shape->tasks = 10000;
	shape->vms = shape->tasks / (1 + random_below(r, 16)) + 1;
	/* From half to nine tenths of the CPUs are wanted. */
	shape->busy = 100ULL * cpus * (50 + random_below(r, 41)) / 100 * 2 /
		      shape->tasks;
	if (shape->busy > 100)
		shape->busy = 100;
}

static void rules_all(u32 hosts)
{
	double left, numad, autonuma, keel, sum[2] = { 0 }, worst[2] = { 0 };
	u32 better[2] = { 0 }, most_tasks = 0, most_cpus = 0, cpus;
	struct random_host r, draw = { .random = 2463534242ULL };
	struct random_shape shape;
	struct sim s;

	for (u32 i = 1; i <= hosts; i++) {
		large_shape(&draw, &shape);
		cpus = shape.nodes * shape.sites_per_node * shape.cores *
		       shape.threads;
		most_tasks = shape.tasks > most_tasks ? shape.tasks : most_tasks;
		most_cpus = cpus > most_cpus ? cpus : most_cpus;
		host_make(&r, &s, i, &shape);
		left = sim_latency(&s);
		sim_free(&s);
		numad = after(&r, i, &shape, rule_numad);
		autonuma = after(&r, i, &shape, rule_autonuma);
		keel = after(&r, i, &shape, NULL);
		better[0] += keel < numad;
		better[1] += keel < autonuma;
		sum[0] += keel / numad;
		sum[1] += keel / autonuma;
		worst[0] = keel / numad > worst[0] ? keel / numad : worst[0];
		worst[1] = keel / autonuma > worst[1] ? keel / autonuma : worst[1];
		fprintf(stderr, "host %u: %u nodes, %u CPUs, %u threads of %u VMs: left %.1f, numad %.1f, AutoNUMA %.1f, keel %.1f ns\n",
			i, shape.nodes, cpus, shape.tasks, shape.vms, left,
			numad, autonuma, keel);
	}
	printf("| %u hosts of up to %u CPUs and %u threads | keel better in | mean of keel's latency to theirs | worst |\n|---|---|---|---|\n",
	       hosts, most_cpus, most_tasks);
	printf("| the rules of numad | %.1f %% | %.3f | %.3f |\n",
	       100.0 * better[0] / hosts, sum[0] / hosts, worst[0]);
	printf("| the rules of AutoNUMA | %.1f %% | %.3f | %.3f |\n",
	       100.0 * better[1] / hosts, sum[1] / hosts, worst[1]);
}

#define DAY	86400	/* periods of a second */

static void steady_day(void)
{
	const struct random_shape shape = { 4, 2, 8, 2, 100, 25, 60 };
	struct random_host r;
	u64 moves = 0;
	u32 last = 0;
	struct sim s;
	double best;

	host_make(&r, &s, 1, &shape);
	s.noise = NOISE;
	for (u32 i = 1; i <= DAY; i++) {
		sim_period(&s);
		moves += s.moves;
		if (s.moves)
			last = i;
	}
	best = sim_latency(&s);
	sim_best(&s, s.plan);
	printf("| a day of periods of 1 s, %u threads, 5 %% noise | moves | the last in period | latency, of the best fixed placement |\n|---|---|---|---|\n| | %lu | %u | %.3f |\n",
	       shape.tasks, moves, last, best / sim_latency_at(&s, s.plan));
	sim_free(&s);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "time"))
		time_all();
	else if (!strcmp(what, "rules"))
		rules_all(argc > 2 ? atoi(argv[2]) : 100);
	else if (!strcmp(what, "day"))
		steady_day();
	else
		return 2;
	return 0;
}
