// SPDX-License-Identifier: GPL-2.0
/*
 * The guard: a process that does nothing unless we die.
 *
 * It waits on a pipe. A byte says all is well; an end of file says that we were
 * killed. Then it opens the monitor anew, which our death set free, ends the
 * migration, lets the guest run if it ran before, and restores what we changed;
 * overlays that the guest has not been switched to go.
 * It has nothing else of ours open but a pidfd of QEMU's, so the snapshot and the
 * image's lock end with us.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"
#include "keel.h"

#define RESCUE_MS	30000

static bool migration_ended(struct guest *g)
{
	json_t *m = qmp_try(&g->q, "query-migrate", NULL, -1, QMP_CALL_MS);
	const char *s = json_string_value(json_object_get(m, "status"));
	bool ended = m && (!s || !strcmp(s, "none") || !strcmp(s, "completed") ||
			   !strcmp(s, "failed") || !strcmp(s, "cancelled"));

	json_decref(m);
	return ended;
}

/* End a migration if there is one, and let the guest run if it did. */
int guest_run_again(struct guest *g)
{
	uint64_t deadline = now_ns() + RESCUE_MS * NS_PER_MS;

	json_decref(qmp_try(&g->q, "migrate_cancel", NULL, -1, QMP_CALL_MS));
	while (!migration_ended(g)) {
		if (g->q.closed || now_ns() > deadline)
			return -1;
		usleep(10000);
	}
	g->migrating = false;
	while (g->running && !qmp_running(&g->q)) {
		if (g->q.closed || now_ns() > deadline)
			return -1;
		json_decref(qmp_try(&g->q, "cont", NULL, -1, QMP_CALL_MS));
	}
	g->stopped = false;
	return 0;
}

void guest_settings_restore(struct guest *g)
{
	json_t *caps = json_array(), *bw, *c;
	size_t i;

	json_array_foreach(g->caps, i, c)
		json_array_append(caps, c);
	bw = json_object_get(g->params, "max-bandwidth");
	if (g->caps_set) {
		json_decref(qmp_try(&g->q, "migrate-set-capabilities",
				    json_pack("{sO}", "capabilities", caps),
				    -1, QMP_CALL_MS));
		if (bw)
			json_decref(qmp_try(&g->q, "migrate-set-parameters",
					    json_pack("{sO}", "max-bandwidth",
						      bw), -1, QMP_CALL_MS));
	}
	if (g->description)
		json_decref(qmp_try(&g->q, "qom-set",
				    json_pack("{ss ss sb}", "path", "/machine",
					      "property", "suppress-vmdesc",
					      "value", 0), -1, QMP_CALL_MS));
	g->caps_set = false;
	json_decref(caps);
}

static void rescue(struct guest *g)
{
	uint64_t deadline = now_ns() + RESCUE_MS * NS_PER_MS;
	char *socket = mkpath("%s", g->socket);

	g->q.fd = -1;
	while (qmp_connect(&g->q, socket)) {
		error_forget();
		if (guest_ended(g, 0) || now_ns() > deadline)
			return;
		usleep(20000);
	}
	/* Another guest may have been started in its place. */
	if (guest_check_identity(g))
		return;
	g->q.stubborn = true;
	guest_run_again(g);
	error_forget();
	guest_settings_restore(g);
	guest_disks_forget(g);
	if (g->fdset >= 0)
		json_decref(qmp_try(&g->q, "remove-fd",
				    json_pack("{sI}", "fdset-id",
					      (json_int_t)g->fdset), -1,
				    QMP_CALL_MS));
	qmp_close(&g->q);
}

static void guard_main(struct guest *g, int pipe)
{
	char byte;
	ssize_t n;

	setsid();
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	prctl(PR_SET_NAME, "keel-guard");
	pipe = fcntl(pipe, F_DUPFD, 5);
	g->pidfd = fcntl(g->pidfd, F_DUPFD, 5);
	dup2(pipe, 3);
	g->pidfd = dup2(g->pidfd, 4);
	if (g->pidfd < 0)
		close(4);
	for (int i = 0; i < 3; i++)
		dup2(open("/dev/null", O_RDWR), i);
	close_range(5, ~0U, 0);
	do {
		n = read(3, &byte, 1);
	} while (n < 0 && errno == EINTR);
	if (n == 0) {
		/* The capabilities may have been set after the fork. */
		g->caps_set = true;
		rescue(g);
	}
	_exit(0);
}

int guard_start(struct guest *g)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC))
		return fail("pipe: %s", strerror(errno));
	fflush(NULL);
	g->guard = fork();
	if (!g->guard)
		guard_main(g, p[0]);
	close(p[0]);
	g->guard_pipe = p[1];
	return g->guard < 0 ? fail("fork: %s", strerror(errno)) : 0;
}

void guard_dismiss(struct guest *g)
{
	if (g->guard_pipe < 0)
		return;
	if (write(g->guard_pipe, "d", 1) == 1)
		waitpid(g->guard, NULL, 0);
	close(g->guard_pipe);
	g->guard_pipe = -1;
}
