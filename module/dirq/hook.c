// SPDX-License-Identifier: GPL-2.0
/*
 * Directed interrupts: what a vCPU's thread does for its entry. The life of a target
 * is told in table.h.
 */
#include <linux/kvm_host.h>
#include <linux/module.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/topology.h>

#include "dirq/table.h"
#include "compat/compat.h"

/* Only the thread writes, and with preemption off: it never meets itself. */
static void keel_target_write(struct keel_target *t, u32 cpu, u32 state)
{
	struct keel_irq_entry *e = t->entry;

	WRITE_ONCE(e->where, irq_word(e->where, cpu, cpu_to_node(cpu), state));
}

static void keel_target_in(struct preempt_notifier *pn, int cpu)
{
	struct keel_target *t = container_of(pn, struct keel_target, notifier);

	keel_target_write(t, cpu, KEEL_IRQ_STATE_RUNNING);
	if (likely(t->cpu == cpu))
		return;
	t->cpu = cpu;
	WRITE_ONCE(t->entry->moves, t->entry->moves + 1);
	keel_aim_moved(t->table);
}

/*
 * Is the thread in KVM, with this vCPU? KVM has a notifier of its own in the
 * thread's list then. An address that is compared with may be another vCPU's by
 * now: the next look at the VM sees that.
 */
static bool keel_target_loaded(const struct keel_target *t)
{
	struct preempt_notifier *pn;

	hlist_for_each_entry(pn, &current->preempt_notifiers, link)
		if (pn == &t->vcpu->preempt_notifier)
			return true;
	return false;
}

static u32 keel_target_leaves_as(const struct keel_target *t)
{
	unsigned int state = READ_ONCE(current->__state);

	if (keel_task_is_runnable(current))
		return KEEL_IRQ_STATE_PREEMPTED;
	if (state == TASK_DEAD)
		return KEEL_IRQ_STATE_OFFLINE;
	/* KVM halts a vCPU so; who waits for memory cannot be interrupted. */
	if (state & TASK_INTERRUPTIBLE && keel_target_loaded(t))
		return KEEL_IRQ_STATE_HALTED;
	return KEEL_IRQ_STATE_PAUSED;
}

/* The run queue's lock is held. */
static void keel_target_out(struct preempt_notifier *pn, struct task_struct *next)
{
	struct keel_target *t = container_of(pn, struct keel_target, notifier);

	keel_target_write(t, t->cpu, keel_target_leaves_as(t));
}

static struct preempt_ops keel_target_ops = {
	.sched_in = keel_target_in,
	.sched_out = keel_target_out,
};

/* In the thread, as is the next one. */
static void keel_target_hook(struct callback_head *work)
{
	struct keel_target *t = container_of(work, struct keel_target, hook);

	/* On its way out, or too late: the other one may run first. */
	if (!(current->flags & PF_EXITING) && !READ_ONCE(t->ending)) {
		preempt_disable();
		t->cpu = smp_processor_id();
		preempt_notifier_register(&t->notifier);
		keel_target_write(t, t->cpu, KEEL_IRQ_STATE_RUNNING);
		t->registered = true;
		preempt_enable();
	}
	/* Pairs with keel_target_ended(). */
	atomic_dec_return_release(&t->works);
}

static void keel_target_unhook(struct callback_head *work)
{
	struct keel_target *t = container_of(work, struct keel_target, unhook);

	preempt_disable();
	if (t->registered) {
		preempt_notifier_unregister(&t->notifier);
		keel_target_write(t, t->cpu, KEEL_IRQ_STATE_OFFLINE);
		t->registered = false;
	}
	preempt_enable();
	atomic_dec_return_release(&t->works);
}

/**
 * keel_target_current - whose vCPU this thread runs
 *
 * Context: in the thread, with preemption off.
 * Return: the table, as long as preemption is off; NULL if it is none that is kept.
 */
struct keel_irq_table *keel_target_current(void)
{
	struct preempt_notifier *pn;

	hlist_for_each_entry(pn, &current->preempt_notifiers, link)
		if (pn->ops == &keel_target_ops)
			return container_of(pn, struct keel_target, notifier)->table;
	return NULL;
}

/**
 * keel_target_create - have a vCPU's thread keep the vCPU's entry
 * @table: of the VM
 * @i: number of the entry, which nobody else writes
 * @vcpu: the vCPU
 * @task: the thread, which has to be alive for now, but may exit meanwhile
 *
 * Holds the module until it is freed.
 *
 * Context: may sleep; keel_dirq.lock is held.
 * Return: 0, -ENOMEM, or -ESRCH: it exits.
 */
int keel_target_create(struct keel_irq_table *table, unsigned int i,
		       struct kvm_vcpu *vcpu, struct task_struct *task)
{
	struct keel_target *t = kzalloc(sizeof(*t), GFP_KERNEL);
	int err;

	lockdep_assert_held(&keel_dirq.lock);
	if (!t)
		return -ENOMEM;
	preempt_notifier_init(&t->notifier, &keel_target_ops);
	init_task_work(&t->hook, keel_target_hook);
	init_task_work(&t->unhook, keel_target_unhook);
	t->table = table;
	t->entry = keel_irq_table_entry(table, i);
	t->vcpu = vcpu;
	t->task = task;
	atomic_set(&t->works, 1);
	preempt_notifier_inc();
	err = task_work_add(task, &t->hook, TWA_RESUME);
	if (err) {
		preempt_notifier_dec();
		kfree(t);
		return err;
	}
	get_task_struct(task);
	__module_get(THIS_MODULE);
	t->entry->vcpu_id = vcpu->vcpu_id;
	/* KVM resets a vCPU's APIC to that ID. */
	t->entry->apic_id = vcpu->vcpu_id;
	WRITE_ONCE(t->entry->tid, task->pid);
	table->target[i] = t;
	return 0;
}

/**
 * keel_target_end - have the thread keep it no more
 * @t: the target
 *
 * Context: may sleep; keel_dirq.lock is held. Does nothing the second time.
 */
void keel_target_end(struct keel_target *t)
{
	lockdep_assert_held(&keel_dirq.lock);
	if (t->ending)
		return;
	WRITE_ONCE(t->ending, true);
	WRITE_ONCE(t->entry->tid, 0);
	atomic_inc(&t->works);
	/* A vCPU that is halted is woken up for it. */
	if (task_work_add(t->task, &t->unhook, TWA_SIGNAL))
		atomic_dec(&t->works);
}

/* Has it gone through its last switch? What notifies of that comes before. */
static bool keel_task_is_off(struct task_struct *task)
{
	if (READ_ONCE(task->__state) != TASK_DEAD)
		return false;
	/* Pairs with finish_task(): all that it did before is seen. */
	return !smp_load_acquire(&task->on_cpu);
}

/**
 * keel_target_ended - does nothing lead to a target any more?
 * @t: the target, ending
 *
 * Context: keel_dirq.lock is held.
 */
bool keel_target_ended(struct keel_target *t)
{
	lockdep_assert_held(&keel_dirq.lock);
	/* Pairs with the end of the works: what they did to the target is seen. */
	if (atomic_read_acquire(&t->works))
		return false;
	return !t->registered || keel_task_is_off(t->task);
}

/**
 * keel_target_free - forget a target that has ended
 * @t: the target
 *
 * Context: may sleep.
 */
void keel_target_free(struct keel_target *t)
{
	put_task_struct(t->task);
	preempt_notifier_dec();
	kfree(t);
	module_put(THIS_MODULE);
}
