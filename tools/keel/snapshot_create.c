// SPDX-License-Identifier: GPL-2.0
/*
 * keel snapshot create: from a VM to a directory.
 *
 * begin:  find the VM, open its memory, make the partial directory, the session
 *         and, with a monitor, all that can be made ready there
 * arm:    the stop window, or the bare instant
 * finish: drain, checksums, manifest, everything to disk, rename
 *
 * Whatever fails, undo() takes back in the reverse order. With --no-wait the
 * process that finishes is a child; the session, the image's lock and the files
 * are its own by inheritance.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "args.h"
#include "drain.h"
#include "guest.h"
#include "image.h"
#include "keel.h"
#include "memfile.h"
#include "out.h"
#include "record.h"
#include "snapshot.h"

#define ARM_TRIES	3

struct create {
	struct keel_vm vm;
	char *vm_name;
	struct keel_snap_create params;
	struct keel_snap_arm arm;
	struct memfiles files;
	struct image img;
	struct guest guest;
	struct drain drain;
	const char *dir;
	bool no_wait;
	int snap;
	json_t *cmdline;	/* before the guest can go away */
};

const char snapshot_create_help[] =
	"keel snapshot create VM -o DIR [--qmp SOCKET] [OPTIONS]\n"
	"    Take a live snapshot into the new directory DIR. With the VM's QMP socket it\n"
	"    is the whole guest: memory, devices and, as new overlays, disks; without,\n"
	"    its memory alone.\n"
	"    -o, --output DIR         where; it must not exist yet\n"
	"        --qmp SOCKET         a QMP monitor of the VM's QEMU\n"
	"        --overlay-dir DIR    for the new overlays; default: next to each disk\n"
	"        --no-disks           leave the disks alone\n"
	"        --no-wait            return when the guest runs on; see 'snapshot wait'\n"
	"        --pool BYTES         buffers for pages on their way (64M)\n"
	"        --overflow POLICY    when they run out: throttle the guest, spill into\n"
	"                             other memory, or abort (throttle)\n"
	"        --stall MS           longest a guest write may wait, then abort (10000)\n"
	"        --pinned PAGES       most pages held by devices that may be saved while\n"
	"                             the guest stands still (65536)\n"
	"        --timeout SECONDS    for QEMU to get ready, the guest running (60)\n";

enum { OPT_QMP = 256, OPT_OVERLAY_DIR, OPT_NO_DISKS, OPT_NO_WAIT, OPT_POOL,
       OPT_OVERFLOW, OPT_STALL, OPT_PINNED, OPT_TIMEOUT };

static const struct option options[] = {
	{ "output",	 required_argument, NULL, 'o' },
	{ "qmp",	 required_argument, NULL, OPT_QMP },
	{ "overlay-dir", required_argument, NULL, OPT_OVERLAY_DIR },
	{ "no-disks",	 no_argument,	    NULL, OPT_NO_DISKS },
	{ "no-wait",	 no_argument,	    NULL, OPT_NO_WAIT },
	{ "pool",	 required_argument, NULL, OPT_POOL },
	{ "overflow",	 required_argument, NULL, OPT_OVERFLOW },
	{ "stall",	 required_argument, NULL, OPT_STALL },
	{ "pinned",	 required_argument, NULL, OPT_PINNED },
	{ "timeout",	 required_argument, NULL, OPT_TIMEOUT },
	{ 0 }
};

static int overflow_policy(const char *word, uint32_t *policy)
{
	static const char *const words[] = {
		[KEEL_OVERFLOW_THROTTLE] = "throttle",
		[KEEL_OVERFLOW_SPILL] = "spill",
		[KEEL_OVERFLOW_ABORT] = "abort",
	};

	for (*policy = 0; *policy < NR(words); ++*policy)
		if (!strcmp(word, words[*policy]))
			return 0;
	return bad("--overflow is throttle, spill or abort, not '%s'", word);
}

static int number_option(struct create *c, int opt, const char *text)
{
	uint64_t bytes;
	uint32_t n;

	if (opt == OPT_POOL) {
		if (parse_size(text, &bytes) || bytes < KEEL_SNAP_POOL_MIN ||
		    bytes > KEEL_SNAP_POOL_MAX)
			return bad("--pool is a size from 4M to 64G, not '%s'",
				   text);
		c->params.pool_bytes = bytes;
		return 0;
	}
	if (parse_u32(text, &n))
		return bad("'%s' is not a number", text);
	if (opt == OPT_PINNED) {
		c->params.pinned_max = n;
	} else if (opt == OPT_STALL) {
		if (n < KEEL_SNAP_STALL_MIN || n > KEEL_SNAP_STALL_MAX)
			return bad("--stall is from %d to %d milliseconds, not %u",
				   KEEL_SNAP_STALL_MIN, KEEL_SNAP_STALL_MAX, n);
		c->params.stall_ms = n;
	} else {
		if (!n || n > 86400)
			return bad("--timeout is from 1 to 86400 seconds, not %u",
				   n);
		c->guest.timeout_ms = n * 1000;
	}
	return 0;
}

static int parse(struct create *c, int argc, char **argv)
{
	int opt, err = 0;

	while (!err && (opt = next_option(argc, argv, options)) != -1) {
		switch (opt) {
		case 'o':
			c->dir = optarg;
			break;
		case OPT_QMP:
			c->guest.socket = optarg;
			break;
		case OPT_OVERLAY_DIR:
			c->guest.overlay_dir = optarg;
			break;
		case OPT_NO_DISKS:
			c->guest.no_disks = true;
			break;
		case OPT_NO_WAIT:
			c->no_wait = true;
			break;
		case OPT_OVERFLOW:
			err = overflow_policy(optarg, &c->params.overflow);
			break;
		case '?':
			return -1;
		default:
			err = number_option(c, opt, optarg);
		}
	}
	if (err)
		return -1;
	if (argc - optind != 1)
		return bad("snapshot create: give one VM, by id, QEMU -name or pid");
	if (!c->dir)
		return bad("snapshot create: say where with -o DIR");
	if ((c->guest.no_disks || c->guest.overlay_dir) && !c->guest.socket)
		return bad("snapshot create: disks are dealt with only with --qmp SOCKET");
	return 0;
}

static int find_vm(struct create *c, const char *name)
{
	struct keel *keel;
	char **argv;
	int err;

	if (keel_connect(&keel))
		return -1;
	err = vm_find(keel, name, &c->vm);
	keel_close(keel);
	if (err)
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

static int open_session(struct create *c)
{
	int err;

	c->snap = keel_snap_open();
	if (c->snap < 0)
		return fail(KEEL_DEVICE ": %s; %s", strerror(-c->snap),
			    c->snap == -EACCES ? "run as root" :
			    "is the keel module loaded?");
	c->params.vm = c->vm.id;
	err = keel_snap_create(c->snap, &c->params);
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
	return stop_signal ? fail("interrupted") : 0;
}

static int arm(struct create *c)
{
	uint64_t bytes[KEEL_SNAP_FILES_MAX] = { 0 };
	int err = -EBUSY;

	for (int i = 0; i < ARM_TRIES && err == -EBUSY && !stop_signal; i++)
		err = keel_snap_arm(c->snap, &c->arm, bytes, c->files.nr);
	if (err == -ETOOMANYREFS)
		return fail("devices hold %llu guest pages pinned, more than --pinned %u; detach them or raise it",
			    (unsigned long long)c->arm.pinned,
			    c->params.pinned_max);
	if (err == -EBUSY)
		return fail("an operation on the VM's memory files did not end in time; try again");
	if (err == -ECANCELED)
		return drain_reason(c->snap, "arming");
	if (err)
		return fail("arming: %s", strerror(-err));
	for (int i = 0; i < c->files.nr; i++) {
		struct memfile *f = &c->files.v[i];

		if (f->size != bytes[i] && ftruncate(f->image_fd, bytes[i]))
			return fail("%s: %s", f->name, strerror(errno));
		f->size = bytes[i];
	}
	return 0;
}

/* The instant, between guest_stop() and guest_resume() if there is a monitor. */
static int freeze(struct create *c)
{
	if (guest_stop(&c->guest) || arm(c) || guest_resume(&c->guest))
		return -1;
	guest_settle(&c->guest);
	return 0;
}

static json_t *window_json(const struct guest *g)
{
	if (!g->socket || !g->running)
		return json_null();
	return json_pack("{sI sI sI sI sI sI}",
			 "total_ns", (json_int_t)g->window_ns,
			 "quiesce_ns", (json_int_t)(g->paused_ns - g->stop_ns),
			 "disks_ns", (json_int_t)(g->disks_ns - g->paused_ns),
			 "device_state_ns", (json_int_t)(g->state_ns - g->disks_ns),
			 "arm_ns", (json_int_t)(g->armed_ns - g->state_ns),
			 "resume_ns", (json_int_t)(g->resume_ns - g->armed_ns));
}

static json_t *stats_json(const struct create *c)
{
	const struct keel_snap_stat *s = &c->drain.stat;

	return json_pack("{so sI sI sI sI sI sI sI sI sI sI sI sI sI sI sI sI sI}",
		"stop_window", window_json(&c->guest),
		"gate_ns", (json_int_t)c->arm.gate_ns,
		"unmap_ns", (json_int_t)c->arm.unmap_ns,
		"walk_ns", (json_int_t)c->arm.walk_ns,
		"pages", (json_int_t)s->pages,
		"fault_pages", (json_int_t)s->fault_pages,
		"swept_pages", (json_int_t)s->swept_pages,
		"eager_pages", (json_int_t)s->eager_pages,
		"zero_pages", (json_int_t)s->zero_pages,
		"pinned_pages", (json_int_t)c->arm.pinned,
		"pool_pages", (json_int_t)s->pool_pages,
		"pool_low", (json_int_t)s->pool_low,
		"throttled", (json_int_t)s->throttled,
		"throttled_ns", (json_int_t)s->throttled_ns,
		"spilled_pages", (json_int_t)s->spilled_pages,
		"fault_ns", (json_int_t)s->fault_ns,
		"bytes_written", (json_int_t)c->drain.bytes_written,
		"drain_ns", (json_int_t)c->drain.ns);
}

static json_t *memory_json(struct create *c)
{
	json_t *memory = json_array();

	for (int i = 0; i < c->files.nr; i++) {
		struct memfile *f = &c->files.v[i];
		json_t *blocks = checksum_ram(f->image_fd, f->size);
		json_t *j;

		if (!blocks) {
			json_decref(memory);
			return NULL;
		}
		j = memfile_json(f, &c->vm);
		json_object_set_new(j, "block_size", json_integer(IMAGE_BLOCK));
		json_object_set_new(j, "xxh3_64", blocks);
		json_array_append_new(memory, j);
	}
	return memory;
}

/* device.state: its size and sum, and to disk with it. */
static json_t *device_json(struct create *c)
{
	struct stat st;
	uint64_t sum;
	char text[17];
	int fd, err;

	if (!c->guest.socket)
		return json_null();
	fd = openat(c->img.dirfd, IMAGE_DEVICE, O_RDONLY | O_CLOEXEC);
	err = fd < 0 || fstat(fd, &st) || checksum_file(fd, &sum) || fsync(fd);
	if (err)
		fail("%s/" IMAGE_DEVICE ": %s", c->img.partial,
		     strerror(errno));
	if (fd >= 0)
		close(fd);
	if (!err && !st.st_size)
		err = fail("QEMU wrote no device state");
	return err ? NULL : json_pack("{ss sI ss}", "image", IMAGE_DEVICE,
				      "size", (json_int_t)st.st_size, "xxh3_64",
				      checksum_text(sum, text));
}

static json_t *manifest_json(struct create *c)
{
	json_t *memory = memory_json(c), *device = device_json(c);
	struct utsname uts;
	char when[48];

	if (!memory || !device) {
		json_decref(memory);
		json_decref(device);
		return NULL;
	}
	uname(&uts);
	return json_pack("{si ss si ss sI so s{si ss* si ss so si sI} so so sO* sb so so}",
		"format", IMAGE_FORMAT,
		"keel", KEEL_VERSION,
		"snapshot", c->params.id,
		"time", time_text(c->arm.time_ns, when, sizeof(when)),
		"time_ns", (json_int_t)c->arm.time_ns,
		"host", json_pack("{ss ss}", "kernel", uts.release, "machine",
				  uts.machine),
		"vm", "id", c->vm.id, "name", c->vm_name, "pid", c->vm.pid,
		"comm", c->vm.comm, "cmdline", json_incref(c->cmdline),
		"vcpus", c->vm.nr_vcpus,
		"memory_not_in_image", (json_int_t)c->files.elsewhere,
		"cpu", host_cpu_json(),
		"memory", memory,
		"disks", c->guest.disks,
		"running", c->guest.running,
		"device_state", device,
		"statistics", stats_json(c));
}

static int finish(struct create *c, json_t **manifest)
{
	c->drain.snap = c->snap;
	c->drain.files = &c->files;
	if (drain_run(&c->drain))
		return -1;
	/* The session ends here: its buffers are wanted elsewhere. */
	close(c->snap);
	c->snap = -1;
	*manifest = manifest_json(c);
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
		keel_snap_abort(c->snap);
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
	json_decref(c->cmdline);
	free(c->vm_name);
	free(c->img.dir);
	free(c->img.partial);
	if (c->img.lock >= 0)
		close(c->img.lock);
	if (c->img.dirfd >= 0)
		close(c->img.dirfd);
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

/* The child of --no-wait: nobody's terminal, nobody's session. */
static void become_daemon(struct create *c)
{
	int log = openat(c->img.dirfd, IMAGE_LOG,
			 O_WRONLY | O_CREAT | O_APPEND, 0600);
	int null = open("/dev/null", O_RDWR);

	setsid();
	dup2(null, 0);
	dup2(log >= 0 ? log : null, 1);
	dup2(log >= 0 ? log : null, 2);
	if (null > 2)
		close(null);
	if (log > 2)
		close(log);
	image_own(&c->img, c->params.id);
	record_write(c->params.id, c->img.dir, "draining", NULL);
	c->drain.progress = false;
}

/* Returns in the parent what it is to return, in the child it ends. */
static int finish_in_background(struct create *c)
{
	json_t *manifest = NULL;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return fail("fork: %s", strerror(errno));
	if (pid) {
		keel_snap_stat(c->snap, &c->drain.stat);
		print_result(c, stats_json(c), "draining");
		return 0;
	}
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
		.guest = { .timeout_ms = 60000, .q.fd = -1, .guard_pipe = -1,
			   .fdset = -1 },
		.drain.progress = isatty(STDERR_FILENO),
	};
	json_t *manifest = NULL;
	int err;

	if (parse(&c, argc, argv))
		return -1;
	catch_signals();
	err = find_vm(&c, argv[optind]) || begin(&c);
	c.drain.pool_pages = (c.params.pool_bytes ? c.params.pool_bytes :
			      64 << 20) / KEEL_PAGE_SIZE;
	err = err || freeze(&c);
	if (!err && c.no_wait)
		err = finish_in_background(&c);
	else if (!err)
		err = finish(&c, &manifest);
	if (err) {
		if (stop_signal)
			fail("interrupted; the snapshot is given up");
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
