/* SPDX-License-Identifier: GPL-2.0 */
/* keelfs: who uses which memory, by sampling. */
#ifndef KEEL_SNAPSHOT_KEELFS_SAMPLE_H
#define KEEL_SNAPSHOT_KEELFS_SAMPLE_H

#include <linux/rcupdate.h>
#include <linux/types.h>

struct inode;

/**
 * struct keelfs_sampled - a folio that was taken out of the mappings
 * @first: its first page in the file
 * @nr: its pages
 * @nid: the node it is on
 * @apart: between it and the one before it is something that stays mapped
 * @tid: the thread that came back for it first; 0: none did yet
 */
struct keelfs_sampled {
	pgoff_t first;
	u32 nr;
	int nid;
	bool apart;
	pid_t tid;
};

/**
 * struct keelfs_sample - the folios of one look at a file
 * @rcu: faults look it up under RCU
 * @whole: it is all that the file has
 * @unmapped: how often something was taken out of the mappings
 * @pages: in all its folios
 * @nr: folios, ascending
 * @page: each
 */
struct keelfs_sample {
	struct rcu_head rcu;
	bool whole;
	u32 unmapped;
	u64 pages;
	u32 nr;
	struct keelfs_sampled page[];
};

int keelfs_sample_begin(struct inode *inode, u32 want, u32 seed);
struct keelfs_sample *keelfs_sample_end(struct inode *inode);
void keelfs_sample_free(struct keelfs_sample *s);
void __keelfs_sample_touch(struct keelfs_sample *s, pgoff_t pgoff);

#endif /* KEEL_SNAPSHOT_KEELFS_SAMPLE_H */
