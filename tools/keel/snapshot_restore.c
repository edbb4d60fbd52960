// SPDX-License-Identifier: GPL-2.0
/*
 * keel snapshot restore: QEMU, started so that it goes on where the image ends.
 *
 * The command is the guest's own, rewritten here, in restore_args.c and in
 * restore_disk.c; restore_qemu.c runs it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "image.h"
#include "keel.h"
#include "out.h"
#include "restore.h"
#include "snapshot.h"

extern char **environ;

const char snapshot_restore_help[] =
	"keel snapshot restore DIR [OPTIONS] -- QEMU COMMAND...\n"
	"    Bring the guest back as it was at the instant. The command is the one it was\n"
	"    started with; its memory becomes a private mapping of the image and its\n"
	"    disks new overlays, so that the image serves any number of times.\n"
	"        --disk DEVICE=FILE   a frozen disk that has been moved\n"
	"        --qmp SOCKET         give the restored QEMU a monitor there\n"
	"        --run-dir DIR        where the overlays go (a new directory in /var/tmp)\n"
	"        --daemon             return when the guest runs\n"
	"        --verify             check all of the memory first\n"
	"        --ignore-cpu         go on though this host's CPU lacks features\n"
	"        --dry-run            print the command and start nothing\n";

enum {
	OPT_DISK = 256, OPT_QMP, OPT_RUN_DIR, OPT_DAEMON, OPT_VERIFY,
	OPT_IGNORE_CPU, OPT_DRY_RUN
};

static const struct option options[] = {
	{ "disk",	required_argument, NULL, OPT_DISK },
	{ "qmp",	required_argument, NULL, OPT_QMP },
	{ "run-dir",	required_argument, NULL, OPT_RUN_DIR },
	{ "daemon",	no_argument,	   NULL, OPT_DAEMON },
	{ "verify",	no_argument,	   NULL, OPT_VERIFY },
	{ "ignore-cpu", no_argument,	   NULL, OPT_IGNORE_CPU },
	{ "dry-run",	no_argument,	   NULL, OPT_DRY_RUN },
	{ 0 }
};

static int disk_option(struct restore *r, const char *text)
{
	const char *eq = strchr(text, '=');
	char *name;

	if (!eq || eq == text || !eq[1])
		return bad("--disk is DEVICE=FILE, not '%s'", text);
	name = strndup(text, eq - text);
	json_object_set_new(r->moved, name, json_string(eq + 1));
	free(name);
	return 0;
}

/* Our words end at "--"; what follows is the command. */
static int parse(struct restore *r, int argc, char **argv)
{
	int sep = 1, opt, err = 0;

	while (sep < argc && strcmp(argv[sep], "--"))
		sep++;
	r->moved = json_object();
	while (!err && (opt = next_option(sep, argv, options)) != -1) {
		switch (opt) {
		case OPT_DISK:
			err = disk_option(r, optarg);
			break;
		case OPT_QMP:
			r->qmp_path = optarg;
			break;
		case OPT_RUN_DIR:
			r->run_base = optarg;
			break;
		case OPT_DAEMON:
			r->daemon = true;
			break;
		case OPT_VERIFY:
			r->verify = true;
			break;
		case OPT_IGNORE_CPU:
			r->ignore_cpu = true;
			break;
		case OPT_DRY_RUN:
			r->dry_run = true;
			break;
		default:
			return -1;
		}
	}
	if (err)
		return -1;
	if (sep - optind != 1)
		return bad("snapshot restore: give one directory, then -- and the QEMU command");
	if (sep + 1 >= argc)
		return bad("snapshot restore: give the QEMU command after --");
	command_copy(&r->cmd, argv + sep + 1);
	r->dir = image_whole(argv[optind]);
	return r->dir ? 0 : -1;
}

static int load(struct restore *r)
{
	r->manifest = manifest_load(r->dir, true);
	if (!r->manifest)
		return -1;
	if (!json_is_object(json_object_get(r->manifest, "device_state")))
		return bad("%s holds memory alone; only a snapshot taken with --qmp can be restored",
			   r->dir);
	if (image_verify(r->dir, r->manifest, r->verify))
		return -1;
	return restore_check_cpu(r->manifest, r->cmd.argv, r->ignore_cpu);
}

static int find_disks(struct restore *r)
{
	json_t *disks = json_object_get(r->manifest, "disks"), *d;
	size_t i;

	r->disks = calloc(json_array_size(disks) + 1, sizeof(*r->disks));
	json_array_foreach(disks, i, d) {
		struct restore_disk *disk = &r->disks[r->nr_disks++];
		const char *moved;

		disk->node = json_string_value(json_object_get(d, "node"));
		disk->name = json_string_value(json_object_get(d, "device")) ?:
			     disk->node ?: "";
		disk->recorded = json_string_value(json_object_get(d, "file"));
		disk->format = json_string_value(json_object_get(d, "format"));
		disk->chain = json_object_get(d, "chain");
		moved = json_string_value(json_object_get(r->moved, disk->name));
		json_object_del(r->moved, disk->name);
		disk->base = moved ? moved : disk->recorded;
		if (!disk->base || !disk->format)
			return fail("%s: the manifest's disks are damaged",
				    r->dir);
		if (access(disk->base, R_OK))
			return bad("disk '%s' of the snapshot, %s: %s; if it was moved, say --disk %s=FILE",
				   disk->name, disk->base, strerror(errno),
				   disk->name);
		disk->overlay = mkpath("%s/disk%zu.qcow2", r->run, i);
	}
	if (json_object_size(r->moved))
		return bad("--disk: the snapshot has no disk '%s'",
			   json_object_iter_key(json_object_iter(r->moved)));
	return 0;
}

static int make_overlay(const struct restore_disk *d)
{
	char *argv[11] = { "qemu-img", "create", "-q", "-f", "qcow2", "-F",
			   (char *)d->format, "-b", NULL, d->overlay, NULL };
	char *base = realpath(d->base, NULL);
	int status, err;
	pid_t pid;

	argv[8] = base;
	err = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
	if (!err)
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	free(base);
	if (err)
		return fail("qemu-img cannot be run: %s; install qemu-utils",
			    strerror(err));
	return status ? fail("qemu-img could not make an overlay of %s",
			     d->base) : 0;
}

static int make_run_dir(struct restore *r)
{
	const char *base = r->run_base ? r->run_base : "/var/tmp";

	if (r->dry_run) {
		r->run = mkpath("%s/keel-restore.XXXXXX", base);
		return 0;
	}
	r->run = mkpath("%s/keel-restore.XXXXXX", base);
	if (!mkdtemp(r->run)) {
		bad("%s: %s; give another --run-dir", base, strerror(errno));
		free(r->run);
		r->run = NULL;
		return -1;
	}
	r->log = mkpath("%s/stderr", r->run);
	return 0;
}

/* Does this QEMU map a read-only file so that the guest can write? */
static bool knows_rom(const char *qemu)
{
	char *argv[4] = { (char *)qemu, "-object", "memory-backend-file,help",
			  NULL };
	posix_spawn_file_actions_t fa;
	char buf[8192] = "";
	size_t have = 0;
	ssize_t n;
	pid_t pid;
	int p[2], err;

	if (pipe2(p, O_CLOEXEC))
		return false;
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, p[1], 1);
	err = posix_spawnp(&pid, qemu, &fa, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	close(p[1]);
	while (!err && have < sizeof(buf) - 1 &&
	       (n = read(p[0], buf + have, sizeof(buf) - 1 - have)) > 0)
		have += n;
	close(p[0]);
	if (!err)
		waitpid(pid, NULL, 0);
	return strstr(buf, " rom=");
}

static int rewrite(struct restore *r)
{
	restore_strip(&r->cmd);
	if (restore_memory(&r->cmd, r->manifest, r->dir,
			   knows_rom(r->cmd.argv[0])) ||
	    make_run_dir(r) || find_disks(r) ||
	    restore_disks(&r->cmd, r->disks, r->nr_disks))
		return -1;
	for (int i = 0; !r->dry_run && i < r->nr_disks; i++)
		if (make_overlay(&r->disks[i]))
			return -1;
	command_add(&r->cmd, "-incoming");
	command_add(&r->cmd, "defer");
	if (r->qmp_path) {
		char *v = mkpath("unix:%s,server=on,wait=off", r->qmp_path);

		command_add(&r->cmd, "-qmp");
		command_add(&r->cmd, v);
		free(v);
	}
	return 0;
}

static void print_command(struct restore *r)
{
	out_object(NULL);
	out_array("command");
	for (char **a = r->cmd.argv; *a; a++) {
		bool plain = **a && !(*a)[strspn(*a,
			"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=,./:+@%")];
		const char *sep = a == r->cmd.argv ? "" : " ";

		out_text("%s", sep);
		if (out_json || plain) {
			out_str(NULL, "%s", *a);
			continue;
		}
		out_text("'");
		for (char *p = *a; *p; p++)
			out_text(*p == '\'' ? "'\\''" : "%c", *p);
		out_text("'");
	}
	out_text("\n");
	out_end();
}

static void give_up(struct restore *r)
{
	if (r->qemu > 0)
		restore_blame(r);
	if (r->qemu > 0) {
		kill(r->qemu, SIGKILL);
		waitpid(r->qemu, NULL, 0);
	}
	if (r->tee > 0)
		waitpid(r->tee, NULL, 0);
	for (int i = 0; i < r->nr_disks; i++)
		if (r->disks[i].overlay)
			unlink(r->disks[i].overlay);
	if (r->log)
		unlink(r->log);
	if (r->run && !r->dry_run)
		rmdir(r->run);
}

static void report(struct restore *r)
{
	uint64_t ns = (r->q.resume_seen ? r->q.resume_seen : now_ns()) -
		      r->begin_ns;

	out_object(NULL);
	out_ms("start_to_running_ns", "restored in %.0f ms", ns);
	out_u64("pid", ", QEMU is process %llu", r->qemu);
	out_str("run_dir", ", its files are in %s\n", r->run);
	out_bool("running", NULL, json_is_true(json_object_get(r->manifest,
							       "running")));
	if (!json_is_true(json_object_get(r->manifest, "running")))
		out_text("the guest was paused and is so again; 'cont' lets it go on\n");
	out_flush();
}

static void release(struct restore *r)
{
	for (int i = 0; i < r->nr_disks; i++)
		free(r->disks[i].overlay);
	qmp_close(&r->q);
	free(r->disks);
	free(r->dir);
	free(r->run);
	free(r->log);
	json_decref(r->manifest);
	json_decref(r->moved);
	command_free(&r->cmd);
}

int snapshot_restore(int argc, char **argv)
{
	struct restore r = { .begin_ns = now_ns(), .q.fd = -1 };
	int err;

	catch_signals();
	err = parse(&r, argc, argv) || load(&r) || rewrite(&r);
	if (!err && r.dry_run) {
		print_command(&r);
	} else if (!err) {
		err = restore_start(&r) || restore_load(&r);
		if (!err)
			report(&r);
		qmp_close(&r.q);
	}
	if (err)
		give_up(&r);
	else if (!r.dry_run && !r.daemon)
		err = restore_follow(&r);
	release(&r);
	return err ? -1 : 0;
}
