/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KEEL_GUEST_H
#define KEEL_GUEST_H

#include <sys/types.h>

#include "image.h"
#include "qmp.h"

/* A QEMU guest while its snapshot is taken. */
struct guest {
	const char *socket;	/* NULL: there is none, and nothing is done */
	uint32_t pid;
	struct qmp q;
	bool no_disks;
	const char *overlay_dir;
	int timeout_ms;		/* of the part with the guest running */
	json_t *caps;		/* as they were */
	json_t *params;
	json_t *disks;
	bool running;		/* it ran when we came */
	bool caps_set;
	bool overlays_made;
	bool switched;		/* its disks are the overlays */
	bool migrating;
	bool stopped;
	int64_t fdset;
	pid_t guard;
	int guard_pipe;
	/* CLOCK_MONOTONIC */
	uint64_t stop_ns, paused_ns, disks_ns, state_ns, armed_ns, resume_ns;
	uint64_t window_ns;	/* by QEMU's own clock */
};

/* guest.c, in the order they are called */
int guest_open(struct guest *g);
int guest_prepare(struct guest *g, struct image *img, uint32_t snapshot);
int guest_stop(struct guest *g);
int guest_resume(struct guest *g);
void guest_settle(struct guest *g);
void guest_rescue(struct guest *g);
void guest_close(struct guest *g);

/* guest_disk.c */
int guest_disks_find(struct guest *g);
int guest_disks_prepare(struct guest *g, uint32_t snapshot);
int guest_disks_switch(struct guest *g);
void guest_disks_forget(struct guest *g);

/* guest_guard.c */
int guard_start(struct guest *g);
void guard_dismiss(struct guest *g);
int guest_run_again(struct guest *g);
void guest_caps_restore(struct guest *g);

#endif
