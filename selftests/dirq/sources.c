// SPDX-License-Identifier: GPL-2.0
/*
 * Eventfds that keel passes on, counted one by one by the guests that get them: two
 * VMs, whose vCPUs spin or halt, are moved at 10, 100 and 1000 Hz and lose a CPU of
 * the host now and then. Each interrupt has arrived before its source sends the
 * next; all sources send at the same time. None may be lost, come twice, or come
 * anywhere else.
 *
 * With a VF the first VM has that, too: its vectors are real interrupts of the host's,
 * which are steered, and take the place of three of its eventfds.
 *
 *	sources [-n INTERRUPTS] [-d BDF]	of each part (4000); the VF there
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/keel_netlink.h>

#include "intvm.h"
#include "kselftest.h"
#include "keeltest.h"

#define VMS	2
#define VCPUS	2
#define SOURCES	4

static int interrupts = 4000;
static int cpus;
static struct knl nl;
static struct intvm vm[VMS];

/* Is it an eventfd that keel passes on, and no vector of a VF? */
static bool is_route(int v, int i)
{
	return !vm[v].has_vf || i >= VF_VECTORS;
}

/* A part: what goes on while interrupts are sent. */
struct part {
	const char *name;
	unsigned int hz;		/* each vCPU is moved as often a second */
	bool hotplug;
	int (*change)(int v, int i);	/* is done to one source after the other */
	uint32_t mode, fallback;
};

static bool stop;

struct sender {
	pthread_t thread;
	struct intvm *vm;
	int source;
	int error;
};

static void *send_all(void *arg)
{
	struct sender *s = arg;
	int i;

	for (i = 0; i < interrupts / (VMS * SOURCES) && !s->error; i++)
		s->error = intvm_send(s->vm, s->source);
	return NULL;
}

static void move_one(uint64_t *seed)
{
	struct tvm_vcpu *v = &vm[rnd64(seed) % VMS].vm.vcpu[rnd64(seed) % VCPUS];
	cpu_set_t to;

	CPU_ZERO(&to);
	CPU_SET(rnd64(seed) % cpus, &to);
	/* That CPU may be offline. */
	sched_setaffinity(READ_ONCE(v->tid), sizeof(to), &to);
}

static void *mover(void *arg)
{
	const struct part *p = arg;
	uint64_t seed = 1;

	while (p->hz && !READ_ONCE(stop)) {
		move_one(&seed);
		nap_us(1000000 / p->hz / (VMS * VCPUS));
	}
	return NULL;
}

static void plug(int cpu, const char *how)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online", cpu);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, how, 1) != 1)
		ksft_print_msg("%s: %s\n", path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void *plugger(void *arg)
{
	const struct part *p = arg;

	while (p->hotplug && !READ_ONCE(stop)) {
		plug(cpus - 1, "0");
		nap_us(150000);
		plug(cpus - 1, "1");
		nap_us(150000);
	}
	return NULL;
}

static int reroute(int v, int i)
{
	return intvm_unroute(&vm[v], &nl, i) ?: intvm_route(&vm[v], &nl, i, -1);
}

/* As its VMM does when the guest masks a vector for a while. */
static int mask(int v, int i)
{
	int ret = intvm_mask(&vm[v], i, true);

	nap_us(2000);
	return ret ?: intvm_mask(&vm[v], i, false);
}

static int error_of_change;

static void *changer(void *arg)
{
	const struct part *p = arg;
	uint64_t seed = 2;

	while (p->change && !READ_ONCE(stop) && !error_of_change) {
		int v = rnd64(&seed) % VMS, i = rnd64(&seed) % SOURCES;

		if (is_route(v, i))
			error_of_change = p->change(v, i);
	}
	return NULL;
}

/* What keel counted of all routes. */
static void counted(struct knl_irq_counts *sum)
{
	struct knl_irq_counts c;
	int v, i;

	memset(sum, 0, sizeof(*sum));
	for (v = 0; v < VMS; v++) {
		for (i = 0; i < SOURCES; i++) {
			if (!is_route(v, i) ||
			    knl_irq_route_counts(&nl, vm[v].src[i].route, &c))
				continue;
			sum->total += c.total;
			sum->direct += c.direct;
			sum->near += c.near;
			sum->far += c.far;
			sum->halted += c.halted;
			sum->preempted += c.preempted;
			sum->paused += c.paused;
			sum->home += c.home;
		}
	}
}

static void report(const struct part *p, const struct knl_irq_counts *b)
{
	struct knl_irq_counts a;

	counted(&a);
	ksft_print_msg("%s: total %lld direct %lld near %lld far %lld halted %lld preempted %lld paused %lld home %lld\n",
		       p->name, (long long)(a.total - b->total),
		       (long long)(a.direct - b->direct), (long long)(a.near - b->near),
		       (long long)(a.far - b->far), (long long)(a.halted - b->halted),
		       (long long)(a.preempted - b->preempted),
		       (long long)(a.paused - b->paused), (long long)(a.home - b->home));
}

static bool all_exact(void)
{
	char why[128];
	int v;

	/* One too many may be on its way still. */
	nap_us(200000);
	for (v = 0; v < VMS; v++) {
		if (intvm_exact(&vm[v], why, sizeof(why)))
			continue;
		ksft_print_msg("%s\n", why);
		return false;
	}
	return true;
}

static int send_from_all(void)
{
	struct sender sender[VMS * SOURCES] = { 0 };
	int i, error = 0;

	for (i = 0; i < VMS * SOURCES; i++) {
		sender[i].vm = &vm[i / SOURCES];
		sender[i].source = i % SOURCES;
		pthread_create(&sender[i].thread, NULL, send_all, &sender[i]);
	}
	for (i = 0; i < VMS * SOURCES; i++) {
		pthread_join(sender[i].thread, NULL);
		error = error ?: sender[i].error;
	}
	return error;
}

static void run(const struct part *p)
{
	struct knl_irq_counts before;
	pthread_t move, plug_thread, change;
	int error = knl_irq_set(&nl, p->mode) ?: knl_irq_fallback(&nl, p->fallback);

	counted(&before);
	WRITE_ONCE(stop, false);
	pthread_create(&move, NULL, mover, (void *)p);
	pthread_create(&plug_thread, NULL, plugger, (void *)p);
	pthread_create(&change, NULL, changer, (void *)p);
	if (!error)
		error = send_from_all();
	WRITE_ONCE(stop, true);
	pthread_join(move, NULL);
	pthread_join(plug_thread, NULL);
	pthread_join(change, NULL);
	/* Routes that are new begin to count anew. */
	if (p->change != reroute)
		report(p, &before);
	if (error || error_of_change)
		ksft_print_msg("%s, %s\n", strerror(-error), strerror(-error_of_change));
	ksft_test_result(!error && !error_of_change && all_exact(),
			 "%s: none of %d lost, twice, or elsewhere\n", p->name, interrupts);
}

/* The guest moves its interrupts to the other vCPU, and to other vectors. */
static void reprogram(void)
{
	int v, i, ret = 0;

	for (v = 0; v < VMS; v++)
		for (i = 0; i < SOURCES && !ret; i++)
			ret = intvm_program(&vm[v], i, 1 - vm[v].src[i].vcpu, 100 + i);
	if (ret)
		ksft_print_msg("a guest's routing: %s\n", strerror(-ret));
}

static const struct part parts[] = {
	{ "not steered", 0, false, NULL, KEEL_IRQ_MODE_WATCH, KEEL_IRQ_FALLBACK_WAIT },
	{ "steered", 0, false, NULL, KEEL_IRQ_MODE_STEER, KEEL_IRQ_FALLBACK_WAIT },
	{ "10 moves a second", 10, true, NULL, KEEL_IRQ_MODE_STEER, KEEL_IRQ_FALLBACK_WAIT },
	{ "100 moves a second", 100, true, NULL, KEEL_IRQ_MODE_STEER, KEEL_IRQ_FALLBACK_NODE },
	{ "1000 moves a second", 1000, true, NULL, KEEL_IRQ_MODE_STEER,
	  KEEL_IRQ_FALLBACK_HOUSEKEEPING },
	{ "irqfds come and go", 100, true, mask, KEEL_IRQ_MODE_STEER, KEEL_IRQ_FALLBACK_WAIT },
	{ "routes come and go", 100, true, reroute, KEEL_IRQ_MODE_STEER, KEEL_IRQ_FALLBACK_WAKE },
};

int main(int argc, char **argv)
{
	const char *missing = tvm_missing();
	const char *bdf = NULL;
	int opt, ret, v;
	size_t i;

	while ((opt = getopt(argc, argv, "n:d:")) != -1) {
		if (opt == 'd')
			bdf = optarg;
		else
			interrupts = atoi(optarg);
	}
	ksft_print_header();
	if (missing)
		ksft_exit_skip("%s\n", missing);
	cpus = sysconf(_SC_NPROCESSORS_CONF);
	ret = knl_open(&nl) ?: knl_irq_set(&nl, KEEL_IRQ_MODE_WATCH);
	if (ret)
		ksft_exit_fail_msg("netlink: %s\n", strerror(-ret));
	ksft_set_plan(ARRAY_SIZE(parts) + 3);
	for (v = 0; v < VMS; v++) {
		/* The first vCPU spins, the other halts. */
		ret = intvm_start(&vm[v], &nl, VCPUS, 1, SOURCES);
		if (!ret && bdf && !v)
			ret = intvm_take_vf(&vm[v], bdf);
		if (ret)
			ksft_exit_fail_msg("no VM: %s\n", strerror(-ret));
	}
	/* Its threads have to be known, for one to be named as a target. */
	nap_us(600000);
	for (v = 0; v < VMS; v++) {
		int s;

		for (s = 0; s < SOURCES && !ret; s++)
			if (is_route(v, s))
				ret = intvm_route(&vm[v], &nl, s,
						  s == 3 ? vm[v].src[s].vcpu : -1);
	}
	if (ret)
		ksft_exit_fail_msg("no route: %s: %s\n", strerror(-ret), nl.extack);
	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		if (i == 2)
			reprogram();
		run(&parts[i]);
	}
	ret = knl_irq_set(&nl, KEEL_IRQ_MODE_OFF);
	if (!ret)
		ret = send_from_all();
	if (ret)
		ksft_print_msg("%s\n", strerror(-ret));
	ksft_test_result(!ret && all_exact(), "turned off, routes go on\n");
	ksft_test_result(kt_unload(), "keel is not unloaded from under them\n");
	for (v = 0; v < VMS; v++)
		intvm_stop(&vm[v]);
	for (i = 0; i < 500 && knl_irq_route_vcpu(&nl, vm[1].src[0].route) != -ENOENT; i++)
		nap_us(10000);
	ksft_test_result(i < 500, "their VMs gone, so are the routes\n");
	ksft_finished();
}
