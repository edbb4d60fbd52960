// SPDX-License-Identifier: GPL-2.0
/*
 * Directed interrupts: sources, that is, eventfds that keel passes on.
 *
 * Who signals an eventfd (vhost, a VMM's thread, a driver) does what it leads to on
 * its own CPU, and if that is an irqfd, KVM interrupts the target's CPU from there.
 * A source stands between: it is signalled instead of the irqfd, and signals that on
 * the CPU where the target runs, by an interrupt which brings that CPU out of the
 * guest at the same time. If the target does not run there is nobody to be brought out,
 * and it is signalled where it comes, unless the fallback names other CPUs.
 *
 * A signal is taken in the wake-up of the eventfd, where another must not be signalled
 * (eventfds do not nest). An irqfd may be: its one reader signals no eventfd, and is
 * called as a signal would call it. What is no irqfd, or not at the moment, is left to
 * an interrupt of this CPU.
 *
 * Signals that come before one is passed on are one, as they are for every reader of an
 * eventfd. None is lost: what is taken is pending, and stays that until a function on
 * some CPU has begun to pass it on; a CPU that goes offline calls such functions first.
 *
 * A source is made and deleted under keel_dirq.lock. It lives as long as its VM, until
 * nobody can signal it any more, or until it is deleted; and it holds the module, as
 * without keel its signals would reach nobody.
 */
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/kvm_host.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/poll.h>
#include <linux/sched/isolation.h>
#include <linux/slab.h>

#include "core/trace.h"
#include "core/vm.h"
#include "dirq/table.h"
#include "compat/compat.h"

#define KEEL_SOURCES_MAX	4096

/* What one is refused for. */
#define NO_VM		"no such VM, or nothing is known of it yet: 'keel irq steer watch' or 'on' comes first"
#define NOT_FROM	"the source is no eventfd"
#define NOT_TO		"the sink is no eventfd"
#define SAME		"source and sink are the same eventfd"
#define IS_IRQFD	"the source is an irqfd: its interrupts are followed without a route"
#define TAKEN		"the source has a route already"
#define CHAIN		"one route must not lead to another: take the last one's sink"
#define NO_IRQFD	"the sink is no irqfd of that VM, so say which vCPU it is for"
#define TOO_MANY	"there are 4096 routes already"

static u32 keel_sources_last;	/* id; under keel_dirq.lock */
static u32 keel_sources_nr;	/* likewise */

/* A CPU of a mask, best this one. */
static u32 keel_source_any(const struct cpumask *mask, u32 here)
{
	return cpumask_test_cpu(here, mask) ? here :
					      cpumask_any_and(mask, cpu_online_mask);
}

/* What there was to be seen of a source's target. Of none: @table is NULL. */
struct keel_source_sight {
	const struct keel_irq_table *table;
	int target;
	u64 where;
};

/* With interrupts off, which RCU waits for; for as long as they are. */
static struct keel_source_sight keel_source_look(const struct keel_source *s)
{
	const struct keel_irq_table *table = rcu_dereference_sched(s->table);
	struct keel_source_sight sight = { .target = READ_ONCE(s->target) };

	/* It is -1 from before the table changes until after nobody has the old one. */
	if (table && sight.target >= 0 && sight.target < READ_ONCE(table->nr)) {
		sight.table = table;
		sight.where = keel_irq_where(table, sight.target);
	}
	return sight;
}

/* Where to pass a signal on that has come here. */
static u32 keel_source_cpu(const struct keel_source_sight *sight, u32 here)
{
	u32 cpu = here;

	if (!sight->table || !READ_ONCE(sight->table->steered))
		return here;
	switch (irq_source_choose(sight->where,
				  keel_dirq_fallback(sight->table, sight->target))) {
	case IRQ_SOURCE_HERE:
		break;
	case IRQ_SOURCE_THERE:
		cpu = KEEL_IRQ_CPU(sight->where);
		break;
	case IRQ_SOURCE_NODE:
		cpu = keel_source_any(cpumask_of_node(KEEL_IRQ_NODE(sight->where)), here);
		break;
	case IRQ_SOURCE_HOUSEKEEPING:
		cpu = keel_source_any(housekeeping_cpumask(HK_TYPE_DOMAIN), here);
		break;
	}
	return cpu < nr_cpu_ids ? cpu : here;
}

static void keel_source_count(struct keel_source *s, const struct keel_source_sight *sight)
{
	struct keel_route_counts *c = this_cpu_ptr(s->counts);

	lockdep_assert_irqs_disabled();
	c->total++;
	if (!sight->table)
		return;
	keel_irq_count(c, sight->where, smp_processor_id());
	trace_keel_irq(s->vm->id, READ_ONCE(s->route.gsi), 0, sight->target, sight->where);
}

/*
 * Count a signal and call the reader of an irqfd as eventfd_signal() would, which must
 * not be called from another eventfd's wake-up. Readers of no other kind come first and
 * take all for themselves. The eventfd's count is left alone: such a reader empties it,
 * and does not ask how much there was. Return: false, and nothing is done, if nobody of
 * that kind waits for the sink.
 */
static bool keel_source_irqfd(struct keel_source *s, const struct keel_source_sight *sight)
{
	const unsigned int kind = WQ_FLAG_PRIORITY | WQ_FLAG_EXCLUSIVE;
	wait_queue_entry_t *first;
	unsigned long flags;
	bool is;

	/* One route does not lead to another, so this is the innermost. */
	spin_lock_irqsave_nested(&s->to_wqh->lock, flags, SINGLE_DEPTH_NESTING);
	first = list_first_entry_or_null(&s->to_wqh->head, wait_queue_entry_t, entry);
	is = first && (first->flags & kind) == kind;
	if (is) {
		keel_source_count(s, sight);
		first->func(first, TASK_NORMAL, 0, poll_to_key(EPOLLIN));
	}
	spin_unlock_irqrestore(&s->to_wqh->lock, flags);
	return is;
}

/* In an interrupt of the CPU that was chosen. */
static void keel_source_pass_on(struct keel_source *s)
{
	struct keel_source_sight sight = keel_source_look(s);

	/* What is signalled from here on is passed on by itself. Full barrier. */
	atomic_xchg(&s->pending, 0);
	if (keel_source_irqfd(s, &sight))
		return;
	keel_source_count(s, &sight);
	keel_eventfd_signal(s->to);
}

static void keel_source_there(void *info)
{
	keel_source_pass_on(info);
}

static void keel_source_here(struct irq_work *work)
{
	keel_source_pass_on(container_of(work, struct keel_source, here));
}

/* Under the lock of the source's wait queue, with interrupts off. */
static void keel_source_signalled(struct keel_source *s)
{
	u32 here = smp_processor_id(), cpu;
	struct keel_source_sight sight;

	/* One is on its way, and has not begun: it stands for this one, too. */
	if (atomic_xchg(&s->pending, 1))
		return;
	sight = keel_source_look(s);
	cpu = keel_source_cpu(&sight, here);
	/* A CPU that is offline by now refuses. */
	if (cpu != here && !smp_call_function_single_async(cpu, &s->there))
		return;
	if (keel_source_irqfd(s, &sight))
		atomic_set(&s->pending, 0);
	else
		irq_work_queue(&s->here);
}

static int keel_source_wake(wait_queue_entry_t *wait, unsigned int mode, int sync,
			    void *key)
{
	struct keel_source *s = container_of(wait, struct keel_source, wait);
	__poll_t events = key_to_poll(key);
	u64 count;

	if (events & EPOLLIN) {
		eventfd_ctx_do_read(s->from, &count);
		keel_source_signalled(s);
	}
	if (events & EPOLLHUP) {
		WRITE_ONCE(s->closed, true);
		keel_dirq_look_soon();
	}
	return 0;
}

struct keel_source_poll {
	poll_table table;
	wait_queue_head_t *wqh;
};

static void keel_source_found(struct file *file, wait_queue_head_t *wqh,
			      poll_table *table)
{
	container_of(table, struct keel_source_poll, table)->wqh = wqh;
}

/* Hold a file's eventfd, and find where its readers wait. */
static struct eventfd_ctx *keel_source_eventfd(struct file *file, wait_queue_head_t **wqh)
{
	struct eventfd_ctx *ctx = eventfd_ctx_fileget(file);
	struct keel_source_poll p = {};

	if (!IS_ERR(ctx)) {
		init_poll_funcptr(&p.table, keel_source_found);
		vfs_poll(file, &p.table);
		*wqh = p.wqh;
	}
	return ctx;
}

/* From here on it is passed on; also what was signalled before. */
static void keel_source_begin(struct keel_source *s)
{
	u64 count;

	init_waitqueue_func_entry(&s->wait, keel_source_wake);
	add_wait_queue(s->from_wqh, &s->wait);
	spin_lock_irq(&s->from_wqh->lock);
	eventfd_ctx_do_read(s->from, &count);
	if (count)
		keel_source_signalled(s);
	spin_unlock_irq(&s->from_wqh->lock);
}

static void keel_source_free(struct keel_source *s)
{
	struct keel_irq_table *table = rcu_dereference_raw(s->table);

	if (table)
		keel_irq_table_put(table);
	if (!IS_ERR_OR_NULL(s->from))
		eventfd_ctx_put(s->from);
	if (!IS_ERR_OR_NULL(s->to))
		eventfd_ctx_put(s->to);
	free_percpu(s->counts);
	keel_vm_put(s->vm);
	kfree(s);
}

static void keel_source_end(struct keel_source *s)
{
	list_del(&s->node);
	keel_sources_nr--;
	/* What is signalled from here on stays in the eventfd. */
	remove_wait_queue(s->from_wqh, &s->wait);
	/* What was before is passed on: an interrupt is on its way to some CPU. */
	while (atomic_read(&s->pending))
		cpu_relax();
	/* And is over. */
	irq_work_sync(&s->here);
	synchronize_rcu();
	keel_source_free(s);
	module_put(THIS_MODULE);
}

/* Take over what the table says now. */
static void keel_source_resolve(struct keel_source *s, struct keel_irq_table *table)
{
	struct keel_route *r = table ? keel_route_find(table, s->to) : NULL;
	int target = -1;

	s->route.dest = KEEL_IRQ_DEST_NONE;
	s->route.targets = 0;
	if (r) {
		WRITE_ONCE(s->route.gsi, r->gsi);
		s->route.vector = r->message.vector;
		s->route.dest = r->dest;
		s->route.targets = r->targets;
		target = r->target;
	}
	if (table && s->vcpu_id >= 0) {
		target = keel_irq_table_find(table, s->vcpu_id);
		s->route.dest = KEEL_IRQ_DEST_FIXED;
		s->route.targets = 1;
	}
	WRITE_ONCE(s->target, target);
}

static void keel_source_follow(struct keel_source *s, struct keel_irq_table *table)
{
	struct keel_irq_table *before = rcu_dereference_protected(s->table,
						lockdep_is_held(&keel_dirq.lock));

	if (table != before) {
		WRITE_ONCE(s->target, -1);
		if (table)
			kref_get(&table->ref);
		rcu_assign_pointer(s->table, table);
		if (before) {
			synchronize_rcu();
			keel_irq_table_put(before);
		}
	}
	keel_source_resolve(s, table);
}

/**
 * keel_sources_look - bring all sources up to date with tables and routes
 *
 * Context: may sleep; keel_dirq.lock is held.
 */
void keel_sources_look(void)
{
	struct keel_source *s, *next;
	struct keel_vm *vm;

	lockdep_assert_held(&keel_dirq.lock);
	list_for_each_entry_safe(s, next, &keel_dirq.sources, node) {
		vm = keel_vm_lookup(s->vm->id);
		if (!vm || READ_ONCE(s->closed))
			keel_source_end(s);
		else
			keel_source_follow(s, keel_irq_table_lookup(s->vm->id));
		if (vm)
			keel_vm_put(vm);
	}
}

/* Eventfds must not lead round in a circle, and each to one place. */
static const char *keel_source_clashes(const struct keel_source *s)
{
	struct keel_irq_table *table;
	const struct keel_source *o;

	if (s->from == s->to)
		return SAME;
	list_for_each_entry(o, &keel_dirq.sources, node) {
		if (o->from == s->from)
			return TAKEN;
		if (o->from == s->to || o->to == s->from)
			return CHAIN;
	}
	list_for_each_entry(table, &keel_dirq.tables, node)
		if (keel_route_find(table, s->from))
			return IS_IRQFD;
	return NULL;
}

/* All but what others have to do with. */
static struct keel_source *keel_source_alloc(struct keel_vm *vm, int vcpu_id,
					     struct file *from, struct file *to,
					     const char **why)
{
	struct keel_source *s = kzalloc(sizeof(*s), GFP_KERNEL);
	int err;

	*why = NULL;
	if (!s) {
		keel_vm_put(vm);
		return ERR_PTR(-ENOMEM);
	}
	s->vm = vm;
	s->vcpu_id = vcpu_id;
	s->target = -1;
	INIT_CSD(&s->there, keel_source_there, s);
	init_irq_work(&s->here, keel_source_here);
	s->counts = alloc_percpu(struct keel_route_counts);
	err = -ENOMEM;
	if (!s->counts)
		goto free;
	s->from = keel_source_eventfd(from, &s->from_wqh);
	*why = NOT_FROM;
	err = PTR_ERR_OR_ZERO(s->from);
	if (err)
		goto free;
	s->to = keel_source_eventfd(to, &s->to_wqh);
	*why = NOT_TO;
	err = PTR_ERR_OR_ZERO(s->to);
	if (err)
		goto free;
	return s;

free:
	keel_source_free(s);
	return ERR_PTR(err);
}

/* The room's lock is held. Return: the id, or why not. */
static int keel_source_add(struct keel_source *s, const char **why)
{
	struct keel_irq_table *table = keel_dirq_look_for(s->vm);

	*why = NO_VM;
	if (!table || keel_dirq.closed)
		return -ENOENT;
	*why = keel_source_clashes(s);
	if (*why)
		return -EINVAL;
	*why = TOO_MANY;
	if (keel_sources_nr == KEEL_SOURCES_MAX)
		return -ENOSPC;
	*why = NO_IRQFD;
	if (s->vcpu_id < 0 && !keel_route_find(table, s->to))
		return -EINVAL;
	*why = KEEL_NO_TARGET;
	if (s->vcpu_id >= 0 && keel_irq_table_find(table, s->vcpu_id) < 0)
		return -ENOENT;
	*why = NULL;
	__module_get(THIS_MODULE);
	keel_source_follow(s, table);
	keel_sources_last = keel_sources_last % INT_MAX + 1;
	s->id = keel_sources_last;
	keel_sources_nr++;
	list_add_tail(&s->node, &keel_dirq.sources);
	keel_source_begin(s);
	return s->id;
}

/**
 * keel_source_create - pass an eventfd on to another, where a target runs
 * @vm: the target's VM
 * @vcpu_id: the target, or -1: whoever the guest means with the interrupt of @to_fd,
 *	which is an irqfd then
 * @from_fd: who asks has it; nobody else is to read from it
 * @to_fd: likewise
 * @why: (out) a sentence, or NULL
 *
 * Context: may sleep.
 * Return: its id; -ENOENT: no such VM or vCPU; -EINVAL, -EBADF: not such
 * eventfds, or they have to do with other routes; -ENOSPC; -ENOMEM.
 */
int keel_source_create(u32 vm, int vcpu_id, int from_fd, int to_fd, const char **why)
{
	struct file *from = fget(from_fd), *to = fget(to_fd);
	struct keel_vm *v = keel_vm_lookup(vm);
	struct keel_source *s;
	int ret;

	*why = !v ? NO_VM : !from ? NOT_FROM : NOT_TO;
	ret = !v ? -ENOENT : -EBADF;
	if (!v || !from || !to) {
		if (v)
			keel_vm_put(v);
		goto put;
	}
	s = keel_source_alloc(v, vcpu_id, from, to, why);
	ret = PTR_ERR_OR_ZERO(s);
	if (ret)
		goto put;
	mutex_lock(&keel_dirq.lock);
	ret = keel_source_add(s, why);
	mutex_unlock(&keel_dirq.lock);
	if (ret < 0)
		keel_source_free(s);
put:
	/* Until now, so that the end of a source that nobody else has is heard. */
	if (to)
		fput(to);
	if (from)
		fput(from);
	return ret;
}

/**
 * keel_source_delete - pass one on no more
 * @id: its id
 *
 * What was signalled before has been passed on when it returns; what is after waits
 * in the eventfd for its next reader.
 *
 * Context: may sleep.
 * Return: 0 or -ENOENT.
 */
int keel_source_delete(u32 id)
{
	struct keel_source *s;
	int err = -ENOENT;

	mutex_lock(&keel_dirq.lock);
	list_for_each_entry(s, &keel_dirq.sources, node) {
		if (s->id == id) {
			keel_source_end(s);
			err = 0;
			break;
		}
	}
	mutex_unlock(&keel_dirq.lock);
	return err;
}
