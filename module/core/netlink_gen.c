// SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-3-Clause)
/* Do not edit directly, auto-generated from: */
/*	Documentation/netlink/specs/keel.yaml */
/* YNL-GEN kernel source */

#include <net/netlink.h>
#include <net/genetlink.h>

#include "netlink_gen.h"

#include <uapi/linux/keel_netlink.h>

/* Global operation policy for keel */
const struct nla_policy keel_nl_policy[KEEL_A_SINK_FD + 1] = {
	[KEEL_A_ID] = { .type = NLA_U32, },
	[KEEL_A_NODES] = { .type = NLA_BINARY, },
	[KEEL_A_LATENCY] = { .type = NLA_BINARY, },
	[KEEL_A_LOADED] = { .type = NLA_FLAG, },
	[KEEL_A_BUDGET_US] = { .type = NLA_U32, },
	[KEEL_A_PERIOD_MS] = { .type = NLA_U32, },
	[KEEL_A_TEMPER] = NLA_POLICY_MAX(NLA_U32, 2),
	[KEEL_A_GRAIN] = NLA_POLICY_MAX(NLA_U32, 2),
	[KEEL_A_SAMPLES] = { .type = NLA_U32, },
	[KEEL_A_MODE] = NLA_POLICY_MAX(NLA_U32, 2),
	[KEEL_A_VCPU] = { .type = NLA_U32, },
	[KEEL_A_MEMORY_MIB] = { .type = NLA_U32, },
	[KEEL_A_NAME] = { .type = NLA_NUL_STRING, },
	[KEEL_A_SWITCH] = { .type = NLA_NUL_STRING, },
	[KEEL_A_POLICY] = NLA_POLICY_MAX(NLA_U32, 2),
	[KEEL_A_RESERVE] = { .type = NLA_U32, },
	[KEEL_A_MAC_POLICY] = NLA_POLICY_MAX(NLA_U32, 1),
	[KEEL_A_VLAN] = { .type = NLA_U32, },
	[KEEL_A_TRUST] = { .type = NLA_U32, },
	[KEEL_A_SPOOFCHECK] = { .type = NLA_U32, },
	[KEEL_A_MIN_RATE] = { .type = NLA_U32, },
	[KEEL_A_MAX_RATE] = { .type = NLA_U32, },
	[KEEL_A_MEMBER] = { .type = NLA_NUL_STRING, },
	[KEEL_A_VFS] = { .type = NLA_BINARY, },
	[KEEL_A_FORCE] = { .type = NLA_FLAG, },
	[KEEL_A_PORT] = { .type = NLA_NUL_STRING, },
	[KEEL_A_PCI] = { .type = NLA_NUL_STRING, },
	[KEEL_A_GENERATION] = { .type = NLA_U32, },
	[KEEL_A_PRIORITY] = { .type = NLA_U32, },
	[KEEL_A_MAC] = { .type = NLA_BINARY, },
	[KEEL_A_RECLAIM] = { .type = NLA_U32, },
	[KEEL_A_SECONDS] = { .type = NLA_U32, },
	[KEEL_A_IFINDEX] = { .type = NLA_U32, },
	[KEEL_A_STEER] = NLA_POLICY_MAX(NLA_U32, 2),
	[KEEL_A_FALLBACK] = NLA_POLICY_MAX(NLA_U32, 4),
	[KEEL_A_SOURCE_FD] = { .type = NLA_U32, },
	[KEEL_A_SINK_FD] = { .type = NLA_U32, },
};

/* Ops table for keel */
const struct genl_small_ops keel_nl_ops[34] = {
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
	{
		.cmd	= KEEL_CMD_MATRIX_GET,
		.doit	= keel_nl_matrix_get_doit,
		.flags	= GENL_ADMIN_PERM,
	},
	{
		.cmd	= KEEL_CMD_MATRIX_MEASURE,
		.doit	= keel_nl_matrix_measure_doit,
		.flags	= GENL_ADMIN_PERM,
	},
	{
		.cmd	= KEEL_CMD_MATRIX_LOAD,
		.doit	= keel_nl_matrix_load_doit,
		.flags	= GENL_ADMIN_PERM,
	},
	{
		.cmd	= KEEL_CMD_PLACE_GET,
		.doit	= keel_nl_place_get_doit,
		.flags	= GENL_ADMIN_PERM,
	},
	{
		.cmd	= KEEL_CMD_PLACE_START,
		.doit	= keel_nl_place_start_doit,
		.flags	= GENL_ADMIN_PERM,
	},
	{
		.cmd	= KEEL_CMD_PLACE_STOP,
		.doit	= keel_nl_place_stop_doit,
		.flags	= GENL_ADMIN_PERM,
	},
	{
		.cmd	= KEEL_CMD_PLACE_MODE,
		.doit	= keel_nl_place_mode_doit,
		.flags	= GENL_ADMIN_PERM,
	},
	{
		.cmd	= KEEL_CMD_PLACE_VM_GET,
		.dumpit	= keel_nl_place_vm_get_dumpit,
		.flags	= GENL_ADMIN_PERM,
	},
	{
		.cmd	= KEEL_CMD_PLACE_EXPLAIN,
		.doit	= keel_nl_place_explain_doit,
		.flags	= GENL_ADMIN_PERM,
	},
	{
		.cmd	= KEEL_CMD_PLACE_DECISION_GET,
		.dumpit	= keel_nl_place_decision_get_dumpit,
		.flags	= GENL_ADMIN_PERM,
	},
	{
		.cmd	= KEEL_CMD_POOL_GET,
		.dumpit	= keel_nl_pool_get_dumpit,
		.flags	= GENL_ADMIN_PERM,
	},
	{
		.cmd	= KEEL_CMD_POOL_VF_GET,
		.dumpit	= keel_nl_pool_vf_get_dumpit,
		.flags	= GENL_ADMIN_PERM,
	},
	{
		.cmd	= KEEL_CMD_POOL_PORT_GET,
		.dumpit	= keel_nl_pool_port_get_dumpit,
		.flags	= GENL_ADMIN_PERM,
	},
	{
		.cmd	= KEEL_CMD_POOL_CREATE,
		.doit	= keel_nl_pool_create_doit,
		.flags	= GENL_ADMIN_PERM,
	},
	{
		.cmd	= KEEL_CMD_POOL_DELETE,
		.doit	= keel_nl_pool_delete_doit,
		.flags	= GENL_ADMIN_PERM,
	},
	{
		.cmd	= KEEL_CMD_POOL_SET,
		.doit	= keel_nl_pool_set_doit,
		.flags	= GENL_ADMIN_PERM,
	},
	{
		.cmd	= KEEL_CMD_POOL_ADD,
		.doit	= keel_nl_pool_add_doit,
		.flags	= GENL_ADMIN_PERM,
	},
	{
		.cmd	= KEEL_CMD_POOL_REMOVE,
		.doit	= keel_nl_pool_remove_doit,
		.flags	= GENL_ADMIN_PERM,
	},
	{
		.cmd	= KEEL_CMD_POOL_PORT_SET,
		.doit	= keel_nl_pool_port_set_doit,
		.flags	= GENL_ADMIN_PERM,
	},
	{
		.cmd	= KEEL_CMD_POOL_RESERVE,
		.doit	= keel_nl_pool_reserve_doit,
		.flags	= GENL_ADMIN_PERM,
	},
	{
		.cmd	= KEEL_CMD_POOL_CANCEL,
		.doit	= keel_nl_pool_cancel_doit,
		.flags	= GENL_ADMIN_PERM,
	},
	{
		.cmd	= KEEL_CMD_LEASE_END,
		.doit	= keel_nl_lease_end_doit,
		.flags	= GENL_ADMIN_PERM,
	},
	{
		.cmd	= KEEL_CMD_SWITCH_PORT_GET,
		.dumpit	= keel_nl_switch_port_get_dumpit,
		.flags	= GENL_ADMIN_PERM,
	},
	{
		.cmd	= KEEL_CMD_SWITCH_PORT_SET,
		.doit	= keel_nl_switch_port_set_doit,
		.flags	= GENL_ADMIN_PERM,
	},
	{
		.cmd	= KEEL_CMD_IRQ_GET,
		.doit	= keel_nl_irq_get_doit,
		.flags	= GENL_ADMIN_PERM,
	},
	{
		.cmd	= KEEL_CMD_IRQ_SET,
		.doit	= keel_nl_irq_set_doit,
		.flags	= GENL_ADMIN_PERM,
	},
	{
		.cmd	= KEEL_CMD_IRQ_TARGET_GET,
		.dumpit	= keel_nl_irq_target_get_dumpit,
		.flags	= GENL_ADMIN_PERM,
	},
	{
		.cmd	= KEEL_CMD_IRQ_ROUTE_GET,
		.dumpit	= keel_nl_irq_route_get_dumpit,
		.flags	= GENL_ADMIN_PERM,
	},
	{
		.cmd	= KEEL_CMD_IRQ_ROUTE_ADD,
		.doit	= keel_nl_irq_route_add_doit,
		.flags	= GENL_ADMIN_PERM,
	},
	{
		.cmd	= KEEL_CMD_IRQ_ROUTE_DEL,
		.doit	= keel_nl_irq_route_del_doit,
		.flags	= GENL_ADMIN_PERM,
	},
};

static const struct genl_multicast_group keel_nl_mcgrps[] = {
	[KEEL_NLGRP_EVENTS] = { "events", },
};
