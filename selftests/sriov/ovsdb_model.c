// SPDX-License-Identifier: GPL-2.0
/* See ovsdb_model.h. The uuids, sets and updates are those of RFC 7047. */
#include <stdio.h>
#include <string.h>

#include "ovsdb_model.h"

bool is_bridge(const char *name)
{
	return name[0] && strlen(name) < KEEL_IFNAME_LEN && !strpbrk(name, "/ \t\n\r") &&
	       strcmp(name, "none");
}

void world_make(struct world *w, const struct world *before)
{
	*w = before ? *before : (struct world){ .salt = below(1u << 31) };
	for (int b = 0; b < BRIDGES; b++)
		w->bridge[b] = below(5);
	for (int i = 0; i < TAPS; i++) {
		if (!before || !below(3))
			w->on[i] = (int)below(BRIDGES + 1) - 1;
		w->bound[i] = false;
		if (w->on[i] >= 0 && !w->bridge[w->on[i]])
			w->on[i] = -1;
	}
	for (int i = 1; i < TAPS; i++)
		w->bound[i] = w->on[i] == w->on[i - 1] && w->on[i] >= 0 && below(2);
	w->behind = !below(4);
}

static json_t *uuid(const struct world *w, char kind, int nr)
{
	char text[40];

	snprintf(text, sizeof(text), "%08x-%04x-4%03x-8000-%012x", w->salt, kind, nr, nr * 7919);
	return json_string(text);
}

static json_t *reference(const struct world *w, char kind, int nr)
{
	return json_pack("[s,o]", "uuid", uuid(w, kind, nr));
}

/* As OVSDB writes it: a set of one is not one. */
static json_t *set_of(json_t *list)
{
	json_t *set = json_array_size(list) == 1 ? json_incref(json_array_get(list, 0)) :
						   json_pack("[s,O]", "set", list);

	json_decref(list);
	return set;
}

static void add_row(json_t *rows, const char *table, json_t *id, json_t *row)
{
	json_t *in = json_object_get(rows, table);

	if (!in) {
		in = json_object();
		json_object_set_new(rows, table, in);
	}
	json_object_set_new(in, json_string_value(id), row);
	json_decref(id);
}

static void add_interface(json_t *rows, const struct world *w, int nr, const char *name)
{
	add_row(rows, "Interface", uuid(w, 'I', nr), json_pack("{s:s}", "name", name));
}

/* A bridge has a port of its own name, and those of its taps. */
static json_t *rows_of(const struct world *w)
{
	json_t *rows = json_object();
	char name[KEEL_IFNAME_LEN];

	add_row(rows, "Open_vSwitch", uuid(w, 'O', 0),
		json_pack("{s:i,s:i}", "next_cfg", 7, "cur_cfg", w->behind ? 6 : 7));
	for (int b = 0; b < BRIDGES; b++) {
		json_t *ports;

		if (!w->bridge[b])
			continue;
		ports = json_array();
		snprintf(name, sizeof(name), "ovs%d", b);
		json_array_append_new(ports, reference(w, 'P', TAPS + b));
		add_row(rows, "Port", uuid(w, 'P', TAPS + b),
			json_pack("{s:o}", "interfaces", reference(w, 'I', TAPS + b)));
		add_interface(rows, w, TAPS + b, name);
		for (int i = 0; i < TAPS; i++) {
			json_t *list;

			if (w->on[i] != b || w->bound[i])
				continue;
			json_array_append_new(ports, reference(w, 'P', i));
			list = json_pack("[o]", reference(w, 'I', i));
			for (int k = i + 1; k < TAPS && w->bound[k]; k++)
				json_array_append_new(list, reference(w, 'I', k));
			add_row(rows, "Port", uuid(w, 'P', i),
				json_pack("{s:o}", "interfaces", set_of(list)));
		}
		add_row(rows, "Bridge", uuid(w, 'B', b),
			json_pack("{s:s,s:o}", "name", name, "ports", set_of(ports)));
	}
	for (int i = 0; i < TAPS; i++)
		if (w->on[i] >= 0)
			add_interface(rows, w, i, taps[i].name);
	return rows;
}

/* From one world to another; @from may be NULL. Both are stolen. */
static json_t *updates(json_t *from, json_t *to)
{
	json_t *all = json_object(), *in, *row, *old;
	const char *table, *id;

	json_object_foreach(to, table, in) {
		json_object_foreach(in, id, row) {
			old = json_object_get(json_object_get(from, table), id);
			if (!json_equal(old, row))
				add_row(all, table, json_string(id),
					json_pack("{s:O*,s:O}", "old", old, "new", row));
		}
	}
	json_object_foreach(from, table, in)
		json_object_foreach(in, id, row)
			if (!json_object_get(json_object_get(to, table), id))
				add_row(all, table, json_string(id),
					json_pack("{s:O}", "old", row));
	json_decref(from);
	json_decref(to);
	return all;
}

json_t *world_answer(const struct world *w)
{
	return json_pack("{s:i,s:n,s:o}", "id", 1, "error", "result",
			 updates(NULL, rows_of(w)));
}

json_t *world_update(const struct world *from, const struct world *to)
{
	return json_pack("{s:n,s:s,s:[n,o]}", "id", "method", "update", "params",
			 updates(rows_of(from), rows_of(to)));
}

static json_t *row_get(struct reading *r, const char *table, const char *id)
{
	return json_object_get(json_object_get(r->rows, table), id);
}

/* What a column refers to, up to the first that is none: uuids. */
static json_t *refers_to(json_t *column)
{
	json_t *list = json_array(), *each, *id;
	const char *kind = json_string_value(json_array_get(column, 0));
	size_t i;

	if (!kind || strcmp(kind, "set")) {
		id = json_array_get(column, 1);
		if (json_is_string(id))
			json_array_append(list, id);
		return list;
	}
	json_array_foreach(json_array_get(column, 1), i, each) {
		id = json_array_get(each, 1);
		if (!json_is_string(id))
			break;
		json_array_append(list, id);
	}
	return list;
}

static const char *a_name(json_t *row)
{
	const char *name = json_string_value(json_object_get(row, "name"));

	return name && strlen(name) < KEEL_IFNAME_LEN ? name : NULL;
}

/* The interfaces of a port are @bridge's, too. */
static void read_port(struct reading *r, json_t *all, const char *port, const char *bridge)
{
	json_t *list = refers_to(json_object_get(row_get(r, "Port", port), "interfaces")), *id;
	const char *name;
	size_t i;

	json_array_foreach(list, i, id) {
		name = a_name(row_get(r, "Interface", json_string_value(id)));
		if (name && !json_object_get(all, name))
			json_object_set_new(all, name, json_object());
		if (name)
			json_object_set_new(json_object_get(all, name), bridge, json_true());
	}
	json_decref(list);
}

/* By interface, all bridges that say that it is theirs. */
static json_t *read_bridges(struct reading *r)
{
	json_t *all = json_object(), *row, *list, *port;
	const char *id, *name;
	size_t i;

	json_object_foreach(json_object_get(r->rows, "Bridge"), id, row) {
		name = a_name(row);
		list = refers_to(json_object_get(row, "ports"));
		json_array_foreach(list, i, port)
			if (name)
				read_port(r, all, json_string_value(port), name);
		json_decref(list);
	}
	return all;
}

static bool is_behind(struct reading *r)
{
	json_t *row;
	const char *id;

	json_object_foreach(json_object_get(r->rows, "Open_vSwitch"), id, row)
		if (json_integer_value(json_object_get(row, "cur_cfg")) <
		    json_integer_value(json_object_get(row, "next_cfg")))
			return true;
	return false;
}

/* Where a tap is to be now, if all has been done. */
static void read_tap(struct reading *r, int tap, json_t *bridges, bool sure)
{
	const char *name;
	json_t *yes;

	json_decref(r->is[tap]);
	r->is[tap] = NULL;
	json_object_foreach(bridges, name, yes) {
		if (is_bridge(name))
			json_object_set(r->may[tap], name, yes);
		else
			sure = false;
	}
	if (!bridges)
		json_object_set_new(r->may[tap], "", json_true());
	if (sure)
		r->is[tap] = bridges ? json_incref(bridges) : json_pack("{s:b}", "", 1);
}

static void read_taps(struct reading *r)
{
	json_t *all = read_bridges(r);
	bool sure = !is_behind(r);

	for (int i = 0; i < TAPS; i++)
		read_tap(r, i, json_object_get(all, taps[i].name), sure);
	json_decref(all);
}

static bool read_rows(struct reading *r, json_t *tables)
{
	static const char *const all[] = { "Open_vSwitch", "Bridge", "Port", "Interface" };
	json_t *row, *new, *in;
	const char *id;

	if (!json_is_object(tables))
		return false;
	for (size_t i = 0; i < 4; i++) {
		in = json_object_get(r->rows, all[i]);
		json_object_foreach(json_object_get(tables, all[i]), id, row) {
			new = json_object_get(row, "new");
			if (json_is_object(new))
				json_object_set(in, id, new);
			else
				json_object_del(in, id);
		}
	}
	return true;
}

static bool read_message(struct reading *r, json_t *message)
{
	json_t *method = json_object_get(message, "method");
	json_t *error = json_object_get(message, "error");

	if (!json_is_object(message))
		return false;
	if (json_is_string(method))
		return strcmp(json_string_value(method), "update") || !r->complete ||
		       read_rows(r, json_array_get(json_object_get(message, "params"), 1));
	if (error && !json_is_null(error))
		return false;
	if (r->complete)
		return true;
	r->complete = read_rows(r, json_object_get(message, "result"));
	return r->complete;
}

void reading_make(struct reading *r, const struct text *t)
{
	json_error_t end;
	json_t *message;
	size_t at = 0;

	*r = (struct reading){
		.rows = json_pack("{s:{},s:{},s:{},s:{}}", "Open_vSwitch", "Bridge", "Port",
				  "Interface"),
	};
	for (int i = 0; i < TAPS; i++)
		r->may[i] = json_pack("{s:b}", taps[i].on, 1);
	while (!r->over) {
		while (at < t->len && strchr(" \t\r\n", t->at[at]) && t->at[at])
			at++;
		if (at == t->len)
			return;
		message = json_loadb(t->at + at, t->len - at,
				     JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK, &end);
		r->over = !message || !read_message(r, message);
		json_decref(message);
		at += end.position;
		if (!r->over && r->complete)
			read_taps(r);
	}
}

void reading_free(struct reading *r)
{
	json_decref(r->rows);
	for (int i = 0; i < TAPS; i++) {
		json_decref(r->may[i]);
		json_decref(r->is[i]);
	}
}
