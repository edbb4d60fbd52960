// SPDX-License-Identifier: GPL-2.0
/* keel pool: SR-IOV pools of virtual switches. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "pool.h"

/**
 * pool_error - the last request failed: tell why
 * @keel: the connection
 * @err: what it said
 */
int pool_error(struct keel *keel, int err)
{
	return err == -ENOMEM || err == -EIO || err == -EINTR ?
	       fail("%s", keel_error(keel)) : bad("%s", keel_error(keel));
}

/** mac_text - six bytes as people write them */
char *mac_text(const uint8_t *mac, char *buf)
{
	snprintf(buf, MAC_TEXT_LEN, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0],
		 mac[1], mac[2], mac[3], mac[4], mac[5]);
	return buf;
}

static int parse_mac(const char *text, uint8_t *mac)
{
	unsigned int m[6];
	int end = 0;

	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &m[0], &m[1], &m[2],
		   &m[3], &m[4], &m[5], &end) != 6 || text[end])
		return bad("--mac: '%s' is no MAC, such as 52:54:00:12:34:56",
			   text);
	for (int i = 0; i < 6; i++)
		mac[i] = m[i];
	return 0;
}

static int parse_switch(const char *option, const char *text, uint32_t *value)
{
	*value = !strcmp(text, "on");
	return *value || !strcmp(text, "off") ? 0 :
	       bad("%s: '%s' is neither on nor off", option, text);
}

static int parse_policy(const char *text, uint32_t *value)
{
	for (*value = 0; *value <= KEEL_POOL_POLICY_PACK; ++*value)
		if (!strcmp(text, keel_pool_policy_name(*value)))
			return 0;
	return bad("--policy: '%s' is not one of: near, spread, pack", text);
}

static int parse_mac_policy(const char *text, uint32_t *value)
{
	for (*value = 0; *value <= KEEL_POOL_MAC_GUEST; ++*value)
		if (!strcmp(text, keel_pool_mac_name(*value)))
			return 0;
	return bad("--mac: '%s' is not one of: random, guest", text);
}

/* "100" or "10-100" Mbit/s. */
static int parse_rate(const char *text, struct keel_pool_options *o)
{
	char *copy = strdup(text), *dash;
	int err;

	if (!copy)
		return fail("out of memory");
	dash = strchr(copy, '-');
	if (dash)
		*dash++ = 0;
	o->min_rate = 0;
	err = dash ? parse_u32(copy, &o->min_rate) ||
		     parse_u32(dash, &o->max_rate) :
		     parse_u32(copy, &o->max_rate);
	free(copy);
	return err ? bad("--rate: '%s' is not a rate in Mbit/s, or two with a dash",
			 text) : 0;
}

#define POOL_OPTIONS \
	{ "policy", required_argument, NULL, 'p' }, \
	{ "mac", required_argument, NULL, 'm' }, \
	{ "reserve", required_argument, NULL, 'r' }, \
	{ "reclaim", required_argument, NULL, 'c' }, \
	{ "vlan", required_argument, NULL, 'v' }, \
	{ "trust", required_argument, NULL, 't' }, \
	{ "spoofcheck", required_argument, NULL, 's' }, \
	{ "rate", required_argument, NULL, 'x' }

static int parse_option(int c, struct keel_pool_options *o)
{
	switch (c) {
	case 'p':
		return parse_policy(optarg, &o->policy);
	case 'm':
		return parse_mac_policy(optarg, &o->mac);
	case 'r':
		return parse_number("--reserve", optarg, &o->reserve);
	case 'c':
		return parse_switch("--reclaim", optarg, &o->reclaim);
	case 'v':
		return parse_number("--vlan", optarg, &o->vlan);
	case 't':
		return parse_switch("--trust", optarg, &o->trust);
	case 's':
		return parse_switch("--spoofcheck", optarg, &o->spoofcheck);
	case 'x':
		return parse_rate(optarg, o);
	default:
		return -1;
	}
}

/* Options, and just @nr words. */
static int parse_pool(int argc, char **argv, int nr, const char *want,
		      struct keel_pool_options *o)
{
	static const struct option options[] = { POOL_OPTIONS, { 0 } };
	int c, err = 0;

	memset(o, 0xff, sizeof(*o));	/* KEEL_AS_USUAL, each */
	while (!err && (c = next_option(argc, argv, options)) != -1)
		err = parse_option(c, o);
	if (err)
		return -1;
	return argc - optind == nr ? 0 : bad("pool %s: give %s", argv[0], want);
}

/**
 * end_request - the end of a verb that is one request
 * @keel: the connection; closed
 * @err: what it said
 *
 * Return: 0, or -1 after bad() or fail().
 */
int end_request(struct keel *keel, int err)
{
	if (err)
		pool_error(keel, err);
	keel_close(keel);
	return err ? -1 : 0;
}

static int pool_create(int argc, char **argv)
{
	struct keel_pool_options o;
	struct keel *keel;

	if (parse_pool(argc, argv, 2, "a name and a switch", &o) ||
	    keel_connect(&keel))
		return -1;
	return end_request(keel, keel_pool_create(keel, argv[optind],
						  argv[optind + 1], &o));
}

static int pool_set(int argc, char **argv)
{
	struct keel_pool_options o;
	struct keel *keel;

	if (parse_pool(argc, argv, 1, "one pool", &o) || keel_connect(&keel))
		return -1;
	return end_request(keel, keel_pool_set(keel, argv[optind], &o));
}

/* --force, and just @nr words. */
static int parse_force(int argc, char **argv, int nr, const char *want,
		       bool *force)
{
	static const struct option options[] = {
		{ "force", no_argument, NULL, 'f' },
		{ 0 }
	};
	int c;

	*force = false;
	while ((c = next_option(argc, argv, options)) != -1) {
		if (c != 'f')
			return -1;
		*force = true;
	}
	return argc - optind == nr ? 0 : bad("pool %s: give %s", argv[0], want);
}

static int pool_delete(int argc, char **argv)
{
	struct keel *keel;
	bool force;

	if (parse_force(argc, argv, 1, "one pool", &force) ||
	    keel_connect(&keel))
		return -1;
	return end_request(keel, keel_pool_delete(keel, argv[optind], force));
}

static int pool_add(int argc, char **argv)
{
	static const struct option options[] = { { 0 } };
	struct keel *keel;
	uint32_t *vfs = NULL, nr;
	char *pf = NULL;
	int err;

	if (next_option(argc, argv, options) != -1)
		return -1;
	if (argc - optind != 2)
		return bad("pool add: give a pool and a PF, such as 0000:01:00.0, eth1 or eth1#0,2-7");
	err = pool_parse_member(argv[optind + 1], &pf, &vfs, &nr);
	err = err ?: keel_connect(&keel);
	if (!err)
		err = end_request(keel, keel_pool_add(keel, argv[optind], pf,
						      vfs, nr));
	free(pf);
	free(vfs);
	return err;
}

static int pool_remove(int argc, char **argv)
{
	struct keel *keel;
	bool force;

	if (parse_force(argc, argv, 2, "a pool and a PF", &force) ||
	    keel_connect(&keel))
		return -1;
	return end_request(keel, keel_pool_remove(keel, argv[optind],
						  argv[optind + 1], force));
}

static int pool_port(int argc, char **argv)
{
	static const struct option options[] = {
		{ "priority", required_argument, NULL, 'p' },
		{ "mac", required_argument, NULL, 'm' },
		{ 0 }
	};
	bool has_priority = false, has_mac = false;
	uint32_t priority;
	struct keel *keel;
	uint8_t mac[6];
	int c, err = 0;

	while (!err && (c = next_option(argc, argv, options)) != -1) {
		if (c == 'p') {
			err = parse_number("--priority", optarg, &priority);
			has_priority = true;
		} else if (c == 'm') {
			err = parse_mac(optarg, mac);
			has_mac = true;
		} else {
			err = -1;
		}
	}
	if (err)
		return -1;
	if (argc - optind != 2)
		return bad("pool port: give a pool and the name of a tap");
	if (keel_connect(&keel))
		return -1;
	return end_request(keel, keel_pool_port_set(keel, argv[optind],
						    argv[optind + 1],
						    has_priority ? &priority :
								   NULL,
						    has_mac ? mac : NULL));
}

#define RESERVE_SECONDS	60

static int pool_reserve(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seconds", required_argument, NULL, 's' },
		{ 0 }
	};
	uint32_t seconds = RESERVE_SECONDS;
	struct keel *keel;
	int c;

	while ((c = next_option(argc, argv, options)) != -1)
		if (c != 's' || parse_number("--seconds", optarg, &seconds))
			return -1;
	if (argc - optind != 2)
		return bad("pool reserve: give a pool and the name of a tap");
	if (keel_connect(&keel))
		return -1;
	return end_request(keel, keel_pool_reserve(keel, argv[optind],
						   argv[optind + 1], seconds));
}

static int pool_cancel(int argc, char **argv)
{
	static const struct option options[] = { { 0 } };
	struct keel *keel;

	if (next_option(argc, argv, options) != -1)
		return -1;
	if (argc - optind != 2)
		return bad("pool cancel: give a pool and the name of a tap");
	if (keel_connect(&keel))
		return -1;
	return end_request(keel, keel_pool_cancel(keel, argv[optind],
						  argv[optind + 1]));
}

static int pool_end(int argc, char **argv)
{
	static const struct option options[] = { { 0 } };
	struct keel *keel;
	uint32_t generation;

	if (next_option(argc, argv, options) != -1)
		return -1;
	if (argc - optind != 2)
		return bad("pool end: give a VF's address and the generation of its lease (keel pool show)");
	if (parse_u32(argv[optind + 1], &generation))
		return bad("pool end: '%s' is no generation",
			   argv[optind + 1]);
	if (keel_connect(&keel))
		return -1;
	return end_request(keel, keel_lease_end(keel, argv[optind],
						generation));
}

static int pool_check(int argc, char **argv)
{
	static const struct option options[] = { { 0 } };

	if (next_option(argc, argv, options) != -1)
		return -1;
	if (argc - optind > 1)
		return bad("pool check: give one file, or none for " KEELD_CONF);
	return conf_read(argc > optind ? argv[optind] : KEELD_CONF, true);
}

static const struct cmd verbs[] = {
	{ "create", pool_create,
	  "keel pool create POOL SWITCH [--policy near|spread|pack] [--mac random|guest]\n"
	  "                 [--vlan N] [--trust on|off] [--spoofcheck on|off]\n"
	  "                 [--rate [MIN-]MAX] [--reserve N] [--reclaim on|off]\n"
	  "    Make a pool of VFs for the VMs that are on SWITCH, a bridge, of Linux or of\n"
	  "    Open vSwitch.\n" },
	{ "delete", pool_delete,
	  "keel pool delete POOL [--force]\n"
	  "    Give all its VFs back as they were. --force: end leases, too.\n" },
	{ "set", pool_set,
	  "keel pool set POOL [options as for create]\n"
	  "    Change it. Leases that are out keep what they have.\n" },
	{ "add", pool_add,
	  "keel pool add POOL PF[#VFS]\n"
	  "    Put a PF into it, by address or network device, with all its VFs or those\n"
	  "    of the numbers VFS (0,2-7). Where it has none they are made.\n" },
	{ "remove", pool_remove,
	  "keel pool remove POOL PF [--force]\n"
	  "    Take it out again.\n" },
	{ "port", pool_port,
	  "keel pool port POOL TAP [--priority N] [--mac MAC]\n"
	  "    Who has the higher priority (0) gets a VF first. --mac: of the guest's\n"
	  "    network device, for pools with --mac guest.\n" },
	{ "reserve", pool_reserve,
	  "keel pool reserve POOL TAP [--seconds N]\n"
	  "    Keep a VF for a VM that is about to arrive, N (60) seconds at most.\n" },
	{ "cancel", pool_cancel,
	  "keel pool cancel POOL TAP\n"
	  "    Keep none for it any more.\n" },
	{ "end", pool_end,
	  "keel pool end VF GENERATION\n"
	  "    End that lease; the VM's port gets no other.\n" },
	{ "switch", pool_switch,
	  "keel pool switch [TAP BRIDGE | TAP --none]\n"
	  "    Tell which bridge of Open vSwitch TAP is on, if keeld does not, or show what is\n"
	  "    told.\n" },
	{ "hook", pool_hook,
	  "keel pool hook [--seconds N] [--refuse] DOMAIN OPERATION PART MORE <XML\n"
	  "    What libvirt's hook for QEMU calls: a VF is reserved for each interface of a\n"
	  "    domain that is to arrive, for N (3600) seconds.\n" },
	{ "show", pool_show,
	  "keel pool show [POOL]\n"
	  "    Who has which VF, and why a VM has none.\n" },
	{ "check", pool_check,
	  "keel pool check [FILE]\n"
	  "    Is keeld's configuration, /etc/keel/keel.conf, right?\n" },
	{ "events", pool_events,
	  "keel pool events\n"
	  "    Of what \"keel monitor\" tells that of pools alone.\n" },
	{ 0 }
};

int cmd_pool(int argc, char **argv)
{
	return cmd_select(verbs, "keel pool", argc, argv);
}
