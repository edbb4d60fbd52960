// SPDX-License-Identifier: GPL-2.0
/*
 * Who gets a VF first, and from which PF: against what the policies say, on many
 * random pools. And how long it takes.
 *
 *	policy [POOLS]
 *	policy time
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "choose.h"
#include "kselftest.h"

#define PFS_MAX		64
#define PORTS_MAX	64

static u64 state = 1;

static u32 below(u32 n)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (state >> 33) % n;
}

static u32 random_pool(struct choose_pf *pf)
{
	u32 nr = below(PFS_MAX + 1);

	for (u32 i = 0; i < nr; i++) {
		pf[i].distance = 10 + below(3) * 11;
		pf[i].vfs = 1 + below(8);
		pf[i].used = below(pf[i].vfs + 1);
		pf[i].free = below(pf[i].vfs - pf[i].used + 1);
	}
	return nr;
}

/* What a policy looks at, first things first; less is better. */
static void wanted(const struct choose_pf *pf, enum keel_pool_policy policy,
		   double want[2])
{
	double use = (double)pf->used / pf->vfs;

	want[0] = policy == KEEL_POOL_POLICY_NEAR ? pf->distance :
		  policy == KEEL_POOL_POLICY_PACK ? -use : use;
	want[1] = policy == KEEL_POOL_POLICY_NEAR ? use : pf->distance;
}

/* Whether no PF is better than the one chosen, nor as good and before it. */
static bool best(const struct choose_pf *pf, u32 nr, enum keel_pool_policy policy,
		 u32 chosen)
{
	double a[2], b[2];

	if (chosen == CHOOSE_NONE) {
		for (u32 i = 0; i < nr; i++)
			if (pf[i].free)
				return false;
		return true;
	}
	if (chosen >= nr || !pf[chosen].free)
		return false;
	wanted(&pf[chosen], policy, a);
	for (u32 i = 0; i < nr; i++) {
		wanted(&pf[i], policy, b);
		if (pf[i].free && (b[0] < a[0] || (b[0] == a[0] && b[1] < a[1]) ||
				   (b[0] == a[0] && b[1] == a[1] && i < chosen)))
			return false;
	}
	return true;
}

static void policies(u32 pools)
{
	static const char *const names[] = { "near", "spread", "pack" };
	struct choose_pf pf[PFS_MAX];

	for (u32 policy = 0; policy <= KEEL_POOL_POLICY_PACK; policy++) {
		u32 wrong = 0;

		for (u32 i = 0; i < pools; i++) {
			u32 nr = random_pool(pf);

			wrong += !best(pf, nr, policy, choose_pf(pf, nr, policy));
		}
		ksft_test_result(!wrong, "%s: the best of %u pools\n",
				 names[policy], pools);
	}
}

static void largest(void)
{
	const struct choose_pf pf[] = {
		{ 10, ~0U, ~0U - 1, 1 }, { 10, ~0U, ~0U - 2, 2 },
	};

	ksft_test_result(choose_pf(pf, 2, KEEL_POOL_POLICY_SPREAD) == 1 &&
			 choose_pf(pf, 2, KEEL_POOL_POLICY_PACK) == 0,
			 "numbers without end are compared right\n");
}

static void order(u32 pools)
{
	u32 wrong = 0;

	for (u32 i = 0; i < pools; i++) {
		struct choose_port p[3];

		for (int k = 0; k < 3; k++) {
			p[k].priority = below(3) ? below(3) : ~0U - below(2);
			p[k].since = 3 * below(4) + k;
		}
		/* One of two comes first, and three are in a row. */
		wrong += choose_before(&p[0], &p[1]) ==
			 choose_before(&p[1], &p[0]);
		wrong += choose_before(&p[0], &p[1]) &&
			 choose_before(&p[1], &p[2]) &&
			 !choose_before(&p[0], &p[2]);
		wrong += p[0].priority > p[1].priority &&
			 !choose_before(&p[0], &p[1]);
		/* Who may take another's VF comes before it, not the other way. */
		wrong += choose_outbids(&p[0], &p[1]) &&
			 (!choose_before(&p[0], &p[1]) ||
			  choose_outbids(&p[1], &p[0]));
	}
	ksft_test_result(!wrong, "ports come one after the other, by priority first\n");
}

/* One decision of each port of PORTS_MAX: which is next, and from where. */
static void measure(void)
{
	struct choose_port port[PORTS_MAX];
	struct choose_pf pf[PFS_MAX];
	struct timespec a, b;
	u32 rounds = 10000, sum = 0;

	for (u32 i = 0; i < PORTS_MAX; i++)
		port[i] = (struct choose_port){ below(4), i };
	for (u32 i = 0; i < PFS_MAX; i++)
		pf[i] = (struct choose_pf){ 10 + below(3), 16, below(16), 1 };
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (u32 i = 0; i < rounds; i++) {
		u32 first = 0;

		pf[i % PFS_MAX].used = i % 16;
		for (u32 k = 1; k < PORTS_MAX; k++)
			if (choose_before(&port[k], &port[first]))
				first = k;
		sum += first + choose_pf(pf, PFS_MAX, i % 3);
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	printf("%.3f us a decision: 64 ports, 1024 VFs of 64 PFs (%u)\n",
	       ((b.tv_sec - a.tv_sec) * 1e9 + b.tv_nsec - a.tv_nsec) / rounds /
		       1e3, sum);
}

int main(int argc, char **argv)
{
	u32 pools = argc > 1 ? atoi(argv[1]) : 20000;

	if (argc > 1 && !strcmp(argv[1], "time")) {
		measure();
		return 0;
	}
	ksft_print_header();
	ksft_set_plan(3 + 1 + 1);
	policies(pools);
	largest();
	order(pools);
	ksft_finished();
}
