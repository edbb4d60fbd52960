// SPDX-License-Identifier: GPL-2.0
/* Live snapshots: shown, announced and aborted over netlink. */
#include <net/genetlink.h>

#include "core/netlink.h"
#include "core/trace.h"
#include "snapshot/snap.h"

static int keel_snap_fill(struct sk_buff *skb, const void *obj)
{
	struct keel_snap *snap = (struct keel_snap *)obj;
	struct keel_snap_stat st = {};
	struct nlattr *nest;

	nest = nla_nest_start(skb, KEEL_A_SNAPSHOT);
	if (!nest)
		return -EMSGSIZE;

	keel_snap_stat(snap, &st);
	if (nla_put_u32(skb, KEEL_A_SNAPSHOT_ID, snap->id) ||
	    nla_put_u32(skb, KEEL_A_SNAPSHOT_VM, snap->vm) ||
	    nla_put_u32(skb, KEEL_A_SNAPSHOT_PID, snap->pid) ||
	    nla_put_u32(skb, KEEL_A_SNAPSHOT_STATE, st.state) ||
	    nla_put_u32(skb, KEEL_A_SNAPSHOT_REASON, st.reason) ||
	    nla_put_u32(skb, KEEL_A_SNAPSHOT_FILES, st.files) ||
	    keel_nl_put_u64(skb, KEEL_A_SNAPSHOT_PAGES, st.pages) ||
	    keel_nl_put_u64(skb, KEEL_A_SNAPSHOT_FAULT_PAGES, st.fault_pages) ||
	    keel_nl_put_u64(skb, KEEL_A_SNAPSHOT_SWEPT_PAGES, st.swept_pages) ||
	    keel_nl_put_u64(skb, KEEL_A_SNAPSHOT_EAGER_PAGES, st.eager_pages) ||
	    keel_nl_put_u64(skb, KEEL_A_SNAPSHOT_ZERO_PAGES, st.zero_pages) ||
	    keel_nl_put_u64(skb, KEEL_A_SNAPSHOT_POOL_PAGES, st.pool_pages) ||
	    keel_nl_put_u64(skb, KEEL_A_SNAPSHOT_POOL_LOW, st.pool_low) ||
	    keel_nl_put_u64(skb, KEEL_A_SNAPSHOT_THROTTLED, st.throttled) ||
	    keel_nl_put_u64(skb, KEEL_A_SNAPSHOT_THROTTLED_NS, st.throttled_ns) ||
	    keel_nl_put_u64(skb, KEEL_A_SNAPSHOT_SPILLED_PAGES, st.spilled_pages) ||
	    keel_nl_put_u64(skb, KEEL_A_SNAPSHOT_ARM_NS, snap->arm_ns)) {
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
	int err;

	if (!netlink_capable(skb, CAP_SYS_ADMIN)) {
		GENL_SET_ERR_MSG(info, "aborting a snapshot needs CAP_SYS_ADMIN: try as root");
		return -EPERM;
	}
	snap = keel_nl_snapshot(info);
	if (IS_ERR(snap))
		return PTR_ERR(snap);
	err = keel_snap_abort(snap, KEEL_REASON_REQUESTED);
	if (err)
		GENL_SET_ERR_MSG(info, "the snapshot is complete or aborted already");
	keel_snap_put(snap);
	return err;
}
