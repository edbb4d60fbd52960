/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KEEL_RESTORE_H
#define KEEL_RESTORE_H

#include <jansson.h>
#include <stdbool.h>

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

#endif
