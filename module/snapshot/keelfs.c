// SPDX-License-Identifier: GPL-2.0
/*
 * keelfs: mounts, inodes and directories.
 *
 * A file's page cache is its only store, as in ramfs: folios are dirty from
 * the moment they appear, the mapping is unevictable, and nothing is ever
 * written back. Like hugetlbfs, and unlike tmpfs, it does not swap.
 */
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <uapi/linux/keel.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/seq_file.h>

#include "snapshot/keelfs.h"
#include "snapshot/keelfs_sample.h"
#include "compat/compat.h"

static struct kmem_cache *keelfs_inode_cache;

/* All keelfs inodes that are files, so that their pages can be counted. */
static DEFINE_SPINLOCK(keelfs_inodes_lock);
static LIST_HEAD(keelfs_inodes);

static atomic_t keelfs_nr_mounts = ATOMIC_INIT(0);

static const struct inode_operations keelfs_dir_inode_operations;

/**
 * keelfs_is_inode - is this a regular file on keelfs?
 * @inode: any inode
 *
 * Context: any.
 */
bool keelfs_is_inode(const struct inode *inode)
{
	return inode->i_fop == &keelfs_file_operations;
}

/**
 * keelfs_is_file - is this an open regular file on keelfs?
 * @file: any open file
 *
 * Context: any.
 */
bool keelfs_is_file(const struct file *file)
{
	return file->f_op == &keelfs_file_operations;
}

/**
 * keelfs_pages - how much memory all keelfs files hold
 *
 * Context: any; takes keelfs_inodes_lock.
 * Return: 4 KiB pages.
 */
u64 keelfs_pages(void)
{
	struct keelfs_inode *ki;
	u64 pages = 0;

	spin_lock(&keelfs_inodes_lock);
	list_for_each_entry(ki, &keelfs_inodes, node)
		pages += READ_ONCE(ki->vfs_inode.i_data.nrpages);
	spin_unlock(&keelfs_inodes_lock);
	return pages;
}

/**
 * keelfs_mounts - number of keelfs super blocks
 */
u32 keelfs_mounts(void)
{
	return atomic_read(&keelfs_nr_mounts);
}

/**
 * keelfs_inode_create - a new inode
 * @sb: of keelfs
 * @dir: its directory, NULL for none
 * @mode: S_IFREG or S_IFDIR, and permissions
 *
 * Context: may sleep.
 * Return: the inode, NULL without memory.
 */
struct inode *keelfs_inode_create(struct super_block *sb,
				  const struct inode *dir, umode_t mode)
{
	struct inode *inode = new_inode(sb);

	if (!inode)
		return NULL;

	inode->i_ino = get_next_ino();
	inode_init_owner(keel_nop_idmap, inode, dir, mode);
	keel_inode_init_ts(inode);

	if (S_ISDIR(mode)) {
		inode->i_op = &keelfs_dir_inode_operations;
		inode->i_fop = &simple_dir_operations;
		inc_nlink(inode);
		return inode;
	}

	inode->i_op = &keelfs_file_inode_operations;
	inode->i_fop = &keelfs_file_operations;
	inode->i_mapping->a_ops = &keelfs_aops;
	mapping_set_gfp_mask(inode->i_mapping, GFP_HIGHUSER_MOVABLE);
	mapping_set_unevictable(inode->i_mapping);
	if (KEELFS_SB(sb)->huge)
		keel_mapping_set_huge(inode->i_mapping);

	spin_lock(&keelfs_inodes_lock);
	list_add_tail(&KEELFS_I(inode)->node, &keelfs_inodes);
	spin_unlock(&keelfs_inodes_lock);
	return inode;
}

static int keelfs_mknod(struct inode *dir, struct dentry *dentry, umode_t mode)
{
	struct inode *inode = keelfs_inode_create(dir->i_sb, dir, mode);

	if (!inode)
		return -ENOSPC;

	keel_d_make_persistent(dentry, inode);
	keel_dir_touch(dir);
	return 0;
}

static int keelfs_create KEEL_CREATE_ARGS(struct keel_idmap *idmap,
					  struct inode *dir,
					  struct dentry *dentry, umode_t mode)
{
	return keelfs_mknod(dir, dentry, mode | S_IFREG);
}

static KEEL_MKDIR_RET keelfs_mkdir(struct keel_idmap *idmap, struct inode *dir,
				   struct dentry *dentry, umode_t mode)
{
	int err = keelfs_mknod(dir, dentry, mode | S_IFDIR);

	if (!err)
		inc_nlink(dir);
	return keel_mkdir_ret(err);
}

static int keelfs_tmpfile(struct keel_idmap *idmap, struct inode *dir,
			  struct file *file, umode_t mode)
{
	struct inode *inode = keelfs_inode_create(dir->i_sb, dir, mode);

	if (!inode)
		return -ENOSPC;

	d_tmpfile(file, inode);
	return finish_open_simple(file, 0);
}

static int keelfs_rename(struct keel_idmap *idmap, struct inode *old_dir,
			 struct dentry *old_dentry, struct inode *new_dir,
			 struct dentry *new_dentry, unsigned int flags)
{
	return simple_rename(idmap, old_dir, old_dentry, new_dir, new_dentry,
			     flags);
}

static const struct inode_operations keelfs_dir_inode_operations = {
	.create		= keelfs_create,
	.lookup		= simple_lookup,
	.link		= simple_link,
	.unlink		= simple_unlink,
	.mkdir		= keelfs_mkdir,
	.rmdir		= simple_rmdir,
	.rename		= keelfs_rename,
	.tmpfile	= keelfs_tmpfile,
};

static struct inode *keelfs_inode_alloc(struct super_block *sb)
{
	struct keelfs_inode *ki;

	ki = alloc_inode_sb(sb, keelfs_inode_cache, GFP_KERNEL);
	if (!ki)
		return NULL;

	RCU_INIT_POINTER(ki->snap, NULL);
	RCU_INIT_POINTER(ki->sample, NULL);
	ki->moving = false;
	INIT_LIST_HEAD(&ki->node);
	return &ki->vfs_inode;
}

static void keelfs_inode_free(struct inode *inode)
{
	kmem_cache_free(keelfs_inode_cache, KEELFS_I(inode));
}

static void keelfs_inode_evict(struct inode *inode)
{
	/* A snapshot holds the file open: none can be left here. */
	WARN_ON_ONCE(rcu_access_pointer(KEELFS_I(inode)->snap));
	/* But a sample is nobody's once its VM is gone. */
	keelfs_sample_free(keelfs_sample_end(inode));

	truncate_inode_pages_final(&inode->i_data);
	clear_inode(inode);

	spin_lock(&keelfs_inodes_lock);
	list_del_init(&KEELFS_I(inode)->node);
	spin_unlock(&keelfs_inodes_lock);
}

static void keelfs_inode_init_once(void *p)
{
	inode_init_once(&((struct keelfs_inode *)p)->vfs_inode);
}

static int keelfs_show_options(struct seq_file *m, struct dentry *root)
{
	struct keelfs_sb *sbi = KEELFS_SB(root->d_sb);

	seq_printf(m, ",huge=%s", sbi->huge ? "always" : "never");
	if (sbi->mode != 0755)
		seq_printf(m, ",mode=%o", sbi->mode);
	if (!uid_eq(sbi->uid, GLOBAL_ROOT_UID))
		seq_printf(m, ",uid=%u",
			   from_kuid_munged(&init_user_ns, sbi->uid));
	if (!gid_eq(sbi->gid, GLOBAL_ROOT_GID))
		seq_printf(m, ",gid=%u",
			   from_kgid_munged(&init_user_ns, sbi->gid));
	return 0;
}

static const struct super_operations keelfs_super_operations = {
	.alloc_inode	= keelfs_inode_alloc,
	.free_inode	= keelfs_inode_free,
	.evict_inode	= keelfs_inode_evict,
	.drop_inode	= keel_drop_inode,
	.statfs		= simple_statfs,
	.show_options	= keelfs_show_options,
};

enum { Opt_huge, Opt_mode, Opt_uid, Opt_gid };
enum { HUGE_NEVER, HUGE_ALWAYS };

static const struct constant_table keelfs_param_huge[] = {
	{ "never",	HUGE_NEVER },
	{ "always",	HUGE_ALWAYS },
	{}
};

static const struct fs_parameter_spec keelfs_parameters[] = {
	fsparam_enum("huge", Opt_huge, keelfs_param_huge),
	fsparam_u32oct("mode", Opt_mode),
	fsparam_u32("uid", Opt_uid),
	fsparam_u32("gid", Opt_gid),
	{}
};

static int keelfs_parse_param(struct fs_context *fc, struct fs_parameter *param)
{
	struct keelfs_sb *sbi = fc->s_fs_info;
	struct fs_parse_result result;
	int opt = fs_parse(fc, keelfs_parameters, param, &result);

	switch (opt) {
	case Opt_huge:
		sbi->huge = result.uint_32 == HUGE_ALWAYS;
		return 0;
	case Opt_mode:
		sbi->mode = result.uint_32 & 07777;
		return 0;
	case Opt_uid:
		sbi->uid = make_kuid(current_user_ns(), result.uint_32);
		if (!uid_valid(sbi->uid))
			return invalf(fc, "keelfs: no such uid here");
		return 0;
	case Opt_gid:
		sbi->gid = make_kgid(current_user_ns(), result.uint_32);
		if (!gid_valid(sbi->gid))
			return invalf(fc, "keelfs: no such gid here");
		return 0;
	default:
		return opt;
	}
}

static int keelfs_fill_super(struct super_block *sb, struct fs_context *fc)
{
	/* The super block owns the options by now: kill_sb frees them. */
	struct keelfs_sb *sbi = KEELFS_SB(sb);
	struct inode *root;

	atomic_inc(&keelfs_nr_mounts);

	sb->s_maxbytes = MAX_LFS_FILESIZE;
	sb->s_blocksize = PAGE_SIZE;
	sb->s_blocksize_bits = PAGE_SHIFT;
	sb->s_magic = KEELFS_SUPER_MAGIC;
	sb->s_op = &keelfs_super_operations;
	sb->s_time_gran = 1;

	root = keelfs_inode_create(sb, NULL, S_IFDIR | sbi->mode);
	if (!root)
		return -ENOMEM;
	root->i_uid = sbi->uid;
	root->i_gid = sbi->gid;

	sb->s_root = d_make_root(root);
	return sb->s_root ? 0 : -ENOMEM;
}

static int keelfs_get_tree(struct fs_context *fc)
{
	return get_tree_nodev(fc, keelfs_fill_super);
}

/*
 * What a mount was made with stays: files have folios of that kind, and the
 * root directory has an owner and a mode, which chown and chmod change. A
 * remount starts from the options in force (keelfs_init_fs_context()), so that
 * only what differs was asked for.
 */
static int keelfs_reconfigure(struct fs_context *fc)
{
	const struct keelfs_sb *now = KEELFS_SB(fc->root->d_sb);
	const struct keelfs_sb *want = fc->s_fs_info;

	if (want->huge != now->huge)
		return invalf(fc, "keelfs: huge= is for good: unmount, and mount again");
	if (want->mode != now->mode || !uid_eq(want->uid, now->uid) ||
	    !gid_eq(want->gid, now->gid))
		return invalf(fc, "keelfs: mode=, uid= and gid= are for good: use chmod, chown");
	return 0;
}

static void keelfs_free_fc(struct fs_context *fc)
{
	kfree(fc->s_fs_info);
}

static const struct fs_context_operations keelfs_context_operations = {
	.free		= keelfs_free_fc,
	.parse_param	= keelfs_parse_param,
	.get_tree	= keelfs_get_tree,
	.reconfigure	= keelfs_reconfigure,
};

static int keelfs_init_fs_context(struct fs_context *fc)
{
	struct keelfs_sb *sbi = kzalloc(sizeof(*sbi), GFP_KERNEL);

	if (!sbi)
		return -ENOMEM;

	if (fc->purpose == FS_CONTEXT_FOR_RECONFIGURE) {
		*sbi = *KEELFS_SB(fc->root->d_sb);
	} else {
		sbi->huge = true;
		sbi->mode = 0755;
		sbi->uid = GLOBAL_ROOT_UID;
		sbi->gid = GLOBAL_ROOT_GID;
	}
	fc->s_fs_info = sbi;
	fc->ops = &keelfs_context_operations;
	return 0;
}

static void keelfs_kill_sb(struct super_block *sb)
{
	struct keelfs_sb *sbi = KEELFS_SB(sb);

	keel_kill_persistent_super(sb);
	atomic_dec(&keelfs_nr_mounts);
	kfree(sbi);
}

static struct file_system_type keelfs_type = {
	.owner			= THIS_MODULE,
	.name			= "keelfs",
	.init_fs_context	= keelfs_init_fs_context,
	.parameters		= keelfs_parameters,
	.kill_sb		= keelfs_kill_sb,
};
MODULE_ALIAS_FS("keelfs");

/**
 * keelfs_init - make keelfs mountable
 *
 * Return: 0, or what the kernel's registration said.
 */
int keelfs_init(void)
{
	int err;

	keelfs_inode_cache = kmem_cache_create("keelfs_inode",
					       sizeof(struct keelfs_inode), 0,
					       SLAB_RECLAIM_ACCOUNT | SLAB_ACCOUNT,
					       keelfs_inode_init_once);
	if (!keelfs_inode_cache)
		return -ENOMEM;

	err = register_filesystem(&keelfs_type);
	if (err)
		goto destroy_cache;
	return 0;

destroy_cache:
	kmem_cache_destroy(keelfs_inode_cache);
	return err;
}

/**
 * keelfs_exit - the mirror of keelfs_init()
 *
 * Mounts hold the module, so there are none.
 */
void keelfs_exit(void)
{
	unregister_filesystem(&keelfs_type);
	/* Inodes are freed after a grace period. */
	rcu_barrier();
	kmem_cache_destroy(keelfs_inode_cache);
}
