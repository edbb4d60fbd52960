/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What differs between the kernels keel builds on. Code is written for the
 * newest; this file fills in for the others, by probed.h. Included last.
 */
#ifndef KEEL_COMPAT_COMPAT_H
#define KEEL_COMPAT_COMPAT_H

#include <linux/eventfd.h>
#include <linux/fs.h>
#include <linux/kvm_host.h>
#include <linux/mm.h>
#include <linux/msi.h>
#include <linux/netdevice.h>
#include <linux/pagemap.h>
#include <linux/pci.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/socket.h>
#include <linux/string.h>
#include <linux/uio.h>

#include "compat/probed.h"

#ifdef KEEL_HAVE_FOLIO_BATCH_H
#include <linux/folio_batch.h>
#else
#include <linux/pagevec.h>
#endif

#ifdef KEEL_HAVE_CPUID_API_H
#include <asm/cpuid/api.h>
#endif

#ifdef KEEL_HAVE_NETDEV_LOCK_OPS
#include <net/netdev_lock.h>
#endif

#ifdef KEEL_HAVE_MNT_IDMAP
#include <linux/mnt_idmapping.h>
#define keel_idmap mnt_idmap
#define keel_nop_idmap (&nop_mnt_idmap)
#else
#define keel_idmap user_namespace
#define keel_nop_idmap (&init_user_ns)
#endif

static inline void keel_inode_init_ts(struct inode *inode)
{
#ifdef KEEL_HAVE_INODE_INIT_TS
	simple_inode_init_ts(inode);
#else
	inode->i_atime = inode->i_mtime = inode->i_ctime = current_time(inode);
#endif
}

/* An entry of a directory was made: its times change. */
static inline void keel_dir_touch(struct inode *dir)
{
#ifdef KEEL_HAVE_INODE_INIT_TS
	inode_set_mtime_to_ts(dir, inode_set_ctime_current(dir));
#else
	dir->i_mtime = dir->i_ctime = current_time(dir);
#endif
}

static inline void keel_generic_fillattr(struct keel_idmap *idmap, u32 request_mask,
					 struct inode *inode,
					 struct kstat *stat)
{
#ifdef KEEL_HAVE_INODE_INIT_TS
	generic_fillattr(idmap, request_mask, inode, stat);
#else
	generic_fillattr(idmap, inode, stat);
#endif
}

/*
 * A page that is mapped at an address, without any fault; marked for NUMA balancing
 * it is mapped, too. The lock of @mm is held. Return: 1, or that is not to be had.
 */
static inline long keel_page_mapped(struct mm_struct *mm, unsigned long addr,
				    struct page **page)
{
#ifdef KEEL_HAVE_GUP_REMOTE_NO_VMAS
	return get_user_pages_remote(mm, addr, 1, FOLL_NOFAULT | FOLL_FORCE, page, NULL);
#else
	return get_user_pages_remote(mm, addr, 1, FOLL_NOFAULT | FOLL_FORCE, page, NULL,
				     NULL);
#endif
}

static inline void keel_eventfd_signal(struct eventfd_ctx *ctx)
{
#ifdef KEEL_HAVE_EVENTFD_SIGNAL_ONCE
	eventfd_signal(ctx);
#else
	eventfd_signal(ctx, 1);
#endif
}

/* A dentry that lives as long as its file has that name. */
static inline void keel_d_make_persistent(struct dentry *dentry,
					  struct inode *inode)
{
#ifdef KEEL_HAVE_D_MAKE_PERSISTENT
	d_make_persistent(dentry, inode);
#else
	d_instantiate(dentry, inode);
	dget(dentry);
#endif
}

static inline void keel_kill_persistent_super(struct super_block *sb)
{
#ifdef KEEL_HAVE_D_MAKE_PERSISTENT
	kill_anon_super(sb);
#else
	kill_litter_super(sb);
#endif
}

#ifdef KEEL_HAVE_MKDIR_DENTRY
#define KEEL_MKDIR_RET struct dentry *
#define keel_mkdir_ret(err) ((err) ? ERR_PTR(err) : NULL)
#else
#define KEEL_MKDIR_RET int
#define keel_mkdir_ret(err) (err)
#endif

#ifdef KEEL_HAVE_CREATE_NO_EXCL
#define KEEL_CREATE_ARGS(...) (__VA_ARGS__)
#else
#define KEEL_CREATE_ARGS(...) (__VA_ARGS__, bool excl)
#endif

#ifdef KEEL_HAVE_INODE_JUST_DROP
#define keel_drop_inode inode_just_drop
#else
#define keel_drop_inode generic_delete_inode
#endif

#ifdef KEEL_HAVE_COPY_SPLICE_READ
#define keel_splice_read copy_splice_read
#else
#define keel_splice_read generic_file_splice_read
#endif

/* Look up without creating: NULL if there is none. */
static inline struct folio *keel_filemap_get_folio(struct address_space *mapping,
						   pgoff_t pgoff)
{
	struct folio *folio = filemap_get_folio(mapping, pgoff);

#ifdef KEEL_HAVE_FILEMAP_GET_FOLIO_ERR_PTR
	return IS_ERR(folio) ? NULL : folio;
#else
	return folio;
#endif
}

static inline struct folio *keel_filemap_alloc_folio(gfp_t gfp,
						     unsigned int order)
{
#ifdef KEEL_HAVE_FILEMAP_ALLOC_FOLIO_POLICY
	return filemap_alloc_folio(gfp, order, NULL);
#else
	return filemap_alloc_folio(gfp, order);
#endif
}

static inline struct folio *keel_vma_alloc_folio(gfp_t gfp, int order,
						 struct vm_area_struct *vma,
						 unsigned long addr)
{
#ifdef KEEL_HAVE_VMA_ALLOC_FOLIO_4
	return vma_alloc_folio(gfp, order, vma, addr);
#else
	return vma_alloc_folio(gfp, order, vma, addr, order > 0);
#endif
}

/*
 * keelfs makes its huge folios itself, so the mapping need not be known to take
 * them; and must not: since 7.0 that lets MADV_COLLAPSE and khugepaged map them
 * writable by themselves, past ->fault. Older kernels do that only to files that
 * nobody has open for writing, but want it known.
 */
static inline void keel_mapping_set_huge(struct address_space *mapping)
{
#ifdef KEEL_HAVE_FILEMAP_NR_THPS
	mapping_set_large_folios(mapping);
#endif
}

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
/* May the 2 MiB at @haddr be mapped as one? */
static inline bool keel_thp_vma_suitable(struct vm_area_struct *vma,
					 unsigned long haddr)
{
#ifdef KEEL_HAVE_THP_VMA_SUITABLE_ORDER
	return thp_vma_suitable_order(vma, haddr, HPAGE_PMD_ORDER);
#else
	return transhuge_vma_suitable(vma, haddr);
#endif
}
#endif

/* Copy within one page of a folio. */
static inline size_t keel_copy_folio_from_iter_atomic(struct folio *folio,
						      size_t offset,
						      size_t bytes,
						      struct iov_iter *iter)
{
#ifdef KEEL_HAVE_COPY_FOLIO_FROM_ITER_ATOMIC
	return copy_folio_from_iter_atomic(folio, offset, bytes, iter);
#else
	return copy_page_from_iter_atomic(folio_page(folio, offset / PAGE_SIZE),
					  offset_in_page(offset), bytes, iter);
#endif
}

/* Before VM_FAULT_RETRY: drop the lock the fault is under. */
static inline void keel_release_fault_lock(struct vm_fault *vmf)
{
#ifdef KEEL_HAVE_RELEASE_FAULT_LOCK
	release_fault_lock(vmf);
#else
	mmap_read_unlock(vmf->vma->vm_mm);
#endif
}

/* Only for a VMA that is being set up. */
static inline void keel_vm_flags_mod(struct vm_area_struct *vma,
				     unsigned long set, unsigned long clear)
{
#ifdef KEEL_HAVE_VM_FLAGS_MOD
	vm_flags_mod(vma, set, clear);
#else
	vma->vm_flags |= set;
	vma->vm_flags &= ~clear;
#endif
}

/* The thread that last ran a vCPU, with a reference; NULL if none did. */
static inline struct pid *keel_vcpu_pid_get(struct kvm_vcpu *vcpu)
{
	struct pid *pid;

#ifdef KEEL_HAVE_VCPU_PID_LOCK
	read_lock(&vcpu->pid_lock);
	pid = get_pid(vcpu->pid);
	read_unlock(&vcpu->pid_lock);
#else
	rcu_read_lock();
	pid = get_pid(rcu_dereference(vcpu->pid));
	rcu_read_unlock();
#endif
	return pid;
}

/* That thread, with a reference; NULL if it is no more. */
static inline struct task_struct *keel_vcpu_task_get(struct kvm_vcpu *vcpu)
{
	struct pid *pid = keel_vcpu_pid_get(vcpu);
	struct task_struct *task = get_pid_task(pid, PIDTYPE_PID);

	put_pid(pid);
	return task;
}

/*
 * Vhost workers that are none of the VMM's threads, but the kernel's, which use its
 * address space. Return: how many of them are in @task, each held.
 */
static inline unsigned int keel_vhost_kthreads(const struct task_struct *vmm,
					       struct task_struct **task,
					       unsigned int room)
{
	unsigned int nr = 0;
#ifndef KEEL_HAVE_VHOST_TASK_H
	struct mm_struct *mm;
	struct task_struct *p;

	rcu_read_lock();
	/* Only compared: whoever uses the same one belongs to it. */
	mm = READ_ONCE(vmm->mm);
	for_each_process(p)
		if (mm && nr < room && READ_ONCE(p->mm) == mm &&
		    p->flags & PF_KTHREAD && !(p->flags & PF_EXITING) &&
		    !strncmp(p->comm, "vhost-", 6))
			task[nr++] = get_task_struct(p);
	rcu_read_unlock();
#endif
	return nr;
}

/* Only a driver of that name may have the device; "": any that matches. */
static inline int keel_driver_override(struct pci_dev *pdev, const char *name)
{
#ifdef KEEL_HAVE_DEVICE_SET_DRIVER_OVERRIDE
	return device_set_driver_override(&pdev->dev, name);
#else
	return driver_set_override(&pdev->dev, &pdev->driver_override, name,
				   strlen(name));
#endif
}

/* Which driver alone may have it; "" if any that matches. */
static inline void keel_driver_override_get(struct pci_dev *pdev, char *name,
					    size_t len)
{
	const char *now;

	device_lock(&pdev->dev);
#ifdef KEEL_HAVE_DEVICE_SET_DRIVER_OVERRIDE
	spin_lock(&pdev->dev.driver_override.lock);
	now = pdev->dev.driver_override.name;
	strscpy(name, now ?: "", len);
	spin_unlock(&pdev->dev.driver_override.lock);
#else
	now = pdev->driver_override;
	strscpy(name, now ?: "", len);
#endif
	device_unlock(&pdev->dev);
}

/* Under rtnl_lock(), for the operations of a network device. */
static inline void keel_netdev_lock_ops(struct net_device *dev)
{
#ifdef KEEL_HAVE_NETDEV_LOCK_OPS
	netdev_lock_ops(dev);
#endif
}

static inline void keel_netdev_unlock_ops(struct net_device *dev)
{
#ifdef KEEL_HAVE_NETDEV_LOCK_OPS
	netdev_unlock_ops(dev);
#endif
}

/* Is it runnable, that is, does it leave a CPU only because others want that? */
static inline bool keel_task_is_runnable(struct task_struct *task)
{
#ifdef KEEL_HAVE_TASK_IS_RUNNABLE
	return task_is_runnable(task);
#else
	return task->on_rq;
#endif
}

/* While it is held, the device gets no message interrupts, and loses none. */
static inline void keel_msi_lock(struct device *dev)
{
#ifdef KEEL_HAVE_MSI_LOCK_GUARD
	__msi_lock_descs(dev);
#else
	msi_lock_descs(dev);
#endif
}

static inline void keel_msi_unlock(struct device *dev)
{
#ifdef KEEL_HAVE_MSI_LOCK_GUARD
	__msi_unlock_descs(dev);
#else
	msi_unlock_descs(dev);
#endif
}

#ifdef KEEL_HAVE_SOCKADDR_UNSIZED
#define keel_sockaddr(addr) ((struct sockaddr_unsized *)(addr))
#else
#define keel_sockaddr(addr) ((struct sockaddr *)(addr))
#endif

#endif /* KEEL_COMPAT_COMPAT_H */
