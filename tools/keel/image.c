// SPDX-License-Identifier: GPL-2.0
/*
 * A snapshot's directory, from partial to whole.
 *
 * It is written as DIR.partial and renamed when everything in it is on disk, so
 * that DIR, if it exists, is whole. Who writes it holds a lock on a file in it
 * (flock: it goes with the last process that has it open, however that ends),
 * so a partial directory whose lock can be had is debris, and so is an empty one:
 * its writer was killed before it had a lock.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image.h"
#include "keel.h"

#define BEGIN_TRIES	5

/* Absolute, without a slash at its end, so that ".partial" can follow. */
static char *normalize(const char *dir)
{
	char *copy = mkpath("%s", dir), *copy2, *parent, *path = NULL;
	size_t n = strlen(copy);

	while (n > 1 && copy[n - 1] == '/')
		copy[--n] = 0;
	copy2 = mkpath("%s", copy);
	parent = realpath(dirname(copy2), NULL);
	if (!parent)
		bad("%s: its parent directory: %s; make it first", dir,
		    strerror(errno));
	else if (!n || !strcmp(basename(copy), "/") ||
		 !strcmp(basename(copy), ".") || !strcmp(basename(copy), ".."))
		bad("'%s' cannot name a snapshot; give a directory that does not exist yet",
		    dir);
	else
		path = mkpath("%s/%s", strcmp(parent, "/") ? parent : "",
			      basename(copy));
	free(parent);
	free(copy2);
	free(copy);
	return path;
}

static int empty_dir(int dirfd)
{
	DIR *d = fdopendir(dup(dirfd));
	struct dirent *e;
	int err = 0;

	if (!d)
		return -1;
	rewinddir(d);
	while ((e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") ||
		    !strcmp(e->d_name, IMAGE_LOCK))
			continue;
		if (unlinkat(dirfd, e->d_name, 0))
			err = -1;
	}
	closedir(d);
	if (unlinkat(dirfd, IMAGE_LOCK, 0) && errno != ENOENT)
		err = -1;
	return err;
}

/* Take away DIR.partial if its writer is gone. */
static int remove_debris(struct image *img)
{
	int dirfd = open(img->partial, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int lock, err = 0;

	if (dirfd < 0)
		return errno == ENOENT ? 0 :
		       bad("%s: %s", img->partial, strerror(errno));
	lock = openat(dirfd, IMAGE_LOCK, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (lock < 0 && !rmdir(img->partial))
		err = 0;
	else if (lock < 0)
		err = bad("%s is in the way and is not a snapshot's; remove it",
			  img->partial);
	else if (flock(lock, LOCK_EX | LOCK_NB))
		err = bad("%s is being written by another keel; 'keel snapshot abort %s' ends it",
			  img->partial, img->dir);
	else if (empty_dir(dirfd) || rmdir(img->partial))
		err = fail("%s: cannot remove what an interrupted snapshot left: %s",
			   img->partial, strerror(errno));
	else if (!img->quiet)
		fprintf(stderr, "keel: removed %s, left by an interrupted snapshot\n",
			img->partial);
	if (lock >= 0)
		close(lock);
	close(dirfd);
	return err;
}

/* Let go of it; errno stays. */
void image_close(struct image *img)
{
	int err = errno;

	if (img->lock >= 0)
		close(img->lock);
	if (img->dirfd >= 0)
		close(img->dirfd);
	img->dirfd = img->lock = -1;
	errno = err;
}

static bool take_lock(struct image *img)
{
	struct stat st;

	img->dirfd = open(img->partial, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (img->dirfd >= 0)
		img->lock = openat(img->dirfd, IMAGE_LOCK,
				   O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (img->lock < 0 || flock(img->lock, LOCK_EX | LOCK_NB) ||
	    fstat(img->lock, &st))
		return false;
	errno = ENOENT;
	return st.st_nlink;
}

/* Another that begins now may take ours for debris until we have the lock. */
static int make_partial(struct image *img)
{
	for (int i = 0; i < BEGIN_TRIES; i++) {
		if (remove_debris(img))
			return -1;
		if (!mkdir(img->partial, 0700)) {
			if (take_lock(img))
				return 0;
			image_close(img);
		}
		if (errno != EEXIST && errno != ENOENT && errno != EWOULDBLOCK)
			break;
	}
	return fail("%s: %s", img->partial, strerror(errno));
}

int image_begin(struct image *img, const char *dir)
{
	struct stat st;

	img->dirfd = img->lock = -1;
	img->dir = normalize(dir);
	if (!img->dir)
		return -1;
	img->partial = mkpath("%s.partial", img->dir);
	if (!lstat(img->dir, &st))
		return bad("%s exists already; give another directory",
			   img->dir);
	return make_partial(img);
}

/* A file of the image, open for reading and writing, all hole. */
int image_file(struct image *img, const char *name, uint64_t size)
{
	int fd = openat(img->dirfd, name,
			O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd >= 0 && !ftruncate(fd, size))
		return fd;
	fail("%s/%s: %s", img->partial, name, strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

/* Write into the lock who holds it, for show and abort. */
int image_own(struct image *img, uint32_t snapshot)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "%d %u\n", getpid(), snapshot);

	if (ftruncate(img->lock, 0) || pwrite(img->lock, text, n, 0) != n)
		return fail("%s: %s", img->partial, strerror(errno));
	return 0;
}

static int sync_parent(const char *dir)
{
	char *copy = mkpath("%s", dir);
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = fd < 0 || fsync(fd);

	if (fd >= 0)
		close(fd);
	free(copy);
	return err ? -1 : 0;
}

/* Its files are on disk: give it its name. */
int image_commit(struct image *img)
{
	unlinkat(img->dirfd, IMAGE_LOG, 0);
	if (fsync(img->dirfd))
		return fail("%s: %s", img->partial, strerror(errno));
	if (renameat2(AT_FDCWD, img->partial, AT_FDCWD, img->dir,
		      RENAME_NOREPLACE))
		return fail("%s: cannot be given its name %s: %s",
			    img->partial, img->dir, strerror(errno));
	/* Only now: without it a partial directory looks like a stranger's. */
	unlinkat(img->dirfd, IMAGE_LOCK, 0);
	fsync(img->dirfd);
	if (sync_parent(img->dir))
		return fail("%s: its parent cannot be synced: %s", img->dir,
			    strerror(errno));
	return 0;
}

/* Remove what was begun, if anything was. */
void image_discard(struct image *img)
{
	if (img->dirfd >= 0 && img->lock >= 0 &&
	    (empty_dir(img->dirfd) || rmdir(img->partial)))
		error_add("; %s could not be removed: %s", img->partial,
			  strerror(errno));
	image_close(img);
}

/* @dir may be given with or without ".partial". */
enum image_state image_state(const char *dir, uint32_t *pid,
			     uint32_t *snapshot)
{
	enum image_state state = IMAGE_NONE;
	char *path, text[64] = "";
	struct stat st;
	size_t n = strlen(dir);
	int fd;

	*pid = *snapshot = 0;
	while (n > 1 && dir[n - 1] == '/')
		n--;
	if (n > 8 && !strncmp(dir + n - 8, ".partial", 8))
		n -= 8;
	path = mkpath("%.*s/" IMAGE_MANIFEST, (int)n, dir);
	if (!stat(path, &st))
		state = IMAGE_WHOLE;
	free(path);
	if (state == IMAGE_WHOLE)
		return state;
	path = mkpath("%.*s.partial/" IMAGE_LOCK, (int)n, dir);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	free(path);
	if (fd < 0)
		return IMAGE_NONE;
	state = IMAGE_PARTIAL;
	if (flock(fd, LOCK_SH | LOCK_NB))
		state = IMAGE_WRITING;
	if (read(fd, text, sizeof(text) - 1) > 0)
		sscanf(text, "%u %u", pid, snapshot);
	close(fd);
	return state;
}

/* The path of a whole image, to be freed; NULL after saying what is wrong. */
char *image_whole(const char *dir)
{
	uint32_t pid, snapshot;
	char *path;

	switch (image_state(dir, &pid, &snapshot)) {
	case IMAGE_WHOLE:
		path = realpath(dir, NULL);
		if (!path)
			bad("%s: %s", dir, strerror(errno));
		return path;
	case IMAGE_WRITING:
		bad("%s is partial: process %u is still writing it; 'keel snapshot wait %s'",
		    dir, pid, dir);
		break;
	case IMAGE_PARTIAL:
		bad("%s is partial: its writer is gone; remove it and take the snapshot again",
		    dir);
		break;
	case IMAGE_NONE:
		bad("%s is not a snapshot: it has no " IMAGE_MANIFEST, dir);
		break;
	}
	return NULL;
}
