// SPDX-License-Identifier: GPL-2.0
/* 6.4: vhost workers are threads of the VMM */
#include <linux/types.h>
#include <linux/sched/vhost_task.h>

void probe(struct vhost_task *vtsk);
void probe(struct vhost_task *vtsk)
{
	vhost_task_stop(vtsk);
}
