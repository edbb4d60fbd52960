// SPDX-License-Identifier: GPL-2.0
/*
 * Which VM has which tap open. The kernel has no way back from a tap to its file;
 * so it is looked for in the file tables of VMMs: a file of the tun device says in
 * its fdinfo which interface it serves. A VMM may have been handed it by another.
 */
#include <linux/file.h>
#include <linux/kvm_host.h>
#include <linux/miscdevice.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <linux/sched/task.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <net/net_namespace.h>

#include "core/vm.h"
#include "sriov/pool.h"
#include "compat/compat.h"

/* Files of taps that are looked at of a VMM: queues of a tap are files, too. */
#define TUN_FILES_MAX	1024
#define FDINFO_LEN	256

struct keel_tun_files {
	struct file **file;
	u32 nr;
};

/* Under rtnl_lock(): taps that are on a switch, up to @room. Return: how many. */
static size_t keel_taps_list(struct keel_tap *taps, size_t room)
{
	struct net_device *dev;
	const char *on;
	size_t nr = 0;

	for_each_netdev(&init_net, dev) {
		on = keel_is_tap(dev) ? keel_tap_switch(dev) : NULL;
		if (!on)
			continue;
		if (nr < room) {
			taps[nr] = (struct keel_tap){
				.ifindex = dev->ifindex, .numa = NUMA_NO_NODE,
			};
			strscpy(taps[nr].name, dev->name, IFNAMSIZ);
			strscpy(taps[nr].on, on, IFNAMSIZ);
		}
		nr++;
	}
	return nr;
}

static int keel_taps_collect(struct keel_tap **taps, size_t *nr)
{
	size_t room = 64;

	for (;;) {
		*taps = kvcalloc(room, sizeof(**taps), GFP_KERNEL);
		if (!*taps)
			return -ENOMEM;
		rtnl_lock();
		*nr = keel_taps_list(*taps, room);
		rtnl_unlock();
		if (*nr <= room)
			return 0;
		kvfree(*taps);
		room = *nr + 16;
	}
}

static bool keel_is_tun_file(const struct file *file)
{
	const struct inode *inode = file_inode(file);

	return S_ISCHR(inode->i_mode) &&
	       inode->i_rdev == MKDEV(MISC_MAJOR, TUN_MINOR) &&
	       file->f_op->show_fdinfo;
}

/* Called under the table's file_lock. */
static int keel_tun_file_add(const void *data, struct file *file,
			     unsigned int fd)
{
	struct keel_tun_files *f = (struct keel_tun_files *)data;

	if (keel_is_tun_file(file))
		f->file[f->nr++] = get_file(file);
	return f->nr == TUN_FILES_MAX;
}

/* The tap that a file of the tun device serves; NULL if none of those. */
static struct keel_tap *keel_tun_file_tap(struct file *file, struct keel_tap *taps,
					  size_t nr)
{
	static const char key[] = "iff:\t";
	char buf[FDINFO_LEN], *name;
	struct seq_file m = { .buf = buf, .size = sizeof(buf) - 1 };
	size_t i;

	file->f_op->show_fdinfo(&m, file);
	buf[min(m.count, m.size)] = 0;
	name = strstr(buf, key);
	if (!name)
		return NULL;
	name += strlen(key);
	name[strcspn(name, "\n")] = 0;
	for (i = 0; i < nr; i++)
		if (!strcmp(taps[i].name, name))
			return &taps[i];
	return NULL;
}

/* How many of a VM's vCPUs last ran on each node. */
static void keel_vcpus_count(struct kvm *kvm, u32 *here, u32 nr)
{
	struct task_struct *task;
	struct kvm_vcpu *vcpu;
	unsigned long i;
	int node;

	if (!atomic_read(&kvm->online_vcpus))
		return;
	kvm_for_each_vcpu(i, vcpu, kvm) {
		task = keel_vcpu_task_get(vcpu);
		if (!task)
			continue;
		node = cpu_to_node(task_cpu(task));
		if (node >= 0 && node < nr)
			here[node]++;
		put_task_struct(task);
	}
}

/* The node on which most of a VM's vCPUs last ran. */
static int keel_vm_numa(struct keel_vm *vm)
{
	u32 here[MAX_NUMNODES > 64 ? 64 : MAX_NUMNODES] = {}, best = 0, i;
	int node = NUMA_NO_NODE;
	struct file *file;
	struct kvm *kvm;

	file = keel_vm_open(vm, &kvm);
	if (!file)
		return NUMA_NO_NODE;
	keel_vcpus_count(kvm, here, ARRAY_SIZE(here));
	fput(file);
	for (i = 0; i < ARRAY_SIZE(here); i++) {
		if (here[i] > best) {
			best = here[i];
			node = i;
		}
	}
	return node;
}

static void keel_vm_claim(struct keel_vm *vm, pid_t pid, struct keel_tun_files *f,
			  struct keel_tap *taps, size_t nr)
{
	struct keel_tap *tap;
	u32 i;

	for (i = 0; i < f->nr; i++) {
		tap = keel_tun_file_tap(f->file[i], taps, nr);
		if (!tap || tap->vm)
			continue;
		tap->vm = vm->id;
		tap->pid = pid;
		tap->numa = keel_vm_numa(vm);
	}
}

/* The taps that the VMM of a VM has open are that VM's. */
static void keel_vm_taps(struct keel_vm *vm, struct keel_tun_files *f,
			 struct keel_tap *taps, size_t nr)
{
	pid_t pid;

	f->nr = 0;
	pid = keel_vm_walk_files(vm, keel_tun_file_add, f);
	/* It asks under rtnl_lock(): no lock may be held here. */
	keel_vm_claim(vm, pid, f, taps, nr);
	while (f->nr)
		fput(f->file[--f->nr]);
}

static int keel_taps_own(struct keel_tap *taps, size_t nr)
{
	struct keel_tun_files f = {};
	struct keel_vm *vm;
	u32 id = 0;

	f.file = kvcalloc(TUN_FILES_MAX, sizeof(*f.file), GFP_KERNEL);
	if (!f.file)
		return -ENOMEM;
	while ((vm = keel_vm_next(id))) {
		id = vm->id;
		keel_vm_taps(vm, &f, taps, nr);
		keel_vm_put(vm);
		cond_resched();
	}
	kvfree(f.file);
	return 0;
}

/**
 * keel_taps_find - the taps that are ports of switches, and whose they are
 * @taps: (out) for kvfree()
 * @nr: (out) how many
 *
 * Of the initial network namespace. Where two VMMs have one open it is the VM's
 * that was there first.
 *
 * Context: may sleep; takes rtnl_lock().
 * Return: 0 or -ENOMEM.
 */
int keel_taps_find(struct keel_tap **taps, size_t *nr)
{
	int err = keel_taps_collect(taps, nr);

	if (err)
		return err;
	err = *nr ? keel_taps_own(*taps, *nr) : 0;
	if (err)
		kvfree(*taps);
	return err;
}
