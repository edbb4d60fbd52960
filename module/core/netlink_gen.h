/* SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-3-Clause) */
/* Do not edit directly, auto-generated from: */
/*	Documentation/netlink/specs/keel.yaml */
/* YNL-GEN kernel header */

#ifndef _LINUX_KEEL_GEN_H
#define _LINUX_KEEL_GEN_H

#include <net/netlink.h>
#include <net/genetlink.h>

#include <uapi/linux/keel_netlink.h>

/* Global operation policy for keel */
extern const struct nla_policy keel_nl_policy[KEEL_A_SINK_FD + 1];

/* Ops table for keel */
extern const struct genl_small_ops keel_nl_ops[34];

int keel_nl_host_get_doit(struct sk_buff *skb, struct genl_info *info);
int keel_nl_vm_get_doit(struct sk_buff *skb, struct genl_info *info);
int keel_nl_vm_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb);
int keel_nl_snapshot_get_doit(struct sk_buff *skb, struct genl_info *info);
int keel_nl_snapshot_get_dumpit(struct sk_buff *skb,
				struct netlink_callback *cb);
int keel_nl_snapshot_abort_doit(struct sk_buff *skb, struct genl_info *info);
int keel_nl_matrix_get_doit(struct sk_buff *skb, struct genl_info *info);
int keel_nl_matrix_measure_doit(struct sk_buff *skb, struct genl_info *info);
int keel_nl_matrix_load_doit(struct sk_buff *skb, struct genl_info *info);
int keel_nl_place_get_doit(struct sk_buff *skb, struct genl_info *info);
int keel_nl_place_start_doit(struct sk_buff *skb, struct genl_info *info);
int keel_nl_place_stop_doit(struct sk_buff *skb, struct genl_info *info);
int keel_nl_place_mode_doit(struct sk_buff *skb, struct genl_info *info);
int keel_nl_place_vm_get_dumpit(struct sk_buff *skb,
				struct netlink_callback *cb);
int keel_nl_place_explain_doit(struct sk_buff *skb, struct genl_info *info);
int keel_nl_place_decision_get_dumpit(struct sk_buff *skb,
				      struct netlink_callback *cb);
int keel_nl_pool_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb);
int keel_nl_pool_vf_get_dumpit(struct sk_buff *skb,
			       struct netlink_callback *cb);
int keel_nl_pool_port_get_dumpit(struct sk_buff *skb,
				 struct netlink_callback *cb);
int keel_nl_pool_create_doit(struct sk_buff *skb, struct genl_info *info);
int keel_nl_pool_delete_doit(struct sk_buff *skb, struct genl_info *info);
int keel_nl_pool_set_doit(struct sk_buff *skb, struct genl_info *info);
int keel_nl_pool_add_doit(struct sk_buff *skb, struct genl_info *info);
int keel_nl_pool_remove_doit(struct sk_buff *skb, struct genl_info *info);
int keel_nl_pool_port_set_doit(struct sk_buff *skb, struct genl_info *info);
int keel_nl_pool_reserve_doit(struct sk_buff *skb, struct genl_info *info);
int keel_nl_pool_cancel_doit(struct sk_buff *skb, struct genl_info *info);
int keel_nl_lease_end_doit(struct sk_buff *skb, struct genl_info *info);
int keel_nl_switch_port_get_dumpit(struct sk_buff *skb,
				   struct netlink_callback *cb);
int keel_nl_switch_port_set_doit(struct sk_buff *skb, struct genl_info *info);
int keel_nl_irq_get_doit(struct sk_buff *skb, struct genl_info *info);
int keel_nl_irq_set_doit(struct sk_buff *skb, struct genl_info *info);
int keel_nl_irq_target_get_dumpit(struct sk_buff *skb,
				  struct netlink_callback *cb);
int keel_nl_irq_route_get_dumpit(struct sk_buff *skb,
				 struct netlink_callback *cb);
int keel_nl_irq_route_add_doit(struct sk_buff *skb, struct genl_info *info);
int keel_nl_irq_route_del_doit(struct sk_buff *skb, struct genl_info *info);

enum {
	KEEL_NLGRP_EVENTS,
};

#endif /* _LINUX_KEEL_GEN_H */
