// SPDX-License-Identifier: GPL-2.0
/*
 * keel snapshot restore: QEMU as our child, from its start to its end.
 *
 * We talk to it over a socket pair that it inherits, so no path has to be
 * agreed on. In the foreground it has our terminal and dies with us, with
 * --daemon it is on its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "image.h"
#include "keel.h"
#include "restore.h"

#define LOAD_MS	120000

/* QEMU's stderr goes on to ours and is kept, to be quoted if it fails. */
static int start_tee(struct restore *r)
{
	char buf[4096];
	ssize_t n;
	int p[2], log;

	log = open(r->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (log < 0)
		return fail("%s: %s", r->log, strerror(errno));
	if (r->daemon)
		return log;
	if (pipe2(p, O_CLOEXEC))
		return fail("pipe: %s", strerror(errno));
	r->tee = fork();
	if (r->tee) {
		close(p[0]);
		close(log);
		return p[1];
	}
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	close(p[1]);
	while ((n = read(p[0], buf, sizeof(buf))) > 0) {
		write_all(log, buf, n);
		write_all(2, buf, n);
	}
	_exit(0);
}

static void child(struct restore *r, int err_fd)
{
	if (r->daemon) {
		int null = open("/dev/null", O_RDWR);

		setsid();
		dup2(null, 0);
		dup2(err_fd, 1);
	} else {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
	}
	dup2(err_fd, 2);
	signal(SIGPIPE, SIG_DFL);
	execvp(r->cmd.argv[0], r->cmd.argv);
	dprintf(2, "%s: %s\n", r->cmd.argv[0], strerror(errno));
	_exit(127);
}

int restore_start(struct restore *r)
{
	int sv[2], err_fd;
	char *v;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv))
		return fail("socketpair: %s", strerror(errno));
	err_fd = start_tee(r);
	if (err_fd < 0)
		return -1;
	v = mkpath("socket,id=keel-restore,fd=%d", sv[1]);
	command_add(&r->cmd, "-chardev");
	command_add(&r->cmd, v);
	free(v);
	command_add(&r->cmd, "-mon");
	command_add(&r->cmd, "chardev=keel-restore,mode=control");
	fflush(NULL);
	r->qemu = fork();
	if (!r->qemu) {
		fcntl(sv[1], F_SETFD, 0);
		child(r, err_fd);
	}
	close(sv[1]);
	close(err_fd);
	if (r->qemu < 0)
		return fail("fork: %s", strerror(errno));
	return qmp_attach(&r->q, sv[0]);
}

static int migrate_in(struct restore *r)
{
	char *path = mkpath("file:%s/" IMAGE_DEVICE, r->dir);
	json_t *ret;

	ret = qmp_call(&r->q, "migrate-set-capabilities",
		       json_pack("{s[{ss sb} {ss sb}]}", "capabilities",
				 "capability", "x-ignore-shared", "state", 1,
				 "capability", "events", "state", 1), -1,
		       QMP_CALL_MS);
	json_decref(ret);
	if (ret) {
		ret = qmp_try(&r->q, "migrate-incoming",
			      json_pack("{ss}", "uri", path), -1, QMP_CALL_MS);
		json_decref(ret);
	}
	/* Before QEMU 8.2 there is no file:. */
	if (!ret && !error_text()) {
		free(path);
		path = mkpath("exec:exec cat '%s/" IMAGE_DEVICE "'", r->dir);
		ret = strchr(r->dir, '\'') ? NULL :
		      qmp_call(&r->q, "migrate-incoming",
			       json_pack("{ss}", "uri", path), -1, QMP_CALL_MS);
		json_decref(ret);
	}
	free(path);
	return ret ? 0 : fail("QEMU does not take the device state");
}

int restore_load(struct restore *r)
{
	uint64_t deadline = now_ns() + LOAD_MS * NS_PER_MS;
	bool run = json_is_true(json_object_get(r->manifest, "running"));
	const char *s;
	json_t *event;
	int err;

	if (migrate_in(r))
		return -1;
	event = qmp_event(&r->q, "MIGRATION", "completed", deadline);
	s = json_string_value(json_object_get(json_object_get(event, "data"),
					      "status"));
	err = !s || strcmp(s, "completed") ?
	      fail("QEMU could not load the device state") : 0;
	json_decref(event);
	if (err || !run)
		return err;
	/* QEMU goes on by itself if the guest ran; else it is told to. */
	while (!r->q.resume_seen && !qmp_running(&r->q)) {
		if (error_text() || now_ns() > deadline)
			return fail("the guest does not run on");
		json_decref(qmp_try(&r->q, "cont", NULL, -1, QMP_CALL_MS));
	}
	return 0;
}

/* What QEMU wrote to stderr last: two lines, for the second is often empty talk. */
static const char *last_words(char *text)
{
	char *end = text ? text + strlen(text) : NULL, *p;
	int lines = 0;

	while (end && end > text && end[-1] == '\n')
		*--end = 0;
	if (!end || end == text)
		return "it said nothing";
	for (p = end; p > text; p--)
		if (p[-1] == '\n' && ++lines == 2)
			break;
	return p;
}

void restore_blame(struct restore *r)
{
	int status = 0, got = 0;
	char *text;

	if (stop_signal)
		return;
	for (int i = 0; i < 20 && !got; i++) {
		got = waitpid(r->qemu, &status, WNOHANG);
		if (!got)
			usleep(50000);
	}
	if (!got)
		return;
	r->qemu = 0;
	if (r->tee > 0)
		waitpid(r->tee, NULL, 0);
	r->tee = 0;
	text = read_text(r->log, NULL);
	error_forget();
	fail("QEMU ended before the guest ran (status %d): %s",
	     WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
	     last_words(text));
	free(text);
}

/* In the foreground: stay as long as QEMU, end as it does. */
int restore_follow(struct restore *r)
{
	int status = 0;

	while (waitpid(r->qemu, &status, 0) < 0 && errno == EINTR)
		if (stop_signal && stop_signal != SIGINT)
			kill(r->qemu, SIGTERM);
	if (r->tee > 0)
		waitpid(r->tee, NULL, 0);
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	return fail("QEMU ended with status %d", WIFEXITED(status) ?
		    WEXITSTATUS(status) : 128 + WTERMSIG(status));
}
