// SPDX-License-Identifier: GPL-2.0
/*
 * Placement started and stopped again and again, while threads and VMs come and
 * go. After each stop every thread has the affinity that it had before, and in
 * the end nothing of keel's is held by anything that has ended.
 *
 *	cycles [-c TIMES]		(200)
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kselftest.h"
#include "keeltest.h"
#include "subject.h"
#include "tinyvmm.h"

#define VMS		2
#define REFCNT		"/sys/module/keel/refcnt"

static int times = 200;
static uint64_t seed = 1;
static struct knl nl;
static const char *mnt;
static struct subject vm[VMS];
static unsigned int placed, made, restarted, killed;

static bool new_vm(int i)
{
	return !subject_start(&vm[i], &nl, i ? NULL : mnt, 2 - i, &seed);
}

static bool any_changed(void)
{
	int i, n = 0;

	for (i = 0; i < VMS; i++)
		n += subject_changed(&vm[i]);
	return n;
}

/* Between the start and the stop something is under way, mostly. */
static void meanwhile(int n)
{
	int i;

	if (n % 4 == 0) {
		for (i = 0; i < 500 && !any_changed(); i++)
			nap_us(2000);
	} else if (n % 4 == 1) {
		nap_us(rnd64(&seed) % 30000);
	} else if (n % 4 == 2) {
		nap_us(rnd64(&seed) % 1000);
	}
	if (n % 16 == 4)
		made += subject_make_thread(&vm[n / 16 % VMS]);
	if (n % 16 == 8)
		restarted += subject_restart(&vm[n / 16 % VMS]);
	placed += any_changed();
}

static bool cycle(int n)
{
	struct knl_place_options o = {
		.period_ms = 10,
		.grain = n % 8 ? KEEL_PLACE_GRAIN_SITE : KEEL_PLACE_GRAIN_NODE,
	};
	int ret = knl_place_start(&nl, &o), i;
	bool good;

	if (!ret && n % 3 == 0)
		ret = knl_place_start(&nl, &o);
	if (!ret)
		meanwhile(n);
	ret = ret ?: knl_place_stop(&nl);
	if (ret)
		ksft_print_msg("%s\n", strerror(-ret));
	for (i = 0, good = !ret; i < VMS; i++)
		good = subject_exact(&vm[i]) && subject_alive(&vm[i]) && good;
	if (good && n % 64 == 63) {
		i = n / 64 % VMS;
		subject_kill(&vm[i]);
		killed++;
		good = new_vm(i);
	}
	if (!good)
		ksft_print_msg("at number %d\n", n);
	return good;
}

/* Objects of a slab cache; -1 if it is not known (KASAN keeps what is freed). */
static long objects(const char *cache)
{
	char line[256], name[64];
	long nr, found = -1;
	FILE *f;

	if (!access("/sys/kernel/debug/kmemleak", F_OK))
		return -1;
	f = fopen("/proc/slabinfo", "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%63s %ld", name, &nr) == 2 &&
		    !strcmp(name, cache))
			found = nr;
	if (f)
		fclose(f);
	return found;
}

/* What is held. */
struct levels {
	struct knl_host host;
	long long refs;
	long tasks, mms;
};

static void look(struct levels *l)
{
	memset(l, 0, sizeof(*l));
	knl_host_get(&nl, &l->host);
	l->refs = kt_read_number(REFCNT);
	l->tasks = objects("task_struct");
	l->mms = objects("mm_struct");
}

/* Caches keep some: more than a third of what has ended is a leak. */
static bool back_to(const struct levels *was)
{
	struct levels now;
	int i;

	for (i = 0; i < 300; i++) {
		look(&now);
		if (now.host.vms == was->host.vms && now.refs == was->refs &&
		    now.host.keelfs_pages == was->host.keelfs_pages &&
		    now.tasks <= was->tasks + 20 + (made + restarted) / 3 &&
		    now.mms <= was->mms + 20 + killed / 3)
			return true;
		nap_us(10000);
	}
	ksft_print_msg("VMs %u (were %u), references %lld (%lld), pages %lu (%lu), tasks %ld (%ld), mms %ld (%ld)\n",
		       now.host.vms, was->host.vms, now.refs, was->refs,
		       now.host.keelfs_pages, was->host.keelfs_pages, now.tasks,
		       was->tasks, now.mms, was->mms);
	return false;
}

int main(int argc, char **argv)
{
	struct levels was;
	const char *why;
	int o, i;

	while ((o = getopt(argc, argv, "c:")) != -1) {
		if (o != 'c')
			return 2;
		times = atoi(optarg);
	}
	ksft_print_header();
	why = subject_missing();
	if (why)
		ksft_exit_skip("%s\n", why);
	kt_go_first();
	mnt = kt_mount("huge=never");
	if (!mnt || knl_open(&nl))
		ksft_exit_fail_msg("cannot begin: %s\n", strerror(errno));
	ksft_set_plan(3);
	/* The probe guest's end has to be through. */
	nap_us(500000);
	look(&was);
	for (i = 0; i < VMS; i++)
		if (!new_vm(i))
			ksft_exit_fail_msg("no VM\n");
	for (i = 0; i < times && cycle(i); i++)
		;
	ksft_test_result(i == times,
			 "started and stopped %d times: affinities are what they were\n",
			 times);
	ksft_print_msg("threads were placed in %u of them; %u threads were made, VMs %u times restarted, %u killed\n",
		       placed, made, restarted, killed);
	ksft_test_result(placed > (unsigned int)times / 8,
			 "they were other ones meanwhile\n");
	for (i = 0; i < VMS; i++)
		subject_kill(&vm[i]);
	ksft_test_result(back_to(&was), "nothing is held\n");
	knl_close(&nl);
	kt_umount(mnt);
	ksft_finished();
}
