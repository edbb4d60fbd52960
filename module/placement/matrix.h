/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The host's latency matrix: from the CPUs of each node to the memory of each
 * node, from four sources. The first in this order that knows all the nodes
 * there are is in use: what the user loaded; what was measured, if it shows a
 * difference; the firmware's HMAT; its SLIT.
 */
#ifndef KEEL_PLACEMENT_MATRIX_H
#define KEEL_PLACEMENT_MATRIX_H

#include <linux/types.h>
#include <uapi/linux/keel_netlink.h>
#include "placement/score.h"

struct sk_buff;

#define KEEL_PLACE_SOURCES	(KEEL_PLACE_SOURCE_SLIT + 1)
#define KEEL_MATRIX_OUTLIERS	16
#define KEEL_MATRIX_WHY		96	/* bytes of a sentence */

/**
 * struct keel_matrix_table - what one source says
 * @latency: nr_node_ids squared, [node of the CPU][node of the memory], tenths
 *	of ns; 0: not known. NULL: the source says nothing.
 * @noise: measured only: percent by which its two rounds differ at most
 * @loaded: measured only: while other CPUs used the memory, too
 */
struct keel_matrix_table {
	u32 *latency;
	u32 noise;
	bool loaded;
};

/* A CPU that measured something else than its neighbours. */
struct keel_matrix_outlier {
	int cpu;
	int node;		/* of the memory */
	u32 latency;
	u32 usual;		/* what the median of the CPUs says */
};

/**
 * struct keel_matrix - a matrix of the nodes that are there
 * @nr: how many; 0 if they are more than PLACE_NODES_MAX
 * @source: where it is from
 * @node: their ids, ascending
 * @latency: @nr by @nr, tenths of ns; never 0
 */
struct keel_matrix {
	u32 nr;
	enum keel_place_source source;
	int node[PLACE_NODES_MAX];
	u32 latency[PLACE_NODES_MAX * PLACE_NODES_MAX];
};

/**
 * struct keel_matrix_report - all that is known, for the user
 * @used: the matrix in use
 * @table: what each source says; those with a latency of NULL say nothing
 * @why: why it cannot be used; empty if it can
 * @outliers: elements of @outlier
 * @outlier: CPUs that measured something else than their neighbours
 */
struct keel_matrix_report {
	struct keel_matrix used;
	struct keel_matrix_table table[KEEL_PLACE_SOURCES];
	char why[KEEL_PLACE_SOURCES][KEEL_MATRIX_WHY];
	u32 outliers;
	struct keel_matrix_outlier outlier[KEEL_MATRIX_OUTLIERS];
};

int keel_matrix_init(void);
void keel_matrix_start(void);
void keel_matrix_stop(void);
void keel_matrix_exit(void);
void keel_matrix_get(struct keel_matrix *m);
struct keel_matrix_report *keel_matrix_report_get(void);
void keel_matrix_report_put(struct keel_matrix_report *r);
int keel_matrix_measure(unsigned int budget_us, bool loaded);
int keel_matrix_load(const u32 *node, u32 nr, const u16 *latency);
void keel_matrix_forget(void);

/* matrix_netlink.c */
int keel_nl_put_latency(struct sk_buff *skb, int attr, const u32 *latency,
			u32 nr);

/* measure.c */

/**
 * struct keel_measure - a measurement
 * @budget_us: for each pair of nodes, microseconds
 * @loaded: have other CPUs use the memory meanwhile
 * @stop: becomes true if it is to be given up
 * @latency: (out) nr_node_ids squared, tenths of ns
 * @noise: (out) percent by which the two rounds differ at most
 * @outliers: (out) elements of @outlier
 * @outlier: (out) CPUs that differ from the others of their node
 */
struct keel_measure {
	unsigned int budget_us;
	bool loaded;
	const bool *stop;
	u32 *latency;
	u32 noise;
	u32 outliers;
	struct keel_matrix_outlier outlier[KEEL_MATRIX_OUTLIERS];
};

int keel_measure(struct keel_measure *m);

/* firmware.c */
bool keel_firmware_hmat(u32 *latency);
void keel_firmware_slit(u32 *latency);

#endif /* KEEL_PLACEMENT_MATRIX_H */
