// SPDX-License-Identifier: GPL-2.0
/*
 * The command's disks, made into overlays of the frozen ones.
 *
 * A disk is told by the id of its -drive or the node name of its -blockdev, else
 * by its file: the one that was frozen or one below it, for the command may be
 * older than the last snapshot.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "args.h"
#include "keel.h"
#include "restore.h"

static bool same_file(const char *a, const char *b)
{
	struct stat x, y;

	if (!a || !b)
		return false;
	if (!strcmp(a, b))
		return true;
	return !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

/* Exact: its own file. Otherwise also what lies below it. */
static bool has_file(const struct restore_disk *d, const char *file, bool exact)
{
	json_t *below;
	size_t i;

	if (same_file(file, d->base) || same_file(file, d->recorded))
		return true;
	if (!exact)
		json_array_foreach(d->chain, i, below)
			if (same_file(file, json_string_value(below)))
				return true;
	return false;
}

static struct restore_disk *find(struct restore_disk *disks, int nr,
				 const char *name, const char *file)
{
	for (int i = 0; name && i < nr; i++)
		if (!disks[i].placed &&
		    (!strcmp(name, disks[i].name) ||
		     (disks[i].node && !strcmp(name, disks[i].node))))
			return &disks[i];
	for (int pass = 0; file && pass < 2; pass++)
		for (int i = 0; i < nr; i++)
			if (!disks[i].placed &&
			    has_file(&disks[i], file, pass == 0))
				return &disks[i];
	return NULL;
}

/* A format node of whatever driver becomes one of qcow2. */
static void make_qcow2(json_t *opts, const char *driver_key)
{
	static const char *const drop[] = { "size", "offset", "backing",
					    "readonly", "read-only" };
	const char *key;
	json_t *v;
	void *tmp;

	for (size_t i = 0; i < NR(drop); i++)
		json_object_del(opts, drop[i]);
	json_object_foreach_safe(opts, tmp, key, v)
		if (!strncmp(key, "backing.", 8))
			json_object_del(opts, key);
	json_object_set_new(opts, driver_key, json_string("qcow2"));
}

static void drive(struct command *cmd, int at, struct restore_disk *disks,
		  int nr)
{
	json_t *opts = args_parse(cmd->argv[at], NULL);
	const char *file = args_get(opts, "file") ?:
			   args_get(opts, "file.filename");
	struct restore_disk *d = find(disks, nr, args_get(opts, "id"), file);

	if (d) {
		json_object_del(opts, "file.filename");
		json_object_del(opts, "file.driver");
		json_object_set_new(opts, "file", json_string(d->overlay));
		make_qcow2(opts, json_object_get(opts, "driver") ? "driver" :
			   "format");
		command_set(cmd, at, args_format(opts, NULL, false));
		d->placed = true;
	}
	json_decref(opts);
}

/* The format node above protocol node @node: of qcow2 from now on. */
static bool retype_parent(struct command *cmd, const char *node)
{
	bool found = false;

	for (int i = 1; node && !found && i + 1 < cmd->argc; i++) {
		json_t *opts;

		if (!args_is(cmd->argv[i], "blockdev"))
			continue;
		opts = args_parse(cmd->argv[i + 1], "driver");
		found = args_get(opts, "file") &&
			!strcmp(args_get(opts, "file"), node);
		if (found) {
			make_qcow2(opts, "driver");
			command_set(cmd, i + 1,
				    args_format(opts, NULL,
						cmd->argv[i + 1][0] == '{'));
		}
		json_decref(opts);
	}
	return found;
}

/* The name by which the guest's disk is known may be that of the parent. */
static char *parent_name(struct command *cmd, const char *node)
{
	char *name = NULL;

	for (int i = 1; node && !name && i + 1 < cmd->argc; i++) {
		json_t *opts;

		if (!args_is(cmd->argv[i], "blockdev"))
			continue;
		opts = args_parse(cmd->argv[i + 1], "driver");
		if (args_get(opts, "file") && args_get(opts, "node-name") &&
		    !strcmp(args_get(opts, "file"), node))
			name = strdup(args_get(opts, "node-name"));
		json_decref(opts);
	}
	return name;
}

static void blockdev(struct command *cmd, int at, struct restore_disk *disks,
		     int nr)
{
	bool as_json = cmd->argv[at][0] == '{';
	json_t *opts = args_parse(cmd->argv[at], "driver");
	json_t *inner = json_object_get(opts, "file");
	const char *node = args_get(opts, "node-name");
	const char *direct = args_get(opts, "filename");
	const char *file = direct ?: args_get(opts, "file.filename");
	struct restore_disk *d;
	char *parent;

	if (json_is_object(inner))
		file = args_get(inner, "filename");
	parent = direct ? parent_name(cmd, node) : NULL;
	d = file ? find(disks, nr, parent ? parent : node, file) : NULL;
	free(parent);
	if (!d)
		goto out;
	d->placed = true;
	if (!direct) {
		make_qcow2(opts, "driver");
		if (json_is_object(inner))
			json_object_set_new(inner, "filename",
					    json_string(d->overlay));
		else
			json_object_set_new(opts, "file.filename",
					    json_string(d->overlay));
	} else if (retype_parent(cmd, node)) {
		json_object_set_new(opts, "filename", json_string(d->overlay));
	} else {
		/* The guest uses the protocol node itself. */
		json_t *whole = json_pack("{ss ss s{ss ss}}", "driver", "qcow2",
					  "node-name", node, "file", "driver",
					  "file", "filename", d->overlay);

		json_decref(opts);
		opts = whole;
	}
	json_object_del(opts, "read-only");
	json_object_del(opts, "auto-read-only");
	command_set(cmd, at, args_format(opts, NULL, as_json));
out:
	json_decref(opts);
}

static void plain(struct command *cmd, int at, struct restore_disk *disks,
		  int nr)
{
	struct restore_disk *d = find(disks, nr, NULL, cmd->argv[at]);

	if (!d)
		return;
	d->placed = true;
	command_set(cmd, at, strdup(d->overlay));
}

int restore_disks(struct command *cmd, struct restore_disk *disks, int nr)
{
	static const char *const plains[] = { "hda", "hdb", "hdc", "hdd", "sd",
					      "pflash", "mtdblock" };

	for (int i = 1; i + 1 < cmd->argc; i++) {
		if (args_is(cmd->argv[i], "drive"))
			drive(cmd, i + 1, disks, nr);
		else if (args_is(cmd->argv[i], "blockdev"))
			blockdev(cmd, i + 1, disks, nr);
		for (size_t k = 0; k < NR(plains); k++)
			if (args_is(cmd->argv[i], plains[k]))
				plain(cmd, i + 1, disks, nr);
	}
	for (int i = 0; i < nr; i++)
		if (!disks[i].placed)
			return bad("the command has no disk '%s' (%s); give the command the guest was started with",
				   disks[i].name, disks[i].recorded);
	return 0;
}
