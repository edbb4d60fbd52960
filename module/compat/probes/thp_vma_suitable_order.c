// SPDX-License-Identifier: GPL-2.0
/* 6.9: transhuge_vma_suitable() got an order */
#include <linux/mm.h>

bool probe(struct vm_area_struct *vma);
bool probe(struct vm_area_struct *vma)
{
	return thp_vma_suitable_order(vma, 0, 9);
}
