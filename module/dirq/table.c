// SPDX-License-Identifier: GPL-2.0
/* Directed interrupts: tables, as memory. */
#include <linux/hashtable.h>
#include <linux/mm.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <asm/smp.h>

#include "core/vm.h"
#include "dirq/table.h"
#include "compat/compat.h"

/* By VM; changed under keel_dirq.lock, read by BPF programs under RCU. */
static DEFINE_HASHTABLE(keel_irq_tables, 8);

static void keel_irq_table_free(struct kref *ref)
{
	struct keel_irq_table *table = container_of(ref, struct keel_irq_table, ref);
	unsigned int i;

	for (i = 0; i < KEEL_IRQ_PAGES && table->pages[i]; i++)
		put_page(table->pages[i]);
	if (table->cpus)
		free_pages_exact(table->cpus, table->cpus_pages * PAGE_SIZE);
	free_page((unsigned long)table->header);
	keel_vm_put(table->vm);
	kvfree(table);
}

/**
 * keel_irq_table_put - done with a table
 * @table: the table
 *
 * Context: may sleep.
 */
void keel_irq_table_put(struct keel_irq_table *table)
{
	kref_put(&table->ref, keel_irq_table_free);
}

static void keel_irq_table_fill(struct keel_irq_table *table)
{
	struct keel_irq_header *h = table->header;
	unsigned int cpu;

	for (cpu = 0; cpu < table->cpus_pages * PAGE_SIZE / sizeof(u32); cpu++)
		table->cpus[cpu] = KEEL_IRQ_NO_APIC;
	for_each_present_cpu(cpu)
		table->cpus[cpu] = cpu_physical_id(cpu);

	h->magic = KEEL_IRQ_MAGIC;
	h->version = KEEL_IRQ_VERSION;
	h->vm = table->vm->id;
	h->nr_targets_max = KEEL_IRQ_TARGETS_MAX;
	h->nr_cpus = nr_cpu_ids;
	h->target_stride = sizeof(struct keel_irq_entry);
	h->cpus = PAGE_SIZE;
	h->targets = h->cpus + table->cpus_pages * PAGE_SIZE;
	h->bytes = h->targets + KEEL_IRQ_PAGES * PAGE_SIZE;
}

/**
 * keel_irq_table_create - a table for a VM
 * @vm: the VM; its reference is the table's, or is put
 *
 * Context: may sleep.
 * Return: the table, with a reference, or NULL without memory.
 */
struct keel_irq_table *keel_irq_table_create(struct keel_vm *vm)
{
	struct keel_irq_table *table = kvzalloc(sizeof(*table), GFP_KERNEL);

	if (!table) {
		keel_vm_put(vm);
		return NULL;
	}
	kref_init(&table->ref);
	INIT_LIST_HEAD(&table->node);
	INIT_LIST_HEAD(&table->routes);
	table->vm = vm;
	table->mode = KEEL_DIRQ_INHERIT;
	table->fallback = KEEL_DIRQ_INHERIT;
	memset32(table->policy, KEEL_DIRQ_INHERIT, KEEL_IRQ_TARGETS_MAX);
	table->cpus_pages = DIV_ROUND_UP(nr_cpu_ids * sizeof(u32), PAGE_SIZE);
	table->header = (void *)get_zeroed_page(GFP_KERNEL);
	table->cpus = alloc_pages_exact(table->cpus_pages * PAGE_SIZE, GFP_KERNEL);
	if (!table->header || !table->cpus) {
		keel_irq_table_put(table);
		return NULL;
	}
	keel_irq_table_fill(table);
	return table;
}

/**
 * keel_irq_table_publish - let a table be found
 * @table: the table
 *
 * Context: keel_dirq.lock is held.
 */
void keel_irq_table_publish(struct keel_irq_table *table)
{
	lockdep_assert_held(&keel_dirq.lock);
	hash_add_rcu(keel_irq_tables, &table->hash, table->vm->id);
}

/**
 * keel_irq_table_hide - the mirror of keel_irq_table_publish()
 * @table: the table; when this returns nobody who has found it looks at it any more
 *
 * Context: may sleep; keel_dirq.lock is held.
 */
void keel_irq_table_hide(struct keel_irq_table *table)
{
	lockdep_assert_held(&keel_dirq.lock);
	hash_del_rcu(&table->hash);
	synchronize_rcu();
}

/**
 * keel_irq_table_lookup - a VM's table
 * @vm: the VM's number
 *
 * Context: any, in an RCU read side section or with keel_dirq.lock held, as long as
 * which it is there.
 * Return: the table, or NULL.
 */
struct keel_irq_table *keel_irq_table_lookup(u32 vm)
{
	struct keel_irq_table *table;

	hash_for_each_possible_rcu(keel_irq_tables, table, hash, vm,
				   lockdep_is_held(&keel_dirq.lock))
		if (table->vm->id == vm)
			return table;
	return NULL;
}

/**
 * keel_irq_table_find - a target by its vCPU
 * @table: the table
 * @vcpu_id: KVM's number
 *
 * Context: keel_dirq.lock is held.
 * Return: the entry's number, or -1.
 */
int keel_irq_table_find(const struct keel_irq_table *table, u32 vcpu_id)
{
	unsigned int i;

	lockdep_assert_held(&keel_dirq.lock);
	for (i = 0; i < table->nr; i++)
		if (table->target[i] &&
		    keel_irq_table_entry(table, i)->vcpu_id == vcpu_id)
			return i;
	return -1;
}

/**
 * keel_irq_table_reach - see to it that there is an entry
 * @table: the table
 * @i: its number
 *
 * Context: may sleep; keel_dirq.lock is held.
 * Return: 0, -ENOMEM, or -ENOSPC: that is more than a table has room for.
 */
int keel_irq_table_reach(struct keel_irq_table *table, unsigned int i)
{
	unsigned int p;

	lockdep_assert_held(&keel_dirq.lock);
	if (i >= KEEL_IRQ_TARGETS_MAX)
		return -ENOSPC;
	if (i < table->nr)
		return 0;
	for (p = 0; p <= i / KEEL_IRQ_PER_PAGE; p++) {
		struct page *page;

		if (table->pages[p])
			continue;
		page = alloc_page(GFP_KERNEL | __GFP_ZERO);
		if (!page)
			return -ENOMEM;
		/* Pairs with the fault of a mapping. */
		smp_store_release(&table->pages[p], page);
	}
	table->nr = i + 1;
	/* Who reads the number may read the entries. */
	smp_store_release(&table->header->nr_targets, table->nr);
	return 0;
}
