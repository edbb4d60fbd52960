// SPDX-License-Identifier: GPL-2.0
/*
 * keelfs: what read(2), write(2), truncate and fallocate do to a file.
 *
 * Everything that changes a file's contents other than through a mapping holds
 * the inode lock. The arm of a snapshot takes that lock, so such an operation
 * is either over before the instant or starts after it; then it saves what it
 * is about to change first, like a fault would.
 */
#include <linux/fs.h>
#include <linux/falloc.h>
#include <linux/pagemap.h>
#include <linux/splice.h>
#include <linux/uio.h>

#include "snapshot/keelfs.h"
#include "snapshot/snap.h"
#include "compat/compat.h"

static void keelfs_folio_unlock_put(struct folio *folio)
{
	folio_unlock(folio);
	folio_put(folio);
}

/*
 * The folio at @pgoff, locked, saved if a snapshot wants it, ready to be
 * changed; instantiated if need be. -EIO if its memory is broken.
 */
static struct folio *keelfs_folio_begin_write(struct inode *inode, pgoff_t pgoff)
{
	struct folio *folio;
	bool fresh;
	int err;

	lockdep_assert_held_write(&inode->i_rwsem);
	do {
		folio = keelfs_folio_lock(inode, pgoff, NULL, &fresh);
		if (IS_ERR(folio))
			return folio;
		err = PageHWPoison(folio_file_page(folio, pgoff)) ? -EIO :
		      keel_snap_touch(inode, folio, fresh);
		if (err)
			keelfs_folio_unlock_put(folio);
		if (err == -EAGAIN)
			err = keel_snap_wait(inode) ?: -EAGAIN;
	} while (err == -EAGAIN);

	return err ? ERR_PTR(err) : folio;
}

/* Save what lies in pages [@first, @last] before it goes away. */
static int keelfs_save_range(struct inode *inode, pgoff_t first, pgoff_t last)
{
	struct folio_batch fbatch;
	pgoff_t next = first;
	unsigned int i;
	int err = 0;

	lockdep_assert_held_write(&inode->i_rwsem);
	if (!rcu_access_pointer(KEELFS_I(inode)->snap))
		return 0;

	folio_batch_init(&fbatch);
	while (!err && next <= last &&
	       filemap_get_folios(inode->i_mapping, &next, last, &fbatch)) {
		for (i = 0; !err && i < folio_batch_count(&fbatch); i++) {
			struct folio *folio = fbatch.folios[i];

			do {
				folio_lock(folio);
				if (folio->mapping == inode->i_mapping)
					err = keel_snap_touch(inode, folio, false);
				folio_unlock(folio);
				if (err == -EAGAIN)
					err = keel_snap_wait(inode) ?: -EAGAIN;
			} while (err == -EAGAIN);
		}
		folio_batch_release(&fbatch);
		cond_resched();
	}
	return err;
}

/* Copy within a page. Return: bytes, or -EIO. */
static ssize_t keelfs_read_some(struct inode *inode, loff_t pos, size_t want,
				struct iov_iter *to)
{
	struct folio *folio = keel_filemap_get_folio(inode->i_mapping,
						     pos >> PAGE_SHIFT);
	ssize_t got = -EIO;

	if (!folio)
		return iov_iter_zero(want, to);
	if (!PageHWPoison(folio_file_page(folio, pos >> PAGE_SHIFT)))
		got = copy_folio_to_iter(folio, offset_in_folio(folio, pos),
					 want, to);
	folio_put(folio);
	return got;
}

static ssize_t keelfs_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	ssize_t done = 0;

	while (iov_iter_count(to)) {
		loff_t pos = iocb->ki_pos, size = i_size_read(inode);
		ssize_t want, got;

		if (pos >= size)
			break;
		want = min_t(loff_t, size - pos, PAGE_SIZE - offset_in_page(pos));
		want = min_t(size_t, want, iov_iter_count(to));

		got = keelfs_read_some(inode, pos, want, to);
		if (got > 0) {
			iocb->ki_pos += got;
			done += got;
		}
		if (got < want) {
			if (!done)
				done = got < 0 ? got : -EFAULT;
			break;
		}
		if (fatal_signal_pending(current)) {
			if (!done)
				done = -EINTR;
			break;
		}
		cond_resched();
	}
	file_accessed(iocb->ki_filp);
	return done;
}

/* Copy at most up to the end of a page. Return: bytes, or an error. */
static ssize_t keelfs_write_some(struct inode *inode, loff_t pos,
				 struct iov_iter *from)
{
	size_t want = min(PAGE_SIZE - offset_in_page(pos), iov_iter_count(from));
	struct folio *folio;
	size_t got;

	lockdep_assert_held_write(&inode->i_rwsem);
	do {
		/* Not under the folio lock: the source may be this very page. */
		want -= fault_in_iov_iter_readable(from, want);
		if (!want)
			return -EFAULT;

		folio = keelfs_folio_begin_write(inode, pos >> PAGE_SHIFT);
		if (IS_ERR(folio))
			return PTR_ERR(folio);
		got = keel_copy_folio_from_iter_atomic(folio,
						       offset_in_folio(folio, pos),
						       want, from);
		flush_dcache_folio(folio);
		if (pos + got > i_size_read(inode))
			i_size_write(inode, pos + got);
		keelfs_folio_unlock_put(folio);
		if (fatal_signal_pending(current))
			return got ?: -EINTR;
		cond_resched();
	} while (!got);

	return got;
}

static ssize_t keelfs_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct file *file = iocb->ki_filp;
	struct inode *inode = file_inode(file);
	ssize_t done = 0, ret;

	if (iocb->ki_flags & IOCB_NOWAIT) {
		if (!inode_trylock(inode))
			return -EAGAIN;
	} else {
		inode_lock(inode);
	}

	ret = generic_write_checks(iocb, from);
	if (ret <= 0)
		goto unlock;
	ret = file_remove_privs(file) ?: file_update_time(file);
	if (ret)
		goto unlock;

	while (iov_iter_count(from)) {
		ret = keelfs_write_some(inode, iocb->ki_pos, from);
		if (ret < 0)
			break;
		iocb->ki_pos += ret;
		done += ret;
	}
unlock:
	inode_unlock(inode);
	return done ?: ret;
}

static int keelfs_mmap(struct file *file, struct vm_area_struct *vma)
{
	file_accessed(file);
	vma->vm_ops = &keelfs_vm_ops;
	return 0;
}

static int keelfs_open(struct inode *inode, struct file *file)
{
	file->f_mode |= FMODE_CAN_ODIRECT;
	return generic_file_open(inode, file);
}

static loff_t keelfs_llseek(struct file *file, loff_t offset, int whence)
{
	struct inode *inode = file_inode(file);
	loff_t size;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return generic_file_llseek(file, offset, whence);
	if (offset < 0)
		return -ENXIO;

	inode_lock(inode);
	size = i_size_read(inode);
	if (offset >= size) {
		offset = -ENXIO;
		goto unlock;
	}
	if (whence == SEEK_DATA) {
		unsigned long pgoff = offset >> PAGE_SHIFT;

		if (!xa_find(&inode->i_mapping->i_pages, &pgoff,
			     (size - 1) >> PAGE_SHIFT, XA_PRESENT))
			offset = -ENXIO;
		else
			offset = max_t(loff_t, offset,
				       (loff_t)pgoff << PAGE_SHIFT);
	} else {
		pgoff_t pgoff;

		rcu_read_lock();
		pgoff = page_cache_next_miss(inode->i_mapping,
					     offset >> PAGE_SHIFT, ULONG_MAX);
		rcu_read_unlock();
		offset = max_t(loff_t, offset, (loff_t)pgoff << PAGE_SHIFT);
		offset = min(offset, size);
	}
	if (offset >= 0)
		offset = vfs_setpos(file, offset, inode->i_sb->s_maxbytes);
unlock:
	inode_unlock(inode);
	return offset;
}

static int keelfs_punch(struct inode *inode, loff_t start, loff_t end)
{
	int err;

	lockdep_assert_held_write(&inode->i_rwsem);
	err = keelfs_save_range(inode, start >> PAGE_SHIFT,
				(end - 1) >> PAGE_SHIFT);
	if (err)
		return err;

	filemap_invalidate_lock(inode->i_mapping);
	truncate_pagecache_range(inode, start, end - 1);
	filemap_invalidate_unlock(inode->i_mapping);
	return 0;
}

static int keelfs_allocate(struct inode *inode, loff_t start, loff_t end,
			   bool keep_size)
{
	pgoff_t pgoff, last = (end - 1) >> PAGE_SHIFT;
	int err;

	lockdep_assert_held_write(&inode->i_rwsem);
	err = inode_newsize_ok(inode, end);
	if (err)
		return err;

	for (pgoff = start >> PAGE_SHIFT; pgoff <= last; ) {
		bool fresh;
		struct folio *folio = keelfs_folio_lock(inode, pgoff, NULL,
							&fresh);

		if (IS_ERR(folio))
			return PTR_ERR(folio);
		/*
		 * A folio that was there needs no saving, nothing changes; one
		 * that was not was zero, which is what finding it will give.
		 */
		pgoff = folio->index + folio_nr_pages(folio);
		keelfs_folio_unlock_put(folio);
		if (signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	if (!keep_size && end > i_size_read(inode))
		i_size_write(inode, end);
	return 0;
}

static long keelfs_fallocate(struct file *file, int mode, loff_t offset,
			     loff_t len)
{
	struct inode *inode = file_inode(file);
	long err;

	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE))
		return -EOPNOTSUPP;

	inode_lock(inode);
	err = file_remove_privs(file) ?: file_update_time(file);
	if (err)
		goto unlock;
	if (mode & FALLOC_FL_PUNCH_HOLE)
		err = keelfs_punch(inode, offset, offset + len);
	else
		err = keelfs_allocate(inode, offset, offset + len,
				      mode & FALLOC_FL_KEEP_SIZE);
unlock:
	inode_unlock(inode);
	return err;
}

static int keelfs_setsize(struct inode *inode, loff_t size)
{
	loff_t old = i_size_read(inode);
	int err;

	lockdep_assert_held_write(&inode->i_rwsem);
	if (size < old) {
		err = keelfs_save_range(inode, size >> PAGE_SHIFT,
					(old - 1) >> PAGE_SHIFT);
		if (err)
			return err;
	}

	filemap_invalidate_lock(inode->i_mapping);
	truncate_setsize(inode, size);
	filemap_invalidate_unlock(inode->i_mapping);
	return 0;
}

static int keelfs_setattr(struct keel_idmap *idmap, struct dentry *dentry,
			  struct iattr *attr)
{
	struct inode *inode = d_inode(dentry);
	int err;

	err = setattr_prepare(idmap, dentry, attr);
	if (err)
		return err;

	if ((attr->ia_valid & ATTR_SIZE) && attr->ia_size != i_size_read(inode)) {
		err = keelfs_setsize(inode, attr->ia_size);
		if (err)
			return err;
	}
	setattr_copy(idmap, inode, attr);
	return 0;
}

static int keelfs_getattr(struct keel_idmap *idmap, const struct path *path,
			  struct kstat *stat, u32 request_mask,
			  unsigned int flags)
{
	struct inode *inode = d_inode(path->dentry);

	keel_generic_fillattr(idmap, request_mask, inode, stat);
	stat->blocks = (u64)inode->i_mapping->nrpages << (PAGE_SHIFT - 9);
	return 0;
}

const struct file_operations keelfs_file_operations = {
	.owner			= THIS_MODULE,
	.open			= keelfs_open,
	.read_iter		= keelfs_read_iter,
	.write_iter		= keelfs_write_iter,
	.mmap			= keelfs_mmap,
	.get_unmapped_area	= thp_get_unmapped_area,
	.llseek			= keelfs_llseek,
	.fsync			= noop_fsync,
	.splice_read		= keel_splice_read,
	.splice_write		= iter_file_splice_write,
	.fallocate		= keelfs_fallocate,
};

const struct inode_operations keelfs_file_inode_operations = {
	.setattr	= keelfs_setattr,
	.getattr	= keelfs_getattr,
};

const struct address_space_operations keelfs_aops = {
	.dirty_folio	= noop_dirty_folio,
	.migrate_folio	= filemap_migrate_folio,
};
