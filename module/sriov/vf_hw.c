// SPDX-License-Identifier: GPL-2.0
/*
 * A VF as a device: taken from its driver, reset, told what it is to be by way
 * of its PF, given to vfio-pci. What a card's firmware was told is read back, and
 * only what is read counts.
 *
 * All of these may sleep, for as long as a device takes to be reset (PCI Express
 * Base Specification 6.0, 6.6.2: at least 100 ms), and take the device's locks and
 * rtnl_lock(). None is called with keel_sriov.lock held.
 */
#include <linux/etherdevice.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/if_link.h>
#include <linux/iommu.h>
#include <linux/kmod.h>
#include <linux/netdevice.h>
#include <linux/path.h>
#include <linux/pci.h>
#include <linux/pid_namespace.h>
#include <linux/rtnetlink.h>
#include <linux/sched/task.h>
#include <linux/vfio_pci_core.h>
#include <net/net_namespace.h>

#include "sriov/pool.h"
#include "compat/compat.h"

#define VFIO_PCI	"vfio-pci"
/* No driver has that name: none takes the device by itself. */
#define NO_DRIVER	"keel"

static bool keel_hw_has_driver(struct pci_dev *pdev, const char *name)
{
	struct device_driver *drv = READ_ONCE(pdev->dev.driver);

	return drv && !strcmp(drv->name, name);
}

/**
 * keel_pf_netdev - the network device by which VFs are told what to be
 * @pf: the PF
 *
 * Context: rtnl_lock() is held.
 * Return: NULL if there is none.
 */
struct net_device *keel_pf_netdev(const struct pci_dev *pf)
{
	struct net_device *dev;

	ASSERT_RTNL();
	for_each_netdev(&init_net, dev)
		if (dev->dev.parent == &pf->dev &&
		    dev->netdev_ops->ndo_get_vf_config)
			return dev;
	return NULL;
}

/* The name of a network device of this VF that is up. */
static bool keel_hw_netdev_up(struct pci_dev *pdev, char *name)
{
	struct net_device *dev;
	bool up = false;
	struct net *net;

	rtnl_lock();
	down_read(&net_rwsem);
	for_each_net(net) {
		for_each_netdev(net, dev) {
			if (dev->dev.parent != &pdev->dev ||
			    !(dev->flags & IFF_UP))
				continue;
			strscpy(name, dev->name, IFNAMSIZ);
			up = true;
		}
	}
	up_read(&net_rwsem);
	rtnl_unlock();
	return up;
}

/* VFIO lets all drivers of its kind have this as their driver's data. */
static bool keel_hw_vfio_open(struct pci_dev *pdev)
{
	struct vfio_pci_core_device *core;
	bool open;

	device_lock(&pdev->dev);
	core = keel_hw_has_driver(pdev, VFIO_PCI) ?
	       dev_get_drvdata(&pdev->dev) : NULL;
	open = core && READ_ONCE(core->vdev.open_count);
	device_unlock(&pdev->dev);
	return open;
}

/**
 * keel_hw_users - does somebody use a VF?
 * @pdev: the VF
 * @why: set to a sentence if so
 * @len: of that
 */
bool keel_hw_users(struct pci_dev *pdev, char *why, size_t len)
{
	char name[IFNAMSIZ];

	if (keel_hw_vfio_open(pdev)) {
		strscpy(why, "a process has it open by way of vfio-pci", len);
		return true;
	}
	if (keel_hw_netdev_up(pdev, name)) {
		snprintf(why, len, "its network device %s is up on this host",
			 name);
		return true;
	}
	return false;
}

struct keel_group_others {
	const struct device *own;
	char *text;
	size_t len;
	unsigned int nr;
};

static int keel_hw_group_one(struct device *dev, void *data)
{
	struct keel_group_others *o = data;
	size_t used = strlen(o->text);

	if (dev != o->own) {
		snprintf(o->text + used, o->len - used, "%s%s",
			 o->nr ? ", " : "", dev_name(dev));
		o->nr++;
	}
	return 0;
}

/**
 * keel_hw_isolated - can a VF be given away without anything else?
 * @pdev: the VF
 * @why: set to a sentence if not
 * @len: of that
 *
 * Return: 0 or -EXDEV.
 */
int keel_hw_isolated(struct pci_dev *pdev, char *why, size_t len)
{
	struct iommu_group *group = iommu_group_get(&pdev->dev);
	struct keel_group_others others = { .own = &pdev->dev };

	if (!group) {
		strscpy(why, "no IOMMU keeps it apart: boot with one, and with it on",
			len);
		return -EXDEV;
	}
	snprintf(why, len, "its IOMMU group %d is also that of ",
		 iommu_group_id(group));
	others.text = why;
	others.len = len;
	iommu_group_for_each_dev(group, &others, keel_hw_group_one);
	iommu_group_put(group);
	return others.nr ? -EXDEV : 0;
}

/* A kernel's thread may see another root, with no devices, than the host's first process. */
static struct file *keel_hw_open(const char *path)
{
	struct task_struct *init = init_pid_ns.child_reaper;
	struct path root = {};
	struct file *file;

	task_lock(init);
	if (init->fs)
		get_fs_root(init->fs, &root);
	task_unlock(init);
	if (!root.mnt)
		return ERR_PTR(-ENOENT);
	file = file_open_root(&root, path, O_RDWR, 0);
	path_put(&root);
	return file;
}

/*
 * VFIO's group of a VF, open, and so nobody else's: only one can have it. A VMM closes a
 * device first, and then takes out of the group's container what it had mapped there. If
 * the driver goes before it has, VFIO frees the container's mappings under it, without
 * waiting for the call (drivers/vfio/container.c, vfio_fops_unl_ioctl(); seen on 6.12).
 * Return: NULL if this kernel has no groups, nor containers; or -EBUSY: somebody has it;
 * or what else open() said.
 */
static struct file *keel_hw_group_claim(struct pci_dev *pdev)
{
	struct iommu_group *group;
	char path[32];

	if (IS_ENABLED(CONFIG_VFIO_DEVICE_CDEV) && !IS_ENABLED(CONFIG_VFIO_GROUP))
		return NULL;
	group = iommu_group_get(&pdev->dev);
	if (!group)
		return NULL;
	snprintf(path, sizeof(path), "dev/vfio/%d", iommu_group_id(group));
	iommu_group_put(group);
	return keel_hw_open(path);
}

static int keel_hw_no_driver(struct pci_dev *pdev, struct keel_vf_former *former)
{
	int err;

	keel_driver_override_get(pdev, former->override,
				 sizeof(former->override));
	former->driver[0] = 0;
	err = keel_driver_override(pdev, NO_DRIVER);
	if (err)
		return err;
	device_lock(&pdev->dev);
	if (pdev->dev.driver)
		strscpy(former->driver, pdev->dev.driver->name,
			sizeof(former->driver));
	device_unlock(&pdev->dev);
	device_release_driver(&pdev->dev);
	return 0;
}

/**
 * keel_hw_take - no driver is to have a VF, until keel says so
 * @pdev: the VF, which nobody uses
 * @former: set to what it had
 * @why: set to a sentence if it cannot be taken now
 * @len: of that
 *
 * Nobody can open it by VFIO's group meanwhile; who does otherwise is waited for.
 *
 * Return: 0, or -errno: it may go better later.
 */
int keel_hw_take(struct pci_dev *pdev, struct keel_vf_former *former, char *why,
		 size_t len)
{
	struct file *group = NULL;
	int err;

	if (keel_hw_has_driver(pdev, VFIO_PCI))
		group = keel_hw_group_claim(pdev);
	if (group == ERR_PTR(-EBUSY)) {
		strscpy(why, "a process has its VFIO group open", len);
		return -EBUSY;
	}
	if (IS_ERR(group)) {
		snprintf(why, len, "its group in /dev/vfio cannot be opened (error %ld)",
			 -PTR_ERR(group));
		return PTR_ERR(group);
	}
	err = keel_hw_no_driver(pdev, former);
	if (err)
		strscpy(why, "memory is short", len);
	if (group)
		fput(group);
	return err;
}

/*
 * VFIO's own record of a VF, and the module that has it, so that both stay when the
 * driver is taken away; NULL if vfio-pci has it not.
 */
static struct vfio_pci_core_device *keel_hw_vfio_get(struct pci_dev *pdev,
						     struct module **owner)
{
	struct vfio_pci_core_device *core = NULL;

	device_lock(&pdev->dev);
	if (keel_hw_has_driver(pdev, VFIO_PCI) &&
	    try_module_get(pdev->dev.driver->owner)) {
		*owner = pdev->dev.driver->owner;
		core = dev_get_drvdata(&pdev->dev);
		get_device(&core->vdev.device);
	}
	device_unlock(&pdev->dev);
	return core;
}

/**
 * keel_hw_take_back - take a VF from vfio-pci, after a lease
 * @pdev: the VF, which nobody uses
 * @reset: set to whether it has been reset since anybody used it
 * @why: set to a sentence if it cannot be taken now
 * @len: of that
 *
 * VFIO resets a device when the last that has it open lets it go, and keeps in mind if that
 * failed. It is asked when nobody can open the device any more.
 *
 * Return: as keel_hw_take().
 */
int keel_hw_take_back(struct pci_dev *pdev, bool *reset, char *why, size_t len)
{
	struct vfio_pci_core_device *core;
	struct module *owner;
	struct keel_vf_former former;
	int err;

	core = keel_hw_vfio_get(pdev, &owner);
	err = keel_hw_take(pdev, &former, why, len);
	*reset = core && !core->needs_reset;
	if (core) {
		put_device(&core->vdev.device);
		module_put(owner);
	}
	return err;
}

/**
 * keel_hw_give_back - let a VF have the driver that it had, and the override
 * @pdev: the VF
 * @former: of keel_hw_take()
 */
void keel_hw_give_back(struct pci_dev *pdev, const struct keel_vf_former *former)
{
	/* Others might match it as well. */
	if (former->driver[0]) {
		keel_driver_override(pdev, former->driver);
		if (device_attach(&pdev->dev) <= 0)
			pci_warn(pdev, "%s does not take it back\n",
				 former->driver);
	}
	keel_driver_override(pdev, former->override);
}

/* What VFs are told is told to the PF's network device, under its locks. */
struct keel_vf_told {
	struct net_device *dev;
	u32 index;
	char *why;
	size_t len;
};

static int keel_told(const struct keel_vf_told *t, const char *what, int err)
{
	if (!err)
		return 0;
	snprintf(t->why, t->len, "%s does not take its %s (error %d)%s",
		 t->dev->name, what, -err,
		 t->dev->flags & IFF_UP ? "" : "; it is down");
	return err == -ENOMEM ? err : -EOPNOTSUPP;
}

#define KEEL_TELL(t, what, op, ...)					\
	keel_told(t, what, (t)->dev->netdev_ops->op ?			\
		  (t)->dev->netdev_ops->op((t)->dev, (t)->index,	\
					   __VA_ARGS__) : -EOPNOTSUPP)

/* What a VF is, by what its PF says. Some do not say all, and that is -1. */
static int keel_vf_ask(const struct keel_vf_told *t, struct ifla_vf_info *is)
{
	int err;

	*is = (struct ifla_vf_info){ .spoofchk = -1, .trusted = -1 };
	err = t->dev->netdev_ops->ndo_get_vf_config(t->dev, t->index, is);
	if (err)
		snprintf(t->why, t->len, "%s does not say what it is (error %d)",
			 t->dev->name, -err);
	return err && err != -ENOMEM ? -EIO : err;
}

/* Who cannot say that is taken to be as it always is: off. */
static bool keel_differs(u32 told, u32 is)
{
	return told != is && !(is == U32_MAX && !told);
}

static bool keel_spoofcheck_differs(u32 told, u32 is)
{
	return told == KEEL_SPOOFCHECK_IF_ABLE ? !is : keel_differs(told, is);
}

/* Only what is another: not all drivers can be told all, or at any time. */
static int keel_vf_tell(const struct keel_vf_told *t,
			const struct keel_vf_profile *p)
{
	struct ifla_vf_info is;
	u8 mac[ETH_ALEN];
	int err;

	err = keel_vf_ask(t, &is);
	if (!err && is.vlan != p->vlan)
		err = KEEL_TELL(t, "VLAN", ndo_set_vf_vlan, p->vlan, 0,
				htons(ETH_P_8021Q));
	if (!err && keel_spoofcheck_differs(p->spoofcheck, is.spoofchk))
		err = KEEL_TELL(t, "spoof check", ndo_set_vf_spoofchk,
				p->spoofcheck);
	if (!err && keel_differs(p->trust, is.trusted))
		err = KEEL_TELL(t, "trust", ndo_set_vf_trust, p->trust);
	if (!err && (is.min_tx_rate != p->min_rate ||
		     is.max_tx_rate != p->max_rate))
		err = KEEL_TELL(t, "rate", ndo_set_vf_rate, p->min_rate,
				p->max_rate);
	ether_addr_copy(mac, p->mac);
	if (!err && !ether_addr_equal(is.mac, p->mac))
		err = KEEL_TELL(t, "MAC", ndo_set_vf_mac, mac);
	return err;
}

static int keel_vf_verify(const struct keel_vf_told *t,
			  const struct keel_vf_profile *p)
{
	struct ifla_vf_info is;
	int err = keel_vf_ask(t, &is);

	if (err)
		return err;
	if (!ether_addr_equal(is.mac, p->mac))
		snprintf(t->why, t->len, "its MAC reads back as %pM, not %pM",
			 is.mac, p->mac);
	else if (is.vlan != p->vlan)
		snprintf(t->why, t->len, "its VLAN reads back as %u, not %u",
			 is.vlan, p->vlan);
	else if (keel_spoofcheck_differs(p->spoofcheck, is.spoofchk))
		snprintf(t->why, t->len, "its spoof check reads back as %d, not %d",
			 is.spoofchk, !!p->spoofcheck);
	else if (keel_differs(p->trust, is.trusted))
		snprintf(t->why, t->len, "its trust reads back as %u, not %u",
			 is.trusted, p->trust);
	else if (is.min_tx_rate != p->min_rate || is.max_tx_rate != p->max_rate)
		snprintf(t->why, t->len, "its rates read back as %u to %u, not %u to %u",
			 is.min_tx_rate, is.max_tx_rate, p->min_rate,
			 p->max_rate);
	else
		return 0;
	return -EIO;
}

/**
 * keel_hw_configure - tell a VF what to be, and see that it is
 * @pdev: the VF
 * @index: its number
 * @p: what
 * @why: set to a sentence if it is not
 * @len: of that
 *
 * Return: 0; -ENODEV without a network device of the PF; -EOPNOTSUPP if the PF's
 * driver does not take it; -ENOMEM; -EIO if it reads back as something else, or does not.
 */
int keel_hw_configure(struct pci_dev *pdev, u32 index,
		      const struct keel_vf_profile *p, char *why, size_t len)
{
	struct keel_vf_told t = { .index = index, .why = why, .len = len };
	int err = -ENODEV;

	rtnl_lock();
	t.dev = keel_pf_netdev(pci_physfn(pdev));
	if (t.dev) {
		keel_netdev_lock_ops(t.dev);
		err = keel_vf_tell(&t, p) ?: keel_vf_verify(&t, p);
		keel_netdev_unlock_ops(t.dev);
	} else {
		strscpy(why, "its PF has no network device", len);
	}
	rtnl_unlock();
	return err;
}

/* Nothing that was set up by its last driver may go on by itself. */
static int keel_hw_quiet(struct pci_dev *pdev, char *why, size_t len)
{
	u16 command;

	if (!pci_device_is_present(pdev)) {
		strscpy(why, "it does not answer after its reset", len);
		return -ENODEV;
	}
	pci_read_config_word(pdev, PCI_COMMAND, &command);
	if (command & PCI_COMMAND_MASTER) {
		strscpy(why, "it is still a bus master after its reset", len);
		return -EIO;
	}
	return 0;
}

/**
 * keel_hw_reset - reset a VF
 * @pdev: the VF, which no driver has
 * @why: set to a sentence if that fails
 * @len: of that
 *
 * pci_reset_function() takes the lock of the bridge above, too, for kinds of reset
 * that reach further than this function; then all VFs of a PF would be reset
 * one after the other.
 *
 * Return: 0, or -errno.
 */
int keel_hw_reset(struct pci_dev *pdev, char *why, size_t len)
{
	int err = -ENODEV;

	pci_clear_master(pdev);
	device_lock(&pdev->dev);
	/* One that is not there any more would be waited for, for a minute. */
	if (device_is_registered(&pdev->dev)) {
		pci_cfg_access_lock(pdev);
		err = pcie_reset_flr(pdev, PCI_RESET_PROBE) ?:
		      pci_reset_function_locked(pdev);
		pci_cfg_access_unlock(pdev);
	}
	device_unlock(&pdev->dev);
	if (err)
		snprintf(why, len, "it cannot be reset (error %d)", -err);
	return err;
}

/**
 * keel_hw_clean - take back what a VF was told
 * @pdev: the VF, which no driver has, and which has been reset
 * @index: its number
 * @why: set to a sentence if it is not clean
 * @len: of that
 *
 * Return: 0, or -errno.
 */
int keel_hw_clean(struct pci_dev *pdev, u32 index, char *why, size_t len)
{
	const struct keel_vf_profile clean = {
		.spoofcheck = KEEL_SPOOFCHECK_IF_ABLE,
	};

	return keel_hw_quiet(pdev, why, len) ?:
	       keel_hw_configure(pdev, index, &clean, why, len);
}

/**
 * keel_hw_bind - give a VF to vfio-pci
 * @pdev: the VF, which no driver has
 * @why: set to a sentence if that fails
 * @len: of that
 *
 * Return: 0; -ENOMEM; -EAGAIN if it is not bound: a device that is just being added
 * is announced before any driver may match it.
 */
int keel_hw_bind(struct pci_dev *pdev, char *why, size_t len)
{
	int err;

	if (!driver_find(VFIO_PCI, &pci_bus_type))
		request_module(VFIO_PCI);
	err = keel_driver_override(pdev, VFIO_PCI);
	if (!err && (device_attach(&pdev->dev) <= 0 ||
		     !keel_hw_has_driver(pdev, VFIO_PCI)))
		err = -EAGAIN;
	if (!err)
		return 0;
	strscpy(why, err == -ENOMEM ? "memory is short" :
		"vfio-pci does not take it: is the module there?", len);
	keel_driver_override(pdev, NO_DRIVER);
	device_release_driver(&pdev->dev);
	return err;
}
