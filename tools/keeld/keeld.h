/* SPDX-License-Identifier: GPL-2.0 */
/*
 * keeld: plugs the VFs that keel has leased to VMs into these, and unplugs them; and
 * tells the kernel which bridges of Open vSwitch taps are on.
 *
 * The kernel knows who has which VF, the VMM knows what is plugged in; keeld keeps
 * nothing that it could not ask them again. Whenever keel tells of a change it looks
 * at all of it, and for each VM in which something is to be done a job does that:
 * a thread of its own, so that a VMM which hangs holds up no other. Devices that keeld
 * has plugged in are known by their names. No lease can begin while a VMM has the VF of
 * an earlier one open, so a VF that is plugged in is that of the lease that is out.
 */
#ifndef KEELD_H
#define KEELD_H

#include <stdbool.h>
#include <stdint.h>

#include "conf.h"
#include "keel.h"
#include "qmp.h"

#define DEVICE_NAME_LEN	80

/* state.c: of what the kernel knows */
const struct keel_pool *state_pool(const struct keel_pools *s, const char *name);
const struct keel_pool_port *state_port(const struct keel_pools *s,
					const struct keel_pool_vf *vf);
bool state_wants_mac(const struct keel_pools *s, const struct keel_pool_port *port);

/* view.c: what a VM's monitor says, before something is done */
#define PERIPHERAL	"/machine/peripheral"

struct view {
	json_t *devices;	/* what is in PERIPHERAL */
	json_t *run;		/* of query-status */
	json_t *migration;	/* of query-migrate */
	json_t *network;	/* of "info network"; NULL: not asked */
	json_t *memory;		/* of query-memory-size-summary */
	json_t *pci;		/* of query-pci; NULL: not asked, or so no longer */
};

int view_get(struct qmp *q, struct view *view, bool more);
void view_put(struct view *view);
const char *view_network(struct qmp *q, struct view *view);
int view_pci(struct qmp *q, struct view *view);
void view_pci_changes(struct view *view);
int view_may(const struct view *view);
uint64_t view_memory(struct qmp *q, struct view *view);

/* plug.c: over a VM's monitor */
struct nic {
	char id[64];		/* of the device; empty if it has none */
	uint8_t mac[6];
	bool failover;
};

int plug_connect(struct qmp *q, uint32_t pid);
int plug_nic(struct qmp *q, struct view *view, uint32_t pid, const char *tap,
	     struct nic *nic);
json_t *plug_list(struct qmp *q, const struct view *view, bool which);
int plug_add(struct qmp *q, struct view *view, const struct keel_pool_vf *vf,
	     const struct nic *nic);
int plug_del(struct qmp *q, struct view *view, const char *name);
bool plug_stands_in(const char *name, const struct nic *nic);

/* node.c: what a VMM that is not root's needs to have a VF */
int node_give(const char *pci, uint32_t pid);
int node_let_lock(uint32_t pid, uint64_t bytes);
void node_take_back(const char *pci);

/* ovs.c: the bridges of Open vSwitch */
void ovs_reconcile(struct keel *keel, bool pools);
int ovs_fd(void);
void ovs_hear(void);
int ovs_wait_ms(void);

/* switch.c: bridges, which have to know where a guest is now */
int switch_tell(const uint8_t *mac, const char *port, bool stay);
void switch_moved_to_vf(const struct keel_pool_vf *vf, const char *bridge);

/* job.c: what is to be done in a VM */
int job_run(uint32_t vm, uint32_t pid, bool changed);

/* notify.c */
void notify(const char *text);
void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
