/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM keel

#if !defined(KEEL_CORE_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define KEEL_CORE_TRACE_H

#include <linux/keel_netlink.h>
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

/* A thread of a VM was sent to other CPUs, or (left) is left alone. */
TRACE_EVENT(keel_place_move,
	TP_PROTO(u32 vm, pid_t tid, u32 from_site, u32 to_site, int from_node,
		 int to_node, u32 expected, bool left),
	TP_ARGS(vm, tid, from_site, to_site, from_node, to_node, expected,
		left),
	TP_STRUCT__entry(
		__field(u32, vm)
		__field(pid_t, tid)
		__field(u32, from_site)
		__field(u32, to_site)
		__field(int, from_node)
		__field(int, to_node)
		__field(u32, expected)
		__field(bool, left)
	),
	TP_fast_assign(
		__entry->vm = vm;
		__entry->tid = tid;
		__entry->from_site = from_site;
		__entry->to_site = to_site;
		__entry->from_node = from_node;
		__entry->to_node = to_node;
		__entry->expected = expected;
		__entry->left = left;
	),
	TP_printk("vm=%u tid=%d site=%u->%u node=%d->%d expected=%u.%uns%s",
		  __entry->vm, __entry->tid, __entry->from_site,
		  __entry->to_site, __entry->from_node, __entry->to_node,
		  __entry->expected / 10, __entry->expected % 10,
		  __entry->left ? " left alone" : "")
);

/* One period: what was looked at, and how long it took. */
TRACE_EVENT(keel_place_period,
	TP_PROTO(u64 period, u32 threads, u64 moves, u64 sampled,
		 u64 observe_ns, u64 decide_ns),
	TP_ARGS(period, threads, moves, sampled, observe_ns, decide_ns),
	TP_STRUCT__entry(
		__field(u64, period)
		__field(u32, threads)
		__field(u64, moves)
		__field(u64, sampled)
		__field(u64, observe_ns)
		__field(u64, decide_ns)
	),
	TP_fast_assign(
		__entry->period = period;
		__entry->threads = threads;
		__entry->moves = moves;
		__entry->sampled = sampled;
		__entry->observe_ns = observe_ns;
		__entry->decide_ns = decide_ns;
	),
	TP_printk("period=%llu threads=%u moves=%llu sampled=%llu observe_ns=%llu decide_ns=%llu",
		  __entry->period, __entry->threads, __entry->moves,
		  __entry->sampled, __entry->observe_ns, __entry->decide_ns)
);

/* A VF of a pool is at something else: enum keel_vf_state. */
TRACE_EVENT(keel_vf,
	TP_PROTO(const char *pf, u32 index, u32 state, u32 generation),
	TP_ARGS(pf, index, state, generation),
	TP_STRUCT__entry(
		__array(char, pf, 16)
		__field(u32, index)
		__field(u32, state)
		__field(u32, generation)
	),
	TP_fast_assign(
		strscpy(__entry->pf, pf, sizeof(__entry->pf));
		__entry->index = index;
		__entry->state = state;
		__entry->generation = generation;
	),
	TP_printk("pf=%s index=%u state=%s generation=%u", __entry->pf,
		  __entry->index,
		  __print_symbolic(__entry->state,
				   { KEEL_VF_STATE_ABSENT, "absent" },
				   { KEEL_VF_STATE_FOREIGN, "foreign" },
				   { KEEL_VF_STATE_SCRUBBING, "scrubbing" },
				   { KEEL_VF_STATE_FREE, "free" },
				   { KEEL_VF_STATE_LEASING, "leasing" },
				   { KEEL_VF_STATE_LEASED, "leased" },
				   { KEEL_VF_STATE_RELEASING, "releasing" },
				   { KEEL_VF_STATE_QUARANTINED, "quarantined" }),
		  __entry->generation)
);

/* A tap came to a datapath of Open vSwitch, was told of, or left ("" datapath). */
TRACE_EVENT(keel_switch_port,
	TP_PROTO(const char *tap, int ifindex, const char *datapath,
		 const char *on),
	TP_ARGS(tap, ifindex, datapath, on),
	TP_STRUCT__entry(
		__array(char, tap, 16)
		__field(int, ifindex)
		__array(char, datapath, 16)
		__array(char, on, 16)
	),
	TP_fast_assign(
		strscpy(__entry->tap, tap, sizeof(__entry->tap));
		__entry->ifindex = ifindex;
		strscpy(__entry->datapath, datapath, sizeof(__entry->datapath));
		strscpy(__entry->on, on, sizeof(__entry->on));
	),
	TP_printk("tap=%s ifindex=%d datapath=%s on=%s", __entry->tap,
		  __entry->ifindex, __entry->datapath, __entry->on)
);

/* A port of a pool's switch came, is another VM's, or went. */
TRACE_EVENT(keel_port,
	TP_PROTO(const char *port, const char *pool, u32 vm, bool gone),
	TP_ARGS(port, pool, vm, gone),
	TP_STRUCT__entry(
		__array(char, port, 16)
		__array(char, pool, 32)
		__field(u32, vm)
		__field(bool, gone)
	),
	TP_fast_assign(
		strscpy(__entry->port, port, sizeof(__entry->port));
		strscpy(__entry->pool, pool, sizeof(__entry->pool));
		__entry->vm = vm;
		__entry->gone = gone;
	),
	TP_printk("port=%s pool=%s vm=%u gone=%d", __entry->port, __entry->pool,
		  __entry->vm, __entry->gone)
);

/*
 * A device interrupt that is for a VM, in its handler. where is the word of its
 * target: where that is now (linux/keel_irq.h).
 */
TRACE_EVENT(keel_irq,
	TP_PROTO(u32 vm, u32 gsi, u32 irq, u32 target, u64 where),
	TP_ARGS(vm, gsi, irq, target, where),
	TP_STRUCT__entry(
		__field(u32, vm)
		__field(u32, gsi)
		__field(u32, irq)
		__field(u32, target)
		__field(u64, where)
	),
	TP_fast_assign(
		__entry->vm = vm;
		__entry->gsi = gsi;
		__entry->irq = irq;
		__entry->target = target;
		__entry->where = where;
	),
	TP_printk("vm=%u gsi=%u irq=%u target=%u state=%llu cpu=%llu node=%llu",
		  __entry->vm, __entry->gsi, __entry->irq, __entry->target,
		  __entry->where >> 28 & 0xf, __entry->where & 0xffff,
		  __entry->where >> 16 & 0xfff)
);

/* It was aimed anew: enum keel_irq_aim, the CPU if it is one. */
TRACE_EVENT(keel_irq_aim,
	TP_PROTO(u32 vm, u32 gsi, u32 irq, u32 target, u32 aim, int cpu, int err),
	TP_ARGS(vm, gsi, irq, target, aim, cpu, err),
	TP_STRUCT__entry(
		__field(u32, vm)
		__field(u32, gsi)
		__field(u32, irq)
		__field(u32, target)
		__field(u32, aim)
		__field(int, cpu)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->vm = vm;
		__entry->gsi = gsi;
		__entry->irq = irq;
		__entry->target = target;
		__entry->aim = aim;
		__entry->cpu = cpu;
		__entry->err = err;
	),
	TP_printk("vm=%u gsi=%u irq=%u target=%u aim=%s cpu=%d err=%d",
		  __entry->vm, __entry->gsi, __entry->irq, __entry->target,
		  __print_symbolic(__entry->aim,
				   { KEEL_IRQ_AIM_IDLE, "idle" },
				   { KEEL_IRQ_AIM_CPU, "cpu" },
				   { KEEL_IRQ_AIM_NODE, "node" },
				   { KEEL_IRQ_AIM_FALLBACK, "fallback" },
				   { KEEL_IRQ_AIM_LEFT, "left" },
				   { KEEL_IRQ_AIM_MANAGED, "managed" },
				   { KEEL_IRQ_AIM_FORBIDDEN, "forbidden" },
				   { KEEL_IRQ_AIM_FULL, "full" },
				   { KEEL_IRQ_AIM_FAILED, "failed" },
				   { KEEL_IRQ_AIM_NOBODY, "nobody" }),
		  __entry->cpu, __entry->err)
);

#endif /* KEEL_CORE_TRACE_H */

#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH core
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
