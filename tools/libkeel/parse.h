/* SPDX-License-Identifier: GPL-2.0 */
/* Netlink attributes to structs; each takes a message's top-level attributes. */
#ifndef LIBKEEL_PARSE_H
#define LIBKEEL_PARSE_H

#include <netlink/attr.h>

#include "libkeel.h"

struct field {
	uint16_t type;		/* NLA_U32, NLA_U64 or NLA_STRING */
	uint16_t len;		/* of a string's buffer */
	uint32_t off;
};

#define U32(s, f) { .type = NLA_U32, .off = offsetof(struct s, f) }
#define U64(s, f) { .type = NLA_U64, .off = offsetof(struct s, f) }
/* A string goes into an array. */
#define STR(s, f) { .type = NLA_STRING, .len = sizeof(((struct s *)0)->f), \
		    .off = offsetof(struct s, f) }

int parse_take(struct nlattr *nest, struct nlattr **tb, int max,
	       const struct field *fields, void *to);
int parse_bytes(struct nlattr *nla, void *to, size_t len);
void *parse_grow(void *array, uint32_t *nr, size_t size);

int keel_parse_host(struct nlattr **attrs, void *host);
int keel_parse_vm(struct nlattr **attrs, void *vm);
int keel_parse_snapshot(struct nlattr **attrs, void *snapshot);
int keel_parse_place(struct nlattr **attrs, void *place);
int keel_parse_place_vm(struct nlattr **attrs, void *vm);
int keel_parse_decision(struct nlattr **attrs, void *decision);
int keel_parse_move(struct nlattr **attrs, void *move);
int keel_parse_matrix(struct nlattr **attrs, void *matrix);
int keel_parse_pool(struct nlattr **attrs, void *pool);
int keel_parse_pool_vf(struct nlattr **attrs, void *vf);
int keel_parse_pool_port(struct nlattr **attrs, void *port);
int keel_parse_irq(struct nlattr **attrs, void *irq);
int keel_parse_irq_target(struct nlattr **attrs, void *target);
int keel_parse_irq_route(struct nlattr **attrs, void *route);
int keel_parse_switch_port(struct nlattr **attrs, void *port);

#endif
