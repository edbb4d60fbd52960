/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KEEL_PLACEMENT_TRACK_H
#define KEEL_PLACEMENT_TRACK_H

#include "score.h"

/*
 * What is remembered of a thread from one period to the next, so that a
 * placement follows what lasts and not what flickers. Pure, as score.h.
 */

/**
 * struct track_params - what is believed, and how soon
 * @small: what differs from the average by less than this part of it is noise;
 *	PLACE_ONE is all of it.
 * @small_weight: of noise in the average.
 * @large_weight: of what differs more, as long as it is another each time. What
 *	is seen twice in a row is believed.
 * @inertia: part of its cost that a move must save at least, soon after
 *	something new was believed.
 * @rest: after so many periods without news of any thread only noise can be the
 *	reason for a move, and it must save four times as much; after four times as
 *	many eight times, and after sixteen times as many sixteen times.
 * @calm: a thread that moves again within so many periods was moved too soon:
 *	its inertia is doubled, and so is that time. When twice as many have
 *	passed without a move, a doubling is taken back.
 * @strikes_max: how often it is doubled at most.
 */
struct track_params {
	u32 small;
	u32 small_weight;
	u32 large_weight;
	u32 inertia;
	u32 rest;
	u32 calm;
	u32 strikes_max;
};

extern const struct track_params track_defaults;

/**
 * struct track - a thread over time
 * @util: average, in 1/16 of what place_task.util counts.
 * @util_news: what it may have become, likewise.
 * @seen: it has been looked at.
 * @strikes: how often its inertia is doubled.
 * @calm: periods since the last move or the last doubling taken back.
 * @settled: periods since something new was believed of it.
 * @stirred: it has just come to be as busy as it is believed to be, or was not
 *	known before.
 * @unsure: its working set was another than is believed when it was last seen.
 */
struct track {
	u32 util;
	u32 util_news;
	bool seen;
	u8 strikes;
	u32 calm;
	u32 settled;
	bool stirred;
	bool unsure;
};

void track_observe(struct track *t, u32 *average, u32 *news,
		   const struct track_params *p, u32 util, const u32 *touched,
		   u32 nr_nodes, u32 noise);
void track_moved(struct track *t, const struct track_params *p);
u32 track_effort(u32 settled, u32 effort);
void track_task(const struct track *t, const struct track_params *p,
		u32 settled, struct place_task *task);

#endif
