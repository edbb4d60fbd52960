/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One print layer: each call names a value once, and it comes out as text or,
 * under -j, as a member of the JSON document.
 *
 * In text a value is printed by its format; a NULL format prints nothing. In
 * JSON, keys are NULL inside an array.
 */
#ifndef KEEL_OUT_H
#define KEEL_OUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

extern bool out_json;

void out_object(const char *key);
void out_array(const char *key);
void out_end(void);
void out_str(const char *key, const char *fmt, const char *value);
void out_u64(const char *key, const char *fmt, uint64_t value);
void out_int(const char *key, const char *fmt, int64_t value);
void out_real(const char *key, const char *fmt, double value);
void out_bool(const char *key, const char *text, bool value);
void out_size(const char *key, const char *fmt, uint64_t bytes);
void out_ms(const char *key, const char *fmt, uint64_t ns);
void out_value(const char *key, json_t *value);		/* steals, JSON only */
void out_text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void out_flush(void);
void out_discard(void);
void out_error(const char *text, int code);

#endif
