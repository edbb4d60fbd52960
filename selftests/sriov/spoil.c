// SPDX-License-Identifier: GPL-2.0
/* See spoil.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spoil.h"

#define DEEP	3000	/* deeper than the library lets values be */

static uint64_t state;

void random_begin(uint64_t seed)
{
	state = seed;
}

uint32_t below(uint32_t n)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (state >> 33) % n;
}

void text_add(struct text *t, const char *bytes, size_t len)
{
	if (t->room <= t->len + len) {
		t->room = 2 * t->room + len + 1;
		t->at = realloc(t->at, t->room);
		if (!t->at)
			abort();
	}
	if (len)
		memcpy(t->at + t->len, bytes, len);
	t->len += len;
	t->at[t->len] = 0;
}

void text_add_often(struct text *t, const char *what, size_t nr)
{
	while (nr--)
		text_add(t, what, strlen(what));
}

/* Quotes are written as ', to be read. */
void text_print(struct text *t, const char *fmt, ...)
{
	char *text;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	for (char *p = text; *p; p++)
		if (*p == '\'')
			*p = '"';
	text_add(t, text, strlen(text));
	free(text);
}

/* Steals @value. */
void text_json(struct text *t, json_t *value)
{
	char *text = json_dumps(value, below(4) ? JSON_COMPACT : 0);

	if (!text)
		abort();
	text_add(t, text, strlen(text));
	free(text);
	json_decref(value);
}

void text_free(struct text *t)
{
	free(t->at);
	*t = (struct text){ 0 };
}

static json_t *long_string(void)
{
	static const char *const of[] = { "x", "0", "\xc3\xbc", "\\", "\"", "%n", "\n\x1b[2J" };
	const char *each = of[below(7)];
	size_t len = strlen(each), nr = 1 + (below(16) ? below(40) : below(20000));
	char *s = malloc(len * nr + 1);
	json_t *value;

	if (!s)
		abort();
	for (size_t i = 0; i < nr; i++)
		memcpy(s + i * len, each, len);
	s[len * nr] = 0;
	value = json_string(s);
	free(s);
	return value;
}

static json_t *nested(void)
{
	json_t *value = json_null();

	for (uint32_t i = 1 + below(200); i; i--)
		value = below(2) ? json_pack("[o]", value) :
				   json_pack("{s:o}", "name", value);
	return value;
}

static json_t *another(json_t *value)
{
	switch (below(16)) {
	case 0:		return json_null();
	case 1:		return json_true();
	case 2:		return json_integer(0);
	case 3:		return json_integer(-1);
	case 4:		return json_integer(INT64_MAX);
	case 5:		return json_integer(INT64_MIN);
	case 6:		return json_real(1e308);
	case 7:		return json_string("");
	case 8:		return json_array();
	case 9:		return json_object();
	case 10:	return nested();
	case 11:	return json_pack("[O,O]", value, value);
	case 12:	return json_pack("[s,[O,n,O]]", "set", value, value);
	case 13:	return json_pack("[s,O]", "uuid", value);
	case 14:	return json_pack("{s:O}", "new", value);
	default:	return long_string();
	}
}

static size_t count(json_t *value)
{
	size_t nr = 1, i;
	const char *key;
	json_t *each;

	json_object_foreach(value, key, each)
		nr += count(each);
	json_array_foreach(value, i, each)
		nr += count(each);
	return nr;
}

/* The value that is the number @at, counted down. */
static json_t *find(json_t *value, size_t *at)
{
	json_t *each, *found = NULL;
	const char *key;
	size_t i;

	if (!(*at)--)
		return value;
	json_object_foreach(value, key, each)
		if (!found)
			found = find(each, at);
	json_array_foreach(value, i, each)
		if (!found)
			found = find(each, at);
	return found;
}

static json_t *any(json_t *value)
{
	size_t at = below(count(value));

	return find(value, &at);
}

static void spoil_object(json_t *object, json_t *root)
{
	void *iter = json_object_iter(object);
	char *key;

	for (uint32_t i = below(json_object_size(object)); i; i--)
		iter = json_object_iter_next(object, iter);
	key = strdup(json_object_iter_key(iter));
	if (!key)
		abort();
	switch (below(4)) {
	case 0:
		json_object_del(object, key);
		break;
	case 1:
		json_object_set_new(object, "", json_deep_copy(any(root)));
		break;
	case 2:
		json_object_set_new(object, key, json_deep_copy(any(root)));
		break;
	default:
		json_object_set_new(object, key, another(json_object_get(object, key)));
	}
	free(key);
}

static void spoil_array(json_t *array, json_t *root)
{
	size_t at = below(json_array_size(array));

	switch (below(5)) {
	case 0:
		json_array_remove(array, at);
		break;
	case 1:
		json_array_insert_new(array, at, json_deep_copy(any(root)));
		break;
	case 2:
		json_array_set_new(array, at, json_deep_copy(any(root)));
		break;
	case 3:
		for (uint32_t i = below(50); i; i--)
			json_array_append(array, json_array_get(array, at));
		break;
	default:
		json_array_set_new(array, at, another(json_array_get(array, at)));
	}
}

json_t *spoil_value(json_t *value)
{
	json_t *at = any(value);

	for (int i = 0; i < 20 && !json_object_size(at) && !json_array_size(at); i++)
		at = any(value);
	if (json_object_size(at)) {
		spoil_object(at, value);
	} else if (json_array_size(at)) {
		spoil_array(at, value);
	} else {
		at = another(value);
		json_decref(value);
		value = at;
	}
	return value;
}

/* So many bytes at @at are @with instead. */
static void replace(struct text *t, size_t at, size_t nr, const char *with, size_t len)
{
	struct text new = { 0 };

	text_add(&new, t->at, at);
	text_add(&new, with, len);
	text_add(&new, t->at + at + nr, t->len - at - nr);
	text_free(t);
	*t = new;
}

static void repeat(struct text *t, size_t at, size_t nr)
{
	char *copy = malloc(nr + 1);

	if (!copy)
		abort();
	memcpy(copy, t->at + at, nr);
	replace(t, at, 0, copy, nr);
	free(copy);
}

/* A member of an object comes twice. */
static void repeat_member(struct text *t, size_t from)
{
	char *begin = memchr(t->at + from, '"', t->len - from);
	char *end = begin ? memchr(begin, ',', t->at + t->len - begin) : NULL;

	if (end)
		repeat(t, begin - t->at, end + 1 - begin);
}

static void deepen(struct text *t, size_t at)
{
	char many[DEEP];

	memset(many, below(2) ? '[' : '{', sizeof(many));
	replace(t, at, 0, many, sizeof(many));
}

void spoil_text(struct text *t)
{
	static const char bytes[] = "{}[]\",:\\\n \t\0\1\177\200\303\3770-eE.ntfu";
	size_t at, nr;

	if (!t->len)
		return;
	at = below(t->len);
	nr = below(t->len - at < 40 ? t->len - at : 40);
	switch (below(8)) {
	case 0:
		t->len = at;
		break;
	case 1:
		t->at[at] ^= 1 << below(8);
		break;
	case 2:
		replace(t, at, 0, bytes + below(sizeof(bytes)), 1);
		break;
	case 3:
		t->at[at] = bytes[below(sizeof(bytes))];
		break;
	case 4:
		replace(t, at, nr, "", 0);
		break;
	case 5:
		repeat(t, at, nr);
		break;
	case 6:
		repeat_member(t, at);
		break;
	default:
		deepen(t, at);
	}
}
