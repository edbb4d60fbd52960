// SPDX-License-Identifier: GPL-2.0
/*
 * The latency matrix. A table is by node id, so that it outlives nodes that come
 * and go; 0 is what it does not know.
 *
 * A measurement makes tables of its own, without a lock but the one that lets
 * there be only one at a time, and publishes them at its end.
 */
#include <linux/nodemask.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/topology.h>

#include "core/keel.h"
#include "placement/matrix.h"

/* Of a measurement that nobody asked for, for each pair of nodes. */
#define MATRIX_START_US		3000
/* What differs by less than this, in percent, does not differ. */
#define MATRIX_SPREAD_MIN	10

/* Protects the tables. */
static DEFINE_MUTEX(keel_matrix_lock);
static struct keel_matrix_table keel_matrix_table[KEEL_PLACE_SOURCES];
static struct keel_matrix_outlier keel_matrix_outlier[KEEL_MATRIX_OUTLIERS];
static u32 keel_matrix_outliers;

/* One measurement at a time. */
static DEFINE_MUTEX(keel_measure_lock);
static bool keel_measure_stop;	/* keel is being unloaded */

static u32 keel_matrix_at(const u32 *latency, int from, int to)
{
	return latency[from * nr_node_ids + to];
}

/* Does a table know all that is there? If not, which pair it does not. */
static bool keel_matrix_knows(const u32 *latency, int *from, int *to)
{
	for_each_node_state(*from, N_CPU)
		for_each_node_state(*to, N_MEMORY)
			if (!keel_matrix_at(latency, *from, *to))
				return false;
	return true;
}

/* By how much the farthest pair is slower than the nearest, in percent. */
static u32 keel_matrix_spread(const u32 *latency)
{
	u32 least = U32_MAX, most = 0, each;
	int from, to;

	for_each_node_state(from, N_CPU) {
		for_each_node_state(to, N_MEMORY) {
			each = keel_matrix_at(latency, from, to);
			least = min(least, each);
			most = max(most, each);
		}
	}
	return most ? (most - least) * 100ULL / least : 0;
}

/* What a measurement has to show before it is believed, in percent. */
static u32 keel_matrix_spread_least(const struct keel_matrix_table *t)
{
	return max_t(u32, 2 * t->noise, MATRIX_SPREAD_MIN);
}

/* May a table be used? If not, @why gets a sentence. */
static bool keel_matrix_usable(enum keel_place_source source, char *why,
			       size_t len)
{
	const struct keel_matrix_table *t = &keel_matrix_table[source];
	u32 spread;
	int from, to;

	lockdep_assert_held(&keel_matrix_lock);
	*why = 0;
	if (!t->latency)
		return false;
	if (!keel_matrix_knows(t->latency, &from, &to)) {
		snprintf(why, len, "it does not know the way from node %d to node %d",
			 from, to);
		return false;
	}
	spread = keel_matrix_spread(t->latency);
	if (source != KEEL_PLACE_SOURCE_MEASURED ||
	    spread >= keel_matrix_spread_least(t))
		return true;
	snprintf(why, len, "its nodes differ by %u %%, and less than %u %% is noise",
		 spread, keel_matrix_spread_least(t));
	return false;
}

static enum keel_place_source keel_matrix_source(void)
{
	enum keel_place_source source = KEEL_PLACE_SOURCE_USER;
	char why[KEEL_MATRIX_WHY];

	/* SLIT is always there. */
	while (source < KEEL_PLACE_SOURCE_SLIT &&
	       !keel_matrix_usable(source, why, sizeof(why)))
		source++;
	return source;
}

/* The nodes that are there, and how far they are by @latency, or else by SLIT. */
static void keel_matrix_extract(const u32 *latency, struct keel_matrix *m)
{
	const u32 *slit = keel_matrix_table[KEEL_PLACE_SOURCE_SLIT].latency;
	u32 *out = m->latency;
	int from, to;

	m->nr = 0;
	if (num_online_nodes() > PLACE_NODES_MAX)
		return;
	for_each_online_node(from) {
		m->node[m->nr++] = from;
		for_each_online_node(to) {
			*out = keel_matrix_at(latency, from, to);
			if (!*out)
				*out = keel_matrix_at(slit, from, to);
			out++;
		}
	}
}

/* Nodes come online with their distances. */
static void keel_matrix_refresh(void)
{
	lockdep_assert_held(&keel_matrix_lock);
	keel_firmware_slit(keel_matrix_table[KEEL_PLACE_SOURCE_SLIT].latency);
}

/**
 * keel_matrix_get - the matrix in use
 * @m: (out)
 *
 * Context: may sleep.
 */
void keel_matrix_get(struct keel_matrix *m)
{
	mutex_lock(&keel_matrix_lock);
	keel_matrix_refresh();
	m->source = keel_matrix_source();
	keel_matrix_extract(keel_matrix_table[m->source].latency, m);
	mutex_unlock(&keel_matrix_lock);
}

static size_t keel_matrix_bytes(void)
{
	return sizeof(u32) * nr_node_ids * nr_node_ids;
}

static u32 *keel_matrix_alloc(void)
{
	return kvzalloc(keel_matrix_bytes(), GFP_KERNEL);
}

/**
 * keel_matrix_report_put - free what keel_matrix_report_get() gave
 * @r: the report, or NULL
 */
void keel_matrix_report_put(struct keel_matrix_report *r)
{
	int i;

	if (!r)
		return;
	for (i = 0; i < KEEL_PLACE_SOURCES; i++)
		kvfree(r->table[i].latency);
	kvfree(r);
}

/**
 * keel_matrix_report_get - all that is known of latencies
 *
 * Context: may sleep.
 * Return: for keel_matrix_report_put(); NULL without memory.
 */
struct keel_matrix_report *keel_matrix_report_get(void)
{
	struct keel_matrix_report *r = kvzalloc(sizeof(*r), GFP_KERNEL);
	bool short_of_memory = false;
	u32 i;

	if (!r)
		return NULL;
	mutex_lock(&keel_matrix_lock);
	keel_matrix_refresh();
	r->used.source = keel_matrix_source();
	keel_matrix_extract(keel_matrix_table[r->used.source].latency,
			    &r->used);
	for (i = 0; i < KEEL_PLACE_SOURCES; i++) {
		keel_matrix_usable(i, r->why[i], sizeof(r->why[i]));
		r->table[i] = keel_matrix_table[i];
		if (!r->table[i].latency)
			continue;
		r->table[i].latency = keel_matrix_alloc();
		if (r->table[i].latency)
			memcpy(r->table[i].latency, keel_matrix_table[i].latency,
			       keel_matrix_bytes());
		else
			short_of_memory = true;
	}
	r->outliers = keel_matrix_outliers;
	memcpy(r->outlier, keel_matrix_outlier, sizeof(r->outlier));
	mutex_unlock(&keel_matrix_lock);
	if (short_of_memory) {
		keel_matrix_report_put(r);
		return NULL;
	}
	return r;
}

/* Put a table in the place of the one before it. */
static void keel_matrix_publish(enum keel_place_source source,
				const struct keel_matrix_table *t)
{
	u32 *old;

	mutex_lock(&keel_matrix_lock);
	old = keel_matrix_table[source].latency;
	keel_matrix_table[source] = *t;
	mutex_unlock(&keel_matrix_lock);
	kvfree(old);
}

/* A measurement; the mutex is held. */
static int __keel_matrix_measure(unsigned int budget_us, bool loaded)
{
	struct keel_measure m = {
		.budget_us = budget_us,
		.loaded = loaded,
		.stop = &keel_measure_stop,
		.latency = keel_matrix_alloc(),
	};
	struct keel_matrix_table t = { .latency = m.latency, .loaded = loaded };
	int err;

	lockdep_assert_held(&keel_measure_lock);
	if (!m.latency)
		return -ENOMEM;
	err = keel_measure(&m);
	if (err) {
		kvfree(m.latency);
		return err;
	}
	t.noise = m.noise;
	mutex_lock(&keel_matrix_lock);
	memcpy(keel_matrix_outlier, m.outlier, sizeof(m.outlier));
	keel_matrix_outliers = m.outliers;
	mutex_unlock(&keel_matrix_lock);
	keel_matrix_publish(KEEL_PLACE_SOURCE_MEASURED, &t);
	return 0;
}

/**
 * keel_matrix_measure - measure the host's latencies
 * @budget_us: time for each pair of nodes, microseconds
 * @loaded: have other CPUs use the memory meanwhile
 *
 * Context: may sleep; takes as long as the budget says, and before that as long
 * as those who asked earlier.
 * Return: 0; -ENOMEM; -EINTR after a signal, or if keel is being unloaded.
 */
int keel_matrix_measure(unsigned int budget_us, bool loaded)
{
	int err;

	if (mutex_lock_interruptible(&keel_measure_lock))
		return -EINTR;
	err = __keel_matrix_measure(budget_us, loaded);
	mutex_unlock(&keel_measure_lock);
	return err;
}

/**
 * keel_matrix_load - use the user's matrix
 * @node: ids of its nodes, each once, below nr_node_ids
 * @nr: how many
 * @latency: @nr by @nr, tenths of ns, never 0
 *
 * Context: may sleep.
 * Return: 0 or -ENOMEM.
 */
int keel_matrix_load(const u32 *node, u32 nr, const u16 *latency)
{
	struct keel_matrix_table t = { .latency = keel_matrix_alloc() };
	u32 from, to;

	if (!t.latency)
		return -ENOMEM;
	for (from = 0; from < nr; from++)
		for (to = 0; to < nr; to++)
			t.latency[node[from] * nr_node_ids + node[to]] =
				latency[from * nr + to];
	keel_matrix_publish(KEEL_PLACE_SOURCE_USER, &t);
	return 0;
}

/**
 * keel_matrix_forget - use the user's matrix no more
 *
 * Context: may sleep.
 */
void keel_matrix_forget(void)
{
	static const struct keel_matrix_table none;

	keel_matrix_publish(KEEL_PLACE_SOURCE_USER, &none);
}

static void keel_matrix_work_fn(struct work_struct *work)
{
	/* Where there is one node there is nothing to tell apart. */
	if (num_node_state(N_MEMORY) > 1)
		keel_matrix_measure(MATRIX_START_US, false);
}

static DECLARE_WORK(keel_matrix_work, keel_matrix_work_fn);

/**
 * keel_matrix_start - measure for the first time, in the background
 *
 * Context: any.
 */
void keel_matrix_start(void)
{
	queue_work(keel_wq, &keel_matrix_work);
}

/**
 * keel_matrix_stop - end what is being measured
 *
 * Context: may sleep.
 */
void keel_matrix_stop(void)
{
	WRITE_ONCE(keel_measure_stop, true);
	cancel_work_sync(&keel_matrix_work);
}

/**
 * keel_matrix_exit - the mirror of keel_matrix_init()
 *
 * No request is in flight any more.
 */
void keel_matrix_exit(void)
{
	int i;

	for (i = 0; i < KEEL_PLACE_SOURCES; i++)
		kvfree(keel_matrix_table[i].latency);
}

/**
 * keel_matrix_init - learn what the firmware says
 *
 * Return: 0 or -ENOMEM.
 */
int keel_matrix_init(void)
{
	struct keel_matrix_table *slit, *hmat;

	slit = &keel_matrix_table[KEEL_PLACE_SOURCE_SLIT];
	hmat = &keel_matrix_table[KEEL_PLACE_SOURCE_HMAT];
	slit->latency = keel_matrix_alloc();
	hmat->latency = keel_matrix_alloc();
	if (!slit->latency || !hmat->latency) {
		keel_matrix_exit();
		return -ENOMEM;
	}
	if (!keel_firmware_hmat(hmat->latency)) {
		kvfree(hmat->latency);
		hmat->latency = NULL;
	}
	return 0;
}
