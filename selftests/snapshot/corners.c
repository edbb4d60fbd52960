// SPDX-License-Identifier: GPL-2.0
/*
 * What only shows in odd situations: who waits for whom, who pays, what counts
 * as held, and memory that is broken.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <linux/kvm.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "keeltest.h"

#define SIZE		((size_t)16 << 20)
#define POOL		((size_t)KEEL_SNAP_POOL_MIN)

#ifndef MADV_HWPOISON
#define MADV_HWPOISON	100
#endif

/* A keelfs file with something in each of its pages, and its mapping. */
FIXTURE(ram) {
	const char *dir;
	int fd;
	char *p;
	struct knl nl;
	struct knl_host before;
};

static char *fill(int fd)
{
	char *p = kt_map(fd, SIZE);
	size_t i;

	for (i = 0; p && i < SIZE; i += PG)
		p[i] = 1 + i / PG % 100;
	return p;
}

FIXTURE_SETUP(ram)
{
	const char *why = kt_keel_missing();

	self->dir = NULL;
	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, knl_open(&self->nl));
	ASSERT_EQ(0, knl_host_get(&self->nl, &self->before));
	self->dir = kt_mount("huge=never");
	ASSERT_NE(NULL, self->dir);
	self->fd = kt_file(self->dir, "ram", SIZE);
	ASSERT_LE(0, self->fd);
	self->p = fill(self->fd);
	ASSERT_NE(NULL, self->p);
}

FIXTURE_TEARDOWN(ram)
{
	struct knl_host now;

	if (!self->dir)
		return;
	munmap(self->p, SIZE);
	close(self->fd);
	kt_umount(self->dir);
	EXPECT_EQ(0, knl_host_get(&self->nl, &now));
	EXPECT_EQ(self->before.snapshots, now.snapshots);
	EXPECT_EQ(self->before.pool_pages, now.pool_pages);
	EXPECT_EQ(self->before.keelfs_pages, now.keelfs_pages);
	knl_close(&self->nl);
}

static int to_armed(struct ksnap *s, int fd, uint32_t overflow)
{
	struct keel_snap_create c = { .pool_bytes = POOL, .overflow = overflow,
				      .stall_ms = 60000 };

	return ksnap_open(s, &c) ?: ksnap_add(s, fd, SIZE) ?:
	       ksnap_prepare(s) ?: ksnap_arm(s, NULL);
}

/* A process that changes each page of a file once. */
static pid_t writer(int fd, const char *cgroup)
{
	pid_t pid = fork();
	char path[128], me[16];
	size_t i;
	char *p;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (cgroup) {
		snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
		snprintf(me, sizeof(me), "%d", getpid());
		if (kt_write_file(path, me))
			_exit(2);
	}
	p = kt_map(fd, SIZE);
	for (i = 0; p && i < SIZE; i += PG)
		p[i]++;
	_exit(p ? 0 : 1);
}

static bool ends_well(pid_t pid)
{
	int status;

	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	       !WEXITSTATUS(status);
}

/* A writer that waits in one snapshot is nothing to the end of another. */
TEST_F(ram, end_of_one_waits_for_nobody_in_another)
{
	struct keel_snap_stat st = {};
	struct ksnap a = {}, b = {};
	uint64_t start;
	int i, other;
	pid_t pid;
	char *p;

	other = kt_file(self->dir, "other", SIZE);
	ASSERT_LE(0, other);
	p = fill(other);
	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, to_armed(&a, self->fd, KEEL_OVERFLOW_THROTTLE));
	ASSERT_EQ(0, to_armed(&b, other, KEEL_OVERFLOW_THROTTLE));

	pid = writer(self->fd, NULL);
	ASSERT_LT(0, pid);
	for (i = 0; i < 1000; i++) {
		ASSERT_EQ(0, ksnap_stat(&a, &st));
		if (!st.pool_free)
			break;
		nap_us(10000);
	}
	ASSERT_EQ(0, st.pool_free);
	nap_us(100000);

	start = now_ns();
	EXPECT_EQ(0, ksnap_abort(&b));
	EXPECT_GT(5000000000ULL, now_ns() - start);
	start = now_ns();
	EXPECT_EQ(0, ksnap_abort(&a));
	EXPECT_GT(5000000000ULL, now_ns() - start);
	EXPECT_TRUE(ends_well(pid));

	ksnap_free(&a);
	ksnap_free(&b);
	munmap(p, SIZE);
	close(other);
}

/* Pages touched just now lie in some CPU's batch: nobody holds them. */
TEST_F(ram, batches_do_not_count)
{
	struct keel_snap_create c = { .pool_bytes = POOL, .pinned_max = 1 };
	struct keel_snap_arm arm = { .size = sizeof(arm) };
	struct ksnap s;
	size_t i;

	ASSERT_EQ(0, ksnap_open(&s, &c));
	ASSERT_EQ(0, ksnap_add(&s, self->fd, SIZE));
	ASSERT_EQ(0, ksnap_prepare(&s));
	ASSERT_EQ(0, fallocate(self->fd, FALLOC_FL_PUNCH_HOLE |
			       FALLOC_FL_KEEP_SIZE, 0, 25 * PG));
	for (i = 0; i < 25; i++)
		self->p[i * PG] = 'b';
	ASSERT_EQ(0, ksnap_arm(&s, &arm));
	EXPECT_EQ(0, arm.pinned);
	ASSERT_EQ(0, ksnap_drain(&s, 4096, 0));
	for (i = 0; i < 25; i++)
		EXPECT_EQ('b', s.image[0][i * PG]);
	ksnap_free(&s);
}

#define MAKER	"/sys/fs/cgroup/keelmaker"
#define GUEST	"/sys/fs/cgroup/keelguest"

/* What a guest's writes need beyond the pool is not the guest's. */
TEST_F(ram, spill_is_charged_to_the_maker)
{
	long long maker, guest, more = SIZE - POOL;
	struct keel_snap_stat st;
	struct ksnap s;
	char me[16];

	kt_write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	mkdir(MAKER, 0755);
	mkdir(GUEST, 0755);
	snprintf(me, sizeof(me), "%d", getpid());
	if (kt_write_file(MAKER "/cgroup.procs", me) ||
	    kt_read_number(MAKER "/memory.current") < 0)
		SKIP(return, "no memory cgroups can be set up here");

	ASSERT_EQ(0, to_armed(&s, self->fd, KEEL_OVERFLOW_SPILL));
	maker = kt_read_number(MAKER "/memory.current");
	guest = kt_read_number(GUEST "/memory.current");
	EXPECT_TRUE(ends_well(writer(self->fd, GUEST)));
	maker = kt_read_number(MAKER "/memory.current") - maker;
	guest = kt_read_number(GUEST "/memory.current") - guest;
	ASSERT_EQ(0, ksnap_stat(&s, &st));
	EXPECT_LE(more / PG, st.spilled_pages);
	/* Idle per-CPU charges make these inexact. */
	EXPECT_LT(more * 3 / 4, maker);
	EXPECT_GT(more / 4, guest);
	ksnap_free(&s);

	kt_write_file("/sys/fs/cgroup/cgroup.procs", me);
	rmdir(MAKER);
	rmdir(GUEST);
}

static sigjmp_buf on_bus;

static void bus(int sig)
{
	siglongjmp(on_bus, sig);
}

/* The signal that changing @p raises, or 0. */
static int touch(volatile char *p)
{
	struct sigaction sa = { .sa_handler = bus }, old;
	int sig;

	sigaction(SIGBUS, &sa, &old);
	sig = sigsetjmp(on_bus, 1);
	if (!sig)
		*p = 1;
	sigaction(SIGBUS, &old, NULL);
	return sig;
}

/*
 * Break a page. Through a private mapping, which an armed snapshot does not
 * care for; in a child, which this kills.
 */
static int break_page(int fd, size_t page)
{
	pid_t pid = fork();
	char buf, *p;

	if (!pid) {
		p = mmap(NULL, PG, PROT_READ, MAP_PRIVATE, fd, page * PG);
		if (p != MAP_FAILED)
			madvise(p, PG, MADV_HWPOISON);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	if (pread(fd, &buf, 1, page * PG) == -1 && errno == EIO)
		return 0;
	return -EOPNOTSUPP;
}

static int punch(int fd, size_t page)
{
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 page * PG, PG);
}

TEST_F(ram, broken_page)
{
	char buf[2 * PG];
	struct ksnap s;

	if (break_page(self->fd, 3))
		SKIP(return, "this kernel does not break pages on request");
	EXPECT_EQ(SIGBUS, touch(self->p + 3 * PG));
	/* Once more, with no entry left in the page table. */
	madvise(self->p, SIZE, MADV_DONTNEED);
	EXPECT_EQ(SIGBUS, touch(self->p + 3 * PG));
	EXPECT_EQ(0, touch(self->p + 2 * PG));
	EXPECT_EQ(0, touch(self->p + 4 * PG));
	EXPECT_EQ(PG, pread(self->fd, buf, sizeof(buf), 2 * PG));
	EXPECT_EQ(-1, pwrite(self->fd, buf, 1, 3 * PG));
	EXPECT_EQ(EIO, errno);

	EXPECT_EQ(-EHWPOISON, to_armed(&s, self->fd, KEEL_OVERFLOW_THROTTLE));
	/* As after any refusal, it may be tried again. */
	ASSERT_EQ(0, punch(self->fd, 3));
	EXPECT_EQ(0, touch(self->p + 3 * PG));
	EXPECT_EQ(0, ksnap_arm(&s, NULL));
	EXPECT_EQ(0, ksnap_drain(&s, 256, 0));
	EXPECT_EQ(1, s.image[0][3 * PG]);
	ksnap_free(&s);
}

/* A page breaks before it is saved: by the sweep, or by its removal. */
TEST_F(ram, page_breaks_while_armed)
{
	struct keel_snap_stat st;
	struct ksnap s;
	int i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, to_armed(&s, self->fd, KEEL_OVERFLOW_THROTTLE));
		if (break_page(self->fd, 7))
			SKIP(return, "this kernel does not break pages on request");
		EXPECT_EQ(SIGBUS, touch(self->p + 7 * PG));
		ASSERT_EQ(0, ksnap_stat(&s, &st));
		EXPECT_EQ(KEEL_SNAP_ARMED, st.state);

		if (i)
			ASSERT_EQ(0, punch(self->fd, 7));
		EXPECT_EQ(-ECANCELED, ksnap_drain(&s, 256, 0));
		ASSERT_EQ(0, ksnap_stat(&s, &st));
		EXPECT_EQ(KEEL_SNAP_ABORTED, st.state);
		EXPECT_EQ(KEEL_REASON_POISON, st.reason);
		ksnap_free(&s);
		ASSERT_EQ(0, punch(self->fd, 7));
		EXPECT_EQ(0, touch(self->p + 7 * PG));
	}
}

static int set_slot(int vm, void *hva, size_t size)
{
	struct kvm_userspace_memory_region slot = {
		.memory_size = size, .userspace_addr = (uintptr_t)hva,
	};

	return kioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot);
}

/*
 * A VMM changes the map of guest memory slot by slot, and may be found with
 * none: the tool looks again.
 */
TEST_F(ram, slot_is_being_moved)
{
	const char *dir = "/tmp/corners.image";
	int kvm, vm, status, i;
	char pid[16];
	pid_t keel;

	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	vm = kvm < 0 ? kvm : ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0)
		SKIP(return, "no KVM here");
	snprintf(pid, sizeof(pid), "%d", getpid());
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, system("rm -rf /tmp/corners.image"));
		ASSERT_EQ(0, set_slot(vm, self->p, i ? 0 : SIZE));
		keel = fork();
		if (!keel) {
			if (!freopen("/dev/null", "w", stdout))
				_exit(127);
			execlp("keel", "keel", "snapshot", "create", pid, "-o",
			       dir, NULL);
			_exit(127);
		}
		nap_us(200000);
		ASSERT_EQ(0, i ? set_slot(vm, self->p, SIZE) : 0);
		ASSERT_EQ(keel, waitpid(keel, &status, 0));
		EXPECT_EQ(0, status);
	}
	EXPECT_EQ(0, system("rm -rf /tmp/corners.image"));
	close(vm);
	close(kvm);
}

TEST_HARNESS_MAIN
