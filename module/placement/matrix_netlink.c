// SPDX-License-Identifier: GPL-2.0
/* The latency matrix over netlink: shown, measured, loaded. */
#include <linux/nodemask.h>
#include <linux/slab.h>

#include "core/netlink.h"
#include "placement/matrix.h"

/* For each pair of nodes, microseconds. */
#define MEASURE_US		20000
#define MEASURE_US_MAX		1000000

/**
 * keel_nl_put_latency - latencies as u16 each
 * @skb: the message
 * @attr: the attribute
 * @latency: tenths of ns, up to PLACE_LATENCY_MAX
 * @nr: how many
 *
 * Return: 0 or -EMSGSIZE.
 */
int keel_nl_put_latency(struct sk_buff *skb, int attr, const u32 *latency,
			u32 nr)
{
	struct nlattr *cells = nla_reserve(skb, attr, nr * sizeof(u16));
	u16 *cell;
	u32 i;

	if (!cells)
		return -EMSGSIZE;
	cell = nla_data(cells);
	for (i = 0; i < nr; i++)
		cell[i] = latency[i];
	return 0;
}

static int keel_matrix_fill_table(struct sk_buff *skb,
				  const struct keel_matrix_report *r,
				  enum keel_place_source source)
{
	const struct keel_matrix_table *t = &r->table[source];
	struct nlattr *nest, *cells;
	u32 from, to;
	u16 *cell;

	if (!t->latency)
		return 0;
	nest = nla_nest_start(skb, KEEL_A_MATRIX_TABLE);
	if (!nest ||
	    nla_put_u32(skb, KEEL_A_TABLE_SOURCE, source) ||
	    (r->why[source][0] &&
	     nla_put_string(skb, KEEL_A_TABLE_WHY, r->why[source])) ||
	    (source == KEEL_PLACE_SOURCE_MEASURED &&
	     nla_put_u32(skb, KEEL_A_TABLE_NOISE, t->noise)) ||
	    (t->loaded && nla_put_flag(skb, KEEL_A_TABLE_LOADED)))
		return -EMSGSIZE;
	cells = nla_reserve(skb, KEEL_A_TABLE_LATENCY,
			    r->used.nr * r->used.nr * sizeof(u16));
	if (!cells)
		return -EMSGSIZE;
	cell = nla_data(cells);
	for (from = 0; from < r->used.nr; from++)
		for (to = 0; to < r->used.nr; to++)
			*cell++ = t->latency[r->used.node[from] * nr_node_ids +
					     r->used.node[to]];
	nla_nest_end(skb, nest);
	return 0;
}

static int keel_matrix_fill_outlier(struct sk_buff *skb,
				    const struct keel_matrix_outlier *o)
{
	struct nlattr *nest = nla_nest_start(skb, KEEL_A_MATRIX_OUTLIER);

	if (!nest ||
	    nla_put_u32(skb, KEEL_A_OUTLIER_CPU, o->cpu) ||
	    nla_put_u32(skb, KEEL_A_OUTLIER_NODE, o->node) ||
	    nla_put_u32(skb, KEEL_A_OUTLIER_LATENCY, o->latency) ||
	    nla_put_u32(skb, KEEL_A_OUTLIER_USUAL, o->usual))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static int keel_matrix_fill(struct sk_buff *skb, const void *obj)
{
	const struct keel_matrix_report *r = obj;
	struct nlattr *nest = nla_nest_start(skb, KEEL_A_MATRIX);
	int err = 0;
	u32 i;

	if (!nest)
		return -EMSGSIZE;
	if (nla_put_u32(skb, KEEL_A_MATRIX_SOURCE, r->used.source) ||
	    nla_put(skb, KEEL_A_MATRIX_NODES, r->used.nr * sizeof(u32),
		    r->used.node) ||
	    keel_nl_put_latency(skb, KEEL_A_MATRIX_LATENCY, r->used.latency,
				r->used.nr * r->used.nr))
		err = -EMSGSIZE;
	for (i = 0; !err && i < KEEL_PLACE_SOURCES; i++)
		err = keel_matrix_fill_table(skb, r, i);
	for (i = 0; !err && i < r->outliers; i++)
		err = keel_matrix_fill_outlier(skb, &r->outlier[i]);
	if (err) {
		nla_nest_cancel(skb, nest);
		return err;
	}
	nla_nest_end(skb, nest);
	return 0;
}

int keel_nl_matrix_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct keel_matrix_report *r = keel_matrix_report_get();
	int err;

	if (!r)
		return -ENOMEM;
	if (r->used.nr) {
		err = keel_nl_reply(info, KEEL_CMD_MATRIX_GET, keel_matrix_fill,
				    r);
	} else {
		GENL_SET_ERR_MSG(info, "this host has more NUMA nodes than keel can place on (64)");
		err = -E2BIG;
	}
	keel_matrix_report_put(r);
	return err;
}

int keel_nl_matrix_measure_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *budget = info->attrs[KEEL_A_BUDGET_US];
	u32 us = budget ? nla_get_u32(budget) : MEASURE_US;
	int err = keel_nl_may_change(skb, info);

	if (err)
		return err;
	if (us < 100 || us > MEASURE_US_MAX) {
		NL_SET_ERR_MSG_ATTR(info->extack, budget,
				    "the time for a pair of nodes must be from 100 us to 1 s");
		return -EINVAL;
	}
	return keel_matrix_measure(us, info->attrs[KEEL_A_LOADED]);
}

/* What is wrong with the nodes of a matrix; NULL if they are fine. */
static const char *keel_matrix_check_nodes(const u32 *node, u32 nr)
{
	nodemask_t seen = NODE_MASK_NONE;
	u32 i;

	if (!nr)
		return "the matrix has no nodes";
	for (i = 0; i < nr; i++) {
		if (node[i] >= nr_node_ids || !node_online(node[i]))
			return "the matrix has a node that this host has not";
		if (node_test_and_set(node[i], seen))
			return "the matrix has a node twice";
	}
	return NULL;
}

static const char *keel_matrix_check_latency(const u16 *latency, u32 nr)
{
	u32 i;

	for (i = 0; i < nr; i++)
		if (!latency[i])
			return "a latency must be from 0.1 to 6553.5 ns";
	return NULL;
}

int keel_nl_matrix_load_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *nodes = info->attrs[KEEL_A_NODES];
	struct nlattr *latency = info->attrs[KEEL_A_LATENCY];
	int err = keel_nl_may_change(skb, info);
	const char *why;
	u32 nr;

	if (err)
		return err;
	if (!nodes && !latency) {
		keel_matrix_forget();
		return 0;
	}
	nr = nodes ? nla_len(nodes) / sizeof(u32) : 0;
	why = nr ? keel_matrix_check_nodes(nla_data(nodes), nr) :
		   "a matrix needs its nodes";
	if (!why && (!latency || nla_len(latency) != nr * nr * sizeof(u16) ||
		     nla_len(nodes) != nr * sizeof(u32)))
		why = "a matrix needs a row and a column for each of its nodes";
	if (!why)
		why = keel_matrix_check_latency(nla_data(latency), nr * nr);
	if (why)
		return keel_nl_bad(info, -EINVAL, why);
	return keel_matrix_load(nla_data(nodes), nr, nla_data(latency));
}
