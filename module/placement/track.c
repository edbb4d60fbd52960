// SPDX-License-Identifier: GPL-2.0
/*
 * A thread over time. What is seen twice in a row is believed at once, so that
 * one move answers a change that lasts; what is another each time moves the
 * average slowly, and noise hardly. Who was moved and would move again soon has
 * to save more: a load that changes as fast as it is followed is soon followed
 * no more.
 */
#include "track.h"

#define UTIL_SCALE	16
/* Differences that do not matter, however small the average. */
#define UTIL_NOTHING	(PLACE_ONE * UTIL_SCALE / 100)
#define KIB_NOTHING	16

/* A move must save so many times twice as much as soon after news, at most. */
#define CALM_MAX	3

/* For so many periods after news so much more is tried; after rest less. */
#define UNSETTLED	3
#define NEWS_EFFORT	8
#define REST_EFFORT	4

const struct track_params track_defaults = {
	.small = 128,
	.small_weight = 64,
	.large_weight = 128,
	.inertia = 31,
	.rest = 16,
	.calm = 16,
	.strikes_max = 7,
};

/* Do the two differ by less than @part of the first, or by @nothing? */
static bool alike(const u32 *a, const u32 *b, u32 n, u32 part, u32 nothing)
{
	u64 all = 0, apart = 0;
	u32 i;

	for (i = 0; i < n; i++) {
		all += a[i];
		apart += a[i] < b[i] ? b[i] - a[i] : a[i] - b[i];
	}
	return apart <= nothing || apart <= all * part / PLACE_ONE;
}

static bool nothing_known(const u32 *average, u32 n, u32 nothing)
{
	u64 all = 0;
	u32 i;

	for (i = 0; i < n; i++)
		all += average[i];
	return all <= nothing;
}

static void blend(u32 *average, const u32 *seen, u32 n, u32 weight)
{
	u32 i;

	for (i = 0; i < n; i++)
		average[i] += ((s64)seen[i] - average[i]) * weight / PLACE_ONE;
}

enum glance { AS_KNOWN, ANOTHER, BELIEVED };

/* Return: what it was. The first time anything is believed. */
static enum glance take_in(u32 *average, u32 *news, const u32 *seen, u32 n,
			   const struct track_params *p, bool first,
			   u32 nothing)
{
	const u32 weight[] = { p->small_weight, p->large_weight, PLACE_ONE };
	enum glance what = ANOTHER;
	u32 i;

	if (first)
		what = BELIEVED;
	else if (alike(average, seen, n, p->small, nothing))
		what = AS_KNOWN;
	else if (alike(news, seen, n, p->small, nothing))
		what = BELIEVED;
	blend(average, seen, n, weight[what]);
	for (i = 0; i < n; i++)
		news[i] = seen[i];
	return what;
}

/**
 * track_observe - take in what was seen of a thread in a period
 * @t: the thread.
 * @average: nr_nodes words: its working set by node as it is believed, in KiB.
 * @news: nr_nodes words more to remember.
 * @p: what is believed.
 * @util: how busy it was, up to PLACE_ONE.
 * @touched: its working set by node in this period, in KiB; NULL if it has not
 *	been looked at.
 * @nr_nodes: how many nodes.
 * @noise: by what part of it @touched may be wrong, if it was sampled; PLACE_ONE
 *	is all of it.
 */
void track_observe(struct track *t, u32 *average, u32 *news,
		   const struct track_params *p, u32 util, const u32 *touched,
		   u32 nr_nodes, u32 noise)
{
	struct track_params sampled = *p;
	enum glance what;
	bool new;

	util *= UTIL_SCALE;
	new = take_in(&t->util, &t->util_news, &util, 1, p, !t->seen,
		      UTIL_NOTHING) == BELIEVED;
	t->stirred = new;
	if (sampled.small < noise)
		sampled.small = noise;
	if (touched) {
		what = take_in(average, news, touched, nr_nodes, &sampled,
			       nothing_known(average, nr_nodes, KIB_NOTHING) &&
			       !nothing_known(touched, nr_nodes, KIB_NOTHING),
			       KIB_NOTHING);
		t->unsure = what == ANOTHER;
		new |= what == BELIEVED;
	}
	t->settled = new ? 0 : t->settled + 1;
	/* The first move comes never too soon. */
	t->calm = t->seen ? t->calm + 1 : p->calm;
	t->seen = true;
	if (t->strikes && t->calm >= p->calm << t->strikes) {
		t->strikes--;
		t->calm = 0;
	}
}

/**
 * track_moved - a thread was moved to where it is thought to be better off
 * @t: the thread.
 * @p: what is believed.
 */
void track_moved(struct track *t, const struct track_params *p)
{
	if (t->calm < p->calm << t->strikes && t->strikes < p->strikes_max)
		t->strikes++;
	t->calm = 0;
}

/**
 * track_effort - how much to try, by whether anything is new
 * @settled: the least track.settled of all threads.
 * @effort: what to try when all is as it was.
 *
 * Return: place_params.effort.
 */
u32 track_effort(u32 settled, u32 effort)
{
	if (settled < UNSETTLED)
		return effort * NEWS_EFFORT;
	return settled < track_defaults.rest ? effort : effort / REST_EFFORT;
}

/**
 * track_task - what is to be given to place_decide() of it
 * @t: the thread.
 * @p: what is believed.
 * @settled: the least track.settled of all threads.
 * @task: util and inertia are set.
 */
void track_task(const struct track *t, const struct track_params *p,
		u32 settled, struct place_task *task)
{
	u32 rest, calm = 0;

	task->util = t->util / UTIL_SCALE;
	/* The longer nothing is new, the surer it is noise that speaks. */
	for (rest = p->rest; settled >= rest && calm < CALM_MAX; rest *= 4)
		calm++;
	task->inertia = p->inertia << t->strikes << (calm ? calm + 1 : 0);
}
