// SPDX-License-Identifier: GPL-2.0
/* Can this host run what that host saved? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "keel.h"
#include "restore.h"
#include "snapshot.h"

static bool uses_kvm(char **argv)
{
	for (char **a = argv; *a; a++) {
		if (args_is(*a, "enable-kvm"))
			return true;
		if (a[1] && args_is(*a, "accel") && strstr(a[1], "kvm"))
			return true;
		if (a[1] && (args_is(*a, "machine") || args_is(*a, "M")) &&
		    strstr(a[1], "accel=kvm"))
			return true;
	}
	return false;
}

static bool has_word(const char *list, const char *word, size_t len)
{
	for (const char *p = list; p && *p;) {
		size_t n = strcspn(p, " ");

		if (n == len && !strncmp(p, word, n))
			return true;
		p += n + (p[n] == ' ');
	}
	return false;
}

/* The recorded flags that this host lacks, at most a line of them. */
static char *missing_flags(const char *want, const char *have)
{
	char *missing = strdup("");

	for (const char *p = want; p && *p;) {
		size_t n = strcspn(p, " ");

		if (n && !has_word(have, p, n) && strlen(missing) < 200) {
			char *more = mkpath("%s%s%.*s", missing,
					    *missing ? " " : "", (int)n, p);

			free(missing);
			missing = more;
		}
		p += n + (p[n] == ' ');
	}
	return missing;
}

/* Only KVM shows the guest the host's CPU. */
int restore_check_cpu(json_t *manifest, char **argv, bool ignore)
{
	json_t *then = json_object_get(manifest, "cpu"), *now;
	const char *vendor;
	char *missing;
	int err = 0;

	if (ignore || !uses_kvm(argv))
		return 0;
	now = host_cpu_json();
	vendor = args_get(then, "vendor");
	missing = missing_flags(args_get(then, "flags"), args_get(now, "flags"));
	if (vendor && strcmp(vendor, args_get(now, "vendor") ?: ""))
		err = bad("the snapshot is of a %s host, this one is %s; restore it on one like it, or try --ignore-cpu",
			  vendor, args_get(now, "vendor") ?: "unknown");
	else if (*missing)
		err = bad("this host's CPU lacks what the snapshot's had: %s; if the guest's -cpu does not offer these, --ignore-cpu goes on",
			  missing);
	free(missing);
	json_decref(now);
	return err;
}
