// SPDX-License-Identifier: GPL-2.0
/*
 * Which switch a tap is on. A bridge is the tap's master. In the kernel Open vSwitch
 * has one datapath for all its bridges: the datapath is the master, and which bridge
 * it is only OVSDB knows. So that is told, by who follows OVSDB.
 *
 * What was told is kept by the tap's ifindex until the tap leaves the datapath, by
 * whatever way, be it only to come back at once: nobody is then on a bridge because
 * an earlier one was, or it itself was before. Nobody can tell before it has come.
 */
#include <linux/if_arp.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include <linux/xarray.h>
#include <net/net_namespace.h>
#include <net/rtnetlink.h>

#include "core/trace.h"
#include "sriov/pool.h"

struct keel_told {
	char on[IFNAMSIZ];
};

/* By ifindex. Changed, read, and its entries freed under rtnl_lock(). */
static DEFINE_XARRAY(keel_told);
static u32 keel_told_nr;

/**
 * keel_is_tap - is a network device a tap?
 * @dev: the device
 *
 * Context: any.
 */
bool keel_is_tap(const struct net_device *dev)
{
	return dev->type == ARPHRD_ETHER && dev->rtnl_link_ops &&
	       !strcmp(dev->rtnl_link_ops->kind, "tun");
}

/**
 * keel_may_be_switch - can a pool be this device's?
 * @dev: the device
 * @why: set to why not
 *
 * Context: rtnl_lock() is held.
 */
bool keel_may_be_switch(const struct net_device *dev, const char **why)
{
	*why = "that network device is no bridge";
	if (netif_is_ovs_master(dev)) {
		/* What is on a bridge of it has the datapath as its master. */
		*why = "that is the datapath of all bridges of Open vSwitch: name a bridge";
		return list_empty(&dev->adj_list.lower);
	}
	return netif_is_bridge_master(dev);
}

static const char *keel_told_of(int ifindex)
{
	const struct keel_told *told = xa_load(&keel_told, ifindex);

	return told ? told->on : NULL;
}

/**
 * keel_tap_switch - the switch that a tap is on
 * @dev: the tap
 *
 * Context: rtnl_lock() is held; the name is good as long.
 * Return: its name; NULL: none, or nobody has told which.
 */
const char *keel_tap_switch(struct net_device *dev)
{
	const struct net_device *master = netdev_master_upper_dev_get(dev);

	if (master && netif_is_ovs_master(master))
		return keel_told_of(dev->ifindex);
	return master ? master->name : NULL;
}

/**
 * keel_switch_port_get - a tap of a datapath of Open vSwitch
 * @dev: a device
 * @port: (out) what is to be told of it
 *
 * Context: rtnl_lock() is held.
 * Return: false if it is no tap, or in no datapath.
 */
bool keel_switch_port_get(struct net_device *dev, struct keel_switch_port *port)
{
	const struct net_device *master = keel_is_tap(dev) ?
					  netdev_master_upper_dev_get(dev) : NULL;

	if (!master || !netif_is_ovs_master(master))
		return false;
	*port = (struct keel_switch_port){ .ifindex = dev->ifindex };
	strscpy(port->name, dev->name, sizeof(port->name));
	strscpy(port->datapath, master->name, sizeof(port->datapath));
	strscpy(port->on, keel_told_of(dev->ifindex) ?: "", sizeof(port->on));
	return true;
}

static void keel_switch_forget(int ifindex)
{
	struct keel_told *told = xa_erase(&keel_told, ifindex);

	keel_told_nr -= !!told;
	kfree(told);
}

static void keel_switch_announce(const struct keel_switch_port *port)
{
	trace_keel_switch_port(port->name, port->ifindex, port->datapath,
			       port->on);
	keel_switch_port_announce(port);
}

static int keel_switch_remember(int ifindex, const char *on)
{
	struct keel_told *told = xa_load(&keel_told, ifindex);
	int err;

	if (told) {
		strscpy(told->on, on, sizeof(told->on));
		return 0;
	}
	if (keel_told_nr == KEEL_TOLD_MAX)
		return -ENOSPC;
	told = kzalloc(sizeof(*told), GFP_KERNEL);
	if (!told)
		return -ENOMEM;
	strscpy(told->on, on, sizeof(told->on));
	err = xa_err(xa_store(&keel_told, ifindex, told, GFP_KERNEL));
	if (err)
		kfree(told);
	else
		keel_told_nr++;
	return err;
}

/**
 * keel_switch_tell - a tap is on this bridge of Open vSwitch
 * @dev: a tap that is in a datapath
 * @on: name of the bridge, NULL: none
 *
 * Who may have a VF then is seen by a look at ports that is to follow.
 *
 * Context: may sleep; rtnl_lock() is held.
 * Return: 0, -ENOSPC or -ENOMEM.
 */
int keel_switch_tell(struct net_device *dev, const char *on)
{
	const char *was = keel_told_of(dev->ifindex);
	struct keel_switch_port port;
	int err = 0;

	ASSERT_RTNL();
	if (on == was || (on && was && !strcmp(on, was)))
		return 0;
	if (on)
		err = keel_switch_remember(dev->ifindex, on);
	else
		keel_switch_forget(dev->ifindex);
	if (!err && keel_switch_port_get(dev, &port))
		keel_switch_announce(&port);
	return err;
}

static void keel_switch_left(const struct net_device *dev)
{
	struct keel_switch_port port = { .ifindex = dev->ifindex };

	strscpy(port.name, dev->name, sizeof(port.name));
	keel_switch_announce(&port);
}

/* A tap has another master, or none. */
static void keel_switch_moved(struct net_device *dev,
			      const struct netdev_notifier_changeupper_info *info)
{
	struct keel_switch_port port;

	if (!netif_is_ovs_master(info->upper_dev))
		return;
	keel_switch_forget(dev->ifindex);
	if (!info->linking)
		keel_switch_left(dev);
	else if (keel_switch_port_get(dev, &port))
		keel_switch_announce(&port);
}

/**
 * keel_switch_netdev - something happens to a network device
 * @event: what
 * @ptr: what the notifier was given
 *
 * Context: may sleep; rtnl_lock() is held.
 */
void keel_switch_netdev(unsigned long event, void *ptr)
{
	struct net_device *dev = netdev_notifier_info_to_dev(ptr);
	struct keel_switch_port port;

	/* Elsewhere the numbers of interfaces are others. */
	if (!net_eq(dev_net(dev), &init_net) || !keel_is_tap(dev))
		return;
	if (event == NETDEV_CHANGEUPPER)
		keel_switch_moved(dev, ptr);
	/* Who told knew it by its name. */
	if (event == NETDEV_CHANGENAME && keel_switch_port_get(dev, &port))
		keel_switch_announce(&port);
	/* It leaves the datapath now, if it has not; its number may be another's soon. */
	if (event == NETDEV_UNREGISTER)
		keel_switch_forget(dev->ifindex);
}

/**
 * keel_switch_exit - forget all
 *
 * Nobody tells any more, and nobody looks.
 *
 * Context: may sleep; takes rtnl_lock().
 */
void keel_switch_exit(void)
{
	struct keel_told *told;
	unsigned long ifindex;

	rtnl_lock();
	xa_for_each(&keel_told, ifindex, told)
		keel_switch_forget(ifindex);
	rtnl_unlock();
	xa_destroy(&keel_told);
}
