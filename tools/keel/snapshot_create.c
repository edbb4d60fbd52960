// SPDX-License-Identifier: GPL-2.0
/*
 * keel snapshot create: from a VM to a directory.
 *
 * begin:  find the VM, open its memory, make the partial directory, the session
 *         and, with a monitor, all that can be made ready there
 * arm:    the stop window, or the bare instant
 * finish: drain, checksums, manifest, everything to disk, rename
 *
 * Whatever fails, undo() takes back in the reverse order. With --no-wait a child
 * does all of it, and the parent waits only until the guest goes on.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "create.h"
#include "out.h"
#include "record.h"
#include "snapshot.h"

#define ARM_TRIES	3
#define LEARN_US	20000
#define POOL_LEAST	(64ULL << 20)
#define POOL_MOST	(4ULL << 30)

static int find_vm(struct create *c, const char *name)
{
	char **argv;

	if (keel_connect(&c->keel) || vm_find(c->keel, name, &c->vm) ||
	    memfiles_settle(c->keel, &c->vm))
		return -1;
	if (c->vm.snapshot)
		return bad("VM %u has snapshot %u under way; 'keel snapshot wait %u' or abort it",
			   c->vm.id, c->vm.snapshot, c->vm.snapshot);
	c->vm_name = vm_name(c->vm.pid);
	c->guest.pid = c->vm.pid;
	argv = read_cmdline(c->vm.pid, NULL);
	c->cmdline = json_array();
	for (char **a = argv; a && *a; a++)
		json_array_append_new(c->cmdline, json_string(*a));
	strv_free(argv);
	return 0;
}

/*
 * A guest that goes on touches what it has in use within a moment, much faster
 * than any disk takes it, and waits if it finds no buffer. So there should be
 * room for all that may be, where the host has it to spare for these seconds.
 */
static uint64_t default_pool(struct create *c)
{
	uint64_t pool = memfiles_bytes(&c->files);
	uint64_t spare = mem_available() / 8;

	if (pool > spare)
		pool = spare;
	if (pool > POOL_MOST)
		pool = POOL_MOST;
	return pool < POOL_LEAST ? POOL_LEAST : pool;
}

/* The host may have room, and the memory cgroup we are in may not. */
static int create_session(struct create *c)
{
	int err;

	if (c->params.pool_bytes)
		return keel_snap_create(c->snap, &c->params);
	c->params.pool_bytes = default_pool(c);
	while ((err = keel_snap_create(c->snap, &c->params)) == -ENOMEM &&
	       c->params.pool_bytes >= 2 * POOL_LEAST)
		c->params.pool_bytes /= 2;
	return err;
}

static int open_session(struct create *c)
{
	int err;

	c->snap = keel_snap_open();
	if (c->snap < 0)
		return fail(KEEL_DEVICE ": %s; %s", strerror(-c->snap),
			    c->snap == -EACCES ? "run as root" :
			    "is the keel module loaded?");
	c->params.vm = c->vm.id;
	err = create_session(c);
	if (err)
		return fail("creating the snapshot: %s%s", strerror(-err),
			    err == -ENOMEM ? "; a smaller --pool may fit" : "");
	for (int i = 0; i < c->files.nr; i++) {
		struct memfile *f = &c->files.v[i];

		err = keel_snap_add_file(c->snap, f->fd, &f->size);
		if (err == -EBUSY)
			return bad("the memory of VM %u is in another snapshot; 'keel snapshot list' shows it",
				   c->vm.id);
		if (err < 0)
			return fail("adding %s: %s", f->path, strerror(-err));
		if (err != i)
			return fail("the kernel numbered %s out of order",
				    f->path);
		f->image_fd = image_file(&c->img, f->name, f->size);
		if (f->image_fd < 0)
			return -1;
	}
	return image_own(&c->img, c->params.id);
}

static int begin(struct create *c)
{
	int err;

	if (memfiles_open(&c->files, &c->vm, c->guest.socket) ||
	    guest_open(&c->guest) || image_begin(&c->img, c->dir) ||
	    open_session(c) ||
	    guest_prepare(&c->guest, &c->img, c->params.id))
		return -1;
	err = keel_snap_prepare(c->snap);
	if (err == -ENODATA)
		return bad("the memory files of VM %u are empty", c->vm.id);
	if (err == -ECANCELED)
		return drain_reason(c->snap, "preparing");
	if (err)
		return fail("preparing the snapshot: %s", strerror(-err));
	record_write(c->params.id, c->img.dir, "draining", NULL);
	/* The kernel learns what the guest has in use. */
	usleep(LEARN_US);
	return stop_signal ? fail("interrupted") : 0;
}

static int arm(struct create *c)
{
	uint64_t bytes[KEEL_SNAP_FILES_MAX] = { 0 };
	int err = -EBUSY;

	for (int i = 0; i < ARM_TRIES && err == -EBUSY && !stop_signal; i++)
		err = keel_snap_arm(c->snap, &c->arm, bytes, c->files.nr);
	if (err && stop_signal)
		return -1;
	if (err == -ETOOMANYREFS)
		return fail("devices hold %llu guest pages pinned, more than --pinned %u; detach them or raise it",
			    (unsigned long long)c->arm.pinned,
			    c->params.pinned_max);
	if (err == -EHWPOISON)
		return fail("%s",
			    keel_snap_reason_text(KEEL_REASON_POISON));
	if (err == -EBUSY)
		return fail("an operation on the VM's memory files did not end in time; try again");
	if (err == -ECANCELED)
		return drain_reason(c->snap, "arming");
	if (err)
		return fail("arming: %s", strerror(-err));
	for (int i = 0; i < c->files.nr; i++) {
		struct memfile *f = &c->files.v[i];

		if (f->size != bytes[i] && ftruncate(f->image_fd, bytes[i])) {
			c->drain.not_stored = true;
			return fail("%s: %s", f->name, strerror(errno));
		}
		f->size = bytes[i];
	}
	return 0;
}

/* The map of memory, at the instant: whole, for nobody changes it now. */
static int check_memory(struct create *c)
{
	struct keel_vm vm;
	int err;

	if (!c->guest.socket)
		return 0;
	err = keel_vm_get(c->keel, c->vm.id, &vm);
	if (err == -ENOENT)
		return 0;	/* what became of it, its monitor tells */
	if (err)
		return fail("VM %u: %s", c->vm.id, keel_error(c->keel));
	keel_vm_release(&c->vm);
	c->vm = vm;
	return memfiles_check(&c->files, &vm);
}

/*
 * The instant, within the stop window if there is a monitor. The drain begins
 * as soon as the guest goes on; in the window it would be in QEMU's way.
 */
static int freeze(struct create *c)
{
	c->drain.snap = c->snap;
	c->drain.files = &c->files;
	if (guest_stop(&c->guest) || arm(c) || check_memory(c) ||
	    guest_saved(&c->guest) || guest_resume(&c->guest) ||
	    drain_start(&c->drain) || guest_finish(&c->guest))
		return -1;
	guest_settle(&c->guest);
	return 0;
}

static int finish(struct create *c, json_t **manifest)
{
	if (drain_wait(&c->drain))
		return -1;
	/* The session ends here: its buffers are wanted elsewhere. */
	close(c->snap);
	c->snap = -1;
	*manifest = create_manifest(c);
	if (!*manifest)
		return fail("the manifest cannot be made");
	for (int i = 0; i < c->files.nr; i++)
		if (fsync(c->files.v[i].image_fd))
			return fail("%s/%s: %s", c->img.partial,
				    c->files.v[i].name, strerror(errno));
	if (manifest_write(&c->img, *manifest))
		return -1;
	if (stop_signal)
		return fail("interrupted; the snapshot is given up");
	return image_commit(&c->img);
}

static void undo(struct create *c)
{
	guest_rescue(&c->guest);
	if (c->snap >= 0) {
		keel_snap_abort(c->snap, c->drain.not_stored ?
				KEEL_REASON_DRAIN : KEEL_REASON_REQUESTED);
		drain_wait(&c->drain);
		close(c->snap);
		c->snap = -1;
	}
	if (c->params.id)
		record_write(c->params.id, c->img.dir, "failed", error_text());
	image_discard(&c->img);
}

static void release(struct create *c)
{
	if (c->snap >= 0)
		close(c->snap);
	guest_close(&c->guest);
	memfiles_close(&c->files);
	keel_vm_release(&c->vm);
	keel_close(c->keel);
	json_decref(c->cmdline);
	free(c->vm_name);
	free(c->img.dir);
	free(c->img.partial);
	image_close(&c->img);
}

static void print_result(struct create *c, json_t *stats, const char *state)
{
	char when[48];

	out_object(NULL);
	out_u64("snapshot", "snapshot %llu", c->params.id);
	out_u64("vm", " of VM %llu", c->vm.id);
	out_str("state", ": %s", state);
	out_str("dir", " in %s\n", c->img.dir);
	out_str("time", "instant        %s\n",
		time_text(c->arm.time_ns, when, sizeof(when)));
	if (c->guest.socket && !c->guest.running)
		out_text("the guest was paused and stays so; 'cont' lets it go on\n");
	if (c->files.elsewhere && !c->guest.socket)
		out_size("memory_not_in_image",
			 "%s of guest memory is not on keelfs and not in the image\n",
			 c->files.elsewhere);
	if (!out_json)
		stats_print(stats);
	out_value("statistics", stats);
}

/*
 * --no-wait: go on in a child. The parent leaves when the child says that the
 * guest goes on, or with its status; until then signals are the child's too.
 */
static int go_behind(struct create *c)
{
	int p[2], status = 0;
	pid_t parent = getpid(), child;
	char byte;
	ssize_t n;

	if (pipe2(p, O_CLOEXEC))
		return fail("pipe: %s", strerror(errno));
	fflush(NULL);
	child = fork();
	if (child < 0)
		return fail("fork: %s", strerror(errno));
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() != parent)
			_exit(1);
		close(p[0]);
		c->ready = p[1];
		return 0;
	}
	close(p[1]);
	while ((n = read(p[0], &byte, 1)) < 0 && errno == EINTR)
		if (stop_signal)
			kill(child, stop_signal);
	if (n == 1)
		_exit(0);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFSIGNALED(status))
		return fail("the process that took the snapshot was killed by signal %d",
			    WTERMSIG(status));
	_exit(WEXITSTATUS(status));
}

/* The child, from when the guest goes on: nobody's terminal and session. */
static void become_daemon(struct create *c)
{
	int log = openat(c->img.dirfd, IMAGE_LOG,
			 O_WRONLY | O_CREAT | O_APPEND, 0600);
	int null = open("/dev/null", O_RDWR);

	setsid();
	prctl(PR_SET_PDEATHSIG, 0);
	dup2(null, 0);
	dup2(log >= 0 ? log : null, 1);
	dup2(log >= 0 ? log : null, 2);
	if (null > 2)
		close(null);
	if (log > 2)
		close(log);
	if (write(c->ready, "r", 1) != 1)
		stop_signal = SIGPIPE;
	close(c->ready);
}

static void finish_behind(struct create *c)
{
	json_t *manifest = NULL;

	keel_snap_stat(c->snap, &c->drain.stat);
	print_result(c, create_stats(c), "draining");
	out_flush();
	become_daemon(c);
	if (finish(c, &manifest)) {
		undo(c);
		out_error(error_text(), 1);
		_exit(1);
	}
	record_write(c->params.id, c->img.dir, "complete", NULL);
	_exit(0);
}

int snapshot_create(int argc, char **argv)
{
	struct create c = {
		.snap = -1,
		.params.pinned_max = 65536,
		.img = { .dirfd = -1, .lock = -1 },
		.guest = { .timeout_ms = 60000, .pidfd = -1, .q.fd = -1,
			   .guard_pipe = -1, .fdset = -1, .state_fd = -1,
			   .state_notify = -1 },
		.ready = -1,
	};
	json_t *manifest = NULL;
	int err;

	if (create_parse(&c, argc, argv))
		return -1;
	catch_signals();
	if (c.no_wait && go_behind(&c))
		return -1;
	c.drain.progress = !c.no_wait && isatty(STDERR_FILENO);
	err = find_vm(&c, argv[optind]) || begin(&c);
	c.drain.pool_pages = c.params.pool_bytes / KEEL_PAGE_SIZE;
	err = err || freeze(&c);
	if (!err && c.no_wait)
		finish_behind(&c);
	err = err || finish(&c, &manifest);
	if (err) {
		if (stop_signal) {
			error_forget();
			fail("interrupted; the snapshot is given up");
		}
		undo(&c);
	} else if (manifest) {
		record_write(c.params.id, c.img.dir, "complete", NULL);
		print_result(&c, json_incref(json_object_get(manifest,
							     "statistics")),
			     "complete");
	}
	json_decref(manifest);
	release(&c);
	return err ? -1 : 0;
}
