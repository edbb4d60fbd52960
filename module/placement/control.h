/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Placement at work: once a period all threads of all VMs are looked at, and
 * those that would be better off elsewhere are sent there.
 *
 * A thread is known from when it is first seen until it ends, its VM ends, or
 * placement is stopped. While it is *placed* its affinity is ours, and the one it
 * had is kept and given back. If the affinity is found to be another than the one
 * that was set, somebody else has set it: the thread is *left* alone from then
 * on, and nothing is given back. An *idle* thread, of a VM that is not to be
 * placed, or of one that is only advised, has its own.
 *
 * All of it is under keel_place.lock.
 */
#ifndef KEEL_PLACEMENT_CONTROL_H
#define KEEL_PLACEMENT_CONTROL_H

#include <linux/cpumask.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/nodemask.h>
#include <linux/sched.h>
#include <linux/workqueue.h>
#include <uapi/linux/keel_netlink.h>

#include "placement/matrix.h"
#include "placement/memory.h"
#include "placement/topology.h"
#include "placement/track.h"

struct keel_vm;
struct keelfs_sample;
struct kvm;

/**
 * struct keel_thread - a thread of a VM
 * @vm: the VM
 * @node: in its VM's list: vCPUs first, ascending, then the helpers
 * @task: held
 * @kind: vCPU or helper
 * @index: of a vCPU: KVM's vcpu_id
 * @state: whose affinity it has
 * @seen: by the look that is under way
 * @ran_ns: time it ran, as of the last look
 * @waited_ns: time it waited for a CPU, likewise
 * @ran: of the last period; PLACE_ONE is all of it
 * @util: ran or waited, likewise
 * @track: what is believed of it
 * @looks: how often it has been looked at
 * @touched: KiB by node id, as it is taken to touch them now
 * @kept: of that, what the last sample of memory on keelfs has shown
 * @samples: of how many folios of the file that is being looked at
 * @runs: of how many runs of folios @kept was made; 0: nothing is a guess
 * @average: KiB by node id, as it is believed
 * @news: for @track
 * @former: the affinity it had
 * @ours: the affinity that was set
 * @before: the one that was set before that
 * @since: when the first of them was; 0: none that somebody may have inherited
 * @asked: was it asked then to run on some CPUs, by sched_setaffinity(2)?
 * @slot: its number in the last decision
 * @moves: how often it was sent elsewhere
 * @far: decisions in a row that wanted its memory to follow it
 * @mems: nodes that its memory may be moved to
 */
struct keel_thread {
	struct keel_place_vm *vm;
	struct list_head node;
	struct task_struct *task;
	enum keel_place_kind kind;
	u32 index;
	enum keel_place_state state;
	bool seen;
	u64 ran_ns;
	u64 waited_ns;
	u32 ran;
	u32 util;
	struct track track;
	u32 looks;
	u32 *touched;
	u32 *kept;
	u32 samples;
	u32 runs;
	u32 *average;
	u32 *news;
	cpumask_var_t former;
	cpumask_var_t ours;
	cpumask_var_t before;
	u64 since;
	bool asked;
	u32 slot;
	u32 moves;
	u32 far;
	nodemask_t mems;
};

#define KEEL_PLACE_FILES_MAX	32	/* keelfs files of a VM */

/* On average there is no more than one sample in so many periods, and two in a row. */
#define KEEL_SAMPLE_COST	32
#define KEEL_SAMPLE_CREDIT	(2 * KEEL_SAMPLE_COST)

/**
 * struct keel_place_file - a keelfs file of a VM, from a look to the next sample
 * @file: held
 * @sample: what the last one has shown, or NULL
 */
struct keel_place_file {
	struct file *file;
	struct keelfs_sample *sample;
};

/**
 * struct keel_place_vm - a VM
 * @node: in keel_place.vms, ascending
 * @vm: of the registry, held
 * @mode: is it to be placed?
 * @threads: its threads
 * @nr: of how many elements
 * @slot: its number in the last decision
 * @seen: by the look that is under way
 * @common: KiB by node id of memory of which it is not known who uses it
 * @shared_kib: what is taken to be used by all of its threads
 * @file: its keelfs files, during a period
 * @nr_files: of how many elements
 * @mems: nodes that its memory may be moved to, by the policies of its mappings
 * @fresh: has its memory been looked at in this period?
 * @credit: for samples, KEEL_SAMPLE_COST each; one comes with each period
 */
struct keel_place_vm {
	struct list_head node;
	struct keel_vm *vm;
	enum keel_place_mode mode;
	struct list_head threads;
	u32 nr;
	u32 slot;
	bool seen;
	u32 *common;
	u32 shared_kib;
	struct keel_place_file file[KEEL_PLACE_FILES_MAX];
	u32 nr_files;
	nodemask_t mems;
	bool fresh;
	u32 credit;
};

/**
 * struct keel_place_options - how it is to be done
 * @period_ms: from one decision to the next
 * @temper: how much a move must promise
 * @grain: which CPUs a thread may use
 * @samples: of a VM's memory in a period
 * @memory_mib: so much memory may be moved in a second; 0: none
 */
struct keel_place_options {
	u32 period_ms;
	enum keel_place_temper temper;
	enum keel_place_grain grain;
	u32 samples;
	u32 memory_mib;
};

/**
 * struct keel_place_counts - what has happened since the start
 * @periods: decisions
 * @moves: threads that were sent elsewhere
 * @left: threads that were found with somebody else's affinity
 * @sampled: folios that were taken out of mappings
 * @unmapped: in how many operations, each of which stops a VM's vCPUs
 * @carried_kib: memory that was moved to where it is used
 * @stuck: folios that could not be: held, pinned, or no memory there
 * @decide_ns: time for the last decision
 * @observe_ns: for the last look before it
 */
struct keel_place_counts {
	u64 periods;
	u64 moves;
	u64 left;
	u64 sampled;
	u64 unmapped;
	u64 carried_kib;
	u64 stuck;
	u64 decide_ns;
	u64 observe_ns;
};

/**
 * struct keel_decision - the last one, and what it was made of
 * @host: the host, its sites and latencies
 * @load: the threads; its arrays are the ones below
 * @params: how
 * @thread: whose, by their number in @load; NULL if it has ended since
 * @ours: is its affinity ours to set?
 * @from: the site each was on
 * @plan: the site each is to be on; those that are not ours to place stay
 * @advice: where these should be
 * @expected: tenths of ns of an access by @plan
 * @own: memory that should follow each by @plan
 * @shared: and what a VM's threads share
 * @room: by node, KiB that were free for that
 * @may: where the memory of each may be moved to, nodes, a bit each
 * @workspace: of the decision
 * @site: the sites, with what others use of them
 * @task: the threads, as place_load has them
 * @touched: what they use
 * @shared_kib: by VM
 * @shared_at: that by node
 * @cpu_busy: by CPU, ns it was busy, as of the last look
 * @cpu_load: by CPU, what was sent there by itself; 0 until the plan is applied
 */
struct keel_decision {
	struct place_host host;
	struct place_load load;
	struct place_params params;
	struct keel_thread **thread;
	bool *ours;
	u16 *from;
	u16 *plan;
	u16 *advice;
	u32 *expected;
	struct place_memory *own;
	struct place_memory *shared;
	u32 *room;
	u64 *may;
	void *workspace;
	struct place_site *site;
	struct place_task *task;
	u32 *touched;
	u32 *shared_kib;
	u32 *shared_at;
	u64 *cpu_busy;
	u32 *cpu_load;
};

struct keel_place {
	struct mutex lock;	/* protects all of this */
	bool running;
	bool closed;		/* keel is being unloaded */
	struct keel_place_options options;
	struct keel_place_counts counts;
	struct list_head vms;
	struct keel_topology *topology;
	bool topology_stale;
	struct keel_matrix matrix;
	struct keel_decision last;
	u64 looked_ns;
	u64 look_ns;		/* from the last look but one to the last */
	struct delayed_work work;
};

extern struct keel_place keel_place;

int keel_place_init(void);
void keel_place_exit(void);
int keel_place_start(const struct keel_place_options *o);
int keel_place_stop(void);
void keel_place_close(void);
void keel_place_set_mode(struct keel_place_vm *pv, enum keel_place_mode mode);

/* place_netlink.c */
void keel_place_announce(const struct keel_thread *t);

/* threads.c */
void keel_threads_free_heirs(struct keel_place_vm *pv);
int keel_threads_look(struct keel_place_vm *pv, struct kvm *kvm);
int keel_thread_place(struct keel_thread *t, const struct cpumask *mask);
void keel_thread_give_back(struct keel_thread *t);
void keel_thread_destroy(struct keel_thread *t);

/* observe.c */
struct keel_thread *keel_thread_of(struct keel_place_vm *pv, pid_t tid);
void keel_observe_vm(struct keel_place_vm *pv, struct kvm *kvm, u32 samples);
void keel_observe_next(struct keel_place_vm *pv, u32 samples);
void keel_observe_end(struct keel_place_vm *pv, struct kvm *kvm);

/* carry.c */
void keel_carry_room(const struct keel_topology *topo, u32 *room);
void keel_carry_memory(void);

#endif /* KEEL_PLACEMENT_CONTROL_H */
