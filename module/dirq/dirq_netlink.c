// SPDX-License-Identifier: GPL-2.0
/* Directed interrupts over netlink: shown and set. */
#include <linux/irq.h>
#include <linux/pci.h>

#include "core/netlink.h"
#include "core/vm.h"
#include "dirq/table.h"

#define KEEL_WHAT_TO_DO \
	"say what to do: steer, watch or off, or where an interrupt goes whose target does not run"
#define KEEL_INTERRUPTED \
	"interrupted: threads that are busy let go as soon as they can"
#define KEEL_NO_TRACEPOINT \
	"this kernel has no tracepoint irq_handler_entry: interrupts cannot be seen"

#define KEEL_NO_TABLE \
	"nothing is known of that VM: 'keel irq steer watch' or 'on' comes first"
#define KEEL_OF_A_VM \
	"'inherit' is for a VM or a vCPU of it: say which"
#define KEEL_VCPU_OF \
	"say of which VM"
#define KEEL_MODE_OF_VCPU \
	"a vCPU has a fallback of its own, but not a mode"
#define KEEL_ROUTE_WHAT \
	"say for which VM, and give the source's and the sink's file descriptors"

/* All fill functions here: keel_dirq.lock is held. */
static int keel_irq_fill(struct sk_buff *skb, const void *obj)
{
	struct nlattr *nest = nla_nest_start(skb, KEEL_A_IRQ);
	u32 vms = 0, targets = 0, routes = 0, heard, offered = keel_offer_told(&heard);
	struct keel_irq_table *table;
	struct keel_route *r;

	list_for_each_entry(table, &keel_dirq.tables, node) {
		vms++;
		targets += table->nr;
		list_for_each_entry(r, &table->routes, node)
			routes += !!READ_ONCE(r->seen_irq);
	}
	if (!nest)
		return -EMSGSIZE;
	if (nla_put_u32(skb, KEEL_A_IRQ_MODE, keel_dirq.mode) ||
	    nla_put_u32(skb, KEEL_A_IRQ_FALLBACK, keel_dirq.fallback) ||
	    nla_put_u32(skb, KEEL_A_IRQ_VMS, vms) ||
	    nla_put_u32(skb, KEEL_A_IRQ_TARGETS, targets) ||
	    nla_put_u32(skb, KEEL_A_IRQ_ROUTES, routes) ||
	    keel_nl_put_u64(skb, KEEL_A_IRQ_AIMS, keel_dirq.aims) ||
	    nla_put_u32(skb, KEEL_A_IRQ_OFFERED, offered) ||
	    nla_put_u32(skb, KEEL_A_IRQ_HEARD, heard)) {
		nla_nest_cancel(skb, nest);
		return -EMSGSIZE;
	}
	nla_nest_end(skb, nest);
	return 0;
}

/* One of a table's targets, or of its routes. */
struct keel_irq_part {
	struct keel_irq_table *table;
	struct keel_route *route;
	struct keel_source *source;
	u32 pid;
	unsigned int i;
};

static int keel_irq_target_fill(struct sk_buff *skb, const void *obj)
{
	const struct keel_irq_part *part = obj;
	const struct keel_irq_entry *e = keel_irq_table_entry(part->table, part->i);
	struct nlattr *nest = nla_nest_start(skb, KEEL_A_IRQ_TARGET);
	u64 where = keel_irq_where(part->table, part->i);
	u32 tid = READ_ONCE(e->tid);

	if (!nest)
		return -EMSGSIZE;
	if (nla_put_u32(skb, KEEL_A_IRQ_TARGET_VM, part->table->vm->id) ||
	    nla_put_u32(skb, KEEL_A_IRQ_TARGET_PID, part->pid) ||
	    nla_put_u32(skb, KEEL_A_IRQ_TARGET_VCPU, e->vcpu_id) ||
	    nla_put_u32(skb, KEEL_A_IRQ_TARGET_APIC, e->apic_id) ||
	    (tid && nla_put_u32(skb, KEEL_A_IRQ_TARGET_TID, tid)) ||
	    nla_put_u32(skb, KEEL_A_IRQ_TARGET_CPU, KEEL_IRQ_CPU(where)) ||
	    nla_put_u32(skb, KEEL_A_IRQ_TARGET_NODE, KEEL_IRQ_NODE(where)) ||
	    nla_put_u32(skb, KEEL_A_IRQ_TARGET_STATE, KEEL_IRQ_STATE(where)) ||
	    nla_put_u32(skb, KEEL_A_IRQ_TARGET_SEQ, KEEL_IRQ_SEQ(where)) ||
	    keel_nl_put_u64(skb, KEEL_A_IRQ_TARGET_MOVES, READ_ONCE(e->moves)) ||
	    nla_put_u32(skb, KEEL_A_IRQ_TARGET_MODE, part->table->steered ?
			KEEL_IRQ_MODE_STEER : KEEL_IRQ_MODE_WATCH) ||
	    nla_put_u32(skb, KEEL_A_IRQ_TARGET_FALLBACK,
			keel_dirq_fallback(part->table, part->i)) ||
	    nla_put_u32(skb, KEEL_A_IRQ_TARGET_POSTED, part->table->posted)) {
		nla_nest_cancel(skb, nest);
		return -EMSGSIZE;
	}
	nla_nest_end(skb, nest);
	return 0;
}

static int keel_route_fill_counts(struct sk_buff *skb,
				  const struct keel_route_counts __percpu *counts,
				  u64 aims, u64 refused)
{
	struct keel_route_counts c;

	keel_irq_sum(counts, &c);
	if (keel_nl_put_u64(skb, KEEL_A_IRQ_ROUTE_TOTAL, c.total) ||
	    keel_nl_put_u64(skb, KEEL_A_IRQ_ROUTE_DIRECT, c.direct) ||
	    keel_nl_put_u64(skb, KEEL_A_IRQ_ROUTE_NEAR, c.near) ||
	    keel_nl_put_u64(skb, KEEL_A_IRQ_ROUTE_FAR, c.far) ||
	    keel_nl_put_u64(skb, KEEL_A_IRQ_ROUTE_HALTED, c.halted) ||
	    keel_nl_put_u64(skb, KEEL_A_IRQ_ROUTE_PREEMPTED, c.preempted) ||
	    keel_nl_put_u64(skb, KEEL_A_IRQ_ROUTE_PAUSED, c.paused) ||
	    keel_nl_put_u64(skb, KEEL_A_IRQ_ROUTE_HOME, c.home) ||
	    keel_nl_put_u64(skb, KEEL_A_IRQ_ROUTE_AIMS, aims) ||
	    keel_nl_put_u64(skb, KEEL_A_IRQ_ROUTE_REFUSED, refused))
		return -EMSGSIZE;
	return 0;
}

static int keel_route_fill(struct sk_buff *skb, const void *obj)
{
	const struct keel_irq_part *part = obj;
	struct keel_route *r = part->route;
	struct nlattr *nest = nla_nest_start(skb, KEEL_A_IRQ_ROUTE);
	struct pci_dev *dev;
	u32 irq, vcpu = 0, programmed = 0;

	if (!nest)
		return -EMSGSIZE;
	dev = keel_route_seen(r, &irq);
	if (r->target >= 0)
		vcpu = keel_irq_table_entry(part->table, r->target)->vcpu_id;
	if (r->nested)
		programmed = keel_irq_table_entry(part->table, r->programmed)->vcpu_id;
	if (nla_put_u32(skb, KEEL_A_IRQ_ROUTE_VM, part->table->vm->id) ||
	    nla_put_u32(skb, KEEL_A_IRQ_ROUTE_PID, part->pid) ||
	    nla_put_u32(skb, KEEL_A_IRQ_ROUTE_GSI, r->gsi) ||
	    nla_put_u32(skb, KEEL_A_IRQ_ROUTE_IRQ, irq) ||
	    (dev && nla_put_string(skb, KEEL_A_IRQ_ROUTE_DEVICE, pci_name(dev))) ||
	    nla_put_u32(skb, KEEL_A_IRQ_ROUTE_DEST, r->dest) ||
	    nla_put_u32(skb, KEEL_A_IRQ_ROUTE_VECTOR, r->message.vector) ||
	    (r->target >= 0 && nla_put_u32(skb, KEEL_A_IRQ_ROUTE_VCPU, vcpu)) ||
	    (r->nested &&
	     nla_put_u32(skb, KEEL_A_IRQ_ROUTE_PROGRAMMED, programmed)) ||
	    nla_put_u32(skb, KEEL_A_IRQ_ROUTE_TARGETS, r->targets) ||
	    nla_put_u32(skb, KEEL_A_IRQ_ROUTE_AIM, r->aim) ||
	    (r->aim_cpu >= 0 && nla_put_u32(skb, KEEL_A_IRQ_ROUTE_CPU, r->aim_cpu)) ||
	    keel_route_fill_counts(skb, r->counts, r->aims, r->refused)) {
		nla_nest_cancel(skb, nest);
		return -EMSGSIZE;
	}
	nla_nest_end(skb, nest);
	return 0;
}

static int keel_source_fill(struct sk_buff *skb, const void *obj)
{
	const struct keel_irq_part *part = obj;
	const struct keel_source *s = part->source;
	struct nlattr *nest = nla_nest_start(skb, KEEL_A_IRQ_ROUTE);
	u32 aim = KEEL_IRQ_AIM_IDLE, vcpu = 0;
	u64 where;

	if (!nest)
		return -EMSGSIZE;
	if (s->target < 0) {
		aim = KEEL_IRQ_AIM_NOBODY;
	} else {
		vcpu = keel_irq_table_entry(part->table, s->target)->vcpu_id;
		where = keel_irq_where(part->table, s->target);
		if (part->table->steered)
			aim = KEEL_IRQ_STATE(where) == KEEL_IRQ_STATE_RUNNING ?
			      KEEL_IRQ_AIM_CPU : KEEL_IRQ_AIM_FALLBACK;
	}
	if (nla_put_u32(skb, KEEL_A_IRQ_ROUTE_VM, s->vm->id) ||
	    nla_put_u32(skb, KEEL_A_IRQ_ROUTE_PID, part->pid) ||
	    nla_put_u32(skb, KEEL_A_IRQ_ROUTE_ID, s->id) ||
	    nla_put_u32(skb, KEEL_A_IRQ_ROUTE_GSI, s->route.gsi) ||
	    nla_put_u32(skb, KEEL_A_IRQ_ROUTE_DEST, s->route.dest) ||
	    nla_put_u32(skb, KEEL_A_IRQ_ROUTE_VECTOR, s->route.vector) ||
	    (s->target >= 0 && nla_put_u32(skb, KEEL_A_IRQ_ROUTE_VCPU, vcpu)) ||
	    nla_put_u32(skb, KEEL_A_IRQ_ROUTE_TARGETS, s->route.targets) ||
	    nla_put_u32(skb, KEEL_A_IRQ_ROUTE_AIM, aim) ||
	    keel_route_fill_counts(skb, s->counts, 0, 0)) {
		nla_nest_cancel(skb, nest);
		return -EMSGSIZE;
	}
	nla_nest_end(skb, nest);
	return 0;
}

/* @obj: an explicit route's id. */
static int keel_source_fill_id(struct sk_buff *skb, const void *obj)
{
	struct nlattr *nest = nla_nest_start(skb, KEEL_A_IRQ_ROUTE);

	if (!nest)
		return -EMSGSIZE;
	if (nla_put_u32(skb, KEEL_A_IRQ_ROUTE_ID, *(const u32 *)obj)) {
		nla_nest_cancel(skb, nest);
		return -EMSGSIZE;
	}
	nla_nest_end(skb, nest);
	return 0;
}

int keel_nl_irq_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	int err;

	mutex_lock(&keel_dirq.lock);
	err = keel_nl_reply(info, KEEL_CMD_IRQ_GET, keel_irq_fill, NULL);
	mutex_unlock(&keel_dirq.lock);
	return err;
}

static int keel_irq_set_host(struct genl_info *info, u32 mode, u32 fallback)
{
	int err;

	if (info->attrs[KEEL_A_VCPU])
		return keel_nl_bad(info, -EINVAL, KEEL_VCPU_OF);
	if (fallback == KEEL_IRQ_FALLBACK_INHERIT)
		return keel_nl_bad(info, -EINVAL, KEEL_OF_A_VM);
	err = keel_dirq_set(mode, fallback);
	if (err == -ESHUTDOWN)
		keel_nl_bad(info, err, "keel is being unloaded");
	else if (err == -ENOENT)
		keel_nl_bad(info, err, KEEL_NO_TRACEPOINT);
	else if (err == -EINTR)
		keel_nl_bad(info, err, KEEL_INTERRUPTED);
	return err;
}

static int keel_irq_set_vm(struct genl_info *info, u32 mode, u32 fallback)
{
	int vcpu_id = keel_nl_u32(info, KEEL_A_VCPU, -1);
	int err;

	if (info->attrs[KEEL_A_VCPU] && vcpu_id < 0)
		return keel_nl_bad(info, -ENOENT, KEEL_NO_TARGET);
	if (vcpu_id >= 0 && mode != KEEL_DIRQ_AS_IT_IS)
		return keel_nl_bad(info, -EINVAL, KEEL_MODE_OF_VCPU);
	if (mode == KEEL_IRQ_MODE_OFF)
		mode = KEEL_DIRQ_INHERIT;
	if (fallback == KEEL_IRQ_FALLBACK_INHERIT)
		fallback = KEEL_DIRQ_INHERIT;
	err = keel_dirq_set_vm(nla_get_u32(info->attrs[KEEL_A_ID]), vcpu_id, mode,
			       fallback);
	if (err == -ENOENT)
		keel_nl_bad(info, err, KEEL_NO_TABLE);
	else if (err == -ENXIO)
		err = keel_nl_bad(info, -ENOENT, KEEL_NO_TARGET);
	return err;
}

int keel_nl_irq_set_doit(struct sk_buff *skb, struct genl_info *info)
{
	u32 mode = keel_nl_u32(info, KEEL_A_STEER, KEEL_DIRQ_AS_IT_IS);
	u32 fallback = keel_nl_u32(info, KEEL_A_FALLBACK, KEEL_DIRQ_AS_IT_IS);
	int err = keel_nl_may_change(skb, info);

	if (err)
		return err;
	if (mode == KEEL_DIRQ_AS_IT_IS && fallback == KEEL_DIRQ_AS_IT_IS)
		return keel_nl_bad(info, -EINVAL, KEEL_WHAT_TO_DO);
	return info->attrs[KEEL_A_ID] ? keel_irq_set_vm(info, mode, fallback) :
					keel_irq_set_host(info, mode, fallback);
}

int keel_nl_irq_route_add_doit(struct sk_buff *skb, struct genl_info *info)
{
	int vcpu_id = keel_nl_u32(info, KEEL_A_VCPU, -1);
	int ret = keel_nl_may_change(skb, info);
	const char *why;
	u32 id;

	if (ret)
		return ret;
	if (!info->attrs[KEEL_A_ID] || !info->attrs[KEEL_A_SOURCE_FD] ||
	    !info->attrs[KEEL_A_SINK_FD])
		return keel_nl_bad(info, -EINVAL, KEEL_ROUTE_WHAT);
	if (info->attrs[KEEL_A_VCPU] && vcpu_id < 0)
		return keel_nl_bad(info, -ENOENT, KEEL_NO_TARGET);
	ret = keel_source_create(nla_get_u32(info->attrs[KEEL_A_ID]), vcpu_id,
				 nla_get_u32(info->attrs[KEEL_A_SOURCE_FD]),
				 nla_get_u32(info->attrs[KEEL_A_SINK_FD]), &why);
	if (ret < 0)
		return why ? keel_nl_bad(info, ret, why) : ret;
	id = ret;
	ret = keel_nl_reply(info, KEEL_CMD_IRQ_ROUTE_ADD, keel_source_fill_id, &id);
	/* Who does not hear of it cannot delete it. */
	if (ret)
		keel_source_delete(id);
	return ret;
}

int keel_nl_irq_route_del_doit(struct sk_buff *skb, struct genl_info *info)
{
	int err = keel_nl_may_change(skb, info);

	if (err)
		return err;
	if (!info->attrs[KEEL_A_ID])
		return keel_nl_bad(info, -EINVAL, "say which route: give its id");
	err = keel_source_delete(nla_get_u32(info->attrs[KEEL_A_ID]));
	if (err)
		keel_nl_bad(info, err, "there is no explicit route with that id");
	return err;
}

/* The parts of a table but for the first *told. */
static int keel_irq_targets_dump(struct sk_buff *skb, struct netlink_callback *cb,
				 struct keel_irq_part *part, long *told)
{
	int err;

	for (; *told < part->table->nr; ++*told) {
		part->i = *told;
		err = keel_nl_dump_one(skb, cb, KEEL_CMD_IRQ_TARGET_GET,
				       keel_irq_target_fill, part);
		if (err)
			return err;
	}
	return 0;
}

static int keel_irq_routes_dump(struct sk_buff *skb, struct netlink_callback *cb,
				struct keel_irq_part *part, long *told)
{
	long i = 0;
	int err;

	list_for_each_entry(part->route, &part->table->routes, node) {
		/* What no device has signalled so far is none of the host's. */
		if (!READ_ONCE(part->route->seen_irq) || i++ < *told)
			continue;
		err = keel_nl_dump_one(skb, cb, KEEL_CMD_IRQ_ROUTE_GET,
				       keel_route_fill, part);
		if (err)
			return err;
		++*told;
	}
	return 0;
}

/* args[0]: the VM that is being told, args[1]: how many of its parts were. */
static int keel_irq_dump(struct sk_buff *skb, struct netlink_callback *cb,
			 int (*dump)(struct sk_buff *skb, struct netlink_callback *cb,
				     struct keel_irq_part *part, long *told))
{
	struct keel_irq_part part;
	int err = 0;

	mutex_lock(&keel_dirq.lock);
	list_for_each_entry(part.table, &keel_dirq.tables, node) {
		if (part.table->vm->id < cb->args[0])
			continue;
		if (part.table->vm->id > cb->args[0])
			cb->args[1] = 0;
		cb->args[0] = part.table->vm->id;
		part.pid = keel_vm_holder(part.table->vm, NULL);
		err = dump(skb, cb, &part, &cb->args[1]);
		if (err)
			break;
		cb->args[0]++;
		cb->args[1] = 0;
	}
	mutex_unlock(&keel_dirq.lock);
	return skb->len ?: err;
}

int keel_nl_irq_target_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return keel_irq_dump(skb, cb, keel_irq_targets_dump);
}

/* args[2]: the last one told. */
static int keel_sources_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct keel_irq_part part = {};
	int err = 0;

	mutex_lock(&keel_dirq.lock);
	list_for_each_entry(part.source, &keel_dirq.sources, node) {
		if (part.source->id <= cb->args[2])
			continue;
		part.table = rcu_dereference_protected(part.source->table,
						       lockdep_is_held(&keel_dirq.lock));
		part.pid = keel_vm_holder(part.source->vm, NULL);
		err = keel_nl_dump_one(skb, cb, KEEL_CMD_IRQ_ROUTE_GET,
				       keel_source_fill, &part);
		if (err)
			break;
		cb->args[2] = part.source->id;
	}
	mutex_unlock(&keel_dirq.lock);
	return err;
}

int keel_nl_irq_route_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	int ret = keel_irq_dump(skb, cb, keel_irq_routes_dump), err;

	if (ret)
		return ret;
	err = keel_sources_dump(skb, cb);
	return skb->len ?: err;
}
