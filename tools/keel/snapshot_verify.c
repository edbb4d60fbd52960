// SPDX-License-Identifier: GPL-2.0
/* keel snapshot verify: manifest, sizes, device state, every block of memory. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image.h"
#include "keel.h"
#include "out.h"
#include "snapshot.h"

struct verify {
	const char *dir;
	unsigned int faults;
	char first[256];
	bool print;
};

static void fault(struct verify *v, const char *file, uint64_t from,
		  uint64_t to, const char *what)
{
	if (!v->faults++)
		snprintf(v->first, sizeof(v->first), "%s: bytes %llu-%llu: %s",
			 file, (unsigned long long)from,
			 (unsigned long long)to, what);
	if (!v->print)
		return;
	out_object(NULL);
	out_str("file", "%s: ", file);
	out_u64("from", "bytes %llu", from);
	out_u64("to", "-%llu: ", to);
	out_str("fault", "%s\n", what);
	out_end();
}

/* A name from the manifest must stay in the directory. */
static int open_file(struct verify *v, json_t *f, uint64_t *size)
{
	const char *name = json_string_value(json_object_get(f, "image"));
	struct stat st;
	char *path;
	int fd;

	*size = json_integer_value(json_object_get(f, "size"));
	if (!name || strchr(name, '/') || !strcmp(name, "..")) {
		fault(v, name ? name : IMAGE_MANIFEST, 0, 0,
		      "the manifest names no file of the image");
		return -1;
	}
	path = mkpath("%s/%s", v->dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	free(path);
	if (fd < 0 || fstat(fd, &st)) {
		fault(v, name, 0, *size, strerror(errno));
	} else if ((uint64_t)st.st_size != *size) {
		fault(v, name, (uint64_t)st.st_size < *size ? (uint64_t)st.st_size : *size,
		      (uint64_t)st.st_size < *size ? *size : (uint64_t)st.st_size,
		      (uint64_t)st.st_size < *size ? "missing: the file is too short" :
		      "surplus: the file is too long");
	} else {
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return -1;
}

static void check_block(struct verify *v, const char *name, int fd,
			uint64_t off, uint64_t len, const char *want, char *buf)
{
	char have[17];
	uint64_t sum;
	bool zero;

	if (checksum_block(fd, off, len, buf, &sum, &zero))
		fault(v, name, off, off + len,
		      errno ? strerror(errno) : "ends early");
	else if (!want && !zero)
		fault(v, name, off, off + len, "should be zero and is not");
	else if (want && (zero || strcmp(want, checksum_text(sum, have))))
		fault(v, name, off, off + len,
		      zero ? "is zero and should not be" :
		      "checksum does not match");
}

static void check_ram(struct verify *v, json_t *f, bool memory)
{
	const char *name = json_string_value(json_object_get(f, "image"));
	json_t *sums = json_object_get(f, "xxh3_64");
	uint64_t block = json_integer_value(json_object_get(f, "block_size"));
	uint64_t size, off;
	int fd = open_file(v, f, &size);
	char *buf;

	if (fd < 0)
		return;
	if (block < 4096 || block > (1 << 30) ||
	    json_array_size(sums) != (size + block - 1) / block) {
		fault(v, name, 0, size, "the manifest has not its checksums");
		close(fd);
		return;
	}
	buf = memory ? malloc(block) : NULL;
	for (off = 0; buf && off < size && !stop_signal; off += block)
		check_block(v, name, fd, off,
			    size - off < block ? size - off : block,
			    json_string_value(json_array_get(sums, off / block)),
			    buf);
	free(buf);
	close(fd);
}

static void check_device(struct verify *v, json_t *f)
{
	const char *want = json_string_value(json_object_get(f, "xxh3_64"));
	uint64_t size, sum;
	char have[17];
	int fd;

	if (!json_is_object(f))
		return;
	fd = open_file(v, f, &size);
	if (fd < 0)
		return;
	if (checksum_file(fd, &sum))
		fault(v, IMAGE_DEVICE, 0, size, strerror(errno));
	else if (!want || strcmp(want, checksum_text(sum, have)))
		fault(v, IMAGE_DEVICE, 0, size, "checksum does not match");
	close(fd);
}

static void check_all(struct verify *v, json_t *m, bool memory)
{
	json_t *f;
	size_t i;

	json_array_foreach(json_object_get(m, "memory"), i, f)
		check_ram(v, f, memory);
	check_device(v, json_object_get(m, "device_state"));
}

int image_verify(const char *dir, json_t *manifest, bool memory)
{
	struct verify v = { .dir = dir };

	check_all(&v, manifest, memory);
	if (!v.faults)
		return 0;
	return fail("%s is damaged: %s%s", dir, v.first, v.faults > 1 ?
		    ", and more; 'keel snapshot verify' names all" : "");
}

int snapshot_verify(int argc, char **argv)
{
	static const struct option options[] = { { 0 } };
	struct verify v = { .print = true };
	char *dir;
	json_t *m;

	if (next_option(argc, argv, options) != -1)
		return -1;
	if (argc - optind != 1)
		return bad("snapshot verify: give one directory");
	dir = image_whole(argv[optind]);
	m = dir ? manifest_load(dir, true) : NULL;
	if (!m) {
		free(dir);
		return -1;
	}
	catch_signals();
	v.dir = dir;
	out_object(NULL);
	out_array("faults");
	check_all(&v, m, true);
	out_end();
	if (stop_signal)
		fail("interrupted");
	out_str("dir", NULL, dir);
	out_bool("good", NULL, !v.faults);
	out_text("%s: %s\n", dir, v.faults ? "damaged" : "good");
	json_decref(m);
	free(dir);
	if (stop_signal)
		return -1;
	return v.faults ? 1 : 0;
}
