// SPDX-License-Identifier: GPL-2.0
/*
 * The latency of memory, by pointer chase: a random cycle through more memory
 * than the caches hold, of which each load yields the address of the next, so
 * that neither prefetchers nor speculation help. Large pages of the direct map
 * keep misses of the TLB out of it.
 *
 * Loads are timed in batches and the median batch counts: an interrupt spoils
 * one, and one in which the thread was preempted is thrown away.
 */
#include <linux/completion.h>
#include <linux/cpu.h>
#include <linux/gfp.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/prandom.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/topology.h>
#include <linux/wait.h>

#include "placement/chase.h"
#include "placement/score.h"

#define CHASE_LINE		64
#define CHASE_BYTES_MIN		(4UL << 20)
#define CHASE_BYTES_MAX		(64UL << 20)
#define CHASE_ORDER		9	/* of a chunk: 2 MiB */
#define CHASE_CHUNKS_MAX	(CHASE_BYTES_MAX >> (PAGE_SHIFT + CHASE_ORDER))
#define CHASE_BATCH		128	/* loads */
#define CHASE_BATCHES_MAX	1024

/**
 * struct keel_chase_buffer - memory of one node, linked into a cycle
 * @nid: the node
 * @nr: chunks
 * @chunk: each of 2 MiB
 */
struct keel_chase_buffer {
	int nid;
	unsigned int nr;
	struct page *chunk[CHASE_CHUNKS_MAX];
};

/* A thread on one CPU, and what it found. */
struct keel_chase_work {
	const struct keel_chase *chase;
	struct completion done;
	bool end;		/* for those that only make load */
	unsigned int nr;
	u32 batch[CHASE_BATCHES_MAX];	/* tenths of ns per load */
};

static void **keel_chase_line(const struct keel_chase_buffer *b, u32 i)
{
	const u32 per_chunk = (PAGE_SIZE << CHASE_ORDER) / CHASE_LINE;
	char *base = page_address(b->chunk[i / per_chunk]);

	return (void **)(base + i % per_chunk * CHASE_LINE);
}

/* One cycle through all lines, in random order: Sattolo's shuffle. */
static int keel_chase_link(struct keel_chase_buffer *b, const bool *stop)
{
	u32 nr = b->nr * ((PAGE_SIZE << CHASE_ORDER) / CHASE_LINE), i, k;
	u32 *order = kvmalloc_array(nr, sizeof(*order), GFP_KERNEL);
	struct rnd_state rnd;

	if (!order)
		return -ENOMEM;
	prandom_seed_state(&rnd, b->nid + 1);
	for (i = 0; i < nr; i++)
		order[i] = i;
	for (i = nr - 1; i > 0; i--) {
		k = (u64)prandom_u32_state(&rnd) * i >> 32;
		swap(order[i], order[k]);
		if (!(i % 65536))
			cond_resched();
	}
	for (i = 0; i < nr && !READ_ONCE(*stop); i++) {
		*keel_chase_line(b, order[i]) =
			keel_chase_line(b, order[i + 1 < nr ? i + 1 : 0]);
		if (!(i % 65536))
			cond_resched();
	}
	kvfree(order);
	return READ_ONCE(*stop) ? -EINTR : 0;
}

/**
 * keel_chase_buffer_destroy - give the memory back
 * @b: the buffer, or NULL
 *
 * Context: may sleep.
 */
void keel_chase_buffer_destroy(struct keel_chase_buffer *b)
{
	if (!b)
		return;
	while (b->nr)
		__free_pages(b->chunk[--b->nr], CHASE_ORDER);
	kfree(b);
}

/* More than fits into the caches, if the node has it to spare. */
static unsigned int keel_chase_chunks(int nid)
{
	unsigned long spare = 0, bytes;
	int zone;

	for (zone = 0; zone < MAX_NR_ZONES; zone++)
		spare += zone_page_state(&NODE_DATA(nid)->node_zones[zone],
					 NR_FREE_PAGES);
	bytes = min(spare / 8 << PAGE_SHIFT, CHASE_BYTES_MAX);
	return bytes < CHASE_BYTES_MIN ? 0 :
	       bytes >> (PAGE_SHIFT + CHASE_ORDER);
}

/**
 * keel_chase_buffer_create - memory to be chased through
 * @nid: its node
 * @stop: gives it up when it becomes true
 *
 * Context: may sleep, takes some tens of milliseconds.
 * Return: the buffer; -ENOSPC if the node has too little free memory, -ENOMEM,
 * -EINTR.
 */
struct keel_chase_buffer *keel_chase_buffer_create(int nid, const bool *stop)
{
	const gfp_t gfp = GFP_KERNEL | __GFP_THISNODE | __GFP_NORETRY |
			  __GFP_NOWARN;
	unsigned int want = keel_chase_chunks(nid);
	struct keel_chase_buffer *b = kzalloc(sizeof(*b), GFP_KERNEL);
	struct page *page;
	int err = -ENOSPC;

	if (!b)
		return ERR_PTR(-ENOMEM);
	b->nid = nid;
	while (b->nr < want) {
		page = alloc_pages_node(nid, gfp, CHASE_ORDER);
		if (!page)
			break;
		b->chunk[b->nr++] = page;
	}
	if (b->nr >= CHASE_BYTES_MIN >> (PAGE_SHIFT + CHASE_ORDER))
		err = keel_chase_link(b, stop);
	if (err) {
		keel_chase_buffer_destroy(b);
		return ERR_PTR(err);
	}
	return b;
}

static unsigned long keel_chase_switches(void)
{
	return current->nvcsw + current->nivcsw;
}

/* Passes the time until @until after @begin. Return: when it was. */
static u64 keel_chase_pad(u64 begin, u64 until)
{
	u64 took;

	do {
		cpu_relax();
		took = ktime_get_ns() - begin;
	} while (took < until);
	return took;
}

/* One batch. Return: tenths of ns a load; 0 if something came between. */
static u32 keel_chase_batch(const struct keel_chase *c, void ***at)
{
	unsigned long switches = keel_chase_switches();
	u64 begin = ktime_get_ns(), took;
	void **p = *at;
	int i;

	for (i = 0; i < CHASE_BATCH; i++)
		p = READ_ONCE(*p);
	*at = p;
	took = ktime_get_ns() - begin;
	if (c->pad_ns)
		took = keel_chase_pad(begin, took + (u64)c->pad_ns * CHASE_BATCH);
	if (keel_chase_switches() != switches)
		return 0;
	return clamp_t(u64, took * 10 / CHASE_BATCH, 1, PLACE_LATENCY_MAX);
}

static int keel_chase_measure(void *data)
{
	struct keel_chase_work *w = data;
	const struct keel_chase *c = w->chase;
	void **at = keel_chase_line(c->buffer, 0);
	u64 end = ktime_get_ns() + c->budget_us * NSEC_PER_USEC;
	u32 each;

	do {
		each = keel_chase_batch(c, &at);
		if (each)
			w->batch[w->nr++] = each;
		cond_resched();
	} while (w->nr < CHASE_BATCHES_MAX && ktime_get_ns() < end &&
		 !READ_ONCE(*c->stop));
	/* Not by way of this module's text, which may go as soon as it is told. */
	kthread_complete_and_exit(&w->done, 0);
}

/* Read all of the buffer, line by line, for others to wait for. */
static int keel_chase_load(void *data)
{
	struct keel_chase_work *w = data;
	const struct keel_chase_buffer *b = w->chase->buffer;
	const u32 per_chunk = (PAGE_SIZE << CHASE_ORDER) / CHASE_LINE;
	u32 i = 0;

	while (!READ_ONCE(w->end)) {
		(void)READ_ONCE(*keel_chase_line(b, i));
		if (++i == b->nr * per_chunk)
			i = 0;
		if (!(i % CHASE_BATCH))
			cond_resched();
	}
	kthread_complete_and_exit(&w->done, 0);
}

static int keel_chase_start(struct keel_chase_work *w, int cpu,
			    int (*fn)(void *))
{
	struct task_struct *task;

	init_completion(&w->done);
	task = kthread_create_on_node(fn, w, cpu_to_node(cpu), "keel_chase/%d",
				      cpu);
	if (IS_ERR(task))
		return PTR_ERR(task);
	kthread_bind(task, cpu);
	wake_up_process(task);
	return 0;
}

static int keel_chase_cmp(const void *a, const void *b)
{
	u32 x = *(const u32 *)a, y = *(const u32 *)b;

	return x < y ? -1 : x > y;
}

/* Threads that make load on other CPUs of the node. Return: how many. */
static unsigned int keel_chase_load_start(const struct keel_chase *c,
					  struct keel_chase_work **load)
{
	unsigned int nr = 0;
	int cpu;

	for_each_cpu(cpu, cpumask_of_node(cpu_to_node(c->cpu))) {
		if (nr == c->load_cpus)
			break;
		if (cpu == c->cpu || !cpu_online(cpu))
			continue;
		load[nr] = kzalloc(sizeof(*load[nr]), GFP_KERNEL);
		if (!load[nr])
			break;
		load[nr]->chase = c;
		if (keel_chase_start(load[nr], cpu, keel_chase_load)) {
			kfree(load[nr]);
			break;
		}
		nr++;
	}
	return nr;
}

/**
 * keel_chase_median - the middle one of some latencies
 * @v: the latencies; they are sorted
 * @nr: how many; at least 1
 */
u32 keel_chase_median(u32 *v, unsigned int nr)
{
	sort(v, nr, sizeof(*v), keel_chase_cmp, NULL);
	return v[nr / 2];
}

/**
 * keel_chase_run - measure the latency of memory from one CPU
 * @c: what, and how long
 * @latency: (out) of a load, tenths of ns
 *
 * Context: may sleep; takes about c->budget_us. A thread whose CPU goes offline
 * runs on elsewhere: the caller holds cpus_read_lock().
 * Return: 0; -ENOMEM; -EAGAIN if no batch was left in peace; -EINTR.
 */
int keel_chase_run(const struct keel_chase *c, u32 *latency)
{
	struct keel_chase_work *w, *load[KEEL_CHASE_LOAD_MAX];
	unsigned int nr;
	int err;

	w = kzalloc(sizeof(*w), GFP_KERNEL);
	if (!w)
		return -ENOMEM;
	w->chase = c;
	nr = keel_chase_load_start(c, load);
	err = keel_chase_start(w, c->cpu, keel_chase_measure);
	if (!err)
		wait_for_completion(&w->done);
	while (nr) {
		WRITE_ONCE(load[--nr]->end, true);
		wait_for_completion(&load[nr]->done);
		kfree(load[nr]);
	}
	if (!err && READ_ONCE(*c->stop))
		err = -EINTR;
	if (!err && !w->nr)
		err = -EAGAIN;
	if (!err)
		*latency = keel_chase_median(w->batch, w->nr);
	kfree(w);
	return err;
}
