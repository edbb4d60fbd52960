// SPDX-License-Identifier: GPL-2.0
/*
 * A keelfs file behaves as a tmpfs file: every test runs on tmpfs, on keelfs
 * with and without 2 MiB folios, and on keelfs while a snapshot of the file
 * is armed and nobody drains it, so that each first access saves.
 *
 * KEEL_PARITY_DIR=DIR runs the tmpfs variant there instead of /dev/shm.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <linux/mempolicy.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "keeltest.h"

#define SIZE	((size_t)4 << 20)

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE		25
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_READ	22
#define MADV_POPULATE_WRITE	23
#endif

FIXTURE(file) {
	const char *dir;
	char path[PATH_MAX];
	int fd;
	bool mounted;
	struct ksnap snap;
	bool armed;
};

FIXTURE_VARIANT(file) {
	const char *opts;	/* of keelfs; NULL: tmpfs */
	bool arm;
};

FIXTURE_VARIANT_ADD(file, tmpfs) {
};

FIXTURE_VARIANT_ADD(file, keelfs_4k) {
	.opts = "huge=never",
};

FIXTURE_VARIANT_ADD(file, keelfs_2m) {
	.opts = "huge=always",
};

FIXTURE_VARIANT_ADD(file, keelfs_4k_armed) {
	.opts = "huge=never",
	.arm = true,
};

FIXTURE_VARIANT_ADD(file, keelfs_2m_armed) {
	.opts = "huge=always",
	.arm = true,
};

static sigjmp_buf on_bus;

static void bus(int sig)
{
	siglongjmp(on_bus, sig);
}

/* The signal that touching @p raises, or 0. */
static int touch(volatile char *p, bool write)
{
	struct sigaction sa = { .sa_handler = bus }, old_bus, old_segv;
	int sig;

	sigaction(SIGBUS, &sa, &old_bus);
	sigaction(SIGSEGV, &sa, &old_segv);
	sig = sigsetjmp(on_bus, 1);
	if (!sig) {
		if (write)
			*p = 1;
		else
			(void)*p;
	}
	sigaction(SIGBUS, &old_bus, NULL);
	sigaction(SIGSEGV, &old_segv, NULL);
	return sig;
}

static unsigned char pat(size_t off)
{
	return (off * 131 + (off >> 12) * 17 + 1) & 0xff;
}

static void fill(unsigned char *p, size_t from, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = pat(from + i);
}

/* The first offset at which @p differs from the pattern, or -1. */
static long differs(const unsigned char *p, size_t from, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (p[i] != pat(from + i))
			return from + i;
	return -1;
}

static long not_zero(const unsigned char *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (p[i])
			return i;
	return -1;
}

static int fill_file(int fd, size_t len)
{
	unsigned char *buf = malloc(len);
	ssize_t n;

	fill(buf, 0, len);
	n = pwrite(fd, buf, len, 0);
	free(buf);
	return n == (ssize_t)len ? 0 : -1;
}

FIXTURE_SETUP(file)
{
	const char *why;

	self->fd = -1;
	self->snap.fd = -1;
	if (variant->opts) {
		why = kt_keel_missing();
		if (why)
			SKIP(return, "%s", why);
		self->dir = kt_mount(variant->opts);
		ASSERT_NE(NULL, self->dir)
			TH_LOG("mount keelfs: %s", strerror(errno));
		self->mounted = true;
	} else {
		self->dir = getenv("KEEL_PARITY_DIR") ?: "/dev/shm";
	}
	snprintf(self->path, sizeof(self->path), "%s/parity.%d", self->dir,
		 getpid());
	self->fd = open(self->path, O_RDWR | O_CREAT | O_EXCL, 0600);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, ftruncate(self->fd, SIZE));
	if (!variant->arm)
		return;
	/* Something must be there, or there is nothing to save. */
	ASSERT_EQ(0, fill_file(self->fd, SIZE));
	ASSERT_EQ(0, ksnap_open_default(&self->snap, 64 << 20));
	ASSERT_EQ(0, ksnap_add(&self->snap, self->fd, SIZE));
	ASSERT_EQ(0, ksnap_prepare(&self->snap));
	ASSERT_EQ(0, ksnap_arm(&self->snap, NULL));
	self->armed = true;
}

FIXTURE_TEARDOWN(file)
{
	struct keel_snap_stat st;

	/*
	 * Whatever the test did to the file, the image is the file as it was:
	 * the pattern, whole.
	 */
	if (self->armed) {
		EXPECT_EQ(0, ksnap_stat(&self->snap, &st));
		EXPECT_EQ(KEEL_SNAP_ARMED, st.state);
		EXPECT_EQ(0, ksnap_drain(&self->snap, 4096, 0))
			TH_LOG("%s", self->snap.why);
		EXPECT_EQ(SIZE, self->snap.bytes[0]);
		EXPECT_EQ(-1, differs(self->snap.image[0], 0, SIZE));
		ksnap_free(&self->snap);
	}
	if (self->fd >= 0)
		close(self->fd);
	unlink(self->path);
	if (self->mounted)
		kt_umount(self->dir);
}

TEST_F(file, read_write_odd_offsets)
{
	static const size_t at[] = { 0, 1, 4095, 4096, 4097, 12345, 2097151,
				     2097152, 3000001 };
	static const size_t len[] = { 1, 2, 7, 4095, 4096, 4097, 70001 };
	unsigned char *buf = malloc(SIZE), *ref = malloc(SIZE);
	size_t i, j;

	ASSERT_EQ(0, fill_file(self->fd, SIZE));
	fill(ref, 0, SIZE);
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		for (j = 0; j < ARRAY_SIZE(len); j++) {
			memset(buf, i * 16 + j, len[j]);
			memcpy(ref + at[i], buf, len[j]);
			ASSERT_EQ((ssize_t)len[j], pwrite(self->fd, buf,
							  len[j], at[i]));
		}
	}
	ASSERT_EQ((ssize_t)SIZE, pread(self->fd, buf, SIZE, 0));
	ASSERT_EQ(0, memcmp(buf, ref, SIZE));
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		for (j = 0; j < ARRAY_SIZE(len); j++) {
			ASSERT_EQ((ssize_t)len[j], pread(self->fd, buf, len[j],
							 at[i]));
			ASSERT_EQ(0, memcmp(buf, ref + at[i], len[j]));
		}
	}
	free(buf);
	free(ref);
}

TEST_F(file, file_position)
{
	char buf[8];

	ASSERT_EQ(5, write(self->fd, "hello", 5));
	ASSERT_EQ(5, lseek(self->fd, 0, SEEK_CUR));
	ASSERT_EQ(1, lseek(self->fd, 1, SEEK_SET));
	ASSERT_EQ(4, read(self->fd, buf, 4));
	ASSERT_EQ(0, memcmp(buf, "ello", 4));
	ASSERT_EQ((off_t)SIZE - 2, lseek(self->fd, -2, SEEK_END));
	ASSERT_EQ(2, read(self->fd, buf, 8));
	ASSERT_EQ(0, read(self->fd, buf, 8));
	ASSERT_EQ(-1, lseek(self->fd, -1, SEEK_SET));
	ASSERT_EQ(EINVAL, errno);
}

TEST_F(file, beyond_the_end)
{
	char buf[16] = "xxxxxxxxxxxxxxx";
	volatile char *p;

	ASSERT_EQ(0, pread(self->fd, buf, 16, SIZE));
	ASSERT_EQ(0, pread(self->fd, buf, 16, SIZE + 100));
	ASSERT_EQ(6, pread(self->fd, buf, 16, SIZE - 6));
	p = mmap(NULL, 2 * SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd,
		 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, touch(p + SIZE - 1, true));
	ASSERT_EQ(SIGBUS, touch(p + SIZE, false));
	ASSERT_EQ(SIGBUS, touch(p + SIZE, true));
	ASSERT_EQ(SIGBUS, touch(p + 2 * SIZE - 1, true));
	/* Writing there makes it longer; what lies between reads zero. */
	ASSERT_EQ(1, pwrite(self->fd, "a", 1, SIZE + 5000));
	ASSERT_EQ(0, touch(p + SIZE, false));
	ASSERT_EQ(0, p[SIZE + 4999]);
	ASSERT_EQ('a', p[SIZE + 5000]);
	ASSERT_EQ(SIGBUS, touch(p + SIZE + 8192, false));
	munmap((void *)p, 2 * SIZE);
}

TEST_F(file, holes_read_zero)
{
	unsigned char *buf = malloc(SIZE);

	ASSERT_EQ(0, ftruncate(self->fd, 0));
	ASSERT_EQ(0, ftruncate(self->fd, SIZE));
	ASSERT_EQ(1, pwrite(self->fd, "z", 1, 1 << 20));
	memset(buf, 0xee, SIZE);
	ASSERT_EQ((ssize_t)SIZE, pread(self->fd, buf, SIZE, 0));
	ASSERT_EQ('z', buf[1 << 20]);
	buf[1 << 20] = 0;
	ASSERT_EQ(-1, not_zero(buf, SIZE));
	free(buf);
}

TEST_F(file, truncate_zeroes_the_rest)
{
	static const size_t to[] = { SIZE - 1, SIZE - 4095, 2 * 1024 * 1024 + 1,
				     2 * 1024 * 1024, 12289, 12288, 4097, 1 };
	unsigned char *buf = malloc(SIZE);
	volatile unsigned char *p;
	size_t i;

	p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	for (i = 0; i < ARRAY_SIZE(to); i++) {
		ASSERT_EQ(0, fill_file(self->fd, SIZE));
		ASSERT_EQ(0, ftruncate(self->fd, to[i]));
		ASSERT_EQ(0, ftruncate(self->fd, SIZE));
		ASSERT_EQ((ssize_t)SIZE, pread(self->fd, buf, SIZE, 0));
		ASSERT_EQ(-1, differs(buf, 0, to[i]));
		ASSERT_EQ(-1, not_zero(buf + to[i], SIZE - to[i]));
		ASSERT_EQ(pat(to[i] - 1), p[to[i] - 1]);
		ASSERT_EQ(0, p[to[i]]);
		ASSERT_EQ(0, p[SIZE - 1]);
	}
	munmap((void *)p, SIZE);
	free(buf);
}

TEST_F(file, truncate_unmaps)
{
	volatile char *p;

	p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	p[SIZE - 1] = 1;
	ASSERT_EQ(0, ftruncate(self->fd, 4096));
	ASSERT_EQ(SIGBUS, touch(p + SIZE - 1, true));
	ASSERT_EQ(SIGBUS, touch(p + 4096, false));
	ASSERT_EQ(0, touch(p + 4095, true));
	munmap((void *)p, SIZE);
}

TEST_F(file, punch_hole)
{
	static const struct { size_t at, len; } hole[] = {
		{ 0, 4096 }, { 8192, 8192 }, { 20000, 100 }, { 30000, 9000 },
		{ 2 << 20, 2 << 20 }, { 1000000, 1 }, { 1, 4094 },
	};
	unsigned char *buf = malloc(SIZE), *ref = malloc(SIZE);
	volatile unsigned char *p;
	struct stat before, after;
	size_t i;

	ASSERT_EQ(0, fill_file(self->fd, SIZE));
	fill(ref, 0, SIZE);
	p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(pat(8192), p[8192]);
	ASSERT_EQ(0, fstat(self->fd, &before));
	for (i = 0; i < ARRAY_SIZE(hole); i++) {
		ASSERT_EQ(0, fallocate(self->fd, FALLOC_FL_PUNCH_HOLE |
				       FALLOC_FL_KEEP_SIZE, hole[i].at,
				       hole[i].len));
		memset(ref + hole[i].at, 0, hole[i].len);
		ASSERT_EQ(0, p[hole[i].at]);
	}
	ASSERT_EQ((ssize_t)SIZE, pread(self->fd, buf, SIZE, 0));
	ASSERT_EQ(0, memcmp(buf, ref, SIZE));
	ASSERT_EQ(0, memcmp((void *)p, ref, SIZE));
	ASSERT_EQ(0, fstat(self->fd, &after));
	ASSERT_EQ(before.st_size, after.st_size);
	munmap((void *)p, SIZE);
	free(buf);
	free(ref);
}

TEST_F(file, punch_gives_memory_back)
{
	struct stat full, less;

	ASSERT_EQ(0, fill_file(self->fd, SIZE));
	ASSERT_EQ(0, fstat(self->fd, &full));
	ASSERT_EQ(0, fallocate(self->fd, FALLOC_FL_PUNCH_HOLE |
			       FALLOC_FL_KEEP_SIZE, 0, SIZE));
	ASSERT_EQ(0, fstat(self->fd, &less));
	ASSERT_EQ((blkcnt_t)SIZE / 512, full.st_blocks);
	ASSERT_EQ(0, less.st_blocks);
}

TEST_F(file, fallocate_modes)
{
	struct stat st;

	ASSERT_EQ(0, ftruncate(self->fd, 0));
	ASSERT_EQ(0, fallocate(self->fd, FALLOC_FL_KEEP_SIZE, 0, 65536));
	ASSERT_EQ(0, fstat(self->fd, &st));
	ASSERT_EQ(0, st.st_size);
	ASSERT_EQ(0, fallocate(self->fd, 0, 4096, 65536));
	ASSERT_EQ(0, fstat(self->fd, &st));
	ASSERT_EQ(4096 + 65536, st.st_size);
	ASSERT_LE(65536 / 512, st.st_blocks);
	ASSERT_EQ(-1, fallocate(self->fd, FALLOC_FL_PUNCH_HOLE, 0, 4096));
	ASSERT_EQ(EOPNOTSUPP, errno);
	ASSERT_EQ(-1, fallocate(self->fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096));
	ASSERT_EQ(EOPNOTSUPP, errno);
	ASSERT_EQ(-1, fallocate(self->fd, FALLOC_FL_INSERT_RANGE, 0, 4096));
	ASSERT_EQ(EOPNOTSUPP, errno);
	ASSERT_EQ(-1, fallocate(self->fd, 0, 0, 0));
	ASSERT_EQ(EINVAL, errno);
	ASSERT_EQ(-1, fallocate(self->fd, 0, -1, 4096));
	ASSERT_EQ(EINVAL, errno);
}

TEST_F(file, seek_data_hole)
{
	ASSERT_EQ(0, ftruncate(self->fd, 0));
	ASSERT_EQ(0, ftruncate(self->fd, 3 * SIZE));
	ASSERT_EQ(-1, lseek(self->fd, 0, SEEK_DATA));
	ASSERT_EQ(ENXIO, errno);
	ASSERT_EQ(0, lseek(self->fd, 0, SEEK_HOLE));
	ASSERT_EQ(1, pwrite(self->fd, "d", 1, SIZE));
	/* Data begins at its page, or earlier by what a large folio holds. */
	ASSERT_GE((off_t)SIZE, lseek(self->fd, 0, SEEK_DATA));
	ASSERT_LE((off_t)(SIZE - PMD_PAGE), lseek(self->fd, 0, SEEK_DATA));
	ASSERT_LT((off_t)SIZE, lseek(self->fd, SIZE, SEEK_HOLE));
	ASSERT_GE((off_t)(SIZE + PMD_PAGE), lseek(self->fd, SIZE, SEEK_HOLE));
	ASSERT_EQ(-1, lseek(self->fd, 2 * SIZE, SEEK_DATA));
	ASSERT_EQ(ENXIO, errno);
	ASSERT_EQ(-1, lseek(self->fd, 3 * SIZE, SEEK_HOLE));
	ASSERT_EQ(ENXIO, errno);
}

TEST_F(file, append)
{
	int fd = open(self->path, O_RDWR | O_APPEND);
	char buf[4];

	ASSERT_LE(0, fd);
	ASSERT_EQ(3, write(fd, "end", 3));
	ASSERT_EQ((off_t)SIZE + 3, lseek(fd, 0, SEEK_END));
	ASSERT_EQ(3, pread(self->fd, buf, 4, SIZE));
	ASSERT_EQ(0, memcmp(buf, "end", 3));
	close(fd);
}

TEST_F(file, map_shared_and_read)
{
	char *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		       self->fd, 0);
	char c;

	ASSERT_NE(MAP_FAILED, p);
	p[5000] = 'm';
	ASSERT_EQ(1, pread(self->fd, &c, 1, 5000));
	ASSERT_EQ('m', c);
	ASSERT_EQ(1, pwrite(self->fd, "w", 1, 5001));
	ASSERT_EQ('w', p[5001]);
	munmap(p, SIZE);
}

TEST_F(file, map_private_is_private)
{
	char *shared, *private;

	shared = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd,
		      0);
	private = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE,
		       self->fd, 0);
	ASSERT_NE(MAP_FAILED, shared);
	ASSERT_NE(MAP_FAILED, private);
	shared[0] = 's';
	ASSERT_EQ('s', private[0]);
	private[0] = 'p';
	ASSERT_EQ('s', shared[0]);
	shared[0] = 't';
	ASSERT_EQ('p', private[0]);
	/* Without a read first. */
	private[8192] = 'q';
	shared[8192] = 'r';
	ASSERT_EQ('q', private[8192]);
	/* And the copy goes when told to. */
	ASSERT_EQ(0, madvise(private, SIZE, MADV_DONTNEED));
	ASSERT_EQ('t', private[0]);
	ASSERT_EQ('r', private[8192]);
	munmap(private, SIZE);
	munmap(shared, SIZE);
}

TEST_F(file, map_of_a_read_only_descriptor)
{
	int fd = open(self->path, O_RDONLY);
	char *p;

	ASSERT_LE(0, fd);
	ASSERT_EQ(MAP_FAILED, mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
				   MAP_SHARED, fd, 0));
	ASSERT_EQ(EACCES, errno);
	p = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(SIGSEGV, touch(p, true));
	ASSERT_EQ(-1, mprotect(p, SIZE, PROT_READ | PROT_WRITE));
	ASSERT_EQ(EACCES, errno);
	ASSERT_EQ(1, pwrite(self->fd, "o", 1, 10));
	ASSERT_EQ('o', p[10]);
	munmap(p, SIZE);
	close(fd);
}

TEST_F(file, fork_shares)
{
	char *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		       self->fd, 0);
	int status;
	pid_t pid;

	ASSERT_NE(MAP_FAILED, p);
	p[0] = 1;
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (p[0] != 1)
			_exit(1);
		p[0] = 2;
		p[SIZE - 1] = 3;
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	ASSERT_EQ(2, p[0]);
	ASSERT_EQ(3, p[SIZE - 1]);
	munmap(p, SIZE);
}

TEST_F(file, mremap_moves_and_grows)
{
	unsigned char *p, *q;

	ASSERT_EQ(0, fill_file(self->fd, SIZE));
	p = mmap(NULL, SIZE / 2, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd,
		 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(-1, differs(p, 0, SIZE / 2));
	q = mmap(NULL, SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, q);
	q = mremap(p, SIZE / 2, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, q);
	ASSERT_NE(MAP_FAILED, q);
	ASSERT_EQ(-1, differs(q, 0, SIZE));
	q[SIZE - 1] = 0;
	q = mremap(q, SIZE, 4096, 0);
	ASSERT_NE(MAP_FAILED, q);
	ASSERT_EQ(SIGSEGV, touch((char *)q + 8192, false));
	/* Size 0 makes a second mapping of the same. */
	p = mremap(q, 0, SIZE, MREMAP_MAYMOVE);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, p[SIZE - 1]);
	ASSERT_EQ(-1, differs(p, 0, SIZE - 1));
	munmap(p, SIZE);
	munmap(q, 4096);
}

TEST_F(file, mprotect_transitions)
{
	char *p = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, self->fd, 0);
	int i;

	ASSERT_NE(MAP_FAILED, p);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, mprotect(p, SIZE, PROT_READ | PROT_WRITE));
		p[100] = i;
		ASSERT_EQ(0, mprotect(p, SIZE, PROT_READ));
		ASSERT_EQ(i, p[100]);
		ASSERT_EQ(SIGSEGV, touch(p + 100, true));
		ASSERT_EQ(0, mprotect(p, SIZE, PROT_NONE));
		ASSERT_EQ(SIGSEGV, touch(p + 100, false));
		ASSERT_EQ(0, mprotect(p, SIZE, PROT_READ));
	}
	/* In the middle of a 2 MiB mapping. */
	ASSERT_EQ(0, mprotect(p, SIZE, PROT_READ | PROT_WRITE));
	p[4096] = 1;
	ASSERT_EQ(0, mprotect(p + 4096, 4096, PROT_READ));
	ASSERT_EQ(SIGSEGV, touch(p + 4096, true));
	ASSERT_EQ(0, touch(p + 4095, true));
	ASSERT_EQ(0, touch(p + 8192, true));
	munmap(p, SIZE);
}

TEST_F(file, madvise_kinds)
{
	static const int advice[] = {
		MADV_WILLNEED, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_RANDOM,
		MADV_SEQUENTIAL, MADV_NORMAL, MADV_DONTNEED, MADV_POPULATE_READ,
		MADV_POPULATE_WRITE, MADV_COLD, MADV_DONTFORK, MADV_DOFORK,
		MADV_DONTDUMP, MADV_DODUMP,
	};
	unsigned char *p;
	size_t i;

	ASSERT_EQ(0, fill_file(self->fd, SIZE));
	p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	for (i = 0; i < ARRAY_SIZE(advice); i++) {
		ASSERT_EQ(0, madvise(p, SIZE, advice[i]))
			TH_LOG("advice %d: %s", advice[i], strerror(errno));
		ASSERT_EQ(-1, differs(p, 0, SIZE));
	}
	ASSERT_EQ(-1, madvise(p, SIZE, MADV_FREE));
	ASSERT_EQ(EINVAL, errno);
	/* It punches a hole. */
	ASSERT_EQ(0, madvise(p + 8192, 8192, MADV_REMOVE));
	ASSERT_EQ(-1, differs(p, 0, 8192));
	ASSERT_EQ(-1, not_zero(p + 8192, 8192));
	ASSERT_EQ(-1, differs(p + 16384, 16384, SIZE - 16384));
	munmap(p, SIZE);
}

TEST_F(file, mlock_and_mincore)
{
	unsigned char vec[SIZE / 4096];
	char *p;

	ASSERT_EQ(0, fill_file(self->fd, SIZE));
	p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, mlock(p, SIZE));
	ASSERT_EQ(0, mincore(p, SIZE, vec));
	ASSERT_EQ(1, vec[0] & 1);
	ASSERT_EQ(1, vec[SIZE / 4096 - 1] & 1);
	ASSERT_EQ(0, munlock(p, SIZE));
	munmap(p, SIZE);
	p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
		 self->fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	munmap(p, SIZE);
}

TEST_F(file, names)
{
	char dir[PATH_MAX], a[PATH_MAX + 8], b[PATH_MAX + 8];
	struct stat st, st2;
	int fd;

	snprintf(dir, sizeof(dir), "%s/d.%d", self->dir, getpid());
	snprintf(a, sizeof(a), "%s/a", dir);
	snprintf(b, sizeof(b), "%s/b", dir);
	ASSERT_EQ(0, mkdir(dir, 0700));
	ASSERT_EQ(-1, mkdir(dir, 0700));
	ASSERT_EQ(EEXIST, errno);
	ASSERT_EQ(0, stat(dir, &st));
	ASSERT_EQ(2, st.st_nlink);
	fd = open(a, O_RDWR | O_CREAT, 0640);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, link(a, b));
	ASSERT_EQ(0, stat(b, &st));
	ASSERT_EQ(2, st.st_nlink);
	ASSERT_EQ(-1, rmdir(dir));
	ASSERT_EQ(ENOTEMPTY, errno);
	ASSERT_EQ(0, unlink(a));
	ASSERT_EQ(0, fstat(fd, &st));
	ASSERT_EQ(1, st.st_nlink);
	ASSERT_EQ(0, rename(b, a));
	ASSERT_EQ(-1, stat(b, &st2));
	ASSERT_EQ(ENOENT, errno);
	ASSERT_EQ(0, stat(a, &st2));
	ASSERT_EQ(st.st_ino, st2.st_ino);
	ASSERT_EQ(0640, st2.st_mode & 07777);
	ASSERT_EQ(-1, open(a, O_RDWR | O_CREAT | O_EXCL, 0600));
	ASSERT_EQ(EEXIST, errno);
	ASSERT_EQ(-1, mkdir(a, 0700));
	ASSERT_EQ(-1, rmdir(a));
	ASSERT_EQ(ENOTDIR, errno);
	/* keelfs may do without, but then it says so. */
	if (symlink("a", b)) {
		ASSERT_EQ(EPERM, errno);
		ASSERT_NE(NULL, variant->opts);
	} else {
		ASSERT_EQ(0, stat(b, &st2));
		ASSERT_EQ(st.st_ino, st2.st_ino);
		ASSERT_EQ(0, unlink(b));
	}
	ASSERT_EQ(0, unlink(a));
	ASSERT_EQ(0, rmdir(dir));
	close(fd);
}

TEST_F(file, open_and_unlinked)
{
	struct stat st;
	char *p, c;

	p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, unlink(self->path));
	ASSERT_EQ(0, fstat(self->fd, &st));
	ASSERT_EQ(0, st.st_nlink);
	p[4096] = 'u';
	ASSERT_EQ(1, pread(self->fd, &c, 1, 4096));
	ASSERT_EQ('u', c);
	munmap(p, SIZE);
}

TEST_F(file, unnamed)
{
	int fd = open(self->dir, O_RDWR | O_TMPFILE, 0600);
	char path[64], to[PATH_MAX + 16], c;

	ASSERT_LE(0, fd);
	ASSERT_EQ(1, write(fd, "t", 1));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	snprintf(to, sizeof(to), "%s.named", self->path);
	ASSERT_EQ(0, linkat(AT_FDCWD, path, AT_FDCWD, to, AT_SYMLINK_FOLLOW));
	close(fd);
	fd = open(to, O_RDONLY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(1, read(fd, &c, 1));
	ASSERT_EQ('t', c);
	close(fd);
	ASSERT_EQ(0, unlink(to));
}

TEST_F(file, permission_bits)
{
	struct stat st;

	ASSERT_EQ(0, fchmod(self->fd, 0444));
	ASSERT_EQ(0, fstat(self->fd, &st));
	ASSERT_EQ(S_IFREG | 0444, st.st_mode);
	ASSERT_EQ(0, fchown(self->fd, 1234, 5678));
	ASSERT_EQ(0, fstat(self->fd, &st));
	ASSERT_EQ(1234, st.st_uid);
	ASSERT_EQ(5678, st.st_gid);
	ASSERT_EQ(0, fchmod(self->fd, 0600));
	ASSERT_EQ(0, fchown(self->fd, 0, 0));
}

TEST_F(file, times_move)
{
	struct timespec then[2] = { { 1000, 0 }, { 1000, 0 } };
	struct stat st;

	ASSERT_EQ(0, futimens(self->fd, then));
	ASSERT_EQ(0, fstat(self->fd, &st));
	ASSERT_EQ(1000, st.st_mtim.tv_sec);
	ASSERT_EQ(1, pwrite(self->fd, "n", 1, 0));
	ASSERT_EQ(0, fstat(self->fd, &st));
	ASSERT_LT(1000, st.st_mtim.tv_sec);
	ASSERT_EQ(0, futimens(self->fd, then));
	ASSERT_EQ(0, ftruncate(self->fd, SIZE / 2));
	ASSERT_EQ(0, fstat(self->fd, &st));
	ASSERT_LT(1000, st.st_mtim.tv_sec);
}

TEST_F(file, sync_does_nothing_well)
{
	char *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		       self->fd, 0);

	ASSERT_NE(MAP_FAILED, p);
	p[1] = 1;
	ASSERT_EQ(0, msync(p, SIZE, MS_SYNC));
	ASSERT_EQ(0, msync(p, SIZE, MS_ASYNC | MS_INVALIDATE));
	ASSERT_EQ(0, fsync(self->fd));
	ASSERT_EQ(0, fdatasync(self->fd));
	ASSERT_EQ(0, sync_file_range(self->fd, 0, 0, SYNC_FILE_RANGE_WRITE));
	ASSERT_EQ(0, posix_fadvise(self->fd, 0, 0, POSIX_FADV_DONTNEED));
	ASSERT_EQ(1, p[1]);
	munmap(p, SIZE);
}

TEST_F(file, splice_in_and_out)
{
	unsigned char buf[16384];
	loff_t off = 4096 + 5;
	int pipe_fd[2];

	ASSERT_EQ(0, fill_file(self->fd, SIZE));
	ASSERT_EQ(0, pipe(pipe_fd));
	ASSERT_EQ(8192, splice(self->fd, &off, pipe_fd[1], NULL, 8192, 0));
	ASSERT_EQ(8192, read(pipe_fd[0], buf, 8192));
	ASSERT_EQ(-1, differs(buf, 4096 + 5, 8192));
	memset(buf, 'S', 8192);
	ASSERT_EQ(8192, write(pipe_fd[1], buf, 8192));
	off = 20001;
	ASSERT_EQ(8192, splice(pipe_fd[0], NULL, self->fd, &off, 8192, 0));
	ASSERT_EQ(8194, pread(self->fd, buf, 8194, 20000));
	ASSERT_EQ(pat(20000), buf[0]);
	ASSERT_EQ('S', buf[1]);
	ASSERT_EQ('S', buf[8192]);
	ASSERT_EQ(pat(28193), buf[8193]);
	close(pipe_fd[0]);
	close(pipe_fd[1]);
}

TEST_F(file, vmsplice_and_sendfile)
{
	unsigned char *p, buf[4096];
	struct iovec v = { .iov_len = 4096 };
	int pipe_fd[2], other;
	off_t off = 100;

	ASSERT_EQ(0, fill_file(self->fd, SIZE));
	p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, pipe(pipe_fd));
	v.iov_base = p + 8192;
	ASSERT_EQ(4096, vmsplice(pipe_fd[1], &v, 1, 0));
	ASSERT_EQ(4096, read(pipe_fd[0], buf, 4096));
	ASSERT_EQ(-1, differs(buf, 8192, 4096));
	other = memfd_create("other", 0);
	ASSERT_LE(0, other);
	ASSERT_EQ(4096, sendfile(other, self->fd, &off, 4096));
	ASSERT_EQ(4096, pread(other, buf, 4096, 0));
	ASSERT_EQ(-1, differs(buf, 100, 4096));
	ASSERT_EQ(0, lseek(self->fd, 0, SEEK_SET));
	off = 1;
	ASSERT_EQ(4095, sendfile(self->fd, other, &off, 4095));
	ASSERT_EQ(pat(101), p[0]);
	ASSERT_EQ(pat(4195), p[4094]);
	ASSERT_EQ(pat(4095), p[4095]);
	close(other);
	close(pipe_fd[0]);
	close(pipe_fd[1]);
	munmap(p, SIZE);
}

TEST_F(file, vectors)
{
	char a[3] = "abc", b[5] = "defgh", buf[9] = "";
	struct iovec v[2] = { { a, 3 }, { b, 5 } };
	void *nowhere;

	ASSERT_EQ(8, pwritev(self->fd, v, 2, 4093));
	ASSERT_EQ(8, pread(self->fd, buf, 8, 4093));
	ASSERT_STREQ("abcdefgh", buf);
	/* A source that faults: what could be read was written. */
	nowhere = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);
	v[1].iov_base = nowhere;
	ASSERT_EQ(3, pwritev(self->fd, v, 2, 8000));
	ASSERT_EQ(-1, pwrite(self->fd, nowhere, 5, 8000));
	ASSERT_EQ(EFAULT, errno);
}

TEST_F(file, write_from_its_own_mapping)
{
	unsigned char *p;

	ASSERT_EQ(0, fill_file(self->fd, SIZE));
	p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	/* Source and target in pages that are not mapped yet. */
	ASSERT_EQ(4096, pwrite(self->fd, p + 8192, 4096, 4096));
	ASSERT_EQ(-1, differs(p + 8192, 8192, 4096));
	ASSERT_EQ(0, memcmp(p + 4096, p + 8192, 4096));
	ASSERT_EQ(4096, pread(self->fd, p + 40960, 4096, 8192));
	ASSERT_EQ(0, memcmp(p + 40960, p + 8192, 4096));
	/* The same page. */
	ASSERT_EQ(100, pwrite(self->fd, p + 65536, 100, 65536 + 200));
	ASSERT_EQ(0, memcmp(p + 65536, p + 65536 + 200, 100));
	munmap(p, SIZE);
}

TEST_F(file, large_and_sparse)
{
	const off_t tib = 1LL << 40;
	char c = 1;

	ASSERT_EQ(0, ftruncate(self->fd, tib));
	ASSERT_EQ(1, pread(self->fd, &c, 1, tib - 1));
	ASSERT_EQ(0, c);
	ASSERT_EQ(1, pwrite(self->fd, "e", 1, tib - 1));
	ASSERT_EQ(1, pread(self->fd, &c, 1, tib - 1));
	ASSERT_EQ('e', c);
	ASSERT_EQ(0, ftruncate(self->fd, SIZE));
}

TEST_F(file, mbind_places)
{
	unsigned long mask = 1;
	int node = -1;
	char *p;

	p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, ftruncate(self->fd, 0));
	ASSERT_EQ(0, ftruncate(self->fd, SIZE));
	if (kt_nr_nodes() > 1)
		mask = 2;
	ASSERT_EQ(0, syscall(SYS_mbind, p, SIZE, MPOL_BIND, &mask, 64UL, 0));
	p[0] = 1;
	p[SIZE - 1] = 1;
	ASSERT_EQ(0, syscall(SYS_get_mempolicy, &node, NULL, 0UL, p,
			     MPOL_F_NODE | MPOL_F_ADDR));
	ASSERT_EQ((int)mask - 1, node);
	ASSERT_EQ(0, syscall(SYS_get_mempolicy, &node, NULL, 0UL, p + SIZE - 1,
			     MPOL_F_NODE | MPOL_F_ADDR));
	ASSERT_EQ((int)mask - 1, node);
	munmap(p, SIZE);
}

TEST_F(file, statfs_says)
{
	struct statfs sf;

	ASSERT_EQ(0, fstatfs(self->fd, &sf));
	ASSERT_EQ(255, sf.f_namelen);
	ASSERT_LT(0, sf.f_bsize);
	if (variant->opts)
		ASSERT_NE(0x01021994, sf.f_type);	/* tmpfs's */
}

/*
 * O_DIRECT need not be there; where it opens it must read and write.
 */
TEST_F(file, direct)
{
	int fd = open(self->path, O_RDWR | O_DIRECT);
	unsigned char *buf = aligned_alloc(4096, 4096);

	if (fd < 0) {
		ASSERT_EQ(EINVAL, errno);
		return;
	}
	fill(buf, 0, 4096);
	ASSERT_EQ(4096, pwrite(fd, buf, 4096, 8192));
	memset(buf, 0, 4096);
	ASSERT_EQ(4096, pread(fd, buf, 4096, 8192));
	ASSERT_EQ(-1, differs(buf, 0, 4096));
	free(buf);
	close(fd);
}

TEST_F(file, two_mappings_see_each_other)
{
	char *a, *b;
	int i;

	a = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	b = kt_map(self->fd, SIZE);
	ASSERT_NE(MAP_FAILED, a);
	ASSERT_NE(NULL, b);
	for (i = 0; i < 64; i++) {
		a[i * 65536] = i;
		ASSERT_EQ(i, b[i * 65536]);
		b[i * 65536 + 1] = i + 1;
		ASSERT_EQ(i + 1, a[i * 65536 + 1]);
	}
	/* A mapping that begins inside the file, off any 2 MiB boundary. */
	munmap(a, SIZE);
	a = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd,
		 65536);
	ASSERT_NE(MAP_FAILED, a);
	ASSERT_EQ(1, a[0]);
	munmap(a, 65536);
	munmap(b, SIZE);
}

TEST_F(file, directories_list)
{
	char path[PATH_MAX + 16];
	int i, fd;

	for (i = 0; i < 100; i++) {
		snprintf(path, sizeof(path), "%s.%d", self->path, i);
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
		ASSERT_LE(0, fd);
		close(fd);
	}
	for (i = 0; i < 100; i++) {
		snprintf(path, sizeof(path), "%s.%d", self->path, i);
		ASSERT_EQ(0, access(path, R_OK));
		ASSERT_EQ(0, unlink(path));
		ASSERT_EQ(-1, access(path, R_OK));
	}
}

/*
 * MADV_COLLAPSE maps a 2 MiB folio that is there already, and does not ask
 * the file system: it must not get around the copy.
 */
TEST(collapse_of_armed_memory)
{
	const char *dir;
	struct ksnap s;
	size_t i;
	char *p;
	int fd;

	if (kt_keel_missing())
		SKIP(return, "%s", kt_keel_missing());
	dir = kt_mount("huge=always");
	ASSERT_NE(NULL, dir);
	fd = kt_file(dir, "ram", 2 * PMD_PAGE);
	ASSERT_LE(0, fd);
	p = kt_map(fd, 2 * PMD_PAGE);
	ASSERT_NE(NULL, p);
	memset(p, 'o', 2 * PMD_PAGE);

	ASSERT_EQ(0, ksnap_open_default(&s, 16 << 20));
	ASSERT_EQ(0, ksnap_add(&s, fd, 2 * PMD_PAGE));
	ASSERT_EQ(0, ksnap_prepare(&s));
	ASSERT_EQ(0, ksnap_arm(&s, NULL));
	/* Whether it does it or refuses is its own affair. */
	madvise(p, 2 * PMD_PAGE, MADV_COLLAPSE);
	for (i = 0; i < 2 * PMD_PAGE; i += PG)
		p[i] = 'n';
	ASSERT_EQ(0, ksnap_drain(&s, 4096, 0));
	for (i = 0; i < 2 * PMD_PAGE; i += PG)
		ASSERT_EQ('o', s.image[0][i]);

	ksnap_free(&s);
	munmap(p, 2 * PMD_PAGE);
	close(fd);
	kt_umount(dir);
}

TEST_HARNESS_MAIN
