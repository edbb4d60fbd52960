// SPDX-License-Identifier: GPL-2.0
/* Placement over netlink: shown, started, stopped, explained, announced. */
#include <linux/slab.h>

#include "core/netlink.h"
#include "core/trace.h"
#include "core/vm.h"
#include "placement/control.h"

#define PERIOD_MS_MIN		10
#define PERIOD_MS_MAX		600000
#define SAMPLES_MAX		65536

#define KEEL_WHY_NOT_PLACED \
	"that vCPU was not part of the last decision: its VM is off, or somebody else has set its affinity"

static const struct keel_place_options keel_place_usual = {
	.period_ms = 1000,
	.temper = KEEL_PLACE_TEMPER_NORMAL,
	.grain = KEEL_PLACE_GRAIN_SITE,
	.samples = 1024,
	.memory_mib = 0,
};

static int keel_place_fill_site(struct sk_buff *skb,
				const struct keel_topology *topo, u32 site)
{
	const struct keel_decision *d = &keel_place.last;
	struct nlattr *nest = nla_nest_start(skb, KEEL_A_PLACE_SITE);
	const struct place_site *s = d->site ? &d->site[site] :
					       &topo->site[site];
	char cpus[128];

	scnprintf(cpus, sizeof(cpus), "%*pbl", cpumask_pr_args(topo->cpus[site]));
	if (!nest ||
	    nla_put_u32(skb, KEEL_A_SITE_INDEX, site) ||
	    nla_put_u32(skb, KEEL_A_SITE_NODE, topo->node[s->node]) ||
	    nla_put_string(skb, KEEL_A_SITE_CPUS, cpus) ||
	    nla_put_u32(skb, KEEL_A_SITE_CORES, s->cores) ||
	    nla_put_u32(skb, KEEL_A_SITE_CACHE_KIB, s->cache_kib) ||
	    nla_put_u32(skb, KEEL_A_SITE_FOREIGN, s->foreign))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static int keel_place_fill_options(struct sk_buff *skb)
{
	const struct keel_place_options *o = &keel_place.options;
	const struct keel_place_counts *c = &keel_place.counts;

	if ((keel_place.running && nla_put_flag(skb, KEEL_A_PLACE_RUNNING)) ||
	    nla_put_u32(skb, KEEL_A_PLACE_PERIOD_MS, o->period_ms) ||
	    nla_put_u32(skb, KEEL_A_PLACE_TEMPER, o->temper) ||
	    nla_put_u32(skb, KEEL_A_PLACE_GRAIN, o->grain) ||
	    nla_put_u32(skb, KEEL_A_PLACE_SAMPLES, o->samples) ||
	    nla_put_u32(skb, KEEL_A_PLACE_MEMORY_MIB, o->memory_mib) ||
	    keel_nl_put_u64(skb, KEEL_A_PLACE_CARRIED_KIB, c->carried_kib) ||
	    keel_nl_put_u64(skb, KEEL_A_PLACE_STUCK, c->stuck) ||
	    nla_put_u32(skb, KEEL_A_PLACE_SOURCE, keel_place.matrix.source) ||
	    keel_nl_put_u64(skb, KEEL_A_PLACE_PERIODS, c->periods) ||
	    keel_nl_put_u64(skb, KEEL_A_PLACE_MOVES, c->moves) ||
	    keel_nl_put_u64(skb, KEEL_A_PLACE_LEFT, c->left) ||
	    keel_nl_put_u64(skb, KEEL_A_PLACE_SAMPLED, c->sampled) ||
	    keel_nl_put_u64(skb, KEEL_A_PLACE_UNMAPPED, c->unmapped) ||
	    keel_nl_put_u64(skb, KEEL_A_PLACE_DECIDE_NS, c->decide_ns) ||
	    keel_nl_put_u64(skb, KEEL_A_PLACE_OBSERVE_NS, c->observe_ns))
		return -EMSGSIZE;
	return 0;
}

/* All fill functions here: keel_place.lock is held. */
static int keel_place_fill(struct sk_buff *skb, const void *obj)
{
	const struct keel_topology *topo = keel_place.topology;
	struct nlattr *nest = nla_nest_start(skb, KEEL_A_PLACE);
	int err;
	u32 i;

	if (!nest)
		return -EMSGSIZE;
	err = keel_place_fill_options(skb);
	if (!err && keel_place.running && topo) {
		err = nla_put(skb, KEEL_A_PLACE_NODES,
			      topo->nr_nodes * sizeof(u32), topo->node);
		for (i = 0; !err && i < topo->nr; i++)
			err = keel_place_fill_site(skb, topo, i);
	}
	if (err) {
		nla_nest_cancel(skb, nest);
		return err;
	}
	nla_nest_end(skb, nest);
	return 0;
}

/* Into attribute @attr of a thread or a VM, if there is anything to say. */
static int keel_memory_fill(struct sk_buff *skb, int attr,
			    const struct place_memory *m)
{
	struct nlattr *nest;

	if (!m->from)
		return 0;
	nest = nla_nest_start(skb, attr);
	if (!nest ||
	    keel_nl_put_u64(skb, KEEL_A_MEMORY_FROM, m->from) ||
	    nla_put_u32(skb, KEEL_A_MEMORY_TO,
			keel_place.topology->node[m->to]) ||
	    nla_put_u32(skb, KEEL_A_MEMORY_KIB, m->kib) ||
	    nla_put_s64(skb, KEEL_A_MEMORY_SAVES, m->saves, 0) ||
	    nla_put_s64(skb, KEEL_A_MEMORY_COPY, m->copy, 0))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static int keel_thread_fill_plan(struct sk_buff *skb,
				 const struct keel_thread *t)
{
	const struct keel_decision *d = &keel_place.last;
	const u16 *plan;

	if (t->slot == U32_MAX)
		return 0;
	plan = t->vm->mode == KEEL_PLACE_MODE_ADVISE ? d->advice : d->plan;
	if (nla_put_u32(skb, KEEL_A_THREAD_SITE, d->from[t->slot]) ||
	    nla_put_u32(skb, KEEL_A_THREAD_PLAN, plan[t->slot]) ||
	    nla_put_u32(skb, KEEL_A_THREAD_EXPECTED, d->expected[t->slot]))
		return -EMSGSIZE;
	return keel_memory_fill(skb, KEEL_A_THREAD_MEMORY, &d->own[t->slot]);
}

static int keel_thread_fill(struct sk_buff *skb, const struct keel_thread *t)
{
	const struct keel_topology *topo = keel_place.topology;
	struct nlattr *nest = nla_nest_start(skb, KEEL_A_PLACE_VM_THREAD);
	struct place_task now;
	struct nlattr *touched;
	u32 i, *kib;

	track_task(&t->track, &track_defaults, 0, &now);
	if (!nest ||
	    nla_put_u32(skb, KEEL_A_THREAD_KIND, t->kind) ||
	    nla_put_u32(skb, KEEL_A_THREAD_INDEX, t->index) ||
	    nla_put_u32(skb, KEEL_A_THREAD_TID, t->task->pid) ||
	    nla_put_string(skb, KEEL_A_THREAD_COMM, t->task->comm) ||
	    nla_put_u32(skb, KEEL_A_THREAD_STATE, t->state) ||
	    nla_put_u32(skb, KEEL_A_THREAD_UTIL, now.util) ||
	    nla_put_u32(skb, KEEL_A_THREAD_MOVES, t->moves) ||
	    keel_thread_fill_plan(skb, t))
		return -EMSGSIZE;
	touched = nla_reserve(skb, KEEL_A_THREAD_TOUCHED,
			      topo->nr_nodes * sizeof(u32));
	if (!touched)
		return -EMSGSIZE;
	kib = nla_data(touched);
	for (i = 0; i < topo->nr_nodes; i++)
		kib[i] = t->average[topo->node[i]];
	nla_nest_end(skb, nest);
	return 0;
}

/* A thread with what there is to say of its VM, or a VM that has none. */
struct keel_place_vm_part {
	const struct keel_place_vm *pv;
	const struct keel_thread *t;
};

static int keel_place_vm_fill(struct sk_buff *skb, const void *obj)
{
	const struct keel_place_vm_part *part = obj;
	const struct keel_place_vm *pv = part->pv;
	struct nlattr *nest = nla_nest_start(skb, KEEL_A_PLACE_VM);
	u32 tgid = keel_vm_holder(pv->vm, NULL);
	int err = 0;

	if (!nest)
		return -EMSGSIZE;
	if (nla_put_u32(skb, KEEL_A_PLACE_VM_ID, pv->vm->id) ||
	    nla_put_u32(skb, KEEL_A_PLACE_VM_PID, tgid) ||
	    nla_put_u32(skb, KEEL_A_PLACE_VM_MODE, pv->mode) ||
	    nla_put_u32(skb, KEEL_A_PLACE_VM_SHARED_KIB, pv->shared_kib))
		err = -EMSGSIZE;
	if (!err && pv->slot < keel_place.last.load.nr_vms)
		err = keel_memory_fill(skb, KEEL_A_PLACE_VM_MEMORY,
				       &keel_place.last.shared[pv->slot]);
	if (!err && part->t)
		err = keel_thread_fill(skb, part->t);
	if (err) {
		nla_nest_cancel(skb, nest);
		return err;
	}
	nla_nest_end(skb, nest);
	return 0;
}

/* The threads of a VM but for the first *told. */
static int keel_place_vm_dump(struct sk_buff *skb, struct netlink_callback *cb,
			      const struct keel_place_vm *pv, long *told)
{
	struct keel_place_vm_part part = { .pv = pv };
	long i = 0;
	int err = 0;

	if (list_empty(&pv->threads))
		return keel_nl_dump_one(skb, cb, KEEL_CMD_PLACE_VM_GET,
					keel_place_vm_fill, &part);
	list_for_each_entry(part.t, &pv->threads, node) {
		if (i++ < *told)
			continue;
		err = keel_nl_dump_one(skb, cb, KEEL_CMD_PLACE_VM_GET,
				       keel_place_vm_fill, &part);
		if (err)
			return err;
		++*told;
	}
	return 0;
}

/* The VM a request is about; -errno and a sentence if there is none. */
static struct keel_place_vm *keel_nl_place_vm(struct genl_info *info)
{
	struct nlattr *id = info->attrs[KEEL_A_ID];
	struct keel_place_vm *pv;

	lockdep_assert_held(&keel_place.lock);
	if (GENL_REQ_ATTR_CHECK(info, KEEL_A_ID)) {
		GENL_SET_ERR_MSG(info, "say which VM by its id (keel vm list)");
		return ERR_PTR(-EINVAL);
	}
	if (!keel_place.running) {
		GENL_SET_ERR_MSG(info, "nothing is placed: 'keel place start' begins it");
		return ERR_PTR(-EPROTO);
	}
	list_for_each_entry(pv, &keel_place.vms, node)
		if (pv->vm->id == nla_get_u32(id))
			return pv;
	NL_SET_ERR_MSG_ATTR(info->extack, id,
			    "placement knows no VM of that id, or not yet (keel vm list)");
	return ERR_PTR(-ENOENT);
}

int keel_nl_place_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	int err;

	mutex_lock(&keel_place.lock);
	err = keel_nl_reply(info, KEEL_CMD_PLACE_GET, keel_place_fill, NULL);
	mutex_unlock(&keel_place.lock);
	return err;
}

/* args[0]: the VM that is being told, args[1]: how many of its threads were. */
int keel_nl_place_vm_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct keel_place_vm *pv;
	int err = 0;

	mutex_lock(&keel_place.lock);
	list_for_each_entry(pv, &keel_place.vms, node) {
		if (pv->vm->id < cb->args[0] || !keel_place.topology)
			continue;
		if (pv->vm->id > cb->args[0])
			cb->args[1] = 0;
		cb->args[0] = pv->vm->id;
		err = keel_place_vm_dump(skb, cb, pv, &cb->args[1]);
		if (err)
			break;
		cb->args[0]++;
		cb->args[1] = 0;
	}
	mutex_unlock(&keel_place.lock);
	return skb->len ?: err;
}

int keel_nl_place_start_doit(struct sk_buff *skb, struct genl_info *info)
{
	const struct keel_place_options *u = &keel_place_usual;
	struct keel_place_options o = {
		.period_ms = keel_nl_u32(info, KEEL_A_PERIOD_MS, u->period_ms),
		.temper = keel_nl_u32(info, KEEL_A_TEMPER, u->temper),
		.grain = keel_nl_u32(info, KEEL_A_GRAIN, u->grain),
		.samples = keel_nl_u32(info, KEEL_A_SAMPLES, u->samples),
		.memory_mib = keel_nl_u32(info, KEEL_A_MEMORY_MIB,
					  u->memory_mib),
	};
	int err = keel_nl_may_change(skb, info);

	if (err)
		return err;
	if (o.period_ms < PERIOD_MS_MIN || o.period_ms > PERIOD_MS_MAX) {
		GENL_SET_ERR_MSG(info, "a period must be from 10 ms to 10 minutes");
		return -EINVAL;
	}
	if (!o.samples || o.samples > SAMPLES_MAX) {
		GENL_SET_ERR_MSG(info, "there must be from 1 to 65536 samples in a period");
		return -EINVAL;
	}
	err = keel_place_start(&o);
	if (err)
		GENL_SET_ERR_MSG(info, "keel is being unloaded");
	return err;
}

int keel_nl_place_stop_doit(struct sk_buff *skb, struct genl_info *info)
{
	int err = keel_nl_may_change(skb, info);

	if (err)
		return err;
	err = keel_place_stop();
	if (err)
		GENL_SET_ERR_MSG(info, "nothing was placed");
	return err;
}

int keel_nl_place_mode_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct keel_place_vm *pv;
	int err = keel_nl_may_change(skb, info);

	if (err)
		return err;
	if (GENL_REQ_ATTR_CHECK(info, KEEL_A_MODE)) {
		GENL_SET_ERR_MSG(info, "say how: on, advise or off");
		return -EINVAL;
	}
	mutex_lock(&keel_place.lock);
	pv = keel_nl_place_vm(info);
	err = PTR_ERR_OR_ZERO(pv);
	if (!err)
		keel_place_set_mode(pv, nla_get_u32(info->attrs[KEEL_A_MODE]));
	mutex_unlock(&keel_place.lock);
	return err;
}

static int keel_reason_fill_one(struct sk_buff *skb, u32 task, u32 site)
{
	const struct keel_decision *d = &keel_place.last;
	struct nlattr *nest = nla_nest_start(skb, KEEL_A_PLACE_VM_REASON);
	struct place_reason r;

	place_explain(&d->host, &d->load, &d->params, d->workspace, d->plan,
		      task, site, &r);
	if (!nest ||
	    nla_put_u32(skb, KEEL_A_REASON_SITE, site) ||
	    (place_allowed(&d->task[task], site) &&
	     nla_put_flag(skb, KEEL_A_REASON_ALLOWED)) ||
	    nla_put_u32(skb, KEEL_A_REASON_MEMORY, r.memory) ||
	    nla_put_u32(skb, KEEL_A_REASON_MISS, r.miss) ||
	    nla_put_u32(skb, KEEL_A_REASON_SLOWDOWN, r.slowdown) ||
	    nla_put_u32(skb, KEEL_A_REASON_EXPECTED, r.expected) ||
	    nla_put_s64(skb, KEEL_A_REASON_OTHERS, r.others, 0) ||
	    nla_put_s64(skb, KEEL_A_REASON_MOVE, r.move, 0))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static int keel_reasons_fill(struct sk_buff *skb, const void *obj)
{
	const struct keel_thread *t = obj;
	struct nlattr *nest = nla_nest_start(skb, KEEL_A_PLACE_VM);
	int err;
	u32 i;

	if (!nest)
		return -EMSGSIZE;
	err = nla_put_u32(skb, KEEL_A_PLACE_VM_ID, t->vm->vm->id);
	for (i = 0; !err && i < keel_place.last.host.nr_sites; i++)
		err = keel_reason_fill_one(skb, t->slot, i);
	if (err) {
		nla_nest_cancel(skb, nest);
		return err;
	}
	nla_nest_end(skb, nest);
	return 0;
}

static struct keel_thread *keel_nl_place_vcpu(struct genl_info *info,
					      struct keel_place_vm *pv)
{
	struct nlattr *vcpu = info->attrs[KEEL_A_VCPU];
	struct keel_thread *t;

	if (GENL_REQ_ATTR_CHECK(info, KEEL_A_VCPU)) {
		GENL_SET_ERR_MSG(info, "say which vCPU");
		return ERR_PTR(-EINVAL);
	}
	list_for_each_entry(t, &pv->threads, node) {
		if (t->kind != KEEL_PLACE_KIND_VCPU ||
		    t->index != nla_get_u32(vcpu))
			continue;
		if (t->slot != U32_MAX)
			return t;
		NL_SET_ERR_MSG_ATTR(info->extack, vcpu, KEEL_WHY_NOT_PLACED);
		return ERR_PTR(-EPROTO);
	}
	NL_SET_ERR_MSG_ATTR(info->extack, vcpu, "the VM has no such vCPU");
	return ERR_PTR(-ENOENT);
}

int keel_nl_place_explain_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct keel_place_vm *pv;
	struct keel_thread *t;
	int err;

	mutex_lock(&keel_place.lock);
	pv = keel_nl_place_vm(info);
	t = IS_ERR(pv) ? ERR_CAST(pv) : keel_nl_place_vcpu(info, pv);
	err = PTR_ERR_OR_ZERO(t);
	if (!err)
		err = keel_nl_reply(info, KEEL_CMD_PLACE_EXPLAIN,
				    keel_reasons_fill, t);
	mutex_unlock(&keel_place.lock);
	return err;
}

static int keel_move_fill_way(struct sk_buff *skb, const struct keel_thread *t)
{
	const struct keel_topology *topo = keel_place.topology;
	const struct keel_decision *d = &keel_place.last;
	u32 from = d->from[t->slot], to = d->plan[t->slot];

	if (nla_put_u32(skb, KEEL_A_MOVE_FROM_SITE, from) ||
	    nla_put_u32(skb, KEEL_A_MOVE_TO_SITE, to) ||
	    nla_put_u32(skb, KEEL_A_MOVE_FROM_NODE,
			topo->node[topo->site[from].node]) ||
	    nla_put_u32(skb, KEEL_A_MOVE_TO_NODE,
			topo->node[topo->site[to].node]) ||
	    nla_put_u32(skb, KEEL_A_MOVE_EXPECTED, d->expected[t->slot]))
		return -EMSGSIZE;
	return 0;
}

static int keel_move_fill(struct sk_buff *skb, const void *obj)
{
	const struct keel_thread *t = obj;
	struct nlattr *nest = nla_nest_start(skb, KEEL_A_MOVE);

	if (!nest)
		return -EMSGSIZE;
	if (nla_put_u32(skb, KEEL_A_MOVE_VM, t->vm->vm->id) ||
	    nla_put_u32(skb, KEEL_A_MOVE_KIND, t->kind) ||
	    nla_put_u32(skb, KEEL_A_MOVE_INDEX, t->index) ||
	    nla_put_u32(skb, KEEL_A_MOVE_TID, t->task->pid) ||
	    (t->state == KEEL_PLACE_STATE_LEFT ?
	     nla_put_flag(skb, KEEL_A_MOVE_LEFT) :
	     keel_move_fill_way(skb, t))) {
		nla_nest_cancel(skb, nest);
		return -EMSGSIZE;
	}
	nla_nest_end(skb, nest);
	return 0;
}

/**
 * keel_place_announce - tell of a thread that was sent elsewhere, or left alone
 * @t: the thread, of which the last decision has an opinion unless it is left
 *
 * Context: may sleep; keel_place.lock is held.
 */
void keel_place_announce(const struct keel_thread *t)
{
	const struct keel_topology *topo = keel_place.topology;
	const struct keel_decision *d = &keel_place.last;
	bool left = t->state == KEEL_PLACE_STATE_LEFT;
	u32 from = 0, to = 0;

	lockdep_assert_held(&keel_place.lock);
	if (!left) {
		from = d->from[t->slot];
		to = d->plan[t->slot];
	}
	trace_keel_place_move(t->vm->vm->id, t->task->pid, from, to,
			      topo->node[topo->site[from].node],
			      topo->node[topo->site[to].node],
			      left ? 0 : d->expected[t->slot], left);
	keel_nl_notify(KEEL_CMD_PLACE_MOVE_NTF, keel_move_fill, t);
}
