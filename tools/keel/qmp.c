// SPDX-License-Identifier: GPL-2.0
/*
 * QEMU's monitor protocol: one JSON object a line, answers by id, events in
 * between. Every wait has a deadline: a monitor that hangs must not hang us.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "keel.h"
#include "qmp.h"

/*
 * Who is at the other end is not trusted to end. A chain of disk images is told of in
 * a few KiB for each of them.
 */
#define MESSAGE_MAX	(16 << 20)
#define PARTS_MAX	(1 << 20)	/* of a message: a value of a byte or two takes a hundred */
#define EVENTS_MAX	(256 << 10)	/* that wait: letters, and */
#define EVENT_WEIGHT	128		/* so many for each */

static int is_closed(struct qmp *q)
{
	q->closed = true;
	return fail("QEMU closed its monitor connection");
}

/* Read once, until @deadline; -1 with a sentence. */
static int fill(struct qmp *q, uint64_t deadline)
{
	struct pollfd p = { .fd = q->fd, .events = POLLIN };
	uint64_t now = now_ns();
	ssize_t n;

	if (now >= deadline || !poll(&p, 1, (deadline - now) / NS_PER_MS + 1)) {
		q->silent = true;
		return fail("QEMU's monitor did not answer in time");
	}
	if (stop_signal && !q->stubborn)
		return fail("interrupted");
	if (q->room - q->have < 4096) {
		char *buf = realloc(q->buf, q->room + 65536);

		if (!buf)
			return fail("out of memory");
		q->buf = buf;
		q->room += 65536;
	}
	n = read(q->fd, q->buf + q->have, q->room - q->have - 1);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n <= 0)
		return is_closed(q);
	q->have += n;
	return q->have <= MESSAGE_MAX ? 0 :
	       fail("QEMU's monitor sent a message without end");
}

/* No more values than there are of these, and one. */
static bool has_too_many_parts(const char *text, size_t len)
{
	size_t nr = 0;

	for (size_t i = 0; i < len; i++)
		nr += text[i] == ',' || text[i] == '[' || text[i] == '{';
	return nr > PARTS_MAX;
}

static json_t *receive(struct qmp *q, uint64_t deadline)
{
	json_t *msg;
	char *end;

	while (!(end = q->have ? memchr(q->buf, '\n', q->have) : NULL))
		if (fill(q, deadline))
			return NULL;
	if (has_too_many_parts(q->buf, end - q->buf)) {
		fail("QEMU's monitor sent a message of more parts than can be taken in");
		return NULL;
	}
	msg = json_loadb(q->buf, end - q->buf, 0, NULL);
	q->have -= end + 1 - q->buf;
	memmove(q->buf, end + 1, q->have);
	if (!msg)
		fail("QEMU's monitor sent something that is not JSON");
	return msg;
}

static size_t weigh(json_t *event)
{
	return EVENT_WEIGHT + json_dumpb(event, NULL, 0, JSON_COMPACT);
}

/* No longer one of those that wait. */
static void drop_event(struct qmp *q, size_t at)
{
	q->kept -= weigh(json_array_get(q->events, at));
	json_array_remove(q->events, at);
}

static void keep_event(struct qmp *q, json_t *event)
{
	const char *name = json_string_value(json_object_get(event, "event"));
	json_t *data = json_object_get(event, "data");

	if (q->watch)
		q->watch(q->watch_arg, name, json_string_value(
				json_object_get(data, "status")));
	if (!strcmp(name, "STOP")) {
		q->stop_ns = qmp_event_ns(event);
		q->stop_seen = now_ns();
	} else if (!strcmp(name, "RESUME")) {
		q->resume_ns = qmp_event_ns(event);
		q->resume_seen = now_ns();
	}
	if (!json_array_append(q->events, event))
		q->kept += weigh(event);
	json_decref(event);
	/* Of so many the oldest are those that nobody asks for. */
	while (q->kept > EVENTS_MAX)
		drop_event(q, 0);
}

static int send_line(struct qmp *q, const char *line, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { (char *)line, strlen(line) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		struct cmsghdr *c;

		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	if (sendmsg(q->fd, &msg, MSG_NOSIGNAL) == (ssize_t)iov.iov_len)
		return 0;
	if (errno == EPIPE || errno == ECONNRESET)
		return is_closed(q);
	return fail("writing to QEMU's monitor: %s", strerror(errno));
}

/* Steals @text. */
static void queue_text(struct qmp *q, char *text)
{
	char *old = q->out;

	if (old) {
		q->out = mkpath("%s%s", old, text);
		free(old);
		free(text);
	} else {
		q->out = text;
	}
}

/*
 * Have a command ready to be sent by qmp_flush(), with those that are already.
 * @args is stolen. Its number for qmp_answer().
 */
unsigned int qmp_queue(struct qmp *q, const char *cmd, json_t *args)
{
	char *text = args ? json_dumps(args, JSON_COMPACT) : NULL;

	if (!q->begun)
		qmp_begin(q);
	q->begun = false;
	queue_text(q, mkpath("\"%s\"%s%s}\n", cmd,
			     text ? ",\"arguments\":" : "", text ? text : ""));
	json_decref(args);
	free(text);
	return q->id;
}

/*
 * Have the beginning of the next command ready, whatever it will be: QEMU reads
 * its monitor byte by byte, and where time matters it may have read this before.
 */
void qmp_begin(struct qmp *q)
{
	q->begun = true;
	queue_text(q, mkpath("{\"id\":%u,\"execute\":", ++q->id));
}

/* Send them in one piece, with @fd if it is one. */
int qmp_flush(struct qmp *q, int fd)
{
	int err = send_line(q, q->out, fd);

	free(q->out);
	q->out = NULL;
	return err;
}

/*
 * Send a command, and do not wait for its answer. @args is stolen, @fd passed
 * along if it is one. Its number for qmp_answer(), or 0 with a sentence.
 */
unsigned int qmp_send(struct qmp *q, const char *cmd, json_t *args, int fd)
{
	unsigned int id = qmp_queue(q, cmd, args);

	return qmp_flush(q, fd) ? 0 : id;
}

/*
 * The answer to a command: its "return", or NULL, with QEMU's words in
 * @q->error if it refused. Answers come in the order of the commands; those to
 * earlier ones are dropped.
 */
json_t *qmp_answer(struct qmp *q, unsigned int id, int timeout_ms)
{
	uint64_t deadline = now_ns() + timeout_ms * NS_PER_MS;
	json_t *msg, *ret = NULL, *e;

	q->error[0] = 0;
	while (id && (msg = receive(q, deadline))) {
		if (json_is_string(json_object_get(msg, "event"))) {
			keep_event(q, msg);
			continue;
		}
		if (json_integer_value(json_object_get(msg, "id")) != id) {
			json_decref(msg);
			continue;
		}
		e = json_object_get(msg, "error");
		if (e)
			snprintf(q->error, sizeof(q->error), "%s",
				 json_string_value(json_object_get(e, "desc")) ?:
				 "no reason given");
		else
			ret = json_incref(json_object_get(msg, "return"));
		json_decref(msg);
		break;
	}
	return ret;
}

/* The same, for one that must not be refused. */
json_t *qmp_expect(struct qmp *q, unsigned int id, const char *cmd,
		   int timeout_ms)
{
	json_t *ret = qmp_answer(q, id, timeout_ms);

	if (!ret)
		fail("QEMU: %s: %s", cmd, q->error[0] ? q->error : "no answer");
	return ret;
}

/* Call, and leave a refusal in @q->error with no sentence stored. */
json_t *qmp_try(struct qmp *q, const char *cmd, json_t *args, int fd,
		int timeout_ms)
{
	return qmp_answer(q, qmp_send(q, cmd, args, fd), timeout_ms);
}

/* Call what must not be refused. */
json_t *qmp_call(struct qmp *q, const char *cmd, json_t *args, int fd,
		 int timeout_ms)
{
	return qmp_expect(q, qmp_send(q, cmd, args, fd), cmd, timeout_ms);
}

/* Does the guest run? Not if the monitor does not say so. */
bool qmp_running(struct qmp *q)
{
	json_t *st = qmp_try(q, "query-status", NULL, -1, QMP_CALL_MS);
	bool running = json_is_true(json_object_get(st, "running"));

	json_decref(st);
	return running;
}

static bool wanted(json_t *event, const char *name, const char *status)
{
	json_t *data = json_object_get(event, "data");
	const char *have = json_string_value(json_object_get(event, "event"));
	const char *s = json_string_value(json_object_get(data, "status"));

	if (!have || strcmp(have, name))
		return false;
	/* A migration that failed ends the wait for any other of its states. */
	return !status || (s && (!strcmp(s, status) || !strcmp(s, "failed") ||
				 !strcmp(s, "cancelled")));
}

/* Where the first such event is among those that wait, from @at on; their number: nowhere. */
static size_t find_event(struct qmp *q, const char *name, const char *status, size_t at)
{
	size_t nr = json_array_size(q->events);

	while (at < nr && !wanted(json_array_get(q->events, at), name, status))
		at++;
	return at;
}

/* A message that no answer is awaited in. */
static void put_aside(struct qmp *q, json_t *msg)
{
	if (json_is_string(json_object_get(msg, "event")))
		keep_event(q, msg);
	else
		json_decref(msg);
}

/*
 * Wait for event @name, for MIGRATION with @status or one that ends it. Others
 * stay until they are asked for.
 */
json_t *qmp_event(struct qmp *q, const char *name, const char *status,
		  uint64_t deadline)
{
	size_t at = find_event(q, name, status, 0), nr;
	json_t *msg;

	while (at == json_array_size(q->events)) {
		msg = receive(q, deadline);
		if (!msg)
			return NULL;
		put_aside(q, msg);
		/* If it is one it is the last. */
		nr = json_array_size(q->events);
		at = find_event(q, name, status, nr ? nr - 1 : 0);
	}
	msg = json_incref(json_array_get(q->events, at));
	drop_event(q, at);
	return msg;
}

/* Events of what is over. */
void qmp_forget_events(struct qmp *q)
{
	json_array_clear(q->events);
	q->kept = 0;
}

/*
 * Wait @ns for what qmp_event() would, or until @fd, if it is one, can be read.
 * Is the event there? It stays for qmp_event().
 */
bool qmp_poll(struct qmp *q, const char *name, const char *status, uint64_t ns,
	      int fd)
{
	struct timespec t = { .tv_nsec = ns };
	struct pollfd p[] = { { .fd = q->fd, .events = POLLIN },
			      { .fd = fd, .events = POLLIN } };
	json_t *msg;

	while ((q->have && memchr(q->buf, '\n', q->have)) ||
	       (ppoll(p, NR(p), &t, NULL) > 0 && p[0].revents)) {
		msg = receive(q, now_ns() + QMP_CALL_MS * NS_PER_MS);
		if (!msg)
			return false;
		put_aside(q, msg);
		t.tv_nsec = 0;
	}
	return find_event(q, name, status, 0) < json_array_size(q->events);
}

/* QEMU's own time of an event, CLOCK_REALTIME. */
uint64_t qmp_event_ns(json_t *event)
{
	json_t *t = json_object_get(event, "timestamp");

	return json_integer_value(json_object_get(t, "seconds")) * NS_PER_SEC +
	       json_integer_value(json_object_get(t, "microseconds")) * 1000ULL;
}

/*
 * With "oob" QEMU reads ahead: commands sent in one piece are parsed while the
 * ones before them are carried out. Without, one is read when another is done.
 */
static json_t *wanted_capabilities(json_t *greeting)
{
	json_t *offered = json_object_get(greeting, "capabilities"), *c;
	size_t i;

	json_array_foreach(offered, i, c)
		if (json_is_string(c) && !strcmp(json_string_value(c), "oob"))
			return json_pack("{s[s]}", "enable", "oob");
	return NULL;
}

/* Greet over a connected socket, which is @q's from now on. */
int qmp_attach(struct qmp *q, int fd)
{
	uint64_t deadline = now_ns() + QMP_CALL_MS * NS_PER_MS;
	json_t *msg, *greeting, *caps;

	*q = (struct qmp){ .fd = fd, .events = json_array() };
	msg = receive(q, deadline);
	greeting = json_object_get(msg, "QMP");
	if (!greeting) {
		json_decref(msg);
		error_forget();
		return fail("no QMP greeting: it is no monitor, or another client is connected to it");
	}
	caps = wanted_capabilities(greeting);
	json_decref(msg);
	msg = qmp_call(q, "qmp_capabilities", caps, -1, QMP_CALL_MS);
	json_decref(msg);
	return msg ? 0 : -1;
}

int qmp_connect(struct qmp *q, const char *path)
{
	struct timeval patience = { .tv_sec = QMP_CALL_MS / 1000 };
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	bool closed, silent;
	int fd;

	*q = (struct qmp){ .fd = -1 };
	if (strlen(path) >= sizeof(addr.sun_path))
		return bad("%s: too long for a socket's path", path);
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail("socket: %s", strerror(errno));
	/* Where nobody accepts, not even connecting ends by itself. */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		close(fd);
		return bad("%s: %s; give the socket of the VM's -qmp unix:PATH,server=on",
			   path, strerror(errno));
	}
	if (!qmp_attach(q, fd))
		return 0;
	/* Or it would be the one client that a monitor has. Why it failed stays known. */
	closed = q->closed;
	silent = q->silent;
	qmp_close(q);
	q->closed = closed;
	q->silent = silent;
	return -1;
}

void qmp_close(struct qmp *q)
{
	if (q->fd >= 0)
		close(q->fd);
	json_decref(q->events);
	free(q->buf);
	free(q->out);
	*q = (struct qmp){ .fd = -1 };
}
