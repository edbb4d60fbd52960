// SPDX-License-Identifier: GPL-2.0
/* Pools over netlink: made and changed, and their PFs. */
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <linux/sched/signal.h>
#include <linux/sort.h>
#include <net/genetlink.h>
#include <net/net_namespace.h>

#include "core/netlink.h"
#include "sriov/pool.h"

#define VFS_MAX		65535	/* of a PF: TotalVFs has 16 bits */

/* A word that can be shown and typed. */
static bool keel_is_word(const char *s, size_t room)
{
	const char *p;

	for (p = s; *p; p++)
		if (*p <= ' ' || *p > '~' || *p == '/')
			return false;
	return p > s && p - s < room;
}

/**
 * keel_nl_word - a word of a request
 * @info: the request; gets a sentence if it has none
 * @attr: the attribute
 * @room: for it, with its end
 * @why: the sentence
 *
 * Return: NULL if there is none.
 */
const char *keel_nl_word(struct genl_info *info, int attr, size_t room,
			 const char *why)
{
	const char *s = info->attrs[attr] ? nla_data(info->attrs[attr]) : "";

	if (keel_is_word(s, room))
		return s;
	keel_nl_bad(info, -EINVAL, why);
	return NULL;
}

/**
 * keel_nl_pool - the pool a request is about
 * @info: the request; gets a sentence if there is no such pool
 *
 * Context: keel_sriov.lock is held.
 * Return: an error pointer if there is none.
 */
struct keel_vf_pool *keel_nl_pool(struct genl_info *info)
{
	const char *name = keel_nl_word(info, KEEL_A_NAME, KEEL_POOL_NAME_LEN,
					"say which pool by its name (keel pool show)");
	struct keel_vf_pool *pool;

	lockdep_assert_held(&keel_sriov.lock);
	if (!name)
		return ERR_PTR(-EINVAL);
	pool = keel_vf_pool_find(name);
	if (pool)
		return pool;
	keel_nl_bad(info, -ENOENT, "there is no pool of that name (keel pool show)");
	return ERR_PTR(-ENOENT);
}

/* What a pool is to be like: what a request says, and what is there else. */
static int keel_nl_pool_like(struct genl_info *info, struct keel_vf_pool *pool)
{
	struct keel_vf_profile p = {
		.vlan = keel_nl_u32(info, KEEL_A_VLAN, pool->profile.vlan),
		.trust = keel_nl_u32(info, KEEL_A_TRUST, pool->profile.trust),
		.spoofcheck = keel_nl_u32(info, KEEL_A_SPOOFCHECK,
					  pool->profile.spoofcheck),
		.min_rate = keel_nl_u32(info, KEEL_A_MIN_RATE,
					pool->profile.min_rate),
		.max_rate = keel_nl_u32(info, KEEL_A_MAX_RATE,
					pool->profile.max_rate),
	};
	u32 reclaim = keel_nl_u32(info, KEEL_A_RECLAIM, pool->reclaim);

	if (p.vlan > KEEL_VLAN_MAX)
		return keel_nl_bad(info, -EINVAL, "a VLAN is from 1 to 4094, and 0 is none");
	if (p.trust > 1 || p.spoofcheck > 1 || reclaim > 1)
		return keel_nl_bad(info, -EINVAL, "trust, spoof check and reclaim are on or off");
	if (p.max_rate && p.min_rate > p.max_rate)
		return keel_nl_bad(info, -EINVAL, "the rate promised is above the rate allowed");
	pool->profile = p;
	pool->policy = keel_nl_u32(info, KEEL_A_POLICY, pool->policy);
	pool->mac = keel_nl_u32(info, KEEL_A_MAC_POLICY, pool->mac);
	pool->reserve = keel_nl_u32(info, KEEL_A_RESERVE, pool->reserve);
	pool->reclaim = reclaim;
	return 0;
}

/* A device that is there and is no switch cannot be one. */
static int keel_nl_switch(struct genl_info *info, const char *name)
{
	struct net_device *dev;
	const char *why;
	bool may;

	rtnl_lock();
	dev = __dev_get_by_name(&init_net, name);
	may = !dev || keel_may_be_switch(dev, &why);
	rtnl_unlock();
	return may ? 0 : keel_nl_bad(info, -EINVAL, why);
}

/* The lock is held. */
static int keel_nl_pool_make(struct genl_info *info, const char *name,
			     const char *on)
{
	struct keel_vf_pool like = { .profile.spoofcheck = 1 }, *pool;
	int err = keel_nl_pool_like(info, &like);

	if (err)
		return err;
	if (keel_sriov.closed)
		return keel_nl_bad(info, -ESHUTDOWN, "keel is being unloaded");
	if (keel_vf_pool_find(name))
		return keel_nl_bad(info, -EEXIST, "there is a pool of that name");
	if (keel_vf_pool_of(on))
		return keel_nl_bad(info, -EEXIST, "that switch has a pool (keel pool show)");
	pool = keel_vf_pool_create(name, on);
	if (!pool)
		return -ENOMEM;
	return keel_nl_pool_like(info, pool);
}

int keel_nl_pool_create_doit(struct sk_buff *skb, struct genl_info *info)
{
	int err = keel_nl_may_change(skb, info);
	const char *name, *on;

	if (err)
		return err;
	name = keel_nl_word(info, KEEL_A_NAME, KEEL_POOL_NAME_LEN,
			    "a pool needs a name of up to 31 letters, without spaces and slashes");
	on = name ? keel_nl_word(info, KEEL_A_SWITCH, IFNAMSIZ,
				 "a pool needs a switch: name a bridge") : NULL;
	if (!on)
		return -EINVAL;
	err = keel_nl_switch(info, on);
	if (err)
		return err;
	mutex_lock(&keel_sriov.lock);
	err = keel_nl_pool_make(info, name, on);
	mutex_unlock(&keel_sriov.lock);
	return err;
}

int keel_nl_pool_set_doit(struct sk_buff *skb, struct genl_info *info)
{
	int err = keel_nl_may_change(skb, info);
	struct keel_vf_pool *pool;

	if (err)
		return err;
	mutex_lock(&keel_sriov.lock);
	pool = keel_nl_pool(info);
	err = PTR_ERR_OR_ZERO(pool);
	if (!err)
		err = keel_nl_pool_like(info, pool);
	if (!err) {
		keel_ports_reconsider(pool);
		keel_vf_pool_assign(pool);
	}
	mutex_unlock(&keel_sriov.lock);
	return err;
}

/* A PF by its address or its network device, with a reference. */
static struct pci_dev *keel_pf_get(const char *name)
{
	unsigned int domain, bus, slot, fn;
	struct pci_dev *pdev = NULL;
	struct net_device *dev;
	int end = 0;

	if (sscanf(name, "%x:%x:%x.%x%n", &domain, &bus, &slot, &fn, &end) == 4 &&
	    !name[end] && bus < 256 && slot < 32 && fn < 8)
		return pci_get_domain_bus_and_slot(domain, bus,
						   PCI_DEVFN(slot, fn));
	rtnl_lock();
	dev = __dev_get_by_name(&init_net, name);
	if (dev && dev->dev.parent && dev_is_pci(dev->dev.parent))
		pdev = pci_dev_get(to_pci_dev(dev->dev.parent));
	rtnl_unlock();
	return pdev;
}

static int keel_cmp_u32(const void *a, const void *b)
{
	u32 x = *(const u32 *)a, y = *(const u32 *)b;

	return x < y ? -1 : x > y;
}

/*
 * The VFs of a request in order, or all there can be. Return: their number. *vfs is
 * to be freed whatever comes of it.
 */
static int keel_nl_vfs(struct genl_info *info, struct pci_dev *pf, u32 **vfs)
{
	struct nlattr *given = info->attrs[KEEL_A_VFS];
	u32 total = pci_sriov_get_totalvfs(pf), here = pci_num_vf(pf), nr, i;

	if (!total)
		return keel_nl_bad(info, -EINVAL, "that device can have no VFs");
	nr = given ? nla_len(given) / sizeof(u32) : here ?: total;
	if (!nr || nr > VFS_MAX || (given && nla_len(given) % sizeof(u32)))
		return keel_nl_bad(info, -EINVAL, "say which VFs by their numbers");
	*vfs = kvmalloc_array(nr, sizeof(**vfs), GFP_KERNEL);
	if (!*vfs)
		return -ENOMEM;
	for (i = 0; i < nr; i++)
		(*vfs)[i] = given ? ((u32 *)nla_data(given))[i] : i;
	sort(*vfs, nr, sizeof(**vfs), keel_cmp_u32, NULL);
	for (i = 1; i < nr && (*vfs)[i] != (*vfs)[i - 1]; i++)
		;
	if (i == nr && (*vfs)[nr - 1] < (here ?: total))
		return nr;
	if (i < nr)
		return keel_nl_bad(info, -EINVAL, "a VF is named twice");
	return keel_nl_bad(info, -EINVAL, here ?
		"the PF has fewer VFs, and no more can be made while it has these" :
		"the PF can have fewer VFs");
}

static bool keel_pf_can_tell(struct pci_dev *pf)
{
	bool can;

	rtnl_lock();
	can = keel_pf_netdev(pf);
	rtnl_unlock();
	return can;
}

/* Does a pool have one of these VFs? @vfs is in order. */
static bool keel_vfs_taken(const struct pci_dev *pf, const u32 *vfs, u32 nr)
{
	const struct keel_member *m;
	struct keel_vf_pool *pool;
	u32 i, k;

	list_for_each_entry(pool, &keel_sriov.pools, node) {
		list_for_each_entry(m, &pool->members, node) {
			if (m->pf != pf)
				continue;
			for (i = k = 0; i < nr && k < m->nr;
			     vfs[i] < m->vf[k].index ? i++ : k++)
				if (vfs[i] == m->vf[k].index)
					return true;
		}
	}
	return false;
}

static struct keel_member *keel_vf_pool_member(struct keel_vf_pool *pool,
					       const struct pci_dev *pf)
{
	struct keel_member *m;

	list_for_each_entry(m, &pool->members, node)
		if (m->pf == pf)
			return m;
	return NULL;
}

/* The lock is held. The member is the pool's, or still the caller's. */
static int keel_nl_pool_join(struct genl_info *info, struct keel_member *m,
			     const u32 *vfs)
{
	struct keel_vf_pool *pool = keel_nl_pool(info);
	const struct keel_member *other;
	u32 members = 0;

	if (IS_ERR(pool))
		return PTR_ERR(pool);
	list_for_each_entry(other, &pool->members, node)
		members++;
	if (pool->leaving)
		return keel_nl_bad(info, -EBUSY, "the pool is being deleted");
	if (keel_vf_pool_member(pool, m->pf))
		return keel_nl_bad(info, -EEXIST,
				   "the pool has VFs of that PF already: remove it, and add all it is to have");
	if (keel_vfs_taken(m->pf, vfs, m->nr))
		return keel_nl_bad(info, -EBUSY,
				   "another pool has one of these VFs (keel pool show)");
	if (members == KEEL_MEMBERS_MAX)
		return keel_nl_bad(info, -ENOSPC, "a pool has no more than 64 PFs");
	m->pool = pool;
	list_add_tail(&m->node, &pool->members);
	keel_member_look(m);
	return 0;
}

/* The reference to @pf goes with it. keel_sriov.making is held. */
static int keel_nl_pool_add_pf(struct genl_info *info, struct pci_dev *pf)
{
	bool makes = !pci_num_vf(pf);
	struct keel_member *m;
	u32 *vfs = NULL;
	int nr, err = 0;

	lockdep_assert_held(&keel_sriov.making);
	nr = keel_nl_vfs(info, pf, &vfs);
	m = nr > 0 ? keel_member_create(pci_name(pf), pf, vfs, nr) : NULL;
	if (!m) {
		pci_dev_put(pf);
		kvfree(vfs);
		return nr < 0 ? nr : -ENOMEM;
	}
	if (!keel_pf_can_tell(pf))
		err = keel_nl_bad(info, -EOPNOTSUPP,
				  "the PF has no network device that can tell VFs what to be");
	if (!err && makes)
		err = keel_pf_set_vfs(pf, info->attrs[KEEL_A_VFS] ?
				      vfs[nr - 1] + 1 : nr);
	if (err == -EOPNOTSUPP && !(info->extack && info->extack->_msg))
		keel_nl_bad(info, err, "the PF's driver cannot make VFs");
	m->made = makes && !err;
	mutex_lock(&keel_sriov.lock);
	err = err ?: keel_nl_pool_join(info, m, vfs);
	if (err)
		keel_member_bequeath(m);
	mutex_unlock(&keel_sriov.lock);
	if (err)
		keel_member_free(m);
	kvfree(vfs);
	return err;
}

int keel_nl_pool_add_doit(struct sk_buff *skb, struct genl_info *info)
{
	static const char which[] = "say which PF, by address (0000:01:00.0) or network device";
	int err = keel_nl_may_change(skb, info);
	struct keel_vf_pool *pool;
	struct pci_dev *pf;
	const char *name;

	if (err)
		return err;
	name = keel_nl_word(info, KEEL_A_MEMBER, 64, which);
	if (!name)
		return -EINVAL;
	/* Before anything is made for it. */
	mutex_lock(&keel_sriov.lock);
	pool = keel_nl_pool(info);
	mutex_unlock(&keel_sriov.lock);
	if (IS_ERR(pool))
		return PTR_ERR(pool);
	pf = keel_pf_get(name);
	if (!pf)
		return keel_nl_bad(info, -ENODEV,
				   "there is no such PCI device, and no network device of one");
	err = mutex_lock_killable(&keel_sriov.making);
	if (err) {
		pci_dev_put(pf);
		return err;
	}
	err = keel_nl_pool_add_pf(info, pf);
	mutex_unlock(&keel_sriov.making);
	return err;
}

/* A VM was found to have a VF of it still, though its lease is over. */
static bool keel_member_stuck(const struct keel_member *m)
{
	const struct keel_vf *vf;

	keel_member_for_each_vf(vf, m)
		if (vf->state == KEEL_VF_STATE_RELEASING && vf->waited)
			return true;
	return false;
}

/* Is it worth it to wait for who leaves? The lock is held. */
static bool keel_leaving_waits(const char *name, const char *member)
{
	struct keel_vf_pool *pool = keel_vf_pool_find(name);
	struct keel_member *m;

	if (!pool)
		return false;
	if (pool->leaving && list_empty(&pool->members))
		return true;
	list_for_each_entry(m, &pool->members, node)
		if (m->leaving && (!*member || !strcmp(m->name, member)) &&
		    !keel_member_stuck(m))
			return true;
	return false;
}

/*
 * Until what was told to leave has left. What a VM has not let go of is not waited
 * for: it leaves when that does.
 */
static int keel_leaving_wait(const char *name, const char *member)
{
	int seen, err;

	for (;;) {
		seen = atomic_read(&keel_sriov.turns);
		mutex_lock(&keel_sriov.lock);
		if (!keel_leaving_waits(name, member))
			break;
		mutex_unlock(&keel_sriov.lock);
		if (wait_event_killable(keel_sriov.changed,
					atomic_read(&keel_sriov.turns) != seen))
			return -EINTR;
	}
	mutex_unlock(&keel_sriov.lock);
	/* It is in no pool any more, but may have VFs still. */
	err = mutex_lock_killable(&keel_sriov.making);
	if (!err)
		mutex_unlock(&keel_sriov.making);
	return err;
}

static int keel_nl_busy(struct genl_info *info)
{
	return keel_nl_bad(info, -EBUSY,
			   "VMs have VFs of it: end these leases first, or say --force");
}

/* The lock is held. */
static int keel_nl_pool_go(struct genl_info *info, char *name)
{
	struct keel_vf_pool *pool = keel_nl_pool(info);
	struct keel_member *m;

	if (IS_ERR(pool))
		return PTR_ERR(pool);
	list_for_each_entry(m, &pool->members, node)
		if (keel_member_held(m) && !info->attrs[KEEL_A_FORCE])
			return keel_nl_busy(info);
	strscpy(name, pool->name, KEEL_POOL_NAME_LEN);
	keel_vf_pool_leave(pool);
	return 0;
}

int keel_nl_pool_delete_doit(struct sk_buff *skb, struct genl_info *info)
{
	int err = keel_nl_may_change(skb, info);
	char name[KEEL_POOL_NAME_LEN];

	if (err)
		return err;
	mutex_lock(&keel_sriov.lock);
	err = keel_nl_pool_go(info, name);
	mutex_unlock(&keel_sriov.lock);
	return err ?: keel_leaving_wait(name, "");
}

/* The lock is held. */
static int keel_nl_member_go(struct genl_info *info, const struct pci_dev *pf,
			     const char *address, char *name, char *member)
{
	struct keel_vf_pool *pool = keel_nl_pool(info);
	struct keel_member *m;

	if (IS_ERR(pool))
		return PTR_ERR(pool);
	list_for_each_entry(m, &pool->members, node) {
		/* A PF that is not there has its address still. */
		if (strcmp(m->name, pf ? pci_name(pf) : address))
			continue;
		if (keel_member_held(m) && !info->attrs[KEEL_A_FORCE])
			return keel_nl_busy(info);
		strscpy(name, pool->name, KEEL_POOL_NAME_LEN);
		strscpy(member, m->name, KEEL_PCI_NAME_LEN);
		keel_member_leave(m);
		return 0;
	}
	return keel_nl_bad(info, -ENOENT, "the pool has no such PF (keel pool show)");
}

int keel_nl_pool_remove_doit(struct sk_buff *skb, struct genl_info *info)
{
	char name[KEEL_POOL_NAME_LEN], member[KEEL_PCI_NAME_LEN];
	int err = keel_nl_may_change(skb, info);
	const char *which;
	struct pci_dev *pf;

	if (err)
		return err;
	which = keel_nl_word(info, KEEL_A_MEMBER, 64, "say which PF");
	if (!which)
		return -EINVAL;
	pf = keel_pf_get(which);
	mutex_lock(&keel_sriov.lock);
	err = keel_nl_member_go(info, pf, which, name, member);
	mutex_unlock(&keel_sriov.lock);
	pci_dev_put(pf);
	return err ?: keel_leaving_wait(name, member);
}
