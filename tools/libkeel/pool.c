// SPDX-License-Identifier: GPL-2.0
/* SR-IOV pools: attributes to structs, and requests. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "nl.h"
#include "parse.h"

static int parse_member(struct nlattr *nest, struct keel_pool *pool)
{
	static const struct field fields[KEEL_A_POOL_MEMBER_MAX + 1] = {
		[KEEL_A_POOL_MEMBER_PCI] = STR(keel_pool_member, pci),
		[KEEL_A_POOL_MEMBER_NODE] = U32(keel_pool_member, node),
		[KEEL_A_POOL_MEMBER_WHY] = STR(keel_pool_member, why),
	};
	struct nlattr *tb[KEEL_A_POOL_MEMBER_MAX + 1], *vfs;
	struct keel_pool_member *m = parse_grow(&pool->member, &pool->nr_members,
					  sizeof(*m));
	int err;

	if (!m)
		return -ENOMEM;
	m->node = KEEL_NO_NODE;
	err = parse_take(nest, tb, KEEL_A_POOL_MEMBER_MAX, fields, m);
	vfs = err ? NULL : tb[KEEL_A_POOL_MEMBER_VFS];
	if (!vfs)
		return err ?: -EBADMSG;
	m->made = tb[KEEL_A_POOL_MEMBER_MADE];
	m->nr = nla_len(vfs) / sizeof(*m->vf);
	m->vf = malloc(nla_len(vfs) + 1);
	if (!m->vf)
		return -ENOMEM;
	memcpy(m->vf, nla_data(vfs), m->nr * sizeof(*m->vf));
	return 0;
}

static int parse_reservation(struct nlattr *nest, struct keel_pool *pool)
{
	static const struct field fields[KEEL_A_POOL_RESERVATION_MAX + 1] = {
		[KEEL_A_POOL_RESERVATION_PORT] = STR(keel_pool_reservation, port),
		[KEEL_A_POOL_RESERVATION_LEFT_MS] = U32(keel_pool_reservation,
							left_ms),
	};
	struct nlattr *tb[KEEL_A_POOL_RESERVATION_MAX + 1];
	struct keel_pool_reservation *r = parse_grow(&pool->reservation,
						     &pool->nr_reservations,
						     sizeof(*r));

	return r ? parse_take(nest, tb, KEEL_A_POOL_RESERVATION_MAX, fields, r) :
		   -ENOMEM;
}

int keel_parse_pool(struct nlattr **attrs, void *arg)
{
	static const struct field fields[KEEL_A_POOL_MAX + 1] = {
		[KEEL_A_POOL_NAME] = STR(keel_pool, name),
		[KEEL_A_POOL_SWITCH] = STR(keel_pool, on),
		[KEEL_A_POOL_POLICY] = U32(keel_pool, options.policy),
		[KEEL_A_POOL_MAC_POLICY] = U32(keel_pool, options.mac),
		[KEEL_A_POOL_RESERVE] = U32(keel_pool, options.reserve),
		[KEEL_A_POOL_RECLAIM] = U32(keel_pool, options.reclaim),
		[KEEL_A_POOL_VLAN] = U32(keel_pool, options.vlan),
		[KEEL_A_POOL_TRUST] = U32(keel_pool, options.trust),
		[KEEL_A_POOL_SPOOFCHECK] = U32(keel_pool, options.spoofcheck),
		[KEEL_A_POOL_MIN_RATE] = U32(keel_pool, options.min_rate),
		[KEEL_A_POOL_MAX_RATE] = U32(keel_pool, options.max_rate),
		[KEEL_A_POOL_VFS] = U32(keel_pool, vfs),
		[KEEL_A_POOL_FREE] = U32(keel_pool, free),
		[KEEL_A_POOL_LEASED] = U32(keel_pool, leased),
		[KEEL_A_POOL_QUARANTINED] = U32(keel_pool, quarantined),
		[KEEL_A_POOL_WAITING] = U32(keel_pool, waiting),
		[KEEL_A_POOL_LEASES] = U64(keel_pool, leases),
	};
	struct nlattr *tb[KEEL_A_POOL_MAX + 1], *nla;
	int err, rem;

	if (!attrs[KEEL_A_POOL])
		return -EBADMSG;
	err = parse_take(attrs[KEEL_A_POOL], tb, KEEL_A_POOL_MAX, fields, arg);
	nla_for_each_nested(nla, attrs[KEEL_A_POOL], rem) {
		if (!err && nla_type(nla) == KEEL_A_POOL_MEMBER)
			err = parse_member(nla, arg);
		if (!err && nla_type(nla) == KEEL_A_POOL_RESERVATION)
			err = parse_reservation(nla, arg);
	}
	return err;
}

int keel_parse_pool_vf(struct nlattr **attrs, void *arg)
{
	static const struct field fields[KEEL_A_POOL_VF_MAX + 1] = {
		[KEEL_A_POOL_VF_POOL] = STR(keel_pool_vf, pool),
		[KEEL_A_POOL_VF_PF] = STR(keel_pool_vf, pf),
		[KEEL_A_POOL_VF_INDEX] = U32(keel_pool_vf, index),
		[KEEL_A_POOL_VF_PCI] = STR(keel_pool_vf, pci),
		[KEEL_A_POOL_VF_STATE] = U32(keel_pool_vf, state),
		[KEEL_A_POOL_VF_GENERATION] = U32(keel_pool_vf, generation),
		[KEEL_A_POOL_VF_PORT] = STR(keel_pool_vf, port),
		[KEEL_A_POOL_VF_VM] = U32(keel_pool_vf, vm),
		[KEEL_A_POOL_VF_SINCE_NS] = U64(keel_pool_vf, since_ns),
		[KEEL_A_POOL_VF_VLAN] = U32(keel_pool_vf, vlan),
		[KEEL_A_POOL_VF_NODE] = U32(keel_pool_vf, node),
		[KEEL_A_POOL_VF_WHY] = STR(keel_pool_vf, why),
		[KEEL_A_POOL_VF_CONFIGURE_NS] = U64(keel_pool_vf, configure_ns),
		[KEEL_A_POOL_VF_BIND_NS] = U64(keel_pool_vf, bind_ns),
		[KEEL_A_POOL_VF_SCRUB_NS] = U64(keel_pool_vf, scrub_ns),
		[KEEL_A_POOL_VF_UNBIND_NS] = U64(keel_pool_vf, unbind_ns),
		[KEEL_A_POOL_VF_RESET_NS] = U64(keel_pool_vf, reset_ns),
	};
	struct nlattr *tb[KEEL_A_POOL_VF_MAX + 1];
	struct keel_pool_vf *vf = arg;
	int err;

	if (!attrs[KEEL_A_POOL_VF])
		return -EBADMSG;
	vf->node = KEEL_NO_NODE;
	err = parse_take(attrs[KEEL_A_POOL_VF], tb, KEEL_A_POOL_VF_MAX, fields, vf);
	vf->told = !err && tb[KEEL_A_POOL_VF_MAC];
	return vf->told ? parse_bytes(tb[KEEL_A_POOL_VF_MAC], vf->mac,
				     sizeof(vf->mac)) : err;
}

int keel_parse_pool_port(struct nlattr **attrs, void *arg)
{
	static const struct field fields[KEEL_A_POOL_PORT_MAX + 1] = {
		[KEEL_A_POOL_PORT_POOL] = STR(keel_pool_port, pool),
		[KEEL_A_POOL_PORT_NAME] = STR(keel_pool_port, name),
		[KEEL_A_POOL_PORT_IFINDEX] = U32(keel_pool_port, ifindex),
		[KEEL_A_POOL_PORT_STATE] = U32(keel_pool_port, state),
		[KEEL_A_POOL_PORT_VM] = U32(keel_pool_port, vm),
		[KEEL_A_POOL_PORT_PID] = U32(keel_pool_port, pid),
		[KEEL_A_POOL_PORT_PRIORITY] = U32(keel_pool_port, priority),
		[KEEL_A_POOL_PORT_SINCE_NS] = U64(keel_pool_port, since_ns),
		[KEEL_A_POOL_PORT_NODE] = U32(keel_pool_port, node),
		[KEEL_A_POOL_PORT_VF] = STR(keel_pool_port, vf),
		[KEEL_A_POOL_PORT_GENERATION] = U32(keel_pool_port, generation),
		[KEEL_A_POOL_PORT_WHY] = STR(keel_pool_port, why),
	};
	struct nlattr *tb[KEEL_A_POOL_PORT_MAX + 1];
	struct keel_pool_port *port = arg;
	int err;

	if (!attrs[KEEL_A_POOL_PORT])
		return -EBADMSG;
	port->node = KEEL_NO_NODE;
	err = parse_take(attrs[KEEL_A_POOL_PORT], tb, KEEL_A_POOL_PORT_MAX, fields,
			 port);
	if (!err && tb[KEEL_A_POOL_PORT_MAC])
		err = parse_bytes(tb[KEEL_A_POOL_PORT_MAC], port->mac,
				  sizeof(port->mac));
	return err;
}

int keel_parse_switch_port(struct nlattr **attrs, void *arg)
{
	static const struct field fields[KEEL_A_SWITCH_PORT_MAX + 1] = {
		[KEEL_A_SWITCH_PORT_NAME] = STR(keel_switch_port, name),
		[KEEL_A_SWITCH_PORT_IFINDEX] = U32(keel_switch_port, ifindex),
		[KEEL_A_SWITCH_PORT_DATAPATH] = STR(keel_switch_port, datapath),
		[KEEL_A_SWITCH_PORT_SWITCH] = STR(keel_switch_port, on),
	};
	struct nlattr *tb[KEEL_A_SWITCH_PORT_MAX + 1];

	if (!attrs[KEEL_A_SWITCH_PORT])
		return -EBADMSG;
	return parse_take(attrs[KEEL_A_SWITCH_PORT], tb, KEEL_A_SWITCH_PORT_MAX,
			  fields, arg);
}

static int pool_append(struct nlattr **attrs, void *arg)
{
	struct list *l = arg;
	struct keel_pool *p = parse_grow(&l->items, (uint32_t *)&l->nr, sizeof(*p));

	return p ? keel_parse_pool(attrs, p) : -ENOMEM;
}

/** keel_pool_list_free() - free what keel_pool_list() gave */
void keel_pool_list_free(struct keel_pool *pools, int nr)
{
	for (int i = 0; i < nr; i++) {
		for (uint32_t k = 0; k < pools[i].nr_members; k++)
			free(pools[i].member[k].vf);
		free(pools[i].member);
		free(pools[i].reservation);
	}
	free(pools);
}

/**
 * keel_pool_list() - all pools
 * @keel: the connection
 * @pools: (out) array for keel_pool_list_free()
 *
 * Return: how many, or a negative errno.
 */
int keel_pool_list(struct keel *keel, struct keel_pool **pools)
{
	struct list l = { 0 };
	struct reply r = { .parse = pool_append, .arg = &l };
	int err = nl_request(keel, KEEL_CMD_POOL_GET, NLM_F_DUMP, NULL, &r);

	*pools = l.items;
	if (!err)
		return l.nr;
	keel_pool_list_free(l.items, l.nr);
	*pools = NULL;
	return err;
}

/**
 * keel_pool_vf_list() - the VFs of all pools
 * @keel: the connection
 * @vfs: (out) array for free()
 *
 * Return: how many, or a negative errno.
 */
int keel_pool_vf_list(struct keel *keel, struct keel_pool_vf **vfs)
{
	return nl_list(keel, KEEL_CMD_POOL_VF_GET, keel_parse_pool_vf,
		       sizeof(**vfs), vfs);
}

/**
 * keel_pool_port_list() - the VMs' ports of all pools' switches
 * @keel: the connection
 * @ports: (out) array for free()
 *
 * Return: how many, or a negative errno.
 */
int keel_pool_port_list(struct keel *keel, struct keel_pool_port **ports)
{
	return nl_list(keel, KEEL_CMD_POOL_PORT_GET, keel_parse_pool_port,
		       sizeof(**ports), ports);
}

/**
 * keel_switch_port_list() - the taps that are in datapaths of Open vSwitch
 * @keel: the connection
 * @ports: (out) array for free()
 *
 * Return: how many, or a negative errno.
 */
int keel_switch_port_list(struct keel *keel, struct keel_switch_port **ports)
{
	return nl_list(keel, KEEL_CMD_SWITCH_PORT_GET, keel_parse_switch_port,
		       sizeof(**ports), ports);
}

/** keel_pools_put() - free what keel_pools_get() gave */
void keel_pools_put(struct keel_pools *p)
{
	keel_pool_list_free(p->pool, p->nr_pools);
	free(p->vf);
	free(p->port);
	*p = (struct keel_pools){ 0 };
}

/**
 * keel_pools_get() - all pools, VFs and ports
 * @keel: the connection
 * @p: (out) for keel_pools_put()
 *
 * They are asked for one after the other: what changes meanwhile may be in one and
 * not in another.
 *
 * Return: 0 or a negative errno, and there is nothing to be freed.
 */
int keel_pools_get(struct keel *keel, struct keel_pools *p)
{
	int err;

	*p = (struct keel_pools){ 0 };
	err = p->nr_pools = keel_pool_list(keel, &p->pool);
	if (err >= 0)
		err = p->nr_vfs = keel_pool_vf_list(keel, &p->vf);
	if (err >= 0)
		err = p->nr_ports = keel_pool_port_list(keel, &p->port);
	if (err >= 0)
		return 0;
	if (p->nr_pools < 0)
		p->nr_pools = 0;
	keel_pools_put(p);
	return err;
}

static struct attr attr_str(uint16_t type, const char *s)
{
	return (struct attr){ type, strlen(s) + 1, s };
}

/* Those that are given; as many as there can be, and the end. */
static struct attr *add_options(struct attr *a, const struct keel_pool_options *o)
{
	const struct {
		uint16_t type;
		const uint32_t *value;
	} all[] = {
		{ KEEL_A_POLICY, &o->policy },
		{ KEEL_A_MAC_POLICY, &o->mac },
		{ KEEL_A_RESERVE, &o->reserve },
		{ KEEL_A_RECLAIM, &o->reclaim },
		{ KEEL_A_VLAN, &o->vlan },
		{ KEEL_A_TRUST, &o->trust },
		{ KEEL_A_SPOOFCHECK, &o->spoofcheck },
		{ KEEL_A_MIN_RATE, &o->min_rate },
		{ KEEL_A_MAX_RATE, &o->max_rate },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (*all[i].value != KEEL_AS_USUAL)
			*a++ = (struct attr)ATTR_U32(all[i].type, all[i].value);
	return a;
}

#define POOL_ATTRS_MAX	12

/** keel_pool_create() - make a pool of a switch; -EEXIST if there is one */
int keel_pool_create(struct keel *keel, const char *name, const char *on,
		     const struct keel_pool_options *o)
{
	struct attr attr[POOL_ATTRS_MAX] = {
		attr_str(KEEL_A_NAME, name), attr_str(KEEL_A_SWITCH, on),
	};
	struct reply r = { 0 };

	add_options(attr + 2, o);
	return nl_request(keel, KEEL_CMD_POOL_CREATE, NLM_F_ACK, attr, &r);
}

/** keel_pool_set() - change what is given */
int keel_pool_set(struct keel *keel, const char *name,
		  const struct keel_pool_options *o)
{
	struct attr attr[POOL_ATTRS_MAX] = { attr_str(KEEL_A_NAME, name) };
	struct reply r = { 0 };

	add_options(attr + 1, o);
	return nl_request(keel, KEEL_CMD_POOL_SET, NLM_F_ACK, attr, &r);
}

/** keel_pool_delete() - -EBUSY if VMs have VFs of it, and not @force */
int keel_pool_delete(struct keel *keel, const char *name, bool force)
{
	struct attr attr[] = {
		attr_str(KEEL_A_NAME, name),
		{ force ? KEEL_A_FORCE : 0, 0, NULL }, { 0 }
	};
	struct reply r = { 0 };

	return nl_request(keel, KEEL_CMD_POOL_DELETE, NLM_F_ACK, attr, &r);
}

/**
 * keel_pool_add() - put VFs of a PF into a pool
 * @keel: the connection
 * @name: of the pool
 * @pf: by its address or network device
 * @vfs: numbers of the VFs
 * @nr: how many; 0: all
 */
int keel_pool_add(struct keel *keel, const char *name, const char *pf,
		  const uint32_t *vfs, uint32_t nr)
{
	struct attr attr[] = {
		attr_str(KEEL_A_NAME, name), attr_str(KEEL_A_MEMBER, pf),
		{ nr ? KEEL_A_VFS : 0, nr * sizeof(*vfs), vfs }, { 0 }
	};
	struct reply r = { 0 };

	return nl_request(keel, KEEL_CMD_POOL_ADD, NLM_F_ACK, attr, &r);
}

/** keel_pool_remove() - take a PF out; -EBUSY as for keel_pool_delete() */
int keel_pool_remove(struct keel *keel, const char *name, const char *pf,
		     bool force)
{
	struct attr attr[] = {
		attr_str(KEEL_A_NAME, name), attr_str(KEEL_A_MEMBER, pf),
		{ force ? KEEL_A_FORCE : 0, 0, NULL }, { 0 }
	};
	struct reply r = { 0 };

	return nl_request(keel, KEEL_CMD_POOL_REMOVE, NLM_F_ACK, attr, &r);
}

/**
 * keel_pool_reserve() - keep a VF for a port that is about to come
 * @keel: the connection
 * @name: of the pool
 * @port: name of the tap
 * @seconds: for so long
 *
 * Return: 0; -ENOSPC if none is free; or another negative errno.
 */
int keel_pool_reserve(struct keel *keel, const char *name, const char *port,
		      uint32_t seconds)
{
	struct attr attr[] = {
		attr_str(KEEL_A_NAME, name), attr_str(KEEL_A_PORT, port),
		ATTR_U32(KEEL_A_SECONDS, &seconds), { 0 }
	};
	struct reply r = { 0 };

	return nl_request(keel, KEEL_CMD_POOL_RESERVE, NLM_F_ACK, attr, &r);
}

/** keel_pool_cancel() - keep none any more; -ENOENT if none was */
int keel_pool_cancel(struct keel *keel, const char *name, const char *port)
{
	struct attr attr[] = {
		attr_str(KEEL_A_NAME, name), attr_str(KEEL_A_PORT, port), { 0 }
	};
	struct reply r = { 0 };

	return nl_request(keel, KEEL_CMD_POOL_CANCEL, NLM_F_ACK, attr, &r);
}

/**
 * keel_pool_port_set() - tell of a port, whether it is there or not
 * @keel: the connection
 * @name: of the pool
 * @port: name of the tap
 * @priority: its priority, or NULL
 * @mac: six bytes, of the guest's network device, or NULL
 */
int keel_pool_port_set(struct keel *keel, const char *name, const char *port,
		       const uint32_t *priority, const uint8_t *mac)
{
	struct attr attr[5] = {
		attr_str(KEEL_A_NAME, name), attr_str(KEEL_A_PORT, port),
	}, *a = attr + 2;
	struct reply r = { 0 };

	if (priority)
		*a++ = (struct attr)ATTR_U32(KEEL_A_PRIORITY, priority);
	if (mac)
		*a++ = (struct attr){ KEEL_A_MAC, 6, mac };
	return nl_request(keel, KEEL_CMD_POOL_PORT_SET, NLM_F_ACK, attr, &r);
}

/** keel_lease_end() - -ESTALE if that lease is over; nothing is done then */
int keel_lease_end(struct keel *keel, const char *pci, uint32_t generation)
{
	struct attr attr[] = {
		attr_str(KEEL_A_PCI, pci),
		ATTR_U32(KEEL_A_GENERATION, &generation), { 0 }
	};
	struct reply r = { 0 };

	return nl_request(keel, KEEL_CMD_LEASE_END, NLM_F_ACK, attr, &r);
}

/**
 * keel_switch_port_set() - tell which bridge of Open vSwitch a tap is on
 * @keel: the connection
 * @port: name of the tap
 * @ifindex: likewise
 * @on: name of the bridge, NULL: it is on none
 *
 * Return: 0; -ENODEV if it is another tap's name by now; -ENOTCONN if it is in no
 * datapath; or another negative errno.
 */
int keel_switch_port_set(struct keel *keel, const char *port, uint32_t ifindex,
			 const char *on)
{
	struct attr attr[4] = {
		attr_str(KEEL_A_PORT, port),
		ATTR_U32(KEEL_A_IFINDEX, &ifindex),
	};
	struct reply r = { 0 };

	if (on)
		attr[2] = attr_str(KEEL_A_SWITCH, on);
	return nl_request(keel, KEEL_CMD_SWITCH_PORT_SET, NLM_F_ACK, attr, &r);
}
