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

static bool keel_vf_pool_has_mac(const struct keel_vf_pool *pool, const u8 *mac)
{
	const struct keel_member *m;
	const struct keel_vf *vf;

	list_for_each_entry(m, &pool->members, node)
		keel_member_for_each_vf(vf, m)
			if (vf->holds && ether_addr_equal(vf->told.mac, mac))
				return true;
	return false;
}

/**
 * keel_mac_used - is there a VF that was told a MAC?
 * @mac: the MAC
 *
 * A card would not know to which of two a frame goes.
 *
 * Context: keel_sriov.lock is held.
 */
bool keel_mac_used(const u8 *mac)
{
	const struct keel_vf_pool *pool;

	lockdep_assert_held(&keel_sriov.lock);
	list_for_each_entry(pool, &keel_sriov.pools, node)
		if (keel_vf_pool_has_mac(pool, mac))
			return true;
	return false;
}

static bool keel_port_wants(const struct keel_port *port)
{
	if (port->vf || !port->vm || port->declined)
		return false;
	if (port->pool->mac != KEEL_POOL_MAC_GUEST)
		return true;
	return port->rule && !is_zero_ether_addr(port->rule->mac) &&
	       !keel_mac_used(port->rule->mac);
}

static struct choose_port keel_port_wish(const struct keel_port *port)
{
	return (struct choose_port){
		.priority = port->rule ? port->rule->priority : 0,
		.since = port->order,
	};
}

static bool keel_port_reserved(const struct keel_port *port)
{
	return port->rule && port->rule->reserved;
}

/* The port that is next to get a VF, of all or only of those that have one reserved. */
static struct keel_port *keel_vf_pool_next(struct keel_vf_pool *pool,
					   bool reserved)
{
	struct keel_port *port, *first = NULL;
	struct choose_port best, wish;

	list_for_each_entry(port, &pool->ports, node) {
		if (!keel_port_wants(port) ||
		    (reserved && !keel_port_reserved(port)))
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

/**
 * keel_vf_pool_nr_free - VFs that could be leased now
 * @pool: the pool
 *
 * Context: keel_sriov.lock is held.
 */
u32 keel_vf_pool_nr_free(const struct keel_vf_pool *pool)
{
	const struct keel_member *m;
	const struct keel_vf *vf;
	u32 nr = 0;

	lockdep_assert_held(&keel_sriov.lock);
	list_for_each_entry(m, &pool->members, node)
		keel_member_for_each_vf(vf, m)
			nr += keel_vf_usable(vf);
	return nr;
}

/**
 * keel_vf_pool_nr_reserved - ports for which a VF is kept
 * @pool: the pool
 *
 * Context: keel_sriov.lock is held.
 */
u32 keel_vf_pool_nr_reserved(const struct keel_vf_pool *pool)
{
	const struct keel_port_rule *rule;
	u32 nr = 0;

	lockdep_assert_held(&keel_sriov.lock);
	list_for_each_entry(rule, &pool->rules, node)
		nr += rule->reserved;
	return nr;
}

/* So many free VFs are not for those who have reserved none. */
static u32 keel_vf_pool_kept(const struct keel_vf_pool *pool)
{
	return max(pool->reserve, keel_vf_pool_nr_reserved(pool));
}

/* The VF for a port; NULL if none is to be had. */
static struct keel_vf *keel_vf_pool_choose(struct keel_vf_pool *pool,
					   const struct keel_port *port)
{
	struct keel_member *m;
	u32 nr = 0, best;

	list_for_each_entry(m, &pool->members, node)
		keel_choose_pf[nr++] = keel_member_choice(m, port->numa);
	best = choose_pf(keel_choose_pf, nr, pool->policy);
	if (best == CHOOSE_NONE)
		return NULL;
	list_for_each_entry(m, &pool->members, node)
		if (!best--)
			return keel_member_oldest(m);
	return NULL;
}

/* Give VFs to ports, as long as there are both. */
static void keel_vf_pool_lease(struct keel_vf_pool *pool)
{
	struct keel_port *port;
	struct keel_vf *vf;

	for (;;) {
		port = keel_vf_pool_next(pool, keel_vf_pool_nr_free(pool) <=
					 keel_vf_pool_kept(pool));
		vf = port ? keel_vf_pool_choose(pool, port) : NULL;
		if (!vf || keel_vf_lease(vf, port))
			break;
		port->outbid = false;
		keel_port_arrived(port);
	}
}

/* Of the ports that have a VF the one that was last in turn. */
static struct keel_port *keel_vf_pool_last(struct keel_vf_pool *pool)
{
	struct keel_port *port, *last = NULL;
	struct choose_port worst, wish;

	list_for_each_entry(port, &pool->ports, node) {
		if (!port->vf)
			continue;
		wish = keel_port_wish(port);
		if (last && choose_before(&wish, &worst))
			continue;
		last = port;
		worst = wish;
	}
	return last;
}

/* VFs that will be free without being asked for. */
static u32 keel_vf_pool_nr_coming(const struct keel_vf_pool *pool)
{
	const struct keel_member *m;
	const struct keel_vf *vf;
	u32 nr = 0;

	list_for_each_entry(m, &pool->members, node)
		keel_member_for_each_vf(vf, m)
			nr += keel_vf_coming(vf);
	return nr;
}

/*
 * So many VFs are to be free before all who may have that of @port have one, and
 * those are left that are kept; 0: nobody may.
 */
static u32 keel_vf_pool_demand(struct keel_vf_pool *pool,
			       const struct keel_port *port)
{
	const struct choose_port low = keel_port_wish(port);
	u32 nr = 0, absent = keel_vf_pool_nr_reserved(pool);
	const struct keel_port *other;
	struct choose_port wish;
	bool plain = false;

	list_for_each_entry(other, &pool->ports, node) {
		if (!keel_port_wants(other))
			continue;
		absent -= keel_port_reserved(other);
		wish = keel_port_wish(other);
		if (!choose_outbids(&wish, &low))
			continue;
		nr++;
		plain |= !keel_port_reserved(other);
	}
	if (!nr)
		return 0;
	return nr + (plain ? max(pool->reserve, absent) : absent);
}

/*
 * Who waits, and not for a VF that is coming anyway, gets that of a port of lower
 * priority. What is taken is for who has the highest, as soon as it is clean.
 */
static void keel_vf_pool_reclaim(struct keel_vf_pool *pool)
{
	u32 coming = keel_vf_pool_nr_free(pool) + keel_vf_pool_nr_coming(pool);
	struct keel_port *last;

	while ((last = keel_vf_pool_last(pool)) &&
	       keel_vf_pool_demand(pool, last) > coming) {
		last->outbid = true;
		keel_vf_end(last->vf,
			    "a port of higher priority is to have it, and the VM still has it");
		keel_port_announce(last, false);
		coming++;
	}
}

/**
 * keel_vf_pool_assign - give VFs to ports, as long as there are both
 * @pool: the pool
 *
 * Context: may sleep; keel_sriov.lock is held.
 */
void keel_vf_pool_assign(struct keel_vf_pool *pool)
{
	lockdep_assert_held(&keel_sriov.lock);
	if (pool->leaving || keel_sriov.closed)
		return;
	keel_vf_pool_lease(pool);
	if (pool->reclaim)
		keel_vf_pool_reclaim(pool);
}

/**
 * keel_vf_pools_assign - likewise, in all pools
 *
 * Who waits for a MAC that was another VF's may be in another pool.
 *
 * Context: may sleep; keel_sriov.lock is held.
 */
void keel_vf_pools_assign(void)
{
	struct keel_vf_pool *pool;

	lockdep_assert_held(&keel_sriov.lock);
	list_for_each_entry(pool, &keel_sriov.pools, node)
		keel_vf_pool_assign(pool);
}
