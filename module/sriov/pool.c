// SPDX-License-Identifier: GPL-2.0
/* Pools: found, made and left, and who of their ports gets which VF. */
#include <linux/etherdevice.h>
#include <linux/slab.h>
#include <linux/topology.h>

#include "sriov/choose.h"
#include "sriov/pool.h"

/* For one choice; under keel_sriov.lock. */
static struct choose_pf keel_choose_pf[KEEL_MEMBERS_MAX];

/**
 * keel_vf_pool_find - a pool by its name
 * @name: the name
 *
 * Context: keel_sriov.lock is held.
 * Return: NULL if there is none.
 */
struct keel_vf_pool *keel_vf_pool_find(const char *name)
{
	struct keel_vf_pool *pool;

	lockdep_assert_held(&keel_sriov.lock);
	list_for_each_entry(pool, &keel_sriov.pools, node)
		if (!strcmp(pool->name, name))
			return pool;
	return NULL;
}

/**
 * keel_vf_pool_of - the pool of a switch
 * @on: name of the switch
 *
 * Context: keel_sriov.lock is held.
 * Return: NULL if there is none.
 */
struct keel_vf_pool *keel_vf_pool_of(const char *on)
{
	struct keel_vf_pool *pool;

	lockdep_assert_held(&keel_sriov.lock);
	list_for_each_entry(pool, &keel_sriov.pools, node)
		if (!strcmp(pool->on, on))
			return pool;
	return NULL;
}

/**
 * keel_vf_pool_create - a pool without members
 * @name: its name, which no other has
 * @on: its switch, likewise
 *
 * Context: may sleep; keel_sriov.lock is held.
 * Return: NULL without memory.
 */
struct keel_vf_pool *keel_vf_pool_create(const char *name, const char *on)
{
	struct keel_vf_pool *pool = kzalloc(sizeof(*pool), GFP_KERNEL);

	lockdep_assert_held(&keel_sriov.lock);
	if (!pool)
		return NULL;
	strscpy(pool->name, name, sizeof(pool->name));
	strscpy(pool->on, on, sizeof(pool->on));
	pool->profile.spoofcheck = 1;
	INIT_LIST_HEAD(&pool->members);
	INIT_LIST_HEAD(&pool->ports);
	INIT_LIST_HEAD(&pool->rules);
	list_add_tail(&pool->node, &keel_sriov.pools);
	keel_sriov_look(0);
	return pool;
}

/**
 * keel_vf_pool_leave - a pool goes, as soon as its members have
 * @pool: the pool
 *
 * Context: may sleep; keel_sriov.lock is held.
 */
void keel_vf_pool_leave(struct keel_vf_pool *pool)
{
	struct keel_member *m;

	lockdep_assert_held(&keel_sriov.lock);
	pool->leaving = true;
	list_for_each_entry(m, &pool->members, node)
		keel_member_leave(m);
	keel_sriov_look(0);
}

/**
 * keel_vf_pool_free - the end of a pool that has no members
 * @pool: the pool
 *
 * Context: may sleep; keel_sriov.lock is held.
 */
void keel_vf_pool_free(struct keel_vf_pool *pool)
{
	struct keel_port_rule *rule, *next_rule;
	struct keel_port *port, *next;

	lockdep_assert_held(&keel_sriov.lock);
	list_for_each_entry_safe(port, next, &pool->ports, node)
		keel_port_forget(port);
	list_for_each_entry_safe(rule, next_rule, &pool->rules, node) {
		list_del(&rule->node);
		kfree(rule);
	}
	list_del(&pool->node);
	kfree(pool);
}

static bool keel_port_wants(const struct keel_port *port)
{
	if (port->vf || !port->vm || port->declined)
		return false;
	return port->pool->mac != KEEL_POOL_MAC_GUEST ||
	       (port->rule && !is_zero_ether_addr(port->rule->mac));
}

static struct choose_port keel_port_wish(const struct keel_port *port)
{
	return (struct choose_port){
		.priority = port->rule ? port->rule->priority : 0,
		.since = port->order,
	};
}

/* The port that is next to get a VF. */
static struct keel_port *keel_vf_pool_next(struct keel_vf_pool *pool)
{
	struct keel_port *port, *first = NULL;
	struct choose_port best, wish;

	list_for_each_entry(port, &pool->ports, node) {
		if (!keel_port_wants(port))
			continue;
		wish = keel_port_wish(port);
		if (first && !choose_before(&wish, &best))
			continue;
		first = port;
		best = wish;
	}
	return first;
}

static bool keel_vf_usable(const struct keel_vf *vf)
{
	return vf->state == KEEL_VF_STATE_FREE && !vf->leaving && !vf->gone;
}

/* A member, as a VM on @numa sees it. */
static struct choose_pf keel_member_choice(const struct keel_member *m, int numa)
{
	int node = m->pf ? dev_to_node(&m->pf->dev) : NUMA_NO_NODE;
	struct choose_pf c = { .distance = LOCAL_DISTANCE, .vfs = m->nr };
	const struct keel_vf *vf;

	if (node != NUMA_NO_NODE && numa != NUMA_NO_NODE)
		c.distance = node_distance(numa, node);
	keel_member_for_each_vf(vf, m) {
		c.used += vf->holds;
		c.free += keel_vf_usable(vf);
	}
	return c;
}

/* Of a member's VFs the one that has been free for longest. */
static struct keel_vf *keel_member_oldest(struct keel_member *m)
{
	struct keel_vf *vf, *oldest = NULL;

	keel_member_for_each_vf(vf, m)
		if (keel_vf_usable(vf) && (!oldest || vf->since < oldest->since))
			oldest = vf;
	return oldest;
}

/* The VF for a port; NULL if none is to be had. */
static struct keel_vf *keel_vf_pool_choose(struct keel_vf_pool *pool,
					   const struct keel_port *port)
{
	struct keel_member *m;
	u32 nr = 0, best, free = 0;

	list_for_each_entry(m, &pool->members, node) {
		keel_choose_pf[nr] = keel_member_choice(m, port->numa);
		free += keel_choose_pf[nr++].free;
	}
	if (free <= pool->reserve)
		return NULL;
	best = choose_pf(keel_choose_pf, nr, pool->policy);
	if (best == CHOOSE_NONE)
		return NULL;
	list_for_each_entry(m, &pool->members, node)
		if (!best--)
			return keel_member_oldest(m);
	return NULL;
}

/**
 * keel_vf_pool_assign - give VFs to ports, as long as there are both
 * @pool: the pool
 *
 * Context: may sleep; keel_sriov.lock is held.
 */
void keel_vf_pool_assign(struct keel_vf_pool *pool)
{
	struct keel_port *port;
	struct keel_vf *vf;

	lockdep_assert_held(&keel_sriov.lock);
	while (!pool->leaving && !keel_sriov.closed &&
	       (port = keel_vf_pool_next(pool))) {
		vf = keel_vf_pool_choose(pool, port);
		if (!vf || keel_vf_lease(vf, port))
			break;
	}
}
