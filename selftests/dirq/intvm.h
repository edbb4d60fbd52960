/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A tiny VM that is interrupted by eventfds and counts what it gets: each of its
 * sources is a pair of eventfds, of which the second is an irqfd. Or it has a VF, and
 * its first sources are the VF's vectors.
 */
#ifndef INTVM_H
#define INTVM_H

#include <stdbool.h>
#include <stdint.h>

#include "tinyvmm.h"
#include "vf.h"

#define INTVM_VCPUS	4
#define INTVM_SOURCES	16

struct knl;

struct intvm {
	struct tvm vm;
	uint32_t id;		/* in keel's registry */
	int nr_vcpus;
	int nr;			/* of sources */
	struct intvm_source {
		int source;	/* who has something to say signals this */
		int sink;	/* irqfd of GSI 24 + its number */
		int vcpu;	/* what the "guest" has programmed */
		int vector;
		bool routed;	/* by keel, now or before: the source is signalled */
		uint32_t route;	/* keel's id of it; 0: none now */
	} src[INTVM_SOURCES];
	bool has_vf;
	struct vf vf;
	/* What each vector of each vCPU should have had. */
	uint64_t due[INTVM_VCPUS][256];
};

/*
 * vCPU i spins if bit i of @spin is set, or else halts; @sources are spread over
 * them. -errno, and nothing is left, if it does not run.
 */
int intvm_start(struct intvm *v, struct knl *nl, int vcpus, unsigned int spin, int sources);
void intvm_stop(struct intvm *v);
/* The VF at @bdf interrupts it by its first VF_VECTORS sources. */
int intvm_take_vf(struct intvm *v, const char *bdf);
/* keel is to pass source @i on, to @vcpu or (-1) to whom the sink is for. */
int intvm_route(struct intvm *v, struct knl *nl, int i, int vcpu);
int intvm_unroute(struct intvm *v, struct knl *nl, int i);
/* Masked, source @i's sink is no irqfd: what comes waits in it, as VMMs have it. */
int intvm_mask(struct intvm *v, int i, bool masked);
/* The guest wants source @i elsewhere; nothing is in flight of it. */
int intvm_program(struct intvm *v, int i, int vcpu, int vector);
/* One interrupt by source @i, which may not have arrived yet. */
int intvm_raise(struct intvm *v, int i);
/* One interrupt by source @i, which has arrived when this returns: -ETIMEDOUT if not. */
int intvm_send(struct intvm *v, int i);
/* Has each vCPU had just what was sent? If not, @why says what it has not. */
bool intvm_exact(const struct intvm *v, char *why, int len);

#endif
