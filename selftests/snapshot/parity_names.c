// SPDX-License-Identifier: GPL-2.0
/* keelfs against tmpfs: names, inodes, the file system. See parity.h. */
#define _GNU_SOURCE
#include <sys/stat.h>
#include <sys/vfs.h>

#include "parity.h"

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

TEST_F(file, statfs_says)
{
	struct statfs sf;

	ASSERT_EQ(0, fstatfs(self->fd, &sf));
	ASSERT_EQ(255, sf.f_namelen);
	ASSERT_LT(0, sf.f_bsize);
	if (variant->opts)
		ASSERT_NE(0x01021994, sf.f_type);	/* tmpfs's */
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

TEST_HARNESS_MAIN
