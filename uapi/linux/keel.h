/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * keel: the data path of a live memory snapshot.
 *
 * Each open of /dev/keel is one snapshot. Its life:
 *
 *	KEEL_SNAP_CREATE	parameters and buffer pool
 *	KEEL_SNAP_ADD_FILE	once for each keelfs file of the VM
 *	KEEL_SNAP_PREPARE	slow work, with the guest running
 *	KEEL_SNAP_ARM		fixes the instant for all files together
 *	KEEL_SNAP_FETCH		repeatedly: hands out saved pages, takes back
 *				buffers, until the snapshot is complete
 *	close()			ends it; before completion that is an abort
 *
 * A saved page lies in a slot of the pool. mmap() of the descriptor, read-only
 * and shared, at offset 0 shows the pool; slot n is at n * KEEL_PAGE_SIZE. A
 * pool may grow while it is armed (KEEL_OVERFLOW_SPILL, and faults that cannot
 * wait): new slots have higher numbers. A mapping of KEEL_SNAP_POOL_MAX bytes
 * reaches all there can be; a slot that does not exist yet gives SIGBUS.
 *
 * Every structure starts with its own size, as the caller knows it. The kernel
 * accepts a shorter one if the missing fields may be zero, and a longer one if
 * the fields it does not know are zero; else E2BIG.
 *
 * Errors, wherever they appear:
 *	EINVAL		a field is out of range, or a reserved one is not zero
 *	EBADF		fd is not an open file
 *	EMEDIUMTYPE	fd is not a file on keelfs
 *	EACCES		fd is not open for reading and writing
 *	EBUSY		the file is in another snapshot; or (ARM) a write,
 *			truncate or fallocate on it did not end in time, which
 *			may be tried again
 *	EEXIST		this snapshot has the file already
 *	ENODATA		(PREPARE) no file was added, or none has memory
 *	ETOOMANYREFS	(ARM) more pages are pinned than pinned_max; .pinned
 *			says how many
 *	EHWPOISON	(ARM) some of the memory is broken
 *	EPROTO		the call does not fit the state
 *	ECANCELED	the snapshot was aborted; KEEL_SNAP_STAT says why
 *	ENOSPC		too many files
 *	EFBIG		a file of more than 16 TiB
 *	ENOMEM, EFAULT, EINTR, EPERM	as everywhere
 */
#ifndef _UAPI_LINUX_KEEL_H
#define _UAPI_LINUX_KEEL_H

#include <linux/ioctl.h>
#include <linux/types.h>
#include <linux/keel_netlink.h>

#define KEEL_DEVICE		"/dev/keel"
#define KEEL_PAGE_SHIFT		12
#define KEEL_PAGE_SIZE		4096
#define KEELFS_SUPER_MAGIC	0x6b65656c	/* "keel"; f_type of statfs(2) */

/* Limits of one snapshot. */
#define KEEL_SNAP_FILES_MAX	32
#define KEEL_SNAP_POOL_MIN	(4ULL << 20)	/* bytes */
#define KEEL_SNAP_POOL_MAX	(64ULL << 30)
#define KEEL_SNAP_STALL_MIN	10		/* milliseconds */
#define KEEL_SNAP_STALL_MAX	600000
#define KEEL_SNAP_FETCH_MAX	65536		/* records a call */

/* What a write does when the pool is empty. */
enum keel_overflow {
	KEEL_OVERFLOW_THROTTLE,	/* wait for a slot, at most stall_ms */
	KEEL_OVERFLOW_SPILL,	/* take ordinary memory; if none, throttle */
	KEEL_OVERFLOW_ABORT,	/* abort the snapshot, go on at once */
};

/**
 * struct keel_snap_create - KEEL_SNAP_CREATE
 * @size: sizeof(struct keel_snap_create)
 * @overflow: one of enum keel_overflow
 * @pool_bytes: pool size, rounded up to pages; 0: 64 MiB
 * @stall_ms: longest wait of one write for a slot, after which the snapshot
 *	is aborted; 0: 10000
 * @vm: the VM it is of, by registry id, for show; 0: unsaid
 * @pinned_max: how many pages that something else holds (DMA, nested guests)
 *	may be saved at once while the gate is shut; more refuse the snapshot.
 *	0: half the pool; never more than the pool
 * @id: (out) the snapshot's id, as netlink shows it
 */
struct keel_snap_create {
	__u32 size;
	__u32 overflow;
	__aligned_u64 pool_bytes;
	__u32 stall_ms;
	__u32 vm;
	__u32 pinned_max;
	__u32 id;
};

/**
 * struct keel_snap_add_file - KEEL_SNAP_ADD_FILE
 * @size: sizeof(struct keel_snap_add_file)
 * @fd: a keelfs file, open for reading and writing
 * @index: (out) its number in records, from 0
 * @reserved: 0
 * @bytes: (out) its size now; the one at the instant is in ARM's wake
 */
struct keel_snap_add_file {
	__u32 size;
	__s32 fd;
	__u32 index;
	__u32 reserved;
	__aligned_u64 bytes;
};

/**
 * struct keel_snap_arm - KEEL_SNAP_ARM
 * @size: sizeof(struct keel_snap_arm)
 * @timeout_ms: how long to wait for file operations under way; 0: 1000
 * @pages: (out) pages present at the instant
 * @time_ns: (out) CLOCK_REALTIME at the instant
 * @gate_ns: (out) how long the gate was shut
 * @unmap_ns: (out) of which taking the mappings away
 * @walk_ns: (out) of which looking at each folio
 * @pinned: (out) pages found held by something else
 * @bytes: array of file sizes at the instant, by index; a pointer to
 *	@nr_bytes elements, or 0
 * @nr_bytes: elements of @bytes
 * @reserved: 0
 */
struct keel_snap_arm {
	__u32 size;
	__u32 timeout_ms;
	__aligned_u64 pages;
	__aligned_u64 time_ns;
	__aligned_u64 gate_ns;
	__aligned_u64 unmap_ns;
	__aligned_u64 walk_ns;
	__aligned_u64 pinned;
	__aligned_u64 bytes;
	__u32 nr_bytes;
	__u32 reserved;
};

/**
 * struct keel_snap_rec - one saved page
 * @pgoff: page number in the file
 * @file: index from ADD_FILE
 * @slot: slot of the pool that holds it
 *
 * A page for which no record comes is zero.
 */
struct keel_snap_rec {
	__aligned_u64 pgoff;
	__u32 file;
	__u32 slot;
};

/**
 * struct keel_snap_fetch - KEEL_SNAP_FETCH
 * @size: sizeof(struct keel_snap_fetch)
 * @nr_release: slots given back
 * @release: pointer to @nr_release slot numbers (__u32), all fetched earlier
 *	and not yet given back; taken back before anything else happens. A bad
 *	one stops there with EINVAL, those before it are given back
 * @recs: pointer to room for @nr_recs records
 * @nr_recs: (in) room, at most KEEL_SNAP_FETCH_MAX; (out) records stored
 * @state: (out) enum keel_snap_state. KEEL_SNAP_COMPLETE with no records:
 *	there will be no more
 * @queued: (out) saved pages that still wait to be fetched
 *
 * Pages that were saved by faults come first; while there are none the call
 * sweeps the files in order and hands out what it saves. Zero pages are
 * dropped. With no free slot and nothing queued it stores nothing: give slots
 * back first. Does not wait for anything but page locks.
 */
struct keel_snap_fetch {
	__u32 size;
	__u32 nr_release;
	__aligned_u64 release;
	__aligned_u64 recs;
	__u32 nr_recs;
	__u32 state;
	__aligned_u64 queued;
};

/**
 * struct keel_snap_stat - KEEL_SNAP_STAT
 * @size: sizeof(struct keel_snap_stat)
 * @state: enum keel_snap_state
 * @reason: enum keel_snap_reason
 * @files: files added
 * @pages: present at the instant
 * @fault_pages: saved by whoever touched them first
 * @swept_pages: saved by FETCH in file order
 * @eager_pages: saved while the gate was shut
 * @zero_pages: of these, zero
 * @pool_pages: slots, without those spilled
 * @pool_free: free now
 * @pool_low: fewest free seen
 * @throttled: waits for a slot
 * @throttled_ns: their sum
 * @spilled_pages: slots taken beyond the pool
 * @fault_ns: time spent saving in faults, without waits
 */
struct keel_snap_stat {
	__u32 size;
	__u32 state;
	__u32 reason;
	__u32 files;
	__aligned_u64 pages;
	__aligned_u64 fault_pages;
	__aligned_u64 swept_pages;
	__aligned_u64 eager_pages;
	__aligned_u64 zero_pages;
	__aligned_u64 pool_pages;
	__aligned_u64 pool_free;
	__aligned_u64 pool_low;
	__aligned_u64 throttled;
	__aligned_u64 throttled_ns;
	__aligned_u64 spilled_pages;
	__aligned_u64 fault_ns;
};

#define KEEL_IOC		0xBE

#define KEEL_SNAP_CREATE	_IO(KEEL_IOC, 0x00)
#define KEEL_SNAP_ADD_FILE	_IO(KEEL_IOC, 0x01)
#define KEEL_SNAP_PREPARE	_IO(KEEL_IOC, 0x02)	/* no argument */
#define KEEL_SNAP_ARM		_IO(KEEL_IOC, 0x03)
#define KEEL_SNAP_FETCH		_IO(KEEL_IOC, 0x04)
#define KEEL_SNAP_STAT		_IO(KEEL_IOC, 0x05)
/* Argument: 0 or KEEL_REASON_REQUESTED, or KEEL_REASON_DRAIN, as a value. */
#define KEEL_SNAP_ABORT		_IO(KEEL_IOC, 0x06)

/*
 * Parts of a decision of placement, as KEEL_CMD_PLACE_DECISION_GET gives them;
 * module/placement/score.h has their units.
 */
struct keel_place_site {
	__u32 node;
	__u32 cores;
	__u32 cpus;
	__u32 cache_kib;
	__u32 foreign;
};

/* Memory that should follow its users; that of a thread, or what a VM shares. */
struct keel_place_memory {
	__u64 from;		/* nodes, a bit each, in the order of latencies */
	__u32 kib;
	__u32 to;		/* node */
};

struct keel_place_task {
	__u32 vm;
	__u32 shared_kib;	/* of its VM */
	__u32 util;
	__u32 site;
	__u32 inertia;
	__u32 ours;		/* 0: it stays where it is */
	__u32 plan;
	__u32 pad;
	__u64 allowed[4];	/* sites, a bit each */
	__u64 mems;		/* nodes that its memory may be moved to, likewise */
	struct keel_place_memory own;
	struct keel_place_memory shared;	/* of its VM */
	/* __u32 touched[nr_nodes], shared[nr_nodes]: KiB; the latter of its VM */
};

#endif /* _UAPI_LINUX_KEEL_H */
