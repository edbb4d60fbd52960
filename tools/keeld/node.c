// SPDX-License-Identifier: GPL-2.0
/* A VF's node in /dev/vfio is the VMM's user's as long as the VM has the VF. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

/**
 * node_give - let a VMM's user open a VF
 * @pci: the VF
 * @pid: the VMM
 *
 * Return: 0, or -1 after fail().
 */
int node_give(const char *pci, uint32_t pid)
{
	char *proc = mkpath("/proc/%u", pid), *path = node_path(pci);
	struct stat vmm;
	int err = 0;

	if (!path || stat(proc, &vmm))
		err = fail("%s: %s", path ? proc : pci, strerror(errno));
	else if (chown(path, vmm.st_uid, vmm.st_gid))
		err = fail("%s: %s", path, strerror(errno));
	free(path);
	free(proc);
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
