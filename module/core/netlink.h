/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The keel generic netlink family: what rooms use to answer and announce.
 *
 * An object has one function that fills it into a message, as one top-level
 * nest; the same one serves get, dump and notification.
 */
#ifndef KEEL_CORE_NETLINK_H
#define KEEL_CORE_NETLINK_H

#include <net/genetlink.h>

#include "core/netlink_gen.h"

/* Fill @obj into @skb; all or nothing; -EMSGSIZE if there is no room. */
typedef int (*keel_nl_fill_t)(struct sk_buff *skb, const void *obj);

int keel_nl_init(void);
void keel_nl_exit(void);

int keel_nl_may_change(struct sk_buff *skb, struct genl_info *info);
int keel_nl_reply(struct genl_info *info, u8 cmd, keel_nl_fill_t fill,
		  const void *obj);
int keel_nl_dump_one(struct sk_buff *skb, struct netlink_callback *cb, u8 cmd,
		     keel_nl_fill_t fill, const void *obj);
void keel_nl_notify(u8 cmd, keel_nl_fill_t fill, const void *obj);

static inline int keel_nl_put_u64(struct sk_buff *skb, int attr, u64 value)
{
	return nla_put_u64_64bit(skb, attr, value, 0);
}

/* A number of a request, or what it is @otherwise. */
static inline u32 keel_nl_u32(struct genl_info *info, int attr, u32 otherwise)
{
	return info->attrs[attr] ? nla_get_u32(info->attrs[attr]) : otherwise;
}

/* Refuse a request, with a sentence that outlives it. Return: @err. */
static inline int keel_nl_bad(struct genl_info *info, int err, const char *why)
{
	if (info->extack)
		info->extack->_msg = why;
	return err;
}

#endif /* KEEL_CORE_NETLINK_H */
