// SPDX-License-Identifier: GPL-2.0
/*
 * /run/keel-snapshots/ID: the kernel forgets a snapshot when it is closed, and a
 * failed one leaves no directory; this is what remains to be asked about. It is
 * a convenience: what cannot be written is not missed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keel.h"
#include "record.h"

#define RECORD_DIR "/run/keel-snapshots"

void record_write(uint32_t id, const char *dir, const char *state,
		  const char *error)
{
	char *path = mkpath(RECORD_DIR "/%u", id);
	char *tmp = mkpath(RECORD_DIR "/.%u.%d", id, getpid());
	json_t *r = json_pack("{si si ss ss ss*}", "id", id, "pid", getpid(),
			      "dir", dir, "state", state, "error", error);

	mkdir(RECORD_DIR, 0700);
	if (json_dump_file(r, tmp, JSON_COMPACT) || rename(tmp, path))
		unlink(tmp);
	json_decref(r);
	free(path);
	free(tmp);
}

json_t *record_read(uint32_t id)
{
	char *path = mkpath(RECORD_DIR "/%u", id);
	json_t *r = json_load_file(path, 0, NULL);

	free(path);
	return r;
}
