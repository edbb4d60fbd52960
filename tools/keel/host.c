// SPDX-License-Identifier: GPL-2.0
/* keel [host]: what the module holds now. */
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keel.h"
#include "out.h"

int keel_connect(struct keel **keel)
{
	if (!keel_open(keel))
		return 0;
	fail("%s", keel_error(*keel));
	keel_close(*keel);
	*keel = NULL;
	return -1;
}

char **keelfs_mounts(void)
{
	FILE *f = setmntent("/proc/self/mounts", "r");
	char **v = calloc(1, sizeof(*v));
	struct mntent *m;
	size_t n = 0;

	while (f && v && (m = getmntent(f))) {
		if (strcmp(m->mnt_type, "keelfs"))
			continue;
		v = reallocarray(v, n + 2, sizeof(*v));
		if (!v)
			break;
		v[n++] = strdup(m->mnt_dir);
		v[n] = NULL;
	}
	if (f)
		endmntent(f);
	return v;
}

int cmd_host(int argc, char **argv)
{
	static const struct option options[] = { { 0 } };
	struct keel_host host;
	struct keel *keel;
	char **mounts;
	int c;

	c = next_option(argc, argv, options);
	if (c != -1)
		return -1;
	if (optind < argc && strcmp(argv[optind], "help"))
		return no_words(argc, argv, "host");
	if (keel_connect(&keel))
		return -1;
	if (keel_host_get(keel, &host)) {
		fail("%s", keel_error(keel));
		keel_close(keel);
		return -1;
	}
	keel_close(keel);
	out_object(NULL);
	out_str("version", "keel module    %s\n", host.version);
	out_str("tools_version", "tools          %s\n", KEEL_VERSION);
	out_u64("vms", "VMs            %llu\n", host.vms);
	out_u64("snapshots", "snapshots      %llu\n", host.snapshots);
	out_size("keelfs_bytes", "on keelfs      %s\n",
		 host.keelfs_pages * KEEL_PAGE_SIZE);
	out_size("pool_bytes", "in pools       %s\n",
		 host.pool_pages * KEEL_PAGE_SIZE);
	out_u64("keelfs_mounts", NULL, host.keelfs_mounts);
	mounts = keelfs_mounts();
	out_array("mount_points");
	out_text("keelfs at     ");
	for (char **m = mounts; m && *m; m++)
		out_str(NULL, " %s", *m);
	if (!mounts || !*mounts)
		out_text(" nowhere; 'mount -t keelfs keelfs /run/keel' gives guests a place");
	out_text("\n");
	out_end();
	strv_free(mounts);
	return 0;
}
