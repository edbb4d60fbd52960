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
