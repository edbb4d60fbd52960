/* SPDX-License-Identifier: GPL-2.0 */
/*
 * libkeel: what keel knows and does, without netlink or ioctls in sight.
 *
 * Functions return 0 (or a count) on success and a negative errno on failure;
 * keel_error() then has a sentence, the kernel's own where it gave one.
 */
#ifndef LIBKEEL_H
#define LIBKEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/keel.h>

#define KEEL_COMM_LEN	32

struct keel_host {
	char version[64];
	uint32_t vms;
	uint32_t snapshots;
	uint32_t keelfs_mounts;
	uint64_t keelfs_pages;
	uint64_t pool_pages;
};

struct keel_vcpu {
	uint32_t index;
	uint32_t tid;		/* 0: no thread ran it yet */
	int32_t cpu;		/* -1: no thread */
};

struct keel_region {
	uint32_t slot;
	uint64_t gpa;
	uint64_t size;
	uint64_t hva;
	enum keel_backing backing;
	bool readonly;
	uint64_t ino;		/* 0: no file */
	dev_t dev;
	uint64_t offset;
};

struct keel_vm {
	uint32_t id;
	uint32_t pid;
	char comm[KEEL_COMM_LEN];
	uint64_t memory;
	uint64_t memory_keelfs;
	uint32_t snapshot;	/* 0: none */
	uint32_t nr_vcpus;	/* what the kernel counts */
	uint32_t nr_vcpu;	/* elements of @vcpu */
	uint32_t nr_region;
	struct keel_vcpu *vcpu;
	struct keel_region *region;
};

struct keel_snapshot {
	uint32_t id;
	uint32_t vm;
	uint32_t pid;
	enum keel_snap_state state;
	enum keel_snap_reason reason;
	uint32_t files;
	uint64_t pages;
	uint64_t fault_pages;
	uint64_t swept_pages;
	uint64_t eager_pages;
	uint64_t zero_pages;
	uint64_t pool_pages;
	uint64_t pool_low;
	uint64_t throttled;
	uint64_t throttled_ns;
	uint64_t spilled_pages;
	uint64_t arm_ns;
};

#define KEEL_NODES_MAX	64
#define KEEL_SOURCES	(KEEL_PLACE_SOURCE_SLIT + 1)
#define KEEL_OUTLIERS_MAX 16

/* Latencies are in tenths of ns: a row for each node's CPUs, nr by nr. */
struct keel_matrix {
	enum keel_place_source source;	/* of what is in use */
	uint32_t nr;
	uint32_t node[KEEL_NODES_MAX];
	uint16_t latency[KEEL_NODES_MAX * KEEL_NODES_MAX];
	struct keel_matrix_table {
		uint32_t source;
		bool known;
		bool loaded;
		uint32_t noise;		/* percent */
		char why[128];		/* why it cannot be used, or empty */
		uint16_t latency[KEEL_NODES_MAX * KEEL_NODES_MAX];
	} table[KEEL_SOURCES];
	uint32_t nr_outliers;
	struct keel_matrix_outlier {
		uint32_t cpu;
		uint32_t node;		/* of the memory */
		uint32_t latency;
		uint32_t usual;
	} outlier[KEEL_OUTLIERS_MAX];
};

#define KEEL_CPUS_LEN	128

/* CPUs that share a last level cache. */
struct keel_site {
	uint32_t index;
	uint32_t node;
	char cpus[KEEL_CPUS_LEN];
	uint32_t cores;
	uint32_t cache_kib;
	uint32_t foreign;	/* use by others, 1024 a CPU */
};

struct keel_place {
	bool running;
	uint32_t period_ms;
	enum keel_place_temper temper;
	enum keel_place_grain grain;
	uint32_t samples;
	enum keel_place_source source;
	uint64_t periods;
	uint64_t moves;
	uint64_t left;
	uint64_t sampled;
	uint64_t unmapped;
	uint32_t memory_mib;	/* may be moved in a second */
	uint64_t carried_kib;
	uint64_t stuck;
	uint64_t decide_ns;
	uint64_t observe_ns;
	uint32_t nr_nodes;
	uint32_t node[KEEL_NODES_MAX];
	uint32_t nr_sites;
	struct keel_site *site;
};

/* What is 0 or KEEL_AS_USUAL is as usual. */
#define KEEL_AS_USUAL	UINT32_MAX

struct keel_place_options {
	uint32_t period_ms;
	uint32_t temper;
	uint32_t grain;
	uint32_t samples;
	uint32_t memory_mib;	/* KEEL_AS_USUAL, or so many */
};

/* Memory that would better be elsewhere; all is well if @from is 0. */
struct keel_memory {
	uint64_t from;		/* a bit each, as keel_place.node */
	uint32_t to;		/* id of the node */
	uint32_t kib;
	int64_t saves;		/* 1024 times tenths of ns */
	int64_t copy;
};

#define KEEL_NO_SITE	UINT32_MAX

struct keel_thread {
	enum keel_place_kind kind;
	uint32_t index;		/* of a vCPU */
	uint32_t tid;
	char comm[KEEL_COMM_LEN];
	enum keel_place_state state;
	uint32_t util;		/* 1024: a CPU */
	uint32_t touched[KEEL_NODES_MAX];	/* KiB, as keel_place.node */
	uint32_t site;		/* KEEL_NO_SITE: not part of a decision */
	uint32_t plan;
	uint32_t expected;	/* tenths of ns */
	uint32_t moves;
	struct keel_memory memory;
};

struct keel_place_vm {
	uint32_t id;
	uint32_t pid;
	enum keel_place_mode mode;
	uint32_t shared_kib;
	struct keel_memory memory;	/* of that */
	uint32_t nr_threads;
	struct keel_thread *thread;
	uint32_t nr_reasons;	/* of keel_place_explain() alone */
	struct keel_reason *reason;
};

/* What a site would be for a vCPU; latencies in tenths of ns. */
struct keel_reason {
	uint32_t site;
	bool allowed;
	uint32_t memory;
	uint32_t miss;		/* of 1024 */
	uint32_t slowdown;	/* 1024: none */
	uint32_t expected;
	int64_t others;		/* 1024 times latency */
	int64_t move;
};

/* The last decision, and all that it was made of; units of the module's score.h. */
struct keel_decision {
	uint64_t period;
	uint32_t smt_gain;
	uint32_t miss_floor;
	uint32_t parallel;
	uint64_t horizon_ns;
	uint32_t move_ns;
	uint32_t effort;
	uint32_t seed;
	uint32_t hit;
	uint32_t nr_nodes;
	uint32_t nr_vms;
	uint32_t nr_tasks;	/* there should be */
	uint32_t nr_sites;
	uint32_t nr;		/* elements of @task, and rows of @touched */
	uint16_t latency[KEEL_NODES_MAX * KEEL_NODES_MAX];
	uint32_t room[KEEL_NODES_MAX];
	struct keel_place_site *site;
	struct keel_place_task *task;
	uint32_t *touched;	/* nr by two rows of nr_nodes, the second is shared */
};

struct keel_move {
	uint32_t vm;
	enum keel_place_kind kind;
	uint32_t index;
	uint32_t tid;
	uint32_t from_site;
	uint32_t to_site;
	uint32_t from_node;
	uint32_t to_node;
	uint32_t expected;
	bool left;
};

#define KEEL_POOL_NAME_LEN	32
#define KEEL_IFNAME_LEN		16
#define KEEL_PCI_LEN		16
#define KEEL_WHY_LEN		128
#define KEEL_NO_NODE		UINT32_MAX

/* What VFs are told, and who gets one; KEEL_AS_USUAL in a request: as it is. */
struct keel_pool_options {
	uint32_t policy;	/* enum keel_pool_policy */
	uint32_t mac;		/* enum keel_pool_mac */
	uint32_t reserve;
	uint32_t reclaim;
	uint32_t vlan;
	uint32_t trust;
	uint32_t spoofcheck;
	uint32_t min_rate;	/* Mbit/s */
	uint32_t max_rate;
};

struct keel_pool {
	char name[KEEL_POOL_NAME_LEN];
	char on[KEEL_IFNAME_LEN];	/* its switch */
	struct keel_pool_options options;
	uint32_t vfs;
	uint32_t free;
	uint32_t leased;
	uint32_t quarantined;
	uint32_t waiting;
	uint64_t leases;
	uint32_t nr_members;
	struct keel_pool_member {
		char pci[KEEL_PCI_LEN];
		uint32_t node;		/* KEEL_NO_NODE */
		bool made;
		char why[KEEL_WHY_LEN];
		uint32_t nr;
		uint32_t *vf;		/* numbers */
	} *member;
	uint32_t nr_reservations;
	struct keel_pool_reservation {
		char port[KEEL_IFNAME_LEN];
		uint32_t left_ms;
	} *reservation;
};

struct keel_pool_vf {
	char pool[KEEL_POOL_NAME_LEN];
	char pf[KEEL_PCI_LEN];
	uint32_t index;
	char pci[KEEL_PCI_LEN];		/* empty while absent */
	enum keel_vf_state state;
	uint32_t generation;
	char port[KEEL_IFNAME_LEN];	/* empty: nobody's */
	uint32_t vm;
	uint64_t since_ns;
	bool told;			/* the next two say what it is told */
	uint8_t mac[6];
	uint32_t vlan;
	uint32_t node;			/* KEEL_NO_NODE */
	char why[KEEL_WHY_LEN];
	uint64_t configure_ns;
	uint64_t bind_ns;
	uint64_t scrub_ns;
	uint64_t unbind_ns;
	uint64_t reset_ns;
};

struct keel_pool_port {
	char pool[KEEL_POOL_NAME_LEN];
	char name[KEEL_IFNAME_LEN];
	uint32_t ifindex;
	uint8_t mac[6];			/* of the guest's device; 0: not told */
	enum keel_port_state state;
	uint32_t vm;			/* 0: no VM has it open */
	uint32_t pid;
	uint32_t priority;
	uint64_t since_ns;
	uint32_t node;			/* KEEL_NO_NODE */
	char vf[KEEL_PCI_LEN];
	uint32_t generation;
	char why[KEEL_WHY_LEN];
};

/* A tap that is or was in a datapath of Open vSwitch. */
struct keel_switch_port {
	char name[KEEL_IFNAME_LEN];
	uint32_t ifindex;
	char datapath[KEEL_IFNAME_LEN];	/* empty: it has left */
	char on[KEEL_IFNAME_LEN];	/* its bridge; empty: nobody has told */
};

/* All that is to be known of pools. */
struct keel_pools {
	struct keel_pool *pool;
	struct keel_pool_vf *vf;
	struct keel_pool_port *port;
	int nr_pools;
	int nr_vfs;
	int nr_ports;
};

/* Directed interrupts: what is done, and how much of it. */
struct keel_irq {
	enum keel_irq_mode mode;
	enum keel_irq_fallback fallback;
	uint32_t vms;		/* that have a table */
	uint32_t targets;
	uint32_t routes;
	uint64_t aims;
	uint32_t offered;	/* interrupts of which the host below is told */
	uint32_t heard;		/* times it took that; 0: it does not listen */
};

/* A vCPU, as interrupts see it. */
struct keel_irq_target {
	uint32_t vm;
	uint32_t pid;
	uint32_t vcpu;		/* KVM's number of it */
	uint32_t apic;		/* the guest's */
	uint32_t tid;		/* 0: no thread */
	uint32_t cpu;		/* where it is, or last was */
	uint32_t node;
	enum keel_irq_state state;
	uint32_t seq;
	uint64_t moves;
	enum keel_irq_mode mode;	/* that holds for it, as does: */
	enum keel_irq_fallback fallback;
	uint32_t posted;	/* 1: the hardware takes its devices' interrupts to it */
};

#define KEEL_DEVICE_LEN	32

/* A device's interrupt that is a VM's, or an explicit route: an eventfd's. */
struct keel_irq_route {
	uint32_t id;		/* of an explicit one; else 0 */
	uint32_t vm;
	uint32_t pid;
	uint32_t gsi;
	uint32_t irq;		/* the host's number; 0: its device has gone */
	char device[KEEL_DEVICE_LEN];
	enum keel_irq_dest dest;
	uint32_t vector;	/* in the guest */
	int32_t vcpu;		/* -1: no target, or many */
	int32_t programmed;	/* -1; or of a guest in the guest: @vcpu runs that */
	uint32_t targets;
	enum keel_irq_aim aim;
	int32_t cpu;		/* -1: aimed at none, or at many */
	uint64_t total;
	uint64_t direct;
	uint64_t near;
	uint64_t far;
	uint64_t halted;
	uint64_t preempted;
	uint64_t paused;
	uint64_t home;
	uint64_t aims;
	uint64_t refused;
};

enum keel_event_type {
	KEEL_EVENT_VM_NEW,
	KEEL_EVENT_VM_DEL,
	KEEL_EVENT_SNAPSHOT,
	KEEL_EVENT_MOVE,
	KEEL_EVENT_POOL_VF,
	KEEL_EVENT_POOL_PORT,
	KEEL_EVENT_POOL_PORT_GONE,
	KEEL_EVENT_SWITCH_PORT,
};

struct keel_event {
	enum keel_event_type type;
	struct keel_vm vm;		/* the two VM events */
	struct keel_snapshot snapshot;	/* KEEL_EVENT_SNAPSHOT */
	struct keel_move move;		/* KEEL_EVENT_MOVE */
	struct keel_pool_vf pool_vf;	/* KEEL_EVENT_POOL_VF */
	struct keel_pool_port pool_port;	/* the two port events */
	struct keel_switch_port switch_port;	/* KEEL_EVENT_SWITCH_PORT */
};

struct keel;

/* nl.c: one connection to the netlink family */
int keel_open(struct keel **keel);
void keel_close(struct keel *keel);
const char *keel_error(const struct keel *keel);

int keel_host_get(struct keel *keel, struct keel_host *host);
int keel_vm_get(struct keel *keel, uint32_t id, struct keel_vm *vm);
int keel_vm_list(struct keel *keel, struct keel_vm **vms);
void keel_vm_release(struct keel_vm *vm);
void keel_vm_list_free(struct keel_vm *vms, int nr);
int keel_snapshot_get(struct keel *keel, uint32_t id,
		      struct keel_snapshot *snapshot);
int keel_snapshot_list(struct keel *keel, struct keel_snapshot **snapshots);
int keel_snapshot_abort(struct keel *keel, uint32_t id);

int keel_matrix_get(struct keel *keel, struct keel_matrix *matrix);
int keel_matrix_measure(struct keel *keel, uint32_t budget_us, bool loaded);
int keel_matrix_load(struct keel *keel, uint32_t nr, const uint32_t *node,
		     const uint16_t *latency);

int keel_place_get(struct keel *keel, struct keel_place *place);
void keel_place_release(struct keel_place *place);
int keel_place_start(struct keel *keel, const struct keel_place_options *o);
int keel_place_stop(struct keel *keel);
int keel_place_mode(struct keel *keel, uint32_t vm, enum keel_place_mode mode);
int keel_place_vm_list(struct keel *keel, struct keel_place_vm **vms);
void keel_place_vm_list_free(struct keel_place_vm *vms, int nr);
void keel_place_vm_release(struct keel_place_vm *vm);
int keel_place_explain(struct keel *keel, uint32_t id, uint32_t vcpu,
		       struct keel_place_vm *vm);

int keel_decision_get(struct keel *keel, struct keel_decision *d);
void keel_decision_release(struct keel_decision *d);

/* pool.c */
int keel_pool_list(struct keel *keel, struct keel_pool **pools);
void keel_pool_list_free(struct keel_pool *pools, int nr);
int keel_pool_vf_list(struct keel *keel, struct keel_pool_vf **vfs);
int keel_pool_port_list(struct keel *keel, struct keel_pool_port **ports);
int keel_pools_get(struct keel *keel, struct keel_pools *p);
void keel_pools_put(struct keel_pools *p);
int keel_pool_create(struct keel *keel, const char *name, const char *on,
		     const struct keel_pool_options *o);
int keel_pool_delete(struct keel *keel, const char *name, bool force);
int keel_pool_set(struct keel *keel, const char *name,
		  const struct keel_pool_options *o);
int keel_pool_add(struct keel *keel, const char *name, const char *pf,
		  const uint32_t *vfs, uint32_t nr);
int keel_pool_remove(struct keel *keel, const char *name, const char *pf,
		     bool force);
int keel_pool_reserve(struct keel *keel, const char *name, const char *port,
		      uint32_t seconds);
int keel_pool_cancel(struct keel *keel, const char *name, const char *port);
int keel_pool_port_set(struct keel *keel, const char *name, const char *port,
		       const uint32_t *priority, const uint8_t *mac);
int keel_lease_end(struct keel *keel, const char *pci, uint32_t generation);
int keel_switch_port_list(struct keel *keel, struct keel_switch_port **ports);
int keel_switch_port_set(struct keel *keel, const char *port, uint32_t ifindex,
			 const char *on);

/* irq.c */
int keel_irq_get(struct keel *keel, struct keel_irq *irq);
int keel_irq_set(struct keel *keel, uint32_t mode, uint32_t fallback);
int keel_irq_set_vm(struct keel *keel, uint32_t vm, int64_t vcpu, uint32_t mode,
		    uint32_t fallback);
int keel_irq_route_add(struct keel *keel, uint32_t vm, int64_t vcpu, int source,
		       int sink, uint32_t *id);
int keel_irq_route_del(struct keel *keel, uint32_t id);
int keel_irq_targets(struct keel *keel, struct keel_irq_target **targets);
int keel_irq_routes(struct keel *keel, struct keel_irq_route **routes);

int keel_events_subscribe(struct keel *keel);
int keel_fd(const struct keel *keel);
int keel_events_next(struct keel *keel, struct keel_event *event, int ms);

/* names.c */
const char *keel_backing_name(enum keel_backing backing);
const char *keel_snap_state_name(enum keel_snap_state state);
const char *keel_snap_reason_name(enum keel_snap_reason reason);
const char *keel_place_kind_name(enum keel_place_kind kind);
const char *keel_place_state_name(enum keel_place_state state);
const char *keel_place_mode_name(enum keel_place_mode mode);
const char *keel_place_temper_name(enum keel_place_temper temper);
const char *keel_place_grain_name(enum keel_place_grain grain);
const char *keel_place_source_name(enum keel_place_source source);
const char *keel_pool_policy_name(enum keel_pool_policy policy);
const char *keel_pool_mac_name(enum keel_pool_mac mac);
const char *keel_vf_state_name(enum keel_vf_state state);
const char *keel_port_state_name(enum keel_port_state state);
const char *keel_irq_mode_name(enum keel_irq_mode mode);
const char *keel_irq_fallback_name(enum keel_irq_fallback fallback);
const char *keel_irq_state_name(enum keel_irq_state state);
const char *keel_irq_dest_name(enum keel_irq_dest dest);
const char *keel_irq_aim_name(enum keel_irq_aim aim);
const char *keel_snap_reason_text(enum keel_snap_reason reason);

/* snap.c: one snapshot on /dev/keel; @fd is the open descriptor */
int keel_snap_open(void);
int keel_snap_create(int fd, struct keel_snap_create *create);
int keel_snap_add_file(int fd, int file, uint64_t *bytes);
int keel_snap_prepare(int fd);
int keel_snap_arm(int fd, struct keel_snap_arm *arm, uint64_t *bytes,
		  uint32_t nr_bytes);
int keel_snap_fetch(int fd, struct keel_snap_fetch *fetch);
int keel_snap_stat(int fd, struct keel_snap_stat *stat);
int keel_snap_abort(int fd, enum keel_snap_reason reason);

#endif
