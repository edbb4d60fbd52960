// SPDX-License-Identifier: GPL-2.0
/*
 * keel loaded and unloaded again and again while virtual machines come and go:
 * some live through many loads, some begin or end in the middle of one.
 *
 *	loadunload [-c TIMES]		(100)
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest.h"
#include "keeltest.h"
#include "tinyvmm.h"

static int times = 100;
static uint64_t *made;		/* shared: VMs made by each of the two */

static void give_up(const char *what, int ret)
{
	ksft_print_msg("%s: %d, errno %d\n", what, ret, errno);
	fflush(stdout);
	_exit(1);
}

/* A VM that runs for ever, and is always the same. */
static pid_t keeper(void)
{
	struct tvm_step step = { 0x200000, 0x201000 };
	struct tvm t;
	pid_t pid = fork();
	int ret;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	ret = tvm_create(&t, 1) ?: tvm_load_ordered(&t, 0, &step, 1) ?:
	      tvm_start(&t, 0);
	if (ret)
		give_up("the VM that stays", ret);
	for (;;)
		pause();
}

/* VMs that live for milliseconds. */
static pid_t mayflies(int i)
{
	struct tvm t;
	pid_t pid = fork();
	int ret;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		ret = tvm_create(&t, 1 + i);
		if (ret)
			give_up("creating a VM", ret);
		ret = tvm_load_touch(&t, 0, TVM_TOUCH, 0x100000, 0x180000, 4096) ?:
		      tvm_run(&t, 0);
		if (ret)
			give_up("running a VM", ret);
		nap_us(i * 3000);
		tvm_destroy(&t);
		WRITE_ONCE(made[i], made[i] + 1);
	}
}

/* What a load may be used for in passing. */
static int use(int i, pid_t keeper_pid)
{
	struct knl_vm vm;
	struct knl nl;
	const char *dir;
	int ret, j;

	ret = knl_open(&nl);
	if (ret)
		return ret;
	for (j = 0; j < 200; j++) {
		ret = knl_vm_of_pid(&nl, keeper_pid, &vm);
		if (ret != -ENOENT)
			break;
		nap_us(5000);
	}
	knl_close(&nl);
	if (ret || i % 4)
		return ret;
	dir = kt_mount("huge=always");
	if (!dir)
		return -errno;
	j = kt_file(dir, "ram", PMD_PAGE);
	if (j >= 0) {
		ret = pwrite(j, "x", 1, 4096) == 1 ? 0 : -errno;
		if (kt_unload() == 0)
			ret = -EEXIST;	/* with a mount it must not go */
		close(j);
	}
	kt_umount(dir);
	return ret;
}

int main(int argc, char **argv)
{
	int i, o, ret = 0, done = 0, status;
	bool was_mounted;
	const char *why;
	pid_t pid[3];

	while ((o = getopt(argc, argv, "c:")) != -1) {
		if (o != 'c')
			return 2;
		times = atoi(optarg);
	}
	ksft_print_header();
	why = kt_keel_missing();
	if (!why)
		why = tvm_missing();
	if (why)
		ksft_exit_skip("%s\n", why);
	ksft_set_plan(3);
	made = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid[0] = keeper();
	pid[1] = mayflies(0);
	pid[2] = mayflies(1);
	was_mounted = !umount("/run/keel");
	for (i = 0; i < times && !ret; i++) {
		ret = kt_unload_within(2000);
		if (ret) {
			ksft_print_msg("rmmod %d: %s\n", i, strerror(-ret));
			break;
		}
		nap_us(i % 7 * 1000);
		ret = kt_load();
		if (ret) {
			ksft_print_msg("insmod %d: %s\n", i, strerror(-ret));
			break;
		}
		ret = i % 2 ? use(i / 2, pid[0]) : 0;
		if (ret)
			ksft_print_msg("load %d: in use: %s\n", i,
				       strerror(-ret));
		done += !ret;
	}
	ksft_test_result(done == times, "loaded and unloaded %d times\n",
			 times);
	ksft_print_msg("%lu and %lu VMs came and went\n", made[0], made[1]);
	ksft_test_result(made[0] > 10 && made[1] > 10,
			 "VMs came and went meanwhile\n");
	for (i = 0, ret = 0; i < 3; i++) {
		if (waitpid(pid[i], &status, WNOHANG)) {
			ksft_print_msg("process %d of 3 ended: %#x\n", i, status);
			ret = 1;
		}
		kill(pid[i], SIGKILL);
		waitpid(pid[i], NULL, 0);
	}
	ksft_test_result(!ret, "no VM met an error\n");
	if (was_mounted)
		mount("keelfs", "/run/keel", "keelfs", 0, NULL);
	ksft_finished();
}
