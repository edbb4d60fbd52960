/* SPDX-License-Identifier: GPL-2.0 */
/* keelfs: memory to another node. */
#ifndef KEEL_SNAPSHOT_KEELFS_MOVE_H
#define KEEL_SNAPSHOT_KEELFS_MOVE_H

#include <linux/types.h>

struct inode;

struct inode *keelfs_move_begin(struct inode *inode);
void keelfs_move_end(struct inode *unseen);
int keelfs_move_folio(struct inode *inode, struct inode *unseen, pgoff_t pgoff,
		      int nid);

#endif /* KEEL_SNAPSHOT_KEELFS_MOVE_H */
