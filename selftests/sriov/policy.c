// SPDX-License-Identifier: GPL-2.0
/*
 * Who gets a VF first, and from which PF: against what the policies say, on many
 * random pools. And how long it takes.
 *
 *	policy [POOLS]
 *	policy time	as a table, for Documentation/benchmarks
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "choose.h"
#include "kselftest.h"

#define PFS_MAX		64
#define PORTS_MAX	64
/* Of a pool that is measured. */
#define VFS		1024

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

/* Which port is next, and from which PF: a decision. */
static u32 decide(const struct choose_port *port, const struct choose_pf *pf,
		  enum keel_pool_policy policy)
{
	u32 first = 0;

	for (u32 i = 1; i < PORTS_MAX; i++)
		if (choose_before(&port[i], &port[first]))
			first = i;
	return first + choose_pf(pf, PFS_MAX, policy);
}

/* Of this program's own time: others may want the CPU meanwhile. */
static u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	const u32 *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* PORTS_MAX ports that wait, and VFS VFs of PFS_MAX PFs, another pool each time. */
static void measure(u32 rounds)
{
	static const char *const names[] = { "near", "spread", "pack" };
	struct choose_port port[PORTS_MAX];
	struct choose_pf pf[PFS_MAX];
	u32 *ns = calloc(rounds, sizeof(*ns)), sum = 0;

	if (!ns)
		exit(1);
	printf("| policy | decisions | median, us | p99, us | worst, us |\n"
	       "|---|--:|--:|--:|--:|\n");
	for (u32 policy = 0; policy <= KEEL_POOL_POLICY_PACK; policy++) {
		for (u32 i = 0; i < rounds; i++) {
			u64 begin;

			for (u32 k = 0; k < PORTS_MAX; k++)
				port[k] = (struct choose_port){ below(4), k };
			for (u32 k = 0; k < PFS_MAX; k++) {
				u32 used = below(VFS / PFS_MAX);

				pf[k] = (struct choose_pf){
					10 + below(3), VFS / PFS_MAX, used,
					VFS / PFS_MAX - used,
				};
			}
			begin = now_ns();
			sum += decide(port, pf, policy);
			ns[i] = now_ns() - begin;
		}
		qsort(ns, rounds, sizeof(*ns), compare);
		printf("| %s | %u | %.2f | %.2f | %.2f |\n", names[policy], rounds,
		       ns[rounds / 2] / 1e3, ns[rounds / 100 * 99] / 1e3,
		       ns[rounds - 1] / 1e3);
	}
	/* What was decided is used, so that it has to be. */
	if (!sum)
		printf("nothing was ever chosen\n");
	free(ns);
}

int main(int argc, char **argv)
{
	u32 pools = argc > 1 ? atoi(argv[1]) : 20000;

	if (argc > 1 && !strcmp(argv[1], "time")) {
		measure(100000);
		return 0;
	}
	ksft_print_header();
	ksft_set_plan(3 + 1 + 1);
	policies(pools);
	largest();
	order(pools);
	ksft_finished();
}
