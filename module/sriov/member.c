// SPDX-License-Identifier: GPL-2.0
/* Members: PFs, and which VFs they have. */
#include <linux/pci.h>
#include <linux/slab.h>

#include "sriov/pool.h"

/**
 * keel_member_create - VFs of a PF, for a pool
 * @name: address of the PF
 * @pf: the PF, of which a reference goes with this
 * @vfs: numbers of the VFs
 * @nr: how many
 *
 * It belongs to no pool yet.
 *
 * Return: NULL without memory, and the reference stays.
 */
struct keel_member *keel_member_create(const char *name, struct pci_dev *pf,
				       const u32 *vfs, u32 nr)
{
	struct keel_member *m = kvzalloc(struct_size(m, vf, nr), GFP_KERNEL);
	u32 i;

	if (!m)
		return NULL;
	strscpy(m->name, name, sizeof(m->name));
	m->pf = pf;
	m->nr = nr;
	for (i = 0; i < nr; i++)
		keel_vf_init(&m->vf[i], m, vfs[i]);
	return m;
}

/* Is a VF of it a driver's? */
static bool keel_pf_has_users(struct pci_dev *pf)
{
	struct pci_dev *vf = NULL;

	for_each_pci_dev(vf) {
		if (vf->is_virtfn && pci_physfn(vf) == pf &&
		    READ_ONCE(vf->dev.driver)) {
			pci_dev_put(vf);
			return true;
		}
	}
	return false;
}

/**
 * keel_pf_set_vfs - make VFs of a PF that has none, or have those go that it has
 * @pf: the PF
 * @nr: how many; 0: they go
 *
 * Context: may sleep, for as long as the driver takes; takes the PF's device lock.
 * Return: 0, also if it is so already; -EOPNOTSUPP if its driver cannot, or it
 * has none; or what that says.
 */
int keel_pf_set_vfs(struct pci_dev *pf, u32 nr)
{
	struct pci_driver *drv;
	int ret = -EOPNOTSUPP;

	device_lock(&pf->dev);
	drv = pf->dev.driver ? to_pci_driver(pf->dev.driver) : NULL;
	if (drv && drv->sriov_configure)
		ret = !nr == !pci_num_vf(pf) ? 0 : drv->sriov_configure(pf, nr);
	device_unlock(&pf->dev);
	return ret < 0 ? ret : 0;
}

/**
 * keel_member_bequeath - another pool's member of the same PF goes on with its VFs
 * @m: the member, which no pool has any more
 *
 * VFs that were made for one pool go with the last that has some.
 *
 * Context: keel_sriov.lock is held.
 */
void keel_member_bequeath(struct keel_member *m)
{
	struct keel_vf_pool *pool;
	struct keel_member *other;

	lockdep_assert_held(&keel_sriov.lock);
	list_for_each_entry(pool, &keel_sriov.pools, node) {
		list_for_each_entry(other, &pool->members, node) {
			if (!m->made || !m->pf || other == m ||
			    other->pf != m->pf)
				continue;
			other->made = true;
			m->made = false;
		}
	}
}

/**
 * keel_member_free - the end of a member that no pool has
 * @m: the member, which keel_member_left() and has bequeathed
 *
 * VFs that were made for it go, if no driver has one.
 *
 * Context: may sleep, likewise; keel_sriov.making is held, keel_sriov.lock is not.
 */
void keel_member_free(struct keel_member *m)
{
	struct keel_vf *vf;

	lockdep_assert_held(&keel_sriov.making);
	keel_member_for_each_vf(vf, m)
		cancel_delayed_work_sync(&vf->work);
	if (m->pf && m->made && !keel_pf_has_users(m->pf))
		keel_pf_set_vfs(m->pf, 0);
	pci_dev_put(m->pf);
	kvfree(m);
}

static struct keel_vf *keel_member_vf(struct keel_member *m, int index)
{
	struct keel_vf *vf;

	keel_member_for_each_vf(vf, m)
		if (vf->index == index)
			return vf;
	return NULL;
}

/* By its address: it may come back, as another device. */
static void keel_member_find_pf(struct keel_member *m)
{
	unsigned int domain, bus, slot, fn;

	if (sscanf(m->name, "%x:%x:%x.%x", &domain, &bus, &slot, &fn) == 4)
		m->pf = pci_get_domain_bus_and_slot(domain, bus,
						    PCI_DEVFN(slot, fn));
}

/**
 * keel_member_look - which of its VFs are there?
 * @m: the member
 *
 * Context: may sleep; keel_sriov.lock is held.
 */
void keel_member_look(struct keel_member *m)
{
	struct pci_dev *pdev = NULL;
	struct keel_vf *vf;
	u32 there = 0;

	lockdep_assert_held(&keel_sriov.lock);
	if (m->leaving)
		return;
	if (!m->pf)
		keel_member_find_pf(m);
	if (!m->pf) {
		strscpy(m->why, "the PF is not there", sizeof(m->why));
		return;
	}
	for_each_pci_dev(pdev) {
		if (!pdev->is_virtfn || pci_physfn(pdev) != m->pf)
			continue;
		vf = keel_member_vf(m, pci_iov_vf_id(pdev));
		if (vf && vf->dying == pdev)
			continue;
		if (vf && !vf->pdev)
			keel_vf_appear(vf, pdev);
		there += !!vf;
	}
	m->why[0] = 0;
	if (there < m->nr)
		snprintf(m->why, sizeof(m->why),
			 "%u of its %u VFs are there: see sriov_numvfs of the PF",
			 there, m->nr);
}

/**
 * keel_member_leave - the pool is to have it no more
 * @m: the member
 *
 * Context: may sleep; keel_sriov.lock is held.
 */
void keel_member_leave(struct keel_member *m)
{
	struct keel_vf *vf;

	lockdep_assert_held(&keel_sriov.lock);
	m->leaving = true;
	keel_member_for_each_vf(vf, m)
		keel_vf_leave(vf);
	keel_sriov_look(0);
}

/**
 * keel_member_left - has it left, with all its VFs?
 * @m: the member
 *
 * Context: keel_sriov.lock is held.
 */
bool keel_member_left(const struct keel_member *m)
{
	const struct keel_vf *vf;

	if (!m->leaving)
		return false;
	keel_member_for_each_vf(vf, m)
		if (vf->pdev)
			return false;
	return true;
}

/**
 * keel_member_held - is a lease of one of its VFs out?
 * @m: the member
 *
 * Context: keel_sriov.lock is held.
 */
bool keel_member_held(const struct keel_member *m)
{
	const struct keel_vf *vf;

	keel_member_for_each_vf(vf, m)
		if (keel_vf_held(vf))
			return true;
	return false;
}

/**
 * keel_vf_find - a VF of any pool by its address
 * @pci: the address
 *
 * Context: keel_sriov.lock is held.
 * Return: NULL if there is none.
 */
struct keel_vf *keel_vf_find(const char *pci)
{
	struct keel_vf_pool *pool;
	struct keel_member *m;
	struct keel_vf *vf;

	lockdep_assert_held(&keel_sriov.lock);
	list_for_each_entry(pool, &keel_sriov.pools, node)
		list_for_each_entry(m, &pool->members, node)
			keel_member_for_each_vf(vf, m)
				if (vf->pdev && !strcmp(pci_name(vf->pdev), pci))
					return vf;
	return NULL;
}

static void keel_vf_device_gone(struct keel_vf *vf, const struct pci_dev *pdev,
				bool removed)
{
	if (vf->pdev == pdev) {
		vf->dying = pdev;
		keel_vf_vanish(vf);
	}
	if (removed && vf->dying == pdev)
		vf->dying = NULL;
}

/**
 * keel_sriov_device_gone - a PCI device is being removed
 * @pdev: the device; perhaps one of a pool
 * @removed: nobody finds it any more
 *
 * Context: may sleep; takes keel_sriov.lock.
 */
void keel_sriov_device_gone(struct pci_dev *pdev, bool removed)
{
	struct keel_vf_pool *pool;
	struct keel_member *m;
	struct keel_vf *vf;

	mutex_lock(&keel_sriov.lock);
	list_for_each_entry(pool, &keel_sriov.pools, node) {
		list_for_each_entry(m, &pool->members, node) {
			keel_member_for_each_vf(vf, m)
				keel_vf_device_gone(vf, pdev, removed);
			if (m->pf != pdev)
				continue;
			pci_dev_put(m->pf);
			m->pf = NULL;
			strscpy(m->why, "the PF has gone", sizeof(m->why));
		}
	}
	mutex_unlock(&keel_sriov.lock);
}
