// SPDX-License-Identifier: GPL-2.0
/*
 * Placement without memory: every allocation of its commands and of its periods
 * fails once (inject.h). Each time the caller is told or it goes without; no
 * thread may have an affinity that it was not allowed, the next command or period
 * does, and after the stop all affinities are what they were.
 *
 *	failnth [NAME | starved]
 *
 * "matrix-measure" only by its name: it takes longer than all others together.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kselftest.h"
#include "inject.h"
#include "keeltest.h"
#include "subject.h"
#include "tinyvmm.h"

#define LONG_MS		600000
#define CPU_ONLINE	"/sys/devices/system/cpu/cpu%d/online"

static struct knl nl;
static struct subject vm;
static const char *mnt;
static uint64_t seed = 1;

enum before { STOPPED, PLACED };	/* is it placing then? */

struct sweep {
	const char *name;
	enum before before;
	uint8_t cmd;
	bool dump;
	size_t (*put)(char *buf, size_t at);
};

static int err(const char *what, int ret)
{
	if (ret)
		ksft_print_msg("%s: %s\n", what, strerror(-ret));
	return ret;
}

static bool quiet;	/* it is as set_placed() leaves it */

static int start(uint32_t period_ms)
{
	struct knl_place_options o = { .period_ms = period_ms };

	quiet = false;
	return knl_place_start(&nl, &o);
}

/* The same, until @nr periods more are through. */
static int start_wait(uint32_t period_ms, unsigned int nr)
{
	struct knl_place now;
	int ret = knl_place_get(&nl, &now) ?: start(period_ms);

	return ret ?: knl_place_wait(&nl, now.running ? now.periods + nr : nr);
}

static int stop(void)
{
	int ret = knl_place_stop(&nl);

	quiet = false;
	return ret == -EALREADY ? 0 : ret;
}

/* Threads are placed, and nothing more happens by itself. */
static int set_placed(void)
{
	int ret, i;

	if (quiet)
		return 0;
	ret = start(10);

	for (i = 0; i < 1000 && !ret && !subject_changed(&vm); i++)
		nap_us(5000);
	if (!ret && !subject_changed(&vm))
		ret = -ETIMEDOUT;
	/* One more at once. */
	ret = ret ?: start_wait(LONG_MS, 1);
	nap_us(50000);
	quiet = !ret;
	return ret;
}

static size_t put_on(char *buf, size_t at)
{
	at = knl_put_u32(buf, at, KEEL_A_ID, vm.id);
	return knl_put_u32(buf, at, KEEL_A_MODE, KEEL_PLACE_MODE_ON);
}

static size_t put_advise(char *buf, size_t at)
{
	at = knl_put_u32(buf, at, KEEL_A_ID, vm.id);
	return knl_put_u32(buf, at, KEEL_A_MODE, KEEL_PLACE_MODE_ADVISE);
}

static size_t put_off(char *buf, size_t at)
{
	at = knl_put_u32(buf, at, KEEL_A_ID, vm.id);
	return knl_put_u32(buf, at, KEEL_A_MODE, KEEL_PLACE_MODE_OFF);
}

static size_t put_vcpu(char *buf, size_t at)
{
	at = knl_put_u32(buf, at, KEEL_A_ID, vm.id);
	return knl_put_u32(buf, at, KEEL_A_VCPU, 0);
}

static size_t put_budget(char *buf, size_t at)
{
	return knl_put_u32(buf, at, KEEL_A_BUDGET_US, 100);
}

static size_t put_matrix(char *buf, size_t at)
{
	static const uint32_t node;
	static const uint16_t latency = 800;

	at = knl_put(buf, at, KEEL_A_NODES, &node, sizeof(node));
	return knl_put(buf, at, KEEL_A_LATENCY, &latency, sizeof(latency));
}

static const struct sweep sweeps[] = {
	{ "place-get", PLACED, KEEL_CMD_PLACE_GET, false, NULL },
	{ "place-vm-get, dump", PLACED, KEEL_CMD_PLACE_VM_GET, true, NULL },
	{ "place-explain", PLACED, KEEL_CMD_PLACE_EXPLAIN, false, put_vcpu },
	{ "place-decision-get, dump", PLACED, KEEL_CMD_PLACE_DECISION_GET, true,
	  NULL },
	{ "place-start", STOPPED, KEEL_CMD_PLACE_START, false, NULL },
	{ "place-start, placing", PLACED, KEEL_CMD_PLACE_START, false, NULL },
	{ "place-stop", PLACED, KEEL_CMD_PLACE_STOP, false, NULL },
	{ "place-mode, off", PLACED, KEEL_CMD_PLACE_MODE, false, put_off },
	{ "place-mode, advise", PLACED, KEEL_CMD_PLACE_MODE, false, put_advise },
	{ "place-mode, on", PLACED, KEEL_CMD_PLACE_MODE, false, put_on },
	{ "matrix-get", STOPPED, KEEL_CMD_MATRIX_GET, false, NULL },
	{ "matrix-load", STOPPED, KEEL_CMD_MATRIX_LOAD, false, put_matrix },
	{ "matrix-load, nothing", STOPPED, KEEL_CMD_MATRIX_LOAD, false, NULL },
	{ "matrix-measure", STOPPED, KEEL_CMD_MATRIX_MEASURE, false, put_budget },
};

/* Is it only a question? Then nothing need be begun anew. */
static bool asks(const struct sweep *w)
{
	return w->before == PLACED && w->cmd != KEEL_CMD_PLACE_START &&
	       w->cmd != KEEL_CMD_PLACE_STOP && w->cmd != KEEL_CMD_PLACE_MODE;
}

/* A measurement links hundreds of pieces of memory, of which one is like another. */
static unsigned int each(const struct sweep *w)
{
	return w->cmd == KEEL_CMD_MATRIX_MEASURE ? 8 : INJECT_EACH;
}

static int call(const struct sweep *w)
{
	return inject_command(&nl, w->cmd, w->dump, w->put);
}

/* ENOBUFS: it was done, and could not be answered. */
static bool fits(int ret)
{
	return !ret || ret == -ENOMEM || ret == -EFAULT || ret == -ENOBUFS;
}

/*
 * A socket that has missed an answer says so once more, and may get what was to
 * come before.
 */
static int afresh(void)
{
	knl_close(&nl);
	return knl_open(&nl);
}

static bool well_after(const struct sweep *w, int ret, bool hit)
{
	struct knl_place now;

	if (ret && (!hit || !fits(ret)))
		return err(w->name, ret) && false;
	if (err("a new socket", afresh()) ||
	    err("status", knl_place_get(&nl, &now)))
		return false;
	if (now.running ? !subject_within(&vm) : !subject_exact(&vm))
		return false;
	/* What failed has not been done. */
	if (ret == -ENOMEM && now.running == !w->before) {
		ksft_print_msg("it failed, and still it is %splaced now\n",
			       now.running ? "" : "not ");
		return false;
	}
	if (ret == -ENOMEM && err("again", call(w)))
		return false;
	if (asks(w))
		return subject_alive(&vm);
	return !err("stop", stop()) && subject_exact(&vm) &&
	       subject_alive(&vm);
}

/* An heir for each: it must not be forgotten at the end. */
static int one(const void *what, unsigned int n, int *failed)
{
	const struct sweep *w = what;
	bool hit;
	int ret;

	ret = w->before == PLACED ? set_placed() : stop();
	if (err("cannot set up", ret))
		return -1;
	if (w->before == PLACED && !asks(w))
		subject_make_thread(&vm);
	inject_begin(n);
	ret = call(w);
	hit = inject_end();
	*failed += !!ret;
	if (well_after(w, ret, hit))
		return hit;
	ksft_print_msg("n = %u\n", n);
	stop();
	return -1;
}

/* Periods. */

static void cpus_change(void)
{
	char path[64];

	snprintf(path, sizeof(path), CPU_ONLINE,
		 (int)sysconf(_SC_NPROCESSORS_CONF) - 1);
	kt_write_file(path, "0");
	kt_write_file(path, "1");
	/* The registry hears of it, too. */
	nap_us(100000);
}

/* Return: has the n-th failed? -EAGAIN if a worker did it that was not counted. */
static int period_without(unsigned int n)
{
	struct knl_place now;
	bool began = false, hit;
	int i, ret;

	inject_workers_begin(n);
	ret = start(LONG_MS);
	for (i = 0; i < 200 && !began; i++) {
		nap_us(5000);
		began = inject_workers_began();
	}
	/* Answered when the period has ended. */
	ret = ret ?: knl_place_get(&nl, &now);
	hit = inject_workers_end();
	if (ret)
		return ret;
	return began ? hit : -EAGAIN;
}

struct period {
	const char *name;
	bool first;
};

static const struct period kinds[] = {
	{ "a first period, and CPUs have changed", true },
	{ "a period", false },
};

static int period_tried(const struct period *p, unsigned int n)
{
	int tries, ret = -EAGAIN;

	for (tries = 0; tries < 20 && ret == -EAGAIN; tries++) {
		ret = p->first ? stop() : set_placed();
		if (err("cannot set up", ret))
			return ret;
		if (p->first)
			cpus_change();
		ret = period_without(n);
	}
	return ret;
}

static int period_one(const void *what, unsigned int n, int *failed)
{
	const struct period *p = what;
	int ret = period_tried(p, n);

	*failed += ret > 0;
	if (ret >= 0 && subject_within(&vm) &&
	    !err("go on", start_wait(10, 2)) &&
	    subject_within(&vm) && !err("stop", stop()) &&
	    subject_exact(&vm) && subject_alive(&vm))
		return ret;
	err("a period", ret < 0 ? ret : 0);
	ksft_print_msg("n = %u\n", n);
	stop();
	return -1;
}

/* For a while nothing that keel asks for is there. */
static bool starved(void)
{
	struct subject other;
	bool good, hit;
	int i;

	if (err("start", set_placed() ?: start(10)) || !inject_starve(true))
		return false;
	for (i = 0, good = true; i < 20 && good; i++) {
		nap_us(50000);
		good = subject_make_thread(&vm) && subject_restart(&vm) &&
		       subject_within(&vm);
	}
	/* Its threads were made by some that were placed. */
	subject_make_thread(&vm);
	good = !err("stop", stop()) && good;
	hit = inject_starve(false);
	if (!hit)
		ksft_print_msg("nothing of keel's failed\n");
	good = subject_exact(&vm) && hit && good;
	if (err("start", set_placed()) || subject_start(&other, &nl, mnt, 1, &seed))
		return false;
	good = subject_within(&vm) && subject_within(&other) && good;
	good = !err("stop", stop()) && subject_exact(&vm) &&
	       subject_exact(&other) && good;
	subject_kill(&other);
	return good;
}

/* For each its own: there is only so much room for threads in one. */
static bool new_vm(void)
{
	stop();
	subject_kill(&vm);
	return !subject_start(&vm, &nl, mnt, 2, &seed);
}

static bool wanted(int argc, char **argv, const char *name)
{
	return argc < 2 || !strcmp(argv[1], name);
}

int main(int argc, char **argv)
{
	const char *why;
	size_t i;

	ksft_print_header();
	why = subject_missing() ?: inject_missing();
	if (why)
		ksft_exit_skip("%s\n", why);
	kt_go_first();
	mnt = kt_mount("huge=never");
	if (!mnt || knl_open(&nl))
		ksft_exit_fail_msg("cannot begin: %s\n", strerror(errno));
	/* Without the measurement. */
	ksft_set_plan(argc > 1 ? 1 : ARRAY_SIZE(sweeps) + ARRAY_SIZE(kinds));
	for (i = 0; i < ARRAY_SIZE(sweeps); i++)
		if ((argc > 1 || each(&sweeps[i]) == INJECT_EACH) &&
		    wanted(argc, argv, sweeps[i].name))
			ksft_test_result(new_vm() &&
					 inject_sweep(sweeps[i].name,
						      each(&sweeps[i]), one,
						      &sweeps[i]),
					 "%s\n", sweeps[i].name);
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (wanted(argc, argv, kinds[i].name))
			ksft_test_result(new_vm() &&
					 inject_sweep(kinds[i].name,
						      INJECT_EACH, period_one,
						      &kinds[i]),
					 "%s\n", kinds[i].name);
	if (wanted(argc, argv, "starved"))
		ksft_test_result(new_vm() && starved(),
				 "nothing is there for a while\n");
	stop();
	subject_kill(&vm);
	knl_close(&nl);
	kt_umount(mnt);
	ksft_finished();
}
