/* SPDX-License-Identifier: GPL-2.0 */
/*
 * As much of io_uring as pins memory: one registered buffer, one request at a
 * time, by bare system calls. Functions return 0 or a count, or -errno.
 */
#ifndef URING_H
#define URING_H

#include <stddef.h>

struct uring {
	int fd;
	unsigned int *sq_tail, *sq_mask, *sq_array;
	unsigned int *cq_head, *cq_tail, *cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
	void *ring;
	size_t ring_size, sqes_size;
};

int uring_open(struct uring *u);
void uring_close(struct uring *u);
/* Pin [@p, @p + @len) for good, as buffer 0. */
int uring_pin(struct uring *u, void *p, size_t len);
int uring_unpin(struct uring *u);
/* Read @len bytes of @fd from 0 into the pinned buffer at @p. */
int uring_read_fixed(struct uring *u, int fd, void *p, size_t len);

#endif
