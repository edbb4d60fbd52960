/* SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-3-Clause) */
/* Do not edit directly, auto-generated from: */
/*	Documentation/netlink/specs/keel.yaml */
/* YNL-GEN uapi header */

#ifndef _UAPI_LINUX_KEEL_NETLINK_H
#define _UAPI_LINUX_KEEL_NETLINK_H

#define KEEL_GENL_NAME		"keel"
#define KEEL_GENL_VERSION	1

/**
 * enum keel_backing - What kind of host memory lies under a memory slot.
 */
enum keel_backing {
	KEEL_BACKING_OTHER,
	KEEL_BACKING_ANON,
	KEEL_BACKING_KEELFS,
	KEEL_BACKING_SHMEM,
	KEEL_BACKING_HUGETLB,
	KEEL_BACKING_FILE,
};

/**
 * enum keel_snap_state - Life of a snapshot. new: files are being added.
 *   prepared: buffers stand, the guest is not yet touched. armed: the instant
 *   is fixed and the memory drains. complete: every page has been handed out.
 *   aborted: the guest runs on as if there had been none.
 */
enum keel_snap_state {
	KEEL_SNAP_NEW,
	KEEL_SNAP_PREPARED,
	KEEL_SNAP_ARMED,
	KEEL_SNAP_COMPLETE,
	KEEL_SNAP_ABORTED,
};

/**
 * enum keel_snap_reason - Why a snapshot was aborted.
 * @KEEL_REASON_NONE: it was not
 * @KEEL_REASON_REQUESTED: by the user, over netlink or ioctl
 * @KEEL_REASON_CLOSED: the process that drained it went away
 * @KEEL_REASON_POOL: the pool ran out and the overflow policy is abort
 * @KEEL_REASON_STALLED: a guest write waited for a free buffer longer than the
 *   stall limit
 * @KEEL_REASON_DRAIN: the process that drained it could not store the image
 * @KEEL_REASON_POISON: a page could not be saved because its memory is broken
 */
enum keel_snap_reason {
	KEEL_REASON_NONE,
	KEEL_REASON_REQUESTED,
	KEEL_REASON_CLOSED,
	KEEL_REASON_POOL,
	KEEL_REASON_STALLED,
	KEEL_REASON_DRAIN,
	KEEL_REASON_POISON,
};

enum {
	KEEL_A_HOST_VERSION = 1,
	KEEL_A_HOST_VMS,
	KEEL_A_HOST_SNAPSHOTS,
	KEEL_A_HOST_KEELFS_PAGES,
	KEEL_A_HOST_POOL_PAGES,
	KEEL_A_HOST_KEELFS_MOUNTS,

	__KEEL_A_HOST_MAX,
	KEEL_A_HOST_MAX = (__KEEL_A_HOST_MAX - 1)
};

enum {
	KEEL_A_VCPU_INDEX = 1,
	KEEL_A_VCPU_TID,
	KEEL_A_VCPU_CPU,

	__KEEL_A_VCPU_MAX,
	KEEL_A_VCPU_MAX = (__KEEL_A_VCPU_MAX - 1)
};

enum {
	KEEL_A_REGION_SLOT = 1,
	KEEL_A_REGION_GPA,
	KEEL_A_REGION_SIZE,
	KEEL_A_REGION_HVA,
	KEEL_A_REGION_BACKING,
	KEEL_A_REGION_READONLY,
	KEEL_A_REGION_INO,
	KEEL_A_REGION_DEV,
	KEEL_A_REGION_OFFSET,

	__KEEL_A_REGION_MAX,
	KEEL_A_REGION_MAX = (__KEEL_A_REGION_MAX - 1)
};

enum {
	KEEL_A_VM_ID = 1,
	KEEL_A_VM_PID,
	KEEL_A_VM_COMM,
	KEEL_A_VM_MEMORY,
	KEEL_A_VM_MEMORY_KEELFS,
	KEEL_A_VM_NR_VCPUS,
	KEEL_A_VM_VCPU,
	KEEL_A_VM_REGION,
	KEEL_A_VM_SNAPSHOT,

	__KEEL_A_VM_MAX,
	KEEL_A_VM_MAX = (__KEEL_A_VM_MAX - 1)
};

enum {
	KEEL_A_SNAPSHOT_ID = 1,
	KEEL_A_SNAPSHOT_VM,
	KEEL_A_SNAPSHOT_PID,
	KEEL_A_SNAPSHOT_STATE,
	KEEL_A_SNAPSHOT_REASON,
	KEEL_A_SNAPSHOT_FILES,
	KEEL_A_SNAPSHOT_PAGES,
	KEEL_A_SNAPSHOT_FAULT_PAGES,
	KEEL_A_SNAPSHOT_SWEPT_PAGES,
	KEEL_A_SNAPSHOT_EAGER_PAGES,
	KEEL_A_SNAPSHOT_ZERO_PAGES,
	KEEL_A_SNAPSHOT_POOL_PAGES,
	KEEL_A_SNAPSHOT_POOL_LOW,
	KEEL_A_SNAPSHOT_THROTTLED,
	KEEL_A_SNAPSHOT_THROTTLED_NS,
	KEEL_A_SNAPSHOT_SPILLED_PAGES,
	KEEL_A_SNAPSHOT_ARM_NS,

	__KEEL_A_SNAPSHOT_MAX,
	KEEL_A_SNAPSHOT_MAX = (__KEEL_A_SNAPSHOT_MAX - 1)
};

enum keel_attr {
	KEEL_A_ID = 1,
	KEEL_A_HOST,
	KEEL_A_VM,
	KEEL_A_SNAPSHOT,

	__KEEL_A_MAX,
	KEEL_A_MAX = (__KEEL_A_MAX - 1)
};

enum {
	KEEL_CMD_HOST_GET = 1,
	KEEL_CMD_VM_GET,
	KEEL_CMD_VM_NEW_NTF,
	KEEL_CMD_VM_DEL_NTF,
	KEEL_CMD_SNAPSHOT_GET,
	KEEL_CMD_SNAPSHOT_ABORT,
	KEEL_CMD_SNAPSHOT_NTF,

	__KEEL_CMD_MAX,
	KEEL_CMD_MAX = (__KEEL_CMD_MAX - 1)
};

#define KEEL_MCGRP_EVENTS	"events"

#endif /* _UAPI_LINUX_KEEL_NETLINK_H */
