// SPDX-License-Identifier: GPL-2.0
/*
 * Placement over time, on hosts made of numbers: it comes to rest, follows what
 * lasts, and is not led about by what does not.
 *
 *	simulate [PERIODS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kselftest.h"
#include "random_host.h"

#define NOISE		(PLACE_ONE * 5 / 100)
#define SETTLE		500	/* periods */
#define WARM_UP		50
#define ADVERSARIAL	300

static u32 steady_periods = 3000;

static void host_make(struct random_host *r, struct sim *s, u32 seed)
{
	const struct random_shape shape = { 4, 2, 4, 2, 48, 12, 60 };

	r->random = 88172645463325252ULL * (2 * seed + 1);
	random_host(r, &shape);
	if (random_load(r, &shape, s))
		ksft_exit_fail_msg("out of memory\n");
}

static void steady(void)
{
	struct random_host r;
	u64 moves = 0, late = 0;
	double before, after;
	struct sim s;

	host_make(&r, &s, 1);
	s.noise = NOISE;
	before = sim_latency(&s);
	for (u32 i = 0; i < steady_periods; i++) {
		sim_period(&s);
		if (i < SETTLE)
			moves += s.moves;
		else
			late += s.moves;
	}
	after = sim_latency(&s);
	sim_best(&s, s.plan);
	ksft_print_msg("%u periods with 5 %% noise: %.1f ns at first, %.1f ns at last, the best fixed placement %.1f ns; %lu moves, %lu of them after period %d\n",
		       steady_periods, before, after, sim_latency_at(&s, s.plan),
		       moves + late, late, SETTLE);
	ksft_test_result(moves && after <= 1.05 * sim_latency_at(&s, s.plan),
			 "it comes to within 5 %% of the best\n");
	ksft_test_result(!late, "and then nothing moves any more\n");
	sim_free(&s);
}

/* The memory of every fourth VM goes to another node, for good. */
static void after_change(void)
{
	u32 nodes = 4, worst = 0;

	for (u32 seed = 1; seed <= 20; seed++) {
		struct random_host r;
		struct sim s;
		u32 needed = 0;
		double best;

		host_make(&r, &s, seed);
		s.noise = NOISE;
		for (u32 i = 0; i < 40; i++)
			sim_period(&s);
		for (u32 t = 0; t < s.load.nr_tasks; t++) {
			u32 *touched = &s.touched[t * nodes], first = *touched;

			if (s.tasks[t].vm % 4)
				continue;
			memmove(touched, touched + 1, (nodes - 1) * sizeof(u32));
			touched[nodes - 1] = first;
		}
		sim_best(&s, s.plan);
		best = sim_latency_at(&s, s.plan);
		while (needed < 20 && sim_latency(&s) > 1.1 * best) {
			sim_period(&s);
			needed++;
		}
		if (needed > worst)
			worst = needed;
		sim_free(&s);
	}
	ksft_print_msg("after a phase change within 10 %% of the best again in %u periods at most, of 20 hosts\n",
		       worst);
	ksft_test_result(worst <= 3, "it follows what lasts in three periods\n");
}

/*
 * Memory that is elsewhere in each period, so that who follows is always where
 * it was. Compared with staying where everything was at first.
 */
static void adversarial(u32 every)
{
	const u32 periods = ADVERSARIAL, nodes = 4;
	double with = 0, without = 0, first;
	struct random_host r;
	u16 *fixed;
	u64 moves = 0, late = 0;
	struct sim s;

	host_make(&r, &s, 3);
	for (u32 i = 0; i < WARM_UP; i++)
		sim_period(&s);
	fixed = malloc(s.load.nr_tasks * sizeof(*fixed));
	for (u32 t = 0; t < s.load.nr_tasks; t++)
		fixed[t] = s.tasks[t].site;
	first = sim_latency(&s);
	for (u32 i = 0; i < periods; i++) {
		for (u32 t = 0; t < s.load.nr_tasks && i % every == 0; t++) {
			u32 *touched = &s.touched[t * nodes], x;

			for (u32 n = 0; n < nodes / 2; n++) {
				x = touched[n];
				touched[n] = touched[nodes - 1 - n];
				touched[nodes - 1 - n] = x;
			}
		}
		with += sim_latency(&s);
		without += sim_latency_at(&s, fixed);
		with += sim_period(&s);
		moves += s.moves;
		if (i >= periods / 2)
			late += s.moves;
	}
	ksft_print_msg("memory elsewhere every %u periods: %.1f ns at rest, %.1f ns fixed, %.1f ns placed (%.3f); %.2f moves a task in %u periods, %.2f in the second half\n",
		       every, first, without / periods, with / periods,
		       with / without, (double)moves / s.load.nr_tasks, periods,
		       (double)late / s.load.nr_tasks);
	ksft_test_result(with <= 1.03 * without,
			 "memory elsewhere every %u periods: at most 3 %% worse than fixed\n",
			 every);
	ksft_test_result(moves <= s.load.nr_tasks * periods / 25 &&
			 late <= moves / 2,
			 "memory elsewhere every %u periods: the moves are few and grow fewer\n",
			 every);
	free(fixed);
	sim_free(&s);
}

int main(int argc, char **argv)
{
	static const u32 every[] = { 1, 2, 7 };

	if (argc > 1)
		steady_periods = atoi(argv[1]);
	ksft_print_header();
	ksft_set_plan(3 + 2 * ARRAY_SIZE(every));
	steady();
	after_change();
	for (size_t i = 0; i < ARRAY_SIZE(every); i++)
		adversarial(every[i]);
	ksft_finished();
}
