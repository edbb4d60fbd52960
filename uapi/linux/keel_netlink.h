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
 *   a last level cache with the best. node: those of its NUMA node. cpu: one
 *   of the site.
 */
enum keel_place_grain {
	KEEL_PLACE_GRAIN_SITE,
	KEEL_PLACE_GRAIN_NODE,
	KEEL_PLACE_GRAIN_CPU,
};

/**
 * enum keel_pool_policy - Which of the free VFs a VM gets. near: of the PF
 *   nearest to its vCPUs, and of several of these the one least in use.
 *   spread: of the PF least in use. pack: of the PF most in use that has one
 *   left.
 */
enum keel_pool_policy {
	KEEL_POOL_POLICY_NEAR,
	KEEL_POOL_POLICY_SPREAD,
	KEEL_POOL_POLICY_PACK,
};

/**
 * enum keel_pool_mac - The MAC of a VF that is leased. random: one of its own.
 *   guest: that of the guest's network device which has the port; a port waits
 *   until it is told.
 */
enum keel_pool_mac {
	KEEL_POOL_MAC_RANDOM,
	KEEL_POOL_MAC_GUEST,
};

/**
 * enum keel_vf_state - What a VF of a pool is at.
 * @KEEL_VF_STATE_ABSENT: the PF has no such VF now
 * @KEEL_VF_STATE_FOREIGN: somebody outside the pool uses it; it is taken when
 *   that ends
 * @KEEL_VF_STATE_SCRUBBING: it is reset and what it was told is cleared
 * @KEEL_VF_STATE_FREE: found clean, and no driver has it
 * @KEEL_VF_STATE_LEASING: it is configured for a VM
 * @KEEL_VF_STATE_LEASED: vfio-pci has it, for the VM
 * @KEEL_VF_STATE_RELEASING: the lease has ended, and is over when no process
 *   has it open
 * @KEEL_VF_STATE_QUARANTINED: it did not do what it was told, and is given to
 *   nobody
 */
enum keel_vf_state {
	KEEL_VF_STATE_ABSENT,
	KEEL_VF_STATE_FOREIGN,
	KEEL_VF_STATE_SCRUBBING,
	KEEL_VF_STATE_FREE,
	KEEL_VF_STATE_LEASING,
	KEEL_VF_STATE_LEASED,
	KEEL_VF_STATE_RELEASING,
	KEEL_VF_STATE_QUARANTINED,
};

/**
 * enum keel_port_state - What a VM's port of a pool's switch is at.
 * @KEEL_PORT_STATE_UNOWNED: no VM has it open, or not yet
 * @KEEL_PORT_STATE_WAITING: for a VF to be free; traffic takes the software
 *   path
 * @KEEL_PORT_STATE_LEASED: it has a VF
 * @KEEL_PORT_STATE_DECLINED: it is to have none
 */
enum keel_port_state {
	KEEL_PORT_STATE_UNOWNED,
	KEEL_PORT_STATE_WAITING,
	KEEL_PORT_STATE_LEASED,
	KEEL_PORT_STATE_DECLINED,
};

/**
 * enum keel_irq_mode - What is done for directed interrupts. off: nothing, and
 *   no vCPU's thread is looked at. watch: tables are kept, routes found,
 *   interrupts counted. steer: interrupts are sent to where their targets run,
 *   too. For a VM off means that it has no mode of its own, but the host's.
 */
enum keel_irq_mode {
	KEEL_IRQ_MODE_OFF,
	KEEL_IRQ_MODE_WATCH,
	KEEL_IRQ_MODE_STEER,
};

/**
 * enum keel_irq_fallback - Where an interrupt goes whose target does not run.
 *   wait: to the CPU where the target was last. node: to any CPU of that one's
 *   NUMA node. housekeeping: to any of the CPUs that are not isolated. wake:
 *   nowhere else than without keel; the target is woken up from there.
 *   inherit: (request) of a VM: as the host; of a target: as its VM. What is
 *   passed on from an eventfd stays where it comes with wait, too.
 */
enum keel_irq_fallback {
	KEEL_IRQ_FALLBACK_WAIT,
	KEEL_IRQ_FALLBACK_NODE,
	KEEL_IRQ_FALLBACK_HOUSEKEEPING,
	KEEL_IRQ_FALLBACK_WAKE,
	KEEL_IRQ_FALLBACK_INHERIT,
};

/**
 * enum keel_irq_state - What a target is at, that is, the thread of a vCPU.
 * @KEEL_IRQ_STATE_OFFLINE: no thread runs it
 * @KEEL_IRQ_STATE_RUNNING: on that CPU, in the guest or for it
 * @KEEL_IRQ_STATE_PREEMPTED: it wants to run, and another thread has the CPU
 * @KEEL_IRQ_STATE_HALTED: it waits for an interrupt
 * @KEEL_IRQ_STATE_PAUSED: its VMM has it, and it waits for something else
 */
enum keel_irq_state {
	KEEL_IRQ_STATE_OFFLINE,
	KEEL_IRQ_STATE_RUNNING,
	KEEL_IRQ_STATE_PREEMPTED,
	KEEL_IRQ_STATE_HALTED,
	KEEL_IRQ_STATE_PAUSED,
};

/**
 * enum keel_irq_dest - Whom the guest wants an interrupt to reach. none: no
 *   vCPU that there is. fixed: one. lowest: the one of several that is least
 *   busy. many: several.
 */
enum keel_irq_dest {
	KEEL_IRQ_DEST_NONE,
	KEEL_IRQ_DEST_FIXED,
	KEEL_IRQ_DEST_LOWEST,
	KEEL_IRQ_DEST_MANY,
};

/**
 * enum keel_irq_aim - What has become of a route's aim.
 * @KEEL_IRQ_AIM_IDLE: nothing is steered
 * @KEEL_IRQ_AIM_CPU: at the CPU of its target
 * @KEEL_IRQ_AIM_NODE: at the node of its target, which moves too fast
 * @KEEL_IRQ_AIM_FALLBACK: where the fallback says
 * @KEEL_IRQ_AIM_LEFT: somebody else has set the affinity, and has it
 * @KEEL_IRQ_AIM_MANAGED: the kernel spreads these interrupts over the CPUs
 *   itself
 * @KEEL_IRQ_AIM_FORBIDDEN: the CPU is isolated, and left alone
 * @KEEL_IRQ_AIM_FULL: that CPU has no vector left
 * @KEEL_IRQ_AIM_FAILED: the interrupt controller refused
 * @KEEL_IRQ_AIM_NOBODY: it has no target, or too many
 */
enum keel_irq_aim {
	KEEL_IRQ_AIM_IDLE,
	KEEL_IRQ_AIM_CPU,
	KEEL_IRQ_AIM_NODE,
	KEEL_IRQ_AIM_FALLBACK,
	KEEL_IRQ_AIM_LEFT,
	KEEL_IRQ_AIM_MANAGED,
	KEEL_IRQ_AIM_FORBIDDEN,
	KEEL_IRQ_AIM_FULL,
	KEEL_IRQ_AIM_FAILED,
	KEEL_IRQ_AIM_NOBODY,
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
	KEEL_A_PLACE_UNMAPPED,
	KEEL_A_PLACE_MEMORY_MIB,
	KEEL_A_PLACE_CARRIED_KIB,
	KEEL_A_PLACE_STUCK,
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
	KEEL_A_THREAD_MEMORY,

	__KEEL_A_THREAD_MAX,
	KEEL_A_THREAD_MAX = (__KEEL_A_THREAD_MAX - 1)
};

enum {
	KEEL_A_MEMORY_FROM = 1,
	KEEL_A_MEMORY_TO,
	KEEL_A_MEMORY_KIB,
	KEEL_A_MEMORY_SAVES,
	KEEL_A_MEMORY_COPY,

	__KEEL_A_MEMORY_MAX,
	KEEL_A_MEMORY_MAX = (__KEEL_A_MEMORY_MAX - 1)
};

enum {
	KEEL_A_PLACE_VM_ID = 1,
	KEEL_A_PLACE_VM_PID,
	KEEL_A_PLACE_VM_MODE,
	KEEL_A_PLACE_VM_SHARED_KIB,
	KEEL_A_PLACE_VM_THREAD,
	KEEL_A_PLACE_VM_REASON,
	KEEL_A_PLACE_VM_MEMORY,

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
	KEEL_A_DECISION_PERIOD = 1,
	KEEL_A_DECISION_SMT_GAIN,
	KEEL_A_DECISION_MISS_FLOOR,
	KEEL_A_DECISION_PARALLEL,
	KEEL_A_DECISION_HORIZON_NS,
	KEEL_A_DECISION_MOVE_NS,
	KEEL_A_DECISION_EFFORT,
	KEEL_A_DECISION_SEED,
	KEEL_A_DECISION_HIT,
	KEEL_A_DECISION_NR_NODES,
	KEEL_A_DECISION_NR_VMS,
	KEEL_A_DECISION_NR_TASKS,
	KEEL_A_DECISION_LATENCY,
	KEEL_A_DECISION_SITE,
	KEEL_A_DECISION_TASK,
	KEEL_A_DECISION_ROOM,

	__KEEL_A_DECISION_MAX,
	KEEL_A_DECISION_MAX = (__KEEL_A_DECISION_MAX - 1)
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

enum {
	KEEL_A_POOL_NAME = 1,
	KEEL_A_POOL_SWITCH,
	KEEL_A_POOL_POLICY,
	KEEL_A_POOL_RESERVE,
	KEEL_A_POOL_MAC_POLICY,
	KEEL_A_POOL_VLAN,
	KEEL_A_POOL_TRUST,
	KEEL_A_POOL_SPOOFCHECK,
	KEEL_A_POOL_MIN_RATE,
	KEEL_A_POOL_MAX_RATE,
	KEEL_A_POOL_VFS,
	KEEL_A_POOL_FREE,
	KEEL_A_POOL_LEASED,
	KEEL_A_POOL_QUARANTINED,
	KEEL_A_POOL_WAITING,
	KEEL_A_POOL_LEASES,
	KEEL_A_POOL_MEMBER,
	KEEL_A_POOL_RECLAIM,
	KEEL_A_POOL_RESERVATION,

	__KEEL_A_POOL_MAX,
	KEEL_A_POOL_MAX = (__KEEL_A_POOL_MAX - 1)
};

enum {
	KEEL_A_POOL_RESERVATION_PORT = 1,
	KEEL_A_POOL_RESERVATION_LEFT_MS,

	__KEEL_A_POOL_RESERVATION_MAX,
	KEEL_A_POOL_RESERVATION_MAX = (__KEEL_A_POOL_RESERVATION_MAX - 1)
};

enum {
	KEEL_A_POOL_MEMBER_PCI = 1,
	KEEL_A_POOL_MEMBER_NETDEV,
	KEEL_A_POOL_MEMBER_VFS,
	KEEL_A_POOL_MEMBER_NODE,
	KEEL_A_POOL_MEMBER_MADE,
	KEEL_A_POOL_MEMBER_WHY,

	__KEEL_A_POOL_MEMBER_MAX,
	KEEL_A_POOL_MEMBER_MAX = (__KEEL_A_POOL_MEMBER_MAX - 1)
};

enum {
	KEEL_A_POOL_VF_POOL = 1,
	KEEL_A_POOL_VF_PF,
	KEEL_A_POOL_VF_INDEX,
	KEEL_A_POOL_VF_PCI,
	KEEL_A_POOL_VF_STATE,
	KEEL_A_POOL_VF_GENERATION,
	KEEL_A_POOL_VF_PORT,
	KEEL_A_POOL_VF_VM,
	KEEL_A_POOL_VF_SINCE_NS,
	KEEL_A_POOL_VF_MAC,
	KEEL_A_POOL_VF_VLAN,
	KEEL_A_POOL_VF_NODE,
	KEEL_A_POOL_VF_WHY,
	KEEL_A_POOL_VF_CONFIGURE_NS,
	KEEL_A_POOL_VF_BIND_NS,
	KEEL_A_POOL_VF_SCRUB_NS,
	KEEL_A_POOL_VF_UNBIND_NS,
	KEEL_A_POOL_VF_RESET_NS,

	__KEEL_A_POOL_VF_MAX,
	KEEL_A_POOL_VF_MAX = (__KEEL_A_POOL_VF_MAX - 1)
};

enum {
	KEEL_A_POOL_PORT_POOL = 1,
	KEEL_A_POOL_PORT_NAME,
	KEEL_A_POOL_PORT_IFINDEX,
	KEEL_A_POOL_PORT_MAC,
	KEEL_A_POOL_PORT_STATE,
	KEEL_A_POOL_PORT_VM,
	KEEL_A_POOL_PORT_PID,
	KEEL_A_POOL_PORT_PRIORITY,
	KEEL_A_POOL_PORT_SINCE_NS,
	KEEL_A_POOL_PORT_NODE,
	KEEL_A_POOL_PORT_VF,
	KEEL_A_POOL_PORT_GENERATION,
	KEEL_A_POOL_PORT_WHY,

	__KEEL_A_POOL_PORT_MAX,
	KEEL_A_POOL_PORT_MAX = (__KEEL_A_POOL_PORT_MAX - 1)
};

enum {
	KEEL_A_SWITCH_PORT_NAME = 1,
	KEEL_A_SWITCH_PORT_IFINDEX,
	KEEL_A_SWITCH_PORT_DATAPATH,
	KEEL_A_SWITCH_PORT_SWITCH,

	__KEEL_A_SWITCH_PORT_MAX,
	KEEL_A_SWITCH_PORT_MAX = (__KEEL_A_SWITCH_PORT_MAX - 1)
};

enum {
	KEEL_A_IRQ_MODE = 1,
	KEEL_A_IRQ_FALLBACK,
	KEEL_A_IRQ_VMS,
	KEEL_A_IRQ_TARGETS,
	KEEL_A_IRQ_ROUTES,
	KEEL_A_IRQ_AIMS,
	KEEL_A_IRQ_OFFERED,
	KEEL_A_IRQ_HEARD,

	__KEEL_A_IRQ_MAX,
	KEEL_A_IRQ_MAX = (__KEEL_A_IRQ_MAX - 1)
};

enum {
	KEEL_A_IRQ_TARGET_VM = 1,
	KEEL_A_IRQ_TARGET_PID,
	KEEL_A_IRQ_TARGET_VCPU,
	KEEL_A_IRQ_TARGET_APIC,
	KEEL_A_IRQ_TARGET_TID,
	KEEL_A_IRQ_TARGET_CPU,
	KEEL_A_IRQ_TARGET_NODE,
	KEEL_A_IRQ_TARGET_STATE,
	KEEL_A_IRQ_TARGET_SEQ,
	KEEL_A_IRQ_TARGET_MOVES,
	KEEL_A_IRQ_TARGET_MODE,
	KEEL_A_IRQ_TARGET_FALLBACK,
	KEEL_A_IRQ_TARGET_POSTED,

	__KEEL_A_IRQ_TARGET_MAX,
	KEEL_A_IRQ_TARGET_MAX = (__KEEL_A_IRQ_TARGET_MAX - 1)
};

enum {
	KEEL_A_IRQ_ROUTE_VM = 1,
	KEEL_A_IRQ_ROUTE_PID,
	KEEL_A_IRQ_ROUTE_GSI,
	KEEL_A_IRQ_ROUTE_IRQ,
	KEEL_A_IRQ_ROUTE_DEVICE,
	KEEL_A_IRQ_ROUTE_DEST,
	KEEL_A_IRQ_ROUTE_VECTOR,
	KEEL_A_IRQ_ROUTE_VCPU,
	KEEL_A_IRQ_ROUTE_TARGETS,
	KEEL_A_IRQ_ROUTE_AIM,
	KEEL_A_IRQ_ROUTE_CPU,
	KEEL_A_IRQ_ROUTE_TOTAL,
	KEEL_A_IRQ_ROUTE_DIRECT,
	KEEL_A_IRQ_ROUTE_NEAR,
	KEEL_A_IRQ_ROUTE_FAR,
	KEEL_A_IRQ_ROUTE_HALTED,
	KEEL_A_IRQ_ROUTE_PREEMPTED,
	KEEL_A_IRQ_ROUTE_PAUSED,
	KEEL_A_IRQ_ROUTE_HOME,
	KEEL_A_IRQ_ROUTE_AIMS,
	KEEL_A_IRQ_ROUTE_REFUSED,
	KEEL_A_IRQ_ROUTE_ID,
	KEEL_A_IRQ_ROUTE_PROGRAMMED,

	__KEEL_A_IRQ_ROUTE_MAX,
	KEEL_A_IRQ_ROUTE_MAX = (__KEEL_A_IRQ_ROUTE_MAX - 1)
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
	KEEL_A_DECISION,
	KEEL_A_MOVE,
	KEEL_A_PERIOD_MS,
	KEEL_A_TEMPER,
	KEEL_A_GRAIN,
	KEEL_A_SAMPLES,
	KEEL_A_MODE,
	KEEL_A_VCPU,
	KEEL_A_MEMORY_MIB,
	KEEL_A_POOL,
	KEEL_A_POOL_VF,
	KEEL_A_POOL_PORT,
	KEEL_A_NAME,
	KEEL_A_SWITCH,
	KEEL_A_POLICY,
	KEEL_A_RESERVE,
	KEEL_A_MAC_POLICY,
	KEEL_A_VLAN,
	KEEL_A_TRUST,
	KEEL_A_SPOOFCHECK,
	KEEL_A_MIN_RATE,
	KEEL_A_MAX_RATE,
	KEEL_A_MEMBER,
	KEEL_A_VFS,
	KEEL_A_FORCE,
	KEEL_A_PORT,
	KEEL_A_PCI,
	KEEL_A_GENERATION,
	KEEL_A_PRIORITY,
	KEEL_A_MAC,
	KEEL_A_RECLAIM,
	KEEL_A_SECONDS,
	KEEL_A_SWITCH_PORT,
	KEEL_A_IFINDEX,
	KEEL_A_IRQ,
	KEEL_A_IRQ_TARGET,
	KEEL_A_IRQ_ROUTE,
	KEEL_A_STEER,
	KEEL_A_FALLBACK,
	KEEL_A_SOURCE_FD,
	KEEL_A_SINK_FD,

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
	KEEL_CMD_PLACE_DECISION_GET,
	KEEL_CMD_PLACE_MOVE_NTF,
	KEEL_CMD_POOL_GET,
	KEEL_CMD_POOL_VF_GET,
	KEEL_CMD_POOL_PORT_GET,
	KEEL_CMD_POOL_CREATE,
	KEEL_CMD_POOL_DELETE,
	KEEL_CMD_POOL_SET,
	KEEL_CMD_POOL_ADD,
	KEEL_CMD_POOL_REMOVE,
	KEEL_CMD_POOL_PORT_SET,
	KEEL_CMD_POOL_RESERVE,
	KEEL_CMD_POOL_CANCEL,
	KEEL_CMD_LEASE_END,
	KEEL_CMD_POOL_VF_NTF,
	KEEL_CMD_POOL_PORT_NTF,
	KEEL_CMD_POOL_PORT_GONE_NTF,
	KEEL_CMD_SWITCH_PORT_GET,
	KEEL_CMD_SWITCH_PORT_SET,
	KEEL_CMD_SWITCH_PORT_NTF,
	KEEL_CMD_IRQ_GET,
	KEEL_CMD_IRQ_SET,
	KEEL_CMD_IRQ_TARGET_GET,
	KEEL_CMD_IRQ_ROUTE_GET,
	KEEL_CMD_IRQ_ROUTE_ADD,
	KEEL_CMD_IRQ_ROUTE_DEL,

	__KEEL_CMD_MAX,
	KEEL_CMD_MAX = (__KEEL_CMD_MAX - 1)
};

#define KEEL_MCGRP_EVENTS	"events"

#endif /* _UAPI_LINUX_KEEL_NETLINK_H */
