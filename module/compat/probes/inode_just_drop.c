// SPDX-License-Identifier: GPL-2.0
/* 6.18: generic_delete_inode() became inode_just_drop() */
#include <linux/fs.h>

void *probe(void);
void *probe(void)
{
	return inode_just_drop;
}
