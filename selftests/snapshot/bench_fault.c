// SPDX-License-Identifier: GPL-2.0
/*
 * What a write to memory under a snapshot costs its writer, beside what it
 * costs under userfaultfd write protection with a monitor thread that copies,
 * and beside the first touch of plain memory; and what it costs to arm.
 *
 *	bench_fault [-n PAGES] [-g MiB] [-j FILE]
 *
 * -n: writes to time (4096), -g: memory to arm (512), -j: JSON goes there too.
 * All in one run, on one machine: compare the rows, not the figures of two
 * machines.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/userfaultfd.h>

#include "kselftest.h"
#include "keeltest.h"

static size_t pages = 4096;
static size_t arm_bytes = (size_t)512 << 20;

struct row {
	const char *name;
	size_t unit;		/* bytes saved by one fault */
	uint64_t median, p99;	/* ns */
	uint64_t count;		/* faults that were counted */
	int error;
};

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Time one store into each @unit of @p. */
static void time_writes(struct row *r, char *p, size_t n)
{
	uint64_t *ns = calloc(n, sizeof(*ns)), start;
	size_t i;

	for (i = 0; i < n; i++) {
		start = now_ns();
		WRITE_ONCE(p[i * r->unit + 64], 1);
		ns[i] = now_ns() - start;
	}
	qsort(ns, n, sizeof(*ns), by_size);
	r->median = ns[n / 2];
	r->p99 = ns[n * 99 / 100];
	free(ns);
}

static void populate(char *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i += PG)
		*(volatile uint64_t *)(p + i) = i + 1;
}

static void plain_touch(struct row *r)
{
	int fd = memfd_create("plain", 0);
	char *p = ftruncate(fd, pages * PG) ? NULL : kt_map(fd, pages * PG);

	if (!p) {
		r->error = errno;
		return;
	}
	time_writes(r, p, pages);
	r->count = pages;
	munmap(p, pages * PG);
	close(fd);
}

static void keelfs_armed(struct row *r, const char *opts)
{
	const char *dir = kt_mount(opts);
	size_t n = r->unit == PG ? pages : pages * PG / r->unit;
	size_t len = n * r->unit;
	int fd = dir ? kt_file(dir, "ram", len) : -errno;
	char *p = fd < 0 ? NULL : kt_map(fd, len);
	struct keel_snap_stat st = {};
	struct ksnap s = {};
	int ret;

	if (!p) {
		r->error = errno;
		return;
	}
	populate(p, len);
	ret = ksnap_open_default(&s, len + (8 << 20)) ?:
	      ksnap_add(&s, fd, len) ?: ksnap_prepare(&s) ?:
	      ksnap_arm(&s, NULL);
	if (!ret) {
		time_writes(r, p, n);
		ret = ksnap_stat(&s, &st);
		r->count = st.fault_pages / (r->unit / PG);
	}
	r->error = -ret;
	ksnap_free(&s);
	munmap(p, len);
	close(fd);
	kt_umount(dir);
}

/* The monitor: what a VMM does that snapshots by userfaultfd. */
struct monitor {
	int uffd;
	char *pool;
	uint64_t copied;
	int error;
};

static void *monitor_thread(void *arg)
{
	struct monitor *m = arg;
	struct uffd_msg msg;

	while (read(m->uffd, &msg, sizeof(msg)) == sizeof(msg)) {
		struct uffdio_writeprotect wp = {};

		if (msg.event != UFFD_EVENT_PAGEFAULT)
			break;
		wp.range.start = msg.arg.pagefault.address & ~(PG - 1);
		wp.range.len = PG;
		if (!wp.range.start)
			break;
		memcpy(m->pool + m->copied * PG, (void *)wp.range.start, PG);
		m->copied++;
		if (ioctl(m->uffd, UFFDIO_WRITEPROTECT, &wp)) {
			m->error = errno;
			break;
		}
		if (m->copied == pages)
			break;
	}
	return NULL;
}

static void uffd_wp(struct row *r)
{
	struct uffdio_api api = { .api = UFFD_API,
				  .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP |
				  UFFD_FEATURE_WP_HUGETLBFS_SHMEM };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_WP };
	struct uffdio_writeprotect wp = {
		.mode = UFFDIO_WRITEPROTECT_MODE_WP };
	size_t len = pages * PG;
	struct monitor m = {};
	pthread_t thread;
	int fd = memfd_create("wp", 0);
	char *p;

	m.uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (fd < 0 || m.uffd < 0 || ftruncate(fd, len) ||
	    ioctl(m.uffd, UFFDIO_API, &api)) {
		r->error = errno;
		return;
	}
	p = kt_map(fd, len);
	m.pool = mmap(NULL, len, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	populate(p, len);
	reg.range.start = (uintptr_t)p;
	reg.range.len = len;
	wp.range = reg.range;
	if (ioctl(m.uffd, UFFDIO_REGISTER, &reg) ||
	    ioctl(m.uffd, UFFDIO_WRITEPROTECT, &wp)) {
		r->error = errno;
		return;
	}
	pthread_create(&thread, NULL, monitor_thread, &m);
	time_writes(r, p, pages);
	pthread_join(thread, NULL);
	r->count = m.copied;
	r->error = m.error;
	close(m.uffd);
	munmap(p, len);
	munmap(m.pool, len);
	close(fd);
}

struct arm_row {
	const char *name;
	uint64_t pages, gate, unmap, walk;	/* ns per GiB */
	int error;
};

static void arm_time(struct arm_row *r, const char *opts)
{
	const char *dir = kt_mount(opts);
	int fd = dir ? kt_file(dir, "ram", arm_bytes) : -errno;
	char *p = fd < 0 ? NULL : kt_map(fd, arm_bytes);
	struct keel_snap_arm a = {}, best = { .gate_ns = ~0ULL };
	struct ksnap s = {};
	int i, ret = p ? 0 : -errno;

	if (p)
		populate(p, arm_bytes);
	for (i = 0; i < 3 && !ret; i++) {
		/* All mapped again. */
		populate(p, arm_bytes);
		ret = ksnap_open_default(&s, 0) ?:
		      ksnap_add(&s, fd, PG) ?: ksnap_prepare(&s) ?:
		      ksnap_arm(&s, &a) ?: ksnap_abort(&s);
		ksnap_free(&s);
		if (!ret && a.gate_ns < best.gate_ns)
			best = a;
	}
	r->error = -ret;
	r->pages = best.pages;
	r->gate = best.gate_ns * (1 << 30) / arm_bytes;
	r->unmap = best.unmap_ns * (1 << 30) / arm_bytes;
	r->walk = best.walk_ns * (1 << 30) / arm_bytes;
	if (p)
		munmap(p, arm_bytes);
	close(fd);
	if (dir)
		kt_umount(dir);
}

static void json(const char *path, const struct row *rows, size_t n,
		 const struct arm_row *arms, size_t nr_arms)
{
	FILE *f = fopen(path, "w");
	size_t i;

	if (!f)
		ksft_exit_fail_msg("%s: %s\n", path, strerror(errno));
	fprintf(f, "{\n  \"write\": [\n");
	for (i = 0; i < n; i++)
		fprintf(f, "    {\"name\": \"%s\", \"bytes\": %zu, \"faults\": %lu, \"median_ns\": %lu, \"p99_ns\": %lu}%s\n",
			rows[i].name, rows[i].unit, rows[i].count,
			rows[i].median, rows[i].p99, i + 1 < n ? "," : "");
	fprintf(f, "  ],\n  \"arm_per_gib\": [\n");
	for (i = 0; i < nr_arms; i++)
		fprintf(f, "    {\"name\": \"%s\", \"pages\": %lu, \"gate_ns\": %lu, \"unmap_ns\": %lu, \"walk_ns\": %lu}%s\n",
			arms[i].name, arms[i].pages, arms[i].gate,
			arms[i].unmap, arms[i].walk,
			i + 1 < nr_arms ? "," : "");
	fprintf(f, "  ]\n}\n");
	fclose(f);
}

int main(int argc, char **argv)
{
	struct row rows[] = {
		{ .name = "plain first touch, 4 KiB", .unit = PG },
		{ .name = "keelfs armed, 4 KiB", .unit = PG },
		{ .name = "userfaultfd-WP and monitor, 4 KiB", .unit = PG },
		{ .name = "keelfs armed, 2 MiB", .unit = PMD_PAGE },
	};
	struct arm_row arms[] = { { .name = "4 KiB" }, { .name = "2 MiB" } };
	const char *out = NULL, *why;
	size_t i;
	int o;

	while ((o = getopt(argc, argv, "n:g:j:")) != -1) {
		switch (o) {
		case 'n':
			pages = atoi(optarg);
			break;
		case 'g':
			arm_bytes = (size_t)atoi(optarg) << 20;
			break;
		case 'j':
			out = optarg;
			break;
		default:
			return 2;
		}
	}
	pages = (pages + 511) & ~(size_t)511;
	ksft_print_header();
	why = kt_keel_missing();
	if (why)
		ksft_exit_skip("%s\n", why);
	ksft_set_plan(ARRAY_SIZE(rows) + ARRAY_SIZE(arms) + 1);
	plain_touch(&rows[0]);
	keelfs_armed(&rows[1], "huge=never");
	uffd_wp(&rows[2]);
	keelfs_armed(&rows[3], "huge=always");
	arm_time(&arms[0], "huge=never");
	arm_time(&arms[1], "huge=always");
	ksft_print_msg("%-36s %8s %12s %12s\n", "a write to", "faults",
		       "median ns", "p99 ns");
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		ksft_print_msg("%-36s %8lu %12lu %12lu\n", rows[i].name,
			       rows[i].count, rows[i].median, rows[i].p99);
	ksft_print_msg("%-36s %8s %12s %12s %12s\n", "arm, per GiB", "pages",
		       "gate ns", "unmap ns", "walk ns");
	for (i = 0; i < ARRAY_SIZE(arms); i++)
		ksft_print_msg("%-36s %8lu %12lu %12lu %12lu\n", arms[i].name,
			       arms[i].pages, arms[i].gate, arms[i].unmap,
			       arms[i].walk);
	if (out)
		json(out, rows, ARRAY_SIZE(rows), arms, ARRAY_SIZE(arms));
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		size_t want = pages * PG / rows[i].unit;

		if (rows[i].error)
			ksft_print_msg("%s: %s\n", rows[i].name,
				       strerror(rows[i].error));
		ksft_test_result(!rows[i].error && rows[i].count == want,
				 "%s: %zu faults\n", rows[i].name, want);
	}
	for (i = 0; i < ARRAY_SIZE(arms); i++) {
		if (arms[i].error)
			ksft_print_msg("arm %s: %s\n", arms[i].name,
				       strerror(arms[i].error));
		ksft_test_result(!arms[i].error &&
				 arms[i].pages == arm_bytes / PG,
				 "arm of %zu MiB at %s\n", arm_bytes >> 20,
				 arms[i].name);
	}
	ksft_test_result(rows[1].median < rows[2].median,
			 "a write under keelfs costs less than under userfaultfd-WP\n");
	ksft_finished();
}
