// SPDX-License-Identifier: GPL-2.0
/*
 * A guest that is a hypervisor tells keel of its own guests by a hypercall, and lies:
 * a tiny VM makes it for ever, while what it has put down in its memory is changed
 * under the hands of who reads it. What a route is for shows what has been believed:
 * never anything but a vCPU of that VM.
 *
 *	offers [-n OFFERS]	(500)
 */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <linux/keel_irq.h>
#include <linux/keel_irq_offer.h>
#include <linux/keel_netlink.h>

#include "intvm.h"
#include "kselftest.h"
#include "keeltest.h"

#define VCPUS	4
#define SOURCES	4
#define CALLER	3		/* the vCPU that makes the hypercalls */

/* In the VM's memory below TVM_RAM. */
#define MAILBOX	0x200000ULL
#define OFFER	0x300000ULL
#define WORDS	0x380000ULL	/* of its guests' vCPUs, one for each source */

static int offers = 500;
static uint64_t seed = 1;
static struct knl nl;
static struct intvm vm;

static void result(bool good, const char *name)
{
	if (good)
		ksft_test_result_pass("%s\n", name);
	else
		ksft_test_result_fail("%s\n", name);
}

static void *at(uint64_t gpa)
{
	return vm.vm.low + gpa;
}

static uint32_t rnd(void)
{
	return rnd64(&seed) >> 16;
}

/* The guest goes on calling; two calls later it has been heard of this. */
static bool called(void)
{
	uint64_t *calls = (uint64_t *)at(MAILBOX) + 1, before = READ_ONCE(*calls);
	int i;

	for (i = 0; i < 5000 && READ_ONCE(*calls) < before + 2; i++)
		nap_us(1000);
	if (READ_ONCE(*calls) < before + 2)
		ksft_print_msg("the guest makes no hypercalls: %llu, then %llu\n",
			       (unsigned long long)before, (unsigned long long)READ_ONCE(*calls));
	return READ_ONCE(*calls) >= before + 2;
}

/* CPU i of the guest has APIC ID i. */
static void put_offer(uint64_t gpa)
{
	struct keel_offer_header *h = at(gpa);
	struct keel_offer_slot *slots;
	uint32_t *apic_ids, i;

	memset(h, 0, 3 * 4096);
	h->magic = KEEL_OFFER_MAGIC;
	h->version = KEEL_OFFER_VERSION;
	h->self = gpa;
	h->cpus = sizeof(*h);
	h->nr_cpus = VCPUS;
	h->slots = 4096 - 24;	/* the second is in two pages */
	h->nr_slots = SOURCES;
	apic_ids = at(gpa + h->cpus);
	for (i = 0; i < VCPUS; i++)
		apic_ids[i] = i;
	slots = at(gpa + h->slots);
	for (i = 0; i < SOURCES; i++)
		slots[i] = (struct keel_offer_slot){
			WORDS + 8 * i, vm.src[i].vcpu, vm.src[i].vector
		};
	*(uint64_t *)at(MAILBOX) = gpa;
}

/* Source i's target is a guest's vCPU that runs on the guest's CPU @cpu. */
static void put_word(int i, uint32_t cpu, uint32_t state)
{
	uint64_t *w = (uint64_t *)at(WORDS) + i;

	WRITE_ONCE(*w, ((*w >> 32) + 1) << 32 | state << 28 | cpu);
}

/* Whom a source's route is for: -1 if nobody, -2 if it cannot be asked. */
static int target(int i)
{
	int vcpu = knl_irq_route_vcpu(&nl, vm.src[i].route);

	return vcpu < -1 ? -2 : vcpu;
}

static bool becomes(int i, int vcpu)
{
	int n;

	for (n = 0; n < 400 && target(i) != vcpu; n++)
		nap_us(10000);
	if (target(i) != vcpu)
		ksft_print_msg("source %d is for vCPU %d, not %d\n", i, target(i), vcpu);
	return target(i) == vcpu;
}

/* All run on the vCPU after the one that the guest wants the interrupt on. */
static void put_true_offer(void)
{
	int i;

	put_offer(OFFER);
	for (i = 0; i < SOURCES; i++)
		put_word(i, (vm.src[i].vcpu + 1) % VCPUS, KEEL_IRQ_STATE_RUNNING);
}

static bool composed(void)
{
	int i;
	bool good = true;

	put_true_offer();
	for (i = 0; i < SOURCES; i++)
		good &= becomes(i, (vm.src[i].vcpu + 1) % VCPUS);
	return good;
}

static bool moves(void)
{
	put_word(0, 2, KEEL_IRQ_STATE_RUNNING);
	return becomes(0, 2);
}

static bool not_running(void)
{
	put_word(0, 2, KEEL_IRQ_STATE_HALTED);
	return becomes(0, vm.src[0].vcpu);
}

static bool heard(void)
{
	struct keel_offer_header *h = at(OFFER);
	uint32_t before = READ_ONCE(h->heard);
	int i;

	/* Not while the page is marked for NUMA balancing, which a look here ends. */
	for (i = 0; i < 50 && READ_ONCE(h->heard) == before; i++)
		called();
	return READ_ONCE(h->heard) != before;
}

static bool silent(void)
{
	put_word(1, 0, KEEL_IRQ_STATE_RUNNING);
	if (!becomes(1, 0))
		return false;
	/* Nothing at 0: that is what a guest says that ends it. */
	*(uint64_t *)at(MAILBOX) = 0;
	return becomes(1, vm.src[1].vcpu);
}

/* Memory that the guest may not write to is not written to by keel either. */
static bool readonly(void)
{
	struct keel_offer_header *h;
	uint64_t gpa;
	void *rom = mmap(NULL, PMD_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	int ret;

	put_offer(OFFER);
	put_word(2, 1, KEEL_IRQ_STATE_RUNNING);
	if (rom == MAP_FAILED)
		return false;
	memcpy(rom, at(OFFER), 3 * 4096);
	ret = tvm_add_rom(&vm.vm, rom, PMD_PAGE, &gpa);
	if (ret) {
		ksft_print_msg("no ROM: %s\n", strerror(-ret));
		return false;
	}
	h = rom;
	h->self = gpa;
	h->heard = 4711;
	*(uint64_t *)at(MAILBOX) = gpa;
	return called() && becomes(2, 1) && called() && READ_ONCE(h->heard) == 4711;
}

/* A number that somebody may have forgotten to think of. */
static uint64_t odd_number(void)
{
	static const uint64_t numbers[] = {
		0, 1, 7, 255, 256, 257, 4095, 4096, 4097, 0xffffffff, 0x80000000,
		0xfee00000, TVM_RAM - 8, TVM_RAM, TVM_RAM - 4, 1ULL << 40, 1ULL << 52,
		~0ULL, ~7ULL, OFFER, OFFER + 4096,
	};

	return rnd() % 2 ? numbers[rnd() % ARRAY_SIZE(numbers)] : (uint64_t)rnd() << 32 | rnd();
}

static void lie(void)
{
	uint32_t *header = at(OFFER);
	uint64_t *slots = at(OFFER + 4096 - 24);
	int n;

	put_true_offer();
	for (n = rnd() % 3; n; n--)
		header[rnd() % (sizeof(struct keel_offer_header) / 4)] = odd_number();
	for (n = rnd() % 4; n; n--)
		slots[rnd() % (2 * SOURCES)] = odd_number();
	for (n = rnd() % 3; n; n--)
		*((uint32_t *)at(OFFER + sizeof(struct keel_offer_header)) + rnd() % VCPUS) =
			odd_number();
	for (n = rnd() % 4; n; n--)
		*((uint64_t *)at(WORDS) + rnd() % SOURCES) = odd_number();
	if (rnd() % 8 == 0)
		*(uint64_t *)at(MAILBOX) = odd_number();
}

static bool lies(void)
{
	int n, i, believed = 0;

	for (n = 0; n < offers; n++) {
		lie();
		if (!called())
			return false;
		for (i = 0; i < SOURCES; i++) {
			int vcpu = target(i);

			if (vcpu < 0 || vcpu >= VCPUS) {
				ksft_print_msg("offer %d: source %d is for vCPU %d\n", n, i, vcpu);
				return false;
			}
			believed += vcpu != vm.src[i].vcpu;
		}
	}
	ksft_print_msg("%d offers; %d times a target was another for it\n", offers, believed);
	/* Some of it is true, or nothing was tried. */
	return believed > offers / 20;
}

int main(int argc, char **argv)
{
	const char *missing = tvm_missing();
	int opt, ret, i;
	char why[128];

	while ((opt = getopt(argc, argv, "n:")) != -1)
		offers = atoi(optarg);
	ksft_print_header();
	if (missing)
		ksft_exit_skip("%s\n", missing);
	ret = knl_open(&nl) ?: knl_irq_set(&nl, KEEL_IRQ_MODE_STEER) ?:
	      knl_irq_fallback(&nl, KEEL_IRQ_FALLBACK_WAIT);
	if (ret)
		ksft_exit_fail_msg("netlink: %s\n", strerror(-ret));
	ksft_set_plan(8);
	ret = intvm_start(&vm, &nl, VCPUS, 0, SOURCES);
	if (ret)
		ksft_exit_fail_msg("no VM: %s\n", strerror(-ret));
	ret = tvm_stop(&vm.vm) ?: tvm_load_call(&vm.vm, CALLER, KEEL_OFFER_HYPERCALL, MAILBOX,
						20000);
	for (i = 0; i < VCPUS && !ret; i++)
		ret = tvm_start(&vm.vm, i);
	if (ret)
		ksft_exit_fail_msg("the VM does not go on: %s\n", strerror(-ret));
	nap_us(600000);
	for (i = 0; i < SOURCES && !ret; i++)
		ret = intvm_route(&vm, &nl, i, -1);
	if (ret)
		ksft_exit_fail_msg("no route: %s: %s\n", strerror(-ret), nl.extack);
	result(composed(), "a guest's guest is found on the vCPU where it runs");
	result(moves(), "and on the next one when it moves");
	result(not_running(), "one that does not run is where the guest wants the interrupt");
	result(heard(), "the guest is told that it was heard");
	result(silent(), "an offer that is withdrawn is forgotten");
	result(readonly(), "one in memory that the guest may not write to is only read");
	result(lies(), "whatever a guest says, a target is one of its own vCPUs");
	put_offer(OFFER);
	for (i = 0, ret = 0; i < SOURCES && !ret; i++)
		ret = intvm_send(&vm, i);
	if (ret || !intvm_exact(&vm, why, sizeof(why)))
		ksft_print_msg("%s %s\n", strerror(-ret), ret ? "" : why);
	result(!ret, "and its interrupts arrive");
	knl_irq_set(&nl, KEEL_IRQ_MODE_OFF);
	intvm_stop(&vm);
	ksft_finished();
}
