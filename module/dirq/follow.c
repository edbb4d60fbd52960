// SPDX-License-Identifier: GPL-2.0
/* Directed interrupts: which threads run a VM's vCPUs. */
#include <linux/kvm_host.h>
#include <linux/sched/task.h>

#include "core/vm.h"
#include "dirq/table.h"
#include "compat/compat.h"

/* Return: true if the entry has no target, or none any more. */
static bool keel_target_clear(struct keel_irq_table *table, unsigned int i)
{
	struct keel_target *t = table->target[i];

	if (!t)
		return true;
	keel_target_end(t);
	if (!keel_target_ended(t))
		return false;
	table->target[i] = NULL;
	keel_target_free(t);
	return true;
}

static bool keel_target_stays(const struct keel_target *t,
			      const struct kvm_vcpu *vcpu,
			      const struct task_struct *task)
{
	return t && !t->ending && t->vcpu == vcpu && t->task == task &&
	       !(task->flags & PF_EXITING);
}

/**
 * keel_irq_follow - bring the targets of a table up to date
 * @table: the table
 * @kvm: its VM
 *
 * Memory that is short now may be there at the next look.
 *
 * Context: may sleep; keel_dirq.lock is held.
 */
void keel_irq_follow(struct keel_irq_table *table, struct kvm *kvm)
{
	struct task_struct *task;
	struct kvm_vcpu *vcpu;
	unsigned long i;

	lockdep_assert_held(&keel_dirq.lock);
	if (!atomic_read(&kvm->online_vcpus))
		return;
	kvm_for_each_vcpu(i, vcpu, kvm) {
		if (keel_irq_table_reach(table, i))
			break;
		task = keel_vcpu_task_get(vcpu);
		/* Two threads may not write to one entry: first the former one ends. */
		if (!keel_target_stays(table->target[i], vcpu, task) &&
		    keel_target_clear(table, i) && task)
			keel_target_create(table, i, vcpu, task);
		if (task)
			put_task_struct(task);
	}
}

/**
 * keel_irq_table_leave - the VM is gone, or nobody is to look at it any more
 * @table: its table
 *
 * Context: may sleep; keel_dirq.lock is held.
 * Return: true if no thread has to do with it any more.
 */
bool keel_irq_table_leave(struct keel_irq_table *table)
{
	bool left = true;
	unsigned int i;

	lockdep_assert_held(&keel_dirq.lock);
	for (i = 0; i < table->nr; i++)
		left &= keel_target_clear(table, i);
	if (left)
		WRITE_ONCE(table->header->flags, KEEL_IRQ_GONE);
	return left;
}
