// SPDX-License-Identifier: GPL-2.0
/*
 * The threads of a VM: its vCPUs, and of the VMM's other threads those that work
 * for the guest all the time (the main loop, iothreads, vhost workers). Threads
 * that come and go with each request are not worth a place.
 */
#include <linux/kvm_host.h>
#include <linux/pid.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "core/vm.h"
#include "placement/control.h"
#include "compat/compat.h"

/* Of one VM; a VMM that has more of them has the rest left where they are. */
#define HELPERS_MAX	64

static void keel_thread_free(struct keel_thread *t)
{
	if (t->task)
		put_task_struct(t->task);
	free_cpumask_var(t->former);
	free_cpumask_var(t->ours);
	free_cpumask_var(t->before);
	kfree(t->touched);
	kfree(t);
}

static struct keel_thread *keel_thread_alloc(void)
{
	struct keel_thread *t = kzalloc(sizeof(*t), GFP_KERNEL);

	if (!t)
		return NULL;
	INIT_LIST_HEAD(&t->node);
	t->slot = U32_MAX;
	/* Four rows in one. */
	t->touched = kcalloc(4 * nr_node_ids, sizeof(u32), GFP_KERNEL);
	if (!t->touched || !zalloc_cpumask_var(&t->former, GFP_KERNEL) ||
	    !zalloc_cpumask_var(&t->ours, GFP_KERNEL) ||
	    !zalloc_cpumask_var(&t->before, GFP_KERNEL)) {
		keel_thread_free(t);
		return NULL;
	}
	t->average = t->touched + nr_node_ids;
	t->news = t->average + nr_node_ids;
	t->kept = t->news + nr_node_ids;
	return t;
}

static u64 keel_task_ran(const struct task_struct *task)
{
	return READ_ONCE(task->se.sum_exec_runtime);
}

/* For a CPU, when it wanted to run. */
static u64 keel_task_waited(const struct task_struct *task)
{
#ifdef CONFIG_SCHED_INFO
	return READ_ONCE(task->sched_info.run_delay);
#else
	return 0;
#endif
}

static struct keel_thread *keel_thread_find(struct keel_place_vm *pv,
					    const struct task_struct *task)
{
	struct keel_thread *t;

	list_for_each_entry(t, &pv->threads, node)
		if (t->task == task)
			return t;
	return NULL;
}

/* vCPUs first, in their order. */
static void keel_thread_insert(struct keel_place_vm *pv, struct keel_thread *t)
{
	struct keel_thread *other;

	list_for_each_entry(other, &pv->threads, node)
		if (other->kind > t->kind ||
		    (other->kind == t->kind && other->index > t->index))
			break;
	list_add_tail(&t->node, &other->node);
	pv->nr++;
}

/*
 * What a thread was asked to run on is inherited with its affinity, and not ours
 * to set. Return: may @task have it from @t, by that?
 */
static bool keel_task_asked_as(struct task_struct *task,
			       const struct keel_thread *t)
{
	bool alike;

	raw_spin_lock_irq(&task->pi_lock);
	alike = task->user_cpus_ptr ?
		t->asked && cpumask_subset(t->former, task->user_cpus_ptr) :
		!t->asked;
	raw_spin_unlock_irq(&task->pi_lock);
	return alike;
}

/*
 * Can @task have had what we gave @t, and lost it? When the last of a task's CPUs
 * goes the scheduler forgets what it was asked to run on and makes it as wide as it
 * may be, before anybody is told of that.
 */
static bool keel_task_lost_ours(const struct task_struct *task,
				const struct keel_thread *t)
{
	return !cpumask_intersects(t->ours, cpu_active_mask) &&
	       cpumask_subset(t->former, &task->cpus_mask);
}

/*
 * Has @task an affinity that we gave @t, and can have it from there? If it has lost
 * it that is told only of who was made after the last look: others were seen to.
 */
static bool keel_task_is_heir(struct task_struct *task,
			      const struct keel_thread *t)
{
	if (!t->since || task->start_time < t->since)
		return false;
	if (keel_task_lost_ours(task, t))
		return task->start_time >= keel_place.looked_ns &&
		       !READ_ONCE(task->user_cpus_ptr);
	return (cpumask_equal(&task->cpus_mask, t->ours) ||
		cpumask_equal(&task->cpus_mask, t->before)) &&
	       keel_task_asked_as(task, t);
}

/*
 * A thread that one of ours has made has inherited its affinity. It is to have
 * the one that it would have had without us. Return: whose that is; NULL if it
 * has it. Helpers first, for vCPUs make no threads.
 */
static struct keel_thread *keel_heir_of(struct keel_place_vm *pv,
					struct task_struct *task)
{
	struct keel_thread *t;

	list_for_each_entry_reverse(t, &pv->threads, node)
		if (t->task != task && keel_task_is_heir(task, t))
			return cpumask_equal(&task->cpus_mask, t->former) ?
			       NULL : t;
	return NULL;
}

static void keel_task_free_heir(struct keel_place_vm *pv,
				struct task_struct *task)
{
	struct keel_thread *t;

	/* Those inherit from none of ours. */
	if (task->flags & PF_KTHREAD)
		return;
	t = keel_heir_of(pv, task);
	if (t)
		set_cpus_allowed_ptr(task, t->former);
}

/* Return: 0, also for one that is known; -ENOMEM. */
static int keel_thread_enter(struct keel_place_vm *pv, struct task_struct *task,
			     enum keel_place_kind kind, u32 index)
{
	struct keel_thread *t = keel_thread_find(pv, task);

	if (!t) {
		t = keel_thread_alloc();
		if (!t)
			return -ENOMEM;
		keel_task_free_heir(pv, task);
		t->vm = pv;
		t->task = get_task_struct(task);
		t->kind = kind;
		t->index = index;
		t->ran_ns = keel_task_ran(task);
		t->waited_ns = keel_task_waited(task);
		keel_thread_insert(pv, t);
	}
	t->seen = true;
	return 0;
}

static int keel_threads_vcpus(struct keel_place_vm *pv, struct kvm *kvm)
{
	struct task_struct *task;
	struct kvm_vcpu *vcpu;
	unsigned long i;
	int err = 0;

	if (!atomic_read(&kvm->online_vcpus))
		return 0;
	kvm_for_each_vcpu(i, vcpu, kvm) {
		task = keel_vcpu_task_get(vcpu);
		if (!task)
			continue;
		err = keel_thread_enter(pv, task, KEEL_PLACE_KIND_VCPU,
					vcpu->vcpu_id);
		put_task_struct(task);
		if (err)
			break;
	}
	return err;
}

static bool keel_task_is_helper(struct task_struct *task)
{
	return thread_group_leader(task) ||
	       !strncmp(task->comm, "IO ", 3) ||
	       !strncmp(task->comm, "vhost-", 6);
}

/* All threads of the VMM and its vhost workers, held: for keel_tasks_put(). */
struct keel_tasks {
	struct task_struct **task;
	unsigned int nr;
};

static void keel_tasks_put(struct keel_tasks *tasks)
{
	while (tasks->nr)
		put_task_struct(tasks->task[--tasks->nr]);
	kvfree(tasks->task);
}

/* Some of those that are made meanwhile may be missing. */
static int keel_tasks_get(struct keel_tasks *tasks, struct keel_place_vm *pv)
{
	struct task_struct *leader = keel_vm_leader_get(pv->vm), *task;
	unsigned int room;

	memset(tasks, 0, sizeof(*tasks));
	if (!leader)
		return 0;
	room = get_nr_threads(leader) + HELPERS_MAX;
	tasks->task = kvmalloc_array(room, sizeof(*tasks->task), GFP_KERNEL);
	if (!tasks->task) {
		put_task_struct(leader);
		return -ENOMEM;
	}
	rcu_read_lock();
	for_each_thread(leader, task) {
		if (tasks->nr < room && !(task->flags & PF_EXITING))
			tasks->task[tasks->nr++] = get_task_struct(task);
	}
	rcu_read_unlock();
	tasks->nr += keel_vhost_kthreads(leader, tasks->task + tasks->nr,
					 room - tasks->nr);
	put_task_struct(leader);
	return 0;
}

/* A thread of @leader's that is an heir, held; NULL if there is none. */
static struct task_struct *keel_heir_get(struct keel_place_vm *pv,
					 struct task_struct *leader,
					 struct keel_thread **from)
{
	struct task_struct *task, *heir = NULL;

	rcu_read_lock();
	for_each_thread(leader, task) {
		*from = keel_thread_find(pv, task) ? NULL :
			keel_heir_of(pv, task);
		if (*from) {
			heir = get_task_struct(task);
			break;
		}
	}
	rcu_read_unlock();
	return heir;
}

/**
 * keel_threads_free_heirs - look after threads that inherited an affinity
 * @pv: the VM
 *
 * Allocates nothing: it is part of the end, and of a CPU's going. One that is being
 * made at this very moment is missed.
 *
 * Context: may sleep; keel_place.lock is held.
 */
void keel_threads_free_heirs(struct keel_place_vm *pv)
{
	struct task_struct *leader = keel_vm_leader_get(pv->vm), *task;
	struct keel_thread *t;
	int left;

	lockdep_assert_held(&keel_place.lock);
	if (!leader)
		return;
	/* If one cannot be helped it comes again. */
	for (left = get_nr_threads(leader); left > 0; left--) {
		task = keel_heir_get(pv, leader, &t);
		if (!task)
			break;
		set_cpus_allowed_ptr(task, t->former);
		put_task_struct(task);
	}
	put_task_struct(leader);
}

static int keel_threads_others(struct keel_place_vm *pv)
{
	struct keel_tasks tasks;
	unsigned int i, helpers = 0;
	int err = keel_tasks_get(&tasks, pv);

	for (i = 0; !err && i < tasks.nr; i++) {
		struct task_struct *task = tasks.task[i];
		struct keel_thread *t = keel_thread_find(pv, task);

		if (t && t->kind == KEEL_PLACE_KIND_VCPU)
			continue;
		if (keel_task_is_helper(task) && helpers++ < HELPERS_MAX)
			err = keel_thread_enter(pv, task,
						KEEL_PLACE_KIND_HELPER, 0);
		else
			keel_task_free_heir(pv, task);
	}
	keel_tasks_put(&tasks);
	return err;
}

/* The part of @period that a clock went on since it showed *@last. */
static u32 keel_part(u64 now, u64 *last, u64 period)
{
	u64 more = now > *last ? now - *last : 0;

	*last = now;
	return min_t(u64, div64_u64(more * PLACE_ONE, period), PLACE_ONE);
}

static void keel_thread_measure(struct keel_thread *t, u64 period)
{
	t->ran = keel_part(keel_task_ran(t->task), &t->ran_ns, period);
	t->util = keel_part(keel_task_waited(t->task), &t->waited_ns, period);
	t->util = min_t(u32, t->ran + t->util, PLACE_ONE);
}

/**
 * keel_thread_place - a thread gets an affinity of ours
 * @t: the thread, whose own is kept already
 * @mask: the affinity
 *
 * Context: may sleep; keel_place.lock is held.
 * Return: 0, or what the scheduler says.
 */
int keel_thread_place(struct keel_thread *t, const struct cpumask *mask)
{
	u64 now = ktime_get_ns();
	int err;

	lockdep_assert_held(&keel_place.lock);
	err = set_cpus_allowed_ptr(t->task, mask);
	if (err)
		return err;
	if (t->state != KEEL_PLACE_STATE_PLACED) {
		t->since = now;
		t->asked = READ_ONCE(t->task->user_cpus_ptr);
	}
	cpumask_copy(t->before, t->ours);
	cpumask_copy(t->ours, mask);
	t->state = KEEL_PLACE_STATE_PLACED;
	return 0;
}

/* Is a placed thread's affinity ours still? */
static bool keel_thread_has_ours(const struct keel_thread *t)
{
	return cpumask_equal(&t->task->cpus_mask, t->ours) ||
	       keel_task_lost_ours(t->task, t);
}

/**
 * keel_thread_give_back - a thread gets the affinity that it had
 * @t: the thread
 *
 * If somebody else has changed it since, it stays as it is. Who has inherited it
 * is seen to at the next look, or by keel_threads_free_heirs().
 *
 * Context: may sleep; keel_place.lock is held.
 */
void keel_thread_give_back(struct keel_thread *t)
{
	lockdep_assert_held(&keel_place.lock);
	if (t->state == KEEL_PLACE_STATE_PLACED && keel_thread_has_ours(t))
		set_cpus_allowed_ptr(t->task, t->former);
	t->state = KEEL_PLACE_STATE_IDLE;
}

/**
 * keel_thread_destroy - forget a thread
 * @t: the thread; its affinity is given back
 *
 * Context: may sleep; keel_place.lock is held.
 */
void keel_thread_destroy(struct keel_thread *t)
{
	keel_thread_give_back(t);
	if (t->slot != U32_MAX)
		keel_place.last.thread[t->slot] = NULL;
	list_del(&t->node);
	t->vm->nr--;
	keel_thread_free(t);
}

/**
 * keel_threads_look - bring the threads of a VM up to date
 * @pv: the VM
 * @kvm: the same
 *
 * Those that have ended are forgotten. What each has used of the CPUs since the
 * last look is measured.
 *
 * Context: may sleep; keel_place.lock is held.
 * Return: 0, or -ENOMEM: some may be missing.
 */
int keel_threads_look(struct keel_place_vm *pv, struct kvm *kvm)
{
	struct keel_thread *t, *next;
	int err;

	lockdep_assert_held(&keel_place.lock);
	list_for_each_entry(t, &pv->threads, node)
		t->seen = false;
	err = keel_threads_vcpus(pv, kvm);
	err = err ?: keel_threads_others(pv);
	list_for_each_entry_safe(t, next, &pv->threads, node) {
		if ((!t->seen && !err) || (t->task->flags & PF_EXITING)) {
			keel_thread_destroy(t);
			continue;
		}
		/* Its heirs have been seen to. */
		if (!err && t->state != KEEL_PLACE_STATE_PLACED)
			t->since = 0;
		keel_thread_measure(t, keel_place.look_ns);
		t->looks++;
	}
	return err;
}
