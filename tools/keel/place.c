// SPDX-License-Identifier: GPL-2.0
/* keel place: where vCPUs should run. */
#include "keel.h"
#include "place.h"

static const struct cmd verbs[] = {
	{ "simulate", place_simulate, place_simulate_help },
	{ 0 }
};

int cmd_place(int argc, char **argv)
{
	return cmd_select(verbs, "keel place", argc, argv);
}
