// SPDX-License-Identifier: GPL-2.0
/* keel place: where vCPUs should run. */
#include "keel.h"
#include "place.h"

static const struct cmd verbs[] = {
	{ "start", place_start,
	  "keel place start [--period MS] [--temper calm|normal|eager]\n"
	  "                 [--grain site|node|cpu] [--samples N] [--memory[=MIB]]\n"
	  "    Send the threads of this host's VMs to where their memory is near: each MS\n"
	  "    milliseconds (1000) it is decided anew. --memory: where they have to stay,\n"
	  "    move memory on keelfs to them, up to MIB (256) a second.\n" },
	{ "stop", place_stop,
	  "keel place stop\n"
	  "    No more, and all threads have the affinity back that they had.\n" },
	{ "status", place_status,
	  "keel place status\n"
	  "    What it does: sites, VMs, threads, and what each is believed to use.\n" },
	{ "on", place_on,
	  "keel place on VM\n"
	  "    Place this VM, as all are from the start.\n" },
	{ "off", place_off,
	  "keel place off VM\n"
	  "    Leave this VM alone.\n" },
	{ "advise", place_advise,
	  "keel place advise VM\n"
	  "    Decide where it should be, and do nothing.\n" },
	{ "explain", place_explain_verb,
	  "keel place explain VM[:VCPU]\n"
	  "    What each site would be for its vCPUs: the numbers behind the decision.\n" },
	{ "memory", place_memory_verb,
	  "keel place memory [VM...] [--rate MIB]\n"
	  "    Until interrupted, move memory that is not on keelfs to where the decision\n"
	  "    wants it, up to MIB (256) a second for each VM.\n" },
	{ "record", place_record,
	  "keel place record FILE [--periods N]\n"
	  "    Write each decision and all that it was made of to FILE.\n" },
	{ "replay", place_replay,
	  "keel place replay FILE [--set NAME=NUMBER]...\n"
	  "    Make the decisions in FILE again: the same, or what if.\n" },
	{ "matrix", place_matrix,
	  "keel place matrix show|measure|load|forget|save\n"
	  "    How far the memory of each NUMA node is from the CPUs of each.\n",
	  .object = true },
	{ "simulate", place_simulate, place_simulate_help },
	{ 0 }
};

int cmd_place(int argc, char **argv)
{
	return cmd_select(verbs, "keel place", argc, argv);
}
