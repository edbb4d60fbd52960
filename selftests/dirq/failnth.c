// SPDX-License-Identifier: GPL-2.0
/*
 * Directed interrupts without memory: every allocation of their commands, of the device
 * that shows tables, and of the looks at VMs, fails once (inject.h). Each time the
 * caller is told or it goes without; the next try does, interrupts arrive all the
 * while, and in the end nothing holds the module.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/keel_irq.h>
#include <linux/keel_netlink.h>

#include "intvm.h"
#include "inject.h"
#include "kselftest.h"
#include "keeltest.h"

#define REFCNT	"/sys/module/keel/refcnt"
#define VCPUS	2
#define SOURCES	2

static struct knl nl;
static struct intvm vm;
static bool vm_runs;
static long long held;	/* so often is the module, with all turned off */

/* What there is before: each has what the one above has. */
enum before { OFF, STEERED, ROUTED };

static size_t put_steer(char *buf, size_t at)
{
	return knl_put_u32(buf, at, KEEL_A_STEER, KEEL_IRQ_MODE_STEER);
}

static size_t put_off(char *buf, size_t at)
{
	return knl_put_u32(buf, at, KEEL_A_STEER, KEEL_IRQ_MODE_OFF);
}

static size_t put_vm(char *buf, size_t at)
{
	at = knl_put_u32(buf, at, KEEL_A_ID, vm.id);
	return knl_put_u32(buf, at, KEEL_A_FALLBACK, KEEL_IRQ_FALLBACK_WAKE);
}

static size_t put_route(char *buf, size_t at)
{
	at = knl_put_u32(buf, at, KEEL_A_ID, vm.id);
	at = knl_put_u32(buf, at, KEEL_A_SOURCE_FD, vm.src[1].source);
	return knl_put_u32(buf, at, KEEL_A_SINK_FD, vm.src[1].sink);
}

static size_t put_del(char *buf, size_t at)
{
	return knl_put_u32(buf, at, KEEL_A_ID, vm.src[0].route);
}

static const struct sweep {
	const char *name;
	enum before before;
	uint8_t cmd;
	bool dump;
	size_t (*put)(char *buf, size_t at);
	enum before after;
} sweeps[] = {
	{ "irq-get", ROUTED, KEEL_CMD_IRQ_GET, false, NULL, ROUTED },
	{ "irq-target-get, dump", ROUTED, KEEL_CMD_IRQ_TARGET_GET, true, NULL, ROUTED },
	{ "irq-route-get, dump", ROUTED, KEEL_CMD_IRQ_ROUTE_GET, true, NULL, ROUTED },
	{ "irq-set, steer", OFF, KEEL_CMD_IRQ_SET, false, put_steer, STEERED },
	{ "irq-set, of a VM", ROUTED, KEEL_CMD_IRQ_SET, false, put_vm, ROUTED },
	{ "irq-set, off", ROUTED, KEEL_CMD_IRQ_SET, false, put_off, OFF },
	{ "irq-route-add", STEERED, KEEL_CMD_IRQ_ROUTE_ADD, false, put_route, STEERED },
	{ "irq-route-del", ROUTED, KEEL_CMD_IRQ_ROUTE_DEL, false, put_del, STEERED },
};

static int err(const char *what, int ret)
{
	if (ret)
		ksft_print_msg("%s: %s %s\n", what, strerror(-ret), nl.extack);
	return ret;
}

/* A route of source 0, as soon as its VM is known. */
static int route(void)
{
	int i, ret = -EAGAIN;

	if (vm.src[0].route)
		return 0;
	for (i = 0; i < 1000 && ret; i++) {
		ret = intvm_route(&vm, &nl, 0, -1);
		if (ret)
			nap_us(10000);
	}
	return ret;
}

static int vm_start(void)
{
	int ret = vm_runs ? 0 : intvm_start(&vm, &nl, VCPUS, 1, SOURCES);

	vm_runs = !ret;
	return ret;
}

static void vm_stop(void)
{
	if (vm_runs)
		intvm_stop(&vm);
	vm_runs = false;
}

static bool nothing_holds(void)
{
	int i;

	for (i = 0; i < 1000 && kt_read_number(REFCNT) != held; i++)
		nap_us(10000);
	if (kt_read_number(REFCNT) == held)
		return true;
	ksft_print_msg("the module is held %lld times, not %lld\n", kt_read_number(REFCNT), held);
	return false;
}

static int down(void)
{
	int ret;

	/* It ends its routes with it. */
	vm_stop();
	ret = knl_irq_set(&nl, KEEL_IRQ_MODE_OFF);
	return ret ?: nothing_holds() ? 0 : -EBUSY;
}

static int up(enum before to)
{
	int ret = vm_start();

	if (!ret && to >= STEERED)
		ret = knl_irq_set(&nl, KEEL_IRQ_MODE_STEER);
	if (!ret && to >= ROUTED)
		ret = route();
	return ret;
}

/* All that there is to be is there, and serves. */
static bool is_well(enum before state)
{
	char why[128];
	int ret = up(state);

	if (!ret && state >= STEERED)
		ret = route();
	if (!ret)
		ret = intvm_send(&vm, 0);
	if (err("an interrupt", ret))
		return false;
	if (intvm_exact(&vm, why, sizeof(why)))
		return true;
	ksft_print_msg("%s\n", why);
	return false;
}

static int call(const struct sweep *w)
{
	return inject_command(&nl, w->cmd, w->dump, w->put);
}

static int one(const void *what, unsigned int n, int *failed)
{
	const struct sweep *w = what;
	bool hit;
	int ret;

	if (err("before", down() ?: up(w->before)))
		return -1;
	inject_begin(n);
	ret = call(w);
	hit = inject_end();
	*failed += !!ret;
	if (ret && !hit) {
		err(w->name, ret);
		return -1;
	}
	knl_close(&nl);
	if (err("a new socket", knl_open(&nl)))
		return -1;
	/* It was done before, but the answer was lost. */
	if (ret)
		ret = call(w);
	if (ret && ret != -EINVAL && ret != -ENOENT && err("again", ret))
		return -1;
	if (w->cmd == KEEL_CMD_IRQ_ROUTE_DEL)
		vm.src[0].route = 0;
	return is_well(w->after) ? hit : -1;
}

/* The device, in place of a command. */
static int show(void)
{
	struct keel_irq_select select = { .size = sizeof(select), .vm = vm.id };
	int ret = 0, fd = open(KEEL_IRQ_DEVICE, O_RDONLY | O_CLOEXEC);
	void *p;

	if (fd < 0)
		return -errno;
	if (ioctl(fd, KEEL_IRQ_SELECT, &select)) {
		ret = -errno;
	} else {
		p = mmap(NULL, select.bytes, PROT_READ, MAP_SHARED, fd, 0);
		ret = p == MAP_FAILED ? -errno : 0;
		if (!ret)
			munmap(p, select.bytes);
	}
	close(fd);
	return ret;
}

static int device_one(const void *what, unsigned int n, int *failed)
{
	bool hit;
	int ret;

	(void)what;
	if (err("before", up(ROUTED)))
		return -1;
	inject_begin(n);
	ret = show();
	hit = inject_end();
	*failed += !!ret;
	if (ret && !hit)
		return -1;
	return !err("again", show()) && is_well(ROUTED) ? hit : -1;
}

/* What is done by itself. */
static bool comes(void)
{
	return !err("a VM", up(ROUTED)) && is_well(ROUTED);
}

static bool dies(void)
{
	struct knl_irq_counts c;
	uint32_t id = vm.src[0].route;
	int i;

	vm_stop();
	for (i = 0; i < 1000 && knl_irq_route_counts(&nl, id, &c) != -ENOENT; i++)
		nap_us(10000);
	return knl_irq_route_counts(&nl, id, &c) == -ENOENT;
}

static const struct deed {
	const char *name;
	bool (*done)(void);
	enum before before;
	bool vm;
} deeds[] = {
	{ "a VM comes", comes, STEERED, false },
	{ "a VM dies", dies, ROUTED, true },
};

static int deed_one(const void *what, unsigned int n, int *failed)
{
	const struct deed *d = what;
	bool done, hit;

	(void)failed;
	if (err("before", down() ?: d->vm ? up(d->before) :
		knl_irq_set(&nl, KEEL_IRQ_MODE_STEER)))
		return -1;
	inject_workers_begin(n);
	done = d->done();
	hit = inject_workers_end();
	if (done && !err("the end", down()))
		return hit;
	ksft_print_msg("n = %u\n", n);
	down();
	return -1;
}

int main(void)
{
	const char *why = tvm_missing() ?: kt_keel_missing() ?: inject_missing();
	size_t i;

	ksft_print_header();
	if (why)
		ksft_exit_skip("%s\n", why);
	if (knl_open(&nl) || knl_irq_set(&nl, KEEL_IRQ_MODE_OFF))
		ksft_exit_fail_msg("cannot begin: %s\n", strerror(errno));
	held = kt_read_number(REFCNT);
	ksft_set_plan(ARRAY_SIZE(sweeps) + 1 + ARRAY_SIZE(deeds));
	for (i = 0; i < ARRAY_SIZE(sweeps); i++)
		ksft_test_result(inject_sweep(sweeps[i].name, INJECT_EACH, one, &sweeps[i]),
				 "%s\n", sweeps[i].name);
	ksft_test_result(inject_sweep("a table is shown", INJECT_EACH, device_one, NULL),
			 "a table is shown\n");
	for (i = 0; i < ARRAY_SIZE(deeds); i++)
		ksft_test_result(inject_sweep(deeds[i].name, INJECT_EACH, deed_one, &deeds[i]),
				 "%s\n", deeds[i].name);
	err("the end", down());
	ksft_finished();
}
