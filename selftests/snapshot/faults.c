// SPDX-License-Identifier: GPL-2.0
/*
 * Snapshots that end badly, in every phase and in every way. A guest (a
 * process of its own, with vCPUs and the other writers of world.h) must never
 * see an error, must go on, and nothing of keel's may stay behind: not a
 * buffer, not a page, not a byte in the memory cgroup.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest.h"
#include "world.h"

#define FILES		2
#define SIZE		((size_t)4 << 20)
#define LEAK_SLACK	(2 << 20)	/* of a cgroup's idle per-CPU charges */

static struct knl nl;
static const char *mnt;
static bool have_vcpus;

static const enum writer_kind kinds[] = {
	BY_STORE, BY_PIPE, BY_PWRITE, BY_SPLICE, BY_PVM, BY_FORK,
};

/* A guest in another process. */
struct guest {
	pid_t pid;
	const char *dir;
	int fd[FILES];
	struct world twin;	/* knows the layout, runs nothing */
	struct {
		bool ready;
		int error;
		char why[256];
		uint64_t n[MAX_WRITERS];
	} *seen;
};

static void add_writers(struct world *w)
{
	size_t i;

	for (i = 0; have_vcpus && i < 4; i++)
		world_add_writer(w, BY_VCPU);
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		world_add_writer(w, kinds[i]);
}

static void guest_main(struct guest *g)
{
	static struct world w;
	int i, err;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	err = world_create(&w, g->dir, FILES, SIZE, 0);
	if (!err) {
		add_writers(&w);
		err = world_start(&w);
	}
	for (;;) {
		if (!err)
			err = world_alive(&w);
		if (err) {
			strcpy(g->seen->why, w.why);
			WRITE_ONCE(g->seen->error, err);
			pause();
		}
		WRITE_ONCE(g->seen->ready, true);
		for (i = 0; i < w.nr_writers; i++)
			WRITE_ONCE(g->seen->n[i],
				   w.writer[i].kind == BY_VCPU ?
				   world_live(&w, i, 0) :
				   READ_ONCE(w.writer[i].n));
		nap_us(2000);
	}
}

static bool guest_fine(struct guest *g)
{
	if (!READ_ONCE(g->seen->error))
		return true;
	ksft_print_msg("the guest met an error: %s\n", g->seen->why);
	return false;
}

/* Every writer gets ahead by two rounds. */
static bool guest_goes_on(struct guest *g)
{
	uint64_t end = now_ns() + 30 * 1000000000ULL;
	uint64_t start[MAX_WRITERS];
	int i;

	memcpy(start, g->seen->n, sizeof(start));
	for (i = 0; i < g->twin.nr_writers; ) {
		if (!guest_fine(g))
			return false;
		if (READ_ONCE(g->seen->n[i]) >= start[i] + 2) {
			i++;
			continue;
		}
		if (now_ns() > end) {
			ksft_print_msg("writer %d (%s) is stuck\n", i,
				       kind_name[g->twin.writer[i].kind]);
			return false;
		}
		nap_us(1000);
	}
	return true;
}

static void guest_start(struct guest *g, const char *name)
{
	char path[PATH_MAX];
	int i;

	memset(g, 0, sizeof(*g));
	snprintf(path, sizeof(path), "%s/%s", mnt, name);
	if (mkdir(path, 0700))
		ksft_exit_fail_msg("mkdir %s: %s\n", path, strerror(errno));
	g->dir = strdup(path);
	g->seen = mmap(NULL, sizeof(*g->seen), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	g->pid = fork();
	if (!g->pid)
		guest_main(g);
	for (i = 0; i < 20000 && !READ_ONCE(g->seen->ready); i++) {
		if (!guest_fine(g))
			ksft_exit_fail_msg("no guest\n");
		nap_us(1000);
	}
	g->twin.nr_files = FILES;
	g->twin.size = SIZE;
	add_writers(&g->twin);
	for (i = 0; i < FILES; i++) {
		snprintf(path, sizeof(path), "%s/ram%d", g->dir, i);
		g->fd[i] = open(path, O_RDWR | O_CLOEXEC);
		if (g->fd[i] < 0)
			ksft_exit_fail_msg("%s: %s\n", path, strerror(errno));
	}
	if (!guest_goes_on(g))
		ksft_exit_fail_msg("the guest does not run\n");
}

static void guest_kill(struct guest *g)
{
	if (g->pid) {
		kill(g->pid, SIGKILL);
		waitpid(g->pid, NULL, 0);
	}
	g->pid = 0;
}

static void guest_end(struct guest *g)
{
	char path[PATH_MAX];
	int i;

	guest_kill(g);
	for (i = 0; i < FILES; i++) {
		close(g->fd[i]);
		snprintf(path, sizeof(path), "%s/ram%d", g->dir, i);
		unlink(path);
	}
	rmdir(g->dir);
	free((void *)g->dir);
	munmap(g->seen, sizeof(*g->seen));
}

/* What there is of keel's, and of the cgroup's memory. */
struct levels {
	struct knl_host host;
	long long cgroup;
};

static void look(struct levels *l)
{
	knl_host_get(&nl, &l->host);
	l->cgroup = kt_read_number("/sys/fs/cgroup/keeltest/memory.current");
}

/* Ends are asynchronous where a process was killed: wait for a while. */
static bool back_to(const struct levels *was, const char *what)
{
	struct levels now;
	int i;

	for (i = 0; i < 300; i++) {
		look(&now);
		if (now.host.snapshots == was->host.snapshots &&
		    now.host.pool_pages == was->host.pool_pages &&
		    now.host.keelfs_pages == was->host.keelfs_pages &&
		    now.cgroup <= was->cgroup + LEAK_SLACK)
			return true;
		nap_us(10000);
	}
	ksft_print_msg("%s: left behind: snapshots %u (were %u), pool pages %lu (%lu), keelfs pages %lu (%lu), cgroup %lld (%lld)\n",
		       what, now.host.snapshots, was->host.snapshots,
		       now.host.pool_pages, was->host.pool_pages,
		       now.host.keelfs_pages, was->host.keelfs_pages,
		       now.cgroup, was->cgroup);
	return false;
}

enum phase { CREATED, PREPARED, ARMED, DRAINING, THROTTLED, COMPLETE,
	     NR_PHASES };

static const char *const phase_name[NR_PHASES] = {
	"created", "prepared", "armed", "draining", "throttled", "complete",
};

enum ending { KILL, ABORT, NL_ABORT, CLOSE, NR_ENDINGS };

static const char *const ending_name[NR_ENDINGS] = {
	"kill -9 of the drainer", "abort by ioctl", "abort over netlink",
	"close",
};

static int begin(struct ksnap *s, struct guest *g, struct keel_snap_create *c)
{
	int i, ret;

	ret = ksnap_open(s, c);
	if (ret)
		return ret;
	for (i = 0; i < FILES && !ret; i++)
		ret = ksnap_add(s, g->fd[i], SIZE);
	return ret;
}

static int arm(struct ksnap *s)
{
	int ret, i;

	ret = ksnap_prepare(s);
	if (ret)
		return ret;
	for (i = 0; i < 100; i++) {
		ret = ksnap_arm(s, NULL);
		if (ret != -EBUSY)
			break;
	}
	return ret;
}

/* Until the writers have eaten the pool. */
static int wait_empty(struct ksnap *s)
{
	struct keel_snap_stat st;
	int i;

	for (i = 0; i < 2000; i++) {
		if (ksnap_stat(s, &st))
			return -EIO;
		if (st.pool_free < 512 || st.spilled_pages ||
		    st.state != KEEL_SNAP_ARMED) {
			nap_us(50000);
			return 0;
		}
		nap_us(5000);
	}
	ksft_print_msg("the pool did not run out: %llu of %llu free\n",
		       st.pool_free, st.pool_pages);
	return -ETIME;
}

static int bring_to(struct ksnap *s, struct guest *g, enum phase phase)
{
	struct keel_snap_create c = {
		.pool_bytes = phase == THROTTLED ? KEEL_SNAP_POOL_MIN : 32 << 20,
		.stall_ms = 60000,
		.pinned_max = 4096,
	};
	uint32_t state;
	int ret = begin(s, g, &c);

	if (ret || phase == CREATED)
		return ret;
	if (phase == PREPARED)
		return ksnap_prepare(s);
	ret = arm(s);
	if (ret || phase == ARMED)
		return ret;
	if (phase == THROTTLED)
		return wait_empty(s);
	if (phase == COMPLETE)
		return ksnap_drain(s, 4096, 0);
	ret = ksnap_fetch(s, 100, &state);
	return ret < 0 ? ret : 0;
}

/* The process that drains, told what to do through shared memory. */
struct drainer {
	pid_t pid;
	struct {
		bool there, go, done;
		int ret, end_ret;
		uint32_t id;
	} *ctl;
};

static void drainer_main(struct drainer *d, struct guest *g, enum phase phase,
			 enum ending ending)
{
	static struct ksnap s;
	uint32_t state;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	d->ctl->ret = bring_to(&s, g, phase);
	d->ctl->id = s.id;
	__atomic_store_n(&d->ctl->there, true, __ATOMIC_RELEASE);
	while (!READ_ONCE(d->ctl->go)) {
		if (phase == DRAINING)
			ksnap_fetch(&s, 4, &state);
		nap_us(2000);
	}
	if (ending == ABORT)
		d->ctl->end_ret = ksnap_abort(&s);
	if (ending == CLOSE)
		ksnap_close(&s);
	WRITE_ONCE(d->ctl->done, true);
	if (ending == CLOSE)
		pause();
	nap_us(20000);
	_exit(0);
}

static int drainer_start(struct drainer *d, struct guest *g, enum phase phase,
			 enum ending ending)
{
	int i;

	d->ctl = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	d->pid = fork();
	if (!d->pid)
		drainer_main(d, g, phase, ending);
	for (i = 0; i < 30000 && !READ_ONCE(d->ctl->there); i++)
		nap_us(1000);
	if (!READ_ONCE(d->ctl->there))
		return -ETIME;
	return d->ctl->ret;
}

static void drainer_reap(struct drainer *d)
{
	kill(d->pid, SIGKILL);
	waitpid(d->pid, NULL, 0);
	munmap(d->ctl, 4096);
}

static int rmmod(void)
{
	return syscall(SYS_delete_module, "keel", O_NONBLOCK) ? -errno : 0;
}

static bool end_it(struct drainer *d, enum phase phase, enum ending ending)
{
	int want = phase == COMPLETE ? -EALREADY : 0, ret = want, i;

	switch (ending) {
	case KILL:
		kill(d->pid, SIGKILL);
		break;
	case NL_ABORT:
		ret = knl_snapshot_abort(&nl, d->ctl->id);
		break;
	default:
		WRITE_ONCE(d->ctl->go, true);
		for (i = 0; i < 20000 && !READ_ONCE(d->ctl->done); i++)
			nap_us(1000);
		if (ending == ABORT)
			ret = d->ctl->end_ret;
		if (!READ_ONCE(d->ctl->done))
			ret = -ETIME;
	}
	if (ret == want)
		return true;
	ksft_print_msg("the abort said %s\n", strerror(-ret));
	return false;
}

static void ends_in_each_phase(struct guest *g)
{
	struct levels was;
	int phase, ending, ret;
	bool ok;

	for (ending = 0; ending < NR_ENDINGS; ending++) {
		for (phase = 0; phase < NR_PHASES; phase++) {
			struct drainer d = {};

			look(&was);
			ret = drainer_start(&d, g, phase, ending);
			ok = !ret;
			if (ret)
				ksft_print_msg("cannot get there: %s\n",
					       strerror(-ret));
			ret = rmmod();
			if (ret != -EAGAIN && ret != -EBUSY) {
				ksft_print_msg("rmmod: %s\n", strerror(-ret));
				ok = false;
			}
			ok = end_it(&d, phase, ending) && ok;
			ok = guest_goes_on(g) && ok;
			drainer_reap(&d);
			ok = back_to(&was, "after it") && ok;
			ksft_test_result(ok, "%s while %s\n",
					 ending_name[ending],
					 phase_name[phase]);
		}
	}
}

static bool image_is_one_instant(struct guest *g, struct ksnap *s)
{
	int nr = world_check(&g->twin, s->image, NULL, NULL);

	if (nr)
		ksft_print_msg("%d violations: %s\n", nr, g->twin.why);
	return !nr;
}

static bool reason_is(struct ksnap *s, uint32_t reason)
{
	struct keel_snap_stat st;
	uint32_t state;
	int i;

	for (i = 0; i < 1000; i++) {
		if (ksnap_stat(s, &st))
			return false;
		if (st.state == KEEL_SNAP_ABORTED)
			break;
		nap_us(10000);
	}
	if (st.state != KEEL_SNAP_ABORTED || st.reason != reason) {
		ksft_print_msg("state %u reason %u\n", st.state, st.reason);
		return false;
	}
	if (ksnap_fetch(s, 100, &state) != -ECANCELED) {
		ksft_print_msg("FETCH goes on after the abort\n");
		return false;
	}
	return true;
}

static void policies(struct guest *g)
{
	static const struct {
		const char *what;
		uint32_t overflow, stall_ms, reason;
		bool drain;
	} table[] = {
		{ "throttle, and a drainer that pauses",
		  KEEL_OVERFLOW_THROTTLE, 60000, 0, true },
		{ "throttle, and nobody drains", KEEL_OVERFLOW_THROTTLE, 200,
		  KEEL_REASON_STALLED, false },
		{ "spill", KEEL_OVERFLOW_SPILL, 60000, 0, true },
		{ "abort", KEEL_OVERFLOW_ABORT, 60000, KEEL_REASON_POOL,
		  false },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(table); i++) {
		struct keel_snap_create c = {
			.pool_bytes = KEEL_SNAP_POOL_MIN,
			.overflow = table[i].overflow,
			.stall_ms = table[i].stall_ms,
			.pinned_max = 4096,
		};
		struct keel_snap_stat st = {};
		struct ksnap s = {};
		struct levels was;
		bool ok;
		int ret;

		look(&was);
		ret = begin(&s, g, &c) ?: arm(&s) ?: wait_empty(&s);
		ok = !ret;
		if (ret) {
			ksft_print_msg("cannot get there: %s\n",
				       strerror(-ret));
		} else if (table[i].drain) {
			nap_us(500000);
			ret = ksnap_drain(&s, 200, 1000);
			if (ret)
				ksft_print_msg("drain: %s %s\n",
					       strerror(-ret), s.why);
			ok = !ret && image_is_one_instant(g, &s);
			ksnap_stat(&s, &st);
			if (c.overflow == KEEL_OVERFLOW_SPILL &&
			    (!st.spilled_pages || st.throttled))
				ok = false;
			if (c.overflow == KEEL_OVERFLOW_THROTTLE &&
			    (st.spilled_pages || !st.throttled))
				ok = false;
			ksft_print_msg("spilled %llu, waits %llu\n",
				       st.spilled_pages, st.throttled);
		} else {
			ok = reason_is(&s, table[i].reason);
		}
		ok = guest_goes_on(g) && ok;
		ksnap_close(&s);
		ksnap_free(&s);
		ok = back_to(&was, "after it") && ok;
		ksft_test_result(ok, "pool runs out: %s\n", table[i].what);
	}
}

/* The guest goes; its image must still be whole. */
static void vmm_killed(void)
{
	struct levels was;
	int phase, ret;

	for (phase = CREATED; phase <= COMPLETE; phase++) {
		struct ksnap s = {};
		struct guest g;
		bool ok;

		look(&was);
		guest_start(&g, "doomed");
		ret = bring_to(&s, &g, phase);
		if (phase == THROTTLED)
			nap_us(50000);
		guest_kill(&g);
		if (!ret && phase == CREATED)
			ret = ksnap_prepare(&s);
		if (!ret && phase <= PREPARED)
			ret = ksnap_arm(&s, NULL);
		if (!ret && phase != COMPLETE)
			ret = ksnap_drain(&s, 4096, 0);
		if (ret)
			ksft_print_msg("%s %s\n", strerror(-ret), s.why);
		ok = !ret && image_is_one_instant(&g, &s);
		ksnap_free(&s);
		guest_end(&g);
		ok = back_to(&was, "after it") && ok;
		ksft_test_result(ok, "kill -9 of the VMM while %s\n",
				 phase_name[phase]);
	}
}

static void two_at_once(struct guest *a)
{
	struct keel_snap_create c = { .pool_bytes = 32 << 20,
				      .pinned_max = 4096 }, d = c;
	struct ksnap s = {}, t = {};
	struct levels was;
	struct guest b;
	bool ok;
	int ret;

	look(&was);
	guest_start(&b, "second");
	ret = begin(&s, a, &c) ?: begin(&t, &b, &d) ?: arm(&s) ?: arm(&t) ?:
	      ksnap_drain(&t, 512, 0) ?: ksnap_drain(&s, 512, 0);
	if (ret)
		ksft_print_msg("%s %s %s\n", strerror(-ret), s.why, t.why);
	ok = !ret && image_is_one_instant(a, &s) && image_is_one_instant(&b, &t);
	ok = guest_goes_on(a) && guest_goes_on(&b) && ok;
	ksnap_free(&s);
	ksnap_free(&t);
	guest_end(&b);
	ok = back_to(&was, "after it") && ok;
	ksft_test_result(ok, "two snapshots at once, of two guests\n");
}

static void unlinked(void)
{
	struct keel_snap_create c = { .pool_bytes = 32 << 20,
				      .pinned_max = 4096 };
	struct ksnap s = {};
	struct levels was;
	struct guest g;
	char path[PATH_MAX];
	bool ok;
	int i, ret;

	look(&was);
	guest_start(&g, "nameless");
	for (i = 0; i < FILES; i++) {
		snprintf(path, sizeof(path), "%s/ram%d", g.dir, i);
		unlink(path);
	}
	ret = begin(&s, &g, &c) ?: arm(&s) ?: ksnap_drain(&s, 512, 0);
	if (ret)
		ksft_print_msg("%s %s\n", strerror(-ret), s.why);
	ok = !ret && image_is_one_instant(&g, &s);
	ok = guest_goes_on(&g) && ok;
	ksnap_free(&s);
	guest_end(&g);
	ok = back_to(&was, "after it") && ok;
	ksft_test_result(ok, "snapshot of files without a name\n");
}

static void join_cgroup(void)
{
	char pid[16];

	kt_write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	mkdir("/sys/fs/cgroup/keeltest", 0755);
	snprintf(pid, sizeof(pid), "%d", getpid());
	if (kt_write_file("/sys/fs/cgroup/keeltest/cgroup.procs", pid) ||
	    kt_read_number("/sys/fs/cgroup/keeltest/memory.current") < 0)
		ksft_test_result_skip("memory cgroup: cannot be set up here\n");
	else
		ksft_test_result_pass("memory cgroup is watched\n");
}

int main(void)
{
	struct levels first;
	struct guest g;
	const char *why;

	ksft_print_header();
	why = kt_keel_missing();
	if (why)
		ksft_exit_skip("%s\n", why);
	ksft_set_plan(2 + NR_ENDINGS * NR_PHASES + 4 + NR_PHASES + 3);
	why = tvm_missing();
	have_vcpus = !why;
	if (why)
		ksft_test_result_skip("4 vCPUs: %s\n", why);
	else
		ksft_test_result_pass("4 vCPUs are among the writers\n");
	join_cgroup();
	if (knl_open(&nl))
		ksft_exit_fail_msg("no netlink family\n");
	look(&first);
	mnt = kt_mount("huge=always");
	if (!mnt)
		ksft_exit_fail_msg("mount keelfs: %s\n", strerror(errno));
	guest_start(&g, "guest");
	ends_in_each_phase(&g);
	policies(&g);
	two_at_once(&g);
	guest_end(&g);
	vmm_killed();
	unlinked();
	kt_umount(mnt);
	ksft_test_result(back_to(&first, "in the end"),
			 "everything is as it was before the first guest\n");
	ksft_finished();
}
