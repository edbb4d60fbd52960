// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "world.h"

#define CONST_EVERY	3	/* of the other pages, one in three is filled */

const char *const kind_name[NR_KINDS] = {
	[BY_VCPU] = "vCPU",
	[BY_STORE] = "VMM thread",
	[BY_PIPE] = "read from pipe",
	[BY_EVENTFD] = "read from eventfd",
	[BY_PREAD] = "pread",
	[BY_PWRITE] = "pwrite to the file",
	[BY_SPLICE] = "splice to the file",
	[BY_PVM] = "process_vm_writev",
	[BY_PROCMEM] = "/proc/self/mem",
	[BY_FORK] = "forked children",
	[BY_MPROTECT] = "mprotect",
	[BY_MREMAP] = "mremap",
	[BY_REMAP] = "munmap and mmap",
};

static size_t per_file(const struct world *w)
{
	return (NR_CELLS + w->nr_files - 1) / w->nr_files;
}

/* Page j of those with cells. */
static void cell_page(const struct world *w, int j, int *file, size_t *pgoff)
{
	size_t stride = w->size / PG / per_file(w);

	*file = j % w->nr_files;
	*pgoff = j / w->nr_files * stride + (j * 7) % stride;
}

/* Every writer goes through the same pages in another order. */
void world_where(struct world *w, int writer, int k, int *file, size_t *pgoff)
{
	cell_page(w, (k * (2 * writer + 1) + writer * 5) % NR_CELLS, file,
		  pgoff);
}

struct cell *world_cell(struct world *w, unsigned char *const *files,
			int writer, int k)
{
	size_t pgoff;
	int file;

	world_where(w, writer, k, &file, &pgoff);
	return (struct cell *)(files[file] + pgoff * PG + writer * 64);
}

static void peer_of(const struct world *w, int writer, int k, int *peer,
		    int *peer_k)
{
	*peer = (writer + 1) % w->nr_writers;
	*peer_k = (k * 5 + 3) % NR_CELLS;
}

uint64_t world_live(struct world *w, int writer, int k)
{
	return READ_ONCE(world_cell(w, (unsigned char **)w->map, writer,
				    k)->value);
}

static uint64_t fill_word(int file, size_t pgoff, size_t i)
{
	return (((uint64_t)file << 56) ^ (pgoff << 16) ^ i) *
		0x9e3779b97f4a7c15ULL;
}

/* 0: nobody touches it, 1: filled whole, 2: cells, then fill */
static void kinds_of_pages(const struct world *w, int file, unsigned char *kind)
{
	size_t p, pgoff;
	int j, f;

	for (p = 0; p < w->size / PG; p++)
		kind[p] = p % CONST_EVERY == 0;
	for (j = 0; j < NR_CELLS; j++) {
		cell_page(w, j, &f, &pgoff);
		if (f == file)
			kind[pgoff] = 2;
	}
}

#define FIRST_FILL	(MAX_WRITERS * 64 / 8)

static int fill(struct world *w, int file)
{
	unsigned char *kind = calloc(1, w->size / PG);
	size_t p, i;

	if (!kind)
		return -ENOMEM;
	kinds_of_pages(w, file, kind);
	for (p = 0; p < w->size / PG; p++) {
		uint64_t *word = (uint64_t *)(w->map[file] + p * PG);

		if (!kind[p])
			continue;
		for (i = kind[p] == 2 ? FIRST_FILL : 0; i < PG / 8; i++)
			word[i] = fill_word(file, p, i);
	}
	free(kind);
	return 0;
}

int world_create(struct world *w, const char *dir, int nr_files, size_t size,
		 size_t extra)
{
	char name[16];
	int i, ret;

	memset(w, 0, sizeof(*w));
	w->nr_files = nr_files;
	w->size = size;
	w->extra = extra;
	for (i = 0; i < nr_files; i++)
		w->fd[i] = -1;
	for (i = 0; i < nr_files; i++) {
		snprintf(name, sizeof(name), "ram%d", i);
		w->fd[i] = kt_file(dir, name, size + extra);
		if (w->fd[i] < 0) {
			ret = w->fd[i];
			snprintf(w->why, sizeof(w->why), "%s/%s: %s", dir, name,
				 strerror(-ret));
			return ret;
		}
		w->map[i] = kt_map(w->fd[i], size + extra);
		if (!w->map[i]) {
			ret = -errno;
			snprintf(w->why, sizeof(w->why), "mmap of %s: %s", name,
				 strerror(-ret));
			return ret;
		}
		ret = fill(w, i);
		if (ret)
			return ret;
	}
	return 0;
}

void world_destroy(struct world *w)
{
	int i;

	world_stop(w);
	if (w->has_vm)
		tvm_destroy(&w->vm);
	w->has_vm = false;
	for (i = 0; i < w->nr_files; i++) {
		if (w->map[i])
			munmap(w->map[i], w->size + w->extra);
		if (w->fd[i] >= 0)
			close(w->fd[i]);
		w->map[i] = NULL;
		w->fd[i] = -1;
	}
}

int world_add_writer(struct world *w, enum writer_kind kind)
{
	struct writer *x = &w->writer[w->nr_writers];

	if (w->nr_writers == MAX_WRITERS)
		return -ENOSPC;
	memset(x, 0, sizeof(*x));
	x->world = w;
	x->index = w->nr_writers++;
	x->kind = kind;
	x->aux = -1;
	x->pipe[0] = -1;
	x->pipe[1] = -1;
	if (kind == BY_VCPU)
		w->nr_vcpus++;
	return x->index;
}

static int bad(struct writer *x, const char *what)
{
	x->what = what;
	x->error = errno ?: EIO;
	return -x->error;
}

static int map_own(struct writer *x)
{
	struct world *w = x->world;
	int i;

	for (i = 0; i < w->nr_files; i++) {
		x->base[i] = kt_map(w->fd[i], w->size);
		if (!x->base[i])
			return bad(x, "mmap");
	}
	return 0;
}

static void unmap_own(struct writer *x)
{
	int i;

	for (i = 0; i < x->world->nr_files; i++) {
		if (x->base[i] && x->base[i] != x->world->map[i])
			munmap(x->base[i], x->world->size);
		x->base[i] = NULL;
	}
}

static int setup(struct writer *x)
{
	int i;

	switch (x->kind) {
	case BY_PIPE:
	case BY_SPLICE:
		if (pipe2(x->pipe, O_CLOEXEC))
			return bad(x, "pipe");
		break;
	case BY_EVENTFD:
		x->aux = eventfd(0, EFD_CLOEXEC);
		if (x->aux < 0)
			return bad(x, "eventfd");
		break;
	case BY_PREAD:
		x->aux = memfd_create("source", MFD_CLOEXEC);
		if (x->aux < 0)
			return bad(x, "memfd_create");
		break;
	case BY_PROCMEM:
		x->aux = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
		if (x->aux < 0)
			return bad(x, "open /proc/self/mem");
		break;
	case BY_MPROTECT:
	case BY_MREMAP:
	case BY_REMAP:
		return map_own(x);
	default:
		break;
	}
	for (i = 0; i < x->world->nr_files; i++)
		x->base[i] = x->world->map[i];
	return 0;
}

static struct cell *at(struct writer *x, int k)
{
	return world_cell(x->world, (unsigned char **)x->base, x->index, k);
}

static uint64_t peer_value(struct writer *x, int k)
{
	int peer, peer_k;

	peer_of(x->world, x->index, k, &peer, &peer_k);
	return READ_ONCE(world_cell(x->world, (unsigned char **)x->base, peer,
				    peer_k)->value);
}

static void store(struct writer *x, int k)
{
	struct cell *c = at(x, k);

	WRITE_ONCE(c->seen, peer_value(x, k));
	WRITE_ONCE(c->value, x->n);
}

static int store_all(struct writer *x)
{
	int k;

	for (k = 0; k < NR_CELLS; k++)
		store(x, k);
	return 0;
}

static off_t file_offset(struct writer *x, int k, int *file)
{
	size_t pgoff;

	world_where(x->world, x->index, k, file, &pgoff);
	return pgoff * PG + x->index * 64;
}

static int write_one(struct writer *x, int k)
{
	struct cell c = { x->n, peer_value(x, k) };
	struct iovec from = { &c, sizeof(c) }, to = { at(x, k), sizeof(c) };
	loff_t off;
	int file;

	switch (x->kind) {
	case BY_PIPE:
		if (write(x->pipe[1], &c, sizeof(c)) != sizeof(c))
			return bad(x, "write to pipe");
		if (read(x->pipe[0], at(x, k), sizeof(c)) != sizeof(c))
			return bad(x, "read from pipe");
		return 0;
	case BY_EVENTFD:
		if (write(x->aux, &x->n, 8) != 8)
			return bad(x, "write to eventfd");
		if (read(x->aux, &at(x, k)->value, 8) != 8)
			return bad(x, "read from eventfd");
		return 0;
	case BY_PREAD:
		if (pwrite(x->aux, &c, sizeof(c), 0) != sizeof(c))
			return bad(x, "pwrite to memfd");
		if (pread(x->aux, at(x, k), sizeof(c), 0) != sizeof(c))
			return bad(x, "pread from memfd");
		return 0;
	case BY_PWRITE:
		off = file_offset(x, k, &file);
		if (pwrite(x->world->fd[file], &c, sizeof(c), off) !=
		    sizeof(c))
			return bad(x, "pwrite to the memory file");
		return 0;
	case BY_SPLICE:
		off = file_offset(x, k, &file);
		if (write(x->pipe[1], &c, sizeof(c)) != sizeof(c))
			return bad(x, "write to pipe");
		if (splice(x->pipe[0], NULL, x->world->fd[file], &off,
			   sizeof(c), 0) != sizeof(c))
			return bad(x, "splice to the memory file");
		return 0;
	case BY_PVM:
		if (process_vm_writev(getpid(), &from, 1, &to, 1, 0) !=
		    sizeof(c))
			return bad(x, "process_vm_writev");
		return 0;
	case BY_PROCMEM:
		if (pwrite(x->aux, &c, sizeof(c), (uintptr_t)at(x, k)) !=
		    sizeof(c))
			return bad(x, "pwrite to /proc/self/mem");
		return 0;
	default:
		errno = EINVAL;
		return bad(x, "kind");
	}
}

/* One system call for all cells: the kernel goes through them in order. */
static int readv_all(struct writer *x)
{
	struct cell c[NR_CELLS];
	struct iovec v[NR_CELLS];
	int k;

	for (k = 0; k < NR_CELLS; k++) {
		c[k].value = x->n;
		c[k].seen = peer_value(x, k);
		v[k].iov_base = at(x, k);
		v[k].iov_len = sizeof(c[k]);
	}
	if (write(x->pipe[1], c, sizeof(c)) != sizeof(c))
		return bad(x, "write to pipe");
	if (readv(x->pipe[0], v, NR_CELLS) != sizeof(c))
		return bad(x, "readv from pipe");
	return 0;
}

static int fork_all(struct writer *x)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return bad(x, "fork");
	if (!pid) {
		store_all(x);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status) {
		errno = ECHILD;
		return bad(x, "a child that stored");
	}
	return 0;
}

/* Half a round, then the mapping changes, then the other half. */
static int halves(struct writer *x, int (*change)(struct writer *x, int file))
{
	struct world *w = x->world;
	int k, i, ret;

	for (k = 0; k < NR_CELLS; k++) {
		if (k == NR_CELLS / 2) {
			for (i = 0; i < w->nr_files; i++) {
				ret = change(x, i);
				if (ret)
					return ret;
			}
		}
		store(x, k);
	}
	return 0;
}

static int change_prot(struct writer *x, int i)
{
	if (mprotect(x->base[i], x->world->size, PROT_READ))
		return bad(x, "mprotect to read-only");
	if (READ_ONCE(*(uint64_t *)x->base[i]) == UINT64_MAX)
		return bad(x, "impossible value");
	if (mprotect(x->base[i], x->world->size, PROT_READ | PROT_WRITE))
		return bad(x, "mprotect to writable");
	return 0;
}

static int change_place(struct writer *x, int i)
{
	size_t size = x->world->size;
	char *to = kt_map(x->world->fd[i], size);

	if (!to)
		return bad(x, "mmap");
	/* Odd rounds move it off its 2 MiB boundary. */
	if (x->n & 1)
		to = mremap(x->base[i], size, size, MREMAP_MAYMOVE |
			    MREMAP_FIXED, to);
	else
		to = mremap(to, size, size, MREMAP_MAYMOVE | MREMAP_FIXED,
			    x->base[i]);
	if (to == MAP_FAILED)
		return bad(x, "mremap");
	x->base[i] = to;
	return 0;
}

static int change_map(struct writer *x, int i)
{
	munmap(x->base[i], x->world->size);
	x->base[i] = kt_map(x->world->fd[i], x->world->size);
	return x->base[i] ? 0 : bad(x, "mmap");
}

static int round_of(struct writer *x)
{
	int k, ret = 0;

	switch (x->kind) {
	case BY_STORE:
		return store_all(x);
	case BY_FORK:
		return fork_all(x);
	case BY_MPROTECT:
		return halves(x, change_prot);
	case BY_MREMAP:
		return halves(x, change_place);
	case BY_REMAP:
		return halves(x, change_map);
	case BY_PIPE:
		if (x->n & 1)
			return readv_all(x);
		break;
	default:
		break;
	}
	for (k = 0; k < NR_CELLS && !ret; k++)
		ret = write_one(x, k);
	return ret;
}

static void *writer_thread(void *arg)
{
	struct writer *x = arg;

	while (!__atomic_load_n(&x->world->stop, __ATOMIC_ACQUIRE)) {
		WRITE_ONCE(x->n, x->n + 1);
		if (round_of(x))
			break;
	}
	return NULL;
}

static int make_vm(struct world *w)
{
	struct tvm_step steps[NR_CELLS];
	int i, k, v = 0, ret;

	ret = tvm_create(&w->vm, w->nr_vcpus);
	w->has_vm = true;
	for (i = 0; i < w->nr_files && !ret; i++)
		ret = tvm_add_memory(&w->vm, w->map[i], w->size + w->extra,
				     &w->gpa[i]);
	for (i = 0; i < w->nr_writers && !ret; i++) {
		if (w->writer[i].kind != BY_VCPU)
			continue;
		for (k = 0; k < NR_CELLS; k++) {
			int peer, peer_k, file;
			size_t pgoff;

			world_where(w, i, k, &file, &pgoff);
			steps[k].cell = w->gpa[file] + pgoff * PG + i * 64;
			peer_of(w, i, k, &peer, &peer_k);
			world_where(w, peer, peer_k, &file, &pgoff);
			steps[k].peer = w->gpa[file] + pgoff * PG + peer * 64;
		}
		ret = tvm_load_ordered(&w->vm, v++, steps, NR_CELLS);
	}
	if (ret)
		snprintf(w->why, sizeof(w->why), "the tiny VMM: %s",
			 strerror(-ret));
	return ret;
}

int world_start(struct world *w)
{
	int i, v = 0, ret;

	w->stop = false;
	if (w->nr_vcpus && !w->has_vm) {
		ret = make_vm(w);
		if (ret)
			return ret;
	}
	for (i = 0; i < w->nr_writers; i++) {
		struct writer *x = &w->writer[i];

		if (x->kind == BY_VCPU) {
			ret = tvm_start(&w->vm, v++);
			if (ret)
				return ret;
			continue;
		}
		ret = setup(x);
		if (ret) {
			snprintf(w->why, sizeof(w->why), "writer \"%s\": %s: %s",
				 kind_name[x->kind], x->what, strerror(-ret));
			return ret;
		}
		ret = -pthread_create(&x->thread, NULL, writer_thread, x);
		if (ret)
			return ret;
		x->started = true;
	}
	return 0;
}

int world_alive(struct world *w)
{
	int i;

	for (i = 0; i < w->nr_writers; i++) {
		struct writer *x = &w->writer[i];
		int err = READ_ONCE(x->error);

		if (err) {
			snprintf(w->why, sizeof(w->why), "writer \"%s\": %s: %s",
				 kind_name[x->kind], x->what, strerror(err));
			return -err;
		}
	}
	for (i = 0; i < w->nr_vcpus && w->has_vm; i++) {
		int err = READ_ONCE(w->vm.vcpu[i].error);

		if (err) {
			snprintf(w->why, sizeof(w->why),
				 "vCPU %d: KVM_RUN: error %d", i, err);
			return -EIO;
		}
	}
	return 0;
}

int world_stop(struct world *w)
{
	int i, ret;

	__atomic_store_n(&w->stop, true, __ATOMIC_RELEASE);
	if (w->has_vm)
		tvm_stop(&w->vm);
	for (i = 0; i < w->nr_writers; i++) {
		struct writer *x = &w->writer[i];

		if (x->started)
			pthread_join(x->thread, NULL);
		x->started = false;
	}
	ret = world_alive(w);
	for (i = 0; i < w->nr_writers; i++) {
		struct writer *x = &w->writer[i];

		if (x->kind == BY_VCPU)
			continue;
		unmap_own(x);
		if (x->aux >= 0)
			close(x->aux);
		if (x->pipe[0] >= 0) {
			close(x->pipe[0]);
			close(x->pipe[1]);
		}
		x->aux = -1;
		x->pipe[0] = -1;
		x->pipe[1] = -1;
	}
	return ret;
}

static void found(struct world *w, int *nr, const char *fmt, ...)
{
	va_list ap;

	if (!(*nr)++) {
		va_start(ap, fmt);
		vsnprintf(w->why, sizeof(w->why), fmt, ap);
		va_end(ap);
	}
}

static void check_writer(struct world *w, unsigned char *const *files, int i,
			 const uint64_t *older, const uint64_t *newer, int *nr)
{
	uint64_t first = world_cell(w, files, i, 0)->value;
	uint64_t last = world_cell(w, files, i, NR_CELLS - 1)->value;
	const char *name = kind_name[w->writer[i].kind];
	uint64_t before = first;
	int k, peer, peer_k;

	for (k = 1; k < NR_CELLS; k++) {
		uint64_t v = world_cell(w, files, i, k)->value;

		if (v > before)
			found(w, nr,
			      "writer %d (%s): cell %d holds %ld, after %ld",
			      i, name, k, v, before);
		before = v;
	}
	if (last + 1 < first)
		found(w, nr, "writer %d (%s): the last cell holds %ld, the first %ld",
		      i, name, last, first);
	for (k = 0; k < NR_CELLS; k++) {
		uint64_t seen = world_cell(w, files, i, k)->seen, value;

		peer_of(w, i, k, &peer, &peer_k);
		value = world_cell(w, files, peer, peer_k)->value;
		if (seen > value)
			found(w, nr,
			      "writer %d (%s): cell %d saw %ld in cell %d of writer %d, which holds %ld",
			      i, name, k, seen, peer_k, peer, value);
	}
	if (older && last < older[i])
		found(w, nr, "writer %d (%s): image at %ld, before ARM memory was at %ld",
		      i, name, last, older[i]);
	if (newer && first > newer[i])
		found(w, nr, "writer %d (%s): image at %ld, after ARM memory was at %ld",
		      i, name, first, newer[i]);
}

static void check_fill(struct world *w, unsigned char *const *files, int file,
		       int *nr)
{
	unsigned char *kind = calloc(1, w->size / PG);
	size_t p, i;

	kinds_of_pages(w, file, kind);
	for (p = 0; p < w->size / PG; p++) {
		uint64_t *word = (uint64_t *)(files[file] + p * PG);

		for (i = kind[p] == 2 ? FIRST_FILL : 0; i < PG / 8; i++) {
			uint64_t want = kind[p] ? fill_word(file, p, i) : 0;

			if (word[i] == want)
				continue;
			found(w, nr,
			      "file %d page %zu word %zu: %#lx, should be %#lx",
			      file, p, i, word[i], want);
			break;
		}
	}
	free(kind);
}

int world_check(struct world *w, unsigned char *const *files,
		const uint64_t *older, const uint64_t *newer)
{
	int i, nr = 0;

	w->why[0] = '\0';
	for (i = 0; i < w->nr_writers; i++)
		check_writer(w, files, i, older, newer, &nr);
	for (i = 0; i < w->nr_files; i++)
		check_fill(w, files, i, &nr);
	return nr;
}
