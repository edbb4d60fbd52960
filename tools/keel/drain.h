/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KEEL_DRAIN_H
#define KEEL_DRAIN_H

#include <pthread.h>

#include "memfile.h"

struct drain {
	int snap;			/* /dev/keel, armed */
	struct memfiles *files;
	uint64_t pool_pages;
	bool progress;			/* on the terminal */
	pthread_t thread;
	bool started;
	/* results, when it has been waited for */
	char *error;			/* NULL: all is stored */
	bool not_stored;		/* a write to the image failed */
	uint64_t bytes_written;
	uint64_t ns;
	struct keel_snap_stat stat;
};

int drain_start(struct drain *d);
int drain_wait(struct drain *d);
int drain_reason(int snap, const char *what);

#endif
