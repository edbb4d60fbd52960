// SPDX-License-Identifier: GPL-2.0
/* What the kernel knows of pools, as jobs ask it. */
#include <string.h>

#include "keeld.h"

/** state_pool - the pool of that name, NULL if it has gone */
const struct keel_pool *state_pool(const struct keel_pools *s, const char *name)
{
	for (int i = 0; i < s->nr_pools; i++)
		if (!strcmp(s->pool[i].name, name))
			return &s->pool[i];
	return NULL;
}

/** state_port - the port that a VF is leased for, NULL if it has gone */
const struct keel_pool_port *state_port(const struct keel_pools *s,
					const struct keel_pool_vf *vf)
{
	for (int i = 0; i < s->nr_ports; i++)
		if (!strcmp(s->port[i].vf, vf->pci) &&
		    s->port[i].generation == vf->generation)
			return &s->port[i];
	return NULL;
}

/** state_wants_mac - does a port wait for the MAC of its guest's device? */
bool state_wants_mac(const struct keel_pools *s, const struct keel_pool_port *port)
{
	const struct keel_pool *pool = state_pool(s, port->pool);
	static const uint8_t none[6];

	return port->vm && !memcmp(port->mac, none, sizeof(none)) && pool &&
	       pool->options.mac == KEEL_POOL_MAC_GUEST;
}
