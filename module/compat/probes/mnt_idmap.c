// SPDX-License-Identifier: GPL-2.0
/* 6.3: file systems are handed an idmap instead of a user namespace */
#include <linux/fs.h>
#include <linux/mnt_idmapping.h>

int probe(struct inode *d, struct dentry *e);
int probe(struct inode *d, struct dentry *e)
{
	return simple_rename(&nop_mnt_idmap, d, e, d, e, 0);
}
