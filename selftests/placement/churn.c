// SPDX-License-Identifier: GPL-2.0
/*
 * Placement while everything else happens, too, chosen at random: VMs are killed,
 * their threads end and others begin, somebody else sets affinities, cpusets
 * change, CPUs and memory go and come, all with periods as short as they can be.
 * At each stop the affinities are as they should be, and in the end keel can be
 * unloaded. The rest of the verdict is the kernel's log.
 *
 *	churn [-s SECONDS] [-r SEED]		(15, 1)
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <linux/netlink.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest.h"
#include "keeltest.h"
#include "subject.h"
#include "tinyvmm.h"

#define VMS		3
#define CAGED		0	/* the one in a cpuset of its own */
#define CPU_ONLINE	"/sys/devices/system/cpu/cpu%d/online"
#define CGROUP		"/sys/fs/cgroup/"
#define CONTROLLERS	CGROUP "cgroup.subtree_control"
#define CAGE		CGROUP "keelchurn"

static int seconds = 15;
static uint64_t seed = 1;
static struct knl nl;
static const char *mnt;
static struct subject vm[VMS];
static int cpus;
static bool bad;	/* something was not as it should be */

static unsigned int pick(unsigned int n)
{
	return rnd64(&seed) % n;
}

static void fail(const char *what, int ret)
{
	ksft_print_msg("%s: %s\n", what, strerror(-ret));
	bad = true;
}

static void new_vm(int i)
{
	/* The caged one is asked for nothing: see cages_begin(). */
	int ret = subject_start(&vm[i], &nl, i % 2 ? NULL : mnt, 1 + pick(2),
				i == CAGED ? NULL : &seed);

	if (ret)
		fail("a new VM", ret);
}

static void do_start(void)
{
	struct knl_place_options o = {
		.period_ms = 10 + pick(30),
		.temper = pick(3),
		.grain = pick(2),
		.samples = 1 + pick(256),
	};
	int ret = knl_place_start(&nl, &o);

	if (ret)
		fail("start", ret);
}

static void check(void)
{
	int i;

	for (i = 0; i < VMS; i++)
		if (i != CAGED && !subject_exact(&vm[i]))
			bad = true;
}

static void do_stop(void)
{
	int ret = knl_place_stop(&nl);

	if (ret && ret != -EALREADY)
		fail("stop", ret);
	check();
}

static void do_mode(void)
{
	int ret = knl_place_mode(&nl, vm[pick(VMS)].id, pick(3));

	if (ret && ret != -EPROTO && ret != -ENOENT)
		fail("mode", ret);
}

/* All there is to be asked. */
static void do_ask(void)
{
	static const struct {
		uint8_t cmd;
		uint16_t flags;
	} asks[] = {
		{ KEEL_CMD_PLACE_GET, 0 },
		{ KEEL_CMD_PLACE_VM_GET, NLM_F_DUMP },
		{ KEEL_CMD_PLACE_DECISION_GET, NLM_F_DUMP },
		{ KEEL_CMD_PLACE_EXPLAIN, 0 },
		{ KEEL_CMD_MATRIX_GET, 0 },
	};
	uint32_t vcpu = pick(3);
	char buf[64];
	size_t i, at;
	int ret;

	for (i = 0; i < ARRAY_SIZE(asks); i++) {
		at = knl_begin(&nl, buf, asks[i].cmd, asks[i].flags);
		if (asks[i].cmd == KEEL_CMD_PLACE_EXPLAIN) {
			at = knl_put(buf, at, KEEL_A_ID, &vm[pick(VMS)].id, 4);
			at = knl_put(buf, at, KEEL_A_VCPU, &vcpu, 4);
		}
		ret = knl_talk(&nl, buf, at);
		if (ret && ret != -EPROTO && ret != -ENOENT && ret != -EAGAIN)
			fail("a question", ret);
	}
}

static void do_make_thread(void)
{
	subject_make_thread(&vm[pick(VMS)]);
}

static void do_restart(void)
{
	if (!subject_restart(&vm[pick(VMS)]))
		fail("restart", -EIO);
}

/* At any step of a period; or as it is given back what it had. */
static void do_kill(void)
{
	int i = pick(VMS);

	nap_us(pick(12000));
	if (!pick(3)) {
		kill(vm[i].pid, SIGKILL);
		knl_place_stop(&nl);
	}
	subject_kill(&vm[i]);
	new_vm(i);
	do_start();
}

static void do_set(void)
{
	subject_set(&vm[1 + pick(VMS - 1)], 0, rnd64(&seed) & ((1U << cpus) - 1));
}

static void cpu_online(int cpu, bool on)
{
	char path[64];

	snprintf(path, sizeof(path), CPU_ONLINE, cpu);
	kt_write_file(path, on ? "1" : "0");
}

static void do_cpu(void)
{
	int cpu = 1 + pick(cpus - 1);

	cpu_online(cpu, false);
	nap_us(pick(30000));
	cpu_online(cpu, true);
}

static void do_two_cpus(void)
{
	int cpu = 1 + pick(cpus - 1), other = 1 + pick(cpus - 1);

	cpu_online(cpu, false);
	nap_us(pick(15000));
	cpu_online(other, false);
	nap_us(pick(15000));
	cpu_online(cpu, true);
	cpu_online(other, true);
}

static void cage(bool in)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", vm[CAGED].pid);
	kt_write_file(in ? CAGE "/cgroup.procs" : CGROUP "cgroup.procs", text);
}

static void do_cpuset(void)
{
	char text[16];

	snprintf(text, sizeof(text), "0,%d", 1 + pick(cpus - 1));
	kt_write_file(CAGE "/cpuset.cpus", pick(3) ? text : "\n");
	cage(pick(4));
}

static void do_matrix(void)
{
	uint16_t latency[4] = { 800, 1400, 1400, 800 };
	uint32_t node[2] = { 0, 1 }, us = 100;
	char buf[128];
	size_t at;
	int ret;

	switch (pick(3)) {
	case 0:
		at = knl_begin(&nl, buf, KEEL_CMD_MATRIX_LOAD, 0);
		at = knl_put(buf, at, KEEL_A_NODES, node, sizeof(node));
		at = knl_put(buf, at, KEEL_A_LATENCY, latency, sizeof(latency));
		break;
	case 1:
		at = knl_begin(&nl, buf, KEEL_CMD_MATRIX_LOAD, 0);
		break;
	default:
		at = knl_begin(&nl, buf, KEEL_CMD_MATRIX_MEASURE, 0);
		at = knl_put(buf, at, KEEL_A_BUDGET_US, &us, sizeof(us));
	}
	ret = knl_talk(&nl, buf, at);
	if (ret)
		fail("matrix", ret);
}

/* In use, it must stay. */
static void do_unload(void)
{
	if (!kt_unload())
		fail("unloaded while it was in use", -EBUSY);
}

static unsigned int gone;

/* The kernel may try for ever: not longer than a second. */
static void block_offline(const char *path)
{
	pid_t pid = fork();
	int i, status = 1;

	if (!pid)
		_exit(!!kt_write_file(path, "offline"));
	for (i = 0; i < 100 && !waitpid(pid, &status, WNOHANG); i++)
		nap_us(10000);
	if (i == 100) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	gone += !status;
}

/* The memory of the last node: all of it, as much as lets itself be. */
static void do_memory(void)
{
	char dir[64], path[400];
	struct dirent *e;
	bool on;
	DIR *d;

	snprintf(dir, sizeof(dir), "/sys/devices/system/node/node%d",
		 kt_nr_nodes() - 1);
	for (on = false; ; on = true) {
		d = opendir(dir);
		while (d && (e = readdir(d))) {
			if (strncmp(e->d_name, "memory", 6) ||
			    !e->d_name[6] || e->d_name[6] > '9')
				continue;
			snprintf(path, sizeof(path), "%s/%s/state", dir,
				 e->d_name);
			if (on)
				kt_write_file(path, "online");
			else
				block_offline(path);
		}
		if (d)
			closedir(d);
		if (on)
			break;
		nap_us(pick(50000));
	}
}

static struct {
	const char *name;
	void (*call)(void);
	unsigned int weight;
	unsigned int done;
} actions[] = {
	{ "start", do_start, 10, 0 },
	{ "stop", do_stop, 4, 0 },
	{ "mode", do_mode, 8, 0 },
	{ "ask", do_ask, 6, 0 },
	{ "thread", do_make_thread, 8, 0 },
	{ "restart", do_restart, 6, 0 },
	{ "kill", do_kill, 10, 0 },
	{ "set", do_set, 8, 0 },
	{ "cpu", do_cpu, 6, 0 },
	{ "two-cpus", do_two_cpus, 2, 0 },
	{ "cpuset", do_cpuset, 6, 0 },
	{ "matrix", do_matrix, 1, 0 },
	{ "memory", do_memory, 1, 0 },
	{ "unload", do_unload, 2, 0 },
};

static void act(void)
{
	unsigned int at = 0, all = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(actions); i++)
		all += actions[i].weight;
	at = pick(all);
	for (i = 0; at >= actions[i].weight; i++)
		at -= actions[i].weight;
	actions[i].call();
	actions[i].done++;
	if (bad)
		ksft_print_msg("it was: %s\n", actions[i].name);
	nap_us(pick(20000));
}

static void all_well(void)
{
	int i;

	for (i = 0; i < VMS; i++)
		if (!subject_alive(&vm[i]))
			bad = true;
}

static void say_what(void)
{
	char text[400];
	size_t i, at = 0;

	for (i = 0; i < ARRAY_SIZE(actions); i++)
		at += snprintf(text + at, sizeof(text) - at, " %s %u",
			       actions[i].name, actions[i].done);
	ksft_print_msg("done:%s; %u times a piece of memory went\n", text, gone);
}

static bool churn(void)
{
	uint64_t end = now_ns() + seconds * 1000000000ULL;

	do_start();
	while (now_ns() < end && !bad) {
		act();
		all_well();
	}
	say_what();
	do_stop();
	return !bad;
}

/*
 * The VMs begin in the root, which has no cpuset: when the last of a thread's CPUs
 * goes the kernel forgets what it was asked to run on, and in a cpuset the next
 * change, also of the CPUs that are online, makes it wide.
 */
static void cages_begin(void)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", getpid());
	kt_write_file(CGROUP "cgroup.procs", text);
	kt_write_file(CONTROLLERS, "+cpuset");
	mkdir(CAGE, 0755);
}

static void cages_end(void)
{
	rmdir(CAGE);
	kt_write_file(CONTROLLERS, "-cpuset");
}

/* Who was in a cpuset has what it had before, too. */
static bool freed(void)
{
	knl_place_stop(&nl);
	kt_write_file(CAGE "/cpuset.cpus", "\n");
	cage(false);
	return subject_exact(&vm[CAGED]);
}

static bool unloads(void)
{
	int i, ret;

	do_start();
	for (i = 0; i < VMS; i++)
		subject_kill(&vm[i]);
	knl_close(&nl);
	kt_umount(mnt);
	umount("/run/keel");
	ret = kt_unload_within(3000);
	if (ret)
		ksft_print_msg("rmmod: %s\n", strerror(-ret));
	else
		ret = kt_load();
	mount("keelfs", "/run/keel", "keelfs", 0, NULL);
	return !ret;
}

static const char *missing(void)
{
	const char *why = subject_missing();

	return !why && cpus < 3 ? "needs three CPUs" : why;
}

int main(int argc, char **argv)
{
	const char *why;
	int o, i;

	while ((o = getopt(argc, argv, "s:r:")) != -1) {
		if (o == 's')
			seconds = atoi(optarg);
		else if (o == 'r')
			seed = strtoull(optarg, NULL, 0);
		else
			return 2;
	}
	cpus = sysconf(_SC_NPROCESSORS_CONF);
	ksft_print_header();
	why = missing();
	if (why)
		ksft_exit_skip("%s\n", why);
	kt_go_first();
	ksft_print_msg("seed %lu\n", seed);
	mnt = kt_mount("huge=never");
	if (!mnt || knl_open(&nl))
		ksft_exit_fail_msg("cannot begin: %s\n", strerror(errno));
	cages_begin();
	ksft_set_plan(3);
	for (i = 0; i < VMS; i++)
		new_vm(i);
	if (bad)
		ksft_exit_fail_msg("no VMs\n");
	ksft_test_result(churn(), "affinities are as they should be\n");
	ksft_test_result(freed(), "so they are when a cpuset is no more\n");
	ksft_test_result(unloads(), "keel is unloaded\n");
	cages_end();
	ksft_finished();
}
