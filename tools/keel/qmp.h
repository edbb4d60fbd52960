/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KEEL_QMP_H
#define KEEL_QMP_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define QMP_CALL_MS	10000

/*
 * A monitor connection. Events that arrive while an answer is awaited are kept
 * in order in @events until qmp_event() asks for them, the last of them if it never does.
 */
struct qmp {
	int fd;
	char *buf;
	size_t have, room;
	char *out;		/* commands that are not sent yet */
	bool begun;		/* the next one's beginning is out */
	json_t *events;
	size_t kept;		/* about so long they are */
	unsigned int id;
	bool silent;		/* it did not answer in time */
	bool closed;		/* by QEMU */
	bool stubborn;		/* a signal does not end a wait: unwinding */
	uint64_t stop_ns;	/* QEMU's time of the last STOP, real time */
	uint64_t stop_seen;	/* when it reached us, monotonic */
	uint64_t resume_ns;
	uint64_t resume_seen;
	/* If not NULL: told of each event as it is read, @status if it has one. */
	void (*watch)(void *arg, const char *event, const char *status);
	void *watch_arg;
	char error[256];	/* QEMU's words for the last refusal */
};

int qmp_connect(struct qmp *q, const char *path);
int qmp_attach(struct qmp *q, int fd);
void qmp_close(struct qmp *q);
json_t *qmp_call(struct qmp *q, const char *cmd, json_t *args, int fd,
		 int timeout_ms);
json_t *qmp_try(struct qmp *q, const char *cmd, json_t *args, int fd,
		int timeout_ms);
unsigned int qmp_queue(struct qmp *q, const char *cmd, json_t *args);
void qmp_begin(struct qmp *q);
int qmp_flush(struct qmp *q, int fd);
unsigned int qmp_send(struct qmp *q, const char *cmd, json_t *args, int fd);
json_t *qmp_answer(struct qmp *q, unsigned int id, int timeout_ms);
json_t *qmp_expect(struct qmp *q, unsigned int id, const char *cmd,
		   int timeout_ms);
bool qmp_running(struct qmp *q);
json_t *qmp_event(struct qmp *q, const char *name, const char *status,
		  uint64_t deadline);
void qmp_forget_events(struct qmp *q);
bool qmp_poll(struct qmp *q, const char *name, const char *status, uint64_t ns,
	      int fd);
uint64_t qmp_event_ns(json_t *event);

#endif
