// SPDX-License-Identifier: GPL-2.0
/*
 * Snapshots of memory whose mappings change all the time: ordered writers that
 * fork, move, protect and drop their mappings between and within rounds;
 * private and read-only mappings of the same files; holes punched and files
 * cut; pages moved between nodes, collapsed, dropped, compacted.
 *
 *	churn [-c SNAPSHOTS] [-m MiB]	(-c for each page size)
 *
 * Besides the ordered cells (world.h) there is
 *
 * - a band of pages behind the cells of file 0, written 1..n in order with a
 *   number, then punched in order: at an instant it is n...n 0...0 or
 *   0...0 n...n;
 * - a file of its own, grown, written page by page, cut page by page: at an
 *   instant it is n...n 0...0 at full size, or n...n at any.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest.h"
#include "world.h"

#define FILES		2
#define CUT		FILES		/* index of the file that is cut */
#define BAND_PAGES	32
#define BAND_BYTES	PMD_PAGE
#define CUT_PAGES	16
#define SHOWN		5

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif
#define MPOL_MF_MOVE_ALL (1 << 2)

static int count = 200;
static size_t size = 4 << 20;

struct churn;

#define NR_CHURNERS	12

/* Something that goes on beside the writers. */
struct churner {
	const char *name;
	int (*once)(struct churn *c, struct churner *x);
	const char *skip;	/* why it cannot be here */
	bool may_fail;		/* the call need not succeed each time */
	unsigned int pause_us;
	/* run time */
	struct churn *churn;
	pthread_t thread;
	bool started;
	uint64_t done, succeeded;
	int error;
	uint64_t n;
	int fd;
	char *map;
};

/*
 * In memory that two processes share: the guest's, where all of this goes on,
 * and this one, which takes snapshots. Faults of the guest's mappings and
 * changes to them hold locks that a snapshot must not have to wait for.
 */
struct churn {
	struct world world;
	const char *dir;
	int cut_fd;
	char *cut_map;
	bool stop;
	bool ready;
	int error;			/* of the writers, at the end */
	pid_t pid;
	struct churner churner[NR_CHURNERS];
};

static char *band(struct churn *c)
{
	return c->world.map[0] + size;
}

static int failed(struct churner *x, int err)
{
	x->error = err ?: EIO;
	return -1;
}

static int punch(struct churn *c, struct churner *x)
{
	int i;

	x->n++;
	for (i = 0; i < BAND_PAGES; i++)
		WRITE_ONCE(*(uint64_t *)(band(c) + i * PG + 8), x->n);
	for (i = 0; i < BAND_PAGES; i++)
		if (fallocate(c->world.fd[0], FALLOC_FL_PUNCH_HOLE |
			      FALLOC_FL_KEEP_SIZE, size + i * PG, PG))
			return failed(x, errno);
	if (READ_ONCE(*(uint64_t *)(band(c) + 8)))
		return failed(x, EILSEQ);
	return 0;
}

static int cut(struct churn *c, struct churner *x)
{
	int i;

	x->n++;
	if (ftruncate(c->cut_fd, CUT_PAGES * PG))
		return failed(x, errno);
	for (i = 0; i < CUT_PAGES; i++)
		WRITE_ONCE(*(uint64_t *)(c->cut_map + i * PG + 8), x->n);
	for (i = CUT_PAGES - 1; i >= 0; i--)
		if (ftruncate(c->cut_fd, i * PG))
			return failed(x, errno);
	return 0;
}

static int reader(struct churn *c, struct churner *x)
{
	struct world *w = &c->world;
	char path[PATH_MAX];
	uint64_t sum = 0;
	char *p;
	size_t i;
	int fd;

	snprintf(path, sizeof(path), "%s/ram%ld", c->dir, x->done % FILES);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return failed(x, errno);
	p = mmap(NULL, w->size, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		return failed(x, errno);
	for (i = 0; i < w->size; i += PG)
		sum += READ_ONCE(p[i]);
	munmap(p, w->size);
	return sum == UINT64_MAX ? failed(x, EIO) : 0;
}

/* A private copy of the cells, scribbled on: must reach nobody. */
static int private(struct churn *c, struct churner *x)
{
	struct world *w = &c->world;
	size_t i;
	char *p;

	p = mmap(NULL, w->size, PROT_READ | PROT_WRITE, MAP_PRIVATE,
		 w->fd[x->done % FILES], 0);
	if (p == MAP_FAILED)
		return failed(x, errno);
	for (i = x->done % 5 * PG; i < w->size; i += 5 * PG)
		memset(p + i, 0xa5, PG);
	for (i = x->done % 5 * PG; i < w->size; i += 5 * PG)
		if (READ_ONCE(p[i + 8]) != (char)0xa5)
			return failed(x, EILSEQ);
	munmap(p, w->size);
	return 0;
}

static int move(struct churn *c, struct churner *x)
{
	struct world *w = &c->world;
	size_t n = w->size / PG, i;
	void **pages = calloc(n, sizeof(*pages));
	int *nodes = calloc(n, sizeof(*nodes)), *status = calloc(n, sizeof(int));
	int nr = kt_nr_nodes(), moved = 0;
	char *map = w->map[x->done % FILES];

	for (i = 0; i < n; i++) {
		pages[i] = map + i * PG;
		/* Only what is mapped is moved. */
		(void)READ_ONCE(map[i * PG]);
		nodes[i] = (x->done / FILES) % nr;
	}
	if (syscall(SYS_move_pages, 0, n, pages, nodes, status,
		    MPOL_MF_MOVE_ALL) < 0)
		x->error = errno;
	for (i = 0; i < n; i++)
		moved += status[i] == nodes[i];
	free(pages);
	free(nodes);
	free(status);
	return x->error ? -1 : moved ? 0 : 1;
}

static int migrate(struct churn *c, struct churner *x)
{
	unsigned long from = 1UL << (x->done & 1), to = 3 & ~from;
	struct world *w = &c->world;
	size_t i;
	char *map = w->map[x->done % FILES];

	for (i = 0; i < w->size; i += PG)
		(void)READ_ONCE(map[i]);
	if (syscall(SYS_migrate_pages, 0, 64UL, &from, &to) < 0)
		return failed(x, errno);
	return 0;
}

static int collapse(struct churn *c, struct churner *x)
{
	return madvise(c->world.map[x->done % FILES], size, MADV_COLLAPSE);
}

static int hugepage(struct churn *c, struct churner *x)
{
	if (madvise(c->world.map[x->done % FILES], size,
		    x->done & 2 ? MADV_HUGEPAGE : MADV_NOHUGEPAGE))
		return failed(x, errno);
	return 0;
}

static int dontneed(struct churn *c, struct churner *x)
{
	if (madvise(c->world.map[x->done % FILES], size, MADV_DONTNEED))
		return failed(x, errno);
	return 0;
}

static int drop(struct churn *c, struct churner *x)
{
	int ret = kt_write_file("/proc/sys/vm/drop_caches", "3");

	(void)c;
	return ret ? failed(x, -ret) : 0;
}

static int compact(struct churn *c, struct churner *x)
{
	int ret = kt_write_file("/proc/sys/vm/compact_memory", "1");

	(void)c;
	return ret ? failed(x, -ret) : 0;
}

/* Reads whole files by read(2) and sees ordered memory, too, page by page. */
static int read_file(struct churn *c, struct churner *x)
{
	char buf[16 * 4096];
	off_t at;

	for (at = 0; at < (off_t)size; at += sizeof(buf))
		if (pread(c->world.fd[x->done % FILES], buf, sizeof(buf), at) !=
		    sizeof(buf))
			return failed(x, errno);
	return 0;
}

static const struct churner kinds[] = {
	{ .name = "punch hole", .once = punch },
	{ .name = "truncate", .once = cut },
	{ .name = "read-only mapping", .once = reader, .pause_us = 500 },
	{ .name = "private mapping", .once = private, .pause_us = 500 },
	{ .name = "read(2)", .once = read_file, .pause_us = 500 },
	{ .name = "move_pages", .once = move, .may_fail = true,
	  .pause_us = 2000 },
	{ .name = "migrate_pages", .once = migrate, .pause_us = 5000 },
	{ .name = "MADV_COLLAPSE", .once = collapse, .may_fail = true,
	  .pause_us = 5000 },
	{ .name = "MADV_HUGEPAGE and back", .once = hugepage,
	  .pause_us = 5000 },
	{ .name = "MADV_DONTNEED", .once = dontneed, .pause_us = 2000 },
	{ .name = "drop_caches", .once = drop, .pause_us = 50000 },
	{ .name = "compact_memory", .once = compact, .pause_us = 50000 },
};

_Static_assert(ARRAY_SIZE(kinds) == NR_CHURNERS, "NR_CHURNERS");

static const enum writer_kind writers[] = {
	BY_STORE, BY_PIPE, BY_PWRITE, BY_PVM, BY_FORK, BY_MPROTECT, BY_MREMAP,
	BY_REMAP,
};

static void *churner_thread(void *arg)
{
	struct churner *x = arg;
	int ret;

	while (!__atomic_load_n(&x->churn->stop, __ATOMIC_ACQUIRE)) {
		ret = x->once(x->churn, x);
		if (ret && !x->may_fail)
			break;
		if (x->error)
			break;
		x->succeeded += !ret;
		WRITE_ONCE(x->done, x->done + 1);
		if (x->pause_us)
			nap_us(x->pause_us);
	}
	return NULL;
}

static void start_churners(struct churn *c)
{
	size_t i;

	for (i = 0; i < NR_CHURNERS; i++) {
		struct churner *x = &c->churner[i];

		if (x->skip)
			continue;
		x->churn = c;
		x->started = !pthread_create(&x->thread, NULL, churner_thread,
					     x);
	}
}

/* The guest's process. */
static void guest_main(struct churn *c)
{
	size_t i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	c->error = world_start(&c->world);
	if (!c->error)
		start_churners(c);
	WRITE_ONCE(c->ready, true);
	while (!__atomic_load_n(&c->stop, __ATOMIC_ACQUIRE))
		nap_us(1000);
	for (i = 0; i < NR_CHURNERS; i++)
		if (c->churner[i].started)
			pthread_join(c->churner[i].thread, NULL);
	c->error = c->error ?: world_stop(&c->world);
	_exit(0);
}

static void guest_start(struct churn *c)
{
	size_t i;

	memcpy(c->churner, kinds, sizeof(kinds));
	for (i = 0; i < NR_CHURNERS; i++) {
		struct churner *x = &c->churner[i];

		if ((x->once == move || x->once == migrate) &&
		    kt_nr_nodes() < 2)
			x->skip = "one NUMA node";
	}
	c->pid = fork();
	if (!c->pid)
		guest_main(c);
	while (!READ_ONCE(c->ready))
		nap_us(1000);
	if (c->error)
		ksft_exit_fail_msg("%s\n", c->world.why);
}

static void guest_stop(struct churn *c)
{
	int i;

	__atomic_store_n(&c->stop, true, __ATOMIC_RELEASE);
	waitpid(c->pid, NULL, 0);
	/* What ran there does not run here. */
	c->world.has_vm = false;
	for (i = 0; i < c->world.nr_writers; i++)
		c->world.writer[i].started = false;
}

static uint64_t number(const unsigned char *image, int page)
{
	return *(const uint64_t *)(image + page * PG + 8);
}

/* n...n 0...0, or 0...0 n...n if @tail may be; nothing beside the numbers */
static bool one_step(const unsigned char *image, int pages, bool tail,
		     char *why, size_t room)
{
	uint64_t n = 0, v;
	int i, changes = 0;
	size_t j;

	for (i = 0; i < pages; i++) {
		v = number(image, i);
		if (v && n && v != n) {
			snprintf(why, room, "page %d holds %lu, another %lu", i,
				 v, n);
			return false;
		}
		n = v ?: n;
		if (i && !v != !number(image, i - 1))
			changes++;
		for (j = 0; j < PG / 8; j++) {
			if (j != 1 && ((uint64_t *)(image + i * PG))[j]) {
				snprintf(why, room, "page %d word %zu", i, j);
				return false;
			}
		}
	}
	if (changes > 1 || (changes && !tail && !number(image, 0))) {
		snprintf(why, room, "%d changes between %lu and 0", changes, n);
		return false;
	}
	return true;
}

static bool check_rest(struct churn *c, struct ksnap *s, char *why, size_t room)
{
	size_t pages = s->bytes[CUT] / PG, i;
	char more[120];

	(void)c;
	if (!one_step(s->image[0] + size, BAND_PAGES, true, more,
		      sizeof(more))) {
		snprintf(why, room, "punched band: %s", more);
		return false;
	}
	if (!one_step(s->image[CUT], CUT_PAGES, false, more, sizeof(more))) {
		snprintf(why, room, "cut file: %s", more);
		return false;
	}
	for (i = 0; pages < CUT_PAGES && i < CUT_PAGES; i++) {
		bool there = i < pages;

		if (there != !!number(s->image[CUT], i)) {
			snprintf(why, room,
				 "cut file: %zu pages at the instant, but page %zu holds %lu",
				 pages, i, number(s->image[CUT], i));
			return false;
		}
	}
	return true;
}

struct totals {
	int taken, bad, bad_rest, busy, cut_full, cut_part, punched;
	uint64_t fault, swept, eager;
};

static int one_snapshot(struct churn *c, struct ksnap *s, int i,
			struct totals *t)
{
	struct world *w = &c->world;
	struct keel_snap_stat st;
	struct keel_snap_arm a = {};
	uint64_t older[MAX_WRITERS];
	struct ksnap old = *s;
	char why[160];
	int f, j, ret, nr;

	ret = ksnap_open_default(s, 24 << 20);
	if (ret) {
		*s = old;
		return ret;
	}
	ksnap_reuse(s, &old);
	for (f = 0; f < FILES && !ret; f++)
		ret = ksnap_add(s, w->fd[f], size + BAND_BYTES);
	if (!ret)
		ret = ksnap_add(s, c->cut_fd, CUT_PAGES * PG);
	if (!ret)
		ret = ksnap_prepare(s);
	for (j = 0; j < w->nr_writers; j++)
		older[j] = world_live(w, j, NR_CELLS - 1);
	for (j = 0; j < 100 && !ret; j++) {
		ret = ksnap_arm(s, &a);
		if (ret != -EBUSY)
			break;
		t->busy++;
		ret = j < 99 ? 0 : ret;
	}
	if (ret) {
		ksft_print_msg("ADD_FILE to ARM: %s (pinned %llu) %s\n",
			       strerror(-ret), a.pinned, s->why);
		goto close;
	}
	if (i & 1)
		nap_us(3000);
	ret = ksnap_drain(s, i % 3 ? 4096 : 100, i % 5 ? 0 : 300);
	if (ret) {
		ksft_print_msg("FETCH: %s %s\n", strerror(-ret), s->why);
		goto close;
	}
	t->taken++;
	t->cut_full += s->bytes[CUT] == CUT_PAGES * PG;
	t->cut_part += s->bytes[CUT] && s->bytes[CUT] < CUT_PAGES * PG;
	t->punched += !number(s->image[0] + size, 0);
	nr = world_check(w, s->image, older, NULL);
	if (nr && t->bad++ < SHOWN)
		ksft_print_msg("snapshot %d: %d violations: %s\n", i, nr,
			       w->why);
	if (!check_rest(c, s, why, sizeof(why)) && t->bad_rest++ < SHOWN)
		ksft_print_msg("snapshot %d: %s\n", i, why);
	if (!ksnap_stat(s, &st)) {
		t->fault += st.fault_pages;
		t->swept += st.swept_pages;
		t->eager += st.eager_pages;
	}
close:
	ksnap_close(s);
	return ret;
}

static void report(const char *what, const struct churn *c,
		   const struct totals *t)
{
	size_t i;

	ksft_print_msg("%s: %d snapshots; by fault %lu, swept %lu, eager %lu; the cut file was full in %d, in part in %d; the band began punched in %d; ARM repeated %d\n",
		       what, t->taken, t->fault, t->swept, t->eager,
		       t->cut_full, t->cut_part, t->punched, t->busy);
	ksft_test_result(t->taken == count, "%s: %d snapshots taken\n", what,
			 count);
	ksft_test_result(t->taken && !t->bad, "%s: each is one instant\n",
			 what);
	ksft_test_result(t->taken && !t->bad_rest,
			 "%s: punched and cut pages are as they were\n", what);
	for (i = 0; i < NR_CHURNERS; i++) {
		const struct churner *x = &c->churner[i];

		if (x->skip) {
			ksft_test_result_skip("%s: %s: %s\n", what, x->name,
					      x->skip);
			continue;
		}
		if (x->error)
			ksft_print_msg("%s: %s\n", x->name,
				       strerror(x->error));
		ksft_print_msg("%s: %lu times, %lu with success\n", x->name,
			       x->done, x->succeeded);
		ksft_test_result(!x->error && x->done > 1,
				 "%s: %s went on\n", what, x->name);
	}
}

static void variant(const char *what, const char *opts, bool have_vcpus)
{
	struct churn *c = mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct totals t = {};
	struct ksnap s = {};
	bool all = true;
	size_t j;
	int i, err = 0;

	c->dir = kt_mount(opts);
	if (!c->dir)
		ksft_exit_fail_msg("mount keelfs -o %s: %s\n", opts,
				   strerror(errno));
	if (world_create(&c->world, c->dir, FILES, size, BAND_BYTES))
		ksft_exit_fail_msg("%s\n", c->world.why);
	c->cut_fd = kt_file(c->dir, "cut", CUT_PAGES * PG);
	c->cut_map = c->cut_fd < 0 ? NULL : kt_map(c->cut_fd, PMD_PAGE);
	if (!c->cut_map)
		ksft_exit_fail_msg("the file to cut: %s\n", strerror(errno));
	for (j = 0; have_vcpus && j < 4; j++)
		world_add_writer(&c->world, BY_VCPU);
	for (j = 0; j < ARRAY_SIZE(writers); j++)
		world_add_writer(&c->world, writers[j]);
	setpriority(PRIO_PROCESS, 0, 0);	/* the guest inherits it */
	guest_start(c);
	kt_go_first();
	for (i = 0; i < count && !err; i++)
		err = one_snapshot(c, &s, i, &t) || world_alive(&c->world);
	guest_stop(c);
	report(what, c, &t);
	if (c->error)
		ksft_print_msg("%s\n", c->world.why);
	ksft_test_result(!c->error, "%s: no writer met an error\n", what);
	for (i = 0; i < c->world.nr_writers; i++) {
		uint64_t n = world_live(&c->world, i, NR_CELLS - 1);

		all = all && n > 2;
		ksft_print_msg("%s: %lu rounds\n",
			       kind_name[c->world.writer[i].kind], n);
	}
	ksft_test_result(all, "%s: every writer made rounds\n", what);
	world_destroy(&c->world);
	munmap(c->cut_map, PMD_PAGE);
	close(c->cut_fd);
	ksnap_free(&s);
	kt_umount(c->dir);
	munmap(c, sizeof(*c));
}

int main(int argc, char **argv)
{
	const char *why;
	int o;

	while ((o = getopt(argc, argv, "c:m:")) != -1) {
		switch (o) {
		case 'c':
			count = atoi(optarg);
			break;
		case 'm':
			size = (size_t)atoi(optarg) << 20;
			break;
		default:
			return 2;
		}
	}
	ksft_print_header();
	why = kt_keel_missing();
	if (why)
		ksft_exit_skip("%s\n", why);
	ksft_set_plan(1 + 2 * (5 + NR_CHURNERS));
	kt_write_file("/sys/kernel/mm/transparent_hugepage/enabled", "always");
	kt_write_file("/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs",
		      "10");
	why = tvm_missing();
	if (why)
		ksft_test_result_skip("4 vCPUs: %s\n", why);
	else
		ksft_test_result_pass("4 vCPUs are among the writers\n");
	variant("4 KiB mappings", "huge=never", !why);
	variant("2 MiB mappings", "huge=always", !why);
	ksft_finished();
}
