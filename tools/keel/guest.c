// SPDX-License-Identifier: GPL-2.0
/*
 * A QEMU guest through its stop window. With background-snapshot:
 *
 *	stop, migrate, the disks' transaction  STOP
 *	[arm | disks switched, devices saved]  cont  RESUME
 *
 * keel arms in the time that QEMU needs for its own part anyway. guest_state.c
 * has what differs with an older QEMU. All else is done before STOP or after
 * RESUME. From the first change to the last a guard process stands by
 * (guest_guard.c), so that not even SIGKILL for us leaves the guest stopped.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "guest.h"
#include "keel.h"

/* Of a process that is killed the monitor closes a moment before its end. */
#define ENDED_MS	2000

static int check_status(struct guest *g)
{
	json_t *st = qmp_call(&g->q, "query-status", NULL, -1, QMP_CALL_MS);
	const char *s = json_string_value(json_object_get(st, "status"));
	int err = 0;

	if (!s)
		err = -1;
	else if (!strcmp(s, "running"))
		g->running = true;
	else if (!strcmp(s, "paused"))
		g->paused = true;
	else if (strcmp(s, "prelaunch"))
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
	json_t *blocked = json_object_get(m, "blocked-reasons");
	const char *why = json_string_value(json_array_get(blocked, 0));
	const char *s = json_string_value(json_object_get(m, "status"));
	int err = -1;

	if (m && !s)
		s = "none";
	for (size_t i = 0; s && i < NR(idle); i++)
		if (!strcmp(s, idle[i]))
			err = 0;
	if (s && err)
		bad("the guest is being migrated (%s); wait for its end", s);
	else if (!err && why)
		err = bad("QEMU cannot save this guest's devices: %s", why);
	json_decref(m);
	return err;
}

/* Its vCPUs are threads of the process whose memory it is? */
int guest_check_identity(struct guest *g)
{
	json_t *cpus = qmp_call(&g->q, "query-cpus-fast", NULL, -1,
				QMP_CALL_MS), *cpu;
	char path[64];
	int err = cpus ? 0 : -1;
	size_t i;

	json_array_foreach(cpus, i, cpu) {
		snprintf(path, sizeof(path), "/proc/%u/task/%lld", g->pid,
			 (long long)json_integer_value(
				json_object_get(cpu, "thread-id")));
		if (!err && access(path, F_OK))
			err = bad("%s is the monitor of another VM than that of pid %u",
				  g->socket, g->pid);
	}
	json_decref(cpus);
	return err;
}

static bool has_description(struct guest *g)
{
	json_t *off = qmp_try(&g->q, "qom-get",
			      json_pack("{ss ss}", "path", "/machine",
					"property", "suppress-vmdesc"), -1,
			      QMP_CALL_MS);
	bool has = json_is_false(off);

	json_decref(off);
	return has;
}

int guest_open(struct guest *g)
{
	if (!g->socket)
		return 0;
	g->pidfd = pidfd_open(g->pid, 0);
	if (qmp_connect(&g->q, g->socket) || guest_check_identity(g) ||
	    check_status(g) || check_migration(g))
		return -1;
	g->caps = qmp_call(&g->q, "query-migrate-capabilities", NULL, -1,
			   QMP_CALL_MS);
	g->params = qmp_call(&g->q, "query-migrate-parameters", NULL, -1,
			     QMP_CALL_MS);
	if (!g->caps || !g->params)
		return -1;
	g->description = has_description(g);
	return guest_disks_find(g);
}

int guest_prepare(struct guest *g, struct image *img, uint32_t snapshot)
{
	if (!g->socket)
		return 0;
	guest_disks_name(g, snapshot);
	/* What the guard is to undo it has to know, so it comes second. */
	return guest_state_open(g, img) || guard_start(g) ||
	       guest_disks_prepare(g) || guest_state_prepare(g) ? -1 : 0;
}

/* When this returns the guest's memory rests: arm. */
int guest_stop(struct guest *g)
{
	if (!g->socket)
		return 0;
	if (guest_state_stop(g))
		return -1;
	g->paused_ns = now_ns();
	g->stop_ns = g->q.stop_seen ? g->q.stop_seen : g->paused_ns;
	return 0;
}

/* The memory is armed: wait for the rest. */
int guest_saved(struct guest *g)
{
	g->armed_ns = now_ns();
	return g->socket ? guest_state_saved(g) : 0;
}

/* A migration that has just completed may take a moment to let go of it. */
static int let_go(struct guest *g)
{
	uint64_t deadline = now_ns() + STOPPED_MS * NS_PER_MS;
	json_t *ret;

	while (!(ret = qmp_try(&g->q, "cont", NULL, -1, STOPPED_MS))) {
		if (error_text() || now_ns() > deadline)
			return fail("QEMU: cont: %s", g->q.error);
		usleep(1000);
	}
	json_decref(ret);
	g->stopped = false;
	return 0;
}

int guest_resume(struct guest *g)
{
	json_t *event;

	if (!g->socket)
		return 0;
	if (!g->running) {
		g->stopped = false;
		return 0;
	}
	if (let_go(g))
		return -1;
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

/* What is left of the device state, with the guest running. */
int guest_finish(struct guest *g)
{
	return g->socket ? guest_state_finish(g) : 0;
}

/* Leave QEMU as it was found; what fails here harms nobody. */
void guest_settle(struct guest *g)
{
	if (!g->socket || g->q.fd < 0)
		return;
	g->q.stubborn = true;
	guest_settings_restore(g);
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

/* By a monitor that does not answer nothing can be done: the guard tries afresh. */
static void hand_over(struct guest *g)
{
	qmp_close(&g->q);
	close(g->guard_pipe);
	g->guard_pipe = -1;
	error_add("; a process stays behind to let the guest run on by another connection");
}

/* Has QEMU ended, or does it within @ms? */
bool guest_ended(struct guest *g, int ms)
{
	struct pollfd p = { .fd = g->pidfd, .events = POLLIN };

	return g->pidfd >= 0 && poll(&p, 1, ms) > 0;
}

/* After a failure at any step. */
void guest_rescue(struct guest *g)
{
	bool touched = g->stopped || g->migrating || g->switching;

	if (!g->socket)
		return;
	g->q.stubborn = true;
	/* Before any other command: its answer is the next. */
	if (g->switching && g->q.fd >= 0 && !g->q.silent && !g->q.closed)
		guest_disks_switched(g);
	g->gone = g->q.closed && guest_ended(g, ENDED_MS);
	if (g->gone)
		error_add("; it has ended");
	else if (g->guard_pipe >= 0 &&
		 (g->q.closed || (touched && (g->q.silent || guest_run_again(g)))))
		hand_over(g);
	if (g->switched && g->gone)
		error_add("; its disks had been switched to the overlays");
	else if (g->switched)
		error_add("; the guest's disks had been switched, it runs on the overlays");
	else if (g->switching)
		error_add("; its disks may have been switched to the overlays");
	else
		guest_disks_forget(g);
	guest_settle(g);
}

void guest_close(struct guest *g)
{
	qmp_close(&g->q);
	if (g->state_fd >= 0)
		close(g->state_fd);
	if (g->state_notify >= 0)
		close(g->state_notify);
	if (g->pidfd >= 0)
		close(g->pidfd);
	json_decref(g->caps);
	json_decref(g->params);
	json_decref(g->disks);
}
