// SPDX-License-Identifier: GPL-2.0
/*
 * The drain: fetch saved pages, write them where they belong, give the buffers
 * back with the next fetch.
 *
 * Pages saved by faults come in the order of the faults; a batch is sorted, so
 * that neighbours go out in one write. Writeback is started as we go: dirty
 * pages that pile up would stall us later, all at once, with the pool full.
 *
 * It is a thread of its own, for it has to begin when the guest goes on: what
 * there is to be settled with QEMU takes as long as it takes, and a guest that
 * finds the pool full waits.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "drain.h"
#include "keel.h"

#define BATCH_MAX	2048U
#define WRITEBACK_BYTES	(16U << 20)
#define PROGRESS_NS	(200 * NS_PER_MS)

struct pump {
	struct drain *d;
	char *pool;
	struct keel_snap_rec *recs;
	uint32_t *release;
	uint32_t batch;
	uint64_t unsynced;
	uint64_t shown;
};

/* Why a snapshot that said ECANCELED, or was found aborted, ended. */
int drain_reason(int snap, const char *what)
{
	struct keel_snap_stat stat = { 0 };

	if (keel_snap_stat(snap, &stat) || stat.state != KEEL_SNAP_ABORTED)
		return fail("%s failed", what);
	return fail("the snapshot was aborted while %s: %s", what,
		    keel_snap_reason_text(stat.reason));
}

static int by_place(const void *a, const void *b)
{
	const struct keel_snap_rec *x = a, *y = b;

	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	return x->pgoff < y->pgoff ? -1 : x->pgoff > y->pgoff;
}

static int write_out(struct memfile *f, struct iovec *iov, int nr,
		     uint64_t off)
{
	while (nr) {
		ssize_t n = pwritev(f->image_fd, iov, nr, off);

		if (n < 0 && errno == EINTR && !stop_signal)
			continue;
		if (n <= 0)
			return fail("writing %s: %s", f->name,
				    n ? strerror(errno) : "nothing written");
		off += n;
		for (; nr && (size_t)n >= iov->iov_len; iov++, nr--)
			n -= iov->iov_len;
		if (nr) {
			iov->iov_base = (char *)iov->iov_base + n;
			iov->iov_len -= n;
		}
	}
	return 0;
}

/* Writes the run of neighbours at @recs; returns how many, or -1. */
static int write_run(struct pump *p, const struct keel_snap_rec *recs,
		     uint32_t nr)
{
	struct iovec iov[IOV_MAX];
	struct memfile *f;
	uint32_t n;
	int used = 0;

	if (recs->file >= (uint32_t)p->d->files->nr)
		return fail("the kernel named a file that was not added");
	f = &p->d->files->v[recs->file];
	if (recs->pgoff >= (f->size + KEEL_PAGE_SIZE - 1) / KEEL_PAGE_SIZE)
		return fail("the kernel named a page beyond the end of %s",
			    f->name);
	for (n = 0; n < nr; n++) {
		char *page = p->pool + (uint64_t)recs[n].slot * KEEL_PAGE_SIZE;
		struct iovec *last = used ? &iov[used - 1] : NULL;

		if (recs[n].file != recs->file ||
		    recs[n].pgoff != recs->pgoff + n)
			break;
		if (last && (char *)last->iov_base + last->iov_len == page) {
			last->iov_len += KEEL_PAGE_SIZE;
			continue;
		}
		if (used == IOV_MAX)
			break;
		iov[used++] = (struct iovec){ page, KEEL_PAGE_SIZE };
	}
	if (write_out(f, iov, used, recs->pgoff * KEEL_PAGE_SIZE)) {
		p->d->not_stored = true;
		return -1;
	}
	p->d->bytes_written += (uint64_t)n * KEEL_PAGE_SIZE;
	p->unsynced += (uint64_t)n * KEEL_PAGE_SIZE;
	return n;
}

static int write_batch(struct pump *p, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		p->release[i] = p->recs[i].slot;
	qsort(p->recs, nr, sizeof(*p->recs), by_place);
	for (uint32_t i = 0; i < nr;) {
		int n = write_run(p, p->recs + i, nr - i);

		if (n < 0)
			return -1;
		i += n;
	}
	if (p->unsynced >= WRITEBACK_BYTES) {
		for (int i = 0; i < p->d->files->nr; i++)
			sync_file_range(p->d->files->v[i].image_fd, 0, 0,
					SYNC_FILE_RANGE_WRITE);
		p->unsynced = 0;
	}
	return 0;
}

static void progress(struct pump *p)
{
	struct keel_snap_stat s = { 0 };
	uint64_t now = now_ns(), done;

	if (!p->d->progress || now - p->shown < PROGRESS_NS)
		return;
	p->shown = now;
	if (keel_snap_stat(p->d->snap, &s) || !s.pages)
		return;
	done = s.fault_pages + s.swept_pages + s.eager_pages;
	fprintf(stderr, "\r%3llu%%  %llu of %llu MiB saved, %llu pages by faults, %llu MiB written ",
		(unsigned long long)(done * 100 / s.pages),
		(unsigned long long)(done >> 8),
		(unsigned long long)(s.pages >> 8),
		(unsigned long long)s.fault_pages,
		(unsigned long long)(p->d->bytes_written >> 20));
}

static int pump_all(struct pump *p)
{
	uint32_t give_back = 0;

	while (!stop_signal) {
		struct keel_snap_fetch fetch = {
			.nr_release = give_back,
			.release = (uintptr_t)p->release,
			.recs = (uintptr_t)p->recs,
			.nr_recs = p->batch,
		};
		int err = keel_snap_fetch(p->d->snap, &fetch);

		if (err == -EINTR && !stop_signal)
			continue;
		if (err == -ECANCELED)
			return drain_reason(p->d->snap, "draining");
		if (err)
			return stop_signal ? -1 :
			       fail("fetching saved pages: %s", strerror(-err));
		give_back = fetch.nr_recs;
		if (!fetch.nr_recs && fetch.state == KEEL_SNAP_COMPLETE)
			return 0;
		if (!fetch.nr_recs && fetch.state == KEEL_SNAP_ABORTED)
			return drain_reason(p->d->snap, "draining");
		if (!fetch.nr_recs)
			usleep(1000);
		else if (write_batch(p, fetch.nr_recs))
			return -1;
		progress(p);
	}
	return -1;
}

static int run(struct drain *d)
{
	struct pump p = { .d = d, .batch = BATCH_MAX };
	uint64_t begin = now_ns();
	int err = -1;

	if (p.batch > d->pool_pages / 4 && d->pool_pages >= 4)
		p.batch = d->pool_pages / 4;
	p.recs = calloc(p.batch, sizeof(*p.recs));
	p.release = calloc(p.batch, sizeof(*p.release));
	/* All that it may grow to: it is only address space. */
	p.pool = mmap(NULL, KEEL_SNAP_POOL_MAX, PROT_READ, MAP_SHARED, d->snap,
		      0);
	if (p.pool == MAP_FAILED) {
		fail("mapping the buffer pool: %s", strerror(errno));
		p.pool = NULL;
	} else if (!p.recs || !p.release) {
		fail("out of memory");
	} else {
		err = pump_all(&p);
	}
	if (d->progress && p.shown)
		fprintf(stderr, "\r\033[K");
	if (stop_signal)
		err = fail("interrupted; the snapshot is given up");
	keel_snap_stat(d->snap, &d->stat);
	d->ns = now_ns() - begin;
	if (p.pool)
		munmap(p.pool, KEEL_SNAP_POOL_MAX);
	free(p.recs);
	free(p.release);
	return err;
}

static void *thread_main(void *arg)
{
	struct drain *d = arg;

	if (run(d))
		d->error = mkpath("%s", error_text());
	return NULL;
}

int drain_start(struct drain *d)
{
	int err = pthread_create(&d->thread, NULL, thread_main, d);

	if (err)
		return fail("starting the drain: %s", strerror(err));
	d->started = true;
	return 0;
}

/* Wait for its end. To make it end early, abort the snapshot before. */
int drain_wait(struct drain *d)
{
	int err = 0;

	if (!d->started)
		return 0;
	d->started = false;
	pthread_join(d->thread, NULL);
	if (d->error)
		err = fail("%s", d->error);
	free(d->error);
	d->error = NULL;
	return err;
}
