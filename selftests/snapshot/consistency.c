// SPDX-License-Identifier: GPL-2.0
/*
 * Snapshots of memory that vCPUs, VMM threads and the kernel write without
 * pause: each image must be the memory at one instant. See world.h for what
 * that means and how it is seen.
 *
 *	consistency [-c SNAPSHOTS] [-m MiB] [-d DIR]
 *
 * -c counts per page size. With -d the writers run on plain files in DIR and
 * no snapshot is taken: it tests the test.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "kselftest.h"
#include "world.h"

#define FILES		2
#define SHOWN		5
#define ARM_TRIES	100

static int count = 500;
static size_t size = 4 << 20;
static const char *plain_dir;
static bool have_vcpus;

struct totals {
	int taken, bad, shown, arm_retries;
	uint64_t records, pages, fault, swept, eager, zero, throttled;
	uint64_t gate_max, gate_sum;
	int bad_sums;
};

static const enum writer_kind host_writers[] = {
	BY_STORE, BY_STORE, BY_PIPE, BY_EVENTFD, BY_PREAD, BY_PWRITE,
	BY_SPLICE, BY_PVM, BY_PROCMEM,
};

static void add_writers(struct world *w)
{
	size_t i;

	for (i = 0; i < 4; i++)
		world_add_writer(w, have_vcpus ? BY_VCPU : BY_STORE);
	for (i = 0; i < ARRAY_SIZE(host_writers); i++)
		world_add_writer(w, host_writers[i]);
}

static void look(struct world *w, int k, uint64_t *values)
{
	int i;

	for (i = 0; i < w->nr_writers; i++)
		values[i] = world_live(w, i, k);
}

/* All writers must get through this many rounds, or the test shows nothing. */
static int wait_rounds(struct world *w, uint64_t rounds, int seconds)
{
	uint64_t end = now_ns() + seconds * 1000000000ULL;
	uint64_t start[MAX_WRITERS];
	int i;

	look(w, NR_CELLS - 1, start);
	for (i = 0; i < w->nr_writers; ) {
		if (world_alive(w))
			return -1;
		if (world_live(w, i, NR_CELLS - 1) >= start[i] + rounds) {
			i++;
			continue;
		}
		if (now_ns() > end) {
			snprintf(w->why, sizeof(w->why),
				 "writer %d (%s) made no progress in %d s", i,
				 kind_name[w->writer[i].kind], seconds);
			return -1;
		}
		nap_us(1000);
	}
	return 0;
}

static int arm(struct ksnap *s, struct keel_snap_arm *a, struct totals *t)
{
	int ret, i;

	for (i = 0; i < ARM_TRIES; i++) {
		ret = ksnap_arm(s, a);
		if (ret != -EBUSY)
			return ret;
		t->arm_retries++;
	}
	return ret;
}

/*
 * How the drain goes about it decides which pages the writers reach first:
 * at once and fast, after the writers had their time, in small bites.
 */
static int drain(struct ksnap *s, int i)
{
	switch (i % 4) {
	case 0:
		return ksnap_drain(s, 4096, 0);
	case 1:
		nap_us(3000);
		return ksnap_drain(s, 4096, 0);
	case 2:
		return ksnap_drain(s, 64, 0);
	default:
		return ksnap_drain(s, 256, 500);
	}
}

static void add_up(struct totals *t, struct ksnap *s,
		   const struct keel_snap_arm *a)
{
	struct keel_snap_stat st;

	if (ksnap_stat(s, &st)) {
		t->bad_sums++;
		return;
	}
	t->records += s->records;
	t->pages += a->pages;
	t->fault += st.fault_pages;
	t->swept += st.swept_pages;
	t->eager += st.eager_pages;
	t->zero += st.zero_pages;
	t->throttled += st.throttled;
	t->gate_sum += a->gate_ns;
	if (a->gate_ns > t->gate_max)
		t->gate_max = a->gate_ns;
	if (st.fault_pages + st.swept_pages + st.eager_pages - st.zero_pages !=
	    s->records) {
		if (!t->bad_sums++)
			ksft_print_msg("stat: fault %llu + swept %llu + eager %llu - zero %llu, but %lu records\n",
				       st.fault_pages, st.swept_pages,
				       st.eager_pages, st.zero_pages,
				       s->records);
	}
}

static int one_snapshot(struct world *w, struct ksnap *s, int i,
			struct totals *t)
{
	uint64_t older[MAX_WRITERS], newer[MAX_WRITERS];
	struct keel_snap_arm a = {};
	struct ksnap old = *s;
	bool small = i % 3 == 0;
	/* To look at armed memory takes slots: with few, nobody would drain. */
	bool ask_newer = i % 8 == 1 && !small;
	int f, ret, nr;

	ret = ksnap_open_default(s, small ? KEEL_SNAP_POOL_MIN :
				 FILES * size);
	if (ret) {
		*s = old;
		ksft_print_msg("CREATE: %s\n", strerror(-ret));
		return ret;
	}
	ksnap_reuse(s, &old);
	for (f = 0; f < w->nr_files && !ret; f++)
		ret = ksnap_add(s, w->fd[f], size);
	if (!ret)
		ret = ksnap_prepare(s);
	look(w, NR_CELLS - 1, older);
	if (!ret)
		ret = arm(s, &a, t);
	if (ret) {
		ksft_print_msg("ADD_FILE to ARM: %s (pinned %llu) %s\n",
			       strerror(-ret), a.pinned, s->why);
		goto close;
	}
	if (ask_newer)
		look(w, 0, newer);
	ret = drain(s, i);
	if (ret) {
		ksft_print_msg("FETCH: %s %s\n", strerror(-ret), s->why);
		goto close;
	}
	t->taken++;
	nr = world_check(w, s->image, older, ask_newer ? newer : NULL);
	if (nr) {
		t->bad++;
		if (t->shown++ < SHOWN)
			ksft_print_msg("snapshot %d: %d violations: %s\n", i,
				       nr, w->why);
	}
	add_up(t, s, &a);
close:
	ksnap_close(s);
	return ret;
}

/*
 * Put a page of now into a finished image of then, as a page copied too late
 * would be: the checker must see it, for the first, a middle, the last cell.
 */
static bool planted_is_caught(struct world *w, struct ksnap *s)
{
	static const int cells[] = { 0, NR_CELLS / 2, NR_CELLS - 1 };
	unsigned char page[PG];
	bool caught = true;
	size_t i, pgoff;
	int x, file;

	if (wait_rounds(w, 3, 60)) {
		ksft_print_msg("%s\n", w->why);
		return false;
	}
	for (x = 0; x < w->nr_writers; x++) {
		for (i = 0; i < ARRAY_SIZE(cells); i++) {
			unsigned char *at;

			world_where(w, x, cells[i], &file, &pgoff);
			at = s->image[file] + pgoff * PG;
			memcpy(page, at, PG);
			memcpy(at, w->map[file] + pgoff * PG, PG);
			if (!world_check(w, s->image, NULL, NULL)) {
				ksft_print_msg("writer %d cell %d: a late page went unseen\n",
					       x, cells[i]);
				caught = false;
			}
			memcpy(at, page, PG);
		}
	}
	return caught;
}

/* The checker against images made by hand. */
static bool checker_works(struct world *w)
{
	unsigned char *img[FILES];
	bool ok = true;
	struct cell *c;
	int i, k;

	for (i = 0; i < FILES; i++) {
		img[i] = malloc(size);
		memcpy(img[i], w->map[i], size);
	}
	/* All at 7, all saw 7. */
	for (i = 0; i < w->nr_writers; i++) {
		for (k = 0; k < NR_CELLS; k++) {
			c = world_cell(w, img, i, k);
			c->value = 7;
			c->seen = 7;
		}
	}
	ok &= !world_check(w, img, NULL, NULL);
	/* The first three one ahead: an instant, too. */
	for (k = 0; k < 3; k++)
		world_cell(w, img, 1, k)->value = 8;
	ok &= !world_check(w, img, NULL, NULL);
	world_cell(w, img, 1, 1)->value = 7;	/* one late */
	ok &= world_check(w, img, NULL, NULL) > 0;
	world_cell(w, img, 1, 1)->value = 8;
	world_cell(w, img, 1, 0)->value = 9;	/* two rounds apart */
	ok &= world_check(w, img, NULL, NULL) > 0;
	world_cell(w, img, 1, 0)->value = 8;
	world_cell(w, img, 0, 9)->seen = 9;	/* from the future */
	ok &= world_check(w, img, NULL, NULL) > 0;
	world_cell(w, img, 0, 9)->seen = 7;
	img[1][0] ^= 1;				/* page 0 is filled */
	ok &= world_check(w, img, NULL, NULL) > 0;
	img[1][0] ^= 1;
	img[0][PG + 9] ^= 1;			/* page 1 of file 0 is a hole */
	ok &= world_check(w, img, NULL, NULL) > 0;
	img[0][PG + 9] ^= 1;
	ok &= !world_check(w, img, NULL, NULL);
	for (i = 0; i < FILES; i++)
		free(img[i]);
	return ok;
}

/* One page size. They run at the same time: much of a snapshot is waiting. */
struct variant {
	const char *what, *opts;
	pthread_t thread;
	struct totals t;
	uint64_t rounds;	/* of the slowest writer */
	bool caught, went_on;
};

static void report(const struct variant *v)
{
	const struct totals *t = &v->t;

	ksft_print_msg("%s: %d snapshots, slowest writer %lu rounds; pages %lu, by fault %lu, swept %lu, eager %lu, zero %lu, records %lu; waits %lu, ARM repeated %d; gate %lu us mean, %lu us max\n",
		       v->what, t->taken, v->rounds, t->pages, t->fault,
		       t->swept, t->eager, t->zero, t->records, t->throttled,
		       t->arm_retries, t->taken ? t->gate_sum / t->taken / 1000
		       : 0, t->gate_max / 1000);
	ksft_test_result(t->taken == count, "%s: %d snapshots taken\n", v->what,
			 count);
	ksft_test_result(t->taken && !t->bad, "%s: each is one instant\n",
			 v->what);
	ksft_test_result(t->fault && t->swept,
			 "%s: both faults and the sweep saved pages\n", v->what);
	ksft_test_result(t->taken && !t->bad_sums,
			 "%s: keel's counters add up\n", v->what);
	ksft_test_result(v->caught, "%s: a planted late page is caught\n",
			 v->what);
	ksft_test_result(v->went_on, "%s: no writer met an error, all went on\n",
			 v->what);
}

static void *run_variant(void *arg)
{
	struct variant *v = arg;
	const char *dir = kt_mount(v->opts);
	struct ksnap s = {};
	struct world w;
	uint64_t n;
	int i, err = 0;

	if (!dir)
		ksft_exit_fail_msg("mount keelfs -o %s: %s\n", v->opts,
				   strerror(errno));
	if (world_create(&w, dir, FILES, size, 0))
		ksft_exit_fail_msg("%s\n", w.why);
	add_writers(&w);
	if (world_start(&w) || wait_rounds(&w, 2, 60))
		ksft_exit_fail_msg("%s\n", w.why);
	kt_go_first();	/* this thread: the writers are started */
	for (i = 0; i < count && !err; i++)
		err = one_snapshot(&w, &s, i, &v->t) || world_alive(&w);
	if (!err)
		v->caught = planted_is_caught(&w, &s);
	else
		ksft_print_msg("%s: stopped at snapshot %d: %s\n", v->what,
			       i - 1, w.why);
	if (!err && wait_rounds(&w, 2, 60)) {
		ksft_print_msg("%s: after the snapshots: %s\n", v->what, w.why);
		err = 1;
	}
	v->rounds = UINT64_MAX;
	for (i = 0; i < w.nr_writers; i++) {
		n = world_live(&w, i, NR_CELLS - 1);
		v->rounds = n < v->rounds ? n : v->rounds;
	}
	v->went_on = !world_stop(&w) && !err;
	world_destroy(&w);
	ksnap_free(&s);
	kt_umount(dir);
	return NULL;
}

static void plain(void)
{
	struct world w;

	ksft_set_plan(2);
	if (world_create(&w, plain_dir, FILES, size, 0))
		ksft_exit_fail_msg("%s\n", w.why);
	add_writers(&w);
	ksft_test_result(checker_works(&w), "the checker tells good from bad\n");
	if (world_start(&w) || wait_rounds(&w, 100, 60) || world_stop(&w)) {
		ksft_print_msg("%s\n", w.why);
		ksft_test_result_fail("writers run on %s\n", plain_dir);
	} else if (world_check(&w, (unsigned char **)w.map, NULL, NULL)) {
		ksft_print_msg("%s\n", w.why);
		ksft_test_result_fail("memory at rest passes the check\n");
	} else {
		ksft_test_result_pass("writers run on %s\n", plain_dir);
	}
	world_destroy(&w);
	ksft_finished();
}

int main(int argc, char **argv)
{
	struct variant variants[] = {
		{ .what = "4 KiB mappings", .opts = "huge=never" },
		{ .what = "2 MiB mappings", .opts = "huge=always" },
	};
	const char *why;
	struct world w;
	size_t i;
	int c;

	while ((c = getopt(argc, argv, "c:m:d:")) != -1) {
		switch (c) {
		case 'c':
			count = atoi(optarg);
			break;
		case 'm':
			size = (size_t)atoi(optarg) << 20;
			break;
		case 'd':
			plain_dir = optarg;
			break;
		default:
			return 2;
		}
	}
	ksft_print_header();
	why = tvm_missing();
	have_vcpus = !why;
	if (why)
		ksft_print_msg("threads stand in for vCPUs: %s\n", why);
	if (plain_dir)
		plain();
	why = kt_keel_missing();
	if (why)
		ksft_exit_skip("%s\n", why);
	ksft_set_plan(14);
	if (world_create(&w, "/dev/shm", FILES, size, 0) &&
	    world_create(&w, "/run", FILES, size, 0))
		ksft_exit_fail_msg("%s\n", w.why);
	unlink("/dev/shm/ram0");
	unlink("/dev/shm/ram1");
	unlink("/run/ram0");
	unlink("/run/ram1");
	add_writers(&w);
	ksft_test_result(checker_works(&w), "the checker tells good from bad\n");
	world_destroy(&w);
	if (have_vcpus)
		ksft_test_result_pass("4 vCPUs are among the writers\n");
	else
		ksft_test_result_skip("4 vCPUs: %s\n", tvm_missing());
	for (i = 0; i < ARRAY_SIZE(variants); i++)
		if (pthread_create(&variants[i].thread, NULL, run_variant,
				   &variants[i]))
			ksft_exit_fail_msg("no thread\n");
	for (i = 0; i < ARRAY_SIZE(variants); i++)
		pthread_join(variants[i].thread, NULL);
	for (i = 0; i < ARRAY_SIZE(variants); i++)
		report(&variants[i]);
	ksft_finished();
}
