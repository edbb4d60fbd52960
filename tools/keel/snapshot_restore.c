// SPDX-License-Identifier: GPL-2.0
/*
 * keel snapshot restore: QEMU, started so that it goes on where the image ends.
 *
 * The command is the guest's own, rewritten (restore_args.c, restore_disk.c);
 * we talk to QEMU over a socket pair that it inherits, so no path has to be
 * agreed on. QEMU is our child: in the foreground it has our terminal and dies
 * with us, with --daemon it is on its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "image.h"
#include "keel.h"
#include "out.h"
#include "qmp.h"
#include "restore.h"
#include "snapshot.h"

#define LOAD_MS	120000

extern char **environ;

struct restore {
	const char *qmp_path;
	const char *run_base;
	bool daemon, dry_run, verify, ignore_cpu;
	struct restore_disk *disks;
	int nr_disks;
	char *dir;
	char *run;		/* the run directory */
	char *log;		/* QEMU's stderr */
	json_t *manifest;
	json_t *moved;		/* --disk */
	struct command cmd;
	struct qmp q;
	pid_t qemu, tee;
	uint64_t begin_ns;
};

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

enum { OPT_DISK = 256, OPT_QMP, OPT_RUN_DIR, OPT_DAEMON, OPT_VERIFY,
       OPT_IGNORE_CPU, OPT_DRY_RUN };

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
	char *argv[] = { "qemu-img", "create", "-q", "-f", "qcow2", "-F",
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
	char *argv[] = { (char *)qemu, "-object", "memory-backend-file,help",
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

/* QEMU's stderr goes on to ours and is kept, to be quoted if it fails. */
static int start_tee(struct restore *r)
{
	char buf[4096];
	ssize_t n;
	int p[2], log;

	log = open(r->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (log < 0)
		return fail("%s: %s", r->log, strerror(errno));
	if (r->daemon)
		return log;
	if (pipe2(p, O_CLOEXEC))
		return fail("pipe: %s", strerror(errno));
	r->tee = fork();
	if (r->tee) {
		close(p[0]);
		close(log);
		return p[1];
	}
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	close(p[1]);
	while ((n = read(p[0], buf, sizeof(buf))) > 0) {
		write_all(log, buf, n);
		write_all(2, buf, n);
	}
	_exit(0);
}

static void child(struct restore *r, int err_fd)
{
	if (r->daemon) {
		int null = open("/dev/null", O_RDWR);

		setsid();
		dup2(null, 0);
		dup2(err_fd, 1);
	} else {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
	}
	dup2(err_fd, 2);
	signal(SIGPIPE, SIG_DFL);
	execvp(r->cmd.argv[0], r->cmd.argv);
	dprintf(2, "%s: %s\n", r->cmd.argv[0], strerror(errno));
	_exit(127);
}

static int start_qemu(struct restore *r)
{
	int sv[2], err_fd;
	char *v;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv))
		return fail("socketpair: %s", strerror(errno));
	err_fd = start_tee(r);
	if (err_fd < 0)
		return -1;
	v = mkpath("socket,id=keel-restore,fd=%d", sv[1]);
	command_add(&r->cmd, "-chardev");
	command_add(&r->cmd, v);
	free(v);
	command_add(&r->cmd, "-mon");
	command_add(&r->cmd, "chardev=keel-restore,mode=control");
	fflush(NULL);
	r->qemu = fork();
	if (!r->qemu) {
		fcntl(sv[1], F_SETFD, 0);
		child(r, err_fd);
	}
	close(sv[1]);
	close(err_fd);
	if (r->qemu < 0)
		return fail("fork: %s", strerror(errno));
	return qmp_attach(&r->q, sv[0]);
}

static int migrate_in(struct restore *r)
{
	char *path = mkpath("file:%s/" IMAGE_DEVICE, r->dir);
	json_t *ret;

	ret = qmp_call(&r->q, "migrate-set-capabilities",
		       json_pack("{s[{ss sb} {ss sb}]}", "capabilities",
				 "capability", "x-ignore-shared", "state", 1,
				 "capability", "events", "state", 1), -1,
		       QMP_CALL_MS);
	json_decref(ret);
	if (ret) {
		ret = qmp_try(&r->q, "migrate-incoming",
			      json_pack("{ss}", "uri", path), -1, QMP_CALL_MS);
		json_decref(ret);
	}
	/* Before QEMU 8.2 there is no file:. */
	if (!ret && !error_text()) {
		free(path);
		path = mkpath("exec:exec cat '%s/" IMAGE_DEVICE "'", r->dir);
		ret = strchr(r->dir, '\'') ? NULL :
		      qmp_call(&r->q, "migrate-incoming",
			       json_pack("{ss}", "uri", path), -1, QMP_CALL_MS);
		json_decref(ret);
	}
	free(path);
	return ret ? 0 : fail("QEMU does not take the device state");
}

static bool is_running(struct restore *r)
{
	json_t *st = qmp_try(&r->q, "query-status", NULL, -1, QMP_CALL_MS);
	bool running = json_is_true(json_object_get(st, "running"));

	json_decref(st);
	return running;
}

static int bring_back(struct restore *r)
{
	uint64_t deadline = now_ns() + LOAD_MS * NS_PER_MS;
	bool run = json_is_true(json_object_get(r->manifest, "running"));
	const char *s;
	json_t *event;
	int err;

	if (migrate_in(r))
		return -1;
	event = qmp_event(&r->q, "MIGRATION", "completed", deadline);
	s = json_string_value(json_object_get(json_object_get(event, "data"),
					      "status"));
	err = !s || strcmp(s, "completed") ?
	      fail("QEMU could not load the device state") : 0;
	json_decref(event);
	if (err || !run)
		return err;
	/* QEMU goes on by itself if the guest ran; else it is told to. */
	while (!r->q.resume_seen && !is_running(r)) {
		if (error_text() || now_ns() > deadline)
			return fail("the guest does not run on");
		json_decref(qmp_try(&r->q, "cont", NULL, -1, QMP_CALL_MS));
	}
	return 0;
}

/* What QEMU wrote to stderr last: two lines, for the second is often empty talk. */
static const char *last_words(char *text)
{
	char *end = text ? text + strlen(text) : NULL, *p;
	int lines = 0;

	while (end && end > text && end[-1] == '\n')
		*--end = 0;
	if (!end || end == text)
		return "it said nothing";
	for (p = end; p > text; p--)
		if (p[-1] == '\n' && ++lines == 2)
			break;
	return p;
}

static void blame_qemu(struct restore *r)
{
	int status = 0, got = 0;
	char *text;

	if (stop_signal)
		return;
	for (int i = 0; i < 20 && !got; i++) {
		got = waitpid(r->qemu, &status, WNOHANG);
		if (!got)
			usleep(50000);
	}
	if (!got)
		return;
	r->qemu = 0;
	if (r->tee > 0)
		waitpid(r->tee, NULL, 0);
	r->tee = 0;
	text = read_text(r->log, NULL);
	error_forget();
	fail("QEMU ended before the guest ran (status %d): %s",
	     WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
	     last_words(text));
	free(text);
}

static void give_up(struct restore *r)
{
	if (r->qemu > 0)
		blame_qemu(r);
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

/* In the foreground: stay as long as QEMU, end as it does. */
static int follow(struct restore *r)
{
	int status = 0;

	while (waitpid(r->qemu, &status, 0) < 0 && errno == EINTR)
		if (stop_signal && stop_signal != SIGINT)
			kill(r->qemu, SIGTERM);
	if (r->tee > 0)
		waitpid(r->tee, NULL, 0);
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	return fail("QEMU ended with status %d", WIFEXITED(status) ?
		    WEXITSTATUS(status) : 128 + WTERMSIG(status));
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
		err = start_qemu(&r) || bring_back(&r);
		if (!err)
			report(&r);
		qmp_close(&r.q);
	}
	if (err)
		give_up(&r);
	else if (!r.dry_run && !r.daemon)
		err = follow(&r);
	release(&r);
	return err ? -1 : 0;
}
