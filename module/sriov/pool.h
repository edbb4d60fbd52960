/* SPDX-License-Identifier: GPL-2.0 */
/*
 * SR-IOV pools: what belongs to the room.
 *
 * A pool belongs to a virtual switch. It has members: PFs, and of each some VFs.
 * It has ports: the taps of VMs on that switch. A VF that is leased is a port's.
 *
 * What is there is looked at anew whenever something may have changed, rather
 * than pieced together from events: the taps that are on switches, who has them
 * open, which VFs a PF has. An event that is lost or comes twice does no harm.
 *
 * A VF's life (enum keel_vf_state)::
 *
 *	absent -> foreign -> scrubbing -> free -> leasing -> leased
 *	                         ^                   |          |
 *	                         +---- releasing <---+----------+
 *
 * and from anywhere to absent, when the device goes, or to quarantined, when it
 * does not do what it is told. While it is free no driver has it, and none but
 * keel can bind one: nobody can open it. What it was told for one VM is taken
 * back, and that is verified, before it is free. Each lease has a generation: who
 * ends one says which, so what comes late ends nobody else's.
 *
 * keel_sriov.making is held, before any other lock, from looking how many VFs a PF has
 * until they are a pool's or gone: members come and go one after the other.
 *
 * keel_sriov.lock protects all of it but hardware. A VF in a state with work to do
 * (foreign, scrubbing, leasing, releasing) belongs to its work: that alone touches
 * the device, without the lock, and alone moves it on. Others leave it a mark:
 * gone, ending, leaving. Since the device's own locks and rtnl_lock() are taken by
 * that work only, without keel_sriov.lock, notifiers that come with them held may
 * take the lock.
 *
 * Which bridge of Open vSwitch a tap is on was told by somebody; that is rtnl_lock()'s
 * alone (switch.c). A look takes it down with the taps' masters, so it is of the same
 * instant, and then takes keel_sriov.lock: what is told or forgotten in between is
 * seen by another look, which that calls for.
 */
#ifndef KEEL_SRIOV_POOL_H
#define KEEL_SRIOV_POOL_H

#include <linux/if.h>
#include <linux/if_ether.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "core/netlink.h"

#define KEEL_POOL_NAME_LEN	32
#define KEEL_PCI_NAME_LEN	16	/* 0000:00:00.0 */
#define KEEL_WHY_LEN		128
#define KEEL_VLAN_MAX		4094
#define KEEL_MEMBERS_MAX	64	/* of a pool */
#define KEEL_TOLD_MAX		16384	/* taps whose bridge was told */

/* For a profile: on, unless the driver does not know of such a thing. */
#define KEEL_SPOOFCHECK_IF_ABLE	2

/**
 * struct keel_vf_profile - what a VF is told when it is leased
 * @vlan: tag, 0 for none
 * @trust: it may set its MAC and go promiscuous
 * @spoofcheck: what it sends must be from its MAC; 0, 1 or KEEL_SPOOFCHECK_IF_ABLE
 * @min_rate: Mbit/s, 0: none
 * @max_rate: likewise
 * @mac: its MAC; zero after scrubbing
 */
struct keel_vf_profile {
	u32 vlan;
	u32 trust;
	u32 spoofcheck;
	u32 min_rate;
	u32 max_rate;
	u8 mac[ETH_ALEN];
};

/**
 * struct keel_vf_former - what a VF had when it was taken
 * @driver: its driver, "" for none
 * @override: the one driver that might have it, "" for any
 */
struct keel_vf_former {
	char driver[32];
	char override[32];
};

struct keel_member;
struct keel_port;

/**
 * struct keel_vf - a VF of a pool
 * @member: its PF
 * @index: its number
 * @pdev: the device, held; NULL while absent
 * @state: what it is at
 * @generation: of the lease, or the last one
 * @port: whose it is; NULL if that has gone, or it is not leased
 * @vm: number of the VM that has it, until the lease is over; else 0
 * @told: what it was told for the lease
 * @since: CLOCK_REALTIME of its state, ns
 * @gone: the device is being removed
 * @dying: the device that is, until it is not to be found any more; to be compared
 *	with, no more
 * @ending: the lease is to end as soon as it has begun
 * @leaving: the pool is to have it no more
 * @holds: it holds the module
 * @taken: from what it had
 * @former: that
 * @reset: it has been, since it was last used
 * @waited: for who holds it, ms
 * @configure_ns: the last lease took so long to configure
 * @bind_ns: and to bind
 * @unbind_ns: and to take from its driver, when it was over
 * @reset_ns: the last reset took so long; 0 if VFIO had done it
 * @scrub_ns: the last scrubbing took so long, with that
 * @why: why it is foreign, releasing or quarantined
 * @work: what is to be done to it
 */
struct keel_vf {
	struct keel_member *member;
	u32 index;
	struct pci_dev *pdev;
	enum keel_vf_state state;
	u32 generation;
	struct keel_port *port;
	u32 vm;
	struct keel_vf_profile told;
	u64 since;
	bool gone;
	const struct pci_dev *dying;
	bool ending;
	bool leaving;
	bool holds;
	bool taken;
	struct keel_vf_former former;
	bool reset;
	unsigned int waited;
	u64 configure_ns;
	u64 bind_ns;
	u64 unbind_ns;
	u64 reset_ns;
	u64 scrub_ns;
	char why[KEEL_WHY_LEN];
	struct delayed_work work;
};

/**
 * struct keel_member - VFs of a PF that are in a pool
 * @node: in the pool's
 * @pool: the pool
 * @name: address of the PF
 * @pf: the PF, held; NULL while it is not there
 * @made: its VFs were made for the pool
 * @leaving: it goes when all its VFs have
 * @why: what is wrong with it, "" if nothing is
 * @nr: VFs that the pool has of it
 * @vf: these
 */
struct keel_member {
	struct list_head node;
	struct keel_vf_pool *pool;
	char name[KEEL_PCI_NAME_LEN];
	struct pci_dev *pf;
	bool made;
	bool leaving;
	char why[KEEL_WHY_LEN];
	u32 nr;
	struct keel_vf vf[];
};

/**
 * struct keel_port_rule - what was told of a port, there or not
 * @node: in the pool's
 * @name: of the tap
 * @priority: the higher, the sooner
 * @mac: of the guest's network device; zero: not told
 * @mac_vm: number of the VM that had the port when that was told: it is that VM's;
 *	0: whoever's that comes
 * @reserved: a VF is kept for it
 * @until: end of that, in jiffies
 */
struct keel_port_rule {
	struct list_head node;
	char name[IFNAMSIZ];
	u32 priority;
	u8 mac[ETH_ALEN];
	u32 mac_vm;
	bool reserved;
	u64 until;
};

/**
 * struct keel_port - a tap on a pool's switch
 * @node: in the pool's
 * @pool: the pool
 * @name: of the tap
 * @ifindex: likewise
 * @rule: what was told of it, or NULL
 * @vm: number of the VM that has it open, 0: none
 * @pid: its VMM
 * @numa: where most of its vCPUs last ran, or NUMA_NO_NODE
 * @since: CLOCK_REALTIME at which it was seen, ns
 * @order: of all ports that came
 * @vf: the VF it has, or NULL
 * @declined: it is to have none, until something is told of it
 * @refusal: why, if its last VF could not be told what to be; "" else
 * @outbid: its last VF was taken for a port of higher priority
 * @seen: by the look under way
 */
struct keel_port {
	struct list_head node;
	struct keel_vf_pool *pool;
	char name[IFNAMSIZ];
	int ifindex;
	struct keel_port_rule *rule;
	u32 vm;
	pid_t pid;
	int numa;
	u64 since;
	u64 order;
	struct keel_vf *vf;
	bool declined;
	char refusal[KEEL_WHY_LEN];
	bool outbid;
	bool seen;
};

/**
 * struct keel_vf_pool - a pool
 * @node: in keel_sriov.pools
 * @name: its own
 * @on: name of the switch
 * @policy: which VF a VM gets
 * @mac: which MAC the VF gets
 * @reserve: so many stay free, but for who has reserved one
 * @reclaim: a port gets the VF of one of lower priority
 * @profile: what else it is told
 * @leaving: it goes when its last member has
 * @leases: so far
 * @members: its PFs
 * @ports: of the switch
 * @rules: what was told of ports
 */
struct keel_vf_pool {
	struct list_head node;
	char name[KEEL_POOL_NAME_LEN];
	char on[IFNAMSIZ];
	enum keel_pool_policy policy;
	enum keel_pool_mac mac;
	u32 reserve;
	u32 reclaim;
	struct keel_vf_profile profile;
	bool leaving;
	u64 leases;
	struct list_head members;
	struct list_head ports;
	struct list_head rules;
};

/**
 * struct keel_sriov - the room
 * @making: members are made and freed under it
 * @lock: protects all of it, and whatever it leads to
 * @pools: all of them
 * @ports: so many came
 * @closed: keel is being unloaded
 * @changed: woken whenever a VF has moved or something has left
 * @turns: so many times
 * @wq: the works of VFs
 * @look: looks at switches and PFs
 */
struct keel_sriov {
	struct mutex making;	/* members, as said above */
	struct mutex lock;	/* all of it, likewise */
	struct list_head pools;
	u64 ports;
	bool closed;
	wait_queue_head_t changed;
	atomic_t turns;
	struct workqueue_struct *wq;
	struct delayed_work look;
};

extern struct keel_sriov keel_sriov;

/* Of a member's VFs, or all VFs of a pool. */
#define keel_member_for_each_vf(vf, m) \
	for ((vf) = (m)->vf; (vf) < (m)->vf + (m)->nr; (vf)++)

/* sriov.c */
void keel_sriov_look(unsigned int ms);
void keel_sriov_wake(void);

/* pool.c */
struct keel_vf_pool *keel_vf_pool_find(const char *name);
struct keel_vf_pool *keel_vf_pool_of(const char *on);
struct keel_vf_pool *keel_vf_pool_create(const char *name, const char *on);
void keel_vf_pool_leave(struct keel_vf_pool *pool);
void keel_vf_pool_free(struct keel_vf_pool *pool);
void keel_vf_pool_assign(struct keel_vf_pool *pool);
void keel_vf_pools_assign(void);
bool keel_mac_used(const u8 *mac);
u32 keel_vf_pool_nr_free(const struct keel_vf_pool *pool);
u32 keel_vf_pool_nr_reserved(const struct keel_vf_pool *pool);

/* member.c */
struct keel_member *keel_member_create(const char *name, struct pci_dev *pf,
				       const u32 *vfs, u32 nr);
void keel_member_bequeath(struct keel_member *m);
void keel_member_free(struct keel_member *m);
void keel_member_look(struct keel_member *m);
void keel_member_leave(struct keel_member *m);
bool keel_member_left(const struct keel_member *m);
bool keel_member_held(const struct keel_member *m);
int keel_pf_set_vfs(struct pci_dev *pf, u32 nr);
void keel_sriov_device_gone(struct pci_dev *pdev, bool removed);
struct keel_vf *keel_vf_find(const char *pci);

/* vf.c */
void keel_vf_init(struct keel_vf *vf, struct keel_member *m, u32 index);
void keel_vf_appear(struct keel_vf *vf, struct pci_dev *pdev);
void keel_vf_vanish(struct keel_vf *vf);
int keel_vf_lease(struct keel_vf *vf, struct keel_port *port);
void keel_vf_end(struct keel_vf *vf, const char *why);
void keel_vf_leave(struct keel_vf *vf);
bool keel_vf_held(const struct keel_vf *vf);
bool keel_vf_told(const struct keel_vf *vf);
bool keel_vf_coming(const struct keel_vf *vf);

/* vf_hw.c: the device itself; without keel_sriov.lock */
struct net_device *keel_pf_netdev(const struct pci_dev *pf);
bool keel_hw_users(struct pci_dev *pdev, char *why, size_t len);
int keel_hw_isolated(struct pci_dev *pdev, char *why, size_t len);
int keel_hw_take(struct pci_dev *pdev, struct keel_vf_former *former, char *why,
		 size_t len);
int keel_hw_take_back(struct pci_dev *pdev, bool *reset, char *why, size_t len);
void keel_hw_give_back(struct pci_dev *pdev, const struct keel_vf_former *former);
int keel_hw_reset(struct pci_dev *pdev, char *why, size_t len);
int keel_hw_clean(struct pci_dev *pdev, u32 index, char *why, size_t len);
int keel_hw_configure(struct pci_dev *pdev, u32 index,
		      const struct keel_vf_profile *p, char *why, size_t len);
int keel_hw_bind(struct pci_dev *pdev, char *why, size_t len);

/* tap.c: who has which tap open */

/**
 * struct keel_tap - a tap that is a port of some switch
 * @name: its own
 * @ifindex: likewise
 * @on: name of the switch
 * @vm: number of the VM that has it open, 0: none
 * @pid: its VMM
 * @numa: where most of its vCPUs last ran, or NUMA_NO_NODE
 */
struct keel_tap {
	char name[IFNAMSIZ];
	int ifindex;
	char on[IFNAMSIZ];
	u32 vm;
	pid_t pid;
	int numa;
};

int keel_taps_find(struct keel_tap **taps, size_t *nr);

/* switch.c: which switch a tap is on; under rtnl_lock() */

/**
 * struct keel_switch_port - a tap that is or was in a datapath of Open vSwitch
 * @name: its own
 * @ifindex: likewise
 * @datapath: name of the datapath; "": it has left
 * @on: name of the bridge; "": nobody has told
 */
struct keel_switch_port {
	char name[IFNAMSIZ];
	int ifindex;
	char datapath[IFNAMSIZ];
	char on[IFNAMSIZ];
};

bool keel_is_tap(const struct net_device *dev);
bool keel_may_be_switch(const struct net_device *dev, const char **why);
const char *keel_tap_switch(struct net_device *dev);
bool keel_switch_port_get(struct net_device *dev, struct keel_switch_port *port);
int keel_switch_tell(struct net_device *dev, const char *on);
void keel_switch_netdev(unsigned long event, void *ptr);
void keel_switch_exit(void);

/* switch_netlink.c */
void keel_switch_port_announce(const struct keel_switch_port *port);

/* port.c */
int keel_ports_look(void);
void keel_port_forget(struct keel_port *port);
int keel_port_rule_set(struct keel_vf_pool *pool, const char *name,
		       const u32 *priority, const u8 *mac);
int keel_port_reserve(struct keel_vf_pool *pool, const char *name, u32 seconds);
int keel_port_cancel(struct keel_vf_pool *pool, const char *name);
void keel_port_arrived(struct keel_port *port);
void keel_port_decline(struct keel_port *port, const char *why);
void keel_port_undecline(struct keel_port *port);
void keel_ports_reconsider(struct keel_vf_pool *pool);
unsigned int keel_ports_expire(void);
enum keel_port_state keel_port_state(const struct keel_port *port,
				     const char **why);

/* pool_change.c */
const char *keel_nl_word(struct genl_info *info, int attr, size_t room,
			 const char *why);
struct keel_vf_pool *keel_nl_pool(struct genl_info *info);

/* port_change.c */
const char *keel_nl_port(struct genl_info *info);

/* pool_netlink.c */
void keel_vf_announce(const struct keel_vf *vf);
void keel_port_announce(const struct keel_port *port, bool gone);

#endif /* KEEL_SRIOV_POOL_H */
