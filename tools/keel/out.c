// SPDX-License-Identifier: GPL-2.0
/*
 * The document under construction is a stack of open containers; the outermost
 * is printed by out_flush(). Printing as we go would be simpler, but a failure
 * half way must leave one JSON object, the error.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "keel.h"
#include "out.h"

#define DEPTH 8

bool out_json;

static json_t *stack[DEPTH];
static int depth;

static void add(const char *key, json_t *value)
{
	json_t *top;

	if (!depth) {
		json_decref(value);
		return;
	}
	top = stack[depth - 1];
	if (json_is_array(top))
		json_array_append_new(top, value);
	else
		json_object_set_new(top, key, value);
}

static void open_container(const char *key, json_t *value)
{
	if (depth == DEPTH)
		abort();
	if (depth)
		add(key, json_incref(value));
	stack[depth++] = value;
}

void out_object(const char *key)
{
	if (out_json)
		open_container(key, json_object());
}

void out_array(const char *key)
{
	if (out_json)
		open_container(key, json_array());
}

void out_end(void)
{
	if (!out_json || depth <= 1)
		return;
	json_decref(stack[--depth]);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
void out_str(const char *key, const char *fmt, const char *value)
{
	if (out_json)
		add(key, value ? json_string_nocheck(value) : json_null());
	else if (fmt)
		printf(fmt, value ? value : "-");
}

void out_u64(const char *key, const char *fmt, uint64_t value)
{
	if (out_json)
		add(key, json_integer(value));
	else if (fmt)
		printf(fmt, (unsigned long long)value);
}

void out_int(const char *key, const char *fmt, int64_t value)
{
	if (out_json)
		add(key, json_integer(value));
	else if (fmt)
		printf(fmt, (long long)value);
}

void out_size(const char *key, const char *fmt, uint64_t bytes)
{
	char text[32];

	if (out_json)
		add(key, json_integer(bytes));
	else if (fmt)
		printf(fmt, size_text(bytes, text, sizeof(text)));
}

void out_ms(const char *key, const char *fmt, uint64_t ns)
{
	if (out_json)
		add(key, json_integer(ns));
	else if (fmt)
		printf(fmt, ns / 1e6);
}

void out_real(const char *key, const char *fmt, double value)
{
	if (out_json)
		add(key, json_real(value));
	else if (fmt)
		printf(fmt, value);
}

#pragma GCC diagnostic pop

void out_bool(const char *key, const char *text, bool value)
{
	if (out_json)
		add(key, json_boolean(value));
	else if (text && value)
		fputs(text, stdout);
}

void out_value(const char *key, json_t *value)
{
	if (out_json)
		add(key, value);
	else
		json_decref(value);
}

void out_text(const char *fmt, ...)
{
	va_list ap;

	if (out_json)
		return;
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
}

void out_flush(void)
{
	if (depth) {
		json_dumpf(stack[0], stdout, JSON_COMPACT);
		putchar('\n');
		out_discard();
	}
	fflush(stdout);
}

void out_discard(void)
{
	while (depth)
		json_decref(stack[--depth]);
}

void out_error(const char *text, int code)
{
	fflush(stdout);
	if (!out_json) {
		fprintf(stderr, "keel: %s\n", text);
		return;
	}
	out_discard();
	out_object(NULL);
	out_str("error", NULL, text);
	out_int("code", NULL, code);
	out_flush();
}
