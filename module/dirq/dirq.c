// SPDX-License-Identifier: GPL-2.0
/* Directed interrupts: what is begun and ended, and the look at all VMs. */
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/kvm_host.h>
#include <linux/notifier.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <asm/irq_remapping.h>

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
	.sources = LIST_HEAD_INIT(keel_dirq.sources),
	.look = __DELAYED_WORK_INITIALIZER(keel_dirq.look, keel_dirq_look_fn, 0),
	.aim = __DELAYED_WORK_INITIALIZER(keel_dirq.aim, keel_dirq_aim_fn, 0),
};

/* What a VM's mode comes to. */
static bool keel_dirq_steers(const struct keel_irq_table *table)
{
	u32 mode = table->mode == KEEL_DIRQ_INHERIT ? keel_dirq.mode : table->mode;

	return keel_dirq.mode != KEEL_IRQ_MODE_OFF && mode == KEEL_IRQ_MODE_STEER &&
	       !table->posted;
}

/*
 * With VT-d's or AMD-Vi's posting the hardware takes a device's interrupt to a vCPU, if
 * KVM has nothing against that for the VM. What it has comes and goes.
 */
static bool keel_dirq_is_posted(struct kvm *kvm)
{
	return irq_remapping_cap(IRQ_POSTING_CAP) &&
	       !READ_ONCE(kvm->arch.apicv_inhibit_reasons);
}

static void keel_dirq_look_at_posting(struct keel_irq_table *table, struct kvm *kvm)
{
	bool posted = keel_dirq_is_posted(kvm);

	if (posted == table->posted)
		return;
	table->posted = posted;
	keel_aim_mode(table, keel_dirq_steers(table));
}

/**
 * keel_dirq_fallback - where an interrupt goes whose target does not run
 * @table: a table
 * @target: the target's number in it
 *
 * Context: any.
 * Return: enum keel_irq_fallback: the target's own, its VM's or the host's.
 */
u32 keel_dirq_fallback(const struct keel_irq_table *table, unsigned int target)
{
	u32 fallback = READ_ONCE(table->policy[target]);

	if (fallback == KEEL_DIRQ_INHERIT)
		fallback = READ_ONCE(table->fallback);
	if (fallback == KEEL_DIRQ_INHERIT)
		fallback = READ_ONCE(keel_dirq.fallback);
	return fallback;
}

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
	keel_irq_table_publish(table);
	keel_aim_mode(table, keel_dirq_steers(table));
	return table;
}

static void keel_dirq_look_at(struct keel_irq_table *table)
{
	struct kvm *kvm;
	struct file *file = keel_vm_open(table->vm, &kvm);

	if (!file)
		return;
	table->seen = true;
	keel_dirq_look_at_posting(table, kvm);
	keel_irq_follow(table, kvm);
	keel_routes_look(table, kvm);
	keel_nested_look(table, kvm);
	keel_aim_due(table);
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
		keel_irq_table_hide(table);
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
	keel_sources_look();
	keel_lines_give_back();
	keel_offer_update();
}

/**
 * keel_dirq_look_for - a VM's table, as it is at this moment
 * @vm: the VM
 *
 * Context: may sleep; keel_dirq.lock is held.
 * Return: the table, NULL if it has none, or all is turned off.
 */
struct keel_irq_table *keel_dirq_look_for(const struct keel_vm *vm)
{
	struct keel_irq_table *table;

	lockdep_assert_held(&keel_dirq.lock);
	if (keel_dirq.mode == KEEL_IRQ_MODE_OFF)
		return NULL;
	table = keel_irq_table_lookup(vm->id);
	if (table)
		keel_dirq_look_at(table);
	return table;
}

/**
 * keel_dirq_look_soon - something has to be looked at before its time
 *
 * Context: any.
 */
void keel_dirq_look_soon(void)
{
	mod_delayed_work(keel_wq, &keel_dirq.look, 0);
}

/* Whatever is to go has gone. */
static bool keel_dirq_is_off(void)
{
	if (keel_dirq.mode != KEEL_IRQ_MODE_OFF || !list_empty(&keel_dirq.tables) ||
	    !list_empty(&keel_dirq.lines))
		return false;
	keel_routes_stop();
	keel_nested_stop();
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
	struct keel_irq_table *table;

	mutex_lock(&keel_dirq.lock);
	table = keel_irq_table_lookup(vm);
	if (table)
		kref_get(&table->ref);
	mutex_unlock(&keel_dirq.lock);
	return table;
}

static void keel_dirq_aim_fn(struct work_struct *work)
{
	struct keel_irq_table *table;
	bool placed = xchg(&keel_dirq.placed, false);

	mutex_lock(&keel_dirq.lock);
	/* Our host can follow who has moved while we do, */
	keel_offer_call();
	list_for_each_entry(table, &keel_dirq.tables, node) {
		/* Turned off, its threads are being let go of. */
		if (xchg(&table->called, false) && keel_dirq.mode != KEEL_IRQ_MODE_OFF)
			keel_dirq_look_at(table);
		if (placed)
			WRITE_ONCE(table->moved, true);
		keel_aim_table(table);
	}
	/* and then sees what we have done. */
	keel_offer_update();
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
	if (mode != KEEL_IRQ_MODE_OFF)
		keel_nested_start();
	WRITE_ONCE(keel_dirq.fallback, fallback);
	WRITE_ONCE(keel_dirq.mode, mode);
	list_for_each_entry(table, &keel_dirq.tables, node)
		keel_aim_mode(table, keel_dirq_steers(table));
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

/* For one VM, or one of its targets. */
static int __keel_dirq_set_vm(u32 vm, int vcpu_id, u32 mode, u32 fallback)
{
	struct keel_irq_table *table = keel_irq_table_lookup(vm);
	int target;

	if (!table)
		return -ENOENT;
	target = vcpu_id < 0 ? 0 : keel_irq_table_find(table, vcpu_id);
	if (target < 0)
		return -ENXIO;
	if (mode != KEEL_DIRQ_AS_IT_IS)
		table->mode = mode;
	if (fallback != KEEL_DIRQ_AS_IT_IS && vcpu_id < 0)
		WRITE_ONCE(table->fallback, fallback);
	else if (fallback != KEEL_DIRQ_AS_IT_IS)
		WRITE_ONCE(table->policy[target], fallback);
	keel_aim_mode(table, keel_dirq_steers(table));
	return 0;
}

/**
 * keel_dirq_set_vm - what is done for a VM, or for one of its targets
 * @vm: the VM's number
 * @vcpu_id: the target, or -1: the VM
 * @mode: enum keel_irq_mode but not off, KEEL_DIRQ_INHERIT, or KEEL_DIRQ_AS_IT_IS; of a VM
 * @fallback: enum keel_irq_fallback, KEEL_DIRQ_INHERIT, or KEEL_DIRQ_AS_IT_IS
 *
 * It is forgotten when all is turned off.
 *
 * Context: may sleep.
 * Return: 0; -ENOENT: no such VM, or there is no table of it; -ENXIO: no such target.
 */
int keel_dirq_set_vm(u32 vm, int vcpu_id, u32 mode, u32 fallback)
{
	int err;

	mutex_lock(&keel_dirq.lock);
	err = __keel_dirq_set_vm(vm, vcpu_id, mode, fallback);
	mutex_unlock(&keel_dirq.lock);
	return err;
}

/**
 * keel_dirq_placed - placement has given threads other CPUs
 *
 * Their interrupts go there at once, also those of threads that sleep and have not
 * come there yet.
 *
 * Context: any.
 */
void keel_dirq_placed(void)
{
	if (READ_ONCE(keel_dirq.mode) == KEEL_IRQ_MODE_OFF)
		return;
	WRITE_ONCE(keel_dirq.placed, true);
	mod_delayed_work(keel_wq, &keel_dirq.aim, 0);
}

static int keel_dirq_vms(struct notifier_block *nb, unsigned long event, void *ptr)
{
	if (READ_ONCE(keel_dirq.mode) != KEEL_IRQ_MODE_OFF ||
	    !list_empty_careful(&keel_dirq.sources))
		keel_dirq_look_soon();
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
	keel_irq_bpf_init();
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
	keel_aim_stop();
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
