// SPDX-License-Identifier: GPL-2.0
/* Directed interrupts: what is begun and ended, and the look at all VMs. */
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/kvm_host.h>
#include <linux/notifier.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>

#include "core/keel.h"
#include "core/vm.h"
#include "dirq/dirq.h"
#include "dirq/table.h"

/* vCPUs, threads and irqfds come without being announced. */
#define LOOK_MS		250
/* Those whose end is waited for. */
#define LEAVE_MS	5

static void keel_dirq_look_fn(struct work_struct *work);
static void keel_dirq_aim_fn(struct work_struct *work);

struct keel_dirq keel_dirq = {
	.lock = __MUTEX_INITIALIZER(keel_dirq.lock),
	.mode = KEEL_IRQ_MODE_OFF,
	.fallback = KEEL_IRQ_FALLBACK_WAIT,
	.tables = LIST_HEAD_INIT(keel_dirq.tables),
	.lines = LIST_HEAD_INIT(keel_dirq.lines),
	.look = __DELAYED_WORK_INITIALIZER(keel_dirq.look, keel_dirq_look_fn, 0),
	.aim = __DELAYED_WORK_INITIALIZER(keel_dirq.aim, keel_dirq_aim_fn, 0),
};

/*
 * The table of a VM, made if need be; @vm's reference goes with it. They are in order
 * of the VMs' numbers.
 */
static struct keel_irq_table *keel_dirq_table(struct keel_vm *vm)
{
	struct keel_irq_table *table, *after;

	list_for_each_entry(after, &keel_dirq.tables, node) {
		if (after->vm == vm) {
			keel_vm_put(vm);
			return after;
		}
		if (after->vm->id > vm->id)
			break;
	}
	table = keel_irq_table_create(vm);
	if (!table)
		return NULL;
	list_add_tail(&table->node, &after->node);
	keel_aim_mode(table, keel_dirq.mode == KEEL_IRQ_MODE_STEER);
	return table;
}

static void keel_dirq_look_at(struct keel_irq_table *table)
{
	struct kvm *kvm;
	struct file *file = keel_vm_open(table->vm, &kvm);

	if (!file)
		return;
	table->seen = true;
	keel_irq_follow(table, kvm);
	keel_routes_look(table, kvm);
	fput(file);
}

/* Tables of VMs that were not seen, as far as their threads have let go. */
static void keel_dirq_reap(void)
{
	struct keel_irq_table *table, *next;

	list_for_each_entry_safe(table, next, &keel_dirq.tables, node) {
		if (table->seen)
			continue;
		keel_routes_drop(table);
		if (!keel_irq_table_leave(table))
			continue;
		list_del_init(&table->node);
		keel_irq_table_put(table);
	}
}

static void keel_dirq_look(void)
{
	struct keel_irq_table *table;
	struct keel_vm *vm;
	u32 id = 0;

	lockdep_assert_held(&keel_dirq.lock);
	list_for_each_entry(table, &keel_dirq.tables, node)
		table->seen = false;
	while (keel_dirq.mode != KEEL_IRQ_MODE_OFF && (vm = keel_vm_next(id))) {
		id = vm->id;
		table = keel_dirq_table(vm);
		if (table)
			keel_dirq_look_at(table);
	}
	keel_dirq_reap();
	keel_lines_give_back();
}

/* Whatever is to go has gone. */
static bool keel_dirq_is_off(void)
{
	if (keel_dirq.mode != KEEL_IRQ_MODE_OFF || !list_empty(&keel_dirq.tables) ||
	    !list_empty(&keel_dirq.lines))
		return false;
	keel_routes_stop();
	return true;
}

static void keel_dirq_look_fn(struct work_struct *work)
{
	mutex_lock(&keel_dirq.lock);
	keel_dirq_look();
	if (!keel_dirq.closed && !keel_dirq_is_off())
		queue_delayed_work(keel_wq, &keel_dirq.look,
				   msecs_to_jiffies(keel_dirq.mode == KEEL_IRQ_MODE_OFF ?
						    LEAVE_MS : LOOK_MS));
	mutex_unlock(&keel_dirq.lock);
}

/**
 * keel_irq_table_get - the table of a VM
 * @vm: the VM's number
 *
 * Context: may sleep.
 * Return: the table with a reference, or NULL.
 */
struct keel_irq_table *keel_irq_table_get(u32 vm)
{
	struct keel_irq_table *table, *found = NULL;

	mutex_lock(&keel_dirq.lock);
	list_for_each_entry(table, &keel_dirq.tables, node) {
		if (table->vm->id == vm) {
			kref_get(&table->ref);
			found = table;
			break;
		}
	}
	mutex_unlock(&keel_dirq.lock);
	return found;
}

static void keel_dirq_aim_fn(struct work_struct *work)
{
	struct keel_irq_table *table;

	mutex_lock(&keel_dirq.lock);
	if (keel_dirq.mode == KEEL_IRQ_MODE_STEER)
		list_for_each_entry(table, &keel_dirq.tables, node)
			keel_aim_table(table);
	mutex_unlock(&keel_dirq.lock);
}

/* Let go of all threads and interrupts that can be had. Return: true if that is all. */
static bool keel_dirq_end(void)
{
	bool ended;

	mutex_lock(&keel_dirq.lock);
	/* Somebody may have turned it on again. */
	if (keel_dirq.mode == KEEL_IRQ_MODE_OFF)
		keel_dirq_look();
	ended = keel_dirq.mode != KEEL_IRQ_MODE_OFF || keel_dirq_is_off();
	mutex_unlock(&keel_dirq.lock);
	return ended;
}

static int __keel_dirq_set(u32 mode, u32 fallback)
{
	struct keel_irq_table *table;
	int err;

	if (keel_dirq.closed)
		return -ESHUTDOWN;
	if (mode == KEEL_DIRQ_AS_IT_IS)
		mode = keel_dirq.mode;
	if (fallback == KEEL_DIRQ_AS_IT_IS)
		fallback = keel_dirq.fallback;
	err = mode == KEEL_IRQ_MODE_OFF ? 0 : keel_routes_start();
	if (err)
		return err;
	keel_dirq.fallback = fallback;
	WRITE_ONCE(keel_dirq.mode, mode);
	list_for_each_entry(table, &keel_dirq.tables, node)
		keel_aim_mode(table, mode == KEEL_IRQ_MODE_STEER);
	keel_dirq_look();
	queue_delayed_work(keel_wq, &keel_dirq.look, msecs_to_jiffies(LOOK_MS));
	return 0;
}

/**
 * keel_dirq_set - do more or less
 * @mode: enum keel_irq_mode, or KEEL_DIRQ_AS_IT_IS
 * @fallback: enum keel_irq_fallback, likewise
 *
 * Off means that no thread and no interrupt knows of keel any more when it returns.
 * A thread that cannot be reached now, because it waits for a device, say, is waited
 * for.
 *
 * Context: may sleep.
 * Return: 0; -ESHUTDOWN if keel is being unloaded; -EINTR: it goes on by itself; or
 * why interrupts cannot be seen.
 */
int keel_dirq_set(u32 mode, u32 fallback)
{
	int err;

	mutex_lock(&keel_dirq.lock);
	err = __keel_dirq_set(mode, fallback);
	mutex_unlock(&keel_dirq.lock);
	if (err || mode != KEEL_IRQ_MODE_OFF)
		return err;

	while (!keel_dirq_end()) {
		msleep_interruptible(LEAVE_MS);
		if (signal_pending(current))
			return -EINTR;
	}
	return 0;
}

static int keel_dirq_vms(struct notifier_block *nb, unsigned long event, void *ptr)
{
	if (READ_ONCE(keel_dirq.mode) != KEEL_IRQ_MODE_OFF)
		mod_delayed_work(keel_wq, &keel_dirq.look, 0);
	return NOTIFY_DONE;
}

static struct notifier_block keel_dirq_vms_nb = {
	.notifier_call = keel_dirq_vms,
};

/**
 * keel_dirq_init - what users need
 *
 * Return: 0, or what the registration said.
 */
int keel_dirq_init(void)
{
	return keel_irq_dev_init();
}

/**
 * keel_dirq_start - hear of VMs
 */
void keel_dirq_start(void)
{
	blocking_notifier_chain_register(&keel_vms_chain, &keel_dirq_vms_nb);
}

/**
 * keel_dirq_stop - look no more
 *
 * No thread has to do with it: it would hold the module.
 *
 * Context: may sleep.
 */
void keel_dirq_stop(void)
{
	mutex_lock(&keel_dirq.lock);
	keel_dirq.closed = true;
	WRITE_ONCE(keel_dirq.mode, KEEL_IRQ_MODE_OFF);
	mutex_unlock(&keel_dirq.lock);
	blocking_notifier_chain_unregister(&keel_vms_chain, &keel_dirq_vms_nb);
	cancel_delayed_work_sync(&keel_dirq.look);
	/* A device may be locked by somebody for a while. */
	while (!keel_dirq_end())
		msleep(LEAVE_MS);
	cancel_delayed_work_sync(&keel_dirq.aim);
}

/**
 * keel_dirq_exit - the mirror of keel_dirq_init()
 *
 * No request is in flight any more.
 */
void keel_dirq_exit(void)
{
	keel_irq_dev_exit();
	/* A thread may be about to leave the last function of ours that it ran. */
	synchronize_rcu_tasks();
}
