// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's disks at the instant: each writable one gets an empty overlay, to
 * which QEMU switches all of them in one transaction while the guest is
 * stopped. What lies below is then the disk as it was, and belongs to the image.
 *
 * The overlay is made and opened beforehand, with the guest running.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"
#include "keel.h"

extern char **environ;

static const char *text_of(json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

/*
 * QEMU's name of an image is a path, or "json:" and its options where a path
 * would not say all, as with an overlay's overlay. To be freed; NULL if it is
 * no local file.
 */
static char *plain_path(const char *file)
{
	json_t *opts, *o;
	const char *path;
	char *plain;

	if (!file || strncmp(file, "json:", 5))
		return file ? mkpath("%s", file) : NULL;
	opts = json_loads(file + 5, 0, NULL);
	for (o = opts; json_object_get(o, "file");)
		o = json_object_get(o, "file");
	path = text_of(o, "filename");
	plain = path ? mkpath("%s", path) : NULL;
	json_decref(opts);
	return plain;
}

/* As the VMM means it. */
static char *absolute(uint32_t pid, const char *file)
{
	char link[64], cwd[4096];
	ssize_t n;

	if (file[0] == '/')
		return mkpath("%s", file);
	snprintf(link, sizeof(link), "/proc/%u/cwd", pid);
	n = readlink(link, cwd, sizeof(cwd) - 1);
	if (n < 0)
		return NULL;
	cwd[n] = 0;
	return mkpath("%s/%s", cwd, file);
}

static int add_disk(struct guest *g, json_t *block, json_t *inserted)
{
	const char *device = text_of(block, "device");
	const char *node = text_of(inserted, "node-name");
	const char *file = text_of(inserted, "file");
	json_t *image = json_object_get(inserted, "image"), *chain, *disk;
	char *plain = plain_path(file), *path = NULL;
	struct stat st;

	if (device && !*device)
		device = NULL;
	if (plain)
		path = absolute(g->pid, plain);
	free(plain);
	if (!path || stat(path, &st) ||
	    (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))) {
		bad("disk %s (%s) is not a local file, so it cannot be frozen; --no-disks leaves the disks alone",
		    device ? device : node, file ? file : "no file");
		free(path);
		return -1;
	}
	chain = json_array();
	for (json_t *i = json_object_get(image, "backing-image"); i;
	     i = json_object_get(i, "backing-image")) {
		plain = plain_path(text_of(i, "filename"));
		if (plain)
			json_array_append_new(chain, json_string(plain));
		free(plain);
	}
	disk = json_pack("{ss* ss ss ss sO sO* so}", "device", device, "node",
			 node, "file", path, "format",
			 text_of(inserted, "drv"), "size",
			 json_object_get(image, "virtual-size"), "cache",
			 json_object_get(inserted, "cache"), "chain", chain);
	json_array_append_new(g->disks, disk);
	free(path);
	return 0;
}

int guest_disks_find(struct guest *g)
{
	json_t *blocks, *b, *inserted;
	size_t i;
	int err = 0;

	g->disks = json_array();
	if (g->no_disks)
		return 0;
	blocks = qmp_call(&g->q, "query-block", NULL, -1, QMP_CALL_MS);
	if (!blocks)
		return -1;
	json_array_foreach(blocks, i, b) {
		inserted = json_object_get(b, "inserted");
		if (err || !inserted ||
		    json_is_true(json_object_get(inserted, "ro")))
			continue;
		err = add_disk(g, b, inserted);
	}
	json_decref(blocks);
	return err;
}

/* BASE.keel-TIME-ID; an overlay's overlay does not grow the name. */
static char *overlay_name(const struct guest *g, const char *base,
			  uint32_t snapshot, size_t index)
{
	char *copy = mkpath("%s", base), *copy2 = mkpath("%s", base), *path;
	char *name = basename(copy), *old = strstr(name, ".keel-");
	char stamp[32];
	time_t now = time(NULL);
	struct tm tm;

	if (old)
		*old = 0;
	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%S", gmtime_r(&now, &tm));
	path = mkpath("%s/%s.keel-%s-%u.%zu", g->overlay_dir ? g->overlay_dir :
		      dirname(copy2), name, stamp, snapshot, index);
	free(copy);
	free(copy2);
	return path;
}

/* Without opening the base, which QEMU has locked. */
static int make_overlay(json_t *disk, const char *overlay)
{
	const char *base = text_of(disk, "file");
	char size[32];
	char *argv[13] = { "qemu-img", "create", "-q", "-u", "-f", "qcow2", "-F",
			   (char *)text_of(disk, "format"), "-b", (char *)base,
			   (char *)overlay, size, NULL };
	struct stat st;
	pid_t pid;
	int status, err;

	snprintf(size, sizeof(size), "%lld", (long long)
		 json_integer_value(json_object_get(disk, "size")));
	err = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
	if (err)
		return fail("qemu-img cannot be run: %s; install qemu-utils",
			    strerror(err));
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (status)
		return fail("qemu-img could not make the overlay %s", overlay);
	/* QEMU may run as somebody else, who owns the base. */
	if (!stat(base, &st) && S_ISREG(st.st_mode) &&
	    (chown(overlay, st.st_uid, st.st_gid) ||
	     chmod(overlay, st.st_mode & 0777)))
		return fail("%s: %s", overlay, strerror(errno));
	return 0;
}

/* Before the guard is there, which is to know them. */
void guest_disks_name(struct guest *g, uint32_t snapshot)
{
	json_t *disk;
	size_t i;

	json_array_foreach(g->disks, i, disk) {
		char *overlay = overlay_name(g, text_of(disk, "file"),
					     snapshot, i);
		char *node = mkpath("keel-%llx-%zu",
				    (unsigned long long)now_ns(), i);

		json_object_set_new(disk, "overlay", json_string(overlay));
		json_object_set_new(disk, "overlay-node", json_string(node));
		free(overlay);
		free(node);
	}
}

/* QEMU opens it now, so that in the stop window it need not. */
static int open_overlay(struct guest *g, json_t *disk)
{
	json_t *cache = json_object_get(disk, "cache"), *ret;
	json_t *direct = json_object_get(cache, "direct");
	json_t *no_flush = json_object_get(cache, "no-flush");

	ret = qmp_call(&g->q, "blockdev-add",
		       json_pack("{ss sO sn ss s{sb sb} s{ss sO}}", "driver",
				 "qcow2", "node-name",
				 json_object_get(disk, "overlay-node"),
				 "backing", "discard", "unmap", "cache",
				 "direct", json_is_true(direct), "no-flush",
				 json_is_true(no_flush), "file", "driver",
				 "file", "filename",
				 json_object_get(disk, "overlay")), -1,
		       QMP_CALL_MS);
	json_decref(ret);
	return ret ? 0 : -1;
}

int guest_disks_prepare(struct guest *g)
{
	json_t *disk;
	size_t i;

	json_array_foreach(g->disks, i, disk) {
		const char *base = text_of(disk, "file");

		if (!strncmp(base, "/dev/", 5) && !g->overlay_dir)
			return bad("disk %s is a device; say with --overlay-dir where its overlay goes",
				   base);
		g->overlays_made = true;
		if (make_overlay(disk, text_of(disk, "overlay")) ||
		    open_overlay(g, disk))
			return -1;
	}
	return 0;
}

/* Have the switch ready to be sent; guest_disks_switched() waits for it. */
void guest_disks_queue(struct guest *g)
{
	json_t *actions = json_array(), *disk;
	size_t i;

	json_array_foreach(g->disks, i, disk) {
		json_t *data = json_pack("{sO sO}", "node",
					 json_object_get(disk, "node"),
					 "overlay",
					 json_object_get(disk, "overlay-node"));

		data = json_pack("{ss so}", "type", "blockdev-snapshot",
				 "data", data);
		json_array_append_new(actions, data);
	}
	if (!json_array_size(actions)) {
		json_decref(actions);
		return;
	}
	g->switching = true;
	g->disks_id = qmp_queue(&g->q, "transaction",
				json_pack("{so}", "actions", actions));
}

int guest_disks_switched(struct guest *g)
{
	json_t *ret;

	if (g->switching) {
		ret = qmp_expect(&g->q, g->disks_id, "transaction", STOPPED_MS);
		json_decref(ret);
		g->switched = ret;
		/* Without an answer it may have happened: they must stay. */
		g->switching = !ret && !g->q.error[0];
		if (!ret)
			return -1;
	}
	g->disks_ns = now_ns();
	return 0;
}

/* The overlays are not needed. If a QEMU has one in use, it stays. */
void guest_disks_forget(struct guest *g)
{
	json_t *disk, *ret;
	size_t i;

	json_array_foreach(g->disks, i, disk) {
		if (!text_of(disk, "overlay-node"))
			continue;
		ret = qmp_try(&g->q, "blockdev-del",
			      json_pack("{sO}", "node-name",
					json_object_get(disk, "overlay-node")),
			      -1, QMP_CALL_MS);
		json_decref(ret);
		if (ret || g->gone)
			unlink(text_of(disk, "overlay"));
	}
}
