/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KEEL_SNAPSHOT_H
#define KEEL_SNAPSHOT_H

#include <jansson.h>

int snapshot_create(int argc, char **argv);
int snapshot_restore(int argc, char **argv);
int snapshot_verify(int argc, char **argv);
extern const char snapshot_create_help[];
extern const char snapshot_restore_help[];

/* stats.c: the "statistics" of a manifest, as text */
void stats_print(json_t *stats);
json_t *host_cpu_json(void);

/* snapshot_verify.c: all of the image, or only what is quick to see */
int image_verify(const char *dir, json_t *manifest, bool memory);

#endif
