// SPDX-License-Identifier: GPL-2.0
/*
 * The numbers of a decision. Threads that are not to be placed are part of the
 * load that is not ours: what a CPU did, less what the threads that are placed
 * did on it.
 *
 * VMs that are only to be advised stay where they are while the others are
 * placed; then these stay, and it is decided where the advised ones should be.
 */
#include <linux/math.h>
#include <linux/kernel_stat.h>
#include <linux/slab.h>

#include "placement/control.h"
#include "placement/decision.h"

/* What a last level cache takes, tenths of ns. */
#define DECISION_HIT	120

/* Is a thread's affinity ours to set? Not before something is known of it. */
static bool keel_thread_may_place(const struct keel_thread *t)
{
	return t->vm->mode == KEEL_PLACE_MODE_ON &&
	       t->state != KEEL_PLACE_STATE_LEFT && t->looks > 1;
}

/* Does it take part in the decision? */
static bool keel_thread_counts(const struct keel_thread *t)
{
	return t->vm->mode != KEEL_PLACE_MODE_OFF &&
	       t->state != KEEL_PLACE_STATE_LEFT;
}

/* Its affinity is not what we made it: somebody else's. */
static void keel_thread_check(struct keel_thread *t)
{
	if (t->state != KEEL_PLACE_STATE_PLACED ||
	    cpumask_equal(&t->task->cpus_mask, t->ours))
		return;
	t->state = KEEL_PLACE_STATE_LEFT;
	keel_place.counts.left++;
	keel_place_announce(t);
}

/* How wrong a sampled working set may be: two standard deviations. */
static u32 keel_thread_noise(const struct keel_thread *t)
{
	return t->runs ? 2 * PLACE_ONE / int_sqrt(t->runs) : 0;
}

static u32 keel_site_now(const struct keel_thread *t)
{
	return keel_place.topology->site_of[task_cpu(t->task)];
}

/* Time a CPU was busy, by the kernel's accounts; ns. */
static u64 keel_cpu_busy(int cpu)
{
	const u64 *stat = kcpustat_cpu(cpu).cpustat;

	return stat[CPUTIME_USER] + stat[CPUTIME_NICE] + stat[CPUTIME_SYSTEM] +
	       stat[CPUTIME_IRQ] + stat[CPUTIME_SOFTIRQ] + stat[CPUTIME_STEAL];
}

static void keel_decision_sites(struct keel_decision *d)
{
	const struct keel_topology *topo = keel_place.topology;
	u64 busy, more;
	u32 i;
	int cpu;

	for (i = 0; i < topo->nr; i++) {
		d->site[i] = topo->site[i];
		more = 0;
		for_each_cpu(cpu, topo->cpus[i]) {
			busy = keel_cpu_busy(cpu);
			/* One that has just come has been busy before. */
			if (d->cpu_busy[cpu])
				more += busy - min(busy, d->cpu_busy[cpu]);
			d->cpu_busy[cpu] = busy;
		}
		d->site[i].foreign = div64_u64(more * PLACE_ONE,
					       keel_place.look_ns);
	}
}

/* Bit by bit the sites a thread may be on; none if its CPUs are all offline. */
static bool keel_decision_allowed(const struct keel_thread *t,
				  struct place_task *task)
{
	const struct keel_topology *topo = keel_place.topology;
	const struct cpumask *mask = t->state == KEEL_PLACE_STATE_PLACED ?
				     t->former : &t->task->cpus_mask;
	bool any = false;
	u32 i;

	memset(task->allowed, 0, sizeof(task->allowed));
	for (i = 0; i < topo->nr; i++) {
		if (!cpumask_intersects(mask, topo->cpus[i]))
			continue;
		task->allowed[i / 64] |= 1ULL << i % 64;
		any = true;
	}
	return any;
}

/* The nodes where its memory may be, bit by bit. */
static u64 keel_decision_mems(const struct keel_thread *t)
{
	const struct keel_topology *topo = keel_place.topology;
	u64 may = 0;
	u32 i;

	for (i = 0; i < topo->nr_nodes; i++)
		if (node_isset(topo->node[i], t->mems))
			may |= 1ULL << i;
	return may;
}

/* A thread into the load. Return: false if it cannot be part of it. */
static bool keel_decision_add(struct keel_decision *d, struct keel_thread *t,
			      u32 vm)
{
	struct place_task *task = &d->task[d->load.nr_tasks];
	u32 site = keel_site_now(t), n, *row;

	if (site == KEEL_NO_SITE || !keel_decision_allowed(t, task))
		return false;
	task->vm = vm;
	task->site = site;
	d->site[site].foreign -= min(d->site[site].foreign, t->ran);
	row = &d->touched[d->load.nr_tasks * d->host.nr_nodes];
	for (n = 0; n < d->host.nr_nodes; n++)
		row[n] = t->average[keel_place.topology->node[n]];
	d->may[d->load.nr_tasks] = keel_decision_mems(t);
	d->thread[d->load.nr_tasks] = t;
	t->slot = d->load.nr_tasks++;
	return true;
}

static void keel_decision_add_vm(struct keel_decision *d,
				 struct keel_place_vm *pv)
{
	u32 nodes = d->host.nr_nodes, n;

	pv->slot = d->load.nr_vms++;
	d->shared_kib[pv->slot] = pv->shared_kib;
	for (n = 0; n < nodes; n++)
		d->shared_at[pv->slot * nodes + n] =
			pv->common[keel_place.topology->node[n]];
}

static void keel_decision_threads(struct keel_decision *d)
{
	struct keel_place_vm *pv;
	struct keel_thread *t;

	list_for_each_entry(pv, &keel_place.vms, node) {
		keel_decision_add_vm(d, pv);
		list_for_each_entry(t, &pv->threads, node) {
			keel_thread_check(t);
			if (!keel_thread_counts(t))
				continue;
			track_observe(&t->track, t->average, t->news,
				      &track_defaults, t->util,
				      pv->fresh ? t->touched : NULL,
				      nr_node_ids, keel_thread_noise(t));
			if (d->load.nr_tasks < PLACE_TASKS_MAX)
				keel_decision_add(d, t, pv->slot);
		}
	}
}

/* What each is believed to use, and what a move of it must save. */
static void keel_decision_weigh(struct keel_decision *d)
{
	struct track_params p = track_defaults;
	u32 settled = U32_MAX, i;

	if (keel_place.options.temper == KEEL_PLACE_TEMPER_CALM)
		p.inertia *= 4;
	if (keel_place.options.temper == KEEL_PLACE_TEMPER_EAGER)
		p.inertia /= 4;
	for (i = 0; i < d->load.nr_tasks; i++)
		settled = min(settled, d->thread[i]->track.settled);
	for (i = 0; i < d->load.nr_tasks; i++)
		track_task(&d->thread[i]->track, &p, settled, &d->task[i]);
	d->params = place_defaults;
	d->params.effort = track_effort(settled, d->params.effort);
	d->params.seed = keel_place.counts.periods;
}

/*
 * Hold those whose affinity is ours to set, or those whose is not, where they are
 * by @at. Return: is there anybody else?
 */
static bool keel_decision_hold(struct keel_decision *d, bool ours,
			       const u16 *at)
{
	bool any = false;
	u32 i;

	for (i = 0; i < d->load.nr_tasks; i++) {
		struct place_task *task = &d->task[i];

		task->site = at[i];
		if (d->ours[i] == ours) {
			memset(task->allowed, 0, sizeof(task->allowed));
			task->allowed[at[i] / 64] = 1ULL << at[i] % 64;
		} else {
			keel_decision_allowed(d->thread[i], task);
			any = true;
		}
	}
	return any;
}

static void keel_decision_release(struct keel_decision *d)
{
	u32 i;

	for (i = 0; i < d->load.nr_tasks; i++) {
		d->task[i].site = d->from[i];
		keel_decision_allowed(d->thread[i], &d->task[i]);
	}
}

/* Memory that should follow its threads; those that are not ours to place stay. */
static void keel_decision_memory(struct keel_decision *d)
{
	const struct place_remote remote = {
		.shared_at = d->shared_at,
		.room = d->room,
		.may = d->may,
	};

	keel_carry_room(keel_place.topology, d->room);
	place_memory(&d->host, &d->load, &d->params, d->workspace, d->plan,
		     &remote, d->own, d->shared);
}

/* Room for @n elements; what was there is not kept. */
static int keel_room(void *array, size_t n, size_t size)
{
	void **p = array;

	kvfree(*p);
	*p = kvcalloc(n ?: 1, size, GFP_KERNEL);
	return *p ? 0 : -ENOMEM;
}

static int keel_decision_rooms(struct keel_decision *d, u32 tasks, u32 vms)
{
	u32 nodes = keel_place.topology->nr_nodes;
	size_t cells = (size_t)tasks * nodes;

	if (keel_room(&d->thread, tasks, sizeof(*d->thread)) ||
	    keel_room(&d->task, tasks, sizeof(*d->task)) ||
	    keel_room(&d->ours, tasks, sizeof(*d->ours)) ||
	    keel_room(&d->from, tasks, sizeof(*d->from)) ||
	    keel_room(&d->plan, tasks, sizeof(*d->plan)) ||
	    keel_room(&d->advice, tasks, sizeof(*d->advice)) ||
	    keel_room(&d->expected, tasks, sizeof(*d->expected)) ||
	    keel_room(&d->own, tasks, sizeof(*d->own)) ||
	    keel_room(&d->shared, vms, sizeof(*d->shared)) ||
	    keel_room(&d->room, nodes, sizeof(*d->room)) ||
	    keel_room(&d->may, tasks, sizeof(*d->may)) ||
	    keel_room(&d->cpu_load, nr_cpu_ids, sizeof(*d->cpu_load)) ||
	    keel_room(&d->touched, cells, sizeof(*d->touched)) ||
	    keel_room(&d->shared_kib, vms, sizeof(*d->shared_kib)) ||
	    keel_room(&d->shared_at, (size_t)vms * nodes,
		      sizeof(*d->shared_at)) ||
	    keel_room(&d->site, PLACE_SITES_MAX, sizeof(*d->site)))
		return -ENOMEM;
	if (!d->cpu_busy)
		return keel_room(&d->cpu_busy, nr_cpu_ids,
				 sizeof(*d->cpu_busy));
	return 0;
}

/* What was decided is no more: no thread has a number. */
static void keel_decision_forget(struct keel_decision *d)
{
	struct keel_place_vm *pv;
	struct keel_thread *t;

	d->load.nr_tasks = 0;
	d->load.nr_vms = 0;
	list_for_each_entry(pv, &keel_place.vms, node) {
		pv->slot = U32_MAX;
		list_for_each_entry(t, &pv->threads, node)
			t->slot = U32_MAX;
	}
}

/* Arrays for as many threads and VMs as there are. */
static int keel_decision_begin(struct keel_decision *d)
{
	struct keel_place_vm *pv;
	u32 tasks = 0, vms = 0;
	int err;

	list_for_each_entry(pv, &keel_place.vms, node) {
		tasks += pv->nr;
		vms++;
	}
	keel_decision_forget(d);
	err = keel_decision_rooms(d, tasks, vms);
	if (err)
		return err;
	d->host = (struct place_host){
		.nr_nodes = keel_place.topology->nr_nodes,
		.nr_sites = keel_place.topology->nr,
		.latency = keel_place.matrix.latency,
		.hit = DECISION_HIT,
		.site = d->site,
	};
	d->load = (struct place_load){
		.task = d->task,
		.touched = d->touched,
		.shared_kib = d->shared_kib,
	};
	return 0;
}

static int keel_decision_decide(struct keel_decision *d)
{
	size_t size = place_workspace_size(&d->host, &d->load);
	const char *why;
	u32 i;

	if (place_check(&d->host, &d->load, &d->params, &why)) {
		pr_warn_once("keel: cannot decide: %s\n", why);
		return -EINVAL;
	}
	if (keel_room(&d->workspace, size, 1))
		return -ENOMEM;
	for (i = 0; i < d->load.nr_tasks; i++) {
		d->from[i] = d->task[i].site;
		d->ours[i] = keel_thread_may_place(d->thread[i]);
	}
	keel_decision_hold(d, false, d->from);
	place_decide(&d->host, &d->load, &d->params, d->workspace, d->plan);
	memcpy(d->advice, d->plan, d->load.nr_tasks * sizeof(*d->plan));
	if (keel_decision_hold(d, true, d->plan))
		place_decide(&d->host, &d->load, &d->params, d->workspace,
			     d->advice);
	keel_decision_release(d);
	place_expected(&d->host, &d->load, &d->params, d->workspace, d->plan,
		       d->expected);
	keel_decision_memory(d);
	return 0;
}

/**
 * keel_decision_make - decide where each thread should be
 *
 * Context: may sleep; keel_place.lock is held, the threads have been looked at.
 * Return: 0, and keel_place.last is the decision; -ENOMEM; -EAGAIN if nodes are
 * coming or going.
 */
int keel_decision_make(void)
{
	struct keel_decision *d = &keel_place.last;
	int err;

	lockdep_assert_held(&keel_place.lock);
	err = keel_decision_begin(d);
	if (err)
		return err;
	if (keel_place.matrix.nr != d->host.nr_nodes)
		return -EAGAIN;
	keel_decision_sites(d);
	keel_decision_threads(d);
	keel_decision_weigh(d);
	err = keel_decision_decide(d);
	if (err)
		keel_decision_forget(d);
	return err;
}

/**
 * keel_decision_free - let go of the last decision
 */
void keel_decision_free(void)
{
	struct keel_decision *d = &keel_place.last;

	kvfree(d->thread);
	kvfree(d->task);
	kvfree(d->ours);
	kvfree(d->from);
	kvfree(d->plan);
	kvfree(d->advice);
	kvfree(d->expected);
	kvfree(d->own);
	kvfree(d->shared);
	kvfree(d->room);
	kvfree(d->may);
	kvfree(d->cpu_load);
	kvfree(d->touched);
	kvfree(d->shared_kib);
	kvfree(d->shared_at);
	kvfree(d->site);
	kvfree(d->cpu_busy);
	kvfree(d->workspace);
	memset(d, 0, sizeof(*d));
}
