/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which port gets which VF: pure, the same in the module and in tests.
 */
#ifndef KEEL_SRIOV_CHOOSE_H
#define KEEL_SRIOV_CHOOSE_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
typedef unsigned int u32;
typedef unsigned long long u64;
#endif
#include <linux/keel_netlink.h>

#define CHOOSE_NONE	(~0U)

/**
 * struct choose_port - a port that would have a VF
 * @priority: the higher, the sooner.
 * @since: of those that are alike the first that came.
 */
struct choose_port {
	u32 priority;
	u64 since;
};

/**
 * struct choose_pf - a PF of a pool, seen from the VM that is to get a VF
 * @distance: between the VM's node and the PF's; less is better.
 * @vfs: of it that are in the pool.
 * @used: of these that are leased, or about to be.
 * @free: of these that can be leased.
 */
struct choose_pf {
	u32 distance;
	u32 vfs;
	u32 used;
	u32 free;
};

bool choose_before(const struct choose_port *a, const struct choose_port *b);
bool choose_outbids(const struct choose_port *a, const struct choose_port *b);
u32 choose_pf(const struct choose_pf *pf, u32 nr, enum keel_pool_policy policy);

#endif /* KEEL_SRIOV_CHOOSE_H */
