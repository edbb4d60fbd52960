// SPDX-License-Identifier: GPL-2.0
/* Every field of every call on /dev/keel, wrong in every way. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "keeltest.h"

#define SIZE	((size_t)1 << 20)

FIXTURE(dev) {
	const char *dir;
	int fd;			/* of /dev/keel */
	int mem;		/* a keelfs file with something in it */
	struct knl nl;
	struct knl_host before;
};

FIXTURE_SETUP(dev)
{
	const char *why = kt_keel_missing();
	char page[4096];

	self->fd = -1;
	self->mem = -1;
	self->dir = NULL;
	self->nl.fd = -1;
	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, knl_open(&self->nl));
	ASSERT_EQ(0, knl_host_get(&self->nl, &self->before));
	self->dir = kt_mount("huge=never");
	ASSERT_NE(NULL, self->dir);
	self->mem = kt_file(self->dir, "ram", SIZE);
	ASSERT_LE(0, self->mem);
	memset(page, 7, sizeof(page));
	ASSERT_EQ(4096, pwrite(self->mem, page, 4096, 0));
	ASSERT_EQ(4096, pwrite(self->mem, page, 4096, 65536));
	self->fd = open(KEEL_DEVICE, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(dev)
{
	struct knl_host now;

	if (!self->dir)
		return;
	close(self->fd);
	close(self->mem);
	kt_umount(self->dir);
	/* Whatever was refused, nothing stays behind. */
	EXPECT_EQ(0, knl_host_get(&self->nl, &now));
	EXPECT_EQ(self->before.snapshots, now.snapshots);
	EXPECT_EQ(self->before.pool_pages, now.pool_pages);
	EXPECT_EQ(self->before.keelfs_pages, now.keelfs_pages);
	EXPECT_EQ(self->before.mounts, now.mounts);
	knl_close(&self->nl);
}

static int create(int fd)
{
	struct keel_snap_create c = { .size = sizeof(c),
				      .pool_bytes = KEEL_SNAP_POOL_MIN };

	return kioctl(fd, KEEL_SNAP_CREATE, &c);
}

static int add(int fd, int mem)
{
	struct keel_snap_add_file a = { .size = sizeof(a), .fd = mem };

	return kioctl(fd, KEEL_SNAP_ADD_FILE, &a);
}

static int prepare(int fd)
{
	return kioctl(fd, KEEL_SNAP_PREPARE, NULL);
}

static int arm(int fd)
{
	struct keel_snap_arm a = { .size = sizeof(a) };

	return kioctl(fd, KEEL_SNAP_ARM, &a);
}

static int fetch(int fd, struct keel_snap_rec *recs, uint32_t *nr,
		 uint32_t *release, uint32_t nr_release, uint32_t *state)
{
	struct keel_snap_fetch f = {
		.size = sizeof(f),
		.recs = (uintptr_t)recs,
		.nr_recs = *nr,
		.release = (uintptr_t)release,
		.nr_release = nr_release,
	};
	int ret = kioctl(fd, KEEL_SNAP_FETCH, &f);

	*nr = f.nr_recs;
	if (state)
		*state = f.state;
	return ret;
}

static int to_armed(int fd, int mem)
{
	return create(fd) ?: add(fd, mem) ?: prepare(fd) ?: arm(fd);
}

TEST_F(dev, create_fields)
{
	static const struct {
		const char *what;
		struct keel_snap_create c;
		int want;
	} table[] = {
#define C(...)	{ .size = sizeof(struct keel_snap_create), __VA_ARGS__ }
		{ "overflow", C(.overflow = 3), -EINVAL },
		{ "overflow", C(.overflow = ~0U), -EINVAL },
		{ "small pool", C(.pool_bytes = 1), -EINVAL },
		{ "small pool", C(.pool_bytes = KEEL_SNAP_POOL_MIN - 1),
		  -EINVAL },
		{ "large pool", C(.pool_bytes = KEEL_SNAP_POOL_MAX + 1),
		  -EINVAL },
		{ "large pool", C(.pool_bytes = ~0ULL), -EINVAL },
		{ "short stall", C(.stall_ms = KEEL_SNAP_STALL_MIN - 1),
		  -EINVAL },
		{ "long stall", C(.stall_ms = KEEL_SNAP_STALL_MAX + 1),
		  -EINVAL },
		{ "stall", C(.stall_ms = ~0U), -EINVAL },
		{ "least", C(.pool_bytes = KEEL_SNAP_POOL_MIN,
			     .stall_ms = KEEL_SNAP_STALL_MIN,
			     .pinned_max = ~0U, .vm = ~0U), 0 },
		{ "odd size", C(.pool_bytes = KEEL_SNAP_POOL_MIN + 1), 0 },
#undef C
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(table); i++) {
		struct keel_snap_create c = table[i].c;
		int fd = open(KEEL_DEVICE, O_RDWR);

		ASSERT_LE(0, fd);
		EXPECT_EQ(table[i].want, kioctl(fd, KEEL_SNAP_CREATE, &c))
			TH_LOG("%s", table[i].what);
		close(fd);
	}
}

/* A buffer that holds any of the structures, and more. */
union any {
	uint32_t size;
	struct keel_snap_create create;
	struct keel_snap_add_file add;
	struct keel_snap_arm arm;
	struct keel_snap_fetch fetch;
	struct keel_snap_stat stat;
	char room[8192];
};

static const struct {
	unsigned long cmd;
	size_t size;
} cmds[] = {
	{ KEEL_SNAP_CREATE, sizeof(struct keel_snap_create) },
	{ KEEL_SNAP_ADD_FILE, sizeof(struct keel_snap_add_file) },
	{ KEEL_SNAP_ARM, sizeof(struct keel_snap_arm) },
	{ KEEL_SNAP_FETCH, sizeof(struct keel_snap_fetch) },
	{ KEEL_SNAP_STAT, sizeof(struct keel_snap_stat) },
};

TEST_F(dev, sizes)
{
	union any *any = calloc(1, sizeof(*any));
	size_t i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(cmds); i++) {
		static const uint32_t tiny[] = { 0, 1, 3, 4, 7 };
		size_t j;

		for (j = 0; j < ARRAY_SIZE(tiny); j++) {
			memset(any, 0, sizeof(*any));
			any->size = tiny[j];
			ret = kioctl(self->fd, cmds[i].cmd, any);
			/* A size that does not cover itself is nonsense. */
			if (tiny[j] < 4)
				EXPECT_EQ(-EINVAL, ret)
					TH_LOG("cmd %#lx size %u", cmds[i].cmd,
					       tiny[j]);
			close(self->fd);
			self->fd = open(KEEL_DEVICE, O_RDWR | O_CLOEXEC);
		}
		/* Longer, and something in what the kernel cannot know. */
		memset(any, 0, sizeof(*any));
		any->size = cmds[i].size + 8;
		any->room[cmds[i].size + 7] = 1;
		EXPECT_EQ(-E2BIG, kioctl(self->fd, cmds[i].cmd, any))
			TH_LOG("cmd %#lx", cmds[i].cmd);
		memset(any, 0, sizeof(*any));
		any->size = 0x7fffffff;
		ret = kioctl(self->fd, cmds[i].cmd, any);
		EXPECT_TRUE(ret == -E2BIG || ret == -EFAULT || ret == -EINVAL)
			TH_LOG("cmd %#lx: %d", cmds[i].cmd, ret);
	}
	/* Longer, and zero: a newer program. */
	memset(any, 0, sizeof(*any));
	any->size = sizeof(struct keel_snap_create) + 64;
	EXPECT_EQ(0, kioctl(self->fd, KEEL_SNAP_CREATE, any));
	EXPECT_NE(0, any->create.id);
	memset(any, 0, sizeof(*any));
	any->size = sizeof(struct keel_snap_stat) + 64;
	EXPECT_EQ(0, kioctl(self->fd, KEEL_SNAP_STAT, any));
	EXPECT_EQ(KEEL_SNAP_POOL_MIN * 16 / KEEL_PAGE_SIZE,
		  any->stat.pool_pages);
	/* Shorter: an older one. */
	memset(any, 0, sizeof(*any));
	any->size = offsetof(struct keel_snap_stat, pages);
	any->stat.pages = 42;
	EXPECT_EQ(0, kioctl(self->fd, KEEL_SNAP_STAT, any));
	EXPECT_EQ(42, any->stat.pages);
	free(any);
}

TEST_F(dev, pointers)
{
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t i;

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, munmap(p + 4096, 4096));
	for (i = 0; i < ARRAY_SIZE(cmds); i++) {
		union any *at;

		EXPECT_EQ(-EFAULT, kioctl(self->fd, cmds[i].cmd, NULL));
		EXPECT_EQ(-EFAULT, kioctl(self->fd, cmds[i].cmd, (void *)8));
		EXPECT_EQ(-EFAULT, kioctl(self->fd, cmds[i].cmd,
					  (void *)0xffff800000000000UL));
		EXPECT_EQ(-EFAULT, kioctl(self->fd, cmds[i].cmd,
					  (void *)~0xfUL));
		/* Half of it in nowhere. */
		at = (void *)(p + 4096 - 8);
		at->size = cmds[i].size;
		EXPECT_EQ(-EFAULT, kioctl(self->fd, cmds[i].cmd, at));
		/* The size alone in nowhere. */
		EXPECT_EQ(-EFAULT, kioctl(self->fd, cmds[i].cmd, p + 4094));
	}
	munmap(p, 4096);
}

TEST_F(dev, unknown_commands)
{
	char buf[256] = {};
	int i;

	for (i = 0; i < 256; i++) {
		if (i <= 6)
			continue;
		EXPECT_EQ(-ENOTTY, kioctl(self->fd, _IO(KEEL_IOC, i), buf))
			TH_LOG("nr %d", i);
	}
	EXPECT_EQ(-ENOTTY, kioctl(self->fd, _IO(0xBD, 0), buf));
	EXPECT_EQ(-ENOTTY, kioctl(self->fd, _IOWR(KEEL_IOC, 0, int), buf));
	EXPECT_EQ(-ENOTTY, kioctl(self->fd, TIOCSTI, buf));
}

TEST_F(dev, add_file_fields)
{
	struct keel_snap_add_file a = { .size = sizeof(a), .fd = self->mem };
	int other, ro, wo, path_fd;
	char path[64];

	ASSERT_EQ(0, create(self->fd));
	a.reserved = 1;
	EXPECT_EQ(-EINVAL, kioctl(self->fd, KEEL_SNAP_ADD_FILE, &a));
	EXPECT_EQ(-EBADF, add(self->fd, -1));
	EXPECT_EQ(-EBADF, add(self->fd, 99999));
	EXPECT_EQ(-EBADF, add(self->fd, 0x7fffffff));
	other = memfd_create("other", 0);
	EXPECT_EQ(-EMEDIUMTYPE, add(self->fd, other));
	close(other);
	EXPECT_EQ(-EMEDIUMTYPE, add(self->fd, self->fd));
	other = open(self->dir, O_RDONLY | O_DIRECTORY);
	EXPECT_EQ(-EMEDIUMTYPE, add(self->fd, other));
	close(other);
	snprintf(path, sizeof(path), "%s/ram", self->dir);
	path_fd = open(path, O_PATH);
	EXPECT_EQ(-EBADF, add(self->fd, path_fd));
	close(path_fd);
	ro = open(path, O_RDONLY);
	EXPECT_EQ(-EACCES, add(self->fd, ro));
	close(ro);
	wo = open(path, O_WRONLY);
	EXPECT_EQ(-EACCES, add(self->fd, wo));
	close(wo);
	EXPECT_EQ(0, add(self->fd, self->mem));
	EXPECT_EQ(-EEXIST, add(self->fd, self->mem));
	wo = open(path, O_RDWR);
	EXPECT_EQ(-EEXIST, add(self->fd, wo));
	close(wo);
}

TEST_F(dev, file_in_two_snapshots)
{
	int second = open(KEEL_DEVICE, O_RDWR);

	ASSERT_LE(0, second);
	ASSERT_EQ(0, create(self->fd));
	ASSERT_EQ(0, create(second));
	ASSERT_EQ(0, add(self->fd, self->mem));
	EXPECT_EQ(-EBUSY, add(second, self->mem));
	EXPECT_EQ(-ENODATA, prepare(second));
	ASSERT_EQ(0, prepare(self->fd));
	EXPECT_EQ(-EBUSY, add(second, self->mem));
	ASSERT_EQ(0, arm(self->fd));
	EXPECT_EQ(-EBUSY, add(second, self->mem));
	ASSERT_EQ(0, kioctl(self->fd, KEEL_SNAP_ABORT, NULL));
	/* An abort returns when nobody meets the snapshot any more. */
	EXPECT_EQ(0, add(second, self->mem));
	EXPECT_EQ(0, prepare(second));
	EXPECT_EQ(0, arm(second));
	close(second);
}

TEST_F(dev, too_many_files)
{
	char name[16];
	int i, mem;

	ASSERT_EQ(0, create(self->fd));
	for (i = 0; i < KEEL_SNAP_FILES_MAX; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		mem = kt_file(self->dir, name, 4096);
		ASSERT_LE(0, mem);
		ASSERT_EQ(1, pwrite(mem, "x", 1, 0));
		ASSERT_EQ(0, add(self->fd, mem));
		close(mem);
	}
	EXPECT_EQ(-ENOSPC, add(self->fd, self->mem));
	EXPECT_EQ(0, prepare(self->fd));
	EXPECT_EQ(0, arm(self->fd));
}

TEST_F(dev, nothing_to_save)
{
	int mem = kt_file(self->dir, "empty", 0);

	ASSERT_LE(0, mem);
	ASSERT_EQ(0, create(self->fd));
	EXPECT_EQ(-ENODATA, prepare(self->fd));
	ASSERT_EQ(0, add(self->fd, mem));
	EXPECT_EQ(-ENODATA, prepare(self->fd));
	close(mem);
}

TEST_F(dev, holes_alone)
{
	struct keel_snap_rec recs[8];
	uint32_t nr = 8, state;
	int mem = kt_file(self->dir, "holes", SIZE);

	ASSERT_LE(0, mem);
	ASSERT_EQ(0, to_armed(self->fd, mem));
	ASSERT_EQ(0, fetch(self->fd, recs, &nr, NULL, 0, &state));
	EXPECT_EQ(0, nr);
	EXPECT_EQ(KEEL_SNAP_COMPLETE, state);
	close(mem);
}

/* What each call says in each state. */
enum at { AT_OPEN, AT_NEW, AT_PREPARED, AT_ARMED, AT_COMPLETE, AT_ABORTED,
	  NR_AT };

static const char *const at_name[] = { "open", "new", "prepared", "armed",
				       "complete", "aborted" };

static int go_to(int fd, int mem, enum at at)
{
	struct keel_snap_rec recs[64];
	uint32_t nr, state;
	int ret;

	if (at == AT_OPEN)
		return 0;
	ret = create(fd) ?: add(fd, mem);
	if (ret || at == AT_NEW)
		return ret;
	ret = prepare(fd);
	if (ret || at == AT_PREPARED)
		return ret;
	ret = arm(fd);
	if (ret || at == AT_ARMED)
		return ret;
	if (at == AT_ABORTED)
		return kioctl(fd, KEEL_SNAP_ABORT, NULL);
	do {
		nr = 64;
		ret = fetch(fd, recs, &nr, NULL, 0, &state);
	} while (!ret && (nr || state != KEEL_SNAP_COMPLETE));
	return ret;
}

TEST_F(dev, order_of_calls)
{
#define NO	-EPROTO
#define GONE	-ECANCELED
	static const int want[6][NR_AT] = {
		/*	     open new prep armed compl aborted */
		/* create */ { 0, NO, NO, NO, NO, NO },
		/* add */    { NO, 0, NO, NO, NO, GONE },
		/* prep */   { NO, 0, NO, NO, NO, GONE },
		/* arm */    { NO, NO, 0, NO, NO, GONE },
		/* fetch */  { NO, NO, NO, 0, 0, GONE },
		/* abort */  { NO, 0, 0, 0, -EALREADY, -EALREADY },
	};
#undef NO
#undef GONE
	static const char *const call[] = { "CREATE", "ADD_FILE", "PREPARE",
					    "ARM", "FETCH", "ABORT" };
	int c, at;

	for (c = 0; c < 6; c++) {
		for (at = 0; at < NR_AT; at++) {
			int fd = open(KEEL_DEVICE, O_RDWR), ret = -1;
			int other = kt_file(self->dir, "other", SIZE);
			struct keel_snap_rec recs[4];
			char path[64];
			uint32_t nr = 4;

			ASSERT_LE(0, fd);
			ASSERT_LE(0, other);
			ASSERT_EQ(0, go_to(fd, self->mem, at))
				TH_LOG("cannot get to %s", at_name[at]);
			switch (c) {
			case 0:
				ret = create(fd);
				break;
			case 1:
				ret = add(fd, other);
				break;
			case 2:
				ret = prepare(fd);
				break;
			case 3:
				ret = arm(fd);
				break;
			case 4:
				ret = fetch(fd, recs, &nr, NULL, 0, NULL);
				break;
			case 5:
				ret = kioctl(fd, KEEL_SNAP_ABORT, NULL);
				break;
			}
			/* For an aborted one either answer is to the point. */
			if (at == AT_ABORTED && c < 5) {
				EXPECT_TRUE(ret == -EPROTO ||
					    ret == -ECANCELED)
					TH_LOG("%s when aborted: %d", call[c],
					       ret);
			} else {
				EXPECT_EQ(want[c][at], ret)
					TH_LOG("%s when %s", call[c],
					       at_name[at]);
			}
			close(other);
			close(fd);
			snprintf(path, sizeof(path), "%s/other", self->dir);
			unlink(path);
		}
	}
}

TEST_F(dev, abort_says_why)
{
	struct keel_snap_stat st = { .size = sizeof(st) };

	ASSERT_EQ(0, to_armed(self->fd, self->mem));
	ASSERT_EQ(0, kioctl(self->fd, KEEL_SNAP_ABORT, NULL));
	ASSERT_EQ(0, kioctl(self->fd, KEEL_SNAP_STAT, &st));
	EXPECT_EQ(KEEL_SNAP_ABORTED, st.state);
	EXPECT_EQ(KEEL_REASON_REQUESTED, st.reason);
}

TEST_F(dev, arm_fields)
{
	struct keel_snap_arm a = { .size = sizeof(a) };
	uint64_t bytes[2] = { 1, 2 };

	ASSERT_EQ(0, create(self->fd));
	ASSERT_EQ(0, add(self->fd, self->mem));
	ASSERT_EQ(0, prepare(self->fd));
	a.reserved = 1;
	EXPECT_EQ(-EINVAL, kioctl(self->fd, KEEL_SNAP_ARM, &a));
	a.reserved = 0;
	a.timeout_ms = ~0U;
	EXPECT_EQ(-EINVAL, kioctl(self->fd, KEEL_SNAP_ARM, &a));
	a.timeout_ms = 0;
	a.nr_bytes = 2;
	a.bytes = (uintptr_t)bytes;
	EXPECT_EQ(0, kioctl(self->fd, KEEL_SNAP_ARM, &a));
	EXPECT_EQ(SIZE, bytes[0]);
	EXPECT_EQ(2, a.pages);
	EXPECT_LT(0, a.gate_ns);
}

/* A bad place for the sizes must not leave an armed snapshot nobody knows. */
TEST_F(dev, arm_bad_bytes)
{
	struct keel_snap_arm a = { .size = sizeof(a), .bytes = 8,
				   .nr_bytes = 1 };
	struct keel_snap_stat st = { .size = sizeof(st) };
	int ret;

	ASSERT_EQ(0, create(self->fd));
	ASSERT_EQ(0, add(self->fd, self->mem));
	ASSERT_EQ(0, prepare(self->fd));
	ret = kioctl(self->fd, KEEL_SNAP_ARM, &a);
	EXPECT_EQ(-EFAULT, ret);
	ASSERT_EQ(0, kioctl(self->fd, KEEL_SNAP_STAT, &st));
	EXPECT_NE(KEEL_SNAP_COMPLETE, st.state);
}

TEST_F(dev, fetch_fields)
{
	struct keel_snap_fetch f = { .size = sizeof(f) };
	struct keel_snap_rec recs[8];
	uint32_t slots[4], nr, state, slot;

	ASSERT_EQ(0, to_armed(self->fd, self->mem));
	f.nr_recs = KEEL_SNAP_FETCH_MAX + 1;
	f.recs = (uintptr_t)recs;
	EXPECT_EQ(-EINVAL, kioctl(self->fd, KEEL_SNAP_FETCH, &f));
	/* Room for none is no error, and loses nothing. */
	nr = 0;
	EXPECT_EQ(0, fetch(self->fd, NULL, &nr, NULL, 0, &state));
	EXPECT_EQ(0, nr);
	EXPECT_EQ(KEEL_SNAP_ARMED, state);
	/* Slots never handed out. */
	slots[0] = 0;
	nr = 8;
	EXPECT_EQ(-EINVAL, fetch(self->fd, recs, &nr, slots, 1, NULL));
	slots[0] = ~0U;
	nr = 8;
	EXPECT_EQ(-EINVAL, fetch(self->fd, recs, &nr, slots, 1, NULL));
	nr = 8;
	EXPECT_EQ(-EFAULT, fetch(self->fd, recs, &nr, (void *)8, 1, NULL));
	nr = 8;
	EXPECT_NE(0, fetch(self->fd, recs, &nr, slots, ~0U, NULL));
	nr = 1;
	ASSERT_EQ(0, fetch(self->fd, recs, &nr, NULL, 0, NULL));
	ASSERT_EQ(1, nr);
	slot = recs[0].slot;
	/* Given back twice, in one call: the first goes, the second stops. */
	slots[0] = slot;
	slots[1] = slot;
	nr = 1;
	EXPECT_EQ(-EINVAL, fetch(self->fd, recs, &nr, slots, 2, NULL));
	/* And in two. */
	nr = 1;
	EXPECT_EQ(-EINVAL, fetch(self->fd, recs, &nr, slots, 1, NULL));
	nr = 8;
	ASSERT_EQ(0, fetch(self->fd, recs, &nr, NULL, 0, NULL));
	ASSERT_EQ(1, nr);
	EXPECT_EQ(16, recs[0].pgoff);
	slots[0] = recs[0].slot;
	nr = 8;
	EXPECT_EQ(0, fetch(self->fd, recs, &nr, slots, 1, &state));
	EXPECT_EQ(0, nr);
	EXPECT_EQ(KEEL_SNAP_COMPLETE, state);
}

TEST_F(dev, fetch_bad_records)
{
	uint32_t nr = 8;

	ASSERT_EQ(0, to_armed(self->fd, self->mem));
	EXPECT_EQ(-EFAULT, fetch(self->fd, (void *)8, &nr, NULL, 0, NULL));
}

TEST_F(dev, pool_mapping)
{
	size_t bytes = KEEL_SNAP_POOL_MIN;
	volatile char *p;

	ASSERT_EQ(0, create(self->fd));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				   MAP_SHARED, self->fd, 0));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ | PROT_EXEC,
				   MAP_SHARED, self->fd, 0));
	p = mmap(NULL, bytes, PROT_READ, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(-1, mprotect((void *)p, bytes, PROT_READ | PROT_WRITE));
	EXPECT_EQ(EACCES, errno);
	/* Slots hold nothing of anybody's before they are used. */
	EXPECT_EQ(0, p[0]);
	EXPECT_EQ(0, p[bytes - 1]);
	/* The mapping outlives the descriptor. */
	close(self->fd);
	EXPECT_EQ(0, p[4096]);
	munmap((void *)p, bytes);
	self->fd = open(KEEL_DEVICE, O_RDWR | O_CLOEXEC);
}

/* Nothing lies there: refused at once, or a bus error when touched. */
static bool nothing_at(int fd, size_t offset)
{
	size_t len = offset + 4096;
	char *p = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
	int status;
	pid_t pid;

	if (p == MAP_FAILED)
		return true;
	pid = fork();
	if (!pid) {
		(void)*(volatile char *)(p + offset);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	munmap(p, len);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS;
}

TEST_F(dev, pool_mapping_past_the_end)
{
	EXPECT_TRUE(nothing_at(self->fd, 0));
	ASSERT_EQ(0, create(self->fd));
	EXPECT_FALSE(nothing_at(self->fd, 0));
	EXPECT_TRUE(nothing_at(self->fd, KEEL_SNAP_POOL_MIN));
}

TEST_F(dev, no_other_file_operations)
{
	char buf[16] = {};

	EXPECT_EQ(-1, read(self->fd, buf, 16));
	EXPECT_EQ(-1, write(self->fd, buf, 16));
	EXPECT_EQ(-1, ftruncate(self->fd, 100));
}

TEST_F(dev, unprivileged)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		int fd;

		if (setgid(65534) || setuid(65534))
			_exit(2);
		fd = open(KEEL_DEVICE, O_RDWR);
		if (fd >= 0)
			_exit(3);
		if (errno != EACCES && errno != EPERM)
			_exit(4);
		/* One that was passed on. */
		_exit(add(self->fd, self->mem) == 0 ? 5 : 0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

TEST_F(dev, in_a_forked_child)
{
	int status;
	pid_t pid;

	ASSERT_EQ(0, to_armed(self->fd, self->mem));
	pid = fork();
	if (!pid) {
		struct keel_snap_stat st = { .size = sizeof(st) };

		_exit(kioctl(self->fd, KEEL_SNAP_STAT, &st) ||
		      st.state != KEEL_SNAP_ARMED);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	/* The child's end is no end of the snapshot. */
	EXPECT_EQ(0, kioctl(self->fd, KEEL_SNAP_ABORT, NULL));
}

static const char *const bad_opts[] = {
	"huge=maybe", "huge", "huge=", "mode=9", "mode=xyz",
	"size=1G", "nonsense", "uid=x", "huge=always,nonsense",
};

TEST_F(dev, mount_options)
{
	const char *dir;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad_opts); i++) {
		dir = kt_mount(bad_opts[i]);
		EXPECT_EQ(NULL, dir) {
			TH_LOG("mounted with -o %s", bad_opts[i]);
			kt_umount(dir);
		}
	}
	dir = kt_mount("huge=never,mode=0711");
	ASSERT_NE(NULL, dir);
	kt_umount(dir);
}

static const char *const same_opts[] = {
	"", "huge=never", "mode=0711", "huge=never,mode=0711,uid=0,gid=0",
};

static const char *const other_opts[] = {
	"huge=always", "mode=0700", "uid=1", "gid=1", "huge=never,mode=0755",
};

TEST_F(dev, remount_options)
{
	const char *dir = kt_mount("huge=never,mode=0711");
	size_t i;

	ASSERT_NE(NULL, dir);
	for (i = 0; i < ARRAY_SIZE(same_opts); i++)
		EXPECT_EQ(0, mount("none", dir, NULL, MS_REMOUNT, same_opts[i]));
	for (i = 0; i < ARRAY_SIZE(other_opts); i++) {
		EXPECT_EQ(-1, mount("none", dir, NULL, MS_REMOUNT,
				    other_opts[i]));
		EXPECT_EQ(EINVAL, errno);
	}
	kt_umount(dir);
}

TEST_HARNESS_MAIN
