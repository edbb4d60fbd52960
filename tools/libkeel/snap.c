// SPDX-License-Identifier: GPL-2.0
/* The ioctls of /dev/keel, each with its size filled in and errno returned. */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

#include "libkeel.h"

static int call(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg) < 0 ? -errno : 0;
}

/**
 * keel_snap_open() - begin a snapshot
 *
 * Return: a descriptor, whose close ends the snapshot, or a negative errno.
 */
int keel_snap_open(void)
{
	int fd = open(KEEL_DEVICE, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/** keel_snap_create() - set its parameters; @create->id is filled in */
int keel_snap_create(int fd, struct keel_snap_create *create)
{
	create->size = sizeof(*create);
	return call(fd, KEEL_SNAP_CREATE, create);
}

/**
 * keel_snap_add_file() - add a keelfs file
 * @fd: the snapshot
 * @file: the file, open for reading and writing
 * @bytes: (out, may be NULL) its size now
 *
 * Return: its index in records, or a negative errno.
 */
int keel_snap_add_file(int fd, int file, uint64_t *bytes)
{
	struct keel_snap_add_file add = { .size = sizeof(add), .fd = file };
	int err = call(fd, KEEL_SNAP_ADD_FILE, &add);

	if (err)
		return err;
	if (bytes)
		*bytes = add.bytes;
	return add.index;
}

/** keel_snap_prepare() - the slow work, with the guest running */
int keel_snap_prepare(int fd)
{
	return call(fd, KEEL_SNAP_PREPARE, NULL);
}

/**
 * keel_snap_arm() - fix the instant
 * @fd: the snapshot
 * @arm: @arm->timeout_ms in, the measurements out
 * @bytes: (out) file sizes at the instant, by index
 * @nr_bytes: room there
 */
int keel_snap_arm(int fd, struct keel_snap_arm *arm, uint64_t *bytes,
		  uint32_t nr_bytes)
{
	arm->size = sizeof(*arm);
	arm->bytes = (uintptr_t)bytes;
	arm->nr_bytes = nr_bytes;
	return call(fd, KEEL_SNAP_ARM, arm);
}

/** keel_snap_fetch() - take saved pages, give slots back */
int keel_snap_fetch(int fd, struct keel_snap_fetch *fetch)
{
	fetch->size = sizeof(*fetch);
	return call(fd, KEEL_SNAP_FETCH, fetch);
}

/** keel_snap_stat() - its numbers */
int keel_snap_stat(int fd, struct keel_snap_stat *stat)
{
	stat->size = sizeof(*stat);
	return call(fd, KEEL_SNAP_STAT, stat);
}

/**
 * keel_snap_abort() - give it up; the guest no longer meets it on return
 * @fd: the snapshot
 * @reason: KEEL_REASON_REQUESTED, or KEEL_REASON_DRAIN if the image could not
 *	be stored
 */
int keel_snap_abort(int fd, enum keel_snap_reason reason)
{
	return call(fd, KEEL_SNAP_ABORT, (void *)(uintptr_t)reason);
}
