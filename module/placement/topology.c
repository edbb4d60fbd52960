// SPDX-License-Identifier: GPL-2.0
/*
 * Sites: CPUs of a node that share a last level cache. Which those are the CPUs
 * say themselves, by CPUID (AMD APM volume 3, Fn8000_001D; Intel SDM volume 2A,
 * leaf 04H): what the kernel knows of it is not for modules.
 */
#include <linux/cpu.h>
#include <linux/log2.h>
#include <linux/nodemask.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/topology.h>

#include "placement/topology.h"
#include "compat/compat.h"

#define CACHE_LEVELS_MAX	8	/* leaves that are asked */

/* What a CPU says of its last level cache. */
struct keel_llc {
	u32 id;		/* the same for those who share it */
	u32 kib;	/* 0: it does not say */
};

#ifdef CONFIG_X86
#include <asm/processor.h>

static u32 keel_apic_id(void)
{
	u32 eax, ebx, ecx, edx;

	if (cpuid_eax(0) >= 0xb) {
		cpuid_count(0xb, 0, &eax, &ebx, &ecx, &edx);
		if (ebx)
			return edx;
	}
	return cpuid_ebx(1) >> 24;
}

static u32 keel_cache_leaf(void)
{
	if (boot_cpu_data.x86_vendor == X86_VENDOR_INTEL)
		return 4;
	if (boot_cpu_has(X86_FEATURE_TOPOEXT))
		return 0x8000001d;
	return 0;
}

/* Older AMD: what is largest, of the CPU's whole package (Fn8000_0006). */
static void keel_llc_ask_old(struct keel_llc *llc)
{
	u32 l2, l3;

	if (boot_cpu_data.x86_vendor != X86_VENDOR_AMD ||
	    cpuid_eax(0x80000000) < 0x80000006)
		return;
	l2 = cpuid_ecx(0x80000006) >> 16;
	l3 = (cpuid_edx(0x80000006) >> 18) * 512;
	llc->kib = max(l2, l3);
	llc->id = cpumask_first(topology_core_cpumask(smp_processor_id()));
}

/* On the CPU that is asked. */
static void keel_llc_ask(void *data)
{
	u32 eax, ebx, ecx, edx, leaf = keel_cache_leaf(), best = 0, i, level;
	struct keel_llc *llc = data;

	if (!leaf)
		keel_llc_ask_old(llc);
	for (i = 0; leaf && i < CACHE_LEVELS_MAX; i++) {
		cpuid_count(leaf, i, &eax, &ebx, &ecx, &edx);
		level = eax >> 5 & 7;
		if (!(eax & 0x1f))
			break;
		/* 2 is for instructions alone. */
		if ((eax & 0x1f) == 2 || level <= best)
			continue;
		best = level;
		llc->id = keel_apic_id() >> order_base_2((eax >> 14 & 0xfff) + 1);
		llc->kib = (u64)((ebx >> 22) + 1) * ((ebx >> 12 & 0x3ff) + 1) *
			   ((ebx & 0xfff) + 1) * (ecx + 1ULL) >> 10;
	}
}
#else
static void keel_llc_ask(void *data)
{
}
#endif

/* The site of a CPU that shares @llc and is of @node; made if there is none. */
static u32 keel_site_of(struct keel_topology *t, u32 *llc_of, u32 node,
			const struct keel_llc *llc)
{
	u32 i;

	for (i = 0; i < t->nr; i++)
		if (llc_of[i] == llc->id && t->site[i].node == node)
			return i;
	if (t->nr == PLACE_SITES_MAX ||
	    !zalloc_cpumask_var(&t->cpus[t->nr], GFP_KERNEL))
		return KEEL_NO_SITE;
	llc_of[i] = llc->id;
	t->site[i] = (struct place_site){
		.node = node,
		.cache_kib = min(llc->kib, PLACE_CACHE_KIB_MAX),
	};
	return t->nr++;
}

/* Is no thread of its core with a smaller number online? */
static bool keel_cpu_is_core(int cpu)
{
	int other;

	for_each_cpu_and(other, topology_sibling_cpumask(cpu), cpu_online_mask)
		return other == cpu;
	return true;
}

static int keel_topology_add(struct keel_topology *t, u32 *llc_of, int cpu)
{
	struct keel_llc llc = {};
	u32 node, site;

	for (node = 0; node < t->nr_nodes; node++)
		if (t->node[node] == cpu_to_node(cpu))
			break;
	if (node == t->nr_nodes)
		return 0;
	smp_call_function_single(cpu, keel_llc_ask, &llc, 1);
	site = keel_site_of(t, llc_of, node, &llc);
	if (site == KEEL_NO_SITE)
		return t->nr == PLACE_SITES_MAX ? -E2BIG : -ENOMEM;
	t->site_of[cpu] = site;
	cpumask_set_cpu(cpu, t->cpus[site]);
	t->site[site].cpus++;
	t->site[site].cores += keel_cpu_is_core(cpu);
	return 0;
}

static int keel_topology_fill(struct keel_topology *t)
{
	u32 llc_of[PLACE_SITES_MAX];
	int cpu, err = 0;

	for_each_online_node(cpu)
		t->node[t->nr_nodes++] = cpu;
	for_each_possible_cpu(cpu)
		t->site_of[cpu] = KEEL_NO_SITE;
	for_each_online_cpu(cpu) {
		err = keel_topology_add(t, llc_of, cpu);
		if (err)
			break;
	}
	return err;
}

/**
 * keel_topology_destroy - free a topology
 * @t: the topology, or NULL
 */
void keel_topology_destroy(struct keel_topology *t)
{
	u32 i;

	if (!t)
		return;
	for (i = 0; i < t->nr; i++)
		free_cpumask_var(t->cpus[i]);
	kvfree(t->site_of);
	kvfree(t);
}

/**
 * keel_topology_create - how the host's CPUs are now
 *
 * Context: may sleep; asks each CPU by an interrupt. The caller holds
 * cpus_read_lock().
 * Return: the topology; -ENOMEM; -E2BIG if there are more nodes or caches than
 * the decision can take.
 */
struct keel_topology *keel_topology_create(void)
{
	struct keel_topology *t;
	int err = -ENOMEM;

	if (num_online_nodes() > PLACE_NODES_MAX)
		return ERR_PTR(-E2BIG);
	t = kvzalloc(sizeof(*t), GFP_KERNEL);
	if (!t)
		return ERR_PTR(-ENOMEM);
	t->site_of = kvcalloc(nr_cpu_ids, sizeof(*t->site_of), GFP_KERNEL);
	if (t->site_of)
		err = keel_topology_fill(t);
	if (err) {
		keel_topology_destroy(t);
		return ERR_PTR(err);
	}
	return t;
}

/**
 * keel_topology_has_nodes - are these the nodes that are online now?
 * @t: the topology
 *
 * A node that has memory alone comes and goes without its CPUs telling of it.
 *
 * Context: any.
 */
bool keel_topology_has_nodes(const struct keel_topology *t)
{
	u32 nr = 0;
	int node;

	for_each_online_node(node)
		if (nr == t->nr_nodes || t->node[nr++] != node)
			return false;
	return nr == t->nr_nodes;
}
