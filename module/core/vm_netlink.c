// SPDX-License-Identifier: GPL-2.0
/* The registry, shown over netlink. */
#include <linux/file.h>
#include <linux/kdev_t.h>
#include <linux/kvm_host.h>
#include <linux/magic.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "core/netlink.h"
#include "core/vm.h"
#include "snapshot/snapshot.h"
#include "compat/compat.h"

static int keel_vm_fill_vcpu(struct sk_buff *skb, struct kvm_vcpu *vcpu)
{
	struct nlattr *nest = nla_nest_start(skb, KEEL_A_VM_VCPU);
	struct pid *pid = keel_vcpu_pid_get(vcpu);
	struct task_struct *task;
	int err = -EMSGSIZE;

	if (!nest)
		goto put;
	if (nla_put_u32(skb, KEEL_A_VCPU_INDEX, vcpu->vcpu_id) ||
	    nla_put_u32(skb, KEEL_A_VCPU_TID, pid_nr(pid)))
		goto put;

	err = 0;
	rcu_read_lock();
	task = pid_task(pid, PIDTYPE_PID);
	if (task)
		err = nla_put_u32(skb, KEEL_A_VCPU_CPU, task_cpu(task));
	rcu_read_unlock();
	if (!err)
		nla_nest_end(skb, nest);
put:
	put_pid(pid);
	return err;
}

static int keel_vm_fill_vcpus(struct sk_buff *skb, struct kvm *kvm)
{
	struct kvm_vcpu *vcpu;
	unsigned long i;
	int err = 0;

	if (nla_put_u32(skb, KEEL_A_VM_NR_VCPUS,
			atomic_read(&kvm->online_vcpus)))
		return -EMSGSIZE;
	if (!atomic_read(&kvm->online_vcpus))
		return 0;
	kvm_for_each_vcpu(i, vcpu, kvm) {
		err = keel_vm_fill_vcpu(skb, vcpu);
		if (err)
			break;
	}
	return err;
}

static u32 keel_vma_backing(struct vm_area_struct *vma)
{
	struct inode *inode;

	if (!vma->vm_file)
		return vma_is_anonymous(vma) ? KEEL_BACKING_ANON :
					       KEEL_BACKING_OTHER;
	inode = file_inode(vma->vm_file);
	if (keelfs_is_inode(inode))
		return KEEL_BACKING_KEELFS;
	switch (inode->i_sb->s_magic) {
	case TMPFS_MAGIC:
		return KEEL_BACKING_SHMEM;
	case HUGETLBFS_MAGIC:
		return KEEL_BACKING_HUGETLB;
	default:
		return S_ISREG(inode->i_mode) ? KEEL_BACKING_FILE :
						KEEL_BACKING_OTHER;
	}
}

/* Part of a slot: [start, end) in the VMM, all in @vma, or in none. */
static int keel_vm_fill_region(struct sk_buff *skb,
			       const struct keel_slot_info *info, u64 start,
			       u64 end, struct vm_area_struct *vma)
{
	struct nlattr *nest = nla_nest_start(skb, KEEL_A_VM_REGION);
	u32 backing = vma ? keel_vma_backing(vma) : KEEL_BACKING_OTHER;

	if (!nest ||
	    nla_put_u32(skb, KEEL_A_REGION_SLOT, info->slot) ||
	    keel_nl_put_u64(skb, KEEL_A_REGION_GPA,
			    info->gpa + (start - info->hva)) ||
	    keel_nl_put_u64(skb, KEEL_A_REGION_SIZE, end - start) ||
	    keel_nl_put_u64(skb, KEEL_A_REGION_HVA, start) ||
	    nla_put_u32(skb, KEEL_A_REGION_BACKING, backing) ||
	    (info->readonly && nla_put_flag(skb, KEEL_A_REGION_READONLY)))
		return -EMSGSIZE;
	if (vma && vma->vm_file) {
		struct inode *inode = file_inode(vma->vm_file);

		if (keel_nl_put_u64(skb, KEEL_A_REGION_INO, inode->i_ino) ||
		    nla_put_u32(skb, KEEL_A_REGION_DEV,
				new_encode_dev(inode->i_sb->s_dev)) ||
		    keel_nl_put_u64(skb, KEEL_A_REGION_OFFSET,
				    start - vma->vm_start +
				    ((u64)vma->vm_pgoff << PAGE_SHIFT)))
			return -EMSGSIZE;
	}
	nla_nest_end(skb, nest);
	return 0;
}

/* A slot may lie in several mappings, or have holes. */
static int keel_vm_fill_slot(struct sk_buff *skb, struct mm_struct *mm,
			     const struct keel_slot_info *info, u64 *keelfs)
{
	u64 pos = info->hva, last = info->hva + info->size;
	int err = 0;

	mmap_assert_locked(mm);
	while (!err && pos < last) {
		struct vm_area_struct *vma = find_vma(mm, pos);
		u64 end = last;

		if (vma && vma->vm_start > pos) {
			end = min_t(u64, end, vma->vm_start);
			vma = NULL;
		} else if (vma) {
			end = min_t(u64, end, vma->vm_end);
		}
		err = keel_vm_fill_region(skb, info, pos, end, vma);
		if (vma && keel_vma_backing(vma) == KEEL_BACKING_KEELFS)
			*keelfs += end - pos;
		pos = end;
	}
	return err;
}

static int keel_vm_fill_memory(struct sk_buff *skb, struct kvm *kvm)
{
	struct mm_struct *mm = kvm->mm;
	u64 memory = 0, keelfs = 0;
	struct keel_slot_info *info;
	size_t nr, i;
	int err = 0;

	info = keel_vm_slots(kvm, &nr);
	if (!info)
		return -ENOMEM;

	/* The VM holds the structure; the address space may be gone. */
	if (mmget_not_zero(mm)) {
		mmap_read_lock(mm);
		for (i = 0; i < nr && !err; i++)
			err = keel_vm_fill_slot(skb, mm, &info[i], &keelfs);
		mmap_read_unlock(mm);
		mmput(mm);
	}
	for (i = 0; i < nr; i++)
		memory += info[i].size;
	kvfree(info);

	if (!err && (keel_nl_put_u64(skb, KEEL_A_VM_MEMORY, memory) ||
		     keel_nl_put_u64(skb, KEEL_A_VM_MEMORY_KEELFS, keelfs)))
		err = -EMSGSIZE;
	return err;
}

static int keel_vm_fill_basic(struct sk_buff *skb, struct keel_vm *vm)
{
	char comm[TASK_COMM_LEN];
	u32 tgid = keel_vm_holder(vm, comm);

	if (nla_put_u32(skb, KEEL_A_VM_ID, vm->id) ||
	    nla_put_u32(skb, KEEL_A_VM_PID, tgid) ||
	    nla_put_string(skb, KEEL_A_VM_COMM, comm))
		return -EMSGSIZE;
	return 0;
}

/* All of a VM that still is; what it is, and no more, if it has just gone. */
int keel_vm_fill(struct sk_buff *skb, const void *obj)
{
	struct keel_vm *vm = (struct keel_vm *)obj;
	struct nlattr *nest = nla_nest_start(skb, KEEL_A_VM);
	u32 snapshot = keel_snapshot_of_vm(vm->id);
	struct file *file;
	struct kvm *kvm;
	int err;

	if (!nest)
		return -EMSGSIZE;
	err = keel_vm_fill_basic(skb, vm);
	if (!err && snapshot)
		err = nla_put_u32(skb, KEEL_A_VM_SNAPSHOT, snapshot);
	file = err ? NULL : keel_vm_open(vm, &kvm);
	if (file) {
		err = keel_vm_fill_memory(skb, kvm) ?:
		      keel_vm_fill_vcpus(skb, kvm);
		fput(file);
	}
	if (err) {
		nla_nest_cancel(skb, nest);
		return err;
	}
	nla_nest_end(skb, nest);
	return 0;
}

/* A VM that is gone. */
int keel_vm_fill_gone(struct sk_buff *skb, const void *obj)
{
	struct nlattr *nest = nla_nest_start(skb, KEEL_A_VM);

	if (!nest || keel_vm_fill_basic(skb, (struct keel_vm *)obj))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

int keel_nl_vm_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *id = info->attrs[KEEL_A_ID];
	struct keel_vm *vm;
	int err;

	if (GENL_REQ_ATTR_CHECK(info, KEEL_A_ID)) {
		GENL_SET_ERR_MSG(info, "say which VM by its id (keel vm list)");
		return -EINVAL;
	}
	vm = keel_vm_lookup(nla_get_u32(id));
	if (!vm) {
		NL_SET_ERR_MSG_ATTR(info->extack, id,
				    "there is no VM of that id (keel vm list)");
		return -ENOENT;
	}
	err = keel_nl_reply(info, KEEL_CMD_VM_GET, keel_vm_fill, vm);
	keel_vm_put(vm);
	return err;
}

int keel_nl_vm_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct keel_vm *vm;
	int err = 0;

	while (!err && (vm = keel_vm_next(cb->args[0]))) {
		err = keel_nl_dump_one(skb, cb, KEEL_CMD_VM_GET, keel_vm_fill,
				       vm);
		if (!err)
			cb->args[0] = vm->id;
		keel_vm_put(vm);
	}
	return skb->len ?: err;
}
