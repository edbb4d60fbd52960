/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KEEL_GUEST_H
#define KEEL_GUEST_H

#include <sys/types.h>

#include "image.h"
#include "qmp.h"

#define STOPPED_MS	30000	/* for each step with the guest stopped */

/* A QEMU guest while its snapshot is taken. */
struct guest {
	const char *socket;	/* NULL: there is none, and nothing is done */
	uint32_t pid;
	int pidfd;		/* or -1 */
	struct qmp q;
	bool no_disks;
	const char *overlay_dir;
	int timeout_ms;		/* of the part with the guest running */
	json_t *caps;		/* as they were */
	json_t *params;
	json_t *disks;
	bool running;		/* it ran when we came */
	bool paused;		/* it had run before */
	bool background;	/* which way, see guest_state.c */
	bool caps_set;
	bool description;	/* QEMU describes its state; switched off */
	bool overlays_made;
	bool switching;		/* asked for, not answered */
	bool switched;		/* its disks are the overlays */
	bool migrating;
	bool stopped;
	bool gone;		/* QEMU has ended */
	int64_t fdset;
	int state_fd;
	int state_notify;	/* inotify of the state file, or -1 */
	unsigned int disks_id;	/* the transaction, as a command */
	unsigned int state_id;	/* migrate or migrate-continue */
	off_t state_begun;	/* size of the state when migrate became active */
	pid_t guard;
	int guard_pipe;
	/* CLOCK_MONOTONIC */
	uint64_t stop_ns, paused_ns, armed_ns, disks_ns, state_ns, resume_ns;
	uint64_t window_ns;	/* by QEMU's own clock */
};

/* guest.c, in the order they are called */
int guest_open(struct guest *g);
int guest_prepare(struct guest *g, struct image *img, uint32_t snapshot);
int guest_stop(struct guest *g);
int guest_saved(struct guest *g);
int guest_resume(struct guest *g);
int guest_finish(struct guest *g);
void guest_settle(struct guest *g);
void guest_rescue(struct guest *g);
void guest_close(struct guest *g);
int guest_check_identity(struct guest *g);
bool guest_ended(struct guest *g, int ms);

/* guest_state.c */
int guest_state_open(struct guest *g, struct image *img);
int guest_state_prepare(struct guest *g);
int guest_state_stop(struct guest *g);
int guest_state_saved(struct guest *g);
int guest_state_wait(struct guest *g, const char *status, int ms);
int guest_state_finish(struct guest *g);

/* guest_disk.c */
int guest_disks_find(struct guest *g);
void guest_disks_name(struct guest *g, uint32_t snapshot);
int guest_disks_prepare(struct guest *g);
void guest_disks_queue(struct guest *g);
int guest_disks_switched(struct guest *g);
void guest_disks_forget(struct guest *g);

/* guest_guard.c */
int guard_start(struct guest *g);
void guard_dismiss(struct guest *g);
int guest_run_again(struct guest *g);
void guest_settings_restore(struct guest *g);

#endif
