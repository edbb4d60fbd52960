// SPDX-License-Identifier: GPL-2.0
/*
 * Directed interrupts: sending them to where their targets are.
 *
 * It is looked at what has to be aimed anew when a target comes to another CPU, or
 * when an interrupt has been handled where its target was not. That is done by work,
 * which this CPU's next tick queues: to queue it would cost a switch of a vCPU's thread
 * ten times as much as all else. A route may be aimed AIMS_A_SECOND times; one that
 * needs more is aimed at the node for a while.
 */
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/msi.h>
#include <linux/pci.h>
#include <linux/sched/isolation.h>
#include <linux/slab.h>
#include <asm/hw_irq.h>
#include <asm/smp.h>

#include "core/keel.h"
#include "core/trace.h"
#include "core/vm.h"
#include "dirq/table.h"
#include "compat/compat.h"

#define AIMS_A_SECOND	40
#define AIMS_AT_ONCE	20
#define COARSE_MS	500

/**
 * struct keel_line - an interrupt of the host that was aimed
 * @node: in keel_dirq.lines
 * @dev: whose, held
 * @irq: its number; the device's only as long as its locks are held
 * @route: whom it is aimed for, NULL: it is to be given back
 * @former: its affinity without us
 * @ours: and by us
 * @aimed: it has been
 * @balanced: it was irqbalance's before
 */
struct keel_line {
	struct list_head node;
	struct pci_dev *dev;
	u32 irq;
	struct keel_route *route;
	cpumask_var_t former;
	cpumask_var_t ours;
	bool aimed;
	bool balanced;
};

/* For one aim; under keel_dirq.lock. */
static struct cpumask keel_aim_mask, keel_aim_allowed;

/**
 * keel_aim_soon - look at what has to be aimed anew
 *
 * A jiffy gathers what moves meanwhile.
 *
 * Context: any.
 */
void keel_aim_soon(void)
{
	queue_delayed_work(keel_wq, &keel_dirq.aim, 1);
}

static void keel_aim_at_tick(struct irq_work *work)
{
	queue_delayed_work(keel_wq, &keel_dirq.aim, 0);
}

/* Lazy: where there is no tick, at once, by an interrupt of its own. */
static struct irq_work keel_aim_tick = IRQ_WORK_INIT_LAZY(keel_aim_at_tick);

/**
 * keel_aim_moved - a table's routes have to be looked at
 * @table: the table
 *
 * Context: any; from a handler, or in a thread that has just come to a CPU.
 */
void keel_aim_moved(struct keel_irq_table *table)
{
	if (!READ_ONCE(table->steered) || READ_ONCE(table->moved))
		return;
	WRITE_ONCE(table->moved, true);
	irq_work_queue(&keel_aim_tick);
}

/**
 * keel_aim_stop - aim nothing more
 *
 * No thread and no handler tells of a move any more.
 *
 * Context: may sleep.
 */
void keel_aim_stop(void)
{
	irq_work_sync(&keel_aim_tick);
	cancel_delayed_work_sync(&keel_dirq.aim);
}

/*
 * With the driver bound, the device has what says which interrupts it has; with those
 * locked, none of them becomes another's. Return: -EAGAIN if the device is busy;
 * -ENOENT if it has none.
 */
static int keel_line_lock(struct pci_dev *dev)
{
	if (!device_trylock(&dev->dev))
		return -EAGAIN;
	/* Once there, it is there until the driver leaves. */
	if (!dev->dev.driver || !READ_ONCE(dev->dev.msi.data)) {
		device_unlock(&dev->dev);
		return -ENOENT;
	}
	keel_msi_lock(&dev->dev);
	return 0;
}

static void keel_line_unlock(struct pci_dev *dev)
{
	keel_msi_unlock(&dev->dev);
	device_unlock(&dev->dev);
}

/* The interrupt, if it is the device's still. */
static struct irq_data *keel_line_data(struct pci_dev *dev, u32 irq)
{
	struct msi_desc *desc;

	msi_for_each_desc(desc, &dev->dev, MSI_DESC_ASSOCIATED)
		if (desc->irq == irq)
			return irq_get_irq_data(irq);
	return NULL;
}

/* Has nobody else set it since? CPUs may have gone, and a change may be pending. */
static bool keel_line_is_ours(const struct keel_line *line, struct irq_data *d)
{
	return cpumask_equal(irq_data_get_affinity_mask(d), line->ours) ||
	       irqd_is_setaffinity_pending(d) ||
	       !cpumask_intersects(line->ours, cpu_online_mask);
}

/* Freed, and another with the same number since? That is nobody's so far. */
static bool keel_line_is_new(const struct keel_line *line, struct irq_data *d)
{
	return line->balanced && irqd_can_balance(d);
}

static void keel_line_ban(struct keel_line *line, struct irq_data *d)
{
	/* Who balances interrupts is refused, and leaves this one alone. */
	line->balanced = irqd_can_balance(d);
	if (line->balanced)
		irq_modify_status(line->irq, 0, IRQ_NO_BALANCING);
}

static void keel_line_unban(struct keel_line *line)
{
	if (line->balanced)
		irq_modify_status(line->irq, IRQ_NO_BALANCING, 0);
}

static int __keel_line_aim(struct keel_line *line, const struct cpumask *mask)
{
	struct irq_data *d = keel_line_data(line->dev, line->irq);
	bool first;
	int err;

	if (!d)
		return -ENOENT;
	if (irqd_affinity_is_managed(d))
		return -EPERM;
	first = !line->aimed || keel_line_is_new(line, d);
	if (first) {
		cpumask_copy(line->former, irq_data_get_affinity_mask(d));
		keel_line_ban(line, d);
	} else if (!keel_line_is_ours(line, d)) {
		return -EBUSY;
	}
	err = irq_set_affinity(line->irq, mask);
	if (!err) {
		cpumask_copy(line->ours, mask);
		line->aimed = true;
	} else if (first) {
		keel_line_unban(line);
	}
	return err;
}

/*
 * Return: 0; -EAGAIN: the device is busy; -ENOENT: it has that interrupt no more;
 * -EPERM: it is managed; -EBUSY: somebody else has it; -ENOSPC: the CPU has no
 * vector left; or what else the interrupt controller said.
 */
static int keel_line_aim(struct keel_line *line, const struct cpumask *mask)
{
	int err = keel_line_lock(line->dev);

	if (err)
		return err;
	err = __keel_line_aim(line, mask);
	keel_line_unlock(line->dev);
	return err;
}

/**
 * keel_line_programmed - where an interrupt comes at this moment
 * @line: the interrupt
 * @apic_id: (out) of the CPU
 * @vector: (out) there
 *
 * Context: may sleep; keel_dirq.lock is held.
 * Return: 0, -EAGAIN: the device is busy, -ENOENT: nowhere, or it is not aimed.
 */
int keel_line_programmed(struct keel_line *line, u32 *apic_id, u32 *vector)
{
	struct irq_data *d;
	struct irq_cfg *cfg;
	int err;
	u32 cpu;

	lockdep_assert_held(&keel_dirq.lock);
	err = line->aimed ? keel_line_lock(line->dev) : -ENOENT;
	if (err)
		return err;
	err = -ENOENT;
	d = keel_line_data(line->dev, line->irq);
	cfg = d ? irqd_cfg(d) : NULL;
	cpu = d ? cpumask_first(irq_data_get_effective_affinity_mask(d)) : nr_cpu_ids;
	if (cfg && cpu < nr_cpu_ids) {
		*apic_id = cpu_physical_id(cpu);
		*vector = cfg->vector;
		err = 0;
	}
	keel_line_unlock(line->dev);
	return err;
}

static void keel_line_free(struct keel_line *line)
{
	list_del(&line->node);
	pci_dev_put(line->dev);
	free_cpumask_var(line->former);
	free_cpumask_var(line->ours);
	kfree(line);
}

static void __keel_line_give_back(struct keel_line *line)
{
	struct irq_data *d = keel_line_data(line->dev, line->irq);
	bool there = cpumask_intersects(line->former, cpu_online_mask);

	if (!d || keel_line_is_new(line, d))
		return;
	if (keel_line_is_ours(line, d))
		irq_set_affinity(line->irq, there ? line->former : cpu_online_mask);
	keel_line_unban(line);
}

/* Then the line is no more; but if the device is busy it waits in the list. */
static void keel_line_give_back(struct keel_line *line)
{
	int err;

	if (line->aimed) {
		err = keel_line_lock(line->dev);
		if (err == -EAGAIN)
			return;
		if (!err) {
			__keel_line_give_back(line);
			keel_line_unlock(line->dev);
		}
	}
	keel_line_free(line);
}

/**
 * keel_lines_give_back - give those back that are aimed for nobody any more
 *
 * Those whose device is busy are left for the next time.
 *
 * Context: may sleep; keel_dirq.lock is held.
 */
void keel_lines_give_back(void)
{
	struct keel_line *line, *next;

	lockdep_assert_held(&keel_dirq.lock);
	list_for_each_entry_safe(line, next, &keel_dirq.lines, node)
		if (!line->route)
			keel_line_give_back(line);
}

static struct keel_line *keel_line_create(struct pci_dev *dev, u32 irq)
{
	struct keel_line *line = kzalloc(sizeof(*line), GFP_KERNEL);

	if (!line)
		return NULL;
	if (!zalloc_cpumask_var(&line->former, GFP_KERNEL) ||
	    !zalloc_cpumask_var(&line->ours, GFP_KERNEL)) {
		free_cpumask_var(line->former);
		kfree(line);
		return NULL;
	}
	line->dev = pci_dev_get(dev);
	line->irq = irq;
	list_add_tail(&line->node, &keel_dirq.lines);
	return line;
}

/* The line of an interrupt that this route has now: it may have been another's. */
static struct keel_line *keel_route_line(struct keel_route *r)
{
	struct keel_line *line;
	struct pci_dev *dev;
	u32 irq;

	dev = keel_route_seen(r, &irq);
	if (r->line && (r->line->dev != dev || r->line->irq != irq))
		keel_route_let_go(r);
	if (!dev || !irq || r->line)
		return r->line;
	list_for_each_entry(line, &keel_dirq.lines, node)
		if (line->dev == dev && line->irq == irq)
			goto found;
	line = keel_line_create(dev, irq);
	if (!line)
		return NULL;
found:
	if (line->route)
		line->route->line = NULL;
	line->route = r;
	r->line = line;
	return line;
}

/**
 * keel_route_let_go - aim a route's interrupt no more
 * @r: the route
 *
 * If the device is busy its affinity is given back later.
 *
 * Context: may sleep; keel_dirq.lock is held.
 */
void keel_route_let_go(struct keel_route *r)
{
	struct keel_line *line = r->line;

	lockdep_assert_held(&keel_dirq.lock);
	r->aim = KEEL_IRQ_AIM_IDLE;
	r->aim_cpu = -1;
	r->line = NULL;
	if (!line)
		return;
	line->route = NULL;
	keel_line_give_back(line);
}

/* Any allowed CPU of a node, or any at all. */
static void keel_aim_at_node(u32 node, struct cpumask *mask)
{
	cpumask_and(mask, cpumask_of_node(node), &keel_aim_allowed);
	if (cpumask_empty(mask))
		cpumask_copy(mask, &keel_aim_allowed);
}

static bool keel_route_is_coarse(const struct keel_route *r)
{
	return r->coarse && time_before(jiffies, r->coarse_until);
}

/*
 * Where a target may run, if it was sent away from the CPU where it was, and has not
 * run since. Return: false if it was not, or may not be interrupted there.
 */
static bool keel_target_is_sent(const struct keel_irq_table *table, int target,
				u32 cpu, struct cpumask *mask)
{
	const struct keel_target *t = table->target[target];

	return t && !cpumask_test_cpu(cpu, &t->task->cpus_mask) &&
	       cpumask_and(mask, &t->task->cpus_mask, &keel_aim_allowed);
}

/* Where it went without us: KVM wakes the target up from there. */
static u32 keel_route_as_before(const struct keel_route *r, struct cpumask *mask)
{
	if (!r->line->aimed)
		return KEEL_IRQ_AIM_IDLE;
	if (!cpumask_and(mask, r->line->former, cpu_online_mask))
		cpumask_copy(mask, &keel_aim_allowed);
	return KEEL_IRQ_AIM_FALLBACK;
}

/*
 * Where a route's interrupt should go. Return: enum keel_irq_aim of it; there is no
 * mask if that is idle.
 */
static u32 keel_route_choose(const struct keel_route *r, struct cpumask *mask)
{
	u64 where = keel_irq_where(r->table, r->target);
	bool running = KEEL_IRQ_STATE(where) == KEEL_IRQ_STATE_RUNNING;
	u32 cpu = KEEL_IRQ_CPU(where), node = KEEL_IRQ_NODE(where);
	u32 fallback = keel_dirq_fallback(r->table, r->target);

	/* Nobody has said yet where it is: the first interrupt brings it to that. */
	if (KEEL_IRQ_STATE(where) == KEEL_IRQ_STATE_OFFLINE)
		return KEEL_IRQ_AIM_IDLE;
	if (!running && fallback == KEEL_IRQ_FALLBACK_WAKE)
		return keel_route_as_before(r, mask);
	if (!running && fallback == KEEL_IRQ_FALLBACK_HOUSEKEEPING) {
		cpumask_copy(mask, &keel_aim_allowed);
		return KEEL_IRQ_AIM_FALLBACK;
	}
	if (keel_target_is_sent(r->table, r->target, cpu, mask)) {
		if (!keel_route_is_coarse(r))
			return KEEL_IRQ_AIM_FALLBACK;
		keel_aim_at_node(cpu_to_node(cpumask_first(mask)), mask);
		return KEEL_IRQ_AIM_NODE;
	}
	if (!running && fallback == KEEL_IRQ_FALLBACK_NODE) {
		keel_aim_at_node(node, mask);
		return KEEL_IRQ_AIM_FALLBACK;
	}
	if (!cpumask_test_cpu(cpu, &keel_aim_allowed)) {
		keel_aim_at_node(node, mask);
		return KEEL_IRQ_AIM_FORBIDDEN;
	}
	if (keel_route_is_coarse(r)) {
		keel_aim_at_node(node, mask);
		return KEEL_IRQ_AIM_NODE;
	}
	cpumask_copy(mask, cpumask_of(cpu));
	return running ? KEEL_IRQ_AIM_CPU : KEEL_IRQ_AIM_FALLBACK;
}

/**
 * keel_route_credit_init - it may be aimed as often as any
 * @r: a new route
 */
void keel_route_credit_init(struct keel_route *r)
{
	r->credit = AIMS_AT_ONCE;
	r->credited = jiffies;
}

/* May it be aimed once more? If not it is to be coarse for a while. */
static bool keel_route_credit(struct keel_route *r)
{
	unsigned long more = (jiffies - r->credited) * AIMS_A_SECOND / HZ;

	if (more) {
		r->credit = min(r->credit + more, (unsigned long)AIMS_AT_ONCE);
		r->credited = jiffies;
	}
	if (!r->credit)
		return false;
	r->credit--;
	return true;
}

static u32 keel_aim_failed(int err)
{
	switch (err) {
	case -EPERM:
		return KEEL_IRQ_AIM_MANAGED;
	case -EBUSY:
		return KEEL_IRQ_AIM_LEFT;
	case -ENOSPC:
		return KEEL_IRQ_AIM_FULL;
	case -ENOENT:
		return KEEL_IRQ_AIM_IDLE;
	default:
		return KEEL_IRQ_AIM_FAILED;
	}
}

static void keel_route_aim(struct keel_route *r)
{
	struct cpumask *mask = &keel_aim_mask;
	struct keel_line *line;
	u32 aim, irq;
	int err;

	if (r->target < 0) {
		if (r->line)
			keel_route_let_go(r);
		r->aim = KEEL_IRQ_AIM_NOBODY;
		return;
	}
	line = keel_route_line(r);
	if (!line)
		return;
	aim = keel_route_choose(r, mask);
	if (aim == KEEL_IRQ_AIM_IDLE ||
	    (line->aimed && cpumask_equal(mask, line->ours))) {
		r->aim = aim;
		return;
	}
	if (!keel_route_credit(r)) {
		/* It changes even nodes too fast. Looked at when that is over. */
		if (keel_route_is_coarse(r))
			return;
		r->coarse = true;
		r->coarse_until = jiffies + msecs_to_jiffies(COARSE_MS);
		aim = keel_route_choose(r, mask);
	}
	irq = line->irq;
	err = keel_line_aim(line, mask);
	if (err == -EAGAIN) {
		/* Tried again at the next look. */
		WRITE_ONCE(r->table->moved, true);
		return;
	}
	if (err) {
		aim = keel_aim_failed(err);
		r->refused++;
	} else {
		r->aims++;
		keel_dirq.aims++;
	}
	/* It has others now: the next interrupt tells which. */
	if (err == -ENOENT)
		keel_route_let_go(r);
	r->aim = aim;
	r->aim_cpu = !err && cpumask_weight(mask) == 1 ? cpumask_first(mask) : -1;
	trace_keel_irq_aim(r->table->vm->id, r->gsi, irq, r->target, aim,
			   r->aim_cpu, err);
}

/**
 * keel_aim_table - aim what has to be aimed anew
 * @table: a VM's table
 *
 * Context: may sleep; keel_dirq.lock is held.
 */
void keel_aim_table(struct keel_irq_table *table)
{
	struct keel_route *r;

	lockdep_assert_held(&keel_dirq.lock);
	/* Who moves from now on says so again. */
	if (!table->steered || !xchg(&table->moved, false))
		return;
	/* What is isolated may change at run time, on newer kernels. */
	rcu_read_lock();
	cpumask_and(&keel_aim_allowed, cpu_online_mask,
		    housekeeping_cpumask(HK_TYPE_DOMAIN));
	cpumask_and(&keel_aim_allowed, &keel_aim_allowed,
		    housekeeping_cpumask(HK_TYPE_MANAGED_IRQ));
	rcu_read_unlock();
	list_for_each_entry(r, &table->routes, node)
		keel_route_aim(r);
}

/*
 * Has its target, at whose CPU it was aimed, not come to run since the last look? A
 * fallback that names other CPUs is for such. Who halts and runs by turns is better
 * looked for where it most likely is than followed back and forth.
 */
static bool keel_route_rests(struct keel_route *r)
{
	u64 before = r->looked;

	if (r->target < 0)
		return false;
	/* It has a sequence number. */
	r->looked = keel_irq_where(r->table, r->target);
	return r->aim == KEEL_IRQ_AIM_CPU && r->looked == before &&
	       KEEL_IRQ_STATE(before) != KEEL_IRQ_STATE_RUNNING &&
	       keel_dirq_fallback(r->table, r->target) != KEEL_IRQ_FALLBACK_WAIT;
}

/**
 * keel_aim_due - those that were aimed long enough where they are
 * @table: a VM's table
 *
 * At their node, as they had moved too fast, or at the CPU of a target that rests.
 *
 * Context: keel_dirq.lock is held.
 */
void keel_aim_due(struct keel_irq_table *table)
{
	struct keel_route *r;

	lockdep_assert_held(&keel_dirq.lock);
	list_for_each_entry(r, &table->routes, node) {
		if (r->coarse && !keel_route_is_coarse(r)) {
			r->coarse = false;
			WRITE_ONCE(table->moved, true);
		}
		if (keel_route_rests(r))
			WRITE_ONCE(table->moved, true);
	}
	if (table->steered && READ_ONCE(table->moved))
		keel_aim_soon();
}

/**
 * keel_aim_mode - a table is to be steered, or no more
 * @table: the table
 * @steer: it is
 *
 * Context: may sleep; keel_dirq.lock is held.
 */
void keel_aim_mode(struct keel_irq_table *table, bool steer)
{
	struct keel_route *r;

	lockdep_assert_held(&keel_dirq.lock);
	WRITE_ONCE(table->steered, steer);
	WRITE_ONCE(table->moved, true);
	if (steer) {
		keel_aim_soon();
		return;
	}
	list_for_each_entry(r, &table->routes, node)
		keel_route_let_go(r);
}
