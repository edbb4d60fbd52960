// SPDX-License-Identifier: GPL-2.0
/*
 * What a VMM that is not root's needs to have a VF: its node in /dev/vfio is the VMM's
 * user's as long as the VM has the VF, and the guest's memory may be locked.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "keeld.h"

/* To be freed; NULL without an IOMMU group. */
static char *node_path(const char *pci)
{
	char *link = mkpath("/sys/bus/pci/devices/%s/iommu_group", pci);
	char target[256];
	ssize_t n = readlink(link, target, sizeof(target) - 1);
	char *group;

	free(link);
	if (n < 0)
		return NULL;
	target[n] = 0;
	group = strrchr(target, '/');
	return mkpath("/dev/vfio/%s", group ? group + 1 : target);
}

/* The second number, the effective one, of "Uid:" and of "Gid:" in a status. */
static int parse_ids(const char *status, uid_t *uid, gid_t *gid)
{
	const char *u = strstr(status, "\nUid:"), *g = strstr(status, "\nGid:");

	return u && g && sscanf(u, "\nUid: %*u %u", uid) == 1 &&
	       sscanf(g, "\nGid: %*u %u", gid) == 1 ? 0 : -1;
}

/*
 * Who runs a VMM. The owner of its directory in /proc is root where the VMM has
 * changed its user itself.
 */
static int ids_of(uint32_t pid, uid_t *uid, gid_t *gid)
{
	char *path = mkpath("/proc/%u/status", pid);
	char *status = read_text(path, NULL);
	int err = status ? parse_ids(status, uid, gid) : -1;

	if (err)
		fail("%s: %s", path, status ? "names no user" : strerror(errno));
	free(status);
	free(path);
	return err;
}

/**
 * node_give - let a VMM's user open a VF
 * @pci: the VF
 * @pid: the VMM
 *
 * Return: 0, or -1 after fail().
 */
int node_give(const char *pci, uint32_t pid)
{
	char *path = node_path(pci);
	uid_t uid;
	gid_t gid;
	int err;

	if (!path)
		return fail("%s: it is in no IOMMU group", pci);
	err = ids_of(pid, &uid, &gid);
	if (!err && chown(path, uid, gid))
		err = fail("%s: %s", path, strerror(errno));
	free(path);
	return err;
}

/** node_take_back - it is root's again */
void node_take_back(const char *pci)
{
	char *path = node_path(pci);

	/* It may have gone, with the driver. */
	if (path && chown(path, 0, 0) && errno != ENOENT)
		say("%s: %s", path, strerror(errno));
	free(path);
}

/* What a VMM locks beside the guest's memory: ROMs, registers of other devices. */
#define LOCK_MORE	(1ULL << 30)

/**
 * node_let_lock - let a VMM lock the memory of its guest
 * @pid: the VMM
 * @bytes: of memory
 *
 * A device reaches all of a guest's memory, so VFIO locks that, and it counts against
 * the VMM's RLIMIT_MEMLOCK. The limit is never lowered, for memory stays locked as long as
 * any device is plugged in.
 *
 * Return: 0, or -1 after fail().
 */
int node_let_lock(uint32_t pid, uint64_t bytes)
{
	struct rlimit limit;

	if (prlimit(pid, RLIMIT_MEMLOCK, NULL, &limit))
		return fail("memory lock limit of %u: %s", pid, strerror(errno));
	bytes += LOCK_MORE;
	if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= bytes)
		return 0;
	limit.rlim_cur = bytes;
	if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < bytes)
		limit.rlim_max = bytes;
	return prlimit(pid, RLIMIT_MEMLOCK, &limit, NULL) ?
	       fail("memory lock limit of %u: %s", pid, strerror(errno)) : 0;
}
