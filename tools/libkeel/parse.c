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

/* Scalars by attribute number; what is not listed is left to the caller. */
int parse_take(struct nlattr *nest, struct nlattr **tb, int max,
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
	return parse_take(attrs[KEEL_A_HOST], tb, KEEL_A_HOST_MAX, fields, arg);
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
	return parse_take(nest, tb, KEEL_A_VCPU_MAX, fields, v);
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
	err = parse_take(nest, tb, KEEL_A_REGION_MAX, fields, r);
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
	err = parse_take(attrs[KEEL_A_VM], tb, KEEL_A_VM_MAX, fields, vm);
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
	return parse_take(attrs[KEEL_A_SNAPSHOT], tb, KEEL_A_SNAPSHOT_MAX, fields,
		    arg);
}

/* @len bytes of @nla, exactly. */
int parse_bytes(struct nlattr *nla, void *to, size_t len)
{
	if (!nla || nla_len(nla) != (int)len)
		return -EBADMSG;
	memcpy(to, nla_data(nla), len);
	return 0;
}

static size_t latency_bytes(const struct keel_matrix *m)
{
	return m->nr * m->nr * sizeof(m->latency[0]);
}

static int parse_table(struct nlattr *nest, struct keel_matrix *m)
{
	static const struct field fields[KEEL_A_TABLE_MAX + 1] = {
		[KEEL_A_TABLE_SOURCE] = U32(keel_matrix_table, source),
		[KEEL_A_TABLE_NOISE] = U32(keel_matrix_table, noise),
		[KEEL_A_TABLE_WHY] = {
			NLA_STRING, sizeof(((struct keel_matrix_table *)0)->why),
			offsetof(struct keel_matrix_table, why) },
	};
	struct nlattr *tb[KEEL_A_TABLE_MAX + 1];
	struct keel_matrix_table *t;
	uint32_t source;

	if (nla_parse_nested(tb, KEEL_A_TABLE_MAX, nest, NULL) < 0 ||
	    !tb[KEEL_A_TABLE_SOURCE])
		return -EBADMSG;
	source = nla_get_u32(tb[KEEL_A_TABLE_SOURCE]);
	if (source >= KEEL_SOURCES)
		return -EBADMSG;
	t = &m->table[source];
	t->known = true;
	t->loaded = tb[KEEL_A_TABLE_LOADED];
	return parse_take(nest, tb, KEEL_A_TABLE_MAX, fields, t) ?:
	       parse_bytes(tb[KEEL_A_TABLE_LATENCY], t->latency, latency_bytes(m));
}

static int parse_outlier(struct nlattr *nest, struct keel_matrix *m)
{
	static const struct field fields[KEEL_A_OUTLIER_MAX + 1] = {
		[KEEL_A_OUTLIER_CPU] = U32(keel_matrix_outlier, cpu),
		[KEEL_A_OUTLIER_NODE] = U32(keel_matrix_outlier, node),
		[KEEL_A_OUTLIER_LATENCY] = U32(keel_matrix_outlier, latency),
		[KEEL_A_OUTLIER_USUAL] = U32(keel_matrix_outlier, usual),
	};
	struct nlattr *tb[KEEL_A_OUTLIER_MAX + 1];

	if (m->nr_outliers == KEEL_OUTLIERS_MAX)
		return -EBADMSG;
	return parse_take(nest, tb, KEEL_A_OUTLIER_MAX, fields,
		    &m->outlier[m->nr_outliers++]);
}

int keel_parse_matrix(struct nlattr **attrs, void *arg)
{
	static const struct field fields[KEEL_A_MATRIX_MAX + 1] = {
		[KEEL_A_MATRIX_SOURCE] = U32(keel_matrix, source),
	};
	struct nlattr *tb[KEEL_A_MATRIX_MAX + 1], *nla;
	struct keel_matrix *m = arg;
	int err, rem;

	if (!attrs[KEEL_A_MATRIX])
		return -EBADMSG;
	err = parse_take(attrs[KEEL_A_MATRIX], tb, KEEL_A_MATRIX_MAX, fields, m);
	if (err || !tb[KEEL_A_MATRIX_NODES])
		return -EBADMSG;
	m->nr = nla_len(tb[KEEL_A_MATRIX_NODES]) / sizeof(uint32_t);
	if (!m->nr || m->nr > KEEL_NODES_MAX || m->source >= KEEL_SOURCES)
		return -EBADMSG;
	err = parse_bytes(tb[KEEL_A_MATRIX_NODES], m->node,
			  m->nr * sizeof(m->node[0])) ?:
	      parse_bytes(tb[KEEL_A_MATRIX_LATENCY], m->latency,
			  latency_bytes(m));
	nla_for_each_nested(nla, attrs[KEEL_A_MATRIX], rem) {
		if (err)
			break;
		if (nla_type(nla) == KEEL_A_MATRIX_TABLE)
			err = parse_table(nla, m);
		else if (nla_type(nla) == KEEL_A_MATRIX_OUTLIER)
			err = parse_outlier(nla, m);
	}
	return err;
}

/* One more element of an array; zero. */
void *parse_grow(void *array, uint32_t *nr, size_t size)
{
	char **v = array, *p = realloc(*v, (*nr + 1) * size);

	if (!p)
		return NULL;
	*v = p;
	p += (*nr)++ * size;
	memset(p, 0, size);
	return p;
}

static int parse_site(struct nlattr *nest, struct keel_place *place)
{
	static const struct field fields[KEEL_A_SITE_MAX + 1] = {
		[KEEL_A_SITE_INDEX] = U32(keel_site, index),
		[KEEL_A_SITE_NODE] = U32(keel_site, node),
		[KEEL_A_SITE_CPUS] = { NLA_STRING, KEEL_CPUS_LEN,
				       offsetof(struct keel_site, cpus) },
		[KEEL_A_SITE_CORES] = U32(keel_site, cores),
		[KEEL_A_SITE_CACHE_KIB] = U32(keel_site, cache_kib),
		[KEEL_A_SITE_FOREIGN] = U32(keel_site, foreign),
	};
	struct nlattr *tb[KEEL_A_SITE_MAX + 1];
	struct keel_site *s = parse_grow(&place->site, &place->nr_sites, sizeof(*s));

	return s ? parse_take(nest, tb, KEEL_A_SITE_MAX, fields, s) : -ENOMEM;
}

int keel_parse_place(struct nlattr **attrs, void *arg)
{
	static const struct field fields[KEEL_A_PLACE_MAX + 1] = {
		[KEEL_A_PLACE_PERIOD_MS] = U32(keel_place, period_ms),
		[KEEL_A_PLACE_TEMPER] = U32(keel_place, temper),
		[KEEL_A_PLACE_GRAIN] = U32(keel_place, grain),
		[KEEL_A_PLACE_SAMPLES] = U32(keel_place, samples),
		[KEEL_A_PLACE_SOURCE] = U32(keel_place, source),
		[KEEL_A_PLACE_PERIODS] = U64(keel_place, periods),
		[KEEL_A_PLACE_MOVES] = U64(keel_place, moves),
		[KEEL_A_PLACE_LEFT] = U64(keel_place, left),
		[KEEL_A_PLACE_SAMPLED] = U64(keel_place, sampled),
		[KEEL_A_PLACE_UNMAPPED] = U64(keel_place, unmapped),
		[KEEL_A_PLACE_MEMORY_MIB] = U32(keel_place, memory_mib),
		[KEEL_A_PLACE_CARRIED_KIB] = U64(keel_place, carried_kib),
		[KEEL_A_PLACE_STUCK] = U64(keel_place, stuck),
		[KEEL_A_PLACE_DECIDE_NS] = U64(keel_place, decide_ns),
		[KEEL_A_PLACE_OBSERVE_NS] = U64(keel_place, observe_ns),
	};
	struct nlattr *tb[KEEL_A_PLACE_MAX + 1], *nla;
	struct keel_place *place = arg;
	int err, rem;

	if (!attrs[KEEL_A_PLACE])
		return -EBADMSG;
	err = parse_take(attrs[KEEL_A_PLACE], tb, KEEL_A_PLACE_MAX, fields, place);
	if (err)
		return err;
	place->running = tb[KEEL_A_PLACE_RUNNING];
	if (tb[KEEL_A_PLACE_NODES]) {
		place->nr_nodes = nla_len(tb[KEEL_A_PLACE_NODES]) /
				  sizeof(uint32_t);
		if (place->nr_nodes > KEEL_NODES_MAX)
			return -EBADMSG;
		err = parse_bytes(tb[KEEL_A_PLACE_NODES], place->node,
				  place->nr_nodes * sizeof(place->node[0]));
	}
	nla_for_each_nested(nla, attrs[KEEL_A_PLACE], rem)
		if (!err && nla_type(nla) == KEEL_A_PLACE_SITE)
			err = parse_site(nla, place);
	return err;
}

/* One that is absent says that all is well. */
static int parse_memory(struct nlattr *nest, struct keel_memory *memory)
{
	static const struct field fields[KEEL_A_MEMORY_MAX + 1] = {
		[KEEL_A_MEMORY_FROM] = U64(keel_memory, from),
		[KEEL_A_MEMORY_TO] = U32(keel_memory, to),
		[KEEL_A_MEMORY_KIB] = U32(keel_memory, kib),
		[KEEL_A_MEMORY_SAVES] = U64(keel_memory, saves),
		[KEEL_A_MEMORY_COPY] = U64(keel_memory, copy),
	};
	struct nlattr *tb[KEEL_A_MEMORY_MAX + 1];

	return nest ? parse_take(nest, tb, KEEL_A_MEMORY_MAX, fields, memory) : 0;
}

static int parse_thread(struct nlattr *nest, struct keel_place_vm *vm)
{
	static const struct field fields[KEEL_A_THREAD_MAX + 1] = {
		[KEEL_A_THREAD_KIND] = U32(keel_thread, kind),
		[KEEL_A_THREAD_INDEX] = U32(keel_thread, index),
		[KEEL_A_THREAD_TID] = U32(keel_thread, tid),
		[KEEL_A_THREAD_COMM] = { NLA_STRING, KEEL_COMM_LEN,
					 offsetof(struct keel_thread, comm) },
		[KEEL_A_THREAD_STATE] = U32(keel_thread, state),
		[KEEL_A_THREAD_UTIL] = U32(keel_thread, util),
		[KEEL_A_THREAD_SITE] = U32(keel_thread, site),
		[KEEL_A_THREAD_PLAN] = U32(keel_thread, plan),
		[KEEL_A_THREAD_EXPECTED] = U32(keel_thread, expected),
		[KEEL_A_THREAD_MOVES] = U32(keel_thread, moves),
	};
	struct nlattr *tb[KEEL_A_THREAD_MAX + 1], *touched;
	struct keel_thread *t = parse_grow(&vm->thread, &vm->nr_threads, sizeof(*t));
	int err;

	if (!t)
		return -ENOMEM;
	t->site = KEEL_NO_SITE;
	t->plan = KEEL_NO_SITE;
	err = parse_take(nest, tb, KEEL_A_THREAD_MAX, fields, t);
	touched = err ? NULL : tb[KEEL_A_THREAD_TOUCHED];
	if (touched && nla_len(touched) <= (int)sizeof(t->touched))
		memcpy(t->touched, nla_data(touched), nla_len(touched));
	return err ?: parse_memory(tb[KEEL_A_THREAD_MEMORY], &t->memory);
}

static int parse_reason(struct nlattr *nest, struct keel_place_vm *vm)
{
	static const struct field fields[KEEL_A_REASON_MAX + 1] = {
		[KEEL_A_REASON_SITE] = U32(keel_reason, site),
		[KEEL_A_REASON_MEMORY] = U32(keel_reason, memory),
		[KEEL_A_REASON_MISS] = U32(keel_reason, miss),
		[KEEL_A_REASON_SLOWDOWN] = U32(keel_reason, slowdown),
		[KEEL_A_REASON_EXPECTED] = U32(keel_reason, expected),
		[KEEL_A_REASON_OTHERS] = U64(keel_reason, others),
		[KEEL_A_REASON_MOVE] = U64(keel_reason, move),
	};
	struct nlattr *tb[KEEL_A_REASON_MAX + 1];
	struct keel_reason *r = parse_grow(&vm->reason, &vm->nr_reasons, sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	err = parse_take(nest, tb, KEEL_A_REASON_MAX, fields, r);
	r->allowed = !err && tb[KEEL_A_REASON_ALLOWED];
	return err;
}

int keel_parse_place_vm(struct nlattr **attrs, void *arg)
{
	static const struct field fields[KEEL_A_PLACE_VM_MAX + 1] = {
		[KEEL_A_PLACE_VM_ID] = U32(keel_place_vm, id),
		[KEEL_A_PLACE_VM_PID] = U32(keel_place_vm, pid),
		[KEEL_A_PLACE_VM_MODE] = U32(keel_place_vm, mode),
		[KEEL_A_PLACE_VM_SHARED_KIB] = U32(keel_place_vm, shared_kib),
	};
	struct nlattr *tb[KEEL_A_PLACE_VM_MAX + 1], *nla;
	struct keel_place_vm *vm = arg;
	int err, rem;

	if (!attrs[KEEL_A_PLACE_VM])
		return -EBADMSG;
	err = parse_take(attrs[KEEL_A_PLACE_VM], tb, KEEL_A_PLACE_VM_MAX, fields, vm);
	err = err ?: parse_memory(tb[KEEL_A_PLACE_VM_MEMORY], &vm->memory);
	nla_for_each_nested(nla, attrs[KEEL_A_PLACE_VM], rem) {
		if (err)
			break;
		if (nla_type(nla) == KEEL_A_PLACE_VM_THREAD)
			err = parse_thread(nla, vm);
		else if (nla_type(nla) == KEEL_A_PLACE_VM_REASON)
			err = parse_reason(nla, vm);
	}
	return err;
}

int keel_parse_move(struct nlattr **attrs, void *arg)
{
	static const struct field fields[KEEL_A_MOVE_MAX + 1] = {
		[KEEL_A_MOVE_VM] = U32(keel_move, vm),
		[KEEL_A_MOVE_KIND] = U32(keel_move, kind),
		[KEEL_A_MOVE_INDEX] = U32(keel_move, index),
		[KEEL_A_MOVE_TID] = U32(keel_move, tid),
		[KEEL_A_MOVE_FROM_SITE] = U32(keel_move, from_site),
		[KEEL_A_MOVE_TO_SITE] = U32(keel_move, to_site),
		[KEEL_A_MOVE_FROM_NODE] = U32(keel_move, from_node),
		[KEEL_A_MOVE_TO_NODE] = U32(keel_move, to_node),
		[KEEL_A_MOVE_EXPECTED] = U32(keel_move, expected),
	};
	struct nlattr *tb[KEEL_A_MOVE_MAX + 1];
	struct keel_move *move = arg;
	int err;

	if (!attrs[KEEL_A_MOVE])
		return -EBADMSG;
	err = parse_take(attrs[KEEL_A_MOVE], tb, KEEL_A_MOVE_MAX, fields, move);
	move->left = !err && tb[KEEL_A_MOVE_LEFT];
	return err;
}

static int parse_task(struct nlattr *nla, struct keel_decision *d)
{
	size_t row = 2 * d->nr_nodes * sizeof(*d->touched);
	uint32_t *touched;
	struct keel_place_task *task;

	if (!d->nr_nodes || nla_len(nla) != (int)(sizeof(*task) + row))
		return -EBADMSG;
	touched = realloc(d->touched, (d->nr + 1) * row);
	if (!touched)
		return -ENOMEM;
	d->touched = touched;
	memcpy(&touched[d->nr * 2 * d->nr_nodes],
	       (char *)nla_data(nla) + sizeof(*task), row);
	task = parse_grow(&d->task, &d->nr, sizeof(*task));
	if (!task)
		return -ENOMEM;
	memcpy(task, nla_data(nla), sizeof(*task));
	return 0;
}

/* The first message has all but the threads, the others one each. */
int keel_parse_decision(struct nlattr **attrs, void *arg)
{
	static const struct field fields[KEEL_A_DECISION_MAX + 1] = {
		[KEEL_A_DECISION_PERIOD] = U64(keel_decision, period),
		[KEEL_A_DECISION_SMT_GAIN] = U32(keel_decision, smt_gain),
		[KEEL_A_DECISION_MISS_FLOOR] = U32(keel_decision, miss_floor),
		[KEEL_A_DECISION_PARALLEL] = U32(keel_decision, parallel),
		[KEEL_A_DECISION_HORIZON_NS] = U64(keel_decision, horizon_ns),
		[KEEL_A_DECISION_MOVE_NS] = U32(keel_decision, move_ns),
		[KEEL_A_DECISION_EFFORT] = U32(keel_decision, effort),
		[KEEL_A_DECISION_SEED] = U32(keel_decision, seed),
		[KEEL_A_DECISION_HIT] = U32(keel_decision, hit),
		[KEEL_A_DECISION_NR_NODES] = U32(keel_decision, nr_nodes),
		[KEEL_A_DECISION_NR_VMS] = U32(keel_decision, nr_vms),
		[KEEL_A_DECISION_NR_TASKS] = U32(keel_decision, nr_tasks),
	};
	struct nlattr *tb[KEEL_A_DECISION_MAX + 1], *nla;
	struct keel_decision *d = arg;
	struct keel_place_site *site;
	int err, rem;

	if (!attrs[KEEL_A_DECISION])
		return -EBADMSG;
	err = parse_take(attrs[KEEL_A_DECISION], tb, KEEL_A_DECISION_MAX, fields, d);
	if (err || tb[KEEL_A_DECISION_TASK])
		return err ?: parse_task(tb[KEEL_A_DECISION_TASK], d);
	if (d->nr_nodes > KEEL_NODES_MAX)
		return -EBADMSG;
	err = parse_bytes(tb[KEEL_A_DECISION_LATENCY], d->latency,
			  d->nr_nodes * d->nr_nodes * sizeof(d->latency[0]));
	err = err ?: parse_bytes(tb[KEEL_A_DECISION_ROOM], d->room,
				d->nr_nodes * sizeof(d->room[0]));
	nla_for_each_nested(nla, attrs[KEEL_A_DECISION], rem) {
		if (err || nla_type(nla) != KEEL_A_DECISION_SITE)
			continue;
		site = parse_grow(&d->site, &d->nr_sites, sizeof(*site));
		err = site ? parse_bytes(nla, site, sizeof(*site)) : -ENOMEM;
	}
	return err;
}
