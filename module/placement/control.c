// SPDX-License-Identifier: GPL-2.0
/*
 * Placement at work: start, stop, and what is done in each period. control.h has
 * the idea.
 */
#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/kvm_host.h>
#include <linux/slab.h>

#include "core/keel.h"
#include "core/trace.h"
#include "core/vm.h"
#include "dirq/dirq.h"
#include "placement/control.h"
#include "placement/decision.h"
#include "compat/compat.h"

struct keel_place keel_place = {
	.lock = __MUTEX_INITIALIZER(keel_place.lock),
	.vms = LIST_HEAD_INIT(keel_place.vms),
};

/* A thread goes to another CPU of its site if that has so much less to do. */
#define CPU_STAYS	(PLACE_ONE / 4)

static enum cpuhp_state keel_place_hp;

static void keel_place_vm_destroy(struct keel_place_vm *pv)
{
	struct keel_thread *t, *next;
	struct kvm *kvm = NULL;
	struct file *file;

	list_for_each_entry(t, &pv->threads, node)
		keel_thread_give_back(t);
	keel_threads_free_heirs(pv);
	list_for_each_entry_safe(t, next, &pv->threads, node)
		keel_thread_destroy(t);
	file = keel_vm_open(pv->vm, &kvm);
	keel_observe_end(pv, file ? kvm : NULL);
	if (file)
		fput(file);
	list_del(&pv->node);
	keel_vm_put(pv->vm);
	kfree(pv->common);
	kfree(pv);
}

/* The VM's entry, made if there is none. @vm is of the registry, with a reference. */
static struct keel_place_vm *keel_place_vm_get(struct keel_vm *vm)
{
	struct keel_place_vm *pv;

	lockdep_assert_held(&keel_place.lock);
	list_for_each_entry(pv, &keel_place.vms, node) {
		if (pv->vm == vm) {
			keel_vm_put(vm);
			return pv;
		}
	}
	pv = kzalloc(sizeof(*pv), GFP_KERNEL);
	if (pv)
		pv->common = kcalloc(nr_node_ids, sizeof(u32), GFP_KERNEL);
	if (!pv || !pv->common) {
		kfree(pv);
		keel_vm_put(vm);
		return NULL;
	}
	pv->vm = vm;
	pv->slot = U32_MAX;
	pv->credit = KEEL_SAMPLE_CREDIT;
	INIT_LIST_HEAD(&pv->threads);
	list_add_tail(&pv->node, &keel_place.vms);
	return pv;
}

/* Look at one VM: its threads, and what they touch. */
static void keel_place_look_at(struct keel_place_vm *pv)
{
	struct kvm *kvm;
	struct file *file = keel_vm_open(pv->vm, &kvm);

	if (!file)
		return;
	pv->seen = true;
	keel_threads_look(pv, kvm);
	if (pv->mode != KEEL_PLACE_MODE_OFF)
		keel_observe_vm(pv, kvm, keel_place.options.samples);
	fput(file);
}

static void keel_place_look(void)
{
	struct keel_place_vm *pv, *next;
	struct keel_vm *vm;
	u64 begin = ktime_get_ns();
	u32 id = 0;

	keel_place.look_ns = max(begin - keel_place.looked_ns, 1000ULL);
	keel_place.looked_ns = begin;
	list_for_each_entry(pv, &keel_place.vms, node)
		pv->seen = false;
	while ((vm = keel_vm_next(id))) {
		id = vm->id;
		pv = keel_place_vm_get(vm);
		if (pv)
			keel_place_look_at(pv);
	}
	list_for_each_entry_safe(pv, next, &keel_place.vms, node)
		if (!pv->seen)
			keel_place_vm_destroy(pv);
	keel_place.counts.observe_ns = ktime_get_ns() - begin;
}

/* CPUs or nodes came or went: ask the CPUs anew. */
static int keel_place_refresh(void)
{
	struct keel_topology *t;

	if (keel_place.topology && !keel_place.topology_stale &&
	    keel_topology_has_nodes(keel_place.topology))
		return 0;
	t = keel_topology_create();
	if (IS_ERR(t))
		return PTR_ERR(t);
	keel_topology_destroy(keel_place.topology);
	keel_place.topology = t;
	keel_place.topology_stale = false;
	return 0;
}

/* How much a thread would be in others' way: on a CPU, and next to it in its core. */
static u32 keel_cpu_crowd(int cpu)
{
	const u32 *load = keel_place.last.cpu_load;
	u32 crowd = load[cpu];
	int other;

	for_each_cpu(other, topology_sibling_cpumask(cpu))
		crowd += load[other];
	return crowd;
}

/* Of @mask only the CPU where a thread finds most room; it stays if that is near. */
static void keel_place_one_cpu(const struct keel_thread *t, struct cpumask *mask)
{
	u32 least = U32_MAX, crowd;
	int cpu, found = -1, now = task_cpu(t->task);

	for_each_cpu_and(cpu, mask, cpu_online_mask) {
		crowd = keel_cpu_crowd(cpu) + (cpu == now ? 0 : CPU_STAYS);
		if (crowd < least) {
			least = crowd;
			found = cpu;
		}
	}
	cpumask_clear(mask);
	if (found < 0)
		return;
	cpumask_set_cpu(found, mask);
	keel_place.last.cpu_load[found] += keel_place.last.task[t->slot].util;
}

/*
 * The CPUs of a site that a thread may use, by the grain. Return: false if there
 * is none any more.
 */
static bool keel_place_mask(const struct keel_thread *t, u32 site,
			    struct cpumask *mask)
{
	const struct keel_topology *topo = keel_place.topology;
	u32 node = topo->site[site].node;

	if (keel_place.options.grain == KEEL_PLACE_GRAIN_NODE)
		cpumask_and(mask, cpumask_of_node(topo->node[node]),
			    t->former);
	else
		cpumask_and(mask, topo->cpus[site], t->former);
	if (keel_place.options.grain == KEEL_PLACE_GRAIN_CPU)
		keel_place_one_cpu(t, mask);
	return cpumask_intersects(mask, cpu_online_mask);
}

/*
 * Send a thread to a site. If its affinity is no more ours the next period says
 * so; who sets it at this very moment may find ours in the place of his. Return:
 * true if it has got other CPUs than it had.
 */
static bool keel_place_apply(struct keel_thread *t, u32 site,
			     struct cpumask *mask, bool moves)
{
	if (t->state == KEEL_PLACE_STATE_IDLE)
		cpumask_copy(t->former, &t->task->cpus_mask);
	if (!keel_place_mask(t, site, mask))
		return false;
	if (t->state == KEEL_PLACE_STATE_PLACED &&
	    (cpumask_equal(mask, t->ours) ||
	     !cpumask_equal(&t->task->cpus_mask, t->ours)))
		return false;
	if (keel_thread_place(t, mask))
		return false;
	if (moves) {
		t->moves++;
		keel_place.counts.moves++;
		track_moved(&t->track, &track_defaults);
		keel_place_announce(t);
	}
	return true;
}

static void keel_place_apply_all(void)
{
	const struct keel_decision *d = &keel_place.last;
	bool placed = false;
	cpumask_var_t mask;
	u32 i;

	if (!alloc_cpumask_var(&mask, GFP_KERNEL))
		return;
	/* Who stays chooses its CPU before who comes. */
	for (i = 0; i < d->load.nr_tasks; i++)
		if (d->ours[i] && d->plan[i] == d->from[i])
			placed |= keel_place_apply(d->thread[i], d->plan[i], mask, false);
	for (i = 0; i < d->load.nr_tasks; i++)
		if (d->ours[i] && d->plan[i] != d->from[i])
			placed |= keel_place_apply(d->thread[i], d->plan[i], mask, true);
	free_cpumask_var(mask);
	if (placed)
		keel_dirq_placed();
}

/* What was seen is done with; the next sample sees threads where they are now. */
static void keel_place_look_next(void)
{
	struct keel_place_vm *pv;

	list_for_each_entry(pv, &keel_place.vms, node)
		keel_observe_next(pv, keel_place.options.samples);
}

/* One period. The lock is held, and so are the CPUs. */
static void keel_place_period(void)
{
	u64 begin;
	int err;

	if (keel_place_refresh())
		return;
	keel_matrix_get(&keel_place.matrix);
	keel_place_look();
	begin = ktime_get_ns();
	err = keel_decision_make();
	if (!err) {
		keel_place.counts.decide_ns = ktime_get_ns() - begin;
		keel_place_apply_all();
		keel_carry_memory();
		keel_place.counts.periods++;
	}
	keel_place_look_next();
	if (err)
		return;
	trace_keel_place_period(keel_place.counts.periods,
				keel_place.last.load.nr_tasks,
				keel_place.counts.moves,
				keel_place.counts.sampled,
				keel_place.counts.observe_ns,
				keel_place.counts.decide_ns);
}

/* The first look begins to see, the second decides: let that not take long. */
static unsigned long keel_place_delay(void)
{
	u32 ms = keel_place.options.period_ms;

	return msecs_to_jiffies(keel_place.counts.periods < 2 ? ms / 4 : ms);
}

static void keel_place_work_fn(struct work_struct *work)
{
	cpus_read_lock();
	mutex_lock(&keel_place.lock);
	if (keel_place.running) {
		keel_place_period();
		queue_delayed_work(keel_wq, &keel_place.work,
				   keel_place_delay());
	}
	mutex_unlock(&keel_place.lock);
	cpus_read_unlock();
}

static int keel_place_online(unsigned int cpu)
{
	mutex_lock(&keel_place.lock);
	keel_place.topology_stale = true;
	mutex_unlock(&keel_place.lock);
	return 0;
}

/*
 * A CPU goes. Who may run nowhere else by our doing gets its own affinity back, or
 * the scheduler would give it one; the next period places it anew. So does who has
 * inherited ours: the next look could not tell any more.
 */
static int keel_place_offline(unsigned int cpu)
{
	struct keel_place_vm *pv;
	struct keel_thread *t;

	mutex_lock(&keel_place.lock);
	keel_place.topology_stale = true;
	list_for_each_entry(pv, &keel_place.vms, node) {
		list_for_each_entry(t, &pv->threads, node) {
			if (t->state == KEEL_PLACE_STATE_PLACED &&
			    cpumask_test_cpu(cpu, t->ours))
				keel_thread_give_back(t);
		}
		keel_threads_free_heirs(pv);
	}
	mutex_unlock(&keel_place.lock);
	return 0;
}

/**
 * keel_place_start - begin to place threads, or go on in another way
 * @o: how
 *
 * Context: may sleep.
 * Return: 0; -ESHUTDOWN if keel is being unloaded.
 */
int keel_place_start(const struct keel_place_options *o)
{
	mutex_lock(&keel_place.lock);
	if (keel_place.closed) {
		mutex_unlock(&keel_place.lock);
		return -ESHUTDOWN;
	}
	keel_place.options = *o;
	if (!keel_place.running) {
		memset(&keel_place.counts, 0, sizeof(keel_place.counts));
		keel_place.looked_ns = ktime_get_ns();
		keel_place.running = true;
	}
	mod_delayed_work(keel_wq, &keel_place.work, 0);
	mutex_unlock(&keel_place.lock);
	return 0;
}

/**
 * keel_place_stop - place no more, and give all affinities back
 *
 * Context: may sleep.
 * Return: 0; -EALREADY if nothing was placed.
 */
int keel_place_stop(void)
{
	struct keel_place_vm *pv, *next;
	bool was;

	mutex_lock(&keel_place.lock);
	was = keel_place.running;
	keel_place.running = false;
	list_for_each_entry_safe(pv, next, &keel_place.vms, node)
		keel_place_vm_destroy(pv);
	keel_decision_free();
	mutex_unlock(&keel_place.lock);
	return was ? 0 : -EALREADY;
}

/**
 * keel_place_close - place no more, and never again
 *
 * The queue is drained next: nothing may be put there any more, neither by a
 * request nor by the work's timer.
 *
 * Context: may sleep.
 */
void keel_place_close(void)
{
	mutex_lock(&keel_place.lock);
	keel_place.closed = true;
	mutex_unlock(&keel_place.lock);
	keel_place_stop();
	cancel_delayed_work_sync(&keel_place.work);
}

/**
 * keel_place_set_mode - is a VM to be placed?
 * @pv: the VM
 * @mode: how
 *
 * Threads that somebody else has placed are ours again if it is to be.
 *
 * Context: may sleep; keel_place.lock is held.
 */
void keel_place_set_mode(struct keel_place_vm *pv, enum keel_place_mode mode)
{
	struct keel_thread *t;

	lockdep_assert_held(&keel_place.lock);
	pv->mode = mode;
	list_for_each_entry(t, &pv->threads, node)
		if (mode != KEEL_PLACE_MODE_ON ||
		    t->state == KEEL_PLACE_STATE_LEFT)
			keel_thread_give_back(t);
}

/**
 * keel_place_init - be told of CPUs that come and go
 *
 * Return: 0, -ENOMEM, or what the hotplug code says.
 */
int keel_place_init(void)
{
	int state;

	INIT_DELAYED_WORK(&keel_place.work, keel_place_work_fn);
	state = cpuhp_setup_state_nocalls(CPUHP_AP_ONLINE_DYN, "keel:online",
					  keel_place_online,
					  keel_place_offline);
	if (state < 0)
		return state;
	keel_place_hp = state;
	return 0;
}

/**
 * keel_place_exit - the mirror of keel_place_init()
 *
 * Context: may sleep. It is closed, or was never begun.
 */
void keel_place_exit(void)
{
	cpuhp_remove_state_nocalls(keel_place_hp);
	keel_topology_destroy(keel_place.topology);
}
