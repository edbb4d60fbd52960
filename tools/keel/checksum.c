// SPDX-License-Identifier: GPL-2.0
/*
 * XXH3-64 over blocks of IMAGE_BLOCK bytes. A block that is all zero has no
 * sum, whether it is a hole or not, so that copying an image with a tool that
 * fills or digs holes changes nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "image.h"
#include "keel.h"

char *checksum_text(uint64_t sum, char buf[17])
{
	snprintf(buf, 17, "%016llx", (unsigned long long)sum);
	return buf;
}

static bool all_zero(const char *p, size_t len)
{
	return !len || (!p[0] && !memcmp(p, p + 1, len - 1));
}

/* errno 0: the file ends early. */
static int read_full(int fd, char *buf, size_t len, uint64_t off)
{
	while (len) {
		ssize_t n = pread(fd, buf, len, off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = 0;
		if (n <= 0)
			return -1;
		buf += n;
		off += n;
		len -= n;
	}
	return 0;
}

int checksum_block(int fd, uint64_t off, uint64_t len, void *buf,
		   uint64_t *sum, bool *zero)
{
	off_t data = lseek(fd, off, SEEK_DATA);

	*sum = 0;
	*zero = true;
	if ((data < 0 && errno == ENXIO) || data >= (off_t)(off + len))
		return 0;
	if (read_full(fd, buf, len, off))
		return -1;
	*zero = all_zero(buf, len);
	if (!*zero)
		*sum = XXH3_64bits(buf, len);
	return 0;
}

/* An array with a sum or null for each block. */
json_t *checksum_ram(int fd, uint64_t size)
{
	json_t *blocks = json_array();
	char *buf = malloc(IMAGE_BLOCK);
	char text[17];

	for (uint64_t off = 0; buf && off < size; off += IMAGE_BLOCK) {
		uint64_t len = size - off < IMAGE_BLOCK ? size - off : IMAGE_BLOCK;
		uint64_t sum;
		bool zero;

		if (stop_signal || checksum_block(fd, off, len, buf, &sum, &zero)) {
			fail("reading back what was written: %s", stop_signal ?
			     "interrupted" : strerror(errno));
			json_decref(blocks);
			blocks = NULL;
			break;
		}
		json_array_append_new(blocks, zero ? json_null() :
				      json_string(checksum_text(sum, text)));
	}
	free(buf);
	return blocks;
}

int checksum_file(int fd, uint64_t *sum)
{
	XXH3_state_t *state = XXH3_createState();
	char *buf = malloc(1 << 16);
	uint64_t off = 0;
	ssize_t n = -1;

	XXH3_64bits_reset(state);
	while (buf && (n = pread(fd, buf, 1 << 16, off)) > 0) {
		XXH3_64bits_update(state, buf, n);
		off += n;
	}
	*sum = XXH3_64bits_digest(state);
	XXH3_freeState(state);
	free(buf);
	return n < 0 ? -1 : 0;
}
