// SPDX-License-Identifier: GPL-2.0
/* keel monitor: one line an event, or one JSON object a line. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "keel.h"
#include "out.h"
#include "pool.h"

/* A signal that came just before the wait is seen after so long. */
#define LOOK_MS	500

static void print_vm(const struct keel_event *event)
{
	bool new = event->type == KEEL_EVENT_VM_NEW;
	char *name = new ? vm_name(event->vm.pid) : NULL;

	out_str("event", "%s", new ? "vm-new" : "vm-gone");
	out_u64("vm", " vm %llu", event->vm.id);
	out_u64("pid", " pid %llu", event->vm.pid);
	out_str("comm", " %s", event->vm.comm);
	if (name)
		out_str("name", " name %s", name);
	free(name);
}

static void print_snapshot(const struct keel_snapshot *s)
{
	out_str("event", "%s", "snapshot");
	out_u64("snapshot", " %llu", s->id);
	out_u64("vm", " vm %llu", s->vm);
	out_u64("pid", " pid %llu", s->pid);
	out_str("state", " %s", keel_snap_state_name(s->state));
	if (s->state == KEEL_SNAP_ABORTED) {
		out_str("reason", NULL, keel_snap_reason_name(s->reason));
		out_text(": %s", keel_snap_reason_text(s->reason));
	}
	if (s->state == KEEL_SNAP_ARMED || s->state == KEEL_SNAP_COMPLETE) {
		out_u64("pages", ": %llu pages", s->pages);
		out_u64("fault_pages", ", %llu by faults", s->fault_pages);
		out_u64("swept_pages", ", %llu swept", s->swept_pages);
		out_u64("eager_pages", NULL, s->eager_pages);
		out_u64("zero_pages", ", %llu zero", s->zero_pages);
		out_u64("arm_ns", NULL, s->arm_ns);
	}
}

static void print_move(const struct keel_move *m)
{
	out_str("event", "%s", m->left ? "place-left" : "place-move");
	out_u64("vm", " vm %llu", m->vm);
	out_str("kind", " %s", keel_place_kind_name(m->kind));
	if (m->kind == KEEL_PLACE_KIND_VCPU)
		out_u64("vcpu", " %llu", m->index);
	out_u64("tid", " thread %llu", m->tid);
	if (m->left) {
		out_text(": left alone, somebody else has set its affinity");
		return;
	}
	out_u64("from_node", ": from node %llu", m->from_node);
	out_u64("to_node", " to node %llu", m->to_node);
	out_u64("from_site", " (site %llu", m->from_site);
	out_u64("to_site", " to %llu)", m->to_site);
	out_real("expected_ns", ", %.1f ns there", m->expected / 10.0);
}

static void print_pool_vf(const struct keel_pool_vf *vf)
{
	char mac[MAC_TEXT_LEN];

	out_str("event", "%s", "pool-vf");
	out_str("pool", " %s", vf->pool);
	out_str("pf", ": VF of %s", vf->pf);
	out_u64("index", " %llu", vf->index);
	if (vf->pci[0])
		out_str("vf", " (%s)", vf->pci);
	out_str("state", " %s", keel_vf_state_name(vf->state));
	out_u64("generation", ", generation %llu", vf->generation);
	if (vf->port[0])
		out_str("port", ", port %s", vf->port);
	if (vf->vm)
		out_u64("vm", ", vm %llu", vf->vm);
	if (vf->told) {
		out_str("mac", ", MAC %s", mac_text(vf->mac, mac));
		out_u64("vlan", vf->vlan ? ", VLAN %llu" : NULL, vf->vlan);
	}
	if (vf->why[0])
		out_str("why", ": %s", vf->why);
}

static void print_pool_port(const struct keel_pool_port *port, bool gone)
{
	out_str("event", "%s", gone ? "pool-port-gone" : "pool-port");
	out_str("pool", " %s", port->pool);
	out_str("port", ": %s", port->name);
	if (gone)
		return;
	if (port->vm)
		out_u64("vm", " of vm %llu", port->vm);
	out_str("state", " %s", keel_port_state_name(port->state));
	if (port->vf[0])
		out_str("vf", " %s", port->vf);
	if (port->why[0])
		out_str("why", ": %s", port->why);
}

static void print_switch_port(const struct keel_switch_port *port)
{
	out_str("event", "%s", "switch-port");
	out_str("port", " %s", port->name);
	out_u64("ifindex", NULL, port->ifindex);
	if (!port->datapath[0]) {
		out_text(": in no datapath any more");
		return;
	}
	out_str("datapath", " in %s", port->datapath);
	if (port->on[0])
		out_str("switch", ": on %s", port->on);
	else
		out_text(": on which bridge is not told");
}

static void print_event(const struct keel_event *event)
{
	char time[48];

	out_object(NULL);
	out_str("time", "%s ", time_text(real_ns(), time, sizeof(time)));
	if (event->type == KEEL_EVENT_SNAPSHOT)
		print_snapshot(&event->snapshot);
	else if (event->type == KEEL_EVENT_MOVE)
		print_move(&event->move);
	else if (event->type == KEEL_EVENT_POOL_VF)
		print_pool_vf(&event->pool_vf);
	else if (event->type == KEEL_EVENT_POOL_PORT ||
		 event->type == KEEL_EVENT_POOL_PORT_GONE)
		print_pool_port(&event->pool_port,
				event->type == KEEL_EVENT_POOL_PORT_GONE);
	else if (event->type == KEEL_EVENT_SWITCH_PORT)
		print_switch_port(&event->switch_port);
	else
		print_vm(event);
	out_text("\n");
	out_flush();
}

static bool of_pools(const struct keel_event *event)
{
	return event->type == KEEL_EVENT_POOL_VF ||
	       event->type == KEEL_EVENT_POOL_PORT ||
	       event->type == KEEL_EVENT_POOL_PORT_GONE ||
	       event->type == KEEL_EVENT_SWITCH_PORT;
}

static int monitor(bool pools_only)
{
	struct keel_event event;
	struct keel *keel;
	int err;

	if (keel_connect(&keel))
		return -1;
	catch_signals();
	err = keel_events_subscribe(keel);
	while (!err && !stop_signal) {
		err = keel_events_next(keel, &event, LOOK_MS);
		if (err == -EAGAIN) {
			err = 0;
			continue;
		}
		if (err == -ENOBUFS) {
			fprintf(stderr, "keel: %s\n", keel_error(keel));
			err = 0;
			continue;
		}
		if (!err && (!pools_only || of_pools(&event)))
			print_event(&event);
		keel_vm_release(&event.vm);
	}
	if (err && !stop_signal)
		fail("%s", keel_error(keel));
	keel_close(keel);
	return err && !stop_signal ? -1 : 0;
}

int cmd_monitor(int argc, char **argv)
{
	return nothing_more(argc, argv, "monitor") ?: monitor(false);
}

/** pool_events - what "keel monitor" tells, of pools alone */
int pool_events(int argc, char **argv)
{
	return nothing_more(argc, argv, "pool events") ?: monitor(true);
}
