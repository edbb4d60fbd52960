// SPDX-License-Identifier: GPL-2.0
/*
 * keel place simulate: what placement would do on a host that is described in a
 * file, with the decision that the module makes.
 */
#include <stdlib.h>
#include <string.h>

#include "keel.h"
#include "out.h"
#include "place.h"

const char place_simulate_help[] =
	"keel place simulate SCENARIO.json\n"
	"    What placement would do with the host and the guests of a scenario.\n";

struct run {
	struct scenario s;
	u16 *start;		/* where all were at first */
	u16 *best;
	double *vm_left, *vm_placed;	/* ns */
	double alone, placed, ideal, moving;	/* ns, summed over periods */
	u32 moves, last_move;
};

/* Of each VM's accesses, in ns, with all tasks where @plan says. */
static void vm_latencies(struct run *r, const u16 *plan, double *ns)
{
	struct sim *sim = &r->s.sim;

	place_expected(&sim->host, &sim->load, &sim->params, sim->workspace,
		       plan, sim->expected);
	for (u32 i = 0; i < r->s.nr_vms; i++) {
		const struct scenario_vm *vm = &r->s.vm[i];
		double sum = 0, busy = 0;

		for (u32 t = vm->first; t < vm->first + vm->vcpus; t++) {
			sum += (double)sim->tasks[t].util * sim->expected[t] / 10;
			busy += sim->tasks[t].util;
		}
		ns[i] = busy ? sum / busy : 0;
	}
}

static void current_plan(struct run *r, u16 *plan)
{
	for (u32 t = 0; t < r->s.nr_tasks; t++)
		plan[t] = r->s.sim.tasks[t].site;
}

static int simulate(struct run *r)
{
	struct sim *sim = &r->s.sim;
	double moving;
	int changed;

	for (u32 i = 0; i < r->s.periods; i++) {
		changed = scenario_change(&r->s, i);
		if (changed < 0)
			return -1;
		if (changed || !i)
			sim_best(sim, r->best);
		r->alone += sim_latency_at(sim, r->start);
		r->ideal += sim_latency_at(sim, r->best);
		r->placed += sim_latency(sim);
		moving = sim_period(sim);
		r->placed += moving;
		r->moving += moving;
		r->moves += sim->moves;
		if (sim->moves)
			r->last_move = i;
	}
	return 0;
}

/* The nodes of a VM's vCPUs: "2x0 2x1". */
static void node_list(struct run *r, const struct scenario_vm *vm,
		      const u16 *plan, char *text, size_t len)
{
	u32 on[PLACE_NODES_MAX] = { 0 }, n;
	size_t at = 0;

	for (u32 t = vm->first; t < vm->first + vm->vcpus; t++)
		on[r->s.site[plan[t]].node]++;
	*text = 0;
	for (n = 0; n < r->s.host.nr_nodes && at + 16 < len; n++)
		if (on[n])
			at += snprintf(text + at, len - at, "%s%ux%u",
				       at ? " " : "", on[n], n);
}

static void print_vm(struct run *r, u32 i, const u16 *end)
{
	const struct scenario_vm *vm = &r->s.vm[i];
	char from[64], to[64];

	node_list(r, vm, r->start, from, sizeof(from));
	node_list(r, vm, end, to, sizeof(to));
	out_object(NULL);
	out_str("name", "%-16s", vm->name);
	out_u64("vcpus", " %5llu", vm->vcpus);
	out_str("from", "  %-16s", from);
	out_str("to", "  %-16s", to);
	out_real("latency_left_ns", " %8.1f ns", r->vm_left[i]);
	out_real("latency_placed_ns", " %8.1f ns\n", r->vm_placed[i]);
	out_end();
}

static void print(struct run *r)
{
	u16 *end = r->s.sim.plan;
	u32 n = r->s.periods;

	current_plan(r, end);
	vm_latencies(r, r->start, r->vm_left);
	vm_latencies(r, end, r->vm_placed);
	out_object(NULL);
	out_text("%-16s %5s  %-16s  %-16s %11s %11s\n", "VM", "vCPUs",
		 "on nodes", "in the end", "left there", "placed");
	out_array("vms");
	for (u32 i = 0; i < r->s.nr_vms; i++)
		print_vm(r, i, end);
	out_end();
	out_text("\nlatency of an access, all periods   ");
	out_real("mean_left_ns", "left alone %.1f ns", r->alone / n);
	out_real("mean_placed_ns", ", placed %.1f ns", r->placed / n);
	out_real("mean_moving_ns", " (of which moves %.2f ns)",
		 r->moving / n);
	out_real("mean_best_ns", ", best at each time %.1f ns\n",
		 r->ideal / n);
	out_u64("periods", "%llu periods", n);
	out_u64("moves", ", %llu moves of a vCPU", r->moves);
	if (r->moves)
		out_u64("last_move", ", the last in period %llu", r->last_move);
	out_text("\n");
}

int place_simulate(int argc, char **argv)
{
	static const struct option options[] = { { 0 } };
	struct run r = { .last_move = 0 };
	int err;

	if (next_option(argc, argv, options) != -1)
		return -1;
	if (argc - optind != 1)
		return bad("place simulate: give one scenario file");
	err = scenario_load(&r.s, argv[optind]);
	r.start = calloc(r.s.nr_tasks + 1, sizeof(*r.start));
	r.best = calloc(r.s.nr_tasks + 1, sizeof(*r.best));
	r.vm_left = calloc(r.s.nr_vms + 1, sizeof(*r.vm_left));
	r.vm_placed = calloc(r.s.nr_vms + 1, sizeof(*r.vm_placed));
	if (!err && (!r.start || !r.best || !r.vm_left || !r.vm_placed))
		err = fail("out of memory");
	if (!err) {
		current_plan(&r, r.start);
		err = simulate(&r);
	}
	if (!err)
		print(&r);
	free(r.start);
	free(r.best);
	free(r.vm_left);
	free(r.vm_placed);
	scenario_free(&r.s);
	return err;
}
