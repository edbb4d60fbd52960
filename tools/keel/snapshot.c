// SPDX-License-Identifier: GPL-2.0
/* keel snapshot list, show, wait, abort: by the kernel's id or by directory. */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image.h"
#include "keel.h"
#include "out.h"
#include "record.h"
#include "snapshot.h"

#define WAIT_USEC 50000

static const struct option no_options[] = { { 0 } };

static int one_word(int argc, char **argv, const char *verb)
{
	if (next_option(argc, argv, no_options) != -1)
		return -1;
	if (argc - optind != 1)
		return bad("snapshot %s: give one snapshot, by id or directory",
			   verb);
	return 0;
}

/*
 * What @word means: a directory, or an id, whose directory the record knows.
 * A directory named like a number is "./7".
 */
static int resolve(const char *word, uint32_t *id, char **dir)
{
	json_t *record;

	*id = 0;
	*dir = NULL;
	if (parse_u32(word, id)) {
		*dir = strdup(word);
		return 0;
	}
	record = record_read(*id);
	if (record)
		*dir = mkpath("%s", json_string_value(
				json_object_get(record, "dir")));
	json_decref(record);
	return 0;
}

static void print_kernel(const struct keel_snapshot *s)
{
	uint64_t done = s->fault_pages + s->swept_pages + s->eager_pages;

	out_u64("id", "%-5llu", s->id);
	out_u64("vm", "vm %-4llu ", s->vm);
	out_str("state", "%-9s", keel_snap_state_name(s->state));
	if (s->state == KEEL_SNAP_ABORTED) {
		out_str("reason", NULL, keel_snap_reason_name(s->reason));
		out_text(" (%s)", keel_snap_reason_text(s->reason));
	}
	out_u64("pid", NULL, s->pid);
	out_u64("files", NULL, s->files);
	out_u64("pages", " %llu pages", s->pages);
	if (s->pages)
		out_u64("percent", " %llu%%", done * 100 / s->pages);
	out_u64("fault_pages", ", %llu by faults", s->fault_pages);
	out_u64("swept_pages", ", %llu swept", s->swept_pages);
	out_u64("eager_pages", NULL, s->eager_pages);
	out_u64("zero_pages", ", %llu zero", s->zero_pages);
	out_u64("pool_pages", NULL, s->pool_pages);
	out_u64("pool_low", NULL, s->pool_low);
	out_u64("throttled", NULL, s->throttled);
	out_u64("throttled_ns", NULL, s->throttled_ns);
	out_u64("spilled_pages", NULL, s->spilled_pages);
	out_ms("arm_ns", ", gate %.2f ms", s->arm_ns);
	out_text("\n");
}

static int list_kernel(void)
{
	struct keel_snapshot *s;
	struct keel *keel;
	int nr;

	if (keel_open(&keel)) {
		/* Images can be listed without the module. */
		keel_close(keel);
		return 0;
	}
	nr = keel_snapshot_list(keel, &s);
	if (nr < 0)
		fail("%s", keel_error(keel));
	for (int i = 0; i < nr; i++) {
		json_t *r = record_read(s[i].id);

		out_object(NULL);
		print_kernel(&s[i]);
		if (r)
			out_str("dir", "     in %s\n", json_string_value(
					json_object_get(r, "dir")));
		out_end();
		json_decref(r);
	}
	if (nr >= 0)
		free(s);
	keel_close(keel);
	return nr < 0 ? -1 : 0;
}

static void list_image(const char *dir)
{
	uint32_t pid, id;
	enum image_state state = image_state(dir, &pid, &id);
	json_t *m;

	if (state == IMAGE_NONE)
		return;
	out_object(NULL);
	out_str("dir", "%-40s ", dir);
	m = state == IMAGE_WHOLE ? manifest_load(dir, false) : NULL;
	if (m) {
		out_str("state", "%-8s", "complete");
		out_str("time", " %s", json_string_value(
				json_object_get(m, "time")));
		out_str("vm", " %s", json_string_value(json_object_get(
				json_object_get(m, "vm"), "name")));
		json_decref(m);
	} else if (state == IMAGE_WHOLE) {
		out_str("state", "damaged: ", "damaged");
		out_str("error", "%s", error_text());
		error_forget();
	} else {
		out_str("state", "partial, ", "partial");
		out_bool("writing", NULL, state == IMAGE_WRITING);
		if (state == IMAGE_WRITING)
			out_u64("snapshot", "being written as snapshot %llu", id);
		else
			out_text("its writer is gone; remove it");
	}
	out_text("\n");
	out_end();
}

/* @dir is an image, or holds some. */
static int list_dir(const char *dir)
{
	uint32_t pid, id;
	struct dirent *e;
	DIR *d;

	if (image_state(dir, &pid, &id) != IMAGE_NONE) {
		list_image(dir);
		return 0;
	}
	d = opendir(dir);
	if (!d)
		return bad("%s: %s", dir, strerror(errno));
	while ((e = readdir(d))) {
		char *path;
		struct stat st;

		if (e->d_name[0] == '.')
			continue;
		path = mkpath("%s/%s", dir, e->d_name);
		if (!stat(path, &st) && S_ISDIR(st.st_mode))
			list_image(path);
		free(path);
	}
	closedir(d);
	return 0;
}

static int snapshot_list(int argc, char **argv)
{
	int err = 0;

	if (next_option(argc, argv, no_options) != -1)
		return -1;
	out_array(NULL);
	if (optind == argc)
		return list_kernel();
	for (int i = optind; i < argc && !err; i++)
		err = list_dir(argv[i]);
	return err;
}

static int show_image(const char *dir)
{
	json_t *m = manifest_load(dir, true), *mem, *f, *disk, *disks;
	char text[32];
	size_t i;

	if (!m)
		return -1;
	if (out_json) {
		json_array_foreach(json_object_get(m, "memory"), i, f)
			json_object_del(f, "xxh3_64");
		json_object_set_new(m, "dir", json_string(dir));
		json_object_set_new(m, "state", json_string("complete"));
		out_object(NULL);
		out_value("image", m);
		return 0;
	}
	out_text("%s: complete\n", dir);
	out_text("instant        %s\n",
		 json_string_value(json_object_get(m, "time")));
	f = json_object_get(m, "vm");
	out_text("vm             %s, %s\n",
		 json_string_value(json_object_get(f, "name")) ?: "without a name",
		 json_string_value(json_object_get(f, "comm")));
	mem = json_object_get(m, "memory");
	json_array_foreach(mem, i, f)
		out_text("memory         %s: %s, backend %s, was %s\n",
			 json_string_value(json_object_get(f, "image")),
			 size_text(json_integer_value(json_object_get(f, "size")),
				   text, sizeof(text)),
			 json_string_value(json_object_get(f, "backend")) ?: "unknown",
			 json_string_value(json_object_get(f, "path")));
	out_text("device state   %s\n", json_is_object(
			json_object_get(m, "device_state")) ? "yes" :
		 "none: memory alone");
	disks = json_object_get(m, "disks");
	json_array_foreach(disks, i, disk)
		out_text("disk           %s: %s (%s)\n", json_string_value(
				json_object_get(disk, "device")) ?:
			 json_string_value(json_object_get(disk, "node")),
			 json_string_value(json_object_get(disk, "file")),
			 json_string_value(json_object_get(disk, "format")));
	stats_print(json_object_get(m, "statistics"));
	json_decref(m);
	return 0;
}

/* What the kernel and the record know of @id. */
static int show_id(uint32_t id, const char *dir)
{
	struct keel_snapshot s;
	json_t *r;
	struct keel *keel;
	int err;

	err = keel_open(&keel);
	if (!err)
		err = keel_snapshot_get(keel, id, &s);
	keel_close(keel);
	r = record_read(id);
	if (err && !r)
		return bad("no snapshot %u; 'keel snapshot list' shows those under way",
			   id);
	out_object(NULL);
	if (!err) {
		print_kernel(&s);
	} else {
		out_u64("id", "%-5llu", id);
		out_str("state", "%s", json_string_value(
				json_object_get(r, "state")));
		if (json_object_get(r, "error"))
			out_str("error", ": %s", json_string_value(
					json_object_get(r, "error")));
		out_text("\n");
	}
	if (dir)
		out_str("dir", "     in %s\n", dir);
	json_decref(r);
	return 0;
}

static int snapshot_show(int argc, char **argv)
{
	uint32_t id, pid, writing;
	char *dir;
	int err;

	if (one_word(argc, argv, "show") || resolve(argv[optind], &id, &dir))
		return -1;
	switch (dir ? image_state(dir, &pid, &writing) : IMAGE_NONE) {
	case IMAGE_WHOLE:
		err = show_image(dir);
		break;
	case IMAGE_WRITING:
		err = show_id(writing, dir);
		break;
	case IMAGE_PARTIAL:
		out_object(NULL);
		out_str("dir", "%s.partial: ", dir);
		out_str("state", "%s; its writer is gone, remove it\n",
			"partial");
		err = 0;
		break;
	default:
		err = id ? show_id(id, dir) :
		      bad("%s is not a snapshot: it has no " IMAGE_MANIFEST,
			  dir);
	}
	free(dir);
	return err;
}

static int snapshot_wait(int argc, char **argv)
{
	uint32_t id, pid, snapshot;
	enum image_state state;
	json_t *record;
	char *dir;
	int err = 0;

	if (one_word(argc, argv, "wait") || resolve(argv[optind], &id, &dir))
		return -1;
	if (!dir)
		return bad("no snapshot %u was begun here; give its directory",
			   id);
	catch_signals();
	while ((state = image_state(dir, &pid, &snapshot)) == IMAGE_WRITING) {
		id = snapshot;
		if (stop_signal) {
			err = fail("interrupted; the snapshot goes on");
			break;
		}
		usleep(WAIT_USEC);
	}
	record = id ? record_read(id) : NULL;
	if (!err && state != IMAGE_WHOLE)
		err = fail("%s: the snapshot failed: %s", dir,
			   json_string_value(json_object_get(record, "error")) ?:
			   "its writer is gone");
	json_decref(record);
	if (!err) {
		out_object(NULL);
		out_str("dir", "%s: ", dir);
		out_str("state", "%s\n", "complete");
	}
	free(dir);
	return err;
}

/* Its writer is past the kernel's part, or there is nothing in the kernel. */
static int abort_writer(const char *dir)
{
	uint32_t pid, id;

	if (image_state(dir, &pid, &id) != IMAGE_WRITING)
		return bad("%s is not being written; nothing to abort", dir);
	if (!pid || kill(pid, SIGTERM))
		return fail("process %u, which writes %s, cannot be told: %s",
			    pid, dir, strerror(errno));
	return 0;
}

static int snapshot_abort(int argc, char **argv)
{
	uint32_t id, pid, writing;
	struct keel *keel;
	char *dir;
	int err;

	if (one_word(argc, argv, "abort") || resolve(argv[optind], &id, &dir))
		return -1;
	if (!id && image_state(dir, &pid, &writing) != IMAGE_WRITING) {
		err = abort_writer(dir);
		free(dir);
		return err;
	}
	if (!id)
		id = writing;
	if (keel_connect(&keel))
		return -1;
	err = keel_snapshot_abort(keel, id);
	if (err && dir && image_state(dir, &pid, &writing) == IMAGE_WRITING)
		err = abort_writer(dir);
	else if (err == -ENOENT)
		err = bad("no snapshot %u; 'keel snapshot list' shows those under way",
			  id);
	else if (err)
		err = fail("snapshot %u: %s", id, keel_error(keel));
	keel_close(keel);
	if (!err) {
		out_object(NULL);
		out_u64("snapshot", "snapshot %llu aborted\n", id);
	}
	free(dir);
	return err ? -1 : 0;
}

int cmd_snapshot(int argc, char **argv)
{
	static const struct cmd verbs[] = {
		{ "create", snapshot_create, snapshot_create_help },
		{ "list", snapshot_list,
		  "keel snapshot list [DIR...]\n"
		  "    The snapshots under way, or the images that are or lie in each DIR.\n" },
		{ "show", snapshot_show,
		  "keel snapshot show ID|DIR\n"
		  "    One snapshot: how far it is, or what the image holds and what it cost.\n" },
		{ "wait", snapshot_wait,
		  "keel snapshot wait ID|DIR\n"
		  "    Return when it is complete (0) or has failed (1).\n" },
		{ "abort", snapshot_abort,
		  "keel snapshot abort ID|DIR\n"
		  "    Give up one that is under way; the guest runs on.\n" },
		{ "verify", snapshot_verify,
		  "keel snapshot verify DIR\n"
		  "    Check all of an image; each fault is named by file and byte range.\n" },
		{ "restore", snapshot_restore, snapshot_restore_help },
		{ 0 }
	};

	return cmd_select(verbs, "keel snapshot", argc, argv);
}
