/* SPDX-License-Identifier: GPL-2.0 */
/* One "snapshot create", shared by its three files. */
#ifndef KEEL_CREATE_H
#define KEEL_CREATE_H

#include "drain.h"
#include "guest.h"
#include "image.h"
#include "keel.h"
#include "memfile.h"

struct create {
	struct keel *keel;
	struct keel_vm vm;
	char *vm_name;
	struct keel_snap_create params;
	struct keel_snap_arm arm;
	struct memfiles files;
	struct image img;
	struct guest guest;
	struct drain drain;
	const char *dir;
	bool no_wait;
	int ready;		/* --no-wait: tells the parent to leave */
	int snap;
	json_t *cmdline;	/* before the guest can go away */
};

/* create_args.c */
int create_parse(struct create *c, int argc, char **argv);

/* create_manifest.c */
json_t *create_manifest(struct create *c);
json_t *create_stats(const struct create *c);

#endif
