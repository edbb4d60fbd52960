/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A keelfs file behaves as a tmpfs file: every test runs on tmpfs, on keelfs
 * with and without 2 MiB folios, and on keelfs while a snapshot of the file
 * is armed and nobody drains it, so that each first access saves.
 *
 * KEEL_PARITY_DIR=DIR runs the tmpfs variant there instead of /dev/shm.
 */
#ifndef PARITY_H
#define PARITY_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "keeltest.h"

#define SIZE	((size_t)4 << 20)

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

static inline void bus(int sig)
{
	siglongjmp(on_bus, sig);
}

/* The signal that touching @p raises, or 0. */
static inline int touch(volatile char *p, bool write)
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

static inline unsigned char pat(size_t off)
{
	return (off * 131 + (off >> 12) * 17 + 1) & 0xff;
}

static inline void fill(unsigned char *p, size_t from, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = pat(from + i);
}

/* The first offset at which @p differs from the pattern, or -1. */
static inline long differs(const unsigned char *p, size_t from, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (p[i] != pat(from + i))
			return from + i;
	return -1;
}

static inline long not_zero(const unsigned char *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (p[i])
			return i;
	return -1;
}

static inline int fill_file(int fd, size_t len)
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

#endif
