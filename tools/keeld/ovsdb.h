/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KEELD_OVSDB_H
#define KEELD_OVSDB_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct ovsdb {
	int fd;			/* -1: not connected */
	char *in;
	size_t have, room;
	size_t taken;		/* so much of it was messages that are done with */
	size_t seen;		/* so much of it is looked through for the next one's end */
	unsigned int parts;	/* there: brackets and commas, and no more values than these */
	unsigned int depth;	/* within so many brackets */
	bool string;		/* and a string */
	bool escaped;
};

int ovsdb_connect(struct ovsdb *db, const char *path);
void ovsdb_close(struct ovsdb *db);
int ovsdb_send(struct ovsdb *db, json_t *message);
int ovsdb_hear(struct ovsdb *db, int (*take)(json_t *message));

#endif
