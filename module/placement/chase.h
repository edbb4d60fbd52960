/* SPDX-License-Identifier: GPL-2.0 */
/* How far memory is: a chain of loads, each of which needs the one before. */
#ifndef KEEL_PLACEMENT_CHASE_H
#define KEEL_PLACEMENT_CHASE_H

#include <linux/atomic.h>
#include <linux/types.h>

struct keel_chase_buffer;

/* CPUs of a node that are asked; the median of them counts. */
#define KEEL_CHASE_CPUS		3
#define KEEL_CHASE_LOAD_MAX	4

/**
 * struct keel_chase - what is measured, and how long at most
 * @buffer: memory of one node
 * @cpu: where the loads are done
 * @budget_us: time for it, microseconds
 * @load_cpus: as many others of the CPU's node read the same memory meanwhile
 * @pad_ns: each load is made to take so much longer; for tests
 * @stop: becomes true if nobody wants to know any more
 */
struct keel_chase {
	struct keel_chase_buffer *buffer;
	int cpu;
	unsigned int budget_us;
	unsigned int load_cpus;
	unsigned int pad_ns;
	const bool *stop;
};

struct keel_chase_buffer *keel_chase_buffer_create(int nid, const bool *stop);
void keel_chase_buffer_destroy(struct keel_chase_buffer *b);
u32 keel_chase_median(u32 *v, unsigned int nr);
int keel_chase_run(const struct keel_chase *c, u32 *latency);

#endif /* KEEL_PLACEMENT_CHASE_H */
