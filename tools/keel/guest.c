// SPDX-License-Identifier: GPL-2.0
/*
 * A QEMU guest through its stop window.
 *
 * QEMU migrates to the image's device.state: with x-ignore-shared the guest's
 * memory on keelfs is left out, with pause-before-switchover QEMU stops the
 * guest at the last moment and waits for us. There the disks are switched; then
 * QEMU saves the devices; then keel arms; then the guest goes on:
 *
 *	STOP  pre-switchover  [disks]  migrate-continue  completed  [arm]  RESUME
 *
 * All else is done before STOP or after RESUME. From the first change to the
 * last a guard process stands by (guest_guard.c), so that not even SIGKILL for
 * us leaves the guest stopped.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"
#include "keel.h"

#define STOPPED_MS	30000	/* for each step with the guest stopped */
#define BANDWIDTH	(64LL << 30)

static int check_status(struct guest *g)
{
	json_t *st = qmp_call(&g->q, "query-status", NULL, -1, QMP_CALL_MS);
	const char *s = json_string_value(json_object_get(st, "status"));
	int err = 0;

	if (!s)
		err = -1;
	else if (!strcmp(s, "running"))
		g->running = true;
	else if (strcmp(s, "paused") && strcmp(s, "prelaunch"))
		err = bad("the guest is in state '%s'; it must be running or paused",
			  s);
	json_decref(st);
	return err;
}

static int check_migration(struct guest *g)
{
	static const char *const idle[] = { "none", "completed", "failed",
					    "cancelled" };
	json_t *m = qmp_call(&g->q, "query-migrate", NULL, -1, QMP_CALL_MS);
	const char *s = json_string_value(json_object_get(m, "status"));
	int err = -1;

	if (m && !s)
		s = "none";
	for (size_t i = 0; s && i < NR(idle); i++)
		if (!strcmp(s, idle[i]))
			err = 0;
	if (s && err)
		bad("the guest is being migrated (%s); wait for its end", s);
	json_decref(m);
	return err;
}

int guest_open(struct guest *g)
{
	g->fdset = -1;
	g->guard_pipe = -1;
	g->q.fd = -1;
	if (!g->socket)
		return 0;
	if (qmp_connect(&g->q, g->socket) || check_status(g) ||
	    check_migration(g))
		return -1;
	g->caps = qmp_call(&g->q, "query-migrate-capabilities", NULL, -1,
			   QMP_CALL_MS);
	g->params = qmp_call(&g->q, "query-migrate-parameters", NULL, -1,
			     QMP_CALL_MS);
	if (!g->caps || !g->params)
		return -1;
	return guest_disks_find(g);
}

/* Only ours on, any other off: what they would do to the stream is unknown. */
static int set_caps(struct guest *g)
{
	static const char *const ours[] = { "events", "x-ignore-shared",
					    "pause-before-switchover" };
	json_t *caps = json_array(), *c, *cap, *ret;
	size_t i, found = 0;

	json_array_foreach(g->caps, i, c) {
		const char *name = json_string_value(
			json_object_get(c, "capability"));
		bool on = false;

		for (size_t k = 0; name && k < NR(ours); k++)
			on |= !strcmp(name, ours[k]);
		found += on;
		if (on == json_is_true(json_object_get(c, "state")))
			continue;
		cap = json_pack("{ss sb}", "capability", name, "state", on);
		json_array_append_new(caps, cap);
	}
	if (found != NR(ours)) {
		json_decref(caps);
		return bad("this QEMU cannot leave shared memory out of its state (x-ignore-shared); QEMU 7.2 or later can");
	}
	g->caps_set = true;
	ret = qmp_call(&g->q, "migrate-set-capabilities",
		       json_pack("{so}", "capabilities", caps), -1,
		       QMP_CALL_MS);
	if (!ret)
		return -1;
	json_decref(ret);
	ret = qmp_call(&g->q, "migrate-set-parameters",
		       json_pack("{sI}", "max-bandwidth",
				 (json_int_t)BANDWIDTH), -1, QMP_CALL_MS);
	json_decref(ret);
	return ret ? 0 : -1;
}

/* Hand the state file over, by the newer way or the older one. */
static int pass_state_file(struct guest *g, int fd)
{
	json_t *ret = qmp_try(&g->q, "add-fd", NULL, fd, QMP_CALL_MS);

	if (ret) {
		g->fdset = json_integer_value(json_object_get(ret, "fdset-id"));
		json_decref(ret);
	}
	ret = qmp_call(&g->q, "getfd",
		       json_pack("{ss}", "fdname", "keel-state"), fd,
		       QMP_CALL_MS);
	json_decref(ret);
	return ret ? 0 : -1;
}

int guest_prepare(struct guest *g, struct image *img, uint32_t snapshot)
{
	int fd, err;

	if (!g->socket)
		return 0;
	/* QEMU wants a descriptor that can only be written. */
	fd = openat(img->dirfd, IMAGE_DEVICE,
		    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail("%s/" IMAGE_DEVICE ": %s", img->partial,
			    strerror(errno));
	err = guest_disks_prepare(g, snapshot) || guard_start(g) ||
	      set_caps(g) || pass_state_file(g, fd);
	close(fd);
	return err ? -1 : 0;
}

static int start_migration(struct guest *g)
{
	char uri[64];
	json_t *ret = NULL;

	g->migrating = true;
	if (g->fdset >= 0) {
		snprintf(uri, sizeof(uri), "file:/dev/fdset/%lld",
			 (long long)g->fdset);
		ret = qmp_try(&g->q, "migrate", json_pack("{ss}", "uri", uri),
			      -1, QMP_CALL_MS);
	}
	/* Before QEMU 8.2 there is no file:. */
	if (!ret && !error_text())
		ret = qmp_call(&g->q, "migrate",
			       json_pack("{ss}", "uri", "fd:keel-state"), -1,
			       QMP_CALL_MS);
	json_decref(ret);
	return ret ? 0 : -1;
}

static int wait_migration(struct guest *g, const char *status, int ms)
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
	json_decref(event);
	return err;
}

int guest_stop(struct guest *g)
{
	json_t *ret;

	if (!g->socket)
		return 0;
	if (start_migration(g) ||
	    wait_migration(g, "pre-switchover", g->timeout_ms))
		return -1;
	g->stopped = true;
	g->paused_ns = now_ns();
	g->stop_ns = g->q.stop_seen ? g->q.stop_seen : g->paused_ns;
	if (guest_disks_switch(g))
		return -1;
	g->disks_ns = now_ns();
	ret = qmp_call(&g->q, "migrate-continue",
		       json_pack("{ss}", "state", "pre-switchover"), -1,
		       QMP_CALL_MS);
	json_decref(ret);
	if (!ret || wait_migration(g, "completed", STOPPED_MS))
		return -1;
	g->migrating = false;
	g->state_ns = now_ns();
	return 0;
}

/* The memory is armed: go on. */
int guest_resume(struct guest *g)
{
	json_t *ret, *event;

	g->armed_ns = now_ns();
	if (!g->socket || !g->running)
		return 0;
	ret = qmp_call(&g->q, "cont", NULL, -1, STOPPED_MS);
	if (!ret)
		return -1;
	json_decref(ret);
	g->stopped = false;
	if (!g->q.resume_seen) {
		event = qmp_event(&g->q, "RESUME", NULL,
				  now_ns() + STOPPED_MS * NS_PER_MS);
		json_decref(event);
	}
	g->resume_ns = g->q.resume_seen ? g->q.resume_seen : now_ns();
	g->window_ns = g->q.stop_ns && g->q.resume_ns > g->q.stop_ns ?
		       g->q.resume_ns - g->q.stop_ns :
		       g->resume_ns - g->stop_ns;
	return 0;
}

/* Leave QEMU as it was found; what fails here harms nobody. */
void guest_settle(struct guest *g)
{
	if (!g->socket || g->q.fd < 0)
		return;
	g->q.stubborn = true;
	guest_caps_restore(g);
	if (g->fdset >= 0)
		json_decref(qmp_try(&g->q, "remove-fd",
				    json_pack("{sI}", "fdset-id",
					      (json_int_t)g->fdset), -1,
				    QMP_CALL_MS));
	/* Gone if it was used, refused then. */
	json_decref(qmp_try(&g->q, "closefd",
			    json_pack("{ss}", "fdname", "keel-state"), -1,
			    QMP_CALL_MS));
	guard_dismiss(g);
	qmp_close(&g->q);
}

/* After a failure at any step. */
void guest_rescue(struct guest *g)
{
	if (!g->socket)
		return;
	g->q.stubborn = true;
	if (g->q.fd >= 0 && (g->stopped || g->migrating) &&
	    guest_run_again(g)) {
		/* A monitor that does not answer: the guard tries afresh. */
		qmp_close(&g->q);
		if (g->guard_pipe >= 0)
			close(g->guard_pipe);
		g->guard_pipe = -1;
		fprintf(stderr, "keel: QEMU's monitor does not answer; a process stays behind to let the guest run on\n");
	}
	if (g->switched)
		fprintf(stderr, "keel: the guest's disks were switched before this failed; it runs on the overlays\n");
	else
		guest_disks_forget(g);
	guest_settle(g);
}

void guest_close(struct guest *g)
{
	qmp_close(&g->q);
	json_decref(g->caps);
	json_decref(g->params);
	json_decref(g->disks);
}
