/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KEEL_SIM_H
#define KEEL_SIM_H

#include "track.h"

/*
 * A host that exists as numbers, with placement at work on it: what its threads
 * really do, what is seen of that each period, and what is decided. The latency
 * it tells is the model's own (Documentation/placement.rst).
 */
struct sim {
	/* What is so. */
	struct place_host host;
	struct place_load load;		/* its tasks are writable: .tasks */
	struct place_task *tasks;
	u32 *touched;
	u32 *shared_kib;
	/* How it is seen and decided. */
	struct place_params params;
	struct track_params track_params;
	struct track *track;
	u32 *average;
	u32 *news;
	u32 noise;			/* of what is seen, PLACE_ONE: all of it */
	u64 period_ns;
	/* Room to work. */
	struct place_task *seen;
	u32 *glance;			/* one task's working set, with noise */
	u16 *plan;
	void *workspace;
	u32 *expected;			/* of each task, place_expected() */
	u64 random;
	/* How it went. */
	u64 moves;			/* of the last period */
};

int sim_init(struct sim *s, const struct place_host *host, u32 tasks, u32 vms);
void sim_free(struct sim *s);
double sim_latency(struct sim *s);
double sim_latency_at(struct sim *s, const u16 *plan);
double sim_period(struct sim *s);
void sim_best(struct sim *s, u16 *plan);
u32 sim_random(u64 *state, u32 below);

#endif
