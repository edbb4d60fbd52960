// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest.h"
#include "keeltest.h"
#include "subject.h"
#include "tinyvmm.h"

#define SIZE		((size_t)8 << 20)
#define STEPS		64

enum { MAKE_THREAD = 1, RESTART };

/* In the process. */

static struct tvm tvm;
static uint64_t cpus_of_leader;

static uint64_t all_cpus(void)
{
	return (1ULL << sysconf(_SC_NPROCESSORS_CONF)) - 1;
}

/* CPU 0 and some more, or 0: as who makes it. */
static uint64_t some_cpus(uint64_t *seed)
{
	return seed && rnd64(seed) % 4 ? (rnd64(seed) & all_cpus()) | 1 : 0;
}

static void enter(struct subject *s, int tid, uint64_t cpus)
{
	int i = s->told->nr;

	s->told->thread[i].cpus = cpus ?: cpus_of_leader;
	s->told->thread[i].tid = tid;
	WRITE_ONCE(s->told->nr, i + 1);
}

static int made_tid;

/* It wakes up now and then: who sleeps keeps a CPU that has gone. */
static void *doze(void *arg)
{
	(void)arg;
	WRITE_ONCE(made_tid, syscall(SYS_gettid));
	for (;;)
		nap_us(10000);
	return NULL;
}

static int make_thread(struct subject *s)
{
	pthread_attr_t small;
	pthread_t thread;
	int ret;

	made_tid = 0;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 65536);
	ret = pthread_create(&thread, &small, doze, NULL);
	while (!ret && !READ_ONCE(made_tid))
		nap_us(100);
	if (!ret)
		enter(s, made_tid, 0);
	return -ret;
}

static int run_vcpus(struct subject *s)
{
	int i, ret;

	for (i = 0; i < tvm.nr_vcpus; i++) {
		tvm.vcpu[i].tid = 0;
		ret = tvm_start(&tvm, i);
		if (ret)
			return ret;
		while (!__atomic_load_n(&tvm.vcpu[i].tid, __ATOMIC_ACQUIRE))
			nap_us(100);
		/* Its number is where it was before. */
		s->told->thread[i + 1].cpus = tvm.vcpu[i].cpus ?:
					      cpus_of_leader;
		s->told->thread[i + 1].loose = false;
		WRITE_ONCE(s->told->thread[i + 1].tid, tvm.vcpu[i].tid);
	}
	return 0;
}

static int restart(struct subject *s)
{
	int i, ret = tvm_stop(&tvm);

	for (i = 0; i < tvm.nr_vcpus; i++)
		WRITE_ONCE(s->told->thread[i + 1].tid, 0);
	return ret ? -EIO : run_vcpus(s);
}

/* Each vCPU writes all over the file, or the VM's low memory without one. */
static int load(const char *dir, int vcpus)
{
	struct tvm_step step[STEPS];
	uint64_t base = 1 << 20, room = 1 << 20;
	char name[32], path[300];
	void *p = NULL;
	int i, k, fd, ret = 0;

	if (dir) {
		snprintf(name, sizeof(name), "subject%d", getpid());
		fd = kt_file(dir, name, SIZE);
		if (fd < 0)
			return fd;
		p = kt_map(fd, SIZE);
		close(fd);
		snprintf(path, sizeof(path), "%s/%s", dir, name);
		unlink(path);
		room = SIZE / vcpus;
		ret = p ? tvm_add_memory(&tvm, p, SIZE, &base) : -errno;
	}
	for (i = 0; i < vcpus && !ret; i++) {
		for (k = 0; k < STEPS; k++) {
			step[k].cell = base + i * room + k * (room / STEPS);
			step[k].peer = step[k].cell;
		}
		ret = tvm_load_ordered(&tvm, i, step, STEPS);
	}
	return ret;
}

static int begin(struct subject *s, const char *dir, int vcpus, uint64_t *seed)
{
	uint64_t asked = some_cpus(seed);
	int i, ret;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setpriority(PRIO_PROCESS, 0, 0);
	cpus_of_leader = asked ?: all_cpus();
	if (asked && syscall(SYS_sched_setaffinity, 0, sizeof(asked), &asked))
		return -errno;
	ret = tvm_create(&tvm, vcpus) ?: load(dir, vcpus);
	if (ret)
		return ret;
	enter(s, getpid(), 0);
	for (i = 0; i < vcpus; i++) {
		tvm.vcpu[i].cpus = some_cpus(seed);
		enter(s, 0, 0);
	}
	return run_vcpus(s);
}

static void serve(struct subject *s, const char *dir, int vcpus, uint64_t *seed)
{
	int ret = begin(s, dir, vcpus, seed), i;

	for (;;) {
		for (i = 0; i < vcpus && !ret; i++)
			ret = -tvm.vcpu[i].error;
		if (ret && !s->told->why[0])
			snprintf(s->told->why, sizeof(s->told->why),
				 "error %d", -ret);
		WRITE_ONCE(s->told->ready, true);
		if (READ_ONCE(s->told->asked) == s->told->done) {
			nap_us(1000);
			continue;
		}
		ret = ret ?: s->told->what == RESTART ? restart(s) :
							make_thread(s);
		__atomic_store_n(&s->told->done, s->told->asked,
				 __ATOMIC_RELEASE);
	}
}

/* Outside. */

const char *subject_missing(void)
{
	const char *why = kt_keel_missing() ?: tvm_missing();

	return !why && kt_nr_nodes() < 2 ? "needs two nodes" : why;
}

static int find_id(struct subject *s, struct knl *nl)
{
	struct knl_vm vm;
	int i, ret = -ENOENT;

	for (i = 0; i < 1000 && ret; i++) {
		ret = knl_vm_of_pid(nl, s->pid, &vm);
		if (ret)
			nap_us(10000);
	}
	s->id = ret ? 0 : vm.id;
	return ret;
}

static bool wait_ready(const struct subject *s)
{
	int i;

	for (i = 0; i < 20000 && !READ_ONCE(s->told->ready); i++)
		nap_us(1000);
	return s->told->ready && !s->told->why[0];
}

int subject_start(struct subject *s, struct knl *nl, const char *dir,
		  int vcpus, uint64_t *seed)
{
	uint64_t own = seed ? rnd64(seed) : 0;
	int ret;

	memset(s, 0, sizeof(*s));
	s->told = mmap(NULL, sizeof(*s->told), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s->told == MAP_FAILED)
		return -ENOMEM;
	fflush(stdout);
	s->pid = fork();
	if (!s->pid)
		serve(s, dir, vcpus, seed ? &own : NULL);
	ret = wait_ready(s) ? find_id(s, nl) : -EIO;
	if (ret) {
		ksft_print_msg("a VM does not start: %s\n",
			       s->told->why[0] ? s->told->why : strerror(-ret));
		subject_kill(s);
	}
	return ret;
}

void subject_kill(struct subject *s)
{
	if (!s->pid)
		return;
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	s->pid = 0;
	munmap(s->told, sizeof(*s->told));
}

static bool ask(struct subject *s, int what)
{
	int i;

	s->told->what = what;
	__atomic_store_n(&s->told->asked, s->told->asked + 1, __ATOMIC_RELEASE);
	for (i = 0; i < 20000; i++) {
		if (__atomic_load_n(&s->told->done, __ATOMIC_ACQUIRE) ==
		    s->told->asked)
			return !s->told->why[0];
		nap_us(1000);
	}
	ksft_print_msg("VM %u does not answer\n", s->id);
	return false;
}

bool subject_make_thread(struct subject *s)
{
	return s->told->nr < SUBJECT_THREADS && ask(s, MAKE_THREAD);
}

bool subject_restart(struct subject *s)
{
	return ask(s, RESTART);
}

void subject_set(struct subject *s, int i, uint64_t cpus)
{
	int tid = READ_ONCE(s->told->thread[i + 1].tid);

	cpus |= 1;
	if (!tid || syscall(SYS_sched_setaffinity, tid, sizeof(cpus), &cpus))
		return;
	s->told->thread[i + 1].cpus |= cpus;
	s->told->thread[i + 1].loose = true;
}

/*
 * Of a thread, in whole: sched_getaffinity(2) does not tell of CPUs that are
 * offline. 0 if there is no such thread any more.
 */
static uint64_t cpus_of(const struct subject *s, int tid)
{
	char path[64], text[4096], digit[2] = "";
	const char *at;
	uint64_t cpus = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", s->pid, tid);
	if (!tid || kt_read_file(path, text, sizeof(text)) <= 0)
		return 0;
	at = strstr(text, "\nCpus_allowed:");
	for (at = at ? strchr(at, ':') : ""; *at && *at != '\n'; at++) {
		digit[0] = *at;
		if (isxdigit(*at))
			cpus = cpus << 4 | strtoul(digit, NULL, 16);
	}
	return cpus;
}

int subject_changed(const struct subject *s)
{
	int i, n = 0;
	uint64_t now;

	for (i = 0; i < READ_ONCE(s->told->nr); i++) {
		now = cpus_of(s, s->told->thread[i].tid);
		n += now && now != s->told->thread[i].cpus;
	}
	return n;
}

static bool check(const struct subject *s, bool or_less)
{
	bool good = true;
	uint64_t now, own;
	int i;

	if (!s->pid)
		return false;
	for (i = 0; i < READ_ONCE(s->told->nr); i++) {
		own = s->told->thread[i].cpus;
		now = cpus_of(s, s->told->thread[i].tid);
		if (!now || now == own ||
		    ((or_less || s->told->thread[i].loose) && !(now & ~own)))
			continue;
		ksft_print_msg("VM %u thread %d (number %d): CPUs %#lx, its own %#lx\n",
			       s->id, s->told->thread[i].tid, i, now, own);
		good = false;
	}
	return good;
}

bool subject_exact(const struct subject *s)
{
	return check(s, false);
}

bool subject_within(const struct subject *s)
{
	return check(s, true);
}

bool subject_alive(const struct subject *s)
{
	if (!s->pid)
		return false;
	if (!s->told->why[0] && !waitpid(s->pid, NULL, WNOHANG))
		return true;
	ksft_print_msg("VM %u: %s\n", s->id,
		       s->told->why[0] ? s->told->why : "has ended");
	return false;
}
