/* SPDX-License-Identifier: GPL-2.0 */
/* Messages of JSON, and how they become something else. */
#ifndef SPOIL_H
#define SPOIL_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct text {
	char *at;		/* with a NUL behind it */
	size_t len, room;
};

void text_add(struct text *t, const char *bytes, size_t len);
void text_add_often(struct text *t, const char *what, size_t nr);
void text_print(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void text_json(struct text *t, json_t *value);
void text_free(struct text *t);

/* Of a seed, which is printed, so that what failed can be had again. */
void random_begin(uint64_t seed);
uint32_t below(uint32_t n);

/* Something in a value becomes something else; @value is stolen. */
json_t *spoil_value(json_t *value);
void spoil_text(struct text *t);

#endif
