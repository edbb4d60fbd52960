/* SPDX-License-Identifier: GPL-2.0 */
/* What an OVSDB has and tells of it, and what somebody who hears it is to make of that. */
#ifndef OVSDB_MODEL_H
#define OVSDB_MODEL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "libkeel.h"
#include "spoil.h"

#define TAPS		8
#define BRIDGES		3

/* Of the kernel. */
extern struct keel_switch_port taps[TAPS];

/* Would the kernel take it for a bridge's name? */
bool is_bridge(const char *name);

struct world {
	uint32_t salt;
	bool bridge[BRIDGES];	/* it is there */
	int on[TAPS];		/* a bridge, or -1 */
	bool bound[TAPS];	/* into one port with the tap before it */
	bool behind;		/* ovs-vswitchd */
};

/* Another, or the same after some changes; @before may be NULL. */
void world_make(struct world *w, const struct world *before);
json_t *world_answer(const struct world *w);
json_t *world_update(const struct world *from, const struct world *to);

struct reading {
	json_t *rows;
	json_t *may[TAPS];	/* on which bridges each tap may be */
	json_t *is[TAPS];	/* on which of these after the last message; NULL: any */
	bool complete;
	bool over;		/* nothing is taken any more */
};

/* What a stream of messages says, with the taps as they are now. */
void reading_make(struct reading *r, const struct text *t);
void reading_free(struct reading *r);

#endif
