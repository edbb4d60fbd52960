// SPDX-License-Identifier: GPL-2.0
/* /dev/keel: the data path of snapshots. See uapi/linux/keel.h. */
#include <linux/capability.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/uaccess.h>

#include "snapshot/snap.h"
#include "snapshot/snapshot.h"
#include "compat/compat.h"

static int keel_snap_dev_open(struct inode *inode, struct file *file)
{
	struct keel_snap *snap;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	snap = keel_snap_alloc();
	if (!snap)
		return -ENOMEM;
	file->private_data = snap;
	return 0;
}

static int keel_snap_dev_release(struct inode *inode, struct file *file)
{
	keel_snap_close(file->private_data);
	return 0;
}

static vm_fault_t keel_snap_dev_fault(struct vm_fault *vmf)
{
	struct keel_snap *snap = vmf->vma->vm_private_data;
	/* Pairs with the release in keel_snap_create(). */
	struct keel_pool *pool = smp_load_acquire(&snap->pool);
	struct keel_slot *slot;

	if (!pool || vmf->pgoff >= KEEL_POOL_SLOTS_MAX)
		return VM_FAULT_SIGBUS;
	slot = keel_pool_slot(pool, vmf->pgoff);
	if (!slot)
		return VM_FAULT_SIGBUS;
	get_page(slot->page);
	vmf->page = slot->page;
	return 0;
}

static const struct vm_operations_struct keel_snap_dev_vm_ops = {
	.fault = keel_snap_dev_fault,
};

static int keel_snap_dev_mmap(struct file *file, struct vm_area_struct *vma)
{
	if (vma->vm_flags & (VM_WRITE | VM_EXEC))
		return -EACCES;
	keel_vm_flags_mod(vma, VM_DONTEXPAND | VM_DONTDUMP,
			  VM_MAYWRITE | VM_MAYEXEC);
	/* The mapping holds the file, and that the snapshot. */
	vma->vm_private_data = file->private_data;
	vma->vm_ops = &keel_snap_dev_vm_ops;
	return 0;
}

/*
 * Each command has a structure that starts with its size: copied in with what
 * the caller left out zeroed, and copied back as far as the caller knows it.
 */
union keel_snap_arg {
	u32 size;
	struct keel_snap_create create;
	struct keel_snap_add_file add_file;
	struct keel_snap_arm arm;
	struct keel_snap_fetch fetch;
	struct keel_snap_stat stat;
};

static int keel_ioctl_create(struct keel_snap *snap, union keel_snap_arg *arg)
{
	return keel_snap_create(snap, &arg->create);
}

static int keel_ioctl_add_file(struct keel_snap *snap, union keel_snap_arg *arg)
{
	return keel_snap_add_file(snap, &arg->add_file);
}

static int keel_ioctl_prepare(struct keel_snap *snap, union keel_snap_arg *arg)
{
	return keel_snap_prepare(snap);
}

static int keel_ioctl_arm(struct keel_snap *snap, union keel_snap_arg *arg)
{
	struct keel_snap_arm *arm = &arg->arm;
	u64 __user *bytes = u64_to_user_ptr(arm->bytes);
	unsigned int i;
	int err;

	if (arm->nr_bytes > KEEL_SNAP_FILES_MAX || (arm->nr_bytes && !bytes))
		return -EINVAL;
	/* Not worth failing for once the snapshot is armed: find out now. */
	if (arm->nr_bytes &&
	    clear_user(bytes, arm->nr_bytes * sizeof(*bytes)))
		return -EFAULT;

	err = keel_snap_arm(snap, arm);
	if (err)
		return err;
	for (i = 0; i < min(arm->nr_bytes, snap->nr_files); i++)
		if (put_user(snap->files[i]->bytes, bytes + i))
			return -EFAULT;
	return 0;
}

static int keel_ioctl_fetch(struct keel_snap *snap, union keel_snap_arg *arg)
{
	return keel_snap_fetch(snap, &arg->fetch);
}

static int keel_ioctl_stat(struct keel_snap *snap, union keel_snap_arg *arg)
{
	keel_snap_stat(snap, &arg->stat);
	return 0;
}

/* Its argument is a value. */
static int keel_ioctl_abort(struct keel_snap *snap, unsigned long reason)
{
	if (!reason)
		reason = KEEL_REASON_REQUESTED;
	if (reason != KEEL_REASON_REQUESTED && reason != KEEL_REASON_DRAIN)
		return -EINVAL;
	return keel_snap_abort(snap, reason);
}

static const struct {
	int (*fn)(struct keel_snap *snap, union keel_snap_arg *arg);
	size_t size;
} keel_snap_ioctls[] = {
	[_IOC_NR(KEEL_SNAP_CREATE)] = { keel_ioctl_create,
					sizeof(struct keel_snap_create) },
	[_IOC_NR(KEEL_SNAP_ADD_FILE)] = { keel_ioctl_add_file,
					  sizeof(struct keel_snap_add_file) },
	[_IOC_NR(KEEL_SNAP_PREPARE)] = { keel_ioctl_prepare, 0 },
	[_IOC_NR(KEEL_SNAP_ARM)] = { keel_ioctl_arm,
				     sizeof(struct keel_snap_arm) },
	[_IOC_NR(KEEL_SNAP_FETCH)] = { keel_ioctl_fetch,
				       sizeof(struct keel_snap_fetch) },
	[_IOC_NR(KEEL_SNAP_STAT)] = { keel_ioctl_stat,
				      sizeof(struct keel_snap_stat) },
};

static long keel_snap_dev_ioctl(struct file *file, unsigned int cmd,
				unsigned long uarg)
{
	unsigned int nr = _IOC_NR(cmd);
	void __user *user = (void __user *)uarg;
	union keel_snap_arg arg = {};
	size_t size;
	u32 usize;
	long err;

	if (cmd == KEEL_SNAP_ABORT)
		return keel_ioctl_abort(file->private_data, uarg);
	if (nr >= ARRAY_SIZE(keel_snap_ioctls) || cmd != _IO(KEEL_IOC, nr))
		return -ENOTTY;

	size = keel_snap_ioctls[nr].size;
	if (!size)
		return keel_snap_ioctls[nr].fn(file->private_data, &arg);

	if (get_user(usize, (u32 __user *)user))
		return -EFAULT;
	if (usize < sizeof(u32) || usize > PAGE_SIZE)
		return -EINVAL;
	err = copy_struct_from_user(&arg, size, user, usize);
	if (err)
		return err;
	/* Read a second time: it may have changed meanwhile. */
	arg.size = usize;

	err = keel_snap_ioctls[nr].fn(file->private_data, &arg);
	/* Some errors come with figures. */
	if (copy_to_user(user, &arg, min_t(size_t, usize, size)))
		return err ?: -EFAULT;
	return err;
}

static const struct file_operations keel_snap_dev_fops = {
	.owner		= THIS_MODULE,
	.open		= keel_snap_dev_open,
	.release	= keel_snap_dev_release,
	.unlocked_ioctl	= keel_snap_dev_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.mmap		= keel_snap_dev_mmap,
	.llseek		= noop_llseek,
};

static struct miscdevice keel_snap_dev = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "keel",
	.fops	= &keel_snap_dev_fops,
	.mode	= 0600,
};

/**
 * keel_snapshot_init - start the snapshot room: keelfs, then /dev/keel
 *
 * Context: module init.
 * Return: 0, or what a registration said.
 */
int keel_snapshot_init(void)
{
	int err = keelfs_init();

	if (err)
		return err;
	err = misc_register(&keel_snap_dev);
	if (err)
		keelfs_exit();
	return err;
}

/**
 * keel_snapshot_exit - the mirror of keel_snapshot_init()
 *
 * Open files and mounts hold the module, so nothing is in use; keel_wq has
 * been drained.
 */
void keel_snapshot_exit(void)
{
	misc_deregister(&keel_snap_dev);
	keelfs_exit();
}
