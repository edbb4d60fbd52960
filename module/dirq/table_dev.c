// SPDX-License-Identifier: GPL-2.0
/* /dev/keel-irq: tables for user space. See uapi/linux/keel_irq.h. */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/uaccess.h>

#include "dirq/table.h"
#include "compat/compat.h"

static int keel_irq_dev_open(struct inode *inode, struct file *file)
{
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	file->private_data = NULL;
	return 0;
}

static int keel_irq_dev_release(struct inode *inode, struct file *file)
{
	if (file->private_data)
		keel_irq_table_put(file->private_data);
	return 0;
}

static struct page *keel_irq_page(const struct keel_irq_table *table, pgoff_t pgoff)
{
	if (pgoff == 0)
		return virt_to_page(table->header);
	pgoff--;
	if (pgoff < table->cpus_pages)
		return virt_to_page((char *)table->cpus + pgoff * PAGE_SIZE);
	pgoff -= table->cpus_pages;
	/* Pairs with keel_irq_table_reach(). */
	return pgoff < KEEL_IRQ_PAGES ? smp_load_acquire(&table->pages[pgoff]) : NULL;
}

static vm_fault_t keel_irq_dev_fault(struct vm_fault *vmf)
{
	struct page *page = keel_irq_page(vmf->vma->vm_private_data, vmf->pgoff);

	if (!page)
		return VM_FAULT_SIGBUS;
	get_page(page);
	vmf->page = page;
	return 0;
}

static const struct vm_operations_struct keel_irq_dev_vm_ops = {
	.fault = keel_irq_dev_fault,
};

static int keel_irq_dev_mmap(struct file *file, struct vm_area_struct *vma)
{
	/* Pairs with keel_irq_select(). */
	struct keel_irq_table *table = smp_load_acquire(&file->private_data);

	if (!table)
		return -ENODATA;
	if (vma->vm_flags & (VM_WRITE | VM_EXEC))
		return -EACCES;
	keel_vm_flags_mod(vma, VM_DONTEXPAND | VM_DONTDUMP,
			  VM_MAYWRITE | VM_MAYEXEC);
	/* The mapping holds the file, and that the table. */
	vma->vm_private_data = table;
	vma->vm_ops = &keel_irq_dev_vm_ops;
	return 0;
}

static long keel_irq_select(struct file *file, void __user *user)
{
	struct keel_irq_select arg;
	struct keel_irq_table *table;
	u32 size;
	int err;

	if (get_user(size, (u32 __user *)user))
		return -EFAULT;
	if (size < sizeof(arg))
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	err = copy_struct_from_user(&arg, sizeof(arg), user, size);
	if (err)
		return err;
	table = keel_irq_table_get(arg.vm);
	if (!table)
		return -ENOENT;
	arg.bytes = table->header->bytes;
	if (copy_to_user(user, &arg, sizeof(arg))) {
		keel_irq_table_put(table);
		return -EFAULT;
	}
	/* Two may ask at once: the file has one table for good. */
	if (cmpxchg_release(&file->private_data, NULL, table)) {
		keel_irq_table_put(table);
		return -EBUSY;
	}
	return 0;
}

static long keel_irq_dev_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return cmd == KEEL_IRQ_SELECT ? keel_irq_select(file, (void __user *)arg) :
					-ENOTTY;
}

static const struct file_operations keel_irq_fops = {
	.owner = THIS_MODULE,
	.open = keel_irq_dev_open,
	.release = keel_irq_dev_release,
	.mmap = keel_irq_dev_mmap,
	.unlocked_ioctl = keel_irq_dev_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice keel_irq_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "keel-irq",
	.fops = &keel_irq_fops,
	.mode = 0600,
};

/**
 * keel_irq_dev_init - make the device
 *
 * Return: 0, or what the registration said.
 */
int keel_irq_dev_init(void)
{
	return misc_register(&keel_irq_misc);
}

/**
 * keel_irq_dev_exit - the mirror of keel_irq_dev_init()
 */
void keel_irq_dev_exit(void)
{
	misc_deregister(&keel_irq_misc);
}
