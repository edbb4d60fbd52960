// SPDX-License-Identifier: GPL-2.0
/* Live snapshots: shown, announced and aborted over netlink. */
#include <net/genetlink.h>

#include "core/netlink.h"
#include "core/trace.h"
#include "snapshot/snap.h"

#define KEEL_SNAP_STAT_ATTR(attr, field) \
	{ KEEL_A_SNAPSHOT_##attr, offsetof(struct keel_snap_stat, field) }

/* What a stat holds, by its attribute. */
static const struct keel_snap_stat_attr {
	u16 attr;
	u16 offset;
} keel_snap_stat_u32[] = {
	KEEL_SNAP_STAT_ATTR(STATE, state),
	KEEL_SNAP_STAT_ATTR(REASON, reason),
	KEEL_SNAP_STAT_ATTR(FILES, files),
}, keel_snap_stat_u64[] = {
	KEEL_SNAP_STAT_ATTR(PAGES, pages),
	KEEL_SNAP_STAT_ATTR(FAULT_PAGES, fault_pages),
	KEEL_SNAP_STAT_ATTR(SWEPT_PAGES, swept_pages),
	KEEL_SNAP_STAT_ATTR(EAGER_PAGES, eager_pages),
	KEEL_SNAP_STAT_ATTR(ZERO_PAGES, zero_pages),
	KEEL_SNAP_STAT_ATTR(POOL_PAGES, pool_pages),
	KEEL_SNAP_STAT_ATTR(POOL_LOW, pool_low),
	KEEL_SNAP_STAT_ATTR(THROTTLED, throttled),
	KEEL_SNAP_STAT_ATTR(THROTTLED_NS, throttled_ns),
	KEEL_SNAP_STAT_ATTR(SPILLED_PAGES, spilled_pages),
};

static int keel_snap_fill_stat(struct sk_buff *skb, struct keel_snap *snap)
{
	struct keel_snap_stat st = {};
	const void *base = &st;
	const struct keel_snap_stat_attr *a;
	unsigned int i;
	int err = 0;

	keel_snap_stat(snap, &st);
	for (i = 0; !err && i < ARRAY_SIZE(keel_snap_stat_u32); i++) {
		a = &keel_snap_stat_u32[i];
		err = nla_put_u32(skb, a->attr, *(u32 *)(base + a->offset));
	}
	for (i = 0; !err && i < ARRAY_SIZE(keel_snap_stat_u64); i++) {
		a = &keel_snap_stat_u64[i];
		err = keel_nl_put_u64(skb, a->attr, *(u64 *)(base + a->offset));
	}
	return err;
}

static int keel_snap_fill(struct sk_buff *skb, const void *obj)
{
	struct keel_snap *snap = (struct keel_snap *)obj;
	struct nlattr *nest;

	nest = nla_nest_start(skb, KEEL_A_SNAPSHOT);
	if (!nest)
		return -EMSGSIZE;

	if (nla_put_u32(skb, KEEL_A_SNAPSHOT_ID, snap->id) ||
	    nla_put_u32(skb, KEEL_A_SNAPSHOT_VM, snap->vm) ||
	    nla_put_u32(skb, KEEL_A_SNAPSHOT_PID, snap->pid) ||
	    keel_nl_put_u64(skb, KEEL_A_SNAPSHOT_ARM_NS, snap->arm_ns) ||
	    keel_snap_fill_stat(skb, snap)) {
		nla_nest_cancel(skb, nest);
		return -EMSGSIZE;
	}
	nla_nest_end(skb, nest);
	return 0;
}

/**
 * keel_snap_notify - tell listeners that a snapshot changed its state
 * @snap: the snapshot
 *
 * Context: may sleep.
 */
void keel_snap_notify(struct keel_snap *snap)
{
	trace_keel_snap_state(snap->id, keel_snap_phase(snap), snap->reason);
	keel_nl_notify(KEEL_CMD_SNAPSHOT_NTF, keel_snap_fill, snap);
}

static struct keel_snap *keel_nl_snapshot(struct genl_info *info)
{
	struct nlattr *id = info->attrs[KEEL_A_ID];
	struct keel_snap *snap;

	if (GENL_REQ_ATTR_CHECK(info, KEEL_A_ID)) {
		GENL_SET_ERR_MSG(info, "say which snapshot by its id (keel snapshot list)");
		return ERR_PTR(-EINVAL);
	}
	snap = keel_snap_lookup(nla_get_u32(id));
	if (!snap) {
		NL_SET_ERR_MSG_ATTR(info->extack, id,
				    "there is no snapshot of that id (keel snapshot list)");
		return ERR_PTR(-ENOENT);
	}
	return snap;
}

int keel_nl_snapshot_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct keel_snap *snap = keel_nl_snapshot(info);
	int err;

	if (IS_ERR(snap))
		return PTR_ERR(snap);
	err = keel_nl_reply(info, KEEL_CMD_SNAPSHOT_GET, keel_snap_fill, snap);
	keel_snap_put(snap);
	return err;
}

int keel_nl_snapshot_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct keel_snap *snap;
	int err = 0;

	while (!err && (snap = keel_snap_next(cb->args[0]))) {
		err = keel_nl_dump_one(skb, cb, KEEL_CMD_SNAPSHOT_GET,
				       keel_snap_fill, snap);
		if (!err)
			cb->args[0] = snap->id;
		keel_snap_put(snap);
	}
	return skb->len ?: err;
}

int keel_nl_snapshot_abort_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct keel_snap *snap;
	int err = keel_nl_may_change(skb, info);

	if (err)
		return err;
	snap = keel_nl_snapshot(info);
	if (IS_ERR(snap))
		return PTR_ERR(snap);
	err = keel_snap_abort(snap, KEEL_REASON_REQUESTED);
	if (err)
		GENL_SET_ERR_MSG(info, "the snapshot is complete or aborted already");
	keel_snap_put(snap);
	return err;
}
