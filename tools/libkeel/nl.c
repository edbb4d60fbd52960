// SPDX-License-Identifier: GPL-2.0
/*
 * Generic netlink: requests with one answer, dumps, events.
 *
 * A request runs to its end before the function returns, so that a struct keel
 * has no state between calls but the last error. Events use a connection of
 * their own: one that is subscribed is used for nothing else.
 */
#include <errno.h>
#include <linux/netlink.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/netlink.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "nl.h"
#include "parse.h"

static int fail(struct keel *keel, int err, const char *text)
{
	snprintf(keel->error, sizeof(keel->error), "%s",
		 text ? text : strerror(-err));
	return err;
}

static void extack_take(struct keel *keel, const struct nlmsgerr *e)
{
	const struct nlmsghdr *nlh = (const struct nlmsghdr *)e - 1;
	struct nlattr *tb[NLMSGERR_ATTR_MAX + 1];
	size_t off = sizeof(*e);

	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!(nlh->nlmsg_flags & NLM_F_CAPPED))
		off += e->msg.nlmsg_len - sizeof(e->msg);
	off = NLMSG_ALIGN(off);
	if (nlh->nlmsg_len < NLMSG_HDRLEN + off)
		return;
	if (nla_parse(tb, NLMSGERR_ATTR_MAX, (struct nlattr *)((char *)e + off),
		      nlh->nlmsg_len - NLMSG_HDRLEN - off, NULL) < 0)
		return;
	if (tb[NLMSGERR_ATTR_MSG])
		snprintf(keel->error, sizeof(keel->error), "%s",
			 nla_get_string(tb[NLMSGERR_ATTR_MSG]));
}

static int on_error(struct sockaddr_nl *nla, struct nlmsgerr *e, void *arg)
{
	struct reply *r = arg;

	(void)nla;
	r->err = e->error;
	r->done = true;
	if (e->error) {
		fail(r->keel, e->error, NULL);
		extack_take(r->keel, e);
	}
	return NL_STOP;
}

static int on_finish(struct nl_msg *msg, void *arg)
{
	struct nlmsghdr *nlh = nlmsg_hdr(msg);
	struct reply *r = arg;

	r->done = true;
	if (nlh->nlmsg_len >= NLMSG_LENGTH(sizeof(int)) && !r->err) {
		r->err = *(int *)NLMSG_DATA(nlh);
		if (r->err)
			fail(r->keel, r->err, NULL);
	}
	return NL_STOP;
}

static int on_ack(struct nl_msg *msg, void *arg)
{
	struct reply *r = arg;

	(void)msg;
	r->done = true;
	return NL_STOP;
}

static int on_valid(struct nl_msg *msg, void *arg)
{
	struct nlattr *attrs[KEEL_A_MAX + 1];
	struct reply *r = arg;
	int err;

	err = genlmsg_parse(nlmsg_hdr(msg), 0, attrs, KEEL_A_MAX, NULL);
	if (err < 0)
		err = -EBADMSG;
	else
		err = r->parse ? r->parse(attrs, r->arg) : 0;
	if (err && !r->err)
		r->err = fail(r->keel, err, err == -EBADMSG ?
			      "the kernel's answer does not parse: tools and module differ in version" :
			      NULL);
	return NL_OK;
}

int nl_request(struct keel *keel, uint8_t cmd, int flags, const struct attr *attr,
	       struct reply *r)
{
	struct nl_msg *msg = nlmsg_alloc();
	struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
	int err = -ENOMEM;

	r->keel = keel;
	keel->error[0] = 0;
	if (!msg || !cb || !genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ,
					keel->family, 0, flags, cmd,
					KEEL_GENL_VERSION))
		goto out;
	for (; attr && attr->type; attr++)
		if (nla_put(msg, attr->type, attr->len, attr->data) < 0)
			goto out;
	nl_cb_err(cb, NL_CB_CUSTOM, on_error, r);
	nl_cb_set(cb, NL_CB_FINISH, NL_CB_CUSTOM, on_finish, r);
	nl_cb_set(cb, NL_CB_ACK, NL_CB_CUSTOM, on_ack, r);
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_valid, r);
	err = nl_send_auto(keel->sock, msg);
	while (err >= 0 && !r->done) {
		err = nl_recvmsgs(keel->sock, cb);
		if (err == -NLE_INTR || err == -NLE_DUMP_INTR)
			err = 0;
	}
	if (r->err)
		err = r->err;
	else if (err < 0)
		err = fail(keel, -EIO, nl_geterror(err));
out:
	if (err == -ENOMEM && !keel->error[0])
		fail(keel, err, NULL);
	nl_cb_put(cb);
	nlmsg_free(msg);
	return err < 0 ? err : 0;
}

/* A list of what holds nothing that would have to be freed. */
struct flat {
	void *items;
	uint32_t nr;
	size_t size;
	int (*parse)(struct nlattr **attrs, void *item);
};

static int flat_append(struct nlattr **attrs, void *arg)
{
	struct flat *f = arg;
	void *item = parse_grow(&f->items, &f->nr, f->size);

	return item ? f->parse(attrs, item) : -ENOMEM;
}

/**
 * nl_list() - all that a dump tells
 * @keel: the connection
 * @cmd: the request
 * @parse: one of them, into @size bytes that are zero
 * @size: of each
 * @items: (out) pointer to an array for free()
 *
 * Return: how many, or a negative errno.
 */
int nl_list(struct keel *keel, uint8_t cmd,
	    int (*parse)(struct nlattr **attrs, void *item), size_t size,
	    void *items)
{
	struct flat f = { .size = size, .parse = parse };
	struct reply r = { .parse = flat_append, .arg = &f };
	int err = nl_request(keel, cmd, NLM_F_DUMP, NULL, &r);

	if (err) {
		free(f.items);
		f.items = NULL;
	}
	*(void **)items = f.items;
	return err ?: (int)f.nr;
}

/**
 * keel_open() - connect to the keel module
 * @keel: (out) the connection; also on failure, to ask keel_error(), and to be
 *	closed then too
 *
 * Return: 0; -ENOENT if the module is not loaded.
 */
int keel_open(struct keel **out)
{
	struct timeval tv = { .tv_sec = 10 };
	struct keel *keel = calloc(1, sizeof(*keel));
	int one = 1, err;

	*out = keel;
	if (!keel)
		return -ENOMEM;
	keel->sock = nl_socket_alloc();
	if (!keel->sock)
		return fail(keel, -ENOMEM, NULL);
	err = genl_connect(keel->sock);
	if (err < 0)
		return fail(keel, -EIO, nl_geterror(err));
	nl_socket_enable_msg_peek(keel->sock);
	setsockopt(nl_socket_get_fd(keel->sock), SOL_NETLINK, NETLINK_EXT_ACK,
		   &one, sizeof(one));
	setsockopt(nl_socket_get_fd(keel->sock), SOL_SOCKET, SO_RCVTIMEO,
		   &tv, sizeof(tv));
	keel->family = genl_ctrl_resolve(keel->sock, KEEL_GENL_NAME);
	if (keel->family < 0)
		return fail(keel, -ENOENT,
			    "the keel module is not loaded; run 'modprobe keel'");
	return 0;
}

/** keel_close() - end a connection; NULL is fine */
void keel_close(struct keel *keel)
{
	if (!keel)
		return;
	nl_socket_free(keel->sock);
	free(keel);
}

/** keel_error() - a sentence for the last failure on this connection */
const char *keel_error(const struct keel *keel)
{
	return keel && keel->error[0] ? keel->error : "out of memory";
}

/** keel_host_get() - the module's version and what it holds */
int keel_host_get(struct keel *keel, struct keel_host *host)
{
	struct reply r = { .parse = keel_parse_host, .arg = host };

	memset(host, 0, sizeof(*host));
	return nl_request(keel, KEEL_CMD_HOST_GET, NLM_F_ACK, NULL, &r);
}

/** keel_vm_get() - one VM by id; to be given to keel_vm_release() */
int keel_vm_get(struct keel *keel, uint32_t id, struct keel_vm *vm)
{
	const struct attr attr[] = { ATTR_U32(KEEL_A_ID, &id), { 0 } };
	struct reply r = { .parse = keel_parse_vm, .arg = vm };
	int err;

	memset(vm, 0, sizeof(*vm));
	err = nl_request(keel, KEEL_CMD_VM_GET, NLM_F_ACK, attr, &r);
	if (err)
		keel_vm_release(vm);
	return err;
}

/** keel_vm_release() - free what a VM holds, not the struct itself */
void keel_vm_release(struct keel_vm *vm)
{
	free(vm->vcpu);
	free(vm->region);
	memset(vm, 0, sizeof(*vm));
}

/** keel_vm_list_free() - free what keel_vm_list() gave */
void keel_vm_list_free(struct keel_vm *vms, int nr)
{
	for (int i = 0; i < nr; i++)
		keel_vm_release(&vms[i]);
	free(vms);
}

static int vm_append(struct nlattr **attrs, void *arg)
{
	struct list *l = arg;
	struct keel_vm *vms = realloc(l->items, (l->nr + 1) * sizeof(*vms));

	if (!vms)
		return -ENOMEM;
	l->items = vms;
	memset(&vms[l->nr], 0, sizeof(*vms));
	return keel_parse_vm(attrs, &vms[l->nr++]);
}

/**
 * keel_vm_list() - all VMs of the host
 * @keel: the connection
 * @vms: (out) array for keel_vm_list_free()
 *
 * Return: how many, or a negative errno.
 */
int keel_vm_list(struct keel *keel, struct keel_vm **vms)
{
	struct list l = { 0 };
	struct reply r = { .parse = vm_append, .arg = &l };
	int err = nl_request(keel, KEEL_CMD_VM_GET, NLM_F_DUMP, NULL, &r);

	*vms = l.items;
	if (!err)
		return l.nr;
	keel_vm_list_free(l.items, l.nr);
	*vms = NULL;
	return err;
}

/** keel_snapshot_get() - one snapshot by id */
int keel_snapshot_get(struct keel *keel, uint32_t id,
		      struct keel_snapshot *snapshot)
{
	const struct attr attr[] = { ATTR_U32(KEEL_A_ID, &id), { 0 } };
	struct reply r = { .parse = keel_parse_snapshot, .arg = snapshot };

	memset(snapshot, 0, sizeof(*snapshot));
	return nl_request(keel, KEEL_CMD_SNAPSHOT_GET, NLM_F_ACK, attr, &r);
}

/**
 * keel_snapshot_list() - all snapshots the module holds
 * @keel: the connection
 * @snapshots: (out) array for free()
 *
 * Return: how many, or a negative errno.
 */
int keel_snapshot_list(struct keel *keel, struct keel_snapshot **snapshots)
{
	return nl_list(keel, KEEL_CMD_SNAPSHOT_GET, keel_parse_snapshot,
		       sizeof(**snapshots), snapshots);
}

/** keel_snapshot_abort() - abort by id; -EALREADY if it has ended */
int keel_snapshot_abort(struct keel *keel, uint32_t id)
{
	const struct attr attr[] = { ATTR_U32(KEEL_A_ID, &id), { 0 } };
	struct reply r = { 0 };

	return nl_request(keel, KEEL_CMD_SNAPSHOT_ABORT, NLM_F_ACK, attr, &r);
}

/** keel_matrix_get() - the latency matrix, and what it was chosen from */
int keel_matrix_get(struct keel *keel, struct keel_matrix *matrix)
{
	struct reply r = { .parse = keel_parse_matrix, .arg = matrix };

	memset(matrix, 0, sizeof(*matrix));
	return nl_request(keel, KEEL_CMD_MATRIX_GET, NLM_F_ACK, NULL, &r);
}

/**
 * keel_matrix_measure() - measure the host's latencies
 * @keel: the connection
 * @budget_us: time for each pair of nodes in microseconds; 0 for the usual
 * @loaded: have other CPUs use the memory meanwhile
 *
 * Returns when that is done: some tens of milliseconds for each pair of nodes.
 * Return: 0; -EINTR on a signal.
 */
int keel_matrix_measure(struct keel *keel, uint32_t budget_us, bool loaded)
{
	struct attr attr[3] = { { 0 } }, *a = attr;
	struct reply r = { 0 };

	if (budget_us)
		*a++ = (struct attr)ATTR_U32(KEEL_A_BUDGET_US, &budget_us);
	if (loaded)
		*a++ = (struct attr){ .type = KEEL_A_LOADED };
	return nl_request(keel, KEEL_CMD_MATRIX_MEASURE, NLM_F_ACK, attr, &r);
}

/**
 * keel_matrix_load() - use this matrix rather than any other
 * @keel: the connection
 * @nr: nodes, at most KEEL_NODES_MAX; 0: no more
 * @node: their ids
 * @latency: @nr by @nr, tenths of ns
 */
int keel_matrix_load(struct keel *keel, uint32_t nr, const uint32_t *node,
		     const uint16_t *latency)
{
	const struct attr attr[] = {
		{ KEEL_A_NODES, nr * sizeof(*node), node },
		{ KEEL_A_LATENCY, nr * nr * sizeof(*latency), latency },
		{ 0 }
	};
	struct reply r = { 0 };

	return nl_request(keel, KEEL_CMD_MATRIX_LOAD, NLM_F_ACK, nr ? attr : NULL,
		       &r);
}

/** keel_place_get() - how placement is done; for keel_place_release() */
int keel_place_get(struct keel *keel, struct keel_place *place)
{
	struct reply r = { .parse = keel_parse_place, .arg = place };
	int err;

	memset(place, 0, sizeof(*place));
	err = nl_request(keel, KEEL_CMD_PLACE_GET, NLM_F_ACK, NULL, &r);
	if (err)
		keel_place_release(place);
	return err;
}

/** keel_place_release() - free what keel_place_get() gave */
void keel_place_release(struct keel_place *place)
{
	free(place->site);
	memset(place, 0, sizeof(*place));
}

/** keel_place_start() - begin to place, or go on in another way */
int keel_place_start(struct keel *keel, const struct keel_place_options *o)
{
	struct attr attr[6] = { { 0 } }, *a = attr;
	struct reply r = { 0 };

	if (o->period_ms)
		*a++ = (struct attr)ATTR_U32(KEEL_A_PERIOD_MS, &o->period_ms);
	if (o->temper != KEEL_AS_USUAL)
		*a++ = (struct attr)ATTR_U32(KEEL_A_TEMPER, &o->temper);
	if (o->grain != KEEL_AS_USUAL)
		*a++ = (struct attr)ATTR_U32(KEEL_A_GRAIN, &o->grain);
	if (o->samples)
		*a++ = (struct attr)ATTR_U32(KEEL_A_SAMPLES, &o->samples);
	if (o->memory_mib != KEEL_AS_USUAL)
		*a++ = (struct attr)ATTR_U32(KEEL_A_MEMORY_MIB, &o->memory_mib);
	return nl_request(keel, KEEL_CMD_PLACE_START, NLM_F_ACK, attr, &r);
}

/** keel_place_stop() - place no more; -EALREADY if nothing was placed */
int keel_place_stop(struct keel *keel)
{
	struct reply r = { 0 };

	return nl_request(keel, KEEL_CMD_PLACE_STOP, NLM_F_ACK, NULL, &r);
}

/** keel_place_mode() - is a VM to be placed? */
int keel_place_mode(struct keel *keel, uint32_t vm, enum keel_place_mode mode)
{
	uint32_t m = mode;
	const struct attr attr[] = {
		ATTR_U32(KEEL_A_ID, &vm), ATTR_U32(KEEL_A_MODE, &m), { 0 }
	};
	struct reply r = { 0 };

	return nl_request(keel, KEEL_CMD_PLACE_MODE, NLM_F_ACK, attr, &r);
}

/* A thread at a time; those of a VM come one after the other. */
static int place_vm_append(struct nlattr **attrs, void *arg)
{
	struct nlattr *nest = attrs[KEEL_A_PLACE_VM], *id;
	struct list *l = arg;
	struct keel_place_vm *vms = l->items;

	id = nest ? nla_find(nla_data(nest), nla_len(nest), KEEL_A_PLACE_VM_ID) :
		    NULL;
	if (!id)
		return -EBADMSG;
	if (!l->nr || vms[l->nr - 1].id != nla_get_u32(id)) {
		vms = realloc(vms, (l->nr + 1) * sizeof(*vms));
		if (!vms)
			return -ENOMEM;
		l->items = vms;
		memset(&vms[l->nr++], 0, sizeof(*vms));
	}
	return keel_parse_place_vm(attrs, &vms[l->nr - 1]);
}

/**
 * keel_place_vm_list() - all VMs, and their threads as placement sees them
 * @keel: the connection
 * @vms: (out) array for keel_place_vm_list_free()
 *
 * Return: how many, or a negative errno.
 */
int keel_place_vm_list(struct keel *keel, struct keel_place_vm **vms)
{
	struct list l = { 0 };
	struct reply r = { .parse = place_vm_append, .arg = &l };
	int err = nl_request(keel, KEEL_CMD_PLACE_VM_GET, NLM_F_DUMP, NULL, &r);

	*vms = l.items;
	if (!err)
		return l.nr;
	keel_place_vm_list_free(l.items, l.nr);
	*vms = NULL;
	return err;
}

/** keel_place_vm_list_free() - free what keel_place_vm_list() gave */
void keel_place_vm_list_free(struct keel_place_vm *vms, int nr)
{
	for (int i = 0; i < nr; i++)
		keel_place_vm_release(&vms[i]);
	free(vms);
}

/** keel_place_explain() - what each site would be for a vCPU: @vm->reason */
int keel_place_explain(struct keel *keel, uint32_t id, uint32_t vcpu,
		       struct keel_place_vm *vm)
{
	const struct attr attr[] = {
		ATTR_U32(KEEL_A_ID, &id), ATTR_U32(KEEL_A_VCPU, &vcpu), { 0 }
	};
	struct reply r = { .parse = keel_parse_place_vm, .arg = vm };
	int err;

	memset(vm, 0, sizeof(*vm));
	err = nl_request(keel, KEEL_CMD_PLACE_EXPLAIN, NLM_F_ACK, attr, &r);
	if (err)
		keel_place_vm_release(vm);
	return err;
}

/** keel_place_vm_release() - free what a VM holds, not the struct itself */
void keel_place_vm_release(struct keel_place_vm *vm)
{
	free(vm->thread);
	free(vm->reason);
	memset(vm, 0, sizeof(*vm));
}

/**
 * keel_decision_get() - the last decision, and all that it was made of
 * @keel: the connection
 * @d: (out) for keel_decision_release()
 *
 * Return: 0; -EAGAIN if there is none, or another one was made meanwhile.
 */
int keel_decision_get(struct keel *keel, struct keel_decision *d)
{
	struct reply r = { .parse = keel_parse_decision, .arg = d };
	int err;

	memset(d, 0, sizeof(*d));
	err = nl_request(keel, KEEL_CMD_PLACE_DECISION_GET, NLM_F_DUMP, NULL, &r);
	if (!err && d->nr != d->nr_tasks)
		err = -EAGAIN;
	if (err)
		keel_decision_release(d);
	return err;
}

/** keel_decision_release() - free what keel_decision_get() gave */
void keel_decision_release(struct keel_decision *d)
{
	free(d->site);
	free(d->task);
	free(d->touched);
	memset(d, 0, sizeof(*d));
}

/** keel_events_subscribe() - make this connection one that hears events */
int keel_events_subscribe(struct keel *keel)
{
	struct timeval tv = { 0 };
	int err, group;

	group = genl_ctrl_resolve_grp(keel->sock, KEEL_GENL_NAME,
				      KEEL_MCGRP_EVENTS);
	if (group < 0)
		return fail(keel, -ENOENT, "the module announces no events");
	nl_socket_disable_seq_check(keel->sock);
	nl_socket_set_buffer_size(keel->sock, 1 << 20, 0);
	setsockopt(nl_socket_get_fd(keel->sock), SOL_SOCKET, SO_RCVTIMEO,
		   &tv, sizeof(tv));
	err = nl_socket_add_membership(keel->sock, group);
	if (err < 0)
		return fail(keel, -EPERM, nl_geterror(err));
	return 0;
}

/** keel_fd() - what can be read when a subscribed connection has events */
int keel_fd(const struct keel *keel)
{
	return nl_socket_get_fd(keel->sock);
}

struct event_slot {
	struct keel_event *event;
	int err;
};

static int on_event(struct nl_msg *msg, void *arg)
{
	struct genlmsghdr *genl = nlmsg_data(nlmsg_hdr(msg));
	struct nlattr *attrs[KEEL_A_MAX + 1];
	struct event_slot *slot = arg;
	struct keel_event *event = slot->event;

	if (genlmsg_parse(nlmsg_hdr(msg), 0, attrs, KEEL_A_MAX, NULL) < 0)
		return NL_SKIP;
	switch (genl->cmd) {
	case KEEL_CMD_VM_NEW_NTF:
		event->type = KEEL_EVENT_VM_NEW;
		slot->err = keel_parse_vm(attrs, &event->vm);
		break;
	case KEEL_CMD_VM_DEL_NTF:
		event->type = KEEL_EVENT_VM_DEL;
		slot->err = keel_parse_vm(attrs, &event->vm);
		break;
	case KEEL_CMD_SNAPSHOT_NTF:
		event->type = KEEL_EVENT_SNAPSHOT;
		slot->err = keel_parse_snapshot(attrs, &event->snapshot);
		break;
	case KEEL_CMD_PLACE_MOVE_NTF:
		event->type = KEEL_EVENT_MOVE;
		slot->err = keel_parse_move(attrs, &event->move);
		break;
	case KEEL_CMD_POOL_VF_NTF:
		event->type = KEEL_EVENT_POOL_VF;
		slot->err = keel_parse_pool_vf(attrs, &event->pool_vf);
		break;
	case KEEL_CMD_POOL_PORT_NTF:
	case KEEL_CMD_POOL_PORT_GONE_NTF:
		event->type = genl->cmd == KEEL_CMD_POOL_PORT_NTF ?
			      KEEL_EVENT_POOL_PORT : KEEL_EVENT_POOL_PORT_GONE;
		slot->err = keel_parse_pool_port(attrs, &event->pool_port);
		break;
	case KEEL_CMD_SWITCH_PORT_NTF:
		event->type = KEEL_EVENT_SWITCH_PORT;
		slot->err = keel_parse_switch_port(attrs, &event->switch_port);
		break;
	default:
		break;
	}
	return NL_STOP;
}

/* Events answer nothing: their sequence numbers are not ours. */
static int any_sequence(struct nl_msg *msg, void *arg)
{
	(void)msg;
	(void)arg;
	return NL_OK;
}

/**
 * keel_events_next() - wait for an event
 * @keel: a subscribed connection
 * @event: (out) @event->vm is to be given to keel_vm_release()
 * @ms: for so long
 *
 * Return: 0; -EAGAIN if none came; -EINTR on a signal; -ENOBUFS if events were
 * lost.
 */
int keel_events_next(struct keel *keel, struct keel_event *event, int ms)
{
	struct pollfd p = { .fd = nl_socket_get_fd(keel->sock),
			    .events = POLLIN };
	struct event_slot slot = { .event = event, .err = -EAGAIN };
	struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
	int err = 0;

	memset(event, 0, sizeof(*event));
	if (!cb)
		return fail(keel, -ENOMEM, NULL);
	nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_event, &slot);
	nl_cb_set(cb, NL_CB_SEQ_CHECK, NL_CB_CUSTOM, any_sequence, NULL);
	/* Some may be of a kind that is not known here. */
	while (err >= 0 && slot.err == -EAGAIN) {
		/* The library goes on receiving after a signal. */
		err = poll(&p, 1, ms);
		if (err <= 0) {
			nl_cb_put(cb);
			return fail(keel, err ? -errno : -EAGAIN, NULL);
		}
		err = nl_recvmsgs(keel->sock, cb);
	}
	nl_cb_put(cb);
	if (err == -NLE_INTR)
		return fail(keel, -EINTR, NULL);
	if (err == -NLE_NOMEM)
		return fail(keel, -ENOBUFS, "events came faster than they were read; some are lost");
	if (err < 0)
		return fail(keel, -EIO, nl_geterror(err));
	return slot.err ? fail(keel, slot.err, NULL) : 0;
}
