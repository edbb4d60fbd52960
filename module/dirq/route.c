// SPDX-License-Identifier: GPL-2.0
/*
 * Directed interrupts: routes, that is, which interrupts of the host belong to a VM,
 * and what becomes of each.
 */
#include <linux/eventfd.h>
#include <linux/hashtable.h>
#include <linux/interrupt.h>
#include <linux/kvm_host.h>
#include <linux/kvm_irqfd.h>
#include <linux/msi.h>
#include <linux/pci.h>
#include <linux/percpu.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/tracepoint.h>

#include "core/trace.h"
#include "core/vm.h"
#include "dirq/table.h"
#include "compat/compat.h"

/* By eventfd; changed under keel_dirq.lock, read by the handler under RCU. */
static DEFINE_HASHTABLE(keel_routes, 10);

/* The kernel's tracepoint; under keel_dirq.lock. NULL: we are not registered. */
static struct tracepoint *keel_routes_tp;

/* What there is to know of an irqfd. */
struct keel_irqfd {
	struct eventfd_ctx *eventfd;
	u32 gsi;
	struct irq_message message;
	bool held;	/* @eventfd is */
};

/**
 * keel_irq_count - judge an interrupt by where its target is
 * @c: this CPU's counts
 * @where: the target's word
 * @cpu: this CPU
 *
 * Context: cannot be moved to another CPU.
 * Return: true if the target is elsewhere.
 */
bool keel_irq_count(struct keel_route_counts *c, u64 where, u32 cpu)
{
	u32 state = KEEL_IRQ_STATE(where);
	bool home = KEEL_IRQ_CPU(where) == cpu;

	if (state == KEEL_IRQ_STATE_RUNNING) {
		if (home)
			c->direct++;
		else if (KEEL_IRQ_NODE(where) == cpu_to_node(cpu))
			c->near++;
		else
			c->far++;
		return !home;
	}
	if (state == KEEL_IRQ_STATE_HALTED)
		c->halted++;
	else if (state == KEEL_IRQ_STATE_PREEMPTED)
		c->preempted++;
	else
		c->paused++;
	c->home += home;
	return !home;
}

/* The handler's note of which interrupt of which device that was. */
static void keel_route_note(struct keel_route *r, u32 irq)
{
	struct msi_desc *desc = irq_get_msi_desc(irq);
	struct pci_dev *dev;

	if (!desc || !desc->dev || !dev_is_pci(desc->dev))
		return;
	dev = to_pci_dev(desc->dev);
	raw_spin_lock(&r->seen_lock);
	/* Of another device only when the first is let go of, which may sleep. */
	if (!r->seen_dev)
		r->seen_dev = pci_dev_get(dev);
	if (r->seen_dev == dev)
		WRITE_ONCE(r->seen_irq, irq);
	else
		r->seen_other = true;
	raw_spin_unlock(&r->seen_lock);
	keel_aim_moved(r->table);
}

static void keel_route_count(struct keel_route *r, u32 irq)
{
	struct keel_route_counts *c = this_cpu_ptr(r->counts);
	int target = READ_ONCE(r->target);
	u32 cpu = smp_processor_id();
	u64 where;

	c->total++;
	if (READ_ONCE(r->seen_irq) != irq)
		keel_route_note(r, irq);
	if (target < 0)
		return;
	where = keel_irq_where(r->table, target);
	trace_keel_irq(r->table->vm->id, r->gsi, irq, target, where);
	if (keel_irq_count(c, where, cpu))
		keel_aim_moved(r->table);
}

/* An interrupt of the host, before its handler. */
static void keel_routes_probe(void *data, int irq, struct irqaction *action)
{
	const void *key = action->dev_id;
	struct keel_route *r;

	rcu_read_lock();
	hash_for_each_possible_rcu(keel_routes, r, hash, (unsigned long)key) {
		if (r->eventfd == key) {
			keel_route_count(r, irq);
			break;
		}
	}
	rcu_read_unlock();
}

/*
 * The irqfds of a VM that are for one MSI each. Those of a level triggered interrupt
 * have no message of their own.
 */
static struct keel_irqfd *keel_irqfds(struct kvm *kvm, size_t *nr)
{
	bool wide = kvm->arch.x2apic_format;
	struct kvm_kernel_irqfd *fd;
	struct keel_irqfd *found;
	size_t room = 64;

again:
	found = kvcalloc(room, sizeof(*found), GFP_KERNEL);
	if (!found)
		return NULL;
	*nr = 0;
	spin_lock_irq(&kvm->irqfds.lock);
	list_for_each_entry(fd, &kvm->irqfds.items, list) {
		const struct kvm_kernel_irq_routing_entry *e = &fd->irq_entry;

		if (fd->resampler || e->type != KVM_IRQ_ROUTING_MSI)
			continue;
		if (*nr < room) {
			found[*nr].eventfd = fd->eventfd;
			found[*nr].gsi = fd->gsi;
			irq_message_parse(&found[*nr].message, e->msi.address_lo,
					  e->msi.address_hi, e->msi.data, wide);
		}
		(*nr)++;
	}
	spin_unlock_irq(&kvm->irqfds.lock);
	if (*nr > room) {
		room = *nr + 64;
		kvfree(found);
		goto again;
	}
	return found;
}

/**
 * keel_route_find - the route of an eventfd
 * @table: of the VM
 * @eventfd: the VM's
 *
 * Context: keel_dirq.lock is held.
 * Return: the route, or NULL.
 */
struct keel_route *keel_route_find(struct keel_irq_table *table,
				   const struct eventfd_ctx *eventfd)
{
	struct keel_route *r;

	lockdep_assert_held(&keel_dirq.lock);
	hash_for_each_possible(keel_routes, r, hash, (unsigned long)eventfd)
		if (r->eventfd == eventfd && r->table == table)
			return r;
	return NULL;
}

struct keel_irqfds_wanted {
	struct keel_irqfd *fds;
	size_t nr;
	size_t missing;
};

/* Called under the file table's lock. A file that is open holds its eventfd. */
static int keel_irqfd_hold(const void *data, struct file *file, unsigned int fd)
{
	struct keel_irqfds_wanted *w = (struct keel_irqfds_wanted *)data;
	struct eventfd_ctx *ctx = eventfd_ctx_fileget(file);
	size_t i;

	if (IS_ERR(ctx))
		return 0;
	for (i = 0; i < w->nr; i++) {
		if (w->fds[i].eventfd == ctx && !w->fds[i].held) {
			w->fds[i].held = true;
			return !--w->missing;
		}
	}
	eventfd_ctx_put(ctx);
	return 0;
}

/* Of none that is known already. What the VMM has closed cannot be had. */
static void keel_irqfds_hold(struct keel_irq_table *table, struct keel_irqfd *fds,
			     size_t nr)
{
	struct keel_irqfds_wanted w = { .fds = fds };
	size_t i, to = 0;

	/* Those that are wanted first. */
	for (i = 0; i < nr; i++) {
		if (!keel_route_find(table, fds[i].eventfd)) {
			swap(fds[i], fds[to]);
			to++;
		}
	}
	w.nr = to;
	w.missing = to;
	if (to)
		keel_vm_walk_files(table->vm, keel_irqfd_hold, &w);
}

static struct keel_route *keel_route_create(struct keel_irq_table *table,
					    struct keel_irqfd *fd)
{
	struct keel_route *r = kzalloc(sizeof(*r), GFP_KERNEL);

	if (!r)
		return NULL;
	r->counts = alloc_percpu(struct keel_route_counts);
	if (!r->counts) {
		kfree(r);
		return NULL;
	}
	raw_spin_lock_init(&r->seen_lock);
	r->table = table;
	r->eventfd = fd->eventfd;
	fd->held = false;
	r->programmed = -1;
	r->target = -1;
	r->aim_cpu = -1;
	keel_route_credit_init(r);
	list_add_tail(&r->node, &table->routes);
	hash_add_rcu(keel_routes, &r->hash, (unsigned long)r->eventfd);
	return r;
}

/* Whom the guest means. KVM's own map of that is not for us to see on all kernels. */
static void keel_route_resolve(struct keel_route *r, struct kvm *kvm)
{
	u32 targets = 0, dest = KEEL_IRQ_DEST_NONE;
	struct kvm_vcpu *vcpu;
	int target = -1;
	unsigned long i;

	if (r->message.fixed && atomic_read(&kvm->online_vcpus)) {
		kvm_for_each_vcpu(i, vcpu, kvm) {
			bool x2apic = READ_ONCE(vcpu->arch.apic_base) & X2APIC_ENABLE;

			if (i >= r->table->nr ||
			    !irq_message_is_for(&r->message, vcpu->vcpu_id, x2apic))
				continue;
			targets++;
			/* Who is meant already stays it. */
			if (target < 0 || i == r->programmed)
				target = i;
		}
	}
	if (targets)
		dest = targets == 1 ? KEEL_IRQ_DEST_FIXED :
		       r->message.lowest ? KEEL_IRQ_DEST_LOWEST : KEEL_IRQ_DEST_MANY;
	r->targets = targets;
	r->dest = dest;
	r->programmed = dest == KEEL_IRQ_DEST_MANY ? -1 : target;
	if (r->programmed < 0) {
		/* Nor is it for anybody within. */
		r->nested = false;
		WRITE_ONCE(r->target, -1);
	}
}

/* Put it with others that go: for keel_routes_free(). */
static void keel_route_leave(struct keel_route *r, struct list_head *left)
{
	keel_route_let_go(r);
	list_move_tail(&r->node, left);
	hash_del_rcu(&r->hash);
}

static void keel_routes_free(struct list_head *left)
{
	struct keel_route *r, *next;

	if (list_empty(left))
		return;
	/* A handler may have found one of them. */
	synchronize_rcu();
	list_for_each_entry_safe(r, next, left, node) {
		pci_dev_put(r->seen_dev);
		eventfd_ctx_put(r->eventfd);
		free_percpu(r->counts);
		kfree(r);
	}
}

/**
 * keel_routes_look - bring a VM's routes up to date
 * @table: its table
 * @kvm: the VM
 *
 * Whom they are for at last is for keel_nested_look() to say.
 *
 * Context: may sleep; keel_dirq.lock is held.
 */
void keel_routes_look(struct keel_irq_table *table, struct kvm *kvm)
{
	struct keel_route *r, *next;
	struct keel_irqfd *fds;
	LIST_HEAD(left);
	size_t nr, i;

	lockdep_assert_held(&keel_dirq.lock);
	fds = keel_irqfds(kvm, &nr);
	if (!fds)
		return;
	keel_irqfds_hold(table, fds, nr);
	list_for_each_entry(r, &table->routes, node)
		r->seen = false;
	for (i = 0; i < nr; i++) {
		r = keel_route_find(table, fds[i].eventfd);
		if (!r && fds[i].held)
			r = keel_route_create(table, &fds[i]);
		if (r) {
			r->seen = true;
			r->gsi = fds[i].gsi;
			r->message = fds[i].message;
			keel_route_resolve(r, kvm);
		}
		if (fds[i].held)
			eventfd_ctx_put(fds[i].eventfd);
	}
	kvfree(fds);
	list_for_each_entry_safe(r, next, &table->routes, node)
		if (!r->seen)
			keel_route_leave(r, &left);
	keel_routes_free(&left);
}

/**
 * keel_routes_drop - forget all routes of a table
 * @table: the table
 *
 * Context: may sleep; keel_dirq.lock is held.
 */
void keel_routes_drop(struct keel_irq_table *table)
{
	struct keel_route *r, *next;
	LIST_HEAD(left);

	lockdep_assert_held(&keel_dirq.lock);
	list_for_each_entry_safe(r, next, &table->routes, node)
		keel_route_leave(r, &left);
	keel_routes_free(&left);
}

/**
 * keel_route_seen - which interrupt of which device a route's is
 * @r: the route
 * @irq: (out) the host's number of it
 *
 * Context: may sleep; keel_dirq.lock is held.
 * Return: the device, held by the route; NULL if none has been seen.
 */
struct pci_dev *keel_route_seen(struct keel_route *r, u32 *irq)
{
	struct pci_dev *dev, *other = NULL;

	lockdep_assert_held(&keel_dirq.lock);
	raw_spin_lock_irq(&r->seen_lock);
	if (r->seen_other) {
		/* The next interrupt says which it is now. */
		other = r->seen_dev;
		r->seen_dev = NULL;
		r->seen_irq = 0;
		r->seen_other = false;
	}
	dev = r->seen_dev;
	*irq = r->seen_irq;
	raw_spin_unlock_irq(&r->seen_lock);
	pci_dev_put(other);
	return dev;
}

/**
 * keel_irq_sum - counts over all CPUs
 * @counts: of a route or a source
 * @sum: (out)
 */
void keel_irq_sum(const struct keel_route_counts __percpu *counts,
		  struct keel_route_counts *sum)
{
	unsigned int cpu;

	memset(sum, 0, sizeof(*sum));
	for_each_possible_cpu(cpu) {
		const struct keel_route_counts *c = per_cpu_ptr(counts, cpu);

		sum->total += READ_ONCE(c->total);
		sum->direct += READ_ONCE(c->direct);
		sum->near += READ_ONCE(c->near);
		sum->far += READ_ONCE(c->far);
		sum->halted += READ_ONCE(c->halted);
		sum->preempted += READ_ONCE(c->preempted);
		sum->paused += READ_ONCE(c->paused);
		sum->home += READ_ONCE(c->home);
	}
}

static void keel_routes_tp_find(struct tracepoint *tp, void *found)
{
	if (!strcmp(tp->name, "irq_handler_entry"))
		*(struct tracepoint **)found = tp;
}

/**
 * keel_routes_start - see the host's interrupts
 *
 * Context: may sleep; keel_dirq.lock is held. Does nothing the second time.
 * Return: 0, -ENOENT if the kernel does not tell of them, -ENOMEM.
 */
int keel_routes_start(void)
{
	struct tracepoint *tp = NULL;
	int err;

	lockdep_assert_held(&keel_dirq.lock);
	if (keel_routes_tp)
		return 0;
	for_each_kernel_tracepoint(keel_routes_tp_find, &tp);
	if (!tp)
		return -ENOENT;
	err = tracepoint_probe_register(tp, keel_routes_probe, NULL);
	if (!err)
		keel_routes_tp = tp;
	return err;
}

/**
 * keel_routes_stop - see them no more
 *
 * There is no route left.
 *
 * Context: may sleep; keel_dirq.lock is held.
 */
void keel_routes_stop(void)
{
	lockdep_assert_held(&keel_dirq.lock);
	if (!keel_routes_tp)
		return;
	tracepoint_probe_unregister(keel_routes_tp, keel_routes_probe, NULL);
	tracepoint_synchronize_unregister();
	keel_routes_tp = NULL;
}
