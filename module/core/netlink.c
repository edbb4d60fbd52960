// SPDX-License-Identifier: GPL-2.0
/* The keel generic netlink family. Documentation/netlink/specs/keel.yaml. */
#include <linux/module.h>
#include <net/genetlink.h>

#include "core/keel.h"
#include "core/netlink.h"
#include "core/vm.h"
#include "snapshot/snapshot.h"

static const struct genl_multicast_group keel_nl_groups[] = {
	[KEEL_NLGRP_EVENTS] = {
		.name	= KEEL_MCGRP_EVENTS,
		.flags	= GENL_MCAST_CAP_SYS_ADMIN,
	},
};

static struct genl_family keel_nl_family = {
	.name		= KEEL_GENL_NAME,
	.version	= KEEL_GENL_VERSION,
	.maxattr	= ARRAY_SIZE(keel_nl_policy) - 1,
	.policy		= keel_nl_policy,
	.small_ops	= keel_nl_ops,
	.n_small_ops	= ARRAY_SIZE(keel_nl_ops),
	.resv_start_op	= KEEL_CMD_HOST_GET,
	.mcgrps		= keel_nl_groups,
	.n_mcgrps	= ARRAY_SIZE(keel_nl_groups),
	/* Handlers lock for themselves: one that waits holds up nobody else. */
	.parallel_ops	= true,
	.module		= THIS_MODULE,
};

/* Attributes of a large VM (hundreds of vCPUs) need more than a page. */
#define KEEL_NL_SIZE_MAX	(256 * 1024)

static int keel_nl_put(struct sk_buff *skb, u32 portid, u32 seq, int flags,
		       u8 cmd, keel_nl_fill_t fill, const void *obj)
{
	void *hdr = genlmsg_put(skb, portid, seq, &keel_nl_family, flags, cmd);
	int err;

	if (!hdr)
		return -EMSGSIZE;
	err = fill(skb, obj);
	if (err) {
		genlmsg_cancel(skb, hdr);
		return err;
	}
	genlmsg_end(skb, hdr);
	return 0;
}

/* A message of its own, as large as it has to be. */
static struct sk_buff *keel_nl_message(u32 portid, u32 seq, u8 cmd,
				       keel_nl_fill_t fill, const void *obj)
{
	size_t size = NLMSG_GOODSIZE;
	struct sk_buff *skb;
	int err;

	do {
		skb = genlmsg_new(size, GFP_KERNEL);
		if (!skb)
			return ERR_PTR(-ENOMEM);
		err = keel_nl_put(skb, portid, seq, 0, cmd, fill, obj);
		if (!err)
			return skb;
		nlmsg_free(skb);
		size *= 4;
	} while (err == -EMSGSIZE && size <= KEEL_NL_SIZE_MAX);

	return ERR_PTR(err);
}

/**
 * keel_nl_may_change - may who asks change what happens on this host?
 * @skb: the request
 * @info: the same; gets a sentence if not
 *
 * The family as a whole asks for CAP_NET_ADMIN only.
 *
 * Return: 0 or -EPERM.
 */
int keel_nl_may_change(struct sk_buff *skb, struct genl_info *info)
{
	if (netlink_capable(skb, CAP_SYS_ADMIN))
		return 0;
	GENL_SET_ERR_MSG(info, "this needs CAP_SYS_ADMIN: try as root");
	return -EPERM;
}

/**
 * keel_nl_reply - answer a request with an object
 * @info: the request
 * @cmd: command of the answer
 * @fill: how the object is filled in
 * @obj: the object
 *
 * Context: may sleep.
 * Return: 0, -ENOMEM, -EMSGSIZE, or what @fill or the socket said.
 */
int keel_nl_reply(struct genl_info *info, u8 cmd, keel_nl_fill_t fill,
		  const void *obj)
{
	struct sk_buff *skb = keel_nl_message(info->snd_portid, info->snd_seq,
					      cmd, fill, obj);

	if (IS_ERR(skb))
		return PTR_ERR(skb);
	return genlmsg_reply(skb, info);
}

/**
 * keel_nl_dump_one - add an object to a dump
 * @skb: the dump's message
 * @cb: the dump
 * @cmd: command of the answer
 * @fill: how the object is filled in
 * @obj: the object
 *
 * Return: 0, or -EMSGSIZE: send what there is, and come again.
 */
int keel_nl_dump_one(struct sk_buff *skb, struct netlink_callback *cb, u8 cmd,
		     keel_nl_fill_t fill, const void *obj)
{
	return keel_nl_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
			   NLM_F_MULTI, cmd, fill, obj);
}

/**
 * keel_nl_notify - tell the events group of an object
 * @cmd: the notification
 * @fill: how the object is filled in
 * @obj: the object
 *
 * Listeners may miss events when memory is short; they can always ask.
 *
 * Context: may sleep.
 */
void keel_nl_notify(u8 cmd, keel_nl_fill_t fill, const void *obj)
{
	struct sk_buff *skb;

	if (!genl_has_listeners(&keel_nl_family, &init_net, KEEL_NLGRP_EVENTS))
		return;
	skb = keel_nl_message(0, 0, cmd, fill, obj);
	if (!IS_ERR(skb))
		genlmsg_multicast(&keel_nl_family, skb, 0, KEEL_NLGRP_EVENTS,
				  GFP_KERNEL);
}

static int keel_nl_host_fill(struct sk_buff *skb, const void *obj)
{
	struct nlattr *nest = nla_nest_start(skb, KEEL_A_HOST);

	if (!nest)
		return -EMSGSIZE;
	if (nla_put_string(skb, KEEL_A_HOST_VERSION, KEEL_VERSION) ||
	    nla_put_u32(skb, KEEL_A_HOST_VMS, keel_vms_count()) ||
	    nla_put_u32(skb, KEEL_A_HOST_SNAPSHOTS, keel_snapshot_count()) ||
	    keel_nl_put_u64(skb, KEEL_A_HOST_KEELFS_PAGES, keelfs_pages()) ||
	    keel_nl_put_u64(skb, KEEL_A_HOST_POOL_PAGES, keel_pool_pages()) ||
	    nla_put_u32(skb, KEEL_A_HOST_KEELFS_MOUNTS, keelfs_mounts())) {
		nla_nest_cancel(skb, nest);
		return -EMSGSIZE;
	}
	nla_nest_end(skb, nest);
	return 0;
}

int keel_nl_host_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	return keel_nl_reply(info, KEEL_CMD_HOST_GET, keel_nl_host_fill, NULL);
}

/**
 * keel_nl_init - register the family
 *
 * Last in module init: from here on users come in.
 *
 * Return: 0, or what the registration said.
 */
int keel_nl_init(void)
{
	return genl_register_family(&keel_nl_family);
}

/**
 * keel_nl_exit - the mirror of keel_nl_init()
 *
 * When this returns no handler runs.
 */
void keel_nl_exit(void)
{
	genl_unregister_family(&keel_nl_family);
}
