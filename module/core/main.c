// SPDX-License-Identifier: GPL-2.0
/*
 * keel: what a KVM host lacks.
 *
 * Start bottom-up, users last; stop in the mirror's order. Whatever user space
 * holds (mounts, open files of /dev/keel) holds the module, too.
 */
#include <linux/module.h>

#include "core/keel.h"
#include "core/netlink.h"
#include "core/vm.h"
#include "dirq/dirq.h"
#include "placement/placement.h"
#include "snapshot/snapshot.h"
#include "sriov/sriov.h"

struct workqueue_struct *keel_wq;

/* Nothing goes on by itself, and no request for long. */
static void keel_stop(void)
{
	keel_dirq_stop();
	keel_sriov_stop();
	keel_placement_stop();
	keel_vms_stop();
	/* Snapshots that gave up may have work in flight, which announces. */
	drain_workqueue(keel_wq);
}

static int __init keel_init(void)
{
	int err;

	keel_wq = alloc_workqueue("keel", WQ_UNBOUND, 0);
	if (!keel_wq)
		return -ENOMEM;
	err = keel_vms_init();
	if (err)
		goto destroy_wq;
	err = keel_snapshot_init();
	if (err)
		goto exit_vms;
	err = keel_placement_init();
	if (err)
		goto exit_snapshot;
	err = keel_sriov_init();
	if (err)
		goto exit_placement;
	err = keel_dirq_init();
	if (err)
		goto exit_sriov;
	err = keel_nl_init();
	if (err)
		goto exit_dirq;
	keel_vms_start();
	keel_placement_start();
	err = keel_sriov_start();
	if (err)
		goto stop;
	keel_dirq_start();
	return 0;

stop:
	keel_stop();
	keel_nl_exit();
exit_dirq:
	keel_dirq_exit();
exit_sriov:
	keel_sriov_exit();
exit_placement:
	keel_placement_exit();
exit_snapshot:
	keel_snapshot_exit();
exit_vms:
	keel_vms_exit();
destroy_wq:
	destroy_workqueue(keel_wq);
	return err;
}

static void __exit keel_exit(void)
{
	keel_stop();
	/* Then no more users. */
	keel_nl_exit();
	keel_dirq_exit();
	keel_sriov_exit();
	keel_placement_exit();
	keel_snapshot_exit();
	keel_vms_exit();
	destroy_workqueue(keel_wq);
}

module_init(keel_init);
module_exit(keel_exit);

MODULE_DESCRIPTION("keel: live snapshots and more for KVM hosts");
MODULE_AUTHOR("keel maintainers");
MODULE_LICENSE("GPL");
MODULE_VERSION(KEEL_VERSION);
