/* SPDX-License-Identifier: GPL-2.0 */
/* A connection and its requests, for the library's own files. */
#ifndef LIBKEEL_NL_H
#define LIBKEEL_NL_H

#include <netlink/attr.h>
#include <netlink/netlink.h>
#include <stdbool.h>

#include "libkeel.h"

struct keel {
	struct nl_sock *sock;
	int family;
	char error[256];
};

/* What becomes of a request; who asks sets the first two, or neither. */
struct reply {
	int (*parse)(struct nlattr **attrs, void *arg);
	void *arg;
	struct keel *keel;
	int err;
	bool done;
};

/* An attribute of a request; @type 0 ends a list of them. */
struct attr {
	uint16_t type;
	uint16_t len;
	const void *data;
};

#define ATTR_U32(t, p)	{ .type = (t), .len = sizeof(uint32_t), .data = (p) }

/* What a dump tells, one after the other. */
struct list {
	void *items;
	int nr;
};

int nl_request(struct keel *keel, uint8_t cmd, int flags, const struct attr *attr,
	       struct reply *r);
int nl_list(struct keel *keel, uint8_t cmd,
	    int (*parse)(struct nlattr **attrs, void *item), size_t size,
	    void *items);

#endif
