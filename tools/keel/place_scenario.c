// SPDX-License-Identifier: GPL-2.0
/* A scenario file; keel-place(8) says what may stand in it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "keel.h"
#include "place.h"

#define TASKS_MAX	4096
#define PERIODS_MAX	1000000

/* A number from @least to @most; @otherwise if it is not there. */
static int read_number(json_t *o, const char *what, const char *key,
		       double least, double most, double otherwise, double *n)
{
	json_t *v = json_object_get(o, key);

	*n = v ? json_number_value(v) : otherwise;
	if ((v && !json_is_number(v)) || isnan(*n) || *n < least || *n > most)
		return bad("%s: \"%s\" must be a number from %g to %g", what,
			   key, least, most);
	return 0;
}

/* The same, which must be whole. */
static int read_whole(json_t *o, const char *what, const char *key, u32 least,
		      u32 most, u32 otherwise, u32 *n)
{
	json_t *v = json_object_get(o, key);
	json_int_t i = v ? json_integer_value(v) : otherwise;

	*n = otherwise;
	if ((v && !json_is_integer(v)) || i < least || i > most)
		return bad("%s: \"%s\" must be a whole number from %u to %u",
			   what, key, least, most);
	*n = i;
	return 0;
}

/* "512M", in KiB. */
static int kib_value(json_t *v, const char *what, const char *key, u32 *kib)
{
	uint64_t bytes = 0;

	if (v && (!json_is_string(v) ||
		  parse_size(json_string_value(v), &bytes) ||
		  bytes >> 10 > UINT32_MAX)) {
		error_forget();
		return bad("%s: \"%s\" must be a size like \"512M\", less than 4T",
			   what, key);
	}
	*kib = bytes >> 10;
	return 0;
}

static int read_node(struct scenario *s, json_t *node, u32 n)
{
	u32 cores, threads, caches, kib;
	double foreign;
	char what[32];

	snprintf(what, sizeof(what), "node %u", n);
	if (place_keys(node, "cores, threads, caches, cache, foreign",
		       "nodes[%u]", n) ||
	    read_whole(node, what, "cores", 1, 4096, 1, &cores) ||
	    read_whole(node, what, "threads", 1, 8, 1, &threads) ||
	    read_whole(node, what, "caches", 1, cores, 1, &caches) ||
	    kib_value(json_object_get(node, "cache"), what, "cache", &kib) ||
	    read_number(node, what, "foreign", 0, cores * threads, 0, &foreign))
		return -1;
	if (cores % caches)
		return bad("%s: its %u cores cannot be dealt out to %u caches",
			   what, cores, caches);
	if (s->host.nr_sites + caches > PLACE_SITES_MAX)
		return bad("there are more than %d caches", PLACE_SITES_MAX);
	for (u32 i = 0; i < caches; i++)
		s->site[s->host.nr_sites++] = (struct place_site){
			.node = n,
			.cores = cores / caches,
			.cpus = cores / caches * threads,
			.cache_kib = kib,
			.foreign = foreign * PLACE_ONE / caches,
		};
	return 0;
}

static int read_host(struct scenario *s)
{
	json_t *nodes = json_object_get(s->root, "nodes"), *node;
	double hit;
	size_t i;

	if (!json_array_size(nodes) ||
	    json_array_size(nodes) > PLACE_NODES_MAX)
		return bad("\"nodes\" must be a list of 1 to %d nodes",
			   PLACE_NODES_MAX);
	s->host.nr_nodes = json_array_size(nodes);
	s->latency = calloc(s->host.nr_nodes * s->host.nr_nodes, sizeof(u32));
	s->site = calloc(PLACE_SITES_MAX, sizeof(*s->site));
	if (!s->latency || !s->site)
		return fail("out of memory");
	s->host.latency = s->latency;
	s->host.site = s->site;
	json_array_foreach(nodes, i, node)
		if (read_node(s, node, i))
			return -1;
	if (place_read_latency(json_object_get(s->root, "latency"), "latency",
			       s->host.nr_nodes, s->latency) ||
	    read_number(s->root, "the host", "hit", 0.1,
			PLACE_LATENCY_MAX / 10.0, 12, &hit))
		return -1;
	s->host.hit = hit * 10;
	return 0;
}

/* The first of a node's sites that its @nth vCPU would be dealt to. */
static u32 site_of(const struct scenario *s, u32 node, u32 nth)
{
	u32 first = 0, nr = 0;

	while (s->site[first].node != node)
		first++;
	while (first + nr < s->host.nr_sites && s->site[first + nr].node == node)
		nr++;
	return first + nth % nr;
}

/* What a VM does from now on; what is not said stays. */
static int read_behaviour(struct scenario *s, const struct scenario_vm *vm,
			  json_t *o)
{
	json_t *touches = json_object_get(o, "touches"), *v;
	struct sim *sim = &s->sim;
	u32 nodes = s->host.nr_nodes, *touched, node, kib;
	const char *key;
	double busy;

	if (read_number(o, vm->name, "busy", 0, 1, 0, &busy))
		return -1;
	if (touches && !json_is_object(touches))
		return bad("%s: \"touches\" must be an object from node to size",
			   vm->name);
	for (u32 t = vm->first; t < vm->first + vm->vcpus; t++) {
		if (json_object_get(o, "busy"))
			sim->tasks[t].util = busy * PLACE_ONE;
		touched = &sim->touched[t * nodes];
		if (touches)
			memset(touched, 0, nodes * sizeof(*touched));
		json_object_foreach(touches, key, v) {
			if (parse_u32(key, &node) || node >= nodes) {
				error_forget();
				return bad("%s: \"touches\" names node '%s', which is not there",
					   vm->name, key);
			}
			if (kib_value(v, vm->name, key, &kib))
				return -1;
			touched[node] = kib;
		}
	}
	return 0;
}

static int read_allowed(struct scenario *s, const struct scenario_vm *vm,
			json_t *o)
{
	json_t *list = json_object_get(o, "allowed"), *v;
	u64 allowed[PLACE_SITES_MAX / 64] = { 0 };
	size_t i;

	if (!list)
		return 0;
	json_array_foreach(list, i, v) {
		if (!json_is_integer(v) || json_integer_value(v) < 0 ||
		    json_integer_value(v) >= s->host.nr_nodes)
			return bad("%s: \"allowed\" must be a list of nodes, from 0 to %u",
				   vm->name, s->host.nr_nodes - 1);
		for (u32 x = 0; x < s->host.nr_sites; x++)
			if (s->site[x].node == json_integer_value(v))
				allowed[x / 64] |= 1ULL << (x % 64);
	}
	for (u32 t = vm->first; t < vm->first + vm->vcpus; t++)
		memcpy(s->sim.tasks[t].allowed, allowed, sizeof(allowed));
	return 0;
}

static int read_vm(struct scenario *s, u32 n, json_t *o)
{
	struct scenario_vm *vm = &s->vm[n];
	u32 on;

	if (read_whole(o, vm->name, "on", 0, s->host.nr_nodes - 1, 0, &on) ||
	    kib_value(json_object_get(o, "shared"), vm->name, "shared",
		      &s->sim.shared_kib[n]))
		return -1;
	for (u32 i = 0; i < vm->vcpus; i++) {
		s->sim.tasks[vm->first + i].vm = n;
		s->sim.tasks[vm->first + i].site = site_of(s, on, i);
	}
	vm->changes = json_object_get(o, "changes");
	return read_allowed(s, vm, o) || read_behaviour(s, vm, o) ? -1 : 0;
}

static int read_vm_keys(json_t *o, size_t n)
{
	json_t *changes = json_object_get(o, "changes"), *change;
	size_t i;

	if (place_keys(o, "name, vcpus, on, allowed, busy, touches, shared, changes",
		       "vms[%zu]", n))
		return -1;
	if (changes && !json_is_array(changes))
		return bad("vms[%zu]: \"changes\" must be a list", n);
	json_array_foreach(changes, i, change)
		if (place_keys(change, "at, busy, touches",
			       "vms[%zu].changes[%zu]", n, i))
			return -1;
	return 0;
}

static int read_vms(struct scenario *s)
{
	json_t *vms = json_object_get(s->root, "vms"), *o;
	const char *why;
	size_t i;

	s->nr_vms = json_array_size(vms);
	s->vm = calloc(s->nr_vms + 1, sizeof(*s->vm));
	if (!s->vm)
		return fail("out of memory");
	json_array_foreach(vms, i, o) {
		struct scenario_vm *vm = &s->vm[i];

		if (read_vm_keys(o, i))
			return -1;
		vm->name = json_string_value(json_object_get(o, "name"));
		if (!vm->name)
			return bad("VM %zu of \"vms\" has no \"name\"", i);
		vm->first = s->nr_tasks;
		if (read_whole(o, vm->name, "vcpus", 1, TASKS_MAX, 1, &vm->vcpus))
			return -1;
		s->nr_tasks += vm->vcpus;
		if (s->nr_tasks > TASKS_MAX)
			return bad("there are more than %d vCPUs", TASKS_MAX);
	}
	if (!s->nr_tasks)
		return bad("\"vms\" must be a list of at least one VM");
	if (sim_init(&s->sim, &s->host, s->nr_tasks, s->nr_vms))
		return fail("out of memory");
	json_array_foreach(vms, i, o)
		if (read_vm(s, i, o))
			return -1;
	if (place_check(&s->host, &s->sim.load, &s->sim.params, &why))
		return bad("%s", why);
	return 0;
}

int scenario_load(struct scenario *s, const char *path)
{
	json_error_t e;
	double noise;
	u32 seed;

	*s = (struct scenario){ 0 };
	s->root = json_load_file(path, JSON_REJECT_DUPLICATES, &e);
	if (!s->root)
		return bad("%s: %s%s", path, e.text,
			   e.line > 0 ? "" : "; give a scenario file");
	if (place_keys(s->root,
		       "nodes, latency, hit, periods, noise, seed, vms",
		       "%s", path) ||
	    read_whole(s->root, path, "periods", 1, PERIODS_MAX, 60, &s->periods) ||
	    read_whole(s->root, path, "seed", 0, UINT32_MAX - 1, 0, &seed) ||
	    read_number(s->root, path, "noise", 0, 0.5, 0, &noise) ||
	    read_host(s) || read_vms(s))
		return -1;
	s->sim.noise = noise * PLACE_ONE;
	s->sim.params.seed = seed;
	return 0;
}

/* What changes at the begin of a period. Return: does anything? -1: an error. */
int scenario_change(struct scenario *s, u32 period)
{
	json_t *change;
	int any = 0;
	size_t i;
	u32 at;

	for (u32 n = 0; n < s->nr_vms; n++) {
		json_array_foreach(s->vm[n].changes, i, change) {
			if (read_whole(change, s->vm[n].name, "at", 1,
				       PERIODS_MAX, 0, &at))
				return -1;
			if (at != period)
				continue;
			if (read_behaviour(s, &s->vm[n], change))
				return -1;
			any = 1;
		}
	}
	return any;
}

void scenario_free(struct scenario *s)
{
	sim_free(&s->sim);
	free(s->latency);
	free(s->site);
	free(s->vm);
	json_decref(s->root);
}
