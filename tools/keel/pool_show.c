// SPDX-License-Identifier: GPL-2.0
/* keel pool show: who has which VF, and why a VM has none. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "out.h"
#include "pool.h"

static void show_rates(const struct keel_pool_options *o)
{
	out_u64("min_rate", o->min_rate ? ", at least %llu Mbit/s" : NULL,
		o->min_rate);
	out_u64("max_rate", o->max_rate ? ", at most %llu Mbit/s" : NULL,
		o->max_rate);
}

static void show_pool_head(const struct keel_pool *p)
{
	const struct keel_pool_options *o = &p->options;

	out_str("name", "pool %s", p->name);
	out_str("switch", " on %s", p->on);
	out_str("policy", ": %s", keel_pool_policy_name(o->policy));
	out_str("mac", ", MAC %s", keel_pool_mac_name(o->mac));
	out_u64("vlan", o->vlan ? ", VLAN %llu" : NULL, o->vlan);
	out_bool("trust", o->trust ? ", trusted" : NULL, o->trust);
	out_bool("spoofcheck", o->spoofcheck ? NULL : ", no spoof check",
		 o->spoofcheck);
	show_rates(o);
	out_u64("reserve", o->reserve ? ", %llu kept free" : NULL, o->reserve);
	out_bool("reclaim", o->reclaim ? ", reclaims" : NULL, o->reclaim);
	out_text("\n");
	out_u64("vfs", "  %llu VFs", p->vfs);
	out_u64("free", ", %llu free", p->free);
	out_u64("leased", ", %llu leased", p->leased);
	out_u64("quarantined", p->quarantined ? ", %llu quarantined" : NULL,
		p->quarantined);
	out_u64("waiting", p->waiting ? "; %llu VMs wait for one" : NULL,
		p->waiting);
	out_u64("leases", "; %llu leases so far\n", p->leases);
}

/* 0,2-7 */
static void show_numbers(const uint32_t *v, uint32_t nr)
{
	out_array("vfs");
	for (uint32_t i = 0, k; i < nr; i = k) {
		for (k = i + 1; k < nr && v[k] == v[k - 1] + 1; k++)
			;
		out_text("%s%u", i ? "," : " ", v[i]);
		if (k > i + 1)
			out_text("-%u", v[k - 1]);
	}
	for (uint32_t i = 0; i < nr; i++)
		out_u64(NULL, NULL, v[i]);
	out_end();
}

static void show_node(uint32_t node, const char *fmt)
{
	if (node != KEEL_NO_NODE)
		out_u64("node", fmt, node);
	else
		out_text(fmt ? "%4s" : "", "-");
}

static void show_members(const struct keel_pool *p)
{
	out_array("members");
	for (uint32_t i = 0; i < p->nr_members; i++) {
		const struct keel_pool_member *m = &p->member[i];

		out_object(NULL);
		out_str("pf", "  PF %s", m->pci);
		if (m->node != KEEL_NO_NODE)
			out_u64("node", " on node %llu", m->node);
		out_text(", VFs");
		show_numbers(m->vf, m->nr);
		out_bool("made", m->made ? ", made for it" : NULL, m->made);
		if (m->why[0])
			out_str("why", ": %s", m->why);
		out_text("\n");
		out_end();
	}
	out_end();
}

static void show_reservations(const struct keel_pool *p)
{
	out_array("reservations");
	for (uint32_t i = 0; i < p->nr_reservations; i++) {
		out_object(NULL);
		out_str("port", "  a VF is kept for %s",
			p->reservation[i].port);
		out_u64("left_ms", NULL, p->reservation[i].left_ms);
		out_text(", for %u s more\n",
			 (p->reservation[i].left_ms + 999) / 1000);
		out_end();
	}
	out_end();
}

/* A column of the table; what there is not has no key. */
static void show_word(const char *key, const char *fmt, const char *word)
{
	if (word[0])
		out_str(key, fmt, word);
	else
		out_text(fmt, "-");
}

static void show_vf(const struct keel_pool_vf *vf)
{
	char mac[MAC_TEXT_LEN], time[48];

	out_object(NULL);
	show_word("vf", "  %-13s", vf->pci);
	out_str("pf", NULL, vf->pf);
	out_u64("index", NULL, vf->index);
	out_str("state", " %-11s", keel_vf_state_name(vf->state));
	out_u64("generation", " %6llu", vf->generation);
	out_str("since", " %s",
		time_text(vf->since_ns, time, sizeof(time)));
	show_node(vf->node, " %4llu");
	show_word("mac", " %-17s", vf->told ? mac_text(vf->mac, mac) : "");
	if (vf->told)
		out_u64("vlan", " %4llu", vf->vlan);
	else
		out_text("    -");
	show_word("port", " %-15s", vf->port);
	if (vf->vm)
		out_u64("vm", " %llu", vf->vm);
	if (vf->why[0])
		out_str("why", " %s", vf->why);
	out_u64("configure_ns", NULL, vf->configure_ns);
	out_u64("bind_ns", NULL, vf->bind_ns);
	out_u64("unbind_ns", NULL, vf->unbind_ns);
	out_u64("reset_ns", NULL, vf->reset_ns);
	out_u64("scrub_ns", NULL, vf->scrub_ns);
	out_text("\n");
	out_end();
}

static void show_vfs(const struct keel_pool *p, const struct keel_pools *a)
{
	bool first = true;

	out_array("devices");
	for (int i = 0; i < a->nr_vfs; i++) {
		if (strcmp(a->vf[i].pool, p->name))
			continue;
		if (first)
			out_text("  %-13s %-11s %6s %-29s %4s %-17s %4s %-15s VM\n",
				 "VF", "STATE", "GEN", "SINCE", "NODE", "MAC",
				 "VLAN", "PORT");
		first = false;
		show_vf(&a->vf[i]);
	}
	out_end();
}

static void show_port(const struct keel_pool_port *port)
{
	static const uint8_t none[6];
	char mac[MAC_TEXT_LEN], time[48];
	char *name = port->vm ? vm_name(port->pid) : NULL;

	out_object(NULL);
	out_str("port", "  port %s", port->name);
	out_str("state", ": %s", keel_port_state_name(port->state));
	if (port->vf[0]) {
		out_str("vf", " %s", port->vf);
		out_u64("generation", NULL, port->generation);
	}
	if (port->vm) {
		out_u64("vm", ", vm %llu", port->vm);
		out_u64("pid", NULL, port->pid);
		out_str("name", name ? " %s" : NULL, name);
	}
	if (port->node != KEEL_NO_NODE)
		out_u64("node", " on node %llu", port->node);
	out_u64("priority", port->priority ? ", priority %llu" : NULL,
		port->priority);
	if (memcmp(port->mac, none, sizeof(none)))
		out_str("mac", NULL, mac_text(port->mac, mac));
	out_str("since", NULL, time_text(port->since_ns, time, sizeof(time)));
	if (port->why[0])
		out_str("why", ": %s", port->why);
	out_text("\n");
	out_end();
	free(name);
}

static void show_pool(const struct keel_pool *p, const struct keel_pools *a)
{
	out_object(NULL);
	show_pool_head(p);
	show_members(p);
	show_reservations(p);
	show_vfs(p, a);
	out_array("ports");
	for (int i = 0; i < a->nr_ports; i++)
		if (!strcmp(a->port[i].pool, p->name))
			show_port(&a->port[i]);
	out_end();
	out_end();
}

static int show(const struct keel_pools *a, const char *only)
{
	bool any = false;

	out_array(NULL);
	for (int i = 0; i < a->nr_pools; i++) {
		if (only && strcmp(only, a->pool[i].name))
			continue;
		show_pool(&a->pool[i], a);
		any = true;
	}
	if (only && !any)
		return bad("there is no pool '%s'; 'keel pool' lists what there is", only);
	if (!any)
		out_text("no pools; 'keel pool create' makes one\n");
	return 0;
}

int pool_show(int argc, char **argv)
{
	static const struct option options[] = { { 0 } };
	struct keel_pools a;
	struct keel *keel;
	int err;

	if (next_option(argc, argv, options) != -1)
		return -1;
	if (argc - optind > 1)
		return bad("pool show: give one pool, or none");
	if (keel_connect(&keel))
		return -1;
	err = keel_pools_get(keel, &a) ? fail("%s", keel_error(keel)) :
	      show(&a, argv[optind]);
	keel_pools_put(&a);
	keel_close(keel);
	return err;
}
