/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A VF of igb, by VFIO and without a driver: it interrupts when it is told to, by its
 * own register for that, and does nothing else.
 */
#ifndef VF_H
#define VF_H

#include <stddef.h>
#include <stdint.h>

#define VF_VECTORS	3

struct vf {
	int container, group, device;
	volatile uint32_t *bar;
	size_t bar_size;
};

/*
 * The VF at @bdf ("0000:01:10.0"), which vfio-pci has; its MSI-X vectors signal the
 * eventfds. -errno, and nothing is left, if that cannot be.
 */
int vf_open(struct vf *vf, const char *bdf, const int eventfds[VF_VECTORS]);
void vf_close(struct vf *vf);
/* It interrupts by a vector, now. */
void vf_raise(struct vf *vf, int vector);

#endif
