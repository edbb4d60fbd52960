// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "keeltest.h"

#define RECS_MAX	4096

int kioctl(int fd, unsigned long cmd, void *arg)
{
	return ioctl(fd, cmd, arg) < 0 ? -errno : 0;
}

int ksnap_open(struct ksnap *s, struct keel_snap_create *c)
{
	int ret;

	memset(s, 0, sizeof(*s));
	s->fd = open(KEEL_DEVICE, O_RDWR | O_CLOEXEC);
	if (s->fd < 0)
		return -errno;
	c->size = sizeof(*c);
	ret = kioctl(s->fd, KEEL_SNAP_CREATE, c);
	if (ret)
		goto close;
	s->id = c->id;
	s->pool_bytes = c->pool_bytes ?: 64 << 20;
	s->recs = calloc(RECS_MAX, sizeof(*s->recs));
	s->release = calloc(RECS_MAX, sizeof(*s->release));
	if (s->recs && s->release)
		return 0;
	ret = -ENOMEM;
	free(s->recs);
	free(s->release);
close:
	close(s->fd);
	s->fd = -1;
	return ret;
}

int ksnap_open_default(struct ksnap *s, uint64_t pool_bytes)
{
	struct keel_snap_create c = {
		.pool_bytes = pool_bytes,
		.pinned_max = 4096,
	};

	return ksnap_open(s, &c);
}

int ksnap_add(struct ksnap *s, int fd, size_t room)
{
	struct keel_snap_add_file a = { .size = sizeof(a), .fd = fd };
	int i = s->nr_files;
	int ret;

	if (i >= KT_FILES)
		return -ENOSPC;
	ret = kioctl(s->fd, KEEL_SNAP_ADD_FILE, &a);
	if (ret)
		return ret;
	if (a.index != (uint32_t)i) {
		snprintf(s->why, sizeof(s->why), "file %d got index %u", i,
			 a.index);
		return -EBADMSG;
	}
	s->nr_files++;
	if (s->image[i])
		return 0;
	s->room[i] = room;
	s->image[i] = mmap(NULL, room, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	s->seen[i] = calloc(1, room / PG + 1);
	if (s->image[i] == MAP_FAILED || !s->seen[i])
		return -ENOMEM;
	return 0;
}

static int map_pool(struct ksnap *s)
{
	void *p;

	if (s->pool)
		return 0;
	p = mmap(NULL, s->pool_bytes, PROT_READ, MAP_SHARED, s->fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	s->pool = p;
	return 0;
}

/*
 * The pool is mapped before anything is armed: a fault that waits for a slot
 * may hold the mmap lock of its process, which may be this one.
 */
int ksnap_prepare(struct ksnap *s)
{
	int ret = map_pool(s);

	return ret ?: kioctl(s->fd, KEEL_SNAP_PREPARE, NULL);
}

int ksnap_arm(struct ksnap *s, struct keel_snap_arm *arm)
{
	struct keel_snap_arm local = {};
	int ret;

	if (!arm)
		arm = &local;
	arm->size = sizeof(*arm);
	arm->bytes = (uintptr_t)s->bytes;
	arm->nr_bytes = s->nr_files;
	ret = kioctl(s->fd, KEEL_SNAP_ARM, arm);
	return ret;
}

static int broken(struct ksnap *s, const struct keel_snap_rec *r,
		  const char *what)
{
	snprintf(s->why, sizeof(s->why),
		 "record file %u page %llu slot %u: %s", r->file,
		 (unsigned long long)r->pgoff, r->slot, what);
	return -EBADMSG;
}

/* A spilled slot lies beyond the pool as created: map what holds it. */
static const void *slot_page(struct ksnap *s, uint32_t slot)
{
	size_t end = ((size_t)slot + 1) * PG;
	void *p;

	if (end <= s->pool_bytes)
		return s->pool + slot * PG;
	p = mmap(NULL, PG, PROT_READ, MAP_SHARED, s->fd, slot * PG);
	return p == MAP_FAILED ? NULL : p;
}

static int take(struct ksnap *s, const struct keel_snap_rec *r)
{
	const void *page;

	if (r->file >= (uint32_t)s->nr_files)
		return broken(s, r, "no such file");
	if (r->pgoff * PG >= s->bytes[r->file])
		return broken(s, r, "beyond the file's size at the instant");
	if (r->pgoff * PG >= s->room[r->file])
		return broken(s, r, "beyond the buffer");
	if (s->seen[r->file][r->pgoff])
		return broken(s, r, "came twice");
	page = slot_page(s, r->slot);
	if (!page)
		return broken(s, r, "slot cannot be mapped");
	s->seen[r->file][r->pgoff] = 1;
	memcpy(s->image[r->file] + r->pgoff * PG, page, PG);
	if (((size_t)r->slot + 1) * PG > s->pool_bytes)
		munmap((void *)page, PG);
	return 0;
}

int ksnap_fetch(struct ksnap *s, uint32_t max, uint32_t *state)
{
	struct keel_snap_fetch f = { .size = sizeof(f) };
	uint32_t i;
	int ret;

	f.recs = (uintptr_t)s->recs;
	f.nr_recs = max && max < RECS_MAX ? max : RECS_MAX;
	f.release = (uintptr_t)s->release;
	f.nr_release = s->nr_release;
	ret = kioctl(s->fd, KEEL_SNAP_FETCH, &f);
	*state = f.state;
	if (ret)
		return ret;
	s->nr_release = 0;
	for (i = 0; i < f.nr_recs; i++) {
		ret = take(s, &s->recs[i]);
		if (ret)
			return ret;
		s->release[s->nr_release++] = s->recs[i].slot;
	}
	s->records += f.nr_recs;
	return f.nr_recs;
}

int ksnap_drain(struct ksnap *s, uint32_t max, unsigned int pause_us)
{
	unsigned int idle = 0;
	uint32_t state;
	int ret;

	for (;;) {
		ret = ksnap_fetch(s, max, &state);
		if (ret < 0)
			return ret;
		if (!ret && state == KEEL_SNAP_COMPLETE)
			return 0;
		/* Nothing came though all slots but the last are back. */
		idle = ret || s->nr_release ? 0 : idle + 1;
		if (idle > 10000) {
			snprintf(s->why, sizeof(s->why),
				 "10000 fetches without a record, state %u",
				 state);
			return -EBADMSG;
		}
		if (idle || pause_us)
			nap_us(pause_us ?: 100);
	}
}

int ksnap_stat(struct ksnap *s, struct keel_snap_stat *st)
{
	memset(st, 0, sizeof(*st));
	st->size = sizeof(*st);
	return kioctl(s->fd, KEEL_SNAP_STAT, st);
}

int ksnap_abort(struct ksnap *s)
{
	return kioctl(s->fd, KEEL_SNAP_ABORT, NULL);
}

void ksnap_close(struct ksnap *s)
{
	if (s->pool)
		munmap(s->pool, s->pool_bytes);
	s->pool = NULL;
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	free(s->recs);
	free(s->release);
	s->recs = NULL;
	s->release = NULL;
	s->nr_release = 0;
}

void ksnap_reuse(struct ksnap *to, struct ksnap *from)
{
	int i;

	for (i = 0; i < KT_FILES && from->image[i]; i++) {
		size_t pages = from->room[i] / PG, p;

		for (p = 0; p < pages; p++)
			if (from->seen[i][p])
				memset(from->image[i] + p * PG, 0, PG);
		memset(from->seen[i], 0, pages);
		to->image[i] = from->image[i];
		to->seen[i] = from->seen[i];
		to->room[i] = from->room[i];
		from->image[i] = NULL;
		from->seen[i] = NULL;
	}
}

void ksnap_free(struct ksnap *s)
{
	int i;

	ksnap_close(s);
	for (i = 0; i < KT_FILES && s->image[i]; i++) {
		munmap(s->image[i], s->room[i]);
		free(s->seen[i]);
		s->image[i] = NULL;
	}
}

const char *kt_mount(const char *opts)
{
	char dir[PATH_MAX] = "/run/keeltest.XXXXXX";

	if (!mkdtemp(dir)) {
		strcpy(dir, "/tmp/keeltest.XXXXXX");
		if (!mkdtemp(dir))
			return NULL;
	}
	if (mount("none", dir, "keelfs", 0, opts)) {
		int err = errno;

		rmdir(dir);
		errno = err;
		return NULL;
	}
	return strdup(dir);
}

void kt_umount(const char *dir)
{
	if (umount(dir) && errno == EBUSY)
		umount2(dir, MNT_DETACH);
	rmdir(dir);
	free((void *)dir);
}

const char *kt_keel_missing(void)
{
	if (access("/sys/module/keel", F_OK))
		return "keel.ko is not loaded";
	if (geteuid())
		return "needs root";
	if (access(KEEL_DEVICE, F_OK))
		return "no " KEEL_DEVICE;
	return NULL;
}

int kt_file(const char *dir, const char *name, size_t size)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, size)) {
		int err = errno;

		close(fd);
		return -err;
	}
	return fd;
}

void *kt_map(int fd, size_t size)
{
	char *base, *p;

	base = mmap(NULL, size + PMD_PAGE, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return NULL;
	p = (char *)(((uintptr_t)base + PMD_PAGE - 1) & ~(PMD_PAGE - 1));
	if (p > base)
		munmap(base, p - base);
	munmap(p + size, base + PMD_PAGE - p);
	p = mmap(p, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
		 0);
	return p == MAP_FAILED ? NULL : p;
}

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

void nap_us(unsigned int us)
{
	struct timespec ts = { us / 1000000, us % 1000000 * 1000L };

	nanosleep(&ts, NULL);
}

/* splitmix64 */
uint64_t rnd64(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

int kt_read_file(const char *path, char *buf, size_t len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, buf, len - 1);
	close(fd);
	if (n < 0)
		return -EIO;
	buf[n] = '\0';
	return n;
}

int kt_write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	n = n < 0 ? -errno : 0;
	close(fd);
	return n;
}

long long kt_read_number(const char *path)
{
	char buf[64];

	if (kt_read_file(path, buf, sizeof(buf)) <= 0)
		return -1;
	return strtoll(buf, NULL, 0);
}

int kt_nr_nodes(void)
{
	char path[64];
	int n = 0;

	do
		snprintf(path, sizeof(path), "/sys/devices/system/node/node%d",
			 n);
	while (!access(path, F_OK) && ++n);
	return n ?: 1;
}

int kt_load(void)
{
	int fd = open(getenv("KEEL_KO") ?: "/keel/keel.ko", O_RDONLY), ret;

	if (fd < 0)
		return -errno;
	ret = syscall(SYS_finit_module, fd, "", 0) ? -errno : 0;
	close(fd);
	return ret;
}

int kt_unload(void)
{
	return syscall(SYS_delete_module, "keel", O_NONBLOCK) ? -errno : 0;
}

int kt_unload_within(unsigned int ms)
{
	uint64_t end = now_ns() + ms * 1000000ULL;
	int ret;

	while ((ret = kt_unload()) && now_ns() < end &&
	       (ret == -EAGAIN || ret == -EBUSY))
		nap_us(20000);
	return ret;
}

void kt_go_first(void)
{
	setpriority(PRIO_PROCESS, 0, -20);
}
