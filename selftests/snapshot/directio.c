// SPDX-License-Identifier: GPL-2.0
/*
 * O_DIRECT read(2) into guest memory while snapshots are taken: the disk
 * writes the pages by DMA, no fault tells of it.
 *
 *	directio DISK		(a block device; all that is on it is lost)
 *
 * Chunk c of the disk holds a pattern of c. For n = 1, 2, ... a reader stores n
 * as "begun", reads chunk n, stores n as "done". The stores fault, so in the
 * image begun and done are of the instant, and
 *
 *	begun - 1 <= done <= begun
 *
 * Pages under DMA are saved between the instant and the gate's opening, and
 * may still change meanwhile. So in the image each word of the buffer is of
 * read "done", or, if a read was under way, of "begun": not older, for that
 * read was through; not newer, for the next one begins with a store that
 * waits for the gate.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest.h"
#include "keeltest.h"

#include <pthread.h>

#define SIZE		((size_t)4 << 20)
#define READERS		2
#define CHUNK		((size_t)16 * KEEL_PAGE_SIZE)
#define CHUNKS		256UL
#define SNAPSHOTS	60

/* The buffers lie in one 2 MiB folio, begun and done in another. */
static size_t buffer_at(int r)
{
	return r * 4 * CHUNK + PG;
}

static size_t begun_at(int r)
{
	return SIZE / 2 + r * 16 * PG;
}

static size_t done_at(int r)
{
	return begun_at(r) + 8 * PG;
}

struct reader {
	char *map;
	int index, disk, error;
	uint64_t n;
	pthread_t thread;
};

static bool stop;

static uint64_t word(unsigned long chunk, size_t off)
{
	return (chunk % CHUNKS + 1) << 32 | off;
}

static void fill(void *to, unsigned long chunk)
{
	uint64_t *p = to;
	size_t off;

	for (off = 0; off < CHUNK; off += 8)
		*p++ = word(chunk, off);
}

static int fill_disk(int disk)
{
	unsigned long chunk;
	void *buf = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (chunk = 0; chunk < CHUNKS; chunk++) {
		fill(buf, chunk);
		if (pwrite(disk, buf, CHUNK, chunk * CHUNK) != CHUNK)
			return -errno;
	}
	munmap(buf, CHUNK);
	return 0;
}

static uint64_t *at(void *base, size_t off)
{
	return (uint64_t *)((char *)base + off);
}

static void *reader_thread(void *arg)
{
	struct reader *r = arg;
	uint64_t n;

	for (n = 1; !READ_ONCE(stop); n++) {
		WRITE_ONCE(*at(r->map, begun_at(r->index)), n);
		if (pread(r->disk, r->map + buffer_at(r->index), CHUNK,
			  n % CHUNKS * CHUNK) != CHUNK) {
			WRITE_ONCE(r->error, errno ?: EIO);
			break;
		}
		WRITE_ONCE(*at(r->map, done_at(r->index)), n);
		WRITE_ONCE(r->n, n);
	}
	return NULL;
}

struct totals {
	int taken, bad, under_way, mixed;
	uint64_t eager, pinned;
};

static bool check(void *image, int r, struct totals *t)
{
	uint64_t begun = *at(image, begun_at(r)), done = *at(image, done_at(r));
	bool old = false, new = false;
	size_t off;

	if (done > begun || begun > done + 1) {
		ksft_print_msg("reader %d: begun %lu, done %lu\n", r, begun,
			       done);
		return false;
	}
	t->under_way += begun != done;
	for (off = 0; off < CHUNK; off += 8) {
		uint64_t is = *at(image, buffer_at(r) + off);

		if (is == word(begun, off)) {
			new = true;
		} else if (is == word(done, off)) {
			old = true;
		} else {
			ksft_print_msg("reader %d: begun %lu, done %lu, but offset %zu holds %#lx\n",
				       r, begun, done, off, is);
			return false;
		}
	}
	t->mixed += old && new;
	return true;
}

static int arm(struct ksnap *s, struct keel_snap_arm *a)
{
	int ret, i;

	for (i = 0; i < 100; i++) {
		ret = ksnap_arm(s, a);
		if (ret != -EBUSY)
			break;
	}
	return ret;
}

static int one_snapshot(struct ksnap *s, int fd, struct totals *t)
{
	struct keel_snap_arm a = {};
	struct keel_snap_stat st;
	struct ksnap old = *s;
	int ret, r;

	ret = ksnap_open_default(s, 2 * SIZE);
	if (ret) {
		*s = old;
		return ret;
	}
	ksnap_reuse(s, &old);
	ret = ksnap_add(s, fd, SIZE) ?: ksnap_prepare(s) ?: arm(s, &a) ?:
	      ksnap_drain(s, 256, 0) ?: ksnap_stat(s, &st);
	if (!ret) {
		t->taken++;
		t->pinned += a.pinned;
		t->eager += st.eager_pages;
		for (r = 0; r < READERS; r++)
			t->bad += !check(s->image[0], r, t);
	} else {
		ksft_print_msg("%s (pinned %llu) %s\n", strerror(-ret),
			       a.pinned, s->why);
	}
	ksnap_close(s);
	return ret;
}

/* Words of a read too early or too late, put into a good image. */
static bool planted_is_caught(void *image)
{
	uint64_t *p = at(image, buffer_at(1) + CHUNK / 2), was = *p;
	uint64_t done = *at(image, done_at(1));
	struct totals t = {};
	bool early, late;

	*p = word(done - 1, CHUNK / 2);
	early = !check(image, 1, &t);
	*p = word(done + 2, CHUNK / 2);
	late = !check(image, 1, &t);
	*p = was;
	return early && late && check(image, 1, &t);
}

static bool goes_on(struct reader *r)
{
	uint64_t end = now_ns() + 30 * 1000000000ULL, start = READ_ONCE(r->n);

	while (READ_ONCE(r->n) < start + 2) {
		if (READ_ONCE(r->error) || now_ns() > end) {
			ksft_print_msg("reader %d is stuck at %lu: %s\n",
				       r->index, r->n, strerror(r->error));
			return false;
		}
		nap_us(1000);
	}
	return true;
}

static void variant(const char *what, const char *opts, int disk)
{
	struct reader readers[READERS] = {};
	const char *dir = kt_mount(opts);
	struct totals t = {};
	struct ksnap s = {};
	bool go = true;
	int fd, i, r;
	char *map;

	fd = dir ? kt_file(dir, "ram", SIZE) : -errno;
	map = fd < 0 ? NULL : kt_map(fd, SIZE);
	if (!map)
		ksft_exit_fail_msg("keelfs -o %s: %s\n", opts, strerror(errno));
	WRITE_ONCE(stop, false);
	for (r = 0; r < READERS; r++) {
		fill(map + buffer_at(r), 0);
		readers[r].map = map;
		readers[r].index = r;
		readers[r].disk = disk;
		pthread_create(&readers[r].thread, NULL, reader_thread,
			       &readers[r]);
	}
	for (r = 0; r < READERS; r++)
		go = goes_on(&readers[r]) && go;
	for (i = 0; go && i < SNAPSHOTS; i++)
		if (one_snapshot(&s, fd, &t))
			break;
	for (r = 0; r < READERS; r++)
		go = goes_on(&readers[r]) && go;
	WRITE_ONCE(stop, true);
	for (r = 0; r < READERS; r++)
		pthread_join(readers[r].thread, NULL);

	ksft_print_msg("%s: %d snapshots of %d readers: %d had a read under way, %d of them both contents; pinned %lu, saved at the instant %lu\n",
		       what, t.taken, READERS, t.under_way, t.mixed, t.pinned,
		       t.eager);
	ksft_test_result(t.taken == SNAPSHOTS && !t.bad,
			 "%s: no page older or newer than its reads\n", what);
	ksft_test_result(t.under_way && t.eager,
			 "%s: reads were under way at the instant\n", what);
	ksft_test_result(t.taken && planted_is_caught(s.image[0]),
			 "%s: a planted word of another read is caught\n", what);
	ksft_test_result(go, "%s: the reads go on\n", what);
	ksnap_free(&s);
	munmap(map, SIZE);
	close(fd);
	kt_umount(dir);
}

int main(int argc, char **argv)
{
	const char *why = kt_keel_missing();
	int disk, err;

	if (argc != 2) {
		fprintf(stderr, "directio DISK: all that is on it is lost\n");
		return 2;
	}
	ksft_print_header();
	if (why)
		ksft_exit_skip("%s\n", why);
	disk = open(argv[1], O_RDWR | O_DIRECT | O_EXCL | O_CLOEXEC);
	if (disk < 0)
		ksft_exit_skip("%s: %s\n", argv[1], strerror(errno));
	ksft_set_plan(8);
	err = fill_disk(disk);
	if (err)
		ksft_exit_fail_msg("%s: %s\n", argv[1], strerror(-err));
	variant("4 KiB mappings", "huge=never", disk);
	variant("2 MiB mappings", "huge=always", disk);
	ksft_finished();
}
