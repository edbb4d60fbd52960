// SPDX-License-Identifier: GPL-2.0
/*
 * A generic netlink client that hides nothing: tests must be able to send
 * what no library would.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/genetlink.h>
#include <linux/netlink.h>

#include "keeltest.h"

#ifndef SOL_NETLINK
#define SOL_NETLINK 270
#endif

#define NLA_FOR(a, p, left)						\
	for (a = (struct nlattr *)(p);					\
	     (left) >= (int)sizeof(*a) && a->nla_len >= sizeof(*a) &&	\
	     a->nla_len <= (left);					\
	     (left) -= NLA_ALIGN(a->nla_len),				\
	     a = (struct nlattr *)((char *)a + NLA_ALIGN(a->nla_len)))

static int type(const struct nlattr *a)
{
	return a->nla_type & NLA_TYPE_MASK;
}

static const void *data(const struct nlattr *a)
{
	return (const char *)a + NLA_HDRLEN;
}

static int len(const struct nlattr *a)
{
	return a->nla_len - NLA_HDRLEN;
}

/* Numbers of any width, as the kernel may send u32 or uint. */
static uint64_t num(const struct nlattr *a)
{
	uint64_t v = 0;

	if (len(a) <= (int)sizeof(v))
		memcpy(&v, data(a), len(a));
	return v;
}

static void str(char *to, size_t room, const struct nlattr *a)
{
	size_t n = len(a) < (int)room - 1 ? len(a) : (int)room - 1;

	memcpy(to, data(a), n);
	to[n] = '\0';
}

size_t knl_begin(struct knl *nl, void *buf, uint8_t cmd, uint16_t flags)
{
	struct nlmsghdr *h = buf;
	struct genlmsghdr *g = NLMSG_DATA(h);

	memset(buf, 0, NLMSG_LENGTH(GENL_HDRLEN));
	h->nlmsg_type = nl->family;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	h->nlmsg_seq = ++nl->seq;
	g->cmd = cmd;
	g->version = KEEL_GENL_VERSION;
	return NLMSG_LENGTH(GENL_HDRLEN);
}

size_t knl_put(void *buf, size_t at, uint16_t t, const void *d, uint16_t n)
{
	struct nlattr *a = (void *)((char *)buf + at);

	a->nla_type = t;
	a->nla_len = NLA_HDRLEN + n;
	memset((char *)a + NLA_HDRLEN, 0, NLA_ALIGN(n));
	if (n)
		memcpy((char *)a + NLA_HDRLEN, d, n);
	return at + NLA_ALIGN(a->nla_len);
}

static void parse_extack(struct knl *nl, const struct nlmsghdr *h,
			 const int *err)
{
	size_t skip = sizeof(*h) + sizeof(*err);
	const struct nlattr *a;
	int left;

	nl->extack[0] = '\0';
	if (!(h->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (h->nlmsg_type == NLMSG_ERROR) {
		const struct nlmsgerr *e = NLMSG_DATA(h);

		skip += sizeof(e->msg);
		if (!(h->nlmsg_flags & NLM_F_CAPPED))
			skip += NLMSG_ALIGN(e->msg.nlmsg_len) -
				sizeof(e->msg);
	}
	left = h->nlmsg_len - skip;
	NLA_FOR(a, (const char *)h + skip, left)
		if (type(a) == NLMSGERR_ATTR_MSG)
			str(nl->extack, sizeof(nl->extack), a);
}

int knl_collect(struct knl *nl, uint32_t seq, bool dump)
{
	nl->rx_len = 0;
	nl->extack[0] = '\0';
	for (;;) {
		struct pollfd p = { .fd = nl->fd, .events = POLLIN };
		unsigned char *at = nl->rx + nl->rx_len;
		struct nlmsghdr *h;
		int n, left;

		if (poll(&p, 1, 10000) <= 0)
			return -ETIMEDOUT;
		n = recv(nl->fd, at, sizeof(nl->rx) - nl->rx_len, 0);
		if (n < 0)
			return -errno;
		left = n;
		for (h = (void *)at; NLMSG_OK(h, (unsigned int)left);
		     h = NLMSG_NEXT(h, left)) {
			int *err = NLMSG_DATA(h);

			if (h->nlmsg_seq != seq)
				continue;
			if (h->nlmsg_type == NLMSG_ERROR) {
				parse_extack(nl, h, err);
				if (*err || !dump)
					return *err;
			} else if (h->nlmsg_type == NLMSG_DONE) {
				parse_extack(nl, h, err);
				return *err;
			}
		}
		nl->rx_len += n;
		if (nl->rx_len > (int)sizeof(nl->rx) - 16384)
			return -EMSGSIZE;
	}
}

size_t knl_put_u32(void *buf, size_t at, uint16_t type, uint32_t value)
{
	return knl_put(buf, at, type, &value, sizeof(value));
}

int knl_talk(struct knl *nl, void *buf, size_t n)
{
	struct nlmsghdr *h = buf;
	bool dump = (h->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;

	h->nlmsg_len = n;
	if (!dump)
		h->nlmsg_flags |= NLM_F_ACK;
	if (send(nl->fd, buf, n, 0) < 0)
		return -errno;
	return knl_collect(nl, h->nlmsg_seq, dump);
}

/* Walk the answer's generic netlink messages; @at is 0 for the first. */
static struct nlmsghdr *next_msg(struct knl *nl, size_t *at)
{
	while (*at + sizeof(struct nlmsghdr) <= (size_t)nl->rx_len) {
		struct nlmsghdr *h = (void *)(nl->rx + *at);

		if (h->nlmsg_len < sizeof(*h))
			return NULL;
		*at += NLMSG_ALIGN(h->nlmsg_len);
		if (h->nlmsg_type >= NLMSG_MIN_TYPE)
			return h;
	}
	return NULL;
}

static struct nlattr *attrs(struct nlmsghdr *h, int *left)
{
	*left = h->nlmsg_len - NLMSG_LENGTH(GENL_HDRLEN);
	return (struct nlattr *)((char *)NLMSG_DATA(h) + GENL_HDRLEN);
}

static struct nlattr *find(struct nlmsghdr *h, int want)
{
	struct nlattr *a;
	int left;

	NLA_FOR(a, attrs(h, &left), left)
		if (type(a) == want)
			return a;
	return NULL;
}

static int resolve(struct knl *nl)
{
	char buf[256];
	const struct nlattr *a, *g, *x;
	struct nlmsghdr *h;
	size_t at = 0;
	int left, gleft, xleft, ret;

	nl->family = GENL_ID_CTRL;
	at = knl_begin(nl, buf, CTRL_CMD_GETFAMILY, 0);
	at = knl_put(buf, at, CTRL_ATTR_FAMILY_NAME, KEEL_GENL_NAME,
		     sizeof(KEEL_GENL_NAME));
	ret = knl_talk(nl, buf, at);
	if (ret)
		return ret;
	at = 0;
	h = next_msg(nl, &at);
	if (!h)
		return -ENOENT;
	NLA_FOR(a, attrs(h, &left), left) {
		if (type(a) == CTRL_ATTR_FAMILY_ID)
			nl->family = num(a);
		if (type(a) != CTRL_ATTR_MCAST_GROUPS)
			continue;
		gleft = len(a);
		NLA_FOR(g, data(a), gleft) {
			uint32_t id = 0;
			bool mine = false;

			xleft = len(g);
			NLA_FOR(x, data(g), xleft) {
				if (type(x) == CTRL_ATTR_MCAST_GRP_ID)
					id = num(x);
				if (type(x) == CTRL_ATTR_MCAST_GRP_NAME)
					mine = !strcmp(data(x),
						       KEEL_MCGRP_EVENTS);
			}
			if (mine)
				nl->group = id;
		}
	}
	return nl->family == GENL_ID_CTRL ? -ENOENT : 0;
}

int knl_open(struct knl *nl)
{
	struct sockaddr_nl sa = { .nl_family = AF_NETLINK };
	int one = 1, ret, size = 1 << 20;

	memset(nl, 0, sizeof(*nl));
	nl->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	if (nl->fd < 0)
		return -errno;
	setsockopt(nl->fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
	setsockopt(nl->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (bind(nl->fd, (struct sockaddr *)&sa, sizeof(sa))) {
		ret = -errno;
		close(nl->fd);
		return ret;
	}
	ret = resolve(nl);
	if (ret)
		close(nl->fd);
	return ret;
}

void knl_close(struct knl *nl)
{
	close(nl->fd);
	nl->fd = -1;
}

int knl_join_events(struct knl *nl)
{
	if (!nl->group)
		return -ENOENT;
	return setsockopt(nl->fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP,
			  &nl->group, sizeof(nl->group)) ? -errno : 0;
}

static int ask(struct knl *nl, uint8_t cmd, uint32_t id, struct nlattr **a,
	       int want)
{
	char buf[128];
	struct nlmsghdr *h;
	size_t at;
	int ret;

	at = knl_begin(nl, buf, cmd, 0);
	if (id)
		at = knl_put(buf, at, KEEL_A_ID, &id, sizeof(id));
	ret = knl_talk(nl, buf, at);
	if (ret || !a)
		return ret;
	at = 0;
	h = next_msg(nl, &at);
	*a = h ? find(h, want) : NULL;
	return *a ? 0 : -EBADMSG;
}

int knl_host_get(struct knl *nl, struct knl_host *host)
{
	struct nlattr *nest, *a;
	int left, ret;

	memset(host, 0, sizeof(*host));
	ret = ask(nl, KEEL_CMD_HOST_GET, 0, &nest, KEEL_A_HOST);
	if (ret)
		return ret;
	left = len(nest);
	NLA_FOR(a, data(nest), left) {
		switch (type(a)) {
		case KEEL_A_HOST_VERSION:
			str(host->version, sizeof(host->version), a);
			break;
		case KEEL_A_HOST_VMS:
			host->vms = num(a);
			break;
		case KEEL_A_HOST_SNAPSHOTS:
			host->snapshots = num(a);
			break;
		case KEEL_A_HOST_KEELFS_PAGES:
			host->keelfs_pages = num(a);
			break;
		case KEEL_A_HOST_POOL_PAGES:
			host->pool_pages = num(a);
			break;
		case KEEL_A_HOST_KEELFS_MOUNTS:
			host->mounts = num(a);
			break;
		}
	}
	return 0;
}

static void parse_vcpu(const struct nlattr *nest, struct knl_vcpu *v)
{
	const struct nlattr *a;
	int left = len(nest);

	memset(v, 0, sizeof(*v));
	NLA_FOR(a, data(nest), left) {
		switch (type(a)) {
		case KEEL_A_VCPU_INDEX:
			v->index = num(a);
			break;
		case KEEL_A_VCPU_TID:
			v->tid = num(a);
			break;
		case KEEL_A_VCPU_CPU:
			v->cpu = num(a);
			v->has_cpu = true;
			break;
		}
	}
}

static void parse_region(const struct nlattr *nest, struct knl_region *r)
{
	const struct nlattr *a;
	int left = len(nest);

	memset(r, 0, sizeof(*r));
	NLA_FOR(a, data(nest), left) {
		switch (type(a)) {
		case KEEL_A_REGION_SLOT:
			r->slot = num(a);
			break;
		case KEEL_A_REGION_GPA:
			r->gpa = num(a);
			break;
		case KEEL_A_REGION_SIZE:
			r->size = num(a);
			break;
		case KEEL_A_REGION_HVA:
			r->hva = num(a);
			break;
		case KEEL_A_REGION_BACKING:
			r->backing = num(a);
			break;
		case KEEL_A_REGION_INO:
			r->ino = num(a);
			break;
		case KEEL_A_REGION_DEV:
			r->dev = num(a);
			break;
		case KEEL_A_REGION_OFFSET:
			r->offset = num(a);
			break;
		}
	}
}

static void parse_vm(const struct nlattr *nest, struct knl_vm *vm)
{
	const struct nlattr *a;
	int left = len(nest);

	memset(vm, 0, sizeof(*vm));
	NLA_FOR(a, data(nest), left) {
		switch (type(a)) {
		case KEEL_A_VM_ID:
			vm->id = num(a);
			break;
		case KEEL_A_VM_PID:
			vm->pid = num(a);
			break;
		case KEEL_A_VM_COMM:
			str(vm->comm, sizeof(vm->comm), a);
			break;
		case KEEL_A_VM_MEMORY:
			vm->memory = num(a);
			break;
		case KEEL_A_VM_MEMORY_KEELFS:
			vm->memory_keelfs = num(a);
			break;
		case KEEL_A_VM_NR_VCPUS:
			vm->nr_vcpus = num(a);
			break;
		case KEEL_A_VM_VCPU:
			if (vm->vcpus < 16)
				parse_vcpu(a, &vm->vcpu[vm->vcpus++]);
			break;
		case KEEL_A_VM_REGION:
			if (vm->regions < 16)
				parse_region(a, &vm->region[vm->regions++]);
			break;
		case KEEL_A_VM_SNAPSHOT:
			vm->snapshot = num(a);
			break;
		}
	}
}

static void parse_snapshot(const struct nlattr *nest, struct knl_snapshot *s)
{
	const struct nlattr *a;
	int left = len(nest);

	memset(s, 0, sizeof(*s));
	NLA_FOR(a, data(nest), left) {
		switch (type(a)) {
		case KEEL_A_SNAPSHOT_ID:
			s->id = num(a);
			break;
		case KEEL_A_SNAPSHOT_VM:
			s->vm = num(a);
			break;
		case KEEL_A_SNAPSHOT_PID:
			s->pid = num(a);
			break;
		case KEEL_A_SNAPSHOT_STATE:
			s->state = num(a);
			break;
		case KEEL_A_SNAPSHOT_REASON:
			s->reason = num(a);
			break;
		case KEEL_A_SNAPSHOT_FILES:
			s->files = num(a);
			break;
		case KEEL_A_SNAPSHOT_PAGES:
			s->pages = num(a);
			break;
		case KEEL_A_SNAPSHOT_FAULT_PAGES:
			s->fault_pages = num(a);
			break;
		case KEEL_A_SNAPSHOT_SWEPT_PAGES:
			s->swept_pages = num(a);
			break;
		case KEEL_A_SNAPSHOT_POOL_PAGES:
			s->pool_pages = num(a);
			break;
		}
	}
}

int knl_vm_get(struct knl *nl, uint32_t id, struct knl_vm *vm)
{
	struct nlattr *a;
	int ret = ask(nl, KEEL_CMD_VM_GET, id, &a, KEEL_A_VM);

	if (!ret)
		parse_vm(a, vm);
	return ret;
}

int knl_vm_dump(struct knl *nl, struct knl_vm *vms, int max)
{
	struct nlmsghdr *h;
	struct nlattr *a;
	char buf[64];
	size_t at;
	int ret, n = 0;

	at = knl_begin(nl, buf, KEEL_CMD_VM_GET, NLM_F_DUMP);
	ret = knl_talk(nl, buf, at);
	if (ret)
		return ret;
	for (at = 0; (h = next_msg(nl, &at)); ) {
		a = find(h, KEEL_A_VM);
		if (!a)
			return -EBADMSG;
		if (n < max)
			parse_vm(a, &vms[n]);
		n++;
	}
	return n;
}

int knl_vm_of_pid(struct knl *nl, uint32_t pid, struct knl_vm *vm)
{
	struct knl_vm vms[64];
	int n = knl_vm_dump(nl, vms, 64), i;

	if (n < 0)
		return n;
	for (i = 0; i < n && i < 64; i++) {
		if (vms[i].pid == pid) {
			*vm = vms[i];
			return 0;
		}
	}
	return -ENOENT;
}

int knl_snapshot_get(struct knl *nl, uint32_t id, struct knl_snapshot *snap)
{
	struct nlattr *a;
	int ret = ask(nl, KEEL_CMD_SNAPSHOT_GET, id, &a, KEEL_A_SNAPSHOT);

	if (!ret)
		parse_snapshot(a, snap);
	return ret;
}

int knl_snapshot_abort(struct knl *nl, uint32_t id)
{
	return ask(nl, KEEL_CMD_SNAPSHOT_ABORT, id, NULL, 0);
}

int knl_place_get(struct knl *nl, struct knl_place *place)
{
	struct nlattr *nest, *a;
	int left, ret;

	memset(place, 0, sizeof(*place));
	ret = ask(nl, KEEL_CMD_PLACE_GET, 0, &nest, KEEL_A_PLACE);
	if (ret)
		return ret;
	left = len(nest);
	NLA_FOR(a, data(nest), left) {
		switch (type(a)) {
		case KEEL_A_PLACE_RUNNING:
			place->running = true;
			break;
		case KEEL_A_PLACE_PERIODS:
			place->periods = num(a);
			break;
		case KEEL_A_PLACE_MOVES:
			place->moves = num(a);
			break;
		case KEEL_A_PLACE_LEFT:
			place->left = num(a);
			break;
		case KEEL_A_PLACE_SAMPLED:
			place->sampled = num(a);
			break;
		}
	}
	return 0;
}

int knl_place_start(struct knl *nl, const struct knl_place_options *o)
{
	const struct {
		uint16_t type;
		uint32_t value;
	} attr[] = {
		{ KEEL_A_PERIOD_MS, o->period_ms },
		{ KEEL_A_TEMPER, o->temper },
		{ KEEL_A_GRAIN, o->grain },
		{ KEEL_A_SAMPLES, o->samples },
	};
	char buf[128];
	size_t at = knl_begin(nl, buf, KEEL_CMD_PLACE_START, 0), i;

	for (i = 0; i < sizeof(attr) / sizeof(*attr); i++)
		if (attr[i].value)
			at = knl_put(buf, at, attr[i].type, &attr[i].value, 4);
	return knl_talk(nl, buf, at);
}

int knl_place_stop(struct knl *nl)
{
	return ask(nl, KEEL_CMD_PLACE_STOP, 0, NULL, 0);
}

int knl_place_wait(struct knl *nl, uint64_t periods)
{
	struct knl_place now;
	int i, ret = 0;

	for (i = 0; i < 2000 && !ret; i++) {
		ret = knl_place_get(nl, &now);
		if (!ret && now.periods >= periods)
			return 0;
		nap_us(5000);
	}
	return ret ?: -ETIMEDOUT;
}

int knl_place_mode(struct knl *nl, uint32_t vm, uint32_t mode)
{
	char buf[64];
	size_t at = knl_begin(nl, buf, KEEL_CMD_PLACE_MODE, 0);

	at = knl_put(buf, at, KEEL_A_ID, &vm, sizeof(vm));
	at = knl_put(buf, at, KEEL_A_MODE, &mode, sizeof(mode));
	return knl_talk(nl, buf, at);
}

static int irq_set(struct knl *nl, uint16_t type, uint32_t value)
{
	char buf[64];
	size_t at = knl_begin(nl, buf, KEEL_CMD_IRQ_SET, 0);

	return knl_talk(nl, buf, knl_put_u32(buf, at, type, value));
}

int knl_irq_set(struct knl *nl, uint32_t mode)
{
	return irq_set(nl, KEEL_A_STEER, mode);
}

int knl_irq_fallback(struct knl *nl, uint32_t fallback)
{
	return irq_set(nl, KEEL_A_FALLBACK, fallback);
}

/* An attribute of the route that a message tells of, or NULL. */
static struct nlattr *route_attr(struct nlmsghdr *h, int want)
{
	struct nlattr *nest = find(h, KEEL_A_IRQ_ROUTE), *a;
	int left = nest ? len(nest) : 0;

	if (!nest)
		return NULL;
	NLA_FOR(a, data(nest), left)
		if (type(a) == want)
			return a;
	return NULL;
}

static uint64_t route_num(struct nlmsghdr *h, int want)
{
	struct nlattr *a = route_attr(h, want);

	return a ? num(a) : 0;
}

/* What is told of an explicit route; NULL with errno. */
static struct nlmsghdr *route_find(struct knl *nl, uint32_t id)
{
	char buf[64];
	size_t at = knl_begin(nl, buf, KEEL_CMD_IRQ_ROUTE_GET, NLM_F_DUMP);
	int ret = knl_talk(nl, buf, at);
	struct nlmsghdr *h;

	errno = ret ? -ret : ENOENT;
	if (ret)
		return NULL;
	for (at = 0; (h = next_msg(nl, &at)); )
		if (route_num(h, KEEL_A_IRQ_ROUTE_ID) == id)
			return h;
	return NULL;
}

int knl_irq_route_add(struct knl *nl, uint32_t vm, int vcpu, int source, int sink)
{
	char buf[128];
	size_t at = knl_begin(nl, buf, KEEL_CMD_IRQ_ROUTE_ADD, 0);
	struct nlmsghdr *h;
	int ret;

	at = knl_put(buf, at, KEEL_A_ID, &vm, sizeof(vm));
	at = knl_put(buf, at, KEEL_A_SOURCE_FD, &source, sizeof(source));
	at = knl_put(buf, at, KEEL_A_SINK_FD, &sink, sizeof(sink));
	if (vcpu >= 0)
		at = knl_put(buf, at, KEEL_A_VCPU, &vcpu, sizeof(vcpu));
	ret = knl_talk(nl, buf, at);
	if (ret)
		return ret;
	at = 0;
	h = next_msg(nl, &at);
	return h ? (int)route_num(h, KEEL_A_IRQ_ROUTE_ID) : -EBADMSG;
}

int knl_irq_route_del(struct knl *nl, uint32_t id)
{
	return ask(nl, KEEL_CMD_IRQ_ROUTE_DEL, id, NULL, 0);
}

int knl_irq_route_counts(struct knl *nl, uint32_t id, struct knl_irq_counts *c)
{
	struct nlmsghdr *h = route_find(nl, id);

	if (!h)
		return -errno;
	c->total = route_num(h, KEEL_A_IRQ_ROUTE_TOTAL);
	c->direct = route_num(h, KEEL_A_IRQ_ROUTE_DIRECT);
	c->near = route_num(h, KEEL_A_IRQ_ROUTE_NEAR);
	c->far = route_num(h, KEEL_A_IRQ_ROUTE_FAR);
	c->halted = route_num(h, KEEL_A_IRQ_ROUTE_HALTED);
	c->preempted = route_num(h, KEEL_A_IRQ_ROUTE_PREEMPTED);
	c->paused = route_num(h, KEEL_A_IRQ_ROUTE_PAUSED);
	c->home = route_num(h, KEEL_A_IRQ_ROUTE_HOME);
	return 0;
}

int knl_irq_route_vcpu(struct knl *nl, uint32_t id)
{
	struct nlmsghdr *h = route_find(nl, id);
	struct nlattr *a = h ? route_attr(h, KEEL_A_IRQ_ROUTE_VCPU) : NULL;

	if (!h)
		return -errno;
	return a ? (int)num(a) : -1;
}

int knl_event(struct knl *nl, int ms, struct knl_vm *vm,
	      struct knl_snapshot *snap)
{
	struct pollfd p = { .fd = nl->fd, .events = POLLIN };
	struct nlmsghdr *h = (void *)nl->rx;
	struct genlmsghdr *g;
	struct nlattr *a;

	if (poll(&p, 1, ms) <= 0)
		return -EAGAIN;
	nl->rx_len = recv(nl->fd, nl->rx, sizeof(nl->rx), 0);
	if (nl->rx_len < 0)
		return -errno;
	if (!NLMSG_OK(h, (unsigned int)nl->rx_len) ||
	    h->nlmsg_type != nl->family)
		return -EBADMSG;
	g = NLMSG_DATA(h);
	a = find(h, KEEL_A_VM);
	if (a && vm)
		parse_vm(a, vm);
	a = find(h, KEEL_A_SNAPSHOT);
	if (a && snap)
		parse_snapshot(a, snap);
	return g->cmd;
}
