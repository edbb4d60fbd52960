// SPDX-License-Identifier: GPL-2.0
/* keel snapshot create: its options. */
#include <string.h>

#include "create.h"
#include "snapshot.h"

const char snapshot_create_help[] =
	"keel snapshot create VM -o DIR [--qmp SOCKET] [OPTIONS]\n"
	"    Take a live snapshot into the new directory DIR. With the VM's QMP socket it\n"
	"    is the whole guest: memory, devices and, as new overlays, disks; without,\n"
	"    its memory alone.\n"
	"    -o, --output DIR         where; it must not exist yet\n"
	"        --qmp SOCKET         a QMP monitor of the VM's QEMU\n"
	"        --overlay-dir DIR    for the new overlays; default: next to each disk\n"
	"        --no-disks           leave the disks alone\n"
	"        --no-wait            return when the guest runs on; see 'snapshot wait'\n"
	"        --pool BYTES         buffers for pages on their way (the guest's memory,\n"
	"                             at most an eighth of what is free, 64M to 4G)\n"
	"        --overflow POLICY    when they run out: throttle the guest, spill into\n"
	"                             other memory, or abort (throttle)\n"
	"        --stall MS           longest a guest write may wait, then abort (10000)\n"
	"        --pinned PAGES       most pages held by devices that may be saved while\n"
	"                             the guest stands still (65536)\n"
	"        --timeout SECONDS    for QEMU to get ready, the guest running (60)\n";

enum {
	OPT_QMP = 256, OPT_OVERLAY_DIR, OPT_NO_DISKS, OPT_NO_WAIT, OPT_POOL,
	OPT_OVERFLOW, OPT_STALL, OPT_PINNED, OPT_TIMEOUT
};

static const struct option options[] = {
	{ "output",	 required_argument, NULL, 'o' },
	{ "qmp",	 required_argument, NULL, OPT_QMP },
	{ "overlay-dir", required_argument, NULL, OPT_OVERLAY_DIR },
	{ "no-disks",	 no_argument,	    NULL, OPT_NO_DISKS },
	{ "no-wait",	 no_argument,	    NULL, OPT_NO_WAIT },
	{ "pool",	 required_argument, NULL, OPT_POOL },
	{ "overflow",	 required_argument, NULL, OPT_OVERFLOW },
	{ "stall",	 required_argument, NULL, OPT_STALL },
	{ "pinned",	 required_argument, NULL, OPT_PINNED },
	{ "timeout",	 required_argument, NULL, OPT_TIMEOUT },
	{ 0 }
};

static int overflow_policy(const char *word, uint32_t *policy)
{
	static const char *const words[] = {
		[KEEL_OVERFLOW_THROTTLE] = "throttle",
		[KEEL_OVERFLOW_SPILL] = "spill",
		[KEEL_OVERFLOW_ABORT] = "abort",
	};

	for (*policy = 0; *policy < NR(words); ++*policy)
		if (!strcmp(word, words[*policy]))
			return 0;
	return bad("--overflow is throttle, spill or abort, not '%s'", word);
}

static int number_option(struct create *c, int opt, const char *text)
{
	uint64_t bytes;
	uint32_t n;

	if (opt == OPT_POOL) {
		if (parse_size(text, &bytes) || bytes < KEEL_SNAP_POOL_MIN ||
		    bytes > KEEL_SNAP_POOL_MAX)
			return bad("--pool is a size from 4M to 64G, not '%s'",
				   text);
		c->params.pool_bytes = bytes;
		return 0;
	}
	if (parse_u32(text, &n))
		return bad("'%s' is not a number", text);
	if (opt == OPT_PINNED) {
		c->params.pinned_max = n;
	} else if (opt == OPT_STALL) {
		if (n < KEEL_SNAP_STALL_MIN || n > KEEL_SNAP_STALL_MAX)
			return bad("--stall is from %d to %d milliseconds, not %u",
				   KEEL_SNAP_STALL_MIN, KEEL_SNAP_STALL_MAX, n);
		c->params.stall_ms = n;
	} else {
		if (!n || n > 86400)
			return bad("--timeout is from 1 to 86400 seconds, not %u",
				   n);
		c->guest.timeout_ms = n * 1000;
	}
	return 0;
}

int create_parse(struct create *c, int argc, char **argv)
{
	int opt, err = 0;

	while (!err && (opt = next_option(argc, argv, options)) != -1) {
		switch (opt) {
		case 'o':
			c->dir = optarg;
			break;
		case OPT_QMP:
			c->guest.socket = optarg;
			break;
		case OPT_OVERLAY_DIR:
			c->guest.overlay_dir = optarg;
			break;
		case OPT_NO_DISKS:
			c->guest.no_disks = true;
			break;
		case OPT_NO_WAIT:
			c->no_wait = true;
			break;
		case OPT_OVERFLOW:
			err = overflow_policy(optarg, &c->params.overflow);
			break;
		case '?':
			return -1;
		default:
			err = number_option(c, opt, optarg);
		}
	}
	if (err)
		return -1;
	if (argc - optind != 1)
		return bad("snapshot create: give one VM, by id, QEMU -name or pid");
	if (!c->dir)
		return bad("snapshot create: say where with -o DIR");
	if ((c->guest.no_disks || c->guest.overlay_dir) && !c->guest.socket)
		return bad("snapshot create: disks are dealt with only with --qmp SOCKET");
	return 0;
}
