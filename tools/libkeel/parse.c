// SPDX-License-Identifier: GPL-2.0
/*
 * Attributes to structs. An attribute that is absent leaves its field zero; one
 * of a wrong length is -EBADMSG, so that a mismatch of versions is seen.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "parse.h"

struct field {
	uint16_t type;		/* NLA_U32, NLA_U64 or NLA_STRING */
	uint16_t len;		/* of a string's buffer */
	uint32_t off;
};

#define U32(s, f) { .type = NLA_U32, .off = offsetof(struct s, f) }
#define U64(s, f) { .type = NLA_U64, .off = offsetof(struct s, f) }

/* Scalars by attribute number; what is not listed is left to the caller. */
static int take(struct nlattr *nest, struct nlattr **tb, int max,
		const struct field *fields, void *to)
{
	if (nla_parse_nested(tb, max, nest, NULL) < 0)
		return -EBADMSG;
	for (int i = 1; i <= max; i++) {
		const struct field *f = &fields[i];
		char *p = (char *)to + f->off;

		if (!tb[i] || !f->type)
			continue;
		if (f->type == NLA_U32 && nla_len(tb[i]) == sizeof(uint32_t))
			*(uint32_t *)p = nla_get_u32(tb[i]);
		else if (f->type == NLA_U64 && nla_len(tb[i]) == sizeof(uint64_t))
			*(uint64_t *)p = nla_get_u64(tb[i]);
		else if (f->type == NLA_STRING)
			snprintf(p, f->len, "%.*s", nla_len(tb[i]),
				 (const char *)nla_data(tb[i]));
		else
			return -EBADMSG;
	}
	return 0;
}

int keel_parse_host(struct nlattr **attrs, void *arg)
{
	static const struct field fields[KEEL_A_HOST_MAX + 1] = {
		[KEEL_A_HOST_VERSION] = {
			NLA_STRING, sizeof(((struct keel_host *)0)->version),
			offsetof(struct keel_host, version) },
		[KEEL_A_HOST_VMS] = U32(keel_host, vms),
		[KEEL_A_HOST_SNAPSHOTS] = U32(keel_host, snapshots),
		[KEEL_A_HOST_KEELFS_PAGES] = U64(keel_host, keelfs_pages),
		[KEEL_A_HOST_POOL_PAGES] = U64(keel_host, pool_pages),
		[KEEL_A_HOST_KEELFS_MOUNTS] = U32(keel_host, keelfs_mounts),
	};
	struct nlattr *tb[KEEL_A_HOST_MAX + 1];

	if (!attrs[KEEL_A_HOST])
		return -EBADMSG;
	return take(attrs[KEEL_A_HOST], tb, KEEL_A_HOST_MAX, fields, arg);
}

static int parse_vcpu(struct nlattr *nest, struct keel_vm *vm)
{
	static const struct field fields[KEEL_A_VCPU_MAX + 1] = {
		[KEEL_A_VCPU_INDEX] = U32(keel_vcpu, index),
		[KEEL_A_VCPU_TID] = U32(keel_vcpu, tid),
		[KEEL_A_VCPU_CPU] = U32(keel_vcpu, cpu),
	};
	struct nlattr *tb[KEEL_A_VCPU_MAX + 1];
	struct keel_vcpu *v;

	v = realloc(vm->vcpu, (vm->nr_vcpu + 1) * sizeof(*v));
	if (!v)
		return -ENOMEM;
	vm->vcpu = v;
	v += vm->nr_vcpu++;
	*v = (struct keel_vcpu){ .cpu = -1 };
	return take(nest, tb, KEEL_A_VCPU_MAX, fields, v);
}

/* The inverse of the kernel's new_encode_dev(). */
static dev_t decode_dev(uint32_t dev)
{
	return makedev((dev & 0xfff00) >> 8,
		       (dev & 0xff) | ((dev >> 12) & 0xfff00));
}

static int parse_region(struct nlattr *nest, struct keel_vm *vm)
{
	static const struct field fields[KEEL_A_REGION_MAX + 1] = {
		[KEEL_A_REGION_SLOT] = U32(keel_region, slot),
		[KEEL_A_REGION_GPA] = U64(keel_region, gpa),
		[KEEL_A_REGION_SIZE] = U64(keel_region, size),
		[KEEL_A_REGION_HVA] = U64(keel_region, hva),
		[KEEL_A_REGION_BACKING] = U32(keel_region, backing),
		[KEEL_A_REGION_INO] = U64(keel_region, ino),
		[KEEL_A_REGION_OFFSET] = U64(keel_region, offset),
	};
	struct nlattr *tb[KEEL_A_REGION_MAX + 1];
	struct keel_region *r;
	int err;

	r = realloc(vm->region, (vm->nr_region + 1) * sizeof(*r));
	if (!r)
		return -ENOMEM;
	vm->region = r;
	r += vm->nr_region++;
	memset(r, 0, sizeof(*r));
	err = take(nest, tb, KEEL_A_REGION_MAX, fields, r);
	if (err)
		return err;
	r->readonly = tb[KEEL_A_REGION_READONLY];
	if (tb[KEEL_A_REGION_DEV])
		r->dev = decode_dev(nla_get_u32(tb[KEEL_A_REGION_DEV]));
	return 0;
}

int keel_parse_vm(struct nlattr **attrs, void *arg)
{
	static const struct field fields[KEEL_A_VM_MAX + 1] = {
		[KEEL_A_VM_ID] = U32(keel_vm, id),
		[KEEL_A_VM_PID] = U32(keel_vm, pid),
		[KEEL_A_VM_COMM] = { NLA_STRING, KEEL_COMM_LEN,
				     offsetof(struct keel_vm, comm) },
		[KEEL_A_VM_MEMORY] = U64(keel_vm, memory),
		[KEEL_A_VM_MEMORY_KEELFS] = U64(keel_vm, memory_keelfs),
		[KEEL_A_VM_NR_VCPUS] = U32(keel_vm, nr_vcpus),
		[KEEL_A_VM_SNAPSHOT] = U32(keel_vm, snapshot),
	};
	struct nlattr *tb[KEEL_A_VM_MAX + 1], *nla;
	struct keel_vm *vm = arg;
	int err, rem;

	if (!attrs[KEEL_A_VM])
		return -EBADMSG;
	err = take(attrs[KEEL_A_VM], tb, KEEL_A_VM_MAX, fields, vm);
	nla_for_each_nested(nla, attrs[KEEL_A_VM], rem) {
		if (err)
			break;
		if (nla_type(nla) == KEEL_A_VM_VCPU)
			err = parse_vcpu(nla, vm);
		else if (nla_type(nla) == KEEL_A_VM_REGION)
			err = parse_region(nla, vm);
	}
	return err;
}

int keel_parse_snapshot(struct nlattr **attrs, void *arg)
{
	static const struct field fields[KEEL_A_SNAPSHOT_MAX + 1] = {
		[KEEL_A_SNAPSHOT_ID] = U32(keel_snapshot, id),
		[KEEL_A_SNAPSHOT_VM] = U32(keel_snapshot, vm),
		[KEEL_A_SNAPSHOT_PID] = U32(keel_snapshot, pid),
		[KEEL_A_SNAPSHOT_STATE] = U32(keel_snapshot, state),
		[KEEL_A_SNAPSHOT_REASON] = U32(keel_snapshot, reason),
		[KEEL_A_SNAPSHOT_FILES] = U32(keel_snapshot, files),
		[KEEL_A_SNAPSHOT_PAGES] = U64(keel_snapshot, pages),
		[KEEL_A_SNAPSHOT_FAULT_PAGES] = U64(keel_snapshot, fault_pages),
		[KEEL_A_SNAPSHOT_SWEPT_PAGES] = U64(keel_snapshot, swept_pages),
		[KEEL_A_SNAPSHOT_EAGER_PAGES] = U64(keel_snapshot, eager_pages),
		[KEEL_A_SNAPSHOT_ZERO_PAGES] = U64(keel_snapshot, zero_pages),
		[KEEL_A_SNAPSHOT_POOL_PAGES] = U64(keel_snapshot, pool_pages),
		[KEEL_A_SNAPSHOT_POOL_LOW] = U64(keel_snapshot, pool_low),
		[KEEL_A_SNAPSHOT_THROTTLED] = U64(keel_snapshot, throttled),
		[KEEL_A_SNAPSHOT_THROTTLED_NS] = U64(keel_snapshot, throttled_ns),
		[KEEL_A_SNAPSHOT_SPILLED_PAGES] = U64(keel_snapshot, spilled_pages),
		[KEEL_A_SNAPSHOT_ARM_NS] = U64(keel_snapshot, arm_ns),
	};
	struct nlattr *tb[KEEL_A_SNAPSHOT_MAX + 1];

	if (!attrs[KEEL_A_SNAPSHOT])
		return -EBADMSG;
	return take(attrs[KEEL_A_SNAPSHOT], tb, KEEL_A_SNAPSHOT_MAX, fields,
		    arg);
}
