// SPDX-License-Identifier: GPL-2.0
/* 6.15: a network device's operations are called under a lock of its own */
#include <linux/netdevice.h>
#include <net/netdev_lock.h>

void probe(struct net_device *dev);
void probe(struct net_device *dev)
{
	netdev_lock_ops(dev);
}
