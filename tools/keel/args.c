// SPDX-License-Identifier: GPL-2.0
/* QEMU's command line, read and written. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "keel.h"

/* "-object" and "--object" are the same to QEMU. */
bool args_is(const char *arg, const char *option)
{
	return arg[0] == '-' && !strcmp(arg + 1 + (arg[1] == '-'), option);
}

/* The first value of @option, or NULL. */
const char *args_value(char **argv, const char *option)
{
	for (; argv && *argv && argv[1]; argv++)
		if (args_is(*argv, option))
			return argv[1];
	return NULL;
}

/* Up to the next single comma; doubled ones become one. */
static char *take(const char **text, bool stop_at_equals)
{
	char *out = malloc(strlen(*text) + 1), *o = out;
	const char *p = *text;

	while (out && *p) {
		if (stop_at_equals && *p == '=')
			break;
		if (*p == ',' && p[1] != ',')
			break;
		if (*p == ',')
			p++;
		*o++ = *p++;
	}
	if (out)
		*o = 0;
	*text = p;
	return out;
}

json_t *args_parse(const char *text, const char *implied)
{
	json_t *opts;
	bool first = true;

	if (*text == '{')
		return json_loads(text, 0, NULL);
	opts = json_object();
	while (*text) {
		char *key = take(&text, true), *value;

		if (*text == '=') {
			text++;
			value = take(&text, false);
		} else if (first && implied) {
			value = key;
			key = strdup(implied);
		} else {
			value = strdup("on");
		}
		json_object_set_new(opts, key, json_string(value));
		free(key);
		free(value);
		if (*text == ',')
			text++;
		first = false;
	}
	return opts;
}

static void append(char **text, const char *sep, const char *key,
		   const char *value)
{
	size_t len = strlen(value);
	char *escaped = malloc(2 * len + 1), *e = escaped, *joined;

	for (const char *p = value; *p; p++) {
		if (*p == ',')
			*e++ = ',';
		*e++ = *p;
	}
	*e = 0;
	joined = mkpath("%s%s%s%s%s", *text, sep, key, *key ? "=" : "",
			escaped);
	free(*text);
	free(escaped);
	*text = joined;
}

/* The inverse of args_parse(). A value that is no string makes it JSON. */
char *args_format(json_t *opts, const char *implied, bool as_json)
{
	const char *key, *first = implied ? args_get(opts, implied) : NULL;
	char *text = strdup("");
	json_t *value;

	json_object_foreach(opts, key, value)
		if (!json_is_string(value))
			as_json = true;
	if (as_json) {
		free(text);
		return json_dumps(opts, JSON_COMPACT);
	}
	if (first)
		append(&text, "", "", first);
	json_object_foreach(opts, key, value)
		if (!first || strcmp(key, implied))
			append(&text, *text ? "," : "", key,
			       json_string_value(value));
	return text;
}

const char *args_get(json_t *opts, const char *key)
{
	return json_string_value(json_object_get(opts, key));
}

/*
 * Is @file, which the VMM has mapped, what a backend's mem-path names? It may
 * be the file or a directory, where QEMU makes one named after the backend.
 */
static bool is_backing(const char *mem_path, const char *id, const char *file)
{
	size_t n = strlen(mem_path);
	const char *base;

	if (!strcmp(mem_path, file))
		return true;
	while (n > 1 && mem_path[n - 1] == '/')
		n--;
	if (strncmp(mem_path, file, n) || file[n] != '/')
		return false;
	base = strstr(file + n + 1, id);
	return base && !strchr(file + n + 1, '/');
}

/* The id of the memory backend that lies on file @mem_path; to be freed. */
char *args_backend_of(char **argv, const char *mem_path)
{
	char *found = NULL;

	for (; argv && *argv && argv[1] && !found; argv++) {
		const char *id, *path;
		json_t *opts;

		if (!args_is(*argv, "object"))
			continue;
		opts = args_parse(argv[1], "qom-type");
		id = args_get(opts, "id");
		path = args_get(opts, "mem-path");
		if (id && path && is_backing(path, id, mem_path))
			found = strdup(id);
		json_decref(opts);
	}
	return found;
}
