// SPDX-License-Identifier: GPL-2.0
/*
 * keel is unloaded while it places, and while somebody starts and stops that all
 * the time. It goes, and what was placed has the affinities that it had.
 *
 *	unload [-c TIMES]		(20)
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest.h"
#include "keeltest.h"
#include "subject.h"
#include "tinyvmm.h"

static int times = 20;
static uint64_t seed = 1;
static struct subject vm;
static const struct knl_place_options quick = { .period_ms = 10 };

/* Somebody who does not care whether keel is there. */
static pid_t starter(void)
{
	pid_t pid = fork();
	struct knl nl;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		nap_us(500);
		if (knl_open(&nl))
			continue;
		while (!knl_place_start(&nl, &quick)) {
			if (!(rnd64(&seed) % 64))
				knl_place_stop(&nl);
			nap_us(200);
		}
		knl_close(&nl);
	}
}

static int wait_placed(void)
{
	struct knl nl;
	int i, ret = knl_open(&nl);

	if (ret)
		return ret;
	ret = knl_place_start(&nl, &quick);
	for (i = 0; i < 500 && !ret && !subject_changed(&vm); i++)
		nap_us(10000);
	knl_close(&nl);
	return ret ?: subject_changed(&vm) ? 0 : -ETIMEDOUT;
}

/* If nobody else says when it places. */
static bool unload(bool alone)
{
	int ret = alone ? wait_placed() : 0;
	bool good;

	if (ret)
		ksft_print_msg("placing: %s\n", strerror(-ret));
	nap_us(rnd64(&seed) % (alone ? 20000 : 500000));
	ret = ret ?: kt_unload_within(5000);
	good = !ret && subject_exact(&vm) && subject_alive(&vm);
	if (ret)
		ksft_print_msg("rmmod: %s\n", strerror(-ret));
	ret = ret ?: kt_load();
	return good && !ret;
}

static void unloads(bool alone, const char *how)
{
	int i;

	for (i = 0; i < times && unload(alone); i++)
		;
	ksft_test_result(i == times, "unloaded %d times %s\n", times, how);
}

int main(int argc, char **argv)
{
	const char *why;
	struct knl nl;
	pid_t pid;
	int o;

	while ((o = getopt(argc, argv, "c:")) != -1) {
		if (o != 'c')
			return 2;
		times = atoi(optarg);
	}
	ksft_print_header();
	why = subject_missing();
	if (why)
		ksft_exit_skip("%s\n", why);
	/* Not on keelfs, which would hold the module. */
	if (knl_open(&nl) || subject_start(&vm, &nl, NULL, 3, &seed))
		ksft_exit_fail_msg("no VM\n");
	knl_close(&nl);
	kt_go_first();
	umount("/run/keel");
	ksft_set_plan(2);
	unloads(true, "while it places");
	pid = starter();
	unloads(false, "while somebody starts that again and again");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	subject_kill(&vm);
	mount("keelfs", "/run/keel", "keelfs", 0, NULL);
	ksft_finished();
}
