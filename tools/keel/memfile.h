/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KEEL_MEMFILE_H
#define KEEL_MEMFILE_H

#include <jansson.h>
#include <sys/types.h>

#include "libkeel.h"

/* One keelfs file of a VM, and the file of the image it goes to. */
struct memfile {
	dev_t dev;
	ino_t ino;
	int fd;
	char *path;		/* as the VMM sees it */
	char *backend;		/* QEMU's object id, or NULL */
	char *name;		/* in the image */
	uint64_t size;
	int image_fd;
};

struct memfiles {
	struct memfile *v;
	int nr;
	uint64_t elsewhere;	/* writable guest memory not on keelfs */
};

int memfiles_settle(struct keel *keel, struct keel_vm *vm);
int memfiles_open(struct memfiles *files, const struct keel_vm *vm,
		  bool whole_guest);
int memfiles_check(struct memfiles *files, const struct keel_vm *vm);
uint64_t memfiles_bytes(const struct memfiles *files);
void memfiles_close(struct memfiles *files);
json_t *memfile_json(const struct memfile *f, const struct keel_vm *vm);

#endif
