// SPDX-License-Identifier: GPL-2.0
/* Words for the numbers of the uapi. */
#include "libkeel.h"

#define NR(a) (sizeof(a) / sizeof((a)[0]))

static const char *name(const char *const *names, size_t nr, unsigned int n)
{
	return n < nr && names[n] ? names[n] : "unknown";
}

/** keel_backing_name() - what kind of memory lies under a region */
const char *keel_backing_name(enum keel_backing backing)
{
	static const char *const names[] = {
		[KEEL_BACKING_OTHER] = "other",
		[KEEL_BACKING_ANON] = "anon",
		[KEEL_BACKING_KEELFS] = "keelfs",
		[KEEL_BACKING_SHMEM] = "shmem",
		[KEEL_BACKING_HUGETLB] = "hugetlb",
		[KEEL_BACKING_FILE] = "file",
	};

	return name(names, NR(names), backing);
}

/** keel_place_source_name() - where a table of latencies is from */
const char *keel_place_source_name(enum keel_place_source source)
{
	static const char *const names[] = {
		[KEEL_PLACE_SOURCE_USER] = "user",
		[KEEL_PLACE_SOURCE_MEASURED] = "measured",
		[KEEL_PLACE_SOURCE_HMAT] = "hmat",
		[KEEL_PLACE_SOURCE_SLIT] = "slit",
	};

	return name(names, NR(names), source);
}

/** keel_place_kind_name() - what a thread is to its VM */
const char *keel_place_kind_name(enum keel_place_kind kind)
{
	static const char *const names[] = {
		[KEEL_PLACE_KIND_VCPU] = "vcpu",
		[KEEL_PLACE_KIND_HELPER] = "helper",
	};

	return name(names, NR(names), kind);
}

/** keel_place_state_name() - whose affinity a thread has */
const char *keel_place_state_name(enum keel_place_state state)
{
	static const char *const names[] = {
		[KEEL_PLACE_STATE_IDLE] = "idle",
		[KEEL_PLACE_STATE_PLACED] = "placed",
		[KEEL_PLACE_STATE_LEFT] = "left",
	};

	return name(names, NR(names), state);
}

/** keel_place_mode_name() - is a VM placed? */
const char *keel_place_mode_name(enum keel_place_mode mode)
{
	static const char *const names[] = {
		[KEEL_PLACE_MODE_ON] = "on",
		[KEEL_PLACE_MODE_ADVISE] = "advise",
		[KEEL_PLACE_MODE_OFF] = "off",
	};

	return name(names, NR(names), mode);
}

/** keel_place_temper_name() - how much a move must promise */
const char *keel_place_temper_name(enum keel_place_temper temper)
{
	static const char *const names[] = {
		[KEEL_PLACE_TEMPER_NORMAL] = "normal",
		[KEEL_PLACE_TEMPER_CALM] = "calm",
		[KEEL_PLACE_TEMPER_EAGER] = "eager",
	};

	return name(names, NR(names), temper);
}

/** keel_place_grain_name() - which CPUs a thread may use */
const char *keel_place_grain_name(enum keel_place_grain grain)
{
	static const char *const names[] = {
		[KEEL_PLACE_GRAIN_SITE] = "site",
		[KEEL_PLACE_GRAIN_NODE] = "node",
		[KEEL_PLACE_GRAIN_CPU] = "cpu",
	};

	return name(names, NR(names), grain);
}

/** keel_snap_state_name() - where a snapshot is in its life */
const char *keel_snap_state_name(enum keel_snap_state state)
{
	static const char *const names[] = {
		[KEEL_SNAP_NEW] = "new",
		[KEEL_SNAP_PREPARED] = "prepared",
		[KEEL_SNAP_ARMED] = "armed",
		[KEEL_SNAP_COMPLETE] = "complete",
		[KEEL_SNAP_ABORTED] = "aborted",
	};

	return name(names, NR(names), state);
}

/** keel_snap_reason_name() - why a snapshot was aborted, one word */
const char *keel_snap_reason_name(enum keel_snap_reason reason)
{
	static const char *const names[] = {
		[KEEL_REASON_NONE] = "none",
		[KEEL_REASON_REQUESTED] = "requested",
		[KEEL_REASON_CLOSED] = "closed",
		[KEEL_REASON_POOL] = "pool",
		[KEEL_REASON_STALLED] = "stalled",
		[KEEL_REASON_DRAIN] = "drain",
		[KEEL_REASON_POISON] = "poison",
	};

	return name(names, NR(names), reason);
}

/** keel_snap_reason_text() - why a snapshot was aborted, and what to do */
const char *keel_snap_reason_text(enum keel_snap_reason reason)
{
	static const char *const texts[] = {
		[KEEL_REASON_NONE] = "no reason given",
		[KEEL_REASON_REQUESTED] = "it was aborted on request",
		[KEEL_REASON_CLOSED] = "the process that drained it went away",
		[KEEL_REASON_POOL] =
			"the buffer pool ran out (--overflow abort); give a larger --pool or another --overflow",
		[KEEL_REASON_STALLED] =
			"a guest write waited longer than --stall for a buffer; give a larger --pool or a faster target",
		[KEEL_REASON_DRAIN] = "the image could not be stored",
		[KEEL_REASON_POISON] =
			"some of the guest's memory is broken; see the kernel log, and move the guest to another host",
	};

	return name(texts, NR(texts), reason);
}

/** keel_pool_policy_name() - which of the free VFs a VM gets */
const char *keel_pool_policy_name(enum keel_pool_policy policy)
{
	static const char *const names[] = {
		[KEEL_POOL_POLICY_NEAR] = "near",
		[KEEL_POOL_POLICY_SPREAD] = "spread",
		[KEEL_POOL_POLICY_PACK] = "pack",
	};

	return name(names, NR(names), policy);
}

/** keel_pool_mac_name() - which MAC a VF gets */
const char *keel_pool_mac_name(enum keel_pool_mac mac)
{
	static const char *const names[] = {
		[KEEL_POOL_MAC_RANDOM] = "random",
		[KEEL_POOL_MAC_GUEST] = "guest",
	};

	return name(names, NR(names), mac);
}

/** keel_vf_state_name() - what a VF of a pool is at */
const char *keel_vf_state_name(enum keel_vf_state state)
{
	static const char *const names[] = {
		[KEEL_VF_STATE_ABSENT] = "absent",
		[KEEL_VF_STATE_FOREIGN] = "foreign",
		[KEEL_VF_STATE_SCRUBBING] = "scrubbing",
		[KEEL_VF_STATE_FREE] = "free",
		[KEEL_VF_STATE_LEASING] = "leasing",
		[KEEL_VF_STATE_LEASED] = "leased",
		[KEEL_VF_STATE_RELEASING] = "releasing",
		[KEEL_VF_STATE_QUARANTINED] = "quarantined",
	};

	return name(names, NR(names), state);
}

/** keel_port_state_name() - what a VM's port is at */
const char *keel_port_state_name(enum keel_port_state state)
{
	static const char *const names[] = {
		[KEEL_PORT_STATE_UNOWNED] = "unowned",
		[KEEL_PORT_STATE_WAITING] = "waiting",
		[KEEL_PORT_STATE_LEASED] = "leased",
		[KEEL_PORT_STATE_DECLINED] = "declined",
	};

	return name(names, NR(names), state);
}

/** keel_irq_mode_name() - what is done for directed interrupts */
const char *keel_irq_mode_name(enum keel_irq_mode mode)
{
	static const char *const names[] = {
		[KEEL_IRQ_MODE_OFF] = "off",
		[KEEL_IRQ_MODE_WATCH] = "watch",
		[KEEL_IRQ_MODE_STEER] = "steer",
	};

	return name(names, NR(names), mode);
}

/** keel_irq_fallback_name() - where an interrupt goes whose target does not run */
const char *keel_irq_fallback_name(enum keel_irq_fallback fallback)
{
	static const char *const names[] = {
		[KEEL_IRQ_FALLBACK_WAIT] = "wait",
		[KEEL_IRQ_FALLBACK_NODE] = "node",
		[KEEL_IRQ_FALLBACK_HOUSEKEEPING] = "housekeeping",
		[KEEL_IRQ_FALLBACK_WAKE] = "wake",
		[KEEL_IRQ_FALLBACK_INHERIT] = "inherit",
	};

	return name(names, NR(names), fallback);
}

/** keel_irq_state_name() - what a target is at */
const char *keel_irq_state_name(enum keel_irq_state state)
{
	static const char *const names[] = {
		[KEEL_IRQ_STATE_OFFLINE] = "offline",
		[KEEL_IRQ_STATE_RUNNING] = "running",
		[KEEL_IRQ_STATE_PREEMPTED] = "preempted",
		[KEEL_IRQ_STATE_HALTED] = "halted",
		[KEEL_IRQ_STATE_PAUSED] = "paused",
	};

	return name(names, NR(names), state);
}

/** keel_irq_dest_name() - whom the guest wants an interrupt to reach */
const char *keel_irq_dest_name(enum keel_irq_dest dest)
{
	static const char *const names[] = {
		[KEEL_IRQ_DEST_NONE] = "none",
		[KEEL_IRQ_DEST_FIXED] = "fixed",
		[KEEL_IRQ_DEST_LOWEST] = "lowest",
		[KEEL_IRQ_DEST_MANY] = "many",
	};

	return name(names, NR(names), dest);
}

/** keel_irq_aim_name() - what has become of a route's aim */
const char *keel_irq_aim_name(enum keel_irq_aim aim)
{
	static const char *const names[] = {
		[KEEL_IRQ_AIM_IDLE] = "idle",
		[KEEL_IRQ_AIM_CPU] = "cpu",
		[KEEL_IRQ_AIM_NODE] = "node",
		[KEEL_IRQ_AIM_FALLBACK] = "fallback",
		[KEEL_IRQ_AIM_LEFT] = "left",
		[KEEL_IRQ_AIM_MANAGED] = "managed",
		[KEEL_IRQ_AIM_FORBIDDEN] = "forbidden",
		[KEEL_IRQ_AIM_FULL] = "full",
		[KEEL_IRQ_AIM_FAILED] = "failed",
		[KEEL_IRQ_AIM_NOBODY] = "nobody",
	};

	return name(names, NR(names), aim);
}
