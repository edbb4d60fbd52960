// SPDX-License-Identifier: GPL-2.0
/*
 * What is to be done in a VM: what keel has leased to it and is not plugged in goes
 * in, what is plugged in and not leased any more goes out, and where a port waits for
 * the MAC of the guest's device that is told.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keeld.h"

struct job {
	uint32_t vm;
	uint32_t pid;
	struct keel *keel;
	struct qmp q;
	struct view view;
	bool changed;		/* of job_run() */
	struct keel_pools state;
	json_t *plugged;	/* of plug_list() */
};

static bool is_plugged(const struct job *j, const char *pci)
{
	const char *name;
	json_t *each;

	json_object_foreach(j->plugged, name, each)
		if (!strcmp(json_string_value(each), pci))
			return true;
	return false;
}

/* Has this VM a lease of a VF which goes on? */
static bool has_lease(const struct job *j, const struct keel_pool_vf *vf)
{
	return vf->vm == j->vm && vf->state == KEEL_VF_STATE_LEASED;
}

/* Of that one? @pci is NULL: of any? If not, all that is plugged in is to go. */
static bool is_leased(const struct job *j, const char *pci)
{
	for (int i = 0; i < j->state.nr_vfs; i++)
		if (has_lease(j, &j->state.vf[i]) &&
		    (!pci || !strcmp(j->state.vf[i].pci, pci)))
			return true;
	return false;
}

static bool wants_mac(const struct job *j)
{
	for (int i = 0; i < j->state.nr_ports; i++)
		if (j->state.port[i].vm == j->vm &&
		    state_wants_mac(&j->state, &j->state.port[i]))
			return true;
	return false;
}

static int tell_macs(struct job *j)
{
	struct nic nic;
	int err = 0;

	for (int i = 0; !err && i < j->state.nr_ports; i++) {
		const struct keel_pool_port *port = &j->state.port[i];

		if (port->vm != j->vm || !state_wants_mac(&j->state, port))
			continue;
		err = plug_nic(&j->q, &j->view, j->pid, port->name, &nic);
		if (!err && keel_pool_port_set(j->keel, port->pool, port->name,
					       NULL, nic.mac))
			err = fail("%s", keel_error(j->keel));
	}
	return err;
}

/* The guest's traffic is on the tap of the device again that this one stood in for. */
static void moved_to_tap(struct job *j, const char *name)
{
	bool failed = error_text();
	struct nic nic;

	for (int i = 0; i < j->state.nr_ports; i++) {
		const struct keel_pool_port *port = &j->state.port[i];

		if (port->vm != j->vm)
			continue;
		if (!plug_nic(&j->q, &j->view, j->pid, port->name, &nic) &&
		    plug_stands_in(name, &nic))
			switch_tell(nic.mac, port->name, false);
	}
	/* If there is none any more its bridge need not know. */
	if (!failed)
		error_forget();
}

static int take_out(struct job *j)
{
	const char *name;
	json_t *each;
	int err = 0;

	json_object_foreach(j->plugged, name, each) {
		if (is_leased(j, json_string_value(each)))
			continue;
		/* One that stays must not keep the others in. */
		if (plug_del(&j->q, &j->view, name)) {
			err = -1;
			continue;
		}
		moved_to_tap(j, name);
		say("vm %u: %s is out", j->vm, json_string_value(each));
	}
	return err;
}

/*
 * What QEMU refuses it would refuse again: the lease ends, and the VM stays on its
 * software path.
 */
static int refused(struct job *j, const struct keel_pool_vf *vf)
{
	say("vm %u: %s: %s; the lease ends", j->vm, vf->pci, error_text());
	error_forget();
	node_take_back(vf->pci);
	if (keel_lease_end(j->keel, vf->pci, vf->generation))
		return fail("%s: %s", vf->pci, keel_error(j->keel));
	return 0;
}

static int put_in_one(struct job *j, const struct keel_pool_vf *vf)
{
	const struct keel_pool_port *port = state_port(&j->state, vf);
	const struct keel_pool *pool;
	struct nic nic;
	int err;

	/* It has gone since: its lease is about to end. */
	if (!port)
		return 0;
	if (plug_nic(&j->q, &j->view, j->pid, port->name, &nic) ||
	    node_let_lock(j->pid, view_memory(&j->q, &j->view)) ||
	    node_give(vf->pci, j->pid))
		return -1;
	err = plug_add(&j->q, &j->view, vf, &nic);
	if (err)
		return err > 0 || j->q.silent || j->q.closed ? -1 : refused(j, vf);
	say("vm %u: %s is in%s%s", j->vm, vf->pci,
	    nic.failover ? ", standing in for " : "", nic.failover ? nic.id : "");
	pool = state_pool(&j->state, vf->pool);
	if (nic.failover && pool)
		switch_moved_to_vf(vf, pool->on);
	return 0;
}

/* What is said of one VF is not to be why another is refused. */
static void error_to(char *first, size_t len)
{
	if (!first[0])
		snprintf(first, len, "%s", error_text() ?: "");
	error_forget();
}

static int put_in(struct job *j)
{
	char first[256] = "";
	int err = 0;

	error_to(first, sizeof(first));
	for (int i = 0; i < j->state.nr_vfs; i++) {
		const struct keel_pool_vf *vf = &j->state.vf[i];

		if (!has_lease(j, vf) || is_plugged(j, vf->pci) ||
		    !put_in_one(j, vf))
			continue;
		err = -1;
		error_to(first, sizeof(first));
	}
	if (first[0])
		fail("%s", first);
	return err;
}

static int look_and_do(struct job *j)
{
	bool leases;
	int err;

	if (keel_pools_get(j->keel, &j->state))
		return fail("%s", keel_error(j->keel));
	leases = is_leased(j, NULL);
	if (view_get(&j->q, &j->view, j->changed && (leases || wants_mac(j))))
		return -1;
	j->plugged = plug_list(&j->q, &j->view, leases);
	if (!j->plugged)
		return -1;
	/*
	 * Nor is a MAC told of a VM that is elsewhere: other VFs of the PF would send
	 * what is for the VM to its VF here.
	 */
	if (view_may(&j->view))
		return -1;
	err = tell_macs(j);
	err = take_out(j) ?: err;
	return put_in(j) ?: err;
}

/**
 * job_run - bring a VM to what keel has leased to it
 * @vm: its number in keel's registry
 * @pid: the VMM
 * @changed: keel has told something of it, so that there is something to do, most likely.
 *	Else it may well be as it should be, and its monitor is asked for no more than that.
 *
 * Return: 0, or -1 after fail() or bad(): once more, later.
 */
int job_run(uint32_t vm, uint32_t pid, bool changed)
{
	struct job j = { .vm = vm, .pid = pid, .changed = changed, .q.fd = -1 };
	int err;

	if (keel_open(&j.keel))
		err = fail("%s", keel_error(j.keel));
	else
		err = plug_connect(&j.q, pid) ?: look_and_do(&j);
	json_decref(j.plugged);
	view_put(&j.view);
	keel_pools_put(&j.state);
	qmp_close(&j.q);
	keel_close(j.keel);
	return err;
}
