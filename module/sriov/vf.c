// SPDX-License-Identifier: GPL-2.0
/* A VF of a pool: its states, and the work that moves it from one to the next. */
#include <linux/etherdevice.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/timekeeping.h>

#include "core/trace.h"
#include "sriov/pool.h"

/*
 * Nobody tells when a VF is let go: it is looked at again, after such a part of the
 * time that it has been waited for, and at these times at least and at most.
 */
#define LOOK_PART	64
#define LOOK_MS		4
#define LOOK_MS_MAX	1000
/* Who holds it is told if it is another after so long. */
#define TELL_MS		60
/* So long it is tried to scrub or to bind a VF. */
#define TRY_MS		1000
/* Who has not let go after so long may never do so. */
#define STUCK_MS	30000

/* States in which it belongs to its work. */
static bool keel_vf_busy(const struct keel_vf *vf)
{
	return vf->state == KEEL_VF_STATE_FOREIGN ||
	       vf->state == KEEL_VF_STATE_SCRUBBING ||
	       vf->state == KEEL_VF_STATE_LEASING ||
	       vf->state == KEEL_VF_STATE_RELEASING;
}

/**
 * keel_vf_held - is a lease of it out, or not yet over?
 * @vf: the VF
 *
 * Context: keel_sriov.lock is held.
 */
bool keel_vf_held(const struct keel_vf *vf)
{
	return vf->holds;
}

/**
 * keel_vf_told - is @vf->told what the VF is told now?
 * @vf: the VF
 *
 * Context: keel_sriov.lock is held.
 */
bool keel_vf_told(const struct keel_vf *vf)
{
	return vf->state == KEEL_VF_STATE_LEASED ||
	       vf->state == KEEL_VF_STATE_RELEASING;
}

/**
 * keel_vf_coming - will a VF soon be free?
 * @vf: the VF
 *
 * Not counting on it: a VM may keep it for as long as it likes.
 *
 * Context: keel_sriov.lock is held.
 */
bool keel_vf_coming(const struct keel_vf *vf)
{
	if (vf->leaving || vf->gone)
		return false;
	if (vf->state == KEEL_VF_STATE_RELEASING)
		return vf->waited < STUCK_MS;
	return vf->state == KEEL_VF_STATE_SCRUBBING ||
	       (vf->state == KEEL_VF_STATE_LEASING && vf->ending);
}

static void keel_vf_move(struct keel_vf *vf, enum keel_vf_state state)
{
	lockdep_assert_held(&keel_sriov.lock);
	vf->state = state;
	vf->since = ktime_get_real_ns();
	vf->waited = 0;
	if (state != KEEL_VF_STATE_QUARANTINED)
		vf->why[0] = 0;
	trace_keel_vf(vf->member->name, vf->index, state, vf->generation);
	if (keel_vf_busy(vf))
		mod_delayed_work(keel_sriov.wq, &vf->work, 0);
	keel_sriov_wake();
}

/* It is at something that others want to know of. */
static void keel_vf_move_announced(struct keel_vf *vf, enum keel_vf_state state)
{
	keel_vf_move(vf, state);
	keel_vf_announce(vf);
}

/* The lease, if there is one, is over, and with it the module's hold. */
static void keel_vf_drop(struct keel_vf *vf)
{
	lockdep_assert_held(&keel_sriov.lock);
	if (vf->port)
		vf->port->vf = NULL;
	vf->port = NULL;
	vf->vm = 0;
	vf->ending = false;
	memset(&vf->told, 0, sizeof(vf->told));
	if (vf->holds)
		module_put(THIS_MODULE);
	vf->holds = false;
}

static void keel_vf_quarantine(struct keel_vf *vf, const char *why)
{
	strscpy(vf->why, why, sizeof(vf->why));
	pci_warn(vf->pdev, "quarantined: %s\n", vf->why);
	keel_vf_drop(vf);
	keel_vf_move_announced(vf, KEEL_VF_STATE_QUARANTINED);
	keel_sriov_look(0);
}

static void keel_vf_absent(struct keel_vf *vf)
{
	struct pci_dev *pdev = vf->pdev;

	keel_vf_drop(vf);
	vf->pdev = NULL;
	vf->gone = false;
	vf->taken = false;
	keel_vf_move_announced(vf, KEEL_VF_STATE_ABSENT);
	pci_dev_put(pdev);
	keel_sriov_look(0);
}

/* It is nobody's of the pool any more: what it had it has back. */
static void keel_vf_give_back(struct keel_vf *vf)
{
	static const struct keel_vf_former nothing;
	struct pci_dev *pdev = vf->pdev;

	/* Nobody leases one that is leaving: it stays as it is meanwhile. */
	mutex_unlock(&keel_sriov.lock);
	if (vf->taken)
		keel_hw_give_back(pdev, vf->member->made ? &nothing : &vf->former);
	mutex_lock(&keel_sriov.lock);
	keel_vf_absent(vf);
}

/* Not yet: look again, less and less often. */
static void keel_vf_look_again(struct keel_vf *vf, const char *why)
{
	unsigned int ms = clamp_t(unsigned int, vf->waited / LOOK_PART, LOOK_MS,
				  LOOK_MS_MAX);

	vf->waited += ms;
	keel_sriov_wake();
	if (strcmp(vf->why, why)) {
		strscpy(vf->why, why, sizeof(vf->why));
		if (vf->waited > TELL_MS)
			keel_vf_announce(vf);
	}
	queue_delayed_work(keel_sriov.wq, &vf->work, msecs_to_jiffies(ms));
}

/* What may go better the next time is tried again, for a while. */
static bool keel_vf_try_again(struct keel_vf *vf, int err, const char *why)
{
	if ((err != -EAGAIN && err != -ENOMEM) || vf->waited >= TRY_MS)
		return false;
	keel_vf_look_again(vf, why);
	return true;
}

/* Each of these begins and ends with the lock, and does not hold it between. */
static void keel_vf_do_foreign(struct keel_vf *vf)
{
	struct pci_dev *pdev = vf->pdev;
	struct keel_vf_former former;
	char why[KEEL_WHY_LEN];
	bool used;
	int err;

	mutex_unlock(&keel_sriov.lock);
	err = keel_hw_isolated(pdev, why, sizeof(why));
	used = !err && (keel_hw_users(pdev, why, sizeof(why)) ||
			keel_hw_take(pdev, &former, why, sizeof(why)));
	mutex_lock(&keel_sriov.lock);
	if (vf->gone)
		return;
	if (used) {
		keel_vf_look_again(vf, why);
	} else if (err) {
		keel_vf_quarantine(vf, why);
	} else {
		vf->former = former;
		vf->taken = true;
		vf->reset = false;
		keel_vf_move(vf, KEEL_VF_STATE_SCRUBBING);
	}
}

static void keel_vf_do_scrub(struct keel_vf *vf)
{
	struct pci_dev *pdev = vf->pdev;
	char why[KEEL_WHY_LEN];
	bool reset = vf->reset;
	u64 begin, middle;
	int err;

	mutex_unlock(&keel_sriov.lock);
	begin = ktime_get_ns();
	err = reset ? 0 : keel_hw_reset(pdev, why, sizeof(why));
	middle = ktime_get_ns();
	err = err ?: keel_hw_clean(pdev, vf->index, why, sizeof(why));
	mutex_lock(&keel_sriov.lock);
	vf->reset_ns = reset ? 0 : middle - begin;
	vf->scrub_ns = ktime_get_ns() - begin;
	if (vf->gone)
		return;
	if (keel_vf_try_again(vf, err, why))
		return;
	if (err) {
		keel_vf_quarantine(vf, why);
		return;
	}
	keel_vf_move_announced(vf, KEEL_VF_STATE_FREE);
	keel_vf_pools_assign();
}

/*
 * The PF's driver does not take what the VM's profile says: nothing is wrong with the
 * VF, and another would fare no better.
 */
static void keel_vf_refused(struct keel_vf *vf, const char *why)
{
	keel_vf_move(vf, KEEL_VF_STATE_RELEASING);
	if (vf->port)
		keel_port_decline(vf->port, why);
}

static void keel_vf_do_lease(struct keel_vf *vf)
{
	struct keel_vf_profile told = vf->told;
	struct pci_dev *pdev = vf->pdev;
	char why[KEEL_WHY_LEN];
	u64 begin, configured;
	int err;

	mutex_unlock(&keel_sriov.lock);
	begin = ktime_get_ns();
	err = keel_hw_configure(pdev, vf->index, &told, why, sizeof(why));
	configured = ktime_get_ns();
	err = err ?: keel_hw_bind(pdev, why, sizeof(why));
	mutex_lock(&keel_sriov.lock);
	vf->configure_ns = configured - begin;
	vf->bind_ns = ktime_get_ns() - configured;
	if (vf->gone)
		return;
	if (keel_vf_try_again(vf, err, why))
		return;
	if (err == -EOPNOTSUPP)
		keel_vf_refused(vf, why);
	else if (err)
		keel_vf_quarantine(vf, why);
	else if (vf->ending)
		keel_vf_move(vf, KEEL_VF_STATE_RELEASING);
	else
		keel_vf_move_announced(vf, KEEL_VF_STATE_LEASED);
	if (vf->port)
		keel_port_announce(vf->port, false);
}

/*
 * The VMM has let go when nobody has it open. It might open it again before the
 * driver is gone; then that waits, and this VF's work with it.
 */
static void keel_vf_do_release(struct keel_vf *vf)
{
	struct pci_dev *pdev = vf->pdev;
	char why[KEEL_WHY_LEN];
	bool used, reset, coming;
	u64 begin;

	mutex_unlock(&keel_sriov.lock);
	used = keel_hw_users(pdev, why, sizeof(why));
	begin = ktime_get_ns();
	used = used || keel_hw_take_back(pdev, &reset, why, sizeof(why));
	mutex_lock(&keel_sriov.lock);
	if (vf->gone)
		return;
	if (used) {
		coming = keel_vf_coming(vf);
		keel_vf_look_again(vf, why);
		/* Who waits for it had better have another. */
		if (coming && !keel_vf_coming(vf))
			keel_vf_pool_assign(vf->member->pool);
		return;
	}
	vf->unbind_ns = ktime_get_ns() - begin;
	vf->reset = reset;
	keel_vf_drop(vf);
	keel_vf_move(vf, KEEL_VF_STATE_SCRUBBING);
}

static void keel_vf_work_fn(struct work_struct *work)
{
	struct keel_vf *vf = container_of(to_delayed_work(work), struct keel_vf,
					  work);

	mutex_lock(&keel_sriov.lock);
	if (vf->gone)
		keel_vf_absent(vf);
	else if (vf->leaving && vf->pdev && !vf->holds &&
		 vf->state != KEEL_VF_STATE_SCRUBBING)
		keel_vf_give_back(vf);
	else if (vf->state == KEEL_VF_STATE_FOREIGN)
		keel_vf_do_foreign(vf);
	else if (vf->state == KEEL_VF_STATE_SCRUBBING)
		keel_vf_do_scrub(vf);
	else if (vf->state == KEEL_VF_STATE_LEASING)
		keel_vf_do_lease(vf);
	else if (vf->state == KEEL_VF_STATE_RELEASING)
		keel_vf_do_release(vf);
	/* What it was marked with meanwhile is for the next turn. */
	if (vf->gone || (vf->leaving && vf->pdev && !keel_vf_busy(vf) &&
			 !vf->holds))
		mod_delayed_work(keel_sriov.wq, &vf->work, 0);
	mutex_unlock(&keel_sriov.lock);
}

/**
 * keel_vf_init - a VF that is not there yet
 * @vf: the VF
 * @m: its member
 * @index: its number
 */
void keel_vf_init(struct keel_vf *vf, struct keel_member *m, u32 index)
{
	vf->member = m;
	vf->index = index;
	vf->state = KEEL_VF_STATE_ABSENT;
	INIT_DELAYED_WORK(&vf->work, keel_vf_work_fn);
}

/**
 * keel_vf_appear - the device is there
 * @vf: the VF, which was absent
 * @pdev: the device
 *
 * Context: keel_sriov.lock is held.
 */
void keel_vf_appear(struct keel_vf *vf, struct pci_dev *pdev)
{
	lockdep_assert_held(&keel_sriov.lock);
	vf->pdev = pci_dev_get(pdev);
	keel_vf_move(vf, KEEL_VF_STATE_FOREIGN);
}

/**
 * keel_vf_vanish - the device is about to go
 * @vf: the VF
 *
 * Context: may sleep; keel_sriov.lock is held.
 */
void keel_vf_vanish(struct keel_vf *vf)
{
	lockdep_assert_held(&keel_sriov.lock);
	vf->gone = true;
	mod_delayed_work(keel_sriov.wq, &vf->work, 0);
}

/**
 * keel_vf_lease - a port is to have a VF
 * @vf: the VF, which is free
 * @port: the port
 *
 * Context: may sleep; keel_sriov.lock is held.
 * Return: 0; -ENODEV if the module is about to go.
 */
int keel_vf_lease(struct keel_vf *vf, struct keel_port *port)
{
	struct keel_vf_pool *pool = vf->member->pool;
	u8 mac[ETH_ALEN];

	lockdep_assert_held(&keel_sriov.lock);
	/* Nobody is leased anything while the module goes. */
	if (!try_module_get(THIS_MODULE))
		return -ENODEV;
	vf->holds = true;
	vf->port = port;
	vf->vm = port->vm;
	port->vf = vf;
	vf->told = pool->profile;
	if (pool->mac == KEEL_POOL_MAC_GUEST)
		ether_addr_copy(mac, port->rule->mac);
	else
		do
			eth_random_addr(mac);
		while (keel_mac_used(mac));
	ether_addr_copy(vf->told.mac, mac);
	/* 0 is the generation of no lease. */
	vf->generation = vf->generation + 1 ?: 1;
	pool->leases++;
	keel_vf_move(vf, KEEL_VF_STATE_LEASING);
	return 0;
}

/**
 * keel_vf_end - a lease is to be over
 * @vf: the VF
 * @why: for the VF's own line, while somebody still has it open
 *
 * Context: may sleep; keel_sriov.lock is held.
 */
void keel_vf_end(struct keel_vf *vf, const char *why)
{
	lockdep_assert_held(&keel_sriov.lock);
	if (vf->port)
		vf->port->vf = NULL;
	vf->port = NULL;
	if (vf->state == KEEL_VF_STATE_LEASING) {
		vf->ending = true;
	} else if (vf->state == KEEL_VF_STATE_LEASED) {
		keel_vf_move(vf, KEEL_VF_STATE_RELEASING);
		strscpy(vf->why, why, sizeof(vf->why));
		keel_vf_announce(vf);
	}
}

/**
 * keel_vf_leave - the pool is to have it no more
 * @vf: the VF
 *
 * A lease ends before that.
 *
 * Context: may sleep; keel_sriov.lock is held.
 */
void keel_vf_leave(struct keel_vf *vf)
{
	lockdep_assert_held(&keel_sriov.lock);
	vf->leaving = true;
	keel_vf_end(vf, "its pool has given it up, and the VM still has it");
	if (vf->pdev)
		mod_delayed_work(keel_sriov.wq, &vf->work, 0);
}
