/* SPDX-License-Identifier: GPL-2.0 */
/*
 * QEMU's options: "a=b,c=d" (a comma in a value is doubled, the first word may
 * lack its key) or a JSON object, both as one json_t object of strings or more.
 */
#ifndef KEEL_ARGS_H
#define KEEL_ARGS_H

#include <jansson.h>
#include <stdbool.h>

json_t *args_parse(const char *text, const char *implied);
char *args_format(json_t *opts, const char *implied, bool as_json);
const char *args_get(json_t *opts, const char *key);
bool args_is(const char *arg, const char *option);
char *args_backend_of(char **argv, const char *mem_path);
const char *args_value(char **argv, const char *option);

#endif
