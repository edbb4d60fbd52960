/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Directed interrupts: where the vCPUs are, and which interrupts are theirs.
 *
 * A table belongs to a VM and is made when one is first looked at. It has an entry
 * for each vCPU, in pages that user space may map; who maps them, or has the table's
 * file open, holds the table.
 *
 * A target is a vCPU together with the thread that runs it. Nobody else writes to
 * its entry. Its life:
 *
 *	ASKED	the thread has been asked, by task work, to register a preempt
 *		notifier with itself; KVM runs such work before it enters the guest,
 *		and the kernel before it returns to the VMM
 *	HOOKED	it has. From now on the thread keeps its entry
 *	ENDING	it has been asked to unregister that, or is dead
 *	ENDED	nothing leads to the target any more: it may be freed
 *
 * Work that has been asked for is done by the thread itself, also while it exits.
 * What it does not do any more once it is dead: then its last switch tells.
 *
 * A route is an irqfd of a VM: the host's device signals an eventfd, and KVM gives
 * the guest the interrupt that the VMM has put behind it. The handler of such a
 * device interrupt has the eventfd for its dev_id, and so an interrupt finds its
 * route when it first happens, whoever has the bypass slot. The route holds the
 * eventfd, so that nothing else can be at its address.
 *
 * A source is an eventfd that keel has been told to pass on, to another one, on the
 * CPU where a target runs: see source.c.
 *
 * A guest may be a host itself, with guests of its own that have devices: then it can
 * offer what it knows of these. See nested.c.
 *
 * A line is a host interrupt that has been aimed: what its affinity was, and what
 * it is by us. It is aimed and given back only under its device's locks, with the
 * device's driver bound, and after it was found among the device's interrupts: it
 * cannot become another device's meanwhile.
 */
#ifndef KEEL_DIRQ_TABLE_H
#define KEEL_DIRQ_TABLE_H

#include <linux/atomic.h>
#include <linux/cpumask.h>
#include <linux/irq_work.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/preempt.h>
#include <linux/smp.h>
#include <linux/task_work.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "dirq/pure.h"

struct eventfd_ctx;
struct keel_vm;
struct kvm;
struct kvm_vcpu;
struct pci_dev;

/* What is said of a vCPU that no table has. */
#define KEEL_NO_TARGET \
	"that VM has no such vCPU, or no thread has run it so far"

#define KEEL_IRQ_TARGETS_MAX	4096
#define KEEL_IRQ_PER_PAGE	(PAGE_SIZE / sizeof(struct keel_irq_entry))
#define KEEL_IRQ_PAGES		(KEEL_IRQ_TARGETS_MAX / KEEL_IRQ_PER_PAGE)

/**
 * struct keel_target - a vCPU's thread
 * @notifier: registered with the thread from HOOKED to ENDED
 * @entry: of the vCPU
 * @table: the table; outlives it
 * @vcpu: compared with, never followed
 * @task: the thread, held
 * @hook, @unhook: task works
 * @works: of these, not run yet
 * @ending: under keel_dirq.lock
 * @registered: the notifier is; the thread's, until @works is 0 for good
 * @cpu: where it was seen last; only the thread looks
 */
struct keel_target {
	struct preempt_notifier notifier;
	struct keel_irq_entry *entry;
	struct keel_irq_table *table;
	const struct kvm_vcpu *vcpu;
	struct task_struct *task;
	struct callback_head hook;
	struct callback_head unhook;
	atomic_t works;
	bool ending;
	bool registered;
	u32 cpu;
};

/**
 * struct keel_irq_table - a VM's
 * @ref: the room has one until the VM is gone, and each open file
 * @node: in keel_dirq.tables
 * @hash: in keel_irq_tables, by the VM's number
 * @vm: the VM, held
 * @header: the first page
 * @cpus: array of the host's APIC IDs, @cpus_pages long
 * @pages: of entries; made when needed, never moved, freed with the table
 * @nr: entries that are used
 * @target: of each entry, or NULL; under keel_dirq.lock
 * @routes: struct keel_route, under keel_dirq.lock
 * @mode: enum keel_irq_mode of this VM, or KEEL_DIRQ_INHERIT: the host's
 * @fallback: enum keel_irq_fallback of this VM, likewise
 * @policy: the same of each target, or KEEL_DIRQ_INHERIT: the VM's; read by who
 *	passes a signal on
 * @offer: guest-physical address of what the guest offers, 0: nothing; @offered: when
 *	it last said so (jiffies). By the vCPUs' threads
 * @called: it has, and nobody has looked since
 * @heard: so often it was taken
 * @posted: the hardware takes its devices' interrupts to it, as the last look saw
 * @steered: its routes are aimed
 * @moved: a target has come to another CPU since they were
 * @seen: by the look under way
 */
struct keel_irq_table {
	struct kref ref;
	struct list_head node;
	struct hlist_node hash;
	struct keel_vm *vm;
	struct keel_irq_header *header;
	u32 *cpus;
	unsigned int cpus_pages;
	struct page *pages[KEEL_IRQ_PAGES];
	unsigned int nr;
	struct keel_target *target[KEEL_IRQ_TARGETS_MAX];
	struct list_head routes;
	u32 mode;
	u32 fallback;
	u32 policy[KEEL_IRQ_TARGETS_MAX];
	u64 offer;
	unsigned long offered;
	bool called;
	u32 heard;
	bool posted;
	bool steered;
	bool moved;
	bool seen;
};

/**
 * keel_irq_table_entry - an entry by its number
 * @table: the table
 * @i: less than @table->nr
 *
 * Context: any.
 */
static inline struct keel_irq_entry *
keel_irq_table_entry(const struct keel_irq_table *table, unsigned int i)
{
	struct page *page = table->pages[i / KEEL_IRQ_PER_PAGE];

	return (struct keel_irq_entry *)page_address(page) + i % KEEL_IRQ_PER_PAGE;
}

/**
 * keel_irq_where - where a target is
 * @table: the table
 * @i: less than @table->nr
 *
 * Context: any.
 * Return: its word.
 */
static inline u64 keel_irq_where(const struct keel_irq_table *table, unsigned int i)
{
	return READ_ONCE(keel_irq_table_entry(table, i)->where);
}

/**
 * struct keel_route_counts - what became of a route's interrupts; one a CPU
 *
 * As the attributes of the same names.
 */
struct keel_route_counts {
	u64 total;
	u64 direct;
	u64 near;
	u64 far;
	u64 halted;
	u64 preempted;
	u64 paused;
	u64 home;
};

/**
 * struct keel_route - an irqfd
 * @node: in keel_irq_table.routes
 * @hash: in keel_routes, by @eventfd
 * @table: whose
 * @eventfd: held
 * @gsi: in the VM's routing
 * @message: what the guest gets
 * @dest: whom it is for: enum keel_irq_dest
 * @targets: how many these are
 * @programmed: index of the entry that it is for, by the message, -1 if there is
 *	none; of several the one that was found running last
 * @nested: the guest says that it is for a guest of its own,
 * @target: and where that one runs; otherwise as @programmed
 * @seen_irq, @seen_dev: what the last interrupt was seen to be, by the handler;
 *	the device is held. Under @seen_lock
 * @seen_other: one of another device was seen; likewise
 * @seen_lock: raw, taken in the handler
 * @line: what it was aimed with, or NULL; under keel_dirq.lock
 * @aim: enum keel_irq_aim
 * @aim_cpu: the CPU aimed at, -1 if that is none, or many
 * @looked: its target's word at the last look; under keel_dirq.lock
 * @credit: aims that are left for now; @credited: when some were last given
 * @coarse: it moved too fast, and is aimed at the node until @coarse_until (jiffies)
 * @aims, @refused: counts
 * @counts: per CPU
 * @seen: by the look under way
 */
struct keel_route {
	struct list_head node;
	struct hlist_node hash;
	struct keel_irq_table *table;
	struct eventfd_ctx *eventfd;
	u32 gsi;
	struct irq_message message;
	u32 dest;
	u32 targets;
	int programmed;
	bool nested;
	int target;
	raw_spinlock_t seen_lock;
	u32 seen_irq;
	struct pci_dev *seen_dev;
	bool seen_other;
	struct keel_line *line;
	u32 aim;
	int aim_cpu;
	u64 looked;
	unsigned int credit;
	unsigned long credited;
	bool coarse;
	unsigned long coarse_until;
	u64 aims;
	u64 refused;
	struct keel_route_counts __percpu *counts;
	bool seen;
};

/**
 * struct keel_source - an eventfd that is passed on
 * @node: in keel_dirq.sources
 * @id: number, never used twice
 * @vm: whose target it is for; held
 * @vcpu_id: of the target, -1: whomever the guest means with @to's interrupt
 * @from: who signals it; held
 * @to: what is signalled then; held
 * @from_wqh: where its readers wait; @wait: keel there
 * @to_wqh: where those of @to do
 * @there, @here: how it is passed on to another CPU, and on this one
 * @pending: it has been signalled, and @to has not been since
 * @closed: nobody can signal it any more
 * @table: of the VM, held, or NULL. Changed under keel_dirq.lock, read under RCU
 * @target: index of the entry that it is for, -1 if there is none
 * @route: what @to is for the guest; what the routes say, as it was last seen
 * @counts: per CPU
 */
struct keel_source {
	struct list_head node;
	u32 id;
	struct keel_vm *vm;
	int vcpu_id;
	struct eventfd_ctx *from;
	struct eventfd_ctx *to;
	wait_queue_head_t *from_wqh;
	wait_queue_head_t *to_wqh;
	wait_queue_entry_t wait;
	call_single_data_t there;
	struct irq_work here;
	atomic_t pending;
	bool closed;
	struct keel_irq_table __rcu *table;
	int target;
	struct {
		u32 gsi;
		u32 vector;
		u32 dest;
		u32 targets;
	} route;
	struct keel_route_counts __percpu *counts;
};

/**
 * struct keel_dirq - the room
 * @lock: all of it but what says otherwise. Outside keel_vms_lock, devices' locks
 *	and KVM's irqfds.lock
 * @mode: enum keel_irq_mode
 * @fallback: enum keel_irq_fallback
 * @closed: for good
 * @tables: struct keel_irq_table
 * @lines: struct keel_line
 * @sources: struct keel_source
 * @look: finds threads and irqfds
 * @aim: aims what has to be aimed anew
 * @placed: of all tables, as placement has sent threads elsewhere
 * @aims: so often that was done
 */
struct keel_dirq {
	struct mutex lock;	/* see above */
	u32 mode;
	u32 fallback;
	bool closed;
	struct list_head tables;
	struct list_head lines;
	struct list_head sources;
	struct delayed_work look;
	struct delayed_work aim;
	bool placed;
	u64 aims;
};

extern struct keel_dirq keel_dirq;

/* dirq.c */
#define KEEL_DIRQ_AS_IT_IS	U32_MAX
#define KEEL_DIRQ_INHERIT	(U32_MAX - 1)
int keel_dirq_set(u32 mode, u32 fallback);
int keel_dirq_set_vm(u32 vm, int vcpu_id, u32 mode, u32 fallback);
u32 keel_dirq_fallback(const struct keel_irq_table *table, unsigned int target);
void keel_dirq_look_soon(void);
struct keel_irq_table *keel_dirq_look_for(const struct keel_vm *vm);

/* table.c */
struct keel_irq_table *keel_irq_table_create(struct keel_vm *vm);
void keel_irq_table_put(struct keel_irq_table *table);
struct keel_irq_table *keel_irq_table_get(u32 vm);
int keel_irq_table_reach(struct keel_irq_table *table, unsigned int i);
void keel_irq_table_publish(struct keel_irq_table *table);
void keel_irq_table_hide(struct keel_irq_table *table);
struct keel_irq_table *keel_irq_table_lookup(u32 vm);
int keel_irq_table_find(const struct keel_irq_table *table, u32 vcpu_id);

/* hook.c */
int keel_target_create(struct keel_irq_table *table, unsigned int i,
		       struct kvm_vcpu *vcpu, struct task_struct *task);
void keel_target_end(struct keel_target *t);
bool keel_target_ended(struct keel_target *t);
void keel_target_free(struct keel_target *t);
struct keel_irq_table *keel_target_current(void);

/* follow.c */
void keel_irq_follow(struct keel_irq_table *table, struct kvm *kvm);
bool keel_irq_table_leave(struct keel_irq_table *table);

/* route.c */
void keel_routes_look(struct keel_irq_table *table, struct kvm *kvm);
void keel_routes_drop(struct keel_irq_table *table);
struct pci_dev *keel_route_seen(struct keel_route *r, u32 *irq);
struct keel_route *keel_route_find(struct keel_irq_table *table,
				   const struct eventfd_ctx *eventfd);
bool keel_irq_count(struct keel_route_counts *c, u64 where, u32 cpu);
void keel_irq_sum(const struct keel_route_counts __percpu *counts,
		  struct keel_route_counts *sum);
int keel_routes_start(void);
void keel_routes_stop(void);

/* aim.c */
struct keel_line;
void keel_aim_soon(void);
void keel_aim_stop(void);
int keel_line_programmed(struct keel_line *line, u32 *apic_id, u32 *vector);
void keel_aim_moved(struct keel_irq_table *table);
void keel_aim_mode(struct keel_irq_table *table, bool steer);
void keel_aim_due(struct keel_irq_table *table);
void keel_aim_table(struct keel_irq_table *table);
void keel_route_credit_init(struct keel_route *r);
void keel_route_let_go(struct keel_route *r);
void keel_lines_give_back(void);

/* source.c */
int keel_source_create(u32 vm, int vcpu_id, int from_fd, int to_fd, const char **why);
int keel_source_delete(u32 id);
void keel_sources_look(void);

/* offer.c */
void keel_offer_update(void);
void keel_offer_call(void);
void keel_offer_withdraw(void);
u32 keel_offer_told(u32 *heard);

/* nested.c */
void keel_nested_look(struct keel_irq_table *table, struct kvm *kvm);
void keel_nested_start(void);
void keel_nested_stop(void);

/* bpf.c; what is called by BPF programs alone comes last */
void keel_irq_bpf_init(void);
u64 keel_irq_lookup(u32 vm, u32 target);

/* table_dev.c */
int keel_irq_dev_init(void);
void keel_irq_dev_exit(void);

#endif /* KEEL_DIRQ_TABLE_H */
