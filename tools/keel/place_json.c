// SPDX-License-Identifier: GPL-2.0
/* What the files that keel place reads have in common. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keel.h"
#include "place.h"

/* Is @word one of @list, which has ", " between them? */
static bool is_listed(const char *list, const char *word)
{
	size_t len, n = strlen(word);

	for (;; list += len + 2) {
		len = strcspn(list, ",");
		if (len == n && !memcmp(list, word, n))
			return true;
		if (!list[len])
			return false;
	}
}

/**
 * place_keys - refuse what is no object, and keys that nobody reads
 * @o: what should be an object
 * @known: the keys it may have, with ", " between them
 * @where: it is in the file, for people
 */
int place_keys(json_t *o, const char *known, const char *where, ...)
{
	const char *key;
	bool right = json_is_object(o);
	char *at;
	json_t *v;
	va_list ap;

	json_object_foreach(o, key, v)
		if (!is_listed(known, key))
			break;
	if (right && !key)
		return 0;
	va_start(ap, where);
	if (vasprintf(&at, where, ap) < 0)
		abort();
	va_end(ap);
	if (right)
		bad("%s: no such key \"%s\"; there are %s", at, key, known);
	else
		bad("%s: must be an object of %s", at, known);
	free(at);
	return -1;
}

/**
 * place_read_latency - a latency matrix out of JSON
 * @rows: @n lists of @n numbers, ns
 * @key: what it is called in the file
 * @n: nodes
 * @latency: (out) @n by @n, tenths of ns
 */
int place_read_latency(json_t *rows, const char *key, u32 n, u32 *latency)
{
	json_t *row, *cell;
	size_t i, k;
	double ns;

	if (json_array_size(rows) != n)
		return bad("\"%s\" must have a row for each of the %u nodes",
			   key, n);
	json_array_foreach(rows, i, row) {
		if (json_array_size(row) != n)
			return bad("row %zu of \"%s\" must have a number for each of the %u nodes",
				   i, key, n);
		json_array_foreach(row, k, cell) {
			ns = json_number_value(cell);
			if (!(ns >= 0.1 && ns <= PLACE_LATENCY_MAX / 10.0))
				return bad("\"%s\" from node %zu to node %zu must be from 0.1 to %.1f ns",
					   key, i, k, PLACE_LATENCY_MAX / 10.0);
			latency[i * n + k] = ns * 10 + 0.5;
		}
	}
	return 0;
}
