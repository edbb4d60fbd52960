/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM keel

#if !defined(KEEL_CORE_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define KEEL_CORE_TRACE_H

#include <linux/tracepoint.h>

TRACE_EVENT(keel_vm,
	TP_PROTO(u32 id, pid_t pid, bool gone),
	TP_ARGS(id, pid, gone),
	TP_STRUCT__entry(
		__field(u32, id)
		__field(pid_t, pid)
		__field(bool, gone)
	),
	TP_fast_assign(
		__entry->id = id;
		__entry->pid = pid;
		__entry->gone = gone;
	),
	TP_printk("vm=%u pid=%d %s", __entry->id, __entry->pid,
		  __entry->gone ? "gone" : "new")
);

/* A state change; state is enum keel_snap_phase. */
TRACE_EVENT(keel_snap_state,
	TP_PROTO(u32 id, int phase, int reason),
	TP_ARGS(id, phase, reason),
	TP_STRUCT__entry(
		__field(u32, id)
		__field(int, phase)
		__field(int, reason)
	),
	TP_fast_assign(
		__entry->id = id;
		__entry->phase = phase;
		__entry->reason = reason;
	),
	TP_printk("snapshot=%u phase=%d reason=%d", __entry->id,
		  __entry->phase, __entry->reason)
);

TRACE_EVENT(keel_snap_arm,
	TP_PROTO(u32 id, u64 pages, u64 gate_ns, u64 unmap_ns, u64 walk_ns,
		 u64 held, int err),
	TP_ARGS(id, pages, gate_ns, unmap_ns, walk_ns, held, err),
	TP_STRUCT__entry(
		__field(u32, id)
		__field(u64, pages)
		__field(u64, gate_ns)
		__field(u64, unmap_ns)
		__field(u64, walk_ns)
		__field(u64, held)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->id = id;
		__entry->pages = pages;
		__entry->gate_ns = gate_ns;
		__entry->unmap_ns = unmap_ns;
		__entry->walk_ns = walk_ns;
		__entry->held = held;
		__entry->err = err;
	),
	TP_printk("snapshot=%u pages=%llu gate_ns=%llu unmap_ns=%llu walk_ns=%llu held=%llu err=%d",
		  __entry->id, __entry->pages, __entry->gate_ns,
		  __entry->unmap_ns, __entry->walk_ns, __entry->held,
		  __entry->err)
);

/* A write that met an armed snapshot; ns without the time it waited. */
TRACE_EVENT(keel_snap_save,
	TP_PROTO(u32 id, u32 file, unsigned long pgoff, unsigned long nr,
		 u64 ns, int err),
	TP_ARGS(id, file, pgoff, nr, ns, err),
	TP_STRUCT__entry(
		__field(u32, id)
		__field(u32, file)
		__field(unsigned long, pgoff)
		__field(unsigned long, nr)
		__field(u64, ns)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->id = id;
		__entry->file = file;
		__entry->pgoff = pgoff;
		__entry->nr = nr;
		__entry->ns = ns;
		__entry->err = err;
	),
	TP_printk("snapshot=%u file=%u pgoff=%lu nr=%lu ns=%llu err=%d",
		  __entry->id, __entry->file, __entry->pgoff, __entry->nr,
		  __entry->ns, __entry->err)
);

#endif /* KEEL_CORE_TRACE_H */

#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH core
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
