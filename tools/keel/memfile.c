// SPDX-License-Identifier: GPL-2.0
/*
 * From a VM's memory regions to open files. The registry names a file by device
 * and inode; the VMM's map_files give the file itself, even one that is unlinked
 * or in another mount namespace.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "args.h"
#include "keel.h"
#include "memfile.h"

/* How long a VMM may take to change its slots; milliseconds as a rule. */
#define SETTLE_TRIES	100
#define SETTLE_US	5000

struct map {
	unsigned long start, end;
	char perms[5];
	dev_t dev;
	ino_t ino;
	const char *path;
};

static bool parse_map(char *line, struct map *m)
{
	unsigned int major, minor;
	unsigned long ino;
	int at = 0;

	if (sscanf(line, "%lx-%lx %4s %*x %x:%x %lu %n", &m->start, &m->end,
		   m->perms, &major, &minor, &ino, &at) < 6)
		return false;
	m->dev = makedev(major, minor);
	m->ino = ino;
	m->path = at ? line + at : "";
	return true;
}

/* Calls @want for each mapping of @pid until it returns true. */
static bool find_map(uint32_t pid, bool (*want)(const struct map *, void *),
		     void *arg)
{
	char path[64], *text, *save, *line;
	bool found = false;
	struct map m;

	snprintf(path, sizeof(path), "/proc/%u/maps", pid);
	text = read_text(path, NULL);
	if (!text)
		return false;
	for (line = strtok_r(text, "\n", &save); line && !found;
	     line = strtok_r(NULL, "\n", &save))
		found = parse_map(line, &m) && want(&m, arg);
	free(text);
	return found;
}

static bool has_region_of(const struct keel_vm *vm, dev_t dev, ino_t ino)
{
	for (uint32_t i = 0; i < vm->nr_region; i++)
		if (vm->region[i].ino == ino && vm->region[i].dev == dev)
			return true;
	return false;
}

static bool is_unnamed(const struct map *m, void *arg)
{
	const struct keel_vm *vm = arg;
	struct statfs fs;
	char path[96];

	if (!m->ino || m->perms[3] != 's' || has_region_of(vm, m->dev, m->ino))
		return false;
	snprintf(path, sizeof(path), "/proc/%u/map_files/%lx-%lx", vm->pid,
		 m->start, m->end);
	return !statfs(path, &fs) && fs.f_type == KEELFS_SUPER_MAGIC;
}

/*
 * A VMM changes the map of guest memory slot by slot: it takes one away and
 * then puts its pieces there, as the firmware of every PC makes it do. Whoever
 * looks in between misses memory. So look again while the VMM maps a keelfs
 * file that no slot names; but one may never be guest memory.
 */
int memfiles_settle(struct keel *keel, struct keel_vm *vm)
{
	uint32_t id = vm->id;

	for (int i = 0; i < SETTLE_TRIES && find_map(vm->pid, is_unnamed, vm);
	     i++) {
		usleep(SETTLE_US);
		keel_vm_release(vm);
		if (keel_vm_get(keel, id, vm))
			return fail("VM %u: %s", id, keel_error(keel));
	}
	return 0;
}

struct open_arg {
	struct memfile *f;
	uint32_t pid;
	int err;
};

static bool open_map(const struct map *m, void *arg)
{
	struct open_arg *a = arg;
	struct stat st;
	char path[96];

	if (m->dev != a->f->dev || m->ino != a->f->ino || m->perms[3] != 's')
		return false;
	snprintf(path, sizeof(path), "/proc/%u/map_files/%lx-%lx", a->pid,
		 m->start, m->end);
	a->f->fd = open(path, O_RDWR | O_CLOEXEC);
	if (a->f->fd < 0) {
		a->err = errno;
		return false;
	}
	/* The mapping may have changed between maps and open. */
	if (fstat(a->f->fd, &st) || st.st_dev != a->f->dev ||
	    st.st_ino != a->f->ino) {
		close(a->f->fd);
		a->f->fd = -1;
		return false;
	}
	a->f->path = mkpath("%.*s", (int)strcspn(m->path, "\n"), m->path);
	if (strstr(a->f->path, " (deleted)"))
		*strstr(a->f->path, " (deleted)") = 0;
	a->f->size = st.st_size;
	return true;
}

static bool is_shared_at(const struct map *m, void *arg)
{
	uint64_t hva = *(uint64_t *)arg;

	return hva >= m->start && hva < m->end && m->perms[3] == 's';
}

/*
 * Shared memory outside keelfs is in neither part of a whole-guest image: QEMU
 * leaves shared memory out of the device state, and keel cannot save it.
 */
static int check_elsewhere(struct memfiles *files, const struct keel_vm *vm,
			   bool whole_guest)
{
	files->elsewhere = 0;
	for (uint32_t i = 0; i < vm->nr_region; i++) {
		const struct keel_region *r = &vm->region[i];
		uint64_t hva = r->hva;

		if (r->backing == KEEL_BACKING_KEELFS || r->readonly)
			continue;
		files->elsewhere += r->size;
		if (whole_guest && r->backing != KEEL_BACKING_ANON &&
		    find_map(vm->pid, is_shared_at, &hva))
			return bad("VM %u has shared memory that is not on keelfs (%s, guest address 0x%llx, %llu bytes); put it on keelfs",
				   vm->id, keel_backing_name(r->backing),
				   (unsigned long long)r->gpa,
				   (unsigned long long)r->size);
	}
	return 0;
}

static bool has_file_of(const struct memfiles *files,
			const struct keel_region *r)
{
	for (int i = 0; i < files->nr; i++)
		if (files->v[i].dev == r->dev && files->v[i].ino == r->ino)
			return true;
	return false;
}

static int add_file(struct memfiles *files, const struct keel_vm *vm,
		    const struct keel_region *r)
{
	struct open_arg a = { .pid = vm->pid };
	struct memfile *f;

	if (has_file_of(files, r))
		return 0;
	f = reallocarray(files->v, files->nr + 1, sizeof(*f));
	if (!f)
		return fail("out of memory");
	files->v = f;
	f += files->nr;
	*f = (struct memfile){ .dev = r->dev, .ino = r->ino, .fd = -1,
			       .image_fd = -1 };
	a.f = f;
	f->name = mkpath("ram%d.raw", files->nr++);
	if (find_map(vm->pid, open_map, &a))
		return 0;
	if (a.err)
		return fail("memory file of VM %u (inode %llu): %s; run as root",
			    vm->id, (unsigned long long)r->ino, strerror(a.err));
	return fail("process %u does not map inode %llu shared; start the VM with share=on",
		    vm->pid, (unsigned long long)r->ino);
}

int memfiles_open(struct memfiles *files, const struct keel_vm *vm,
		  bool whole_guest)
{
	char **argv;

	memset(files, 0, sizeof(*files));
	for (uint32_t i = 0; i < vm->nr_region; i++)
		if (vm->region[i].backing == KEEL_BACKING_KEELFS &&
		    add_file(files, vm, &vm->region[i]))
			return -1;
	if (!files->nr)
		return bad("VM %u has no memory on keelfs; start it with -object memory-backend-file,mem-path=/run/keel/NAME,share=on,align=2M",
			   vm->id);
	if (check_elsewhere(files, vm, whole_guest))
		return -1;
	argv = read_cmdline(vm->pid, NULL);
	for (int i = 0; i < files->nr; i++)
		files->v[i].backend = args_backend_of(argv, files->v[i].path);
	strv_free(argv);
	return 0;
}

/* @vm was read again while its guest stands still: is all of it in @files? */
int memfiles_check(struct memfiles *files, const struct keel_vm *vm)
{
	for (uint32_t i = 0; i < vm->nr_region; i++)
		if (vm->region[i].backing == KEEL_BACKING_KEELFS &&
		    !has_file_of(files, &vm->region[i]))
			return bad("VM %u got more memory as the snapshot began; try again",
				   vm->id);
	return check_elsewhere(files, vm, true);
}

uint64_t memfiles_bytes(const struct memfiles *files)
{
	uint64_t bytes = 0;
	struct stat st;

	for (int i = 0; i < files->nr; i++)
		if (!fstat(files->v[i].fd, &st))
			bytes += st.st_size;
	return bytes;
}

void memfiles_close(struct memfiles *files)
{
	for (int i = 0; i < files->nr; i++) {
		struct memfile *f = &files->v[i];

		if (f->fd >= 0)
			close(f->fd);
		if (f->image_fd >= 0)
			close(f->image_fd);
		free(f->path);
		free(f->backend);
		free(f->name);
	}
	free(files->v);
	memset(files, 0, sizeof(*files));
}

json_t *memfile_json(const struct memfile *f, const struct keel_vm *vm)
{
	json_t *regions = json_array(), *region;

	for (uint32_t i = 0; i < vm->nr_region; i++) {
		const struct keel_region *r = &vm->region[i];

		if (r->backing != KEEL_BACKING_KEELFS || r->dev != f->dev ||
		    r->ino != f->ino)
			continue;
		region = json_pack("{sI sI sI sb}",
				   "gpa", (json_int_t)r->gpa,
				   "size", (json_int_t)r->size,
				   "offset", (json_int_t)r->offset,
				   "readonly", r->readonly);
		json_array_append_new(regions, region);
	}
	return json_pack("{ss ss ss* sI so}", "image", f->name, "path", f->path,
			 "backend", f->backend, "size", (json_int_t)f->size,
			 "regions", regions);
}
