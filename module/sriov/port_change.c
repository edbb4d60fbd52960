// SPDX-License-Identifier: GPL-2.0
/* Pools over netlink: what is told of ports, and leases that are to end. */
#include <linux/etherdevice.h>
#include <net/genetlink.h>

#include "core/netlink.h"
#include "sriov/pool.h"

#define SECONDS_MAX	(24 * 60 * 60)

/**
 * keel_nl_port - the port a request is about
 * @info: the request; gets a sentence if it names none
 *
 * Return: its name, or NULL.
 */
const char *keel_nl_port(struct genl_info *info)
{
	return keel_nl_word(info, KEEL_A_PORT, IFNAMSIZ,
			    "say which port by its tap's name");
}

int keel_nl_pool_port_set_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *priority = info->attrs[KEEL_A_PRIORITY];
	struct nlattr *mac = info->attrs[KEEL_A_MAC];
	int err = keel_nl_may_change(skb, info);
	struct keel_vf_pool *pool;
	const char *port;
	u32 value;

	if (err)
		return err;
	port = keel_nl_port(info);
	if (!port)
		return -EINVAL;
	if (mac && (nla_len(mac) != ETH_ALEN ||
		    is_multicast_ether_addr(nla_data(mac))))
		return keel_nl_bad(info, -EINVAL, "a MAC is six bytes, and not one of a group");
	value = priority ? nla_get_u32(priority) : 0;
	mutex_lock(&keel_sriov.lock);
	pool = keel_nl_pool(info);
	err = PTR_ERR_OR_ZERO(pool);
	if (!err)
		err = keel_port_rule_set(pool, port, priority ? &value : NULL,
					 mac ? nla_data(mac) : NULL);
	mutex_unlock(&keel_sriov.lock);
	return err;
}

int keel_nl_pool_reserve_doit(struct sk_buff *skb, struct genl_info *info)
{
	u32 seconds = keel_nl_u32(info, KEEL_A_SECONDS, 0);
	int err = keel_nl_may_change(skb, info);
	struct keel_vf_pool *pool;
	const char *port;

	if (err)
		return err;
	port = keel_nl_port(info);
	if (!port)
		return -EINVAL;
	if (!seconds || seconds > SECONDS_MAX)
		return keel_nl_bad(info, -EINVAL, "a VF is reserved for a second to a day");
	mutex_lock(&keel_sriov.lock);
	pool = keel_nl_pool(info);
	err = IS_ERR(pool) ? PTR_ERR(pool) :
	      keel_port_reserve(pool, port, seconds);
	mutex_unlock(&keel_sriov.lock);
	if (err == -EEXIST)
		keel_nl_bad(info, err, "that port has a VF");
	if (err == -ENOSPC)
		keel_nl_bad(info, err, "no VF is free for it: the VM would come without one");
	return err;
}

int keel_nl_pool_cancel_doit(struct sk_buff *skb, struct genl_info *info)
{
	int err = keel_nl_may_change(skb, info);
	struct keel_vf_pool *pool;
	const char *port;

	if (err)
		return err;
	port = keel_nl_port(info);
	if (!port)
		return -EINVAL;
	mutex_lock(&keel_sriov.lock);
	pool = keel_nl_pool(info);
	if (IS_ERR(pool))
		err = PTR_ERR(pool);
	else if (keel_port_cancel(pool, port))
		err = keel_nl_bad(info, -ENOENT,
				  "none is reserved for that port: it has one, or its time is over");
	mutex_unlock(&keel_sriov.lock);
	return err;
}

int keel_nl_lease_end_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *pci = info->attrs[KEEL_A_PCI];
	int err = keel_nl_may_change(skb, info);
	struct keel_vf *vf;

	if (err)
		return err;
	if (!pci || GENL_REQ_ATTR_CHECK(info, KEEL_A_GENERATION))
		return keel_nl_bad(info, -EINVAL,
				   "say which lease by the VF's address and its generation");
	mutex_lock(&keel_sriov.lock);
	vf = keel_vf_find(nla_data(pci));
	if (!vf) {
		err = keel_nl_bad(info, -ENOENT,
				  "no pool has a VF of that address (keel pool show)");
	} else if (!keel_vf_held(vf) ||
		   vf->generation != nla_get_u32(info->attrs[KEEL_A_GENERATION])) {
		err = keel_nl_bad(info, -ESTALE, "that lease is over; the VF was not touched");
	} else {
		if (vf->port)
			keel_port_decline(vf->port, "");
		keel_vf_end(vf, "its lease was ended, and the VM still has it");
	}
	mutex_unlock(&keel_sriov.lock);
	return err;
}
