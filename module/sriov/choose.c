// SPDX-License-Identifier: GPL-2.0
/* Which port gets a VF first, and from which PF. */
#include "choose.h"

/**
 * choose_before - does one port get its VF before another?
 * @a: the one
 * @b: the other
 *
 * An order: no two ports have the same @since.
 */
bool choose_before(const struct choose_port *a, const struct choose_port *b)
{
	if (a->priority != b->priority)
		return a->priority > b->priority;
	return a->since < b->since;
}

/**
 * choose_outbids - may one port have the VF of another?
 * @a: the one, which waits
 * @b: the other, which has it
 *
 * Having come first is no reason to take anything away: else they would take turns.
 */
bool choose_outbids(const struct choose_port *a, const struct choose_port *b)
{
	return a->priority > b->priority;
}

/* Is more of @a in use than of @b? Parts of what each has, without a division. */
static int compare_use(const struct choose_pf *a, const struct choose_pf *b)
{
	u64 x = (u64)a->used * b->vfs, y = (u64)b->used * a->vfs;

	return x < y ? -1 : x > y;
}

static bool better(const struct choose_pf *a, const struct choose_pf *b,
		   enum keel_pool_policy policy)
{
	int use = compare_use(a, b);

	if (policy == KEEL_POOL_POLICY_PACK)
		use = -use;
	if (policy == KEEL_POOL_POLICY_NEAR && a->distance != b->distance)
		return a->distance < b->distance;
	if (use)
		return use < 0;
	return a->distance < b->distance;
}

/**
 * choose_pf - from which PF a VM gets its VF
 * @pf: those of the pool.
 * @nr: how many.
 * @policy: by what to choose.
 *
 * Of those that are alike the first.
 *
 * Return: its index, CHOOSE_NONE if none has a VF that is free.
 */
u32 choose_pf(const struct choose_pf *pf, u32 nr, enum keel_pool_policy policy)
{
	u32 i, best = CHOOSE_NONE;

	for (i = 0; i < nr; i++)
		if (pf[i].free &&
		    (best == CHOOSE_NONE || better(&pf[i], &pf[best], policy)))
			best = i;
	return best;
}
