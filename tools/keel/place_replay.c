// SPDX-License-Identifier: GPL-2.0
/*
 * keel place replay: decisions that were recorded, made again by the same code;
 * with other parameters, to see what these would have done.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keel.h"
#include "out.h"
#include "place.h"

#define SETS_MAX	16

/* A parameter that is another than it was. */
struct set {
	const char *name;
	uint64_t value;
};

struct replay {
	const char *path;
	size_t line;
	struct place_host host;
	struct place_load load;
	struct place_params params;
	u32 *latency;
	struct place_site *site;
	struct place_task *task;
	u32 *touched;
	u32 *shared_kib;
	u32 *shared_at;
	u64 *may;
	u16 *then;		/* the plan that was recorded */
	u16 *plan;
	struct place_memory *own_then;
	struct place_memory *shared_then;
	struct place_memory *own;
	struct place_memory *shared;
	u32 room[PLACE_NODES_MAX];
	void *workspace;
	struct set set[SETS_MAX];
	int nr_sets;
	bool differs;
};

static int broken(const struct replay *r, const char *what)
{
	return bad("%s: line %zu: %s; is it of 'keel place record'?", r->path,
		   r->line, what);
}

static u64 whole(json_t *v, u64 most, bool *ok)
{
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < 0 || (u64)n > most)
		*ok = false;
	return n;
}

static u64 number(json_t *o, const char *key, u64 most, bool *ok)
{
	return whole(json_object_get(o, key), most, ok);
}

/* The highest of 64 bits makes it negative. */
static u64 bits(json_t *o, const char *key, bool *ok)
{
	json_t *v = json_object_get(o, key);

	*ok = *ok && json_is_integer(v);
	return json_integer_value(v);
}

static int read_params(struct replay *r, json_t *root)
{
	json_t *p = json_object_get(root, "params");
	bool ok = true;

	if (place_keys(p, "smt_gain, miss_floor, parallel, horizon_ns, move_ns, effort, seed, hit",
		       "%s: line %zu: params", r->path, r->line))
		return -1;
	r->params = (struct place_params){
		.smt_gain = number(p, "smt_gain", UINT32_MAX, &ok),
		.miss_floor = number(p, "miss_floor", UINT32_MAX, &ok),
		.parallel = number(p, "parallel", UINT32_MAX, &ok),
		.horizon_ns = number(p, "horizon_ns", INT64_MAX, &ok),
		.move_ns = number(p, "move_ns", UINT32_MAX, &ok),
		.effort = number(p, "effort", UINT32_MAX, &ok),
		.seed = number(p, "seed", UINT32_MAX, &ok),
	};
	r->host.hit = number(p, "hit", UINT32_MAX, &ok);
	return ok ? 0 : broken(r, "its parameters are not all there");
}

static int read_host(struct replay *r, json_t *root)
{
	json_t *latency = json_object_get(root, "latency"), *v;
	json_t *sites = json_object_get(root, "sites");
	json_t *room = json_object_get(root, "room_kib");
	bool ok = true;
	size_t i;

	r->host.nr_nodes = number(root, "nodes", PLACE_NODES_MAX, &ok);
	r->host.nr_sites = json_array_size(sites);
	if (!ok || !r->host.nr_nodes || !r->host.nr_sites ||
	    r->host.nr_sites > PLACE_SITES_MAX ||
	    json_array_size(latency) != r->host.nr_nodes * r->host.nr_nodes)
		return broken(r, "its host is not whole");
	r->latency = calloc(json_array_size(latency) + 1, sizeof(*r->latency));
	r->site = calloc(r->host.nr_sites + 1, sizeof(*r->site));
	if (!r->latency || !r->site)
		return fail("out of memory");
	json_array_foreach(latency, i, v)
		r->latency[i] = whole(v, UINT32_MAX, &ok);
	if (json_array_size(room) != r->host.nr_nodes)
		return broken(r, "it does not say what memory was free");
	json_array_foreach(room, i, v)
		r->room[i] = whole(v, UINT32_MAX, &ok);
	json_array_foreach(sites, i, v) {
		if (place_keys(v, "node, cores, cpus, cache_kib, foreign",
			       "%s: line %zu: sites[%zu]", r->path, r->line, i))
			return -1;
		r->site[i] = (struct place_site){
			.node = number(v, "node", UINT16_MAX, &ok),
			.cores = number(v, "cores", UINT16_MAX, &ok),
			.cpus = number(v, "cpus", UINT16_MAX, &ok),
			.cache_kib = number(v, "cache_kib", UINT32_MAX, &ok),
			.foreign = number(v, "foreign", UINT32_MAX, &ok),
		};
	}
	r->host.latency = r->latency;
	r->host.site = r->site;
	return ok ? 0 : broken(r, "its host is not whole");
}

static void read_allowed(struct place_task *t, json_t *allowed, bool *ok)
{
	json_t *v;
	size_t i;

	json_array_foreach(allowed, i, v) {
		u64 site = whole(v, PLACE_SITES_MAX - 1, ok);

		if (*ok)
			t->allowed[site / 64] |= 1ULL << site % 64;
	}
}

static void read_memory(struct replay *r, json_t *o, struct place_memory *m,
			bool *ok)
{
	if (place_keys(o, "from, kib, to", "%s: line %zu: memory", r->path,
		       r->line))
		*ok = false;
	m->from = bits(o, "from", ok);
	m->kib = number(o, "kib", UINT32_MAX, ok);
	m->to = number(o, "to", r->host.nr_nodes - 1, ok);
}

static int read_task(struct replay *r, json_t *o, u32 i)
{
	json_t *touched = json_object_get(o, "touched_kib"), *v;
	json_t *shared = json_object_get(o, "shared_at_kib");
	struct place_task *t = &r->task[i];
	bool ok = true;
	size_t n;

	if (place_keys(o, "vm, shared_kib, util, site, inertia, ours, plan, allowed, mems, memory, shared_memory, touched_kib, shared_at_kib",
		       "%s: line %zu: tasks[%u]", r->path, r->line, i))
		return -1;
	t->vm = number(o, "vm", r->load.nr_vms - 1, &ok);
	t->util = number(o, "util", PLACE_ONE, &ok);
	t->site = number(o, "site", r->host.nr_sites - 1, &ok);
	t->inertia = number(o, "inertia", UINT32_MAX, &ok);
	r->may[i] = bits(o, "mems", &ok);
	r->then[i] = number(o, "plan", r->host.nr_sites - 1, &ok);
	if (!ok || json_array_size(touched) != r->host.nr_nodes ||
	    json_array_size(shared) != r->host.nr_nodes)
		return broken(r, "a thread is not whole");
	read_memory(r, json_object_get(o, "memory"), &r->own_then[i], &ok);
	read_memory(r, json_object_get(o, "shared_memory"),
		    &r->shared_then[t->vm], &ok);
	r->shared_kib[t->vm] = number(o, "shared_kib", UINT32_MAX, &ok);
	json_array_foreach(touched, n, v)
		r->touched[i * r->host.nr_nodes + n] = whole(v, UINT32_MAX, &ok);
	json_array_foreach(shared, n, v)
		r->shared_at[t->vm * r->host.nr_nodes + n] =
			whole(v, UINT32_MAX, &ok);
	/* One that was not to be placed stays. */
	if (json_is_true(json_object_get(o, "ours")))
		read_allowed(t, json_object_get(o, "allowed"), &ok);
	else
		t->allowed[t->site / 64] |= 1ULL << t->site % 64;
	return ok ? 0 : broken(r, "a thread is not whole");
}

static int read_tasks(struct replay *r, json_t *root)
{
	json_t *tasks = json_object_get(root, "tasks"), *v;
	size_t nr = json_array_size(tasks), i;
	bool ok = true;

	r->load.nr_tasks = nr;
	r->load.nr_vms = number(root, "vms", PLACE_TASKS_MAX, &ok);
	if (!ok || !json_is_array(tasks) || nr > PLACE_TASKS_MAX ||
	    !r->load.nr_vms)
		return broken(r, "its threads are not all there");
	r->task = calloc(nr + 1, sizeof(*r->task));
	r->touched = calloc(nr * r->host.nr_nodes + 1, sizeof(*r->touched));
	r->shared_kib = calloc(r->load.nr_vms, sizeof(*r->shared_kib));
	r->then = calloc(nr + 1, sizeof(*r->then));
	r->plan = calloc(nr + 1, sizeof(*r->plan));
	r->shared_at = calloc(r->load.nr_vms * r->host.nr_nodes,
			      sizeof(*r->shared_at));
	r->may = calloc(nr + 1, sizeof(*r->may));
	r->own_then = calloc(nr + 1, sizeof(*r->own));
	r->own = calloc(nr + 1, sizeof(*r->own));
	r->shared_then = calloc(r->load.nr_vms, sizeof(*r->shared));
	r->shared = calloc(r->load.nr_vms, sizeof(*r->shared));
	if (!r->task || !r->touched || !r->shared_kib || !r->then || !r->plan ||
	    !r->own_then || !r->own || !r->shared_then || !r->shared ||
	    !r->shared_at || !r->may)
		return fail("out of memory");
	json_array_foreach(tasks, i, v)
		if (read_task(r, v, i))
			return -1;
	r->load.task = r->task;
	r->load.touched = r->touched;
	r->load.shared_kib = r->shared_kib;
	return 0;
}

static int apply_set(struct replay *r, const struct set *set)
{
	struct place_params *p = &r->params;
	const struct {
		const char *name;
		u32 *value;
	} known[] = {
		{ "smt_gain", &p->smt_gain }, { "miss_floor", &p->miss_floor },
		{ "parallel", &p->parallel }, { "move_ns", &p->move_ns },
		{ "effort", &p->effort }, { "hit", &r->host.hit },
	};

	if (!strcmp(set->name, "horizon_ns")) {
		p->horizon_ns = set->value;
		return 0;
	}
	if (set->value > UINT32_MAX)
		return bad("--set: %s: %llu is too large", set->name,
			   (unsigned long long)set->value);
	if (!strcmp(set->name, "inertia")) {
		for (u32 t = 0; t < r->load.nr_tasks; t++)
			r->task[t].inertia = set->value;
		return 0;
	}
	for (size_t i = 0; i < NR(known); i++) {
		if (strcmp(set->name, known[i].name))
			continue;
		*known[i].value = set->value;
		return 0;
	}
	return bad("--set: no parameter '%s'; there are smt_gain, miss_floor, parallel, horizon_ns, move_ns, effort, hit, inertia",
		   set->name);
}

static int apply_sets(struct replay *r)
{
	const char *why;

	for (int i = 0; i < r->nr_sets; i++)
		if (apply_set(r, &r->set[i]))
			return -1;
	return place_check(&r->host, &r->load, &r->params, &why) ?
	       bad("--set: %s", why) : 0;
}

static double mean_ns(struct replay *r, const u16 *plan)
{
	u64 busy = 0, cost = place_cost(&r->host, &r->load, &r->params,
					r->workspace, plan, NULL);

	for (u32 t = 0; t < r->load.nr_tasks; t++)
		busy += r->task[t].util;
	return busy ? cost / 10.0 / busy : 0;
}

static bool same_memory(const struct place_memory *a,
			const struct place_memory *b)
{
	return a->from == b->from && a->kib == b->kib && a->to == b->to;
}

/* Of so many threads and VMs other memory should be moved than then. */
static u32 memory_differs(const struct replay *r)
{
	u32 nr = 0;

	for (u32 t = 0; t < r->load.nr_tasks; t++)
		nr += !same_memory(&r->own_then[t], &r->own[t]);
	for (u32 v = 0; v < r->load.nr_vms; v++)
		nr += !same_memory(&r->shared_then[v], &r->shared[v]);
	return nr;
}

static void tell(struct replay *r, uint64_t period)
{
	u32 moves_then = 0, moves = 0, differ = 0, memory = memory_differs(r);

	for (u32 t = 0; t < r->load.nr_tasks; t++) {
		moves_then += r->then[t] != r->task[t].site;
		moves += r->plan[t] != r->task[t].site;
		differ += r->then[t] != r->plan[t];
	}
	r->differs |= differ || memory;
	out_object(NULL);
	out_u64("period", "period %llu:", period);
	out_u64("threads", " %llu threads", r->load.nr_tasks);
	out_bool("same", NULL, !differ && !memory);
	out_u64("differ", differ ? ", %llu elsewhere" : ", all the same", differ);
	out_u64("memory_differ", memory ? ", memory of %llu elsewhere" : NULL,
		memory);
	out_u64("moves_then", ", %llu moves then", moves_then);
	out_u64("moves", ", %llu now", moves);
	out_real("latency_then_ns", ", %.1f ns then", mean_ns(r, r->then));
	out_real("latency_ns", ", %.1f ns now\n", mean_ns(r, r->plan));
	out_end();
}

static void forget(struct replay *r)
{
	free(r->latency);
	free(r->site);
	free(r->task);
	free(r->touched);
	free(r->shared_kib);
	free(r->shared_at);
	free(r->may);
	free(r->then);
	free(r->plan);
	free(r->own_then);
	free(r->shared_then);
	free(r->own);
	free(r->shared);
	free(r->workspace);
	r->latency = NULL;
	r->site = NULL;
	r->task = NULL;
	r->touched = NULL;
	r->shared_kib = NULL;
	r->shared_at = NULL;
	r->may = NULL;
	r->then = NULL;
	r->plan = NULL;
	r->own_then = NULL;
	r->shared_then = NULL;
	r->own = NULL;
	r->shared = NULL;
	r->workspace = NULL;
}

static int replay_line(struct replay *r, const char *line)
{
	json_error_t error;
	json_t *root = json_loads(line, JSON_REJECT_DUPLICATES, &error);
	const char *why;
	bool ok = true;
	u64 period;
	int err;

	if (!root)
		return broken(r, error.text);
	period = number(root, "period", INT64_MAX, &ok);
	err = place_keys(root, "period, params, nodes, vms, latency, room_kib, sites, tasks",
			 "%s: line %zu", r->path, r->line);
	if (!err && !ok)
		err = broken(r, "it has no period");
	err = err || read_params(r, root) || read_host(r, root) ||
	      read_tasks(r, root);
	if (!err && place_check(&r->host, &r->load, &r->params, &why))
		err = broken(r, why);
	err = err || apply_sets(r);
	if (!err) {
		r->workspace = malloc(place_workspace_size(&r->host, &r->load));
		if (!r->workspace)
			err = fail("out of memory");
	}
	if (!err) {
		const struct place_remote remote = {
			.shared_at = r->shared_at, .room = r->room, .may = r->may,
		};

		place_decide(&r->host, &r->load, &r->params, r->workspace,
			     r->plan);
		place_memory(&r->host, &r->load, &r->params, r->workspace,
			     r->plan, &remote, r->own, r->shared);
		tell(r, period);
	}
	forget(r);
	json_decref(root);
	return err ? -1 : 0;
}

static int replay_file(struct replay *r)
{
	FILE *f = fopen(r->path, "r");
	char *line = NULL;
	size_t room = 0;
	int err = 0;

	if (!f)
		return bad("%s: %s", r->path, strerror(errno));
	out_array(NULL);
	while (!err && getline(&line, &room, f) > 0) {
		r->line++;
		err = replay_line(r, line);
	}
	if (!err && !r->line)
		err = bad("%s: there is nothing in it", r->path);
	out_end();
	free(line);
	fclose(f);
	return err;
}

static int parse_set(struct replay *r, char *word)
{
	char *value = strchr(word, '='), *end;
	unsigned long long n;

	if (!value || r->nr_sets == SETS_MAX)
		return bad("--set: '%s' is not NAME=NUMBER", word);
	*value++ = 0;
	errno = 0;
	n = strtoull(value, &end, 10);
	if (errno || end == value || *end || *value == '-')
		return bad("--set: '%s' is not a number", value);
	r->set[r->nr_sets++] = (struct set){ word, n };
	return 0;
}

int place_replay(int argc, char **argv)
{
	static const struct option options[] = {
		{ "set", required_argument, NULL, 's' },
		{ 0 }
	};
	struct replay r = { 0 };
	int c;

	while ((c = next_option(argc, argv, options)) != -1)
		if (c != 's' || parse_set(&r, optarg))
			return -1;
	if (argc - optind != 1)
		return bad("place replay: give one file, of 'keel place record'");
	r.path = argv[optind];
	if (replay_file(&r))
		return -1;
	/* With the same parameters it must be the same. */
	return r.differs && !r.nr_sets ? 1 : 0;
}
