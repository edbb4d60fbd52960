// SPDX-License-Identifier: GPL-2.0
/*
 * The registry: find VMs in file tables.
 *
 * A VM is what its VM or vCPU files lead to. They are known as KVM's by the
 * anonymous inode, its name, and the module that serves them; KVM tells no
 * other module more than that.
 */
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/kvm_host.h>
#include <linux/magic.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>

#include "core/vm.h"
#include "compat/compat.h"

struct keel_vm_scan {
	struct keel_vm_found *found;
	size_t nr;
	size_t room;
	bool overflow;
	struct task_struct *task;
	const void *want;	/* only this one, if not NULL */
};

/* KVM gives its files to the vendor module, so that it stays. */
static const char * const keel_kvm_modules[] = { "kvm", "kvm_amd", "kvm_intel" };

static bool keel_file_of_kvm(const struct file *file)
{
	const struct module *owner = file->f_op->owner;

	if (file->f_path.dentry->d_sb->s_magic != ANON_INODE_FS_MAGIC)
		return false;
	/* No owner: built in, as KVM may be. */
	return !owner || match_string(keel_kvm_modules,
				      ARRAY_SIZE(keel_kvm_modules),
				      owner->name) >= 0;
}

/* The VM behind an open file, NULL if it is not one of KVM's. */
static struct kvm *keel_file_kvm(const struct file *file)
{
	const char *name;

	if (!keel_file_of_kvm(file))
		return NULL;
	name = file->f_path.dentry->d_name.name;
	if (!strcmp(name, "kvm-vm"))
		return file->private_data;
	if (!strncmp(name, "kvm-vcpu:", 9))
		return ((struct kvm_vcpu *)file->private_data)->kvm;
	return NULL;
}

static bool keel_vm_scan_has(struct keel_vm_scan *scan, const struct kvm *kvm)
{
	size_t i;

	for (i = 0; i < scan->nr; i++)
		if (scan->found[i].kvm == kvm)
			return true;
	return false;
}

/* Called under the table's file_lock: files in it cannot go away. */
static int keel_vm_scan_file(const void *data, struct file *file,
			     unsigned int fd)
{
	struct keel_vm_scan *scan = (struct keel_vm_scan *)data;
	struct kvm *kvm = keel_file_kvm(file);
	struct keel_vm_found *found;

	if (!kvm || (scan->want && kvm != scan->want))
		return 0;
	if (keel_vm_scan_has(scan, kvm))
		return 0;
	if (scan->nr == scan->room) {
		scan->overflow = true;
		return 1;
	}

	found = &scan->found[scan->nr++];
	found->file = get_file(file);
	found->kvm = kvm;
	found->pid = get_pid(task_tgid(scan->task));
	strscpy(found->comm, scan->task->group_leader->comm,
		sizeof(found->comm));
	/* One is enough if it is this one that was looked for. */
	return scan->want ? 1 : 0;
}

static void keel_task_walk_files(struct task_struct *task, keel_file_fn_t fn,
				 const void *arg)
{
	/* Keeps task->files from going away. */
	task_lock(task);
	if (task->files)
		iterate_fd(task->files, 0, fn, arg);
	task_unlock(task);
}

static void keel_vm_scan_task(struct keel_vm_scan *scan,
			      struct task_struct *task)
{
	scan->task = task;
	keel_task_walk_files(task, keel_vm_scan_file, scan);
}

static void keel_vm_scan_all(struct keel_vm_scan *scan)
{
	struct task_struct *leader, *task;

	rcu_read_lock();
	for_each_process_thread(leader, task) {
		if (task->flags & PF_KTHREAD)
			continue;
		/* Threads mostly share the leader's table. */
		if (task != leader && task->files == leader->files)
			continue;
		keel_vm_scan_task(scan, task);
		if (scan->overflow)
			break;
	}
	rcu_read_unlock();
}

/**
 * keel_vm_found_free - let go of what a scan found
 * @found: array of keel_vm_scan()
 * @nr: its elements
 *
 * Context: may sleep; the last file of a VM may go here, and the VM with it.
 */
void keel_vm_found_free(struct keel_vm_found *found, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		fput(found[i].file);
		put_pid(found[i].pid);
	}
	kvfree(found);
}

/**
 * keel_vm_scan - find all VMs that some process has open
 * @found: (out) array of VMs, each once; for keel_vm_found_free()
 * @nr: (out) its elements
 *
 * Context: may sleep. Visits every open file of the host once.
 * Return: 0 or -ENOMEM.
 */
int keel_vm_scan(struct keel_vm_found **found, size_t *nr)
{
	struct keel_vm_scan scan = { .room = 64 };

	for (;;) {
		scan.found = kvcalloc(scan.room, sizeof(*scan.found),
				      GFP_KERNEL);
		if (!scan.found)
			return -ENOMEM;
		keel_vm_scan_all(&scan);
		if (!scan.overflow)
			break;

		keel_vm_found_free(scan.found, scan.nr);
		scan.nr = 0;
		scan.overflow = false;
		scan.room *= 4;
	}
	*found = scan.found;
	*nr = scan.nr;
	return 0;
}

/**
 * keel_vm_open - get hold of a VM
 * @vm: entry of the registry
 * @kvm: (out) the VM; may be used while the file is held
 *
 * Context: may sleep.
 * Return: a file of it, for fput(); or NULL if it is gone from its VMM.
 */
struct file *keel_vm_open(struct keel_vm *vm, struct kvm **kvm)
{
	struct keel_vm_found found = {};
	struct keel_vm_scan scan = {
		.found = &found,
		.room = 1,
		.want = vm->cookie,
	};
	struct task_struct *task = keel_vm_leader_get(vm);

	if (!task)
		return NULL;
	keel_vm_scan_task(&scan, task);
	put_task_struct(task);
	if (!scan.nr)
		return NULL;

	put_pid(found.pid);
	*kvm = found.kvm;
	return found.file;
}

/**
 * keel_vm_walk_files - walk over what a VM's VMM has open
 * @vm: entry of the registry
 * @fn: called with @arg, a file and its number; not 0 ends it. It may not sleep:
 *	the file table is locked
 * @arg: for @fn
 *
 * Context: may sleep.
 * Return: the VMM's number, 0 if it is no more.
 */
pid_t keel_vm_walk_files(struct keel_vm *vm, keel_file_fn_t fn, const void *arg)
{
	struct task_struct *task = keel_vm_leader_get(vm);
	pid_t pid;

	if (!task)
		return 0;
	keel_task_walk_files(task, fn, arg);
	pid = task_tgid_nr(task);
	put_task_struct(task);
	return pid;
}

/**
 * keel_vm_slots - a VM's memory slots, copied out of KVM's SRCU
 * @kvm: the VM
 * @nr: (out) how many
 *
 * Context: may sleep.
 * Return: the slots, for kvfree(); NULL without memory.
 */
struct keel_slot_info *keel_vm_slots(struct kvm *kvm, size_t *nr)
{
	struct kvm_memory_slot *slot;
	struct keel_slot_info *info;
	size_t room = 32;
	int srcu, bkt;

again:
	info = kvcalloc(room, sizeof(*info), GFP_KERNEL);
	if (!info)
		return NULL;
	*nr = 0;
	srcu = srcu_read_lock(&kvm->srcu);
	kvm_for_each_memslot(slot, bkt, kvm_memslots(kvm)) {
		if (*nr < room) {
			info[*nr].slot = slot->id;
			info[*nr].readonly = slot->flags & KVM_MEM_READONLY;
			info[*nr].gpa = slot->base_gfn << PAGE_SHIFT;
			info[*nr].size = (u64)slot->npages << PAGE_SHIFT;
			info[*nr].hva = slot->userspace_addr;
		}
		(*nr)++;
	}
	srcu_read_unlock(&kvm->srcu, srcu);
	if (*nr > room) {
		room = *nr;
		kvfree(info);
		goto again;
	}
	return info;
}
