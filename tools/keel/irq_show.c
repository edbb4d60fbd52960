// SPDX-License-Identifier: GPL-2.0
/* keel irq show: targets, routes, and how often these meet. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "irq.h"
#include "out.h"

/** irq_percent - "98.5", or "-" where there is nothing to be a part of */
char *irq_percent(uint64_t part, uint64_t whole, char *buf)
{
	if (whole)
		snprintf(buf, IRQ_PERCENT_LEN, "%.1f", 100.0 * part / whole);
	else
		strcpy(buf, "-");
	return buf;
}

/** irq_running - those that came while their target ran: what can hit */
uint64_t irq_running(const struct keel_irq_route *r)
{
	return r->direct + r->near + r->far;
}

static uint64_t not_running(const struct keel_irq_route *r)
{
	return r->halted + r->preempted + r->paused;
}

/** irq_show_number - one in a column of words; below 0: none, and no key */
void irq_show_number(const char *key, const char *fmt, int64_t n)
{
	char text[24];

	if (out_json) {
		if (n >= 0)
			out_int(key, NULL, n);
		return;
	}
	snprintf(text, sizeof(text), "%lld", (long long)n);
	out_str(key, fmt, n < 0 ? "-" : text);
}

/** irq_show_device - likewise, whose a route is */
void irq_show_device(const struct keel_irq_route *r)
{
	if (r->id)
		out_u64("id", " route %-7llu", r->id);
	else if (r->device[0])
		out_str("device", " %-13s", r->device);
	else
		out_text(" %-13s", "-");
}

/** irq_show_counts - what became of its interrupts; JSON only */
void irq_show_counts(const struct keel_irq_route *r)
{
	out_u64("direct", NULL, r->direct);
	out_u64("near", NULL, r->near);
	out_u64("far", NULL, r->far);
	out_u64("halted", NULL, r->halted);
	out_u64("preempted", NULL, r->preempted);
	out_u64("paused", NULL, r->paused);
	out_u64("home", NULL, r->home);
}

static void show_target(const struct keel_irq_target *t)
{
	out_object(NULL);
	out_u64("vcpu", "  %-6llu", t->vcpu);
	out_u64("apic", " %-6llu", t->apic);
	irq_show_number("tid", " %-8s", t->tid ? (int64_t)t->tid : -1);
	out_u64("cpu", " %-4llu", t->cpu);
	out_u64("node", " %-4llu", t->node);
	out_str("state", " %-9s", keel_irq_state_name(t->state));
	out_str("mode", " %-5s", keel_irq_mode_name(t->mode));
	out_str("fallback", " %-12s", keel_irq_fallback_name(t->fallback));
	out_bool("posted", NULL, t->posted);
	out_u64("seq", NULL, t->seq);
	out_u64("moves", " %10llu\n", t->moves);
	out_end();
}

/* Whom it is for, and how many these are if it is not one. */
static void show_dest(const struct keel_irq_route *r)
{
	char text[32];

	if (r->programmed >= 0)
		snprintf(text, sizeof(text), "nested");
	else if (r->targets > 1)
		snprintf(text, sizeof(text), "%s:%u",
			 keel_irq_dest_name(r->dest), r->targets);
	else
		snprintf(text, sizeof(text), "%s", keel_irq_dest_name(r->dest));
	out_str("dest", " %-10s", out_json ? keel_irq_dest_name(r->dest) : text);
	out_u64("targets", NULL, r->targets);
	if (r->programmed >= 0)
		out_u64("programmed", NULL, r->programmed);
}

static void show_route(const struct keel_irq_route *r)
{
	char hit[IRQ_PERCENT_LEN], home[IRQ_PERCENT_LEN];

	out_object(NULL);
	irq_show_number("irq", "  %-6s", r->irq ? (int64_t)r->irq : -1);
	irq_show_device(r);
	out_u64("gsi", " %-5llu", r->gsi);
	out_u64("vector", " %-6llu", r->vector);
	show_dest(r);
	irq_show_number("vcpu", " %-6s", r->vcpu);
	out_str("aim", " %-9s", keel_irq_aim_name(r->aim));
	irq_show_number("cpu", " %-4s", r->cpu);
	out_u64("total", " %12llu", r->total);
	irq_show_counts(r);
	out_text(" %5s %5s", irq_percent(r->direct, irq_running(r), hit),
		 irq_percent(r->home, not_running(r), home));
	out_u64("aims", " %8llu", r->aims);
	out_u64("refused", " %7llu\n", r->refused);
	out_end();
}

/* Return: whether it has any. */
static bool show_targets(const struct irq_view *v, uint32_t vm)
{
	bool any = false;

	out_array("targets");
	for (int i = 0; i < v->nr_targets; i++) {
		if (v->target[i].vm != vm)
			continue;
		if (!any && v->target[i].posted)
			out_text("  the hardware posts its devices' interrupts: they are not steered\n");
		if (!any)
			out_text("  %-6s %-6s %-8s %-4s %-4s %-9s %-5s %-12s %10s\n",
				 "TARGET", "APIC", "THREAD", "CPU", "NODE", "STATE",
				 "MODE", "FALLBACK", "MOVES");
		any = true;
		show_target(&v->target[i]);
	}
	out_end();
	return any;
}

static bool show_routes(const struct irq_view *v, uint32_t vm)
{
	bool any = false;

	out_array("routes");
	for (int i = 0; i < v->nr_routes; i++) {
		if (v->route[i].vm != vm)
			continue;
		if (!any)
			out_text("  %-6s %-13s %-5s %-6s %-10s %-6s %-9s %-4s %12s %5s %5s %8s %7s\n",
				 "IRQ", "DEVICE", "GSI", "VECTOR", "FOR",
				 "TARGET", "AIM", "CPU", "TOTAL", "HIT%",
				 "HOME%", "AIMS", "REFUSED");
		any = true;
		show_route(&v->route[i]);
	}
	out_end();
	return any;
}

static void show_vm(const struct irq_view *v, const struct irq_vm *vm)
{
	bool targets, routes;

	out_object(NULL);
	out_u64("id", "vm %llu", vm->id);
	out_str("name", " %s", vm->name);
	out_u64("pid", ", pid %llu\n", vm->pid);
	targets = show_targets(v, vm->id);
	routes = show_routes(v, vm->id);
	if (!targets && !routes)
		out_text("  no table is kept of it\n");
	else if (!routes)
		out_text("  no device has interrupted it so far\n");
	out_end();
}

static void show_head(const struct keel_irq *irq)
{
	irq_show_mode(irq);
	out_u64("nr_vms", ": %llu VMs", irq->vms);
	out_u64("nr_targets", ", %llu targets", irq->targets);
	out_u64("nr_routes", ", %llu routes", irq->routes);
	out_u64("aims", "; aimed %llu times", irq->aims);
	if (out_json || irq->offered) {
		out_u64("offered", "; %llu offered to the host", irq->offered);
		out_u64("heard", irq->heard ? ", heard %llu times" : NULL, irq->heard);
		if (!irq->heard)
			out_text(", which does not listen");
	}
	if (irq->mode == KEEL_IRQ_MODE_OFF)
		out_text("; 'keel irq steer on' begins it");
	out_text("\n");
}

/* @only is NULL for all VMs. */
static int show(struct irq_view *v, const struct keel_vm *only)
{
	if (only && !irq_view_vm(v, only->id, only->pid))
		return -1;
	out_object(NULL);
	show_head(&v->irq);
	out_array("vms");
	for (int i = 0; i < v->nr_vms; i++)
		if (!only || v->vm[i].id == only->id)
			show_vm(v, &v->vm[i]);
	out_end();
	out_end();
	return 0;
}

int irq_show(int argc, char **argv)
{
	static const struct option options[] = { { 0 } };
	struct keel_vm vm = { 0 };
	struct irq_view v = { 0 };
	struct keel *keel;
	bool one;
	int err;

	if (next_option(argc, argv, options) != -1)
		return -1;
	if (argc - optind > 1)
		return bad("irq show: give one VM, by id, QEMU -name or pid, or none");
	one = optind < argc;
	if (keel_connect(&keel))
		return -1;
	err = one ? vm_find(keel, argv[optind], &vm) : 0;
	if (!err)
		err = irq_view_get(keel, &v);
	if (!err)
		err = show(&v, one ? &vm : NULL);
	irq_view_put(&v);
	keel_vm_release(&vm);
	keel_close(keel);
	return err;
}
