// SPDX-License-Identifier: GPL-2.0
/* Which bridge of Open vSwitch a tap is on, over netlink. */
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <net/genetlink.h>
#include <net/net_namespace.h>

#include "core/netlink.h"
#include "sriov/pool.h"

static int keel_switch_port_fill(struct sk_buff *skb, const void *obj)
{
	const struct keel_switch_port *port = obj;
	struct nlattr *nest = nla_nest_start(skb, KEEL_A_SWITCH_PORT);

	if (!nest)
		return -EMSGSIZE;
	if (nla_put_string(skb, KEEL_A_SWITCH_PORT_NAME, port->name) ||
	    nla_put_u32(skb, KEEL_A_SWITCH_PORT_IFINDEX, port->ifindex) ||
	    (port->datapath[0] &&
	     nla_put_string(skb, KEEL_A_SWITCH_PORT_DATAPATH, port->datapath)) ||
	    (port->on[0] &&
	     nla_put_string(skb, KEEL_A_SWITCH_PORT_SWITCH, port->on))) {
		nla_nest_cancel(skb, nest);
		return -EMSGSIZE;
	}
	nla_nest_end(skb, nest);
	return 0;
}

/**
 * keel_switch_port_announce - tell that a tap came, was told of, or left
 * @port: the tap
 *
 * Context: may sleep.
 */
void keel_switch_port_announce(const struct keel_switch_port *port)
{
	keel_nl_notify(KEEL_CMD_SWITCH_PORT_NTF, keel_switch_port_fill, port);
}

/*
 * args[0] is how many have been told. If one leaves meanwhile another may be
 * missing: who asks is told of that, and asks again.
 */
int keel_nl_switch_port_get_dumpit(struct sk_buff *skb,
				   struct netlink_callback *cb)
{
	struct keel_switch_port port;
	struct net_device *dev;
	int err = 0;
	long at = 0;

	rtnl_lock();
	for_each_netdev(&init_net, dev) {
		if (!keel_switch_port_get(dev, &port) || at++ < cb->args[0])
			continue;
		err = keel_nl_dump_one(skb, cb, KEEL_CMD_SWITCH_PORT_GET,
				       keel_switch_port_fill, &port);
		if (err)
			break;
		cb->args[0]++;
	}
	rtnl_unlock();
	return skb->len ?: err;
}

/* rtnl_lock() is held. */
static int keel_nl_switch_port_tell(struct genl_info *info, const char *name,
				    const char *on)
{
	u32 ifindex = nla_get_u32(info->attrs[KEEL_A_IFINDEX]);
	struct net_device *dev = __dev_get_by_name(&init_net, name);
	struct net_device *bridge = on ? __dev_get_by_name(&init_net, on) : NULL;
	struct keel_switch_port port;
	const char *why;
	int err;

	if (!dev || dev->ifindex != ifindex)
		return keel_nl_bad(info, -ENODEV,
				   "there is no such tap any more, or another has its name");
	if (!keel_is_tap(dev))
		return keel_nl_bad(info, -EINVAL, "that network device is no tap");
	if (!keel_switch_port_get(dev, &port))
		return keel_nl_bad(info, -ENOTCONN,
				   "that tap is in no datapath of Open vSwitch: which switch it is on is seen without being told");
	if (bridge && !netif_is_ovs_master(bridge))
		return keel_nl_bad(info, -EINVAL,
				   "that network device is no bridge of Open vSwitch");
	if (bridge && !keel_may_be_switch(bridge, &why))
		return keel_nl_bad(info, -EINVAL, why);
	err = keel_switch_tell(dev, on);
	if (err == -ENOSPC)
		keel_nl_bad(info, err, "keel remembers the bridges of 16384 taps, and no more");
	return err;
}

/* Nobody looks any more while keel is being unloaded. */
static void keel_switch_told_look(void)
{
	mutex_lock(&keel_sriov.lock);
	if (!keel_sriov.closed && !list_empty(&keel_sriov.pools))
		keel_sriov_look(0);
	mutex_unlock(&keel_sriov.lock);
}

int keel_nl_switch_port_set_doit(struct sk_buff *skb, struct genl_info *info)
{
	int err = keel_nl_may_change(skb, info);
	const char *name, *on = NULL;

	if (err)
		return err;
	name = keel_nl_port(info);
	if (!name)
		return -EINVAL;
	if (GENL_REQ_ATTR_CHECK(info, KEEL_A_IFINDEX))
		return keel_nl_bad(info, -EINVAL,
				   "say which tap by its ifindex, too: its name may be another's by now");
	if (info->attrs[KEEL_A_SWITCH]) {
		on = keel_nl_word(info, KEEL_A_SWITCH, IFNAMSIZ,
				  "a bridge has a name of up to 15 letters, without spaces and slashes");
		if (!on)
			return -EINVAL;
	}
	rtnl_lock();
	err = keel_nl_switch_port_tell(info, name, on);
	rtnl_unlock();
	if (!err)
		keel_switch_told_look();
	return err;
}
