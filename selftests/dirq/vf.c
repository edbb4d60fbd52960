// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "vf.h"

/*
 * Intel 82576 datasheet, "Virtual Function Registers": set, enable, clear by itself;
 * how long to wait for the next; the vector of letters from the PF.
 */
#define VTEICS		0x1520
#define VTEIMS		0x1524
#define VTEIAC		0x152c
#define VTEITR(vector)	(0x1680 + 4 * (vector))
#define VTIVAR_MISC	0x1740
#define ALL		((1 << VF_VECTORS) - 1)

static int open_group(struct vf *vf, const char *bdf)
{
	char path[PATH_MAX], target[PATH_MAX];
	ssize_t len;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", bdf);
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		return -errno;
	target[len] = 0;
	snprintf(path, sizeof(path), "/dev/vfio/%s", basename(target));
	vf->container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	vf->group = open(path, O_RDWR | O_CLOEXEC);
	if (vf->container < 0 || vf->group < 0 ||
	    ioctl(vf->group, VFIO_GROUP_SET_CONTAINER, &vf->container) ||
	    ioctl(vf->container, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU))
		return -errno;
	vf->device = ioctl(vf->group, VFIO_GROUP_GET_DEVICE_FD, bdf);
	return vf->device < 0 ? -errno : 0;
}

/* Interrupts are writes to memory, as its driver's data would be. */
static int be_master(struct vf *vf)
{
	struct vfio_region_info r = {
		.argsz = sizeof(r),
		.index = VFIO_PCI_CONFIG_REGION_INDEX,
	};
	uint16_t command;

	if (ioctl(vf->device, VFIO_DEVICE_GET_REGION_INFO, &r) ||
	    pread(vf->device, &command, 2, r.offset + PCI_COMMAND) != 2)
		return -errno;
	command |= PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	return pwrite(vf->device, &command, 2, r.offset + PCI_COMMAND) == 2 ? 0 : -errno;
}

static int map_registers(struct vf *vf)
{
	struct vfio_region_info r = {
		.argsz = sizeof(r),
		.index = VFIO_PCI_BAR0_REGION_INDEX,
	};
	void *p;

	if (ioctl(vf->device, VFIO_DEVICE_GET_REGION_INFO, &r))
		return -errno;
	p = mmap(NULL, r.size, PROT_READ | PROT_WRITE, MAP_SHARED, vf->device, r.offset);
	if (p == MAP_FAILED)
		return -errno;
	vf->bar = p;
	vf->bar_size = r.size;
	return 0;
}

static int set_vectors(struct vf *vf, const int eventfds[VF_VECTORS])
{
	struct {
		struct vfio_irq_set head;
		int fd[VF_VECTORS];
	} set = {
		.head = {
			.argsz = sizeof(set),
			.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = VFIO_PCI_MSIX_IRQ_INDEX,
			.count = VF_VECTORS,
		},
	};

	memcpy(set.fd, eventfds, sizeof(set.fd));
	return ioctl(vf->device, VFIO_DEVICE_SET_IRQS, &set) ? -errno : 0;
}

static void write_register(struct vf *vf, int at, uint32_t value)
{
	vf->bar[at / 4] = value;
}

/*
 * It interrupts when it is told to, and not otherwise. The emulated VF keeps through its
 * reset what its last user's driver asked for: interrupts for the PF's letters, and a
 * least time between two, at the end of which it sends one more in any case.
 */
static void be_quiet(struct vf *vf)
{
	int i;

	write_register(vf, VTIVAR_MISC, 0);
	for (i = 0; i < VF_VECTORS; i++)
		write_register(vf, VTEITR(i), 0);
}

int vf_open(struct vf *vf, const char *bdf, const int eventfds[VF_VECTORS])
{
	int ret;

	*vf = (struct vf){ -1, -1, -1, NULL, 0 };
	ret = open_group(vf, bdf);
	if (!ret)
		ret = be_master(vf);
	if (!ret)
		ret = map_registers(vf);
	if (!ret)
		ret = set_vectors(vf, eventfds);
	if (ret) {
		vf_close(vf);
		return ret;
	}
	be_quiet(vf);
	write_register(vf, VTEIAC, ALL);
	write_register(vf, VTEIMS, ALL);
	return 0;
}

void vf_close(struct vf *vf)
{
	if (vf->bar)
		munmap((void *)vf->bar, vf->bar_size);
	if (vf->device >= 0)
		close(vf->device);
	if (vf->group >= 0)
		close(vf->group);
	if (vf->container >= 0)
		close(vf->container);
}

void vf_raise(struct vf *vf, int vector)
{
	write_register(vf, VTEICS, 1 << vector);
}
