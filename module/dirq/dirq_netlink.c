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

/* All fill functions here: keel_dirq.lock is held. */
static int keel_irq_fill(struct sk_buff *skb, const void *obj)
{
	struct nlattr *nest = nla_nest_start(skb, KEEL_A_IRQ);
	u32 vms = 0, targets = 0, routes = 0;
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
	    keel_nl_put_u64(skb, KEEL_A_IRQ_AIMS, keel_dirq.aims)) {
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
	    keel_nl_put_u64(skb, KEEL_A_IRQ_TARGET_MOVES, READ_ONCE(e->moves))) {
		nla_nest_cancel(skb, nest);
		return -EMSGSIZE;
	}
	nla_nest_end(skb, nest);
	return 0;
}

static int keel_route_fill_counts(struct sk_buff *skb, const struct keel_route *r)
{
	struct keel_route_counts c;

	keel_route_sum(r, &c);
	if (keel_nl_put_u64(skb, KEEL_A_IRQ_ROUTE_TOTAL, c.total) ||
	    keel_nl_put_u64(skb, KEEL_A_IRQ_ROUTE_DIRECT, c.direct) ||
	    keel_nl_put_u64(skb, KEEL_A_IRQ_ROUTE_NEAR, c.near) ||
	    keel_nl_put_u64(skb, KEEL_A_IRQ_ROUTE_FAR, c.far) ||
	    keel_nl_put_u64(skb, KEEL_A_IRQ_ROUTE_HALTED, c.halted) ||
	    keel_nl_put_u64(skb, KEEL_A_IRQ_ROUTE_PREEMPTED, c.preempted) ||
	    keel_nl_put_u64(skb, KEEL_A_IRQ_ROUTE_PAUSED, c.paused) ||
	    keel_nl_put_u64(skb, KEEL_A_IRQ_ROUTE_HOME, c.home) ||
	    keel_nl_put_u64(skb, KEEL_A_IRQ_ROUTE_AIMS, r->aims) ||
	    keel_nl_put_u64(skb, KEEL_A_IRQ_ROUTE_REFUSED, r->refused))
		return -EMSGSIZE;
	return 0;
}

static int keel_route_fill(struct sk_buff *skb, const void *obj)
{
	const struct keel_irq_part *part = obj;
	struct keel_route *r = part->route;
	struct nlattr *nest = nla_nest_start(skb, KEEL_A_IRQ_ROUTE);
	struct pci_dev *dev;
	u32 irq, vcpu = 0;

	if (!nest)
		return -EMSGSIZE;
	dev = keel_route_seen(r, &irq);
	if (r->target >= 0)
		vcpu = keel_irq_table_entry(part->table, r->target)->vcpu_id;
	if (nla_put_u32(skb, KEEL_A_IRQ_ROUTE_VM, part->table->vm->id) ||
	    nla_put_u32(skb, KEEL_A_IRQ_ROUTE_PID, part->pid) ||
	    nla_put_u32(skb, KEEL_A_IRQ_ROUTE_GSI, r->gsi) ||
	    nla_put_u32(skb, KEEL_A_IRQ_ROUTE_IRQ, irq) ||
	    (dev && nla_put_string(skb, KEEL_A_IRQ_ROUTE_DEVICE, pci_name(dev))) ||
	    nla_put_u32(skb, KEEL_A_IRQ_ROUTE_DEST, r->dest) ||
	    nla_put_u32(skb, KEEL_A_IRQ_ROUTE_VECTOR, r->message.vector) ||
	    (r->target >= 0 && nla_put_u32(skb, KEEL_A_IRQ_ROUTE_VCPU, vcpu)) ||
	    nla_put_u32(skb, KEEL_A_IRQ_ROUTE_TARGETS, r->targets) ||
	    nla_put_u32(skb, KEEL_A_IRQ_ROUTE_AIM, r->aim) ||
	    (r->aim_cpu >= 0 && nla_put_u32(skb, KEEL_A_IRQ_ROUTE_CPU, r->aim_cpu)) ||
	    keel_route_fill_counts(skb, r)) {
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

int keel_nl_irq_set_doit(struct sk_buff *skb, struct genl_info *info)
{
	int err = keel_nl_may_change(skb, info);

	if (err)
		return err;
	if (!info->attrs[KEEL_A_STEER] && !info->attrs[KEEL_A_FALLBACK])
		return keel_nl_bad(info, -EINVAL, KEEL_WHAT_TO_DO);
	err = keel_dirq_set(keel_nl_u32(info, KEEL_A_STEER, KEEL_DIRQ_AS_IT_IS),
			    keel_nl_u32(info, KEEL_A_FALLBACK, KEEL_DIRQ_AS_IT_IS));
	if (err == -ESHUTDOWN)
		keel_nl_bad(info, err, "keel is being unloaded");
	else if (err == -ENOENT)
		keel_nl_bad(info, err, KEEL_NO_TRACEPOINT);
	else if (err == -EINTR)
		keel_nl_bad(info, err, KEEL_INTERRUPTED);
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

int keel_nl_irq_route_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return keel_irq_dump(skb, cb, keel_irq_routes_dump);
}
