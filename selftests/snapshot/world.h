/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory under writers that make any instant recognisable.
 *
 * Writer w owns NR_CELLS cells, each in another page, spread over all files.
 * For n = 1, 2, 3, ... it goes through its cells in order; at each it reads
 * the value of a cell of the next writer, stores that as "seen", and stores n.
 * Stores of one CPU become visible in order, so in the memory at any single
 * instant, for every w:
 *
 *	c[0] >= c[1] >= ... >= c[NR_CELLS - 1] >= c[0] - 1	(order)
 *	seen <= the value it was read from			(causality)
 *
 * A page that was copied after a later store, or before an earlier one, breaks
 * one of these. Besides, pages that nobody writes hold a fixed pattern or
 * nothing, and the image must not be older than the call that took it:
 *
 *	c[NR_CELLS - 1] >= what it was before ARM		(age)
 *	c[0] <= what it was after ARM
 */
#ifndef WORLD_H
#define WORLD_H

#include "keeltest.h"
#include "tinyvmm.h"

#define NR_CELLS	64
#define MAX_WRITERS	32

struct cell {
	uint64_t value;
	uint64_t seen;
};

enum writer_kind {
	BY_VCPU,
	BY_STORE,		/* a VMM thread */
	BY_PIPE,		/* read(2), readv(2) from a pipe */
	BY_EVENTFD,		/* read(2) from an eventfd */
	BY_PREAD,		/* pread(2) from a memfd */
	BY_PWRITE,		/* pwrite(2) to the memory file */
	BY_SPLICE,		/* splice(2) from a pipe to the memory file */
	BY_PVM,			/* process_vm_writev(2) */
	BY_PROCMEM,		/* /proc/self/mem */
	BY_FORK,		/* children store, a new one each round */
	BY_MPROTECT,		/* a mapping that turns read-only and back */
	BY_MREMAP,		/* a mapping that moves */
	BY_REMAP,		/* a mapping that goes and comes */
	NR_KINDS
};

extern const char *const kind_name[NR_KINDS];

struct world;

struct writer {
	struct world *world;
	int index;
	enum writer_kind kind;
	char *base[KT_FILES];	/* the mapping it stores through */
	int pipe[2];
	int aux;
	uint64_t n;		/* round under way */
	int error;		/* errno of what failed, with @what */
	const char *what;
	pthread_t thread;
	bool started;
};

struct world {
	int nr_files;
	size_t size;			/* of each that holds cells */
	size_t extra;			/* bytes behind it, not ours */
	int fd[KT_FILES];
	char *map[KT_FILES];		/* the VMM's */
	uint64_t gpa[KT_FILES];
	int nr_writers;
	int nr_vcpus;
	struct writer writer[MAX_WRITERS];
	struct tvm vm;
	bool has_vm;
	bool stop;
	char why[256];			/* what the last check found */
};

/*
 * Files in @dir, mapped, filled. @size must be a multiple of 2 MiB. -errno, and
 * a sentence in .why, on failure.
 */
int world_create(struct world *w, const char *dir, int nr_files, size_t size,
		 size_t extra);
/* Also when create failed. */
void world_destroy(struct world *w);
int world_add_writer(struct world *w, enum writer_kind kind);
int world_start(struct world *w);
/* 0, or the error of the first writer that failed, described in .why. */
int world_stop(struct world *w);
/* -errno and .why if a writer has failed by now. */
int world_alive(struct world *w);

struct cell *world_cell(struct world *w, unsigned char *const *files,
			int writer, int k);
/* The page of cell @k of @writer: file and page number. */
void world_where(struct world *w, int writer, int k, int *file, size_t *pgoff);
uint64_t world_live(struct world *w, int writer, int k);
/*
 * Number of violations in @files (images of .size bytes each); the first is
 * described in .why. @older and @newer may be NULL, else a number a writer.
 */
int world_check(struct world *w, unsigned char *const *files,
		const uint64_t *older, const uint64_t *newer);

#endif
