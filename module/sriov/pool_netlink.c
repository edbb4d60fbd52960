// SPDX-License-Identifier: GPL-2.0
/* Pools over netlink: shown and announced. */
#include <linux/jiffies.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <net/genetlink.h>

#include "core/netlink.h"
#include "sriov/pool.h"

static int keel_nl_put_node(struct sk_buff *skb, int attr, int node)
{
	return node == NUMA_NO_NODE ? 0 : nla_put_u32(skb, attr, node);
}

static int keel_nl_put_why(struct sk_buff *skb, int attr, const char *why)
{
	return why && *why ? nla_put_string(skb, attr, why) : 0;
}

static int keel_member_fill(struct sk_buff *skb, const struct keel_member *m)
{
	struct nlattr *nest = nla_nest_start(skb, KEEL_A_POOL_MEMBER), *vfs;
	u32 i;

	if (!nest || nla_put_string(skb, KEEL_A_POOL_MEMBER_PCI, m->name))
		return -EMSGSIZE;
	vfs = nla_reserve(skb, KEEL_A_POOL_MEMBER_VFS, m->nr * sizeof(u32));
	if (!vfs)
		return -EMSGSIZE;
	for (i = 0; i < m->nr; i++)
		((u32 *)nla_data(vfs))[i] = m->vf[i].index;
	if ((m->made && nla_put_flag(skb, KEEL_A_POOL_MEMBER_MADE)) ||
	    keel_nl_put_node(skb, KEEL_A_POOL_MEMBER_NODE,
			     m->pf ? dev_to_node(&m->pf->dev) : NUMA_NO_NODE) ||
	    keel_nl_put_why(skb, KEEL_A_POOL_MEMBER_WHY, m->why))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static int keel_reservation_fill(struct sk_buff *skb,
				 const struct keel_port_rule *rule)
{
	u64 now = get_jiffies_64();
	struct nlattr *nest;

	if (!rule->reserved)
		return 0;
	nest = nla_nest_start(skb, KEEL_A_POOL_RESERVATION);
	if (!nest ||
	    nla_put_string(skb, KEEL_A_POOL_RESERVATION_PORT, rule->name) ||
	    nla_put_u32(skb, KEEL_A_POOL_RESERVATION_LEFT_MS,
			rule->until > now ?
			jiffies64_to_msecs(rule->until - now) : 0))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

struct keel_vf_pool_counts {
	u32 vfs;
	u32 free;
	u32 leased;
	u32 quarantined;
	u32 waiting;
};

static struct keel_vf_pool_counts keel_vf_pool_count(const struct keel_vf_pool *pool)
{
	struct keel_vf_pool_counts c = {};
	const struct keel_member *m;
	const struct keel_port *port;
	const struct keel_vf *vf;
	const char *why;

	list_for_each_entry(m, &pool->members, node) {
		keel_member_for_each_vf(vf, m) {
			c.vfs++;
			c.free += vf->state == KEEL_VF_STATE_FREE;
			c.leased += vf->state == KEEL_VF_STATE_LEASED;
			c.quarantined += vf->state == KEEL_VF_STATE_QUARANTINED;
		}
	}
	list_for_each_entry(port, &pool->ports, node)
		c.waiting += keel_port_state(port, &why) ==
			     KEEL_PORT_STATE_WAITING;
	return c;
}

static int keel_vf_pool_fill(struct sk_buff *skb, const void *obj)
{
	const struct keel_vf_pool *pool = obj;
	struct keel_vf_pool_counts c = keel_vf_pool_count(pool);
	const struct keel_vf_profile *p = &pool->profile;
	struct nlattr *nest = nla_nest_start(skb, KEEL_A_POOL);
	const struct keel_port_rule *rule;
	const struct keel_member *m;
	int err = 0;

	if (!nest)
		return -EMSGSIZE;
	if (nla_put_string(skb, KEEL_A_POOL_NAME, pool->name) ||
	    nla_put_string(skb, KEEL_A_POOL_SWITCH, pool->on) ||
	    nla_put_u32(skb, KEEL_A_POOL_POLICY, pool->policy) ||
	    nla_put_u32(skb, KEEL_A_POOL_RESERVE, pool->reserve) ||
	    nla_put_u32(skb, KEEL_A_POOL_RECLAIM, pool->reclaim) ||
	    nla_put_u32(skb, KEEL_A_POOL_MAC_POLICY, pool->mac) ||
	    nla_put_u32(skb, KEEL_A_POOL_VLAN, p->vlan) ||
	    nla_put_u32(skb, KEEL_A_POOL_TRUST, p->trust) ||
	    nla_put_u32(skb, KEEL_A_POOL_SPOOFCHECK, p->spoofcheck) ||
	    nla_put_u32(skb, KEEL_A_POOL_MIN_RATE, p->min_rate) ||
	    nla_put_u32(skb, KEEL_A_POOL_MAX_RATE, p->max_rate) ||
	    nla_put_u32(skb, KEEL_A_POOL_VFS, c.vfs) ||
	    nla_put_u32(skb, KEEL_A_POOL_FREE, c.free) ||
	    nla_put_u32(skb, KEEL_A_POOL_LEASED, c.leased) ||
	    nla_put_u32(skb, KEEL_A_POOL_QUARANTINED, c.quarantined) ||
	    nla_put_u32(skb, KEEL_A_POOL_WAITING, c.waiting) ||
	    keel_nl_put_u64(skb, KEEL_A_POOL_LEASES, pool->leases))
		err = -EMSGSIZE;
	list_for_each_entry(m, &pool->members, node)
		err = err ?: keel_member_fill(skb, m);
	list_for_each_entry(rule, &pool->rules, node)
		err = err ?: keel_reservation_fill(skb, rule);
	if (err) {
		nla_nest_cancel(skb, nest);
		return err;
	}
	nla_nest_end(skb, nest);
	return 0;
}

static int keel_vf_fill_lease(struct sk_buff *skb, const struct keel_vf *vf)
{
	if ((vf->port && nla_put_string(skb, KEEL_A_POOL_VF_PORT,
					vf->port->name)) ||
	    (vf->vm && nla_put_u32(skb, KEEL_A_POOL_VF_VM, vf->vm)))
		return -EMSGSIZE;
	if (keel_vf_told(vf) &&
	    (nla_put(skb, KEEL_A_POOL_VF_MAC, ETH_ALEN, vf->told.mac) ||
	     nla_put_u32(skb, KEEL_A_POOL_VF_VLAN, vf->told.vlan)))
		return -EMSGSIZE;
	return 0;
}

static int keel_vf_fill(struct sk_buff *skb, const void *obj)
{
	const struct keel_vf *vf = obj;
	struct nlattr *nest = nla_nest_start(skb, KEEL_A_POOL_VF);

	if (!nest)
		return -EMSGSIZE;
	if (nla_put_string(skb, KEEL_A_POOL_VF_POOL, vf->member->pool->name) ||
	    nla_put_string(skb, KEEL_A_POOL_VF_PF, vf->member->name) ||
	    nla_put_u32(skb, KEEL_A_POOL_VF_INDEX, vf->index) ||
	    (vf->pdev && (nla_put_string(skb, KEEL_A_POOL_VF_PCI,
					 pci_name(vf->pdev)) ||
			  keel_nl_put_node(skb, KEEL_A_POOL_VF_NODE,
					   dev_to_node(&vf->pdev->dev)))) ||
	    nla_put_u32(skb, KEEL_A_POOL_VF_STATE, vf->state) ||
	    nla_put_u32(skb, KEEL_A_POOL_VF_GENERATION, vf->generation) ||
	    keel_nl_put_u64(skb, KEEL_A_POOL_VF_SINCE_NS, vf->since) ||
	    keel_nl_put_u64(skb, KEEL_A_POOL_VF_CONFIGURE_NS,
			    vf->configure_ns) ||
	    keel_nl_put_u64(skb, KEEL_A_POOL_VF_BIND_NS, vf->bind_ns) ||
	    keel_nl_put_u64(skb, KEEL_A_POOL_VF_SCRUB_NS, vf->scrub_ns) ||
	    keel_nl_put_u64(skb, KEEL_A_POOL_VF_UNBIND_NS, vf->unbind_ns) ||
	    keel_nl_put_u64(skb, KEEL_A_POOL_VF_RESET_NS, vf->reset_ns) ||
	    keel_nl_put_why(skb, KEEL_A_POOL_VF_WHY, vf->why) ||
	    keel_vf_fill_lease(skb, vf)) {
		nla_nest_cancel(skb, nest);
		return -EMSGSIZE;
	}
	nla_nest_end(skb, nest);
	return 0;
}

/* What else there is if it is told of it, and if it has a VF. */
static int keel_port_fill_more(struct sk_buff *skb, const struct keel_port *port)
{
	if (port->rule &&
	    (nla_put_u32(skb, KEEL_A_POOL_PORT_PRIORITY, port->rule->priority) ||
	     nla_put(skb, KEEL_A_POOL_PORT_MAC, ETH_ALEN, port->rule->mac)))
		return -EMSGSIZE;
	if (port->vm &&
	    (nla_put_u32(skb, KEEL_A_POOL_PORT_VM, port->vm) ||
	     nla_put_u32(skb, KEEL_A_POOL_PORT_PID, port->pid) ||
	     keel_nl_put_node(skb, KEEL_A_POOL_PORT_NODE, port->numa)))
		return -EMSGSIZE;
	if (port->vf && port->vf->pdev &&
	    (nla_put_string(skb, KEEL_A_POOL_PORT_VF,
			    pci_name(port->vf->pdev)) ||
	     nla_put_u32(skb, KEEL_A_POOL_PORT_GENERATION,
			 port->vf->generation)))
		return -EMSGSIZE;
	return 0;
}

static int keel_port_fill(struct sk_buff *skb, const void *obj)
{
	const struct keel_port *port = obj;
	struct nlattr *nest = nla_nest_start(skb, KEEL_A_POOL_PORT);
	const char *why;

	if (!nest)
		return -EMSGSIZE;
	if (nla_put_string(skb, KEEL_A_POOL_PORT_POOL, port->pool->name) ||
	    nla_put_string(skb, KEEL_A_POOL_PORT_NAME, port->name) ||
	    nla_put_u32(skb, KEEL_A_POOL_PORT_IFINDEX, port->ifindex) ||
	    nla_put_u32(skb, KEEL_A_POOL_PORT_STATE,
			keel_port_state(port, &why)) ||
	    keel_nl_put_u64(skb, KEEL_A_POOL_PORT_SINCE_NS, port->since) ||
	    keel_nl_put_why(skb, KEEL_A_POOL_PORT_WHY, why) ||
	    keel_port_fill_more(skb, port)) {
		nla_nest_cancel(skb, nest);
		return -EMSGSIZE;
	}
	nla_nest_end(skb, nest);
	return 0;
}

/**
 * keel_vf_announce - tell that a VF is at something else
 * @vf: the VF
 *
 * Context: may sleep; keel_sriov.lock is held.
 */
void keel_vf_announce(const struct keel_vf *vf)
{
	keel_nl_notify(KEEL_CMD_POOL_VF_NTF, keel_vf_fill, vf);
}

/**
 * keel_port_announce - tell that a port is at something else
 * @port: the port
 * @gone: it is no more
 *
 * Context: may sleep; keel_sriov.lock is held.
 */
void keel_port_announce(const struct keel_port *port, bool gone)
{
	keel_nl_notify(gone ? KEEL_CMD_POOL_PORT_GONE_NTF :
			      KEEL_CMD_POOL_PORT_NTF, keel_port_fill, port);
}

/* A dump of what is in lists: args[0] is how many have been told. */
struct keel_vf_pool_dump {
	struct sk_buff *skb;
	struct netlink_callback *cb;
	long at;
	int err;
};

static void keel_vf_pool_dump_one(struct keel_vf_pool_dump *d, u8 cmd,
				  keel_nl_fill_t fill, const void *obj)
{
	if (d->err || d->at++ < d->cb->args[0])
		return;
	d->err = keel_nl_dump_one(d->skb, d->cb, cmd, fill, obj);
	if (!d->err)
		d->cb->args[0]++;
}

int keel_nl_pool_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct keel_vf_pool_dump d = { .skb = skb, .cb = cb };
	struct keel_vf_pool *pool;

	mutex_lock(&keel_sriov.lock);
	list_for_each_entry(pool, &keel_sriov.pools, node)
		keel_vf_pool_dump_one(&d, KEEL_CMD_POOL_GET, keel_vf_pool_fill, pool);
	mutex_unlock(&keel_sriov.lock);
	return skb->len ?: d.err;
}

int keel_nl_pool_vf_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct keel_vf_pool_dump d = { .skb = skb, .cb = cb };
	struct keel_vf_pool *pool;
	struct keel_member *m;
	struct keel_vf *vf;

	mutex_lock(&keel_sriov.lock);
	list_for_each_entry(pool, &keel_sriov.pools, node)
		list_for_each_entry(m, &pool->members, node)
			keel_member_for_each_vf(vf, m)
				keel_vf_pool_dump_one(&d, KEEL_CMD_POOL_VF_GET,
						      keel_vf_fill, vf);
	mutex_unlock(&keel_sriov.lock);
	return skb->len ?: d.err;
}

int keel_nl_pool_port_get_dumpit(struct sk_buff *skb,
				 struct netlink_callback *cb)
{
	struct keel_vf_pool_dump d = { .skb = skb, .cb = cb };
	struct keel_vf_pool *pool;
	struct keel_port *port;

	mutex_lock(&keel_sriov.lock);
	list_for_each_entry(pool, &keel_sriov.pools, node)
		list_for_each_entry(port, &pool->ports, node)
			keel_vf_pool_dump_one(&d, KEEL_CMD_POOL_PORT_GET,
					      keel_port_fill, port);
	mutex_unlock(&keel_sriov.lock);
	return skb->len ?: d.err;
}
