// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <linux/keel_netlink.h>
#include <linux/kvm.h>

#include "intvm.h"
#include "keeltest.h"

#define GSI		24	/* of the first source; below are the chips' */
#define VECTOR		48
#define PATIENCE_S	60

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* All of them at once, as KVM has it. */
static int program_all(struct intvm *v)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry e[INTVM_SOURCES];
	} r = { .head.nr = v->nr };
	int i;

	for (i = 0; i < v->nr; i++) {
		r.e[i].gsi = GSI + i;
		r.e[i].type = KVM_IRQ_ROUTING_MSI;
		r.e[i].u.msi.address_lo = 0xfee00000 | v->src[i].vcpu << 12;
		r.e[i].u.msi.data = v->src[i].vector;
	}
	return ioctl(v->vm.fd, KVM_SET_GSI_ROUTING, &r) ? -errno : 0;
}

int intvm_mask(struct intvm *v, int i, bool masked)
{
	struct kvm_irqfd irqfd = { .fd = v->src[i].sink, .gsi = GSI + i };

	if (masked)
		irqfd.flags = KVM_IRQFD_FLAG_DEASSIGN;
	return ioctl(v->vm.fd, KVM_IRQFD, &irqfd) ? -errno : 0;
}

static int add_source(struct intvm *v, int i)
{
	struct intvm_source *s = &v->src[i];

	s->source = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->sink = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->source < 0 || s->sink < 0)
		return -errno;
	return intvm_mask(v, i, false);
}

/* Those of this process that were there before have lower numbers. */
static int find_id(struct intvm *v, struct knl *nl, uint32_t above)
{
	struct knl_vm vms[16];
	int tries, i, nr;

	for (tries = 0; tries < 500; tries++) {
		nr = knl_vm_dump(nl, vms, 16);
		for (i = 0; i < nr && i < 16; i++) {
			if (vms[i].pid == (uint32_t)getpid() && vms[i].id > above) {
				v->id = vms[i].id;
				return 0;
			}
		}
		nap_us(10000);
	}
	return -ESRCH;
}

static uint32_t highest_id(struct knl *nl)
{
	struct knl_vm vms[16];
	int i, nr = knl_vm_dump(nl, vms, 16);
	uint32_t id = 0;

	for (i = 0; i < nr && i < 16; i++)
		if (vms[i].id > id)
			id = vms[i].id;
	return id;
}

int intvm_start(struct intvm *v, struct knl *nl, int vcpus, unsigned int spin, int sources)
{
	uint32_t above = highest_id(nl);
	int i, ret;

	memset(v, 0, sizeof(*v));
	v->nr_vcpus = vcpus;
	v->nr = sources;
	ret = tvm_create_interruptible(&v->vm, vcpus);
	for (i = 0; i < sources && !ret; i++) {
		v->src[i].vcpu = i % vcpus;
		v->src[i].vector = VECTOR + i;
	}
	if (!ret)
		ret = program_all(v);
	for (i = 0; i < sources && !ret; i++)
		ret = add_source(v, i);
	for (i = 0; i < vcpus && !ret; i++) {
		ret = tvm_load_idle(&v->vm, i, spin >> i & 1 ? TVM_SPIN : TVM_HALT);
		if (!ret)
			ret = tvm_start(&v->vm, i);
	}
	if (!ret)
		ret = find_id(v, nl, above);
	if (ret)
		intvm_stop(v);
	return ret;
}

void intvm_stop(struct intvm *v)
{
	int i;

	if (v->has_vf)
		vf_close(&v->vf);
	for (i = 0; i < v->nr; i++) {
		if (v->src[i].source > 0)
			close(v->src[i].source);
		if (v->src[i].sink > 0)
			close(v->src[i].sink);
	}
	tvm_destroy(&v->vm);
}

int intvm_take_vf(struct intvm *v, const char *bdf)
{
	int fds[VF_VECTORS], i, ret;

	for (i = 0; i < VF_VECTORS; i++)
		fds[i] = v->src[i].sink;
	ret = vf_open(&v->vf, bdf, fds);
	v->has_vf = !ret;
	return ret;
}

int intvm_route(struct intvm *v, struct knl *nl, int i, int vcpu)
{
	int ret = knl_irq_route_add(nl, v->id, vcpu, v->src[i].source, v->src[i].sink);

	if (ret < 0)
		return ret;
	v->src[i].route = ret;
	v->src[i].routed = true;
	return 0;
}

int intvm_unroute(struct intvm *v, struct knl *nl, int i)
{
	int ret = knl_irq_route_del(nl, v->src[i].route);

	v->src[i].route = 0;
	return ret;
}

int intvm_program(struct intvm *v, int i, int vcpu, int vector)
{
	v->src[i].vcpu = vcpu;
	v->src[i].vector = vector;
	return program_all(v);
}

int intvm_raise(struct intvm *v, int i)
{
	struct intvm_source *s = &v->src[i];

	++v->due[s->vcpu][s->vector];
	if (v->has_vf && i < VF_VECTORS)
		vf_raise(&v->vf, i);
	else if (eventfd_write(s->routed ? s->source : s->sink, 1))
		return -errno;
	return 0;
}

int intvm_send(struct intvm *v, int i)
{
	struct intvm_source *s = &v->src[i];
	uint64_t *due = &v->due[s->vcpu][s->vector], since = now();
	int ret = intvm_raise(v, i);

	if (ret)
		return ret;
	while (tvm_taken(&v->vm, s->vcpu, s->vector) < *due) {
		if (now() - since > PATIENCE_S * 1000000000ULL)
			return -ETIMEDOUT;
		sched_yield();
	}
	return 0;
}

bool intvm_exact(const struct intvm *v, char *why, int len)
{
	int vcpu, vector;

	for (vcpu = 0; vcpu < v->nr_vcpus; vcpu++) {
		for (vector = 32; vector < 256; vector++) {
			uint64_t taken = tvm_taken(&v->vm, vcpu, vector);

			if (taken == v->due[vcpu][vector])
				continue;
			snprintf(why, len, "VM %u, vCPU %d, vector %d: %llu sent, %llu taken",
				 v->id, vcpu, vector,
				 (unsigned long long)v->due[vcpu][vector],
				 (unsigned long long)taken);
			return false;
		}
	}
	return true;
}
