// SPDX-License-Identifier: GPL-2.0
/*
 * A connection to OVSDB: JSON objects, one after the other with nothing between
 * them, over a UNIX socket. Nothing here waits. Who is at the other end is not
 * trusted to send messages that are right, or have an end.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "keeld.h"
#include "ovsdb.h"

#define MESSAGE_MAX	(16 << 20)	/* 40 times what a thousand ports need */
#define PARTS_MAX	(1 << 20)	/* likewise: a value of a byte or two takes a hundred */
#define READ_LEN	65536
#define READS_MAX	16		/* then others have their turn */

/**
 * ovsdb_connect - connect
 * @db: (out) the connection
 * @path: of the socket
 *
 * Return: 0, or -1 after fail().
 */
int ovsdb_connect(struct ovsdb *db, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	*db = (struct ovsdb){
		.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
	};
	if (db->fd < 0)
		return fail("socket: %s", strerror(errno));
	strncpy(addr.sun_path, path, sizeof(addr.sun_path) - 1);
	/* If it cannot be at once, nobody accepts there. */
	if (!connect(db->fd, (struct sockaddr *)&addr, sizeof(addr)))
		return 0;
	fail("%s", strerror(errno));
	ovsdb_close(db);
	return -1;
}

void ovsdb_close(struct ovsdb *db)
{
	if (db->fd >= 0)
		close(db->fd);
	free(db->in);
	*db = (struct ovsdb){ .fd = -1 };
}

/**
 * ovsdb_send - send a message
 * @db: the connection
 * @message: stolen
 *
 * They are short: there is room for them, unless the other end does not read.
 *
 * Return: 0, or -1 after fail().
 */
int ovsdb_send(struct ovsdb *db, json_t *message)
{
	char *text = json_dumps(message, JSON_COMPACT);
	size_t len = text ? strlen(text) : 0;
	ssize_t sent = text ? send(db->fd, text, len, MSG_NOSIGNAL) : -1;

	json_decref(message);
	free(text);
	return sent == (ssize_t)len ? 0 : fail("it does not read what it is sent");
}

/* Return: 1; 0 if there is nothing to be read now; -1 after fail(). */
static int read_once(struct ovsdb *db)
{
	ssize_t n;

	if (db->room - db->have < READ_LEN) {
		char *in = realloc(db->in, db->have + 2 * READ_LEN);

		if (!in)
			return fail("out of memory");
		db->in = in;
		db->room = db->have + 2 * READ_LEN;
	}
	n = read(db->fd, db->in + db->have, READ_LEN);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return fail("it closed the connection");
	db->have += n;
	return db->have > MESSAGE_MAX ? fail("it sent a message without end") : 1;
}

/* Return: where the first message ends; 0: not here; -1 after fail(). */
static ssize_t find_end(struct ovsdb *db)
{
	while (db->seen < db->have) {
		unsigned char c = db->in[db->seen++];

		if (db->string) {
			db->string = db->escaped || c != '"';
			db->escaped = !db->escaped && c == '\\';
			continue;
		}
		if ((c == '{' || c == '[' || c == ',') && ++db->parts > PARTS_MAX)
			return fail("it sent a message of more parts than can be followed");
		if (c == '{' || c == '[') {
			db->depth++;
		} else if (!db->depth) {
			if (!isspace(c))
				return fail("it sent something that is no JSON object");
		} else if (c == '"') {
			db->string = true;
		} else if ((c == '}' || c == ']') && !--db->depth) {
			db->parts = 0;
			return db->seen;
		}
	}
	return 0;
}

/* Of the messages that are here, and all here, the first. */
static int take_one(struct ovsdb *db, json_t **message)
{
	ssize_t end = find_end(db);
	json_error_t why;

	if (end <= 0)
		return end;
	*message = json_loadb(db->in + db->taken, end - db->taken,
			      JSON_REJECT_DUPLICATES, &why);
	db->taken = end;
	if (json_is_object(*message))
		return 1;
	json_decref(*message);
	return fail("it sent something that is no JSON object");
}

static int take_all(struct ovsdb *db, int (*take)(json_t *message))
{
	json_t *message;
	int some, err;

	while ((some = take_one(db, &message)) > 0) {
		err = take(message);
		json_decref(message);
		if (err)
			return -1;
	}
	/* Once for all of them: they may be many, and short. */
	db->have -= db->taken;
	db->seen -= db->taken;
	memmove(db->in, db->in + db->taken, db->have);
	db->taken = 0;
	return some;
}

/**
 * ovsdb_hear - take what came
 * @db: the connection
 * @take: called with each message; -1 after fail() ends it
 *
 * Return: 0, or -1 after fail().
 */
int ovsdb_hear(struct ovsdb *db, int (*take)(json_t *message))
{
	for (int i = 0, some; i < READS_MAX; i++) {
		some = read_once(db);
		if (some <= 0)
			return some;
		if (take_all(db, take))
			return -1;
	}
	return 0;
}
