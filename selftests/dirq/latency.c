// SPDX-License-Identifier: GPL-2.0
/*
 * How long an interrupt takes from its source to the guest's handler, without keel and
 * with it: not a test, but a part of "bench-dirq latency".
 *
 *	latency -d BDF [-r ROUNDS] [-n INTERRUPTS] [-s STATE]
 *
 * Of each kind INTERRUPTS (100) in each of ROUNDS (40); in all states, or in that one.
 *
 * The guest has one vCPU, on a CPU of its own or with others that want that, too. It is
 * interrupted by the VF at @BDF, whose interrupts come to the CPU of the sender, as the
 * kernel may have chosen, or to where keel sends them; and by an eventfd, which is
 * signalled on the sender's CPU and is KVM's own, or passed on by keel. No third CPU has
 * anything to do, nor is any to be woken up on the way: the emulator's machine has few of
 * its own, and to wait for them is what one would measure. The two ways take turns, so
 * that what that machine does meanwhile is the same for both. The sender and the guest's
 * handler read the same time-stamp counter.
 *
 * Says a line of JSON for each state, kind and way in each round, with all the times, in
 * cycles of that counter.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <x86intrin.h>

#include <linux/keel_netlink.h>

#include "intvm.h"
#include "kselftest.h"
#include "keeltest.h"

#define AT_SENDER	1	/* CPUs; the VF's interrupts come to that one without keel */
#define AT_TARGET	2
#define HOGS_MAX	3
#define IRQS_MAX	VF_VECTORS
#define BY_VF		0	/* sources */
#define BY_EVENTFD	VF_VECTORS
#define PATIENCE	20000	/* looks, of 100 us or more */

static const struct state {
	const char *name;
	bool spins;
	int hogs;		/* others on the target's CPU */
} states[] = {
	{ "running", true, 0 },
	{ "halted", false, 0 },
	{ "2x", true, 1 },
	{ "4x", true, 3 },
};

static int rounds = 40, interrupts = 100;
static const char *bdf, *only;
static struct knl nl;
static struct intvm vm;
static int irqs[IRQS_MAX], nr_irqs;
static bool stop;

static void die(const char *what, int ret)
{
	fprintf(stderr, "latency: %s: %s %s\n", what, strerror(-ret), nl.extack);
	exit(1);
}

static void pin(int tid, int cpu)
{
	cpu_set_t to;

	CPU_ZERO(&to);
	CPU_SET(cpu, &to);
	if (sched_setaffinity(tid, sizeof(to), &to))
		die("sched_setaffinity", -errno);
}

static void *hog(void *unused)
{
	(void)unused;
	pin(0, AT_TARGET);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		;
	return NULL;
}

static void find_irqs(void)
{
	char path[128];
	struct dirent *e;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/msi_irqs", bdf);
	dir = opendir(path);
	nr_irqs = 0;
	while (dir && nr_irqs < IRQS_MAX && (e = readdir(dir)))
		if (e->d_name[0] != '.')
			irqs[nr_irqs++] = atoi(e->d_name);
	if (dir)
		closedir(dir);
	if (!nr_irqs)
		die("the VF has no interrupts", -ENOENT);
}

static int affinity(int irq, const char *set, char *now, int len)
{
	char path[64];
	int fd, n;

	snprintf(path, sizeof(path), "/proc/irq/%d/smp_affinity_list", irq);
	fd = open(path, (set ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = set ? write(fd, set, strlen(set)) : read(fd, now, len - 1);
	if (now && n > 0)
		now[n] = 0;
	close(fd);
	return n < 0 ? -errno : 0;
}

/* The first interrupt of the VF is at that CPU: the others are not raised. */
static bool comes_to(int cpu)
{
	char now[64];
	int i;

	for (i = 0; i < nr_irqs; i++)
		if (!affinity(irqs[i], NULL, now, sizeof(now)) && atoi(now) == cpu &&
		    !strchr(now, '-') && !strchr(now, ','))
			return true;
	return false;
}

static void steer(bool yes)
{
	int i, ret = knl_irq_set(&nl, yes ? KEEL_IRQ_MODE_STEER : KEEL_IRQ_MODE_WATCH);

	if (ret)
		die("mode", ret);
	vm.src[BY_EVENTFD].routed = yes;
	/* keel sees which interrupt it is when it comes. */
	for (i = 0; i < 100 && !comes_to(yes ? AT_TARGET : AT_SENDER); i++) {
		ret = intvm_send(&vm, BY_VF);
		if (ret)
			die("not taken", ret);
		nap_us(20000);
	}
	if (i == 100)
		die("the VF's interrupts are not where they should be", -EIO);
	for (i = 0; i < 5; i++)
		if (intvm_send(&vm, BY_VF) || intvm_send(&vm, BY_EVENTFD))
			die("not taken", -ETIMEDOUT);
}

/* One interrupt, in cycles. Who waits for it sleeps: its CPU is not to be in the way. */
static uint64_t take_one(int source, uint64_t *seed)
{
	struct intvm_source *s = &vm.src[source];
	uint64_t due = vm.due[s->vcpu][s->vector] + 1, begin;
	int i;

	nap_us(1500 + rnd64(seed) % 2000);
	begin = __rdtsc();
	if (intvm_raise(&vm, source))
		die("a source", -errno);
	for (i = 0; i < PATIENCE && tvm_taken(&vm.vm, s->vcpu, s->vector) < due; i++)
		nap_us(100);
	if (i == PATIENCE)
		die("not taken", -ETIMEDOUT);
	return tvm_stamp(&vm.vm, s->vcpu, s->vector) - begin;
}

static void tell(const struct state *state, int round, const char *kind, bool keel,
		 const uint64_t *cycles)
{
	int i;

	printf("{\"state\": \"%s\", \"round\": %d, \"kind\": \"%s\", \"way\": \"%s\", \"cycles\": [",
	       state->name, round, kind, keel ? "keel" : "stock");
	for (i = 0; i < interrupts; i++)
		printf("%s%llu", i ? ", " : "", (unsigned long long)cycles[i]);
	puts("]}");
	fflush(stdout);
}

static void one_round(const struct state *state, int round, bool keel)
{
	uint64_t seed = round + 1, *vf = calloc(interrupts, sizeof(*vf)),
		 *eventfd = calloc(interrupts, sizeof(*eventfd));
	int i;

	if (!vf || !eventfd)
		die("memory", -ENOMEM);
	steer(keel);
	for (i = 0; i < interrupts; i++) {
		vf[i] = take_one(BY_VF, &seed);
		eventfd[i] = take_one(BY_EVENTFD, &seed);
	}
	tell(state, round, "vf", keel, vf);
	tell(state, round, "eventfd", keel, eventfd);
	free(vf);
	free(eventfd);
}

static void begin(const struct state *state)
{
	char at[8];
	int i, ret = knl_irq_set(&nl, KEEL_IRQ_MODE_WATCH) ?:
		     intvm_start(&vm, &nl, 1, state->spins, BY_EVENTFD + 1);

	if (!ret)
		ret = intvm_take_vf(&vm, bdf);
	if (ret)
		die("no VM", ret);
	nap_us(600000);
	pin(vm.vm.vcpu[0].tid, AT_TARGET);
	ret = intvm_route(&vm, &nl, BY_EVENTFD, -1);
	if (ret)
		die("no route", ret);
	find_irqs();
	snprintf(at, sizeof(at), "%d", AT_SENDER);
	for (i = 0; i < nr_irqs; i++)
		affinity(irqs[i], at, NULL, 0);
}

static void measure(const struct state *state)
{
	pthread_t other[HOGS_MAX];
	int i, round;

	begin(state);
	stop = false;
	for (i = 0; i < state->hogs; i++)
		pthread_create(&other[i], NULL, hog, NULL);
	for (round = 0; round < rounds; round++) {
		one_round(state, round, round & 1);
		one_round(state, round, !(round & 1));
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < state->hogs; i++)
		pthread_join(other[i], NULL);
	intvm_stop(&vm);
	if (knl_irq_set(&nl, KEEL_IRQ_MODE_OFF))
		die("off", -EIO);
}

int main(int argc, char **argv)
{
	const char *missing = tvm_missing();
	int opt, ret;
	size_t i;

	while ((opt = getopt(argc, argv, "d:r:n:s:")) != -1) {
		if (opt == 'd')
			bdf = optarg;
		else if (opt == 'r')
			rounds = atoi(optarg);
		else if (opt == 's')
			only = optarg;
		else
			interrupts = atoi(optarg);
	}
	if (missing || !bdf) {
		fprintf(stderr, "latency: %s\n", missing ?: "-d BDF");
		return 2;
	}
	ret = knl_open(&nl) ?: knl_irq_fallback(&nl, KEEL_IRQ_FALLBACK_WAIT);
	if (ret)
		die("netlink", ret);
	pin(0, AT_SENDER);
	for (i = 0; i < ARRAY_SIZE(states); i++)
		if (!only || !strcmp(only, states[i].name))
			measure(&states[i]);
	return 0;
}
