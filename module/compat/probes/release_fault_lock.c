// SPDX-License-Identifier: GPL-2.0
/* 6.7: a fault holds a VMA's lock or the mmap lock */
#include <linux/mm.h>

void probe(struct vm_fault *vmf);
void probe(struct vm_fault *vmf)
{
	release_fault_lock(vmf);
}
