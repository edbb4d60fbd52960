// SPDX-License-Identifier: GPL-2.0
/*
 * Measure the latency matrix: each pair of nodes from several CPUs, of which the
 * median counts. The memory of a node is prepared once for all of them.
 */
#include <linux/cpu.h>
#include <linux/module.h>
#include <linux/nodemask.h>
#include <linux/sched/isolation.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "placement/chase.h"
#include "placement/matrix.h"
#include "compat/compat.h"

#define MEASURE_ROUNDS		2
/* A CPU that differs by so much from the others of its node is named; percent. */
#define MEASURE_OUTLIER		25

static uint keel_chase_pad[3];
module_param_array_named(chase_pad, keel_chase_pad, uint, NULL, 0600);
MODULE_PARM_DESC(chase_pad, "for tests: FROM,TO,NS makes loads from node FROM to node TO slower by NS when they are measured");

/* Some CPUs of a node that may be disturbed, spread over it. Return: how many. */
static unsigned int keel_measure_cpus(int nid, int *cpus)
{
	unsigned int all = 0, nr = 0, i = 0;
	int cpu;

	for_each_cpu_and(cpu, cpumask_of_node(nid), cpu_online_mask)
		all += housekeeping_test_cpu(cpu, HK_TYPE_DOMAIN);
	for_each_cpu_and(cpu, cpumask_of_node(nid), cpu_online_mask) {
		if (!housekeeping_test_cpu(cpu, HK_TYPE_DOMAIN))
			continue;
		if (i++ * KEEL_CHASE_CPUS >= nr * all && nr < KEEL_CHASE_CPUS)
			cpus[nr++] = cpu;
	}
	return nr;
}

static unsigned int keel_measure_pad(int from, int to)
{
	return keel_chase_pad[0] == from && keel_chase_pad[1] == to ?
	       keel_chase_pad[2] : 0;
}

static void keel_measure_outlier(struct keel_measure *m, int cpu, int node,
				 u32 latency, u32 usual)
{
	u64 apart = max(latency, usual) - min(latency, usual);

	if (apart * 100 <= (u64)usual * MEASURE_OUTLIER ||
	    m->outliers == KEEL_MATRIX_OUTLIERS)
		return;
	m->outlier[m->outliers++] = (struct keel_matrix_outlier){
		.cpu = cpu, .node = node, .latency = latency, .usual = usual,
	};
}

/* The first time; the second, which tells how far that can be trusted. */
static void keel_measure_take(struct keel_measure *m, int from, int to,
			      u32 latency)
{
	u32 *cell = &m->latency[from * nr_node_ids + to], apart;

	if (*cell) {
		apart = max(*cell, latency) - min(*cell, latency);
		m->noise = max(m->noise, apart * 100 / min(*cell, latency));
		latency = (*cell + latency) / 2;
	}
	*cell = latency;
}

/* What the CPUs of @from say of the memory in @b, which is on @to. */
static int keel_measure_pair(struct keel_measure *m,
			     struct keel_chase_buffer *b, int from, int to)
{
	int cpus[KEEL_CHASE_CPUS], got[KEEL_CHASE_CPUS];
	u32 r[KEEL_CHASE_CPUS], sorted[KEEL_CHASE_CPUS], usual;
	unsigned int i, nr, n = 0;
	int err;

	nr = keel_measure_cpus(from, cpus);
	for (i = 0; i < nr; i++) {
		struct keel_chase c = {
			.buffer = b,
			.cpu = cpus[i],
			.budget_us = m->budget_us / MEASURE_ROUNDS / nr,
			.load_cpus = m->loaded ? KEEL_CHASE_LOAD_MAX : 0,
			.pad_ns = keel_measure_pad(from, to),
			.stop = m->stop,
		};

		err = keel_chase_run(&c, &r[n]);
		if (err && err != -EAGAIN)
			return err;
		got[n] = cpus[i];
		n += !err;
	}
	if (!n)
		return 0;
	memcpy(sorted, r, n * sizeof(*r));
	usual = keel_chase_median(sorted, n);
	for (i = 0; i < n; i++)
		keel_measure_outlier(m, got[i], to, r[i], usual);
	keel_measure_take(m, from, to, usual);
	return 0;
}

static int keel_measure_memory(struct keel_measure *m, int to)
{
	struct keel_chase_buffer *b = keel_chase_buffer_create(to, m->stop);
	int from, err = 0;

	/* A node that is full stays unknown. */
	if (IS_ERR(b))
		return PTR_ERR(b) == -ENOSPC ? 0 : PTR_ERR(b);
	for_each_node_state(from, N_CPU) {
		cpus_read_lock();
		err = keel_measure_pair(m, b, from, to);
		cpus_read_unlock();
		if (!err && signal_pending(current))
			err = -EINTR;
		if (err)
			break;
	}
	keel_chase_buffer_destroy(b);
	return err;
}

/**
 * keel_measure - measure the way from each node to each
 * @m: how; gets what was found
 *
 * All of it is done twice, one after the other, for what else goes on may
 * change a pair as much as its distance does.
 *
 * Context: may sleep; takes m->budget_us for each pair, and some tens of
 * milliseconds for each node.
 * Return: 0, -ENOMEM, -EINTR. A pair that could not be measured stays 0.
 */
int keel_measure(struct keel_measure *m)
{
	int round, to, err;

	for (round = 0; round < MEASURE_ROUNDS; round++) {
		for_each_node_state(to, N_MEMORY) {
			err = keel_measure_memory(m, to);
			if (err)
				return err;
		}
	}
	return 0;
}
