// SPDX-License-Identifier: GPL-2.0
/*
 * Open vSwitch: OVSDB says which bridge each interface is to be on, the kernel which
 * taps are in a datapath and what was told of them; where these differ it is told.
 *
 * What OVSDB has is kept here, as it tells of each change, and is thrown away with the
 * connection: what the kernel was told stays as it is until OVSDB is there again.
 * ovs-vswitchd does what OVSDB says a little later, or not at all while it is not
 * running. A tap that has a bridge is not told another before that is done.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keeld.h"
#include "ovsdb.h"

#define ROWS_MAX	65536	/* of a table */
#define NAMED_MAX	(4 * ROWS_MAX)	/* so often ports and interfaces are named, in all */
#define WEIGHT_MAX	(128 << 20)	/* of all rows: that many ports have some 90 MB */
#define VALUE_WEIGHT	128		/* a value's, beside its letters */
#define RETRY_MS	100	/* at first; then ever less often */
#define ANSWER_MS	10000

static const char *const tables[] = {
	"Open_vSwitch", "Bridge", "Port", "Interface",
};

static struct {
	struct ovsdb db;
	json_t *rows;		/* by table and uuid */
	size_t weight;		/* of these */
	json_t *bridges;	/* by interface, of these rows; NULL: to be made */
	bool complete;		/* all rows are here */
	bool matters;		/* there are pools, and taps that Open vSwitch has */
	uint64_t begun_ns;	/* the connection */
	uint64_t when_ns;	/* connect not before; give up if not complete then */
	unsigned int retry_ms;	/* if that fails, next time after so long */
	char why[256];		/* what was said last: why there is no connection, */
	char refused[256];	/* and why something could not be told */
} ovs = { .db.fd = -1, .retry_ms = RETRY_MS };

/* Say it, if that was not what was said last. */
static void complain(char *last, size_t len, const char *text)
{
	if (strncmp(last, text, len - 1))
		say("%s", text);
	snprintf(last, len, "%s", text);
}

static void disconnect(void)
{
	/* One that lasted was a good one. */
	if (now_ns() - ovs.begun_ns > conf.retry_ms * NS_PER_MS)
		ovs.retry_ms = RETRY_MS;
	ovsdb_close(&ovs.db);
	json_decref(ovs.rows);
	json_decref(ovs.bridges);
	ovs.rows = ovs.bridges = NULL;
	ovs.weight = 0;
	ovs.complete = false;
	ovs.when_ns = now_ns() + ovs.retry_ms * NS_PER_MS;
	ovs.retry_ms = ovs.retry_ms * 2 < conf.retry_ms ? ovs.retry_ms * 2 :
							  conf.retry_ms;
}

static json_t *monitor_request(void)
{
	return json_pack("{s:i,s:s,s:[s,n,{s:{s:[s,s]},s:{s:[s,s]},s:{s:[s]},s:{s:[s]}}]}",
			 "id", 1, "method", "monitor", "params", "Open_vSwitch",
			 "Open_vSwitch", "columns", "next_cfg", "cur_cfg",
			 "Bridge", "columns", "name", "ports",
			 "Port", "columns", "interfaces",
			 "Interface", "columns", "name");
}

/* About so many bytes a value takes. No deeper than the parser lets it be. */
static size_t weigh(json_t *value)
{
	size_t sum = VALUE_WEIGHT + json_string_length(value), i;
	const char *key;
	json_t *each;

	json_object_foreach(value, key, each)
		sum += strlen(key) + weigh(each);
	json_array_foreach(value, i, each)
		sum += weigh(each);
	return sum;
}

static size_t weigh_row(const char *uuid, json_t *row)
{
	return row ? strlen(uuid) + weigh(row) : 0;
}

/* Rows stay, and may be told of one after the other without end. */
static int take_row(json_t *rows, const char *uuid, json_t *update)
{
	json_t *new = json_object_get(update, "new");

	if (!json_is_object(new))
		new = NULL;
	ovs.weight += weigh_row(uuid, new) -
		      weigh_row(uuid, json_object_get(rows, uuid));
	if (!new)
		json_object_del(rows, uuid);
	else if (json_object_set(rows, uuid, new))
		return fail("out of memory");
	return json_object_size(rows) <= ROWS_MAX && ovs.weight <= WEIGHT_MAX ?
	       0 : fail("it has more rows than can be followed");
}

static int take_updates(json_t *updates)
{
	json_t *rows, *update;
	const char *uuid;

	if (!json_is_object(updates))
		return fail("it sent an update that is none");
	json_decref(ovs.bridges);
	ovs.bridges = NULL;
	for (size_t i = 0; i < NR(tables); i++) {
		rows = json_object_get(ovs.rows, tables[i]);
		json_object_foreach(json_object_get(updates, tables[i]), uuid,
				    update)
			if (take_row(rows, uuid, update))
				return -1;
	}
	return 0;
}

static int take_answer(json_t *message)
{
	json_t *error = json_object_get(message, "error");
	const char *what = json_string_value(json_object_get(error, "error"));

	if (error && !json_is_null(error))
		return fail("it refuses to be followed: %s", what ?: "no reason given");
	if (ovs.complete)
		return 0;
	if (take_updates(json_object_get(message, "result")))
		return -1;
	ovs.complete = true;
	ovs.why[0] = 0;
	say("Open vSwitch at %s: which bridges taps are on is followed",
	    conf.ovsdb);
	return 0;
}

static int take(json_t *message)
{
	const char *method = json_string_value(json_object_get(message, "method"));
	json_t *params = json_object_get(message, "params");

	if (!method)
		return take_answer(message);
	if (!strcmp(method, "echo"))
		return ovsdb_send(&ovs.db, json_pack("{s:O?,s:O?,s:n}", "id",
						     json_object_get(message, "id"),
						     "result", params, "error"));
	if (!strcmp(method, "update") && ovs.complete)
		return take_updates(json_array_get(params, 1));
	return 0;
}

/* Of what a column refers to, the number @i, as a uuid; NULL: there are fewer. */
static const char *reference(json_t *column, size_t i)
{
	const char *kind = json_string_value(json_array_get(column, 0));
	json_t *one = column;

	if (kind && !strcmp(kind, "set"))
		one = json_array_get(json_array_get(column, 1), i);
	else if (i)
		return NULL;
	return json_string_value(json_array_get(one, 1));
}

static json_t *find_row(const char *table, const char *uuid)
{
	return json_object_get(json_object_get(ovs.rows, table), uuid);
}

/* What cannot be a network device's name is nothing. */
static json_t *name_of(json_t *row)
{
	json_t *name = json_object_get(row, "name");

	return json_is_string(name) &&
	       json_string_length(name) < KEEL_IFNAME_LEN ? name : NULL;
}

/* Every port is named once, and every interface: @left keeps it from being a product. */
static int count_down(size_t *left)
{
	return (*left)-- ? 0 : fail("it names ports more often than can be followed");
}

static int add_port(json_t *bridges, json_t *port, json_t *bridge, size_t *left)
{
	json_t *interfaces = json_object_get(port, "interfaces"), *name;
	const char *uuid;

	for (size_t i = 0; (uuid = reference(interfaces, i)); i++) {
		if (count_down(left))
			return -1;
		name = name_of(find_row("Interface", uuid));
		if (name && json_object_set(bridges, json_string_value(name),
					    bridge))
			return fail("out of memory");
	}
	return 0;
}

static int add_bridge(json_t *bridges, json_t *bridge, size_t *left)
{
	json_t *name = name_of(bridge), *ports = json_object_get(bridge, "ports");
	const char *uuid;

	for (size_t i = 0; name && (uuid = reference(ports, i)); i++)
		if (count_down(left) ||
		    add_port(bridges, find_row("Port", uuid), name, left))
			return -1;
	return 0;
}

/* Which bridge each interface is on; NULL after fail(). */
static json_t *make_bridges(void)
{
	json_t *bridges = json_object(), *bridge;
	size_t left = NAMED_MAX;
	const char *uuid;
	int err = 0;

	json_object_foreach(json_object_get(ovs.rows, "Bridge"), uuid, bridge)
		err = err ?: add_bridge(bridges, bridge, &left);
	if (!err)
		return bridges;
	json_decref(bridges);
	return NULL;
}

/* Has ovs-vswitchd done all that it was to do? */
static bool is_done(void)
{
	json_t *row;
	const char *uuid;

	json_object_foreach(json_object_get(ovs.rows, "Open_vSwitch"), uuid, row)
		if (json_integer_value(json_object_get(row, "cur_cfg")) <
		    json_integer_value(json_object_get(row, "next_cfg")))
			return false;
	return true;
}

/* Return: 0, or -1 after fail() if the kernel refuses it. */
static int tell_one(struct keel *keel, const struct keel_switch_port *port, bool done)
{
	const char *on = json_string_value(json_object_get(ovs.bridges,
							   port->name));
	int err;

	if (!strcmp(on ?: "", port->on) || (port->on[0] && !done))
		return 0;
	err = keel_switch_port_set(keel, port->name, port->ifindex, on);
	/* It has gone meanwhile: an event says so. */
	if (!err || err == -ENODEV || err == -ENOTCONN)
		return 0;
	return fail("tap %s, bridge %s: %s", port->name, on ?: "none",
		    keel_error(keel));
}

/* What is refused is said of the first tap alone, or it would be news again each time. */
static int tell(struct keel *keel, const struct keel_switch_port *ports, int nr)
{
	bool done = is_done();
	int refused = 0;

	if (!ovs.bridges)
		ovs.bridges = make_bridges();
	if (!ovs.bridges)
		return -1;
	for (int i = 0; i < nr; i++)
		refused += !!tell_one(keel, &ports[i], done);
	if (!refused)
		return 0;
	if (refused > 1)
		error_add("; and so it is with %d more", refused - 1);
	complain(ovs.refused, sizeof(ovs.refused), error_text());
	error_forget();
	return 0;
}

/*
 * There is no connection any more, or none yet. Nobody misses it where there was none
 * and no pool is, or no tap that Open vSwitch has.
 */
static void lose(void)
{
	char text[256];

	snprintf(text, sizeof(text),
		 "Open vSwitch at %s: %s; which bridges taps are on is not followed",
		 conf.ovsdb, error_text() ?: "no reason given");
	error_forget();
	if (ovs.complete || ovs.matters)
		complain(ovs.why, sizeof(ovs.why), text);
	disconnect();
}

static int begin(void)
{
	ovs.rows = json_object();
	for (size_t i = 0; i < NR(tables); i++)
		json_object_set_new(ovs.rows, tables[i], json_object());
	ovs.begun_ns = now_ns();
	ovs.when_ns = ovs.begun_ns + ANSWER_MS * NS_PER_MS;
	return ovsdb_connect(&ovs.db, conf.ovsdb) ?:
	       ovsdb_send(&ovs.db, monitor_request());
}

static void connect_or_wait(void)
{
	if (ovs.complete || now_ns() < ovs.when_ns)
		return;
	if (ovs.db.fd >= 0)
		fail("it does not answer");
	if (ovs.db.fd >= 0 || begin())
		lose();
}

/**
 * ovs_reconcile - connect if there is no connection, and tell what is to be told
 * @keel: a connection to the kernel
 * @pools: are there pools?
 */
void ovs_reconcile(struct keel *keel, bool pools)
{
	struct keel_switch_port *ports;
	int nr;

	if (!conf.ovsdb)
		return;
	nr = keel_switch_port_list(keel, &ports);
	if (nr < 0) {
		complain(ovs.refused, sizeof(ovs.refused), keel_error(keel));
		return;
	}
	ovs.matters = pools && nr;
	connect_or_wait();
	if (ovs.complete && tell(keel, ports, nr))
		lose();
	free(ports);
}

/** ovs_fd - what can be read when OVSDB tells something; -1: nothing */
int ovs_fd(void)
{
	return ovs.db.fd;
}

/** ovs_hear - take what OVSDB tells */
void ovs_hear(void)
{
	if (ovsdb_hear(&ovs.db, take))
		lose();
}

/** ovs_wait_ms - until ovs_reconcile() is to be called again; -1: no need */
int ovs_wait_ms(void)
{
	uint64_t now = now_ns();

	if (!conf.ovsdb || ovs.complete)
		return -1;
	return ovs.when_ns <= now ? 0 : (ovs.when_ns - now) / NS_PER_MS + 1;
}
