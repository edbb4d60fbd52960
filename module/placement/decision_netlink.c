// SPDX-License-Identifier: GPL-2.0
/* The last decision over netlink, whole, so that it can be made again elsewhere. */
#include <uapi/linux/keel.h>

#include "core/netlink.h"
#include "placement/control.h"

static int keel_decision_fill_params(struct sk_buff *skb,
				     const struct keel_decision *d)
{
	const struct place_params *p = &d->params;

	if (keel_nl_put_u64(skb, KEEL_A_DECISION_PERIOD,
			    keel_place.counts.periods) ||
	    nla_put_u32(skb, KEEL_A_DECISION_SMT_GAIN, p->smt_gain) ||
	    nla_put_u32(skb, KEEL_A_DECISION_MISS_FLOOR, p->miss_floor) ||
	    nla_put_u32(skb, KEEL_A_DECISION_PARALLEL, p->parallel) ||
	    keel_nl_put_u64(skb, KEEL_A_DECISION_HORIZON_NS, p->horizon_ns) ||
	    nla_put_u32(skb, KEEL_A_DECISION_MOVE_NS, p->move_ns) ||
	    nla_put_u32(skb, KEEL_A_DECISION_EFFORT, p->effort) ||
	    nla_put_u32(skb, KEEL_A_DECISION_SEED, p->seed) ||
	    nla_put_u32(skb, KEEL_A_DECISION_HIT, d->host.hit) ||
	    nla_put_u32(skb, KEEL_A_DECISION_NR_NODES, d->host.nr_nodes) ||
	    nla_put_u32(skb, KEEL_A_DECISION_NR_VMS, d->load.nr_vms) ||
	    nla_put_u32(skb, KEEL_A_DECISION_NR_TASKS, d->load.nr_tasks))
		return -EMSGSIZE;
	return 0;
}

static int keel_decision_fill_host(struct sk_buff *skb,
				   const struct place_host *h)
{
	u32 i;

	if (keel_nl_put_latency(skb, KEEL_A_DECISION_LATENCY, h->latency,
				h->nr_nodes * h->nr_nodes))
		return -EMSGSIZE;
	for (i = 0; i < h->nr_sites; i++) {
		const struct place_site *s = &h->site[i];
		const struct keel_place_site site = {
			.node = s->node,
			.cores = s->cores,
			.cpus = s->cpus,
			.cache_kib = s->cache_kib,
			.foreign = s->foreign,
		};

		if (nla_put(skb, KEEL_A_DECISION_SITE, sizeof(site), &site))
			return -EMSGSIZE;
	}
	return 0;
}

static int keel_decision_fill(struct sk_buff *skb, const void *obj)
{
	const struct keel_decision *d = obj;
	struct nlattr *nest = nla_nest_start(skb, KEEL_A_DECISION);

	if (!nest)
		return -EMSGSIZE;
	if (keel_decision_fill_params(skb, d) ||
	    keel_decision_fill_host(skb, &d->host) ||
	    nla_put(skb, KEEL_A_DECISION_ROOM,
		    d->host.nr_nodes * sizeof(*d->room), d->room)) {
		nla_nest_cancel(skb, nest);
		return -EMSGSIZE;
	}
	nla_nest_end(skb, nest);
	return 0;
}

static struct keel_place_memory keel_decision_memory_of(const struct place_memory *m)
{
	return (struct keel_place_memory){
		.from = m->from,
		.kib = m->kib,
		.to = m->to,
	};
}

static int keel_decision_fill_task(struct sk_buff *skb, const void *obj)
{
	const struct keel_decision *d = &keel_place.last;
	u32 i = *(const u32 *)obj, nodes = d->host.nr_nodes;
	const struct place_task *t = &d->task[i];
	struct nlattr *nest = nla_nest_start(skb, KEEL_A_DECISION), *nla;
	struct keel_place_task *task;
	u32 *row;

	if (!nest)
		return -EMSGSIZE;
	nla = nla_reserve(skb, KEEL_A_DECISION_TASK,
			  sizeof(*task) + 2 * nodes * sizeof(u32));
	if (!nla) {
		nla_nest_cancel(skb, nest);
		return -EMSGSIZE;
	}
	task = nla_data(nla);
	*task = (struct keel_place_task){
		.vm = t->vm,
		.shared_kib = d->shared_kib[t->vm],
		.util = t->util,
		.site = t->site,
		.inertia = t->inertia,
		.ours = d->ours[i],
		.plan = d->plan[i],
		.mems = d->may[i],
		.own = keel_decision_memory_of(&d->own[i]),
		.shared = keel_decision_memory_of(&d->shared[t->vm]),
	};
	memcpy(task->allowed, t->allowed, sizeof(task->allowed));
	row = (u32 *)(task + 1);
	memcpy(row, &d->touched[i * nodes], nodes * sizeof(u32));
	memcpy(row + nodes, &d->shared_at[t->vm * nodes], nodes * sizeof(u32));
	nla_nest_end(skb, nest);
	return 0;
}

/* args[0]: messages that were sent; args[1]: the decision they were of. */
int keel_nl_place_decision_get_dumpit(struct sk_buff *skb,
				      struct netlink_callback *cb)
{
	const struct keel_decision *d = &keel_place.last;
	int err = 0;
	u32 i;

	mutex_lock(&keel_place.lock);
	if (!cb->args[0])
		cb->args[1] = keel_place.counts.periods;
	if (!d->load.nr_tasks || cb->args[1] != keel_place.counts.periods) {
		mutex_unlock(&keel_place.lock);
		return -EAGAIN;
	}
	while (!err && cb->args[0] <= d->load.nr_tasks) {
		i = cb->args[0] - 1;
		err = cb->args[0] ?
		      keel_nl_dump_one(skb, cb, KEEL_CMD_PLACE_DECISION_GET,
				       keel_decision_fill_task, &i) :
		      keel_nl_dump_one(skb, cb, KEEL_CMD_PLACE_DECISION_GET,
				       keel_decision_fill, d);
		if (!err)
			cb->args[0]++;
	}
	mutex_unlock(&keel_place.lock);
	return skb->len ?: err;
}
