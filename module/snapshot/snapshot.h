/* SPDX-License-Identifier: GPL-2.0 */
/* The snapshot room's face to the rest of the module. */
#ifndef KEEL_SNAPSHOT_SNAPSHOT_H
#define KEEL_SNAPSHOT_SNAPSHOT_H

#include <linux/types.h>

struct inode;

int keel_snapshot_init(void);
void keel_snapshot_exit(void);

u32 keel_snapshot_count(void);
u32 keel_snapshot_of_vm(u32 vm);

/* keelfs.c, pool.c */
bool keelfs_is_inode(const struct inode *inode);
u64 keelfs_pages(void);
u32 keelfs_mounts(void);
u64 keel_pool_pages(void);

#endif /* KEEL_SNAPSHOT_SNAPSHOT_H */
