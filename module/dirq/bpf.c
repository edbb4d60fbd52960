// SPDX-License-Identifier: GPL-2.0
/*
 * Directed interrupts: tables for BPF programs. They cannot map one, and so ask for a
 * word by a function of ours (a kfunc).
 */
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/module.h>
#include <linux/rcupdate.h>

#include "dirq/table.h"
#include "compat/compat.h"

#ifdef KEEL_HAVE_BTF_KFUNCS

__bpf_kfunc_start_defs();

/**
 * keel_irq_lookup - where a target is
 * @vm: keel's number of its VM
 * @target: its number in that VM's table: vCPUs in the order in which they were made
 *
 * Context: any; also where BPF programs cannot sleep.
 * Return: its word (linux/keel_irq.h), 0 if there is none.
 */
__bpf_kfunc u64 keel_irq_lookup(u32 vm, u32 target)
{
	const struct keel_irq_table *table;
	u64 where = 0;

	rcu_read_lock();
	table = keel_irq_table_lookup(vm);
	if (table && target < READ_ONCE(table->nr))
		where = keel_irq_where(table, target);
	rcu_read_unlock();
	return where;
}

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(keel_irq_kfuncs)
BTF_ID_FLAGS(func, keel_irq_lookup)
BTF_KFUNCS_END(keel_irq_kfuncs)

static const struct btf_kfunc_id_set keel_irq_kfunc_set = {
	.owner = THIS_MODULE,
	.set = &keel_irq_kfuncs,
};

/**
 * keel_irq_bpf_init - offer the function to BPF programs
 *
 * To all that look at the kernel, and to those that are run by a system call. Where the
 * module has no type information for this very kernel there is none, and all else works.
 */
void keel_irq_bpf_init(void)
{
	static const enum bpf_prog_type types[] = {
		BPF_PROG_TYPE_TRACING, BPF_PROG_TYPE_SYSCALL,
	};
	unsigned int i;
	int err = 0;

	for (i = 0; i < ARRAY_SIZE(types) && !err; i++)
		err = register_btf_kfunc_id_set(types[i], &keel_irq_kfunc_set);
	if (err)
		pr_info("keel: no interrupt tables for BPF (error %d)\n", err);
}

#else

void keel_irq_bpf_init(void)
{
}

#endif
