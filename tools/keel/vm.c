// SPDX-License-Identifier: GPL-2.0
/* keel vm: the registry, shown; and finding a VM by what people call it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keel.h"
#include "out.h"

/* By id, then by pid, then by name; a name that two have is refused. */
static int match(struct keel_vm *vms, int nr, const char *name)
{
	uint32_t n;
	int found = -1;

	if (!parse_u32(name, &n)) {
		for (int i = 0; i < nr; i++)
			if (vms[i].id == n)
				return i;
		for (int i = 0; i < nr; i++)
			if (vms[i].pid == n)
				return i;
	}
	for (int i = 0; i < nr; i++) {
		char *qemu = vm_name(vms[i].pid);
		bool same = qemu && !strcmp(qemu, name);

		free(qemu);
		if (!same)
			continue;
		if (found >= 0)
			return bad("VMs %u and %u are both named '%s'; give the id",
				   vms[found].id, vms[i].id, name);
		found = i;
	}
	if (found < 0)
		return bad("no VM '%s' by id, pid or QEMU -name; 'keel vm list' shows what there is",
			   name);
	return found;
}

int vm_find(struct keel *keel, const char *name, struct keel_vm *vm)
{
	struct keel_vm *vms;
	int nr, i, err = -1;

	nr = keel_vm_list(keel, &vms);
	if (nr < 0)
		return fail("%s", keel_error(keel));
	i = match(vms, nr, name);
	if (i >= 0) {
		err = keel_vm_get(keel, vms[i].id, vm);
		if (err)
			err = fail("VM %u: %s", vms[i].id, keel_error(keel));
	}
	keel_vm_list_free(vms, nr);
	return err;
}

static void list_one(const struct keel_vm *vm)
{
	char *name = vm_name(vm->pid);

	out_object(NULL);
	out_u64("id", "%-5llu", vm->id);
	out_str("name", "%-20s ", name);
	out_u64("pid", "%-8llu", vm->pid);
	out_str("comm", "%-16s ", vm->comm);
	out_u64("nr_vcpus", "%-6llu", vm->nr_vcpus);
	out_size("memory", "%-10s ", vm->memory);
	out_size("memory_keelfs", "%-10s ", vm->memory_keelfs);
	if (vm->snapshot)
		out_u64("snapshot", "%llu", vm->snapshot);
	out_text("\n");
	out_end();
	free(name);
}

static int vm_list(int argc, char **argv)
{
	static const struct option options[] = { { 0 } };
	struct keel_vm *vms;
	struct keel *keel;
	int nr;

	if (next_option(argc, argv, options) != -1)
		return -1;
	if (optind < argc)
		return bad("vm list: takes no word; 'keel vm show %s' shows one",
			   argv[optind]);
	if (keel_connect(&keel))
		return -1;
	nr = keel_vm_list(keel, &vms);
	if (nr < 0)
		fail("%s", keel_error(keel));
	keel_close(keel);
	if (nr < 0)
		return -1;
	out_array(NULL);
	if (nr)
		out_text("%-5s%-20s %-8s%-16s %-6s%-10s %-10s %s\n", "ID",
			 "NAME", "PID", "VMM", "VCPUS", "MEMORY", "KEELFS",
			 "SNAPSHOT");
	for (int i = 0; i < nr; i++)
		list_one(&vms[i]);
	keel_vm_list_free(vms, nr);
	return 0;
}

static void show_vcpus(const struct keel_vm *vm)
{
	out_array("vcpus");
	for (uint32_t i = 0; i < vm->nr_vcpu; i++) {
		const struct keel_vcpu *v = &vm->vcpu[i];

		out_object(NULL);
		out_u64("index", "vcpu %-3llu", v->index);
		if (v->tid)
			out_u64("tid", " thread %-8llu", v->tid);
		if (v->cpu >= 0)
			out_int("cpu", " cpu %lld", v->cpu);
		if (!v->tid)
			out_text(" never ran");
		out_text("\n");
		out_end();
	}
	out_end();
}

static void show_regions(const struct keel_vm *vm)
{
	out_array("regions");
	for (uint32_t i = 0; i < vm->nr_region; i++) {
		const struct keel_region *r = &vm->region[i];

		out_object(NULL);
		out_u64("slot", "slot %-3llu", r->slot);
		out_u64("gpa", " gpa 0x%-12llx", r->gpa);
		out_size("size", " %-10s", r->size);
		out_u64("hva", NULL, r->hva);
		out_str("backing", " %s", keel_backing_name(r->backing));
		if (r->ino) {
			out_u64("ino", " inode %llu", r->ino);
			out_u64("dev", NULL, r->dev);
			out_u64("offset", " at 0x%llx", r->offset);
		}
		out_bool("readonly", " read-only", r->readonly);
		out_text("\n");
		out_end();
	}
	out_end();
}

static int vm_show(int argc, char **argv)
{
	static const struct option options[] = { { 0 } };
	struct keel_vm vm;
	struct keel *keel;
	char *name;
	int err;

	if (next_option(argc, argv, options) != -1)
		return -1;
	if (argc - optind != 1)
		return bad("vm show: give one VM, by id, QEMU -name or pid");
	if (keel_connect(&keel))
		return -1;
	err = vm_find(keel, argv[optind], &vm);
	keel_close(keel);
	if (err)
		return -1;
	name = vm_name(vm.pid);
	out_object(NULL);
	out_u64("id", "vm %llu", vm.id);
	out_str("name", " %s\n", name);
	out_u64("pid", "vmm %llu", vm.pid);
	out_str("comm", " %s\n", vm.comm);
	out_u64("nr_vcpus", "vcpus %llu\n", vm.nr_vcpus);
	out_size("memory", "memory %s", vm.memory);
	out_size("memory_keelfs", ", on keelfs %s\n", vm.memory_keelfs);
	if (vm.snapshot)
		out_u64("snapshot", "snapshot %llu under way\n", vm.snapshot);
	show_vcpus(&vm);
	show_regions(&vm);
	free(name);
	keel_vm_release(&vm);
	return 0;
}

int cmd_vm(int argc, char **argv)
{
	static const struct cmd verbs[] = {
		{ "list", vm_list,
		  "keel vm list\n"
		  "    One line for each VM of this host.\n" },
		{ "show", vm_show,
		  "keel vm show VM\n"
		  "    One VM: its vCPUs with thread and CPU, its memory and what lies under it.\n"
		  "    VM is keel's id, QEMU's -name, or the VMM's pid.\n" },
		{ 0 }
	};

	return cmd_select(verbs, "keel vm", argc, argv);
}
