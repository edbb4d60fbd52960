// SPDX-License-Identifier: GPL-2.0
/*
 * Snapshots drained by the process that owns the memory, as a VMM might do
 * itself; and what others see of one that ended.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "keeltest.h"

/* Four times the smallest pool. */
#define SIZE	((size_t)16 << 20)
#define PAGES	(SIZE / KEEL_PAGE_SIZE)

FIXTURE(drainer) {
	const char *dir;
	int fd;
	char *map;
	struct ksnap snap;
	struct knl events;
};

FIXTURE_SETUP(drainer)
{
	const char *why = kt_keel_missing();
	size_t p;

	self->dir = NULL;
	self->snap.fd = -1;
	if (why)
		SKIP(return, "%s", why);
	self->dir = kt_mount("huge=never");
	ASSERT_NE(NULL, self->dir);
	self->fd = kt_file(self->dir, "ram", SIZE);
	ASSERT_LE(0, self->fd);
	self->map = kt_map(self->fd, SIZE);
	ASSERT_NE(NULL, self->map);
	for (p = 0; p < PAGES; p++)
		*(uint64_t *)(self->map + p * PG) = 1;
	ASSERT_EQ(0, knl_open(&self->events));
	ASSERT_EQ(0, knl_join_events(&self->events));
}

FIXTURE_TEARDOWN(drainer)
{
	if (!self->dir)
		return;
	ksnap_free(&self->snap);
	knl_close(&self->events);
	munmap(self->map, SIZE);
	close(self->fd);
	kt_umount(self->dir);
}

/* Without mapping the pool, as ksnap_prepare() does. */
static int to_armed(struct ksnap *s, int fd, uint32_t stall_ms)
{
	struct keel_snap_create c = {
		.pool_bytes = KEEL_SNAP_POOL_MIN,
		.overflow = KEEL_OVERFLOW_THROTTLE,
		.stall_ms = stall_ms,
		.pinned_max = 1024,
	};

	return ksnap_open(s, &c) ?: ksnap_add(s, fd, SIZE) ?:
	       kioctl(s->fd, KEEL_SNAP_PREPARE, NULL) ?: ksnap_arm(s, NULL);
}

/*
 * For n = 2, 3, ... goes through all pages in order. So at any instant the
 * first words of the pages do not increase, nor differ by more than one.
 */
struct writer {
	char *map;
	int mem;		/* /proc/self/mem, or -1: stores */
	bool stop;
	int error;
	uint64_t written;
	pthread_t thread;
};

static void *writer_thread(void *arg)
{
	struct writer *w = arg;
	uint64_t n;
	size_t p;

	for (n = 2; ; n++) {
		for (p = 0; p < PAGES; p++) {
			char *to = w->map + p * PG;

			if (READ_ONCE(w->stop))
				return NULL;
			if (w->mem < 0) {
				WRITE_ONCE(*(uint64_t *)to, n);
			} else if (pwrite(w->mem, &n, 8, (uintptr_t)to) != 8) {
				WRITE_ONCE(w->error, errno ?: EIO);
				return NULL;
			}
			WRITE_ONCE(w->written, w->written + 1);
		}
	}
}

static void writer_stop(struct writer *w)
{
	WRITE_ONCE(w->stop, true);
	pthread_join(w->thread, NULL);
}

static bool gets_to(struct writer *w, uint64_t written)
{
	uint64_t end = now_ns() + 30 * 1000000000ULL;

	while (READ_ONCE(w->written) < written) {
		if (READ_ONCE(w->error) || now_ns() > end)
			return false;
		nap_us(1000);
	}
	return true;
}

static bool is_one_instant(const unsigned char *image)
{
	uint64_t first = *(uint64_t *)image, prev = first, is;
	size_t p;

	for (p = 1; p < PAGES; p++, prev = is) {
		is = *(uint64_t *)(image + p * PG);
		if (is > prev || is + 1 < first)
			return false;
	}
	return true;
}

/*
 * Between PREPARE and ARM two pieces of 2 MiB are read, each in one place: they
 * come first, in order and whole, then the rest, each page once.
 */
TEST_F(drainer, begins_with_what_was_in_use)
{
	static const size_t used[] = { 2, 7 };
	size_t chunk = PMD_PAGE / PG, n = 0, i;
	struct keel_snap_create c = {
		.pool_bytes = 2 * SIZE,
		.overflow = KEEL_OVERFLOW_THROTTLE,
		.pinned_max = 1024,
	};
	struct ksnap *s = &self->snap;
	struct keel_snap_fetch f = { 0 };
	struct keel_snap_rec *recs;

	ASSERT_EQ(0, ksnap_open(s, &c));
	ASSERT_EQ(0, ksnap_add(s, self->fd, SIZE));
	ASSERT_EQ(0, ksnap_prepare(s));
	for (i = 0; i < 2; i++)
		(void)READ_ONCE(self->map[used[i] * PMD_PAGE + 5 * PG]);
	ASSERT_EQ(0, ksnap_arm(s, NULL));

	recs = calloc(PAGES + 1, sizeof(*recs));
	ASSERT_NE(NULL, recs);
	while (f.state != KEEL_SNAP_COMPLETE) {
		f = (struct keel_snap_fetch){
			.size = sizeof(f),
			.recs = (uintptr_t)(recs + n),
			.nr_recs = PAGES + 1 - n,
		};
		ASSERT_EQ(0, kioctl(s->fd, KEEL_SNAP_FETCH, &f));
		n += f.nr_recs;
		ASSERT_GE(PAGES, n);
	}
	ASSERT_EQ(PAGES, n);
	for (i = 0; i < 2 * chunk; i++)
		EXPECT_EQ(used[i / chunk] * chunk + i % chunk, recs[i].pgoff);
	/* The rest, in order, with those two left out. */
	for (i = 2 * chunk + 1; i < PAGES; i++)
		EXPECT_LT(recs[i - 1].pgoff, recs[i].pgoff);
	free(recs);
}

/*
 * A write through /proc/self/mem keeps the mmap lock over its faults. If it
 * waited for a slot, the drainer could not map the pool to free one.
 */
TEST_F_TIMEOUT(drainer, maps_the_pool_late, 60)
{
	struct writer mem = { .map = self->map };
	struct keel_snap_stat st = {};
	void *p;
	int i;

	mem.mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, mem.mem);
	ASSERT_EQ(0, to_armed(&self->snap, self->fd, 60000));
	ASSERT_EQ(0, pthread_create(&mem.thread, NULL, writer_thread, &mem));
	for (i = 0; i < 3000 && !st.spilled_pages; i++) {
		ASSERT_EQ(0, ksnap_stat(&self->snap, &st));
		nap_us(10000);
	}
	/* It went past the end of the pool, and did not wait for it. */
	ASSERT_NE(0, st.spilled_pages);
	EXPECT_EQ(0, st.throttled);
	for (i = 0; i < 20; i++) {
		p = mmap(NULL, self->snap.pool_bytes, PROT_READ, MAP_SHARED,
			 self->snap.fd, 0);
		ASSERT_NE(MAP_FAILED, p);
		EXPECT_EQ(0, munmap(p, self->snap.pool_bytes));
	}
	p = mmap(NULL, self->snap.pool_bytes, PROT_READ, MAP_SHARED,
		 self->snap.fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	self->snap.pool = p;
	ASSERT_EQ(0, ksnap_drain(&self->snap, 256, 0)) {
		TH_LOG("%s", self->snap.why);
	}
	EXPECT_TRUE(is_one_instant(self->snap.image[0]));
	EXPECT_TRUE(gets_to(&mem, PAGES));
	writer_stop(&mem);
	EXPECT_EQ(0, mem.error);
	close(mem.mem);
}

/* The same with stores, which do wait, but without the mmap lock. */
TEST_F_TIMEOUT(drainer, maps_the_pool_while_stores_wait, 60)
{
	struct writer w = { .map = self->map, .mem = -1 };
	struct keel_snap_stat st = { .pool_free = 1024 };
	int i;

	ASSERT_EQ(0, to_armed(&self->snap, self->fd, 60000));
	ASSERT_EQ(0, pthread_create(&w.thread, NULL, writer_thread, &w));
	for (i = 0; i < 3000 && st.pool_free; i++) {
		ASSERT_EQ(0, ksnap_stat(&self->snap, &st));
		nap_us(10000);
	}
	ASSERT_EQ(0, st.pool_free);
	EXPECT_EQ(0, st.spilled_pages);
	self->snap.pool = mmap(NULL, self->snap.pool_bytes, PROT_READ,
			       MAP_SHARED, self->snap.fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->snap.pool);
	ASSERT_EQ(0, ksnap_drain(&self->snap, 256, 0)) {
		TH_LOG("%s", self->snap.why);
	}
	EXPECT_TRUE(is_one_instant(self->snap.image[0]));
	EXPECT_TRUE(gets_to(&w, PAGES));
	writer_stop(&w);
}

/* The event that says that snapshot @id is @state; -1 if none comes. */
static int reason_in_event(struct knl *nl, uint32_t id, uint32_t state)
{
	struct knl_snapshot snap;
	int i;

	for (i = 0; i < 100; i++) {
		memset(&snap, 0, sizeof(snap));
		if (knl_event(nl, 5000, NULL, &snap) < 0)
			break;
		if (snap.id == id && snap.state == state)
			return snap.reason;
	}
	return -1;
}

TEST_F(drainer, closed)
{
	struct knl_snapshot snap;
	struct knl nl;
	uint32_t id;

	ASSERT_EQ(0, knl_open(&nl));
	ASSERT_EQ(0, to_armed(&self->snap, self->fd, 0));
	id = self->snap.id;
	ASSERT_EQ(0, knl_snapshot_get(&nl, id, &snap));
	EXPECT_EQ(KEEL_SNAP_ARMED, snap.state);
	EXPECT_EQ(KEEL_REASON_NONE, snap.reason);
	EXPECT_EQ(getpid(), snap.pid);
	ksnap_close(&self->snap);
	EXPECT_EQ(KEEL_REASON_CLOSED,
		  reason_in_event(&self->events, id, KEEL_SNAP_ABORTED));
	EXPECT_EQ(-ENOENT, knl_snapshot_get(&nl, id, &snap));
	knl_close(&nl);
}

TEST_F(drainer, killed)
{
	int status, fds[2];
	uint32_t id = 0;
	pid_t pid;

	ASSERT_EQ(0, pipe(fds));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (!to_armed(&self->snap, self->fd, 0))
			id = self->snap.id;
		if (write(fds[1], &id, sizeof(id)) == sizeof(id))
			pause();
		_exit(0);
	}
	ASSERT_EQ(sizeof(id), read(fds[0], &id, sizeof(id)));
	ASSERT_NE(0, id);
	kill(pid, SIGKILL);
	EXPECT_EQ(KEEL_REASON_CLOSED,
		  reason_in_event(&self->events, id, KEEL_SNAP_ABORTED));
	waitpid(pid, &status, 0);
	close(fds[0]);
	close(fds[1]);
}

/* Its end is no abort. */
TEST_F(drainer, closed_when_complete)
{
	struct knl_snapshot snap = {};
	uint32_t id;

	ASSERT_EQ(0, to_armed(&self->snap, self->fd, 0));
	id = self->snap.id;
	self->snap.pool = mmap(NULL, self->snap.pool_bytes, PROT_READ,
			       MAP_SHARED, self->snap.fd, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->snap.pool);
	ASSERT_EQ(0, ksnap_drain(&self->snap, 0, 0));
	EXPECT_EQ(KEEL_REASON_NONE,
		  reason_in_event(&self->events, id, KEEL_SNAP_COMPLETE));
	ksnap_close(&self->snap);
	EXPECT_EQ(-EAGAIN, knl_event(&self->events, 300, NULL, &snap));
}

TEST_F_TIMEOUT(drainer, stalled, 60)
{
	struct writer w = { .map = self->map, .mem = -1 };
	struct knl_snapshot snap;
	struct keel_snap_stat st;
	struct knl nl;
	uint32_t state;
	size_t p;

	ASSERT_EQ(0, knl_open(&nl));
	ASSERT_EQ(0, to_armed(&self->snap, self->fd, KEEL_SNAP_STALL_MIN));
	ASSERT_EQ(0, pthread_create(&w.thread, NULL, writer_thread, &w));
	EXPECT_EQ(KEEL_REASON_STALLED,
		  reason_in_event(&self->events, self->snap.id,
				  KEEL_SNAP_ABORTED));
	/* All the pages that it could not have written before. */
	EXPECT_TRUE(gets_to(&w, 2 * PAGES));
	writer_stop(&w);
	for (p = 0; p < PAGES; p++)
		ASSERT_LE(2, *(uint64_t *)(self->map + p * PG));

	ASSERT_EQ(0, ksnap_stat(&self->snap, &st));
	EXPECT_EQ(KEEL_SNAP_ABORTED, st.state);
	EXPECT_EQ(KEEL_REASON_STALLED, st.reason);
	EXPECT_EQ(0, st.spilled_pages);
	EXPECT_LE(1, st.throttled);
	EXPECT_LE(KEEL_SNAP_STALL_MIN * 1000000ULL * 9 / 10, st.throttled_ns);
	EXPECT_EQ(0, knl_snapshot_get(&nl, self->snap.id, &snap));
	EXPECT_EQ(KEEL_SNAP_ABORTED, snap.state);
	EXPECT_EQ(KEEL_REASON_STALLED, snap.reason);
	EXPECT_EQ(-ECANCELED, ksnap_fetch(&self->snap, 16, &state));

	/* The file is free for another, though the first is not closed. */
	struct ksnap next = {};

	ASSERT_EQ(0, to_armed(&next, self->fd, 0));
	next.pool = mmap(NULL, next.pool_bytes, PROT_READ, MAP_SHARED, next.fd,
			 0);
	ASSERT_NE(MAP_FAILED, (void *)next.pool);
	ASSERT_EQ(0, ksnap_drain(&next, 0, 0));
	EXPECT_TRUE(is_one_instant(next.image[0]));
	ksnap_free(&next);
	knl_close(&nl);
}

TEST_HARNESS_MAIN
