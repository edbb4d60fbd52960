// SPDX-License-Identifier: GPL-2.0
/* /etc/keel/keel.conf: a JSON object. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include <jansson.h>

#include "conf.h"
#include "keel.h"

struct conf conf = {
	.unplug_ms = 10000, .retry_ms = 5000,
	.ovsdb = "/run/openvswitch/db.sock",
};

static int read_qmp(const char *path, json_t *list)
{
	char **v = calloc(json_array_size(list) + 1, sizeof(*v));
	json_t *each;
	size_t i;

	if (!v)
		return fail("out of memory");
	json_array_foreach(list, i, each) {
		if (!json_is_string(each) || json_string_value(each)[0] != '/') {
			strv_free(v);
			return bad("%s: \"qmp\" must be a list of paths of monitors, such as \"/run/vm/%%n.qmp\"",
				   path);
		}
		v[i] = strdup(json_string_value(each));
	}
	strv_free(conf.qmp);
	conf.qmp = v;
	return 0;
}

static int read_ms(const char *path, const char *key, json_t *value,
		   unsigned int *ms)
{
	json_int_t n = json_integer_value(value);

	if (!json_is_integer(value) || n < 1 || n > 3600000)
		return bad("%s: \"%s\" must be from 1 to 3600000 milliseconds",
			   path, key);
	*ms = n;
	return 0;
}

static int read_ovsdb(const char *path, json_t *value)
{
	const char *socket = json_string_value(value);

	if (json_is_null(value)) {
		conf.ovsdb = NULL;
		return 0;
	}
	if (!socket || socket[0] != '/' ||
	    strlen(socket) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return bad("%s: \"ovsdb\" must be the path of a socket, or null",
			   path);
	conf.ovsdb = strdup(socket);
	return conf.ovsdb ? 0 : fail("out of memory");
}

static int read_key(const char *path, const char *key, json_t *value)
{
	if (!strcmp(key, "qmp"))
		return json_is_array(value) ? read_qmp(path, value) :
		       bad("%s: \"qmp\" must be a list", path);
	if (!strcmp(key, "unplug_ms"))
		return read_ms(path, key, value, &conf.unplug_ms);
	if (!strcmp(key, "retry_ms"))
		return read_ms(path, key, value, &conf.retry_ms);
	if (!strcmp(key, "ovsdb"))
		return read_ovsdb(path, value);
	return bad("%s: no such key \"%s\"; there are qmp, unplug_ms, retry_ms, ovsdb",
		   path, key);
}

/**
 * conf_read - take a configuration in
 * @path: the file
 * @must: must it be there?
 *
 * Return: 0, or -1 after bad() or fail().
 */
int conf_read(const char *path, bool must)
{
	json_error_t why;
	json_t *root, *value;
	const char *key;
	int err = 0;

	if (!must && access(path, F_OK))
		return 0;
	root = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
	if (!root)
		return bad("%s: line %d: %s", path, why.line, why.text);
	if (!json_is_object(root))
		err = bad("%s: must be a JSON object", path);
	json_object_foreach(root, key, value)
		err = err ?: read_key(path, key, value);
	json_decref(root);
	return err;
}
