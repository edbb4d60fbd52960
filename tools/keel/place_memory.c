// SPDX-License-Identifier: GPL-2.0
/*
 * keel place memory: move memory that is not on keelfs to where the last decision
 * wants it. The module moves that on keelfs itself; of other memory only the
 * kernel's move_pages() system call can.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "keel.h"
#include "out.h"
#include "place.h"

#define RATE_MIB	256
#define PAGES		1024	/* asked for at a time */
#define AFTER		3	/* decisions in a row that want it */
#define MPOL_MF_MOVE	2

/* What is remembered of a VM from one second to the next. */
struct mover {
	uint32_t id;
	uint32_t to;		/* node */
	uint32_t wanted;	/* decisions in a row */
	uint64_t at;		/* bytes of its memory that have been looked at */
	uint64_t moved;		/* pages, in this second */
	uint64_t stuck;
	bool seen;
};

struct movers {
	struct mover *mover;
	uint32_t nr;
};

struct batch {
	void *page[PAGES];
	int node[PAGES];
	int status[PAGES];
	unsigned long nr;
};

static struct mover *mover_of(struct movers *all, uint32_t id)
{
	struct mover *m;

	for (uint32_t i = 0; i < all->nr; i++)
		if (all->mover[i].id == id)
			return &all->mover[i];
	m = realloc(all->mover, (all->nr + 1) * sizeof(*m));
	if (!m)
		return NULL;
	all->mover = m;
	m += all->nr++;
	*m = (struct mover){ .id = id };
	return m;
}

static void forget_unseen(struct movers *all)
{
	uint32_t left = 0;

	for (uint32_t i = 0; i < all->nr; i++)
		if (all->mover[i].seen)
			all->mover[left++] = all->mover[i];
	all->nr = left;
}

/* Keep of a batch the pages on a node that they should leave. */
static void keep_far(const struct keel_place *p, uint64_t from, struct batch *b)
{
	unsigned long kept = 0;

	for (unsigned long i = 0; i < b->nr; i++)
		for (uint32_t n = 0; n < p->nr_nodes; n++)
			if ((from >> n & 1) && b->status[i] == (int)p->node[n])
				b->page[kept++] = b->page[i];
	b->nr = kept;
}

/* Return: 0; -errno, -ESRCH if the process has gone. */
static int move_batch(const struct keel_place *p, const struct keel_vm *vm,
		      const struct keel_memory *want, struct mover *m,
		      struct batch *b)
{
	if (syscall(SYS_move_pages, vm->pid, b->nr, b->page, NULL, b->status, 0))
		return -errno;
	keep_far(p, want->from, b);
	if (!b->nr)
		return 0;
	for (unsigned long i = 0; i < b->nr; i++) {
		b->node[i] = want->to;
		b->status[i] = -EAGAIN;
	}
	/* Positive: so many could not be moved; the status tells which. */
	if (syscall(SYS_move_pages, vm->pid, b->nr, b->page, b->node, b->status,
		    MPOL_MF_MOVE) < 0 && errno != ENOENT)
		return -errno;
	for (unsigned long i = 0; i < b->nr; i++)
		if (b->status[i] == (int)want->to)
			m->moved++;
		else
			m->stuck++;
	return 0;
}

static uint64_t other_memory(const struct keel_vm *vm)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < vm->nr_region; i++)
		if (vm->region[i].backing != KEEL_BACKING_KEELFS)
			bytes += vm->region[i].size;
	return bytes;
}

/* The next pages of a VM from @m->at on that are not on keelfs. */
static void next_batch(const struct keel_vm *vm, struct mover *m, size_t page,
		       struct batch *b)
{
	uint64_t skip = m->at;

	b->nr = 0;
	for (uint32_t i = 0; i < vm->nr_region && b->nr < PAGES; i++) {
		const struct keel_region *r = &vm->region[i];

		if (r->backing == KEEL_BACKING_KEELFS)
			continue;
		for (uint64_t off = skip; off < r->size && b->nr < PAGES;
		     off += page)
			b->page[b->nr++] = (void *)(uintptr_t)(r->hva + off);
		skip -= skip < r->size ? skip : r->size;
	}
	m->at += b->nr * page;
}

/* Once over its memory at most, up to @mib. */
static int move_memory(const struct keel_place *p, const struct keel_vm *vm,
		       const struct keel_memory *want, struct mover *m,
		       uint32_t mib)
{
	size_t page = sysconf(_SC_PAGESIZE);
	uint64_t all = other_memory(vm), looked = 0;
	struct batch b;
	int err = 0;

	while (!err && !stop_signal && looked < all &&
	       m->moved * page < (uint64_t)mib << 20) {
		if (m->at >= all)
			m->at = 0;
		next_batch(vm, m, page, &b);
		looked += b.nr * page;
		if (!b.nr)
			break;
		err = move_batch(p, vm, want, m, &b);
	}
	return err;
}

static void show(const struct keel_place_vm *vm, const struct mover *m)
{
	char *name = vm_name(vm->pid);

	out_object(NULL);
	out_u64("vm", "vm %llu", vm->id);
	out_str("name", " %s", name);
	out_size("moved", ": %s", m->moved * sysconf(_SC_PAGESIZE));
	out_u64("node", " to node %llu", m->to);
	out_u64("stuck", m->stuck ? ", %llu pages could not be" : NULL, m->stuck);
	out_text("\n");
	out_flush();
	free(name);
}

static int visit(struct keel *keel, const struct keel_place *p,
		 const struct keel_place_vm *pv, struct movers *all, uint32_t mib)
{
	struct mover *m = mover_of(all, pv->id);
	struct keel_vm vm;
	int err;

	if (!m)
		return fail("out of memory");
	m->seen = true;
	if (pv->mode != KEEL_PLACE_MODE_ON || !pv->memory.from ||
	    pv->memory.to != m->to) {
		m->to = pv->memory.to;
		m->wanted = pv->memory.from ? 1 : 0;
		return 0;
	}
	if (++m->wanted < AFTER)
		return 0;
	m->moved = 0;
	m->stuck = 0;
	if (keel_vm_get(keel, pv->id, &vm))
		return 0;	/* it has gone */
	err = move_memory(p, &vm, &pv->memory, m, mib);
	keel_vm_release(&vm);
	if (err && err != -ESRCH)
		return fail("the memory of VM %u: %s", pv->id, strerror(-err));
	if (m->moved || m->stuck)
		show(pv, m);
	return 0;
}

/* Is it one of those that were asked for? All are if none was. */
static bool asked(const uint32_t *id, int nr, uint32_t vm)
{
	for (int i = 0; i < nr; i++)
		if (id[i] == vm)
			return true;
	return !nr;
}

static int visit_all(struct keel *keel, const uint32_t *id, int nr_ids,
		     struct movers *all, uint32_t mib, uint64_t *period)
{
	struct keel_place_vm *vms;
	struct keel_place p;
	int nr, err = 0;

	if (keel_place_get(keel, &p))
		return fail("%s", keel_error(keel));
	nr = keel_place_vm_list(keel, &vms);
	if (!p.running)
		err = bad("nothing is placed; 'keel place start' begins it");
	else if (nr < 0)
		err = fail("%s", keel_error(keel));
	for (uint32_t i = 0; i < all->nr; i++)
		all->mover[i].seen = false;
	for (int i = 0; i < nr && !err && p.periods != *period; i++)
		if (asked(id, nr_ids, vms[i].id))
			err = visit(keel, &p, &vms[i], all, mib);
	if (p.periods != *period)
		forget_unseen(all);
	*period = p.periods;
	if (nr >= 0)
		keel_place_vm_list_free(vms, nr);
	keel_place_release(&p);
	return err;
}

static int find_all(struct keel *keel, char **name, int nr, uint32_t *id)
{
	struct keel_vm vm;

	for (int i = 0; i < nr; i++) {
		if (vm_find(keel, name[i], &vm))
			return -1;
		id[i] = vm.id;
		keel_vm_release(&vm);
	}
	return 0;
}

int place_memory_verb(int argc, char **argv)
{
	static const struct option options[] = {
		{ "rate", required_argument, NULL, 'r' },
		{ 0 }
	};
	uint32_t mib = RATE_MIB, *id;
	struct movers all = { 0 };
	uint64_t period = 0;
	struct keel *keel;
	int c, err, nr;

	while ((c = next_option(argc, argv, options)) != -1)
		if (c != 'r' || parse_positive("--rate", optarg, &mib))
			return -1;
	nr = argc - optind;
	if (keel_connect(&keel))
		return -1;
	id = calloc(nr + 1, sizeof(*id));
	err = id ? find_all(keel, argv + optind, nr, id) : fail("out of memory");
	catch_signals();
	while (!err && !stop_signal) {
		err = visit_all(keel, id, nr, &all, mib, &period);
		if (!err && !stop_signal)
			sleep(1);
	}
	free(all.mover);
	free(id);
	keel_close(keel);
	return err ? -1 : 0;
}
