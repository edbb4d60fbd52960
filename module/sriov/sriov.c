// SPDX-License-Identifier: GPL-2.0
/*
 * The SR-IOV room: what is begun and ended with the module, and the look at
 * switches and PFs that follows whenever something may have changed.
 */
#include <linux/netdevice.h>
#include <linux/notifier.h>
#include <linux/pci.h>

#include "core/keel.h"
#include "core/vm.h"
#include "sriov/pool.h"
#include "sriov/sriov.h"

/*
 * A tap is often a port before its VMM has it, and nobody tells when it does: it
 * is looked for again, ever less often.
 */
#define RETRY_MS	10
#define RETRY_MS_MAX	5000

static void keel_sriov_look_fn(struct work_struct *work);

struct keel_sriov keel_sriov = {
	.making = __MUTEX_INITIALIZER(keel_sriov.making),
	.lock = __MUTEX_INITIALIZER(keel_sriov.lock),
	.pools = LIST_HEAD_INIT(keel_sriov.pools),
	.changed = __WAIT_QUEUE_HEAD_INITIALIZER(keel_sriov.changed),
	.look = __DELAYED_WORK_INITIALIZER(keel_sriov.look, keel_sriov_look_fn, 0),
};

/* Until the next look for who has ports that are nobody's. */
static unsigned int keel_sriov_retry_ms = RETRY_MS;

/**
 * keel_sriov_look - something may have changed
 * @ms: look after so long
 *
 * Context: any.
 */
void keel_sriov_look(unsigned int ms)
{
	WRITE_ONCE(keel_sriov_retry_ms, RETRY_MS);
	mod_delayed_work(keel_wq, &keel_sriov.look, msecs_to_jiffies(ms));
}

/**
 * keel_sriov_wake - something has moved, or left
 *
 * Context: any.
 */
void keel_sriov_wake(void)
{
	atomic_inc(&keel_sriov.turns);
	wake_up_all(&keel_sriov.changed);
}

/* Members and pools that have left. */
static void keel_sriov_reap(void)
{
	struct keel_vf_pool *pool, *next_pool;
	struct keel_member *m, *next;
	LIST_HEAD(left);

	mutex_lock(&keel_sriov.making);
	mutex_lock(&keel_sriov.lock);
	list_for_each_entry_safe(pool, next_pool, &keel_sriov.pools, node) {
		list_for_each_entry_safe(m, next, &pool->members, node) {
			if (!keel_member_left(m)) {
				keel_member_look(m);
				continue;
			}
			list_move_tail(&m->node, &left);
			keel_member_bequeath(m);
		}
	}
	mutex_unlock(&keel_sriov.lock);

	list_for_each_entry_safe(m, next, &left, node) {
		list_del(&m->node);
		keel_member_free(m);
	}
	mutex_unlock(&keel_sriov.making);

	/* A pool that is gone has left nothing behind. */
	mutex_lock(&keel_sriov.lock);
	list_for_each_entry_safe(pool, next_pool, &keel_sriov.pools, node)
		if (pool->leaving && list_empty(&pool->members))
			keel_vf_pool_free(pool);
	mutex_unlock(&keel_sriov.lock);
	keel_sriov_wake();
}

static void keel_sriov_look_fn(struct work_struct *work)
{
	unsigned int ms, retry;

	keel_sriov_reap();
	ms = keel_ports_expire();
	if (keel_ports_look()) {
		retry = READ_ONCE(keel_sriov_retry_ms);
		WRITE_ONCE(keel_sriov_retry_ms, min(2 * retry, RETRY_MS_MAX));
		ms = min(ms, retry);
	}
	if (ms != UINT_MAX)
		queue_delayed_work(keel_wq, &keel_sriov.look,
				   msecs_to_jiffies(ms) + 1);
}

static bool keel_sriov_unused(void)
{
	return list_empty_careful(&keel_sriov.pools);
}

static int keel_sriov_netdev(struct notifier_block *nb, unsigned long event,
			     void *ptr)
{
	/* Who is on what is to be known when a pool comes. */
	keel_switch_netdev(event, ptr);
	if (!keel_sriov_unused() &&
	    (event == NETDEV_CHANGEUPPER || event == NETDEV_UNREGISTER ||
	     event == NETDEV_CHANGENAME || event == NETDEV_CHANGE))
		keel_sriov_look(0);
	return NOTIFY_DONE;
}

static int keel_sriov_pci(struct notifier_block *nb, unsigned long event,
			  void *dev)
{
	if (keel_sriov_unused())
		return NOTIFY_DONE;
	if (event == BUS_NOTIFY_DEL_DEVICE || event == BUS_NOTIFY_REMOVED_DEVICE)
		keel_sriov_device_gone(to_pci_dev(dev),
				       event == BUS_NOTIFY_REMOVED_DEVICE);
	if (event == BUS_NOTIFY_ADD_DEVICE || event == BUS_NOTIFY_REMOVED_DEVICE)
		keel_sriov_look(0);
	return NOTIFY_DONE;
}

static int keel_sriov_vms(struct notifier_block *nb, unsigned long event,
			  void *ptr)
{
	if (!keel_sriov_unused())
		keel_sriov_look(0);
	return NOTIFY_DONE;
}

static struct notifier_block keel_sriov_netdev_nb = {
	.notifier_call = keel_sriov_netdev,
};

static struct notifier_block keel_sriov_pci_nb = {
	.notifier_call = keel_sriov_pci,
};

static struct notifier_block keel_sriov_vms_nb = {
	.notifier_call = keel_sriov_vms,
};

/**
 * keel_sriov_init - what users need
 *
 * Return: 0 or -ENOMEM.
 */
int keel_sriov_init(void)
{
	/* Many VFs are reset at a time, which is mostly waiting. */
	keel_sriov.wq = alloc_workqueue("keel_vf", WQ_UNBOUND, 0);
	return keel_sriov.wq ? 0 : -ENOMEM;
}

/**
 * keel_sriov_start - hear of what changes
 *
 * Return: 0, or why not; keel_sriov_stop() is to be called then, too.
 */
int keel_sriov_start(void)
{
	int err = register_netdevice_notifier(&keel_sriov_netdev_nb);

	if (err)
		return err;
	err = bus_register_notifier(&pci_bus_type, &keel_sriov_pci_nb);
	if (err)
		unregister_netdevice_notifier(&keel_sriov_netdev_nb);
	else
		blocking_notifier_chain_register(&keel_vms_chain,
						 &keel_sriov_vms_nb);
	return err;
}

/**
 * keel_sriov_stop - give everything back
 *
 * No lease is out: it would hold the module.
 *
 * Context: may sleep.
 */
void keel_sriov_stop(void)
{
	struct keel_vf_pool *pool;

	mutex_lock(&keel_sriov.lock);
	keel_sriov.closed = true;
	list_for_each_entry(pool, &keel_sriov.pools, node)
		keel_vf_pool_leave(pool);
	mutex_unlock(&keel_sriov.lock);
	wait_event(keel_sriov.changed, keel_sriov_unused());
	if (!blocking_notifier_chain_unregister(&keel_vms_chain,
						&keel_sriov_vms_nb)) {
		bus_unregister_notifier(&pci_bus_type, &keel_sriov_pci_nb);
		unregister_netdevice_notifier(&keel_sriov_netdev_nb);
	}
	cancel_delayed_work_sync(&keel_sriov.look);
}

/**
 * keel_sriov_exit - the mirror of keel_sriov_init()
 *
 * No request is in flight any more.
 */
void keel_sriov_exit(void)
{
	keel_switch_exit();
	destroy_workqueue(keel_sriov.wq);
}
