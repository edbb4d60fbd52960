// SPDX-License-Identifier: GPL-2.0
/* keel pool switch: which bridges of Open vSwitch taps are on. */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "out.h"
#include "pool.h"

static void show_port(const struct keel_switch_port *port)
{
	out_object(NULL);
	out_str("port", "%s", port->name);
	out_u64("ifindex", NULL, port->ifindex);
	out_str("datapath", " in %s", port->datapath);
	if (port->on[0])
		out_str("switch", ": on %s\n", port->on);
	else
		out_text(": on which bridge is not told (keeld)\n");
	out_end();
}

static int show(struct keel *keel)
{
	struct keel_switch_port *ports;
	int nr = keel_switch_port_list(keel, &ports);

	if (nr < 0)
		return nr;
	out_array(NULL);
	for (int i = 0; i < nr; i++)
		show_port(&ports[i]);
	if (!nr)
		out_text("no tap is in a datapath of Open vSwitch\n");
	free(ports);
	return 0;
}

/* @on is NULL for none. */
static int tell(const char *port, const char *on)
{
	uint32_t ifindex = if_nametoindex(port);
	struct keel *keel;

	if (!ifindex)
		return bad("pool switch: there is no network device '%s'", port);
	if (keel_connect(&keel))
		return -1;
	return end_request(keel, keel_switch_port_set(keel, port, ifindex, on));
}

int pool_switch(int argc, char **argv)
{
	static const struct option options[] = {
		{ "none", no_argument, NULL, 'n' },
		{ 0 }
	};
	struct keel *keel;
	bool none = false;
	int c, words;

	while ((c = next_option(argc, argv, options)) != -1) {
		if (c != 'n')
			return -1;
		none = true;
	}
	words = argc - optind;
	if (words == 2 - none)
		return tell(argv[optind], none ? NULL : argv[optind + 1]);
	if (words || none)
		return bad("pool switch: give a tap and a bridge, or a tap and --none, or nothing");
	if (keel_connect(&keel))
		return -1;
	return end_request(keel, show(keel));
}
