// SPDX-License-Identifier: GPL-2.0
/* keel place status and explain: what placement does, and why. */
#include <stdlib.h>
#include <string.h>

#include "keel.h"
#include "out.h"
#include "place.h"

static const struct keel_site *site_of(const struct keel_place *p, uint32_t index)
{
	return index < p->nr_sites ? &p->site[index] : NULL;
}

static void show_site(const struct keel_site *s)
{
	out_object(NULL);
	out_u64("index", "site %-3llu", s->index);
	out_u64("node", " node %-3llu", s->node);
	out_str("cpus", " CPUs %-12s", s->cpus);
	out_u64("cores", NULL, s->cores);
	out_size("cache", " cache %-10s", (uint64_t)s->cache_kib << 10);
	out_real("foreign", " used by others %.2f CPUs\n", s->foreign / 1024.0);
	out_end();
}

static void show_touched(const struct keel_place *p, const struct keel_thread *t)
{
	char key[16];

	if (out_json)
		out_object("touched");
	for (uint32_t i = 0; i < p->nr_nodes; i++) {
		snprintf(key, sizeof(key), "%u", p->node[i]);
		if (out_json)
			out_u64(key, NULL, (uint64_t)t->touched[i] << 10);
		else if (t->touched[i])
			out_text(" %uM on %u", t->touched[i] >> 10, p->node[i]);
	}
	if (out_json)
		out_end();
}

/* Costs are 1024 times tenths of ns for a vCPU that is always busy. */
static double cost_ns(int64_t cost)
{
	return cost / 1024.0 / 10;
}

/* What would better be elsewhere, if anything. */
static void show_memory(const struct keel_place *p, const struct keel_memory *m,
			const char *whose)
{
	bool first = true;

	if (!m->from)
		return;
	out_object("memory");
	out_size("size", "         %s", (uint64_t)m->kib << 10);
	out_text(" of %s on node ", whose);
	out_array("from");
	for (uint32_t i = 0; i < p->nr_nodes; i++) {
		if (!(m->from >> i & 1))
			continue;
		out_u64(NULL, first ? "%llu" : ",%llu", p->node[i]);
		first = false;
	}
	out_end();
	out_u64("to", " would better be on node %llu:", m->to);
	out_real("saves_ns", " saves %.1f ns", cost_ns(m->saves));
	out_real("copy_ns", ", copying costs %.1f\n", cost_ns(m->copy));
	out_end();
}

static void show_thread(const struct keel_place *p, const struct keel_thread *t)
{
	const struct keel_site *at = site_of(p, t->site);
	const struct keel_site *to = site_of(p, t->plan);

	out_object(NULL);
	out_str("kind", "  %-6s", keel_place_kind_name(t->kind));
	if (t->kind == KEEL_PLACE_KIND_VCPU)
		out_u64("vcpu", " %-3llu", t->index);
	else
		out_str("comm", " %s", t->comm);
	out_u64("tid", " thread %-7llu", t->tid);
	out_str("state", " %-6s", keel_place_state_name(t->state));
	out_real("busy", " busy %.2f", t->util / 1024.0);
	if (at && to) {
		out_u64("node", " node %llu", at->node);
		out_u64("site", NULL, at->index);
		out_u64("plan_node", at->node != to->node ? " -> %llu" : NULL,
			to->node);
		out_u64("plan_site", NULL, to->index);
		out_real("expected_ns", " %.1f ns", t->expected / 10.0);
	}
	out_u64("moves", " moves %llu", t->moves);
	show_touched(p, t);
	out_text("\n");
	show_memory(p, &t->memory, "its memory");
	out_end();
}

static void show_vm(const struct keel_place *p, const struct keel_place_vm *vm)
{
	char *name = vm_name(vm->pid);

	out_object(NULL);
	out_u64("id", "vm %llu", vm->id);
	out_str("name", " %s", name);
	out_str("mode", ": %s", keel_place_mode_name(vm->mode));
	out_size("shared", vm->shared_kib ? ", %s used by nobody knows whom" : NULL,
		 (uint64_t)vm->shared_kib << 10);
	out_text("\n");
	show_memory(p, &vm->memory, "that");
	out_array("threads");
	for (uint32_t i = 0; i < vm->nr_threads; i++)
		show_thread(p, &vm->thread[i]);
	out_end();
	out_end();
	free(name);
}

static void show_counts(const struct keel_place *p)
{
	out_bool("running", NULL, p->running);
	if (!p->running) {
		out_text("nothing is placed; 'keel place start' begins it\n");
		return;
	}
	out_u64("period_ms", "each %llu ms", p->period_ms);
	out_str("temper", ", temper %s", keel_place_temper_name(p->temper));
	out_str("grain", ", by %s", keel_place_grain_name(p->grain));
	out_u64("samples", ", %llu samples of each VM", p->samples);
	out_str("source", ", latencies: %s\n", keel_place_source_name(p->source));
	out_u64("periods", "%llu periods", p->periods);
	out_u64("moves", ", %llu moves", p->moves);
	out_u64("left", ", %llu threads left alone", p->left);
	out_u64("sampled", ", %llu folios sampled", p->sampled);
	out_u64("unmapped", " in %llu unmaps", p->unmapped);
	out_u64("memory_mib", p->memory_mib ? "; memory follows, %llu MiB/s" : NULL,
		p->memory_mib);
	out_size("carried", p->memory_mib ? ": %s" : NULL, p->carried_kib << 10);
	out_u64("stuck", p->memory_mib ? ", %llu folios could not" : NULL, p->stuck);
	out_ms("observe_ns", "; the last look took %.3f ms", p->observe_ns);
	out_ms("decide_ns", ", the decision %.3f ms\n", p->decide_ns);
}

static int show_vms(struct keel *keel, const struct keel_place *p)
{
	struct keel_place_vm *vms;
	int nr = keel_place_vm_list(keel, &vms);

	if (nr < 0)
		return fail("%s", keel_error(keel));
	out_array("vms");
	for (int i = 0; i < nr; i++)
		show_vm(p, &vms[i]);
	out_end();
	keel_place_vm_list_free(vms, nr);
	return 0;
}

int place_status(int argc, char **argv)
{
	struct keel_place p;
	struct keel *keel;
	int err;

	if (nothing_more(argc, argv, "place status") || keel_connect(&keel))
		return -1;
	err = keel_place_get(keel, &p);
	if (err) {
		fail("%s", keel_error(keel));
	} else {
		out_object(NULL);
		show_counts(&p);
		out_array("sites");
		for (uint32_t i = 0; i < p.nr_sites; i++)
			show_site(&p.site[i]);
		out_end();
		if (p.running)
			err = show_vms(keel, &p);
		keel_place_release(&p);
	}
	keel_close(keel);
	return err ? -1 : 0;
}

static void explain_site(const struct keel_place *p, const struct keel_thread *t,
			 const struct keel_reason *r)
{
	const struct keel_site *s = site_of(p, r->site);

	out_object(NULL);
	out_u64("site", "    site %-3llu", r->site);
	if (s) {
		out_u64("node", " node %-3llu", s->node);
		out_str("cpus", " CPUs %-10s", s->cpus);
	}
	out_real("memory_ns", " memory %6.1f ns", r->memory / 10.0);
	out_real("miss", " missed %5.3f", r->miss / 1024.0);
	out_real("slowdown", " slowed %5.2f", r->slowdown / 1024.0);
	out_real("expected_ns", " = %6.1f ns", r->expected / 10.0);
	out_real("others_ns", "; costs others %7.1f", cost_ns(r->others));
	out_real("move_ns", ", the move %6.1f", cost_ns(r->move));
	out_bool("allowed", NULL, r->allowed);
	out_bool("here", " here", r->site == t->site);
	out_bool("plan", " chosen", r->site == t->plan);
	if (!r->allowed)
		out_text(" not allowed");
	out_text("\n");
	out_end();
}

static int explain_vcpu(struct keel *keel, const struct keel_place *p,
			uint32_t id, const struct keel_thread *t)
{
	struct keel_place_vm vm;
	int err;

	err = keel_place_explain(keel, id, t->index, &vm);
	if (err)
		return request_error(keel, err);
	out_object(NULL);
	show_thread(p, t);
	out_array("sites");
	for (uint32_t i = 0; i < vm.nr_reasons; i++)
		explain_site(p, t, &vm.reason[i]);
	out_end();
	out_end();
	keel_place_vm_release(&vm);
	return 0;
}

static int explain_vm(struct keel *keel, const struct keel_place *p,
		      const struct keel_place_vm *vm, bool one, uint32_t vcpu)
{
	bool any = false;
	int err = 0;

	out_array(NULL);
	for (uint32_t i = 0; i < vm->nr_threads && !err; i++) {
		const struct keel_thread *t = &vm->thread[i];

		if (t->kind != KEEL_PLACE_KIND_VCPU || (one && t->index != vcpu))
			continue;
		any = true;
		err = explain_vcpu(keel, p, vm->id, t);
	}
	out_end();
	if (!any)
		return bad("VM %u has no vCPU %u; 'keel vm show %u' shows them",
			   vm->id, vcpu, vm->id);
	return err;
}

static int explain(struct keel *keel, uint32_t id, bool one, uint32_t vcpu)
{
	struct keel_place_vm *vms;
	struct keel_place p;
	int err, nr, i = 0;

	if (keel_place_get(keel, &p))
		return fail("%s", keel_error(keel));
	nr = keel_place_vm_list(keel, &vms);
	while (i < nr && vms[i].id != id)
		i++;
	if (!p.running)
		err = bad("nothing is placed; 'keel place start' begins it");
	else if (nr < 0)
		err = fail("%s", keel_error(keel));
	else if (i == nr)
		err = bad("placement does not know VM %u yet", id);
	else
		err = explain_vm(keel, &p, &vms[i], one, vcpu);
	if (nr >= 0)
		keel_place_vm_list_free(vms, nr);
	keel_place_release(&p);
	return err;
}

/* "VM" or "VM:VCPU"; a name may have a colon if a vCPU follows it. */
static int parse_vcpu(char *word, bool *one, uint32_t *vcpu)
{
	char *colon = strrchr(word, ':');

	*one = colon;
	*vcpu = 0;
	if (!colon)
		return 0;
	if (parse_u32(colon + 1, vcpu))
		return bad("'%s' is not a vCPU's number", colon + 1);
	*colon = 0;
	return 0;
}

int place_explain_verb(int argc, char **argv)
{
	static const struct option options[] = { { 0 } };
	struct keel_vm vm;
	struct keel *keel;
	uint32_t vcpu;
	bool one;
	int err;

	if (next_option(argc, argv, options) != -1)
		return -1;
	if (argc - optind != 1)
		return bad("place explain: give one VM, or VM:VCPU");
	if (parse_vcpu(argv[optind], &one, &vcpu) || keel_connect(&keel))
		return -1;
	err = vm_find(keel, argv[optind], &vm);
	if (!err) {
		err = explain(keel, vm.id, one, vcpu);
		keel_vm_release(&vm);
	}
	keel_close(keel);
	return err ? -1 : 0;
}
