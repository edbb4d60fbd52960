/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KEEL_IMAGE_H
#define KEEL_IMAGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define IMAGE_FORMAT	1
#define IMAGE_BLOCK	(4U << 20)	/* bytes under one checksum */
#define IMAGE_MANIFEST	"manifest.json"
#define IMAGE_DEVICE	"device.state"
#define IMAGE_LOCK	"lock"
#define IMAGE_LOG	"log"

struct image {
	char *dir;		/* what it will be */
	char *partial;		/* what it is until then */
	int dirfd;
	int lock;		/* held by whoever writes it */
	bool quiet;
};

enum image_state {
	IMAGE_NONE,		/* there is nothing */
	IMAGE_WHOLE,
	IMAGE_WRITING,		/* partial, and its writer lives */
	IMAGE_PARTIAL,		/* partial, and its writer is gone */
};

/* image.c */
int image_begin(struct image *img, const char *dir);
int image_file(struct image *img, const char *name, uint64_t size);
int image_own(struct image *img, uint32_t snapshot);
int image_commit(struct image *img);
void image_discard(struct image *img);
void image_close(struct image *img);
enum image_state image_state(const char *dir, uint32_t *pid,
			     uint32_t *snapshot);
char *image_whole(const char *dir);

/* manifest.c */
int manifest_write(struct image *img, json_t *manifest);
json_t *manifest_load(const char *dir, bool check_digest);
char *manifest_digest(json_t *manifest);

/* checksum.c */
json_t *checksum_ram(int fd, uint64_t size);
int checksum_file(int fd, uint64_t *sum);
int checksum_block(int fd, uint64_t off, uint64_t len, void *buf,
		   uint64_t *sum, bool *zero);
char *checksum_text(uint64_t sum, char buf[17]);

#endif
