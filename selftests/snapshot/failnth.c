// SPDX-License-Identifier: GPL-2.0
/*
 * Every allocation fails once (inject.h). Each time the call must fail with an
 * error that fits, or get along; nothing may stay behind; and where memory was
 * short, the same call must then do.
 *
 *	failnth [NAME | registry]
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kselftest.h"
#include "inject.h"
#include "keeltest.h"
#include "tinyvmm.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ	22
#define MADV_POPULATE_WRITE	23
#endif

#define SMALL		((size_t)4 << 20)
#define LARGE		((size_t)6 << 20)

static struct knl nl;
static const char *mnt_small, *mnt_huge;

/* What one run of a call works on. */
struct run {
	const char *dir;
	char path[PATH_MAX];
	int fd;
	char *map;
	size_t size;
	struct ksnap s;
	struct knl nl;
	bool has_snap, has_nl;
};

struct sweep {
	const char *name;
	int (*setup)(struct run *r);
	int (*call)(struct run *r);
	int also;		/* an error besides ENOMEM and EFAULT */
	bool again;		/* after ENOMEM the same call must do */
	bool huge;
};

static int err(int ret)
{
	return ret < 0 ? -errno : 0;
}

/* Files and mounts. */

static int new_file(struct run *r, const char *dir, size_t size)
{
	r->dir = dir;
	snprintf(r->path, sizeof(r->path), "%s/file", dir);
	r->fd = kt_file(dir, "file", size);
	if (r->fd < 0)
		return r->fd;
	r->size = size;
	return 0;
}

static int setup_small(struct run *r)
{
	return new_file(r, mnt_small, SMALL);
}

static int setup_map_small(struct run *r)
{
	int ret = setup_small(r);

	if (ret)
		return ret;
	r->map = kt_map(r->fd, r->size);
	return r->map ? 0 : -errno;
}

static int setup_map_huge(struct run *r)
{
	int ret = new_file(r, mnt_huge, SMALL);

	if (ret)
		return ret;
	r->map = kt_map(r->fd, r->size);
	return r->map ? 0 : -errno;
}

static int setup_full_huge(struct run *r)
{
	int ret = setup_map_huge(r);

	return ret ?: err(madvise(r->map, r->size, MADV_POPULATE_WRITE));
}

static int setup_name(struct run *r)
{
	r->dir = mnt_small;
	snprintf(r->path, sizeof(r->path), "%s/name", r->dir);
	return 0;
}

static int setup_mount(struct run *r)
{
	strcpy(r->path, "/run/keeltest.failnth");
	mkdir(r->path, 0700);
	return 0;
}

static int call_mount(struct run *r)
{
	/* Not undone in the call: a mount that failed must leave nothing. */
	return err(mount("none", r->path, "keelfs", 0, "huge=always,mode=700"));
}

static int call_open(struct run *r)
{
	r->fd = open(r->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	return err(r->fd);
}

static int call_tmpfile(struct run *r)
{
	r->fd = open(r->dir, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	return err(r->fd);
}

static int call_mkdir(struct run *r)
{
	return err(mkdir(r->path, 0700));
}

static int call_touch(struct run *r)
{
	return err(madvise(r->map, PG, MADV_POPULATE_WRITE));
}

static int call_write(struct run *r)
{
	static char text[8 * 4096 + 100];
	ssize_t n;

	memset(text, 'w', sizeof(text));
	n = pwrite(r->fd, text, sizeof(text), PG - 50);
	if (n < 0)
		return -errno;
	/* Short, as when a disk is full. */
	return n == (ssize_t)sizeof(text) ? 0 : -ENOMEM;
}

static int call_read(struct run *r)
{
	static char text[8 * 4096];
	ssize_t n = pread(r->fd, text, sizeof(text), 0);

	if (n < 0)
		return -errno;
	return n == (ssize_t)sizeof(text) ? 0 : -EFAULT;
}

static int call_fallocate(struct run *r)
{
	return err(fallocate(r->fd, 0, 0, 16 * PG));
}

static int call_punch(struct run *r)
{
	return err(fallocate(r->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			     PG + 100, SMALL / 2));
}

static int call_truncate(struct run *r)
{
	return err(ftruncate(r->fd, PG + 100));
}

/* Snapshots. */

static int setup_created(struct run *r)
{
	struct keel_snap_create c = {
		.pool_bytes = KEEL_SNAP_POOL_MIN,
		.overflow = KEEL_OVERFLOW_SPILL,
		.stall_ms = KEEL_SNAP_STALL_MIN,
		.pinned_max = 16,
	};
	int ret = ksnap_open(&r->s, &c);

	r->has_snap = !ret;
	return ret;
}

static int setup_created_full(struct run *r)
{
	int ret = setup_full_huge(r);

	return ret ?: setup_created(r);
}

static int setup_added(struct run *r)
{
	int ret = setup_created_full(r);

	return ret ?: ksnap_add(&r->s, r->fd, r->size);
}

/* The file grows between: ARM needs a new map of bits. */
static int setup_prepared(struct run *r)
{
	int ret = setup_added(r);

	if (!ret)
		ret = ksnap_prepare(&r->s);
	return ret ?: err(ftruncate(r->fd, 1UL << 30));
}

static int setup_armed(struct run *r)
{
	int ret = setup_added(r) ?: ksnap_prepare(&r->s);

	return ret ?: ksnap_arm(&r->s, NULL);
}

/* All slots taken, by what was written first. */
static int setup_empty(struct run *r)
{
	int ret = new_file(r, mnt_small, LARGE);

	if (ret)
		return ret;
	r->map = kt_map(r->fd, r->size);
	if (!r->map)
		return -errno;
	memset(r->map, 'o', r->size);
	ret = setup_created(r) ?: ksnap_add(&r->s, r->fd, r->size) ?:
	      ksnap_prepare(&r->s) ?: ksnap_arm(&r->s, NULL);
	return ret ?: err(madvise(r->map, SMALL, MADV_POPULATE_WRITE));
}

static int setup_opened(struct run *r)
{
	memset(&r->s, 0, sizeof(r->s));
	r->s.fd = open(KEEL_DEVICE, O_RDWR | O_CLOEXEC);
	r->has_snap = r->s.fd >= 0;
	return err(r->s.fd);
}

static int setup_nothing(struct run *r)
{
	(void)r;
	return 0;
}

static int call_open_device(struct run *r)
{
	int ret;

	errno = 0;
	ret = setup_opened(r);
	return ret;
}

static int call_create(struct run *r)
{
	struct keel_snap_create c = { .size = sizeof(c),
				      .pool_bytes = KEEL_SNAP_POOL_MIN };

	return kioctl(r->s.fd, KEEL_SNAP_CREATE, &c);
}

static int call_add_file(struct run *r)
{
	struct keel_snap_add_file a = { .size = sizeof(a), .fd = r->fd };

	return kioctl(r->s.fd, KEEL_SNAP_ADD_FILE, &a);
}

static int call_prepare(struct run *r)
{
	return kioctl(r->s.fd, KEEL_SNAP_PREPARE, NULL);
}

static int call_arm(struct run *r)
{
	return ksnap_arm(&r->s, NULL);
}

static int call_fetch(struct run *r)
{
	struct keel_snap_fetch f = {
		.size = sizeof(f),
		.recs = (uintptr_t)r->s.recs,
		.nr_recs = 300,
	};

	return kioctl(r->s.fd, KEEL_SNAP_FETCH, &f);
}

static int call_map_pool(struct run *r)
{
	void *p = mmap(NULL, 8 * PG, PROT_READ, MAP_SHARED, r->s.fd, 0);
	int ret;

	if (p == MAP_FAILED)
		return -errno;
	ret = err(madvise(p, 8 * PG, MADV_POPULATE_READ));
	munmap(p, 8 * PG);
	return ret;
}

/* Whatever becomes of the snapshot, who writes is not to suffer. */
static int call_spill_touch(struct run *r)
{
	return err(madvise(r->map + SMALL, PG, MADV_POPULATE_WRITE));
}

static int call_spill_punch(struct run *r)
{
	return err(fallocate(r->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			     SMALL, 4 * PG));
}

/* Netlink: only the sending, in which the answer is made. */

static int setup_nl(struct run *r)
{
	int ret = knl_open(&r->nl);

	r->has_nl = !ret;
	return ret;
}

static int setup_nl_snap(struct run *r)
{
	int ret = setup_added(r);

	return ret ?: setup_nl(r);
}

static int ask(struct run *r, uint8_t cmd, uint16_t flags, uint32_t id)
{
	char buf[128];
	size_t at = knl_begin(&r->nl, buf, cmd, flags);

	if (id)
		at = knl_put(buf, at, KEEL_A_ID, &id, sizeof(id));
	return inject_talk(&r->nl, buf, at);
}

static int call_host_get(struct run *r)
{
	return ask(r, KEEL_CMD_HOST_GET, 0, 0);
}

static int call_snapshot_get(struct run *r)
{
	return ask(r, KEEL_CMD_SNAPSHOT_GET, 0, r->s.id);
}

static int call_snapshot_dump(struct run *r)
{
	return ask(r, KEEL_CMD_SNAPSHOT_GET, NLM_F_DUMP, 0);
}

static int call_snapshot_abort(struct run *r)
{
	return ask(r, KEEL_CMD_SNAPSHOT_ABORT, 0, r->s.id);
}

static struct tvm the_vm;
static uint32_t the_vm_id;

static int setup_nl_vm(struct run *r)
{
	return the_vm_id ? setup_nl(r) : -ENODEV;
}

static int call_vm_get(struct run *r)
{
	return ask(r, KEEL_CMD_VM_GET, 0, the_vm_id);
}

static int call_vm_dump(struct run *r)
{
	return ask(r, KEEL_CMD_VM_GET, NLM_F_DUMP, 0);
}

static const struct sweep sweeps[] = {
	{ "mount", setup_mount, call_mount, .again = true },
	{ "create a file", setup_name, call_open,
	  .also = ENOSPC, .again = true },
	{ "O_TMPFILE", setup_name, call_tmpfile,
	  .also = ENOSPC, .again = true },
	{ "mkdir", setup_name, call_mkdir,
	  .also = ENOSPC, .again = true },
	{ "first touch, 4 KiB", setup_map_small, call_touch, .again = true },
	{ "first touch, 2 MiB", setup_map_huge, call_touch, .again = true,
	  .huge = true },
	{ "write", setup_small, call_write, .again = true },
	{ "read", setup_small, call_read, .again = true },
	{ "fallocate", setup_small, call_fallocate, .again = true },
	{ "punch", setup_full_huge, call_punch, .again = true, .huge = true },
	{ "truncate", setup_full_huge, call_truncate, .again = true,
	  .huge = true },
	{ "open /dev/keel", setup_nothing, call_open_device, .again = true },
	{ "CREATE", setup_opened, call_create, .again = true },
	{ "ADD_FILE", setup_created_full, call_add_file, .again = true },
	{ "PREPARE", setup_added, call_prepare, .again = true },
	{ "ARM", setup_prepared, call_arm, .again = true },
	{ "FETCH", setup_armed, call_fetch, .again = true },
	{ "a fault on the pool", setup_armed, call_map_pool, .again = true },
	{ "a write that spills", setup_empty, call_spill_touch,
	  .again = true },
	{ "a punch that spills", setup_empty, call_spill_punch,
	  .again = true },
	{ "host-get", setup_nl, call_host_get,
	  .also = ENOBUFS },
	{ "snapshot-get", setup_nl_snap, call_snapshot_get,
	  .also = ENOBUFS },
	{ "snapshot-get, dump", setup_nl_snap, call_snapshot_dump,
	  .also = ENOBUFS },
	{ "snapshot-abort", setup_nl_snap, call_snapshot_abort,
	  .also = ENOBUFS },
	{ "vm-get", setup_nl_vm, call_vm_get,
	  .also = ENOBUFS },
	{ "vm-get, dump", setup_nl_vm, call_vm_dump,
	  .also = ENOBUFS },
};

static void undo(struct run *r)
{
	if (r->has_snap)
		ksnap_free(&r->s);
	if (r->has_nl)
		knl_close(&r->nl);
	if (r->map)
		munmap(r->map, r->size);
	if (r->fd >= 0)
		close(r->fd);
	if (!r->path[0])
		return;
	umount(r->path);
	if (unlink(r->path))
		rmdir(r->path);
}

static bool left_behind(const struct knl_host *was, unsigned int n)
{
	struct knl_host now;
	int i;

	for (i = 0; i < 100; i++) {
		if (!knl_host_get(&nl, &now) &&
		    now.snapshots == was->snapshots &&
		    now.pool_pages == was->pool_pages &&
		    now.keelfs_pages == was->keelfs_pages &&
		    now.mounts == was->mounts)
			return false;
		nap_us(10000);
	}
	ksft_print_msg("n = %u left behind: snapshots %u (were %u), pool pages %lu (%lu), keelfs pages %lu (%lu), mounts %u (%u)\n",
		       n, now.snapshots, was->snapshots, now.pool_pages,
		       was->pool_pages, now.keelfs_pages, was->keelfs_pages,
		       now.mounts, was->mounts);
	return true;
}

static bool fits(const struct sweep *w, int ret)
{
	return ret == -ENOMEM || ret == -EFAULT || (w->also && ret == -w->also);
}

static int one(const void *what, unsigned int n, int *failed)
{
	const struct sweep *w = what;
	struct run r = { .fd = -1 };
	struct knl_host was;
	int ret, more = -1;
	bool hit;

	if (knl_host_get(&nl, &was))
		return -1;
	ret = w->setup(&r);
	if (ret) {
		ksft_print_msg("n = %u: cannot set up: %s\n", n,
			       strerror(-ret));
		goto undo;
	}
	inject_begin(n);
	ret = w->call(&r);
	hit = inject_end();
	*failed += !!ret;
	if (ret && !hit) {
		ksft_print_msg("n = %u: %s though nothing was injected\n", n,
			       strerror(-ret));
		goto undo;
	}
	if (ret && !fits(w, ret)) {
		ksft_print_msg("n = %u: %s\n", n, strerror(-ret));
		goto undo;
	}
	if (ret == -ENOMEM && w->again) {
		ret = w->call(&r);
		if (ret) {
			ksft_print_msg("n = %u: again: %s\n", n,
				       strerror(-ret));
			goto undo;
		}
	}
	more = hit;
undo:
	undo(&r);
	return left_behind(&was, n) ? -1 : more;
}

/*
 * The registry looks for VMs in a worker: let all allocations of keel's fail for
 * a while in which a VM comes.
 */
static bool vm_is_found(unsigned int starve_ms)
{
	struct tvm t;
	int i, ret;

	if (!inject_starve(true))
		return false;
	ret = tvm_create(&t, 1);
	nap_us(starve_ms * 1000);
	if (!inject_starve(false)) {
		ksft_print_msg("nothing of keel's failed\n");
		ret = -EIO;
	}
	if (ret)
		return false;
	/* Ours is the VM that came last. */
	for (i = 0; i < 500; i++) {
		struct knl_vm vms[16];

		ret = knl_vm_dump(&nl, vms, 16);
		if (ret > 1 && ret <= 16 && vms[ret - 1].id > the_vm_id)
			break;
		nap_us(10000);
	}
	tvm_destroy(&t);
	return i < 500;
}

static void registry(void)
{
	static const unsigned int ms[] = { 20, 300, 3000 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ms); i++) {
		if (the_vm_id)
			ksft_test_result(vm_is_found(ms[i]),
					 "a VM that comes while memory is short for %u ms is found\n",
					 ms[i]);
		else
			ksft_test_result_skip("a VM that comes while memory is short for %u ms: %s\n",
					      ms[i], tvm_missing());
		/* Its end has to be through. */
		nap_us(500000);
	}
}

static void find_vm(void)
{
	struct knl_vm vm;
	int i;

	if (tvm_missing() || tvm_create(&the_vm, 2))
		return;
	for (i = 0; i < 500 && !the_vm_id; i++) {
		if (!knl_vm_of_pid(&nl, getpid(), &vm) && vm.nr_vcpus == 2)
			the_vm_id = vm.id;
		nap_us(10000);
	}
}

int main(int argc, char **argv)
{
	const char *why;
	size_t i;

	ksft_print_header();
	why = kt_keel_missing() ?: inject_missing();
	if (why)
		ksft_exit_skip("%s\n", why);
	mnt_small = kt_mount("huge=never");
	mnt_huge = kt_mount("huge=always");
	if (!mnt_small || !mnt_huge || knl_open(&nl))
		ksft_exit_fail_msg("cannot begin: %s\n", strerror(errno));
	find_vm();
	ksft_set_plan(argc == 1 ? ARRAY_SIZE(sweeps) + 3 :
		      strcmp(argv[1], "registry") ? 1 : 3);
	for (i = 0; i < ARRAY_SIZE(sweeps); i++) {
		if (argc > 1 && strcmp(argv[1], sweeps[i].name))
			continue;
		if (sweeps[i].setup == setup_nl_vm && !the_vm_id)
			ksft_test_result_skip("%s: no VM\n", sweeps[i].name);
		else
			ksft_test_result(inject_sweep(sweeps[i].name,
						      INJECT_EACH, one,
						      &sweeps[i]),
					 "%s\n", sweeps[i].name);
	}
	if (argc == 1 || !strcmp(argv[1], "registry"))
		registry();
	if (the_vm_id)
		tvm_destroy(&the_vm);
	kt_umount(mnt_small);
	kt_umount(mnt_huge);
	ksft_finished();
}
