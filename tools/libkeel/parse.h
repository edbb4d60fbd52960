/* SPDX-License-Identifier: GPL-2.0 */
/* Netlink attributes to structs; each takes a message's top-level attributes. */
#ifndef LIBKEEL_PARSE_H
#define LIBKEEL_PARSE_H

#include <netlink/attr.h>

#include "libkeel.h"

int keel_parse_host(struct nlattr **attrs, void *host);
int keel_parse_vm(struct nlattr **attrs, void *vm);
int keel_parse_snapshot(struct nlattr **attrs, void *snapshot);
int keel_parse_place(struct nlattr **attrs, void *place);
int keel_parse_place_vm(struct nlattr **attrs, void *vm);
int keel_parse_decision(struct nlattr **attrs, void *decision);
int keel_parse_move(struct nlattr **attrs, void *move);
int keel_parse_matrix(struct nlattr **attrs, void *matrix);

#endif
