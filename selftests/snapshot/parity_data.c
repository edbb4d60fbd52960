// SPDX-License-Identifier: GPL-2.0
/* keelfs against tmpfs: contents and sizes. See parity.h. */
#define _GNU_SOURCE
#include <linux/falloc.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "parity.h"

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

TEST_HARNESS_MAIN
