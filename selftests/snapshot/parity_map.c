// SPDX-License-Identifier: GPL-2.0
/* keelfs against tmpfs: mappings. See parity.h. */
#define _GNU_SOURCE
#include <linux/mempolicy.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "parity.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE		25
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_READ	22
#define MADV_POPULATE_WRITE	23
#endif

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
