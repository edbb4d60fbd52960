/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KEEL_PLACE_H
#define KEEL_PLACE_H

#include <jansson.h>

#include "libkeel.h"
#include "memory.h"
#include "sim.h"

int place_start(int argc, char **argv);
int place_stop(int argc, char **argv);
int place_on(int argc, char **argv);
int place_off(int argc, char **argv);
int place_advise(int argc, char **argv);
int place_status(int argc, char **argv);
int place_explain_verb(int argc, char **argv);
int place_memory_verb(int argc, char **argv);
int place_record(int argc, char **argv);
int place_replay(int argc, char **argv);
int place_matrix(int argc, char **argv);
int place_simulate(int argc, char **argv);
extern const char place_simulate_help[];

/* place_json.c */
int place_keys(json_t *o, const char *known, const char *where, ...)
	__attribute__((format(printf, 3, 4)));
int place_read_latency(json_t *rows, const char *key, u32 n, u32 *latency);

/* A VM of a scenario; its tasks are @first to @first + @vcpus. */
struct scenario_vm {
	const char *name;
	u32 first, vcpus;
	json_t *changes;
};

/* place_scenario.c: a host and its guests, out of a JSON file */
struct scenario {
	json_t *root;
	struct place_host host;
	u32 *latency;
	struct place_site *site;
	struct scenario_vm *vm;
	u32 nr_vms, nr_tasks;
	u32 periods;
	struct sim sim;
};

int scenario_load(struct scenario *s, const char *path);
int scenario_change(struct scenario *s, u32 period);
void scenario_free(struct scenario *s);

#endif
