// SPDX-License-Identifier: GPL-2.0
/*
 * Threads inherit the affinity of who makes them, also one that keel has set. They
 * get what they would have had without keel: when nothing is placed any more, and
 * when the CPU goes that they have inherited, before keel has seen them.
 *
 *	heirs [-c TIMES] [-r SEED]		(8, 1)
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kselftest.h"
#include "keeltest.h"
#include "subject.h"
#include "tinyvmm.h"

#define CPU_ONLINE	"/sys/devices/system/cpu/cpu%d/online"
#define TRIES		200

static int times = 8;
static uint64_t seed = 1;
static struct knl nl;
static struct subject vm;

static bool err(const char *what, int ret)
{
	if (ret)
		ksft_print_msg("%s: %s\n", what, strerror(-ret));
	return ret;
}

/* Threads are placed on one CPU each, and for ten minutes keel looks no more. */
static int set_placed(void)
{
	struct knl_place_options o = { .period_ms = 10,
				       .grain = KEEL_PLACE_GRAIN_CPU };
	struct knl_place now;
	int ret;

	ret = knl_place_start(&nl, &o) ?: knl_place_wait(&nl, 4) ?:
	      knl_place_get(&nl, &now);
	o.period_ms = 600000;
	return ret ?: knl_place_start(&nl, &o) ?:
	       knl_place_wait(&nl, now.periods + 1);
}

/* The CPU that is all its first thread has by keel; -1 if it has another's. */
static int cpu_given(void)
{
	cpu_set_t set;
	int cpu;

	if (sched_getaffinity(vm.pid, sizeof(set), &set) || CPU_COUNT(&set) != 1)
		return -1;
	for (cpu = 0; !CPU_ISSET(cpu, &set); cpu++)
		;
	return vm.told->thread[0].cpus == 1ULL << cpu ? -1 : cpu;
}

static bool begin(void)
{
	return !err("a VM", subject_start(&vm, &nl, NULL, 2, &seed)) &&
	       !err("placing", set_placed());
}

static bool end(void)
{
	bool good = !err("stop", knl_place_stop(&nl)) && subject_exact(&vm) &&
		    subject_alive(&vm);

	subject_kill(&vm);
	return good;
}

static void cpu_online(int cpu, bool on)
{
	char path[64];

	snprintf(path, sizeof(path), CPU_ONLINE, cpu);
	kt_write_file(path, on ? "1" : "0");
}

/* Which VM's first thread gets which CPU is chance: those that serve are counted. */
static void heirs(bool goes, const char *name)
{
	int i, cpu, done = 0;
	bool good = true;

	for (i = 0; i < TRIES && done < times && good; i++) {
		good = begin();
		cpu = cpu_given();
		if (good && cpu > 0) {
			done++;
			good = subject_make_thread(&vm) &&
			       subject_make_thread(&vm);
		}
		if (good && cpu > 0 && goes) {
			cpu_online(cpu, false);
			nap_us(20000);
			cpu_online(cpu, true);
		}
		good = end() && good;
	}
	ksft_test_result(good && done == times, "%s, %d times\n", name, done);
}

int main(int argc, char **argv)
{
	const char *why;
	int o;

	while ((o = getopt(argc, argv, "c:r:")) != -1) {
		if (o == 'c')
			times = atoi(optarg);
		else if (o == 'r')
			seed = strtoull(optarg, NULL, 0);
		else
			return 2;
	}
	ksft_print_header();
	why = subject_missing();
	if (why)
		ksft_exit_skip("%s\n", why);
	if (knl_open(&nl))
		ksft_exit_fail_msg("cannot begin: %s\n", strerror(errno));
	kt_go_first();
	ksft_set_plan(2);
	heirs(false, "they have theirs when nothing is placed any more");
	heirs(true, "they have theirs when the CPU goes that they inherited");
	knl_close(&nl);
	ksft_finished();
}
