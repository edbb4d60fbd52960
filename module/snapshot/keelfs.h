/* SPDX-License-Identifier: GPL-2.0 */
/*
 * keelfs: guest RAM as files. What the parts of the file system share, and
 * what the snapshot side may touch of an inode.
 */
#ifndef KEEL_SNAPSHOT_KEELFS_H
#define KEEL_SNAPSHOT_KEELFS_H

#include <linux/fs.h>
#include <linux/list.h>
#include <linux/mm.h>

struct keel_snap_file;
struct keelfs_sample;

/**
 * struct keelfs_inode - an inode of keelfs
 * @vfs_inode: the VFS's part
 * @snap: the snapshot this file takes part in, or NULL. Set by cmpxchg, taken
 *	away under keel_snap.lock; read under RCU, see keel_snap_enter(). A
 *	fault that saw NULL here while it held its folio's lock may map that
 *	folio: the arm waits for the lock.
 * @sample: folios whose users are being looked for, or NULL; read under RCU
 * @moving: a folio of it is being moved to another node, under the mapping's
 *	invalidate_lock
 * @node: in the list of all keelfs inodes, under keelfs_inodes_lock
 */
struct keelfs_inode {
	struct inode vfs_inode;
	struct keel_snap_file __rcu *snap;
	struct keelfs_sample __rcu *sample;
	bool moving;
	struct list_head node;
};

/**
 * struct keelfs_sb - mount options
 * @huge: use 2 MiB folios where the mapping allows
 * @mode: permissions of the root directory
 * @uid: its owner
 * @gid: its group
 */
struct keelfs_sb {
	bool huge;
	umode_t mode;
	kuid_t uid;
	kgid_t gid;
};

static inline struct keelfs_inode *KEELFS_I(struct inode *inode)
{
	return container_of(inode, struct keelfs_inode, vfs_inode);
}

static inline struct keelfs_sb *KEELFS_SB(struct super_block *sb)
{
	return sb->s_fs_info;
}

/*
 * Is some of a folio's memory broken, as the kernel's memory failure handling
 * has found? It leaves such a folio in the file, as in shmem: were it removed,
 * zeroes would take its place and nobody would know. Broken memory must not be
 * read: that stops the machine.
 */
static inline bool keelfs_folio_poisoned(struct folio *folio)
{
	return folio_test_hwpoison(folio) ||
	       (folio_test_large(folio) && folio_test_has_hwpoisoned(folio));
}

/* keelfs.c */
int keelfs_init(void);
void keelfs_exit(void);
struct inode *keelfs_inode_create(struct super_block *sb,
				  const struct inode *dir, umode_t mode);
bool keelfs_is_inode(const struct inode *inode);
bool keelfs_is_file(const struct file *file);
u64 keelfs_pages(void);
u32 keelfs_mounts(void);

/* keelfs_file.c */
extern const struct file_operations keelfs_file_operations;
extern const struct inode_operations keelfs_file_inode_operations;
extern const struct address_space_operations keelfs_aops;

/* keelfs_fault.c */
extern const struct vm_operations_struct keelfs_vm_ops;
struct folio *keelfs_folio_lock(struct inode *inode, pgoff_t pgoff,
				struct vm_fault *vmf, bool *fresh);

#endif /* KEEL_SNAPSHOT_KEELFS_H */
