// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupt tables of tiny VMs, as user space sees them: exact while their threads
 * are moved, are stopped, end, and the VM is killed; and what /dev/keel-irq refuses.
 *
 *	tables [-m MOVES]		(2000)
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/keel_irq.h>

#include "kselftest.h"
#include "keeltest.h"
#include "subject.h"
#include "tinyvmm.h"

#define VCPUS	3

static int moves = 2000;
static uint64_t seed = 1;
static int cpus;
static struct knl nl;
static struct subject vm;

struct table {
	int fd;
	size_t bytes;
	const struct keel_irq_header *header;
};

static void result(const char *name, bool good)
{
	if (good)
		ksft_test_result_pass("%s\n", name);
	else
		ksft_test_result_fail("%s\n", name);
}

static const struct keel_irq_entry *entry(const struct table *t, int i)
{
	return (const void *)((const char *)t->header + t->header->targets +
			      i * t->header->target_stride);
}

static uint64_t where(const struct table *t, int i)
{
	return READ_ONCE(entry(t, i)->where);
}

static int table_open(struct table *t, uint32_t id)
{
	struct keel_irq_select select = { .size = sizeof(select), .vm = id };
	void *p;

	t->fd = open(KEEL_IRQ_DEVICE, O_RDONLY | O_CLOEXEC);
	if (t->fd < 0)
		return -errno;
	if (ioctl(t->fd, KEEL_IRQ_SELECT, &select)) {
		close(t->fd);
		return -errno;
	}
	t->bytes = select.bytes;
	p = mmap(NULL, t->bytes, PROT_READ, MAP_SHARED, t->fd, 0);
	if (p == MAP_FAILED) {
		close(t->fd);
		return -errno;
	}
	t->header = p;
	return 0;
}

static void table_close(struct table *t)
{
	munmap((void *)t->header, t->bytes);
	close(t->fd);
}

static bool wait_for(bool (*cond)(const struct table *t), const struct table *t)
{
	int i;

	for (i = 0; i < 1500 && !cond(t); i++)
		nap_us(10000);
	return cond(t);
}

static bool all_kept(const struct table *t)
{
	int i;

	if (READ_ONCE(t->header->nr_targets) != VCPUS)
		return false;
	for (i = 0; i < VCPUS; i++)
		if (!READ_ONCE(entry(t, i)->tid) ||
		    KEEL_IRQ_STATE(where(t, i)) == KEEL_IRQ_STATE_OFFLINE)
			return false;
	return true;
}

static bool all_paused(const struct table *t)
{
	int i;

	for (i = 0; i < VCPUS; i++)
		if (KEEL_IRQ_STATE(where(t, i)) != KEEL_IRQ_STATE_PAUSED)
			return false;
	return true;
}

static bool all_at_work(const struct table *t)
{
	int i;

	for (i = 0; i < VCPUS; i++)
		if (KEEL_IRQ_STATE(where(t, i)) != KEEL_IRQ_STATE_RUNNING &&
		    KEEL_IRQ_STATE(where(t, i)) != KEEL_IRQ_STATE_PREEMPTED)
			return false;
	return true;
}

static bool is_gone(const struct table *t)
{
	return READ_ONCE(t->header->flags) & KEEL_IRQ_GONE;
}

/* Nothing in it is another's, whatever moves: looked at all the time. */
static struct {
	const struct table *table;
	bool stop;
	uint64_t looks, bad;
} watch;

static void *watcher(void *arg)
{
	static uint32_t seq[VCPUS];
	const struct table *t = watch.table;
	char path[64];
	int i;

	(void)arg;
	while (!READ_ONCE(watch.stop)) {
		for (i = 0; i < VCPUS; i++) {
			uint64_t w = where(t, i);

			snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/node%u",
				 KEEL_IRQ_CPU(w), KEEL_IRQ_NODE(w));
			if (KEEL_IRQ_CPU(w) >= (uint32_t)cpus || access(path, F_OK) ||
			    (int32_t)(KEEL_IRQ_SEQ(w) - seq[i]) < 0)
				watch.bad++;
			seq[i] = KEEL_IRQ_SEQ(w);
			watch.looks++;
		}
		nap_us(100);
	}
	return NULL;
}

/*
 * When the affinity has been set the thread is on no other CPU any more, and so its
 * word must not say so.
 */
static int moved_away(const struct table *t, int *running)
{
	int i = rnd64(&seed) % VCPUS, cpu = rnd64(&seed) % cpus;
	cpu_set_t to;
	uint64_t w;

	CPU_ZERO(&to);
	CPU_SET(cpu, &to);
	if (sched_setaffinity(entry(t, i)->tid, sizeof(to), &to))
		return -errno;
	w = where(t, i);
	if (KEEL_IRQ_STATE(w) == KEEL_IRQ_STATE_RUNNING) {
		++*running;
		if (KEEL_IRQ_CPU(w) != (uint32_t)cpu) {
			ksft_print_msg("sent to CPU %d, it runs on %u\n", cpu,
				       KEEL_IRQ_CPU(w));
			return -EBADMSG;
		}
	}
	return 0;
}

static bool exact(const struct table *t)
{
	uint64_t before = 0, after = 0;
	int n, i, running = 0, ret = 0;
	pthread_t thread;

	for (i = 0; i < VCPUS; i++)
		before += READ_ONCE(entry(t, i)->moves);
	watch.table = t;
	pthread_create(&thread, NULL, watcher, NULL);
	for (n = 0; n < moves && !ret; n++) {
		ret = moved_away(t, &running);
		/* Some are moved on before they have come. */
		nap_us(rnd64(&seed) % 4000);
	}
	WRITE_ONCE(watch.stop, true);
	pthread_join(thread, NULL);
	for (i = 0; i < VCPUS; i++)
		after += READ_ONCE(entry(t, i)->moves);
	ksft_print_msg("%d moves, found running after %d; %llu counted; %llu looks, %llu wrong: %s\n",
		       n, running, (unsigned long long)(after - before),
		       (unsigned long long)watch.looks, (unsigned long long)watch.bad,
		       strerror(-ret));
	return !ret && running > moves / 20 && after - before > (uint64_t)moves / 4 &&
	       !watch.bad;
}

/* On one CPU together all but one of them are preempted. */
static bool preempted(const struct table *t)
{
	cpu_set_t one;
	int i, n, seen = 0;

	CPU_ZERO(&one);
	CPU_SET(cpus - 1, &one);
	for (i = 0; i < VCPUS; i++)
		sched_setaffinity(entry(t, i)->tid, sizeof(one), &one);
	for (n = 0; n < 200; n++) {
		for (i = 0; i < VCPUS; i++)
			if (KEEL_IRQ_STATE(where(t, i)) == KEEL_IRQ_STATE_PREEMPTED &&
			    KEEL_IRQ_CPU(where(t, i)) == (uint32_t)cpus - 1)
				seen |= 1 << i;
		nap_us(2000);
	}
	return seen == (1 << VCPUS) - 1;
}

/* Other threads run the same vCPUs. */
static bool restarted(const struct table *t)
{
	uint32_t tid[VCPUS];
	int i, n;
	bool other = false;

	for (i = 0; i < VCPUS; i++)
		tid[i] = entry(t, i)->tid;
	if (!subject_restart(&vm))
		return false;
	for (n = 0; n < 1000 && !other; n++) {
		nap_us(10000);
		other = all_kept(t);
		for (i = 0; i < VCPUS; i++)
			other &= entry(t, i)->tid != tid[i];
	}
	return other && t->header->nr_targets == VCPUS;
}

static bool cpus_known(const struct table *t)
{
	const uint32_t *apic = (const void *)((const char *)t->header + t->header->cpus);
	int i, k;

	for (i = 0; i < cpus; i++) {
		if (apic[i] == KEEL_IRQ_NO_APIC)
			return false;
		for (k = 0; k < i; k++)
			if (apic[k] == apic[i])
				return false;
	}
	return t->header->nr_cpus >= (uint32_t)cpus;
}

/* What the device says to what it is not to do. */
static int select_as(int fd, uint32_t size, uint32_t id, uint32_t more)
{
	struct {
		struct keel_irq_select select;
		uint32_t more;
	} arg = { { size, id, 0 }, more };

	return ioctl(fd, KEEL_IRQ_SELECT, &arg) ? -errno : 0;
}

static int map_as(int fd, int prot, size_t bytes)
{
	void *p = mmap(NULL, bytes, prot, MAP_SHARED, fd, 0);
	int ret = p == MAP_FAILED ? -errno : 0;

	if (!ret)
		munmap(p, bytes);
	return ret;
}

static bool says(const char *what, int got, int want)
{
	if (got != want)
		ksft_print_msg("%s: %s, not %s\n", what, strerror(-got), strerror(-want));
	return got == want;
}

static int open_as_nobody(void)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		chmod(KEEL_IRQ_DEVICE, 0666);
		if (setgid(65534) || setuid(65534))
			_exit(EIO);
		_exit(open(KEEL_IRQ_DEVICE, O_RDONLY) < 0 ? errno : 0);
	}
	waitpid(pid, &status, 0);
	chmod(KEEL_IRQ_DEVICE, 0600);
	return -WEXITSTATUS(status);
}

/* Return: the signal that reading there brings. */
static int read_at(const struct table *t, size_t at)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		signal(SIGBUS, SIG_DFL);
		_exit(*((volatile const char *)t->header + at) & 0);
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static bool refused(const struct table *t, uint32_t id)
{
	int fd = open(KEEL_IRQ_DEVICE, O_RDWR | O_CLOEXEC);
	bool good = fd >= 0;

	good &= says("a map before a VM is chosen", map_as(fd, PROT_READ, 4096), -ENODATA);
	good &= says("a VM that there is not", select_as(fd, 16, 4000000000U, 0), -ENOENT);
	good &= says("VM 0", select_as(fd, 16, 0, 0), -ENOENT);
	good &= says("too small", select_as(fd, 12, id, 0), -EINVAL);
	good &= says("larger than known", select_as(fd, 20, id, 1), -E2BIG);
	good &= says("enormous", select_as(fd, 1U << 31, id, 0), -E2BIG);
	good &= says("larger, but empty", select_as(fd, 20, id, 0), 0);
	good &= says("a second time", select_as(fd, 16, id, 0), -EBUSY);
	good &= says("another command", ioctl(fd, KEEL_IRQ_SELECT + 1, NULL) ? -errno : 0,
		     -ENOTTY);
	good &= says("a bad pointer", ioctl(fd, KEEL_IRQ_SELECT, (void *)8) ? -errno : 0,
		     -EFAULT);
	good &= says("a map to write", map_as(fd, PROT_READ | PROT_WRITE, 4096), -EACCES);
	good &= says("a map to run", map_as(fd, PROT_READ | PROT_EXEC, 4096), -EACCES);
	good &= says("a map made writable", mprotect((void *)t->header, 4096, PROT_WRITE) ?
		     -errno : 0, -EACCES);
	good &= says("who is not root", open_as_nobody(), -EPERM);
	good &= says("a page of targets that there are not",
		     -read_at(t, t->header->bytes - 4096), -SIGBUS);
	good &= says("the page of those that there are", -read_at(t, t->header->targets), 0);
	close(fd);
	return good;
}

int main(int argc, char **argv)
{
	const char *missing;
	struct table t;
	int opt, ret;

	while ((opt = getopt(argc, argv, "m:")) != -1)
		moves = atoi(optarg);
	ksft_print_header();
	missing = subject_missing();
	if (missing)
		ksft_exit_skip("%s\n", missing);
	cpus = sysconf(_SC_NPROCESSORS_CONF);
	ret = knl_open(&nl);
	if (ret)
		ksft_exit_fail_msg("netlink: %s\n", strerror(-ret));
	ksft_set_plan(13);
	ret = subject_start(&vm, &nl, NULL, VCPUS, NULL);
	if (ret)
		ksft_exit_fail_msg("no VM: %s\n", strerror(-ret));
	result("before it is asked for there is no table", table_open(&t, vm.id) == -ENOENT);
	ret = knl_irq_set(&nl, KEEL_IRQ_MODE_WATCH) ?: table_open(&t, vm.id);
	if (ret)
		ksft_exit_fail_msg("no table: %s\n", strerror(-ret));
	result("then there is, and each vCPU's thread keeps its entry", wait_for(all_kept, &t));
	result("it says what it is", t.header->magic == KEEL_IRQ_MAGIC &&
	       t.header->version == KEEL_IRQ_VERSION && t.header->vm == vm.id);
	result("and the APIC ID of each of the host's CPUs", cpus_known(&t));
	result("/dev/keel-irq refuses what it should", refused(&t, vm.id));
	result("no word says that a thread runs where it has left", exact(&t));
	result("who is preempted says so", preempted(&t));
	kill(vm.pid, SIGSTOP);
	result("and who is stopped", wait_for(all_paused, &t));
	kill(vm.pid, SIGCONT);
	result("and who goes on", wait_for(all_at_work, &t));
	result("other threads take the entries over", restarted(&t));
	result("turned off, no thread keeps anything", !knl_irq_set(&nl, KEEL_IRQ_MODE_OFF) &&
	       is_gone(&t) && subject_alive(&vm));
	table_close(&t);

	ret = knl_irq_set(&nl, KEEL_IRQ_MODE_WATCH) ?: table_open(&t, vm.id);
	if (ret)
		ksft_exit_fail_msg("no table: %s\n", strerror(-ret));
	wait_for(all_kept, &t);
	subject_kill(&vm);
	result("a VM that is killed leaves a table that says so", wait_for(is_gone, &t));
	umount("/run/keel");
	ret = kt_unload();
	table_close(&t);
	result("while that is mapped keel stays, and goes after", ret && !kt_unload_within(5000) &&
	       !kt_load());
	mount("keelfs", "/run/keel", "keelfs", 0, NULL);
	ksft_finished();
}
