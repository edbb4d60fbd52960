// SPDX-License-Identifier: GPL-2.0
/*
 * manifest.json. Its "digest" is over the compact form with sorted keys of
 * everything else, which any JSON library can make:
 *	json.dumps(m, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "image.h"
#include "keel.h"

char *manifest_digest(json_t *manifest)
{
	json_t *copy = json_copy(manifest);
	char text[17], *dump;

	json_object_del(copy, "digest");
	dump = json_dumps(copy, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(copy);
	if (!dump)
		return NULL;
	checksum_text(XXH3_64bits(dump, strlen(dump)), text);
	free(dump);
	return mkpath("xxh3-64:%s", text);
}

/* Steals nothing; adds the digest, and leaves the file on disk. */
int manifest_write(struct image *img, json_t *manifest)
{
	char *digest = manifest_digest(manifest), *dump = NULL;
	int fd, err = -1;

	fd = image_file(img, IMAGE_MANIFEST, 0);
	if (fd < 0)
		goto out;
	json_object_set_new(manifest, "digest", json_string(digest));
	dump = json_dumps(manifest, JSON_INDENT(1));
	if (!digest || !dump)
		fail("the manifest cannot be put into JSON");
	else if (write_all(fd, dump, strlen(dump)) || write_all(fd, "\n", 1) ||
		 fsync(fd))
		fail("%s/" IMAGE_MANIFEST ": %s", img->partial, strerror(errno));
	else
		err = 0;
	close(fd);
out:
	free(dump);
	free(digest);
	return err;
}

static int check(json_t *m, const char *dir, bool digest)
{
	json_int_t format = json_integer_value(json_object_get(m, "format"));
	const char *have = json_string_value(json_object_get(m, "digest"));
	char *want;
	int err = 0;

	if (!json_is_object(m) || !format)
		return bad("%s/" IMAGE_MANIFEST " is not a keel manifest", dir);
	if (format != IMAGE_FORMAT)
		return bad("%s has format %lld, this keel reads %d; use the keel that wrote it",
			   dir, (long long)format, IMAGE_FORMAT);
	if (!json_is_array(json_object_get(m, "memory")))
		return fail("%s/" IMAGE_MANIFEST " is damaged: no memory in it",
			    dir);
	if (!digest)
		return 0;
	want = manifest_digest(m);
	if (!have || !want || strcmp(have, want))
		err = fail("%s/" IMAGE_MANIFEST " is damaged: its digest is %s, its content gives %s",
			   dir, have ? have : "absent", want);
	free(want);
	return err;
}

json_t *manifest_load(const char *dir, bool check_digest)
{
	char *path = mkpath("%s/" IMAGE_MANIFEST, dir);
	json_error_t e;
	json_t *m = json_load_file(path, JSON_REJECT_DUPLICATES, &e);

	if (!m) {
		fail("%s is damaged: line %d: %s", path, e.line, e.text);
	} else if (check(m, dir, check_digest)) {
		json_decref(m);
		m = NULL;
	}
	free(path);
	return m;
}
