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

/**
 * enum keel_place_source - Where a table of latencies is from; the first that
 *   can be used is.
 * @KEEL_PLACE_SOURCE_USER: loaded by the user
 * @KEEL_PLACE_SOURCE_MEASURED: by a pointer chase
 * @KEEL_PLACE_SOURCE_HMAT: the firmware's table of latencies
 * @KEEL_PLACE_SOURCE_SLIT: the firmware's table of distances, 10 taken for 80
 *   ns
 */
enum keel_place_source {
	KEEL_PLACE_SOURCE_USER,
	KEEL_PLACE_SOURCE_MEASURED,
	KEEL_PLACE_SOURCE_HMAT,
	KEEL_PLACE_SOURCE_SLIT,
};

/**
 * enum keel_place_kind - What a thread is to its VM. helper: one of the VMM's
 *   that works for the guest all the time.
 */
enum keel_place_kind {
	KEEL_PLACE_KIND_VCPU,
	KEEL_PLACE_KIND_HELPER,
};

/**
 * enum keel_place_state - Whose affinity a thread has. idle: its own. placed:
 *   ours. left: that of somebody who changed ours.
 */
enum keel_place_state {
	KEEL_PLACE_STATE_IDLE,
	KEEL_PLACE_STATE_PLACED,
	KEEL_PLACE_STATE_LEFT,
};

/**
 * enum keel_place_mode - Is a VM to be placed? on: yes. advise: it is decided
 *   where it should be, and not done. off: it is not looked at.
 */
enum keel_place_mode {
	KEEL_PLACE_MODE_ON,
	KEEL_PLACE_MODE_ADVISE,
	KEEL_PLACE_MODE_OFF,
};

/**
 * enum keel_place_temper - How much a move must promise. normal: 3 % of what
 *   the thread costs soon after it has changed, four times as much else. calm:
 *   four times that. eager: a quarter of it.
 */
enum keel_place_temper {
	KEEL_PLACE_TEMPER_NORMAL,
	KEEL_PLACE_TEMPER_CALM,
	KEEL_PLACE_TEMPER_EAGER,
};

/**
 * enum keel_place_grain - Which CPUs a thread may use. site: those that share
 *   a last level cache with the best. node: those of its NUMA node.
 */
enum keel_place_grain {
	KEEL_PLACE_GRAIN_SITE,
	KEEL_PLACE_GRAIN_NODE,
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

enum {
	KEEL_A_TABLE_SOURCE = 1,
	KEEL_A_TABLE_WHY,
	KEEL_A_TABLE_LATENCY,
	KEEL_A_TABLE_NOISE,
	KEEL_A_TABLE_LOADED,

	__KEEL_A_TABLE_MAX,
	KEEL_A_TABLE_MAX = (__KEEL_A_TABLE_MAX - 1)
};

enum {
	KEEL_A_OUTLIER_CPU = 1,
	KEEL_A_OUTLIER_NODE,
	KEEL_A_OUTLIER_LATENCY,
	KEEL_A_OUTLIER_USUAL,

	__KEEL_A_OUTLIER_MAX,
	KEEL_A_OUTLIER_MAX = (__KEEL_A_OUTLIER_MAX - 1)
};

enum {
	KEEL_A_MATRIX_SOURCE = 1,
	KEEL_A_MATRIX_NODES,
	KEEL_A_MATRIX_LATENCY,
	KEEL_A_MATRIX_TABLE,
	KEEL_A_MATRIX_OUTLIER,

	__KEEL_A_MATRIX_MAX,
	KEEL_A_MATRIX_MAX = (__KEEL_A_MATRIX_MAX - 1)
};

enum {
	KEEL_A_SITE_INDEX = 1,
	KEEL_A_SITE_NODE,
	KEEL_A_SITE_CPUS,
	KEEL_A_SITE_CORES,
	KEEL_A_SITE_CACHE_KIB,
	KEEL_A_SITE_FOREIGN,

	__KEEL_A_SITE_MAX,
	KEEL_A_SITE_MAX = (__KEEL_A_SITE_MAX - 1)
};

enum {
	KEEL_A_PLACE_RUNNING = 1,
	KEEL_A_PLACE_PERIOD_MS,
	KEEL_A_PLACE_TEMPER,
	KEEL_A_PLACE_GRAIN,
	KEEL_A_PLACE_SAMPLES,
	KEEL_A_PLACE_SOURCE,
	KEEL_A_PLACE_PERIODS,
	KEEL_A_PLACE_MOVES,
	KEEL_A_PLACE_LEFT,
	KEEL_A_PLACE_SAMPLED,
	KEEL_A_PLACE_DECIDE_NS,
	KEEL_A_PLACE_OBSERVE_NS,
	KEEL_A_PLACE_NODES,
	KEEL_A_PLACE_SITE,

	__KEEL_A_PLACE_MAX,
	KEEL_A_PLACE_MAX = (__KEEL_A_PLACE_MAX - 1)
};

enum {
	KEEL_A_THREAD_KIND = 1,
	KEEL_A_THREAD_INDEX,
	KEEL_A_THREAD_TID,
	KEEL_A_THREAD_COMM,
	KEEL_A_THREAD_STATE,
	KEEL_A_THREAD_UTIL,
	KEEL_A_THREAD_TOUCHED,
	KEEL_A_THREAD_SITE,
	KEEL_A_THREAD_PLAN,
	KEEL_A_THREAD_EXPECTED,
	KEEL_A_THREAD_MOVES,

	__KEEL_A_THREAD_MAX,
	KEEL_A_THREAD_MAX = (__KEEL_A_THREAD_MAX - 1)
};

enum {
	KEEL_A_PLACE_VM_ID = 1,
	KEEL_A_PLACE_VM_PID,
	KEEL_A_PLACE_VM_MODE,
	KEEL_A_PLACE_VM_SHARED_KIB,
	KEEL_A_PLACE_VM_THREAD,
	KEEL_A_PLACE_VM_REASON,

	__KEEL_A_PLACE_VM_MAX,
	KEEL_A_PLACE_VM_MAX = (__KEEL_A_PLACE_VM_MAX - 1)
};

enum {
	KEEL_A_REASON_SITE = 1,
	KEEL_A_REASON_ALLOWED,
	KEEL_A_REASON_MEMORY,
	KEEL_A_REASON_MISS,
	KEEL_A_REASON_SLOWDOWN,
	KEEL_A_REASON_EXPECTED,
	KEEL_A_REASON_OTHERS,
	KEEL_A_REASON_MOVE,

	__KEEL_A_REASON_MAX,
	KEEL_A_REASON_MAX = (__KEEL_A_REASON_MAX - 1)
};

enum {
	KEEL_A_MOVE_VM = 1,
	KEEL_A_MOVE_KIND,
	KEEL_A_MOVE_INDEX,
	KEEL_A_MOVE_TID,
	KEEL_A_MOVE_FROM_SITE,
	KEEL_A_MOVE_TO_SITE,
	KEEL_A_MOVE_FROM_NODE,
	KEEL_A_MOVE_TO_NODE,
	KEEL_A_MOVE_EXPECTED,
	KEEL_A_MOVE_LEFT,

	__KEEL_A_MOVE_MAX,
	KEEL_A_MOVE_MAX = (__KEEL_A_MOVE_MAX - 1)
};

enum keel_attr {
	KEEL_A_ID = 1,
	KEEL_A_HOST,
	KEEL_A_VM,
	KEEL_A_SNAPSHOT,
	KEEL_A_MATRIX,
	KEEL_A_NODES,
	KEEL_A_LATENCY,
	KEEL_A_LOADED,
	KEEL_A_BUDGET_US,
	KEEL_A_PLACE,
	KEEL_A_PLACE_VM,
	KEEL_A_MOVE,
	KEEL_A_PERIOD_MS,
	KEEL_A_TEMPER,
	KEEL_A_GRAIN,
	KEEL_A_SAMPLES,
	KEEL_A_MODE,
	KEEL_A_VCPU,

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
	KEEL_CMD_MATRIX_GET,
	KEEL_CMD_MATRIX_MEASURE,
	KEEL_CMD_MATRIX_LOAD,
	KEEL_CMD_PLACE_GET,
	KEEL_CMD_PLACE_START,
	KEEL_CMD_PLACE_STOP,
	KEEL_CMD_PLACE_MODE,
	KEEL_CMD_PLACE_VM_GET,
	KEEL_CMD_PLACE_EXPLAIN,
	KEEL_CMD_PLACE_MOVE_NTF,

	__KEEL_CMD_MAX,
	KEEL_CMD_MAX = (__KEEL_CMD_MAX - 1)
};

#define KEEL_MCGRP_EVENTS	"events"

#endif /* _UAPI_LINUX_KEEL_NETLINK_H */
