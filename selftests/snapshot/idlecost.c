// SPDX-License-Identifier: GPL-2.0
/*
 * With no snapshot, keelfs costs a guest nothing: the same guest, touching the
 * same pages, takes as many host faults and KVM exits as on a memfd with the
 * same page size. Counted, not timed; equal means equal. Exits for interrupts
 * of the host (the tick) are no matter of memory and are left out. Automatic
 * NUMA balancing takes mappings away when its clock says so, from either; it is
 * off meanwhile.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "kselftest.h"
#include "keeltest.h"
#include "tinyvmm.h"

#define SIZE		((size_t)32 << 20)
#define BALANCING	"/proc/sys/kernel/numa_balancing"
#define SHMEM_HUGE	"/sys/kernel/mm/transparent_hugepage/shmem_enabled"

enum count { FAULTS, EXITS, NPT_TAKEN, NPT_FIXED, NR_COUNTS };

static const char *const count_name[NR_COUNTS] = {
	"host faults", "exits", "NPT violations", "NPT violations fixed",
};

struct step {
	const char *name;
	enum tvm_program program;
	bool drop;		/* the VMM's mapping first */
};

static const struct step steps[] = {
	{ "first write", TVM_TOUCH, false },
	{ "second write", TVM_TOUCH, false },
	{ "write after the mapping was dropped", TVM_TOUCH, true },
	{ "read after the mapping was dropped", TVM_READ, true },
	{ "write after the read", TVM_TOUCH, false },
};

#define NR_STEPS ARRAY_SIZE(steps)

/* One vCPU statistic by name; ~0 if there is none. */
static uint64_t stat_of(int fd, const char *name)
{
	struct kvm_stats_header h;
	struct kvm_stats_desc *d;
	uint64_t value = ~0ULL;
	size_t each;
	uint32_t i;
	char *all;

	if (pread(fd, &h, sizeof(h), 0) != sizeof(h))
		return value;
	each = sizeof(*d) + h.name_size;
	all = malloc(each * h.num_desc);
	if (pread(fd, all, each * h.num_desc, h.desc_offset) !=
	    (ssize_t)(each * h.num_desc))
		goto out;
	for (i = 0; i < h.num_desc; i++) {
		d = (void *)(all + i * each);
		if (strcmp(d->name, name))
			continue;
		if (pread(fd, &value, 8, h.data_offset + d->offset) != 8)
			value = ~0ULL;
	}
out:
	free(all);
	return value;
}

static void look(int stats, uint64_t *c)
{
	struct rusage ru;

	getrusage(RUSAGE_THREAD, &ru);
	c[FAULTS] = ru.ru_minflt + ru.ru_majflt;
	c[EXITS] = stat_of(stats, "exits") - stat_of(stats, "irq_exits");
	c[NPT_TAKEN] = stat_of(stats, "pf_taken");
	c[NPT_FIXED] = stat_of(stats, "pf_fixed");
}

static int measure(int fd, bool huge, uint64_t c[NR_STEPS][NR_COUNTS])
{
	uint64_t before[NR_COUNTS], after[NR_COUNTS], gpa;
	struct tvm vm;
	size_t i, j;
	int ret, stats;
	char *p;

	p = kt_map(fd, SIZE);
	if (!p)
		return -errno;
	if (huge)
		madvise(p, SIZE, MADV_HUGEPAGE);
	ret = tvm_create(&vm, 1) ?: tvm_add_memory(&vm, p, SIZE, &gpa);
	stats = ret ? -1 : ioctl(vm.vcpu[0].fd, KVM_GET_STATS_FD, NULL);
	if (!ret && stats < 0)
		ret = -errno;
	/* Its own code and tables are in place before anything is counted. */
	if (!ret)
		ret = tvm_load_touch(&vm, 0, TVM_TOUCH, 0x100000, 0x101000,
				     4096) ?: tvm_run(&vm, 0) ?:
		      tvm_load_touch(&vm, 0, TVM_READ, 0x100000, 0x101000,
				     4096) ?: tvm_run(&vm, 0);
	look(stats, before);
	for (i = 0; i < NR_STEPS && !ret; i++) {
		if (steps[i].drop)
			madvise(p, SIZE, MADV_DONTNEED);
		ret = tvm_load_touch(&vm, 0, steps[i].program, gpa, gpa + SIZE,
				     4096);
		look(stats, before);
		ret = ret ?: tvm_run(&vm, 0);
		look(stats, after);
		for (j = 0; j < NR_COUNTS; j++)
			c[i][j] = after[j] - before[j];
	}
	close(stats);
	tvm_destroy(&vm);
	munmap(p, SIZE);
	return ret;
}

static void compare(const char *what, const char *opts, bool huge)
{
	uint64_t keelfs[NR_STEPS][NR_COUNTS], memfd[NR_STEPS][NR_COUNTS];
	const char *dir = kt_mount(opts);
	size_t i, j;
	int fd, ret;

	fd = dir ? kt_file(dir, "ram", SIZE) : -errno;
	ret = fd < 0 ? fd : measure(fd, huge, keelfs);
	close(fd);
	if (dir)
		kt_umount(dir);
	if (!ret) {
		fd = memfd_create("ram", 0);
		ret = ftruncate(fd, SIZE) ? -errno : measure(fd, huge, memfd);
		close(fd);
	}
	if (ret)
		ksft_exit_fail_msg("%s: %s\n", what, strerror(-ret));
	for (i = 0; i < NR_STEPS; i++) {
		bool same = true;

		for (j = 0; j < NR_COUNTS; j++) {
			ksft_print_msg("%s: %s: %s: keelfs %lu, memfd %lu\n",
				       what, steps[i].name, count_name[j],
				       keelfs[i][j], memfd[i][j]);
			same = same && keelfs[i][j] == memfd[i][j];
		}
		ksft_test_result(same, "%s: %s\n", what, steps[i].name);
	}
	/* That there was something to count. */
	ksft_test_result(keelfs[0][FAULTS] == SIZE / (huge ? PMD_PAGE : PG),
			 "%s: one fault a page at the first write\n", what);
}

int main(void)
{
	char old[128] = "", balancing[16] = "";
	const char *why;
	char *word;

	ksft_print_header();
	why = kt_keel_missing();
	if (!why)
		why = tvm_missing();
	if (why)
		ksft_exit_skip("%s\n", why);
	ksft_set_plan(2 * (NR_STEPS + 1));
	kt_read_file(SHMEM_HUGE, old, sizeof(old));
	kt_read_file(BALANCING, balancing, sizeof(balancing));
	kt_write_file(BALANCING, "0");
	kt_write_file(SHMEM_HUGE, "never");
	compare("4 KiB", "huge=never", false);
	kt_write_file(SHMEM_HUGE, "advise");
	compare("2 MiB", "huge=always", true);
	word = strchr(old, '[');
	if (word) {
		*strchr(word, ']') = '\0';
		kt_write_file(SHMEM_HUGE, word + 1);
	}
	kt_write_file(BALANCING, balancing);
	ksft_finished();
}
