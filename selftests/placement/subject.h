/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is placed in tests: a tiny VM in a process of its own, of each thread of
 * which it is known what affinity it is to have when nobody places it. CPU 0 is
 * in each, so that none is without a CPU while others are offline.
 */
#ifndef SUBJECT_H
#define SUBJECT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SUBJECT_VCPUS	4
#define SUBJECT_THREADS	48

struct knl;

/* Why nothing can be placed here, or NULL. */
const char *subject_missing(void);

struct subject {
	pid_t pid;
	uint32_t id;	/* in keel's registry */
	/* Shared with the process. */
	struct {
		bool ready;
		char why[96];	/* what went wrong, "" if nothing did */
		int nr;
		struct {
			int tid;	/* 0: ended */
			uint64_t cpus;
			bool loose;	/* see subject_set() */
		} thread[SUBJECT_THREADS];
		uint32_t asked, done;
		int what;
	} *told;
};

/*
 * Its memory, but for what each has, is a file in @dir if that is not NULL.
 * Without a @seed no affinity is set by anybody.
 * -errno, and it has been ended, if it does not run.
 */
int subject_start(struct subject *s, struct knl *nl, const char *dir,
		  int vcpus, uint64_t *seed);
/* SIGKILL. */
void subject_kill(struct subject *s);
/* Its first thread makes another, which stays: false if there is no room. */
bool subject_make_thread(struct subject *s);
/* All vCPU threads end, and others run the vCPUs. */
bool subject_restart(struct subject *s);
/*
 * Somebody else sets the affinity of its vCPU @i, CPU 0 among it. Keel can be
 * about to set it at that moment, and a part of it may be lost: what is less is
 * right for this thread, too.
 */
void subject_set(struct subject *s, int i, uint64_t cpus);
/* How many of its threads have another affinity than they are to have. */
int subject_changed(const struct subject *s);
/* Have all exactly theirs? If not, it is said which have not. */
bool subject_exact(const struct subject *s);
/* Have all theirs or less? */
bool subject_within(const struct subject *s);
/* Does it run on, without an error? */
bool subject_alive(const struct subject *s);

#endif
