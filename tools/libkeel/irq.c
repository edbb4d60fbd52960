// SPDX-License-Identifier: GPL-2.0
/* Directed interrupts: attributes to structs, and requests. */
#include <errno.h>

#include "nl.h"
#include "parse.h"

int keel_parse_irq(struct nlattr **attrs, void *arg)
{
	static const struct field fields[KEEL_A_IRQ_MAX + 1] = {
		[KEEL_A_IRQ_MODE] = U32(keel_irq, mode),
		[KEEL_A_IRQ_FALLBACK] = U32(keel_irq, fallback),
		[KEEL_A_IRQ_VMS] = U32(keel_irq, vms),
		[KEEL_A_IRQ_TARGETS] = U32(keel_irq, targets),
		[KEEL_A_IRQ_ROUTES] = U32(keel_irq, routes),
		[KEEL_A_IRQ_AIMS] = U64(keel_irq, aims),
		[KEEL_A_IRQ_OFFERED] = U32(keel_irq, offered),
		[KEEL_A_IRQ_HEARD] = U32(keel_irq, heard),
	};
	struct nlattr *tb[KEEL_A_IRQ_MAX + 1];

	if (!attrs[KEEL_A_IRQ])
		return -EBADMSG;
	return parse_take(attrs[KEEL_A_IRQ], tb, KEEL_A_IRQ_MAX, fields, arg);
}

int keel_parse_irq_target(struct nlattr **attrs, void *arg)
{
	static const struct field fields[KEEL_A_IRQ_TARGET_MAX + 1] = {
		[KEEL_A_IRQ_TARGET_VM] = U32(keel_irq_target, vm),
		[KEEL_A_IRQ_TARGET_PID] = U32(keel_irq_target, pid),
		[KEEL_A_IRQ_TARGET_VCPU] = U32(keel_irq_target, vcpu),
		[KEEL_A_IRQ_TARGET_APIC] = U32(keel_irq_target, apic),
		[KEEL_A_IRQ_TARGET_TID] = U32(keel_irq_target, tid),
		[KEEL_A_IRQ_TARGET_CPU] = U32(keel_irq_target, cpu),
		[KEEL_A_IRQ_TARGET_NODE] = U32(keel_irq_target, node),
		[KEEL_A_IRQ_TARGET_STATE] = U32(keel_irq_target, state),
		[KEEL_A_IRQ_TARGET_SEQ] = U32(keel_irq_target, seq),
		[KEEL_A_IRQ_TARGET_MOVES] = U64(keel_irq_target, moves),
		[KEEL_A_IRQ_TARGET_MODE] = U32(keel_irq_target, mode),
		[KEEL_A_IRQ_TARGET_FALLBACK] = U32(keel_irq_target, fallback),
		[KEEL_A_IRQ_TARGET_POSTED] = U32(keel_irq_target, posted),
	};
	struct nlattr *tb[KEEL_A_IRQ_TARGET_MAX + 1];

	if (!attrs[KEEL_A_IRQ_TARGET])
		return -EBADMSG;
	return parse_take(attrs[KEEL_A_IRQ_TARGET], tb, KEEL_A_IRQ_TARGET_MAX,
			  fields, arg);
}

int keel_parse_irq_route(struct nlattr **attrs, void *arg)
{
	static const struct field fields[KEEL_A_IRQ_ROUTE_MAX + 1] = {
		[KEEL_A_IRQ_ROUTE_VM] = U32(keel_irq_route, vm),
		[KEEL_A_IRQ_ROUTE_PID] = U32(keel_irq_route, pid),
		[KEEL_A_IRQ_ROUTE_GSI] = U32(keel_irq_route, gsi),
		[KEEL_A_IRQ_ROUTE_IRQ] = U32(keel_irq_route, irq),
		[KEEL_A_IRQ_ROUTE_DEVICE] = STR(keel_irq_route, device),
		[KEEL_A_IRQ_ROUTE_DEST] = U32(keel_irq_route, dest),
		[KEEL_A_IRQ_ROUTE_VECTOR] = U32(keel_irq_route, vector),
		[KEEL_A_IRQ_ROUTE_VCPU] = U32(keel_irq_route, vcpu),
		[KEEL_A_IRQ_ROUTE_TARGETS] = U32(keel_irq_route, targets),
		[KEEL_A_IRQ_ROUTE_AIM] = U32(keel_irq_route, aim),
		[KEEL_A_IRQ_ROUTE_CPU] = U32(keel_irq_route, cpu),
		[KEEL_A_IRQ_ROUTE_TOTAL] = U64(keel_irq_route, total),
		[KEEL_A_IRQ_ROUTE_DIRECT] = U64(keel_irq_route, direct),
		[KEEL_A_IRQ_ROUTE_NEAR] = U64(keel_irq_route, near),
		[KEEL_A_IRQ_ROUTE_FAR] = U64(keel_irq_route, far),
		[KEEL_A_IRQ_ROUTE_HALTED] = U64(keel_irq_route, halted),
		[KEEL_A_IRQ_ROUTE_PREEMPTED] = U64(keel_irq_route, preempted),
		[KEEL_A_IRQ_ROUTE_PAUSED] = U64(keel_irq_route, paused),
		[KEEL_A_IRQ_ROUTE_HOME] = U64(keel_irq_route, home),
		[KEEL_A_IRQ_ROUTE_AIMS] = U64(keel_irq_route, aims),
		[KEEL_A_IRQ_ROUTE_REFUSED] = U64(keel_irq_route, refused),
		[KEEL_A_IRQ_ROUTE_ID] = U32(keel_irq_route, id),
		[KEEL_A_IRQ_ROUTE_PROGRAMMED] = U32(keel_irq_route, programmed),
	};
	struct nlattr *tb[KEEL_A_IRQ_ROUTE_MAX + 1];
	struct keel_irq_route *route = arg;

	if (!attrs[KEEL_A_IRQ_ROUTE])
		return -EBADMSG;
	route->vcpu = -1;
	route->programmed = -1;
	route->cpu = -1;
	return parse_take(attrs[KEEL_A_IRQ_ROUTE], tb, KEEL_A_IRQ_ROUTE_MAX,
			  fields, route);
}

/** keel_irq_get() - what is done for directed interrupts */
int keel_irq_get(struct keel *keel, struct keel_irq *irq)
{
	struct reply r = { .parse = keel_parse_irq, .arg = irq };

	*irq = (struct keel_irq){ 0 };
	return nl_request(keel, KEEL_CMD_IRQ_GET, NLM_F_ACK, NULL, &r);
}

/**
 * keel_irq_set() - do more or less
 * @keel: the connection
 * @mode: enum keel_irq_mode, or KEEL_AS_USUAL: as it is
 * @fallback: enum keel_irq_fallback, likewise
 *
 * When it returns from KEEL_IRQ_MODE_OFF all interrupts have the affinity that they
 * had; a thread that waits for a device may take a while to let go.
 */
int keel_irq_set(struct keel *keel, uint32_t mode, uint32_t fallback)
{
	struct attr attr[3] = { { 0 } }, *a = attr;
	struct reply r = { 0 };

	if (mode != KEEL_AS_USUAL)
		*a++ = (struct attr)ATTR_U32(KEEL_A_STEER, &mode);
	if (fallback != KEEL_AS_USUAL)
		*a++ = (struct attr)ATTR_U32(KEEL_A_FALLBACK, &fallback);
	return nl_request(keel, KEEL_CMD_IRQ_SET, NLM_F_ACK, attr, &r);
}

/**
 * keel_irq_set_vm() - the same for one VM, until all is turned off
 * @keel: the connection
 * @vm: keel's id of it
 * @vcpu: -1, or KVM's number of a vCPU whose fallback is set
 * @mode: of the VM; KEEL_IRQ_MODE_OFF: as the host
 * @fallback: KEEL_IRQ_FALLBACK_INHERIT: none of its own
 */
int keel_irq_set_vm(struct keel *keel, uint32_t vm, int64_t vcpu, uint32_t mode,
		    uint32_t fallback)
{
	struct attr attr[5] = { ATTR_U32(KEEL_A_ID, &vm) }, *a = attr + 1;
	struct reply r = { 0 };
	uint32_t number = vcpu;

	if (vcpu >= 0)
		*a++ = (struct attr)ATTR_U32(KEEL_A_VCPU, &number);
	if (mode != KEEL_AS_USUAL)
		*a++ = (struct attr)ATTR_U32(KEEL_A_STEER, &mode);
	if (fallback != KEEL_AS_USUAL)
		*a++ = (struct attr)ATTR_U32(KEEL_A_FALLBACK, &fallback);
	return nl_request(keel, KEEL_CMD_IRQ_SET, NLM_F_ACK, attr, &r);
}

/**
 * keel_irq_route_add() - have an eventfd passed on where its target runs
 * @keel: the connection
 * @vm: keel's id of the VM
 * @vcpu: KVM's number of the target, or -1: whom the guest means with @sink's interrupt
 * @source: an eventfd that nobody else reads from
 * @sink: the one that is signalled then
 * @id: (out) of the route
 *
 * Both may be closed then; the route ends when nobody has @source open any more.
 */
int keel_irq_route_add(struct keel *keel, uint32_t vm, int64_t vcpu, int source,
		       int sink, uint32_t *id)
{
	uint32_t from = source, to = sink, number = vcpu;
	struct keel_irq_route route = { 0 };
	struct attr attr[5] = {
		ATTR_U32(KEEL_A_ID, &vm),
		ATTR_U32(KEEL_A_SOURCE_FD, &from),
		ATTR_U32(KEEL_A_SINK_FD, &to),
	};
	struct reply r = { .parse = keel_parse_irq_route, .arg = &route };
	int err;

	if (vcpu >= 0)
		attr[3] = (struct attr)ATTR_U32(KEEL_A_VCPU, &number);
	err = nl_request(keel, KEEL_CMD_IRQ_ROUTE_ADD, NLM_F_ACK, attr, &r);
	*id = route.id;
	return err;
}

/** keel_irq_route_del() - pass it on no more; what comes stays in the source */
int keel_irq_route_del(struct keel *keel, uint32_t id)
{
	const struct attr attr[] = { ATTR_U32(KEEL_A_ID, &id), { 0 } };
	struct reply r = { 0 };

	return nl_request(keel, KEEL_CMD_IRQ_ROUTE_DEL, NLM_F_ACK, attr, &r);
}

/**
 * keel_irq_targets() - the vCPUs of all VMs that have a table
 * @keel: the connection
 * @targets: (out) array for free(); those of a VM stand together
 *
 * Return: how many, or a negative errno.
 */
int keel_irq_targets(struct keel *keel, struct keel_irq_target **targets)
{
	return nl_list(keel, KEEL_CMD_IRQ_TARGET_GET, keel_parse_irq_target,
		       sizeof(**targets), targets);
}

/**
 * keel_irq_routes() - the device interrupts that belong to VMs
 * @keel: the connection
 * @routes: (out) array for free(); those of a VM stand together
 *
 * Return: how many, or a negative errno.
 */
int keel_irq_routes(struct keel *keel, struct keel_irq_route **routes)
{
	return nl_list(keel, KEEL_CMD_IRQ_ROUTE_GET, keel_parse_irq_route,
		       sizeof(**routes), routes);
}
