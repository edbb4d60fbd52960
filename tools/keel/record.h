/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KEEL_RECORD_H
#define KEEL_RECORD_H

#include <jansson.h>
#include <stdint.h>

/* Where a snapshot goes and how it ended, by id, for show, wait and abort. */
void record_write(uint32_t id, const char *dir, const char *state,
		  const char *error);
json_t *record_read(uint32_t id);

#endif
