/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KEEL_RESTORE_H
#define KEEL_RESTORE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "qmp.h"

/* A command being rewritten: owned strings, NULL-terminated. */
struct command {
	char **argv;
	int argc;
};

struct restore_disk {
	const char *name;	/* device or node name, as the manifest has it */
	const char *node;
	const char *base;	/* frozen: never written */
	const char *format;
	json_t *chain;		/* what the command may call it instead */
	const char *recorded;
	char *overlay;		/* the restored guest's own */
	bool placed;
};

struct restore {
	const char *qmp_path;
	const char *run_base;
	bool daemon, dry_run, verify, ignore_cpu;
	struct restore_disk *disks;
	int nr_disks;
	char *dir;
	char *run;		/* the run directory */
	char *log;		/* QEMU's stderr */
	json_t *manifest;
	json_t *moved;		/* --disk */
	struct command cmd;
	struct qmp q;
	pid_t qemu, tee;
	uint64_t begin_ns;
};

/* restore_args.c */
void command_copy(struct command *cmd, char **argv);
void command_add(struct command *cmd, const char *word);
void command_drop(struct command *cmd, int at, int nr);
void command_set(struct command *cmd, int at, char *word);
void command_free(struct command *cmd);
int restore_memory(struct command *cmd, json_t *manifest, const char *dir,
		   bool readonly_rom);
void restore_strip(struct command *cmd);

/* restore_disk.c */
int restore_disks(struct command *cmd, struct restore_disk *disks, int nr);

/* restore_check.c */
int restore_check_cpu(json_t *manifest, char **argv, bool ignore);

/* restore_qemu.c, in the order they are called */
int restore_start(struct restore *r);
int restore_load(struct restore *r);
void restore_blame(struct restore *r);
int restore_follow(struct restore *r);

#endif
