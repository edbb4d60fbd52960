// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that something else than page tables holds at the instant: pinned as
 * an io_uring buffer, spliced into a pipe. Whoever holds it may write it
 * without a fault, so it has to be saved while the gate is shut, or the
 * snapshot refused.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "uring.h"
#include "world.h"

/* Writers have the first part, what is held lies in the second. */
#define SIZE	((size_t)2 << 20)
#define EXTRA	((size_t)4 << 20)
#define ROOM	(SIZE + EXTRA)

/* Across the border of two 2 MiB folios. */
#define PINS	16
#define PIN_AT	(SIZE + EXTRA / 2 - PINS / 2 * PG)

FIXTURE(pin) {
	const char *dir;
	struct world w;
	struct ksnap snap;
	struct uring ring;
	uint64_t pinned;	/* pages of the folios that hold the pins */
	int source;		/* what requests read */
	char *at;
};

FIXTURE_VARIANT(pin) {
	const char *opts;
	uint64_t pinned;
};

FIXTURE_VARIANT_ADD(pin, 4k) {
	.opts = "huge=never",
	.pinned = PINS,
};

FIXTURE_VARIANT_ADD(pin, 2m) {
	.opts = "huge=always",
	.pinned = 2 * PMD_PAGE / PG,
};

static uint64_t word(int generation, size_t off)
{
	return ((uint64_t)generation << 48 ^ off) * 0x9e3779b97f4a7c15ULL;
}

static void fill(char *p, int generation, size_t from, size_t len)
{
	size_t i;

	for (i = 0; i < len; i += 8)
		*(uint64_t *)(p + i) = word(generation, from + i);
}

/* The first offset where @p is not of @generation, or -1. */
static long differs(const unsigned char *p, int generation, size_t from,
		    size_t len)
{
	size_t i;

	for (i = 0; i < len; i += 8)
		if (*(uint64_t *)(p + i) != word(generation, from + i))
			return from + i;
	return -1;
}

static int source_of(int generation, size_t from, size_t len)
{
	int fd = memfd_create("source", MFD_CLOEXEC);
	char *p;

	if (fd < 0 || ftruncate(fd, len))
		return -1;
	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -1;
	fill(p, generation, from, len);
	munmap(p, len);
	return fd;
}

FIXTURE_SETUP(pin)
{
	const char *why = kt_keel_missing();
	int ret;

	self->dir = NULL;
	self->snap.fd = -1;
	self->ring.fd = -1;
	self->source = -1;
	if (why)
		SKIP(return, "%s", why);
	self->dir = kt_mount(variant->opts);
	ASSERT_NE(NULL, self->dir);
	ASSERT_EQ(0, world_create(&self->w, self->dir, 1, SIZE, EXTRA)) {
		TH_LOG("%s", self->w.why);
	}
	world_add_writer(&self->w, BY_STORE);
	world_add_writer(&self->w, BY_PIPE);
	fill(self->w.map[0] + SIZE, 1, SIZE, EXTRA);
	self->at = self->w.map[0] + PIN_AT;
	self->source = source_of(2, PIN_AT, PINS * PG);
	ASSERT_LE(0, self->source);

	ret = uring_open(&self->ring);
	if (ret == -ENOSYS || ret == -EPERM)
		SKIP(return, "no io_uring here");
	ASSERT_EQ(0, ret);
	ret = uring_pin(&self->ring, self->at, PINS * PG);
	if (ret == -EOPNOTSUPP)
		SKIP(return, "io_uring pins no file memory here (before 6.5)");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, uring_unpin(&self->ring));
}

FIXTURE_TEARDOWN(pin)
{
	if (!self->dir)
		return;
	world_destroy(&self->w);
	uring_close(&self->ring);
	close(self->source);
	ksnap_free(&self->snap);
	kt_umount(self->dir);
}

static int begin(struct ksnap *s, struct world *w, uint32_t pinned_max)
{
	struct keel_snap_create c = { .pool_bytes = 16 << 20,
				      .pinned_max = pinned_max };

	return ksnap_open(s, &c) ?: ksnap_add(s, w->fd[0], ROOM);
}

/* A page that a fault looks at in this moment counts as held, too. */
static int arm_soon(struct ksnap *s, struct keel_snap_arm *a)
{
	int ret, i;

	for (i = 0; i < 1000; i++) {
		ret = ksnap_arm(s, a);
		if (ret != -EBUSY && ret != -ETOOMANYREFS)
			break;
		nap_us(1000);
	}
	return ret;
}

/*
 * What a CPU has in a batch on its way to the LRU is saved eagerly, too, though
 * not counted as held. migrate_pages() empties all batches before it looks for
 * pages, of which there are none between a node and itself.
 */
static int empty_batches(void)
{
	unsigned long node = 1;

	return syscall(SYS_migrate_pages, 0, 64UL, &node, &node) ? -errno : 0;
}

static bool goes_on(struct world *w)
{
	uint64_t end = now_ns() + 20 * 1000000000ULL;
	uint64_t start[MAX_WRITERS];
	int i;

	for (i = 0; i < w->nr_writers; i++)
		start[i] = world_live(w, i, NR_CELLS - 1);
	for (i = 0; i < w->nr_writers; i++) {
		while (world_live(w, i, NR_CELLS - 1) < start[i] + 2) {
			if (world_alive(w) || now_ns() > end)
				return false;
			nap_us(1000);
		}
	}
	return true;
}

TEST_F(pin, written_after_the_instant)
{
	struct keel_snap_arm a = {};
	struct keel_snap_stat st;

	ASSERT_EQ(0, uring_pin(&self->ring, self->at, PINS * PG));
	ASSERT_EQ(0, begin(&self->snap, &self->w, 0));
	ASSERT_EQ(0, ksnap_prepare(&self->snap));
	ASSERT_EQ(0, empty_batches());
	ASSERT_EQ(0, arm_soon(&self->snap, &a));
	EXPECT_EQ(variant->pinned, a.pinned);
	ASSERT_EQ(0, ksnap_stat(&self->snap, &st));
	EXPECT_EQ(variant->pinned, st.eager_pages);
	EXPECT_EQ(0, st.fault_pages);

	ASSERT_EQ(PINS * PG, uring_read_fixed(&self->ring, self->source,
					      self->at, PINS * PG));
	ASSERT_EQ(0, ksnap_stat(&self->snap, &st));
	/* It went past keel, or this test shows nothing. */
	EXPECT_EQ(0, st.fault_pages);

	ASSERT_EQ(0, ksnap_drain(&self->snap, 100, 0)) {
		TH_LOG("%s", self->snap.why);
	}
	EXPECT_EQ(-1, differs(self->snap.image[0] + SIZE, 1, SIZE, EXTRA));
	EXPECT_EQ(-1, differs((unsigned char *)self->at, 2, PIN_AT, PINS * PG));
	EXPECT_EQ(0, world_check(&self->w, self->snap.image, NULL, NULL)) {
		TH_LOG("%s", self->w.why);
	}
	EXPECT_EQ(0, uring_unpin(&self->ring));
}

/* The same again and again, next to writers that do fault. */
TEST_F(pin, written_after_each_instant)
{
	struct ksnap old;
	int i, sources[2] = { self->source, source_of(1, PIN_AT, PINS * PG) };
	int generation = 1;

	ASSERT_LE(0, sources[1]);
	ASSERT_EQ(0, uring_pin(&self->ring, self->at, PINS * PG));
	ASSERT_EQ(0, world_start(&self->w));
	for (i = 0; i < 20; i++) {
		old = self->snap;
		ASSERT_EQ(0, begin(&self->snap, &self->w, 0));
		ksnap_reuse(&self->snap, &old);
		ASSERT_EQ(0, ksnap_prepare(&self->snap));
		ASSERT_EQ(0, arm_soon(&self->snap, NULL));
		ASSERT_EQ(PINS * PG,
			  uring_read_fixed(&self->ring, sources[generation - 1],
					   self->at, PINS * PG));
		ASSERT_EQ(0, ksnap_drain(&self->snap, 100, 0)) {
			TH_LOG("%s", self->snap.why);
		}
		ASSERT_EQ(-1, differs(self->snap.image[0] + PIN_AT, generation,
				      PIN_AT, PINS * PG));
		generation = 3 - generation;
		ASSERT_EQ(-1, differs((unsigned char *)self->at, generation,
				      PIN_AT, PINS * PG));
		ASSERT_EQ(0, world_check(&self->w, self->snap.image, NULL,
					 NULL)) {
			TH_LOG("%s", self->w.why);
		}
		ksnap_close(&self->snap);
	}
	EXPECT_TRUE(goes_on(&self->w));
	EXPECT_EQ(0, world_stop(&self->w));
	EXPECT_EQ(0, uring_unpin(&self->ring));
	close(sources[1]);
}

TEST_F(pin, too_many_for_prepare)
{
	struct keel_snap_stat st;

	ASSERT_EQ(0, uring_pin(&self->ring, self->at, PINS * PG));
	ASSERT_EQ(0, world_start(&self->w));
	ASSERT_EQ(0, begin(&self->snap, &self->w, variant->pinned - 1));
	EXPECT_EQ(-ETOOMANYREFS, ksnap_prepare(&self->snap));
	ASSERT_EQ(0, ksnap_stat(&self->snap, &st));
	EXPECT_EQ(KEEL_SNAP_NEW, st.state);
	EXPECT_TRUE(goes_on(&self->w));

	ASSERT_EQ(0, uring_unpin(&self->ring));
	ASSERT_EQ(0, ksnap_prepare(&self->snap));
	ASSERT_EQ(0, arm_soon(&self->snap, NULL));
	ASSERT_EQ(0, ksnap_drain(&self->snap, 0, 0));
	EXPECT_EQ(-1, differs(self->snap.image[0] + SIZE, 1, SIZE, EXTRA));
	EXPECT_EQ(0, world_check(&self->w, self->snap.image, NULL, NULL));
	EXPECT_EQ(0, world_stop(&self->w));
}

TEST_F(pin, too_many_for_arm)
{
	struct keel_snap_arm a = {};
	struct keel_snap_stat st;
	int i;

	ASSERT_EQ(0, world_start(&self->w));
	ASSERT_EQ(0, begin(&self->snap, &self->w, variant->pinned - 1));
	ASSERT_EQ(0, ksnap_prepare(&self->snap));
	ASSERT_EQ(0, uring_pin(&self->ring, self->at, PINS * PG));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(-ETOOMANYREFS, ksnap_arm(&self->snap, &a));
		EXPECT_LE(variant->pinned, a.pinned);
		ASSERT_EQ(0, ksnap_stat(&self->snap, &st));
		EXPECT_EQ(KEEL_SNAP_PREPARED, st.state);
		EXPECT_EQ(0, st.eager_pages);
		EXPECT_TRUE(goes_on(&self->w));
	}

	ASSERT_EQ(0, uring_unpin(&self->ring));
	ASSERT_EQ(0, arm_soon(&self->snap, &a));
	EXPECT_GT(variant->pinned, a.pinned);
	ASSERT_EQ(0, ksnap_drain(&self->snap, 0, 0));
	EXPECT_EQ(-1, differs(self->snap.image[0] + SIZE, 1, SIZE, EXTRA));
	EXPECT_EQ(0, world_check(&self->w, self->snap.image, NULL, NULL));
	EXPECT_EQ(0, world_stop(&self->w));
}

TEST_F(pin, as_many_as_allowed)
{
	struct keel_snap_arm a = {};

	ASSERT_EQ(0, uring_pin(&self->ring, self->at, PINS * PG));
	ASSERT_EQ(0, begin(&self->snap, &self->w, variant->pinned));
	ASSERT_EQ(0, ksnap_prepare(&self->snap));
	ASSERT_EQ(0, empty_batches());
	ASSERT_EQ(0, arm_soon(&self->snap, &a));
	EXPECT_EQ(variant->pinned, a.pinned);
	ASSERT_EQ(0, ksnap_drain(&self->snap, 0, 0));
	EXPECT_EQ(-1, differs(self->snap.image[0] + SIZE, 1, SIZE, EXTRA));
	EXPECT_EQ(0, uring_unpin(&self->ring));
}

/*
 * The walk of the arm gives way every 4096 folios. It once went on with a
 * folio that it had let go of, if that one was held.
 */
TEST(held_where_the_walk_gives_way)
{
	static const size_t held[] = { 4094, 4095, 4096, 8190, 8191 };
	const char *why = kt_keel_missing(), *dir;
	const size_t size = 32 << 20;
	struct keel_snap_arm a = {};
	struct ksnap s = {};
	int fd, fds[2];
	size_t i, j;
	char *map;

	if (why)
		SKIP(return, "%s", why);
	dir = kt_mount("huge=never");
	ASSERT_NE(NULL, dir);
	fd = kt_file(dir, "ram", size);
	ASSERT_LE(0, fd);
	map = kt_map(fd, size);
	ASSERT_NE(NULL, map);
	fill(map, 1, 0, size);

	/* Each alone, then all: one that is held does not count for the walk. */
	for (i = 0; i <= ARRAY_SIZE(held); i++) {
		size_t from = i % ARRAY_SIZE(held);
		size_t to = i < ARRAY_SIZE(held) ? i + 1 : i;

		ASSERT_EQ(0, pipe(fds));
		for (j = from; j < to; j++) {
			struct iovec v = { map + held[j] * PG, PG };

			ASSERT_EQ((ssize_t)PG, vmsplice(fds[1], &v, 1, 0));
		}
		ASSERT_EQ(0, ksnap_open_default(&s, 0));
		ASSERT_EQ(0, ksnap_add(&s, fd, size));
		ASSERT_EQ(0, ksnap_prepare(&s));
		ASSERT_EQ(0, ksnap_arm(&s, &a));
		EXPECT_EQ(size / PG, a.pages);
		EXPECT_EQ(to - from, a.pinned);
		for (j = from; j < to; j++)
			fill(map + held[j] * PG, 2, held[j] * PG, PG);
		ASSERT_EQ(0, ksnap_drain(&s, 0, 0));
		EXPECT_EQ(-1, differs(s.image[0], 1, 0, size));
		for (j = from; j < to; j++)
			fill(map + held[j] * PG, 1, held[j] * PG, PG);
		ksnap_free(&s);
		close(fds[0]);
		close(fds[1]);
	}
	munmap(map, size);
	close(fd);
	kt_umount(dir);
}

TEST_HARNESS_MAIN
