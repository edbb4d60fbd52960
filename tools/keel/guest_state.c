// SPDX-License-Identifier: GPL-2.0
/*
 * QEMU's device state, into the image's device.state.
 *
 * Both ways are a migration to a file with x-ignore-shared, which leaves out
 * the guest's memory on keelfs:
 *
 * background: QEMU's background-snapshot of a guest that has been stopped. Its
 *	thread saves all devices under one hold of QEMU's big lock, and the
 *	little memory that is QEMU's own (video, firmware) when the guest may
 *	run again already. No dirty logging goes on before, and the disks stay
 *	QEMU's, so it is the shorter stop. It wants QEMU 9.0, which leaves a
 *	guest stopped that was stopped, and userfaultfd for QEMU.
 * switchover: for all others. With pause-before-switchover QEMU stops the
 *	guest at the last moment and waits. When it is through it has given up
 *	its disks, as if to a destination, and cont has to open them anew.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest.h"
#include "keel.h"

#define BANDWIDTH	(64LL << 30)
#define POLL_NS		(NS_PER_MS / 2)	/* where inotify does not tell */
#define NOTIFIED_NS	(NS_PER_SEC / 10)

static bool in(const char *const *set, size_t nr, const char *name)
{
	for (size_t i = 0; name && i < nr; i++)
		if (!strcmp(set[i], name))
			return true;
	return false;
}

/*
 * @ours on, all others off: what they would do to the stream is unknown.
 * Return: how many of @ours QEMU knows, or -1 without a sentence.
 */
static int set_caps(struct guest *g, const char *const *ours, size_t nr)
{
	json_t *caps = json_array(), *c, *cap, *ret;
	size_t i;
	int found = 0;

	json_array_foreach(g->caps, i, c) {
		const char *name = json_string_value(
			json_object_get(c, "capability"));
		bool on = in(ours, nr, name);

		found += on;
		if (!on && !json_is_true(json_object_get(c, "state")))
			continue;
		cap = json_pack("{ss sb}", "capability", name, "state", on);
		json_array_append_new(caps, cap);
	}
	g->caps_set = true;
	ret = qmp_try(&g->q, "migrate-set-capabilities",
		      json_pack("{so}", "capabilities", caps), -1,
		      QMP_CALL_MS);
	json_decref(ret);
	return ret ? found : -1;
}

/* Does the background way work here? It must be undone if not. */
static bool take_background(struct guest *g)
{
	static const char *const ours[] = { "events", "x-ignore-shared",
					    "background-snapshot" };
	json_t *v = qmp_try(&g->q, "query-version", NULL, -1, QMP_CALL_MS);
	json_t *major = json_object_get(json_object_get(v, "qemu"), "major");
	bool fits = json_integer_value(major) >= 9 && g->fdset >= 0 &&
		    (g->running || g->paused);

	json_decref(v);
	/* First without: QEMU looks at the memory that is to be tracked. */
	return fits && set_caps(g, ours, NR(ours) - 1) == NR(ours) - 1 &&
	       set_caps(g, ours, NR(ours)) == NR(ours);
}

static int take_switchover(struct guest *g)
{
	static const char *const ours[] = { "events", "x-ignore-shared",
					    "pause-before-switchover" };
	int found = set_caps(g, ours, NR(ours));

	if (found == NR(ours))
		return 0;
	if (error_text())
		return -1;
	return found < 0 ? fail("QEMU: migrate-set-capabilities: %s",
				g->q.error) :
	       bad("this QEMU cannot leave shared memory out of its state (x-ignore-shared); QEMU 7.2 or later can");
}

/* A description of the state, for debuggers: a good part of its making. */
static void leave_description_out(struct guest *g)
{
	if (g->description)
		json_decref(qmp_try(&g->q, "qom-set",
				    json_pack("{ss ss sb}", "path", "/machine",
					      "property", "suppress-vmdesc",
					      "value", 1), -1, QMP_CALL_MS));
}

/* Hand the state file over, by the newer way and the older one. */
static int pass_state_file(struct guest *g)
{
	json_t *ret = qmp_try(&g->q, "add-fd", NULL, g->state_fd, QMP_CALL_MS);

	if (ret) {
		g->fdset = json_integer_value(json_object_get(ret, "fdset-id"));
		json_decref(ret);
	}
	ret = qmp_call(&g->q, "getfd",
		       json_pack("{ss}", "fdname", "keel-state"), g->state_fd,
		       QMP_CALL_MS);
	json_decref(ret);
	return ret ? 0 : -1;
}

/* To be told when QEMU writes to it. That it cannot be is no harm. */
static void watch_state_file(struct guest *g)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", g->state_fd);
	g->state_notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (g->state_notify >= 0 &&
	    inotify_add_watch(g->state_notify, path, IN_MODIFY) < 0) {
		close(g->state_notify);
		g->state_notify = -1;
	}
}

int guest_state_open(struct guest *g, struct image *img)
{
	/* QEMU wants a descriptor that can only be written. */
	g->state_fd = openat(img->dirfd, IMAGE_DEVICE,
			     O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (g->state_fd < 0)
		return fail("%s/" IMAGE_DEVICE ": %s", img->partial,
			    strerror(errno));
	watch_state_file(g);
	return pass_state_file(g);
}

/* With the guest running. */
int guest_state_prepare(struct guest *g)
{
	json_t *ret;

	g->background = take_background(g);
	if (!g->background && (error_text() || take_switchover(g)))
		return -1;
	leave_description_out(g);
	ret = qmp_call(&g->q, "migrate-set-parameters",
		       json_pack("{sI}", "max-bandwidth",
				 (json_int_t)BANDWIDTH), -1, QMP_CALL_MS);
	json_decref(ret);
	return ret ? 0 : -1;
}

static void queue_migrate(struct guest *g)
{
	char uri[64];

	g->migrating = true;
	snprintf(uri, sizeof(uri), "file:/dev/fdset/%lld",
		 (long long)g->fdset);
	g->state_id = qmp_queue(&g->q, "migrate", json_pack("{ss}", "uri", uri));
}

/* Wait until the migration says @status, or that it is no more. */
int guest_state_wait(struct guest *g, const char *status, int ms)
{
	json_t *event = qmp_event(&g->q, "MIGRATION", status,
				  now_ns() + ms * NS_PER_MS);
	json_t *data = json_object_get(event, "data"), *m;
	const char *s = json_string_value(json_object_get(data, "status"));
	const char *why;
	int err = -1;

	if (s && !strcmp(s, status)) {
		err = 0;
	} else if (s) {
		m = qmp_try(&g->q, "query-migrate", NULL, -1, QMP_CALL_MS);
		why = json_string_value(json_object_get(m, "error-desc"));
		fail("QEMU could not save its device state (%s): %s", s,
		     why ? why : "no reason given");
		json_decref(m);
	}
	if (!err && !strcmp(status, "completed"))
		g->migrating = false;
	json_decref(event);
	return err;
}

static off_t state_size(const struct guest *g)
{
	struct stat st;

	return fstat(g->state_fd, &st) ? -1 : st.st_size;
}

static void watch(void *arg, const char *event, const char *status)
{
	struct guest *g = arg;

	if (!strcmp(event, "MIGRATION") && status && !strcmp(status, "active"))
		g->state_begun = state_size(g);
}

/* What comes from here on is of the stop that is about to be tried. */
static void watch_afresh(struct guest *g)
{
	qmp_forget_events(&g->q);
	g->q.stop_seen = g->q.resume_seen = 0;
	g->q.watch = watch;
	g->q.watch_arg = g;
}

static int expect(struct guest *g, unsigned int id, const char *cmd)
{
	json_t *ret = qmp_expect(&g->q, id, cmd, STOPPED_MS);

	json_decref(ret);
	return ret ? 0 : -1;
}

/* Wait for the event; the answer comes when the disks are at rest, too. */
static int wait_stop(struct guest *g)
{
	json_t *event;

	if (!g->running || g->q.stop_seen)
		return 0;
	event = qmp_event(&g->q, "STOP", NULL,
			  now_ns() + STOPPED_MS * NS_PER_MS);
	json_decref(event);
	return event ? 0 : -1;
}

/*
 * All in one piece, and the beginning of the cont that is to follow. The disks
 * come last: while QEMU's thread gets ready there is time for them.
 */
static int stop_background(struct guest *g)
{
	unsigned int stop;

	watch_afresh(g);
	g->stopped = true;
	stop = qmp_queue(&g->q, "stop", NULL);
	queue_migrate(g);
	guest_disks_queue(g);
	qmp_begin(&g->q);
	if (qmp_flush(&g->q, -1) || wait_stop(g))
		return -1;
	return expect(g, stop, "stop");
}

static int stop_switchover(struct guest *g)
{
	json_t *ret = NULL;

	watch_afresh(g);
	if (g->fdset >= 0) {
		queue_migrate(g);
		if (!qmp_flush(&g->q, -1))
			ret = qmp_answer(&g->q, g->state_id, QMP_CALL_MS);
	}
	/* Before QEMU 8.2 there is no file:. */
	if (!ret && !error_text())
		ret = qmp_call(&g->q, "migrate",
			       json_pack("{ss}", "uri", "fd:keel-state"), -1,
			       QMP_CALL_MS);
	json_decref(ret);
	g->migrating = ret;
	if (!ret || guest_state_wait(g, "pre-switchover", g->timeout_ms))
		return -1;
	g->stopped = true;
	guest_disks_queue(g);
	g->state_id = qmp_queue(&g->q, "migrate-continue",
				json_pack("{ss}", "state", "pre-switchover"));
	return qmp_flush(&g->q, -1);
}

/*
 * Stop the guest. When this returns nothing changes its memory any more; the
 * disks are being switched and the devices saved.
 */
int guest_state_stop(struct guest *g)
{
	return g->background ? stop_background(g) : stop_switchover(g);
}

/*
 * All that QEMU writes before it stops the guest is on file when the migration
 * becomes active; the next it writes is after the devices were saved. If that
 * came before we looked, the end of the migration will tell.
 */
static int wait_background(struct guest *g)
{
	uint64_t deadline = now_ns() + STOPPED_MS * NS_PER_MS;
	uint64_t nap = g->state_notify < 0 ? POLL_NS : NOTIFIED_NS;
	char events[4096];

	if (guest_state_wait(g, "active", STOPPED_MS))
		return -1;
	while (state_size(g) == g->state_begun) {
		if (qmp_poll(&g->q, "MIGRATION", "completed", nap,
			     g->state_notify))
			return guest_state_wait(g, "completed", STOPPED_MS);
		/* QEMU may have died. */
		if (error_text())
			return -1;
		if (now_ns() > deadline)
			return fail("QEMU did not save its device state in time");
		if (stop_signal)
			return fail("interrupted");
		while (read(g->state_notify, events, sizeof(events)) > 0)
			;
	}
	return 0;
}

/*
 * Wait until the disks are switched and the devices saved: the guest may go on.
 * Sent were migrate and the disks, or the disks and migrate-continue.
 */
int guest_state_saved(struct guest *g)
{
	json_t *ret;

	if (g->background) {
		if (expect(g, g->state_id, "migrate") ||
		    guest_disks_switched(g) || wait_background(g))
			return -1;
	} else {
		if (guest_disks_switched(g))
			return -1;
		ret = qmp_expect(&g->q, g->state_id, "migrate-continue",
				 STOPPED_MS);
		json_decref(ret);
		if (!ret || guest_state_wait(g, "completed", STOPPED_MS))
			return -1;
	}
	g->state_ns = now_ns();
	if (g->running && g->q.resume_seen)
		return fail("somebody else let the guest run on during the snapshot; try again");
	return 0;
}

/* The rest of it, with the guest running. */
int guest_state_finish(struct guest *g)
{
	int err = g->migrating ?
		  guest_state_wait(g, "completed", g->timeout_ms) : 0;

	close(g->state_fd);
	g->state_fd = -1;
	return err;
}
