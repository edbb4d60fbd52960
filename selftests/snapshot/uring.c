// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/io_uring.h>

#include "keeltest.h"
#include "uring.h"

#define ENTRIES	8

static size_t max_size(size_t a, size_t b)
{
	return a > b ? a : b;
}

int uring_open(struct uring *u)
{
	struct io_uring_params p = {};

	memset(u, 0, sizeof(*u));
	u->fd = syscall(SYS_io_uring_setup, ENTRIES, &p);
	if (u->fd < 0)
		return -errno;
	/* One mapping for both rings since 5.4 (IORING_FEAT_SINGLE_MMAP). */
	u->ring_size = max_size(p.sq_off.array + p.sq_entries * sizeof(int),
				p.cq_off.cqes +
				p.cq_entries * sizeof(struct io_uring_cqe));
	u->ring = mmap(NULL, u->ring_size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_POPULATE, u->fd, IORING_OFF_SQ_RING);
	u->sqes_size = p.sq_entries * sizeof(struct io_uring_sqe);
	u->sqes = mmap(NULL, u->sqes_size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_POPULATE, u->fd, IORING_OFF_SQES);
	if (u->ring == MAP_FAILED || u->sqes == MAP_FAILED)
		return -errno;
	u->sq_tail = u->ring + p.sq_off.tail;
	u->sq_mask = u->ring + p.sq_off.ring_mask;
	u->sq_array = u->ring + p.sq_off.array;
	u->cq_head = u->ring + p.cq_off.head;
	u->cq_tail = u->ring + p.cq_off.tail;
	u->cq_mask = u->ring + p.cq_off.ring_mask;
	u->cqes = u->ring + p.cq_off.cqes;
	return 0;
}

void uring_close(struct uring *u)
{
	if (u->fd < 0)
		return;
	munmap(u->sqes, u->sqes_size);
	munmap(u->ring, u->ring_size);
	close(u->fd);
	u->fd = -1;
}

int uring_pin(struct uring *u, void *p, size_t len)
{
	struct iovec v = { p, len };

	return syscall(SYS_io_uring_register, u->fd, IORING_REGISTER_BUFFERS,
		       &v, 1) ? -errno : 0;
}

int uring_unpin(struct uring *u)
{
	return syscall(SYS_io_uring_register, u->fd, IORING_UNREGISTER_BUFFERS,
		       NULL, 0) ? -errno : 0;
}

int uring_read_fixed(struct uring *u, int fd, void *p, size_t len)
{
	unsigned int tail = *u->sq_tail, i = tail & *u->sq_mask, head;
	int ret;

	u->sqes[i] = (struct io_uring_sqe) {
		.opcode = IORING_OP_READ_FIXED,
		.fd = fd,
		.addr = (uintptr_t)p,
		.len = len,
		.buf_index = 0,
	};
	u->sq_array[i] = i;
	__atomic_store_n(u->sq_tail, tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, u->fd, 1, 1, IORING_ENTER_GETEVENTS,
		    NULL, 0) != 1)
		return -errno;
	head = *u->cq_head;
	if (head == __atomic_load_n(u->cq_tail, __ATOMIC_ACQUIRE))
		return -EIO;
	ret = u->cqes[head & *u->cq_mask].res;
	__atomic_store_n(u->cq_head, head + 1, __ATOMIC_RELEASE);
	return ret;
}
