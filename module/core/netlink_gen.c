// SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-3-Clause)
/* Do not edit directly, auto-generated from: */
/*	Documentation/netlink/specs/keel.yaml */
/* YNL-GEN kernel source */

#include <net/netlink.h>
#include <net/genetlink.h>

#include "netlink_gen.h"

#include <uapi/linux/keel_netlink.h>

/* Global operation policy for keel */
const struct nla_policy keel_nl_policy[KEEL_A_ID + 1] = {
	[KEEL_A_ID] = { .type = NLA_U32, },
};

/* Ops table for keel */
const struct genl_small_ops keel_nl_ops[4] = {
	{
		.cmd	= KEEL_CMD_HOST_GET,
		.doit	= keel_nl_host_get_doit,
		.flags	= GENL_ADMIN_PERM,
	},
	{
		.cmd	= KEEL_CMD_VM_GET,
		.doit	= keel_nl_vm_get_doit,
		.dumpit	= keel_nl_vm_get_dumpit,
		.flags	= GENL_ADMIN_PERM,
	},
	{
		.cmd	= KEEL_CMD_SNAPSHOT_GET,
		.doit	= keel_nl_snapshot_get_doit,
		.dumpit	= keel_nl_snapshot_get_dumpit,
		.flags	= GENL_ADMIN_PERM,
	},
	{
		.cmd	= KEEL_CMD_SNAPSHOT_ABORT,
		.doit	= keel_nl_snapshot_abort_doit,
		.flags	= GENL_ADMIN_PERM,
	},
};

static const struct genl_multicast_group keel_nl_mcgrps[] = {
	[KEEL_NLGRP_EVENTS] = { "events", },
};
