/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The registry of the host's KVM virtual machines.
 *
 * An entry does not keep its VM alive: a VM must be able to end while keel
 * watches. It holds an address that is compared and never followed; to look
 * into a VM, keel_vm_open() finds one of its files in the VMM's file table and
 * holds that for as long.
 *
 * KVM announces each VM it makes or destroys by a uevent, which a socket of
 * the module's own receives. Destroyed ones are known by the name KVM gave
 * them; new ones, and those that were there before the module, are found by
 * looking through the file tables.
 */
#ifndef KEEL_CORE_VM_H
#define KEEL_CORE_VM_H

#include <linux/kref.h>
#include <linux/list.h>
#include <linux/notifier.h>
#include <linux/sched.h>
#include <linux/types.h>

struct file;
struct kvm;
struct pid;
struct sk_buff;

/* "PID-FD", as KVM names a VM in debugfs and in its uevents. */
#define KEEL_VM_NAME_LEN	32

/**
 * struct keel_vm - one VM of the registry
 * @ref: the registry has one until the VM is gone
 * @node: in the registry, under keel_vms_lock
 * @id: number, never used twice
 * @cookie: where KVM's object is or was; not to be followed
 * @name: KVM's name for it, empty if it has none
 * @pid: thread group that has it open; a VM may be handed on, so this and
 *	@comm are under keel_vms_lock
 * @comm: name of the VMM
 * @seen: by the scan under way, under keel_vms_lock
 */
struct keel_vm {
	struct kref ref;
	struct list_head node;
	u32 id;
	const void *cookie;
	char name[KEEL_VM_NAME_LEN];
	struct pid *pid;
	char comm[TASK_COMM_LEN];
	bool seen;
};

/* vm.c */

/*
 * Told, in a context that may sleep, whenever VMs have come or gone; what has to
 * be asked of the registry.
 */
extern struct blocking_notifier_head keel_vms_chain;

int keel_vms_init(void);
void keel_vms_exit(void);
void keel_vms_start(void);
void keel_vms_stop(void);
u32 keel_vms_count(void);
void keel_vm_put(struct keel_vm *vm);
struct keel_vm *keel_vm_next(u32 after);
struct keel_vm *keel_vm_lookup(u32 id);
pid_t keel_vm_holder(struct keel_vm *vm, char comm[TASK_COMM_LEN]);
struct task_struct *keel_vm_leader_get(struct keel_vm *vm);

/* vm_scan.c: find VMs in file tables */

/**
 * struct keel_vm_found - a VM that a scan found
 * @file: one of its files, held
 * @kvm: the VM, alive as long as @file is held
 * @pid: thread group that has it open, held
 * @comm: its name
 */
struct keel_vm_found {
	struct file *file;
	struct kvm *kvm;
	struct pid *pid;
	char comm[TASK_COMM_LEN];
};

/**
 * struct keel_slot_info - a memory slot, as it was when it was looked at
 * @slot: its number
 * @readonly: the guest may not write to it
 * @gpa: where the guest has it, bytes
 * @size: bytes
 * @hva: where the VMM has it, bytes
 */
struct keel_slot_info {
	u32 slot;
	bool readonly;
	u64 gpa;
	u64 size;
	u64 hva;
};

/* For a file and its number in the table; not 0 ends the walk. */
typedef int (*keel_file_fn_t)(const void *arg, struct file *file, unsigned int fd);

struct keel_slot_info *keel_vm_slots(struct kvm *kvm, size_t *nr);
int keel_vm_scan(struct keel_vm_found **found, size_t *nr);
void keel_vm_found_free(struct keel_vm_found *found, size_t nr);
struct file *keel_vm_open(struct keel_vm *vm, struct kvm **kvm);
pid_t keel_vm_walk_files(struct keel_vm *vm, keel_file_fn_t fn, const void *arg);

/* vm_netlink.c: show */
int keel_vm_fill(struct sk_buff *skb, const void *vm);
int keel_vm_fill_gone(struct sk_buff *skb, const void *vm);

#endif /* KEEL_CORE_VM_H */
