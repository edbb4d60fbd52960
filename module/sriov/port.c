// SPDX-License-Identifier: GPL-2.0
/* The ports of pools' switches: what is there against what was there before. */
#include <linux/etherdevice.h>
#include <linux/jiffies.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>

#include "core/trace.h"
#include "sriov/pool.h"

static struct keel_port_rule *keel_port_rule(struct keel_vf_pool *pool,
					     const char *name)
{
	struct keel_port_rule *rule;

	list_for_each_entry(rule, &pool->rules, node)
		if (!strcmp(rule->name, name))
			return rule;
	return NULL;
}

/**
 * keel_port_state - what a port is at
 * @port: the port
 * @why: set to why it has no VF; NULL if it has one
 *
 * Context: keel_sriov.lock is held.
 */
enum keel_port_state keel_port_state(const struct keel_port *port,
				     const char **why)
{
	*why = NULL;
	if (port->vf)
		return KEEL_PORT_STATE_LEASED;
	if (!port->vm) {
		*why = "no VM has it open";
		return KEEL_PORT_STATE_UNOWNED;
	}
	if (port->declined) {
		*why = port->refusal[0] ? port->refusal :
		       "its lease was ended before the VM did";
		return KEEL_PORT_STATE_DECLINED;
	}
	*why = port->outbid ? "a port of higher priority was given its VF" :
	       keel_vf_pool_nr_free(port->pool) ?
	       "the VFs that are free are kept for others" : "no VF is free";
	if (port->pool->mac == KEEL_POOL_MAC_GUEST &&
	    (!port->rule || is_zero_ether_addr(port->rule->mac)))
		*why = "the MAC of the guest's network device is not told";
	else if (port->pool->mac == KEEL_POOL_MAC_GUEST &&
		 keel_mac_used(port->rule->mac))
		*why = "another VF has that MAC";
	else if (port->pool->leaving)
		*why = "the pool is being deleted";
	return KEEL_PORT_STATE_WAITING;
}

/* The ports of that name have, or have no longer, what was told of it. */
static void keel_port_rule_apply(struct keel_vf_pool *pool,
				 struct keel_port_rule *rule, bool keep)
{
	struct keel_port *port;

	list_for_each_entry(port, &pool->ports, node)
		if (!strcmp(port->name, rule->name))
			port->rule = keep ? rule : NULL;
}

/* One that says nothing any more is none. */
static void keel_port_rule_tidy(struct keel_vf_pool *pool,
				struct keel_port_rule *rule)
{
	bool keep = rule->priority || !is_zero_ether_addr(rule->mac) ||
		    rule->reserved;

	keel_port_rule_apply(pool, rule, keep);
	if (keep)
		return;
	list_del(&rule->node);
	kfree(rule);
}

/* The rule of that name, or a new one. */
static struct keel_port_rule *keel_port_rule_get(struct keel_vf_pool *pool,
						 const char *name)
{
	struct keel_port_rule *rule = keel_port_rule(pool, name);

	if (rule)
		return rule;
	rule = kzalloc(sizeof(*rule), GFP_KERNEL);
	if (!rule)
		return NULL;
	strscpy(rule->name, name, sizeof(rule->name));
	list_add_tail(&rule->node, &pool->rules);
	return rule;
}

/* A MAC that was told of the VM that the port had is not another's. */
static void keel_port_forget_mac(struct keel_port *port)
{
	struct keel_port_rule *rule = port->rule;

	if (!rule || !rule->mac_vm)
		return;
	eth_zero_addr(rule->mac);
	rule->mac_vm = 0;
	keel_port_rule_tidy(port->pool, rule);
}

/**
 * keel_port_decline - a port is to have no VF, until something is told of it
 * @port: the port
 * @why: a sentence, "" if its lease was ended
 *
 * Context: may sleep; keel_sriov.lock is held.
 */
void keel_port_decline(struct keel_port *port, const char *why)
{
	lockdep_assert_held(&keel_sriov.lock);
	if (port->vf)
		port->vf->port = NULL;
	port->vf = NULL;
	port->declined = true;
	strscpy(port->refusal, why, sizeof(port->refusal));
	keel_port_announce(port, false);
}

/**
 * keel_port_undecline - a port may have a VF again
 * @port: the port
 *
 * Context: keel_sriov.lock is held.
 */
void keel_port_undecline(struct keel_port *port)
{
	lockdep_assert_held(&keel_sriov.lock);
	port->declined = false;
	port->refusal[0] = 0;
}

/**
 * keel_ports_reconsider - what VFs are told is another: it may be taken now
 * @pool: the pool
 *
 * Context: keel_sriov.lock is held.
 */
void keel_ports_reconsider(struct keel_vf_pool *pool)
{
	struct keel_port *port;

	lockdep_assert_held(&keel_sriov.lock);
	list_for_each_entry(port, &pool->ports, node)
		if (port->refusal[0])
			keel_port_undecline(port);
}

/* It came, is another VM's, or went: that is told. */
static void keel_port_moved(const struct keel_port *port, bool gone)
{
	trace_keel_port(port->name, port->pool->name, port->vm, gone);
	keel_port_announce(port, gone);
}

/* Its lease, if it has one, ends. */
static void keel_port_unlease(struct keel_port *port, const char *why)
{
	if (port->vf)
		keel_vf_end(port->vf, why);
}

/**
 * keel_port_forget - a port is no more
 * @port: the port; freed
 *
 * Context: may sleep; keel_sriov.lock is held.
 */
void keel_port_forget(struct keel_port *port)
{
	lockdep_assert_held(&keel_sriov.lock);
	keel_port_unlease(port, "its port has gone, and the VM still has it");
	keel_port_forget_mac(port);
	list_del(&port->node);
	keel_port_moved(port, true);
	kfree(port);
}

static struct keel_port *keel_port_create(struct keel_vf_pool *pool,
					  const struct keel_tap *tap)
{
	struct keel_port *port = kzalloc(sizeof(*port), GFP_KERNEL);

	if (!port)
		return NULL;
	port->pool = pool;
	strscpy(port->name, tap->name, sizeof(port->name));
	port->ifindex = tap->ifindex;
	port->rule = keel_port_rule(pool, port->name);
	port->numa = NUMA_NO_NODE;
	port->since = ktime_get_real_ns();
	port->order = ++keel_sriov.ports;
	list_add_tail(&port->node, &pool->ports);
	return port;
}

static struct keel_port *keel_port_find(struct keel_vf_pool *pool, int ifindex)
{
	struct keel_port *port;

	list_for_each_entry(port, &pool->ports, node)
		if (port->ifindex == ifindex)
			return port;
	return NULL;
}

/* A tap that is a port of a pool's switch. Return: 0 or -ENOMEM. */
static int keel_port_see(struct keel_vf_pool *pool, const struct keel_tap *tap)
{
	struct keel_port *port = keel_port_find(pool, tap->ifindex);
	bool news = !port;

	if (!port)
		port = keel_port_create(pool, tap);
	if (!port)
		return -ENOMEM;
	port->seen = true;
	if (strcmp(port->name, tap->name)) {
		keel_port_forget_mac(port);
		strscpy(port->name, tap->name, sizeof(port->name));
		port->rule = keel_port_rule(pool, port->name);
		news = true;
	}
	if (port->vm != tap->vm) {
		keel_port_unlease(port, "its port is another VM's now");
		keel_port_forget_mac(port);
		keel_port_undecline(port);
		port->vm = tap->vm;
		port->pid = tap->pid;
		news = true;
	}
	if (tap->vm)
		port->numa = tap->numa;
	if (news)
		keel_port_moved(port, false);
	return 0;
}

static int keel_ports_update(const struct keel_tap *taps, size_t nr)
{
	struct keel_port *port, *next;
	struct keel_vf_pool *pool;
	bool unowned = false;
	int err = 0;
	size_t i;

	lockdep_assert_held(&keel_sriov.lock);
	list_for_each_entry(pool, &keel_sriov.pools, node) {
		list_for_each_entry(port, &pool->ports, node)
			port->seen = false;
		for (i = 0; i < nr; i++)
			if (!strcmp(taps[i].on, pool->on))
				err = keel_port_see(pool, &taps[i]) ?: err;
		list_for_each_entry_safe(port, next, &pool->ports, node) {
			if (!port->seen)
				keel_port_forget(port);
			else
				unowned |= !port->vm;
		}
		keel_vf_pool_assign(pool);
	}
	return err ?: unowned;
}

/**
 * keel_ports_look - bring the ports of all pools up to date
 *
 * Context: may sleep; takes rtnl_lock() and keel_sriov.lock, not nested.
 * Return: 0; 1 if some are nobody's; -ENOMEM: once more, later.
 */
int keel_ports_look(void)
{
	struct keel_tap *taps;
	size_t nr;
	int ret = keel_taps_find(&taps, &nr);

	if (ret)
		return ret;
	mutex_lock(&keel_sriov.lock);
	ret = keel_ports_update(taps, nr);
	mutex_unlock(&keel_sriov.lock);
	kvfree(taps);
	return ret;
}

static struct keel_port *keel_port_by_name(struct keel_vf_pool *pool,
					   const char *name)
{
	struct keel_port *port;

	list_for_each_entry(port, &pool->ports, node)
		if (!strcmp(port->name, name))
			return port;
	return NULL;
}

/**
 * keel_port_rule_set - tell of a port, whether it is there or not
 * @pool: the pool
 * @name: of the tap
 * @priority: its priority, or NULL
 * @mac: the MAC of the guest's network device, or NULL
 *
 * A lease that is out keeps the MAC it has. A MAC that is told while a VM has the
 * port goes when that VM does.
 *
 * Context: may sleep; keel_sriov.lock is held.
 * Return: 0 or -ENOMEM.
 */
int keel_port_rule_set(struct keel_vf_pool *pool, const char *name,
		       const u32 *priority, const u8 *mac)
{
	struct keel_port_rule *rule;
	struct keel_port *port;

	lockdep_assert_held(&keel_sriov.lock);
	rule = keel_port_rule_get(pool, name);
	if (!rule)
		return -ENOMEM;
	if (priority)
		rule->priority = *priority;
	port = keel_port_by_name(pool, name);
	if (mac) {
		ether_addr_copy(rule->mac, mac);
		rule->mac_vm = port ? port->vm : 0;
	}
	keel_port_rule_tidy(pool, rule);
	if (port)
		keel_port_undecline(port);
	keel_vf_pool_assign(pool);
	return 0;
}

/**
 * keel_port_reserve - keep a VF for a port that is about to come
 * @pool: the pool
 * @name: of the tap
 * @seconds: for so long
 *
 * Once more: from now on so long.
 *
 * Context: may sleep; keel_sriov.lock is held.
 * Return: 0; -EEXIST if the port has one; -ENOSPC if none is free that is not kept
 * for another port; -ENOMEM.
 */
int keel_port_reserve(struct keel_vf_pool *pool, const char *name, u32 seconds)
{
	struct keel_port_rule *rule = keel_port_rule(pool, name);
	const struct keel_port *port = keel_port_by_name(pool, name);

	lockdep_assert_held(&keel_sriov.lock);
	if (port && port->vf)
		return -EEXIST;
	if (!(rule && rule->reserved) &&
	    keel_vf_pool_nr_free(pool) <= keel_vf_pool_nr_reserved(pool))
		return -ENOSPC;
	rule = keel_port_rule_get(pool, name);
	if (!rule)
		return -ENOMEM;
	rule->reserved = true;
	rule->until = get_jiffies_64() + (u64)seconds * HZ;
	keel_port_rule_tidy(pool, rule);
	keel_sriov_look(0);
	return 0;
}

/**
 * keel_port_cancel - keep none for it any more
 * @pool: the pool
 * @name: of the tap
 *
 * Context: may sleep; keel_sriov.lock is held.
 * Return: 0; -ENOENT if none was kept.
 */
int keel_port_cancel(struct keel_vf_pool *pool, const char *name)
{
	struct keel_port_rule *rule = keel_port_rule(pool, name);

	lockdep_assert_held(&keel_sriov.lock);
	if (!rule || !rule->reserved)
		return -ENOENT;
	rule->reserved = false;
	keel_port_rule_tidy(pool, rule);
	keel_vf_pool_assign(pool);
	return 0;
}

/**
 * keel_port_arrived - a port has a VF: none is kept for it any more
 * @port: the port
 *
 * Context: keel_sriov.lock is held.
 */
void keel_port_arrived(struct keel_port *port)
{
	lockdep_assert_held(&keel_sriov.lock);
	if (!port->rule || !port->rule->reserved)
		return;
	port->rule->reserved = false;
	keel_port_rule_tidy(port->pool, port->rule);
}

/**
 * keel_ports_expire - end what was reserved for long enough
 *
 * Who may have a VF then is seen by the look at ports that is to follow.
 *
 * Context: may sleep; takes keel_sriov.lock.
 * Return: ms until the next ends; UINT_MAX: there is none.
 */
unsigned int keel_ports_expire(void)
{
	u64 now = get_jiffies_64(), first = U64_MAX;
	struct keel_port_rule *rule, *next;
	struct keel_vf_pool *pool;

	mutex_lock(&keel_sriov.lock);
	list_for_each_entry(pool, &keel_sriov.pools, node) {
		list_for_each_entry_safe(rule, next, &pool->rules, node) {
			if (!rule->reserved)
				continue;
			if (rule->until > now) {
				first = min(first, rule->until);
				continue;
			}
			rule->reserved = false;
			keel_port_rule_tidy(pool, rule);
		}
	}
	mutex_unlock(&keel_sriov.lock);
	return first == U64_MAX ? UINT_MAX : jiffies64_to_msecs(first - now);
}
